/* test_postgres_value.c - values in binary parameters and COPY lines, and the SQL around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/postgres/apply.h"

static struct tr_column column = { .name = "c" };
static struct tr_relation relation = { .columns = &column, .ncolumns = 1 };

/* The bytes of a text under a carry as hex; "none" when it has no fast form. */
static const char *
bound(Oid type, const char *text)
{
    static char hex[128];
    struct tr_value value = { .data = text, .len = (uint32_t)strlen(text), .state = TR_PRESENT };
    struct tr_buffer scratch, out, printed;
    struct tr_error err;
    tr_buffer_init(&scratch, 1024);
    tr_buffer_init(&out, 1024);
    tr_buffer_init(&printed, 1024);
    int rc = tr_pg_value_bind(&relation, 0, &value, tr_pg_carry_of(type), &scratch, &out, &err);
    tr_buffer_hex(&printed, out.data != NULL ? out.data : "", out.len);
    snprintf(hex, sizeof hex, "%s", rc != 0 ? "none" : printed.data != NULL ? printed.data : "");
    tr_buffer_fini(&scratch);
    tr_buffer_fini(&out);
    tr_buffer_fini(&printed);
    return hex;
}

static void
test_integers(void **state)
{
    (void)state;
    assert_string_equal(bound(23, "-2"), "fffffffe");
    assert_string_equal(bound(23, "2147483647"), "7fffffff");
    assert_string_equal(bound(23, "2147483648"), "none");
    assert_string_equal(bound(21, "-32768"), "8000");
    assert_string_equal(bound(21, "-32769"), "none");
    assert_string_equal(bound(20, "-9223372036854775808"), "8000000000000000");
    assert_string_equal(bound(20, "9223372036854775808"), "none");
    assert_string_equal(bound(26, "4294967295"), "ffffffff");
    assert_string_equal(bound(23, ""), "none");
    assert_string_equal(bound(23, "1x"), "none");
}

static void
test_times(void **state)
{
    (void)state;
    assert_string_equal(bound(1082, "2000-01-01"), "00000000");
    assert_string_equal(bound(1082, "1999-12-31"), "ffffffff");
    assert_string_equal(bound(1082, "2000-03-01"), "0000003c");
    assert_string_equal(bound(1082, "0001-01-01"), "fff4dbf9");
    assert_string_equal(bound(1082, "infinity"), "none");
    assert_string_equal(bound(1082, "44-03-15 BC"), "none");
    assert_string_equal(bound(1114, "2000-01-01 00:00:00"), "0000000000000000");
    assert_string_equal(bound(1114, "2000-01-01 00:00:01.5"), "000000000016e360");
    assert_string_equal(bound(1114, "1999-12-31 23:59:59.999999"), "ffffffffffffffff");
    assert_string_equal(bound(1114, "0044-03-15 10:00:00 BC"), "none");
    assert_string_equal(bound(1114, "294276-12-31 23:59:59"), "none");
    assert_string_equal(bound(1184, "2000-01-01 00:00:00+00"), "0000000000000000");
    assert_string_equal(bound(1184, "2000-01-01 00:00:00+02"), "none");
}

static void
test_others(void **state)
{
    (void)state;
    assert_string_equal(bound(16, "t"), "01");
    assert_string_equal(bound(16, "true"), "none");
    assert_string_equal(bound(17, "\\x00ff"), "00ff");
    assert_string_equal(bound(17, "\\x0"), "none");
    assert_string_equal(bound(2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                        "a0eebc999c0b4ef8bb6d6bb9bd380a11");
    assert_string_equal(bound(25, ""), "");
    assert_string_equal(bound(1700, "1.50"), "312e3530"); /* as text, cast by the statement */
}

static void
test_copy_lines(void **state)
{
    struct tr_column columns[] = { { .name = "a" }, { .name = "b" }, { .name = "c" }, { .name = "d" } };
    struct tr_relation four = { .columns = columns, .ncolumns = 4 };
    int32_t target[] = { 0, -1, 1, 2 };
    struct tr_pg_map map = { .relation = &four, .target = target };
    struct tr_value row[] = {
        { .data = "x\\y\n\t\r", .len = 6, .state = TR_PRESENT },
        { .data = "generated", .len = 9, .state = TR_PRESENT },
        { .state = TR_NULL },
        { .data = "", .len = 0, .state = TR_PRESENT },
    };
    struct tr_buffer out;
    struct tr_pg_values values;
    struct tr_error err;
    (void)state;
    tr_pg_values_init(&values, TR_PG_VALUE_STOP);
    tr_buffer_init(&out, 1024);
    assert_int_equal(tr_pg_copy_row(&map, row, &values, &out, &err), 0);
    assert_string_equal(out.data, "x\\\\y\\n\\t\\r\t\\N\t\n");
    tr_pg_values_fini(&values);
    tr_buffer_fini(&out);
}

static void
test_statements(void **state)
{
    struct tr_column columns[] = { { .name = "id" }, { .name = "na\"me" }, { .name = "n" } };
    struct tr_relation three = { .columns = columns, .ncolumns = 3 };
    struct tr_pg_column at_target[] = {
        { .name = "id", .type = "integer", .type_oid = 23, .comparable = true },
        { .name = "na\"me", .type = "text", .type_oid = 25, .comparable = true },
        { .name = "n", .type = "numeric", .type_oid = 1700 }
    };
    struct tr_pg_table table = {
        .schema = (char *)"s", .name = (char *)"t", .columns = at_target, .ncolumns = 3
    };
    int32_t target[] = { 0, 1, 2 };
    uint16_t key[] = { 0 };
    const char *equals[] = { "OPERATOR(pg_catalog.=)" };
    struct tr_pg_map map = {
        .relation = &three, .table = &table, .target = target, .key = key, .equals = equals, .nkey = 1
    };
    struct tr_pg_apply apply = { .next_statement = 1 };
    struct tr_value full[] = { { .state = TR_PRESENT }, { .state = TR_PRESENT }, { .state = TR_NULL } };
    struct tr_value part[] = { { .state = TR_PRESENT }, { .state = TR_ABSENT }, { .state = TR_PRESENT } };
    (void)state;
    const struct tr_pg_statement *s = tr_pg_statement_get(&apply, &map, TR_SQL_INSERT, full, full, false);
    assert_string_equal(
        s->sql, "INSERT INTO \"s\".\"t\" (\"id\", \"na\"\"me\", \"n\") SELECT u.p0, u.p1, u.p2::numeric"
                " FROM unnest($1, $2, $3) AS u(p0, p1, p2)");
    assert_ptr_equal(tr_pg_statement_get(&apply, &map, TR_SQL_INSERT, full, full, false), s);
    s = tr_pg_statement_get(&apply, &map, TR_SQL_UPDATE, part, part, false);
    assert_string_equal(s->sql,
                        "UPDATE \"s\".\"t\" AS t SET \"n\" = u.p0::numeric FROM unnest($1, $2) AS u(p0, p1)"
                        " WHERE t.\"id\" OPERATOR(pg_catalog.=) u.p1");
    s = tr_pg_statement_get(&apply, &map, TR_SQL_DELETE, part, NULL, true);
    assert_string_equal(
        s->sql, "DELETE FROM \"s\".\"t\" AS t USING unnest($1) AS u(p0) WHERE t.\"id\" OPERATOR(pg_catalog.=)"
                " u.p0::integer");
    map.nkey = 0;
    s = tr_pg_statement_get(&apply, &map, TR_SQL_DELETE_ROW, full, NULL, false);
    assert_non_null(strstr(s->sql, "x.\"n\"::text IS NOT DISTINCT FROM (u.p2::numeric)::text LIMIT 1"));
    for (uint16_t i = 0; i < map.nstatements; i++)
        tr_pg_statement_free(map.statements[i]);
    free(map.statements);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),   cmocka_unit_test(test_times),      cmocka_unit_test(test_others),
        cmocka_unit_test(test_copy_lines), cmocka_unit_test(test_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
