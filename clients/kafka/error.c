/* error.c - what a failure of librdkafka or of a broker means. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/kafka/client.h"

struct meaning {
    rd_kafka_resp_err_t code;
    enum tr_error_class class;
    const char *hint; /* NULL = none */
};

static const char login_hint[] = "see user and password in the target's url, and sasl_mechanism";
static const char certificate_hint[] =
    "the brokers refuse the certificate of this side: see tls_certificate and tls_key, whether it is one that they trust, and until when it holds";
static const char gone_hint[] =
    "the topic was removed: the task does not go on by itself, for what it held is gone";

/* Everything that is not here passes by itself, and is tried again from the last checkpoint. */
static const struct meaning meanings[] = {
    { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, TR_REFUSED,
      "raise max.message.bytes of the topic (and replica.fetch.max.bytes of the brokers), and message.max.bytes here: kafka: "
      "[\"message.max.bytes=...\"]" },
    { RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, TR_REFUSED, "raise message.max.bytes of the brokers" },
    { RD_KAFKA_RESP_ERR_INVALID_RECORD, TR_REFUSED,
      "a compacted topic takes no messages without a key: give the table a primary key, or the topic another cleanup.policy" },
    { RD_KAFKA_RESP_ERR_INVALID_MSG, TR_REFUSED, NULL },
    { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, TR_FATAL,
      "grant the user Write, Describe and Create on the topic, and Read where it holds a task's state" },
    { RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, TR_FATAL,
      "grant the user IdempotentWrite (and Create) on the cluster" },
    { RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TR_FATAL,
      "grant the user Write and Describe on the transactional ids that begin with tailrace-" },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, TR_REFUSED, gone_hint },
    { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, TR_REFUSED, gone_hint },
    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, TR_REFUSED,
      "the topic was removed, or made anew with fewer partitions: what it held is gone; start the task again to go on" },
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, TR_CONFIG,
      "topics have 1 to 249 letters, digits, dots, _ and -, and no two of them differ by dots and _ alone: see topic and topic_routes" },
    { RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, TR_CONFIG, "see topic_partitions" },
    { RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, TR_CONFIG,
      "see topic_replication: there must be as many brokers" },
    { RD_KAFKA_RESP_ERR_INVALID_CONFIG, TR_CONFIG, "see topic_config" },
    { RD_KAFKA_RESP_ERR_POLICY_VIOLATION, TR_CONFIG,
      "the brokers' policy forbids such a topic; make it yourself" },
    { RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, TR_CONFIG,
      "transaction_timeout is over the brokers' transaction.max.timeout.ms" },
    { RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, TR_FATAL, login_hint },
    { RD_KAFKA_RESP_ERR__AUTHENTICATION, TR_FATAL, login_hint },
    { RD_KAFKA_RESP_ERR__SSL, TR_FATAL,
      "see tls_ca: the brokers' certificate must be signed by one of it and bear the host's name; tls: off for brokers without TLS" },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, TR_FATAL, "the brokers are too old for it" },
    { RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, TR_FATAL, "the brokers are too old for it" },
};

enum tr_error_class
tr_kafka_meaning(rd_kafka_resp_err_t code, const char **hint)
{
    *hint = NULL;
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code == code) {
            *hint = meanings[i].hint;
            return meanings[i].class;
        }
    }
    return TR_RETRY;
}

bool
tr_kafka_scram_is_broken(const struct tr_kafka_client *client)
{
    return rd_kafka_version() < 0x02060100 && client->mechanism != NULL &&
           strncmp(client->mechanism, "SCRAM", 5) == 0;
}

/* A broken connection is all that a wrong security setting is to librdkafka, which then guesses, in words of its own settings. */
static const char *
guess_hint(const char *detail)
{
    if (strstr(detail, "security.protocol") == NULL && strstr(detail, "SASL") == NULL)
        return NULL;
    return "if this lasts: see tls: on or off, as the brokers' listener has it, and whether it wants a login (user and password in the "
           "target's url)";
}

/* "... SSL alert number 42 ...": what the other side says of the certificate that we showed, or did not. */
static bool
our_certificate_is_refused(const char *detail)
{
    static const long alerts[] = { 42, 43, 44, 45, 46, 48, 116 }; /* RFC 8446, 6 */
    const char *at = strstr(detail, "SSL alert number ");
    long alert = at != NULL ? strtol(at + strlen("SSL alert number "), NULL, 10) : 0;
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (alert == alerts[i])
            return true;
    return false;
}

int
tr_kafka_fail(const struct tr_kafka_client *client, struct tr_error *err, rd_kafka_resp_err_t code,
              const char *detail, const char *fmt, ...)
{
    char what[512];
    const char *hint;
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    /* "No answer" says nothing; what the connections complained of does. */
    bool silent = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                  code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
    if (silent && client->broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = client->broken;
        detail = client->broken_text;
    }
    enum tr_error_class class = tr_kafka_meaning(code, &hint);
    if (hint == NULL && detail != NULL)
        hint = guess_hint(detail);
    if (detail != NULL && our_certificate_is_refused(detail))
        hint = certificate_hint;
    tr_fail(err, class, "%s: %s", what,
            detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(code));
    if (hint == login_hint && tr_kafka_scram_is_broken(client))
        tr_error_hint(
            err,
            "%s; librdkafka %s cannot log in by SCRAM to brokers of version 4: 2.6.1 can, and so can PLAIN over TLS",
            hint, rd_kafka_version_str());
    else if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    return -(int)err->class;
}

void
tr_kafka_complain(struct tr_kafka_client *client, int code, const char *reason)
{
    /* TLS 1.3 tells only when the connection stands already, and librdkafka then takes it for one that broke. */
    if (our_certificate_is_refused(reason))
        code = RD_KAFKA_RESP_ERR__SSL;
    /* A broken TLS or login tells more than the closed connection that follows it. */
    bool better = code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    bool kept = client->broken == RD_KAFKA_RESP_ERR__SSL ||
                client->broken == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    /* And why a connection broke tells more than that all of them are. */
    kept = kept ||
           (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->broken != RD_KAFKA_RESP_ERR_NO_ERROR);
    if (better || !kept) {
        client->broken = (rd_kafka_resp_err_t)code;
        snprintf(client->broken_text, sizeof(client->broken_text), "%s", reason);
    }
}

void
tr_kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    if (code != RD_KAFKA_RESP_ERR__FATAL) /* of that the call says so that it broke */
        tr_kafka_complain(opaque, code, reason);
}

void
tr_kafka_no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}
