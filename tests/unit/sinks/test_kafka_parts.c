/* test_kafka_parts.c - exactly_once: what is left out of a source transaction that an earlier run committed a part of. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/internal.h"

static const struct tr_sink_env quiet;

static struct kafka_sink
resumed(uint64_t order, uint64_t events, const char *gtid)
{
    struct kafka_sink sink = { .base.env = &quiet, .skip_order = order, .skip_events = events };
    snprintf(sink.skip_gtid, sizeof(sink.skip_gtid), "%s", gtid);
    return sink;
}

/* A transaction of three events; which of its edges are skipped: beginning, events, end. */
static void
assert_skipped(struct kafka_sink *sink, uint64_t order, const char *gtid, const char *expected)
{
    const struct tr_txn txn = { .commit_order = order, .gtid = gtid };
    const uint64_t places[] = { 0, 1, 2, 3, TR_PLACE_END };
    char skipped[6] = "";
    for (size_t i = 0; i < 5; i++) {
        produce_edge(sink, &txn, places[i]);
        skipped[i] = sink->skipping ? 's' : 'w';
    }
    assert_string_equal(skipped, expected);
}

static void
what_is_whole_and_the_part_are_left_out(void **state)
{
    struct kafka_sink sink = resumed(200, 2, "");
    (void)state;
    assert_skipped(&sink, 100, NULL, "sssss");
    assert_skipped(&sink, 200, NULL, "sssww");
    assert_skipped(&sink, 300, NULL, "wwwww");
    sink = resumed(200, 2, ""); /* it is not there any more */
    assert_skipped(&sink, 300, NULL, "wwwww");
    assert_int_equal(sink.skip_order, 0);
}

static void
a_failover_moves_places_but_not_names(void **state)
{
    struct kafka_sink sink = resumed(200, 2, "u:7");
    (void)state;
    assert_skipped(&sink, 200, "u:7", "sssww");
    assert_skipped(&sink, 300, "u:8", "wwwww");
    sink = resumed(200, 2, "u:7"); /* where the log is younger */
    assert_skipped(&sink, 10, "u:6", "sssss");
    assert_skipped(&sink, 20, "u:7", "sssww");
    assert_skipped(&sink, 30, "u:8", "wwwww");
    assert_int_equal(sink.skip_order, 0);
    sink = resumed(200, 2, "u:7"); /* where it is older */
    assert_skipped(&sink, 1010, "u:6", "wwwww");
    assert_skipped(&sink, 1020, "u:7", "sssww");
    assert_skipped(&sink, 1030, "u:8", "wwwww");
}

/* The new server never got the transaction: what it wrote since stands at places that the old one's log had, too. */
static void
what_a_failover_lost_takes_nothing_with_it(void **state)
{
    struct kafka_sink sink = resumed(200, 2, "u:7");
    char text[PART_TEXT];
    (void)state;
    sink.part_saved = true;
    sink.identity = strdup("uuid=a");
    assert_false(part_moves(&sink, "uuid=a"));
    assert_int_equal(sink.skip_order, 200);
    assert_true(part_moves(&sink, "uuid=b"));
    assert_false(part_moves(&sink, "uuid=b"));
    assert_skipped(&sink, 10, "v:1", "wwwww");
    assert_skipped(&sink, 20, "v:2", "wwwww");
    assert_string_equal(sink.skip_gtid, "u:7"); /* it may still come */
    assert_skipped(&sink, 30, "u:7", "sssww");
    assert_string_equal(sink.skip_gtid, "");
    free(sink.identity);

    struct tr_encoder encoder = { .place = 1 };
    const struct tr_txn part = { .commit_order = 30, .gtid = "u:7" };
    sink = resumed(0, 2, "u:7"); /* and another run there */
    sink.encoder = &encoder;
    produce_edge(&sink, &part, 0);
    produce_edge(&sink, &part, 1);
    part_text(&sink, text, sizeof(text));
    assert_string_equal(text, "30 2 u:7");
}

/* A slice may end with a table's new shape, which has the place of the row that comes next. */
static void
a_row_that_has_not_come_is_not_said_to_be_written(void **state)
{
    struct tr_encoder encoder = { .place = 4 };
    struct kafka_sink sink = { .base.env = &quiet, .encoder = &encoder };
    const struct tr_txn txn = { .commit_order = 20 };
    char text[PART_TEXT];
    (void)state;
    produce_edge(&sink, &txn, 0);
    produce_edge(&sink, &txn, 4);
    produce_edge(&sink, &txn, 5);
    part_text(&sink, text, sizeof(text));
    assert_string_equal(text, "20 4");
}

static void
the_part_at_hand_is_known_by_its_name(void **state)
{
    struct kafka_sink sink = resumed(0, 0, "");
    const struct tr_txn txn = { .commit_order = 20, .gtid = "u:7" };
    (void)state;
    produce_edge(&sink, &txn, 0);
    produce_edge(&sink, &txn, 1);
    assert_false(sink.skipping);
    assert_int_equal(sink.part_order, 20);
    assert_string_equal(sink.part_gtid, "u:7");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_and_the_part_are_left_out),
        cmocka_unit_test(a_failover_moves_places_but_not_names),
        cmocka_unit_test(what_a_failover_lost_takes_nothing_with_it),
        cmocka_unit_test(a_row_that_has_not_come_is_not_said_to_be_written),
        cmocka_unit_test(the_part_at_hand_is_known_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
