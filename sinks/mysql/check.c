/* check.c - what would stop or hurt a task at a MySQL or MariaDB target, each finding with the SQL that mends it. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/mysql/apply.h"

#define OLDEST_MARIADB 100500
#define OLDEST_MYSQL 80017
#define SMALL_PACKET ((size_t)16 << 20)

struct checker {
    struct tr_mysql_sink *sink;
    const struct tr_findings *findings;
};

static void
add(struct checker *c, enum tr_finding_level level, const char *id, const char *object, const char *text,
    const char *sql)
{
    c->findings->add(c->findings->arg, level, id, object, text, sql);
}

static int
ask(struct checker *c, const char *sql, char **out, struct tr_error *err)
{
    int rc = tr_mysql_query_text(c->sink->meta, sql, out, err);
    if (rc == 0 && *out == NULL)
        *out = tr_strdup("");
    return rc;
}

static void
check_settings(struct checker *c)
{
    const struct tr_mysql_sink *sink = c->sink;
    if (sink->target.version < (sink->target.mariadb ? OLDEST_MARIADB : OLDEST_MYSQL))
        add(c, TR_FINDING_ERROR, "mysql-target-version", NULL,
            "the target is older than MariaDB 10.5 or MySQL 8.0.17, the oldest that are supported", NULL);
    if (!sink->commits_are_safe)
        add(c, TR_FINDING_WARNING, "mysql-target-durability", NULL,
            "innodb_flush_log_at_trx_commit is not 1: a commit is not on disk when it is answered, and each acknowledgement waits for FLUSH ENGINE LOGS",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1;");
    if (!sink->local_infile)
        add(c, TR_FINDING_WARNING, "mysql-target-localinfile-set", NULL,
            "local_infile is off: the full load falls back to INSERTs, about half as fast",
            "SET GLOBAL local_infile = ON;");
    if (sink->packet < SMALL_PACKET)
        add(c, TR_FINDING_WARNING, "mysql-max-allowed-packet-lob", NULL,
            "max_allowed_packet is below 16 MiB: a larger row is refused",
            "SET GLOBAL max_allowed_packet = 1073741824;");
}

static int
check_server(struct checker *c, struct tr_error *err)
{
    char *answer = NULL;
    check_settings(c);
    int rc = ask(c, "SELECT IF(@@global.log_bin AND @@session.binlog_format = 'STATEMENT', 1, 0)", &answer,
                 err);
    if (rc == 0 && answer[0] == '1')
        add(c, TR_FINDING_ERROR, "mysql-target-binlog-format", NULL,
            "binlog_format is STATEMENT: InnoDB refuses changes under READ COMMITTED",
            "SET GLOBAL binlog_format = 'ROW';");
    free(answer);
    return rc;
}

static void
check_shape(struct checker *c, const struct tr_relation *relation, const struct tr_my_table *table,
            const char *label)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (column->generated || tr_my_table_column(table, column->name) >= 0)
            continue;
        char *text = tr_asprintf("the target's table lacks column \"%s\"", column->name);
        add(c, TR_FINDING_ERROR, "mysql-target-column", label, text, NULL);
        free(text);
    }
    if (table->has_triggers)
        add(c, TR_FINDING_ERROR, "mysql-target-triggers", label,
            "the table has triggers, which would fire again for every change", NULL);
    if (!table->transactional) {
        char *sql = tr_asprintf("ALTER TABLE `%s`.`%s` ENGINE = InnoDB;", table->database, table->name);
        add(c, TR_FINDING_ERROR, "mysql-table-storage-engine", label,
            "the table is not kept by InnoDB and cannot take part in a transaction", sql);
        free(sql);
    }
    bool unique = false;
    for (uint16_t i = 0; i < table->nuniques; i++)
        unique = unique || table->uniques[i].addresses;
    if (!unique)
        add(c, TR_FINDING_WARNING, "mysql-target-key", label,
            "the target's table has no primary key or unique index over NOT NULL columns: each update and delete reads the whole table",
            NULL);
}

static int
check_table(struct checker *c, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_my_table *table;
    const char *database = tr_my_database(c->sink, relation);
    const struct tr_settings *settings = c->sink->base.env->settings;
    int rc = tr_my_table_read(c->sink->meta, database, relation->target_name, &table, err);
    bool expected = strcmp(tr_setting_string(settings, "schema"), "expect") == 0 ||
                    strcmp(tr_setting_string(settings, "mode"), "cdc") == 0;
    char *label = tr_asprintf("%s.%s", database, relation->target_name);
    if (rc == 0 && table == NULL && expected)
        add(c, TR_FINDING_ERROR, "mysql-target-table", label,
            "the target has no such table, and this task does not make tables", NULL);
    if (rc == 0 && table != NULL)
        check_shape(c, relation, table, label);
    tr_my_table_free(table);
    free(label);
    return rc;
}

int
tr_my_sink_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                 struct tr_error *err)
{
    struct checker c = { (struct tr_mysql_sink *)base, findings };
    int rc = check_server(&c, err);
    for (uint32_t i = 0; rc == 0 && schema != NULL && i < schema->ntables; i++)
        if (schema->tables[i].parent == 0 && !schema->tables[i].relation->skip)
            rc = check_table(&c, schema->tables[i].relation, err);
    return rc;
}
