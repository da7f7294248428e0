/* look.c - what stands in partitions, as readers see it: their ends, single records, whole ranges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define POLL_MS 100
#define METADATA_MS 4000
#define PATIENCE_US (30 * TR_US_PER_S) /* without any record */
#define GROUP 64                       /* partitions that are read at once */

rd_kafka_t *
look_new(struct kafka_sink *sink, bool committed, struct tr_error *err)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    rd_kafka_conf_set_opaque(conf, &sink->client);
    rd_kafka_conf_set_error_cb(conf, tr_kafka_on_error);
    int rc = kafka_configure(sink, conf, false, err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "isolation.level", committed ? "read_committed" : "read_uncommitted", err);
    /* Little is read ahead of the records that are asked for. */
    if (rc == 0)
        rc = tr_kafka_set(conf, "fetch.message.max.bytes", committed ? "4096" : "262144", err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "queued.max.messages.kbytes", "4096", err);
    rd_kafka_t *rk = rc == 0 ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why)) : NULL;
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        if (rc == 0)
            tr_fail(err, TR_CONFIG, "cannot make a consumer: %s", why);
    }
    return rk;
}

int
look_all(struct kafka_sink *sink, struct tr_error *err)
{
    if (sink->look == NULL)
        sink->look = look_new(sink, false, err);
    return sink->look != NULL ? 0 : -(int)err->class;
}

/* Brokers that do not answer are waited for no longer than an end that we are told allows. */
static int
patience_ms(const struct kafka_sink *sink, int timeout_ms)
{
    int left = tr_kafka_left_ms(&sink->client, tr_clock_us() + (int64_t)timeout_ms * 1000);
    return left > 0 ? left : 1;
}

rd_kafka_resp_err_t
look_ends(const struct kafka_sink *sink, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
          int timeout_ms)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = RD_KAFKA_OFFSET_END; /* taken for a time, as the protocol does */
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return list->cnt > 0 ? rd_kafka_offsets_for_times(rk, list, patience_ms(sink, timeout_ms))
                         : RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t
look_all_ends(const struct kafka_sink *sink, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
              int timeout_ms)
{
    rd_kafka_resp_err_t code = look_ends(sink, rk, list, timeout_ms);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    return code;
}

/* Asked together; one by one where a topic is not known, for then no answer comes for any. */
static rd_kafka_resp_err_t
ends_of(const struct kafka_sink *sink, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    rd_kafka_resp_err_t code = look_ends(sink, rk, list, timeout_ms);
    for (int i = 0; topic_is_unknown(code) && list->cnt > 1 && i < list->cnt; i++) {
        rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(one, list->elems[i].topic, list->elems[i].partition);
        list->elems[i].err = look_ends(sink, rk, one, timeout_ms);
        if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            list->elems[i].err = one->elems[0].err;
        list->elems[i].offset = one->elems[0].offset;
        rd_kafka_topic_partition_list_destroy(one);
    }
    if (topic_is_unknown(code) && list->cnt == 1)
        list->elems[0].err = code;
    return topic_is_unknown(code) && list->cnt > 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
}

int
look_passed(struct kafka_sink *sink, struct ranges *ranges, int timeout_ms, rd_kafka_resp_err_t *code)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)ranges->count);
    rd_kafka_resp_err_t missing = RD_KAFKA_RESP_ERR_NO_ERROR;
    int held = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        if (!ranges->parts[i].visible && !ranges->parts[i].gone)
            rd_kafka_topic_partition_list_add(list, ranges->parts[i].topic, ranges->parts[i].partition);
    }
    /* The producer's isolation level is librdkafka's default: committed. */
    *code = ends_of(sink, sink->rk, list, timeout_ms);
    const rd_kafka_topic_partition_t *end = list->elems;
    for (size_t i = 0; *code == RD_KAFKA_RESP_ERR_NO_ERROR && i < ranges->count; i++) {
        struct part *part = &ranges->parts[i];
        if (part->visible || part->gone)
            continue;
        part->unknown = topic_is_unknown(end->err);
        part->visible = end->err == RD_KAFKA_RESP_ERR_NO_ERROR && end->offset > ranges_end(part);
        part->stable = end->offset;
        if (end->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            missing = end->err;
        end++;
        held += !part->visible;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (*code == RD_KAFKA_RESP_ERR_NO_ERROR)
        *code = missing;
    return *code == RD_KAFKA_RESP_ERR_NO_ERROR ? held : -1;
}

static rd_kafka_topic_t *
topic_of(const struct kafka_sink *sink, rd_kafka_t *rk, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    /* A leader that is known when the reading begins spares half a second of asking again. */
    if (topic != NULL && rd_kafka_metadata(rk, 0, topic, &metadata, patience_ms(sink, METADATA_MS)) ==
                             RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    return topic;
}

/* A failure that no waiting ends. */
static bool
is_final(rd_kafka_resp_err_t code)
{
    const char *hint;
    return code != RD_KAFKA_RESP_ERR_NO_ERROR && tr_kafka_meaning(code, &hint) != TR_RETRY &&
           !topic_is_unknown(code);
}

/* ------------------------------------------------------------------------------------ one part */

static int
read_on(struct kafka_sink *sink, rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct part *part,
        int64_t last, look_take take, void *arg, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + PATIENCE_US;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (!is_final(code) && tr_clock_us() < deadline && !topic_wants_stop(sink)) {
        rd_kafka_message_t *record = rd_kafka_consume(topic, part->partition, POLL_MS);
        rd_kafka_poll(rk, 0);
        rd_kafka_poll(sink->rk, 0); /* what is copied goes out meanwhile */
        if (record == NULL)
            continue;
        int rc = 0;
        bool end = record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            end = record->offset >= last;
            rc = record->offset <= last ? take(arg, record, err) : 0;
            deadline = tr_clock_us() + PATIENCE_US;
        } else if (!end)
            code = record->err;
        rd_kafka_message_destroy(record);
        if (rc != 0 || end)
            return rc < 0 ? rc : 0;
    }
    return kafka_fail(sink, err, code, NULL, "cannot read topic %s, partition %d", part->topic,
                      part->partition);
}

int
look_read(struct kafka_sink *sink, rd_kafka_t *rk, const struct part *part, struct run run, look_take take,
          void *arg, struct tr_error *err)
{
    rd_kafka_topic_t *topic = topic_of(sink, rk, part->topic);
    int rc;
    if (topic == NULL || rd_kafka_consume_start(topic, part->partition, run.first) < 0) {
        rc = kafka_fail(sink, err, rd_kafka_last_error(), NULL, "cannot read topic %s", part->topic);
    } else {
        rc = read_on(sink, rk, topic, part, run.last, take, arg, err);
        rd_kafka_consume_stop(topic, part->partition);
    }
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
    return rc;
}

/* ---------------------------------------------------------------------------------- many parts */

/* Parts whose last record is asked for, all into one queue. */
struct group {
    rd_kafka_queue_t *queue;
    struct part *parts[GROUP];
    rd_kafka_topic_t *topics[GROUP];
    bool answered[GROUP];
    size_t count, open;
};

static void
take_answer(struct group *group, const rd_kafka_message_t *record)
{
    for (size_t i = 0; i < group->count; i++) {
        struct part *part = group->parts[i];
        if (group->answered[i] || part->partition != record->partition ||
            strcmp(part->topic, rd_kafka_topic_name(record->rkt)) != 0)
            continue;
        part->visible = record->err == RD_KAFKA_RESP_ERR_NO_ERROR && record->offset == ranges_end(part);
        group->answered[i] = true;
        group->open--;
    }
}

static rd_kafka_resp_err_t
ask_group(const struct kafka_sink *sink, rd_kafka_t *rk, struct group *group)
{
    int64_t deadline = tr_clock_us() + PATIENCE_US;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (group->open > 0 && !is_final(code) && tr_clock_us() < deadline && !topic_wants_stop(sink)) {
        rd_kafka_message_t *record = rd_kafka_consume_queue(group->queue, POLL_MS);
        rd_kafka_poll(rk, 0);
        if (record == NULL)
            continue;
        if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR || record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            take_answer(group, record);
        else
            code = record->err;
        rd_kafka_message_destroy(record);
    }
    return group->open == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
}

/* The parts from *next on, as many as a group takes. */
static rd_kafka_resp_err_t
judge_group(const struct kafka_sink *sink, rd_kafka_t *rk, struct ranges *ranges, size_t *next)
{
    struct group group = { .queue = rd_kafka_queue_new(rk) };
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (; *next < ranges->count && group.count < GROUP && code == RD_KAFKA_RESP_ERR_NO_ERROR; ++*next) {
        struct part *part = &ranges->parts[*next];
        part->visible = false;
        if (part->gone || part->nruns == 0)
            continue;
        rd_kafka_topic_t *topic = topic_of(sink, rk, part->topic);
        if (topic == NULL ||
            rd_kafka_consume_start_queue(topic, part->partition, ranges_end(part), group.queue) < 0) {
            code = rd_kafka_last_error();
            if (topic != NULL)
                rd_kafka_topic_destroy(topic);
            break;
        }
        group.parts[group.count] = part;
        group.topics[group.count++] = topic;
    }
    group.open = group.count;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = ask_group(sink, rk, &group);
    for (size_t i = 0; i < group.count; i++) {
        rd_kafka_consume_stop(group.topics[i], group.parts[i]->partition);
        rd_kafka_topic_destroy(group.topics[i]);
    }
    rd_kafka_queue_destroy(group.queue);
    return code;
}

int
look_judge(struct kafka_sink *sink, rd_kafka_t *rk, struct ranges *ranges, rd_kafka_resp_err_t *code,
           struct tr_error *err)
{
    *code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t next = 0; next < ranges->count && *code == RD_KAFKA_RESP_ERR_NO_ERROR;)
        *code = judge_group(sink, rk, ranges, &next);
    return *code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : kafka_fail(sink, err, *code, NULL, "cannot read what the last transaction wrote");
}
