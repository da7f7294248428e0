/*
 * sink.c - the Kafka sink: batches wait until their messages fit, messages leave in order, delivery reports move the low-water mark.
 *
 * Nothing here blocks for long: a batch that does not fit waits, charged to the task's budget, so that brokers that stall hold back the source and a stop
 * is obeyed all the same.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define CONNECT_MS 10000
#define PUSH_MS 1 /* long enough for librdkafka's thread to take notice; what comes meanwhile waits */
#define PURGE_MS 10
#define PURGE_US (5 * TR_US_PER_S)
#define PUSH_PAUSE_MIN_US 1000
#define CALM_BYTES 131072 /* more at once is a stream */
#define BYTES_MAX \
    ((uint64_t)8 << 20) /* on their way: 40 MB/s of rows to brokers that answer after a tenth of a second */
#define COMMIT_POLL_US 20000 /* a commit under way is asked for this often */
#define WAIT_TOLD_US (3 * TR_US_PER_S)
#define SETTLE_POLL_US 1000 /* whether readers see it at first; each time twice as long */

static const struct tr_sink_class transactional_sink;

static const struct tr_sink_class *
kafka_variant(const struct tr_settings *settings)
{
    return tr_setting_bool(settings, "exactly_once") ? &transactional_sink : &tr_kafka_sink;
}

/* ---------------------------------------------------------------------------------------- life */

/* Until each message is reported: one that was not would free the headers that all share. False: they were not, and all that librdkafka may still touch is left as it is. */
static bool
purge(struct kafka_sink *sink)
{
    int64_t until_us = tr_clock_us() + PURGE_US;
    int wait_ms = 0;
    do {
        rd_kafka_purge(sink->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(sink->rk, wait_ms);
        wait_ms = PURGE_MS;
    } while (sink->bytes_out > 0 && tr_clock_us() < until_us);
    return sink->bytes_out == 0;
}

static void
kafka_close(struct tr_sink *base)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    if (sink == NULL)
        return;
    while (sink->first != NULL) {
        struct tr_batch *batch = sink->first;
        sink->first = batch->next;
        tr_batch_free(batch);
    }
    if (sink->rk != NULL) {
        txn_abandon(sink);
        if (!purge(sink))
            return;
        topics_free(sink);
        rd_kafka_destroy(sink->rk);
    }
    if (sink->look != NULL)
        rd_kafka_destroy(sink->look);
    ranges_fini(&sink->written);
    if (sink->context != NULL)
        rd_kafka_headers_destroy(sink->context);
    if (sink->encoder != NULL)
        sink->encoder->class->close(sink->encoder);
    flights_free(sink);
    if (sink->event_fd >= 0)
        close(sink->event_fd);
    free(sink->txn_position);
    free(sink->identity);
    free(sink->state_topic);
    free(sink->brokers);
    free(sink);
}

static int
open_producer(struct kafka_sink *sink, struct tr_error *err)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_log_cb(conf, kafka_on_log);
    rd_kafka_conf_set_error_cb(conf, kafka_on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    int rc = kafka_configure(sink, conf, true, err);
    if (rc == 0) {
        sink->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
        if (sink->rk == NULL)
            rc = tr_fail(err, TR_CONFIG, "cannot make a producer: %s", why);
    }
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    static const uint64_t one = 1;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(sink->rk);
    rd_kafka_queue_io_event_enable(queue, sink->event_fd, &one, sizeof(one));
    rd_kafka_queue_destroy(queue);
    return 0;
}

/* The encoder waits for a schema registry: what is on its way arrives all the same, and the source is told of it. */
static void
on_waiting(void *arg, const char *whom, int64_t since_us)
{
    struct kafka_sink *sink = arg;
    int64_t now = tr_clock_us();
    rd_kafka_poll(sink->rk, 0);
    flights_report(sink);
    if (now - since_us < WAIT_TOLD_US || now < sink->next_told_us || sink->base.env->log == NULL)
        return;
    sink->next_told_us = now + WAIT_TOLD_US;
    tr_log(sink->base.env->log, TR_LOG_WARNING, "sink",
           "waiting for schema registry %s, for %d s now: nothing is written meanwhile", whom,
           (int)((now - since_us) / TR_US_PER_S));
}

static int
open_encoder(struct kafka_sink *sink, struct tr_error *err)
{
    const struct tr_sink_env *env = sink->base.env;
    sink->emit = (struct tr_emit){ .arg = sink, .message = produce_message, .edge = produce_edge };
    sink->encoder_env = (struct tr_encoder_env){ .settings = env->settings,
                                                 .connector = env->source_name,
                                                 .prefix = env->task,
                                                 .database = env->source_database,
                                                 .stop_fd = env->stop_fd,
                                                 .waiting = on_waiting,
                                                 .waiting_arg = sink };
    if (sink->heartbeat_us > 0 && env->encoder->heartbeat == NULL)
        return tr_fail(err, TR_CONFIG, "heartbeat_interval: the format %s has no heartbeats",
                       env->encoder->name);
    sink->context = context_headers(sink);
    return env->encoder->open(&sink->encoder_env, &sink->encoder, err);
}

static int
read_settings(struct kafka_sink *sink, struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    const char *by = tr_setting_string(settings, "partition_by");
    sink->exactly_once = tr_setting_bool(settings, "exactly_once");
    sink->interval_us = tr_setting_int(settings, "transaction_interval");
    sink->timeout_us = tr_setting_int(settings, "transaction_timeout");
    sink->create_topics = tr_setting_bool(settings, "create_topics");
    sink->partition_by = by[0] == 'k' ? BY_KEY : strcmp(by, "table") == 0 ? BY_TABLE : BY_TRANSACTION;
    sink->heartbeat_us = tr_setting_int(settings, "heartbeat_interval");
    sink->linger_us = tr_setting_int(settings, "linger");
    /* More on the way makes nothing faster: what is older is out of the processor's caches. */
    sink->bytes_max = sink->base.env->memory > 0 && sink->base.env->memory < BYTES_MAX
                          ? sink->base.env->memory
                          : BYTES_MAX;
    sink->state_topic = kafka_state_topic(sink->base.env);
    sink->client.end_us = sink->base.env->end_us;
    sink->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return sink->event_fd < 0 ? tr_fail(err, TR_FATAL, "kafka: no eventfd: %s", strerror(errno)) : 0;
}

static int
kafka_open(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    struct kafka_sink *sink = tr_calloc(1, sizeof(*sink));
    sink->base.class = kafka_variant(env->settings);
    sink->base.env = env;
    sink->last = &sink->first;
    sink->event_fd = -1;
    *out = NULL;
    int rc = read_settings(sink, err);
    if (rc == 0)
        rc = open_encoder(sink, err);
    if (rc == 0)
        rc = open_producer(sink, err);
    if (rc == 0)
        rc = topics_list(sink, CONNECT_MS, err);
    if (rc < 0) {
        kafka_close(&sink->base);
        return rc;
    }
    *out = &sink->base;
    return 0;
}

/* ------------------------------------------------------------------------------------- batches */

/* What goes into the transaction beside the rows. */
static int
note_batch(struct kafka_sink *sink, const struct tr_batch *batch, struct tr_error *err)
{
    sink->txn_sequence = batch->sequence;
    sink->txn_fed_us = tr_clock_us();
    sink->txn_at_checkpoint = batch->checkpoint != NULL || batch->load_table != NULL;
    if (batch->checkpoint != NULL) {
        free(sink->txn_position);
        sink->txn_position = tr_strdup(batch->checkpoint);
    }
    return batch->load_table != NULL ? state_write_table(sink, batch->load_table, batch->load_cut, true, err)
                                     : 0;
}

static int
send_batch(struct kafka_sink *sink, struct tr_batch *batch, struct tr_error *err)
{
    int rc = sink->exactly_once ? txn_begin(sink, err) : 0;
    struct flight *flight = flight_new(sink, batch->sequence);
    if (rc == 0)
        rc = tr_encode_batch(sink->encoder, batch, &sink->emit, err);
    if (rc == 0 && sink->exactly_once)
        rc = note_batch(sink, batch, err);
    flight->complete = rc == 0;
    return rc;
}

/* As much as fits. */
static int
pump(struct kafka_sink *sink, struct tr_error *err)
{
    rd_kafka_poll(sink->rk, 0);
    if (sink->look != NULL)
        rd_kafka_poll(sink->look, 0); /* its errors would gather */
    flights_report(sink);
    kafka_note_silence(sink, tr_clock_us());
    int rc = failure(sink, err);
    if (rc == 0 && (!sink->exactly_once || sink->ready))
        rc = produce_heartbeat(sink, err);
    while (rc == 0 && sink->first != NULL && sink->bytes_out < sink->bytes_max && sink->txn <= TXN_OPEN) {
        struct tr_batch *batch = sink->first;
        sink->first = batch->next;
        if (sink->first == NULL)
            sink->last = &sink->first;
        rc = send_batch(sink, batch, err);
        tr_batch_free(batch);
        rd_kafka_poll(sink->rk, 0);
        flights_report(sink);
        if (rc == 0)
            rc = failure(sink, err);
        if (rc == 0 && sink->exactly_once)
            rc = txn_advance(sink, false, err);
    }
    return rc;
}

/* Was it another process of this task that ended our transactions, or only the brokers' patience? The state topic knows. */
static int
settle(struct kafka_sink *sink, int rc, struct tr_error *err)
{
    char text[256];
    if (rc != -TR_RETRY || !sink->ready)
        return rc;
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(sink->rk, text, sizeof(text));
    bool fenced = fatal == RD_KAFKA_RESP_ERR__FENCED || fatal == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
                  fatal == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    struct kafka_state state;
    struct tr_error ignored;
    if (!fenced || state_read(sink, -1, &state, &ignored) < 0)
        return rc;
    if (state.owner != NULL && strcmp(state.owner, sink->owner) != 0) {
        rc = tr_fail(err, TR_FATAL, "another process (%s) has taken over the task \"%s\" at the brokers",
                     state.owner, sink->base.env->task);
        tr_error_hint(err, "one process at a time runs a task; this one ends, the other goes on");
    }
    state_fini(&state);
    return rc;
}

/*
 * Tell librdkafka to send what it holds. A small change with nothing behind it goes at once; what comes in a stream goes
 * every `linger`, or when a request is full. It is never left to linger.ms, which is far longer: librdkafka's thread spins while a message that has
 * lingered waits for the request before it, as all do under load. What does not move is pushed more and more seldom. Returns how long the caller may sleep.
 */
static int64_t
keep_moving(struct kafka_sink *sink, bool idle, int64_t wait_us)
{
    int64_t now = tr_clock_us();
    uint64_t fresh = sink->bytes_handed - sink->bytes_seen;
    if (sink->bytes_out == 0)
        return wait_us;
    bool moves = fresh > 0 || sink->bytes_out != sink->bytes_stuck;
    bool calm = idle && sink->first == NULL && !sink->exactly_once && sink->bytes_out < CALM_BYTES;
    if (moves)
        sink->push_pause_us = !calm && sink->linger_us > PUSH_PAUSE_MIN_US ? sink->linger_us
                                                                           : PUSH_PAUSE_MIN_US;
    if ((calm && moves) || now >= sink->next_push_us) {
        rd_kafka_flush(sink->rk, PUSH_MS);
        flights_report(sink);
        now = tr_clock_us();
        sink->next_push_us = now + sink->push_pause_us;
        sink->push_pause_us = sink->push_pause_us < LINGER_MS * 500 ? 2 * sink->push_pause_us
                                                                    : LINGER_MS * 1000;
        sink->bytes_stuck = sink->bytes_out;
    }
    if (idle)
        sink->bytes_seen = sink->bytes_handed;
    int64_t left_us = sink->next_push_us > now ? sink->next_push_us - now : 0;
    return wait_us < left_us || sink->bytes_out == 0 ? wait_us : left_us;
}

static int
kafka_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    batch->next = NULL;
    *sink->last = batch;
    sink->last = &batch->next;
    int rc = pump(sink, err);
    if (rc == 0)
        keep_moving(sink, false, 0);
    return settle(sink, rc, err);
}

/* Sleep until the brokers or the pipeline have something to say. */
static void
wait_for_news(struct kafka_sink *sink, int64_t wait_us)
{
    struct pollfd fds[2] = { { .fd = sink->base.env->wake_fd, .events = POLLIN },
                             { .fd = sink->event_fd, .events = POLLIN } };
    uint64_t count;
    poll(fds, 2, (int)((wait_us + 999) / 1000));
    ssize_t n = read(sink->event_fd, &count, sizeof(count));
    (void)n;
}

static int64_t
commit_poll_us(const struct kafka_sink *sink)
{
    int64_t us = sink->txn == TXN_SETTLING && sink->settle_tries < 6
                     ? (int64_t)SETTLE_POLL_US << sink->settle_tries
                     : COMMIT_POLL_US;
    return us < COMMIT_POLL_US ? us : COMMIT_POLL_US;
}

static int
kafka_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    int rc = pump(sink, err);
    if (rc == 0 && sink->exactly_once)
        rc = txn_advance(sink, sink->first == NULL && tr_clock_us() >= txn_due_us(sink), err);
    if (rc < 0)
        return settle(sink, rc, err);
    wait_us = keep_moving(sink, true, wait_us);
    if (sink->txn == TXN_OPEN && sink->txn_at_checkpoint && sink->first == NULL) {
        int64_t left_us = txn_due_us(sink) - tr_clock_us();
        wait_us = left_us < 0 ? 0 : left_us < wait_us ? left_us : wait_us;
    }
    if (sink->txn > TXN_OPEN || (sink->first != NULL && sink->bytes_out < sink->bytes_max)) {
        int64_t poll_us = commit_poll_us(sink);
        wait_us = wait_us < poll_us ? wait_us : poll_us;
    }
    if (sink->heartbeat_us > 0) {
        int64_t left = sink->next_heartbeat_us - tr_clock_us();
        wait_us = left < 0 ? 0 : left < wait_us ? left : wait_us;
    }
    wait_for_news(sink, wait_us);
    return settle(sink, pump(sink, err), err);
}

static bool
all_durable(const struct kafka_sink *sink)
{
    return sink->first == NULL && sink->oldest == NULL && sink->txn == TXN_NONE;
}

static int
kafka_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    int rc = pump(sink, err);
    while (rc == 0) {
        if (sink->exactly_once)
            rc = txn_advance(sink, sink->first == NULL, err);
        flights_report(sink);
        if (rc < 0 || all_durable(sink))
            break;
        /* Half of a source transaction is no state to end in: it is read again. */
        if (sink->txn == TXN_OPEN && !sink->txn_at_checkpoint && sink->first == NULL)
            return 0;
        int64_t left_us = (int64_t)tr_kafka_left_ms(&sink->client, deadline_us) * 1000;
        if (left_us <= 0) {
            rc = kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL,
                            "brokers %s: not all messages were confirmed in time", sink->brokers);
            break;
        }
        int64_t poll_us = commit_poll_us(sink);
        wait_for_news(sink, keep_moving(sink, true, left_us < poll_us ? left_us : poll_us));
        rc = pump(sink, err);
    }
    return settle(sink, rc, err);
}

static int
kafka_drop(struct tr_sink *base, struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    return topic_exists(sink, sink->state_topic) ? topic_delete(sink, sink->state_topic, err) : 0;
}

const struct tr_sink_class tr_kafka_sink = {
    .name = "kafka",
    .schemes = "kafka",
    .capabilities = TR_SINK_ENCODES,
    .options = kafka_options,
    .variant = kafka_variant,
    .open = kafka_open,
    .close = kafka_close,
    .write = kafka_write,
    .poll = kafka_poll,
    .flush = kafka_flush,
    .check = kafka_check,
    .drop = kafka_drop,
};

static const struct tr_sink_class transactional_sink = {
    .name = "kafka",
    .schemes = "kafka",
    .capabilities = TR_SINK_ENCODES | TR_SINK_KEEPS_CHECKPOINT,
    .options = kafka_options,
    .variant = kafka_variant,
    .open = kafka_open,
    .close = kafka_close,
    .load_checkpoint = kafka_load_checkpoint,
    .save_checkpoint = kafka_save_checkpoint,
    .write = kafka_write,
    .poll = kafka_poll,
    .flush = kafka_flush,
    .check = kafka_check,
    .drop = kafka_drop,
};
