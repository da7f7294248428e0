/*
 * reread.c - one file of the log once more, on a connection of its own, while the stream stands still: where a prepared transaction is looked for.
 *
 * The file is read from its beginning, since only a file tells the format of its events; what is handed out has its checksum verified and cut off, in
 * the form that the decoder knows from held frames (a header that counts a checksum which is not there).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/memory.h"

#define HEADER_SIZE 19
#define CHECKSUM_SIZE 4
#define FIRST_OFFSET 4 /* behind the file's magic number */
#define WAIT_US (1 * TR_US_PER_S)
#define HEARTBEAT_US 200000 /* at its end the log says that it is */

enum { EVENT_ROTATE = 4, EVENT_FORMAT = 15 };

/* The file that holds `before`, or the one in front of it when `before` is a file's beginning. 1 = found. */
static int
find_file(struct tr_mysql_source *source, uint64_t before, char *file, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    uint64_t number = before >> 40, best = 0;
    bool found = false, beginning = TR_BINLOG_OFFSET(before) == 0;
    int rc = tr_mysql_ask(source, "SHOW BINARY LOGS", &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot list the server's log files");
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        uint64_t n = tr_binlog_file_number(row[0]);
        bool fits = beginning ? n < number : n == number;
        if (!fits || (found && n < best) || strlen(row[0]) >= TR_MYSQL_FILE_MAX)
            continue;
        found = true;
        best = n;
        snprintf(file, TR_MYSQL_FILE_MAX, "%s", row[0]);
    }
    mysql_free_result(res);
    return found;
}

/* --------------------------------------------------------------------------------------------------------- one file */

struct walk {
    struct tr_mysql_source *source;
    struct tr_mysql_progress *progress;
    const char *file;
    uint64_t end;
    bool checksum;
    bool enough; /* the visitor has said so */
    const struct tr_mysql_visitor *visitor;
};

/* 1 = the walk is over. */
static int
take_packet(struct walk *walk, const struct tr_mysql_packet *packet, struct tr_error *err)
{
    uint64_t order;
    if (packet->len < HEADER_SIZE + (walk->checksum ? CHECKSUM_SIZE : 0))
        return tr_fail(err, TR_FATAL, "source: an event of %zu bytes in %s", packet->len, walk->file);
    if (packet->data[4] == EVENT_FORMAT && packet->len >= HEADER_SIZE + 62)
        walk->checksum = packet->data[packet->len - 5] == 1;
    int rc = tr_mysql_follow(walk->progress, packet->data, packet->len, walk->checksum, &order, err);
    if (rc < 0)
        return rc;
    if (rc == 0 || strcmp(walk->file, walk->progress->file) != 0 || order >= walk->end)
        return 1; /* the log's end, the next file, or the place it is read up to */
    rc = walk->visitor->event(walk->visitor->arg, packet, order, err);
    walk->enough = rc > 0;
    return rc;
}

int
tr_mysql_walk(struct tr_mysql_source *source, const char *file, uint64_t end,
              struct tr_mysql_progress *progress, const struct tr_mysql_visitor *visitor,
              struct tr_error *err)
{
    struct tr_mysql_position from = { .has_file = true, .offset = FIRST_OFFSET };
    struct walk walk = { source, progress, file, end, true, false, visitor };
    struct tr_mysql_packet packet;
    struct tr_mysql_dump *dump;
    snprintf(from.file, sizeof from.file, "%s", file);
    snprintf(progress->file, sizeof progress->file, "%s", file);
    progress->file_number = tr_binlog_file_number(file);
    progress->offset = FIRST_OFFSET;
    tr_log(source->base.env->log, TR_LOG_DEBUG, "capture", "reading %s again", file);
    int64_t heartbeat = source->heartbeat_us < HEARTBEAT_US ? source->heartbeat_us : HEARTBEAT_US;
    int rc = tr_mysql_dump_open(source, &from, heartbeat, true, &dump, err);
    if (rc < 0)
        return rc;
    do {
        rc = tr_mysql_dump_next(source, dump, &packet, WAIT_US, err);
        if (rc > 0)
            rc = take_packet(&walk, &packet, err);
    } while (rc == 0);
    tr_mysql_dump_close(source, dump);
    return rc < 0 ? rc : walk.enough;
}

/* ------------------------------------------------------------------------------------- frames of a part of the log */

struct part {
    struct tr_mysql_progress progress;
    struct tr_buffer copy; /* of an event of a file without checksums */
    bool checksum;
    const struct tr_log_visitor *visitor;
};

static uint32_t
le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int
damaged(const struct part *part, uint64_t order, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "source: the event at %s:%" PRIu64 " is damaged: its checksum is wrong",
            part->progress.file, TR_BINLOG_OFFSET(order));
    return tr_error_hint(err, "compare with mysqlbinlog --verify-binlog-checksum on the server");
}

/* Without the checksum, the header as if it were there. */
static int
bare_frame(struct part *part, const struct tr_mysql_packet *packet, struct tr_frame *frame,
           struct tr_error *err)
{
    frame->data = packet->data;
    frame->len = packet->len;
    if (part->checksum) {
        frame->len -= CHECKSUM_SIZE;
        return le32(packet->data + frame->len) == (uint32_t)crc32_z(0, packet->data, frame->len)
                   ? 0
                   : damaged(part, frame->order, err);
    }
    uint32_t len = (uint32_t)packet->len + CHECKSUM_SIZE;
    tr_buffer_reset(&part->copy);
    tr_buffer_add(&part->copy, packet->data, packet->len);
    if (part->copy.overflow)
        return tr_fail(err, TR_REFUSED, "source: an event of the log is larger than 1 GiB");
    for (int i = 0; i < 4; i++)
        part->copy.data[9 + i] = (char)(len >> (8 * i));
    frame->data = (const uint8_t *)part->copy.data;
    return 0;
}

static int
hand_out(void *arg, const struct tr_mysql_packet *packet, uint64_t order, struct tr_error *err)
{
    struct part *part = arg;
    struct tr_frame frame = { .kind = TR_FRAME_LOG, .order = order };
    tr_mysql_fold(&part->progress, UINT64_MAX); /* its GTIDs are of no use here */
    if (packet->data[4] == EVENT_FORMAT && packet->len >= HEADER_SIZE + 62)
        part->checksum = packet->data[packet->len - 5] == 1;
    if (packet->data[4] == EVENT_ROTATE || packet->data[4] == EVENT_FORMAT)
        return 0;
    int rc = bare_frame(part, packet, &frame, err);
    return rc < 0 ? rc : part->visitor->frame(part->visitor->arg, &frame, err);
}

int
tr_mysql_reread(struct tr_source *base, uint64_t *before, const struct tr_log_visitor *visitor,
                struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct part part = { .checksum = true, .visitor = visitor };
    const struct tr_mysql_visitor events = { &part, hand_out };
    char file[TR_MYSQL_FILE_MAX];
    int rc = find_file(source, *before, file, err);
    if (rc <= 0)
        return rc;
    tr_buffer_init(&part.copy, (size_t)1 << 30);
    rc = tr_mysql_walk(source, file, TR_BINLOG_OFFSET(*before) != 0 ? *before : UINT64_MAX, &part.progress,
                       &events, err);
    tr_mysql_progress_fini(&part.progress);
    tr_buffer_fini(&part.copy);
    if (rc < 0)
        return rc;
    *before = TR_BINLOG_ORDER(tr_binlog_file_number(file), 0);
    return 1;
}
