/*
 * indexes.c - which indexes of a table are not the source's: after an online schema change, whose statements are about a copy and may not all have been kept.
 *
 * Both ends are of one engine and say them alike, line by line in SHOW CREATE TABLE. Their names do not count.
 */
#include <string.h>

#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/mysql/apply.h"
#include "sinks/mysql/tables.h"

/* "UNIQUE KEY `name` (`a`,`b`) USING BTREE": pieces of a text that is another's. */
struct index {
    const char *line;
    size_t name, behind, len; /* offsets of the name and of what follows it */
};

static bool
read_index(const char *line, size_t len, struct index *index)
{
    static const char *const starts[] = { "KEY `", "UNIQUE KEY `", "FULLTEXT KEY `", "SPATIAL KEY `",
                                          "VECTOR KEY `" };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t head = strlen(starts[i]), at = head;
        if (len < head || strncmp(line, starts[i], head) != 0)
            continue;
        for (; at < len && (line[at] != '`' || (at + 1 < len && line[at + 1] == '`')); at++)
            at += line[at] == '`';
        *index = (struct index){ line, head - 1, at < len ? at + 1 : len, len };
        return true;
    }
    return false;
}

static bool
says_the_same(const struct index *a, const struct index *b)
{
    return a->name == b->name && memcmp(a->line, b->line, a->name) == 0 &&
           a->len - a->behind == b->len - b->behind &&
           memcmp(a->line + a->behind, b->line + b->behind, a->len - a->behind) == 0;
}

static bool
source_index(const struct tr_object *object, struct index *index)
{
    return (object->kind == TR_OBJECT_INDEX || object->kind == TR_OBJECT_UNIQUE) && object->native != NULL &&
           read_index(object->native, strlen(object->native), index);
}

/* The next index of a CREATE TABLE's text from *at on. */
static bool
next_index(const char **at, struct index *index)
{
    while (**at != '\0') {
        const char *line = *at + strspn(*at, " ");
        size_t len = strcspn(line, "\n");
        *at = line + len + (line[len] == '\n');
        if (read_index(line, len > 0 && line[len - 1] == ',' ? len - 1 : len, index))
            return true;
    }
    return false;
}

static bool
source_has(const struct tr_table *table, const struct index *wanted)
{
    struct index index;
    for (uint32_t i = 0; i < table->nobjects; i++)
        if (source_index(&table->objects[i], &index) && says_the_same(&index, wanted))
            return true;
    return false;
}

static bool
target_has(const char *create, const struct index *wanted)
{
    struct index index;
    while (next_index(&create, &index))
        if (says_the_same(&index, wanted))
            return true;
    return false;
}

/* What ALTER TABLE would have to do: one clause for each index of one end only. */
static void
write_clauses(const struct tr_table *table, const char *create, struct tr_buffer *clauses)
{
    struct index index;
    for (const char *at = create; next_index(&at, &index);)
        if (!source_has(table, &index))
            tr_buffer_printf(clauses, "%s DROP KEY %.*s", clauses->len > 0 ? "," : "",
                             (int)(index.behind - index.name), index.line + index.name);
    for (uint32_t i = 0; i < table->nobjects; i++)
        if (source_index(&table->objects[i], &index) && !target_has(create, &index))
            tr_buffer_printf(clauses, "%s ADD %s", clauses->len > 0 ? "," : "", table->objects[i].native);
}

static void
warn(const struct tr_mysql_sink *sink, const struct tr_table *table, const char *clauses)
{
    struct tr_buffer name;
    struct tr_error warning;
    tr_buffer_init(&name, 4096);
    tr_mysql_qualified(&name, tr_my_database(sink, table->relation), table->relation->target_name);
    tr_error_clear(&warning);
    tr_fail(
        &warning, TR_REFUSED,
        "table %s.%s has been exchanged for a copy by an online schema change, of which not all was carried: its indexes at the target are not the source's",
        table->relation->schema, table->relation->name);
    tr_error_hint(
        &warning,
        "run at the target, once its columns are there: ALTER TABLE %s%s; leave out what drops an index that is the target's own",
        name.data, clauses);
    tr_log_error(sink->base.env->log, TR_LOG_WARNING, "sink", &warning);
    tr_buffer_fini(&name);
}

int
tr_my_compare_indexes(struct tr_sink *base, const struct tr_table *table, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    struct tr_buffer sql, clauses;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_init(&clauses, TR_BUFFER_MAX);
    tr_buffer_text(&sql, "SHOW CREATE TABLE ");
    tr_mysql_qualified(&sql, tr_my_database(sink, table->relation), table->relation->target_name);
    int rc = tr_mysql_query(sink->meta, sql.data, &res, err);
    MYSQL_ROW row = rc == 0 && res != NULL ? mysql_fetch_row(res) : NULL;
    if (row != NULL && row[1] != NULL)
        write_clauses(table, row[1], &clauses);
    if (clauses.len > 0)
        warn(sink, table, clauses.data);
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    tr_buffer_fini(&clauses);
    return rc;
}
