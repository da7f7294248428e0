/*
 * batch.h - whole transactions, or slices of a large one: the unit of ownership between threads.
 *
 * The capture thread fills a batch and pushes it into the queue; from then on it belongs to the sink, which gives it back with
 * tr_batch_free() when nothing of it is needed any more. All rows and texts live in its arena.
 */
#ifndef TR_CORE_BATCH_H
#define TR_CORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/event.h"

enum tr_batch_kind {
    TR_BATCH_COMMITTED = 0, /* transactions known to be committed, in commit order */
    TR_BATCH_OPEN, /* changes of one still open streamed transaction (stream_xid), ahead of its commit */
    TR_BATCH_OPEN_ABORT, /* the open transaction stream_xid, or its subtransaction stream_subxid, was rolled back; no events */
    TR_BATCH_OPEN_COMMIT, /* the open transaction stream_xid committed here in the commit order; its last events may be in it */
    TR_BATCH_LOAD, /* rows of the full load (TR_READ) */
};

struct tr_batch {
    struct tr_batch *next; /* for whoever owns it: queue, sink */
    struct tr_arena arena;
    struct tr_event *events;
    uint32_t nevents, events_cap;
    struct tr_txn *txns;
    uint32_t ntxns, txns_cap;
    struct tr_relation **relations; /* one reference each */
    uint32_t nrelations, relations_cap;
    enum tr_batch_kind kind;
    uint64_t stream_xid;
    uint64_t stream_subxid;
    uint64_t sequence;   /* place in the ledger, from 1; given by the pipeline when it is pushed */
    uint64_t rows;       /* row events in it */
    int64_t received_us; /* monotonic, when its oldest frame was read: for latency figures */
    const char *
        checkpoint; /* position reached when all of this and all before it is durable; NULL = the batch ends inside a transaction */
    const char
        *load_table; /* TR_BATCH_LOAD: "schema.name" when this is the last batch of that table, else NULL */
    const char *load_cut; /* the cut of that table */
    const struct tr_txn
        *cut; /* TR_BATCH_LOAD: where and when its rows were read (commit_us, file); NULL = not known */
    _Atomic int64_t *
        account; /* where tr_batch_free subtracts `charged`: the task's bytes in flight; NULL = not charged */
    int64_t charged;
};

struct tr_batch *tr_batch_new(void);
void tr_batch_free(struct tr_batch *batch); /* NULL is allowed */

/* One more event, cleared; valid until the next call. Counts towards the last transaction when there is one. */
struct tr_event *tr_batch_event(struct tr_batch *batch);

/* One more transaction, cleared, first_event set; valid until the next call. */
struct tr_txn *tr_batch_txn(struct tr_batch *batch);

/* The batch takes a reference of its own (once per relation and batch). */
void tr_batch_hold(struct tr_batch *batch, struct tr_relation *relation);

/* Bytes the batch occupies, for the memory budget. */
size_t tr_batch_bytes(const struct tr_batch *batch);

#endif
