/*
 * check.c - what would stop or hurt a task, before it begins: one query per item, each row of its result a finding.
 *
 * A query gives object (or NULL), text, and the SQL that mends it (or NULL). Every query is given the oids of the task's tables as $1 and the slot's
 * name as $2, and casts them even where it does not need them, so that all look alike to the code below.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"
#include "core/memory.h"

struct rule {
    const char *id;
    enum tr_finding_level level;
    int since, until; /* server_version_num; 0 = any; until is exclusive */
    const char *sql;
};

/* The tables of the task, by their oids. */
#define TASK_TABLES \
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])"
#define TABLE_NAME "format('%I.%I', n.nspname, c.relname)"
/* A WHERE that is always true, and gives the parameters that a query does not use their types. */
#define PARAMETERS " ($1::oid[] IS NOT NULL) AND ($2::text IS NOT NULL)"

static const struct rule rules[] = {
    { "postgresql-wal-level", TR_FINDING_ERROR, 0, 0,
      "SELECT NULL, format('wal_level is %s: the log does not hold what logical decoding needs', current_setting('wal_level')),"
      " 'ALTER SYSTEM SET wal_level = ''logical''; -- then restart the server'"
      " WHERE current_setting('wal_level') <> 'logical' AND" PARAMETERS },
    { "postgresql-standby-too-old", TR_FINDING_ERROR, 0, 160000,
      "SELECT NULL, 'the server is a standby; before PostgreSQL 16 only a primary can decode its log', NULL"
      " WHERE pg_is_in_recovery() AND" PARAMETERS },
    { "postgresql-standby", TR_FINDING_WARNING, 160000, 0,
      "SELECT NULL, 'the server is a standby: making a slot waits for activity on the primary, and commits can become visible here in another order than in"
      " the log, so that a full load may not fit the stream; load from the primary', 'SELECT pg_log_standby_snapshot(); -- on the primary'"
      " WHERE pg_is_in_recovery() AND" PARAMETERS },
    { "postgresql-replication-role", TR_FINDING_ERROR, 0, 0,
      "SELECT NULL, format('role %I may not replicate', rolname), format('ALTER ROLE %I REPLICATION;', rolname) FROM pg_roles r"
      " WHERE rolname = current_user AND NOT (rolreplication OR rolsuper) AND NOT EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN"
      " ('rds_replication', 'cloudsqlreplica', 'azure_pg_admin') AND pg_has_role(r.oid, g.oid, 'MEMBER')) AND" PARAMETERS },
    { "postgresql-replication-slots", TR_FINDING_ERROR, 0, 0,
      "SELECT NULL, format('all %s replication slots are taken', max), 'ALTER SYSTEM SET max_replication_slots = ' || max + 4 || '; -- then restart the server'"
      " FROM (SELECT current_setting('max_replication_slots')::int AS max, (SELECT count(*) FROM pg_replication_slots) AS used,"
      " EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $2::text) AS have) x WHERE used >= max AND NOT have AND $1::oid[] IS NOT NULL" },
    { "postgresql-wal-senders", TR_FINDING_ERROR, 0, 0,
      "SELECT NULL, format('all %s WAL senders are taken', max), 'ALTER SYSTEM SET max_wal_senders = ' || max + 4 || '; -- then restart the server'"
      " FROM (SELECT current_setting('max_wal_senders')::int AS max, (SELECT count(*) FROM pg_stat_replication) AS used) x"
      " WHERE used >= max AND" PARAMETERS },
    { "postgresql-wal-senders-few", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, format('only one of %s WAL senders is free: a table that is loaded again needs one beside the stream', max),"
      " 'ALTER SYSTEM SET max_wal_senders = ' || max + 4 || '; -- then restart the server'"
      " FROM (SELECT current_setting('max_wal_senders')::int AS max, (SELECT count(*) FROM pg_stat_replication) AS used) x"
      " WHERE used = max - 1 AND" PARAMETERS },
    { "postgresql-wal-retention-unbounded", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, 'max_slot_wal_keep_size is not set: while the task stands still the server keeps all of its log, until the disk is full',"
      " 'ALTER SYSTEM SET max_slot_wal_keep_size = ''100GB''; SELECT pg_reload_conf();'"
      " WHERE current_setting('max_slot_wal_keep_size') = '-1' AND" PARAMETERS },
    { "postgresql-wal-retention-bounded", TR_FINDING_NOTE, 0, 0,
      "SELECT NULL, format('max_slot_wal_keep_size is %s: a task that falls further behind loses its slot and must load again',"
      " current_setting('max_slot_wal_keep_size')), NULL WHERE current_setting('max_slot_wal_keep_size') <> '-1' AND" PARAMETERS },
    { "postgresql-idle-slot-timeout", TR_FINDING_WARNING, 180000, 0,
      "SELECT NULL, format('idle_replication_slot_timeout is %s: a task that stands still for longer loses its slot and must load again',"
      " current_setting('idle_replication_slot_timeout')), 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();'"
      " WHERE (SELECT setting FROM pg_settings WHERE name = 'idle_replication_slot_timeout') <> '0' AND" PARAMETERS },
    { "postgresql-wal-sender-timeout", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, format('wal_sender_timeout is %s: short pauses of the network end the stream', current_setting('wal_sender_timeout')),"
      " 'ALTER SYSTEM SET wal_sender_timeout = ''60s''; SELECT pg_reload_conf();'"
      " FROM pg_settings WHERE name = 'wal_sender_timeout' AND setting::int BETWEEN 1 AND 9999 AND" PARAMETERS },
    { "postgresql-decoding-memory", TR_FINDING_NOTE, 0, 0,
      "SELECT NULL, format('logical_decoding_work_mem is %s: larger transactions are written to the disk of the source before they come',"
      " current_setting('logical_decoding_work_mem')), 'ALTER SYSTEM SET logical_decoding_work_mem = ''256MB''; SELECT pg_reload_conf();'"
      " FROM pg_settings WHERE name = 'logical_decoding_work_mem' AND setting::int < 65536 AND" PARAMETERS },
    { "postgresql-long-transaction", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, format('server process %s (user %s, application %s) has a transaction open for %s: making the slot waits for its end', pid, usename,"
      " application_name, date_trunc('second', now() - xact_start)), format('SELECT pg_terminate_backend(%s);', pid) FROM pg_stat_activity"
      " WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '10 minutes' AND NOT EXISTS (SELECT FROM pg_replication_slots"
      " WHERE slot_name = $2::text) AND $1::oid[] IS NOT NULL" },
    { "postgresql-prepared-transaction", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, format('the prepared transaction %L of %s is undecided since %s: making the slot waits for it', gid, owner, date_trunc('second', prepared)),"
      " format('ROLLBACK PREPARED %L; -- or COMMIT PREPARED', gid) FROM pg_prepared_xacts WHERE NOT EXISTS (SELECT FROM pg_replication_slots"
      " WHERE slot_name = $2::text) AND $1::oid[] IS NOT NULL" },
    { "postgresql-standby-slots", TR_FINDING_WARNING, 170000, 0,
      "SELECT NULL, 'standbys are connected and synchronized_standby_slots is empty: after a failover the target can hold changes that the new primary does not',"
      " 'ALTER SYSTEM SET synchronized_standby_slots = ''<the standbys'''' physical slots>''; SELECT pg_reload_conf();'"
      " WHERE current_setting('synchronized_standby_slots') = '' AND EXISTS (SELECT FROM pg_stat_replication r JOIN pg_replication_slots s"
      " ON s.active_pid = r.pid AND s.slot_type = 'physical') AND" PARAMETERS },
    { "postgresql-encoding", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, 'the database''s encoding is SQL_ASCII: its bytes are taken for UTF-8, and text that is not stops the task', NULL"
      " WHERE current_setting('server_encoding') = 'SQL_ASCII' AND" PARAMETERS },
    { "postgresql-publication-race", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, format('PostgreSQL %s can lose changes of transactions that are open while a publication is altered; mended in 13.21, 14.18, 15.13, 16.9"
      " and 17.5', current_setting('server_version')), NULL FROM (SELECT current_setting('server_version_num')::int AS v) x"
      " WHERE (v BETWEEN 130000 AND 130020 OR v BETWEEN 140000 AND 140017 OR v BETWEEN 150000 AND 150012 OR v BETWEEN 160000 AND 160008"
      " OR v BETWEEN 170000 AND 170004) AND" PARAMETERS },
    { "postgresql-snapshot-race", TR_FINDING_WARNING, 150000, 150020,
      "SELECT NULL, format('PostgreSQL %s can leave a commit out of both the exported snapshot and the stream, when it happens at the moment the slot is"
      " made; mended in 15.20', current_setting('server_version')), NULL WHERE" PARAMETERS },
    { "postgresql-select-privilege", TR_FINDING_ERROR, 0, 0,
      "SELECT " TABLE_NAME
      ", format('role %I may not read the table', current_user), CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN '' ELSE"
      " format('GRANT USAGE ON SCHEMA %I TO %I; ', n.nspname, current_user) END || format('GRANT SELECT ON %I.%I TO %I;', n.nspname, c.relname, current_user)" TASK_TABLES
      " AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')) AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-sequence-privilege", TR_FINDING_WARNING, 0, 0,
      "SELECT format('%I.%I', n.nspname, c.relname), format('role %I may not read the sequence: its value is not carried, and the target will hand out numbers that are taken',"
      " current_user), format('GRANT SELECT ON SEQUENCE %I.%I TO %I;', n.nspname, c.relname, current_user) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT') ELSE false END AND (EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
      " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1::oid[]) AND d.deptype IN ('a', 'i')) OR c.oid IN (SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d"
      " ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass WHERE f.adrelid = ANY ($1::oid[]))) AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-row-security", TR_FINDING_ERROR, 0, 0,
      "SELECT " TABLE_NAME
      ", format('row security hides rows from role %I: the full load refuses to copy a part of a table', current_user),"
      " format('ALTER ROLE %I BYPASSRLS;', current_user)" TASK_TABLES
      " AND row_security_active(c.oid) AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-replica-identity-missing", TR_FINDING_WARNING, 0, 0,
      "SELECT " TABLE_NAME
      ", 'the table has no replica identity: once it is published PostgreSQL refuses UPDATE and DELETE on it, to the application',"
      " format('ALTER TABLE %I.%I REPLICA IDENTITY FULL; -- or add a primary key', n.nspname, c.relname)" TASK_TABLES
      " AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary"
      " AND i.indimmediate) OR c.relreplident = 'i' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))"
      " AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-replica-identity-full", TR_FINDING_NOTE, 0, 0,
      "SELECT " TABLE_NAME
      ", 'every update and delete carries the whole old row, and without a key the target finds rows by all their columns: slow on large tables',"
      " NULL" TASK_TABLES
      " AND c.relreplident = 'f' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)"
      " AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-similar-names", TR_FINDING_WARNING, 0, 0,
      "SELECT min(" TABLE_NAME
      "), format('%s tables differ in upper and lower case only (%s): targets that fold names mix them up', count(*),"
      " string_agg(" TABLE_NAME ", ', ' ORDER BY c.relname)), NULL" TASK_TABLES
      " AND $2::text IS NOT NULL GROUP BY lower(n.nspname), lower(c.relname) HAVING count(*) > 1" },
    { "postgresql-foreign-partition", TR_FINDING_WARNING, 0, 0,
      "SELECT " TABLE_NAME
      ", format('partition %s is a foreign table: its rows are neither copied nor followed', p.relid::regclass), NULL"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid"
      " WHERE c.oid = ANY ($1::oid[]) AND c.relkind = 'p' AND l.relkind = 'f' AND $2::text IS NOT NULL" },
    { "postgresql-partition-upkeep", TR_FINDING_WARNING, 0, 0,
      "SELECT " TABLE_NAME
      ", 'it is carried as one table: what TRUNCATE, DETACH, DROP or ATTACH of a single partition takes away or brings is in no log, do the same at the target',"
      " NULL" TASK_TABLES " AND c.relkind = 'p' AND $2::text IS NOT NULL ORDER BY 1" },
    { "postgresql-large-objects", TR_FINDING_WARNING, 0, 0,
      "SELECT NULL, 'the database has large objects: they are in no logical log and are not carried', NULL"
      " WHERE EXISTS (SELECT FROM pg_largeobject_metadata) AND" PARAMETERS },
};

static const char *
cell(const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

static bool
loads_only(const struct tr_postgres_source *source)
{
    return strcmp(tr_setting_string(source->base.env->settings, "mode"), "full-load") == 0;
}

/* Rules that matter to a copy; the others are about the log. */
static bool
is_of_loads(const struct rule *rule)
{
    static const char *const ids[] = {
        "encoding",      "select-privilege",  "sequence-privilege", "row-security",
        "similar-names", "foreign-partition", "large-objects",
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (strcmp(rule->id + strlen("postgresql-"), ids[i]) == 0)
            return true;
    return false;
}

static int
run_rule(struct tr_postgres_source *source, const struct rule *rule, const char *oids,
         const struct tr_findings *findings, struct tr_error *err)
{
    const char *params[] = { oids, source->slot };
    PGresult *res;
    if (source->server_version < rule->since || (rule->until != 0 && source->server_version >= rule->until))
        return 0;
    int rc = tr_postgres_query(source, rule->sql, 2, params, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "check %s", rule->id);
    for (int row = 0; row < PQntuples(res); row++)
        findings->add(findings->arg, rule->level, rule->id, cell(res, row, 0), cell(res, row, 1),
                      cell(res, row, 2));
    PQclear(res);
    return 0;
}

/* ------------------------------------------------------------------------------------------- what mapping decides on */

/* Things with rows that a pattern of the task takes in, and that no logical log carries. */
static int
check_left_out(struct tr_postgres_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    const struct tr_table_filter *filter = &source->base.env->filter;
    PGresult *res;
    int rc = tr_postgres_query(
        source,
        "SELECT n.nspname, c.relname, CASE WHEN e.objid IS NOT NULL THEN 'a table of an extension'"
        "  WHEN c.relkind = 'm' THEN 'a materialized view' WHEN c.relkind = 'f' THEN 'a foreign table' ELSE 'an unlogged table' END,"
        "  CASE WHEN c.relkind = 'r' AND e.objid IS NULL THEN format('ALTER TABLE %I.%I SET LOGGED;', n.nspname, c.relname) END"
        "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        "  LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'"
        " WHERE (c.relkind IN ('m', 'f') OR c.relkind = 'r' AND (c.relpersistence = 'u' OR e.objid IS NOT NULL))"
        "  AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2",
        0, NULL, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "check");
    for (int row = 0; row < PQntuples(res); row++) {
        char object[2 * TR_PG_NAME_MAX + 2], text[160];
        if (filter->wants != NULL &&
            !filter->wants(filter->arg, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1)))
            continue;
        snprintf(object, sizeof object, "%s.%s", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1));
        snprintf(text, sizeof text, "it is %s: left out, neither copied nor followed",
                 PQgetvalue(res, row, 2));
        findings->add(findings->arg, TR_FINDING_WARNING, "postgresql-left-out", object, text,
                      cell(res, row, 3));
    }
    PQclear(res);
    return 0;
}

static void
add_error(const struct tr_findings *findings, const char *id, const char *object,
          const struct tr_error *problem)
{
    findings->add(findings->arg, TR_FINDING_ERROR, id, object, problem->text,
                  problem->hint[0] != '\0' ? problem->hint : NULL);
}

static int
check_slot(struct tr_postgres_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    struct tr_postgres_slot slot;
    struct tr_error problem;
    char text[160];
    int rc = tr_postgres_slot_look(source, &slot, err);
    if (rc < 0 || !slot.exists)
        return rc;
    if (tr_postgres_slot_fit(source, &slot, &problem) < 0)
        add_error(findings, "postgresql-slot-unfit", source->slot, &problem);
    if (slot.active) {
        snprintf(text, sizeof text,
                 "the slot is in use by server process %d: the task waits for it, and then refuses",
                 slot.active_pid);
        findings->add(findings->arg, TR_FINDING_WARNING, "postgresql-slot-active", source->slot, text, NULL);
    }
    return 0;
}

/* Who makes a publication owns its tables and may create in the database. */
static int
check_may_publish(struct tr_postgres_source *source, const char *oids, const struct tr_findings *findings,
                  struct tr_error *err)
{
    static const struct rule owner = {
        "postgresql-publication-privilege", TR_FINDING_ERROR, 0, 0,
        "SELECT NULL, format('role %I may not create a publication in database %I', current_user, current_database()),"
        " format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user)"
        " WHERE NOT has_database_privilege(current_database(), 'CREATE') AND" PARAMETERS
        " UNION ALL SELECT " TABLE_NAME
        ", format('role %I does not own the table and cannot publish it: let the owner make the publication, and set"
        " create_publication: false', current_user), format('ALTER TABLE %I.%I OWNER TO %I; -- or: GRANT %I TO %I;', n.nspname, c.relname, current_user,"
        " pg_get_userbyid(c.relowner), current_user)" TASK_TABLES " AND NOT pg_has_role(c.relowner, 'USAGE')"
    };
    struct tr_postgres_publication publication;
    struct tr_error problem;
    int rc = tr_postgres_publication_look(source, &publication, err);
    if (rc < 0)
        return rc;
    if (publication.exists && tr_postgres_publication_fit(source, &publication, &problem) < 0)
        add_error(findings, "postgresql-publication-lacks", source->publication, &problem);
    if (publication.exists &&
        !(publication.insert && publication.update && publication.delete_ && publication.truncate))
        findings->add(
            findings->arg, TR_FINDING_WARNING, "postgresql-publication-partial", source->publication,
            "the publication leaves out some kinds of changes: they do not come, and the target stays behind without them",
            "ALTER PUBLICATION ... SET (publish = 'insert, update, delete, truncate');");
    if (publication.exists && publication.via_root == false)
        findings->add(
            findings->arg, TR_FINDING_NOTE, "postgresql-publish-via-root", source->publication,
            "the publication does not publish partitions as their root: they are carried as tables of their own",
            NULL);
    if (publication.exists || !tr_setting_bool(source->base.env->settings, "create_publication"))
        return 0;
    return run_rule(source, &owner, oids, findings, err);
}

static int
check_tables(struct tr_postgres_source *source, const struct tr_findings *findings, struct tr_buffer *oids,
             struct tr_error *err)
{
    struct tr_postgres_table *tables;
    size_t count;
    int rc = tr_postgres_tables(source, &tables, &count, err);
    if (rc < 0)
        return rc;
    tr_buffer_text(oids, "{");
    for (size_t i = 0; i < count; i++)
        tr_buffer_printf(oids, "%s%u", i > 0 ? "," : "", tables[i].oid);
    tr_buffer_text(oids, "}");
    free(tables);
    if (count == 0)
        findings->add(findings->arg, TR_FINDING_WARNING, "postgresql-no-tables", NULL,
                      "no table of the source fits the task's patterns", NULL);
    return 0;
}

int
tr_postgres_check(struct tr_source *base, const struct tr_findings *findings, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_buffer oids;
    tr_buffer_init(&oids, TR_BUFFER_MAX);
    int rc = check_tables(source, findings, &oids, err);
    bool stream = !loads_only(source);
    for (size_t i = 0; rc == 0 && i < sizeof rules / sizeof rules[0]; i++)
        if (stream || is_of_loads(&rules[i]))
            rc = run_rule(source, &rules[i], oids.data, findings, err);
    if (rc == 0)
        rc = check_left_out(source, findings, err);
    if (rc == 0 && stream)
        rc = check_slot(source, findings, err);
    if (rc == 0 && stream)
        rc = check_may_publish(source, oids.data, findings, err);
    tr_buffer_fini(&oids);
    return rc;
}
