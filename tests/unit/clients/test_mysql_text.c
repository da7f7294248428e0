/* test_mysql_text.c - identifiers, literals, classes of failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/mysql/connection.h"

static void
names_and_texts_are_quoted(void **state)
{
    (void)state;
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    tr_mysql_qualified(&out, "shop", "odd`name``");
    assert_string_equal(out.data, "`shop`.`odd``name`````");
    tr_buffer_reset(&out);
    tr_mysql_literal(&out, "it's\\\n\0x", 8);
    assert_string_equal(out.data, "'it\\'s\\\\\\n\\0x'");
    tr_buffer_fini(&out);
}

static void
failures_have_classes(void **state)
{
    (void)state;
    assert_int_equal(tr_mysql_classify(1213, "40001"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(1205, "HY000"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(2013, "HY000"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(1062, "23000"), TR_CONFLICT);
    assert_int_equal(tr_mysql_classify(1406, "22001"), TR_CONFLICT);
    assert_int_equal(tr_mysql_classify(1366, "HY000"), TR_CONFLICT);
    assert_int_equal(tr_mysql_classify(1146, "42S02"), TR_FATAL);
    assert_int_equal(tr_mysql_classify(1045, "28000"), TR_FATAL);
}

static void
messages_hold_no_values(void **state)
{
    (void)state;
    struct tr_error err;
    assert_int_equal(tr_mysql_fail_with(&err, 1062, "23000",
                                        "Duplicate entry 'o'hara-secret' for key 'PRIMARY'", "writing"),
                     -TR_CONFLICT);
    assert_string_equal(err.text, "writing: Duplicate entry '...' for key 'PRIMARY' (1062, 23000)");
    tr_mysql_fail_with(&err, 1366, "HY000",
                       "Incorrect integer value: 'secret' for column `a`.`b`.`c` at row 1", "writing");
    assert_null(strstr(err.text, "secret"));
    tr_mysql_fail_with(&err, 1146, "42S02", "Table 'a.b' doesn't exist", "reading");
    assert_string_equal(err.text, "reading: Table 'a.b' doesn't exist (1146, 42S02)");
    assert_string_equal(err.sqlstate, "42S02");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts_are_quoted),
        cmocka_unit_test(failures_have_classes),
        cmocka_unit_test(messages_hold_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
