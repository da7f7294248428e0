/* null.c - counts rows and bytes and forgets them; everything is durable at once. */
#include "sinks/null/null.h"

#include <poll.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/memory.h"

struct null_sink {
    struct tr_sink base;
    int64_t opened_us;
    int64_t first_row_us; /* 0 = none yet */
    uint64_t rows, bytes;
};

static const struct tr_option null_options[] = { { .name = NULL } };

static int
null_open(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    (void)err;
    struct null_sink *sink = tr_calloc(1, sizeof(*sink));
    sink->base.class = &tr_null_sink;
    sink->base.env = env;
    sink->opened_us = tr_clock_us();
    *out = &sink->base;
    return 0;
}

static void
null_close(struct tr_sink *base)
{
    struct null_sink *sink = (struct null_sink *)base;
    if (sink == NULL)
        return;
    if (sink->rows > 0 && base->env->log != NULL)
        tr_log(base->env->log, TR_LOG_INFO, "sink", "%llu rows, %llu bytes counted and forgotten in %.3f s",
               (unsigned long long)sink->rows, (unsigned long long)sink->bytes,
               (double)(tr_clock_us() - sink->first_row_us) / 1e6);
    free(sink);
}

static int
null_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    (void)err;
    struct null_sink *sink = (struct null_sink *)base;
    uint64_t sequence = batch->sequence;
    if (batch->rows > 0 && sink->first_row_us == 0) {
        sink->first_row_us = tr_clock_us();
        if (base->env->log != NULL)
            tr_log(base->env->log, TR_LOG_INFO, "sink", "first row after %.3f s",
                   (double)(sink->first_row_us - sink->opened_us) / 1e6);
    }
    sink->rows += batch->rows;
    sink->bytes += batch->arena.used;
    tr_batch_free(batch);
    base->env->durable(base->env->arg, sequence, NULL);
    return 0;
}

static int
null_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    (void)err;
    struct pollfd wake = { .fd = base->env->wake_fd, .events = POLLIN };
    poll(&wake, 1, (int)(wait_us / 1000));
    return 0;
}

static int
null_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    (void)base;
    (void)deadline_us;
    (void)err;
    return 0;
}

const struct tr_sink_class tr_null_sink = {
    .name = "null",
    .schemes = "null",
    .capabilities = TR_SINK_TAKES_OPEN,
    .options = null_options,
    .open = null_open,
    .close = null_close,
    .write = null_write,
    .poll = null_poll,
    .flush = null_flush,
};
