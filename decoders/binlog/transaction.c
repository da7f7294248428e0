/*
 * transaction.c - the edges of transactions, savepoints, and XA branches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/clock.h"
#include "core/memory.h"
#include "decoders/binlog/internal.h"

static void
forget_savepoints(struct binlog *d, uint32_t from)
{
    while (d->nsavepoints > from)
        free(d->savepoints[--d->nsavepoints].name);
}

void
binlog_forget_transaction(struct binlog *d)
{
    forget_savepoints(d, 0);
    d->in_txn = d->held = false;
    d->events = 0;
    d->gtid[0] = '\0';
    d->txn = (struct tr_txn){ 0 };
}

static struct tr_txn *
append_txn(struct binlog *d, struct tr_batch *batch, bool begins)
{
    struct tr_txn *txn = tr_batch_txn(batch);
    uint32_t first = txn->first_event;
    *txn = d->txn;
    txn->first_event = first;
    txn->events_before = d->events;
    txn->begins = begins;
    txn->gtid = d->gtid[0] != '\0' ? tr_arena_strdup(&batch->arena, d->gtid) : NULL;
    txn->file = d->file[0] != '\0' ? tr_arena_strdup(&batch->arena, d->file) : NULL;
    return txn;
}

void
binlog_continue(struct tr_decoder *decoder, struct tr_batch *batch)
{
    struct binlog *d = (struct binlog *)decoder;
    if (d->in_txn)
        append_txn(d, batch, false);
}

int
binlog_current(struct binlog *d, struct binlog_frame *f, struct tr_txn **txn, struct tr_error *err)
{
    if (!d->in_txn)
        return binlog_fail(d, f, err, "it stands outside a transaction");
    if (f->batch->ntxns == 0)
        append_txn(d, f->batch, false);
    *txn = &f->batch->txns[f->batch->ntxns - 1];
    return 0;
}

struct tr_event *
binlog_add_event(struct binlog *d, struct binlog_frame *f, enum tr_event_kind kind)
{
    struct tr_event *event = tr_batch_event(f->batch);
    event->kind = (uint8_t)kind;
    event->position = TR_BINLOG_OFFSET(f->order);
    d->events++;
    return event;
}

int
binlog_begin(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    if (d->in_txn)
        return binlog_fail(d, f, err, "the transaction before it has no end");
    struct announced a = d->announced;
    d->announced.set = false;
    binlog_forget_transaction(d);
    d->in_txn = true;
    d->txn.commit_order = a.set ? a.order : f->order;
    /* A branch that is committed begins where its XA COMMIT is announced. */
    d->txn.begin_order = f->order != 0 ? f->order : d->txn.commit_order;
    d->txn.commit_us = a.set ? a.commit_us : (int64_t)f->timestamp * TR_US_PER_S;
    d->txn.server_id = f->server_id;
    if (a.set)
        snprintf(d->gtid, sizeof d->gtid, "%s", a.gtid);
    append_txn(d, f->batch, true);
    return TR_DECODED_BEGIN;
}

/*
 * The end of the file is known from the header where it tells (32 bits of it: a file may pass 4 GiB), else
 * from the frame. What the header says differs from the frame's end when the server cut the checksum off
 * for us.
 */
static uint64_t
log_end(const struct binlog_frame *f)
{
    if (f->nested || f->log_pos == 0)
        return f->end_order;
    uint64_t end = (f->order & ~UINT64_C(0xffffffff)) | f->log_pos;
    if (end < f->order)
        end += UINT64_C(1) << 32;
    return end;
}

int
binlog_commit(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct tr_txn *txn;
    int rc = binlog_current(d, f, &txn, err);
    if (rc < 0)
        return rc;
    txn->end_order = log_end(f);
    if (d->format.flavour == TR_BINLOG_MARIADB && f->timestamp != 0)
        txn->commit_us = (int64_t)f->timestamp * TR_US_PER_S;
    txn->ends = true;
    binlog_forget_transaction(d);
    return TR_DECODED_COMMIT;
}

/*
 * Xid: uint64 number in the engine; the commit of a transaction in an engine that has them.
 */
int
binlog_read_xid(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    tr_cursor_le(&f->cur, 8);
    return f->cur.failed ? binlog_fail(d, f, err, "it ends too early") : binlog_commit(d, f, err);
}

/* ---------------------------------------------------------------- savepoints: the case of their names does not count */

void
binlog_savepoint(struct binlog *d, const char *name)
{
    for (uint32_t i = 0; i < d->nsavepoints; i++) { /* the same name anew takes the place of the old one */
        if (strcasecmp(d->savepoints[i].name, name) != 0)
            continue;
        free(d->savepoints[i].name);
        memmove(&d->savepoints[i], &d->savepoints[i + 1], (d->nsavepoints - i - 1) * sizeof *d->savepoints);
        d->nsavepoints--;
        break;
    }
    if (d->nsavepoints == d->savepoints_cap) {
        d->savepoints_cap = d->savepoints_cap > 0 ? d->savepoints_cap * 2 : 4;
        d->savepoints = tr_realloc(d->savepoints, d->savepoints_cap * sizeof *d->savepoints);
    }
    d->savepoints[d->nsavepoints++] = (struct savepoint){ tr_strdup(name), d->events };
}

/* The events of the transaction from number `keep` on leave the batch, but for what they tell of a table's shape: that was changed before. */
static int
drop_events(struct binlog *d, struct binlog_frame *f, uint64_t keep, struct tr_error *err)
{
    struct tr_txn *txn;
    int rc = binlog_current(d, f, &txn, err);
    if (rc < 0)
        return rc;
    if (keep < txn->events_before) {
        binlog_refuse(d, f, err, "it undoes changes of a large transaction that have been handed on already");
        err->class = TR_RETRY; /* with larger batches it can be read */
        return -TR_RETRY;
    }
    struct tr_event *events = f->batch->events;
    uint32_t to = txn->first_event + (uint32_t)(keep - txn->events_before);
    for (uint32_t i = to; i < f->batch->nevents; i++) {
        uint8_t kind = events[i].kind;
        f->batch->rows -= kind == TR_INSERT || kind == TR_UPDATE || kind == TR_DELETE;
        if (kind == TR_SCHEMA)
            events[to++] = events[i];
    }
    f->batch->nevents = to;
    txn->nevents = to - txn->first_event;
    d->events = txn->events_before + txn->nevents;
    return 0;
}

int
binlog_undo(struct binlog *d, struct binlog_frame *f, const char *savepoint, struct tr_error *err)
{
    if (savepoint == NULL)
        return drop_events(d, f, 0, err);
    for (uint32_t i = d->nsavepoints; i > 0; i--) {
        if (strcasecmp(d->savepoints[i - 1].name, savepoint) != 0)
            continue;
        forget_savepoints(d, i);
        return drop_events(d, f, d->savepoints[i - 1].events, err);
    }
    return binlog_fail(d, f, err, "its savepoint was not set in this transaction");
}

/* ---------------------------------------------------------------- XA */

/*
 * As the servers spell it in statements: X'gtrid',X'bqual',format. Each half has at most 64 bytes: what passes them is no identifier, and
 * is cut.
 */
void
binlog_xid_text(struct tr_frame_peek *peek, uint32_t format, const uint8_t *gtrid, size_t gtrid_len,
                const uint8_t *bqual, size_t bqual_len)
{
    const size_t most = 64;
    char *text = peek->gid;
    size_t at = (size_t)snprintf(text, sizeof peek->gid, "X'");
    for (size_t i = 0; i < gtrid_len && i < most; i++)
        at += (size_t)snprintf(text + at, sizeof peek->gid - at, "%02x", gtrid[i]);
    at += (size_t)snprintf(text + at, sizeof peek->gid - at, "',X'");
    for (size_t i = 0; i < bqual_len && i < most; i++)
        at += (size_t)snprintf(text + at, sizeof peek->gid - at, "%02x", bqual[i]);
    snprintf(text + at, sizeof peek->gid - at, "',%u", format);
}

struct xa_prepare {
    uint8_t one_phase;
    uint32_t format, gtrid_len, bqual_len;
    const uint8_t *gtrid, *bqual;
};

/*
 * XA prepare: uint8 1 = commit in one phase, uint32 format, uint32 length of gtrid, uint32 length of
 * bqual, both.
 */
static bool
parse_xa_prepare(struct binlog_frame *f, struct xa_prepare *p)
{
    p->one_phase = tr_cursor_u8(&f->cur);
    p->format = (uint32_t)tr_cursor_le(&f->cur, 4);
    p->gtrid_len = (uint32_t)tr_cursor_le(&f->cur, 4);
    p->bqual_len = (uint32_t)tr_cursor_le(&f->cur, 4);
    p->gtrid = tr_cursor_bytes(&f->cur, p->gtrid_len);
    p->bqual = tr_cursor_bytes(&f->cur, p->bqual_len);
    return !f->cur.failed && p->gtrid_len <= 64 && p->bqual_len <= 64;
}

int
binlog_peek_xa_prepare(struct binlog_frame *f, struct tr_frame_peek *peek)
{
    struct xa_prepare p;
    if (!parse_xa_prepare(f, &p))
        return 0; /* decode() says what is wrong */
    peek->role = p.one_phase ? TR_ROLE_COMMIT_PREPARED : TR_ROLE_PREPARED_END;
    binlog_xid_text(peek, p.format, p.gtrid, p.gtrid_len, p.bqual, p.bqual_len);
    return 0;
}

int
binlog_read_xa_prepare(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct xa_prepare p;
    if (!parse_xa_prepare(f, &p))
        return binlog_fail(d, f, err, "it ends too early or its identifier is too long");
    if (d->in_txn && d->held)
        return p.one_phase ? binlog_commit(d, f, err) : 0;
    if (d->in_txn && p.one_phase) /* the branch came as a plain transaction, and is decided */
        return binlog_commit(d, f, err);
    binlog_refuse(d, f, err, "an XA branch was prepared and came without being held until its decision");
    return tr_error_hint(
        err, "the log is damaged, or was cut and written on; compare with mysqlbinlog on the server");
}

/* The frame is the decision: the query XA COMMIT, or the XA prepare of a branch committed in one phase. */
int
binlog_begin_from_commit(struct tr_decoder *decoder, const uint8_t *data, size_t len, struct tr_batch *batch,
                         struct tr_error *err)
{
    static const struct event early = { "xa commit", NULL };
    struct binlog *d = (struct binlog *)decoder;
    struct tr_frame_peek peek;
    struct binlog_frame f = { .event = &early, .batch = batch };
    int rc = tr_binlog_decoder.peek(decoder, data, len, false, &peek, err);
    if (rc < 0)
        return rc;
    if (peek.role != TR_ROLE_COMMIT_PREPARED)
        return binlog_fail(d, &f, err, "a transaction cannot be begun from this event");
    struct tr_cursor cur = tr_cursor(data, len);
    f.timestamp = (uint32_t)tr_cursor_le(&cur, 4);
    tr_cursor_u8(&cur);
    f.server_id = (uint32_t)tr_cursor_le(&cur, 4);
    rc = binlog_begin(d, &f, err);
    if (rc >= 0)
        d->held = true;
    return rc;
}
