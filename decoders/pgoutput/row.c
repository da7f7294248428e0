/*
 * row.c - changes of rows, truncates and logical messages. The hot path: one copy of the row's bytes, no
 * other allocation than from the batch's arena.
 *
 * Layouts: PostgreSQL manual, "Logical Replication Message Formats".
 */
#include "decoders/pgoutput/internal.h"

struct tr_event *
add_event(struct pgoutput *d, struct frame *f, enum tr_event_kind kind)
{
    struct tr_event *event = tr_batch_event(f->batch);
    event->kind = (uint8_t)kind;
    event->position = f->order;
    if (f->xid != d->txn.xid)
        event->subxid = f->xid; /* 0 outside a streamed chunk */
    d->events++;
    return event;
}

/*
 * The batch's reference, taken once. The slot is checked against the batch's own list, because a new batch
 * may well stand at the address of an old one.
 */
void
hold_relation(struct frame *f, struct described *known)
{
    struct tr_batch *batch = f->batch;
    if (known->slot < batch->nrelations && batch->relations[known->slot] == known->relation)
        return;
    tr_batch_hold(batch, known->relation);
    known->slot = batch->nrelations - 1;
}

/* Int32 oid of the table. *known is NULL when the task does not want its changes. */
static int
read_table(struct pgoutput *d, struct frame *f, struct described **known, struct tr_error *err)
{
    uint32_t oid = tr_cursor_u32be(&f->cur);
    if (f->cur.failed)
        return frame_fail(f, err, "it ends too early");
    struct described *found = find_relation(d, oid);
    if (found == NULL || !found->announced)
        return frame_fail(f, err, "the server has not described the table with oid %u", oid);
    struct tr_txn *txn;
    int rc = current_txn(d, f, &txn, err);
    if (rc < 0)
        return rc;
    struct tr_relation *relation = found->relation;
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    bool wanted = !relation->skip;
    if (wanted && atomic_load_explicit(&relation->guarded, memory_order_relaxed) && hooks->wanted != NULL)
        wanted = hooks->wanted(hooks->arg, relation, txn);
    *known = wanted ? found : NULL;
    return 0;
}

/*
 * The rest of the frame is copied into the batch's arena at once, with a spare byte. The frame itself is
 * read, values point into the copy, where the kind of the next column or tuple behind each value becomes its
 * NUL. (Reading the copy, whose bytes are still on their way to the cache, would cost twice the time.)
 */
struct row {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *base; /* of the frame's part */
    uint8_t *copy;       /* of base; the spare byte stands at copy[end - base] */
    const struct tr_relation *relation;
    uint32_t max_value;
};

static struct row
take_row(struct pgoutput *d, struct frame *f, const struct tr_relation *relation)
{
    size_t len = tr_cursor_left(&f->cur);
    size_t max = d->base.config.max_value;
    const uint8_t *base = f->cur.at;
    uint8_t *copy = tr_arena_alloc(&f->batch->arena, len + 1);
    memcpy(copy, base, len);
    copy[len] = 0;
    f->cur.at = f->cur.end;
    return (struct row){ base, base + len, base,
                         copy, relation,   max == 0 || max > INT32_MAX ? INT32_MAX : (uint32_t)max };
}

/* The kind of the tuple that follows, 0 when nothing does; its place becomes the NUL of the value before it.
 */
static inline uint8_t
take_kind(struct row *row)
{
    if (row->at == row->end)
        return 0;
    row->copy[row->at - row->base] = 0;
    return *row->at++;
}

static int
table_fail(const struct frame *f, const struct tr_relation *relation, struct tr_error *err, const char *why)
{
    return frame_fail(f, err, "table %s.%s: %s", relation->schema, relation->name, why);
}

static int
bad_column(const struct frame *f, const struct row *row, uint16_t column, uint8_t kind, struct tr_error *err)
{
    const struct tr_relation *relation = row->relation;
    const char *name = relation->columns[column].name;
    if (kind == 't' || kind == 'b')
        return frame_fail(f, err,
                          "table %s.%s, column %s: the value is cut short or passes the limit of %u bytes",
                          relation->schema, relation->name, name, row->max_value);
    return frame_fail(f, err, "table %s.%s, column %s: the kind 0x%02x of the value is not known",
                      relation->schema, relation->name, name, kind);
}

/*
 * TupleData: Int16 number of columns, then for each Byte1 kind: 'n' null, 'u' unchanged TOAST (not sent), 't'
 * text or 'b' binary, these two with Int32 length and the bytes. The copies of row's fields are for the
 * compiler, to which a byte stored may be any of them.
 */
static int
read_columns(const struct frame *f, struct row *row, struct tr_value *values, uint16_t n,
             struct tr_error *err)
{
    const uint8_t *at = row->at, *const end = row->end;
    uint8_t *const copy = row->copy;
    const uint8_t *const base = row->base;
    const uint32_t max = row->max_value;
    for (uint16_t i = 0; i < n; i++) {
        if (at == end)
            return table_fail(f, row->relation, err, "the row ends too early");
        copy[at - base] = 0;
        uint8_t kind = *at++;
        if (kind == 't' || kind == 'b') {
            uint32_t len;
            if ((size_t)(end - at) < sizeof len)
                return bad_column(f, row, i, kind, err);
            memcpy(&len, at, sizeof len);
            len = __builtin_bswap32(len);
            at += sizeof len;
            if (len > (size_t)(end - at) || len > max)
                return bad_column(f, row, i, kind, err);
            values[i] = (struct tr_value){ (const char *)copy + (at - base), len, TR_PRESENT,
                                           kind == 't' ? TR_CODEC_TEXT : TR_CODEC_PG_BINARY };
            at += len;
        } else if (kind == 'n' || kind == 'u') {
            values[i] = (struct tr_value){ .state = kind == 'n' ? TR_NULL : TR_ABSENT };
        } else {
            return bad_column(f, row, i, kind, err);
        }
    }
    row->at = at;
    return 0;
}

static int
read_tuple(struct frame *f, struct row *row, const struct tr_value **tuple, struct tr_error *err)
{
    if (row->end - row->at < 2)
        return table_fail(f, row->relation, err, "the row ends too early");
    uint16_t n = (uint16_t)(row->at[0] << 8 | row->at[1]);
    row->at += 2;
    if (n != row->relation->ncolumns)
        return frame_fail(f, err, "table %s.%s: the row has %u columns, the table was described with %u",
                          row->relation->schema, row->relation->name, n, row->relation->ncolumns);
    struct tr_value *values = tr_arena_alloc(&f->batch->arena, n * sizeof *values);
    *tuple = values;
    return read_columns(f, row, values, n, err);
}

/*
 * The old row: 'K' = the replica identity's columns, 'O' = all. In a 'K' row the wire says null for the
 * columns outside the identity; they are not null but not sent.
 */
static int
read_old_tuple(struct frame *f, struct row *row, uint8_t kind, const struct tr_value **tuple,
               struct tr_error *err)
{
    int rc = read_tuple(f, row, tuple, err);
    if (rc < 0)
        return rc;
    if (kind == 'O')
        return TR_BEFORE_FULL;
    struct tr_value *values = (struct tr_value *)*tuple; /* just made, by the line above */
    for (uint16_t i = 0; i < row->relation->ncolumns; i++) {
        if (row->relation->columns[i].identity == 0)
            values[i] = (struct tr_value){ .state = TR_ABSENT };
    }
    return TR_BEFORE_KEY;
}

static int
end_row(struct pgoutput *d, struct frame *f, struct described *known, const struct row *row,
        enum tr_event_kind kind, struct tr_event change, struct tr_error *err)
{
    if (row->at != row->end)
        return table_fail(f, row->relation, err, "bytes are left over behind the row");
    use_relation(d, f, known);
    hold_relation(f, known);
    struct tr_event *event = add_event(d, f, kind);
    event->relation = known->relation;
    event->before_kind = change.before_kind;
    event->before = change.before;
    event->after = change.after;
    f->batch->rows++;
    return TR_DECODED_ROW;
}

/*
 * Insert: [Int32 xid], Int32 oid, Byte1 'N', TupleData.
 */
int
read_insert(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct described *known;
    struct tr_event change = { 0 };
    int rc = read_table(d, f, &known, err);
    if (rc < 0 || known == NULL)
        return rc;
    struct row row = take_row(d, f, known->relation);
    if (take_kind(&row) != 'N')
        return table_fail(f, known->relation, err, "the new row is missing");
    rc = read_tuple(f, &row, &change.after, err);
    return rc < 0 ? rc : end_row(d, f, known, &row, TR_INSERT, change, err);
}

/*
 * Update: [Int32 xid], Int32 oid, optionally Byte1 'K' or 'O' and TupleData (the old row), then Byte1 'N',
 * TupleData.
 */
int
read_update(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct described *known;
    struct tr_event change = { 0 };
    int rc = read_table(d, f, &known, err);
    if (rc < 0 || known == NULL)
        return rc;
    struct row row = take_row(d, f, known->relation);
    uint8_t kind = take_kind(&row);
    if (kind == 'K' || kind == 'O') {
        rc = read_old_tuple(f, &row, kind, &change.before, err);
        if (rc < 0)
            return rc;
        change.before_kind = (uint8_t)rc;
        kind = take_kind(&row);
    }
    if (kind != 'N')
        return table_fail(f, known->relation, err, "the new row is missing");
    rc = read_tuple(f, &row, &change.after, err);
    return rc < 0 ? rc : end_row(d, f, known, &row, TR_UPDATE, change, err);
}

/*
 * Delete: [Int32 xid], Int32 oid, Byte1 'K' or 'O', TupleData.
 */
int
read_delete(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    struct described *known;
    struct tr_event change = { 0 };
    int rc = read_table(d, f, &known, err);
    if (rc < 0 || known == NULL)
        return rc;
    struct row row = take_row(d, f, known->relation);
    uint8_t kind = take_kind(&row);
    if (kind != 'K' && kind != 'O')
        return table_fail(f, known->relation, err, "the old row is missing");
    rc = read_old_tuple(f, &row, kind, &change.before, err);
    if (rc < 0)
        return rc;
    change.before_kind = (uint8_t)rc;
    return end_row(d, f, known, &row, TR_DELETE, change, err);
}

/*
 * Truncate: [Int32 xid], Int32 number of tables, Int8 options (1 CASCADE, 2 RESTART IDENTITY), Int32 oid of
 * each. One event for all tables that the task wants; none when it wants none.
 */
int
read_truncate(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint32_t n = tr_cursor_u32be(&f->cur);
    uint8_t options = tr_cursor_u8(&f->cur);
    if (n == 0 || f->cur.failed || tr_cursor_left(&f->cur) != (uint64_t)n * 4)
        return frame_fail(f, err, "its length does not fit %u tables", n);
    if ((options & ~(TR_TRUNCATE_CASCADE | TR_TRUNCATE_RESTART_IDENTITY)) != 0)
        return frame_fail(f, err, "its options 0x%02x are not known", options);
    struct tr_relation **wanted = tr_arena_alloc(&f->batch->arena, n * sizeof(struct tr_relation *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct described *known;
        int rc = read_table(d, f, &known, err);
        if (rc < 0)
            return rc;
        if (known == NULL)
            continue;
        hold_relation(f, known);
        wanted[count++] = known->relation;
    }
    if (count == 0)
        return 0;
    struct tr_event *event = add_event(d, f, TR_TRUNCATE);
    event->flags = options;
    event->relation = wanted[0];
    event->truncate.relations = wanted;
    event->truncate.nrelations = count;
    return TR_DECODED_ROW;
}

/* A message that belongs to no transaction is one of its own: the next log position begins behind it, so that
 * it comes once. */
static void
open_message_txn(struct frame *f, uint64_t lsn)
{
    struct tr_txn *txn = tr_batch_txn(f->batch);
    txn->commit_order = lsn;
    txn->end_order = lsn + 1;
    txn->begins = txn->ends = true;
}

/*
 * Message: [Int32 xid], Int8 flags (1 = transactional), Int64 LSN, String prefix, Int32 length, bytes.
 */
int
read_message(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint8_t flags = tr_cursor_u8(&f->cur);
    uint64_t lsn = tr_cursor_u64be(&f->cur);
    size_t prefix_len;
    const char *prefix = tr_cursor_string(&f->cur, &prefix_len);
    uint32_t len = tr_cursor_u32be(&f->cur);
    const uint8_t *content = tr_cursor_bytes(&f->cur, len);
    int rc = frame_whole(f, err);
    if (rc < 0)
        return rc;
    if ((flags & ~TR_MESSAGE_TRANSACTIONAL) != 0)
        return frame_fail(f, err, "its flags 0x%02x are not known", flags);
    struct tr_txn *txn;
    bool alone = !d->in_txn && flags == 0;
    if (alone)
        open_message_txn(f, lsn);
    else if ((rc = current_txn(d, f, &txn, err)) < 0)
        return rc;
    struct tr_event *event = add_event(d, f, TR_MESSAGE);
    event->position = lsn;
    event->flags = flags;
    event->message.prefix = tr_arena_copy(&f->batch->arena, prefix, prefix_len);
    event->message.content = tr_arena_copy(&f->batch->arena, content, len);
    event->message.len = len;
    if (alone)
        d->events = 0; /* the open transaction's count, and none is open */
    return alone ? TR_DECODED_ROW | TR_DECODED_BEGIN | TR_DECODED_COMMIT : TR_DECODED_ROW;
}
