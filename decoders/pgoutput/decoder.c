/*
 * decoder.c - the dispatch: tag byte to reader, and what a frame is for the assembler.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "decoders/pgoutput/internal.h"

/*
 * Every message of protocol 1 to 4. The first byte of a frame is its tag; in a streamed chunk the messages
 * marked `streamed` carry the Int32 xid of their (sub)transaction right behind it.
 */
static const struct message messages[256] = {
    ['B'] = { "begin", read_begin, TR_ROLE_PLAIN, false },
    ['C'] = { "commit", read_commit, TR_ROLE_PLAIN, false },
    ['O'] = { "origin", read_origin, TR_ROLE_PLAIN, false },
    ['R'] = { "relation", read_relation, TR_ROLE_PLAIN, true },
    ['Y'] = { "type", read_type, TR_ROLE_PLAIN, true },
    ['I'] = { "insert", read_insert, TR_ROLE_PLAIN, true },
    ['U'] = { "update", read_update, TR_ROLE_PLAIN, true },
    ['D'] = { "delete", read_delete, TR_ROLE_PLAIN, true },
    ['T'] = { "truncate", read_truncate, TR_ROLE_PLAIN, true },
    ['M'] = { "logical decoding", read_message, TR_ROLE_PLAIN, true },
    ['S'] = { "stream start", read_stream_start, TR_ROLE_STREAM_START, false },
    ['E'] = { "stream stop", read_stream_stop, TR_ROLE_STREAM_STOP, false },
    ['c'] = { "stream commit", read_stream_commit, TR_ROLE_STREAM_COMMIT, false },
    ['A'] = { "stream abort", read_stream_abort, TR_ROLE_STREAM_ABORT, false },
    ['b'] = { "begin prepare", read_begin_prepare, TR_ROLE_PREPARED_BEGIN, false },
    ['P'] = { "prepare", read_prepare, TR_ROLE_PREPARED_END, false },
    ['K'] = { "commit prepared", read_commit_prepared, TR_ROLE_COMMIT_PREPARED, false },
    ['r'] = { "rollback prepared", read_rollback_prepared, TR_ROLE_ROLLBACK_PREPARED, false },
    ['p'] = { "stream prepare", read_stream_prepare, TR_ROLE_STREAM_PREPARE, false },
};

int
frame_fail(const struct frame *f, struct tr_error *err, const char *fmt, ...)
{
    char why[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return tr_fail(err, TR_FATAL, "pgoutput: %s message at " LSN_FMT ": %s", f->message->name,
                   LSN_ARG(f->order), why);
}

int
frame_whole(const struct frame *f, struct tr_error *err)
{
    if (f->cur.failed)
        return frame_fail(f, err, "it ends too early");
    if (f->cur.at != f->cur.end)
        return frame_fail(f, err, "%zu bytes are left over", tr_cursor_left(&f->cur));
    return 0;
}

/* Tag and, in a streamed chunk, xid. */
static int
open_frame(struct frame *f, const uint8_t *data, size_t len, uint64_t order, bool in_stream,
           struct tr_error *err)
{
    if (len == 0)
        return tr_fail(err, TR_FATAL, "pgoutput: empty message at " LSN_FMT, LSN_ARG(order));
    const struct message *message = &messages[data[0]];
    if (message->read == NULL) {
        tr_fail(err, TR_FATAL, "pgoutput: message at " LSN_FMT " has the unknown tag 0x%02x", LSN_ARG(order),
                data[0]);
        return tr_error_hint(err,
                             "the server speaks a newer protocol than this program; nothing was skipped");
    }
    *f = (struct frame){
        .cur = tr_cursor(data + 1, len - 1), .message = message, .order = order, .in_stream = in_stream
    };
    if (!in_stream)
        return 0;
    if (message->streamed) {
        f->xid = tr_cursor_u32be(&f->cur);
        return f->cur.failed ? frame_fail(f, err, "it ends too early") : 0;
    }
    if (data[0] != 'E' && data[0] != 'O' && data[0] != 'S')
        return frame_fail(f, err, "it cannot stand inside a streamed chunk");
    return 0;
}

static int
decode(struct tr_decoder *decoder, const uint8_t *data, size_t len, uint64_t order, bool in_stream,
       struct tr_batch *batch, struct tr_error *err)
{
    struct pgoutput *d = (struct pgoutput *)decoder;
    struct frame f;
    int rc = open_frame(&f, data, len, order, in_stream, err);
    if (rc < 0)
        return rc;
    f.batch = batch;
    return f.message->read(d, &f, err);
}

static int
peek(struct tr_decoder *decoder, const uint8_t *data, size_t len, bool in_stream, struct tr_frame_peek *peek,
     struct tr_error *err)
{
    struct pgoutput *d = (struct pgoutput *)decoder;
    struct frame f;
    peek->role = TR_ROLE_PLAIN;
    peek->xid = peek->subxid = 0;
    peek->gid[0] = '\0';
    peek->keep = 0;
    peek->shape = len > 0 && (data[0] == 'R' || data[0] == 'Y');
    int rc = open_frame(&f, data, len, 0, in_stream, err);
    if (rc < 0)
        return rc;
    if (f.message->role != TR_ROLE_PLAIN) {
        peek->role = f.message->role;
        return peek_transaction(d, &f, data[0], peek, err);
    }
    if (in_stream) { /* an origin carries no xid: it is the whole transaction's */
        peek->role = TR_ROLE_STREAM_CHANGE;
        peek->xid = d->peeked_stream;
        peek->subxid = f.message->streamed ? f.xid : d->peeked_stream;
    }
    return 0;
}

static int
open_decoder(const struct tr_decoder_config *config, struct tr_decoder **decoder, struct tr_error *err)
{
    *decoder = NULL;
    struct tr_pgoutput_format format = { .protocol = 1 };
    if (config->source_format != NULL)
        format = *(const struct tr_pgoutput_format *)config->source_format;
    if (format.protocol < 1 || format.protocol > 4)
        return tr_fail(err, TR_FATAL, "pgoutput: protocol version %d is not one of 1 to 4", format.protocol);
    struct pgoutput *d = tr_calloc(1, sizeof *d);
    d->base.class = &tr_pgoutput_decoder;
    d->base.config = *config;
    d->format = format;
    *decoder = &d->base;
    return 0;
}

static void
reset_decoder(struct tr_decoder *decoder)
{
    struct pgoutput *d = (struct pgoutput *)decoder;
    forget_transaction(d);
    forget_relations(d);
    d->nstreams = 0;
    d->peeked_stream = 0;
}

static void
close_decoder(struct tr_decoder *decoder)
{
    struct pgoutput *d = (struct pgoutput *)decoder;
    if (d == NULL)
        return;
    forget_transaction(d);
    release_relations(d);
    free(d->streams);
    free(d);
}

static bool
in_transaction(const struct tr_decoder *decoder)
{
    return ((const struct pgoutput *)decoder)->in_txn;
}

const struct tr_decoder_class tr_pgoutput_decoder = {
    .name = "pgoutput",
    .open = open_decoder,
    .close = close_decoder,
    .reset = reset_decoder,
    .peek = peek,
    .decode = decode,
    .continue_txn = continue_txn,
    .begin_from_commit = begin_from_commit,
    .in_transaction = in_transaction,
};
