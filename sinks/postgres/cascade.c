/* cascade.c - the target's foreign keys that act on their children (sinks/sql/cascade.h). */
#include "sinks/postgres/apply.h"

static const char acting_sql[] =
    "SELECT n.nspname, c.relname, a.attname, f.confdeltype IN ('c', 'n', 'd'), f.confupdtype IN ('c', 'n', 'd')"
    " FROM pg_constraint f JOIN pg_class c ON c.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (f.confkey)"
    " WHERE f.contype = 'f' AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))";

static int
load(struct tr_postgres_sink *sink, struct tr_error *err)
{
    struct tr_cascades *cascades = &sink->apply->cascades;
    PGresult *res = NULL;
    int rc = tr_pg_ask_params(sink, sink->reader, acting_sql, 0, NULL, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "reading the target's foreign keys");
    for (int i = 0; i < PQntuples(res); i++)
        tr_cascades_add(cascades, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), PQgetvalue(res, i, 2),
                        PQgetvalue(res, i, 3)[0] == 't', PQgetvalue(res, i, 4)[0] == 't');
    PQclear(res);
    cascades->known = true;
    return 0;
}

int
tr_pg_cascades(struct tr_postgres_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_cascades *cascades = &sink->apply->cascades;
    if ((event->kind != TR_UPDATE && event->kind != TR_DELETE) || (event->flags & TR_ROW_CASCADES) == 0 ||
        !sink->replica_role) /* without that role they fire for every change */
        return 0;
    int rc = cascades->known ? 0 : load(sink, err);
    return rc < 0 ? rc : tr_cascades_on(cascades, event->relation->target_schema, event);
}
