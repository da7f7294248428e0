/*
 * put.h - values into either form of an event: JSON text, or Avro's binary encoding.
 *
 * The renderers say what a value is, renderer->avro says how it is written. What is only there in JSON (names, braces, commas) goes through
 * put_syntax(); what is only there in Avro (the branch of a union, the count of an array) through put_branch() and put_count().
 */
#ifndef TR_ENCODERS_DEBEZIUM_PUT_H
#define TR_ENCODERS_DEBEZIUM_PUT_H

#include "encoders/common/avro.h"
#include "encoders/common/write.h"
#include "encoders/debezium/internal.h"

#define put_syntax(r, out, text)     \
    do {                             \
        if (!(r)->avro)              \
            json_literal(out, text); \
    } while (0)

/* An optional field of a struct: which of ["null", type] follows. */
static inline void
put_branch(const struct renderer *r, struct tr_buffer *out, int branch)
{
    if (r->avro)
        avro_long(out, branch);
}

/* A value that the type has no room for. In Avro the null is a branch of the union around it, so whoever wrote that takes it back. */
static inline void
put_null(struct renderer *r, struct tr_buffer *out)
{
    if (r->avro)
        r->null = true;
    else
        json_literal(out, "null");
}

static inline void
put_int(const struct renderer *r, struct tr_buffer *out, int64_t n)
{
    if (r->avro)
        avro_long(out, n);
    else
        tr_buffer_int(out, n);
}

static inline void
put_string(const struct renderer *r, struct tr_buffer *out, const char *text, size_t len)
{
    if (r->avro)
        avro_string(out, text, len);
    else
        tr_json_string(out, text, len);
}

static inline void
put_bytes(const struct renderer *r, struct tr_buffer *out, const void *bytes, size_t len)
{
    if (r->avro)
        avro_bytes(out, bytes, len);
    else
        json_base64(out, bytes, len, false);
}

/* A string of plain ASCII, appended by the caller between the two. */
static inline size_t
put_string_begin(const struct renderer *r, struct tr_buffer *out)
{
    tr_buffer_byte(out, r->avro ? 0 : '"');
    return out->len - 1;
}

static inline void
put_string_end(const struct renderer *r, struct tr_buffer *out, size_t begin)
{
    if (r->avro)
        avro_patch(out, begin, (int64_t)(out->len - begin) - 1);
    else
        tr_buffer_byte(out, '"');
}

/* values.c: a floating-point number from its text, 4 or 8 bytes wide in Avro. False when it is none. */
bool put_number(struct renderer *r, const char *text, size_t len, int width, struct tr_buffer *out);
void put_double(struct renderer *r, struct tr_buffer *out, double number);

#endif
