/*
 * client.h - what all who talk to Kafka brokers share: how librdkafka is set up, what its failures mean, topics, and a compacted topic as a map.
 *
 * thread: one at a time per client; callbacks run inside librdkafka's poll functions. Only the log callback comes from librdkafka's own threads.
 */
#ifndef TR_CLIENTS_KAFKA_CLIENT_H
#define TR_CLIENTS_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/url.h"

/* Whom we talk to and what the connections last complained of: the opaque of handles that are set up here. */
struct tr_kafka_client {
    const char *brokers;   /* for messages; borrowed */
    const char *mechanism; /* of SASL; borrowed, may be NULL */
    rd_kafka_resp_err_t broken;
    char broken_text[512];
    /* 0 until whoever waits is told to end, then the moment at which all waiting is over; borrowed, NULL = never told. */
    const _Atomic int64_t *end_us;
};

/* TLS and login. Texts are borrowed, NULL or empty = not given. */
struct tr_kafka_security {
    const char *tls; /* auto (off on this machine only), on, off */
    const char *ca, *certificate, *key;
    bool verify;
    const char *mechanism; /* PLAIN, SCRAM-SHA-256, ... */
};

/* --- config.c --- */

/* One property; TR_CONFIG says which and why. */
int tr_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct tr_error *err);

/* Brokers, TLS, user and password, as the URL and `security` have them. Properties of the user's own are set before it. */
int tr_kafka_set_connection(rd_kafka_conf_t *conf, const struct tr_url *url,
                            const struct tr_kafka_security *security, struct tr_error *err);

/* A consumer that reads one partition from its beginning, is told of its end, and belongs to no group. */
int tr_kafka_set_reader(rd_kafka_conf_t *conf, bool committed, struct tr_error *err);

/* --- error.c --- */

/* How a failure of this code is to be taken; *hint what the operator can do about it, or NULL. What is not known passes by itself: TR_RETRY. */
enum tr_error_class tr_kafka_meaning(rd_kafka_resp_err_t code, const char **hint);

/* "what: why", with class and hint. Where the brokers were silent, what the connections complained of stands for it. `detail` may be NULL. */
int tr_kafka_fail(const struct tr_kafka_client *client, struct tr_error *err, rd_kafka_resp_err_t code,
                  const char *detail, const char *fmt, ...) TR_PRINTF(5, 6);

/* SCRAM of librdkafka before 2.6.1 sends its nonce twice, which newer brokers take for a wrong password. */
bool tr_kafka_scram_is_broken(const struct tr_kafka_client *client);

/* Remember what a connection complains of, for an error callback. */
void tr_kafka_complain(struct tr_kafka_client *client, int code, const char *reason);

/* The error callback for conf whose opaque is a struct tr_kafka_client. */
void tr_kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque);

/* The log callback for who has no log: what matters comes as an error. */
void tr_kafka_no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* --- wait.c --- */

/* Is it told to end? What is only looked at, or could as well be done by the next start, is then given up at once. */
bool tr_kafka_is_ending(const struct tr_kafka_client *client);

/* What is left until the deadline, or until the end that it was told; 0 = nothing. */
int tr_kafka_left_ms(const struct tr_kafka_client *client, int64_t deadline_us);

/* One of librdkafka's calls that wait, and that can be called again after a passing error: for wait_ms at most, and not beyond the end. */
rd_kafka_error_t *tr_kafka_call(const struct tr_kafka_client *client, rd_kafka_t *rk,
                                rd_kafka_error_t *(*call)(rd_kafka_t *rk, int timeout_ms), int wait_ms);

/* The next event of the queue, or NULL: none within wait_ms, or told to end. */
rd_kafka_event_t *tr_kafka_answer(const struct tr_kafka_client *client, rd_kafka_queue_t *queue, int wait_ms);

/* --- topic.c --- */

/* Partitions of a topic, 0 when there is no such topic. All topics are asked for, because to ask for one by name may make it. */
int tr_kafka_count_partitions(const struct tr_kafka_client *client, rd_kafka_t *rk, const char *topic,
                              int timeout_ms, int *count, struct tr_error *err);

/* Make a compacted topic of one partition; replication -1 = the brokers' default. One that exists is left as it is. */
int tr_kafka_make_compacted(const struct tr_kafka_client *client, rd_kafka_t *rk, const char *topic,
                            int replication, struct tr_error *err);

/*
 * Ask whether the brokers will forget old records of a topic (cleanup.policy other than compact), and refuse it for that. The answer is
 * judged later, since not all brokers give one; those that have not within wait_ms are believed. judge destroys the queue.
 */
rd_kafka_queue_t *tr_kafka_ask_policy(rd_kafka_t *rk, const char *topic);
int tr_kafka_judge_policy(rd_kafka_queue_t *answers, int wait_ms, const char *topic, struct tr_error *err);

/* A record: key and value as text, value NULL = removed. Positive: enough was read; negative: failed. */
typedef int (*tr_kafka_record)(void *arg, const char *key, const char *value, int64_t offset,
                               struct tr_error *err);

struct tr_kafka_reader {
    struct tr_kafka_client *client;
    const char *name; /* of the topic */
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    bool started;
};

/* Stand before the first record of the topic's partition 0. Takes conf, prepared by tr_kafka_set_reader, in any case. `topic` is borrowed. */
int tr_kafka_reader_open(struct tr_kafka_client *client, rd_kafka_conf_t *conf, const char *topic,
                         struct tr_kafka_reader *reader, struct tr_error *err);
void tr_kafka_reader_close(struct tr_kafka_reader *reader); /* one that is zeroed, too */

/*
 * Read on until `record` says enough (its result is returned), the end is reached (0, only with to_end), or until_us of the monotonic
 * clock has come (0 without to_end, else -TR_RETRY).
 */
int tr_kafka_read_on(struct tr_kafka_reader *reader, bool to_end, int64_t until_us, tr_kafka_record record,
                     void *arg, struct tr_error *err);

#endif
