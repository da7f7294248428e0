/* metadata.c - transaction metadata: BEGIN and END records, and each event's place in its transaction. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

/*
 * One id for the whole transaction: its GTID, the place of its BEGIN, or "xid:end of the commit". (Debezium puts the LSN of the record at hand there, so that BEGIN, events
 * and END of one PostgreSQL transaction have different ids and cannot be joined; docs/events.md.)
 */
void
metadata_id(const struct tr_txn *txn, struct tr_buffer *out)
{
    if (txn->gtid != NULL)
        tr_buffer_text(out, txn->gtid);
    else if (txn->file != NULL)
        tr_buffer_printf(out, "file=%s,pos=%llu", txn->file,
                         (unsigned long long)(txn->begin_order & 0xffffffffff));
    else
        tr_buffer_printf(out, "%llu:%llu", (unsigned long long)txn->xid,
                         (unsigned long long)txn->commit_order);
}

static void
append_id(const struct tr_txn *txn, struct tr_buffer *out)
{
    struct tr_buffer id;
    tr_buffer_init(&id, 1 << 16);
    metadata_id(txn, &id);
    tr_json_string(out, id.data, id.len);
    tr_buffer_fini(&id);
}

static struct collection *
find_collection(struct json_encoder *enc, struct relation_plan *plan)
{
    if (plan->txn_number == enc->txn_number)
        return &enc->collections[plan->collection_at];
    uint32_t at = 0;
    while (at < enc->ncollections && strcmp(enc->collections[at].name, plan->collection) != 0)
        at++;
    if (at == enc->ncollections) {
        if (at == enc->collections_cap) {
            enc->collections_cap = at > 0 ? 2 * at : 8;
            enc->collections = tr_realloc(enc->collections, enc->collections_cap * sizeof(*enc->collections));
        }
        enc->collections[at] = (struct collection){ .name = tr_strdup(plan->collection) };
        enc->ncollections++;
    }
    plan->txn_number = enc->txn_number;
    plan->collection_at = at;
    return &enc->collections[at];
}

void
metadata_next(struct json_encoder *enc, struct relation_plan *plan, uint64_t *total, uint64_t *order)
{
    *total = ++enc->txn_events;
    *order = ++find_collection(enc, plan)->events;
}

/* Counts the event in, and appends what follows `"transaction":`. */
void
metadata_count(struct json_encoder *enc, struct relation_plan *plan, const struct tr_txn *txn,
               struct tr_buffer *out)
{
    uint64_t total, order;
    metadata_next(enc, plan, &total, &order);
    json_literal(out, "{\"id\":");
    append_id(txn, out);
    json_literal(out, ",\"total_order\":");
    tr_buffer_uint(out, total);
    json_literal(out, ",\"data_collection_order\":");
    tr_buffer_uint(out, order);
    tr_buffer_byte(out, '}');
}

static void
forget_transaction(struct json_encoder *enc)
{
    for (uint32_t i = 0; i < enc->ncollections; i++)
        free(enc->collections[i].name);
    enc->ncollections = 0;
    enc->txn_events = 0;
    enc->txn_number++;
}

static void
append_counts(const struct json_encoder *enc, bool end, struct tr_buffer *out)
{
    if (!end) {
        json_literal(out, ",\"event_count\":null,\"data_collections\":null");
        return;
    }
    json_literal(out, ",\"event_count\":");
    tr_buffer_uint(out, enc->txn_events);
    json_literal(out, ",\"data_collections\":[");
    for (uint32_t i = 0; i < enc->ncollections; i++) {
        tr_buffer_text(out, i > 0 ? ",{\"data_collection\":" : "{\"data_collection\":");
        tr_json_string(out, enc->collections[i].name, strlen(enc->collections[i].name));
        json_literal(out, ",\"event_count\":");
        tr_buffer_uint(out, enc->collections[i].events);
        tr_buffer_byte(out, '}');
    }
    tr_buffer_byte(out, ']');
}

static int
emit_edge(struct json_encoder *enc, const struct tr_txn *txn, bool end, const struct tr_emit *emit,
          struct tr_error *err)
{
    tr_buffer_reset(&enc->key);
    tr_buffer_reset(&enc->value);
    if (enc->schemas) {
        schema_of_transaction(true, &enc->key);
        schema_of_transaction(false, &enc->value);
    }
    json_literal(&enc->key, "{\"id\":");
    append_id(txn, &enc->key);
    tr_buffer_text(&enc->key, enc->schemas ? "}}" : "}");
    tr_buffer_text(&enc->value, end ? "{\"status\":\"END\",\"id\":" : "{\"status\":\"BEGIN\",\"id\":");
    append_id(txn, &enc->value);
    append_counts(enc, end, &enc->value);
    json_literal(&enc->value, ",\"ts_ms\":");
    tr_buffer_int(&enc->value, txn->commit_us / 1000);
    tr_buffer_text(&enc->value, enc->schemas ? "}}" : "}");
    const struct tr_message message = { .topic = enc->transaction_topic,
                                        .key = enc->key.data,
                                        .key_len = enc->key.len,
                                        .value = enc->value.data,
                                        .value_len = enc->value.len };
    return emit->message(emit->arg, &message, err);
}

/* A logical message outside of a transaction comes as one without a number. */
static bool
is_transaction(const struct tr_txn *txn)
{
    return txn->xid != 0 || txn->gtid != NULL || txn->file != NULL;
}

/* Does this event make a record that a transaction counts? */
static bool
is_counted(const struct json_encoder *enc, const struct tr_event *event)
{
    switch (event->kind) {
    case TR_INSERT: return !enc->skip_create;
    case TR_UPDATE: return !enc->skip_update;
    case TR_DELETE: return !enc->skip_delete;
    case TR_TRUNCATE: return !enc->skip_truncate;
    case TR_DDL:
    case TR_SCHEMA: return false;
    default: return true;
    }
}

/* Statements that change nothing but shapes, and operations that are left out, are no transaction to a consumer. */
static bool
is_told(const struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn)
{
    if (!enc->transaction_metadata || !is_transaction(txn))
        return false;
    bool told = !txn->begins || !txn->ends || txn->nevents == 0;
    for (uint32_t i = 0; !told && i < txn->nevents; i++)
        told = is_counted(enc, &batch->events[txn->first_event + i]);
    return told;
}

int
metadata_begin(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
               const struct tr_emit *emit, struct tr_error *err)
{
    struct json_encoder *enc = (struct json_encoder *)base;
    forget_transaction(enc);
    if (!is_transaction(txn))
        enc->last_commit = txn->commit_order;
    return is_told(enc, batch, txn) ? emit_edge(enc, txn, false, emit, err) : 0;
}

int
metadata_commit(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
                const struct tr_emit *emit, struct tr_error *err)
{
    struct json_encoder *enc = (struct json_encoder *)base;
    bool real = is_transaction(txn);
    int rc = is_told(enc, batch, txn) ? emit_edge(enc, txn, true, emit, err) : 0;
    if (real)
        enc->last_commit = txn->end_order;
    return rc;
}

void
metadata_free(struct json_encoder *enc)
{
    forget_transaction(enc);
    free(enc->collections);
}
