/*
 * row.c - changes of rows. The hot path: one copy of an event's rows, then lengths alone; no value is
 * converted here.
 */
#include <stdlib.h>

#include "decoders/binlog/internal.h"
#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

struct rows_kind {
    enum tr_event_kind kind;
    bool v2;
    bool compressed;
};

/* The servers number write, update and delete one after the other, in each of the four forms. */
static struct rows_kind
kind_of(uint8_t type)
{
    static const enum tr_event_kind kinds[] = { TR_INSERT, TR_UPDATE, TR_DELETE };
    bool compressed = type >= EVENT_WRITE_ROWS_COMPRESSED_V1;
    uint8_t v1 = compressed ? EVENT_WRITE_ROWS_COMPRESSED_V1 : EVENT_WRITE_ROWS_V1;
    uint8_t v2 = compressed ? EVENT_WRITE_ROWS_COMPRESSED : EVENT_WRITE_ROWS;
    bool second = type >= v2;
    return (struct rows_kind){ kinds[(type - (second ? v2 : v1)) % 3], second, compressed };
}

/* Which columns an image has. */
struct image {
    const uint8_t *bits;
    uint32_t count;
    bool all;
};

struct rows {
    const uint8_t *at, *end;
    const struct table *table;
    const struct tr_relation *relation;
    struct tr_arena *arena;
    size_t max_value;
    struct image before, after; /* of an insert `after` alone, of a delete `before` alone */
    bool partial;               /* JSON columns of the new image may be told as differences */
    uint8_t flags;              /* of the events */
    bool lacks_old;             /* a difference came without the document that it is of */
};

static inline bool
bit(const uint8_t *bits, uint32_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}

static struct image
read_image(struct tr_cursor *cur, uint32_t ncolumns)
{
    struct image image = { tr_cursor_bytes(cur, (ncolumns + 7) / 8), 0, false };
    for (uint32_t i = 0; image.bits != NULL && i < ncolumns; i++)
        image.count += bit(image.bits, i);
    image.all = image.count == ncolumns;
    return image;
}

/* BINARY(n) comes without the zeros at its end: they are part of the value. */
static bool
pad(const struct rows *r, const struct step *step, struct tr_value *value)
{
    if (value->len > step->size)
        return false;
    if (value->len == step->size)
        return true;
    char *full = tr_arena_zalloc(r->arena, step->size + 1U);
    memcpy(full, value->data, value->len);
    value->data = full;
    value->len = step->size;
    return true;
}

static bool
unpack(const struct rows *r, struct tr_value *value)
{
    const char *bytes;
    size_t len;
    if (!binlog_unpack_value(r->arena, (const uint8_t *)value->data, value->len, r->max_value, &bytes, &len))
        return false;
    value->data = bytes;
    value->len = (uint32_t)len;
    return true;
}

/* Bytes of the length in front of the value, by the kind of its step. */
static const uint8_t prefix_of[] = {
    [STEP_FIXED] = 0,   [STEP_LEN1] = 1,    [STEP_LEN2] = 2,    [STEP_LEN3] = 3,
    [STEP_LEN4] = 4,    [STEP_PADDED1] = 1, [STEP_PADDED2] = 2, [STEP_PACKED1] = 1,
    [STEP_PACKED2] = 2, [STEP_PACKED3] = 3, [STEP_PACKED4] = 4,
};

static inline uint32_t
load_le(const uint8_t *at, size_t width)
{
    uint32_t n = at[0];
    if (width > 1)
        n |= (uint32_t)at[1] << 8;
    if (width > 2)
        n |= (uint32_t)at[2] << 16;
    if (width > 3)
        n |= (uint32_t)at[3] << 24;
    return n;
}

/* One present value; false when it is cut short or is not what its type says. */
static inline bool
take_value(struct rows *r, const struct step *step, struct tr_value *value)
{
    size_t left = (size_t)(r->end - r->at), len = step->size;
    if (step->kind != STEP_FIXED) {
        size_t prefix = prefix_of[step->kind];
        if (left < prefix)
            return false;
        len = load_le(r->at, prefix);
        r->at += prefix;
        left -= prefix;
    }
    if (len > left || len > r->max_value)
        return false;
    *value = (struct tr_value){ (const char *)r->at, (uint32_t)len, TR_PRESENT, step->codec };
    r->at += len;
    if (step->kind < STEP_PADDED1)
        return true;
    return step->kind < STEP_PACKED1 ? pad(r, step, value) : unpack(r, value);
}

/*
 * A row image: a bit for each column it has (1 = null), then the values that are not null. Returns the
 * column at which it broke, or the number of columns.
 */
static uint32_t
take_row(struct rows *r, const struct image *image, const struct tr_value **row)
{
    uint32_t n = r->table->logged;
    size_t null_bytes = (image->count + 7) / 8;
    if ((size_t)(r->end - r->at) < null_bytes)
        return 0;
    const uint8_t *nulls = r->at;
    const struct step *steps = r->table->steps;
    struct tr_value *values = tr_arena_alloc(r->arena, n * sizeof *values);
    r->at += null_bytes;
    for (uint32_t i = 0, k = 0; i < n; i++) {
        if (!image->all && !bit(image->bits, i))
            values[i] = (struct tr_value){ .state = TR_ABSENT };
        else if (bit(nulls, k++))
            values[i] = (struct tr_value){ .state = TR_NULL };
        else if (!take_value(r, &steps[i], &values[i]))
            return i;
    }
    *row = values;
    return n;
}

/* ---------------------------------------------------------------- partial updates of JSON */

static bool
is_json(const struct rows *r, uint32_t column)
{
    const struct storage *storage = r->relation->columns[column].detail;
    return storage != NULL && storage->type == TYPE_JSON;
}

/* The document's new text, from the old one and the differences: uint32 length, those. */
static bool
take_differences(struct rows *r, const struct tr_value *old, struct tr_value *value)
{
    size_t left = (size_t)(r->end - r->at), len = left >= 4 ? load_le(r->at, 4) : 0;
    if (left < 4 || len > left - 4)
        return false;
    if (old->state != TR_PRESENT) {
        r->lacks_old = true;
        return false;
    }
    struct tr_buffer text;
    tr_buffer_init(&text, r->max_value);
    bool good = binlog_json_patch((const uint8_t *)old->data, old->len, r->at + 4, len, &text);
    if (good)
        *value = (struct tr_value){ tr_arena_copy(r->arena, text.data, text.len), (uint32_t)text.len,
                                    TR_PRESENT, TR_CODEC_TEXT };
    tr_buffer_fini(&text);
    r->at += 4 + len;
    return good;
}

/*
 * The new image of a partial update: packed options (1 = differences), with them a bit for each JSON column of the table (1 = this one is told by
 * them), then as any image.
 */
static uint32_t
take_partial_row(struct rows *r, const struct tr_value *before, const struct tr_value **row)
{
    uint32_t n = r->table->logged, njson = 0;
    struct tr_cursor cur = tr_cursor(r->at, (size_t)(r->end - r->at));
    uint64_t options = binlog_packed(&cur);
    for (uint32_t i = 0; i < n; i++)
        njson += is_json(r, i);
    const uint8_t *partial = options == 1 ? tr_cursor_bytes(&cur, (njson + 7) / 8) : NULL;
    const uint8_t *nulls = tr_cursor_bytes(&cur, (r->after.count + 7) / 8);
    if (cur.failed || options > 1)
        return 0;
    struct tr_value *values = tr_arena_alloc(r->arena, n * sizeof *values);
    r->at = cur.at;
    for (uint32_t i = 0, k = 0, j = 0; i < n; i++) {
        bool differs = is_json(r, i) && partial != NULL && bit(partial, j);
        j += is_json(r, i);
        if (!r->after.all && !bit(r->after.bits, i))
            values[i] = (struct tr_value){ .state = TR_ABSENT };
        else if (bit(nulls, k++))
            values[i] = (struct tr_value){ .state = TR_NULL };
        else if (!(differs ? take_differences(r, &before[i], &values[i])
                           : take_value(r, &r->table->steps[i], &values[i])))
            return i;
    }
    *row = values;
    return n;
}

static int
lacks_old(struct binlog *d, struct binlog_frame *f, const struct rows *r, uint32_t column,
          struct tr_error *err)
{
    binlog_refuse(d, f, err,
                  "table %s.%s, column %s: the document was logged as partial changes, without the old one",
                  r->relation->schema, r->relation->name, r->relation->columns[column].name);
    return tr_error_hint(
        err,
        "SET GLOBAL binlog_row_image = 'FULL' (or binlog_row_value_options = '') on the source, end the sessions that were open "
        "before, and load the table again");
}

static int
broken_row(struct binlog *d, struct binlog_frame *f, const struct rows *r, uint32_t row, uint32_t column,
           struct tr_error *err)
{
    return binlog_fail(
        d, f, err,
        "table %s.%s, row %u, column %s: the value is cut short, damaged, or passes the limit of %zu bytes",
        r->relation->schema, r->relation->name, row, r->relation->columns[column].name, r->max_value);
}

static int
take_rows(struct binlog *d, struct binlog_frame *f, struct rows *r, enum tr_event_kind kind,
          struct tr_error *err)
{
    uint32_t n = r->table->logged;
    int result = 0;
    for (uint32_t row = 0; r->at < r->end; row++) {
        const struct tr_value *before = NULL, *after = NULL;
        const uint8_t *start = r->at;
        uint32_t got = n;
        if (kind != TR_INSERT)
            got = take_row(r, &r->before, &before);
        if (got == n && kind != TR_DELETE)
            got = r->partial ? take_partial_row(r, before, &after) : take_row(r, &r->after, &after);
        if (got != n && r->lacks_old)
            return lacks_old(d, f, r, got, err);
        if (got != n)
            return broken_row(d, f, r, row, got, err);
        if (r->at == start) /* no column at all: endless */
            return binlog_fail(d, f, err, "table %s.%s: its rows are empty", r->relation->schema,
                               r->relation->name);
        enum tr_event_kind is = kind;
        if (r->table->row_end > 0 && !binlog_is_of_present(r->table, before, &after, &is))
            continue;
        struct tr_event *event = binlog_add_event(d, f, is);
        result = TR_DECODED_ROW;
        event->row = row;
        event->flags = r->flags;
        event->relation = r->table->relation;
        event->before_kind = is == TR_INSERT ? TR_BEFORE_NONE
                             : r->before.all ? TR_BEFORE_FULL
                                             : TR_BEFORE_KEY;
        event->before = is == TR_INSERT ? NULL : before;
        event->after = after;
        f->batch->rows++;
    }
    return result;
}

/*
 * Behind id and flags: [v2: uint16 length of extra data with these two bytes, that], packed number of
 * columns, a bit for each column of the (old) image, in an update also of the new image, then the rows.
 */
static int
read_head(struct binlog *d, struct binlog_frame *f, struct rows_kind kind, struct rows *r,
          struct tr_error *err)
{
    if (kind.v2) {
        size_t extra = tr_cursor_le(&f->cur, 2);
        if (extra < 2)
            return binlog_fail(d, f, err, "its extra data has %zu bytes", extra);
        tr_cursor_bytes(&f->cur, extra - 2);
    }
    uint64_t n = binlog_packed(&f->cur);
    if (f->cur.failed || n != r->table->logged)
        return binlog_fail(d, f, err,
                           "table %s.%s: the rows have %llu columns, the table was described with %u",
                           r->relation->schema, r->relation->name, (unsigned long long)n, r->table->logged);
    r->before = r->after = read_image(&f->cur, (uint32_t)n);
    if (kind.kind == TR_UPDATE)
        r->after = read_image(&f->cur, (uint32_t)n);
    return f->cur.failed ? binlog_fail(d, f, err, "it ends too early") : 0;
}

/* The rows move into the batch's arena. */
static int
copy_rows(struct binlog *d, struct binlog_frame *f, bool compressed, struct rows *r, struct tr_error *err)
{
    uint8_t *unpacked = NULL;
    const uint8_t *from = f->cur.at;
    size_t len = tr_cursor_left(&f->cur);
    int rc = compressed ? binlog_uncompress(d, f, &unpacked, &len, err) : 0;
    if (rc < 0)
        return rc;
    r->at = (const uint8_t *)tr_arena_copy(r->arena, compressed ? unpacked : from, len);
    r->end = r->at + len;
    free(unpacked);
    return 0;
}

/* Bits of a rows event's own flags. */
#define STATEMENT_ENDS 0x01
#define NO_FOREIGN_KEY_CHECKS 0x02 /* the session had them off: nothing cascaded */
#define SQL_FOREIGN_KEYS 0x10      /* MySQL from 9.6 on: what cascades is logged like any change */

/* *table is NULL when the task does not want the rows. */
static int
find_table(struct binlog *d, struct binlog_frame *f, struct table **table, uint8_t *row_flags, int *flags,
           struct tr_error *err)
{
    uint64_t id = tr_cursor_le(&f->cur, d->table_id_size);
    uint64_t told = tr_cursor_le(&f->cur, 2);
    *row_flags = (told & (NO_FOREIGN_KEY_CHECKS | SQL_FOREIGN_KEYS)) == 0 ? TR_ROW_CASCADES : 0;
    if (told & STATEMENT_ENDS)
        binlog_end_statement(d);
    *table = NULL;
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    struct tr_txn *txn;
    int rc = binlog_current(d, f, &txn, err);
    if (rc < 0)
        return rc;
    struct table *found = binlog_find_id(d, id);
    if (found == NULL)
        return binlog_fail(d, f, err, "no table map has told what table %llu is", (unsigned long long)id);
    if (found->unwanted)
        return 0;
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    /* before the table map is looked into: what a cut contains need not be understood, and today's catalogue may not know it */
    if (found->relation == NULL && hooks->wanted != NULL && (rc = binlog_relation_by_name(d, found, err)) < 0)
        return rc;
    struct tr_relation *relation = found->relation;
    if (relation != NULL && atomic_load_explicit(&relation->guarded, memory_order_relaxed) &&
        hooks->wanted != NULL && !hooks->wanted(hooks->arg, relation, txn))
        return 0;
    if ((found->stale || relation == NULL) && (rc = binlog_refresh(d, f, found, err)) < 0)
        return rc;
    *table = found->relation->skip ? NULL : found;
    if (*table != NULL)
        binlog_use(d, f, found, flags);
    return 0;
}

static int
read_rows(struct binlog *d, struct binlog_frame *f, struct rows_kind kind, bool partial, struct tr_error *err)
{
    struct table *table;
    int flags = 0;
    uint8_t row_flags;
    int rc = find_table(d, f, &table, &row_flags, &flags, err);
    if (rc < 0 || table == NULL)
        return rc < 0 ? rc : flags;
    size_t max = d->base.config.max_value;
    struct rows r = { .table = table,
                      .relation = table->relation,
                      .arena = &f->batch->arena,
                      .partial = partial,
                      .flags = kind.kind == TR_INSERT ? 0 : row_flags,
                      .max_value = max == 0 || max > INT32_MAX ? INT32_MAX : max };
    if ((rc = read_head(d, f, kind, &r, err)) < 0 || (rc = copy_rows(d, f, kind.compressed, &r, err)) < 0)
        return rc;
    binlog_hold(f, table);
    rc = take_rows(d, f, &r, kind.kind, err);
    return rc < 0 ? rc : rc | flags;
}

int
binlog_read_rows(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    return read_rows(d, f, kind_of(f->type), false, err);
}

/* An update of which JSON columns may be told as what to change in the old document. */
int
binlog_read_partial_rows(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    return read_rows(d, f, (struct rows_kind){ TR_UPDATE, true, false }, true, err);
}
