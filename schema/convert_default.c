/* convert_default.c - defaults of columns in another dialect: constants of every type, the time, a new UUID, and expressions that mean the same. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/convert.h"
#include "schema/expression.h"

/* A number by its form: sign, digits, point, exponent. Its end, or NULL. */
static const char *
number_end(const char *p)
{
    const char *start = p;
    p += *p == '-' || *p == '+';
    const char *digits = p;
    while (isdigit((unsigned char)*p) || *p == '.')
        p++;
    if (p == digits || (p == digits + 1 && *digits == '.'))
        return NULL;
    if ((*p == 'e' || *p == 'E') && p > start) {
        const char *exponent = p + 1 + (p[1] == '-' || p[1] == '+');
        if (isdigit((unsigned char)*exponent))
            for (p = exponent; isdigit((unsigned char)*p);)
                p++;
    }
    return p;
}

/* Nothing behind the constant but casts ("::character varying(10)")? */
static bool
only_casts(const char *p)
{
    while (*p != '\0') {
        if (p[0] != ':' || p[1] != ':')
            return false;
        p += 2;
        p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_. \"");
        if (*p == '(') {
            p += strcspn(p, ")");
            p += *p == ')';
        }
        p += strspn(p, "abcdefghijklmnopqrstuvwxyz []");
    }
    return true;
}

/* The text of a quoted constant, decoded into `out`; the end behind its closing quote, or NULL. */
static const char *
quoted(const char *p, bool backslashes, struct tr_buffer *out)
{
    if (*p++ != '\'')
        return NULL;
    for (; *p != '\0'; p++) {
        if (p[0] == '\'' && p[1] == '\'')
            p++;
        else if (p[0] == '\'')
            return p + 1;
        else if (p[0] == '\\' && backslashes && p[1] != '\0') {
            p++;
            tr_buffer_byte(out, *p == 'n'   ? '\n'
                                : *p == 'r' ? '\r'
                                : *p == 't' ? '\t'
                                : *p == '0' ? '\0'
                                            : *p);
            continue;
        }
        tr_buffer_byte(out, *p);
    }
    return NULL;
}

static void
mysql_literal(const char *text, struct tr_buffer *out)
{
    tr_buffer_byte(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(out, *text);
        tr_buffer_byte(out, *text);
    }
    tr_buffer_byte(out, '\'');
}

static void
postgresql_literal(const char *text, struct tr_buffer *out)
{
    tr_buffer_text(out, strchr(text, '\\') != NULL ? "E'" : "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(out, *text);
        tr_buffer_byte(out, *text);
    }
    tr_buffer_byte(out, '\'');
}

static bool
among(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcasecmp(word, *list) == 0)
            return true;
    return false;
}

static bool
stored_apart(const char *type)
{
    return strstr(type, "TEXT") != NULL || strstr(type, "BLOB") != NULL || strncmp(type, "JSON", 4) == 0 ||
           strncmp(type, "GEOMETRY", 8) == 0;
}

/* Types whose constants PostgreSQL writes as MySQL does. */
static bool
same_spelling(enum tr_logical logical)
{
    switch (logical) {
    case TR_TEXT:
    case TR_CHAR:
    case TR_ENUM:
    case TR_DATE:
    case TR_TIME:
    case TR_TIMESTAMP:
    case TR_UUID:
    case TR_INET:
    case TR_CIDR:
    case TR_MACADDR:
    case TR_INTERVAL:
    case TR_JSON:
    case TR_JSONB:
    case TR_INT16:
    case TR_INT32:
    case TR_INT64:
    case TR_FLOAT32:
    case TR_FLOAT64:
    case TR_DECIMAL: return true;
    default: return false;
    }
}

/* Can a column of this type take the constant? What one engine calls NaN, infinity or a time of 30 hours the other may not know. */
static bool
is_taken(enum tr_logical logical, const char *value, bool postgresql)
{
    const char *end;
    switch (logical) {
    case TR_DATE: return tr_expression_is_iso(value, false);
    case TR_TIMESTAMP:
    case TR_TIMESTAMPTZ: return tr_expression_is_iso(value, true);
    case TR_TIME: return isdigit((unsigned char)value[0]) && (!postgresql || atoi(value) < 24);
    case TR_FLOAT32:
    case TR_FLOAT64:
    case TR_DECIMAL:
    case TR_YEAR: break;
    default:
        if (logical < TR_INT8 || logical > TR_UINT64)
            return true;
    }
    end = number_end(value);
    return end != NULL && *end == '\0';
}

/* ---- to MySQL */

static void
apart(const char *type, const struct tr_convert_target *target, const char *text, struct tr_buffer *out)
{
    bool only = stored_apart(type) &&
                !target->mariadb; /* MySQL takes a default there as an expression only */
    tr_buffer_printf(out, only ? "(%s)" : "%s", text);
}

static bool
constant_to_mysql(const struct tr_column *column, const char *type, const struct tr_convert_target *target,
                  const char *text, struct tr_buffer *out)
{
    struct tr_buffer value, written;
    bool known = false;
    tr_buffer_init(&value, (size_t)1 << 20);
    tr_buffer_init(&written, (size_t)1 << 20);
    const char *end = quoted(text, false, &value), *plain = value.len > 0 ? value.data : "";
    size_t len = strlen(plain), digits = strspn(plain, "01");
    bool utc = column->logical == TR_TIMESTAMPTZ && len > 3 && strcmp(plain + len - 3, "+00") == 0;
    if (utc)
        value.data[len - 3] = '\0';
    if (end == NULL || !only_casts(end)) {
        known = false;
    } else if (column->logical == TR_BIT && strncmp(type, "BIT", 3) == 0 && plain[digits] == '\0') {
        tr_buffer_printf(&written, "b'%s'", plain);
        known = true;
    } else if (column->logical == TR_BYTES && strncmp(plain, "\\x", 2) == 0 &&
               plain[2 + strspn(plain + 2, "0123456789abcdef")] == '\0') {
        tr_buffer_printf(&written, "x'%s'", plain + 2);
        known = true;
    } else if (column->logical == TR_ARRAY && strcmp(plain, "{}") == 0) {
        tr_buffer_text(&written, "'[]'");
        known = true;
    } else if ((utc || same_spelling(column->logical)) && is_taken(column->logical, plain, false)) {
        mysql_literal(plain, &written);
        known = true;
    }
    if (known)
        apart(type, target, written.data, out);
    tr_buffer_fini(&value);
    tr_buffer_fini(&written);
    return known;
}

/* The time of now, at the column's number of digits. A time with a zone is kept as UTC's. */
static bool
now_to_mysql(const struct tr_column *column, const char *type, struct tr_buffer *out)
{
    static const char *const now[] = { "now()", "transaction_timestamp()", "statement_timestamp()",
                                       "clock_timestamp()", NULL };
    static const char *const utc[] = { "(now() AT TIME ZONE 'utc'::text)", "timezone('utc'::text, now())",
                                       "(CURRENT_TIMESTAMP AT TIME ZONE 'utc'::text)",
                                       "timezone('utc'::text, CURRENT_TIMESTAMP)", NULL };
    const char *text = column->default_expression;
    bool zoned = column->logical == TR_TIMESTAMPTZ;
    if (strncmp(type, "DATETIME(", 9) == 0 && !zoned && among(text, utc)) {
        tr_buffer_printf(out, "(UTC_TIMESTAMP(%c))", type[9]);
    } else if (strncmp(type, "DATETIME(", 9) == 0 &&
               (among(text, now) || strncasecmp(text, "current_timestamp", 17) == 0 ||
                strncasecmp(text, "localtimestamp", 14) == 0)) {
        if (strpbrk(text, " +-:") != NULL)
            return false;
        tr_buffer_printf(out, zoned ? "(UTC_TIMESTAMP(%c))" : "CURRENT_TIMESTAMP(%c)", type[9]);
    } else if (column->logical == TR_DATE &&
               (strcasecmp(text, "current_date") == 0 || strcmp(text, "(now())::date") == 0)) {
        tr_buffer_text(out, "(CURDATE())");
    } else if (column->logical == TR_TIME && strncmp(type, "TIME(", 5) == 0 &&
               strcasecmp(text, "localtime") == 0) {
        tr_buffer_printf(out, "(CURTIME(%c))", type[5]);
    } else {
        return false;
    }
    return true;
}

static bool
uuid_to_mysql(const struct tr_column *column, struct tr_buffer *out)
{
    static const char *const made[] = { "gen_random_uuid()",
                                        "uuid_generate_v4()",
                                        "public.uuid_generate_v4()",
                                        "public.gen_random_uuid()",
                                        "uuid_generate_v1()",
                                        "public.uuid_generate_v1()",
                                        NULL };
    static const char *const texts[] = { "(gen_random_uuid())::text",
                                         "(gen_random_uuid())::character varying",
                                         "(public.uuid_generate_v4())::text", "(uuid_generate_v4())::text",
                                         NULL };
    const char *text = column->default_expression;
    bool known = (column->logical == TR_UUID && among(text, made)) ||
                 (column->logical == TR_TEXT && among(text, texts));
    tr_buffer_text(out, known ? "(UUID())" : "");
    return known;
}

static bool
expression_default(const struct tr_column *column, const char *from, const char *to, const char *text,
                   struct tr_buffer *out)
{
    struct tr_expression e = { .from = from, .to = to, .use = TR_EXPRESSION_DEFAULT, .column = column };
    size_t before = out->len;
    tr_buffer_byte(out, '(');
    if (!tr_expression_translate(&e, text, out)) {
        out->len = before;
        return false;
    }
    tr_buffer_byte(out, ')');
    return true;
}

bool
tr_convert_default_to_mysql(const struct tr_column *column, const char *type,
                            const struct tr_convert_target *target, struct tr_buffer *out)
{
    const char *text = column->default_expression;
    if (now_to_mysql(column, type, out) || uuid_to_mysql(column, out))
        return true;
    if (column->logical == TR_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        tr_buffer_text(out, text[0] == 't' ? "1" : "0");
        return true;
    }
    const char *inner = text + (text[0] == '('); /* "(-1)", "(0)::numeric" */
    const char *end = number_end(inner);
    const char *behind = end != NULL && text[0] == '(' ? (*end == ')' ? end + 1 : NULL) : end;
    if (behind != NULL && only_casts(behind) && same_spelling(column->logical) &&
        column->logical != TR_DATE) {
        struct tr_buffer number;
        tr_buffer_init(&number, 4096);
        bool text_type = column->logical < TR_INT8 || column->logical > TR_DECIMAL;
        tr_buffer_printf(&number, text_type ? "'%.*s'" : "%.*s", (int)(end - inner), inner);
        apart(type, target, number.data, out);
        tr_buffer_fini(&number);
        return true;
    }
    if (text[0] == '\'' && constant_to_mysql(column, type, target, text, out))
        return true;
    return column->target_type == NULL && column->logical != TR_TIMESTAMPTZ &&
           expression_default(column, "postgresql", "mysql", text, out);
}

/* ---- to PostgreSQL */

static bool
now_to_postgresql(const struct tr_column *column, const char *type, const char *text, struct tr_buffer *out)
{
    static const char *const dates[] = { "curdate()", "current_date", "current_date()",
                                         "cast(current_timestamp() as date)", NULL };
    static const char *const times[] = { "curtime()", "current_time", "current_time()", NULL };
    bool moment = strncmp(type, "timestamp", 9) == 0;
    bool now = strncasecmp(text, "current_timestamp", 17) == 0 || strncasecmp(text, "now(", 4) == 0 ||
               strncasecmp(text, "localtimestamp", 14) == 0;
    bool whole = strpbrk(text, " +-*/") == NULL;
    if (moment && now && whole)
        tr_buffer_text(out, "CURRENT_TIMESTAMP");
    else if (moment && strncasecmp(text, "utc_timestamp(", 14) == 0 && whole)
        tr_buffer_text(out, column->logical == TR_TIMESTAMP ? "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')"
                                                            : "CURRENT_TIMESTAMP");
    else if (column->logical == TR_DATE && (among(text, dates) || (now && whole)))
        tr_buffer_text(out, "CURRENT_DATE");
    else if (column->logical == TR_TIME && among(text, times))
        tr_buffer_text(out, "LOCALTIME");
    else
        return false;
    return true;
}

static bool
uuid_to_postgresql(const struct tr_column *column, const char *text, struct tr_buffer *out)
{
    if (strcasecmp(text, "uuid()") != 0)
        return false;
    bool fits = column->logical == TR_UUID || ((column->logical == TR_TEXT || column->logical == TR_CHAR) &&
                                               (column->length < 0 || column->length >= 36));
    tr_buffer_text(out, column->logical == TR_UUID ? "gen_random_uuid()"
                        : fits                     ? "(gen_random_uuid())::text"
                                                   : "");
    return fits;
}

static bool
bits_to_postgresql(const struct tr_column *column, const char *text, struct tr_buffer *out)
{
    size_t digits = strspn(text + 2, "01");
    tr_buffer_text(out, "B'");
    for (size_t i = digits; column->length > 0 && i < (size_t)column->length; i++)
        tr_buffer_byte(out, '0');
    tr_buffer_add(out, text + 2, digits);
    tr_buffer_byte(out, '\'');
    return text[2 + digits] == '\'';
}

/* Bytes are printed as text: only what is ASCII is certain. A fixed length is filled up with zeros. */
static bool
bytes_to_postgresql(const struct tr_column *column, const struct tr_buffer *value, struct tr_buffer *out)
{
    size_t room = column->type_name != NULL && strcmp(column->type_name, "binary") == 0 && column->length > 0
                      ? (size_t)column->length
                      : 0;
    for (size_t i = 0; i < value->len; i++)
        if ((unsigned char)value->data[i] >= 0x80)
            return false;
    tr_buffer_text(out, "'\\x");
    tr_buffer_hex(out, value->len > 0 ? value->data : "", value->len);
    for (size_t i = value->len; i < room; i++)
        tr_buffer_text(out, "00");
    tr_buffer_text(out, "'::bytea");
    return true;
}

/* 0x6162, as MySQL prints the default of a column of bytes: how many digits; 0 = it is none. */
static size_t
hex_digits(const struct tr_column *column, const char *text)
{
    size_t digits = strncmp(text, "0x", 2) == 0 ? strspn(text + 2, "0123456789abcdefABCDEF") : 0;
    return column->logical == TR_BYTES && digits % 2 == 0 && text[2 + digits] == '\0' ? digits : 0;
}

static void
hex_to_postgresql(const struct tr_column *column, const char *text, struct tr_buffer *out)
{
    bool fixed = column->type_name != NULL && strcmp(column->type_name, "binary") == 0;
    tr_buffer_printf(out, "'\\x%s", text + 2);
    for (size_t i = strlen(text + 2) / 2; fixed && column->length > 0 && i < (size_t)column->length; i++)
        tr_buffer_text(out, "00");
    tr_buffer_text(out, "'::bytea");
}

static bool
constant_to_postgresql(const struct tr_column *column, const char *text, struct tr_buffer *out)
{
    struct tr_buffer value;
    size_t before = out->len;
    tr_buffer_init(&value, (size_t)1 << 20);
    text += strncmp(text, "_utf8mb4'", 9) == 0 ? 8 : 0;
    const char *end = quoted(text, true, &value);
    bool known = end != NULL && *end == '\0';
    if (known && column->logical == TR_BYTES)
        known = bytes_to_postgresql(column, &value, out);
    else if (known)
        known = column->logical != TR_BIT &&
                (value.len == 0 || memchr(value.data, '\0', value.len) == NULL) &&
                is_taken(column->logical, value.len > 0 ? value.data : "", true);
    if (known && column->logical != TR_BYTES)
        postgresql_literal(value.len > 0 ? value.data : "", out);
    if (!known)
        out->len = before;
    tr_buffer_fini(&value);
    return known;
}

/* "((1 + 2))", "(uuid())": without the parentheses that hold all of it. */
static char *
bare(const char *text)
{
    char *copy = strdup(text);
    for (size_t len = strlen(copy); len > 2 && copy[0] == '(' && copy[len - 1] == ')'; len = strlen(copy)) {
        int depth = 0;
        size_t i = 0;
        bool inside = false;
        for (; i < len; i++) {
            inside = copy[i] == '\'' ? !inside : inside;
            depth += inside ? 0 : (copy[i] == '(') - (copy[i] == ')');
            if (depth == 0)
                break;
        }
        if (i + 1 < len)
            break;
        memmove(copy, copy + 1, len - 2);
        copy[len - 2] = '\0';
    }
    return copy;
}

bool
tr_convert_default_to_postgresql(const struct tr_column *column, const char *type, struct tr_buffer *out)
{
    char *text = bare(column->default_expression);
    const char *end = number_end(text);
    bool number = end != NULL && *end == '\0';
    bool known = false;
    if (number && is_taken(column->logical, text, true)) {
        tr_buffer_printf(out, "'%s'", text);
        known = true;
    } else if (hex_digits(column, text) > 0) {
        hex_to_postgresql(column, text, out);
        known = true;
    } else if (strcasecmp(text, "null") != 0 &&
               (now_to_postgresql(column, type, text, out) || uuid_to_postgresql(column, text, out)))
        known = true;
    else if (strcasecmp(text, "null") == 0)
        known = false;
    else if ((text[0] == 'b' || text[0] == 'B') && text[1] == '\'' && column->logical == TR_BIT)
        known = bits_to_postgresql(column, text, out);
    else
        known = !number && (constant_to_postgresql(column, text, out) ||
                            (column->target_type == NULL &&
                             expression_default(column, "mysql", "postgresql", text, out)));
    free(text);
    return known;
}

const char *
tr_convert_quoted_default(struct tr_arena *arena, const char *dialect, const struct tr_column *column)
{
    const char *text = column->default_expression;
    bool plain = column->logical <= TR_DECIMAL || column->logical == TR_YEAR || column->logical == TR_BIT;
    if (text == NULL || strcasecmp(text, "null") == 0)
        return NULL;
    if (plain || strcmp(dialect, "mysql") != 0 || text[0] == '\'' ||
        strncasecmp(text, "current_timestamp", 17) == 0 || strchr(text, '(') != NULL ||
        hex_digits(column, text) > 0)
        return text;
    struct tr_buffer out;
    tr_buffer_init(&out, (size_t)1 << 20);
    tr_buffer_byte(&out, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            tr_buffer_byte(&out, *p);
        tr_buffer_byte(&out, *p);
    }
    tr_buffer_byte(&out, '\'');
    text = tr_arena_strdup(arena, out.data);
    tr_buffer_fini(&out);
    return text;
}
