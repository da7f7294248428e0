/* test_postgres_text.c - identifiers, literals, log sequence numbers and error classes of PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/postgres/connection.h"

static void
quotes_are_doubled(void **state)
{
    (void)state;
    static const struct {
        const char *name, *identifier, *literal;
    } cases[] = {
        { "plain", "\"plain\"", "'plain'" },
        { "", "\"\"", "''" },
        { "a\"b", "\"a\"\"b\"", "'a\"b'" },
        { "\"\"", "\"\"\"\"\"\"", "'\"\"'" },
        { "it's", "\"it's\"", "'it''s'" },
        { "back\\slash'", "\"back\\slash'\"", "E'back\\\\slash'''" },
        { "\"; DROP TABLE x; --", "\"\"\"; DROP TABLE x; --\"", "'\"; DROP TABLE x; --'" },
    };
    struct tr_buffer buf;
    tr_buffer_init(&buf, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tr_buffer_reset(&buf);
        tr_pg_identifier(&buf, cases[i].name);
        assert_string_equal(buf.data, cases[i].identifier);
        tr_buffer_reset(&buf);
        tr_pg_literal(&buf, cases[i].name);
        assert_string_equal(buf.data, cases[i].literal);
    }
    tr_buffer_reset(&buf);
    tr_pg_qualified(&buf, "s.x", "t\"");
    assert_string_equal(buf.data, "\"s.x\".\"t\"\"\"");
    tr_buffer_fini(&buf);
}

static void
positions_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t lsn;
    } good[] = { { "0/0", 0 },
                 { "0/1A2B3C4", 0x1A2B3C4 },
                 { "16/B374D848", UINT64_C(0x16B374D848) },
                 { "FFFFFFFF/FFFFFFFF", UINT64_MAX },
                 { "a/b", UINT64_C(0xA0000000B) } };
    static const char *const bad[] = { "",    "/",           "0/",          "/0",    "0",    "0/0 ", " 0/0",
                                       "0/G", "123456789/0", "0/123456789", "0/0/0", "-1/0", "0x1/0" };
    char text[24];
    uint64_t lsn;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(tr_pg_lsn_parse(good[i].text, &lsn));
        assert_int_equal(lsn, good[i].lsn);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(tr_pg_lsn_parse(bad[i], &lsn));
    assert_false(tr_pg_lsn_parse(NULL, &lsn));
    tr_pg_lsn_text(UINT64_C(0x16B374D848), text);
    assert_string_equal(text, "16/B374D848");
    tr_pg_lsn_text(UINT64_MAX, text);
    assert_string_equal(text, "FFFFFFFF/FFFFFFFF");
}

static void
the_code_tells_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        enum tr_error_class class;
    } cases[] = {
        { "08006", TR_RETRY },    { "57P01", TR_RETRY }, { "57P03", TR_RETRY }, { "53300", TR_RETRY },
        { "53100", TR_RETRY },    { "40001", TR_RETRY }, { "40P01", TR_RETRY }, { "55P03", TR_RETRY },
        { "55006", TR_RETRY },    { "28P01", TR_FATAL }, { "3D000", TR_FATAL }, { "42501", TR_FATAL },
        { "42P01", TR_FATAL },    { "XX000", TR_FATAL }, { "", TR_FATAL },      { "23505", TR_CONFLICT },
        { "22003", TR_CONFLICT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(tr_pg_classify(cases[i].sqlstate), cases[i].class);
}

/* Nothing listens there, and no variable of the environment leads elsewhere. */
static void
a_refused_connection_is_retried_and_a_bad_url_is_not(void **state)
{
    (void)state;
    struct tr_error err;
    PGconn *conn = (PGconn *)1;
    setenv("PGHOST", "/nonexistent", 1);
    setenv("PGPORT", "2", 1);
    struct tr_pg_config config = { .url = "postgresql://user:secret@127.0.0.1:1/db", .interrupt_fd = -1 };
    assert_int_equal(tr_pg_connect(&config, &conn, &err), -TR_RETRY);
    assert_null(conn);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_null(strstr(err.text, "secret"));
    config.url = "postgresql://user:secret@[";
    assert_int_equal(tr_pg_connect(&config, &conn, &err), -TR_CONFIG);
    assert_null(strstr(err.text, "secret"));
    setenv("PGSERVICE", "x", 1);
    config.url = "postgresql://user@127.0.0.1:1/db";
    assert_int_equal(tr_pg_connect(&config, &conn, &err), -TR_CONFIG);
    unsetenv("PGSERVICE");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_are_doubled),
        cmocka_unit_test(positions_are_read_whole_or_not_at_all),
        cmocka_unit_test(the_code_tells_what_to_do),
        cmocka_unit_test(a_refused_connection_is_retried_and_a_bad_url_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
