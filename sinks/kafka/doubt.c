/*
 * doubt.c - exactly_once over brokers that forget: a commit that they confirmed may never be written into the partitions.
 *
 * A coordinator confirms a commit when its own log has it, and then writes an end marker into each partition. Kafka 4's only broker, killed in
 * between, takes the topics for deleted when it comes back ("Couldn't find leader endpoint ... can be skipped") and believes the transaction complete. Where
 * the marker is missing the transaction stays open: its rows are hidden, and so is all behind them; and the end of the same producer's next transaction
 * counts for both, so that an abort takes confirmed rows away. The same can befall an abort. The law that makes good for it:
 *
 *  1. Durable is what a read_committed reader sees. After a commit the last stable offset of every partition is asked for, until it is past what the
 *     transaction wrote there. Before that nothing is reported durable and no other transaction begins. So only the last transaction can be in doubt,
 *     and nothing newer has touched its partitions.
 *  2. The last record of a transaction, in the state topic, tells where all of its messages stand ("rows").
 *  3. A start that finds a part of the last transaction open ends it there by an abort: a transaction that only copies the record that stands first, and
 *     is aborted. That outcome can be had again after any kill, which a commit could not. A record "closing" goes with it, aborted too: it tells every later
 *     start, which reads what is not committed, that there was a doubt.
 *  4. Then every part is either visible or aborted. A transaction whose "rows" is visible, or any of its messages, was committed: what is not visible is
 *     copied, byte by byte and in order, from where it stands, in one transaction with a "rows" of its own, before anything newer is written. So is one that
 *     stood open everywhere: "rows" is its last record, so it is complete, and nobody knows any more how it ended. One that was aborted everywhere by
 *     its coordinator never happened: the source was not told, and sends it again.
 *  5. Before the first message to a topic that was there already, nothing may stand open in it: what an unconfirmed transaction left there would become
 *     visible by our commit.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define ASK_MS 4000 /* an answer that comes later than it is asked for again from the start */
#define PAUSE_MS 20
#define ANSWER_US (60 * TR_US_PER_S)
#define OTHERS_US (1 * TR_US_PER_S) /* others' transactions, which end by themselves */
#define LAG_US (5 * TR_US_PER_S)    /* a leader that is new learns what its followers have */
#define CLOSE_US (30 * TR_US_PER_S)

/* A transaction as its record "rows" tells of it. */
struct claim {
    struct ranges ranges;
    bool committed; /* the record is visible */
};

struct doubt {
    struct kafka_sink *sink;
    struct claim *
        claims; /* in the order of the state topic; the first may be the last that is visible, the others are not */
    size_t count;
    bool closing; /* something was ended by force since */
};

static void
doubt_fini(struct doubt *doubt)
{
    for (size_t i = 0; i < doubt->count; i++)
        ranges_fini(&doubt->claims[i].ranges);
    free(doubt->claims);
}

static void
say(const struct kafka_sink *sink, const char *what, const char *topic, int32_t partition, int64_t offset)
{
    if (sink->base.env->log != NULL)
        tr_log(sink->base.env->log, TR_LOG_WARNING, "sink", "topic %s, partition %d, offset %" PRId64 ": %s",
               topic, partition, offset, what);
}

static int
pause_for(struct kafka_sink *sink, int64_t deadline, const char *what, struct tr_error *err)
{
    rd_kafka_poll(sink->rk, PAUSE_MS);
    if (failure(sink, err) < 0)
        return -(int)err->class;
    if (tr_clock_us() > deadline || topic_wants_stop(sink))
        return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "%s", what);
    return 0;
}

/* ------------------------------------------------------------------------------------- closing */

/* Where something stands open: offset is the first record that readers of what is committed do not get past. */
static bool
is_listed(const rd_kafka_topic_partition_list_t *open, const char *topic, int32_t partition)
{
    return rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)open, topic,
                                              partition) != NULL;
}

static void
list_open(rd_kafka_topic_partition_list_t *open, const char *topic, int32_t partition, int64_t offset)
{
    if (!is_listed(open, topic, partition))
        rd_kafka_topic_partition_list_add(open, topic, partition)->offset = offset;
}

struct copying {
    struct kafka_sink *sink;
    rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t count, most;
};

static int
copy_record(void *arg, const rd_kafka_message_t *record, struct tr_error *err)
{
    struct copying *copying = arg;
    int rc = produce_copy(copying->sink, copying->topic, copying->partition, record, err);
    copying->count++;
    TR_FAILPOINT("sink.kafka.copied");
    return rc < 0 ? rc : copying->count == copying->most;
}

/* Into the transaction at hand: something, wherever it goes. A copy is what fits the topic's rules; readers of what is not committed see it twice. */
static int
touch(struct kafka_sink *sink, const rd_kafka_topic_partition_t *at, struct tr_error *err)
{
    const struct topic *topic = topic_open(sink, at->topic, err);
    if (topic == NULL)
        return -(int)err->class;
    say(sink, "a transaction stands open that brokers forgot to end; it is ended", at->topic, at->partition,
        at->offset);
    struct part part = { .topic = at->topic, .partition = at->partition };
    struct copying copying = { sink, topic->handle, at->partition, 0, 1 };
    int rc = look_read(sink, sink->look, &part, (struct run){ at->offset, INT64_MAX }, copy_record, &copying,
                       err);
    if (rc < 0 || copying.count > 0)
        return rc;
    char key[] = "tailrace";
    const rd_kafka_message_t nothing = { .key = key, .key_len = sizeof(key) - 1 };
    return produce_copy(sink, topic->handle, at->partition, &nothing, err);
}

/* Ends what stands open in these partitions, by an abort that takes the transaction at hand with it. Returns when readers are past it. */
static int
close_open(struct kafka_sink *sink, const rd_kafka_topic_partition_list_t *open, struct tr_error *err)
{
    rd_kafka_resp_err_t code;
    int rc = look_all(sink, err);
    if (rc == 0)
        rc = txn_begin(sink, err);
    if (rc == 0)
        rc = produce_state(sink, "closing", "1", err);
    if (rc == 0) /* before all else, so that no part can be ended without it */
        rc = produce_arrive(sink, err);
    for (int i = 0; rc == 0 && i < open->cnt; i++) {
        if (strcmp(open->elems[i].topic, sink->state_topic) != 0) /* "closing" is there */
            rc = touch(sink, &open->elems[i], err);
    }
    if (rc == 0)
        rc = produce_arrive(sink, err);
    if (rc < 0)
        return rc;
    TR_FAILPOINT("sink.kafka.closing");
    rc = txn_cancel(sink, err);
    int64_t deadline = tr_clock_us() + CLOSE_US;
    while (rc == 0 && look_passed(sink, &sink->written, ASK_MS, &code) != 0)
        rc = pause_for(sink, deadline,
                       "readers of what is committed do not get past a transaction of another producer", err);
    TR_FAILPOINT("sink.kafka.closed");
    return rc;
}

/* ------------------------------------------------------------------------------------- looking */

/* Some answers are the last word: a right that is missing. */
static bool
is_refusal(rd_kafka_resp_err_t code)
{
    const char *hint;
    return code != RD_KAFKA_RESP_ERR_NO_ERROR && !topic_is_unknown(code) &&
           tr_kafka_meaning(code, &hint) != TR_RETRY;
}

/* Until the brokers answer: how many parts are held back. */
static int
ask_held(struct kafka_sink *sink, struct ranges *ranges, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + ANSWER_US, unknown = tr_clock_us() + LAG_US;
    rd_kafka_resp_err_t code;
    int held;
    while ((held = look_passed(sink, ranges, ASK_MS, &code)) < 0) {
        if (is_refusal(code))
            return kafka_fail(sink, err, code, NULL, "cannot ask what is committed");
        for (size_t i = 0; tr_clock_us() > unknown && topic_is_unknown(code) && i < ranges->count; i++)
            ranges->parts[i].gone = ranges->parts[i].gone || ranges->parts[i].unknown;
        int rc = pause_for(sink, deadline, "the brokers do not say what is committed", err);
        if (rc < 0)
            return rc;
    }
    return held;
}

/* The end of all that stands there, or -1 without an answer. */
static int64_t
whole_end(struct kafka_sink *sink, const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t code = look_ends(sink, sink->look, list, ASK_MS);
    bool good = code == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t end = good ? list->elems[0].offset : -1;
    rd_kafka_topic_partition_list_destroy(list);
    return end;
}

static int
find_gone(struct kafka_sink *sink, struct ranges *ranges, struct tr_error *err)
{
    bool listed = false;
    for (size_t i = 0; i < ranges->count; i++) {
        struct part *part = &ranges->parts[i];
        part->visible = false;
        part->gone = !topic_exists(sink, part->topic);
        if (!part->gone || listed)
            continue;
        /* The list was made before we knew that the brokers are whole. */
        if (topics_list(sink, ASK_MS, err) < 0)
            return -(int)err->class;
        listed = true;
        part->gone = !topic_exists(sink, part->topic);
    }
    return 0;
}

/* Parts that stand open go into the list; those of topics that were removed or made anew are marked. */
static int
find_open(struct kafka_sink *sink, struct ranges *ranges, rd_kafka_topic_partition_list_t *open,
          struct tr_error *err)
{
    int64_t others = tr_clock_us() + OTHERS_US, lag = tr_clock_us() + LAG_US;
    int held, rc = find_gone(sink, ranges, err);
    if (rc < 0)
        return rc;
    while ((held = ask_held(sink, ranges, err)) > 0) {
        bool lags = false;
        if (tr_clock_us() > others) {
            for (size_t i = 0; i < ranges->count; i++) {
                struct part *part = &ranges->parts[i];
                if (part->visible || part->gone)
                    continue;
                int64_t end = whole_end(sink, part->topic, part->partition);
                if (end > ranges_end(part))
                    continue;
                lags = true;
                part->gone = end >= 0 && tr_clock_us() > lag;
                if (part->gone)
                    say(sink, "the topic was made anew; what was written to it before is gone", part->topic,
                        part->partition, end);
            }
            if (!lags)
                break;
        }
        rc = pause_for(sink, INT64_MAX, "the brokers do not say what is committed", err);
        if (rc < 0)
            return rc;
    }
    if (held < 0)
        return held;
    for (size_t i = 0; i < ranges->count; i++) {
        const struct part *part = &ranges->parts[i];
        if (!part->visible && !part->gone)
            list_open(open, part->topic, part->partition, part->stable);
    }
    return 0;
}

/* All that stands in a topic. */
static int
whole_topic(struct kafka_sink *sink, const struct topic *topic, struct ranges *whole, struct tr_error *err)
{
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(topic->partitions);
    int64_t deadline = tr_clock_us() + ANSWER_US;
    int rc = look_all(sink, err);
    rd_kafka_topic_partition_list_add_range(ends, topic->name, 0, topic->partitions - 1);
    while (rc == 0) {
        rd_kafka_resp_err_t code = look_all_ends(sink, sink->look, ends, ASK_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (is_refusal(code))
            rc = kafka_fail(sink, err, code, NULL, "cannot ask where topic %s ends", topic->name);
        else
            rc = pause_for(sink, deadline, "the brokers do not say where a topic ends", err);
    }
    for (int i = 0; rc == 0 && i < ends->cnt; i++) {
        const rd_kafka_topic_partition_t *end = &ends->elems[i];
        if (end->offset > 0)
            ranges_add_run(whole, ranges_add(whole, topic->name, strlen(topic->name), end->partition), 0,
                           end->offset - 1);
    }
    rd_kafka_topic_partition_list_destroy(ends);
    return rc;
}

/* Ends what stands open in a topic, and the transaction at hand with it. */
static int
end_open(struct kafka_sink *sink, const struct topic *topic, bool *ended, struct tr_error *err)
{
    struct ranges whole = { 0 };
    rd_kafka_topic_partition_list_t *open = rd_kafka_topic_partition_list_new(topic->partitions);
    int rc = whole_topic(sink, topic, &whole, err), held = 0;
    int64_t deadline = tr_clock_us() + OTHERS_US;
    while (rc == 0 && (held = ask_held(sink, &whole, err)) > 0 && tr_clock_us() < deadline)
        rc = pause_for(sink, INT64_MAX, "", err);
    for (size_t i = 0; rc == 0 && held > 0 && i < whole.count; i++) {
        if (!whole.parts[i].visible && !whole.parts[i].gone)
            list_open(open, topic->name, whole.parts[i].partition, whole.parts[i].stable);
    }
    if (rc == 0 && held < 0)
        rc = held;
    *ended = rc == 0 && open->cnt > 0;
    if (*ended)
        rc = close_open(sink, open, err);
    rd_kafka_topic_partition_list_destroy(open);
    ranges_fini(&whole);
    return rc;
}

int
doubt_topic(struct kafka_sink *sink, const struct topic *topic, struct tr_error *err)
{
    bool ended;
    int rc = end_open(sink, topic, &ended, err);
    if (rc < 0 || !ended)
        return rc;
    return tr_fail(err, TR_RETRY, "topic %s: a transaction stood open there and has been ended, with ours",
                   topic->name);
}

int
doubt_state(struct kafka_sink *sink, struct tr_error *err)
{
    const struct topic *topic = topic_open(sink, sink->state_topic, err);
    bool ended;
    return topic != NULL ? end_open(sink, topic, &ended, err) : -(int)err->class;
}

/* ------------------------------------------------------------------------------------- judging */

static int
add_claim(struct doubt *doubt, const char *text, bool committed, struct tr_error *err)
{
    doubt->claims = tr_realloc(doubt->claims, (doubt->count + 1) * sizeof(*doubt->claims));
    struct claim *claim = &doubt->claims[doubt->count];
    claim->committed = committed;
    if (!ranges_parse(&claim->ranges, text))
        return tr_fail(err, TR_REFUSED, "topic %s holds a record \"rows\" that no task wrote",
                       doubt->sink->state_topic);
    doubt->count++;
    return 0;
}

static int
take_claim(void *arg, const rd_kafka_message_t *record, struct tr_error *err)
{
    struct doubt *doubt = arg;
    if (record->key_len == 7 && memcmp(record->key, "closing", 7) == 0)
        doubt->closing = true;
    if (record->key_len != 4 || memcmp(record->key, "rows", 4) != 0)
        return 0;
    char *text = tr_strndup(record->payload != NULL ? record->payload : "", record->len);
    int rc = add_claim(doubt, text, false, err);
    free(text);
    return rc;
}

/* What is said of transactions in the state topic, also by those that were not committed. */
static int
collect(struct doubt *doubt, const struct kafka_state *state, int64_t up_to, struct tr_error *err)
{
    const struct part part = { .topic = doubt->sink->state_topic };
    struct run run = { state->rows_offset + 1, up_to };
    int rc = look_all(doubt->sink, err);
    if (rc == 0 && state->rows != NULL)
        rc = add_claim(doubt, state->rows, true, err);
    if (rc == 0)
        rc = look_read(doubt->sink, doubt->sink->look, &part, run, take_claim, doubt, err);
    return rc;
}

static int
close_claims(struct doubt *doubt, struct tr_error *err)
{
    rd_kafka_topic_partition_list_t *open = rd_kafka_topic_partition_list_new(8);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < doubt->count; i++)
        rc = find_open(doubt->sink, &doubt->claims[i].ranges, open, err);
    if (rc == 0 && open->cnt > 0) {
        rc = close_open(doubt->sink, open, err);
        doubt->closing = true;
    }
    rd_kafka_topic_partition_list_destroy(open);
    return rc;
}

static bool
any_visible(const struct ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (ranges->parts[i].visible)
            return true;
    }
    return false;
}

/* The newest transaction that counts as committed, or NULL. */
static int
judge(struct doubt *doubt, struct claim **found, struct tr_error *err)
{
    rd_kafka_resp_err_t code;
    int rc = 0;
    *found = NULL;
    rd_kafka_t *rk = look_new(doubt->sink, true, err);
    if (rk == NULL)
        return -(int)err->class;
    for (size_t i = doubt->count; rc == 0 && *found == NULL && i > 0; i--) {
        struct claim *claim = &doubt->claims[i - 1];
        rc = look_judge(doubt->sink, rk, &claim->ranges, &code, err);
        if (rc == 0 && (claim->committed || doubt->closing || any_visible(&claim->ranges)))
            *found = claim;
    }
    rd_kafka_destroy(rk);
    if (rc == 0 || code != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return rc;
    if (doubt->closing)
        return tr_error_hint(
            err,
            "brokers forgot to end a transaction: what it wrote has to be read and written again; grant the "
            "user Read on the topics");
    /* A task that was killed while it committed. Nothing stood open, so the end that the state topic has holds everywhere. */
    *found = NULL;
    return 0;
}

/* ------------------------------------------------------------------------------------- copying */

static int
take_any(void *arg, const rd_kafka_message_t *record, struct tr_error *err)
{
    bool *there = arg;
    (void)record;
    (void)err;
    *there = true;
    return 1;
}

static int
copy_part(struct kafka_sink *sink, const struct part *part, struct tr_error *err)
{
    const struct topic *topic = topic_get(sink, part->topic, err);
    if (topic == NULL)
        return -(int)err->class;
    struct copying copying = { sink, topic->handle, part->partition, 0, -1 };
    int64_t count = 0, last = ranges_end(part);
    bool there = false;
    /* Readers may not have seen it because retention or compaction took it since. */
    int rc = look_read(sink, sink->look, part, (struct run){ last, last }, take_any, &there, err);
    if (rc < 0 || !there)
        return rc;
    say(sink, "rows of a confirmed transaction are written again", part->topic, part->partition,
        part->runs[0].first);
    for (size_t i = 0; rc == 0 && i < part->nruns; i++) {
        count += part->runs[i].last - part->runs[i].first + 1;
        rc = look_read(sink, sink->look, part, part->runs[i], copy_record, &copying, err);
    }
    if (rc == 0 && copying.count < count)
        say(sink, "some of them are no longer in the topic", part->topic, part->partition,
            part->runs[0].first);
    return rc;
}

/* What readers do not see of it; NULL = only say that there is no doubt any more. */
static int
copy_claim(struct kafka_sink *sink, const struct claim *claim, struct tr_error *err)
{
    int rc = txn_begin(sink, err);
    for (size_t i = 0; rc == 0 && claim != NULL && i < claim->ranges.count; i++) {
        const struct part *part = &claim->ranges.parts[i];
        if (!part->visible && !part->gone && part->nruns > 0)
            rc = copy_part(sink, part, err);
    }
    return rc == 0 ? txn_finish(sink, err) : rc;
}

int
doubt_resolve(struct kafka_sink *sink, const struct kafka_state *state, int64_t up_to, bool *changed,
              struct tr_error *err)
{
    struct doubt doubt = { .sink = sink };
    struct claim *found;
    *changed = false;
    int rc = collect(&doubt, state, up_to, err);
    if (rc == 0)
        rc = close_claims(&doubt, err);
    size_t settled = doubt.count > 0 && doubt.claims[0].committed;
    if (rc == 0 && (doubt.count > settled || doubt.closing)) {
        rc = judge(&doubt, &found, err);
        if (rc == 0)
            rc = copy_claim(sink, found, err);
        *changed = true;
    }
    doubt_fini(&doubt);
    return rc;
}
