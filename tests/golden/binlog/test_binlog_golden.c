/*
 * test_binlog_golden.c - log files of real servers give the events that were checked when the golden files
 * were made (make.py).
 *
 * With --dump FILE it prints what the decoder says of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/binlog/dump.h"

#define DIR "tests/golden/binlog/"

/* The decoder's words, and its refusal when it ends with one. */
static void
dump_file(const char *path, struct tr_buffer *out)
{
    struct tr_decoder_config config = { 0 };
    struct tr_error err = { 0 };
    size_t len;
    uint8_t *file = binlog_dump_load(path, &len);
    assert_non_null(file);
    tr_buffer_init(out, TR_BUFFER_MAX);
    if (binlog_dump(file, len, &config, out, &err) < 0)
        tr_buffer_printf(out, "%s: %s\n", tr_error_class_name(err.class), err.text);
    free(file);
}

static void
same_as_golden(void **state)
{
    char path[256];
    struct tr_buffer out;
    size_t len;
    snprintf(path, sizeof path, DIR "%s.binlog", (const char *)*state);
    dump_file(path, &out);
    snprintf(path, sizeof path, DIR "%s.txt", (const char *)*state);
    uint8_t *golden = binlog_dump_load(path, &len);
    assert_non_null(golden);
    size_t at = 0;
    while (at < len && at < out.len && golden[at] == (uint8_t)out.data[at])
        at++;
    if (at != len || at != out.len)
        fail_msg("%s differs from byte %zu on: %.80s", path, at, at < out.len ? out.data + at : "(ends)");
    free(golden);
    tr_buffer_fini(&out);
}

/*
 * Every prefix of a file is decoded without a look past its end (the sanitizers tell), and the rest of a
 * torn event is an error.
 */
static void
any_prefix_is_safe(void **state)
{
    char path[256];
    size_t len;
    snprintf(path, sizeof path, DIR "%s.binlog", (const char *)*state);
    uint8_t *file = binlog_dump_load(path, &len);
    assert_non_null(file);
    size_t limit = len < 6000 ? len : 6000, torn = 0;
    for (size_t cut = 5; cut < limit; cut++) {
        struct tr_decoder_config config = { 0 };
        struct tr_error err = { 0 };
        struct tr_buffer out;
        uint8_t *exact = malloc(cut); /* its end is the end of an allocation */
        memcpy(exact, file, cut);
        tr_buffer_init(&out, TR_BUFFER_MAX);
        torn += binlog_dump(exact, cut, &config, &out, &err) < 0;
        tr_buffer_fini(&out);
        free(exact);
    }
    assert_true(torn > limit / 2); /* most cuts are inside of an event */
    free(file);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
        struct tr_buffer out;
        dump_file(argv[2], &out);
        fwrite(out.data, 1, out.len, stdout);
        tr_buffer_fini(&out);
        return 0;
    }
#define GOLDEN(name)                                                        \
    {                                                                       \
        "golden " name, same_as_golden, NULL, NULL, (void *)(uintptr_t)name \
    }
#define SERVER(name)                                                                            \
    GOLDEN(name "-types"), GOLDEN(name "-changes"), GOLDEN(name "-xa"), GOLDEN(name "-packed"), \
        GOLDEN(name "-refused"), GOLDEN(name "-minimal")
#define PREFIXES(name)                                                               \
    {                                                                                \
        "prefixes of " name, any_prefix_is_safe, NULL, NULL, (void *)(uintptr_t)name \
    }
    const struct CMUnitTest tests[] = {
        SERVER("mariadb-10.11"),           SERVER("mariadb-11.8"),           SERVER("mysql-9.7"),
        PREFIXES("mariadb-10.11-changes"), PREFIXES("mariadb-10.11-packed"), PREFIXES("mysql-9.7-changes"),
        PREFIXES("mysql-9.7-packed"),      PREFIXES("mysql-9.7-xa"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
