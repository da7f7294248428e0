/* copy_binary.c - COPY's binary format into rows. */
#include "decoders/pgoutput/copy_binary.h"

#include <string.h>

#include "core/cursor.h"

static const char signature[11] = "PGCOPY\n\377\r\n"; /* its NUL is part of it */

#define FLAGS_CRITICAL 0xffff0000u /* whoever does not know one of these must stop */

static int
copy_fail(const struct tr_relation *relation, struct tr_error *err, const char *why)
{
    return tr_fail(err, TR_FATAL, "table %s.%s: the binary copy cannot be read: %s", relation->schema,
                   relation->name, why);
}

void
tr_pg_copy_binary_init(struct tr_pg_copy_binary *copy, size_t max_row)
{
    copy->header = copy->trailer = false;
    tr_buffer_init(&copy->rest, max_row);
}

void
tr_pg_copy_binary_fini(struct tr_pg_copy_binary *copy)
{
    tr_buffer_fini(&copy->rest);
}

/* Header: signature, Int32 flags, Int32 length of the extension, the extension. Returns 1 = read, 0 = more
 * bytes are needed. */
static int
read_header(struct tr_cursor *cur, const struct tr_relation *relation, struct tr_error *err)
{
    size_t have = tr_cursor_left(cur) < sizeof signature ? tr_cursor_left(cur) : sizeof signature;
    if (have > 0 && memcmp(cur->at, signature, have) != 0)
        return copy_fail(relation, err, "it does not begin with the signature");
    struct tr_cursor ahead = *cur;
    tr_cursor_bytes(&ahead, sizeof signature);
    uint32_t flags = tr_cursor_u32be(&ahead);
    uint32_t extension = tr_cursor_u32be(&ahead);
    if (ahead.failed)
        return 0;
    if ((flags & FLAGS_CRITICAL) != 0)
        return copy_fail(relation, err, "its header has a flag that is not known");
    if (extension > INT32_MAX)
        return copy_fail(relation, err, "its header has a negative length");
    tr_cursor_bytes(&ahead, extension);
    if (ahead.failed)
        return 0;
    *cur = ahead;
    return 1;
}

/* Length of the row that begins here: 0 = more bytes are needed. Int16 number of columns, each Int32 length
 * (-1 = null), bytes. */
static int
measure_row(struct tr_cursor cur, const struct tr_relation *relation, size_t *len, struct tr_error *err)
{
    const uint8_t *begin = cur.at;
    *len = 0;
    uint16_t n = tr_cursor_u16be(&cur);
    if (cur.failed)
        return 0;
    if (n != relation->ncolumns)
        return copy_fail(relation, err, "a row has another number of columns than the table");
    for (uint16_t i = 0; i < n; i++) {
        int32_t size = (int32_t)tr_cursor_u32be(&cur);
        if (size < -1)
            return copy_fail(relation, err, "a value has a negative length");
        if (size > 0)
            tr_cursor_bytes(&cur, (size_t)size);
        if (cur.failed)
            return 0;
    }
    *len = (size_t)(cur.at - begin);
    return 0;
}

/* A measured row. The length behind a value is read before its first byte becomes the value's NUL. */
static void
read_row(struct tr_relation *relation, const uint8_t *bytes, size_t len, struct tr_batch *batch)
{
    uint8_t *p = (uint8_t *)tr_arena_copy(&batch->arena, bytes, len) + 2;
    struct tr_value *values = tr_arena_alloc(&batch->arena, relation->ncolumns * sizeof *values);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        struct tr_cursor cur = tr_cursor(p, 4);
        int32_t size = (int32_t)tr_cursor_u32be(&cur);
        *p = 0;
        p += 4;
        if (size < 0) {
            values[i] = (struct tr_value){ .state = TR_NULL };
            continue;
        }
        values[i] = (struct tr_value){ (const char *)p, (uint32_t)size, TR_PRESENT, TR_CODEC_PG_BINARY };
        p += size;
    }
    if (batch->nrelations == 0 || batch->relations[batch->nrelations - 1] != relation)
        tr_batch_hold(batch, relation);
    struct tr_event *event = tr_batch_event(batch);
    event->kind = TR_READ;
    event->relation = relation;
    event->after = values;
    batch->rows++;
}

/* The trailer is a row with -1 columns. Returns 1 when there is no more whole row, 0 after one, or an error.
 */
static int
next_row(struct tr_pg_copy_binary *copy, struct tr_relation *relation, struct tr_cursor *cur,
         struct tr_batch *batch, struct tr_error *err)
{
    if (copy->trailer)
        return tr_cursor_left(cur) == 0 ? 1 : copy_fail(relation, err, "bytes follow its trailer");
    if (tr_cursor_left(cur) < 2)
        return 1;
    if (cur->at[0] == 0xff && cur->at[1] == 0xff) {
        cur->at += 2;
        copy->trailer = true;
        return next_row(copy, relation, cur, batch, err);
    }
    size_t len;
    int rc = measure_row(*cur, relation, &len, err);
    if (rc < 0 || len == 0)
        return rc < 0 ? rc : 1;
    read_row(relation, cur->at, len, batch);
    cur->at += len;
    return 0;
}

static int
read_rows(struct tr_pg_copy_binary *copy, struct tr_relation *relation, struct tr_cursor *cur,
          struct tr_batch *batch, struct tr_error *err)
{
    int rows = 0, rc;
    if (!copy->header) {
        rc = read_header(cur, relation, err);
        if (rc <= 0)
            return rc;
        copy->header = true;
    }
    while ((rc = next_row(copy, relation, cur, batch, err)) == 0)
        rows++;
    return rc < 0 ? rc : rows;
}

int
tr_pg_copy_binary_feed(struct tr_pg_copy_binary *copy, struct tr_relation *relation, const char *data,
                       size_t len, struct tr_batch *batch, struct tr_error *err)
{
    struct tr_buffer *rest = &copy->rest;
    bool joined = rest->len > 0;
    if (joined)
        tr_buffer_add(rest, data, len);
    if (rest->overflow)
        return copy_fail(relation, err, "a row passes the limit");
    struct tr_cursor cur = joined ? tr_cursor(rest->data, rest->len) : tr_cursor(data, len);
    int rows = read_rows(copy, relation, &cur, batch, err);
    if (rows < 0)
        return rows;
    size_t left = tr_cursor_left(&cur);
    if (joined) {
        memmove(rest->data, cur.at, left);
        rest->len = left;
    } else if (left > 0) {
        tr_buffer_add(rest, cur.at, left);
    }
    return rest->overflow ? copy_fail(relation, err, "a row passes the limit") : rows;
}

int
tr_pg_copy_binary_end(struct tr_pg_copy_binary *copy, const struct tr_relation *relation,
                      struct tr_error *err)
{
    return copy->trailer ? 0 : copy_fail(relation, err, "it ended before its trailer");
}
