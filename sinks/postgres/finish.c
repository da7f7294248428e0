/*
 * finish.c - the target's tables after their rows: keys, indexes, foreign keys, sequences; and what of it is kept up while changes flow.
 *
 * As in tables.c the target's catalogue tells what a killed run has left to do.
 */
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
#include "sinks/postgres/tables.h"
#include "sinks/postgres/tables_internal.h"

#define CHECKERS 4 /* foreign keys that are checked at the same time */

static struct tr_postgres_sink *
down(struct tr_sink *sink)
{
    return (struct tr_postgres_sink *)sink;
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

/* An older table lacks columns that the source has added meanwhile: the stream brings them, and does not bring their indexes. */
static bool
is_too_new(const struct tr_schema *schema, const struct tr_ddl_statement *statement,
           const struct tr_error *err)
{
    return strcmp(err->sqlstate, "42703") == 0 && statement->table != TR_DDL_NO_TABLE &&
           schema->tables[statement->table].settled;
}

/* What finish_table of a killed run did not get to, and then what stands between tables. */
static int
make_rest(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_schema *schema,
          const struct tr_ddl *ddl, struct keys *keys, struct tr_error *err)
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
        if (rc < 0 && rc != -TR_RETRY && (statement->optional || is_too_new(schema, statement, err))) {
            tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
                   "%s %s.%s is not made: %s; the rows are not touched by that",
                   tr_object_kind_name(statement->kind), statement->schema, statement->name, err->text);
            tr_error_clear(err);
            rc = 0;
        }
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
            tr_pg_array_add(
                &names, sink->from_postgresql
                            ? object->name
                            : tr_ddl_key_name((struct tr_arena *)(uintptr_t)&schema->arena, object->name));
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
        rc = make_rest(sink, conn, schema, ddl, &keys, err);
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

enum { SEQUENCE_MISSING, SEQUENCE_THERE, SEQUENCE_RIGHT };

/* A sequence's statement fails where there is no such sequence; with schema: expect that is the user's own affair. */
static int
find_sequences(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_ddl *ddl, uint8_t *found,
               struct tr_error *err)
{
    static const char query[] =
        "SELECT o.place, CASE WHEN c.relkind = 'S' AND has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_sequence_last_value(c.oid) END"
        " FROM unnest($1::text[], $2::text[], $3::boolean[]) WITH ORDINALITY o(nsp, name, in_table, place) JOIN pg_namespace n ON n.nspname = o.nsp"
        " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.name AND CASE WHEN o.in_table THEN c.relkind IN ('r', 'p') ELSE c.relkind = 'S' END";
    struct tr_buffer schemas, names, in_table;
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    tr_buffer_init(&in_table, TR_BUFFER_MAX);
    for (uint32_t i = 0; i < ddl->count; i++) {
        bool sequence = ddl->statements[i].phase == TR_DDL_END &&
                        ddl->statements[i].kind == TR_OBJECT_SEQUENCE;
        tr_pg_array_add(&schemas, sequence ? ddl->statements[i].schema : "");
        tr_pg_array_add(&names, sequence ? ddl->statements[i].name : "");
        tr_pg_array_add(&in_table, ddl->statements[i].by_column ? "t" : "f");
    }
    const char *params[] = { tr_pg_array_end(&schemas), tr_pg_array_end(&names), tr_pg_array_end(&in_table) };
    PGresult *res = NULL;
    int rc = tr_pg_exec_params(conn, tr_pg_stop_fd(sink), query, 3, params, &res, err);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        unsigned long place = strtoul(PQgetvalue(res, row, 0), NULL, 10);
        if (place < 1 || place > ddl->count)
            continue;
        const char *reached = ddl->statements[place - 1].native;
        bool right = reached != NULL && strcmp(PQgetvalue(res, row, 1), reached) == 0;
        found[place - 1] = right ? SEQUENCE_RIGHT : SEQUENCE_THERE;
    }
    PQclear(res);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&names);
    tr_buffer_fini(&in_table);
    return rc;
}

/* Leaves only the statements of sequences that are there and do not stand where they should. */
static int
keep_sequences(const struct tr_postgres_sink *sink, PGconn *conn, struct tr_ddl *ddl, struct tr_error *err)
{
    uint8_t *found = tr_calloc(ddl->count + 1, sizeof(*found));
    int rc = find_sequences(sink, conn, ddl, found, err);
    uint32_t count = 0, missing = 0;
    for (uint32_t i = 0; rc == 0 && i < ddl->count; i++) {
        if (found[i] == SEQUENCE_THERE)
            ddl->statements[count++] = ddl->statements[i];
        else if (found[i] == SEQUENCE_MISSING)
            missing += ddl->statements[i].phase == TR_DDL_END &&
                       ddl->statements[i].kind == TR_OBJECT_SEQUENCE;
    }
    if (rc == 0)
        ddl->count = count;
    if (missing > 0)
        tr_log(sink->base.env->log, TR_LOG_DEBUG, "sink",
               "%u sequences of the source are not at the target: their values are not carried", missing);
    free(found);
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
        rc = make_rest(sink, conn, schema, ddl, &keys, err);
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
