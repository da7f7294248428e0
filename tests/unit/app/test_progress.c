/* test_progress.c - the display thread and the log share one terminal without tearing each other's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <poll.h>
#include <unistd.h>

#include "app/progress.h"
#include "core/clock.h"

static void
status(void *arg, struct tr_task_status *to)
{
    (void)arg;
    *to = (struct tr_task_status){
        .phase = TR_PHASE_STREAMING, .lag_us = -1, .lag_bytes = -1, .checkpoint = "0/77"
    };
}

/* Read from the pipe until `words` have come; fails after ten seconds. */
static void
read_until(int fd, char *text, size_t size, const char *words)
{
    size_t len = strlen(text);
    int64_t deadline = tr_clock_us() + 10 * TR_US_PER_S;
    while (strstr(text, words) == NULL) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        if (tr_clock_us() > deadline || len + 1 == size)
            fail_msg("no '%s' in '%s'", words, text);
        if (poll(&ready, 1, 100) == 1) {
            ssize_t n = read(fd, text + len, size - 1 - len);
            assert_true(n > 0);
            len += (size_t)n;
            text[len] = '\0';
        }
    }
}

static void
test_log_lines(void **state)
{
    int fds[2];
    char text[20000] = "";
    struct tr_log log;
    struct tr_error err;
    struct tr_progress *progress;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    tr_log_init(&log, fds[1], TR_LOG_INFO, TR_LOG_TEXT, "shop");
    struct tr_progress_config config = { .log = &log, .fd = -1, .interval_us = 1000, .status = status };
    assert_int_equal(tr_progress_start(&config, &progress, &err), 0);
    read_until(fds[0], text, sizeof(text), "progress: streaming: 0 rows/s, 0 tx/s, checkpoint 0/77\n");
    tr_progress_stop(progress);
    close(fds[0]);
    close(fds[1]);
}

static void
test_display(void **state)
{
    int fds[2];
    char text[20000] = "";
    struct tr_log log;
    struct tr_error err;
    struct tr_progress *progress;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    tr_log_init(&log, fds[1], TR_LOG_INFO, TR_LOG_TEXT, "shop");
    struct tr_progress_config config = { .log = &log, .fd = fds[1], .interval_us = 1000, .status = status };
    assert_int_equal(tr_progress_start(&config, &progress, &err), 0);
    read_until(fds[0], text, sizeof(text), "\r\033[Kstreaming: 0 rows/s, 0 tx/s, checkpoint 0/77");
    tr_log(&log, TR_LOG_INFO, "app", "in between");
    /* The line is taken away, the log line written, the line drawn again. */
    read_until(fds[0], text, sizeof(text), "app: in between\nstreaming: ");
    tr_progress_stop(progress);
    assert_null(log.clear);
    tr_log(&log, TR_LOG_INFO, "app", "after");
    read_until(fds[0], text, sizeof(text), "app: after\n");
    close(fds[0]);
    close(fds[1]);
}

static void
test_nothing_to_show(void **state)
{
    struct tr_log log;
    struct tr_error err;
    struct tr_progress *progress = (void *)&log;
    (void)state;
    struct tr_progress_config config = { .log = &log, .fd = -1, .interval_us = 0, .status = status };
    assert_int_equal(tr_progress_start(&config, &progress, &err), 0);
    assert_null(progress);
    tr_progress_stop(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_log_lines), cmocka_unit_test(test_display),
                                        cmocka_unit_test(test_nothing_to_show) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
