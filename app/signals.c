/* signals.c - one thread, one signalfd. */
#include "app/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/memory.h"

struct tr_signals {
    pthread_t thread;
    int signal_fd, end_fd;
    void (*stop)(void *arg, int signal);
    void *arg;
};

/* nohup has SIGHUP ignored, and a signal that is blocked is not: it would come all the same. */
static void
stop_signals(sigset_t *set)
{
    struct sigaction hangup;
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    if (sigaction(SIGHUP, NULL, &hangup) < 0 || hangup.sa_handler != SIG_IGN)
        sigaddset(set, SIGHUP);
}

void
tr_signals_block(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* they mean nothing here, so they end nothing */
    signal(SIGUSR2, SIG_IGN);
}

/* The state is safe at every moment: a checkpoint never runs ahead of what is durable. */
static void
exit_now(int signal)
{
    (void)signal;
    _exit(1);
}

/* From here on a signal ends the process even while stop() hangs, for instance in a log line on a stopped terminal. */
static void
arm_second_signal(void)
{
    sigset_t set;
    struct sigaction action = { .sa_handler = exit_now };
    stop_signals(&set);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (sigismember(&set, SIGHUP) == 1)
        sigaction(SIGHUP, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *
run(void *arg)
{
    struct tr_signals *s = arg;
    struct pollfd fds[2] = { { .fd = s->end_fd, .events = POLLIN },
                             { .fd = s->signal_fd, .events = POLLIN } };
    for (;;) {
        struct signalfd_siginfo info;
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            return NULL;
        if (fds[1].revents == 0 || read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
            continue;
        fds[1].fd = -1;
        arm_second_signal();
        s->stop(s->arg, (int)info.ssi_signo);
    }
}

static void
free_signals(struct tr_signals *s)
{
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    if (s->end_fd >= 0)
        close(s->end_fd);
    free(s);
}

int
tr_signals_start(void (*stop)(void *arg, int signal), void *arg, struct tr_signals **signals,
                 struct tr_error *err)
{
    sigset_t set;
    struct tr_signals *s = tr_calloc(1, sizeof(*s));
    stop_signals(&set);
    *signals = NULL;
    s->stop = stop;
    s->arg = arg;
    s->end_fd = eventfd(0, EFD_CLOEXEC);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int rc = s->end_fd < 0 || s->signal_fd < 0 ? errno : pthread_create(&s->thread, NULL, run, s);
    if (rc == 0) {
        *signals = s;
        return 0;
    }
    free_signals(s);
    return tr_fail(err, TR_FATAL, "cannot wait for signals: %s", strerror(rc));
}

void
tr_signals_end(struct tr_signals *s)
{
    if (s == NULL)
        return;
    uint64_t one = 1;
    while (write(s->end_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(s->thread, NULL);
    free_signals(s);
}
