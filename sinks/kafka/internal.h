/*
 * internal.h - what the files of the Kafka sink share.
 *
 * Everything here runs on the sink thread; librdkafka's own threads only log. Delivery reports and errors are callbacks that run inside
 * rd_kafka_poll, rd_kafka_flush and rd_kafka_commit_transaction, so they need no lock.
 */
#ifndef TR_SINKS_KAFKA_INTERNAL_H
#define TR_SINKS_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/kafka/client.h"
#include "core/buffer.h"
#include "sinks/kafka/kafka.h"

/* A batch whose messages are on their way. */
struct flight {
    struct flight *next;
    rd_kafka_t *rk;
    uint64_t sequence;
    uint64_t outstanding; /* messages without a delivery report */
    bool complete;        /* all of its messages were handed over */
};

/* A topic that exists and whose partitions are counted. */
struct topic {
    char *name;
    rd_kafka_topic_t *handle;
    int32_t partitions; /* as of its first use: a key stays where it is while we run */
    int64_t opened_us;  /* when that was (monotonic) */
};

#define TOPIC_GUESSES 512

enum partition_by { BY_KEY, BY_TABLE, BY_TRANSACTION };

/* librdkafka's own patience, which should never be needed: see keep_moving. */
#define LINGER_MS 1000

enum txn_state {
    TXN_NONE,       /* none open */
    TXN_OPEN,       /* messages go into it */
    TXN_COMMITTING, /* the commit was sent and has not been answered yet */
};

struct kafka_sink {
    struct tr_sink base;
    rd_kafka_t *rk;
    int event_fd;  /* eventfd: readable when rd_kafka_poll has something to serve */
    char *brokers; /* as the URL has them */
    struct tr_encoder_env encoder_env;
    struct tr_encoder *encoder;
    struct tr_emit emit;

    struct tr_batch *first, **last; /* taken, not yet encoded: still charged to the task's budget */
    struct flight *oldest, *newest;
    uint64_t bytes_out; /* of messages without a delivery report */
    uint64_t bytes_max;
    uint64_t bytes_handed; /* of all messages so far */
    uint64_t bytes_seen;   /* as of the last time when there was nothing more to do */
    uint64_t bytes_stuck;  /* bytes_out after the last push */
    int64_t linger_us;     /* between two pushes in a stream */
    int64_t push_pause_us; /* the same, longer while nothing moves */
    int64_t next_push_us;  /* monotonic */

    struct topic *topics;
    size_t ntopics, topics_cap;
    uint32_t topic_guess[TOPIC_GUESSES]; /* index by a hash of the name's address */
    char **existing;                     /* the cluster's topics when the sink was opened, sorted */
    size_t nexisting;
    bool create_topics;
    enum partition_by partition_by;
    uint32_t txn_hash; /* of the transaction at hand, for partition_by: transaction */

    rd_kafka_headers_t *context; /* headers that each change bears, or NULL */
    rd_kafka_headers_t **spare;  /* copies of them that came back with delivery reports */
    size_t nspare, ncontext;     /* how many; how many headers one has */
    int64_t heartbeat_us;        /* between heartbeats; 0 = none */
    int64_t next_heartbeat_us;   /* monotonic */

    /* The first failure stops everything: what comes behind it must not arrive before it does. */
    struct tr_error failure;       /* class TR_NO_ERROR = none */
    rd_kafka_topic_t *doubtful;    /* it failed because a broker does not know this topic, or not yet */
    struct tr_kafka_client client; /* for messages: what the connections last complained of */

    /* exactly_once */
    bool exactly_once;
    bool ready; /* init_transactions and load_checkpoint are done */
    char *state_topic;
    char owner[192]; /* this process, for telling a takeover from an expired transaction */
    int64_t
        state_written; /* offset of the newest record of ours that arrived in the state topic; -1 = none */
    enum txn_state txn;
    int64_t txn_began_us;
    int64_t interval_us;    /* a transaction is committed after this long under load */
    int64_t timeout_us;     /* transaction.timeout.ms */
    uint64_t txn_sequence;  /* the last batch that is whole in it */
    bool txn_at_checkpoint; /* its last batch ends at one */
    char *txn_position;     /* the newest checkpoint in it, or NULL */

    /* A source transaction that outlives a Kafka transaction is committed in parts; what is committed is skipped when it is read again. */
    uint64_t part_order,
        part_events; /* at hand: commit order and events so far of the transaction that the last batch ended in */
    uint64_t skip_order,
        skip_events; /* read back: leave out all before, and these many of this one; 0 = nothing */
    bool skipping;
    bool part_saved; /* the state topic says so */
};

/* config.c */
extern const struct tr_option kafka_options[];
/* Fill conf for our producer, or for the reader of the state topic. */
int kafka_configure(struct kafka_sink *sink, rd_kafka_conf_t *conf, bool producer, struct tr_error *err);
char *kafka_state_topic(const struct tr_sink_env *env);

/* error.c */
/* How a failure of this code is to be taken, and what the operator can do about it. `what` names the action: "cannot write to topic x". */
int kafka_fail(struct kafka_sink *sink, struct tr_error *err, rd_kafka_resp_err_t code, const char *detail,
               const char *fmt, ...) TR_PRINTF(5, 6);
/* The same from an error object, which is destroyed. */
int kafka_fail_error(struct kafka_sink *sink, struct tr_error *err, rd_kafka_error_t *error,
                     const char *what);
void kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque);
void kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* check.c */
int kafka_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                struct tr_error *err);

/* topics.c */
int topics_list(struct kafka_sink *sink, int timeout_ms, struct tr_error *err);
struct topic *topic_get(struct kafka_sink *sink, const char *name, struct tr_error *err);
void topics_free(struct kafka_sink *sink);
bool topic_exists(const struct kafka_sink *sink, const char *name);
/* partitions or replication -1 = the broker's default; config: n "name=value" texts. An existing topic is left as it is. */
int topic_create(struct kafka_sink *sink, const char *name, int partitions, int replication,
                 const char *const *config, size_t nconfig, struct tr_error *err);
/* Does this failure say that the brokers do not know the topic or the partition? */
bool topic_is_unknown(rd_kafka_resp_err_t code);
/*
 * For a topic that was opened lately: brokers learn of a new topic one after the other, and librdkafka believes whichever it asked last. Waits until
 * they have told it again what they told us first. False when they do not within a topic's youth: it was removed, or made anew in another shape.
 */
bool topic_settles(struct kafka_sink *sink, rd_kafka_topic_t *handle);
int topic_delete(struct kafka_sink *sink, const char *name, struct tr_error *err);

/* partition.c: where Java's clients put a message of this key. */
uint32_t kafka_murmur2(const void *key, size_t len);
int32_t kafka_partition(uint32_t hash, int32_t partitions);

/* produce.c */
int produce_message(void *arg, const struct tr_message *message, struct tr_error *err);
void produce_edge(void *arg, const struct tr_txn *txn, uint64_t place);
void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque);
/* Debezium's headers of context. NULL when the format or the settings want none. */
rd_kafka_headers_t *context_headers(const struct kafka_sink *sink);
/* A heartbeat, when it is time. */
int produce_heartbeat(struct kafka_sink *sink, struct tr_error *err);
/* A record of ours, outside the encoder: key and value of the state topic. NULL value = removed. */
int produce_state(struct kafka_sink *sink, const char *key, const char *value, struct tr_error *err);
struct flight *flight_new(struct kafka_sink *sink, uint64_t sequence);
/* Report what is durable; sinks without transactions. */
void flights_report(struct kafka_sink *sink);
void flights_free(struct kafka_sink *sink);
/* The failure that a callback saw, or 0. */
int failure(struct kafka_sink *sink, struct tr_error *err);

/* transaction.c */
int txn_begin(struct kafka_sink *sink, struct tr_error *err);
/* After each batch: has the time come? `idle`: nothing is waiting to join it. */
int txn_advance(struct kafka_sink *sink, bool idle, struct tr_error *err);
void txn_abandon(struct kafka_sink *sink);
int kafka_load_checkpoint(struct tr_sink *base, struct tr_checkpoint *checkpoint, struct tr_error *err);
int kafka_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err);

/* state.c: the compacted topic of the task */
struct kafka_state {
    struct tr_checkpoint checkpoint;
    char *owner;
    uint64_t part_order, part_events;
};
/* To the end of what is committed, and at least up to the record at offset up_to (-1 = no matter how far). */
int state_read(struct kafka_sink *sink, int64_t up_to, struct kafka_state *state, struct tr_error *err);
void state_fini(struct kafka_state *state);
int state_make(struct kafka_sink *sink, struct tr_error *err);
int state_write_table(struct kafka_sink *sink, const char *table, const char *position, bool done,
                      struct tr_error *err);

#endif
