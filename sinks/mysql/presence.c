/*
 * presence.c - what another task may know of this one at the target: tailrace.task_scope, and a named lock that lasts as long as the connection.
 *
 * The lock's name bears the epoch: a process that was fenced off neither holds it up nor stands for its successor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "sinks/mysql/internal.h"

#define SQL_MAX ((size_t)1 << 24)

static const char make_scope_sql[] =
    "CREATE TABLE IF NOT EXISTS tailrace.task_scope (task VARCHAR(128) NOT NULL PRIMARY KEY, server TEXT NOT NULL, scope LONGTEXT NOT NULL)"
    " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

int
tr_my_server(struct tr_sink *base, char *text, size_t size, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    int rc = tr_mysql_query(((struct tr_mysql_sink *)base)->meta, TR_MYSQL_SERVER_SQL, &res, err);
    if (rc == 0)
        tr_mysql_server_text(res, text, size);
    mysql_free_result(res);
    return rc;
}

static int
unheard(struct tr_mysql_sink *sink, struct tr_error *err)
{
    if (err->class == TR_RETRY)
        return -TR_RETRY;
    tr_log(
        sink->base.env->log, TR_LOG_WARNING, "sink",
        "what the task carries cannot be told at the target (%s): a task that leads back from there would not be noticed. GRANT ALL ON tailrace.* TO the target's account",
        err->text);
    tr_error_clear(err);
    return 0;
}

/* Asked first: a statement that makes nothing would go into the target's log all the same. */
static int
make_table(struct tr_mysql_sink *sink, struct tr_error *err)
{
    char *name = NULL;
    int rc = tr_mysql_query_text(
        sink->meta,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'tailrace' AND table_name = 'task_scope'",
        &name, err);
    bool there = name != NULL;
    free(name);
    return rc < 0 || there ? rc : tr_mysql_query(sink->meta, make_scope_sql, NULL, err);
}

static int
write_scope(struct tr_mysql_sink *sink, const char *server, const char *scope, struct tr_error *err)
{
    struct tr_buffer sql;
    const char *task = sink->base.env->task;
    tr_buffer_init(&sql, SQL_MAX);
    tr_buffer_text(&sql, "INSERT INTO tailrace.task_scope (task, server, scope) VALUES (");
    tr_mysql_literal(&sql, task, strlen(task));
    tr_buffer_text(&sql, ", ");
    tr_mysql_literal(&sql, server, strlen(server));
    tr_buffer_text(&sql, ", ");
    tr_mysql_literal(&sql, scope, strlen(scope));
    tr_buffer_text(&sql, ") ON DUPLICATE KEY UPDATE server = VALUES(server), scope = VALUES(scope)");
    int rc = make_table(sink, err);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? unheard(sink, err) : 0;
}

/* Some clusters and proxies have no such locks: then only a checkpoint that moves shows that somebody is at work. */
static int
hold_lock(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_buffer sql, task;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, SQL_MAX);
    tr_buffer_init(&task, SQL_MAX);
    tr_mysql_literal(&task, sink->base.env->task, strlen(sink->base.env->task));
    tr_buffer_printf(&sql, "SELECT GET_LOCK(" TR_MYSQL_PRESENCE_SQL("%s", "%llu") ", 0)", task.data,
                     (unsigned long long)sink->epoch);
    int rc = tr_mysql_query(sink->meta, sql.data, &res, err);
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    tr_buffer_fini(&task);
    if (rc < 0 && err->class != TR_RETRY) {
        tr_log_error(sink->base.env->log, TR_LOG_DEBUG, "sink", err);
        tr_error_clear(err);
        rc = 0;
    }
    return rc;
}

int
tr_my_announce(struct tr_sink *base, const char *server, const char *scope, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int rc = write_scope(sink, server, scope, err);
    if (rc == 0)
        rc = hold_lock(sink, err);
    return rc < 0 ? tr_error_prefix(err, "telling at the target what the task carries") : 0;
}

const char *
tr_my_moved(const struct tr_sink *base)
{
    const struct tr_mysql_sink *sink = (const struct tr_mysql_sink *)base;
    bool moves = sink->from_postgresql && sink->database != NULL && strcmp(sink->database, "public") != 0;
    return moves ? "public" : NULL;
}
