/* produce.c - messages out, and what the brokers say of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define FULL_WAIT_MS 100
#define ARRIVE_US (30 * TR_US_PER_S)

int
failure(struct kafka_sink *sink, struct tr_error *err)
{
    if (sink->failure.class == TR_NO_ERROR)
        return 0;
    /* Messages were given up because a broker had not heard of the topic yet: they are read again. */
    if (sink->doubtful != NULL && topic_settles(sink, sink->doubtful)) {
        sink->failure.class = TR_RETRY;
        tr_error_hint(&sink->failure, "the topic is new; the brokers know it by now");
    }
    sink->doubtful = NULL;
    *err = sink->failure;
    return -(int)err->class;
}

/* ------------------------------------------------------------------------------------- flights */

struct flight *
flight_new(struct kafka_sink *sink, uint64_t sequence)
{
    struct flight *flight = tr_calloc(1, sizeof(*flight));
    flight->rk = sink->rk;
    flight->sequence = sequence;
    if (sink->newest != NULL)
        sink->newest->next = flight;
    else
        sink->oldest = flight;
    sink->newest = flight;
    return flight;
}

/* For a message that belongs to no batch. */
static struct flight *
newest_flight(struct kafka_sink *sink)
{
    if (sink->newest == NULL)
        flight_new(sink, 0)->complete = true;
    return sink->newest;
}

/* The low-water mark: a batch counts only when all before it have arrived. In transactions nothing counts before the commit. */
void
flights_report(struct kafka_sink *sink)
{
    uint64_t sequence = 0;
    while (sink->oldest != NULL && sink->oldest->complete && sink->oldest->outstanding == 0) {
        struct flight *done = sink->oldest;
        sequence = done->sequence;
        sink->oldest = done->next;
        if (sink->oldest == NULL)
            sink->newest = NULL;
        free(done);
    }
    if (sequence != 0 && !sink->exactly_once && sink->failure.class == TR_NO_ERROR)
        sink->base.env->durable(sink->base.env->arg, sequence, NULL);
}

void
flights_free(struct kafka_sink *sink)
{
    while (sink->oldest != NULL) {
        struct flight *flight = sink->oldest;
        sink->oldest = flight->next;
        free(flight);
    }
}

/*
 * All messages bear the one object of the context's headers: a copy for each costs more than all else that a message does, six allocations that both
 * threads have to fetch. librdkafka only reads it, but would free it with the message: so it is taken off each report, and kafka_close waits for the last.
 */
static void
take_off_context(const struct kafka_sink *sink, const rd_kafka_message_t *report)
{
    rd_kafka_message_t *message = (rd_kafka_message_t *)(uintptr_t)report;
    rd_kafka_headers_t *headers;
    if (sink->context != NULL && rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        headers == sink->context)
        rd_kafka_message_detach_headers(message, &headers);
}

void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
    struct kafka_sink *sink = opaque;
    struct flight *flight = report->_private;
    (void)rk;
    sink->bytes_out -= MESSAGE_COST + report->len + report->key_len;
    take_off_context(sink, report);
    if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        flight->outstanding--;
        sink->silence.confirmed++;
        /*
         * No offset: the brokers never confirmed it. librdkafka concludes that it arrived because one behind it did; but a leader that refuses a request,
         * and has seen nothing of this producer, accepts the one behind it.
         */
        bool placed = sink->exactly_once ? ranges_note(&sink->written, report) : report->offset >= 0;
        if (!placed && sink->failure.class == TR_NO_ERROR)
            tr_fail(&sink->failure, TR_RETRY,
                    "topic %s, partition %d: the brokers do not say where a message stands",
                    rd_kafka_topic_name(report->rkt), report->partition);
        return;
    }
    /* Not counted as arrived: the batch never becomes complete, nor any behind it. */
    bool ours = report->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                report->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (sink->failure.class == TR_NO_ERROR && topic_is_unknown(report->err))
        sink->doubtful = report->rkt;
    if (sink->failure.class == TR_NO_ERROR && !ours)
        kafka_fail(sink, &sink->failure, report->err, NULL,
                   "cannot write to topic %s, partition %d (a message of %zu bytes)",
                   rd_kafka_topic_name(report->rkt), report->partition, report->len + report->key_len);
}

/* ------------------------------------------------------------------------------------ messages */

static int32_t
choose_partition(const struct kafka_sink *sink, const struct topic *topic, const struct tr_message *message)
{
    if (topic->partitions == 1 || message->first_partition)
        return 0;
    if (sink->partition_by == BY_TRANSACTION)
        return kafka_partition(sink->txn_hash, topic->partitions);
    if (sink->partition_by == BY_KEY && message->key != NULL)
        return kafka_partition(kafka_murmur2(message->key, message->key_len), topic->partitions);
    return kafka_partition(kafka_murmur2(topic->name, strlen(topic->name)), topic->partitions);
}

static rd_kafka_resp_err_t
hand_over(struct kafka_sink *sink, struct topic *topic, int32_t partition, const struct tr_message *message,
          struct flight *flight)
{
    rd_kafka_headers_t *context = message->event != NULL ? sink->context : NULL;
    void *key = (void *)(uintptr_t)message->key, *value = (void *)(uintptr_t)message->value;
    if (message->header_name == NULL && context == NULL)
        return rd_kafka_produce(topic->handle, partition, RD_KAFKA_MSG_F_COPY, value, message->value_len, key,
                                message->key_len, flight) == 0
                   ? RD_KAFKA_RESP_ERR_NO_ERROR
                   : rd_kafka_last_error();
    rd_kafka_headers_t *headers = context == NULL                ? rd_kafka_headers_new(1)
                                  : message->header_name != NULL ? rd_kafka_headers_copy(context)
                                                                 : context;
    if (message->header_name != NULL)
        rd_kafka_header_add(headers, message->header_name, -1, message->header_value,
                            (ssize_t)message->header_len);
    rd_kafka_vu_t parts[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic->handle },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { key, message->key_len } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { value, message->value_len } },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = flight },
    };
    rd_kafka_t *rk = flight->rk;
    rd_kafka_error_t *error = rd_kafka_produceva(rk, parts, sizeof(parts) / sizeof(parts[0]));
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers != context)
        rd_kafka_headers_destroy(headers);
    return code;
}

static void
describe_row(const struct tr_message *message, char *text, size_t size)
{
    const struct tr_event *event = message->event;
    if (event != NULL && event->relation != NULL && event->kind != TR_TRUNCATE)
        snprintf(text, size, "table %s.%s, position %" PRIX64, event->relation->schema, event->relation->name,
                 event->position);
    else
        text[0] = '\0';
}

/*
 * The sink's own limit comes first, so that a full queue is only met by a single batch that is larger than all of it. What stands behind this
 * message waits with it, so the order is kept.
 */
static int
hand_over_patiently(struct kafka_sink *sink, struct topic *topic, int32_t partition,
                    const struct tr_message *message, rd_kafka_resp_err_t *code, struct tr_error *err)
{
    for (;;) {
        *code = hand_over(sink, topic, partition, message, sink->newest);
        if (*code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(sink->rk, FULL_WAIT_MS);
            kafka_note_silence(sink, tr_clock_us());
        } else if (!topic_is_unknown(*code) || !topic_settles(sink, topic->handle)) {
            return 0;
        }
        if (failure(sink, err) < 0)
            return -(int)err->class;
    }
}

int
produce_message(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct kafka_sink *sink = arg;
    struct flight *flight = sink->newest;
    if (sink->skipping)
        return 0;
    char row[256];
    struct topic *topic = topic_get(sink, message->topic, err);
    if (topic == NULL) {
        describe_row(message, row, sizeof(row));
        return row[0] != '\0' ? tr_error_prefix(err, "%s", row) : -(int)err->class;
    }
    if (message->event != NULL && message->event->relation != NULL &&
        message->event->relation != topic->relation)
        topic_note_table(sink, topic, message->event->relation);
    int32_t partition = choose_partition(sink, topic, message);
    rd_kafka_resp_err_t code;
    if (hand_over_patiently(sink, topic, partition, message, &code, err) < 0)
        return -(int)err->class;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_poll(sink->rk, 0); /* the cause may be waiting there */
        if (failure(sink, err) < 0)
            return -(int)err->class;
        describe_row(message, row, sizeof(row));
        return kafka_fail(sink, err, code, NULL, "%s%scannot write a message of %zu bytes to topic %s", row,
                          row[0] != '\0' ? ": " : "", message->key_len + message->value_len, message->topic);
    }
    flight->outstanding++;
    sink->bytes_out += MESSAGE_COST + message->key_len + message->value_len;
    sink->bytes_handed += message->key_len + message->value_len;
    TR_FAILPOINT("sink.kafka.produced");
    return 0;
}

/*
 * Is it one that an earlier run committed, or of the transaction of which that committed a part? Its GTID tells that one also where a failover has led to another
 * server, which has it at another place of its log.
 */
static void
skip_or_not(struct kafka_sink *sink, const struct tr_txn *txn, uint64_t place)
{
    bool named = sink->skip_gtid[0] != '\0' && txn->gtid != NULL;
    bool part = named ? strcmp(sink->skip_gtid, txn->gtid) == 0
                      : sink->skip_order != 0 && txn->commit_order == sink->skip_order;
    bool before = !part && txn->commit_order < sink->skip_order;
    sink->skipping = before || (part && place <= sink->skip_events);
    if (before || (part && place != TR_PLACE_END))
        return;
    /* Past it: from here on all is new. */
    if (named && !part && sink->skip_order != 0 && sink->base.env->log != NULL)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "the source has transaction %s, of which a part was written, at another place than before or not "
            "at all: what stood before it may be written twice",
            sink->skip_gtid);
    sink->skip_order = 0;
    if (part)
        sink->skip_gtid[0] = '\0';
}

/* Before the messages of each event. */
void
produce_edge(void *arg, const struct tr_txn *txn, uint64_t place)
{
    struct kafka_sink *sink = arg;
    if (txn == NULL)
        return;
    if (sink->partition_by == BY_TRANSACTION && place <= 1) {
        uint64_t number = txn->commit_order != 0 ? txn->commit_order : txn->xid;
        sink->txn_hash = kafka_murmur2(&number, sizeof(number));
    }
    skip_or_not(sink, txn, place);
    if (place == 0)
        snprintf(sink->part_gtid, sizeof(sink->part_gtid), "%s", txn->gtid != NULL ? txn->gtid : "");
    sink->part_order = txn->commit_order;
}

int
produce_state(struct kafka_sink *sink, const char *key, const char *value, struct tr_error *err)
{
    const struct tr_message message = { .topic = sink->state_topic,
                                        .key = key,
                                        .key_len = strlen(key),
                                        .value = value,
                                        .value_len = value != NULL ? strlen(value) : 0 };
    bool skipping = sink->skipping;
    newest_flight(sink);
    sink->skipping = false;
    int rc = produce_message(sink, &message, err);
    sink->skipping = skipping;
    return rc;
}

static rd_kafka_resp_err_t
hand_over_copy(const struct kafka_sink *sink, rd_kafka_topic_t *topic, int32_t partition,
               const rd_kafka_message_t *record, struct flight *flight)
{
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *headers, *copy = NULL;
    if (rd_kafka_message_headers(record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        copy = rd_kafka_headers_copy(headers);
    int64_t time = rd_kafka_message_timestamp(record, &type);
    rd_kafka_vu_t parts[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { record->key, record->key_len } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { record->payload, record->len } },
        { .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = time > 0 ? time : 0 },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = flight },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = copy },
    };
    size_t count = sizeof(parts) / sizeof(parts[0]) - (copy == NULL ? 1 : 0);
    rd_kafka_error_t *error = rd_kafka_produceva(sink->rk, parts, count);
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (copy != NULL)
        rd_kafka_headers_destroy(copy);
    return code;
}

int
produce_copy(struct kafka_sink *sink, rd_kafka_topic_t *topic, int32_t partition,
             const rd_kafka_message_t *record, struct tr_error *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    struct flight *flight = newest_flight(sink);
    while (sink->bytes_out >= sink->bytes_max ||
           (code = hand_over_copy(sink, topic, partition, record, flight)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(sink->rk, FULL_WAIT_MS);
        if (failure(sink, err) < 0)
            return -(int)err->class;
        if (topic_wants_stop(sink))
            return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL,
                              "brokers %s: not all messages were confirmed in time", sink->brokers);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(sink, err, code, NULL, "cannot write to topic %s, partition %d",
                          rd_kafka_topic_name(topic), partition);
    flight->outstanding++;
    sink->bytes_out += MESSAGE_COST + record->key_len + record->len;
    return 0;
}

int
produce_arrive(struct kafka_sink *sink, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + ARRIVE_US;
    while (rd_kafka_flush(sink->rk, FULL_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (failure(sink, err) < 0)
            return -(int)err->class;
        if (tr_clock_us() > deadline || topic_wants_stop(sink))
            return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL,
                              "brokers %s: not all messages were confirmed in time", sink->brokers);
    }
    flights_report(sink);
    return failure(sink, err);
}

/* ---------------------------------------------------------------------------- Debezium's extras */

static const char *
logical_name(const struct kafka_sink *sink)
{
    const char *given = tr_setting_string(sink->base.env->settings, "topic_prefix");
    return given != NULL && given[0] != '\0' ? given : sink->base.env->task;
}

/* A random one for each run. */
static void
name_run(char *uuid, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/uuid", "re");
    if (file == NULL || fgets(uuid, (int)size, file) == NULL)
        snprintf(uuid, size, "00000000-0000-4000-8000-%012llx",
                 (unsigned long long)tr_clock_us() & 0xffffffffffff);
    if (file != NULL)
        fclose(file);
    uuid[strcspn(uuid, "\n")] = '\0';
}

rd_kafka_headers_t *
context_headers(const struct kafka_sink *sink)
{
    char run[64];
    if (strncmp(sink->base.env->encoder->name, "debezium", 8) != 0 ||
        !tr_setting_bool(sink->base.env->settings, "extended_headers_enabled"))
        return NULL;
    name_run(run, sizeof(run));
    const char *const headers[][2] = { { "connectorLogicalName", logical_name(sink) },
                                       { "taskId", "0" },
                                       { "connectorName", sink->base.env->source_name },
                                       { "runId", run } };
    rd_kafka_headers_t *context = rd_kafka_headers_new(4);
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "__debezium.context.%s", headers[i][0]);
        rd_kafka_header_add(context, name, -1, headers[i][1], -1);
    }
    return context;
}

int
produce_heartbeat(struct kafka_sink *sink, struct tr_error *err)
{
    int64_t now = tr_clock_us();
    if (sink->heartbeat_us == 0 || now < sink->next_heartbeat_us || sink->txn > TXN_OPEN)
        return 0;
    sink->next_heartbeat_us = now + sink->heartbeat_us;
    /* Brokers that stall get no more of them; and a transaction of its own would forget how much of a large one is in. */
    if (sink->bytes_out >= sink->bytes_max || (sink->txn == TXN_NONE && sink->part_saved))
        return 0;
    int rc = sink->exactly_once ? txn_begin(sink, err) : 0;
    if (rc < 0)
        return rc;
    /* The encoder may wait for a registry, and what has arrived is reported meanwhile: the flight stays until the message is in it. */
    struct flight *flight = newest_flight(sink);
    bool skipping = sink->skipping, complete = flight->complete;
    flight->complete = sink->skipping = false;
    rc = sink->encoder->class->heartbeat(sink->encoder, &sink->emit, err);
    sink->skipping = skipping;
    flight->complete = complete;
    return rc;
}
