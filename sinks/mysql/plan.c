/*
 * plan.c - from the changes of a group to runs of rows.
 *
 * A group is committed as a whole, so that the order of changes of different rows inside it cannot be seen, for foreign keys are not
 * checked and tables with triggers are refused: changes are folded per key (net.h) and sent per table: deletes, then updates, then inserts, which frees unique values before they
 * are taken again. What the order of unique values still spoils fails, and conflict.c applies the group in the order of the source.
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

struct plan {
    struct tr_mysql_sink *sink;
    struct tr_my_apply *apply;
    struct tr_my_group *group;
};

void
tr_my_event_images(const struct tr_event *event, const struct tr_value **key, const struct tr_value **row)
{
    *row = event->kind == TR_DELETE ? NULL : event->after;
    *key = event->before != NULL && event->kind != TR_INSERT && event->kind != TR_READ ? event->before
                                                                                       : event->after;
}

bool
tr_my_key_changes(const struct tr_my_map *map, const struct tr_event *event)
{
    if (event->kind != TR_UPDATE || event->before == NULL)
        return false;
    for (uint16_t i = 0; i < map->nkey; i++) {
        uint16_t column = map->key[i];
        if (event->after[column].state != TR_ABSENT && !tr_key_same(event->before, event->after, &column, 1))
            return true;
    }
    return false;
}

static struct tr_my_step *
add_step(struct tr_my_steps *steps)
{
    if (steps->count == steps->cap) {
        steps->cap = steps->cap > 0 ? steps->cap * 2 : 16;
        steps->items = tr_realloc(steps->items, steps->cap * sizeof(*steps->items));
    }
    struct tr_my_step *step = &steps->items[steps->count++];
    memset(step, 0, sizeof(*step));
    return step;
}

static bool
depends(const struct plan *plan, uint64_t on)
{
    return plan->group->alone || on >= tr_my_oldest(plan->apply);
}

static struct tr_my_steps *
list_for(struct plan *plan, bool dependent, uint64_t on)
{
    if (!dependent)
        return &plan->group->free;
    if (on > plan->group->depends)
        plan->group->depends = on;
    return &plan->group->dependent;
}

static bool
same_columns(const struct tr_net *net, const struct tr_net_row *a, const struct tr_net_row *b)
{
    if (a->row == NULL || a->row == b->row)
        return true;
    for (uint16_t i = 0; i < net->ncolumns; i++)
        if ((a->row[i].state == TR_ABSENT) != (b->row[i].state == TR_ABSENT))
            return false;
    return true;
}

static const enum tr_my_op operations[] = {
    [TR_NET_DELETE] = TR_MY_DELETE,
    [TR_NET_UPDATE] = TR_MY_UPDATE,
    [TR_NET_INSERT] = TR_MY_INSERT,
};

/* The rows of one operation, free or waiting, one step for each set of present columns. */
static void
emit(struct plan *plan, struct tr_my_map *map, struct tr_net_row *rows, uint32_t count, enum tr_net_op op,
     bool dependent)
{
    for (uint32_t from = 0; from < count; from++) {
        const struct tr_net_row *first = &rows[from];
        if (first->op != op || depends(plan, first->depends) != dependent)
            continue;
        struct tr_arena *arena = &plan->group->arena;
        const struct tr_net_row **list = tr_arena_alloc(arena, (count - from) * sizeof(*list));
        uint32_t n = 0;
        uint64_t on = 0;
        for (uint32_t i = from; i < count; i++) {
            if (rows[i].op != op || depends(plan, rows[i].depends) != dependent ||
                !same_columns(&map->net, first, &rows[i]))
                continue;
            struct tr_net_row *copy = tr_arena_alloc(arena, sizeof(*copy));
            *copy = rows[i];
            on = copy->depends > on ? copy->depends : on;
            rows[i].op = TR_NET_NOTHING;
            list[n++] = copy;
            first = copy;
        }
        struct tr_my_step *step = add_step(list_for(plan, dependent, on));
        *step = (struct tr_my_step){
            .op = operations[op],
            .map = map,
            .rows = list,
            .nrows = n,
        };
    }
}

/* What the table's net set holds becomes steps. */
static void
flush(struct plan *plan, struct tr_my_table *table)
{
    struct tr_my_map *map = table->plan_map;
    if (map == NULL || map->net.nrows == 0)
        return;
    bool waits = false;
    for (uint32_t i = 0; i < map->net.nrows; i++) {
        struct tr_net_row *row = &map->net.rows[i];
        if (table->plan_dependent && row->depends < table->plan_depends)
            row->depends = table->plan_depends;
        waits = waits || depends(plan, row->depends);
    }
    for (int dependent = 0; dependent < 2; dependent++)
        for (enum tr_net_op op = TR_NET_DELETE; op <= TR_NET_INSERT; op++)
            emit(plan, map, map->net.rows, map->net.nrows, op, dependent);
    if (waits && !table->plan_dependent) {
        table->plan_dependent = true;
        table->plan_depends = plan->group->number - 1;
    }
    tr_net_clear(&map->net);
}

static void
flush_all(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->apply->ntouched; i++)
        flush(plan, plan->apply->touched[i]);
}

static uint64_t
max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The first change of a table in this group, or the first under another shape. */
static void
touch(struct plan *plan, struct tr_my_map *map)
{
    struct tr_my_table *table = map->table;
    struct tr_my_apply *apply = plan->apply;
    if (table->plan_group != plan->group->number) {
        table->plan_group = plan->group->number;
        table->plan_previous = table->last_any;
        /* a later slice of a group meets its own number there, and must not wait for itself */
        table->plan_depends = max(apply->barrier, table->last_exclusive);
        if (table->plan_depends >= plan->group->number)
            table->plan_depends = plan->group->number - 1;
        table->plan_dependent = false;
        table->plan_map = NULL;
        table->last_any = plan->group->number;
        if (apply->ntouched == apply->touched_cap) {
            apply->touched_cap = apply->touched_cap > 0 ? apply->touched_cap * 2 : 32;
            apply->touched = tr_realloc(apply->touched, apply->touched_cap * sizeof(struct tr_my_table *));
        }
        apply->touched[apply->ntouched++] = table;
    }
    if (table->plan_map != map) {
        if (table->plan_map !=
            NULL) { /* the order between two shapes is kept by making the second wait for all */
            flush(plan, table);
            table->plan_dependent = true;
            table->plan_depends = plan->group->number - 1;
        }
        tr_net_fini(&map->net);
        tr_net_init(&map->net, &plan->group->arena, map->relation->ncolumns, map->key, map->nkey);
        table->plan_map = map;
    }
    if (table->exclusive) {
        table->plan_depends = max(table->plan_depends, table->plan_previous);
        table->last_exclusive = plan->group->number;
    }
}

/* This row's keys are written by this group now: the last group in flight that wrote one of them. */
static uint64_t
write_keys(struct plan *plan, const struct tr_my_map *map, const struct tr_value *key,
           const struct tr_value *row)
{
    struct tr_my_apply *apply = plan->apply;
    uint64_t number = plan->group->number, oldest = tr_my_oldest(apply), on = map->table->plan_depends, hash,
             before;
    if (apply->nworkers > 1 && !plan->group->alone) {
        for (uint16_t i = 0; i < map->nwatched; i++) {
            const struct tr_my_watched *watched = &map->watched[i];
            const struct tr_value *images[] = { key, row != key ? row : NULL };
            for (int image = 0; image < 2; image++) {
                if (images[image] == NULL || !tr_key_hash(watched->seed, images[image], watched->columns,
                                                          watched->ncolumns, true, &hash))
                    continue;
                before = tr_keys_write(&apply->keys, hash, number, oldest);
                if (before != number)
                    on = max(on, before);
            }
        }
    }
    return on < number ? on : number - 1;
}

/* A change that goes alone, after what is known of its table: a new key, or a row without one. */
static void
plan_single(struct plan *plan, struct tr_my_map *map, enum tr_my_op op, const struct tr_event *event,
            uint64_t on)
{
    const struct tr_value *key, *row;
    tr_my_event_images(event, &key, &row);
    flush(plan, map->table);
    if (map->table->plan_dependent)
        on = max(on, map->table->plan_depends);
    bool dependent = depends(plan, on);
    struct tr_net_row *one = tr_arena_zalloc(&plan->group->arena, sizeof(*one));
    const struct tr_net_row **list = tr_arena_alloc(&plan->group->arena, sizeof(*list));
    one->key = key;
    one->row = row;
    list[0] = one;
    struct tr_my_step *step = add_step(list_for(plan, dependent, on));
    *step = (struct tr_my_step){ .op = op, .map = map, .rows = list, .nrows = 1 };
    if (dependent && !map->table->plan_dependent) {
        map->table->plan_dependent = true;
        map->table->plan_depends = plan->group->number - 1;
    }
}

static void
plan_whole_row(struct plan *plan, struct tr_my_map *map, const struct tr_event *event)
{
    struct tr_my_table *table = map->table;
    table->plan_depends = max(table->plan_depends, table->plan_previous);
    table->last_exclusive = plan->group->number;
    uint64_t on = table->plan_depends < plan->group->number ? table->plan_depends : plan->group->number - 1;
    plan_single(plan, map, event->kind == TR_UPDATE ? TR_MY_UPDATE_ROW : TR_MY_DELETE_ROW, event, on);
}

static enum tr_net_op
net_op(const struct tr_event *event)
{
    return event->kind == TR_UPDATE   ? TR_NET_UPDATE
           : event->kind == TR_DELETE ? TR_NET_DELETE
                                      : TR_NET_INSERT;
}

static int
plan_row(struct plan *plan, const struct tr_event *event, struct tr_error *err)
{
    struct tr_my_map *map;
    const struct tr_value *key, *row;
    int rc = tr_my_map_get(plan->sink, event->relation, &map, err);
    if (rc < 0)
        return rc;
    tr_my_event_images(event, &key, &row);
    touch(plan, map);
    enum tr_net_op op = net_op(event);
    if (map->nkey == 0 && op != TR_NET_INSERT) {
        plan_whole_row(plan, map, event);
        return 0;
    }
    uint64_t on = write_keys(plan, map, key, row);
    if (tr_my_key_changes(map, event)) {
        plan_single(plan, map, TR_MY_UPDATE_KEY, event, on);
        return 0;
    }
    struct tr_net_row *entry = tr_net_add(&map->net, op, key, row);
    if (entry == NULL) {
        flush(plan, map->table);
        entry = tr_net_add(&map->net, op, key, row);
    }
    if (entry == NULL)
        return tr_fail(err, TR_REFUSED, "a change of %s came without the values of its key", map->label);
    entry->depends = max(entry->depends, on);
    return 0;
}

int
tr_my_truncate_statement(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_buffer *out,
                         struct tr_error *err)
{
    struct tr_my_map *map;
    int rc = tr_my_map_get(sink, relation, &map, err);
    if (rc < 0)
        return rc;
    tr_buffer_text(out, "DELETE FROM ");
    tr_mysql_qualified(out, map->table->database, map->table->name);
    return 0;
}

static int
plan_truncate(struct plan *plan, const struct tr_event *event, struct tr_error *err)
{
    struct tr_buffer sql;
    int rc = 0;
    flush_all(plan);
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (uint32_t i = 0; rc == 0 && i < event->truncate.nrelations; i++) {
        if (event->truncate.relations[i]->skip)
            continue;
        tr_buffer_reset(&sql);
        rc = tr_my_truncate_statement(plan->sink, event->truncate.relations[i], &sql, err);
        if (rc == 0) {
            struct tr_my_step *step = add_step(&plan->group->dependent);
            step->sql = tr_arena_strdup(&plan->group->arena, sql.data);
            plan->group->depends = plan->group->number - 1;
        }
    }
    tr_buffer_fini(&sql);
    return rc;
}

static int
plan_events(struct plan *plan, struct tr_error *err)
{
    for (struct tr_batch *batch = plan->group->first; batch != NULL; batch = batch->next) {
        for (uint32_t i = 0; i < batch->nevents; i++) {
            const struct tr_event *event = &batch->events[i];
            int rc = 0;
            if (event->kind <= TR_READ && !event->relation->skip)
                rc = plan_row(plan, event, err);
            else if (event->kind == TR_TRUNCATE)
                rc = plan_truncate(plan, event, err);
            if (rc < 0)
                return rc;
        }
    }
    flush_all(plan);
    return 0;
}

static void
forget(struct plan *plan)
{
    struct tr_my_apply *apply = plan->apply;
    for (uint32_t i = 0; i < apply->ntouched; i++) {
        struct tr_my_table *table = apply->touched[i];
        if (table->plan_map != NULL)
            tr_net_fini(&table->plan_map->net);
        table->plan_map = NULL;
        table->plan_group = 0;
    }
    apply->ntouched = 0;
}

int
tr_my_plan(struct tr_mysql_sink *sink, struct tr_my_group *group, struct tr_error *err)
{
    struct plan plan = { .sink = sink, .apply = sink->apply, .group = group };
    group->free.count = group->dependent.count = 0;
    tr_arena_reset(&group->arena);
    group->depends = group->alone ? group->number - 1 : sink->apply->barrier;
    if (group->depends >= group->number)
        group->depends = group->number - 1;
    int rc = plan_events(&plan, err);
    forget(&plan);
    if (group->alone)
        sink->apply->barrier = group->number;
    return rc;
}
