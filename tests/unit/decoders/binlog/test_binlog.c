/*
 * test_binlog.c - the binlog decoder on events made by hand and on those of golden log files, one promise
 * a test.
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

#include "core/arena.h"
#include "decoders/binlog/charset.h"
#include "decoders/binlog/text.h"
#include "tests/golden/binlog/dump.h"

#define DIR "tests/golden/binlog/"

struct log {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    struct tr_error err;
    uint64_t order;
};

static struct log
log_open(const struct tr_binlog_format *format)
{
    struct log log = { .order = TR_BINLOG_ORDER(1, 4) };
    struct tr_decoder_config config = { .source_format = format };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    return log;
}

static void
log_close(struct log *log)
{
    tr_batch_free(log->batch);
    tr_binlog_decoder.close(log->decoder);
}

static size_t
make_event(uint8_t *to, uint8_t type, uint16_t flags, const void *body, size_t len)
{
    uint32_t time = 1700000000, total = (uint32_t)(19 + len);
    memset(to, 0, 19);
    memcpy(to, &time, 4);
    to[4] = type;
    to[5] = 7; /* server id */
    memcpy(to + 9, &total, 4);
    memcpy(to + 17, &flags, 2);
    memcpy(to + 19, body, len);
    return 19 + len;
}

static int
feed(struct log *log, uint8_t type, uint16_t flags, const void *body, size_t len)
{
    uint8_t event[4096];
    size_t n = make_event(event, type, flags, body, len);
    int rc = tr_binlog_decoder.decode(log->decoder, event, n, log->order, false, log->batch, &log->err);
    log->order += n;
    return rc;
}

static int
feed_query(struct log *log, const char *database, const char *text)
{
    uint8_t body[2048] = { 0 };
    size_t db = strlen(database), len = strlen(text);
    body[8] = (uint8_t)db;
    memcpy(body + 13, database, db);
    memcpy(body + 14 + db, text, len);
    return feed(log, 2, 0, body, 14 + db + len);
}

/* id 5, table m.t (a int, b varchar(10) utf8mb4), key a, with names */
static const uint8_t map_t[] = { 5,  0, 0, 0, 0, 0, 1, 0, 1,  'm', 0, 1, 't', 0, 2,   3, 15, 2,
                                 40, 0, 2, 1, 1, 0, 2, 1, 45, 4,   4, 1, 'a', 1, 'b', 8, 1,  0 };

static int
feed_insert(struct log *log, uint8_t a)
{
    uint8_t rows[] = { 5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 0, a, 0, 0, 0, 2, 'h', 'i' };
    int rc = feed(log, 19, 0, map_t, sizeof map_t);
    return rc < 0 ? rc : feed(log, 30, 0, rows, sizeof rows);
}

static void
a_transaction_by_hand(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    uint64_t begin = log.order;
    assert_int_equal(feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
    assert_int_equal(feed_insert(&log, 9), TR_DECODED_ROW);
    assert_int_equal(feed(&log, 16, 0, "\1\0\0\0\0\0\0\0", 8), TR_DECODED_COMMIT);
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
    assert_int_equal(feed(&log, 34, 0, anonymous, sizeof anonymous), 0);
    uint64_t begin = log.order;
    assert_int_equal(feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
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
    assert_int_equal(feed_query(&log, "m", "BEGIN"), TR_DECODED_BEGIN);
    assert_int_equal(feed(&log, 19, 0, map, sizeof map), 0);
    assert_int_equal(feed(&log, 30, 0, rows, sizeof rows), TR_DECODED_ROW);
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
    feed_query(&log, "m", "BEGIN");
    feed_insert(&log, 1);
    assert_int_equal(feed_query(&log, "m", "SAVEPOINT `s``1`"), 0);
    feed_insert(&log, 2);
    feed_insert(&log, 3);
    assert_int_equal(feed_query(&log, "m", "ROLLBACK TO `s``1`"), 0);
    assert_int_equal(log.batch->nevents, 1);
    assert_int_equal(log.batch->rows, 1);
    feed_insert(&log, 4);
    assert_int_equal(feed_query(&log, "m", "COMMIT"), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->txns[0].nevents, 2);
    feed_query(&log, "m", "BEGIN");
    feed_insert(&log, 5);
    assert_int_equal(feed_query(&log, "m", "ROLLBACK"), TR_DECODED_COMMIT);
    assert_int_equal(log.batch->nevents, 2);
    assert_int_equal(log.batch->txns[1].nevents, 0);
    log_close(&log);
}

static void
undoing_what_has_left_asks_for_larger_batches(void **state)
{
    (void)state;
    struct log log = log_open(NULL);
    feed_query(&log, "m", "BEGIN");
    feed_query(&log, "m", "SAVEPOINT s");
    feed_insert(&log, 1);
    tr_batch_free(log.batch);
    log.batch = tr_batch_new();
    tr_binlog_decoder.continue_txn(log.decoder, log.batch);
    assert_false(log.batch->txns[0].begins);
    assert_true(log.batch->txns[0].events_before == 1);
    assert_int_equal(feed_query(&log, "m", "ROLLBACK TO s"), -TR_RETRY);
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
    feed_query(&log, "m", "BEGIN");
    feed_insert(&log, 1);
    assert_int_equal(feed(&log, 15, 0, format, sizeof format), TR_DECODED_COMMIT);
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
        int rc = feed_query(&log, cases[i].database, cases[i].text);
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
    assert_int_equal(feed(&log, 200, 0, "x", 1), -TR_REFUSED);
    assert_int_equal(feed(&log, 200, 0x80, "x", 1), 0); /* its header allows it */
    assert_int_equal(feed(&log, 20, 0, "x", 1), -TR_REFUSED);
    assert_int_equal(feed(&log, 26, 0, "\1\0\4lost", 7), -TR_REFUSED);
    assert_non_null(strstr(log.err.text, "lost"));
    assert_int_equal(feed(&log, 164, 0, "\1", 1), -TR_REFUSED);
    assert_int_equal(feed_insert(&log, 1), -TR_FATAL); /* no transaction is open */
    log_close(&log);
}

static void
checksums_are_checked(void **state)
{
    (void)state;
    struct tr_binlog_format format = { .checksum = true };
    struct log log = log_open(&format);
    uint8_t event[64];
    size_t n = make_event(event, 27, 0, "bin.000001\0\0\0\0", 14);
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
    feed_query(&log, "m", "BEGIN");
    uint8_t event[64];
    size_t n = make_event(event, 16, 0, "\1\0\0\0\0\0\0\0", 8);
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

static void
text_in_every_kind_of_charset(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *bytes, *text;
    } cases[] = {
        { "latin1", "\x80\x81\xe9", "€\xc2\x81é" },
        { "cp1251", "\xcf", "П" },
        { "gbk", "\xba\xba", "汉" },
        { "sjis", "\x93\xfa", "日" },
        { "ucs2", "\x6f\x22", "漢" },
        { "utf16", "\xd8\x3d\xde\x00", "😀" },
        { "swe7", "\x5d", "Å" },
        { "utf16le", "\x3d\xd8\x01\xde", "😁" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_buffer out;
        struct tr_error err = { 0 };
        size_t len = strlen(cases[i].bytes) + (strcmp(cases[i].charset, "utf16") == 0);
        tr_buffer_init(&out, 100);
        assert_int_equal(
            binlog_to_utf8(binlog_charset_named(cases[i].charset), cases[i].bytes, len, &out, &err), 0);
        assert_string_equal(out.data, cases[i].text);
        tr_buffer_fini(&out);
    }
    struct tr_buffer out;
    struct tr_error err = { 0 };
    tr_buffer_init(&out, 100);
    assert_int_equal(binlog_to_utf8(binlog_charset_named("ascii"), "\x80", 1, &out, &err), -TR_CONFLICT);
    assert_int_equal(binlog_to_utf8(binlog_charset_named("sjis"), "\x93", 1, &out, &err), -TR_CONFLICT);
    assert_string_equal(binlog_charset(255)->name, "utf8mb4");
    assert_string_equal(binlog_charset(2304)->name, "utf8mb4"); /* MariaDB's uca1400 */
    assert_string_equal(binlog_charset(1032)->name, "latin1");  /* NO PAD */
    assert_null(binlog_charset(100));
    tr_buffer_fini(&out);
}

static void
damaged_json_is_an_error(void **state)
{
    (void)state;
    /* an array whose only element is the array itself: it would never end */
    static const uint8_t endless[] = { 2, 1, 0, 7, 0, 2, 0, 0 };
    static const uint8_t beyond[] = { 2, 1, 0, 7, 0, 12, 7, 0 };
    struct tr_buffer out;
    struct tr_error err = { 0 };
    tr_buffer_init(&out, 1 << 20);
    assert_int_equal(binlog_text_json(&out, endless, sizeof endless, &err), -TR_FATAL);
    assert_int_equal(binlog_text_json(&out, beyond, sizeof beyond, &err), -TR_FATAL);
    tr_buffer_fini(&out);
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
    feed_query(&log, "m", "BEGIN");
    assert_int_equal(feed(&log, 19, 0, map_plain, sizeof map_plain), 0);
    assert_int_equal(feed(&log, 30, 0, rows_plain, sizeof rows_plain), TR_DECODED_ROW);
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
    feed_query(&log, "m", "BEGIN");
    assert_int_equal(feed(&log, 19, 0, map_versioned, sizeof map_versioned), 0);
    assert_int_equal(feed(&log, 30, 0, written, sizeof written), TR_DECODED_ROW);
    assert_int_equal(feed(&log, 31, 0, updated, sizeof updated), TR_DECODED_ROW);
    assert_int_equal(feed(&log, 32, 0, deleted, sizeof deleted), TR_DECODED_ROW);
    assert_int_equal(feed(&log, 32, 0, over, sizeof over), 0);
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
    feed_query(&log, "m", "BEGIN");
    assert_int_equal(feed(&log, 19, 0, map, sizeof map), 0);
    assert_int_equal(feed(&log, 30, 0, rows, sizeof rows), TR_DECODED_ROW);
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
    feed_query(&log, "m", "BEGIN");
    feed(&log, 19, 0, map_plain, sizeof map_plain);
    assert_int_equal(feed(&log, 30, 0, rows_plain, sizeof rows_plain), -TR_REFUSED);
    log_close(&log);
}

/* ---------------------------------------------------------------- on golden files */

typedef void visit(struct log *log, uint8_t *event, size_t len, void *arg);

/* Every event of a golden file, without checksums, until the decoder refuses one. */
static void
for_each_event(const char *name, struct log *log, visit *see, void *arg)
{
    char path[256];
    size_t len;
    snprintf(path, sizeof path, DIR "%s.binlog", name);
    uint8_t *file = binlog_dump_load(path, &len);
    assert_non_null(file);
    for (size_t at = 4; at + 19 <= len;) {
        uint32_t n, bare;
        memcpy(&n, file + at + 9, 4);
        bare = n - 4;
        memcpy(file + at + 9, &bare, 4);
        if (file[at + 4] ==
            15) { /* the format description: no checksums; its own sum stays where none is looked for */
            memcpy(file + at + 9, &n, 4);
            bare = n;
            file[at + n - 5] = 0;
        }
        log->order = TR_BINLOG_ORDER(1, at);
        see(log, file + at, bare, arg);
        at += n;
    }
    free(file);
}

/*
 * The event cut at every byte, with a header that agrees: an error or a shorter event, never a look
 * beyond. Then whole.
 */
static void
cut_everywhere(struct log *log, uint8_t *event, size_t len, void *arg)
{
    size_t *errors = arg;
    uint8_t type = event[4];
    bool rows = type == 19 || (type >= 23 && type <= 40) || (type >= 160 && type <= 170) || type == 2;
    for (size_t cut = 19; rows && cut < len && len < 3000; cut++) {
        struct log other = *log;
        uint32_t n = (uint32_t)cut;
        uint8_t *exact = malloc(cut);
        memcpy(exact, event, cut);
        memcpy(exact + 9, &n, 4);
        struct tr_batch *batch = tr_batch_new();
        tr_binlog_decoder.continue_txn(log->decoder, batch);
        if (type == 30 || type == 31 || type == 32 ||
            (type >= 23 && type <= 25)) /* these leave the decoder's state alone */
            *errors += tr_binlog_decoder.decode(log->decoder, exact, cut, log->order, false, batch,
                                                &other.err) < 0;
        struct tr_frame_peek peek;
        tr_binlog_decoder.peek(log->decoder, exact, cut, false, &peek, &other.err);
        tr_batch_free(batch);
        free(exact);
    }
    if (tr_binlog_decoder.decode(log->decoder, event, len, log->order, false, log->batch, &log->err) < 0)
        fail_msg("%s", log->err.text);
}

static void
rows_cut_short_are_errors(void **state)
{
    struct log log = log_open(NULL);
    size_t errors = 0;
    for_each_event(*state, &log, cut_everywhere, &errors);
    assert_true(errors > 500);
    log_close(&log);
}

/* {"a": 1}, and an array of it: every difference fits to the letter or is an error. */
/* A row of the load has the server's own text. */
static void
strings_of_json_are_escaped_as_the_server_does(void **state)
{
    static const uint8_t doc[] = { 12, 11, '\b', '\f', '\t', 1, 0x1f, 0x7f, '"', '\\', '/', 0xc3, 0xa9 };
    struct tr_buffer out;
    struct tr_error err;
    (void)state;
    tr_buffer_init(&out, 1 << 16);
    assert_int_equal(binlog_text_json(&out, doc, sizeof doc, &err), 0);
    assert_string_equal(out.data, "\"\\b\\f\\t\\u0001\\u001f\x7f\\\"\\\\/é\"");
    tr_buffer_fini(&out);
}

static void
differences_of_json_are_applied(void **state)
{
    (void)state;
    static const uint8_t object[] = { 0, 1, 0, 12, 0, 11, 0, 1, 0, 5, 1, 0, 'a' };
    static const uint8_t array[] = { 2, 2, 0, 10, 0, 5, 1, 0, 5, 2, 0 };
#define DIFF(bytes) bytes, sizeof(bytes) - 1
    static const struct {
        bool array;
        const char *differences;
        size_t len;
        const char *after; /* NULL = an error */
    } cases[] = {
        { false, DIFF(""), "{\"a\": 1}" },
        { false, DIFF("\0\003$.a\003\005\007\0"), "{\"a\": 7}" },
        { false, DIFF("\001\003$.b\002\004\001"), "{\"a\": 1, \"b\": true}" },
        { false, DIFF("\001\004$.bb\002\004\002\001\003$.B\002\004\0\002\003$.a"),
          "{\"B\": null, \"bb\": false}" },
        { false, DIFF("\001\011$.\"x\\\"\\n\"\002\004\001"), "{\"a\": 1, \"x\\\"\\n\": true}" },
        { false, DIFF("\002\003$.a"), "{}" },
        { false, DIFF("\0\003$.b\002\004\001"), NULL },   /* nothing to replace */
        { false, DIFF("\001\003$.a\002\004\001"), NULL }, /* it is there */
        { false, DIFF("\002\003$.b"), NULL },             /* nothing to remove */
        { false, DIFF("\002\004$[0]"), NULL },            /* no array */
        { false, DIFF("\002\005$.a.b"), NULL },           /* no object */
        { false, DIFF("\003\003$.a"), NULL },             /* no operation */
        { false, DIFF("\0\003$.a\003\005\007"), NULL },   /* cut */
        { false, DIFF("\0\001$\002\004\001"), NULL },     /* the document itself */
        { false, DIFF("\0\004$.a \002\004\001"), NULL },  /* another name */
        { true, DIFF("\001\004$[0]\002\004\001"), "[true, 1, 2]" },
        { true, DIFF("\001\004$[9]\002\004\001"), "[1, 2, true]" },
        { true, DIFF("\002\004$[0]\0\004$[0]\002\004\0"), "[null]" },
        { true, DIFF("\0\004$[2]\002\004\001"), NULL },
        { true, DIFF("\0\010$[last-]\002\004\001"), NULL },
        { true, DIFF("\0\007$[last]\002\004\001"), "[1, true]" },
        { true, DIFF("\0\011$[last-1]\002\004\001"), "[true, 2]" },
        { true, DIFF("\0\011$[last-2]\002\004\001"), NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tr_buffer out;
        tr_buffer_init(&out, 4096);
        bool good = binlog_json_patch(cases[i].array ? array : object,
                                      cases[i].array ? sizeof array : sizeof object,
                                      (const uint8_t *)cases[i].differences, cases[i].len, &out);
        assert_int_equal(good, cases[i].after != NULL);
        if (good && (out.len != strlen(cases[i].after) || memcmp(out.data, cases[i].after, out.len) != 0))
            fail_msg("case %zu: %.*s", i, (int)out.len, out.data);
        tr_buffer_fini(&out);
    }
}

/* XA: the frames of a branch are held, and decoded when its commit is known. */
struct held {
    uint8_t *frames[64];
    size_t lens[64];
    uint64_t orders[64];
    size_t n;
    bool holding;
    char gid[304];
    unsigned committed, rolled_back;
};

static void
replay(struct log *log, struct held *held, const uint8_t *event, size_t len)
{
    uint32_t before = log->batch->nevents;
    assert_true(tr_binlog_decoder.begin_from_commit(log->decoder, event, len, log->batch, &log->err) ==
                TR_DECODED_BEGIN);
    const struct tr_txn *txn = &log->batch->txns[log->batch->ntxns - 1];
    assert_true(txn->begin_order != 0 && txn->begin_order == txn->commit_order);
    for (size_t i = 0; i < held->n; i++)
        assert_true(tr_binlog_decoder.decode(log->decoder, held->frames[i], held->lens[i], held->orders[i],
                                             true, log->batch, &log->err) >= 0);
    assert_true(tr_binlog_decoder.decode(log->decoder, event, len, log->order, false, log->batch,
                                         &log->err) == TR_DECODED_COMMIT);
    assert_int_equal(log->batch->nevents, before + 1);
    held->committed++;
}

static void
hold_branches(struct log *log, uint8_t *event, size_t len, void *arg)
{
    struct held *held = arg;
    struct tr_frame_peek peek;
    assert_int_equal(tr_binlog_decoder.peek(log->decoder, event, len, false, &peek, &log->err), 0);
    if (peek.role == TR_ROLE_PREPARED_BEGIN) {
        held->holding = true;
        for (held->n = 0; held->n < 64; held->n++)
            held->frames[held->n] = NULL;
        held->n = 0;
        snprintf(held->gid, sizeof held->gid, "%s", peek.gid);
    }
    if (peek.role == TR_ROLE_COMMIT_PREPARED) {
        assert_string_equal(peek.gid, held->gid);
        held->holding = false;
        replay(log, held, event, len);
    } else if (held->holding) {
        held->frames[held->n] = event; /* the file stays in memory until the walk is over */
        held->lens[held->n] = len;
        held->orders[held->n++] = log->order;
        held->holding = peek.role != TR_ROLE_PREPARED_END;
    } else {
        held->rolled_back += peek.role == TR_ROLE_ROLLBACK_PREPARED;
        assert_true(tr_binlog_decoder.decode(log->decoder, event, len, log->order, false, log->batch,
                                             &log->err) >= 0);
    }
}

static void
xa_branches_wait_for_their_decision(void **state)
{
    struct log log = log_open(NULL);
    struct held held = { 0 };
    for_each_event(*state, &log, hold_branches, &held);
    assert_true(held.committed >= 1);
    assert_int_equal(held.rolled_back, 1);
    log_close(&log);
}

static void
check_ends(struct log *log, uint8_t *event, size_t len, void *arg)
{
    (void)arg;
    uint32_t before = log->batch->ntxns;
    int rc = tr_binlog_decoder.decode(log->decoder, event, len, log->order, false, log->batch, &log->err);
    assert_true(rc >= 0);
    uint64_t whole = log->order + len + (event[4] == 15 ? 0 : 4); /* for_each_event took the checksum away */
    if (rc & TR_DECODED_COMMIT)
        assert_true(log->batch->txns[log->batch->ntxns - 1].end_order == whole);
    if (before >= 1 && (rc & TR_DECODED_BEGIN))
        assert_true(log->batch->txns[before - 1].end_order <= log->batch->txns[before].commit_order);
}

static void
a_transaction_ends_where_the_next_event_begins(void **state)
{
    struct log log = log_open(NULL);
    for_each_event(*state, &log, check_ends, NULL);
    assert_true(log.batch->ntxns > 10);
    log_close(&log);
}

int
main(void)
{
#define ON(test, file)                                            \
    {                                                             \
#test " " file, test, NULL, NULL, (void *)(uintptr_t)file \
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_by_hand),
        cmocka_unit_test(an_announced_transaction_begins_behind_its_name),
        cmocka_unit_test(labels_in_wide_characters),
        cmocka_unit_test(undone_rows_leave_the_batch),
        cmocka_unit_test(undoing_what_has_left_asks_for_larger_batches),
        cmocka_unit_test(a_server_that_died_in_a_transaction_undid_it),
        cmocka_unit_test(statements_with_rows_are_refused_for_tables_of_the_task),
        cmocka_unit_test(what_is_not_known_is_refused),
        cmocka_unit_test(checksums_are_checked),
        cmocka_unit_test(offsets_pass_four_gigabytes),
        cmocka_unit_test(file_numbers),
        cmocka_unit_test(text_in_every_kind_of_charset),
        cmocka_unit_test(damaged_json_is_an_error),
        cmocka_unit_test(strings_of_json_are_escaped_as_the_server_does),
        cmocka_unit_test(differences_of_json_are_applied),
        cmocka_unit_test(the_catalogue_completes_a_shape),
        cmocka_unit_test(rows_that_are_over_are_left_out),
        cmocka_unit_test(the_hash_of_a_long_unique_key_is_left_out),
        cmocka_unit_test(another_number_of_columns_in_the_catalogue_is_refused),
        ON(rows_cut_short_are_errors, "mariadb-10.11-types"),
        ON(rows_cut_short_are_errors, "mysql-9.7-types"),
        ON(xa_branches_wait_for_their_decision, "mariadb-10.11-xa"),
        ON(xa_branches_wait_for_their_decision, "mariadb-11.8-xa"),
        ON(xa_branches_wait_for_their_decision, "mysql-9.7-xa"),
        ON(a_transaction_ends_where_the_next_event_begins, "mariadb-10.11-changes"),
        ON(a_transaction_ends_where_the_next_event_begins, "mariadb-11.8-changes"),
        ON(a_transaction_ends_where_the_next_event_begins, "mysql-9.7-changes"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
