/* test_names.c - many names, each found under its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/names.h"

static void
an_empty_index_knows_nothing(void **state)
{
    struct tr_names names = { 0 };
    (void)state;
    assert_int_equal(tr_names_find(&names, "public.t"), TR_NAMES_NONE);
    tr_names_fini(&names);
}

static void
each_name_has_its_number(void **state)
{
    enum { COUNT = 10000 };
    static char text[COUNT][24];
    struct tr_names names = { 0 };
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof text[i], "public.t%u", i);
        assert_int_equal(tr_names_find(&names, text[i]), TR_NAMES_NONE);
        tr_names_add(&names, text[i], i);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(tr_names_find(&names, text[i]), i);
    assert_int_equal(tr_names_find(&names, "public.t"), TR_NAMES_NONE);
    tr_names_fini(&names);
    assert_int_equal(tr_names_find(&names, "public.t1"), TR_NAMES_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_knows_nothing),
        cmocka_unit_test(each_name_has_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
