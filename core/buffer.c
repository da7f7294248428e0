/* buffer.c - growth by doubling under a ceiling. */
#include "core/buffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

#define KEEP ((size_t)1 << 20)

void
tr_buffer_init(struct tr_buffer *buf, size_t max)
{
    memset(buf, 0, sizeof(*buf));
    buf->max = max;
}

void
tr_buffer_fini(struct tr_buffer *buf)
{
    free(buf->data);
    tr_buffer_init(buf, buf->max);
}

void
tr_buffer_reset(struct tr_buffer *buf)
{
    if (buf->cap > KEEP) {
        free(buf->data);
        buf->data = NULL;
        buf->cap = 0;
    }
    buf->len = 0;
    buf->overflow = false;
}

bool
tr_buffer_grow(struct tr_buffer *buf, size_t more)
{
    if (buf->overflow || more >= buf->max || buf->len > buf->max - more) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + more + 1;
    size_t cap = buf->cap > 0 ? buf->cap : 256;
    while (cap < need)
        cap *= 2;
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    buf->data = tr_realloc(buf->data, cap);
    buf->cap = cap;
    return true;
}

void
tr_buffer_text(struct tr_buffer *buf, const char *text)
{
    tr_buffer_add(buf, text, strlen(text));
}

void
tr_buffer_printf(struct tr_buffer *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *to = len >= 0 ? tr_buffer_reserve(buf, (size_t)len) : NULL;
    if (to != NULL) {
        vsnprintf(to, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void
tr_buffer_uint(struct tr_buffer *buf, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    tr_buffer_add(buf, digits + at, sizeof(digits) - at);
}

void
tr_buffer_int(struct tr_buffer *buf, int64_t n)
{
    if (n < 0)
        tr_buffer_byte(buf, '-');
    tr_buffer_uint(buf, n < 0 ? UINT64_C(0) - (uint64_t)n : (uint64_t)n);
}

void
tr_buffer_u16be(struct tr_buffer *buf, uint16_t n)
{
    n = __builtin_bswap16(n);
    tr_buffer_add(buf, &n, sizeof(n));
}

void
tr_buffer_u32be(struct tr_buffer *buf, uint32_t n)
{
    n = __builtin_bswap32(n);
    tr_buffer_add(buf, &n, sizeof(n));
}

void
tr_buffer_u64be(struct tr_buffer *buf, uint64_t n)
{
    n = __builtin_bswap64(n);
    tr_buffer_add(buf, &n, sizeof(n));
}

void
tr_buffer_put_u32be(struct tr_buffer *buf, size_t offset, uint32_t n)
{
    if (buf->overflow || offset + sizeof(n) > buf->len)
        return;
    n = __builtin_bswap32(n);
    memcpy(buf->data + offset, &n, sizeof(n));
}

void
tr_buffer_hex(struct tr_buffer *buf, const void *bytes, size_t len)
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    char *to = len < buf->max / 2 ? tr_buffer_reserve(buf, len * 2) : NULL;
    if (to == NULL) {
        buf->overflow = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        *to++ = digit[from[i] >> 4];
        *to++ = digit[from[i] & 15];
    }
    *to = '\0';
    buf->len += len * 2;
}
