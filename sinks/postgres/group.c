/* group.c - a group of transactions that are applied as one, from the batches that wait. */
#include <stdlib.h>

#include "core/memory.h"
#include "sinks/postgres/shape.h"

bool
tr_pg_changes_shape(const struct tr_event *event)
{
    return (event->kind == TR_SCHEMA && event->schema.previous != NULL) || tr_pg_renames_columns(event);
}

static void
take(struct tr_pg_apply *apply, struct tr_pg_group *group, struct tr_batch *end)
{
    group->first = tr_sql_pending_take(&apply->pending, end, &group->rows, &group->bytes);
    group->last = end;
    group->sequence = end->sequence;
    free(group->checkpoint);
    group->checkpoint = tr_strdup(end->checkpoint);
}

struct tr_pg_group *
tr_pg_group_form(struct tr_pg_apply *apply)
{
    struct tr_sql_reach reach = tr_sql_pending_reach(&apply->pending);
    if (reach.end == NULL)
        return NULL;
    struct tr_pg_group *group = tr_calloc(1, sizeof(*group));
    tr_arena_init(&group->plan.arena);
    group->plan.number = apply->next_group++;
    group->large = reach.large;
    group->ddl = reach.ddl;
    group->plan.ordered = !apply->sink->replica_role;
    group->plan.alone = reach.large || reach.ddl || reach.truncate || group->plan.ordered;
    take(apply, group, reach.end);
    return group;
}

bool
tr_pg_group_continue(struct tr_pg_apply *apply, struct tr_pg_group *group)
{
    tr_pg_group_drop_batches(group);
    if (apply->pending.first == NULL)
        return false;
    struct tr_sql_reach reach = tr_sql_pending_slice(&apply->pending);
    take(apply, group, reach.end);
    group->ddl = reach.ddl;
    return true;
}

void
tr_pg_group_drop_batches(struct tr_pg_group *group)
{
    tr_sql_batches_free(group->first);
    group->first = group->last = NULL;
    group->rows = group->bytes = 0;
    tr_sql_plan_reset(&group->plan);
}

void
tr_pg_group_free(struct tr_pg_group *group)
{
    if (group == NULL)
        return;
    tr_pg_group_drop_batches(group);
    tr_pg_parked_free(group->parked);
    tr_sql_plan_fini(&group->plan);
    free(group->checkpoint);
    free(group);
}
