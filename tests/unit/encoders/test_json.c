/* test_json.c - events in, the bytes of Debezium's JSON out: envelopes, keys, and each type's values. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoders/debezium/debezium.h"
#include "tests/unit/encoders/sample.h"

struct bench {
    struct tr_encoder_env env;
    struct tr_settings *settings;
    bool plain;
    struct tr_encoder *encoder;
    struct tr_batch *batch;
    struct tr_relation *relation;
    struct tr_buffer out; /* "key -> value [header=key]\n" per message, the encoder's own clock cut off */
    struct tr_error err;
};

static int
gather(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct tr_buffer *out = arg;
    (void)err;
    tr_buffer_printf(out, "%s %.*s -> ", message->topic, message->key != NULL ? (int)message->key_len : 4,
                     message->key != NULL ? message->key : "null");
    const char *value = message->value != NULL ? message->value : "null",
               *end = value + (message->value != NULL ? message->value_len : 4);
    const char *op = memmem(value, (size_t)(end - value), ",\"op\":", 6);
    tr_buffer_add(out, value, (size_t)((op != NULL ? op + 9 : end) - value));
    if (message->header_name != NULL)
        tr_buffer_printf(out, " [%s=%.*s]", message->header_name, (int)message->header_len,
                         message->header_value);
    tr_buffer_byte(out, '\n');
    return 0;
}

static int
setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    b->settings = tr_settings_new();
    b->env = (struct tr_encoder_env){
        .settings = b->settings, .connector = "postgresql", .prefix = "p", .database = "shop"
    };
    b->batch = tr_batch_new();
    tr_buffer_init(&b->out, 1 << 20);
    *state = b;
    return tr_settings_add_table(b->settings, tr_debezium_json_encoder.options, &b->err);
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    if (b->encoder != NULL)
        tr_debezium_json_encoder.close(b->encoder);
    tr_batch_free(b->batch);
    tr_relation_unref(b->relation);
    tr_settings_free(b->settings);
    tr_buffer_fini(&b->out);
    free(b);
    return 0;
}

static void
set(struct bench *b, const char *name, const char *value)
{
    assert_int_equal(tr_settings_set(b->settings, "target", name, value, false, "test", &b->err), 0);
}

static int
encode_event(struct bench *b, const struct tr_event *event)
{
    const struct tr_emit emit = { .arg = &b->out, .message = gather };
    if (b->encoder == NULL)
        assert_int_equal((b->plain ? &tr_plain_json_encoder : &tr_debezium_json_encoder)
                             ->open(&b->env, &b->encoder, &b->err),
                         0);
    tr_buffer_reset(&b->out);
    const struct tr_txn *txn = b->batch->ntxns > 0 ? &b->batch->txns[b->batch->ntxns - 1] : NULL;
    return tr_debezium_json_encoder.event(b->encoder, b->batch, txn, event, &emit, &b->err);
}

static void
assert_encoded(struct bench *b, const struct tr_event *event, const char *expected)
{
    int rc = encode_event(b, event);
    if (rc < 0)
        print_error("%s\n", b->err.text);
    assert_int_equal(rc, 0);
    assert_string_equal(b->out.len > 0 ? b->out.data : "", expected);
}

#define SOURCE                                                                                                                   \
    "\"source\":{\"version\":\"" TR_VERSION                                                                                      \
    "\",\"connector\":\"postgresql\",\"name\":\"p\",\"ts_ms\":1709210096789,"                                                    \
    "\"snapshot\":\"false\",\"db\":\"shop\",\"sequence\":\"[null,\\\"1999\\\"]\",\"ts_us\":1709210096789012,"                    \
    "\"ts_ns\":1709210096789012000,\"schema\":\"public\",\"table\":\"t\",\"txId\":7,\"lsn\":1999,\"xmin\":null,\"origin\":null," \
    "\"origin_lsn\":null},\"transaction\":null"

#define ROW(b, ...) sample_row((b)->batch, 3, (const char *[]){ __VA_ARGS__ })

static void
table_with_key(struct bench *b)
{
    b->relation = sample_relation(1, "public", "t", 3,
                                  (const char *[]){ "id:int32:k", "note:text", "count:int64:n" });
    sample_txn(b->batch);
}

static void
an_insert_is_c(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_encoded(
        b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", "a\"b", "5")),
        "p.public.t {\"id\":1} -> {\"before\":null,\"after\":{\"id\":1,\"note\":\"a\\\"b\",\"count\":5}," SOURCE
        ",\"op\":\"c\"\n");
}

static void
an_update_without_old_row_is_u(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_encoded(
        b, sample_event(b->batch, TR_UPDATE, b->relation, NULL, ROW(b, "1", NULL, "5")),
        "p.public.t {\"id\":1} -> {\"before\":null,\"after\":{\"id\":1,\"note\":null,\"count\":5}," SOURCE
        ",\"op\":\"u\"\n");
}

static void
a_full_old_row_is_before_and_fills_unchanged_values(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    struct tr_event *event = sample_event(b->batch, TR_UPDATE, b->relation, ROW(b, "1", "large", "4"),
                                          ROW(b, "1", SAMPLE_ABSENT, "5"));
    event->before_kind = TR_BEFORE_FULL;
    assert_encoded(
        b, event,
        "p.public.t {\"id\":1} -> {\"before\":{\"id\":1,\"note\":\"large\",\"count\":4},\"after\":{\"id\":1,\"note\":\"large\","
        "\"count\":5}," SOURCE ",\"op\":\"u\"\n");
}

static void
an_unchanged_large_value_is_the_placeholder(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_encoded(
        b, sample_event(b->batch, TR_UPDATE, b->relation, NULL, ROW(b, "1", SAMPLE_ABSENT, "5")),
        "p.public.t {\"id\":1} -> {\"before\":null,\"after\":{\"id\":1,\"note\":\"__debezium_unavailable_value\",\"count\":5}," SOURCE
        ",\"op\":\"u\"\n");
}

/* As text it is what Java makes of its bytes. */
static void
a_placeholder_of_bytes_stays_json(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    set(b, "unavailable_value_placeholder", "hex:00ff41");
    assert_encoded(
        b, sample_event(b->batch, TR_UPDATE, b->relation, NULL, ROW(b, "1", SAMPLE_ABSENT, "5")),
        "p.public.t {\"id\":1} -> {\"before\":null,\"after\":{\"id\":1,\"note\":\"\\u0000\xef\xbf\xbd"
        "A\",\"count\":5}," SOURCE ",\"op\":\"u\"\n");
}

static void
a_delete_has_its_key_fallbacks_and_a_tombstone(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    assert_encoded(
        b, sample_event(b->batch, TR_DELETE, b->relation, ROW(b, "1", SAMPLE_ABSENT, SAMPLE_ABSENT), NULL),
        "p.public.t {\"id\":1} -> {\"before\":{\"id\":1,\"note\":null,\"count\":0},\"after\":null," SOURCE
        ",\"op\":\"d\"\n"
        "p.public.t {\"id\":1} -> null\n");
}

static void
tombstones_can_be_left_out(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    set(b, "tombstones_on_delete", "false");
    assert_encoded(
        b, sample_event(b->batch, TR_DELETE, b->relation, ROW(b, "1", "x", "2"), NULL),
        "p.public.t {\"id\":1} -> {\"before\":{\"id\":1,\"note\":\"x\",\"count\":2},\"after\":null," SOURCE
        ",\"op\":\"d\"\n");
}

static void
a_key_change_is_three_records(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    const struct tr_value *before = ROW(b, "1", SAMPLE_ABSENT, SAMPLE_ABSENT);
    assert_encoded(
        b, sample_event(b->batch, TR_UPDATE, b->relation, before, ROW(b, "2", "n", "5")),
        "p.public.t {\"id\":1} -> {\"before\":{\"id\":1,\"note\":null,\"count\":0},\"after\":null," SOURCE
        ",\"op\":\"d\" [__debezium.newkey={\"id\":2}]\n"
        "p.public.t {\"id\":1} -> null [__debezium.newkey={\"id\":2}]\n"
        "p.public.t {\"id\":2} -> {\"before\":null,\"after\":{\"id\":2,\"note\":\"n\",\"count\":5}," SOURCE
        ",\"op\":\"c\" [__debezium.oldkey={\"id\":1}]\n");
}

static void
a_table_without_key_has_a_null_key(void **state)
{
    struct bench *b = *state;
    b->relation = sample_relation(1, "public", "t", 1, (const char *[]){ "x:int32" });
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 1, (const char *[]){ "1" });
    assert_encoded(b, sample_event(b->batch, TR_DELETE, b->relation, row, NULL),
                   "p.public.t null -> {\"before\":{\"x\":1},\"after\":null," SOURCE
                   ",\"op\":\"d\"\np.public.t null -> null\n");
}

static void
truncate_is_skipped_unless_asked_for(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    struct tr_event *event = sample_event(b->batch, TR_TRUNCATE, NULL, NULL, NULL);
    event->truncate.relations = &b->relation;
    event->truncate.nrelations = 1;
    assert_encoded(b, event, "");
    tr_debezium_json_encoder.close(b->encoder);
    b->encoder = NULL;
    set(b, "skipped_operations", "none");
    assert_encoded(b, event, "p.public.t null -> {\"before\":null,\"after\":null," SOURCE ",\"op\":\"t\"\n");
}

static void
a_message_is_m(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    struct tr_event *event = sample_event(b->batch, TR_MESSAGE, NULL, NULL, NULL);
    event->flags = TR_MESSAGE_TRANSACTIONAL;
    event->message.prefix = "foo";
    event->message.content = "bar";
    event->message.len = 3;
    assert_int_equal(encode_event(b, event), 0);
    assert_non_null(strstr(b->out.data, "p.message {\"prefix\":\"foo\"} -> {\"op\":\"m\""));
}

/* To MySQL's connector it is an update, which is there whole or not at all; PostgreSQL's leaves out the records. */
static void
a_key_change_with_skipped_deletes(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    set(b, "skipped_operations", "d");
    struct tr_event *event = sample_event(b->batch, TR_UPDATE, b->relation, ROW(b, "1", "a", "5"),
                                          ROW(b, "2", "a", "5"));
    assert_int_equal(encode_event(b, event), 0);
    assert_null(strstr(b->out.data, "\"op\":\"d\""));
    assert_non_null(strstr(b->out.data, "\"op\":\"c\""));
    tr_debezium_json_encoder.close(b->encoder);
    b->encoder = NULL;
    b->env.connector = "mysql";
    assert_int_equal(encode_event(b, event), 0);
    assert_non_null(strstr(b->out.data, "\"op\":\"d\""));
    assert_non_null(strstr(b->out.data, "\"op\":\"c\""));
}

static void
transaction_metadata_has_one_id_and_counts(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    set(b, "provide_transaction_metadata", "true");
    struct tr_event *event = sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", "a", "5"));
    const struct tr_emit emit = { .arg = &b->out, .message = gather };
    assert_int_equal(tr_debezium_json_encoder.open(&b->env, &b->encoder, &b->err), 0);
    assert_int_equal(tr_debezium_json_encoder.begin(b->encoder, b->batch, b->batch->txns, &emit, &b->err), 0);
    assert_string_equal(
        b->out.data,
        "p.transaction {\"id\":\"7:2000\"} -> {\"status\":\"BEGIN\",\"id\":\"7:2000\",\"event_count\":null,"
        "\"data_collections\":null,\"ts_ms\":1709210096789}\n");
    assert_int_equal(encode_event(b, event), 0);
    assert_non_null(strstr(
        b->out.data,
        "\"transaction\":{\"id\":\"7:2000\",\"total_order\":1,\"data_collection_order\":1},\"op\":\"c\""));
    assert_int_equal(encode_event(b, event), 0);
    assert_non_null(strstr(b->out.data, "\"total_order\":2,\"data_collection_order\":2}"));
    tr_buffer_reset(&b->out);
    assert_int_equal(tr_debezium_json_encoder.commit(b->encoder, b->batch, b->batch->txns, &emit, &b->err),
                     0);
    assert_string_equal(
        b->out.data,
        "p.transaction {\"id\":\"7:2000\"} -> {\"status\":\"END\",\"id\":\"7:2000\",\"event_count\":2,"
        "\"data_collections\":[{\"data_collection\":\"public.t\",\"event_count\":2}],\"ts_ms\":1709210096789}\n");
}

static void
a_transaction_of_a_binlog_without_gtid_has_the_place_of_its_begin(void **state)
{
    struct bench *b = *state;
    b->env.connector = "mysql";
    table_with_key(b);
    set(b, "provide_transaction_metadata", "true");
    b->batch->txns->file = "bin.000001";
    b->batch->txns->commit_order = UINT64_C(1) << 40 | 157;
    b->batch->txns->begin_order = UINT64_C(1) << 40 | 236;
    const struct tr_emit emit = { .arg = &b->out, .message = gather };
    assert_int_equal(tr_debezium_json_encoder.open(&b->env, &b->encoder, &b->err), 0);
    assert_int_equal(tr_debezium_json_encoder.begin(b->encoder, b->batch, b->batch->txns, &emit, &b->err), 0);
    assert_non_null(strstr(b->out.data, "p.transaction {\"id\":\"file=bin.000001,pos=236\"} -> "));
}

static void
a_transaction_of_nothing_but_skipped_operations_is_none(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    set(b, "provide_transaction_metadata", "true");
    set(b, "skipped_operations", "u,d");
    const struct tr_emit emit = { .arg = &b->out, .message = gather };
    sample_event(b->batch, TR_UPDATE, b->relation, NULL, ROW(b, "1", "a", "5"));
    sample_event(b->batch, TR_DELETE, b->relation, ROW(b, "1", "a", "5"), NULL);
    assert_int_equal(b->batch->txns->nevents, 2);
    assert_int_equal(tr_debezium_json_encoder.open(&b->env, &b->encoder, &b->err), 0);
    assert_int_equal(tr_debezium_json_encoder.begin(b->encoder, b->batch, b->batch->txns, &emit, &b->err), 0);
    assert_int_equal(tr_debezium_json_encoder.commit(b->encoder, b->batch, b->batch->txns, &emit, &b->err),
                     0);
    assert_int_equal(b->out.len, 0);
    sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", "a", "5"));
    assert_int_equal(tr_debezium_json_encoder.begin(b->encoder, b->batch, b->batch->txns, &emit, &b->err), 0);
    assert_non_null(strstr(b->out.data, "\"status\":\"BEGIN\""));
}

/* The load and the log write the same row the same way. */
static void
a_snapshot_row_is_r_with_the_same_values(void **state)
{
    struct bench *b = *state;
    table_with_key(b);
    struct tr_event *event = sample_event(b->batch, TR_READ, b->relation, NULL, ROW(b, "1", "a", "5"));
    event->snapshot = TR_SNAPSHOT_FIRST;
    assert_int_equal(encode_event(b, event), 0);
    assert_non_null(strstr(b->out.data, "{\"before\":null,\"after\":{\"id\":1,\"note\":\"a\",\"count\":5},"));
    assert_non_null(strstr(b->out.data, "\"snapshot\":\"first\""));
    assert_non_null(strstr(b->out.data, ",\"op\":\"r\""));
}

static void
topics_hold_only_what_kafka_allows(void **state)
{
    struct bench *b = *state;
    b->relation = sample_relation(1, "my schema", "tä", 1, (const char *[]){ "x:int32" });
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 1, (const char *[]){ "1" });
    assert_int_equal(encode_event(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row)), 0);
    assert_memory_equal(b->out.data, "p.my_schema.t_ null", 19); /* one for each character */
    tr_buffer_reset(&b->out);
    tr_relation_unref(b->relation);
    b->relation = sample_relation(1, "9", "𝄞aé€𝄞Z", 1, (const char *[]){ "x:int32" });
    assert_int_equal(encode_event(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row)), 0);
    assert_memory_equal(b->out.data, "p.9.__a____Z null",
                        17); /* of Java: what is off the first plane is two */
}

/* ------------------------------------------------------------------------------------- values */

struct value_case {
    const char *type;
    int precision, scale, length;
    const char *element; /* of arrays */
    const char *option, *setting;
    const char *text;
    const char *json; /* NULL = refused */
};

#define V(type, text, json)                            \
    {                                                  \
        type, -1, -1, -1, NULL, NULL, NULL, text, json \
    }
#define M(type, p, s, l, text, json)                \
    {                                               \
        type, p, s, l, NULL, NULL, NULL, text, json \
    }
#define A(element, text, json)                               \
    {                                                        \
        "array", -1, -1, -1, element, NULL, NULL, text, json \
    }
#define O(type, p, s, option, set, text, json)        \
    {                                                 \
        type, p, s, -1, NULL, option, set, text, json \
    }

#define TEN "1111111111"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct value_case values[] = {
    V("bool", "t", "true"),
    V("bool", "f", "false"),
    V("bool", "yes", NULL),
    V("int16", "-32768", "-32768"),
    V("int64", "9223372036854775807", "9223372036854775807"),
    V("int32", "1}", NULL),
    V("int32", "", NULL),
    V("uint64", "18446744073709551615", "-1"),
    O("uint64", -1, -1, "bigint_unsigned_handling_mode", "precise", "18446744073709551615",
      "\"AP//////////\""),
    V("oid", "4294967295", "4294967295"),
    V("float64", "1.5", "1.5"),
    V("float64", "3", "3.0"),
    V("float64", "1e+100", "1e+100"),
    V("float64", "-0", "-0.0"),
    V("float32", "NaN", "\"NaN\""),
    V("float64", "-Infinity", "\"-Infinity\""),
    V("float64", "oops", NULL),
    M("decimal", 10, 2, -1, "123.45", "\"MDk=\""),
    M("decimal", 10, 2, -1, "-123.45", "\"z8c=\""),
    M("decimal", 10, 2, -1, "0.00", "\"AA==\""),
    M("decimal", 10, 2, -1, "1.28", "\"AIA=\""),
    M("decimal", 10, 2, -1, "-1.28", "\"gA==\""),
    M("decimal", 10, 2, -1, "NaN", "null"),
    M("decimal", 10, 2, -1, "1.234", NULL),
    M("decimal", 50, 0, -1, "10000000000000000000000000000000000000000000000000",
      "\"BtefgjKOo9ph4GbrsviKAAAAAAAA\""),
    V("decimal", "1.50", "{\"scale\":1,\"value\":\"Dw==\"}"),
    V("decimal", "100", "{\"scale\":0,\"value\":\"ZA==\"}"),
    O("decimal", 10, 2, "decimal_handling_mode", "string", "123.40", "\"123.40\""),
    O("decimal", 10, 2, "decimal_handling_mode", "string", "-Infinity", "\"NEGATIVE_INFINITY\""),
    O("decimal", 10, 2, "decimal_handling_mode", "double", "123.40", "123.40"),
    O("decimal", -1, -1, "decimal_handling_mode", "double", "0." HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED,
      "0.1111111111111111"),
    O("decimal", -1, -1, "decimal_handling_mode", "double", "-" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED,
      "\"-Infinity\""),
    V("money", "-$1,234.56", "\"/h3A\""),
    V("money", "$0.01", "\"AQ==\""),
    V("money", "¥1,234", "\"AeII\""),
    V("money", "1.234,56 EUR", "\"AeJA\""),
    V("money", "-$92,233,720,368,547,758.08", "\"gAAAAAAAAAA=\""),
    O("money", -1, -1, "money_fraction_digits", "0", "$1.50", "\"Ag==\""),
    O("money", -1, -1, "money_fraction_digits", "0", "-$1,234.49", "\"+y4=\""),
    O("money", -1, -1, "money_fraction_digits", "3", "$1.50", "\"Bdw=\""),
    O("money", -1, -1, "decimal_handling_mode", "double", "$0.05", "0.05"),
    O("money", -1, -1, "decimal_handling_mode", "double", "¥1,234", "1234.0"),
    O("money", -1, -1, "decimal_handling_mode", "string", "($1,234.00)", "\"-1234.00\""),
    V("money", "$", NULL),
    V("text", "a\tb\n\\\"\x01 \xC3\xA4 \xF0\x9F\x98\x80",
      "\"a\\tb\\n\\\\\\\"\\u0001 \xC3\xA4 \xF0\x9F\x98\x80\""),
    V("text", "0123456789abcdef\"0123456789abcdef", "\"0123456789abcdef\\\"0123456789abcdef\""),
    V("text", "bad \xFF end", "\"bad \xEF\xBF\xBD end\""),
    V("bytes", "\\x0001ff", "\"AAH/\""),
    V("bytes", "\\x", "\"\""),
    V("bytes", "\\x0", NULL),
    V("bytes", "raw", NULL),
    O("bytes", -1, -1, "binary_handling_mode", "hex", "\\x00FF", "\"00ff\""),
    O("bytes", -1, -1, "binary_handling_mode", "base64-url-safe", "\\xfbff", "\"-_8=\""),
    M("bit", -1, -1, 1, "1", "true"),
    M("bit", -1, -1, 9, "100000001", "\"AQE=\""),
    M("bit", -1, -1, 16, "0000000000000001", "\"AQ==\""),
    M("bit", -1, -1, 8, "00000000", "\"\""),
    V("date", "1970-01-01", "0"),
    V("date", "2024-02-29", "19782"),
    V("date", "0044-03-15 BC", "-735160"),
    V("date", "5874897-12-31", "2145042905"),
    V("date", "infinity", "-2147472692"),
    V("date", "-infinity", "-2147472691"),
    V("date", "2024-13-01", NULL),
    O("date", -1, -1, "time_precision_mode", "isostring", "2024-02-29", "\"2024-02-29Z\""),
    M("time", -1, 3, -1, "12:34:56.789", "45296789"),
    M("time", -1, 6, -1, "12:34:56.789012", "45296789012"),
    M("time", -1, 6, -1, "24:00:00", "86400000000"),
    M("timestamp", -1, 3, -1, "2024-02-29 12:34:56.789", "1709210096789"),
    M("timestamp", -1, 6, -1, "2024-02-29 12:34:56.789012", "1709210096789012"),
    M("timestamp", -1, 6, -1, "1969-12-31 23:59:59.5", "-500000"),
    M("timestamp", -1, 6, -1, "infinity", "9223372036825200000"),
    M("timestamp", -1, 6, -1, "-infinity", "-9223372036832400000"),
    M("timestamp", -1, 3, -1, "infinity", "9223372036825200"),
    M("timestamp", -1, 0, -1, "-infinity", "-9223372036832400"),
    O("timestamp", -1, 6, "time_precision_mode", "connect", "2024-02-29 12:34:56.789012", "1709210096789"),
    O("timestamp", -1, 6, "time_precision_mode", "nanoseconds", "2024-02-29 12:34:56.789012",
      "1709210096789012000"),
    M("timestamptz", -1, 6, -1, "2024-02-29 12:34:56.12+00", "\"2024-02-29T12:34:56.120000Z\""),
    M("timestamptz", -1, 3, -1, "2024-02-29 12:34:56+00", "\"2024-02-29T12:34:56.000Z\""),
    M("timestamptz", -1, 0, -1, "2024-02-29 12:34:56+00", "\"2024-02-29T12:34:56Z\""),
    M("timestamptz", -1, 6, -1, "infinity", "\"infinity\""),
    M("timestamptz", -1, 6, -1, "12024-02-29 12:34:56+00", "\"+12024-02-29T12:34:56.000000Z\""),
    M("timestamptz", -1, 6, -1, "0044-03-15 12:00:00+00 BC", "\"-0043-03-15T12:00:00.000000Z\""),
    V("timetz", "01:00:00.5+02", "\"23:00:00.5Z\""),
    V("timetz", "24:00:00+00", "\"00:00:00Z\""),
    V("timetz", "12:00:00+05:53:28", "\"06:06:32Z\""),
    V("interval", "1 year 2 mons 3 days 04:05:06.78", "37091106780000"),
    V("interval", "-1 days +02:03:04", "-79016000000"),
    V("interval", "00:00:00", "0"),
    O("interval", -1, -1, "interval_handling_mode", "string", "1 year 2 mons 3 days 04:05:06.78",
      "\"P1Y2M3DT4H5M6.78S\""),
    V("uuid", "b68a35a7-17ad-35b3-af2a-ae46edb4545a", "\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\""),
    V("jsonb", "{\"a\": 1}", "\"{\\\"a\\\": 1}\""),
    V("hstore", "\"a\"=>\"1\", \"b\"=>NULL, \"c\\\"\"=>\"\"",
      "\"{\\\"a\\\":\\\"1\\\",\\\"b\\\":null,\\\"c\\\\\\\"\\\":\\\"\\\"}\""),
    O("hstore", -1, -1, "hstore_handling_mode", "map", "\"a\"=>\"1\"", "{\"a\":\"1\"}"),
    V("hstore", "\"a\"=>", NULL),
    V("point", "(1,2.5)", "{\"x\":1.0,\"y\":2.5,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAARA\",\"srid\":null}"),
    V("geometry", "0101000020E6100000000000000000F03F0000000000000440",
      "{\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAARA\",\"srid\":4326}"),
    V("geometry", "01", NULL),
    V("vector", "[1,2.5,-3]", "[1.0,2.5,-3.0]"),
    V("vector", "[]", "[]"),
    A("int32", "{1,2,NULL}", "[1,2,null]"),
    A("text", "{a,\"NULL\",\"q\\\"x,\",\"\"}", "[\"a\",\"NULL\",\"q\\\"x,\",\"\"]"),
    A("int32", "{}", "[]"),
    A("int32", "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
    A("int32", "[0:1]={1,2}", "[1,2]"),
    A("bool", "{t,f}", "[true,false]"),
    A("date", "{2024-02-29}", "[19782]"),
    A("int32", "{1,2", NULL),
    A("int32", "{1,,2}", NULL),
    V("other", "(1,1),(0,0)", "\"(1,1),(0,0)\""),
    O("other", -1, -1, "include_unknown_datatypes", "true", "ab", "\"YWI=\""),
};

static void
check_value(const struct value_case *c)
{
    void *state;
    assert_int_equal(setup(&state), 0);
    struct bench *b = state;
    char spec[64], expected[512];
    snprintf(spec, sizeof(spec), "v:%s", c->type);
    b->relation = sample_relation(1, "public", "t", 1, (const char *[]){ spec });
    struct tr_column *column = (struct tr_column *)&b->relation->columns[0];
    column->precision = c->precision;
    column->scale = c->scale;
    column->length = c->length;
    for (int i = 0; c->element != NULL && i < TR_LOGICAL_COUNT; i++)
        if (strcmp(tr_logical_name(i), c->element) == 0)
            column->element = i;
    if (c->option != NULL)
        set(b, c->option, c->setting);
    sample_txn(b->batch);
    const struct tr_value *row = sample_row(b->batch, 1, (const char *[]){ c->text });
    int rc = encode_event(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row));
    snprintf(expected, sizeof(expected), "\"after\":{\"v\":%s},\"source\"", c->json != NULL ? c->json : "");
    if (c->json == NULL ? rc != -TR_REFUSED : rc != 0 || strstr(b->out.data, expected) == NULL)
        fail_msg("%s '%s': expected %s, got %d %s %s", c->type, c->text, c->json, rc, b->out.data,
                 b->err.text);
    if (c->json == NULL)
        assert_non_null(strstr(b->err.text, "table public.t column v"));
    teardown(&state);
}

static void
each_type_is_written_as_the_contract_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        check_value(&values[i]);
}

/* Every logical type can be written or is left out on purpose; none is forgotten. */
static void
no_logical_type_is_forgotten(void **state)
{
    (void)state;
    for (int i = 0; i < TR_LOGICAL_COUNT; i++) {
        void *inner;
        assert_int_equal(setup(&inner), 0);
        struct bench *b = inner;
        char spec[64];
        snprintf(spec, sizeof(spec), "v:%s", tr_logical_name(i));
        b->relation = sample_relation(1, "public", "t", 1, (const char *[]){ spec });
        ((struct tr_column *)b->relation->columns)[0].element = TR_TEXT;
        sample_txn(b->batch);
        const struct tr_value *row = sample_row(b->batch, 1, (const char *[]){ NULL });
        assert_int_equal(encode_event(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, row)), 0);
        assert_non_null(strstr(b->out.data, "\"after\":{\"v\":null}"));
        teardown(&inner);
    }
}

static void
plain_rows_have_no_envelope(void **state)
{
    struct bench *b = *state;
    b->plain = true;
    table_with_key(b);
#define FACTS ",\"__table\":\"public.t\",\"__ts_ms\":1709210096789,\"__position\":1999}"
    assert_encoded(b, sample_event(b->batch, TR_INSERT, b->relation, NULL, ROW(b, "1", "a", "5")),
                   "p.public.t {\"id\":1} -> {\"id\":1,\"note\":\"a\",\"count\":5,\"__op\":\"c\"" FACTS "\n");
    assert_encoded(
        b, sample_event(b->batch, TR_DELETE, b->relation, ROW(b, "1", SAMPLE_ABSENT, SAMPLE_ABSENT), NULL),
        "p.public.t {\"id\":1} -> null\n");
    struct tr_event *moved = sample_event(b->batch, TR_UPDATE, b->relation,
                                          ROW(b, "1", SAMPLE_ABSENT, SAMPLE_ABSENT), ROW(b, "2", "a", "5"));
    assert_int_equal(encode_event(b, moved), 0);
    assert_non_null(strstr(b->out.data, "-> null [__debezium.newkey="));
    assert_non_null(strstr(b->out.data, "p.public.t {\"id\":2}"));
    assert_non_null(strstr(b->out.data, "{\"id\":2,\"note\":\"a\",\"count\":5,\"__op\":\"c\"" FACTS));
}

static void
plain_rows_take_no_schemas(void **state)
{
    struct bench *b = *state;
    set(b, "schemas_enable", "true");
    assert_int_equal(tr_plain_json_encoder.open(&b->env, &b->encoder, &b->err), -TR_CONFIG);
}

static void
wrong_settings_are_refused(void **state)
{
    struct bench *b = *state;
    set(b, "skipped_operations", "x");
    assert_int_equal(tr_debezium_json_encoder.open(&b->env, &b->encoder, &b->err), -TR_CONFIG);
    assert_null(b->encoder);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_insert_is_c),
        CASE(an_update_without_old_row_is_u),
        CASE(a_full_old_row_is_before_and_fills_unchanged_values),
        CASE(an_unchanged_large_value_is_the_placeholder),
        CASE(a_placeholder_of_bytes_stays_json),
        CASE(a_delete_has_its_key_fallbacks_and_a_tombstone),
        CASE(tombstones_can_be_left_out),
        CASE(a_key_change_is_three_records),
        CASE(a_table_without_key_has_a_null_key),
        CASE(truncate_is_skipped_unless_asked_for),
        CASE(a_message_is_m),
        CASE(a_key_change_with_skipped_deletes),
        CASE(transaction_metadata_has_one_id_and_counts),
        CASE(a_transaction_of_a_binlog_without_gtid_has_the_place_of_its_begin),
        CASE(a_transaction_of_nothing_but_skipped_operations_is_none),
        CASE(a_snapshot_row_is_r_with_the_same_values),
        CASE(topics_hold_only_what_kafka_allows),
        CASE(plain_rows_have_no_envelope),
        CASE(plain_rows_take_no_schemas),
        CASE(wrong_settings_are_refused),
        cmocka_unit_test(each_type_is_written_as_the_contract_says),
        cmocka_unit_test(no_logical_type_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
