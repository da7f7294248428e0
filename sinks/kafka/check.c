/* check.c - what would hurt a task at these brokers. That they cannot be reached, or refuse the user, open has said already. */
#include <stdio.h>
#include <string.h>

#include "core/finding.h"
#include "core/memory.h"
#include "core/url.h"
#include "sinks/kafka/internal.h"

#define METADATA_MS 10000

static void
add(const struct tr_findings *findings, enum tr_finding_level level, const char *id, const char *object,
    const char *text)
{
    findings->add(findings->arg, level, id, object, text, NULL);
}

static void
check_settings(const struct kafka_sink *sink, const struct tr_findings *findings)
{
    const struct tr_settings *settings = sink->base.env->settings;
    struct tr_error ignored;
    struct tr_url url;
    if (!sink->exactly_once)
        add(findings, TR_FINDING_NOTE, "kafka-at-least-once", NULL,
            "after a kill the changes behind the last checkpoint are sent again; exactly_once: true prevents that for consumers "
            "that read committed");
    if (!tr_setting_bool(settings, "tls_verify"))
        add(findings, TR_FINDING_WARNING, "kafka-tls-unverified", NULL,
            "tls_verify is off: whoever answers at the brokers' addresses gets the changes and the password");
    if (tr_kafka_scram_is_broken(&sink->client))
        add(findings, TR_FINDING_WARNING, "kafka-scram", NULL,
            "this librdkafka is older than 2.6.1 and cannot log in by SCRAM to brokers of version 4");
    if (tr_url_parse(tr_setting_string(settings, "target"), &url, &ignored) < 0)
        return;
    if (url.password != NULL && !tr_url_is_local(&url) &&
        strcmp(tr_setting_string(settings, "tls"), "off") == 0)
        add(findings, TR_FINDING_WARNING, "kafka-password-in-clear", NULL,
            "tls is off: the password crosses the network readably");
    tr_url_fini(&url);
}

/* Ours by its name: the state topic, or a topic of this prefix. */
static bool
is_ours(const struct kafka_sink *sink, const char *name)
{
    const char *given = tr_setting_string(sink->base.env->settings, "topic_prefix");
    const char *prefix = given != NULL && given[0] != '\0' ? given : sink->base.env->task;
    size_t len = strlen(prefix);
    return strcmp(name, sink->state_topic) == 0 || (strncmp(name, prefix, len) == 0 && name[len] == '.');
}

static void
check_topic(const struct kafka_sink *sink, const struct rd_kafka_metadata_topic *topic, int brokers,
            const struct tr_findings *findings)
{
    int64_t wanted = tr_setting_int(sink->base.env->settings, "topic_partitions");
    bool state = strcmp(topic->topic, sink->state_topic) == 0;
    char text[200];
    if (topic->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        add(findings, TR_FINDING_ERROR, "kafka-topic-forbidden", topic->topic,
            "the user may not use this topic");
        return;
    }
    if (state)
        wanted = 1;
    if (wanted > 0 && topic->partition_cnt > 0 && topic->partition_cnt != wanted) {
        snprintf(text, sizeof(text), "it has %d partitions and should have %lld", topic->partition_cnt,
                 (long long)wanted);
        add(findings, TR_FINDING_ERROR, "kafka-topic-partitions", topic->topic, text);
    }
    if (brokers > 1 && topic->partition_cnt > 0 && topic->partitions[0].replica_cnt == 1)
        add(findings, TR_FINDING_WARNING, "kafka-topic-one-replica", topic->topic,
            "it has one replica: what is confirmed is lost with that broker's disk");
}

int
kafka_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
            struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    const struct rd_kafka_metadata *metadata;
    (void)schema;
    check_settings(sink, findings);
    const struct tr_encoder_class *encoder = sink->encoder->class;
    int rc = encoder->check != NULL ? encoder->check(sink->encoder, findings, err) : 0;
    if (rc < 0)
        return rc;
    rd_kafka_resp_err_t code = rd_kafka_metadata(sink->rk, 1, NULL, &metadata, METADATA_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(sink, err, code, NULL, "cannot reach the brokers %s", sink->brokers);
    if (metadata->broker_cnt == 1)
        add(findings, TR_FINDING_WARNING, "kafka-one-broker", NULL,
            "there is one broker: what it confirms is lost with its disk, and nothing is written while it is away");
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (is_ours(sink, metadata->topics[i].topic))
            check_topic(sink, &metadata->topics[i], metadata->broker_cnt, findings);
    rd_kafka_metadata_destroy(metadata);
    return 0;
}
