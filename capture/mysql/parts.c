/*
 * parts.c - a table split by the values of an index, where its key is not one whole number.
 *
 * The largest range is halved again and again: a value in the middle is made up, the next row behind it gives a real one, and the server's own estimate says how
 * many rows are on each side. A bound that is chosen badly makes parts of different size, never a row too many or too few: the parts are "below" and "not below"
 * the same values, and rows whose column is NULL belong to the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"

#define KEY_MAX 3 /* columns of an index that tell parts apart */
#define TRIES 8   /* halvings for each part that is wanted */

struct tr_mysql_bounds {
    struct tr_mysql_bounds *next;
    char *schema, *name;
    const struct tr_column *columns[KEY_MAX]; /* of the relation that is held */
    struct tr_relation *relation;
    uint16_t ncolumns;
    int count;
    char *(*values)[KEY_MAX]; /* count of them, as literals */
};

struct range {
    char *low[KEY_MAX]; /* literals */
    char *raw[KEY_MAX]; /* the texts behind them */
    double rows;
    bool whole; /* cannot be halved */
};

struct split {
    struct tr_mysql_source *source;
    struct tr_mysql_bounds *bounds;
    struct range *ranges;
    int count, capacity;
    struct range end; /* the last row */
    struct tr_buffer sql;
};

/* ------------------------------------------------------------------------------------------- columns */

static bool
is_number(const struct tr_column *column)
{
    return (column->logical >= TR_INT8 && column->logical <= TR_UINT64) || column->logical == TR_DECIMAL;
}

static bool
is_moment(const struct tr_column *column)
{
    return column->logical == TR_DATE || column->logical == TR_TIMESTAMP || column->logical == TR_TIMESTAMPTZ;
}

/* An order that is the same for the index and for a comparison with a literal: of texts, those that need no conversion between character sets. */
static bool
is_usable(const struct tr_column *column)
{
    bool text = (column->logical == TR_TEXT || column->logical == TR_CHAR) && column->collation != NULL &&
                strncmp(column->collation, "utf8mb4", 7) == 0;
    return is_number(column) || is_moment(column) ||
           ((text || column->logical == TR_BYTES) && column->length > 0);
}

static int
index_column(struct tr_mysql_source *source, struct tr_mysql_bounds *bounds, struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(
        &sql,
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE SEQ_IN_INDEX = 1 AND SUB_PART IS NULL AND"
        " INDEX_TYPE = 'BTREE' AND COLUMN_NAME IS NOT NULL AND TABLE_SCHEMA = ");
    tr_mysql_literal(&sql, bounds->schema, strlen(bounds->schema));
    tr_buffer_text(&sql, " AND TABLE_NAME = ");
    tr_mysql_literal(&sql, bounds->name, strlen(bounds->name));
    tr_buffer_text(&sql, " ORDER BY NON_UNIQUE, CARDINALITY DESC, INDEX_NAME");
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    for (MYSQL_ROW row; bounds->ncolumns == 0 && (row = mysql_fetch_row(res)) != NULL;) {
        int c = row[0] != NULL ? tr_relation_column(bounds->relation, row[0]) : -1;
        if (c >= 0 && is_usable(&bounds->relation->columns[c]))
            bounds->columns[bounds->ncolumns++] = &bounds->relation->columns[c];
    }
    mysql_free_result(res);
    return 0;
}

static int
choose_columns(struct tr_mysql_source *source, struct tr_mysql_bounds *bounds, struct tr_error *err)
{
    const struct tr_relation *relation = bounds->relation;
    for (uint16_t i = 0; i < relation->nkeys && i < KEY_MAX; i++) {
        const struct tr_column *column = &relation->columns[relation->keys[i]];
        if (!is_usable(column))
            break;
        bounds->columns[bounds->ncolumns++] = column;
    }
    return relation->nkeys > 0 ? 0 : index_column(source, bounds, err);
}

/* ------------------------------------------------------------------------------------------- conditions */

/* (a > x OR (a = x AND b >= y)), or with `below` what is left: (a < x OR (a = x AND b < y)) */
static void
write_side(const struct tr_mysql_bounds *bounds, char *const *values, bool below, struct tr_buffer *sql)
{
    for (uint16_t i = 0; i < bounds->ncolumns; i++) {
        bool last = i + 1 == bounds->ncolumns;
        tr_buffer_byte(sql, '(');
        tr_mysql_identifier(sql, bounds->columns[i]->name);
        tr_buffer_printf(sql, " %s%s %s", below ? "<" : ">", last && !below ? "=" : "", values[i]);
        if (last)
            break;
        tr_buffer_text(sql, " OR (");
        tr_mysql_identifier(sql, bounds->columns[i]->name);
        tr_buffer_printf(sql, " = %s AND ", values[i]);
    }
    for (uint16_t i = 0; i < bounds->ncolumns; i++)
        tr_buffer_text(sql, i + 1 < bounds->ncolumns ? "))" : ")");
}

static void
write_columns(const struct tr_mysql_bounds *bounds, const char *behind, struct tr_buffer *sql)
{
    for (uint16_t i = 0; i < bounds->ncolumns; i++) {
        tr_buffer_text(sql, i > 0 ? ", " : "");
        tr_mysql_identifier(sql, bounds->columns[i]->name);
        tr_buffer_text(sql, behind);
    }
}

static struct tr_mysql_bounds *
find(struct tr_mysql_source *source, const struct tr_relation *relation)
{
    struct tr_mysql_bounds *bounds;
    pthread_mutex_lock(&source->pool.lock);
    for (bounds = source->bounds; bounds != NULL; bounds = bounds->next)
        if (strcmp(bounds->name, relation->name) == 0 && strcmp(bounds->schema, relation->schema) == 0)
            break;
    pthread_mutex_unlock(&source->pool.lock);
    return bounds;
}

void
tr_mysql_write_part(struct tr_mysql_source *source, const struct tr_relation *relation,
                    const struct tr_table_part *part, struct tr_buffer *sql)
{
    const struct tr_mysql_bounds *bounds = find(source, relation);
    bool from = part->from != 0, to = part->to != UINT64_MAX;
    if (bounds == NULL || (!from && !to))
        return;
    tr_buffer_text(sql, " WHERE ");
    if (from)
        write_side(bounds, bounds->values[part->from - 1], false, sql);
    tr_buffer_text(sql, from && to ? " AND " : "");
    if (to)
        write_side(bounds, bounds->values[part->to - 1], true, sql);
    if (!from && !bounds->columns[0]->not_null) {
        tr_buffer_text(sql, " OR ");
        tr_mysql_identifier(sql, bounds->columns[0]->name);
        tr_buffer_text(sql, " IS NULL");
    }
}

/* ------------------------------------------------------------------------------------------- values in between */

static char *
literal(const struct tr_column *column, const char *text, size_t len)
{
    struct tr_buffer out;
    tr_buffer_init(&out, (size_t)1 << 20);
    if (is_number(column)) {
        tr_buffer_add(&out, text, len);
    } else if (column->logical == TR_BYTES) {
        tr_buffer_text(&out, "x'");
        tr_buffer_hex(&out, text, len);
        tr_buffer_byte(&out, '\'');
    } else {
        tr_mysql_literal(&out, text, len);
    }
    char *copy = tr_strdup(out.data);
    tr_buffer_fini(&out);
    return copy;
}

/* Between two texts: what they share, then bytes half way. Those of a text stay printable. */
static char *
middle_text(const struct tr_column *column, const char *low, const char *high)
{
    int least = column->logical == TR_BYTES ? 1 : ' ', most = column->logical == TR_BYTES ? 255 : '~';
    unsigned char made[1100];
    size_t shared = 0, n;
    while (low[shared] != '\0' && low[shared] == high[shared] && shared < 1000)
        shared++;
    while (shared > 0 && ((unsigned char)low[shared] & 0xc0) == 0x80 && column->logical != TR_BYTES)
        shared--;
    memcpy(made, low, shared);
    n = shared;
    double a = 0, b = 0, scale = 1, base = most - least + 1;
    bool low_ended = false, high_ended = false;
    for (int i = 0; i < 5; i++) {
        unsigned char x = low_ended ? 0 : (unsigned char)low[shared + (size_t)i];
        unsigned char y = high_ended ? 0 : (unsigned char)high[shared + (size_t)i];
        low_ended = low_ended || x == 0;
        high_ended = high_ended || y == 0;
        scale /= base;
        a += scale * (x < least ? 0 : x > most ? base - 1 : x - least);
        b += scale * (y < least ? 0 : y > most ? base - 1 : y - least);
    }
    double half = (a + b) / 2;
    for (int i = 0; i < 5; i++) {
        half *= base;
        int digit = (int)half;
        half -= digit;
        made[n++] = (unsigned char)(least + (digit < (int)base ? digit : (int)base - 1));
    }
    return b > a ? literal(column, (const char *)made, n) : NULL;
}

static char *
middle_number(const char *low, const char *high)
{
    char text[80];
    long double a = strtold(low, NULL), b = strtold(high, NULL);
    if (!(b > a))
        return NULL;
    snprintf(text, sizeof text, "%.0Lf", a + (b - a) / 2);
    return tr_strdup(text);
}

static char *
middle_moment(const char *low, const char *high)
{
    return tr_asprintf(
        "(CAST('%.26s' AS DATETIME(6)) + INTERVAL TIMESTAMPDIFF(SECOND, '%.26s', '%.26s') DIV 2 SECOND)", low,
        low, high);
}

static char *
middle(const struct tr_column *column, const char *low, const char *high)
{
    if (strcmp(low, high) == 0)
        return NULL;
    return is_number(column)   ? middle_number(low, high)
           : is_moment(column) ? middle_moment(low, high)
                               : middle_text(column, low, high);
}

/* ------------------------------------------------------------------------------------------- asking */

static void
clear(struct range *range)
{
    for (int i = 0; i < KEY_MAX; i++) {
        free(range->low[i]);
        free(range->raw[i]);
    }
    *range = (struct range){ .rows = 0 };
}

/* The one row of what s->sql asks; *found tells whether there is one. */
static int
ask_row(struct split *s, struct range *out, bool *found, struct tr_error *err)
{
    MYSQL_RES *res;
    *out = (struct range){ .rows = 0 };
    *found = false;
    int rc = tr_mysql_ask(s->source, s->sql.data, &res, err);
    if (rc < 0)
        return tr_mysql_vanished(err);
    MYSQL_ROW row = mysql_fetch_row(res);
    const unsigned long *lengths = row != NULL ? mysql_fetch_lengths(res) : NULL;
    *found = row != NULL;
    for (uint16_t i = 0; *found && i < s->bounds->ncolumns; i++)
        *found = row[i] != NULL;
    for (uint16_t i = 0; *found && i < s->bounds->ncolumns; i++) {
        out->raw[i] = tr_strdup(row[i]);
        out->low[i] = literal(s->bounds->columns[i], row[i], lengths[i]);
    }
    mysql_free_result(res);
    return 0;
}

static void
begin(struct split *s)
{
    tr_buffer_reset(&s->sql);
    tr_buffer_text(&s->sql, "SELECT ");
    write_columns(s->bounds, "", &s->sql);
    tr_buffer_text(&s->sql, " FROM ");
    tr_mysql_qualified(&s->sql, s->bounds->schema, s->bounds->name);
    tr_buffer_text(&s->sql, " WHERE ");
    tr_mysql_identifier(&s->sql, s->bounds->columns[0]->name);
}

static int
ask_edge(struct split *s, bool last, struct range *out, bool *found, struct tr_error *err)
{
    begin(s);
    tr_buffer_text(&s->sql, " IS NOT NULL ORDER BY ");
    write_columns(s->bounds, last ? " DESC" : "", &s->sql);
    tr_buffer_text(&s->sql, " LIMIT 1");
    return ask_row(s, out, found, err);
}

/* The first row at or behind `value`, strictly between the range's own and the next one's. */
static int
ask_between(struct split *s, uint16_t depth, const char *value, const struct range *low,
            const struct range *high, struct range *out, bool *found, struct tr_error *err)
{
    const struct tr_mysql_bounds *b = s->bounds;
    begin(s);
    tr_buffer_printf(&s->sql, " %s %s", depth == 0 ? ">=" : "=", depth == 0 ? value : low->low[0]);
    if (depth == 1) {
        tr_buffer_text(&s->sql, " AND ");
        tr_mysql_identifier(&s->sql, b->columns[1]->name);
        tr_buffer_printf(&s->sql, " >= %s", value);
    }
    tr_buffer_text(&s->sql, " AND ");
    tr_mysql_identifier(&s->sql, b->columns[depth]->name);
    tr_buffer_printf(&s->sql, " > %s AND ", low->low[depth]);
    if (high == &s->end)
        tr_buffer_text(&s->sql, "1 = 1");
    else
        write_side(b, high->low, true, &s->sql);
    tr_buffer_text(&s->sql, " ORDER BY ");
    write_columns(b, "", &s->sql);
    tr_buffer_text(&s->sql, " LIMIT 1");
    return ask_row(s, out, found, err);
}

static int
estimate(struct split *s, int at, struct tr_error *err)
{
    MYSQL_RES *res;
    const struct range *range = &s->ranges[at];
    tr_buffer_reset(&s->sql);
    tr_buffer_text(&s->sql, "EXPLAIN SELECT ");
    write_columns(s->bounds, "", &s->sql);
    tr_buffer_text(&s->sql, " FROM ");
    tr_mysql_qualified(&s->sql, s->bounds->schema, s->bounds->name);
    tr_buffer_text(&s->sql, " WHERE ");
    write_side(s->bounds, range->low, false, &s->sql);
    if (at + 1 < s->count) {
        tr_buffer_text(&s->sql, " AND ");
        write_side(s->bounds, s->ranges[at + 1].low, true, &s->sql);
    }
    int rc = tr_mysql_ask(s->source, s->sql.data, &res, err);
    MYSQL_ROW row = rc == 0 ? mysql_fetch_row(res) : NULL;
    s->ranges[at].rows = 0;
    for (unsigned i = 0; row != NULL && i < mysql_num_fields(res); i++)
        if (strcmp(mysql_fetch_field_direct(res, i)->name, "rows") == 0 && row[i] != NULL)
            s->ranges[at].rows = strtod(row[i], NULL);
    if (rc == 0)
        mysql_free_result(res);
    return rc < 0 ? tr_mysql_vanished(err) : 0;
}

/* ------------------------------------------------------------------------------------------- halving */

static int
insert(struct split *s, int at, const struct range *range, struct tr_error *err)
{
    memmove(&s->ranges[at + 1], &s->ranges[at], (size_t)(s->count - at) * sizeof *s->ranges);
    s->ranges[at] = *range;
    s->count++;
    int rc = estimate(s, at - 1, err);
    return rc < 0 ? rc : estimate(s, at, err);
}

/* By the first column; among rows that are alike in it, by the second. */
static int
halve(struct split *s, int at, struct tr_error *err)
{
    const struct range *low = &s->ranges[at], *high = at + 1 < s->count ? &s->ranges[at + 1] : &s->end;
    struct range found;
    bool any = false;
    int rc = 0;
    char *value = middle(s->bounds->columns[0], low->raw[0], high->raw[0]);
    if (value != NULL)
        rc = ask_between(s, 0, value, low, high, &found, &any, err);
    free(value);
    if (rc == 0 && !any && s->bounds->ncolumns > 1) {
        struct range last;
        begin(s);
        tr_buffer_printf(&s->sql, " = %s ORDER BY ", low->low[0]);
        write_columns(s->bounds, " DESC", &s->sql);
        tr_buffer_text(&s->sql, " LIMIT 1");
        rc = ask_row(s, &last, &any, err);
        bool same = high != &s->end && strcmp(high->raw[0], low->raw[0]) == 0;
        value = any ? middle(s->bounds->columns[1], low->raw[1], same ? high->raw[1] : last.raw[1]) : NULL;
        any = false;
        if (rc == 0 && value != NULL)
            rc = ask_between(s, 1, value, low, high, &found, &any, err);
        if (any && same && strcmp(found.raw[1], high->raw[1]) == 0) {
            clear(&found);
            any = false;
        }
        free(value);
        clear(&last);
    }
    if (rc == 0 && !any)
        s->ranges[at].whole = true;
    return rc == 0 && any ? insert(s, at + 1, &found, err) : rc;
}

static int
halve_largest(struct split *s, int wanted, struct tr_error *err)
{
    int rc = 0;
    for (int tries = wanted * TRIES; rc == 0 && s->count < wanted && tries > 0; tries--) {
        int largest = -1;
        for (int i = 0; i < s->count; i++)
            if (!s->ranges[i].whole && (largest < 0 || s->ranges[i].rows > s->ranges[largest].rows))
                largest = i;
        if (largest < 0)
            break;
        rc = halve(s, largest, err);
    }
    return rc;
}

static void
keep(struct split *s, struct tr_table_part *parts)
{
    struct tr_mysql_bounds *bounds = s->bounds;
    bounds->count = s->count - 1;
    bounds->values = tr_calloc((size_t)s->count, sizeof *bounds->values);
    for (int i = 0; i < s->count; i++) {
        parts[i] = (struct tr_table_part){ .from = (uint64_t)i,
                                           .to = i + 1 < s->count ? (uint64_t)i + 1 : UINT64_MAX,
                                           .rows = (uint64_t)s->ranges[i].rows };
        for (uint16_t c = 0; i > 0 && c < bounds->ncolumns; c++)
            bounds->values[i - 1][c] = tr_strdup(s->ranges[i].low[c]);
    }
    pthread_mutex_lock(&s->source->pool.lock);
    bounds->next = s->source->bounds;
    s->source->bounds = bounds;
    pthread_mutex_unlock(&s->source->pool.lock);
}

static void
bounds_free(struct tr_mysql_bounds *bounds)
{
    for (int i = 0; i < bounds->count; i++)
        for (int c = 0; c < KEY_MAX; c++)
            free(bounds->values[i][c]);
    free(bounds->values);
    free(bounds->schema);
    free(bounds->name);
    tr_relation_unref(bounds->relation);
    free(bounds);
}

void
tr_mysql_bounds_free(struct tr_mysql_source *source)
{
    for (struct tr_mysql_bounds *bounds = source->bounds, *next; bounds != NULL; bounds = next) {
        next = bounds->next;
        bounds_free(bounds);
    }
    source->bounds = NULL;
}

int
tr_mysql_split(struct tr_mysql_source *source, const struct tr_relation *relation,
               struct tr_table_part *parts, int wanted, struct tr_error *err)
{
    struct tr_mysql_bounds *bounds = tr_calloc(1, sizeof *bounds);
    struct split s = { .source = source, .bounds = bounds };
    bool any = false;
    bounds->schema = tr_strdup(relation->schema);
    bounds->name = tr_strdup(relation->name);
    bounds->relation = tr_relation_ref((struct tr_relation *)(uintptr_t)relation);
    tr_buffer_init(&s.sql, (size_t)1 << 20);
    s.ranges = tr_calloc((size_t)wanted + 1, sizeof *s.ranges);
    int rc = choose_columns(source, bounds, err);
    if (rc == 0 && bounds->ncolumns > 0)
        rc = ask_edge(&s, false, &s.ranges[0], &any, err);
    if (rc == 0 && any) {
        s.count = 1;
        rc = ask_edge(&s, true, &s.end, &any, err);
    }
    if (rc == 0 && any)
        rc = halve_largest(&s, wanted, err);
    int count = rc < 0 ? rc : s.count > 1 ? s.count : 1;
    if (count > 1)
        keep(&s, parts);
    else
        bounds_free(bounds);
    if (count == 1)
        parts[0] = (struct tr_table_part){ .from = 0, .to = UINT64_MAX };
    for (int i = 0; i < s.count; i++)
        clear(&s.ranges[i]);
    clear(&s.end);
    free(s.ranges);
    tr_buffer_fini(&s.sql);
    return count;
}
