/* numeral.c - numbers as text: what may stand in SQL, and how many digits it has. */
#include "sinks/mysql/numeral.h"

#include <ctype.h>
#include <string.h>

bool
tr_my_is_not_finite(const char *text, size_t len)
{
    return (len == 3 && memcmp(text, "NaN", 3) == 0) ||
           (len >= 8 && memcmp(text + len - 8, "Infinity", 8) == 0);
}

bool
tr_my_is_numeral(const char *p, size_t len)
{
    const char *end = p + len, *start;
    p += p < end && (*p == '-' || *p == '+');
    start = p;
    while (p < end && isdigit((unsigned char)*p))
        p++;
    size_t digits = (size_t)(p - start);
    if (p < end && *p == '.') {
        start = ++p;
        while (p < end && isdigit((unsigned char)*p))
            p++;
        digits += (size_t)(p - start);
    }
    if (digits == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        start = p;
        while (p < end && isdigit((unsigned char)*p))
            p++;
        if (p == start)
            return false;
    }
    return p == end;
}

size_t
tr_my_fraction_digits(const char *text, size_t len)
{
    const char *point = memchr(text, '.', len);
    size_t digits = point != NULL ? (size_t)(text + len - point - 1) : 0;
    while (digits > 0 && point[digits] == '0')
        digits--;
    return digits;
}

void
tr_my_plain_money(const char *text, size_t len, struct tr_buffer *out)
{
    tr_buffer_reset(out);
    for (size_t i = 0; i < len; i++)
        if (isdigit((unsigned char)text[i]) || text[i] == '.' || text[i] == '-')
            tr_buffer_byte(out, text[i]);
}

size_t
tr_my_whole_digits(const char *text, size_t len)
{
    size_t i = 0, digits = 0;
    while (i < len && (text[i] == '-' || text[i] == '+' || text[i] == '0'))
        i++;
    for (; i < len && isdigit((unsigned char)text[i]); i++)
        digits++;
    return digits;
}

void
tr_my_nines(struct tr_buffer *out, bool negative, int precision, int scale)
{
    tr_buffer_reset(out);
    if (negative)
        tr_buffer_byte(out, '-');
    for (int i = 0; i < precision; i++) {
        if (i == precision - scale)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, '9');
    }
}
