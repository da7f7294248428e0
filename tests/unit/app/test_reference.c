/* test_reference.c - what ${...} and file: stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/entries.h"

static struct tr_error err;
static char dir[] = "/tmp/tailrace-reference-XXXXXX";
static char secret[64], open_secret[64];

static void
write_file(const char *path, const char *content, size_t len, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int
setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(secret, sizeof(secret), "%s/secret", dir);
    snprintf(open_secret, sizeof(open_secret), "%s/open", dir);
    write_file(secret, "p@ss:w/rd?%\r\n", 13, 0600);
    write_file(open_secret, "seen", 4, 0644);
    setenv("TR_TEST_HOST", "db1", 1);
    setenv("TR_TEST_PW", "a@b/c", 1);
    setenv("TR_TEST_URL", "lake://u:p%40w@h/db", 1);
    setenv("TR_TEST_EMPTY", "", 1);
    unsetenv("TR_TEST_UNSET");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unlink(secret);
    unlink(open_secret);
    return rmdir(dir);
}

static void
assert_expands(const char *text, bool is_url, bool whole_file, const char *expected)
{
    char *out, *note = NULL;
    assert_int_equal(tr_reference_expand(text, is_url, whole_file, &out, &note, &err), 0);
    assert_string_equal(out, expected);
    assert_null(note);
    free(out);
}

static void
test_variables(void **state)
{
    (void)state;
    assert_expands("", false, false, "");
    assert_expands("plain $ text $$ {x}", false, false, "plain $ text $$ {x}");
    assert_expands("x${TR_TEST_HOST}y${TR_TEST_EMPTY}z", false, false, "xdb1yz");
    assert_expands("$${TR_TEST_HOST}", false, false, "${TR_TEST_HOST}");
    /* What was put in is not looked at again. */
    setenv("TR_TEST_NESTED", "${TR_TEST_HOST}", 1);
    assert_expands("${TR_TEST_NESTED}", false, false, "${TR_TEST_HOST}");
}

static void
test_url_parts_are_encoded(void **state)
{
    char text[200];
    (void)state;
    assert_expands("lake://u:${TR_TEST_PW}@h/db", true, false, "lake://u:a%40b%2Fc@h/db");
    assert_expands("lake://${TR_TEST_PW}:${TR_TEST_PW}@${TR_TEST_HOST}/${TR_TEST_HOST}", true, false,
                   "lake://a%40b%2Fc:a%40b%2Fc@db1/db1");
    assert_expands("lake://${TR_TEST_HOST}:1/db?x=a@b", true, false, "lake://db1:1/db?x=a@b");
    assert_expands("${TR_TEST_URL}", true, false, "lake://u:p%40w@h/db");
    assert_expands("lake://u:${TR_TEST_PW}@h", false, false, "lake://u:a@b/c@h");
    snprintf(text, sizeof(text), "lake://u:${file:%s}@h/db", secret);
    assert_expands(text, true, false, "lake://u:p%40ss%3Aw%2Frd%3F%25@h/db");
}

static void
test_files(void **state)
{
    char text[200];
    (void)state;
    snprintf(text, sizeof(text), "file:%s", secret);
    assert_expands(text, false, true, "p@ss:w/rd?%");
    assert_expands(text, false, false, text);
    snprintf(text, sizeof(text), "<${file:%s}>", secret);
    assert_expands(text, false, false, "<p@ss:w/rd?%>");
}

static void
test_note_for_an_open_file(void **state)
{
    char text[200], *out, *note = NULL;
    (void)state;
    snprintf(text, sizeof(text), "file:%s", open_secret);
    assert_int_equal(tr_reference_expand(text, false, true, &out, &note, &err), 0);
    assert_string_equal(out, "seen");
    assert_non_null(strstr(note, open_secret));
    assert_null(strstr(note, "seen"));
    free(note);
    free(out);
}

static void
assert_refused(const char *text, const char *words)
{
    char *out;
    assert_int_equal(tr_reference_expand(text, false, true, &out, NULL, &err), -TR_CONFIG);
    assert_null(out);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", err.text, words);
}

static void
test_refusals(void **state)
{
    char text[200];
    (void)state;
    assert_refused("${TR_TEST_UNSET}", "the environment variable TR_TEST_UNSET is not set");
    assert_refused("a${", "has no closing brace");
    assert_refused("a${}", "is not the name of an environment variable");
    assert_refused("${1A}", "is not the name of an environment variable");
    assert_refused("${A:-x}", "is not the name of an environment variable");
    assert_refused("file:", "names no file");
    assert_refused("file:/nonexistent/x", "No such file");
    assert_refused("file:/tmp", "Is a directory");
    assert_refused("file:/dev/zero", "larger than 64 KiB");
    write_file(secret, "a\0b", 3, 0600);
    snprintf(text, sizeof(text), "${file:%s}", secret);
    assert_refused(text, "holds a NUL byte");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables), cmocka_unit_test(test_url_parts_are_encoded),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_note_for_an_open_file),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
