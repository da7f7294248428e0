/* test_reload.c - which orders to load again are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/task.h"

static void
set(struct tr_settings *settings, const char *name, const char *value)
{
    struct tr_error err = { 0 };
    assert_int_equal(tr_settings_set(settings, "", name, value, false, "test", &err), 0);
}

/* The whole task begun anew would stand before a load that its mode forbids, and its slot would be gone. */
static void
a_task_that_loads_nothing_takes_no_order(void **state)
{
    char dir[] = "/tmp/tailrace-reload-XXXXXX", path[64];
    struct tr_error err = { 0 };
    struct tr_settings *settings = tr_settings_new();
    const struct tr_task_config config = { .settings = settings };
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tr_settings_add_table(settings, tr_task_options, &err), 0);
    set(settings, "task", "shop");
    set(settings, "state", dir);
    set(settings, "mode", "cdc");
    snprintf(path, sizeof(path), "%s/shop.reload", dir);
    assert_int_equal(tr_task_reload(&config, "*\n", &err), -TR_CONFIG);
    assert_non_null(strstr(err.hint, "tailrace drop"));
    assert_int_not_equal(access(path, F_OK), 0);
    set(settings, "mode", "full-load-and-cdc");
    assert_int_equal(tr_task_reload(&config, "*\n", &err), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    tr_settings_free(settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_loads_nothing_takes_no_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
