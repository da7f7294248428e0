/*
 * save.c - a save is a transaction: all of it or nothing, and none from a process that was replaced.
 *
 * A commit that the brokers do not answer in time stays in doubt; whatever comes next asks for its end first, so that what is loaded or built upon
 * is never a guess.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "offsets/kafka/internal.h"

#define ABORT_MS 1000
/* When the brokers give up a transaction of a process that died in it; it holds up readers of the topic until then. */
#define TRANSACTION_MS "10000"

static int
configure(struct kafka_store *store, rd_kafka_conf_t *conf, struct tr_error *err)
{
    static const char *const properties[][2] = {
        { "enable.idempotence", "true" },
        { "acks", "all" },
        { "linger.ms", "0" },
        { "transaction.timeout.ms", TRANSACTION_MS },
        { "queue.buffering.max.messages", "10000000" },
        { "queue.buffering.max.kbytes", "2097151" },
        { "reconnect.backoff.max.ms", "1000" },
    };
    int rc = tr_kafka_set_connection(conf, &store->url, &store->security, err);
    for (size_t i = 0; rc == 0 && i < sizeof(properties) / sizeof(properties[0]); i++)
        rc = tr_kafka_set(conf, properties[i][0], properties[i][1], err);
    char *id = tr_asprintf("tailrace-offsets-%s-%.*s", store->topic, (int)strlen(store->prefix) - 1,
                           store->prefix);
    if (rc == 0)
        rc = tr_kafka_set(conf, "transactional.id", id, err);
    free(id);
    return rc;
}

int
save_producer(struct kafka_store *store, struct tr_error *err)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, &store->client);
    rd_kafka_conf_set_error_cb(conf, tr_kafka_on_error);
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    store->client.broken = RD_KAFKA_RESP_ERR_NO_ERROR;
    int rc = configure(store, conf, err);
    if (rc == 0) {
        store->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
        if (store->rk == NULL)
            rc = tr_fail(err, TR_CONFIG, "offsets: cannot make a producer: %s", why);
    }
    if (rc < 0)
        rd_kafka_conf_destroy(conf);
    return rc;
}

static void
forget_pending(struct kafka_store *store)
{
    tr_checkpoint_fini(&store->next);
    memset(&store->next, 0, sizeof(store->next));
    store->pending = PENDING_NOTHING;
}

static void
swap_text(char **a, char **b)
{
    char *text = *a;
    *a = *b;
    *b = text;
}

static void
committed(struct kafka_store *store)
{
    struct tr_checkpoint *saved = &store->saved, *next = &store->next;
    if (store->pending == PENDING_ALL) {
        struct tr_checkpoint old = *saved;
        *saved = *next;
        *next = old;
    } else if (store->pending == PENDING_POSITION) {
        swap_text(&saved->position, &next->position);
        swap_text(&saved->sink_state, &next->sink_state);
    }
    store->committing = false;
    store->shown_us = tr_clock_us();
    store->client.broken = RD_KAFKA_RESP_ERR_NO_ERROR;
    forget_pending(store);
}

static int
try_abort(struct kafka_store *store, struct tr_error *err)
{
    rd_kafka_error_t *error = tr_kafka_call(&store->client, store->rk, rd_kafka_abort_transaction, ABORT_MS);
    store->committing = false;
    store->aborting = error != NULL;
    if (error == NULL) {
        forget_pending(store);
        return 0;
    }
    store->broken = !rd_kafka_error_is_retriable(error);
    tr_fail(err, TR_RETRY, "cannot end a transaction in topic %s: %s", store->topic,
            rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return -TR_RETRY;
}

/* The end of a transaction that failed: said in err, undone, or left to be asked for again. Destroys the error. */
static int
failed(struct kafka_store *store, rd_kafka_error_t *error, const char *what, struct tr_error *err)
{
    struct tr_error ignored;
    bool fatal = rd_kafka_error_is_fatal(error), retriable = rd_kafka_error_is_retriable(error);
    int rc = tr_kafka_fail(&store->client, err, rd_kafka_error_code(error), rd_kafka_error_string(error),
                           "cannot %s in topic %s", what, store->topic);
    rd_kafka_error_destroy(error);
    if (fatal) {
        store->broken = true;
        forget_pending(store);
        store->committing = store->aborting = false;
        rc = store->entering ? -TR_RETRY : enter_again(store, &ignored);
        if (rc < 0 && rc != -TR_RETRY) {
            *err = ignored;
            return rc;
        }
        err->class = TR_RETRY;
        return -TR_RETRY;
    }
    if (retriable)
        return rc;
    (void)try_abort(store, &ignored);
    return rc;
}

static int
try_commit(struct kafka_store *store, int wait_ms, struct tr_error *err)
{
    store->committing = true;
    rd_kafka_error_t *error = tr_kafka_call(&store->client, store->rk, rd_kafka_commit_transaction, wait_ms);
    if (error != NULL)
        return failed(store, error, "save the task's state", err);
    committed(store);
    return 0;
}

int
save_settle(struct kafka_store *store, int wait_ms, struct tr_error *err)
{
    if (store->failure.class != TR_NO_ERROR) {
        *err = store->failure;
        return -(int)err->class;
    }
    if (store->broken)
        return enter_again(store, err);
    if (store->committing)
        return try_commit(store, wait_ms, err);
    return store->aborting ? try_abort(store, err) : 0;
}

int
save_begin(struct kafka_store *store, int wait_ms, struct tr_error *err)
{
    int rc = save_settle(store, wait_ms, err);
    if (rc < 0)
        return rc;
    rd_kafka_poll(store->rk, 0);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(store->rk);
    return error == NULL ? 0 : failed(store, error, "begin a transaction", err);
}

int
save_put(struct kafka_store *store, const char *what, const char *value, struct tr_error *err)
{
    char *key = tr_asprintf("%s%s", store->prefix, what);
    size_t key_len = strlen(key), len = value != NULL ? strlen(value) : 0;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        store->rk, RD_KAFKA_V_TOPIC(store->topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key, key_len),
        RD_KAFKA_V_VALUE((void *)value, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    free(key);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    struct tr_error ignored;
    int rc = tr_kafka_fail(&store->client, err, code, NULL, "cannot write to topic %s", store->topic);
    (void)try_abort(store, &ignored); /* what fails in it is mended by the next call */
    return rc;
}

int
save_commit(struct kafka_store *store, int wait_ms, struct tr_error *err)
{
    TR_FAILPOINT("offsets.kafka.commit");
    int rc = try_commit(store, wait_ms, err);
    TR_FAILPOINT("offsets.kafka.done");
    return rc;
}
