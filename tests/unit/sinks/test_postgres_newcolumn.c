/* test_postgres_newcolumn.c - ADD COLUMN: what the rows that are there get, and when that cannot be known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sinks/postgres/shape.h"

static const char *
statement(const struct tr_column *like)
{
    static char out[512];
    struct tr_pg_table table = { .schema = "s", .name = "t" };
    struct tr_column column = *like;
    struct tr_buffer sql;
    column.name = "c";
    column.native = "integer";
    if (!tr_pg_safe_to_add(&column))
        return "refused";
    tr_buffer_init(&sql, sizeof out);
    tr_pg_write_new_column(&sql, &table, &column);
    snprintf(out, sizeof out, "%s",
             sql.data + sizeof "ALTER TABLE \"s\".\"t\" ADD COLUMN IF NOT EXISTS \"c\" " - 1);
    tr_buffer_fini(&sql);
    return out;
}

#define COLUMN(...) statement(&(struct tr_column){ __VA_ARGS__ })
#define HELD(text) .older = TR_OLDER_VALUE, .older_value = text

static void
test_a_known_value_is_what_rows_get(void **state)
{
    (void)state;
    assert_string_equal(COLUMN(.default_expression = "now()", HELD("2026-01-01")),
                        "integer DEFAULT '2026-01-01'");
    assert_string_equal(COLUMN(.default_expression = "6", HELD("5"), .not_null = true),
                        "integer DEFAULT '5' NOT NULL");
    assert_string_equal(COLUMN(HELD("it's"), .not_null = true), "integer DEFAULT 'it''s' NOT NULL");
    assert_string_equal(COLUMN(.default_expression = "6", .older = TR_OLDER_NULL, .not_null = true),
                        "integer");
    assert_string_equal(COLUMN(.default_expression = "random()", .older = TR_OLDER_NULL), "integer");
}

static void
test_a_default_that_says_the_value_stays_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(COLUMN(.default_expression = "5", HELD("5")), "integer DEFAULT 5");
    assert_string_equal(COLUMN(.default_expression = "true", HELD("t")), "integer DEFAULT true");
    assert_string_equal(COLUMN(.default_expression = "'it''s'::text", HELD("it's")),
                        "integer DEFAULT 'it''s'::text");
    assert_string_equal(COLUMN(.default_expression = "''::text", HELD("")), "integer DEFAULT ''::text");
    assert_string_equal(COLUMN(.default_expression = "true", HELD("f")), "integer DEFAULT 'f'");
    assert_string_equal(COLUMN(.default_expression = "55", HELD("5")), "integer DEFAULT '5'");
    assert_string_equal(COLUMN(.default_expression = "'a'", HELD("a'")), "integer DEFAULT 'a'''");
    assert_string_equal(COLUMN(.default_expression = "'a'::text || f()", HELD("a")), "integer DEFAULT 'a'");
}

static void
test_without_a_value_only_constants_are_taken_for_it(void **state)
{
    (void)state;
    assert_string_equal(COLUMN(.not_null = true), "integer");
    assert_string_equal(COLUMN(.default_expression = "'x'::character varying(5)"),
                        "integer DEFAULT 'x'::character varying(5)");
    assert_string_equal(COLUMN(.default_expression = "clock_timestamp()"), "refused");
    assert_string_equal(COLUMN(.default_expression = "CURRENT_DATE"), "refused");
    assert_string_equal(COLUMN(.default_unknown = true), "refused");
    assert_string_equal(COLUMN(.auto_increment = true), "refused");
    assert_string_equal(COLUMN(.generated = true, HELD("5")), "refused");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_known_value_is_what_rows_get),
        cmocka_unit_test(test_a_default_that_says_the_value_stays_as_it_is),
        cmocka_unit_test(test_without_a_value_only_constants_are_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
