/*
 * fuzz_encoder.c - any bytes as the value of a column of any type, through the formats that write JSON: messages that a JSON parser reads, or an error.
 *
 * Input: uint8 format and connector, uint8 options, uint8 type, int8 precision, int8 scale, then the value's text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/batch.h"
#include "encoders/debezium/debezium.h"
#include "encoders/dms/dms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 5

static const char *const connectors[] = { "postgresql", "mysql", "mariadb" };
static const struct tr_encoder_class *const formats[] = { &tr_debezium_json_encoder, &tr_plain_json_encoder,
                                                          &tr_dms_json_encoder };
/* Of each choice some values; an option that the format does not have is left alone. */
static const struct {
    const char *name, *values[4];
} options[] = {
    { "schemas_enable", { "false", "true" } },
    { "decimal_handling_mode", { "precise", "string", "double" } },
    { "binary_handling_mode", { "bytes", "base64", "hex" } },
    { "time_precision_mode", { "adaptive", "connect", "isostring" } },
    { "interval_handling_mode", { "numeric", "string" } },
    { "hstore_handling_mode", { "json", "map" } },
    { "bigint_unsigned_handling_mode", { "long", "precise" } },
    { "include_unknown_datatypes", { "true" } },
    { "include_null_and_empty", { "false", "true" } },
};

static bool
is_utf8(const void *data, size_t size)
{
    json_t *text = json_stringn(data, size);
    json_decref(text);
    return text != NULL;
}

static void
must_be_json(const char *text, size_t len)
{
    json_error_t why;
    json_t *value = text != NULL ? json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &why)
                                 : NULL;
    /* 1e999 is a number by the grammar, and too large for this parser */
    if (text != NULL && value == NULL && json_error_code(&why) != json_error_numeric_overflow) {
        fprintf(stderr, "%s: %.*s\n", why.text, (int)len, text);
        abort();
    }
    json_decref(value);
}

static int
message(void *arg, const struct tr_message *message, struct tr_error *err)
{
    (void)err;
    if (*(const bool *)arg) {
        must_be_json(message->key_json != NULL ? message->key_json : message->key,
                     message->key_json != NULL ? message->key_json_len : message->key_len);
        must_be_json(message->value, message->value_len);
    }
    return 0;
}

static struct tr_relation *
relation_of(const uint8_t *data)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *columns = tr_arena_zalloc(&relation->arena, 2 * sizeof *columns);
    static const char *const labels[] = { "new", "o\"ld", "" };
    relation->number = 1;
    relation->database = "shop";
    relation->schema = relation->target_schema = "s\"\n";
    relation->name = relation->target_name = "t\\";
    relation->columns = columns;
    relation->ncolumns = 2;
    for (int i = 0; i < 2; i++)
        columns[i] = (struct tr_column){ .name = i == 0 ? "id" : "v\"\x01",
                                         .native = "some",
                                         .type_name = "some",
                                         .length = (int8_t)data[3],
                                         .precision = (int8_t)data[3],
                                         .scale = (int8_t)data[4],
                                         .type_mod = -1 };
    columns[0].logical = TR_INT32;
    columns[0].key = columns[0].identity = 1;
    columns[1].logical = data[2] % TR_LOGICAL_COUNT;
    columns[1].element = data[3] % TR_LOGICAL_COUNT;
    columns[1].element_name = "some";
    columns[1].labels = labels;
    columns[1].nlabels = 3;
    tr_relation_index_keys(relation);
    return relation;
}

static void
encode(const struct tr_encoder_class *class, const struct tr_encoder_env *env, const uint8_t *data,
       size_t size)
{
    struct tr_error err;
    struct tr_encoder *encoder;
    /* the parser takes no zero in the name of a member, which an hstore's would be */
    bool text = is_utf8(data + HEAD, size - HEAD) && memchr(data + HEAD, '\0', size - HEAD) == NULL;
    const struct tr_emit emit = { .arg = &text, .message = message };
    if (class->open(env, &encoder, &err) < 0)
        return;
    struct tr_batch *batch = tr_batch_new();
    struct tr_relation *relation = relation_of(data);
    struct tr_txn *txn = tr_batch_txn(batch);
    struct tr_value row[2] = {
        { .data = "7", .len = 1, .state = TR_PRESENT },
        { .data = (const char *)data + HEAD, .len = (uint32_t)(size - HEAD), .state = TR_PRESENT }
    };
    for (int kind = TR_INSERT; kind <= TR_DELETE; kind++) {
        struct tr_event *event = tr_batch_event(batch);
        event->kind = (uint8_t)kind;
        event->relation = relation;
        event->before = kind != TR_INSERT ? row : NULL;
        event->after = kind != TR_DELETE ? row : NULL;
        (void)!class->event(encoder, batch, txn, event, &emit, &err);
    }
    class->close(encoder);
    tr_batch_free(batch);
    tr_relation_unref(relation);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tr_error err;
    if (size < HEAD)
        return 0;
    const struct tr_encoder_class *class = formats[data[0] % 3];
    struct tr_settings *settings = tr_settings_new();
    const struct tr_encoder_env env = {
        .settings = settings, .connector = connectors[data[0] / 3 % 3], .prefix = "p\"", .database = "shop"
    };
    if (tr_settings_add_table(settings, class->options, &err) < 0 ||
        (class->more_options != NULL && tr_settings_add_table(settings, class->more_options, &err) < 0))
        abort();
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        size_t pick = (data[1] >> i % 8) % 3;
        if (options[i].values[pick] != NULL &&
            tr_settings_find(settings, "target", options[i].name) != NULL &&
            tr_settings_set(settings, "target", options[i].name, options[i].values[pick], false, "fuzz",
                            &err) < 0)
            abort();
    }
    encode(class, &env, data, size);
    tr_settings_free(settings);
    return 0;
}
