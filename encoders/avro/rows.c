/* rows.c - keys and envelopes of rows, straight into Avro's bytes. The renderers are those of JSON, told to write the other form. */
#include <string.h>

#include "encoders/avro/internal.h"
#include "encoders/debezium/put.h"

static int
fail_lacking(const struct relation_plan *plan, const struct column_plan *column, const char *why,
             const char *hint, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "table %s.%s column %s: %s", plan->relation->schema, plan->relation->name,
            column->column->name, why);
    return tr_error_hint(err, "%s", hint);
}

/* A value that its type has no form for: NaN in a decimal, a date of zeros. */
static int
write_lacking(const struct relation_plan *plan, uint16_t i, size_t start, struct tr_buffer *out,
              struct tr_error *err)
{
    const struct avro_column *to = &((const struct avro_plan *)plan->form)->columns[i];
    if (!to->optional)
        return fail_lacking(
            plan, &plan->columns[i], "a value of a NOT NULL column has no form in the column's Avro type",
            "NaN and infinite numbers: set decimal_handling_mode: string; or allow nulls in the column", err);
    out->len = start;
    avro_long(out, to->branch == 0);
    return 0;
}

static int
write_present(struct json_encoder *enc, const struct relation_plan *plan, uint16_t i,
              const struct tr_value *value, struct tr_buffer *out, struct tr_error *err)
{
    const struct column_plan *column = &plan->columns[i];
    const struct avro_column *to = &((const struct avro_plan *)plan->form)->columns[i];
    struct renderer *r = &enc->renderer;
    size_t start = out->len;
    const char *text = value->data;
    size_t len = value->len;
    if (to->optional)
        tr_buffer_byte(out, to->branch);
    if (value->codec == TR_CODEC_RAW && column->raw_bytes) {
        value_bytes(r, text, len, out);
        return 0;
    }
    if (value->codec != TR_CODEC_TEXT) {
        int rc = tr_value_text(plan->relation, column->column, value, &r->text, &text, &len, err);
        if (rc < 0)
            return rc;
    }
    r->null = false;
    if (!column->render(r, column, text, len, out))
        return debezium_fail_value(plan, column, err);
    return r->null ? write_lacking(plan, i, start, out, err) : 0;
}

static int
write_absent(const struct relation_plan *plan, uint16_t i, bool old, struct tr_buffer *out,
             struct tr_error *err)
{
    const struct column_plan *column = &plan->columns[i];
    const struct avro_column *to = &((const struct avro_plan *)plan->form)->columns[i];
    /* A generated column that the log does not carry. */
    bool lacking = old || column->column->generated;
    const char *bytes = lacking ? to->fallback : to->placeholder;
    if (bytes == NULL)
        return fail_lacking(
            plan, column,
            "a value did not change and so is not in the log, and its Avro type has no room for a placeholder",
            "log whole old rows (PostgreSQL: ALTER TABLE ... REPLICA IDENTITY FULL), or leave the column out",
            err);
    tr_buffer_add(out, bytes, lacking ? to->fallback_len : to->placeholder_len);
    return 0;
}

static int
write_column(struct json_encoder *enc, const struct relation_plan *plan, uint16_t i,
             const struct tr_value *value, bool old, struct tr_buffer *out, struct tr_error *err)
{
    const struct avro_column *to = &((const struct avro_plan *)plan->form)->columns[i];
    if (value->state == TR_PRESENT)
        return write_present(enc, plan, i, value, out, err);
    if (value->state == TR_ABSENT)
        return write_absent(plan, i, old, out, err);
    if (to->null == NULL)
        return fail_lacking(plan, &plan->columns[i], "it is declared NOT NULL, and null",
                            "leave the column out of the task", err);
    tr_buffer_add(out, to->null, to->null_len);
    return 0;
}

static int
write_row(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
          const struct tr_value *other, bool old, struct tr_buffer *out, struct tr_error *err)
{
    const struct avro_plan *avro = plan->form;
    int rc = 0;
    for (uint16_t i = 0; rc == 0 && i < plan->relation->ncolumns; i++)
        if (avro->columns[i].present)
            rc = write_column(enc, plan, i, debezium_value(row, old ? NULL : other, i), old, out, err);
    return rc;
}

int
avro_key(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
         const struct tr_value *other, struct tr_buffer *out, struct tr_error *err)
{
    const struct avro_plan *avro = plan->form;
    int rc = 0;
    tr_buffer_add(out, avro->key.head, WIRE_HEAD);
    enc->renderer.avro = true;
    for (uint16_t k = 0; rc == 0 && k < plan->nkeys; k++)
        rc = write_column(enc, plan, plan->keys[k], debezium_value(row, other, plan->keys[k]), false, out,
                          err);
    enc->renderer.avro = false;
    return rc;
}

/* ts_ms, ts_us and ts_ns, each behind the branch of its union. */
static void
add_clock(struct avro_encoder *enc, struct tr_buffer *out)
{
    int64_t us = encoder_clock(&enc->json), times[] = { us / 1000, us, us * 1000 };
    if (us != enc->clock_us) {
        enc->clock_us = us;
        tr_buffer_reset(&enc->clock);
        for (size_t i = 0; i < 3; i++) {
            avro_long(&enc->clock, 1);
            avro_long(&enc->clock, times[i]);
        }
    }
    tr_buffer_add(out, enc->clock.data, enc->clock.len);
}

/* Behind the rows: source, transaction, op, and the encoder's own clock. */
static void
finish(const struct record *rec, char op, struct tr_buffer *out)
{
    struct avro_encoder *enc = (struct avro_encoder *)rec->enc;
    struct json_encoder *json = rec->enc;
    avro_source(enc, rec, out);
    if (json->transaction_metadata && rec->txn != NULL && op != 'r') {
        uint64_t total, order;
        metadata_next(json, rec->plan, &total, &order);
        tr_buffer_reset(&enc->text);
        metadata_id(rec->txn, &enc->text);
        avro_long(out, 1);
        avro_string(out, enc->text.data, enc->text.len);
        avro_long(out, (int64_t)total);
        avro_long(out, (int64_t)order);
    } else {
        avro_long(out, 0);
    }
    char text[2] = { 2, op }; /* a string of one byte */
    tr_buffer_add(out, text, sizeof(text));
    add_clock(enc, out);
}

static int
write_rows(const struct record *rec, const struct tr_value *before, const struct tr_value *after,
           const struct tr_value *other, struct tr_buffer *out)
{
    int rc = 0;
    avro_long(out, before != NULL);
    if (before != NULL)
        rc = write_row(rec->enc, rec->plan, before, NULL, true, out, rec->err);
    avro_long(out, after != NULL);
    if (rc == 0 && after != NULL)
        rc = write_row(rec->enc, rec->plan, after, other, false, out, rec->err);
    return rc;
}

int
avro_value(const struct record *rec, char op, const struct tr_value *before, const struct tr_value *after,
           const struct tr_value *other)
{
    struct tr_buffer *out = &rec->enc->value;
    const struct avro_plan *avro = rec->plan->form;
    tr_buffer_reset(out);
    tr_buffer_add(out, avro->value.head, WIRE_HEAD);
    rec->enc->renderer.avro = true;
    int rc = write_rows(rec, before, after, other, out);
    rec->enc->renderer.avro = false;
    if (rc == 0)
        finish(rec, op, out);
    return rc;
}
