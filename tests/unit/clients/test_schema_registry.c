/* test_schema_registry.c - what the client of a schema registry asks, and what it makes of the answers. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/registry/registry.h"
#include "tests/unit/encoders/fake_registry.h"

struct fixture {
    struct fake_registry *fake;
    struct tr_schema_registry *registry;
    struct tr_schema_registry_config config;
    struct tr_error err;
    uint32_t id;
};

static int
setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof(*fx));
    fx->fake = fake_registry_start(70000);
    fx->config = (struct tr_schema_registry_config){ .urls = fake_registry_url(fx->fake),
                                                     .timeout_us = 20000000 };
    *state = fx;
    return tr_schema_registry_open(&fx->config, &fx->registry, &fx->err);
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;
    tr_schema_registry_close(fx->registry);
    fake_registry_stop(fx->fake);
    free(fx);
    return 0;
}

static void
asks_once_for_each_schema(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(tr_schema_registry_id(fx->registry, "a/b-value", "\"int\"", &fx->id, &fx->err), 0);
    assert_int_equal(fx->id, 70000);
    assert_string_equal(fake_registry_path(fx->fake), "/subjects/a%2Fb-value/versions");
    assert_string_equal(fake_registry_schema(fx->fake, 70000), "\"int\"");
    assert_int_equal(tr_schema_registry_id(fx->registry, "a/b-value", "\"long\"", &fx->id, &fx->err), 0);
    assert_int_equal(fx->id, 70001);
    assert_int_equal(tr_schema_registry_id(fx->registry, "a/b-value", "\"long\"", &fx->id, &fx->err), 0);
    assert_int_equal(fx->id, 70001);
    assert_int_equal(fake_registry_count(fx->fake), 2);
    /* Another subject must hold it too. */
    assert_int_equal(tr_schema_registry_id(fx->registry, "c", "\"long\"", &fx->id, &fx->err), 0);
    assert_int_equal(fake_registry_count(fx->fake), 3);
}

static void
a_lookup_registers_nothing(void **state)
{
    struct fixture *fx = *state;
    tr_schema_registry_close(fx->registry);
    fx->config.lookup_only = true;
    assert_int_equal(tr_schema_registry_open(&fx->config, &fx->registry, &fx->err), 0);
    assert_int_equal(tr_schema_registry_id(fx->registry, "c", "\"long\"", &fx->id, &fx->err), 0);
    assert_string_equal(fake_registry_path(fx->fake), "/subjects/c");
}

#define HTTP(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

static const struct {
    const char *response;
    enum tr_error_class class;
    const char *text, *hint; /* parts of */
} answers[] = {
    { HTTP("409 Conflict", "{\"error_code\":409,\"message\":\"reader lacks a default\\nfor x\"}"), TR_REFUSED,
      "not compatible with those of subject s: reader lacks a default for x", "PUT /config/s" },
    { HTTP("422 x", "{\"message\":\"no such type\"}"), TR_REFUSED,
      "does not take a schema of subject s: no such type", "" },
    { HTTP("401 x", ""), TR_FATAL, "HTTP 401: nothing", "schema_registry_user" },
    { HTTP("404 Not Found", ""), TR_CONFIG, "HTTP 404", "see schema_registry" },
    { HTTP("301 Moved\r\nLocation: http://127.0.0.1:1/", ""), TR_CONFIG, "HTTP 301", "see schema_registry" },
    { HTTP("500 x", "{\"error_code\":50001}"), TR_RETRY, "HTTP 500: {\"error_code\":50001}", "" },
    { HTTP("503 x", "<html>\n\n  away \x01 </html>"), TR_RETRY, "HTTP 503: <html> away </html>", "" },
    { HTTP("429 x", ""), TR_RETRY, "HTTP 429", "" },
    { HTTP("200 OK", "<html>sign in</html>"), TR_RETRY, "HTTP 200: <html>sign in</html>",
      "see schema_registry" },
    { HTTP("200 OK", ""), TR_RETRY, "HTTP 200: nothing", "" },
    { HTTP("200 OK", "{\"id\":-1}"), TR_RETRY, "HTTP 200", "" },
    { HTTP("200 OK", "{\"id\":4294967296}"), TR_RETRY, "HTTP 200", "" },
    { HTTP("200 OK", "{\"id\":\"7\"}"), TR_RETRY, "HTTP 200", "" },
    { HTTP("200 OK", "[{\"id\":7}]"), TR_RETRY, "HTTP 200", "" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":7}", TR_RETRY,
      "schema registry http://127.0.0.1", "" },
    { "gibberish\r\n", TR_CONFIG, "schema registry http://127.0.0.1", "" },
    { "", TR_RETRY, "Empty reply", "" },
};

static void
answers_are_taken_for_what_they_are(void **state)
{
    struct fixture *fx = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        tr_error_clear(&fx->err);
        fake_registry_say(fx->fake, answers[i].response);
        int rc = tr_schema_registry_id(fx->registry, "s", "\"int\"", &fx->id, &fx->err);
        if (rc != -(int)answers[i].class || strstr(fx->err.text, answers[i].text) == NULL ||
            strstr(fx->err.hint, answers[i].hint) == NULL)
            fail_msg("%.60s: %d, %s, %s", answers[i].response, rc, fx->err.text, fx->err.hint);
    }
    /* None of them is remembered. */
    fake_registry_say(fx->fake, NULL);
    assert_int_equal(tr_schema_registry_id(fx->registry, "s", "\"int\"", &fx->id, &fx->err), 0);
    assert_int_equal(fx->id, 70000);
}

static void
the_next_of_the_list_is_asked(void **state)
{
    struct fixture *fx = *state;
    char urls[200];
    snprintf(urls, sizeof(urls), "http://127.0.0.1:1/x/ , %s", fake_registry_url(fx->fake));
    tr_schema_registry_close(fx->registry);
    fx->config.urls = urls;
    assert_int_equal(tr_schema_registry_open(&fx->config, &fx->registry, &fx->err), 0);
    assert_int_equal(tr_schema_registry_id(fx->registry, "s", "\"int\"", &fx->id, &fx->err), 0);
    assert_int_equal(fake_registry_count(fx->fake), 1);
    /* What a server refuses, the next would refuse too. */
    fake_registry_say(fx->fake, HTTP("422 x", ""));
    assert_int_equal(tr_schema_registry_id(fx->registry, "s", "\"long\"", &fx->id, &fx->err), -TR_REFUSED);
    assert_int_equal(fake_registry_count(fx->fake), 2);
}

static void
what_is_no_address_is_refused(void **state)
{
    struct fixture *fx = *state;
    static const char *const bad[] = {
        "", ",", "h:8081", "ftp://h", "http://h/?x=1", "http://h,file:///etc/passwd"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tr_schema_registry *registry = fx->registry;
        const struct tr_schema_registry_config config = { .urls = bad[i], .timeout_us = 1000000 };
        assert_int_equal(tr_schema_registry_open(&config, &registry, &fx->err), -TR_CONFIG);
        assert_null(registry);
    }
    const struct tr_schema_registry_config secret = { .urls = "http://u:geheim@h/ x", .timeout_us = 1000000 };
    struct tr_schema_registry *registry;
    assert_int_equal(tr_schema_registry_open(&secret, &registry, &fx->err), -TR_CONFIG);
    assert_null(strstr(fx->err.text, "geheim"));
}

static void
a_probe_wants_a_registry_of_avro(void **state)
{
    struct fixture *fx = *state;
    fake_registry_say(fx->fake, HTTP("200 OK", "[\"JSON\",\"AVRO\"]"));
    assert_int_equal(tr_schema_registry_probe(fx->registry, &fx->err), 0);
    assert_string_equal(fake_registry_path(fx->fake), "/schemas/types");
    fake_registry_say(fx->fake, HTTP("200 OK", "[\"JSON\"]"));
    assert_int_equal(tr_schema_registry_probe(fx->registry, &fx->err), -TR_RETRY);
    fake_registry_say(fx->fake, HTTP("404 x", ""));
    assert_int_equal(tr_schema_registry_probe(fx->registry, &fx->err), -TR_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_once_for_each_schema),           TEST(a_lookup_registers_nothing),
        TEST(answers_are_taken_for_what_they_are), TEST(the_next_of_the_list_is_asked),
        TEST(what_is_no_address_is_refused),       TEST(a_probe_wants_a_registry_of_avro),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
