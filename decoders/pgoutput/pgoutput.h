/*
 * pgoutput.h - PostgreSQL's logical replication messages, protocol 1 to 4, turned into events.
 *
 * The page "Logical Replication Message Formats" of PostgreSQL's manual is the source of every layout here;
 * each reader in this folder repeats the one it reads. What the decoder promises beyond decoders/decoder.h
 * (docs/pgoutput.md tells why):
 *
 * - Present values have a NUL behind their bytes; TR_CODEC_TEXT when the server sent text, TR_CODEC_PG_BINARY
 *   when it sent binary.
 * - A key-only old row ('K') has TR_ABSENT in every column outside the replica identity, though the wire says
 *   null there.
 * - A non-transactional message is a transaction of its own: no xid, commit_order its LSN, end_order one more.
 * - begin_from_commit() takes a stream commit ('c') or a commit prepared ('K') frame.
 * - Any byte the manual does not know is an error, never skipped.
 */
#ifndef TR_DECODERS_PGOUTPUT_PGOUTPUT_H
#define TR_DECODERS_PGOUTPUT_PGOUTPUT_H

#include <stdbool.h>

#include "decoders/decoder.h"

/* What the source negotiated in START_REPLICATION: tr_decoder_config.source_format points to it; copied by
 * open. NULL = protocol 1. */
struct tr_pgoutput_format {
    int protocol;   /* proto_version, 1 to 4 */
    bool streaming; /* streaming = on or parallel */
    bool binary;    /* binary = true */
};

extern const struct tr_decoder_class tr_pgoutput_decoder;

/* Reads TR_CODEC_PG_BINARY values of the types for which tr_pg_binary_known() (types.h) is true. */
extern const struct tr_codec tr_pg_codec;

#endif
