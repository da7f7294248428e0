/* internal.h - what the files of this encoder share. */
#ifndef TR_ENCODERS_DEBEZIUM_INTERNAL_H
#define TR_ENCODERS_DEBEZIUM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "encoders/common/topic.h"
#include "encoders/encoder.h"

enum decimal_mode { DECIMAL_PRECISE, DECIMAL_DOUBLE, DECIMAL_STRING };
enum binary_mode { BINARY_BYTES, BINARY_BASE64, BINARY_BASE64_URL, BINARY_HEX };
enum time_mode {
    TIME_ADAPTIVE,
    TIME_ADAPTIVE_TIME_US,
    TIME_CONNECT,
    TIME_MICROSECONDS,
    TIME_NANOSECONDS,
    TIME_ISOSTRING
};
enum unknown_mode { UNKNOWN_OMIT, UNKNOWN_BYTES, UNKNOWN_TEXT };

struct value_modes {
    enum decimal_mode decimal;
    enum binary_mode binary;
    enum time_mode time;
    enum unknown_mode unknown;
    bool interval_string;
    bool hstore_map;
    bool unsigned_precise; /* BIGINT UNSIGNED as a decimal, else wrapped into 64 bits */
    bool null_as_default;
    bool raw_defaults; /* MySQL: a default's text stands without quotes; its JSON has spaces in a snapshot */
    bool mysql;        /* MySQL or MariaDB: bits untrimmed, times signed and past a day, zero dates */
    int money_digits;
};

struct renderer;
struct column_plan;

/*
 * Append the JSON of one present value from its canonical text. False when the text is none of the type's: the caller names table, column
 * and position. NULL-like values of a type (NaN in precise decimals) append null.
 */
typedef bool (*render_fn)(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                          struct tr_buffer *out);

/* The head of a render_fn of one file. */
#define RENDER(name)                                                                                       \
    static bool name(struct renderer *r __attribute__((unused)),                                           \
                     const struct column_plan *plan __attribute__((unused)), const char *text, size_t len, \
                     struct tr_buffer *out)

/* Buffers that renderers work in; each is used by one level only. */
struct renderer {
    struct value_modes modes;
    bool avro;                /* the form: Avro's binary encoding, else JSON (put.h) */
    bool null;                /* Avro: the value just rendered is a null */
    struct tr_buffer text;    /* tr_value_text */
    struct tr_buffer bytes;   /* unhexed or unscaled bytes */
    struct tr_buffer element; /* an array's element, unescaped */
    struct tr_buffer object;  /* the JSON that goes into a JSON string */
};

/* A column, or an array's element, ready to be written. */
struct column_plan {
    const char *name; /* `,"name":`; without the comma for the first of a struct: name + 1 */
    uint32_t name_len;
    int16_t scale;       /* digits of the fraction: temporal, decimals; -1 = as many as there are */
    bool omitted;        /* no field of this name in the row */
    uint8_t float_width; /* Avro: bytes of a floating-point number, 4 or 8, as the schema says */
    bool raw_bytes;      /* TR_CODEC_RAW may be written without going through text */
    render_fn render;
    const struct column_plan *element; /* of an array */
    const struct tr_column *column;
    const char *fallback; /* JSON for a null in an old image of a NOT NULL column */
    uint32_t fallback_len;
    const char *null; /* JSON for a null: "null", or the default with replace_null_with_default */
    uint32_t null_len;
    const char *placeholder; /* JSON for a value that the log did not carry */
    uint32_t placeholder_len;
};

/* values.c: how a column is rendered, by its logical type. NULL = omitted. */
render_fn value_renderer(const struct value_modes *modes, const struct tr_column *column,
                         enum tr_logical logical, const char *type_name);
void value_bytes(struct renderer *r, const void *bytes, size_t len, struct tr_buffer *out);
bool render_string(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                   struct tr_buffer *out);

/* times.c: the same of dates, times and intervals. */
render_fn temporal_renderer(const struct value_modes *modes, const struct tr_column *column,
                            enum tr_logical logical);

/* structured.c */
bool render_array(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                  struct tr_buffer *out);
bool render_hstore(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                   struct tr_buffer *out);
bool render_point(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                  struct tr_buffer *out);
bool render_geometry(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                     struct tr_buffer *out);
bool render_vector(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                   struct tr_buffer *out);
bool render_sparsevec(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                      struct tr_buffer *out);
bool render_float(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                  struct tr_buffer *out);

/* What is known of one version of a table, made when its first event comes. */
struct relation_plan {
    struct tr_relation *relation; /* one reference */
    struct tr_arena arena;
    const char *topic;
    struct column_plan *columns;
    const uint16_t *keys; /* indexes of the message key's columns */
    uint16_t nkeys;
    bool keys_are_logged; /* an old row shows them all */
    const char *source;   /* `","schema":"public","table":"t","txId":` and its kin */
    uint32_t source_len;
    const char *key_head,
        *value_head; /* with schemas_enable: all of `{"schema":...,"payload":`; else empty */
    uint32_t key_head_len, value_head_len;
    const char *collection; /* "schema.table" of transaction metadata */
    void *form;             /* what enc->form has made ready, in the arena; NULL = not yet */
    uint64_t txn_number;    /* the transaction for which `collection_at` holds */
    uint32_t collection_at; /* in encoder->collections */
};

/* plan.c */
struct json_encoder;
/* NULL: the settings name a key column that the table has not. */
struct relation_plan *relation_plan_get(struct json_encoder *encoder, struct tr_relation *relation,
                                        struct tr_error *err);
void relation_plans_free(struct json_encoder *encoder);

/* schema.c: `{"schema":...,"payload":` for schemas_enable; a closing brace belongs behind the payload */
void schema_of_key(struct json_encoder *encoder, const struct relation_plan *plan, struct tr_buffer *out);
void schema_of_value(struct json_encoder *encoder, const struct relation_plan *plan, struct tr_buffer *out);
void schema_of_message(struct json_encoder *encoder, bool key, struct tr_buffer *out);
void schema_of_transaction(bool key, struct tr_buffer *out);
void schema_of_heartbeat(bool key, struct tr_buffer *out);
void schema_of_change(const struct json_encoder *encoder, bool key, struct tr_buffer *out);

/* defaults.c: the JSON of a column's literal default; false when it has none, or a function's. */
bool default_literal(struct renderer *r, const struct column_plan *plan, const char *expression,
                     struct tr_buffer *out);
/* The constant that stands for a null in a field that may not be null. */
void type_fallback(const struct value_modes *modes, const struct tr_column *column, struct tr_buffer *out);

/* One event on its way out. */
struct record {
    struct json_encoder *enc;
    const struct tr_batch *batch;
    const struct tr_txn *txn;
    const struct tr_event *event;
    struct relation_plan *plan;
    const struct tr_emit *emit;
    const struct tr_buffer *header; /* a key struct as JSON, or NULL */
    const char *header_name;
    struct tr_error *err;
};

/* How the records of rows are written when not as JSON: keys and values; which records there are is the same for all forms. */
struct event_form {
    /* Before the first record of a version of a table. May ask a server. */
    int (*prepare)(struct json_encoder *enc, struct relation_plan *plan, struct tr_error *err);
    /* The key's columns of `row` (what is absent there is in `other`); nkeys > 0. Appends to out. */
    int (*key)(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
               const struct tr_value *other, struct tr_buffer *out, struct tr_error *err);
    /* The envelope, into enc->value. before, after: rows or NULL; other: see write_row. */
    int (*value)(const struct record *rec, char op, const struct tr_value *before,
                 const struct tr_value *after, const struct tr_value *other);
};

struct json_encoder {
    struct tr_encoder base;
    const struct event_form *form; /* NULL = JSON */
    struct renderer renderer;
    bool tombstones;
    bool plain;   /* plain-json: the new row alone, a delete is its tombstone */
    bool schemas; /* schemas_enable */
    bool transaction_metadata;
    bool skip_create, skip_update, skip_delete, skip_truncate;
    const char *prefix; /* logical name: topic prefix and source.name */
    struct topic_namer topics;
    char *placeholder; /* text, which may hold a byte of 0 */
    size_t placeholder_len;
    char *placeholder_bytes; /* for bytea; the same unless it was given as hex: */
    size_t placeholder_bytes_len;
    struct tr_arena names;
    const char *transaction_topic;
    const char *message_topic;
    const char *heartbeat_topic;
    const char *change_topic;          /* of statements that change the schema */
    bool schema_changes;               /* include_schema_changes */
    struct relation_plan message_plan; /* only what transaction metadata needs of it */

    struct relation_plan **plans; /* by relation->number */
    uint32_t nplans;

    struct tr_buffer key, old_key, value;
    struct tr_buffer header_new,
        header_old; /* of a form that is not JSON: the keys as JSON, for the headers */

    /* The parts of the source block that one transaction's events have in common. */
    struct tr_buffer source_head;   /* `"source":{` up to the database */
    struct tr_buffer source_commit; /* `,"sequence":"[\"previous commit\",\"` */
    struct tr_buffer source_time;   /* `,"ts_us":...,"ts_ns":...` */
    struct tr_buffer source_end;    /* behind the position */
    struct tr_txn
        head_txn; /* the transaction that they were made of; its texts went with its batch and are not read */
    int64_t head_us;
    uint64_t head_number;  /* counts these transactions */
    uint64_t parts_number; /* of the one whose parts stand above */
    int head_snapshot;     /* -1 = none made */
    uint64_t last_commit;  /* where the transaction before ended, 0 = not known */

    int64_t clock_us; /* read again for each transaction, and now and then in a long one */
    unsigned clock_uses;
    struct tr_buffer tail; /* `,"ts_ms":...,"ts_us":...,"ts_ns":...` at tail_us */
    int64_t tail_us;

    uint64_t txn_number; /* counts transactions */
    uint64_t txn_events; /* of this one, emitted */
    struct collection {
        char *name; /* "schema.table" */
        uint64_t events;
    } * collections; /* the tables of this transaction */
    uint32_t ncollections, collections_cap;
};

/* encoder.c: the life of an encoder, for forms that have more of their own */
int debezium_init(struct json_encoder *enc, const struct tr_encoder_class *class,
                  const struct tr_encoder_env *env, struct tr_error *err);
void debezium_fini(struct json_encoder *enc);
int debezium_event(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
                   const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err);
/* The value of a column in a row: `other` has large values that did not change and so are absent in a new row. */
const struct tr_value *debezium_value(const struct tr_value *row, const struct tr_value *other, uint16_t i);
int debezium_fail_value(const struct relation_plan *plan, const struct column_plan *column,
                        struct tr_error *err);

/* notices.c */
int debezium_heartbeat(struct tr_encoder *base, const struct tr_emit *emit, struct tr_error *err);
bool debezium_wants_shapes(const struct tr_settings *settings);
const char *ddl_database(const struct tr_event *event); /* of a DDL event */
int debezium_ddl(struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn,
                 const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err);

/* changes.c: the tables that a DDL event changes. A loop begins with CHANGE_FIRST; false behind the last. */
#define CHANGE_FIRST UINT32_MAX
bool change_next(const struct tr_event *event, uint32_t *at);
/* The list tableChanges of one of them: the table with its shape, where that is known; empty for one that is not of the task, or for no table. */
void changes_append(const struct tr_event *event, uint32_t at, struct tr_buffer *out);

/* metadata.c: provide_transaction_metadata */
/* Counts the event in: its place in the transaction, and among those of its table. */
void metadata_next(struct json_encoder *enc, struct relation_plan *plan, uint64_t *total, uint64_t *order);
void metadata_id(const struct tr_txn *txn, struct tr_buffer *out);
void metadata_count(struct json_encoder *enc, struct relation_plan *plan, const struct tr_txn *txn,
                    struct tr_buffer *out);
int metadata_begin(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
                   const struct tr_emit *emit, struct tr_error *err);
int metadata_commit(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
                    const struct tr_emit *emit, struct tr_error *err);
void metadata_free(struct json_encoder *enc);

/* Whose facts the source block shows: a row of the full load has those of its cut. NULL where nothing is known. */
static inline const struct tr_txn *
source_txn(const struct tr_batch *batch, const struct tr_txn *txn)
{
    return txn != NULL ? txn : batch->cut;
}

/* source.c: the source block, in pieces that are made once per table and once per transaction */
void source_append(struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn,
                   const struct tr_event *event, const char *table_part, uint32_t table_len,
                   struct tr_buffer *out);
/* The facts that events of one transaction share (enc->head_*) are made anew, and head_number counts, when this is another one. */
void source_refresh(struct json_encoder *enc, const struct tr_txn *txn, int snapshot);
const char *source_snapshot(int mark);
/* A JSON string; NULL is null. */
void json_text(struct tr_buffer *out, const char *text);
int64_t encoder_clock(struct json_encoder *enc); /* microseconds */
/* `,"ts_ms":...,"ts_us":...,"ts_ns":...`: the encoder's own clock */
void tail_append(struct json_encoder *enc, bool only_ms, struct tr_buffer *out);

#endif
