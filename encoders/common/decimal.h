/* decimal.h - exact decimals as unscaled two's complement integers, the way java.math.BigInteger spells them. */
#ifndef TR_ENCODERS_COMMON_DECIMAL_H
#define TR_ENCODERS_COMMON_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"

struct decimal {
    bool negative;
    const char *digits; /* before the point, then (behind it) the fraction */
    size_t whole;       /* digits before the point */
    const char *fraction;
    size_t scale; /* digits of the fraction */
};

/* "-123.4500"; borrows the text. False for NaN, infinities, and what is no decimal. */
bool decimal_parse(const char *text, size_t len, struct decimal *decimal);

/* Fewer digits of the fraction, as long as they are zeros. */
void decimal_strip(struct decimal *decimal);

/*
 * Append the big-endian two's complement bytes of decimal * 10^scale, as few as hold it. False when it has more digits of a
 * fraction than `scale` that are not zero.
 */
bool decimal_unscaled(const struct decimal *decimal, size_t scale, struct tr_buffer *out);

#endif
