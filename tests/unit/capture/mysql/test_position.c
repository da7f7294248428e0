/* test_position.c - positions, what they cover, how the log is followed; no server is asked. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/mysql/internal.h"

#define A "3e11fa47-71ca-11e1-9e33-c80aa9429562"

static void
texts_are_read_and_written(void **state)
{
    (void)state;
    static const char *const good[] = { "gtid=" A ":1-5;file=bin.000001;pos=4",
                                        "gtid=;file=bin.000001;pos=4",
                                        "gtid=0-1-5",
                                        "file=a;b.1;pos=9",
                                        "file=mysql-bin.1000000;pos=1099511627775",
                                        "gtid=" };
    static const char *const bad[] = { "",
                                       "0/0",
                                       "file=;pos=4",
                                       "file=a",
                                       "file=a;pos=",
                                       "file=a;pos=x",
                                       "file=a;pos=1099511627776",
                                       "gtid=x;file=a;pos=4",
                                       "gtid=0-1-5;pos=4",
                                       "pos=4",
                                       "file=a;pos=4;x=1" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct tr_mysql_position position;
        struct tr_buffer text;
        tr_buffer_init(&text, 4096);
        bool parsed = tr_mysql_position_parse(good[i], &position);
        if (i == 3) { /* a file's name with a semicolon cannot be kept */
            assert_false(parsed);
        } else {
            assert_true(parsed);
            tr_mysql_position_text(&position, &text);
            assert_string_equal(text.data, good[i]);
        }
        tr_mysql_position_fini(&position);
        tr_buffer_fini(&text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tr_mysql_position position;
        if (tr_mysql_position_parse(bad[i], &position))
            fail_msg("\"%s\" was taken", bad[i]);
        tr_mysql_position_fini(&position);
    }
}

static void
positions_compare(void **state)
{
    (void)state;
    assert_int_equal(tr_mysql_compare("file=bin.000009;pos=4", "file=bin.000010;pos=4"), -1);
    assert_int_equal(tr_mysql_compare("file=bin.1000000;pos=4", "file=bin.999999;pos=900"), 1);
    assert_int_equal(tr_mysql_compare("file=bin.1;pos=4", "file=bin.1;pos=4"), 0);
    assert_int_equal(tr_mysql_compare("file=bin.1;pos=4294967296", "file=bin.1;pos=4"), 1);
    /* the sets rule, whatever the files of another server are called */
    assert_int_equal(tr_mysql_compare("gtid=0-1-5;file=bin.000009;pos=4", "gtid=0-1-6;file=bin.000001;pos=4"),
                     -1);
    assert_int_equal(tr_mysql_compare("gtid=0-1-6;file=bin.000001;pos=4", "gtid=0-1-5"), 1);
    assert_int_equal(
        tr_mysql_compare("gtid=0-1-5;file=bin.000002;pos=4", "gtid=0-1-5;file=bin.000001;pos=900"), 0);
    /* neither contains the other: the place in the log decides, where there is one */
    assert_int_equal(tr_mysql_compare("gtid=0-1-5,1-1-1;file=bin.1;pos=4", "gtid=0-1-6;file=bin.1;pos=8"),
                     -1);
    assert_int_equal(tr_mysql_compare("gtid=0-1-5,1-1-1", "gtid=0-1-6"), INT_MIN);
    assert_int_equal(tr_mysql_compare("gtid=0-1-5", "file=bin.1;pos=4"), INT_MIN);
    assert_int_equal(tr_mysql_compare("0/A", "file=bin.1;pos=4"), INT_MIN);
}

static void
a_position_covers_by_gtid_else_by_place(void **state)
{
    (void)state;
    struct tr_mysql_source source = { 0 };
    struct tr_txn txn = { .commit_order = TR_BINLOG_ORDER(3, 100), .gtid = A ":7" };
    assert_true(tr_mysql_covers(&source.base, "gtid=" A ":1-7;file=bin.000001;pos=4", &txn));
    assert_false(tr_mysql_covers(&source.base, "gtid=" A ":1-6;file=bin.000009;pos=4", &txn));
    txn.gtid = NULL;
    assert_true(tr_mysql_covers(&source.base, "gtid=" A ":1-6;file=bin.000009;pos=4", &txn));
    assert_true(tr_mysql_covers(&source.base, "file=bin.000003;pos=101", &txn));
    assert_false(tr_mysql_covers(&source.base, "file=bin.000003;pos=100", &txn));
    assert_false(tr_mysql_covers(&source.base, "gtid=" A ":1-6", &txn));
    assert_false(tr_mysql_covers(&source.base, "nonsense", &txn));
    tr_mysql_position_fini(&source.covers_position);
    free(source.covers_text);
}

/* ------------------------------------------------------------------------------------------------- events by hand */

struct event {
    uint8_t bytes[128];
    size_t len;
};

static void
put(struct event *e, uint64_t n, int width)
{
    for (int i = 0; i < width; i++)
        e->bytes[e->len++] = (uint8_t)(n >> (8 * i));
}

/* Header, body, and four bytes for the checksum; the body is filled up to `size` in all. */
static struct event
event(uint8_t type, uint32_t end, uint16_t flags, const void *body, size_t body_len)
{
    struct event e = { .len = 0 };
    put(&e, 1000, 4);
    put(&e, type, 1);
    put(&e, 7, 4);
    put(&e, 19 + body_len + 4, 4);
    put(&e, end, 4);
    put(&e, flags, 2);
    memcpy(e.bytes + e.len, body, body_len);
    e.len += body_len + 4;
    return e;
}

static uint64_t
follow(struct tr_mysql_progress *progress, struct event e)
{
    struct tr_error err;
    uint64_t order = 0;
    assert_true(tr_mysql_follow(progress, e.bytes, e.len, true, &order, &err) >= 0);
    return order;
}

static struct event
rotate(const char *file, uint64_t offset, uint16_t flags, uint32_t end)
{
    struct event body = { .len = 0 };
    put(&body, offset, 8);
    memcpy(body.bytes + 8, file, strlen(file));
    return event(4, end, flags, body.bytes, 8 + strlen(file));
}

static struct event
mariadb_gtid(uint64_t number, uint32_t end)
{
    struct event body = { .len = 0 };
    put(&body, number, 8);
    put(&body, 0, 4);
    put(&body, 0, 1);
    return event(162, end, 0, body.bytes, 13);
}

static void
the_place_in_the_log_is_followed(void **state)
{
    (void)state;
    struct tr_mysql_progress progress = { .gtid = true };
    assert_int_equal(follow(&progress, rotate("bin.000012", 500, 0x20, 0)), TR_BINLOG_ORDER(12, 500));
    assert_string_equal(progress.file, "bin.000012");
    assert_int_equal(follow(&progress, event(15, 0, 0, "described", 9)),
                     TR_BINLOG_ORDER(12, 500)); /* told again: no place */
    assert_int_equal(follow(&progress, mariadb_gtid(41, 536)), TR_BINLOG_ORDER(12, 500));
    assert_false(progress.between);
    assert_int_equal(follow(&progress, event(19, 0, 0, "0123456789", 10)),
                     TR_BINLOG_ORDER(12, 536)); /* inside: by counting */
    assert_int_equal(follow(&progress, event(16, 600, 0, "01234567", 8)), TR_BINLOG_ORDER(12, 569));
    assert_true(progress.between);
    /* what we have already was left out by the server */
    assert_int_equal(follow(&progress, mariadb_gtid(50, 10036)), TR_BINLOG_ORDER(12, 10000));
    assert_int_equal(follow(&progress, event(16, 10067, 0, "01234567", 8)), TR_BINLOG_ORDER(12, 10036));
    assert_int_equal(follow(&progress, rotate("bin.000013", 4, 0, 10110)), TR_BINLOG_ORDER(12, 10069));
    assert_string_equal(progress.file, "bin.000013");
    assert_int_equal(progress.offset, 4);
    tr_mysql_progress_fini(&progress);
}

static void
a_file_passes_four_gigabytes(void **state)
{
    (void)state;
    struct tr_mysql_progress progress = { .file_number = 1, .offset = 0xfffffff0 };
    assert_int_equal(follow(&progress, event(16, 15, 0, "01234567", 8)),
                     TR_BINLOG_ORDER(1, UINT64_C(0xfffffff0)));
    assert_int_equal(progress.offset, UINT64_C(0x10000000f));
    assert_int_equal(follow(&progress, event(27, 15, 0x20, "bin.000001", 10)),
                     TR_BINLOG_ORDER(1, UINT64_C(0x10000000f)));
    assert_int_equal(progress.offset, UINT64_C(0x10000000f));
    tr_mysql_progress_fini(&progress);
}

/* Only what ended before a checkpoint's place is in its set, however far the log was read meanwhile. */
static void
gtids_count_when_their_transaction_has_ended(void **state)
{
    (void)state;
    struct tr_mysql_source source = { .progress = { .gtid = true } };
    struct tr_mysql_progress *progress = &source.progress;
    struct tr_error err;
    const char *text = NULL;
    follow(progress, rotate("bin.000001", 500, 0x20, 0));
    follow(progress, mariadb_gtid(41, 536));
    follow(progress, event(16, 567, 0, "01234567", 8));
    follow(progress, mariadb_gtid(42, 603));
    struct tr_batch *batch = tr_batch_new();
    assert_int_equal(tr_mysql_checkpoint(&source.base, batch, &text, &err), -TR_FATAL);
    *tr_batch_txn(batch) = (struct tr_txn){ .commit_order = TR_BINLOG_ORDER(1, 500),
                                            .end_order = TR_BINLOG_ORDER(1, 567),
                                            .file = "bin.000001",
                                            .ends = true };
    *tr_batch_txn(batch) = (struct tr_txn){ .commit_order = TR_BINLOG_ORDER(1, 567), .file = "bin.000001" };
    assert_int_equal(tr_mysql_checkpoint(&source.base, batch, &text, &err), 0);
    assert_string_equal(text, "gtid=0-7-41;file=bin.000001;pos=567");
    follow(progress, event(16, 634, 0, "01234567", 8));
    struct tr_frame frame = { .kind = TR_FRAME_KEEPALIVE, .end = UINT64_MAX - 1 };
    assert_int_equal(tr_mysql_keepalive_checkpoint(&source.base, &frame, batch, &text, &err), 0);
    assert_string_equal(text, "gtid=0-7-42;file=bin.000001;pos=634");
    tr_batch_free(batch);
    tr_mysql_progress_fini(progress);
}

static void
damaged_events_are_refused(void **state)
{
    (void)state;
    struct tr_mysql_progress progress = { .gtid = true, .offset = 4 };
    struct tr_error err;
    uint64_t order;
    struct event events[] = { mariadb_gtid(41, 536), rotate("bin.000013", 4, 0, 100),
                              event(33, 100, 0, "0123456789012345678901234", 25) };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        for (size_t len = 0; len < (i == 1 ? 19 + 8 + 4 : events[i].len); len++) {
            struct tr_mysql_progress fresh = { .gtid = true, .offset = 4 };
            if (tr_mysql_follow(&fresh, events[i].bytes, len, true, &order, &err) >= 0)
                fail_msg("event %zu was taken at %zu bytes", i, len);
            tr_mysql_progress_fini(&fresh);
        }
    tr_mysql_progress_fini(&progress);
}

/* --------------------------------------------------------------------------------------------- other tools, and times */

static void
loader_says(bool mariadb, const char *kind, const char *content, const char *expected)
{
    char path[] = "/tmp/tailrace-loader-XXXXXX", start[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    snprintf(start, sizeof start, "%s:%s", kind, path);
    struct tr_mysql_source source = { .mariadb = mariadb, .gtid = true };
    struct tr_mysql_position position = { 0 };
    struct tr_error err;
    struct tr_buffer text;
    tr_buffer_init(&text, 4096);
    int rc = tr_mysql_loader_position(&source, start, &position, &err);
    unlink(path);
    tr_mysql_position_text(&position, &text);
    if (expected == NULL) {
        assert_int_equal(rc, -TR_CONFIG);
        bool packed = (unsigned char)content[0] == 0x1f;
        assert_non_null(strstr(err.hint, packed ? "compressed" : "--source-data=2"));
    } else {
        assert_string_equal(text.data, expected);
    }
    tr_mysql_position_fini(&position);
    tr_buffer_fini(&text);
}

static void
positions_of_loaders_are_found(void **state)
{
    (void)state;
    loader_says(
        false, "mydumper",
        "# Started dump at: 2026-01-01 00:00:00\n[config]\nquote-character = BACKTICK\n\n[source]\n# Channel_Name = '' # It can be used\n"
        "File = bin.000007\nPosition = 4711\nExecuted_Gtid_Set = \"" A
        ":1-5\"\n\n[replication]\n#  file = other.000001\n",
        "gtid=" A ":1-5;file=bin.000007;pos=4711");
    loader_says(
        true, "mydumper",
        "Started dump at: 2024\nSHOW MASTER STATUS:\n\tLog: bin.000007\n\tPos: 4711\n\tGTID:0-1-5\n\nSHOW SLAVE STATUS:\n\tHost: x\n\tLog: other.1\n\tPos: 9\n",
        "gtid=0-1-5;file=bin.000007;pos=4711");
    loader_says(
        true, "mydumper",
        "# Started dump at: 2026\n[config]\nquote-character = BACKTICK\n\n[source]\n# Channel_Name = ''\n#SOURCE_HOST = \"h\"\n#SOURCE_PORT = \n#SOURCE_SSL = {0|1}\n"
        "executed_gtid_set = \"0-1-5,1-2-7\"\nSOURCE_AUTO_POSITION = 1\n#SOURCE_LOG_FILE = \"bin.000007\"\n#SOURCE_LOG_POS = 4711\n[`s`.`t`]\nreal_table_name=t\nrows = 1\n",
        "gtid=0-1-5,1-2-7;file=bin.000007;pos=4711");
    loader_says(false, "xtrabackup", "bin.000003\t157\t" A ":1-9\n",
                "gtid=" A ":1-9;file=bin.000003;pos=157");
    loader_says(true, "xtrabackup", "bin.000003\t157\n", "file=bin.000003;pos=157");
    loader_says(
        true, "dump",
        "-- x\n-- SET GLOBAL gtid_slave_pos='0-1-8';\n-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000002', MASTER_LOG_POS=344;\n",
        "gtid=0-1-8;file=bin.000002;pos=344");
    loader_says(false, "dump",
                "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '" A
                ":1-3';\nCHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='bin.000002', SOURCE_LOG_POS=344;\n",
                "gtid=" A ":1-3;file=bin.000002;pos=344");
    loader_says(false, "dump", "-- nothing\n", NULL);
    loader_says(false, "dump", "\x1f\x8b\x08 and so on", NULL);
}

static void
a_position_is_taken_to_another_server_without_its_file(void **state)
{
    (void)state;
    static const struct tr_source_class class = { .name = "mariadb" };
    struct tr_mysql_source source = { .base.class = &class, .server_uuid = "here", .server_id = 1 };
    const struct tr_identity here = { "flavour=mariadb;uuid=here;server_id=1" },
                             old = { "flavour=mariadb;uuid=;server_id=1" },
                             there = { "flavour=mariadb;uuid=there;server_id=1" };
    char out[64];
    assert_false(tr_mysql_portable(&source.base, &here, "gtid=0-1-5;file=bin.000001;pos=4", out, sizeof out));
    assert_false(tr_mysql_portable(&source.base, &old, "gtid=0-1-5;file=bin.000001;pos=4", out, sizeof out));
    assert_false(tr_mysql_portable(&source.base, &there, "file=bin.000001;pos=4", out, sizeof out));
    assert_true(tr_mysql_portable(&source.base, &there, "gtid=0-1-5;file=bin.000001;pos=4", out, sizeof out));
    assert_string_equal(out, "gtid=0-1-5");
    assert_true(tr_mysql_portable(&source.base, &there, "gtid=", out, sizeof out));
    assert_string_equal(out, "gtid=");
}

static void
events_inside_of_transactions_are_known(void **state)
{
    (void)state;
    static const char *const inside[] = { "Write_rows_v1",       "Update_rows",   "Delete_rows_compressed_v1",
                                          "Update_rows_partial", "Xid",           "Query",
                                          "Table_map",           "Annotate_rows", "Rows_query",
                                          "Transaction_payload", "XA_prepare" };
    static const char *const between[] = { "Gtid",
                                           "Gtid_list",
                                           "Gtid_tagged_log_event",
                                           "Anonymous_Gtid",
                                           "Format_desc",
                                           "Previous_gtids",
                                           "Binlog_checkpoint",
                                           "Rotate",
                                           "Stop",
                                           "Start_encryption",
                                           "Heartbeat" };
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        assert_true(tr_mysql_inside_transaction(inside[i]));
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++)
        assert_false(tr_mysql_inside_transaction(between[i]));
}

static void
times_are_read_in_utc(void **state)
{
    (void)state;
    int64_t us;
    assert_true(tr_mysql_time_parse("2026-01-01T00:00:00Z", &us) && us == INT64_C(1767225600000000));
    assert_true(tr_mysql_time_parse("2026-01-01 02:00:00.25+02:00", &us) && us == INT64_C(1767225600250000));
    assert_true(tr_mysql_time_parse("2026-01-01", &us) && us == INT64_C(1767225600000000));
    assert_true(tr_mysql_time_parse("1767225600", &us) && us == INT64_C(1767225600000000));
    assert_false(tr_mysql_time_parse("now", &us));
    assert_false(tr_mysql_time_parse("2026-02-30", &us));
    assert_false(tr_mysql_time_parse("2026-01-01T00:00:00 CET", &us));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_written),
        cmocka_unit_test(positions_compare),
        cmocka_unit_test(a_position_covers_by_gtid_else_by_place),
        cmocka_unit_test(the_place_in_the_log_is_followed),
        cmocka_unit_test(a_file_passes_four_gigabytes),
        cmocka_unit_test(gtids_count_when_their_transaction_has_ended),
        cmocka_unit_test(damaged_events_are_refused),
        cmocka_unit_test(positions_of_loaders_are_found),
        cmocka_unit_test(a_position_is_taken_to_another_server_without_its_file),
        cmocka_unit_test(events_inside_of_transactions_are_known),
        cmocka_unit_test(times_are_read_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
