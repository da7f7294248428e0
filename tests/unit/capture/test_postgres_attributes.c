/* test_postgres_attributes.c - columns of an old description found among today's attributes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture/postgres/attributes.h"

#define MOST 8

/* Words apart by spaces: "-" is a dropped attribute, "+name" one that the log may lack. Answers the attributes' numbers, 0 for unknown. */
static size_t
words(char *text, const char **out)
{
    size_t n = 0;
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        out[n++] = word;
    return n;
}

static void
expect(const char *columns, const char *attributes, const char *expected)
{
    char columns_copy[128], attributes_copy[128], got[64] = "";
    const char *names[MOST], *wire[MOST];
    struct tr_postgres_attribute list[MOST];
    int place[MOST];
    snprintf(columns_copy, sizeof columns_copy, "%s", columns);
    snprintf(attributes_copy, sizeof attributes_copy, "%s", attributes);
    size_t n = words(columns_copy, wire), m = words(attributes_copy, names);
    for (size_t i = 0; i < m; i++) {
        bool dropped = strcmp(names[i], "-") == 0, optional = names[i][0] == '+';
        list[i] = (struct tr_postgres_attribute){ dropped ? NULL : names[i] + optional, dropped || optional };
    }
    tr_postgres_align(wire, n, list, m, place);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i > 0 ? " " : "", place[i] + 1);
    assert_string_equal(got, expected);
}

static void
names_that_stayed(void **state)
{
    (void)state;
    expect("id a b", "id a b", "1 2 3");
    expect("id a", "id a b c", "1 2"); /* others came later */
    expect("", "id", "");
    expect("id b", "id - b", "1 3");
    expect("id a b", "id a +made b", "1 2 4");
}

static void
names_that_went(void **state)
{
    (void)state;
    expect("id a b c", "id a b d", "1 2 3 4"); /* renamed */
    expect("id a", "id b c a", "1 2");         /* the same, and the new one has the old name */
    expect("id c", "id x c", "1 2");     /* renamed to x, and a new c: all of today's older ones were there */
    expect("a b", "b a", "1 2");         /* exchanged names */
    expect("id a b", "id - -", "1 2 3"); /* both dropped */
    expect("x y z", "id a b", "1 2 3");
}

static void
doubt_stays_doubt(void **state)
{
    (void)state;
    expect("id a c", "id a - d", "1 2 0"); /* was c dropped, or one dropped before it and c renamed? */
    expect("id c", "id - - e", "1 0");
    expect("id c z", "id - - z", "1 0 4");
}

/* The catalogue does not explain it: names alone are left. */
static void
what_cannot_be(void **state)
{
    (void)state;
    expect("id a b", "id b", "1 0 2");
    expect("id a", "", "0 0");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_stayed),
        cmocka_unit_test(names_that_went),
        cmocka_unit_test(doubt_stays_doubt),
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
