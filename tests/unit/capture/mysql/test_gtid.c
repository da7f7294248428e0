/* test_gtid.c - sets of GTIDs: reading, normal form, arithmetic, and what the dump command carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture/mysql/gtid.h"

#define A "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define B "7d621d68-e576-11f1-9102-02fc00000001"

static void
assert_text(const struct tr_gtid_set *set, const char *expected)
{
    struct tr_buffer text;
    tr_buffer_init(&text, 1 << 20);
    tr_gtid_set_text(set, &text);
    assert_string_equal(text.data != NULL ? text.data : "", expected);
    tr_buffer_fini(&text);
}

static struct tr_gtid_set
set_of(const char *text)
{
    struct tr_gtid_set set = { 0 };
    assert_true(tr_gtid_set_add(&set, text, strlen(text)));
    return set;
}

static void
sets_come_in_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *given, *normal;
    } cases[] = {
        { "", "" },
        { A ":1", A ":1" },
        { A ":1-5:7:6", A ":1-7" },
        { A ":9:1-3:5-6", A ":1-3:5-6:9" },
        { A ":1-10:3-4", A ":1-10" },
        { A ":3-4:1-10:12", A ":1-10:12" },
        { B ":1-2,\n" A ":4", A ":4," B ":1-2" },
        { "3E11FA47-71CA-11E1-9E33-C80AA9429562:1", A ":1" },
        { A ":1:blue:2-3:green:1", A ":1," A ":blue:2-3," A ":green:1" },
        { A ":Blue:1," A ":blue:2", A ":blue:1-2" },
        { "0-1-100", "0-1-100" },
        { "2-7-9,0-1-100", "0-1-100,2-7-9" },
        { "0-1-100,0-2-101", "0-2-101" },
        { "0-2-101,0-1-100", "0-2-101" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tr_gtid_set set = set_of(cases[i].given);
        assert_text(&set, cases[i].normal);
        tr_gtid_set_fini(&set);
    }
}

static void
what_is_no_set_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "x",
                                       A,
                                       A ":",
                                       A ":0",
                                       A ":5-4",
                                       A ":1-",
                                       A ":1,,",
                                       A ":a",
                                       A ":a:",
                                       "0-1",
                                       "0-1-",
                                       "-1-2",
                                       "0-1-2x",
                                       "4294967296-1-1",
                                       A ":1,0-1-2",
                                       A "x:1",
                                       A ":1-99999999999999999999",
                                       A ":toolongtoolongtoolongtoolongtoolong:1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tr_gtid_set set = { 0 };
        if (tr_gtid_set_add(&set, bad[i], strlen(bad[i])))
            fail_msg("\"%s\" was taken", bad[i]);
        tr_gtid_set_fini(&set);
    }
}

static void
containment_knows_holes_and_domains(void **state)
{
    (void)state;
    static const struct {
        const char *set, *part;
        bool contains;
    } cases[] = {
        { "", "", true },
        { A ":1-5", "", true },
        { "", A ":1", false },
        { A ":1-5", A ":1-5", true },
        { A ":1-5", A ":2:4", true },
        { A ":1-3:5", A ":1-5", false },
        { A ":1-3:5", A ":4", false },
        { A ":1-5", B ":1", false },
        { A ":1-5", A ":blue:1", false },
        { "0-1-100", "0-2-99", true },
        { "0-1-100", "0-1-101", false },
        { "0-1-100", "1-1-1", false },
        { "0-1-100", A ":1", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tr_gtid_set set = set_of(cases[i].set), part = set_of(cases[i].part);
        if (tr_gtid_set_contains(&set, &part) != cases[i].contains)
            fail_msg("\"%s\" contains \"%s\"", cases[i].set, cases[i].part);
        tr_gtid_set_fini(&set);
        tr_gtid_set_fini(&part);
    }
}

static void
single_ones_are_found(void **state)
{
    (void)state;
    struct tr_gtid_set set = set_of(A ":1-3:7," A ":blue:4"), maria = set_of("0-1-100,3-1-5");
    assert_true(tr_gtid_set_has(&set, A ":3"));
    assert_true(tr_gtid_set_has(&set, A ":7"));
    assert_true(tr_gtid_set_has(&set, A ":blue:4"));
    assert_false(tr_gtid_set_has(&set, A ":4"));
    assert_false(tr_gtid_set_has(&set, A ":blue:1"));
    assert_false(tr_gtid_set_has(&set, B ":1"));
    assert_false(tr_gtid_set_has(&set, "0-1-1"));
    assert_false(tr_gtid_set_has(&set, ""));
    assert_true(tr_gtid_set_has(&maria, "3-9-5"));
    assert_false(tr_gtid_set_has(&maria, "3-9-6"));
    assert_false(tr_gtid_set_has(&maria, "1-9-1"));
    tr_gtid_set_fini(&set);
    tr_gtid_set_fini(&maria);
}

/* A long run of numbers in order stays one interval, whatever order they come in. */
static void
numbers_close_up(void **state)
{
    (void)state;
    struct tr_gtid_set set = { 0 };
    char gtid[64];
    for (int i = 0; i < 1000; i++) {
        int n = (i * 7919) % 1000 + 1;
        int len = snprintf(gtid, sizeof gtid, A ":%d", n);
        assert_true(tr_gtid_set_add(&set, gtid, (size_t)len));
    }
    assert_text(&set, A ":1-1000");
    struct tr_gtid_set copy = { 0 };
    tr_gtid_set_copy(&copy, &set);
    assert_true(tr_gtid_set_add(&copy, B ":5", strlen(B ":5")));
    assert_text(&set, A ":1-1000");
    assert_text(&copy, A ":1-1000," B ":5");
    tr_gtid_set_fini(&set);
    tr_gtid_set_fini(&copy);
}

static void
the_dump_command_carries_the_set(void **state)
{
    (void)state;
    static const uint8_t plain[] = { 1,    0,    0,    0,    0,    0,    0,    0,    0x3e, 0x11, 0xfa, 0x47,
                                     0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62,
                                     1,    0,    0,    0,    0,    0,    0,    0,    1,    0,    0,    0,
                                     0,    0,    0,    0,    6,    0,    0,    0,    0,    0,    0,    0 };
    static const uint8_t head[] = { 1, 1, 0, 0, 0, 0, 0, 1 };
    struct tr_buffer out;
    tr_buffer_init(&out, 1 << 20);
    struct tr_gtid_set set = set_of(A ":1-5");
    tr_gtid_set_encode(&set, &out);
    assert_int_equal(out.len, sizeof plain);
    assert_memory_equal(out.data, plain, sizeof plain);
    tr_gtid_set_fini(&set);
    tr_buffer_reset(&out);
    set = set_of(A ":blue:1-5");
    tr_gtid_set_encode(&set, &out);
    assert_memory_equal(out.data, head, sizeof head);
    assert_memory_equal(out.data + 24, "\010blue\001", 6);
    assert_int_equal(out.len, sizeof plain + 5);
    tr_gtid_set_fini(&set);
    tr_buffer_fini(&out);
}

/* What the log says of its past is read as it was written; nothing that is cut or wrong is. */
static void
encoded_sets_are_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = { "", A ":1-5", A ":1-5:9:12-13", A ":blue:1-5," B ":7",
                                         A ":1," B ":red:3-4" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct tr_buffer out, text;
        tr_buffer_init(&out, 1 << 20);
        tr_buffer_init(&text, 1 << 20);
        struct tr_gtid_set set = set_of(texts[i]), back = { 0 };
        tr_gtid_set_encode(&set, &out);
        assert_true(tr_gtid_set_decode(&back, (const uint8_t *)out.data, out.len));
        tr_gtid_set_text(&back, &text);
        assert_string_equal(text.data, texts[i]);
        tr_gtid_set_fini(&back);
        for (size_t cut = 0; cut < out.len; cut++)
            assert_false(tr_gtid_set_decode(&back, (const uint8_t *)out.data, cut));
        tr_buffer_byte(&out, 0);
        assert_false(tr_gtid_set_decode(&back, (const uint8_t *)out.data, out.len));
        tr_gtid_set_fini(&set);
        tr_buffer_fini(&out);
        tr_buffer_fini(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_come_in_normal_form),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(containment_knows_holes_and_domains),
        cmocka_unit_test(single_ones_are_found),
        cmocka_unit_test(numbers_close_up),
        cmocka_unit_test(the_dump_command_carries_the_set),
        cmocka_unit_test(encoded_sets_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
