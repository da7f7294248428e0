/*
 * enter.c - how a process becomes the owner of a task's state.
 *
 * 1. The topic is read, what is not committed included: who was the owner, and when it was last heard. A process of this machine that is gone is known to be; any
 *    other is listened for, and refused is who hears a sign of life.
 * 2. The transactional id is taken: the brokers fence a predecessor and end its transaction.
 * 3. Our name is written, and the topic read again as committed until that very record comes: what lies before it is the state. The end of the topic would not do,
 *    for another task's open transaction hides what lies behind its beginning.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "offsets/kafka/internal.h"

#define FORMAT "1"
#define INIT_MS 10000
#define READ_US (30 * TR_US_PER_S)

/* The key's part behind our prefix, or NULL for another task's. */
static const char *
own_key(const struct kafka_store *store, const char *key)
{
    size_t len = strlen(store->prefix);
    return strncmp(key, store->prefix, len) == 0 ? key + len : NULL;
}

static int
open_reader(struct kafka_store *store, bool committed, struct tr_kafka_reader *reader, struct tr_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    memset(reader, 0, sizeof(*reader));
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    int rc = tr_kafka_set_connection(conf, &store->url, &store->security, err);
    if (rc == 0)
        rc = tr_kafka_set_reader(conf, committed, err);
    if (rc == 0)
        return tr_kafka_reader_open(&store->client, conf, store->topic, reader, err);
    rd_kafka_conf_destroy(conf);
    return rc;
}

/* ---------------------------------------------------------------------------- the predecessor */

struct predecessor {
    const struct kafka_store *store;
    char *owner;    /* NULL = none */
    bool listening; /* for news of it */
};

static int
hear_record(void *arg, const char *key, const char *value, int64_t offset, struct tr_error *err)
{
    struct predecessor *before = arg;
    const char *what = own_key(before->store, key);
    (void)offset, (void)err;
    if (what == NULL)
        return 0;
    if (strcmp(what, "owner") == 0) {
        free(before->owner);
        before->owner = tr_strdup(value);
    }
    return before->listening;
}

static int
refuse(const struct kafka_store *store, const char *owner, struct tr_error *err)
{
    char who[160];
    owner_describe(owner, who, sizeof(who));
    tr_fail(err, TR_REFUSED, "the state of task %s in topic %s is in use by %s", store->task, store->topic,
            who);
    return tr_error_hint(err,
                         "one process at a time runs a task: stop that one, or give this task another name");
}

/* Is somebody there? Not for sure when 0 is returned, but then step 2 tells them. */
static int
listen_for(struct kafka_store *store, struct tr_kafka_reader *reader, struct predecessor *before,
           struct tr_error *err)
{
    int rc = tr_kafka_read_on(reader, true, tr_clock_us() + READ_US, hear_record, before, err);
    if (rc < 0 || before->owner == NULL || owner_is_dead(before->owner))
        return rc;
    before->listening = true;
    rc = tr_kafka_read_on(reader, false, tr_clock_us() + LEASE_US, hear_record, before, err);
    return rc > 0 && before->owner != NULL ? refuse(store, before->owner, err) : rc < 0 ? rc : 0;
}

/* ---------------------------------------------------------------------------------- the state */

struct reading {
    const struct kafka_store *store;
    const char *until; /* our own record */
    struct tr_checkpoint checkpoint;
    unsigned known; /* records that say so; one is ours */
};

static int
take_record(void *arg, const char *key, const char *value, int64_t offset, struct tr_error *err)
{
    struct reading *reading = arg;
    const char *what = own_key(reading->store, key);
    if (what == NULL)
        return 0;
    if (strcmp(what, "owner") == 0)
        return value != NULL && strcmp(value, reading->until) == 0;
    if (strcmp(what, "format") == 0) {
        reading->known++;
        if (value == NULL || strcmp(value, FORMAT) == 0)
            return 0;
        tr_fail(err, TR_REFUSED, "the state of task %s in topic %s was written by a newer tailrace",
                reading->store->task, reading->store->topic);
        return tr_error_hint(err, "run the newer version, or name another topic");
    }
    if (record_take(&reading->checkpoint, what, value))
        return 0;
    tr_fail(err, TR_REFUSED,
            "topic %s holds a record of task %s that no task wrote (offset %lld, key %.100s)",
            reading->store->topic, reading->store->task, (long long)offset, key);
    return tr_error_hint(err, "name another topic for the offsets");
}

static int
read_state(struct kafka_store *store, const char *own, struct tr_error *err)
{
    struct reading reading = { .store = store, .until = own };
    struct tr_kafka_reader reader;
    int rc = open_reader(store, true, &reader, err);
    if (rc == 0)
        rc = tr_kafka_read_on(&reader, false, tr_clock_us() + READ_US, take_record, &reading, err);
    tr_kafka_reader_close(&reader);
    if (rc == 0)
        rc = tr_fail(err, TR_RETRY, "topic %s: what was just written does not come back", store->topic);
    if (rc < 0) {
        tr_checkpoint_fini(&reading.checkpoint);
        return rc;
    }
    tr_checkpoint_fini(&store->saved);
    store->saved = reading.checkpoint;
    store->new_here = reading.known <= 1;
    return 0;
}

/* ------------------------------------------------------------------------------------ entering */

static int
fence(struct kafka_store *store, struct tr_error *err)
{
    rd_kafka_error_t *error = tr_kafka_call(&store->client, store->rk, rd_kafka_init_transactions, INIT_MS);
    rd_kafka_poll(store->rk, 0);
    if (error == NULL)
        return 0;
    int rc = tr_kafka_fail(&store->client, err, rd_kafka_error_code(error), rd_kafka_error_string(error),
                           "cannot begin with transactions in topic %s", store->topic);
    rd_kafka_error_destroy(error);
    return rc;
}

/* Steps 2 and 3. */
static int
take_over(struct kafka_store *store, struct tr_error *err)
{
    char own[320];
    snprintf(own, sizeof(own), "%s beat=%llu", store->owner, (unsigned long long)++store->beats);
    int rc = fence(store, err);
    store->broken = rc < 0;
    store->aborting = store->committing = false;
    store->entering = true; /* what fails now is not mended by entering again */
    if (rc == 0)
        rc = save_begin(store, INIT_MS, err);
    if (rc == 0)
        rc = save_put(store, "format", FORMAT, err);
    if (rc == 0)
        rc = save_put(store, "owner", own, err);
    if (rc == 0)
        rc = save_commit(store, INIT_MS, err);
    store->entering = false;
    if (rc == 0)
        rc = read_state(store, own, err);
    store->broken = store->broken || rc < 0;
    return rc;
}

int
enter(struct kafka_store *store, struct tr_error *err)
{
    struct predecessor before = { .store = store };
    struct tr_kafka_reader reader;
    int rc = open_reader(store, false, &reader, err);
    if (rc == 0)
        rc = listen_for(store, &reader, &before, err);
    tr_kafka_reader_close(&reader);
    free(before.owner);
    if (rc < 0)
        return rc;
    owner_name(store->owner, sizeof(store->owner));
    rc = take_over(store, err);
    if (rc < 0)
        store->owner[0] = '\0';
    return rc;
}

static int
replaced(struct kafka_store *store, const char *owner, struct tr_error *err)
{
    char who[160] = "another process, which has ended since,";
    if (owner != NULL)
        owner_describe(owner, who, sizeof(who));
    tr_fail(err, TR_FATAL, "%s has taken over the task %s (its state is in topic %s)", who, store->task,
            store->topic);
    tr_error_hint(err, "one process at a time runs a task; this one ends, the other goes on");
    store->failure = *err;
    return -TR_FATAL;
}

int
enter_again(struct kafka_store *store, struct tr_error *err)
{
    struct predecessor now = { .store = store };
    struct tr_kafka_reader reader;
    if (store->owner[0] == '\0')
        return tr_fail(err, TR_RETRY, "the brokers' transactions failed while the task's state was opened");
    int rc = open_reader(store, false, &reader, err);
    if (rc == 0)
        rc = tr_kafka_read_on(&reader, true, tr_clock_us() + READ_US, hear_record, &now, err);
    tr_kafka_reader_close(&reader);
    if (rc == 0 && (now.owner == NULL || !owner_same(now.owner, store->owner)))
        rc = replaced(store, now.owner, err);
    free(now.owner);
    if (rc < 0)
        return rc;
    if (store->rk != NULL)
        rd_kafka_destroy(store->rk);
    store->rk = NULL;
    rc = save_producer(store, err);
    return rc == 0 ? take_over(store, err) : rc;
}
