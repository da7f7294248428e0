/* test_report.c - findings in groups, for people and for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "app/commands.h"

static struct tr_report report;
static struct tr_buffer out;

static int
setup(void **state)
{
    (void)state;
    tr_buffer_init(&out, 100000);
    tr_report_add(&report, TR_FINDING_NOTE, "big-table", "public.a\x1b[2J", "it is big", NULL);
    tr_report_add(&report, TR_FINDING_ERROR, "wal-level", NULL,
                  "wal_level is replica;\nchanges are not logged",
                  "ALTER SYSTEM SET wal_level = logical;\n-- restart");
    tr_report_add(&report, TR_FINDING_NOTE, "big-table", "public.a\x1b[2J", "it is big", NULL);
    tr_report_add(&report, TR_FINDING_NOTE, "big-table", "public.b", "it is big", NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    tr_buffer_fini(&out);
    tr_report_fini(&report);
    return 0;
}

static void
test_text(void **state)
{
    (void)state;
    tr_report_text(&report, &out);
    assert_string_equal(out.data, "error: [wal-level]\n"
                                  "    wal_level is replica;\n"
                                  "    changes are not logged\n"
                                  "  to mend it:\n"
                                  "    ALTER SYSTEM SET wal_level = logical;\n"
                                  "    -- restart\n"
                                  "\n"
                                  "note: public.a\\x1b[2J: [big-table]\n"
                                  "    it is big\n"
                                  "\n"
                                  "note: public.b: [big-table]\n"
                                  "    it is big\n"
                                  "\n"
                                  "1 error, 0 warnings, 2 notes\n");
}

static void
test_json(void **state)
{
    (void)state;
    tr_report_json(&report, "shop", &out);
    json_t *json = json_loads(out.data, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "task")), "shop");
    assert_int_equal(json_integer_value(json_object_get(json, "errors")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "notes")), 2);
    json_t *findings = json_object_get(json, "findings");
    assert_int_equal(json_array_size(findings), 3);
    json_t *first = json_array_get(findings, 0);
    assert_string_equal(json_string_value(json_object_get(first, "level")), "error");
    assert_true(json_is_null(json_object_get(first, "object")));
    assert_string_equal(json_string_value(json_object_get(first, "sql")),
                        "ALTER SYSTEM SET wal_level = logical;\n-- restart");
    assert_string_equal(json_string_value(json_object_get(json_array_get(findings, 1), "object")),
                        "public.a\x1b[2J");
    json_decref(json);
}

static void
test_empty(void **state)
{
    struct tr_report none = { 0 };
    (void)state;
    tr_report_text(&none, &out);
    assert_string_equal(out.data, "0 errors, 0 warnings, 0 notes\n");
    tr_buffer_reset(&out);
    tr_report_json(&none, "shop", &out);
    assert_string_equal(out.data,
                        "{\"task\":\"shop\",\"errors\":0,\"warnings\":0,\"notes\":0,\"findings\":[]}\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
