/*
 * streamed.c - transactions that the source sends while they are open, chunk by chunk.
 *
 * Their frames go ahead to a sink that takes them (TR_SINK_TAKES_OPEN), or into the spool, from where they are decoded at the commit: so every other sink sees nothing
 * but commit order.
 */
#include "core/clock.h"
#include "core/memory.h"
#include "pipeline/assembler_internal.h"

int
tr_assembler_push_open(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *batch = assembler->open_batch;
    assembler->open_batch = NULL;
    return tr_assembler_push(assembler, batch, err);
}

static bool
is_eager(const struct tr_assembler *assembler, uint64_t xid)
{
    for (size_t i = 0; i < assembler->neager; i++)
        if (assembler->eager_xids[i] == xid)
            return true;
    return false;
}

static void
eager_add(struct tr_assembler *assembler, uint64_t xid)
{
    if (assembler->neager == assembler->eager_cap) {
        assembler->eager_cap = assembler->eager_cap > 0 ? assembler->eager_cap * 2 : 4;
        assembler->eager_xids = tr_realloc(assembler->eager_xids, assembler->eager_cap * sizeof(uint64_t));
    }
    assembler->eager_xids[assembler->neager++] = xid;
}

static void
eager_remove(struct tr_assembler *assembler, uint64_t xid)
{
    for (size_t i = 0; i < assembler->neager; i++)
        if (assembler->eager_xids[i] == xid)
            assembler->eager_xids[i] = assembler->eager_xids[--assembler->neager];
}

static struct tr_batch *
open_batch(enum tr_batch_kind kind, uint64_t xid)
{
    struct tr_batch *batch = tr_batch_new();
    batch->received_us = tr_clock_us();
    batch->kind = kind;
    batch->stream_xid = xid;
    return batch;
}

/* The slice that the eager sink gets next. In the middle of a chunk the decoder says whose transaction it continues. */
static struct tr_batch *
current_open(struct tr_assembler *assembler, uint64_t xid)
{
    if (assembler->open_batch == NULL) {
        assembler->open_batch = open_batch(TR_BATCH_OPEN, xid);
        assembler->decode->continue_txn(assembler->decoder, assembler->open_batch);
    }
    return assembler->open_batch;
}

static int
decode_open(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid, bool in_stream,
            struct tr_error *err)
{
    struct tr_batch *batch = current_open(assembler, xid);
    return assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, in_stream,
                                     batch, err);
}

int
tr_assembler_stream_start(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                          struct tr_error *err)
{
    assembler->stream_xid = xid;
    bool fresh = tr_spool_find(assembler->spool, xid) == NULL && !is_eager(assembler, xid);
    /* A table with a cut of its own needs the commit's position to judge: then nothing goes ahead. */
    bool may = (assembler->task->config.sink->capabilities & TR_SINK_TAKES_OPEN) != 0 &&
               assembler->stop_time_us == 0 && assembler->stop_order == UINT64_MAX &&
               atomic_load(&assembler->task->nguarded) == 0;
    if (fresh && may)
        eager_add(assembler, xid);
    assembler->eager = is_eager(assembler, xid);
    if (!assembler->eager) {
        tr_spool_begin(assembler->spool, xid);
        return 0;
    }
    /* What is complete goes first: the open transaction may last. */
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0
                ? tr_assembler_push_committed(assembler, err)
                : 0;
    if (r == 0)
        r = decode_open(assembler, frame, xid, false, err);
    return r < 0 ? r : 0; /* what decoding brought is no answer to "is the stop reached" */
}

int
tr_assembler_stream_change(struct tr_assembler *assembler, const struct tr_frame *frame,
                           const struct tr_frame_peek *peek, struct tr_error *err)
{
    if (!assembler->eager) {
        struct tr_spool_frame kept = { frame->data, frame->len, frame->order, peek->subxid, peek->shape };
        return tr_spool_add(assembler->spool, tr_spool_begin(assembler->spool, assembler->stream_xid), &kept,
                            err);
    }
    int r = decode_open(assembler, frame, assembler->stream_xid, true, err);
    return r >= 0 && tr_batch_bytes(assembler->open_batch) >= TR_BATCH_BYTES
               ? tr_assembler_push_open(assembler, err)
           : r < 0 ? r
                   : 0;
}

int
tr_assembler_stream_stop(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    uint64_t xid = assembler->stream_xid;
    assembler->stream_xid = 0;
    int r = assembler->eager ? decode_open(assembler, frame, xid, true, err) : 0;
    return r >= 0 && assembler->open_batch != NULL ? tr_assembler_push_open(assembler, err) : r < 0 ? r : 0;
}

int
tr_assembler_stream_abort(struct tr_assembler *assembler, const struct tr_frame *frame,
                          const struct tr_frame_peek *peek, struct tr_error *err)
{
    if (is_eager(assembler, peek->xid)) {
        struct tr_batch *batch = open_batch(TR_BATCH_OPEN_ABORT, peek->xid);
        batch->stream_subxid = peek->subxid;
        if (peek->subxid == peek->xid)
            eager_remove(assembler, peek->xid);
        int r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                          batch, err);
        if (r < 0)
            tr_batch_free(batch);
        return r < 0 ? r : tr_assembler_push(assembler, batch, err);
    }
    struct tr_spool_txn *txn = tr_spool_find(assembler->spool, peek->xid);
    if (txn == NULL)
        return 0; /* nothing of it was ever sent */
    if (peek->subxid != peek->xid)
        tr_spool_abort_subxid(txn, peek->subxid);
    else
        tr_spool_drop(assembler->spool, txn);
    return 0;
}

static int
stream_commit_spooled(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                      struct tr_error *err)
{
    struct tr_spool_txn *txn = tr_spool_begin(assembler->spool, xid);
    /* What was complete before goes first: a large transaction shall not hold it up. */
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0
                ? tr_assembler_push_committed(assembler, err)
                : 0;
    if (r == 0)
        r = assembler->decode->begin_from_commit(assembler->decoder, frame->data, frame->len,
                                                 tr_assembler_batch(assembler), err);
    if (r >= 0)
        r = tr_assembler_replay(assembler, txn, err);
    tr_spool_drop(assembler->spool, txn);
    if (r >= 0)
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                      tr_assembler_batch(assembler), err);
    return r < 0 ? r : tr_assembler_decoded(assembler, r, err);
}

static int
stream_commit_eager(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                    struct tr_error *err)
{
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0
                ? tr_assembler_push_committed(assembler, err)
                : 0;
    if (r < 0)
        return r;
    eager_remove(assembler, xid);
    tr_batch_free(assembler->batch);
    assembler->batch = open_batch(TR_BATCH_OPEN_COMMIT, xid);
    r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                  assembler->batch, err);
    return r < 0 ? r : tr_assembler_push_committed(assembler, err);
}

/* A streamed commit beyond the stop: ask a throw-away batch what it says. */
static int
commit_is_beyond(struct tr_assembler *assembler, const struct tr_frame *frame, bool *beyond,
                 struct tr_error *err)
{
    *beyond = false;
    if (assembler->stop_order == UINT64_MAX && assembler->stop_time_us == 0)
        return 0;
    struct tr_batch *probe = tr_batch_new();
    int r = assembler->decode->begin_from_commit(assembler->decoder, frame->data, frame->len, probe, err);
    if (r >= 0)
        *beyond = tr_assembler_beyond_stop(assembler, &probe->txns[0]);
    if (r >= 0 && !*beyond) /* leaves the decoder outside the transaction again */
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false, probe,
                                      err);
    tr_batch_free(probe);
    return r < 0 ? r : 0;
}

int
tr_assembler_stream_commit(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                           struct tr_error *err)
{
    bool beyond;
    int r = commit_is_beyond(assembler, frame, &beyond, err);
    if (r < 0)
        return r;
    if (beyond) {
        r = assembler->batch != NULL && assembler->batch->ntxns > 0
                ? tr_assembler_push_committed(assembler, err)
                : 0;
        return r < 0 ? r : 1;
    }
    return is_eager(assembler, xid) ? stream_commit_eager(assembler, frame, xid, err)
                                    : stream_commit_spooled(assembler, frame, xid, err);
}
