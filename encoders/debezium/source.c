/* source.c - the source block: where and when a change happened. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

static const char *const snapshot_marks[] = {
    [TR_SNAPSHOT_FALSE] = "false",
    [TR_SNAPSHOT_FIRST] = "first",
    [TR_SNAPSHOT_FIRST_IN_TABLE] = "first_in_data_collection",
    [TR_SNAPSHOT_TRUE] = "true",
    [TR_SNAPSHOT_LAST_IN_TABLE] = "last_in_data_collection",
    [TR_SNAPSHOT_LAST] = "last",
};

void
json_text(struct tr_buffer *out, const char *text)
{
    if (text == NULL)
        json_literal(out, "null");
    else
        tr_json_string(out, text, strlen(text));
}

static void
number_or_null(struct tr_buffer *out, uint64_t number)
{
    if (number == 0)
        json_literal(out, "null");
    else
        tr_buffer_uint(out, number);
}

static int64_t
floor_ms(int64_t us)
{
    return us >= 0 ? us / 1000 : -((999 - us) / 1000);
}

static void
ts_us_ns(struct tr_buffer *out, int64_t us)
{
    json_literal(out, ",\"ts_us\":");
    tr_buffer_int(out, us);
    json_literal(out, ",\"ts_ns\":");
    tr_buffer_int(out, us);
    if (us != 0)
        json_literal(out, "000");
}

int64_t
encoder_clock(struct json_encoder *enc)
{
    if (enc->clock_uses-- == 0) {
        enc->clock_us = tr_wall_clock_us();
        enc->clock_uses = 64;
    }
    return enc->clock_us;
}

void
tail_append(struct json_encoder *enc, bool only_ms, struct tr_buffer *out)
{
    int64_t now = encoder_clock(enc);
    if (only_ms) {
        json_literal(out, ",\"ts_ms\":");
        tr_buffer_int(out, floor_ms(now));
        return;
    }
    if (enc->tail_us != now) {
        enc->tail_us = now;
        tr_buffer_reset(&enc->tail);
        json_literal(&enc->tail, ",\"ts_ms\":");
        tr_buffer_int(&enc->tail, floor_ms(now));
        ts_us_ns(&enc->tail, now);
    }
    tr_buffer_add(out, enc->tail.data, enc->tail.len);
}

/* What PostgreSQL's block has behind the LSN. */
static void
make_end(struct json_encoder *enc, const struct tr_txn *txn)
{
    struct tr_buffer *end = &enc->source_end;
    tr_buffer_reset(end);
    json_literal(end, ",\"xmin\":null,\"origin\":");
    json_text(end, txn != NULL ? txn->origin : NULL);
    json_literal(end, ",\"origin_lsn\":");
    number_or_null(end, txn != NULL && txn->origin != NULL ? txn->origin_order : 0);
    tr_buffer_byte(end, '}');
}

/* Only where they are written: other forms have parts of their own. */
static void
make_parts(struct json_encoder *enc, const struct tr_txn *txn)
{
    struct tr_buffer *head = &enc->source_head, *commit = &enc->source_commit;
    enc->parts_number = enc->head_number;
    tr_buffer_reset(head);
    json_literal(head, "\"source\":{\"version\":\"" TR_VERSION "\",\"connector\":");
    json_text(head, enc->base.env->connector);
    json_literal(head, ",\"name\":");
    json_text(head, enc->prefix);
    json_literal(head, ",\"ts_ms\":");
    tr_buffer_int(head, floor_ms(enc->head_us));
    json_literal(head, ",\"snapshot\":");
    json_text(head, snapshot_marks[enc->head_snapshot]);
    json_literal(head, ",\"db\":");
    tr_buffer_reset(commit);
    if (enc->head_snapshot != TR_SNAPSHOT_FALSE || enc->last_commit == 0) {
        json_literal(commit, ",\"sequence\":\"[null,\\\"");
    } else {
        json_literal(commit, ",\"sequence\":\"[\\\"");
        tr_buffer_uint(commit, enc->last_commit);
        json_literal(commit, "\\\",\\\"");
    }
    tr_buffer_reset(&enc->source_time);
    ts_us_ns(&enc->source_time, enc->head_us);
    make_end(enc, txn);
}

static void
make_head(struct json_encoder *enc, const struct tr_txn *txn, int snapshot)
{
    enc->clock_uses = 0;
    enc->head_number++;
    enc->head_us = txn != NULL && txn->commit_us != 0 ? txn->commit_us : encoder_clock(enc);
    enc->head_snapshot = snapshot;
    enc->head_txn = txn != NULL ? *txn : (struct tr_txn){ 0 };
}

static bool
head_fits(const struct json_encoder *enc, const struct tr_txn *txn, int snapshot)
{
    const struct tr_txn *made = &enc->head_txn;
    if (enc->head_snapshot != snapshot)
        return false;
    if (txn == NULL)
        return made->commit_order == 0 && made->xid == 0;
    return made->commit_order == txn->commit_order && made->xid == txn->xid &&
           made->commit_us == txn->commit_us;
}

void
source_refresh(struct json_encoder *enc, const struct tr_txn *txn, int snapshot)
{
    if (!head_fits(enc, txn, snapshot))
        make_head(enc, txn, snapshot);
}

const char *
source_snapshot(int mark)
{
    return snapshot_marks[mark];
}

static void
append(struct tr_buffer *out, const struct tr_buffer *part)
{
    tr_buffer_add(out, part->data, part->len);
}

static void
append_postgres(struct json_encoder *enc, const struct tr_txn *txn, const struct tr_event *event,
                const char *table_part, uint32_t table_len, struct tr_buffer *out)
{
    char digits[24];
    struct tr_buffer position = { .data = digits, .cap = sizeof(digits), .max = sizeof(digits) };
    const char *database = enc->base.env->database;
    tr_buffer_uint(&position, event->position);
    append(out, &enc->source_head);
    json_text(out, database != NULL && database[0] != '\0' ? database
                   : event->relation != NULL               ? event->relation->database
                                                           : "");
    append(out, &enc->source_commit);
    append(out, &position);
    json_literal(out, "\\\"]\"");
    append(out, &enc->source_time);
    tr_buffer_add(out, table_part, table_len);
    if (event->kind == TR_MESSAGE && !(event->flags & TR_MESSAGE_TRANSACTIONAL))
        json_literal(out, "null");
    else
        number_or_null(out, txn != NULL ? txn->xid : 0);
    json_literal(out, ",\"lsn\":");
    append(out, &position);
    append(out, &enc->source_end);
}

static void
append_mysql(struct json_encoder *enc, const struct tr_txn *txn, const struct tr_event *event,
             const char *table_part, uint32_t table_len, struct tr_buffer *out)
{
    static const struct tr_txn none;
    if (txn == NULL)
        txn = &none;
    append(out, &enc->source_head);
    json_text(out, event->relation != NULL ? event->relation->schema
                   : event->kind == TR_DDL ? ddl_database(event)
                                           : "");
    json_literal(out, ",\"sequence\":null");
    if (event->kind == TR_DDL) /* Debezium knows the statement's moment to the millisecond */
        ts_us_ns(out, floor_ms(enc->head_us) * 1000);
    else
        append(out, &enc->source_time);
    tr_buffer_add(out, table_part, table_len);
    tr_buffer_uint(out, txn->server_id);
    json_literal(out, ",\"gtid\":");
    json_text(out, txn->gtid);
    json_literal(out, ",\"file\":");
    json_text(out, txn->file != NULL ? txn->file : "");
    json_literal(out, ",\"pos\":");
    tr_buffer_uint(out, event->position);
    json_literal(out, ",\"row\":");
    tr_buffer_uint(out, event->row);
    json_literal(out, ",\"thread\":");
    number_or_null(out, event->kind != TR_TRUNCATE && event->kind != TR_DDL ? txn->thread_id : 0);
    json_literal(out, ",\"query\":null}");
}

void
source_append(struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn,
              const struct tr_event *event, const char *table_part, uint32_t table_len, struct tr_buffer *out)
{
    txn = source_txn(batch, txn);
    source_refresh(enc, txn, event->snapshot);
    if (enc->parts_number != enc->head_number)
        make_parts(enc, txn);
    if (enc->renderer.modes.mysql)
        append_mysql(enc, txn, event, table_part, table_len, out);
    else
        append_postgres(enc, txn, event, table_part, table_len, out);
}
