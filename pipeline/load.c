/*
 * load.c - the full load: every table as of one cut, then the rest of its schema.
 *
 * One rule serves every hand-off: each table remembers the position of its own cut, and the stream skips that table's changes up to there. So a load that was
 * killed keeps its finished tables and takes a new cut for the others, and a table that joins later is loaded the same way.
 *
 * A sink with a loader gets the rows over several connections at once (load_bulk.c), every other one through the queue (load_rows.c).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/load_internal.h"

#define INDEX_ROW_BYTES 40 /* one row in one index costs about what so many bytes of rows cost */

static char *
table_name(const struct tr_relation *relation)
{
    return tr_asprintf("%s.%s", relation->schema, relation->name);
}

/* A table may come later, so this is no error. */
static void
warn_unmatched(void *arg, const char *pattern)
{
    struct tr_task *task = arg;
    tr_log(task->config.log, TR_LOG_WARNING, "load",
           "no table of the source fits \"%s\" of tables, or the source's user may not see it", pattern);
}

/* A misspelt pattern, most likely. A stream may wait for tables to come; a copy of nothing is no success. */
static int
nothing_fits(struct tr_task *task, struct tr_error *err)
{
    static const char text[] = "no table of the source fits the task's patterns";
    if (strcmp(tr_setting_string(task->config.settings, "mode"), "full-load") != 0) {
        tr_log(task->config.log, TR_LOG_WARNING, "load", "%s: there is nothing to load", text);
        return 0;
    }
    tr_fail(err, TR_REFUSED, "%s: there is nothing to load", text);
    return tr_error_hint(
        err, "see `tables`: patterns are schema.table with %% for any text, and the case of letters counts");
}

/* The tables of the task that the checkpoint does not call done. */
static int
find_tables(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = task->config.source->relations(load->source, &load->relations, err);
    if (r < 0)
        return r;
    if (atomic_load(&task->count.retries) == 0)
        tr_mapping_unmatched(task->mapping, load->relations.items, load->relations.count, warn_unmatched,
                             task);
    load->tables = tr_calloc(load->relations.count, sizeof(*load->tables));
    size_t fitting = 0;
    for (size_t i = 0; i < load->relations.count; i++) {
        struct tr_relation *relation = load->relations.items[i];
        tr_mapping_route(task->mapping, relation);
        fitting += !relation->skip;
        char *name = table_name(relation);
        const struct tr_table_cut *known = tr_checkpoint_table(load->known, name);
        if (relation->skip || (known != NULL && known->done)) {
            free(name);
            continue;
        }
        load->tables[load->ntables].relation = relation;
        load->tables[load->ntables++].name = name;
    }
    return fitting > 0 || load->no_rows ? 0 : nothing_fits(task, err);
}

/* What came, and what is still to come if it differs from its estimate as what has come did. */
static uint64_t
corrected(uint64_t came, uint64_t all, uint64_t ended)
{
    uint64_t left = all - ended;
    return came + (ended > 0 ? (uint64_t)((double)left * (double)came / (double)ended) : left);
}

static void
expect(struct load *load)
{
    const struct part_sums *of = &load->of_parts;
    struct tr_task_counters *count = &load->task->count;
    atomic_store(&count->load_rows_expected,
                 of->rows_before + corrected(of->rows_came, of->rows_all, of->rows_ended));
    if (!load->by_rows)
        atomic_store(&count->load_bytes_expected,
                     of->bytes_before + corrected(of->bytes_came, of->bytes_all, of->bytes_ended));
}

static int
by_weight(const void *a, const void *b)
{
    const struct load_table *x = *(struct load_table *const *)a, *y = *(struct load_table *const *)b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x > y) - (x < y);
}

static uint64_t
indexes_of(const struct tr_table *table)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < table->nobjects; i++)
        count += table->objects[i].kind == TR_OBJECT_PRIMARY_KEY ||
                 table->objects[i].kind == TR_OBJECT_UNIQUE || table->objects[i].kind == TR_OBJECT_INDEX ||
                 table->objects[i].kind == TR_OBJECT_FOREIGN_KEY;
    return count;
}

/* Both lists come in the catalogue's order, so the search begins where the last one ended. */
static const struct tr_table *
describe(const struct load *load, const struct tr_relation *relation, uint32_t *hint)
{
    uint32_t count = load->schema != NULL ? load->schema->ntables : 0;
    for (uint32_t n = 0; n < count; n++) {
        const struct tr_table *table = &load->schema->tables[(*hint + n) % count];
        if (strcmp(table->relation->name, relation->name) != 0 ||
            strcmp(table->relation->schema, relation->schema) != 0)
            continue;
        *hint = (*hint + n + 1) % count;
        return table;
    }
    return NULL;
}

/* Split every table. What takes longest goes first, its indexes counted: they are built while others are still loaded, and all end together. */
int
tr_load_plan(struct load *load, int max, struct tr_error *err)
{
    struct tr_task *task = load->task;
    struct tr_table_part parts[MAX_PARTS];
    uint32_t hint = 0;
    load->of_parts.rows_before = atomic_load(&task->count.load_rows);
    load->of_parts.bytes_before = atomic_load(&task->count.load_bytes);
    for (size_t i = 0; i < load->ntables; i++) {
        struct load_table *table = &load->tables[i];
        int n = task->config.source->table_parts(load->source, table->relation, parts, max, err);
        if (n < 0)
            return n;
        const struct tr_table *description = describe(load, table->relation, &hint);
        uint64_t per_row = description != NULL ? indexes_of(description) * INDEX_ROW_BYTES : 0;
        load->parts = tr_realloc(load->parts, (load->nparts + (size_t)n) * sizeof(*load->parts));
        table->next_part = load->nparts;
        table->end_part = load->nparts + (size_t)n;
        for (int p = 0; p < n; p++) {
            load->parts[load->nparts++] = (struct load_part){ table, parts[p] };
            load->of_parts.rows_all += parts[p].rows;
            load->of_parts.bytes_all += parts[p].bytes;
            table->weight += parts[p].bytes + parts[p].rows * per_row;
        }
        table->parts_left = (uint32_t)n;
    }
    expect(load);
    load->order = tr_calloc(load->ntables + 1, sizeof(*load->order));
    for (size_t i = 0; i < load->ntables; i++)
        load->order[i] = &load->tables[i];
    qsort(load->order, load->ntables, sizeof(*load->order), by_weight);
    return 0;
}

/* A table takes another number of bytes on the source's disk than on the wire: each part that ends tells how many, so that in the end the estimates are the truth. */
void
tr_load_learn_sizes(struct load *load, const struct tr_table_part *part, uint64_t rows, uint64_t bytes)
{
    struct part_sums *of = &load->of_parts;
    pthread_mutex_lock(&load->lock);
    of->rows_ended += part->rows;
    of->bytes_ended += part->bytes;
    of->rows_came += rows;
    of->bytes_came += bytes;
    expect(load);
    pthread_mutex_unlock(&load->lock);
}

/* --- the whole --- */

/*
 * Say which tables are begun before their first row is written, so that a killed run knows to empty them. A task that only loads has no
 * position of its own: the cut is its first checkpoint.
 */
static int
record_begun(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    for (size_t i = 0; i < load->ntables; i++)
        tr_checkpoint_set_table(&task->checkpoint, load->tables[i].name, load->cut.position, false);
    if (task->checkpoint.position == NULL)
        return tr_first_checkpoint(task, load->cut.position, "load", err);
    return tr_save_checkpoint(task, err);
}

static int
reset_begun(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = 0;
    for (size_t i = 0; r == 0 && i < load->ntables; i++) {
        const struct tr_table_cut *known = tr_checkpoint_table(load->known, load->tables[i].name);
        if (known != NULL && !known->done)
            r = task->config.sink->reset_table(load->sink, load->tables[i].relation, err);
    }
    return r;
}

static bool
is_settled(const struct tr_task *task, const struct tr_relation *relation)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    const struct tr_table_cut *cut = tr_checkpoint_table(&task->checkpoint, name);
    free(name);
    return cut != NULL && cut->done && task->checkpoint.phase != NULL &&
           strcmp(task->checkpoint.phase, "stream") == 0;
}

void
tr_task_route_schema(struct tr_task *task, struct tr_schema *schema)
{
    for (uint32_t i = 0; i < schema->ntables; i++) {
        struct tr_relation *relation = schema->tables[i].relation;
        bool skip = relation->skip; /* partitions come with their root */
        tr_mapping_route(task->mapping, relation);
        relation->skip = skip;
    }
}

/* The description for making the target's tables, under the names that mapping gives them. */
static int
read_schema(struct load *load, struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = task->config.source->schema(load->source, &load->schema, err);
    if (r == 0)
        tr_task_route_schema(task, load->schema);
    for (uint32_t i = 0; r == 0 && i < load->schema->ntables; i++)
        load->schema->tables[i].settled = is_settled(task, load->schema->tables[i].relation);
    return r;
}

static int
run(struct load *load, const struct tr_cut *first_cut, struct tr_error *err)
{
    struct tr_task *task = load->task;
    bool bulk = (task->config.sink->capabilities & TR_SINK_LOADS) != 0;
    int r = find_tables(load, err);
    if (r == 0 && bulk)
        r = read_schema(load, err);
    if (r == 0 && bulk && load->ntables > 0)
        r = task->config.sink->prepare_tables(load->sink, load->schema, err);
    if (r == 0 && bulk)
        r = reset_begun(load, err);
    if (r < 0)
        return r;
    if (load->ntables == 0) { /* a run that was killed after the rows still owes the rest of the schema */
        bool owed = bulk && task->checkpoint.phase != NULL && strcmp(task->checkpoint.phase, "load") == 0;
        return owed ? tr_load_finish(load, err) : 0;
    }
    if (first_cut != NULL && first_cut->position[0] != '\0')
        load->cut = *first_cut;
    else if ((r = task->config.source->cut(load->source, &load->cut, err)) < 0)
        return r;
    if (load->no_rows)
        return tr_load_through_queue(load, err);
    tr_task_phase_set(task, TR_PHASE_LOADING);
    tr_log(task->config.log, TR_LOG_INFO, "load", "loading %zu tables as of %s", load->ntables,
           load->cut.position);
    atomic_store(&task->count.load_tables, load->ntables);
    atomic_store(&task->count.load_tables_done, 0);
    if ((r = record_begun(load, err)) < 0)
        return r;
    return bulk ? tr_load_in_bulk(load, err) : tr_load_through_queue(load, err);
}

/*
 * A load waits for servers: for a lock, for rows, for an index. Asked to stop, the sink wakes its side by stop_fd; the source is woken here, for good, because a load that
 * is stopped has nothing left to ask it.
 */
static void *
watch_stop(void *arg)
{
    struct load *load = arg;
    struct tr_task *task = load->task;
    struct pollfd fds[2] = { { .fd = load->ended_fd, .events = POLLIN },
                             { .fd = task->stop_fd, .events = POLLIN } };
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[0].revents == 0)
        task->config.source->interrupt(load->source);
    return NULL;
}

static int
run_watched(struct load *load, const struct tr_cut *first_cut, struct tr_error *err)
{
    pthread_t watcher;
    load->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (load->ended_fd < 0)
        return tr_fail(err, TR_FATAL, "full load: no eventfd: %s", strerror(errno));
    int r = pthread_create(&watcher, NULL, watch_stop, load);
    if (r != 0) {
        close(load->ended_fd);
        return tr_fail(err, TR_FATAL, "full load: no thread: %s", strerror(r));
    }
    r = run(load, first_cut, err);
    eventfd_write(load->ended_fd, 1);
    pthread_join(watcher, NULL);
    close(load->ended_fd);
    return r;
}

static void
fini(struct load *load)
{
    load->task->config.source->cut_release(load->source);
    for (size_t i = 0; i < load->ntables; i++)
        free(load->tables[i].name);
    free(load->tables);
    free(load->parts);
    free(load->order);
    tr_relation_list_free(&load->relations);
    tr_schema_free(load->schema);
    pthread_mutex_destroy(&load->lock);
}

static int
run_all(struct tr_task *task, const struct tr_cut *first_cut, bool no_rows, struct tr_error *err)
{
    struct load load = { .task = task,
                         .source = task->source,
                         .sink = task->sink,
                         .known = &task->checkpoint,
                         .no_rows = no_rows };
    pthread_mutex_init(&load.lock, NULL);
    int r = run_watched(&load, first_cut, err);
    fini(&load);
    return r;
}

int
tr_load_run(struct tr_task *task, const struct tr_cut *first_cut, struct tr_error *err)
{
    return run_all(task, first_cut, false, err);
}

int
tr_load_definitions(struct tr_task *task, const struct tr_cut *first_cut, struct tr_error *err)
{
    return run_all(task, first_cut, true, err);
}

/* --- beside the stream --- */

/* From here on a run that finds them knows that their rows are of a load that came to no end. */
static int
mark_begun(struct load *load, struct tr_checkpoint *known, struct tr_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < load->ntables; i++) {
        r = tr_load_record(load, &load->tables[i], false, err);
        if (r == 0)
            tr_checkpoint_set_table(known, load->tables[i].name, load->cut.position, false);
    }
    return r;
}

static int
run_beside(struct load *load, struct tr_checkpoint *known, struct tr_error *err)
{
    struct tr_task *task = load->task;
    int r = find_tables(load, err);
    if (r == 0)
        r = read_schema(load, err);
    if (r == 0)
        r = task->config.sink->prepare_tables(load->sink, load->schema, err);
    if (r == 0)
        r = reset_begun(load, err);
    if (r == 0)
        r = task->config.source->cut(load->source, &load->cut, err);
    if (r < 0)
        return r;
    tr_log(task->config.log, TR_LOG_INFO, "load", "loading %zu tables as of %s, beside the stream",
           load->ntables, load->cut.position);
    atomic_store(&task->count.load_tables, load->ntables);
    atomic_store(&task->count.load_tables_done, 0);
    r = mark_begun(load, known, err);
    TR_FAILPOINT("load.beside.begun");
    return r < 0 ? r : tr_load_in_bulk(load, err);
}

int
tr_load_beside(struct tr_task *task, const struct tr_beside *beside, struct tr_cut *cut, struct tr_error *err)
{
    struct load load = { .task = task,
                         .source = beside->source,
                         .sink = beside->sink,
                         .known = beside->known,
                         .cancel = beside->cancel };
    pthread_mutex_init(&load.lock, NULL);
    int r = run_beside(&load, beside->known, err);
    if (r == 0)
        *cut = load.cut;
    fini(&load);
    return r;
}
