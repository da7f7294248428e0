/* test_sql_plan.c - groups of the SQL sinks: which batches make one, and which steps come out, free or waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/sql/maps.h"
#include "sinks/sql/pending.h"
#include "sinks/sql/plan.h"
#include "tests/unit/encoders/sample.h"

/* One table t(id, v) with the key id, or without one. */
struct bench {
    struct tr_sql_planner planner;
    struct tr_sql_plan plan;
    struct tr_sql_table table;
    struct tr_sql_map map;
    struct tr_sql_watched watched;
    struct tr_relation *relation;
    struct tr_batch *batch;
    int answer; /* of map() */
};

static uint16_t key[] = { 0 };

static int
setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    tr_sql_planner_init(&b->planner);
    b->planner.parallel = true;
    tr_arena_init(&b->plan.arena);
    b->plan.number = 1;
    b->relation = sample_relation(1, "s", "t", 2, (const char *[]){ "id:int32:k", "v:text" });
    b->watched = (struct tr_sql_watched){ .seed = 7, .columns = key, .ncolumns = 1 };
    b->map = (struct tr_sql_map){ .table = &b->table,
                                  .label = "s.t",
                                  .ncolumns = 2,
                                  .key = key,
                                  .nkey = 1,
                                  .watched = &b->watched,
                                  .nwatched = 1 };
    b->batch = tr_batch_new();
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    tr_sql_plan_fini(&b->plan);
    tr_sql_planner_fini(&b->planner);
    tr_net_fini(&b->map.net);
    tr_batch_free(b->batch);
    tr_relation_unref(b->relation);
    free(b);
    return 0;
}

static int
give_map(void *arg, struct tr_relation *relation, struct tr_sql_map **map, struct tr_error *err)
{
    struct bench *b = arg;
    (void)relation;
    (void)err;
    *map = &b->map;
    return b->answer;
}

static int
give_truncate(void *arg, struct tr_sql_plan *plan, const struct tr_event *event, struct tr_error *err)
{
    (void)arg;
    (void)err;
    tr_sql_plan_statement(plan, "TRUNCATE t", event);
    return 0;
}

static const struct tr_value *
row(struct bench *b, const char *id, const char *v)
{
    return sample_row(b->batch, 2, (const char *[]){ id, v });
}

static void
change(struct bench *b, enum tr_event_kind kind, const struct tr_value *before, const struct tr_value *after)
{
    sample_event(b->batch, kind, b->relation, before, after);
}

static int
plan(struct bench *b, uint64_t oldest)
{
    struct tr_error err;
    const struct tr_sql_target target = { .arg = b, .map = give_map, .truncate = give_truncate };
    return tr_sql_plan(&b->planner, &b->plan, b->batch, oldest, &target, &err);
}

/* The next group, with nothing in it. */
static void
next_group(struct bench *b)
{
    tr_batch_free(b->batch);
    b->batch = tr_batch_new();
    b->plan.number++;
    b->plan.alone = b->plan.ordered = false;
}

/* "delete 1,3; insert 7": operations and the first column of each row. */
static const char *
steps(const struct tr_sql_steps *list)
{
    static const char *const names[] = { "insert", "update", "rekey", "delete", "update-row", "delete-row" };
    static char out[512];
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < list->count; i++) {
        const struct tr_sql_step *step = &list->items[i];
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s ", i > 0 ? "; " : "",
                               step->sql != NULL ? step->sql : names[step->op]);
        for (uint32_t r = 0; r < step->nrows; r++)
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s", r > 0 ? "," : "",
                                   (int)step->rows[r]->key[0].len, step->rows[r]->key[0].data);
    }
    return out;
}

static void
test_deletes_then_updates_then_inserts(void **state)
{
    struct bench *b = *state;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    change(b, TR_UPDATE, NULL, row(b, "2", "b"));
    change(b, TR_DELETE, row(b, "3", "c"), NULL);
    change(b, TR_INSERT, NULL, row(b, "4", "d"));
    change(b, TR_UPDATE, NULL, row(b, "1", "e")); /* folded into the insert */
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.free), "delete 3; update 2; insert 1,4");
    assert_int_equal(b->plan.dependent.count, 0);
}

static void
test_rows_with_other_columns_are_a_step_of_their_own(void **state)
{
    struct bench *b = *state;
    change(b, TR_UPDATE, NULL, row(b, "1", "a"));
    change(b, TR_UPDATE, NULL, row(b, "2", SAMPLE_ABSENT));
    change(b, TR_UPDATE, NULL, row(b, "3", "b"));
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.free), "update 1,3; update 2");
}

static void
test_a_new_key_goes_alone_and_in_its_place(void **state)
{
    struct bench *b = *state;
    change(b, TR_DELETE, row(b, "2", "b"), NULL);
    change(b, TR_UPDATE, row(b, "1", "a"), row(b, "2", "a"));
    change(b, TR_INSERT, NULL, row(b, "1", "c"));
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.free), "delete 2; rekey 1; insert 1");
}

static void
test_a_key_of_an_open_group_waits(void **state)
{
    struct bench *b = *state;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    assert_int_equal(plan(b, 1), 0);
    next_group(b);
    change(b, TR_UPDATE, NULL, row(b, "1", "b"));
    change(b, TR_UPDATE, NULL, row(b, "2", "b"));
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.free), "update 2");
    assert_string_equal(steps(&b->plan.dependent), "update 1");
    assert_int_equal(b->plan.depends, 1);
    next_group(b);
    change(b, TR_UPDATE, NULL, row(b, "1", "c"));
    assert_int_equal(plan(b, 3), 0); /* both are committed */
    assert_string_equal(steps(&b->plan.free), "update 1");
}

static void
test_rows_without_a_key_wait_for_their_table(void **state)
{
    struct bench *b = *state;
    b->map.nkey = b->map.nwatched = 0;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.free), "insert 1");
    next_group(b);
    change(b, TR_DELETE, row(b, "1", "a"), NULL);
    change(b, TR_INSERT, NULL, row(b, "1", "b"));
    assert_int_equal(plan(b, 1), 0);
    assert_int_equal(b->plan.free.count, 0);
    assert_string_equal(steps(&b->plan.dependent), "delete-row 1; insert 1");
    assert_int_equal(b->plan.depends, 1);
}

/* A large transaction meets its own number at its second slice. */
static void
test_a_slice_never_waits_for_its_own_group(void **state)
{
    struct bench *b = *state;
    b->table.exclusive = true;
    b->plan.number = 5;
    b->plan.alone = true;
    for (int slice = 0; slice < 3; slice++) {
        tr_batch_free(b->batch);
        b->batch = tr_batch_new();
        change(b, TR_INSERT, NULL, row(b, "1", "a"));
        change(b, TR_UPDATE, row(b, "1", "a"), row(b, "2", "a"));
        assert_int_equal(plan(b, 5), 0);
        assert_true(b->plan.depends < 5);
        assert_int_equal(b->plan.free.count + b->plan.dependent.count, 2);
    }
    assert_int_equal(b->planner.barrier, 5);
}

static void
test_triggers_see_the_order_of_the_source(void **state)
{
    struct bench *b = *state;
    b->table.fires = true;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    change(b, TR_DELETE, row(b, "2", "b"), NULL);
    change(b, TR_INSERT, NULL, row(b, "2", "c"));
    assert_int_equal(plan(b, 1), 0);
    assert_true(b->plan.ordered && b->plan.alone);
    assert_int_equal(b->plan.free.count, 0);
    assert_string_equal(steps(&b->plan.dependent), "insert 1; delete 2; insert 2");
    assert_int_equal(b->planner.barrier, 1);
}

static void
test_a_truncate_stands_between(void **state)
{
    struct bench *b = *state;
    b->plan.alone = true;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    change(b, TR_TRUNCATE, NULL, NULL);
    change(b, TR_INSERT, NULL, row(b, "1", "b"));
    assert_int_equal(plan(b, 1), 0);
    assert_string_equal(steps(&b->plan.dependent), "insert 1; TRUNCATE t ; insert 1");
}

static void
test_a_shape_to_be_changed_first_ends_the_plan(void **state)
{
    struct bench *b = *state;
    b->answer = 1;
    change(b, TR_INSERT, NULL, row(b, "1", "a"));
    assert_int_equal(plan(b, 1), 1);
    assert_true(b->plan.alone);
    assert_int_equal(b->planner.barrier, 1);
}

/* ------------------------------------------------------------------------------------------- pending */

static bool
changes_shape(const struct tr_event *event)
{
    return event->kind == TR_SCHEMA;
}

static struct tr_batch *
batch_of(int rows, enum tr_event_kind kind, const char *checkpoint)
{
    struct tr_batch *batch = tr_batch_new();
    for (int i = 0; i < rows; i++)
        sample_event(batch, kind, NULL, NULL, NULL);
    batch->checkpoint = checkpoint;
    return batch;
}

static void
test_a_group_takes_whole_transactions(void **state)
{
    struct tr_sql_pending pending;
    uint64_t rows, bytes;
    (void)state;
    tr_sql_pending_init(&pending, 10, (uint64_t)64 << 20, 4, changes_shape);
    tr_sql_pending_add(&pending, batch_of(4, TR_INSERT, NULL));
    assert_null(tr_sql_pending_reach(&pending).end);
    assert_false(tr_sql_pending_has_end(&pending));
    tr_sql_pending_add(&pending, batch_of(4, TR_INSERT, "1"));
    tr_sql_pending_add(&pending, batch_of(2, TR_TRUNCATE, "2"));
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, "3"));
    struct tr_sql_reach reach = tr_sql_pending_reach(&pending);
    assert_string_equal(reach.end->checkpoint, "2"); /* the third would be an eleventh row */
    assert_true(reach.truncate && !reach.large && !reach.ddl);
    assert_true(tr_sql_pending_over(&pending, 1) && !tr_sql_pending_over(&pending, 2));
    struct tr_batch *taken = tr_sql_pending_take(&pending, reach.end, &rows, &bytes);
    assert_int_equal(rows, 10);
    assert_int_equal(pending.rows, 1);
    assert_string_equal(pending.first->checkpoint, "3");
    assert_ptr_equal(pending.first, pending.last);
    tr_sql_batches_free(taken);
    tr_sql_pending_free(&pending);
}

static void
test_a_change_of_shape_stands_alone(void **state)
{
    struct tr_sql_pending pending;
    uint64_t rows, bytes;
    (void)state;
    tr_sql_pending_init(&pending, 100, (uint64_t)64 << 20, 4, changes_shape);
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, "1"));
    tr_sql_pending_add(&pending, batch_of(1, TR_SCHEMA, "2"));
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, "3"));
    static const char *const ends[] = { "1", "2", "3" };
    for (int i = 0; i < 3; i++) {
        struct tr_sql_reach reach = tr_sql_pending_reach(&pending);
        assert_string_equal(reach.end->checkpoint, ends[i]);
        assert_int_equal(reach.ddl, i == 1);
        assert_int_equal(tr_sql_pending_changes_shape(&pending), i == 1);
        tr_sql_batches_free(tr_sql_pending_take(&pending, reach.end, &rows, &bytes));
    }
    assert_null(pending.last);
}

static void
test_a_large_transaction_goes_in_slices(void **state)
{
    struct tr_sql_pending pending;
    uint64_t rows, bytes;
    (void)state;
    tr_sql_pending_init(&pending, 100, 4096, 2, changes_shape); /* holds 1 KiB */
    struct tr_batch *batch = batch_of(1, TR_INSERT, NULL);
    tr_arena_alloc(&batch->arena, 100000);
    tr_sql_pending_add(&pending, batch);
    struct tr_sql_reach reach = tr_sql_pending_reach(&pending);
    assert_true(reach.large);
    tr_sql_batches_free(tr_sql_pending_take(&pending, reach.end, &rows, &bytes));
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, NULL));
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, "1"));
    tr_sql_pending_add(&pending, batch_of(1, TR_INSERT, "2"));
    reach = tr_sql_pending_slice(&pending);
    assert_string_equal(reach.end->checkpoint, "1");
    tr_sql_pending_free(&pending);
}

/* What a session left out of a row image would stay as it was at the target, and nobody would know. */
static void
test_a_row_without_a_virtual_column_is_refused(void **state)
{
    struct bench *b = *state;
    struct tr_column *v = (struct tr_column *)(uintptr_t)&b->relation->columns[1];
    const int32_t there[] = { 0, 1 }, not_there[] = { 0, -1 };
    struct tr_value *short_row = (struct tr_value *)(uintptr_t)row(b, "1", "x");
    b->map.relation = b->relation;
    v->generated = true;
    v->logged = TR_LOGGED_IN_FULL;
    short_row[1].state = TR_ABSENT;
    change(b, TR_INSERT, NULL, short_row);
    tr_sql_map_want_full(&b->map, b->relation, not_there);
    assert_int_equal(plan(b, 1), 0);
    tr_sql_map_want_full(&b->map, b->relation, there);
    assert_int_equal(plan(b, 1), -TR_REFUSED);
    next_group(b);
    change(b, TR_INSERT, NULL, row(b, "1", "x"));
    change(b, TR_DELETE, row(b, "1", "x"), NULL);
    assert_int_equal(plan(b, 1), 0);
    free(b->map.in_full);
    /* The source wrote full images when the target's table was made, and does not any more. */
    b->map.in_full = NULL;
    b->map.nin_full = 0;
    v->logged = TR_LOGGED_NEVER;
    tr_sql_map_want_full(&b->map, b->relation, there);
    next_group(b);
    short_row = (struct tr_value *)(uintptr_t)row(b, "1", "x");
    short_row[1].state = TR_ABSENT;
    change(b, TR_INSERT, NULL, short_row);
    assert_int_equal(plan(b, 1), -TR_REFUSED);
    free(b->map.in_full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_row_without_a_virtual_column_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletes_then_updates_then_inserts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_with_other_columns_are_a_step_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_new_key_goes_alone_and_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_of_an_open_group_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_without_a_key_wait_for_their_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slice_never_waits_for_its_own_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_triggers_see_the_order_of_the_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_truncate_stands_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_shape_to_be_changed_first_ends_the_plan, setup, teardown),
        cmocka_unit_test(test_a_group_takes_whole_transactions),
        cmocka_unit_test(test_a_change_of_shape_stands_alone),
        cmocka_unit_test(test_a_large_transaction_goes_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
