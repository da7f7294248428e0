/* test_kafka_wait.c - waiting for brokers in slices, as long as one call of the whole time would. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "clients/kafka/client.h"
#include "core/clock.h"
#include "tests/contract/librdkafka.h"

#define INIT_PRODUCER_ID 22

static rd_kafka_t *
producer(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", NULL, 0);
    rd_kafka_conf_set(conf, "transactional.id", "t", NULL, 0);
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(rk);
    return rk;
}

/* While a predecessor's transaction is brought to its end, and while a coordinator reads its log. */
static void
a_coordinator_that_is_not_ready_is_waited_for(void **state)
{
    (void)state;
    struct tr_kafka_client client = { .brokers = "none" };
    rd_kafka_t *rk = producer();
    rd_kafka_mock_push_request_errors(rd_kafka_handle_mock_cluster(rk), INIT_PRODUCER_ID, 2,
                                      RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    rd_kafka_error_t *error = tr_kafka_call(&client, rk, rd_kafka_init_transactions, 30000);
    if (error != NULL)
        fail_msg("%s", rd_kafka_error_string(error));
    rd_kafka_destroy(rk);
}

static void
an_end_is_the_end(void **state)
{
    (void)state;
    _Atomic int64_t end_us = tr_clock_us() + 300000;
    struct tr_kafka_client client = { .brokers = "none", .end_us = &end_us };
    rd_kafka_t *rk = producer();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(rk);
    for (int i = 0; i < 100; i++)
        rd_kafka_mock_push_request_errors(cluster, INIT_PRODUCER_ID, 1,
                                          RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    rd_kafka_error_t *error = tr_kafka_call(&client, rk, rd_kafka_init_transactions, 60000);
    assert_non_null(error);
    assert_true(tr_clock_us() < end_us + 30 * TR_US_PER_S);
    rd_kafka_error_destroy(error);
    rd_kafka_destroy(rk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coordinator_that_is_not_ready_is_waited_for),
        cmocka_unit_test(an_end_is_the_end),
    };
    RUN_WITH_LIBRDKAFKA(tests);
}
