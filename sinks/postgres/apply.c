/*
 * apply.c - the order of it all: groups are started on idle workers, commit in order, and are undone and run again where the net of
 * docs/parallel-apply.md asks for it.
 */
#include "sinks/postgres/shape.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define START_ROWS 2000 /* while others are in flight, a group waits to be this large */
#define START_BYTES ((uint64_t)1 << 20)
#define BLOCKED_US 20000 /* the head waits this long for an answer before we ask who blocks it */
#define ASK_FLUSH_US 50000
#define FORCE_FLUSH_US 400000 /* the WAL writer normally flushes within 200 ms; then we make it */
#define HEAD_TRIES 20
#define WINDOW \
    16 /* groups that are looked back at; when most of them ran too early, as many run one by one */

int
tr_pg_apply_open(struct tr_postgres_sink *sink, struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    struct tr_pg_apply *apply = tr_calloc(1, sizeof(*apply));
    apply->sink = sink;
    apply->next_group = 1;
    apply->next_statement = 1;
    apply->nworkers = (int)tr_setting_int(settings, "workers");
    tr_sql_planner_init(&apply->planner);
    apply->planner.parallel = apply->nworkers > 1;
    tr_sql_pending_init(&apply->pending, (uint64_t)tr_setting_int(settings, "group_rows"),
                        sink->base.env->memory, apply->nworkers, tr_pg_changes_shape);
    tr_pg_values_init(&apply->values, sink->on_value);
    tr_buffer_init(&apply->params, TR_BUFFER_MAX);
    apply->workers = tr_calloc((size_t)apply->nworkers, sizeof(*apply->workers));
    sink->apply = apply;
    int rc = tr_pg_shapes_load(sink, err);
    if (rc < 0)
        return rc;
    /* Only the first connection is opened now; the others when there is work for them. */
    return tr_pg_worker_open(apply, &apply->workers[0], err);
}

static void
log_counts(const struct tr_pg_apply *apply)
{
    const struct tr_pg_counts *c = &apply->counts;
    if (c->groups > 0)
        tr_log(
            apply->sink->base.env->log, TR_LOG_DEBUG, "sink",
            "applied %llu changes in %llu groups; ran too early %llu, gave way to the head %llu, deadlocks %llu, change by change %llu, conflicts settled %llu",
            (unsigned long long)c->rows, (unsigned long long)c->groups, (unsigned long long)c->early,
            (unsigned long long)c->yielded, (unsigned long long)c->deadlocks, (unsigned long long)c->careful,
            (unsigned long long)c->conflicts);
}

void
tr_pg_apply_close(struct tr_pg_apply *apply)
{
    if (apply == NULL)
        return;
    log_counts(apply);
    for (int i = 0; i < apply->nworkers; i++) {
        apply->workers[i].index = i;
        tr_pg_worker_close(&apply->workers[i]);
    }
    for (struct tr_pg_group *group = apply->head, *next; group != NULL; group = next) {
        next = group->next;
        tr_pg_group_free(group);
    }
    tr_sql_pending_free(&apply->pending);
    tr_cascades_clear(&apply->cascades);
    tr_pg_maps_free(apply);
    tr_pg_shapes_free(apply);
    tr_sql_planner_fini(&apply->planner);
    tr_pg_values_fini(&apply->values);
    tr_buffer_fini(&apply->params);
    free(apply->durables);
    free(apply->workers);
    free(apply);
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

/* Commits do not wait for the disk; here we learn what has reached it, and say so. */
static int
report_durable(struct tr_pg_apply *apply, bool force, bool *reported, struct tr_error *err)
{
    int64_t now = tr_clock_us();
    uint64_t lsn, sequence = 0;
    if (apply->ndurables == 0 || (!force && now - apply->asked_flush_us < ASK_FLUSH_US))
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
        sequence = apply->durables[apply->first_durable++].sequence;
        apply->ndurables--;
    }
    if (sequence > 0) {
        TR_FAILPOINT("sink.postgres.durable");
        apply->sink->base.env->durable(apply->sink->base.env->arg, sequence, NULL);
        *reported = true;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- the head */

/* Running side by side is of no use while most groups turn out to depend on each other. */
static void
look_back(struct tr_pg_apply *apply, const struct tr_pg_group *group)
{
    apply->window_early += group->early;
    if (++apply->window < WINDOW)
        return;
    if (apply->window_early > WINDOW / 2)
        apply->calm = apply->next_group + WINDOW;
    apply->window = apply->window_early = 0;
}

static void
finish_head(struct tr_pg_apply *apply)
{
    struct tr_pg_group *group = apply->head;
    struct tr_pg_worker *worker = group->worker;
    TR_FAILPOINT("sink.postgres.commit.answered");
    push_durable(apply, worker->commit_lsn, group->sequence);
    apply->committed_us = tr_clock_us();
    apply->counts.groups++;
    apply->counts.rows += group->rows;
    if (group->misfits > 0)
        apply->sink->base.env->misfit(apply->sink->base.env->arg, group->misfits);
    look_back(apply, group);
    apply->head = group->next;
    if (apply->head == NULL)
        apply->tail = NULL;
    worker->group = NULL;
    worker->state = TR_PG_IDLE;
    worker->begun = worker->committed = worker->in_savepoint = false;
    tr_pg_group_free(group);
}

static int
careful_head(struct tr_pg_apply *apply, struct tr_error *err)
{
    struct tr_pg_group *group = apply->head;
    struct tr_pg_worker *worker = group->worker;
    apply->counts.careful++;
    int rc = tr_pg_apply_clear_younger(apply, err);
    if (rc == 0)
        rc = tr_pg_apply_carefully(apply->sink, worker, worker->begun, err);
    if (rc < 0)
        return rc;
    group->careful = group->parked != NULL;
    group->ddl = false;
    if (group->checkpoint != NULL) {
        apply->planner.barrier =
            group->plan.number; /* shapes may have changed: what was planned before knows nothing of it */
        finish_head(apply);
    } else {
        worker->begun = true;
        worker->state = TR_PG_READY;
        tr_pg_group_drop_batches(group);
    }
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

/* The head was rolled back. Why, and what now? */
static int
head_again(struct tr_pg_apply *apply, struct tr_error *err)
{
    struct tr_pg_group *group = apply->head;
    struct tr_pg_worker *worker = group->worker;
    const struct tr_error *failure = &worker->failure;
    if (group->ddl || group->careful)
        return careful_head(apply, err);
    apply->counts.deadlocks += strcmp(failure->sqlstate, "40P01") == 0;
    if (worker->told_to_yield || !worker->failed_as_head ||
        (passing(failure) && group->tries++ < HEAD_TRIES)) {
        bool begun = worker->in_savepoint && worker->begun;
        tr_pg_worker_start(worker, group);
        worker->begun = worker->in_savepoint = begun;
        return 0;
    }
    if (failure->class == TR_CONFLICT) {
        group->careful = true;
        return careful_head(apply, err);
    }
    *err = *failure;
    return -(int)err->class;
}

/* The catalogue is asked on the connection that sees it changed: any other would wait for this very transaction. */
static int
plan_slice(struct tr_pg_apply *apply, struct tr_pg_group *group, struct tr_error *err)
{
    struct tr_postgres_sink *sink = apply->sink;
    PGconn *conn = group->worker->conn;
    if (!group->shaped)
        return tr_pg_plan(sink, group, err);
    if (PQexitPipelineMode(conn) != 1)
        return tr_pg_fail(err, conn, NULL, "leaving pipeline mode at the target");
    sink->reader = conn;
    int rc = tr_pg_plan(sink, group, err);
    sink->reader = sink->meta;
    if (rc >= 0 && PQenterPipelineMode(conn) != 1)
        rc = tr_pg_fail(err, conn, NULL, "entering pipeline mode at the target");
    return rc;
}

static int
continue_large(struct tr_pg_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_pg_group *group = apply->head;
    if (!tr_pg_group_continue(apply, group))
        return 0;
    *moved = true;
    if (group->ddl || group->careful)
        return careful_head(apply, err);
    int rc = plan_slice(apply, group, err);
    if (rc == 1)
        return careful_head(apply, err);
    if (rc == 0)
        tr_pg_worker_start(group->worker, group);
    return rc;
}

static int
settle_head(struct tr_pg_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_pg_worker *worker = apply->head->worker;
    switch (worker->state) {
    case TR_PG_READY:
        if (apply->head->checkpoint == NULL)
            return continue_large(apply, moved, err);
        *moved = true;
        return tr_pg_worker_commit(worker, err);
    case TR_PG_COMMIT:
        if (!worker->committed || worker->nanswers > 0)
            return 0;
        *moved = true;
        finish_head(apply);
        return 0;
    case TR_PG_AGAIN: *moved = true; return head_again(apply, err);
    case TR_PG_IDLE:
    case TR_PG_RUN:
    case TR_PG_FAILED:
    case TR_PG_UNDO: return 0;
    }
    return 0;
}

/* Younger groups that failed wait for their turn: an error before it only means "too early". */
static void
note_early(struct tr_pg_apply *apply)
{
    for (struct tr_pg_group *group = apply->head != NULL ? apply->head->next : NULL; group != NULL;
         group = group->next) {
        if (group->worker->state != TR_PG_AGAIN || group->early)
            continue;
        group->early = true;
        apply->counts.early += !group->worker->told_to_yield;
        group->worker->failed_as_head = false;
    }
}

/* ------------------------------------------------------------------------------------------- nobody waits for the younger */

static struct tr_pg_worker *
worker_by_pid(struct tr_pg_apply *apply, int pid)
{
    for (int i = 0; i < apply->nworkers; i++)
        if (apply->workers[i].conn != NULL && apply->workers[i].pid == pid)
            return &apply->workers[i];
    return NULL;
}

/*
 * A finished younger group holds its locks until its turn. When the head needs one of them no deadlock detector sees the cycle, because half of it is our own order
 * of commits: so we ask, and let the younger one start again.
 */
static int
unblock_head(struct tr_pg_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_pg_worker *head = apply->head->worker;
    int64_t now = tr_clock_us();
    if (apply->head->next == NULL || head->waiting_since == 0 || now - head->waiting_since < BLOCKED_US ||
        now - apply->asked_blocked_us < BLOCKED_US)
        return 0;
    apply->asked_blocked_us = now;
    char pid[16];
    PGresult *res = NULL;
    snprintf(pid, sizeof pid, "%d", head->pid);
    const char *params[] = { pid };
    int rc = tr_pg_ask_params(apply->sink, apply->sink->meta, "SELECT unnest(pg_blocking_pids($1::int))", 1,
                              params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++) {
        struct tr_pg_worker *worker = worker_by_pid(apply, atoi(PQgetvalue(res, i, 0)));
        if (worker == NULL || worker == head || worker->group == NULL)
            continue;
        apply->counts.yielded++;
        *moved = true;
        rc = tr_pg_worker_yield(worker, err);
    }
    PQclear(res);
    return rc;
}

static int
turn_workers(struct tr_pg_apply *apply, bool *moved, struct tr_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < apply->nworkers; i++)
        if (apply->workers[i].conn != NULL)
            rc = tr_pg_worker_turn(&apply->workers[i], moved, err);
    return rc;
}

static int
wait_for_workers(struct tr_pg_apply *apply, int wake_fd, int64_t wait_us, bool *woken, struct tr_error *err)
{
    struct pollfd fds[65];
    nfds_t n = 0;
    for (int i = 0; i < apply->nworkers && i < 64; i++) {
        const struct tr_pg_worker *worker = &apply->workers[i];
        if (worker->conn == NULL || (worker->nanswers == 0 && !worker->unsent))
            continue;
        short events = (short)(POLLIN | (tr_pg_worker_wants_write(worker) ? POLLOUT : 0));
        fds[n++] = (struct pollfd){ .fd = PQsocket(worker->conn), .events = events };
    }
    if (wake_fd >= 0)
        fds[n++] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    struct timespec limit = { wait_us / TR_US_PER_S, wait_us % TR_US_PER_S * 1000 };
    if (ppoll(fds, n, &limit, NULL) < 0 && errno != EINTR)
        return tr_fail(err, TR_FATAL, "waiting for the target: %s", strerror(errno));
    *woken = wake_fd >= 0 && fds[n - 1].revents != 0;
    return 0;
}

int
tr_pg_apply_clear_younger(struct tr_pg_apply *apply, struct tr_error *err)
{
    for (bool busy = true; busy;) {
        bool moved = false, woken;
        busy = false;
        int rc = 0;
        for (struct tr_pg_group *group = apply->head->next; rc == 0 && group != NULL; group = group->next) {
            if (group->worker->state == TR_PG_AGAIN)
                continue;
            busy = true;
            rc = tr_pg_worker_yield(group->worker, err);
            if (rc == 0)
                rc = tr_pg_worker_turn(group->worker, &moved, err);
        }
        if (rc == 0 && busy && !moved && tr_pg_patience(apply->sink, BLOCKED_US) == 0)
            rc = tr_pg_give_up(err);
        if (rc == 0 && busy && !moved)
            rc = wait_for_workers(apply, -1, BLOCKED_US, &woken, err);
        if (rc < 0)
            return rc;
    }
    note_early(apply);
    return 0;
}

/* ------------------------------------------------------------------------------------------- starting groups */

static int
idle_worker(struct tr_pg_apply *apply, struct tr_pg_worker **out, struct tr_error *err)
{
    *out = NULL;
    for (int i = 0; i < apply->nworkers; i++) {
        struct tr_pg_worker *worker = &apply->workers[i];
        worker->index = i;
        if (worker->conn == NULL && tr_pg_stopping(apply->sink))
            return 0; /* those that are there do the rest */
        int rc = worker->conn == NULL ? tr_pg_worker_open(apply, worker, err) : 0;
        if (rc < 0)
            return rc;
        if (worker->state == TR_PG_IDLE) {
            *out = worker;
            return 0;
        }
    }
    return 0;
}

/* Alone in the house a change leaves at once; otherwise groups are let grow, since they cannot be seen before their turn anyway. */
static bool
may_start(const struct tr_pg_apply *apply)
{
    const struct tr_pg_group *tail = apply->tail;
    if (apply->pending.first == NULL)
        return false;
    if (tail == NULL)
        return true;
    if (tail->large || tail->ddl || tail->careful || apply->head->large || apply->head->ddl ||
        apply->next_group < apply->calm)
        return false;
    return apply->pending.rows >= START_ROWS || apply->pending.bytes >= START_BYTES;
}

static int
start_group(struct tr_pg_apply *apply, struct tr_pg_worker *worker, struct tr_pg_group *group,
            struct tr_error *err)
{
    int rc = group->ddl ? 0 : tr_pg_plan(apply->sink, group, err);
    if (rc < 0) { /* 1: the group has become one with a change of shape */
        tr_pg_group_free(group);
        return rc;
    }
    if (apply->tail != NULL)
        apply->tail->next = group;
    else
        apply->head = group;
    apply->tail = group;
    tr_pg_worker_start(worker, group);
    if (group->ddl)
        worker->state = TR_PG_AGAIN;
    return 0;
}

static int
start_groups(struct tr_pg_apply *apply, bool *moved, struct tr_error *err)
{
    while (may_start(apply)) {
        struct tr_pg_worker *worker;
        int rc = idle_worker(apply, &worker, err);
        if (rc < 0 || worker == NULL)
            return rc;
        struct tr_pg_group *group = tr_pg_group_form(apply);
        if (group == NULL)
            return 0;
        *moved = true;
        rc = start_group(apply, worker, group, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Do all that can be done without waiting. */
static int
turn(struct tr_pg_apply *apply, struct tr_error *err)
{
    for (bool moved = true; moved;) {
        moved = false;
        int rc = turn_workers(apply, &moved, err);
        note_early(apply);
        if (rc == 0 && apply->head != NULL)
            rc = settle_head(apply, &moved, err);
        if (rc == 0 && apply->head != NULL)
            rc = unblock_head(apply, &moved, err);
        if (rc == 0)
            rc = start_groups(apply, &moved, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* How long may we sleep before something has to be looked at again? */
static int64_t
patience(const struct tr_pg_apply *apply, int64_t wait_us)
{
    if (apply->ndurables > 0 && wait_us > ASK_FLUSH_US)
        wait_us = ASK_FLUSH_US;
    if (apply->head != NULL && apply->head->next != NULL && wait_us > BLOCKED_US)
        wait_us = BLOCKED_US;
    return wait_us;
}

static int
need_apply(struct tr_postgres_sink *sink, struct tr_error *err)
{
    if (sink->apply != NULL)
        return 0;
    if (sink->epoch == 0)
        return tr_fail(err, TR_FATAL, "the target's checkpoint was not read before the first change");
    return tr_pg_apply_open(sink, err);
}

static bool
is_full(const struct tr_pg_apply *apply, uint64_t times)
{
    return apply->head != NULL && tr_sql_pending_over(&apply->pending, times);
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
    struct tr_pg_apply *apply = sink->apply;
    bool woken = false, reported = false;
    tr_sql_pending_add(&apply->pending, batch);
    rc = turn(apply, err);
    while (rc == 0 && is_full(apply, 1) && (!woken || is_full(apply, 4)) && !tr_pg_stopping(sink)) {
        rc = wait_for_workers(apply, is_full(apply, 4) ? -1 : base->env->wake_fd,
                              patience(apply, ASK_FLUSH_US), &woken, err);
        if (rc == 0)
            rc = turn(apply, err);
        if (rc == 0)
            rc = report_durable(apply, false, &reported, err);
    }
    return rc == 0 ? report_durable(apply, false, &reported, err) : rc;
}

int
tr_pg_apply_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    int64_t end = tr_clock_us() + wait_us;
    bool woken = false, reported = false;
    int rc = need_apply(sink, err);
    while (rc == 0) {
        struct tr_pg_apply *apply = sink->apply;
        rc = turn(apply, err);
        if (rc == 0)
            rc = report_durable(apply, false, &reported, err);
        int64_t left = end - tr_clock_us();
        if (rc < 0 || left <= 0 || woken || reported)
            break;
        rc = wait_for_workers(apply, base->env->wake_fd, patience(apply, left), &woken, err);
    }
    return rc;
}

/* Is there anything that can still come to its end without more batches? */
static bool
unfinished(const struct tr_pg_apply *apply)
{
    const struct tr_pg_group *head = apply->head;
    if (head != NULL)
        return !(head->checkpoint == NULL && head->worker->state == TR_PG_READY &&
                 apply->pending.first == NULL);
    return tr_sql_pending_has_end(&apply->pending);
}

int
tr_pg_apply_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    struct tr_pg_apply *apply = sink->apply;
    int rc = 0;
    while (apply != NULL && rc == 0) {
        bool woken, reported = false;
        rc = turn(apply, err);
        bool busy = unfinished(apply);
        if (rc == 0)
            rc = report_durable(apply, !busy, &reported, err);
        if (rc < 0 || (!busy && apply->ndurables == 0))
            return rc;
        int64_t left = tr_pg_patience(sink, deadline_us - tr_clock_us());
        if (left <= 0)
            return tr_fail(err, TR_RETRY, "the target did not take the last changes in time");
        if (busy)
            rc = wait_for_workers(apply, -1, patience(apply, left), &woken, err);
    }
    return rc;
}
