/* cascade.c - the target's foreign keys that act on their children (sinks/sql/cascade.h). */
#include "sinks/postgres/apply.h"
#include "sinks/postgres/tables.h"
#include "sinks/sql/acting.h"

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

/* ------------------------------------------------------------------------------------------- those that are lacking */

static const char keys_sql[] =
    "SELECT n.nspname, c.relname, f.conname,"
    " (SELECT string_agg(a.attname, ', ' ORDER BY k.i) FROM unnest(f.conkey) WITH ORDINALITY k(n, i) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n),"
    " pn.nspname, p.relname,"
    " (SELECT string_agg(a.attname, ', ' ORDER BY k.i) FROM unnest(f.confkey) WITH ORDINALITY k(n, i) JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n),"
    " CASE f.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE '' END, CASE f.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE '' END"
    " FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = f.confrelid"
    " JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE f.contype = 'f'";

static const char *
schema_of(void *arg, const struct tr_relation *relation)
{
    (void)arg;
    return relation->target_schema;
}

static int
has_table(void *arg, const struct tr_relation *relation, bool *there, struct tr_error *err)
{
    struct tr_pg_table *table = NULL;
    int rc = tr_pg_table_read(arg, relation->target_schema, relation->target_name, &table, err);
    *there = rc == 0 && table != NULL;
    tr_pg_table_free(table);
    return rc;
}

static int
read_keys(struct tr_postgres_sink *sink, struct tr_acting *acting, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = tr_pg_ask_params(sink, sink->meta, keys_sql, 0, NULL, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "reading the target's foreign keys");
    for (int i = 0; i < PQntuples(res); i++)
        tr_acting_add(acting, &(struct tr_acting_key){
                                  PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), PQgetvalue(res, i, 2),
                                  PQgetvalue(res, i, 3), PQgetvalue(res, i, 4), PQgetvalue(res, i, 5),
                                  PQgetvalue(res, i, 6), PQgetvalue(res, i, 7), PQgetvalue(res, i, 8) });
    PQclear(res);
    return 0;
}

int
tr_pg_compare_cascades(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    struct tr_acting acting = {
        .log = base->env->log, .schema = schema, .schema_of = schema_of, .has_table = has_table, .arg = sink
    };
    int rc = tr_ddl_new(schema, "postgresql", &acting.ddl, err);
    if (rc < 0)
        return rc;
    rc = read_keys(sink, &acting, err);
    if (rc == 0)
        rc = tr_acting_compare(&acting, err);
    tr_acting_fini(&acting);
    tr_ddl_free(acting.ddl);
    return rc;
}
