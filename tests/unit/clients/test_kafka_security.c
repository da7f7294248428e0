/* test_kafka_security.c - what is wrong with TLS is told in words of our options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "clients/kafka/client.h"

/* As librdkafka tells of a broker with ssl.client.auth=required: the connection stands, and breaks at the first answer. */
static void
a_refused_certificate_of_ours_ends_the_task(void **state)
{
    static const char *const reasons[] = {
        "ssl://b1:9093/1: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 16ms)",
        "ssl://b1:9093/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116",
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tr_kafka_client client = { .brokers = "b1:9093" };
        struct tr_error err;
        tr_kafka_complain(&client, RD_KAFKA_RESP_ERR__TRANSPORT, reasons[i]);
        tr_kafka_complain(&client, RD_KAFKA_RESP_ERR__TRANSPORT, "ssl://b1:9093/1: Disconnected");
        tr_kafka_complain(&client, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down");
        assert_int_equal(
            tr_kafka_fail(&client, &err, RD_KAFKA_RESP_ERR__TRANSPORT, NULL, "cannot reach the brokers"),
            -TR_FATAL);
        assert_non_null(strstr(err.text, reasons[i]));
        assert_non_null(strstr(err.hint, "see tls_certificate and tls_key"));
    }
}

static void
one_that_breaks_for_another_reason_does_not(void **state)
{
    struct tr_kafka_client client = { .brokers = "b1:9093" };
    struct tr_error err;
    (void)state;
    tr_kafka_complain(&client, RD_KAFKA_RESP_ERR__TRANSPORT, "Receive failed: SSL alert number 80");
    assert_int_equal(tr_kafka_fail(&client, &err, RD_KAFKA_RESP_ERR__TRANSPORT, NULL, "cannot"), -TR_RETRY);
}

static void
connect_with(const char *ca, const char *certificate, const char *key, const char *expected)
{
    char hosts[] = "b1:9093";
    const struct tr_url url = { .hosts = hosts };
    const struct tr_kafka_security security = {
        .tls = "on", .ca = ca, .certificate = certificate, .key = key, .verify = true, .mechanism = "PLAIN"
    };
    struct tr_error err = { 0 };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(tr_kafka_set_connection(conf, &url, &security, &err), expected != NULL ? -TR_CONFIG : 0);
    if (expected != NULL)
        assert_non_null(strstr(err.text, expected));
    rd_kafka_conf_destroy(conf);
}

static void
files_are_named_by_their_option(void **state)
{
    (void)state;
    connect_with("/proc/self/exe", "", NULL, NULL);
    connect_with("/proc/self/exe", "/proc/self/exe", "/proc/self/exe", NULL);
    connect_with("/nowhere/ca.pem", NULL, NULL, "tls_ca: cannot read /nowhere/ca.pem: No such file");
    connect_with(NULL, "/nowhere/c.pem", "/proc/self/exe", "tls_certificate: cannot read /nowhere/c.pem");
    connect_with(NULL, "/proc/self/exe", "/nowhere/k.pem", "tls_key: cannot read /nowhere/k.pem");
    connect_with(NULL, "/proc/self/exe", NULL, "tls_certificate is given without tls_key");
    connect_with(NULL, NULL, "/proc/self/exe", "tls_key is given without tls_certificate");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_certificate_of_ours_ends_the_task),
        cmocka_unit_test(one_that_breaks_for_another_reason_does_not),
        cmocka_unit_test(files_are_named_by_their_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
