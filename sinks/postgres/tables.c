/*
 * tables.c - the target's tables: made or compared before the load (finish.c ends it).
 *
 * Nothing here remembers how far it got. What exists is asked of the target's catalogue, what is missing is made, each object in
 * one transaction with what belongs to it: so a run that was killed anywhere is simply done again.
 */
#include "sinks/postgres/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "schema/ddl.h"
#include "sinks/postgres/internal.h"
#include "sinks/postgres/tables_internal.h"

#define NOTES_SHOWN 20

static struct tr_postgres_sink *
down(struct tr_sink *sink)
{
    return (struct tr_postgres_sink *)sink;
}

const char *
tr_pg_setting(const struct tr_postgres_sink *sink, const char *name)
{
    const char *value = tr_setting_string(sink->base.env->settings, name);
    return value != NULL ? value : "";
}

void
tr_pg_array_add(struct tr_buffer *array, const char *text)
{
    tr_buffer_text(array, array->len == 0 ? "{\"" : ",\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            tr_buffer_byte(array, '\\');
        tr_buffer_byte(array, *p);
    }
    tr_buffer_byte(array, '"');
}

const char *
tr_pg_array_end(struct tr_buffer *array)
{
    tr_buffer_text(array, array->len == 0 ? "{}" : "}");
    return array->data;
}

/* ---- what exists */

static const char *
class_of(enum tr_object_kind kind)
{
    switch (kind) {
    case TR_OBJECT_EXTENSION: return "extension";
    case TR_OBJECT_SCHEMA: return "schema";
    case TR_OBJECT_TYPE:
    case TR_OBJECT_DOMAIN: return "type";
    default: return "class"; /* tables and sequences share pg_class */
    }
}

static const char existing_query[] =
    "SELECT o.place FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY o(kind, nsp, name, place) WHERE CASE o.kind"
    " WHEN 'extension' THEN EXISTS (SELECT FROM pg_extension WHERE extname = o.name)"
    " WHEN 'schema' THEN EXISTS (SELECT FROM pg_namespace WHERE nspname = o.name)"
    " WHEN 'type' THEN EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typname = o.name AND n.nspname = o.nsp)"
    " ELSE EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = o.name AND n.nspname = o.nsp) END";

/* have[i]: the object of statement i is there. One query for all. */
static int
find_existing(struct tr_postgres_sink *sink, const struct tr_ddl *ddl, bool *have, struct tr_error *err)
{
    struct tr_buffer kinds, schemas, names;
    tr_buffer_init(&kinds, TR_BUFFER_MAX);
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t i = 0; i < ddl->count && ddl->statements[i].phase == TR_DDL_BEFORE; i++) {
        tr_pg_array_add(&kinds, class_of(ddl->statements[i].kind));
        tr_pg_array_add(&schemas, ddl->statements[i].schema);
        tr_pg_array_add(&names, ddl->statements[i].name);
    }
    const char *params[] = { tr_pg_array_end(&kinds), tr_pg_array_end(&schemas), tr_pg_array_end(&names) };
    PGresult *res = NULL;
    int rc = tr_pg_exec_params(sink->meta, -1, existing_query, 3, params, &res, err);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        unsigned long place = strtoul(PQgetvalue(res, row, 0), NULL, 10);
        if (place >= 1 && place <= ddl->count)
            have[place - 1] = true;
    }
    PQclear(res);
    tr_buffer_fini(&kinds);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&names);
    return rc;
}

/* Functions, collations and base types that cannot be made from here. */
int
tr_pg_check_required(struct tr_postgres_sink *sink, const struct tr_schema *schema,
                     const struct tr_findings *findings, struct tr_error *err)
{
    static const char query[] =
        "SELECT CASE $1 WHEN 'function' THEN to_regprocedure($2) IS NOT NULL WHEN 'collation' THEN to_regcollation($2) IS NOT NULL ELSE to_regtype($2) IS NOT NULL END";
    struct tr_buffer name;
    int rc = 0;
    tr_buffer_init(&name, 4096);
    for (uint32_t i = 0; rc == 0 && i < schema->nobjects; i++) {
        const struct tr_object *object = &schema->objects[i];
        bool type = object->kind == TR_OBJECT_TYPE && object->native == NULL;
        if (!type && object->kind != TR_OBJECT_FUNCTION && object->kind != TR_OBJECT_COLLATION)
            continue;
        tr_buffer_reset(&name);
        if (type)
            tr_pg_qualified(&name, object->schema, object->name);
        else
            tr_buffer_text(&name, object->name);
        const char *kind = tr_object_kind_name(object->kind);
        const char *params[] = { kind, name.data };
        PGresult *res = NULL;
        rc = tr_pg_exec_params(sink->meta, -1, query, 2, params, &res, err);
        if (rc == 0 && PQgetvalue(res, 0, 0)[0] != 't') {
            char *text = tr_asprintf("the %s %s%s%s", kind, name.data,
                                     object->comment != NULL ? ", which is used by " : "",
                                     object->comment != NULL ? object->comment : "");
            findings->add(findings->arg, TR_FINDING_ERROR, "postgresql-target-lacks", name.data, text,
                          "-- " TR_PG_REQUIRED_HINT);
            free(text);
        }
        PQclear(res);
    }
    tr_buffer_fini(&name);
    return rc;
}

static void
list_lacking(void *list, enum tr_finding_level level, const char *id, const char *object, const char *text,
             const char *sql)
{
    (void)level, (void)id, (void)object, (void)sql;
    struct tr_buffer *out = list;
    tr_buffer_printf(out, "%s%s", out->len > 0 ? "; " : "", text);
}

static int
refuse_lacking(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_buffer list;
    tr_buffer_init(&list, (size_t)1 << 20);
    const struct tr_findings findings = { .arg = &list, .add = list_lacking };
    int rc = tr_pg_check_required(sink, schema, &findings, err);
    if (rc == 0 && list.len > 0) {
        tr_fail(err, TR_REFUSED, "the target lacks %s", list.data);
        rc = tr_error_hint(err, TR_PG_REQUIRED_HINT);
    }
    tr_buffer_fini(&list);
    return rc;
}

/* ---- making what is missing */

static int
statement_failed(const struct tr_ddl_statement *statement, struct tr_error *err)
{
    tr_error_prefix(
        err, "making %s %s%s%s at the target", tr_object_kind_name(statement->kind),
        statement->schema != NULL && statement->schema != statement->name ? statement->schema : "",
        statement->schema != NULL && statement->schema != statement->name ? "." : "", statement->name);
    if (strcmp(err->sqlstate, "42501") == 0)
        tr_error_hint(
            err,
            "grant the target's role CREATE on the database and its schemas, or make the objects yourself (tailrace schema prints them) and run with schema: expect");
    else if (statement->kind == TR_OBJECT_EXTENSION)
        tr_error_hint(
            err,
            "install the extension's package on the target server, or make the tables without it and run with schema: expect");
    else if (strcmp(err->sqlstate, "42P07") == 0)
        tr_error_hint(
            err,
            "another table of the target has an object of this name. If the source renamed that table to the one that is loaded now, drop it at the target; "
            "otherwise rename the object there (ALTER INDEX ... RENAME TO ...); then start again");
    else if (err->class != TR_RETRY)
        tr_error_hint(err, "tailrace schema prints all statements; make the object yourself and start again");
    if (err->class != TR_RETRY)
        err->class = TR_FATAL;
    return -(int)err->class;
}

/* Some statements as one transaction; when that fails, one by one to learn which it is. */
int
tr_pg_run_statements(const struct tr_postgres_sink *sink, PGconn *conn,
                     const struct tr_ddl_statement *const *statements, size_t count, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (size_t i = 0; i < count; i++)
        tr_buffer_printf(&sql, "%s%s", i > 0 ? ";\n" : "", statements[i]->sql);
    int rc = count > 0 ? tr_pg_exec(conn, tr_pg_stop_fd(sink), sql.data, NULL, err) : 0;
    tr_buffer_fini(&sql);
    TR_FAILPOINT("sink.postgres.tables.made");
    if (rc == 0 || err->class == TR_RETRY)
        return rc;
    if (count == 1)
        return statement_failed(statements[0], err);
    rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = tr_pg_run_statements(sink, conn, &statements[i], 1, err);
    return rc;
}

static int
make_missing(struct tr_postgres_sink *sink, const struct tr_ddl *ddl, const bool *have, struct tr_error *err)
{
    const struct tr_ddl_statement *some[STATEMENTS_AT_ONCE];
    size_t count = 0, made = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < ddl->count && ddl->statements[i].phase == TR_DDL_BEFORE; i++) {
        if (have[i])
            continue;
        made += ddl->statements[i].kind == TR_OBJECT_TABLE;
        some[count++] = &ddl->statements[i];
        if (count < STATEMENTS_AT_ONCE)
            continue;
        rc = tr_pg_run_statements(sink, sink->meta, some, count, err);
        count = 0;
    }
    if (rc == 0)
        rc = tr_pg_run_statements(sink, sink->meta, some, count, err);
    if (rc == 0 && made > 0)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "%zu tables were made at the target", made);
    return rc;
}

static void
log_notes(const struct tr_postgres_sink *sink, const struct tr_schema_note *notes, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < NOTES_SHOWN; i++)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "%s: %s", notes[i].object, notes[i].text);
    if (count > NOTES_SHOWN)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink",
               "%u more notes on the schema: tailrace schema lists all", count - NOTES_SHOWN);
}

/* In the transaction that makes a table it is written down that it is ours (its oid): until it is loaded in full it may be made anew. */
static void
mark_made(const struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_ddl *ddl,
          struct tr_ddl_statement *statement)
{
    const struct tr_relation *relation = schema->tables[statement->table].relation;
    char *label = tr_asprintf("%s.%s", relation->schema, relation->name);
    struct tr_buffer sql, name;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    tr_buffer_init(&name, 4096);
    tr_pg_qualified(&name, statement->schema, statement->name);
    tr_buffer_printf(&sql, "%s;\nINSERT INTO tailrace.relation_shape AS s (task, table_name, shape) VALUES (",
                     statement->sql);
    tr_pg_literal(&sql, sink->base.env->task);
    tr_buffer_text(&sql, ", ");
    tr_pg_literal(&sql, label);
    tr_buffer_text(&sql, ", jsonb_build_object('columns', '[]'::jsonb, 'made', ");
    tr_pg_literal(&sql, name.data);
    tr_buffer_text(
        &sql,
        "::regclass::oid::bigint)) ON CONFLICT (task, table_name) DO UPDATE SET shape = s.shape || jsonb_build_object('made', excluded.shape->'made')");
    statement->sql = tr_arena_strdup(&ddl->arena, sql.data);
    tr_buffer_fini(&name);
    tr_buffer_fini(&sql);
    free(label);
}

static int
create_tables(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_ddl *ddl;
    int rc = tr_pg_drop_outgrown(sink, schema, err);
    if (rc == 0)
        rc = tr_ddl_new(schema, "postgresql", &ddl, err);
    if (rc < 0)
        return rc;
    bool *have = tr_calloc(ddl->count + 1, sizeof(*have)), missing = false;
    rc = find_existing(sink, ddl, have, err);
    for (uint32_t i = 0; rc == 0 && i < ddl->count && ddl->statements[i].phase == TR_DDL_BEFORE; i++) {
        if (have[i] || ddl->statements[i].kind != TR_OBJECT_TABLE)
            continue;
        missing = true;
        if (sink->keeps_shapes)
            mark_made(sink, schema, ddl, &ddl->statements[i]);
    }
    if (rc == 0 && missing) {
        log_notes(sink, schema->notes, schema->nnotes);
        log_notes(sink, ddl->notes, ddl->nnotes);
        rc = refuse_lacking(sink, schema, err);
    }
    if (rc == 0)
        rc = make_missing(sink, ddl, have, err);
    free(have);
    tr_ddl_free(ddl);
    return rc;
}

int
tr_pg_prepare_tables(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = down(base);
    int rc = tr_pg_state_tables(sink, err);
    if (rc == 0 && strcmp(tr_pg_setting(sink, "schema"), "create") == 0)
        rc = create_tables(sink, schema, err);
    if (rc == 0)
        rc = tr_pg_compare_tables(sink, schema, err);
    if (rc == 0)
        rc = tr_pg_existing_rows(sink, schema, err);
    return rc;
}
