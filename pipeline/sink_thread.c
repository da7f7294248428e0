/* sink_thread.c - the thread that owns the sink while changes flow. */
#include <poll.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "pipeline/internal.h"

#define SAVE_US (1 * TR_US_PER_S) /* of the time that a stop may take, for what comes after the sink */
#define PATIENCE_US \
    (3600 * TR_US_PER_S) /* without it what was read is waited for: the last transaction may be a large one */
#define POLL_US (1 * TR_US_PER_S)

static int
wait_for_work(struct tr_task *task, struct tr_error *err)
{
    if (task->config.sink->poll != NULL)
        return task->config.sink->poll(task->sink, POLL_US, err);
    struct pollfd fd = { .fd = task->queue.wake_fd, .events = POLLIN };
    poll(&fd, 1, POLL_US / 1000);
    return 0;
}

static int
drain(struct tr_task *task, struct tr_error *err)
{
    if (task->config.sink->flush == NULL)
        return 0;
    TR_FAILPOINT("pipeline.drain");
    int64_t until = tr_task_stopping(task) ? atomic_load(&task->end_us) - SAVE_US
                                           : tr_clock_us() + PATIENCE_US;
    return task->config.sink->flush(task->sink, until, err);
}

static int
sink_loop(struct tr_sink_thread *self)
{
    struct tr_task *task = self->task;
    int r = 0;
    while (r >= 0 && !atomic_load(&self->abandon)) {
        /* Asked before the queue is looked at: what was pushed before the order to drain is then certainly seen. */
        bool ending = atomic_load(&self->drain);
        struct tr_batch *batch = tr_queue_pop(&task->queue);
        if (batch != NULL)
            r = task->config.sink->write(task->sink, batch, &self->error);
        else if (ending)
            return drain(task, &self->error);
        else
            r = wait_for_work(task, &self->error);
        if (batch == NULL)
            tr_queue_drain_wake(&task->queue);
    }
    return r < 0 ? r : 0;
}

static void *
sink_main(void *arg)
{
    struct tr_sink_thread *self = arg;
    self->result = sink_loop(self);
    atomic_store(&self->ended, true);
    tr_ledger_kick(&self->task->ledger);
    return NULL;
}

void
tr_sink_thread_start(struct tr_sink_thread *self, struct tr_task *task)
{
    memset(self, 0, sizeof(*self));
    self->task = task;
    pthread_create(&self->thread, NULL, sink_main, self);
}

void
tr_sink_thread_join(struct tr_sink_thread *self)
{
    tr_queue_wake(&self->task->queue);
    pthread_join(self->thread, NULL);
}
