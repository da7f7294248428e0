/* topic.c - a compacted topic of one partition: made, looked at, and read as the map that it is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/kafka/client.h"
#include "core/clock.h"
#include "core/memory.h"

#define ADMIN_MS 30000
#define TRY_MS 1000
#define POLL_MS 100

int
tr_kafka_count_partitions(const struct tr_kafka_client *client, rd_kafka_t *rk, const char *topic,
                          int timeout_ms, int *count, struct tr_error *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    *count = 0;
    for (int tries = 1; code != RD_KAFKA_RESP_ERR_NO_ERROR && tries * TRY_MS <= timeout_ms; tries++) {
        code = rd_kafka_metadata(rk, 1, NULL, &metadata, TRY_MS);
        rd_kafka_poll(rk, 0); /* errors of the connections come by callback */
        if (tr_kafka_is_ending(client) || (tries > 1 && client->broken != RD_KAFKA_RESP_ERR_NO_ERROR))
            break;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tr_kafka_fail(client, err, code, NULL, "cannot reach the brokers %s", client->brokers);
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            *count = metadata->topics[i].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

/* ------------------------------------------------------------------------------------- making */

static int
created(const struct tr_kafka_client *client, rd_kafka_event_t *event, const char *topic,
        struct tr_error *err)
{
    size_t count = 0;
    if (event == NULL)
        return tr_kafka_fail(client, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "cannot make topic %s", topic);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *detail = rd_kafka_event_error_string(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
            rd_kafka_event_CreateTopics_result(event), &count);
        code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
        detail = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return tr_kafka_fail(client, err, code, detail, "cannot make topic %s", topic);
}

int
tr_kafka_make_compacted(const struct tr_kafka_client *client, rd_kafka_t *rk, const char *topic,
                        int replication, struct tr_error *err)
{
    /* Small segments: only closed ones are compacted, and a start reads all that is left. */
    static const char *const config[][2] = { { "cleanup.policy", "compact" },
                                             { "segment.bytes", "4194304" },
                                             { "min.cleanable.dirty.ratio", "0.1" } };
    char why[256];
    rd_kafka_NewTopic_t *new = rd_kafka_NewTopic_new(topic, 1, replication, why, sizeof(why));
    if (new == NULL)
        return tr_fail(err, TR_CONFIG, "cannot make topic %s: %s", topic, why);
    for (size_t i = 0; i < sizeof(config) / sizeof(config[0]); i++)
        rd_kafka_NewTopic_set_config(new, config[i][0], config[i][1]);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_MS, why, sizeof(why));
    rd_kafka_CreateTopics(rk, &new, 1, options, answers);
    rd_kafka_event_t *event = tr_kafka_answer(client, answers, ADMIN_MS + 1000);
    int rc = created(client, event, topic, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
    rd_kafka_NewTopic_destroy(new);
    return rc;
}

/* ------------------------------------------------------------------------------------ looking */

static int
refuse_policy(const char *topic, const char *policy, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "topic %s has cleanup.policy=%s: the brokers would forget a task's state", topic,
            policy);
    return tr_error_hint(err, "name another topic, or set cleanup.policy=compact for this one");
}

static int
judge_policy(rd_kafka_event_t *event, const char *topic, struct tr_error *err)
{
    size_t resources = 0, entries = 0;
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    const rd_kafka_ConfigResource_t **resource = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &resources);
    if (resources != 1 || rd_kafka_ConfigResource_error(resource[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(resource[0], &entries);
    for (size_t i = 0; i < entries; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entry[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entry[i]), "cleanup.policy") == 0 && value != NULL &&
            strcmp(value, "compact") != 0)
            return refuse_policy(topic, value, err);
    }
    return 0;
}

rd_kafka_queue_t *
tr_kafka_ask_policy(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, answers);
    rd_kafka_ConfigResource_destroy(resource);
    return answers;
}

int
tr_kafka_judge_policy(rd_kafka_queue_t *answers, int wait_ms, const char *topic, struct tr_error *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, wait_ms);
    int rc = judge_policy(event, topic, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(answers);
    return rc;
}

/* ------------------------------------------------------------------------------------ reading */

int
tr_kafka_reader_open(struct tr_kafka_client *client, rd_kafka_conf_t *conf, const char *topic,
                     struct tr_kafka_reader *reader, struct tr_error *err)
{
    char why[256];
    const struct rd_kafka_metadata *metadata;
    *reader = (struct tr_kafka_reader){ .client = client, .name = topic };
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, tr_kafka_on_error);
    reader->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (reader->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return tr_fail(err, TR_CONFIG, "cannot make a consumer for topic %s: %s", topic, why);
    }
    /* Without a group: none is looked for, and no right to one is needed. */
    reader->topic = rd_kafka_topic_new(reader->rk, topic, NULL);
    /* A leader that is known when the reading begins spares half a second of asking again. */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int tries = 0; reader->topic != NULL && tries < 5 && code == RD_KAFKA_RESP_ERR__TIMED_OUT &&
                        !tr_kafka_is_ending(client);
         tries++)
        code = rd_kafka_metadata(reader->rk, 0, reader->topic, &metadata, TRY_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    if (reader->topic == NULL || rd_kafka_consume_start(reader->topic, 0, RD_KAFKA_OFFSET_BEGINNING) < 0) {
        tr_kafka_fail(client, err, rd_kafka_last_error(), NULL, "cannot read topic %s", topic);
        tr_kafka_reader_close(reader);
        return -(int)err->class;
    }
    reader->started = true;
    return 0;
}

void
tr_kafka_reader_close(struct tr_kafka_reader *reader)
{
    if (reader->started)
        rd_kafka_consume_stop(reader->topic, 0);
    if (reader->topic != NULL)
        rd_kafka_topic_destroy(reader->topic);
    if (reader->rk != NULL)
        rd_kafka_destroy(reader->rk);
    *reader = (struct tr_kafka_reader){ 0 };
}

static int
take(const rd_kafka_message_t *message, tr_kafka_record record, void *arg, struct tr_error *err)
{
    char *key = message->key != NULL ? tr_strndup(message->key, message->key_len) : tr_strdup("");
    char *value = message->payload != NULL ? tr_strndup(message->payload, message->len) : NULL;
    int rc = record(arg, key, value, message->offset, err);
    free(key);
    free(value);
    return rc;
}

/* What can no longer pass by waiting. */
static bool
is_final(rd_kafka_resp_err_t code)
{
    const char *hint;
    return tr_kafka_meaning(code, &hint) != TR_RETRY && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
           code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC && code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

int
tr_kafka_read_on(struct tr_kafka_reader *reader, bool to_end, int64_t until_us, tr_kafka_record record,
                 void *arg, struct tr_error *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    char why[256] = "";
    bool final = false;
    while (!final && tr_clock_us() < until_us && !tr_kafka_is_ending(reader->client)) {
        rd_kafka_message_t *message = rd_kafka_consume(reader->topic, 0, POLL_MS);
        int rc = 0;
        bool end = false;
        rd_kafka_poll(reader->rk, 0); /* errors of the connections come by callback */
        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            end = to_end;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rc = take(message, record, arg, err);
        } else {
            code = message->err;
            snprintf(why, sizeof(why), "%s", rd_kafka_message_errstr(message));
            final = is_final(code);
        }
        rd_kafka_message_destroy(message);
        if (rc != 0 || end)
            return rc;
    }
    if (!final && !to_end && !tr_kafka_is_ending(reader->client))
        return 0;
    return tr_kafka_fail(reader->client, err, code, why[0] != '\0' ? why : NULL, "cannot read topic %s",
                         reader->name);
}
