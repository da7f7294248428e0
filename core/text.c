/* text.c - escaping for logs, terminals and JSON. */
#include "core/text.h"

#include <stdint.h>
#include <string.h>

/* Bounds of the second byte rule out overlong forms, surrogates and what lies past U+10FFFF (Unicode, table 3-7). */
size_t
tr_utf8_length(const char *p, size_t len)
{
    const uint8_t *b = (const uint8_t *)p;
    if (len == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    uint8_t low = 0x80, high = 0xBF;
    size_t need;
    if (b[0] >= 0xC2 && b[0] <= 0xDF)
        need = 2;
    else if (b[0] >= 0xE0 && b[0] <= 0xEF)
        need = 3;
    else if (b[0] >= 0xF0 && b[0] <= 0xF4)
        need = 4;
    else
        return 0;
    if (need > len)
        return 0;
    if (b[0] == 0xE0)
        low = 0xA0;
    else if (b[0] == 0xED)
        high = 0x9F;
    else if (b[0] == 0xF0)
        low = 0x90;
    else if (b[0] == 0xF4)
        high = 0x8F;
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if (b[i] < 0x80 || b[i] > 0xBF)
            return 0;
    return need;
}

bool
tr_utf8_valid(const char *p, size_t len)
{
    for (size_t i = 0, n; i < len; i += n)
        if ((n = tr_utf8_length(p + i, len - i)) == 0)
            return false;
    return true;
}

/* U+2028 to U+202E and U+2066 to U+2069: ends of lines to some readers, and what turns the order of the text around (a name read backwards). */
static bool
is_layout(const uint8_t *b, size_t n)
{
    return n == 3 && b[0] == 0xE2 &&
           ((b[1] == 0x80 && b[2] >= 0xA8 && b[2] <= 0xAE) || (b[1] == 0x81 && b[2] >= 0xA6 && b[2] <= 0xA9));
}

/* C0, DEL, and C1 controls, which some terminals obey even when they come as UTF-8. */
static bool
is_control(const char *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;
    return b[0] < 0x20 || b[0] == 0x7F || (n == 2 && b[0] == 0xC2 && b[1] < 0xA0) || is_layout(b, n);
}

void
tr_text_printable(struct tr_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = tr_utf8_length(text + i, len - i);
        if (n > 0 && !is_control(text + i, n)) {
            tr_buffer_add(out, text + i, n);
            i += n;
            continue;
        }
        uint8_t byte = (uint8_t)text[i];
        if (byte == '\n')
            tr_buffer_add(out, "\\n", 2);
        else if (byte == '\t')
            tr_buffer_add(out, "\\t", 2);
        else
            tr_buffer_printf(out, "\\x%02x", byte);
        i += 1;
    }
}

static void
json_ascii(struct tr_buffer *out, char c)
{
    switch (c) {
    case '"': tr_buffer_add(out, "\\\"", 2); break;
    case '\\': tr_buffer_add(out, "\\\\", 2); break;
    case '\n': tr_buffer_add(out, "\\n", 2); break;
    case '\r': tr_buffer_add(out, "\\r", 2); break;
    case '\t': tr_buffer_add(out, "\\t", 2); break;
    default:
        if ((uint8_t)c < 0x20 || c == 0x7F)
            tr_buffer_printf(out, "\\u%04x", (unsigned)(uint8_t)c);
        else
            tr_buffer_byte(out, c);
    }
}

void
tr_text_json(struct tr_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = tr_utf8_length(text + i, len - i);
        if (n == 1)
            json_ascii(out, text[i]);
        else if (n == 2 && is_control(text + i, n))
            tr_buffer_printf(out, "\\u00%02x", (unsigned)(uint8_t)text[i + 1]);
        else if (n == 3 && is_control(text + i, n))
            tr_buffer_printf(out, "\\u20%02x",
                             ((uint8_t)text[i + 1] & 3U) << 6 | ((uint8_t)text[i + 2] & 0x3FU));
        else if (n == 0)
            tr_buffer_add(out, "\xEF\xBF\xBD", 3);
        else
            tr_buffer_add(out, text + i, n);
        i += n == 0 ? 1 : n;
    }
}

static const char *
past_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

bool
tr_text_is_number(const char *text, size_t len)
{
    const char *p = text, *end = text + len, *start;
    p += p < end && *p == '-';
    start = p;
    p = past_digits(p, end);
    if (p == start || (*start == '0' && p - start > 1))
        return false;
    if (p < end && *p == '.') {
        start = ++p;
        p = past_digits(p, end);
        if (p == start)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        start = p;
        p = past_digits(p, end);
        if (p == start)
            return false;
    }
    return p == end;
}

#define EXPONENT_MAX 400

bool
tr_text_plain_number(const char *text, size_t len, struct tr_buffer *out)
{
    if (!tr_text_is_number(text, len))
        return false;
    const char *end = text + len, *digits = text + (*text == '-'), *p = past_digits(digits, end);
    long whole = p - digits, exponent = 0;
    const char *fraction = p < end && *p == '.' ? p + 1 : p;
    long behind = past_digits(fraction, end) - fraction;
    p = fraction + behind;
    if (p < end) {
        bool down = p[1] == '-';
        for (p += 1 + (p[1] == '-' || p[1] == '+'); p < end && exponent <= EXPONENT_MAX; p++)
            exponent = exponent * 10 + (*p - '0');
        if (exponent > EXPONENT_MAX)
            return false;
        exponent = down ? -exponent : exponent;
    }
    long point = whole + exponent, last = point > whole + behind ? point : whole + behind;
    if (*text == '-')
        tr_buffer_byte(out, '-');
    if (point <= 0)
        tr_buffer_byte(out, '0');
    for (long i = point < 0 ? point : 0; i < last; i++) {
        if (i == point)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, i < 0 || i >= whole + behind ? '0' : i < whole ? digits[i] : fraction[i - whole]);
    }
    return true;
}

void
tr_text_round_number(struct tr_buffer *number, int scale)
{
    char *point = memchr(number->data, '.', number->len);
    if (point == NULL || (size_t)(number->data + number->len - point - 1) <= (size_t)scale)
        return;
    bool up = point[1 + scale] >= '5', sign = number->data[0] == '-';
    number->len = (size_t)(point - number->data) + (scale > 0 ? (size_t)scale + 1 : 0);
    for (size_t i = number->len; up && i-- > sign;) {
        char *digit = &number->data[i];
        if (*digit == '.')
            continue;
        up = *digit == '9';
        *digit = up ? '0' : (char)(*digit + 1);
    }
    if (up) {
        tr_buffer_byte(number, '0');
        memmove(number->data + sign + 1, number->data + sign, number->len - sign - 1);
        number->data[sign] = '1';
    }
}
