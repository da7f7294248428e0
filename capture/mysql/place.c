/*
 * place.c - places in the log that are told otherwise: by a time, or without the GTIDs that go with them.
 *
 * A file begins with the time at which it was made, so the file is found by halves; within it the transactions are read one by one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/cursor.h"
#include "core/memory.h"

#define HEADER_SIZE 19
#define CHECKSUM_SIZE 4

enum {
    EVENT_STOP = 3,
    EVENT_ROTATE = 4,
    EVENT_FORMAT = 15,
    EVENT_GTID = 33,
    EVENT_ANONYMOUS_GTID = 34,
    EVENT_PREVIOUS_GTIDS = 35,
    EVENT_TAGGED_GTID = 42,
    EVENT_MARIADB_GTID = 162,
    EVENT_MARIADB_GTID_LIST = 163,
};

struct files {
    char **names;
    size_t count;
};

static void
files_fini(struct files *files)
{
    while (files->count > 0)
        free(files->names[--files->count]);
    free(files->names);
}

static int
list_files(struct tr_mysql_source *source, struct files *files, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    *files = (struct files){ 0 };
    int rc = tr_mysql_ask(source, "SHOW BINARY LOGS", &res, err);
    if (rc < 0) {
        tr_error_prefix(err, "source: cannot list the server's log files");
        return tr_error_hint(err, "GRANT %s ON *.* TO the account of the task",
                             source->mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT");
    }
    files->names = tr_calloc((size_t)mysql_num_rows(res) + 1, sizeof(char *));
    while ((row = mysql_fetch_row(res)) != NULL)
        files->names[files->count++] = tr_strdup(row[0]);
    mysql_free_result(res);
    return files->count > 0 ? 0 : tr_fail(err, TR_REFUSED, "source: the server has no binary log");
}

/* ----------------------------------------------------------------------------------------------- when a file was made */

static int
first_time(void *arg, const struct tr_mysql_packet *packet, uint64_t order, struct tr_error *err)
{
    int64_t *us = arg;
    const uint8_t *b = packet->data;
    (void)order, (void)err;
    if (b[4] != EVENT_FORMAT)
        return 0;
    *us = (int64_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24) *
          TR_US_PER_S;
    return 1;
}

static int
time_of_file(struct tr_mysql_source *source, const char *file, int64_t *us, struct tr_error *err)
{
    struct tr_mysql_progress progress = { 0 };
    const struct tr_mysql_visitor visitor = { us, first_time };
    *us = 0;
    int rc = tr_mysql_walk(source, file, UINT64_MAX, &progress, &visitor, err);
    tr_mysql_progress_fini(&progress);
    if (rc == 0)
        rc = tr_fail(err, TR_REFUSED, "source: the log file %s does not say when it was made", file);
    return rc < 0 ? rc : 0;
}

/* The last file that was made before the second of that time: a file tells no more of when it was made. *found is false when all were made later. */
static int
find_by_time(struct tr_mysql_source *source, const struct files *files, int64_t unix_us, size_t *index,
             bool *found, struct tr_error *err)
{
    size_t low = 0, high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t made = 0;
        int rc = time_of_file(source, files->names[middle], &made, err);
        if (rc < 0)
            return rc;
        if (made < unix_us - unix_us % TR_US_PER_S)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low > 0;
    *index = low > 0 ? low - 1 : 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------------- transactions of a file */

struct search {
    struct tr_mysql_progress progress;
    int64_t unix_us;  /* the time that is looked for, or INT64_MAX */
    uint64_t place;   /* the place that is looked for, or UINT64_MAX */
    bool knows;       /* the file says which GTIDs lie before it */
    uint64_t order;   /* what was found */
    uint64_t reached; /* behind the last event of the file, but for the one that names the next file */
    char file[TR_MYSQL_FILE_MAX];
};

/* The server's own list of what lies before the file. */
static void
take_previous(struct search *search, const struct tr_mysql_packet *packet)
{
    size_t len = packet->len - HEADER_SIZE;
    struct tr_gtid_set set = { 0 };
    /* With its checksum or without: the list says itself where it ends. */
    search->knows = tr_gtid_set_decode(&set, packet->data + HEADER_SIZE, len) ||
                    (len > CHECKSUM_SIZE &&
                     tr_gtid_set_decode(&set, packet->data + HEADER_SIZE, len - CHECKSUM_SIZE));
    tr_gtid_set_fini(&search->progress.set);
    search->progress.set = set;
}

/* Only where a transaction begins or the file ends can it be said what lies before. */
static int
look_at(void *arg, const struct tr_mysql_packet *packet, uint64_t order, struct tr_error *err)
{
    struct search *search = arg;
    bool time = false;
    (void)err;
    switch (packet->data[4]) {
    case EVENT_PREVIOUS_GTIDS: take_previous(search, packet); return 0;
    case EVENT_GTID:
    case EVENT_ANONYMOUS_GTID:
    case EVENT_TAGGED_GTID:
    case EVENT_MARIADB_GTID: time = search->progress.commit_us >= search->unix_us; break;
    case EVENT_STOP:
    case EVENT_ROTATE: break;
    default: return 0;
    }
    tr_mysql_fold(&search->progress, order);
    if (!time && order < search->place)
        return 0;
    search->order = order;
    return 1;
}

static struct search
new_search(const struct tr_mysql_source *source, const char *file, int64_t unix_us, uint64_t place)
{
    struct search search = { .unix_us = unix_us, .place = place };
    snprintf(search.file, sizeof search.file, "%s", file);
    search.progress.gtid = !source->mariadb; /* MariaDB is asked for them */
    return search;
}

static void
take_place(struct tr_mysql_source *source, struct search *search, uint64_t order,
           struct tr_mysql_position *position)
{
    position->has_file = true;
    memmove(position->file, search->file, sizeof position->file);
    position->offset = TR_BINLOG_OFFSET(order);
    if (source->mariadb || !source->gtid || !search->knows)
        return;
    tr_gtid_set_fini(&position->set);
    tr_gtid_set_copy(&position->set, &search->progress.set);
    position->has_gtid = true;
}

static int
begins_too_late(const char *file, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "start: the server's log begins with %s, which was made after that time", file);
    return tr_error_hint(
        err, "what was changed before is no longer in the log: load the tables (mode full-load-and-cdc), or "
             "begin at a later time");
}

int
tr_mysql_place_of_time(struct tr_mysql_source *source, int64_t unix_us, struct tr_mysql_position *position,
                       struct tr_error *err)
{
    struct files files;
    size_t at = 0;
    bool found = false;
    if (source
            ->mariadb) /* its log has seconds alone: what was committed within the one that is asked for may have been later */
        unix_us -= unix_us % TR_US_PER_S;
    int rc = list_files(source, &files, err);
    if (rc == 0)
        rc = find_by_time(source, &files, unix_us, &at, &found, err);
    if (rc == 0 && !found && tr_binlog_file_number(files.names[0]) != 1)
        rc = begins_too_late(files.names[0], err);
    int hit = 0;
    for (; rc == 0 && hit == 0 && at < files.count; at++) {
        struct search search = new_search(source, files.names[at], unix_us, UINT64_MAX);
        const struct tr_mysql_visitor visitor = { &search, look_at };
        hit = tr_mysql_walk(source, files.names[at], UINT64_MAX, &search.progress, &visitor, err);
        if (hit > 0)
            take_place(source, &search, search.order, position);
        tr_mysql_progress_fini(&search.progress);
        rc = hit < 0 ? hit : 0;
    }
    files_fini(&files);
    return rc == 0 && hit == 0 ? tr_mysql_server_end(source, NULL, position, err) : rc;
}

int
tr_mysql_gtids_before(struct tr_mysql_source *source, struct tr_mysql_position *position,
                      struct tr_error *err)
{
    uint64_t order = tr_mysql_position_order(position);
    struct search search = new_search(source, position->file, INT64_MAX, order);
    const struct tr_mysql_visitor visitor = { &search, look_at };
    int rc = tr_mysql_walk(source, position->file, UINT64_MAX, &search.progress, &visitor, err);
    uint64_t end = TR_BINLOG_ORDER(search.progress.file_number, search.progress.offset);
    if (rc == 0 && end == order) { /* it is the log's end */
        tr_mysql_fold(&search.progress, order);
        search.order = order;
    }
    if (rc >= 0 && search.order == order)
        take_place(source, &search, order, position);
    tr_mysql_progress_fini(&search.progress);
    return rc < 0 ? rc : 0;
}

/* ----------------------------------------------------------------------------- MariaDB: what lies before any event of a file */

/* uint32 count in the low 28 bits, then for each uint32 domain, uint32 server, uint64 number: the last ones before the file. */
static bool
take_list(struct search *search, const struct tr_mysql_packet *packet)
{
    struct tr_cursor cur = tr_cursor(packet->data + HEADER_SIZE, packet->len - HEADER_SIZE);
    uint32_t count = (uint32_t)tr_cursor_le(&cur, 4) & 0x0fffffffU;
    if (cur.failed || count > tr_cursor_left(&cur) / 16)
        return false;
    for (; count > 0; count--) {
        char text[64];
        uint32_t domain = (uint32_t)tr_cursor_le(&cur, 4), server = (uint32_t)tr_cursor_le(&cur, 4);
        int len = snprintf(text, sizeof text, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, domain, server,
                           tr_cursor_le(&cur, 8));
        if (!tr_gtid_set_add(&search->progress.set, text, (size_t)len))
            return false;
    }
    return true;
}

/* Any event's beginning will do as a place: a snapshot may stand in front of what the server notes between transactions. */
static int
look_for_place(void *arg, const struct tr_mysql_packet *packet, uint64_t order, struct tr_error *err)
{
    struct search *search = arg;
    (void)err;
    if (packet->data[4] == EVENT_MARIADB_GTID_LIST && !search->knows)
        search->knows = take_list(search, packet);
    if (order == search->place)
        search->order = order;
    search->reached = TR_BINLOG_ORDER(search->progress.file_number, search->progress.offset);
    tr_mysql_fold(&search->progress, order < search->place ? order : search->place);
    return search->knows && order >= search->place;
}

static int
has_file(struct tr_mysql_source *source, const char *file, bool *has, struct tr_error *err)
{
    struct files files;
    int rc = list_files(source, &files, err);
    *has = false;
    for (size_t i = 0; rc == 0 && i < files.count && !*has; i++)
        *has = strcmp(files.names[i], file) == 0;
    files_fini(&files);
    return rc;
}

int
tr_mysql_count_gtids(struct tr_mysql_source *source, struct tr_mysql_position *position, struct tr_error *err)
{
    uint64_t order = tr_mysql_position_order(position);
    struct search search = new_search(source, position->file, INT64_MAX, order);
    const struct tr_mysql_visitor visitor = { &search, look_for_place };
    bool has;
    int rc = has_file(source, position->file, &has, err);
    if (rc < 0 || !has)
        return rc;
    search.progress.gtid = true;
    rc = tr_mysql_walk(source, position->file, UINT64_MAX, &search.progress, &visitor, err);
    if (rc == 0 && search.reached == order) { /* it is the log's end, or was it a moment ago */
        tr_mysql_fold(&search.progress, order);
        search.order = order;
    }
    if (rc >= 0 && search.knows && search.order == order) {
        tr_gtid_set_fini(&position->set);
        tr_gtid_set_copy(&position->set, &search.progress.set);
        position->has_gtid = true;
    }
    tr_mysql_progress_fini(&search.progress);
    return rc < 0 ? rc : 0;
}
