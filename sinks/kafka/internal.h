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

/* Offsets of messages of ours, without gap. */
struct run {
    int64_t first, last;
};

/* What a Kafka transaction wrote to one partition: runs in ascending order. */
struct places;
struct part {
    char *topic;
    int32_t partition;
    bool unknown; /* the brokers say that there is no such topic or partition */
    bool gone;    /* it was removed, or made anew */
    bool
        visible; /* seen by a reader of what is committed; or, while that is waited for, not held back by a transaction */
    int64_t stable;              /* readers of what is committed came to here when they were asked last */
    const struct places *places; /* of the topic, while it is written to */
    struct run *runs;
    size_t nruns;
};

/* What a Kafka transaction wrote. */
struct ranges {
    struct part *parts;
    size_t count, cap;
    size_t nruns; /* of all parts */
};

/* The opaque of a topic's handle: where its partitions stand in the ranges at hand. */
struct places {
    int32_t count;
    uint32_t *of; /* by partition: index + 1 into struct ranges, when the part there is ours */
};

/* A topic that exists and whose partitions are counted. */
struct topic {
    char *name;
    rd_kafka_topic_t *handle;
    struct places *places; /* of handle */
    bool checked;          /* no transaction stood open there when the first message came */
    int32_t partitions;    /* as of its first use: a key stays where it is while we run */
    int64_t opened_us;     /* when that was (monotonic) */
    char *table;           /* schema.name of the first table whose rows came, or NULL */
    const void *relation;  /* of the last row, only to be compared */
    bool told;             /* that rows of another table came, too */
};

/* How long the brokers have confirmed nothing of what is on its way. */
struct silence {
    uint64_t confirmed, seen; /* messages and commits: all so far, and when it was looked last */
    int64_t since_us;         /* monotonic */
    int64_t told_us;          /* how old it was when it was told last; 0 = it was not */
};

#define TOPIC_GUESSES 512
#define PART_GTID 128
#define PART_TEXT (64 + PART_GTID)

/* What librdkafka keeps of a message on its way beside its bytes: what it knows of it, and the headers in the request. */
#define MESSAGE_COST 512

enum partition_by { BY_KEY, BY_TABLE, BY_TRANSACTION };

/* librdkafka's own patience, which should never be needed: see keep_moving. */
#define LINGER_MS 1000

enum txn_state {
    TXN_NONE,     /* none open */
    TXN_OPEN,     /* messages go into it */
    TXN_ARRIVING, /* it is whole; its messages are waited for, since its last record tells where they stand */
    TXN_COMMITTING, /* the commit was sent and has not been answered yet */
    TXN_SETTLING,   /* committed; readers do not see all of it yet */
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
    uint64_t bytes_out; /* of messages without a delivery report, with what each costs besides */
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

    rd_kafka_headers_t *context; /* headers that each change bears, or NULL; shared, see take_off_context */
    int64_t heartbeat_us;        /* between heartbeats; 0 = none */
    int64_t next_heartbeat_us;   /* monotonic */
    int64_t next_told_us;        /* that a registry is waited for */

    /* The first failure stops everything: what comes behind it must not arrive before it does. */
    struct tr_error failure;       /* class TR_NO_ERROR = none */
    rd_kafka_topic_t *doubtful;    /* it failed because a broker does not know this topic, or not yet */
    struct tr_kafka_client client; /* for messages: what the connections last complained of */
    struct silence silence;

    /* exactly_once */
    bool exactly_once;
    bool ready; /* init_transactions and load_checkpoint are done */
    char *state_topic;
    char owner[192]; /* this process, for telling a takeover from an expired transaction */
    enum txn_state txn;
    struct ranges written; /* by the transaction at hand, or the last one */
    int64_t
        arrive_ask_us; /* monotonic: when a transaction that does not arrive is asked whether it has failed */
    bool txn_bare;     /* it says nothing of where its messages stand: the owner's record */
    int64_t unseen_us; /* since when the brokers answer that readers do not see all of it; 0 = no answer */
    int64_t unknown_us;            /* since when they do not know a topic of it; 0 = they do */
    int settle_tries, settle_slow; /* how often that was asked; how often without an answer */
    rd_kafka_t *look;              /* a consumer of what is not committed, too; made when it is needed */
    int64_t txn_began_us;
    int64_t txn_fed_us;       /* when the last batch went into it */
    uint64_t txn_began_bytes; /* bytes_handed when it began */
    uint64_t stream_bytes;    /* and when the one before it began */
    bool txn_follows;         /* that was lately */
    int64_t interval_us;      /* a transaction is committed after this long under load */
    int64_t timeout_us;       /* transaction.timeout.ms */
    uint64_t txn_sequence;    /* the last batch that is whole in it */
    bool txn_at_checkpoint;   /* its last batch ends at one */
    char *txn_position;       /* the newest checkpoint in it, or NULL */

    /* A source transaction that outlives a Kafka transaction is committed in parts; what is committed is skipped when it is read again. */
    uint64_t part_order; /* at hand: commit order of the transaction that the last batch ended in */
    uint64_t skip_order,
        skip_events; /* read back: leave out all before, and these many of this one; 0 = nothing */
    char part_gtid[PART_GTID], skip_gtid[PART_GTID]; /* of the same, "" = it has none */
    char *identity;                                  /* of the source that the skipped orders are of */
    bool skipping;
    bool part_saved; /* the state topic says so */
};

/* What the compacted topic of the task says. */
struct kafka_state {
    struct tr_checkpoint checkpoint;
    char *owner;
    uint64_t part_order, part_events;
    char part_gtid[PART_GTID];
    char *rows;          /* where the last transaction's messages stand, see ranges_text; or NULL */
    int64_t rows_offset; /* of that record, or -1 */
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
/* Tells the operator, now and then, that nothing of what is on its way is confirmed; and when it goes on. */
void kafka_note_silence(struct kafka_sink *sink, int64_t now_us);

/* check.c */
int kafka_check(struct tr_sink *base, const struct tr_schema *schema, const struct tr_findings *findings,
                struct tr_error *err);

/* topics.c */
/* The cluster's topics, as they are now. */
int topics_list(struct kafka_sink *sink, int timeout_ms, struct tr_error *err);
/* To write to it. The first time it may have to end a transaction that stands open there, with the one at hand: -TR_RETRY. */
struct topic *topic_get(struct kafka_sink *sink, const char *name, struct tr_error *err);
/* The same without a look at what stands open. */
struct topic *topic_open(struct kafka_sink *sink, const char *name, struct tr_error *err);
bool topic_wants_stop(const struct kafka_sink *sink);
/* Do options say which tables go where, so that several in one topic are meant? */
bool topics_are_chosen(const struct kafka_sink *sink);
/* Rows of this table come. Warns, once, when their names alone brought two tables into one topic. */
void topic_note_table(struct kafka_sink *sink, struct topic *topic, const struct tr_relation *relation);
/* Findings about the topics that these tables' rows would go to: missing ones, and names that are one to Kafka. */
int check_names(const struct kafka_sink *sink, const struct tr_schema *schema,
                const struct rd_kafka_metadata *metadata, const struct tr_findings *findings,
                struct tr_error *err);
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

/* A copy of a record that was read: key, value, headers, time of day. */
int produce_copy(struct kafka_sink *sink, rd_kafka_topic_t *topic, int32_t partition,
                 const rd_kafka_message_t *record, struct tr_error *err);
/* Waits until everything that was handed over has arrived. */
int produce_arrive(struct kafka_sink *sink, struct tr_error *err);

/* ranges.c */
/* A message of ours has arrived. False when the brokers do not say where. */
bool ranges_note(struct ranges *ranges, const rd_kafka_message_t *report);
struct part *ranges_add(struct ranges *ranges, const char *topic, size_t len, int32_t partition);
void ranges_add_run(struct ranges *ranges, struct part *part, int64_t first, int64_t last);
int64_t ranges_end(const struct part *part); /* the last offset */
const struct part *ranges_find(const struct ranges *ranges, const char *topic, int32_t partition);
void ranges_fini(struct ranges *ranges);
/* "topic 0:17-20,22-22 3:5-5", a line for each topic; and back, false when it is none. */
char *ranges_text(const struct ranges *ranges);
bool ranges_parse(struct ranges *ranges, const char *text);

/* look.c: what stands in partitions */
/* A consumer: of what is committed, or of everything. */
rd_kafka_t *look_new(struct kafka_sink *sink, bool committed, struct tr_error *err);
/* sink->look, made at its first use. */
int look_all(struct kafka_sink *sink, struct tr_error *err);
/* Sets each partition's offset to its end: of what is stable with the producer or a consumer of what is committed, else of all. May fail for single partitions. */
rd_kafka_resp_err_t look_ends(const struct kafka_sink *sink, rd_kafka_t *rk,
                              rd_kafka_topic_partition_list_t *list, int timeout_ms);
/* The same, and the first failure of any of them. */
rd_kafka_resp_err_t look_all_ends(const struct kafka_sink *sink, rd_kafka_t *rk,
                                  rd_kafka_topic_partition_list_t *list, int timeout_ms);
/* Which parts, of those not yet visible, no open transaction holds back; how many are held is returned, or -1 with *code when the brokers do not answer. */
int look_passed(struct kafka_sink *sink, struct ranges *ranges, int timeout_ms, rd_kafka_resp_err_t *code);
typedef int (*look_take)(void *arg, const rd_kafka_message_t *record, struct tr_error *err);
/* The records of one partition from first to last, or to the end of the partition; `take` ends it early with a positive result. */
int look_read(struct kafka_sink *sink, rd_kafka_t *rk, const struct part *part, struct run run,
              look_take take, void *arg, struct tr_error *err);
/* For each part that readers are past: do they see its last record? Sets `visible`. *code tells the brokers' reason of a failure. */
int look_judge(struct kafka_sink *sink, rd_kafka_t *rk, struct ranges *ranges, rd_kafka_resp_err_t *code,
               struct tr_error *err);

/* doubt.c: transactions that brokers forgot to end; the law is told there */
/* Before the first record to the state topic: what stands open there is ended. */
int doubt_state(struct kafka_sink *sink, struct tr_error *err);
/*
 * After the owner's record, at offset up_to: what the last transaction wrote and readers do not see is written again. True in *changed: the state is to
 * be read anew.
 */
int doubt_resolve(struct kafka_sink *sink, const struct kafka_state *state, int64_t up_to, bool *changed,
                  struct tr_error *err);
/* Before the first message to a topic: a transaction that stands open there is ended, and with it the one at hand: -TR_RETRY. */
int doubt_topic(struct kafka_sink *sink, const struct topic *topic, struct tr_error *err);

/* transaction.c */
int txn_begin(struct kafka_sink *sink, struct tr_error *err);
/* After each batch: has the time come? `idle`: nothing is waiting to join it. */
int txn_advance(struct kafka_sink *sink, bool idle, struct tr_error *err);
/* One begins: does it follow another, as in a stream? */
void txn_note_begin(struct kafka_sink *sink, int64_t now_us);
/* When a transaction that is open, and which nothing is waiting to join, is to be committed (monotonic): at once, unless it is part of a stream. */
int64_t txn_due_us(const struct kafka_sink *sink);
/* Commits what is open, and waits until readers see it. */
int txn_finish(struct kafka_sink *sink, struct tr_error *err);
/* What the state topic says of a transaction of which a part is committed: "order events [gtid]". */
void part_text(const struct kafka_sink *sink, char *text, size_t size);
/* Is the source another server than the one whose places are to be skipped? Then from here on only the transaction's name counts. */
bool part_moves(struct kafka_sink *sink, const char *identity);
/* Aborts what is open. */
int txn_cancel(struct kafka_sink *sink, struct tr_error *err);
void txn_abandon(struct kafka_sink *sink);
int kafka_load_checkpoint(struct tr_sink *base, struct tr_checkpoint *checkpoint, struct tr_error *err);
int kafka_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err);

/* state.c */
/* To the end of what is committed, and at least up to the record at offset up_to (-1 = no matter how far). */
int state_read(struct kafka_sink *sink, int64_t up_to, struct kafka_state *state, struct tr_error *err);
void state_fini(struct kafka_state *state);
int state_make(struct kafka_sink *sink, struct tr_error *err);
int state_write_table(struct kafka_sink *sink, const char *table, const char *position, bool done,
                      struct tr_error *err);

#endif
