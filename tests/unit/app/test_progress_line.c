/* test_progress_line.c - the figures and words of a status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "app/progress.h"
#include "core/clock.h"

static struct tr_buffer out;

static const char *
line(const struct tr_task_status *status, const struct tr_rates *rates, int width)
{
    tr_buffer_reset(&out);
    tr_progress_line(status, rates, width, &out);
    return out.data;
}

static struct tr_task_status
loading(void)
{
    return (struct tr_task_status){
        .phase = TR_PHASE_LOADING,
        .load_tables = 12,
        .load_tables_done = 3,
        .load_rows = 1234567,
        .load_bytes = 45000000,
        .load_bytes_expected = 100000000,
        .lag_us = -1,
        .lag_bytes = -1,
    };
}

static void
test_rates(void **state)
{
    struct tr_rates rates = { 0 };
    struct tr_task_status status = { .rows = 1000, .transactions = 10 };
    (void)state;
    tr_rates_sample(&rates, &status, 5 * TR_US_PER_S, 1);
    assert_true(rates.rows_s == 0);
    status.rows = 3000;
    status.transactions = 20;
    tr_rates_sample(&rates, &status, 7 * TR_US_PER_S, 1);
    assert_true(rates.rows_s > 999 && rates.rows_s < 1001);
    assert_true(rates.transactions_s > 4.99 && rates.transactions_s < 5.01);
    /* Half a life later half of the old rate is left. */
    tr_rates_sample(&rates, &status, 9 * TR_US_PER_S, 2 * TR_US_PER_S);
    assert_true(rates.rows_s > 499 && rates.rows_s < 501);
    /* The same moment again, and a count that was set back, must give no nonsense. */
    tr_rates_sample(&rates, &status, 9 * TR_US_PER_S, 1);
    status.rows = 0;
    tr_rates_sample(&rates, &status, 10 * TR_US_PER_S, 1);
    assert_true(rates.rows_s >= 0 && rates.rows_s < 1);
}

static void
test_load_line(void **state)
{
    struct tr_task_status status = loading();
    struct tr_rates rates = { .load_rows_s = 150000, .load_bytes_s = 1000000 };
    char expected[200];
    (void)state;
    snprintf(expected, sizeof(expected),
             "%s: 45%%, left 0:55, 3 of 12 tables, 1.2 M rows, 150 krows/s, 1.0 MB/s",
             tr_task_phase_name(TR_PHASE_LOADING));
    assert_string_equal(line(&status, &rates, 0), expected);
    snprintf(expected, sizeof(expected), "%s [#############-----------------] 45%%, left 0:55, 3 of 12",
             tr_task_phase_name(TR_PHASE_LOADING));
    assert_memory_equal(line(&status, &rates, 120), expected, strlen(expected));
    assert_int_equal(strlen(line(&status, &rates, 90)), 90); /* a shorter bar, and every word */
    assert_non_null(strstr(out.data, ", 1.0 MB/s"));
    assert_string_equal(line(&status, &rates, 50),
                        "loading [####------] 45%, left 0:55"); /* whole figures only */
    assert_string_equal(line(&status, &rates, 25), "loading [####------] 45%");
    assert_string_equal(line(&status, &rates, 22), "loading [####------] 4");
    status.load_bytes_expected = 0;
    assert_null(strchr(line(&status, &rates, 120), '%'));
    status.load_bytes = 1 << 30;
    status.load_bytes_expected = 1;
    assert_non_null(strstr(line(&status, &rates, 120), "100%"));
    assert_null(strstr(out.data, "left"));
}

static void
test_stream_line(void **state)
{
    struct tr_task_status status = {
        .phase = TR_PHASE_STREAMING, .lag_us = 20000, .lag_bytes = 1200000, .checkpoint = "0/1A2B\x1b[2J"
    };
    struct tr_rates rates = { .rows_s = 12345, .transactions_s = 12 };
    char expected[200];
    (void)state;
    snprintf(expected, sizeof(expected),
             "%s: 12.3 krows/s, 12 tx/s, lag 0.020 s, 1.2 MB behind, checkpoint 0/1A2B\\x1b[2J",
             tr_task_phase_name(TR_PHASE_STREAMING));
    assert_string_equal(line(&status, &rates, 0), expected);
    status.lag_us = status.lag_bytes = -1;
    status.checkpoint[0] = '\0';
    rates = (struct tr_rates){ 0 };
    snprintf(expected, sizeof(expected), "%s: 0 rows/s, 0 tx/s", tr_task_phase_name(TR_PHASE_STREAMING));
    assert_string_equal(line(&status, &rates, 0), expected);
}

static void
test_back_off_line(void **state)
{
    struct tr_task_status status = { .phase = TR_PHASE_BACKING_OFF, .message = "connection refused" };
    struct tr_rates rates = { 0 };
    (void)state;
    assert_non_null(strstr(line(&status, &rates, 0), ": connection refused"));
}

static void
test_summary(void **state)
{
    struct tr_task_status status = { .load_tables = 1,
                                     .load_tables_done = 1,
                                     .load_rows = 5,
                                     .rows = 7,
                                     .transactions = 1,
                                     .retries = 2,
                                     .checkpoint = "0/1" };
    (void)state;
    tr_buffer_reset(&out);
    tr_progress_summary(&status, 12340000, &out);
    assert_string_equal(
        out.data, "5 rows loaded in 1 table, 7 changes in 1 transaction, 2 retries, 12.3 s, checkpoint 0/1");
    status = (struct tr_task_status){ 0 };
    tr_buffer_reset(&out);
    tr_progress_summary(&status, 0, &out);
    assert_string_equal(out.data, "0 changes in 0 transactions, 0.0 s, checkpoint none");
}

static int
setup(void **state)
{
    (void)state;
    tr_buffer_init(&out, 10000);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    tr_buffer_fini(&out);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),       cmocka_unit_test(test_load_line),
        cmocka_unit_test(test_stream_line), cmocka_unit_test(test_back_off_line),
        cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
