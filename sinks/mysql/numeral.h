/* numeral.h - numbers as text: what may stand in SQL, and how many digits it has. */
#ifndef TR_SINKS_MYSQL_NUMERAL_H
#define TR_SINKS_MYSQL_NUMERAL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"

bool tr_my_is_not_finite(const char *text, size_t len);

/* [-+]digits[.digits][e[-+]digits], and nothing else: it goes into SQL without quotes. */
bool tr_my_is_numeral(const char *p, size_t len);

/* Behind the point, without zeros at the end; in front of it, without zeros at the beginning. */
size_t tr_my_fraction_digits(const char *text, size_t len);
size_t tr_my_whole_digits(const char *text, size_t len);

/* "$1,234.50" and "-$1.00" without what is not of the number. */
void tr_my_plain_money(const char *text, size_t len, struct tr_buffer *out);

/* The number of most, or with `negative` of least, value that a DECIMAL holds. */
void tr_my_nines(struct tr_buffer *out, bool negative, int precision, int scale);

#endif
