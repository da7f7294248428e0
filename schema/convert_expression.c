/* convert_expression.c - the few defaults and expressions that mean the same in both dialects. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/convert.h"

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
        else if (p[0] == '\\' && backslashes && p[1] != '\0')
            p++;
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

static bool
constant_to_mysql(const struct tr_column *column, const char *type, const struct tr_convert_target *target,
                  const char *text, struct tr_buffer *out)
{
    struct tr_buffer value;
    bool known = false;
    tr_buffer_init(&value, (size_t)1 << 20);
    const char *end = quoted(text, false, &value);
    if (end != NULL && only_casts(end) && same_spelling(column->logical)) {
        bool apart = stored_apart(type) &&
                     !target->mariadb; /* MySQL takes a default there as an expression only */
        tr_buffer_text(out, apart ? "(" : "");
        mysql_literal(value.len > 0 ? value.data : "", out);
        tr_buffer_text(out, apart ? ")" : "");
        known = true;
    }
    tr_buffer_fini(&value);
    return known;
}

static bool
now_to_mysql(const struct tr_column *column, const char *type, struct tr_buffer *out)
{
    static const char *const now[] = {
        "now()", "current_timestamp", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()",
        NULL
    };
    const char *text = column->default_expression;
    if (strncmp(type, "DATETIME(", 9) == 0 && among(text, now)) {
        tr_buffer_printf(out, "CURRENT_TIMESTAMP(%c)", type[9]);
        return true;
    }
    return false;
}

bool
tr_convert_default_to_mysql(const struct tr_column *column, const char *type,
                            const struct tr_convert_target *target, struct tr_buffer *out)
{
    const char *text = column->default_expression;
    if (now_to_mysql(column, type, out))
        return true;
    if (column->logical == TR_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        tr_buffer_text(out, text[0] == 't' ? "1" : "0");
        return true;
    }
    if (strcmp(text, "gen_random_uuid()") == 0 && column->logical == TR_UUID) {
        tr_buffer_text(out, "(UUID())");
        return true;
    }
    const char *inner = text;
    size_t len = strlen(text);
    if (text[0] == '(' && len > 2) { /* '(-1)' and "('-1'::integer)" */
        const char *close = strchr(text, ')');
        inner = text + 1;
        const char *end = number_end(inner);
        if (end != NULL && end == close && only_casts(close + 1)) {
            tr_buffer_add(out, inner, (size_t)(end - inner));
            return true;
        }
        return false;
    }
    const char *end = number_end(inner);
    if (end != NULL && only_casts(end) && same_spelling(column->logical)) {
        tr_buffer_add(out, inner, (size_t)(end - inner));
        return true;
    }
    return constant_to_mysql(column, type, target, text, out);
}

bool
tr_convert_default_to_postgresql(const struct tr_column *column, const char *type, struct tr_buffer *out)
{
    const char *text = column->default_expression;
    struct tr_buffer value;
    if (strncasecmp(text, "current_timestamp", 17) == 0 || strcasecmp(text, "now()") == 0) {
        bool time = strncmp(type, "timestamp", 9) == 0;
        tr_buffer_text(out, time ? "CURRENT_TIMESTAMP" : "");
        return time;
    }
    if (strcasecmp(text, "uuid()") == 0) {
        tr_buffer_text(out, column->logical == TR_UUID ? "gen_random_uuid()" : "");
        return column->logical == TR_UUID;
    }
    if (strcasecmp(text, "null") == 0 || strncmp(text, "'0000-00-00", 11) == 0)
        return false;
    if ((text[0] == 'b' || text[0] == 'B') && text[1] == '\'' && column->logical == TR_BIT) {
        size_t digits = strspn(text + 2, "01");
        tr_buffer_text(out, "B'");
        for (size_t i = digits; column->length > 0 && i < (size_t)column->length; i++)
            tr_buffer_byte(out, '0');
        tr_buffer_add(out, text + 2, digits);
        tr_buffer_byte(out, '\'');
        return text[2 + digits] == '\'';
    }
    const char *end = number_end(text);
    if (end != NULL && *end == '\0') {
        tr_buffer_printf(out, "'%s'", text);
        return true;
    }
    tr_buffer_init(&value, (size_t)1 << 20);
    end = quoted(text, true, &value);
    bool known = end != NULL && *end == '\0' && column->logical != TR_BYTES && column->logical != TR_BIT;
    if (known)
        postgresql_literal(value.len > 0 ? value.data : "", out);
    tr_buffer_fini(&value);
    return known;
}

static void
identifier(const char *name, char quote, struct tr_buffer *out)
{
    tr_buffer_byte(out, quote);
    for (; *name != '\0'; name++) {
        if (*name == quote)
            tr_buffer_byte(out, quote);
        tr_buffer_byte(out, *name);
    }
    tr_buffer_byte(out, quote);
}

/* An identifier at p, plain or quoted; its end, or NULL. Only names of columns are taken, and of those only whole numbers. */
static const char *
operand(const struct tr_relation *relation, const char *p, char quote, struct tr_buffer *out)
{
    char name[260];
    size_t n = 0;
    char open = *p == '"' || *p == '`' ? *p : '\0';
    p += open != '\0';
    while (*p != '\0' && n < sizeof name - 1 &&
           (open != '\0' ? *p != open : isalnum((unsigned char)*p) || *p == '_'))
        name[n++] = *p++;
    name[n] = '\0';
    if (open != '\0' && *p++ != open)
        return NULL;
    int column = n > 0 ? tr_relation_column(relation, name) : -1;
    if (column < 0)
        return NULL;
    enum tr_logical logical = relation->columns[column].logical;
    if (!(logical >= TR_INT8 && logical <= TR_INT64 && logical != TR_UINT64) && logical != TR_DECIMAL)
        return NULL;
    identifier(name, quote, out);
    return p;
}

bool
tr_convert_expression(const struct tr_relation *relation, const char *text, char quote, struct tr_buffer *out)
{
    const char *p = text;
    while (*p != '\0') {
        if (isdigit((unsigned char)*p)) {
            const char *end = number_end(p);
            if (end == NULL || isalpha((unsigned char)*end))
                return false;
            tr_buffer_add(out, p, (size_t)(end - p));
            p = end;
        } else if (strchr("()+-* ", *p) != NULL) {
            tr_buffer_byte(out, *p++);
        } else if ((p = operand(relation, p, quote, out)) == NULL) {
            return false;
        }
    }
    return true;
}
