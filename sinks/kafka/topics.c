/* topics.c - topics are made or refused before the first message, never by a broker's habit of making what is misspelt. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define ADMIN_MS 30000
#define CREATE_MS 5000
#define TRY_MS 1000
#define METADATA_MS 2000
#define YOUTH_US (30 * TR_US_PER_S) /* within it a broker may not have heard of a topic yet */
#define SETTLE_MS 50

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
forget_list(struct kafka_sink *sink)
{
    for (size_t i = 0; i < sink->nexisting; i++)
        free(sink->existing[i]);
    free(sink->existing);
    sink->existing = NULL;
    sink->nexisting = 0;
}

int
topics_list(struct kafka_sink *sink, int timeout_ms, struct tr_error *err)
{
    const struct rd_kafka_metadata *metadata;
    /* All topics are asked for, because to ask for one by name may make it. */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int tries = 1; code != RD_KAFKA_RESP_ERR_NO_ERROR && tries * TRY_MS <= timeout_ms; tries++) {
        code = rd_kafka_metadata(sink->rk, 1, NULL, &metadata, TRY_MS);
        rd_kafka_poll(sink->rk, 0); /* errors of the connections come by callback */
        if (topic_wants_stop(sink) || (tries > 1 && sink->client.broken != RD_KAFKA_RESP_ERR_NO_ERROR))
            break;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(sink, err, code, NULL, "cannot reach the brokers %s", sink->brokers);
    forget_list(sink);
    sink->existing = tr_calloc((size_t)metadata->topic_cnt + 1, sizeof(char *));
    sink->nexisting = (size_t)metadata->topic_cnt;
    for (size_t i = 0; i < sink->nexisting; i++)
        sink->existing[i] = tr_strdup(metadata->topics[i].topic);
    rd_kafka_metadata_destroy(metadata);
    qsort(sink->existing, sink->nexisting, sizeof(char *), by_name);
    return 0;
}

bool
topic_exists(const struct kafka_sink *sink, const char *name)
{
    return sink->nexisting > 0 &&
           bsearch(&name, sink->existing, sink->nexisting, sizeof(char *), by_name) != NULL;
}

/* ------------------------------------------------------------------------------------- making */

bool
topic_wants_stop(const struct kafka_sink *sink)
{
    struct pollfd fd = { .fd = sink->base.env->stop_fd, .events = POLLIN };
    return fd.fd > 0 && poll(&fd, 1, 0) > 0;
}

/* The one answer to one request; 0 also when the topic was there (or gone) already. */
static int
admin_result(struct kafka_sink *sink, rd_kafka_event_t *event, const char *what, const char *name,
             struct tr_error *err)
{
    const rd_kafka_topic_result_t **results = NULL;
    size_t count = 0;
    if (event == NULL)
        return kafka_fail(sink, err, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "cannot %s topic %s", what, name);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *detail = rd_kafka_event_error_string(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
            results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        else
            results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
        detail = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    }
    bool done = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    if (strcmp(what, "remove") == 0)
        done = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    return done ? 0 : kafka_fail(sink, err, code, detail, "cannot %s topic %s", what, name);
}

static int
fill_new_topic(rd_kafka_NewTopic_t *topic, const char *name, const char *const *config, size_t nconfig,
               struct tr_error *err)
{
    for (size_t i = 0; i < nconfig; i++) {
        const char *equals = strchr(config[i], '=');
        if (equals == NULL || equals == config[i])
            return tr_fail(err, TR_CONFIG, "topic_config: \"%.100s\" is not of the form name=value",
                           config[i]);
        char *key = tr_strndup(config[i], (size_t)(equals - config[i]));
        rd_kafka_resp_err_t code = rd_kafka_NewTopic_set_config(topic, key, equals + 1);
        free(key);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return tr_fail(err, TR_CONFIG, "topic_config \"%.100s\" of topic %s: %s", config[i], name,
                           rd_kafka_err2str(code));
    }
    return 0;
}

/* One request; it is short, since the controller that it went to may be dead. */
static int
ask_to_create(struct kafka_sink *sink, rd_kafka_NewTopic_t *topic, const char *name, struct tr_error *err)
{
    char why[256];
    rd_kafka_queue_t *answers = rd_kafka_queue_new(sink->rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(sink->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, why, sizeof(why));
    rd_kafka_CreateTopics(sink->rk, &topic, 1, options, answers);
    rd_kafka_event_t *event = tr_kafka_answer(&sink->client, answers, CREATE_MS + 1000);
    int rc = admin_result(sink, event, "make", name, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
    return rc;
}

int
topic_create(struct kafka_sink *sink, const char *name, int partitions, int replication,
             const char *const *config, size_t nconfig, struct tr_error *err)
{
    char why[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replication, why, sizeof(why));
    if (topic == NULL)
        return tr_fail(err, TR_CONFIG, "cannot make topic %s: %s", name, why);
    int64_t deadline = tr_clock_us() + YOUTH_US;
    int rc = fill_new_topic(topic, name, config, nconfig, err);
    /* To give up would open the producer anew, and send again what is on its way; so a controller that has just died is waited for. */
    while (rc == 0 && (rc = ask_to_create(sink, topic, name, err)) == -TR_RETRY && tr_clock_us() < deadline &&
           !topic_wants_stop(sink) && sink->failure.class == TR_NO_ERROR) {
        rd_kafka_poll(sink->rk, 2 * SETTLE_MS);
        rc = 0;
    }
    rd_kafka_NewTopic_destroy(topic);
    return rc;
}

int
topic_delete(struct kafka_sink *sink, const char *name, struct tr_error *err)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(sink->rk);
    rd_kafka_DeleteTopics(sink->rk, &topic, 1, NULL, answers);
    rd_kafka_event_t *event = tr_kafka_answer(&sink->client, answers, ADMIN_MS);
    int rc = admin_result(sink, event, "remove", name, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(answers);
    rd_kafka_DeleteTopic_destroy(topic);
    return rc;
}

static int
make_or_refuse(struct kafka_sink *sink, const char *name, struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    const char *const *config;
    if (!sink->create_topics) {
        tr_fail(err, TR_REFUSED, "topic %s does not exist, and create_topics is off", name);
        return tr_error_hint(err, "make the topic, or set create_topics: true");
    }
    size_t nconfig = tr_setting_list(settings, "topic_config", &config);
    int64_t partitions = tr_setting_int(settings, "topic_partitions"),
            replication = tr_setting_int(settings, "topic_replication");
    int rc = topic_create(sink, name, partitions > 0 ? (int)partitions : -1,
                          replication > 0 ? (int)replication : -1, config, nconfig, err);
    if (rc == 0 && sink->base.env->log != NULL)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "topic %s is made", name);
    return rc;
}

/* ------------------------------------------------------------------------------------- opening */

/* What a broker (whichever is asked) says of the topic. Also tells librdkafka. */
static rd_kafka_resp_err_t
ask_partitions(struct kafka_sink *sink, rd_kafka_topic_t *handle, int timeout_ms, int32_t *count)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(sink->rk, 0, handle, &metadata, timeout_ms);
    *count = 0;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        *count = metadata->topics[0].partition_cnt;
    if (*count == 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    rd_kafka_metadata_destroy(metadata);
    return code;
}

/* Another broker may know it, or this one a moment later. */
static bool
may_pass(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__TRANSPORT || topic_is_unknown(code);
}

/* Partitions of a topic that exists; the brokers may need a moment to tell each other of a new one, and the one that was asked may die. */
static int
count_partitions(struct kafka_sink *sink, rd_kafka_topic_t *handle, const char *name, int32_t *count,
                 struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + YOUTH_US;
    rd_kafka_resp_err_t code;
    while (may_pass(code = ask_partitions(sink, handle, METADATA_MS, count))) {
        if (tr_clock_us() > deadline || topic_wants_stop(sink))
            break;
        rd_kafka_poll(sink->rk, 2 * SETTLE_MS);
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : kafka_fail(sink, err, code, NULL, "cannot read the partitions of topic %s", name);
}

bool
topic_is_unknown(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

bool
topic_settles(struct kafka_sink *sink, rd_kafka_topic_t *handle)
{
    const struct topic *topic = sink->topics;
    while (topic < sink->topics + sink->ntopics && strcmp(topic->name, rd_kafka_topic_name(handle)) != 0)
        topic++;
    if (topic == sink->topics + sink->ntopics)
        return false;
    for (;;) {
        int32_t count;
        if (tr_clock_us() > topic->opened_us + YOUTH_US || topic_wants_stop(sink))
            return false;
        if (ask_partitions(sink, handle, TRY_MS, &count) == RD_KAFKA_RESP_ERR_NO_ERROR)
            return count == topic->partitions;
        rd_kafka_poll(sink->rk, SETTLE_MS);
    }
}

/*
 * A leader that does not know its partition yet refuses a first request, and may accept the one right behind it (on_delivery tells what comes of that): so
 * each is asked something first. With exactly_once doubt_topic does.
 */
static void
meet_leaders(struct kafka_sink *sink, const char *name, int32_t partitions)
{
    int64_t deadline = tr_clock_us() + YOUTH_US;
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_topic_partition_list_add_range(ends, name, 0, partitions - 1);
    for (;;) {
        rd_kafka_resp_err_t code = look_all_ends(sink, sink->rk, ends, METADATA_MS);
        bool waits = may_pass(code) || code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        if (!waits || tr_clock_us() > deadline || topic_wants_stop(sink))
            break; /* what stands in the way is told of when the first message meets it */
        rd_kafka_poll(sink->rk, SETTLE_MS);
    }
    rd_kafka_topic_partition_list_destroy(ends);
}

static int
open_topic(struct kafka_sink *sink, const char *name, struct topic *topic, struct tr_error *err)
{
    bool state = strcmp(name, sink->state_topic) == 0; /* made by state_make */
    int64_t wanted = state ? 1 : tr_setting_int(sink->base.env->settings, "topic_partitions");
    int rc = state || topic_exists(sink, name) ? 0 : make_or_refuse(sink, name, err);
    if (rc < 0)
        return rc;
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(sink->rk);
    topic->places = tr_calloc(1, sizeof(*topic->places));
    rd_kafka_topic_conf_set_opaque(conf, topic->places);
    topic->handle = rd_kafka_topic_new(sink->rk, name, conf);
    if (topic->handle == NULL) {
        free(topic->places);
        return kafka_fail(sink, err, rd_kafka_last_error(), NULL, "cannot open topic %s", name);
    }
    rc = count_partitions(sink, topic->handle, name, &topic->partitions, err);
    if (rc == 0 && wanted > 0 && topic->partitions != wanted) {
        rc = tr_fail(err, TR_REFUSED, "topic %s has %d partitions, but %s %lld", name, topic->partitions,
                     state ? "a task's state needs" : "topic_partitions says", (long long)wanted);
        tr_error_hint(err, state
                               ? "name another topic with checkpoint_topic"
                               : "keys would move to other partitions: leave topic_partitions away, or make "
                                 "the topic anew");
    }
    if (rc < 0) {
        rd_kafka_topic_destroy(topic->handle);
        free(topic->places);
        return rc;
    }
    if (!sink->exactly_once)
        meet_leaders(sink, name, topic->partitions);
    topic->name = tr_strdup(name);
    topic->places->count = topic->partitions;
    topic->places->of = tr_calloc((size_t)topic->partitions, sizeof(uint32_t));
    topic->checked = state || !sink->exactly_once; /* the state topic is seen to before */
    topic->opened_us = tr_clock_us();
    return 0;
}

struct topic *
topic_open(struct kafka_sink *sink, const char *name, struct tr_error *err)
{
    /* An encoder keeps a topic's name at one address, so that is where we look first. */
    uint32_t *guess = &sink->topic_guess[((uintptr_t)name >> 3) % TOPIC_GUESSES];
    if (*guess < sink->ntopics && strcmp(sink->topics[*guess].name, name) == 0)
        return &sink->topics[*guess];
    for (size_t i = 0; i < sink->ntopics; i++) {
        if (strcmp(sink->topics[i].name, name) == 0) {
            *guess = (uint32_t)i;
            return &sink->topics[i];
        }
    }
    struct topic topic = { 0 };
    if (open_topic(sink, name, &topic, err) < 0)
        return NULL;
    if (sink->ntopics == sink->topics_cap) {
        sink->topics_cap = sink->topics_cap > 0 ? 2 * sink->topics_cap : 16;
        sink->topics = tr_realloc(sink->topics, sink->topics_cap * sizeof(*sink->topics));
    }
    *guess = (uint32_t)sink->ntopics;
    sink->topics[sink->ntopics] = topic;
    return &sink->topics[sink->ntopics++];
}

struct topic *
topic_get(struct kafka_sink *sink, const char *name, struct tr_error *err)
{
    struct topic *topic = topic_open(sink, name, err);
    if (topic == NULL || topic->checked)
        return topic;
    if (doubt_topic(sink, topic, err) < 0)
        return NULL;
    topic->checked = true;
    return topic;
}

static bool
is_set(const struct kafka_sink *sink, const char *option)
{
    const char *text = tr_setting_string(sink->base.env->settings, option);
    return text != NULL && text[0] != '\0';
}

bool
topics_are_chosen(const struct kafka_sink *sink)
{
    const char *const *routes;
    return is_set(sink, "topic") || tr_setting_list(sink->base.env->settings, "topic_routes", &routes) > 0;
}

void
topic_note_table(struct kafka_sink *sink, struct topic *topic, const struct tr_relation *relation)
{
    topic->relation = relation;
    if (topic->told)
        return;
    char *table = tr_asprintf("%s.%s", relation->schema, relation->name);
    if (topic->table == NULL) {
        topic->table = table;
        return;
    }
    topic->told = strcmp(topic->table, table) != 0;
    if (topic->told && !topics_are_chosen(sink) && sink->base.env->log != NULL)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "tables %s and %s are one topic to Kafka, %s: their rows come mixed, with keys that may be the same; topic_routes "
            "tells them apart",
            topic->table, table, topic->name);
    free(table);
}

void
topics_free(struct kafka_sink *sink)
{
    for (size_t i = 0; i < sink->ntopics; i++) {
        free(sink->topics[i].name);
        free(sink->topics[i].table);
        rd_kafka_topic_destroy(sink->topics[i].handle);
        free(sink->topics[i].places->of);
        free(sink->topics[i].places);
    }
    free(sink->topics);
    forget_list(sink);
}
