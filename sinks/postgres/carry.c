/*
 * carry.c - what ALTER TABLE of MySQL and MariaDB says of columns, done at its place among the rows.
 *
 * Rows tell a change with the next of them, and the catalogue tells what the columns are today: neither knows what a column was added with that has another default by
 * now, another name, or that is gone again, nor that one of the same name took its place. The statement does.
 */
#include <stdio.h>
#include <string.h>

#include "sinks/postgres/change.h"

static bool
is_any_wanted(const struct tr_event *event)
{
    for (uint32_t i = 0; i < event->ddl.ntables; i++)
        if (event->ddl.tables[i].wanted)
            return true;
    return false;
}

bool
tr_pg_alters_columns(const struct tr_event *event)
{
    bool comes = event->kind == TR_DDL && event->ddl.verb == TR_VERB_CREATE_TABLE && event->ddl.ntables > 0;
    if (event->kind == TR_DDL && event->ddl.verb == TR_VERB_DROP_TABLE)
        return is_any_wanted(event);
    return comes
               ? event->ddl.tables[0].wanted
               : event->kind == TR_DDL && event->ddl.verb == TR_VERB_ALTER_TABLE && event->ddl.ntables > 0 &&
                     event->ddl.tables[0].wanted && (event->ddl.nrenames > 0 || event->ddl.defined != NULL);
}

static bool
gives_away(const struct tr_event *event, const char *name)
{
    for (uint32_t i = 0; i < event->ddl.nrenames; i++)
        if (strcmp(event->ddl.renames[i].from, name) == 0)
            return true;
    return false;
}

/* As carry_names() in ddl.c: names that are passed on or exchanged go by way of names that nobody has. */
static int
rename_columns(struct tr_pg_change *c, const struct tr_event *event, struct tr_error *err)
{
    char meanwhile[64];
    int rc = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; rc == 0 && i < event->ddl.nrenames; i++) {
            const struct tr_ddl_rename *rename = &event->ddl.renames[i];
            bool taken = tr_pg_table_column(c->table, rename->to) >= 0,
                 waits = taken && gives_away(event, rename->to);
            if (tr_pg_table_column(c->table, rename->from) < 0)
                continue; /* done by the operator, or not carried */
            snprintf(meanwhile, sizeof meanwhile, "tailrace renames %u", i);
            if (taken && !waits)
                rc = tr_pg_change_refuse_name(c, rename->from, rename->to, err);
            else if (pass == 0)
                rc = tr_pg_change_rename(c, rename->from, waits ? meanwhile : rename->to, err);
            else if (waits)
                rc = tr_pg_change_rename(c, meanwhile, rename->to, err);
        }
    return rc;
}

static int
drop_columns(struct tr_pg_change *c, const struct tr_event *event, struct tr_pg_shape *shape,
             struct tr_error *err)
{
    const struct tr_relation *defined = event->ddl.defined;
    int rc = 0;
    for (uint16_t i = 0; defined != NULL && rc == 0 && i < defined->ncolumns; i++) {
        if (event->ddl.columns[i].action != TR_DDL_DROP)
            continue;
        rc = tr_pg_change_drop(c, defined->columns[i].name, err);
        if (rc == 0 && shape != NULL) {
            tr_pg_shape_lose(shape, defined->columns[i].name);
            tr_pg_shape_forget(shape, defined->columns[i].name);
        }
    }
    return rc;
}

/* A column that the shape has came with a load that read a later catalogue. */
static int
add_columns(struct tr_pg_change *c, const struct tr_event *event, struct tr_error *err)
{
    int rc = 0;
    for (uint16_t i = 0; c->after != NULL && rc == 0 && i < c->after->ncolumns; i++) {
        const struct tr_column *column = &c->after->columns[i];
        if (event->ddl.columns[i].action == TR_DDL_ADD &&
            (c->before == NULL || tr_pg_shape_then(c->before, c->after, column) == NULL))
            rc = tr_pg_change_add(c, column, err);
    }
    return rc;
}

/* Another word for longtext: rows and catalogue call it so. */
static bool
is_mariadbs_json(const struct tr_pg_change *c, const struct tr_column *column)
{
    const char *dialect = c->sink->base.env->source_dialect;
    return column->logical == TR_JSON && dialect != NULL && strcmp(dialect, "mariadb") == 0;
}

/* MariaDB's JSON is a text to its log: the rows tell. A type that is said to be the one that it was leaves rows alone. */
static int
define_type(struct tr_pg_change *c, uint16_t i, struct tr_error *err)
{
    const struct tr_column *column = &c->after->columns[i];
    const struct tr_pg_shape_column *before = c->before != NULL
                                                  ? tr_pg_shape_then(c->before, c->after, column)
                                                  : NULL;
    int at = tr_pg_table_column(c->table, column->name);
    if (at < 0 || column->generated || is_mariadbs_json(c, column) ||
        (before != NULL && tr_pg_shape_is_said(before, column)))
        return 0;
    return tr_pg_change_type(c, column, at, err);
}

/* What computes itself, at the source or here, and the log does not tell apart. */
static int
define_generated(struct tr_pg_change *c, const struct tr_event *event, struct tr_error *err)
{
    int rc = 0;
    for (uint16_t i = 0; c->after != NULL && rc == 0 && i < c->after->ncolumns; i++) {
        bool define = event->ddl.columns[i].action == TR_DDL_DEFINE,
             add = event->ddl.columns[i].action == TR_DDL_ADD;
        if (define || (add && c->after->columns[i].generated))
            rc = tr_pg_change_generated(c, i, event->ddl.tables[0].shape, err);
        if (rc == 0 && define)
            rc = define_type(c, i, err);
    }
    return rc;
}

/* Behind all of the statement. */
static void
remember_generated(struct tr_pg_change *c, const struct tr_event *event, struct tr_pg_shape *shape)
{
    const struct tr_relation *now = event->ddl.tables[0].shape;
    for (uint16_t i = 0; c->after != NULL && i < c->after->ncolumns; i++) {
        const struct tr_column *column = &c->after->columns[i];
        int at = now != NULL ? tr_relation_column(now, column->name) : -1;
        if (event->ddl.columns[i].action == TR_DDL_DROP)
            continue;
        if (!column->generated)
            tr_pg_shape_forget(shape, column->name);
        else if (tr_pg_table_column(c->table, column->name) >= 0)
            tr_pg_shape_compute(shape, at >= 0 && now->columns[at].generated
                                           ? &now->columns[at]
                                           : &(struct tr_column){ .name = column->name });
    }
}

static void
gain(struct tr_pg_change *c, struct tr_pg_shape *shape, const struct tr_column *column)
{
    struct tr_column as_logged = *column;
    if (is_mariadbs_json(c, column))
        as_logged.native = "longtext";
    tr_pg_shape_gain(shape, &as_logged, c->table);
}

static int
read_again(struct tr_pg_change *c, const struct tr_ddl_table *table, struct tr_error *err)
{
    tr_pg_table_free(c->table);
    c->table = NULL;
    return tr_pg_table_read(c->sink, table->target_schema, table->target_name, &c->table, err);
}

/* A column that was generated before the statement is none that the shape has. */
static bool
gains(const struct tr_event *event, uint16_t i)
{
    return event->ddl.columns[i].action == TR_DDL_ADD || event->ddl.columns[i].action == TR_DDL_DEFINE;
}

/* What is dropped and renamed makes room for what is added. */
static int
alter_columns(struct tr_pg_change *c, const struct tr_event *event, struct tr_pg_shape *shape,
              struct tr_error *err)
{
    const struct tr_ddl_table *table = &event->ddl.tables[0];
    int rc = drop_columns(c, event, shape, err);
    if (rc == 0)
        rc = rename_columns(c, event, err);
    if (rc == 0)
        rc = read_again(c, table, err);
    if (rc == 0 && shape != NULL)
        tr_pg_shape_rename(shape, table, event->ddl.renames, event->ddl.nrenames);
    if (rc == 0)
        rc = add_columns(c, event, err);
    if (rc == 0)
        rc = read_again(c, table, err);
    if (rc == 0)
        rc = define_generated(c, event, err);
    if (rc == 0)
        rc = read_again(c, table, err);
    if (rc == 0 && shape != NULL)
        remember_generated(c, event, shape);
    for (uint16_t i = 0; rc == 0 && shape != NULL && c->after != NULL && i < c->after->ncolumns; i++)
        if (gains(event, i) && !c->after->columns[i].generated &&
            tr_pg_shape_then(shape, c->after, &c->after->columns[i]) == NULL)
            gain(c, shape, &c->after->columns[i]);
    return rc;
}

/* CREATE TABLE IF NOT EXISTS may have done nothing: whether the name is another table's now, only the dropping before it tells. */
static int
note_gone(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_ddl_table *table, struct tr_error *err)
{
    struct tr_buffer sql;
    struct tr_pg_shape *shape = table->wanted ? tr_pg_shape_named(sink->apply, table->schema, table->name)
                                              : NULL;
    if (shape == NULL || shape->gone)
        return 0;
    tr_pg_shape_rename(shape, table, NULL, 0);
    shape->gone = true;
    if (!sink->keeps_shapes)
        return 0;
    tr_buffer_init(&sql, (size_t)16 << 20);
    tr_pg_shape_statement(sink, shape, &sql);
    int rc = tr_pg_ask(sink, conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

static int
check_made(struct tr_postgres_sink *sink, const struct tr_ddl_table *table, struct tr_error *err)
{
    const struct tr_pg_shape *shape = tr_pg_shape_named(sink->apply, table->schema, table->name);
    if (shape == NULL || !shape->gone)
        return 0;
    tr_fail(err, TR_REFUSED,
            "the source dropped table %s.%s and made it anew; the target's holds the rows of the old one",
            table->schema, table->name);
    return tr_error_hint(
        err,
        "drop the target's table %s.%s, order `tailrace reload --table %s.%s` and start again: it is then loaded",
        table->target_schema, table->target_name, table->schema, table->name);
}

int
tr_pg_carry_statement(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_event *event,
                      struct tr_error *err)
{
    const struct tr_ddl_table *table = &event->ddl.tables[0];
    if (sink->ddl != TR_PG_DDL_APPLY)
        return 0;
    int noted = 0;
    for (uint32_t i = 0; event->ddl.verb == TR_VERB_DROP_TABLE && noted == 0 && i < event->ddl.ntables; i++)
        noted = note_gone(sink, conn, &event->ddl.tables[i], err);
    if (event->ddl.verb == TR_VERB_DROP_TABLE || event->ddl.verb == TR_VERB_CREATE_TABLE)
        return noted < 0 || event->ddl.verb == TR_VERB_DROP_TABLE ? noted : check_made(sink, table, err);
    struct tr_pg_shape *shape = tr_pg_shape_named(sink->apply, table->schema, table->name);
    struct tr_relation *defined = event->ddl.defined,
                       *translated = defined != NULL ? tr_pg_translated(sink, defined) : NULL;
    struct tr_pg_change c = {
        .sink = sink, .conn = conn, .before = shape, .after = defined, .translated = translated
    };
    int rc = tr_pg_table_read(sink, table->target_schema, table->target_name, &c.table, err);
    bool there = rc == 0 && c.table != NULL;
    tr_buffer_init(&c.sql, (size_t)16 << 20);
    if (there)
        rc = alter_columns(&c, event, shape, err);
    if (there && rc == 0 && shape != NULL && sink->keeps_shapes) {
        tr_buffer_reset(&c.sql);
        tr_pg_shape_statement(sink, shape, &c.sql);
        rc = tr_pg_ask(sink, conn, c.sql.data, NULL, err);
    }
    tr_buffer_fini(&c.sql);
    tr_pg_table_free(c.table);
    tr_relation_unref(translated);
    if (rc == 0)
        tr_pg_map_forget(sink->apply, table->target_schema, table->target_name);
    return rc;
}
