/* text_number.c - floating point and decimals. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

struct digits {
    char text[20];
    size_t count;
    int exponent; /* of the first digit */
    bool negative;
};

/* What printf's %e wrote, without the zeros at its end. */
static struct digits
split_digits(const char *text)
{
    struct digits d = { .negative = *text == '-' };
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9' && d.count < sizeof d.text)
            d.text[d.count++] = *p;
    while (d.count > 1 && d.text[d.count - 1] == '0')
        d.count--;
    d.exponent = atoi(e + 1);
    return d;
}

/* The digits with one before the point; the exponent is the caller's to write. */
static void
write_mantissa(struct tr_buffer *out, const struct digits *d)
{
    tr_buffer_byte(out, d->text[0]);
    if (d->count > 1) {
        tr_buffer_byte(out, '.');
        tr_buffer_add(out, d->text + 1, d->count - 1);
    }
}

static void
write_fixed(struct tr_buffer *out, const struct digits *d)
{
    if (d->exponent < 0) {
        tr_buffer_text(out, "0.");
        for (int i = -1; i > d->exponent; i--)
            tr_buffer_byte(out, '0');
        tr_buffer_add(out, d->text, d->count);
        return;
    }
    for (int i = 0; i <= d->exponent || (size_t)i < d->count; i++) {
        if (i == d->exponent + 1)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, (size_t)i < d->count ? d->text[i] : '0');
    }
}

/* PostgreSQL's form: exponents from -4 to below FIXED_BELOW without e, others with two digits or more. */
static void
write_scientific(struct tr_buffer *out, const char *text, int fixed_below)
{
    struct digits d = split_digits(text);
    if (d.negative)
        tr_buffer_byte(out, '-');
    if (d.exponent >= -4 && d.exponent < fixed_below) {
        write_fixed(out, &d);
        return;
    }
    write_mantissa(out, &d);
    tr_buffer_printf(out, "e%c%02d", d.exponent < 0 ? '-' : '+', abs(d.exponent));
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
static void
shortest_double(double value, char *text, size_t size)
{
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
}

void
binlog_write_double(struct tr_buffer *out, double value)
{
    char text[40];
    if (write_special(out, value))
        return;
    shortest_double(value, text, sizeof text);
    write_scientific(out, text, 15);
}

void
binlog_write_json_double(struct tr_buffer *out, double value)
{
    char text[40];
    if (value == 0) {
        tr_buffer_text(out, signbit(value) ? "-0.0" : "0.0");
        return;
    }
    shortest_double(value, text, sizeof text);
    struct digits d = split_digits(text);
    if (d.negative)
        tr_buffer_byte(out, '-');
    if (d.exponent >= -15 && (d.exponent < 15 || d.count > (size_t)d.exponent + 1)) {
        write_fixed(out, &d);
        if (d.exponent >= 0 && d.count <= (size_t)d.exponent + 1)
            tr_buffer_text(out, ".0");
        return;
    }
    write_mantissa(out, &d);
    tr_buffer_printf(out, "e%d", d.exponent);
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
