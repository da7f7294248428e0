/*
 * test_binlog_values.c - single values of the binary log: text in every character set, JSON and differences of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/binlog/charset.h"
#include "decoders/binlog/text.h"

static void
text_in_every_kind_of_charset(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *bytes, *text;
    } cases[] = {
        { "latin1", "\x80\x81\xe9", "€\xc2\x81é" },
        { "cp1251", "\xcf", "П" },
        { "gbk", "\xba\xba", "汉" },
        { "sjis", "\x93\xfa", "日" },
        { "gb18030", "a\xfe\x59\x82\x35\x90\x37\xb0\xa1", "a\xee\xa0\x9e\xe9\xbe\xb4啊" },
        { "ucs2", "\x6f\x22", "漢" },
        { "utf16", "\xd8\x3d\xde\x00", "😀" },
        { "swe7", "\x5d", "Å" },
        { "utf16le", "\x3d\xd8\x01\xde", "😁" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_buffer out;
        struct tr_error err = { 0 };
        size_t len = strlen(cases[i].bytes) + (strcmp(cases[i].charset, "utf16") == 0);
        tr_buffer_init(&out, 100);
        assert_int_equal(
            binlog_to_utf8(binlog_charset_named(cases[i].charset), cases[i].bytes, len, &out, &err), 0);
        assert_string_equal(out.data, cases[i].text);
        tr_buffer_fini(&out);
    }
    struct tr_buffer out;
    struct tr_error err = { 0 };
    tr_buffer_init(&out, 100);
    assert_int_equal(binlog_to_utf8(binlog_charset_named("ascii"), "\x80", 1, &out, &err), -TR_CONFLICT);
    assert_int_equal(binlog_to_utf8(binlog_charset_named("sjis"), "\x93", 1, &out, &err), -TR_CONFLICT);
    assert_string_equal(binlog_charset(255)->name, "utf8mb4");
    assert_string_equal(binlog_charset(2304)->name, "utf8mb4"); /* MariaDB's uca1400 */
    assert_string_equal(binlog_charset(1032)->name, "latin1");  /* NO PAD */
    assert_null(binlog_charset(100));
    tr_buffer_fini(&out);
}

static void
damaged_json_is_an_error(void **state)
{
    (void)state;
    /* an array whose only element is the array itself: it would never end */
    static const uint8_t endless[] = { 2, 1, 0, 7, 0, 2, 0, 0 };
    static const uint8_t beyond[] = { 2, 1, 0, 7, 0, 12, 7, 0 };
    struct tr_buffer out;
    struct tr_error err = { 0 };
    tr_buffer_init(&out, 1 << 20);
    assert_int_equal(binlog_text_json(&out, endless, sizeof endless, &err), -TR_FATAL);
    assert_int_equal(binlog_text_json(&out, beyond, sizeof beyond, &err), -TR_FATAL);
    tr_buffer_fini(&out);
}

/* {"a": 1}, and an array of it: every difference fits to the letter or is an error. */
/* A row of the load has the server's own text. */
static void
strings_of_json_are_escaped_as_the_server_does(void **state)
{
    static const uint8_t doc[] = { 12, 11, '\b', '\f', '\t', 1, 0x1f, 0x7f, '"', '\\', '/', 0xc3, 0xa9 };
    struct tr_buffer out;
    struct tr_error err;
    (void)state;
    tr_buffer_init(&out, 1 << 16);
    assert_int_equal(binlog_text_json(&out, doc, sizeof doc, &err), 0);
    assert_string_equal(out.data, "\"\\b\\f\\t\\u0001\\u001f\x7f\\\"\\\\/é\"");
    tr_buffer_fini(&out);
}

static void
differences_of_json_are_applied(void **state)
{
    (void)state;
    static const uint8_t object[] = { 0, 1, 0, 12, 0, 11, 0, 1, 0, 5, 1, 0, 'a' };
    static const uint8_t array[] = { 2, 2, 0, 10, 0, 5, 1, 0, 5, 2, 0 };
#define DIFF(bytes) bytes, sizeof(bytes) - 1
    static const struct {
        bool array;
        const char *differences;
        size_t len;
        const char *after; /* NULL = an error */
    } cases[] = {
        { false, DIFF(""), "{\"a\": 1}" },
        { false, DIFF("\0\003$.a\003\005\007\0"), "{\"a\": 7}" },
        { false, DIFF("\001\003$.b\002\004\001"), "{\"a\": 1, \"b\": true}" },
        { false, DIFF("\001\004$.bb\002\004\002\001\003$.B\002\004\0\002\003$.a"),
          "{\"B\": null, \"bb\": false}" },
        { false, DIFF("\001\011$.\"x\\\"\\n\"\002\004\001"), "{\"a\": 1, \"x\\\"\\n\": true}" },
        { false, DIFF("\002\003$.a"), "{}" },
        { false, DIFF("\0\003$.b\002\004\001"), NULL },   /* nothing to replace */
        { false, DIFF("\001\003$.a\002\004\001"), NULL }, /* it is there */
        { false, DIFF("\002\003$.b"), NULL },             /* nothing to remove */
        { false, DIFF("\002\004$[0]"), NULL },            /* no array */
        { false, DIFF("\002\005$.a.b"), NULL },           /* no object */
        { false, DIFF("\003\003$.a"), NULL },             /* no operation */
        { false, DIFF("\0\003$.a\003\005\007"), NULL },   /* cut */
        { false, DIFF("\0\001$\002\004\001"), NULL },     /* the document itself */
        { false, DIFF("\0\004$.a \002\004\001"), NULL },  /* another name */
        { true, DIFF("\001\004$[0]\002\004\001"), "[true, 1, 2]" },
        { true, DIFF("\001\004$[9]\002\004\001"), "[1, 2, true]" },
        { true, DIFF("\002\004$[0]\0\004$[0]\002\004\0"), "[null]" },
        { true, DIFF("\0\004$[2]\002\004\001"), NULL },
        { true, DIFF("\0\010$[last-]\002\004\001"), NULL },
        { true, DIFF("\0\007$[last]\002\004\001"), "[1, true]" },
        { true, DIFF("\0\011$[last-1]\002\004\001"), "[true, 2]" },
        { true, DIFF("\0\011$[last-2]\002\004\001"), NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tr_buffer out;
        tr_buffer_init(&out, 4096);
        bool good = binlog_json_patch(cases[i].array ? array : object,
                                      cases[i].array ? sizeof array : sizeof object,
                                      (const uint8_t *)cases[i].differences, cases[i].len, &out);
        assert_int_equal(good, cases[i].after != NULL);
        if (good && (out.len != strlen(cases[i].after) || memcmp(out.data, cases[i].after, out.len) != 0))
            fail_msg("case %zu: %.*s", i, (int)out.len, out.data);
        tr_buffer_fini(&out);
    }
}

/* A new column of JSON that is NOT NULL holds no bytes at all, which MySQL reads as null. */
static void
an_empty_document_is_null(void **state)
{
    (void)state;
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    assert_true(binlog_json_patch((const uint8_t *)"", 0, (const uint8_t *)"", 0, &out));
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "null", 4);
    assert_false(binlog_json_patch((const uint8_t *)"", 0, (const uint8_t *)"\002\003$.a", 5, &out));
    tr_buffer_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_in_every_kind_of_charset),
        cmocka_unit_test(damaged_json_is_an_error),
        cmocka_unit_test(strings_of_json_are_escaped_as_the_server_does),
        cmocka_unit_test(differences_of_json_are_applied),
        cmocka_unit_test(an_empty_document_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
