/* check.c - what would stop or hurt a task at a MySQL or MariaDB target, each finding with the SQL that mends it. */
#include <stdlib.h>
#include <string.h>

#include "clients/mysql/grants.h"
#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/mysql/apply.h"

#define OLDEST_MARIADB 100500
#define OLDEST_MYSQL 80017
#define SMALL_PACKET ((size_t)16 << 20)

struct checker {
    struct tr_mysql_sink *sink;
    const struct tr_findings *findings;
    struct tr_mysql_grants grants;
    char *account; /* as GRANT takes it */
};

/* A statement of words and names: %I is the next argument as an identifier. Its own memory. */
static char *
statement(const char *fmt, const char *const *names)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 1 << 16);
    for (const char *mark; (mark = strstr(fmt, "%I")) != NULL; fmt = mark + 2) {
        tr_buffer_add(&sql, fmt, (size_t)(mark - fmt));
        tr_mysql_identifier(&sql, *names++);
    }
    tr_buffer_text(&sql, fmt);
    return sql.data;
}

#define STATEMENT(fmt, ...) statement(fmt, (const char *const[]){ __VA_ARGS__ })

static bool
setting_is(const struct checker *c, const char *name, const char *value)
{
    return strcmp(tr_setting_string(c->sink->base.env->settings, name), value) == 0;
}

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
            "the target is older than MariaDB 10.5 or MySQL 8.0.17, the oldest that are supported",
            "-- upgrade the server");
    if (!sink->commits_are_safe)
        add(c, TR_FINDING_WARNING, "mysql-target-durability", NULL,
            "innodb_flush_log_at_trx_commit or, with a binary log, sync_binlog is not 1: a commit is not on disk when it is answered, and each acknowledgement waits for"
            " FLUSH ENGINE LOGS",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1;");
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

static int
learn_account(struct checker *c, struct tr_error *err)
{
    struct tr_buffer account;
    char *user = NULL;
    int rc = tr_mysql_grants_read(c->sink->meta, &c->grants, err);
    if (rc == 0)
        rc = ask(c, "SELECT CURRENT_USER()", &user, err);
    tr_buffer_init(&account, 4096);
    if (rc == 0)
        tr_mysql_account(&account, user);
    free(user);
    c->account = account.data;
    return rc;
}

/* What the account may not do with a database (table NULL) or a table, of the privileges in the list. */
static void
check_privileges(struct checker *c, const char *database, const char *table, const char *label,
                 const char *const *privileges)
{
    struct tr_buffer missing;
    tr_buffer_init(&missing, 4096);
    for (; *privileges != NULL; privileges++)
        if (!tr_mysql_granted(&c->grants, *privileges, database, table))
            tr_buffer_printf(&missing, "%s%s", missing.len > 0 ? ", " : "", *privileges);
    if (missing.len > 0) {
        char *text = tr_asprintf("the target's account lacks %s", missing.data);
        char *scope = STATEMENT("%I.*", database);
        char *sql = tr_asprintf("GRANT %s ON %s TO %s;", missing.data, scope, c->account);
        add(c, TR_FINDING_ERROR, "mysql-target-privileges", label, text, sql);
        free(text);
        free(scope);
        free(sql);
    }
    tr_buffer_fini(&missing);
}

/* A column of the source as a difference of the target's table, or NULL; *sql mends it. */
static const char *
column_differs(const struct tr_column *column, const struct tr_my_table *table, char **sql)
{
    int at = tr_my_table_column(table, column->name);
    if (column->generated)
        return NULL;
    if (at < 0) {
        *sql = STATEMENT("ALTER TABLE %I.%I ADD COLUMN %I ...; -- with the type that tailrace schema shows",
                         table->database, table->name, column->name);
        return "is missing";
    }
    const struct tr_my_column *there = &table->columns[at];
    if (there->generated) {
        *sql = STATEMENT("ALTER TABLE %I.%I DROP COLUMN %I; -- and add it as a plain one", table->database,
                         table->name, column->name);
        return "is generated at the target only";
    }
    if (there->not_null && !column->not_null && column->key == 0) {
        char *head = STATEMENT("ALTER TABLE %I.%I MODIFY %I", table->database, table->name, column->name);
        *sql = tr_asprintf("%s %s NULL;", head, there->type != NULL ? there->type : "...");
        free(head);
        return "is NOT NULL and the source's is not";
    }
    return NULL;
}

static void
check_columns(struct checker *c, const struct tr_relation *relation, const struct tr_my_table *table,
              const char *label)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        char *sql = NULL;
        const char *what = column_differs(&relation->columns[i], table, &sql);
        if (what == NULL)
            continue;
        char *text = tr_asprintf("column %s %s", relation->columns[i].name, what);
        add(c, TR_FINDING_ERROR, "mysql-target-column", label, text, sql);
        free(text);
        free(sql);
    }
    for (uint16_t i = 0; i < table->ncolumns; i++) {
        const struct tr_my_column *column = &table->columns[i];
        if (!column->not_null || column->has_default || column->generated ||
            tr_relation_column(relation, column->name) >= 0)
            continue;
        char *text = tr_asprintf("column %s is unknown at the source, NOT NULL and without a default",
                                 column->name);
        char *head = STATEMENT("ALTER TABLE %I.%I MODIFY %I", table->database, table->name, column->name);
        char *sql = tr_asprintf("%s %s NULL;", head, column->type != NULL ? column->type : "...");
        add(c, TR_FINDING_ERROR, "mysql-target-column", label, text, sql);
        free(text);
        free(head);
        free(sql);
    }
}

/* "ALTER TABLE t ADD PRIMARY KEY (...);" of the source's key; NULL where it has none either. */
static char *
add_key(const struct tr_relation *relation, const struct tr_my_table *table)
{
    struct tr_buffer sql;
    uint16_t count = 0;
    tr_buffer_init(&sql, 1 << 16);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, table->database, table->name);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (relation->columns[i].key > 0) {
            tr_buffer_text(&sql, count++ == 0 ? " ADD PRIMARY KEY (" : ", ");
            tr_mysql_identifier(&sql, relation->columns[i].name);
        }
    tr_buffer_text(&sql, ");");
    if (count > 0)
        return sql.data;
    tr_buffer_fini(&sql);
    return NULL;
}

static void
check_shape(struct checker *c, const struct tr_relation *relation, const struct tr_my_table *table,
            const char *label)
{
    char *sql;
    check_columns(c, relation, table, label);
    if (table->has_triggers) {
        sql = STATEMENT("DROP TRIGGER ...; -- each that SHOW TRIGGERS FROM %I lists for the table",
                        table->database);
        add(c, TR_FINDING_ERROR, "mysql-target-triggers", label,
            "the table has triggers, which would fire again for every change", sql);
        free(sql);
    }
    if (!table->transactional) {
        sql = STATEMENT("ALTER TABLE %I.%I ENGINE = InnoDB;", table->database, table->name);
        add(c, TR_FINDING_ERROR, "mysql-table-storage-engine", label,
            "the table is not kept by InnoDB and cannot take part in a transaction", sql);
        free(sql);
    }
    bool unique = false;
    for (uint16_t i = 0; i < table->nuniques; i++)
        unique = unique || table->uniques[i].addresses;
    if (!unique) {
        sql = add_key(relation, table);
        add(c, TR_FINDING_WARNING, "mysql-target-key", label,
            "the target's table has no primary key or unique index over NOT NULL columns: each update and delete reads the whole table",
            sql);
        free(sql);
    }
}

static int
check_table(struct checker *c, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_my_table *table;
    const char *database = tr_my_database(c->sink, relation);
    static const char *const make[] = { "CREATE", "ALTER", "INDEX", "REFERENCES", NULL };
    static const char *const change[] = { "SELECT", "INSERT", "UPDATE", "DELETE", NULL };
    int rc = tr_my_table_read(c->sink->meta, database, relation->target_name, &table, err);
    bool expected = setting_is(c, "schema", "expect") || setting_is(c, "mode", "cdc");
    char *label = tr_asprintf("%s.%s", database, relation->target_name);
    if (rc == 0 && table == NULL && expected)
        add(c, TR_FINDING_ERROR, "mysql-target-table", label,
            "the target has no such table, and this task does not make tables",
            "-- tailrace schema prints the statements that make it; or run with schema: create");
    else if (rc == 0 && table == NULL)
        check_privileges(c, database, NULL, database, make);
    if (rc == 0)
        check_privileges(c, database, table != NULL ? relation->target_name : NULL,
                         table != NULL ? label : database, change);
    if (rc == 0 && table != NULL)
        check_shape(c, relation, table, label);
    tr_my_table_free(table);
    free(label);
    return rc;
}

/* Tables that a server which keeps names in small letters takes for one. */
static void
check_names(struct checker *c, const struct tr_schema *schema)
{
    struct tr_error folded;
    tr_error_clear(&folded);
    if (tr_my_find_folded(c->sink, schema, &folded) == 0)
        return;
    add(c, TR_FINDING_ERROR, "mysql-target-folded-names", NULL, folded.text,
        "-- leave one of the two out of the task's tables, or rename it at the source");
}

/* MySQL has no sequences. */
static void
check_sequences(struct checker *c, const struct tr_schema *schema)
{
    const char *source = c->sink->base.env->source_dialect;
    if (c->sink->target.mariadb || source == NULL || strcmp(source, "mariadb") != 0)
        return;
    for (uint32_t i = 0; i < schema->nobjects; i++) {
        char *name = tr_asprintf("%s.%s", schema->objects[i].schema, schema->objects[i].name);
        add(c, TR_FINDING_WARNING, "mysql-target-sequence", name,
            "the target has no sequences: this one is not carried, and a column whose default asks it is made without the default",
            "-- give the rows their numbers another way before the target is written to");
        free(name);
    }
}

int
tr_my_sink_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                 struct tr_error *err)
{
    static const char *const state[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", NULL };
    struct checker c = { .sink = (struct tr_mysql_sink *)base, .findings = findings };
    int rc = check_server(&c, err);
    if (rc == 0)
        rc = learn_account(&c, err);
    if (rc == 0)
        check_privileges(&c, "tailrace", NULL, "tailrace", state);
    for (uint32_t i = 0; rc == 0 && schema != NULL && i < schema->ntables; i++)
        if (schema->tables[i].parent == 0 && !schema->tables[i].relation->skip)
            rc = check_table(&c, schema->tables[i].relation, err);
    if (rc == 0 && schema != NULL) {
        check_names(&c, schema);
        check_sequences(&c, schema);
    }
    tr_mysql_grants_fini(&c.grants);
    free(c.account);
    return rc;
}
