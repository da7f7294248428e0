/* test_kafka_pace.c - when a Kafka transaction that nothing is waiting to join is committed. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sinks/kafka/internal.h"

#define MS INT64_C(1000)

static void
a_lone_one_goes_at_once(void **state)
{
    (void)state;
    struct kafka_sink sink = { .interval_us = 500 * MS, .timeout_us = 60000 * MS, .txn_fed_us = 7000 * MS };
    txn_note_begin(&sink, 6999 * MS);
    sink.bytes_handed = 2000000;
    assert_true(txn_due_us(&sink) <= sink.txn_fed_us);
}

/* Each costs brokers and librdkafka milliseconds: moments in which nothing waits do not end it. */
static void
a_stream_ends_with_a_pause(void **state)
{
    (void)state;
    struct kafka_sink sink = { .interval_us = 500 * MS, .timeout_us = 60000 * MS };
    txn_note_begin(&sink, 5000 * MS);
    sink.bytes_handed = 150000;
    sink.txn_fed_us = 5001 * MS;
    assert_true(txn_due_us(&sink) <= sink.txn_fed_us);
    txn_note_begin(&sink, 5030 * MS);
    sink.bytes_handed = 300000;
    sink.txn_fed_us = 5031 * MS;
    assert_int_equal(txn_due_us(&sink), 5131 * MS);
}

static void
what_came_long_ago_is_no_stream(void **state)
{
    (void)state;
    struct kafka_sink sink = { .interval_us = 500 * MS, .timeout_us = 60000 * MS };
    txn_note_begin(&sink, 5000 * MS);
    sink.bytes_handed = 10000000;
    txn_note_begin(&sink, 7000 * MS);
    sink.bytes_handed += 1000;
    sink.txn_fed_us = 7001 * MS;
    assert_true(txn_due_us(&sink) <= sink.txn_fed_us);
}

/* A source that never pauses, and brokers that wait for less than the interval. */
static void
none_outlives_the_brokers_patience(void **state)
{
    (void)state;
    struct kafka_sink sink = { .interval_us = 30000 * MS, .timeout_us = 2000 * MS };
    txn_note_begin(&sink, 5000 * MS);
    sink.bytes_handed = 300000;
    txn_note_begin(&sink, 5100 * MS);
    sink.bytes_handed = 600000;
    sink.txn_fed_us = 5200 * MS;
    assert_int_equal(txn_due_us(&sink), 6100 * MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_one_goes_at_once),
        cmocka_unit_test(a_stream_ends_with_a_pause),
        cmocka_unit_test(what_came_long_ago_is_no_stream),
        cmocka_unit_test(none_outlives_the_brokers_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
