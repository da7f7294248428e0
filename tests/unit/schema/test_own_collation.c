/* test_own_collation.c - collations of a newer MariaDB in statements for an older one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/own_collation.h"

struct change {
    unsigned long version;
    const char *sql, *becomes; /* NULL: it stays */
};

static const struct change changes[] = {
    { 100500,
      "(`a` char(1) COLLATE utf8mb4_uca1400_ai_ci) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci",
      "(`a` char(1) COLLATE utf8mb4_unicode_520_ci) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci" },
    { 100600, "collate utf8mb3_uca1400_nopad_ai_ci", "collate utf8mb3_unicode_520_nopad_ci" },
    { 100500, "collate utf8mb3_uca1400_nopad_ai_ci", "collate utf8_unicode_520_nopad_ci" },
    { 100500, "COLLATE UTF8MB4_UCA1400_SWEDISH_AS_CS, x", "COLLATE UTF8MB4_bin, x" },
    { 100500, "COLLATE ucs2_uca1400_nopad_as_ci", "COLLATE ucs2_nopad_bin" },
    { 100500, "CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci",
      "CHARACTER SET utf8mb3 COLLATE utf8_general_ci" },
    { 100600, "CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci", NULL },
    { 100500, "COMMENT 'it''s \\'utf8mb4_uca1400_ai_ci' `utf8mb3_bin` \"utf8mb3_bin\"", NULL },
    { 101001, "COLLATE utf8mb4_uca1400_ai_ci", NULL },
    { 0, "COLLATE utf8mb4_uca1400_ai_ci", NULL },
};

static void
names_are_replaced_by_their_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct tr_convert_target target = { .mariadb = true, .version = changes[i].version };
        struct tr_buffer out, told;
        tr_buffer_init(&out, 4096);
        tr_buffer_init(&told, 4096);
        const char *sql = changes[i].sql;
        bool any = tr_own_collations(sql, strlen(sql), &target, &out, &told);
        assert_int_equal(any, changes[i].becomes != NULL);
        if (any)
            assert_string_equal(out.data, changes[i].becomes);
        if (i == 0)
            assert_string_equal(told.data, "utf8mb4_uca1400_ai_ci becomes utf8mb4_unicode_520_ci");
        tr_buffer_fini(&out);
        tr_buffer_fini(&told);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_are_replaced_by_their_nearest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
