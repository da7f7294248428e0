/*
 * load_bulk.c - the full load into a sink with a loader: it gets the copy stream as it is (or decoded rows) over several connections at once.
 */
#include <pthread.h>
#include <string.h>

#include "core/failpoint.h"
#include "pipeline/load_internal.h"

static bool
ending(const struct load *load)
{
    return tr_task_stopping(load->task) || (load->cancel != NULL && atomic_load(load->cancel));
}

static bool
given_up(struct load *load)
{
    pthread_mutex_lock(&load->lock);
    bool failed = load->failed;
    pthread_mutex_unlock(&load->lock);
    return failed || ending(load);
}

/* What one reader has handed out. */
struct pumped {
    uint64_t rows, bytes;
};

static void
count_pumped(struct tr_task *task, struct pumped *pumped, uint64_t rows, uint64_t bytes)
{
    atomic_fetch_add_explicit(&task->count.load_rows, rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&task->count.load_bytes, bytes, memory_order_relaxed);
    pumped->rows += rows;
    pumped->bytes += bytes;
}

static int
pump_bytes(struct load *load, struct tr_table_reader *reader, struct tr_loader *loader, struct pumped *pumped,
           struct tr_error *err)
{
    struct tr_task *task = load->task;
    const struct tr_source_class *source = task->config.source;
    const char *data;
    size_t len;
    int r;
    while ((r = source->reader_read(reader, &data, &len, err)) > 0) {
        if (given_up(load))
            return tr_fail(err, TR_RETRY, "stopped");
        TR_FAILPOINT("load.write");
        uint64_t rows = source->reader_count != NULL ? source->reader_count(reader) : 0;
        count_pumped(task, pumped, rows - pumped->rows, len);
        if ((r = task->config.sink->loader_write(loader, data, len, err)) < 0)
            return r;
    }
    return r;
}

static int
pump_rows(struct load *load, struct tr_table_reader *reader, struct tr_loader *loader, struct pumped *pumped,
          struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = 1;
    while (r > 0) {
        if (given_up(load))
            return tr_fail(err, TR_RETRY, "stopped");
        struct tr_batch *batch = tr_batch_new();
        r = task->config.source->reader_rows(reader, batch, ROWS_BATCH_BYTES, err);
        TR_FAILPOINT("load.write");
        count_pumped(task, pumped, batch->nevents, batch->arena.used);
        int w = r >= 0 && batch->nevents > 0 ? task->config.sink->loader_rows(loader, batch, err) : 0;
        tr_batch_free(batch);
        if (w < 0)
            return w;
    }
    return r;
}

/* The form in which this table's rows travel: the best that both sides take as it is. */
static const char *
choose_format(struct load *load, const struct tr_relation *relation)
{
    const struct tr_task *task = load->task;
    static const char *const formats[] = { "copy-binary", "copy-text" };
    if (strcmp(task->config.source->dialect, task->config.sink->dialect) == 0)
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
            if (task->config.sink->loader_accepts(load->sink, relation, formats[i]))
                return formats[i];
    return "rows";
}

/* Commit what the loader wrote; the table is done when no other part is left. Returns 1 when it is. */
static int
finish_part(struct load *load, struct load_table *table, struct tr_loader *loader, struct tr_error *err)
{
    struct tr_table_cut done = { table->name, load->cut.position, true };
    pthread_mutex_lock(&load->lock);
    bool last = table->parts_left == 1;
    pthread_mutex_unlock(&load->lock);
    TR_FAILPOINT("load.finish.before");
    /* Beside the stream a table is done when the stream has taken it over. */
    int r = load->task->config.sink->loader_finish(loader, last && load->cancel == NULL ? &done : NULL, err);
    TR_FAILPOINT("load.finish.after");
    if (r < 0)
        return r;
    pthread_mutex_lock(&load->lock);
    bool complete = --table->parts_left == 0;
    pthread_mutex_unlock(&load->lock);
    return complete ? (last ? 1 : 2) : 0;
}

/* An empty load that only writes down the state of a table. */
int
tr_load_record(struct load *load, struct load_table *table, bool is_done, struct tr_error *err)
{
    const struct tr_sink_class *sink = load->task->config.sink;
    struct tr_table_cut done = { table->name, load->cut.position, is_done };
    struct tr_loader *loader = NULL;
    int r = sink->loader_open(load->sink, table->relation, "copy-text", &loader, err);
    if (r == 0)
        r = sink->loader_finish(loader, &done, err);
    sink->loader_close(loader);
    return r;
}

static int
copy_part(struct load *load, struct load_part *part, struct tr_error *err)
{
    struct tr_task *task = load->task;
    const struct tr_source_class *source = task->config.source;
    const struct tr_sink_class *sink = task->config.sink;
    struct load_table *table = part->table;
    const char *format = choose_format(load, table->relation);
    struct tr_table_reader *reader = NULL;
    struct tr_loader *loader = NULL;
    struct pumped pumped = { 0, 0 };
    int r = source->reader_open(load->source, &load->cut, table->relation, &part->part, format, &reader, err);
    if (r == 0)
        r = sink->loader_open(load->sink, table->relation, format, &loader, err);
    if (r == 0)
        r = strcmp(format, "rows") == 0 ? pump_rows(load, reader, loader, &pumped, err)
                                        : pump_bytes(load, reader, loader, &pumped, err);
    if (r == 0)
        tr_load_learn_sizes(load, &part->part, pumped.rows, pumped.bytes);
    if (r == 0)
        r = finish_part(load, table, loader, err);
    source->reader_close(reader);
    sink->loader_close(loader);
    if (r == 2) /* two parts ended at the same moment and neither wrote that the table is done */
        r = load->cancel == NULL && tr_load_record(load, table, true, err) < 0 ? -(int)err->class : 1;
    if (r == 1) {
        r = sink->finish_table != NULL ? sink->finish_table(load->sink, load->schema, table->relation, err)
                                       : 0;
        atomic_fetch_add(&task->count.load_tables_done, 1);
        tr_log(task->config.log, TR_LOG_INFO, "load", "table %s is loaded", table->name);
    }
    return r < 0 ? tr_error_prefix(err, "full load of table %s", table->name) : 0;
}

/*
 * Where the next reader goes: to the table with the fewest of them, for several that write one table get in each other's way; among those to the one that takes
 * longest. Called with the lock held.
 */
static struct load_table *
choose_table(struct load *load)
{
    struct load_table *best = NULL;
    while (load->first_open < load->ntables &&
           load->order[load->first_open]->next_part == load->order[load->first_open]->end_part)
        load->first_open++;
    for (size_t i = load->first_open; i < load->ntables && (best == NULL || best->readers > 0); i++) {
        struct load_table *table = load->order[i];
        if (table->next_part < table->end_part && (best == NULL || table->readers < best->readers))
            best = table;
    }
    return best;
}

static struct load_part *
next_part(struct load *load)
{
    struct load_part *part = NULL;
    pthread_mutex_lock(&load->lock);
    struct load_table *table = load->failed ? NULL : choose_table(load);
    if (table != NULL && !ending(load)) {
        table->readers++;
        part = &load->parts[table->next_part++];
    }
    pthread_mutex_unlock(&load->lock);
    return part;
}

static void
leave_table(struct load *load, struct load_table *table)
{
    pthread_mutex_lock(&load->lock);
    table->readers--;
    pthread_mutex_unlock(&load->lock);
}

static void
give_up(struct load *load, const struct tr_error *err)
{
    pthread_mutex_lock(&load->lock);
    if (!load->failed)
        load->error = *err;
    load->failed = true;
    pthread_mutex_unlock(&load->lock);
}

static void *
load_worker(void *arg)
{
    struct load *load = arg;
    const struct tr_sink_class *sink = load->task->config.sink;
    struct load_part *part;
    struct tr_error err;
    tr_error_clear(&err);
    while ((part = next_part(load)) != NULL) {
        if (copy_part(load, part, &err) < 0)
            give_up(load, &err);
        leave_table(load, part->table);
    }
    if (!given_up(load) && sink->finish_table != NULL &&
        sink->finish_table(load->sink, load->schema, NULL, &err) < 0)
        give_up(load, &err);
    return NULL;
}

static void
run_workers(struct load *load)
{
    pthread_t threads[64];
    size_t count = (size_t)tr_setting_int(load->task->config.settings, "readers");
    if (count > load->nparts)
        count = load->nparts;
    for (size_t i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, load_worker, load);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* The rows may hold numbers that were given out since the catalogue was read. */
static int
finish_tables(struct load *load, struct tr_error *err)
{
    const struct tr_source_class *source = load->task->config.source;
    int r = source->sequences != NULL && load->schema != NULL
                ? source->sequences(load->source, load->schema, err)
                : 0;
    if (r < 0 && r != -TR_RETRY) { /* the values of before are kept */
        tr_log_error(load->task->config.log, TR_LOG_DEBUG, "load", err);
        tr_error_clear(err);
        r = 0;
    }
    return r < 0 ? r : load->task->config.sink->finish_tables(load->sink, load->schema, err);
}

/* Tables of one cut fit each other at once; tables of several do so only when the stream has passed the newest cut. */
static void
compare_cuts(struct load *load)
{
    const struct tr_checkpoint *checkpoint = &load->task->checkpoint;
    for (size_t i = 1; i < checkpoint->ntables && load->schema != NULL; i++)
        if (strcmp(checkpoint->tables[i].position, checkpoint->tables[0].position) != 0)
            load->schema->cuts_differ = true;
}

int
tr_load_finish(struct load *load, struct tr_error *err)
{
    tr_task_phase_set(load->task, TR_PHASE_FINISHING_LOAD);
    compare_cuts(load);
    TR_FAILPOINT("load.finish_tables");
    return finish_tables(load, err);
}

int
tr_load_in_bulk(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = tr_load_plan(load, MAX_PARTS, err);
    if (r < 0)
        return r;
    run_workers(load);
    if (load->failed) {
        *err = load->error;
        return -(int)err->class;
    }
    if (ending(load))
        return tr_fail(err, TR_RETRY, "stopped");
    if (load->cancel != NULL) /* beside the stream: it is not ours to say that a table is done */
        return 0;
    for (size_t i = 0; i < load->ntables; i++)
        tr_checkpoint_set_table(&task->checkpoint, load->tables[i].name, load->cut.position, true);
    return tr_load_finish(load, err);
}
