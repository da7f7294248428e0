/* plan.c - what can be made once per version of a table: its schemas in Avro and their ids, and the bytes that stand for what a row lacks. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/avro/internal.h"
#include "encoders/common/avro.h"

/* ------------------------------------------------------------------------------------ subjects */

static char *
subject_of(const struct avro_encoder *enc, const char *topic, bool key, const json_t *avro)
{
    const char *name = json_string_value(json_object_get(avro, "name")),
               *space = json_string_value(json_object_get(avro, "namespace"));
    switch (enc->subject_name) {
    case SUBJECT_TOPIC: return tr_asprintf("%s-%s", topic, key ? "key" : "value");
    case SUBJECT_RECORD:
        return tr_asprintf("%s%s%s", space != NULL ? space : "", space != NULL ? "." : "", name);
    default:
        return tr_asprintf("%s-%s%s%s", topic, space != NULL ? space : "", space != NULL ? "." : "", name);
    }
}

int
avro_register(struct avro_encoder *enc, const char *topic, bool key, const json_t *connect,
              struct wire_schema *wire, struct tr_error *err)
{
    uint32_t id = 0;
    json_t *avro = avro_schema(connect, enc->adjustment, err);
    if (avro == NULL)
        return tr_error_prefix(err, "topic %s", topic);
    char *text = json_dumps(avro, JSON_COMPACT), *subject = subject_of(enc, topic, key, avro);
    int rc = text != NULL ? tr_schema_registry_id(enc->registry, subject, text, &id, err)
                          : tr_fail(err, TR_REFUSED, "topic %s: the schema cannot be written as JSON", topic);
    wire->head[0] = 0;
    for (int i = 0; i < 4; i++)
        wire->head[1 + i] = (char)(id >> (24 - 8 * i));
    free(text);
    free(subject);
    json_decref(avro);
    return rc;
}

/* ------------------------------------------------------------------------------------- columns */

/* The bytes of a JSON text under the column's schema; NULL when it is none of its values. */
static const char *
bytes_of(struct relation_plan *plan, const json_t *connect, const char *text, size_t text_len, uint32_t *len)
{
    struct tr_buffer out;
    const char *bytes = NULL;
    json_t *value = json_loadb(text, text_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    tr_buffer_init(&out, 1 << 24);
    if (value != NULL && avro_transcode(connect, value, &out) && !out.overflow) {
        *len = (uint32_t)out.len;
        bytes = tr_arena_copy(&plan->arena, out.len > 0 ? out.data : "", out.len);
    }
    tr_buffer_fini(&out);
    json_decref(value);
    return bytes;
}

/* How wide the schema says that a column's floating-point numbers, or those of its items, are. */
static uint8_t
float_width(const json_t *connect)
{
    const char *type = json_string_value(json_object_get(connect, "type"));
    if (type != NULL && strcmp(type, "array") == 0)
        return float_width(json_object_get(connect, "items"));
    return type != NULL && strcmp(type, "float") == 0 ? 4 : 8;
}

/* A decimal, or bits: the placeholder's bytes would be read as a number. */
static bool
takes_placeholder(const struct tr_column *column, const json_t *connect)
{
    const char *type = json_string_value(json_object_get(connect, "type"));
    return type != NULL && (strcmp(type, "bytes") != 0 || column->logical == TR_BYTES);
}

static void
plan_column(struct relation_plan *plan, uint16_t i, const json_t *connect, struct avro_column *to)
{
    struct column_plan *column = &plan->columns[i];
    const json_t *standard = json_object_get(connect, "default");
    to->present = true;
    to->optional = json_is_true(json_object_get(connect, "optional"));
    to->branch = standard != NULL && !json_is_null(standard) ? 0 : 2; /* zigzag of 0 and 1 */
    to->fallback = bytes_of(plan, connect, column->fallback, column->fallback_len, &to->fallback_len);
    to->null = bytes_of(plan, connect, column->null, column->null_len, &to->null_len);
    if (to->null == NULL) { /* declared NOT NULL and null all the same */
        to->null = to->fallback;
        to->null_len = to->fallback_len;
    }
    if (takes_placeholder(column->column, connect))
        to->placeholder = bytes_of(plan, connect, column->placeholder, column->placeholder_len,
                                   &to->placeholder_len);
    column->float_width = float_width(connect);
    if (column->element != NULL)
        ((struct column_plan *)(uintptr_t)column->element)->float_width = column->float_width;
}

static const json_t *
field_named(const json_t *connect, const char *name)
{
    size_t i;
    json_t *field;
    for (i = 0; (field = json_array_get(json_object_get(connect, "fields"), i)) != NULL; i++)
        if (strcmp(json_string_value(json_object_get(field, "field")), name) == 0)
            return field;
    return NULL;
}

/* `{"schema":{...},"payload":` -> the schema, borrowed from *whole. */
static json_t *
parse_head(struct tr_arena *arena, const char *head, size_t len, json_t **whole)
{
    char *text = tr_arena_alloc(arena, len + 5);
    memcpy(text, head, len);
    memcpy(text + len, "null}", 5);
    *whole = json_loadb(text, len + 5, JSON_ALLOW_NUL, NULL);
    return json_object_get(*whole, "schema");
}

static void
plan_columns(struct relation_plan *plan, const json_t *connect, struct avro_plan *made)
{
    const json_t *row = field_named(connect, "before");
    uint16_t count = plan->relation->ncolumns;
    made->columns = tr_arena_zalloc(&plan->arena, count * sizeof(*made->columns) + 1);
    for (uint16_t i = 0; i < count; i++) {
        const json_t *field = plan->columns[i].omitted ? NULL
                                                       : field_named(row, plan->columns[i].column->name);
        if (field != NULL)
            plan_column(plan, i, field, &made->columns[i]);
    }
}

static const char *
keep_texts(struct relation_plan *plan, int branch, const char *const *texts, size_t count, uint32_t *len)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        if (branch > 0)
            avro_long(&out, branch);
        avro_string(&out, texts[i], strlen(texts[i]));
    }
    *len = (uint32_t)out.len;
    const char *bytes = tr_arena_copy(&plan->arena, out.data, out.len);
    tr_buffer_fini(&out);
    return bytes;
}

/* What the source block says of the table; MySQL's may be null and so has a branch. */
static void
plan_source(const struct avro_encoder *enc, struct relation_plan *plan, struct avro_plan *made)
{
    const struct tr_relation *relation = plan->relation;
    const char *database = enc->json.base.env->database;
    if (database == NULL || database[0] == '\0')
        database = relation->database != NULL ? relation->database : "";
    bool mysql = enc->json.renderer.modes.mysql;
    const char *names[] = { relation->schema, relation->name };
    made->database = keep_texts(plan, 0, mysql ? names : &database, 1, &made->database_len);
    made->table = mysql ? keep_texts(plan, 1, names + 1, 1, &made->table_len)
                        : keep_texts(plan, 0, names, 2, &made->table_len);
}

int
avro_prepare(struct json_encoder *base, struct relation_plan *plan, struct tr_error *err)
{
    struct avro_encoder *enc = (struct avro_encoder *)base;
    json_t *key = NULL, *value = NULL;
    int rc = 0;
    if (plan->form != NULL)
        return 0;
    struct avro_plan *made = tr_arena_zalloc(&plan->arena, sizeof(*made));
    json_t *schema = parse_head(&plan->arena, plan->value_head, plan->value_head_len, &value);
    if (schema == NULL)
        rc = tr_fail(err, TR_REFUSED, "its schema has names that are no valid UTF-8");
    if (rc == 0 && plan->nkeys > 0)
        rc = avro_register(enc, plan->topic, true,
                           parse_head(&plan->arena, plan->key_head, plan->key_head_len, &key), &made->key,
                           err);
    if (rc == 0)
        rc = avro_register(enc, plan->topic, false, schema, &made->value, err);
    if (rc == 0) {
        plan_columns(plan, schema, made);
        plan_source(enc, plan, made);
        plan->form = made;
    } else {
        tr_error_prefix(err, "table %s.%s", plan->relation->schema, plan->relation->name);
    }
    json_decref(key);
    json_decref(value);
    return rc;
}
