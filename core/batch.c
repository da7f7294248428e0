/* batch.c - growing the lists of a batch and letting go of it. */
#include "core/batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct tr_batch *
tr_batch_new(void)
{
    struct tr_batch *batch = tr_calloc(1, sizeof(*batch));
    tr_arena_init(&batch->arena);
    return batch;
}

void
tr_batch_free(struct tr_batch *batch)
{
    if (batch == NULL)
        return;
    if (batch->account != NULL)
        atomic_fetch_sub_explicit(batch->account, batch->charged, memory_order_relaxed);
    for (uint32_t i = 0; i < batch->nrelations; i++)
        tr_relation_unref(batch->relations[i]);
    free(batch->relations);
    free(batch->events);
    free(batch->txns);
    tr_arena_fini(&batch->arena);
    free(batch);
}

static void *
grow(void *items, uint32_t *cap, uint32_t first, size_t size)
{
    *cap = *cap > 0 ? *cap * 2 : first;
    return tr_realloc(items, *cap * size);
}

struct tr_event *
tr_batch_event(struct tr_batch *batch)
{
    if (batch->nevents == batch->events_cap)
        batch->events = grow(batch->events, &batch->events_cap, 16, sizeof(*batch->events));
    if (batch->ntxns > 0)
        batch->txns[batch->ntxns - 1].nevents++;
    struct tr_event *event = &batch->events[batch->nevents++];
    memset(event, 0, sizeof(*event));
    return event;
}

struct tr_txn *
tr_batch_txn(struct tr_batch *batch)
{
    if (batch->ntxns == batch->txns_cap)
        batch->txns = grow(batch->txns, &batch->txns_cap, 4, sizeof(*batch->txns));
    struct tr_txn *txn = &batch->txns[batch->ntxns++];
    memset(txn, 0, sizeof(*txn));
    txn->first_event = batch->nevents;
    return txn;
}

void
tr_batch_hold(struct tr_batch *batch, struct tr_relation *relation)
{
    for (uint32_t i = batch->nrelations; i > 0; i--)
        if (batch->relations[i - 1] == relation)
            return;
    if (batch->nrelations == batch->relations_cap)
        batch->relations = grow(batch->relations, &batch->relations_cap, 4, sizeof(struct tr_relation *));
    batch->relations[batch->nrelations++] = tr_relation_ref(relation);
}

size_t
tr_batch_bytes(const struct tr_batch *batch)
{
    return sizeof(*batch) + batch->arena.reserved + batch->events_cap * sizeof(*batch->events) +
           batch->txns_cap * sizeof(*batch->txns) + batch->relations_cap * sizeof(*batch->relations);
}
