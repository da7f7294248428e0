/* internal.h - what the files of this encoder share. */
#ifndef TR_ENCODERS_DMS_INTERNAL_H
#define TR_ENCODERS_DMS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "encoders/common/topic.h"
#include "encoders/encoder.h"

enum partition_key { KEY_PRIMARY, KEY_TABLE, KEY_TRANSACTION };
enum before_columns { BEFORE_KEY, BEFORE_NON_LOB, BEFORE_ALL };

/* What is known of one version of a table. */
struct dms_table {
    struct tr_relation *relation; /* one reference */
    struct tr_arena arena;
    const char *topic;
    const char **names; /* `"name":` per column */
    const uint16_t *keys;
    uint16_t nkeys;
    const char *place;       /* `,"schema-name":"s","table-name":"t"` */
    const char *control_key; /* TASK.schema.table */
    bool announced;          /* its create-table record is out */
};

/* The place of one transaction among its records. */
struct dms_place {
    bool known;
    uint64_t id;
    uint64_t records;
};

struct dms_encoder {
    struct tr_encoder base;
    struct topic_namer topics;
    enum partition_key partition_key;
    enum before_columns before_columns;
    const char *before_name; /* member that holds the old row, or NULL */
    bool transaction_details, partition_value, schema_in_key, table_alterations, control_details, nulls;
    bool hex_prefix, booleans;
    bool mysql;

    struct dms_table **tables; /* by relation->number */
    uint32_t ntables;

    struct tr_buffer key, key_json, value, text;
    struct tr_buffer clock; /* `"timestamp":"..."` */
    unsigned clock_uses;
    struct dms_place now, before;
};

/* options.c */
extern const struct tr_option dms_options[];
int dms_read_options(struct dms_encoder *enc, struct tr_error *err);

/* tables.c */
struct dms_table *dms_table_get(struct dms_encoder *enc, struct tr_relation *relation, struct tr_error *err);
void dms_tables_free(struct dms_encoder *enc);

/* values.c: `{...}` of the columns that are there. other: the other image, for what this one does not carry; or NULL. only: BEFORE_*. */
int dms_write_row(struct dms_encoder *enc, const struct dms_table *table, const struct tr_value *row,
                  const struct tr_value *other, enum before_columns only, struct tr_buffer *out,
                  struct tr_error *err);
/* A value's text, for keys. */
int dms_add_text(struct dms_encoder *enc, const struct dms_table *table, uint16_t column,
                 const struct tr_value *value, struct tr_buffer *out, struct tr_error *err);
/* `"2024-02-29T12:34:56.789012Z"` */
void dms_add_moment(struct tr_buffer *out, int64_t us);

/* control.c */
int dms_announce(struct dms_encoder *enc, struct dms_table *table, const struct tr_event *event,
                 const struct tr_emit *emit, struct tr_error *err);
int dms_schema_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                     struct tr_error *err);
int dms_truncate_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                       struct tr_error *err);
int dms_statement_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                        struct tr_error *err);

/* encoder.c: `"metadata":{"timestamp":...,"record-type":...,"operation":` */
void dms_begin_metadata(struct dms_encoder *enc, const char *record_type, const char *operation,
                        struct tr_buffer *out);
int dms_emit(struct dms_encoder *enc, const struct dms_table *table, const struct tr_event *event,
             const struct tr_emit *emit, struct tr_error *err);

#endif
