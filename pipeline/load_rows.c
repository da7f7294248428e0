/* load_rows.c - the full load into a sink without loaders: TR_READ rows through the queue, one table after the other. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "pipeline/load_internal.h"

struct row_stream {
    struct load *load;
    struct tr_sink_thread sink;
    struct tr_batch *
        held; /* the newest batch with rows: its last row may turn out to be the last one of the table, or of all... */
    struct tr_batch *last; /* ...and those of empty tables behind it; NULL = nothing is held */
    uint64_t tables_with_rows;
};

static int
release_one(struct row_stream *stream, struct tr_batch *batch, struct tr_error *err)
{
    struct tr_task *task = stream->load->task;
    while (!tr_queue_has_room(&task->queue) && !atomic_load(&stream->sink.ended) && !tr_task_stopping(task))
        tr_queue_wait_room(&task->queue, 20000);
    tr_ledger_add(&task->ledger, batch);
    tr_queue_push(&task->queue, batch);
    if (atomic_load(&stream->sink.ended))
        return tr_fail(err, TR_RETRY, "the sink ended");
    struct tr_ledger_mark mark;
    int r = tr_ledger_take(&task->ledger, &mark) ? tr_save_mark(task, &mark, err) : 0;
    tr_ledger_mark_fini(&mark);
    return r;
}

static int
release(struct row_stream *stream, struct tr_error *err)
{
    struct tr_batch *next = stream->held;
    int r = 0;
    stream->held = stream->last = NULL;
    while (next != NULL) {
        struct tr_batch *batch = next;
        next = batch->next;
        batch->next = NULL;
        if (r == 0)
            r = release_one(stream, batch, err);
        else
            tr_batch_free(batch);
    }
    return r;
}

static void
hold(struct row_stream *stream, struct tr_batch *batch)
{
    if (stream->last != NULL)
        stream->last->next = batch;
    else
        stream->held = batch;
    stream->last = batch;
}

/* Each row shows the cut that it was read from. */
static void
mark_cut(const struct tr_cut *cut, struct tr_batch *batch)
{
    struct tr_txn *facts = tr_arena_zalloc(&batch->arena, sizeof(*facts));
    facts->commit_us = cut->taken_us;
    facts->file = cut->file[0] != '\0' ? tr_arena_strdup(&batch->arena, cut->file) : NULL;
    batch->cut = facts;
    for (uint32_t i = 0; i < batch->nevents; i++)
        batch->events[i].position = cut->place;
}

static void
mark_first(struct row_stream *stream, struct tr_batch *batch, bool first_of_table)
{
    for (uint32_t i = 0; i < batch->nevents; i++)
        batch->events[i].snapshot = TR_SNAPSHOT_TRUE;
    if (first_of_table && batch->nevents > 0)
        batch->events[0].snapshot = stream->tables_with_rows++ == 0 ? TR_SNAPSHOT_FIRST
                                                                    : TR_SNAPSHOT_FIRST_IN_TABLE;
}

/* One table's rows, all parts of it in turn. Its last batch says that the table is done. */
static int
stream_table(struct row_stream *stream, struct load_table *table, struct tr_error *err)
{
    struct load *load = stream->load;
    struct tr_task *task = load->task;
    const struct tr_source_class *source = task->config.source;
    struct tr_table_part whole = { 0, UINT64_MAX, 0, 0 };
    struct tr_table_reader *reader = NULL;
    bool first = true;
    uint64_t rows = 0;
    int r = source->reader_open(load->source, &load->cut, table->relation, &whole, "rows", &reader, err),
        more = 1;
    while (r == 0 && more > 0) {
        struct tr_batch *batch = tr_batch_new();
        batch->kind = TR_BATCH_LOAD;
        batch->received_us = tr_clock_us();
        more = source->reader_rows(reader, batch, ROWS_BATCH_BYTES, err);
        if (more < 0 || (batch->nevents == 0 && more == 0)) {
            tr_batch_free(batch);
            r = more;
            break;
        }
        mark_first(stream, batch, first);
        mark_cut(&load->cut, batch);
        first = false;
        batch->rows = batch->nevents;
        rows += batch->rows;
        atomic_fetch_add(&task->count.load_rows, batch->rows);
        atomic_fetch_add(&task->count.load_bytes, batch->arena.used);
        r = release(stream, err);
        hold(stream, batch);
        if (r == 0 && (tr_task_stopping(task) || atomic_load(&stream->sink.ended)))
            r = tr_fail(err, TR_RETRY, "stopped");
    }
    source->reader_close(reader);
    if (r < 0)
        return tr_error_prefix(err, "full load of table %s", table->name);
    if (first) { /* an empty table still becomes done, by a batch without rows */
        hold(stream, tr_batch_new());
        stream->last->kind = TR_BATCH_LOAD;
    }
    struct tr_batch *last = stream->last;
    if (last->nevents > 0 && last->events[last->nevents - 1].snapshot != TR_SNAPSHOT_FIRST)
        last->events[last->nevents - 1].snapshot = TR_SNAPSHOT_LAST_IN_TABLE;
    last->load_table = tr_arena_strdup(&last->arena, table->name);
    last->load_cut = tr_arena_strdup(&last->arena, load->cut.position);
    tr_load_learn_sizes(load, &load->parts[table->end_part - 1].part, rows, 0);
    atomic_fetch_add(&task->count.load_tables_done, 1);
    return r;
}

/* What makes the tables, before their rows, where the encoder tells of such statements. */
static int
send_definitions(struct row_stream *stream, struct tr_error *err)
{
    struct load *load = stream->load;
    if (!tr_statement_shapes_wanted(load->task) || load->ntables == 0)
        return 0;
    struct tr_batch *batch = tr_batch_new();
    struct tr_relation **tables = tr_calloc(load->ntables, sizeof(*tables));
    size_t all = 0;
    for (size_t i = 0; i < load->relations.count; i++)
        all += !load->relations.items[i]->skip;
    for (size_t i = 0; i < load->ntables; i++)
        tables[i] = load->tables[i].relation;
    batch->kind = TR_BATCH_LOAD;
    batch->received_us = tr_clock_us();
    int r = load->task->config.source->definitions(load->source, tables, load->ntables, load->ntables == all,
                                                   batch, err);
    free(tables);
    if (r < 0) {
        tr_batch_free(batch);
        return r;
    }
    mark_cut(&load->cut, batch);
    if (load->no_rows && batch->nevents > 0) { /* nothing else tells how far the sink is */
        batch->checkpoint = tr_arena_strdup(&batch->arena, load->task->checkpoint.position);
        batch->events[batch->nevents - 1].snapshot = TR_SNAPSHOT_LAST;
    }
    return release_one(stream, batch, err);
}

static void
free_held(struct row_stream *stream)
{
    while (stream->held != NULL) {
        struct tr_batch *batch = stream->held;
        stream->held = batch->next;
        tr_batch_free(batch);
    }
    stream->last = NULL;
}

int
tr_load_through_queue(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    struct row_stream stream = { .load = load };
    load->by_rows = true;
    int r = load->no_rows ? 0 : tr_load_plan(load, 1, err);
    if (r < 0)
        return r;
    tr_sink_thread_start(&stream.sink, task);
    r = send_definitions(&stream, err);
    for (size_t i = 0; r == 0 && i < load->ntables && !load->no_rows; i++)
        r = stream_table(&stream, &load->tables[i], err);
    if (r == 0 && stream.held != NULL && stream.held->nevents > 0)
        stream.held->events[stream.held->nevents - 1].snapshot = TR_SNAPSHOT_LAST;
    if (r == 0)
        r = release(&stream, err);
    free_held(&stream);
    atomic_store(&stream.sink.drain, true);
    tr_sink_thread_join(&stream.sink);
    if (stream.sink.result < 0) {
        *err = stream.sink.error;
        r = stream.sink.result;
    }
    struct tr_error late;
    struct tr_ledger_mark mark;
    int s = tr_ledger_take(&task->ledger, &mark) ? tr_save_mark(task, &mark, &late) : 0;
    tr_ledger_mark_fini(&mark);
    if (s < 0 && r == 0) {
        *err = late;
        r = s;
    }
    return r;
}
