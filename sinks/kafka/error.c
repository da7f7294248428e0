/* error.c - what a failure of librdkafka or of a broker means for the task. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "sinks/kafka/internal.h"

struct meaning {
    rd_kafka_resp_err_t code;
    enum tr_error_class class;
    const char *hint; /* NULL = none */
};

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
      "grant the user Write, Describe and Create on the topic" },
    { RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, TR_FATAL,
      "grant the user IdempotentWrite (and Create) on the cluster" },
    { RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TR_FATAL,
      "grant the user Write and Describe on the transactional id tailrace-TASK" },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, TR_REFUSED,
      "the topic was removed: the task does not go on by itself, for what it held is gone" },
    { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, TR_REFUSED,
      "the topic was removed: the task does not go on by itself, for what it held is gone" },
    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, TR_REFUSED, "the topic was made anew with fewer partitions" },
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, TR_CONFIG, "topics have 1 to 249 letters, digits, dots, _ and -" },
    { RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, TR_CONFIG, "see topic_partitions" },
    { RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, TR_CONFIG,
      "see topic_replication: there must be as many brokers" },
    { RD_KAFKA_RESP_ERR_INVALID_CONFIG, TR_CONFIG, "see topic_config" },
    { RD_KAFKA_RESP_ERR_POLICY_VIOLATION, TR_CONFIG,
      "the brokers' policy forbids such a topic; make it yourself" },
    { RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, TR_CONFIG,
      "transaction_timeout is over the brokers' transaction.max.timeout.ms" },
    { RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, TR_FATAL,
      "see user and password in the target's url, and sasl_mechanism" },
    { RD_KAFKA_RESP_ERR__AUTHENTICATION, TR_FATAL,
      "see user and password in the target's url, and sasl_mechanism" },
    { RD_KAFKA_RESP_ERR__SSL, TR_FATAL,
      "see tls_ca: the brokers' certificate must be signed by one of it and bear the host's name; tls: off for brokers without TLS" },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, TR_FATAL, "the brokers are too old for it" },
    { RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, TR_FATAL, "the brokers are too old for it" },
};

static const struct meaning *
meaning_of(rd_kafka_resp_err_t code)
{
    static const struct meaning passing = { .class = TR_RETRY };
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].code == code)
            return &meanings[i];
    return &passing;
}

bool
kafka_scram_is_broken(const struct kafka_sink *sink)
{
    return rd_kafka_version() < 0x02060100 &&
           strncmp(tr_setting_string(sink->base.env->settings, "sasl_mechanism"), "SCRAM", 5) == 0;
}

int
kafka_fail(struct kafka_sink *sink, struct tr_error *err, rd_kafka_resp_err_t code, const char *detail,
           const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    /* "No answer" says nothing; what the connections complained of does. */
    bool silent = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                  code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
    if (silent && sink->last_broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = sink->last_broken;
        detail = sink->last_broken_text;
    }
    const struct meaning *meaning = meaning_of(code);
    tr_fail(err, meaning->class, "%s: %s", what,
            detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(code));
    if (meaning->hint != NULL)
        tr_error_hint(err, "%s", meaning->hint);
    if (meaning->class == TR_FATAL && kafka_scram_is_broken(sink))
        tr_error_hint(
            err,
            "librdkafka %s cannot log in by SCRAM to brokers of version 4; 2.6.1 can, and so can PLAIN over TLS",
            rd_kafka_version_str());
    return -(int)err->class;
}

int
kafka_fail_error(struct kafka_sink *sink, struct tr_error *err, rd_kafka_error_t *error, const char *what)
{
    int rc = kafka_fail(sink, err, rd_kafka_error_code(error), rd_kafka_error_string(error), "%s", what);
    rd_kafka_error_destroy(error);
    return rc;
}

void
kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_sink *sink = opaque;
    char text[512];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(rk, text, sizeof(text));
        if (sink->failure.class == TR_NO_ERROR)
            kafka_fail(sink, &sink->failure, fatal, text, "brokers %s: the producer cannot go on",
                       sink->brokers);
        return;
    }
    /* A broken TLS or login tells more than the closed connection that follows it. */
    bool better = code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    bool kept = sink->last_broken == RD_KAFKA_RESP_ERR__SSL ||
                sink->last_broken == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    if (better || !kept) {
        sink->last_broken = (rd_kafka_resp_err_t)code;
        snprintf(sink->last_broken_text, sizeof(sink->last_broken_text), "%s", reason);
    }
    if (sink->base.env->log != NULL)
        tr_log(sink->base.env->log,
               code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ? TR_LOG_WARNING : TR_LOG_DEBUG, "sink",
               "kafka: %s", reason);
}

/* thread: librdkafka's own */
void
kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct kafka_sink *sink = rd_kafka_opaque(rk);
    if (sink != NULL && sink->base.env->log != NULL)
        tr_log(sink->base.env->log, level <= LOG_CRIT ? TR_LOG_WARNING : TR_LOG_DEBUG, "sink", "kafka %s: %s",
               facility, text);
}
