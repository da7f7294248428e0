/*
 * gtid.c - the events that announce a transaction and name it.
 *
 * MySQL's says nothing of where its transaction ends; a BEGIN, a statement or a compressed transaction
 * follows. MariaDB's is the BEGIN, unless it is marked as standing alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"
#include "decoders/binlog/internal.h"

#define ANONYMOUS 34

/* Remembered until the transaction begins. */
static struct announced *
announce(struct binlog *d, const struct binlog_frame *f)
{
    d->announced = (struct announced){ .set = true, .order = f->order, .server_id = f->server_id };
    d->announced.commit_us = (int64_t)f->timestamp * TR_US_PER_S;
    return &d->announced;
}

static int
still_open(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    if (!d->in_txn || d->held)
        return 0;
    binlog_fail(d, f, err, "the transaction before it has no end");
    return tr_error_hint(
        err, "the log is damaged, or was cut and written on; compare with mysqlbinlog on the server");
}

static void
write_uuid(char *text, size_t size, const uint8_t *b)
{
    snprintf(text, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/*
 * Gtid, anonymous gtid: uint8 flags, byte[16] uuid, int64 number, uint8 2, int64 last committed, int64
 * sequence number (since 5.7), uint56 microseconds of the commit at this server with bit 55 = the original
 * ones follow as uint56 (since 8.0), lengths and versions.
 */
int
binlog_read_gtid(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    tr_cursor_u8(&f->cur);
    const uint8_t *uuid = tr_cursor_bytes(&f->cur, 16);
    int64_t number = (int64_t)tr_cursor_le(&f->cur, 8);
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    int rc = still_open(d, f, err);
    if (rc < 0 || d->held)
        return rc;
    struct announced *a = announce(d, f);
    if (f->type != ANONYMOUS) {
        write_uuid(a->gtid, sizeof a->gtid, uuid);
        size_t len = strlen(a->gtid);
        snprintf(a->gtid + len, sizeof a->gtid - len, ":%" PRId64, number);
    }
    if (tr_cursor_left(&f->cur) < 17 + 7)
        return 0; /* MySQL 5.6 or 5.7 */
    tr_cursor_bytes(&f->cur, 17);
    uint64_t us = tr_cursor_le(&f->cur, 7), original = UINT64_C(1) << 55;
    if (us & original)
        us = tr_cursor_le(&f->cur, 7);
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    a->commit_us = (int64_t)(us & ~original);
    return 0;
}

/* ---------------------------------------------------------------- tagged, MySQL 8.4 and later */

/*
 * An integer of mysql::serialization: the number of ones at the low end of the first byte is the number of
 * bytes that follow.
 */
static uint64_t
read_varlen(struct tr_cursor *cur)
{
    uint8_t first = tr_cursor_u8(cur);
    unsigned more = (unsigned)__builtin_ctz(~(unsigned)first);
    if (more == 8)
        return tr_cursor_le(cur, 8);
    uint64_t rest = more > 0 ? tr_cursor_le(cur, more) : 0;
    return rest << (7 - more) | first >> (more + 1);
}

static int64_t
read_varlen_signed(struct tr_cursor *cur)
{
    uint64_t n = read_varlen(cur);
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

struct tagged {
    uint8_t uuid[16];
    int64_t number;
    char tag[33];
    uint64_t immediate_us, original_us;
};

/* One field of the message; false = not one that is known. */
static bool
read_tagged_field(struct tr_cursor *cur, uint64_t id, struct tagged *t)
{
    switch (id) {
    case 0: read_varlen(cur); return true; /* flags */
    case 1:
        for (size_t i = 0; i < sizeof t->uuid; i++)
            t->uuid[i] = (uint8_t)read_varlen(cur);
        return true;
    case 2: t->number = read_varlen_signed(cur); return true;
    case 3: {
        uint64_t len = read_varlen(cur);
        const uint8_t *tag = len < sizeof t->tag ? tr_cursor_bytes(cur, len) : NULL;
        if (tag == NULL)
            return false;
        memcpy(t->tag, tag, len);
        return true;
    }
    case 4:                                       /* last committed */
    case 5: read_varlen_signed(cur); return true; /* sequence number */
    case 6: t->immediate_us = read_varlen(cur); return true;
    case 7: t->original_us = read_varlen(cur); return true;
    case 8:                                 /* length of the transaction */
    case 9:                                 /* version of this server */
    case 10:                                /* version of the original server */
    case 11: read_varlen(cur); return true; /* commit group ticket */
    default: return false;
    }
}

/*
 * Tagged gtid: a message of mysql::serialization: version, size, the last id that may not be ignored, then
 * fields of id and value (read_tagged_field); those left out have their default.
 */
int
binlog_read_tagged_gtid(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct tagged t = { 0 };
    uint64_t version = read_varlen(&f->cur);
    read_varlen(&f->cur);
    uint64_t needed = read_varlen(&f->cur);
    if (version != 1 && version != 0)
        return binlog_refuse(d, f, err, "version %" PRIu64 " of its form is not known", version);
    while (!f->cur.failed && tr_cursor_left(&f->cur) > 0) {
        uint64_t id = read_varlen(&f->cur);
        if (!read_tagged_field(&f->cur, id, &t)) {
            if (id <= needed || id <= 11)
                return binlog_fail(d, f, err, "its field %" PRIu64 " is not known", id);
            break; /* the writer says that what follows may be ignored */
        }
    }
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    int rc = still_open(d, f, err);
    if (rc < 0 || d->held)
        return rc;
    struct announced *a = announce(d, f);
    char uuid[40];
    write_uuid(uuid, sizeof uuid, t.uuid);
    snprintf(a->gtid, sizeof a->gtid, "%s:%s%s%" PRId64, uuid, t.tag, t.tag[0] != '\0' ? ":" : "", t.number);
    uint64_t us = t.original_us != 0 ? t.original_us : t.immediate_us;
    if (us != 0 && us <= INT64_MAX)
        a->commit_us = (int64_t)us;
    return 0;
}

/* ---------------------------------------------------------------- MariaDB */

enum { STANDALONE = 1, GROUP_COMMIT_ID = 2, PREPARED_XA = 64, COMPLETED_XA = 128 };
enum { START_ALTER = 2, COMMIT_ALTER = 4, ROLLBACK_ALTER = 8 }; /* binlog_alter_two_phase */

struct mariadb_gtid {
    uint64_t sequence;
    uint32_t domain;
    uint8_t flags;
};

/*
 * MariaDB's gtid: uint64 sequence, uint32 domain, uint8 flags; with GROUP_COMMIT_ID uint64 commit id; with
 * PREPARED_XA or COMPLETED_XA uint32 format, uint8 length of gtrid, uint8 length of bqual, both; then, since
 * 10.8, uint8 more flags; zeros up to 19 bytes.
 */
static struct mariadb_gtid
parse_mariadb_gtid(struct binlog_frame *f)
{
    struct mariadb_gtid g;
    g.sequence = tr_cursor_le(&f->cur, 8);
    g.domain = (uint32_t)tr_cursor_le(&f->cur, 4);
    g.flags = tr_cursor_u8(&f->cur);
    return g;
}

struct xid {
    uint32_t format;
    size_t gtrid_len, bqual_len;
    const uint8_t *gtrid, *bqual;
};

/* What follows the flags, up to those that came later. */
static struct xid
parse_middle(struct binlog_frame *f, uint8_t flags)
{
    struct xid x = { 0 };
    if (flags & GROUP_COMMIT_ID)
        tr_cursor_le(&f->cur, 8);
    if (!(flags & (PREPARED_XA | COMPLETED_XA)))
        return x;
    x.format = (uint32_t)tr_cursor_le(&f->cur, 4);
    x.gtrid_len = tr_cursor_u8(&f->cur);
    x.bqual_len = tr_cursor_u8(&f->cur);
    x.gtrid = tr_cursor_bytes(&f->cur, x.gtrid_len);
    x.bqual = tr_cursor_bytes(&f->cur, x.bqual_len);
    return x;
}

int
binlog_peek_mariadb_gtid(struct binlog_frame *f, struct tr_frame_peek *peek)
{
    struct mariadb_gtid g = parse_mariadb_gtid(f);
    if (!(g.flags & PREPARED_XA) || (g.flags & STANDALONE))
        return 0;
    struct xid x = parse_middle(f, g.flags);
    if (f->cur.failed)
        return 0; /* decode() says what is wrong */
    peek->role = TR_ROLE_PREPARED_BEGIN;
    binlog_xid_text(peek, x.format, x.gtrid, x.gtrid_len, x.bqual, x.bqual_len);
    return 0;
}

/* The statement comes twice: when the ALTER begins, and with its end, which may be that it was rolled back. Only the second one has done something, and only then. */
static bool
is_undecided(struct binlog_frame *f, uint8_t flags)
{
    parse_middle(f, flags);
    uint8_t more = !f->cur.failed && tr_cursor_left(&f->cur) > 0 ? tr_cursor_u8(&f->cur) : 0;
    return (more & (START_ALTER | ROLLBACK_ALTER)) != 0 && !(more & COMMIT_ALTER);
}

int
binlog_read_mariadb_gtid(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct mariadb_gtid g = parse_mariadb_gtid(f);
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    int rc = still_open(d, f, err);
    if (rc < 0 || d->held)
        return rc;
    struct announced *a = announce(d, f);
    snprintf(a->gtid, sizeof a->gtid, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, g.domain, f->server_id, g.sequence);
    a->undecided = is_undecided(f, g.flags);
    if (g.flags & STANDALONE)
        return 0;
    return binlog_begin(d, f, err);
}
