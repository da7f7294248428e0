/*
 * test_avro.c - events in, Confluent's wire format out: each type's bytes, schemas and subjects, and every message read again by Apache's C library with the
 * schema that was registered for it.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoders/avro/avro.h"
#include "encoders/avro/internal.h"
#include "tests/unit/encoders/fake_registry.h"
#include "tests/unit/encoders/sample.h"

#define FIRST_ID 0x01020304u

struct bench {
    struct tr_encoder_env env;
    struct tr_settings *settings;
    struct fake_registry *registry;
    struct tr_encoder *encoder;
    struct tr_batch *batch;
    struct tr_relation *relation;
    struct tr_buffer key, value; /* of the last message */
    char topics[256];            /* of all: "a b " */
    char header[64];
    unsigned messages, tombstones;
    struct tr_error err;
};

/* Apache's library must find exactly one value, and give it as JSON. */
static void
read_again(struct bench *b, const char *bytes, size_t len, char **json)
{
    avro_schema_t schema;
    avro_value_t value;
    char more;
    assert_true(len > WIRE_HEAD && bytes[0] == 0);
    uint32_t id = (uint32_t)(uint8_t)bytes[1] << 24 | (uint32_t)(uint8_t)bytes[2] << 16 |
                  (uint32_t)(uint8_t)bytes[3] << 8 | (uint8_t)bytes[4];
    const char *text = fake_registry_schema(b->registry, id);
    assert_non_null(text);
    if (avro_schema_from_json_length(text, strlen(text), &schema) != 0)
        fail_msg("%s\n%s", avro_strerror(), text);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &value);
    avro_reader_t reader = avro_reader_memory(bytes + WIRE_HEAD, (int64_t)(len - WIRE_HEAD));
    if (avro_value_read(reader, &value) != 0)
        fail_msg("%s\n%s", avro_strerror(), text);
    assert_int_not_equal(avro_read(reader, &more, 1), 0); /* nothing behind it */
    if (json != NULL)
        avro_value_to_json(&value, 1, json);
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
}

static int
gather(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct bench *b = arg;
    (void)err;
    b->messages++;
    b->tombstones += message->value == NULL;
    snprintf(b->topics + strlen(b->topics), sizeof(b->topics) - strlen(b->topics), "%s ", message->topic);
    if (message->header_name != NULL)
        snprintf(b->header, sizeof(b->header), "%s=%.*s", message->header_name, (int)message->header_len,
                 message->header_value);
    if (message->key != NULL) {
        tr_buffer_reset(&b->key);
        tr_buffer_add(&b->key, message->key, message->key_len);
        read_again(b, message->key, message->key_len, NULL);
    }
    if (message->value != NULL) {
        tr_buffer_reset(&b->value);
        tr_buffer_add(&b->value, message->value, message->value_len);
        read_again(b, message->value, message->value_len, NULL);
    }
    return 0;
}

static int
setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    b->registry = fake_registry_start(FIRST_ID);
    b->settings = tr_settings_new();
    b->env = (struct tr_encoder_env){
        .settings = b->settings, .connector = "postgresql", .prefix = "p", .database = "shop"
    };
    b->batch = tr_batch_new();
    tr_buffer_init(&b->key, 1 << 20);
    tr_buffer_init(&b->value, 1 << 20);
    *state = b;
    int rc = tr_settings_add_table(b->settings, tr_debezium_avro_encoder.options, &b->err);
    if (rc == 0)
        rc = tr_settings_add_table(b->settings, tr_debezium_avro_encoder.more_options, &b->err);
    return rc < 0 ? rc
                  : tr_settings_set(b->settings, "target", "schema_registry", fake_registry_url(b->registry),
                                    false, "test", &b->err);
}

static void
forget(struct bench *b)
{
    if (b->encoder != NULL)
        tr_debezium_avro_encoder.close(b->encoder);
    b->encoder = NULL;
    tr_batch_free(b->batch);
    b->batch = tr_batch_new();
    tr_relation_unref(b->relation);
    b->relation = NULL;
    b->topics[0] = b->header[0] = '\0';
    b->messages = b->tombstones = 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    forget(b);
    tr_batch_free(b->batch);
    tr_settings_free(b->settings);
    fake_registry_stop(b->registry);
    tr_buffer_fini(&b->key);
    tr_buffer_fini(&b->value);
    free(b);
    return 0;
}

static void
set(struct bench *b, const char *name, const char *value)
{
    assert_int_equal(tr_settings_set(b->settings, "target", name, value, false, "test", &b->err), 0);
}

static int
encode(struct bench *b, const struct tr_event *event)
{
    const struct tr_emit emit = { .arg = b, .message = gather };
    const struct tr_txn *txn = b->batch->ntxns > 0 ? &b->batch->txns[b->batch->ntxns - 1] : NULL;
    if (b->encoder == NULL)
        assert_int_equal(tr_debezium_avro_encoder.open(&b->env, &b->encoder, &b->err), 0);
    int rc = tr_debezium_avro_encoder.event(b->encoder, b->batch, txn, event, &emit, &b->err);
    return rc;
}

static void
assert_bytes(const struct tr_buffer *bytes, const char *hex)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 1 << 20);
    tr_buffer_hex(&out, bytes->data, bytes->len);
    if (strncmp(out.data, hex, strlen(hex)) != 0)
        fail_msg("bytes %s\nnot   %s", out.data, hex);
    tr_buffer_fini(&out);
}

#define ROW(b, ...) sample_row((b)->batch, 3, (const char *[]){ __VA_ARGS__ })

static void
table_with_key(struct bench *b)
{
    b->relation = sample_relation(1, "public", "t", 3,
                                  (const char *[]){ "id:int32:k", "note:text", "count:int64:n" });
    sample_txn(b->batch);
}

/* ------------------------------------------------------------------------------------- records */

static void
an_insert_in_bytes(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "7", "ab", "-1"))),
                     0);
    assert_bytes(&b->key, "00"
                          "01020304"
                          "0e");
    assert_bytes(&b->value, "00"
                            "01020305"
                            "00"                             /* before: null */
                            "02"                             /* after: a row */
                            "0e"                             /* id 7 */
                            "02046162"                       /* note: a string, "ab" */
                            "01"                             /* count -1 */
                            "0a302e312e30"                   /* source.version */
                            "14706f737467726573716c"         /* connector */
                            "0270"                           /* name */
                            "aad2e2cdbe63"                   /* ts_ms 1709210096789 */
                            "000a66616c7365"                 /* snapshot "false" */
                            "0873686f70"                     /* db */
                            "021a5b6e756c6c2c2231393939225d" /* sequence [null,"1999"] */
                            "02a898d3ca8fa18906" /* ts_us */);
    char *json;
    read_again(b, b->value.data, b->value.len, &json);
    assert_non_null(strstr(json, "{\"id\": 7, \"note\": {\"string\": \"ab\"}, \"count\": -1}"));
    assert_non_null(strstr(json, "\"txId\": {\"long\": 7}"));
    assert_non_null(strstr(json, "\"op\": \"c\""));
    free(json);
}

static void
a_change_of_key_is_three_messages(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    const struct tr_value *before = ROW(b, "1", SAMPLE_ABSENT, SAMPLE_ABSENT),
                          *after = ROW(b, "2", NULL, "0");
    assert_int_equal(encode(b, sample_event(b->batch, TR_UPDATE, b->relation, before, after)), 0);
    assert_int_equal(b->messages, 3);
    assert_int_equal(b->tombstones, 1);
    assert_string_equal(b->header, "__debezium.oldkey={\"id\":1}");
    assert_bytes(&b->key, "000102030404");
    assert_int_equal(fake_registry_count(b->registry), 2);
}

static void
rare_records_have_schemas_too(void **state)
{
    struct bench *b = *state;
    const struct tr_emit emit = { .arg = b, .message = gather };
    set(b, "provide_transaction_metadata", "true");
    table_with_key(b);
    struct tr_event *message = sample_event(b->batch, TR_MESSAGE, NULL, NULL, NULL);
    message->message.prefix = "note";
    message->message.content = "\xff\x00";
    message->message.len = 2;
    message->flags = TR_MESSAGE_TRANSACTIONAL;
    const struct tr_txn *txn = &b->batch->txns[0];
    assert_int_equal(tr_debezium_avro_encoder.open(&b->env, &b->encoder, &b->err), 0);
    assert_int_equal(tr_debezium_avro_encoder.begin(b->encoder, b->batch, txn, &emit, &b->err), 0);
    assert_bytes(&b->value, "00"
                            "01020305"
                            "0a424547494e"   /* BEGIN */
                            "0c373a32303030" /* 7:2000 */
                            "0000" /* no counts yet */);
    assert_int_equal(encode(b, message), 0);
    unsigned asked = fake_registry_count(b->registry);
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", NULL, "0"))),
                     0);
    assert_int_equal(tr_debezium_avro_encoder.commit(b->encoder, b->batch, txn, &emit, &b->err), 0);
    assert_int_equal(fake_registry_count(b->registry),
                     asked + 2); /* the table's; BEGIN and END share theirs */
    assert_string_equal(b->topics, "p.transaction p.message p.public.t p.transaction ");
}

/* A message that comes first must not leave the block of the transaction before to the rows behind it. */
static void
each_transaction_has_its_own_source(void **state)
{
    struct bench *b = *state;
    const struct tr_emit emit = { .arg = b, .message = gather };
    table_with_key(b);
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", NULL, "0"))),
                     0);
    struct tr_txn *txn = sample_txn(b->batch);
    txn->xid = 8;
    txn->commit_order = 3000;
    txn->commit_us += 1000000;
    assert_int_equal(tr_debezium_avro_encoder.begin(b->encoder, b->batch, txn, &emit, &b->err), 0);
    struct tr_event *message = sample_event(b->batch, TR_MESSAGE, NULL, NULL, NULL);
    message->message.prefix = message->message.content = "";
    assert_int_equal(encode(b, message), 0);
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "2", NULL, "0"))),
                     0);
    char *json;
    read_again(b, b->value.data, b->value.len, &json);
    assert_non_null(strstr(json, "\"txId\": {\"long\": 8}"));
    assert_non_null(strstr(json, "\"ts_ms\": 1709210097789"));
    free(json);
}

static void
what_the_log_lacks(void **state)
{
    struct bench *b = *state;
    b->relation = sample_relation(
        1, "public", "t", 4, (const char *[]){ "id:int32:k", "big:text", "geo:geometry", "n:decimal:n" });
    ((struct tr_column *)(uintptr_t)b->relation->columns)[3].precision = 5;
    ((struct tr_column *)(uintptr_t)b->relation->columns)[3].scale = 2;
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 4,
                                            (const char *[]){ "1", SAMPLE_ABSENT, NULL, "1.00" });
    assert_int_equal(encode(b, sample_event(b->batch, TR_UPDATE, b->relation, NULL, row)), 0);
    assert_bytes(&b->value, "0001020305"
                            "0002"
                            "02"
                            "02"
                            "38"
                            "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"
                            "00"
                            "0264");
    /* An old row that is only a key: null where it may stand, else a zero of the type. */
    row = sample_row(b->batch, 4, (const char *[]){ "1", SAMPLE_ABSENT, SAMPLE_ABSENT, SAMPLE_ABSENT });
    set(b, "tombstones_on_delete", "false");
    assert_int_equal(encode(b, sample_event(b->batch, TR_DELETE, b->relation, row, NULL)), 0);
    /* A geometry has no room for a text. */
    row = sample_row(b->batch, 4, (const char *[]){ "1", "x", SAMPLE_ABSENT, "1" });
    assert_int_equal(encode(b, sample_event(b->batch, TR_UPDATE, b->relation, NULL, row)), -TR_REFUSED);
    assert_non_null(strstr(b->err.text, "table public.t column geo"));
    assert_non_null(strstr(b->err.hint, "REPLICA IDENTITY FULL"));
}

/* -------------------------------------------------------------------------------------- values */

struct value_case {
    const char *type;
    int precision, scale, length;
    const char *option, *setting, *text;
    const char *hex; /* of the column, its union's branch included; NULL = refused */
};

#define V(type, text, hex)                      \
    {                                           \
        type, -1, -1, -1, NULL, NULL, text, hex \
    }
#define M(type, p, s, l, text, hex)          \
    {                                        \
        type, p, s, l, NULL, NULL, text, hex \
    }
#define O(type, p, s, name, v, text, hex)  \
    {                                      \
        type, p, s, -1, name, v, text, hex \
    }

static const struct value_case values[] = {
    V("bool", "t", "0201"),
    V("bool", "f", "0200"),
    V("int16", "-32768", "02ffff03"),
    V("int64", "9223372036854775807", "02feffffffffffffffff01"),
    V("int64", "-9223372036854775808", "02ffffffffffffffffff01"),
    V("int64", "9223372036854775808", NULL),
    V("uint64", "18446744073709551615", "0201"),
    O("uint64", -1, -1, "bigint_unsigned_handling_mode", "precise", "18446744073709551615",
      "021200ffffffffffffffff"),
    V("float64", "1.5", "02000000000000f83f"),
    V("float32", "1.1", "02cdcc8c3f"),
    V("float32", "NaN", "020000c07f"),
    V("float64", "-Infinity", "02000000000000f0ff"),
    V("float64", "oops", NULL),
    M("decimal", 10, 2, -1, "123.45", "02043039"),
    M("decimal", 10, 2, -1, "-1.28", "020280"),
    M("decimal", 10, 2, -1, "NaN", "00"),
    V("decimal", "1.50", "0202020f"),
    O("decimal", 10, 2, "decimal_handling_mode", "string", "-Infinity",
      "02224e454741544956455f494e46494e495459"),
    O("decimal", 10, 2, "decimal_handling_mode", "double", "2", "020000000000000040"),
    V("money", "$0.01", "020201"),
    V("text", "", "0200"),
    V("text", "bad \xFF end",
      "0216"
      "62616420efbfbd20656e64"),
    V("bytes", "\\x0001ff", "02060001ff"),
    O("bytes", -1, -1, "binary_handling_mode", "hex", "\\x00FF", "020830306666"),
    O("bytes", -1, -1, "binary_handling_mode", "base64-url-safe", "\\xfbff", "02082d5f383d"),
    M("bit", -1, -1, 1, "1", "0201"),
    M("bit", -1, -1, 9, "100000001", "02040101"),
    V("date", "2024-02-29", "028cb502"),
    O("date", -1, -1, "time_precision_mode", "isostring", "2024-02-29", "0216323032342d30322d32395a"),
    M("time", -1, 6, -1, "00:00:00.000001", "0202"),
    M("timestamp", -1, 6, -1, "1969-12-31 23:59:59.5", "02bf843d"),
    M("timestamptz", -1, 0, -1, "2024-02-29 12:34:56+00", "0228323032342d30322d32395431323a33343a35365a"),
    V("timetz", "01:00:00+02", "021232333a30303a30305a"),
    V("interval", "00:00:01", "0280897a"),
    V("uuid", "00000000-0000-0000-0000-000000000001",
      "024830303030303030302d303030302d303030302d303030302d303030303030303030303031"),
    V("hstore", "\"a\"=>\"1\", \"b\"=>NULL", "02247b2261223a2231222c2262223a6e756c6c7d"),
    O("hstore", -1, -1, "hstore_handling_mode", "map", "\"a\"=>\"1\", \"b\"=>NULL",
      "02040261020231026200"
      "00"),
    O("hstore", -1, -1, "hstore_handling_mode", "map", "", "0200"),
    V("point", "(1,2.5)",
      "02000000000000f03f0000000000000440022a0101000000000000000000f03f000000000000044000"),
    V("geometry", "0101000020E6100000000000000000F03F0000000000000440",
      "022a0101000000000000000000f03f000000000000044002cc43"),
    V("other", "(1,z)", "020a28312c7a29"),
};

static void
check_value(struct bench *b, const struct value_case *c)
{
    char column[64], prefix[400];
    unsigned before = fake_registry_count(b->registry);
    snprintf(column, sizeof(column), "v:%s", c->type);
    if (c->option != NULL)
        set(b, c->option, c->setting);
    b->relation = sample_relation(1, "public", "t", 2, (const char *[]){ "id:int32:k", column });
    struct tr_column *to = (struct tr_column *)(uintptr_t)&b->relation->columns[1];
    to->precision = c->precision;
    to->scale = c->scale;
    to->length = c->length;
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 2, (const char *[]){ "1", c->text });
    int rc = encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row));
    if (rc != (c->hex != NULL ? 0 : -TR_REFUSED))
        fail_msg("%s %s: %d %s", c->type, c->text, rc, b->err.text);
    assert_int_equal(fake_registry_count(b->registry), before + 2);
    if (c->hex != NULL) {
        tr_buffer_reset(&b->key);
        tr_buffer_add(&b->key, b->value.data + WIRE_HEAD, b->value.len - WIRE_HEAD);
        snprintf(prefix, sizeof(prefix), "000202%s0a302e31", c->hex); /* then the source's version */
        assert_bytes(&b->key, prefix);
    }
    forget(b);
    if (c->option != NULL)
        set(b, c->option,
            strcmp(c->option, "hstore_handling_mode") == 0            ? "json"
            : strcmp(c->option, "bigint_unsigned_handling_mode") == 0 ? "long"
            : strcmp(c->option, "decimal_handling_mode") == 0         ? "precise"
            : strcmp(c->option, "binary_handling_mode") == 0          ? "bytes"
                                                                      : "adaptive");
}

static void
each_types_bytes(void **state)
{
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        check_value(*state, &values[i]);
}

static void
arrays_and_vectors(void **state)
{
    static const struct {
        enum tr_logical logical, element;
        const char *name, *text, *hex;
    } cases[] = {
        { TR_ARRAY, TR_INT32, "int4", "{1,NULL,-1}", "0206020200020100" },
        { TR_ARRAY, TR_TEXT, "text", "{\"a b\",\"NULL\"}", "0204020661206202084e554c4c00" },
        { TR_ARRAY, TR_TEXT, "text", "{}", "0200" },
        { TR_ARRAY, TR_INT32, "int4", "{{1},{2}}", NULL },
        { TR_ARRAY, TR_FLOAT32, "float4", "{1.5}", "0202020000c03f00" },
        { TR_VECTOR, TR_OTHER, "vector", "[1,2]", "0204000000000000f03f000000000000004000" },
        { TR_VECTOR, TR_OTHER, "halfvec", "[1.5]", "02020000c03f00" },
        { TR_VECTOR, TR_OTHER, "sparsevec", "{1:1.5}/5", "020a0202000000000000f83f00" },
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char prefix[200];
        b->relation = sample_relation(1, "public", "t", 2, (const char *[]){ "id:int32:k", "v:array" });
        struct tr_column *to = (struct tr_column *)(uintptr_t)&b->relation->columns[1];
        to->logical = cases[i].logical;
        to->element = cases[i].element;
        to->element_name = to->type_name = cases[i].name;
        sample_txn(b->batch);
        const struct tr_value *row = sample_row(b->batch, 2, (const char *[]){ "1", cases[i].text });
        int rc = encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row));
        assert_int_equal(rc, cases[i].hex != NULL ? 0 : -TR_REFUSED);
        if (cases[i].hex != NULL) {
            snprintf(prefix, sizeof(prefix), "000202%s0a302e31", cases[i].hex);
            tr_buffer_reset(&b->key);
            tr_buffer_add(&b->key, b->value.data + WIRE_HEAD, b->value.len - WIRE_HEAD);
            assert_bytes(&b->key, prefix);
        }
        forget(b);
    }
}

/* ------------------------------------------------------------------------------------- schemas */

static void
a_tables_schema(void **state)
{
    struct bench *b = *state;
    b->relation = sample_relation(
        1, "public", "my-t", 4, (const char *[]){ "id:int16:k", "1 n:decimal", "at:timestamp:n", "d:text" });
    struct tr_column *columns = (struct tr_column *)(uintptr_t)b->relation->columns;
    columns[1].precision = 5;
    columns[1].scale = 2;
    columns[2].scale = 6;
    columns[3].default_expression = "'x'::text";
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 4,
                                            (const char *[]){ "1", NULL, "2024-02-29 00:00:00", NULL });
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row)), 0);
    assert_string_equal(
        fake_registry_schema(b->registry, FIRST_ID),
        "{\"type\":\"record\",\"name\":\"Key\",\"namespace\":\"p.public.my_t\",\"fields\":[{\"name\":"
        "\"id\",\"type\":{\"type\":\"int\",\"connect.type\":\"int16\"}}],\"connect.name\":\"p.public.my_t.Key\"}");
    const char *value = fake_registry_schema(b->registry, FIRST_ID + 1);
    static const char start[] =
        "{\"type\":\"record\",\"name\":\"Envelope\",\"namespace\":\"p.public.my_t\",\"fields\":[{\"name\":\"before\",\"type\":[\"null\","
        "{\"type\":\"record\",\"name\":\"Value\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"int\",\"connect.type\":\"int16\"}},"
        "{\"name\":\"_1_n\",\"type\":[\"null\",{\"type\":\"bytes\",\"scale\":2,\"precision\":5,\"connect.version\":1,"
        "\"connect.parameters\":{\"scale\":\"2\",\"connect.decimal.precision\":\"5\"},\"connect.name\":"
        "\"org.apache.kafka.connect.data.Decimal\",\"logicalType\":\"decimal\"}],\"default\":null},"
        "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"connect.version\":1,\"connect.name\":\"io.debezium.time.MicroTimestamp\"}},"
        "{\"name\":\"d\",\"type\":[{\"type\":\"string\",\"connect.default\":\"x\"},\"null\"],\"default\":\"x\"}],"
        "\"connect.name\":\"p.public.my_t.Value\"}],\"default\":null},{\"name\":\"after\",\"type\":[\"null\",\"Value\"],\"default\":null},"
        "{\"name\":\"source\",\"type\":{\"type\":\"record\",\"name\":\"Source\",\"namespace\":\"io.debezium.connector.postgresql\","
        "\"fields\":[{\"name\":\"version\",\"type\":\"string\"}";
    if (strncmp(value, start, sizeof(start) - 1) != 0)
        fail_msg("%s", value);
    assert_non_null(strstr(
        value,
        "{\"name\":\"snapshot\",\"type\":[{\"type\":\"string\",\"connect.version\":1,\"connect.parameters\":"
        "{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection,last,false,"
        "incremental\"},\"connect.default\":\"false\",\"connect.name\":\"io.debezium.data.Enum\"},\"null\"],"
        "\"default\":\"false\"}"));
    assert_string_equal(fake_registry_path(b->registry), "/subjects/p.public.my-t-value/versions");
    assert_bytes(&b->value, "0001020305"
                            "0002"
                            "02"               /* id */
                            "00"               /* no decimal */
                            "8080a28cbe9e8906" /* at */
                            "02" /* d: null, the second branch */);
}

static void
names(void **state)
{
    static const struct {
        const char *name;
        bool field;
        enum name_adjustment adjustment;
        const char *expected;
    } cases[] = {
        { "plain_Name9", true, ADJUST_UNDERSCORE, "plain_Name9" },
        { "a-b c.d", true, ADJUST_UNDERSCORE, "a_b_c_d" },
        { "a-b.c.d", false, ADJUST_UNDERSCORE, "a_b.c.d" },
        { "1st", true, ADJUST_UNDERSCORE, "_1st" },
        { "a.1b", false, ADJUST_UNDERSCORE, "a._1b" },
        { "\xC3\xA4\xF0\x9F\x98\x80", true, ADJUST_UNDERSCORE, "___" },
        { "a_b", true, ADJUST_UNICODE, "a_u005fb" },
        { "\xC3\xA4\xF0\x9F\x98\x80", true, ADJUST_UNICODE, "_u00e4_ud83d_ude00" },
        { "", true, ADJUST_UNDERSCORE, "_" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tr_buffer out;
        tr_buffer_init(&out, 4096);
        adjust_name(cases[i].name, cases[i].field, cases[i].adjustment, &out);
        assert_string_equal(out.data, cases[i].expected);
        tr_buffer_fini(&out);
    }
}

static void
subjects(void **state)
{
    static const char *const cases[][2] = { { "record", "/subjects/p.public.t.Envelope/versions" },
                                            { "topic-record",
                                              "/subjects/p.public.t-p.public.t.Envelope/versions" } };
    struct bench *b = *state;
    for (size_t i = 0; i < 2; i++) {
        set(b, "subject_name", cases[i][0]);
        table_with_key(b);
        assert_int_equal(
            encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "7", NULL, "1"))), 0);
        assert_string_equal(fake_registry_path(b->registry), cases[i][1]);
        forget(b);
    }
}

static void
a_new_version_asks_again(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "7", NULL, "1"))),
                     0);
    struct tr_relation *wider = sample_relation(
        1, "public", "t", 4, (const char *[]){ "id:int32:k", "note:text", "count:int64:n", "more:text" });
    const struct tr_value *row = sample_row(b->batch, 4, (const char *[]){ "8", NULL, "1", NULL });
    assert_int_equal(encode(b, sample_event(b->batch, TR_INSERT, wider, NULL, row)), 0);
    assert_bytes(&b->value, "0001020306");
    assert_bytes(&b->key, "0001020304");
    assert_int_equal(fake_registry_count(b->registry), 3); /* the key's schema is known */
    /* A shape that is refused leaves nothing half done. */
    fake_registry_say(b->registry, "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"message\":\"no\"}");
    struct tr_relation *other = sample_relation(1, "public", "t", 2,
                                                (const char *[]){ "id:int32:k", "note:int32" });
    row = sample_row(b->batch, 2, (const char *[]){ "8", NULL });
    const struct tr_event *event = sample_event(b->batch, TR_INSERT, other, NULL, row);
    assert_int_equal(encode(b, event), -TR_REFUSED);
    assert_non_null(strstr(b->err.text, "table public.t: "));
    fake_registry_say(b->registry, NULL);
    assert_int_equal(encode(b, event), 0);
    assert_bytes(&b->value, "0001020307");
    tr_relation_unref(wider);
    tr_relation_unref(other);
}

static void
settings_that_do_not_fit(void **state)
{
    struct bench *b = *state;
    set(b, "schemas_enable", "true");
    assert_int_equal(tr_debezium_avro_encoder.open(&b->env, &b->encoder, &b->err), -TR_CONFIG);
    set(b, "schemas_enable", "false");
    set(b, "schema_registry", "");
    assert_int_equal(tr_debezium_avro_encoder.open(&b->env, &b->encoder, &b->err), -TR_CONFIG);
    assert_null(b->encoder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_insert_in_bytes),
        TEST(a_change_of_key_is_three_messages),
        TEST(rare_records_have_schemas_too),
        TEST(each_transaction_has_its_own_source),
        TEST(what_the_log_lacks),
        TEST(each_types_bytes),
        TEST(arrays_and_vectors),
        TEST(a_tables_schema),
        TEST(names),
        TEST(subjects),
        TEST(a_new_version_asks_again),
        TEST(settings_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
