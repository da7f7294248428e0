/* plan.c - everything about a table that can be made once: topic, key, names as JSON, renderers, constants of the source block. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

/* The buffer's content, kept in the arena; the buffer is emptied for the next. */
static const char *
keep(struct tr_arena *arena, struct tr_buffer *buf, uint32_t *len)
{
    *len = (uint32_t)buf->len;
    const char *copy = tr_arena_copy(arena, buf->len > 0 ? buf->data : "", buf->len);
    tr_buffer_reset(buf);
    return copy;
}

/* uuid[] has no room for a text, so Debezium sends this one name-based UUID. */
#define PLACEHOLDER_UUID "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]"

/* Each byte as a number, with `suffix` behind it. */
static void
placeholder_numbers(const struct json_encoder *enc, const char *suffix, struct tr_buffer *out)
{
    for (size_t i = 0; i < enc->placeholder_bytes_len; i++)
        tr_buffer_printf(out, "%s%d%s", i > 0 ? "," : "", (signed char)enc->placeholder_bytes[i], suffix);
}

/* A decimal whose digits are the bytes of the text. */
static void
placeholder_decimal(const struct json_encoder *enc, const struct tr_column *column, struct tr_buffer *out)
{
    bool variable = column->precision <= 0;
    tr_buffer_text(out, variable ? "{\"scale\":0,\"value\":" : "");
    json_base64(out, enc->placeholder_bytes, enc->placeholder_bytes_len, false);
    tr_buffer_text(out, variable ? "}" : "");
}

static void
array_placeholder(const struct json_encoder *enc, const struct tr_column *column, struct tr_buffer *out)
{
    const struct value_modes *modes = &enc->renderer.modes;
    enum tr_logical element = column->element;
    bool decimal = element == TR_DECIMAL || element == TR_MONEY;
    if (element == TR_UUID) {
        json_literal(out, PLACEHOLDER_UUID);
        return;
    }
    tr_buffer_byte(out, '[');
    if (element == TR_INT16 || element == TR_INT32 || element == TR_INT64 || element == TR_DATE ||
        element == TR_OID)
        placeholder_numbers(enc, "", out);
    else if (element == TR_FLOAT32 || element == TR_FLOAT64 || (decimal && modes->decimal == DECIMAL_DOUBLE))
        placeholder_numbers(enc, ".0", out);
    else if (decimal && modes->decimal == DECIMAL_PRECISE)
        placeholder_decimal(enc, column, out);
    else
        tr_json_string(out, enc->placeholder, enc->placeholder_len);
    tr_buffer_byte(out, ']');
}

/* What stands for a value that the log left out because it did not change. */
static void
column_placeholder(struct json_encoder *enc, const struct tr_column *column, struct tr_buffer *out)
{
    struct tr_buffer object;
    switch (column->logical) {
    case TR_BYTES:
        if (enc->renderer.modes.binary != BINARY_BYTES) {
            tr_json_string(out, enc->placeholder, enc->placeholder_len);
            return;
        }
        value_bytes(&enc->renderer, enc->placeholder_bytes, enc->placeholder_bytes_len, out);
        return;
    case TR_ARRAY: array_placeholder(enc, column, out); return;
    case TR_HSTORE:
        tr_buffer_init(&object, 1 << 20);
        tr_buffer_byte(&object, '{');
        tr_json_string(&object, enc->placeholder, enc->placeholder_len);
        tr_buffer_byte(&object, ':');
        tr_json_string(&object, enc->placeholder, enc->placeholder_len);
        tr_buffer_byte(&object, '}');
        if (enc->renderer.modes.hstore_map)
            tr_buffer_add(out, object.data, object.len);
        else
            tr_json_string(out, object.data, object.len);
        tr_buffer_fini(&object);
        return;
    default: tr_json_string(out, enc->placeholder, enc->placeholder_len);
    }
}

static int16_t
column_scale(const struct tr_column *column)
{
    switch (column->logical) {
    case TR_DECIMAL: return (int16_t)(column->scale > 0 ? column->scale : 0);
    case TR_TIMESTAMPTZ:
        if (column->scale == 0)
            return -1; /* only as many digits as needed: none */
        return (int16_t)(column->scale > 0 && column->scale <= 6 ? column->scale : 6);
    default: return 0;
    }
}

/* The plan of an array's elements: a column of their own type, with the array's modifiers. */
static bool
plan_element(struct json_encoder *enc, struct tr_arena *arena, struct column_plan *plan)
{
    struct tr_column *column = tr_arena_alloc(arena, sizeof(*column));
    struct column_plan *element = tr_arena_zalloc(arena, sizeof(*element));
    *column = *plan->column;
    column->logical = plan->column->element;
    column->type_name = plan->column->element_name;
    column->element = TR_OTHER;
    element->column = column;
    element->scale = column_scale(column);
    element->render = column->logical == TR_ARRAY
                          ? NULL
                          : value_renderer(&enc->renderer.modes, column, column->logical, column->type_name);
    plan->element = element;
    return element->render != NULL;
}

/* MySQL's points are geometries by their storage, and have x and y of their own here. */
static const struct tr_column *
shown_column(const struct json_encoder *enc, struct tr_arena *arena, const struct tr_column *column)
{
    if (!enc->renderer.modes.mysql || column->logical != TR_GEOMETRY || column->type_name == NULL ||
        strcmp(column->type_name, "point") != 0)
        return column;
    struct tr_column *point = tr_arena_alloc(arena, sizeof(*point));
    *point = *column;
    point->logical = TR_POINT;
    return point;
}

static void
plan_column(struct json_encoder *enc, struct tr_arena *arena, struct column_plan *plan,
            const struct tr_column *column)
{
    struct tr_buffer text;
    const struct value_modes *modes = &enc->renderer.modes;
    tr_buffer_init(&text, 1 << 24);
    json_literal(&text, ",");
    tr_json_string(&text, column->name, strlen(column->name));
    json_literal(&text, ":");
    plan->name = keep(arena, &text, &plan->name_len);
    plan->column = column = shown_column(enc, arena, column);
    plan->scale = column_scale(column);
    plan->raw_bytes = column->logical == TR_BYTES;
    plan->render = value_renderer(modes, column, column->logical, column->type_name);
    plan->omitted = plan->render == NULL || (column->logical == TR_ARRAY && !plan_element(enc, arena, plan));
    if (!plan->omitted) {
        bool has_default = default_literal(&enc->renderer, plan, column->default_expression, &text);
        if (!has_default)
            type_fallback(modes, column, &text);
        plan->fallback = keep(arena, &text, &plan->fallback_len);
        plan->null = modes->null_as_default && has_default ? plan->fallback : "null";
        plan->null_len = (uint32_t)strlen(plan->null);
        if (!column->not_null) {
            plan->fallback = plan->null;
            plan->fallback_len = plan->null_len;
        }
        column_placeholder(enc, column, &text);
        plan->placeholder = keep(arena, &text, &plan->placeholder_len);
    }
    tr_buffer_fini(&text);
}

/* A column without a form in the row has none in the key. */
static int
plan_key(const struct json_encoder *enc, struct relation_plan *plan, struct tr_error *err)
{
    uint16_t count = 0;
    int rc = topic_key_columns(&enc->topics, &plan->arena, plan->relation, &plan->keys, &plan->nkeys, err);
    uint16_t *keys = tr_arena_zalloc(&plan->arena, plan->nkeys * sizeof(*keys) + 1);
    for (uint16_t k = 0; rc == 0 && k < plan->nkeys; k++)
        if (!plan->columns[plan->keys[k]].omitted)
            keys[count++] = plan->keys[k];
    plan->keys = keys;
    plan->nkeys = count;
    plan->keys_are_logged = true;
    for (uint16_t k = 0; k < count && plan->relation->replica_identity != 'f'; k++)
        plan->keys_are_logged &= plan->relation->columns[keys[k]].identity != 0;
    return rc;
}

static void
plan_source(const struct json_encoder *enc, struct relation_plan *plan)
{
    const struct tr_relation *relation = plan->relation;
    struct tr_buffer text;
    tr_buffer_init(&text, 1 << 20);
    if (enc->renderer.modes.mysql) {
        json_literal(&text, ",\"table\":");
        tr_json_string(&text, relation->name, strlen(relation->name));
        json_literal(&text, ",\"server_id\":");
    } else {
        json_literal(&text, ",\"schema\":");
        tr_json_string(&text, relation->schema, strlen(relation->schema));
        json_literal(&text, ",\"table\":");
        tr_json_string(&text, relation->name, strlen(relation->name));
        json_literal(&text, ",\"txId\":");
    }
    plan->source = keep(&plan->arena, &text, &plan->source_len);
    tr_buffer_text(&text, relation->schema);
    tr_buffer_byte(&text, '.');
    tr_buffer_text(&text, relation->name);
    uint32_t len;
    plan->collection = keep(&plan->arena, &text, &len);
    tr_buffer_fini(&text);
}

static void
plan_heads(struct json_encoder *enc, struct relation_plan *plan)
{
    struct tr_buffer text;
    plan->key_head = plan->value_head = "";
    if (!enc->schemas)
        return;
    tr_buffer_init(&text, 1 << 26);
    schema_of_key(enc, plan, &text);
    plan->key_head = keep(&plan->arena, &text, &plan->key_head_len);
    schema_of_value(enc, plan, &text);
    plan->value_head = keep(&plan->arena, &text, &plan->value_head_len);
    tr_buffer_fini(&text);
}

static void
plan_free(struct relation_plan *plan)
{
    if (plan == NULL)
        return;
    tr_relation_unref(plan->relation);
    tr_arena_fini(&plan->arena);
    free(plan);
}

static struct relation_plan *
plan_new(struct json_encoder *enc, struct tr_relation *relation, struct tr_error *err)
{
    struct relation_plan *plan = tr_calloc(1, sizeof(*plan));
    tr_arena_init(&plan->arena);
    plan->relation = tr_relation_ref(relation);
    plan->topic = topic_of_table(&enc->topics, &plan->arena, relation);
    plan->columns = tr_arena_zalloc(&plan->arena, (size_t)relation->ncolumns * sizeof(*plan->columns) + 1);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        plan_column(enc, &plan->arena, &plan->columns[i], &relation->columns[i]);
    if (plan_key(enc, plan, err) < 0) {
        plan_free(plan);
        return NULL;
    }
    plan_source(enc, plan);
    plan_heads(enc, plan);
    return plan;
}

struct relation_plan *
relation_plan_get(struct json_encoder *enc, struct tr_relation *relation, struct tr_error *err)
{
    uint32_t number = relation->number;
    if (number < enc->nplans && enc->plans[number] != NULL && enc->plans[number]->relation == relation)
        return enc->plans[number];
    if (number >= enc->nplans) {
        uint32_t count = number + 1 > 2 * enc->nplans ? number + 1 : 2 * enc->nplans;
        enc->plans = tr_realloc(enc->plans, count * sizeof(struct relation_plan *));
        memset(enc->plans + enc->nplans, 0, (count - enc->nplans) * sizeof(struct relation_plan *));
        enc->nplans = count;
    }
    struct relation_plan *plan = plan_new(enc, relation, err);
    if (plan != NULL) {
        plan_free(enc->plans[number]);
        enc->plans[number] = plan;
    }
    return plan;
}

void
relation_plans_free(struct json_encoder *enc)
{
    for (uint32_t i = 0; i < enc->nplans; i++)
        plan_free(enc->plans[i]);
    free(enc->plans);
}
