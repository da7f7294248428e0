/*
 * internal.h - what the files of this encoder share.
 *
 * What an event is made of is encoders/debezium's business: the records, the columns' renderers and the Connect schema of each key and value (as the text
 * that schemas_enable puts before JSON). Here that schema becomes Avro's, once per version of a table, and rows are written straight into Avro's bytes.
 * Records that are rare (transaction metadata, messages) are taken as JSON with their schemas and written anew by these.
 */
#ifndef TR_ENCODERS_AVRO_INTERNAL_H
#define TR_ENCODERS_AVRO_INTERNAL_H

#include <jansson.h>

#include "clients/registry/registry.h"
#include "encoders/debezium/internal.h"

enum name_adjustment { ADJUST_UNDERSCORE, ADJUST_UNICODE };
enum subject_name { SUBJECT_TOPIC, SUBJECT_RECORD, SUBJECT_TOPIC_RECORD };

/* Byte 0, and the id in four bytes. */
#define WIRE_HEAD 5

struct wire_schema {
    char head[WIRE_HEAD];
};

/* A column in a row of Avro: what does not change from row to row, the branch of its union included. */
struct avro_column {
    bool present;  /* the schema has a field for it */
    bool optional; /* a union with null */
    char branch;   /* optional: the byte before a value */
    const char *null;
    const char *fallback;    /* in an old row that the log holds in part; NULL = the type has none */
    const char *placeholder; /* for a value that the log did not carry; NULL = the type has no room for it */
    uint32_t null_len, fallback_len, placeholder_len;
};

struct avro_plan {
    struct avro_column *columns;  /* as many as the relation has */
    const char *database, *table; /* of the source block */
    uint32_t database_len, table_len;
    struct wire_schema key, value;
};

/* The schema of a rare record, by the bytes before its payload. */
struct known_schema {
    char *head; /* `{"schema":...,"payload":` */
    size_t head_len;
    char *topic;
    bool key;
    json_t *connect;
    struct wire_schema wire;
};

/* Bytes of the source block that events of one transaction have in common. */
struct source_parts {
    uint64_t number; /* made of json.head_* as of this number */
    struct tr_buffer head, sequence, times, where, end;
};

struct avro_encoder {
    struct json_encoder json; /* first */
    struct tr_schema_registry *registry;
    enum name_adjustment adjustment;
    enum subject_name subject_name;
    struct known_schema *known;
    size_t nknown;
    struct tr_buffer text; /* texts that are put together before they are written */
    struct tr_buffer rare_key, rare_value;
    struct source_parts source;
    struct tr_buffer clock; /* ts_ms, ts_us, ts_ns at clock_us */
    int64_t clock_us;
};

/* schema.c: Connect's schema as Confluent's converter would write it in Avro. NULL after a failure. The caller owns it. */
json_t *avro_schema(const json_t *connect, enum name_adjustment adjustment, struct tr_error *err);
/* Names as Debezium's adjusters make them. Appends to out. */
void adjust_name(const char *name, bool field, enum name_adjustment adjustment, struct tr_buffer *out);

/* transcode.c: a JSON value of a Connect schema as Avro's bytes. False when it does not fit the schema. */
bool avro_transcode(const json_t *connect, const json_t *value, struct tr_buffer *out);

/* plan.c: event_form.prepare; and schemas to ids */
int avro_prepare(struct json_encoder *enc, struct relation_plan *plan, struct tr_error *err);
int avro_register(struct avro_encoder *enc, const char *topic, bool key, const json_t *connect,
                  struct wire_schema *wire, struct tr_error *err);

/* rows.c: event_form.key and .value */
int avro_key(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
             const struct tr_value *other, struct tr_buffer *out, struct tr_error *err);
int avro_value(const struct record *rec, char op, const struct tr_value *before, const struct tr_value *after,
               const struct tr_value *other);

/* source.c: the source block */
void source_parts_init(struct source_parts *parts);
void source_parts_fini(struct source_parts *parts);
void avro_source(struct avro_encoder *enc, const struct record *rec, struct tr_buffer *out);

/* rare.c: JSON with its schemas in, Avro out */
struct rare_emit {
    struct tr_emit emit; /* given to who writes JSON */
    struct avro_encoder *enc;
    const struct tr_emit *to;
};
void rare_begin(struct rare_emit *rare, struct avro_encoder *enc, const struct tr_emit *to);
void rare_free(struct avro_encoder *enc);

#endif
