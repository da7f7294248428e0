/*
 * worker.c - one connection in pipeline mode: sends the steps of its group, reads the answers, never blocks.
 *
 * libpq's output buffer turns quadratic when it grows (it moves what is left at each partial send), so a statement is sent only when the one before it has
 * left the process, and carries at most CHUNK_BYTES. Each statement has a sync of its own: an error is known at once and stays inside the
 * transaction. COMMIT is sent only after every answer was right.
 */
#include "sinks/postgres/apply.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define COPY_ROWS 500
#define CHUNK_BYTES ((size_t)256 << 10)
#define CHUNK_ROWS 2000u
#define MANY_STATEMENTS 2000 /* prepared on one connection; then all are dropped at the next group's start */

int
tr_pg_worker_open(struct tr_pg_apply *apply, struct tr_pg_worker *worker, struct tr_error *err)
{
    char purpose[32];
    snprintf(purpose, sizeof purpose, "apply %d", worker->base.index + 1);
    worker->apply = apply;
    int rc = tr_pg_sink_connect(apply->sink, purpose, false, &worker->conn, err);
    if (rc < 0)
        return rc;
    /* Keys come from unnest in unknown number: the plan must be the one index lookup per key, also while a table is young and small. */
    rc = tr_pg_ask(
        apply->sink, worker->conn,
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;"
        " SET enable_mergejoin = off; SET enable_material = off;"
        " SET default_transaction_isolation = 'read committed'",
        NULL, err);
    if (rc < 0)
        return rc;
    /* A server that waits for a lock on our behalf notices that we have gone (14 and later, where its system can). */
    struct tr_error unable;
    if (apply->sink->server_version >= 140000 &&
        tr_pg_ask(apply->sink, worker->conn, "SET client_connection_check_interval = '1s'", NULL, &unable) <
            0 &&
        unable.class == TR_RETRY) {
        *err = unable;
        return -TR_RETRY;
    }
    worker->pid = PQbackendPID(worker->conn);
    if (PQsetnonblocking(worker->conn, 1) != 0 || PQenterPipelineMode(worker->conn) != 1)
        return tr_pg_fail(err, worker->conn, NULL, "entering pipeline mode at the target");
    return 0;
}

void
tr_pg_worker_close(struct tr_pg_worker *worker)
{
    if (worker->conn != NULL)
        tr_pg_let_go(worker->apply->sink, worker->conn);
    free(worker->prepared);
    worker->conn = NULL;
    worker->prepared = NULL;
}

int
tr_pg_worker_lost(const struct tr_pg_worker *worker, struct tr_error *err)
{
    tr_pg_fail(err, worker->conn, NULL, "the target's connection %d", worker->base.index + 1);
    err->class = TR_RETRY;
    return -TR_RETRY;
}

/* ------------------------------------------------------------------------------------------- sending */

static void
expect(struct tr_pg_worker *worker, enum tr_pg_expect kind, uint32_t count, const struct tr_sql_step *step)
{
    if (worker->nanswers == 0)
        worker->base.waiting_since = tr_clock_us();
    worker->answers[(worker->first_answer + worker->nanswers++) & (TR_PG_ANSWERS - 1)] =
        (struct tr_pg_answer){ .kind = kind, .count = count, .step = step };
}

static int
flush(struct tr_pg_worker *worker, struct tr_error *err)
{
    int rc = PQflush(worker->conn);
    worker->unsent = rc > 0;
    return rc < 0 ? tr_pg_worker_lost(worker, err) : 0;
}

static int
sync(struct tr_pg_worker *worker, struct tr_error *err)
{
    if (PQpipelineSync(worker->conn) != 1)
        return tr_pg_worker_lost(worker, err);
    expect(worker, TR_PG_EXPECT_SYNC, 0, NULL);
    return flush(worker, err);
}

static int
send_sql(struct tr_pg_worker *worker, const char *sql, enum tr_pg_expect kind, const struct tr_sql_step *step,
         struct tr_error *err)
{
    if (PQsendQueryParams(worker->conn, sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
        return tr_pg_worker_lost(worker, err);
    expect(worker, kind, 0, step);
    return 0;
}

static int
prepare(struct tr_pg_worker *worker, const struct tr_pg_statement *statement, struct tr_error *err)
{
    char name[16];
    if (tr_pg_is_prepared(worker, statement->number))
        return 0;
    tr_pg_statement_name(statement, name);
    if (PQsendPrepare(worker->conn, name, statement->sql, statement->nparams, statement->types) != 1)
        return tr_pg_worker_lost(worker, err);
    expect(worker, TR_PG_EXPECT_PREPARE, statement->number, NULL);
    tr_pg_set_prepared(worker, statement->number, true);
    return 0;
}

static int
send_rows(struct tr_pg_worker *worker, const struct tr_sql_step *step, const struct tr_net_row *const *rows,
          uint32_t n, struct tr_error *err)
{
    const struct tr_pg_statement *statement;
    struct tr_pg_call call;
    int rc = tr_pg_call_make(worker, step, rows, n, &call, &statement, err);
    if (rc == 0)
        rc = prepare(worker, statement, err);
    if (rc == 0 && tr_pg_call_send(worker, statement, &call) != 1)
        rc = tr_pg_worker_lost(worker, err);
    if (rc == 0)
        expect(worker, TR_PG_EXPECT_ROWS, n, step);
    tr_pg_call_free(&call);
    return rc;
}

static size_t
row_bytes(const struct tr_sql_step *step, const struct tr_net_row *row)
{
    size_t bytes = 0;
    for (uint16_t i = 0; row->row != NULL && i < step->map->ncolumns; i++)
        bytes += row->row[i].state == TR_PRESENT ? row->row[i].len : 0u;
    return bytes + 16;
}

/* A run of inserts from which on leaving the pipeline for a COPY pays. */
static bool
is_copy(const struct tr_sql_step *step)
{
    return step->op == TR_SQL_INSERT && step->nrows >= COPY_ROWS && !step->map->bare;
}

static uint32_t
chunk(const struct tr_sql_step *step, uint32_t from)
{
    uint32_t n = 0;
    for (size_t bytes = 0; from + n < step->nrows && n < CHUNK_ROWS; n++) {
        bytes += row_bytes(step, step->rows[from + n]);
        if (n > 0 && bytes > CHUNK_BYTES)
            break;
    }
    return n;
}

static int
begin(struct tr_pg_worker *worker, struct tr_error *err)
{
    int rc = 0;
    if (worker->base.begun)
        return 0;
    worker->base.begun = true;
    if (worker->nprepared > MANY_STATEMENTS) {
        memset(worker->prepared, 0, worker->prepared_cap);
        worker->nprepared = 0;
        rc = send_sql(worker, "DEALLOCATE ALL", TR_PG_EXPECT_OK, NULL, err);
    }
    return rc < 0 ? rc : send_sql(worker, "BEGIN", TR_PG_EXPECT_OK, NULL, err);
}

static void
step_done(struct tr_pg_worker *worker)
{
    worker->base.step++;
    worker->base.row = 0;
}

static int
send_step(struct tr_pg_worker *worker, const struct tr_sql_step *step, struct tr_error *err)
{
    int rc = 0;
    if (step->sql != NULL) {
        rc = send_sql(worker, step->sql, TR_PG_EXPECT_OK, step, err);
        step_done(worker);
    } else {
        uint32_t n = chunk(step, worker->base.row);
        rc = send_rows(worker, step, step->rows + worker->base.row, n, err);
        worker->base.row += n;
        if (worker->base.row == step->nrows)
            step_done(worker);
    }
    return rc < 0 ? rc : sync(worker, err);
}

/* ------------------------------------------------------------------------------------------- COPY: outside the pipeline */

static int
copy_start(struct tr_pg_worker *worker, const struct tr_sql_step *step, struct tr_error *err)
{
    struct tr_buffer sql;
    if (PQexitPipelineMode(worker->conn) != 1)
        return tr_pg_worker_lost(worker, err);
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    tr_pg_copy_statement(tr_pg_step_map(step), step->rows[0]->row, &sql);
    int sent = PQsendQuery(worker->conn, sql.data);
    tr_buffer_fini(&sql);
    if (sent != 1)
        return tr_pg_worker_lost(worker, err);
    worker->copy = TR_PG_COPY_STARTING;
    expect(worker, TR_PG_EXPECT_ROWS, step->nrows, step);
    return flush(worker, err);
}

static int
copy_rows(struct tr_pg_worker *worker, struct tr_error *err)
{
    struct tr_pg_apply *apply = worker->apply;
    bool end;
    uint64_t misfits = apply->values.misfits;
    const struct tr_sql_step *step = tr_sql_worker_next(&worker->apply->base, &worker->base, &end);
    tr_buffer_reset(&apply->params);
    while (worker->base.row < step->nrows && apply->params.len < CHUNK_BYTES / 4) {
        int rc = tr_pg_copy_row(tr_pg_step_map(step), step->rows[worker->base.row]->row, &apply->values,
                                &apply->params, err);
        if (rc < 0)
            return rc;
        worker->base.row++;
    }
    worker->base.group->misfits += apply->values.misfits - misfits;
    if (apply->params.len > 0 && PQputCopyData(worker->conn, apply->params.data, (int)apply->params.len) != 1)
        return tr_pg_worker_lost(worker, err);
    if (worker->base.row == step->nrows) {
        if (PQputCopyEnd(worker->conn, NULL) != 1)
            return tr_pg_worker_lost(worker, err);
        worker->copy = TR_PG_COPY_ENDING;
    }
    return flush(worker, err);
}

static int
copy_end(struct tr_pg_worker *worker, struct tr_error *err)
{
    worker->copy = TR_PG_NO_COPY;
    if (PQenterPipelineMode(worker->conn) != 1)
        return tr_pg_worker_lost(worker, err);
    if (worker->base.state == TR_SQL_RUN)
        step_done(worker);
    return 0;
}

/* ------------------------------------------------------------------------------------------- answers */

static void
set_failed(struct tr_pg_worker *worker)
{
    tr_sql_worker_failed(&worker->apply->base, &worker->base);
}

static void
fail_rows(struct tr_pg_worker *worker, const struct tr_pg_answer *answer, const char *got)
{
    tr_fail(&worker->base.failure, TR_CONFLICT, "%s: %u rows were to change, the target changed %s",
            answer->step->map->label, answer->count, got[0] != '\0' ? got : "none");
}

static void
fail(struct tr_pg_worker *worker, const struct tr_pg_answer *answer, const PGresult *res)
{
    const char *table = answer->step != NULL && answer->step->map != NULL ? answer->step->map->label : NULL;
    if (worker->base.state == TR_SQL_FAILED)
        return; /* what follows the first error only echoes it */
    if (res != NULL && table != NULL)
        tr_pg_fail(&worker->base.failure, worker->conn, res, "applying changes to %s", table);
    else if (res != NULL)
        tr_pg_fail(&worker->base.failure, worker->conn, res, "applying changes");
    if (worker->base.state == TR_SQL_COMMIT && strcmp(worker->base.failure.sqlstate, "22012") == 0) {
        tr_fail(&worker->base.failure, TR_FATAL,
                "another process has taken over the task \"%s\" at the target",
                worker->apply->sink->base.env->task);
        tr_error_hint(&worker->base.failure, "only one tailrace may run a task; stop one of the two");
    }
    worker->apply->base.counts.deadlocks += strcmp(worker->base.failure.sqlstate, "40P01") == 0;
    set_failed(worker);
}

static void
take_commit(struct tr_pg_worker *worker, const struct tr_pg_answer *answer, const PGresult *res)
{
    if (PQresultStatus(res) == PGRES_COMMAND_OK && strcmp(PQcmdStatus((PGresult *)res), "COMMIT") == 0) {
        worker->committed = true;
        return;
    }
    tr_fail(&worker->base.failure, TR_RETRY, "the target rolled the transaction back at COMMIT");
    fail(worker, answer, PQresultStatus(res) == PGRES_COMMAND_OK ? NULL : res);
}

/* One result for the oldest outstanding answer. */
static void
take_result(struct tr_pg_worker *worker, const PGresult *res)
{
    const struct tr_pg_answer *answer = &worker->answers[worker->first_answer];
    ExecStatusType status = PQresultStatus(res);
    worker->answered = true;
    if (status == PGRES_COPY_IN) {
        worker->answered = false;
        worker->copy = TR_PG_COPY_ROWS;
        return;
    }
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!good && answer->kind == TR_PG_EXPECT_PREPARE)
        tr_pg_set_prepared(worker, answer->count, false);
    if (answer->kind == TR_PG_EXPECT_COMMIT && status != PGRES_PIPELINE_ABORTED) {
        take_commit(worker, answer, res);
    } else if (!good) {
        fail(worker, answer, res);
    } else if (answer->kind == TR_PG_EXPECT_LSN) {
        if (PQntuples(res) != 1 || !tr_pg_lsn_parse(PQgetvalue(res, 0, 0), &worker->commit_lsn))
            fail(worker, answer, res);
    } else if (answer->kind == TR_PG_EXPECT_ROWS && worker->base.state == TR_SQL_RUN) {
        const char *got = PQcmdTuples((PGresult *)res);
        if (strtoul(got, NULL, 10) != answer->count) {
            fail_rows(worker, answer, got);
            set_failed(worker);
        }
    }
}

static void
pop(struct tr_pg_worker *worker)
{
    worker->first_answer = (worker->first_answer + 1) & (TR_PG_ANSWERS - 1);
    worker->nanswers--;
    worker->answered = false;
    worker->base.waiting_since = worker->nanswers > 0 ? tr_clock_us() : 0;
}

static int
read_answers(struct tr_pg_worker *worker, bool *moved, struct tr_error *err)
{
    while (worker->nanswers > 0 && worker->copy != TR_PG_COPY_ROWS && !PQisBusy(worker->conn)) {
        PGresult *res = PQgetResult(worker->conn);
        *moved = true;
        if (res == NULL) {
            if (!worker->answered)
                return PQstatus(worker->conn) == CONNECTION_BAD ? tr_pg_worker_lost(worker, err) : 0;
            pop(worker);
            if (worker->copy != TR_PG_NO_COPY && worker->nanswers == 0 && copy_end(worker, err) < 0)
                return -(int)err->class;
            continue;
        }
        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
            pop(worker);
        else
            take_result(worker, res);
        PQclear(res);
        if (PQstatus(worker->conn) == CONNECTION_BAD)
            return tr_pg_worker_lost(worker, err);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- the states */

static int
run(struct tr_pg_worker *worker, bool *moved, struct tr_error *err)
{
    bool end;
    if (worker->copy == TR_PG_COPY_ROWS) {
        *moved = true;
        return copy_rows(worker, err);
    }
    if (worker->copy != TR_PG_NO_COPY || worker->nanswers + 8 > TR_PG_ANSWERS)
        return 0;
    const struct tr_sql_step *step = tr_sql_worker_next(&worker->apply->base, &worker->base, &end);
    if (end && worker->nanswers == 0) {
        worker->base.state = TR_SQL_READY;
        *moved = true;
        return 0;
    }
    if (step == NULL)
        return 0;
    if (is_copy(step) && worker->nanswers > 0)
        return 0; /* the pipeline runs empty first */
    *moved = true;
    int rc = begin(worker, err);
    if (rc == 0 && worker->base.group->large && !worker->base.in_savepoint) {
        worker->base.in_savepoint = true;
        if (worker->base.group->slices++ > 0)
            rc = send_sql(worker, "RELEASE SAVEPOINT slice", TR_PG_EXPECT_OK, NULL, err);
        rc = rc < 0 ? rc : send_sql(worker, "SAVEPOINT slice", TR_PG_EXPECT_OK, NULL, err);
    }
    if (rc < 0)
        return rc;
    if (is_copy(step))
        return worker->nanswers > 0 ? sync(worker, err) : copy_start(worker, step, err);
    return send_step(worker, step, err);
}

/* A slice goes back to its savepoint: what came before it is not known here any more. */
static int
undo(struct tr_pg_worker *worker, struct tr_error *err)
{
    const char *sql = worker->base.in_savepoint ? "ROLLBACK TO slice" : "ROLLBACK";
    int rc = send_sql(worker, sql, TR_PG_EXPECT_OK, NULL, err);
    worker->base.state = TR_SQL_UNDO;
    return rc < 0 ? rc : sync(worker, err);
}

/* One move of a state that has something to do. */
static int
advance(struct tr_pg_worker *worker, bool *moved, struct tr_error *err)
{
    switch (worker->base.state) {
    case TR_SQL_RUN: {
        int rc = run(worker, moved, err);
        if (rc == -TR_CONFLICT) { /* a value that cannot be rendered: only this group suffers */
            worker->base.failure = *err;
            set_failed(worker);
            /* what was sent before it is answered only when asked for */
            return worker->copy == TR_PG_NO_COPY && worker->nanswers > 0 ? sync(worker, err) : 0;
        }
        return rc;
    }
    case TR_SQL_FAILED:
        if (worker->copy == TR_PG_COPY_ROWS) {
            if (PQputCopyEnd(worker->conn, "given up") != 1)
                return tr_pg_worker_lost(worker, err);
            worker->copy = TR_PG_COPY_ENDING;
            *moved = true;
            return flush(worker, err);
        }
        if (worker->nanswers > 0 || worker->copy != TR_PG_NO_COPY)
            return 0;
        *moved = true;
        return undo(worker, err);
    case TR_SQL_UNDO:
        if (worker->nanswers == 0) {
            worker->base.state = TR_SQL_AGAIN;
            bool begun = worker->base.in_savepoint;
            tr_sql_worker_rewind(&worker->base);
            worker->base.begun = begun;
            *moved = true;
        }
        return 0;
    case TR_SQL_IDLE:
    case TR_SQL_READY:
    case TR_SQL_COMMIT:
    case TR_SQL_AGAIN: return 0;
    }
    return 0;
}

int
tr_pg_worker_turn(struct tr_pg_worker *worker, bool *moved, struct tr_error *err)
{
    if (worker->nanswers == 0 && worker->base.state != TR_SQL_RUN && worker->base.state != TR_SQL_FAILED &&
        worker->base.state != TR_SQL_UNDO)
        return 0;
    if (worker->unsent && flush(worker, err) < 0)
        return -(int)err->class;
    if (worker->nanswers > 0 && PQconsumeInput(worker->conn) != 1)
        return tr_pg_worker_lost(worker, err);
    int rc = read_answers(worker, moved, err);
    /* a few statements at a time, so that every worker gets its turn */
    for (int i = 0; rc == 0 && i < 4 && !worker->unsent; i++) {
        bool more = false;
        rc = advance(worker, &more, err);
        if (!more)
            break;
        *moved = true;
    }
    return rc;
}

void
tr_pg_worker_yield(struct tr_pg_apply *apply, struct tr_pg_worker *worker)
{
    if (worker->base.state != TR_SQL_RUN && worker->base.state != TR_SQL_READY)
        return;
    if (worker->nanswers > 0 && worker->copy != TR_PG_COPY_ROWS) { /* it may wait for a lock itself */
        char why[256];
        PGcancel *cancel = PQgetCancel(worker->conn);
        if (cancel != NULL)
            PQcancel(cancel, why, sizeof why);
        PQfreeCancel(cancel);
    }
    worker->base.told_to_yield = true;
    tr_sql_worker_failed(&apply->base, &worker->base);
}

int
tr_pg_worker_commit(struct tr_pg_worker *worker, struct tr_error *err)
{
    struct tr_pg_apply *apply = worker->apply;
    static const Oid types_of[] = { 25, 25, 25 };
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)apply->sink->epoch);
    const char *values[] = { apply->sink->base.env->task, worker->base.group->checkpoint, epoch };
    int rc = begin(worker, err);
    if (rc < 0)
        return rc;
    worker->committed = false;
    TR_FAILPOINT("sink.postgres.commit.before");
    if (PQsendQueryParams(worker->conn, tr_pg_checkpoint_sql, 3, types_of, values, NULL, NULL, 0) != 1)
        return tr_pg_worker_lost(worker, err);
    expect(worker, TR_PG_EXPECT_OK, 0, NULL);
    rc = send_sql(worker, "COMMIT", TR_PG_EXPECT_COMMIT, NULL, err);
    if (rc == 0)
        rc = send_sql(worker, "SELECT pg_current_wal_insert_lsn()", TR_PG_EXPECT_LSN, NULL, err);
    worker->base.state = TR_SQL_COMMIT;
    if (rc == 0)
        rc = sync(worker, err);
    TR_FAILPOINT("sink.postgres.commit.sent");
    return rc;
}
