/* values.c - the JSON of each scalar type, from its canonical text. One table says which function renders which logical type. */
#include <string.h>

#include "encoders/common/decimal.h"
#include "encoders/debezium/internal.h"
#include "encoders/common/temporal.h"
#include "encoders/common/write.h"

#define RENDER(name)                                                                                       \
    static bool name(struct renderer *r __attribute__((unused)),                                           \
                     const struct column_plan *plan __attribute__((unused)), const char *text, size_t len, \
                     struct tr_buffer *out)

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

RENDER(render_integer)
{
    if (!is_integer(text, len))
        return false;
    tr_buffer_add(out, text, len);
    return true;
}

/* Four digits in MySQL's text, 0000 included: JSON knows no leading zeros. */
RENDER(render_year)
{
    if (!is_integer(text, len))
        return false;
    for (; len > 1 && *text == '0'; text++, len--)
        ;
    tr_buffer_add(out, text, len);
    return true;
}

/* Above 2^63 the reader's long wraps: what consumers of Debezium see unless they ask for precise. */
RENDER(render_wrapped)
{
    if (!is_integer(text, len) || text[0] == '-')
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    tr_buffer_int(out, (int64_t)number);
    return true;
}

RENDER(render_bool)
{
    bool yes = len == 1 && (text[0] == 't' || text[0] == '1');
    if (!yes && !(len == 1 && (text[0] == 'f' || text[0] == '0')))
        return false;
    if (yes)
        json_literal(out, "true");
    else
        json_literal(out, "false");
    return true;
}

bool
render_string(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    (void)r;
    (void)plan;
    json_string(out, text, len);
    return true;
}

/* ------------------------------------------------------------------------------------- numbers */

static bool
is_number_text(const char *text, size_t len, bool *whole)
{
    *whole = true;
    if (len == 0 || len > 400)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '.' || c == 'e' || c == 'E')
            *whole = false;
        else if ((c < '0' || c > '9') && c != '-' && c != '+')
            return false;
    }
    return true;
}

static bool
special_number(const char *text, size_t len, struct tr_buffer *out)
{
    if (len == 3 && memcmp(text, "NaN", 3) == 0)
        json_literal(out, "\"NaN\"");
    else if (len == 8 && memcmp(text, "Infinity", 8) == 0)
        json_literal(out, "\"Infinity\"");
    else if (len == 9 && memcmp(text, "-Infinity", 9) == 0)
        json_literal(out, "\"-Infinity\"");
    else
        return false;
    return true;
}

/* Copied digit for digit; a whole number gets ".0", so that a reader without a schema sees a float in every row. */
bool
render_float(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
             struct tr_buffer *out)
{
    (void)r;
    (void)plan;
    bool whole;
    if (!is_number_text(text, len, &whole))
        return special_number(text, len, out);
    tr_buffer_add(out, text, len);
    if (whole)
        json_literal(out, ".0");
    return true;
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
        json_literal(out, "null"); /* no such number in a Decimal; docs/events.md */
        return is_special(text, len);
    }
    tr_buffer_reset(&r->bytes);
    if (!decimal_unscaled(&decimal, (size_t)plan->scale, &r->bytes))
        return false;
    json_base64(out, r->bytes.data, r->bytes.len, false);
    return true;
}

RENDER(render_variable_decimal)
{
    struct decimal decimal;
    if (!decimal_parse(text, len, &decimal)) {
        json_literal(out, "null");
        return is_special(text, len);
    }
    decimal_strip(&decimal);
    tr_buffer_reset(&r->bytes);
    decimal_unscaled(&decimal, decimal.scale, &r->bytes);
    json_literal(out, "{\"scale\":");
    tr_buffer_uint(out, decimal.scale);
    json_literal(out, ",\"value\":");
    json_base64(out, r->bytes.data, r->bytes.len, false);
    tr_buffer_byte(out, '}');
    return true;
}

RENDER(render_decimal_string)
{
    if (is_special(text, len)) {
        tr_buffer_text(out, text[len - 1] == 'N' ? "\"NAN\""
                            : text[0] == '-'     ? "\"NEGATIVE_INFINITY\""
                                                 : "\"POSITIVE_INFINITY\"");
        return true;
    }
    json_string(out, text, len);
    return true;
}

/* "$1,234.56", "-$1.00", "($1.00)", "1.234,56 EUR": the last run of digits behind a point or comma is the fraction when it is as long as asked. */
static bool
money_text(const char *text, size_t len, int digits, struct tr_buffer *out)
{
    bool negative = memchr(text, '-', len) != NULL || memchr(text, '(', len) != NULL;
    size_t ndigits = 0;
    tr_buffer_reset(out);
    for (size_t i = 0; i < len; i++)
        ndigits += text[i] >= '0' && text[i] <= '9';
    if (ndigits <= (size_t)digits)
        return false;
    if (negative)
        tr_buffer_byte(out, '-');
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            continue;
        if (ndigits-- == (size_t)digits)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, text[i]);
    }
    return true;
}

RENDER(render_money)
{
    char number[96];
    struct tr_buffer plain = { .data = number, .cap = sizeof(number), .max = sizeof(number) };
    struct decimal decimal;
    if (len > 64 || !money_text(text, len, r->modes.money_digits, &plain))
        return false;
    if (r->modes.decimal == DECIMAL_STRING)
        return render_string(r, plan, number, plain.len, out);
    if (r->modes.decimal == DECIMAL_DOUBLE)
        return render_float(r, plan, number, plain.len, out);
    tr_buffer_reset(&r->bytes);
    if (!decimal_parse(number, plain.len, &decimal) ||
        !decimal_unscaled(&decimal, (size_t)r->modes.money_digits, &r->bytes))
        return false;
    json_base64(out, r->bytes.data, r->bytes.len, false);
    return true;
}

/* --------------------------------------------------------------------------------------- bytes */

void
value_bytes(struct renderer *r, const void *bytes, size_t len, struct tr_buffer *out)
{
    if (r->modes.binary == BINARY_HEX) {
        tr_buffer_byte(out, '"');
        tr_buffer_hex(out, bytes, len);
        tr_buffer_byte(out, '"');
    } else {
        json_base64(out, bytes, len, r->modes.binary == BINARY_BASE64_URL);
    }
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
        json_literal(out, "null");
        return true;
    }
    return render_bool(r, plan, text, len, out);
}

/* Least significant byte first; PostgreSQL's are cut behind the highest bit that is set. */
RENDER(render_bits)
{
    if (len == 0) {
        json_literal(out, "null");
        return true;
    }
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
    json_base64(out, bytes, nbytes, false);
    return true;
}

/* ------------------------------------------------------------------------------------ temporal */

/* MySQL's dates that are none: null where null may stand, else the epoch. */
static bool
zero_date(const struct column_plan *plan, const char *epoch, struct tr_buffer *out)
{
    tr_buffer_text(out, plan->column->not_null ? epoch : "null");
    return true;
}

/* What PostgreSQL's own day numbers for the infinities become when moved to 1970 in 32 bits: readers know these. */
#define DATE_INFINITY -2147472692
#define DATE_MINUS_INFINITY -2147472691

RENDER(render_date)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.zero)
        return zero_date(plan, "0", out);
    tr_buffer_int(out, m.infinite == 0 ? m.days : m.infinite > 0 ? DATE_INFINITY : DATE_MINUS_INFINITY);
    return true;
}

RENDER(render_date_iso)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.infinite != 0)
        return render_string(r, plan, text, len, out);
    if (m.zero)
        return zero_date(plan, "\"1970-01-01Z\"", out);
    tr_buffer_byte(out, '"');
    format_iso_date(out, &m);
    json_literal(out, "Z\"");
    return true;
}

/* A time of the day in microseconds * multiply / divide. */
static bool
render_time_in(const char *text, size_t len, int64_t multiply, int64_t divide, struct tr_buffer *out)
{
    struct moment m;
    if (!parse_time(text, len, &m) || m.offset_s != 0)
        return false;
    tr_buffer_int(out, m.us * multiply / divide);
    return true;
}

RENDER(render_time_ms)
{
    return render_time_in(text, len, 1, 1000, out);
}

RENDER(render_time_us)
{
    return render_time_in(text, len, 1, 1, out);
}

RENDER(render_time_ns)
{
    return render_time_in(text, len, 1000, 1, out);
}

RENDER(render_time_iso)
{
    struct moment m;
    if (!parse_time(text, len, &m) || m.us < 0)
        return false;
    tr_buffer_byte(out, '"');
    format_iso_time(out, m.us, -1);
    json_literal(out, "Z\"");
    return true;
}

/* The infinities in microseconds, as PostgreSQL's JDBC driver and so Debezium spell them. */
#define TIMESTAMP_INFINITY INT64_C(9223372036825200000)
#define TIMESTAMP_MINUS_INFINITY INT64_C(-9223372036832400000)

static bool
render_timestamp_in(const struct column_plan *plan, const char *text, size_t len, int64_t multiply,
                    int64_t divide, struct tr_buffer *out)
{
    struct moment m;
    int64_t n;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.zero)
        return zero_date(plan, "0", out);
    n = moment_epoch_us(&m);
    if (m.infinite != 0)
        n = m.infinite > 0 ? TIMESTAMP_INFINITY : TIMESTAMP_MINUS_INFINITY;
    else if (divide > 1)
        n = n >= 0 ? n / divide : -((divide - 1 - n) / divide);
    else if (__builtin_mul_overflow(n, multiply, &n))
        return false;
    tr_buffer_int(out, n);
    return true;
}

RENDER(render_timestamp_ms)
{
    return render_timestamp_in(plan, text, len, 1, 1000, out);
}

RENDER(render_timestamp_us)
{
    return render_timestamp_in(plan, text, len, 1, 1, out);
}

RENDER(render_timestamp_ns)
{
    return render_timestamp_in(plan, text, len, 1000, 1, out);
}

static bool
render_iso(const struct column_plan *plan, const char *text, size_t len, int digits, struct tr_buffer *out)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.infinite != 0) {
        json_string(out, text, len);
        return true;
    }
    if (m.zero)
        return zero_date(plan, "\"1970-01-01T00:00:00Z\"", out);
    if (m.offset_s !=
        0) { /* canonical text is in UTC; a foreign offset is moved there where the day does not change */
        m.us -= m.offset_s * INT64_C(1000000);
        if (m.us < 0 || m.us >= US_PER_DAY)
            return false;
    }
    tr_buffer_byte(out, '"');
    format_iso_date(out, &m);
    tr_buffer_byte(out, 'T');
    format_iso_time(out, m.us, digits);
    json_literal(out, "Z\"");
    return true;
}

RENDER(render_timestamp_iso)
{
    return render_iso(plan, text, len, -1, out);
}

RENDER(render_timestamptz)
{
    return render_iso(plan, text, len, plan->scale, out);
}

RENDER(render_timetz)
{
    struct moment m;
    if (!parse_time(text, len, &m))
        return false;
    int64_t us = m.us - m.offset_s * INT64_C(1000000);
    us = (us % US_PER_DAY + US_PER_DAY) % US_PER_DAY;
    tr_buffer_byte(out, '"');
    format_iso_time(out, us, -1);
    json_literal(out, "Z\"");
    return true;
}

RENDER(render_interval_us)
{
    struct interval interval;
    if (!parse_interval(text, len, &interval))
        return false;
    tr_buffer_int(out, interval_us(&interval));
    return true;
}

RENDER(render_interval_iso)
{
    struct interval interval;
    if (!parse_interval(text, len, &interval))
        return false;
    tr_buffer_byte(out, '"');
    format_iso_interval(out, &interval);
    tr_buffer_byte(out, '"');
    return true;
}

/* -------------------------------------------------------------------------------------- choice */

/* What does not depend on a mode. NULL: see value_renderer. */
static const render_fn plain[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = render_bool,          [TR_INT8] = render_integer,   [TR_UINT8] = render_integer,
    [TR_INT16] = render_integer,      [TR_UINT16] = render_integer, [TR_INT24] = render_integer,
    [TR_UINT24] = render_integer,     [TR_INT32] = render_integer,  [TR_UINT32] = render_integer,
    [TR_INT64] = render_integer,      [TR_FLOAT32] = render_float,  [TR_FLOAT64] = render_float,
    [TR_MONEY] = render_money,        [TR_CHAR] = render_string,    [TR_TEXT] = render_string,
    [TR_BYTES] = render_bytes,        [TR_TIMETZ] = render_timetz,  [TR_TIMESTAMPTZ] = render_timestamptz,
    [TR_YEAR] = render_year,          [TR_UUID] = render_string,    [TR_JSON] = render_string,
    [TR_JSONB] = render_string,       [TR_XML] = render_string,     [TR_ENUM] = render_string,
    [TR_SET] = render_string,         [TR_INET] = render_string,    [TR_CIDR] = render_string,
    [TR_MACADDR] = render_string,     [TR_OID] = render_integer,    [TR_ARRAY] = render_array,
    [TR_RANGE] = render_string,       [TR_HSTORE] = render_hstore,  [TR_LTREE] = render_string,
    [TR_TSVECTOR] = render_string,    [TR_POINT] = render_point,    [TR_GEOMETRY] = render_geometry,
    [TR_GEOGRAPHY] = render_geometry, [TR_VECTOR] = render_vector,
};

/* Types that the log knows only by name, and that everybody reads as text. */
static bool
is_text_type(const char *type_name)
{
    static const char *const names[] = { "citext", "name",   "macaddr8", "isbn",   "isbn13",
                                         "ismn",   "ismn13", "issn",     "issn13", "ean13",
                                         "upc",    "bpchar", "refcursor" };
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
        return render_float;
    return column->precision > 0 ? render_decimal : render_variable_decimal;
}

static render_fn
time_renderer(const struct value_modes *modes, int scale)
{
    switch (modes->time) {
    case TIME_CONNECT: return render_time_ms;
    case TIME_NANOSECONDS: return render_time_ns;
    case TIME_ISOSTRING: return render_time_iso;
    case TIME_ADAPTIVE: return scale >= 0 && scale <= 3 && !modes->mysql ? render_time_ms : render_time_us;
    default: return render_time_us;
    }
}

static render_fn
timestamp_renderer(const struct value_modes *modes, int scale)
{
    switch (modes->time) {
    case TIME_CONNECT: return render_timestamp_ms;
    case TIME_NANOSECONDS: return render_timestamp_ns;
    case TIME_ISOSTRING: return render_timestamp_iso;
    case TIME_MICROSECONDS: return render_timestamp_us;
    default: return scale >= 0 && scale <= 3 ? render_timestamp_ms : render_timestamp_us;
    }
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
    case TR_DATE: return modes->time == TIME_ISOSTRING ? render_date_iso : render_date;
    case TR_TIME: return time_renderer(modes, column->scale);
    case TR_TIMESTAMP: return timestamp_renderer(modes, column->scale);
    case TR_INTERVAL: return modes->interval_string ? render_interval_iso : render_interval_us;
    case TR_VECTOR:
        return type_name != NULL && strcmp(type_name, "sparsevec") == 0 ? render_sparsevec : render_vector;
    case TR_OTHER:
    case TR_COMPOSITE:
    case TR_MULTIRANGE: return unknown_renderer(modes, type_name);
    default: return plain[logical];
    }
}
