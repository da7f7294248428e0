/* fit.c - the nearest value to what a column of PostgreSQL cannot hold (fit_choose.c). */
#include "sinks/postgres/fit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

struct context {
    struct tr_pg_values *values;
    const struct tr_pg_fit *fit;
    const struct tr_column *source;
    const char *text; /* the value, canonical */
    size_t len;
    struct tr_value *out;
    struct tr_error *err;
};

void
tr_pg_values_init(struct tr_pg_values *values, enum tr_pg_value_policy policy)
{
    *values = (struct tr_pg_values){ .policy = policy };
    tr_buffer_init(&values->canonical, TR_BUFFER_MAX);
    tr_buffer_init(&values->converted, TR_BUFFER_MAX);
}

void
tr_pg_values_fini(struct tr_pg_values *values)
{
    tr_buffer_fini(&values->canonical);
    tr_buffer_fini(&values->converted);
}

/* ------------------------------------------------------------------------------------------- answers */

static int
give(struct context *c, const char *text, size_t len)
{
    *c->out = (struct tr_value){
        .data = text, .len = (uint32_t)len, .state = TR_PRESENT, .codec = TR_CODEC_TEXT
    };
    return 0;
}

static int
give_converted(struct context *c)
{
    const struct tr_buffer *out = &c->values->converted;
    if (out->overflow)
        return tr_fail(c->err, TR_CONFLICT, "column %s: the value is larger than 1 GiB", c->source->name);
    return give(c, out->len > 0 ? out->data : "", out->len);
}

/* What the server would say. */
static const char *
sqlstate_of(enum tr_pg_fit_kind kind)
{
    switch (kind) {
    case TR_PG_FIT_TEXT:
    case TR_PG_FIT_BIT: return "22001";
    case TR_PG_FIT_INTEGER:
    case TR_PG_FIT_NUMERIC:
    case TR_PG_FIT_REAL: return "22003";
    case TR_PG_FIT_DATE:
    case TR_PG_FIT_TIMESTAMP:
    case TR_PG_FIT_TIME: return "22008";
    default: return "22000";
    }
}

/* The column cannot hold the value: by the policy. clamp: the nearest value, or NULL when there is none. */
static int
misfit(struct context *c, const char *clamp, size_t len, const char *why)
{
    enum tr_pg_value_policy policy = c->values->policy;
    if (policy == TR_PG_VALUE_CLAMP && clamp != NULL) {
        c->values->misfits++;
        return give(c, clamp, len);
    }
    if (policy != TR_PG_VALUE_STOP && !c->fit->not_null) {
        c->values->misfits++;
        *c->out = (struct tr_value){ .state = TR_NULL };
        return 0;
    }
    /* The row is named by its key; the value itself stays out of logs. */
    tr_fail(c->err, TR_CONFLICT, "column %s: %s (%zu %s, %s at the source, %s at the target)",
            c->source->name, why, c->len, c->len == 1 ? "byte" : "bytes",
            c->source->native != NULL ? c->source->native : tr_logical_name(c->source->logical),
            c->fit->type);
    memcpy(c->err->sqlstate, sqlstate_of(c->fit->kind), 6);
    tr_error_hint(
        c->err,
        "change the type of the target's column, mend the value at the source, or set on_value to clamp or null");
    return -TR_CONFLICT;
}

static int
misfit_converted(struct context *c, const char *why)
{
    const struct tr_buffer *out = &c->values->converted;
    return misfit(c, out->len > 0 ? out->data : "", out->len, why);
}

/* ------------------------------------------------------------------------------------------- numbers */

/* A string of bits as a number. */
static void
read_bits(struct context *c)
{
    uint64_t number = 0;
    for (size_t i = 0; i < c->len && i < 64; i++)
        number = number << 1 | (c->text[i] == '1');
    tr_buffer_reset(&c->values->canonical);
    tr_buffer_uint(&c->values->canonical, number);
    c->text = c->values->canonical.data;
    c->len = c->values->canonical.len;
}

/* A number with an exponent in digits alone: of it the server rounds off digits without a word. */
static void
write_out(struct context *c)
{
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    if (memchr(c->text, 'e', c->len) == NULL || !tr_text_plain_number(c->text, c->len, out))
        return;
    tr_buffer_reset(&c->values->canonical);
    tr_buffer_add(&c->values->canonical, out->data, out->len);
    c->text = c->values->canonical.data;
    c->len = c->values->canonical.len;
}

static int
integer(struct context *c)
{
    char digits[32], *end;
    struct tr_buffer *out = &c->values->converted;
    if (c->source->logical == TR_BIT)
        read_bits(c);
    write_out(c);
    const char *point = memchr(c->text, '.', c->len);
    size_t whole = point != NULL ? (size_t)(point - c->text) : c->len;
    bool fraction = false;
    for (size_t i = whole + 1; i < c->len; i++)
        fraction = fraction || c->text[i] != '0';
    tr_buffer_reset(out);
    bool negative = c->len > 0 && c->text[0] == '-';
    bool large = whole >= sizeof digits;
    long long n = 0;
    if (!large) {
        memcpy(digits, c->text, whole);
        digits[whole] = '\0';
        errno = 0;
        n = strtoll(digits, &end, 10);
        if (end == digits || *end != '\0')
            return misfit(c, NULL, 0, "the value is no whole number");
        large = errno != 0 || n < c->fit->minimum || n > c->fit->maximum;
    }
    if (large) {
        tr_buffer_int(out, negative ? c->fit->minimum : c->fit->maximum);
        return misfit_converted(c, "the number is out of range");
    }
    return fraction ? misfit(c, c->text, whole, "the number has a fraction") : give(c, c->text, whole);
}

static void
nines(struct tr_buffer *out, bool negative, int precision, int scale)
{
    tr_buffer_reset(out);
    tr_buffer_text(out, negative ? "-" : "");
    for (int i = 0; i < precision; i++) {
        if (i == precision - scale)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, '9');
    }
    for (int i = scale; i < 0; i++)
        tr_buffer_byte(out, '0');
}

/* Digits before the point without leading zeros, and behind it without zeros at the end; false for what is no plain decimal. */
static bool
count_digits(const char *text, size_t len, int *whole, int *fraction)
{
    size_t i = len > 0 && (text[0] == '-' || text[0] == '+');
    *whole = *fraction = 0;
    while (i < len && text[i] == '0')
        i++;
    for (; i < len && isdigit((unsigned char)text[i]); i++)
        ++*whole;
    if (i < len && text[i] == '.') {
        int place = 0;
        for (i++; i < len && isdigit((unsigned char)text[i]); i++) {
            place++;
            if (text[i] != '0')
                *fraction = place;
        }
    }
    return i == len && len > 0;
}

static int
numeric(struct context *c)
{
    int whole, fraction, precision = c->fit->precision, scale = c->fit->scale;
    if (c->source->logical == TR_BIT)
        read_bits(c);
    if (precision >= 0)
        write_out(c);
    if (precision < 0 || !count_digits(c->text, c->len, &whole, &fraction))
        return give(c, c->text, c->len); /* NaN: the server reads it */
    if (whole > precision - scale) {
        nines(&c->values->converted, c->text[0] == '-', precision, scale);
        return misfit_converted(c, "the number is out of range");
    }
    return fraction > scale && scale >= 0
               ? misfit(c, c->text, c->len, "the number has more digits behind the point")
               : give(c, c->text, c->len);
}

static int
real(struct context *c)
{
    char digits[400];
    if (c->len >= sizeof digits)
        return give(c, c->text, c->len);
    memcpy(digits, c->text, c->len);
    digits[c->len] = '\0';
    double number = strtod(digits, NULL);
    bool finite = number == number && number < 1e308 && number > -1e308;
    if (!finite || (number <= 3.4028235677973366e38 && number >= -3.4028235677973366e38))
        return give(c, c->text, c->len);
    const char *most = number > 0 ? "3.4028235e38" : "-3.4028235e38";
    return misfit(c, most, strlen(most), "the number is out of range");
}

static int
boolean(struct context *c)
{
    if (c->source->logical == TR_BIT)
        read_bits(c);
    if (c->len == 1 && (c->text[0] == '0' || c->text[0] == '1'))
        return give(c, c->text[0] == '1' ? "t" : "f", 1);
    return misfit(c, "t", 1, "the number is neither 0 nor 1");
}

/* ------------------------------------------------------------------------------------------- dates and times */

static int
two_digits(const char *p)
{
    return isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

static void
put_digits(char *to, int number)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
}

static int
days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "YYYY-MM-DD" that the calendar has? If not, the nearest day goes into `day`. Other spellings (infinity, BC) are PostgreSQL's own. */
static bool
is_day(const char *text, size_t len, char day[11])
{
    memcpy(day, "0001-01-01", 11);
    if (len < 10 || text[4] != '-' || text[7] != '-')
        return true;
    int high = two_digits(text), low = two_digits(text + 2), month = two_digits(text + 5),
        date = two_digits(text + 8);
    if (high < 0 || low < 0 || month < 0 || date < 0)
        return true;
    int year = high * 100 + low;
    if (year >= 1 && month >= 1 && month <= 12 && date >= 1 && date <= days_of(year, month))
        return true;
    if (year > 0) {
        month = month < 1 ? 1 : month > 12 ? 12 : month;
        int last = days_of(year, month);
        date = date < 1 ? 1 : date > last ? last : date;
        memcpy(day, text, 5);
        put_digits(day + 5, month);
        put_digits(day + 8, date);
    }
    return false;
}

/* Length without the digits of a fraction that the target lacks; *lost when they are not zeros. */
static size_t
cut_fraction(const char *text, size_t len, int scale, bool *lost)
{
    const char *point = memchr(text, '.', len);
    size_t at = point != NULL ? (size_t)(point - text) : len, digits = 0;
    *lost = false;
    while (point != NULL && at + 1 + digits < len && isdigit((unsigned char)point[1 + digits]))
        digits++;
    for (size_t i = (size_t)scale; i < digits; i++)
        *lost = *lost || point[1 + i] != '0';
    return digits > (size_t)scale ? at + (scale > 0 ? (size_t)scale + 1 : 0) : len;
}

static int
date(struct context *c)
{
    char day[11];
    if (!is_day(c->text, c->len, day)) {
        tr_buffer_reset(&c->values->converted);
        tr_buffer_add(&c->values->converted, day, 10);
        return misfit_converted(c, "there is no such day");
    }
    bool timed = c->len > 10 && c->text[4] == '-' && c->text[10] == ' ',
         before = timed && c->text[c->len - 1] == 'C', lost = false;
    if (timed)
        cut_fraction(c->text, c->len, 0, &lost);
    if (timed && c->len > (before ? 13 : 10) && (lost || strncmp(c->text + 10, " 00:00:00", 9) != 0))
        return misfit(c, c->text, 10, "it has a time of day");
    return give(c, c->text, timed && !before ? 10 : c->len);
}

static int
timestamp(struct context *c)
{
    char day[11];
    bool lost;
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    if (!is_day(c->text, c->len, day)) {
        tr_buffer_printf(out, "%s", day);
        if (memcmp(day, "0001-01-01", 10) != 0 && c->len > 10)
            tr_buffer_add(out, c->text + 10, c->len - 10);
        else
            tr_buffer_text(out, c->fit->zone ? " 00:00:00+00" : " 00:00:00");
        return misfit_converted(c, "there is no such day");
    }
    size_t zone = c->len > 3 && memcmp(c->text + c->len - 3, "+00", 3) == 0 ? 3 : 0;
    size_t keep = cut_fraction(c->text, c->len - zone, c->fit->scale, &lost);
    if (!lost)
        return give(c, c->text, c->len);
    tr_buffer_add(out, c->text, keep);
    tr_buffer_text(out, zone > 0 ? "+00" : "");
    return misfit_converted(c, "the time has more digits of a second");
}

static int
time_of_day(struct context *c)
{
    bool lost;
    bool negative = c->len > 0 && c->text[0] == '-';
    const char *colon = memchr(c->text, ':', c->len);
    size_t hours = colon != NULL ? (size_t)(colon - c->text) : 0;
    bool above = hours > 2 || (hours == 2 && memcmp(c->text, "24", 2) >= 0 &&
                               !(c->len == 8 && memcmp(c->text, "24:00:00", 8) == 0));
    if (negative)
        return misfit(c, "00:00:00", 8, "the time is below 0");
    if (above)
        return misfit(c, "24:00:00", 8, "the time is above 24 hours");
    size_t keep = cut_fraction(c->text, c->len, c->fit->scale, &lost);
    return lost ? misfit(c, c->text, keep, "the time has more digits of a second") : give(c, c->text, keep);
}

/* ------------------------------------------------------------------------------------------- texts */

/* Bytes of the first n characters, or len when there are no more. */
static size_t
bytes_of_characters(const char *text, size_t len, int64_t n)
{
    for (size_t at = 0; at < len; at++)
        if (((unsigned char)text[at] & 0xc0) != 0x80 && n-- == 0)
            return at;
    return len;
}

static int
characters(struct context *c)
{
    struct tr_buffer *out = &c->values->converted;
    const char *text = c->text;
    size_t len = c->len;
    const char *why = NULL;
    if (memchr(text, '\0', len) != NULL) {
        tr_buffer_reset(out);
        for (size_t i = 0; i < len; i++)
            if (text[i] != '\0')
                tr_buffer_byte(out, text[i]);
        text = out->len > 0 ? out->data : "";
        len = out->len;
        why = "a text with a byte of 0 has no form there";
    }
    if (c->fit->length >= 0 && (int64_t)len > c->fit->length) {
        size_t fits = bytes_of_characters(text, len, c->fit->length);
        bool blanks = true; /* at the end they are cut by the server too, by the standard */
        for (size_t i = fits; i < len && blanks; i++)
            blanks = text[i] == ' ';
        if (fits < len && !blanks)
            why = "the text is longer";
        len = fits;
    }
    return why != NULL ? misfit(c, text, len, why) : give(c, text, len);
}

/* \u0000 in a string of the document, and not \\u0000. */
static int
jsonb(struct context *c)
{
    const char *at = c->text, *end = c->text + c->len;
    while ((at = memmem(at, (size_t)(end - at), "\\u0000", 6)) != NULL) {
        size_t before = 0;
        while (at - before > c->text && at[-(ptrdiff_t)before - 1] == '\\')
            before++;
        if (before % 2 == 0)
            return misfit(c, NULL, 0, "a text with a byte of 0 has no form there");
        at += 6;
    }
    return give(c, c->text, c->len);
}

static int
label(struct context *c)
{
    bool known = c->len > 0;
    for (uint32_t i = 0; i < c->source->nlabels && !known; i++)
        known = c->source->labels[i][0] == '\0';
    return known ? give(c, c->text, c->len) : misfit(c, NULL, 0, "it is none of the labels");
}

/* 'a,b' as {"a","b"}: labels of a set hold no commas. */
static int
labels(struct context *c)
{
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    tr_buffer_text(out, c->len > 0 ? "{\"" : "{");
    for (size_t i = 0; i < c->len; i++) {
        if (c->text[i] == ',') {
            tr_buffer_text(out, "\",\"");
            continue;
        }
        if (c->text[i] == '"' || c->text[i] == '\\')
            tr_buffer_byte(out, '\\');
        tr_buffer_byte(out, c->text[i]);
    }
    tr_buffer_text(out, c->len > 0 ? "\"}" : "}");
    return give_converted(c);
}

/* ------------------------------------------------------------------------------------------- bytes and bits */

static int
bits(struct context *c)
{
    size_t length = (size_t)c->fit->length, skip = 0;
    struct tr_buffer *out = &c->values->converted;
    while (c->len - skip > length && c->text[skip] == '0')
        skip++;
    tr_buffer_reset(out);
    if (c->len - skip > length) {
        for (size_t i = 0; i < length; i++)
            tr_buffer_byte(out, '1');
        return misfit_converted(c, "it has more bits");
    }
    for (size_t i = c->len - skip; i < length; i++)
        tr_buffer_byte(out, '0');
    tr_buffer_add(out, c->text + skip, c->len - skip);
    return give_converted(c);
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x" and 32 digits. */
static int
uuid(struct context *c)
{
    struct tr_buffer *out = &c->values->converted;
    if (c->len != 34)
        return misfit(c, NULL, 0, "a uuid has 16 bytes");
    tr_buffer_reset(out);
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            tr_buffer_byte(out, '-');
        tr_buffer_byte(out, c->text[i + 2]);
    }
    return give_converted(c);
}

/* MySQL keeps the SRID in front of the standard's form (WKB); PostGIS keeps it inside, marked in the type. Both have the longitude first. */
static int
geometry(struct context *c)
{
    struct tr_buffer *out = &c->values->converted;
    const char *hex = c->text + 2;
    size_t digits = c->len - 2;
    bool bytes = c->fit->kind == TR_PG_FIT_GEOMETRY_BYTES;
    tr_buffer_reset(out);
    tr_buffer_text(out, bytes ? "\\x" : "");
    if (digits < 26 || hex_digit(hex[9]) != 1) /* SRID, byte order, type, number of parts */
        return misfit(c, NULL, 0, "it is no geometry");
    if (memcmp(hex, "00000000", 8) == 0) {
        tr_buffer_add(out, hex + 8, digits - 8);
        return give_converted(c);
    }
    tr_buffer_add(out, hex + 8, 2 + 6); /* byte order, three bytes of the type */
    tr_buffer_text(out, "20");          /* "an SRID follows" */
    tr_buffer_add(out, hex, 8);
    tr_buffer_add(out, hex + 18, digits - 18);
    return give_converted(c);
}

/* ------------------------------------------------------------------------------------------- one value */

int
tr_pg_fit_value(struct tr_pg_values *values, const struct tr_pg_fit *fit, const struct tr_relation *relation,
                const struct tr_column *source, const struct tr_value *value, struct tr_value *out,
                struct tr_error *err)
{
    struct context c = { values, fit, source, value->data, value->len, out, err };
    if (value->codec == TR_CODEC_RAW && fit->kind != TR_PG_FIT_TEXT) {
        tr_buffer_reset(&values->canonical);
        tr_buffer_text(&values->canonical, "\\x");
        tr_buffer_hex(&values->canonical, value->data, value->len);
        c.text = values->canonical.data;
        c.len = values->canonical.len;
    } else if (value->codec != TR_CODEC_TEXT && value->codec != TR_CODEC_RAW) {
        int rc = tr_value_text(relation, source, value, &values->canonical, &c.text, &c.len, err);
        if (rc < 0)
            return rc;
    }
    switch (fit->kind) {
    case TR_PG_FIT_TEXT: return characters(&c);
    case TR_PG_FIT_INTEGER: return integer(&c);
    case TR_PG_FIT_NUMERIC: return numeric(&c);
    case TR_PG_FIT_REAL: return real(&c);
    case TR_PG_FIT_BOOL: return boolean(&c);
    case TR_PG_FIT_DATE: return date(&c);
    case TR_PG_FIT_TIMESTAMP: return timestamp(&c);
    case TR_PG_FIT_TIME: return time_of_day(&c);
    case TR_PG_FIT_JSONB: return jsonb(&c);
    case TR_PG_FIT_UUID: return uuid(&c);
    case TR_PG_FIT_BIT: return bits(&c);
    case TR_PG_FIT_ENUM: return label(&c);
    case TR_PG_FIT_LABELS: return labels(&c);
    case TR_PG_FIT_GEOMETRY:
    case TR_PG_FIT_GEOMETRY_BYTES: return geometry(&c);
    case TR_PG_FIT_NONE: break;
    }
    return give(&c, c.text, c.len);
}
