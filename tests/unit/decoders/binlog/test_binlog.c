/*
 * test_binlog.c - the binlog decoder on events made by hand, one promise a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/decoders/binlog/help.h"

static void
a_transaction_by_hand(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    uint64_t begin = log.order;
    assert_int_equal(log_feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
    assert_int_equal(log_feed_insert(&log, 9), TR_DECODED_ROW);
    assert_int_equal(log_feed(&log, 16, 0, "\1\0\0\0\0\0\0\0", 8), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->ntxns, 1);
    const struct tr_txn *txn = &log.batch->txns[0];
    assert_true(txn->begins && txn->ends);
    assert_true(txn->commit_order == begin && txn->end_order == log.order);
    assert_true(txn->begin_order == begin);
    assert_int_equal(txn->server_id, 7);
    assert_true(txn->commit_us == INT64_C(1700000000000000));
    const struct tr_event *event = &log.batch->events[0];
    assert_int_equal(event->kind, TR_INSERT);
    assert_int_equal(event->relation->nkeys, 1);
    assert_int_equal(event->after[1].codec, TR_CODEC_TEXT);
    assert_memory_equal(event->after[1].data, "hi", 2);
    assert_true(event->position > 4 && event->position < TR_BINLOG_OFFSET(log.order));
    log_close(&log);
}

/* Debezium's id of a transaction without GTID is the place of its BEGIN, behind the event that announces it. */
static void
an_announced_transaction_begins_behind_its_name(void **state)
{
    static const uint8_t anonymous[1 + 16 + 8 + 17 + 7] = { 0 };
    (void)state;
    struct log log = log_open(NULL);
    uint64_t name = log.order;
    assert_int_equal(log_feed(&log, 34, 0, anonymous, sizeof anonymous), 0);
    uint64_t begin = log.order;
    assert_int_equal(log_feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
    assert_true(log.batch->txns[0].commit_order == name && log.batch->txns[0].begin_order == begin);
    assert_null(log.batch->txns[0].gtid);
    log_close(&log);
}

/* The same with e enum('a','b'), set('a','b') in UCS-2 (collation 35), where half of each label is zeros. */
static void
labels_in_wide_characters(void **state)
{
    (void)state;
    static const uint8_t map[] = { 5,  0,   0,   0, 0,   0,   1,   0, 1,   'm', 0,   1,   't', 0, 3,
                                   3,  254, 254, 4, 247, 1,   248, 1, 6,   1,   1,   0,   5,   7, 2,
                                   2,  0,   'a', 2, 0,   'b', 6,   7, 2,   2,   0,   'a', 2,   0, 'b',
                                   10, 1,   35,  4, 6,   1,   'a', 1, 'e', 1,   's', 8,   1,   0 };
    static const uint8_t rows[] = { 5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 7, 0, 9, 0, 0, 0, 2, 3 };
    struct log log = log_open(NULL);
    assert_int_equal(log_feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
    assert_int_equal(log_feed(&log, 19, 0, map, sizeof map), 0);
    assert_int_equal(log_feed(&log, 30, 0, rows, sizeof rows), TR_DECODED_ROW);
    const struct tr_event *event = &log.batch->events[0];
    const struct tr_column *columns = event->relation->columns;
    assert_string_equal(columns[1].native, "enum('a','b')");
    assert_string_equal(columns[2].native, "set('a','b')");
    assert_string_equal(columns[2].labels[1], "b");
    log_close(&log);
}

static void
undone_rows_leave_the_batch(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 1);
    assert_int_equal(log_feed_query(&log, "m", "SAVEPOINT `s``1`"), 0);
    log_feed_insert(&log, 2);
    log_feed_insert(&log, 3);
    assert_int_equal(log_feed_query(&log, "m", "ROLLBACK TO `s``1`"), 0);
    assert_int_equal(log.batch->nevents, 1);
    assert_int_equal(log.batch->rows, 1);
    log_feed_insert(&log, 4);
    assert_int_equal(log_feed_query(&log, "m", "COMMIT"), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->txns[0].nevents, 2);
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 5);
    assert_int_equal(log_feed_query(&log, "m", "ROLLBACK"), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->nevents, 2);
    assert_int_equal(log.batch->txns[1].nevents, 0);
    log_close(&log);
}

/* The server does not tell them apart by their case. */
static void
savepoints_have_no_case(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 1);
    log_feed_query(&log, "m", "SAVEPOINT `s`");
    log_feed_insert(&log, 2);
    log_feed_query(&log, "m", "SAVEPOINT `S`");
    log_feed_insert(&log, 3);
    assert_int_equal(log_feed_query(&log, "m", "ROLLBACK TO `s`"), 0);
    assert_int_equal(log.batch->nevents, 2);
    log_close(&log);
}

static const uint8_t wider[] = { 5,  0, 0, 0, 0, 0, 1, 0, 1,  'm', 0, 1, 't', 0, 2,   8, 15, 2,
                                 40, 0, 2, 1, 1, 0, 2, 1, 45, 4,   4, 1, 'a', 1, 'b', 8, 1,  0 };
static const uint8_t wider_rows[] = { 5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 'x' };

/* The table was altered before the transaction that is undone: what its first row told of that is still true. */
static void
a_shape_is_told_although_its_row_is_undone(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 1);
    log_feed_query(&log, "m", "COMMIT");
    log_feed_query(&log, "m", "BEGIN");
    assert_int_equal(log_feed(&log, 19, 0, wider, sizeof wider), 0);
    assert_int_equal(log_feed(&log, 30, 0, wider_rows, sizeof wider_rows), TR_DECODED_ROW);
    assert_int_equal(log_feed_query(&log, "m", "ROLLBACK"), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->nevents, 2);
    assert_int_equal(log.batch->events[1].kind, TR_SCHEMA);
    assert_int_equal(log.batch->txns[1].nevents, 1);
    assert_int_equal(log.batch->rows, 1);
    log_close(&log);
}

static int
guard(void *arg, struct tr_relation *relation, const struct tr_relation *previous, struct tr_error *err)
{
    (void)previous, (void)err;
    atomic_store(&relation->guarded, *(const bool *)arg);
    return 0;
}

static bool
is_past_cut(void *arg, const struct tr_relation *relation, const struct tr_txn *txn)
{
    (void)relation, (void)txn;
    return !*(const bool *)arg;
}

/* The target was loaded with what they led to. */
static void
shapes_before_the_cut_of_their_table_are_not_told(void **state)
{
    (void)state;
    bool guarded = true;
    struct log log = { .order = 4 };
    struct tr_decoder_config config = { .hooks = { &guarded, guard, is_past_cut } };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 1);
    assert_int_equal(log_feed(&log, 19, 0, wider, sizeof wider), 0);
    assert_int_equal(log_feed(&log, 30, 0, wider_rows, sizeof wider_rows), 0);
    assert_int_equal(log.batch->nevents, 0);
    guarded = false;
    log_feed_insert(&log, 2);
    assert_int_equal(log.batch->nevents, 1);
    assert_int_equal(log.batch->events[0].kind, TR_INSERT);
    assert_int_equal(log_feed(&log, 19, 0, wider, sizeof wider), 0);
    assert_int_equal(log_feed(&log, 30, 0, wider_rows, sizeof wider_rows), TR_DECODED_ROW);
    assert_int_equal(log.batch->nevents, 3);
    assert_int_equal(log.batch->events[1].kind, TR_SCHEMA);
    log_close(&log);
}

/* Each statement of a session with LOCK TABLES tells all tables that it has locked. */
static void
a_statement_may_tell_of_many_tables(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "BEGIN");
    for (int statement = 0; statement < 3; statement++) {
        for (unsigned n = 0; n < 1000; n++) {
            uint8_t map[] = { 0, 0,  0, 0, 0, 0, 1, 0, 1, 'm', 0, 3, 't', 0,   0, 0,   2, 3, 15,
                              2, 40, 0, 2, 1, 1, 0, 2, 1, 45,  4, 4, 1,   'a', 1, 'b', 8, 1, 0 };
            map[0] = map[13] = (uint8_t)(n % 250 + 1);
            map[1] = map[14] = (uint8_t)(n / 250 + 1);
            assert_int_equal(log_feed(&log, 19, 0, map, sizeof map), 0);
        }
        for (unsigned n = 0; n < 1000; n += 999) {
            uint8_t rows[] = { 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 3, 0, 7, 0, 0, 0, 2, 'h', 'i' };
            rows[0] = (uint8_t)(n % 250 + 1);
            rows[1] = (uint8_t)(n / 250 + 1);
            rows[6] = n == 999; /* the statement ends */
            assert_int_equal(log_feed(&log, 30, 0, rows, sizeof rows), TR_DECODED_ROW);
        }
    }
    assert_int_equal(log.batch->nevents, 6);
    log_close(&log);
}

static int
feed_mariadb_gtid(struct log *log, uint8_t flags, uint8_t more)
{
    uint8_t body[19] = { 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, more };
    return log_feed(log, 162, 0, body, sizeof body);
}

/* binlog_alter_two_phase: the log has the statement when it begins, and when it is decided. */
static void
an_alter_of_two_phases_counts_when_it_is_done(void **state)
{
    enum { alone = 1 | 32, both = TR_DECODED_BEGIN | TR_DECODED_COMMIT };
    static const char text[] = "ALTER TABLE t ADD c int";
    struct tr_binlog_format format = { .flavour = TR_BINLOG_MARIADB };
    (void)state;
    struct log log = log_open(&format);
    assert_int_equal(feed_mariadb_gtid(&log, alone, 2), 0);
    assert_int_equal(log_feed_query(&log, "m", text), both);
    assert_int_equal(feed_mariadb_gtid(&log, alone, 8), 0);
    assert_int_equal(log_feed_query(&log, "m", text), both);
    assert_int_equal(log.batch->nevents, 0);
    assert_int_equal(feed_mariadb_gtid(&log, alone, 4), 0);
    assert_int_equal(log_feed_query(&log, "m", text), both | TR_DECODED_ROW);
    assert_int_equal(feed_mariadb_gtid(&log, alone, 0), 0);
    assert_int_equal(log_feed_query(&log, "m", text), both | TR_DECODED_ROW);
    assert_int_equal(log.batch->nevents, 2);
    log_close(&log);
}

/* The settings that a statement of MariaDB's brings with it are those of its session. */
static void
settings_before_a_statement_are_left_out(void **state)
{
    static const struct {
        const char *text, *statement; /* NULL = nothing of it concerns tables */
    } cases[] = {
        { "SET STATEMENT lock_wait_timeout=5 FOR ALTER TABLE t ADD c int", "ALTER TABLE t ADD c int" },
        { "/* a */ set statement sql_mode = concat('it''s FOR', \"\\\" FOR\", (`FOR`)), x=1 /* FOR */ FOR\n DROP TABLE t",
          "DROP TABLE t" },
        { "SET STATEMENT a=1 FOR GRANT ALL ON *.* TO u", NULL },
        { "SET PASSWORD FOR u = 'x'", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log log = log_open(NULL);
        assert_true(log_feed_query(&log, "m", cases[i].text) >= 0);
        assert_int_equal(log.batch->nevents, cases[i].statement != NULL);
        if (cases[i].statement != NULL)
            assert_string_equal(log.batch->events[0].ddl.text, cases[i].statement);
        log_close(&log);
    }
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "SET STATEMENT max_statement_time=1 FOR TRUNCATE TABLE t");
    assert_int_equal(log.batch->events[0].kind, TR_TRUNCATE);
    log_close(&log);
}

static void
undoing_what_has_left_asks_for_larger_batches(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log_feed_query(&log, "m", "BEGIN");
    log_feed_query(&log, "m", "SAVEPOINT s");
    log_feed_insert(&log, 1);
    tr_batch_free(log.batch);
    log.batch = tr_batch_new();
    tr_binlog_decoder.continue_txn(log.decoder, log.batch);
    assert_false(log.batch->txns[0].begins);
    assert_true(log.batch->txns[0].events_before == 1);
    assert_int_equal(log_feed_query(&log, "m", "ROLLBACK TO s"), -TR_RETRY);
    log_close(&log);
}

static void
a_server_that_died_in_a_transaction_undid_it(void **state)
{
    (void)state;
    uint8_t format[57 + 40 + 5] = { 4, 0 };
    struct log log = log_open(NULL);
    memcpy(format + 2, "10.11", 6);
    format[52] = 1; /* created: a new file */
    format[56] = 19;
    log_feed_query(&log, "m", "BEGIN");
    log_feed_insert(&log, 1);
    assert_int_equal(log_feed(&log, 15, 0, format, sizeof format), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->nevents, 0);
    assert_false(tr_binlog_decoder.in_transaction(log.decoder));
    log_close(&log);
}

static bool
only_t(void *arg, const char *database, const char *table)
{
    (void)arg;
    return strcmp(database, "m") == 0 && strcmp(table, "t") == 0;
}

static void
statements_with_rows_are_refused_for_tables_of_the_task(void **state)
{
    (void)state;
    static const struct {
        const char *database, *text;
        int rc;
    } cases[] = {
        { "m", "INSERT INTO t VALUES (1)", -TR_REFUSED },
        { "x", "insert  low_priority ignore into `m`.`t` values (1)", -TR_REFUSED },
        { "m", "/* app */ UPDATE t SET a = 1", -TR_REFUSED },
        { "m", "/*!50000 REPLACE*/ INTO t VALUES (1)", -TR_REFUSED },
        { "m", "UPDATE other, t SET a = 1", -TR_REFUSED }, /* several: not certain */
        { "m", "WITH x AS (SELECT 1) DELETE FROM other", -TR_REFUSED },
        { "m", "DELETE FROM other WHERE 1", 7 },
        { "x", "INSERT INTO t VALUES (1)", 5 },
        { "m", "INSERT INTO mysql.help VALUES (1)", 5 },
        { "m", "CREATE TABLE q (a int)", 7 },
        { "m", "GRANT ALL ON *.* TO u", 5 },
        { "m", "CREATE OR REPLACE USER u IDENTIFIED BY 'secret'", 5 },
        { "m", "FLUSH TABLES", 5 },
    };
    struct tr_binlog_format format = { .wants = only_t };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log log = log_open(&format);
        int rc = log_feed_query(&log, cases[i].database, cases[i].text);
        bool ddl = strncmp(cases[i].text, "CREATE TABLE", 12) == 0;
        int wanted = cases[i].rc < 0 ? cases[i].rc
                                     : TR_DECODED_BEGIN | TR_DECODED_COMMIT | (ddl ? TR_DECODED_ROW : 0);
        if (rc != wanted)
            fail_msg("%s: %d instead of %d (%s)", cases[i].text, rc, wanted, log.err.text);
        if (ddl)
            assert_string_equal(log.batch->events[0].ddl.text, cases[i].text);
        log_close(&log);
    }
}

static void
what_is_not_known_is_refused(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    assert_int_equal(log_feed(&log, 200, 0, "x", 1), -TR_REFUSED);
    assert_int_equal(log_feed(&log, 200, 0x80, "x", 1), 0); /* its header allows it */
    assert_int_equal(log_feed(&log, 20, 0, "x", 1), -TR_REFUSED);
    assert_int_equal(log_feed(&log, 26, 0, "\1\0\4lost", 7), -TR_REFUSED);
    assert_non_null(strstr(log.err.text, "lost"));
    assert_int_equal(log_feed(&log, 164, 0, "\1", 1), -TR_REFUSED);
    assert_int_equal(log_feed_insert(&log, 1), -TR_FATAL); /* no transaction is open */
    log_close(&log);
}

static void
checksums_are_checked(void **state)
{
    (void)state;
    struct tr_binlog_format format = { .checksum = true };
    struct log log = log_open(&format);
    uint8_t event[64];
    size_t n = log_event(event, 27, 0, "bin.000001\0\0\0\0", 14);
    uint32_t sum = (uint32_t)crc32(0, event, (uInt)n - 4);
    memcpy(event + n - 4, &sum, 4);
    assert_int_equal(tr_binlog_decoder.decode(log.decoder, event, n, 4, false, log.batch, &log.err), 0);
    event[20] ^= 1;
    assert_int_equal(tr_binlog_decoder.decode(log.decoder, event, n, 4, false, log.batch, &log.err),
                     -TR_REFUSED);
    assert_non_null(strstr(log.err.text, "checksum"));
    log_close(&log);
}

static void
offsets_pass_four_gigabytes(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    log.order = TR_BINLOG_ORDER(3, UINT64_C(0x2fffffff0));
    log_feed_query(&log, "m", "BEGIN");
    uint8_t event[64];
    size_t n = log_event(event, 16, 0, "\1\0\0\0\0\0\0\0", 8);
    uint32_t end = (uint32_t)(log.order + n);
    memcpy(event + 13, &end, 4);
    assert_int_equal(tr_binlog_decoder.decode(log.decoder, event, n, log.order, false, log.batch, &log.err),
                     TR_DECODED_COMMIT);
    assert_true(log.batch->txns[0].end_order == log.order + n);
    log_close(&log);
}

static void
file_numbers(void **state)
{
    (void)state;
    assert_true(tr_binlog_file_number("mysql-bin.000012") == 12);
    assert_true(tr_binlog_file_number("b1n.1000000") == 1000000);
    assert_true(tr_binlog_file_number("none") == 0);
}

/* The catalogue of the two tests below: names, and what the log calls strings. */
static int
catalogue(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    static const char *const names[] = { "a", "b", "c" };
    (void)err;
    if (arg != NULL)
        relation->ncolumns++; /* a column was added since */
    struct tr_column *columns = (struct tr_column *)(uintptr_t)relation->columns;
    for (uint16_t i = 0; arg == NULL && i < relation->ncolumns; i++) {
        columns[i].name = names[i];
        columns[i].charset = "utf8mb4";
        columns[i].logical = i == 1 ? TR_UUID : i == 2 ? TR_INET : columns[i].logical;
    }
    return 0;
}

/* m.t (a tinyint, b uuid, c inet4) as MariaDB logs it without metadata: two are binary strings. */
static const uint8_t map_plain[] = { 5,   0, 0, 0, 0,   0,   1, 0,   1,  'm', 0, 1,
                                     't', 0, 3, 1, 254, 254, 4, 254, 16, 254, 4, 7 };
static const uint8_t rows_plain[] = { 5,    0,    0,    0,    0,    0,    1,    0,    2,    0,    3,    7,
                                      0,    200,  16,   0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                      0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01, 4,    10,   0,    0,    7 };

static void
expect_text(const struct tr_event *event, uint16_t column, const char *wanted)
{
    struct tr_buffer scratch;
    struct tr_error err = { 0 };
    const char *text;
    size_t len;
    tr_buffer_init(&scratch, 1000);
    assert_int_equal(tr_value_text(event->relation, &event->relation->columns[column], &event->after[column],
                                   &scratch, &text, &len, &err),
                     0);
    assert_string_equal(text, wanted);
    tr_buffer_fini(&scratch);
}

static void
the_catalogue_completes_a_shape(void **state)
{
    (void)state;
    struct log log = { .order = 4 };
    struct tr_decoder_config config = { .catalog = { NULL, catalogue } };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    log_feed_query(&log, "m", "BEGIN");
    assert_int_equal(log_feed(&log, 19, 0, map_plain, sizeof map_plain), 0);
    assert_int_equal(log_feed(&log, 30, 0, rows_plain, sizeof rows_plain), TR_DECODED_ROW);
    expect_text(&log.batch->events[0], 0, "-56");
    expect_text(&log.batch->events[0], 1, "11223344-5566-7788-99aa-bbccddeeff01");
    expect_text(&log.batch->events[0], 2, "10.0.0.7");
    log_close(&log);
}

static int
no_such_columns(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    (void)arg, (void)err;
    for (uint16_t i = 1; i < relation->ncolumns; i++)
        ((struct tr_column *)(uintptr_t)&relation->columns[i])->default_unknown = true;
    return 0;
}

/* t (id int PRIMARY KEY) WITH SYSTEM VERSIONING, of MariaDB: id, row_start, row_end, key (id, row_end); no catalogue lists the last two. */
static const uint8_t map_versioned[] = { 5,   0, 0,   0,   0,   0,   1,   0,   1,   'm', 0,   1,   't',
                                         0,   3, 3,   17,  17,  2,   6,   6,   0,   1,   1,   0,   4,
                                         21,  2, 'i', 'd', 9,   'r', 'o', 'w', '_', 's', 't', 'a', 'r',
                                         't', 7, 'r', 'o', 'w', '_', 'e', 'n', 'd', 8,   2,   0,   2 };
#define PRESENT 1, 1, 1, 1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f
#define LATEST_OF_64_BITS 1, 1, 1, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f
#define OVER 1, 1, 1, 1, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0
#define HEAD 5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 7

static void
rows_that_are_over_are_left_out(void **state)
{
    (void)state;
    static const uint8_t written[] = { HEAD, 0, 1, 0, 0, 0, PRESENT,          0, 2, 0, 0, 0,
                                       OVER, 0, 3, 0, 0, 0, LATEST_OF_64_BITS };
    static const uint8_t updated[] = { HEAD,    7, 0, 1, 0, 0, 0,       PRESENT, 0, 9, 0, 0, 0,
                                       PRESENT, 0, 3, 0, 0, 0, PRESENT, 0,       3, 0, 0, 0, OVER };
    static const uint8_t deleted[] = { HEAD, 0, 9, 0, 0, 0, PRESENT, 0, 2, 0, 0, 0, OVER };
    static const uint8_t over[] = { HEAD, 0, 2, 0, 0, 0, OVER };
    static const enum tr_event_kind kinds[] = { TR_INSERT, TR_INSERT, TR_UPDATE, TR_DELETE, TR_DELETE };
    struct log log = { .order = 4 };
    struct tr_binlog_format format = { .flavour = TR_BINLOG_MARIADB };
    struct tr_decoder_config config = { .catalog = { NULL, no_such_columns }, .source_format = &format };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    log_feed_query(&log, "m", "BEGIN");
    assert_int_equal(log_feed(&log, 19, 0, map_versioned, sizeof map_versioned), 0);
    assert_int_equal(log_feed(&log, 30, 0, written, sizeof written), TR_DECODED_ROW);
    assert_int_equal(log_feed(&log, 31, 0, updated, sizeof updated), TR_DECODED_ROW);
    assert_int_equal(log_feed(&log, 32, 0, deleted, sizeof deleted), TR_DECODED_ROW);
    assert_int_equal(log_feed(&log, 32, 0, over, sizeof over), 0);
    assert_int_equal(log.batch->nevents, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(log.batch->events[i].kind, kinds[i]);
    assert_null(log.batch->events[3].after);
    assert_int_equal(log.batch->events[0].relation->ncolumns, 1);
    assert_int_equal(log.batch->events[0].relation->nkeys, 1);
    expect_text(&log.batch->events[1], 0, "3");
    expect_text(&log.batch->events[2], 0, "9");
    log_close(&log);
}

/* t (id int PRIMARY KEY, t text, UNIQUE (t)) of MariaDB: the log has id, t, DB_ROW_HASH_1. */
static void
the_hash_of_a_long_unique_key_is_left_out(void **state)
{
    (void)state;
    static const uint8_t map[] = { 5,   0,   0,   0,   0,   0,   1,   0,   1,   'm', 0,   1,   't',
                                   0,   3,   3,   252, 8,   1,   2,   6,   1,   1,   0,   4,   19,
                                   2,   'i', 'd', 1,   't', 13,  'D', 'B', '_', 'R', 'O', 'W', '_',
                                   'H', 'A', 'S', 'H', '_', '1', 2,   1,   45,  8,   1,   0 };
    static const uint8_t rows[] = { 5, 0, 0,   0,   0, 0, 1, 0, 2, 0, 3, 7, 0, 7, 0, 0, 0,
                                    2, 0, 'h', 'i', 1, 2, 3, 4, 5, 6, 7, 8, 6, 8, 0, 0, 0 };
    struct log log = { .order = 4 };
    struct tr_binlog_format format = { .flavour = TR_BINLOG_MARIADB };
    struct tr_decoder_config config = { .catalog = { NULL, no_such_columns }, .source_format = &format };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    log_feed_query(&log, "m", "BEGIN");
    assert_int_equal(log_feed(&log, 19, 0, map, sizeof map), 0);
    assert_int_equal(log_feed(&log, 30, 0, rows, sizeof rows), TR_DECODED_ROW);
    assert_int_equal(log.batch->nevents, 2);
    assert_int_equal(log.batch->events[0].relation->ncolumns, 2);
    assert_int_equal(log.batch->events[0].after[1].len, 2);
    assert_memory_equal(log.batch->events[0].after[1].data, "hi", 2);
    expect_text(&log.batch->events[1], 0, "8");
    log_close(&log);
}

static void
another_number_of_columns_in_the_catalogue_is_refused(void **state)
{
    (void)state;
    struct log log = { .order = 4 };
    struct tr_decoder_config config = { .catalog = { &log, catalogue } };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    log_feed_query(&log, "m", "BEGIN");
    log_feed(&log, 19, 0, map_plain, sizeof map_plain);
    assert_int_equal(log_feed(&log, 30, 0, rows_plain, sizeof rows_plain), -TR_REFUSED);
    log_close(&log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_by_hand),
        cmocka_unit_test(an_announced_transaction_begins_behind_its_name),
        cmocka_unit_test(labels_in_wide_characters),
        cmocka_unit_test(undone_rows_leave_the_batch),
        cmocka_unit_test(savepoints_have_no_case),
        cmocka_unit_test(a_shape_is_told_although_its_row_is_undone),
        cmocka_unit_test(a_statement_may_tell_of_many_tables),
        cmocka_unit_test(an_alter_of_two_phases_counts_when_it_is_done),
        cmocka_unit_test(settings_before_a_statement_are_left_out),
        cmocka_unit_test(undoing_what_has_left_asks_for_larger_batches),
        cmocka_unit_test(a_server_that_died_in_a_transaction_undid_it),
        cmocka_unit_test(statements_with_rows_are_refused_for_tables_of_the_task),
        cmocka_unit_test(what_is_not_known_is_refused),
        cmocka_unit_test(checksums_are_checked),
        cmocka_unit_test(offsets_pass_four_gigabytes),
        cmocka_unit_test(shapes_before_the_cut_of_their_table_are_not_told),
        cmocka_unit_test(file_numbers),
        cmocka_unit_test(the_catalogue_completes_a_shape),
        cmocka_unit_test(rows_that_are_over_are_left_out),
        cmocka_unit_test(the_hash_of_a_long_unique_key_is_left_out),
        cmocka_unit_test(another_number_of_columns_in_the_catalogue_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
