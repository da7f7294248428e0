/* ledger.c - the queue of batches in flight and its low-water mark. */
#include "pipeline/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/memory.h"

struct tr_ledger_entry {
    struct tr_ledger_entry *next;
    uint64_t sequence;
    uint64_t rows;
    int64_t commit_us; /* of its last transaction */
    char *checkpoint;  /* NULL: ends inside a transaction */
    char *load_table, *load_cut;
};

void
tr_ledger_init(struct tr_ledger *ledger)
{
    memset(ledger, 0, sizeof(*ledger));
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ledger->kick, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->next_sequence = 1;
    ledger->lag_us = -1;
}

static void
entry_free(struct tr_ledger_entry *entry)
{
    free(entry->checkpoint);
    free(entry->load_table);
    free(entry->load_cut);
    free(entry);
}

void
tr_ledger_mark_fini(struct tr_ledger_mark *mark)
{
    for (size_t i = 0; i < mark->ntables_done * 2; i++)
        free(mark->tables_done[i]);
    free(mark->tables_done);
    free(mark->position);
    free(mark->sink_state);
    memset(mark, 0, sizeof(*mark));
}

void
tr_ledger_fini(struct tr_ledger *ledger)
{
    while (ledger->first != NULL) {
        struct tr_ledger_entry *entry = ledger->first;
        ledger->first = entry->next;
        entry_free(entry);
    }
    tr_ledger_mark_fini(&ledger->durable);
    pthread_cond_destroy(&ledger->kick);
    pthread_mutex_destroy(&ledger->lock);
}

void
tr_ledger_add(struct tr_ledger *ledger, struct tr_batch *batch)
{
    struct tr_ledger_entry *entry = tr_calloc(1, sizeof(*entry));
    entry->rows = batch->rows;
    entry->commit_us = batch->ntxns > 0 ? batch->txns[batch->ntxns - 1].commit_us : 0;
    entry->checkpoint = tr_strdup(batch->checkpoint);
    entry->load_table = tr_strdup(batch->load_table);
    entry->load_cut = tr_strdup(batch->load_cut);
    pthread_mutex_lock(&ledger->lock);
    batch->sequence = entry->sequence = ledger->next_sequence++;
    if (ledger->last != NULL)
        ledger->last->next = entry;
    else
        ledger->first = entry;
    ledger->last = entry;
    ledger->in_flight++;
    pthread_mutex_unlock(&ledger->lock);
}

/*
 * The entry is durable: its checkpoint or finished table becomes ready to be saved. A sink's state (file and length) fits exactly one entry: an
 * entry that was overtaken has no state of its own and is passed over, which only means that a restart begins a little earlier.
 */
static void
account(struct tr_ledger *ledger, struct tr_ledger_entry *entry, const char *sink_state, bool overtaken)
{
    struct tr_ledger_mark *mark = &ledger->durable;
    ledger->rows_durable += entry->rows;
    if (entry->commit_us > 0)
        ledger->lag_us = tr_wall_clock_us() - entry->commit_us;
    if ((sink_state != NULL && overtaken) || (entry->checkpoint == NULL && entry->load_table == NULL))
        return;
    if (entry->load_table != NULL) {
        mark->tables_done = tr_realloc(mark->tables_done, (mark->ntables_done + 1) * 2 * sizeof(char *));
        mark->tables_done[mark->ntables_done * 2] = tr_strdup(entry->load_table);
        mark->tables_done[mark->ntables_done * 2 + 1] = tr_strdup(entry->load_cut);
        mark->ntables_done++;
    }
    if (entry->checkpoint != NULL) {
        assert(entry->sequence > mark->sequence);
        free(mark->position);
        mark->position = entry->checkpoint;
        entry->checkpoint = NULL;
        mark->sequence = entry->sequence;
    }
    if (sink_state != NULL) {
        free(mark->sink_state);
        mark->sink_state = tr_strdup(sink_state);
    }
}

void
tr_ledger_durable(struct tr_ledger *ledger, uint64_t sequence, const char *sink_state)
{
    pthread_mutex_lock(&ledger->lock);
    assert(sequence < ledger->next_sequence);
    while (ledger->first != NULL && ledger->first->sequence <= sequence) {
        struct tr_ledger_entry *entry = ledger->first;
        account(ledger, entry, sink_state, entry->sequence != sequence);
        ledger->first = entry->next;
        if (ledger->first == NULL)
            ledger->last = NULL;
        ledger->in_flight--;
        entry_free(entry);
    }
    pthread_mutex_unlock(&ledger->lock);
}

bool
tr_ledger_take(struct tr_ledger *ledger, struct tr_ledger_mark *mark)
{
    pthread_mutex_lock(&ledger->lock);
    *mark = ledger->durable;
    memset(&ledger->durable, 0, sizeof(ledger->durable));
    ledger->durable.sequence = mark->sequence; /* keeps the assertion in account() alive */
    pthread_mutex_unlock(&ledger->lock);
    return mark->position != NULL || mark->ntables_done > 0;
}

void
tr_ledger_wait(struct tr_ledger *ledger, int64_t wait_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (wait_us % 1000000) * 1000;
    until.tv_sec += (time_t)(wait_us / 1000000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&ledger->lock);
    int timed_out = 0;
    while (!ledger->kicked && timed_out == 0)
        timed_out = pthread_cond_timedwait(&ledger->kick, &ledger->lock, &until);
    ledger->kicked = false;
    pthread_mutex_unlock(&ledger->lock);
}

void
tr_ledger_kick(struct tr_ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->kicked = true;
    pthread_cond_broadcast(&ledger->kick);
    pthread_mutex_unlock(&ledger->lock);
}

void
tr_ledger_figures(struct tr_ledger *ledger, _Atomic uint64_t *rows, _Atomic int64_t *lag_us)
{
    pthread_mutex_lock(&ledger->lock);
    atomic_store(rows, ledger->rows_durable);
    atomic_store(lag_us, ledger->in_flight == 0 && ledger->lag_us > 0 ? 0 : ledger->lag_us);
    pthread_mutex_unlock(&ledger->lock);
}

bool
tr_ledger_empty(struct tr_ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    bool empty = ledger->in_flight == 0;
    pthread_mutex_unlock(&ledger->lock);
    return empty;
}
