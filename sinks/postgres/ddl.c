/*
 * ddl.c - a table changed its shape at the source: what of it is carried over.
 *
 * Carried: what cannot lose data and whose outcome is known: a column added (nullable, or with a constant default), renamed, or widened. A dropped column
 * stays at the target and may be NULL from then on. All else is refused with the statement that the operator may run. PostgreSQL logs the new shape only with
 * the next change of the table, and never logs what a rewrite did to rows.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "sinks/postgres/apply.h"

/* A default that is evaluated gives old rows values that only the source knows. Casts are no calls. */
static bool
calls_function(const char *expression)
{
    for (const char *at = expression; *at != '\0'; at++) {
        if (*at == '\'') {
            at = strchr(at + 1, '\'');
            if (at == NULL)
                return true;
        } else if (at[0] == ':' && at[1] == ':') {
            at += 2;
            at += strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_. \"");
            if (*at == '(')
                at += strcspn(at, ")");
            at += strspn(at, ")[]");
            at--;
        } else if (*at == '(' || strncasecmp(at, "current_", 8) == 0 || strncasecmp(at, "local", 5) == 0) {
            return true;
        }
    }
    return false;
}

static void
alter(struct tr_buffer *sql, const struct tr_pg_table *table)
{
    tr_buffer_text(sql, "ALTER TABLE ");
    tr_pg_qualified(sql, table->schema, table->name);
    tr_buffer_byte(sql, ' ');
}

static bool
safe_to_add(const struct tr_column *column)
{
    if (column->native == NULL || column->generated)
        return false;
    return column->default_expression == NULL || !calls_function(column->default_expression);
}

static void
add_column(struct tr_buffer *sql, const struct tr_pg_table *table, const struct tr_column *column)
{
    alter(sql, table);
    tr_buffer_text(sql, "ADD COLUMN IF NOT EXISTS ");
    tr_pg_identifier(sql, column->name);
    tr_buffer_printf(sql, " %s", column->native);
    if (column->default_expression != NULL)
        tr_buffer_printf(sql, " DEFAULT %s", column->default_expression);
    if (column->not_null && column->default_expression != NULL)
        tr_buffer_text(sql, " NOT NULL");
}

static int
run(struct tr_postgres_sink *sink, PGconn *conn, struct tr_buffer *sql, const struct tr_pg_table *table,
    struct tr_error *err)
{
    int rc = tr_pg_exec(conn, -1, sql->data, NULL, err);
    if (rc == 0)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "the source changed table %s.%s: %s", table->schema,
               table->name, sql->data);
    else if (err->class != TR_RETRY) {
        err->class = TR_REFUSED;
        tr_error_prefix(err, "carrying a change of table %s.%s (%s)", table->schema, table->name, sql->data);
        rc = -TR_REFUSED;
    }
    tr_buffer_reset(sql);
    return rc;
}

static int
refuse(const struct tr_pg_table *table, const char *what, const char *column, struct tr_buffer *sql,
       struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s: the source has %s column \"%s\"; carrying that over could lose or falsify data",
            table->schema, table->name, what, column);
    return tr_error_hint(
        err,
        "run at the target: %s; then start again. Rows that the source rewrote need a reload of the table",
        sql->data);
}

static const struct tr_column *
column_of(const struct tr_relation *relation, const struct tr_column *like)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        bool numbered = like->number > 0 && column->number > 0;
        if (numbered ? column->number == like->number : strcmp(column->name, like->name) == 0)
            return column;
    }
    return NULL;
}

static int
width(const char *type)
{
    static const char *const integers[] = { "smallint", "integer", "bigint", "numeric" };
    for (int i = 0; i < 4; i++)
        if (strcmp(type, integers[i]) == 0)
            return i;
    return -1;
}

/* Does every value of the old type keep its text in the new one? */
static bool
widens(const struct tr_column *from, const struct tr_column *to)
{
    int a = width(from->native), b = width(to->native);
    if (a >= 0 && b > a)
        return true;
    bool string = from->logical == TR_TEXT && from->base_type_id == 1043;
    if (string && to->logical == TR_TEXT && (to->base_type_id == 25 || to->base_type_id == 1043))
        return to->length < 0 || (from->length >= 0 && to->length >= from->length);
    if (from->logical == TR_DECIMAL && to->logical == TR_DECIMAL)
        return to->precision < 0 || (from->precision >= 0 && to->scale >= from->scale &&
                                     to->precision - to->scale >= from->precision - from->scale);
    return false; /* a real, for one, prints differently as a double */
}

struct change {
    struct tr_postgres_sink *sink;
    PGconn *conn;
    struct tr_pg_table *table;
    struct tr_buffer sql;
};

static int
carry_new(struct change *c, const struct tr_column *column, struct tr_error *err)
{
    if (column->generated || tr_pg_table_column(c->table, column->name) >= 0)
        return 0;
    bool safe = safe_to_add(column);
    add_column(&c->sql, c->table, column);
    return safe ? run(c->sink, c->conn, &c->sql, c->table, err)
                : refuse(c->table, "a new", column->name, &c->sql, err);
}

static int
carry_changed(struct change *c, const struct tr_column *before, const struct tr_column *after,
              struct tr_error *err)
{
    int rc = 0;
    if (strcmp(before->name, after->name) != 0 && tr_pg_table_column(c->table, before->name) >= 0 &&
        tr_pg_table_column(c->table, after->name) < 0) {
        alter(&c->sql, c->table);
        tr_buffer_text(&c->sql, "RENAME COLUMN ");
        tr_pg_identifier(&c->sql, before->name);
        tr_buffer_text(&c->sql, " TO ");
        tr_pg_identifier(&c->sql, after->name);
        rc = run(c->sink, c->conn, &c->sql, c->table, err);
    }
    if (rc < 0 || before->native == NULL || after->native == NULL ||
        strcmp(before->native, after->native) == 0 || after->generated)
        return rc;
    alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&c->sql, after->name);
    tr_buffer_printf(&c->sql, " TYPE %s", after->native);
    return widens(before, after) ? run(c->sink, c->conn, &c->sql, c->table, err)
                                 : refuse(c->table, "another type for", after->name, &c->sql, err);
}

static int
carry_dropped(struct change *c, const struct tr_column *column, struct tr_error *err)
{
    int at = tr_pg_table_column(c->table, column->name);
    if (at < 0)
        return 0;
    tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
           "the source dropped column \"%s\" of %s.%s; the target keeps it", column->name, c->table->schema,
           c->table->name);
    if (!c->table->columns[at].not_null)
        return 0;
    alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&c->sql, column->name);
    tr_buffer_text(&c->sql, " DROP NOT NULL");
    return run(c->sink, c->conn, &c->sql, c->table, err);
}

static int
carry(struct change *c, const struct tr_relation *before, const struct tr_relation *after,
      struct tr_error *err)
{
    int rc = 0;
    for (uint16_t i = 0; rc == 0 && i < before->ncolumns; i++) {
        const struct tr_column *column = column_of(after, &before->columns[i]);
        rc = column != NULL ? carry_changed(c, &before->columns[i], column, err)
                            : carry_dropped(c, &before->columns[i], err);
    }
    for (uint16_t i = 0; rc == 0 && i < after->ncolumns; i++)
        if (column_of(before, &after->columns[i]) == NULL)
            rc = carry_new(c, &after->columns[i], err);
    return rc;
}

static bool
speaks_postgresql(const struct tr_postgres_sink *sink)
{
    const char *dialect = sink->base.env->source_dialect;
    return dialect != NULL && strcmp(dialect, "postgresql") == 0;
}

int
tr_pg_apply_schema(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_event *event,
                   struct tr_error *err)
{
    const struct tr_relation *before = event->schema.previous, *after = event->relation;
    if (after->skip || tr_relation_same_shape(before, after))
        return 0;
    if (sink->ddl == TR_PG_DDL_STOP) {
        tr_fail(err, TR_REFUSED, "the source changed the columns of table %s.%s", after->schema, after->name);
        return tr_error_hint(err,
                             "change the target's table to match and start again with ddl: apply or ignore");
    }
    struct change c = { .sink = sink, .conn = conn };
    int rc = 0;
    if (sink->ddl == TR_PG_DDL_APPLY && speaks_postgresql(sink))
        rc = tr_pg_table_read(sink, after->target_schema, after->target_name, &c.table, err);
    if (rc == 0 && c.table != NULL) {
        tr_buffer_init(&c.sql, (size_t)1 << 20);
        rc = carry(&c, before, after, err);
        tr_buffer_fini(&c.sql);
    }
    tr_pg_table_free(c.table);
    tr_pg_map_forget(sink->apply, after->target_schema, after->target_name);
    return rc;
}

int
tr_pg_add_missing_columns(struct tr_postgres_sink *sink, const struct tr_relation *relation,
                          const struct tr_pg_table *table, bool *changed, struct tr_error *err)
{
    *changed = false;
    if (sink->ddl != TR_PG_DDL_APPLY || !speaks_postgresql(sink))
        return 0;
    /* Groups in flight may hold the table: rather begin anew than wait for ourselves. */
    int rc = tr_pg_exec(sink->reader, -1, "SET lock_timeout = '2s'", NULL, err);
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    for (uint16_t i = 0; rc == 0 && i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (column->generated || tr_pg_table_column(table, column->name) >= 0 || !safe_to_add(column))
            continue;
        add_column(&sql, table, column);
        rc = run(sink, sink->reader, &sql, table, err);
        *changed = *changed || rc == 0;
    }
    tr_buffer_fini(&sql);
    return rc < 0 ? rc : tr_pg_exec(sink->reader, -1, "SET lock_timeout = 0", NULL, err);
}
