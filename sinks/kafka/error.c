/* error.c - failures of librdkafka and the brokers, as the task sees them; what they mean is in clients/kafka. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "core/clock.h"
#include "sinks/kafka/internal.h"

#define SILENCE_US (5 * TR_US_PER_S)

int
kafka_fail(struct kafka_sink *sink, struct tr_error *err, rd_kafka_resp_err_t code, const char *detail,
           const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    return tr_kafka_fail(&sink->client, err, code, detail, "%s", what);
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
    tr_kafka_complain(&sink->client, code, reason);
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
    /* Only the log tells which partition a transaction was not allowed to have. */
    bool tells = level <= LOG_CRIT || (level <= LOG_ERR && strcmp(facility, "ADDPARTS") == 0);
    if (sink != NULL && sink->base.env->log != NULL)
        tr_log(sink->base.env->log, tells ? TR_LOG_WARNING : TR_LOG_DEBUG, "sink", "kafka %s: %s", facility,
               text);
}

/* librdkafka's own word that all brokers are down does not always come: it counts connections, and that to a coordinator comes and goes. */
void
kafka_note_silence(struct kafka_sink *sink, int64_t now_us)
{
    struct silence *silence = &sink->silence;
    struct tr_log *log = sink->base.env->log;
    int64_t age_us = now_us - silence->since_us;
    if ((sink->bytes_out == 0 && sink->txn <= TXN_OPEN) || silence->confirmed != silence->seen) {
        if (silence->told_us > 0 && log != NULL)
            tr_log(log, TR_LOG_INFO, "sink", "brokers %s confirm again, after %d s", sink->brokers,
                   (int)(age_us / TR_US_PER_S));
        if (silence->confirmed != silence->seen)
            sink->client.broken = RD_KAFKA_RESP_ERR_NO_ERROR;
        *silence = (struct silence){ silence->confirmed, silence->confirmed, now_us, 0 };
    } else if (age_us >= SILENCE_US && age_us >= 2 * silence->told_us && log != NULL) {
        silence->told_us = age_us;
        tr_log(log, TR_LOG_WARNING, "sink",
               "brokers %s have confirmed nothing for %d s, what was sent is waited for: %s", sink->brokers,
               (int)(age_us / TR_US_PER_S),
               sink->client.broken != RD_KAFKA_RESP_ERR_NO_ERROR ? sink->client.broken_text : "no answer");
    }
}
