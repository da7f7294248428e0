/* test_postgres_foreign.c - PostgreSQL's types by their names: which are one, and which hold all values of another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sinks/postgres/shape.h"

static void
test_spellings_of_one_type_are_alike(void **state)
{
    (void)state;
    assert_true(tr_pg_types_alike("varchar(10)", "character varying(10)"));
    assert_true(tr_pg_types_alike("timestamp(3)", "timestamp(3) without time zone"));
    assert_true(tr_pg_types_alike("numeric(20,0)", "numeric(20)"));
    assert_false(tr_pg_types_alike("varchar(10)", "character varying(11)"));
    assert_false(tr_pg_types_alike("timestamp(3)", "timestamp(3) with time zone"));
    assert_false(tr_pg_types_alike("integer", "bigint"));
}

static void
test_only_wider_types_widen(void **state)
{
    (void)state;
    assert_true(tr_pg_type_widens("smallint", "bigint"));
    assert_true(tr_pg_type_widens("bigint", "numeric(20,0)"));
    assert_true(tr_pg_type_widens("character varying(10)", "varchar(11)"));
    assert_true(tr_pg_type_widens("character varying(10)", "text"));
    assert_true(tr_pg_type_widens("numeric(8,2)", "numeric(12,2)"));
    assert_true(tr_pg_type_widens("time(0) without time zone", "time(3)"));
    assert_true(tr_pg_type_widens("character(3)", "char(9)"));
    assert_true(tr_pg_type_widens("char(3)", "varchar(3)"));
    assert_true(tr_pg_type_widens("character(3)", "text"));
    assert_false(tr_pg_type_widens("character(9)", "char(3)"));
    assert_false(tr_pg_type_widens("varchar(3)", "char(9)"));
    assert_false(tr_pg_type_widens("bigint", "integer"));
    assert_false(tr_pg_type_widens("bigint", "numeric(10,0)"));
    assert_false(tr_pg_type_widens("text", "varchar(10)"));
    assert_false(tr_pg_type_widens("numeric(8,2)", "numeric(8,3)"));
    assert_false(tr_pg_type_widens("real", "double precision"));
    assert_false(tr_pg_type_widens("timestamp(3) without time zone", "timestamp(6) with time zone"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings_of_one_type_are_alike),
        cmocka_unit_test(test_only_wider_types_widen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
