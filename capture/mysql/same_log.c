/*
 * same_log.c - is the log of the server still the one that the task has read?
 *
 * A server that was restored from a backup may write other transactions under the same GTIDs and into files of the same names. A position is always where a transaction
 * begins, or would; where the server has anything else at that place its history is another one. Only the server that the position's file belongs to is asked (identity.c).
 * Another history of transactions that have the very same sizes is not seen.
 */
#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"

bool
tr_mysql_inside_transaction(const char *event_type)
{
    static const char *const inside[] = { "Table_map",  "Xid",           "Query",
                                          "Rows_query", "Annotate_rows", "Transaction_payload",
                                          "XA_prepare", "Intvar",        "RAND",
                                          "User var" };
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (strcasecmp(event_type, inside[i]) == 0)
            return true;
    return strcasestr(event_type, "_rows") != NULL;
}

static int
another_history(const struct tr_mysql_position *position, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "source: at %s:%" PRIu64
        ", where the task has read the log up to, the server has no transaction's beginning now: it was restored "
        "from a backup, or its log was begun anew, and has a history that is not the one that the task has carried",
        position->file, position->offset);
    return tr_error_hint(
        err,
        "the target may hold changes that the source has lost: compare both, and load the tables again (tailrace reload --all)");
}

/* Without GTIDs a transaction begins with a query: then only what cannot be read at all tells. */
static bool
tells(struct tr_mysql_source *source, const char *type)
{
    return tr_mysql_inside_transaction(type) && (source->gtid || strcasecmp(type, "Query") != 0);
}

/* Is there anything else than the beginning of a transaction, or the end of the log? */
static int
is_another(struct tr_mysql_source *source, const char *file, uint64_t offset, bool *another,
           struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    struct tr_buffer sql;
    *another = false;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SHOW BINLOG EVENTS IN ");
    tr_mysql_literal(&sql, file, strlen(file));
    tr_buffer_printf(&sql, " FROM %" PRIu64 " LIMIT 1", offset);
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        unsigned number = source->query != NULL ? mysql_errno(source->query) : 0;
        *another = number == ER_ERROR_WHEN_EXECUTING_COMMAND &&
                   strstr(err->text, "find target log") == NULL && /* purged, and behind the position */
                   strstr(err->text, "max_allowed_packet") == NULL;
        return rc;
    }
    MYSQL_ROW row = res != NULL ? mysql_fetch_row(res) : NULL;
    *another = row != NULL && row[1] != NULL && row[2] != NULL &&
               (strtoull(row[1], NULL, 10) != offset || tells(source, row[2]));
    mysql_free_result(res);
    return 0;
}

/* What the server leaves out by GTID can be longer than the 4 GiB that an event's offset counts: the one that was noted is too small by so much then. */
static bool
lies_further(struct tr_mysql_source *source, const struct tr_mysql_position *position)
{
    struct tr_error ignored;
    uint64_t size = 0, round = UINT64_C(1) << 32;
    bool another = true;
    if (tr_mysql_file_size(source, position->file, &size, &ignored) < 0 || size == UINT64_MAX)
        return false;
    for (uint64_t at = position->offset + round; another && at <= size; at += round)
        if (is_another(source, position->file, at, &another, &ignored) < 0)
            another = true;
    return !another;
}

int
tr_mysql_same_log(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                  struct tr_error *err)
{
    struct tr_error failure;
    bool another;
    is_another(source, position->file, position->offset, &another,
               &failure); /* not permitted: GTIDs and the end of the file have to do */
    return another && !(source->gtid && lies_further(source, position)) ? another_history(position, err) : 0;
}

/* ------------------------------------------------------------------------------------------- transactions without a GTID */

/* The text in quotes of "SET @@SESSION.GTID_NEXT= 'uuid:1'". */
static bool
is_contained(const struct tr_mysql_position *position, const char *info)
{
    char gtid[128];
    const char *quote = strchr(info, '\'');
    size_t len = quote != NULL ? strcspn(quote + 1, "'") : 0;
    if (len == 0 || len >= sizeof gtid)
        return false;
    memcpy(gtid, quote + 1, len);
    gtid[len] = '\0';
    return tr_gtid_set_has(&position->set, gtid);
}

enum first { NOTHING, CARRIED, NEW, NAMELESS };

/* The first transaction of a file, from the offset on. */
static enum first
first_of_file(struct tr_mysql_source *source, const char *file, uint64_t offset,
              const struct tr_mysql_position *position)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    struct tr_buffer sql;
    struct tr_error ignored;
    enum first found = NOTHING;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SHOW BINLOG EVENTS IN ");
    tr_mysql_literal(&sql, file, strlen(file));
    tr_buffer_printf(&sql, " FROM %" PRIu64 " LIMIT 3", offset); /* behind what begins a file */
    int rc = tr_mysql_ask(source, sql.data, &res, &ignored);
    tr_buffer_fini(&sql);
    while (rc == 0 && res != NULL && found == NOTHING && (row = mysql_fetch_row(res)) != NULL) {
        if (strcasecmp(row[2], "Anonymous_Gtid") == 0)
            found = NAMELESS;
        else if (strncasecmp(row[2], "Gtid", 4) == 0)
            found = is_contained(position, row[5]) ? CARRIED : NEW;
    }
    mysql_free_result(res);
    return found;
}

int
tr_mysql_nameless(struct tr_error *err, const char *why)
{
    tr_fail(
        err, TR_REFUSED,
        "source: the log has transactions without a GTID, which a task that goes on by GTIDs does not get: %s",
        why);
    return tr_error_hint(
        err,
        "SET GLOBAL gtid_mode = 'ON_PERMISSIVE' on the source, start the task until it is past them (by file and offset), "
        "and set it back; or load the tables again (tailrace reload)");
}

/* The mode changes where a file begins. Up to the first transaction that is to come by its GTID the server passes over whole files. */
int
tr_mysql_all_named(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                   struct tr_error *err)
{
    MYSQL_RES *files;
    MYSQL_ROW row;
    struct tr_error ignored;
    char last[TR_MYSQL_FILE_MAX] = "";
    bool reached = false;
    enum first found = NOTHING;
    if (source->mariadb || !source->gtid || !position->has_gtid || !position->has_file ||
        tr_mysql_ask(source, "SHOW BINARY LOGS", &files, &ignored) < 0)
        return 0;
    while (found < NEW && files != NULL && (row = mysql_fetch_row(files)) != NULL) {
        bool here = strcmp(row[0], position->file) == 0;
        reached = reached || here;
        if (!reached)
            continue;
        snprintf(last, sizeof last, "%s", row[0]);
        found = first_of_file(source, row[0], here ? position->offset : 4, position);
    }
    mysql_free_result(files);
    if (found != NAMELESS)
        return 0;
    char why[TR_MYSQL_FILE_MAX + 64];
    snprintf(why, sizeof why, "%s begins with them", last);
    return tr_mysql_nameless(err, why);
}
