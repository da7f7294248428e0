/*
 * schema.c - the schemas that Connect's JSON converter puts before each key and value (schemas_enable): made once per version of a table.
 *
 * What stands here must say what values.c and times.c write: they choose by the same modes and modifiers.
 */
#include <string.h>

#include "encoders/debezium/internal.h"
#include "encoders/common/write.h"

#define TIME "io.debezium.time."
#define DATA "io.debezium.data."
#define CONNECT "org.apache.kafka.connect.data."

/* A schema is written in two pieces, with `"optional"` between them: the type and what it is made of, then its name and what goes with that. */
struct pieces {
    struct tr_buffer *type, *name;
};

static void
semantic(struct pieces out, const char *type, const char *name)
{
    tr_buffer_printf(out.type, "\"type\":\"%s\"", type);
    if (name != NULL)
        tr_buffer_printf(out.name, ",\"name\":\"%s\",\"version\":1", name);
}

static void
decimal_schema(const struct value_modes *modes, int scale, int precision, struct pieces out)
{
    if (modes->decimal != DECIMAL_PRECISE) {
        semantic(out, modes->decimal == DECIMAL_STRING ? "string" : "double", NULL);
        return;
    }
    semantic(out, "bytes", CONNECT "Decimal");
    tr_buffer_printf(out.name, ",\"parameters\":{\"scale\":\"%d\"", scale);
    if (precision > 0)
        tr_buffer_printf(out.name, ",\"connect.decimal.precision\":\"%d\"", precision);
    tr_buffer_byte(out.name, '}');
}

static void
numeric_schema(const struct value_modes *modes, const struct tr_column *column, struct pieces out)
{
    if (modes->decimal != DECIMAL_PRECISE || column->precision > 0) {
        decimal_schema(modes, column->scale > 0 ? column->scale : 0, column->precision, out);
        return;
    }
    semantic(out, "struct", DATA "VariableScaleDecimal");
    tr_buffer_text(out.type, ",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},"
                             "{\"type\":\"bytes\",\"optional\":false,\"field\":\"value\"}]");
    json_literal(out.name, ",\"doc\":\"Variable scaled decimal\"");
}

static void
bits_schema(const struct tr_column *column, struct pieces out)
{
    if (column->length == 1) {
        semantic(out, "boolean", NULL);
        return;
    }
    semantic(out, "bytes", DATA "Bits");
    tr_buffer_printf(out.name, ",\"parameters\":{\"length\":\"%d\"}",
                     column->length > 0 ? column->length : INT32_MAX);
}

static void
date_schema(const struct value_modes *modes, struct pieces out)
{
    if (modes->time == TIME_ISOSTRING)
        semantic(out, "string", TIME "IsoDate");
    else
        semantic(out, "int32", modes->time == TIME_CONNECT ? CONNECT "Date" : TIME "Date");
}

static void
time_schema(const struct value_modes *modes, int scale, struct pieces out)
{
    switch (modes->time) {
    case TIME_CONNECT: semantic(out, "int32", CONNECT "Time"); return;
    case TIME_NANOSECONDS: semantic(out, "int64", TIME "NanoTime"); return;
    case TIME_ISOSTRING: semantic(out, "string", TIME "IsoTime"); return;
    case TIME_ADAPTIVE:
        if (scale >= 0 && scale <= 3 && !modes->mysql) {
            semantic(out, "int32", TIME "Time");
            return;
        }
        break;
    default: break;
    }
    semantic(out, "int64", TIME "MicroTime");
}

static void
timestamp_schema(const struct value_modes *modes, int scale, struct pieces out)
{
    switch (modes->time) {
    case TIME_CONNECT: semantic(out, "int64", CONNECT "Timestamp"); return;
    case TIME_NANOSECONDS: semantic(out, "int64", TIME "NanoTimestamp"); return;
    case TIME_ISOSTRING: semantic(out, "string", TIME "IsoTimestamp"); return;
    case TIME_MICROSECONDS: semantic(out, "int64", TIME "MicroTimestamp"); return;
    default: semantic(out, "int64", scale >= 0 && scale <= 3 ? TIME "Timestamp" : TIME "MicroTimestamp");
    }
}

static void
labels_schema(const struct value_modes *modes, const struct tr_column *column, const char *name,
              struct pieces out)
{
    struct tr_buffer allowed;
    tr_buffer_init(&allowed, 1 << 24);
    for (uint32_t i = 0; i < column->nlabels; i++) {
        if (i > 0)
            tr_buffer_byte(&allowed, ',');
        for (const char *at = column->labels[i]; *at != '\0'; at++) {
            if (modes->mysql && *at == ',')
                tr_buffer_byte(&allowed, '\\');
            tr_buffer_byte(&allowed, *at);
        }
    }
    semantic(out, "string", name);
    json_literal(out.name, ",\"parameters\":{\"allowed\":");
    tr_json_string(out.name, allowed.len > 0 ? allowed.data : "", allowed.len);
    tr_buffer_byte(out.name, '}');
    tr_buffer_fini(&allowed);
}

static void
geometry_schema(const char *name, bool point, struct pieces out)
{
    json_literal(out.type, "\"type\":\"struct\",\"fields\":[");
    if (point)
        tr_buffer_text(out.type, "{\"type\":\"double\",\"optional\":false,\"field\":\"x\"},"
                                 "{\"type\":\"double\",\"optional\":false,\"field\":\"y\"},");
    tr_buffer_printf(out.type,
                     "{\"type\":\"bytes\",\"optional\":%s,\"field\":\"wkb\"},"
                     "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]",
                     point ? "true" : "false");
    tr_buffer_printf(out.name, ",\"name\":\"" DATA "geometry.%s\",\"version\":1,\"doc\":\"%s\"", name,
                     point ? "Geometry (POINT)" : name);
}

/* The servers' vectors hold numbers of four bytes; Debezium's connector for PostgreSQL widens those of pgvector's `vector`. */
static void
vector_schema(const struct value_modes *modes, const char *type_name, struct pieces out)
{
    if (type_name != NULL && strcmp(type_name, "sparsevec") == 0) {
        semantic(out, "struct", DATA "SparseDoubleVector");
        tr_buffer_text(
            out.type,
            ",\"fields\":[{\"type\":\"int16\",\"optional\":false,\"field\":\"dimensions\"},"
            "{\"type\":\"map\",\"keys\":{\"type\":\"int16\",\"optional\":false},\"values\":{\"type\":\"double\","
            "\"optional\":false},\"optional\":false,\"field\":\"vector\"}]");
        return;
    }
    bool narrow = modes->mysql || (type_name != NULL && strcmp(type_name, "halfvec") == 0);
    semantic(out, "array", narrow ? DATA "FloatVector" : DATA "DoubleVector");
    tr_buffer_printf(out.type, ",\"items\":{\"type\":\"%s\",\"optional\":false}",
                     narrow ? "float" : "double");
}

/* Types whose form no mode changes. */
static const struct {
    const char *type, *name;
} plain[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = { "boolean", NULL },
    [TR_INT8] = { "int16", NULL },
    [TR_UINT8] = { "int16", NULL },
    [TR_INT16] = { "int16", NULL },
    [TR_UINT16] = { "int32", NULL },
    [TR_INT24] = { "int32", NULL },
    [TR_UINT24] = { "int32", NULL },
    [TR_INT32] = { "int32", NULL },
    [TR_UINT32] = { "int64", NULL },
    [TR_INT64] = { "int64", NULL },
    [TR_OID] = { "int64", NULL },
    [TR_FLOAT32] = { "float", NULL },
    [TR_FLOAT64] = { "double", NULL },
    [TR_YEAR] = { "int32", TIME "Year" },
    [TR_TIMETZ] = { "string", TIME "ZonedTime" },
    [TR_TIMESTAMPTZ] = { "string", TIME "ZonedTimestamp" },
    [TR_UUID] = { "string", DATA "Uuid" },
    [TR_JSON] = { "string", DATA "Json" },
    [TR_JSONB] = { "string", DATA "Json" },
    [TR_XML] = { "string", DATA "Xml" },
    [TR_LTREE] = { "string", DATA "Ltree" },
    [TR_TSVECTOR] = { "string", DATA "Tsvector" },
};

static void whole_schema(const struct value_modes *modes, const struct column_plan *plan, bool optional,
                         struct tr_buffer *out);

/* Of a column or of an array's element. */
static void
type_schema(const struct value_modes *modes, const struct column_plan *plan, struct pieces out)
{
    const struct tr_column *column = plan->column;
    switch (column->logical) {
    case TR_DECIMAL: numeric_schema(modes, column, out); return;
    case TR_MONEY: decimal_schema(modes, modes->money_digits, 0, out); return;
    case TR_UINT64:
        if (modes->unsigned_precise)
            decimal_schema(&(struct value_modes){ .decimal = DECIMAL_PRECISE }, 0, 20, out);
        else
            semantic(out, "int64", NULL);
        return;
    case TR_BIT:
    case TR_VARBIT: bits_schema(column, out); return;
    case TR_BYTES: semantic(out, modes->binary == BINARY_BYTES ? "bytes" : "string", NULL); return;
    case TR_DATE: date_schema(modes, out); return;
    case TR_TIME: time_schema(modes, column->scale, out); return;
    case TR_TIMESTAMP: timestamp_schema(modes, column->scale, out); return;
    case TR_INTERVAL:
        semantic(out, modes->interval_string ? "string" : "int64",
                 modes->interval_string ? TIME "Interval" : TIME "MicroDuration");
        return;
    case TR_ENUM: labels_schema(modes, column, DATA "Enum", out); return;
    case TR_SET: labels_schema(modes, column, DATA "EnumSet", out); return;
    case TR_HSTORE:
        if (modes->hstore_map)
            tr_buffer_text(out.type, "\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},"
                                     "\"values\":{\"type\":\"string\",\"optional\":true}");
        else
            semantic(out, "string", DATA "Json");
        return;
    case TR_POINT: geometry_schema("Point", true, out); return;
    case TR_GEOMETRY: geometry_schema("Geometry", false, out); return;
    case TR_GEOGRAPHY: geometry_schema("Geography", false, out); return;
    case TR_VECTOR: vector_schema(modes, column->type_name, out); return;
    case TR_ARRAY:
        json_literal(out.type, "\"type\":\"array\",\"items\":{");
        whole_schema(modes, plan->element, true, out.type);
        tr_buffer_byte(out.type, '}');
        return;
    case TR_OTHER:
    case TR_COMPOSITE:
    case TR_MULTIRANGE:
        semantic(out,
                 modes->unknown == UNKNOWN_BYTES && modes->binary == BINARY_BYTES &&
                         plan->render != render_string
                     ? "bytes"
                     : "string",
                 NULL);
        return;
    default:
        semantic(out, plain[column->logical].type != NULL ? plain[column->logical].type : "string",
                 plain[column->logical].name);
    }
}

static void
whole_schema(const struct value_modes *modes, const struct column_plan *plan, bool optional,
             struct tr_buffer *out)
{
    struct tr_buffer name;
    tr_buffer_init(&name, 1 << 24);
    type_schema(modes, plan, (struct pieces){ out, &name });
    tr_buffer_text(out, optional ? ",\"optional\":true" : ",\"optional\":false");
    tr_buffer_add(out, name.len > 0 ? name.data : "", name.len);
    tr_buffer_fini(&name);
}

static void
column_schema(struct renderer *renderer, const struct column_plan *plan, struct tr_buffer *out)
{
    struct tr_buffer value;
    tr_buffer_init(&value, 1 << 24);
    tr_buffer_byte(out, '{');
    /* MySQL's geometries are optional even where they are NOT NULL. */
    bool optional = !plan->column->not_null ||
                    (renderer->modes.mysql && plan->column->logical == TR_GEOMETRY);
    whole_schema(&renderer->modes, plan, optional, out);
    if (default_literal(renderer, plan, plan->column->default_expression, &value)) {
        json_literal(out, ",\"default\":");
        tr_buffer_add(out, value.data, value.len);
    }
    json_literal(out, ",\"field\":");
    tr_json_string(out, plan->column->name, strlen(plan->column->name));
    tr_buffer_byte(out, '}');
    tr_buffer_fini(&value);
}

static void
named(struct tr_buffer *out, const char *topic, const char *suffix, bool optional, const char *field)
{
    tr_buffer_printf(out, "],\"optional\":%s,\"name\":", optional ? "true" : "false");
    tr_buffer_byte(out, '"');
    json_escape(out, topic, strlen(topic));
    tr_buffer_printf(out, ".%s\"", suffix);
    if (field != NULL)
        tr_buffer_printf(out, ",\"field\":\"%s\"", field);
}

static void
row_schema(struct json_encoder *enc, const struct relation_plan *plan, const char *field,
           struct tr_buffer *out)
{
    const char *separator = "";
    json_literal(out, "{\"type\":\"struct\",\"fields\":[");
    for (uint16_t i = 0; i < plan->relation->ncolumns; i++) {
        if (plan->columns[i].omitted)
            continue;
        tr_buffer_text(out, separator);
        column_schema(&enc->renderer, &plan->columns[i], out);
        separator = ",";
    }
    named(out, plan->topic, "Value", true, field);
    tr_buffer_byte(out, '}');
}

#define REQUIRED(type, field) "{\"type\":\"" type "\",\"optional\":false,\"field\":\"" field "\"}"
#define OPTIONAL(type, field) "{\"type\":\"" type "\",\"optional\":true,\"field\":\"" field "\"}"

#define SOURCE_HEAD                                                                                                                                     \
    "{\"type\":\"struct\",\"fields\":[" REQUIRED("string", "version") "," REQUIRED("string", "connector") "," REQUIRED(                                 \
        "string",                                                                                                                                       \
        "name") "," REQUIRED("int64",                                                                                                                   \
                             "ts_ms") ",{\"type\":\"string\",\"optional\":true,\"name\":\"" DATA                                                        \
                                      "Enum\",\"version\":1,\"parameters\":{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection," \
                                      "last,false,incremental\"},\"default\":\"false\",\"field\":\"snapshot\"}," REQUIRED(                              \
                                          "string",                                                                                                     \
                                          "db") "," OPTIONAL("string",                                                                                  \
                                                             "sequence") "," OPTIONAL("int64",                                                          \
                                                                                      "ts_us") "," OPTIONAL("int64",                                    \
                                                                                                            "ts_ns") ","

static void
source_schema(const struct json_encoder *enc, struct tr_buffer *out)
{
    tr_buffer_text(out, SOURCE_HEAD);
    if (enc->renderer.modes.mysql)
        tr_buffer_text(
            out,
            OPTIONAL("string", "table") "," REQUIRED("int64", "server_id") "," OPTIONAL("string", "gtid") "," REQUIRED(
                "string",
                "file") "," REQUIRED("int64",
                                     "pos") "," REQUIRED("int32",
                                                         "row") "," OPTIONAL("int64",
                                                                             "thread") "," OPTIONAL("string",
                                                                                                    "query"));
    else
        tr_buffer_text(
            out,
            REQUIRED("string", "schema") "," REQUIRED("string", "table") "," OPTIONAL("int64", "txId") "," OPTIONAL(
                "int64", "lsn") "," OPTIONAL("int64",
                                             "xmin") "," OPTIONAL("string",
                                                                  "origin") "," OPTIONAL("int64",
                                                                                         "origin_lsn"));
    tr_buffer_printf(
        out,
        "],\"optional\":false,\"name\":\"io.debezium.connector.%s.Source\",\"version\":1,\"field\":\"source\"}",
        enc->base.env->connector);
}

#define TRANSACTION                                                                                                 \
    "{\"type\":\"struct\",\"fields\":[" REQUIRED("string", "id") "," REQUIRED("int64", "total_order") "," REQUIRED( \
        "int64",                                                                                                    \
        "data_collection_order") "],\"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"}"

void
schema_of_value(struct json_encoder *enc, const struct relation_plan *plan, struct tr_buffer *out)
{
    json_literal(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    row_schema(enc, plan, "before", out);
    tr_buffer_byte(out, ',');
    row_schema(enc, plan, "after", out);
    tr_buffer_byte(out, ',');
    source_schema(enc, out);
    tr_buffer_text(out, "," TRANSACTION "," REQUIRED("string", "op") "," OPTIONAL(
                            "int64", "ts_ms") "," OPTIONAL("int64", "ts_us") "," OPTIONAL("int64", "ts_ns"));
    named(out, plan->topic, "Envelope", false, NULL);
    json_literal(out, ",\"version\":2},\"payload\":");
}

void
schema_of_key(struct json_encoder *enc, const struct relation_plan *plan, struct tr_buffer *out)
{
    json_literal(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    for (uint16_t k = 0; k < plan->nkeys; k++) {
        if (k > 0)
            tr_buffer_byte(out, ',');
        column_schema(&enc->renderer, &plan->columns[plan->keys[k]], out);
    }
    named(out, plan->topic, "Key", false, NULL);
    json_literal(out, "},\"payload\":");
}

void
schema_of_message(struct json_encoder *enc, bool key, struct tr_buffer *out)
{
    if (key) {
        tr_buffer_text(
            out,
            "{\"schema\":{\"type\":\"struct\",\"fields\":[" OPTIONAL(
                "string",
                "prefix") "],\"optional\":false,\"name\":\"io.debezium.connector.postgresql.MessageKey\",\"version\":1},\"payload\":");
        return;
    }
    tr_buffer_text(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[" REQUIRED("string", "op") "," OPTIONAL(
                            "int64", "ts_ms") ",");
    source_schema(enc, out);
    tr_buffer_printf(
        out,
        "," TRANSACTION ",{\"type\":\"struct\",\"fields\":[" OPTIONAL(
            "string",
            "prefix") ",{\"type\":\"%s\",\"optional\":true,\"field\":\"content\"}],\"optional\":false,"
                      "\"name\":\"io.debezium.connector.postgresql.Message\",\"version\":1,\"field\":\"message\"}],\"optional\":false,"
                      "\"name\":\"io.debezium.connector.postgresql.MessageValue\",\"version\":1},\"payload\":",
        enc->renderer.modes.binary == BINARY_BYTES ? "bytes" : "string");
}

void
schema_of_transaction(bool key, struct tr_buffer *out)
{
    if (key)
        tr_buffer_text(
            out,
            "{\"schema\":{\"type\":\"struct\",\"fields\":[" REQUIRED(
                "string",
                "id") "],\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataKey\",\"version\":1},\"payload\":");
    else
        tr_buffer_text(
            out,
            "{\"schema\":{\"type\":\"struct\",\"fields\":[" REQUIRED("string", "status") "," REQUIRED("string", "id") "," OPTIONAL("int64", "event_count") ",{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":[" REQUIRED(
                "string",
                "data_collection") "," REQUIRED("int64",
                                                "event_count") "],\"optional\":true,\"name\":\"event.collection\",\"version\":1},\"optional\":true,\"field\":\"data_collections\"}," REQUIRED("int64",
                                                                                                                                                                                              "ts_ms") "],\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataValue\",\"version\":1},\"payload\":");
}

void
schema_of_heartbeat(bool key, struct tr_buffer *out)
{
    tr_buffer_text(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    tr_buffer_text(out, key ? REQUIRED("string", "serverName") : REQUIRED("int64", "ts_ms"));
    tr_buffer_printf(
        out, "],\"optional\":false,\"name\":\"io.debezium.connector.common.%s\",\"version\":1},\"payload\":",
        key ? "ServerNameKey" : "Heartbeat");
}

#define TEXTS(name)                                                                                              \
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":false},\"optional\":true,\"field\":\"" name \
    "\"}"

/* A table as the records of schema changes describe it. */
static const char
    change_table[] =
        "{\"type\":\"struct\",\"fields\":[" OPTIONAL(
            "string",
            "defaultCharsetName") "," TEXTS("primaryKeyColumnNames") ",{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":[" REQUIRED("string",
                                                                                                                                                 "name") "," REQUIRED("int32", "jdbcType") "," OPTIONAL("int32", "nativeType") "," REQUIRED("string", "typeName") "," OPTIONAL("string", "typeExpression") "," OPTIONAL("string", "charsetName") "," OPTIONAL("int32", "length") "," OPTIONAL("int32",
                                                                                                                                                                                                                                                                                                                                                                                              "scale") "," REQUIRED("int32",
                                                                                                                                                                                                                                                                                                                                                                                                                    "position") "," OPTIONAL("boolean",
                                                                                                                                                                                                                                                                                                                                                                                                                                             "optional") "," OPTIONAL("boolean", "autoIncremented") "," OPTIONAL("boolean", "generated") "," OPTIONAL("string",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "comment") "," OPTIONAL("string",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "defaultValueExpression") "," TEXTS("enumValues") "],\"optional\":false,\"name\":\"io.debezium.connector.schema.Column\",\"version\":1},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "\"optional\":false,\"field\":\"columns\"}," OPTIONAL("string",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "comment") "],\"optional\":true,\"name\":\"io.debezium.connector.schema.Table\",\"version\":1,\"field\":\"table\"}";

void
schema_of_change(const struct json_encoder *enc, bool key, struct tr_buffer *out)
{
    const char *connector = enc->base.env->connector;
    tr_buffer_text(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    if (key) {
        tr_buffer_text(out, REQUIRED("string", "databaseName"));
    } else {
        source_schema(enc, out);
        tr_buffer_text(
            out,
            "," REQUIRED("int64", "ts_ms") "," OPTIONAL("string", "databaseName") "," OPTIONAL("string", "schemaName") "," OPTIONAL(
                "string",
                "ddl") ",{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":[" REQUIRED("string",
                                                                                                   "type") "," REQUIRED("string",
                                                                                                                        "id") ",");
        tr_buffer_text(out, change_table);
        tr_buffer_text(out,
                       "],\"optional\":false,\"name\":\"io.debezium.connector.schema.Change\",\"version\":1},"
                       "\"optional\":false,\"field\":\"tableChanges\"}");
    }
    tr_buffer_printf(
        out,
        "],\"optional\":false,\"name\":\"io.debezium.connector.%s.SchemaChange%s\",\"version\":1},\"payload\":",
        connector, key ? "Key" : "Value");
}
