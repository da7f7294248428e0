/*
 * rekey.c - the source, of another engine, exchanged a table's primary key: so does the target, before the rows that only the new key tells apart (docs/ddl.md).
 *
 * In a table that the task has made, or whose key was the source's old one. A key that cannot be exchanged stays: that is said, with the statement, and tried again at the next start.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/schema.h"
#include "sinks/mysql/apply.h"

static const struct tr_my_unique *
primary_of(const struct tr_my_table *table)
{
    for (uint16_t u = 0; u < table->nuniques; u++)
        if (table->uniques[u].primary)
            return &table->uniques[u];
    return NULL;
}

static int
place_of(const struct tr_mysql_sink *sink, const struct tr_relation *relation,
         const struct tr_my_table *table, const struct tr_column *column)
{
    const struct tr_my_shape *shape = sink->apply != NULL ? tr_my_shape_find(&sink->apply->shapes, relation)
                                                          : NULL;
    return tr_my_shape_column(shape, table, column);
}

/* The column of `after` that one of `before` is; PostgreSQL numbers a column for life. */
static const struct tr_column *
later(const struct tr_mysql_sink *sink, const struct tr_column *column, const struct tr_relation *after)
{
    for (uint16_t i = 0; i < after->ncolumns; i++) {
        bool numbered = sink->from_postgresql && column->number > 0 && after->columns[i].number > 0;
        if (numbered ? after->columns[i].number == column->number
                     : strcmp(after->columns[i].name, column->name) == 0)
            return &after->columns[i];
    }
    return column;
}

/* Is the target's primary key that of `of`, whose columns are called as in `now`? */
static bool
has_key(const struct tr_mysql_sink *sink, const struct tr_my_table *table, const struct tr_relation *of,
        const struct tr_relation *now)
{
    const struct tr_my_unique *primary = primary_of(table);
    bool same = of->nkeys == (primary != NULL ? primary->ncolumns : 0);
    for (uint16_t i = 0; same && i < of->nkeys; i++)
        same = place_of(sink, now, table, later(sink, &of->columns[of->keys[i]], now)) == primary->columns[i];
    return same;
}

bool
tr_my_key_differs(const struct tr_mysql_sink *sink, const struct tr_relation *relation,
                  const struct tr_my_table *table)
{
    if (sink->ddl != TR_MY_DDL_APPLY || tr_my_carries_statements(sink) ||
        has_key(sink, table, relation, relation))
        return false;
    for (uint16_t i = 0; i < relation->nkeys; i++) {
        const struct tr_column *column = &relation->columns[relation->keys[i]];
        if (place_of(sink, relation, table, column) < 0 ||
            column->key != i + 1) /* or a column list has some of it */
            return false;
    }
    return true;
}

/* A column that counts must lead an index; a long text is none of a key. */
static void
write_columns(const struct tr_mysql_sink *sink, const struct tr_relation *relation,
              const struct tr_my_table *table, struct tr_buffer *sql)
{
    const struct tr_my_unique *primary = primary_of(table);
    struct tr_buffer type, note;
    tr_buffer_init(&type, (size_t)1 << 16);
    tr_buffer_init(&note, (size_t)1 << 16);
    for (uint16_t i = 0; primary != NULL && i < primary->ncolumns; i++) {
        int first = relation->nkeys > 0
                        ? place_of(sink, relation, table, &relation->columns[relation->keys[0]])
                        : -1;
        if (!table->columns[primary->columns[i]].auto_increment || first == primary->columns[i])
            continue;
        tr_buffer_text(sql, ", ADD KEY (");
        tr_mysql_identifier(sql, table->columns[primary->columns[i]].name);
        tr_buffer_byte(sql, ')');
    }
    for (uint16_t i = 0; i < relation->nkeys; i++) {
        const struct tr_column *column = &relation->columns[relation->keys[i]];
        const struct tr_my_column *here = &table->columns[place_of(sink, relation, table, column)];
        if (strcasestr(here->type, "text") == NULL && strcasestr(here->type, "blob") == NULL)
            continue;
        tr_buffer_reset(&type);
        tr_convert_to_mysql(sink->base.env->source_dialect, column, &sink->target, TR_CONVERT_KEYED,
                            relation->nkeys, &type, &note);
        tr_buffer_text(sql, ", MODIFY COLUMN ");
        tr_mysql_identifier(sql, here->name);
        tr_buffer_printf(sql, " %s NOT NULL", type.data);
    }
    tr_buffer_fini(&note);
    tr_buffer_fini(&type);
}

static int
exchange(struct tr_mysql_sink *sink, const struct tr_relation *relation, const struct tr_my_table *table,
         bool *changed, struct tr_error *err)
{
    struct tr_buffer sql, parts;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_init(&parts, (size_t)1 << 20);
    tr_buffer_text(&parts, primary_of(table) != NULL ? ", DROP PRIMARY KEY" : "");
    write_columns(sink, relation, table, &parts);
    for (uint16_t i = 0; i < relation->nkeys; i++) {
        tr_buffer_text(&parts, i > 0 ? ", " : ", ADD PRIMARY KEY (");
        tr_mysql_identifier(
            &parts,
            table->columns[place_of(sink, relation, table, &relation->columns[relation->keys[i]])].name);
    }
    tr_buffer_text(&parts, relation->nkeys > 0 ? ")" : "");
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, table->database, table->name);
    tr_buffer_printf(&sql, " %s", parts.data + 2);
    int rc = tr_my_run_change(sink, table, sql.data, err);
    *changed = *changed || rc == 0;
    if (rc == -TR_REFUSED) {
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "table %s.%s: the source has another primary key, and the target keeps its own: rows that only the new one tells apart will be refused. %s",
            table->database, table->name, err->text);
        tr_error_clear(err);
        rc = 0;
    }
    tr_buffer_fini(&parts);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_my_follow_key(struct tr_mysql_sink *sink, const struct tr_relation *before,
                 const struct tr_relation *relation, bool *changed, struct tr_error *err)
{
    struct tr_my_table *table = NULL;
    bool ours = false;
    int rc = tr_my_table_read(sink->meta, tr_my_database(sink, relation), relation->target_name, &table, err);
    if (rc < 0 || table == NULL || !tr_my_key_differs(sink, relation, table)) {
        tr_my_table_free(table);
        return rc;
    }
    if (before != NULL)
        ours = has_key(sink, table, before, relation);
    if (!ours)
        rc = tr_my_was_made(sink, relation, &ours, err);
    if (rc == 0 && ours)
        rc = exchange(sink, relation, table, changed, err);
    tr_my_table_free(table);
    return rc;
}
