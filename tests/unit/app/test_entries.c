/* test_entries.c - task files: what is read, and what each kind of wrong file is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/entries.h"

static struct tr_error err;

static int
parse_bytes(struct tr_entries *entries, const char *text, size_t len)
{
    *entries = (struct tr_entries){ 0 };
    tr_error_clear(&err);
    return tr_entries_parse(entries, text, len, "task.yaml", &err);
}

static void
assert_entry(const struct tr_entries *entries, const char *section, const char *name, const char *value,
             const char *origin)
{
    const struct tr_entry *entry = tr_entries_find(entries, section, name);
    assert_non_null(entry);
    assert_true(entry->nvalues >= 1);
    assert_string_equal(entry->values[0], value);
    assert_string_equal(entry->origin, origin);
}

static void
test_yaml(void **state)
{
    static const char text[] = "# a task\n"
                               "task: shop\n"
                               "source:\n"
                               "  url: \"postgresql://repl@db1/shop?sslmode=verify-full\"\n"
                               "  slot: 'it''s'\n"
                               "tables: { include: [\"public.%\", a], exclude: x }\n"
                               "empty: \"\"\n";
    struct tr_entries entries;
    (void)state;
    assert_int_equal(parse_bytes(&entries, text, sizeof(text) - 1), 0);
    assert_int_equal(entries.count, 8);
    assert_entry(&entries, "", "task", "shop", "task.yaml:2");
    assert_entry(&entries, "source", "url", "postgresql://repl@db1/shop?sslmode=verify-full", "task.yaml:4");
    assert_entry(&entries, "source", "slot", "it's", "task.yaml:5");
    assert_entry(&entries, "tables", "include", "public.%", "task.yaml:6");
    assert_entry(&entries, "tables", "exclude", "x", "task.yaml:6");
    assert_entry(&entries, "", "empty", "", "task.yaml:7");
    assert_true(tr_entries_find(&entries, "", "source")->is_section);
    assert_true(tr_entries_find(&entries, "tables", "include")->is_list);
    assert_int_equal(tr_entries_find(&entries, "tables", "include")->nvalues, 2);
    tr_entries_fini(&entries);
}

static void
test_json(void **state)
{
    static const char text[] = "{\n\t\"task\": \"sh\\u00f6p\",\n\t\"workers\": 4,\n"
                               "\t\"source\": {\"url\": \"postgresql:\\/\\/db1\\/shop\", \"tls\": true},\n"
                               "\t\"tables\": [\"a\", \"b\"]\n}\n";
    struct tr_entries entries;
    (void)state;
    assert_int_equal(parse_bytes(&entries, text, sizeof(text) - 1), 0);
    assert_entry(&entries, "", "task", "sh\xc3\xb6p", "task.yaml:2");
    assert_entry(&entries, "", "workers", "4", "task.yaml:3");
    assert_entry(&entries, "source", "url", "postgresql://db1/shop", "task.yaml:4");
    assert_entry(&entries, "source", "tls", "true", "task.yaml:4");
    assert_int_equal(tr_entries_find(&entries, "", "tables")->nvalues, 2);
    tr_entries_fini(&entries);
}

static void
test_nothing_in_it(void **state)
{
    static const char *const texts[] = { "", "\n\n", "# only a comment\n", "---\n", "{}", "--- {}\n...\n" };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tr_entries entries;
        assert_int_equal(parse_bytes(&entries, texts[i], strlen(texts[i])), 0);
        assert_int_equal(entries.count, 0);
        tr_entries_fini(&entries);
    }
}

static void
test_refusals(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "task: a\nmode: b\ntask: c\n", "task.yaml:3: key task is given twice, first at task.yaml:1" },
        { "source: x\nsource: { url: y }\n", "task.yaml:2: key source is given twice" },
        { "source: { url: x,\n url: y }\n", "task.yaml:2: key url is given twice" },
        { "task:\n", "task.yaml:1: task has no value" },
        { "task: ~\n", "task has no value" },
        { "{\"task\": null}\n", "task has no value" },
        { "a: 1\nb: *x\n", "task.yaml:2: an alias (*name) is not read here" },
        { "a: &x 1\n", "an anchor (&name) is not read here" },
        { "a: &x [1]\n", "an anchor" },
        { "a: &x {b: 1}\n", "an anchor" },
        { "&x {b: 1}\n", "an anchor" },
        { "a: !!int 1\n", "a tag (!name) is not read here" },
        { "a: !!python/object:os.system [x]\n", "a tag" },
        { "<<: *x\n", "an alias" },
        { "[a, b]\n", "a task file is made of lines" },
        { "just words\n", "a task file is made of lines" },
        { "[a]: b\n", "a key must be plain text" },
        { "? {a: b}\n: c\n", "a key must be plain text" },
        { "a: [[b]]\n", "the list of a may hold texts only" },
        { "a: [{b: c}]\n", "the list of a may hold texts only" },
        { "a: {b: {c: d}}\n", "b takes a value or a list, not a mapping" },
        { "a: [b, ~]\n", "a has no value" },
        { "a: \"x\\0y\"\n", "the value of a holds a NUL byte" },
        { "\"a\\0b\": x\n", "holds a NUL byte" },
        { "a: 1\n---\nb: 2\n", "more than one document" },
        { "ok: 1\na: [1,\nb: 2\n", "task.yaml:" },
        { "a: b: c\n", "task.yaml:1: not valid YAML" },
        { "\tа: b\n", "not valid YAML" },
        { "a: 1\nb: \xff\n", "task.yaml:2: not valid UTF-8" },
        { "a: \xed\xa0\x80\n", "not valid UTF-8" },
        { "a: 1\nb: \x01\n", "task.yaml:2: not valid UTF-8 text: control characters" },
        { "{\"a\": 1", "not valid YAML" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tr_entries entries;
        if (parse_bytes(&entries, cases[i].text, strlen(cases[i].text)) != -TR_CONFIG)
            fail_msg("accepted: %s", cases[i].text);
        if (strstr(err.text, cases[i].words) == NULL)
            fail_msg("'%s' lacks '%s'", err.text, cases[i].words);
        tr_entries_fini(&entries);
    }
}

static void
test_quote_hints(void **state)
{
    struct tr_entries entries;
    (void)state;
    assert_int_equal(parse_bytes(&entries, "tables: [%]\n", 12), -TR_CONFIG);
    assert_non_null(strstr(err.hint, "into quotes"));
    tr_entries_fini(&entries);
    assert_int_equal(parse_bytes(&entries, "tables: [*]\n", 12), -TR_CONFIG);
    assert_non_null(strstr(err.hint, "into quotes"));
    tr_entries_fini(&entries);
}

static void
test_nul_and_utf16(void **state)
{
    struct tr_entries entries;
    (void)state;
    assert_int_equal(parse_bytes(&entries, "a: b\0c\n", 7), -TR_CONFIG);
    tr_entries_fini(&entries);
    assert_int_equal(parse_bytes(&entries,
                                 "\xff\xfe"
                                 "a\0:\0 \0b\0",
                                 10),
                     -TR_CONFIG);
    tr_entries_fini(&entries);
}

/* Hostile sizes: none may take long or much. */
static void
test_ceilings(void **state)
{
    size_t len = 1 << 20;
    char *text = malloc(len + 2);
    struct tr_entries entries;
    (void)state;
    assert_non_null(text);
    memset(text, '[', len + 1);
    assert_int_equal(parse_bytes(&entries, text, len + 1), -TR_CONFIG);
    assert_non_null(strstr(err.text, "larger than 1 MiB"));
    tr_entries_fini(&entries);
    assert_int_equal(parse_bytes(&entries, text, len), -TR_CONFIG);
    tr_entries_fini(&entries);
    memset(text, '{', len);
    assert_int_equal(parse_bytes(&entries, text, len), -TR_CONFIG);
    tr_entries_fini(&entries);
    size_t at = 0;
    for (int i = 0; i < 1001; i++)
        at += (size_t)snprintf(text + at, len - at, "k%d: v\n", i);
    assert_int_equal(parse_bytes(&entries, text, at), -TR_CONFIG);
    assert_non_null(strstr(err.text, "too many keys"));
    tr_entries_fini(&entries);
    at = (size_t)snprintf(text, len, "a:\n");
    for (int i = 0; i < 10001; i++)
        at += (size_t)snprintf(text + at, len - at, "- v\n");
    assert_int_equal(parse_bytes(&entries, text, at), -TR_CONFIG);
    assert_non_null(strstr(err.text, "too long"));
    tr_entries_fini(&entries);
    free(text);
}

static void
test_unreadable_files(void **state)
{
    struct tr_entries entries = { 0 };
    (void)state;
    assert_int_equal(tr_entries_read_file(&entries, "/nonexistent/task.yaml", &err), -TR_CONFIG);
    assert_string_equal(err.text,
                        "cannot open the task file /nonexistent/task.yaml: No such file or directory");
    assert_int_equal(tr_entries_read_file(&entries, "/", &err), -TR_CONFIG);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(tr_entries_read_file(&entries, "/dev/zero", &err), -TR_CONFIG);
    assert_non_null(strstr(err.text, "larger than 1 MiB"));
    tr_entries_fini(&entries);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml),          cmocka_unit_test(test_json),
        cmocka_unit_test(test_nothing_in_it), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_quote_hints),   cmocka_unit_test(test_nul_and_utf16),
        cmocka_unit_test(test_ceilings),      cmocka_unit_test(test_unreadable_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
