/* test_kafka_look.c - asking brokers that do not answer, by a task that is told to end. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "sinks/kafka/internal.h"
#include "tests/contract/librdkafka.h"

/* A port that takes connections and says nothing. */
static int
silent_broker(char *address, size_t size)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(address, size, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void
an_end_bounds_what_is_asked(void **state)
{
    (void)state;
    char address[64];
    int fd = silent_broker(address, sizeof(address));
    _Atomic int64_t end_us = tr_clock_us() + 100000;
    struct kafka_sink sink = { .client = { .brokers = address, .end_us = &end_us } };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", address, NULL, 0);
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    sink.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(sink.rk);
    struct ranges ranges = { 0 };
    ranges_add_run(&ranges, ranges_add(&ranges, "t", 1, 0), 0, 0);
    rd_kafka_resp_err_t code;
    assert_int_equal(look_passed(&sink, &ranges, 60000, &code), -1);
    assert_int_not_equal(code, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(tr_clock_us() < end_us + 20 * TR_US_PER_S);
    ranges_fini(&ranges);
    rd_kafka_destroy(sink.rk);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(an_end_bounds_what_is_asked) };
    RUN_WITH_LIBRDKAFKA(tests);
}
