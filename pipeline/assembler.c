/*
 * assembler.c - frames become events, events become transactions, transactions fill batches.
 *
 * Plain frames are decoded at once: they come in commit order. Frames of an open streamed transaction go ahead to a sink that takes them
 * (TR_SINK_TAKES_OPEN), or into the spool, from where they are decoded at the commit: so every other sink sees nothing but commit order.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/internal.h"
#include "pipeline/prepared.h"

#define BATCH_BYTES ((size_t)256 << 10)     /* a batch is pushed at the first commit past this */
#define SLICE_BYTES ((size_t)1 << 20)       /* a large transaction is pushed in slices of this */
#define EMPTY_INTERVAL_US (1 * TR_US_PER_S) /* how often transactions without any event move the checkpoint */
#define KEEPALIVE_INTERVAL_US (10 * TR_US_PER_S) /* how often an idle source does */
#define KEEPALIVE_BYTES ((uint64_t)16 << 20)     /* or how much log has gone by */

struct tr_assembler {
    struct tr_task *task;
    const struct tr_source_class *source;
    struct tr_decoder *decoder;
    const struct tr_decoder_class *decode;
    struct tr_spool *spool;
    struct tr_prepared *prepared; /* NULL = the source sends none ahead of their decision */
    struct tr_batch *batch;       /* committed transactions being collected; NULL = none */
    struct tr_batch
        *open_batch;      /* slice of the open transaction whose chunk is being read, for an eager sink */
    uint64_t stream_xid;  /* of the chunk being read, 0 = none */
    bool eager;           /* that chunk goes ahead to the sink */
    uint64_t *eager_xids; /* open transactions of which slices went ahead */
    size_t neager, eager_cap;
    size_t slice_bytes;   /* SLICE_BYTES, or more when transactions have to stay whole */
    uint64_t stop_order;  /* UINT64_MAX = never */
    int64_t stop_time_us; /* 0 = never */
    int64_t pushed_us;    /* monotonic, of the last checkpoint pushed */
    uint64_t pushed_order;
    uint64_t
        read_order; /* the server has said that it has read its log up to here, and nothing is on its way */
    char *reached;  /* the newest checkpoint pushed, or the start: none that follows may be before it */
};

/* --- hooks of the decoder --- */

static bool
covered(struct tr_task *task, const char *cut, const struct tr_txn *txn)
{
    return task->config.source->covers(task->source, cut, txn);
}

static void
unguard(struct tr_task *task, struct tr_table_state *table)
{
    free(table->cut);
    table->cut = NULL;
    atomic_fetch_sub(&task->nguarded, 1);
}

/* The stream has come to `position`: cuts at or before it have done their work. */
static void
unguard_passed(struct tr_task *task, const char *position)
{
    for (uint32_t i = 0; i < task->ntables && atomic_load(&task->nguarded) > 0; i++)
        if (task->tables[i].cut != NULL && task->config.source->compare(task->tables[i].cut, position) <= 0)
            unguard(task, &task->tables[i]);
}

static int
relation_hook(void *arg, struct tr_relation *relation, const struct tr_relation *previous,
              struct tr_error *err)
{
    struct tr_assembler *assembler = arg;
    struct tr_task *task = assembler->task;
    (void)err;
    tr_mapping_route(task->mapping, relation);
    relation->number = tr_task_table_number(task, relation->schema, relation->name);
    (void)previous;
    const struct tr_table_state *table = &task->tables[relation->number - 1];
    atomic_store(&relation->guarded, table->cut != NULL);
    if (!relation->skip && (table->pending || (task->takes_new && !table->known))) {
        relation->skip = true; /* it joins when it is loaded: upkeep.c */
        atomic_store(&task->look, true);
    }
    return 0;
}

/* Past the table's own cut the guard is taken away: commit order makes that final. */
static bool
wanted_hook(void *arg, const struct tr_relation *relation, const struct tr_txn *txn)
{
    struct tr_assembler *assembler = arg;
    struct tr_task *task = assembler->task;
    struct tr_table_state *table = &task->tables[relation->number - 1];
    if (table->cut != NULL) {
        if (covered(task, table->cut, txn))
            return false;
        unguard(task, table);
    }
    atomic_store(&((struct tr_relation *)(uintptr_t)relation)->guarded, false);
    return true;
}

int
tr_assembler_new(struct tr_task *task, const char *position, struct tr_assembler **out, struct tr_error *err)
{
    struct tr_assembler *assembler = tr_calloc(1, sizeof(*assembler));
    int64_t memory = tr_setting_int(task->config.settings, "memory");
    assembler->task = task;
    assembler->source = task->config.source;
    assembler->decode = task->config.source->decoder;
    assembler->stop_order = UINT64_MAX;
    assembler->slice_bytes = SLICE_BYTES;
    if (task->whole && memory / 4 > (int64_t)SLICE_BYTES)
        assembler->slice_bytes = (size_t)memory / 4;
    assembler->reached = tr_strdup(position);
    assembler->spool = tr_spool_new(tr_setting_string(task->config.settings, "state"), (size_t)memory / 4);
    struct tr_decoder_config config = {
        .catalog = task->source->catalog,
        .hooks = { assembler, relation_hook, wanted_hook },
        .max_value = TR_BUFFER_MAX,
        .source_format = task->source->decoder_format,
    };
    int r = assembler->decode->open(&config, &assembler->decoder, err);
    if (r == 0 && task->config.source->reread != NULL)
        assembler->prepared = tr_prepared_new(assembler->spool, task->source, assembler->decoder);
    if (r < 0) {
        tr_assembler_free(assembler);
        assembler = NULL;
    }
    *out = assembler;
    return r;
}

void
tr_assembler_free(struct tr_assembler *assembler)
{
    if (assembler == NULL)
        return;
    tr_prepared_free(assembler->prepared);
    if (assembler->decoder != NULL)
        assembler->decode->close(assembler->decoder);
    tr_batch_free(assembler->batch);
    tr_batch_free(assembler->open_batch);
    tr_spool_free(assembler->spool);
    free(assembler->eager_xids);
    free(assembler->reached);
    free(assembler);
}

void
tr_assembler_stop_at(struct tr_assembler *assembler, uint64_t order, int64_t time_us)
{
    assembler->stop_order = order;
    assembler->stop_time_us = time_us;
}

/* --- batches --- */

static struct tr_batch *
current(struct tr_assembler *assembler)
{
    if (assembler->batch == NULL) {
        assembler->batch = tr_batch_new();
        assembler->batch->received_us = tr_clock_us();
        assembler->decode->continue_txn(assembler->decoder, assembler->batch);
    }
    return assembler->batch;
}

static uint64_t
commits_in(const struct tr_batch *batch)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < batch->ntxns; i++)
        n += batch->txns[i].ends;
    return n;
}

/* Hand over to the sink, waiting for room; the source hears from us meanwhile, so that a stalled sink does not cost the connection. */
static int
push(struct tr_assembler *assembler, struct tr_batch *batch, struct tr_error *err)
{
    struct tr_task *task = assembler->task;
    TR_FAILPOINT("pipeline.push");
    while (!tr_queue_has_room(&task->queue)) {
        if (tr_task_stopping(task) || atomic_load(&task->halt)) {
            tr_batch_free(batch);
            return tr_fail(err, TR_RETRY, "stopped");
        }
        tr_queue_wait_room(&task->queue, 20000);
        int r = tr_stream_alive(task, false, err);
        if (r < 0) {
            tr_batch_free(batch);
            return r;
        }
    }
    atomic_fetch_add_explicit(&task->count.rows, batch->rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&task->count.transactions, commits_in(batch), memory_order_relaxed);
    tr_ledger_add(&task->ledger, batch);
    tr_queue_push(&task->queue, batch);
    return 0;
}

/* Checkpoints only go forward. A server begins with a keepalive that names where its slot stands, which may be behind us. */
static bool
goes_forward(const struct tr_assembler *assembler, const char *checkpoint)
{
    return assembler->source->compare(checkpoint, assembler->reached) > 0;
}

static void
set_reached(struct tr_assembler *assembler, const char *checkpoint)
{
    free(assembler->reached);
    assembler->reached = tr_strdup(checkpoint);
}

/* The batch ends at a commit: its checkpoint is the end of its last transaction. */
static int
push_committed(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    int r = assembler->source->checkpoint(assembler->task->source, batch, &batch->checkpoint, err);
    if (r < 0)
        return r;
    if (!goes_forward(assembler, batch->checkpoint)) {
        tr_fail(err, TR_REFUSED,
                "the source sent a transaction that ends at %s, but its log had been read up to %s",
                batch->checkpoint, assembler->reached);
        return tr_error_hint(
            err,
            "the server went back in time (restored, or another one answers under its address): load the tables again");
    }
    set_reached(assembler, batch->checkpoint);
    unguard_passed(assembler->task, batch->checkpoint);
    assembler->batch = NULL;
    assembler->pushed_us = tr_clock_us();
    assembler->pushed_order = batch->txns[batch->ntxns - 1].end_order;
    return push(assembler, batch, err);
}

/* A slice: the transaction goes on in the next batch. */
static int
push_slice(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    assembler->batch = NULL;
    return push(assembler, batch, err);
}

bool
tr_assembler_pending(const struct tr_assembler *assembler)
{
    return assembler->open_batch != NULL || (assembler->batch != NULL && assembler->batch->ntxns > 0 &&
                                             !assembler->decode->in_transaction(assembler->decoder));
}

static int
push_open(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *batch = assembler->open_batch;
    assembler->open_batch = NULL;
    return push(assembler, batch, err);
}

int
tr_assembler_flush(struct tr_assembler *assembler, bool last, struct tr_error *err)
{
    if (assembler->open_batch != NULL && assembler->open_batch->nevents > 0 && !last) {
        int r = push_open(assembler, err);
        if (r < 0)
            return r;
    }
    struct tr_batch *batch = assembler->batch;
    if (batch == NULL || batch->ntxns == 0 || assembler->decode->in_transaction(assembler->decoder))
        return 0;
    if (batch->nevents == 0 && !last && tr_clock_us() - assembler->pushed_us < EMPTY_INTERVAL_US) {
        batch->txns[0] = batch->txns[batch->ntxns - 1]; /* only where the last of them ended matters */
        batch->txns[0].first_event = 0;
        batch->ntxns = 1;
        return 0;
    }
    return push_committed(assembler, err);
}

/* --- streamed transactions --- */

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

static int
stream_start(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid, struct tr_error *err)
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
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0 ? push_committed(assembler, err) : 0;
    if (r == 0)
        r = decode_open(assembler, frame, xid, false, err);
    return r < 0 ? r : 0; /* what decoding brought is no answer to "is the stop reached" */
}

static int
stream_change(struct tr_assembler *assembler, const struct tr_frame *frame, const struct tr_frame_peek *peek,
              struct tr_error *err)
{
    if (!assembler->eager) {
        struct tr_spool_frame kept = { frame->data, frame->len, frame->order, peek->subxid, peek->shape };
        return tr_spool_add(assembler->spool, tr_spool_begin(assembler->spool, assembler->stream_xid), &kept,
                            err);
    }
    int r = decode_open(assembler, frame, assembler->stream_xid, true, err);
    return r >= 0 && tr_batch_bytes(assembler->open_batch) >= BATCH_BYTES ? push_open(assembler, err)
           : r < 0                                                        ? r
                                                                          : 0;
}

static int
stream_stop(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    uint64_t xid = assembler->stream_xid;
    assembler->stream_xid = 0;
    int r = assembler->eager ? decode_open(assembler, frame, xid, true, err) : 0;
    return r >= 0 && assembler->open_batch != NULL ? push_open(assembler, err) : r < 0 ? r : 0;
}

static int
stream_abort(struct tr_assembler *assembler, const struct tr_frame *frame, const struct tr_frame_peek *peek,
             struct tr_error *err)
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
        return r < 0 ? r : push(assembler, batch, err);
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

/*
 * The log takes rows back that an earlier slice has handed on (a MariaDB server logs what it rolled back when a temporary table was made in
 * between). The sink has not committed them: the task begins anew from its checkpoint, once, and keeps such a transaction together.
 */
static int
undone(struct tr_assembler *assembler, struct tr_error *err)
{
    if (!assembler->task->whole) {
        assembler->task->whole = true;
        return tr_error_hint(err, "it is read once more, in one piece");
    }
    err->class = TR_REFUSED;
    return tr_error_hint(err, "give the task more memory: a quarter of it must hold the transaction");
}

/* Decode what the spool holds of a transaction into the batch, slice by slice. */
static int
replay(struct tr_assembler *assembler, struct tr_spool_txn *txn, struct tr_error *err)
{
    struct tr_spool_frame frame;
    int r;
    tr_spool_rewind(txn);
    while ((r = tr_spool_next(assembler->spool, txn, &frame, err)) > 0) {
        struct tr_batch *batch = current(assembler);
        r = assembler->decode->decode(assembler->decoder, frame.data, frame.len, frame.order, true, batch,
                                      err);
        if (r == -TR_RETRY)
            r = undone(assembler, err);
        if (r >= 0 && tr_batch_bytes(batch) >= assembler->slice_bytes)
            r = push_slice(assembler, err);
        if (r < 0)
            return r;
    }
    return r;
}

static int after_decode(struct tr_assembler *assembler, int decoded, struct tr_error *err);

static int
stream_commit_spooled(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                      struct tr_error *err)
{
    struct tr_spool_txn *txn = tr_spool_begin(assembler->spool, xid);
    /* What was complete before goes first: a large transaction shall not hold it up. */
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0 ? push_committed(assembler, err) : 0;
    if (r == 0)
        r = assembler->decode->begin_from_commit(assembler->decoder, frame->data, frame->len,
                                                 current(assembler), err);
    if (r >= 0)
        r = replay(assembler, txn, err);
    tr_spool_drop(assembler->spool, txn);
    if (r >= 0)
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                      current(assembler), err);
    return r < 0 ? r : after_decode(assembler, r, err);
}

static int
stream_commit_eager(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                    struct tr_error *err)
{
    int r = assembler->batch != NULL && assembler->batch->ntxns > 0 ? push_committed(assembler, err) : 0;
    if (r < 0)
        return r;
    eager_remove(assembler, xid);
    tr_batch_free(assembler->batch);
    assembler->batch = open_batch(TR_BATCH_OPEN_COMMIT, xid);
    r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                  assembler->batch, err);
    return r < 0 ? r : push_committed(assembler, err);
}

/* --- one frame --- */

static int
after_decode(struct tr_assembler *assembler, int decoded, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    size_t bytes = batch != NULL ? tr_batch_bytes(batch) : 0;
    if (decoded & TR_DECODED_COMMIT)
        return (bytes >= BATCH_BYTES && batch->nevents > 0) || tr_statement_leads(batch)
                   ? push_committed(assembler, err)
                   : 0;
    return bytes >= assembler->slice_bytes ? push_slice(assembler, err) : 0;
}

/* Is the transaction that the last frame opened, or that a commit frame names, beyond where the task is to stop? */
static bool
beyond_stop(const struct tr_assembler *assembler, const struct tr_txn *txn)
{
    return txn->commit_order >= assembler->stop_order ||
           (assembler->stop_time_us > 0 && txn->commit_us > assembler->stop_time_us);
}

/* Take a transaction that has just been opened out of the batch again, with the rows that came in the same frame. */
static int
stop_before_last(struct tr_assembler *assembler, uint64_t rows_before, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    batch->nevents = batch->txns[--batch->ntxns].first_event;
    batch->rows = rows_before;
    if (assembler->batch->ntxns == 0) {
        tr_batch_free(assembler->batch);
        assembler->batch = NULL;
        return 1;
    }
    int r = push_committed(assembler, err);
    return r < 0 ? r : 1;
}

/* DDL stands at the head of a batch: what was collected before it goes first. */
static int
statement_alone(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *own;
    int r = tr_statement_batch(assembler->task, assembler->batch, &own, err);
    if (r < 0 || own == NULL || own == assembler->batch)
        return r;
    r = push_committed(assembler, err);
    if (r < 0)
        tr_batch_free(own);
    else
        assembler->batch = own;
    return r;
}

static int
plain(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    struct tr_batch *batch = current(assembler);
    uint64_t rows_before = batch->rows;
    int r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false, batch,
                                      err);
    if (r == -TR_RETRY)
        return undone(assembler, err);
    if (r < 0)
        return r;
    if ((r & TR_DECODED_BEGIN) &&
        beyond_stop(assembler, &assembler->batch->txns[assembler->batch->ntxns - 1]))
        return stop_before_last(assembler, rows_before, err);
    int rc = r & TR_DECODED_ROW ? statement_alone(assembler, err) : 0;
    if (rc < 0)
        return rc;
    return (r & TR_DECODED_COMMIT) || tr_batch_bytes(assembler->batch) >= assembler->slice_bytes
               ? after_decode(assembler, r, err)
               : 0;
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
        *beyond = beyond_stop(assembler, &probe->txns[0]);
    if (r >= 0 && !*beyond) /* leaves the decoder outside the transaction again */
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false, probe,
                                      err);
    tr_batch_free(probe);
    return r < 0 ? r : 0;
}

static int
stream_commit(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
              struct tr_error *err)
{
    bool beyond;
    int r = commit_is_beyond(assembler, frame, &beyond, err);
    if (r < 0)
        return r;
    if (beyond) {
        r = assembler->batch != NULL && assembler->batch->ntxns > 0 ? push_committed(assembler, err) : 0;
        return r < 0 ? r : 1;
    }
    return is_eager(assembler, xid) ? stream_commit_eager(assembler, frame, xid, err)
                                    : stream_commit_spooled(assembler, frame, xid, err);
}

/*
 * The server has read its log up to frame->end and has nothing for us. With nothing on its way either, that is as good as a commit's
 * end: it moves the checkpoint of an idle database, so that the server can let go of its log.
 */
static int
keepalive(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    struct tr_task *task = assembler->task;
    bool reached = frame->end >= assembler->stop_order;
    if (frame->end > assembler->read_order)
        assembler->read_order = frame->end;
    if (assembler->decode->in_transaction(assembler->decoder) || frame->end <= assembler->pushed_order)
        return reached && !assembler->decode->in_transaction(assembler->decoder) ? 1 : 0;
    bool due = tr_clock_us() - assembler->pushed_us >= KEEPALIVE_INTERVAL_US ||
               frame->end - assembler->pushed_order >= KEEPALIVE_BYTES || reached;
    int r = tr_assembler_flush(assembler, reached, err);
    if (r < 0 || !due || assembler->batch != NULL || !tr_ledger_empty(&task->ledger))
        return r < 0 ? r : reached;
    struct tr_batch *batch = tr_batch_new();
    batch->received_us = tr_clock_us();
    r = assembler->source->keepalive_checkpoint(task->source, frame, batch, &batch->checkpoint, err);
    if (r < 0 || !goes_forward(assembler, batch->checkpoint)) {
        tr_batch_free(batch);
        return r < 0 ? r : reached;
    }
    set_reached(assembler, batch->checkpoint);
    assembler->pushed_us = tr_clock_us();
    assembler->pushed_order = frame->end;
    r = push(assembler, batch, err);
    return r < 0 ? r : reached;
}

/* --- prepared transactions --- */

/* Its changes come in now, in front of the frame that commits it. */
static int
commit_prepared(struct tr_assembler *assembler, const struct tr_frame *frame, const char *gid,
                struct tr_error *err)
{
    bool held = tr_prepared_find(assembler->prepared, gid) != NULL;
    int r = held ? 0 : tr_prepared_search(assembler->prepared, gid, frame->order, err);
    if (r < 0)
        return r;
    uint64_t rows_before = current(assembler)->rows;
    r = assembler->decode->begin_from_commit(assembler->decoder, frame->data, frame->len, current(assembler),
                                             err);
    if (r >= 0 && beyond_stop(assembler, &assembler->batch->txns[assembler->batch->ntxns - 1]))
        return stop_before_last(assembler, rows_before, err);
    if (r >= 0)
        r = replay(assembler, tr_prepared_find(assembler->prepared, gid), err);
    if (r >= 0)
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                      current(assembler), err);
    if (r < 0)
        return r;
    tr_prepared_drop(assembler->prepared, gid);
    /* A search may have taken long, and the log's connection may be lost over it: what it brought is handed over. */
    return held ? after_decode(assembler, r, err) : push_committed(assembler, err);
}

/* The decision of a transaction that the source sent when it was prepared, or a frame of such a one. */
static int
prepared(struct tr_assembler *assembler, const struct tr_frame *frame, const struct tr_frame_peek *peek,
         struct tr_error *err)
{
    if (assembler->prepared == NULL) {
        tr_fail(err, TR_REFUSED,
                "the server sent a prepared transaction (%s) ahead of its decision, which was not asked for",
                peek->gid);
        return tr_error_hint(err, "use a slot that tailrace has made itself");
    }
    if (peek->role == TR_ROLE_COMMIT_PREPARED)
        return commit_prepared(assembler, frame, peek->gid, err);
    if (peek->role == TR_ROLE_ROLLBACK_PREPARED) {
        tr_prepared_drop(assembler->prepared, peek->gid);
        return plain(assembler, frame, err);
    }
    int r = tr_prepared_frame(assembler->prepared, frame, peek, err);
    return r > 0 ? plain(assembler, frame, err) : r;
}

#define TIME_MARGIN_US (1 * TR_US_PER_S) /* a commit takes its time before it takes its place in the log */

/*
 * Nobody may ever commit after the time at which the task is to stop. Once that has passed, what the log holds now is all that can lie before it: its end is where
 * the stream stops, and an idle server has told already that it has come so far.
 */
int
tr_assembler_idle(struct tr_assembler *assembler, struct tr_error *err)
{
    int64_t ignored;
    if (assembler->stop_time_us == 0 || tr_wall_clock_us() < assembler->stop_time_us + TIME_MARGIN_US)
        return 0;
    if (assembler->stop_order == UINT64_MAX) {
        int r = assembler->source->stop_at(assembler->task->source, "drained", &assembler->stop_order,
                                           &ignored, err);
        if (r < 0)
            return r;
    }
    return assembler->read_order >= assembler->stop_order &&
           !assembler->decode->in_transaction(assembler->decoder);
}

int
tr_assembler_frame(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    if (frame->kind == TR_FRAME_KEEPALIVE)
        return keepalive(assembler, frame, err);
    struct tr_frame_peek peek;
    bool open = assembler->prepared != NULL && tr_prepared_open(assembler->prepared);
    int r = assembler->decode->peek(assembler->decoder, frame->data, frame->len,
                                    assembler->stream_xid != 0 || open, &peek, err);
    if (r < 0)
        return r;
    switch (peek.role) {
    case TR_ROLE_PLAIN: return open ? prepared(assembler, frame, &peek, err) : plain(assembler, frame, err);
    case TR_ROLE_STREAM_START: return stream_start(assembler, frame, peek.xid, err);
    case TR_ROLE_STREAM_CHANGE: return stream_change(assembler, frame, &peek, err);
    case TR_ROLE_STREAM_STOP: return stream_stop(assembler, frame, err);
    case TR_ROLE_STREAM_ABORT: return stream_abort(assembler, frame, &peek, err);
    case TR_ROLE_STREAM_COMMIT: return stream_commit(assembler, frame, peek.xid, err);
    default: return prepared(assembler, frame, &peek, err);
    }
}
