/* progress.c - the thread that shows it. */
#include "app/progress.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"

#define DRAW_US (TR_US_PER_S / 4)
#define LINE_MAX_LEN 4096
#define CLEAR_LINE "\r\033[K"

struct tr_progress {
    struct tr_progress_config config;
    pthread_t thread;
    int end_fd;
    pthread_mutex_t lock;  /* the terminal: held while a log line is written, and while we draw */
    struct tr_buffer line; /* what the display shows; under the lock */
    struct tr_rates rates;
    enum tr_task_phase phase;
};

static void
put(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

/* Called by the log around its lines. */
static void
clear_display(void *arg)
{
    struct tr_progress *p = arg;
    pthread_mutex_lock(&p->lock);
    put(p->config.fd, CLEAR_LINE, strlen(CLEAR_LINE));
}

static void
draw_display(void *arg)
{
    struct tr_progress *p = arg;
    put(p->config.fd, p->line.data != NULL ? p->line.data : "", p->line.len);
    pthread_mutex_unlock(&p->lock);
}

static int
terminal_width(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
        return 79;
    /* The last column stays free: some terminals wrap when it is written. */
    return size.ws_col - 1;
}

static void
show(struct tr_progress *p)
{
    struct tr_task_status status;
    p->config.status(p->config.arg, &status);
    tr_rates_sample(&p->rates, &status, tr_clock_us(), 2 * TR_US_PER_S);
    clear_display(p);
    tr_buffer_reset(&p->line);
    tr_progress_line(&status, &p->rates, terminal_width(p->config.fd), &p->line);
    draw_display(p);
}

static void
log_line(struct tr_progress *p)
{
    struct tr_task_status status;
    struct tr_buffer line;
    p->config.status(p->config.arg, &status);
    /* The average over one interval: the past counts for nothing. */
    tr_rates_sample(&p->rates, &status, tr_clock_us(), 1);
    tr_buffer_init(&line, LINE_MAX_LEN);
    tr_progress_line(&status, &p->rates, 0, &line);
    tr_log(p->config.log, TR_LOG_INFO, "progress", "%s", line.data != NULL ? line.data : "");
    tr_buffer_fini(&line);
}

static void *
run(void *arg)
{
    struct tr_progress *p = arg;
    struct pollfd end = { .fd = p->end_fd, .events = POLLIN };
    bool display = p->config.fd >= 0;
    int64_t period = display ? DRAW_US : p->config.interval_us;
    int64_t next = tr_clock_us() + (display ? 0 : period);
    for (;;) {
        int64_t wait = next - tr_clock_us();
        struct timespec left = { .tv_sec = wait > 0 ? wait / TR_US_PER_S : 0,
                                 .tv_nsec = wait > 0 ? wait % TR_US_PER_S * 1000 : 0 };
        if (ppoll(&end, 1, &left, NULL) > 0)
            return NULL;
        if (tr_clock_us() < next)
            continue;
        (display ? show : log_line)(p);
        next = tr_clock_us() + period;
    }
}

static void
free_progress(struct tr_progress *p)
{
    pthread_mutex_destroy(&p->lock);
    tr_buffer_fini(&p->line);
    if (p->end_fd >= 0)
        close(p->end_fd);
    free(p);
}

int
tr_progress_start(const struct tr_progress_config *config, struct tr_progress **progress,
                  struct tr_error *err)
{
    *progress = NULL;
    if (config->fd < 0 && config->interval_us == 0)
        return 0;
    struct tr_progress *p = tr_calloc(1, sizeof(*p));
    p->config = *config;
    pthread_mutex_init(&p->lock, NULL);
    tr_buffer_init(&p->line, LINE_MAX_LEN);
    p->end_fd = eventfd(0, EFD_CLOEXEC);
    if (config->fd >= 0) {
        config->log->arg = p;
        config->log->clear = clear_display;
        config->log->draw = draw_display;
    }
    int rc = p->end_fd < 0 ? errno : pthread_create(&p->thread, NULL, run, p);
    if (rc == 0) {
        *progress = p;
        return 0;
    }
    config->log->clear = config->log->draw = NULL;
    free_progress(p);
    return tr_fail(err, TR_FATAL, "cannot start the progress thread: %s", strerror(rc));
}

/* The log's callbacks are taken away only when no other thread logs any more: the task has ended. */
void
tr_progress_stop(struct tr_progress *p)
{
    if (p == NULL)
        return;
    uint64_t one = 1;
    while (write(p->end_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(p->thread, NULL);
    if (p->config.fd >= 0) {
        put(p->config.fd, CLEAR_LINE, strlen(CLEAR_LINE));
        p->config.log->clear = p->config.log->draw = NULL;
    }
    free_progress(p);
}
