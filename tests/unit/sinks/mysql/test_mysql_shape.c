/* test_mysql_shape.c - which column of the target holds which of the source's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

static struct tr_my_column columns[] = { { .name = "id" }, { .name = "b" }, { .name = "a" } };
static struct tr_my_table table = { .columns = columns, .ncolumns = 3 };

static int
at(const struct tr_my_shape *shape, const char *name, uint16_t number)
{
    struct tr_column column = { .name = name, .number = number };
    return tr_my_shape_column(shape, &table, &column);
}

/* The source has exchanged a and b since, and dropped c before. */
static void
test_columns_are_found_by_number(void **state)
{
    struct tr_my_shapes shapes = { 0 };
    struct tr_my_shape *shape = tr_my_shape_add(&shapes, tr_strdup("public.t"), 7);
    struct tr_column gone = { .name = "c", .number = 4 }, b = { .name = "b", .number = 3 };
    (void)state;
    tr_my_shape_place(shape, 1, "id");
    tr_my_shape_place(shape, 2, "a");
    tr_my_shape_place(shape, 3, "b");
    tr_my_shape_place(shape, 4, "");
    assert_int_equal(at(shape, "b", 2), 2);
    assert_int_equal(at(shape, "a", 3), 1);
    assert_int_equal(at(shape, "c", 4), -1);
    assert_int_equal(at(shape, "a", 5), -1); /* a new one: the target's is another */
    assert_int_equal(at(shape, "a", 0), 2);  /* without a number the name counts */
    assert_int_equal(at(NULL, "a", 3), 2);
    assert_true(tr_my_shape_lost(shape, &gone));
    assert_false(tr_my_shape_lost(shape, &b));
    assert_ptr_equal(tr_my_shape_owner(shape, "A"), tr_my_shape_numbered(shape, 2));
    assert_null(tr_my_shape_owner(shape, "x"));
    tr_my_shapes_free(&shapes);
}

static void
test_a_shape_fits_when_numbers_and_names_do(void **state)
{
    struct tr_my_shapes shapes = { 0 };
    struct tr_my_shape *shape = tr_my_shape_add(&shapes, tr_strdup("public.t"), 7);
    struct tr_column now[] = { { .name = "id", .number = 1 },
                               { .name = "a", .number = 2 },
                               { .name = "b", .number = 3 } };
    struct tr_relation *relation = tr_relation_new();
    (void)state;
    relation->schema = "public";
    relation->name = "t";
    relation->id = 7;
    relation->columns = now;
    relation->ncolumns = 3;
    assert_ptr_equal(tr_my_shape_find(&shapes, relation), shape);
    tr_my_shape_place(shape, 1, "id");
    tr_my_shape_place(shape, 2, "a");
    assert_false(tr_my_shape_fits(shape, &table, relation));
    tr_my_shape_place(shape, 3, "b");
    assert_true(tr_my_shape_fits(shape, &table, relation));
    tr_my_shape_place(shape, 4, "");
    assert_true(tr_my_shape_fits(shape, &table, relation));
    now[1].number = 5; /* dropped, and another of its name and type */
    assert_false(tr_my_shape_fits(shape, &table, relation));
    now[1].number = 2;
    now[1].name = "renamed";
    assert_false(tr_my_shape_fits(shape, &table, relation));
    relation->id = 8; /* the table was made anew */
    assert_null(tr_my_shape_find(&shapes, relation));
    tr_relation_unref(relation);
    tr_my_shapes_free(&shapes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_found_by_number),
        cmocka_unit_test(test_a_shape_fits_when_numbers_and_names_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
