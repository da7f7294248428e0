/* test_postgres_sink.c - hand-made batches against a private PostgreSQL: what arrives, in what order, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/postgres/apply.h"
#include "sinks/postgres/postgres.h"
#include "tests/contract/private_postgres.h"
#include "tests/contract/sink_feed.h"

static struct private_postgres server;
static bool have_server;

static void
need_server(void)
{
    if (!have_server)
        skip();
}

static void
test_changes_of_one_table(void **state)
{
    struct feed feed;
    (void)state;
    need_server();
    feed_open(&feed, server.url, 2, NULL);
    feed_sql(
        &feed,
        "CREATE TABLE one (id int PRIMARY KEY, v text, big text, n numeric, j json, a int[], at timestamp)");
    struct tr_relation *t = feed_relation("one", 1, 'd', "id:int4:key", "v:text", "big:text", "n:numeric",
                                          "j:json", "a:intarray", "at:timestamp", NULL);
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(
        &feed, batch, TR_INSERT, t, NULL,
        ROW("1", "a\\\t\"", "toast", "1.50", "{\"a\": 1}", "{1,NULL,3}", "2024-02-29 23:59:59.000001"));
    feed_change(&feed, batch, TR_INSERT, t, NULL, ROW("2", NULL, "x", NULL, NULL, NULL, "infinity"));
    feed_change(&feed, batch, TR_INSERT, t, NULL,
                ROW("3", "c", "y", NULL, NULL, NULL, "0044-03-15 10:00:00 BC"));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_int_equal(feed.durable, 1);
    assert_sql(
        &feed, "SELECT string_agg(o::text, ' ' ORDER BY id) FROM one o",
        "(1,\"a\\\\\t\"\"\",toast,1.50,\"{\"\"a\"\": 1}\",\"{1,NULL,3}\",\"2024-02-29 23:59:59.000001\") (2,,x,,,,infinity)"
        " (3,c,y,,,,\"0044-03-15 10:00:00 BC\")");

    batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(&feed, batch, TR_UPDATE, t, NULL, ROW("1", "b", FEED_ABSENT, "2", NULL, NULL, NULL));
    feed_change(&feed, batch, TR_UPDATE, t,
                ROW("2", FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT),
                ROW("20", "moved", FEED_ABSENT, NULL, NULL, NULL, NULL));
    feed_change(&feed, batch, TR_DELETE, t,
                ROW("3", FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT, FEED_ABSENT), NULL);
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed, "SELECT string_agg(concat_ws(',', id, v, big, n), ' ' ORDER BY id) FROM one",
               "1,b,toast,2 20,moved,x");
    assert_sql(
        &feed,
        "SELECT count(*) FROM tailrace.checkpoint WHERE task = 'test' AND phase = 'stream' AND position IS NOT NULL",
        "1");
    tr_relation_unref(t);
    feed_close(&feed);
}

static void
test_rows_without_a_key(void **state)
{
    struct feed feed;
    (void)state;
    need_server();
    feed_open(&feed, server.url, 2, NULL);
    feed_sql(&feed, "CREATE TABLE bag (c char(22), p point, j json, n numeric)");
    struct tr_relation *t = feed_relation("bag", 2, 'f', "c:bpchar", "p:point", "j:json", "n:numeric", NULL);
    const char *const *row = ROW("a                     ", "(1,2)", "{\"k\":  1}", NULL);
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    for (int i = 0; i < 3; i++)
        feed_change(&feed, batch, TR_INSERT, t, NULL, row);
    feed_change(&feed, batch, TR_DELETE, t, row, NULL);
    feed_change(&feed, batch, TR_UPDATE, t, row, ROW("b                     ", "(3,4)", NULL, "1.0"));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(
        &feed, "SELECT string_agg(b::text, ' ' ORDER BY c) FROM bag b",
        "(\"a                     \",\"(1,2)\",\"{\"\"k\"\":  1}\",) (\"b                     \",\"(3,4)\",,1.0)");
    tr_relation_unref(t);
    feed_close(&feed);
}

/* UPDATE t SET u = u + 1, id = id + 1 over unique columns: row by row they collide. */
static void
test_unique_values_are_exchanged(void **state)
{
    struct feed feed;
    char old[12], new[12], big[16];
    (void)state;
    need_server();
    feed_open(&feed, server.url, 2, NULL);
    feed_sql(&feed, "CREATE TABLE swap (id int PRIMARY KEY, u int UNIQUE, big text);"
                    "INSERT INTO swap SELECT i, i, 'kept' || i FROM generate_series(1, 100) i");
    struct tr_relation *t = feed_relation("swap", 3, 'f', "id:int4:key", "u:int4", "big:text", NULL);
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    for (int i = 1; i <= 100; i++) {
        snprintf(old, sizeof old, "%d", i);
        snprintf(new, sizeof new, "%d", i + 1);
        snprintf(big, sizeof big, "kept%d", i);
        feed_change(&feed, batch, TR_UPDATE, t, ROW(old, old, big), ROW(new, new, FEED_ABSENT));
    }
    feed_end(&feed, batch);
    feed_begin(&feed, batch, true); /* two rows exchange u, without a new key */
    feed_change(&feed, batch, TR_UPDATE, t, ROW("2", "2", "kept1"), ROW("2", "3", FEED_ABSENT));
    feed_change(&feed, batch, TR_UPDATE, t, ROW("3", "3", "kept2"), ROW("3", "2", FEED_ABSENT));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed,
               "SELECT count(*) FROM swap WHERE u = id AND big = 'kept' || id - 1 AND id BETWEEN 4 AND 101",
               "98");
    assert_sql(&feed, "SELECT string_agg(s::text, ' ' ORDER BY id) FROM swap s WHERE id < 4",
               "(2,3,kept1) (3,2,kept2)");
    tr_relation_unref(t);
    feed_close(&feed);
}

/* Write and flush: a failure may come from either. */
static int
apply(struct feed *feed, struct tr_batch *batch)
{
    int rc = feed_write(feed, batch, true);
    return rc < 0 ? rc : feed_flush(feed);
}

static struct tr_batch *
conflicting(struct feed *feed, struct tr_relation *t)
{
    struct tr_batch *batch = tr_batch_new();
    feed_begin(feed, batch, true);
    feed_change(feed, batch, TR_INSERT, t, NULL, ROW("10", "new"));
    feed_change(feed, batch, TR_INSERT, t, NULL, ROW("1", "dup"));
    feed_change(feed, batch, TR_UPDATE, t, NULL, ROW("77", "gon"));
    feed_change(feed, batch, TR_DELETE, t, ROW("78", FEED_ABSENT), NULL);
    feed_change(feed, batch, TR_INSERT, t, NULL, ROW("11", "end"));
    feed_end(feed, batch);
    return batch;
}

/* An update or delete that finds no row is never taken for done. */
static void
test_missing_rows_are_noticed(void **state)
{
    static const enum tr_event_kind kinds[] = { TR_UPDATE, TR_DELETE };
    struct feed feed;
    (void)state;
    need_server();
    struct tr_relation *t = feed_relation("missing", 4, 'd', "id:int4:key", "v:text", NULL);
    for (int i = 0; i < 2; i++) {
        feed_open(&feed, server.url, 2, NULL);
        feed_sql(&feed, "CREATE TABLE IF NOT EXISTS missing (id int PRIMARY KEY, v text);"
                        "INSERT INTO missing VALUES (1, 'a') ON CONFLICT DO NOTHING");
        struct tr_batch *batch = tr_batch_new();
        feed_begin(&feed, batch, true);
        feed_change(&feed, batch, TR_UPDATE, t, NULL, ROW("1", "b"));
        feed_change(&feed, batch, kinds[i], t, i == 0 ? NULL : ROW("2", FEED_ABSENT),
                    i == 0 ? ROW("2", "b") : NULL);
        feed_end(&feed, batch);
        assert_int_equal(apply(&feed, batch), -TR_CONFLICT);
        assert_non_null(strstr(feed.error.text, "id=2"));
        assert_sql(&feed, "SELECT v FROM missing", "a");
        feed_close(&feed);
    }
    tr_relation_unref(t);
}

static void
test_conflicts(void **state)
{
    struct feed feed;
    (void)state;
    need_server();
    struct tr_relation *t = feed_relation("clash", 4, 'd', "id:int4:key", "v:varchar3", NULL);
    feed_open(&feed, server.url, 2, NULL);
    feed_sql(&feed,
             "CREATE TABLE clash (id int PRIMARY KEY, v varchar(3)); INSERT INTO clash VALUES (1, 'old')");
    char *before = feed_ask(&feed,
                            "SELECT coalesce(position, '') FROM tailrace.checkpoint WHERE task = 'test'");
    assert_int_equal(apply(&feed, conflicting(&feed, t)), -TR_CONFLICT);
    assert_non_null(strstr(feed.error.text, "public.clash"));
    assert_non_null(strstr(feed.error.text, "id=1 "));
    assert_sql(&feed, "SELECT string_agg(c::text, ' ' ORDER BY id) FROM clash c", "(1,old)");
    assert_sql(&feed, "SELECT coalesce(position, '') FROM tailrace.checkpoint WHERE task = 'test'", before);
    free(before);
    feed_close(&feed);

    feed_open(&feed, server.url, 2, "on_conflict", "skip", NULL);
    assert_ok(&feed, feed_write(&feed, conflicting(&feed, t), true));
    assert_ok(&feed, feed_flush(&feed));
    assert_int_equal(feed.conflicts, 3);
    assert_string_equal(feed.last_conflict, "skipped");
    assert_sql(&feed, "SELECT string_agg(c::text, ' ' ORDER BY id) FROM clash c",
               "(1,old) (10,new) (11,end)");
    feed_close(&feed);

    feed_open(&feed, server.url, 2, "on_conflict", "overwrite", NULL);
    feed_sql(&feed, "DELETE FROM clash WHERE id > 1");
    assert_ok(&feed, feed_write(&feed, conflicting(&feed, t), true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed, "SELECT string_agg(c::text, ' ' ORDER BY id) FROM clash c",
               "(1,dup) (10,new) (11,end) (77,gon)");
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(&feed, batch, TR_INSERT, t, NULL, ROW("5", "too long"));
    feed_end(&feed, batch);
    assert_int_equal(apply(&feed, batch), -TR_CONFLICT);
    assert_string_equal(feed.error.sqlstate, "22001");
    tr_relation_unref(t);
    feed_close(&feed);
}

static void
test_truncate_and_new_columns(void **state)
{
    struct feed feed;
    (void)state;
    need_server();
    feed_open(&feed, server.url, 2, NULL);
    feed_sql(
        &feed,
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent);"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)");
    struct tr_relation *parent = feed_relation("parent", 5, 'd', "id:int4:key", NULL);
    struct tr_relation *child = feed_relation("child", 6, 'd', "id:int4:key", "p:int4", NULL);
    struct tr_relation *wider = feed_relation("child", 7, 'd', "id:int4:key", "q:int4", "note:text", NULL);
    wider->id = child->id;
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(&feed, batch, TR_INSERT, parent, NULL, ROW("2"));
    struct tr_event *event = tr_batch_event(batch);
    struct tr_relation **both = tr_arena_alloc(&batch->arena, 2 * sizeof *both);
    both[0] = parent;
    both[1] = child;
    tr_batch_hold(batch, child);
    event->kind = TR_TRUNCATE;
    event->truncate.relations = both;
    event->truncate.nrelations = 2;
    feed_change(&feed, batch, TR_INSERT, child, NULL, ROW("7", "3"));
    feed_change(&feed, batch, TR_INSERT, parent, NULL, ROW("3"));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(
        &feed,
        "SELECT (SELECT string_agg(id::text, ',') FROM parent) || ' ' || (SELECT string_agg(c::text, ',') FROM child c)",
        "3 (7,3)");

    batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(&feed, batch, TR_INSERT, child, NULL, ROW("8", "3"));
    event = tr_batch_event(batch);
    event->kind = TR_SCHEMA;
    event->relation = wider;
    event->schema.previous = child;
    tr_batch_hold(batch, wider);
    feed_change(&feed, batch, TR_INSERT, wider, NULL, ROW("9", "3", "renamed and added"));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed, "SELECT string_agg(concat_ws(',', id, q, note), ' ' ORDER BY id) FROM child",
               "7,3 8,3 9,3,renamed and added");
    tr_relation_unref(parent);
    tr_relation_unref(child);
    tr_relation_unref(wider);
    feed_close(&feed);
}

static void
test_an_older_process_is_fenced(void **state)
{
    struct feed old, new;
    (void)state;
    need_server();
    feed_open(&old, server.url, 1, NULL);
    feed_sql(&old, "CREATE TABLE fenced (id int PRIMARY KEY)");
    feed_open(&new, server.url, 1, NULL);
    struct tr_relation *t = feed_relation("fenced", 8, 'd', "id:int4:key", NULL);
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&old, batch, true);
    feed_change(&old, batch, TR_INSERT, t, NULL, ROW("1"));
    feed_end(&old, batch);
    assert_int_equal(apply(&old, batch), -TR_FATAL);
    assert_sql(&new, "SELECT count(*) FROM fenced", "0");
    tr_relation_unref(t);
    feed_close(&old);
    feed_close(&new);
}

/* A transaction in slices: nothing is seen before its end, and its batches are not all held. */
static void
test_a_large_transaction(void **state)
{
    struct feed feed;
    char id[12];
    char *text = malloc(100001);
    (void)state;
    need_server();
    memset(text, 'x', 100000);
    text[100000] = '\0';
    feed_open(&feed, server.url, 4, NULL);
    feed_sql(&feed, "CREATE TABLE large (id int PRIMARY KEY, v text)");
    struct tr_relation *t = feed_relation("large", 9, 'd', "id:int4:key", "v:text", NULL);
    for (int slice = 0; slice < 40; slice++) {
        struct tr_batch *batch = tr_batch_new();
        feed_begin(&feed, batch, slice == 0);
        for (int i = 0; i < 10; i++) {
            snprintf(id, sizeof id, "%d", slice * 10 + i);
            feed_change(&feed, batch, TR_INSERT, t, NULL, ROW(id, text));
        }
        for (int i = 0; slice > 0 && i < 5; i++) {
            snprintf(id, sizeof id, "%d", slice * 10 - 1 - i);
            feed_change(&feed, batch, TR_DELETE, t, ROW(id, FEED_ABSENT), NULL);
        }
        if (slice == 39)
            feed_end(&feed, batch);
        assert_ok(&feed, feed_write(&feed, batch, slice == 39));
        if (slice == 38) {
            assert_ok(&feed, feed_flush(&feed));
            assert_sql(&feed, "SELECT count(*) FROM large", "0");
            assert_int_equal(feed.durable, 0);
        }
    }
    assert_ok(&feed, feed_flush(&feed));
    assert_int_equal(feed.durable, 40);
    assert_sql(&feed, "SELECT count(*) FROM large", "205");
    tr_relation_unref(t);
    feed_close(&feed);
    free(text);
}

/* Rows that are found by their whole image wait for every group before theirs, and for no slice of their own. */
static void
test_a_large_transaction_without_a_key(void **state)
{
    struct feed feed;
    char a[12];
    char *text = malloc(50001);
    (void)state;
    need_server();
    memset(text, 'x', 50000);
    text[50000] = '\0';
    feed_open(&feed, server.url, 4, NULL);
    feed_sql(&feed, "CREATE TABLE large_bag (a int, n int, v text)");
    struct tr_relation *t = feed_relation("large_bag", 9, 'f', "a:int4", "n:int4", "v:text", NULL);
    for (int slice = 0; slice < 40; slice++) {
        struct tr_batch *batch = tr_batch_new();
        feed_begin(&feed, batch, slice == 0);
        for (int i = 0; i < 10; i++) {
            snprintf(a, sizeof a, "%d", slice);
            feed_change(&feed, batch, TR_INSERT, t, NULL, ROW(a, "1", text));
        }
        snprintf(a, sizeof a, "%d", slice > 0 ? slice - 1 : 0);
        for (int i = 0; i < 3; i++)
            feed_change(&feed, batch, TR_UPDATE, t, ROW(a, "1", text), ROW(a, "2", FEED_ABSENT));
        for (int i = 0; i < 2; i++)
            feed_change(&feed, batch, TR_DELETE, t, ROW(a, "2", text), NULL);
        if (slice == 39)
            feed_end(&feed, batch);
        assert_ok(&feed, feed_write(&feed, batch, slice == 39));
    }
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed, "SELECT count(*) || ' ' || count(*) FILTER (WHERE n = 2) FROM large_bag", "320 40");
    tr_relation_unref(t);
    feed_close(&feed);
    free(text);
}

/* A table that needs the source's order turns up behind changes of a table without a key: what was planned is planned once more. */
static void
test_a_group_that_is_planned_twice(void **state)
{
    struct feed feed;
    (void)state;
    need_server();
    feed_open(&feed, server.url, 4, NULL);
    feed_sql(&feed, "CREATE TABLE twice_bag (a int, v text);"
                    "CREATE TABLE twice_apart (id int PRIMARY KEY, EXCLUDE USING btree (id WITH =))");
    struct tr_relation *bag = feed_relation("twice_bag", 10, 'f', "a:int4", "v:text", NULL);
    struct tr_relation *apart = feed_relation("twice_apart", 11, 'd', "id:int4:key", NULL);
    struct tr_batch *batch = tr_batch_new();
    feed_begin(&feed, batch, true);
    feed_change(&feed, batch, TR_INSERT, bag, NULL, ROW("1", "a"));
    feed_change(&feed, batch, TR_UPDATE, bag, ROW("1", "a"), ROW("1", "b"));
    feed_change(&feed, batch, TR_INSERT, apart, NULL, ROW("1"));
    feed_change(&feed, batch, TR_UPDATE, bag, ROW("1", "b"), ROW("1", "c"));
    feed_end(&feed, batch);
    assert_ok(&feed, feed_write(&feed, batch, true));
    assert_ok(&feed, feed_flush(&feed));
    assert_sql(&feed, "SELECT string_agg(v, ' ') FROM twice_bag", "c");
    assert_sql(&feed, "SELECT count(*) FROM twice_apart", "1");
    tr_relation_unref(bag);
    tr_relation_unref(apart);
    feed_close(&feed);
}

/* A run that goes by COPY and fails in its middle, before its turn and at it. */
static void
test_a_failed_copy(void **state)
{
    struct feed feed;
    char id[12];
    (void)state;
    need_server();
    feed_open(&feed, server.url, 3, "on_conflict", "skip", "group_rows", "3000", NULL);
    feed_sql(&feed, "CREATE TABLE copied (id int PRIMARY KEY, v varchar(3));"
                    "INSERT INTO copied VALUES (2500, 'old'), (7001, 'old')");
    struct tr_relation *t = feed_relation("copied", 1, 'd', "id:int4:key", "v:varchar3", NULL);
    for (int n = 0; n < 12; n++) {
        struct tr_batch *batch = tr_batch_new();
        feed_begin(&feed, batch, true);
        for (int i = 0; i < 1000; i++) {
            snprintf(id, sizeof id, "%d", n * 1000 + i);
            feed_change(&feed, batch, TR_INSERT, t, NULL,
                        ROW(id, n * 1000 + i == 11111 ? "too long" : "new"));
        }
        feed_end(&feed, batch);
        assert_ok(&feed, feed_write(&feed, batch, true));
    }
    assert_ok(&feed, feed_flush(&feed));
    assert_int_equal(feed.conflicts, 3);
    assert_sql(&feed, "SELECT count(*) || ' ' || count(*) FILTER (WHERE v = 'old') FROM copied", "11999 2");
    tr_relation_unref(t);
    feed_close(&feed);
}

/* Without replica role foreign keys and triggers fire: the order of the source is kept to the letter. */
static void
test_foreign_keys_that_fire(void **state)
{
    struct feed feed;
    char url[256], id[12];
    (void)state;
    need_server();
    feed_open(&feed, server.url, 1, NULL);
    feed_sql(&feed, "CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public, tailrace TO plain;"
                    "GRANT ALL ON ALL TABLES IN SCHEMA tailrace TO plain; SET ROLE plain;"
                    "CREATE TABLE f_parent (id int PRIMARY KEY);"
                    "CREATE TABLE f_child (id int PRIMARY KEY, p int NOT NULL REFERENCES f_parent)");
    feed_close(&feed);
    snprintf(url, sizeof url, "postgresql://plain@/postgres?host=%s", server.dir);
    feed_open(&feed, url, 4, NULL);
    struct tr_relation *parent = feed_relation("f_parent", 1, 'd', "id:int4:key", NULL);
    struct tr_relation *child = feed_relation("f_child", 2, 'd', "id:int4:key", "p:int4", NULL);
    for (int i = 0; i < 300; i++) {
        struct tr_batch *batch = tr_batch_new();
        snprintf(id, sizeof id, "%d", i);
        feed_begin(&feed, batch, true);
        feed_change(&feed, batch, TR_INSERT, parent, NULL, ROW(id));
        feed_change(&feed, batch, TR_INSERT, child, NULL, ROW(id, id));
        feed_end(&feed, batch);
        feed_begin(&feed, batch, true);
        if (i % 3 == 0) {
            feed_change(&feed, batch, TR_DELETE, child, ROW(id, FEED_ABSENT), NULL);
            feed_change(&feed, batch, TR_DELETE, parent, ROW(id), NULL);
        }
        feed_end(&feed, batch);
        assert_ok(&feed, feed_write(&feed, batch, true));
    }
    assert_ok(&feed, feed_flush(&feed));
    assert_false(((struct tr_postgres_sink *)feed.sink)->replica_role);
    assert_int_equal(((struct tr_postgres_sink *)feed.sink)->apply->base.counts.careful, 0);
    assert_sql(&feed, "SELECT (SELECT count(*) FROM f_parent) || ' ' || (SELECT count(*) FROM f_child)",
               "200 200");
    tr_relation_unref(parent);
    tr_relation_unref(child);
    feed_close(&feed);
}

static int
start(void **state)
{
    (void)state;
    have_server = private_postgres_start(&server, NULL);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    if (have_server)
        private_postgres_stop(&server);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_of_one_table),
        cmocka_unit_test(test_rows_without_a_key),
        cmocka_unit_test(test_unique_values_are_exchanged),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_missing_rows_are_noticed),
        cmocka_unit_test(test_truncate_and_new_columns),
        cmocka_unit_test(test_an_older_process_is_fenced),
        cmocka_unit_test(test_a_large_transaction),
        cmocka_unit_test(test_a_large_transaction_without_a_key),
        cmocka_unit_test(test_a_group_that_is_planned_twice),
        cmocka_unit_test(test_a_failed_copy),
        cmocka_unit_test(test_foreign_keys_that_fire),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
