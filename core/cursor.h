/*
 * cursor.h - a reader of foreign bytes that cannot run over their end.
 *
 * Failure is sticky: after the first underrun every read yields zero (or an empty slice) and `failed` stays set, so a
 * message is read field by field in wire order and checked once at the end, and before any loop or allocation
 * that a number off the wire drives. Big-endian reads are for PostgreSQL, little-endian ones for MySQL.
 */
#ifndef TR_CORE_CURSOR_H
#define TR_CORE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tr_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct tr_cursor
tr_cursor(const void *bytes, size_t len)
{
    return (struct tr_cursor){ (const uint8_t *)bytes, (const uint8_t *)bytes + len, false };
}

static inline size_t
tr_cursor_left(const struct tr_cursor *cur)
{
    return (size_t)(cur->end - cur->at);
}

/* The next len bytes, borrowed; NULL and failed when fewer are left. */
static inline const uint8_t *
tr_cursor_bytes(struct tr_cursor *cur, size_t len)
{
    if (cur->failed || len > tr_cursor_left(cur)) {
        cur->failed = true;
        cur->at = cur->end;
        return NULL;
    }
    const uint8_t *p = cur->at;
    cur->at += len;
    return p;
}

static inline uint64_t
tr_cursor_be(struct tr_cursor *cur, size_t width)
{
    const uint8_t *p = tr_cursor_bytes(cur, width);
    uint64_t n = 0;
    for (size_t i = 0; p != NULL && i < width; i++)
        n = n << 8 | p[i];
    return n;
}

static inline uint64_t
tr_cursor_le(struct tr_cursor *cur, size_t width)
{
    const uint8_t *p = tr_cursor_bytes(cur, width);
    uint64_t n = 0;
    for (size_t i = width; p != NULL && i > 0; i--)
        n = n << 8 | p[i - 1];
    return n;
}

static inline uint8_t
tr_cursor_u8(struct tr_cursor *cur)
{
    const uint8_t *p = tr_cursor_bytes(cur, 1);
    return p != NULL ? *p : 0;
}

static inline uint16_t
tr_cursor_u16be(struct tr_cursor *cur)
{
    return (uint16_t)tr_cursor_be(cur, 2);
}

static inline uint32_t
tr_cursor_u32be(struct tr_cursor *cur)
{
    const uint8_t *p = tr_cursor_bytes(cur, 4);
    uint32_t n = 0;
    if (p != NULL)
        memcpy(&n, p, 4);
    return __builtin_bswap32(n);
}

static inline uint64_t
tr_cursor_u64be(struct tr_cursor *cur)
{
    const uint8_t *p = tr_cursor_bytes(cur, 8);
    uint64_t n = 0;
    if (p != NULL)
        memcpy(&n, p, 8);
    return __builtin_bswap64(n);
}

/* A NUL-terminated string, borrowed; its length in *len when len is not NULL. NULL and failed when no NUL is left. */
static inline const char *
tr_cursor_string(struct tr_cursor *cur, size_t *len)
{
    const uint8_t *nul = cur->failed ? NULL : memchr(cur->at, 0, tr_cursor_left(cur));
    if (len != NULL)
        *len = 0;
    if (nul == NULL) {
        cur->failed = true;
        cur->at = cur->end;
        return NULL;
    }
    const char *text = (const char *)cur->at;
    if (len != NULL)
        *len = (size_t)(nul - cur->at);
    cur->at = nul + 1;
    return text;
}

#endif
