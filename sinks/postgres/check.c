/* check.c - what would stop or hurt a task at a PostgreSQL target, each finding with the SQL that mends it. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/postgres/apply.h"
#include "sinks/postgres/tables_internal.h"

struct checker {
    struct tr_postgres_sink *sink;
    const struct tr_findings *findings;
    bool begun; /* rows at the target may be the task's own */
    bool makes; /* tables of the task are missing, and it makes them */
};

static bool
setting_is(const struct checker *c, const char *name, const char *value)
{
    return strcmp(tr_setting_string(c->sink->base.env->settings, name), value) == 0;
}

/* A statement of words and names: %I is the next argument as an identifier. Its own memory. */
static char *
statement(const char *fmt, const char *const *names)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 1 << 16);
    for (const char *mark; (mark = strstr(fmt, "%I")) != NULL; fmt = mark + 2) {
        tr_buffer_add(&sql, fmt, (size_t)(mark - fmt));
        tr_pg_identifier(&sql, *names++);
    }
    tr_buffer_text(&sql, fmt);
    return sql.data;
}

#define STATEMENT(fmt, ...) statement(fmt, (const char *const[]){ __VA_ARGS__ })

static void
add(struct checker *c, enum tr_finding_level level, const char *id, const char *object, const char *text,
    const char *sql)
{
    c->findings->add(c->findings->arg, level, id, object, text, sql);
}

/* One text out of one row; "" when there is none. The caller frees it. */
static int
ask(struct checker *c, const char *sql, char **out, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = tr_pg_exec(c->sink->meta, -1, sql, &res, err);
    *out = rc == 0 ? tr_strdup(PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "") : NULL;
    PQclear(res);
    return rc;
}

static int
check_server(struct checker *c, struct tr_error *err)
{
    char *answer = NULL;
    if (c->sink->server_version < 130000)
        add(c, TR_FINDING_ERROR, "postgresql-target-version", NULL,
            "the target is older than PostgreSQL 13, the oldest that is supported", NULL);
    int rc = ask(c,
                 "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()",
                 &answer, err);
    if (rc == 0 && strcmp(answer, "UTF8") != 0)
        add(c, TR_FINDING_WARNING, "postgresql-target-encoding", NULL,
            "the target database is not UTF8: texts with characters that its encoding lacks are refused",
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0; -- another one, and name that in the URL");
    free(answer);
    if (rc < 0)
        return rc;
    if (!c->sink->replica_role) {
        char *sql = STATEMENT("GRANT SET ON PARAMETER session_replication_role TO %I;",
                              PQuser(c->sink->meta));
        add(c, TR_FINDING_WARNING, "postgresql-target-replica-role", NULL,
            "session_replication_role cannot be set: triggers and foreign keys of the target fire again for every change, and changes are"
            " applied by one connection only",
            c->sink->server_version >= 150000 ? sql : NULL);
        free(sql);
    }
    rc = ask(
        c,
        "SELECT to_regclass('tailrace.checkpoint') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')",
        &answer, err);
    if (rc == 0 && answer[0] != 't') {
        char *sql = STATEMENT("GRANT CREATE ON DATABASE %I TO %I;", PQdb(c->sink->meta),
                              PQuser(c->sink->meta));
        add(c, TR_FINDING_ERROR, "postgresql-target-state", NULL,
            "the schema tailrace with the task's checkpoint cannot be made", sql);
        free(sql);
    }
    free(answer);
    return rc;
}

static int
check_privileges(struct checker *c, const struct tr_pg_table *table, const char *label, struct tr_error *err)
{
    PGresult *res = NULL;
    char *oid = tr_asprintf("%u", table->oid);
    const char *params[] = { oid };
    int rc = tr_pg_exec_params(
        c->sink->meta, -1,
        "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p"
        " WHERE NOT has_table_privilege($1::oid, p)",
        1, params, &res, err);
    if (rc == 0 && PQntuples(res) > 0) {
        char *sql = STATEMENT("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %I.%I TO %I;", table->schema,
                              table->name, PQuser(c->sink->meta));
        add(c, TR_FINDING_ERROR, "postgresql-target-privileges", label,
            "the target's user lacks privileges on the table", sql);
        free(sql);
    }
    PQclear(res);
    free(oid);
    return rc;
}

/* "ALTER TABLE t ADD PRIMARY KEY (...);" of the source's key; NULL where it has none either. */
static char *
add_key(const struct tr_relation *relation)
{
    struct tr_buffer sql;
    uint16_t count = 0;
    tr_buffer_init(&sql, 1 << 16);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (relation->columns[i].key > 0) {
            tr_buffer_text(&sql, count++ == 0 ? " ADD PRIMARY KEY (" : ", ");
            tr_pg_identifier(&sql, relation->columns[i].name);
        }
    tr_buffer_text(&sql, ");");
    if (count > 0)
        return sql.data;
    tr_buffer_fini(&sql);
    return NULL;
}

static void
check_shape(struct checker *c, const struct tr_relation *relation, const struct tr_pg_table *table,
            const char *label)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        int there = tr_pg_table_column(table, column->name);
        if (there >= 0 && table->columns[there].generated && !column->generated) {
            char *note = tr_asprintf(
                "the target computes column \"%s\" itself: the source's values of it are not carried",
                column->name);
            char *sql = STATEMENT("ALTER TABLE %I.%I ALTER COLUMN %I DROP EXPRESSION;", table->schema,
                                  table->name, column->name);
            add(c, TR_FINDING_WARNING, "postgresql-target-generated", label, note, sql);
            free(note);
            free(sql);
        }
    }
    if (table->plan.fires) {
        char *sql = STATEMENT(
            "ALTER TABLE %I.%I ENABLE TRIGGER ...; -- each trigger: for the application alone", table->schema,
            table->name);
        add(c, TR_FINDING_WARNING, "postgresql-target-triggers", label,
            "the table has triggers or rules that are enabled ALWAYS or REPLICA, or an exclusion constraint: its changes are applied one group"
            " at a time, and the triggers fire again",
            sql);
        free(sql);
    }
    bool unique = false;
    for (uint16_t i = 0; i < table->nuniques; i++)
        unique = unique || table->uniques[i].addresses;
    if (!unique) {
        char *sql = add_key(relation);
        add(c, TR_FINDING_WARNING, "postgresql-target-key", label,
            "the target's table has no primary key or unique index over NOT NULL columns: each update and delete reads the whole table",
            sql);
        free(sql);
    }
}

/* Who is to make the table, and to alter it as the source's is altered. */
static int
check_may_make(struct checker *c, const struct tr_relation *relation, const char *label, struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { relation->target_schema };
    int rc = tr_pg_exec_params(
        c->sink->meta, -1,
        "SELECT CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')"
        " ELSE has_schema_privilege(n.oid, 'CREATE') END, n.oid IS NULL"
        " FROM (SELECT $1::name AS name) x LEFT JOIN pg_namespace n ON n.nspname = x.name",
        1, params, &res, err);
    if (rc == 0 && PQgetvalue(res, 0, 0)[0] != 't') {
        char *sql = PQgetvalue(res, 0, 1)[0] == 't'
                        ? STATEMENT("GRANT CREATE ON DATABASE %I TO %I;", PQdb(c->sink->meta),
                                    PQuser(c->sink->meta))
                        : STATEMENT("GRANT USAGE, CREATE ON SCHEMA %I TO %I;", relation->target_schema,
                                    PQuser(c->sink->meta));
        add(c, TR_FINDING_ERROR, "postgresql-target-create", label,
            "the target's user may not make the table", sql);
        free(sql);
    }
    PQclear(res);
    return rc;
}

/* A full load wants tables that are empty, or leave to empty them. */
static int
check_rows(struct checker *c, const struct tr_pg_table *table, const char *label, struct tr_error *err)
{
    char *answer = NULL, *sql = tr_asprintf("SELECT has_table_privilege(%u::oid, 'SELECT')", table->oid);
    int rc = 0;
    if (!c->begun && setting_is(c, "on_existing", "stop") && !setting_is(c, "mode", "cdc"))
        rc = ask(c, sql, &answer, err);
    free(sql);
    bool look = rc == 0 && answer != NULL && answer[0] == 't';
    free(answer);
    if (!look)
        return rc;
    sql = STATEMENT("SELECT EXISTS (SELECT FROM %I.%I)", table->schema, table->name);
    rc = ask(c, sql, &answer, err);
    free(sql);
    if (rc == 0 && answer[0] == 't') {
        sql = STATEMENT(
            "TRUNCATE %I.%I; -- or run with on_existing: truncate (removes the rows) or append (keeps them)",
            table->schema, table->name);
        add(c, TR_FINDING_ERROR, "postgresql-target-rows", label,
            "the target's table holds rows already, and on_existing is stop: the full load refuses", sql);
        free(sql);
    }
    free(answer);
    return rc;
}

static int
learn_begun(struct checker *c, struct tr_error *err)
{
    PGresult *res = NULL;
    char *answer = NULL;
    const char *params[] = { c->sink->base.env->task };
    int rc = ask(c,
                 "SELECT CASE WHEN has_table_privilege(t, 'SELECT') THEN 't' ELSE 'f' END"
                 " FROM to_regclass('tailrace.table_cut') t WHERE t IS NOT NULL",
                 &answer, err);
    if (rc == 0 && answer[0] == 't') {
        rc = tr_pg_exec_params(c->sink->meta, -1, "SELECT FROM tailrace.table_cut WHERE task = $1 LIMIT 1", 1,
                               params, &res, err);
        c->begun = rc == 0 && PQntuples(res) > 0;
    }
    PQclear(res);
    free(answer);
    return rc;
}

static int
check_table(struct checker *c, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_pg_table *table;
    char *label = tr_asprintf("%s.%s", relation->target_schema, relation->target_name);
    int rc = tr_pg_table_read(c->sink, relation->target_schema, relation->target_name, &table, err);
    bool expected = setting_is(c, "schema", "expect") || setting_is(c, "mode", "cdc");
    if (rc == 0 && table == NULL && expected)
        add(c, TR_FINDING_ERROR, "postgresql-target-table", label,
            "the target has no such table, and this task does not make tables",
            "-- tailrace schema prints the statements that make it; or run with schema: create");
    else if (rc == 0 && table == NULL) {
        c->makes = true;
        rc = check_may_make(c, relation, label, err);
    }
    if (rc == 0 && table != NULL) {
        rc = check_privileges(c, table, label, err);
        check_shape(c, relation, table, label);
        if (rc == 0 && (table->relkind == 'r' || table->relkind == 'p'))
            rc = check_rows(c, table, label, err);
    }
    tr_pg_table_free(table);
    free(label);
    return rc;
}

int
tr_pg_sink_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                 struct tr_error *err)
{
    struct checker c = { .sink = (struct tr_postgres_sink *)base, .findings = findings };
    int rc = check_server(&c, err);
    if (rc == 0)
        rc = learn_begun(&c, err);
    for (uint32_t i = 0; rc == 0 && schema != NULL && i < schema->ntables; i++)
        if (!schema->tables[i].relation->skip)
            rc = check_table(&c, schema->tables[i].relation, err);
    if (rc == 0 && schema != NULL)
        rc = tr_pg_check_shapes(c.sink, schema, findings, err);
    if (rc == 0 && c.makes && strcmp(schema->dialect, "postgresql") == 0)
        rc = tr_pg_check_required(c.sink, schema, findings, err);
    return rc;
}
