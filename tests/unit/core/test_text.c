/* test_text.c - what counts as UTF-8, and how the rest is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/text.h"

static void
test_utf8(void **state)
{
    static const char *const good[] = { "",
                                        "a",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\x80",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xe2\x82",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xe2\x28\xa1",
                                       "\xf0\x90\x28\x80" };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(tr_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tr_utf8_valid(bad[i], strlen(bad[i])));
}

static void
test_escapes(void **state)
{
    struct tr_buffer out;
    static const char text[] = "a\"\\\n\t\r\0\x7f\xff\xc2\x85\xe2\x82\xac";
    (void)state;
    tr_buffer_init(&out, 1000);
    tr_text_printable(&out, text, sizeof(text) - 1);
    assert_string_equal(out.data, "a\"\\\\n\\t\\x0d\\x00\\x7f\\xff\\xc2\\x85\xe2\x82\xac");
    tr_buffer_reset(&out);
    tr_text_json(&out, text, sizeof(text) - 1);
    assert_string_equal(out.data, "a\\\"\\\\\\n\\t\\r\\u0000\\u007f\xef\xbf\xbd\\u0085\xe2\x82\xac");
    static const char layout[] = "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xaa";
    tr_buffer_reset(&out);
    tr_text_printable(&out, layout, sizeof(layout) - 1);
    assert_string_equal(out.data, "\xe2\x80\xa7\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xe2\\x81\\xa6\xe2\x81\xaa");
    tr_buffer_reset(&out);
    tr_text_json(&out, layout, sizeof(layout) - 1);
    assert_string_equal(out.data, "\xe2\x80\xa7\\u2028\\u202e\\u2066\xe2\x81\xaa");
    tr_buffer_fini(&out);
}

static void
test_numbers(void **state)
{
    static const char *const good[] = { "0", "-0", "7", "-12.50", "1e+15", "1E5", "0.5e-3" };
    static const char *const bad[] = { "",   "-",    "+1",  "007", ".5", "5.",
                                       "1e", "1..2", "NaN", "0x1", "1 ", "--1" };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(tr_text_is_number(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tr_text_is_number(bad[i], strlen(bad[i])));
}

static void
test_plain_numbers(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "1.5e-07", "0.00000015" },
        { "-1e-1", "-0.1" },
        { "1e+3", "1000" },
        { "12.5e1", "125" },
        { "12.5E+2", "1250" },
        { "1.25e1", "12.5" },
        { "125e-2", "1.25" },
        { "7", "7" },
        { "-0.5", "-0.5" },
        { "0e0", "0" },
        { "125e-3", "0.125" },
        { "1e401", NULL },
        { "1e", NULL },
        { "NaN", NULL },
        { "", NULL },
        { "1e99999999999", NULL },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tr_buffer out;
        tr_buffer_init(&out, 4096);
        assert_int_equal(tr_text_plain_number(texts[i][0], strlen(texts[i][0]), &out), texts[i][1] != NULL);
        if (texts[i][1] != NULL)
            assert_string_equal(out.data, texts[i][1]);
        tr_buffer_fini(&out);
    }
}

static void
test_rounded_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int scale;
        const char *rounded;
    } cases[] = {
        { "1.255", 2, "1.26" },     { "1.254", 2, "1.25" }, { "-1.5", 0, "-2" },  { "9.99", 1, "10.0" },
        { "-9.5", 0, "-10" },       { "0.4", 0, "0" },      { "99.5", 0, "100" }, { "7", 2, "7" },
        { "0.0000001", 2, "0.00" }, { "0.095", 2, "0.10" }, { "1.2", 5, "1.2" },  { "-0.99", 1, "-1.0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_buffer number;
        tr_buffer_init(&number, 100);
        tr_buffer_text(&number, cases[i].text);
        tr_text_round_number(&number, cases[i].scale);
        assert_int_equal(number.len, strlen(cases[i].rounded));
        assert_memory_equal(number.data, cases[i].rounded, number.len);
        tr_buffer_fini(&number);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_utf8), cmocka_unit_test(test_escapes),
                                        cmocka_unit_test(test_numbers), cmocka_unit_test(test_plain_numbers),
                                        cmocka_unit_test(test_rounded_numbers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
