/* text_number.c - floating point and decimals. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

/*
 * d.ddde+xx without needless zeros; fixed notation for exponents from -4 up to `fixed_below`, as
 * PostgreSQL has it.
 */
static void
write_scientific(struct tr_buffer *out, const char *text, int fixed_below)
{
    char digits[32];
    size_t n = 0;
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9' && n < sizeof digits)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    int exponent = atoi(e + 1);
    if (*text == '-')
        tr_buffer_byte(out, '-');
    if (exponent < -4 || exponent >= fixed_below) {
        tr_buffer_byte(out, digits[0]);
        if (n > 1) {
            tr_buffer_byte(out, '.');
            tr_buffer_add(out, digits + 1, n - 1);
        }
        tr_buffer_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        tr_buffer_text(out, "0.");
        for (int i = -1; i > exponent; i--)
            tr_buffer_byte(out, '0');
        tr_buffer_add(out, digits, n);
        return;
    }
    for (int i = 0; i <= exponent || (size_t)i < n; i++) {
        if (i == exponent + 1)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, (size_t)i < n ? digits[i] : '0');
    }
}

static bool
write_special(struct tr_buffer *out, double value)
{
    if (isnan(value))
        tr_buffer_text(out, "NaN");
    else if (isinf(value))
        tr_buffer_text(out, value < 0 ? "-Infinity" : "Infinity");
    else if (value == 0)
        tr_buffer_text(out, signbit(value) ? "-0" : "0");
    else
        return false;
    return true;
}

/* Below the normal numbers precision fades: fewer digits can do there. */
void
binlog_write_double(struct tr_buffer *out, double value)
{
    char text[40];
    if (write_special(out, value))
        return;
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    write_scientific(out, text, 15);
}

void
binlog_write_float(struct tr_buffer *out, float value)
{
    char text[40];
    if (write_special(out, (double)value))
        return;
    for (int digits = fabsf(value) < FLT_MIN ? 1 : 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    write_scientific(out, text, 6);
}

/* Digits of one group of a decimal: up to nine in up to four bytes, high byte first. */
static bool
write_group(struct tr_buffer *out, const uint8_t *bytes, size_t width, uint32_t digits)
{
    static const uint32_t limits[] = { 1,      10,      100,      1000,      10000,
                                       100000, 1000000, 10000000, 100000000, 1000000000 };
    uint32_t n = (uint32_t)binlog_load_be(bytes, width);
    if (n >= limits[digits])
        return false;
    tr_buffer_printf(out, "%0*u", (int)digits, n);
    return true;
}

/*
 * Groups of nine digits, the broken group on the far side from the point. Its sign is in the first bit,
 * negatives are inverted.
 */
bool
binlog_write_decimal(struct tr_buffer *out, const uint8_t *bytes, size_t len, uint32_t precision,
                     uint32_t scale)
{
    static const uint8_t width[] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };
    uint8_t plain[40];
    uint32_t size = binlog_decimal_size(precision, scale);
    if (size == 0 || size != len || size > sizeof plain)
        return false;
    bool negative = !(bytes[0] & 0x80);
    for (size_t i = 0; i < len; i++)
        plain[i] = (uint8_t)(bytes[i] ^ (negative ? 0xff : 0) ^ (i == 0 ? 0x80 : 0));
    size_t at = 0, start;
    uint32_t whole = precision - scale, left = whole % 9;
    if (negative)
        tr_buffer_byte(out, '-');
    start = out->len;
    if (left > 0 && !write_group(out, plain, width[left], left))
        return false;
    at = width[left];
    for (uint32_t i = 0; i < whole / 9; i++, at += 4)
        if (!write_group(out, plain + at, 4, 9))
            return false;
    size_t zeros = 0;
    while (start + zeros + 1 < out->len && out->data[start + zeros] == '0')
        zeros++;
    if (zeros > 0) {
        memmove(out->data + start, out->data + start + zeros, out->len - start - zeros + 1);
        out->len -= zeros;
    }
    if (whole == 0)
        tr_buffer_byte(out, '0');
    if (scale == 0)
        return true;
    tr_buffer_byte(out, '.');
    for (uint32_t i = 0; i < scale / 9; i++, at += 4)
        if (!write_group(out, plain + at, 4, 9))
            return false;
    return scale % 9 == 0 || write_group(out, plain + at, width[scale % 9], scale % 9);
}
