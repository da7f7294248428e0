/*
 * cut.c - a consistent cut of all tables: transactions of several connections that see the same moment, and its place in the log.
 *
 * Three ways, the kindest first. none: MariaDB tells each consistent snapshot's place in the log, so snapshots of several connections are begun until
 * all tell the same place. tables: LOCK TABLES ... READ on the task's tables alone: who holds it knows that every change of theirs is committed and
 * in the log. global: FLUSH TABLES WITH READ LOCK. Locks are held while the snapshots begin, some milliseconds, and waited for no
 * longer than lock_wait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define TRIES_WITHOUT_LOCK 20

static size_t
wanted_connections(const struct tr_mysql_source *source)
{
    int64_t readers = tr_setting_int(source->base.env->settings, "readers");
    return readers > 0 ? (size_t)readers : 1;
}

/* ------------------------------------------------------------------------------------------------------------ the pool */

static void
close_pool(struct tr_mysql_source *source)
{
    struct tr_mysql_pool *pool = &source->pool;
    for (size_t i = 0; i < pool->count; i++)
        tr_mysql_close(source->group, pool->items[i].conn);
    free(pool->items);
    pool->items = NULL;
    pool->count = 0;
}

void
tr_mysql_cut_release(struct tr_source *base)
{
    close_pool(tr_mysql(base));
}

static int
open_pool(struct tr_mysql_source *source, size_t count, struct tr_error *err)
{
    struct tr_mysql_pool *pool = &source->pool;
    close_pool(source);
    pool->items = tr_calloc(count, sizeof *pool->items);
    pool->number++;
    int rc = 0;
    while (rc == 0 && pool->count < count) {
        rc = tr_mysql_source_connect(source, "copy", &pool->items[pool->count].conn, err);
        pool->count += rc == 0;
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = tr_mysql_query(pool->items[i].conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                            NULL, err);
    return rc;
}

/* All of this cut's are gone when it was released, or all broke: then a new cut is needed. */
static struct tr_mysql_snapshot *
find_free(struct tr_mysql_pool *pool, bool *any)
{
    *any = false;
    for (size_t i = 0; i < pool->count; i++) {
        *any = *any || pool->items[i].conn != NULL;
        if (pool->items[i].conn != NULL && !pool->items[i].taken)
            return &pool->items[i];
    }
    return NULL;
}

int
tr_mysql_pool_get(struct tr_mysql_source *source, const struct tr_cut *cut, MYSQL **conn,
                  struct tr_error *err)
{
    struct tr_mysql_pool *pool = &source->pool;
    struct tr_mysql_snapshot *item = NULL;
    bool any = true, interrupted = false, same = true;
    pthread_mutex_lock(&pool->lock);
    while ((same = strtoull(cut->snapshot, NULL, 10) == pool->number) &&
           !(interrupted = tr_mysql_interrupted(source->group)) && (item = find_free(pool, &any)) == NULL &&
           any)
        pthread_cond_wait(&pool->freed, &pool->lock);
    if (item != NULL)
        item->taken = true;
    pthread_mutex_unlock(&pool->lock);
    if (item == NULL)
        return tr_fail(err, TR_RETRY,
                       interrupted ? "interrupted"
                                   : "source: the snapshot of the cut is gone; a new cut is needed");
    *conn = item->conn;
    return 0;
}

void
tr_mysql_pool_put(struct tr_mysql_source *source, MYSQL *conn, bool broken)
{
    struct tr_mysql_pool *pool = &source->pool;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->count; i++)
        if (pool->items[i].conn == conn) {
            pool->items[i].taken = false;
            if (broken)
                pool->items[i].conn = NULL;
        }
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
    if (broken)
        tr_mysql_close(source->group, conn);
}

/* ---------------------------------------------------------------------------------------------------------- snapshots */

static int
begin_snapshots(struct tr_mysql_source *source, struct tr_error *err)
{
    struct tr_mysql_pool *pool = &source->pool;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < pool->count; i++)
        rc = tr_mysql_query(pool->items[i].conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                            NULL, err);
    return rc < 0 ? tr_error_prefix(err, "source: cannot begin a snapshot") : 0;
}

/* MariaDB: where in the log the snapshot of this connection stands. */
static int
snapshot_place(MYSQL *conn, struct tr_mysql_position *place, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    memset(place, 0, sizeof *place);
    int rc = tr_mysql_query(
        conn, "SHOW STATUS WHERE Variable_name IN ('binlog_snapshot_file', 'binlog_snapshot_position')", &res,
        err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot ask for the place of a snapshot");
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (strcasecmp(row[0], "binlog_snapshot_file") == 0)
            snprintf(place->file, sizeof place->file, "%s", row[1]);
        else
            place->offset = strtoull(row[1], NULL, 10);
    }
    mysql_free_result(res);
    place->has_file = place->file[0] != '\0';
    return 0;
}

/* Do all of them stand at one place? */
static int
same_place(struct tr_mysql_source *source, struct tr_mysql_position *place, bool *same, struct tr_error *err)
{
    struct tr_mysql_pool *pool = &source->pool;
    *same = true;
    for (size_t i = 0; i < pool->count; i++) {
        struct tr_mysql_position one;
        int rc = snapshot_place(pool->items[i].conn, &one, err);
        if (rc < 0)
            return rc;
        if (i == 0)
            *place = one;
        *same = *same && one.has_file && strcmp(one.file, place->file) == 0 && one.offset == place->offset;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------- the three ways: none */

static int
begin_without_lock(struct tr_mysql_source *source, struct tr_mysql_position *place, bool *done,
                   struct tr_error *err)
{
    *done = false;
    for (int i = 0; i < TRIES_WITHOUT_LOCK && !*done; i++) {
        int rc = begin_snapshots(source, err);
        if (rc == 0)
            rc = same_place(source, place, done, err);
        if (rc < 0)
            return rc;
        if (!place->has_file)
            return 0; /* the server does not tell */
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------- tables and global */

static int
lock_wait(const struct tr_mysql_source *source, MYSQL *conn, struct tr_error *err)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SET SESSION lock_wait_timeout = %" PRId64,
             (source->lock_wait_us + TR_US_PER_S - 1) / TR_US_PER_S);
    return tr_mysql_query(conn, sql, NULL, err);
}

static int
lock_tables(struct tr_mysql_source *source, MYSQL *conn, struct tr_error *err)
{
    struct tr_relation_list list;
    struct tr_buffer sql;
    int rc = tr_mysql_relations(&source->base, &list, err);
    if (rc < 0)
        return rc;
    tr_buffer_init(&sql, (size_t)64 << 20);
    tr_buffer_text(&sql, "LOCK TABLES ");
    for (size_t i = 0; i < list.count; i++) {
        tr_buffer_text(&sql, i > 0 ? ", " : "");
        tr_mysql_qualified(&sql, list.items[i]->schema, list.items[i]->name);
        tr_buffer_text(&sql, " READ");
    }
    if (list.count > 0)
        rc = tr_mysql_query(conn, sql.data, NULL, err);
    if (rc < 0)
        rc = tr_mysql_vanished(err);
    tr_buffer_fini(&sql);
    tr_relation_list_free(&list);
    return rc;
}

static int
locked(struct tr_mysql_source *source, bool global, struct tr_mysql_position *place, struct tr_error *err)
{
    MYSQL *conn;
    int rc = tr_mysql_source_connect(source, "lock", &conn, err);
    if (rc < 0)
        return rc;
    int64_t since = tr_clock_us();
    rc = lock_wait(source, conn, err);
    if (rc == 0)
        rc = global ? tr_mysql_query(conn, "FLUSH TABLES WITH READ LOCK", NULL, err)
                    : lock_tables(source, conn, err);
    int64_t got = tr_clock_us();
    TR_FAILPOINT("capture.mysql.cut.locked");
    if (rc == 0)
        rc = begin_snapshots(source, err);
    if (rc == 0)
        rc = tr_mysql_server_end(source, conn, place, err);
    if (rc == 0)
        rc = tr_mysql_query(conn, "UNLOCK TABLES", NULL, err);
    if (rc == 0)
        tr_log(source->base.env->log, TR_LOG_INFO, "capture",
               "%s locked for %" PRId64 " ms while the cut was taken (waited %" PRId64 " ms)",
               global ? "all tables were" : "the task's tables were", (tr_clock_us() - got) / 1000,
               (got - since) / 1000);
    tr_mysql_close(source->group, conn);
    if (rc < 0)
        tr_error_prefix(err, "source: cannot take a cut");
    if (rc < 0 && strcmp(err->sqlstate, "HY000") == 0 && err->class == TR_RETRY)
        tr_error_hint(
            err,
            "a long statement or transaction of another session is in the way; end it, or give lock_wait more time");
    return rc;
}

/* 1044, 1045, 1142, 1227: the account may not; SQLSTATE 42000 and 28000 cover them. */
static bool
is_denied(const struct tr_error *err)
{
    return strcmp(err->sqlstate, "42000") == 0 || strcmp(err->sqlstate, "28000") == 0;
}

static int
take(struct tr_mysql_source *source, const char *how, struct tr_mysql_position *place, struct tr_error *err)
{
    bool automatic = how == NULL || strcmp(how, "auto") == 0, done = false;
    int rc = 0;
    if ((automatic && source->mariadb) || (how != NULL && strcmp(how, "none") == 0)) {
        rc = begin_without_lock(source, place, &done, err);
        if (rc < 0 || done)
            return rc;
        if (!automatic) { /* one reader always stands at one place */
            rc = open_pool(source, 1, err);
            if (rc == 0)
                rc = begin_without_lock(source, place, &done, err);
            if (rc == 0 && !done) {
                tr_fail(
                    err, TR_REFUSED,
                    "source: the server does not tell where in the log a snapshot stands, so a cut needs a lock");
                rc = tr_error_hint(err,
                                   "cut_lock: tables, with GRANT LOCK TABLES ON the databases of the task");
            }
            return rc;
        }
    }
    if (automatic || strcmp(how, "tables") == 0) {
        rc = locked(source, false, place, err);
        if (rc == 0 || !automatic || !is_denied(err))
            return rc;
    }
    rc = locked(source, true, place, err);
    if (rc < 0 && is_denied(err))
        return tr_error_hint(
            err,
            "GRANT LOCK TABLES ON the databases of the task TO its account (or RELOAD ON *.*): a lock is held for some "
            "milliseconds while the snapshots begin");
    return rc;
}

/* Microseconds since 1970; 0 when it cannot be asked, which is no reason to fail. */
static int64_t
server_clock(struct tr_mysql_source *source)
{
    struct tr_error ignored;
    MYSQL_RES *res;
    if (tr_mysql_ask(source, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)", &res, &ignored) < 0)
        return 0;
    MYSQL_ROW row = mysql_fetch_row(res);
    int64_t us = row != NULL && row[0] != NULL ? strtoll(row[0], NULL, 10) : 0;
    mysql_free_result(res);
    return us;
}

/*
 * A copy that no stream follows needs no place in the log, nor a log at all: the snapshots of several readers must only be of one moment, for which a
 * lock of the task's tables is enough; without the right to one a single reader has one snapshot.
 */
static int
cut_without_log(struct tr_mysql_source *source, struct tr_cut *cut, struct tr_error *err)
{
    MYSQL *conn;
    struct tr_error denied;
    int rc = tr_mysql_source_connect(source, "lock", &conn, err);
    if (rc < 0)
        return rc;
    bool locked = lock_wait(source, conn, &denied) == 0 && lock_tables(source, conn, &denied) == 0;
    rc = open_pool(source, locked ? wanted_connections(source) : 1, err);
    if (rc == 0)
        rc = begin_snapshots(source, err);
    tr_mysql_close(source->group, conn);
    snprintf(cut->position, sizeof cut->position, "none");
    return rc;
}

static int
cut_at_place(struct tr_mysql_source *source, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_source *base = &source->base;
    struct tr_mysql_position place = { 0 };
    int rc = open_pool(source, wanted_connections(source), err);
    if (rc == 0)
        rc = take(source, tr_setting_string(base->env->settings, "cut_lock"), &place, err);
    /* A place that came without its GTIDs: MariaDB knows them. */
    if (rc == 0 && source->mariadb && source->gtid && !place.has_gtid) {
        char text[TR_MYSQL_FILE_MAX + 64];
        snprintf(text, sizeof text, "binlog:%s:%" PRIu64, place.file, place.offset);
        rc = tr_mysql_start_position(base, text, cut->position, sizeof cut->position, err);
    } else if (rc == 0) {
        rc = tr_mysql_position_fit(source, &place, cut->position, sizeof cut->position, err);
    }
    cut->place = place.offset;
    snprintf(cut->file, sizeof cut->file, "%s", place.file);
    tr_mysql_position_fini(&place);
    return rc;
}

int
tr_mysql_cut(struct tr_source *base, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    memset(cut, 0, sizeof *cut);
    int rc = cut_at_place(source, cut, err);
    if (rc < 0 && strcmp(tr_setting_string(base->env->settings, "mode"), "full-load") == 0) {
        tr_log(base->env->log, TR_LOG_INFO, "capture",
               "the cut has no place in the log (%s): no stream can follow this load", err->text);
        tr_error_clear(err);
        memset(cut, 0, sizeof *cut);
        rc = cut_without_log(source, cut, err);
    }
    if (rc == 0)
        cut->taken_us = server_clock(source);
    snprintf(cut->snapshot, sizeof cut->snapshot, "%" PRIu64, source->pool.number);
    if (rc < 0)
        close_pool(source);
    return rc;
}

/* Nothing must be made at the server; what it must be like is looked at here, so that a run without a check does not begin in vain. */
int
tr_mysql_prepare(struct tr_source *base, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    MYSQL_RES *res;
    if (cut != NULL)
        memset(cut, 0, sizeof *cut);
    int rc = tr_mysql_ask(
        source, "SELECT @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image", &res, err);
    if (rc < 0)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row == NULL || row[0] == NULL || strcmp(row[0], "1") != 0) {
        tr_fail(err, TR_REFUSED, "source: the server writes no binary log (log_bin)");
        rc = tr_error_hint(
            err,
            "in the server's configuration: log_bin, binlog_format = ROW, binlog_row_metadata = FULL; then restart it");
    } else if (row[1] != NULL && strcasecmp(row[1], "ROW") != 0) {
        tr_fail(err, TR_REFUSED, "source: binlog_format is %s: the log holds statements instead of rows",
                row[1]);
        rc = tr_error_hint(err,
                           "SET GLOBAL binlog_format = 'ROW'; and end the sessions that were open before");
    } else if (row[2] != NULL && strcasecmp(row[2], "MINIMAL") == 0) {
        tr_log(
            base->env->log, TR_LOG_WARNING, "capture",
            "binlog_row_image is MINIMAL: events hold only changed columns; SET GLOBAL binlog_row_image = 'FULL'");
    }
    mysql_free_result(res);
    return rc;
}
