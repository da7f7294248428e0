/*
 * test_kafka_sink.c - the Kafka sink against librdkafka's mock brokers, which can be told to fail: what is durable, what is tried again, what stops.
 * The same on real brokers, and exactly_once, is in tests/integration/test_5*.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "encoders/debezium/debezium.h"
#include "schema/schema.h"
#include "sinks/kafka/internal.h"
#include "tests/contract/librdkafka.h"
#include "tests/unit/encoders/sample.h"

#define TOPIC "shop.public.t"
#define API_PRODUCE 0

static const struct tr_option target_option[] = {
    { .name = "target", .section = "target", .type = TR_OPTION_STRING },
    { .name = NULL },
};

struct fixture {
    rd_kafka_t *host; /* of the mock brokers */
    rd_kafka_mock_cluster_t *mock;
    struct tr_settings *settings;
    struct tr_sink_env env;
    struct tr_sink *sink;
    struct tr_relation *relation;
    struct tr_error err;
    uint64_t sequence, durable;
    _Atomic int64_t held; /* bytes of batches that the sink has not given back */
    int next;
    _Atomic bool waiting;
};

static void
on_durable(void *arg, uint64_t sequence, const char *sink_state)
{
    struct fixture *fx = arg;
    assert_null(sink_state);
    assert_true(sequence > fx->durable && sequence <= fx->sequence);
    fx->durable = sequence;
}

static int
set(struct fixture *fx, const char *name, const char *value)
{
    return tr_settings_set(fx->settings, "target", name, value, false, "test", &fx->err);
}

static int
setup(void **state)
{
    struct fixture *fx = tr_calloc(1, sizeof(*fx));
    char why[256];
    fx->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    assert_non_null(fx->host);
    fx->mock = rd_kafka_mock_cluster_new(fx->host, 1);
    assert_int_equal(rd_kafka_mock_topic_create(fx->mock, TOPIC, 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    fx->settings = tr_settings_new();
    assert_int_equal(tr_settings_add_table(fx->settings, target_option, &fx->err), 0);
    assert_int_equal(tr_settings_add_table(fx->settings, tr_kafka_sink.options, &fx->err), 0);
    assert_int_equal(tr_settings_add_table(fx->settings, tr_debezium_json_encoder.options, &fx->err), 0);
    char *url = tr_asprintf("kafka://%s", rd_kafka_mock_cluster_bootstraps(fx->mock));
    assert_int_equal(set(fx, "target", url), 0);
    free(url);
    fx->env = (struct tr_sink_env){ .task = "shop",
                                    .settings = fx->settings,
                                    .source_name = "postgresql",
                                    .source_dialect = "postgresql",
                                    .source_database = "shop",
                                    .encoder = &tr_debezium_json_encoder,
                                    .memory = 64 << 10,
                                    .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                    .arg = fx,
                                    .durable = on_durable };
    fx->relation = sample_relation(1, "public", "t", 2, (const char *[]){ "id:int32:k", "note:text" });
    *state = fx;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;
    tr_kafka_sink.close(fx->sink);
    assert_int_equal(fx->held, 0);
    close(fx->env.wake_fd);
    tr_relation_unref(fx->relation);
    tr_settings_free(fx->settings);
    rd_kafka_mock_cluster_destroy(fx->mock);
    rd_kafka_destroy(fx->host);
    free(fx);
    return 0;
}

static void
open_sink(struct fixture *fx)
{
    if (tr_kafka_sink.open(&fx->env, &fx->sink, &fx->err) < 0)
        fail_msg("%s", fx->err.text);
}

static int
write_rows(struct fixture *fx, int rows)
{
    struct tr_batch *batch = tr_batch_new();
    sample_txn(batch)->ends = true;
    for (int i = 0; i < rows; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", ++fx->next);
        sample_event(batch, TR_INSERT, fx->relation, NULL,
                     sample_row(batch, 2, (const char *[]){ id, "a row like any other" }));
    }
    batch->sequence = ++fx->sequence;
    batch->checkpoint = "0/800";
    batch->account = &fx->held;
    batch->charged = (int64_t)tr_batch_bytes(batch);
    fx->held += batch->charged;
    return tr_kafka_sink.write(fx->sink, batch, &fx->err);
}

static int
flush_for(struct fixture *fx, int64_t us)
{
    return tr_kafka_sink.flush(fx->sink, tr_clock_us() + us, &fx->err);
}

/* Until it fails or everything is durable, but not for ever. */
static int
poll_on(struct fixture *fx)
{
    int64_t deadline = tr_clock_us() + 20 * TR_US_PER_S;
    int rc = 0;
    while (rc == 0 && fx->durable < fx->sequence && tr_clock_us() < deadline)
        rc = tr_kafka_sink.poll(fx->sink, 100000, &fx->err);
    return rc;
}

static void
what_was_flushed_is_durable(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    for (int i = 0; i < 30; i++)
        assert_int_equal(write_rows(fx, 10), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
    assert_int_equal(fx->durable, 30);
    assert_int_equal(write_rows(fx, 0), 0); /* an empty one moves the checkpoint */
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
    assert_int_equal(fx->durable, 31);
}

static void
poll_reports_and_wakes(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(poll_on(fx), 0);
    assert_int_equal(fx->durable, 1);
    uint64_t one = 1;
    assert_int_equal(write(fx->env.wake_fd, &one, sizeof(one)), sizeof(one));
    int64_t before = tr_clock_us();
    assert_int_equal(tr_kafka_sink.poll(fx->sink, 60 * TR_US_PER_S, &fx->err), 0);
    assert_true(tr_clock_us() - before < 30 * TR_US_PER_S);
}

static int64_t
processor_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * TR_US_PER_S + used.tv_nsec / 1000;
}

/* librdkafka sends a partition one request at a time, and its thread would spin while others have lingered behind it. */
static void
a_slow_answer_is_not_waited_for_spinning(void **state)
{
    struct fixture *fx = *state;
    fx->env.memory = 1 << 20;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 10), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0); /* all is connected */
    rd_kafka_mock_broker_set_rtt(fx->mock, 1, 600);
    int64_t begun = tr_clock_us(), used = processor_us();
    assert_int_equal(write_rows(fx, 10), 0);
    assert_int_equal(tr_kafka_sink.poll(fx->sink, 0, &fx->err), 0);
    assert_int_equal(write_rows(fx, 10), 0);
    assert_int_equal(poll_on(fx), 0);
    assert_int_equal(fx->durable, 3);
    int64_t waited = tr_clock_us() - begun;
    assert_true(waited > 500000);
    assert_true(processor_us() - used < waited / 3);
}

/* The context's headers are one object for all messages: whatever becomes of them, nobody frees it before the sink does. */
static void
headers_are_shared(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    struct kafka_sink *sink = (struct kafka_sink *)fx->sink;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(write_rows(fx, 40), 0);
        assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
        assert_int_equal(rd_kafka_header_cnt(sink->context), 4);
    }
    /* A request under way, one that waits for it, and some that are refused at once. */
    rd_kafka_mock_broker_set_rtt(fx->mock, 1, 5000);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(write_rows(fx, 40), 0);
        rd_kafka_flush(sink->rk, 20);
    }
    assert_true(sink->bytes_out > 0);
    tr_kafka_sink.close(fx->sink);
    fx->sink = NULL;
    rd_kafka_mock_broker_set_rtt(fx->mock, 1, 0);
    open_sink(fx);
    assert_int_equal(write_rows(fx, 40), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
}

/* Batches wait, still charged, and nothing counts, until the broker is back. */
static void
a_broker_that_is_away_holds_back_the_source(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
    struct kafka_sink *sink = (struct kafka_sink *)fx->sink;
    uint64_t arrived = sink->bytes_handed;
    rd_kafka_mock_broker_set_down(fx->mock, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write_rows(fx, 100), 0);
    assert_int_equal(fx->durable, 1);
    assert_true(fx->held > 90 * 100 * 20);
    assert_true(sink->bytes_out < (64 << 10) + 100 * 2000);
    uint64_t messages = 0;
    for (const struct flight *flight = sink->oldest; flight != NULL; flight = flight->next)
        messages += flight->outstanding;
    assert_int_equal(sink->bytes_out, sink->bytes_handed - arrived + messages * MESSAGE_COST);
    assert_int_equal(flush_for(fx, 50000), -TR_RETRY);
    rd_kafka_mock_broker_set_up(fx->mock, 1);
    assert_int_equal(flush_for(fx, 30 * TR_US_PER_S), 0);
    assert_int_equal(fx->durable, 101);
    assert_int_equal(fx->held, 0);
}

static void
passing_errors_pass(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    rd_kafka_mock_push_request_errors(fx->mock, API_PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    for (int i = 0; i < 5; i++)
        assert_int_equal(write_rows(fx, 10), 0);
    assert_int_equal(poll_on(fx), 0);
    assert_int_equal(fx->durable, 5);
}

static void
tables_that_are_one_topic_are_told_of(void **state)
{
    struct fixture *fx = *state;
    int fds[2];
    char text[1024] = "";
    struct tr_log log;
    assert_int_equal(pipe(fds), 0);
    tr_log_init(&log, fds[1], TR_LOG_WARNING, TR_LOG_TEXT, "shop");
    fx->env.log = &log;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 3), 0);
    struct tr_relation *first = fx->relation, *other;
    other = fx->relation = sample_relation(2, "public", "t", 2,
                                           (const char *[]){ "id:int32:k", "note:text" });
    assert_int_equal(write_rows(fx, 3), 0); /* the same, in another shape */
    ((struct kafka_sink *)fx->sink)->topics[0].table[0] = 'P';
    assert_int_equal(write_rows(fx, 3), 0);
    assert_int_equal(poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 0), 0);
    fx->relation = first;
    assert_int_equal(write_rows(fx, 3), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "tables Public.t and public.t are one topic to Kafka, " TOPIC));
    assert_null(strstr(strstr(text, "topic_routes"), "are one topic"));
    tr_relation_unref(other);
    close(fds[0]);
    close(fds[1]);
    fx->env.log = NULL;
}

static void
note_finding(void *arg, enum tr_finding_level level, const char *id, const char *object, const char *text,
             const char *sql)
{
    (void)sql;
    tr_buffer_printf(arg, "%d %s %s: %s\n", level, id, object, text);
}

static void
check_tells_of_topics_before_a_run_does(void **state)
{
    struct fixture *fx = *state;
    static const char *const names[] = { "t", "a b", "a.b", "a_b", "T" };
    struct tr_buffer told;
    struct tr_findings findings = { .arg = &told, .add = note_finding };
    struct tr_schema *schema = tr_schema_new("");
    assert_int_equal(set(fx, "create_topics", "false"), 0);
    open_sink(fx);
    schema->tables = tr_arena_zalloc(&schema->arena, 5 * sizeof(*schema->tables));
    for (; schema->ntables < 5; schema->ntables++)
        schema->tables[schema->ntables].relation = sample_relation(
            schema->ntables + 1, "public", names[schema->ntables], 1, (const char *[]){ "id:int32:k" });
    tr_buffer_init(&told, TR_BUFFER_MAX);
    assert_int_equal(tr_kafka_sink.check(fx->sink, schema, &findings, &fx->err), 0);
    assert_non_null(
        strstr(told.data, "kafka-topic-shared shop.public.a_b: tables public.a b and public.a_b are"));
    assert_non_null(strstr(told.data, "kafka-topic-name shop.public.a_b: the brokers take it for "
                                      "shop.public.a.b, of table public.a.b"));
    assert_non_null(strstr(told.data, "kafka-topic-missing shop.public.T: "));
    assert_null(strstr(told.data, "kafka-topic-missing " TOPIC ": "));
    tr_buffer_fini(&told);
    tr_schema_free(schema);
}

/*
 * A leader that does not know a new partition yet refuses the first request and takes the second, which was on its way too: it knows nothing of the producer,
 * and accepts any first number. To librdkafka the first has then arrived as well.
 */
static void
what_was_refused_is_not_taken_for_arrived(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    /* Few messages, for librdkafka sends a second request to a partition only while less than five are on their way. */
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(poll_on(fx), 0);
    rd_kafka_mock_broker_set_rtt(fx->mock, 1, 500);
    rd_kafka_mock_push_request_errors(fx->mock, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = write_rows(fx, 2);
        rd_kafka_flush(((struct kafka_sink *)fx->sink)->rk, 50);
    }
    if (rc == 0)
        rc = poll_on(fx);
    assert_int_equal(rc, -TR_RETRY);
    assert_non_null(strstr(fx->err.text, "do not say where a message stands"));
    assert_int_equal(fx->durable, 1);
}

static void
a_refused_message_stops_everything_behind_it(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(poll_on(fx), 0);
    rd_kafka_mock_push_request_errors(fx->mock, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    int rc = write_rows(fx, 10);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = write_rows(fx, 10);
    if (rc == 0)
        rc = poll_on(fx);
    assert_int_equal(rc, -TR_FATAL);
    assert_non_null(strstr(fx->err.text, "cannot write to topic " TOPIC));
    assert_non_null(strstr(fx->err.hint, "grant"));
    assert_int_equal(fx->durable, 1);
    assert_int_equal(tr_kafka_sink.poll(fx->sink, 0, &fx->err), -TR_FATAL);
    assert_int_equal(fx->durable, 1);
}

static void
closing_with_work_in_flight_says_nothing_more(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(poll_on(fx), 0);
    rd_kafka_mock_broker_set_down(fx->mock, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(write_rows(fx, 100), 0);
    uint64_t durable = fx->durable;
    int64_t before = tr_clock_us();
    tr_kafka_sink.close(fx->sink);
    fx->sink = NULL;
    assert_true(tr_clock_us() - before < 5 * TR_US_PER_S);
    assert_int_equal(fx->durable, durable);
}

static void
a_missing_topic_is_refused(void **state)
{
    struct fixture *fx = *state;
    tr_relation_unref(fx->relation);
    fx->relation = sample_relation(1, "public", "missing", 2, (const char *[]){ "id:int32:k", "note:text" });
    assert_int_equal(set(fx, "create_topics", "false"), 0);
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), -TR_REFUSED);
    assert_non_null(strstr(fx->err.text, "shop.public.missing does not exist"));
}

/* Metadata is asked for all the time, so that what the mock says is soon believed. */
static void
open_where_metadata_ages_fast(struct fixture *fx)
{
    assert_int_equal(set(fx, "kafka", "topic.metadata.refresh.interval.ms=100"), 0);
    open_sink(fx);
    assert_int_equal(write_rows(fx, 1), 0);
    assert_int_equal(flush_for(fx, 10 * TR_US_PER_S), 0);
}

/* Until librdkafka has taken over that the topic is not there. */
static void
forget_topic(struct fixture *fx)
{
    struct kafka_sink *sink = (struct kafka_sink *)fx->sink;
    rd_kafka_mock_topic_set_error(fx->mock, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    for (int i = 0; i < 100 && rd_kafka_topic_partition_available(sink->topics[0].handle, 0); i++)
        rd_kafka_poll(sink->rk, 20);
}

static void *
remember_topic(void *arg)
{
    struct fixture *fx = arg;
    struct kafka_sink *sink = (struct kafka_sink *)fx->sink;
    while (!atomic_load(&fx->waiting))
        poll(NULL, 0, 5);
    rd_kafka_flush(sink->rk, 300); /* some time without the topic */
    rd_kafka_mock_topic_set_error(fx->mock, TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    return NULL;
}

/* One of several brokers answers from before the topic was made. */
static void
a_broker_that_has_not_heard_of_the_topic(void **state)
{
    struct fixture *fx = *state;
    pthread_t thread;
    open_where_metadata_ages_fast(fx);
    forget_topic(fx);
    assert_int_equal(pthread_create(&thread, NULL, remember_topic, fx), 0);
    atomic_store(&fx->waiting, true);
    int rc = write_rows(fx, 10);
    for (int i = 0; i < 20 && rc == 0; i++)
        rc = write_rows(fx, 10);
    pthread_join(thread, NULL);
    if (rc == 0)
        rc = flush_for(fx, 30 * TR_US_PER_S);
    if (rc != 0)
        fail_msg("%s", fx->err.text);
    assert_int_equal(fx->durable, 22);
}

static void
a_topic_that_is_gone_for_good(void **state)
{
    struct fixture *fx = *state;
    open_where_metadata_ages_fast(fx);
    forget_topic(fx);
    ((struct kafka_sink *)fx->sink)->topics[0].opened_us -= 60 * TR_US_PER_S;
    assert_int_equal(write_rows(fx, 10), -TR_REFUSED);
    assert_non_null(strstr(fx->err.hint, "removed"));
    assert_int_equal(fx->durable, 1);
}

static void
properties_that_break_a_promise_are_refused(void **state)
{
    struct fixture *fx = *state;
    static const char *const bad[] = { "acks=1",
                                       "enable.idempotence=false",
                                       "retries=0",
                                       "sasl.password=x",
                                       "plugin.library.paths=x",
                                       "nonsense",
                                       "test.mock.num.brokers=1",
                                       "delivery.report.only.error=true" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(set(fx, "kafka", bad[i]), 0);
        assert_int_equal(tr_kafka_sink.open(&fx->env, &fx->sink, &fx->err), -TR_CONFIG);
        assert_null(fx->sink);
    }
    assert_int_equal(set(fx, "kafka", "socket.keepalive.enable=true"), 0);
    open_sink(fx);
}

static void
has_property(const struct fixture *fx, const char *name, const char *value)
{
    char have[64];
    size_t size = sizeof(have);
    const rd_kafka_conf_t *conf = rd_kafka_conf(((struct kafka_sink *)fx->sink)->rk);
    assert_int_equal(rd_kafka_conf_get(conf, name, have, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(have, value);
}

static void
what_is_not_refused_holds(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx);
    has_property(fx, "client.id", "tailrace");
    tr_kafka_sink.close(fx->sink);
    fx->sink = NULL;
    assert_int_equal(set(fx, "kafka", "client.id=mine,batch.num.messages=7,socket.nagle.disable=false"), 0);
    open_sink(fx);
    has_property(fx, "client.id", "mine");
    has_property(fx, "batch.num.messages", "7");
    has_property(fx, "socket.nagle.disable", "false");
}

static void
brokers_that_nobody_knows(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(set(fx, "target", "kafka://127.0.0.1:1"), 0);
    assert_int_equal(tr_kafka_sink.open(&fx->env, &fx->sink, &fx->err), -TR_RETRY);
    assert_non_null(strstr(fx->err.text, "Connection refused"));
    assert_null(fx->sink);
}

/* Figures from the tests of Kafka's own Java clients. */
static void
murmur2_is_javas(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = { { "21", -973932308 },
                  { "foobar", -790332482 },
                  { "a-little-bit-long-string", -985981536 },
                  { "a-little-bit-longer-string", -1486304829 },
                  { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 } };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal((int32_t)kafka_murmur2(known[i].key, strlen(known[i].key)), known[i].hash);
    assert_int_equal(kafka_partition(0xffffffff, 10), 0x7fffffff % 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_javas),
        TEST(what_was_flushed_is_durable),
        TEST(poll_reports_and_wakes),
        TEST(a_slow_answer_is_not_waited_for_spinning),
        TEST(headers_are_shared),
        TEST(a_broker_that_is_away_holds_back_the_source),
        TEST(passing_errors_pass),
        TEST(tables_that_are_one_topic_are_told_of),
        TEST(check_tells_of_topics_before_a_run_does),
        TEST(what_was_refused_is_not_taken_for_arrived),
        TEST(a_refused_message_stops_everything_behind_it),
        TEST(closing_with_work_in_flight_says_nothing_more),
        TEST(a_missing_topic_is_refused),
        TEST(a_broker_that_has_not_heard_of_the_topic),
        TEST(a_topic_that_is_gone_for_good),
        TEST(properties_that_break_a_promise_are_refused),
        TEST(what_is_not_refused_holds),
        TEST(brokers_that_nobody_knows),
    };
    RUN_WITH_LIBRDKAFKA(tests);
}
