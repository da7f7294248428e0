/*
 * transaction.c - the edges of transactions: plain, streamed while open, and prepared.
 *
 * Layouts: PostgreSQL manual, "Logical Replication Message Formats".
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "decoders/pgoutput/internal.h"

static int64_t
read_time(struct tr_cursor *cur)
{
    /* Unsigned arithmetic: a hostile clock may wrap, it must not overflow. */
    return (int64_t)(tr_cursor_u64be(cur) + (uint64_t)TR_PG_EPOCH_SHIFT_US);
}

void
forget_transaction(struct pgoutput *d)
{
    free(d->origin);
    d->origin = NULL;
    d->in_txn = false;
    d->events = 0;
    d->txn = (struct tr_txn){ 0 };
}

/* The open transaction appears in the batch, from here on. */
static struct tr_txn *
append_txn(struct pgoutput *d, struct tr_batch *batch, bool begins)
{
    struct tr_txn *txn = tr_batch_txn(batch);
    uint32_t first = txn->first_event;
    *txn = d->txn;
    txn->first_event = first;
    txn->events_before = d->events;
    txn->begins = begins;
    txn->origin = tr_arena_strdup(&batch->arena, d->origin);
    return txn;
}

static struct tr_txn *
open_txn(struct pgoutput *d, struct tr_batch *batch, struct tr_txn txn, bool begins, uint64_t events)
{
    forget_transaction(d);
    d->txn = txn;
    d->in_txn = true;
    d->events = events;
    return append_txn(d, batch, begins);
}

void
continue_txn(struct tr_decoder *decoder, struct tr_batch *batch)
{
    struct pgoutput *d = (struct pgoutput *)decoder;
    if (d->in_txn)
        append_txn(d, batch, false);
}

int
current_txn(struct pgoutput *d, struct frame *f, struct tr_txn **txn, struct tr_error *err)
{
    if (!d->in_txn)
        return frame_fail(f, err, "it stands outside a transaction");
    if (f->batch->ntxns == 0)
        append_txn(d, f->batch, false);
    *txn = &f->batch->txns[f->batch->ntxns - 1];
    return 0;
}

static int
not_in_txn(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    return d->in_txn ? frame_fail(f, err, "transaction %llu is still open", (unsigned long long)d->txn.xid)
                     : 0;
}

/* The last edge of the open transaction. */
static int
close_txn(struct pgoutput *d, struct frame *f, const struct tr_txn *commit, struct tr_error *err)
{
    struct tr_txn *txn;
    int rc = current_txn(d, f, &txn, err);
    if (rc < 0)
        return rc;
    txn->commit_order = commit->commit_order;
    txn->end_order = commit->end_order;
    txn->commit_us = commit->commit_us;
    txn->ends = true;
    forget_transaction(d);
    return TR_DECODED_COMMIT;
}

/*
 * Begin: Int64 final LSN (of the commit record), Int64 commit time, Int32 xid.
 */
int
read_begin(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct tr_txn txn = { 0 };
    txn.commit_order = tr_cursor_u64be(&f->cur);
    txn.commit_us = read_time(&f->cur);
    txn.xid = tr_cursor_u32be(&f->cur);
    int rc = frame_whole(f, err);
    if (rc < 0 || (rc = not_in_txn(d, f, err)) < 0)
        return rc;
    open_txn(d, f->batch, txn, true, 0);
    return TR_DECODED_BEGIN;
}

/* Int8 flags (none is defined), Int64 LSN of the commit, Int64 end LSN, Int64 commit time. */
static int
read_edge(struct frame *f, struct tr_txn *txn, struct tr_error *err)
{
    uint8_t flags = tr_cursor_u8(&f->cur);
    txn->commit_order = tr_cursor_u64be(&f->cur);
    txn->end_order = tr_cursor_u64be(&f->cur);
    txn->commit_us = read_time(&f->cur);
    return flags != 0 ? frame_fail(f, err, "its flags 0x%02x are not known", flags) : 0;
}

/*
 * Commit: Int8 flags 0, Int64 LSN of the commit, Int64 end LSN, Int64 commit time.
 */
int
read_commit(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct tr_txn commit = { 0 };
    int rc = read_edge(f, &commit, err);
    if (rc < 0 || (rc = frame_whole(f, err)) < 0)
        return rc;
    if (d->in_txn && d->txn.commit_order != commit.commit_order)
        return frame_fail(f, err, "it names the commit " LSN_FMT ", its begin " LSN_FMT,
                          LSN_ARG(commit.commit_order), LSN_ARG(d->txn.commit_order));
    return close_txn(d, f, &commit, err);
}

/*
 * Origin: Int64 LSN of the commit at the origin, String name. Follows the begin, or the start of each
 * streamed chunk.
 */
int
read_origin(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint64_t order = tr_cursor_u64be(&f->cur);
    const char *name = tr_cursor_string(&f->cur, NULL);
    struct tr_txn *txn;
    int rc = frame_whole(f, err);
    if (rc < 0 || (rc = current_txn(d, f, &txn, err)) < 0)
        return rc;
    free(d->origin);
    d->origin = tr_strdup(name);
    d->txn.origin_order = order;
    txn->origin = tr_arena_strdup(&f->batch->arena, name);
    txn->origin_order = order;
    return 0;
}

/* ---------------------------------------------------------------- streamed while open */

static struct open_stream *
find_stream(struct pgoutput *d, uint32_t xid)
{
    for (uint32_t i = 0; i < d->nstreams; i++) {
        if (d->streams[i].xid == xid)
            return &d->streams[i];
    }
    return NULL;
}

static void
drop_stream(struct pgoutput *d, struct open_stream *stream)
{
    if (stream != NULL)
        *stream = d->streams[--d->nstreams];
}

static struct open_stream *
add_stream(struct pgoutput *d, uint32_t xid)
{
    if (d->nstreams == d->streams_cap) {
        d->streams_cap = d->streams_cap == 0 ? 4 : d->streams_cap * 2;
        d->streams = tr_realloc(d->streams, d->streams_cap * sizeof *d->streams);
    }
    d->streams[d->nstreams] = (struct open_stream){ .xid = xid };
    return &d->streams[d->nstreams++];
}

/*
 * Stream Start: Int32 xid, Int8 1 = the first chunk of this transaction, else 0.
 * Decoded only for a sink that takes open transactions: the chunk's changes are of a transaction without a
 * commit yet.
 */
int
read_stream_start(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint32_t xid = tr_cursor_u32be(&f->cur);
    uint8_t first = tr_cursor_u8(&f->cur);
    int rc = frame_whole(f, err);
    if (rc < 0 || (rc = not_in_txn(d, f, err)) < 0)
        return rc;
    struct open_stream *stream = find_stream(d, xid);
    if (first > 1 || (first == 1) != (stream == NULL))
        return frame_fail(f, err, "its mark of the first chunk (%u) does not fit transaction %u", first, xid);
    if (stream == NULL)
        stream = add_stream(d, xid);
    open_txn(d, f->batch, (struct tr_txn){ .xid = xid }, first == 1, stream->events);
    return TR_DECODED_BEGIN;
}

/*
 * Stream Stop: nothing but the tag.
 */
int
read_stream_stop(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    int rc = frame_whole(f, err);
    if (rc < 0)
        return rc;
    struct open_stream *stream = d->in_txn ? find_stream(d, (uint32_t)d->txn.xid) : NULL;
    if (stream == NULL)
        return frame_fail(f, err, "no chunk is open");
    stream->events = d->events;
    forget_transaction(d);
    return 0;
}

/*
 * Stream Commit: Int32 xid, Int8 flags 0, Int64 LSN of the commit, Int64 end LSN, Int64 commit time.
 */
static int
parse_stream_commit(struct frame *f, struct tr_txn *txn, struct tr_error *err)
{
    txn->xid = tr_cursor_u32be(&f->cur);
    int rc = read_edge(f, txn, err);
    return rc < 0 ? rc : frame_whole(f, err);
}

/* Ends what begin_from_commit() opened, or what was decoded chunk by chunk while it was open. */
static int
end_held(struct pgoutput *d, struct frame *f, const struct tr_txn *commit, struct tr_error *err)
{
    struct open_stream *stream = find_stream(d, (uint32_t)commit->xid);
    if (!d->in_txn) {
        if (stream == NULL)
            return frame_fail(f, err, "transaction %llu was not begun", (unsigned long long)commit->xid);
        open_txn(d, f->batch, *commit, false, stream->events);
    }
    if (d->txn.xid != commit->xid)
        return frame_fail(f, err, "it ends transaction %llu while %llu is open",
                          (unsigned long long)commit->xid, (unsigned long long)d->txn.xid);
    drop_stream(d, stream);
    return close_txn(d, f, commit, err);
}

int
read_stream_commit(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct tr_txn commit = { 0 };
    int rc = parse_stream_commit(f, &commit, err);
    return rc < 0 ? rc : end_held(d, f, &commit, err);
}

/*
 * Stream Abort: Int32 xid, Int32 xid of the subtransaction (the same for the whole); with streaming =
 * parallel (protocol 4) also Int64 LSN of the abort, Int64 time of the abort.
 */
static int
parse_stream_abort(struct frame *f, uint32_t *xid, uint32_t *subxid, struct tr_error *err)
{
    *xid = tr_cursor_u32be(&f->cur);
    *subxid = tr_cursor_u32be(&f->cur);
    if (tr_cursor_left(&f->cur) > 0) /* told by the length: the pair of fields is the last in every version */
        tr_cursor_bytes(&f->cur, 16);
    return frame_whole(f, err);
}

int
read_stream_abort(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint32_t xid, subxid;
    int rc = parse_stream_abort(f, &xid, &subxid, err);
    if (rc < 0 || (rc = not_in_txn(d, f, err)) < 0)
        return rc;
    if (xid == subxid)
        drop_stream(d, find_stream(d, xid));
    return 0;
}

/* ---------------------------------------------------------------- prepared transactions */

/* String gid, at most 200 bytes (GIDSIZE). */
static int
read_gid(struct frame *f, char *gid, size_t size, struct tr_error *err)
{
    size_t len;
    const char *text = tr_cursor_string(&f->cur, &len);
    int rc = frame_whole(f, err);
    if (rc < 0)
        return rc;
    if (len >= size)
        return frame_fail(f, err, "its transaction identifier has %zu bytes", len);
    memcpy(gid, text, len + 1);
    return 0;
}

/*
 * Begin Prepare: Int64 LSN of the prepare, Int64 end LSN, Int64 time, Int32 xid, String gid.
 */
static int
parse_begin_prepare(struct frame *f, struct tr_frame_peek *p, struct tr_error *err)
{
    tr_cursor_bytes(&f->cur, 24);
    p->xid = tr_cursor_u32be(&f->cur);
    return read_gid(f, p->gid, sizeof p->gid, err);
}

/*
 * Prepare, Stream Prepare, Commit Prepared: Int8 flags 0, Int64 LSN of the prepare or commit, Int64 its end
 * LSN, Int64 time, Int32 xid, String gid.
 */
static int
parse_prepare(struct frame *f, struct tr_txn *txn, struct tr_frame_peek *p, struct tr_error *err)
{
    int rc = read_edge(f, txn, err);
    if (rc < 0)
        return rc;
    txn->xid = p->xid = tr_cursor_u32be(&f->cur);
    return read_gid(f, p->gid, sizeof p->gid, err);
}

/*
 * Rollback Prepared: Int8 flags 0, Int64 end LSN of the prepare, Int64 end LSN of the rollback, Int64 time of
 * the prepare, Int64 time of the rollback, Int32 xid, String gid.
 */
static int
parse_rollback_prepared(struct frame *f, struct tr_frame_peek *p, struct tr_error *err)
{
    uint8_t flags = tr_cursor_u8(&f->cur);
    if (flags != 0)
        return frame_fail(f, err, "its flags 0x%02x are not known", flags);
    tr_cursor_bytes(&f->cur, 32);
    p->xid = tr_cursor_u32be(&f->cur);
    return read_gid(f, p->gid, sizeof p->gid, err);
}

/* A prepared transaction is held by the assembler; nothing of it may be decoded before its end is known. */
static int
refuse_prepared(const struct frame *f, const char *gid, struct tr_error *err)
{
    frame_fail(f, err, "prepared transaction \"%s\" came without being held until its commit", gid);
    return tr_error_hint(err, "the slot was made with two_phase on; drop it and let the task make its own");
}

int
read_begin_prepare(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    (void)d;
    struct tr_frame_peek p = { 0 };
    int rc = parse_begin_prepare(f, &p, err);
    return rc < 0 ? rc : refuse_prepared(f, p.gid, err);
}

int
read_prepare(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    (void)d;
    struct tr_frame_peek p = { 0 };
    struct tr_txn txn = { 0 };
    int rc = parse_prepare(f, &txn, &p, err);
    return rc < 0 ? rc : refuse_prepared(f, p.gid, err);
}

int
read_stream_prepare(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    return read_prepare(d, f, err);
}

int
read_commit_prepared(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct tr_frame_peek p = { 0 };
    struct tr_txn commit = { 0 };
    int rc = parse_prepare(f, &commit, &p, err);
    return rc < 0 ? rc : end_held(d, f, &commit, err);
}

/* The assembler has dropped what it held: there is nothing to decode. */
int
read_rollback_prepared(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct tr_frame_peek p = { 0 };
    int rc = parse_rollback_prepared(f, &p, err);
    return rc < 0 ? rc : not_in_txn(d, f, err);
}

/* ---------------------------------------------------------------- for the assembler */

static int
peek_chunk(struct pgoutput *d, struct frame *f, uint8_t tag, struct tr_frame_peek *p, struct tr_error *err)
{
    if (tag == 'S') {
        if (d->peeked_stream != 0)
            return frame_fail(f, err, "the chunk of transaction %u is still open", d->peeked_stream);
        p->xid = p->subxid = tr_cursor_u32be(&f->cur);
        uint8_t first = tr_cursor_u8(&f->cur);
        int rc = frame_whole(f, err);
        if (rc < 0)
            return rc;
        if (first > 1 || p->xid == 0)
            return frame_fail(f, err, "it opens transaction %u with the mark %u", (unsigned)p->xid, first);
        d->peeked_stream = (uint32_t)p->xid;
        return 0;
    }
    if (d->peeked_stream == 0)
        return frame_fail(f, err, "no chunk is open");
    p->xid = p->subxid = d->peeked_stream;
    d->peeked_stream = 0;
    return frame_whole(f, err);
}

int
peek_transaction(struct pgoutput *d, struct frame *f, uint8_t tag, struct tr_frame_peek *p,
                 struct tr_error *err)
{
    struct tr_txn txn = { 0 };
    uint32_t xid = 0, subxid = 0;
    int rc;
    switch (tag) {
    case 'S':
    case 'E': return peek_chunk(d, f, tag, p, err);
    case 'A': rc = parse_stream_abort(f, &xid, &subxid, err); break;
    case 'c':
        rc = parse_stream_commit(f, &txn, err);
        xid = subxid = (uint32_t)txn.xid;
        break;
    case 'b': return parse_begin_prepare(f, p, err);
    case 'r': return parse_rollback_prepared(f, p, err);
    default: return parse_prepare(f, &txn, p, err); /* P, p, K */
    }
    p->xid = xid;
    p->subxid = subxid;
    return rc;
}

int
begin_from_commit(struct tr_decoder *decoder, const uint8_t *data, size_t len, struct tr_batch *batch,
                  struct tr_error *err)
{
    static const struct message early = { .name = "stream commit or commit prepared" };
    struct pgoutput *d = (struct pgoutput *)decoder;
    struct frame f = { .message = &early, .batch = batch };
    struct tr_frame_peek p = { 0 };
    struct tr_txn txn = { 0 };
    int rc;
    if (len == 0 || (data[0] != 'c' && data[0] != 'K'))
        return tr_fail(err, TR_FATAL, "pgoutput: a transaction cannot be begun from this message");
    f.cur = tr_cursor(data + 1, len - 1);
    rc = data[0] == 'c' ? parse_stream_commit(&f, &txn, err) : parse_prepare(&f, &txn, &p, err);
    if (rc < 0 || (rc = not_in_txn(d, &f, err)) < 0)
        return rc;
    txn.end_order = 0; /* set by the commit itself, like that of a plain transaction */
    open_txn(d, batch, txn, true, 0);
    return TR_DECODED_BEGIN;
}
