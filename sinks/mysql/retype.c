/*
 * retype.c - a column of the target gets another type and keeps all else that it has: its default, comment, collation, ON UPDATE, AUTO_INCREMENT.
 *
 * MODIFY takes away what it does not say. So the column's line of SHOW CREATE TABLE is taken, with the new type in it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sinks/mysql/apply.h"

/* ------------------------------------------------------------------------------------------- types by their texts */

struct type {
    char name[24];
    long a, b; /* the numbers in its parentheses, -1 = none */
    bool is_unsigned;
    const char *labels; /* behind the parenthesis of enum and set */
};

/* Behind the closing parenthesis, texts inside passed over; NULL = there is none. */
static const char *
behind_parenthesis(const char *p)
{
    bool text = false;
    for (; *p != '\0'; p++) {
        if (*p == '\'')
            text = !text;
        else if (*p == ')' && !text)
            return p + 1;
    }
    return NULL;
}

/* Where the type ends in a column's definition. */
static const char *
type_end(const char *text)
{
    const char *p = text + strcspn(text, " (,");
    if (*p == '(' && (p = behind_parenthesis(p)) == NULL)
        return text + strlen(text);
    if (strncasecmp(p, " unsigned", 9) == 0)
        p += 9;
    return strncasecmp(p, " zerofill", 9) == 0 ? p + 9 : p;
}

static struct type
parse(const char *text)
{
    struct type t = { "", -1, -1, false, NULL };
    size_t n = strcspn(text, " (,");
    snprintf(t.name, sizeof t.name, "%.*s", (int)n, text);
    for (char *p = t.name; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (text[n] == '(' && text[n + 1] == '\'')
        t.labels = text + n + 1;
    else if (text[n] == '(')
        sscanf(text + n, "(%ld,%ld", &t.a, &t.b);
    const char *end = type_end(text);
    size_t len = (size_t)(end - text);
    char *found = memmem(text, len, " unsigned", 9), *big = memmem(text, len, " UNSIGNED", 9);
    t.is_unsigned = t.labels == NULL && (found != NULL || big != NULL);
    return t;
}

static int
place(const char *name, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++)
        if (strcmp(list[i], name) == 0)
            return i;
    return -1;
}

static const char *const integers[] = { "tinyint", "smallint", "mediumint", "int", "bigint", NULL };
static const char *const texts[] = { "tinytext", "text", "mediumtext", "longtext", NULL };
static const char *const blobs[] = { "tinyblob", "blob", "mediumblob", "longblob", NULL };

/* Does a string of at most n units of so many bytes fit into the one that is stored apart? */
static bool
holds(int rank, long n, long width)
{
    static const long bytes[] = { 255, 65535, 16777215, 4294967295 };
    return rank >= 0 && n >= 0 && n * width <= bytes[rank];
}

static bool
string_widens(const struct type *a, const struct type *b)
{
    bool chars = strcmp(a->name, "char") == 0 || strcmp(a->name, "varchar") == 0,
         bytes = strcmp(a->name, "varbinary") == 0;
    int low = place(a->name, texts), high = place(b->name, texts);
    if (low >= 0 || (chars && high >= 0))
        return chars ? holds(high, a->a, 4) : high > low;
    low = place(a->name, blobs);
    high = place(b->name, blobs);
    if (low >= 0 || (bytes && high >= 0))
        return bytes ? holds(high, a->a, 1) : high > low;
    bool same = strcmp(a->name, b->name) == 0 || (chars && strcmp(b->name, "varchar") == 0);
    return (chars || bytes) && same && b->a > a->a;
}

/* Is each label of the one among the other's? They are kept by their texts, whatever their order. */
static bool
labels_widen(const char *some, const char *all)
{
    const char *p = some;
    while (*p == '\'') {
        const char *end = p + 1;
        while (*end != '\0' && (*end != '\'' || *++end == '\''))
            end++;
        size_t n = (size_t)(end - p);
        const char *q = strstr(all, "'");
        bool found = false;
        while (q != NULL && *q == '\'' && !found) {
            const char *stop = q + 1;
            while (*stop != '\0' && (*stop != '\'' || *++stop == '\''))
                stop++;
            found = (size_t)(stop - q) == n && memcmp(q, p, n) == 0;
            q = *stop == ',' ? stop + 1 : NULL;
        }
        if (!found)
            return false;
        p = *end == ',' ? end + 1 : end;
    }
    return true;
}

bool
tr_my_types_alike(const char *one, const char *other)
{
    struct type a = parse(one), b = parse(other);
    if (strcmp(a.name, b.name) != 0 || a.is_unsigned != b.is_unsigned ||
        (a.labels == NULL) != (b.labels == NULL))
        return false;
    if (a.labels != NULL) {
        size_t n = (size_t)(type_end(one) - one), m = (size_t)(type_end(other) - other);
        return n == m && strncmp(one + strlen(a.name), other + strlen(b.name), n - strlen(a.name)) == 0;
    }
    if (place(a.name, integers) >= 0 || strcmp(a.name, "year") == 0)
        return true; /* a width is only for show */
    return (a.a > 0 ? a.a : 0) == (b.a > 0 ? b.a : 0) && (a.b > 0 ? a.b : 0) == (b.b > 0 ? b.b : 0);
}

bool
tr_my_type_widens(const char *from, const char *to)
{
    struct type a = parse(from), b = parse(to);
    int low = place(a.name, integers), high = place(b.name, integers);
    if (low >= 0 && high >= 0)
        return high > low && (a.is_unsigned == b.is_unsigned || a.is_unsigned);
    if (a.labels != NULL || b.labels != NULL)
        return a.labels != NULL && b.labels != NULL && strcmp(a.name, b.name) == 0 &&
               !tr_my_types_alike(from, to) && labels_widen(a.labels, b.labels);
    if (string_widens(&a, &b))
        return true;
    if (strcmp(a.name, b.name) != 0 || a.is_unsigned != b.is_unsigned || tr_my_types_alike(from, to))
        return false;
    if (strcmp(a.name, "decimal") == 0)
        return b.b >= a.b && b.a - (b.b > 0 ? b.b : 0) >= a.a - (a.b > 0 ? a.b : 0);
    bool timed = strcmp(a.name, "datetime") == 0 || strcmp(a.name, "timestamp") == 0 ||
                 strcmp(a.name, "time") == 0;
    return (timed || strcmp(a.name, "bit") == 0) && b.a > a.a;
}

static bool
is_text(const struct type *t)
{
    return strcmp(t->name, "char") == 0 || strcmp(t->name, "varchar") == 0 || place(t->name, texts) >= 0;
}

static bool
is_bytes(const struct type *t)
{
    return strcmp(t->name, "binary") == 0 || strcmp(t->name, "varbinary") == 0 || place(t->name, blobs) >= 0;
}

bool
tr_my_type_converts(const char *from, const char *to)
{
    struct type a = parse(from), b = parse(to);
    bool whole = place(a.name, integers) >= 0 || strcmp(a.name, "year") == 0,
         number = whole || strcmp(a.name, "decimal") == 0;
    bool is_double = strcmp(b.name, "double") == 0;
    if (number && (place(b.name, integers) >= 0 || strcmp(b.name, "decimal") == 0))
        return true;
    if (is_double && (whole || strcmp(a.name, "float") == 0))
        return true;
    if (is_text(&b))
        return number || is_text(&a) || strcmp(a.name, "enum") == 0;
    if (is_bytes(&a) && is_bytes(&b))
        return true;
    if (strcmp(a.name, "date") == 0 && strcmp(b.name, "datetime") == 0)
        return true;
    return a.labels != NULL && strcmp(a.name, b.name) == 0;
}

/* ------------------------------------------------------------------------------------------- the column's line */

/* "  `c` int(11) NOT NULL DEFAULT 5," in SHOW CREATE TABLE: what stands behind the name, without the comma; in `line`. False when there is none. */
static bool
find_line(const char *create, const char *column, struct tr_buffer *line)
{
    struct tr_buffer start;
    tr_buffer_init(&start, 4096);
    tr_buffer_text(&start, "\n  ");
    tr_mysql_identifier(&start, column);
    tr_buffer_byte(&start, ' ');
    const char *at = strstr(create, start.data);
    if (at != NULL) {
        at += start.len;
        size_t n = strcspn(at, "\n");
        n -= n > 0 && at[n - 1] == ',';
        tr_buffer_add(line, at, n);
    }
    tr_buffer_fini(&start);
    return at != NULL;
}

int
tr_my_column_line(MYSQL *conn, const struct tr_my_table *table, const char *column, struct tr_buffer *line,
                  struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "SHOW CREATE TABLE ");
    tr_mysql_qualified(&sql, table->database, table->name);
    int rc = tr_mysql_query(conn, sql.data, &res, err);
    tr_buffer_fini(&sql);
    MYSQL_ROW row = rc == 0 ? mysql_fetch_row(res) : NULL;
    if (rc == 0 && (row == NULL || row[1] == NULL || !find_line(row[1], column, line)))
        rc = tr_fail(err, TR_FATAL, "the target's table %s.%s does not show its column %s", table->database,
                     table->name, column);
    mysql_free_result(res);
    return rc;
}

/* What a type that is no text does not have. */
static const char *
behind_charset(const char *rest)
{
    static const char *const words[] = { " CHARACTER SET ", " COLLATE " };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(rest, words[i], strlen(words[i])) == 0) {
            rest += strlen(words[i]);
            rest += strcspn(rest, " ");
        }
    return rest;
}

/* MySQL takes the default of a text that is stored apart as an expression only. */
static void
write_rest(MYSQL *conn, const char *type, const char *rest, struct tr_buffer *out)
{
    struct type t = parse(type);
    if (!is_text(&t) && t.labels == NULL)
        rest = behind_charset(rest);
    const char *constant = strstr(rest, " DEFAULT '");
    bool apart = place(t.name, texts) >= 0 || place(t.name, blobs) >= 0;
    if (tr_mysql_is_mariadb(conn) || !apart || constant == NULL) {
        tr_buffer_text(out, rest);
        return;
    }
    const char *value = constant + strlen(" DEFAULT "), *end = value + 1;
    while (*end != '\0' && (*end != '\'' || *++end == '\''))
        end++;
    tr_buffer_add(out, rest, (size_t)(value - rest));
    tr_buffer_printf(out, "(%.*s)%s", (int)(end - value), value, end);
}

/* " CHARACTER SET x" and the like of `type` are the target's already. */
int
tr_my_write_retyped(MYSQL *conn, const struct tr_my_table *table, const char *column, const char *type,
                    struct tr_buffer *out, struct tr_error *err)
{
    struct tr_buffer line;
    tr_buffer_init(&line, TR_BUFFER_MAX);
    int rc = tr_my_column_line(conn, table, column, &line, err);
    if (rc == 0) {
        tr_buffer_add(out, type, (size_t)(type_end(type) - type));
        write_rest(conn, type, type_end(line.data), out);
    }
    tr_buffer_fini(&line);
    return rc;
}

#define MARK "tailrace: the source has dropped this column"

/* The words where they stand outside of texts and names; NULL = nowhere. */
static char *
outside_quotes(char *text, const char *words)
{
    char quote = '\0';
    for (char *p = text; *p != '\0'; p++) {
        if (quote == '\0' && strncmp(p, words, strlen(words)) == 0)
            return p;
        if (quote == '\0' ? *p == '\'' || *p == '`' : *p == quote)
            quote = quote == '\0' ? *p : '\0';
    }
    return NULL;
}

void
tr_my_write_nullable_line(char *line, struct tr_buffer *out)
{
    char *strict = outside_quotes(line, " NOT NULL");
    if (strict == NULL)
        tr_buffer_text(out, line);
    else
        tr_buffer_printf(out, "%.*s NULL%s", (int)(strict - line), line, strict + strlen(" NOT NULL"));
}

void
tr_my_write_dropped_line(char *line, struct tr_buffer *out)
{
    char *comment = outside_quotes(line, " COMMENT '");
    if (comment != NULL)
        *comment = '\0';
    char *check = outside_quotes(line,
                                 " CHECK ("); /* MariaDB takes no comment behind it, and NULL needs none */
    if (check != NULL)
        *check = '\0';
    char *strict = outside_quotes(line, " NOT NULL"), *counts = outside_quotes(line, " AUTO_INCREMENT");
    if (counts != NULL && strcmp(counts, " AUTO_INCREMENT") == 0)
        strict = NULL; /* it fills itself */
    if (strict != NULL)
        tr_my_write_nullable_line(line, out);
    else
        tr_buffer_text(out, line);
    tr_buffer_text(out, " COMMENT '" MARK "'");
}

int
tr_my_write_dropped(MYSQL *conn, const struct tr_my_table *table, const char *column, struct tr_buffer *out,
                    struct tr_error *err)
{
    struct tr_buffer line;
    tr_buffer_init(&line, TR_BUFFER_MAX);
    int rc = tr_my_column_line(conn, table, column, &line, err);
    if (rc == 0)
        tr_my_write_dropped_line(line.data, out);
    tr_buffer_fini(&line);
    return rc;
}

int
tr_my_is_dropped(MYSQL *conn, const struct tr_my_table *table, const char *column, bool *dropped,
                 struct tr_error *err)
{
    struct tr_buffer line;
    tr_buffer_init(&line, TR_BUFFER_MAX);
    int rc = tr_my_column_line(conn, table, column, &line, err);
    *dropped = rc == 0 && strstr(line.data, " COMMENT '" MARK "'") != NULL;
    tr_buffer_fini(&line);
    return rc;
}

/* A column keeps its labels by their texts, whatever their order is. */
static bool
has_labels(const struct tr_column *from, const struct tr_column *to)
{
    for (uint32_t i = 0, k = 0; i < from->nlabels; i++) {
        for (k = 0; k < to->nlabels && strcmp(from->labels[i], to->labels[k]) != 0;)
            k++;
        if (k == to->nlabels)
            return false;
    }
    return true;
}

bool
tr_my_widens(const struct tr_column *from, const struct tr_column *to)
{
    bool whole = from->logical >= TR_INT8 && from->logical <= TR_UINT64 && to->logical >= TR_INT8 &&
                 to->logical <= TR_UINT64;
    if (whole)
        return to->logical > from->logical &&
               (from->logical % 2 == to->logical % 2 || to->logical % 2 == TR_INT8 % 2);
    if ((from->logical == TR_TEXT || from->logical == TR_CHAR) && to->logical == TR_TEXT)
        return to->length < 0 || (from->length >= 0 && to->length >= from->length);
    if (from->logical == TR_DECIMAL && to->logical == TR_DECIMAL)
        return to->precision < 0 || (from->precision >= 0 && to->scale >= from->scale &&
                                     to->precision - to->scale >= from->precision - from->scale);
    if (from->nlabels > 0 && from->logical == to->logical)
        return has_labels(from, to);
    return (from->logical == TR_TIMESTAMP || from->logical == TR_TIME || from->logical == TR_TIMESTAMPTZ) &&
           from->logical == to->logical && to->scale >= from->scale;
}

static bool
same_labels(const struct tr_column *before, const struct tr_column *after)
{
    bool same = before->nlabels == after->nlabels;
    for (uint32_t i = 0; same && i < before->nlabels; i++)
        same = strcmp(before->labels[i], after->labels[i]) == 0;
    return same;
}

bool
tr_my_is_retyped(const struct tr_column *before, const struct tr_column *after)
{
    return before->logical != after->logical || before->length != after->length ||
           before->precision != after->precision || before->scale != after->scale ||
           !same_labels(before, after);
}

bool
tr_my_same_shape(const struct tr_relation *before, const struct tr_relation *after)
{
    bool same = tr_relation_same_shape(before, after);
    for (uint16_t i = 0; same && i < before->ncolumns; i++)
        same = !tr_my_is_retyped(&before->columns[i], &after->columns[i]);
    return same;
}
