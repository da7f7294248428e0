/*
 * signals.h - SIGTERM and SIGINT as a request to stop.
 *
 * A thread waits for them, so that no code runs in a signal handler and no global names the task. tr_signals_block comes first, before any
 * thread is made: threads inherit the mask.
 */
#ifndef TR_APP_SIGNALS_H
#define TR_APP_SIGNALS_H

#include "core/error.h"

struct tr_signals;

/* SIGTERM, SIGINT and SIGHUP (unless nohup has it ignored) wait to be read; SIGPIPE, SIGUSR1 and SIGUSR2 are ignored. thread: main, at the start. */
void tr_signals_block(void);

/* The first signal calls stop(arg, signal) on a thread of its own; the second ends the process at once with status 1. */
int tr_signals_start(void (*stop)(void *arg, int signal), void *arg, struct tr_signals **signals,
                     struct tr_error *err);
void tr_signals_end(struct tr_signals *signals); /* NULL is allowed */

#endif
