/* aside.c - see aside.h. */
#include "core/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"

/* Who comes second frees this: the worker that is done, or the caller that leaves. */
struct call {
    struct tr_aside aside;
    _Atomic bool first; /* one of them has been here */
    int done_fd;        /* the worker's end of a pipe: closed when it is over */
};

static void *
call_main(void *arg)
{
    struct call *call = arg;
    int done_fd = call->done_fd;
    call->aside.work(call->aside.arg);
    if (atomic_exchange(&call->first, true)) {
        call->aside.discard(call->aside.arg);
        free(call);
    }
    close(done_fd);
    return NULL;
}

/* Until the worker is done or there is another reason to go on: negative when that is the interrupt. */
static int
wait_done(int fd, int interrupt_fd, int64_t wait_us, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + wait_us;
    for (;;) {
        struct pollfd fds[2] = { { .fd = fd },
                                 { .fd = interrupt_fd, .events = POLLIN } }; /* POLLHUP always counts */
        int64_t left = deadline - tr_clock_us();
        int n = poll(fds, 2, wait_us < 0 ? -1 : left > 0 ? (int)(left / 1000) + 1 : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && fds[0].revents == 0)
            return tr_fail(err, TR_RETRY, "interrupted");
        return n;
    }
}

int
tr_aside_run(const struct tr_aside *aside, int interrupt_fd, int64_t wait_us, struct tr_error *err)
{
    int ends[2];
    pthread_t thread;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        tr_fail(err, TR_RETRY, "no pipe for a thread: %s", strerror(errno));
        aside->discard(aside->arg);
        return -TR_RETRY;
    }
    struct call *call = tr_calloc(1, sizeof *call);
    call->aside = *aside;
    call->done_fd = ends[1];
    int failed = pthread_create(&thread, NULL, call_main, call);
    if (failed != 0) {
        tr_fail(err, TR_RETRY, "no thread: %s", strerror(failed));
        aside->discard(aside->arg);
        free(call);
        close(ends[0]);
        close(ends[1]);
        return -TR_RETRY;
    }
    int rc = wait_done(ends[0], interrupt_fd, wait_us, err);
    close(ends[0]);
    if (!atomic_exchange(&call->first, true)) {
        pthread_detach(thread);
        return rc > 0 ? 0 : rc;
    }
    pthread_join(thread, NULL); /* libraries keep things per thread, which its end frees */
    free(call);
    tr_error_clear(err);
    return 1;
}
