/*
 * position.c - positions of this source, all log sequence numbers "X/X".
 *
 * A position says: every transaction whose commit record begins before it is contained. That is what START_REPLICATION
 * understands (it sends a transaction when its commit record is at or after the start), what a slot's consistent point means for
 * the snapshot it exported, and the end LSN of a commit record fits it, since the next record begins there or later.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/postgres/internal.h"
#include "core/clock.h"

#define LAG_INTERVAL_US 500000

int
tr_postgres_compare(const char *a, const char *b)
{
    uint64_t left, right;
    if (!tr_pg_lsn_parse(a, &left) || !tr_pg_lsn_parse(b, &right))
        return INT_MIN;
    return left < right ? -1 : left > right;
}

bool
tr_postgres_covers(struct tr_source *source, const char *position, const struct tr_txn *txn)
{
    uint64_t lsn;
    (void)source;
    return tr_pg_lsn_parse(position, &lsn) && txn->commit_order != 0 && txn->commit_order < lsn;
}

static const char *
lsn_in(struct tr_arena *arena, uint64_t lsn)
{
    char text[24];
    tr_pg_lsn_text(lsn, text);
    return tr_arena_strdup(arena, text);
}

int
tr_postgres_checkpoint(struct tr_source *source, struct tr_batch *batch, const char **position,
                       struct tr_error *err)
{
    (void)source;
    for (uint32_t i = batch->ntxns; i > 0; i--)
        if (batch->txns[i - 1].ends) {
            *position = lsn_in(&batch->arena, batch->txns[i - 1].end_order);
            return 0;
        }
    return tr_fail(err, TR_FATAL, "source: a batch without a commit has no checkpoint");
}

int
tr_postgres_keepalive_checkpoint(struct tr_source *source, const struct tr_frame *frame,
                                 struct tr_batch *batch, const char **position, struct tr_error *err)
{
    (void)source;
    (void)err;
    *position = lsn_in(&batch->arena, frame->end);
    return 0;
}

/*
 * The place of the next record: commits that are not flushed yet (synchronous_commit off) are before it. At the start of a page it stands
 * behind the page's header, which the end of the record before does not: without the header, an idle server's stream reaches it.
 */
#define WAL_PAGE 8192
#define WAL_LONG_HEADER 40

int
tr_postgres_server_end(struct tr_postgres_source *source, uint64_t *lsn, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_query(
        source,
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END",
        0, NULL, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot ask for the end of the log");
    if (!tr_pg_lsn_parse(PQgetvalue(res, 0, 0), lsn))
        rc = tr_fail(err, TR_FATAL, "source: the server names no end of its log");
    PQclear(res);
    if (rc == 0 && *lsn % WAL_PAGE <= WAL_LONG_HEADER)
        *lsn -= *lsn % WAL_PAGE;
    return rc;
}

/*
 * What no commit waits for (a page that a reader has tidied up, a message outside of transactions) can stand at the log's end unflushed for a quarter of a minute,
 * and the server sends nothing before it is flushed. An empty transaction of ours, which costs a number and no waiting, has the server flush it at once.
 * Best effort: without it the end comes later.
 */
static void
ask_for_flush(struct tr_postgres_source *source)
{
    struct tr_error ignored;
    tr_postgres_query(
        source,
        "SELECT CASE WHEN NOT pg_is_in_recovery() AND pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"
        " THEN txid_current() END",
        0, NULL, NULL, &ignored);
}

int64_t
tr_postgres_lag_bytes(struct tr_source *base, const char *position)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_error ignored;
    uint64_t lsn;
    if (position == NULL || !tr_pg_lsn_parse(position, &lsn))
        return -1;
    int64_t now = tr_clock_us();
    if (source->lag_asked_us == 0 || now - source->lag_asked_us >= LAG_INTERVAL_US) {
        source->lag_asked_us = now;
        if (tr_postgres_server_end(source, &source->lag_end, &ignored) < 0)
            return -1;
    }
    return source->lag_end > lsn ? (int64_t)(source->lag_end - lsn) : 0;
}

/* ------------------------------------------------------------------------------------------------------------ time */

/* One part of a date: exactly two digits (four for the year) within its bounds. */
static bool
number(const char **text, int digits, int min, int max, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *out = *out * 10 + (**text - '0');
    }
    return *out >= min && *out <= max;
}

static bool
fraction(const char **text, int64_t *us)
{
    int64_t unit = 100000;
    *us = 0;
    if (**text != '.')
        return true;
    for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
        *us += (**text - '0') * unit;
    return true;
}

/* Z, +HH, +HHMM, +HH:MM; nothing means UTC, as everything in tailrace. */
static bool
zone(const char *text, int *seconds)
{
    int hours = 0, minutes = 0;
    char sign = *text;
    *seconds = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (sign != '+' && sign != '-')
        return false;
    text++;
    if (!number(&text, 2, 0, 15, &hours))
        return false;
    text += *text == ':';
    if (*text != '\0' && !number(&text, 2, 0, 59, &minutes))
        return false;
    *seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return *text == '\0';
}

static bool
epoch_time(const char *text, int64_t *unix_us)
{
    int64_t seconds = 0, us = 0;
    int digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 12; text++, digits++)
        seconds = seconds * 10 + (*text - '0');
    if (digits == 0 || !fraction(&text, &us) || *text != '\0')
        return false;
    *unix_us = seconds * TR_US_PER_S + us;
    return true;
}

bool
tr_postgres_time_parse(const char *text, int64_t *unix_us)
{
    struct tm tm = { 0 };
    int64_t us = 0;
    int offset = 0, year, month;
    if (epoch_time(text, unix_us))
        return true;
    if (!number(&text, 4, 1970, 9999, &year) || *text++ != '-' || !number(&text, 2, 1, 12, &month) ||
        *text++ != '-' || !number(&text, 2, 1, 31, &tm.tm_mday))
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (*text == 'T' || *text == 't' || *text == ' ') {
        text++;
        if (!number(&text, 2, 0, 23, &tm.tm_hour) || *text++ != ':' || !number(&text, 2, 0, 59, &tm.tm_min))
            return false;
        if (*text == ':' && (text++, !number(&text, 2, 0, 59, &tm.tm_sec)))
            return false;
        fraction(&text, &us);
    }
    int day = tm.tm_mday;
    if (!zone(text, &offset))
        return false;
    time_t seconds = timegm(&tm);
    if (tm.tm_mday != day) /* the 31st of a shorter month */
        return false;
    *unix_us = ((int64_t)seconds - offset) * TR_US_PER_S + us;
    return true;
}

/* --------------------------------------------------------------------------------------------------- start and stop */

int
tr_postgres_stop_at(struct tr_source *base, const char *stop, uint64_t *order, int64_t *time_us,
                    struct tr_error *err)
{
    *order = UINT64_MAX;
    *time_us = 0;
    if (strcmp(stop, "never") == 0)
        return 0;
    if (strcmp(stop, "drained") == 0) {
        int rc = tr_postgres_server_end(tr_postgres(base), order, err);
        if (rc == 0)
            ask_for_flush(tr_postgres(base));
        return rc;
    }
    if (strncmp(stop, "lsn:", 4) == 0 && tr_pg_lsn_parse(stop + 4, order))
        return 0;
    if (strncmp(stop, "time:", 5) == 0 && tr_postgres_time_parse(stop + 5, time_us))
        return 0;
    tr_fail(err, TR_CONFIG, "stop: \"%s\" is not understood by a PostgreSQL source", stop);
    return tr_error_hint(err, "it is one of never, drained, lsn:16/B374D848, time:2026-01-31T12:00:00Z");
}

/* The slot exists when this is asked. What it holds back is from its confirmed position on. */
static int
start_now(struct tr_postgres_source *source, const struct tr_postgres_slot *slot, uint64_t *lsn,
          struct tr_error *err)
{
    *lsn = slot->confirmed_lsn;
    if (source->slot_made)
        return 0;
    int rc = tr_postgres_server_end(source, lsn, err);
    if (rc == 0 && *lsn < slot->confirmed_lsn)
        *lsn = slot->confirmed_lsn;
    return rc;
}

static int
start_lsn(const struct tr_postgres_source *source, const struct tr_postgres_slot *slot, const char *text,
          uint64_t *lsn, struct tr_error *err)
{
    char confirmed[24];
    if (!tr_pg_lsn_parse(text, lsn))
        return tr_fail(err, TR_CONFIG, "start: \"%s\" is not a log sequence number such as 16/B374D848",
                       text);
    tr_pg_lsn_text(slot->confirmed_lsn, confirmed);
    if (*lsn >= slot->confirmed_lsn)
        return 0;
    tr_fail(err, TR_REFUSED, "start: lsn:%s lies before %s, from where slot %s holds the log", text,
            confirmed, source->slot);
    return tr_error_hint(
        err,
        "a slot cannot go back: make the slot before the load (slot: NAME), and start where the load ended");
}

/*
 * A loader (pg_dump --snapshot) reads what the slot exported when it was made, and that moment is the slot's confirmed position as long as nobody streamed from it. A
 * snapshot says nothing of positions itself. But it must be there, and have come from a walsender: one that an ordinary session exported (pg_export_snapshot) is of another
 * moment. "00000003-0000001F-1" is the 31st transaction of the server's backend 3; who may not see the backend's kind is believed.
 */
static int
find_snapshot(struct tr_postgres_source *source, const char *name, bool *foreign, struct tr_error *err)
{
    unsigned backend = 0, transaction = 0;
    char owner[32];
    const char *params[] = { owner };
    struct tr_error ignored;
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SET TRANSACTION SNAPSHOT ");
    tr_pg_literal(&sql, name);
    int rc = tr_postgres_query(source, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, NULL, err);
    if (rc == 0)
        rc = tr_postgres_query(source, sql.data, 0, NULL, NULL, err);
    tr_postgres_query(source, "ROLLBACK", 0, NULL, NULL, &ignored);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    if (sscanf(name, "%8X-%8X-", &backend, &transaction) != 2)
        return 0;
    snprintf(owner, sizeof owner, "%u/%u", backend, transaction);
    rc = tr_postgres_query(
        source,
        "SELECT a.backend_type <> 'walsender' FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'virtualxid' AND l.virtualxid = $1",
        1, params, &res, err);
    *foreign = rc == 0 && PQntuples(res) > 0 && PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    return rc;
}

static int
start_snapshot(struct tr_postgres_source *source, const struct tr_postgres_slot *slot, const char *name,
               uint64_t *lsn, struct tr_error *err)
{
    bool foreign = false;
    if (source->slot_made) {
        tr_fail(err, TR_REFUSED,
                "start: snapshot:%s needs the slot that exported it, and slot %s did not exist", name,
                source->slot);
        return tr_error_hint(
            err,
            "make the slot first, on a replication connection that stays open during the load: "
            "CREATE_REPLICATION_SLOT %s LOGICAL pgoutput EXPORT_SNAPSHOT; then name it by `slot:`",
            source->slot);
    }
    int rc = find_snapshot(source, name, &foreign, err);
    if (rc < 0 && (strcmp(err->sqlstate, "22023") == 0 || strcmp(err->sqlstate, "42704") == 0)) {
        tr_fail(err, TR_REFUSED, "start: the source has no exported snapshot \"%s\"", name);
        return tr_error_hint(
            err,
            "it is gone as soon as the replication connection that made slot %s is closed or is given another command: keep it open until "
            "tailrace streams. If the load is complete and nobody has read from the slot since, `start: slot` goes on from the very same moment",
            source->slot);
    }
    if (rc < 0)
        return rc;
    if (foreign) {
        tr_fail(
            err, TR_REFUSED,
            "start: snapshot \"%s\" was exported by an ordinary session: which position of the log it stands for is not known",
            name);
        return tr_error_hint(
            err,
            "load from the snapshot that CREATE_REPLICATION_SLOT %s LOGICAL pgoutput EXPORT_SNAPSHOT names",
            source->slot);
    }
    *lsn = slot->confirmed_lsn;
    return 0;
}

int
tr_postgres_start_position(struct tr_source *base, const char *start, char *out, size_t size,
                           struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_postgres_slot slot;
    uint64_t lsn = 0;
    int rc = tr_postgres_slot_look(source, &slot, err);
    if (rc == 0)
        rc = tr_postgres_slot_fit(source, &slot, err);
    if (rc < 0)
        return rc;
    if (strcmp(start, "now") == 0) {
        rc = start_now(source, &slot, &lsn, err);
    } else if (strcmp(start, "slot") ==
               0) { /* all that an existing slot has kept: a load takes its own cut on top */
        lsn = slot.confirmed_lsn;
    } else if (strncmp(start, "lsn:", 4) == 0) {
        rc = start_lsn(source, &slot, start + 4, &lsn, err);
    } else if (strncmp(start, "snapshot:", 9) == 0) {
        rc = start_snapshot(source, &slot, start + 9, &lsn, err);
    } else if (strncmp(start, "time:", 5) == 0) {
        tr_fail(err, TR_CONFIG, "start: a PostgreSQL server cannot find a position by time");
        rc = tr_error_hint(
            err, "name a position (lsn:X), or now; the log is read forward from where the slot stands");
    } else {
        tr_fail(err, TR_CONFIG, "start: \"%s\" is not understood by a PostgreSQL source", start);
        rc = tr_error_hint(err, "it is one of now, slot, lsn:16/B374D848, snapshot:NAME");
    }
    if (rc < 0)
        return rc;
    if (size < 24)
        return tr_fail(err, TR_FATAL, "no room for a position");
    tr_pg_lsn_text(lsn, out);
    return 0;
}
