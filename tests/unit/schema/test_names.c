/* test_names.c - names that are cut or joined stay apart, and are the same at every call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/names.h"
#include "schema/own_column.h"

static const uint16_t first[] = { 0 };
static const struct tr_column columns[] = { { .name = "b_c", .logical = TR_ENUM } };
static const struct tr_object keys[] = { { .kind = TR_OBJECT_INDEX, .name = "b_k", .columns = first },
                                         { .kind = TR_OBJECT_CHECK, .name = "positive" } };
static struct tr_relation a = { .schema = "s",
                                .target_schema = "s",
                                .name = "a",
                                .target_name = "a",
                                .columns = columns,
                                .ncolumns = 1,
                                .nkeys = 1 };
static struct tr_relation ab = { .schema = "s", .target_schema = "s", .name = "a_b", .target_name = "a_b" };
static struct tr_table tables[] = { { .relation = &a, .objects = keys, .nobjects = 2 },
                                    { .relation = &ab, .objects = keys, .nobjects = 2 } };
static const struct tr_schema schema = { .tables = tables, .ntables = 2 };

static void
test_names_stay_apart(void **state)
{
    (void)state;
    struct tr_arena arena;
    tr_arena_init(&arena);
    char x[70], y[70];
    memset(x, 'n', 69);
    x[69] = '\0';
    memcpy(y, x, sizeof y);
    y[68] = 'm';
    const char *one = tr_name_cut(&arena, x, x, TR_NAME_POSTGRESQL),
               *two = tr_name_cut(&arena, y, y, TR_NAME_POSTGRESQL);
    assert_int_equal(strlen(one), 63);
    assert_string_not_equal(one, two);
    assert_string_equal(one, tr_name_cut(&arena, x, x, TR_NAME_POSTGRESQL));
    memcpy(x + 53, "\xc3\xa4", 2); /* a character over the edge is left out whole */
    one = tr_name_cut(&arena, x, x, TR_NAME_POSTGRESQL);
    assert_int_equal(strlen(one), 62);
    assert_string_equal(tr_name_joined(&arena, &schema, &a, "k", 63), "a_k");
    /* a.b_k and a_b.k would be one; so would a's index named pkey and its primary key; and an index and a table */
    assert_int_equal(strlen(tr_name_joined(&arena, &schema, &ab, "k", 63)), strlen("a_b_k") + 9);
    assert_int_equal(strlen(tr_name_joined(&arena, &schema, &a, "pkey", 63)), strlen("a_pkey") + 9);
    assert_int_equal(strlen(tr_name_joined(&arena, &schema, &a, "b", 63)), strlen("a_b") + 9);
    assert_string_equal(tr_name_alone(&arena, &schema, &ab, TR_OBJECT_CHECK, "other", 64), "other");
    assert_string_equal(tr_name_alone(&arena, &schema, &ab, TR_OBJECT_CHECK, "positive", 64), "a_b_positive");
    tr_arena_fini(&arena);
}

static void
test_lines_of_columns(void **state)
{
    (void)state;
    struct tr_arena arena;
    struct tr_own_column own;
    struct tr_table table = {
        .create =
            "(\n"
            "  `a``b` enum('DEFAULT','(') NOT NULL DEFAULT 'it''s AS (1)' COMMENT 'ON UPDATE x CHECK (1)',\n"
            "  `t` timestamp(3) NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),\n"
            "  `g` varchar(9) GENERATED ALWAYS AS (concat(`t`,')',_utf8mb4'x')) STORED,\n"
            "  `j` longtext DEFAULT NULL CHECK (json_valid(`j`)),\n"
            "  `i` int DEFAULT '5' /*!80023 INVISIBLE */\n) ENGINE=InnoDB"
    };
    tr_arena_init(&arena);
    assert_true(tr_own_column(&arena, &table, "a`b", &own));
    assert_string_equal(own.default_text, "'it''s AS (1)'");
    assert_true(own.on_update == NULL && own.check == NULL && own.generated == NULL && !own.invisible);
    assert_true(tr_own_column(&arena, &table, "t", &own));
    assert_string_equal(own.on_update, "current_timestamp(3)");
    assert_true(tr_own_column(&arena, &table, "g", &own));
    assert_string_equal(own.generated, "concat(`t`,')',_utf8mb4'x')");
    assert_true(own.stored);
    assert_true(tr_own_column(&arena, &table, "j", &own));
    assert_string_equal(own.check, "json_valid(`j`)");
    assert_null(own.default_text);
    assert_true(tr_own_column(&arena, &table, "i", &own));
    assert_string_equal(own.default_text, "'5'");
    assert_true(own.invisible);
    assert_false(tr_own_column(&arena, &table, "none", &own));
    tr_arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names_stay_apart),
                                        cmocka_unit_test(test_lines_of_columns) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
