/* pgoutput_help.c - see pgoutput_help.h. */
#include "tests/unit/decoders/pgoutput_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cursor.h"
#include "core/memory.h"

char *
read_golden(const char *name, size_t *len)
{
    char *path = tr_asprintf("tests/golden/pgoutput/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be opened; run the tests in the project's folder", path);
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    char *bytes = tr_malloc(*len + 1);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    bytes[*len] = '\0';
    fclose(file);
    free(path);
    return bytes;
}

void
load_captured(struct captured *captured, const char *name)
{
    size_t len;
    captured->bytes = read_golden(name, &len);
    captured->frames = tr_malloc((len / 12 + 1) * sizeof *captured->frames);
    captured->count = 0;
    struct tr_cursor cur = tr_cursor(captured->bytes, len);
    while (tr_cursor_left(&cur) > 0) {
        struct captured_frame *frame = &captured->frames[captured->count++];
        frame->order = tr_cursor_u64be(&cur);
        frame->len = tr_cursor_u32be(&cur);
        frame->data = tr_cursor_bytes(&cur, frame->len);
    }
    assert_false(cur.failed);
}

void
free_captured(struct captured *captured)
{
    free(captured->bytes);
    free(captured->frames);
}

/* What an open transaction has sent so far. */
struct held {
    char key[320]; /* "xid N" or the gid */
    struct {
        const struct captured_frame *frame;
        uint64_t subxid;
        bool in_stream;
    } items[8192];
    size_t count;
};

struct assembler {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    before_decode *before;
    void *arg;
    struct held *held[8];
    struct held *open; /* the chunk or prepared transaction that frames go to */
};

static struct held *
find_held(struct assembler *a, const char *key, bool make)
{
    for (size_t i = 0; i < 8; i++) {
        if (a->held[i] != NULL && strcmp(a->held[i]->key, key) == 0)
            return a->held[i];
    }
    for (size_t i = 0; make && i < 8; i++) {
        if (a->held[i] != NULL)
            continue;
        a->held[i] = tr_calloc(1, sizeof *a->held[i]);
        strncpy(a->held[i]->key, key, sizeof a->held[i]->key - 1);
        return a->held[i];
    }
    fail_msg("nothing is held for %s", key);
    return NULL;
}

static void
drop_held(struct assembler *a, const char *key)
{
    for (size_t i = 0; i < 8; i++) {
        if (a->held[i] != NULL && strcmp(a->held[i]->key, key) == 0) {
            free(a->held[i]);
            a->held[i] = NULL;
        }
    }
}

static void
hold(struct held *held, const struct captured_frame *frame, uint64_t subxid, bool in_stream)
{
    assert_true(held->count < sizeof held->items / sizeof held->items[0]);
    held->items[held->count].frame = frame;
    held->items[held->count].subxid = subxid;
    held->items[held->count++].in_stream = in_stream;
}

static void
decode_frame(struct assembler *a, const struct captured_frame *frame, bool in_stream)
{
    struct tr_error err;
    tr_error_clear(&err);
    if (a->before != NULL)
        a->before(a->arg, a->decoder, frame, in_stream, a->batch);
    if (a->decoder->class->decode(a->decoder, frame->data, frame->len, frame->order, in_stream, a->batch,
                                  &err) < 0)
        fail_msg("%s", err.text);
}

static void
replay(struct assembler *a, const char *key, const struct captured_frame *commit)
{
    struct tr_error err;
    struct held *held = find_held(a, key, false);
    assert_true(a->decoder->class->begin_from_commit(a->decoder, commit->data, commit->len, a->batch, &err) >
                0);
    for (size_t i = 0; i < held->count; i++)
        decode_frame(a, held->items[i].frame, held->items[i].in_stream);
    decode_frame(a, commit, false);
    drop_held(a, key);
}

static void
forget_subtransaction(struct held *held, uint64_t subxid)
{
    size_t kept = 0;
    for (size_t i = 0; i < held->count; i++) {
        if (held->items[i].subxid != subxid)
            held->items[kept++] = held->items[i];
    }
    held->count = kept;
}

/* A held transaction changes its name: streamed under its xid, prepared under its gid. */
static void
rename_held(struct assembler *a, const char *from, const char *to)
{
    struct held *held = find_held(a, from, false);
    strncpy(held->key, to, sizeof held->key - 1);
}

static void
assemble_frame(struct assembler *a, const struct captured_frame *frame)
{
    struct tr_frame_peek p;
    struct tr_error err;
    char xid[32];
    bool in_stream = a->open != NULL && strncmp(a->open->key, "xid ", 4) == 0;
    tr_error_clear(&err);
    if (a->decoder->class->peek(a->decoder, frame->data, frame->len, in_stream, &p, &err) < 0)
        fail_msg("%s", err.text);
    snprintf(xid, sizeof xid, "xid %llu", (unsigned long long)p.xid);
    switch (p.role) {
    case TR_ROLE_PLAIN:
        if (a->open != NULL)
            hold(a->open, frame, 0, false);
        else
            decode_frame(a, frame, false);
        break;
    case TR_ROLE_STREAM_START: a->open = find_held(a, xid, true); break;
    case TR_ROLE_STREAM_CHANGE: hold(a->open, frame, p.subxid, true); break;
    case TR_ROLE_STREAM_STOP: a->open = NULL; break;
    case TR_ROLE_STREAM_ABORT:
        if (p.xid == p.subxid)
            drop_held(a, xid);
        else
            forget_subtransaction(find_held(a, xid, false), p.subxid);
        decode_frame(a, frame, false);
        break;
    case TR_ROLE_STREAM_COMMIT: replay(a, xid, frame); break;
    case TR_ROLE_STREAM_PREPARE: rename_held(a, xid, p.gid); break;
    case TR_ROLE_PREPARED_BEGIN: a->open = find_held(a, p.gid, true); break;
    case TR_ROLE_PREPARED_END: a->open = NULL; break;
    case TR_ROLE_COMMIT_PREPARED: replay(a, p.gid, frame); break;
    case TR_ROLE_ROLLBACK_PREPARED:
        decode_frame(a, frame, false);
        drop_held(a, p.gid);
        break;
    case TR_ROLE_PREPARED_WHOLE:
    case TR_ROLE_PREPARED_LOST: fail_msg("PostgreSQL sends no such frame"); break;
    }
}

void
assemble(struct tr_decoder *decoder, const struct captured *captured, struct tr_batch *batch,
         before_decode *before, void *arg)
{
    struct assembler a = { .decoder = decoder, .batch = batch, .before = before, .arg = arg };
    for (size_t i = 0; i < captured->count; i++)
        assemble_frame(&a, &captured->frames[i]);
    assert_null(a.open);
    for (size_t i = 0; i < 8; i++)
        assert_null(a.held[i]);
}

static void
render_value(const struct tr_relation *relation, uint16_t i, const struct tr_value *value,
             struct tr_buffer *out)
{
    struct tr_buffer scratch;
    struct tr_error err;
    const char *text;
    size_t len;
    tr_buffer_printf(out, " %s=", relation->columns[i].name);
    if (value->state != TR_PRESENT) {
        tr_buffer_text(out, value->state == TR_NULL ? "null" : "absent");
        return;
    }
    assert_int_equal(value->data[value->len], 0);
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    if (tr_value_text(relation, &relation->columns[i], value, &scratch, &text, &len, &err) < 0)
        tr_buffer_printf(out, "<%s>", err.text);
    else if (len > 60)
        tr_buffer_printf(out, "'%.10s...' (%zu bytes)", text, len);
    else
        tr_buffer_printf(out, "'%s'", text);
    if (value->codec == TR_CODEC_PG_BINARY)
        tr_buffer_text(out, "b");
    tr_buffer_fini(&scratch);
}

static void
render_row(const struct tr_relation *relation, const char *name, const struct tr_value *row,
           struct tr_buffer *out)
{
    if (row == NULL)
        return;
    tr_buffer_printf(out, " %s(", name);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        render_value(relation, i, &row[i], out);
    tr_buffer_text(out, " )");
}

static void
render_event(const struct tr_event *event, struct tr_buffer *out)
{
    static const char *const kinds[] = { "?",        "insert",  "update", "delete", "read",
                                         "truncate", "message", "schema", "ddl" };
    const struct tr_relation *relation = event->relation;
    tr_buffer_printf(out, "  %s", kinds[event->kind]);
    if (event->subxid != 0)
        tr_buffer_text(out, " in a subtransaction");
    if (event->kind == TR_MESSAGE) {
        tr_buffer_printf(out, " flags=%u %s: %.*s\n", event->flags, event->message.prefix,
                         (int)event->message.len, event->message.content);
        return;
    }
    if (event->kind == TR_TRUNCATE) {
        for (uint32_t i = 0; i < event->truncate.nrelations; i++)
            tr_buffer_printf(out, " %s.%s", event->truncate.relations[i]->schema,
                             event->truncate.relations[i]->name);
        tr_buffer_printf(out, " flags=%u\n", event->flags);
        return;
    }
    tr_buffer_printf(out, " %s.%s v%u", relation->schema, relation->name, relation->version);
    if (event->kind == TR_SCHEMA) {
        tr_buffer_printf(out, " was v%u:", event->schema.previous->version);
        for (uint16_t i = 0; i < relation->ncolumns; i++)
            tr_buffer_printf(out, " %s %s", relation->columns[i].name, relation->columns[i].native);
    } else {
        render_row(relation, event->before_kind == TR_BEFORE_FULL ? "full" : "key", event->before, out);
        render_row(relation, "new", event->after, out);
    }
    tr_buffer_byte(out, '\n');
}

void
render_batch(const struct tr_batch *batch, struct tr_buffer *out)
{
    for (uint32_t i = 0; i < batch->ntxns; i++) {
        const struct tr_txn *txn = &batch->txns[i];
        tr_buffer_printf(out, "transaction%s%s%s of %u\n", txn->xid == 0 ? " without xid" : "",
                         txn->begins ? " begins" : "", txn->ends ? " ends" : "", txn->nevents);
        for (uint32_t e = 0; e < txn->nevents; e++)
            render_event(&batch->events[txn->first_event + e], out);
    }
}
