/* group.c - a group of transactions that are applied as one, from the batches that wait. */
#include "sinks/sql/group.h"

#include <stdlib.h>

#include "core/memory.h"

static void
take(struct tr_sql_group *group, struct tr_sql_pending *pending, const struct tr_sql_reach *reach)
{
    group->first = tr_sql_pending_take(pending, reach->end, &group->rows, &group->bytes);
    group->last = reach->end;
    group->sequence = reach->end->sequence;
    group->ddl = reach->ddl;
    free(group->checkpoint);
    group->checkpoint = tr_strdup(reach->end->checkpoint);
}

struct tr_sql_group *
tr_sql_group_form(struct tr_sql_pending *pending, uint64_t number, bool ordered)
{
    struct tr_sql_reach reach = tr_sql_pending_reach(pending);
    if (reach.end == NULL)
        return NULL;
    struct tr_sql_group *group = tr_calloc(1, sizeof(*group));
    tr_arena_init(&group->plan.arena);
    group->plan.number = number;
    group->plan.ordered = ordered;
    group->plan.alone = reach.large || reach.ddl || reach.truncate || ordered;
    group->large = reach.large;
    take(group, pending, &reach);
    return group;
}

bool
tr_sql_group_continue(struct tr_sql_group *group, struct tr_sql_pending *pending)
{
    tr_sql_group_drop_batches(group);
    if (pending->first == NULL)
        return false;
    struct tr_sql_reach reach = tr_sql_pending_slice(pending);
    take(group, pending, &reach);
    return true;
}

void
tr_sql_group_drop_batches(struct tr_sql_group *group)
{
    tr_sql_batches_free(group->first);
    group->first = group->last = NULL;
    group->rows = group->bytes = 0;
    tr_sql_plan_reset(&group->plan);
}

void
tr_sql_group_drop_parked(struct tr_sql_group *group)
{
    if (group->parked != NULL)
        group->parked_free(group->parked);
    group->parked = NULL;
}

void
tr_sql_group_free(struct tr_sql_group *group)
{
    if (group == NULL)
        return;
    tr_sql_group_drop_batches(group);
    tr_sql_group_drop_parked(group);
    tr_sql_plan_fini(&group->plan);
    free(group->checkpoint);
    free(group);
}
