/*
 * assembler.c - frames become events, events become transactions, transactions fill batches.
 *
 * Plain frames are decoded at once: they come in commit order. Transactions that the source sends before they are committed go through streamed.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/assembler_internal.h"

#define SLICE_BYTES ((size_t)1 << 20)       /* a large transaction is pushed in slices of this */
#define EMPTY_INTERVAL_US (1 * TR_US_PER_S) /* how often transactions without any event move the checkpoint */
#define KEEPALIVE_INTERVAL_US (10 * TR_US_PER_S) /* how often an idle source does */
#define KEEPALIVE_BYTES ((uint64_t)16 << 20)     /* or how much log has gone by */

/* --- hooks of the decoder --- */

static bool
covered(struct tr_task *task, const char *cut, const struct tr_txn *txn)
{
    return task->config.source->covers(task->source, cut, txn);
}

void
tr_table_unguard(struct tr_task *task, struct tr_table_state *table)
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
        if (task->tables[i].cut != NULL && tr_cut_passed(task->config.source, task->tables[i].cut, position))
            tr_table_unguard(task, &task->tables[i]);
}

static int
relation_hook(void *arg, struct tr_relation *relation, const struct tr_relation *previous,
              struct tr_error *err)
{
    struct tr_assembler *assembler = arg;
    struct tr_task *task = assembler->task;
    bool skip = relation->skip; /* the source says so: it is no table */
    (void)err;
    tr_mapping_route(task->mapping, relation);
    relation->skip = relation->skip || skip;
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
        tr_table_unguard(task, table);
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

struct tr_batch *
tr_assembler_batch(struct tr_assembler *assembler)
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
int
tr_assembler_push(struct tr_assembler *assembler, struct tr_batch *batch, struct tr_error *err)
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
int
tr_assembler_push_committed(struct tr_assembler *assembler, struct tr_error *err)
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
    return tr_assembler_push(assembler, batch, err);
}

/* A slice: the transaction goes on in the next batch. */
static int
push_slice(struct tr_assembler *assembler, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    assembler->batch = NULL;
    return tr_assembler_push(assembler, batch, err);
}

/* Transactions without any event, of which no earlier batch has a part. */
static bool
is_empty(const struct tr_batch *batch)
{
    return batch->nevents == 0 && batch->ntxns > 0 && batch->txns[0].begins;
}

bool
tr_assembler_pending(const struct tr_assembler *assembler)
{
    const struct tr_batch *batch = assembler->batch;
    bool complete = batch != NULL && batch->ntxns > 0 && !is_empty(batch) &&
                    !assembler->decode->in_transaction(assembler->decoder);
    return assembler->open_batch != NULL || complete;
}

int
tr_assembler_flush(struct tr_assembler *assembler, bool last, struct tr_error *err)
{
    if (assembler->open_batch != NULL && assembler->open_batch->nevents > 0 && !last) {
        int r = tr_assembler_push_open(assembler, err);
        if (r < 0)
            return r;
    }
    struct tr_batch *batch = assembler->batch;
    if (batch == NULL || batch->ntxns == 0 || assembler->decode->in_transaction(assembler->decoder))
        return 0;
    if (is_empty(batch) && !last && tr_clock_us() - assembler->pushed_us < EMPTY_INTERVAL_US) {
        batch->txns[0] = batch->txns[batch->ntxns - 1]; /* only where the last of them ended matters */
        batch->txns[0].first_event = 0;
        batch->ntxns = 1;
        return 0;
    }
    return tr_assembler_push_committed(assembler, err);
}

/* --- one frame --- */

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
int
tr_assembler_replay(struct tr_assembler *assembler, struct tr_spool_txn *txn, struct tr_error *err)
{
    struct tr_spool_frame frame;
    int r;
    tr_spool_rewind(txn);
    while ((r = tr_spool_next(assembler->spool, txn, &frame, err)) > 0) {
        struct tr_batch *batch = tr_assembler_batch(assembler);
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

/* Of many transactions without any event only where the last one ended matters. */
static void
keep_last(struct tr_assembler *assembler)
{
    struct tr_batch *old = assembler->batch, *batch = tr_batch_new();
    const struct tr_txn *from = &old->txns[old->ntxns - 1];
    struct tr_txn *txn = tr_batch_txn(batch);
    *txn = *from;
    txn->first_event = 0;
    txn->gtid = tr_arena_strdup(&batch->arena, from->gtid);
    txn->file = tr_arena_strdup(&batch->arena, from->file);
    txn->origin = tr_arena_strdup(&batch->arena, from->origin);
    batch->received_us = old->received_us;
    assembler->batch = batch;
    tr_batch_free(old);
}

int
tr_assembler_decoded(struct tr_assembler *assembler, int decoded, struct tr_error *err)
{
    struct tr_batch *batch = assembler->batch;
    size_t bytes = batch != NULL ? tr_batch_bytes(batch) : 0;
    if (!(decoded & TR_DECODED_COMMIT))
        return bytes >= assembler->slice_bytes ? push_slice(assembler, err) : 0;
    if (bytes < TR_BATCH_BYTES && !tr_statement_leads(batch))
        return 0;
    if (!is_empty(batch) || tr_clock_us() - assembler->pushed_us >= EMPTY_INTERVAL_US)
        return tr_assembler_push_committed(assembler, err);
    keep_last(assembler);
    return 0;
}

/* Is the transaction that the last frame opened, or that a commit frame names, beyond where the task is to stop? */
bool
tr_assembler_beyond_stop(const struct tr_assembler *assembler, const struct tr_txn *txn)
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
    int r = tr_assembler_push_committed(assembler, err);
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
    r = tr_assembler_push_committed(assembler, err);
    if (r < 0)
        tr_batch_free(own);
    else
        assembler->batch = own;
    return r;
}

static int
plain(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err)
{
    struct tr_batch *batch = tr_assembler_batch(assembler);
    uint64_t rows_before = batch->rows;
    int r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false, batch,
                                      err);
    if (r == -TR_RETRY)
        return undone(assembler, err);
    if (r < 0)
        return r;
    if ((r & TR_DECODED_BEGIN) &&
        tr_assembler_beyond_stop(assembler, &assembler->batch->txns[assembler->batch->ntxns - 1]))
        return stop_before_last(assembler, rows_before, err);
    int rc = r & TR_DECODED_ROW ? statement_alone(assembler, err) : 0;
    if (rc < 0)
        return rc;
    return (r & TR_DECODED_COMMIT) || tr_batch_bytes(assembler->batch) >= assembler->slice_bytes
               ? tr_assembler_decoded(assembler, r, err)
               : 0;
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
    /* what lies between transactions, such as the beginning of a file, leaves an empty batch */
    bool waits = assembler->batch != NULL && assembler->batch->ntxns > 0;
    if (r < 0 || !due || waits || !tr_ledger_empty(&task->ledger))
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
    r = tr_assembler_push(assembler, batch, err);
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
    uint64_t rows_before = tr_assembler_batch(assembler)->rows;
    r = assembler->decode->begin_from_commit(assembler->decoder, frame->data, frame->len,
                                             tr_assembler_batch(assembler), err);
    if (r >= 0 && tr_assembler_beyond_stop(assembler, &assembler->batch->txns[assembler->batch->ntxns - 1]))
        return stop_before_last(assembler, rows_before, err);
    if (r >= 0)
        r = tr_assembler_replay(assembler, tr_prepared_find(assembler->prepared, gid), err);
    if (r >= 0)
        r = assembler->decode->decode(assembler->decoder, frame->data, frame->len, frame->order, false,
                                      tr_assembler_batch(assembler), err);
    if (r < 0)
        return r;
    tr_prepared_drop(assembler->prepared, gid);
    /* A search may have taken long, and the log's connection may be lost over it: what it brought is handed over. */
    return held ? tr_assembler_decoded(assembler, r, err) : tr_assembler_push_committed(assembler, err);
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
    case TR_ROLE_STREAM_START: return tr_assembler_stream_start(assembler, frame, peek.xid, err);
    case TR_ROLE_STREAM_CHANGE: return tr_assembler_stream_change(assembler, frame, &peek, err);
    case TR_ROLE_STREAM_STOP: return tr_assembler_stream_stop(assembler, frame, err);
    case TR_ROLE_STREAM_ABORT: return tr_assembler_stream_abort(assembler, frame, &peek, err);
    case TR_ROLE_STREAM_COMMIT: return tr_assembler_stream_commit(assembler, frame, peek.xid, err);
    default: return prepared(assembler, frame, &peek, err);
    }
}
