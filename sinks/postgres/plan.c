/*
 * plan.c - from the changes of a group to runs of rows.
 *
 * A group is committed as a whole, so that the order of changes of different rows inside it cannot be seen, as long as neither foreign keys nor
 * triggers fire: changes are folded per key (net.h) and sent per table: deletes, then updates, then inserts, which frees unique values before they
 * are taken again. What the order of unique values still spoils fails, and conflict.c applies the group in the order of the source.
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/shape.h"

#define COPY_ROWS 500 /* a run of inserts from which on leaving the pipeline for a COPY pays */

struct plan {
    struct tr_postgres_sink *sink;
    struct tr_pg_apply *apply;
    struct tr_pg_group *group;
    struct tr_pg_table *run; /* ordered: the table of the current run */
    int run_op;
    bool again;  /* a table turned out to need the source's order: plan once more */
    bool learnt; /* something of a table's shape is to be stored with this group */
};

void
tr_pg_event_images(const struct tr_event *event, const struct tr_value **key, const struct tr_value **row)
{
    *row = event->kind == TR_DELETE ? NULL : event->after;
    *key = event->before != NULL && event->kind != TR_INSERT && event->kind != TR_READ ? event->before
                                                                                       : event->after;
}

bool
tr_pg_key_changes(const struct tr_pg_map *map, const struct tr_event *event)
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

static struct tr_pg_step *
add_step(struct tr_pg_steps *steps)
{
    if (steps->count == steps->cap) {
        steps->cap = steps->cap > 0 ? steps->cap * 2 : 16;
        steps->items = tr_realloc(steps->items, steps->cap * sizeof(*steps->items));
    }
    struct tr_pg_step *step = &steps->items[steps->count++];
    memset(step, 0, sizeof(*step));
    return step;
}

static bool
depends(const struct plan *plan, uint64_t on)
{
    return plan->group->alone || on >= tr_pg_oldest(plan->apply);
}

static struct tr_pg_steps *
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

static const enum tr_pg_op operations[] = {
    [TR_NET_DELETE] = TR_PG_DELETE,
    [TR_NET_UPDATE] = TR_PG_UPDATE,
    [TR_NET_INSERT] = TR_PG_INSERT,
};

/* The rows of one operation, free or waiting, one step for each set of present columns. */
static void
emit(struct plan *plan, struct tr_pg_map *map, struct tr_net_row *rows, uint32_t count, enum tr_net_op op,
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
        struct tr_pg_step *step = add_step(list_for(plan, dependent, on));
        *step = (struct tr_pg_step){
            .kind = op == TR_NET_INSERT && n >= COPY_ROWS && !map->bare ? TR_PG_STEP_COPY : TR_PG_STEP_ROWS,
            .op = operations[op],
            .map = map,
            .rows = list,
            .nrows = n,
        };
    }
}

/* What the table's net set holds becomes steps. */
static void
flush(struct plan *plan, struct tr_pg_table *table)
{
    struct tr_pg_map *map = table->plan_map;
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

static uint64_t
before(const struct plan *plan, uint64_t group)
{
    return group < plan->group->number ? group : plan->group->number - 1;
}

/* The first change of a table in this group, or the first under another shape. */
static void
touch(struct plan *plan, struct tr_pg_map *map)
{
    struct tr_pg_table *table = map->table;
    struct tr_pg_apply *apply = plan->apply;
    if (table->plan_group != plan->group->number) {
        table->plan_group = plan->group->number;
        /* a group that is planned once more, or in slices, may itself have been the last; it waits for those before it */
        table->plan_previous = before(plan, table->last_any);
        table->plan_depends = before(plan, max(apply->barrier, table->last_exclusive));
        table->plan_dependent = false;
        table->plan_map = NULL;
        table->last_any = plan->group->number;
        if (apply->ntouched == apply->touched_cap) {
            apply->touched_cap = apply->touched_cap > 0 ? apply->touched_cap * 2 : 32;
            apply->touched = tr_realloc(apply->touched, apply->touched_cap * sizeof(struct tr_pg_table *));
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
        map->net.unfolded = plan->group->ordered;
        table->plan_map = map;
    }
    if (table->exclusive) {
        table->plan_depends = max(table->plan_depends, table->plan_previous);
        table->last_exclusive = plan->group->number;
    }
    if (table->fires && !plan->group->ordered)
        plan->again = true;
}

/* This row's keys are written by this group now: the last group in flight that wrote one of them. */
static uint64_t
write_keys(struct plan *plan, const struct tr_pg_map *map, const struct tr_value *key,
           const struct tr_value *row)
{
    struct tr_pg_apply *apply = plan->apply;
    uint64_t number = plan->group->number, oldest = tr_pg_oldest(apply), on = map->table->plan_depends, hash,
             last;
    if (apply->nworkers > 1 && !plan->group->alone) {
        for (uint16_t i = 0; i < map->nwatched; i++) {
            const struct tr_pg_watched *watched = &map->watched[i];
            const struct tr_value *images[] = { key, row != key ? row : NULL };
            for (int image = 0; image < 2; image++) {
                if (images[image] == NULL || !tr_key_hash(watched->seed, images[image], watched->columns,
                                                          watched->ncolumns, watched->nulls_differ, &hash))
                    continue;
                last = tr_keys_write(&apply->keys, hash, number, oldest);
                if (last != number)
                    on = max(on, last);
            }
        }
    }
    return before(plan, on);
}

/* A change that goes alone, after what is known of its table: a new key, or a row without one. */
static void
plan_single(struct plan *plan, struct tr_pg_map *map, enum tr_pg_op op, const struct tr_event *event,
            uint64_t on)
{
    const struct tr_value *key, *row;
    tr_pg_event_images(event, &key, &row);
    flush(plan, map->table);
    if (map->table->plan_dependent)
        on = max(on, map->table->plan_depends);
    bool dependent = depends(plan, on);
    struct tr_net_row *one = tr_arena_zalloc(&plan->group->arena, sizeof(*one));
    const struct tr_net_row **list = tr_arena_alloc(&plan->group->arena, sizeof(*list));
    one->key = key;
    one->row = row;
    list[0] = one;
    struct tr_pg_step *step = add_step(list_for(plan, dependent, on));
    *step = (struct tr_pg_step){
        .kind = TR_PG_STEP_ROWS, .op = op, .map = map, .rows = list, .nrows = 1, .event = event
    };
    if (dependent && !map->table->plan_dependent) {
        map->table->plan_dependent = true;
        map->table->plan_depends = plan->group->number - 1;
    }
}

static void
plan_whole_row(struct plan *plan, struct tr_pg_map *map, const struct tr_event *event)
{
    struct tr_pg_table *table = map->table;
    table->plan_depends = max(table->plan_depends, table->plan_previous);
    table->last_exclusive = plan->group->number;
    plan_single(plan, map, event->kind == TR_UPDATE ? TR_PG_UPDATE_ROW : TR_PG_DELETE_ROW, event,
                before(plan, table->plan_depends));
}

static enum tr_net_op
net_op(const struct tr_event *event)
{
    return event->kind == TR_UPDATE   ? TR_NET_UPDATE
           : event->kind == TR_DELETE ? TR_NET_DELETE
                                      : TR_NET_INSERT;
}

/* A relation that is new to the sink: is the target's table of its shape? */
static int
meet(struct plan *plan, struct tr_relation *relation, struct tr_error *err)
{
    return tr_pg_shape_first_use(plan->sink, relation, plan->group->number, &plan->learnt, err);
}

/* What was learnt is stored in the group's own transaction. */
static void
plan_shapes(struct plan *plan)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (uint32_t i = 0; i < plan->apply->nshapes; i++) {
        if (plan->apply->shapes[i]->writer != plan->group->number)
            continue;
        tr_buffer_reset(&sql);
        tr_pg_shape_statement(plan->sink, plan->apply->shapes[i], &sql);
        struct tr_pg_step *step = add_step(&plan->group->free);
        step->kind = TR_PG_STEP_SQL;
        step->sql = tr_arena_strdup(&plan->group->arena, sql.data);
    }
    tr_buffer_fini(&sql);
}

static int
plan_row(struct plan *plan, const struct tr_event *event, struct tr_error *err)
{
    struct tr_pg_map *map;
    const struct tr_value *key, *row;
    int rc = tr_pg_map_known(plan->apply, event->relation) ? 0 : meet(plan, event->relation, err);
    if (rc == 0)
        rc = tr_pg_map_get(plan->sink, event->relation, &map, err);
    if (rc != 0)
        return rc;
    if (map->bare && event->kind == TR_UPDATE)
        return 0;
    tr_pg_event_images(event, &key, &row);
    touch(plan, map);
    enum tr_net_op op = net_op(event);
    if (plan->group->ordered && plan->run != NULL && (plan->run != map->table || plan->run_op != (int)op))
        flush(plan, plan->run);
    plan->run = map->table;
    plan->run_op = (int)op;
    if (map->nkey == 0 && op != TR_NET_INSERT) {
        plan_whole_row(plan, map, event);
        return 0;
    }
    uint64_t on = write_keys(plan, map, key, row);
    if (tr_pg_key_changes(map, event)) {
        plan_single(plan, map, TR_PG_UPDATE_KEY, event, on);
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

static int
plan_truncate(struct plan *plan, const struct tr_event *event, struct tr_error *err)
{
    struct tr_buffer sql;
    flush_all(plan);
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    int rc = tr_pg_truncate_statement(plan->sink, event, &sql, err);
    if (rc == 0) {
        struct tr_pg_step *step = add_step(&plan->group->dependent);
        step->kind = TR_PG_STEP_SQL;
        step->sql = tr_arena_strdup(&plan->group->arena, sql.data);
        step->event = event;
        plan->group->depends = plan->group->number - 1;
    }
    tr_buffer_fini(&sql);
    return rc;
}

static int
plan_events(struct plan *plan, struct tr_error *err)
{
    for (struct tr_batch *batch = plan->group->first; batch != NULL; batch = batch->next) {
        for (uint32_t i = 0; i < batch->nevents && !plan->again; i++) {
            const struct tr_event *event = &batch->events[i];
            int rc = 0;
            if (event->kind <= TR_READ && !event->relation->skip)
                rc = plan_row(plan, event, err);
            else if (event->kind == TR_TRUNCATE)
                rc = plan_truncate(plan, event, err);
            if (rc != 0)
                return rc;
        }
    }
    flush_all(plan);
    return 0;
}

static void
forget(struct plan *plan)
{
    struct tr_pg_apply *apply = plan->apply;
    for (uint32_t i = 0; i < apply->ntouched; i++) {
        struct tr_pg_table *table = apply->touched[i];
        if (table->plan_map != NULL)
            tr_net_fini(&table->plan_map->net);
        table->plan_map = NULL;
        table->plan_group = 0;
    }
    apply->ntouched = 0;
    plan->run = NULL;
    plan->again = false;
}

static int
plan_once(struct plan *plan, struct tr_error *err)
{
    struct tr_pg_group *group = plan->group;
    group->free.count = group->dependent.count = 0;
    tr_arena_reset(&group->arena);
    group->depends = before(plan, group->alone ? group->number : plan->apply->barrier);
    return plan_events(plan, err);
}

int
tr_pg_plan(struct tr_postgres_sink *sink, struct tr_pg_group *group, struct tr_error *err)
{
    struct plan plan = { .sink = sink, .apply = sink->apply, .group = group };
    int rc = plan_once(&plan, err);
    if (rc == 0 && plan.again) {
        forget(&plan);
        group->alone = group->ordered = true;
        rc = plan_once(&plan, err);
    }
    forget(&plan);
    if (rc == 0 && plan.learnt && sink->keeps_shapes)
        plan_shapes(&plan);
    if (rc == 1)
        group->ddl = group->alone = true;
    if (group->alone)
        sink->apply->barrier = group->number;
    return rc;
}
