/*
 * ddl.c - a table changed its shape at the source: what of it is carried over (docs/ddl.md).
 *
 * Carried: what cannot lose data and whose outcome is known: a column added (when it is known what older rows hold), renamed, or widened. A dropped column
 * stays at the target and may be NULL from then on. All else is refused with the statement that the operator may run, and taken for done when he has.
 * PostgreSQL logs the new shape only with the next change of the table, and never logs what a rewrite did to rows.
 */

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/change.h"

/* "ALTER TABLE schema.name " */
void
tr_pg_change_alter(struct tr_buffer *sql, const struct tr_pg_table *table)
{
    tr_buffer_text(sql, "ALTER TABLE ");
    tr_pg_qualified(sql, table->schema, table->name);
    tr_buffer_byte(sql, ' ');
}

/* The column as it is to be made here. */
static const struct tr_column *
as_here(const struct tr_pg_change *c, const struct tr_column *column)
{
    return &c->translated->columns[column - c->after->columns];
}

int
tr_pg_change_run(struct tr_pg_change *c, struct tr_error *err)
{
    const char *schema = c->table->schema, *name = c->table->name;
    int rc = tr_pg_ask(c->sink, c->conn, c->sql.data, NULL, err);
    if (rc == 0) {
        tr_log(c->sink->base.env->log, TR_LOG_INFO, "sink", "the source changed table %s.%s: %s", schema,
               name, c->sql.data);
    } else if (err->class != TR_RETRY) {
        bool type = strcmp(err->sqlstate, "42704") == 0;
        err->class = TR_REFUSED;
        tr_error_prefix(err, "carrying a change of table %s.%s (%s)", schema, name, c->sql.data);
        tr_error_hint(
            err, "%s",
            type
                ? "make the type at the target first (pg_dump --schema-only at the source shows its definition), then start again"
                : "make the change at the target and start again");
        rc = -TR_REFUSED;
    }
    tr_buffer_reset(&c->sql);
    return rc;
}

static int
refuse(struct tr_pg_change *c, const char *what, const char *column, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s: the source has %s column \"%s\"; carrying that over could lose or falsify data",
            c->table->schema, c->table->name, what, column);
    return tr_error_hint(
        err,
        "run at the target: %s; then start again. Rows that the source rewrote need a reload of the table",
        c->sql.data);
}

int
tr_pg_change_rename(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err)
{
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "RENAME COLUMN ");
    tr_pg_identifier(&c->sql, from);
    tr_buffer_text(&c->sql, " TO ");
    tr_pg_identifier(&c->sql, to);
    return tr_pg_change_run(c, err);
}

/* ------------------------------------------------------------------------------------------- names */

/* Is the column under another name now, and the target still under the old one? */
static const struct tr_column *
renamed(const struct tr_pg_change *c, const struct tr_pg_shape_column *before)
{
    const struct tr_column *after = before->dropped ? NULL : tr_pg_shape_now(c->before, before, c->after);
    return after != NULL && strcmp(before->name, after->name) != 0 &&
                   tr_pg_table_column(c->table, before->name) >= 0
               ? after
               : NULL;
}

/* Will the target's column of this name make room by a new name of its own? */
static bool
makes_room(const struct tr_pg_change *c, const char *name)
{
    for (uint16_t i = 0; i < c->before->ncolumns; i++)
        if (strcmp(c->before->columns[i].name, name) == 0 && renamed(c, &c->before->columns[i]) != NULL)
            return true;
    return false;
}

int
tr_pg_change_refuse_name(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s: the source renamed column \"%s\" to \"%s\", and the target has both",
            c->table->schema, c->table->name, from, to);
    tr_buffer_reset(&c->sql);
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "DROP COLUMN ");
    tr_pg_identifier(&c->sql, to);
    return tr_error_hint(
        err,
        "if the target's \"%s\" is a column that the source once dropped, run there: %s; and start again", to,
        c->sql.data);
}

/* Names that are exchanged go by way of names that nobody has. */
static int
carry_names(struct tr_pg_change *c, struct tr_error *err)
{
    char meanwhile[64];
    int rc = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint16_t i = 0; rc == 0 && i < c->before->ncolumns; i++) {
            const char *name = c->before->columns[i].name;
            const struct tr_column *after = renamed(c, &c->before->columns[i]);
            if (after == NULL)
                continue;
            bool taken = tr_pg_table_column(c->table, after->name) >= 0,
                 waits = taken && makes_room(c, after->name);
            snprintf(meanwhile, sizeof meanwhile, "tailrace renames %u", (unsigned)i);
            if (taken && !waits)
                rc = tr_pg_change_refuse_name(c, name, after->name, err);
            else if (pass == 0)
                rc = tr_pg_change_rename(c, name, waits ? meanwhile : after->name, err);
            else if (waits)
                rc = tr_pg_change_rename(c, meanwhile, after->name, err);
        }
    return rc;
}

/* ------------------------------------------------------------------------------------------- types */

static int
width(uint32_t type)
{
    static const uint32_t integers[] = { 21, 23, 20, 1700 };
    for (int i = 0; i < 4; i++)
        if (type == integers[i])
            return i;
    return -1;
}

/* Does every value of the old type keep its text in the new one? */
static bool
widens(const struct tr_pg_shape_column *from, const struct tr_column *to)
{
    if (from->type != from->base || to->type_id != to->base_type_id)
        return false;
    int a = width(from->type), b = width(to->type_id);
    if (a >= 0 && b > a && to->precision < 0)
        return true;
    if (from->type == 1043 && (to->type_id == 25 || to->type_id == 1043))
        return to->length < 0 || (from->length >= 0 && to->length >= from->length);
    if (from->type == 1700 && to->type_id == 1700)
        return to->precision < 0 || (from->precision >= 0 && to->scale >= from->scale &&
                                     to->precision - to->scale >= from->precision - from->scale);
    return false; /* a real, for one, prints differently as a double */
}

/* The log of the other engines tells which columns may be NULL. */
static int
carry_nullable(struct tr_pg_change *c, const struct tr_column *after, struct tr_error *err)
{
    int at = tr_pg_table_column(c->table, after->name);
    if (c->sink->from_postgresql || at < 0 || after->not_null || after->key > 0 ||
        !c->table->columns[at].not_null || c->table->columns[at].generated)
        return 0;
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&c->sql, after->name);
    tr_buffer_text(&c->sql, " DROP NOT NULL");
    return tr_pg_change_run(c, err);
}

/* Has the target a cast? Only before a refusal: the answer no spoils the transaction. */
static bool
casts(struct tr_pg_change *c, const char *from, const char *to)
{
    struct tr_error ignored;
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_printf(&sql, "SELECT NULL::%s::%s", from, to);
    int rc = tr_pg_ask(c->sink, c->conn, sql.data, NULL, &ignored);
    tr_buffer_fini(&sql);
    return rc == 0;
}

/* What USING was at the source is in no log. */
static int
refuse_type(struct tr_pg_change *c, const struct tr_pg_shape_column *before, const struct tr_column *after,
            struct tr_error *err)
{
    tr_buffer_text(&c->sql, " USING ");
    tr_pg_identifier(&c->sql, after->name);
    tr_buffer_printf(&c->sql, "%s::%s", casts(c, before->native, after->native) ? "" : "::text",
                     after->native);
    return refuse(c, "another type for", after->name, err);
}

/* The operator may have been here: then the target's type is not the old one any more, and what it is now is his choice. */
static int
carry_type(struct tr_pg_change *c, const struct tr_pg_shape_column *before, const struct tr_column *after,
           struct tr_error *err)
{
    int at = tr_pg_table_column(c->table, before->name);
    if (at < 0)
        at = tr_pg_table_column(c->table, after->name);
    if (at < 0 || tr_pg_shape_same_type(before, after))
        return 0;
    if (!c->sink->from_postgresql)
        return tr_pg_change_type(c, after, at, err);
    if (strcmp(c->table->columns[at].native, before->native) != 0) {
        tr_log(c->sink->base.env->log, TR_LOG_INFO, "sink",
               "the source changed the type of %s.%s column \"%s\" to %s; the target's is %s and stays",
               c->table->schema, c->table->name, after->name, after->native, c->table->columns[at].native);
        return 0;
    }
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&c->sql, after->name);
    tr_buffer_printf(&c->sql, " TYPE %s", after->native);
    return widens(before, after) ? tr_pg_change_run(c, err) : refuse_type(c, before, after, err);
}

/* The type of a new column, when it is an enum that the target does not know. */
static int
make_enum(struct tr_pg_change *c, const struct tr_column *column, struct tr_error *err)
{
    if (column->logical != TR_ENUM || column->nlabels == 0 || column->type_id != column->base_type_id)
        return 0;
    PGresult *res = NULL;
    const char *params[] = { column->native };
    int rc = tr_pg_ask_params(c->sink, c->conn, "SELECT to_regtype($1) IS NOT NULL", 1, params, &res, err);
    bool there = rc == 0 && PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    if (rc < 0 || there)
        return rc;
    tr_buffer_printf(&c->sql, "CREATE TYPE %s AS ENUM (", column->native);
    for (uint32_t i = 0; i < column->nlabels; i++) {
        tr_buffer_text(&c->sql, i > 0 ? ", " : "");
        tr_pg_literal(&c->sql, column->labels[i]);
    }
    tr_buffer_byte(&c->sql, ')');
    return tr_pg_change_run(c, err);
}

/* ------------------------------------------------------------------------------------------- columns that come and go */

/* The target's column of this name is one that the source had before under another number: its values are not those of the new one. */
static bool
is_left_over(const struct tr_pg_change *c, const struct tr_column *column, int at)
{
    for (uint16_t i = 0; c->before != NULL && i < c->before->ncolumns; i++) {
        const struct tr_pg_shape_column *old = &c->before->columns[i];
        if (strcmp(old->name, column->name) == 0 &&
            (old->target == 0 || old->target == c->table->columns[at].number) && renamed(c, old) == NULL)
            return true;
    }
    return false;
}

static int
refuse_left_over(struct tr_pg_change *c, const struct tr_column *column, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source dropped column \"%s\" and has a new one of this name; the target still has the old one",
        c->table->schema, c->table->name, column->name);
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "DROP COLUMN ");
    tr_pg_identifier(&c->sql, column->name);
    tr_buffer_text(&c->sql, "; ");
    tr_pg_write_new_column(&c->sql, c->table, column);
    return tr_error_hint(
        err, "run at the target: %s; then start again%s", c->sql.data,
        column->default_unknown
            ? ". The column has another type in the source's catalogue by now, so its default cannot"
              " be known: rows that were there before it need a reload of the table"
            : "");
}

/* The statement has no default then. */
static int
refuse_default(struct tr_pg_change *c, const struct tr_column *column, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source has a new column \"%s\", and its catalogue is newer: the column has another type there by now,"
        " so the default that it came with cannot be known",
        c->table->schema, c->table->name, column->name);
    return tr_error_hint(
        err,
        "run at the target: %s; then start again. Rows that were there before the column need a reload of the table",
        c->sql.data);
}

/* It has a lower number than columns that the task knows, so it did not come after them. */
static int
refuse_unpublished(struct tr_pg_change *c, const struct tr_column *column, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s: the source's column \"%s\" was there before, and its values were not in the log",
            c->table->schema, c->table->name, column->name);
    return tr_error_hint(
        err, "run at the target: %s; then start again. Rows that are there need a reload of the table",
        c->sql.data);
}

static int
add_column(struct tr_pg_change *c, const struct tr_column *column, struct tr_error *err)
{
    int rc = make_enum(c, column, err);
    if (rc < 0)
        return rc;
    tr_pg_write_new_column(&c->sql, c->table, column);
    rc = tr_pg_change_run(c, err);
    return rc < 0 ? rc : tr_pg_settle_default(c->sink, c->conn, c->table, column, err);
}

int
tr_pg_change_has_rows(struct tr_pg_change *c, bool *any, struct tr_error *err)
{
    PGresult *res = NULL;
    tr_buffer_text(&c->sql, "SELECT EXISTS (SELECT FROM ");
    tr_pg_qualified(&c->sql, c->table->schema, c->table->name);
    tr_buffer_byte(&c->sql, ')');
    int rc = tr_pg_ask(c->sink, c->conn, c->sql.data, &res, err);
    *any = rc == 0 && PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    tr_buffer_reset(&c->sql);
    return rc;
}

/* What older rows hold is not known: that matters where there are any. */
static int
carry_doubtful(struct tr_pg_change *c, struct tr_column *column, bool was_there, struct tr_error *err)
{
    bool any;
    int rc = tr_pg_change_has_rows(c, &any, err);
    if (rc < 0)
        return rc;
    if (!any && column->native != NULL) {
        column->older = TR_OLDER_NULL;
        return add_column(c, column, err);
    }
    tr_pg_write_new_column(&c->sql, c->table, column);
    if (was_there)
        return refuse_unpublished(c, column, err);
    return column->default_unknown ? refuse_default(c, column, err) : refuse(c, "a new", column->name, err);
}

int
tr_pg_change_add(struct tr_pg_change *c, const struct tr_column *source, struct tr_error *err)
{
    struct tr_column column = *as_here(c, source);
    int at = tr_pg_table_column(c->table, column.name);
    bool there = at >= 0 && !(c->before != NULL && makes_room(c, column.name));
    if (column.generated)
        return 0;
    /* gone from the source's catalogue by now, it looks plain: statements tell what becomes of it */
    if (there && !c->sink->from_postgresql && column.default_unknown && c->before != NULL &&
        c->table->columns[at].generated && tr_pg_shape_is_generated(c->before, column.name))
        return 0;
    if (there && c->table->columns[at].generated && c->before != NULL) {
        tr_pg_change_alter(&c->sql, c->table);
        tr_buffer_text(&c->sql, "ALTER COLUMN ");
        tr_pg_identifier(&c->sql, column.name);
        tr_buffer_text(&c->sql, " DROP EXPRESSION");
        return refuse(c, "a plain column where the target computes", column.name, err);
    }
    if (there)
        return is_left_over(c, &column, at) ? refuse_left_over(c, &column, err) : 0;
    enum tr_pg_shape_age age = tr_pg_shape_age(c->before, c->after, source);
    if (column.older == TR_OLDER_NULL && age != TR_PG_SHAPE_OLDER)
        column.older = TR_OLDER_UNKNOWN; /* it may have come with its table */
    bool was_there = age == TR_PG_SHAPE_YOUNGER;
    return !was_there && tr_pg_safe_to_add(&column) ? add_column(c, &column, err)
                                                    : carry_doubtful(c, &column, was_there, err);
}

int
tr_pg_change_drop(struct tr_pg_change *c, const char *column, struct tr_error *err)
{
    int at = tr_pg_table_column(c->table, column);
    if (at < 0)
        return 0;
    tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
           "the source dropped column \"%s\" of %s.%s; the target keeps it", column, c->table->schema,
           c->table->name);
    if (!c->table->columns[at].not_null || c->table->columns[at].generated)
        return 0;
    int rc = tr_pg_change_leave_key(c, at, err);
    if (rc < 0 || c->table->columns[at].identity)
        return rc; /* it fills itself */
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "ALTER COLUMN ");
    tr_pg_identifier(&c->sql, column);
    tr_buffer_text(&c->sql, " DROP NOT NULL");
    return tr_pg_change_run(c, err);
}

/* ------------------------------------------------------------------------------------------- doubt */

static int
refuse_doubt(struct tr_pg_change *c, const char *gone, const struct tr_column *come, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source has no column \"%s\" any more and has \"%s\", which the target lacks; whether it was renamed cannot be known",
        c->table->schema, c->table->name, gone, come->name);
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_text(&c->sql, "RENAME COLUMN ");
    tr_pg_identifier(&c->sql, gone);
    tr_buffer_text(&c->sql, " TO ");
    tr_pg_identifier(&c->sql, come->name);
    tr_buffer_text(&c->sql, "; if it is a new one: ");
    tr_pg_write_new_column(&c->sql, c->table, as_here(c, come));
    return tr_error_hint(err, "if it was renamed, run at the target: %s; then start again", c->sql.data);
}

/* One column has gone and another has come: without both numbers nobody knows whether they are the same. */
static int
doubt_shapes(struct tr_pg_change *c, struct tr_error *err)
{
    for (uint16_t i = 0; i < c->before->ncolumns; i++) {
        const struct tr_pg_shape_column *gone = &c->before->columns[i];
        if (gone->dropped || tr_pg_shape_now(c->before, gone, c->after) != NULL ||
            tr_pg_table_column(c->table, gone->name) < 0)
            continue;
        for (uint16_t k = 0; k < c->after->ncolumns; k++) {
            const struct tr_column *come = &c->after->columns[k];
            if (!come->generated && tr_pg_shape_then(c->before, c->after, come) == NULL &&
                tr_pg_table_column(c->table, come->name) < 0 &&
                !tr_pg_shape_numbered(c->before, c->after, gone->number, come->number))
                return refuse_doubt(c, gone->name, come, err);
        }
    }
    return 0;
}

/* A table that is seen for the first time: what the target has more may be what it lacks under another name. */
static int
carry_first(struct tr_pg_change *c, struct tr_error *err)
{
    const char *gone = NULL;
    int rc = 0;
    for (uint16_t i = 0; i < c->table->ncolumns && gone == NULL; i++)
        if (tr_relation_column(c->after, c->table->columns[i].name) < 0 && !c->table->columns[i].generated)
            gone = c->table->columns[i].name;
    for (uint16_t i = 0; rc == 0 && i < c->after->ncolumns; i++) {
        const struct tr_column *column = &c->after->columns[i];
        bool lacks = !column->generated && tr_pg_table_column(c->table, column->name) < 0;
        if (lacks)
            rc = gone != NULL ? refuse_doubt(c, gone, column, err) : tr_pg_change_add(c, column, err);
    }
    return rc;
}

static int
carry(struct tr_pg_change *c, struct tr_error *err)
{
    if (c->before == NULL)
        return carry_first(c, err);
    int rc = doubt_shapes(c, err);
    if (rc == 0)
        rc = carry_names(c, err);
    for (uint16_t i = 0; rc == 0 && i < c->before->ncolumns; i++) {
        const struct tr_pg_shape_column *before = &c->before->columns[i];
        const struct tr_column *after = tr_pg_shape_now(c->before, before, c->after);
        if (after != NULL)
            rc = carry_type(c, before, after, err);
        else if (!before->dropped)
            rc = tr_pg_change_drop(c, before->name, err);
        if (rc == 0 && after != NULL)
            rc = carry_nullable(c, after, err);
    }
    for (uint16_t i = 0; rc == 0 && i < c->after->ncolumns; i++)
        if (tr_pg_shape_then(c->before, c->after, &c->after->columns[i]) == NULL)
            rc = tr_pg_change_add(c, &c->after->columns[i], err);
    return rc;
}

/* ------------------------------------------------------------------------------------------- from one shape to the next */

static int
change_table(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_pg_shape *before,
             struct tr_relation *after, struct tr_error *err)
{
    struct tr_relation *translated = tr_pg_translated(sink, after);
    struct tr_pg_change c = {
        .sink = sink, .conn = conn, .before = before, .after = after, .translated = translated
    };
    int rc = tr_pg_table_read(sink, after->target_schema, after->target_name, &c.table, err);
    if (rc == 0 && c.table != NULL) {
        tr_buffer_init(&c.sql, (size_t)1 << 20);
        rc = carry(&c, err);
        tr_buffer_fini(&c.sql);
    }
    tr_pg_table_free(c.table);
    tr_relation_unref(translated);
    return rc;
}

static int
refuse_change(const struct tr_relation *relation, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "the source changed the columns of table %s.%s", relation->schema,
            relation->name);
    return tr_error_hint(err, "change the target's table to match and start again with ddl: apply or ignore");
}

/* Dropped and created again: the rows of the old table are still in the target, and those of the new one may have come by another way. */
static int
refuse_new_table(struct tr_postgres_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    if (sink->ddl == TR_PG_DDL_IGNORE) {
        tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
               "the source dropped table %s.%s and made it anew; the target keeps the rows of the old one",
               relation->schema, relation->name);
        return 0;
    }
    tr_fail(
        err, TR_REFUSED,
        "the source dropped table %s.%s and made it anew; the target's table holds the rows of the old one",
        relation->schema, relation->name);
    char *label = tr_asprintf("%s.%s", relation->schema, relation->name);
    struct tr_buffer task, table;
    tr_buffer_init(&task, 4096);
    tr_buffer_init(&table, 4096);
    tr_pg_literal(&task, sink->base.env->task);
    tr_pg_literal(&table, label);
    tr_error_hint(
        err,
        "bring the target's table to what the source's was before this change (empty, if it was created empty), then run there:"
        " DELETE FROM tailrace.relation_shape WHERE task = %s AND table_name = %s; and start again",
        task.data, table.data);
    tr_buffer_fini(&task);
    tr_buffer_fini(&table);
    free(label);
    return -TR_REFUSED;
}

/* Remember the new shape, in the same transaction. */
static int
store(struct tr_postgres_sink *sink, PGconn *conn, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_pg_table *table = NULL;
    struct tr_buffer sql;
    int rc = tr_pg_table_read(sink, relation->target_schema, relation->target_name, &table, err);
    if (rc < 0)
        return rc;
    struct tr_pg_shape *shape = tr_pg_shape_set(sink->apply, relation, table, 0);
    tr_pg_table_free(table);
    if (!sink->keeps_shapes)
        return 0;
    tr_buffer_init(&sql, (size_t)16 << 20);
    tr_pg_shape_statement(sink, shape, &sql);
    rc = tr_pg_ask(sink, conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "remembering the shape of table %s.%s", relation->schema,
                                    relation->name)
                  : 0;
}

bool
tr_pg_shape_is_due(struct tr_pg_apply *apply, const struct tr_relation *relation, uint64_t group)
{
    const struct tr_pg_shape *shape = tr_pg_shape_find(apply, relation);
    return shape == NULL || shape->relation != relation || shape->writer == group;
}

int
tr_pg_reach_shape(struct tr_postgres_sink *sink, PGconn *conn, uint64_t group, struct tr_relation *previous,
                  struct tr_relation *relation, struct tr_error *err)
{
    struct tr_pg_shape *before = tr_pg_shape_find(sink->apply, relation);
    if (before == NULL && previous != NULL) /* rows of it came before this sink began to look */
        before = tr_pg_shape_set(sink->apply, previous, NULL, 0);
    bool fits = before != NULL && tr_pg_shape_fits(before, relation);
    bool rekeyed = before != NULL && before->id == relation->id && !tr_pg_shape_is_keyed(before, relation) &&
                   sink->ddl == TR_PG_DDL_APPLY;
    if (fits && !rekeyed && before->writer != group && !tr_pg_shape_incomplete(before, relation)) {
        tr_pg_shape_seen(before, relation);
        return 0;
    }
    int rc = 0;
    if (before != NULL && before->id != relation->id)
        rc = refuse_new_table(sink, relation, err);
    else if (before != NULL && !fits && sink->ddl == TR_PG_DDL_STOP)
        rc = refuse_change(relation, err);
    if (rc == 0 && !fits && sink->ddl == TR_PG_DDL_APPLY)
        rc = change_table(sink, conn, before, relation, err);
    if (rc == 0 && rekeyed)
        rc = tr_pg_change_key(sink, conn, before, relation, err);
    if (rc == 0)
        rc = store(sink, conn, relation, err);
    if (rc == 0 && (!fits || rekeyed))
        tr_pg_map_forget(sink->apply, relation->target_schema, relation->target_name);
    return rc;
}

/* Does the target lack a column that may be added? */
static bool
lacks_column(const struct tr_pg_table *table, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (!relation->columns[i].generated && tr_pg_table_column(table, relation->columns[i].name) < 0)
            return true;
    return false;
}

int
tr_pg_shape_first_use(struct tr_postgres_sink *sink, struct tr_relation *relation, uint64_t group,
                      bool *learnt, struct tr_error *err)
{
    struct tr_pg_shape *shape = tr_pg_shape_find(sink->apply, relation);
    struct tr_pg_table *table;
    if (shape != NULL && (!tr_pg_shape_fits(shape, relation) || shape->id != relation->id ||
                          (sink->ddl == TR_PG_DDL_APPLY && !tr_pg_shape_is_keyed(shape, relation))))
        return 1;
    int rc = tr_pg_table_get(sink, relation, &table, err);
    if (rc < 0)
        return rc;
    if (shape == NULL && sink->ddl == TR_PG_DDL_APPLY && lacks_column(table, relation))
        return 1;
    if (shape != NULL && !tr_pg_shape_incomplete(shape, relation)) {
        tr_pg_shape_seen(shape, relation);
        return 0;
    }
    tr_pg_shape_set(sink->apply, relation, table, group);
    *learnt = true;
    return 0;
}
