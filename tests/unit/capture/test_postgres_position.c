/* test_postgres_position.c - positions, stops and times of the PostgreSQL source; no server is asked. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/postgres/internal.h"

static void
positions_compare_as_numbers(void **state)
{
    (void)state;
    assert_int_equal(tr_postgres_compare("0/9", "0/A"), -1);
    assert_int_equal(tr_postgres_compare("0/A", "0/A"), 0);
    assert_int_equal(tr_postgres_compare("1/0", "0/FFFFFFFF"), 1);
    assert_int_equal(tr_postgres_compare("9/0", "10/0"), -1);
    assert_int_equal(tr_postgres_compare("0/A", ""), INT_MIN);
    assert_int_equal(tr_postgres_compare("mysql-bin.1:4", "0/A"), INT_MIN);
}

/* The next transaction's commit record may begin exactly where the one before ended. */
static void
a_position_covers_commits_that_begin_before_it(void **state)
{
    (void)state;
    struct tr_txn txn = { .commit_order = 0x100, .end_order = 0x130 };
    assert_false(tr_postgres_covers(NULL, "0/FF", &txn));
    assert_false(tr_postgres_covers(NULL, "0/100", &txn));
    assert_true(tr_postgres_covers(NULL, "0/101", &txn));
    assert_true(tr_postgres_covers(NULL, "0/130", &txn));
    assert_false(tr_postgres_covers(NULL, "", &txn));
    txn.commit_order = 0; /* still open */
    assert_false(tr_postgres_covers(NULL, "F/0", &txn));
}

static void
a_checkpoint_is_the_end_of_the_last_whole_transaction(void **state)
{
    (void)state;
    struct tr_error err;
    const char *position = NULL;
    struct tr_batch *batch = tr_batch_new();
    assert_int_equal(tr_postgres_checkpoint(NULL, batch, &position, &err), -TR_FATAL);
    *tr_batch_txn(batch) = (struct tr_txn){ .commit_order = 0x100, .end_order = 0x130, .ends = true };
    *tr_batch_txn(
        batch) = (struct tr_txn){ .commit_order = 0x200, .end_order = UINT64_C(0x100000230), .ends = true };
    assert_int_equal(tr_postgres_checkpoint(NULL, batch, &position, &err), 0);
    assert_string_equal(position, "1/230");
    *tr_batch_txn(batch) = (struct tr_txn){ .commit_order = 0x300 };
    assert_int_equal(tr_postgres_checkpoint(NULL, batch, &position, &err), 0);
    assert_string_equal(position, "1/230");
    struct tr_frame frame = { .kind = TR_FRAME_KEEPALIVE, .end = 0x400 };
    assert_int_equal(tr_postgres_keepalive_checkpoint(NULL, &frame, batch, &position, &err), 0);
    assert_string_equal(position, "0/400");
    tr_batch_free(batch);
}

static void
times_are_read_in_utc(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        { "2026-01-01T00:00:00Z", INT64_C(1767225600000000) },
        { "2026-01-01", INT64_C(1767225600000000) },
        { "2026-01-01 02:00:00+02", INT64_C(1767225600000000) },
        { "2025-12-31T18:30:00-05:30", INT64_C(1767225600000000) },
        { "2026-01-01T00:00:00.25Z", INT64_C(1767225600250000) },
        { "1767225600", INT64_C(1767225600000000) },
        { "1767225600.000001", INT64_C(1767225600000001) },
        { "2024-02-29 00:00", INT64_C(1709164800000000) },
    };
    static const char *const bad[] = { "",
                                       "now",
                                       "2026-13-01",
                                       "2026-02-30",
                                       "2025-02-29",
                                       "2026-1-1",
                                       "2026-01-01T24:00:00",
                                       "2026-01-01T00:00:00 CET",
                                       "2026-01-01T00:00:00+",
                                       "2026-01-01x",
                                       "-5",
                                       "99999999999999999999" };
    int64_t us;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(tr_postgres_time_parse(good[i].text, &us));
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(tr_postgres_time_parse(bad[i], &us));
}

static void
a_stop_is_an_order_or_a_time(void **state)
{
    (void)state;
    struct tr_error err;
    uint64_t order;
    int64_t us;
    assert_int_equal(tr_postgres_stop_at(NULL, "never", &order, &us, &err), 0);
    assert_true(order == UINT64_MAX && us == 0);
    assert_int_equal(tr_postgres_stop_at(NULL, "lsn:1/2", &order, &us, &err), 0);
    assert_true(order == UINT64_C(0x100000002) && us == 0);
    assert_int_equal(tr_postgres_stop_at(NULL, "time:10", &order, &us, &err), 0);
    assert_true(order == UINT64_MAX && us == 10000000);
    static const char *const bad[] = { "lsn:", "lsn:1", "time:", "time:soon", "gtid:1", "" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tr_postgres_stop_at(NULL, bad[i], &order, &us, &err), -TR_CONFIG);
        assert_true(err.hint[0] != '\0');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_compare_as_numbers),
        cmocka_unit_test(a_position_covers_commits_that_begin_before_it),
        cmocka_unit_test(a_checkpoint_is_the_end_of_the_last_whole_transaction),
        cmocka_unit_test(times_are_read_in_utc),
        cmocka_unit_test(a_stop_is_an_order_or_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
