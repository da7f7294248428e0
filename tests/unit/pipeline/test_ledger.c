/* test_ledger.c - the low-water mark moves only over what the sink reported, and sinks' states fit one batch each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/ledger.h"

static uint64_t
add(struct tr_ledger *ledger, const char *checkpoint, const char *table)
{
    struct tr_batch *batch = tr_batch_new();
    batch->checkpoint = checkpoint;
    batch->load_table = table;
    batch->load_cut = table != NULL ? "0/1" : NULL;
    batch->rows = 1;
    tr_ledger_add(ledger, batch);
    uint64_t sequence = batch->sequence;
    tr_batch_free(batch);
    return sequence;
}

static void
expect(struct tr_ledger *ledger, const char *position, const char *state, size_t tables)
{
    struct tr_ledger_mark mark;
    assert_int_equal(tr_ledger_take(ledger, &mark), position != NULL || tables > 0);
    if (position == NULL)
        assert_null(mark.position);
    else
        assert_string_equal(mark.position, position);
    if (state == NULL)
        assert_null(mark.sink_state);
    else
        assert_string_equal(mark.sink_state, state);
    assert_int_equal(mark.ntables_done, tables);
    tr_ledger_mark_fini(&mark);
}

static void
only_reported_checkpoints_count(void **state)
{
    (void)state;
    struct tr_ledger ledger;
    tr_ledger_init(&ledger);
    assert_true(tr_ledger_empty(&ledger));
    uint64_t first = add(&ledger, "0/10", NULL);
    uint64_t slice = add(&ledger, NULL, NULL);
    uint64_t last = add(&ledger, "0/30", NULL);
    expect(&ledger, NULL, NULL, 0);
    tr_ledger_durable(&ledger, slice, NULL);
    expect(&ledger, "0/10", NULL, 0);
    assert_false(tr_ledger_empty(&ledger));
    tr_ledger_durable(&ledger, first, NULL); /* late and harmless */
    expect(&ledger, NULL, NULL, 0);
    tr_ledger_durable(&ledger, last, NULL);
    expect(&ledger, "0/30", NULL, 0);
    assert_true(tr_ledger_empty(&ledger));
    assert_int_equal(ledger.rows_durable, 3);
    tr_ledger_fini(&ledger);
}

static void
a_state_belongs_to_one_batch(void **state)
{
    (void)state;
    struct tr_ledger ledger;
    tr_ledger_init(&ledger);
    uint64_t table = add(&ledger, NULL, "public.a");
    uint64_t middle = add(&ledger, NULL, NULL);
    /* The state behind the middle of the next table says nothing about the end of the first. */
    tr_ledger_durable(&ledger, table, "length=100");
    tr_ledger_durable(&ledger, middle, "length=150");
    expect(&ledger, NULL, "length=100", 1);
    uint64_t commit = add(&ledger, "0/10", NULL);
    uint64_t slice = add(&ledger, NULL, NULL);
    tr_ledger_durable(&ledger, slice,
                      "length=300"); /* overtakes the commit: its state is not known, it is not saved */
    (void)commit;
    expect(&ledger, NULL, NULL, 0);
    tr_ledger_fini(&ledger);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_reported_checkpoints_count),
        cmocka_unit_test(a_state_belongs_to_one_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
