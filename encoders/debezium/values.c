/* values.c - the JSON of each scalar type, from its canonical text. One table says which function renders which logical type. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "encoders/common/decimal.h"
#include "encoders/debezium/internal.h"
#include "encoders/debezium/put.h"
#include "encoders/common/temporal.h"
#include "encoders/common/write.h"

static bool
is_integer(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-';
    if (i == len || len > 20)
        return false;
    for (; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* Digits as they stand; in Avro the number that they are, which must fit 64 bits. */
static bool
put_digits(const struct renderer *r, const char *text, size_t len, struct tr_buffer *out)
{
    if (!r->avro) {
        tr_buffer_add(out, text, len);
        return true;
    }
    uint64_t number = 0;
    bool negative = *text == '-';
    size_t i = negative;
    for (; i < len && i < 18; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    for (; i < len; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return false;
    }
    if (number > (uint64_t)INT64_MAX + negative)
        return false;
    avro_long(out, (int64_t)(negative ? 0 - number : number));
    return true;
}

RENDER(render_integer)
{
    if (!is_integer(text, len))
        return false;
    const char *digits = text + (text[0] == '-');
    bool padded = digits[0] == '0' && digits + 1 < text + len; /* JSON knows no leading zeros */
    return !padded && put_digits(r, text, len, out);
}

/* Four digits in MySQL's text, 0000 included. */
RENDER(render_year)
{
    if (!is_integer(text, len))
        return false;
    for (; len > 1 && *text == '0'; text++, len--)
        ;
    return put_digits(r, text, len, out);
}

/* Above 2^63 the reader's long wraps: what consumers of Debezium see unless they ask for precise. */
RENDER(render_wrapped)
{
    if (!is_integer(text, len) || text[0] == '-')
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    put_int(r, out, (int64_t)number);
    return true;
}

RENDER(render_bool)
{
    bool yes = len == 1 && (text[0] == 't' || text[0] == '1');
    if (!yes && !(len == 1 && (text[0] == 'f' || text[0] == '0')))
        return false;
    if (r->avro)
        tr_buffer_byte(out, yes);
    else if (yes)
        json_literal(out, "true");
    else
        json_literal(out, "false");
    return true;
}

bool
render_string(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    (void)plan;
    put_string(r, out, text, len);
    return true;
}

/* ------------------------------------------------------------------------------------- numbers */

/* What a server prints of a floating-point number, of a length that a copy of it on the stack may have. */
static bool
is_number_text(const char *text, size_t len, bool *whole)
{
    *whole = len > 0 && memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL &&
             memchr(text, 'E', len) == NULL;
    return len <= 400 && tr_text_is_number(text, len);
}

/* out NULL: is it one? */
static bool
special_number(const char *text, size_t len, struct tr_buffer *out)
{
    static const char *const names[] = { "\"NaN\"", "\"Infinity\"", "\"-Infinity\"" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = strlen(names[i]);
        if (len != length - 2 || memcmp(text, names[i] + 1, len) != 0)
            continue;
        if (out != NULL)
            tr_buffer_add(out, names[i], length);
        return true;
    }
    return false;
}

static bool
avro_number(const char *text, size_t len, int width, struct tr_buffer *out)
{
    char digits[401], *end; /* is_number_text's limit */
    memcpy(digits, text, len);
    digits[len] = '\0';
    /* Each width from the text, for rounding twice is not rounding once. */
    if (width == 4)
        avro_float(out, strtof(digits, &end));
    else
        avro_double(out, strtod(digits, &end));
    return *end == '\0';
}

/* JSON: copied digit for digit; a whole number gets ".0", so that a reader without a schema sees a float in every row. */
bool
put_number(struct renderer *r, const char *text, size_t len, int width, struct tr_buffer *out)
{
    bool whole, number = is_number_text(text, len, &whole);
    if (r->avro)
        return (number || (len < 10 && special_number(text, len, NULL))) &&
               avro_number(text, len, width, out);
    if (!number)
        return special_number(text, len, out);
    tr_buffer_add(out, text, len);
    if (whole)
        json_literal(out, ".0");
    return true;
}

/* As few digits as give the number back. */
void
put_double(struct renderer *r, struct tr_buffer *out, double number)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (isnan(number))
        strcpy(text, "NaN");
    else if (isinf(number))
        strcpy(text, number > 0 ? "Infinity" : "-Infinity");
    put_number(r, text, strlen(text), 8, out);
}

bool
render_float(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
             struct tr_buffer *out)
{
    return put_number(r, text, len, plan->float_width, out);
}

static bool
is_special(const char *text, size_t len)
{
    return len > 0 && (text[len - 1] == 'N' || text[len - 1] == 'y');
}

RENDER(render_decimal)
{
    struct decimal decimal;
    if (!decimal_parse(text, len, &decimal)) {
        put_null(r, out); /* no such number in a Decimal; docs/events.md */
        return is_special(text, len);
    }
    tr_buffer_reset(&r->bytes);
    if (!decimal_unscaled(&decimal, (size_t)plan->scale, &r->bytes))
        return false;
    put_bytes(r, out, r->bytes.data, r->bytes.len);
    return true;
}

RENDER(render_variable_decimal)
{
    struct decimal decimal;
    if (!decimal_parse(text, len, &decimal)) {
        put_null(r, out);
        return is_special(text, len);
    }
    decimal_strip(&decimal);
    tr_buffer_reset(&r->bytes);
    decimal_unscaled(&decimal, decimal.scale, &r->bytes);
    put_syntax(r, out, "{\"scale\":");
    put_int(r, out, (int64_t)decimal.scale);
    put_syntax(r, out, ",\"value\":");
    put_bytes(r, out, r->bytes.data, r->bytes.len);
    put_syntax(r, out, "}");
    return true;
}

RENDER(render_decimal_string)
{
    if (is_special(text, len)) {
        const char *name = text[len - 1] == 'N' ? "NAN"
                           : text[0] == '-'     ? "NEGATIVE_INFINITY"
                                                : "POSITIVE_INFINITY";
        put_string(r, out, name, strlen(name));
        return true;
    }
    put_string(r, out, text, len);
    return true;
}

/* A numeric has up to 147,000 digits. What passes a double is infinite, as for Java's BigDecimal. */
#define DOUBLE_DIGITS 300

RENDER(render_decimal_double)
{
    struct decimal decimal;
    if (len <= DOUBLE_DIGITS)
        return render_float(r, plan, text, len, out);
    if (!decimal_parse(text, len, &decimal))
        return false;
    tr_buffer_reset(&r->bytes);
    tr_buffer_add(&r->bytes, text, len);
    tr_buffer_byte(&r->bytes, '\0');
    put_double(r, out, strtod(r->bytes.data, NULL));
    return !r->bytes.overflow;
}

struct money {
    bool negative;
    uint64_t number; /* without its point */
    int scale;
};

/*
 * "$1,234.56", "-$1.00", "($1.00)", "1.234,56 EUR": what stands behind the last point or comma between digits is the fraction, except
 * three digits, which are a group of thousands unless so many are asked for.
 */
static bool
parse_money(const char *text, size_t len, int digits, struct money *money)
{
    int behind = -1, ndigits = 0; /* digits behind the last separator; all of them */
    *money = (struct money){ memchr(text, '-', len) != NULL || memchr(text, '(', len) != NULL, 0, 0 };
    for (size_t i = 0; i < len; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (digit) {
            ndigits++;
            behind += behind >= 0;
            if (__builtin_mul_overflow(money->number, 10, &money->number) ||
                __builtin_add_overflow(money->number, (uint64_t)(text[i] - '0'), &money->number))
                return false;
        } else if ((text[i] == '.' || text[i] == ',') && ndigits > 0 && i + 1 < len && text[i + 1] >= '0' &&
                   text[i + 1] <= '9') {
            behind = 0;
        }
    }
    if (behind > 0 && (behind != 3 || digits == 3))
        money->scale = behind;
    return ndigits > 0;
}

/* To fewer digits, halves away from zero. */
static void
round_money(struct money *money, int digits)
{
    uint64_t factor = 1;
    for (; money->scale > digits; money->scale--)
        factor *= 10;
    money->number = money->number / factor + (money->number % factor >= (factor + 1) / 2 && factor > 1);
}

RENDER(render_money)
{
    char number[96];
    struct tr_buffer plain = { .data = number, .cap = sizeof(number), .max = sizeof(number) };
    struct money money;
    struct decimal decimal;
    if (len > 64 || !parse_money(text, len, r->modes.money_digits, &money) || money.scale > 18)
        return false;
    if (r->modes.decimal == DECIMAL_PRECISE)
        round_money(&money, r->modes.money_digits);
    uint64_t unit = 1;
    for (int i = 0; i < money.scale; i++)
        unit *= 10;
    tr_buffer_printf(&plain, "%s%llu", money.negative ? "-" : "", (unsigned long long)(money.number / unit));
    if (money.scale > 0)
        tr_buffer_printf(&plain, ".%0*llu", money.scale, (unsigned long long)(money.number % unit));
    if (r->modes.decimal == DECIMAL_STRING)
        return render_string(r, plan, number, plain.len, out);
    if (r->modes.decimal == DECIMAL_DOUBLE)
        return render_float(r, plan, number, plain.len, out);
    tr_buffer_reset(&r->bytes);
    if (!decimal_parse(number, plain.len, &decimal) ||
        !decimal_unscaled(&decimal, (size_t)r->modes.money_digits, &r->bytes))
        return false;
    put_bytes(r, out, r->bytes.data, r->bytes.len);
    return true;
}

/* --------------------------------------------------------------------------------------- bytes */

void
value_bytes(struct renderer *r, const void *bytes, size_t len, struct tr_buffer *out)
{
    if (r->modes.binary == BINARY_BYTES) {
        put_bytes(r, out, bytes, len);
        return;
    }
    size_t begin = put_string_begin(r, out);
    if (r->modes.binary == BINARY_HEX)
        tr_buffer_hex(out, bytes, len);
    else
        tr_base64_add(out, bytes, len, r->modes.binary == BINARY_BASE64_URL);
    put_string_end(r, out, begin);
}

RENDER(render_bytes)
{
    if (len < 2 || text[0] != '\\' || text[1] != 'x')
        return false;
    tr_buffer_reset(&r->bytes);
    if (!json_unhex(&r->bytes, text + 2, len - 2))
        return false;
    value_bytes(r, r->bytes.data, r->bytes.len, out);
    return true;
}

/* The text of a type that has no form of its own, as bytes. */
RENDER(render_text_bytes)
{
    value_bytes(r, text, len, out);
    return true;
}

RENDER(render_bit_bool)
{
    if (len == 0) { /* an empty varbit(1) */
        put_null(r, out);
        return true;
    }
    return render_bool(r, plan, text, len, out);
}

/* Least significant byte first; PostgreSQL's are cut behind the highest bit that is set. */
RENDER(render_bits)
{
    size_t nbytes = (len + 7) / 8;
    tr_buffer_reset(&r->bytes);
    char *bytes = tr_buffer_reserve(&r->bytes, nbytes);
    if (bytes == NULL)
        return false;
    memset(bytes, 0, nbytes);
    for (size_t i = 0; i < len; i++) {
        if (text[len - 1 - i] == '1')
            bytes[i / 8] = (char)(bytes[i / 8] | 1 << i % 8);
        else if (text[len - 1 - i] != '0')
            return false;
    }
    if (!r->modes.mysql)
        while (nbytes > 0 && bytes[nbytes - 1] == 0)
            nbytes--;
    put_bytes(r, out, bytes, nbytes);
    return true;
}

/* MySQL's own text has a space behind each comma and colon; its consumers know JSON without, as the log's binary form is printed. */
RENDER(render_compact_json)
{
    bool inside = false;
    tr_buffer_reset(&r->object);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            inside = !inside;
        if (inside && text[i] == '\\' && i + 1 < len)
            tr_buffer_byte(&r->object, text[i++]);
        if (inside || text[i] != ' ')
            tr_buffer_byte(&r->object, text[i]);
    }
    put_string(r, out, r->object.len > 0 ? r->object.data : "", r->object.len);
    return !r->object.overflow;
}

/* -------------------------------------------------------------------------------------- choice */

/* What does not depend on a mode. NULL: see value_renderer. */
static const render_fn plain[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = render_bool,         [TR_INT8] = render_integer,       [TR_UINT8] = render_integer,
    [TR_INT16] = render_integer,     [TR_UINT16] = render_integer,     [TR_INT24] = render_integer,
    [TR_UINT24] = render_integer,    [TR_INT32] = render_integer,      [TR_UINT32] = render_integer,
    [TR_INT64] = render_integer,     [TR_FLOAT32] = render_float,      [TR_FLOAT64] = render_float,
    [TR_MONEY] = render_money,       [TR_CHAR] = render_string,        [TR_TEXT] = render_string,
    [TR_BYTES] = render_bytes,       [TR_YEAR] = render_year,          [TR_UUID] = render_string,
    [TR_JSON] = render_string,       [TR_JSONB] = render_string,       [TR_XML] = render_string,
    [TR_ENUM] = render_string,       [TR_SET] = render_string,         [TR_INET] = render_string,
    [TR_CIDR] = render_string,       [TR_MACADDR] = render_string,     [TR_OID] = render_integer,
    [TR_ARRAY] = render_array,       [TR_RANGE] = render_string,       [TR_HSTORE] = render_hstore,
    [TR_LTREE] = render_string,      [TR_TSVECTOR] = render_string,    [TR_POINT] = render_point,
    [TR_GEOMETRY] = render_geometry, [TR_GEOGRAPHY] = render_geometry, [TR_VECTOR] = render_vector,
};

/* Types that the log knows only by name, and that everybody reads as text. */
static bool
is_text_type(const char *type_name)
{
    static const char *const names[] = { "char",   "citext", "name",   "macaddr8", "isbn",
                                         "isbn13", "ismn",   "ismn13", "issn",     "issn13",
                                         "ean13",  "upc",    "bpchar", "refcursor" };
    for (size_t i = 0; type_name != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], type_name) == 0)
            return true;
    return false;
}

static render_fn
decimal_renderer(const struct value_modes *modes, const struct tr_column *column)
{
    if (modes->decimal == DECIMAL_STRING)
        return render_decimal_string;
    if (modes->decimal == DECIMAL_DOUBLE)
        return render_decimal_double;
    return column->precision > 0 ? render_decimal : render_variable_decimal;
}

static render_fn
unknown_renderer(const struct value_modes *modes, const char *type_name)
{
    if (is_text_type(type_name) || modes->unknown == UNKNOWN_TEXT)
        return render_string;
    return modes->unknown == UNKNOWN_BYTES ? render_text_bytes : NULL;
}

render_fn
value_renderer(const struct value_modes *modes, const struct tr_column *column, enum tr_logical logical,
               const char *type_name)
{
    switch (logical) {
    case TR_UINT64: return modes->unsigned_precise ? render_decimal : render_wrapped;
    case TR_DECIMAL: return decimal_renderer(modes, column);
    case TR_BIT:
    case TR_VARBIT: return column->length == 1 ? render_bit_bool : render_bits;
    case TR_DATE:
    case TR_TIME:
    case TR_TIMETZ:
    case TR_TIMESTAMP:
    case TR_TIMESTAMPTZ:
    case TR_INTERVAL: return temporal_renderer(modes, column, logical);
    case TR_JSON: return modes->raw_defaults ? render_compact_json : render_string;
    case TR_VECTOR:
        return type_name != NULL && strcmp(type_name, "sparsevec") == 0 ? render_sparsevec : render_vector;
    case TR_OTHER:
    case TR_COMPOSITE:
    case TR_MULTIRANGE: return unknown_renderer(modes, type_name);
    default: return plain[logical];
    }
}
