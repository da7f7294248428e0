/*
 * stdout.c - lines of JSON to standard output, at least once.
 *
 * Nothing here blocks: batches wait, still charged to the task's budget, until their lines fit, so that a reader that stalls holds back the source
 * and a stop is obeyed all the same.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sinks/jsonl/jsonl.h"
#include "sinks/jsonl/lines.h"

struct stdout_sink {
    struct tr_sink base;
    struct lines lines;
    struct tr_batch *first, **last; /* taken, not yet encoded */
    size_t written;                 /* of lines.out */
    uint64_t sequence;              /* of the batch whose lines end at lines.out.len; 0 = reported */
    size_t piece; /* what one write may take without blocking once poll has said that there is room */
};

static void
stdout_close(struct tr_sink *base)
{
    struct stdout_sink *sink = (struct stdout_sink *)base;
    if (sink == NULL)
        return;
    while (sink->first != NULL) {
        struct tr_batch *batch = sink->first;
        sink->first = batch->next;
        tr_batch_free(batch);
    }
    lines_close(&sink->lines);
    free(sink);
}

static int
stdout_open(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    struct stdout_sink *sink = tr_calloc(1, sizeof(*sink));
    struct stat st;
    sink->base.class = &tr_stdout_sink;
    sink->base.env = env;
    sink->last = &sink->first;
    *out = NULL;
    int rc = fstat(STDOUT_FILENO, &st) < 0 ? tr_fail(err, TR_CONFIG, "standard output is closed") : 0;
    sink->piece = rc == 0 && S_ISREG(st.st_mode) ? 1 << 20 : PIPE_BUF;
    if (rc == 0)
        rc = lines_open(&sink->lines, env, err);
    if (rc < 0) {
        stdout_close(&sink->base);
        return rc;
    }
    *out = &sink->base;
    return 0;
}

static int
fail_write(struct tr_error *err)
{
    int number = errno;
    if (number == EPIPE) {
        tr_fail(err, TR_FATAL, "standard output: the reader has gone away");
        return tr_error_hint(err, "Start the task again with a reader; it goes on from the last checkpoint.");
    }
    /* No second try, for that would begin in the middle of a line. */
    return tr_fail(err, TR_FATAL, "standard output: %s", strerror(number));
}

/* Encode the next batch when the lines of the one before are out. */
static int
refill(struct stdout_sink *sink, struct tr_error *err)
{
    struct tr_batch *batch = sink->first;
    tr_buffer_reset(&sink->lines.out);
    sink->written = 0;
    if (batch == NULL)
        return 0;
    sink->first = batch->next;
    if (sink->first == NULL)
        sink->last = &sink->first;
    sink->sequence = batch->sequence;
    int rc = lines_batch(&sink->lines, batch, err);
    tr_batch_free(batch);
    return rc;
}

/* Write what standard output takes now; 1 when it would have to wait, 0 when all is out. */
static int
pump(struct stdout_sink *sink, struct tr_error *err)
{
    for (;;) {
        size_t left = sink->lines.out.len - sink->written;
        if (left == 0) {
            if (sink->sequence != 0)
                sink->base.env->durable(sink->base.env->arg, sink->sequence, NULL);
            sink->sequence = 0;
            if (sink->first == NULL)
                return 0;
            int rc = refill(sink, err);
            if (rc < 0)
                return rc;
            continue;
        }
        struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
        if (poll(&out, 1, 0) == 0)
            return 1;
        ssize_t n = write(STDOUT_FILENO, sink->lines.out.data + sink->written,
                          left < sink->piece ? left : sink->piece);
        if (n < 0 && errno == EAGAIN)
            return 1;
        if (n < 0 && errno != EINTR)
            return fail_write(err);
        sink->written += n > 0 ? (size_t)n : 0;
    }
}

static int
stdout_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    struct stdout_sink *sink = (struct stdout_sink *)base;
    batch->next = NULL;
    *sink->last = batch;
    sink->last = &batch->next;
    int rc = pump(sink, err);
    return rc < 0 ? rc : 0;
}

static int
stdout_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct stdout_sink *sink = (struct stdout_sink *)base;
    bool waits = sink->lines.out.len > sink->written;
    struct pollfd fds[2] = { { .fd = base->env->wake_fd, .events = POLLIN },
                             { .fd = waits ? STDOUT_FILENO : -1, .events = POLLOUT } };
    poll(fds, 2, (int)(wait_us / 1000));
    int rc = pump(sink, err);
    return rc < 0 ? rc : 0;
}

static int
stdout_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct stdout_sink *sink = (struct stdout_sink *)base;
    for (;;) {
        int rc = pump(sink, err);
        if (rc <= 0)
            return rc;
        int64_t left_us = deadline_us - tr_clock_us();
        struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
        if (left_us <= 0)
            return tr_fail(
                err, TR_RETRY,
                "standard output: the reader does not read; what it has not taken is sent again by the next run");
        poll(&out, 1, (int)(left_us / 1000) + 1);
    }
}

const struct tr_sink_class tr_stdout_sink = {
    .name = "stdout",
    .schemes = "stdout",
    .capabilities = TR_SINK_ENCODES,
    .open = stdout_open,
    .close = stdout_close,
    .write = stdout_write,
    .poll = stdout_poll,
    .flush = stdout_flush,
};
