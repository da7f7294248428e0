/*
 * encoder.c - events in, Debezium's envelopes out.
 *
 * All that does not change from row to row is kept as bytes: per table in struct relation_plan, per transaction in the source block's parts.
 * A row is then copies of those bytes with values between them.
 */
#include "encoders/debezium/debezium.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "encoders/debezium/internal.h"
#include "encoders/debezium/options.h"
#include "encoders/common/write.h"

/* ---------------------------------------------------------------------------------------- rows */

int
debezium_fail_value(const struct relation_plan *plan, const struct column_plan *column, struct tr_error *err)
{
    const struct tr_relation *relation = plan->relation;
    tr_fail(err, TR_REFUSED,
            "table %s.%s column %s: a value is none of type %s (%s), so it cannot be written",
            relation->schema, relation->name, column->column->name,
            column->column->native != NULL ? column->column->native : column->column->type_name,
            tr_logical_name(column->column->logical));
    return tr_error_hint(
        err, "Leave the column out of the task, or report this as a fault with the type's definition.");
}

static int
write_value(struct json_encoder *enc, const struct relation_plan *plan, const struct column_plan *column,
            const struct tr_value *value, struct tr_buffer *out, struct tr_error *err)
{
    const char *text = value->data;
    size_t len = value->len;
    if (value->codec == TR_CODEC_RAW && column->raw_bytes) {
        value_bytes(&enc->renderer, text, len, out);
        return 0;
    }
    if (value->codec != TR_CODEC_TEXT) {
        int rc = tr_value_text(plan->relation, column->column, value, &enc->renderer.text, &text, &len, err);
        if (rc < 0)
            return rc;
    }
    return column->render(&enc->renderer, column, text, len, out) ? 0
                                                                  : debezium_fail_value(plan, column, err);
}

const struct tr_value *
debezium_value(const struct tr_value *row, const struct tr_value *other, uint16_t i)
{
    return row[i].state == TR_ABSENT && other != NULL && other[i].state != TR_ABSENT ? &other[i] : &row[i];
}

/* What a row image is for decides what an absent value becomes. */
enum image { IMAGE_NEW, IMAGE_OLD };

static int
write_column(struct json_encoder *enc, const struct relation_plan *plan, uint16_t i,
             const struct tr_value *row, const struct tr_value *other, enum image image,
             struct tr_buffer *out, struct tr_error *err)
{
    const struct column_plan *column = &plan->columns[i];
    /* An unchanged large value stands in the old row when the table logs whole old rows. */
    const struct tr_value *value = debezium_value(row, image == IMAGE_NEW ? other : NULL, i);
    if (value->state == TR_PRESENT)
        return write_value(enc, plan, column, value, out, err);
    if (value->state == TR_NULL)
        tr_buffer_add(out, column->null, column->null_len);
    else if (image == IMAGE_NEW)
        tr_buffer_add(out, column->placeholder, column->placeholder_len);
    else
        tr_buffer_add(out, column->fallback, column->fallback_len);
    return 0;
}

static int
write_row(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
          const struct tr_value *other, enum image image, struct tr_buffer *out, struct tr_error *err)
{
    uint16_t ncolumns = plan->relation->ncolumns;
    uint32_t comma = 1; /* the first name goes without its comma */
    tr_buffer_byte(out, '{');
    for (uint16_t i = 0; i < ncolumns; i++) {
        const struct column_plan *column = &plan->columns[i];
        if (column->omitted || (column->column->generated && row[i].state == TR_ABSENT))
            continue;
        tr_buffer_add(out, column->name + comma, column->name_len - comma);
        comma = 0;
        int rc = write_column(enc, plan, i, row, other, image, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_byte(out, '}');
    return 0;
}

/* The key struct; nothing is appended for a table without key. */
static int
write_json_key(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
               const struct tr_value *other, struct tr_buffer *out, struct tr_error *err)
{
    tr_buffer_reset(out);
    if (plan->nkeys == 0)
        return 0;
    tr_buffer_add(out, plan->key_head, plan->key_head_len);
    for (uint16_t k = 0; k < plan->nkeys; k++) {
        const struct column_plan *column = &plan->columns[plan->keys[k]];
        if (k == 0)
            tr_buffer_byte(out, '{');
        tr_buffer_add(out, column->name + (k == 0), column->name_len - (k == 0));
        int rc = write_column(enc, plan, plan->keys[k], row, other, IMAGE_NEW, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_text(out, enc->schemas ? "}}" : "}");
    return 0;
}

static int
write_key(struct json_encoder *enc, const struct relation_plan *plan, const struct tr_value *row,
          const struct tr_value *other, struct tr_buffer *out, struct tr_error *err)
{
    for (uint16_t k = 0; k < plan->nkeys; k++) {
        uint16_t i = plan->keys[k];
        if (row[i].state == TR_ABSENT && (other == NULL || other[i].state == TR_ABSENT))
            return topic_fail_key(plan->relation, plan->columns[i].column->name, err);
    }
    if (enc->form == NULL || plan->nkeys == 0)
        return write_json_key(enc, plan, row, other, out, err);
    tr_buffer_reset(out);
    return enc->form->key(enc, plan, row, other, out, err);
}

/* Same bytes in both images, or not sent anew. */
static bool
same_key(const struct relation_plan *plan, const struct tr_value *before, const struct tr_value *after)
{
    for (uint16_t k = 0; k < plan->nkeys; k++) {
        const struct tr_value *a = &before[plan->keys[k]], *b = &after[plan->keys[k]];
        if (a->state == TR_ABSENT || b->state == TR_ABSENT)
            continue;
        if (a->state != b->state ||
            (a->state == TR_PRESENT && (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------- records */

static int
emit_record(const struct record *rec, const struct tr_buffer *key, const struct tr_buffer *value)
{
    if (rec->enc->value.overflow || rec->enc->key.overflow || rec->enc->old_key.overflow)
        return tr_fail(rec->err, TR_REFUSED, "table %s.%s: an event passes the limit of 1 GiB",
                       rec->plan->relation->schema, rec->plan->relation->name);
    struct tr_message message = { .topic = rec->plan->topic,
                                  .event = rec->event,
                                  .header_name = rec->header_name };
    if (key->len > 0) {
        message.key = key->data;
        message.key_len = key->len;
    }
    if (value != NULL) {
        message.value = value->data;
        message.value_len = value->len;
    }
    if (rec->header != NULL) {
        /* Connect's own converter of headers knows no schemas. */
        uint32_t head = rec->plan->key_head_len;
        message.header_value = rec->header->data + head;
        message.header_len = rec->header->len - head - rec->enc->schemas;
    }
    return rec->emit->message(rec->emit->arg, &message, rec->err);
}

/* Everything behind `after`. */
static void
finish_envelope(const struct record *rec, char op)
{
    struct json_encoder *enc = rec->enc;
    struct tr_buffer *out = &enc->value;
    tr_buffer_byte(out, ',');
    source_append(enc, rec->batch, rec->txn, rec->event, rec->plan->source, rec->plan->source_len, out);
    json_literal(out, ",\"transaction\":");
    if (enc->transaction_metadata && rec->txn != NULL && op != 'r')
        metadata_count(enc, rec->plan, rec->txn, out);
    else
        json_literal(out, "null");
    char text[] = ",\"op\":\"?\"";
    text[7] = op;
    tr_buffer_add(out, text, sizeof(text) - 1);
    tail_append(enc, false, out);
    tr_buffer_text(out, enc->schemas ? "}}" : "}");
}

/* The new row, and behind its columns what happened to it, where and when. */
static int
plain_change(const struct record *rec, char op, const struct tr_value *after, const struct tr_value *other,
             const struct tr_buffer *key)
{
    struct tr_buffer *out = &rec->enc->value;
    tr_buffer_reset(out);
    int rc = write_row(rec->enc, rec->plan, after, other, IMAGE_NEW, out, rec->err);
    if (rc < 0)
        return rc;
    out->len--; /* the closing brace */
    tr_buffer_printf(out, "%s\"__op\":\"%c\",\"__table\":", out->data[out->len - 1] == '{' ? "" : ",", op);
    tr_json_string(out, rec->plan->collection, strlen(rec->plan->collection));
    json_literal(out, ",\"__ts_ms\":");
    if (rec->txn != NULL && rec->txn->commit_us != 0)
        tr_buffer_int(out, rec->txn->commit_us / 1000);
    else
        json_literal(out, "null");
    json_literal(out, ",\"__position\":");
    tr_buffer_uint(out, rec->event->position);
    tr_buffer_byte(out, '}');
    return emit_record(rec, key, out);
}

static int
change(const struct record *rec, char op, const struct tr_value *before, const struct tr_value *after,
       const struct tr_value *other, const struct tr_buffer *key)
{
    struct tr_buffer *out = &rec->enc->value;
    int rc = 0;
    if (rec->enc->plain)
        return after != NULL ? plain_change(rec, op, after, other, key) : 0;
    if (rec->enc->form != NULL) {
        rc = rec->enc->form->value(rec, op, before, after, other);
        return rc < 0 ? rc : emit_record(rec, key, out);
    }
    tr_buffer_reset(out);
    tr_buffer_add(out, rec->plan->value_head, rec->plan->value_head_len);
    if (before == NULL)
        json_literal(out, "{\"before\":null,\"after\":");
    else {
        json_literal(out, "{\"before\":");
        rc = write_row(rec->enc, rec->plan, before, NULL, IMAGE_OLD, out, rec->err);
        json_literal(out, ",\"after\":");
    }
    if (rc == 0 && after == NULL)
        json_literal(out, "null");
    else if (rc == 0)
        rc = write_row(rec->enc, rec->plan, after, other, IMAGE_NEW, out, rec->err);
    if (rc < 0)
        return rc;
    finish_envelope(rec, op);
    return emit_record(rec, key, out);
}

static int
delete_and_tombstone(const struct record *rec, const struct tr_buffer *key)
{
    /* Without a key there is nothing that a plain tombstone could name. */
    if (rec->enc->plain)
        return key->len > 0 ? emit_record(rec, key, NULL) : 0;
    int rc = change(rec, 'd', rec->event->before, NULL, NULL, key);
    if (rc == 0 && rec->enc->tombstones)
        rc = emit_record(rec, key, NULL);
    return rc;
}

static int
insert_event(struct record *rec, char op)
{
    int rc = write_key(rec->enc, rec->plan, rec->event->after, NULL, &rec->enc->key, rec->err);
    return rc < 0 ? rc : change(rec, op, NULL, rec->event->after, NULL, &rec->enc->key);
}

static int
delete_event(struct record *rec)
{
    if (rec->event->before == NULL)
        return 0; /* a table without identity logs nothing of the row; PostgreSQL refuses such deletes itself */
    int rc = write_key(rec->enc, rec->plan, rec->event->before, NULL, &rec->enc->key, rec->err);
    return rc < 0 ? rc : delete_and_tombstone(rec, &rec->enc->key);
}

/* The headers of a change of key: Connect's own converter of headers writes text, whatever the form of the rest. */
static int
write_headers(struct record *rec, const struct tr_buffer **old_key, const struct tr_buffer **new_key)
{
    struct json_encoder *enc = rec->enc;
    *old_key = &enc->old_key;
    *new_key = &enc->key;
    if (enc->form == NULL)
        return 0;
    *old_key = &enc->header_old;
    *new_key = &enc->header_new;
    int rc = write_json_key(enc, rec->plan, rec->event->before, NULL, &enc->header_old, rec->err);
    return rc < 0 ? rc
                  : write_json_key(enc, rec->plan, rec->event->after, rec->event->before, &enc->header_new,
                                   rec->err);
}

/* A row that moved to another key is gone from the old one and new under the new one; each record names the other's key. */
static int
key_change(struct record *rec)
{
    struct json_encoder *enc = rec->enc;
    const struct tr_buffer *old_header = NULL, *new_header = NULL;
    int rc = write_key(enc, rec->plan, rec->event->before, NULL, &enc->old_key, rec->err);
    if (rc == 0)
        rc = write_headers(rec, &old_header, &new_header);
    if (rc < 0)
        return rc;
    rec->header = new_header;
    rec->header_name = "__debezium.newkey";
    /* Debezium leaves out operations of the log with MySQL and MariaDB (there this is an update), and records with PostgreSQL. */
    bool whole = enc->renderer.modes.mysql;
    if (whole || !enc->skip_delete)
        rc = delete_and_tombstone(rec, &enc->old_key);
    rec->header = old_header;
    rec->header_name = "__debezium.oldkey";
    if (rc == 0 && (whole || !enc->skip_create))
        rc = change(rec, 'c', NULL, rec->event->after, rec->event->before, &enc->key);
    return rc;
}

static int
update_event(struct record *rec)
{
    const struct tr_value *before = rec->event->before, *after = rec->event->after;
    int rc = write_key(rec->enc, rec->plan, after, before, &rec->enc->key, rec->err);
    if (rc < 0)
        return rc;
    /* The old key could be any other. */
    if (before == NULL && !rec->plan->keys_are_logged)
        return topic_fail_key(rec->plan->relation, rec->plan->columns[rec->plan->keys[0]].column->name,
                              rec->err);
    if (before != NULL && rec->plan->nkeys > 0 && !same_key(rec->plan, before, after))
        return key_change(rec);
    return change(rec, 'u', before, after, before, &rec->enc->key);
}

static int
truncate_event(struct record *rec)
{
    struct tr_event one =
        *rec->event; /* its list of tables and its single relation share no field, but `relation` is not set */
    for (uint32_t i = 0; i < rec->event->truncate.nrelations; i++) {
        static const struct tr_buffer no_key;
        one.relation = rec->event->truncate.relations[i];
        struct record each = *rec;
        each.event = &one;
        each.plan = relation_plan_get(rec->enc, one.relation, rec->err);
        if (each.plan == NULL)
            return -(int)rec->err->class;
        int rc = 0;
        if (!one.relation->skip && rec->enc->form != NULL)
            rc = rec->enc->form->prepare(rec->enc, each.plan, rec->err);
        if (rc == 0 && !one.relation->skip)
            rc = change(&each, 't', NULL, NULL, NULL, &no_key);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
message_event(struct record *rec)
{
    struct json_encoder *enc = rec->enc;
    const struct tr_event *event = rec->event;
    struct tr_buffer *key = &enc->key, *value = &enc->value;
    static const char no_table[] = ",\"schema\":\"\",\"table\":\"\",\"txId\":";
    tr_buffer_reset(key);
    tr_buffer_reset(value);
    if (enc->schemas) {
        schema_of_message(enc, true, key);
        schema_of_message(enc, false, value);
    }
    json_literal(key, "{\"prefix\":");
    tr_json_string(key, event->message.prefix, strlen(event->message.prefix));
    tr_buffer_text(key, enc->schemas ? "}}" : "}");
    json_literal(value, "{\"op\":\"m\"");
    tail_append(enc, true, value);
    tr_buffer_byte(value, ',');
    source_append(enc, rec->batch, rec->txn, event, no_table, sizeof(no_table) - 1, value);
    json_literal(value, ",\"transaction\":");
    if (enc->transaction_metadata && (event->flags & TR_MESSAGE_TRANSACTIONAL))
        metadata_count(enc, &enc->message_plan, rec->txn, value);
    else
        json_literal(value, "null");
    json_literal(value, ",\"message\":{\"prefix\":");
    tr_json_string(value, event->message.prefix, strlen(event->message.prefix));
    json_literal(value, ",\"content\":");
    value_bytes(&enc->renderer, event->message.content, event->message.len, value);
    tr_buffer_text(value, enc->schemas ? "}}}" : "}}");
    if (key->overflow || value->overflow)
        return tr_fail(rec->err, TR_REFUSED, "a logical message passes the limit of 1 GiB as JSON");
    const struct tr_message message = { .topic = enc->message_topic,
                                        .key = key->data,
                                        .key_len = key->len,
                                        .value = value->data,
                                        .value_len = value->len,
                                        .event = event };
    return rec->emit->message(rec->emit->arg, &message, rec->err);
}

int
debezium_event(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
               const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err)
{
    struct json_encoder *enc = (struct json_encoder *)base;
    struct record rec = { .enc = enc, .batch = batch, .txn = txn, .event = event, .emit = emit, .err = err };
    bool row = event->kind == TR_READ || event->kind == TR_INSERT || event->kind == TR_UPDATE ||
               event->kind == TR_DELETE;
    if (row && (rec.plan = relation_plan_get(enc, event->relation, err)) == NULL)
        return -(int)err->class;
    if (rec.plan != NULL && enc->form != NULL) {
        int rc = enc->form->prepare(enc, rec.plan, err);
        if (rc < 0)
            return rc;
    }
    switch (event->kind) {
    case TR_INSERT: return enc->skip_create ? 0 : insert_event(&rec, 'c');
    case TR_READ: return insert_event(&rec, 'r');
    case TR_UPDATE: return enc->skip_update ? 0 : update_event(&rec);
    case TR_DELETE: return enc->skip_delete ? 0 : delete_event(&rec);
    case TR_TRUNCATE: return enc->skip_truncate ? 0 : truncate_event(&rec);
    case TR_MESSAGE: return message_event(&rec);
    case TR_DDL: return enc->schema_changes ? debezium_ddl(enc, batch, txn, event, emit, err) : 0;
    case TR_SCHEMA: return 0; /* the next row brings its new shape with it */
    default: return tr_fail(err, TR_REFUSED, "the encoder does not know events of kind %d", event->kind);
    }
}

/* --------------------------------------------------------------------------------------- life */

static bool
has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
        if ((at == list || at[-1] == ',' || at[-1] == ' ') &&
            (at[len] == '\0' || at[len] == ',' || at[len] == ' '))
            return true;
    return false;
}

static int
read_skipped(struct json_encoder *enc, const struct tr_settings *settings, struct tr_error *err)
{
    const char *list = json_option_text(settings, "skipped_operations");
    if (strspn(list, "cudt, ") != strlen(list) && strcmp(list, "none") != 0)
        return tr_fail(err, TR_CONFIG,
                       "skipped_operations is \"%s\": it takes c, u, d and t separated by commas, or none",
                       list);
    enc->skip_create = has_word(list, "c");
    enc->skip_update = has_word(list, "u");
    enc->skip_delete = has_word(list, "d");
    enc->skip_truncate = has_word(list, "t");
    return 0;
}

static char *
copy_of(const struct tr_buffer *bytes)
{
    char *copy = tr_malloc(bytes->len + 1);
    if (bytes->len > 0)
        memcpy(copy, bytes->data, bytes->len);
    return copy;
}

/* The bytes as text: as in Java, what is no UTF-8 becomes U+FFFD. */
static void
placeholder_text(struct json_encoder *enc)
{
    struct tr_buffer text;
    const char *at = enc->placeholder_bytes, *end = at + enc->placeholder_bytes_len;
    tr_buffer_init(&text, 1 << 18);
    while (at < end) {
        size_t len = tr_utf8_length(at, (size_t)(end - at));
        tr_buffer_add(&text, len > 0 ? at : "\xef\xbf\xbd", len > 0 ? len : 3);
        at += len > 0 ? len : 1;
    }
    enc->placeholder_len = text.len;
    enc->placeholder = copy_of(&text);
    tr_buffer_fini(&text);
}

static int
read_placeholder(struct json_encoder *enc, const struct tr_settings *settings, struct tr_error *err)
{
    const char *text = json_option_text(settings, "unavailable_value_placeholder");
    struct tr_buffer bytes;
    tr_buffer_init(&bytes, 1 << 16);
    bool hex = strncmp(text, "hex:", 4) == 0;
    bool good = true;
    if (hex)
        good = json_unhex(&bytes, text + 4, strlen(text + 4));
    else
        tr_buffer_text(&bytes, text);
    if (good && !bytes.overflow) {
        enc->placeholder_bytes = copy_of(&bytes);
        enc->placeholder_bytes_len = bytes.len;
        placeholder_text(enc);
    }
    tr_buffer_fini(&bytes);
    return enc->placeholder != NULL
               ? 0
               : tr_fail(err, TR_CONFIG, "unavailable_value_placeholder: no pairs of hex digits behind hex:");
}

static int
read_settings(struct json_encoder *enc, const struct tr_settings *settings, struct tr_error *err)
{
    struct value_modes *modes = &enc->renderer.modes;
    enc->schemas = json_option_bool(settings, "schemas_enable");
    enc->schema_changes = json_option_bool(settings, "include_schema_changes");
    enc->tombstones = json_option_bool(settings, "tombstones_on_delete");
    enc->transaction_metadata = json_option_bool(settings, "provide_transaction_metadata");
    modes->decimal = (enum decimal_mode)json_option_choice(settings, "decimal_handling_mode");
    modes->binary = (enum binary_mode)json_option_choice(settings, "binary_handling_mode");
    modes->time = (enum time_mode)json_option_choice(settings, "time_precision_mode");
    modes->interval_string = json_option_choice(settings, "interval_handling_mode") == 1;
    modes->hstore_map = json_option_choice(settings, "hstore_handling_mode") == 1;
    modes->unsigned_precise = json_option_choice(settings, "bigint_unsigned_handling_mode") == 1;
    modes->money_digits = json_option_int(settings, "money_fraction_digits");
    modes->null_as_default = json_option_bool(settings, "replace_null_with_default");
    static const enum unknown_mode unknown[] = { UNKNOWN_TEXT, UNKNOWN_BYTES, UNKNOWN_OMIT };
    modes->unknown = unknown[json_option_choice(settings, "include_unknown_datatypes")];
    modes->raw_defaults = strcmp(enc->base.env->connector, "mysql") == 0;
    modes->mysql = strcmp(enc->base.env->connector, "postgresql") != 0;
    int rc = topic_namer_init(&enc->topics, enc->base.env, err);
    enc->prefix = enc->topics.prefix;
    if (rc == 0)
        rc = read_skipped(enc, settings, err);
    return rc < 0 ? rc : read_placeholder(enc, settings, err);
}

void
debezium_fini(struct json_encoder *enc)
{
    struct tr_buffer *buffers[] = { &enc->key,
                                    &enc->old_key,
                                    &enc->value,
                                    &enc->header_new,
                                    &enc->header_old,
                                    &enc->tail,
                                    &enc->source_head,
                                    &enc->source_commit,
                                    &enc->source_time,
                                    &enc->source_end,
                                    &enc->renderer.text,
                                    &enc->renderer.bytes,
                                    &enc->renderer.element,
                                    &enc->renderer.object };
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        tr_buffer_fini(buffers[i]);
    relation_plans_free(enc);
    metadata_free(enc);
    tr_arena_fini(&enc->names);
    free(enc->placeholder);
    free(enc->placeholder_bytes);
}

static void
json_close(struct tr_encoder *base)
{
    struct json_encoder *enc = (struct json_encoder *)base;
    if (enc == NULL)
        return;
    debezium_fini(enc);
    free(enc);
}

int
debezium_init(struct json_encoder *enc, const struct tr_encoder_class *class,
              const struct tr_encoder_env *env, struct tr_error *err)
{
    enc->base.class = class;
    enc->plain = class == &tr_plain_json_encoder;
    enc->base.env = env;
    enc->head_snapshot = -1;
    tr_arena_init(&enc->names);
    struct tr_buffer *large[] = { &enc->key,
                                  &enc->old_key,
                                  &enc->value,
                                  &enc->header_new,
                                  &enc->header_old,
                                  &enc->renderer.text,
                                  &enc->renderer.bytes,
                                  &enc->renderer.element,
                                  &enc->renderer.object };
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        tr_buffer_init(large[i], 3 * TR_BUFFER_MAX);
    struct tr_buffer *small[] = { &enc->tail, &enc->source_head, &enc->source_commit, &enc->source_time,
                                  &enc->source_end };
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        tr_buffer_init(small[i], 1 << 20);
    int rc = read_settings(enc, env->settings, err);
    if (rc < 0)
        return rc;
    enc->transaction_topic = topic_join(&enc->names, enc->topics.delimiter, enc->prefix, "transaction", NULL);
    enc->heartbeat_topic = topic_join(&enc->names, enc->topics.delimiter,
                                      json_option_text(env->settings, "topic_heartbeat_prefix"), enc->prefix,
                                      NULL);
    enc->change_topic = topic_join(&enc->names, enc->topics.delimiter, enc->prefix, NULL, NULL);
    enc->message_plan.collection = "message";
    enc->message_topic = topic_join(&enc->names, enc->topics.delimiter, enc->prefix, "message", NULL);
    return 0;
}

static int
open_class(const struct tr_encoder_class *class, const struct tr_encoder_env *env,
           struct tr_encoder **encoder, struct tr_error *err)
{
    struct json_encoder *enc = tr_calloc(1, sizeof(*enc));
    int rc = debezium_init(enc, class, env, err);
    *encoder = rc == 0 ? &enc->base : NULL;
    if (rc < 0)
        json_close(&enc->base);
    return rc;
}

static int
json_open(const struct tr_encoder_env *env, struct tr_encoder **encoder, struct tr_error *err)
{
    return open_class(&tr_debezium_json_encoder, env, encoder, err);
}

static int
plain_open(const struct tr_encoder_env *env, struct tr_encoder **encoder, struct tr_error *err)
{
    if (json_option_bool(env->settings, "schemas_enable"))
        return tr_fail(err, TR_CONFIG,
                       "schemas_enable is of the format debezium-json; plain-json has no schemas");
    return open_class(&tr_plain_json_encoder, env, encoder, err);
}

const struct tr_encoder_class tr_plain_json_encoder = {
    .name = "plain-json",
    .options = json_options,
    .open = plain_open,
    .close = json_close,
    .event = debezium_event,
    .heartbeat = debezium_heartbeat,
    .wants_shapes = debezium_wants_shapes,
    .begin = metadata_begin,
    .commit = metadata_commit,
};

const struct tr_encoder_class tr_debezium_json_encoder = {
    .name = "debezium-json",
    .options = json_options,
    .open = json_open,
    .close = json_close,
    .event = debezium_event,
    .heartbeat = debezium_heartbeat,
    .wants_shapes = debezium_wants_shapes,
    .begin = metadata_begin,
    .commit = metadata_commit,
};
