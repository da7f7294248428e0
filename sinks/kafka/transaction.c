/*
 * transaction.c - exactly_once: rows and checkpoint in one Kafka transaction.
 *
 * Arriving, committing, settling: the record of where the rows stand is the last one of a transaction; and the next begins only when readers see all of
 * this one (doubt.c says why).
 *
 * A transaction ends where a batch ends at a checkpoint or ends a table's load: at once when nothing more waits, else when it is old enough. In a stream there are moments in
 * which nothing waits; it ends with a pause, for each transaction costs brokers and librdkafka milliseconds. A source transaction that is
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
#define ARRIVE_MS 5
#define ARRIVE_ASK_US TR_US_PER_S
#define FINISH_POLL_MS 2
#define SLOW_MAX 3
#define UNSEEN_US (5 * TR_US_PER_S)   /* end markers come within milliseconds */
#define UNKNOWN_US (10 * TR_US_PER_S) /* brokers learn of topics within it */
#define STREAM_BYTES 262144           /* in two transactions, one right behind the other */
#define PAUSE_PART 5                  /* of the interval: nothing came for so long, so the stream is over */
#define RUNS_MAX 20000                /* what tells where they stand is a message that brokers take */

void
txn_note_begin(struct kafka_sink *sink, int64_t now_us)
{
    sink->txn_follows = now_us - sink->txn_began_us < 2 * sink->interval_us;
    sink->stream_bytes = sink->txn_began_bytes;
    sink->txn_began_us = sink->txn_fed_us = now_us;
    sink->txn_began_bytes = sink->bytes_handed;
}

/* Brokers whose patience is shorter than the interval would abort each transaction, for ever. */
static int64_t
old_enough_us(const struct kafka_sink *sink)
{
    int64_t most_us = sink->timeout_us / 2;
    return sink->txn_began_us + (sink->interval_us < most_us ? sink->interval_us : most_us);
}

int64_t
txn_due_us(const struct kafka_sink *sink)
{
    bool streams = sink->txn_follows && sink->bytes_handed - sink->stream_bytes >= STREAM_BYTES;
    int64_t pause_us = sink->txn_fed_us + sink->interval_us / PAUSE_PART, old_us = old_enough_us(sink);
    return !streams ? 0 : pause_us < old_us ? pause_us : old_us;
}

int
txn_begin(struct kafka_sink *sink, struct tr_error *err)
{
    if (sink->txn != TXN_NONE)
        return 0;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(sink->rk);
    if (error != NULL)
        return kafka_fail_error(sink, err, error, "cannot begin a transaction");
    sink->txn = TXN_OPEN;
    txn_note_begin(sink, tr_clock_us());
    sink->txn_at_checkpoint = true;
    sink->txn_sequence = 0;
    sink->txn_bare = false;
    ranges_fini(&sink->written);
    return 0;
}

static void
forget_position(struct kafka_sink *sink)
{
    free(sink->txn_position);
    sink->txn_position = NULL;
}

/* Readers see all of it, in every partition: only now does it count, and may another one begin. */
static void
settled(struct kafka_sink *sink)
{
    sink->txn = TXN_NONE;
    sink->silence.confirmed++;
    TR_FAILPOINT("sink.kafka.settled");
    if (sink->txn_sequence != 0)
        sink->base.env->durable(sink->base.env->arg, sink->txn_sequence, NULL);
    sink->txn_sequence = 0;
}

/* A commit was confirmed, and readers have been without it for long: the brokers forgot it, or another producer's transaction holds them back. */
static int
give_up_settling(struct kafka_sink *sink, struct tr_error *err)
{
    const struct part *part = sink->written.parts;
    while (part->visible || part->gone)
        part++;
    return tr_fail(
        err, TR_RETRY,
        "topic %s, partition %d: the brokers have confirmed a commit, but readers do not get past offset %" PRId64,
        part->topic, part->partition, part->stable);
}

static int
try_settle(struct kafka_sink *sink, struct tr_error *err)
{
    rd_kafka_resp_err_t code;
    /* Unlike a commit it is asked from the start each time: slow brokers need longer than the first try gives them. */
    int held = look_passed(sink, &sink->written, COMMIT_TRY_MS << sink->settle_slow, &code);
    if (held < 0 && sink->settle_slow < SLOW_MAX)
        sink->settle_slow++;
    int64_t now = tr_clock_us();
    if (held == 0) {
        settled(sink);
        return 0;
    }
    if (sink->settle_tries < 30)
        sink->settle_tries++;
    sink->unknown_us = !topic_is_unknown(code) ? 0 : sink->unknown_us != 0 ? sink->unknown_us : now;
    sink->unseen_us = held < 0 ? 0 : sink->unseen_us != 0 ? sink->unseen_us : now;
    if (held < 0 && sink->unknown_us != 0 && now - sink->unknown_us > UNKNOWN_US)
        return kafka_fail(sink, err, code, NULL, "what was committed last cannot be found again");
    if (held > 0 && now - sink->unseen_us > UNSEEN_US)
        return give_up_settling(sink, err);
    return failure(sink, err);
}

static int
committed(struct kafka_sink *sink, struct tr_error *err)
{
    sink->txn = TXN_SETTLING;
    sink->silence.confirmed++;
    sink->unseen_us = sink->unknown_us = 0;
    sink->settle_tries = sink->settle_slow = 0;
    forget_position(sink);
    TR_FAILPOINT("sink.kafka.commit.after");
    return try_settle(sink, err);
}

/* Waits a little; an answer that is still missing is asked for again by the next call. */
static int
try_commit(struct kafka_sink *sink, struct tr_error *err)
{
    rd_kafka_error_t *error = rd_kafka_commit_transaction(sink->rk, COMMIT_TRY_MS);
    flights_report(sink);
    if (error == NULL)
        return committed(sink, err);
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

static void
arriving(struct kafka_sink *sink)
{
    sink->txn = TXN_ARRIVING;
    sink->arrive_ask_us = tr_clock_us() + ARRIVE_ASK_US;
}

/*
 * A transaction that has failed (a missing right) tells nobody: its messages stay where they are. It takes no more of them, so now and then it is given one that
 * changes nothing; and why it failed is the answer to its commit.
 */
static int
ask_why(struct kafka_sink *sink, struct tr_error *err)
{
    int64_t now = tr_clock_us();
    if (now < sink->arrive_ask_us)
        return 0;
    sink->arrive_ask_us = now + ARRIVE_ASK_US;
    int rc = produce_state(sink, "owner", sink->owner, err);
    if (rc == 0)
        return 0;
    rd_kafka_error_t *error = rd_kafka_commit_transaction(sink->rk, COMMIT_TRY_MS);
    return error != NULL ? kafka_fail_error(sink, err, error, "cannot commit a transaction") : rc;
}

/* Once all of it has arrived: where it stands is its last record. */
static int
try_arrive(struct kafka_sink *sink, struct tr_error *err)
{
    if (sink->oldest != NULL)
        rd_kafka_flush(sink->rk, ARRIVE_MS); /* sends at once what would linger */
    flights_report(sink);
    int rc = failure(sink, err);
    if (rc < 0)
        return rc;
    if (sink->oldest != NULL)
        return ask_why(sink, err);
    if (!sink->txn_bare) {
        char *text = ranges_text(&sink->written);
        rc = produce_state(sink, "rows", text, err);
        free(text);
    }
    if (rc < 0)
        return rc;
    TR_FAILPOINT("sink.kafka.commit.before");
    sink->txn = TXN_COMMITTING;
    return try_commit(sink, err);
}

static int
forget_part(struct kafka_sink *sink, struct tr_error *err)
{
    sink->part_saved = false;
    return produce_state(sink, "part", NULL, err);
}

static int
commit(struct kafka_sink *sink, struct tr_error *err)
{
    int rc = 0;
    if (sink->part_saved && sink->skip_order == 0 && sink->skip_gtid[0] == '\0')
        rc = forget_part(sink, err);
    if (rc == 0 && sink->txn_position != NULL)
        rc = produce_state(sink, "position", sink->txn_position, err);
    if (rc < 0)
        return rc;
    arriving(sink);
    return try_arrive(sink, err);
}

/* What the batches handed over hold of it. The encoder knows: a TR_SCHEMA at their end has the place of the row to come. */
void
part_text(const struct kafka_sink *sink, char *text, size_t size)
{
    uint64_t order = sink->part_order, events = sink->encoder->place;
    const char *gtid = sink->part_gtid;
    /* Still skipping: what an earlier run said holds. */
    if (sink->skipping) {
        order = sink->skip_order != 0 ? sink->skip_order : order;
        events = sink->skip_events;
        gtid = sink->skip_gtid;
    }
    snprintf(text, size, "%" PRIu64 " %" PRIu64 "%s%s", order, events, gtid[0] != '\0' ? " " : "", gtid);
}

bool
part_moves(struct kafka_sink *sink, const char *identity)
{
    if (!sink->part_saved || identity == NULL || sink->identity == NULL ||
        strcmp(identity, sink->identity) == 0)
        return false;
    free(sink->identity);
    sink->identity = tr_strdup(identity);
    sink->skip_order = 0;
    if (sink->base.env->log != NULL)
        tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
               "the source failed over when a part of transaction %s was written: what stood right before it "
               "may be written twice",
               sink->skip_gtid);
    return true;
}

/* Before a checkpoint is saved: what is still to be skipped may be another server's. */
static int
save_part(struct kafka_sink *sink, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    char text[PART_TEXT];
    if (checkpoint->position == NULL) { /* all begins anew, maybe with another server's log */
        sink->skip_order = 0;
        sink->skip_gtid[0] = '\0';
        return sink->part_saved ? forget_part(sink, err) : 0;
    }
    if (!part_moves(sink, checkpoint->identity))
        return 0;
    if (sink->skip_gtid[0] == '\0')
        return forget_part(sink, err);
    snprintf(text, sizeof(text), "0 %" PRIu64 " %s", sink->skip_events, sink->skip_gtid);
    return produce_state(sink, "part", text, err);
}

/*
 * In the midst of a source transaction. What is whole before it is covered by its commit order, so the position stays where it is: the next run
 * reads from there, and skips up to here.
 */
static int
commit_part(struct kafka_sink *sink, struct tr_error *err)
{
    char text[PART_TEXT];
    part_text(sink, text, sizeof(text));
    int rc = produce_state(sink, "part", text, err);
    if (rc < 0)
        return rc;
    sink->part_saved = true;
    TR_FAILPOINT("sink.kafka.commit.part");
    arriving(sink);
    return try_arrive(sink, err);
}

static int
push_on(struct kafka_sink *sink, struct tr_error *err)
{
    switch (sink->txn) {
    case TXN_ARRIVING: return try_arrive(sink, err);
    case TXN_COMMITTING: return try_commit(sink, err);
    case TXN_SETTLING: return try_settle(sink, err);
    default: return 0;
    }
}

int
txn_advance(struct kafka_sink *sink, bool idle, struct tr_error *err)
{
    if (sink->txn != TXN_OPEN)
        return push_on(sink, err);
    int64_t now = tr_clock_us(), age = now - sink->txn_began_us;
    bool full = sink->written.nruns > RUNS_MAX;
    if (sink->txn_at_checkpoint && (idle || full || now >= old_enough_us(sink)))
        return commit(sink, err);
    if (sink->txn_at_checkpoint || (age < sink->timeout_us / 2 && !full))
        return 0;
    /* A table that is loaded for so long comes in several transactions; a load that is cut short sends its rows again. */
    return sink->part_order != 0 ? commit_part(sink, err) : commit(sink, err);
}

int
txn_cancel(struct kafka_sink *sink, struct tr_error *err)
{
    rd_kafka_error_t *error = tr_kafka_call(&sink->client, sink->rk, rd_kafka_abort_transaction, INIT_MS);
    sink->txn = TXN_NONE;
    forget_position(sink);
    return error != NULL ? kafka_fail_error(sink, err, error, "cannot abort a transaction") : 0;
}

void
txn_abandon(struct kafka_sink *sink)
{
    if (sink->txn != TXN_NONE && sink->txn != TXN_SETTLING) {
        rd_kafka_error_t *error = tr_kafka_call(&sink->client, sink->rk, rd_kafka_abort_transaction,
                                                ABORT_MS);
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

/* Where the newest record of the last transaction stands in the state topic. */
static int64_t
state_end(const struct kafka_sink *sink)
{
    const struct part *part = ranges_find(&sink->written, sink->state_topic, 0);
    return part != NULL ? ranges_end(part) : -1;
}

int
txn_finish(struct kafka_sink *sink, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + SAVE_US;
    int rc = sink->txn == TXN_OPEN ? commit(sink, err) : 0;
    while (rc == 0 && sink->txn != TXN_NONE) {
        if (tr_kafka_left_ms(&sink->client, deadline) == 0)
            return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "cannot commit a transaction");
        rd_kafka_poll(sink->rk, FINISH_POLL_MS);
        rc = push_on(sink, err);
    }
    return rc;
}

/* Commits a record that names us, and reads the state at least up to it. */
static int
take_over(struct kafka_sink *sink, struct kafka_state *state, struct tr_error *err)
{
    int rc = doubt_state(sink, err);
    if (rc == 0)
        rc = txn_begin(sink, err);
    if (rc == 0) {
        sink->txn_bare = true;
        rc = produce_state(sink, "owner", sink->owner, err);
    }
    if (rc == 0)
        rc = txn_finish(sink, err);
    return rc == 0 ? state_read(sink, state_end(sink), state, err) : rc;
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
    rd_kafka_error_t *error = tr_kafka_call(&sink->client, sink->rk, rd_kafka_init_transactions, INIT_MS);
    if (error != NULL)
        return kafka_fail_error(sink, err, error, "cannot begin with transactions");
    rc = take_over(sink, &state, err);
    if (rc < 0)
        return rc;
    bool changed;
    rc = doubt_resolve(sink, &state, state_end(sink), &changed, err);
    if (rc == 0 && changed) {
        state_fini(&state);
        rc = state_read(sink, state_end(sink), &state, err);
    }
    if (rc < 0) {
        state_fini(&state);
        return rc;
    }
    sink->ready = true;
    sink->skip_order = state.part_order;
    sink->skip_events = state.part_events;
    memcpy(sink->skip_gtid, state.part_gtid, sizeof(sink->skip_gtid));
    sink->part_saved = state.part_order != 0 || state.part_gtid[0] != '\0';
    sink->identity = state.checkpoint.identity != NULL ? tr_strdup(state.checkpoint.identity) : NULL;
    *checkpoint = state.checkpoint;
    memset(&state.checkpoint, 0, sizeof(state.checkpoint));
    state_fini(&state);
    return 0;
}

int
kafka_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    int rc = txn_finish(sink, err);
    if (rc == 0)
        rc = txn_begin(sink, err);
    if (rc == 0)
        rc = produce_state(sink, "position", checkpoint->position, err);
    if (rc == 0)
        rc = save_part(sink, checkpoint, err);
    if (rc == 0)
        rc = produce_state(sink, "identity", checkpoint->identity, err);
    if (rc == 0)
        rc = produce_state(sink, "phase", checkpoint->phase, err);
    for (size_t i = 0; rc == 0 && i < checkpoint->ntables; i++) {
        const struct tr_table_cut *cut = &checkpoint->tables[i];
        rc = state_write_table(sink, cut->table, cut->position, cut->done, err);
    }
    if (rc == 0)
        rc = txn_finish(sink, err);
    return rc < 0 ? tr_error_prefix(err, "saving the checkpoint in topic %s", sink->state_topic) : 0;
}
