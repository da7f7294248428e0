/*
 * stream.c - events of the dump thread into frames, and what they say about the place in the log.
 *
 * The place of an event is told by itself where it can (the low 32 bits of its end), else by counting: MariaDB's events inside of a
 * transaction may carry no place, MySQL leaves out the transactions that we have, and files may pass 4 GiB.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/cursor.h"
#include "core/memory.h"

#define HEADER_SIZE 19
#define FIRST_OFFSET 4 /* behind a file's magic number */
#define FLAG_ARTIFICIAL 0x20
#define PASSED_OVER 2 /* an event in front of where the task begins */
#define LOOK_PERIOD_US (10 * TR_US_PER_S)
#define STOP_HEARTBEAT_US 200000 /* while a run waits for its end */

enum {
    EVENT_QUERY = 2,
    EVENT_ROTATE = 4,
    EVENT_FORMAT = 15,
    EVENT_XID = 16,
    EVENT_HEARTBEAT = 27,
    EVENT_GTID = 33,
    EVENT_ANONYMOUS_GTID = 34,
    EVENT_XA_PREPARE = 38,
    EVENT_PAYLOAD = 40,
    EVENT_HEARTBEAT_V2 = 41,
    EVENT_TAGGED_GTID = 42,
    EVENT_MARIADB_GTID = 162,
    EVENT_MARIADB_GTID_LIST = 163,
    EVENT_QUERY_COMPRESSED = 165,
};

void
tr_mysql_progress_fini(struct tr_mysql_progress *progress)
{
    tr_gtid_set_fini(&progress->set);
    tr_gtid_set_fini(&progress->stop_set);
    free(progress->pending);
    memset(progress, 0, sizeof *progress);
}

/* --------------------------------------------------------------------------------------------------- single events */

static struct tr_mysql_pending *
add_pending(struct tr_mysql_progress *progress, uint64_t order)
{
    if (progress->count == progress->capacity) {
        size_t capacity = progress->capacity > 0 ? progress->capacity * 2 : 64;
        struct tr_mysql_pending *pending = tr_calloc(capacity, sizeof *pending);
        for (size_t i = 0; i < progress->count; i++)
            pending[i] = progress->pending[(progress->first + i) % progress->capacity];
        free(progress->pending);
        progress->pending = pending;
        progress->capacity = capacity;
        progress->first = 0;
    }
    struct tr_mysql_pending
        *item = &progress->pending[(progress->first + progress->count++) % progress->capacity];
    item->order = order;
    item->gtid[0] = '\0';
    return item;
}

static size_t
uuid_text(const uint8_t *b, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                            b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                            b[13], b[14], b[15]);
}

/* Behind the number of a GTID, since MySQL 8.0: 17 bytes, then uint56 microseconds of the commit here, whose highest bit says that the original ones follow. */
static void
take_commit_time(struct tr_mysql_progress *progress, struct tr_cursor *cur)
{
    const uint64_t original = UINT64_C(1) << 55;
    if (tr_cursor_left(cur) < 17 + 7)
        return;
    tr_cursor_bytes(cur, 17);
    uint64_t us = tr_cursor_le(cur, 7);
    if (us & original)
        us = tr_cursor_le(cur, 7);
    if (!cur->failed)
        progress->commit_us = (int64_t)(us & ~original);
}

/* MySQL: uint8 flags, byte[16] uuid, int64 number. */
static bool
take_gtid(struct tr_mysql_progress *progress, struct tr_cursor *cur, uint64_t order)
{
    tr_cursor_u8(cur);
    const uint8_t *uuid = tr_cursor_bytes(cur, 16);
    uint64_t number = tr_cursor_le(cur, 8);
    if (cur->failed)
        return false;
    struct tr_mysql_pending *item = add_pending(progress, order);
    size_t len = uuid_text(uuid, item->gtid, sizeof item->gtid);
    snprintf(item->gtid + len, sizeof item->gtid - len, ":%" PRIu64, number);
    take_commit_time(progress, cur);
    return true;
}

/* An integer of mysql::serialization: as many bytes follow as the first one has ones at its low end. */
static uint64_t
read_varlen(struct tr_cursor *cur)
{
    uint8_t first = tr_cursor_u8(cur);
    unsigned more = 0;
    while (more < 8 && (first >> more & 1))
        more++;
    uint64_t rest = tr_cursor_le(cur, more);
    return more == 8 ? rest : rest << (7 - more) | first >> (more + 1);
}

/* MySQL's tagged form: version, size, last needed field, then fields of id and value: 0 flags, 1 uuid, 2 number, 3 tag. */
static bool
take_tagged_gtid(struct tr_mysql_progress *progress, struct tr_cursor *cur, uint64_t order)
{
    uint8_t uuid[16] = { 0 };
    char tag[33] = "";
    uint64_t number = 0;
    for (int i = 0; i < 3; i++)
        read_varlen(cur);
    while (!cur->failed && tr_cursor_left(cur) > 0) {
        uint64_t id = read_varlen(cur);
        if (id == 0) {
            read_varlen(cur);
        } else if (id == 1) {
            for (size_t i = 0; i < sizeof uuid; i++)
                uuid[i] = (uint8_t)read_varlen(cur);
        } else if (id == 2) {
            uint64_t n = read_varlen(cur);
            number = n >> 1; /* the sign's bit is the lowest */
        } else if (id == 3) {
            uint64_t len = read_varlen(cur);
            const uint8_t *bytes = len < sizeof tag ? tr_cursor_bytes(cur, len) : NULL;
            if (bytes == NULL)
                return false;
            memcpy(tag, bytes, len);
        } else if (id <= 5) { /* what depends on what */
            read_varlen(cur);
        } else if (id <= 7) { /* commit here, original commit: the latter comes later, where it differs */
            uint64_t us = read_varlen(cur);
            if (us != 0 && us <= INT64_MAX)
                progress->commit_us = (int64_t)us;
        } else {
            break;
        }
    }
    if (cur->failed || number == 0)
        return false;
    struct tr_mysql_pending *item = add_pending(progress, order);
    size_t len = uuid_text(uuid, item->gtid, sizeof item->gtid);
    snprintf(item->gtid + len, sizeof item->gtid - len, ":%s%s%" PRIu64, tag, tag[0] != '\0' ? ":" : "",
             number);
    return true;
}

/* MariaDB: uint64 number, uint32 domain, uint8 flags (1 = a statement on its own follows, which nothing ends). */
static bool
take_mariadb_gtid(struct tr_mysql_progress *progress, struct tr_cursor *cur, uint32_t server_id,
                  uint64_t order)
{
    uint64_t number = tr_cursor_le(cur, 8);
    uint32_t domain = (uint32_t)tr_cursor_le(cur, 4);
    uint8_t flags = tr_cursor_u8(cur);
    if (cur->failed)
        return false;
    struct tr_mysql_pending *item = add_pending(progress, order);
    snprintf(item->gtid, sizeof item->gtid, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, domain, server_id, number);
    progress->in_group = !(flags & 1);
    return true;
}

/* Query: uint32 thread, uint32 seconds, uint8 length of the database, uint16 error, uint16 length of the status, those, NUL, statement. */
static bool
query_is(struct tr_cursor cur, const char *word)
{
    tr_cursor_bytes(&cur, 8);
    size_t database = tr_cursor_u8(&cur);
    tr_cursor_bytes(&cur, 2);
    size_t status = (size_t)tr_cursor_le(&cur, 2);
    tr_cursor_bytes(&cur, status + database + 1);
    size_t len = strlen(word);
    return !cur.failed && tr_cursor_left(&cur) >= len && memcmp(cur.at, word, len) == 0;
}

/*
 * Is the log between two transactions behind this event? Only what surely ends one says so; for all else the server's next heartbeat does.
 */
static void
watch_edges(struct tr_mysql_progress *progress, uint8_t type, struct tr_cursor cur)
{
    switch (type) {
    case EVENT_XID:
    case EVENT_PAYLOAD:
    case EVENT_XA_PREPARE:
        progress->between = true;
        progress->in_group = false;
        break;
    case EVENT_QUERY:
        if (query_is(cur, "BEGIN") || query_is(cur, "XA START"))
            progress->in_group = true;
        else if (!progress->in_group || query_is(cur, "COMMIT")) /* XA COMMIT, a statement */
            progress->between = true;
        break;
    case EVENT_QUERY_COMPRESSED: /* what is an edge inside of a transaction is too short to be compressed */
        progress->between = progress->between || !progress->in_group;
        break;
    default: break;
    }
}

static int
damaged(const struct tr_mysql_progress *progress, uint8_t type, struct tr_error *err)
{
    return tr_fail(err, TR_FATAL, "source: event of type %u at %s:%" PRIu64 " is damaged", type,
                   progress->file, progress->offset);
}

static bool
take_rotate(struct tr_mysql_progress *progress, struct tr_cursor *cur)
{
    uint64_t offset = tr_cursor_le(cur, 8);
    size_t len = tr_cursor_left(cur);
    const uint8_t *name = tr_cursor_bytes(cur, len);
    if (cur->failed || len == 0 || len >= sizeof progress->file || memchr(name, 0, len) != NULL ||
        offset >= UINT64_C(1) << 40)
        return false;
    memcpy(progress->file, name, len);
    progress->file[len] = '\0';
    progress->file_number = tr_binlog_file_number(progress->file);
    progress->offset = offset;
    return true;
}

/* The low 32 bits of an end, put on top of what was reached: it never goes back. */
static uint64_t
widen(uint64_t reached, uint32_t low)
{
    uint64_t end = (reached & ~UINT64_C(0xffffffff)) | low;
    return end < reached ? end + (UINT64_C(1) << 32) : end;
}

static bool
take_event(struct tr_mysql_progress *progress, uint8_t type, uint32_t server_id, struct tr_cursor cur,
           uint64_t order)
{
    switch (type) {
    case EVENT_GTID: progress->between = progress->in_group = false; return take_gtid(progress, &cur, order);
    case EVENT_ANONYMOUS_GTID:
        progress->between = progress->in_group = false;
        tr_cursor_bytes(&cur, 25);
        take_commit_time(progress, &cur);
        return true;
    case EVENT_TAGGED_GTID:
        progress->between = progress->in_group = false;
        return take_tagged_gtid(progress, &cur, order);
    case EVENT_MARIADB_GTID:
        progress->between = false;
        return take_mariadb_gtid(progress, &cur, server_id, order);
    case EVENT_ROTATE: return take_rotate(progress, &cur);
    default: watch_edges(progress, type, cur); return true;
    }
}

int
tr_mysql_follow(struct tr_mysql_progress *progress, const uint8_t *event, size_t len, bool checksum,
                uint64_t *order, struct tr_error *err)
{
    struct tr_cursor cur = tr_cursor(event, len);
    uint32_t seconds = (uint32_t)tr_cursor_le(&cur, 4);
    uint8_t type = tr_cursor_u8(&cur);
    uint32_t server_id = (uint32_t)tr_cursor_le(&cur, 4);
    tr_cursor_bytes(&cur, 4);
    uint32_t end = (uint32_t)tr_cursor_le(&cur, 4);
    uint16_t flags = (uint16_t)tr_cursor_le(&cur, 2);
    if (cur.failed || (checksum && tr_cursor_left(&cur) < 4))
        return damaged(progress, type, err);
    cur.end -= checksum ? 4 : 0;
    uint64_t reached = progress->offset;
    *order = TR_BINLOG_ORDER(progress->file_number, reached);
    if (type == EVENT_HEARTBEAT || type == EVENT_HEARTBEAT_V2) {
        if (type == EVENT_HEARTBEAT && end != 0)
            progress->offset = widen(reached, end);
        progress->between = true;
        return 0;
    }
    if (flags & FLAG_ARTIFICIAL || (end == 0 && (type == EVENT_FORMAT || type == EVENT_MARIADB_GTID_LIST))) {
        bool good = type != EVENT_ROTATE || take_rotate(progress, &cur);
        *order = TR_BINLOG_ORDER(progress->file_number, progress->offset);
        return good ? 1 : damaged(progress, type, err);
    }
    if (end != 0) {
        progress->offset = widen(reached, end);
        if (progress->offset - reached >= len) /* what we have was left out */
            *order = TR_BINLOG_ORDER(progress->file_number, progress->offset - len);
    } else {
        progress->offset = reached + len;
    }
    if (type == EVENT_GTID || type == EVENT_ANONYMOUS_GTID || type == EVENT_TAGGED_GTID ||
        type == EVENT_MARIADB_GTID)
        progress->commit_us = (int64_t)seconds * TR_US_PER_S; /* until it says so better itself */
    return take_event(progress, type, server_id, cur, *order) ? 1 : damaged(progress, type, err);
}

/* ----------------------------------------------------------------------------------------------------------- frames */

static uint64_t
order_now(const struct tr_mysql_progress *progress)
{
    return TR_BINLOG_ORDER(progress->file_number, progress->offset);
}

static int
keepalive(struct tr_mysql_progress *progress, struct tr_frame *frame, uint64_t end)
{
    *frame = (struct tr_frame){ .kind = TR_FRAME_KEEPALIVE, .order = order_now(progress), .end = end };
    progress->told = order_now(progress);
    return 1;
}

/* stop: gtid:SET. All of it has been handed out, and the log stands between two transactions. */
static bool
stop_reached(struct tr_mysql_progress *progress)
{
    if (!progress->stop_wanted || !progress->between)
        return false;
    struct tr_gtid_set seen;
    tr_gtid_set_copy(&seen, &progress->set);
    for (size_t i = 0; i < progress->count; i++) {
        const char *gtid = progress->pending[(progress->first + i) % progress->capacity].gtid;
        tr_gtid_set_add(&seen, gtid, strlen(gtid));
    }
    bool reached = tr_gtid_set_contains(&seen, &progress->stop_set);
    tr_gtid_set_fini(&seen);
    return reached;
}

static bool
is_gtid(const uint8_t *event, size_t len)
{
    return len > 4 &&
           (event[4] == EVENT_GTID || event[4] == EVENT_TAGGED_GTID || event[4] == EVENT_MARIADB_GTID);
}

static bool
is_before(const struct tr_mysql_progress *progress)
{
    return order_now(progress) < progress->begin;
}

static int
begins_inside(const struct tr_mysql_progress *progress, struct tr_error *err)
{
    return tr_fail(err, TR_REFUSED, "source: no event begins at %s:%" PRIu64, progress->file,
                   TR_BINLOG_OFFSET(progress->begin));
}

/*
 * RESET MASTER (RESET BINARY LOGS AND GTIDS) leaves a reader with a file that is gone: it gets heartbeats, and nothing that is written later. So now and then an idle one
 * looks whether its file is still as long as what was read of it. The next attempt says what became of the log.
 */
static int
look_for_file(struct tr_mysql_source *source, struct tr_error *err)
{
    struct tr_mysql_progress *progress = &source->progress;
    struct tr_error ignored;
    uint64_t size;
    int64_t now = tr_clock_us();
    if (now - progress->looked_us < LOOK_PERIOD_US)
        return 0;
    progress->looked_us = now;
    if (tr_mysql_file_size(source, progress->file, &size, &ignored) < 0 ||
        (size != UINT64_MAX && size >= progress->offset))
        return 0;
    return tr_fail(err, TR_RETRY,
                   "source: %s:%" PRIu64
                   " was read, and the server has no such place any more: its log was begun anew",
                   progress->file, progress->offset);
}

static int
event_frame(struct tr_mysql_source *source, const struct tr_mysql_packet *packet, struct tr_frame *frame,
            struct tr_error *err)
{
    struct tr_mysql_progress *progress = &source->progress;
    uint64_t order;
    if (packet->len < HEADER_SIZE)
        return damaged(progress, 0, err);
    if (progress->stop_wanted && is_gtid(packet->data, packet->len) && stop_reached(progress))
        return keepalive(progress, frame, UINT64_MAX - 1);
    if (packet->data[4] == EVENT_FORMAT &&
        packet->len >= HEADER_SIZE + 62) /* its last five bytes: algorithm, checksum */
        source->format.checksum = packet->data[packet->len - 5] == 1;
    int rc = tr_mysql_follow(progress, packet->data, packet->len, source->format.checksum, &order, err);
    if (rc < 0)
        return rc;
    if (rc == 0 && is_before(progress))
        return PASSED_OVER;
    if (rc == 0 && (rc = look_for_file(source, err)) < 0)
        return rc;
    if (rc == 0)
        return keepalive(progress, frame, stop_reached(progress) ? UINT64_MAX - 1 : order_now(progress));
    if (order < progress->begin && packet->data[4] != EVENT_FORMAT && packet->data[4] != EVENT_ROTATE)
        return order_now(progress) > progress->begin ? begins_inside(progress, err) : PASSED_OVER;
    uint32_t seconds = (uint32_t)packet->data[0] | (uint32_t)packet->data[1] << 8 |
                       (uint32_t)packet->data[2] << 16 | (uint32_t)packet->data[3] << 24;
    *frame = (struct tr_frame){ .kind = TR_FRAME_LOG,
                                .data = packet->data,
                                .len = packet->len,
                                .order = order,
                                .end = order_now(progress),
                                .sent_us = (int64_t)seconds * TR_US_PER_S };
    return 1;
}

int
tr_mysql_read(struct tr_source *base, struct tr_frame *frame, int64_t wait_us, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_progress *progress = &source->progress;
    struct tr_mysql_packet packet;
    if (source->dump == NULL)
        return tr_fail(err, TR_FATAL, "source: read before start");
    int rc;
    do {
        rc = tr_mysql_dump_next(source, source->dump, &packet, 0, err);
        /* Nothing more at the moment: what was read is the log's end as far as we know. */
        if (rc == 0 && progress->between && progress->told != order_now(progress) && !is_before(progress))
            return keepalive(progress, frame, stop_reached(progress) ? UINT64_MAX - 1 : order_now(progress));
        if (rc == 0 && wait_us > 0)
            rc = tr_mysql_dump_next(source, source->dump, &packet, wait_us, err);
        if (rc > 0)
            rc = event_frame(source, &packet, frame, err);
    } while (rc == PASSED_OVER);
    return rc;
}

int
tr_mysql_acknowledge(struct tr_source *base, const char *position, bool urgent, struct tr_error *err)
{
    (void)base, (void)position, (void)urgent, (void)err; /* the server keeps its log by time, not for us */
    return 0;
}

void
tr_mysql_stream_end(struct tr_mysql_source *source)
{
    tr_mysql_dump_close(source, source->dump);
    source->dump = NULL;
}

/* ------------------------------------------------------------------------------------------------------------ start */

static bool
waits_for_end(const struct tr_mysql_source *source)
{
    const char *stop = tr_setting_string(source->base.env->settings, "stop");
    return stop != NULL && strcmp(stop, "never") != 0;
}

static void
begin_progress(struct tr_mysql_source *source, const struct tr_mysql_position *from, bool by_gtid)
{
    struct tr_mysql_progress *progress = &source->progress;
    struct tr_gtid_set stop_set = progress->stop_set;
    bool stop_wanted = progress->stop_wanted;
    memset(&progress->stop_set, 0, sizeof progress->stop_set);
    tr_mysql_progress_fini(progress);
    progress->stop_set = stop_set;
    progress->stop_wanted = stop_wanted;
    progress->gtid = from->has_gtid;
    tr_gtid_set_copy(&progress->set, &from->set);
    if (from->has_file && !by_gtid) {
        snprintf(progress->file, sizeof progress->file, "%s", from->file);
        progress->file_number = tr_binlog_file_number(from->file);
        progress->offset = from->offset;
        progress->between = true;
    }
    snprintf(source->format.file, sizeof source->format.file, "%s", progress->file);
    source->format.checksum = true; /* the first rotation comes before any description of the format */
}

static int
no_stop(struct tr_error *err)
{
    tr_fail(
        err, TR_CONFIG,
        "stop: a GTID set says when to stop to a task that goes on by GTIDs; this one does by file and offset");
    return tr_error_hint(err, "stop: drained, binlog:FILE:POS, or time:T");
}

/* A server can be asked for the first 4 GiB of a file: beyond them it is read from its beginning, and what lies before is passed over. */
static void
begin_behind(struct tr_mysql_source *source, struct tr_mysql_position *from)
{
    struct tr_mysql_progress *progress = &source->progress;
    tr_log(source->base.env->log, TR_LOG_INFO, "capture",
           "the position %s:%" PRIu64 " lies beyond 4 GiB: the file is read from its beginning", from->file,
           from->offset);
    progress->begin = order_now(progress);
    progress->offset = from->offset = FIRST_OFFSET;
    progress->between = false;
}

int
tr_mysql_start(struct tr_source *base, const char *text, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position from;
    tr_mysql_stream_end(source);
    if (!tr_mysql_position_parse(text, &from)) {
        tr_mysql_position_fini(&from);
        return tr_fail(err, TR_REFUSED, "source: \"%.200s\" is no position of a %s source", text,
                       base->class->name);
    }
    bool by_gtid = source->gtid && from.has_gtid;
    int rc = tr_mysql_log_reaches(source, &from, err);
    int64_t heartbeat = source->heartbeat_us;
    if (waits_for_end(source) && heartbeat > STOP_HEARTBEAT_US)
        heartbeat = STOP_HEARTBEAT_US;
    if (rc == 0 && !by_gtid) { /* a set that is not followed would say less and less */
        tr_gtid_set_fini(&from.set);
        from.has_gtid = false;
        tr_mysql_learn_gtids(source, &from);
    }
    if (rc == 0 && source->progress.stop_wanted && !from.has_gtid)
        rc = no_stop(err);
    if (rc == 0) {
        begin_progress(source, &from, by_gtid);
        from.has_gtid = by_gtid; /* what it has learnt counts from the next start on */
        if (!by_gtid && from.offset > UINT32_MAX)
            begin_behind(source, &from);
        rc = tr_mysql_dump_open(source, &from, heartbeat, false, &source->dump, err);
    }
    tr_mysql_position_fini(&from);
    return rc;
}
