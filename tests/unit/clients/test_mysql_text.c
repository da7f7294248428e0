/* test_mysql_text.c - identifiers, literals, classes of failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clients/mysql/connection.h"
#include "clients/mysql/grants.h"

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
grants_are_read(void **state)
{
    (void)state;
    struct tr_mysql_grants grants = { .roles = false };
    tr_mysql_grants_add(&grants, "GRANT REPLICATION SLAVE ADMIN, SELECT (`a`, `b`), FILE ON *.* TO `u`@`%`");
    tr_mysql_grants_add(&grants, "GRANT SELECT, INSERT ON `shop`.* TO `u`@`%`");
    tr_mysql_grants_add(&grants, "GRANT UPDATE ON `sh%\\_1`.* TO `u`@`%`");
    tr_mysql_grants_add(&grants,
                        "GRANT ALL PRIVILEGES ON `odd``.``name`.`t ON x` TO `u`@`%` WITH GRANT OPTION");
    tr_mysql_grants_add(&grants, "GRANT DELETE ON `a_c%`.* TO `u`@`%`");
    tr_mysql_grants_add(&grants, "REVOKE INSERT ON `shop`.* FROM `u`@`%`");
    tr_mysql_grants_add(&grants, "GRANT PROXY ON ''@'' TO `u`@`%`");
    assert_true(tr_mysql_granted(&grants, "FILE", NULL, NULL));
    assert_true(tr_mysql_granted(&grants, "FILE", "any", "t"));
    assert_false(tr_mysql_granted(&grants, "REPLICATION SLAVE", NULL, NULL));
    assert_false(tr_mysql_granted(&grants, "SELECT", NULL, NULL));
    assert_true(tr_mysql_granted(&grants, "SELECT", "shop", NULL));
    assert_true(tr_mysql_granted(&grants, "INSERT", "shop", "t"));
    assert_false(tr_mysql_granted(&grants, "INSERT", "shop2", "t"));
    assert_true(tr_mysql_granted(&grants, "UPDATE", "shoe_1", "t"));
    assert_false(tr_mysql_granted(&grants, "UPDATE", "shoex1", "t"));
    assert_true(tr_mysql_granted(&grants, "DROP", "odd`.`name", "t ON x"));
    assert_false(tr_mysql_granted(&grants, "DROP", "odd`.`name", NULL));
    assert_true(tr_mysql_granted(&grants, "DELETE", "abc", NULL));
    assert_true(tr_mysql_granted(&grants, "DELETE", "abcd", NULL));
    assert_false(tr_mysql_granted(&grants, "DELETE", "ac", NULL));
    tr_mysql_grants_add(&grants, "GRANT `role` TO `u`@`%`");
    assert_true(tr_mysql_granted(&grants, "SHUTDOWN", NULL, NULL));
    tr_mysql_grants_fini(&grants);
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    tr_mysql_account(&out, "o'neil@10.0.0.%");
    assert_string_equal(out.data, "'o\\'neil'@'10.0.0.%'");
    tr_buffer_fini(&out);
}

static void
failures_have_classes(void **state)
{
    (void)state;
    assert_int_equal(tr_mysql_classify(1213, "40001"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(1205, "HY000"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(2013, "HY000"), TR_RETRY);
    assert_int_equal(tr_mysql_classify(2026, "HY000"), TR_RETRY); /* an encrypted one was lost */
    assert_int_equal(tr_mysql_classify(4031, "HY000"), TR_RETRY); /* idle for a day */
    assert_int_equal(tr_mysql_classify(3032, "HY000"), TR_RETRY); /* offline_mode */
    assert_int_equal(tr_mysql_classify(3101, "40000"), TR_RETRY); /* a group's certification */
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
    tr_mysql_fail_with(&err, 1526, "HY000", "Table has no partition for value 7712", "writing");
    assert_string_equal(err.text, "writing: Table has no partition for value ... (1526, HY000)");
    tr_mysql_fail_with(&err, 1690, "22003", "BIGINT UNSIGNED value is out of range in '(7712 - `a`.`b`)'",
                       "writing");
    assert_null(strstr(err.text, "7712"));
    tr_mysql_fail_with(&err, 1292, "22007", "Truncated incorrect DOUBLE value: 'secret'", "writing");
    assert_string_equal(err.text, "writing: Truncated incorrect DOUBLE value: '...' (1292, 22007)");
    /* The server has cut it: the last quote is one of the value's. */
    char message[600];
    snprintf(message, sizeof message, "Incorrect date value: 'it's%0480d", 7712);
    tr_mysql_fail_with(&err, 1292, "22007", message, "writing");
    assert_string_equal(err.text, "writing: Incorrect date value: '... (1292, 22007)");
    tr_mysql_fail_with(&err, 1146, "42S02", "Table 'a.b' doesn't exist", "reading");
    assert_string_equal(err.text, "reading: Table 'a.b' doesn't exist (1146, 42S02)");
    assert_string_equal(err.sqlstate, "42S02");
}

static void
names_of_copies_tell_their_table(void **state)
{
    static const char *const names[][2] = {
        { "_t_gho", "t" },  { "__t_new", "t" }, { "_a_b_old", "a_b" }, { "_t_del", "t" },
        { "_t_ghc", "t" },  { "t_new", NULL },  { "_new", NULL },      { "__new", NULL },
        { "_t_tmp", NULL }, { "_", NULL },      { "", NULL },          { "___________t_new", NULL },
    };
    char table[260];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(tr_mysql_copied_table(names[i][0], table, sizeof table), names[i][1] != NULL);
        if (names[i][1] != NULL)
            assert_string_equal(table, names[i][1]);
    }
    assert_false(tr_mysql_copied_table("_longer_new", table, 4));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts_are_quoted),
        cmocka_unit_test(grants_are_read),
        cmocka_unit_test(failures_have_classes),
        cmocka_unit_test(messages_hold_no_values),
        cmocka_unit_test(names_of_copies_tell_their_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
