/*
 * row.c - changes of rows. The hot path: one copy of an event's rows, then lengths alone; no value is
 * converted here.
 */
#include <stdlib.h>

#include "decoders/binlog/internal.h"

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
    uint32_t n = r->relation->ncolumns;
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
    uint32_t n = r->relation->ncolumns;
    for (uint32_t row = 0; r->at < r->end; row++) {
        const struct tr_value *before = NULL, *after = NULL;
        const uint8_t *start = r->at;
        uint32_t got = n;
        if (kind != TR_INSERT)
            got = take_row(r, &r->before, &before);
        if (got == n && kind != TR_DELETE)
            got = take_row(r, &r->after, &after);
        if (got != n)
            return broken_row(d, f, r, row, got, err);
        if (r->at == start) /* no column at all: endless */
            return binlog_fail(d, f, err, "table %s.%s: its rows are empty", r->relation->schema,
                               r->relation->name);
        struct tr_event *event = binlog_add_event(d, f, kind);
        event->row = row;
        event->relation = r->table->relation;
        event->before_kind = kind == TR_INSERT ? TR_BEFORE_NONE
                             : r->before.all   ? TR_BEFORE_FULL
                                               : TR_BEFORE_KEY;
        event->before = before;
        event->after = after;
        f->batch->rows++;
    }
    return TR_DECODED_ROW;
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
    if (f->cur.failed || n != r->relation->ncolumns)
        return binlog_fail(
            d, f, err, "table %s.%s: the rows have %llu columns, the table was described with %u",
            r->relation->schema, r->relation->name, (unsigned long long)n, r->relation->ncolumns);
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

/* *table is NULL when the task does not want the rows. */
static int
find_table(struct binlog *d, struct binlog_frame *f, struct table **table, int *flags, struct tr_error *err)
{
    uint64_t id = tr_cursor_le(&f->cur, d->table_id_size);
    tr_cursor_le(&f->cur, 2);
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
    if ((found->stale || found->relation == NULL) && (rc = binlog_refresh(d, f, found, flags, err)) < 0)
        return rc;
    struct tr_relation *relation = found->relation;
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    bool wanted = !relation->skip;
    if (wanted && atomic_load_explicit(&relation->guarded, memory_order_relaxed) && hooks->wanted != NULL)
        wanted = hooks->wanted(hooks->arg, relation, txn);
    *table = wanted ? found : NULL;
    return 0;
}

int
binlog_read_rows(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct rows_kind kind = kind_of(f->type);
    struct table *table;
    int flags = 0;
    int rc = find_table(d, f, &table, &flags, err);
    if (rc < 0 || table == NULL)
        return rc < 0 ? rc : flags;
    size_t max = d->base.config.max_value;
    struct rows r = { .table = table,
                      .relation = table->relation,
                      .arena = &f->batch->arena,
                      .max_value = max == 0 || max > INT32_MAX ? INT32_MAX : max };
    if ((rc = read_head(d, f, kind, &r, err)) < 0 || (rc = copy_rows(d, f, kind.compressed, &r, err)) < 0)
        return rc;
    binlog_hold(f, table);
    rc = take_rows(d, f, &r, kind.kind, err);
    return rc < 0 ? rc : rc | flags;
}

/*
 * Partial update rows: a JSON column's new value is told as what to change in the old one.
 */
int
binlog_read_partial_rows(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct table *table;
    int flags = 0;
    int rc = find_table(d, f, &table, &flags, err);
    if (rc < 0 || table == NULL)
        return rc < 0 ? rc : flags;
    binlog_refuse(d, f, err, "table %s.%s: JSON columns were logged as partial changes", table->database,
                  table->name);
    return tr_error_hint(
        err, "SET GLOBAL binlog_row_value_options = '' on the source, end the sessions that were open "
             "before, and load the table again");
}
