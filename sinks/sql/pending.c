/* pending.c - which batches go together in one target transaction. */
#include "sinks/sql/pending.h"

#include <string.h>

#define GROUP_BYTES ((uint64_t)4 << 20)
#define HOLD_BYTES ((uint64_t)8 << 20)

static uint64_t
at_most(uint64_t wanted, uint64_t limit)
{
    return wanted == 0 || wanted > limit ? limit : wanted;
}

void
tr_sql_pending_init(struct tr_sql_pending *pending, uint64_t group_rows, uint64_t memory, int workers,
                    bool (*changes_shape)(const struct tr_event *event))
{
    memset(pending, 0, sizeof *pending);
    pending->rows_limit = group_rows;
    pending->bytes_limit = at_most(memory / (uint64_t)(workers + 2), GROUP_BYTES);
    pending->hold_limit = at_most(memory / 4, HOLD_BYTES);
    pending->changes_shape = changes_shape;
}

void
tr_sql_pending_add(struct tr_sql_pending *pending, struct tr_batch *batch)
{
    batch->next = NULL;
    if (pending->last != NULL)
        pending->last->next = batch;
    else
        pending->first = batch;
    pending->last = batch;
    pending->rows += batch->nevents;
    pending->bytes += tr_batch_bytes(batch);
}

void
tr_sql_batches_free(struct tr_batch *first)
{
    for (struct tr_batch *batch = first, *next; batch != NULL; batch = next) {
        next = batch->next;
        tr_batch_free(batch);
    }
}

void
tr_sql_pending_free(struct tr_sql_pending *pending)
{
    tr_sql_batches_free(pending->first);
    pending->first = pending->last = NULL;
    pending->rows = pending->bytes = 0;
}

bool
tr_sql_pending_over(const struct tr_sql_pending *pending, uint64_t times)
{
    return pending->rows > pending->rows_limit * times || pending->bytes > pending->bytes_limit * times;
}

bool
tr_sql_pending_has_end(const struct tr_sql_pending *pending)
{
    for (const struct tr_batch *batch = pending->first; batch != NULL; batch = batch->next)
        if (batch->checkpoint != NULL)
            return true;
    return false;
}

static void
look(const struct tr_sql_pending *pending, const struct tr_batch *batch, bool *ddl, bool *truncate)
{
    for (uint32_t i = 0; i < batch->nevents; i++) {
        const struct tr_event *event = &batch->events[i];
        *ddl = *ddl || pending->changes_shape(event);
        *truncate = *truncate || event->kind == TR_TRUNCATE;
    }
}

bool
tr_sql_pending_changes_shape(const struct tr_sql_pending *pending)
{
    bool ddl = false, truncate = false;
    for (const struct tr_batch *batch = pending->first; batch != NULL && !ddl; batch = batch->next) {
        look(pending, batch, &ddl, &truncate);
        if (batch->checkpoint != NULL)
            break;
    }
    return ddl;
}

struct tr_sql_reach
tr_sql_pending_reach(const struct tr_sql_pending *pending)
{
    struct tr_sql_reach reach = { 0 };
    uint64_t rows = 0, bytes = 0;
    for (struct tr_batch *batch = pending->first; batch != NULL; batch = batch->next) {
        bool ddl = false, truncate = false;
        look(pending, batch, &ddl, &truncate);
        rows += batch->nevents;
        bytes += tr_batch_bytes(batch);
        if (reach.end != NULL &&
            (ddl || reach.ddl || rows > pending->rows_limit || bytes > pending->bytes_limit))
            break;
        reach.ddl = reach.ddl || ddl;
        reach.truncate = reach.truncate || truncate;
        if (batch->checkpoint != NULL)
            reach.end = batch;
    }
    reach.large = reach.end == NULL && bytes > pending->hold_limit;
    if (reach.large)
        reach.end = pending->last;
    return reach;
}

struct tr_sql_reach
tr_sql_pending_slice(const struct tr_sql_pending *pending)
{
    struct tr_sql_reach reach = tr_sql_pending_reach(pending);
    reach.end = pending->first;
    while (reach.end->checkpoint == NULL && reach.end->next != NULL)
        reach.end = reach.end->next;
    return reach;
}

static void
sum(const struct tr_batch *batch, uint64_t *rows, uint64_t *bytes)
{
    *rows = *bytes = 0;
    for (; batch != NULL; batch = batch->next) {
        *rows += batch->nevents;
        *bytes += tr_batch_bytes(batch);
    }
}

struct tr_batch *
tr_sql_pending_take(struct tr_sql_pending *pending, struct tr_batch *end, uint64_t *rows, uint64_t *bytes)
{
    struct tr_batch *first = pending->first;
    pending->first = end->next;
    end->next = NULL;
    if (pending->first == NULL)
        pending->last = NULL;
    sum(first, rows, bytes);
    sum(pending->first, &pending->rows, &pending->bytes);
    return first;
}
