/*
 * call.c - one execution of a prepared statement with rows as its parameters; and, for conflict.c, statements outside the pipeline whose result is waited for.
 */
#include "sinks/postgres/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"

bool
tr_pg_is_prepared(const struct tr_pg_worker *worker, uint32_t number)
{
    return number < worker->prepared_cap && worker->prepared[number] != 0;
}

void
tr_pg_set_prepared(struct tr_pg_worker *worker, uint32_t number, bool prepared)
{
    if (number >= worker->prepared_cap) {
        uint32_t cap = number + 256;
        worker->prepared = tr_realloc(worker->prepared, cap);
        memset(worker->prepared + worker->prepared_cap, 0, cap - worker->prepared_cap);
        worker->prepared_cap = cap;
    }
    worker->nprepared += (uint32_t)prepared - worker->prepared[number];
    worker->prepared[number] = prepared;
}

/* The statement and its bound parameters in apply->params. */
static int
bind(struct tr_pg_apply *apply, const struct tr_sql_step *step, const struct tr_net_row *const *rows,
     uint32_t n, const struct tr_pg_statement **statement, int *lengths, struct tr_error *err)
{
    for (int as_text = 0; as_text < 2; as_text++) {
        *statement = tr_pg_statement_get(apply, tr_pg_step_map(step), step->op, rows[0]->key, rows[0]->row,
                                         as_text);
        int rc = tr_pg_statement_bind(*statement, tr_pg_step_map(step), rows, n, &apply->values,
                                      &apply->params, lengths, err);
        if (rc <= 0)
            return rc;
    }
    return tr_fail(err, TR_FATAL, "a value of %s has no text form", step->map->label);
}

void
tr_pg_call_free(struct tr_pg_call *call)
{
    free(call->values);
    free(call->lengths);
}

int
tr_pg_call_make(struct tr_pg_worker *worker, const struct tr_sql_step *step,
                const struct tr_net_row *const *rows, uint32_t n, struct tr_pg_call *call,
                const struct tr_pg_statement **statement, struct tr_error *err)
{
    struct tr_pg_apply *apply = worker->apply;
    size_t most = 2u * step->map->ncolumns + 1, at = 0;
    uint64_t misfits = apply->values.misfits;
    call->lengths = tr_malloc(most * 2 * sizeof(*call->lengths));
    call->formats = call->lengths + most;
    call->values = tr_malloc(most * sizeof(*call->values));
    int rc = bind(apply, step, rows, n, statement, call->lengths, err);
    worker->base.group->misfits += apply->values.misfits - misfits;
    for (uint16_t i = 0; rc == 0 && i < (*statement)->nparams; i++) {
        call->values[i] = apply->params.data + at;
        call->formats[i] = 1;
        at += (size_t)call->lengths[i];
    }
    return rc;
}

int
tr_pg_call_send(struct tr_pg_worker *worker, const struct tr_pg_statement *statement,
                const struct tr_pg_call *call)
{
    char name[16];
    tr_pg_statement_name(statement, name);
    return PQsendQueryPrepared(worker->conn, name, statement->nparams, call->values, call->lengths,
                               call->formats, 0);
}

/* ------------------------------------------------------------------------------------------- outside the pipeline, waiting */

/* The checkpoint moves in the group's own transaction; no row means that another process owns the task, and the division fails. */
const char tr_pg_checkpoint_sql[] =
    "WITH moved AS (UPDATE tailrace.checkpoint SET position = $2, phase = 'stream', updated_at = now()"
    " WHERE task = $1 AND epoch = $3::text::bigint RETURNING 1) SELECT 1 / count(*) FROM moved";

int
tr_pg_worker_ask(struct tr_pg_worker *worker, const char *sql, PGresult **res, struct tr_error *err)
{
    return tr_pg_ask(worker->apply->sink, worker->conn, sql, res, err);
}

/* Wait for the one result of what was sent. */
static int
collect(struct tr_pg_worker *worker, PGresult **out, struct tr_error *err)
{
    PGresult *res, *first = NULL;
    int rc;
    while ((rc = tr_pg_await(worker->apply->sink, worker->conn, err)) == 0) {
        if ((res = PQgetResult(worker->conn)) == NULL)
            break;
        if (first == NULL)
            first = res;
        else
            PQclear(res);
    }
    if (rc < 0) {
        PQclear(first);
        return rc;
    }
    *out = first;
    return first != NULL ? 0 : tr_pg_worker_lost(worker, err);
}

/* A statement's result; an error of the server is in *err. */
static int
collect_good(struct tr_pg_worker *worker, const char *table, PGresult **out, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = collect(worker, &res, err);
    if (rc < 0)
        return rc;
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        rc = tr_pg_fail(err, worker->conn, res, "applying a change to %s", table);
        PQclear(res);
        return rc;
    }
    if (out != NULL)
        *out = res;
    else
        PQclear(res);
    return 0;
}

int
tr_pg_worker_ask_rows(struct tr_pg_worker *worker, const struct tr_sql_step *step,
                      const struct tr_net_row *const *rows, uint32_t n, PGresult **res, struct tr_error *err)
{
    const struct tr_pg_statement *statement;
    struct tr_pg_call call;
    int rc = tr_pg_call_make(worker, step, rows, n, &call, &statement, err);
    char name[16];
    if (rc == 0 && !tr_pg_is_prepared(worker, statement->number)) {
        tr_pg_statement_name(statement, name);
        if (PQsendPrepare(worker->conn, name, statement->sql, statement->nparams, statement->types) != 1)
            rc = tr_pg_worker_lost(worker, err);
        else
            rc = collect_good(worker, step->map->label, NULL, err);
        if (rc == 0)
            tr_pg_set_prepared(worker, statement->number, true);
    }
    if (rc == 0 && tr_pg_call_send(worker, statement, &call) != 1)
        rc = tr_pg_worker_lost(worker, err);
    if (rc == 0)
        rc = collect_good(worker, step->map->label, res, err);
    tr_pg_call_free(&call);
    return rc;
}

int
tr_pg_worker_commit_now(struct tr_pg_worker *worker, struct tr_error *err)
{
    PGresult *res = NULL;
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)worker->apply->sink->epoch);
    const char *values[] = { worker->apply->sink->base.env->task, worker->base.group->checkpoint, epoch };
    int rc = tr_pg_ask_params(worker->apply->sink, worker->conn, tr_pg_checkpoint_sql, 3, values, NULL, err);
    if (rc < 0 && strcmp(err->sqlstate, "22012") == 0)
        return tr_fail(err, TR_FATAL, "another process has taken over the task \"%s\" at the target",
                       values[0]);
    TR_FAILPOINT("sink.postgres.commit.before");
    if (rc == 0)
        rc = tr_pg_ask(worker->apply->sink, worker->conn, "COMMIT", &res, err);
    if (rc == 0 && strcmp(PQcmdStatus(res), "COMMIT") != 0)
        rc = tr_fail(err, TR_RETRY, "the target rolled the transaction back at COMMIT");
    PQclear(res);
    res = NULL;
    if (rc == 0)
        rc = tr_pg_ask(worker->apply->sink, worker->conn, "SELECT pg_current_wal_insert_lsn()", &res, err);
    if (rc == 0 && !tr_pg_lsn_parse(PQgetvalue(res, 0, 0), &worker->commit_lsn))
        rc = tr_fail(err, TR_FATAL, "the target did not tell its WAL position");
    PQclear(res);
    return rc;
}
