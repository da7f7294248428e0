/* test_kafka_heartbeat.c - a heartbeat whose encoder waits for a schema registry, while nothing else is on its way. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sinks/kafka/internal.h"
#include "tests/contract/librdkafka.h"

/* What an encoder that waits makes the sink do meanwhile, and then its message. */
static int
beat_late(struct tr_encoder *encoder, const struct tr_emit *emit, struct tr_error *err)
{
    const struct tr_message message = { .topic = "beats", .value = "{}", .value_len = 2 };
    (void)encoder;
    flights_report(emit->arg);
    return emit->message(emit->arg, &message, err);
}

static void
one_that_waits_has_its_flight(void **state)
{
    (void)state;
    struct tr_error err;
    const struct tr_encoder_class class = { .heartbeat = beat_late };
    struct tr_encoder encoder = { .class = &class };
    struct places places = { 0 };
    struct kafka_sink sink = { .heartbeat_us = 1, .bytes_max = 1000, .encoder = &encoder };
    sink.rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), NULL, 0);
    assert_non_null(sink.rk);
    struct topic topic = { .name = "beats",
                           .handle = rd_kafka_topic_new(sink.rk, "beats", NULL),
                           .places = &places,
                           .checked = true,
                           .partitions = 1 };
    sink.topics = &topic;
    sink.ntopics = 1;
    sink.emit = (struct tr_emit){ .arg = &sink, .message = produce_message };
    assert_int_equal(produce_heartbeat(&sink, &err), 0);
    assert_non_null(sink.newest);
    assert_true(sink.newest->complete);
    assert_int_equal(sink.newest->outstanding, 1);
    rd_kafka_purge(sink.rk, RD_KAFKA_PURGE_F_QUEUE);
    rd_kafka_topic_destroy(topic.handle);
    rd_kafka_destroy(sink.rk);
    flights_free(&sink);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(one_that_waits_has_its_flight) };
    RUN_WITH_LIBRDKAFKA(tests);
}
