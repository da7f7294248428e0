/*
 * save.c - the step from "durable in the sink" to "saved", and what may be acknowledged after it.
 *
 * A sink that keeps the checkpoint has saved it in the very transaction that made the rows durable; the embedded store then gets a copy now and then,
 * for status and as a witness when the target comes back from a backup. For every other sink the store is the truth and is written before anything is
 * acknowledged.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/internal.h"

#define COPY_INTERVAL_US (1 * TR_US_PER_S)

static bool
sink_keeps(const struct tr_task *task)
{
    return (task->config.sink->capabilities & TR_SINK_KEEPS_CHECKPOINT) != 0;
}

void
tr_publish_saved(struct tr_task *task, const char *position)
{
    pthread_mutex_lock(&task->lock);
    free(task->saved);
    task->saved = tr_strdup(position);
    task->saved_count++;
    pthread_mutex_unlock(&task->lock);
}

static int
store_all(struct tr_task *task, struct tr_error *err)
{
    TR_FAILPOINT("pipeline.save.before");
    int r = task->config.store->save(task->store, &task->checkpoint, err);
    TR_FAILPOINT("pipeline.save.after");
    task->stored_us = tr_clock_us();
    return r;
}

int
tr_save_checkpoint(struct tr_task *task, struct tr_error *err)
{
    task->recorded = true;
    int r = sink_keeps(task) ? task->config.sink->save_checkpoint(task->sink, &task->checkpoint, err) : 0;
    return r < 0 ? r : store_all(task, err);
}

int
tr_save_table(struct tr_task *task, const char *table, const char *cut, bool done, struct tr_error *err)
{
    tr_checkpoint_set_table(&task->checkpoint, table, cut, done);
    task->progressed = task->progressed || done;
    return store_all(task, err);
}

static void
take_texts(struct tr_task *task, struct tr_ledger_mark *mark)
{
    if (mark->position != NULL) {
        free(task->checkpoint.position);
        task->checkpoint.position = mark->position;
        mark->position = NULL;
    }
    if (mark->sink_state != NULL) {
        free(task->checkpoint.sink_state);
        task->checkpoint.sink_state = mark->sink_state;
        mark->sink_state = NULL;
    }
    for (size_t i = 0; i < mark->ntables_done; i++)
        tr_checkpoint_set_table(&task->checkpoint, mark->tables_done[i * 2], mark->tables_done[i * 2 + 1],
                                true);
}

int
tr_save_mark(struct tr_task *task, struct tr_ledger_mark *mark, struct tr_error *err)
{
    bool tables = mark->ntables_done > 0, moved = mark->position != NULL;
    take_texts(task, mark);
    tr_ledger_mark_fini(mark);
    task->progressed = true;
    int r = 0;
    if (tables) {
        r = store_all(task, err);
    } else if (!sink_keeps(task) || tr_clock_us() - task->stored_us >= COPY_INTERVAL_US) {
        TR_FAILPOINT("pipeline.save.before");
        r = task->config.store->save_position(task->store, task->checkpoint.position,
                                              task->checkpoint.sink_state, err);
        TR_FAILPOINT("pipeline.save.after");
        task->stored_us = tr_clock_us();
    }
    if (r == 0 && moved)
        tr_publish_saved(task, task->checkpoint.position);
    return r;
}
