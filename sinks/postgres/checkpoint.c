/*
 * checkpoint.c - the task's state in the target: tailrace.checkpoint, tailrace.table_cut and tailrace.relation_shape (shape.h); tailrace.task_scope is presence.c's.
 *
 * Every group of changes moves the checkpoint in its own transaction (worker.c). `epoch` fences: whoever loads the checkpoint raises it, and
 * a commit under an older epoch fails. Raising it waits for a commit of the older process that is under way, so that what is read is the truth.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/internal.h"
#include "sinks/postgres/tables_internal.h"

static const char *const make_sql[] = {
    "CREATE SCHEMA IF NOT EXISTS tailrace",
    "CREATE TABLE IF NOT EXISTS tailrace.checkpoint (task text PRIMARY KEY, position text, identity text, phase text,"
    " epoch bigint NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE IF NOT EXISTS tailrace.table_cut (task text, table_name text, position text, done bool NOT NULL,"
    " PRIMARY KEY (task, table_name))",
};

static const char make_shapes_sql[] =
    "CREATE TABLE IF NOT EXISTS tailrace.relation_shape (task text, table_name text, shape jsonb NOT NULL, PRIMARY KEY (task, table_name))";

static int
state_failed(struct tr_postgres_sink *sink, struct tr_error *err)
{
    tr_error_prefix(err, "making the tables of schema tailrace at the target");
    if (strcmp(err->sqlstate, "42501") == 0)
        tr_error_hint(
            err,
            "GRANT CREATE ON DATABASE \"%s\" TO \"%s\"; or let an owner make the schema tailrace and its tables"
            " (docs/sink-postgresql.md)",
            PQdb(sink->meta), PQuser(sink->meta));
    return -(int)err->class;
}

/* A state of before this table, in a schema that only its owner may add to, still works. */
static int
need_shapes(struct tr_postgres_sink *sink, bool there, struct tr_error *err)
{
    int rc = there ? 0 : tr_pg_ask(sink, sink->meta, make_shapes_sql, NULL, err);
    if (rc < 0 && err->class == TR_RETRY)
        return state_failed(sink, err);
    sink->keeps_shapes = rc == 0;
    if (rc < 0)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "tailrace.relation_shape cannot be made at the target (%s): columns that are renamed while the task stands still will not be followed. Let the owner of the schema run: %s;"
            " GRANT SELECT, INSERT, UPDATE, DELETE ON tailrace.relation_shape TO \"%s\";",
            err->text, make_shapes_sql, PQuser(sink->meta));
    tr_error_clear(err);
    return 0;
}

int
tr_pg_state_tables(struct tr_postgres_sink *sink, struct tr_error *err)
{
    PGresult *res = NULL;
    if (sink->state_tables)
        return 0;
    int rc = tr_pg_ask(
        sink, sink->meta,
        "SELECT to_regclass('tailrace.checkpoint') IS NOT NULL AND to_regclass('tailrace.table_cut') IS NOT NULL,"
        " to_regclass('tailrace.relation_shape') IS NOT NULL",
        &res, err);
    bool there = rc == 0 && PQgetvalue(res, 0, 0)[0] == 't',
         shapes = rc == 0 && PQgetvalue(res, 0, 1)[0] == 't';
    PQclear(res);
    for (size_t i = 0; rc == 0 && !there && i < sizeof make_sql / sizeof *make_sql; i++)
        rc = tr_pg_ask(sink, sink->meta, make_sql[i], NULL, err);
    if (rc < 0)
        return state_failed(sink, err);
    rc = need_shapes(sink, shapes, err);
    sink->state_tables = rc == 0;
    return rc;
}

static char *
text_of(const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column) ? NULL : tr_strdup(PQgetvalue(res, row, column));
}

static int
load_cuts(struct tr_postgres_sink *sink, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { sink->base.env->task };
    int rc = tr_pg_ask_params(sink, sink->meta,
                              "SELECT table_name, position, done FROM tailrace.table_cut WHERE task = $1", 1,
                              params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++)
        tr_checkpoint_set_table(checkpoint, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
                                PQgetvalue(res, i, 2)[0] == 't');
    PQclear(res);
    return rc;
}

/* Statement after statement under a lock timeout; the older process's commit is waited for, but not for ever. */
static int
guarded(struct tr_postgres_sink *sink, const char *sql, int nparams, const char *const *params,
        PGresult **res, struct tr_error *err)
{
    int rc = tr_pg_ask(sink, sink->meta, "SET lock_timeout = '10s'", NULL, err);
    if (rc == 0)
        rc = tr_pg_ask_params(sink, sink->meta, sql, nparams, params, res, err);
    if (rc < 0) {
        tr_error_prefix(err, "taking over the task \"%s\" at the target", sink->base.env->task);
        return rc;
    }
    return tr_pg_ask(sink, sink->meta, "SET lock_timeout = 0", NULL, err);
}

int
tr_pg_load_checkpoint(struct tr_sink *base, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    PGresult *res = NULL;
    memset(checkpoint, 0, sizeof(*checkpoint));
    int rc = tr_pg_state_tables(sink, err);
    if (rc < 0)
        return rc;
    const char *params[] = { base->env->task };
    rc = guarded(
        sink,
        "INSERT INTO tailrace.checkpoint AS c (task, epoch) VALUES ($1, 1)"
        " ON CONFLICT (task) DO UPDATE SET epoch = c.epoch + 1 RETURNING position, identity, phase, epoch",
        1, params, &res, err);
    if (rc == 0) {
        checkpoint->position = text_of(res, 0, 0);
        checkpoint->identity = text_of(res, 0, 1);
        checkpoint->phase = text_of(res, 0, 2);
        sink->epoch = strtoull(PQgetvalue(res, 0, 3), NULL, 10);
        rc = load_cuts(sink, checkpoint, err);
    }
    PQclear(res);
    if (rc < 0)
        tr_checkpoint_fini(checkpoint);
    return rc;
}

/* A table that has been loaded in full is not made anew any more, also when it is to be loaded again: the operator may have added to it. */
static const char forget_made_sql[] =
    "UPDATE tailrace.relation_shape s SET shape = s.shape - 'made' FROM tailrace.table_cut t"
    " WHERE s.task = $1 AND t.task = $1 AND t.table_name = s.table_name AND t.done AND s.shape ? 'made'";

static int
save_cuts(struct tr_postgres_sink *sink, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    const char *task[] = { sink->base.env->task };
    struct tr_buffer names, positions, done;
    int rc = sink->keeps_shapes ? tr_pg_ask_params(sink, sink->meta, forget_made_sql, 1, task, NULL, err) : 0;
    if (rc == 0)
        rc = tr_pg_ask_params(sink, sink->meta, "DELETE FROM tailrace.table_cut WHERE task = $1", 1, task,
                              NULL, err);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    tr_buffer_init(&positions, TR_BUFFER_MAX);
    tr_buffer_init(&done, TR_BUFFER_MAX);
    for (size_t i = 0; i < checkpoint->ntables; i++) {
        tr_pg_array_add(&names, checkpoint->tables[i].table);
        tr_pg_array_add(&positions, checkpoint->tables[i].position);
        tr_pg_array_add(&done, checkpoint->tables[i].done ? "t" : "f");
    }
    const char *params[] = { sink->base.env->task, tr_pg_array_end(&names), tr_pg_array_end(&positions),
                             tr_pg_array_end(&done) };
    if (rc == 0 && checkpoint->ntables > 0)
        rc = tr_pg_ask_params(
            sink, sink->meta,
            "INSERT INTO tailrace.table_cut (task, table_name, position, done)"
            " SELECT $1, t, p, d FROM unnest($2::text[], $3::text[], $4::bool[]) x(t, p, d)",
            4, params, NULL, err);
    tr_buffer_fini(&names);
    tr_buffer_fini(&positions);
    tr_buffer_fini(&done);
    return rc;
}

int
tr_pg_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    PGresult *res = NULL;
    int rc = tr_pg_state_tables(sink, err);
    if (rc == 0)
        rc = tr_pg_ask(sink, sink->meta, "BEGIN", NULL, err);
    if (rc < 0)
        return rc;
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)sink->epoch);
    const char *params[] = { base->env->task, checkpoint->position, checkpoint->identity, checkpoint->phase,
                             epoch };
    rc = tr_pg_ask_params(
        sink, sink->meta,
        "INSERT INTO tailrace.checkpoint AS c (task, position, identity, phase, epoch)"
        " VALUES ($1, $2, $3, $4, $5::text::bigint) ON CONFLICT (task) DO UPDATE SET position = excluded.position,"
        " identity = excluded.identity, phase = excluded.phase, updated_at = now()"
        " WHERE c.epoch = excluded.epoch",
        5, params, &res, err);
    if (rc == 0 && strcmp(PQcmdTuples(res), "1") != 0)
        rc = tr_fail(err, TR_FATAL, "another process has taken over the task \"%s\" at the target",
                     base->env->task);
    PQclear(res);
    if (rc == 0)
        rc = save_cuts(sink, checkpoint, err);
    if (rc == 0)
        return tr_pg_ask(sink, sink->meta, "COMMIT", NULL, err);
    struct tr_error ignored;
    tr_pg_ask(sink, sink->meta, "ROLLBACK", NULL, &ignored);
    return tr_error_prefix(err, "saving the checkpoint at the target");
}

int
tr_pg_record_cut(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_table_cut *cut,
                 struct tr_error *err)
{
    const char *params[] = { sink->base.env->task, cut->table, cut->position, cut->done ? "t" : "f" };
    return tr_pg_exec_params(
        conn, -1,
        "INSERT INTO tailrace.table_cut (task, table_name, position, done) VALUES ($1, $2, $3, $4::text::bool)"
        " ON CONFLICT (task, table_name) DO UPDATE SET position = excluded.position, done = excluded.done",
        4, params, NULL, err);
}

int
tr_pg_drop(struct tr_sink *base, struct tr_error *err)
{
    static const char *const tables[] = { "task_scope", "relation_shape", "table_cut", "checkpoint" };
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 4; i++) {
        PGresult *res = NULL;
        const char *params[] = { base->env->task };
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT to_regclass('tailrace.%s') IS NOT NULL", tables[i]);
        rc = tr_pg_ask(sink, sink->meta, sql, &res, err);
        bool there = rc == 0 && PQgetvalue(res, 0, 0)[0] == 't';
        PQclear(res);
        snprintf(sql, sizeof sql, "DELETE FROM tailrace.%s WHERE task = $1", tables[i]);
        if (there)
            rc = tr_pg_ask_params(sink, sink->meta, sql, 1, params, NULL, err);
    }
    /* The last task takes the tables with it, if they are ours to drop. */
    struct tr_error ignored;
    if (rc == 0 &&
        tr_pg_ask(
            sink, sink->meta,
            "DO $$BEGIN IF NOT EXISTS (SELECT FROM tailrace.checkpoint) THEN"
            " DROP TABLE IF EXISTS tailrace.relation_shape, tailrace.task_scope; DROP TABLE tailrace.checkpoint, tailrace.table_cut;"
            " DROP SCHEMA tailrace; END IF; END$$",
            NULL, &ignored) == 0)
        sink->state_tables = false;
    return rc;
}
