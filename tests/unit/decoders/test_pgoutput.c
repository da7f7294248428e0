/* test_pgoutput.c - what a captured stream does not show: hooks, slices of a transaction, reconnection, and
 * frames that no server should send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/pgoutput/pgoutput.h"

#define ITEM 16400u
#define NOTE 16500u

struct fixture {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    struct tr_buffer frame;
    struct tr_error err;
    /* what the hooks saw, and what they answer */
    unsigned completed, told;
    uint32_t skip_id, guard_id;
    bool wanted, refuse;
    uint64_t asked_commit;
    const struct tr_relation *previous;
};

/* ---------------------------------------------------------------- hooks */

static int
complete(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    struct fixture *f = arg;
    f->completed++;
    if (f->refuse)
        return tr_fail(err, TR_REFUSED, "table %s is not as it should be", relation->name);
    ((struct tr_column *)relation->columns)[0].key = 1;
    return 0;
}

static int
told(void *arg, struct tr_relation *relation, const struct tr_relation *previous, struct tr_error *err)
{
    struct fixture *f = arg;
    (void)err;
    relation->number = f->told++;
    relation->skip = relation->id == f->skip_id;
    relation->guarded = relation->id == f->guard_id;
    f->previous = previous;
    return 0;
}

static bool
wanted(void *arg, const struct tr_relation *relation, const struct tr_txn *txn)
{
    struct fixture *f = arg;
    assert_int_equal(relation->id, f->guard_id);
    f->asked_commit = txn->commit_order;
    return f->wanted;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tr_decoder_config config = {
        .catalog = { f, complete },
        .hooks = { f, told, wanted },
        .max_value = 100,
    };
    tr_buffer_init(&f->frame, 1 << 20);
    f->batch = tr_batch_new();
    *state = f;
    return tr_pgoutput_decoder.open(&config, &f->decoder, &f->err);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    f->decoder->class->close(f->decoder);
    tr_batch_free(f->batch);
    tr_buffer_fini(&f->frame);
    free(f);
    return 0;
}

/* ---------------------------------------------------------------- frames: 1 2 4 8 = integers of that width,
 * s = string with its NUL, x = bytes without */

static void
write_frame(struct fixture *f, const char *layout, va_list args)
{
    tr_buffer_reset(&f->frame);
    for (; *layout != '\0'; layout++) {
        const char *text;
        switch (*layout) {
        case '1': tr_buffer_byte(&f->frame, (char)va_arg(args, int)); break;
        case '2': tr_buffer_u16be(&f->frame, (uint16_t)va_arg(args, int)); break;
        case '4': tr_buffer_u32be(&f->frame, va_arg(args, unsigned)); break;
        case '8': tr_buffer_u64be(&f->frame, va_arg(args, uint64_t)); break;
        case 's':
            text = va_arg(args, const char *);
            tr_buffer_add(&f->frame, text, strlen(text) + 1);
            break;
        default:
            text = va_arg(args, const char *);
            tr_buffer_add(&f->frame, text, strlen(text));
            break;
        }
    }
}

static int
send_frame(struct fixture *f, bool in_stream, const char *layout, ...)
{
    va_list args;
    va_start(args, layout);
    write_frame(f, layout, args);
    va_end(args);
    tr_error_clear(&f->err);
    int rc = f->decoder->class->decode(f->decoder, (const uint8_t *)f->frame.data, f->frame.len, 0x100000abc,
                                       in_stream, f->batch, &f->err);
    assert_true(rc >= 0 || strlen(f->err.text) > 0);
    return rc;
}

#define U64(n) ((uint64_t)(n))

static int
send_begin(struct fixture *f, uint64_t commit)
{
    return send_frame(f, false, "1884", 'B', commit, U64(1000000), 77u);
}

static int
send_commit(struct fixture *f, uint64_t commit)
{
    return send_frame(f, false, "11888", 'C', 0, commit, commit + 8, U64(1000000));
}

static int
send_item(struct fixture *f, const char *second) /* (id int4 key, <second> text) */
{
    return send_frame(f, false,
                      "14ss12"
                      "1s44"
                      "1s44",
                      'R', ITEM, "shop", "item", 'd', 2, 1, "id", 23u, -1u, 0, second, 25u, -1u);
}

static int
send_note(struct fixture *f)
{
    return send_frame(f, false,
                      "14ss12"
                      "1s44",
                      'R', NOTE, "shop", "note", 'f', 1, 1, "id", 23u, -1u);
}

static int
send_insert(struct fixture *f, const char *id, const char *text)
{
    return send_frame(f, false,
                      "1412"
                      "14x"
                      "14x",
                      'I', ITEM, 'N', 2, 't', (unsigned)strlen(id), id, 't', (unsigned)strlen(text), text);
}

static int
send_note_row(struct fixture *f)
{
    return send_frame(f, false, "141214x", 'I', NOTE, 'N', 1, 't', 1u, "9");
}

static void
assert_refused(struct fixture *f, int rc, const char *words)
{
    assert_int_equal(rc, -TR_FATAL);
    if (strstr(f->err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
}

/* ---------------------------------------------------------------- tests */

static void
a_transaction(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_begin(f, 500), TR_DECODED_BEGIN);
    assert_true(f->decoder->class->in_transaction(f->decoder));
    assert_int_equal(send_frame(f, false, "18s", 'O', U64(42), "far"), 0);
    assert_int_equal(send_item(f, "text"), 0);
    assert_int_equal(send_insert(f, "1", "hello"), TR_DECODED_ROW);
    assert_int_equal(send_commit(f, 500), TR_DECODED_COMMIT);
    assert_false(f->decoder->class->in_transaction(f->decoder));
    const struct tr_txn *txn = &f->batch->txns[0];
    assert_int_equal(f->batch->ntxns, 1);
    assert_int_equal(txn->xid, 77);
    assert_int_equal(txn->commit_order, 500);
    assert_int_equal(txn->end_order, 508);
    assert_int_equal(txn->commit_us, INT64_C(946684801000000));
    assert_string_equal(txn->origin, "far");
    assert_int_equal(txn->origin_order, 42);
    assert_true(txn->begins && txn->ends);
    assert_int_equal(f->batch->rows, 1);
    const struct tr_event *event = &f->batch->events[0];
    assert_int_equal(event->kind, TR_INSERT);
    assert_int_equal(event->position, 0x100000abc);
    assert_int_equal(event->relation->nkeys, 1);
    assert_string_equal(event->after[1].data, "hello");
    assert_int_equal(event->after[1].codec, TR_CODEC_TEXT);
}

static void
slices_continue(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_frame(f, false, "18s", 'O', U64(42), "far");
    send_item(f, "text");
    send_insert(f, "1", "a");
    send_insert(f, "2", "b");
    tr_batch_free(f->batch);
    f->batch = tr_batch_new();
    f->decoder->class->continue_txn(f->decoder, f->batch);
    assert_int_equal(f->batch->ntxns, 1);
    send_insert(f, "3", "c");
    tr_batch_free(f->batch);
    f->batch = tr_batch_new(); /* and without being told */
    send_insert(f, "4", "d");
    assert_int_equal(send_commit(f, 500), TR_DECODED_COMMIT);
    const struct tr_txn *txn = &f->batch->txns[0];
    assert_int_equal(f->batch->ntxns, 1);
    assert_int_equal(txn->events_before, 3);
    assert_int_equal(txn->commit_order, 500);
    assert_string_equal(txn->origin, "far");
    assert_false(txn->begins);
    assert_true(txn->ends);
    f->decoder->class->continue_txn(f->decoder, f->batch); /* nothing is open */
    assert_int_equal(f->batch->ntxns, 1);
}

static void
a_changed_shape(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_item(f, "text");
    send_insert(f, "1", "a");
    assert_int_equal(send_item(f, "text"), 0); /* said again: nothing new */
    assert_int_equal(f->told, 1);
    assert_int_equal(send_item(f, "renamed"), 0); /* told when a row uses it */
    assert_int_equal(f->batch->nevents, 1);
    send_insert(f, "2", "b");
    assert_int_equal(f->told, 2);
    assert_int_equal(f->completed, 2);
    assert_int_equal(f->batch->nevents, 3);
    const struct tr_event *event = f->batch->events;
    assert_int_equal(event[1].kind, TR_SCHEMA);
    assert_ptr_equal(event[1].schema.previous, event[0].relation);
    assert_ptr_equal(f->previous, event[0].relation);
    assert_ptr_equal(event[1].relation, event[2].relation);
    assert_int_equal(event[2].relation->version, 2);
    assert_string_equal(event[0].relation->columns[1].name, "text");
    assert_int_equal(f->batch->nrelations, 2);
}

static void
a_shape_that_no_row_used(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_item(f, "text");
    send_insert(f, "1", "a");
    send_item(f, "undone"); /* as a subtransaction that was rolled back leaves it */
    send_item(f, "text");
    send_insert(f, "2", "b");
    assert_int_equal(f->batch->nevents, 2);
    assert_int_equal(f->batch->events[1].kind, TR_INSERT);
}

static void
reconnected(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_item(f, "text");
    send_insert(f, "1", "a");
    const struct tr_relation *relation = f->batch->events[0].relation;
    f->decoder->class->reset(f->decoder);
    assert_false(f->decoder->class->in_transaction(f->decoder));
    send_begin(f, 500);
    assert_refused(f, send_insert(f, "1", "a"), "has not described");
    send_item(f, "text");
    assert_int_equal(send_insert(f, "1", "a"), TR_DECODED_ROW);
    assert_ptr_equal(f->batch->events[1].relation, relation);
}

static void
skipped_and_guarded(void **state)
{
    struct fixture *f = *state;
    f->skip_id = NOTE;
    f->guard_id = ITEM;
    send_begin(f, 500);
    send_note(f);
    send_item(f, "text");
    assert_int_equal(send_note_row(f), 0);
    assert_int_equal(send_insert(f, "1", "a"), 0);
    assert_int_equal(f->asked_commit, 500);
    assert_int_equal(send_frame(f, false, "14144", 'T', 2u, 0, ITEM, NOTE), 0);
    assert_int_equal(f->batch->nevents, 0);
    f->wanted = true;
    assert_int_equal(send_insert(f, "1", "a"), TR_DECODED_ROW);
    assert_int_equal(send_frame(f, false, "14144", 'T', 2u, 3, NOTE, ITEM), TR_DECODED_ROW);
    const struct tr_event *event = &f->batch->events[1];
    assert_int_equal(event->truncate.nrelations, 1);
    assert_int_equal(event->truncate.relations[0]->id, ITEM);
    assert_int_equal(event->flags, TR_TRUNCATE_CASCADE | TR_TRUNCATE_RESTART_IDENTITY);
}

static void
old_rows(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_item(f, "text");
    assert_int_equal(send_frame(f, false,
                                "14"
                                "12"
                                "14x"
                                "1"
                                "12"
                                "14x"
                                "1",
                                'U', ITEM, 'K', 2, 't', 1u, "1", 'n', 'N', 2, 't', 1u, "2", 'u'),
                     TR_DECODED_ROW);
    assert_int_equal(send_frame(f, false,
                                "14"
                                "12"
                                "14x"
                                "1",
                                'D', ITEM, 'O', 2, 't', 1u, "1", 'n'),
                     TR_DECODED_ROW);
    const struct tr_event *update = &f->batch->events[0], *delete = &f->batch->events[1];
    assert_int_equal(update->before_kind, TR_BEFORE_KEY);
    assert_string_equal(update->before[0].data, "1");
    assert_int_equal(update->before[1].state, TR_ABSENT);
    assert_string_equal(update->after[0].data, "2");
    assert_int_equal(update->after[1].state, TR_ABSENT);
    assert_int_equal(delete->before_kind, TR_BEFORE_FULL);
    assert_int_equal(delete->before[1].state, TR_NULL);
    assert_null(delete->after);
}

static void
messages(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_frame(f, false, "118s4x", 'M', 0, U64(900), "who", 4u, "what"),
                     TR_DECODED_ROW | TR_DECODED_BEGIN | TR_DECODED_COMMIT);
    assert_false(f->decoder->class->in_transaction(f->decoder));
    assert_int_equal(f->batch->txns[0].commit_order, 900);
    assert_int_equal(f->batch->txns[0].end_order, 901);
    assert_true(f->batch->txns[0].begins && f->batch->txns[0].ends);
    assert_int_equal(f->batch->txns[0].nevents, 1);
    assert_string_equal(f->batch->events[0].message.prefix, "who");
    assert_string_equal(f->batch->events[0].message.content, "what");
    assert_refused(f, send_frame(f, false, "118s4x", 'M', 1, U64(900), "who", 4u, "what"),
                   "outside a transaction");
    send_begin(f, 1000);
    assert_int_equal(send_frame(f, false, "118s4x", 'M', 1, U64(950), "who", 0u, ""), TR_DECODED_ROW);
    assert_int_equal(f->batch->ntxns, 2);
    assert_int_equal(f->batch->txns[1].nevents, 1);
}

/* Decoded while open: S row E S row E c. */
static void
an_open_stream(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_frame(f, false, "141", 'S', 70u, 1), TR_DECODED_BEGIN);
    send_frame(f, true,
               "144ss12"
               "1s44",
               'R', 70u, NOTE, "shop", "note", 'f', 1, 1, "id", 23u, -1u);
    assert_int_equal(send_frame(f, true, "1441214x", 'I', 71u, NOTE, 'N', 1, 't', 1u, "9"), TR_DECODED_ROW);
    assert_int_equal(send_frame(f, false, "1", 'E'), 0);
    assert_int_equal(f->batch->events[0].subxid, 71);
    assert_int_equal(f->batch->txns[0].commit_order, 0);
    send_begin(f, 400); /* another one between the chunks */
    send_commit(f, 400);
    assert_refused(f, send_frame(f, false, "141", 'S', 70u, 1), "first chunk");
    send_frame(f, false, "141", 'S', 70u, 0);
    assert_int_equal(send_frame(f, true, "1441214x", 'I', 70u, NOTE, 'N', 1, 't', 1u, "8"), TR_DECODED_ROW);
    assert_int_equal(f->batch->events[1].subxid, 0);
    assert_int_equal(f->batch->txns[2].events_before, 1);
    send_frame(f, false, "1", 'E');
    assert_int_equal(send_frame(f, false, "141888", 'c', 70u, 0, U64(600), U64(608), U64(5)),
                     TR_DECODED_COMMIT);
    const struct tr_txn *last = &f->batch->txns[3];
    assert_int_equal(last->commit_order, 600);
    assert_int_equal(last->events_before, 2);
    assert_true(last->ends && !last->begins);
    assert_refused(f, send_frame(f, false, "141888", 'c', 70u, 0, U64(600), U64(608), U64(5)),
                   "was not begun");
}

static void
peeked(void **state)
{
    struct fixture *f = *state;
    struct tr_frame_peek p;
    static const uint8_t start[] = { 'S', 0, 0, 0, 70, 1 }, stop[] = { 'E' },
                         change[] = { 'I', 0, 0, 0, 71, 0 };
    static const uint8_t abort_long[25] = { 'A', 0, 0, 0, 70, 0, 0, 0, 71 };
    const struct tr_decoder_class *class = f->decoder->class;
    assert_int_equal(class->peek(f->decoder, start, sizeof start, false, &p, &f->err), 0);
    assert_true(p.role == TR_ROLE_STREAM_START && p.xid == 70);
    assert_int_equal(class->peek(f->decoder, change, sizeof change, true, &p, &f->err), 0);
    assert_true(p.role == TR_ROLE_STREAM_CHANGE && p.xid == 70 && p.subxid == 71);
    assert_int_equal(class->peek(f->decoder, stop, sizeof stop, true, &p, &f->err), 0);
    assert_true(p.role == TR_ROLE_STREAM_STOP && p.xid == 70);
    assert_int_equal(class->peek(f->decoder, abort_long, 25, false, &p, &f->err), 0);
    assert_true(p.role == TR_ROLE_STREAM_ABORT && p.xid == 70 && p.subxid == 71);
    assert_int_equal(class->peek(f->decoder, abort_long, 9, false, &p, &f->err), 0); /* before protocol 4 */
    assert_true(class->peek(f->decoder, abort_long, 17, false, &p, &f->err) < 0);
    assert_true(class->peek(f->decoder, stop, sizeof stop, true, &p, &f->err) < 0); /* no chunk is open */
    assert_true(class->peek(f->decoder, change, 3, true, &p, &f->err) < 0);
    assert_true(class->peek(f->decoder, (const uint8_t *)"C", 1, true, &p, &f->err) < 0);
    assert_true(class->peek(f->decoder, change, 0, false, &p, &f->err) < 0);
}

static void
what_no_server_sends(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, send_frame(f, false, "1", 'Z'), "unknown tag 0x5a");
    assert_refused(f, send_insert(f, "1", "a"), "has not described");
    send_item(f, "text");
    assert_refused(f, send_insert(f, "1", "a"), "outside a transaction");
    assert_refused(f, send_commit(f, 500), "outside a transaction");
    send_begin(f, 500);
    assert_refused(f, send_begin(f, 600), "77 is still open");
    assert_refused(f, send_commit(f, 600), "names the commit 0/258, its begin 0/1F4");
    assert_refused(f, send_frame(f, false, "11888", 'C', 4, U64(500), U64(508), U64(0)), "flags 0x04");
    assert_refused(f,
                   send_frame(f, false,
                              "1412"
                              "1",
                              'I', ITEM, 'N', 1, 'n'),
                   "1 columns, the table was described with 2");
    assert_refused(f,
                   send_frame(f, false,
                              "1412"
                              "11",
                              'I', ITEM, 'N', 2, 'n', 'x'),
                   "column text: the kind 0x78");
    assert_refused(f,
                   send_frame(f, false,
                              "1412"
                              "14x",
                              'I', ITEM, 'N', 2, 't', -1u, "abc"),
                   "column id: the value is cut short");
    assert_refused(f,
                   send_frame(f, false,
                              "1412"
                              "111",
                              'I', ITEM, 'N', 2, 'n', 'n', 'n'),
                   "left over");
    assert_refused(f, send_frame(f, false, "141", 'I', ITEM, 'O'), "the new row is missing");
    assert_refused(f,
                   send_frame(f, false,
                              "1412"
                              "11",
                              'D', ITEM, 'N', 2, 'n', 'n'),
                   "the old row is missing");
    assert_refused(f, send_frame(f, false, "14144", 'T', 3u, 0, ITEM, ITEM), "does not fit 3 tables");
    assert_refused(f, send_frame(f, false, "1414", 'T', 1u, 4, ITEM), "options 0x04");
    assert_refused(f, send_frame(f, false, "14ss12", 'R', NOTE, "s", "t", 'q', 0), "replica identity 0x71");
    assert_refused(f, send_frame(f, false, "14ss12", 'R', 0u, "s", "t", 'd', 0), "oid is 0");
    assert_refused(f, send_frame(f, false, "14ss12", 'R', NOTE, "s", "t", 'd', 60000), "too early");
    char large[102];
    memset(large, 'x', sizeof large - 1);
    large[101] = '\0';
    assert_refused(f, send_insert(f, "1", large), "passes the limit of 100 bytes");
    assert_int_equal(f->batch->nevents, 0);
    assert_int_equal(send_insert(f, "1", "fit"), TR_DECODED_ROW);
}

static void
a_refusing_catalogue(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    send_item(f, "text");
    f->refuse = true;
    assert_int_equal(send_item(f, "other"), -TR_REFUSED);
    assert_refused(f, send_insert(f, "1", "a"), "has not described"); /* the old shape would be wrong */
    f->refuse = false;
    assert_int_equal(send_item(f, "other"), 0);
    assert_int_equal(send_insert(f, "1", "a"), TR_DECODED_ROW);
}

static void
many_tables(void **state)
{
    struct fixture *f = *state;
    send_begin(f, 500);
    for (unsigned oid = 1; oid <= 5000; oid++)
        assert_int_equal(send_frame(f, false,
                                    "14ss12"
                                    "1s44",
                                    'R', oid * 64, "shop", "t", 'f', 1, 1, "id", 23u, -1u),
                         0);
    for (unsigned oid = 1; oid <= 5000; oid++)
        assert_int_equal(send_frame(f, false, "141214x", 'I', oid * 64, 'N', 1, 't', 1u, "9"),
                         TR_DECODED_ROW);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(f->batch->events[i].relation->id, (i + 1) * 64);
    assert_int_equal(f->batch->nrelations, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_transaction),
        TEST(slices_continue),
        TEST(a_changed_shape),
        TEST(a_shape_that_no_row_used),
        TEST(reconnected),
        TEST(skipped_and_guarded),
        TEST(old_rows),
        TEST(messages),
        TEST(an_open_stream),
        TEST(peeked),
        TEST(what_no_server_sends),
        TEST(a_refusing_catalogue),
        TEST(many_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
