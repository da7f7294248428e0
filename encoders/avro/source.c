/* source.c - the source block in Avro: the fields of encoders/debezium/source.c, in the order of its schema. */
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

/* What the events of one transaction have in common: version, connector, name, ts_ms, snapshot. */
static void
make_head(struct avro_encoder *enc, int snapshot)
{
    struct tr_buffer *head = &enc->source_head;
    int64_t us = enc->json.head_us;
    tr_buffer_reset(head);
    text(head, TR_VERSION);
    text(head, enc->json.base.env->connector);
    text(head, enc->json.prefix);
    avro_long(head, us >= 0 ? us / 1000 : -((999 - us) / 1000));
    avro_long(head, 0); /* [string, null], for it has a default */
    text(head, source_snapshot(snapshot));
}

static void
times(const struct avro_encoder *enc, struct tr_buffer *out)
{
    optional_long(out, enc->json.head_us);
    optional_long(out, enc->json.head_us * 1000);
}

/* ["last commit","position"], or null for a commit that is not known */
static void
sequence(const struct avro_encoder *enc, const struct tr_event *event, struct tr_buffer *out)
{
    char json[64];
    int len;
    if (event->snapshot != TR_SNAPSHOT_FALSE || enc->json.last_commit == 0)
        len = snprintf(json, sizeof(json), "[null,\"%llu\"]", (unsigned long long)event->position);
    else
        len = snprintf(json, sizeof(json), "[\"%llu\",\"%llu\"]", (unsigned long long)enc->json.last_commit,
                       (unsigned long long)event->position);
    avro_long(out, 1);
    avro_string(out, json, (size_t)len);
}

static void
postgres(const struct avro_encoder *enc, const struct record *rec, struct tr_buffer *out)
{
    const struct tr_relation *relation = rec->plan->relation;
    const struct tr_txn *txn = source_txn(rec->batch, rec->txn);
    const char *database = enc->json.base.env->database;
    text(out, database != NULL && database[0] != '\0' ? database : relation->database);
    sequence(enc, rec->event, out);
    times(enc, out);
    text(out, relation->schema);
    text(out, relation->name);
    long_or_null(out, txn != NULL ? txn->xid : 0);
    optional_long(out, (int64_t)rec->event->position);
    avro_long(out, 0); /* xmin */
    optional_text(out, txn != NULL ? txn->origin : NULL);
    long_or_null(out, txn != NULL && txn->origin != NULL ? txn->origin_order : 0);
}

static void
mysql(const struct avro_encoder *enc, const struct record *rec, struct tr_buffer *out)
{
    static const struct tr_txn none;
    const struct tr_relation *relation = rec->plan->relation;
    const struct tr_txn *known = source_txn(rec->batch, rec->txn), *txn = known != NULL ? known : &none;
    text(out, relation->schema);
    avro_long(out, 0); /* sequence */
    times(enc, out);
    optional_text(out, relation->name);
    avro_long(out, txn->server_id);
    optional_text(out, txn->gtid);
    text(out, txn->file != NULL ? txn->file : "");
    avro_long(out, (int64_t)rec->event->position);
    avro_long(out, rec->event->row);
    long_or_null(out, txn->thread_id);
    avro_long(out, 0); /* query */
}

void
avro_source(struct avro_encoder *enc, const struct record *rec, struct tr_buffer *out)
{
    if (source_refresh(&enc->json, source_txn(rec->batch, rec->txn), rec->event->snapshot) ||
        enc->source_head.len == 0)
        make_head(enc, rec->event->snapshot);
    tr_buffer_add(out, enc->source_head.data, enc->source_head.len);
    if (enc->json.renderer.modes.mysql)
        mysql(enc, rec, out);
    else
        postgres(enc, rec, out);
}
