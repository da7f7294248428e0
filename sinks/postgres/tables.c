/*
 * tables.c - the target's tables: made or compared before the load, finished after it.
 *
 * Nothing here remembers how far it got. What exists is asked of the target's catalogue, what is missing is made, each object in
 * one transaction with what belongs to it: so a run that was killed anywhere is simply done again.
 */
#include "sinks/postgres/tables.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "schema/ddl.h"
#include "sinks/postgres/internal.h"
#include "sinks/postgres/jobs.h"
#include "sinks/postgres/tables_internal.h"

#define STATEMENTS_AT_ONCE 100 /* one transaction: well below max_locks_per_transaction * max_connections */
#define NOTES_SHOWN 20
#define CHECKERS 4 /* foreign keys that are checked at the same time */

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
static int
check_required(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
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
            tr_fail(err, TR_REFUSED, "the target lacks the %s %s%s%s", kind, name.data,
                    object->comment != NULL ? ", which is used by " : "",
                    object->comment != NULL ? object->comment : "");
            rc = tr_error_hint(
                err,
                "make it at the target first (pg_dump --schema-only shows its definition), or make the tables yourself and run with schema: expect");
        }
        PQclear(res);
    }
    tr_buffer_fini(&name);
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
        rc = check_required(sink, schema, err);
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

/* ---- after the rows */

/* One row per constraint and per index of the tables; the tail of an index's definition begins at USING. */
static const char keys_query[] =
    "SELECT o.place, k.name, k.def, k.kind FROM unnest($1::text[], $2::text[]) WITH ORDINALITY o(nsp, name, place)"
    " JOIN pg_namespace n ON n.nspname = o.nsp JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.name"
    " CROSS JOIN LATERAL (SELECT conname, pg_get_constraintdef(oid), contype::text FROM pg_constraint WHERE conrelid = c.oid"
    "  UNION ALL SELECT x.relname, substr(pg_get_indexdef(x.oid), strpos(pg_get_indexdef(x.oid), ' USING ') + 1), CASE WHEN i.indisvalid THEN 'i' ELSE '-' END"
    "  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid) k(name, def, kind) ORDER BY o.place";

struct keys {
    PGresult *res;
    int first, end; /* rows of the table at hand */
};

static int
read_keys(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_schema *schema, uint32_t first,
          uint32_t count, struct keys *keys, struct tr_error *err)
{
    struct tr_buffer schemas, names;
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t t = first; t < first + count; t++) {
        tr_pg_array_add(&schemas, schema->tables[t].relation->target_schema);
        tr_pg_array_add(&names, schema->tables[t].relation->target_name);
    }
    const char *params[] = { tr_pg_array_end(&schemas), tr_pg_array_end(&names) };
    *keys = (struct keys){ 0 };
    int rc = tr_pg_exec_params(conn, tr_pg_stop_fd(sink), keys_query, 2, params, &keys->res, err);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&names);
    return rc;
}

/* Move on to the rows of table `place` (from 1). Called with growing places. */
static void
keys_of(struct keys *keys, uint32_t place)
{
    int rows = PQntuples(keys->res);
    for (keys->first = keys->end;
         keys->first < rows && strtoul(PQgetvalue(keys->res, keys->first, 0), NULL, 10) < place;)
        keys->first++;
    for (keys->end = keys->first;
         keys->end < rows && strtoul(PQgetvalue(keys->res, keys->end, 0), NULL, 10) == place;)
        keys->end++;
}

/* Same name, same definition under another name, or any primary key where one is to be made. */
static bool
key_exists(const struct keys *keys, const struct tr_ddl_statement *statement)
{
    for (int row = keys->first; row < keys->end; row++) {
        char kind = PQgetvalue(keys->res, row, 3)[0];
        bool valid = kind != '-';
        if (statement->kind == TR_OBJECT_PRIMARY_KEY && kind == 'p')
            return true;
        if (strcmp(PQgetvalue(keys->res, row, 1), statement->name) == 0)
            return true;
        if (valid && statement->native != NULL &&
            strcmp(PQgetvalue(keys->res, row, 2), statement->native) == 0 &&
            (statement->kind != TR_OBJECT_UNIQUE || kind == 'u'))
            return true;
    }
    return false;
}

/* An index that an interrupted CREATE INDEX CONCURRENTLY left behind serves no query. */
static int
rebuild_invalid(const struct tr_postgres_sink *sink, PGconn *conn, const struct keys *keys,
                const struct tr_relation *relation, struct tr_error *err)
{
    int rc = 0;
    for (int row = keys->first; rc == 0 && row < keys->end && relation->kind != 'p'; row++) {
        if (PQgetvalue(keys->res, row, 3)[0] != '-')
            continue;
        struct tr_buffer sql;
        tr_buffer_init(&sql, 4096);
        tr_buffer_text(&sql, "REINDEX INDEX ");
        tr_pg_qualified(&sql, relation->target_schema, PQgetvalue(keys->res, row, 1));
        rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), sql.data, NULL, err);
        tr_buffer_fini(&sql);
    }
    return rc;
}

static bool
wants_schema(const struct tr_postgres_sink *sink)
{
    return strcmp(tr_pg_setting(sink, "schema"), "create") == 0;
}

int
tr_pg_analyze(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_relation *relation,
              struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "ANALYZE ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    int rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* Called first: what the jobs lock, this would wait for. A plain table is analysed after its last index, or here when it has none to make. */
static int
make_keys(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_schema *schema, uint32_t table,
          bool alone, struct keys *keys, struct tr_error *err)
{
    struct tr_relation *relation = schema->tables[table].relation;
    struct tr_ddl *ddl;
    unsigned jobs = 0;
    int rc = tr_ddl_new_for_table(schema, "postgresql", table, &ddl, err);
    if (rc < 0)
        return rc;
    const struct tr_ddl_statement **later = tr_calloc(ddl->count + 1, sizeof(*later));
    rc = rebuild_invalid(sink, conn, keys, relation, err);
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        const struct tr_ddl_statement *statement = &ddl->statements[i];
        if (key_exists(keys, statement))
            continue;
        if (alone && statement->kind != TR_OBJECT_PRIMARY_KEY)
            later[jobs++] = statement;
        else
            rc = tr_pg_run_statements(sink, conn, &statement, 1, err);
    }
    if (rc == 0)
        tr_pg_jobs_add(sink->jobs, later, jobs, relation);
    free(later);
    tr_ddl_free(ddl);
    return rc == 0 && alone && jobs == 0 ? tr_pg_analyze(sink, conn, relation, err) : rc;
}

/* Partitions that stand in the schema for their root's sake have keys of their own at times; they go with the root. */
static bool
belongs_to(const struct tr_schema *schema, uint32_t table, uint32_t root)
{
    while (table != root && schema->tables[table].parent > 0)
        table = schema->tables[table].parent - 1;
    return table == root;
}

static int
finish_family(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_schema *schema,
              uint32_t root, struct tr_error *err)
{
    bool partitioned = schema->tables[root].relation->kind == 'p';
    uint32_t end = partitioned ? schema->ntables : root + 1;
    int rc = 0;
    for (uint32_t t = root; rc == 0 && t < end; t++) {
        struct keys keys;
        if (!belongs_to(schema, t, root))
            continue;
        rc = read_keys(sink, conn, schema, t, 1, &keys, err);
        if (rc == 0) {
            keys_of(&keys, 1);
            rc = make_keys(sink, conn, schema, t, !partitioned, &keys, err);
        }
        PQclear(keys.res);
    }
    return rc < 0 || !partitioned ? rc : tr_pg_analyze(sink, conn, schema->tables[root].relation, err);
}

int
tr_pg_finish_table(struct tr_sink *base, const struct tr_schema *schema, const struct tr_relation *relation,
                   struct tr_error *err)
{
    struct tr_postgres_sink *sink = down(base);
    PGconn *conn = NULL;
    if (!wants_schema(sink))
        return 0;
    int rc = tr_pg_take_loader(sink, &conn, err);
    for (uint32_t t = 0; rc == 0 && relation != NULL && t < schema->ntables; t++) {
        if (schema->tables[t].relation->id != relation->id)
            continue;
        rc = finish_family(sink, conn, schema, t, err);
        if (rc < 0)
            tr_error_prefix(err, "indexes of %s.%s", relation->target_schema, relation->target_name);
        break;
    }
    if (rc == 0)
        rc = tr_pg_jobs_run(sink, sink->jobs, conn, err);
    tr_pg_pool_give(&sink->loaders, conn);
    return rc;
}

/* What finish_table of a killed run did not get to, and then what stands between tables. */
static int
make_rest(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_ddl *ddl, struct keys *keys,
          struct tr_error *err)
{
    int rc = 0;
    uint32_t at = UINT32_MAX;
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        const struct tr_ddl_statement *statement = &ddl->statements[i];
        if (statement->phase != TR_DDL_TABLE_AFTER &&
            (statement->phase != TR_DDL_END || statement->table == TR_DDL_NO_TABLE))
            continue;
        if (i > 0 && statement->phase != ddl->statements[i - 1].phase) {
            keys->first = keys->end = 0;
            at = UINT32_MAX;
        }
        if (statement->table != at)
            keys_of(keys, statement->table + 1);
        at = statement->table;
        if (!key_exists(keys, statement))
            rc = tr_pg_run_statements(sink, conn, &statement, 1, err);
    }
    return rc;
}

static int
set_sequences(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_ddl *ddl,
              struct tr_error *err)
{
    const struct tr_ddl_statement *some[STATEMENTS_AT_ONCE];
    size_t count = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        if (ddl->statements[i].phase != TR_DDL_END || ddl->statements[i].kind != TR_OBJECT_SEQUENCE)
            continue;
        some[count++] = &ddl->statements[i];
        if (count < STATEMENTS_AT_ONCE)
            continue;
        rc = tr_pg_run_statements(sink, conn, some, count, err);
        count = 0;
    }
    return rc < 0 ? rc : tr_pg_run_statements(sink, conn, some, count, err);
}

/*
 * Loads and indexes were committed without waiting for the disk. One transaction that waits puts all of them there, before anyone believes that the load is done; it
 * also tells whether the task is still ours. On `meta`, which is older than any of those commits: had the target crashed since, this connection would be dead, and the load
 * is done again from what the target remembers.
 */
static int
make_durable(struct tr_postgres_sink *sink, struct tr_error *err)
{
    char epoch[24];
    PGresult *res = NULL;
    const char *params[] = { sink->base.env->task, epoch };
    if (sink->epoch == 0)
        return 0;
    snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)sink->epoch);
    int rc = tr_pg_exec_params(
        sink->meta, -1,
        "UPDATE tailrace.checkpoint SET updated_at = now() WHERE task = $1 AND epoch = $2::bigint", 2, params,
        &res, err);
    if (rc == 0 && strcmp(PQcmdTuples(res), "1") != 0) {
        tr_fail(err, TR_FATAL, "task %s has been taken over by another process", sink->base.env->task);
        rc = tr_error_hint(err, "run one process per task and target");
    }
    PQclear(res);
    return rc;
}

/* Foreign keys of the schema that the source has checked and the target has not. */
static int
find_unchecked(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_schema *schema,
               PGresult **res, struct tr_error *err)
{
    static const char query[] =
        "SELECT n.nspname, c.relname, k.conname FROM unnest($1::text[], $2::text[], $3::text[]) o(nsp, rel, con) JOIN pg_namespace n ON n.nspname = o.nsp"
        " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.rel JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = o.con"
        " WHERE k.contype = 'f' AND NOT k.convalidated ORDER BY 1, 2, 3";
    struct tr_buffer schemas, tables, names;
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&tables, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t t = 0; t < schema->ntables; t++)
        for (uint32_t i = 0; i < schema->tables[t].nobjects; i++) {
            const struct tr_object *object = &schema->tables[t].objects[i];
            if (object->kind != TR_OBJECT_FOREIGN_KEY ||
                (object->native != NULL && strstr(object->native, "NOT VALID") != NULL))
                continue;
            tr_pg_array_add(&schemas, schema->tables[t].relation->target_schema);
            tr_pg_array_add(&tables, schema->tables[t].relation->target_name);
            tr_pg_array_add(&names, object->name);
        }
    const char *params[] = { tr_pg_array_end(&schemas), tr_pg_array_end(&tables), tr_pg_array_end(&names) };
    int rc = tr_pg_exec_params(conn, tr_pg_stop_fd(sink), query, 3, params, res, err);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&tables);
    tr_buffer_fini(&names);
    return rc;
}

/* The rows of the tables do not fit yet, or not at all: the key stays unchecked, and that is said. */
static void
leave_unchecked(const struct tr_postgres_sink *sink, const PGresult *res, int row, bool early,
                const char *sql, const struct tr_error *why)
{
    const char *schema = PQgetvalue(res, row, 0), *table = PQgetvalue(res, row, 1),
               *name = PQgetvalue(res, row, 2);
    if (early)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "foreign key %s of %s.%s is NOT VALID for now: the tables were loaded at different moments; its rows are "
            "checked once the stream has caught up",
            name, schema, table);
    else
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "foreign key %s of %s.%s stays NOT VALID: %s; it does hold at the source if the target has had no other "
            "writers. After mending the rows: %s;",
            name, schema, table, why->text, sql);
}

/* early: the stream may still bring the rows that are missed. */
static int
check_key(const struct tr_postgres_sink *sink, PGconn *conn, const PGresult *res, int row, bool early,
          struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_pg_qualified(&sql, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1));
    tr_buffer_text(&sql, " VALIDATE CONSTRAINT ");
    tr_pg_identifier(&sql, PQgetvalue(res, row, 2));
    TR_FAILPOINT("sink.postgres.tables.validate");
    int rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), sql.data, NULL, err);
    if (rc == 0)
        tr_log(sink->base.env->log, TR_LOG_DEBUG, "sink",
               "foreign key %s of %s.%s is checked: it holds for all rows", PQgetvalue(res, row, 2),
               PQgetvalue(res, row, 0), PQgetvalue(res, row, 1));
    if (rc < 0 && strcmp(err->sqlstate, "23503") == 0) {
        leave_unchecked(sink, res, row, early, sql.data, err);
        tr_error_clear(err);
        rc = 0;
    }
    tr_buffer_fini(&sql);
    return rc;
}

/* Several keys are checked side by side: VALIDATE holds up neither its like nor anybody who reads or writes. */
struct key_check {
    struct tr_postgres_sink *sink;
    const PGresult *res;
    bool early;
    _Atomic int next;
};

struct key_checker {
    struct key_check *check;
    pthread_t thread;
    int result;
    struct tr_error error;
};

static void *
check_some(void *arg)
{
    struct key_checker *self = arg;
    struct key_check *check = self->check;
    PGconn *conn = NULL;
    tr_error_clear(&self->error);
    self->result = tr_pg_take_loader(check->sink, &conn, &self->error);
    for (int row; self->result == 0 && (row = atomic_fetch_add(&check->next, 1)) < PQntuples(check->res);)
        self->result = check_key(check->sink, conn, check->res, row, check->early, &self->error);
    tr_pg_pool_give(&check->sink->loaders, conn);
    return NULL;
}

static int
check_keys(struct tr_postgres_sink *sink, const PGresult *res, bool early, struct tr_error *err)
{
    struct key_check check = { .sink = sink, .res = res, .early = early };
    struct key_checker checkers[CHECKERS];
    int count = PQntuples(res) < CHECKERS ? PQntuples(res) : CHECKERS, begun = 0, rc = 0;
    for (; begun < count; begun++) {
        checkers[begun].check = &check;
        if (pthread_create(&checkers[begun].thread, NULL, check_some, &checkers[begun]) != 0)
            break;
    }
    for (int i = 0; i < begun; i++) {
        pthread_join(checkers[i].thread, NULL);
        if (rc == 0 && checkers[i].result < 0) {
            *err = checkers[i].error;
            rc = checkers[i].result;
        }
    }
    return rc == 0 && begun == 0 && count > 0 ? tr_fail(err, TR_RETRY, "no thread to check foreign keys")
                                              : rc;
}

/* Foreign keys are made without a look at the rows, which takes an instant, and then checked side by side. */
static int
finish_schema(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    struct keys keys = { 0 };
    struct tr_ddl *ddl = NULL;
    struct tr_schema loose = *schema;
    PGresult *unchecked = NULL;
    PGconn *conn = NULL;
    loose.cuts_differ = true;
    int rc = tr_ddl_new(&loose, "postgresql", &ddl, err);
    if (rc == 0)
        rc = tr_pg_take_loader(sink, &conn, err);
    if (rc == 0)
        rc = read_keys(sink, conn, schema, 0, schema->ntables, &keys, err);
    if (rc == 0)
        rc = make_rest(sink, conn, ddl, &keys, err);
    if (rc == 0)
        rc = set_sequences(sink, conn, ddl, err);
    if (rc == 0)
        rc = find_unchecked(sink, conn, schema, &unchecked, err);
    tr_pg_pool_give(&sink->loaders, conn);
    if (rc == 0)
        rc = check_keys(sink, unchecked, schema->cuts_differ, err);
    PQclear(keys.res);
    PQclear(unchecked);
    tr_ddl_free(ddl);
    return rc;
}

int
tr_pg_finish_tables(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = down(base);
    int rc = wants_schema(sink) && schema->ntables > 0 ? finish_schema(sink, schema, err) : 0;
    tr_pg_pool_clear(&sink->loaders);
    if (rc == 0)
        rc = make_durable(sink, err);
    return rc < 0 ? tr_error_prefix(err, "finishing the load") : 0;
}

/* ---- while changes flow */

/* A sequence's statement fails where there is no such sequence; with schema: expect that is the user's own affair. */
static int
find_sequences(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_ddl *ddl, bool *have,
               struct tr_error *err)
{
    static const char query[] =
        "SELECT o.place FROM unnest($1::text[], $2::text[]) WITH ORDINALITY o(nsp, name, place) JOIN pg_namespace n ON n.nspname = o.nsp"
        " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.name AND c.relkind = 'S'";
    struct tr_buffer schemas, names;
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t i = 0; i < ddl->count; i++) {
        bool sequence = ddl->statements[i].phase == TR_DDL_END &&
                        ddl->statements[i].kind == TR_OBJECT_SEQUENCE;
        tr_pg_array_add(&schemas, sequence ? ddl->statements[i].schema : "");
        tr_pg_array_add(&names, sequence ? ddl->statements[i].name : "");
    }
    const char *params[] = { tr_pg_array_end(&schemas), tr_pg_array_end(&names) };
    PGresult *res = NULL;
    int rc = tr_pg_exec_params(conn, tr_pg_stop_fd(sink), query, 2, params, &res, err);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        unsigned long place = strtoul(PQgetvalue(res, row, 0), NULL, 10);
        if (place >= 1 && place <= ddl->count)
            have[place - 1] = true;
    }
    PQclear(res);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&names);
    return rc;
}

/* Leaves only the statements of sequences that are there. */
static int
keep_sequences(const struct tr_postgres_sink *sink, PGconn *conn, struct tr_ddl *ddl, struct tr_error *err)
{
    bool *have = tr_calloc(ddl->count + 1, sizeof(*have));
    int rc = find_sequences(sink, conn, ddl, have, err);
    uint32_t count = 0, missing = 0;
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        if (have[i])
            ddl->statements[count++] = ddl->statements[i];
        else
            missing += ddl->statements[i].phase == TR_DDL_END &&
                       ddl->statements[i].kind == TR_OBJECT_SEQUENCE;
    }
    if (rc == 0)
        ddl->count = count;
    if (missing > 0)
        tr_log(sink->base.env->log, TR_LOG_DEBUG, "sink",
               "%u sequences of the source are not at the target: their values are not carried", missing);
    free(have);
    return rc;
}

int
tr_pg_set_sequences(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = down(base);
    struct tr_ddl *ddl = NULL;
    PGconn *conn = NULL;
    int rc = tr_ddl_new(schema, "postgresql", &ddl, err);
    if (rc == 0)
        rc = tr_pg_take_loader(sink, &conn, err);
    if (rc == 0)
        rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), "SET synchronous_commit = on", NULL, err);
    if (rc == 0)
        rc = keep_sequences(sink, conn, ddl, err);
    if (rc == 0)
        rc = set_sequences(sink, conn, ddl, err);
    tr_pg_let_go(sink, conn); /* its settings are not those of a loader any more */
    tr_ddl_free(ddl);
    if (rc < 0 && strcmp(err->sqlstate, "42501") == 0)
        tr_error_hint(err, "GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ... TO \"%s\";",
                      PQuser(sink->meta));
    return rc < 0 ? tr_error_prefix(err, "setting the target's sequences") : 0;
}

/* ADD CONSTRAINT ... NOT VALID locks both tables for an instant, VALIDATE does not stop writers: nothing waits long, and a lock that is not free is asked for again later. */
int
tr_pg_settle(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = down(base);
    struct tr_schema loose = *schema;
    struct keys keys = { 0 };
    struct tr_ddl *ddl = NULL;
    PGresult *unchecked = NULL;
    PGconn *conn = NULL;
    if (!wants_schema(sink) || schema->ntables == 0)
        return 0;
    loose.cuts_differ = true;
    int rc = tr_ddl_new(&loose, "postgresql", &ddl, err);
    if (rc == 0)
        rc = tr_pg_take_loader(sink, &conn, err);
    if (rc == 0)
        rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), "SET lock_timeout = '500ms'", NULL, err);
    if (rc == 0)
        rc = read_keys(sink, conn, schema, 0, schema->ntables, &keys, err);
    if (rc == 0)
        rc = make_rest(sink, conn, ddl, &keys, err);
    if (rc == 0)
        rc = find_unchecked(sink, conn, schema, &unchecked, err);
    for (int row = 0; rc == 0 && row < PQntuples(unchecked); row++)
        rc = check_key(sink, conn, unchecked, row, false, err);
    PQclear(keys.res);
    PQclear(unchecked);
    tr_pg_let_go(sink, conn);
    tr_ddl_free(ddl);
    return rc < 0 ? tr_error_prefix(err, "completing the target's foreign keys") : 0;
}
