/*
 * queue.h - the bounded hand-off of batches from the capture thread to the sink thread.
 *
 * One producer, one consumer. The consumer waits on its wake_fd together with its own sockets, so the queue signals by eventfd and
 * only when the consumer had found it empty. The bound is on bytes in flight: queued, and still held by the sink.
 */
#ifndef TR_PIPELINE_QUEUE_H
#define TR_PIPELINE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"

struct tr_queue {
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct tr_batch *first, *last;
    bool consumer_waits; /* found it empty and sleeps on wake_fd */
    int wake_fd;         /* eventfd, owned */
    int64_t limit;       /* bytes */
    _Atomic int64_t in_flight;
};

int tr_queue_init(struct tr_queue *queue, int64_t limit); /* 0 or -1 with errno */
void tr_queue_fini(struct tr_queue *queue);               /* frees what is left in it */

/* Is there room for more? A single batch over the limit is let in when nothing else is in flight. thread: capture. */
bool tr_queue_has_room(struct tr_queue *queue);
/* Wait for room at most wait_us. thread: capture. */
void tr_queue_wait_room(struct tr_queue *queue, int64_t wait_us);
/* Ownership passes to the queue; the batch is charged to in_flight until tr_batch_free. thread: capture. */
void tr_queue_push(struct tr_queue *queue, struct tr_batch *batch);
/* The oldest batch or NULL; after NULL the next push makes wake_fd readable. thread: sink. */
struct tr_batch *tr_queue_pop(struct tr_queue *queue);
/* Make wake_fd readable. thread: any; async-signal-safe. */
void tr_queue_wake(struct tr_queue *queue);
/* Take the signal off wake_fd. thread: sink. */
void tr_queue_drain_wake(struct tr_queue *queue);

#endif
