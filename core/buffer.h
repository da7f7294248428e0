/*
 * buffer.h - a growing byte buffer with a ceiling.
 *
 * Every buffer is made with a maximum; an append that would pass it sets `overflow` and appends nothing from then on,
 * so a writer checks once at the end. The bytes always have a NUL behind them once anything was appended.
 */
#ifndef TR_CORE_BUFFER_H
#define TR_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tr_buffer {
    char *data;
    size_t len;
    size_t cap;
    size_t max;
    bool overflow;
};

/* A ceiling for a single rendered row or value: PostgreSQL's own limit of a field. */
#define TR_BUFFER_MAX ((size_t)1 << 30)

void tr_buffer_init(struct tr_buffer *buf, size_t max);
void tr_buffer_fini(struct tr_buffer *buf);

/* Forget the content, keep the memory (memory over 1 MiB is given back). */
void tr_buffer_reset(struct tr_buffer *buf);

/* Slow path: make room for `more` bytes and a NUL. False (and overflow) when that passes the ceiling. */
bool tr_buffer_grow(struct tr_buffer *buf, size_t more);

/* Room for `more` bytes; returns where they go, or NULL on overflow. The caller then adds what it wrote to buf->len. */
static inline char *
tr_buffer_reserve(struct tr_buffer *buf, size_t more)
{
    if (buf->cap - buf->len <= more && !tr_buffer_grow(buf, more))
        return NULL;
    return buf->data + buf->len;
}

static inline void
tr_buffer_add(struct tr_buffer *buf, const void *bytes, size_t len)
{
    char *to = tr_buffer_reserve(buf, len);
    if (to == NULL)
        return;
    memcpy(to, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

static inline void
tr_buffer_byte(struct tr_buffer *buf, char c)
{
    char *to = tr_buffer_reserve(buf, 1);
    if (to == NULL)
        return;
    *to = c;
    buf->len += 1;
    buf->data[buf->len] = '\0';
}

void tr_buffer_text(struct tr_buffer *buf, const char *text);
void tr_buffer_printf(struct tr_buffer *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tr_buffer_int(struct tr_buffer *buf, int64_t n);
void tr_buffer_uint(struct tr_buffer *buf, uint64_t n);
void tr_buffer_u16be(struct tr_buffer *buf, uint16_t n);
void tr_buffer_u32be(struct tr_buffer *buf, uint32_t n);
void tr_buffer_u64be(struct tr_buffer *buf, uint64_t n);

/* Overwrite 4 bytes at an earlier offset (length words written after the fact). offset + 4 <= len. */
void tr_buffer_put_u32be(struct tr_buffer *buf, size_t offset, uint32_t n);

/* lower-case hex digits of the bytes */
void tr_buffer_hex(struct tr_buffer *buf, const void *bytes, size_t len);

#endif
