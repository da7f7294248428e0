/* defaults.c - what stands where a null may not stand: a column's literal default, or a constant of its type. */
#include <string.h>
#include <strings.h>

#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

/* `'it''s'::text` -> it's. False when the expression is no single quoted literal with casts behind it. */
static bool
unquote(const char *expression, struct tr_buffer *out)
{
    const char *at = expression + 1;
    for (;; at++) {
        if (*at == '\0')
            return false;
        if (*at == '\'' && *++at != '\'')
            break;
        tr_buffer_byte(out, *at);
    }
    return *at == '\0' || strncmp(at, "::", 2) == 0;
}

/* A bare word or number: 0, -1.5, true, (0)::numeric is left to the fallback. */
static bool
bare_literal(const char *expression, struct tr_buffer *out)
{
    if (strcmp(expression, "true") == 0 || strcmp(expression, "false") == 0) {
        tr_buffer_byte(out, expression[0]);
        return true;
    }
    size_t len = strspn(expression, "0123456789.-");
    if (len == 0 || (expression[len] != '\0' && strncmp(expression + len, "::", 2) != 0))
        return false;
    tr_buffer_add(out, expression, len);
    return true;
}

/* Types whose defaults Debezium does not read: to its consumers such columns have none. */
static bool
default_unread(const struct value_modes *modes, const struct tr_column *column)
{
    if (!modes->mysql && column->type_id != column->base_type_id)
        return true; /* a domain */
    if (column->type_name != NULL && strcmp(column->type_name, "citext") == 0)
        return true;
    switch (column->logical) {
    case TR_BYTES:
    case TR_MONEY: return true;
    case TR_INET:
    case TR_CIDR:
    case TR_MACADDR:
    case TR_LTREE:
    case TR_TSVECTOR:
    case TR_ARRAY:
    case TR_OID:
    case TR_HSTORE:
    case TR_POINT:
    case TR_RANGE:
    case TR_TIMETZ: return !modes->mysql;
    case TR_DECIMAL: return column->precision <= 0 && modes->decimal == DECIMAL_PRECISE;
    default: return false;
    }
}

/* now(), nextval('s'::regclass): one call, whatever it is of. */
static bool
is_call(const char *expression)
{
    size_t name = strspn(expression, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    size_t len = strlen(expression);
    return name > 0 && expression[name] == '(' && expression[len - 1] == ')';
}

/* What stands for a default that is made anew for each row; NULL where nothing does. */
static const char *
generated_default(const struct tr_column *column, const char *expression)
{
    bool call = is_call(expression);
    switch (column->logical) {
    case TR_INT16:
    case TR_INT32:
    case TR_INT64:
    case TR_FLOAT32:
    case TR_FLOAT64:
    case TR_DECIMAL: return call ? "0" : NULL;
    case TR_BOOL: return call ? "f" : NULL;
    case TR_JSON:
    case TR_JSONB: return call ? "{}" : NULL;
    case TR_INTERVAL: return call ? "00:00:00" : NULL;
    case TR_DATE: return "1970-01-01";
    case TR_TIME: return "00:00:00";
    case TR_TIMESTAMP: return "1970-01-01 00:00:00";
    case TR_TIMESTAMPTZ: return "1970-01-01 00:00:00+00";
    case TR_UUID: return call ? "00000000-0000-0000-0000-000000000000" : NULL;
    default: return NULL;
    }
}

/* CURRENT_TIMESTAMP(6), current_timestamp(): the epoch, and for a timestamp only where a null may not stand. */
static bool
generated_moment(struct renderer *r, const struct column_plan *plan, struct tr_buffer *out)
{
    static const char epoch[] = "1970-01-01 00:00:00";
    struct column_plan moment = *plan;
    moment.scale = -1;
    if (plan->column->logical != TR_TIMESTAMP &&
        (plan->column->logical != TR_TIMESTAMPTZ || !plan->column->not_null))
        return false;
    return plan->render(r, &moment, epoch, sizeof(epoch) - 1, out);
}

/* b'101', with zeros to the column's width. */
static bool
bit_literal(const struct tr_column *column, const char *expression, struct tr_buffer *text)
{
    size_t digits = strspn(expression + 2, "01");
    if (expression[0] != 'b' || expression[1] != '\'' || expression[2 + digits] != '\'')
        return false;
    for (size_t i = digits; (int64_t)i < column->length; i++)
        tr_buffer_byte(text, '0');
    tr_buffer_add(text, expression + 2, digits);
    return true;
}

/* The value of a default of MySQL or MariaDB as the information schema tells it. */
static bool
mysql_literal(const struct value_modes *modes, const struct tr_column *column, const char *expression,
              struct tr_buffer *text)
{
    if (column->logical == TR_BIT)
        return bit_literal(column, expression, text);
    if (expression[0] == '\'' && !modes->raw_defaults)
        return unquote(expression, text);
    if (!modes->raw_defaults)
        return bare_literal(expression, text);
    tr_buffer_text(text, expression);
    return !is_call(expression);
}

/* A decimal's default with all digits of its column, as its values have them. */
static void
pad_fraction(struct tr_buffer *text, int scale)
{
    const char *point = memchr(text->data, '.', text->len);
    size_t digits = point != NULL ? (size_t)(text->data + text->len - point) - 1 : 0;
    if (point == NULL && scale > 0)
        tr_buffer_byte(text, '.');
    for (; digits < (size_t)scale; digits++)
        tr_buffer_byte(text, '0');
}

bool
default_literal(struct renderer *r, const struct column_plan *plan, const char *expression,
                struct tr_buffer *out)
{
    struct tr_buffer text;
    size_t start = out->len;
    if (expression == NULL || default_unread(&r->modes, plan->column))
        return false;
    if (r->modes.mysql && strncasecmp(expression, "current_timestamp", 17) == 0)
        return generated_moment(r, plan, out);
    tr_buffer_init(&text, 1 << 20);
    bool good = r->modes.mysql          ? mysql_literal(&r->modes, plan->column, expression, &text)
                : expression[0] == '\'' ? unquote(expression, &text)
                                        : bare_literal(expression, &text);
    if (!good && !r->modes.mysql && expression[0] != '\'' &&
        generated_default(plan->column, expression) != NULL) {
        tr_buffer_reset(&text);
        tr_buffer_text(&text, generated_default(plan->column, expression));
        good = true;
    }
    if (good && plan->column->logical == TR_DECIMAL && text.len > 0) {
        good = strchr("Ny", text.data[text.len - 1]) == NULL; /* NaN, Infinity: none that Debezium can read */
        pad_fraction(&text, plan->scale);
    }
    good = good && plan->render(r, plan, text.len > 0 ? text.data : "", text.len, out);
    tr_buffer_fini(&text);
    /* A date of zeros is a null, and that is no default. */
    if (good && out->len - start == 4 && memcmp(out->data + start, "null", 4) == 0)
        good = false;
    if (!good)
        out->len = start;
    return good;
}

static const char *const fallbacks[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = "false",
    [TR_INT8] = "0",
    [TR_UINT8] = "0",
    [TR_INT16] = "0",
    [TR_UINT16] = "0",
    [TR_INT24] = "0",
    [TR_UINT24] = "0",
    [TR_INT32] = "0",
    [TR_UINT32] = "0",
    [TR_INT64] = "0",
    [TR_UINT64] = "0",
    [TR_FLOAT32] = "0.0",
    [TR_FLOAT64] = "0.0",
    [TR_DATE] = "0",
    [TR_TIME] = "0",
    [TR_TIMESTAMP] = "0",
    [TR_TIMETZ] = "\"00:00:00Z\"",
    [TR_TIMESTAMPTZ] = "\"1970-01-01T00:00:00Z\"",
    [TR_INTERVAL] = "0",
    [TR_YEAR] = "0",
    [TR_OID] = "0",
    [TR_ARRAY] = "[]",
    [TR_HSTORE] = "\"{}\"",
    [TR_POINT] = "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}",
    [TR_GEOMETRY] = "{\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}",
    [TR_GEOGRAPHY] = "{\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}",
    [TR_VECTOR] = "[]",
};

/* A decimal zero in the mode's form. */
static void
decimal_fallback(const struct value_modes *modes, bool variable, int scale, struct tr_buffer *out)
{
    if (modes->decimal == DECIMAL_STRING && scale <= 0)
        json_literal(out, "\"0\"");
    else if (modes->decimal == DECIMAL_STRING)
        tr_buffer_printf(out, "\"0.%0*d\"", scale, 0);
    else if (modes->decimal == DECIMAL_DOUBLE)
        json_literal(out, "0.0");
    else if (variable)
        json_literal(out, "{\"scale\":0,\"value\":\"AA==\"}");
    else
        json_literal(out, "\"AA==\"");
}

void
type_fallback(const struct value_modes *modes, const struct tr_column *column, struct tr_buffer *out)
{
    bool iso = modes->time == TIME_ISOSTRING;
    if (column->logical == TR_DECIMAL || column->logical == TR_MONEY)
        decimal_fallback(modes, column->logical == TR_DECIMAL && column->precision <= 0,
                         column->logical == TR_MONEY ? modes->money_digits : column->scale, out);
    else if (column->logical == TR_UINT64 && modes->unsigned_precise)
        json_literal(out, "\"AA==\"");
    else if ((column->logical == TR_BIT || column->logical == TR_VARBIT) && column->length == 1)
        json_literal(out, "false");
    else if (column->logical == TR_HSTORE && modes->hstore_map)
        json_literal(out, "{}");
    else if (column->logical == TR_INTERVAL && modes->interval_string)
        json_literal(out, "\"P0Y0M0DT0H0M0S\"");
    else if (iso && column->logical == TR_DATE)
        json_literal(out, "\"1970-01-01Z\"");
    else if (iso && column->logical == TR_TIME)
        json_literal(out, "\"00:00:00Z\"");
    else if (iso && column->logical == TR_TIMESTAMP)
        json_literal(out, "\"1970-01-01T00:00:00Z\"");
    else if (fallbacks[column->logical] != NULL)
        tr_buffer_text(out, fallbacks[column->logical]);
    else
        json_literal(out, "\"\"");
}
