/* test_expression.c - checks, generated columns and defaults that are written in another dialect, and those that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schema/expression.h"

static const char *const moods[] = { "sad", "it's" };

static const struct tr_column columns[] = {
    { .name = "a", .logical = TR_INT32 },
    { .name = "u", .logical = TR_UINT64 },
    { .name = "p", .logical = TR_DECIMAL, .precision = 10, .scale = 2 },
    { .name = "f", .logical = TR_FLOAT64 },
    { .name = "s", .logical = TR_TEXT, .collation = NULL },
    { .name = "ci", .logical = TR_TEXT, .collation = "utf8mb4_general_ci", .charset = "utf8mb4" },
    { .name = "cb", .logical = TR_TEXT, .collation = "utf8mb4_bin", .charset = "utf8mb4" },
    { .name = "b", .logical = TR_BOOL },
    { .name = "d", .logical = TR_DATE },
    { .name = "ts", .logical = TR_TIMESTAMP },
    { .name = "z", .logical = TR_TIMESTAMPTZ },
    { .name = "m", .logical = TR_ENUM, .native = "mood", .labels = moods, .nlabels = 2 },
    { .name = "o", .logical = TR_UUID },
    { .name = "id", .logical = TR_INT64, .auto_increment = true },
    { .name = "t", .logical = TR_INT8, .target_type = "boolean" },
    { .name = "Odd`\"", .logical = TR_INT32 },
    { .name = "zf", .logical = TR_UINT32, .native = "int(5) unsigned zerofill" },
    { .name = "y", .logical = TR_YEAR },
    { .name = "l1", .logical = TR_TEXT, .collation = "latin1_bin", .charset = "latin1" },
};

static const struct tr_relation relation = { .columns = columns,
                                             .ncolumns = sizeof columns / sizeof *columns };

static char out_text[600], reason[200];

static const char *
translate(const char *from, const char *to, enum tr_expression_use use, const char *stored, const char *text)
{
    struct tr_expression e = { .relation = &relation, .from = from, .to = to, .use = use };
    struct tr_buffer out;
    if (stored != NULL)
        e.column = &columns[tr_relation_column(&relation, stored)];
    tr_buffer_init(&out, 4096);
    bool known = tr_expression_translate(&e, text, &out);
    snprintf(out_text, sizeof out_text, "%s", known ? out.data : "refused");
    snprintf(reason, sizeof reason, "%s", e.reason);
    tr_buffer_fini(&out);
    assert_true(known == (reason[0] == '\0'));
    return out_text;
}

static const char *
to_mysql(const char *text)
{
    return translate("postgresql", "mysql", TR_EXPRESSION_CHECK, NULL, text);
}

static const char *
to_postgresql(const char *text)
{
    return translate("mariadb", "postgresql", TR_EXPRESSION_CHECK, NULL, text);
}

static void
test_checks_of_postgresql(void **state)
{
    (void)state;
    assert_string_equal(to_mysql("(a > '-1'::integer)"), "(`a` > -1)");
    assert_string_equal(to_mysql("((p >= (0)::numeric) AND (p <= 100.5))"),
                        "((`p` >= 0) AND (`p` <= 100.5))");
    assert_string_equal(
        to_mysql(
            "((s)::text = ANY ((ARRAY['new'::character varying, 'it''s \\'::character varying])::text[]))"),
        "(`s` IN ('new', 'it''s \\\\'))");
    assert_string_equal(to_mysql("(s <> ALL (ARRAY['p'::text, 'q'::text]))"), "(`s` NOT IN ('p', 'q'))");
    assert_string_equal(to_mysql("(a = ANY ('{1,2}'::integer[]))"), "(`a` IN (1, 2))");
    assert_string_equal(to_mysql("((s ~~ '%@%'::text) AND (s !~~ 'a\\_%'::text) AND (length(s) > 3))"),
                        "(((`s` LIKE '%@%') AND (`s` NOT LIKE 'a\\\\_%')) AND (char_length(`s`) > 3))");
    assert_string_equal(to_mysql("(b OR ((a < 5) AND (NOT b)))"), "(`b` OR ((`a` < 5) AND (NOT `b`)))");
    assert_string_equal(to_mysql("(d >= '2020-01-01'::date)"), "(`d` >= DATE'2020-01-01')");
    assert_string_equal(to_mysql("(ts > '2020-01-01 10:00:00'::timestamp without time zone)"),
                        "(`ts` > TIMESTAMP'2020-01-01 10:00:00')");
    assert_string_equal(to_mysql("(m <> 'it''s'::mood)"), "(`m` <> 'it''s')");
    assert_string_equal(to_mysql("((o IS NOT NULL) OR (a IS DISTINCT FROM 3))"),
                        "((`o` IS NOT NULL) OR (NOT (`a` <=> 3)))");
    assert_string_equal(to_mysql("(((a % 2) = 0) AND ((a / 2) > 1))"),
                        "(((`a` % 2) = 0) AND ((`a` DIV 2) > 1))");
    assert_string_equal(
        to_mysql(
            "((SUBSTRING(s FROM 1 FOR 2) = 'ab'::text) AND (TRIM(BOTH FROM s) <> ''::text) AND (\"left\"(s, 1) = 'q'::text))"),
        "(((substring(`s`, 1, 2) = 'ab') AND (trim(`s`) <> '')) AND (left(`s`, 1) = 'q'))");
    assert_string_equal(to_mysql("(EXTRACT(year FROM d) > (2000)::numeric)"), "(year(`d`) > 2000)");
    assert_string_equal(to_mysql("(b IS TRUE)"), "(`b` IS TRUE)");
    assert_string_equal(to_mysql("(f >= (0)::double precision)"), "(`f` >= 0)");
    assert_string_equal(to_mysql("(\"Odd`\"\"\" > 0)"), "(`Odd``\"` > 0)");
    assert_string_equal(to_mysql("(z > z)"), "(`z` > `z`)");
}

static void
test_refused_of_postgresql(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "((s)::text ~ '^[a-z]+$'::text)",
        "(lower(s) = s)",
        "(s > 'a'::text)",
        "(z > now())",
        "(f = (0)::double precision)",
        "(id > 0)",
        "(o = 'x'::uuid)",
        "(t > 0)",
        "(a > 1",
        "(a > 1) garbage",
        "(s = 'a '::text)",
        "(d > 'infinity'::date)",
        "((p / 2) > 1)",
        "(shop.f(a))",
        "((a)::text = '1'::text)",
        "(m = 'glad'::mood)",
        "((a & 1) = 0)",
        "(s = ANY (a))",
        "a",
        "((a)::smallint > 1)",
        "(unknown > 1)",
        "(a = b)",
        "('x'::text)",
        "((p)::integer > 1)",
        "",
        "(m > 'sad'::mood)",
        "(d > ts)",
        "(s ~~* 'a'::text)",
        "(EXISTS (SELECT 1))",
        "((s || 1) = 'x'::text)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(to_mysql(texts[i]), "refused");
    char deep[2000] = "";
    memset(deep, '(', 900);
    assert_string_equal(to_mysql(deep), "refused");
    assert_non_null(strstr(reason, "nested"));
    to_mysql("(s > 'a'::text)");
    assert_non_null(strstr(reason, "orders texts"));
}

static void
test_checks_of_mysql(void **state)
{
    (void)state;
    assert_string_equal(to_postgresql("`p` between 0 and 100.5 and `a` > -1"),
                        "((\"p\" BETWEEN 0 AND 100.5) AND (\"a\" > (- 1)))");
    assert_string_equal(to_postgresql("((`cb` in (_utf8mb4'new',_utf8mb4'it\\'s')) or (`a` = 1))"),
                        "((rtrim(\"cb\") IN ('new'::text, 'it''s'::text)) OR (\"a\" = 1))");
    assert_string_equal(to_postgresql("`ci` <> ''"), "(\"ci\" <> ''::text)");
    assert_string_equal(to_postgresql("`A` > P"), "(\"a\" > \"p\")"); /* columns have no case there */
    assert_string_equal(to_postgresql("`ci` like '%@%'"), "(\"ci\" LIKE '%@%'::text)");
    assert_string_equal(to_postgresql("`cb` not like 'a\\\\_%' or `a`"),
                        "((\"cb\" NOT LIKE E'a\\\\_%'::text) OR (\"a\" <> 0))");
    assert_string_equal(
        to_postgresql("!(`a` <=> 3) and octet_length(`ci`) > 3 and char_length(`ci`) < 10"),
        "(((NOT (\"a\" IS NOT DISTINCT FROM 3)) AND (octet_length(\"ci\") > 3)) AND (char_length(\"ci\") < 10))");
    assert_string_equal(
        to_postgresql("`d` >= '2020-01-01' and `a` DIV 2 > 1 and `a` MOD 2 = 0"),
        "(((\"d\" >= DATE'2020-01-01') AND ((\"a\"::bigint / 2) > 1)) AND ((\"a\"::bigint % 2) = 0))");
    assert_string_equal(
        to_postgresql("((`m` = _utf8mb4'sad') and (ifnull(`a`,0) > -(5)) and (year(`d`) > 2000))"),
        "(((\"m\" = 'sad') AND (coalesce(\"a\", 0) > (- 5))) AND (EXTRACT(year FROM \"d\")::integer > 2000))");
    assert_string_equal(to_postgresql("`a` + 1 * 2 > 3 and not `a` = 4"),
                        "(((\"a\"::bigint + (1 * 2)) > 3) AND (NOT (\"a\" = 4)))");
    assert_string_equal(to_postgresql("if(`a` > 3,`p` > 1,`p` < 1)"),
                        "(CASE WHEN (\"a\" > 3) THEN (\"p\" > 1) ELSE (\"p\" < 1) END)");
}

static void
test_refused_of_mysql(void **state)
{
    (void)state;
    static const char *const texts[] = { "`ci` = 'a'",
                                         "`ci` in ('a','b')",
                                         "not `ci` <> 'a'",
                                         "`ci` like 'a%'",
                                         "`a` / 2 > 1",
                                         "`s` regexp '^a'",
                                         "`a` xor `a`",
                                         "`a` > '5'",
                                         "`a` & 1",
                                         "`a` = `p` = 1",
                                         "`d` > '0000-00-00'",
                                         "`d` > 20200101",
                                         "`a` | 1",
                                         "`s` || `s`",
                                         "lower(`cb`) = 'a'",
                                         "json_valid(`s`)",
                                         "_latin1'\xe4' = `cb`",
                                         "`cb` = 0x41",
                                         "`cb` = \"a\"",
                                         "`ci` is null is null",
                                         "case when `ci` = 'a' then 1 else 0 end" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(to_postgresql(texts[i]), "refused");
    to_postgresql("`ci` = 'a'");
    assert_non_null(strstr(reason, "utf8mb4_general_ci"));
}

static void
test_generated(void **state)
{
    (void)state;
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "a", "((`a` * 2) + 1)"),
                        "((\"a\"::bigint * 2) + 1)");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "ci",
                                  "concat(`ci`,_utf8mb4' ',coalesce(`a`,1),`p`)"),
                        "refused");
    assert_string_equal(
        translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "ci", "concat(`ci`,_utf8mb4' ',`p`)"),
        "(\"ci\"::text || ' '::text || \"p\"::text)");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "a", "(`a` > 3)"),
                        "(\"a\" > 3)::integer");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "a", "`ci` <> ''"),
                        "refused");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "s", "lower(`s`)"),
                        "refused");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_INDEX, NULL, "lower(`s`)"),
                        "lower(\"s\")");
    assert_string_equal(translate("mysql", "postgresql", TR_EXPRESSION_GENERATED, "a", "`s`"), "refused");
    assert_string_equal(translate("postgresql", "mariadb", TR_EXPRESSION_GENERATED, "s",
                                  "((s || ' '::text) || (COALESCE(s, 'none'::character varying))::text)"),
                        "concat(concat(`s`, ' '), coalesce(`s`, 'none'))");
    assert_string_equal(translate("postgresql", "mysql", TR_EXPRESSION_GENERATED, "s",
                                  "\nCASE\n    WHEN (a > 3) THEN 'hi'::text\n    ELSE 'lo'::text\nEND"),
                        "(CASE WHEN (`a` > 3) THEN 'hi' ELSE 'lo' END)");
    assert_string_equal(translate("postgresql", "mysql", TR_EXPRESSION_DEFAULT, "a", "((1 + 2) * 3)"),
                        "((1 + 2) * 3)");
}

/* A cast may change nothing but the division. */
static void
test_divisions_of_postgresql(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "(((a)::numeric / (2)::numeric) > 3)",
        "((a / '2'::numeric) > 3)",
        "((EXTRACT(year FROM d) / 10) > 3)",
        "((ceil((a)::double precision) / a) > 3)",
        "((f * '0.1'::real) > 3)",
        "(floor(a) > 3)",
        "((((a)::numeric)::double precision / a) > 3)",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_string_equal(to_mysql(refused[i]), "refused");
    assert_string_equal(to_mysql("((((a)::numeric)::bigint / 2) > 3)"), "((`a` DIV 2) > 3)");
    assert_string_equal(to_mysql("(((a)::numeric * 1.5) > p)"), "((`a` * 1.5) > `p`)");
    assert_string_equal(to_mysql("(((a)::double precision / (id)::double precision) > f)"), "refused");
    assert_string_equal(translate("postgresql", "mysql", TR_EXPRESSION_GENERATED, "f",
                                  "((a)::double precision / (3)::double precision)"),
                        "(CAST(`a` AS DOUBLE) / 3e0)");
    assert_string_equal(
        translate("postgresql", "mysql", TR_EXPRESSION_GENERATED, "f", "(f / (2)::double precision)"),
        "(`f` / 2e0)");
    assert_string_equal(translate("postgresql", "mysql", TR_EXPRESSION_GENERATED, "a",
                                  "(EXTRACT(year FROM d) - (1970)::numeric)"),
                        "(year(`d`) - 1970)");
}

/* MySQL divides by 0 and gets NULL, and its largest whole numbers are none in PostgreSQL. */
static void
test_divisions_of_mysql(void **state)
{
    (void)state;
    assert_string_equal(to_postgresql("`u` DIV 2 > 3"), "((div(\"u\"::numeric, 2::numeric)) > 3)");
    assert_string_equal(to_postgresql("`a` DIV `a` > 3"), "((\"a\"::bigint / NULLIF(\"a\"::bigint, 0)) > 3)");
    assert_string_equal(to_postgresql("`a` % `u` = mod(`a`, 0)"),
                        "((\"a\"::bigint % NULLIF(\"u\", 0)) = mod(\"a\", NULLIF(0, 0)))");
    assert_string_equal(to_postgresql("`f` / `f` > 3"), "((\"f\" / NULLIF(\"f\", 0)) > 3)");
    assert_string_equal(to_postgresql("-`a` + abs(`a`) > 3"),
                        "(((- \"a\"::bigint) + abs(\"a\"::bigint)) > 3)");
    static const char *const refused[] = { "concat('N',`zf`) = 'N00042'", "concat(`y`) = '0000'",
                                           "length(concat(`l1`,`cb`)) > 3", "ceil(`u`) DIV 2 > 3" };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_string_equal(to_postgresql(refused[i]), "refused");
}

static void
test_shared_functions(void **state)
{
    (void)state;
    assert_true(tr_expression_is_shared("concat(`a`,_utf8mb4' ',lower(`b`)) + (`a` * 2)", false));
    assert_true(tr_expression_is_shared("'regexp_like(' <> `a`", false));
    assert_false(tr_expression_is_shared("regexp_like(`a`,_utf8mb4'^a')", false));
    assert_false(tr_expression_is_shared("cast(`a` as json)", false));
    assert_true(tr_expression_is_shared("json_unquote(json_extract(`a`,'$.b')) = md5(`c`)", true));
    assert_false(tr_expression_is_shared("json_unquote(json_extract(`a`,'$.b'))", false));
    assert_false(tr_expression_is_shared("md5(`a`)", false));
    assert_false(tr_expression_is_shared("time_to_sec(`a`)", true));
    assert_false(tr_expression_is_shared("cast(`ts` as time)", true));
    assert_false(tr_expression_is_shared("cast(`ts` as datetime)", false));
    assert_true(tr_expression_is_shared("cast(`ts` as datetime(6)) > cast(`ts` as date)", true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks_of_postgresql),
        cmocka_unit_test(test_refused_of_postgresql),
        cmocka_unit_test(test_checks_of_mysql),
        cmocka_unit_test(test_refused_of_mysql),
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_divisions_of_postgresql),
        cmocka_unit_test(test_divisions_of_mysql),
        cmocka_unit_test(test_shared_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
