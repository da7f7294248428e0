/* queue.c - a list under a mutex; batches are large, so the lock is taken rarely. */
#include "pipeline/queue.h"

#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int
tr_queue_init(struct tr_queue *queue, int64_t limit)
{
    memset(queue, 0, sizeof(*queue));
    queue->limit = limit;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->room, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&queue->lock, NULL);
    queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return queue->wake_fd >= 0 ? 0 : -1;
}

void
tr_queue_fini(struct tr_queue *queue)
{
    struct tr_batch *batch;
    while ((batch = tr_queue_pop(queue)) != NULL)
        tr_batch_free(batch);
    if (queue->wake_fd >= 0)
        close(queue->wake_fd);
    pthread_cond_destroy(&queue->room);
    pthread_mutex_destroy(&queue->lock);
}

bool
tr_queue_has_room(struct tr_queue *queue)
{
    return atomic_load_explicit(&queue->in_flight, memory_order_relaxed) < queue->limit;
}

void
tr_queue_wait_room(struct tr_queue *queue, int64_t wait_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_us / 1000000);
    until.tv_nsec += (long)(wait_us % 1000000) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&queue->lock);
    if (!tr_queue_has_room(queue))
        pthread_cond_timedwait(&queue->room, &queue->lock, &until);
    pthread_mutex_unlock(&queue->lock);
}

void
tr_queue_push(struct tr_queue *queue, struct tr_batch *batch)
{
    batch->next = NULL;
    batch->account = &queue->in_flight;
    batch->charged = (int64_t)tr_batch_bytes(batch);
    atomic_fetch_add_explicit(&queue->in_flight, batch->charged, memory_order_relaxed);
    pthread_mutex_lock(&queue->lock);
    if (queue->last != NULL)
        queue->last->next = batch;
    else
        queue->first = batch;
    queue->last = batch;
    bool wake = queue->consumer_waits;
    queue->consumer_waits = false;
    pthread_mutex_unlock(&queue->lock);
    if (wake)
        tr_queue_wake(queue);
}

struct tr_batch *
tr_queue_pop(struct tr_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct tr_batch *batch = queue->first;
    if (batch != NULL) {
        queue->first = batch->next;
        if (queue->first == NULL)
            queue->last = NULL;
        batch->next = NULL;
        pthread_cond_signal(&queue->room);
    } else {
        queue->consumer_waits = true;
    }
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void
tr_queue_wake(struct tr_queue *queue)
{
    uint64_t one = 1;
    ssize_t n = write(queue->wake_fd, &one, sizeof(one));
    (void)n; /* a full counter is readable already */
}

void
tr_queue_drain_wake(struct tr_queue *queue)
{
    uint64_t count;
    ssize_t n = read(queue->wake_fd, &count, sizeof(count));
    (void)n; /* nothing to take is fine */
}
