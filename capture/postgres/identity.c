/*
 * identity.c - which server, database and history a position belongs to.
 *
 * The text is "system=N;timeline=N;database=OID;slot=NAME;name=NAME": the database's name stands last because it may hold any byte.
 * Compared are system, timeline and database; slot and name are told to people.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"

int
tr_postgres_identity(struct tr_source *base, struct tr_identity *identity, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    (void)err;
    snprintf(identity->text, sizeof identity->text,
             "system=%" PRIu64 ";timeline=%u;database=%u;slot=%s;name=%s", source->system_id,
             source->timeline, source->database_oid, source->slot, source->database);
    return 0;
}

static int
foreign(struct tr_error *err, const char *what, uint64_t was, uint64_t is)
{
    tr_fail(err, TR_REFUSED,
            "the checkpoint was taken from another %s (%" PRIu64 ", this one is %" PRIu64
            "): its position means nothing here",
            what, was, is);
    return tr_error_hint(
        err,
        "point the task to the server it was made for; after a restore or an upgrade load the tables again "
        "(tailrace reload --all), or drop the task's state and start anew");
}

/* A line of a history file: "timeline <tab> where it ended <tab> reason". */
static bool
switch_point(const char *history, uint32_t timeline, uint64_t *lsn)
{
    for (const char *line = history; line != NULL && *line != '\0';
         line = strchr(line, '\n'), line += line != NULL) {
        unsigned parent, high, low;
        if (sscanf(line, " %u %X/%X", &parent, &high, &low) == 3 && parent == timeline) {
            *lsn = (uint64_t)high << 32 | low;
            return true;
        }
    }
    return false;
}

/* Where the timeline of the checkpoint was left on the way to the server's own one. */
static int
ask_switch_point(struct tr_postgres_source *source, uint32_t timeline, uint64_t *lsn, bool *found,
                 struct tr_error *err)
{
    char command[64];
    PGconn *conn;
    PGresult *res;
    int rc = tr_postgres_connect(source, "history", true, &conn, err);
    if (rc < 0)
        return rc;
    snprintf(command, sizeof command, "TIMELINE_HISTORY %u", source->timeline);
    rc = tr_pg_exec(conn, source->interrupt_fd, command, &res, err);
    if (rc < 0) {
        tr_error_prefix(err, "source: cannot read the history of timeline %u", source->timeline);
    } else {
        *found = PQntuples(res) == 1 && PQnfields(res) >= 2 &&
                 switch_point(PQgetvalue(res, 0, 1), timeline, lsn);
        PQclear(res);
    }
    tr_pg_close(conn);
    return rc;
}

/* After a failover the position holds only when the new history contains it (A14, A16). */
static int
check_timeline(struct tr_postgres_source *source, uint32_t saved, const char *position, struct tr_error *err)
{
    uint64_t left = 0, lsn = 0;
    bool found = false;
    char text[24];
    if (saved == source->timeline)
        return 0;
    int rc = saved < source->timeline ? ask_switch_point(source, saved, &left, &found, err) : 0;
    if (rc < 0)
        return rc;
    tr_pg_lsn_text(left, text);
    if (found &&
        (position == NULL || position[0] == '\0' || (tr_pg_lsn_parse(position, &lsn) && lsn <= left))) {
        tr_log(source->base.env->log, TR_LOG_INFO, "capture",
               "the source went from timeline %u to %u at %s; the task stands at %s", saved, source->timeline,
               text, position != NULL && position[0] != '\0' ? position : "no position yet");
        return 0;
    }
    if (!found)
        tr_fail(
            err, TR_REFUSED,
            "the checkpoint was taken on timeline %u, which is no part of the history of the source's timeline %u",
            saved, source->timeline);
    else
        tr_fail(
            err, TR_REFUSED,
            "the checkpoint %s lies after %s, where the source left timeline %u: the task has carried changes that "
            "the source no longer has",
            position, text, saved);
    return tr_error_hint(
        err,
        "the server was promoted or restored from before the checkpoint: load the tables again (tailrace reload --all)%s",
        source->server_version >= 170000
            ? "; synchronized_standby_slots keeps this from happening at a failover"
            : "");
}

int
tr_postgres_identity_check(struct tr_source *base, const struct tr_identity *saved, const char *position,
                           struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_postgres_slot slot;
    uint64_t system;
    unsigned timeline, database;
    if (sscanf(saved->text, "system=%" SCNu64 ";timeline=%u;database=%u;", &system, &timeline, &database) !=
        3) {
        tr_fail(err, TR_REFUSED, "the checkpoint was not taken from a PostgreSQL source (\"%.100s\")",
                saved->text);
        return tr_error_hint(
            err,
            "the task's name was used before with another source: choose another name, or drop its state");
    }
    if (system != source->system_id)
        return foreign(err, "server (system identifier)", system, source->system_id);
    if (database != source->database_oid)
        return foreign(err, "database (oid)", database, source->database_oid);
    int rc = check_timeline(source, timeline, position, err);
    if (rc < 0 || position == NULL || position[0] == '\0')
        return rc;
    source->resuming = true;
    rc = tr_postgres_slot_look(source, &slot, err);
    return rc < 0 ? rc : tr_postgres_slot_fit(source, &slot, err);
}
