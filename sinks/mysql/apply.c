/* apply.c - what the order of it all (sinks/sql/apply.h) asks of MySQL and MariaDB: when a commit is on disk, who blocks whom, sockets of suspended calls. */
#include "sinks/mysql/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define CALL_BYTES ((size_t)256 << 10)
#define IMPATIENT_US \
    200000 /* the head waits this long before the younger are rolled back on suspicion, where the server does not tell */
#define ASK_FLUSH_US 50000
#define NAP_MS 20                   /* between questions at the end of a run */
#define LINGER_US (4 * TR_US_PER_S) /* a stop ends within five seconds, whatever the target does */
#define MAX_WORKERS 64

static struct tr_my_apply *
of(struct tr_sql_apply *base)
{
    return (struct tr_my_apply *)base;
}

static struct tr_my_worker *
worker_of(struct tr_sql_worker *base)
{
    return (struct tr_my_worker *)base;
}

/* ------------------------------------------------------------------------------------------- the head */

/* Columns that were renamed in a large transaction get their names behind it. */
static int
catch_up(struct tr_my_apply *apply, struct tr_error *err)
{
    return apply->shapes.late && apply->base.head == NULL ? tr_my_shapes_catch_up(apply->sink, err) : 0;
}

/* How far the server's log goes, and how much of it is on disk; 0 when it does not tell. */
static int
ask_log(const struct tr_mysql_sink *sink, uint64_t *written, uint64_t *flushed, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    *written = *flushed = 0;
    int rc = tr_mysql_query(
        sink->meta, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_lsn_flushed')",
        &res, err);
    for (MYSQL_ROW row; rc == 0 && (row = mysql_fetch_row(res)) != NULL;)
        *(strcasecmp(row[0], "Innodb_lsn_flushed") == 0 ? flushed : written) = strtoull(row[1], NULL, 10);
    mysql_free_result(res);
    return rc;
}

/* It is flushed once a second, whatever we do: until then nothing is reported. */
static int
watch_log(struct tr_my_apply *apply, bool force, uint64_t *sequence, struct tr_error *err)
{
    uint64_t written, flushed;
    int rc = ask_log(apply->sink, &written, &flushed, err);
    if (rc < 0)
        return tr_error_prefix(err, "asking the target what is on disk");
    if (apply->watched_log == 0) {
        apply->watched_log = written;
        apply->watched_sequence = apply->base.committed;
    }
    if (flushed >= apply->watched_log) {
        *sequence = apply->watched_sequence;
        apply->watched_log = 0;
    } else if (force) {
        poll(NULL, 0, NAP_MS);
    }
    return 0;
}

/* A commit that was answered is on disk, or the server is told to put it there. */
static int
durable(struct tr_sql_apply *base, bool force, uint64_t *sequence, struct tr_error *err)
{
    struct tr_my_apply *apply = of(base);
    const struct tr_mysql_sink *sink = apply->sink;
    int64_t now = tr_clock_us();
    if (catch_up(apply, err) < 0)
        return -(int)err->class;
    if (sink->flush != TR_MY_FLUSH_NONE && !force && now - apply->asked_flush_us < ASK_FLUSH_US)
        return 0;
    apply->asked_flush_us = now;
    if (sink->flush == TR_MY_FLUSH_WATCH)
        return watch_log(apply, force, sequence, err);
    if (sink->flush == TR_MY_FLUSH_STATEMENT) {
        int rc = tr_mysql_query(sink->meta, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", NULL, err);
        if (rc < 0)
            return tr_error_prefix(err, "making changes durable at the target");
    }
    TR_FAILPOINT("sink.mysql.durable");
    *sequence = base->committed;
    return 0;
}

static void
finished(struct tr_sql_apply *base, const struct tr_sql_group *group)
{
    struct tr_my_apply *apply = of(base);
    (void)group;
    TR_FAILPOINT("sink.mysql.commit.answered");
    if (apply->values.misfits > 0)
        base->env->misfit(base->env->arg, apply->values.misfits);
    apply->values.misfits = 0;
}

static int
carefully(struct tr_sql_apply *base, struct tr_sql_group *group, struct tr_error *err)
{
    return tr_my_apply_carefully(of(base)->sink, worker_of(group->worker), group->worker->begun, err);
}

/* ------------------------------------------------------------------------------------------- planning */

/*
 * Nothing is in flight when a new group changes a table's shape: that is done now, before its rows. A large transaction of which slices were written already gives way to the
 * change: it is rolled back and read again, and then finds the change done.
 */
static int
change_shapes(struct tr_my_apply *apply, const struct tr_sql_group *group, struct tr_error *err)
{
    apply->open = group->worker != NULL ? group : NULL;
    apply->gave_way = false;
    int rc = tr_my_apply_shapes(apply->sink, group, err);
    apply->open = NULL;
    tr_cascades_clear(&apply->cascades);
    if (rc == 0 && apply->gave_way)
        rc = tr_fail(
            err, TR_RETRY,
            "a large transaction was rolled back at the target, where a table's shape had to be changed before; it is read again");
    return rc;
}

/* With foreign keys that act a group goes change by change. */
static int
prepare(struct tr_sql_apply *base, struct tr_sql_group *group, struct tr_error *err)
{
    struct tr_my_apply *apply = of(base);
    int rc = catch_up(apply, err);
    if (rc == 0 && group->ddl)
        rc = change_shapes(apply, group, err);
    if (rc == 0 && group->careful)
        return 1;
    if (rc == 0)
        rc = tr_my_plan(apply->sink, group, err);
    if (rc < 0 || !group->plan.cascades)
        return rc;
    group->careful = group->early = true;
    rc = tr_my_cascades_warn(apply, err);
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------------------------------- nobody waits for the younger */

static struct tr_my_worker *
worker_by_id(struct tr_my_apply *apply, unsigned long id)
{
    for (int i = 0; i < apply->base.nworkers; i++)
        if (apply->workers[i].base.connected && apply->workers[i].id == id)
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

static void
yield(struct tr_sql_apply *base, struct tr_sql_worker *worker)
{
    tr_my_worker_yield(of(base), worker_of(worker));
}

static void
yield_all(struct tr_sql_apply *base)
{
    for (struct tr_sql_group *group = base->head->next; group != NULL; group = group->next) {
        base->counts.yielded++;
        yield(base, group->worker);
    }
}

/* A server that does not tell who blocks whom is not asked: then all younger ones start again. */
static int
unblock(struct tr_sql_apply *base, struct tr_sql_worker *head, int64_t waited_us, bool *moved,
        struct tr_error *err)
{
    struct tr_my_apply *apply = of(base);
    if (head->state == TR_SQL_COMMIT)
        return 0;
    if (!apply->sink->locks_are_shown || waited_us > 10 * IMPATIENT_US) {
        if (waited_us > IMPATIENT_US)
            yield_all(base);
        return 0;
    }
    MYSQL_RES *res = NULL;
    int rc = ask_who_blocks(apply, worker_of(head), &res, err);
    for (MYSQL_ROW row; rc == 0 && (row = mysql_fetch_row(res)) != NULL;) {
        struct tr_my_worker *worker = row[0] != NULL ? worker_by_id(apply, strtoul(row[0], NULL, 10)) : NULL;
        if (worker == NULL || &worker->base == head || worker->base.group == NULL)
            continue;
        base->counts.yielded++;
        *moved = true;
        tr_my_worker_yield(apply, worker);
    }
    mysql_free_result(res);
    return rc;
}

/* ------------------------------------------------------------------------------------------- workers */

static int
open_worker(struct tr_sql_apply *base, struct tr_sql_worker *worker, struct tr_error *err)
{
    return tr_my_worker_open(of(base), worker_of(worker), err);
}

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

static bool
waits(const struct tr_sql_worker *base, struct pollfd *fd)
{
    const struct tr_my_worker *worker = (const struct tr_my_worker *)base;
    if (worker->io == TR_MY_IO_NONE)
        return false;
    *fd = (struct pollfd){ .fd = (int)mysql_get_socket(worker->conn), .events = wanted(worker->wait) };
    return true;
}

/* What the sockets of suspended calls have, without waiting; then each worker goes on. */
static int
turn(struct tr_sql_apply *base, bool *moved, struct tr_error *err)
{
    struct pollfd fds[MAX_WORKERS];
    struct tr_my_worker *workers[MAX_WORKERS];
    nfds_t n = 0;
    int rc = 0;
    for (int i = 0; i < base->nworkers && i < MAX_WORKERS; i++) {
        if (!base->workers[i]->connected)
            continue;
        fds[n] = (struct pollfd){ .fd = -1 };
        waits(base->workers[i], &fds[n]);
        workers[n++] = worker_of(base->workers[i]);
    }
    if (poll(fds, n, 0) < 0 && errno != EINTR)
        return tr_fail(err, TR_FATAL, "asking the target's connections: %s", strerror(errno));
    for (nfds_t i = 0; rc == 0 && i < n; i++)
        rc = tr_my_worker_turn(workers[i], seen(fds[i].revents), moved, err);
    return rc;
}

static int
commit(struct tr_sql_apply *base, struct tr_sql_worker *worker, struct tr_error *err)
{
    (void)base;
    return tr_my_worker_commit(worker_of(worker), err);
}

static bool
committed(const struct tr_sql_worker *worker)
{
    return ((const struct tr_my_worker *)worker)->io == TR_MY_IO_NONE;
}

bool
tr_my_changes_shape(const struct tr_event *event)
{
    return (event->kind == TR_SCHEMA && event->schema.previous != NULL) ||
           (event->kind == TR_DDL && event->ddl.ntables > 0);
}

static const struct tr_sql_driver driver = {
    .shape_commits = true,
    .changes_shape = tr_my_changes_shape,
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
    .passing = tr_my_passing,
};

/* ------------------------------------------------------------------------------------------- open, close, write */

static int
apply_open(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_my_apply *apply = tr_calloc(1, sizeof(*apply));
    apply->sink = sink;
    apply->call_bytes = sink->packet / 4 < CALL_BYTES ? sink->packet / 4 : CALL_BYTES;
    tr_my_values_init(&apply->values, sink->on_value);
    apply->workers = tr_calloc((size_t)tr_setting_int(sink->base.env->settings, "workers"),
                               sizeof(*apply->workers));
    sink->apply = apply;
    tr_mysql_group_linger(sink->group, LINGER_US); /* what was read is applied before the end */
    if (tr_my_shapes_load(sink, err) < 0)
        return -(int)err->class;
    return tr_sql_apply_open(&apply->base, sink->base.env, &driver, apply->workers, sizeof(*apply->workers),
                             err);
}

void
tr_my_apply_close(struct tr_my_apply *apply)
{
    if (apply == NULL)
        return;
    for (int i = 0; i < apply->base.nworkers; i++)
        tr_my_worker_close(&apply->workers[i]);
    tr_sql_apply_fini(&apply->base);
    for (uint32_t i = 0; i < apply->nrenamed; i++) {
        free(apply->renamed[i].table);
        free(apply->renamed[i].from);
        free(apply->renamed[i].to);
    }
    free(apply->renamed);
    tr_cascades_clear(&apply->cascades);
    tr_my_shapes_free(&apply->shapes);
    tr_my_maps_free(apply);
    tr_my_values_fini(&apply->values);
    free(apply->workers);
    free(apply);
}

static int
need_apply(struct tr_mysql_sink *sink, struct tr_error *err)
{
    if (sink->apply != NULL)
        return 0;
    if (sink->epoch == 0)
        return tr_fail(err, TR_FATAL, "the target's checkpoint was not read before the first change");
    return apply_open(sink, err);
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
    return tr_sql_apply_write(&sink->apply->base, batch, err);
}

int
tr_my_apply_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int rc = need_apply(sink, err);
    return rc < 0 ? rc : tr_sql_apply_poll(&sink->apply->base, wait_us, err);
}

int
tr_my_apply_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct tr_my_apply *apply = ((struct tr_mysql_sink *)base)->apply;
    return apply == NULL ? 0 : tr_sql_apply_flush(&apply->base, deadline_us, err);
}
