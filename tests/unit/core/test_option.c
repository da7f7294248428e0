/* test_option.c - values, bounds, messages and names of settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/option.h"

static const struct tr_option table[] = {
    { .name = "name", .section = "", .type = TR_OPTION_STRING, .value = "shop", .help = "h" },
    { .name = "password", .section = "source", .type = TR_OPTION_STRING, .secret = true, .help = "h" },
    { .name = "workers",
      .section = "",
      .type = TR_OPTION_INT,
      .value = "4",
      .min = 1,
      .max = 64,
      .help = "h" },
    { .name = "offset", .section = "", .type = TR_OPTION_INT, .min = -10, .max = 10, .help = "h" },
    { .name = "memory",
      .section = "",
      .type = TR_OPTION_SIZE,
      .value = "256MiB",
      .min = 16 << 20,
      .max = INT64_C(1) << 40,
      .help = "h" },
    { .name = "any_size", .section = "", .type = TR_OPTION_SIZE, .help = "h" },
    { .name = "retry_max", .section = "", .type = TR_OPTION_DURATION, .value = "0s", .help = "h" },
    { .name = "follow", .section = "", .type = TR_OPTION_BOOL, .value = "false", .help = "h" },
    { .name = "mode",
      .section = "",
      .type = TR_OPTION_CHOICE,
      .choices = "full-load|full-load-and-cdc|cdc",
      .help = "h" },
    { .name = "tables", .section = "tables", .type = TR_OPTION_LIST, .value = "%", .help = "h" },
    { .name = NULL },
};

static struct tr_error err;

static int
setup(void **state)
{
    struct tr_settings *settings = tr_settings_new();
    *state = settings;
    return tr_settings_add_table(settings, table, &err);
}

static int
teardown(void **state)
{
    tr_settings_free(*state);
    return 0;
}

static int
set(void **state, const char *name, const char *text)
{
    const struct tr_option *option = tr_settings_find(*state, NULL, name);
    assert_non_null(option);
    tr_error_clear(&err);
    return tr_settings_set(*state, option->section, name, text, false, "task.yaml:7", &err);
}

static void
assert_number(void **state, const char *name, const char *text, int64_t expected)
{
    assert_int_equal(set(state, name, text), 0);
    assert_true(tr_setting_int(*state, name) == expected);
}

static void
assert_refused(void **state, const char *name, const char *text, const char *words)
{
    assert_int_equal(set(state, name, text), -TR_CONFIG);
    assert_int_equal(err.class, TR_CONFIG);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", err.text, words);
    assert_non_null(strstr(err.text, "task.yaml:7: "));
}

static void
test_defaults(void **state)
{
    assert_string_equal(tr_setting_string(*state, "name"), "shop");
    assert_null(tr_setting_string(*state, "mode"));
    assert_int_equal(tr_setting_int(*state, "workers"), 4);
    assert_int_equal(tr_setting_int(*state, "memory"), 256 << 20);
    assert_false(tr_setting_bool(*state, "follow"));
    assert_false(tr_setting_is_set(*state, "workers"));
    assert_int_equal(set(state, "workers", "4"), 0);
    assert_true(tr_setting_is_set(*state, "workers"));
}

static void
test_sizes(void **state)
{
    assert_number(state, "any_size", "0", 0);
    assert_number(state, "any_size", "17", 17);
    assert_number(state, "any_size", "17B", 17);
    assert_number(state, "any_size", "64kB", 64000);
    assert_number(state, "any_size", "64KiB", 65536);
    assert_number(state, "any_size", "1.5MiB", 1572864);
    assert_number(state, "any_size", "2 GB", INT64_C(2000000000));
    assert_number(state, "any_size", "1TiB", INT64_C(1) << 40);
    assert_refused(state, "any_size", "-1", "is less than 0");
    assert_refused(state, "any_size", "5 parsecs", "is not a size");
    assert_refused(state, "any_size", "MiB", "is not a size");
    assert_refused(state, "any_size", "", "is not a size");
    assert_refused(state, "any_size", "99999999999999999999", "is not a size");
    assert_refused(state, "any_size", "9999999999TiB", "is too large");
    assert_refused(state, "memory", "1MiB", "is not between 16MiB and 1TiB");
}

static void
test_durations(void **state)
{
    assert_number(state, "retry_max", "0", 0);
    assert_number(state, "retry_max", "250us", 250);
    assert_number(state, "retry_max", "250ms", 250000);
    assert_number(state, "retry_max", "1.5s", 1500000);
    assert_number(state, "retry_max", "2min", 120000000);
    assert_number(state, "retry_max", "1 h", INT64_C(3600000000));
    assert_number(state, "retry_max", "1d", INT64_C(86400000000));
    assert_refused(state, "retry_max", "10", "is not a duration");
    assert_refused(state, "retry_max", "10m", "is not a duration");
    assert_refused(state, "retry_max", "1.s", "is not a duration");
    assert_refused(state, "retry_max", "-1s", "is less than 0");
    assert_refused(state, "retry_max", "9223372036854775807d", "is too large");
}

static void
test_integers(void **state)
{
    assert_number(state, "workers", "64", 64);
    assert_number(state, "offset", "-10", -10);
    assert_refused(state, "workers", "0", "is not between 1 and 64");
    assert_refused(state, "workers", "65", "is not between 1 and 64");
    assert_refused(state, "workers", "4x", "is not a whole number");
    assert_refused(state, "workers", "4.0", "is not a whole number");
    assert_refused(state, "workers", " 4", "is not a whole number");
    assert_refused(state, "workers", "0x10", "is not a whole number");
    /* A refused value leaves the old one. */
    assert_int_equal(tr_setting_int(*state, "workers"), 64);
}

static void
test_bools_and_choices(void **state)
{
    static const char *const yes[] = { "true", "YES", "on" }, *const no[] = { "False", "no", "off" };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set(state, "follow", yes[i]), 0);
        assert_true(tr_setting_bool(*state, "follow"));
        assert_int_equal(set(state, "follow", no[i]), 0);
        assert_false(tr_setting_bool(*state, "follow"));
    }
    assert_refused(state, "follow", "1", "is neither true nor false");
    assert_int_equal(set(state, "mode", "cdc"), 0);
    assert_string_equal(tr_setting_string(*state, "mode"), "cdc");
    assert_refused(state, "mode", "full", "is not one of full-load|full-load-and-cdc|cdc");
    assert_refused(state, "mode", "", "is not one of");
    assert_refused(state, "mode", "full-load|cdc", "is not one of");
}

static void
test_lists(void **state)
{
    const char *const *items;
    assert_int_equal(tr_setting_list(*state, "tables", &items), 1);
    assert_string_equal(items[0], "%");
    assert_int_equal(set(state, "tables", " public.a , public.b\\,c,x\\\\y\\_"), 0);
    assert_int_equal(tr_setting_list(*state, "tables", &items), 3);
    assert_string_equal(items[0], "public.a");
    assert_string_equal(items[1], "public.b,c");
    assert_string_equal(items[2], "x\\y\\_");
    assert_null(items[3]);
    assert_int_equal(tr_settings_set(*state, "tables", "tables", "more", true, "--tables", &err), 0);
    assert_int_equal(tr_setting_list(*state, "tables", &items), 4);
    assert_refused(state, "tables", "a,,b", "has an empty item");
}

static void
test_append_replaces_the_default(void **state)
{
    const char *const *items;
    assert_int_equal(tr_settings_set(*state, "tables", "tables", "a", true, "--tables", &err), 0);
    assert_int_equal(tr_setting_list(*state, "tables", &items), 1);
    assert_string_equal(items[0], "a");
}

static void
test_secret_is_not_in_messages(void **state)
{
    static const struct tr_option secret[] = {
        { .name = "key",
          .section = "source",
          .type = TR_OPTION_CHOICE,
          .choices = "a|b",
          .secret = true,
          .help = "h" },
        { .name = NULL },
    };
    assert_int_equal(tr_settings_add_table(*state, secret, &err), 0);
    assert_refused(state, "key", "hunter2", "the value of key is not one of");
    assert_null(strstr(err.text, "hunter2"));
}

static void
test_unknown_names(void **state)
{
    assert_int_equal(tr_settings_set(*state, "", "worker", "1", false, "--worker", &err), -TR_CONFIG);
    assert_string_equal(err.text, "--worker: unknown option worker");
    assert_string_equal(err.hint, "did you mean workers?");
    assert_string_equal(tr_settings_suggest(*state, NULL, "retry-mx"), "retry_max");
    assert_string_equal(tr_settings_suggest(*state, "", "meomry"), "memory");
    assert_null(tr_settings_suggest(*state, NULL, "completely_different"));
    assert_null(tr_settings_suggest(*state, "source", "worker"));
    char endless[500];
    memset(endless, 'a', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    assert_null(tr_settings_suggest(*state, NULL, endless));
    assert_ptr_equal(tr_settings_find(*state, NULL, "retry-max"), tr_settings_find(*state, "", "retry_max"));
    assert_null(tr_settings_find(*state, "source", "workers"));
}

static void
test_tables_must_fit_together(void **state)
{
    static const struct tr_option again[] = {
        { .name = "workers", .section = "", .type = TR_OPTION_INT, .help = "h" },
        { .name = NULL },
    };
    static const struct tr_option bad_default[] = {
        { .name = "size", .section = "", .type = TR_OPTION_SIZE, .value = "many", .help = "h" },
        { .name = NULL },
    };
    static const struct tr_option other_section[] = {
        { .name = "workers", .section = "target", .type = TR_OPTION_INT, .value = "9", .help = "h" },
        { .name = NULL },
    };
    assert_int_equal(tr_settings_add_table(*state, again, &err), -TR_FATAL);
    assert_int_equal(tr_settings_add_table(*state, bad_default, &err), -TR_CONFIG);
    assert_int_equal(tr_settings_add_table(*state, NULL, &err), 0);
    assert_int_equal(tr_settings_add_table(*state, other_section, &err), 0);
    assert_int_equal(tr_setting_int(*state, "target.workers"), 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_integers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bools_and_choices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_replaces_the_default, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secret_is_not_in_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tables_must_fit_together, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
