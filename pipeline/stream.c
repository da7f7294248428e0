/*
 * stream.c - the source's log to the sink, until the stop or a failure.
 *
 * The capture thread reads, assembles, pushes and acknowledges; the sink thread writes; the control thread, which runs tr_stream_run, saves what became
 * durable and watches the other two. The order of the laws is visible in capture_loop: only task->saved is ever acknowledged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/internal.h"

#define IDLE_WAIT_US 100000 /* an idle read returns this often to acknowledge */
#define FRAMES_BETWEEN_ACKS 4096
#define SAVE_INTERVAL_US 100000 /* how often durable positions are saved under load */
#define LAG_INTERVAL_US (5 * TR_US_PER_S)

struct capture {
    struct tr_task *task;
    struct tr_assembler *assembler;
    pthread_t thread;
    _Atomic bool ended;
    bool reached; /* the stop */
    int result;
    struct tr_error error;
};

/* In good order: the task is told to stop, or the next attempt shall begin elsewhere. */
static bool
ending(struct tr_task *task)
{
    return tr_task_stopping(task) || atomic_load_explicit(&task->turn, memory_order_relaxed);
}

/* Lag in bytes, and the warning before retained log hurts the source: once per doubling. */
static void
watch_lag(struct tr_task *task, const char *saved)
{
    int64_t now = tr_clock_us();
    if (task->config.source->lag_bytes == NULL || saved == NULL || now < task->lag_due_us)
        return;
    task->lag_due_us = now + LAG_INTERVAL_US;
    int64_t lag = task->config.source->lag_bytes(task->source, saved);
    int64_t limit = tr_setting_int(task->config.settings, "retain_warning");
    atomic_store(&task->count.lag_bytes, lag);
    if (lag < limit)
        task->retain_warned = 0;
    if (lag < limit || limit == 0 || lag < task->retain_warned * 2)
        return;
    task->retain_warned = lag;
    tr_log(
        task->config.log, TR_LOG_WARNING, "source",
        "the source retains %lld MiB of log for this task: the target is slower than the source, or stands still; "
        "its disk fills if this goes on",
        (long long)(lag >> 20));
}

int
tr_stream_alive(struct tr_task *task, bool urgent, struct tr_error *err)
{
    bool hold = atomic_load(&task->hold);
    pthread_mutex_lock(&task->lock);
    bool changed = task->saved_count != task->acknowledged_count;
    char *saved = tr_strdup(hold ? task->acknowledged : task->saved);
    if (!hold)
        task->acknowledged_count = task->saved_count;
    pthread_mutex_unlock(&task->lock);
    TR_FAILPOINT("pipeline.acknowledge");
    bool tell = !hold && (changed || urgent);
    int r = task->config.source->acknowledge(task->source, tell ? saved : NULL, urgent, err);
    if (r == 0 && saved != NULL && !hold) {
        pthread_mutex_lock(&task->lock);
        snprintf(task->acknowledged, sizeof(task->acknowledged), "%s", saved);
        pthread_mutex_unlock(&task->lock);
    }
    if (r == 0 && !ending(task)) /* a source that was interrupted asks in vain */
        watch_lag(task, saved);
    free(saved);
    return r;
}

static int
capture_loop(struct capture *self)
{
    struct tr_task *task = self->task;
    const struct tr_source_class *source = task->config.source;
    unsigned since_ack = 0;
    while (!ending(task) && !atomic_load(&task->halt)) {
        struct tr_frame frame;
        bool pending = tr_assembler_pending(self->assembler);
        int r = source->read(task->source, &frame, pending ? 0 : IDLE_WAIT_US, &self->error);
        if (r < 0)
            return ending(task) ? 0 : r;
        if (r == 0) {
            r = tr_assembler_flush(self->assembler, false, &self->error);
            int stop = r == 0 && !pending ? tr_assembler_idle(self->assembler, &self->error) : 0;
            self->reached = stop > 0;
            if (stop > 0)
                return tr_assembler_flush(self->assembler, true, &self->error);
            r = stop < 0 ? stop : r;
        } else {
            atomic_store_explicit(&task->count.bytes,
                                  atomic_load_explicit(&task->count.bytes, memory_order_relaxed) + frame.len,
                                  memory_order_relaxed);
            int stop = tr_assembler_frame(self->assembler, &frame, &self->error);
            self->reached = stop > 0;
            if (stop > 0)
                return tr_assembler_flush(self->assembler, true, &self->error);
            r = stop < 0 ? stop : 1;
        }
        if (r >= 0 && (r == 0 || ++since_ack >= FRAMES_BETWEEN_ACKS)) {
            since_ack = 0;
            r = tr_stream_alive(task, false, &self->error);
        }
        if (r < 0)
            return ending(task) ? 0 : r;
    }
    return tr_assembler_flush(self->assembler, true, &self->error);
}

static void *
capture_main(void *arg)
{
    struct capture *self = arg;
    self->result = capture_loop(self);
    if (self->result < 0 && ending(self->task))
        self->result = 0;
    atomic_store(&self->ended, true);
    tr_ledger_kick(&self->task->ledger);
    return NULL;
}

static int
save_progress(struct tr_task *task, struct tr_error *err)
{
    struct tr_ledger_mark mark;
    int r = tr_ledger_take(&task->ledger, &mark) ? tr_save_mark(task, &mark, err) : 0;
    tr_ledger_mark_fini(&mark);
    tr_ledger_figures(&task->ledger, &task->count.rows_durable, &task->count.lag_us);
    return r;
}

static void
update_phase(struct tr_task *task)
{
    bool behind = !tr_ledger_empty(&task->ledger) && atomic_load(&task->count.lag_bytes) > (16 << 20);
    if (!tr_task_stopping(task))
        tr_task_phase_set(task, behind ? TR_PHASE_CATCHING_UP : TR_PHASE_STREAMING);
}

/* Until one of the threads ends or a stop is asked for. */
static int
control_loop(struct tr_task *task, struct capture *capture, struct tr_sink_thread *sink,
             const struct tr_upkeep *upkeep, struct tr_error *err)
{
    int r = 0;
    while (r == 0 && !atomic_load(&capture->ended) && !atomic_load(&sink->ended) && !ending(task) &&
           !tr_upkeep_over(upkeep)) {
        tr_ledger_wait(&task->ledger, SAVE_INTERVAL_US);
        r = save_progress(task, err);
        update_phase(task);
    }
    return r;
}

/*
 * What was read is written to its end, for as long as that takes: what becomes durable meanwhile is saved and told as before, so that a kill in this
 * time does not repeat all of it.
 */
static int
drain_sink(struct tr_task *task, struct tr_sink_thread *sink, struct tr_error *err)
{
    int r = 0;
    atomic_store(&sink->drain, true);
    tr_queue_wake(&task->queue);
    while (r == 0 && !atomic_load(&sink->ended)) {
        tr_ledger_wait(&task->ledger, SAVE_INTERVAL_US);
        r = save_progress(task, err);
    }
    return r;
}

/* Bring everything to rest: capture first, then what it pushed, then the last checkpoint and its acknowledgement. */
static int
wind_down(struct tr_task *task, struct capture *capture, struct tr_sink_thread *sink, int result,
          struct tr_error *err)
{
    if (tr_task_stopping(task))
        tr_task_phase_set(task, TR_PHASE_DRAINING);
    if (!atomic_load(&capture->ended))
        task->config.source->interrupt(task->source);
    if (atomic_load(&sink->ended) || result < 0)
        atomic_store(&task->halt, true);
    pthread_join(capture->thread, NULL);
    struct tr_error late;
    tr_error_clear(&late);
    int saved = result < 0 ? 0 : drain_sink(task, sink, &late);
    if (result < 0 || saved < 0)
        atomic_store(&sink->abandon, true);
    tr_sink_thread_join(sink);
    if (result == 0 && sink->result < 0 && !(tr_task_stopping(task) && sink->result == -TR_RETRY)) {
        *err = sink->error;
        result = sink->result;
    }
    if (result == 0 && capture->result < 0) {
        *err = capture->error;
        result = capture->result;
    }
    if (saved == 0)
        saved = save_progress(task, &late);
    if (saved == 0 && task->checkpoint.position != NULL)
        saved = task->config.store->save_position(task->store, task->checkpoint.position,
                                                  task->checkpoint.sink_state, &late);
    if (saved < 0 && result == 0) {
        *err = late;
        result = saved;
    }
    if (result == 0 && tr_stream_alive(task, true, &capture->error) < 0)
        tr_log_error(task->config.log, TR_LOG_DEBUG, "source",
                     &capture->error); /* the next run tells it again */
    return result;
}

/* The work beside the stream ends with it: after its last round when the stop was reached, else at once. Tables that it has loaded are handed over. */
static int
end_upkeep(struct tr_task *task, struct tr_upkeep *upkeep, bool reached, int result, struct tr_error *err)
{
    struct tr_error late;
    int r = tr_upkeep_end(upkeep, result == 0 && reached && !ending(task), &late);
    if (r == 0 && result == 0 && atomic_load(&task->turn) && !tr_task_stopping(task))
        r = tr_upkeep_take_over(upkeep, &late);
    if (r == 0 || result < 0 || (r == -TR_RETRY && tr_task_stopping(task)))
        return result;
    *err = late;
    return r;
}

int
tr_stream_run(struct tr_task *task, const char *position, struct tr_error *err)
{
    const struct tr_source_class *source = task->config.source;
    struct capture capture = { .task = task };
    struct tr_sink_thread sink;
    struct tr_upkeep *upkeep = NULL;
    uint64_t stop_order = UINT64_MAX;
    int64_t stop_us = 0;
    int r = source->stop_at(task->source, tr_setting_string(task->config.settings, "stop"), &stop_order,
                            &stop_us, err);
    if (r == 0)
        r = source->start(task->source, position, err);
    if (r == 0)
        r = tr_assembler_new(task, position, &capture.assembler, err);
    if (r < 0)
        return r;
    tr_log(task->config.log, TR_LOG_INFO, "pipeline", "streaming from %s", position);
    tr_assembler_stop_at(capture.assembler, stop_order, stop_us);
    tr_task_phase_set(task, TR_PHASE_STREAMING);
    tr_publish_saved(task, position);
    pthread_create(&capture.thread, NULL, capture_main, &capture);
    tr_sink_thread_start(&sink, task);
    r = tr_upkeep_start(task, &upkeep, err);
    if (r == 0)
        r = control_loop(task, &capture, &sink, upkeep, err);
    r = wind_down(task, &capture, &sink, r, err);
    r = end_upkeep(task, upkeep, capture.reached, r, err);
    tr_upkeep_free(upkeep);
    tr_assembler_free(capture.assembler);
    return r;
}
