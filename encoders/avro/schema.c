/*
 * schema.c - Connect's schemas in Avro, as Confluent's AvroConverter writes them: what Avro cannot say stands in properties beside the type
 * (connect.name, connect.version, connect.parameters, connect.default, connect.doc, connect.type).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "encoders/avro/internal.h"
#include "encoders/common/write.h"

#define CONNECT "org.apache.kafka.connect.data."
#define NO_NAMESPACE "io.confluent.connect.avro"
#define DECIMAL_PRECISION 64 /* of a Decimal that does not tell its own */

/* --------------------------------------------------------------------------------------- names */

static bool
is_plain(unsigned char c, bool first, bool field, enum name_adjustment adjustment)
{
    if (isalpha(c) && c < 0x80)
        return true;
    if (c == '_')
        return adjustment == ADJUST_UNDERSCORE; /* else it begins an escape */
    return (!first && isdigit(c)) || (!field && !first && c == '.');
}

/* Both forms of Debezium count in Java's chars: a character off the first plane is two. */
static void
add_replaced(const char *text, size_t len, enum name_adjustment adjustment, struct tr_buffer *out)
{
    const unsigned char *u = (const unsigned char *)text;
    uint32_t code = u[0];
    if (len == 2)
        code = (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    else if (len == 3)
        code = (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
    else if (len == 4)
        code = (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
    uint32_t units[2] = { code, 0 };
    if (code > 0xffff) {
        units[0] = 0xd800 + ((code - 0x10000) >> 10);
        units[1] = 0xdc00 + ((code - 0x10000) & 0x3ff);
    }
    for (int i = 0; i < 1 + (code > 0xffff); i++) {
        if (adjustment == ADJUST_UNICODE)
            tr_buffer_printf(out, "_u%04x", units[i]);
        else
            tr_buffer_byte(out, '_');
    }
}

void
adjust_name(const char *name, bool field, enum name_adjustment adjustment, struct tr_buffer *out)
{
    bool first = true; /* of the name, or (which Debezium leaves to fail) of a part of a namespace */
    for (const char *at = name; *at != '\0';) {
        unsigned char c = (unsigned char)*at;
        size_t len = c < 0x80 ? 1 : tr_utf8_length(at, strlen(at));
        if (len == 0)
            len = 1;
        if (is_plain(c, first, field, adjustment)) {
            tr_buffer_byte(out, (char)c);
        } else {
            add_replaced(at, len, adjustment, out);
            /* The digit stays, so that 1a and 2a do not become one. */
            if (first && isdigit(c) && adjustment == ADJUST_UNDERSCORE)
                tr_buffer_byte(out, (char)c);
        }
        first = !field && c == '.';
        at += len;
    }
    if (first)
        tr_buffer_byte(out, '_');
}

/* ------------------------------------------------------------------------------------- context */

struct context {
    enum name_adjustment adjustment;
    json_t *defined; /* full names of the records that stand before */
    struct tr_error *err;
};

static json_t *convert(struct context *ctx, const json_t *connect, const char *space);

static const char *
text_of(const json_t *connect, const char *name)
{
    return json_string_value(json_object_get(connect, name));
}

static char *
adjusted(const struct context *ctx, const char *name, bool field)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 1 << 16);
    adjust_name(name, field, ctx->adjustment, &out);
    char *copy = tr_strdup(out.len > 0 ? out.data : "_");
    tr_buffer_fini(&out);
    return copy;
}

static json_t *
fail(const struct context *ctx, const char *fmt, const char *what)
{
    tr_fail(ctx->err, TR_REFUSED, fmt, what);
    return NULL;
}

/* -------------------------------------------------------------------------------------- values */

/* Base64 (as in JSON) -> Avro's text of bytes: one character below U+0100 for each. */
static json_t *
bytes_default(const char *base64)
{
    struct tr_buffer bytes, text;
    tr_buffer_init(&bytes, 1 << 24);
    tr_buffer_init(&text, 1 << 25);
    json_t *value = NULL;
    if (tr_base64_decode(&bytes, base64, strlen(base64))) {
        for (size_t i = 0; i < bytes.len; i++) {
            unsigned char c = (unsigned char)bytes.data[i];
            if (c >= 0x80)
                tr_buffer_byte(&text, (char)(0xc0 | c >> 6));
            tr_buffer_byte(&text, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
        }
        value = json_stringn(text.len > 0 ? text.data : "", text.len);
    }
    tr_buffer_fini(&bytes);
    tr_buffer_fini(&text);
    return value;
}

/* A default out of JSON as Avro wants it. */
static json_t *
default_value(const json_t *connect, json_t *value)
{
    const char *type = text_of(connect, "type");
    if (type != NULL && strcmp(type, "bytes") == 0 && json_is_string(value))
        return bytes_default(json_string_value(value));
    if (type != NULL && strcmp(type, "array") == 0) {
        json_t *list = json_array(), *item;
        size_t i;
        for (i = 0; (item = json_array_get(value, i)) != NULL; i++)
            json_array_append_new(list, default_value(json_object_get(connect, "items"), item));
        return list;
    }
    if (type != NULL && strcmp(type, "struct") == 0) {
        json_t *object = json_object(), *field;
        size_t i;
        for (i = 0; (field = json_array_get(json_object_get(connect, "fields"), i)) != NULL; i++)
            json_object_set_new(object, text_of(field, "field"),
                                default_value(field, json_object_get(value, text_of(field, "field"))));
        return object;
    }
    return json_incref(value);
}

static json_t *
default_of(const json_t *connect)
{
    json_t *value = json_object_get(connect, "default");
    return value != NULL && !json_is_null(value) ? default_value(connect, value) : NULL;
}

/* --------------------------------------------------------------------------------------- types */

static const struct {
    const char *connect, *avro, *kept;
} primitives[] = {
    { "int8", "int", "int8" },    { "int16", "int", "int16" },    { "int32", "int", NULL },
    { "int64", "long", NULL },    { "float", "float", NULL },     { "double", "double", NULL },
    { "string", "string", NULL }, { "boolean", "boolean", NULL }, { "bytes", "bytes", NULL },
};

static int
parameter(const json_t *connect, const char *name, int otherwise)
{
    const char *text = text_of(json_object_get(connect, "parameters"), name);
    return text != NULL ? atoi(text) : otherwise;
}

static bool
is_decimal(const json_t *connect)
{
    const char *name = text_of(connect, "name");
    return name != NULL && strcmp(name, CONNECT "Decimal") == 0;
}

/* What Connect knows and Avro does not. */
static void
add_properties(struct context *ctx, const json_t *connect, const char *kept, json_t *avro)
{
    const char *name = text_of(connect, "name");
    json_t *doc = json_object_get(connect, "doc"), *version = json_object_get(connect, "version"),
           *parameters = json_object_get(connect, "parameters"), *value = default_of(connect);
    if (doc != NULL)
        json_object_set(avro, "connect.doc", doc);
    if (version != NULL)
        json_object_set(avro, "connect.version", version);
    if (json_object_size(parameters) > 0)
        json_object_set(avro, "connect.parameters", parameters);
    if (value != NULL)
        json_object_set_new(avro, "connect.default", value);
    if (name != NULL) {
        char *full = adjusted(ctx, name, false);
        json_object_set_new(avro, "connect.name", json_string(full));
        free(full);
    }
    if (kept != NULL)
        json_object_set_new(avro, "connect.type", json_string(kept));
}

/* Avro's own logical types, where Connect has the same. Debezium's io.debezium.time.* have none and keep their names only. */
static void
add_logical(const json_t *connect, json_t *avro)
{
    static const char *const same[][2] = { { CONNECT "Date", "date" },
                                           { CONNECT "Time", "time-millis" },
                                           { CONNECT "Timestamp", "timestamp-millis" } };
    const char *name = text_of(connect, "name");
    for (size_t i = 0; name != NULL && i < sizeof(same) / sizeof(same[0]); i++)
        if (strcmp(name, same[i][0]) == 0)
            json_object_set_new(avro, "logicalType", json_string(same[i][1]));
    if (is_decimal(connect))
        json_object_set_new(avro, "logicalType", json_string("decimal"));
}

static json_t *
primitive(struct context *ctx, const json_t *connect, const char *type)
{
    for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
        if (strcmp(primitives[i].connect, type) != 0)
            continue;
        json_t *avro = json_pack("{s:s}", "type", primitives[i].avro);
        if (is_decimal(connect)) {
            json_object_set_new(avro, "scale", json_integer(parameter(connect, "scale", 0)));
            json_object_set_new(
                avro, "precision",
                json_integer(parameter(connect, "connect.decimal.precision", DECIMAL_PRECISION)));
        }
        add_properties(ctx, connect, primitives[i].kept, avro);
        add_logical(connect, avro);
        if (json_object_size(avro) > 1)
            return avro;
        json_decref(avro);
        return json_string(primitives[i].avro);
    }
    return fail(ctx, "a schema has the type %s, which Avro has no form for", type);
}

static json_t *
record_field(struct context *ctx, const char *name, const json_t *connect, const char *space)
{
    json_t *type = convert(ctx, connect, space), *value = default_of(connect);
    if (type == NULL) {
        json_decref(value);
        return NULL;
    }
    json_t *field = json_pack("{s:s,s:o}", "name", name, "type", type);
    if (value != NULL)
        json_object_set_new(field, "default", value);
    else if (json_is_true(json_object_get(connect, "optional")))
        json_object_set_new(field, "default", json_null());
    return field;
}

static bool
add_fields(struct context *ctx, const json_t *connect, const char *space, json_t *list)
{
    json_t *seen = json_object(), *field;
    size_t i;
    bool good = true;
    for (i = 0; (field = json_array_get(json_object_get(connect, "fields"), i)) != NULL; i++) {
        char *name = adjusted(ctx, text_of(field, "field"), true);
        json_t *made = NULL;
        if (json_object_get(seen, name) != NULL)
            fail(ctx, "two columns have the name %s once it is one that Avro allows", name);
        else
            made = record_field(ctx, name, field, space);
        json_object_set_new(seen, name, json_true());
        free(name);
        good = made != NULL && json_array_append_new(list, made) == 0;
        if (!good)
            break;
    }
    json_decref(seen);
    return good;
}

/* A record, or the name of one that was written before. Within the same namespace names are short. */
static json_t *
record(struct context *ctx, const json_t *connect, const char *enclosing)
{
    const char *given = text_of(connect, "name");
    char *full = adjusted(ctx, given != NULL ? given : NO_NAMESPACE ".ConnectDefault", false);
    char *dot = strrchr(full, '.'), *space = tr_strndup(full, dot != NULL ? (size_t)(dot - full) : 0);
    const char *name = dot != NULL ? dot + 1 : full;
    bool same = strcmp(space, enclosing) == 0;
    json_t *avro;
    if (json_object_get(ctx->defined, full) != NULL) {
        avro = json_string(same ? name : full);
    } else {
        json_object_set_new(ctx->defined, full, json_true());
        json_t *fields = json_array();
        avro = json_pack("{s:s,s:s}", "type", "record", "name", name);
        if (!same)
            json_object_set_new(avro, "namespace", json_string(space));
        bool good = add_fields(ctx, connect, space, fields);
        json_object_set_new(avro, "fields", fields);
        if (good) {
            add_properties(ctx, connect, NULL, avro);
        } else {
            json_decref(avro);
            avro = NULL;
        }
    }
    free(space);
    free(full);
    return avro;
}

/* A map's keys are strings, or it is a list of pairs. */
static json_t *
map(struct context *ctx, const json_t *connect, const char *space)
{
    const json_t *keys = json_object_get(connect, "keys"), *values = json_object_get(connect, "values");
    const char *key_type = text_of(keys, "type");
    json_t *avro = NULL, *inner;
    if (key_type != NULL && strcmp(key_type, "string") == 0 &&
        !json_is_true(json_object_get(keys, "optional"))) {
        inner = convert(ctx, values, space);
        avro = inner != NULL ? json_pack("{s:s,s:o}", "type", "map", "values", inner) : NULL;
    } else if (json_object_get(ctx->defined, NO_NAMESPACE ".MapEntry") != NULL) {
        return fail(ctx, "%s: two maps whose keys are no strings have no form in one Avro schema",
                    "MapEntry");
    } else {
        json_object_set_new(ctx->defined, NO_NAMESPACE ".MapEntry", json_true());
        json_t *key = record_field(ctx, "key", keys, NO_NAMESPACE),
               *value = key != NULL ? record_field(ctx, "value", values, NO_NAMESPACE) : NULL;
        if (value != NULL)
            avro = json_pack("{s:s,s:{s:s,s:s,s:s,s:[o,o]}}", "type", "array", "items", "type", "record",
                             "name", "MapEntry", "namespace", NO_NAMESPACE, "fields", key, value);
        else
            json_decref(key);
    }
    if (avro != NULL)
        add_properties(ctx, connect, NULL, avro);
    return avro;
}

static json_t *
array(struct context *ctx, const json_t *connect, const char *space)
{
    json_t *items = convert(ctx, json_object_get(connect, "items"), space);
    json_t *avro = items != NULL ? json_pack("{s:s,s:o}", "type", "array", "items", items) : NULL;
    if (avro != NULL)
        add_properties(ctx, connect, NULL, avro);
    return avro;
}

/* space: the namespace around it. */
static json_t *
convert(struct context *ctx, const json_t *connect, const char *space)
{
    const char *type = text_of(connect, "type");
    json_t *avro;
    if (type == NULL)
        return fail(ctx, "%s", "a schema has no type");
    if (strcmp(type, "struct") == 0)
        avro = record(ctx, connect, space);
    else if (strcmp(type, "array") == 0)
        avro = array(ctx, connect, space);
    else if (strcmp(type, "map") == 0)
        avro = map(ctx, connect, space);
    else
        avro = primitive(ctx, connect, type);
    if (avro == NULL || !json_is_true(json_object_get(connect, "optional")))
        return avro;
    /* The default is a value of the first branch. */
    const json_t *value = json_object_get(connect, "default");
    return value != NULL && !json_is_null(value) ? json_pack("[o,s]", avro, "null")
                                                 : json_pack("[s,o]", "null", avro);
}

json_t *
avro_schema(const json_t *connect, enum name_adjustment adjustment, struct tr_error *err)
{
    struct context ctx = { .adjustment = adjustment, .defined = json_object(), .err = err };
    json_t *avro = convert(&ctx, connect, "");
    json_decref(ctx.defined);
    return avro;
}
