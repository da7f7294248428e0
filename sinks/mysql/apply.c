/*
 * apply.c - the order of it all: groups are started on idle workers, commit in order, and are undone and run again where the net of
 * docs/parallel-apply.md asks for it.
 */
#include "sinks/mysql/apply.h"

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
#define CALL_BYTES ((size_t)256 << 10)
#define BLOCKED_US 20000 /* the head waits this long for an answer before we ask who blocks it */
#define IMPATIENT_US \
    200000 /* and this long before the younger are rolled back on suspicion, where the server does not tell */
#define ASK_FLUSH_US 50000
#define HEAD_TRIES 20
#define LINGER_US (4 * TR_US_PER_S) /* a stop ends within five seconds, whatever the target does */

int
tr_my_apply_open(struct tr_mysql_sink *sink, struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    struct tr_my_apply *apply = tr_calloc(1, sizeof(*apply));
    apply->sink = sink;
    apply->next_group = 1;
    apply->nworkers = (int)tr_setting_int(settings, "workers");
    apply->call_bytes = sink->packet / 4 < CALL_BYTES ? sink->packet / 4 : CALL_BYTES;
    tr_sql_planner_init(&apply->planner);
    apply->planner.parallel = apply->nworkers > 1;
    tr_sql_pending_init(&apply->pending, (uint64_t)tr_setting_int(settings, "group_rows"),
                        sink->base.env->memory, apply->nworkers, tr_my_changes_shape);
    tr_my_values_init(&apply->values, sink->on_value);
    apply->workers = tr_calloc((size_t)apply->nworkers, sizeof(*apply->workers));
    sink->apply = apply;
    tr_mysql_group_linger(sink->group, LINGER_US); /* what was read is applied before the end */
    /* Only the first connection is opened now; the others when there is work for them. */
    return tr_my_worker_open(apply, &apply->workers[0], err);
}

void
tr_my_apply_close(struct tr_my_apply *apply)
{
    if (apply == NULL)
        return;
    for (int i = 0; i < apply->nworkers; i++)
        tr_my_worker_close(&apply->workers[i]);
    for (struct tr_my_group *group = apply->head, *next; group != NULL; group = next) {
        next = group->next;
        tr_my_group_free(group);
    }
    tr_sql_pending_free(&apply->pending);
    for (uint32_t i = 0; i < apply->nrenamed; i++) {
        free(apply->renamed[i].table);
        free(apply->renamed[i].from);
        free(apply->renamed[i].to);
    }
    free(apply->renamed);
    tr_cascades_clear(&apply->cascades);
    tr_my_maps_free(apply);
    tr_sql_planner_fini(&apply->planner);
    tr_my_values_fini(&apply->values);
    free(apply->workers);
    free(apply);
}

/* ------------------------------------------------------------------------------------------- durability */

/* A commit that was answered is on disk, or the server is told to put it there. */
static int
report_durable(struct tr_my_apply *apply, bool force, bool *reported, struct tr_error *err)
{
    const struct tr_mysql_sink *sink = apply->sink;
    int64_t now = tr_clock_us();
    if (apply->committed == apply->durable)
        return 0;
    if (!sink->commits_are_safe && sink->flush_is_allowed) {
        if (!force && now - apply->asked_flush_us < ASK_FLUSH_US)
            return 0;
        apply->asked_flush_us = now;
        int rc = tr_mysql_query(sink->meta, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", NULL, err);
        if (rc < 0)
            return tr_error_prefix(err, "making changes durable at the target");
    }
    TR_FAILPOINT("sink.mysql.durable");
    apply->durable = apply->committed;
    sink->base.env->durable(sink->base.env->arg, apply->durable, NULL);
    *reported = true;
    return 0;
}

/* ------------------------------------------------------------------------------------------- the head */

static void
report_misfits(struct tr_my_apply *apply)
{
    const struct tr_sink_env *env = apply->sink->base.env;
    if (apply->values.misfits > 0)
        env->misfit(env->arg, apply->values.misfits);
    apply->values.misfits = 0;
}

static void
finish_head(struct tr_my_apply *apply)
{
    struct tr_my_group *group = apply->head;
    struct tr_my_worker *worker = group->worker;
    TR_FAILPOINT("sink.mysql.commit.answered");
    apply->committed = group->sequence;
    apply->counts.groups++;
    apply->counts.rows += group->rows;
    report_misfits(apply);
    apply->head = group->next;
    if (apply->head == NULL)
        apply->tail = NULL;
    worker->group = NULL;
    worker->state = TR_MY_IDLE;
    worker->begun = worker->in_savepoint = false;
    tr_my_group_free(group);
}

/* Older groups that failed before their turn: an error before it only means "too early". */
static void
note_early(struct tr_my_apply *apply)
{
    for (struct tr_my_group *group = apply->head != NULL ? apply->head->next : NULL; group != NULL;
         group = group->next) {
        if (group->worker->state != TR_MY_AGAIN || group->early)
            continue;
        group->early = true;
        apply->counts.early += !group->worker->told_to_yield;
        group->worker->failed_as_head = false;
    }
}

struct readiness {
    struct pollfd fds[66];
    struct tr_my_worker *workers[66];
    nfds_t count;
};

static short
wanted(int wait)
{
    return (short)((wait & MYSQL_WAIT_READ ? POLLIN : 0) | (wait & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                   (wait & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
}

static int
seen(short events)
{
    return (events & (POLLIN | POLLHUP | POLLERR) ? MYSQL_WAIT_READ : 0) |
           (events & (POLLOUT | POLLERR) ? MYSQL_WAIT_WRITE : 0) | (events & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
}

static int
wait_for_workers(struct tr_my_apply *apply, int wake_fd, int64_t wait_us, bool *woken, struct tr_error *err)
{
    struct pollfd fds[66];
    nfds_t n = 0;
    for (int i = 0; i < apply->nworkers && i < 64; i++) {
        const struct tr_my_worker *worker = &apply->workers[i];
        if (worker->conn != NULL && worker->io != TR_MY_IO_NONE)
            fds[n++] = (struct pollfd){ .fd = (int)mysql_get_socket(worker->conn),
                                        .events = wanted(worker->wait) };
    }
    if (wake_fd >= 0)
        fds[n++] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    struct timespec limit = { wait_us / TR_US_PER_S, wait_us % TR_US_PER_S * 1000 };
    if (ppoll(fds, n, &limit, NULL) < 0 && errno != EINTR)
        return tr_fail(err, TR_FATAL, "waiting for the target: %s", strerror(errno));
    *woken = wake_fd >= 0 && fds[n - 1].revents != 0;
    return 0;
}

/* What the sockets of suspended calls have, without waiting; then each of these workers goes on. */
static int
turn_workers(struct tr_my_apply *apply, bool *moved, struct tr_error *err)
{
    struct readiness ready;
    int rc = 0;
    ready.count = 0;
    for (int i = 0; i < apply->nworkers && i < 64; i++) {
        struct tr_my_worker *worker = &apply->workers[i];
        if (worker->conn == NULL)
            continue;
        ready.workers[ready.count] = worker;
        ready.fds[ready.count++] = (struct pollfd){ .fd = worker->io != TR_MY_IO_NONE
                                                              ? (int)mysql_get_socket(worker->conn)
                                                              : -1,
                                                    .events = wanted(worker->wait) };
    }
    if (poll(ready.fds, ready.count, 0) < 0 && errno != EINTR)
        return tr_fail(err, TR_FATAL, "asking the target's connections: %s", strerror(errno));
    for (nfds_t i = 0; rc == 0 && i < ready.count; i++)
        rc = tr_my_worker_turn(ready.workers[i], seen(ready.fds[i].revents), moved, err);
    return rc;
}

/* Roll back every group but the head, youngest or not, and wait until that is done. */
static int
clear_younger(struct tr_my_apply *apply, struct tr_error *err)
{
    for (bool busy = true; busy;) {
        bool moved = false, woken;
        int rc = 0;
        busy = false;
        for (struct tr_my_group *group = apply->head->next; rc == 0 && group != NULL; group = group->next) {
            busy = busy || group->worker->state != TR_MY_AGAIN;
            rc = tr_my_worker_yield(group->worker, err);
        }
        if (rc == 0 && busy)
            rc = turn_workers(apply, &moved, err);
        if (rc == 0 && busy && !moved)
            rc = wait_for_workers(apply, -1, BLOCKED_US, &woken, err);
        if (rc < 0)
            return rc;
    }
    note_early(apply);
    return 0;
}

static int
careful_head(struct tr_my_apply *apply, struct tr_error *err)
{
    struct tr_my_group *group = apply->head;
    struct tr_my_worker *worker = group->worker;
    apply->counts.careful++;
    int rc = clear_younger(apply, err);
    if (rc == 0)
        rc = tr_my_apply_carefully(apply->sink, worker, worker->begun, err);
    if (rc < 0)
        return rc;
    group->careful = group->parked != NULL;
    if (group->checkpoint != NULL) {
        finish_head(apply);
    } else {
        worker->begun = true;
        worker->state = TR_MY_READY;
        tr_my_group_drop_batches(group);
    }
    return 0;
}

/* The head was rolled back. Why, and what now? */
static int
head_again(struct tr_my_apply *apply, struct tr_error *err)
{
    struct tr_my_group *group = apply->head;
    struct tr_my_worker *worker = group->worker;
    const struct tr_error *failure = &worker->failure;
    if (group->careful)
        return careful_head(apply, err);
    if (worker->told_to_yield || !worker->failed_as_head ||
        (tr_my_passing(failure) && group->tries++ < HEAD_TRIES)) {
        bool begun = worker->in_savepoint && worker->begun;
        tr_my_worker_start(worker, group);
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

/* With foreign keys that act a group goes change by change. */
static int
plan_group(struct tr_my_apply *apply, struct tr_my_group *group, struct tr_error *err)
{
    int rc = tr_my_plan(apply->sink, group, err);
    if (rc == 0 && group->plan.cascades) {
        group->careful = true;
        rc = tr_my_cascades_warn(apply, err);
    }
    return rc;
}

/* Nothing but the head is in flight when a group changes a table's shape. */
static int
prepare_group(struct tr_my_apply *apply, struct tr_my_group *group, struct tr_error *err)
{
    int rc = group->ddl ? tr_my_apply_shapes(apply->sink, group, err) : 0;
    if (group->ddl)
        tr_cascades_clear(&apply->cascades);
    if (rc == 0)
        rc = plan_group(apply, group, err);
    return rc;
}

static int
continue_large(struct tr_my_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_my_group *group = apply->head;
    if (!tr_my_group_continue(apply, group))
        return 0;
    *moved = true;
    if (group->ddl) {
        tr_fail(err, TR_REFUSED,
                "the source changed a table's shape inside a transaction that is too large to be held");
        return tr_error_hint(
            err, "raise `memory`, or change the target's table by hand and start again with ddl: ignore");
    }
    if (group->careful)
        return careful_head(apply, err);
    int rc = plan_group(apply, group, err);
    if (rc == 0 && group->careful)
        return careful_head(apply, err);
    if (rc == 0)
        tr_my_worker_start(group->worker, group);
    return rc;
}

static int
settle_head(struct tr_my_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_my_worker *worker = apply->head->worker;
    switch (worker->state) {
    case TR_MY_READY:
        if (apply->head->checkpoint == NULL)
            return continue_large(apply, moved, err);
        *moved = true;
        return tr_my_worker_commit(worker, err);
    case TR_MY_COMMIT:
        if (worker->io != TR_MY_IO_NONE)
            return 0;
        *moved = true;
        finish_head(apply);
        return 0;
    case TR_MY_AGAIN: *moved = true; return head_again(apply, err);
    case TR_MY_IDLE:
    case TR_MY_RUN:
    case TR_MY_FAILED:
    case TR_MY_UNDO: return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- nobody waits for the younger */

static struct tr_my_worker *
worker_by_id(struct tr_my_apply *apply, unsigned long id)
{
    for (int i = 0; i < apply->nworkers; i++)
        if (apply->workers[i].conn != NULL && apply->workers[i].id == id)
            return &apply->workers[i];
    return NULL;
}

static int
ask_who_blocks(struct tr_my_apply *apply, const struct tr_my_worker *head, MYSQL_RES **res,
               struct tr_error *err)
{
    static const char mariadb[] =
        "SELECT b.trx_mysql_thread_id FROM information_schema.innodb_lock_waits w"
        " JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
        " JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id WHERE r.trx_mysql_thread_id = %lu";
    static const char mysql[] =
        "SELECT b.processlist_id FROM performance_schema.data_lock_waits w"
        " JOIN performance_schema.threads b ON b.thread_id = w.blocking_thread_id"
        " JOIN performance_schema.threads r ON r.thread_id = w.requesting_thread_id WHERE r.processlist_id = %lu";
    char sql[512];
    snprintf(sql, sizeof sql, apply->sink->target.mariadb ? mariadb : mysql, head->id);
    return tr_mysql_query(apply->sink->meta, sql, res, err);
}

static int
yield_all(struct tr_my_apply *apply, struct tr_error *err)
{
    int rc = 0;
    for (struct tr_my_group *group = apply->head->next; rc == 0 && group != NULL; group = group->next) {
        apply->counts.yielded++;
        rc = tr_my_worker_yield(group->worker, err);
    }
    return rc;
}

/*
 * A finished younger group holds its locks until its turn. When the head needs one of them no deadlock detector sees the cycle, because half of it is our own order
 * of commits: so we ask, and let the younger one start again. A server that does not tell is not asked: then all younger ones start again.
 */
static int
unblock_head(struct tr_my_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_my_worker *head = apply->head->worker;
    int64_t now = tr_clock_us();
    if (apply->head->next == NULL || head->waiting_since == 0 || head->state == TR_MY_COMMIT ||
        now - head->waiting_since < BLOCKED_US || now - apply->asked_blocked_us < BLOCKED_US)
        return 0;
    apply->asked_blocked_us = now;
    if (!apply->sink->locks_are_shown || now - head->waiting_since > 10 * IMPATIENT_US)
        return now - head->waiting_since > IMPATIENT_US ? yield_all(apply, err) : 0;
    MYSQL_RES *res = NULL;
    int rc = ask_who_blocks(apply, head, &res, err);
    for (MYSQL_ROW row; rc == 0 && (row = mysql_fetch_row(res)) != NULL;) {
        struct tr_my_worker *worker = row[0] != NULL ? worker_by_id(apply, strtoul(row[0], NULL, 10)) : NULL;
        if (worker == NULL || worker == head || worker->group == NULL)
            continue;
        apply->counts.yielded++;
        *moved = true;
        rc = tr_my_worker_yield(worker, err);
    }
    mysql_free_result(res);
    return rc;
}

/* ------------------------------------------------------------------------------------------- starting groups */

static int
idle_worker(struct tr_my_apply *apply, struct tr_my_worker **out, struct tr_error *err)
{
    *out = NULL;
    for (int i = 0; i < apply->nworkers; i++) {
        struct tr_my_worker *worker = &apply->workers[i];
        worker->index = i;
        int rc = worker->conn == NULL ? tr_my_worker_open(apply, worker, err) : 0;
        if (rc < 0)
            return rc;
        if (worker->state == TR_MY_IDLE) {
            *out = worker;
            return 0;
        }
    }
    return 0;
}

/* Alone in the house a change leaves at once; otherwise groups are let grow, since they cannot be seen before their turn anyway. */
static bool
may_start(const struct tr_my_apply *apply)
{
    const struct tr_my_group *tail = apply->tail;
    if (apply->pending.first == NULL)
        return false;
    if (tail == NULL)
        return true;
    if (tail->large || tail->ddl || tail->careful || apply->head->large || apply->head->ddl)
        return false;
    return apply->pending.rows >= START_ROWS || apply->pending.bytes >= START_BYTES;
}

static int
start_group(struct tr_my_apply *apply, struct tr_my_worker *worker, struct tr_my_group *group,
            struct tr_error *err)
{
    int rc = prepare_group(apply, group, err);
    if (rc < 0) {
        tr_my_group_free(group);
        return rc;
    }
    if (apply->tail != NULL)
        apply->tail->next = group;
    else
        apply->head = group;
    apply->tail = group;
    tr_my_worker_start(worker, group);
    if (group->careful) { /* nothing is sent before its turn */
        group->early = true;
        worker->state = TR_MY_AGAIN;
    }
    return 0;
}

static int
start_groups(struct tr_my_apply *apply, bool *moved, struct tr_error *err)
{
    while (may_start(apply)) {
        struct tr_my_worker *worker;
        /* DDL waits for every open transaction on its table */
        if (apply->head != NULL && tr_sql_pending_changes_shape(&apply->pending))
            return 0;
        int rc = idle_worker(apply, &worker, err);
        if (rc < 0 || worker == NULL)
            return rc;
        struct tr_my_group *group = tr_my_group_form(apply);
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
turn(struct tr_my_apply *apply, struct tr_error *err)
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
patience(const struct tr_my_apply *apply, int64_t wait_us)
{
    if (apply->committed != apply->durable && wait_us > ASK_FLUSH_US)
        wait_us = ASK_FLUSH_US;
    if (apply->head != NULL && apply->head->next != NULL && wait_us > BLOCKED_US)
        wait_us = BLOCKED_US;
    return wait_us;
}

static int
need_apply(struct tr_mysql_sink *sink, struct tr_error *err)
{
    if (sink->apply != NULL)
        return 0;
    if (sink->epoch == 0)
        return tr_fail(err, TR_FATAL, "the target's checkpoint was not read before the first change");
    return tr_my_apply_open(sink, err);
}

static bool
is_full(const struct tr_my_apply *apply, uint64_t times)
{
    return apply->head != NULL && tr_sql_pending_over(&apply->pending, times);
}

int
tr_my_apply_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int rc = need_apply(sink, err);
    if (rc < 0) {
        tr_batch_free(batch);
        return rc;
    }
    struct tr_my_apply *apply = sink->apply;
    bool woken = false, reported = false;
    tr_sql_pending_add(&apply->pending, batch);
    rc = turn(apply, err);
    while (rc == 0 && is_full(apply, 1) && (!woken || is_full(apply, 4))) {
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
tr_my_apply_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int64_t end = tr_clock_us() + wait_us;
    bool woken = false, reported = false;
    int rc = need_apply(sink, err);
    while (rc == 0) {
        struct tr_my_apply *apply = sink->apply;
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
unfinished(const struct tr_my_apply *apply)
{
    const struct tr_my_group *head = apply->head;
    if (head != NULL)
        return !(head->checkpoint == NULL && head->worker->state == TR_MY_READY &&
                 apply->pending.first == NULL);
    return tr_sql_pending_has_end(&apply->pending);
}

int
tr_my_apply_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct tr_my_apply *apply = ((struct tr_mysql_sink *)base)->apply;
    int rc = 0;
    while (apply != NULL && rc == 0) {
        bool woken, reported = false;
        rc = turn(apply, err);
        bool busy = unfinished(apply);
        if (rc == 0)
            rc = report_durable(apply, !busy, &reported, err);
        if (rc < 0 || (!busy && apply->committed == apply->durable))
            return rc;
        int64_t left = deadline_us - tr_clock_us();
        if (left <= 0)
            return tr_fail(err, TR_RETRY, "the target did not take the last changes in time");
        if (busy)
            rc = wait_for_workers(apply, -1, patience(apply, left), &woken, err);
    }
    return rc;
}
