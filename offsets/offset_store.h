/*
 * offset_store.h - the contract of an offset store: where a task's checkpoint is kept.
 *
 * save() is durable when it returns. One process at a time owns a task's state (open locks it). A store that lives in a sink
 * (target table, Kafka topic) is that sink's load_checkpoint/save_checkpoint; the embedded store then keeps a copy for status and for the
 * source's identity, and the sink's word wins.
 */
#ifndef TR_OFFSETS_OFFSET_STORE_H
#define TR_OFFSETS_OFFSET_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/names.h"

/* A table's own cut: its rows were copied as of `position`; the stream skips its changes up to there. */
struct tr_table_cut {
    char *table; /* "schema.name" as the source spells it, unquoted */
    char *position;
    bool done; /* its load is complete (false: begun, must be done again) */
};

struct tr_checkpoint {
    char *position;   /* NULL = none */
    char *identity;   /* struct tr_identity text of the source it came from */
    char *sink_state; /* TR_SINK_STATE_IN_STORE, else NULL */
    char *phase;      /* "load", "stream", "ended": what the task was doing */
    struct tr_table_cut *tables;
    size_t ntables;
    struct tr_names index; /* of the tables, by name */
};

void tr_checkpoint_fini(struct tr_checkpoint *checkpoint);
/* Set or replace the cut of a table. Texts are copied. */
void tr_checkpoint_set_table(struct tr_checkpoint *checkpoint, const char *table, const char *position,
                             bool done);
const struct tr_table_cut *tr_checkpoint_table(const struct tr_checkpoint *checkpoint,
                                               const char *table); /* NULL = none */
void tr_checkpoint_copy(struct tr_checkpoint *to, const struct tr_checkpoint *from);

struct tr_offset_store;

struct tr_offset_store_class {
    const char *name; /* "sqlite" */
    const char *
        schemes; /* "a|b" of the URLs it is chosen by, whose text is then `where`; NULL = embedded, `where` is a directory */
    /*
     * Open (and make) the store at `where` for one task and lock it: a second process is refused. TR_RETRY when it cannot be reached. *end_us (borrowed;
     * NULL = never) is 0 until the task is told to end, then the moment of the monotonic clock at which whatever waits for a server has given up.
     */
    int (*open)(const char *where, const char *task, const _Atomic int64_t *end_us,
                struct tr_offset_store **store, struct tr_error *err);
    void (*close)(struct tr_offset_store *store);
    /* *checkpoint is initialised by the call; position NULL when nothing was saved. A damaged or newer store is refused. */
    int (*load)(struct tr_offset_store *store, struct tr_checkpoint *checkpoint, struct tr_error *err);
    /* Replace all of the task's state, atomically and durably. A full disk: TR_RETRY, the old state stands. */
    int (*save)(struct tr_offset_store *store, const struct tr_checkpoint *checkpoint, struct tr_error *err);
    /* Only the position and the sink's state: the cheap, frequent call. */
    int (*save_position)(struct tr_offset_store *store, const char *position, const char *sink_state,
                         struct tr_error *err);
    /* Forget the task. */
    int (*drop)(struct tr_offset_store *store, struct tr_error *err);
};

struct tr_offset_store {
    const struct tr_offset_store_class *class;
};

#endif
