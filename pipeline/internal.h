/*
 * internal.h - the inside of a task, shared by the files of pipeline/.
 *
 * Threads: `control` is the caller of tr_task_run (decides, saves checkpoints); `capture` reads, decodes, assembles and acknowledges; `sink` writes.
 * What they share is the queue, the ledger, the budget of bytes in flight, and the atomics of struct tr_task_counters.
 */
#ifndef TR_PIPELINE_INTERNAL_H
#define TR_PIPELINE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/names.h"
#include "mapping/mapping.h"
#include "pipeline/ledger.h"
#include "pipeline/queue.h"
#include "pipeline/spool.h"
#include "pipeline/task.h"

struct tr_task_counters {
    _Atomic int phase; /* enum tr_task_phase */
    _Atomic uint64_t load_tables, load_tables_done;
    _Atomic uint64_t load_rows, load_rows_expected, load_bytes, load_bytes_expected;
    _Atomic uint64_t transactions, rows, bytes;
    _Atomic uint64_t rows_durable, conflicts, misfits, retries;
    _Atomic int64_t lag_bytes, lag_us;
};

/* What the pipeline knows of one table by its name: given once, found by relation->number. */
struct tr_table_state {
    char *name; /* "schema.table" */
    char *cut;  /* changes up to here are contained in its load; NULL = none */
    bool
        cut_short; /* that load never came to its end: with the stream under way, the source has the table no more */
    bool known; /* it stands in the checkpoint */
    bool
        pending; /* it is to be loaded beside the stream: its changes are passed over until it is taken over */
};

struct tr_task {
    struct tr_task_config config;
    const char *name;
    struct tr_mapping *mapping;
    struct tr_source_env source_env;
    struct tr_sink_env sink_env;
    char source_database[256];
    struct tr_offset_store *store;
    struct tr_task_counters count;
    _Atomic bool stopping;  /* tr_task_stop was called */
    int stop_fd;            /* eventfd: readable once stopping */
    _Atomic int64_t end_us; /* monotonic; 0 until stopping, then when every wait is over */
    _Atomic bool halt;      /* this attempt is over: whoever waits shall give up */
    _Atomic bool
        turn; /* this attempt ends in good order, and the next one begins at once: a table was loaded, or is to be */
    bool
        whole; /* a transaction was undone of which parts had been handed on: slices are large from then on; capture thread */
    bool recorded;     /* the store, or the target, may know of a checkpoint; control thread */
    bool progressed;   /* a checkpoint or a table was saved in this attempt; control thread */
    int64_t stored_us; /* monotonic, of the last write to the embedded store; control thread */

    /* One attempt: from connecting to the end or a failure. */
    struct tr_source *source;
    struct tr_sink *sink;
    struct tr_checkpoint checkpoint; /* what is saved; control thread */
    struct tr_queue queue;
    struct tr_ledger ledger;
    pthread_mutex_t lock; /* guards the texts below */
    char *saved;          /* owned; newest saved position, for the capture thread to acknowledge */
    char acknowledged[256];
    char message[256];
    struct tr_checkpoint exchanged; /* tables whose indexes are to be compared: names only */
    uint64_t saved_count;           /* counts the changes of `saved`, under lock */
    uint64_t acknowledged_count;
    int64_t lag_due_us;            /* monotonic, capture thread */
    struct tr_table_state *tables; /* by relation->number - 1; capture thread, and control before it starts */
    uint32_t ntables;
    struct tr_names table_names; /* index of the above */
    _Atomic uint32_t nguarded;   /* relations whose cut the stream has not passed */
    int64_t retain_warned;       /* bytes of the last warning; capture thread */
    bool joins;                  /* tables are loaded while this stream runs */
    struct tr_loop *loop;        /* loop.c; control, and upkeep's thread while it runs */
    bool told_loop;              /* what loop.c has to say at a start was said; control thread */
    bool told_cascades;          /* of foreign keys that the target lacks; upkeep's thread */
    bool takes_new;              /* also those that the task has never seen (ddl: apply) */
    _Atomic bool look;           /* the stream met such a table */
    _Atomic bool hold;           /* nothing more is acknowledged: the stream will go back to a cut */
};

/* Has a stream that stands at `position` come past the cut? Not when that cannot be told: of two servers each may have what the other lacks. */
static inline bool
tr_cut_passed(const struct tr_source_class *source, const char *cut, const char *position)
{
    int order = source->compare(cut, position);
    return order <= 0 && order != INT_MIN;
}

/* task.c: what is saved before anything is written: where the stream will begin, and who the source is. thread: control. */
int tr_first_checkpoint(struct tr_task *task, const char *position, const char *phase, struct tr_error *err);

/* load.c: copy what the checkpoint does not call done. thread: control. */
int tr_load_run(struct tr_task *task, const struct tr_cut *first_cut, struct tr_error *err);
/* What makes the tables, without their rows; first_cut->position may be empty. */
int tr_load_definitions(struct tr_task *task, const struct tr_cut *first_cut, struct tr_error *err);

/* assembler.c: its changes are not passed over any more. thread: assembler. */
void tr_table_unguard(struct tr_task *task, struct tr_table_state *table);
/* load.c: the tables that `known` does not call done, while the stream runs: with a source and a sink of their own, whose filter lets nothing else through. Their cut is told, nothing is called done. */
struct tr_beside {
    struct tr_source *source;
    struct tr_sink *sink;
    struct tr_checkpoint *known; /* learns which tables were begun */
    const _Atomic bool *cancel;
};
int tr_load_beside(struct tr_task *task, const struct tr_beside *beside, struct tr_cut *cut,
                   struct tr_error *err);

/*
 * upkeep.c: what else a stream needs, on connections and a thread of its own: values of sequences, foreign keys that had to wait, tables that join, orders to load one again.
 * thread of all functions: control.
 */
struct tr_upkeep;
int tr_upkeep_start(struct tr_task *task, struct tr_upkeep **upkeep, struct tr_error *err);
/* It wants the attempt to end: it failed, or the stream shall turn. */
bool tr_upkeep_over(const struct tr_upkeep *upkeep);
/* End it. `reached`: the stop was reached, everything is durable: the last round first. Returns its failure. NULL is allowed. */
int tr_upkeep_end(struct tr_upkeep *upkeep, bool reached, struct tr_error *err);
/* The stream has come to rest at the checkpoint: hand over to the next attempt the tables that were loaded. */
int tr_upkeep_take_over(struct tr_upkeep *upkeep, struct tr_error *err);
void tr_upkeep_free(struct tr_upkeep *upkeep); /* NULL is allowed */

/*
 * loop.c: does another task lead back? enter: say at the target what this one carries, and refuse to begin when one is there; watch: refuse when one moves (TR_REFUSED).
 * threads: control; upkeep's, with its source.
 */
int tr_loop_enter(struct tr_task *task, struct tr_error *err);
int tr_loop_watch(struct tr_task *task, struct tr_source *source, struct tr_error *err);
int tr_loop_check(struct tr_task *task, const struct tr_findings *findings, struct tr_error *err);
void tr_loop_free(struct tr_loop *loop); /* NULL is allowed */

/* reload.c: refuses mode cdc, which has nothing to load again. thread: any. */
int tr_task_loads(const struct tr_settings *settings, struct tr_error *err);
/* Is there an order to load tables again? thread: any. */
bool tr_reload_asked(const struct tr_task *task);
/* Has one for the whole task been taken into this checkpoint, but not to its end? Nothing else leaves a load without a position. */
bool tr_reload_halfway(const struct tr_task *task, const struct tr_checkpoint *checkpoint);
/* Take it into the checkpoint just read. *whole: everything begins anew; when that is so at the source, too, comes tr_reload_taken(). thread: control. */
int tr_reload_take(struct tr_task *task, bool *whole, struct tr_error *err);
int tr_reload_taken(const struct tr_task *task, struct tr_error *err);

/* stream.c: follow the source from `position` until stop or failure. thread: control; starts the other two. */
int tr_stream_run(struct tr_task *task, const char *position, struct tr_error *err);

/* Acknowledge what is saved, say that we are alive, watch the lag. Cheap; also called while the sink stalls. thread: capture. */
int tr_stream_alive(struct tr_task *task, bool urgent, struct tr_error *err);

/* save.c: make progress safe. thread: control. */
void tr_publish_saved(struct tr_task *task,
                      const char *position); /* from now on the capture thread may acknowledge it */
int tr_save_checkpoint(struct tr_task *task, struct tr_error *err); /* all of task->checkpoint */
int tr_save_mark(struct tr_task *task, struct tr_ledger_mark *mark,
                 struct tr_error *err); /* frees what the mark holds */
int tr_save_table(struct tr_task *task, const char *table, const char *cut, bool done, struct tr_error *err);

/* sink_thread.c: takes batches from the queue and gives them to the sink. */
struct tr_sink_thread {
    struct tr_task *task;
    pthread_t thread;
    _Atomic bool drain;   /* flush what was taken and end */
    _Atomic bool abandon; /* end at once */
    _Atomic bool ended;
    int result;
    struct tr_error error;
};
void tr_sink_thread_start(struct tr_sink_thread *thread, struct tr_task *task);
void tr_sink_thread_join(struct tr_sink_thread *thread);

/* assembler.c: frames in, batches out. thread: capture. `position`: where the stream begins. */
struct tr_assembler;
int tr_assembler_new(struct tr_task *task, const char *position, struct tr_assembler **assembler,
                     struct tr_error *err);
void tr_assembler_free(struct tr_assembler *assembler);
/* One frame. Returns 1 when the stop order was reached (this frame is beyond it), else 0. */
int tr_assembler_frame(struct tr_assembler *assembler, const struct tr_frame *frame, struct tr_error *err);
/* The socket is dry, or the end has come: push what is complete. */
int tr_assembler_flush(struct tr_assembler *assembler, bool last, struct tr_error *err);
/* The socket was dry for a while. Returns 1 when the time at which the task is to stop has passed and nothing before it can come any more, else 0. */
int tr_assembler_idle(struct tr_assembler *assembler, struct tr_error *err);
/* Is something complete waiting to be pushed, and at once? Transactions without any event have time. */
bool tr_assembler_pending(const struct tr_assembler *assembler);
void tr_assembler_stop_at(struct tr_assembler *assembler, uint64_t order, int64_t time_us);

/* statement.c: a DDL statement that was just decoded gets its tables' target names, and their shapes where the encoder wants them. *out is the batch that begins with it: this one, or a new one when others stood before it; NULL = the last event is no such statement. thread: capture. */
int tr_statement_batch(struct tr_task *task, struct tr_batch *batch, struct tr_batch **out,
                       struct tr_error *err);
/* Does the encoder tell of the tables' shapes, and can the source? */
bool tr_statement_shapes_wanted(const struct tr_task *task);
/* Does the batch begin with a statement, and so ends with its transaction? */
bool tr_statement_leads(const struct tr_batch *batch);

bool tr_task_stopping(struct tr_task *task);
void tr_task_phase_set(struct tr_task *task, enum tr_task_phase phase);
/* The state of a table by name, made when missing; its number is index + 1. */
uint32_t tr_task_table_number(struct tr_task *task, const char *schema, const char *name);

/* Target names and types of a schema's tables, by mapping. */
void tr_task_route_schema(struct tr_task *task, struct tr_schema *schema);

#endif
