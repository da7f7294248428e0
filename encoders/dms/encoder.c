/*
 * encoder.c - events in, DMS's messages out: `{"data":{...},"metadata":{...}}`.
 *
 * One message per change and no tombstones: an update is one message even where it changes the key, and a delete holds what the log has of the row.
 */
#include "encoders/dms/dms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "encoders/common/write.h"
#include "encoders/dms/internal.h"

#define CLOCK_USES 64

/* ------------------------------------------------------------------------------------ metadata */

void
dms_begin_metadata(struct dms_encoder *enc, const char *record_type, const char *operation,
                   struct tr_buffer *out)
{
    if (enc->clock_uses-- == 0) {
        enc->clock_uses = CLOCK_USES;
        tr_buffer_reset(&enc->clock);
        json_literal(&enc->clock, "\"metadata\":{\"timestamp\":");
        dms_add_moment(&enc->clock, tr_wall_clock_us());
        json_literal(&enc->clock, ",\"record-type\":\"");
    }
    tr_buffer_add(out, enc->clock.data, enc->clock.len);
    tr_buffer_text(out, record_type);
    json_literal(out, "\",\"operation\":\"");
    tr_buffer_text(out, operation);
    tr_buffer_byte(out, '"');
}

/* A number that only grows: PostgreSQL's transaction id, or the commit's place in the binlog. */
static uint64_t
transaction_id(const struct tr_txn *txn)
{
    return txn->xid != 0 ? txn->xid : txn->commit_order;
}

static void
add_stream_position(const struct dms_encoder *enc, const struct tr_txn *txn, const struct tr_event *event,
                    struct tr_buffer *out)
{
    json_literal(out, ",\"stream-position\":\"");
    if (!enc->mysql) {
        tr_buffer_printf(out, "%" PRIX32 "/%" PRIX32, (uint32_t)(event->position >> 32),
                         (uint32_t)event->position);
    } else {
        const char *file = txn->file != NULL ? txn->file : "";
        json_escape(out, file, strlen(file));
        tr_buffer_printf(out, ":%" PRIu64 ":0:%" PRIu64 ":%" PRIu64 ":", event->position, event->position,
                         transaction_id(txn));
        json_escape(out, file, strlen(file));
        tr_buffer_printf(out, ":%" PRIu64, txn->commit_order & 0xffffffffff);
    }
    tr_buffer_byte(out, '"');
}

static void
add_transaction(struct dms_encoder *enc, const struct tr_txn *txn, const struct tr_event *event,
                struct tr_buffer *out)
{
    tr_buffer_printf(out, ",\"transaction-id\":%" PRIu64 ",\"transaction-record-id\":%" PRIu64,
                     transaction_id(txn), enc->now.records);
    if (enc->before.known)
        tr_buffer_printf(out, ",\"prev-transaction-id\":%" PRIu64 ",\"prev-transaction-record-id\":%" PRIu64,
                         enc->before.id, enc->before.records);
    json_literal(out, ",\"commit-timestamp\":");
    dms_add_moment(out, txn->commit_us);
    add_stream_position(enc, txn, event, out);
}

/* ----------------------------------------------------------------------------------------- key */

static int
primary_key(struct dms_encoder *enc, const struct dms_table *table, const struct tr_value *row,
            const struct tr_value *other, struct tr_error *err)
{
    struct tr_buffer *key = &enc->key;
    if (enc->schema_in_key)
        tr_buffer_printf(key, "%s.%s.", table->relation->schema, table->relation->name);
    for (uint16_t k = 0; k < table->nkeys; k++) {
        const struct tr_value *value = &row[table->keys[k]];
        if (value->state == TR_ABSENT && other != NULL)
            value = &other[table->keys[k]];
        if (value->state == TR_ABSENT)
            return topic_fail_key(table->relation, table->relation->columns[table->keys[k]].name, err);
        if (k > 0)
            tr_buffer_byte(key, '.');
        int rc = dms_add_text(enc, table, table->keys[k], value, key, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Fills enc->key; *type is what the metadata call it. */
static int
make_key(struct dms_encoder *enc, const struct dms_table *table, const struct tr_txn *txn,
         const struct tr_value *row, const struct tr_value *other, const char **type, struct tr_error *err)
{
    tr_buffer_reset(&enc->key);
    if (enc->partition_key == KEY_TRANSACTION && txn != NULL) {
        *type = "transaction-id";
        tr_buffer_uint(&enc->key, transaction_id(txn));
        return 0;
    }
    if (enc->partition_key == KEY_PRIMARY && table->nkeys > 0) {
        *type = "primary-key";
        return primary_key(enc, table, row, other, err);
    }
    *type = "schema-table";
    tr_buffer_printf(&enc->key, "%s.%s", table->relation->schema, table->relation->name);
    return 0;
}

/* ------------------------------------------------------------------------------------- records */

int
dms_emit(struct dms_encoder *enc, const struct dms_table *table, const struct tr_event *event,
         const struct tr_emit *emit, struct tr_error *err)
{
    if (enc->key.overflow || enc->value.overflow)
        return tr_fail(err, TR_REFUSED, "table %s.%s: an event passes the limit of 1 GiB as JSON",
                       table->relation->schema, table->relation->name);
    tr_buffer_reset(&enc->key_json);
    tr_json_string(&enc->key_json, enc->key.len > 0 ? enc->key.data : "", enc->key.len);
    const struct tr_message message = { .topic = table->topic,
                                        .key = enc->key.len > 0 ? enc->key.data : "",
                                        .key_len = enc->key.len,
                                        .key_json = enc->key_json.data,
                                        .key_json_len = enc->key_json.len,
                                        .value = enc->value.data,
                                        .value_len = enc->value.len,
                                        .event = event };
    return emit->message(emit->arg, &message, err);
}

static int
add_before(struct dms_encoder *enc, const struct dms_table *table, const struct tr_event *event,
           struct tr_error *err)
{
    struct tr_buffer *out = &enc->value;
    /* Without an old row in the log the key is what it was. */
    const struct tr_value *before = event->before != NULL ? event->before : event->after;
    enum before_columns only = event->before != NULL ? enc->before_columns : BEFORE_KEY;
    tr_buffer_byte(out, ',');
    tr_json_string(out, enc->before_name, strlen(enc->before_name));
    tr_buffer_byte(out, ':');
    return dms_write_row(enc, table, before, NULL, only, out, err);
}

static int
change(struct dms_encoder *enc, const struct tr_txn *txn, const struct tr_event *event, const char *operation,
       const struct tr_emit *emit, struct tr_error *err)
{
    struct dms_table *table = dms_table_get(enc, event->relation, err);
    const struct tr_value *row = event->after != NULL ? event->after : event->before;
    const struct tr_value *other = event->after != NULL ? event->before : NULL;
    struct tr_buffer *out = &enc->value;
    const char *key_type = NULL;
    if (table == NULL)
        return -(int)err->class;
    if (row == NULL)
        return 0; /* a delete of a table without identity: the server refuses those itself */
    int rc = event->kind == TR_READ ? dms_announce(enc, table, event, emit, err) : 0;
    if (rc == 0)
        rc = make_key(enc, table, txn, row, other, &key_type, err);
    tr_buffer_reset(out);
    json_literal(out, "{\"data\":");
    if (rc == 0)
        rc = dms_write_row(enc, table, row, other, BEFORE_ALL, out, err);
    if (rc == 0 && enc->before_name != NULL && event->kind == TR_UPDATE)
        rc = add_before(enc, table, event, err);
    if (rc < 0)
        return rc;
    tr_buffer_byte(out, ',');
    dms_begin_metadata(enc, "data", operation, out);
    json_literal(out, ",\"partition-key-type\":\"");
    tr_buffer_text(out, key_type);
    tr_buffer_byte(out, '"');
    if (enc->partition_value) {
        json_literal(out, ",\"partition-key-value\":");
        tr_json_string(out, enc->key.len > 0 ? enc->key.data : "", enc->key.len);
    }
    tr_buffer_text(out, table->place);
    if (txn != NULL)
        enc->now.records++;
    if (enc->transaction_details && txn != NULL)
        add_transaction(enc, txn, event, out);
    json_literal(out, "}}");
    return dms_emit(enc, table, event, emit, err);
}

static int
dms_event(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
          const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err)
{
    struct dms_encoder *enc = (struct dms_encoder *)base;
    (void)batch;
    switch (event->kind) {
    case TR_READ: return change(enc, txn, event, "load", emit, err);
    case TR_INSERT: return change(enc, txn, event, "insert", emit, err);
    case TR_UPDATE: return change(enc, txn, event, "update", emit, err);
    case TR_DELETE: return change(enc, txn, event, "delete", emit, err);
    case TR_TRUNCATE: return dms_truncate_event(enc, event, emit, err);
    case TR_SCHEMA: return dms_schema_event(enc, event, emit, err);
    case TR_DDL: return dms_statement_event(enc, event, emit, err);
    case TR_MESSAGE: return 0; /* the format has no form for them */
    default: return tr_fail(err, TR_REFUSED, "the DMS encoder does not know events of kind %d", event->kind);
    }
}

static int
dms_begin(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
          const struct tr_emit *emit, struct tr_error *err)
{
    struct dms_encoder *enc = (struct dms_encoder *)base;
    (void)batch;
    (void)emit;
    (void)err;
    /* A transaction without a record of ours is none to a consumer. */
    if (enc->now.records > 0)
        enc->before = enc->now;
    enc->now = (struct dms_place){ .known = true, .id = transaction_id(txn) };
    return 0;
}

/* ---------------------------------------------------------------------------------------- life */

static void
dms_close(struct tr_encoder *base)
{
    struct dms_encoder *enc = (struct dms_encoder *)base;
    if (enc == NULL)
        return;
    dms_tables_free(enc);
    tr_buffer_fini(&enc->key);
    tr_buffer_fini(&enc->key_json);
    tr_buffer_fini(&enc->value);
    tr_buffer_fini(&enc->text);
    tr_buffer_fini(&enc->clock);
    free(enc);
}

static int
dms_open(const struct tr_encoder_env *env, struct tr_encoder **encoder, struct tr_error *err)
{
    struct dms_encoder *enc = tr_calloc(1, sizeof(*enc));
    enc->base = (struct tr_encoder){ .class = &tr_dms_json_encoder, .env = env };
    tr_buffer_init(&enc->key, TR_BUFFER_MAX);
    tr_buffer_init(&enc->key_json, 3 * TR_BUFFER_MAX);
    tr_buffer_init(&enc->value, 3 * TR_BUFFER_MAX);
    tr_buffer_init(&enc->text, 3 * TR_BUFFER_MAX);
    tr_buffer_init(&enc->clock, 1 << 12);
    *encoder = NULL;
    int rc = dms_read_options(enc, err);
    if (rc < 0) {
        dms_close(&enc->base);
        return rc;
    }
    *encoder = &enc->base;
    return 0;
}

const struct tr_encoder_class tr_dms_json_encoder = {
    .name = "dms-json",
    .options = dms_options,
    .open = dms_open,
    .close = dms_close,
    .event = dms_event,
    .begin = dms_begin,
};
