/* avro.h - the bytes of Avro's binary encoding: zigzag integers, strings, bytes, floating point. Apache Avro specification, "Binary encoding". */
#ifndef TR_ENCODERS_COMMON_AVRO_H
#define TR_ENCODERS_COMMON_AVRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/buffer.h"

#define AVRO_LONG_MAX_BYTES 10

/* Writes at most AVRO_LONG_MAX_BYTES bytes; returns how many. */
static inline size_t
avro_long_bytes(char *to, int64_t n)
{
    uint64_t rest = ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0);
    size_t len = 0;
    for (; rest >= 0x80; rest >>= 7)
        to[len++] = (char)(rest | 0x80);
    to[len++] = (char)rest;
    return len;
}

/* int and long, and everything that is counted: lengths, branches of a union. */
static inline void
avro_long(struct tr_buffer *out, int64_t n)
{
    char *to = tr_buffer_reserve(out, AVRO_LONG_MAX_BYTES);
    if (to != NULL)
        out->len += avro_long_bytes(to, n);
}

static inline void
avro_bytes(struct tr_buffer *out, const void *bytes, size_t len)
{
    char *to = tr_buffer_reserve(out, len + AVRO_LONG_MAX_BYTES);
    if (to == NULL)
        return;
    size_t head = avro_long_bytes(to, (int64_t)len);
    memcpy(to + head, bytes, len);
    out->len += head + len;
}

/* Invalid UTF-8 becomes U+FFFD, as in JSON: readers refuse a whole message for it. */
void avro_string(struct tr_buffer *out, const char *text, size_t len);

void avro_float(struct tr_buffer *out, float number);
void avro_double(struct tr_buffer *out, double number);

/* One byte was left free at `at` for a number that is known only now: n takes its place, what stands behind moves when one byte is not enough. */
void avro_patch(struct tr_buffer *out, size_t at, int64_t n);

#endif
