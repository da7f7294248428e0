/*
 * apply.c - the order of it all: groups are started on idle workers, commit in order, and are undone and run again where the net of
 * docs/parallel-apply.md asks for it.
 */
#include "sinks/sql/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"

#define START_ROWS 2000 /* while others are in flight, a group waits to be this large */
#define START_BYTES ((uint64_t)1 << 20)
#define BLOCKED_US 20000 /* the head waits this long for an answer before we ask who blocks it */
#define LOOK_US 50000    /* how often what is durable is looked at, at least, while something is not */
#define HEAD_TRIES 20
#define MAX_WORKERS 64

int
tr_sql_apply_open(struct tr_sql_apply *apply, const struct tr_sink_env *env,
                  const struct tr_sql_driver *driver, void *workers, size_t size, struct tr_error *err)
{
    const struct tr_settings *settings = env->settings;
    apply->env = env;
    apply->driver = driver;
    apply->next_group = 1;
    apply->nworkers = (int)tr_setting_int(settings, "workers");
    apply->workers = tr_calloc((size_t)apply->nworkers, sizeof(struct tr_sql_worker *));
    for (int i = 0; i < apply->nworkers; i++) {
        apply->workers[i] = (struct tr_sql_worker *)((char *)workers + (size_t)i * size);
        apply->workers[i]->index = i;
    }
    tr_sql_planner_init(&apply->planner);
    apply->planner.parallel = apply->nworkers > 1;
    tr_sql_pending_init(&apply->pending, (uint64_t)tr_setting_int(settings, "group_rows"), env->memory,
                        apply->nworkers, driver->changes_shape);
    int rc = driver->open(apply, apply->workers[0], err);
    apply->workers[0]->connected = rc == 0;
    return rc;
}

static void
log_counts(const struct tr_sql_apply *apply)
{
    const struct tr_sql_counts *c = &apply->counts;
    if (c->groups > 0)
        tr_log(
            apply->env->log, TR_LOG_DEBUG, "sink",
            "applied %llu changes in %llu groups; ran too early %llu, gave way to the head %llu, deadlocks %llu, change by change %llu, conflicts settled %llu",
            (unsigned long long)c->rows, (unsigned long long)c->groups, (unsigned long long)c->early,
            (unsigned long long)c->yielded, (unsigned long long)c->deadlocks, (unsigned long long)c->careful,
            (unsigned long long)c->conflicts);
}

void
tr_sql_apply_fini(struct tr_sql_apply *apply)
{
    log_counts(apply);
    for (struct tr_sql_group *group = apply->head, *next; group != NULL; group = next) {
        next = group->next;
        tr_sql_group_free(group);
    }
    tr_sql_pending_free(&apply->pending);
    tr_sql_planner_fini(&apply->planner);
    free(apply->workers);
}

static bool
stopping(struct tr_sql_apply *apply)
{
    return apply->driver->stopping != NULL && apply->driver->stopping(apply);
}

static int64_t
patience(struct tr_sql_apply *apply, int64_t wait_us)
{
    return apply->driver->patience != NULL ? apply->driver->patience(apply, wait_us) : wait_us;
}

/* ------------------------------------------------------------------------------------------- durability */

/* A commit that was answered need not be on disk yet. Here we learn what is, and say so. */
static int
report_durable(struct tr_sql_apply *apply, bool force, bool *reported, struct tr_error *err)
{
    uint64_t sequence = apply->durable;
    if (apply->committed == apply->durable)
        return 0;
    int rc = apply->driver->durable(apply, force, &sequence, err);
    if (rc < 0 || sequence == apply->durable)
        return rc;
    apply->durable = sequence;
    apply->env->durable(apply->env->arg, sequence, NULL);
    *reported = true;
    return 0;
}

/* ------------------------------------------------------------------------------------------- waiting */

static int
wait_for_workers(struct tr_sql_apply *apply, int wake_fd, int64_t wait_us, bool *woken, struct tr_error *err)
{
    struct pollfd fds[MAX_WORKERS + 1];
    nfds_t n = 0;
    for (int i = 0; i < apply->nworkers && i < MAX_WORKERS; i++)
        if (apply->workers[i]->connected && apply->driver->waits(apply->workers[i], &fds[n]))
            n++;
    if (wake_fd >= 0)
        fds[n++] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    struct timespec limit = { wait_us / TR_US_PER_S, wait_us % TR_US_PER_S * 1000 };
    if (ppoll(fds, n, &limit, NULL) < 0 && errno != EINTR)
        return tr_fail(err, TR_FATAL, "waiting for the target: %s", strerror(errno));
    *woken = wake_fd >= 0 && fds[n - 1].revents != 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------- the head */

static void
finish_head(struct tr_sql_apply *apply)
{
    struct tr_sql_group *group = apply->head;
    struct tr_sql_worker *worker = group->worker;
    apply->committed = group->sequence;
    apply->counts.groups++;
    apply->counts.rows += group->rows;
    apply->driver->finished(apply, group);
    apply->head = group->next;
    if (apply->head == NULL)
        apply->tail = NULL;
    worker->group = NULL;
    worker->state = TR_SQL_IDLE;
    worker->begun = worker->in_savepoint = false;
    tr_sql_group_free(group);
}

/* Younger groups that failed wait for their turn: an error before it only means "too early". */
static void
note_early(struct tr_sql_apply *apply)
{
    for (struct tr_sql_group *group = apply->head != NULL ? apply->head->next : NULL; group != NULL;
         group = group->next) {
        if (group->worker->state != TR_SQL_AGAIN || group->early)
            continue;
        group->early = true;
        apply->counts.early += !group->worker->told_to_yield;
        group->worker->failed_as_head = false;
    }
}

/* Roll back every group but the head, and wait until that is done. */
static int
clear_younger(struct tr_sql_apply *apply, struct tr_error *err)
{
    for (bool busy = true; busy;) {
        bool moved = false, woken;
        int rc = 0;
        busy = false;
        for (struct tr_sql_group *group = apply->head->next; group != NULL; group = group->next) {
            busy = busy || group->worker->state != TR_SQL_AGAIN;
            apply->driver->yield(apply, group->worker);
        }
        if (busy)
            rc = apply->driver->turn(apply, &moved, err);
        if (rc == 0 && busy && !moved && patience(apply, BLOCKED_US) == 0)
            rc = apply->driver->give_up(err);
        if (rc == 0 && busy && !moved)
            rc = wait_for_workers(apply, -1, BLOCKED_US, &woken, err);
        if (rc < 0)
            return rc;
    }
    note_early(apply);
    return 0;
}

static int
careful_head(struct tr_sql_apply *apply, struct tr_error *err)
{
    struct tr_sql_group *group = apply->head;
    apply->counts.careful++;
    int rc = clear_younger(apply, err);
    if (rc == 0)
        rc = apply->driver->carefully(apply, group, err);
    if (rc < 0)
        return rc;
    group->careful = group->parked != NULL;
    if (group->checkpoint != NULL) {
        finish_head(apply);
    } else {
        group->worker->begun = true;
        group->worker->state = TR_SQL_READY;
        tr_sql_group_drop_batches(group);
    }
    return 0;
}

/* The head was rolled back. Why, and what now? */
static int
head_again(struct tr_sql_apply *apply, struct tr_error *err)
{
    struct tr_sql_group *group = apply->head;
    struct tr_sql_worker *worker = group->worker;
    const struct tr_error *failure = &worker->failure;
    if (group->careful)
        return careful_head(apply, err);
    if (worker->told_to_yield || !worker->failed_as_head ||
        (apply->driver->passing(failure) && group->tries++ < HEAD_TRIES)) {
        bool begun = worker->in_savepoint && worker->begun;
        tr_sql_worker_start(worker, group);
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

static int
continue_large(struct tr_sql_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_sql_group *group = apply->head;
    if (!tr_sql_group_continue(group, &apply->pending))
        return 0;
    *moved = true;
    int rc = apply->driver->prepare(apply, group, err);
    if (rc == 1)
        return careful_head(apply, err);
    if (rc == 0)
        tr_sql_worker_start(group->worker, group);
    return rc;
}

static int
settle_head(struct tr_sql_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_sql_worker *worker = apply->head->worker;
    switch (worker->state) {
    case TR_SQL_READY:
        if (apply->head->checkpoint == NULL)
            return continue_large(apply, moved, err);
        *moved = true;
        return apply->driver->commit(apply, worker, err);
    case TR_SQL_COMMIT:
        if (!apply->driver->committed(worker))
            return 0;
        *moved = true;
        finish_head(apply);
        return 0;
    case TR_SQL_AGAIN: *moved = true; return head_again(apply, err);
    case TR_SQL_IDLE:
    case TR_SQL_RUN:
    case TR_SQL_FAILED:
    case TR_SQL_UNDO: return 0;
    }
    return 0;
}

/*
 * A finished younger group holds its locks until its turn. When the head needs one of them no deadlock detector sees the cycle, because half of it is our own order
 * of commits: so we ask, and let the younger one start again.
 */
static int
unblock_head(struct tr_sql_apply *apply, bool *moved, struct tr_error *err)
{
    struct tr_sql_worker *head = apply->head->worker;
    int64_t now = tr_clock_us();
    if (apply->head->next == NULL || head->waiting_since == 0 || now - head->waiting_since < BLOCKED_US ||
        now - apply->asked_blocked_us < BLOCKED_US)
        return 0;
    apply->asked_blocked_us = now;
    return apply->driver->unblock(apply, head, now - head->waiting_since, moved, err);
}

/* ------------------------------------------------------------------------------------------- starting groups */

static int
idle_worker(struct tr_sql_apply *apply, struct tr_sql_worker **out, struct tr_error *err)
{
    *out = NULL;
    for (int i = 0; i < apply->nworkers; i++) {
        struct tr_sql_worker *worker = apply->workers[i];
        if (!worker->connected && stopping(apply))
            return 0; /* those that are there do the rest */
        int rc = worker->connected ? 0 : apply->driver->open(apply, worker, err);
        if (rc < 0)
            return rc;
        worker->connected = true;
        if (worker->state == TR_SQL_IDLE) {
            *out = worker;
            return 0;
        }
    }
    return 0;
}

/* Alone in the house a change leaves at once; otherwise groups are let grow, since they cannot be seen before their turn anyway. */
static bool
may_start(const struct tr_sql_apply *apply)
{
    const struct tr_sql_group *tail = apply->tail;
    if (apply->pending.first == NULL)
        return false;
    if (tail == NULL)
        return true;
    if (tail->large || tail->ddl || tail->careful || apply->head->large || apply->head->ddl ||
        apply->next_group < apply->calm)
        return false;
    if (apply->driver->shape_commits && tr_sql_pending_changes_shape(&apply->pending))
        return false;
    return apply->pending.rows >= START_ROWS || apply->pending.bytes >= START_BYTES;
}

static int
start_group(struct tr_sql_apply *apply, struct tr_sql_worker *worker, struct tr_sql_group *group,
            struct tr_error *err)
{
    int rc = apply->driver->prepare(apply, group, err);
    if (rc < 0) {
        tr_sql_group_free(group);
        return rc;
    }
    if (apply->tail != NULL)
        apply->tail->next = group;
    else
        apply->head = group;
    apply->tail = group;
    tr_sql_worker_start(worker, group);
    if (group->careful) /* nothing is sent before its turn */
        worker->state = TR_SQL_AGAIN;
    return 0;
}

static int
start_groups(struct tr_sql_apply *apply, bool *moved, struct tr_error *err)
{
    while (may_start(apply)) {
        struct tr_sql_worker *worker;
        int rc = idle_worker(apply, &worker, err);
        if (rc < 0 || worker == NULL)
            return rc;
        struct tr_sql_group *group = tr_sql_group_form(&apply->pending, apply->next_group, apply->ordered);
        if (group == NULL)
            return 0;
        apply->next_group++;
        *moved = true;
        rc = start_group(apply, worker, group, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- the sink's functions */

/* Do all that can be done without waiting. */
static int
turn(struct tr_sql_apply *apply, struct tr_error *err)
{
    for (bool moved = true; moved;) {
        moved = false;
        int rc = apply->driver->turn(apply, &moved, err);
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
until_next_look(const struct tr_sql_apply *apply, int64_t wait_us)
{
    if (apply->committed != apply->durable && wait_us > LOOK_US)
        wait_us = LOOK_US;
    if (apply->head != NULL && apply->head->next != NULL && wait_us > BLOCKED_US)
        wait_us = BLOCKED_US;
    return wait_us;
}

static bool
is_full(const struct tr_sql_apply *apply, uint64_t times)
{
    return apply->head != NULL && tr_sql_pending_over(&apply->pending, times);
}

int
tr_sql_apply_write(struct tr_sql_apply *apply, struct tr_batch *batch, struct tr_error *err)
{
    bool woken = false, reported = false;
    tr_sql_pending_add(&apply->pending, batch);
    int rc = turn(apply, err);
    while (rc == 0 && is_full(apply, 1) && (!woken || is_full(apply, 4)) && !stopping(apply)) {
        rc = wait_for_workers(apply, is_full(apply, 4) ? -1 : apply->env->wake_fd,
                              until_next_look(apply, LOOK_US), &woken, err);
        if (rc == 0)
            rc = turn(apply, err);
        if (rc == 0)
            rc = report_durable(apply, false, &reported, err);
    }
    return rc == 0 ? report_durable(apply, false, &reported, err) : rc;
}

int
tr_sql_apply_poll(struct tr_sql_apply *apply, int64_t wait_us, struct tr_error *err)
{
    int64_t end = tr_clock_us() + wait_us;
    bool woken = false, reported = false;
    int rc = 0;
    while (rc == 0) {
        rc = turn(apply, err);
        if (rc == 0)
            rc = report_durable(apply, false, &reported, err);
        int64_t left = end - tr_clock_us();
        if (rc < 0 || left <= 0 || woken || reported)
            break;
        rc = wait_for_workers(apply, apply->env->wake_fd, until_next_look(apply, left), &woken, err);
    }
    return rc;
}

/* Is there anything that can still come to its end without more batches? */
static bool
unfinished(const struct tr_sql_apply *apply)
{
    const struct tr_sql_group *head = apply->head;
    if (head != NULL)
        return !(head->checkpoint == NULL && head->worker->state == TR_SQL_READY &&
                 apply->pending.first == NULL);
    return tr_sql_pending_has_end(&apply->pending);
}

int
tr_sql_apply_flush(struct tr_sql_apply *apply, int64_t deadline_us, struct tr_error *err)
{
    int rc = 0;
    while (rc == 0) {
        bool woken, reported = false;
        rc = turn(apply, err);
        bool busy = unfinished(apply);
        if (rc == 0)
            rc = report_durable(apply, !busy, &reported, err);
        if (rc < 0 || (!busy && apply->committed == apply->durable))
            return rc;
        int64_t left = patience(apply, deadline_us - tr_clock_us());
        if (left <= 0)
            return tr_fail(err, TR_RETRY, "the target did not take the last changes in time");
        if (busy)
            rc = wait_for_workers(apply, -1, until_next_look(apply, left), &woken, err);
    }
    return rc;
}
