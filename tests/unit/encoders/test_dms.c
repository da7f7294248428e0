/* test_dms.c - events in, DMS's messages out, where no server is needed to see what is wrong. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "encoders/dms/dms.h"
#include "tests/unit/encoders/sample.h"

static int
copy_key(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct tr_buffer *key = arg;
    (void)err;
    tr_buffer_reset(key);
    tr_buffer_add(key, message->key, message->key_len);
    return 0;
}

/* An empty key would send the row's end to another partition than its beginning. */
static void
a_key_that_the_log_does_not_hold_is_refused(void **state)
{
    struct tr_settings *settings = tr_settings_new();
    struct tr_encoder_env env = { .settings = settings, .connector = "postgresql", .prefix = "p" };
    struct tr_relation *relation = sample_relation(1, "public", "t", 2,
                                                   (const char *[]){ "id:int32:k", "code:text" });
    struct tr_batch *batch = tr_batch_new();
    struct tr_encoder *encoder;
    struct tr_buffer key;
    struct tr_error err;
    const struct tr_emit emit = { .arg = &key, .message = copy_key };
    (void)state;
    tr_buffer_init(&key, 1 << 16);
    assert_int_equal(tr_settings_add_table(settings, tr_dms_json_encoder.options, &err), 0);
    assert_int_equal(
        tr_settings_set(settings, "target", "message_key_columns", "t:code,id", false, "test", &err), 0);
    assert_int_equal(tr_dms_json_encoder.open(&env, &encoder, &err), 0);
    const struct tr_value *whole = sample_row(batch, 2, (const char *[]){ "1", "a" }),
                          *key_alone = sample_row(batch, 2, (const char *[]){ "1", SAMPLE_ABSENT });
    const struct tr_txn *txn = sample_txn(batch);
    const struct tr_event *insert = sample_event(batch, TR_INSERT, relation, NULL, whole);
    assert_int_equal(encoder->class->event(encoder, batch, txn, insert, &emit, &err), 0);
    assert_int_equal(key.len, 3);
    assert_memory_equal(key.data, "a.1", 3);
    const struct tr_event *delete = sample_event(batch, TR_DELETE, relation, key_alone, NULL);
    assert_int_equal(encoder->class->event(encoder, batch, txn, delete, &emit, &err), -TR_REFUSED);
    assert_non_null(strstr(err.text, "does not hold the key column code of a changed row"));
    encoder->class->close(encoder);
    tr_batch_free(batch);
    tr_relation_unref(relation);
    tr_settings_free(settings);
    tr_buffer_fini(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_key_that_the_log_does_not_hold_is_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
