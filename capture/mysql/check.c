/*
 * check.c - what would stop or hurt a task, before it begins: rules about the server's variables, then rules that are queries.
 *
 * A variable's rule names the values that are good; a query gives object (or NULL) and text, one row for each finding.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/mysql/internal.h"
#include "clients/mysql/grants.h"
#include "core/memory.h"

enum { ANY = 0, MYSQL_ONLY = 1, MARIADB_ONLY = 2 };

static const struct variable_rule {
    const char *id;
    enum tr_finding_level level;
    int flavour;
    const char *variable;
    const char *good; /* "|"-separated; NULL = at_least rules */
    int64_t at_least;
    const char *text; /* behind "NAME is VALUE: " */
    const char *sql;
} variable_rules[] = {
    { "mysql-binlog-enabled", TR_FINDING_ERROR, ANY, "log_bin", "ON|1", 0, "the server writes no binary log",
      "-- in the server's configuration: log_bin; then restart it" },
    { "mysql-binlog-format", TR_FINDING_ERROR, ANY, "binlog_format", "ROW", 0,
      "the log holds statements instead of rows",
      "SET GLOBAL binlog_format = 'ROW'; -- then end the sessions that were open before" },
    { "mysql-binlog-image", TR_FINDING_WARNING, ANY, "binlog_row_image", "FULL", 0,
      "events hold only a part of each row; a target row that differs is not noticed, and a changed key needs the whole row",
      "SET GLOBAL binlog_row_image = 'FULL'; -- then end the sessions that were open before" },
    { "mysql-binlog-metadata", TR_FINDING_WARNING, ANY, "binlog_row_metadata", "FULL", 0,
      "the log does not name columns; a table that is altered while the task runs or stands still must be loaded again",
      "SET GLOBAL binlog_row_metadata = 'FULL';" },
    { "mysql-partial-json", TR_FINDING_NOTE, MYSQL_ONLY, "binlog_row_value_options", "|", 0,
      "JSON changes are logged as differences, which are applied to the old document: binlog_row_image must be FULL",
      "SET GLOBAL binlog_row_value_options = ''; -- then end the sessions that were open before" },
    { "mysql-gtid-mode", TR_FINDING_WARNING, MYSQL_ONLY, "gtid_mode", "ON", 0,
      "without GTIDs the task cannot follow a failover to another server",
      "SET GLOBAL enforce_gtid_consistency = ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;" },
    { "mysql-gtid-strict", TR_FINDING_WARNING, MARIADB_ONLY, "gtid_strict_mode", "ON|1", 0,
      "replicas may have GTIDs out of order, which makes a failover unsafe",
      "SET GLOBAL gtid_strict_mode = ON;" },
    { "mysql-sync-binlog", TR_FINDING_WARNING, ANY, "sync_binlog", "1", 0,
      "after a crash of the server its log may lack transactions that the task has carried",
      "SET GLOBAL sync_binlog = 1;" },
    { "mysql-server-id", TR_FINDING_ERROR, ANY, "server_id", NULL, 1,
      "the server has no id, and gives its log to nobody",
      "SET GLOBAL server_id = 1; -- a number of its own" },
    { "mysql-max-allowed-packet", TR_FINDING_NOTE, ANY, "max_allowed_packet", NULL, 16 << 20,
      "larger values cannot be read in a full load", "SET GLOBAL max_allowed_packet = 1073741824;" },
};

static const struct query_rule {
    const char *id;
    enum tr_finding_level level;
    int flavour;
    bool per_table; /* the first two columns name a table: only those of the task count */
    const char *sql;
    const char *mend;
} query_rules[] = {
    { "mysql-binlog-retention-time", TR_FINDING_WARNING, MYSQL_ONLY, false,
      "SELECT NULL, NULL, CONCAT('binlog_expire_logs_seconds is ', @@global.binlog_expire_logs_seconds, ': a task that stands still for longer must load again')"
      " FROM (SELECT 1) x WHERE @@global.binlog_expire_logs_seconds BETWEEN 1 AND 86399",
      "SET GLOBAL binlog_expire_logs_seconds = 604800;" },
    { "mysql-expire-logs-days", TR_FINDING_WARNING, MARIADB_ONLY, false,
      "SELECT NULL, NULL, CONCAT('expire_logs_days is ', @@global.expire_logs_days, ': a task that stands still for longer must load again')"
      " FROM (SELECT 1) x WHERE @@global.expire_logs_days > 0 AND @@global.expire_logs_days < 1",
      "SET GLOBAL expire_logs_days = 7;" },
    { "mysql-table-engine", TR_FINDING_WARNING, ANY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, CONCAT('the table uses ', ENGINE, ', which has no snapshots: rows written while the full load reads it may be copied and"
      " come again in the stream') FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE NOT IN ('InnoDB', 'RocksDB')",
      "ALTER TABLE %s ENGINE = InnoDB;" },
    { "mysql-table-without-key", TR_FINDING_WARNING, ANY, true,
      /* STATISTICS: with SELECT alone an account does not see constraints */
      "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, 'the table has no primary key: the target finds its rows by all columns, and rows that are equal cannot be told apart'"
      " FROM information_schema.TABLES t LEFT JOIN (SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0) s"
      " ON s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME WHERE t.TABLE_TYPE = 'BASE TABLE' AND s.TABLE_NAME IS NULL",
      "ALTER TABLE %s ADD COLUMN id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY; -- or a key of its own" },
    { "mysql-cascade", TR_FINDING_WARNING, ANY, true,
      "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONCAT('foreign key ', CONSTRAINT_NAME, ' cascades inside the engine, and what it changes is not in the log of servers"
      " before MySQL 9.6: a database target needs the same key to do it again, any other lacks these changes') FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN"
      " ('CASCADE', 'SET NULL')",
      "ALTER TABLE %s DROP FOREIGN KEY ...; -- at the source, with one that restricts in its place, where the target cannot do the same: docs/source-mysql.md, Cascades" },
    { "mysql-invisible-column", TR_FINDING_NOTE, ANY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, CONCAT('column ', COLUMN_NAME, ' is invisible: it is carried as an ordinary one') FROM information_schema.COLUMNS WHERE EXTRA LIKE"
      " '%INVISIBLE%'",
      NULL },
    { "mysql-generated-column", TR_FINDING_NOTE, ANY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, CONCAT('column ', COLUMN_NAME, ' is generated: the target computes it, or keeps the values of the source (tailrace schema says which)') FROM information_schema.COLUMNS WHERE EXTRA LIKE"
      " '%VIRTUAL GENERATED%' OR EXTRA LIKE '%STORED GENERATED%'",
      NULL },
    { "mysql-sequence-default", TR_FINDING_WARNING, MARIADB_ONLY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, CONCAT('column ', COLUMN_NAME, ' takes its numbers from a sequence that the account may not see: it is not carried, and a MariaDB target must"
      " have it before the table is made') FROM information_schema.COLUMNS c WHERE COLUMN_DEFAULT LIKE '%nextval(%' AND NOT EXISTS (SELECT 1 FROM information_schema.TABLES s"
      " WHERE s.TABLE_TYPE = 'SEQUENCE' AND INSTR(c.COLUMN_DEFAULT, CONCAT('nextval(`', REPLACE(s.TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(s.TABLE_NAME, '`', '``'), '`)')) > 0)",
      "GRANT SELECT ON ... TO ...; -- on the sequence, to the account of the task" },
    { "mysql-not-carried", TR_FINDING_NOTE, ANY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, CONCAT('the ', LOWER(TABLE_TYPE), ' is not carried') FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'",
      NULL },
    { "mysql-not-carried", TR_FINDING_NOTE, ANY, true,
      "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, CONCAT('trigger ', TRIGGER_NAME, ' is not carried: what it does at the source comes as changes') FROM"
      " information_schema.TRIGGERS",
      NULL },
    { "mysql-not-carried", TR_FINDING_NOTE, ANY, true,
      "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, CONCAT('the ', LOWER(ROUTINE_TYPE), ' is not carried') FROM information_schema.ROUTINES",
      NULL },
    { "mysql-not-carried", TR_FINDING_NOTE, ANY, true,
      "SELECT EVENT_SCHEMA, EVENT_NAME, 'the event is not carried' FROM information_schema.EVENTS", NULL },
    { "mysql-system-versioned", TR_FINDING_NOTE, MARIADB_ONLY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, 'the table is system versioned: the rows that are there are carried, those of its history are not' FROM"
      " information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'",
      NULL },
    { "mysql-hidden-columns", TR_FINDING_ERROR, MARIADB_ONLY, true,
      "SELECT TABLE_SCHEMA, TABLE_NAME, 'the log has columns of the table that no catalogue lists (of its history, or the hash of a unique key over a long text), and does not"
      " name them: its first change ends the task' FROM information_schema.TABLES t WHERE @@global.binlog_row_metadata <> 'FULL' AND (TABLE_TYPE = 'SYSTEM VERSIONED' OR EXISTS"
      " (SELECT 1 FROM information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME AND s.NON_UNIQUE = 0 AND s.INDEX_TYPE = 'HASH'"
      " AND t.ENGINE = 'InnoDB'))",
      "SET GLOBAL binlog_row_metadata = 'FULL'; -- then end the sessions that were open before" },
};

static bool
applies(const struct tr_mysql_source *source, int flavour)
{
    return flavour == ANY || (flavour == MARIADB_ONLY) == source->mariadb;
}

static bool
is_good(const struct variable_rule *rule, const char *value)
{
    if (rule->good == NULL)
        return strtoll(value, NULL, 10) >= rule->at_least;
    size_t len = strlen(value);
    for (const char *p = rule->good;; p++) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == len && strncasecmp(p, value, len) == 0)
            return true;
        if (*end == '\0')
            return false;
        p = end;
    }
}

static int
check_variables(struct tr_mysql_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    char text[512];
    int rc = tr_mysql_ask(source, "SHOW GLOBAL VARIABLES", &res, err);
    if (rc < 0)
        return rc;
    while ((row = mysql_fetch_row(res)) != NULL)
        for (size_t i = 0; i < sizeof variable_rules / sizeof variable_rules[0]; i++) {
            const struct variable_rule *rule = &variable_rules[i];
            if (!applies(source, rule->flavour) || strcasecmp(rule->variable, row[0]) != 0 ||
                is_good(rule, row[1]))
                continue;
            snprintf(text, sizeof text, "%s is %s: %s", row[0], row[1][0] != '\0' ? row[1] : "empty",
                     rule->text);
            findings->add(findings->arg, rule->level, rule->id, NULL, text, rule->sql);
        }
    mysql_free_result(res);
    return 0;
}

static void
add_row(struct tr_mysql_source *source, const struct query_rule *rule, MYSQL_ROW row,
        const struct tr_findings *findings)
{
    char sql[1024];
    struct tr_buffer name;
    if (rule->per_table && !tr_mysql_wants(source, row[0], row[1]))
        return;
    tr_buffer_init(&name, 4096);
    if (rule->per_table)
        tr_mysql_qualified(&name, row[0], row[1]);
    const char *mark = rule->mend != NULL ? strstr(rule->mend, "%s") : NULL;
    if (mark != NULL)
        snprintf(sql, sizeof sql, "%.*s%s%s", (int)(mark - rule->mend), rule->mend,
                 name.data != NULL ? name.data : "", mark + 2);
    char *object = rule->per_table ? tr_asprintf("%s.%s", row[0], row[1]) : NULL;
    findings->add(findings->arg, rule->level, rule->id, object, row[2], mark != NULL ? sql : rule->mend);
    free(object);
    tr_buffer_fini(&name);
}

static int
check_queries(struct tr_mysql_source *source, bool stream, const struct tr_findings *findings,
              struct tr_error *err)
{
    for (size_t i = 0; i < sizeof query_rules / sizeof query_rules[0]; i++) {
        MYSQL_RES *res;
        MYSQL_ROW row;
        bool of_log = query_rules[i].level ==
                      TR_FINDING_ERROR; /* what a copy lacks is told when it is made */
        if (!applies(source, query_rules[i].flavour) || (of_log && !stream))
            continue;
        int rc = tr_mysql_ask(source, query_rules[i].sql, &res, err);
        if (rc < 0)
            return tr_error_prefix(err, "check %s", query_rules[i].id);
        while ((row = mysql_fetch_row(res)) != NULL)
            add_row(source, &query_rules[i], row, findings);
        mysql_free_result(res);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------- privileges */

static void
add_grant(struct tr_mysql_source *source, const struct tr_findings *findings, enum tr_finding_level level,
          const char *id, const char *text, const char *privilege, const char *scope)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_printf(&sql, "GRANT %s ON %s TO ", privilege, scope);
    tr_mysql_account(&sql, source->user);
    tr_buffer_byte(&sql, ';');
    findings->add(findings->arg, level, id, source->user, text, sql.data);
    tr_buffer_fini(&sql);
}

/* The database of the URL, as GRANT takes it, or all. */
static void
database_scope(const struct tr_mysql_source *source, struct tr_buffer *scope)
{
    tr_buffer_init(scope, 4096);
    if (source->database != NULL)
        tr_mysql_identifier(scope, source->database);
    tr_buffer_text(scope, source->database != NULL ? ".*" : "*.*");
}

/* Locks may be granted table by table or by database: any such grant will do here. */
static bool
may_lock(const struct tr_mysql_grants *grants, const struct tr_mysql_source *source)
{
    return tr_mysql_granted(grants, "RELOAD", NULL, NULL) ||
           tr_mysql_granted(grants, "FLUSH_TABLES", NULL, NULL) ||
           tr_mysql_granted(grants, "LOCK TABLES", source->database, NULL) || source->database == NULL;
}

static int
check_privileges(struct tr_mysql_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    struct tr_mysql_grants grants = { .roles = false };
    int rc = tr_mysql_ask(source, "SHOW GRANTS", &res, err);
    if (rc < 0)
        return rc;
    while ((row = mysql_fetch_row(res)) != NULL)
        tr_mysql_grants_add(&grants, row[0]);
    mysql_free_result(res);
    if (!tr_mysql_granted(&grants, "REPLICATION SLAVE", NULL, NULL))
        add_grant(source, findings, TR_FINDING_ERROR, "mysql-replication-privileges",
                  "the account may not read the binary log", "REPLICATION SLAVE", "*.*");
    if (!tr_mysql_granted(&grants, "REPLICATION CLIENT", NULL, NULL) &&
        !tr_mysql_granted(&grants, "BINLOG MONITOR", NULL, NULL) &&
        !tr_mysql_granted(&grants, "SUPER", NULL, NULL))
        add_grant(source, findings, TR_FINDING_ERROR, "mysql-replication-client",
                  "the account may not ask for the log's position",
                  source->mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT", "*.*");
    if (!source->mariadb && !may_lock(&grants, source)) {
        struct tr_buffer scope;
        database_scope(source, &scope);
        add_grant(source, findings, TR_FINDING_WARNING, "mysql-lock-privileges",
                  "the account may neither lock the task's tables nor all: a full load has no consistent cut",
                  "LOCK TABLES", scope.data);
        tr_buffer_fini(&scope);
    }
    tr_mysql_grants_fini(&grants);
    return 0;
}

/* Databases that the server leaves out of its log: nothing in the log tells of them. */
static int
check_filters(struct tr_mysql_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    MYSQL_RES *res;
    bool new_words = !source->mariadb && source->version >= 80400;
    int rc = tr_mysql_ask(source, new_words ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS", &res, err);
    if (rc < 0) /* the right to ask is one of those above */
        return err->class == TR_RETRY ? rc : 0;
    MYSQL_ROW row = res != NULL && mysql_num_fields(res) > 3 ? mysql_fetch_row(res) : NULL;
    for (unsigned i = 2; row != NULL && i < 4; i++) {
        static const char *const names[] = { "binlog_do_db", "binlog_ignore_db" };
        char text[512];
        if (row[i] == NULL || row[i][0] == '\0')
            continue;
        snprintf(text, sizeof text,
                 "%s is %.300s: changes of databases that it leaves out never reach the log", names[i - 2],
                 row[i]);
        findings->add(findings->arg, TR_FINDING_WARNING, "mysql-binlog-filter", NULL, text,
                      i == 2 ? "-- in the server's configuration: remove binlog_do_db; then restart it"
                             : "-- in the server's configuration: remove binlog_ignore_db; then restart it");
    }
    mysql_free_result(res);
    return 0;
}

static void
check_version(struct tr_mysql_source *source, const struct tr_findings *findings)
{
    if (source->version < (source->mariadb ? 100500U : 80000U))
        findings->add(findings->arg, TR_FINDING_ERROR, "mysql-supported-version", NULL,
                      "the server is older than MariaDB 10.5 or MySQL 8.0, the oldest that are supported",
                      "-- upgrade the server, or read from a replica of a newer version");
}

static int
check_replica(struct tr_mysql_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    MYSQL_RES *res;
    char *updates;
    bool replica_words = !source->mariadb && source->version >= 80022;
    int rc = tr_mysql_ask(source, replica_words ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS", &res, err);
    if (rc < 0) /* the right to ask is one of those above */
        return err->class == TR_RETRY ? rc : 0;
    bool replica = res != NULL && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    if (!replica)
        return 0;
    rc = tr_mysql_ask_text(source, "SELECT @@global.log_slave_updates", &updates, err);
    if (rc < 0)
        return err->class == TR_RETRY
                   ? rc
                   : 0; /* MySQL 9 may know it by its new name alone, where it is always on */
    if (updates != NULL && strcmp(updates, "0") == 0)
        findings->add(
            findings->arg, TR_FINDING_ERROR, "mysql-database-role", NULL,
            "the server is a replica with log_slave_updates off: its log lacks what it replicates",
            "-- in the server's configuration: log_slave_updates = ON; then restart it; or read from its primary");
    free(updates);
    return 0;
}

static int
check_tables(struct tr_mysql_source *source, const struct tr_findings *findings, struct tr_error *err)
{
    struct tr_relation_list list;
    char text[128];
    int rc = tr_mysql_relations(&source->base, &list, err);
    if (rc < 0)
        return rc;
    if (list.count == 0) {
        struct tr_buffer scope;
        database_scope(source, &scope);
        add_grant(source, findings, TR_FINDING_ERROR, "mysql-no-tables",
                  "no table of the task is visible to the account: none matches, or SELECT is missing",
                  "SELECT", scope.data);
        tr_buffer_fini(&scope);
    }
    if (list.count > 10000) {
        snprintf(text, sizeof text, "the task has %zu tables: its start takes some time", list.count);
        findings->add(findings->arg, TR_FINDING_NOTE, "mysql-10k-tables", NULL, text, NULL);
    }
    tr_relation_list_free(&list);
    return 0;
}

int
tr_mysql_check(struct tr_source *base, const struct tr_findings *findings, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    /* A copy that no stream follows needs nothing of the log. */
    bool stream = strcmp(tr_setting_string(base->env->settings, "mode"), "full-load") != 0;
    check_version(source, findings);
    int rc = stream ? check_variables(source, findings, err) : 0;
    if (rc == 0 && stream)
        rc = check_filters(source, findings, err);
    if (rc == 0)
        rc = check_queries(source, stream, findings, err);
    if (rc == 0 && stream)
        rc = check_privileges(source, findings, err);
    if (rc == 0 && stream)
        rc = check_replica(source, findings, err);
    return rc < 0 ? rc : check_tables(source, findings, err);
}
