/* apply.c - what the order of it all (sinks/sql/apply.h) asks of PostgreSQL: when a commit is on disk, who blocks whom, changes of shape. */
#include "sinks/postgres/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define ASK_FLUSH_US 50000
#define FORCE_FLUSH_US 400000 /* the WAL writer normally flushes within 200 ms; then we make it */
#define WINDOW \
    16 /* groups that are looked back at; when most of them ran too early, as many run one by one */

static struct tr_pg_apply *
of(struct tr_sql_apply *base)
{
    return (struct tr_pg_apply *)base;
}

static struct tr_pg_worker *
worker_of(struct tr_sql_worker *base)
{
    return (struct tr_pg_worker *)base;
}

/* ------------------------------------------------------------------------------------------- durability */

static void
push_durable(struct tr_pg_apply *apply, uint64_t lsn, uint64_t sequence)
{
    if (apply->first_durable > 0 && apply->ndurables == 0)
        apply->first_durable = 0;
    if (apply->first_durable + apply->ndurables == apply->durables_cap) {
        apply->durables_cap = apply->durables_cap > 0 ? apply->durables_cap * 2 : 64;
        apply->durables = tr_realloc(apply->durables, apply->durables_cap * sizeof(*apply->durables));
    }
    apply->durables[apply->first_durable + apply->ndurables++] = (struct tr_pg_durable){ lsn, sequence };
}

static int
flushed_lsn(struct tr_pg_apply *apply, uint64_t *lsn, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = tr_pg_ask(apply->sink, apply->sink->meta, "SELECT pg_current_wal_flush_lsn()", &res, err);
    if (rc == 0 && (PQntuples(res) != 1 || !tr_pg_lsn_parse(PQgetvalue(res, 0, 0), lsn)))
        rc = tr_fail(err, TR_FATAL, "the target did not tell its flush position");
    PQclear(res);
    return rc;
}

/* A commit that waits for its own flush takes all earlier ones with it. */
static int
force_flush(struct tr_pg_apply *apply, struct tr_error *err)
{
    return tr_pg_ask(apply->sink, apply->sink->meta, "SELECT pg_logical_emit_message(true, 'tailrace', '')",
                     NULL, err);
}

/* Commits do not wait for the disk. */
static int
durable(struct tr_sql_apply *base, bool force, uint64_t *sequence, struct tr_error *err)
{
    struct tr_pg_apply *apply = of(base);
    int64_t now = tr_clock_us();
    uint64_t lsn;
    bool any = false;
    if (!force && now - apply->asked_flush_us < ASK_FLUSH_US)
        return 0;
    apply->asked_flush_us = now;
    int rc = 0;
    if (force || now - apply->committed_us > FORCE_FLUSH_US)
        rc = force_flush(apply, err);
    if (rc == 0)
        rc = flushed_lsn(apply, &lsn, err);
    if (rc < 0)
        return tr_error_prefix(err, "asking the target what is durable");
    while (apply->ndurables > 0 && apply->durables[apply->first_durable].lsn <= lsn) {
        *sequence = apply->durables[apply->first_durable++].sequence;
        apply->ndurables--;
        any = true;
    }
    if (any)
        TR_FAILPOINT("sink.postgres.durable");
    return 0;
}

/* ------------------------------------------------------------------------------------------- the head */

/* Running side by side is of no use while most groups turn out to depend on each other. */
static void
look_back(struct tr_pg_apply *apply, const struct tr_sql_group *group)
{
    apply->window_early += group->early;
    if (++apply->window < WINDOW)
        return;
    if (apply->window_early > WINDOW / 2)
        apply->base.calm = apply->base.next_group + WINDOW;
    apply->window = apply->window_early = 0;
}

static void
finished(struct tr_sql_apply *base, const struct tr_sql_group *group)
{
    struct tr_pg_apply *apply = of(base);
    struct tr_pg_worker *worker = worker_of(group->worker);
    TR_FAILPOINT("sink.postgres.commit.answered");
    push_durable(apply, worker->commit_lsn, group->sequence);
    apply->committed_us = tr_clock_us();
    worker->committed = false;
    if (group->misfits > 0)
        base->env->misfit(base->env->arg, group->misfits);
    look_back(apply, group);
}

static int
carefully(struct tr_sql_apply *base, struct tr_sql_group *group, struct tr_error *err)
{
    int rc = tr_pg_apply_carefully(of(base)->sink, worker_of(group->worker), group->worker->begun, err);
    if (rc < 0)
        return rc;
    group->ddl = false;
    if (group->checkpoint != NULL) /* shapes may have changed: what was planned before knows nothing of it */
        base->planner.barrier = group->plan.number;
    return 0;
}

static bool
passing(const struct tr_error *failure)
{
    static const char *const states[] = { "40P01", "40001", "55P03", "57014" };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(failure->sqlstate, states[i]) == 0)
            return true;
    return false;
}

/* The catalogue is asked on the connection that sees it changed: any other would wait for this very transaction. */
static int
plan_where_shaped(struct tr_postgres_sink *sink, struct tr_sql_group *group, struct tr_error *err)
{
    PGconn *conn = worker_of(group->worker)->conn;
    if (PQexitPipelineMode(conn) != 1)
        return tr_pg_fail(err, conn, NULL, "leaving pipeline mode at the target");
    sink->reader = conn;
    int rc = tr_pg_plan(sink, group, err);
    sink->reader = sink->meta;
    if (rc >= 0 && PQenterPipelineMode(conn) != 1)
        rc = tr_pg_fail(err, conn, NULL, "entering pipeline mode at the target");
    return rc;
}

/* A change of shape is made in its place among the changes. */
static int
prepare(struct tr_sql_apply *base, struct tr_sql_group *group, struct tr_error *err)
{
    struct tr_postgres_sink *sink = of(base)->sink;
    int rc = group->ddl || group->careful ? 1
             : group->shaped              ? plan_where_shaped(sink, group, err)
                                          : tr_pg_plan(sink, group, err);
    if (rc == 1)
        group->careful = true;
    return rc;
}

/* ------------------------------------------------------------------------------------------- nobody waits for the younger */

static struct tr_pg_worker *
worker_by_pid(struct tr_pg_apply *apply, int pid)
{
    for (int i = 0; i < apply->base.nworkers; i++)
        if (apply->workers[i].base.connected && apply->workers[i].pid == pid)
            return &apply->workers[i];
    return NULL;
}

static void
yield(struct tr_sql_apply *base, struct tr_sql_worker *worker)
{
    tr_pg_worker_yield(of(base), worker_of(worker));
}

static int
unblock(struct tr_sql_apply *base, struct tr_sql_worker *head, int64_t waited_us, bool *moved,
        struct tr_error *err)
{
    struct tr_pg_apply *apply = of(base);
    char pid[16];
    PGresult *res = NULL;
    (void)waited_us;
    snprintf(pid, sizeof pid, "%d", worker_of(head)->pid);
    const char *params[] = { pid };
    int rc = tr_pg_ask_params(apply->sink, apply->sink->meta, "SELECT unnest(pg_blocking_pids($1::int))", 1,
                              params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++) {
        struct tr_pg_worker *worker = worker_by_pid(apply, atoi(PQgetvalue(res, i, 0)));
        if (worker == NULL || &worker->base == head || worker->base.group == NULL)
            continue;
        base->counts.yielded++;
        *moved = true;
        tr_pg_worker_yield(apply, worker);
    }
    PQclear(res);
    return rc;
}

/* ------------------------------------------------------------------------------------------- workers */

static int
open_worker(struct tr_sql_apply *base, struct tr_sql_worker *worker, struct tr_error *err)
{
    return tr_pg_worker_open(of(base), worker_of(worker), err);
}

static int
turn(struct tr_sql_apply *base, bool *moved, struct tr_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < base->nworkers; i++)
        if (base->workers[i]->connected)
            rc = tr_pg_worker_turn(worker_of(base->workers[i]), moved, err);
    return rc;
}

static bool
waits(const struct tr_sql_worker *base, struct pollfd *fd)
{
    const struct tr_pg_worker *worker = (const struct tr_pg_worker *)base;
    if (worker->nanswers == 0 && !worker->unsent)
        return false;
    *fd = (struct pollfd){ .fd = PQsocket(worker->conn),
                           .events = (short)(POLLIN | (worker->unsent ? POLLOUT : 0)) };
    return true;
}

static int
commit(struct tr_sql_apply *base, struct tr_sql_worker *worker, struct tr_error *err)
{
    (void)base;
    return tr_pg_worker_commit(worker_of(worker), err);
}

static bool
committed(const struct tr_sql_worker *base)
{
    const struct tr_pg_worker *worker = (const struct tr_pg_worker *)base;
    return worker->committed && worker->nanswers == 0;
}

static bool
stopping(struct tr_sql_apply *base)
{
    return tr_pg_stopping(of(base)->sink);
}

static int64_t
patience(struct tr_sql_apply *base, int64_t wait_us)
{
    return tr_pg_patience(of(base)->sink, wait_us);
}

bool
tr_pg_changes_shape(const struct tr_event *event)
{
    return (event->kind == TR_SCHEMA && event->schema.previous != NULL) || tr_pg_alters_columns(event);
}

static const struct tr_sql_driver driver = {
    .changes_shape = tr_pg_changes_shape,
    .open = open_worker,
    .turn = turn,
    .waits = waits,
    .yield = yield,
    .commit = commit,
    .committed = committed,
    .prepare = prepare,
    .carefully = carefully,
    .finished = finished,
    .durable = durable,
    .unblock = unblock,
    .passing = passing,
    .stopping = stopping,
    .patience = patience,
    .give_up = tr_pg_give_up,
};

/* ------------------------------------------------------------------------------------------- open, close, write */

static int
apply_open(struct tr_postgres_sink *sink, struct tr_error *err)
{
    struct tr_pg_apply *apply = tr_calloc(1, sizeof(*apply));
    apply->sink = sink;
    apply->next_statement = 1;
    apply->base.ordered = !sink->replica_role;
    tr_pg_values_init(&apply->values, sink->on_value);
    tr_buffer_init(&apply->params, TR_BUFFER_MAX);
    apply->workers = tr_calloc((size_t)tr_setting_int(sink->base.env->settings, "workers"),
                               sizeof(*apply->workers));
    sink->apply = apply;
    int rc = tr_sql_apply_open(&apply->base, sink->base.env, &driver, apply->workers, sizeof(*apply->workers),
                               err);
    return rc < 0 ? rc : tr_pg_shapes_load(sink, err);
}

void
tr_pg_apply_close(struct tr_pg_apply *apply)
{
    if (apply == NULL)
        return;
    for (int i = 0; i < apply->base.nworkers; i++)
        tr_pg_worker_close(&apply->workers[i]);
    tr_sql_apply_fini(&apply->base);
    tr_cascades_clear(&apply->cascades);
    tr_pg_maps_free(apply);
    tr_pg_shapes_free(apply);
    tr_pg_values_fini(&apply->values);
    tr_buffer_fini(&apply->params);
    free(apply->durables);
    free(apply->workers);
    free(apply);
}

static int
need_apply(struct tr_postgres_sink *sink, struct tr_error *err)
{
    if (sink->apply != NULL)
        return 0;
    if (sink->epoch == 0)
        return tr_fail(err, TR_FATAL, "the target's checkpoint was not read before the first change");
    return apply_open(sink, err);
}

int
tr_pg_apply_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    int rc = need_apply(sink, err);
    if (rc < 0) {
        tr_batch_free(batch);
        return rc;
    }
    return tr_sql_apply_write(&sink->apply->base, batch, err);
}

int
tr_pg_apply_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    int rc = need_apply(sink, err);
    return rc < 0 ? rc : tr_sql_apply_poll(&sink->apply->base, wait_us, err);
}

int
tr_pg_apply_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct tr_pg_apply *apply = ((struct tr_postgres_sink *)base)->apply;
    return apply == NULL ? 0 : tr_sql_apply_flush(&apply->base, deadline_us, err);
}
