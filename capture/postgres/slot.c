/*
 * slot.c - replication slots: looking at them, making them with the snapshot that is the cut, dropping them.
 *
 * Manual: "Streaming Replication Protocol", CREATE_REPLICATION_SLOT; view pg_replication_slots.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/postgres/internal.h"
#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

/* ------------------------------------------------------------------------------------------------------------ look */

/* Columns came with the versions; what a server does not have is false. */
static const char *
look_query(int version)
{
    if (version >= 170000)
        return "SELECT slot_type, plugin, database, temporary, active, active_pid, restart_lsn, confirmed_flush_lsn,"
               "  wal_status = 'lost' OR coalesce(conflicting, false) OR invalidation_reason IS NOT NULL,"
               "  coalesce(invalidation_reason, wal_status),"
               "  CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END"
               "  FROM pg_replication_slots WHERE slot_name = $1";
    if (version >= 160000)
        return "SELECT slot_type, plugin, database, temporary, active, active_pid, restart_lsn, confirmed_flush_lsn,"
               "  wal_status = 'lost' OR coalesce(conflicting, false), CASE WHEN conflicting THEN 'conflict' ELSE wal_status END,"
               "  CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END"
               "  FROM pg_replication_slots WHERE slot_name = $1";
    return "SELECT slot_type, plugin, database, temporary, active, active_pid, restart_lsn, confirmed_flush_lsn,"
           "  wal_status = 'lost', wal_status,"
           "  CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END"
           "  FROM pg_replication_slots WHERE slot_name = $1";
}

int
tr_postgres_slot_look(struct tr_postgres_source *source, struct tr_postgres_slot *slot, struct tr_error *err)
{
    const char *params[] = { source->slot };
    PGresult *res;
    *slot = (struct tr_postgres_slot){ .retained_bytes = -1 };
    int rc = tr_postgres_query(source, look_query(source->server_version), 1, params, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot look at slot %s", source->slot);
    if (PQntuples(res) == 1) {
        slot->exists = true;
        slot->logical = strcmp(PQgetvalue(res, 0, 0), "logical") == 0;
        snprintf(slot->plugin, sizeof slot->plugin, "%s", PQgetvalue(res, 0, 1));
        snprintf(slot->database, sizeof slot->database, "%s", PQgetvalue(res, 0, 2));
        slot->temporary = PQgetvalue(res, 0, 3)[0] == 't';
        slot->active = PQgetvalue(res, 0, 4)[0] == 't';
        slot->active_pid = atoi(PQgetvalue(res, 0, 5));
        if (!tr_pg_lsn_parse(PQgetvalue(res, 0, 6), &slot->restart_lsn))
            slot->restart_lsn = 0;
        if (!tr_pg_lsn_parse(PQgetvalue(res, 0, 7), &slot->confirmed_lsn))
            slot->confirmed_lsn = 0;
        slot->invalid = PQgetvalue(res, 0, 8)[0] == 't';
        snprintf(slot->reason, sizeof slot->reason, "%s", PQgetvalue(res, 0, 9));
        if (!PQgetisnull(res, 0, 10))
            slot->retained_bytes = strtoll(PQgetvalue(res, 0, 10), NULL, 10);
    }
    PQclear(res);
    return 0;
}

static int
refuse_slot(const struct tr_postgres_source *source, const char *why, const char *remedy,
            struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "slot %s %s", source->slot, why);
    return tr_error_hint(err, "%s", remedy);
}

int
tr_postgres_slot_fit(const struct tr_postgres_source *source, const struct tr_postgres_slot *slot,
                     struct tr_error *err)
{
    char why[256], remedy[512];
    if (!slot->exists)
        return refuse_slot(
            source, "does not exist at the source, so the changes since the checkpoint are lost",
            "it was dropped, or the server is a promoted standby without it. A new slot would leave a gap: load the "
            "tables again (tailrace reload --all), or drop the task's state and start anew",
            err);
    if (!slot->logical)
        return refuse_slot(source, "is a physical slot",
                           "name another slot (slot: NAME), one is made when it is missing", err);
    if (strcmp(slot->plugin, "pgoutput") != 0) {
        snprintf(why, sizeof why, "was made for the output plugin \"%s\", not for pgoutput", slot->plugin);
        snprintf(
            remedy, sizeof remedy,
            "name another slot (slot: NAME), or, when nobody needs it: SELECT pg_drop_replication_slot('%s');",
            source->slot);
        return refuse_slot(source, why, remedy, err);
    }
    if (strcmp(slot->database, source->database) != 0) {
        snprintf(why, sizeof why, "belongs to database \"%s\", the source is \"%s\"", slot->database,
                 source->database);
        return refuse_slot(source, why,
                           "name another slot (slot: NAME), or the other database in the source's URL", err);
    }
    if (slot->invalid || slot->confirmed_lsn == 0) {
        snprintf(why, sizeof why, "was invalidated by the server (%s): the log it needs is gone",
                 slot->reason[0] != '\0' ? slot->reason : "lost");
        snprintf(
            remedy, sizeof remedy,
            "a new slot would leave a gap: `tailrace reload --all` begins anew with one, and loads the tables again. See max_slot_wal_keep_size%s",
            source->server_version >= 180000 ? " and idle_replication_slot_timeout" : "");
        return refuse_slot(source, why, remedy, err);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------ make */

static bool
wants_failover(const struct tr_postgres_source *source)
{
    const char *choice = tr_setting_string(source->base.env->settings, "failover");
    if (source->server_version < 170000 || strcmp(choice, "off") == 0)
        return false;
    return strcmp(choice, "on") == 0 || !source->in_recovery; /* a standby cannot make one */
}

static void
create_command(const struct tr_postgres_source *source, const char *name, bool temporary,
               struct tr_buffer *sql)
{
    tr_buffer_text(sql, "CREATE_REPLICATION_SLOT ");
    tr_pg_identifier(sql, name);
    tr_buffer_text(sql, temporary ? " TEMPORARY LOGICAL pgoutput" : " LOGICAL pgoutput");
    if (source->server_version < 150000)
        tr_buffer_text(sql, " EXPORT_SNAPSHOT");
    else
        tr_buffer_printf(sql, " (SNAPSHOT 'export'%s)",
                         !temporary && wants_failover(source) ? ", FAILOVER" : "");
}

/* Whom the server waits for: the oldest transaction that was open when the slot's making began. */
static void
name_the_oldest(struct tr_postgres_source *source, char *out, size_t size)
{
    struct tr_error ignored;
    PGresult *res;
    snprintf(out, size, "unknown");
    if (tr_postgres_query(
            source,
            "SELECT format('server process %s (user %s, application %s), open for %s', pid, coalesce(usename, '?'),"
            "    coalesce(nullif(application_name, ''), '?'), date_trunc('second', now() - xact_start)), xact_start"
            "  FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
            " UNION ALL SELECT format('the prepared transaction %L', gid), prepared FROM pg_prepared_xacts"
            " ORDER BY 2 LIMIT 1",
            0, NULL, &res, &ignored) < 0)
        return;
    if (PQntuples(res) == 1)
        snprintf(out, size, "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
}

/* The command was sent: 1 when its result is there, 0 when the deadline passed. */
static int
await_creation(struct tr_postgres_source *source, PGconn *conn, const char *name, struct tr_error *err)
{
    char who[256];
    int64_t start = tr_clock_us(), bound = tr_setting_int(source->base.env->settings, "slot_timeout");
    bool said = false;
    for (;;) {
        if (PQflush(conn) < 0 || PQconsumeInput(conn) == 0)
            return tr_pg_fail(err, conn, NULL, "cannot make slot %s", name);
        if (!PQisBusy(conn))
            return 1;
        int64_t passed = tr_clock_us() - start;
        if (passed >= bound)
            return 0;
        if (!said && passed >= 2 * TR_US_PER_S) {
            said = true;
            name_the_oldest(source, who, sizeof who);
            tr_log(source->base.env->log, TR_LOG_INFO, "capture",
                   "making slot %s waits for transactions that are open: %s", name, who);
        }
        int64_t step = said ? bound - passed : 2 * TR_US_PER_S - passed;
        int rc = tr_pg_wait(conn, false, source->interrupt_fd, step < bound - passed ? step : bound - passed,
                            err);
        if (rc < 0)
            return rc;
    }
}

static int
creation_failed(const struct tr_postgres_source *source, const char *name, struct tr_error *err)
{
    tr_error_prefix(err, "cannot make slot %s", name);
    if (strcmp(err->sqlstate, "53400") == 0) {
        err->class = TR_REFUSED;
        return tr_error_hint(
            err,
            "all slots are taken: drop one that nobody reads (SELECT slot_name FROM pg_replication_slots WHERE NOT "
            "active;), or raise max_replication_slots and restart the server");
    }
    if (strcmp(err->sqlstate, "55000") == 0) {
        err->class = TR_REFUSED;
        return tr_error_hint(err, "ALTER SYSTEM SET wal_level = 'logical'; then restart the server");
    }
    if (strcmp(err->sqlstate, "42501") == 0) {
        err->class = TR_REFUSED;
        return tr_error_hint(err, "ALTER ROLE \"%s\" REPLICATION;", source->role);
    }
    return -(int)err->class;
}

static int
take_cut(const PGresult *res, struct tr_cut *cut, struct tr_error *err)
{
    if (PQntuples(res) != 1 || PQnfields(res) < 4)
        return tr_fail(err, TR_FATAL, "the server's answer to CREATE_REPLICATION_SLOT is not understood");
    snprintf(cut->position, sizeof cut->position, "%s", PQgetvalue(res, 0, 1));
    snprintf(cut->snapshot, sizeof cut->snapshot, "%s", PQgetvalue(res, 0, 2));
    return 0;
}

/* The connection keeps the exported snapshot until it is closed or gets another command; the slot, unless temporary, stays. */
static int
create_slot(struct tr_postgres_source *source, PGconn *conn, const char *name, bool temporary,
            struct tr_cut *cut, struct tr_error *err)
{
    char who[256];
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    create_command(source, name, temporary, &sql);
    int rc = PQsendQuery(conn, sql.data) != 0 ? 0 : tr_pg_fail(err, conn, NULL, "cannot make slot %s", name);
    tr_buffer_fini(&sql);
    if (rc == 0)
        rc = await_creation(source, conn, name, err);
    /* A walsender that waits does not see that we have gone: it is told, and its half-made slot goes with it. */
    if (rc <= 0)
        tr_pg_cancel(conn);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        name_the_oldest(source, who, sizeof who);
        tr_fail(err, TR_REFUSED,
                "making slot %s waited too long for transactions that are open at the source: %s", name, who);
        return tr_error_hint(err, "end that transaction, or give more time (slot_timeout)");
    }
    PGresult *res = PQgetResult(conn), *more;
    if (PQresultStatus(res) != PGRES_TUPLES_OK) {
        tr_pg_fail(err, conn, res, "the server");
        rc = creation_failed(source, name, err);
    } else {
        rc = take_cut(res, cut, err);
    }
    PQclear(res);
    while ((more = PQgetResult(conn)) != NULL)
        PQclear(more);
    return rc;
}

/* --------------------------------------------------------------------------------------------------- prepare and cut */

/* Where and when, as the rows of the cut will show it. A clock that cannot be asked is no reason to fail. */
static void
date_cut(struct tr_postgres_source *source, struct tr_cut *cut)
{
    struct tr_error ignored;
    PGresult *res;
    if (!tr_pg_lsn_parse(cut->position, &cut->place))
        cut->place = 0;
    if (tr_postgres_query(source, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", 0, NULL,
                          &res, &ignored) < 0)
        return;
    cut->taken_us = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
}

static int
make_slot(struct tr_postgres_source *source, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_cut local = { .position = "" };
    struct tr_cut *made = cut != NULL ? cut : &local;
    if (source->resuming)
        return tr_postgres_slot_fit(source, &(struct tr_postgres_slot){ 0 }, err);
    if (!tr_setting_bool(source->base.env->settings, "create_slot")) {
        tr_fail(err, TR_REFUSED, "slot %s does not exist, and create_slot is off", source->slot);
        return tr_error_hint(err, "SELECT pg_create_logical_replication_slot('%s', 'pgoutput');",
                             source->slot);
    }
    tr_pg_close(source->cut);
    source->cut = NULL;
    int rc = tr_postgres_connect(source, "slot", true, &source->cut, err);
    if (rc < 0)
        return rc;
    TR_FAILPOINT("capture.postgresql.slot.create");
    rc = create_slot(source, source->cut, source->slot, false, made, err);
    TR_FAILPOINT("capture.postgresql.slot.created");
    if (rc < 0) {
        struct tr_error ignored;
        tr_pg_close(source->cut);
        source->cut = NULL;
        if (strcmp(err->sqlstate, "42710") != 0) /* another process was faster: it is not ours to drop */
            tr_postgres_slot_drop(source, &ignored);
        return rc;
    }
    source->slot_made = true;
    date_cut(source, made);
    tr_log(source->base.env->log, TR_LOG_INFO, "capture", "made slot %s at %s", source->slot, made->position);
    return 0;
}

int
tr_postgres_prepare(struct tr_source *base, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_postgres_slot slot;
    if (cut != NULL)
        *cut = (struct tr_cut){ 0 };
    /* The publication first: a slot decodes with the catalogue of its time, and must find the publication in it. */
    int rc = tr_postgres_publication_prepare(source, err);
    if (rc == 0)
        rc = tr_postgres_slot_look(source, &slot, err);
    if (rc < 0)
        return rc;
    if (slot.exists)
        return tr_postgres_slot_fit(source, &slot, err);
    rc = make_slot(source, cut, err);
    if (rc < 0 && source->publication_made) {
        struct tr_error ignored; /* what failed is the slot */
        tr_postgres_publication_drop(source, &ignored);
    }
    return rc;
}

int
tr_postgres_unprepare(struct tr_source *base, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    int rc = source->slot_made ? tr_postgres_slot_drop(source, err) : 0;
    if (rc == 0 && source->publication_made)
        rc = tr_postgres_publication_drop(source, err);
    if (rc == 0 && (source->slot_made || source->publication_made))
        tr_log(source->base.env->log, TR_LOG_INFO, "capture", "removed what was made for this start: %s%s%s",
               source->slot_made ? "slot " : "", source->slot_made ? source->slot : "",
               source->publication_made ? (source->slot_made ? ", and the publication" : "the publication")
                                        : "");
    return rc;
}

/* The end of the log is taken before the snapshot: what is committed between the two is in the rows, and not thought to be behind them. */
static const char plain_cut[] =
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";

/*
 * A copy that no stream follows needs no slot, nor what slots need: wal_level, the right to replicate, a free slot, a primary, the end of
 * transactions that are open. The position is then no exact one.
 */
static int
cut_without_slot(struct tr_postgres_source *source, struct tr_cut *cut, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_connect(source, "cut", false, &source->cut, err);
    if (rc == 0)
        rc = tr_pg_exec(source->cut, source->interrupt_fd, plain_cut, &res, err);
    if (rc < 0)
        return rc;
    snprintf(cut->position, sizeof cut->position, "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    rc = tr_pg_exec(source->cut, source->interrupt_fd, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                    NULL, err);
    if (rc == 0)
        rc = tr_pg_exec(source->cut, source->interrupt_fd, "SELECT pg_export_snapshot()", &res, err);
    if (rc < 0)
        return rc;
    snprintf(cut->snapshot, sizeof cut->snapshot, "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    return 0;
}

static int
cut_with_slot(struct tr_postgres_source *source, struct tr_cut *cut, struct tr_error *err)
{
    char name[TR_PG_NAME_MAX];
    int rc = tr_postgres_connect(source, "cut", true, &source->cut, err);
    if (rc < 0)
        return rc;
    /* Unique as long as it lives: the server's process is. */
    snprintf(name, sizeof name, "%.40s_cut_%d", source->slot, PQbackendPID(source->cut));
    return create_slot(source, source->cut, name, true, cut, err);
}

int
tr_postgres_cut(struct tr_source *base, struct tr_cut *cut, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    const char *mode = tr_setting_string(source->base.env->settings, "mode");
    *cut = (struct tr_cut){ 0 };
    tr_pg_close(source->cut);
    source->cut = NULL;
    int rc = cut_with_slot(source, cut, err);
    if (rc < 0 && strcmp(mode, "full-load") == 0) {
        tr_log(
            source->base.env->log, TR_LOG_INFO, "capture",
            "no slot for the cut (%s): the rows are those of a plain snapshot, which no stream can follow exactly",
            err->text);
        tr_error_clear(err);
        tr_pg_close(source->cut);
        source->cut = NULL;
        *cut = (struct tr_cut){ 0 };
        rc = cut_without_slot(source, cut, err);
    }
    if (rc < 0) {
        tr_pg_close(source->cut);
        source->cut = NULL;
    } else {
        date_cut(source, cut);
    }
    return rc;
}

void
tr_postgres_cut_release(struct tr_source *base)
{
    struct tr_postgres_source *source = tr_postgres(base);
    tr_pg_pool_clear(&source->readers);
    tr_pg_close(source->cut);
    source->cut = NULL;
}

/* ------------------------------------------------------------------------------------------------------------ drop */

int
tr_postgres_slot_drop(struct tr_postgres_source *source, struct tr_error *err)
{
    struct tr_postgres_slot slot;
    const char *params[] = { source->slot };
    int64_t deadline = tr_clock_us() + 10 * TR_US_PER_S; /* a walsender of ours may be on its way out */
    if (!tr_setting_bool(source->base.env->settings, "create_slot"))
        return 0;
    for (;;) {
        int rc = tr_postgres_slot_look(source, &slot, err);
        if (rc < 0 || !slot.exists)
            return rc;
        if (slot.logical && strcmp(slot.plugin, "pgoutput") != 0)
            return tr_fail(err, TR_REFUSED, "slot %s belongs to the plugin %s: it is not ours to drop",
                           source->slot, slot.plugin);
        if (!slot.active)
            break;
        if (tr_clock_us() >= deadline) {
            tr_fail(err, TR_REFUSED, "slot %s is in use by server process %d", source->slot, slot.active_pid);
            return tr_error_hint(err, "stop the task that reads it first");
        }
        rc = tr_pg_wait(source->query, false, source->interrupt_fd, 100000, err);
        if (rc < 0)
            return rc;
    }
    int rc = tr_postgres_query(source, "SELECT pg_drop_replication_slot($1)", 1, params, NULL, err);
    if (rc < 0 && strcmp(err->sqlstate, "42704") == 0)
        return 0; /* gone meanwhile */
    return rc < 0 ? tr_error_prefix(err, "cannot drop slot %s", source->slot) : 0;
}
