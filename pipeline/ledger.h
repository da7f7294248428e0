/*
 * ledger.h - which batches are on their way, and how far the sink holds everything.
 *
 * The checkpoint law lives here: acknowledged <= saved <= durable in the sink <= written <= decoded, in commit order. Entries are added in
 * sequence order, and the low-water mark only moves over entries that the sink has reported durable. Each step is asserted never to go back.
 */
#ifndef TR_PIPELINE_LEDGER_H
#define TR_PIPELINE_LEDGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"

struct tr_ledger_entry;

/* What became durable since the last look. Texts are the caller's to free. */
struct tr_ledger_mark {
    uint64_t sequence;   /* of the last checkpoint; 0 = none yet */
    char *position;      /* newest durable checkpoint, NULL = unchanged */
    char *sink_state;    /* that goes with it, or NULL */
    char **tables_done;  /* "table" and "cut" in turn: loads that became complete */
    size_t ntables_done; /* pairs */
};

struct tr_ledger {
    pthread_mutex_t lock;
    pthread_cond_t kick;
    bool kicked;
    struct tr_ledger_entry *first, *last;
    uint64_t next_sequence;
    uint64_t in_flight; /* entries not yet durable */
    uint64_t rows_durable;
    int64_t lag_us;                /* of the last durable commit, -1 = not known */
    struct tr_ledger_mark durable; /* not yet taken */
};

void tr_ledger_init(struct tr_ledger *ledger);
void tr_ledger_fini(struct tr_ledger *ledger);

/* Give the batch its sequence and enter it. thread: capture, just before the push. */
void tr_ledger_add(struct tr_ledger *ledger, struct tr_batch *batch);

/* Everything up to `sequence` is durable. thread: sink. */
void tr_ledger_durable(struct tr_ledger *ledger, uint64_t sequence, const char *sink_state);

/* Move what became durable since the last call into *mark (zeroed when nothing did). True when there was something. thread: control. */
bool tr_ledger_take(struct tr_ledger *ledger, struct tr_ledger_mark *mark);
void tr_ledger_mark_fini(struct tr_ledger_mark *mark);

/* Let wait_us go by: saving is paced, whatever the sink's rate. A kick ends it. thread: control. */
void tr_ledger_wait(struct tr_ledger *ledger, int64_t wait_us);
/* End such a wait: a thread has come to its end. thread: any. */
void tr_ledger_kick(struct tr_ledger *ledger);

/* Rows durable so far, and the lag of the newest durable commit (0 when nothing is on its way). thread: any. */
void tr_ledger_figures(struct tr_ledger *ledger, _Atomic uint64_t *rows, _Atomic int64_t *lag_us);

/* Nothing on its way? thread: any. */
bool tr_ledger_empty(struct tr_ledger *ledger);

#endif
