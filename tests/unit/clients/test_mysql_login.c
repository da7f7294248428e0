/* test_mysql_login.c - each way of not being let in says what to do about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clients/mysql/connection.h"

static void
each_failure_has_its_remedy(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        const char *message;
        bool encrypted;
        const char *remedy;
    } cases[] = {
        { 1045, "Access denied for user 'u'@'h' (using password: YES)", true, "check user and password" },
        { 1045, "Access denied for user 'u'@'h' (using password: YES)", false, "sslmode=require" },
        { 1045,
          "Plugin parsec could not be loaded: /usr/lib/x86_64-linux-gnu/libmariadb3/plugin/parsec.so: cannot open shared object file",
          false, "Connector/C 3.4" },
        { 2059, "Authentication plugin 'client_ed25519' cannot be loaded: no such file", true,
          "libmariadb3" },
        { 1698, "Access denied for user 'sock'@'localhost'", false, "?socket=PATH" },
        { 1820, "You must SET PASSWORD before executing this statement", true, "expired" },
        { 1862, "Your password has expired.", true, "expired" },
        { 3118, "Access denied for user 'u'@'h'. Account is locked.", true, "UNLOCK" },
        { 4151, "Access denied, this account is locked", true, "UNLOCK" },
        { 3159, "Connections using insecure transport are prohibited", false, "sslmode=require" },
        { 1049, "Unknown database 'x'", false, "existing database" },
        { 2026, "SSL connection error", true, "sslrootcert" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *hint = tr_mysql_login_hint(cases[i].number, cases[i].message, cases[i].encrypted);
        if (hint == NULL || strstr(hint, cases[i].remedy) == NULL)
            fail_msg("%u, %s: \"%s\" lacks \"%s\"", cases[i].number, cases[i].message,
                     hint != NULL ? hint : "no hint", cases[i].remedy);
    }
    assert_null(tr_mysql_login_hint(1064, "You have an error in your SQL syntax", true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_failure_has_its_remedy) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
