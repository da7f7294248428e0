/* test_sql.c - the dependency tracker and the net change per key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/sql/keys.h"
#include "sinks/sql/net.h"

#define TEXT(s)                                              \
    {                                                        \
        .data = s, .len = sizeof(s) - 1, .state = TR_PRESENT \
    }
#define NOTHING            \
    {                      \
        .state = TR_ABSENT \
    }
#define ISNULL           \
    {                    \
        .state = TR_NULL \
    }

static const uint16_t first[] = { 0 };
static const uint16_t both[] = { 0, 1 };

static void
test_the_last_writer_of_a_key_is_known(void **state)
{
    struct tr_keys keys;
    (void)state;
    tr_keys_init(&keys);
    assert_int_equal(tr_keys_write(&keys, 42, 1, 1), 0);
    assert_int_equal(tr_keys_write(&keys, 43, 1, 1), 0);
    assert_int_equal(tr_keys_write(&keys, 42, 2, 1), 1);
    assert_int_equal(tr_keys_write(&keys, 42, 3, 1), 2);
    tr_keys_fini(&keys);
}

static void
test_keys_of_committed_groups_are_forgotten(void **state)
{
    struct tr_keys keys;
    (void)state;
    tr_keys_init(&keys);
    for (uint64_t group = 1; group <= 1000; group++)
        for (uint64_t i = 0; i < 1000; i++)
            tr_keys_write(&keys, group * 1000003 + i * 7919, group, group > 2 ? group - 2 : 1);
    assert_true(keys.cap <= 32768);
    /* what is in flight is still known */
    assert_int_equal(tr_keys_write(&keys, UINT64_C(1000) * 1000003, 1001, 999), 1000);
    assert_int_equal(tr_keys_write(&keys, UINT64_C(999) * 1000003, 1001, 999), 999);
    tr_keys_fini(&keys);
}

static void
test_hashes_of_keys(void **state)
{
    struct tr_value a[] = { TEXT("ab"), TEXT("c") }, b[] = { TEXT("a"), TEXT("bc") },
                    null[] = { TEXT("ab"), ISNULL }, absent[] = { TEXT("ab"), NOTHING };
    uint64_t x, y;
    (void)state;
    assert_true(tr_key_hash(1, a, both, 2, true, &x));
    assert_true(tr_key_hash(1, b, both, 2, true, &y));
    assert_true(x != y);
    assert_true(tr_key_hash(2, a, both, 2, true, &y));
    assert_true(x != y);
    assert_false(tr_key_hash(1, null, both, 2, true, &x));
    assert_true(tr_key_hash(1, null, both, 2, false, &x));
    assert_false(tr_key_hash(1, absent, both, 2, false, &x));
    assert_true(tr_key_same(null, null, both, 2));
    assert_false(tr_key_same(absent, absent, both, 2));
    assert_false(tr_key_same(a, null, both, 2));
}

struct fixture {
    struct tr_arena arena;
    struct tr_net net;
};

static void
open_net(struct fixture *f)
{
    tr_arena_init(&f->arena);
    tr_net_init(&f->net, &f->arena, 3, first, 1);
}

static void
close_net(struct fixture *f)
{
    tr_net_fini(&f->net);
    tr_arena_fini(&f->arena);
}

static void
test_changes_of_a_key_are_folded(void **state)
{
    struct fixture f;
    struct tr_value insert[] = { TEXT("1"), TEXT("a"), TEXT("big") },
                    update[] = { TEXT("1"), TEXT("b"), NOTHING }, null[] = { TEXT("1"), ISNULL, NOTHING },
                    other[] = { TEXT("2"), TEXT("z"), NOTHING };
    (void)state;
    open_net(&f);
    assert_non_null(tr_net_add(&f.net, TR_NET_INSERT, insert, insert));
    assert_non_null(tr_net_add(&f.net, TR_NET_UPDATE, other, other));
    struct tr_net_row *row = tr_net_add(&f.net, TR_NET_UPDATE, update, update);
    assert_int_equal(row->op, TR_NET_INSERT);
    assert_string_equal(row->row[1].data, "b");
    assert_string_equal(row->row[2].data, "big");
    assert_string_equal(insert[1].data, "a"); /* the batch's own image is not touched */
    row = tr_net_add(&f.net, TR_NET_UPDATE, null, null);
    assert_int_equal(row->row[1].state, TR_NULL);
    assert_int_equal(f.net.nrows, 2);
    row = tr_net_add(&f.net, TR_NET_DELETE, insert, NULL);
    assert_int_equal(row->op, TR_NET_NOTHING);
    row = tr_net_add(&f.net, TR_NET_INSERT, insert, insert);
    assert_int_equal(row->op, TR_NET_INSERT);
    close_net(&f);
}

static void
test_updates_keep_absent_columns_absent(void **state)
{
    struct fixture f;
    struct tr_value one[] = { TEXT("1"), NOTHING, TEXT("x") }, two[] = { TEXT("1"), TEXT("b"), NOTHING },
                    three[] = { TEXT("1"), NOTHING, NOTHING };
    (void)state;
    open_net(&f);
    struct tr_net_row *row = tr_net_add(&f.net, TR_NET_UPDATE, three, three);
    assert_int_equal(row->row[1].state, TR_ABSENT);
    tr_net_add(&f.net, TR_NET_UPDATE, one, one);
    row = tr_net_add(&f.net, TR_NET_UPDATE, two, two);
    assert_int_equal(row->op, TR_NET_UPDATE);
    assert_string_equal(row->row[1].data, "b");
    assert_string_equal(row->row[2].data, "x");
    row = tr_net_add(&f.net, TR_NET_DELETE, one, NULL);
    assert_int_equal(row->op, TR_NET_DELETE);
    close_net(&f);
}

static void
test_what_is_in_doubt_is_not_folded(void **state)
{
    struct fixture f;
    struct tr_value row[] = { TEXT("1"), TEXT("a"), TEXT("b") },
                    keyless[] = { NOTHING, TEXT("a"), TEXT("b") };
    (void)state;
    open_net(&f);
    assert_null(tr_net_add(&f.net, TR_NET_UPDATE, keyless, keyless));
    assert_non_null(tr_net_add(&f.net, TR_NET_DELETE, row, NULL));
    assert_null(tr_net_add(&f.net, TR_NET_INSERT, row, row));
    assert_null(tr_net_add(&f.net, TR_NET_UPDATE, row, row));
    tr_net_clear(&f.net);
    assert_non_null(tr_net_add(&f.net, TR_NET_INSERT, row, row));
    assert_null(tr_net_add(&f.net, TR_NET_INSERT, row, row));
    f.net.unfolded = true;
    assert_null(tr_net_add(&f.net, TR_NET_UPDATE, row, row));
    close_net(&f);
}

static void
test_many_keys(void **state)
{
    struct fixture f;
    static char texts[5000][8];
    static struct tr_value rows[5000][3];
    (void)state;
    open_net(&f);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            int len = snprintf(texts[i], sizeof texts[i], "%d", i);
            rows[i][0] = (struct tr_value){ .data = texts[i], .len = (uint32_t)len, .state = TR_PRESENT };
            struct tr_net_row *entry = tr_net_add(&f.net, round == 0 ? TR_NET_INSERT : TR_NET_UPDATE, rows[i],
                                                  rows[i]);
            assert_non_null(entry);
            assert_ptr_equal(entry->key, rows[i]);
        }
        assert_int_equal(f.net.nrows, 5000);
    }
    close_net(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_writer_of_a_key_is_known),
        cmocka_unit_test(test_keys_of_committed_groups_are_forgotten),
        cmocka_unit_test(test_hashes_of_keys),
        cmocka_unit_test(test_changes_of_a_key_are_folded),
        cmocka_unit_test(test_updates_keep_absent_columns_absent),
        cmocka_unit_test(test_what_is_in_doubt_is_not_folded),
        cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
