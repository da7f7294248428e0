/* others.c - which server this is, and which tasks carry something to it: schema tailrace, which tasks make at their target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"

int
tr_postgres_server(struct tr_source *base, char *text, size_t size, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_query(tr_postgres(base), TR_PG_SERVER_SQL, 0, NULL, &res, err);
    if (rc < 0)
        return rc;
    snprintf(text, size, "%s", PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return 0;
}

/* The names can be seen by everybody, the rows cannot. */
static int
look(struct tr_postgres_source *source, bool *there, bool *readable, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_query(
        source,
        "SELECT count(*) = 2, bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tailrace' AND c.relname IN ('checkpoint', 'task_scope') AND c.relkind = 'r'",
        0, NULL, &res, err);
    if (rc < 0)
        return rc;
    *there = PQgetvalue(res, 0, 0)[0] == 't';
    *readable = PQgetvalue(res, 0, 1)[0] == 't';
    PQclear(res);
    return 0;
}

int
tr_postgres_others(struct tr_source *base, const char *server, struct tr_others *others, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    const char *params[] = { server };
    PGresult *res;
    bool there, readable;
    *others = (struct tr_others){ 0 };
    int rc = look(source, &there, &readable, err);
    others->hidden = rc == 0 && there && !readable;
    if (rc < 0 || !there || !readable)
        return rc;
    rc = tr_postgres_query(
        source,
        "SELECT s.task, c.position, s.scope, (SELECT min(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (l.classid::bigint << 32 | l.objid::bigint) = " TR_PG_PRESENCE_SQL(
            "c.task",
            "c.epoch") ")"
                       " FROM tailrace.task_scope s JOIN tailrace.checkpoint c ON c.task = s.task WHERE s.server = $1 ORDER BY 1",
        1, params, &res, err);
    if (rc < 0 && strcmp(err->sqlstate, "42P01") == 0) { /* dropped meanwhile, with the last task there */
        tr_error_clear(err);
        return 0;
    }
    if (rc < 0)
        return rc;
    for (int row = 0; row < PQntuples(res); row++) {
        struct tr_other other = { .task = PQgetvalue(res, row, 0),
                                  .position = PQgetisnull(res, row, 1) ? NULL : PQgetvalue(res, row, 1),
                                  .scope = PQgetvalue(res, row, 2),
                                  .connection = strtoull(PQgetvalue(res, row, 3), NULL, 10) };
        tr_others_add(others, &other);
    }
    PQclear(res);
    return 0;
}
