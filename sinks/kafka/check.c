/* check.c - what would hurt a task at these brokers. That they cannot be reached, or refuse the user, open has said already. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/finding.h"
#include "core/memory.h"
#include "core/url.h"
#include "schema/schema.h"
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

/* ------------------------------------------------------------------------------------- topics of tables */

struct named {
    const char *topic, *flat; /* flat: with _ for each dot, which is how brokers compare names */
    const struct tr_relation *relation;
};

static int
by_flat_name(const void *a, const void *b)
{
    const struct named *one = a, *other = b;
    int order = strcmp(one->flat, other->flat);
    if (order == 0)
        order = strcmp(one->topic, other->topic);
    return order != 0 ? order : strcmp(one->relation->name, other->relation->name);
}

static void
compare_names(const struct kafka_sink *sink, const struct named *one, const struct named *other,
              const struct tr_findings *findings)
{
    char text[700], object[300];
    const struct tr_relation *a = one->relation, *b = other->relation;
    bool same = strcmp(one->topic, other->topic) == 0;
    if (strcmp(one->flat, other->flat) != 0 || (same && topics_are_chosen(sink)))
        return;
    snprintf(object, sizeof(object), "%s", other->topic);
    if (same)
        snprintf(
            text, sizeof(text),
            "tables %.120s.%.120s and %.120s.%.120s are one topic to Kafka: their rows come mixed, with keys that may be "
            "the same; topic_routes tells them apart",
            a->schema, a->name, b->schema, b->name);
    else
        snprintf(
            text, sizeof(text),
            "the brokers take it for %.250s, of table %.120s.%.120s, since the names differ by dots and _ alone; "
            "topic_routes tells them apart",
            one->topic, a->schema, a->name);
    add(findings, same ? TR_FINDING_WARNING : TR_FINDING_ERROR,
        same ? "kafka-topic-shared" : "kafka-topic-name", object, text);
}

static bool
is_listed(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            return true;
    return false;
}

int
check_names(const struct kafka_sink *sink, const struct tr_schema *schema,
            const struct rd_kafka_metadata *metadata, const struct tr_findings *findings,
            struct tr_error *err)
{
    struct tr_arena arena;
    size_t count = 0;
    int rc = 0;
    struct named *names = tr_calloc(schema->ntables + 1, sizeof(*names));
    tr_arena_init(&arena);
    for (uint32_t i = 0; rc == 0 && i < schema->ntables; i++) {
        struct named *name = &names[count++];
        name->relation = schema->tables[i].relation;
        name->topic = tr_encoder_topic(&sink->encoder_env, &arena, name->relation, err);
        if (name->topic == NULL) {
            rc = -(int)err->class;
            break;
        }
        char *flat = tr_arena_copy(&arena, name->topic, strlen(name->topic));
        for (char *at = flat; *at != '\0'; at++)
            *at = *at == '.' ? '_' : *at;
        name->flat = flat;
        if (!sink->create_topics && !is_listed(metadata, name->topic))
            add(findings, TR_FINDING_ERROR, "kafka-topic-missing", name->topic,
                "it does not exist, and create_topics is off");
    }
    qsort(names, count, sizeof(*names), by_flat_name);
    for (size_t i = 1; i < count; i++)
        compare_names(sink, &names[i - 1], &names[i], findings);
    tr_arena_fini(&arena);
    free(names);
    return rc;
}

int
kafka_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
            struct tr_error *err)
{
    struct kafka_sink *sink = (struct kafka_sink *)base;
    const struct rd_kafka_metadata *metadata;
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
    rc = schema != NULL ? check_names(sink, schema, metadata, findings, err) : 0;
    rd_kafka_metadata_destroy(metadata);
    return rc;
}
