/*
 * claims.c - connections that were lost, and that the server still has.
 *
 * A network that is cut without a word leaves the server with sessions that nobody will ever end: it keeps their transactions, and the locks of those, until TCP notices,
 * which takes hours. So each connection claims one of a few names for itself (GET_LOCK, which ends with the session), and whoever begins anew asks who holds them. The names are this
 * process's own: another process that runs the same task is met by its epoch, not ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinks/mysql/apply.h"

#define NAMES 64

/* FUNCTION('tailrace.0123456789abcdef.7'END for each of the names, with `between` between them. */
static void
write_each(const struct tr_mysql_sink *sink, const char *function, const char *end, const char *between,
           struct tr_buffer *sql)
{
    char host[256] = "";
    long pid = (long)getpid();
    const char *task = sink->base.env->task;
    gethostname(host, sizeof host - 1);
    uint64_t hash = tr_hash_bytes((uint64_t)pid, host, strlen(host));
    hash = tr_hash_bytes(hash, task, strlen(task));
    for (unsigned i = 0; i < NAMES; i++)
        tr_buffer_printf(sql, "%s%s('tailrace.%016llx.%u'%s", i > 0 ? between : "", function,
                         (unsigned long long)hash, i, end);
}

void
tr_my_claim(const struct tr_mysql_sink *sink, MYSQL *conn)
{
    struct tr_buffer sql;
    struct tr_error ignored; /* a cluster may know no such locks */
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "DO ");
    write_each(sink, "GET_LOCK", ", 0)", " OR ", &sql); /* the first that is free */
    tr_mysql_query(conn, sql.data, NULL, &ignored);
    tr_buffer_fini(&sql);
}

/* Not what is in the middle of an ALTER, a CREATE or a RENAME: that is waited for (carry.c), or it is a long way to do again. */
static bool
end_one(struct tr_mysql_sink *sink, unsigned long id)
{
    char sql[320], *found = NULL;
    struct tr_error ignored;
    snprintf(
        sql, sizeof sql,
        "SELECT 1 FROM information_schema.processlist WHERE id = %lu AND (command = 'Sleep' OR info IS NULL OR info REGEXP"
        " '^(INSERT|UPDATE|DELETE|REPLACE|LOAD|SELECT|SET|DO|START|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|LOCK|TRUNCATE) ?')",
        id);
    tr_mysql_query_text(sink->meta, sql, &found, &ignored);
    snprintf(sql, sizeof sql, "KILL %lu", id);
    bool ended = found != NULL && tr_mysql_query(sink->meta, sql, NULL, &ignored) == 0;
    free(found);
    return ended;
}

void
tr_my_end_lost(struct tr_mysql_sink *sink)
{
    struct tr_buffer sql;
    struct tr_error ignored;
    MYSQL_RES *res = NULL;
    unsigned ended = 0;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "SELECT ");
    write_each(sink, "IS_USED_LOCK", ")", ", ", &sql);
    MYSQL_ROW row = tr_mysql_query(sink->meta, sql.data, &res, &ignored) == 0 ? mysql_fetch_row(res) : NULL;
    for (unsigned i = 0; row != NULL && i < NAMES; i++) {
        unsigned long id = row[i] != NULL ? strtoul(row[i], NULL, 10) : 0;
        if (id != 0 && id != mysql_thread_id(sink->meta))
            ended += end_one(sink, id);
    }
    mysql_free_result(res);
    if (ended > 0)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink",
               "%u connections that were lost are ended at the target, which still had them", ended);
    tr_buffer_fini(&sql);
}
