/* cascade.c - the target's foreign keys that act on their children (sinks/sql/cascade.h). */
#include <mysql.h>
#include <string.h>

#include "sinks/mysql/apply.h"
#include "sinks/mysql/tables.h"
#include "sinks/sql/acting.h"

int
tr_my_cascades_load(struct tr_my_apply *apply, struct tr_error *err)
{
    MYSQL_RES *res;
    if (apply->cascades.known || apply->sink->from_postgresql)
        return 0;
    int rc = tr_mysql_query(
        apply->sink->meta,
        "SELECT k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME,"
        " r.DELETE_RULE IN ('CASCADE', 'SET NULL'), r.UPDATE_RULE IN ('CASCADE', 'SET NULL') FROM information_schema.REFERENTIAL_CONSTRAINTS r"
        " JOIN information_schema.KEY_COLUMN_USAGE k ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME"
        " AND k.TABLE_NAME = r.TABLE_NAME WHERE r.DELETE_RULE IN ('CASCADE', 'SET NULL') OR r.UPDATE_RULE IN ('CASCADE', 'SET NULL')",
        &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "reading the target's foreign keys");
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;)
        if (row[0] != NULL && row[1] != NULL && row[2] != NULL && row[3] != NULL && row[4] != NULL)
            tr_cascades_add(&apply->cascades, row[0], row[1], row[2], row[3][0] == '1', row[4][0] == '1');
    mysql_free_result(res);
    apply->cascades.known = true;
    return 0;
}

int
tr_my_cascades_warn(struct tr_my_apply *apply, struct tr_error *err)
{
    MYSQL *conn = apply->sink->meta;
    MYSQL_RES *res;
    if (apply->cascades_warned || apply->sink->target.mariadb || mysql_get_server_version(conn) < 90600)
        return 0;
    apply->cascades_warned = true;
    int rc = tr_mysql_query(conn, "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'", &res, err);
    if (rc < 0)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row != NULL && row[1] != NULL && strcmp(row[1], "ON") != 0)
        tr_log(
            apply->sink->base.env->log, TR_LOG_WARNING, "sink",
            "foreign keys of the target are to do what the source's log does not tell, and those of this MySQL have errors where the children have "
            "children: start it with innodb_native_foreign_keys = ON");
    mysql_free_result(res);
    return 0;
}

bool
tr_my_cascades(const struct tr_my_apply *apply, const struct tr_event *event)
{
    return apply->cascades.count > 0 && event->kind <= TR_READ &&
           tr_cascades_on(&apply->cascades, tr_my_database(apply->sink, event->relation), event);
}

/* ------------------------------------------------------------------------------------------- those that are lacking */

static const char *
schema_of(void *arg, const struct tr_relation *relation)
{
    return tr_my_database(arg, relation);
}

static int
has_table(void *arg, const struct tr_relation *relation, bool *there, struct tr_error *err)
{
    struct tr_mysql_sink *sink = arg;
    struct tr_my_table *table = NULL;
    int rc = tr_my_table_read(sink->meta, tr_my_database(sink, relation), relation->target_name, &table, err);
    *there = rc == 0 && table != NULL;
    tr_my_table_free(table);
    return rc;
}

static int
read_keys(struct tr_mysql_sink *sink, struct tr_acting *acting, struct tr_error *err)
{
    MYSQL_RES *res;
    int rc = tr_mysql_query(
        sink->meta,
        "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.ORDINAL_POSITION SEPARATOR ', '),"
        " MIN(k.REFERENCED_TABLE_SCHEMA), MIN(k.REFERENCED_TABLE_NAME), GROUP_CONCAT(k.REFERENCED_COLUMN_NAME ORDER BY k.ORDINAL_POSITION SEPARATOR ', '),"
        " MIN(r.DELETE_RULE), MIN(r.UPDATE_RULE) FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k"
        " ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME"
        " GROUP BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME",
        &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "reading the target's foreign keys");
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;) {
        bool whole = true;
        for (int i = 0; i < 9; i++)
            whole = whole && row[i] != NULL;
        if (whole)
            tr_acting_add(acting, &(struct tr_acting_key){ row[0], row[1], row[2], row[3], row[4], row[5],
                                                           row[6], row[7], row[8] });
    }
    mysql_free_result(res);
    return 0;
}

int
tr_my_compare_cascades(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    struct tr_acting acting = {
        .log = base->env->log, .schema = schema, .schema_of = schema_of, .has_table = has_table, .arg = sink
    };
    int rc = tr_ddl_new_at(schema, tr_my_dialect(sink), &sink->target, TR_DDL_NO_TABLE, &acting.ddl, err);
    if (rc < 0)
        return rc;
    rc = read_keys(sink, &acting, err);
    if (rc == 0)
        rc = tr_acting_compare(&acting, err);
    tr_acting_fini(&acting);
    tr_ddl_free(acting.ddl);
    return rc;
}
