/*
 * encoder.h - the contract of an encoder: events in, messages out (topic, key, value, headers), for sinks that publish.
 *
 * Pure but for its caches per relation; one encoder belongs to one thread. Values are rendered straight into buffers.
 */
#ifndef TR_ENCODERS_ENCODER_H
#define TR_ENCODERS_ENCODER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/error.h"
#include "core/finding.h"
#include "core/option.h"

struct tr_encoder;

/* The facts of the task that stand in every event's source block. Borrowed for the encoder's life. */
struct tr_encoder_env {
    const struct tr_settings *settings;
    const char *connector; /* "postgresql", "mysql", "mariadb" */
    const char *prefix;    /* topic.prefix = logical name */
    const char *database;  /* source database (PostgreSQL), else ""; known from the first event on */
    int stop_fd; /* eventfd: readable once the task is to stop: what waits for another server gives up; 0 = none */
    /* Called some times a second while another server is waited for: the sink sees to its own affairs. thread: the encoder's; NULL = none */
    void (*waiting)(void *arg, const char *whom, int64_t since_us);
    void *waiting_arg;
};

/* One message. All bytes are valid until `emit` returns. */
struct tr_message {
    const char *topic;
    const char *key; /* NULL = null key */
    size_t key_len;
    const char *
        key_json; /* the key for sinks that write JSON, of a format whose key is plain text; NULL = it is JSON already */
    size_t key_json_len;
    const char *value; /* NULL = tombstone */
    size_t value_len;
    const char *header_name; /* __debezium.newkey / oldkey with its value, or NULL */
    const char *header_value;
    size_t header_len;
    const struct tr_event *event; /* where it came from, or NULL */
    bool first_partition;         /* its topic is one log: all of it goes to partition 0 */
};

struct tr_emit {
    void *arg;
    int (*message)(void *arg, const struct tr_message *message, struct tr_error *err);
    /*
     * Before the messages of each event, for sinks that want to know; else NULL. place: the event's number within its transaction, from 1 over all
     * batches that hold parts of it; 0 = its beginning, TR_PLACE_END = its commit. It is the same when the transaction is read again: a TR_SCHEMA,
     * which only a reader that knew the table before is told, has no number, but that of what follows. txn: NULL for rows of the full load.
     */
    void (*edge)(void *arg, const struct tr_txn *txn, uint64_t place);
};

#define TR_PLACE_END UINT64_MAX

struct tr_encoder_class {
    const char *name; /* "debezium-json" */
    const struct tr_option *options;
    const struct tr_option
        *more_options; /* a second table, or NULL: what this form has beside those that it shares */
    bool binary;       /* keys and values are no text: for sinks that write messages, not lines */
    int (*open)(const struct tr_encoder_env *env, struct tr_encoder **encoder, struct tr_error *err);
    void (*close)(struct tr_encoder *encoder);
    /* All messages of one event, in order (an update that changes the key gives three). */
    int (*event)(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_txn *txn,
                 const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err);
    /* Transaction metadata, called at the edges of each transaction; NULL when the format has none. */
    int (*begin)(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_txn *txn,
                 const struct tr_emit *emit, struct tr_error *err);
    int (*commit)(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_txn *txn,
                  const struct tr_emit *emit, struct tr_error *err);
    /* Does it describe the tables that a DDL statement changed (tr_ddl_table.shape)? NULL = never. */
    bool (*wants_shapes)(const struct tr_settings *settings);
    /* What would stop or hurt, of what the encoder needs besides the sink (a schema registry). NULL = nothing. */
    int (*check)(struct tr_encoder *encoder, const struct tr_findings *findings, struct tr_error *err);
    /* A sign of life, for consumers that watch for silence. NULL when the format has none. */
    int (*heartbeat)(struct tr_encoder *encoder, const struct tr_emit *emit, struct tr_error *err);
};

struct tr_encoder {
    const struct tr_encoder_class *class;
    const struct tr_encoder_env *env;
    uint64_t place; /* tr_encode_batch: of the newest event in its transaction */
};

/*
 * The topic that a table's rows go to, which the settings name the same way for every format. In the arena; NULL for settings that cannot be read.
 * thread: any.
 */
const char *tr_encoder_topic(const struct tr_encoder_env *env, struct tr_arena *arena,
                             const struct tr_relation *relation, struct tr_error *err);

/*
 * All messages of a batch, in order: the edges and events of its transactions, or the rows of the full load. Stops at the first failure of the
 * encoder or of `emit`. thread: the encoder's.
 */
int tr_encode_batch(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_emit *emit,
                    struct tr_error *err);

#endif
