/*
 * presence.c - what another task may know of this one at the target: tailrace.task_scope, and an advisory lock that lasts as long as the connection.
 *
 * The lock bears the epoch, and is shared: a process that was fenced off neither holds it up nor stands for its successor.
 */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "sinks/postgres/internal.h"

static const char make_scope_sql[] =
    "CREATE TABLE IF NOT EXISTS tailrace.task_scope (task text PRIMARY KEY, server text NOT NULL, scope text NOT NULL)";

int
tr_pg_server(struct tr_sink *base, char *text, size_t size, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    PGresult *res = NULL;
    int rc = tr_pg_ask(sink, sink->meta, TR_PG_SERVER_SQL, &res, err);
    if (rc == 0)
        snprintf(text, size, "%s", PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return rc;
}

/* A state of before this table, in a schema that only its owner may add to, still works; so does a table of another role's. */
static int
unheard(struct tr_postgres_sink *sink, struct tr_error *err)
{
    if (err->class == TR_RETRY)
        return -TR_RETRY;
    tr_log(
        sink->base.env->log, TR_LOG_WARNING, "sink",
        "what the task carries cannot be told at the target (%s): a task that leads back from there would not be noticed. Let the owner of schema tailrace run: %s;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON tailrace.task_scope TO \"%s\";",
        err->text, make_scope_sql, PQuser(sink->meta));
    tr_error_clear(err);
    return 0;
}

static int
write_scope(struct tr_postgres_sink *sink, const char *server, const char *scope, struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { sink->base.env->task, server, scope };
    int rc = tr_pg_ask(sink, sink->meta, "SELECT to_regclass('tailrace.task_scope') IS NOT NULL", &res, err);
    bool there = rc == 0 && PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    if (rc == 0 && !there)
        rc = tr_pg_ask(sink, sink->meta, make_scope_sql, NULL, err);
    if (rc == 0)
        rc = tr_pg_ask_params(
            sink, sink->meta,
            "INSERT INTO tailrace.task_scope AS s (task, server, scope) VALUES ($1, $2, $3) ON CONFLICT (task) DO UPDATE"
            " SET server = excluded.server, scope = excluded.scope WHERE (s.server, s.scope) <> (excluded.server, excluded.scope)",
            3, params, NULL, err);
    return rc < 0 ? unheard(sink, err) : 0;
}

int
tr_pg_announce(struct tr_sink *base, const char *server, const char *scope, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)sink->epoch);
    const char *held[] = { base->env->task, epoch };
    int rc = write_scope(sink, server, scope, err);
    if (rc == 0)
        rc = tr_pg_ask_params(
            sink, sink->meta,
            "SELECT pg_try_advisory_lock_shared(" TR_PG_PRESENCE_SQL("$1::text", "$2::text") ")", 2, held,
            NULL, err);
    return rc < 0 ? tr_error_prefix(err, "telling at the target what the task carries") : 0;
}
