/* write.c - the bytes of JSON. */
#include "encoders/common/write.h"

#include <string.h>

#include "core/text.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* High bit set in each byte of the word that cannot be copied as it is: < 0x20, " and \, >= 0x80. Right up to the first such byte. */
static inline uint64_t
dirty_bytes(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"'), backslash = word ^ (ONES * '\\');
    uint64_t control = (word - ONES * 0x20) & ~word;
    uint64_t special = ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash);
    return (control | special | word) & HIGHS;
}

/* How many bytes from here on are plain ASCII without anything to escape. */
static size_t
clean_run(const char *text, size_t len)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        uint64_t dirty = dirty_bytes(word);
        if (dirty != 0)
            return i + (size_t)__builtin_ctzll(dirty) / 8;
    }
    for (; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return i;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "clean_run counts from the low byte");

static void
escape_ascii(struct tr_buffer *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char shorts[32] = { [8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r' };
    if (c >= 0x20) {
        tr_buffer_add(out, (char[]){ '\\', (char)c }, 2);
    } else if (shorts[c] != 0) {
        tr_buffer_add(out, (char[]){ '\\', shorts[c] }, 2);
    } else {
        tr_buffer_add(out, (char[]){ '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] }, 6);
    }
}

/* Bytes >= 0x80: how many are whole UTF-8 sequences, without a break. */
static size_t
utf8_run(const char *text, size_t len)
{
    size_t i = 0, n;
    while (i < len && (unsigned char)text[i] >= 0x80 && (n = tr_utf8_length(text + i, len - i)) > 0)
        i += n;
    return i;
}

void
json_escape(struct tr_buffer *out, const char *text, size_t len)
{
    for (;;) {
        size_t run = clean_run(text, len);
        tr_buffer_add(out, text, run);
        text += run;
        len -= run;
        if (len == 0)
            return;
        run = 1;
        if ((unsigned char)*text < 0x80)
            escape_ascii(out, (unsigned char)*text);
        else if ((run = utf8_run(text, len)) > 0)
            tr_buffer_add(out, text, run);
        else {
            json_literal(out, "\xEF\xBF\xBD");
            run = 1;
        }
        text += run;
        len -= run;
    }
}

void
tr_json_string(struct tr_buffer *out, const char *text, size_t len)
{
    tr_buffer_byte(out, '"');
    json_escape(out, text, len);
    tr_buffer_byte(out, '"');
}

void
tr_base64_add(struct tr_buffer *out, const void *bytes, size_t len, bool url)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *digits = url ? safe : plain;
    const uint8_t *from = bytes;
    char *to = tr_buffer_reserve(out, (len + 2) / 3 * 4 + 1), *start = to;
    if (to == NULL)
        return;
    for (; len >= 3; len -= 3, from += 3) {
        uint32_t n = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = digits[n >> 18];
        *to++ = digits[n >> 12 & 63];
        *to++ = digits[n >> 6 & 63];
        *to++ = digits[n & 63];
    }
    if (len > 0) {
        uint32_t n = (uint32_t)from[0] << 16 | (len > 1 ? (uint32_t)from[1] << 8 : 0);
        *to++ = digits[n >> 18];
        *to++ = digits[n >> 12 & 63];
        *to++ = len > 1 ? digits[n >> 6 & 63] : '=';
        *to++ = '=';
    }
    *to = '\0';
    out->len += (size_t)(to - start);
}

void
json_base64(struct tr_buffer *out, const void *bytes, size_t len, bool url)
{
    tr_buffer_byte(out, '"');
    tr_base64_add(out, bytes, len, url);
    tr_buffer_byte(out, '"');
}

static int
base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
tr_base64_decode(struct tr_buffer *out, const char *text, size_t len)
{
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        /* Padding stands at the very end only. */
        size_t digits = i + 4 < len || text[i + 3] != '=' ? 4 : text[i + 2] != '=' ? 3 : 2;
        uint32_t n = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < digits ? base64_digit(text[i + k]) : 0;
            if (digit < 0)
                return false;
            n = n << 6 | (uint32_t)digit;
        }
        tr_buffer_add(out, (char[]){ (char)(n >> 16), (char)(n >> 8), (char)n }, digits - 1);
    }
    return true;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
json_unhex(struct tr_buffer *out, const char *hex, size_t len)
{
    char *to = len % 2 == 0 ? tr_buffer_reserve(out, len / 2) : NULL;
    if (to == NULL)
        return false;
    int bad = 0;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        bad |= high | low;
        *to++ = (char)((unsigned)high << 4 | (low & 15U));
    }
    out->len += len / 2;
    return bad >= 0;
}
