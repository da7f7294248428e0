/*
 * payload.c - what the servers compress: whole transactions (MySQL, zstd), events and columns (MariaDB,
 * zlib).
 *
 * Every size is bounded before memory is taken for it: what is small on the wire may be huge behind it.
 */
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"

/* ---------------------------------------------------------------- MySQL: a transaction in one event */

struct payload {
    const uint8_t *bytes;
    size_t len;
    uint64_t algorithm; /* 0 zstd, 255 none */
    uint64_t uncompressed;
};

/*
 * Transaction payload: fields of packed type, packed length, value: 1 packed size of the payload, 2 packed
 * algorithm, 3 packed size uncompressed; type 0 ends them, without a length. Then the payload.
 */
static int
parse_payload(struct binlog *d, struct binlog_frame *f, struct payload *p, struct tr_error *err)
{
    *p = (struct payload){ .algorithm = 255 };
    uint64_t size = UINT64_MAX;
    for (;;) {
        uint64_t type = binlog_packed(&f->cur);
        if (f->cur.failed)
            return binlog_fail(d, f, err, "it ends too early");
        if (type == 0)
            break;
        uint64_t len = binlog_packed(&f->cur);
        const uint8_t *value = tr_cursor_bytes(&f->cur, len);
        if (value == NULL)
            return binlog_fail(d, f, err, "it ends too early");
        struct tr_cursor cur = tr_cursor(value, len);
        uint64_t n = binlog_packed(&cur);
        if (type == 1)
            size = n;
        else if (type == 2)
            p->algorithm = n;
        else if (type == 3)
            p->uncompressed = n;
    }
    p->len = tr_cursor_left(&f->cur);
    p->bytes = tr_cursor_bytes(&f->cur, p->len);
    if (size != UINT64_MAX && size != p->len)
        return binlog_fail(d, f, err, "its payload is said to have %llu bytes and has %zu",
                           (unsigned long long)size, p->len);
    return 0;
}

static int
too_large(struct binlog *d, struct binlog_frame *f, uint64_t size, struct tr_error *err)
{
    binlog_refuse(d, f, err, "%llu bytes uncompressed pass the limit of %zu", (unsigned long long)size,
                  binlog_max_payload(d));
    return tr_error_hint(
        err, "split the transaction, or turn binlog_transaction_compression off for sessions with such "
             "large ones");
}

/* What to do with the events inside; a negative answer ends the walk. */
struct each {
    int (*event)(struct binlog *d, const uint8_t *data, size_t len, struct binlog_frame *outer, void *arg,
                 struct tr_error *err);
    void *arg;
};

/* Whole events at the front of the buffer are handed out; what is left of the last one moves to the front. */
static int
whole_events(struct binlog *d, struct binlog_frame *f, uint8_t *buffer, size_t *len, const struct each *each,
             struct tr_error *err)
{
    size_t at = 0;
    int flags = 0;
    while (*len - at >= HEADER_SIZE) {
        struct tr_cursor cur = tr_cursor(buffer + at + 9, 4);
        size_t event_len = (size_t)tr_cursor_le(&cur, 4);
        if (event_len < HEADER_SIZE || event_len > binlog_max_payload(d))
            return binlog_fail(d, f, err, "an event inside of it says that it has %zu bytes", event_len);
        if (event_len > *len - at)
            break;
        if (buffer[at + 4] == EVENT_PAYLOAD)
            return binlog_fail(d, f, err, "a compressed transaction stands inside of it");
        int rc = each->event(d, buffer + at, event_len, f, each->arg, err);
        if (rc < 0)
            return rc;
        flags |= rc;
        at += event_len;
    }
    memmove(buffer, buffer + at, *len - at);
    *len -= at;
    return flags;
}

/* A buffer that holds at least the event at its front. */
struct window {
    uint8_t *bytes;
    size_t len, capacity;
};

static void
make_room(struct window *w)
{
    if (w->capacity - w->len >= (size_t)64 << 10)
        return;
    w->capacity = w->capacity * 2 + ((size_t)256 << 10);
    w->bytes = tr_realloc(w->bytes, w->capacity);
}

static int
inflate_events(struct binlog *d, struct binlog_frame *f, const struct payload *p, struct window *w,
               const struct each *each, struct tr_error *err)
{
    ZSTD_inBuffer in = { p->bytes, p->len, 0 };
    uint64_t total = 0;
    int flags = 0;
    size_t more = 1;
    for (;;) {
        make_room(w);
        ZSTD_outBuffer out = { w->bytes, w->capacity, w->len };
        more = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(more))
            return binlog_fail(d, f, err, "its payload cannot be uncompressed: %s", ZSTD_getErrorName(more));
        size_t got = out.pos - w->len;
        w->len = out.pos;
        total += got;
        if (total > binlog_max_payload(d))
            return too_large(d, f, total, err);
        int rc = whole_events(d, f, w->bytes, &w->len, each, err);
        if (rc < 0)
            return rc;
        flags |= rc;
        if (in.pos == in.size &&
            (more == 0 || got == 0)) /* all frames are through, or the last one is cut short */
            break;
    }
    if (more != 0 || w->len != 0)
        return binlog_fail(d, f, err, "its payload ends too early");
    return flags;
}

static int
begin_zstd(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    if (d->zstd == NULL && (d->zstd = ZSTD_createDStream()) == NULL)
        return binlog_fail(d, f, err, "no memory to uncompress it");
    ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
    ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, 27);
    return 0;
}

static int
walk_zstd(struct binlog *d, struct binlog_frame *f, const struct payload *p, const struct each *each,
          struct tr_error *err)
{
    struct window window = { 0 };
    int rc = begin_zstd(d, f, err);
    if (rc == 0)
        rc = inflate_events(d, f, p, &window, each, err);
    free(window.bytes);
    return rc;
}

static int
walk_plain(struct binlog *d, struct binlog_frame *f, const struct payload *p, const struct each *each,
           struct tr_error *err)
{
    size_t len = p->len;
    uint8_t *copy = tr_malloc(len + 1);
    memcpy(copy, p->bytes, len);
    int rc = whole_events(d, f, copy, &len, each, err);
    free(copy);
    return rc >= 0 && len != 0 ? binlog_fail(d, f, err, "its payload ends too early") : rc;
}

static int
walk_payload(struct binlog *d, struct binlog_frame *f, const struct payload *p, const struct each *each,
             struct tr_error *err)
{
    if (p->uncompressed > binlog_max_payload(d))
        return too_large(d, f, p->uncompressed, err);
    if (p->algorithm == 0)
        return walk_zstd(d, f, p, each, err);
    return p->algorithm == 255
               ? walk_plain(d, f, p, each, err)
               : binlog_refuse(d, f, err, "compression %llu is not known", (unsigned long long)p->algorithm);
}

static int
decode_each(struct binlog *d, const uint8_t *data, size_t len, struct binlog_frame *outer, void *arg,
            struct tr_error *err)
{
    (void)arg;
    return binlog_decode_nested(d, data, len, outer, err);
}

int
binlog_read_payload(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct payload p;
    struct each each = { decode_each, NULL };
    if (f->nested)
        return binlog_fail(d, f, err, "it stands inside another one");
    int rc = parse_payload(d, f, &p, err);
    return rc < 0 ? rc : walk_payload(d, f, &p, &each, err);
}

/* Does the payload begin with XA START? Only as much of it is uncompressed as tells. */
static bool
begins_branch(struct binlog *d, struct binlog_frame *f, const struct payload *p)
{
    uint8_t head[512];
    struct tr_error ignored;
    ZSTD_inBuffer in = { p->bytes, p->len, 0 };
    ZSTD_outBuffer out = { head, sizeof head, 0 };
    if (p->algorithm == 255) {
        out.pos = p->len < sizeof head ? p->len : sizeof head;
        memcpy(head, p->bytes, out.pos);
    } else if (p->algorithm != 0 || begin_zstd(d, f, &ignored) < 0) {
        return false;
    }
    while (p->algorithm == 0 && out.pos < sizeof head) {
        size_t before = out.pos, more = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(more) || more == 0 || (in.pos == in.size && out.pos == before))
            break;
    }
    return out.pos > HEADER_SIZE && head[4] == EVENT_QUERY && memmem(head, out.pos, "XA START ", 9) != NULL;
}

static int
peek_each(struct binlog *d, const uint8_t *data, size_t len, struct binlog_frame *outer, void *arg,
          struct tr_error *err)
{
    struct binlog_frame f = { .cur = tr_cursor(data, len) };
    (void)d, (void)outer, (void)err;
    tr_cursor_bytes(&f.cur, HEADER_SIZE);
    return data[4] == EVENT_XA_PREPARE ? binlog_peek_xa_prepare(&f, arg) : 0;
}

/* What is committed in one phase is a plain transaction; what is wrong, decode() says. */
int
binlog_peek_payload(struct binlog *d, struct binlog_frame *f, struct tr_frame_peek *peek,
                    struct tr_error *err)
{
    struct payload p;
    struct tr_error ignored;
    struct each each = { peek_each, peek };
    (void)err;
    if (parse_payload(d, f, &p, &ignored) < 0 || !begins_branch(d, f, &p) ||
        walk_payload(d, f, &p, &each, &ignored) < 0)
        return 0;
    peek->role = peek->role == TR_ROLE_PREPARED_END ? TR_ROLE_PREPARED_WHOLE : TR_ROLE_PLAIN;
    return 0;
}

/* ---------------------------------------------------------------- MariaDB */

/*
 * uint8: 0x80, bits 4-6 algorithm (0 zlib), bits 0-2 bytes of the length; the length, high byte first; zlib.
 */
int
binlog_uncompress(struct binlog *d, struct binlog_frame *f, uint8_t **bytes, size_t *len,
                  struct tr_error *err)
{
    uint8_t head = tr_cursor_u8(&f->cur);
    size_t width = head & 7;
    uint64_t size = width >= 1 && width <= 4 ? tr_cursor_be(&f->cur, width) : 0;
    if (f->cur.failed || !(head & 0x80) || width < 1 || width > 4)
        return binlog_fail(d, f, err, "what is compressed in it has no head");
    if ((head & 0x70) != 0)
        return binlog_refuse(d, f, err, "compression %u is not known", (unsigned)(head >> 4 & 7));
    if (size > binlog_max_payload(d))
        return too_large(d, f, size, err);
    size_t packed = tr_cursor_left(&f->cur);
    const uint8_t *from = tr_cursor_bytes(&f->cur, packed);
    if (size / 1200 > packed) /* zlib cannot make so much of so little */
        return binlog_fail(d, f, err, "it is said to hold %llu bytes", (unsigned long long)size);
    uLongf got = (uLongf)size;
    *bytes = tr_malloc((size_t)size + 1);
    if (uncompress(*bytes, &got, from, packed) != Z_OK || got != size) {
        free(*bytes);
        *bytes = NULL;
        return binlog_fail(d, f, err, "what is compressed in it is damaged");
    }
    *len = (size_t)size;
    return 0;
}

/*
 * A value: nothing = empty; uint8: high half 0 = as it is, 8 = zlib with bit 3 = without head and sum,
 * bits 0-2 bytes of the length (high byte first); then the bytes.
 */
bool
binlog_unpack_value(struct tr_arena *arena, const uint8_t *bytes, size_t len, size_t max, const char **out,
                    size_t *out_len)
{
    struct tr_cursor cur = tr_cursor(bytes, len);
    uint8_t head = len > 0 ? tr_cursor_u8(&cur) : 0;
    if (head >> 4 == 0) {
        *out = (const char *)cur.at;
        *out_len = tr_cursor_left(&cur);
        return true;
    }
    size_t width = head & 7;
    uint64_t size = width >= 1 && width <= 4 ? tr_cursor_be(&cur, width) : UINT64_MAX;
    if (cur.failed || head >> 4 != 8 || size > max || size / 1200 > tr_cursor_left(&cur))
        return false;
    char *to = tr_arena_alloc(arena, (size_t)size + 1);
    z_stream z = { .next_in = (Bytef *)(uintptr_t)cur.at,
                   .avail_in = (uInt)tr_cursor_left(&cur),
                   .next_out = (Bytef *)to,
                   .avail_out = (uInt)size };
    if (inflateInit2(&z, head & 8 ? -MAX_WBITS : MAX_WBITS) != Z_OK)
        return false;
    int rc = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    to[size] = '\0';
    *out = to;
    *out_len = (size_t)size;
    return rc == Z_STREAM_END && z.total_out == size;
}
