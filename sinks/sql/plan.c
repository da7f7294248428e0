/* plan.c - the changes of a group, folded per key and put in an order that no reader can tell from the source's. */
#include "sinks/sql/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct work {
    struct tr_sql_planner *planner;
    struct tr_sql_plan *plan;
    const struct tr_batch *first;
    uint64_t oldest;
    const struct tr_sql_target *target;
    struct tr_sql_table *run; /* ordered: the table of the current run */
    int run_op;
    bool firing; /* ordered: foreign keys act from here on */
    bool again;  /* a table turned out to need the source's order: plan once more */
};

void
tr_sql_planner_init(struct tr_sql_planner *planner)
{
    memset(planner, 0, sizeof *planner);
    tr_keys_init(&planner->keys);
}

void
tr_sql_planner_fini(struct tr_sql_planner *planner)
{
    tr_keys_fini(&planner->keys);
    free(planner->touched);
}

void
tr_sql_plan_reset(struct tr_sql_plan *plan)
{
    plan->free.count = plan->dependent.count = 0;
    tr_arena_reset(&plan->arena);
}

void
tr_sql_plan_fini(struct tr_sql_plan *plan)
{
    tr_arena_fini(&plan->arena);
    free(plan->free.items);
    free(plan->dependent.items);
}

void
tr_sql_event_images(const struct tr_event *event, const struct tr_value **key, const struct tr_value **row)
{
    *row = event->kind == TR_DELETE ? NULL : event->after;
    *key = event->before != NULL && event->kind != TR_INSERT && event->kind != TR_READ ? event->before
                                                                                       : event->after;
}

bool
tr_sql_key_changes(const struct tr_sql_map *map, const struct tr_event *event)
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

struct tr_sql_step *
tr_sql_step_add(struct tr_sql_steps *steps)
{
    if (steps->count == steps->cap) {
        steps->cap = steps->cap > 0 ? steps->cap * 2 : 16;
        steps->items = tr_realloc(steps->items, steps->cap * sizeof(*steps->items));
    }
    struct tr_sql_step *step = &steps->items[steps->count++];
    memset(step, 0, sizeof(*step));
    return step;
}

void
tr_sql_plan_statement(struct tr_sql_plan *plan, const char *sql, const struct tr_event *event)
{
    struct tr_sql_step *step = tr_sql_step_add(&plan->dependent);
    step->sql = tr_arena_strdup(&plan->arena, sql);
    step->event = event;
    plan->depends = plan->number - 1;
}

static uint64_t
max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A group that is planned once more, or in slices, meets its own number; it waits for those before it, never for itself. */
static uint64_t
before(const struct work *work, uint64_t group)
{
    return group < work->plan->number ? group : work->plan->number - 1;
}

static bool
depends(const struct work *work, uint64_t on)
{
    return work->plan->alone || on >= work->oldest;
}

static struct tr_sql_steps *
list_for(struct work *work, bool dependent, uint64_t on)
{
    if (!dependent)
        return &work->plan->free;
    work->plan->depends = max(work->plan->depends, on);
    return &work->plan->dependent;
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

static const enum tr_sql_op operations[] = {
    [TR_NET_DELETE] = TR_SQL_DELETE,
    [TR_NET_UPDATE] = TR_SQL_UPDATE,
    [TR_NET_INSERT] = TR_SQL_INSERT,
};

/* The rows of one operation, free or waiting, one step for each set of present columns. */
static void
emit(struct work *work, struct tr_sql_map *map, enum tr_net_op op, bool dependent)
{
    struct tr_net_row *rows = map->net.rows;
    uint32_t count = map->net.nrows;
    for (uint32_t from = 0; from < count; from++) {
        const struct tr_net_row *first = &rows[from];
        if (first->op != op || depends(work, first->depends) != dependent)
            continue;
        struct tr_arena *arena = &work->plan->arena;
        const struct tr_net_row **list = tr_arena_alloc(arena, (count - from) * sizeof(*list));
        uint32_t n = 0;
        uint64_t on = 0;
        for (uint32_t i = from; i < count; i++) {
            if (rows[i].op != op || depends(work, rows[i].depends) != dependent ||
                !same_columns(&map->net, first, &rows[i]))
                continue;
            struct tr_net_row *copy = tr_arena_alloc(arena, sizeof(*copy));
            *copy = rows[i];
            on = max(on, copy->depends);
            rows[i].op = TR_NET_NOTHING;
            list[n++] = copy;
            first = copy;
        }
        *tr_sql_step_add(list_for(work, dependent, on)) = (struct tr_sql_step){
            .op = operations[op], .map = map, .rows = list, .nrows = n
        };
    }
}

/* Some rows of the table wait: what follows of it waits for all that came before. */
static void
make_dependent(struct work *work, struct tr_sql_table *table)
{
    table->dependent = true;
    table->depends = work->plan->number - 1;
}

/* What the table's net set holds becomes steps. */
static void
flush(struct work *work, struct tr_sql_table *table)
{
    struct tr_sql_map *map = table->map;
    if (map == NULL || map->net.nrows == 0)
        return;
    bool waits = false;
    for (uint32_t i = 0; i < map->net.nrows; i++) {
        struct tr_net_row *row = &map->net.rows[i];
        if (table->dependent)
            row->depends = max(row->depends, table->depends);
        waits = waits || depends(work, row->depends);
    }
    for (int dependent = 0; dependent < 2; dependent++)
        for (enum tr_net_op op = TR_NET_DELETE; op <= TR_NET_INSERT; op++)
            emit(work, map, op, dependent);
    if (waits && !table->dependent)
        make_dependent(work, table);
    tr_net_clear(&map->net);
}

static void
flush_all(struct work *work)
{
    for (uint32_t i = 0; i < work->planner->ntouched; i++)
        flush(work, work->planner->touched[i]);
}

static void
touch_first(struct work *work, struct tr_sql_table *table)
{
    struct tr_sql_planner *planner = work->planner;
    table->group = work->plan->number;
    table->previous = before(work, table->last_any);
    table->depends = before(work, max(planner->barrier, table->last_exclusive));
    table->dependent = false;
    table->map = NULL;
    table->last_any = work->plan->number;
    if (planner->ntouched == planner->touched_cap) {
        planner->touched_cap = planner->touched_cap > 0 ? planner->touched_cap * 2 : 32;
        planner->touched = tr_realloc(planner->touched, planner->touched_cap * sizeof(*planner->touched));
    }
    planner->touched[planner->ntouched++] = table;
}

/* A change of a table, perhaps the first in this group, or the first under another shape. */
static void
touch(struct work *work, struct tr_sql_map *map)
{
    struct tr_sql_table *table = map->table;
    if (table->group != work->plan->number)
        touch_first(work, table);
    if (table->map != map) {
        if (table->map != NULL) { /* the order between two shapes is kept by making the second wait for all */
            flush(work, table);
            make_dependent(work, table);
        }
        tr_net_fini(&map->net);
        tr_net_init(&map->net, &work->plan->arena, map->ncolumns, map->key, map->nkey);
        map->net.unfolded = work->plan->ordered;
        table->map = map;
    }
    if (table->exclusive) {
        table->depends = max(table->depends, table->previous);
        table->last_exclusive = work->plan->number;
    }
    if (table->fires && !work->plan->ordered)
        work->again = true;
}

/* This row's keys are written by this group now: the last group in flight that wrote one of them. */
static uint64_t
write_keys(struct work *work, const struct tr_sql_map *map, const struct tr_value *key,
           const struct tr_value *row)
{
    struct tr_sql_planner *planner = work->planner;
    uint64_t number = work->plan->number, on = map->table->depends, hash;
    const struct tr_value *images[] = { key, row != key ? row : NULL };
    for (uint16_t i = 0; planner->parallel && !work->plan->alone && i < map->nwatched; i++) {
        const struct tr_sql_watched *watched = &map->watched[i];
        for (int image = 0; image < 2; image++) {
            if (images[image] == NULL || !tr_key_hash(watched->seed, images[image], watched->columns,
                                                      watched->ncolumns, watched->nulls_differ, &hash))
                continue;
            uint64_t last = tr_keys_write(&planner->keys, hash, number, work->oldest);
            if (last != number)
                on = max(on, last);
        }
    }
    return before(work, on);
}

/* A change that goes alone, after what is known of its table: a new key, or a row without one. */
static void
plan_single(struct work *work, struct tr_sql_map *map, enum tr_sql_op op, const struct tr_event *event,
            uint64_t on)
{
    struct tr_arena *arena = &work->plan->arena;
    struct tr_net_row *one = tr_arena_zalloc(arena, sizeof(*one));
    const struct tr_net_row **list = tr_arena_alloc(arena, sizeof(*list));
    tr_sql_event_images(event, &one->key, &one->row);
    list[0] = one;
    flush(work, map->table);
    if (map->table->dependent)
        on = max(on, map->table->depends);
    bool dependent = depends(work, on);
    *tr_sql_step_add(list_for(work, dependent, on)) = (struct tr_sql_step){
        .op = op, .map = map, .rows = list, .nrows = 1, .event = event
    };
    if (dependent && !map->table->dependent)
        make_dependent(work, map->table);
}

static void
plan_whole_row(struct work *work, struct tr_sql_map *map, const struct tr_event *event)
{
    struct tr_sql_table *table = map->table;
    table->depends = max(table->depends, table->previous);
    table->last_exclusive = work->plan->number;
    plan_single(work, map, event->kind == TR_UPDATE ? TR_SQL_UPDATE_ROW : TR_SQL_DELETE_ROW, event,
                before(work, table->depends));
}

/* Ordered: a run ends where the table or the operation changes. */
static void
follow_run(struct work *work, struct tr_sql_table *table, enum tr_net_op op)
{
    if (work->plan->ordered && work->run != NULL && (work->run != table || work->run_op != (int)op))
        flush(work, work->run);
    work->run = table;
    work->run_op = (int)op;
}

static enum tr_net_op
net_op(const struct tr_event *event)
{
    return event->kind == TR_UPDATE   ? TR_NET_UPDATE
           : event->kind == TR_DELETE ? TR_NET_DELETE
                                      : TR_NET_INSERT;
}

/* From here on the target's own foreign keys act, or they do not. */
static void
let_fire(struct work *work, bool fire)
{
    if (work->firing == fire)
        return;
    flush_all(work);
    work->firing = fire;
    tr_sql_plan_statement(work->plan, fire ? work->target->fire : work->target->hold_fire, NULL);
}

/* 1: the group must be planned once more, in the source's order. */
static int
follow_cascades(struct work *work, const struct tr_event *event, struct tr_error *err)
{
    int cascades = work->target->cascades != NULL ? work->target->cascades(work->target->arg, event, err) : 0;
    if (cascades < 0)
        return cascades;
    work->plan->cascades = work->plan->cascades || cascades;
    if (cascades && work->target->fire == NULL)
        work->plan->alone = true;
    else if (cascades && !work->plan->ordered)
        work->again = true;
    else
        let_fire(work, cascades);
    return work->again;
}

/* A session that writes smaller row images than the server's own setting leaves out what the target has no other way to know. */
static int
find_missing(const struct tr_sql_map *map, const struct tr_value *row, struct tr_error *err)
{
    for (uint16_t i = 0; i < map->nin_full; i++) {
        if (row[map->in_full[i]].state != TR_ABSENT)
            continue;
        tr_fail(err, TR_REFUSED,
                "a change of %s came without the value of its generated column %s, which the target keeps",
                map->label, map->relation->columns[map->in_full[i]].name);
        return tr_error_hint(
            err,
            "binlog_row_image must be FULL in every session of the source; drop the column at the target, or set that and load the table again (tailrace reload)");
    }
    return 0;
}

static int
plan_row(struct work *work, const struct tr_event *event, struct tr_error *err)
{
    struct tr_sql_map *map;
    const struct tr_value *key, *row;
    int rc = follow_cascades(work, event, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = work->target->map(work->target->arg, event->relation, &map, err);
    if (rc != 0 || (map->bare && event->kind == TR_UPDATE))
        return rc;
    enum tr_net_op op = net_op(event);
    tr_sql_event_images(event, &key, &row);
    if (row != NULL && (rc = find_missing(map, row, err)) < 0)
        return rc;
    touch(work, map);
    follow_run(work, map->table, op);
    if (map->nkey == 0 && op != TR_NET_INSERT) {
        plan_whole_row(work, map, event);
        return 0;
    }
    uint64_t on = write_keys(work, map, key, row);
    if (tr_sql_key_changes(map, event)) {
        plan_single(work, map, TR_SQL_UPDATE_KEY, event, on);
        return 0;
    }
    struct tr_net_row *entry = tr_net_add(&map->net, op, key, row);
    if (entry == NULL) {
        flush(work, map->table);
        entry = tr_net_add(&map->net, op, key, row);
    }
    if (entry == NULL)
        return tr_fail(err, TR_REFUSED, "a change of %s came without the values of its key", map->label);
    entry->depends = max(entry->depends, on);
    return 0;
}

static int
plan_truncate(struct work *work, const struct tr_event *event, struct tr_error *err)
{
    flush_all(work);
    let_fire(work, false);
    return work->target->truncate(work->target->arg, work->plan, event, err);
}

static int
plan_events(struct work *work, struct tr_error *err)
{
    for (const struct tr_batch *batch = work->first; batch != NULL; batch = batch->next) {
        for (uint32_t i = 0; i < batch->nevents && !work->again; i++) {
            const struct tr_event *event = &batch->events[i];
            int rc = 0;
            if (event->kind <= TR_READ && !event->relation->skip)
                rc = plan_row(work, event, err);
            else if (event->kind == TR_TRUNCATE)
                rc = plan_truncate(work, event, err);
            if (rc != 0)
                return rc;
        }
    }
    flush_all(work);
    let_fire(work, false);
    return 0;
}

static void
forget(struct work *work)
{
    struct tr_sql_planner *planner = work->planner;
    for (uint32_t i = 0; i < planner->ntouched; i++) {
        struct tr_sql_table *table = planner->touched[i];
        if (table->map != NULL)
            tr_net_fini(&table->map->net);
        table->map = NULL;
        table->group = 0;
    }
    planner->ntouched = 0;
    work->run = NULL;
    work->again = work->firing = false;
}

static int
plan_once(struct work *work, struct tr_error *err)
{
    tr_sql_plan_reset(work->plan);
    work->plan->cascades = false;
    work->plan->depends = before(work, work->plan->alone ? work->plan->number : work->planner->barrier);
    return plan_events(work, err);
}

int
tr_sql_plan(struct tr_sql_planner *planner, struct tr_sql_plan *plan, const struct tr_batch *first,
            uint64_t oldest, const struct tr_sql_target *target, struct tr_error *err)
{
    struct work work = {
        .planner = planner, .plan = plan, .first = first, .oldest = oldest, .target = target
    };
    int rc = plan_once(&work, err);
    if (rc == 0 && work.again) {
        forget(&work);
        plan->alone = plan->ordered = true;
        rc = plan_once(&work, err);
    }
    forget(&work);
    if (rc == 1)
        plan->alone = true;
    if (plan->alone)
        planner->barrier = plan->number;
    return rc;
}
