/*
 * copies.c - what an online schema change does to its copy of a table, which takes the table's place in the end.
 *
 * The copy's rows and statements are left out, and its table is never made at the target. Its ALTER TABLE may be many hours and several runs of the task before the exchange of
 * names, and by then the source's catalogue may know other indexes and defaults, or a column no more. So two tables at the target keep what the statement says until the exchange:
 * tailrace.copy_statement its words, for a target of the same engine, which then runs them on the table itself; tailrace.copy_column the columns that it adds, in the target's own
 * words, for the other engine of the family, and where the statement cannot be run.
 */
#include <mysqld_error.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

static const char make_statements[] =
    "CREATE TABLE IF NOT EXISTS tailrace.copy_statement (number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, task VARCHAR(128) NOT NULL, copy VARCHAR(130) NOT NULL,"
    " clauses LONGTEXT NOT NULL, began_us BIGINT NOT NULL, sql_mode BIGINT NOT NULL, time_zone VARCHAR(64), utc_offset VARCHAR(8), settings VARCHAR(2000), KEY (task, copy))"
    " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
static const char make_sql[] =
    "CREATE TABLE IF NOT EXISTS tailrace.copy_column (task VARCHAR(128) NOT NULL, copy VARCHAR(130) NOT NULL, name VARCHAR(64) NOT NULL,"
    " definition LONGTEXT NOT NULL, began_us BIGINT NOT NULL, time_zone VARCHAR(64), utc_offset VARCHAR(8), number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,"
    " PRIMARY KEY (task, copy, name), KEY (number)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

enum { NUMBER, CLAUSES = 3, BEGAN_US, SQL_MODE, TIME_ZONE, UTC_OFFSET, SETTINGS }; /* of the first */

struct copies {
    struct tr_mysql_sink *sink;
    const struct tr_event *event;
    char *copy; /* "database.table" at the source */
    struct tr_buffer sql;
};

static void
copies_init(struct copies *c, struct tr_mysql_sink *sink, const struct tr_event *event,
            const struct tr_ddl_table *table)
{
    *c = (struct copies){ .sink = sink, .event = event };
    c->copy = tr_asprintf("%s.%s", table->schema, table->name);
    tr_buffer_init(&c->sql, TR_BUFFER_MAX);
}

static void
copies_fini(struct copies *c)
{
    free(c->copy);
    tr_buffer_fini(&c->sql);
}

static void
literal(struct copies *c, const char *text)
{
    if (text != NULL)
        tr_mysql_literal(&c->sql, text, strlen(text));
    else
        tr_buffer_text(&c->sql, "NULL");
}

/* "... WHERE task = ... AND copy = ... [AND name = ...]" */
static void
begin(struct copies *c, const char *what, const char *column)
{
    tr_buffer_reset(&c->sql);
    tr_buffer_printf(&c->sql, "%s WHERE task = ", what);
    literal(c, c->sink->base.env->task);
    tr_buffer_text(&c->sql, " AND copy = ");
    literal(c, c->copy);
    if (column == NULL)
        return;
    tr_buffer_text(&c->sql, " AND name = ");
    literal(c, column);
}

/* Nothing is known of any copy as long as there is no table. */
static int
run(struct copies *c, MYSQL_RES **res, struct tr_error *err)
{
    int rc = tr_mysql_query(c->sink->meta, c->sql.data, res, err);
    if (rc == 0 ||
        (mysql_errno(c->sink->meta) != ER_NO_SUCH_TABLE && mysql_errno(c->sink->meta) != ER_BAD_DB_ERROR))
        return rc;
    tr_error_clear(err);
    return 0;
}

/* ------------------------------------------------------------------------------------------- what the copy's statements say */

/* What stands behind the copy's name, other tables under their names at the target. */
static void
write_words(const struct tr_event *event, struct tr_buffer *out)
{
    const struct tr_ddl_table *tables = event->ddl.tables;
    size_t at = tables[0].at + tables[0].len;
    for (uint32_t i = 1; i < event->ddl.ntables; i++) {
        tr_buffer_add(out, event->ddl.text + at, tables[i].at - at);
        tr_mysql_qualified(out, tables[i].target_schema, tables[i].target_name);
        at = tables[i].at + tables[i].len;
    }
    tr_buffer_text(out, event->ddl.text + at);
}

/*
 * Does the tool, as it copies, give the new column other values than the statement would in the table itself? The copy was empty: a default is evaluated as the rows come, and a column that
 * was dropped for another of its name gets the old one's values.
 */
static bool
is_filled_by_tool(const struct tr_event *event, const struct tr_column *column)
{
    const struct tr_relation *defined = event->ddl.defined;
    for (uint16_t i = 0; i < defined->ncolumns; i++)
        if (event->ddl.columns[i].action == TR_DDL_DROP &&
            strcasecmp(defined->columns[i].name, column->name) == 0)
            return true;
    return column->auto_increment || tr_my_is_evaluated(column->default_expression);
}

/* What the table itself is to get, and the tool has made in the copy. */
static bool
is_noted(const struct tr_event *event, const struct tr_column *column)
{
    return !column->generated && !is_filled_by_tool(event, column);
}

/* Can it be run on the table itself? */
static bool
is_repeatable(const struct tr_event *event)
{
    const struct tr_relation *defined = event->ddl.defined;
    for (uint16_t i = 0; defined != NULL && i < defined->ncolumns; i++)
        if (event->ddl.columns[i].action == TR_DDL_ADD && is_filled_by_tool(event, &defined->columns[i]))
            return false;
    return true;
}

/* What else of its session changes what it means for a table that has no rows: "timestamps locale collations". */
static void
write_settings(struct copies *c)
{
    const struct tr_ddl_settings *settings = c->event->ddl.settings;
    char text[2000];
    if (settings != NULL)
        snprintf(text, sizeof text, "%u %u %s", settings->timestamps, settings->locale,
                 settings->collations != NULL ? settings->collations : "-");
    literal(c, settings != NULL ? text : NULL);
}

/* text: as above, NULL where an older version wrote it. */
static void
read_settings(const char *text, struct tr_ddl_settings *settings)
{
    char *at;
    *settings = (struct tr_ddl_settings){ 0 };
    if (text == NULL)
        return;
    settings->timestamps = (uint8_t)strtoul(text, &at, 10);
    settings->locale = (uint16_t)strtoul(at, &at, 10);
    if (*at == ' ' && at[1] != '-')
        settings->collations = at + 1;
}

/* A table of an older version has one column less. */
static int
insert(struct copies *c, struct tr_error *err)
{
    MYSQL *conn = c->sink->meta;
    int rc = tr_mysql_query(conn, c->sql.data, NULL, err);
    if (rc == 0 || mysql_errno(conn) != ER_BAD_FIELD_ERROR)
        return rc;
    tr_error_clear(err);
    rc = tr_mysql_query(conn, "ALTER TABLE tailrace.copy_statement ADD COLUMN settings VARCHAR(2000)", NULL,
                        err);
    return rc == 0 ? tr_mysql_query(conn, c->sql.data, NULL, err) : rc;
}

/* The same statement again, after a crash, takes the place of itself. */
static int
keep_statement(struct copies *c, struct tr_error *err)
{
    const struct tr_event *event = c->event;
    struct tr_buffer words;
    if (!is_repeatable(event))
        return 0;
    for (uint32_t i = 1; i < event->ddl.ntables; i++)
        if (event->ddl.tables[i].renamed)
            return 0;
    int rc = tr_mysql_query(c->sink->meta, make_statements, NULL, err);
    if (rc < 0)
        return tr_error_prefix(err, "making table tailrace.copy_statement at the target");
    tr_buffer_init(&words, TR_BUFFER_MAX);
    write_words(event, &words);
    begin(c, "DELETE FROM tailrace.copy_statement", NULL);
    tr_buffer_printf(&c->sql, " AND began_us = %" PRId64 " AND clauses = ", event->ddl.began_us);
    literal(c, words.data);
    rc = tr_mysql_query(c->sink->meta, c->sql.data, NULL, err);
    tr_buffer_reset(&c->sql);
    tr_buffer_text(
        &c->sql,
        "INSERT INTO tailrace.copy_statement (task, copy, clauses, time_zone, utc_offset, began_us, sql_mode, settings) VALUES (");
    const char *values[] = { c->sink->base.env->task, c->copy, words.data, event->ddl.time_zone,
                             event->ddl.offset };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        literal(c, values[i]);
        tr_buffer_text(&c->sql, ", ");
    }
    tr_buffer_printf(&c->sql, "%" PRId64 ", %" PRId64 ", ", event->ddl.began_us, event->ddl.sql_mode);
    write_settings(c);
    tr_buffer_text(&c->sql, ")");
    tr_buffer_fini(&words);
    return rc < 0 ? rc : insert(c, err);
}

static int
forget(struct copies *c, const char *column, struct tr_error *err)
{
    begin(c, "DELETE FROM tailrace.copy_column", column);
    return run(c, NULL, err);
}

static int
forget_all(struct copies *c, struct tr_error *err)
{
    begin(c, "DELETE FROM tailrace.copy_statement", NULL);
    int rc = run(c, NULL, err);
    return rc < 0 ? rc : forget(c, NULL, err);
}

static int
keep(struct copies *c, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer definition;
    const struct tr_event *event = c->event;
    int rc = tr_mysql_query(c->sink->meta, make_sql, NULL, err);
    if (rc < 0)
        return tr_error_prefix(err, "making table tailrace.copy_column at the target");
    tr_buffer_init(&definition, TR_BUFFER_MAX);
    tr_my_write_definition(c->sink, column, &definition);
    tr_buffer_reset(&c->sql);
    tr_buffer_text(
        &c->sql,
        "REPLACE INTO tailrace.copy_column (task, copy, name, definition, time_zone, utc_offset, began_us) VALUES (");
    const char *values[] = { c->sink->base.env->task, c->copy,          column->name, definition.data,
                             event->ddl.time_zone,    event->ddl.offset };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        literal(c, values[i]);
        tr_buffer_text(&c->sql, ", ");
    }
    tr_buffer_printf(&c->sql, "%" PRId64 ")", event->ddl.began_us);
    tr_buffer_fini(&definition);
    return tr_mysql_query(c->sink->meta, c->sql.data, NULL, err);
}

static int
is_kept(struct copies *c, const char *column, bool *kept, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    begin(c, "SELECT 1 FROM tailrace.copy_column", column);
    int rc = run(c, &res, err);
    *kept = res != NULL && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    return rc;
}

/* Defined anew, a column of the copy that was kept is kept so: the copy is altered before it is filled. */
static int
keep_defined(struct copies *c, const char *from, const struct tr_column *column, struct tr_error *err)
{
    bool kept;
    int rc = is_kept(c, from, &kept, err);
    if (rc == 0 && kept)
        rc = forget(c, from, err);
    return rc == 0 && kept ? keep(c, column, err) : rc;
}

static int
keep_renamed(struct copies *c, const struct tr_ddl_rename *rename, struct tr_error *err)
{
    struct tr_buffer set;
    tr_buffer_init(&set, (size_t)1 << 16);
    tr_buffer_text(&set, "UPDATE tailrace.copy_column SET name = ");
    tr_mysql_literal(&set, rename->to, strlen(rename->to));
    begin(c, set.data, rename->from);
    tr_buffer_fini(&set);
    return run(c, NULL, err);
}

/* CHANGE is told both as a renaming and as a definition: the definition comes first, and leaves nothing to rename. */
static int
note_columns(struct copies *c, struct tr_error *err)
{
    const struct tr_event *event = c->event;
    const struct tr_relation *defined = event->ddl.defined;
    int rc = 0;
    for (uint16_t i = 0; defined != NULL && rc == 0 && i < defined->ncolumns; i++) {
        const struct tr_column *column = &defined->columns[i];
        switch (event->ddl.columns[i].action) {
        case TR_DDL_ADD: rc = is_noted(event, column) ? keep(c, column, err) : 0; break;
        case TR_DDL_DROP: rc = forget(c, column->name, err); break;
        default: rc = column->generated ? 0 : keep_defined(c, event->ddl.columns[i].from, column, err); break;
        }
    }
    for (uint32_t i = 0; rc == 0 && i < event->ddl.nrenames; i++)
        rc = keep_renamed(c, &event->ddl.renames[i], err);
    return rc;
}

/* ------------------------------------------------------------------------------------------- the exchange */

/* The columns that the target's table lacks, as clauses of ALTER TABLE; the session of the last of them in `own`. */
static int
write_clauses(struct copies *c, const struct tr_my_table *table, struct tr_batch *texts, struct tr_event *own,
              struct tr_buffer *clauses, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    begin(c, "SELECT name, definition, began_us, time_zone, utc_offset FROM tailrace.copy_column", NULL);
    tr_buffer_text(&c->sql, " ORDER BY number");
    int rc = run(c, &res, err);
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (tr_my_table_column(table, row[0]) >= 0)
            continue;
        tr_buffer_text(clauses, clauses->len > 0 ? ", ADD COLUMN " : " ADD COLUMN ");
        tr_mysql_identifier(clauses, row[0]);
        tr_buffer_text(clauses, row[1]);
        own->ddl.began_us = strtoll(row[2], NULL, 10);
        own->ddl.time_zone = tr_arena_strdup(&texts->arena, row[3]);
        own->ddl.offset = tr_arena_strdup(&texts->arena, row[4]);
    }
    mysql_free_result(res);
    return rc;
}

/* Rows of before may stand against a new key, where the tool has left some out; the table may be another than the source's. Then it is as for another engine, and that is said. */
static int
settle_failure(struct copies *c, const struct tr_ddl_table *of, int rc, struct tr_error *err)
{
    if (rc != -TR_REFUSED)
        return rc;
    tr_error_prefix(err, "table %s.%s has been exchanged for a copy by an online schema change", of->schema,
                    of->name);
    tr_error_hint(
        err,
        "columns that it adds are added; run the rest of the statement at the target, once it can be run there");
    tr_log_error(c->sink->base.env->log, TR_LOG_WARNING, "sink", err);
    tr_error_clear(err);
    return 0;
}

/* The copy's statements, in their order, on the table whose place it takes; each is forgotten when it is done. */
static int
run_statements(struct copies *c, const struct tr_sql_group *group, const struct tr_ddl_table *of,
               struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    begin(c, "SELECT * FROM tailrace.copy_statement", NULL); /* an older version's may have fewer columns */
    tr_buffer_text(&c->sql, " ORDER BY number");
    int rc = run(c, &res, err);
    while (rc == 0 && res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        struct tr_event own = { .kind = TR_DDL };
        struct tr_ddl_settings settings;
        read_settings(mysql_num_fields(res) > SETTINGS ? row[SETTINGS] : NULL, &settings);
        own.ddl.began_us = strtoll(row[BEGAN_US], NULL, 10);
        own.ddl.sql_mode = strtoll(row[SQL_MODE], NULL, 10);
        own.ddl.time_zone = row[TIME_ZONE];
        own.ddl.offset = row[UTC_OFFSET];
        own.ddl.settings = &settings;
        uint32_t part = c->event->ddl.ntables + (uint32_t)strtoul(row[NUMBER], NULL, 10);
        rc = settle_failure(c, of, tr_my_carry_clauses(c->sink, group, &own, of, row[CLAUSES], part, err),
                            err);
        tr_buffer_reset(&c->sql);
        tr_buffer_printf(&c->sql, "DELETE FROM tailrace.copy_statement WHERE number = %s", row[NUMBER]);
        if (rc == 0)
            rc = run(c, NULL, err);
    }
    mysql_free_result(res);
    return rc;
}

/* A table of ours gets what its copy, which takes its place, had more. */
static int
take_over(struct copies *c, const struct tr_sql_group *group, uint32_t at, struct tr_error *err)
{
    const struct tr_ddl_table *of = &c->event->ddl.tables[at + 1];
    struct tr_event own = { .kind = TR_DDL };
    struct tr_my_table *table = NULL;
    struct tr_buffer clauses;
    own.ddl.sql_mode = -1;
    int rc = tr_my_carries_statements(c->sink) ? run_statements(c, group, of, err) : 0;
    if (rc == 0)
        rc = tr_my_table_read(c->sink->meta, of->target_schema, of->target_name, &table, err);
    if (rc < 0)
        return rc;
    tr_buffer_init(&clauses, TR_BUFFER_MAX);
    if (table != NULL)
        rc = write_clauses(c, table, group->first, &own, &clauses, err);
    if (rc == 0 && clauses.len > 0)
        rc = tr_my_carry_clauses(c->sink, group, &own, of, clauses.data, at, err);
    tr_buffer_fini(&clauses);
    tr_my_table_free(table);
    return rc < 0 ? rc : forget_all(c, err);
}

static int
note_alter(struct copies *c, struct tr_error *err)
{
    int rc = tr_my_carries_statements(c->sink) ? keep_statement(c, err) : 0;
    return rc < 0 ? rc : note_columns(c, err);
}

int
tr_my_copies(struct tr_mysql_sink *sink, const struct tr_sql_group *group, const struct tr_event *event,
             struct tr_error *err)
{
    char base[260];
    int rc = 0;
    if (sink->ddl != TR_MY_DDL_APPLY || sink->from_postgresql)
        return 0;
    for (uint32_t i = 0; rc == 0 && i < event->ddl.ntables; i++) {
        const struct tr_ddl_table *table = &event->ddl.tables[i];
        struct copies c;
        bool exchange = event->ddl.verb == TR_VERB_RENAME_TABLE && i % 2 == 0 && i + 1 < event->ddl.ntables &&
                        event->ddl.tables[i + 1].wanted;
        if (!table->left_out || !tr_mysql_copied_table(table->name, base, sizeof base))
            continue;
        copies_init(&c, sink, event, table);
        if (exchange)
            rc = take_over(&c, group, i, err);
        else if (event->ddl.verb == TR_VERB_ALTER_TABLE && i == 0)
            rc = note_alter(&c, err);
        else if (event->ddl.verb == TR_VERB_CREATE_TABLE || event->ddl.verb == TR_VERB_DROP_TABLE)
            rc = i == 0 || event->ddl.verb == TR_VERB_DROP_TABLE ? forget_all(&c, err) : 0;
        copies_fini(&c);
    }
    return rc;
}
