/* test_config.c - files and flags become settings; connectors are chosen by their URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/config.h"
#include "core/memory.h"
#include "tests/unit/app/fake.h"

#define ARGS_MAX 20

static struct tr_error err;
static struct tr_config config;

static const struct tr_option command_options[] = {
    { .name = "format",
      .section = "command",
      .type = TR_OPTION_CHOICE,
      .value = "text",
      .choices = "text|json",
      .help = "h" },
    { .name = "quick", .section = "command", .type = TR_OPTION_BOOL, .value = "false", .help = "h" },
    { .name = NULL },
};

/* Parse flags (words separated by blanks) and a file's text, and build. */
static int
build(const char *yaml, const char *flags)
{
    char *words = tr_strdup(flags), *argv[ARGS_MAX], *rest = words, *word;
    struct tr_config_request request = { .registry = fake_registry(),
                                         .command_options = command_options,
                                         .argv = argv };
    struct tr_entries file = { 0 }, given = { 0 };
    const char *path;
    while ((word = strsep(&rest, " ")) != NULL && request.argc < ARGS_MAX)
        if (word[0] != '\0')
            argv[request.argc++] = word;
    tr_error_clear(&err);
    tr_config_fini(&config);
    int rc = tr_config_parse_flags(&request, &given, &path, &err);
    if (rc == 0)
        rc = tr_entries_parse(&file, yaml, strlen(yaml), "task.yaml", &err);
    if (rc == 0)
        rc = tr_config_build(&request, &file, &given, &config, &err);
    tr_entries_fini(&file);
    tr_entries_fini(&given);
    free(words);
    return rc;
}

static void
assert_builds(const char *yaml, const char *flags)
{
    if (build(yaml, flags) < 0)
        fail_msg("%s (%s)", err.text, err.hint);
}

static void
assert_refused(const char *yaml, const char *flags, const char *words, const char *hint)
{
    if (build(yaml, flags) != -TR_CONFIG)
        fail_msg("accepted: %s %s", yaml, flags);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", err.text, words);
    if (strstr(err.hint, hint) == NULL)
        fail_msg("hint '%s' lacks '%s'", err.hint, hint);
}

static int
teardown(void **state)
{
    (void)state;
    tr_config_fini(&config);
    return 0;
}

static const char *
list_item(const char *name, size_t i)
{
    const char *const *items;
    size_t n = tr_setting_list(config.settings, name, &items);
    return i < n ? items[i] : NULL;
}

#define ENDS "source: lake://h/db\ntarget: sea://h/db\n"

static void
test_file(void **state)
{
    (void)state;
    assert_builds("task: shop\nmode: cdc\nmemory: 64MiB\n"
                  "source: { url: \"pond://u@h/db\", slot: s1, tls: no }\n"
                  "target: { url: \"sea://h/db\", depth: 3kB }\n"
                  "tables: { include: [\"public.%\", \"odd,na me\\\\\"], exclude: \"a, b\" }\n",
                  "");
    assert_string_equal(config.source->name, "lake");
    assert_string_equal(config.sink->name, "sea");
    assert_string_equal(config.store->name, "shelf");
    assert_string_equal(tr_setting_string(config.settings, "task"), "shop");
    assert_string_equal(tr_setting_string(config.settings, "source"), "pond://u@h/db");
    assert_string_equal(tr_setting_string(config.settings, "slot"), "s1");
    assert_false(tr_setting_bool(config.settings, "tls"));
    assert_int_equal(tr_setting_int(config.settings, "memory"), 64 << 20);
    assert_int_equal(tr_setting_int(config.settings, "depth"), 3000);
    assert_string_equal(list_item("tables", 0), "public.%");
    assert_string_equal(list_item("tables", 1), "odd,na me\\");
    assert_null(list_item("tables", 2));
    assert_string_equal(list_item("exclude", 1), "b");
}

static void
test_shorthands(void **state)
{
    (void)state;
    assert_builds(ENDS "tables: [\"a.%\", b]\n", "");
    assert_string_equal(list_item("tables", 1), "b");
    assert_builds("{\"source\": \"LAKE://h\", \"target\": \"stdout\", \"tables\": \"x\"}", "");
    assert_string_equal(config.sink->name, "out");
    assert_string_equal(tr_setting_string(config.settings, "target"), "stdout:");
    assert_string_equal(list_item("tables", 0), "x");
    assert_builds("source: lake://h\ntarget: file:///var/out\n", "");
    assert_string_equal(tr_setting_string(config.settings, "target"), "file:///var/out");
}

static void
test_flags_win(void **state)
{
    (void)state;
    assert_builds(
        ENDS "workers: 2\ntables: [a, b]\n",
        "--workers=9 --tables c,d --tables e --log-level debug --no-tls --depth 1 --source pond://x");
    assert_int_equal(tr_setting_int(config.settings, "workers"), 9);
    assert_string_equal(tr_setting_string(config.settings, "source"), "pond://x");
    assert_string_equal(list_item("tables", 0), "c");
    assert_string_equal(list_item("tables", 2), "e");
    assert_null(list_item("tables", 3));
    assert_string_equal(tr_setting_string(config.settings, "log_level"), "debug");
    assert_false(tr_setting_bool(config.settings, "tls"));
    assert_builds("", "--source lake://h --target sea://h --tls --tables public.%");
    assert_true(tr_setting_bool(config.settings, "tls"));
    assert_builds(ENDS, "--tls=off");
    assert_false(tr_setting_bool(config.settings, "tls"));
    assert_builds(ENDS, "--tls false --workers 3");
    assert_false(tr_setting_bool(config.settings, "tls"));
    assert_int_equal(tr_setting_int(config.settings, "workers"), 3);
}

static void
test_same_name_in_both(void **state)
{
    (void)state;
    assert_refused(ENDS, "--batch 5", "write --source-batch or --target-batch", "");
    assert_builds(ENDS, "--source-batch 5 --target-batch=6 --source-slot s");
    assert_int_equal(tr_setting_int(config.settings, "source.batch"), 5);
    assert_int_equal(tr_setting_int(config.settings, "target.batch"), 6);
    assert_string_equal(tr_setting_string(config.settings, "slot"), "s");
    /* With a target that has none of that name the short flag is clear. */
    assert_builds("source: lake://h\ntarget: stdout\n", "--batch 7");
    assert_int_equal(tr_setting_int(config.settings, "batch"), 7);
}

static void
test_command_options(void **state)
{
    (void)state;
    assert_builds(ENDS, "--format json --quick");
    assert_string_equal(tr_setting_string(config.command, "format"), "json");
    assert_true(tr_setting_bool(config.command, "quick"));
    assert_string_equal(tr_setting_string(config.settings, "format"), "salt");
    assert_builds(ENDS, "--format sweet");
    assert_string_equal(tr_setting_string(config.command, "format"), "text");
    assert_string_equal(tr_setting_string(config.settings, "format"), "sweet");
    assert_builds(ENDS, "--target-format sweet");
    assert_string_equal(tr_setting_string(config.settings, "format"), "sweet");
    assert_refused(ENDS, "--format sour", "is not one of salt|sweet", "");
}

/* The encoder is chosen with the connectors: its options are then known, another's are not. */
static void
test_the_format_brings_its_options(void **state)
{
    (void)state;
    assert_builds(ENDS, "");
    assert_string_equal(config.encoder->name, "salt");
    assert_builds("source: lake://h/db\ntarget: { url: sea://h, format: sweet, sugar: 5 }\n", "");
    assert_string_equal(config.encoder->name, "sweet");
    assert_int_equal(tr_setting_int(config.settings, "sugar"), 5);
    assert_builds("source: lake://h/db\ntarget: { url: sea://h, format: salt }\n",
                  "--target-format sweet --sugar 6");
    assert_int_equal(tr_setting_int(config.settings, "sugar"), 6);
    assert_refused(ENDS, "--sugar 5", "unknown option --sugar", "");
    assert_builds("source: lake://h/db\ntarget: stdout\n", "");
    assert_null(config.encoder);
}

static void
test_references(void **state)
{
    (void)state;
    setenv("TR_TEST_PW", "p/w", 1);
    setenv("TR_TEST_SCHEME", "lake", 1);
    unsetenv("TR_TEST_UNSET");
    assert_builds(
        "source: { url: \"${TR_TEST_SCHEME}://u:${TR_TEST_PW}@h/db\", password: \"${TR_TEST_PW}\" }\ntarget: sea://h\n",
        "");
    assert_string_equal(tr_setting_string(config.settings, "source"), "lake://u:p%2Fw@h/db");
    assert_string_equal(tr_setting_string(config.settings, "password"), "p/w");
    assert_refused(ENDS "task: ${TR_TEST_UNSET}\n", "",
                   "task.yaml:3: task: the environment variable TR_TEST_UNSET is not set", "");
    assert_refused(ENDS, "--slot ${TR_TEST_UNSET}", "--slot: slot: the environment variable", "");
    assert_refused("source: { url: lake://h, password: \"file:/nonexistent\" }\ntarget: sea://h\n", "",
                   "cannot open the file /nonexistent", "");
    setenv("TR_TEST_BYTES", "\xff", 1);
    assert_refused(ENDS "task: ${TR_TEST_BYTES}\n", "", "is not valid UTF-8", "");
}

static void
test_refused_files(void **state)
{
    (void)state;
    assert_refused("task: x\n", "", "no source is given", "--source URL");
    assert_refused("source: lake://h\n", "", "no target is given", "--target URL");
    assert_refused("sorce: lake://h\ntarget: sea://h\n", "", "task.yaml:1: unknown key sorce",
                   "did you mean source?");
    assert_refused("sorce: { url: lake://h }\ntarget: sea://h\n", "", "task.yaml:1: unknown key sorce",
                   "did you mean source?");
    assert_refused("source: { ulr: lake://h }\ntarget: sea://h\n", "", "unknown key ulr in section source",
                   "did you mean url?");
    assert_refused("source: mongodb://h\ntarget: sea://h\n", "", "there is no source for mongodb: URLs",
                   "known are lake|pond");
    assert_refused("source: lake://h\ntarget: lake://h\n", "", "there is no target for lake: URLs",
                   "known are sea stdout|file");
    assert_refused("source: [lake://h]\ntarget: sea://h\n", "", "source takes one value, not a list", "");
    assert_refused("source: host=h password=hunter2\ntarget: sea://h\n", "",
                   "task.yaml:1: the source is not a URL", "");
    assert_null(strstr(err.text, "hunter2"));
    assert_refused(ENDS "worker: 2\n", "", "task.yaml:3: unknown key worker", "did you mean workers?");
    assert_refused(ENDS "slot: x\n", "", "unknown key slot", "slot belongs into the section source");
    assert_refused("source: { url: lake://h, memory: 1 }\ntarget: sea://h\n", "",
                   "unknown key memory in section source", "top level");
    assert_refused("source: { url: lake://h, slto: 1 }\ntarget: sea://h\n", "",
                   "unknown key slto in section source", "did you mean slot?");
    assert_refused(ENDS "tables: { tables: x }\n", "", "", "");
    assert_refused("source: lake://h\ntarget: sea://h\ntables: { inclode: x }\n", "", "unknown key inclode",
                   "did you mean include?");
    assert_refused(ENDS "tabels: { include: x }\n", "", "unknown section tabels",
                   "source, target and tables");
    assert_refused(ENDS "memory: { a: 1 }\n", "", "memory takes a value, not a mapping", "");
    assert_refused(ENDS "memory: [1MiB]\n", "", "memory takes one value, not a list", "");
    assert_refused(ENDS "tables: []\n", "", "the list of tables is empty", "");
    assert_refused(ENDS "tables: [\"\"]\n", "", "tables has an empty item", "");
    assert_refused(ENDS "workers: many\n", "",
                   "task.yaml:3: the value 'many' of workers is not a whole number", "");
    assert_refused(ENDS "log-level: debug\n", "", "unknown key log-level", "did you mean log_level?");
}

static void
test_refused_flags(void **state)
{
    (void)state;
    assert_refused(ENDS, "--memroy 1GiB", "unknown option --memroy", "did you mean --memory?");
    assert_refused(ENDS, "--retrymax 1s", "unknown option --retrymax", "did you mean --retry-max?");
    assert_refused(ENDS, "--workers", "--workers needs a value", "");
    assert_refused(ENDS, "--workers --tls", "--workers needs a value", "");
    assert_refused(ENDS, "--workers=", "is not a whole number", "");
    assert_refused(ENDS, "--no-workers", "unknown option --no-workers", "");
    assert_refused(ENDS, "--no-tls=true", "--no-tls takes no value", "");
    assert_refused(ENDS, "-w 3", "unknown option -w", "");
    assert_refused(ENDS, "a.yaml b.yaml", "two task files", "");
    assert_refused(ENDS, "-- a.yaml --workers", "two task files", "");
    assert_refused("source: lake://h\ntarget: stdout\n", "--depth 1", "unknown option --depth",
                   "neither the source lake nor the target out");
    assert_refused(ENDS, "--=x", "unknown option --", "");
}

static void
test_task_names(void **state)
{
    static const char *const good[] = { "a", "shop-1_x.Y",
                                        "123456789012345678901234567890123456789012345678901234567890123" };
    static const char *const bad[] = {
        "\"\"", "..",      ".x",       "-x",
        "a/b",  "\"a b\"", "\xc3\xa4", "1234567890123456789012345678901234567890123456789012345678901234"
    };
    char yaml[300];
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(yaml, sizeof(yaml), ENDS "task: %s\n", good[i]);
        assert_builds(yaml, "");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(yaml, sizeof(yaml), ENDS "task: %s\n", bad[i]);
        assert_refused(yaml, "", "is not good as the name of a task", "");
    }
}

static void
test_argv_is_hidden(void **state)
{
    char source[] = "lake://u:hunter2@h/db", target[] = "--target=sea://u:x@h/",
         password[] = "--password=hunter2", flag[] = "--source", plain[] = "--slot=a:b@c",
         flag2[] = "--source-password", value2[] = "hunter2";
    char *argv[] = { flag, source, target, password, plain, flag2, value2 };
    struct tr_config_request request = { .registry = fake_registry(), .argc = 7, .argv = argv };
    (void)state;
    tr_config_fini(&config);
    assert_int_equal(tr_config_load(&request, &config, &err), 0);
    assert_string_equal(tr_setting_string(config.settings, "source"), "lake://u:hunter2@h/db");
    assert_string_equal(tr_setting_string(config.settings, "password"), "hunter2");
    assert_string_equal(source, "lake://u:***@h/db");
    assert_null(strstr(target, "x"));
    assert_null(strstr(password, "hunter2"));
    assert_string_equal(plain, "--slot=a:b@c");
    assert_null(strstr(value2, "hunter"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_shorthands),
        cmocka_unit_test(test_flags_win),
        cmocka_unit_test(test_same_name_in_both),
        cmocka_unit_test(test_command_options),
        cmocka_unit_test(test_the_format_brings_its_options),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_refused_flags),
        cmocka_unit_test(test_task_names),
        cmocka_unit_test(test_argv_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
