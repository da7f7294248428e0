/* test_kafka_ranges.c - where a Kafka transaction's messages stand: as text and back, and text that no task wrote. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/internal.h"

static void
there_and_back(void **state)
{
    (void)state;
    struct ranges ranges = { 0 }, back;
    struct part *part = ranges_add(&ranges, "shop.b", 6, 3);
    ranges_add_run(&ranges, part, 5, 5);
    part = ranges_add(&ranges, "shop.a", 6, 10);
    for (int64_t i = 0; i < 5; i++)
        ranges_add_run(&ranges, part, 10 * i, 10 * i + 3);
    part = ranges_add(&ranges, "shop.b", 6, 0);
    ranges_add_run(&ranges, part, 0, INT64_MAX);
    char *text = ranges_text(&ranges);
    assert_string_equal(text, "shop.a 10:0-3,10-13,20-23,30-33,40-43\nshop.b 0:0-9223372036854775807 3:5-5");
    assert_true(ranges_parse(&back, text));
    assert_int_equal(back.count, 3);
    assert_int_equal(back.nruns, 7);
    assert_string_equal(back.parts[0].topic, "shop.a");
    assert_int_equal(back.parts[0].runs[4].first, 40);
    assert_int_equal(ranges_end(ranges_find(&back, "shop.b", 3)), 5);
    assert_null(ranges_find(&back, "shop.b", 1));
    char *again = ranges_text(&back);
    assert_string_equal(again, text);
    free(text);
    free(again);
    ranges_fini(&ranges);
    ranges_fini(&back);
}

static void
nothing_is_an_empty_text(void **state)
{
    (void)state;
    struct ranges none = { 0 }, back;
    char *text = ranges_text(&none);
    assert_string_equal(text, "");
    assert_true(ranges_parse(&back, text));
    assert_int_equal(back.count, 0);
    free(text);
}

static void
foreign_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = { "t",
                                         "t ",
                                         "t 0",
                                         "t 0:",
                                         "t 0:1",
                                         "t 0:1-",
                                         "t 0:2-1",
                                         "t 0:1-2,",
                                         "t 0:1-2,2-3",
                                         "t 0:-1-2",
                                         "t x:1-2",
                                         " 0:1-2",
                                         "t 0:1-2 ",
                                         "t 4294967296:0-1",
                                         "t 0:1-2;",
                                         "\n",
                                         "t 0:1-2\n\nu 0:1-2",
                                         "t 0:5-6,1-2" };
    struct ranges ranges;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (ranges_parse(&ranges, texts[i]))
            fail_msg("taken: \"%s\"", texts[i]);
        assert_null(ranges.parts);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(nothing_is_an_empty_text),
        cmocka_unit_test(foreign_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
