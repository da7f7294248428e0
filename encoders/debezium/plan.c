/* plan.c - everything about a table that can be made once: topic, key, names as JSON, renderers, constants of the source block. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

#define TOPIC_MAX 249

/* In place: what Kafka does not allow in a topic's name becomes a _, one for each of Java's characters. Returns the new length. */
static size_t
allowed_name(char *name, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)name[i];
        bool allowed = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                       ch == '.' || ch == '_' || ch == '-';
        if (ch >= 0x80 && ch < 0xc0)
            continue; /* inside a character; one of four bytes is two in Java */
        if (ch >= 0xf0)
            name[to++] = '_';
        name[to++] = allowed ? (char)ch : '_';
    }
    return to;
}

const char *
make_topic(struct tr_arena *arena, const char *delimiter, const char *a, const char *b, const char *c)
{
    struct tr_buffer name;
    const char *parts[] = { a, b, c };
    tr_buffer_init(&name, 4096);
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] == NULL)
            continue;
        if (i > 0)
            tr_buffer_text(&name, delimiter);
        tr_buffer_text(&name, parts[i]);
    }
    name.len = allowed_name(name.data, name.len);
    const char *topic = tr_arena_copy(arena, name.len > 0 ? name.data : "",
                                      name.len < TOPIC_MAX ? name.len : TOPIC_MAX);
    tr_buffer_fini(&name);
    return topic;
}

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

/* Each byte of the text as a number, with `suffix` behind it. */
static void
placeholder_numbers(const char *text, const char *suffix, struct tr_buffer *out)
{
    for (const char *at = text; *at != '\0'; at++)
        tr_buffer_printf(out, "%s%d%s", at > text ? "," : "", (signed char)*at, suffix);
}

/* A decimal whose digits are the bytes of the text. */
static void
placeholder_decimal(const struct json_encoder *enc, const struct tr_column *column, struct tr_buffer *out)
{
    bool variable = column->precision <= 0;
    tr_buffer_text(out, variable ? "{\"scale\":0,\"value\":" : "");
    json_base64(out, enc->placeholder, strlen(enc->placeholder), false);
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
        placeholder_numbers(enc->placeholder, "", out);
    else if (element == TR_FLOAT32 || element == TR_FLOAT64 || (decimal && modes->decimal == DECIMAL_DOUBLE))
        placeholder_numbers(enc->placeholder, ".0", out);
    else if (decimal && modes->decimal == DECIMAL_PRECISE)
        placeholder_decimal(enc, column, out);
    else
        json_string(out, enc->placeholder, strlen(enc->placeholder));
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
            json_string(out, enc->placeholder, strlen(enc->placeholder));
            return;
        }
        value_bytes(&enc->renderer, enc->placeholder_bytes, enc->placeholder_bytes_len, out);
        return;
    case TR_ARRAY: array_placeholder(enc, column, out); return;
    case TR_HSTORE:
        tr_buffer_init(&object, 1 << 20);
        tr_buffer_byte(&object, '{');
        json_string(&object, enc->placeholder, strlen(enc->placeholder));
        tr_buffer_byte(&object, ':');
        json_string(&object, enc->placeholder, strlen(enc->placeholder));
        tr_buffer_byte(&object, '}');
        if (enc->renderer.modes.hstore_map)
            tr_buffer_add(out, object.data, object.len);
        else
            json_string(out, object.data, object.len);
        tr_buffer_fini(&object);
        return;
    default: json_string(out, enc->placeholder, strlen(enc->placeholder));
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

static void
plan_column(struct json_encoder *enc, struct tr_arena *arena, struct column_plan *plan,
            const struct tr_column *column)
{
    struct tr_buffer text;
    const struct value_modes *modes = &enc->renderer.modes;
    tr_buffer_init(&text, 1 << 24);
    json_literal(&text, ",");
    json_string(&text, column->name, strlen(column->name));
    json_literal(&text, ":");
    plan->name = keep(arena, &text, &plan->name_len);
    plan->column = column;
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

/* The column's 1-based place in what stands for the primary key. */
static uint16_t
substitute_place(const struct tr_relation *relation, uint16_t column)
{
    return relation->replica_identity == 'i' ? relation->columns[column].identity
                                             : relation->columns[column].unique;
}

/* Without a primary key: the index that the replica identity names, else a unique one. */
static void
plan_key(struct relation_plan *plan)
{
    const struct tr_relation *relation = plan->relation;
    plan->keys = relation->keys;
    plan->nkeys = relation->nkeys;
    if (relation->nkeys > 0)
        return;
    uint16_t *keys = tr_arena_zalloc(&plan->arena, relation->ncolumns * sizeof(*keys) + 1), count = 0;
    for (uint16_t place = 1; place <= relation->ncolumns; place++)
        for (uint16_t i = 0; i < relation->ncolumns; i++)
            if (substitute_place(relation, i) == place && !plan->columns[i].omitted)
                keys[count++] = i;
    plan->keys = keys;
    plan->nkeys = count;
}

static void
plan_source(const struct json_encoder *enc, struct relation_plan *plan)
{
    const struct tr_relation *relation = plan->relation;
    struct tr_buffer text;
    tr_buffer_init(&text, 1 << 20);
    if (enc->renderer.modes.mysql) {
        json_literal(&text, ",\"table\":");
        json_string(&text, relation->name, strlen(relation->name));
        json_literal(&text, ",\"server_id\":");
    } else {
        json_literal(&text, ",\"schema\":");
        json_string(&text, relation->schema, strlen(relation->schema));
        json_literal(&text, ",\"table\":");
        json_string(&text, relation->name, strlen(relation->name));
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

static struct relation_plan *
plan_new(struct json_encoder *enc, struct tr_relation *relation)
{
    struct relation_plan *plan = tr_calloc(1, sizeof(*plan));
    tr_arena_init(&plan->arena);
    plan->relation = tr_relation_ref(relation);
    plan->topic = make_topic(&plan->arena, enc->delimiter, enc->prefix, relation->schema, relation->name);
    plan->columns = tr_arena_zalloc(&plan->arena, (size_t)relation->ncolumns * sizeof(*plan->columns) + 1);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        plan_column(enc, &plan->arena, &plan->columns[i], &relation->columns[i]);
    plan_key(plan);
    plan_source(enc, plan);
    plan_heads(enc, plan);
    return plan;
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

struct relation_plan *
relation_plan_get(struct json_encoder *enc, struct tr_relation *relation)
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
    plan_free(enc->plans[number]);
    enc->plans[number] = plan_new(enc, relation);
    return enc->plans[number];
}

void
relation_plans_free(struct json_encoder *enc)
{
    for (uint32_t i = 0; i < enc->nplans; i++)
        plan_free(enc->plans[i]);
    free(enc->plans);
}
