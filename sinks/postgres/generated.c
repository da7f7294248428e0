/*
 * generated.c - generated columns of MySQL and MariaDB that ALTER TABLE adds, or gives another type or expression.
 *
 * The target computes such a column where its expression translates; otherwise it is a plain one with the source's values, where the log has them. What the statement did to the rows
 * that are there is in no log: the target computes that, too, or the statement is refused until the table is loaded again.
 */
#include <stdio.h>
#include <string.h>

#include "schema/expression.h"
#include "sinks/postgres/change.h"

#define PLAIN_SINCE 130000 /* ALTER COLUMN ... DROP EXPRESSION */

struct generated {
    struct tr_pg_change *c;
    const struct tr_column *column; /* as the statement defines it */
    const char *type;               /* here */
    const struct tr_relation *shape;
    struct tr_buffer expression;
    char reason[160]; /* why there is no expression; empty: there is one */
};

static const struct tr_column *
in_catalogue(const struct tr_relation *shape, const char *name)
{
    int at = shape != NULL ? tr_relation_column(shape, name) : -1;
    return at >= 0 && shape->columns[at].generated ? &shape->columns[at] : NULL;
}

static void
translate(struct generated *g)
{
    struct tr_expression e = { .relation = g->shape,
                               .from = "mysql",
                               .to = "postgresql",
                               .use = TR_EXPRESSION_GENERATED,
                               .column = g->column };
    if (g->shape == NULL)
        strcpy(g->reason, "the source has the table no more");
    else if (!tr_expression_translate(&e, g->column->generation, &g->expression))
        memcpy(g->reason, e.reason, sizeof g->reason);
}

/* Do rows of the log bring its values? */
static bool
arrives(const struct generated *g)
{
    const struct tr_column *now = in_catalogue(g->shape, g->column->name);
    return tr_column_arrives(now != NULL ? now : g->column);
}

static void
alter_column(struct generated *g, const char *what)
{
    tr_pg_change_alter(&g->c->sql, g->c->table);
    tr_buffer_text(&g->c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&g->c->sql, g->column->name);
    tr_buffer_printf(&g->c->sql, " %s", what);
}

/* The rows of the log do not tell what the statement made of those that are there. */
static int
refuse_old_rows(struct generated *g, const char *first, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source computes column \"%s\" anew (%.200s), and what that gave the rows that are there is in no log; it is not said here: %s",
        c->table->schema, c->table->name, g->column->name, g->column->generation, g->reason);
    return tr_error_hint(err, "%s%sorder `tailrace reload --table %s.%s` and start again",
                         first[0] != '\0' ? "run at the target: " : "", first, c->after->schema,
                         c->after->name);
}

/* ------------------------------------------------------------------------------------------- added */

/* The server may refuse what was translated; then it is as if it had not been. */
static int
try_computed(struct generated *g, bool *made, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    struct tr_error why;
    int rc = tr_pg_ask(c->sink, c->conn, "SAVEPOINT tailrace_generated", NULL, err);
    if (rc < 0)
        return rc;
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ADD COLUMN ");
    tr_pg_identifier(&c->sql, g->column->name);
    tr_buffer_printf(&c->sql, " %s GENERATED ALWAYS AS (%s) STORED", g->type, g->expression.data);
    *made = tr_pg_change_run(c, &why) == 0;
    if (!*made && why.class == TR_RETRY) {
        *err = why;
        return -TR_RETRY;
    }
    if (!*made) {
        snprintf(g->reason, sizeof g->reason, "%.150s", why.text);
        rc = tr_pg_ask(c->sink, c->conn, "ROLLBACK TO SAVEPOINT tailrace_generated", NULL, err);
    }
    return rc < 0 ? rc : tr_pg_ask(c->sink, c->conn, "RELEASE SAVEPOINT tailrace_generated", NULL, err);
}

static int
add(struct generated *g, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    bool made = false, rows = true;
    int rc = g->reason[0] == '\0' ? try_computed(g, &made, err) : 0;
    if (rc < 0 || made)
        return rc;
    if (arrives(g))
        rc = tr_pg_change_has_rows(c, &rows, err);
    if (rc < 0)
        return rc;
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ADD COLUMN ");
    tr_pg_identifier(&c->sql, g->column->name);
    tr_buffer_printf(&c->sql, " %s", g->type);
    if (!rows)
        return tr_pg_change_run(c, err);
    tr_log(
        c->sink->base.env->log, TR_LOG_WARNING, "sink",
        "table %s.%s: the source's new column \"%s\" is generated as %.200s, which is not said here (%s), and what it gave the rows that are there is in no log: it is not added",
        c->table->schema, c->table->name, g->column->name, g->column->generation, g->reason);
    tr_buffer_reset(&c->sql);
    return 0;
}

/* ------------------------------------------------------------------------------------------- defined anew */

static int
carry_type(struct generated *g, const struct tr_pg_column *here, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    int rc = 0;
    if (here->not_null && !g->column->not_null) {
        alter_column(g, "DROP NOT NULL");
        rc = tr_pg_change_run(c, err);
    }
    if (rc < 0 || g->column->logical == TR_ENUM || tr_pg_types_alike(here->native, g->type) ||
        (tr_pg_type_widens(g->type, here->native) && !tr_pg_type_widens(here->native, g->type)))
        return rc;
    if (tr_pg_type_widens(here->native, g->type)) {
        alter_column(g, "TYPE ");
        tr_buffer_text(&c->sql, g->type);
        return tr_pg_change_run(c, err);
    }
    tr_fail(err, TR_REFUSED, "table %s.%s: the source computes column \"%s\" as %s, and the target's is %s",
            c->table->schema, c->table->name, g->column->name, g->type, here->native);
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "DROP COLUMN ");
    tr_pg_identifier(&c->sql, g->column->name);
    return tr_error_hint(err, "run at the target: %s; and start again: it is then added", c->sql.data);
}

static int
compute_rows(struct generated *g, struct tr_error *err)
{
    struct tr_buffer *sql = &g->c->sql;
    tr_buffer_text(sql, "UPDATE ");
    tr_pg_qualified(sql, g->c->table->schema, g->c->table->name);
    tr_buffer_text(sql, " SET ");
    tr_pg_identifier(sql, g->column->name);
    tr_buffer_printf(sql, " = (%s)::%s WHERE ", g->expression.data, g->type);
    tr_pg_identifier(sql, g->column->name);
    tr_buffer_printf(sql, " IS DISTINCT FROM (%s)::%s", g->expression.data, g->type);
    return tr_pg_change_run(g->c, err);
}

/* The target's is a plain one. */
static int
define_plain(struct generated *g, struct tr_error *err)
{
    bool rows = false;
    if (g->reason[0] == '\0')
        return compute_rows(g, err);
    int rc = tr_pg_change_has_rows(g->c, &rows, err);
    return rc == 0 && rows ? refuse_old_rows(g, "", err) : rc;
}

/* The target's computes itself: PostgreSQL gives such a column another expression from 17 on, and makes it a plain one from 13 on. */
static int
define_computed(struct generated *g, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    bool known = g->reason[0] == '\0';
    if (known && c->sink->server_version >= 170000) {
        alter_column(g, "SET EXPRESSION AS (");
        tr_buffer_printf(&c->sql, "%s)", g->expression.data);
        return tr_pg_change_run(c, err);
    }
    bool plain = arrives(g) && c->sink->server_version >= PLAIN_SINCE;
    if (known && plain) {
        alter_column(g, "DROP EXPRESSION");
        int rc = tr_pg_change_run(c, err);
        return rc < 0 ? rc : compute_rows(g, err);
    }
    if (plain) {
        alter_column(g, "DROP EXPRESSION");
    } else {
        tr_pg_change_alter(&c->sql, c->table);
        tr_buffer_text(&c->sql, "DROP COLUMN ");
        tr_pg_identifier(&c->sql, g->column->name);
    }
    if (known)
        strcpy(g->reason, "the target's column has another expression");
    tr_buffer_text(&c->sql, "; ");
    return refuse_old_rows(g, c->sql.data, err);
}

/* NULL is a value at the source from now on: no later row need tell it. What the target's key or its own counter forbids stays. */
static int
allow_null(struct generated *g, const struct tr_pg_column *here, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    struct tr_error why;
    if (g->column->not_null || g->column->auto_increment || !here->not_null)
        return 0;
    for (uint16_t u = 0; u < c->table->nuniques; u++)
        for (uint16_t i = 0; c->table->uniques[u].primary && i < c->table->uniques[u].ncolumns; i++)
            if (&c->table->columns[c->table->uniques[u].columns[i]] == here)
                return 0;
    int rc = tr_pg_ask(c->sink, c->conn, "SAVEPOINT tailrace_null", NULL, err);
    if (rc < 0)
        return rc;
    alter_column(g, "DROP NOT NULL");
    if (tr_pg_change_run(c, &why) < 0) {
        *err = why;
        rc = why.class == TR_RETRY
                 ? -TR_RETRY
                 : tr_pg_ask(c->sink, c->conn, "ROLLBACK TO SAVEPOINT tailrace_null", NULL, err);
    }
    return rc < 0 ? rc : tr_pg_ask(c->sink, c->conn, "RELEASE SAVEPOINT tailrace_null", NULL, err);
}

/* It is computed no more, and keeps its values. */
static int
undefine(struct generated *g, struct tr_error *err)
{
    struct tr_pg_change *c = g->c;
    if (c->sink->server_version >= PLAIN_SINCE) {
        alter_column(g, "DROP EXPRESSION");
        return tr_pg_change_run(c, err);
    }
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source computes column \"%s\" no more, and a target before PostgreSQL 13 cannot make it a plain one",
        c->table->schema, c->table->name, g->column->name);
    return tr_error_hint(
        err,
        "drop the column at the target and add it again as a plain one, order `tailrace reload --table %s.%s`, and start again",
        c->after->schema, c->after->name);
}

static int
define(struct generated *g, const struct tr_pg_column *here, struct tr_error *err)
{
    if (!g->column->generated)
        return here->generated ? undefine(g, err) : allow_null(g, here, err);
    int rc = carry_type(g, here, err);
    const struct tr_column *now = in_catalogue(g->shape, g->column->name);
    if (rc < 0 || (now != NULL && tr_pg_shape_computes(g->c->before, now)))
        return rc;
    return here->generated ? define_computed(g, err) : define_plain(g, err);
}

int
tr_pg_change_generated(struct tr_pg_change *c, uint16_t index, const struct tr_relation *shape,
                       struct tr_error *err)
{
    struct generated g = { .c = c,
                           .column = &c->after->columns[index],
                           .type = c->translated->columns[index].native,
                           .shape = shape };
    int at = tr_pg_table_column(c->table, g.column->name);
    tr_buffer_init(&g.expression, (size_t)1 << 20);
    if (g.column->generated)
        translate(&g);
    int rc = at >= 0 ? define(&g, &c->table->columns[at], err) : g.column->generated ? add(&g, err) : 0;
    tr_buffer_fini(&g.expression);
    return rc;
}
