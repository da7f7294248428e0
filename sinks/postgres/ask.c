/*
 * ask.c - statements whose answer the sink thread waits for, and how long it waits once the task is to stop.
 *
 * A statement may wait for a stranger's lock, or for a network that has gone silent. A stop lets what is under way come to its end for a while; then whoever
 * waits gives up, the connections are closed, and the server rolls back what was not committed.
 */
#include <poll.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "sinks/postgres/internal.h"

#define GRACE_US (3 * TR_US_PER_S) /* of the five seconds in which a stop must be done */
#define LOOK_US (TR_US_PER_S / 5)  /* how often a waiting statement looks for the order to stop */

bool
tr_pg_stopping(struct tr_postgres_sink *sink)
{
    struct pollfd fd = { .fd = tr_pg_stop_fd(sink), .events = POLLIN };
    if (sink->stop_us == 0 && fd.fd >= 0 && poll(&fd, 1, 0) > 0)
        sink->stop_us = tr_clock_us();
    return sink->stop_us != 0;
}

int64_t
tr_pg_patience(struct tr_postgres_sink *sink, int64_t wait_us)
{
    if (!tr_pg_stopping(sink))
        return wait_us;
    int64_t left = sink->stop_us + GRACE_US - tr_clock_us();
    return left < 0 ? 0 : left < wait_us ? left : wait_us;
}

int
tr_pg_give_up(struct tr_error *err)
{
    return tr_fail(
        err, TR_RETRY,
        "the task was stopped while the target was at work; what was not committed is rolled back");
}

void
tr_pg_let_go(struct tr_postgres_sink *sink, PGconn *conn)
{
    if (conn == NULL || tr_pg_patience(sink, 1) > 0) {
        tr_pg_abandon(conn);
        return;
    }
    /*
     * A cancel request is a connection of its own and may hang where the first one does. The server finds out by itself (worker.c), if the end of this one does
     * not have to wait behind bytes that it is not reading: so the connection is reset.
     */
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(PQsocket(conn), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    tr_pg_close(conn);
}

int
tr_pg_await(struct tr_postgres_sink *sink, PGconn *conn, struct tr_error *err)
{
    for (;;) {
        int unsent = PQflush(conn);
        if (unsent < 0)
            return tr_pg_fail(err, conn, NULL, "cannot send to the target");
        if (unsent == 0 && !PQisBusy(conn))
            return 0;
        int64_t wait_us = tr_pg_patience(sink, LOOK_US);
        if (wait_us == 0)
            return tr_pg_give_up(err);
        int rc = tr_pg_wait(conn, unsent > 0, -1, wait_us, err);
        if (rc < 0)
            return rc;
        if (rc > 0 && PQconsumeInput(conn) == 0)
            return tr_pg_fail(err, conn, NULL, "the connection to the target was lost");
    }
}

static bool
is_good(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* The last result, or the first that failed. */
static int
collect(struct tr_postgres_sink *sink, PGconn *conn, PGresult **out, struct tr_error *err)
{
    PGresult *kept = NULL;
    int rc;
    while ((rc = tr_pg_await(sink, conn, err)) == 0) {
        PGresult *res = PQgetResult(conn);
        if (res == NULL)
            break;
        if (kept != NULL && !is_good(kept)) {
            PQclear(res);
            continue;
        }
        PQclear(kept);
        kept = res;
    }
    if (rc == 0 && (kept == NULL || !is_good(kept)))
        rc = tr_pg_fail(err, conn, kept, "statement failed");
    if (rc < 0 || out == NULL)
        PQclear(kept);
    else
        *out = kept;
    return rc;
}

int
tr_pg_ask_params(struct tr_postgres_sink *sink, PGconn *conn, const char *sql, int nparams,
                 const char *const *params, PGresult **res, struct tr_error *err)
{
    if (res != NULL)
        *res = NULL;
    int sent = nparams > 0 ? PQsendQueryParams(conn, sql, nparams, NULL, params, NULL, NULL, 0)
                           : PQsendQuery(conn, sql);
    if (sent == 0)
        return tr_pg_fail(err, conn, NULL, "cannot send a statement");
    return collect(sink, conn, res, err);
}

int
tr_pg_ask(struct tr_postgres_sink *sink, PGconn *conn, const char *sql, PGresult **res, struct tr_error *err)
{
    return tr_pg_ask_params(sink, conn, sql, 0, NULL, res, err);
}
