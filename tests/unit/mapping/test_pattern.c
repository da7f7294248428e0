/* test_pattern.c - include and exclude patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mapping/mapping.h"

static void
matches_by_whole_name(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *schema, *table;
        bool match;
    } cases[] = {
        { "public.%", "public", "a", true },
        { "public.%", "publicx", "a", false },
        { "public.a", "public", "a", true },
        { "public.a", "public", "ab", false },
        { "%", "any", "table", true },
        { "*", "any", "table", true },
        { "orders", "shop", "orders", true },
        { "orders", "shop", "orders2", false },
        { "%.orders", "shop", "orders", true },
        { "public.tmp[_]%", "public", "tmp_1", true },
        { "public.tmp[_]%", "public", "tmpx1", false },
        { "a[%]b", "s", "a%b", true },
        { "a[%]b", "s", "axb", false },
        { "%a%b%", "s", "xxaxxbxx", true },
        { "%a%b%", "s", "xxbxxaxx", false },
        { "Public.A", "public", "a", false },
        { "s.%a", "s", "aaa", true },
        { "", "s", "t", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tr_pattern_match(cases[i].pattern, cases[i].schema, cases[i].table), cases[i].match);
}

static struct tr_settings *
settings_with(const char *include, const char *exclude)
{
    static const struct tr_option table[] = {
        { .name = "tables", .section = "tables", .type = TR_OPTION_LIST, .value = "%", .help = "x" },
        { .name = "exclude", .section = "tables", .type = TR_OPTION_LIST, .help = "x" },
        { .name = "types", .section = "", .type = TR_OPTION_LIST, .pairs = true, .help = "x" },
        { .name = "columns", .section = "", .type = TR_OPTION_LIST, .pairs = true, .help = "x" },
        { .name = NULL },
    };
    struct tr_error err;
    struct tr_settings *settings = tr_settings_new();
    assert_int_equal(tr_settings_add_table(settings, table, &err), 0);
    if (include != NULL)
        assert_int_equal(tr_settings_set(settings, "tables", "tables", include, false, "test", &err), 0);
    if (exclude != NULL)
        assert_int_equal(tr_settings_set(settings, "tables", "exclude", exclude, false, "test", &err), 0);
    return settings;
}

static void
excludes_win_and_our_own_schema_is_never_carried(void **state)
{
    (void)state;
    struct tr_error err;
    struct tr_mapping *mapping;
    struct tr_settings *settings = settings_with("public.%,shop.%", "public.tmp%");
    assert_int_equal(tr_mapping_new(settings, &mapping, &err), 0);
    assert_true(tr_mapping_wants(mapping, "public", "a"));
    assert_true(tr_mapping_wants(mapping, "shop", "b"));
    assert_false(tr_mapping_wants(mapping, "public", "tmp1"));
    assert_false(tr_mapping_wants(mapping, "other", "a"));
    tr_mapping_free(mapping);
    tr_settings_free(settings);

    settings = settings_with(NULL, NULL);
    assert_int_equal(tr_mapping_new(settings, &mapping, &err), 0);
    assert_true(tr_mapping_wants(mapping, "public", "a"));
    assert_false(tr_mapping_wants(mapping, "tailrace", "checkpoint"));
    tr_mapping_free(mapping);
    tr_settings_free(settings);
}

static void
an_open_bracket_is_refused(void **state)
{
    (void)state;
    struct tr_error err;
    struct tr_mapping *mapping;
    struct tr_settings *settings = settings_with("public.a[b", NULL);
    assert_int_equal(tr_mapping_new(settings, &mapping, &err), -TR_CONFIG);
    assert_null(mapping);
    tr_settings_free(settings);
}

static const char *
chosen(const struct tr_settings *settings, const char *name, const char *native, const char *type_name)
{
    struct tr_error err;
    struct tr_mapping *mapping;
    struct tr_column column = { .name = name, .native = native, .type_name = type_name };
    struct tr_relation relation = { .schema = "shop", .name = "item", .columns = &column, .ncolumns = 1 };
    assert_int_equal(tr_mapping_new(settings, &mapping, &err), 0);
    tr_mapping_route(mapping, &relation);
    tr_mapping_free(mapping);
    return column.target_type; /* inside the settings */
}

static void
a_column_goes_before_its_type_and_a_whole_type_before_its_name(void **state)
{
    (void)state;
    struct tr_error err;
    struct tr_settings *settings = settings_with(NULL, NULL);
    assert_int_equal(tr_settings_set(settings, "", "types",
                                     "time=interval,tinyint(1)=boolean,enum('a=b')=text", false, "test",
                                     &err),
                     0);
    assert_int_equal(
        tr_settings_set(settings, "", "columns", "item.a%=bigint,other.item.b=real", false, "test", &err), 0);
    assert_string_equal(chosen(settings, "x", "time(3)", "time"), "interval");
    assert_string_equal(chosen(settings, "x", "TINYINT(1)", "tinyint"), "boolean");
    assert_null(chosen(settings, "x", "tinyint(4)", "tinyint"));
    assert_string_equal(chosen(settings, "x", "enum('a=b')", "enum"), "text");
    assert_string_equal(chosen(settings, "ab", "time", "time"), "bigint");
    assert_null(chosen(settings, "b", "int", "int"));
    tr_settings_free(settings);
}

static void
a_scope_holds_what_the_task_carries(void **state)
{
    (void)state;
    struct tr_error err;
    struct tr_mapping *mapping;
    struct tr_settings *settings = settings_with("shop.%,3:+odd", "shop.tmp%");
    assert_int_equal(tr_mapping_new(settings, &mapping, &err), 0);
    char *all = tr_mapping_scope(mapping, NULL, NULL), *some = tr_mapping_scope(mapping, "shop", "public");
    assert_true(tr_mapping_in_scope(all, "shop", "a"));
    assert_true(tr_mapping_in_scope(all, "any", "3:+odd"));
    assert_false(tr_mapping_in_scope(all, "shop", "tmp1"));
    assert_false(tr_mapping_in_scope(all, "shops", "a"));
    assert_false(tr_mapping_in_scope(all, "tailrace", "3:+odd"));
    assert_true(tr_mapping_in_scope(some, "shop", "a"));
    assert_false(tr_mapping_in_scope(some, "public", "3:+odd"));
    assert_false(tr_mapping_in_scope(some, "any", "3:+odd"));
    static const char *const broken[] = { "", "+", "+9:shop.%", "+-1:%", "+1", "+18446744073709551615:%" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_false(tr_mapping_in_scope(broken[i], "shop", "a"));
    free(all);
    free(some);
    tr_mapping_free(mapping);
    tr_settings_free(settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_by_whole_name),
        cmocka_unit_test(excludes_win_and_our_own_schema_is_never_carried),
        cmocka_unit_test(an_open_bracket_is_refused),
        cmocka_unit_test(a_scope_holds_what_the_task_carries),
        cmocka_unit_test(a_column_goes_before_its_type_and_a_whole_type_before_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
