/* shape.c - see shape.h. */
#include "sinks/mysql/shape.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/schema.h"
#include "sinks/mysql/apply.h"

/* ------------------------------------------------------------------------------------------- memory */

void
tr_my_place_free(struct tr_my_place *place)
{
    free(place->name);
    free(place->next);
}

static void
clear(struct tr_my_shape *shape)
{
    for (uint16_t i = 0; i < shape->nplaces; i++)
        tr_my_place_free(&shape->places[i]);
    free(shape->places);
    shape->places = NULL;
    shape->nplaces = 0;
}

static void
shape_free(struct tr_my_shape *shape)
{
    clear(shape);
    tr_relation_unref(shape->late);
    free(shape->table);
    free(shape);
}

void
tr_my_shapes_free(struct tr_my_shapes *shapes)
{
    for (uint32_t i = 0; i < shapes->count; i++)
        shape_free(shapes->list[i]);
    free(shapes->list);
}

struct tr_my_shape *
tr_my_shape_add(struct tr_my_shapes *shapes, char *table, uint64_t id)
{
    struct tr_my_shape *shape = tr_calloc(1, sizeof(*shape));
    shapes->list = tr_realloc(shapes->list, (shapes->count + 1) * sizeof(struct tr_my_shape *));
    shapes->list[shapes->count++] = shape;
    shape->table = table;
    shape->id = id;
    return shape;
}

struct tr_my_shape *
tr_my_shape_find(const struct tr_my_shapes *shapes, const struct tr_relation *relation)
{
    struct tr_my_shape *found = NULL;
    char *table = tr_asprintf("%s.%s", relation->schema, relation->name);
    for (uint32_t i = 0; found == NULL && i < shapes->count; i++)
        if (shapes->list[i]->id == relation->id && strcmp(shapes->list[i]->table, table) == 0)
            found = shapes->list[i];
    free(table);
    return found;
}

void
tr_my_shape_place(struct tr_my_shape *shape, uint16_t number, const char *name)
{
    shape->places = tr_realloc(shape->places, (shape->nplaces + 1u) * sizeof(*shape->places));
    shape->places[shape->nplaces++] = (struct tr_my_place){ .number = number, .name = tr_strdup(name) };
}

struct tr_my_place *
tr_my_shape_numbered(const struct tr_my_shape *shape, uint16_t number)
{
    for (uint16_t i = 0; number > 0 && shape != NULL && i < shape->nplaces; i++)
        if (shape->places[i].number == number)
            return &shape->places[i];
    return NULL;
}

struct tr_my_place *
tr_my_shape_owner(const struct tr_my_shape *shape, const char *name)
{
    for (uint16_t i = 0; shape != NULL && i < shape->nplaces; i++)
        if (strcasecmp(shape->places[i].name, name) == 0)
            return &shape->places[i];
    return NULL;
}

bool
tr_my_shape_lost(const struct tr_my_shape *shape, const struct tr_column *column)
{
    const struct tr_my_place *place = tr_my_shape_numbered(shape, column->number);
    return place != NULL && place->name[0] == '\0';
}

int
tr_my_shape_column(const struct tr_my_shape *shape, const struct tr_my_table *table,
                   const struct tr_column *column)
{
    const struct tr_my_place *place = tr_my_shape_numbered(shape, column->number);
    int at = tr_my_table_column(table, place != NULL ? place->name : column->name);
    bool taken = place == NULL && column->number > 0 && tr_my_shape_owner(shape, column->name) != NULL;
    return taken ? -1 : at;
}

/* ------------------------------------------------------------------------------------------- over restarts */

static void
literal(struct tr_buffer *sql, const char *text)
{
    if (text == NULL)
        tr_buffer_text(sql, "NULL");
    else
        tr_mysql_literal(sql, text, strlen(text));
}

static int
need_table(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_error why;
    if (!sink->keeps_shapes || sink->shape_table || sink->shapes_are_lost)
        return 0;
    int rc = tr_mysql_query(
        sink->meta,
        "CREATE TABLE IF NOT EXISTS tailrace.column_place (task VARCHAR(128) NOT NULL, table_name VARCHAR(600) NOT NULL, number SMALLINT UNSIGNED NOT NULL,"
        " source_id BIGINT UNSIGNED NOT NULL, name VARCHAR(64) NOT NULL, next VARCHAR(64), ahead LONGTEXT, PRIMARY KEY (task, table_name, number))"
        " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        NULL, &why);
    sink->shape_table = rc == 0;
    if (rc == -TR_RETRY) {
        *err = why;
        return rc;
    }
    sink->shapes_are_lost = rc < 0;
    if (rc < 0)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "tailrace.column_place cannot be made at the target: columns that are renamed or replaced while the task stands still are not known (%s)",
            why.text);
    return 0;
}

static void
write_rows(struct tr_mysql_sink *sink, const struct tr_my_shape *shape, struct tr_buffer *sql)
{
    tr_buffer_text(
        sql,
        "INSERT INTO tailrace.column_place (task, table_name, number, source_id, name, next, ahead) VALUES");
    for (uint16_t i = 0; i < shape->nplaces; i++) {
        const struct tr_my_place *place = &shape->places[i];
        tr_buffer_text(sql, i > 0 ? ", (" : " (");
        literal(sql, sink->base.env->task);
        tr_buffer_text(sql, ", ");
        literal(sql, shape->table);
        tr_buffer_printf(sql, ", %u, %llu, ", place->number, (unsigned long long)shape->id);
        literal(sql, place->name);
        tr_buffer_text(sql, ", ");
        literal(sql, place->next);
        tr_buffer_text(sql, ", ");
        if (shape->ahead)
            tr_buffer_text(sql, "(SELECT position FROM tailrace.checkpoint WHERE task = ");
        literal(sql, shape->ahead ? sink->base.env->task : NULL);
        tr_buffer_text(sql, shape->ahead ? "))" : ")");
    }
}

static int
store(struct tr_mysql_sink *sink, const struct tr_my_shape *shape, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)8 << 20);
    tr_buffer_text(&sql, "DELETE FROM tailrace.column_place WHERE task = ");
    literal(&sql, sink->base.env->task);
    tr_buffer_text(&sql, " AND table_name = ");
    literal(&sql, shape->table);
    int rc = tr_my_check_epoch(sink, sink->meta, err);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, sql.data, NULL, err);
    tr_buffer_reset(&sql);
    write_rows(sink, shape, &sql);
    if (rc == 0 && shape->nplaces > 0)
        rc = tr_mysql_query(sink->meta, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_my_shape_store(struct tr_mysql_sink *sink, const struct tr_my_shape *shape, struct tr_error *err)
{
    struct tr_error ignored;
    if (!sink->shape_table)
        return 0;
    int rc = tr_mysql_query(sink->meta, "START TRANSACTION", NULL, err);
    if (rc == 0)
        rc = store(sink, shape, err);
    if (rc == 0)
        return tr_mysql_query(sink->meta, "COMMIT", NULL, err);
    tr_mysql_query(sink->meta, "ROLLBACK", NULL, &ignored);
    return tr_error_prefix(err, "remembering the columns of table %s at the target", shape->table);
}

int
tr_my_shapes_load(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_my_shapes *shapes = &sink->apply->shapes;
    struct tr_my_shape *shape = NULL;
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    int rc = need_table(sink, err);
    if (rc < 0 || !sink->shape_table)
        return rc;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(
        &sql,
        "SELECT p.table_name, p.source_id, p.number, p.name, p.next, p.ahead IS NOT NULL AND p.ahead = c.position FROM tailrace.column_place p"
        " LEFT JOIN tailrace.checkpoint c ON c.task = p.task WHERE p.task = ");
    literal(&sql, sink->base.env->task);
    tr_buffer_text(&sql, " ORDER BY p.table_name, p.number");
    rc = tr_mysql_query(sink->meta, sql.data, &res, err);
    for (MYSQL_ROW row; rc == 0 && (row = mysql_fetch_row(res)) != NULL;) {
        uint64_t id = strtoull(row[1], NULL, 10);
        if (shape == NULL || shape->id != id || strcmp(shape->table, row[0]) != 0)
            shape = tr_my_shape_add(shapes, tr_strdup(row[0]), id);
        tr_my_shape_place(shape, (uint16_t)strtoul(row[2], NULL, 10), row[3]);
        shape->places[shape->nplaces - 1].next = tr_strdup(row[4]);
        shape->ahead = row[5] != NULL && row[5][0] == '1';
    }
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "reading the task's columns at the target") : 0;
}

/* A table that was loaded keeps what is remembered of it: rows of that shape are in the target. */
static int
is_loaded(struct tr_mysql_sink *sink, const char *table, bool *loaded, struct tr_error *err)
{
    struct tr_buffer sql;
    char *one = NULL;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SELECT 1 FROM tailrace.table_cut WHERE done AND task = ");
    literal(&sql, sink->base.env->task);
    tr_buffer_text(&sql, " AND table_name = ");
    literal(&sql, table);
    int rc = tr_mysql_query_text(sink->meta, sql.data, &one, err);
    *loaded = one != NULL;
    free(one);
    tr_buffer_fini(&sql);
    return rc;
}

/* A table that is loaded again while the stream runs. */
static void
take_over(struct tr_my_shapes *shapes, const struct tr_relation *relation, struct tr_my_shape *shape)
{
    struct tr_my_shape *known = tr_my_shape_find(shapes, relation);
    if (known == NULL)
        known = tr_my_shape_add(shapes, tr_strdup(shape->table), shape->id);
    clear(known);
    known->places = shape->places;
    known->nplaces = shape->nplaces;
    known->used = known->ahead = false;
    shape->places = NULL;
    shape->nplaces = 0;
}

static int
forget_gone(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    bool loaded = false;
    char *table = tr_asprintf("%s.%s", relation->schema, relation->name);
    int rc = is_loaded(sink, table, &loaded, err);
    free(table);
    return rc == 0 && !loaded ? tr_my_forget_gone(sink, relation, err) : rc;
}

int
tr_my_shapes_prepare(struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    int rc = need_table(sink, err);
    for (uint32_t t = 0; rc == 0 && t < schema->ntables; t++)
        if (!schema->tables[t].relation->skip && !tr_my_carries_statements(sink))
            rc = forget_gone(sink, schema->tables[t].relation, err);
    for (uint32_t t = 0; rc == 0 && sink->shape_table && t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        struct tr_my_shapes one = { 0 };
        bool loaded = false;
        if (relation->skip)
            continue;
        struct tr_my_shape *shape = tr_my_shape_add(
            &one, tr_asprintf("%s.%s", relation->schema, relation->name), relation->id);
        for (uint16_t i = 0; i < relation->ncolumns; i++)
            if (relation->columns[i].number > 0 && !relation->columns[i].generated)
                tr_my_shape_place(shape, relation->columns[i].number, relation->columns[i].name);
        rc = is_loaded(sink, shape->table, &loaded, err);
        if (rc == 0 && !loaded)
            rc = tr_my_shape_store(sink, shape, err);
        if (rc == 0 && !loaded && sink->apply != NULL)
            take_over(&sink->apply->shapes, relation, shape);
        tr_my_shapes_free(&one);
    }
    return rc;
}
