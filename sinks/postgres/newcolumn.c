/*
 * newcolumn.c - a column that the source added: what it gives the rows that are there, and its default from then on (docs/ddl.md).
 *
 * The two may differ. ADD COLUMN ... DEFAULT now() gave all rows the moment of the statement; a default that was set later gave them nothing; one that was dropped
 * later has left its value in them.
 */
#include <string.h>
#include <strings.h>

#include "sinks/postgres/shape.h"

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

/* Does the default say this very value? As the catalogue spells constants: 5, true, 'it''s'::text. */
static bool
is_constant(const char *expression, const char *value)
{
    if (strcmp(expression, "true") == 0 || strcmp(expression, "false") == 0)
        return value[0] == expression[0] && value[1] == '\0';
    bool quoted = *expression == '\'';
    for (expression += quoted; *value != '\0'; value++) {
        if (*expression++ != *value || (quoted && *value == '\'' && *expression++ != '\''))
            return false;
    }
    if (quoted && *expression++ != '\'')
        return false;
    return *expression == '\0' || (strncmp(expression, "::", 2) == 0 && !calls_function(expression));
}

bool
tr_pg_safe_to_add(const struct tr_column *column)
{
    if (column->native == NULL || column->generated)
        return false;
    if (column->older != TR_OLDER_UNKNOWN)
        return true;
    if (column->default_unknown || column->auto_increment)
        return false;
    return column->default_expression == NULL || !calls_function(column->default_expression);
}

/* Is the source's default another one than what ADD COLUMN gives the rows? */
static bool
default_differs(const struct tr_column *column)
{
    const char *expression = column->default_expression;
    if (column->older == TR_OLDER_VALUE)
        return expression == NULL || !is_constant(expression, column->older_value);
    return column->older == TR_OLDER_NULL && expression != NULL;
}

static void
alter(struct tr_buffer *sql, const struct tr_pg_table *table, const char *what,
      const struct tr_column *column)
{
    tr_buffer_text(sql, "ALTER TABLE ");
    tr_pg_qualified(sql, table->schema, table->name);
    tr_buffer_printf(sql, " %s ", what);
    tr_pg_identifier(sql, column->name);
}

void
tr_pg_write_new_column(struct tr_buffer *sql, const struct tr_pg_table *table, const struct tr_column *column)
{
    bool differs = default_differs(column), filled = true;
    alter(sql, table, "ADD COLUMN IF NOT EXISTS", column);
    tr_buffer_printf(sql, " %s", column->native);
    if (column->older == TR_OLDER_VALUE && differs) {
        tr_buffer_text(sql, " DEFAULT ");
        tr_pg_literal(sql, column->older_value);
    } else if (column->default_expression != NULL && !differs &&
               (column->older == TR_OLDER_VALUE || !calls_function(column->default_expression))) {
        tr_buffer_printf(sql, " DEFAULT %s", column->default_expression);
    } else {
        filled = false;
    }
    if (column->not_null && filled)
        tr_buffer_text(sql, " NOT NULL");
}

/* It may call what the target lacks; no row of the stream needs it, so the column then has none. */
static int
try_default(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_pg_table *table,
            const struct tr_column *column, bool *set, struct tr_error *err)
{
    struct tr_error why;
    struct tr_buffer sql;
    int rc = tr_pg_ask(sink, conn, "SAVEPOINT tailrace_default", NULL, err);
    if (rc < 0)
        return rc;
    tr_buffer_init(&sql, (size_t)1 << 20);
    alter(&sql, table, "ALTER COLUMN", column);
    tr_buffer_printf(&sql, " SET DEFAULT %s", column->default_expression);
    rc = tr_pg_ask(sink, conn, sql.data, NULL, &why);
    *set = rc == 0;
    if (rc == 0) {
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "the source changed table %s.%s: %s", table->schema,
               table->name, sql.data);
    } else if (why.class == TR_RETRY) {
        *err = why;
    } else {
        tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
               "the default of the source's new column is not carried (%s): %s", sql.data, why.text);
        rc = tr_pg_ask(sink, conn, "ROLLBACK TO SAVEPOINT tailrace_default", NULL, err);
    }
    tr_buffer_fini(&sql);
    return rc < 0 ? rc : tr_pg_ask(sink, conn, "RELEASE SAVEPOINT tailrace_default", NULL, err);
}

int
tr_pg_settle_default(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_pg_table *table,
                     const struct tr_column *column, struct tr_error *err)
{
    bool set = false;
    if (!default_differs(column))
        return 0;
    int rc = column->default_expression != NULL ? try_default(sink, conn, table, column, &set, err) : 0;
    if (rc < 0 || set || column->older == TR_OLDER_NULL)
        return rc;
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    alter(&sql, table, "ALTER COLUMN", column);
    tr_buffer_text(&sql, " DROP DEFAULT");
    rc = tr_pg_ask(sink, conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}
