/*
 * sink.h - the contract of a sink: where changes are made durable.
 *
 * All functions but the loader's are called from the task's one sink thread. A sink takes batches in sequence order, makes their
 * content durable in commit order and says so with env->durable(); only then may the checkpoint move (ARCHITECTURE.md, the checkpoint law).
 * TR_RETRY: the pipeline closes the sink, asks load_checkpoint again after a back-off, and streams anew from there.
 */
#ifndef TR_SINKS_SINK_H
#define TR_SINKS_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/error.h"
#include "core/finding.h"
#include "core/log.h"
#include "core/option.h"
#include "encoders/encoder.h"
#include "offsets/offset_store.h"

struct tr_sink;
struct tr_schema;
struct tr_table;

/* What a sink can do; the pipeline asks for nothing else. */
#define TR_SINK_KEEPS_CHECKPOINT 1 /* commits the checkpoint with the rows; load_checkpoint is the truth */
#define TR_SINK_TAKES_OPEN 2       /* takes TR_BATCH_OPEN* slices ahead of the commit */
#define TR_SINK_LOADS 4            /* has the loader functions: tables can be made and filled in bulk */
#define TR_SINK_STATE_IN_STORE \
    8 /* its resume state (file and length) travels with the checkpoint through the offset store */
#define TR_SINK_ENCODES 16 /* publishes messages: env->encoder makes them, and the target has a `format` */

struct tr_sink_env {
    const char *task;
    const struct tr_settings *settings;
    struct tr_log *log;
    const char *source_name; /* "postgresql", "mysql", "mariadb" */
    const char *source_dialect;
    const char
        *source_database; /* the one database that the source reads, or ""; known from the first batch on */
    const struct tr_encoder_class *
        encoder; /* TR_SINK_ENCODES: what the target's `format` names, its options are in the settings; else NULL */
    uint64_t memory; /* bytes the sink may hold on its own */
    int wake_fd;     /* eventfd: readable when the pipeline wants poll() to return */
    int stop_fd; /* eventfd: readable once the task is to stop: loaders and index builders give up with TR_RETRY; 0 = none */
    /* 0 until the task is told to end, then the moment of the monotonic clock at which whatever waits has given up; NULL = never told. */
    const _Atomic int64_t *end_us;
    void *arg;
    /*
     * Everything up to and including this batch is durable. thread: sink. sink_state: NULL, or with TR_SINK_STATE_IN_STORE the state just behind
     * this batch; such a sink reports every batch that has a checkpoint or a load_table singly, for a state fits one batch only.
     */
    void (*durable)(void *arg, uint64_t sequence, const char *sink_state);
    /* Count for the summary and the metrics: a row skipped or overwritten by policy. */
    void (*conflict)(void *arg, const char *table, const char *what);
    /* The same for values that the target's columns cannot hold, stored otherwise by `on_value`. thread: any. */
    void (*misfit)(void *arg, uint64_t count);
    /*
     * The source has put another table in the place of this one (its names there), and the statements that shaped it were left out: compare_indexes() is to be called
     * for it. thread: sink.
     */
    void (*exchanged)(void *arg, const char *schema, const char *table);
};

struct tr_loader; /* one writer of a bulk load: connection and COPY of its own */

struct tr_sink_class {
    const char *name;    /* "postgresql" */
    const char *schemes; /* "postgresql|postgres" */
    const char *dialect; /* SQL dialect, or NULL for a sink that is not a database */
    unsigned capabilities;
    const struct tr_option *options; /* section "target" */

    /* Settings may change what a sink can do: the class to use under them. Called once, before anything else. NULL = always this one. */
    const struct tr_sink_class *(*variant)(const struct tr_settings *settings);

    /* Connect; make the state table when the sink keeps one. *sink is NULL after a failure. */
    int (*open)(const struct tr_sink_env *env, struct tr_sink **sink, struct tr_error *err);
    void (*close)(struct tr_sink *sink);

    /*
     * TR_SINK_KEEPS_CHECKPOINT: what was committed last. Also fences off an older process of the same task (epoch). checkpoint->position empty = none.
     * The table cuts committed with loads are reported too.
     */
    int (*load_checkpoint)(struct tr_sink *sink, struct tr_checkpoint *checkpoint, struct tr_error *err);
    /* Store a first checkpoint (the cut of the load) and the identity before any change is written. */
    int (*save_checkpoint)(struct tr_sink *sink, const struct tr_checkpoint *checkpoint,
                           struct tr_error *err);
    /* TR_SINK_STATE_IN_STORE: cut back to this state ("" = begin anew). Called once, before the first write. */
    int (*resume)(struct tr_sink *sink, const char *sink_state, struct tr_error *err);

    /*
     * --- loops: databases that can be sources, too ---
     * Which server (and database) this is while it runs: the text that a source gives for the same one. NULL = it is nobody's source.
     */
    int (*server)(struct tr_sink *sink, char *text, size_t size, struct tr_error *err);
    /*
     * After load_checkpoint: tell at the target which server the task reads, and which tables of it (tr_mapping_scope()); and show there that this process is at work, for as long as
     * the sink is open. Where the account may not, that is said, and no failure.
     */
    int (*announce)(struct tr_sink *sink, const char *server, const char *scope, struct tr_error *err);
    /* The schema whose tables land under another one's name, or NULL. */
    const char *(*moved)(const struct tr_sink *sink);

    /* Take a batch (ownership passes, also on failure). May block while the sink is at its limit of work in flight. */
    int (*write)(struct tr_sink *sink, struct tr_batch *batch, struct tr_error *err);
    /* Push on work in flight, report what became durable; wait at most wait_us or until wake_fd is readable. */
    int (*poll)(struct tr_sink *sink, int64_t wait_us, struct tr_error *err);
    /* Everything taken is to become durable; returns when it is, or at the deadline (monotonic us) with -TR_RETRY. */
    int (*flush)(struct tr_sink *sink, int64_t deadline_us, struct tr_error *err);

    /* What would stop or hurt at the target. */
    int (*check)(struct tr_sink *sink, const struct tr_schema *schema, const struct tr_findings *findings,
                 struct tr_error *err);

    /* --- TR_SINK_LOADS; called before the stream starts, or for single tables while it runs --- */
    /* schema: create | expect. Makes what is missing (types, sequences, tables without indexes), or verifies. on_existing: stop | truncate | append. */
    int (*prepare_tables)(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
    /* Empty a table whose load was cut short (or, on_existing truncate, one that had rows). */
    int (*reset_table)(struct tr_sink *sink, const struct tr_relation *relation, struct tr_error *err);
    /* Can `format` ("copy-binary", "copy-text") be taken as it is for this relation? Pure. */
    bool (*loader_accepts)(struct tr_sink *sink, const struct tr_relation *relation, const char *format);
    /* thread: the loader belongs to the thread that opened it; several at once, also several for the same table. */
    int (*loader_open)(struct tr_sink *sink, const struct tr_relation *relation, const char *format,
                       struct tr_loader **loader, struct tr_error *err);
    int (*loader_write)(struct tr_loader *loader, const char *data, size_t len, struct tr_error *err);
    /* Rows decoded by the source ("rows"); borrows the batch. */
    int (*loader_rows)(struct tr_loader *loader, const struct tr_batch *batch, struct tr_error *err);
    /* Commit what this loader wrote. When table_done is not NULL the table's cut is recorded in the same transaction (done is true). */
    int (*loader_finish)(struct tr_loader *loader, const struct tr_table_cut *table_done,
                         struct tr_error *err);
    void (*loader_close)(struct tr_loader *loader); /* rolls back what was not finished; NULL is allowed */
    /* After the rows: indexes, keys, foreign keys, sequence values, comments. Idempotent (a killed run does the rest). */
    int (*finish_tables)(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
    /*
     * One finished table's indexes (its primary key first); called in parallel from loader threads. A thread that has no more rows to load calls it
     * without a relation: it helps with the indexes of all tables that wait for a thread. NULL = finish_tables does all.
     */
    int (*finish_table)(struct tr_sink *sink, const struct tr_schema *schema,
                        const struct tr_relation *relation, struct tr_error *err);

    /*
     * --- upkeep: while changes flow, by a second sink of the same task in the same process, which belongs to a thread of its own ---
     * This sink works beside `owner`, under its ownership of the task; it writes no batches and moves no checkpoint. NULL = there cannot be a second one.
     */
    int (*join)(struct tr_sink *sink, const struct tr_sink *owner, struct tr_error *err);
    /* Move the target's sequences to the schema's values, never back behind what the target has itself given out. Durable when it returns. NULL = has none. */
    int (*set_sequences)(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
    /* The rows of every cut are complete: make and check the foreign keys that had to wait for that. Never holds up the changes for longer than a moment. NULL = none wait. */
    int (*settle)(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
    /*
     * Warn of foreign keys of the source that change rows of which its log does not tell, where the target has none that does the same. Needs no join(). NULL = the
     * target has no keys at all.
     */
    int (*compare_cascades)(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
    /* Warn of a table's indexes that are not the source's, with the statement that mends it: for a sink that calls env->exchanged(). Needs no join(). NULL = it does not. */
    int (*compare_indexes)(struct tr_sink *sink, const struct tr_table *table, struct tr_error *err);

    /* Forget the task: its checkpoint and cuts. */
    int (*drop)(struct tr_sink *sink, struct tr_error *err);
};

/* First member of every sink's context. */
struct tr_sink {
    const struct tr_sink_class *class;
    const struct tr_sink_env *env;
};

#endif
