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

struct part {
    struct tr_mysql_source *source;
    struct tr_mysql_progress progress;
    uint64_t end;
    bool checksum;
    struct tr_buffer copy; /* of an event of a file without checksums */
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
    if (packet->data[4] == EVENT_FORMAT)
        return 0;
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

/* 1 = the part is at its end. */
static int
take_packet(struct part *part, const struct tr_mysql_packet *packet, struct tr_error *err)
{
    struct tr_frame frame = { .kind = TR_FRAME_LOG };
    char file[TR_MYSQL_FILE_MAX];
    snprintf(file, sizeof file, "%s", part->progress.file);
    if (packet->len < HEADER_SIZE + (part->checksum ? CHECKSUM_SIZE : 0))
        return tr_fail(err, TR_FATAL, "source: an event of %zu bytes in %s", packet->len, file);
    if (packet->data[4] == EVENT_FORMAT && packet->len >= HEADER_SIZE + 62)
        part->checksum = packet->data[packet->len - 5] == 1;
    int rc = tr_mysql_follow(&part->progress, packet->data, packet->len, part->checksum, &frame.order, err);
    if (rc < 0)
        return rc;
    tr_mysql_fold(&part->progress, UINT64_MAX); /* its GTIDs are of no use here */
    if (rc == 0 || strcmp(file, part->progress.file) != 0 || frame.order >= part->end)
        return 1; /* the log's end, the next file, or the place it is read up to */
    if (packet->data[4] == EVENT_ROTATE || packet->data[4] == EVENT_FORMAT)
        return 0;
    rc = bare_frame(part, packet, &frame, err);
    return rc < 0 ? rc : part->visitor->frame(part->visitor->arg, &frame, err);
}

static int
read_part(struct part *part, struct tr_mysql_dump *dump, struct tr_error *err)
{
    struct tr_mysql_packet packet;
    int rc;
    do {
        rc = tr_mysql_dump_next(part->source, dump, &packet, WAIT_US, err);
        if (rc > 0)
            rc = take_packet(part, &packet, err);
    } while (rc == 0);
    return rc;
}

int
tr_mysql_reread(struct tr_source *base, uint64_t *before, const struct tr_log_visitor *visitor,
                struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position from = { .has_file = true, .offset = FIRST_OFFSET };
    struct part part = { .source = source, .checksum = true, .visitor = visitor };
    struct tr_mysql_dump *dump;
    int rc = find_file(source, *before, from.file, err);
    if (rc <= 0)
        return rc;
    part.end = TR_BINLOG_OFFSET(*before) != 0 ? *before : UINT64_MAX;
    snprintf(part.progress.file, sizeof part.progress.file, "%s", from.file);
    part.progress.file_number = tr_binlog_file_number(from.file);
    part.progress.offset = FIRST_OFFSET;
    tr_buffer_init(&part.copy, (size_t)1 << 30);
    tr_log(base->env->log, TR_LOG_DEBUG, "capture", "reading %s again", from.file);
    rc = tr_mysql_dump_open(source, &from, source->heartbeat_us, true, &dump, err);
    if (rc == 0) {
        rc = read_part(&part, dump, err);
        tr_mysql_dump_close(source, dump);
    }
    tr_mysql_progress_fini(&part.progress);
    tr_buffer_fini(&part.copy);
    if (rc > 0)
        *before = TR_BINLOG_ORDER(tr_binlog_file_number(from.file), 0);
    return rc;
}
