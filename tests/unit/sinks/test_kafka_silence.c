/* test_kafka_silence.c - the operator is told of brokers that confirm nothing, with the reason, now and then, and when they go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "sinks/kafka/internal.h"

#define S INT64_C(1000000)

struct fixture {
    struct kafka_sink sink;
    struct tr_sink_env env;
    struct tr_log log;
    char brokers[8], text[2048];
    int fds[2];
};

static int
setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .brokers = "b1:9092" };
    if (pipe2(f.fds, O_NONBLOCK) < 0)
        return -1;
    tr_log_init(&f.log, f.fds[1], TR_LOG_INFO, TR_LOG_TEXT, "shop");
    f.env.log = &f.log;
    f.sink.base.env = &f.env;
    f.sink.brokers = f.brokers;
    kafka_note_silence(&f.sink, 100 * S);
    *state = &f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    close(f->fds[0]);
    close(f->fds[1]);
    return 0;
}

/* What it says at this time. */
static const char *
said(struct fixture *f, int64_t now_us)
{
    kafka_note_silence(&f->sink, now_us);
    ssize_t n = read(f->fds[0], f->text, sizeof(f->text) - 1);
    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

static void
brokers_that_confirm_nothing_are_told_of(void **state)
{
    struct fixture *f = *state;
    f->sink.bytes_out = 1;
    tr_kafka_complain(&f->sink.client, RD_KAFKA_RESP_ERR__TRANSPORT, "b1:9092/1: Connection refused");
    assert_string_equal(said(f, 104 * S), "");
    assert_non_null(strstr(said(f, 105 * S), "b1:9092 have confirmed nothing for 5 s"));
    assert_non_null(strstr(f->text, "Connection refused"));
    assert_string_equal(said(f, 109 * S), "");
    assert_non_null(strstr(said(f, 110 * S), "for 10 s"));
    assert_string_equal(said(f, 119 * S), "");
    f->sink.silence.confirmed++;
    assert_non_null(strstr(said(f, 121 * S), "confirm again, after 21 s"));
    /* The reason was that of another time. */
    assert_non_null(strstr(said(f, 126 * S), "no answer"));
}

static void
so_are_those_that_do_not_answer_to_a_commit(void **state)
{
    struct fixture *f = *state;
    f->sink.txn = TXN_COMMITTING;
    assert_non_null(strstr(said(f, 105 * S), "have confirmed nothing"));
}

static void
nothing_is_said_where_nothing_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->sink.txn = TXN_OPEN;
    assert_string_equal(said(f, 200 * S), "");
    f->sink.bytes_out = 1;
    for (int64_t second = 201; second < 260; second++) {
        f->sink.silence.confirmed++;
        assert_string_equal(said(f, second * S), "");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(brokers_that_confirm_nothing_are_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(so_are_those_that_do_not_answer_to_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_said_where_nothing_is_waited_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
