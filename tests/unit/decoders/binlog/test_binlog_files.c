/*
 * test_binlog_files.c - the binlog decoder on the events of golden log files.
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
#include "tests/unit/decoders/binlog/help.h"

#define DIR "tests/golden/binlog/"

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
