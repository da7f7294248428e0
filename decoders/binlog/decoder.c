/*
 * decoder.c - the header of an event, its checksum, and the way to its reader.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"

/*
 * Every event that the servers write; one without a reader is refused unless its own header says that it
 * may be ignored.
 */
const struct event binlog_events[256] = {
    [EVENT_QUERY] = { "query", binlog_read_query },
    [3] = { "stop", binlog_read_ignored },
    [EVENT_ROTATE] = { "rotate", binlog_read_rotate },
    [5] = { "intvar", binlog_read_statement_data },
    [6] = { "load", binlog_read_load_query },
    [8] = { "create file", binlog_read_load_query },
    [9] = { "append block", binlog_read_statement_data },
    [10] = { "execute load", binlog_read_load_query },
    [11] = { "delete file", binlog_read_statement_data },
    [12] = { "new load", binlog_read_load_query },
    [13] = { "rand", binlog_read_statement_data },
    [14] = { "user variable", binlog_read_statement_data },
    [EVENT_FORMAT_DESCRIPTION] = { "format description", binlog_read_format },
    [16] = { "xid", binlog_read_xid },
    [17] = { "begin load query", binlog_read_statement_data },
    [18] = { "execute load query", binlog_read_load_query },
    [EVENT_TABLE_MAP] = { "table map", binlog_read_table_map },
    [20] = { "write rows v0", NULL },
    [21] = { "update rows v0", NULL },
    [22] = { "delete rows v0", NULL },
    [EVENT_WRITE_ROWS_V1] = { "write rows v1", binlog_read_rows },
    [EVENT_UPDATE_ROWS_V1] = { "update rows v1", binlog_read_rows },
    [EVENT_DELETE_ROWS_V1] = { "delete rows v1", binlog_read_rows },
    [26] = { "incident", binlog_read_incident },
    [27] = { "heartbeat", binlog_read_ignored },
    [28] = { "ignorable", binlog_read_ignored },
    [29] = { "rows query", binlog_read_ignored },
    [EVENT_WRITE_ROWS] = { "write rows", binlog_read_rows },
    [EVENT_UPDATE_ROWS] = { "update rows", binlog_read_rows },
    [EVENT_DELETE_ROWS] = { "delete rows", binlog_read_rows },
    [33] = { "gtid", binlog_read_gtid },
    [34] = { "anonymous gtid", binlog_read_gtid },
    [35] = { "previous gtids", binlog_read_ignored },
    [36] = { "transaction context", binlog_read_ignored },
    [37] = { "view change", binlog_read_ignored },
    [EVENT_XA_PREPARE] = { "xa prepare", binlog_read_xa_prepare },
    [39] = { "partial update rows", binlog_read_partial_rows },
    [EVENT_PAYLOAD] = { "transaction payload", binlog_read_payload },
    [41] = { "heartbeat v2", binlog_read_ignored },
    [42] = { "tagged gtid", binlog_read_tagged_gtid },
    [160] = { "annotate rows", binlog_read_ignored },
    [161] = { "binlog checkpoint", binlog_read_ignored },
    [EVENT_MARIADB_GTID] = { "gtid", binlog_read_mariadb_gtid },
    [163] = { "gtid list", binlog_read_ignored },
    [164] = { "start encryption", binlog_read_encryption },
    [EVENT_QUERY_COMPRESSED] = { "compressed query", binlog_read_query },
    [EVENT_WRITE_ROWS_COMPRESSED_V1] = { "compressed write rows v1", binlog_read_rows },
    [167] = { "compressed update rows v1", binlog_read_rows },
    [EVENT_DELETE_ROWS_COMPRESSED_V1] = { "compressed delete rows v1", binlog_read_rows },
    [EVENT_WRITE_ROWS_COMPRESSED] = { "compressed write rows", binlog_read_rows },
    [170] = { "compressed update rows", binlog_read_rows },
    [EVENT_DELETE_ROWS_COMPRESSED] = { "compressed delete rows", binlog_read_rows },
};

static int
fail_at(const struct binlog *d, const struct binlog_frame *f, enum tr_error_class class, const char *fmt,
        va_list args, struct tr_error *err)
{
    char why[768];
    vsnprintf(why, sizeof why, fmt, args);
    return tr_fail(err, class, "binlog: %s event at %s:%llu: %s", f->event->name,
                   d->file[0] != '\0' ? d->file : "?", (unsigned long long)TR_BINLOG_OFFSET(f->order), why);
}

int
binlog_fail(const struct binlog *d, const struct binlog_frame *f, struct tr_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(d, f, TR_FATAL, fmt, args, err);
    va_end(args);
    return rc;
}

int
binlog_refuse(const struct binlog *d, const struct binlog_frame *f, struct tr_error *err, const char *fmt,
              ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(d, f, TR_REFUSED, fmt, args, err);
    va_end(args);
    return rc;
}

uint64_t
binlog_packed(struct tr_cursor *cur)
{
    uint8_t first = tr_cursor_u8(cur);
    switch (first) {
    case 252: return tr_cursor_le(cur, 2);
    case 253: return tr_cursor_le(cur, 3);
    case 254: return tr_cursor_le(cur, 8);
    case 251:
    case 255: cur->failed = true; return 0; /* null, which no length here can be */
    default: return first;
    }
}

/*
 * Header: uint32 time (seconds), uint8 type, uint32 server id, uint32 length of all, uint32 end in the
 * file (its low 32 bits; 0 in artificial events and inside MariaDB's transactions), uint16 flags.
 */
static int
open_event(struct binlog *d, struct binlog_frame *f, const uint8_t *data, size_t len, uint64_t order,
           bool nested, bool held, struct tr_error *err)
{
    static const struct event unknown = { "unknown", NULL };
    *f = (struct binlog_frame){ .event = &unknown, .order = order, .nested = nested };
    if (len < HEADER_SIZE)
        return binlog_fail(d, f, err, "%zu bytes are no header", len);
    f->cur = tr_cursor(data, len);
    f->timestamp = (uint32_t)tr_cursor_le(&f->cur, 4);
    f->type = tr_cursor_u8(&f->cur);
    f->server_id = (uint32_t)tr_cursor_le(&f->cur, 4);
    uint32_t event_len = (uint32_t)tr_cursor_le(&f->cur, 4);
    f->log_pos = (uint32_t)tr_cursor_le(&f->cur, 4);
    f->flags = (uint16_t)tr_cursor_le(&f->cur, 2);
    f->end_order = order + len;
    if (binlog_events[f->type].name != NULL)
        f->event = &binlog_events[f->type];
    /* A held frame has lost its checksum, which peek() has verified. */
    f->bare = held && event_len == len + CHECKSUM_SIZE;
    if (event_len != len && !f->bare)
        return binlog_fail(d, f, err, "its header says %u bytes, %zu came", event_len, len);
    return 0;
}

/* A format description in a file that is being written was summed up before the mark "in use" was set. */
static uint32_t
checksum_of(const struct binlog_frame *f, const uint8_t *data, size_t len)
{
    const size_t at = 17; /* of the flags */
    if (f->type != EVENT_FORMAT_DESCRIPTION || !(f->flags & EVENT_IN_USE))
        return (uint32_t)crc32_z(0, data, len);
    uint8_t flag = (uint8_t)(data[at] & ~EVENT_IN_USE);
    uLong crc = crc32_z(0, data, at);
    crc = crc32_z(crc, &flag, 1);
    return (uint32_t)crc32_z(crc, data + at + 1, len - at - 1);
}

/* The last five bytes of a format description are the algorithm (0 none, 1 CRC32) and its own checksum. */
static bool
has_checksum(const struct binlog *d, const struct binlog_frame *f, const uint8_t *data, size_t len)
{
    if (f->type != EVENT_FORMAT_DESCRIPTION)
        return d->checksum;
    return len >= HEADER_SIZE + 57 + 5 && data[len - 5] == 1;
}

static int
take_checksum(struct binlog *d, struct binlog_frame *f, const uint8_t *data, size_t len, struct tr_error *err)
{
    bool has = has_checksum(d, f, data, len);
    if (f->nested || f->bare)
        return 0;
    if (f->type == EVENT_FORMAT_DESCRIPTION)
        d->checksum = has;
    if (!has)
        return 0;
    if (tr_cursor_left(&f->cur) < CHECKSUM_SIZE)
        return binlog_fail(d, f, err, "it ends before its checksum");
    f->cur.end -= CHECKSUM_SIZE;
    struct tr_cursor tail = tr_cursor(f->cur.end, CHECKSUM_SIZE);
    uint32_t told = (uint32_t)tr_cursor_le(&tail, 4), found = checksum_of(f, data, len - CHECKSUM_SIZE);
    if (told == found)
        return 0;
    binlog_refuse(d, f, err, "its checksum is %08x, its bytes sum up to %08x: the log is damaged", told,
                  found);
    return tr_error_hint(
        err, "compare with mysqlbinlog --verify-binlog-checksum on the server; if its file is damaged, "
             "follow another "
             "server of the topology, or load again");
}

static int
unknown_event(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    if (f->flags & EVENT_IGNORABLE)
        return 0;
    binlog_refuse(d, f, err, "events of type %u are not known", f->type);
    return tr_error_hint(
        err, "the server is newer than this program (or older than MySQL 5.6); nothing was skipped");
}

static int
decode_event(struct binlog *d, struct binlog_frame *f, const uint8_t *data, size_t len,
             struct tr_batch *batch, struct tr_error *err)
{
    int rc = take_checksum(d, f, data, len, err);
    if (rc < 0)
        return rc;
    f->batch = batch;
    return f->event->read != NULL ? f->event->read(d, f, err) : unknown_event(d, f, err);
}

int
binlog_decode_nested(struct binlog *d, const uint8_t *data, size_t len, const struct binlog_frame *outer,
                     struct tr_error *err)
{
    struct binlog_frame f;
    int rc = open_event(d, &f, data, len, outer->order, true, false, err);
    f.end_order = outer->end_order;
    return rc < 0 ? rc : decode_event(d, &f, data, len, outer->batch, err);
}

static int
decode(struct tr_decoder *decoder, const uint8_t *data, size_t len, uint64_t order, bool in_stream,
       struct tr_batch *batch, struct tr_error *err)
{
    struct binlog_frame f;
    struct binlog *d = (struct binlog *)decoder;
    int rc = open_event(d, &f, data, len, order, false, in_stream, err);
    f.bare = in_stream;
    return rc < 0 ? rc : decode_event(d, &f, data, len, batch, err);
}

/* A frame of a branch is looked at once more when the branch is decided: what is wrong with it has to be said now. */
static int
peek_held(struct binlog *d, struct binlog_frame *f, const uint8_t *data, size_t len,
          struct tr_frame_peek *peek, struct tr_error *err)
{
    struct tr_cursor body = f->cur;
    f->cur = tr_cursor(data, len);
    tr_cursor_bytes(&f->cur, HEADER_SIZE);
    int rc = take_checksum(d, f, data, len, err);
    peek->keep = (size_t)(f->cur.end - data);
    f->cur = body;
    return rc;
}

/* Inside of a branch nothing else stands than this: anything else says that it has no end. */
static bool
belongs_to_branch(uint8_t type)
{
    switch (type) {
    case 3:
    case EVENT_ROTATE:
    case EVENT_FORMAT_DESCRIPTION:
    case 16:
    case 26:
    case 33:
    case 34:
    case 35:
    case EVENT_PAYLOAD:
    case 42:
    case EVENT_MARIADB_GTID:
    case 163:
    case 164: return false;
    default: return true;
    }
}

static int
peek_event(struct binlog *d, struct binlog_frame *f, struct tr_frame_peek *peek, struct tr_error *err)
{
    switch (f->type) {
    case EVENT_QUERY_COMPRESSED:
    case EVENT_QUERY: return binlog_peek_query(d, f, peek, err);
    case EVENT_XA_PREPARE: return binlog_peek_xa_prepare(f, peek);
    case EVENT_MARIADB_GTID: return binlog_peek_mariadb_gtid(f, peek);
    case EVENT_PAYLOAD: return binlog_peek_payload(d, f, peek, err);
    default: return 0;
    }
}

/* The statements that are edges of a branch are short, so that larger ones need not be uncompressed to be known. */
static bool
may_be_edge(uint8_t type, size_t len)
{
    const size_t edge = 1024;
    return type == EVENT_QUERY || type == EVENT_XA_PREPARE || type == EVENT_MARIADB_GTID ||
           type == EVENT_PAYLOAD || (type == EVENT_QUERY_COMPRESSED && len < edge);
}

/* Only XA makes a frame anything but plain. Of a plain one the checksum is left to decode(). */
static int
peek(struct tr_decoder *decoder, const uint8_t *data, size_t len, bool in_stream, struct tr_frame_peek *peek,
     struct tr_error *err)
{
    struct binlog *d = (struct binlog *)decoder;
    peek->role = TR_ROLE_PLAIN;
    peek->xid = peek->subxid = peek->keep = 0;
    peek->shape = false;
    peek->gid[0] = '\0';
    if (len < HEADER_SIZE)
        return 0; /* decode() says what is wrong */
    bool edge = may_be_edge(data[4], len);
    if (!edge && !in_stream)
        return 0;
    struct binlog_frame f;
    int rc = open_event(d, &f, data, len, 0, false, true, err);
    if (rc < 0)
        return rc;
    if (d->checksum && !f.bare && tr_cursor_left(&f.cur) >= CHECKSUM_SIZE)
        f.cur.end -= CHECKSUM_SIZE;
    if (edge)
        rc = peek_event(d, &f, peek, err);
    if (rc == 0 && in_stream && peek->role == TR_ROLE_PLAIN && !belongs_to_branch(f.type))
        peek->role = TR_ROLE_PREPARED_LOST;
    else if (rc == 0 && (in_stream || peek->role == TR_ROLE_PREPARED_WHOLE))
        rc = peek_held(d, &f, data, len, peek, err);
    return rc;
}

uint64_t
tr_binlog_file_number(const char *file)
{
    size_t len = strlen(file), at = len;
    uint64_t number = 0;
    while (at > 0 && file[at - 1] >= '0' && file[at - 1] <= '9')
        at--;
    for (; at < len && number < UINT64_C(1) << 22; at++)
        number = number * 10 + (uint64_t)(file[at] - '0');
    return number;
}

static int
open_decoder(const struct tr_decoder_config *config, struct tr_decoder **decoder, struct tr_error *err)
{
    (void)err;
    struct binlog *d = tr_calloc(1, sizeof *d);
    d->base.class = &tr_binlog_decoder;
    d->base.config = *config;
    if (config->source_format != NULL)
        d->format = *(const struct tr_binlog_format *)config->source_format;
    d->checksum = d->format.checksum;
    d->table_id_size = 6;
    snprintf(d->file, sizeof d->file, "%s", d->format.file);
    *decoder = &d->base;
    return 0;
}

static void
reset_decoder(struct tr_decoder *decoder)
{
    struct binlog *d = (struct binlog *)decoder;
    binlog_forget_transaction(d);
    binlog_forget_ids(d);
    d->announced.set = false;
    d->checksum = d->format.checksum;
}

static void
close_decoder(struct tr_decoder *decoder)
{
    struct binlog *d = (struct binlog *)decoder;
    if (d == NULL)
        return;
    binlog_forget_transaction(d);
    binlog_release_tables(d);
    free(d->savepoints);
    ZSTD_freeDCtx(d->zstd);
    free(d);
}

static bool
in_transaction(const struct tr_decoder *decoder)
{
    return ((const struct binlog *)decoder)->in_txn;
}

const struct tr_decoder_class tr_binlog_decoder = {
    .name = "binlog",
    .open = open_decoder,
    .close = close_decoder,
    .reset = reset_decoder,
    .peek = peek,
    .decode = decode,
    .continue_txn = binlog_continue,
    .begin_from_commit = binlog_begin_from_commit,
    .in_transaction = in_transaction,
};
