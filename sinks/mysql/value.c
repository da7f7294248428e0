/* value.c - values as the target takes them: SQL literals and fields of LOAD DATA; what a column cannot hold is found here, not by the server's silence. */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "sinks/mysql/apply.h"
#include "sinks/mysql/numeral.h"

#define LOW_DATE "0001-01-01"
#define HIGH_DATE "9999-12-31"
#define FIRST_YEAR 1901 /* but 0; the server takes 1 to 99 for 1970 to 2069 */
#define FIRST_TIMESTAMP "1970-01-01 00:00:01"

enum form { FORM_NULL, FORM_BARE, FORM_TEXT, FORM_BINARY, FORM_BITS };

struct cell {
    enum form form;
    const char *data;
    size_t len;
};

struct context {
    struct tr_my_values *values;
    const struct tr_my_map *map;
    const struct tr_column *source;
    const struct tr_my_column *target;
    struct tr_error *err;
    const char *text; /* the value, for messages */
    size_t len;
};

void
tr_my_values_init(struct tr_my_values *values, enum tr_my_value_policy policy)
{
    *values = (struct tr_my_values){ .policy = policy };
    tr_buffer_init(&values->canonical, TR_BUFFER_MAX);
    tr_buffer_init(&values->converted, TR_BUFFER_MAX);
}

void
tr_my_values_fini(struct tr_my_values *values)
{
    tr_buffer_fini(&values->canonical);
    tr_buffer_fini(&values->converted);
}

static int
give(struct cell *cell, enum form form, const char *data, size_t len)
{
    *cell = (struct cell){ form, data, len };
    return 0;
}

/* The target's column cannot hold the value: by the policy. clamp: the nearest value, or NULL when there is none. */
static int
misfit(struct context *c, struct cell *cell, enum form form, const char *clamp, size_t len, const char *why)
{
    enum tr_my_value_policy policy = c->values->policy;
    bool stored = policy == TR_MY_VALUE_CLAMP && clamp != NULL;
    bool nulled = !stored && policy != TR_MY_VALUE_STOP && !c->target->not_null;
    c->values->misfits += stored || nulled;
    if (stored)
        return give(cell, form, clamp, len);
    if (nulled)
        return give(cell, FORM_NULL, NULL, 0);
    /* The row is named by its key; the value itself stays out of logs. */
    tr_fail(c->err, TR_CONFLICT, "column %s: %s (%zu %s, %s at the source, %s at the target)",
            c->source->name, why, c->len, c->len == 1 ? "byte" : "bytes",
            c->source->native != NULL ? c->source->native : tr_logical_name(c->source->logical),
            c->target->type);
    tr_error_hint(
        c->err, "widen the target's column, mend the value at the source, or set on_value to clamp or null");
    return -TR_CONFLICT;
}

/* ------------------------------------------------------------------------------------------- numbers */

/* "1.50" and "1e3" as the nearest whole number, into `converted`. */
static bool
write_whole(struct context *c, const char *text, size_t len, bool *fraction)
{
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    if (!tr_text_plain_number(text, len, out))
        return false;
    *fraction = tr_my_fraction_digits(out->data, out->len) > 0;
    tr_text_round_number(out, 0);
    return true;
}

static int
integer_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    char number[32], *end;
    if (c->source->logical == TR_BOOL && len == 1 && (text[0] == 't' || text[0] == 'f'))
        return give(cell, FORM_BARE, text[0] == 't' ? "1" : "0", 1);
    if (!tr_my_is_numeral(text, len))
        return misfit(c, cell, FORM_BARE, NULL, 0, "the value is not a whole number");
    bool fraction = false;
    if (memchr(text, '.', len) != NULL || memchr(text, 'e', len) != NULL) {
        if (!write_whole(c, text, len, &fraction))
            return misfit(c, cell, FORM_BARE, NULL, 0, "the value is not a whole number");
        text = c->values->converted.data;
        len = c->values->converted.len;
    }
    bool negative = text[0] == '-', longer = len >= sizeof number;
    memcpy(number, text, longer ? sizeof number - 1 : len);
    number[longer ? sizeof number - 1 : len] = '\0';
    errno = 0;
    unsigned long long magnitude = strtoull(number + negative, &end, 10);
    bool low = negative &&
               (errno != 0 || magnitude > (unsigned long long)INT64_MAX + 1 ||
                -(int64_t)(magnitude - 1) - 1 < c->target->minimum) &&
               magnitude > 0;
    bool high = !negative && (errno != 0 || magnitude > c->target->maximum);
    if (!low && !high && c->target->year && magnitude > 0 && magnitude < FIRST_YEAR)
        return misfit(c, cell, FORM_BARE, "1901", 4, "the year is out of range");
    if (!low && !high)
        return fraction ? misfit(c, cell, FORM_BARE, text, len, "the number has a fraction")
                        : give(cell, FORM_BARE, text, len);
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    if (low)
        tr_buffer_int(out, c->target->minimum);
    else
        tr_buffer_uint(out, c->target->maximum);
    return misfit(c, cell, FORM_BARE, out->data, out->len, "the number is out of range");
}

/* Rounded here: LOAD DATA warns of digits that the server rounds away, and warnings are errors. */
static int
more_digits(struct context *c, const char *text, size_t len, struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    int precision = c->target->precision, scale = c->target->scale;
    if (text != out->data) {
        tr_buffer_reset(out);
        tr_buffer_add(out, text, len);
    }
    tr_text_round_number(out, scale);
    if (tr_my_whole_digits(out->data, out->len) > (size_t)(precision - scale))
        tr_my_nines(out, out->data[0] == '-', precision, scale);
    return misfit(c, cell, FORM_BARE, out->data, out->len, "the number has more digits behind the point");
}

static int
decimal_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    if (c->source->logical == TR_BOOL)
        return integer_cell(c, text, len, cell);
    if (c->source->logical == TR_MONEY) {
        tr_my_plain_money(text, len, &c->values->converted);
        text = c->values->converted.data;
        len = c->values->converted.len;
    }
    int precision = c->target->precision, scale = c->target->scale;
    bool infinite = tr_my_is_not_finite(text, len);
    if (infinite && text[0] == 'N')
        return misfit(c, cell, FORM_NULL, NULL, 0, "NaN has no form there");
    if (!infinite && memchr(text, 'e', len) != NULL) { /* of it the server cuts off digits without a word */
        tr_buffer_reset(&c->values->converted);
        if (!tr_text_plain_number(text, len, &c->values->converted))
            return give(cell, FORM_TEXT, text, len);
        text = c->values->converted.data;
        len = c->values->converted.len;
    }
    if (!infinite && !tr_my_is_numeral(text, len))
        return give(cell, FORM_TEXT, text, len); /* the server reads it, in strict mode */
    if (infinite || tr_my_whole_digits(text, len) > (size_t)(precision - scale)) {
        char negative = text[0];
        tr_my_nines(&c->values->converted, negative == '-', precision, scale);
        return misfit(c, cell, FORM_BARE, c->values->converted.data, c->values->converted.len,
                      "the number is out of range");
    }
    if (tr_my_fraction_digits(text, len) > (size_t)scale)
        return more_digits(c, text, len, cell);
    return give(cell, FORM_BARE, text, len);
}

/* 0 when a FLOAT holds it; 1 when only its digits are beyond: the largest one is printed as 3.4028235e+38, which the server reads as a larger number; 2 = it is beyond. */
static int
beyond_single(const char *text, size_t len)
{
    char copy[400];
    if (len >= sizeof copy || (memchr(text, 'e', len) == NULL && len < 39))
        return len >= sizeof copy ? 2 : 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (fabs(strtod(copy, NULL)) <= FLT_MAX)
        return 0;
    return isinf(strtof(copy, NULL)) ? 2 : 1;
}

static int
float_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    static const char *const most[2][2] = { { "1.7976931348623157e308", "-1.7976931348623157e308" },
                                            { "3.40282346e38", "-3.40282346e38" } };
    if (c->source->logical == TR_BOOL)
        return integer_cell(c, text, len, cell);
    if (tr_my_is_not_finite(text, len)) {
        const char *clamp = text[0] == 'N' ? NULL : most[c->target->single][text[0] == '-'];
        return misfit(c, cell, FORM_BARE, clamp, clamp != NULL ? strlen(clamp) : 0,
                      "NaN and infinity have no form there");
    }
    int beyond = c->target->single && tr_my_is_numeral(text, len) ? beyond_single(text, len) : 0;
    const char *largest = most[1][text[0] == '-'];
    if (beyond == 2)
        return misfit(c, cell, FORM_BARE, largest, strlen(largest), "the number is out of range");
    if (beyond == 1)
        return give(cell, FORM_BARE, largest, strlen(largest));
    return give(cell, tr_my_is_numeral(text, len) ? FORM_BARE : FORM_TEXT, text, len);
}

/* A number: its text would be taken for the codes of its digits. */
static int
number_bits(struct context *c, const char *text, size_t len, struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    int64_t bits = c->target->length;
    uint64_t number = 0;
    bool whole = true, large = false;
    for (size_t i = 0; i < len && whole; i++) {
        whole = isdigit((unsigned char)text[i]);
        large = large || __builtin_mul_overflow(number, UINT64_C(10), &number) ||
                __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number);
    }
    if (!whole)
        return misfit(c, cell, FORM_NULL, NULL, 0, "the value is not a whole number of 0 or more");
    if (large || (bits >= 0 && bits < 64 && number >> bits != 0))
        return misfit(c, cell, FORM_NULL, NULL, 0, "it has more bits");
    for (int shift = 56; shift >= 0; shift -= 8)
        if (shift < bits || bits < 0)
            tr_buffer_byte(out, (char)(number >> shift & 0xff));
    return give(cell, FORM_BITS, out->data, out->len);
}

/* A string of bits as big-endian bytes, right-aligned as BIT(n) is. */
static int
bit_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    enum tr_logical logical = c->source->logical;
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    if (logical == TR_BOOL)
        return give(cell, FORM_BITS, text[0] == 't' ? "\1" : "\0", 1);
    if (tr_my_is_numeral(text, len) && logical != TR_BIT && logical != TR_VARBIT)
        return number_bits(c, text, len, cell);
    if (logical != TR_BIT && logical != TR_VARBIT)
        return give(cell, FORM_TEXT, text, len);
    if ((int64_t)len > c->target->length && c->target->length >= 0)
        return misfit(c, cell, FORM_NULL, NULL, 0, "it has more bits");
    unsigned byte = 0;
    for (size_t i = 0; i < len; i++) {
        byte = byte << 1 | (text[i] == '1');
        if ((len - i - 1) % 8 == 0) {
            tr_buffer_byte(out, (char)byte);
            byte = 0;
        }
    }
    return give(cell, FORM_BITS, out->data, out->len);
}

/* ------------------------------------------------------------------------------------------- bytes and texts */

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
unhex(const char *text, size_t len, struct tr_buffer *out)
{
    tr_buffer_reset(out);
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]), low = i + 1 < len ? hex_digit(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            return false;
        tr_buffer_byte(out, (char)(high << 4 | low));
    }
    return true;
}

static bool
is_hex(const char *text, size_t len)
{
    return len >= 2 && text[0] == '\\' && text[1] == 'x' && len % 2 == 0;
}

static int
binary_cell(struct context *c, const struct tr_value *value, const char *text, size_t len, struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    bool wide;
    if (value->codec != TR_CODEC_RAW && c->source->logical == TR_BYTES && is_hex(text, len)) {
        if (!unhex(text + 2, len - 2, out))
            return misfit(c, cell, FORM_NULL, NULL, 0, "the value is not a string of bytes");
        text = out->len > 0 ? out->data : "";
        len = out->len;
    } else if (c->source->logical == TR_UUID && c->target->length == 16 && len == 36) {
        char digits[32];
        size_t n = 0;
        for (size_t i = 0; i < len && n < sizeof digits; i++)
            if (text[i] != '-')
                digits[n++] = text[i];
        if (unhex(digits, n, out)) {
            text = out->data;
            len = out->len;
        }
    }
    wide = c->target->length >= 0 && (int64_t)len > c->target->length;
    return wide ? misfit(c, cell, FORM_BINARY, text, (size_t)c->target->length, "it has more bytes")
                : give(cell, FORM_BINARY, text, len);
}

/* Bytes of the first n characters, or len when there are no more. */
static size_t
bytes_of_characters(const char *text, size_t len, int64_t n)
{
    size_t at = 0;
    for (; at < len; at++)
        if (((unsigned char)text[at] & 0xc0) != 0x80 && n-- == 0)
            return at;
    return len;
}

/* Characters of four bytes, if there may be some. */
static bool
is_wide(const struct tr_column *source, const char *text, size_t len)
{
    if (source->charset != NULL && strncmp(source->charset, "utf8mb3", 7) == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0xf0)
            return true;
    return false;
}

static int
text_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    if (len > 0 && text[len - 1] == ' ' && c->target->type[0] != 'v') {
        size_t all = len, bare = len;
        while (bare > 0 && text[bare - 1] == ' ')
            bare--;
        /* CHAR drops blanks at the end; where a key is compared byte by byte they would still count */
        len = strncasecmp(c->target->type, "char", 4) == 0 ? bare : all;
        if (strncasecmp(c->target->type, "enum", 4) == 0 && c->source->logical != TR_CHAR)
            return misfit(c, cell, FORM_TEXT, text, bare,
                          "the target's enum has no label with a blank at its end");
    }
    if (c->target->three_bytes && is_wide(c->source, text, len))
        return misfit(c, cell, FORM_NULL, NULL, 0, "it has characters that utf8mb3 lacks");
    if (c->target->length >= 0 && (int64_t)len > c->target->length) {
        size_t fits = bytes_of_characters(text, len, c->target->length);
        bool blanks = c->source->logical == TR_CHAR; /* blanks at the end of a char(n) carry no meaning */
        for (size_t i = fits; i < len && blanks; i++)
            blanks = text[i] == ' ';
        if (fits < len && !blanks)
            return misfit(c, cell, FORM_TEXT, text, fits, "the text is longer");
        len = fits;
    }
    return give(cell, FORM_TEXT, text, len);
}

/* ------------------------------------------------------------------------------------------- dates and times */

/* Cut a fraction to the digits that the target has; *lost when that is not zeros. */
static size_t
cut_fraction(const char *text, size_t len, int scale, bool *lost)
{
    const char *point = memchr(text, '.', len);
    *lost = false;
    if (point == NULL || (int64_t)(text + len - point - 1) <= scale)
        return len;
    size_t keep = (size_t)(point - text) + (scale > 0 ? (size_t)scale + 1 : 0);
    for (const char *p = point + 1 + scale; p < text + len; p++)
        *lost = *lost || *p != '0';
    return keep;
}

/* Too early or too late for four digits of a year: -1 or 1. */
static int
beyond(const char *text, size_t len)
{
    if (len == 8 && memcmp(text, "infinity", 8) == 0)
        return 1;
    if ((len == 9 && memcmp(text, "-infinity", 9) == 0) || (len > 3 && memcmp(text + len - 3, " BC", 3) == 0))
        return -1;
    const char *hyphen = len > 0 ? memchr(text, '-', len) : NULL;
    return hyphen != NULL && hyphen - text > 4 ? 1 : 0;
}

static int
date_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    int out = beyond(text, len);
    if (out != 0)
        return misfit(c, cell, FORM_TEXT, out < 0 ? LOW_DATE : HIGH_DATE, 10, "the date is out of range");
    if (c->source->logical == TR_TIMESTAMPTZ && len > 3 && memcmp(text + len - 3, "+00", 3) == 0)
        len -= 3;
    if (len > 10 && c->source->logical != TR_DATE &&
        (memcmp(text + 10, " 00:00:00", len - 10 < 9 ? len - 10 : 9) != 0 ||
         tr_my_fraction_digits(text, len) > 0))
        return misfit(c, cell, FORM_TEXT, text, 10, "it has a time of day");
    return give(cell, FORM_TEXT, text, len < 10 ? len : 10);
}

/* A TIMESTAMP's seconds end where those of its four bytes do. The value it is to have instead, or NULL. */
static const char *
beyond_timestamp(const struct context *c, const char *text, size_t len)
{
    const char *last = c->target->last_timestamp;
    size_t n = len < strlen(FIRST_TIMESTAMP) ? len : strlen(FIRST_TIMESTAMP);
    if (last == NULL || (len >= 10 && memcmp(text, "0000-00-00", 10) == 0))
        return NULL;
    int first = memcmp(text, FIRST_TIMESTAMP, n);
    if (first < 0 || (first == 0 && n < strlen(FIRST_TIMESTAMP)))
        return FIRST_TIMESTAMP;
    return memcmp(text, last, n) > 0 ? last : NULL;
}

static int
datetime_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    bool lost;
    int out = beyond(text, len);
    if (out != 0) {
        const char *last = c->target->last_timestamp;
        const char *clamp = out < 0 ? (last != NULL ? FIRST_TIMESTAMP : LOW_DATE " 00:00:00")
                                    : (last != NULL ? last : HIGH_DATE " 23:59:59");
        return misfit(c, cell, FORM_TEXT, clamp, strlen(clamp), "the time is out of range");
    }
    if (c->source->logical == TR_TIMESTAMPTZ && len > 3 && memcmp(text + len - 3, "+00", 3) == 0)
        len -= 3;
    const char *nearest = beyond_timestamp(c, text, len);
    if (nearest != NULL)
        return misfit(c, cell, FORM_TEXT, nearest, strlen(nearest), "the time is out of range");
    size_t keep = cut_fraction(text, len, c->target->scale, &lost);
    if (lost)
        return misfit(c, cell, FORM_TEXT, text, keep, "the time has more digits of a second");
    return give(cell, FORM_TEXT, text, keep);
}

/* MySQL's TIME ends at 838:59:59, MariaDB's with that second. */
static bool
past_last_second(const char *text, size_t len)
{
    static const char last[] = "838:59:59.";
    size_t minus = len > 0 && text[0] == '-', at = minus + sizeof last - 1;
    if (len < at || memcmp(text + minus, last, sizeof last - 1) != 0)
        return false;
    while (at < len && text[at] == '0')
        at++;
    return at < len;
}

static int
time_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    bool lost;
    if (!c->target->last_second && past_last_second(text, len))
        return misfit(c, cell, FORM_TEXT, text, strcspn(text, "."), "the time is out of range");
    size_t keep = cut_fraction(text, len, c->target->scale, &lost);
    if (c->source->logical == TR_TIMETZ)
        return misfit(c, cell, FORM_NULL, NULL, 0, "a time with a zone has no form there");
    if (lost)
        return misfit(c, cell, FORM_TEXT, text, keep, "the time has more digits of a second");
    return give(cell, FORM_TEXT, text, keep);
}

/* ------------------------------------------------------------------------------------------- structures */

/* pg_type.typdelim, which the log does not tell: a comma for all types but these. */
static char
delimiter_of(const struct tr_column *column)
{
    const char *element = column->element_name != NULL ? column->element_name : "";
    if (strcmp(element, "box") == 0)
        return ';';
    return strcmp(element, "geometry") == 0 || strcmp(element, "geography") == 0 ? ':' : ',';
}

static int
json_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    tr_buffer_reset(out);
    bool known = true;
    if (c->source->logical == TR_ARRAY)
        known = tr_my_array_json(text, len, delimiter_of(c->source), c->source->element, out);
    else if (c->source->logical == TR_HSTORE)
        known = tr_my_hstore_json(text, len, out);
    else
        return give(cell, FORM_TEXT, text, len);
    if (!known)
        return misfit(c, cell, FORM_NULL, NULL, 0, "the value has no form in JSON");
    return give(cell, FORM_TEXT, out->data, out->len);
}

static int
geometry_cell(struct context *c, const struct tr_value *value, const char *text, size_t len,
              struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    if (value->codec == TR_CODEC_RAW)
        return give(cell, FORM_BINARY, text, len);
    tr_buffer_reset(out);
    bool known = c->map->from_postgresql ? tr_my_geometry(text, len, out)
                                         : is_hex(text, len) && unhex(text + 2, len - 2, out);
    if (!known)
        return misfit(c, cell, FORM_NULL, NULL, 0, "the geometry has no form there");
    return give(cell, FORM_BINARY, out->data, out->len);
}

/* "[1,-2.5]" as four bytes each, low byte first: what a server keeps. */
static int
vector_cell(struct context *c, const char *text, size_t len, struct cell *cell)
{
    struct tr_buffer *out = &c->values->converted;
    char digits[64];
    bool known = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    tr_buffer_reset(out);
    for (const char *p = text + 1, *end = text + len - 1, *next; known && p < end; p = next + 1) {
        next = memchr(p, ',', (size_t)(end - p));
        next = next != NULL ? next : end;
        known = (size_t)(next - p) < sizeof digits && tr_my_is_numeral(p, (size_t)(next - p));
        if (!known)
            break;
        memcpy(digits, p, (size_t)(next - p));
        digits[next - p] = '\0';
        float number = strtof(digits, NULL);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        for (int i = 0; i < 4; i++)
            tr_buffer_byte(out, (char)(bits >> (8 * i) & 0xff));
    }
    if (!known)
        return misfit(c, cell, FORM_NULL, NULL, 0, "the value is no vector");
    return c->target->length >= 0 && (int64_t)out->len > c->target->length
               ? misfit(c, cell, FORM_NULL, NULL, 0, "it has more dimensions")
               : give(cell, FORM_BINARY, out->data, out->len);
}

/* The server would take it for an order to count, or for the time of now. */
static int
refuse_null(struct context *c)
{
    tr_fail(c->err, TR_CONFLICT, "column %s: it is NULL, and the target's column is %s NOT NULL",
            c->source->name, c->target->type);
    tr_error_hint(c->err,
                  "let the target's column be NULL, too (ALTER TABLE %s MODIFY ... NULL), and start again",
                  c->map->label);
    return -TR_CONFLICT;
}

static int
cell_of(struct context *c, const struct tr_value *value, struct cell *cell)
{
    const char *text = value->data;
    size_t len = value->len;
    if (value->state == TR_NULL && c->target->fills_null)
        return refuse_null(c);
    if (value->state == TR_NULL)
        return give(cell, FORM_NULL, NULL, 0);
    if (value->codec != TR_CODEC_TEXT && value->codec != TR_CODEC_RAW) {
        int rc = tr_value_text(c->map->relation, c->source, value, &c->values->canonical, &text, &len,
                               c->err);
        if (rc < 0)
            return rc;
    }
    c->text = text;
    c->len = len;
    if (value->codec == TR_CODEC_RAW && c->target->kind != TR_MY_GEOMETRY && c->source->logical == TR_BYTES)
        return binary_cell(c, value, text, len, cell);
    switch (c->target->kind) {
    case TR_MY_INTEGER: return integer_cell(c, text, len, cell);
    case TR_MY_DECIMAL: return decimal_cell(c, text, len, cell);
    case TR_MY_FLOAT: return float_cell(c, text, len, cell);
    case TR_MY_BIT: return bit_cell(c, text, len, cell);
    case TR_MY_BINARY: return binary_cell(c, value, text, len, cell);
    case TR_MY_DATE: return date_cell(c, text, len, cell);
    case TR_MY_TIME: return time_cell(c, text, len, cell);
    case TR_MY_DATETIME: return datetime_cell(c, text, len, cell);
    case TR_MY_JSON: return json_cell(c, text, len, cell);
    case TR_MY_GEOMETRY: return geometry_cell(c, value, text, len, cell);
    case TR_MY_VECTOR: return vector_cell(c, text, len, cell);
    case TR_MY_TEXT: return text_cell(c, text, len, cell);
    }
    return text_cell(c, text, len, cell);
}

/* ------------------------------------------------------------------------------------------- writing */

/* The escapes of LOAD DATA: what would end a field or a row, and the escape itself. */
static void
load_escape(struct tr_buffer *out, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c != '\\' && c != '\n' && c != '\t' && c != '\0')
            continue;
        tr_buffer_add(out, text + from, i - from);
        tr_buffer_byte(out, '\\');
        tr_buffer_byte(out, c == '\0' ? '0' : c);
        from = i + 1;
    }
    tr_buffer_add(out, text + from, len - from);
}

int
tr_my_value_write(struct tr_my_values *values, const struct tr_my_map *map, uint16_t column,
                  const struct tr_value *value, bool load, struct tr_buffer *out, struct tr_error *err)
{
    struct cell cell;
    struct context c = {
        values, map, &map->relation->columns[column], &map->table->columns[map->target[column]], err, NULL, 0
    };
    int rc = cell_of(&c, value, &cell);
    if (rc < 0)
        return rc;
    if (cell.form == FORM_NULL)
        tr_buffer_text(out, load ? "\\N" : "NULL");
    else if (load)
        load_escape(out, cell.data, cell.len);
    else if (cell.form == FORM_BARE)
        tr_buffer_add(out, cell.data, cell.len);
    else if (cell.form == FORM_TEXT && map->json_decimals && c.target->kind == TR_MY_JSON &&
             tr_my_json_has_decimals(cell.data, cell.len) && tr_my_json_calls(cell.data, cell.len, out))
        return 0;
    else if (cell.form == FORM_TEXT)
        tr_mysql_literal(out, cell.data, cell.len);
    else if (cell.form == FORM_BITS) {
        tr_buffer_text(out, "0x"); /* a number where one is wanted; for MariaDB x'' is a string always */
        tr_buffer_hex(out, cell.data, cell.len);
    } else {
        tr_buffer_text(out, "x'");
        tr_buffer_hex(out, cell.data, cell.len);
        tr_buffer_byte(out, '\'');
    }
    return 0;
}
