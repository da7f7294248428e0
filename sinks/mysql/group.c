/* group.c - which batches go together in one target transaction. */
#include <stdlib.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

/* A transaction that is larger than this is applied while it comes; a smaller one is held until its end is here. */
#define HOLD_BYTES ((uint64_t)8 << 20)

struct contents {
    bool ddl, truncate;
};

bool
tr_my_changes_shape(const struct tr_event *event)
{
    return (event->kind == TR_SCHEMA && event->schema.previous != NULL) ||
           (event->kind == TR_DDL && event->ddl.ntables > 0);
}

static void
look(const struct tr_batch *batch, struct contents *has)
{
    for (uint32_t i = 0; i < batch->nevents; i++) {
        const struct tr_event *event = &batch->events[i];
        has->ddl = has->ddl || tr_my_changes_shape(event);
        has->truncate = has->truncate || event->kind == TR_TRUNCATE;
    }
}

static uint64_t
hold_limit(const struct tr_my_apply *apply)
{
    uint64_t limit = apply->sink->base.env->memory / 4;
    return limit < HOLD_BYTES ? limit : HOLD_BYTES;
}

/*
 * How far the next group reaches: to the last batch that ends at a commit and fits. A change of shape stands alone. NULL: the transaction's end has
 * not come; *large when it is too big to wait for.
 */
static struct tr_batch *
reach(struct tr_my_apply *apply, struct contents *has, bool *large)
{
    struct tr_batch *end = NULL;
    uint64_t rows = 0, bytes = 0;
    *has = (struct contents){ false, false };
    for (struct tr_batch *batch = apply->pending; batch != NULL; batch = batch->next) {
        struct contents more = { false, false };
        look(batch, &more);
        rows += batch->nevents;
        bytes += tr_batch_bytes(batch);
        if (end != NULL && (more.ddl || has->ddl || rows > apply->rows_limit || bytes > apply->bytes_limit))
            break;
        has->ddl = has->ddl || more.ddl;
        has->truncate = has->truncate || more.truncate;
        if (batch->checkpoint != NULL)
            end = batch;
    }
    *large = end == NULL && bytes > hold_limit(apply);
    return *large ? apply->pending_last : end;
}

static void
take(struct tr_my_apply *apply, struct tr_my_group *group, struct tr_batch *end)
{
    group->first = apply->pending;
    group->last = end;
    for (struct tr_batch *batch = apply->pending;; batch = batch->next) {
        group->rows += batch->nevents;
        group->bytes += tr_batch_bytes(batch);
        if (batch == end)
            break;
    }
    apply->pending = end->next;
    end->next = NULL;
    if (apply->pending == NULL)
        apply->pending_last = NULL;
    apply->pending_rows = apply->pending_bytes = 0;
    for (struct tr_batch *batch = apply->pending; batch != NULL; batch = batch->next) {
        apply->pending_rows += batch->nevents;
        apply->pending_bytes += tr_batch_bytes(batch);
    }
    group->sequence = end->sequence;
    free(group->checkpoint);
    group->checkpoint = tr_strdup(end->checkpoint);
}

struct tr_my_group *
tr_my_group_form(struct tr_my_apply *apply)
{
    struct contents has;
    bool large;
    struct tr_batch *end = apply->pending != NULL ? reach(apply, &has, &large) : NULL;
    if (end == NULL)
        return NULL;
    struct tr_my_group *group = tr_calloc(1, sizeof(*group));
    tr_arena_init(&group->plan.arena);
    group->plan.number = apply->next_group++;
    group->large = large;
    group->ddl = has.ddl;
    group->plan.alone = large || has.ddl || has.truncate;
    take(apply, group, end);
    return group;
}

bool
tr_my_group_continue(struct tr_my_apply *apply, struct tr_my_group *group)
{
    struct contents has;
    bool large;
    struct tr_batch *end = NULL;
    tr_my_group_drop_batches(group);
    if (apply->pending == NULL)
        return false;
    /* up to the transaction's end, or what is here when that is enough for a slice */
    reach(apply, &has, &large);
    for (struct tr_batch *batch = apply->pending; batch != NULL && end == NULL; batch = batch->next)
        if (batch->checkpoint != NULL)
            end = batch;
    if (end == NULL)
        end = apply->pending_last;
    take(apply, group, end);
    group->ddl = has.ddl;
    return true;
}

void
tr_my_group_drop_batches(struct tr_my_group *group)
{
    for (struct tr_batch *batch = group->first, *next; batch != NULL; batch = next) {
        next = batch->next;
        tr_batch_free(batch);
    }
    group->first = group->last = NULL;
    group->rows = group->bytes = 0;
    tr_sql_plan_reset(&group->plan);
}

void
tr_my_group_free(struct tr_my_group *group)
{
    if (group == NULL)
        return;
    tr_my_group_drop_batches(group);
    tr_my_parked_free(group->parked);
    tr_sql_plan_fini(&group->plan);
    free(group->checkpoint);
    free(group);
}
