/*
 * worker.c - one connection: sends the steps of its group as calls of many rows, reads the answers, never blocks.
 *
 * A call is one packet: a statement of many rows, or several statements, whose answers come one by one. It is sent and read by the client library's functions
 * that return when the socket would block (mysql_real_query_start and its kin). COMMIT is sent only after every answer was right.
 */
#include "sinks/mysql/apply.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define FENCED 1690 /* the checkpoint's own statement: see tr_my_commit_sql */

int
tr_my_worker_open(struct tr_my_apply *apply, struct tr_my_worker *worker, struct tr_error *err)
{
    char purpose[32];
    snprintf(purpose, sizeof purpose, "apply %d", worker->base.index + 1);
    worker->apply = apply;
    tr_buffer_init(&worker->sql, TR_BUFFER_MAX);
    int rc = tr_my_sink_connect(apply->sink, purpose, false, &worker->conn, err);
    if (rc < 0)
        return rc;
    worker->id = mysql_thread_id(worker->conn);
    if (mysql_set_server_option(worker->conn, MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0)
        return tr_mysql_fail(err, worker->conn, "the target's connection %d", worker->base.index + 1);
    if (mysql_options(worker->conn, MYSQL_OPT_NONBLOCK, NULL) != 0)
        return tr_fail(err, TR_FATAL, "the client library cannot work without blocking");
    return 0;
}

void
tr_my_worker_close(struct tr_my_worker *worker)
{
    if (worker->conn != NULL) /* not every worker was needed */
        tr_mysql_close(worker->apply->sink->group, worker->conn);
    tr_buffer_fini(&worker->sql);
    worker->conn = NULL;
}

static bool
is_lost(unsigned number)
{
    return number == 0 || (number >= 2000 && number < 3000) || number == ER_SERVER_SHUTDOWN ||
           number == 1927 || number == ER_NORMAL_SHUTDOWN;
}

bool
tr_my_passing(const struct tr_error *failure)
{
    return strcmp(failure->sqlstate, "40001") == 0 || strstr(failure->text, "(1205,") != NULL ||
           strstr(failure->text, "(1317,") != NULL || strstr(failure->text, "(1020,") != NULL ||
           strstr(failure->text, "(1412,") != NULL;
}

/* ------------------------------------------------------------------------------------------- answers */

static void
set_failed(struct tr_my_worker *worker)
{
    tr_sql_worker_failed(&worker->apply->base, &worker->base);
}

/* An answer of the server that is an error; the statements behind it in the packet were not run. */
static int
answer_failed(struct tr_my_worker *worker, struct tr_error *err)
{
    unsigned number = mysql_errno(worker->conn);
    const char *what = worker->called != NULL && worker->called->map != NULL ? worker->called->map->label
                                                                             : "the target";
    if (is_lost(number)) {
        tr_mysql_fail(err, worker->conn, "the target's connection %d", worker->base.index + 1);
        err->class = TR_RETRY;
        return -TR_RETRY;
    }
    /* under innodb_rollback_on_timeout a lock not had in time undoes all, the slice's savepoint too */
    if (worker->base.state == TR_SQL_UNDO && number != ER_QUERY_INTERRUPTED) {
        tr_mysql_fail(err, worker->conn, "the target rolled a transaction back by itself");
        err->class = TR_RETRY;
        return -TR_RETRY;
    }
    tr_mysql_fail(&worker->base.failure, worker->conn, "applying changes to %s", what);
    if (worker->base.state == TR_SQL_COMMIT && number == FENCED)
        tr_my_taken_over(worker->apply->sink, &worker->base.failure);
    worker->lost_all = number == ER_LOCK_DEADLOCK;
    worker->call_failed = true;
    set_failed(worker);
    return 0;
}

/* "Records: 3  Duplicates: 2  Warnings: 0": rows that were there and changed. */
static uint64_t
duplicates(MYSQL *conn)
{
    const char *info = mysql_info(conn), *word = info != NULL ? strstr(info, "Duplicates:") : NULL;
    return word != NULL ? strtoull(word + 11, NULL, 10) : 0;
}

static void
fail_rows(struct tr_my_worker *worker, uint64_t got)
{
    tr_fail(&worker->base.failure, TR_CONFLICT, "%s: %u rows were to change, the target changed %llu",
            worker->called->map->label, worker->expected, (unsigned long long)got);
    worker->call_failed = true;
}

/* A changed row of an upsert counts as two affected ones, an unchanged one as none: what is left over was inserted, and must be nothing. Of a single row there is no "Duplicates". */
static void
check_answer(struct tr_my_worker *worker)
{
    uint64_t affected = mysql_affected_rows(worker->conn);
    if (worker->seen++ < worker->statements || worker->call_failed)
        return;
    switch (worker->count) {
    case TR_MY_COUNT_NONE: return;
    case TR_MY_COUNT_AFFECTED:
        if (affected != worker->expected)
            fail_rows(worker, affected);
        return;
    case TR_MY_COUNT_UPSERTED:
        if (worker->expected == 1 ? affected == 1 : affected != 2 * duplicates(worker->conn))
            fail_rows(worker, worker->expected == 1
                                  ? 0
                                  : worker->expected - (affected - 2 * duplicates(worker->conn)));
        return;
    case TR_MY_COUNT_EACH:
        if (tr_my_matched(worker->conn) != 1)
            fail_rows(worker, worker->expected - 1);
        return;
    }
}

/* ------------------------------------------------------------------------------------------- calls */

static int take_answer(struct tr_my_worker *worker, struct tr_error *err);

static int
call_done(struct tr_my_worker *worker)
{
    worker->io = TR_MY_IO_NONE;
    worker->wait = 0;
    worker->base.waiting_since = 0;
    if (worker->call_failed && worker->base.state == TR_SQL_RUN)
        set_failed(worker);
    return 0;
}

/* What mysql_next_result says: 0 another answer, -1 no more, above an error. */
static int
next_answer(struct tr_my_worker *worker, int result, struct tr_error *err)
{
    if (result > 0) {
        int rc = answer_failed(worker, err);
        return rc < 0 ? rc : call_done(worker);
    }
    return result < 0 ? call_done(worker) : take_answer(worker, err);
}

static int
take_answer(struct tr_my_worker *worker, struct tr_error *err)
{
    int result;
    check_answer(worker);
    if (!mysql_more_results(worker->conn))
        return call_done(worker);
    worker->io = TR_MY_IO_NEXT;
    worker->wait = mysql_next_result_start(&result, worker->conn);
    return worker->wait != 0 ? 0 : next_answer(worker, result, err);
}

static int
query_answer(struct tr_my_worker *worker, int result, struct tr_error *err)
{
    if (result == 0)
        return take_answer(worker, err);
    int rc = answer_failed(worker, err);
    return rc < 0 ? rc : call_done(worker);
}

/* Send what stands in worker->sql. */
static int
call(struct tr_my_worker *worker, enum tr_my_count count, uint32_t expected, uint32_t statements,
     const struct tr_sql_step *step, struct tr_error *err)
{
    int result;
    worker->count = count;
    worker->expected = expected;
    worker->statements = statements;
    worker->seen = 0;
    worker->call_failed = false;
    worker->called = step;
    worker->base.waiting_since = tr_clock_us();
    worker->io = TR_MY_IO_QUERY;
    worker->wait = mysql_real_query_start(&result, worker->conn, worker->sql.data,
                                          (unsigned long)worker->sql.len);
    return worker->wait != 0 ? 0 : query_answer(worker, result, err);
}

/* Go on where the library was suspended. */
static int
resume(struct tr_my_worker *worker, int ready, struct tr_error *err)
{
    int result;
    if (worker->io == TR_MY_IO_QUERY) {
        worker->wait = mysql_real_query_cont(&result, worker->conn, ready);
        return worker->wait != 0 ? 0 : query_answer(worker, result, err);
    }
    worker->wait = mysql_next_result_cont(&result, worker->conn, ready);
    return worker->wait != 0 ? 0 : next_answer(worker, result, err);
}

/* ------------------------------------------------------------------------------------------- sending steps */

static uint32_t
begin(struct tr_my_worker *worker)
{
    uint32_t statements = 0;
    if (!worker->base.begun) {
        tr_buffer_text(&worker->sql, "START TRANSACTION;");
        statements++;
    }
    worker->base.begun = true;
    if (worker->base.group->large && !worker->base.in_savepoint) {
        worker->base.in_savepoint = true;
        worker->base.group->slices++;
        tr_buffer_text(&worker->sql, "SAVEPOINT slice;"); /* an older one of the same name is forgotten */
        statements++;
    }
    return statements;
}

static int
refuse_packet(struct tr_my_worker *worker, const struct tr_sql_step *step, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "%s: a row takes a statement of %zu bytes, and the target takes %zu at most",
            step->map->label, worker->sql.len, worker->apply->sink->packet);
    return tr_error_hint(err, "SET GLOBAL max_allowed_packet = 1073741824; at the target, then start again");
}

static int
send_step(struct tr_my_worker *worker, const struct tr_sql_step *step, struct tr_error *err)
{
    struct tr_my_apply *apply = worker->apply;
    enum tr_my_count count = TR_MY_COUNT_NONE;
    tr_buffer_reset(&worker->sql);
    bool was_begun = worker->base.begun, was_saved = worker->base.in_savepoint;
    uint32_t statements = begin(worker);
    int n = 0;
    if (step->sql != NULL)
        tr_buffer_text(&worker->sql, step->sql);
    else
        n = tr_my_statement(&apply->values, tr_my_step_map(step), step->op, step->rows + worker->base.row,
                            step->nrows - worker->base.row, apply->call_bytes, &worker->sql, &count, err);
    if (n >= 0 && worker->sql.len + 64 > apply->sink->packet)
        n = refuse_packet(worker, step, err);
    if (n < 0) { /* nothing of it was sent */
        worker->base.begun = was_begun;
        worker->base.in_savepoint = was_saved;
        return n;
    }
    worker->base.row += (uint32_t)n;
    if (step->sql != NULL || worker->base.row == step->nrows) {
        worker->base.step++;
        worker->base.row = 0;
    }
    return call(worker, count, (uint32_t)n, statements, step, err);
}

/* ------------------------------------------------------------------------------------------- the states */

static int
run(struct tr_my_worker *worker, bool *moved, struct tr_error *err)
{
    bool end;
    const struct tr_sql_step *step = tr_sql_worker_next(&worker->apply->base, &worker->base, &end);
    if (end)
        worker->base.state = TR_SQL_READY;
    *moved = *moved || end || step != NULL;
    return step != NULL ? send_step(worker, step, err) : 0;
}

/* A slice goes back to its savepoint: what came before it is not known here any more. */
static int
undo(struct tr_my_worker *worker, struct tr_error *err)
{
    if (worker->base.in_savepoint && worker->lost_all && worker->base.group->slices > 1)
        return tr_fail(err, TR_RETRY, "the target rolled a large transaction back (deadlock)");
    if (worker->lost_all) {
        worker->base.in_savepoint = worker->lost_all = false;
        worker->base.group->slices = 0;
    }
    tr_buffer_reset(&worker->sql);
    tr_buffer_text(&worker->sql, worker->base.in_savepoint ? "ROLLBACK TO SAVEPOINT slice" : "ROLLBACK");
    worker->base.state = TR_SQL_UNDO;
    return call(worker, TR_MY_COUNT_NONE, 0, 0, NULL, err);
}

/* One move of a state that has something to do; nothing is under way. */
static int
advance(struct tr_my_worker *worker, bool *moved, struct tr_error *err)
{
    bool begun = worker->base.in_savepoint;
    int rc;
    switch (worker->base.state) {
    case TR_SQL_RUN:
        rc = run(worker, moved, err);
        if (rc != -TR_CONFLICT)
            return rc;
        worker->base.failure = *err; /* a value that the target cannot hold: only this group suffers */
        set_failed(worker);
        return 0;
    case TR_SQL_FAILED: *moved = true; return undo(worker, err);
    case TR_SQL_UNDO:
        worker->base.state = TR_SQL_AGAIN;
        tr_sql_worker_rewind(&worker->base);
        worker->base.begun = begun;
        *moved = true;
        return 0;
    case TR_SQL_COMMIT:
    case TR_SQL_IDLE:
    case TR_SQL_READY:
    case TR_SQL_AGAIN: return 0;
    }
    return 0;
}

int
tr_my_worker_turn(struct tr_my_worker *worker, int ready, bool *moved, struct tr_error *err)
{
    if (worker->io != TR_MY_IO_NONE) {
        if (ready == 0)
            return 0;
        int rc = resume(worker, ready, err);
        if (rc < 0 || worker->io != TR_MY_IO_NONE)
            return rc;
        *moved = true;
    }
    int rc = 0;
    /* a few calls at a time, so that every worker gets its turn */
    for (int i = 0; rc == 0 && i < 4 && worker->io == TR_MY_IO_NONE; i++) {
        bool more = false;
        rc = advance(worker, &more, err);
        if (!more)
            break;
        *moved = true;
    }
    return rc;
}

/* It may wait for a lock itself; then only another connection can wake it. */
void
tr_my_worker_yield(struct tr_my_apply *apply, struct tr_my_worker *worker)
{
    if (worker->base.state != TR_SQL_RUN && worker->base.state != TR_SQL_READY)
        return;
    worker->base.told_to_yield = true;
    if (worker->io != TR_MY_IO_NONE) {
        char sql[64];
        struct tr_error ignored;
        snprintf(sql, sizeof sql, "KILL QUERY %lu", worker->id);
        tr_mysql_query(apply->sink->meta, sql, NULL, &ignored);
    }
    tr_sql_worker_failed(&apply->base, &worker->base);
}

int
tr_my_worker_commit(struct tr_my_worker *worker, struct tr_error *err)
{
    tr_buffer_reset(&worker->sql);
    if (!worker->base.begun)
        tr_buffer_text(&worker->sql, "START TRANSACTION;");
    worker->base.begun = true;
    tr_my_commit_sql(worker->apply->sink, worker->base.group->checkpoint, &worker->sql);
    TR_FAILPOINT("sink.mysql.commit.before");
    worker->base.state = TR_SQL_COMMIT;
    int rc = call(worker, TR_MY_COUNT_NONE, 0, 0, NULL, err);
    TR_FAILPOINT("sink.mysql.commit.sent");
    return rc;
}

/* ------------------------------------------------------------------------------------------- waiting for the answer */

int
tr_my_worker_ask(struct tr_my_worker *worker, const char *sql, struct tr_error *err)
{
    return tr_mysql_query(worker->conn, sql, NULL, err);
}

int
tr_my_worker_commit_now(struct tr_my_worker *worker, struct tr_error *err)
{
    tr_buffer_reset(&worker->sql);
    tr_my_commit_sql(worker->apply->sink, worker->base.group->checkpoint, &worker->sql);
    TR_FAILPOINT("sink.mysql.commit.before");
    int more = mysql_real_query(worker->conn, worker->sql.data, (unsigned long)worker->sql.len);
    while (more == 0)
        more = mysql_next_result(worker->conn);
    if (more > 0 && mysql_errno(worker->conn) == FENCED)
        return tr_my_taken_over(worker->apply->sink, err);
    return more > 0 ? tr_mysql_fail(err, worker->conn, "committing at the target") : 0;
}
