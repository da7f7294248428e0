/*
 * sequences.c - MariaDB's sequences: their options and values for the target, and the rows that the log has of them.
 *
 * A sequence is a table of one row, and the log has a change of it as an inserted row. Those say what was taken ahead into the server's cache; the target is given the same
 * number when the load ends and when the stop is reached (pipeline/upkeep.c).
 */
#include "schema/sequence.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/mysql/internal.h"

#define AT_ONCE 200
#define TYPES_SINCE 110500 /* CREATE SEQUENCE ... AS type */

enum { V_PLACE, V_NEXT, V_MINIMUM, V_MAXIMUM, V_START, V_INCREMENT, V_CACHE, V_CYCLE, V_ROUND };

/* ---- options and values */

static int64_t
number(const struct tr_object *object, const char *text)
{
    return object->is_unsigned ? (int64_t)strtoull(text, NULL, 10) : strtoll(text, NULL, 10);
}

static bool
has_ended(const struct tr_object *s)
{
    if (s->is_unsigned)
        return (uint64_t)s->last_value > (uint64_t)s->maximum ||
               (uint64_t)s->last_value < (uint64_t)s->minimum;
    return s->last_value > s->maximum || s->last_value < s->minimum;
}

/* The next number that no server has in its cache. Beyond the last one the last one has been given out. */
static bool
take_values(struct tr_object *object, MYSQL_ROW row)
{
    struct tr_object before = *object;
    object->minimum = number(object, row[V_MINIMUM]);
    object->maximum = number(object, row[V_MAXIMUM]);
    object->start = number(object, row[V_START]);
    object->increment = strtoll(row[V_INCREMENT], NULL, 10);
    object->cache = strtoll(row[V_CACHE], NULL, 10);
    object->cycle = row[V_CYCLE][0] == '1';
    object->round = strtoll(row[V_ROUND], NULL, 10);
    object->last_value = number(object, row[V_NEXT]);
    object->is_called = has_ended(object);
    if (object->is_called)
        object->last_value = object->increment < 0 ? object->minimum : object->maximum;
    object->value_known = true;
    return !before.value_known || before.last_value != object->last_value ||
           before.is_called != object->is_called || before.round != object->round;
}

/* Returns 1 when a value is new. */
static int
ask_values(struct tr_mysql_source *source, struct tr_object *objects, uint32_t count, struct tr_error *err)
{
    static const char columns[] =
        ", next_not_cached_value, minimum_value, maximum_value, start_value, increment, cache_size, cycle_option, cycle_count FROM ";
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    int changed = 0;
    tr_buffer_init(&sql, (size_t)1 << 20);
    for (uint32_t i = 0; i < count; i++) {
        tr_buffer_printf(&sql, "%sSELECT %u%s", i > 0 ? " UNION ALL " : "", i, columns);
        tr_mysql_qualified(&sql, objects[i].schema, objects[i].name);
    }
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        tr_mysql_vanished(err);
        tr_error_prefix(err, "source: cannot read the values of sequences");
        return strstr(err->text, "(1142,") == NULL
                   ? rc
                   : tr_error_hint(err, "GRANT SELECT on the sequence to the account of the task, too");
    }
    while ((row = mysql_fetch_row(res)) != NULL) {
        unsigned long place = strtoul(row[V_PLACE], NULL, 10);
        if (place < count)
            changed |= take_values(&objects[place], row);
    }
    mysql_free_result(res);
    return changed;
}

int
tr_mysql_sequences(struct tr_source *base, struct tr_schema *schema, struct tr_error *err)
{
    /* The schema is ours, made on the heap, and lent to be changed. All its objects are sequences. */
    struct tr_object *objects = (struct tr_object *)(uintptr_t)schema->objects;
    int rc = 0, changed = 0;
    for (uint32_t i = 0; rc >= 0 && i < schema->nobjects; i += AT_ONCE) {
        uint32_t left = schema->nobjects - i;
        rc = ask_values(tr_mysql(base), &objects[i], left < AT_ONCE ? left : AT_ONCE, err);
        changed |= rc > 0;
    }
    return rc < 0 ? rc : changed;
}

/* "CREATE SEQUENCE `s` as tinyint unsigned start with 1 ..." */
static int
ask_type(struct tr_mysql_source *source, struct tr_arena *arena, struct tr_object *object,
         struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SHOW CREATE SEQUENCE ");
    tr_mysql_qualified(&sql, object->schema, object->name);
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        tr_mysql_vanished(err);
        return tr_error_prefix(err, "source: reading the definition of sequence %s.%s", object->schema,
                               object->name);
    }
    MYSQL_ROW row = mysql_fetch_row(res);
    const char *at = row != NULL && row[1] != NULL ? strstr(row[1], "` as ") : NULL;
    const char *end = at != NULL ? strstr(at, " start with ") : NULL;
    if (end != NULL)
        object->native = tr_arena_copy(arena, at + 5, (size_t)(end - at) - 5);
    object->is_unsigned = object->native != NULL && strcasestr(object->native, "unsigned") != NULL;
    mysql_free_result(res);
    return 0;
}

/* ---- which ones */

/* Does a default of a table ask for it? */
static bool
is_called(struct tr_schema *schema, const struct tr_object *sequence)
{
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const char *text = schema->tables[t].create;
        if (text == NULL || strstr(text, sequence->name) == NULL)
            continue;
        for (struct tr_sequence_call call; tr_sequence_call(&schema->arena, text, &call); text = call.to)
            if (strcmp(call.name, sequence->name) == 0 && call.schema != NULL &&
                strcmp(call.schema, sequence->schema) == 0)
                return true;
    }
    return false;
}

int
tr_mysql_read_sequences(struct tr_mysql_source *source, struct tr_schema *schema, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    int rc = tr_mysql_ask(
        source,
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_TYPE = 'SEQUENCE'"
        " AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'tailrace') ORDER BY 1, 2",
        &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the catalogue");
    struct tr_object *objects = tr_arena_zalloc(&schema->arena,
                                                (size_t)mysql_num_rows(res) * sizeof *objects + 1);
    uint32_t count = 0;
    while ((row = mysql_fetch_row(res)) != NULL) {
        struct tr_object *object = &objects[count];
        *object = (struct tr_object){ .kind = TR_OBJECT_SEQUENCE, .schema = row[0], .name = row[1] };
        if (!tr_mysql_wants(source, row[0], row[1]) && !is_called(schema, object))
            continue;
        object->schema = tr_arena_strdup(&schema->arena, row[0]);
        object->name = tr_arena_strdup(&schema->arena, row[1]);
        object->comment = row[2] != NULL && row[2][0] != '\0' ? tr_arena_strdup(&schema->arena, row[2])
                                                              : NULL;
        count++;
    }
    mysql_free_result(res);
    schema->objects = objects;
    schema->nobjects = count;
    for (uint32_t i = 0; rc == 0 && i < count && source->version >= TYPES_SINCE; i++)
        rc = ask_type(source, &schema->arena, &objects[i], err);
    if (rc == 0)
        rc = tr_mysql_sequences(&source->base, schema, err);
    return rc < 0 ? rc : 0;
}

/* ---- in the log */

/* Its eight columns, by name where the log has names; their types are whole numbers. */
static bool
looks_like_one(const struct tr_relation *relation, bool named)
{
    static const char *const names[] = { "next_not_cached_value", "minimum_value", "maximum_value",
                                         "start_value",           "increment",     "cache_size",
                                         "cycle_option",          "cycle_count" };
    bool fits = relation->ncolumns == 8;
    for (uint16_t i = 0; fits && i < 8; i++) {
        const struct tr_column *column = &relation->columns[i];
        enum tr_logical logical = column->logical;
        bool wide = i < 4 || (i == 6 ? logical == TR_INT8 || logical == TR_UINT8
                                     : logical == TR_INT64 || logical == TR_UINT64);
        fits = logical >= TR_INT8 && logical <= TR_UINT64 && wide && column->not_null &&
               (!named || strcmp(column->name, names[i]) == 0);
    }
    return fits;
}

int
tr_mysql_is_sequence(struct tr_mysql_source *source, const struct tr_relation *relation, bool named, bool *is,
                     struct tr_error *err)
{
    struct tr_buffer sql;
    char *type = NULL;
    *is = source->mariadb && looks_like_one(relation, named);
    if (!*is)
        return 0;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
    tr_mysql_literal(&sql, relation->schema, strlen(relation->schema));
    tr_buffer_text(&sql, " AND TABLE_NAME = ");
    tr_mysql_literal(&sql, relation->name, strlen(relation->name));
    int rc = tr_mysql_ask_text(source, sql.data, &type, err);
    tr_buffer_fini(&sql);
    if (rc == 0 && type == NULL && !named)
        tr_log(source->base.env->log, TR_LOG_WARNING, "capture",
               "rows of %s.%s, which is gone, are passed over: by its columns it was a sequence",
               relation->schema, relation->name);
    *is = type == NULL || strcmp(type, "SEQUENCE") == 0;
    free(type);
    return rc < 0 ? tr_error_prefix(err, "source: cannot read the catalogue") : 0;
}
