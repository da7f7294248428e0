/*
 * value.h - one column of one row image.
 *
 * Null, absent and present are three different things and never folded into each other. A value keeps the bytes that came off
 * the wire together with the codec that says how to read them; who needs another form converts once, by tr_value_text()
 * (relation.h) or by reading the codec it knows. The bytes belong to the batch's arena.
 */
#ifndef TR_CORE_VALUE_H
#define TR_CORE_VALUE_H

#include <stdint.h>

enum tr_value_state {
    TR_ABSENT = 0, /* not sent: unchanged TOAST, minimal row image, the non-key part of a key-only old row */
    TR_NULL = 1,
    TR_PRESENT = 2,
};

enum tr_codec_id {
    TR_CODEC_TEXT =
        0, /* the canonical text form of the logical type, see docs/values.md: what PostgreSQL prints */
    TR_CODEC_PG_BINARY = 1, /* PostgreSQL's binary send format of the column's type */
    TR_CODEC_RAW = 2,       /* bytes as they are (blobs; text in the connection's UTF-8 is TR_CODEC_TEXT) */
    TR_CODEC_NATIVE = 3,    /* the source's log format; only relation->codec reads it */
};

struct tr_value {
    const char *data;
    uint32_t len;
    uint8_t state; /* enum tr_value_state */
    uint8_t codec; /* enum tr_codec_id */
};

#endif
