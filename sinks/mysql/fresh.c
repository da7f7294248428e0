/*
 * fresh.c - tables that this task has made and never loaded in full: nothing of them is kept when the source has changed its own since.
 *
 * What the source did while the load was dead is in no statement that the target could follow, and a shape that takes the rows may be the wrong one (two columns that exchanged their
 * names). So the statements that made the table are remembered as a hash (tailrace.table_fresh), and others make it anew. A second hash, of what the server shows of the table, tells it
 * from one that somebody else has made in its place or altered.
 */
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"
#include "sinks/mysql/tables.h"

/* What comes behind the rows, while the table is not known to be loaded. */
static bool
is_added_later(const char *line)
{
    static const char *const starts[] = { "KEY `",         "UNIQUE KEY `", "FULLTEXT KEY `",
                                          "SPATIAL KEY `", "VECTOR KEY `", "CONSTRAINT `" };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(line, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* The columns, the primary key and the options, without the counter. */
static uint64_t
hash_shown(const char *database, const char *create)
{
    static const char counter[] = " AUTO_INCREMENT=";
    struct tr_buffer text;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    tr_buffer_text(&text, database);
    for (const char *line = create; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *at = line[0] == ')' ? strstr(line, counter) : NULL;
        if (at != NULL && at < line + len) {
            tr_buffer_add(&text, line, (size_t)(at - line));
            line = at + sizeof counter - 1;
            line += strspn(line, "0123456789");
            continue;
        }
        if (!is_added_later(line + strspn(line, " ")))
            tr_buffer_add(&text, line, len - (len > 0 && line[len - 1] == ','));
        line += len + (line[len] == '\n');
    }
    uint64_t hash = tr_hash_bytes(0, text.data, text.len);
    tr_buffer_fini(&text);
    return hash;
}

/* *hash is 0 where there is no such table. */
static int
look(struct tr_mysql_sink *sink, const struct tr_relation *relation, uint64_t *hash, struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    const char *database = tr_my_database(sink, relation);
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SHOW CREATE TABLE ");
    tr_mysql_qualified(&sql, database, relation->target_name);
    int rc = tr_mysql_query(sink->meta, sql.data, &res, err);
    unsigned number = rc < 0 ? mysql_errno(sink->meta) : 0;
    if (number == ER_NO_SUCH_TABLE || number == ER_BAD_DB_ERROR) {
        tr_error_clear(err);
        rc = 0;
    }
    MYSQL_ROW row = rc == 0 && res != NULL ? mysql_fetch_row(res) : NULL;
    *hash = row != NULL && row[1] != NULL ? hash_shown(database, row[1]) : 0;
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    return rc;
}

/* Of what is made before the rows. 0: it is not made here. */
static uint64_t
hash_statements(const struct tr_ddl *ddl, uint32_t table)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < ddl->count && ddl->statements[i].phase == TR_DDL_BEFORE; i++)
        if (ddl->statements[i].table == table)
            hash = tr_hash_bytes(hash, ddl->statements[i].sql, strlen(ddl->statements[i].sql));
    return hash;
}

int
tr_my_note_fresh(struct tr_mysql_sink *sink, const struct tr_schema *schema, const struct tr_ddl *ddl,
                 uint32_t table, struct tr_error *err)
{
    uint64_t shown = 0;
    const struct tr_relation *relation = schema->tables[table].relation;
    int rc = look(sink, relation, &shown, err);
    return rc < 0 ? rc : tr_my_mark_fresh(sink, relation, hash_statements(ddl, table), shown, err);
}

/* By a foreign key of another table. */
static int
is_referred_to(struct tr_mysql_sink *sink, const struct tr_relation *relation, bool *is, struct tr_error *err)
{
    struct tr_buffer sql;
    char *one = NULL;
    const char *database = tr_my_database(sink, relation), *name = relation->target_name;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql,
                   "SELECT 1 FROM information_schema.key_column_usage WHERE referenced_table_schema = ");
    tr_mysql_literal(&sql, database, strlen(database));
    tr_buffer_text(&sql, " AND referenced_table_name = ");
    tr_mysql_literal(&sql, name, strlen(name));
    tr_buffer_text(
        &sql,
        " AND NOT (table_schema = referenced_table_schema AND table_name = referenced_table_name) LIMIT 1");
    int rc = tr_mysql_query_text(sink->meta, sql.data, &one, err);
    *is = one != NULL;
    free(one);
    tr_buffer_fini(&sql);
    return rc;
}

/* Rows are ours alone where the load was begun, and where none were let be before it. */
static int
is_ours_alone(struct tr_mysql_sink *sink, const struct tr_relation *relation, uint64_t shown, bool begun,
              bool *ours, struct tr_error *err)
{
    struct tr_my_table *table = NULL;
    const char *policy = tr_setting_string(sink->base.env->settings, "on_existing");
    bool append = policy != NULL && strcmp(policy, "append") == 0, no = false;
    uint64_t now = 0;
    *ours = false;
    int rc = look(sink, relation, &now, err);
    if (rc < 0 || now == 0 || now != shown)
        return rc;
    rc = is_referred_to(sink, relation, &no, err);
    if (rc == 0 && !no)
        rc = tr_my_table_read(sink->meta, tr_my_database(sink, relation), relation->target_name, &table, err);
    if (rc == 0 && table != NULL) {
        no = table->has_triggers;
        if (!no && (!begun || append))
            rc = tr_my_has_rows(sink, table, &no, err);
        *ours = rc == 0 && !no;
    }
    tr_my_table_free(table);
    return rc;
}

static int
drop(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    const char *database = tr_my_database(sink, relation);
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "DROP TABLE ");
    tr_mysql_qualified(&sql, database, relation->target_name);
    int rc = tr_mysql_query(sink->meta, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return tr_error_prefix(err, "dropping %s.%s, whose load was cut short, at the target", database,
                               relation->target_name);
    tr_log(sink->base.env->log, TR_LOG_INFO, "sink",
           "table %s.%s is made anew: its load was cut short, and the source has changed its own since",
           database, relation->target_name);
    return 0;
}

static const struct tr_relation *
find(const struct tr_schema *schema, const char *name, uint32_t *table)
{
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        size_t len = strlen(relation->schema);
        if (strncmp(name, relation->schema, len) != 0 || name[len] != '.' ||
            strcmp(name + len + 1, relation->name) != 0)
            continue;
        *table = t;
        return relation->skip || schema->tables[t].settled ? NULL : relation;
    }
    return NULL;
}

int
tr_my_drop_outgrown(struct tr_mysql_sink *sink, const struct tr_schema *schema, const struct tr_ddl *ddl,
                    struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    int rc = tr_my_fresh_tables(sink, &res, err);
    for (MYSQL_ROW row; rc == 0 && res != NULL && (row = mysql_fetch_row(res)) != NULL;) {
        uint32_t table = 0;
        bool ours = false;
        const struct tr_relation *relation = find(schema, row[0], &table);
        uint64_t statement = relation != NULL ? hash_statements(ddl, table) : 0;
        if (statement == 0 || statement == strtoull(row[1], NULL, 10))
            continue;
        rc = is_ours_alone(sink, relation, strtoull(row[2], NULL, 10), row[3][0] == '1', &ours, err);
        if (rc == 0 && ours)
            rc = drop(sink, relation, err);
    }
    mysql_free_result(res);
    return rc;
}
