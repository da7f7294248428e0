/* source.c - the source block in Avro: the fields of encoders/debezium/source.c, in the order of its schema, from parts that a transaction's events share. */
#include <stdio.h>
#include <string.h>

#include "encoders/avro/internal.h"
#include "encoders/common/avro.h"

static void
text(struct tr_buffer *out, const char *value)
{
    avro_string(out, value, strlen(value));
}

static void
optional_text(struct tr_buffer *out, const char *value)
{
    avro_long(out, value != NULL);
    if (value != NULL)
        text(out, value);
}

static void
optional_long(struct tr_buffer *out, int64_t value)
{
    avro_long(out, 1);
    avro_long(out, value);
}

static void
long_or_null(struct tr_buffer *out, uint64_t value)
{
    avro_long(out, value != 0);
    if (value != 0)
        avro_long(out, (int64_t)value);
}

/* What stands between the table and the position, and behind that. */
static void
make_where(struct source_parts *parts, bool mysql, const struct tr_txn *txn)
{
    static const struct tr_txn none;
    if (txn == NULL)
        txn = &none;
    tr_buffer_reset(&parts->where);
    tr_buffer_reset(&parts->end);
    if (mysql) {
        avro_long(&parts->where, txn->server_id);
        optional_text(&parts->where, txn->gtid);
        text(&parts->where, txn->file != NULL ? txn->file : "");
        long_or_null(&parts->end, txn->thread_id);
        avro_long(&parts->end, 0); /* query */
    } else {
        long_or_null(&parts->where, txn->xid);
        avro_long(&parts->where, 1); /* lsn */
        avro_long(&parts->end, 0);   /* xmin */
        optional_text(&parts->end, txn->origin);
        long_or_null(&parts->end, txn->origin != NULL ? txn->origin_order : 0);
    }
}

static void
make_parts(struct avro_encoder *enc, const struct tr_txn *txn, int snapshot)
{
    struct source_parts *parts = &enc->source;
    struct tr_buffer *head = &parts->head;
    int64_t us = enc->json.head_us;
    parts->number = enc->json.head_number;
    tr_buffer_reset(head);
    text(head, TR_VERSION);
    text(head, enc->json.base.env->connector);
    text(head, enc->json.prefix);
    avro_long(head, us >= 0 ? us / 1000 : -((999 - us) / 1000));
    avro_long(head, 0); /* [string, null], for it has a default */
    text(head, source_snapshot(snapshot));
    tr_buffer_reset(&parts->sequence);
    if (snapshot != TR_SNAPSHOT_FALSE || enc->json.last_commit == 0)
        tr_buffer_text(&parts->sequence, "[null,\"");
    else {
        tr_buffer_add(&parts->sequence, "[\"", 2);
        tr_buffer_uint(&parts->sequence, enc->json.last_commit);
        tr_buffer_add(&parts->sequence, "\",\"", 3);
    }
    tr_buffer_reset(&parts->times);
    optional_long(&parts->times, us);
    optional_long(&parts->times, us * 1000);
    make_where(parts, enc->json.renderer.modes.mysql, txn);
}

/* ["last commit","position"] */
static void
sequence(const struct source_parts *parts, uint64_t position, struct tr_buffer *out)
{
    char digits[24];
    struct tr_buffer number = { .data = digits, .cap = sizeof(digits), .max = sizeof(digits) };
    tr_buffer_uint(&number, position);
    avro_long(out, 1);
    avro_long(out, (int64_t)(parts->sequence.len + number.len + 2));
    tr_buffer_add(out, parts->sequence.data, parts->sequence.len);
    tr_buffer_add(out, number.data, number.len);
    tr_buffer_add(out, "\"]", 2);
}

static void
append(struct tr_buffer *out, const struct tr_buffer *part)
{
    tr_buffer_add(out, part->data, part->len);
}

void
avro_source(struct avro_encoder *enc, const struct record *rec, struct tr_buffer *out)
{
    const struct tr_txn *txn = source_txn(rec->batch, rec->txn);
    const struct source_parts *parts = &enc->source;
    const struct avro_plan *plan = rec->plan->form;
    bool mysql = enc->json.renderer.modes.mysql;
    source_refresh(&enc->json, txn, rec->event->snapshot);
    if (parts->number != enc->json.head_number)
        make_parts(enc, txn, rec->event->snapshot);
    append(out, &parts->head);
    tr_buffer_add(out, plan->database, plan->database_len);
    if (mysql)
        avro_long(out, 0);
    else
        sequence(parts, rec->event->position, out);
    append(out, &parts->times);
    tr_buffer_add(out, plan->table, plan->table_len);
    append(out, &parts->where);
    avro_long(out, (int64_t)rec->event->position);
    if (mysql)
        avro_long(out, rec->event->row);
    if (mysql && rec->event->kind == TR_TRUNCATE)
        tr_buffer_add(out, "\0\0", 2); /* neither thread nor query */
    else
        append(out, &parts->end);
}

void
source_parts_init(struct source_parts *parts)
{
    struct tr_buffer *all[] = { &parts->head, &parts->sequence, &parts->times, &parts->where, &parts->end };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        tr_buffer_init(all[i], 1 << 20);
}

void
source_parts_fini(struct source_parts *parts)
{
    struct tr_buffer *all[] = { &parts->head, &parts->sequence, &parts->times, &parts->where, &parts->end };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        tr_buffer_fini(all[i]);
}
