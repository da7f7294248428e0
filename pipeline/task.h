/*
 * task.h - one task: a source, a sink, the state between them, and the threads that move changes from one to the other.
 *
 * No globals: several tasks live in one process. app/ makes a task from settings and classes, runs it in a thread of its choice, and asks
 * for its status from another.
 */
#ifndef TR_PIPELINE_TASK_H
#define TR_PIPELINE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/source.h"
#include "core/error.h"
#include "core/log.h"
#include "core/option.h"
#include "offsets/offset_store.h"
#include "sinks/sink.h"

/* The options every task has, section "" and "tables". */
extern const struct tr_option tr_task_options[];

/* Where the task's offset store is: the URL `offsets`, else the directory `state`. */
const char *tr_task_store_place(const struct tr_settings *settings);

struct tr_task_config {
    const struct tr_settings *settings; /* complete and validated; borrowed for the task's life */
    const struct tr_source_class *source;
    const struct tr_sink_class *sink;
    const struct tr_encoder_class *encoder; /* for a sink with TR_SINK_ENCODES, else NULL */
    const struct tr_offset_store_class *store;
    struct tr_log *log;
};

enum tr_task_phase {
    TR_PHASE_CONNECTING,
    TR_PHASE_PREPARING,
    TR_PHASE_LOADING,
    TR_PHASE_FINISHING_LOAD, /* indexes, keys */
    TR_PHASE_CATCHING_UP,
    TR_PHASE_STREAMING,
    TR_PHASE_DRAINING,
    TR_PHASE_BACKING_OFF,
    TR_PHASE_ENDED,
};

/* A copy for display; all counts since the run began. */
struct tr_task_status {
    enum tr_task_phase phase;
    uint64_t load_tables, load_tables_done;
    uint64_t load_rows, load_rows_expected; /* estimates before, truth after */
    uint64_t load_bytes, load_bytes_expected;
    uint64_t transactions, rows, bytes; /* of the stream, read and decoded */
    uint64_t rows_durable;
    uint64_t conflicts, retries;
    uint64_t misfits;  /* values that were stored otherwise than they came, by on_value */
    int64_t lag_bytes; /* -1 = not known */
    int64_t lag_us;    /* commit at the source until durable here; -1 = not known */
    char checkpoint[256];
    char acknowledged[256];
    char message[256]; /* last error while backing off */
};

struct tr_task;

int tr_task_new(const struct tr_task_config *config, struct tr_task **task, struct tr_error *err);
void tr_task_free(struct tr_task *task);

/* Run to the end (stop reached, load done, stopped) or to a failure that retrying cannot mend. thread: the caller's, for the whole run. */
int tr_task_run(struct tr_task *task, struct tr_error *err);

/* Drain and end at a checkpoint, within five seconds. thread: any; async-signal-safe. */
void tr_task_stop(struct tr_task *task);

void tr_task_status(struct tr_task *task, struct tr_task_status *status); /* thread: any */

/* The commands that look and do not run. */
int tr_task_check(const struct tr_task_config *config, const struct tr_findings *findings,
                  struct tr_error *err);
int tr_task_drop(const struct tr_task_config *config, struct tr_error *err);
/* The names of the task's tables at the source ("schema.name"), one by one; mode cdc is refused, because it loads nothing. For `reload`. */
int tr_task_tables(const struct tr_task_config *config, void (*each)(void *arg, const char *table), void *arg,
                   struct tr_error *err);
/* Leave the order to load tables again: one a line, or "*\n" for the whole task. The process that runs takes it within seconds, or the next one at its start. Refused in mode cdc. */
int tr_task_reload(const struct tr_task_config *config, const char *order, struct tr_error *err);
/* The schema of the task's tables, with target names; the caller frees it. */
int tr_task_schema(const struct tr_task_config *config, struct tr_schema **schema, struct tr_error *err);

const char *tr_task_phase_name(enum tr_task_phase phase);

#endif
