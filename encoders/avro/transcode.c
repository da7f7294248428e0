/* transcode.c - a value in Connect's JSON, with its schema, as Avro's bytes. For what is made once per table, and for rare records. */
#include <math.h>
#include <string.h>

#include "encoders/avro/internal.h"
#include "encoders/common/avro.h"
#include "encoders/common/write.h"

static bool
number(const json_t *value, double *n)
{
    const char *text = json_string_value(value);
    if (json_is_number(value))
        *n = json_number_value(value);
    else if (text != NULL && strcmp(text, "NaN") == 0)
        *n = NAN;
    else if (text != NULL && (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0))
        *n = text[0] == '-' ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

static bool
bytes(const json_t *value, struct tr_buffer *out)
{
    struct tr_buffer decoded;
    tr_buffer_init(&decoded, TR_BUFFER_MAX);
    bool good = json_is_string(value) &&
                tr_base64_decode(&decoded, json_string_value(value), json_string_length(value));
    if (good)
        avro_bytes(out, decoded.len > 0 ? decoded.data : "", decoded.len);
    tr_buffer_fini(&decoded);
    return good;
}

static bool
array(const json_t *items, const json_t *value, struct tr_buffer *out)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value))
        return false;
    avro_long(out, (int64_t)json_array_size(value));
    if (json_array_size(value) == 0)
        return true;
    for (i = 0; (item = json_array_get(value, i)) != NULL; i++)
        if (!avro_transcode(items, item, out))
            return false;
    avro_long(out, 0);
    return true;
}

/* An object, or with keys that are no strings a list of pairs. */
static bool
map(const json_t *connect, const json_t *value, struct tr_buffer *out)
{
    const json_t *keys = json_object_get(connect, "keys"), *values = json_object_get(connect, "values");
    size_t count = json_is_object(value) ? json_object_size(value) : json_array_size(value), i;
    json_t *item;
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    avro_long(out, (int64_t)count);
    if (count == 0)
        return true;
    if (json_is_object(value)) {
        json_t *object = (json_t *)(uintptr_t)value; /* only its iterator wants it so */
        for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
            const char *name = json_object_iter_key(at);
            avro_string(out, name, strlen(name));
            if (!avro_transcode(values, json_object_iter_value(at), out))
                return false;
        }
    }
    for (i = 0; (item = json_array_get(value, i)) != NULL; i++)
        if (!avro_transcode(keys, json_array_get(item, 0), out) ||
            !avro_transcode(values, json_array_get(item, 1), out))
            return false;
    avro_long(out, 0);
    return true;
}

static bool
structure(const json_t *connect, const json_t *value, struct tr_buffer *out)
{
    size_t i;
    json_t *field;
    if (!json_is_object(value))
        return false;
    for (i = 0; (field = json_array_get(json_object_get(connect, "fields"), i)) != NULL; i++)
        if (!avro_transcode(field, json_object_get(value, json_string_value(json_object_get(field, "field"))),
                            out))
            return false;
    return true;
}

static bool
plain_value(const json_t *connect, const char *type, const json_t *value, struct tr_buffer *out)
{
    double n;
    if (strncmp(type, "int", 3) == 0) {
        if (json_is_integer(value))
            avro_long(out, json_integer_value(value));
        return json_is_integer(value);
    }
    if (strcmp(type, "float") == 0 || strcmp(type, "double") == 0) {
        if (!number(value, &n))
            return false;
        if (type[0] == 'f')
            avro_float(out, (float)n);
        else
            avro_double(out, n);
        return true;
    }
    if (strcmp(type, "string") == 0) {
        if (json_is_string(value))
            avro_string(out, json_string_value(value), json_string_length(value));
        return json_is_string(value);
    }
    if (strcmp(type, "boolean") == 0) {
        tr_buffer_byte(out, json_is_true(value));
        return json_is_boolean(value);
    }
    if (strcmp(type, "bytes") == 0)
        return bytes(value, out);
    if (strcmp(type, "array") == 0)
        return array(json_object_get(connect, "items"), value, out);
    return strcmp(type, "map") == 0 ? map(connect, value, out) : structure(connect, value, out);
}

bool
avro_transcode(const json_t *connect, const json_t *value, struct tr_buffer *out)
{
    const char *type = json_string_value(json_object_get(connect, "type"));
    const json_t *standard = json_object_get(connect, "default");
    bool has_default = standard != NULL && !json_is_null(standard),
         null = value == NULL || json_is_null(value);
    if (type == NULL)
        return false;
    if (json_is_true(json_object_get(connect, "optional"))) {
        avro_long(out, null == has_default);
        if (null)
            return true;
    }
    return plain_value(connect, type, value, out);
}
