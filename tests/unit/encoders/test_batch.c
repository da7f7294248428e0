/* test_batch.c - a transaction that comes in several batches, and one that is read again: events' places, and what their records say of it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "encoders/debezium/debezium.h"
#include "tests/unit/encoders/sample.h"

struct heard {
    struct tr_buffer text; /* each edge's place, in brackets, and what messages say in "transaction" */
};

static int
hear_message(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct heard *heard = arg;
    const char *begin = memmem(message->value, message->value_len, "\"transaction\":", 14),
               *end = memmem(message->value, message->value_len, ",\"op\"", 5);
    (void)err;
    if (begin != NULL && end != NULL)
        tr_buffer_add(&heard->text, begin + 14, (size_t)(end - begin - 14));
    return 0;
}

static void
hear_edge(void *arg, const struct tr_txn *txn, uint64_t place)
{
    struct heard *heard = arg;
    (void)txn;
    if (place != TR_PLACE_END)
        tr_buffer_printf(&heard->text, "[%llu]", (unsigned long long)place);
}

/* What is heard of a transaction in two batches, the first of which is gone when the second comes. */
static void
encode_slices(const char *metadata, bool shape_comes, const char *expected)
{
    struct tr_settings *settings = tr_settings_new();
    struct tr_encoder_env env = { .settings = settings, .connector = "mysql", .prefix = "p", .database = "" };
    struct tr_relation *relation = sample_relation(1, "shop", "t", 1, (const char *[]){ "id:int32:k" });
    struct tr_encoder *encoder;
    struct tr_error err;
    struct heard heard;
    const struct tr_emit emit = { .arg = &heard, .message = hear_message, .edge = hear_edge };
    tr_buffer_init(&heard.text, 1 << 20);
    assert_int_equal(tr_settings_add_table(settings, tr_debezium_json_encoder.options, &err), 0);
    assert_int_equal(
        tr_settings_set(settings, "target", "provide_transaction_metadata", metadata, false, "test", &err),
        0);
    assert_int_equal(tr_debezium_json_encoder.open(&env, &encoder, &err), 0);
    for (int slice = 0; slice < 2; slice++) {
        struct tr_batch *batch = tr_batch_new();
        struct tr_txn *txn = sample_txn(batch);
        txn->gtid = tr_arena_strdup(&batch->arena, "3E11FA47-71CA-11E1-9E33-C80AA9429562:23");
        txn->begins = slice == 0;
        txn->ends = slice == 1;
        txn->events_before = slice == 0 ? 0 : 2 + shape_comes;
        if (slice == 0 && shape_comes)
            sample_event(batch, TR_SCHEMA, relation, NULL, NULL);
        for (int row = 0; row < 2 - slice; row++)
            sample_event(batch, TR_INSERT, relation, NULL, sample_row(batch, 1, (const char *[]){ "1" }));
        txn->nevents = batch->nevents;
        assert_int_equal(tr_encode_batch(encoder, batch, &emit, &err), 0);
        tr_batch_free(batch);
    }
    tr_buffer_byte(&heard.text, '\0');
    assert_string_equal(heard.text.data, expected);
    encoder->class->close(encoder);
    tr_relation_unref(relation);
    tr_settings_free(settings);
    tr_buffer_fini(&heard.text);
}

/* Whoever begins anew does not know the shape of before, and is not told that it changed. */
static void
a_place_is_the_same_when_it_is_read_again(void **state)
{
    (void)state;
    encode_slices("false", false, "[0][1]null[2]null[3]null");
    encode_slices("false", true, "[0][1][1]null[2]null[3]null");
}

#define ID "{\"id\":\"3E11FA47-71CA-11E1-9E33-C80AA9429562:23\","

static void
a_later_slice_has_the_transactions_id(void **state)
{
    (void)state;
    encode_slices("true", false,
                  "[0][1]" ID "\"total_order\":1,\"data_collection_order\":1}"
                  "[2]" ID "\"total_order\":2,\"data_collection_order\":2}"
                  "[3]" ID "\"total_order\":3,\"data_collection_order\":3}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_the_same_when_it_is_read_again),
        cmocka_unit_test(a_later_slice_has_the_transactions_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
