/* check.c - what would stop or hurt a task at a PostgreSQL target, each finding with the SQL that mends it. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/postgres/apply.h"

struct checker {
    struct tr_postgres_sink *sink;
    const struct tr_findings *findings;
};

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
            NULL);
    free(answer);
    if (rc < 0)
        return rc;
    if (!c->sink->replica_role) {
        char *sql = tr_asprintf("GRANT SET ON PARAMETER session_replication_role TO \"%s\";",
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
        char *sql = tr_asprintf("GRANT CREATE ON DATABASE \"%s\" TO \"%s\";", PQdb(c->sink->meta),
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
        char *sql = tr_asprintf("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON \"%s\".\"%s\" TO \"%s\";",
                                table->schema, table->name, PQuser(c->sink->meta));
        add(c, TR_FINDING_ERROR, "postgresql-target-privileges", label,
            "the target's user lacks privileges on the table", sql);
        free(sql);
    }
    PQclear(res);
    free(oid);
    return rc;
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
            add(c, TR_FINDING_WARNING, "postgresql-target-generated", label, note, NULL);
            free(note);
        }
        if (column->generated || there >= 0)
            continue;
        char *text = tr_asprintf("the target's table lacks column \"%s\"", column->name);
        char *sql = tr_asprintf("ALTER TABLE \"%s\".\"%s\" ADD COLUMN \"%s\" %s;", table->schema, table->name,
                                column->name, column->native != NULL ? column->native : "...");
        add(c, TR_FINDING_ERROR, "postgresql-target-column", label, text, sql);
        free(text);
        free(sql);
    }
    if (table->fires)
        add(c, TR_FINDING_WARNING, "postgresql-target-triggers", label,
            "the table has triggers or rules that are enabled ALWAYS or REPLICA, or an exclusion constraint: its changes are applied one group"
            " at a time, and the triggers fire again",
            NULL);
    bool unique = false;
    for (uint16_t i = 0; i < table->nuniques; i++)
        unique = unique || table->uniques[i].addresses;
    if (!unique)
        add(c, TR_FINDING_WARNING, "postgresql-target-key", label,
            "the target's table has no primary key or unique index over NOT NULL columns: each update and delete reads the whole table",
            NULL);
}

static int
check_table(struct checker *c, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_pg_table *table;
    char *label = tr_asprintf("%s.%s", relation->target_schema, relation->target_name);
    int rc = tr_pg_table_read(c->sink, relation->target_schema, relation->target_name, &table, err);
    bool expected = strcmp(tr_setting_string(c->sink->base.env->settings, "schema"), "expect") == 0 ||
                    strcmp(tr_setting_string(c->sink->base.env->settings, "mode"), "cdc") == 0;
    if (rc == 0 && table == NULL && expected)
        add(c, TR_FINDING_ERROR, "postgresql-target-table", label,
            "the target has no such table, and this task does not make tables", NULL);
    if (rc == 0 && table != NULL) {
        rc = check_privileges(c, table, label, err);
        check_shape(c, relation, table, label);
    }
    tr_pg_table_free(table);
    free(label);
    return rc;
}

int
tr_pg_sink_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                 struct tr_error *err)
{
    struct checker c = { (struct tr_postgres_sink *)base, findings };
    int rc = check_server(&c, err);
    for (uint32_t i = 0; rc == 0 && schema != NULL && i < schema->ntables; i++)
        rc = check_table(&c, schema->tables[i].relation, err);
    return rc;
}
