/*
 * state.c - the task's state in a compacted topic of one partition: what exactly_once commits together with the rows.
 *
 * Keys and values are plain text: "position", "identity", "phase", "owner", "part" (a source transaction committed in parts), and
 * "table:schema.name" with "done POSITION" or "begun POSITION". The newest committed value of a key holds; no value = removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define READ_US (30 * TR_US_PER_S)

void
state_fini(struct kafka_state *state)
{
    tr_checkpoint_fini(&state->checkpoint);
    free(state->owner);
    memset(state, 0, sizeof(*state));
}

int
state_make(struct kafka_sink *sink, struct tr_error *err)
{
    /* Small segments: only closed ones are compacted, and a start reads all that is left. */
    static const char *const config[] = { "cleanup.policy=compact", "segment.bytes=4194304",
                                          "min.cleanable.dirty.ratio=0.1" };
    int64_t replication = tr_setting_int(sink->base.env->settings, "topic_replication");
    if (topic_exists(sink, sink->state_topic))
        return 0;
    if (!sink->create_topics) {
        tr_fail(err, TR_REFUSED, "topic %s, for the task's state, does not exist, and create_topics is off",
                sink->state_topic);
        return tr_error_hint(
            err, "make it with one partition and cleanup.policy=compact, or set create_topics: true");
    }
    return topic_create(sink, sink->state_topic, 1, replication > 0 ? (int)replication : -1, config,
                        sizeof(config) / sizeof(config[0]), err);
}

static void
set_text(char **to, const char *text)
{
    free(*to);
    *to = tr_strdup(text);
}

static bool
take_table(struct kafka_state *state, const char *table, const char *value)
{
    bool done = value != NULL && strncmp(value, "done ", 5) == 0;
    if (value == NULL)
        return false;
    if (!done && strncmp(value, "begun ", 6) != 0)
        return false;
    tr_checkpoint_set_table(&state->checkpoint, table, value + (done ? 5 : 6), done);
    return true;
}

/* One record; false when it is none of ours. */
static bool
take_record(struct kafka_state *state, const char *key, const char *value)
{
    if (strcmp(key, "position") == 0)
        set_text(&state->checkpoint.position, value);
    else if (strcmp(key, "identity") == 0)
        set_text(&state->checkpoint.identity, value);
    else if (strcmp(key, "phase") == 0)
        set_text(&state->checkpoint.phase, value);
    else if (strcmp(key, "owner") == 0)
        set_text(&state->owner, value);
    else if (strncmp(key, "table:", 6) == 0)
        return take_table(state, key + 6, value);
    else if (strcmp(key, "part") == 0) {
        state->part_order = state->part_events = 0;
        return value == NULL ||
               sscanf(value, "%" SCNu64 " %" SCNu64, &state->part_order, &state->part_events) == 2;
    } else
        return false;
    return true;
}

static int
take_message(struct kafka_sink *sink, struct kafka_state *state, const rd_kafka_message_t *message,
             struct tr_error *err)
{
    char *key = message->key != NULL ? tr_strndup(message->key, message->key_len) : tr_strdup("");
    char *value = message->payload != NULL ? tr_strndup(message->payload, message->len) : NULL;
    int rc = 0;
    if (!take_record(state, key, value)) {
        tr_fail(err, TR_REFUSED, "topic %s holds a record that no task wrote (offset %" PRId64 ")",
                sink->state_topic, message->offset);
        rc = tr_error_hint(err, "name another one with checkpoint_topic");
    }
    free(key);
    free(value);
    return rc;
}

static int
read_all(struct kafka_sink *sink, rd_kafka_t *reader, int64_t up_to, struct kafka_state *state,
         struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + READ_US, seen = -1;
    bool end = false;
    int rc = 0;
    while (rc == 0 && !end) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 200);
        if (message == NULL) {
            if (tr_clock_us() > deadline)
                rc = kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "cannot read topic %s",
                                sink->state_topic);
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            end = seen >= up_to;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            seen = message->offset;
            rc = take_message(sink, state, message, err);
        } else if (tr_clock_us() > deadline || message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
            rc = kafka_fail(sink, err, message->err, rd_kafka_message_errstr(message), "cannot read topic %s",
                            sink->state_topic);
        }
        rd_kafka_message_destroy(message);
    }
    return rc;
}

static rd_kafka_t *
open_reader(struct kafka_sink *sink, struct tr_error *err)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_log_cb(conf, kafka_on_log);
    rd_kafka_conf_set_error_cb(conf, kafka_on_error);
    rd_kafka_t *reader = NULL;
    if (kafka_configure(sink, conf, false, err) == 0) {
        reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
        if (reader == NULL)
            tr_fail(err, TR_CONFIG, "cannot make a consumer for topic %s: %s", sink->state_topic, why);
    }
    if (reader == NULL)
        rd_kafka_conf_destroy(conf);
    else
        rd_kafka_poll_set_consumer(reader);
    return reader;
}

int
state_read(struct kafka_sink *sink, int64_t up_to, struct kafka_state *state, struct tr_error *err)
{
    memset(state, 0, sizeof(*state));
    rd_kafka_t *reader = open_reader(sink, err);
    if (reader == NULL)
        return -(int)err->class;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, sink->state_topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    int rc = code == RD_KAFKA_RESP_ERR_NO_ERROR
                 ? read_all(sink, reader, up_to, state, err)
                 : kafka_fail(sink, err, code, NULL, "cannot read topic %s", sink->state_topic);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    if (rc < 0)
        state_fini(state);
    return rc;
}

int
state_write_table(struct kafka_sink *sink, const char *table, const char *position, bool done,
                  struct tr_error *err)
{
    char *key = tr_asprintf("table:%s", table),
         *value = tr_asprintf("%s %s", done ? "done" : "begun", position);
    int rc = produce_state(sink, key, value, err);
    free(key);
    free(value);
    return rc;
}
