/* test_log.c - one event is one line, whatever is in it and whoever reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <unistd.h>

#include "core/log.h"

struct pipe {
    int read_fd, write_fd;
    char line[2 * PIPE_BUF];
};

static int
setup(void **state)
{
    static struct pipe p;
    int fds[2];
    if (pipe2(fds, O_NONBLOCK) < 0)
        return -1;
    p.read_fd = fds[0];
    p.write_fd = fds[1];
    *state = &p;
    return 0;
}

static int
teardown(void **state)
{
    struct pipe *p = *state;
    close(p->read_fd);
    close(p->write_fd);
    return 0;
}

/* Everything written so far; "" when nothing. */
static const char *
written(struct pipe *p)
{
    ssize_t n = read(p->read_fd, p->line, sizeof(p->line) - 1);
    p->line[n > 0 ? n : 0] = '\0';
    return p->line;
}

static void
test_text_line(void **state)
{
    struct pipe *p = *state;
    struct tr_log log;
    tr_log_init(&log, p->write_fd, TR_LOG_INFO, TR_LOG_TEXT, "shop");
    tr_log(&log, TR_LOG_DEBUG, "capture", "not written");
    tr_log(&log, TR_LOG_WARNING, "capture", "table %s\nfake line\x1b[2J \xff \xc2\x9b caf\xc3\xa9", "a");
    const char *line = written(p);
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 24,
                        " warning shop capture: table a\\nfake line\\x1b[2J \\xff \\xc2\\x9b caf\xc3\xa9\n");
}

static void
test_json_line(void **state)
{
    struct pipe *p = *state;
    struct tr_log log;
    struct tr_error err;
    tr_log_init(&log, p->write_fd, TR_LOG_DEBUG, TR_LOG_JSON, "sh\"op");
    tr_fail(&err, TR_RETRY, "lost \"x\"\n\\ \x01 \xff");
    tr_error_hint(&err, "look at it");
    snprintf(err.sqlstate, sizeof(err.sqlstate), "08006");
    tr_log_error(&log, TR_LOG_ERROR, "sink", &err);
    json_t *line = json_loads(written(p), 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "task")), "sh\"op");
    assert_string_equal(json_string_value(json_object_get(line, "component")), "sink");
    assert_string_equal(json_string_value(json_object_get(line, "message")),
                        "lost \"x\"\n\\ \x01 \xef\xbf\xbd");
    assert_string_equal(json_string_value(json_object_get(line, "class")), tr_error_class_name(TR_RETRY));
    assert_string_equal(json_string_value(json_object_get(line, "sqlstate")), "08006");
    assert_string_equal(json_string_value(json_object_get(line, "hint")), "look at it");
    json_decref(line);
}

static void
test_hint_in_text(void **state)
{
    struct pipe *p = *state;
    struct tr_log log;
    struct tr_error err;
    tr_log_init(&log, p->write_fd, TR_LOG_INFO, TR_LOG_TEXT, "");
    tr_fail(&err, TR_FATAL, "bad");
    tr_error_hint(&err, "mend it");
    tr_log_error(&log, TR_LOG_ERROR, "app", &err);
    assert_string_equal(written(p) + 24, " error   app: bad (hint: mend it)\n");
}

/* The worst case of escaping must still give one whole line that parses. */
static void
test_long_lines_are_cut(void **state)
{
    struct pipe *p = *state;
    struct tr_error err = { .class = TR_FATAL };
    memset(err.text, '\x01', sizeof(err.text) - 1);
    memset(err.hint, '\x02', sizeof(err.hint) - 1);
    for (int format = TR_LOG_TEXT; format <= TR_LOG_JSON; format++) {
        struct tr_log log;
        tr_log_init(&log, p->write_fd, TR_LOG_INFO, format, "shop");
        tr_log_error(&log, TR_LOG_ERROR, "app", &err);
        const char *line = written(p);
        size_t len = strlen(line);
        assert_in_range(len, PIPE_BUF / 2, PIPE_BUF);
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        assert_non_null(strstr(line, "..."));
        assert_int_equal(log.dropped, 0);
        if (format == TR_LOG_JSON) {
            json_t *json = json_loads(line, 0, NULL);
            assert_non_null(json_object_get(json, "hint"));
            json_decref(json);
        }
    }
}

static void
test_full_pipe_drops(void **state)
{
    struct pipe *p = *state;
    struct tr_log log;
    char block[PIPE_BUF] = { 0 };
    while (write(p->write_fd, block, sizeof(block)) > 0)
        ;
    /* A blocking descriptor: a write would hang here for good. */
    assert_int_equal(fcntl(p->write_fd, F_SETFL, 0), 0);
    tr_log_init(&log, p->write_fd, TR_LOG_INFO, TR_LOG_TEXT, "shop");
    tr_log(&log, TR_LOG_INFO, "app", "lost");
    tr_log(&log, TR_LOG_INFO, "app", "lost too");
    assert_int_equal(log.dropped, 2);
}

static void
note_call(void *arg, char what)
{
    char *calls = arg;
    size_t n = strlen(calls);
    calls[n] = what;
    calls[n + 1] = '\0';
}

static void
clear(void *arg)
{
    note_call(arg, 'c');
}

static void
draw(void *arg)
{
    note_call(arg, 'd');
}

static void
test_display_is_drawn_around(void **state)
{
    struct pipe *p = *state;
    struct tr_log log;
    char calls[8] = "";
    tr_log_init(&log, p->write_fd, TR_LOG_INFO, TR_LOG_TEXT, "shop");
    log.clear = clear;
    log.draw = draw;
    log.arg = calls;
    tr_log(&log, TR_LOG_INFO, "app", "x");
    tr_log(&log, TR_LOG_DEBUG, "app", "x");
    assert_string_equal(calls, "cd");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hint_in_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_pipe_drops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_display_is_drawn_around, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
