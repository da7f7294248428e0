/* follow.c - the target's columns take the names that PostgreSQL's have by now, as shape.h remembers which is which. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

/* What the place's column is in this shape, NULL = none; one without a number goes by its name. */
static const struct tr_column *
wanted(const struct tr_relation *relation, const struct tr_my_place *place)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (column->number == place->number ||
            (column->number == 0 && strcasecmp(column->name, place->name) == 0))
            return column;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------- comparing */

static bool
is_gone(const struct tr_my_place *place)
{
    return place->name[0] == '\0';
}

bool
tr_my_shape_fits(const struct tr_my_shape *shape, const struct tr_my_table *table,
                 const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->nplaces; i++) {
        const struct tr_column *column = wanted(relation, &shape->places[i]);
        if (is_gone(&shape->places[i]))
            continue;
        if (column == NULL || shape->places[i].next != NULL ||
            strcasecmp(column->name, shape->places[i].name) != 0 ||
            tr_my_table_column(table, column->name) < 0)
            return false;
    }
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (!relation->columns[i].generated && relation->columns[i].number > 0 &&
            tr_my_shape_numbered(shape, relation->columns[i].number) == NULL)
            return false;
    return true;
}

/* What an earlier process began may be done, and what is gone at the target is nobody's, unless that was to be. */
static bool
settle(struct tr_my_shape *shape, const struct tr_my_table *table)
{
    bool changed = false;
    for (uint16_t i = 0; i < shape->nplaces;) {
        struct tr_my_place *place = &shape->places[i];
        const char *next = place->next;
        if (is_gone(place) || tr_my_table_column(table, place->name) >= 0) {
            i++;
            continue;
        }
        changed = true;
        if (next != NULL && (*next == '\0' || tr_my_table_column(table, next) >= 0)) {
            free(place->name);
            place->name = place->next;
            place->next = NULL;
            i++;
            continue;
        }
        tr_my_place_free(place);
        *place = shape->places[--shape->nplaces];
    }
    return changed;
}

/* When the operator has dropped the column, rows of the older shapes are not to bring it back. */
static int
refuse_again(struct tr_mysql_sink *sink, struct tr_my_shape *shape, const struct tr_my_table *table,
             const char *name, struct tr_error *err)
{
    struct tr_buffer sql;
    struct tr_my_place *old = tr_my_shape_owner(shape, name);
    free(old->next);
    old->next = tr_strdup("");
    int rc = tr_my_shape_store(sink, shape, err);
    if (rc < 0)
        return rc;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source dropped column \"%s\" and has a new one of this name; the target's holds the old one's values",
        table->database, table->name, name);
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, table->database, table->name);
    tr_buffer_text(&sql, " DROP COLUMN ");
    tr_mysql_identifier(&sql, name);
    tr_error_hint(err, "run at the target: %s; then start again: the new one is added then", sql.data);
    tr_buffer_fini(&sql);
    return -TR_REFUSED;
}

/* Columns that are there under their own names become theirs; one that is to come gets its place before it is there. */
static int
claim(struct tr_mysql_sink *sink, struct tr_my_shape *shape, const struct tr_my_table *table,
      const struct tr_relation *relation, bool come, bool *changed, struct tr_error *err)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        int at = tr_my_table_column(table, column->name);
        if (column->generated || column->number == 0 || tr_my_shape_numbered(shape, column->number) != NULL ||
            (at >= 0 && table->columns[at].generated) || (at < 0 && !come))
            continue;
        if (tr_my_shape_owner(shape, column->name) != NULL && come)
            return refuse_again(sink, shape, table, column->name, err);
        if (tr_my_shape_owner(shape, column->name) != NULL)
            continue;
        tr_my_shape_place(shape, column->number, column->name);
        *changed = true;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- names */

static int
rename_column(struct tr_mysql_sink *sink, struct tr_my_shape *shape, struct tr_my_place *place,
              struct tr_my_table *table, const char *name, struct tr_error *err)
{
    struct tr_buffer sql;
    free(place->next);
    place->next = tr_strdup(name);
    int rc = tr_my_shape_store(sink, shape, err);
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, table->database, table->name);
    tr_buffer_text(&sql, " RENAME COLUMN ");
    tr_mysql_identifier(&sql, place->name);
    tr_buffer_text(&sql, " TO ");
    tr_mysql_identifier(&sql, name);
    if (rc == 0)
        rc = tr_my_run_change(sink, table, sql.data, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    table->columns[tr_my_table_column(table, place->name)].name = tr_arena_strdup(&table->arena, name);
    free(place->name);
    place->name = place->next;
    place->next = NULL;
    return 0;
}

/* One that only waits for its name to become free, behind the others or in a circle of them. */
static int
step(struct tr_mysql_sink *sink, struct tr_my_shape *shape, struct tr_my_table *table,
     const struct tr_relation *relation, struct tr_my_place **waiting, bool *moved, struct tr_error *err)
{
    for (uint16_t i = 0; i < shape->nplaces; i++) {
        struct tr_my_place *place = &shape->places[i], *other;
        const struct tr_column *column = wanted(relation, place);
        if (column == NULL || is_gone(place) || strcasecmp(place->name, column->name) == 0)
            continue;
        other = tr_my_shape_owner(shape, column->name);
        *moved = true;
        if (other != NULL && wanted(relation, other) == NULL)
            return refuse_again(sink, shape, table, column->name, err);
        if (tr_my_table_column(table, column->name) < 0)
            return rename_column(sink, shape, place, table, column->name, err);
        if (other == NULL) { /* the operator has made it */
            free(place->name);
            place->name = tr_strdup(column->name);
            return 0;
        }
        *moved = false;
        *waiting = place;
    }
    return 0;
}

static int
rename_columns(struct tr_mysql_sink *sink, struct tr_my_shape *shape, struct tr_my_table *table,
               const struct tr_relation *relation, bool *changed, struct tr_error *err)
{
    for (bool moved = true; moved;) {
        struct tr_my_place *waiting = NULL;
        moved = false;
        int rc = step(sink, shape, table, relation, &waiting, &moved, err);
        if (rc == 0 && !moved && waiting != NULL) {
            char *aside = tr_asprintf("tailrace_%u", waiting->number);
            rc = rename_column(sink, shape, waiting, table, aside, err);
            free(aside);
            moved = true;
        }
        if (rc < 0)
            return rc;
        *changed = *changed || moved;
    }
    return 0;
}

/* Must a name be free now, because a new column has it? */
static bool
is_pressing(const struct tr_my_shape *shape, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (relation->columns[i].number > 0 &&
            tr_my_shape_numbered(shape, relation->columns[i].number) == NULL &&
            tr_my_shape_owner(shape, relation->columns[i].name) != NULL)
            return true;
    return false;
}

static bool
is_renamed(const struct tr_my_shape *shape, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->nplaces; i++) {
        const struct tr_column *column = wanted(relation, &shape->places[i]);
        if (column != NULL && !is_gone(&shape->places[i]) &&
            strcasecmp(column->name, shape->places[i].name) != 0)
            return true;
    }
    return false;
}

/* Rows of a large transaction are written and hold the table: they find their columns by number, whatever those are called. */
static void
rename_later(struct tr_my_shapes *shapes, struct tr_my_shape *shape, struct tr_relation *relation)
{
    tr_relation_unref(shape->late);
    shape->late = tr_relation_ref(relation);
    shapes->late = true;
}

static bool
is_in_key(const struct tr_my_table *table, uint16_t at)
{
    for (uint16_t u = 0; u < table->nuniques; u++)
        for (uint16_t i = 0; table->uniques[u].primary && i < table->uniques[u].ncolumns; i++)
            if (table->uniques[u].columns[i] == at)
                return true;
    return false;
}

/* What the source dropped is kept, and no row brings it any more. A key that has it is the source's no more (rekey.c). */
static int
loosen_dropped(struct tr_mysql_sink *sink, const struct tr_my_shape *shape, struct tr_my_table *table,
               const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    int rc = 0;
    tr_buffer_init(&sql, (size_t)1 << 20);
    for (uint16_t i = 0; rc == 0 && i < table->ncolumns; i++) {
        struct tr_my_column *column = &table->columns[i];
        const struct tr_my_place *place = tr_my_shape_owner(shape, column->name);
        if (place == NULL || wanted(relation, place) != NULL || column->generated || !column->not_null ||
            column->has_default || column->auto_increment)
            continue;
        tr_buffer_reset(&sql);
        tr_buffer_text(&sql, "ALTER TABLE ");
        tr_mysql_qualified(&sql, table->database, table->name);
        tr_buffer_text(&sql, is_in_key(table, i) ? " DROP PRIMARY KEY, MODIFY COLUMN " : " MODIFY COLUMN ");
        tr_mysql_identifier(&sql, column->name);
        tr_buffer_printf(&sql, " %s NULL", column->type);
        rc = tr_my_run_change(sink, table, sql.data, err);
        column->not_null = rc < 0;
    }
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_my_shape_follow(struct tr_mysql_sink *sink, const struct tr_relation *before, struct tr_relation *after,
                   struct tr_my_table *table, struct tr_error *err)
{
    struct tr_my_shapes *shapes = &sink->apply->shapes;
    struct tr_my_shape *shape = tr_my_shape_find(shapes, after);
    int rc = 0;
    if (!sink->keeps_shapes || after->guarded) /* the load brings it about */
        return 0;
    if (shape == NULL)
        shape = tr_my_shape_add(shapes, tr_asprintf("%s.%s", after->schema, after->name), after->id);
    shape->used = true;
    bool changed = settle(shape, table);
    if (before != NULL && before->id == after->id)
        rc = claim(sink, shape, table, before, false, &changed, err);
    if (before == NULL && shape->ahead)
        return rc;
    shape->ahead = shape->ahead || sink->apply->open != NULL;
    if (rc == 0 && sink->apply->open != NULL && is_renamed(shape, after) && !is_pressing(shape, after))
        rename_later(shapes, shape, after);
    else if (rc == 0)
        rc = rename_columns(sink, shape, table, after, &changed, err);
    if (rc == 0)
        rc = claim(sink, shape, table, after, true, &changed, err);
    if (rc == 0)
        rc = loosen_dropped(sink, shape, table, after, err);
    return rc == 0 && changed ? tr_my_shape_store(sink, shape, err) : rc;
}

int
tr_my_shape_first_use(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_table *table,
                      bool *changed, struct tr_error *err)
{
    struct tr_my_shape *shape = tr_my_shape_find(&sink->apply->shapes, relation);
    *changed = false;
    if (!sink->keeps_shapes || (shape != NULL && shape->used))
        return 0;
    if (shape != NULL && tr_my_shape_fits(shape, table, relation)) {
        shape->used = true;
        return 0;
    }
    *changed = shape != NULL;
    /* Groups in flight may hold the table: rather begin anew than wait for ourselves. */
    int rc = tr_mysql_query(sink->meta, "SET SESSION lock_wait_timeout = 2", NULL, err);
    if (rc == 0)
        rc = tr_my_shape_follow(sink, NULL, relation, table, err);
    return rc < 0 ? rc : tr_mysql_query(sink->meta, "SET SESSION lock_wait_timeout = 86400", NULL, err);
}

int
tr_my_shapes_catch_up(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_my_shapes *shapes = &sink->apply->shapes;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && shapes->late && i < shapes->count; i++) {
        struct tr_relation *relation = shapes->list[i]->late;
        struct tr_my_table *table = NULL;
        if (relation == NULL)
            continue;
        shapes->list[i]->ahead = false;
        rc = tr_my_table_read(sink->meta, tr_my_database(sink, relation), relation->target_name, &table, err);
        if (rc == 0 && table != NULL)
            rc = tr_my_shape_follow(sink, NULL, relation, table, err);
        tr_my_table_free(table);
        tr_my_map_forget(sink->apply, tr_my_database(sink, relation), relation->target_name);
        shapes->list[i]->late = NULL;
        tr_relation_unref(relation);
    }
    shapes->late = false;
    return rc;
}
