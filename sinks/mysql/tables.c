/*
 * tables.c - the target's tables: made or compared before the load, finished after it.
 *
 * Nothing here remembers how far it got. What exists is asked of the target's catalogue, what is missing is made, each object by one statement: so a run that was
 * killed anywhere is simply done again.
 */
#include "sinks/mysql/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "schema/ddl.h"
#include "sinks/mysql/apply.h"

#define NOTES_SHOWN 20
#define NAMED_AT_MOST 12 /* differences in one message */

static bool
setting_is(const struct tr_mysql_sink *sink, const char *name, const char *value)
{
    const char *text = tr_setting_string(sink->base.env->settings, name);
    return text != NULL && strcmp(text, value) == 0;
}

/* Partitions of a root come with the root. */
static bool
is_carried(const struct tr_table *table)
{
    return table->parent == 0 && !table->relation->skip;
}

/* ---- what exists */

/* Is there a row? `a` and `b` are literals in the place of each %s. */
static int
exists(MYSQL *conn, const char *format, const char *a, const char *b, const char *c, bool *there,
       struct tr_error *err)
{
    struct tr_buffer sql;
    const char *values[] = { a, b, c };
    MYSQL_RES *res = NULL;
    size_t n = 0;
    tr_buffer_init(&sql, (size_t)1 << 16);
    for (const char *p = format; *p != '\0'; p++) {
        if (*p == '?' && n < 3) {
            tr_mysql_literal(&sql, values[n], strlen(values[n]));
            n++;
        } else {
            tr_buffer_byte(&sql, *p);
        }
    }
    int rc = tr_mysql_query(conn, sql.data, &res, err);
    *there = rc == 0 && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    return rc;
}

/* Its name may be another when the task had other tables. */
static int
constraint_exists(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_ddl_statement *statement,
                  const struct tr_relation *relation, bool *there, struct tr_error *err)
{
    static const char query[] =
        "SELECT 1 FROM information_schema.table_constraints WHERE constraint_schema = ? AND table_name = ? AND constraint_name = ?";
    const char *database = tr_my_database(sink, relation);
    int rc = exists(conn, query, database, relation->target_name, statement->name, there, err);
    if (rc == 0 && !*there && statement->other_name != NULL)
        rc = exists(conn, query, database, relation->target_name, statement->other_name, there, err);
    return rc;
}

/* AUTO_INCREMENT is only ever moved up. MySQL's catalogue may tell an old number, unless it is told not to. */
static int
counter_reached(MYSQL *conn, const struct tr_ddl_statement *statement, bool *there, struct tr_error *err)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)statement->counter);
    int rc = tr_mysql_is_mariadb(conn)
                 ? 0
                 : tr_mysql_query(conn, "SET SESSION information_schema_stats_expiry = 0", NULL, err);
    if (rc == 0)
        rc = exists(
            conn,
            "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ? AND auto_increment < CAST(? AS UNSIGNED)",
            statement->schema, statement->name, number, there, err);
    *there = !*there; /* there is nothing to do where there is no such table, or none that counts */
    return rc;
}

/* A sequence is there before the tables that ask it; its value is for one that is there, and SETVAL itself never goes back. */
static int
sequence_exists(MYSQL *conn, const struct tr_ddl_statement *statement, bool *there, struct tr_error *err)
{
    bool value = statement->phase == TR_DDL_END;
    int rc = exists(
        conn,
        value
            ? "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ? AND table_type = 'SEQUENCE'"
            : "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
        statement->schema, statement->name, "", there, err);
    *there = *there != value;
    return rc;
}

static int
object_exists(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_schema *schema,
              const struct tr_ddl_statement *statement, bool *there, struct tr_error *err)
{
    const struct tr_relation *relation = statement->table != TR_DDL_NO_TABLE
                                             ? schema->tables[statement->table].relation
                                             : NULL;
    const char *table = relation != NULL ? relation->target_name : "";
    switch (statement->kind) {
    case TR_OBJECT_SCHEMA:
        return exists(conn, "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?",
                      statement->name, "", "", there, err);
    case TR_OBJECT_TABLE:
        return exists(conn,
                      "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
                      statement->schema, statement->name, "", there, err);
    case TR_OBJECT_UNIQUE:
    case TR_OBJECT_INDEX:
        return exists(
            conn,
            "SELECT 1 FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? AND index_name = ?",
            tr_my_database(sink, relation), table, statement->name, there, err);
    case TR_OBJECT_FOREIGN_KEY:
    case TR_OBJECT_CHECK: return constraint_exists(sink, conn, statement, relation, there, err);
    case TR_OBJECT_SEQUENCE:
        return relation == NULL ? sequence_exists(conn, statement, there, err)
                                : counter_reached(conn, statement, there, err);
    default: *there = false; return 0;
    }
}

/* ---- making what is missing */

static int
statement_failed(const struct tr_ddl_statement *statement, struct tr_error *err)
{
    bool two = statement->schema != NULL && strcmp(statement->schema, statement->name) != 0;
    bool moves = statement->kind == TR_OBJECT_SEQUENCE && statement->phase == TR_DDL_END;
    tr_error_prefix(err, "%s %s %s%s%s at the target", moves ? "setting" : "making",
                    tr_object_kind_name(statement->kind), two ? statement->schema : "", two ? "." : "",
                    statement->name);
    if (err->class == TR_RETRY)
        return -TR_RETRY;
    if (strstr(err->text, "(1142,") != NULL || strstr(err->text, "(1044,") != NULL)
        tr_error_hint(
            err,
            "grant the target's account INSERT, CREATE, ALTER, INDEX, REFERENCES and DROP there, or make the objects yourself (tailrace schema prints them)"
            " and run with schema: expect");
    else
        tr_error_hint(err, "tailrace schema prints all statements; make the object yourself and start again");
    err->class = TR_FATAL;
    return -TR_FATAL;
}

static const char *
relation_name(const struct tr_schema *schema, const struct tr_ddl_statement *statement)
{
    return statement->table != TR_DDL_NO_TABLE ? schema->tables[statement->table].relation->target_name
                                               : statement->name;
}

static int
make(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_schema *schema,
     const struct tr_ddl_statement *statement, bool *made, struct tr_error *err)
{
    bool there;
    int rc = object_exists(sink, conn, schema, statement, &there, err);
    *made = rc == 0 && !there;
    if (rc < 0 || there)
        return rc;
    rc = tr_mysql_query(conn, statement->sql, NULL, err);
    TR_FAILPOINT("sink.mysql.tables.made");
    if (rc >= 0)
        return 0;
    /* A server ends the statement of a client that was killed or stopped at its leisure: this one may have waited for that. */
    struct tr_error unasked;
    if (rc != -TR_RETRY && object_exists(sink, conn, schema, statement, &there, &unasked) == 0 && there)
        return 0;
    if (err->class != TR_RETRY && statement->optional) {
        tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
               "%s %s of %s.%s is not made: %s; the rows are not touched by that",
               tr_object_kind_name(statement->kind), statement->name, statement->schema,
               relation_name(schema, statement), err->text);
        tr_error_clear(err);
        *made = false;
        return 0;
    }
    return statement_failed(statement, err);
}

static void
log_notes(const struct tr_mysql_sink *sink, const struct tr_schema_note *notes, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < NOTES_SHOWN; i++)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "%s: %s", notes[i].object, notes[i].text);
    if (count > NOTES_SHOWN)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink",
               "%u more notes on the schema: tailrace schema lists all", count - NOTES_SHOWN);
}

/* What this task has done of a table: nothing, begun its load (the rows are ours), or finished it. */
enum progress { NOTHING, BEGUN, DONE };

static int
progress_of(struct tr_mysql_sink *sink, const struct tr_relation *relation, enum progress *progress,
            struct tr_error *err)
{
    static const char query[] =
        "SELECT 1 FROM tailrace.table_cut WHERE task = ? AND table_name = ? AND done >= ?";
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    bool begun = false, done = false;
    int rc = exists(sink->meta, query, sink->base.env->task, name, "0", &begun, err);
    if (rc == 0 && begun)
        rc = exists(sink->meta, query, sink->base.env->task, name, "1", &done, err);
    free(name);
    *progress = done ? DONE : begun ? BEGUN : NOTHING;
    return rc;
}

static int
has_rows(struct tr_mysql_sink *sink, const struct tr_relation *relation, bool *filled, struct tr_error *err)
{
    struct tr_buffer sql;
    char *one = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT 1 FROM ");
    tr_mysql_qualified(&sql, tr_my_database(sink, relation), relation->target_name);
    tr_buffer_text(&sql, " LIMIT 1");
    int rc = tr_mysql_query_text(sink->meta, sql.data, &one, err);
    *filled = one != NULL;
    free(one);
    tr_buffer_fini(&sql);
    return rc;
}

static int
create_tables(struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_ddl *ddl;
    unsigned tables = 0;
    int rc = tr_ddl_new_at(schema, tr_my_dialect(sink), &sink->target, TR_DDL_NO_TABLE, &ddl, err);
    if (rc < 0)
        return rc;
    rc = tr_my_drop_outgrown(sink, schema, ddl, err);
    for (uint32_t i = 0; rc == 0 && i < ddl->count && ddl->statements[i].phase == TR_DDL_BEFORE; i++) {
        const struct tr_ddl_statement *statement = &ddl->statements[i];
        enum progress progress = NOTHING;
        bool made = false, filled = true;
        /* what is loaded and not there is about to get its name by a statement of the stream */
        if (statement->kind == TR_OBJECT_TABLE && schema->tables[statement->table].settled)
            continue;
        if (statement->kind == TR_OBJECT_CHECK) /* with rows in the table it would be made of them all */
            rc = progress_of(sink, schema->tables[statement->table].relation, &progress, err);
        if (rc == 0 && progress == BEGUN) /* none where the table was made anew */
            rc = has_rows(sink, schema->tables[statement->table].relation, &filled, err);
        if (rc == 0 && (progress == NOTHING || !filled))
            rc = make(sink, sink->meta, schema, statement, &made, err);
        if (rc == 0 && made && statement->kind == TR_OBJECT_TABLE) {
            rc = tr_my_note_fresh(sink, schema, ddl, statement->table, err);
            if (rc == 0)
                rc = tr_my_mark_made(sink, schema->tables[statement->table].relation, err);
            tables++;
        }
    }
    if (rc == 0 && tables > 0) {
        log_notes(sink, schema->notes, schema->nnotes);
        log_notes(sink, ddl->notes, ddl->nnotes);
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "%u tables were made at the target", tables);
    }
    tr_ddl_free(ddl);
    return rc;
}

/* ---- comparing */

struct differences {
    struct tr_buffer text;
    unsigned count;
};

static void differ(struct differences *diff, const char *fmt, ...) TR_PRINTF(2, 3);

static void
differ(struct differences *diff, const char *fmt, ...)
{
    char text[600];
    va_list args;
    if (diff->count++ >= NAMED_AT_MOST)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tr_buffer_printf(&diff->text, "%s%s", diff->count > 1 ? "; " : "", text);
}

static void
compare_columns(struct differences *diff, const char *label, const struct tr_relation *relation,
                const struct tr_my_table *table)
{
    bool *seen = tr_calloc(table->ncolumns + 1u, sizeof(*seen));
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        int at = tr_my_table_column(table, column->name);
        if (at >= 0)
            seen[at] = true;
        if (at < 0 && !column->generated)
            differ(diff, "%s: column %s is missing", label, column->name);
        else if (at >= 0 && table->columns[at].generated && !column->generated)
            differ(diff, "%s: column %s is generated at the target only", label, column->name);
        else if (at >= 0 && table->columns[at].not_null && !column->not_null && column->key == 0 &&
                 !column->generated)
            differ(diff, "%s: column %s is NOT NULL and the source's is not", label, column->name);
    }
    for (uint16_t i = 0; i < table->ncolumns; i++)
        if (!seen[i] && table->columns[i].not_null && !table->columns[i].has_default &&
            !table->columns[i].generated)
            differ(diff, "%s: column %s is unknown at the source, NOT NULL and without a default", label,
                   table->columns[i].name);
    free(seen);
}

/* A load that was cut short begins anew, and the source's table may have grown meanwhile. */
static int
add_columns(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_my_table **table,
            struct tr_error *err)
{
    bool changed = false;
    int rc = setting_is(sink, "schema", "create")
                 ? tr_my_reach_shape(sink, relation, *table, false, &changed, err)
                 : 0;
    if (rc == 0 && !changed)
        return 0;
    tr_my_table_free(*table);
    *table = NULL;
    return rc < 0 ? rc
                  : tr_my_table_read(sink->meta, tr_my_database(sink, relation), relation->target_name, table,
                                     err);
}

static int
compare_table(struct tr_mysql_sink *sink, struct differences *diff, const struct tr_relation *relation,
              struct tr_error *err)
{
    struct tr_my_table *table = NULL;
    const char *database = tr_my_database(sink, relation);
    enum progress progress;
    int rc = progress_of(sink, relation, &progress, err);
    if (rc == 0 && progress == DONE) /* what the source has changed since comes by the stream */
        return 0;
    if (rc == 0)
        rc = tr_my_table_read(sink->meta, database, relation->target_name, &table, err);
    bool ours = false; /* also where the process that made it was killed before its load was begun */
    if (rc == 0 && table != NULL)
        rc = tr_my_was_made(sink, relation, &ours, err);
    if (rc == 0 && ours) /* what somebody else has made is left as it is */
        rc = add_columns(sink, relation, &table, err);
    if (rc < 0)
        return rc;
    char *label = tr_asprintf("%s.%s", database, relation->target_name);
    if (table == NULL) {
        differ(diff, "%s: the table does not exist", label);
    } else {
        if (!table->transactional)
            differ(diff, "%s: the table is kept by %s, and only InnoDB can take part in a transaction", label,
                   table->engine);
        if (table->has_triggers)
            differ(diff, "%s: the table has triggers, which would fire again for every change", label);
        compare_columns(diff, label, relation, table);
    }
    free(label);
    tr_my_table_free(table);
    return 0;
}

static int
compare_tables(struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct differences diff = { .count = 0 };
    int rc = 0;
    tr_buffer_init(&diff.text, (size_t)1 << 20);
    for (uint32_t t = 0; rc == 0 && t < schema->ntables; t++)
        if (is_carried(&schema->tables[t]) && !schema->tables[t].settled)
            rc = compare_table(sink, &diff, schema->tables[t].relation, err);
    if (rc == 0 && diff.count > 0) {
        tr_fail(err, TR_REFUSED, "the target's tables do not take the source's rows: %s%s", diff.text.data,
                diff.count > NAMED_AT_MOST ? "; and more" : "");
        rc = tr_error_hint(
            err,
            "alter the target's tables, or drop them and run with schema: create; tailrace schema prints how they would be made");
    }
    tr_buffer_fini(&diff.text);
    return rc;
}

/* ---- rows that are there already */

static int
truncate_table(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "TRUNCATE TABLE ");
    tr_mysql_qualified(&sql, tr_my_database(sink, relation), relation->target_name);
    int rc = tr_mysql_query(sink->meta, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "emptying the target's table %s.%s", tr_my_database(sink, relation),
                                    relation->target_name)
                  : 0;
}

static int
existing_rows(struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct differences names = { .count = 0 };
    bool truncate = setting_is(sink, "on_existing", "truncate");
    int rc = 0;
    if (setting_is(sink, "on_existing", "append"))
        return 0;
    tr_buffer_init(&names.text, (size_t)1 << 20);
    for (uint32_t t = 0; rc == 0 && t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        enum progress progress = NOTHING;
        bool filled = false;
        if (!is_carried(&schema->tables[t]))
            continue;
        rc = progress_of(sink, relation, &progress, err);
        if (rc == 0 && progress == NOTHING)
            rc = has_rows(sink, relation, &filled, err);
        if (rc == 0 && filled && truncate)
            rc = truncate_table(sink, relation, err);
        else if (rc == 0 && filled)
            differ(&names, "%s.%s", tr_my_database(sink, relation), relation->target_name);
    }
    if (rc == 0 && names.count > 0) {
        tr_fail(err, TR_REFUSED, "%u of the target's tables already hold%s rows: %s%s", names.count,
                names.count == 1 ? "s" : "", names.text.data, names.count > NAMED_AT_MOST ? "; ..." : "");
        rc = tr_error_hint(
            err, "empty them, or run with on_existing: truncate (removes their rows) or append (keeps them)");
    }
    tr_buffer_fini(&names.text);
    return rc;
}

/* Tables whose names differ in case alone, at a server that keeps them in small letters: their rows would be mixed without a word. */
int
tr_my_find_folded(const struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    for (uint32_t t = 0; sink->folds_names && t < schema->ntables; t++)
        for (uint32_t i = t + 1; i < schema->ntables; i++) {
            const struct tr_relation *one = schema->tables[t].relation, *other = schema->tables[i].relation;
            if (strcasecmp(one->target_name, other->target_name) == 0 && is_carried(&schema->tables[t]) &&
                is_carried(&schema->tables[i]) &&
                strcasecmp(tr_my_database(sink, one), tr_my_database(sink, other)) == 0)
                return tr_my_refuse_folded(tr_my_database(sink, one), one->target_name, other->target_name,
                                           err);
        }
    return 0;
}

int
tr_my_prepare_tables(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int rc = tr_my_state_tables(sink, err);
    if (rc == 0)
        rc = tr_my_find_folded(sink, schema, err);
    if (rc == 0 && setting_is(sink, "schema", "create"))
        rc = create_tables(sink, schema, err);
    if (rc == 0)
        rc = compare_tables(sink, schema, err);
    if (rc == 0)
        rc = existing_rows(sink, schema, err);
    return rc < 0 ? rc : tr_my_shapes_prepare(sink, schema, err);
}

int
tr_my_reset_table(struct tr_sink *base, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    bool filled;
    if (!setting_is(sink, "on_existing", "append"))
        return truncate_table(sink, relation, err);
    int rc = has_rows(sink, relation, &filled, err);
    if (rc < 0 || !filled)
        return rc;
    tr_fail(
        err, TR_REFUSED,
        "the load of %s.%s was cut short, and with on_existing: append its rows cannot be told from those that were there before",
        tr_my_database(sink, relation), relation->target_name);
    return tr_error_hint(err, "empty the table and start again");
}

/* ---- after the rows */

/* DDL commits by itself, and an ALTER that was cut short left nothing behind: what is missing is made. */
static int
make_phase(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_schema *schema, const struct tr_ddl *ddl,
           enum tr_ddl_phase phase, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        bool made;
        uint32_t table = ddl->statements[i].table;
        bool settled = table != TR_DDL_NO_TABLE && schema->tables[table].settled;
        if (ddl->statements[i].phase == phase && !settled)
            rc = make(sink, conn, schema, &ddl->statements[i], &made, err);
    }
    return rc;
}

int
tr_my_finish_table(struct tr_sink *base, const struct tr_schema *schema, const struct tr_relation *relation,
                   struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    MYSQL *conn = NULL;
    struct tr_ddl *ddl = NULL;
    if (relation == NULL || !setting_is(sink, "schema", "create"))
        return 0;
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *known = schema->tables[t].relation;
        if (strcmp(known->name, relation->name) != 0 || strcmp(known->schema, relation->schema) != 0)
            continue;
        int rc = tr_ddl_new_at(schema, tr_my_dialect(sink), &sink->target, t, &ddl, err);
        if (rc == 0 && ddl->count > 0)
            rc = tr_my_sink_connect(sink, "index", false, &conn, err);
        if (rc == 0)
            rc = make_phase(sink, conn, schema, ddl, TR_DDL_TABLE_AFTER, err);
        tr_mysql_close(sink->group, conn);
        tr_ddl_free(ddl);
        return rc < 0
                   ? tr_error_prefix(err, "indexes of %s.%s", relation->target_schema, relation->target_name)
                   : 0;
    }
    return 0;
}

int
tr_my_finish_tables(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    struct tr_ddl *ddl = NULL;
    MYSQL *conn = NULL;
    if (!setting_is(sink, "schema", "create") || schema->ntables == 0)
        return 0;
    int rc = tr_ddl_new_at(schema, tr_my_dialect(sink), &sink->target, TR_DDL_NO_TABLE, &ddl, err);
    if (rc == 0)
        rc = tr_my_sink_connect(sink, "finish", false, &conn, err);
    if (rc == 0)
        rc = make_phase(sink, conn, schema, ddl, TR_DDL_TABLE_AFTER, err);
    if (rc == 0)
        rc = make_phase(sink, conn, schema, ddl, TR_DDL_END, err);
    tr_mysql_close(sink->group, conn);
    tr_ddl_free(ddl);
    return rc < 0 ? tr_error_prefix(err, "finishing the load") : 0;
}

/* ---- while changes flow, and at their end */

int
tr_my_set_sequences(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    struct tr_ddl *ddl = NULL;
    int rc = tr_ddl_new_at(schema, tr_my_dialect(sink), &sink->target, TR_DDL_NO_TABLE, &ddl, err);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, "SET SESSION lock_wait_timeout = 10", NULL, err);
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        bool made;
        if (ddl->statements[i].phase == TR_DDL_END && ddl->statements[i].kind == TR_OBJECT_SEQUENCE)
            rc = make(sink, sink->meta, schema, &ddl->statements[i], &made, err);
    }
    tr_ddl_free(ddl);
    return rc < 0 ? tr_error_prefix(err, "setting the target's counters") : 0;
}
