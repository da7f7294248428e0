/* text.h - pieces of the canonical text that columns and binary JSON share. */
#ifndef TR_DECODERS_BINLOG_TEXT_H
#define TR_DECODERS_BINLOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

/* A broken-down time. part-zero dates are allowed. */
struct moment {
    uint32_t year, month, day, hour, minute, second, us;
    bool negative; /* TIME */
};

/* Shortest decimal that reads back as the same number, in PostgreSQL's notation. */
void binlog_write_double(struct tr_buffer *out, double value);
/* As MySQL prints a finite double inside JSON (1.0, 1e20, 0.000001), so that a document is the same text from a SELECT. */
void binlog_write_json_double(struct tr_buffer *out, double value);
void binlog_write_float(struct tr_buffer *out, float value);

/* A packed decimal; false when the bytes do not fit precision and scale. */
bool binlog_write_decimal(struct tr_buffer *out, const uint8_t *bytes, size_t len, uint32_t precision,
                          uint32_t scale);

void binlog_write_date(struct tr_buffer *out, const struct moment *m);
void binlog_write_time(struct tr_buffer *out, const struct moment *m);
void binlog_write_fraction(struct tr_buffer *out, uint32_t us);
/* Date and time of so many seconds since 1970. */
void binlog_write_moment(struct tr_buffer *out, uint32_t seconds, uint32_t us);

/* Bytes of MariaDB's own storage of fractions: TIMESTAMP, DATETIME or TIME (not the ones that end in 2) with this many digits, 0 to 6. */
size_t binlog_hires_size(uint8_t type, uint32_t digits);

/* The temporal types; false = not a value of that type. */
bool binlog_text_temporal(struct tr_buffer *out, uint8_t type, const uint8_t *bytes, size_t len,
                          uint32_t digits);

/* A binary JSON document as MySQL prints it. Fails (TR_FATAL) on a damaged one. */
int binlog_text_json(struct tr_buffer *out, const uint8_t *bytes, size_t len, struct tr_error *err);

/* An object or array of a binary document, and its elements; every answer is inside of the bytes. */
struct json_container {
    const uint8_t *at;
    uint64_t count, size;
    bool object, large;
};
bool binlog_json_container(uint8_t type, const uint8_t *at, const uint8_t *end, struct json_container *c);
bool binlog_json_key(const struct json_container *c, uint64_t i, const char **key, uint32_t *len);
bool binlog_json_element(const struct json_container *c, uint64_t i, uint8_t *type, const uint8_t **at,
                         const uint8_t **end);
/* One value of a document, and a string, as MySQL prints them. False on a damaged one. */
bool binlog_json_value(struct tr_buffer *out, uint8_t type, const uint8_t *at, const uint8_t *end);
void binlog_json_string(struct tr_buffer *out, const char *text, size_t len);

/*
 * json_patch.c: the text of a document after the differences that the log tells. False when they do not fit it, or the text passes the buffer's
 * limit.
 */
bool binlog_json_patch(const uint8_t *before, size_t before_len, const uint8_t *differences, size_t len,
                       struct tr_buffer *out);

static inline uint64_t
binlog_load_le(const uint8_t *at, size_t width)
{
    uint64_t n = 0;
    for (size_t i = width; i > 0; i--)
        n = n << 8 | at[i - 1];
    return n;
}

static inline uint64_t
binlog_load_be(const uint8_t *at, size_t width)
{
    uint64_t n = 0;
    for (size_t i = 0; i < width; i++)
        n = n << 8 | at[i];
    return n;
}

#endif
