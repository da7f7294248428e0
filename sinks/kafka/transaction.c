/*
 * transaction.c - exactly_once: rows and checkpoint in one Kafka transaction.
 *
 * A transaction ends where a batch ends at a checkpoint or ends a table's load: at once when nothing more waits, else when it is old enough. A source transaction that is
 * too large for the brokers' patience is committed in parts; the state topic then says how many of its events are in, and a later run leaves those out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define INIT_MS 30000
#define COMMIT_TRY_MS 500
#define ABORT_MS 1000
#define SAVE_US (30 * TR_US_PER_S)

int
txn_begin(struct kafka_sink *sink, struct tr_error *err)
{
    if (sink->txn != TXN_NONE)
        return 0;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(sink->rk);
    if (error != NULL)
        return kafka_fail_error(sink, err, error, "cannot begin a transaction");
    sink->txn = TXN_OPEN;
    sink->txn_began_us = tr_clock_us();
    sink->txn_at_checkpoint = true;
    sink->txn_sequence = 0;
    return 0;
}

static void
forget_position(struct kafka_sink *sink)
{
    free(sink->txn_position);
    sink->txn_position = NULL;
}

static void
committed(struct kafka_sink *sink)
{
    sink->txn = TXN_NONE;
    forget_position(sink);
    TR_FAILPOINT("sink.kafka.commit.after");
    if (sink->txn_sequence != 0)
        sink->base.env->durable(sink->base.env->arg, sink->txn_sequence, NULL);
    sink->txn_sequence = 0;
}

/* Waits a little; an answer that is still missing is asked for again by the next call. */
static int
try_commit(struct kafka_sink *sink, struct tr_error *err)
{
    rd_kafka_error_t *error = rd_kafka_commit_transaction(sink->rk, COMMIT_TRY_MS);
    flights_report(sink);
    if (error == NULL) {
        committed(sink);
        return 0;
    }
    if (rd_kafka_error_is_retriable(error)) {
        rd_kafka_error_destroy(error);
        return 0;
    }
    if (failure(sink, err) < 0) { /* a delivery report said it better */
        rd_kafka_error_destroy(error);
        return -(int)err->class;
    }
    return kafka_fail_error(sink, err, error, "cannot commit a transaction");
}

static int
commit(struct kafka_sink *sink, struct tr_error *err)
{
    int rc = 0;
    if (sink->part_saved && sink->skip_order == 0) {
        rc = produce_state(sink, "part", NULL, err);
        sink->part_saved = false;
    }
    if (rc == 0 && sink->txn_position != NULL)
        rc = produce_state(sink, "position", sink->txn_position, err);
    if (rc < 0)
        return rc;
    TR_FAILPOINT("sink.kafka.commit.before");
    sink->txn = TXN_COMMITTING;
    return try_commit(sink, err);
}

/*
 * In the midst of a source transaction. What is whole before it is covered by its commit order, so the position stays where it is: the next run
 * reads from there, and skips up to here.
 */
static int
commit_part(struct kafka_sink *sink, struct tr_error *err)
{
    char text[64];
    uint64_t order = sink->part_order, events = sink->part_events;
    /* Still skipping: what an earlier run said holds. */
    if (sink->skip_order > order || (sink->skip_order == order && events < sink->skip_events)) {
        order = sink->skip_order;
        events = sink->skip_events;
    }
    snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, order, events);
    int rc = produce_state(sink, "part", text, err);
    if (rc < 0)
        return rc;
    sink->part_saved = true;
    TR_FAILPOINT("sink.kafka.commit.part");
    sink->txn = TXN_COMMITTING;
    forget_position(sink);
    return try_commit(sink, err);
}

int
txn_advance(struct kafka_sink *sink, bool idle, struct tr_error *err)
{
    if (sink->txn == TXN_COMMITTING)
        return try_commit(sink, err);
    if (sink->txn == TXN_NONE)
        return 0;
    int64_t age = tr_clock_us() - sink->txn_began_us;
    if (sink->txn_at_checkpoint && (idle || age >= sink->interval_us))
        return commit(sink, err);
    if (sink->txn_at_checkpoint || age < sink->timeout_us / 2)
        return 0;
    /* A table that is loaded for so long comes in several transactions; a load that is cut short sends its rows again. */
    return sink->part_order != 0 ? commit_part(sink, err) : commit(sink, err);
}

void
txn_abandon(struct kafka_sink *sink)
{
    if (sink->txn != TXN_NONE) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(sink->rk, ABORT_MS);
        if (error != NULL)
            rd_kafka_error_destroy(error); /* the next run's beginning aborts it */
    }
    sink->txn = TXN_NONE;
    forget_position(sink);
}

/* ----------------------------------------------------------------------------------- checkpoint */

/* Text that stays the same for the life of this process, over all attempts of the task. */
static void
name_owner(struct kafka_sink *sink)
{
    char host[64] = "", stat[1024] = "";
    gethostname(host, sizeof(host) - 1);
    FILE *file = fopen("/proc/self/stat", "re");
    if (file != NULL && fgets(stat, sizeof(stat), file) == NULL)
        stat[0] = '\0';
    if (file != NULL)
        fclose(file);
    /* Field 22, counted from behind the name in parentheses, is when the process began. */
    const char *at = strrchr(stat, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    snprintf(sink->owner, sizeof(sink->owner), "%s/%d/%.*s", host, (int)getpid(),
             at != NULL ? (int)strcspn(at + 1, " ") : 0, at != NULL ? at + 1 : "");
}

static int
finish_now(struct kafka_sink *sink, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + SAVE_US;
    int rc = sink->txn == TXN_OPEN ? commit(sink, err) : 0;
    while (rc == 0 && sink->txn != TXN_NONE) {
        if (tr_clock_us() > deadline)
            return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "cannot commit a transaction");
        rc = try_commit(sink, err);
    }
    return rc;
}

int
kafka_load_checkpoint(struct tr_sink *base, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    struct kafka_state state;
    memset(checkpoint, 0, sizeof(*checkpoint));
    name_owner(sink);
    int rc = state_make(sink, err);
    if (rc < 0)
        return rc;
    /*
     * In this order: an older process is fenced and its open transaction aborted, so that what is read then stays the truth. A commit that was
     * acknowledged may not stand in the partition yet when a broker has just come back, and a reader then sees an older end: so a record is
     * committed first, and the reading goes at least up to it.
     */
    rd_kafka_error_t *error = rd_kafka_init_transactions(sink->rk, INIT_MS);
    if (error != NULL)
        return kafka_fail_error(sink, err, error, "cannot begin with transactions");
    rc = txn_begin(sink, err);
    if (rc == 0)
        rc = produce_state(sink, "owner", sink->owner, err);
    if (rc == 0)
        rc = finish_now(sink, err);
    if (rc == 0 && sink->state_written < 0)
        rc = tr_fail(err, TR_RETRY, "topic %s: the brokers do not say where the record of this run stands",
                     sink->state_topic);
    if (rc == 0)
        rc = state_read(sink, sink->state_written, &state, err);
    if (rc < 0)
        return rc;
    sink->ready = true;
    sink->skip_order = state.part_order;
    sink->skip_events = state.part_events;
    sink->part_saved = state.part_order != 0;
    *checkpoint = state.checkpoint;
    memset(&state.checkpoint, 0, sizeof(state.checkpoint));
    state_fini(&state);
    return 0;
}

int
kafka_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    int rc = finish_now(sink, err);
    if (rc == 0)
        rc = txn_begin(sink, err);
    if (rc == 0)
        rc = produce_state(sink, "position", checkpoint->position, err);
    if (rc == 0)
        rc = produce_state(sink, "identity", checkpoint->identity, err);
    if (rc == 0)
        rc = produce_state(sink, "phase", checkpoint->phase, err);
    for (size_t i = 0; rc == 0 && i < checkpoint->ntables; i++) {
        const struct tr_table_cut *cut = &checkpoint->tables[i];
        rc = state_write_table(sink, cut->table, cut->position, cut->done, err);
    }
    if (rc == 0)
        rc = finish_now(sink, err);
    return rc < 0 ? tr_error_prefix(err, "saving the checkpoint in topic %s", sink->state_topic) : 0;
}
