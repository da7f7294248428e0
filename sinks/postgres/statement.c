/*
 * statement.c - the SQL of a change and its parameters.
 *
 * Every statement takes one array per column and unnests them side by side, so that one prepared statement serves one row and a thousand. All
 * identifiers are quoted, all values bound.
 */
#include "sinks/postgres/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define MAX_STATEMENTS 64 /* of one relation; unchanged TOAST makes a column set of its own */
#define SQL_MAX ((size_t)16 << 20)

/* By enum tr_pg_carry: the array type of the parameter and its element type (pg_type.dat). */
static const struct {
    Oid array, element;
} types[] = {
    [TR_PG_CARRY_TEXT] = { 1009, 25 },        [TR_PG_CARRY_STRING] = { 1009, 25 },
    [TR_PG_CARRY_BOOL] = { 1000, 16 },        [TR_PG_CARRY_INT2] = { 1005, 21 },
    [TR_PG_CARRY_INT4] = { 1007, 23 },        [TR_PG_CARRY_INT8] = { 1016, 20 },
    [TR_PG_CARRY_OID] = { 1028, 26 },         [TR_PG_CARRY_BYTEA] = { 1001, 17 },
    [TR_PG_CARRY_UUID] = { 2951, 2950 },      [TR_PG_CARRY_DATE] = { 1182, 1082 },
    [TR_PG_CARRY_TIMESTAMP] = { 1115, 1114 }, [TR_PG_CARRY_TIMESTAMPTZ] = { 1185, 1184 },
};

struct writer {
    struct tr_pg_statement *statement;
    const struct tr_pg_map *map;
    struct tr_buffer *sql;
};

static const struct tr_pg_column *
target_column(const struct tr_pg_map *map, uint16_t column)
{
    return &map->table->columns[map->target[column]];
}

static void
name_of(struct writer *w, uint16_t column)
{
    tr_pg_identifier(w->sql, target_column(w->map, column)->name);
}

/* Make room for a value of a column in the parameters, and name it in the SQL: u.p3, with a cast where it travels as text. */
static void
value_of(struct writer *w, uint16_t column, bool old)
{
    struct tr_pg_statement *s = w->statement;
    const struct tr_pg_column *target = target_column(w->map, column);
    enum tr_pg_carry carry = s->as_text ? TR_PG_CARRY_TEXT : tr_pg_carry_of(target->type_oid);
    s->params[s->nparams] = (struct tr_pg_param){ .column = column, .old = old, .carry = (uint8_t)carry };
    s->types[s->nparams] = types[carry].array;
    bool input = carry == TR_PG_CARRY_TEXT && target->input_open != NULL;
    tr_buffer_printf(w->sql, "%su.p%u%s", input ? target->input_open : "", s->nparams,
                     input ? target->input_close : "");
    s->nparams++;
    if (carry == TR_PG_CARRY_TEXT)
        tr_buffer_printf(w->sql, "::%s", target->type);
}

/* unnest($1, $2) AS u(p0, p1) for the parameters named so far. Rows without a value are counted by one that is always NULL. */
static void
unnest(struct writer *w)
{
    struct tr_pg_statement *s = w->statement;
    if (s->nparams == 0) {
        s->params[0] = (struct tr_pg_param){ .column = TR_PG_NO_COLUMN, .carry = TR_PG_CARRY_TEXT };
        s->types[s->nparams++] = types[TR_PG_CARRY_TEXT].array;
    }
    tr_buffer_text(w->sql, "unnest(");
    for (unsigned i = 0; i < w->statement->nparams; i++)
        tr_buffer_printf(w->sql, "%s$%u", i > 0 ? ", " : "", i + 1);
    tr_buffer_text(w->sql, ") AS u(");
    for (unsigned i = 0; i < w->statement->nparams; i++)
        tr_buffer_printf(w->sql, "%sp%u", i > 0 ? ", " : "", i);
    tr_buffer_text(w->sql, ")");
}

static void
match_key(struct writer *w)
{
    for (uint16_t i = 0; i < w->map->nkey; i++) {
        uint16_t column = w->map->key[i];
        tr_buffer_text(w->sql, i > 0 ? " AND t." : "t.");
        name_of(w, column);
        if (w->map->equals[i] != NULL) {
            tr_buffer_printf(w->sql, " %s ", w->map->equals[i]);
            value_of(w, column, true);
        } else {
            tr_buffer_text(w->sql, "::text = (");
            value_of(w, column, true);
            tr_buffer_text(w->sql, ")::text");
        }
    }
}

/* Sameness of a column with the old image: NULLs are equal, and types without an = of their own are compared as they print. */
static void
match_old(struct writer *w, uint16_t column)
{
    const struct tr_pg_column *target = target_column(w->map, column);
    bool string = tr_pg_carry_of(target->type_oid) == TR_PG_CARRY_STRING;
    tr_buffer_text(w->sql, "x.");
    name_of(w, column);
    tr_buffer_text(w->sql, target->comparable ? (string ? " COLLATE \"C\"" : "") : "::text");
    tr_buffer_text(w->sql, " IS NOT DISTINCT FROM (");
    value_of(w, column, true);
    tr_buffer_text(w->sql, target->comparable ? ")" : ")::text");
}

static void
match_whole_row(struct writer *w, struct tr_buffer *from, const struct tr_value *old)
{
    struct tr_buffer *sql = w->sql;
    const char *link = " WHERE ";
    w->sql = from;
    tr_buffer_text(from, " CROSS JOIN LATERAL (SELECT x.ctid, x.tableoid FROM ");
    tr_pg_qualified(from, w->map->table->schema, w->map->table->name);
    tr_buffer_text(from, " AS x");
    for (uint16_t i = 0; i < w->map->relation->ncolumns; i++) {
        if (w->map->target[i] < 0 || old[i].state == TR_ABSENT)
            continue;
        tr_buffer_text(from, link);
        match_old(w, i);
        link = " AND ";
    }
    tr_buffer_text(from, " LIMIT 1) AS m WHERE t.ctid = m.ctid AND t.tableoid = m.tableoid");
    w->sql = sql;
}

static bool
is_key(const struct tr_pg_map *map, uint16_t column)
{
    for (uint16_t i = 0; i < map->nkey; i++)
        if (map->key[i] == column)
            return true;
    return false;
}

static void
write_insert(struct writer *w, const struct tr_value *row)
{
    struct tr_buffer values;
    const char *comma = "";
    tr_buffer_init(&values, SQL_MAX);
    tr_buffer_text(w->sql, "INSERT INTO ");
    tr_pg_qualified(w->sql, w->map->table->schema, w->map->table->name);
    tr_buffer_text(w->sql, w->map->plan.bare ? "" : " (");
    for (uint16_t i = 0; i < w->map->relation->ncolumns; i++) {
        if (w->map->target[i] < 0 || row[i].state == TR_ABSENT)
            continue;
        tr_buffer_text(w->sql, comma);
        name_of(w, i);
        tr_buffer_text(&values, comma);
        value_of(&(struct writer){ w->statement, w->map, &values }, i, false);
        comma = ", ";
    }
    tr_buffer_printf(w->sql, "%s%s SELECT %s FROM ", w->map->plan.bare ? "" : ")",
                     w->map->override ? " OVERRIDING SYSTEM VALUE" : "",
                     values.data != NULL ? values.data : "");
    unnest(w);
    tr_buffer_fini(&values);
}

/*
 * An identity column GENERATED ALWAYS cannot be set by an update: it must have its value already. Where it has not, no row is found, and the row is
 * taken out and put back instead (conflict.c).
 */
static void
match_identity(struct writer *w, const struct tr_value *row)
{
    for (uint16_t i = 0; i < w->map->relation->ncolumns; i++) {
        if (w->map->target[i] < 0 || row[i].state == TR_ABSENT || !target_column(w->map, i)->identity_always)
            continue;
        tr_buffer_text(w->sql, " AND t.");
        name_of(w, i);
        tr_buffer_text(w->sql, " OPERATOR(pg_catalog.=) ");
        value_of(w, i, false);
    }
}

static void
write_update(struct writer *w, const struct tr_value *key, const struct tr_value *row)
{
    bool by_key = w->statement->op == TR_SQL_UPDATE;
    const char *comma = "";
    tr_buffer_text(w->sql, "UPDATE ");
    tr_pg_qualified(w->sql, w->map->table->schema, w->map->table->name);
    tr_buffer_text(w->sql, " AS t SET ");
    for (uint16_t i = 0; i < w->map->relation->ncolumns; i++) {
        if (w->map->target[i] < 0 || row[i].state == TR_ABSENT || (by_key && is_key(w->map, i)) ||
            target_column(w->map, i)->identity_always)
            continue;
        tr_buffer_text(w->sql, comma);
        name_of(w, i);
        tr_buffer_text(w->sql, " = ");
        value_of(w, i, false);
        comma = ", ";
    }
    if (comma[0] == '\0') { /* nothing but the key: the row must be there all the same */
        uint16_t any = 0;
        while (any < w->map->relation->ncolumns - 1 &&
               (w->map->target[any] < 0 || target_column(w->map, any)->identity_always))
            any++;
        name_of(w, any);
        tr_buffer_text(w->sql, " = t.");
        name_of(w, any);
    }
    struct tr_buffer where;
    tr_buffer_init(&where, SQL_MAX);
    struct tr_buffer *sql = w->sql;
    w->sql = &where;
    if (w->statement->op == TR_SQL_UPDATE_ROW) {
        match_whole_row(w, &where, key);
    } else {
        tr_buffer_text(&where, " WHERE ");
        match_key(w);
    }
    match_identity(w, row);
    w->sql = sql;
    tr_buffer_text(sql, " FROM ");
    unnest(w);
    tr_buffer_add(sql, where.data, where.len);
    tr_buffer_fini(&where);
}

static void
write_delete(struct writer *w, const struct tr_value *key)
{
    struct tr_buffer where;
    struct tr_buffer *sql = w->sql;
    tr_buffer_init(&where, SQL_MAX);
    w->sql = &where;
    if (w->statement->op == TR_SQL_DELETE_ROW) {
        match_whole_row(w, &where, key);
    } else {
        tr_buffer_text(&where, " WHERE ");
        match_key(w);
    }
    w->sql = sql;
    tr_buffer_text(sql, "DELETE FROM ");
    tr_pg_qualified(sql, w->map->table->schema, w->map->table->name);
    tr_buffer_text(sql, " AS t USING ");
    unnest(w);
    tr_buffer_add(sql, where.data, where.len);
    tr_buffer_fini(&where);
    if (w->statement->op != TR_PG_TAKE_ROW)
        return;
    tr_buffer_text(sql, " RETURNING ");
    for (uint16_t i = 0; i < w->map->relation->ncolumns; i++) {
        tr_buffer_text(sql, i > 0 ? ", " : "");
        if (w->map->target[i] < 0) {
            tr_buffer_text(sql, "NULL");
            continue;
        }
        tr_buffer_text(sql, "t.");
        name_of(w, i);
    }
}

static uint8_t *
column_set(const struct tr_pg_map *map, const struct tr_value *image)
{
    uint8_t *set = tr_calloc(map->relation->ncolumns + 1u, 1);
    for (uint16_t i = 0; image != NULL && i < map->relation->ncolumns; i++)
        set[i] = image[i].state != TR_ABSENT;
    return set;
}

static bool
same_set(const struct tr_pg_map *map, const uint8_t *set, const struct tr_value *image)
{
    for (uint16_t i = 0; image != NULL && i < map->relation->ncolumns; i++)
        if (set[i] != (image[i].state != TR_ABSENT))
            return false;
    return true;
}

static bool
by_whole_row(enum tr_sql_op op)
{
    return op == TR_SQL_UPDATE_ROW || op == TR_SQL_DELETE_ROW;
}

static struct tr_pg_statement *
make(struct tr_pg_apply *apply, const struct tr_pg_map *map, enum tr_sql_op op, const struct tr_value *key,
     const struct tr_value *row, bool as_text)
{
    struct tr_pg_statement *s = tr_calloc(1, sizeof(*s));
    struct tr_buffer sql;
    struct writer w = { s, map, &sql };
    size_t most = 2u * map->relation->ncolumns + 1;
    tr_buffer_init(&sql, SQL_MAX);
    s->number = apply->next_statement++;
    s->op = op;
    s->as_text = as_text;
    s->present = column_set(map, row);
    s->old_present = column_set(map, by_whole_row(op) ? key : NULL);
    s->params = tr_calloc(most, sizeof(*s->params));
    s->types = tr_calloc(most, sizeof(*s->types));
    if (op == TR_SQL_INSERT)
        write_insert(&w, row);
    else if (op == TR_SQL_UPDATE || op == TR_SQL_UPDATE_KEY || op == TR_SQL_UPDATE_ROW)
        write_update(&w, key, row);
    else
        write_delete(&w, key);
    s->sql = tr_strdup(sql.data);
    tr_buffer_fini(&sql);
    return s;
}

const struct tr_pg_statement *
tr_pg_statement_get(struct tr_pg_apply *apply, struct tr_pg_map *map, enum tr_sql_op op,
                    const struct tr_value *key, const struct tr_value *row, bool as_text)
{
    for (uint16_t i = 0; i < map->nstatements; i++) {
        struct tr_pg_statement *s = map->statements[i];
        if (s->op == op && s->as_text == as_text && same_set(map, s->present, row) &&
            (!by_whole_row(op) || same_set(map, s->old_present, key)))
            return s;
    }
    if (map->statements == NULL)
        map->statements = tr_calloc(MAX_STATEMENTS, sizeof(struct tr_pg_statement *));
    if (map->nstatements == MAX_STATEMENTS) /* the oldest goes; its number is not used again */
        tr_pg_statement_free(map->statements[0]);
    if (map->nstatements == MAX_STATEMENTS)
        memmove(map->statements, map->statements + 1, --map->nstatements * sizeof(struct tr_pg_statement *));
    return map->statements[map->nstatements++] = make(apply, map, op, key, row, as_text);
}

void
tr_pg_statement_name(const struct tr_pg_statement *statement, char out[16])
{
    snprintf(out, 16, "s%u", statement->number);
}

void
tr_pg_statement_free(struct tr_pg_statement *statement)
{
    free(statement->present);
    free(statement->old_present);
    free(statement->sql);
    free(statement->params);
    free(statement->types);
    free(statement);
}

/* array_recv: dimensions, has-null flag, element type, length, lower bound, then each element with its length. */
static int
bind_column(const struct tr_pg_param *param, const struct tr_pg_map *map,
            const struct tr_net_row *const *rows, uint32_t nrows, struct tr_pg_values *values,
            struct tr_buffer *out, struct tr_error *err)
{
    bool counts = param->column == TR_PG_NO_COLUMN;
    const struct tr_pg_fit *fit = map->fits != NULL && !counts &&
                                          map->fits[param->column].kind != TR_PG_FIT_NONE
                                      ? &map->fits[param->column]
                                      : NULL;
    struct tr_value fitted = { 0 };
    uint64_t misfits = values->misfits;
    size_t flags = out->len + 4;
    bool has_null = false;
    tr_buffer_u32be(out, 1);
    tr_buffer_u32be(out, 0);
    tr_buffer_u32be(out, types[param->carry].element);
    tr_buffer_u32be(out, nrows);
    tr_buffer_u32be(out, 1);
    for (uint32_t i = 0; i < nrows; i++) {
        const struct tr_value *value = counts ? &fitted
                                              : &(param->old ? rows[i]->key : rows[i]->row)[param->column];
        size_t at = out->len;
        if (fit != NULL && value->state == TR_PRESENT) {
            int rc = tr_pg_fit_value(values, fit, map->relation, &map->relation->columns[param->column],
                                     value, &fitted, err);
            if (rc < 0)
                return rc;
            value = &fitted;
        }
        if (value->state != TR_PRESENT) {
            tr_buffer_u32be(out, UINT32_MAX);
            has_null = true;
            continue;
        }
        tr_buffer_u32be(out, 0);
        int rc = tr_pg_value_bind(map->relation, param->column, value, param->carry, &values->canonical, out,
                                  err);
        if (rc != 0)
            return rc;
        if (!out->overflow)
            tr_buffer_put_u32be(out, at, (uint32_t)(out->len - at - 4));
    }
    if (has_null && !out->overflow)
        tr_buffer_put_u32be(out, flags, 1);
    if (param->old)
        values->misfits = misfits; /* counted when it was written */
    return 0;
}

int
tr_pg_statement_bind(const struct tr_pg_statement *statement, const struct tr_pg_map *map,
                     const struct tr_net_row *const *rows, uint32_t nrows, struct tr_pg_values *values,
                     struct tr_buffer *out, int *lengths, struct tr_error *err)
{
    tr_buffer_reset(out);
    for (uint16_t i = 0; i < statement->nparams; i++) {
        size_t from = out->len;
        int rc = bind_column(&statement->params[i], map, rows, nrows, values, out, err);
        if (rc != 0)
            return rc;
        lengths[i] = (int)(out->len - from);
    }
    return out->overflow ? tr_fail(err, TR_CONFLICT, "a row of %s is larger than 1 GiB", map->label) : 0;
}

void
tr_pg_copy_statement(const struct tr_pg_map *map, const struct tr_value *row, struct tr_buffer *out)
{
    const char *comma = "";
    tr_buffer_text(out, "COPY ");
    tr_pg_qualified(out, map->table->schema, map->table->name);
    tr_buffer_text(out, " (");
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0 || row[i].state == TR_ABSENT)
            continue;
        tr_buffer_text(out, comma);
        tr_pg_identifier(out, target_column(map, i)->name);
        comma = ", ";
    }
    tr_buffer_text(out, ") FROM STDIN");
}

int
tr_pg_truncate_statement(struct tr_postgres_sink *sink, const struct tr_event *event, struct tr_buffer *out,
                         struct tr_error *err)
{
    tr_buffer_text(out, "TRUNCATE ONLY ");
    for (uint32_t i = 0; i < event->truncate.nrelations; i++) {
        struct tr_pg_table *table;
        int rc = tr_pg_table_get(sink, event->truncate.relations[i], &table, err);
        if (rc < 0)
            return rc;
        tr_buffer_text(out, i > 0 ? ", ONLY " : "");
        /* ONLY is not allowed for a partitioned table, and there is nothing of its own in it */
        if (table->relkind == 'p')
            out->len -= strlen("ONLY ");
        tr_pg_qualified(out, table->schema, table->name);
    }
    if ((event->flags & TR_TRUNCATE_RESTART_IDENTITY) != 0)
        tr_buffer_text(out, " RESTART IDENTITY");
    /* never CASCADE: the source names every table that was emptied; others at the target are not touched */
    return 0;
}
