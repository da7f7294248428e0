/* test_url.c - what a URL means, what it must not reveal, and which one stays on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/url.h"

static struct tr_error err;

static void
test_all_parts(void **state)
{
    struct tr_url url;
    (void)state;
    assert_int_equal(
        tr_url_parse(
            "PostgreSQL://repl:s%40c%3Aret@db1:5433,[::1]:5434/sh%20op?sslmode=verify-full&a=b%26c&a=last",
            &url, &err),
        0);
    assert_string_equal(url.scheme, "postgresql");
    assert_string_equal(url.user, "repl");
    assert_string_equal(url.password, "s@c:ret");
    assert_string_equal(url.hosts, "db1:5433,[::1]:5434");
    assert_string_equal(url.host, "db1");
    assert_int_equal(url.port, 5433);
    assert_string_equal(url.path, "sh op");
    assert_int_equal(url.nparams, 3);
    assert_string_equal(tr_url_param(&url, "sslmode"), "verify-full");
    assert_string_equal(tr_url_param(&url, "a"), "last");
    assert_null(tr_url_param(&url, "b"));
    tr_url_fini(&url);
}

static void
test_short_forms(void **state)
{
    struct tr_url url;
    (void)state;
    assert_int_equal(tr_url_parse("stdout:", &url, &err), 0);
    assert_string_equal(url.scheme, "stdout");
    assert_string_equal(url.hosts, "");
    assert_string_equal(url.host, "");
    assert_null(url.path);
    assert_null(url.user);
    tr_url_fini(&url);
    assert_int_equal(tr_url_parse("file:///var/out?zstd=true", &url, &err), 0);
    assert_string_equal(url.path, "var/out");
    assert_string_equal(tr_url_param(&url, "zstd"), "true");
    tr_url_fini(&url);
    assert_int_equal(tr_url_parse("file:./out", &url, &err), 0);
    assert_string_equal(url.path, "./out");
    tr_url_fini(&url);
    assert_int_equal(tr_url_parse("postgresql://@h:/", &url, &err), 0);
    assert_string_equal(url.user, "");
    assert_null(url.password);
    assert_int_equal(url.port, 0);
    assert_string_equal(url.path, "");
    tr_url_fini(&url);
    assert_int_equal(tr_url_parse("postgresql://%2Ftmp%2Fsock/db", &url, &err), 0);
    assert_string_equal(url.host, "/tmp/sock");
    tr_url_fini(&url);
}

static void
test_refusals(void **state)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "://x",
        "1a://x",
        "host=h password=hunter2",
        "postgresql://u:hunter2@h:65536/",
        "postgresql://u:hunter2@h:x/",
        "postgresql://u:hunter2@h:12x/",
        "postgresql://u:hun%2/ter2@h/",
        "postgresql://u:%zzhunter2@h/",
        "postgresql://u:%00hunter2@h/",
        "postgresql://u:hunter2@[::1/",
        "postgresql://u:hunter2@[::1]x/",
        "postgresql://u:hunter2@h/?a",
        "postgresql://u:hunter2@h/?=a",
        "postgresql://u:hunter2@h/%4",
        "postgresql://u:hunter2@@h/",
        "postgresql://u:hu@nter2@h/",
        "postgresql://h/?a=%4&password=hunter2",
        "postgresql://%zz:hunter2@h/",
        "postgresql://u:hunter2@h%2/",
        "postgresql://u:a/hunter2@h/",
        "postgresql://u:a?hunter2@h/",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tr_url url;
        if (tr_url_parse(bad[i], &url, &err) == 0)
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(err.class, TR_CONFIG);
        assert_null(strstr(err.text, "hunter2"));
        assert_null(strstr(err.text, "nter2"));
        assert_null(url.scheme);
    }
    char *endless = malloc(40000);
    struct tr_url url;
    memset(endless, 'a', 39999);
    endless[39999] = '\0';
    assert_int_equal(tr_url_parse(endless, &url, &err), -TR_CONFIG);
    free(endless);
}

static void
assert_redacted(const char *text, const char *expected)
{
    char *shown = tr_url_redact(text);
    assert_string_equal(shown, expected);
    free(shown);
}

static void
test_redaction(void **state)
{
    (void)state;
    assert_redacted("postgresql://u:pw@h:1/db?sslmode=require", "postgresql://u:***@h:1/db?sslmode=require");
    assert_redacted("postgresql://u@h:1/db", "postgresql://u@h:1/db");
    assert_redacted("postgresql://h:1/db", "postgresql://h:1/db");
    assert_redacted("postgresql://u:p@w/x@h/db", "postgresql://u:***@h/db");
    assert_redacted("postgresql://u:12?s=s@h/db", "postgresql://u:***");
    assert_redacted("postgresql://h/db?password=a@b", "postgresql://h/db?password=***");
    assert_redacted("postgresql://h/db?x=1&sslPassword=pw&y=2", "postgresql://h/db?x=1&sslPassword=***&y=2");
    assert_redacted("kafka://b1:9092,b2:9092/t?sasl.password=pw",
                    "kafka://b1:9092,b2:9092/t?sasl.password=***");
    assert_redacted("postgresql://h/db?pass%77ord=pw", "postgresql://h/db?pass%77ord=***");
    assert_redacted("host=h password=pw", "***");
    assert_redacted("stdout:", "stdout:");
    assert_redacted("file:///dir", "file:///dir");
}

static bool
is_local(const char *text)
{
    struct tr_url url;
    assert_int_equal(tr_url_parse(text, &url, &err), 0);
    bool local = tr_url_is_local(&url);
    tr_url_fini(&url);
    return local;
}

static void
test_local(void **state)
{
    static const char *const yes[] = {
        "postgresql://127.0.0.1/", "postgresql://127.9.9.9:1/db",          "postgresql://[::1]:5432/",
        "postgresql://LocalHost/", "postgresql:///db?host=/tmp",           "postgresql://%2Ftmp/db",
        "postgresql:///db",        "postgresql://localhost:1,127.0.0.1:2/"
    };
    static const char *const no[] = { "postgresql://127.evil.example/",
                                      "postgresql://db1/",
                                      "postgresql://localhost,db1/",
                                      "postgresql://10.0.0.1/",
                                      "postgresql://localhost/?host=db1",
                                      "postgresql:///?hostaddr=10.0.0.1",
                                      "postgresql://localhost.evil.example/",
                                      "postgresql://[::2]/",
                                      "postgresql:///?host=/tmp,db1",
                                      "postgresql:///?service=x",
                                      "postgresql://127.1/" };
    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!is_local(yes[i]))
            fail_msg("%s is local", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (is_local(no[i]))
            fail_msg("%s is not local", no[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_parts), cmocka_unit_test(test_short_forms), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_redaction), cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
