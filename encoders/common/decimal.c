/* decimal.c - exact decimals as unscaled two's complement integers. */
#include "encoders/common/decimal.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/memory.h"

static size_t
count_digits(const char *text, const char *end)
{
    const char *at = text;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - text);
}

bool
decimal_parse(const char *text, size_t len, struct decimal *decimal)
{
    const char *end = text + len;
    *decimal = (struct decimal){ .negative = len > 0 && *text == '-' };
    text += decimal->negative;
    decimal->digits = text;
    decimal->whole = count_digits(text, end);
    text += decimal->whole;
    if (text < end && *text == '.') {
        decimal->fraction = text + 1;
        decimal->scale = count_digits(text + 1, end);
        text += 1 + decimal->scale;
    }
    return text == end && decimal->whole + decimal->scale > 0;
}

void
decimal_strip(struct decimal *decimal)
{
    while (decimal->scale > 0 && decimal->fraction[decimal->scale - 1] == '0')
        decimal->scale--;
}

/* The k-th digit of the number times 10^scale, counted from the most significant. */
static inline unsigned
digit_at(const struct decimal *decimal, size_t k)
{
    if (k < decimal->whole)
        return (unsigned)(decimal->digits[k] - '0');
    k -= decimal->whole;
    return k < decimal->scale ? (unsigned)(decimal->fraction[k] - '0') : 0;
}

/* Big-endian magnitude with a leading zero byte -> the shortest two's complement form. */
static void
add_signed(struct tr_buffer *out, uint8_t *bytes, size_t len, bool negative)
{
    if (negative) {
        unsigned carry = 1;
        for (size_t i = len; i > 0; i--) {
            carry += (uint8_t)~bytes[i - 1];
            bytes[i - 1] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    while (len > 1 && ((bytes[0] == 0x00 && bytes[1] < 0x80) || (bytes[0] == 0xff && bytes[1] >= 0x80))) {
        bytes++;
        len--;
    }
    tr_buffer_add(out, bytes, len);
}

static void
small_unscaled(const struct decimal *decimal, size_t ndigits, struct tr_buffer *out)
{
    unsigned __int128 number = 0;
    uint8_t bytes[17] = { 0 };
    for (size_t k = 0; k < ndigits; k++)
        number = number * 10 + digit_at(decimal, k);
    for (size_t i = 16; i > 0; i--, number >>= 8)
        bytes[i] = (uint8_t)number;
    add_signed(out, bytes, sizeof(bytes), decimal->negative);
}

/* Nine digits at a time into 32-bit limbs, least significant first. */
static void
large_unscaled(const struct decimal *decimal, size_t ndigits, struct tr_buffer *out)
{
    size_t room = ndigits / 9 + 2, used = 0;
    uint32_t *limbs = tr_malloc(room * sizeof(*limbs));
    for (size_t k = 0; k < ndigits;) {
        uint64_t factor = 1, carry = 0;
        for (; factor < 1000000000 && k < ndigits; k++, factor *= 10)
            carry = carry * 10 + digit_at(decimal, k);
        for (size_t i = 0; i < used; i++) {
            carry += limbs[i] * factor;
            limbs[i] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry > 0)
            limbs[used++] = (uint32_t)carry;
    }
    uint8_t *bytes = tr_calloc(used + 1, sizeof(*limbs)), *to = bytes + 4;
    for (size_t i = used; i > 0; i--)
        for (int shift = 24; shift >= 0; shift -= 8)
            *to++ = (uint8_t)(limbs[i - 1] >> shift);
    add_signed(out, bytes, (used + 1) * 4, decimal->negative);
    free(bytes);
    free(limbs);
}

bool
decimal_unscaled(const struct decimal *decimal, size_t scale, struct tr_buffer *out)
{
    for (size_t k = scale; k < decimal->scale; k++)
        if (decimal->fraction[k] != '0')
            return false;
    size_t ndigits = decimal->whole + scale;
    if (ndigits <= 38)
        small_unscaled(decimal, ndigits, out);
    else
        large_unscaled(decimal, ndigits, out);
    return true;
}
