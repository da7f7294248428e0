/* kafka.c - the store itself: its URL, its life, what it saves, and the thread that shows that the owner lives. */
#include "offsets/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/memory.h"
#include "offsets/kafka/internal.h"

#define CONNECT_MS 5000
#define SAVE_MS 4000
#define BEAT_MS 500
#define RELEASE_MS 1500
#define POLICY_MS 200
#define TOPIC "tailrace-offsets"

/* ------------------------------------------------------------------------------------- opening */

static int
take_param(struct kafka_store *store, const struct tr_url_param *param, struct tr_error *err)
{
    struct tr_kafka_security *security = &store->security;
    const struct {
        const char *name;
        const char **to;
    } texts[] = { { "tls", &security->tls },
                  { "tls_ca", &security->ca },
                  { "tls_certificate", &security->certificate },
                  { "tls_key", &security->key },
                  { "sasl_mechanism", &security->mechanism } };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(param->key, texts[i].name) == 0) {
            *texts[i].to = param->value;
            return 0;
        }
    }
    if (strcmp(param->key, "tls_verify") == 0) {
        security->verify = strcmp(param->value, "false") != 0;
        if (security->verify && strcmp(param->value, "true") != 0)
            return tr_fail(err, TR_CONFIG, "offsets: tls_verify is true or false");
        return 0;
    }
    if (strcmp(param->key, "replication") == 0) {
        store->replication = atoi(param->value);
        return store->replication >= 1 && store->replication <= 100
                   ? 0
                   : tr_fail(err, TR_CONFIG, "offsets: replication is a number from 1 to 100");
    }
    tr_fail(err, TR_CONFIG, "offsets: the URL has an unknown parameter %.60s", param->key);
    return tr_error_hint(err,
                         "known are tls, tls_ca, tls_certificate, tls_key, tls_verify, sasl_mechanism and "
                         "replication");
}

static int
read_url(struct kafka_store *store, const char *where, struct tr_error *err)
{
    int rc = tr_url_parse(where, &store->url, err);
    if (rc < 0)
        return tr_error_prefix(err, "offsets");
    store->security = (struct tr_kafka_security){ .tls = "auto", .verify = true, .mechanism = "PLAIN" };
    for (int i = 0; rc == 0 && i < store->url.nparams; i++)
        rc = take_param(store, &store->url.params[i], err);
    const char *tls = store->security.tls, *path = store->url.path;
    if (rc == 0 && strcmp(tls, "auto") != 0 && strcmp(tls, "on") != 0 && strcmp(tls, "off") != 0)
        rc = tr_fail(err, TR_CONFIG, "offsets: tls is auto, on or off");
    if (rc == 0 && store->url.hosts[0] == '\0')
        rc = tr_fail(err, TR_CONFIG, "offsets: the URL names no broker: kafka://host:port,host:port/topic");
    store->topic = tr_strdup(path != NULL && path[0] != '\0' ? path : TOPIC);
    store->client.brokers = store->url.hosts;
    store->client.mechanism = store->security.mechanism;
    return rc;
}

/* The topic exists, with one partition, and forgets nothing that counts. */
static int
find_topic(struct kafka_store *store, struct tr_error *err)
{
    int partitions;
    int rc = tr_kafka_count_partitions(&store->client, store->rk, store->topic, CONNECT_MS, &partitions, err);
    if (rc < 0)
        return rc;
    if (partitions == 0)
        return tr_kafka_make_compacted(&store->client, store->rk, store->topic, store->replication, err);
    if (partitions != 1) {
        tr_fail(err, TR_REFUSED, "topic %s has %d partitions, but offsets need one that has 1", store->topic,
                partitions);
        return tr_error_hint(err, "name another topic: offsets: kafka://%s/TOPIC", store->url.hosts);
    }
    store->policy = tr_kafka_ask_policy(store->rk, store->topic);
    return 0;
}

/* The answer had the time of entering to come. */
static int
judge_policy(struct kafka_store *store, int rc, struct tr_error *err)
{
    struct tr_error second;
    int judged = tr_kafka_judge_policy(store->policy, rc == 0 && store->new_here ? POLICY_MS : 0,
                                       store->topic, &second);
    store->policy = NULL;
    if (rc < 0 || judged == 0)
        return rc;
    *err = second;
    return judged;
}

/* --------------------------------------------------------------------------- the owner's beat */

/* While nothing is saved, the owner's record is written again. A failure is told by the next save. */
static void
beat(struct kafka_store *store)
{
    struct tr_error ignored;
    char own[320];
    if (store->dropped || store->failure.class != TR_NO_ERROR ||
        tr_clock_us() - store->shown_us < BEAT_US * 3 / 4)
        return;
    if (store->broken) /* making it anew takes long; a save does it */
        return;
    snprintf(own, sizeof(own), "%s beat=%llu", store->owner, (unsigned long long)++store->beats);
    if (save_begin(store, BEAT_MS, &ignored) == 0 && save_put(store, "owner", own, &ignored) == 0)
        (void)save_commit(store, BEAT_MS, &ignored);
}

static void *
beat_main(void *arg)
{
    struct kafka_store *store = arg;
    pthread_mutex_lock(&store->lock);
    while (!store->closing) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + (int64_t)BEAT_US * 1000;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&store->wake, &store->lock, &until);
        if (!store->closing)
            beat(store);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static int
start_beating(struct kafka_store *store, struct tr_error *err)
{
    store->beating = pthread_create(&store->beater, NULL, beat_main, store) == 0;
    return store->beating ? 0 : tr_fail(err, TR_FATAL, "offsets: no thread can be started");
}

static void
stop_beating(struct kafka_store *store)
{
    if (!store->beating)
        return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->beater, NULL);
    store->beating = false;
}

/* ---------------------------------------------------------------------------------------- life */

/* The next process need not listen for us. */
static void
release(struct kafka_store *store)
{
    struct tr_error ignored;
    if (store->rk == NULL || store->owner[0] == '\0' || store->dropped || store->broken ||
        store->failure.class != TR_NO_ERROR)
        return;
    if (save_begin(store, RELEASE_MS, &ignored) == 0 && save_put(store, "owner", NULL, &ignored) == 0)
        (void)save_commit(store, RELEASE_MS, &ignored);
}

static void
kafka_store_close(struct tr_offset_store *base)
{
    struct kafka_store *store = (struct kafka_store *)base;
    if (store == NULL)
        return;
    stop_beating(store);
    pthread_mutex_lock(&store->lock);
    store->entering = true; /* a failure now is nobody's affair */
    release(store);
    if (store->rk != NULL) {
        rd_kafka_purge(store->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(store->rk);
    }
    pthread_mutex_unlock(&store->lock);
    tr_checkpoint_fini(&store->saved);
    tr_checkpoint_fini(&store->next);
    tr_url_fini(&store->url);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store->topic);
    free(store->task);
    free(store->prefix);
    free(store);
}

static struct kafka_store *
new_store(const char *task)
{
    struct kafka_store *store = tr_calloc(1, sizeof(*store));
    pthread_condattr_t attributes;
    store->base.class = &tr_kafka_store;
    store->replication = -1;
    store->task = tr_strdup(task);
    store->prefix = record_prefix(task);
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return store;
}

static int
kafka_store_open(const char *where, const char *task, const _Atomic int64_t *end_us,
                 struct tr_offset_store **out, struct tr_error *err)
{
    struct kafka_store *store = new_store(task);
    *out = NULL;
    store->client.end_us = end_us;
    int rc = read_url(store, where, err);
    if (rc == 0)
        rc = save_producer(store, err);
    if (rc == 0)
        rc = find_topic(store, err);
    if (rc == 0)
        rc = enter(store, err);
    if (store->policy != NULL)
        rc = judge_policy(store, rc, err);
    if (rc == 0)
        rc = start_beating(store, err);
    if (rc < 0) {
        kafka_store_close(&store->base);
        return rc;
    }
    *out = &store->base;
    return 0;
}

/* ------------------------------------------------------------------------------------- saving */

static int
fail_dropped(const struct kafka_store *store, struct tr_error *err)
{
    return tr_fail(err, TR_FATAL, "the state of task %s in topic %s was dropped", store->task, store->topic);
}

static int
kafka_store_load(struct tr_offset_store *base, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct kafka_store *store = (struct kafka_store *)base;
    *checkpoint = (struct tr_checkpoint){ 0 };
    pthread_mutex_lock(&store->lock);
    int rc = store->dropped ? fail_dropped(store, err) : save_settle(store, SAVE_MS, err);
    if (rc == 0)
        tr_checkpoint_copy(checkpoint, &store->saved);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int
put_changed(struct kafka_store *store, const char *what, const char *old, const char *new,
            struct tr_error *err)
{
    return same_text(old, new) ? 0 : save_put(store, what, new, err);
}

static int
put_table(struct kafka_store *store, const struct tr_table_cut *cut, bool remove, struct tr_error *err)
{
    char *what = tr_asprintf("table:%s", cut->table);
    char *value = remove ? NULL : record_of_table(cut);
    int rc = save_put(store, what, value, err);
    free(value);
    free(what);
    return rc;
}

/* Only what differs is written. */
static int
put_tables(struct kafka_store *store, const struct tr_checkpoint *new, struct tr_error *err)
{
    const struct tr_checkpoint *old = &store->saved;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < new->ntables; i++) {
        const struct tr_table_cut *cut = &new->tables[i], *was = tr_checkpoint_table(old, cut->table);
        if (was == NULL || was->done != cut->done || !same_text(was->position, cut->position))
            rc = put_table(store, cut, false, err);
    }
    for (size_t i = 0; rc == 0 && i < old->ntables; i++)
        if (tr_checkpoint_table(new, old->tables[i].table) == NULL)
            rc = put_table(store, &old->tables[i], true, err);
    return rc;
}

static int
save_all(struct kafka_store *store, const struct tr_checkpoint *new, struct tr_error *err)
{
    int rc = save_begin(store, SAVE_MS, err);
    const struct tr_checkpoint
        *old = &store->saved; /* as of the beginning: it may just have been read again */
    if (rc == 0)
        rc = put_changed(store, "position", old->position, new->position, err);
    if (rc == 0)
        rc = put_changed(store, "sink_state", old->sink_state, new->sink_state, err);
    if (rc == 0)
        rc = put_changed(store, "identity", old->identity, new->identity, err);
    if (rc == 0)
        rc = put_changed(store, "phase", old->phase, new->phase, err);
    if (rc == 0)
        rc = put_tables(store, new, err);
    if (rc < 0)
        return rc;
    tr_checkpoint_copy(&store->next, new);
    store->pending = PENDING_ALL;
    return save_commit(store, SAVE_MS, err);
}

static int
kafka_store_save(struct tr_offset_store *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct kafka_store *store = (struct kafka_store *)base;
    pthread_mutex_lock(&store->lock);
    int rc = store->dropped ? fail_dropped(store, err) : save_all(store, checkpoint, err);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

static int
save_position(struct kafka_store *store, const char *position, const char *sink_state, struct tr_error *err)
{
    int rc = save_begin(store, SAVE_MS, err);
    if (rc == 0)
        rc = save_put(store, "position", position, err);
    if (rc == 0)
        rc = put_changed(store, "sink_state", store->saved.sink_state, sink_state, err);
    if (rc < 0)
        return rc;
    store->next.position = tr_strdup(position);
    store->next.sink_state = tr_strdup(sink_state);
    store->pending = PENDING_POSITION;
    return save_commit(store, SAVE_MS, err);
}

static int
kafka_store_save_position(struct tr_offset_store *base, const char *position, const char *sink_state,
                          struct tr_error *err)
{
    struct kafka_store *store = (struct kafka_store *)base;
    pthread_mutex_lock(&store->lock);
    int rc = store->dropped ? fail_dropped(store, err) : save_position(store, position, sink_state, err);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

/* A removed record is compacted away by the brokers in time. */
static int
drop_all(struct kafka_store *store, struct tr_error *err)
{
    static const char *const whats[] = { "position", "sink_state", "identity", "phase", "format", "owner" };
    int rc = save_begin(store, SAVE_MS, err);
    for (size_t i = 0; rc == 0 && i < sizeof(whats) / sizeof(whats[0]); i++)
        rc = save_put(store, whats[i], NULL, err);
    for (size_t i = 0; rc == 0 && i < store->saved.ntables; i++)
        rc = put_table(store, &store->saved.tables[i], true, err);
    if (rc < 0)
        return rc;
    store->pending = PENDING_ALL; /* and `next` is empty */
    rc = save_commit(store, SAVE_MS, err);
    store->dropped = rc == 0;
    return rc;
}

static int
kafka_store_drop(struct tr_offset_store *base, struct tr_error *err)
{
    struct kafka_store *store = (struct kafka_store *)base;
    pthread_mutex_lock(&store->lock);
    int rc = store->dropped ? 0 : drop_all(store, err);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

const struct tr_offset_store_class tr_kafka_store = {
    .name = "kafka",
    .schemes = "kafka",
    .open = kafka_store_open,
    .close = kafka_store_close,
    .load = kafka_store_load,
    .save = kafka_store_save,
    .save_position = kafka_store_save_position,
    .drop = kafka_store_drop,
};
