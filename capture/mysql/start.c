/* start.c - where the log begins and ends: starts, stops, the server's own position, and whether it still has what is asked for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/memory.h"

#define STATUS_VERSION 80200 /* SHOW BINARY LOG STATUS came with 8.2, its old name went with 8.4 */

static int
ask(struct tr_mysql_source *source, MYSQL *conn, const char *sql, MYSQL_RES **res, struct tr_error *err)
{
    return conn != NULL ? tr_mysql_query(conn, sql, res, err) : tr_mysql_ask(source, sql, res, err);
}

static int
no_such_place(const struct tr_mysql_position *position, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "source: the server has no log %s, or no event begins at its offset %" PRIu64,
            position->file, position->offset);
    return tr_error_hint(err, "SHOW BINARY LOGS lists what it has");
}

/*
 * MariaDB: the GTIDs up to a place in the log. The server answers NULL when no such place is there, but also when an event in front of it is
 * larger than max_allowed_packet, as that of an update of large values may be: then the file is read here.
 */
static int
mariadb_gtid_at(struct tr_mysql_source *source, struct tr_mysql_position *position, struct tr_error *err)
{
    struct tr_buffer sql;
    char *text;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT BINLOG_GTID_POS(");
    tr_mysql_literal(&sql, position->file, strlen(position->file));
    tr_buffer_printf(&sql, ", %" PRIu64 ")", position->offset);
    int rc = tr_mysql_ask_text(source, sql.data, &text, err);
    tr_buffer_fini(&sql);
    if (rc == 0 && text == NULL)
        rc = tr_mysql_count_gtids(source, position, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot ask for the GTIDs at %s:%" PRIu64, position->file,
                               position->offset);
    if (text == NULL)
        return position->has_gtid ? 0 : no_such_place(position, err);
    position->has_gtid = true;
    if (!tr_gtid_set_add(&position->set, text, strlen(text)))
        rc = tr_fail(err, TR_FATAL, "source: the server's GTID position \"%.200s\" cannot be read", text);
    free(text);
    return rc;
}

static int
no_log(struct tr_mysql_source *source, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "source: the server writes no binary log");
    return tr_error_hint(err, "in the server's configuration: log_bin%s; then restart it",
                         source->mariadb ? ", binlog_format = ROW" : "");
}

int
tr_mysql_server_end(struct tr_mysql_source *source, MYSQL *conn, struct tr_mysql_position *end,
                    struct tr_error *err)
{
    MYSQL_RES *res;
    memset(end, 0, sizeof *end);
    bool renamed = !source->mariadb && source->version >= STATUS_VERSION;
    int rc = ask(source, conn, renamed ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS", &res, err);
    if (rc < 0) {
        tr_error_prefix(err, "source: cannot ask for the end of the log");
        return tr_error_hint(err, "GRANT %s ON *.* TO the account of the task",
                             source->mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT");
    }
    MYSQL_ROW row = res != NULL ? mysql_fetch_row(res) : NULL;
    if (row == NULL || strlen(row[0]) >= sizeof end->file) {
        mysql_free_result(res);
        return no_log(source, err);
    }
    end->has_file = true;
    snprintf(end->file, sizeof end->file, "%s", row[0]);
    end->offset = strtoull(row[1], NULL, 10);
    if (source->gtid && !source->mariadb) {
        const char *set = mysql_num_fields(res) > 4 && row[4] != NULL ? row[4] : "";
        end->has_gtid = tr_gtid_set_add(&end->set, set, strlen(set));
        if (!end->has_gtid)
            rc = tr_fail(err, TR_FATAL, "source: the server's GTID set \"%.200s\" cannot be read", set);
    }
    mysql_free_result(res);
    if (rc == 0 && source->gtid && source->mariadb && conn == NULL)
        rc = mariadb_gtid_at(source, end, err);
    if (rc < 0)
        tr_mysql_position_fini(end);
    return rc;
}

int
tr_mysql_position_fit(struct tr_mysql_source *source, const struct tr_mysql_position *position, char *out,
                      size_t size, struct tr_error *err)
{
    struct tr_buffer text;
    struct tr_mysql_position short_one = *position;
    tr_buffer_init(&text, (size_t)16 << 20);
    tr_mysql_position_text(position, &text);
    if (text.len >= size && position->has_file) {
        tr_log(
            source->base.env->log, TR_LOG_WARNING, "capture",
            "the server's GTID set is too long to be kept here (%zu bytes); the position is kept by file and offset",
            text.len);
        short_one.has_gtid = false;
        tr_buffer_reset(&text);
        tr_mysql_position_text(&short_one, &text);
    }
    int rc = text.len >= size
                 ? tr_fail(err, TR_REFUSED, "source: the GTID set is longer than %zu bytes", size)
                 : 0;
    if (rc == 0)
        memcpy(out, text.data, text.len + 1);
    tr_buffer_fini(&text);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- is the log still there? */

static int
gone(struct tr_error *err, const char *what)
{
    tr_fail(err, TR_REFUSED, "source: %s", what);
    return tr_error_hint(
        err,
        "load the tables again (tailrace reload); have the server keep its log for longer (binlog_expire_logs_seconds), "
        "and the task run more often");
}

static int
ask_set(struct tr_mysql_source *source, const char *sql, struct tr_gtid_set *set, struct tr_error *err)
{
    char *text;
    memset(set, 0, sizeof *set);
    int rc = tr_mysql_ask_text(source, sql, &text, err);
    if (rc == 0 && text != NULL && !tr_gtid_set_add(set, text, strlen(text)))
        rc = tr_fail(err, TR_FATAL, "source: the server's GTID set \"%.200s\" cannot be read", text);
    free(text);
    return rc;
}

static int
lacks_carried(struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "source: the task has carried transactions that the server does not have: it was reset, restored from a backup, "
        "or took over without them");
    return tr_error_hint(
        err,
        "go on with a server that has them; or compare source and target, and load the tables again (tailrace reload)");
}

/* "0-11-7,0-12-9": of each domain and server the last one in the log. */
static bool
state_has(const char *state, const struct tr_gtid_entry *want)
{
    uint32_t domain, server;
    uint64_t sequence;
    for (const char *p = state; p != NULL; p = strchr(p, ','), p += p != NULL)
        if (sscanf(p, "%" SCNu32 "-%" SCNu32 "-%" SCNu64, &domain, &server, &sequence) == 3 &&
            domain == want->domain && server == want->server && sequence >= want->sequence)
            return true;
    return false;
}

/* A server that took over without all of another's transactions gives their numbers to its own: who wrote them counts, too. What was purged the server says itself. */
static int
mariadb_reaches(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                struct tr_error *err)
{
    char *state;
    int rc = tr_mysql_ask_text(source, "SELECT @@global.gtid_binlog_state", &state, err);
    for (size_t i = 0; rc == 0 && i < position->set.count; i++)
        if (state == NULL || !state_has(state, &position->set.entries[i]))
            rc = lacks_carried(err);
    free(state);
    return rc;
}

static int
gtid_reaches(struct tr_mysql_source *source, const struct tr_mysql_position *position, struct tr_error *err)
{
    struct tr_gtid_set have, purged = { 0 };
    if (source->mariadb)
        return mariadb_reaches(source, position, err);
    int rc = ask_set(source, "SELECT @@global.gtid_executed", &have, err);
    if (rc == 0)
        rc = ask_set(source, "SELECT @@global.gtid_purged", &purged, err);
    if (rc == 0 && !tr_gtid_set_contains(&have, &position->set)) {
        rc = lacks_carried(err);
    } else if (rc == 0 && !tr_gtid_set_contains(&position->set, &purged)) {
        rc = gone(err, "the server has purged transactions from its log that the task has not carried yet");
    }
    tr_gtid_set_fini(&have);
    tr_gtid_set_fini(&purged);
    return rc;
}

int
tr_mysql_file_size(struct tr_mysql_source *source, const char *file, uint64_t *size, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    *size = UINT64_MAX;
    int rc = tr_mysql_ask(source, "SHOW BINARY LOGS", &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot list the server's log files");
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        if (strcmp(row[0], file) == 0)
            *size = strtoull(row[1], NULL, 10);
    mysql_free_result(res);
    return 0;
}

static int
file_reaches(struct tr_mysql_source *source, const struct tr_mysql_position *position, struct tr_error *err)
{
    char text[512];
    uint64_t size;
    int rc = tr_mysql_file_size(source, position->file, &size, err);
    if (rc < 0)
        return err->sqlstate[0] != '\0'
                   ? tr_error_hint(err, "GRANT %s ON *.* TO the account of the task",
                                   source->mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT")
                   : rc;
    if (size == UINT64_MAX) {
        snprintf(text, sizeof text, "the server no longer has its log file %s, in which the task goes on",
                 position->file);
        return gone(err, text);
    }
    if (position->offset <= size)
        return 0;
    tr_fail(err, TR_REFUSED,
            "source: the position %s:%" PRIu64 " lies beyond the end of that file (%" PRIu64 " bytes)",
            position->file, position->offset, size);
    return tr_error_hint(
        err,
        "the server lost the end of its log in a crash (sync_binlog), or it is another log under the same name: compare source "
        "and target, and load the tables again (tailrace reload)");
}

int
tr_mysql_log_reaches(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                     struct tr_error *err)
{
    if (source->gtid && position->has_gtid)
        return gtid_reaches(source, position, err);
    if (position->has_file)
        return file_reaches(source, position, err);
    tr_fail(err, TR_REFUSED, "source: the position is a GTID set, and %s",
            source->mariadb ? "GTIDs are switched off for this task (gtid: off)"
                            : "the server does not write GTIDs");
    return tr_error_hint(err, "gtid_mode = ON on the source, or start from a file and an offset");
}

/* --------------------------------------------------------------------------------------------------- start and stop */

/* "FILE:POS" */
static bool
parse_file(const char *text, struct tr_mysql_position *position)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof position->file || colon[1] == '\0')
        return false;
    char *end;
    position->offset = strtoull(colon + 1, &end, 10);
    memcpy(position->file, text, (size_t)(colon - text));
    position->file[colon - text] = '\0';
    position->has_file = true;
    return *end == '\0' && position->offset >= 4;
}

static int
start_file(const char *text, struct tr_mysql_position *position, struct tr_error *err)
{
    if (!parse_file(text, position))
        return tr_fail(err, TR_CONFIG, "start: \"%.200s\" is no file and offset such as mysql-bin.000012:4",
                       text);
    return 0;
}

static int
start_gtid(struct tr_mysql_source *source, const char *text, struct tr_mysql_position *position,
           struct tr_error *err)
{
    position->has_gtid = true;
    enum tr_gtid_kind kind = source->mariadb ? TR_GTID_MARIADB : TR_GTID_MYSQL;
    if (tr_gtid_set_add(&position->set, text, strlen(text)) &&
        (position->set.kind == kind || position->set.count == 0))
        return 0;
    tr_fail(err, TR_CONFIG, "start: \"%.200s\" is no GTID set of %s", text,
            source->mariadb ? "MariaDB" : "MySQL");
    return tr_error_hint(err, source->mariadb ? "it reads 0-1-100,1-2-7"
                                              : "it reads 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23");
}

static int
start_time(struct tr_mysql_source *source, const char *text, struct tr_mysql_position *position,
           struct tr_error *err)
{
    int64_t us;
    if (!tr_mysql_time_parse(text, &us))
        return tr_fail(err, TR_CONFIG, "start: \"%.100s\" is no time such as 2026-01-31T12:00:00Z", text);
    return tr_mysql_place_of_time(source, us, position, err);
}

static bool
is_loader(const char *start)
{
    return strncmp(start, "mydumper:", 9) == 0 || strncmp(start, "xtrabackup:", 11) == 0 ||
           strncmp(start, "dump:", 5) == 0;
}

static int
resolve(struct tr_mysql_source *source, const char *start, struct tr_mysql_position *position,
        struct tr_error *err)
{
    if (strcmp(start, "now") == 0 || strcmp(start, "slot") == 0)
        return tr_mysql_server_end(source, NULL, position, err);
    if (strncmp(start, "gtid:", 5) == 0)
        return start_gtid(source, start + 5, position, err);
    if (strncmp(start, "binlog:", 7) == 0)
        return start_file(start + 7, position, err);
    if (strncmp(start, "time:", 5) == 0)
        return start_time(source, start + 5, position, err);
    if (is_loader(start))
        return tr_mysql_loader_position(source, start, position, err);
    tr_fail(err, TR_CONFIG, "start: \"%.200s\" is not understood by a %s source", start,
            source->base.class->name);
    return tr_error_hint(
        err,
        "it is one of now, gtid:SET, binlog:FILE:POS, time:2026-01-31T12:00:00Z, mydumper:DIR, xtrabackup:FILE, dump:FILE");
}

int
tr_mysql_start_position(struct tr_source *base, const char *start, char *out, size_t size,
                        struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position position = { 0 };
    int rc = resolve(source, start, &position, err);
    bool no_gtid = rc == 0 && source->gtid && !position.has_gtid;
    if (source->gtid && position.has_gtid && is_loader(start))
        position.has_file = false; /* the loader may have read a replica: the file is that one's */
    /* MariaDB can say which GTIDs a place has behind it, MySQL's log does: a task that knows them survives a failover. */
    if (no_gtid && source->mariadb)
        rc = mariadb_gtid_at(source, &position, err);
    if (rc == 0)
        rc = tr_mysql_log_reaches(source, &position, err);
    if (rc == 0 && no_gtid && !source->mariadb)
        rc = tr_mysql_gtids_before(source, &position, err);
    if (rc == 0)
        rc = tr_mysql_position_fit(source, &position, out, size, err);
    tr_mysql_position_fini(&position);
    return rc;
}

void
tr_mysql_learn_gtids(struct tr_mysql_source *source, struct tr_mysql_position *position)
{
    struct tr_error ignored;
    struct tr_buffer out;
    if (!source->gtid || position->has_gtid || !position->has_file)
        return;
    int rc = source->mariadb ? mariadb_gtid_at(source, position, &ignored)
                             : tr_mysql_gtids_before(source, position, &ignored);
    tr_buffer_init(&out, TR_POSITION_MAX); /* cuts must be able to have the set, too */
    tr_mysql_position_text(position, &out);
    if (rc < 0 || out.overflow ||
        position->set.count == 0) { /* none in front: those that follow may have none either */
        tr_gtid_set_fini(&position->set);
        position->has_gtid = false;
    } else {
        tr_log(source->base.env->log, TR_LOG_INFO, "capture", "the position has its GTIDs from here on: %s",
               out.data);
    }
    tr_buffer_fini(&out);
}

static int
stop_gtid(struct tr_mysql_source *source, const char *text, uint64_t *order, struct tr_error *err)
{
    struct tr_mysql_progress *progress = &source->progress;
    tr_gtid_set_fini(&progress->stop_set);
    if (!tr_gtid_set_add(&progress->stop_set, text, strlen(text)))
        return tr_fail(err, TR_CONFIG, "stop: \"%.200s\" is no GTID set", text);
    progress->stop_wanted = true;
    *order = UINT64_MAX - 1; /* no place in a log: the stream says when the set is complete */
    return 0;
}

int
tr_mysql_stop_at(struct tr_source *base, const char *stop, uint64_t *order, int64_t *time_us,
                 struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position position = { 0 };
    *order = UINT64_MAX;
    *time_us = 0;
    if (strcmp(stop, "never") == 0)
        return 0;
    if (strcmp(stop, "drained") == 0) {
        int rc = tr_mysql_server_end(source, NULL, &position, err);
        *order = tr_mysql_position_order(&position);
        tr_mysql_position_fini(&position);
        return rc;
    }
    if (strncmp(stop, "gtid:", 5) == 0)
        return stop_gtid(source, stop + 5, order, err);
    if (strncmp(stop, "binlog:", 7) == 0 && parse_file(stop + 7, &position)) {
        *order = tr_mysql_position_order(&position);
        return 0;
    }
    if (strncmp(stop, "time:", 5) == 0 && tr_mysql_time_parse(stop + 5, time_us))
        return 0;
    tr_fail(err, TR_CONFIG, "stop: \"%.200s\" is not understood by a %s source", stop, base->class->name);
    return tr_error_hint(err,
                         "it is one of never, drained, gtid:SET, binlog:FILE:POS, time:2026-01-31T12:00:00Z");
}

/* ------------------------------------------------------------------------------------------------------------- lag */

/* Whole files between two places, by SHOW BINARY LOGS; -1 = the first is not there. */
static int64_t
bytes_from(struct tr_mysql_source *source, const struct tr_mysql_position *position)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    struct tr_error ignored;
    int64_t bytes = -1;
    if (tr_mysql_ask(source, "SHOW BINARY LOGS", &res, &ignored) < 0 || res == NULL)
        return -1;
    while ((row = mysql_fetch_row(res)) != NULL) {
        int64_t size = strtoll(row[1], NULL, 10);
        if (bytes >= 0)
            bytes += size;
        else if (strcmp(row[0], position->file) == 0)
            bytes = size > (int64_t)position->offset ? size - (int64_t)position->offset : 0;
    }
    mysql_free_result(res);
    return bytes;
}

int64_t
tr_mysql_lag_bytes(struct tr_source *base, const char *text)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position position;
    bool good = tr_mysql_position_parse(text, &position) && position.has_file;
    int64_t bytes = good ? bytes_from(source, &position) : -1;
    tr_mysql_position_fini(&position);
    return bytes;
}
