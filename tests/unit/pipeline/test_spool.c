/* test_spool.c - what goes in comes out, in order, without what was rolled back, from memory and from disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/spool.h"

static void
add(struct tr_spool *spool, uint64_t xid, uint64_t subxid, unsigned n, size_t size, bool shape)
{
    static uint8_t bytes[1 << 20];
    struct tr_error err;
    memset(bytes, (int)(n & 0xff), size);
    memcpy(bytes, &n, sizeof(n));
    struct tr_spool_frame frame = { bytes, size, n, subxid, shape };
    assert_int_equal(tr_spool_add(spool, tr_spool_begin(spool, xid), &frame, &err), 0);
}

/* Reads all frames, checks their bytes, returns how many there were. */
static unsigned
drain(struct tr_spool *spool, uint64_t xid, unsigned first, unsigned step)
{
    struct tr_error err;
    struct tr_spool_frame frame;
    struct tr_spool_txn *txn = tr_spool_find(spool, xid);
    unsigned count = 0;
    assert_non_null(txn);
    tr_spool_rewind(txn);
    while (tr_spool_next(spool, txn, &frame, &err) == 1) {
        unsigned n;
        memcpy(&n, frame.data, sizeof(n));
        assert_int_equal(n, first + count * step);
        assert_int_equal(frame.order, n);
        for (size_t i = sizeof(n); i < frame.len; i += 997)
            assert_int_equal(frame.data[i], n & 0xff);
        count++;
    }
    return count;
}

static void
interleaved_transactions_stay_apart(void **state)
{
    (void)state;
    struct tr_spool *spool = tr_spool_new("/tmp", 1 << 20);
    for (unsigned n = 0; n < 100; n++)
        add(spool, 10 + n % 2, 10 + n % 2, n, 64, false);
    assert_int_equal(drain(spool, 10, 0, 2), 50);
    assert_int_equal(drain(spool, 11, 1, 2), 50);
    assert_int_equal(drain(spool, 11, 1, 2), 50); /* a second reading begins anew */
    tr_spool_drop(spool, tr_spool_find(spool, 10));
    assert_null(tr_spool_find(spool, 10));
    assert_int_equal(drain(spool, 11, 1, 2), 50);
    assert_int_equal(tr_spool_spilled(spool), 0);
    tr_spool_free(spool);
}

static void
rolled_back_parts_are_passed_over_but_shapes_are_kept(void **state)
{
    (void)state;
    struct tr_spool *spool = tr_spool_new("/tmp", 1 << 20);
    add(spool, 7, 7, 0, 16, false);
    add(spool, 7, 8, 5, 16, true);
    add(spool, 7, 8, 99, 16, false);
    add(spool, 7, 7, 10, 16, false);
    add(spool, 7, 9, 98, 16, false);
    tr_spool_abort_subxid(tr_spool_find(spool, 7), 9);
    tr_spool_abort_subxid(tr_spool_find(spool, 7), 8);
    assert_int_equal(drain(spool, 7, 0, 5), 3);
    tr_spool_free(spool);
}

static void
more_than_the_limit_goes_to_disk_and_comes_back(void **state)
{
    (void)state;
    struct tr_spool *spool = tr_spool_new("/tmp", 1 << 20);
    for (unsigned n = 0; n < 2000; n++) {
        add(spool, 1, 1, n, 10000, false);
        if (n % 10 == 0)
            add(spool, 2, 2, n, 100, false);
        assert_true(tr_spool_memory(spool) <= (1 << 20) + 11000);
    }
    assert_true(tr_spool_spilled(spool) > (10 << 20));
    assert_int_equal(drain(spool, 1, 0, 1), 2000);
    assert_int_equal(drain(spool, 2, 0, 10), 200);
    tr_spool_clear(spool);
    assert_int_equal(tr_spool_memory(spool), 0);
    add(spool, 3, 3, 0, 512 << 10, false); /* the file is used from its start again */
    add(spool, 3, 3, 1, 900 << 10, false);
    assert_int_equal(drain(spool, 3, 0, 1), 2);
    tr_spool_free(spool);
}

static void
a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct tr_error err;
    struct tr_spool *spool = tr_spool_new("/nonexistent/place", 10);
    uint8_t bytes[100] = { 0 };
    struct tr_spool_frame frame = { bytes, sizeof(bytes), 1, 1, false };
    assert_int_equal(tr_spool_add(spool, tr_spool_begin(spool, 1), &frame, &err), -TR_FATAL);
    assert_non_null(strstr(err.text, "/nonexistent/place"));
    tr_spool_free(spool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interleaved_transactions_stay_apart),
        cmocka_unit_test(rolled_back_parts_are_passed_over_but_shapes_are_kept),
        cmocka_unit_test(more_than_the_limit_goes_to_disk_and_comes_back),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
