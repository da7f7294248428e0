/* config.c - the settings of the sink as librdkafka's properties, and those that no user may turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/url.h"
#include "sinks/kafka/internal.h"

const struct tr_option kafka_options[] = {
    { .name = "exactly_once",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help =
          "write in Kafka transactions that hold the rows and the checkpoint, for consumers with read_committed" },
    { .name = "transaction_interval",
      .section = "target",
      .type = TR_OPTION_DURATION,
      .value = "1s",
      .min = 1000,
      .max = INT64_C(30000000),
      .help =
          "exactly_once: how long a transaction gathers changes while there are more; a lone one is committed at once" },
    { .name = "transaction_timeout",
      .section = "target",
      .type = TR_OPTION_DURATION,
      .value = "60s",
      .min = 1000000,
      .max = INT64_C(900000000),
      .help =
          "exactly_once: when the brokers give up a transaction of a task that is gone; at most their transaction.max.timeout.ms" },
    { .name = "checkpoint_topic",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "exactly_once: the compacted topic of the task's state (default: tailrace-checkpoint-TASK)" },
    { .name = "create_topics",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "make topics that are missing; false refuses to write to one" },
    { .name = "topic_partitions",
      .section = "target",
      .type = TR_OPTION_INT,
      .value = "0",
      .min = 0,
      .max = 100000,
      .help =
          "partitions of topics that are made, 0 = the brokers' default; a topic that has another number is refused" },
    { .name = "topic_replication",
      .section = "target",
      .type = TR_OPTION_INT,
      .value = "0",
      .min = 0,
      .max = 100,
      .help = "replicas of topics that are made, 0 = the brokers' default" },
    { .name = "topic_config",
      .section = "target",
      .type = TR_OPTION_LIST,
      .help = "settings of topics that are made: cleanup.policy=compact, retention.ms=..." },
    { .name = "partition_by",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "key",
      .choices = "key|table|transaction",
      .help = "what chooses a row's partition, by murmur2 as in Java; rows without a key go by their table" },
    { .name = "heartbeat_interval",
      .section = "target",
      .type = TR_OPTION_DURATION,
      .value = "0s",
      .min = 0,
      .max = INT64_C(86400000000),
      .help = "a sign of life into its own topic this often, for formats that have one; 0 = none" },
    { .name = "extended_headers_enabled",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "Debezium's headers on each change: connector, logical name, task and run" },
    { .name = "compression",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "none",
      .choices = "none|gzip|snappy|lz4|zstd",
      .help = "how message sets are compressed" },
    { .name = "linger",
      .section = "target",
      .type = TR_OPTION_DURATION,
      .value = "10ms",
      .min = 0,
      .max = INT64_C(1000000),
      .help =
          "how long a message waits for others to travel with under load; when the source is quiet it waits for none" },
    { .name = "tls",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|on|off",
      .help = "encrypt connections to brokers; auto does unless all of the URL are on this machine" },
    { .name = "tls_ca",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "file of the certificates that may sign the brokers' (default: the system's)" },
    { .name = "tls_certificate",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "file of the client's own certificate" },
    { .name = "tls_key", .section = "target", .type = TR_OPTION_STRING, .help = "file of its private key" },
    { .name = "tls_verify",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "verify the brokers' certificates and host names" },
    { .name = "sasl_mechanism",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "PLAIN",
      .choices = "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER",
      .help = "how the user and password of the URL are shown to the brokers" },
    { .name = "kafka",
      .section = "target",
      .type = TR_OPTION_LIST,
      .secret = true,
      .help = "more properties of librdkafka, name=value; those that would break a promise are refused" },
    { .name = NULL },
};

/* What a user may not turn, and why. A name that ends with a dot stands for all that begin so. */
static const struct {
    const char *name, *reason;
} forbidden[] = {
    { "enable.idempotence", "without it a retry repeats or reorders messages" },
    { "acks", "a message counts as written when all replicas in sync have it" },
    { "request.required.acks", "a message counts as written when all replicas in sync have it" },
    { "max.in.flight", "more than five requests on their way break the order of a retry" },
    { "max.in.flight.requests.per.connection",
      "more than five requests on their way break the order of a retry" },
    { "retries", "a message that is given up is lost" },
    { "message.send.max.retries", "a message that is given up is lost" },
    { "message.timeout.ms", "a message that is given up is lost; the task waits for the brokers instead" },
    { "delivery.timeout.ms", "a message that is given up is lost; the task waits for the brokers instead" },
    { "enable.gapless.guarantee", "the sink stops at the first failure itself" },
    { "queuing.strategy", "order must be kept" },
    { "delivery.report.only.error", "what arrived is known by its report alone" },
    { "transactional.id", "the name of the task is its identity; exactly_once sets it" },
    { "transaction.timeout.ms", "use transaction_timeout" },
    { "queue.buffering.max.kbytes", "use memory" },
    { "queue.buffering.max.messages", "use memory" },
    { "queue.buffering.max.ms", "use linger" },
    { "linger.ms", "use linger" },
    { "compression.type", "use compression" },
    { "compression.codec", "use compression" },
    { "partitioner", "use partition_by" },
    { "bootstrap.servers", "use the target's url" },
    { "metadata.broker.list", "use the target's url" },
    { "security.protocol", "use tls and sasl_mechanism" },
    { "sasl.mechanism", "use sasl_mechanism" },
    { "sasl.mechanisms", "use sasl_mechanism" },
    { "sasl.username", "put user and password into the target's url" },
    { "sasl.password", "put user and password into the target's url, where they are kept out of logs" },
    { "ssl.ca.location", "use tls_ca" },
    { "ssl.certificate.location", "use tls_certificate" },
    { "ssl.key.location", "use tls_key" },
    { "enable.ssl.certificate.verification", "use tls_verify" },
    { "ssl.endpoint.identification.algorithm", "use tls_verify" },
    { "isolation.level", "the checkpoint must be read as committed" },
    { "group.id", "the sink is no member of a group" },
    { "debug", "use log_level: debug" },
    { "plugin.", "no foreign code is loaded" },
    { "test.", "messages would go to no broker" },
};

static const char *
forbidden_reason(const char *name)
{
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        size_t len = strlen(forbidden[i].name);
        bool prefix = forbidden[i].name[len - 1] == '.';
        if (prefix ? strncmp(name, forbidden[i].name, len) == 0 : strcmp(name, forbidden[i].name) == 0)
            return forbidden[i].reason;
    }
    return NULL;
}

static int
set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, struct tr_error *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return tr_kafka_set(conf, name, text, err);
}

/* "name=value" of the list `kafka`. */
static int
set_users(rd_kafka_conf_t *conf, const char *item, struct tr_error *err)
{
    const char *equals = strchr(item, '=');
    if (equals == NULL || equals == item)
        return tr_fail(err, TR_CONFIG, "kafka: an item is not of the form name=value"),
               tr_error_hint(err, "a comma in a value is written \\,"); /* it may be the end of a secret */
    char *name = tr_strndup(item, (size_t)(equals - item));
    const char *reason = forbidden_reason(name);
    int rc = reason != NULL
                 ? tr_fail(err, TR_CONFIG, "kafka: the property %.100s may not be set here: %s", name, reason)
                 : tr_kafka_set(conf, name, equals + 1, err);
    free(name);
    return rc;
}

static int
configure_connection(struct kafka_sink *sink, rd_kafka_conf_t *conf, const struct tr_url *url,
                     struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    const struct tr_kafka_security security = { .tls = tr_setting_string(settings, "tls"),
                                                .ca = tr_setting_string(settings, "tls_ca"),
                                                .certificate = tr_setting_string(settings, "tls_certificate"),
                                                .key = tr_setting_string(settings, "tls_key"),
                                                .verify = tr_setting_bool(settings, "tls_verify"),
                                                .mechanism = tr_setting_string(settings, "sasl_mechanism") };
    free(sink->brokers);
    sink->brokers = tr_strdup(url->hosts);
    sink->client.brokers = sink->brokers;
    sink->client.mechanism = security.mechanism;
    return tr_kafka_set_connection(conf, url, &security, err);
}

char *
kafka_state_topic(const struct tr_sink_env *env)
{
    const char *given = tr_setting_string(env->settings, "checkpoint_topic");
    return given != NULL && given[0] != '\0' ? tr_strdup(given)
                                             : tr_asprintf("tailrace-checkpoint-%s", env->task);
}

static int
configure_producer(struct kafka_sink *sink, rd_kafka_conf_t *conf, struct tr_error *err)
{
    const struct tr_sink_env *env = sink->base.env;
    int rc = tr_kafka_set(conf, "enable.idempotence", "true", err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "acks", "all", err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "compression.type", tr_setting_string(env->settings, "compression"), err);
    if (rc == 0)
        rc = set_number(conf, "linger.ms", LINGER_MS, err);
    /* The sink's own limit is below this one: it holds back batches, which librdkafka cannot. */
    if (rc == 0)
        rc = set_number(conf, "queue.buffering.max.kbytes", 2097151, err);
    if (rc == 0)
        rc = set_number(conf, "queue.buffering.max.messages", 10000000, err);
    if (rc < 0 || sink->exactly_once)
        return rc;
    return set_number(conf, "message.timeout.ms", 0, err);
}

static int
configure_transactions(struct kafka_sink *sink, rd_kafka_conf_t *conf, struct tr_error *err)
{
    char *id = tr_asprintf("tailrace-%s", sink->base.env->task);
    int rc = tr_kafka_set(conf, "transactional.id", id, err);
    free(id);
    if (rc == 0)
        rc = set_number(conf, "transaction.timeout.ms", sink->timeout_us / 1000, err);
    /* Messages time out with their transaction, and linger.ms must be less. */
    if (rc == 0 && sink->timeout_us / 2000 < LINGER_MS)
        rc = set_number(conf, "linger.ms", sink->timeout_us / 2000, err);
    return rc;
}

int
kafka_configure(struct kafka_sink *sink, rd_kafka_conf_t *conf, bool producer, struct tr_error *err)
{
    const struct tr_settings *settings = sink->base.env->settings;
    const char *const *items;
    struct tr_url url;
    int rc = tr_url_parse(tr_setting_string(settings, "target"), &url, err);
    if (rc < 0)
        return rc;
    if (url.hosts[0] == '\0')
        rc = tr_fail(err, TR_CONFIG, "the target's URL names no broker: kafka://host:port,host:port");
    /* a request of few messages does not wait for the acknowledgement of the one before */
    if (rc == 0)
        rc = tr_kafka_set(conf, "socket.nagle.disable", "true", err);
    if (rc == 0 && producer)
        rc = set_number(conf, "batch.num.messages", 100000, err);
    /* What stands before the user's own gives way to them, what stands behind is refused among them. */
    size_t count = tr_setting_list(settings, "kafka", &items);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = set_users(conf, items[i], err);
    if (rc == 0)
        rc = configure_connection(sink, conf, &url, err);
    if (rc == 0)
        rc = producer ? configure_producer(sink, conf, err) : tr_kafka_set_reader(conf, true, err);
    if (rc == 0 && producer && sink->exactly_once)
        rc = configure_transactions(sink, conf, err);
    tr_url_fini(&url);
    return rc;
}
