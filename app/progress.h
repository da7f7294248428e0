/*
 * progress.h - how far a running task is: a live line on a terminal, a log line now and then elsewhere.
 *
 * A thread of its own asks the task for its status; a terminal that does not read (Ctrl-S) holds up nothing but that thread and the log.
 */
#ifndef TR_APP_PROGRESS_H
#define TR_APP_PROGRESS_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/log.h"
#include "pipeline/task.h"

struct tr_progress;

struct tr_progress_config {
    struct tr_log *log;
    int fd;              /* of the terminal; -1 = log lines only */
    int64_t interval_us; /* between log lines; 0 = none */
    void *arg;
    void (*status)(void *arg, struct tr_task_status *status); /* thread: progress */
};

/* The thread runs until stop, which also clears the display. The log is drawn around meanwhile. */
int tr_progress_start(const struct tr_progress_config *config, struct tr_progress **progress,
                      struct tr_error *err);
void tr_progress_stop(struct tr_progress *progress); /* NULL is allowed */

/* --- pure parts --- */

/* Smoothed speeds. All zero at first. */
struct tr_rates {
    int64_t at_us; /* of the last sample; 0 = none yet */
    uint64_t load_rows, load_bytes, rows, transactions;
    double load_rows_s, load_bytes_s, rows_s, transactions_s;
};

/* Take one more sample, now_us on any one clock. half_life_us: how far back the past still counts. */
void tr_rates_sample(struct tr_rates *rates, const struct tr_task_status *status, int64_t now_us,
                     int64_t half_life_us);

/* One line without its end. width > 0: for a terminal of that many columns, with a bar; 0: for the log. */
void tr_progress_line(const struct tr_task_status *status, const struct tr_rates *rates, int width,
                      struct tr_buffer *out);

/* The line at the end of a run. */
void tr_progress_summary(const struct tr_task_status *status, int64_t duration_us, struct tr_buffer *out);

#endif
