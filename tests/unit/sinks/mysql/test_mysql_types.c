/* test_mysql_types.c - types by their texts: which are the same, which only grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "sinks/mysql/apply.h"

static void
test_types_that_hold_all_that_they_held(void **state)
{
    static const char *const grows[][2] = {
        { "int(11)", "bigint" },
        { "tinyint unsigned", "SMALLINT" },
        { "int(10) unsigned", "bigint(20) unsigned NOT NULL" },
        { "varchar(10)", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" },
        { "varchar(255)", "text" },
        { "char(3)", "varchar(4)" },
        { "text", "longtext" },
        { "varbinary(8)", "LONGBLOB" },
        { "decimal(8,2)", "DECIMAL(12,4)" },
        { "datetime", "datetime(3)" },
        { "bit(3)", "bit(8)" },
        { "enum('a','b''c')", "ENUM('b''c','x','a') CHARACTER SET utf8mb4" },
        { "set('a')", "set('a','b')" },
    };
    static const char *const stays[][2] = {
        { "bigint", "int" },
        { "int", "int(11)" },
        { "int", "bigint unsigned" },
        { "int unsigned", "int" },
        { "varchar(40)", "varchar(10)" },
        { "varchar(20000)", "text" },
        { "longtext", "varchar(10)" },
        { "decimal(8,2)", "decimal(9,4)" },
        { "decimal(8,2)", "decimal(8,2)" },
        { "datetime(6)", "datetime(3)" },
        { "datetime", "timestamp(3)" },
        { "enum('a','b')", "enum('a','c','d')" },
        { "enum('a')", "set('a','b')" },
        { "binary(3)", "binary(4)" },
        { "longtext", "json" },
        { "int", "varchar(20)" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof grows / sizeof *grows; i++)
        if (!tr_my_type_widens(grows[i][0], grows[i][1]) || tr_my_type_widens(grows[i][1], grows[i][0]))
            fail_msg("%s, %s", grows[i][0], grows[i][1]);
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
        if (tr_my_type_widens(stays[i][0], stays[i][1]))
            fail_msg("%s, %s", stays[i][0], stays[i][1]);
}

static void
test_types_that_are_one(void **state)
{
    (void)state;
    assert_true(tr_my_types_alike("int(11)", "INT NOT NULL"));
    assert_true(tr_my_types_alike("decimal(8,0)", "DECIMAL(8)"));
    assert_true(tr_my_types_alike("enum('a','b)')", "ENUM('a','b)') CHARACTER SET latin1"));
    assert_false(tr_my_types_alike("enum('a','b')", "enum('a','B')"));
    assert_false(tr_my_types_alike("int unsigned", "int"));
    assert_false(tr_my_types_alike("datetime(3)", "datetime"));
    assert_false(tr_my_types_alike("varchar(3)", "char(3)"));
}

/* MariaDB has a column's check last, behind its comment, and no comment behind a check: json is a longtext with one. */
static void
test_columns_that_are_no_more_at_the_source(void **state)
{
#define MARK " COMMENT 'tailrace: the source has dropped this column'"
    static const char *const lines[][2] = {
        { "int(11) NOT NULL", "int(11) NULL" MARK },
        { "int(11) NOT NULL DEFAULT 5 COMMENT 'NOT NULL'", "int(11) NULL DEFAULT 5" MARK },
        { "bigint NOT NULL AUTO_INCREMENT", "bigint NOT NULL AUTO_INCREMENT" MARK },
        { "varchar(9) DEFAULT ' NOT NULL'' COMMENT '' CHECK ('",
          "varchar(9) DEFAULT ' NOT NULL'' COMMENT '' CHECK ('" MARK },
        { "longtext COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`j`))",
          "longtext COLLATE utf8mb4_bin NULL" MARK },
        { "int(11) DEFAULT NULL COMMENT 'x' CHECK (`k` > 0)", "int(11) DEFAULT NULL" MARK },
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[100];
        struct tr_buffer out;
        tr_buffer_init(&out, 4096);
        snprintf(line, sizeof line, "%s", lines[i][0]);
        tr_my_write_dropped_line(line, &out);
        assert_string_equal(out.data, lines[i][1]);
        tr_buffer_fini(&out);
    }
}

static void
test_defaults_that_are_evaluated(void **state)
{
    static const char *const evaluated[] = { "current_timestamp(3)",
                                             "(now() + interval 1 day)",
                                             "curdate()",
                                             "utc_timestamp()",
                                             "(uuid())",
                                             "rand()" };
    static const char *const constants[] = { "'now() and current_user'", "7", "NULL", "(1 + 2)" };
    (void)state;
    for (size_t i = 0; i < sizeof evaluated / sizeof *evaluated; i++)
        assert_true(tr_my_is_evaluated(evaluated[i]));
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        assert_false(tr_my_is_evaluated(constants[i]));
    assert_false(tr_my_is_evaluated(NULL));
}

/* As of a temporary table, in the middle of a large transaction: it is not carried, and in nobody's way. */
static void
test_a_statement_about_no_table_of_the_task(void **state)
{
    struct tr_event statements[2] = { { .kind = TR_DDL }, { .kind = TR_DDL } };
    struct tr_ddl_table table = { .schema = "d", .name = "t" };
    struct tr_batch batch = { .events = statements, .nevents = 1 };
    struct tr_sql_worker worker = { 0 };
    struct tr_sql_group group = { .first = &batch, .worker = &worker };
    struct tr_error err;
    (void)state;
    assert_int_equal(tr_my_apply_shapes(NULL, &group, &err), 0);
    statements[1].ddl.tables = &table;
    statements[1].ddl.ntables = 1;
    batch.nevents = 2;
    assert_int_equal(tr_my_apply_shapes(NULL, &group, &err), -TR_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_that_hold_all_that_they_held),
        cmocka_unit_test(test_types_that_are_one),
        cmocka_unit_test(test_columns_that_are_no_more_at_the_source),
        cmocka_unit_test(test_defaults_that_are_evaluated),
        cmocka_unit_test(test_a_statement_about_no_table_of_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
