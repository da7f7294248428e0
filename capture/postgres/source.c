/* source.c - the class of the PostgreSQL source: options, opening, closing. What it does is in the files beside it. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "capture/postgres/internal.h"
#include "capture/postgres/schema.h"
#include "capture/postgres/snapshot.h"
#include "core/memory.h"

#define OLDEST_VERSION 130000

static const struct tr_option options[] = {
    { .name = "slot",
      .section = "source",
      .type = TR_OPTION_STRING,
      .help = "PostgreSQL: name of the replication slot (default tailrace_TASK)" },
    { .name = "publication",
      .section = "source",
      .type = TR_OPTION_STRING,
      .help = "PostgreSQL: name of the publication (default tailrace_TASK)" },
    { .name = "create_slot",
      .section = "source",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "PostgreSQL: make the slot when it is missing, remove it on drop" },
    { .name = "create_publication",
      .section = "source",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "PostgreSQL: make the publication when it is missing and add new tables to it" },
    { .name = "binary",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "off",
      .choices = "auto|on|off",
      .help = "PostgreSQL: ask for binary values; measured within five per cent of text, so off" },
    { .name = "streaming",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|on|off",
      .help = "PostgreSQL 14 and later: receive large transactions while they are still open" },
    { .name = "failover",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|on|off",
      .help = "PostgreSQL 17 and later: have the slot kept on standbys (auto: on a primary)" },
    { .name = "origin",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "any",
      .choices = "any|none",
      .help =
          "PostgreSQL 16 and later: none leaves out changes that another replication brought to the source" },
    { .name = "messages",
      .section = "source",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "PostgreSQL 14 and later: carry logical messages (pg_logical_emit_message)" },
    { .name = "protocol",
      .section = "source",
      .type = TR_OPTION_INT,
      .value = "4",
      .min = 1,
      .max = 4,
      .help = "PostgreSQL: the newest pgoutput protocol to ask for" },
    { .name = "status_interval",
      .section = "source",
      .type = TR_OPTION_DURATION,
      .value = "10s",
      .min = 100000,
      .max = INT64_C(3600000000),
      .help = "PostgreSQL: longest time between two messages of ours to the server" },
    { .name = "slot_timeout",
      .section = "source",
      .type = TR_OPTION_DURATION,
      .value = "60s",
      .min = 1000000,
      .max = INT64_C(86400000000),
      .help =
          "PostgreSQL: how long to wait for open transactions when a slot is made, and for a slot that is in use" },
    { .name = NULL },
};

/* ------------------------------------------------------------------------------------------------------ connections */

int
tr_postgres_connect(const struct tr_postgres_source *source, const char *purpose, bool replication,
                    PGconn **conn, struct tr_error *err)
{
    char name[192];
    snprintf(name, sizeof name, "tailrace %s %s", source->base.env->task, purpose);
    struct tr_pg_config config = { .url = source->url,
                                   .application_name = name,
                                   .replication = replication,
                                   .interrupt_fd = source->interrupt_fd };
    int rc = tr_pg_connect(&config, conn, err);
    return rc < 0 ? tr_error_prefix(err, "source") : 0;
}

int
tr_postgres_query(struct tr_postgres_source *source, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct tr_error *err)
{
    if (source->query != NULL && PQstatus(source->query) == CONNECTION_BAD) {
        tr_pg_close(source->query);
        source->query = NULL;
    }
    if (source->query == NULL) {
        int rc = tr_postgres_connect(source, "catalog", false, &source->query, err);
        if (rc < 0)
            return rc;
    }
    return tr_pg_exec_params(source->query, source->interrupt_fd, sql, nparams, params, res, err);
}

/* --------------------------------------------------------------------------------------------------------- opening */

/* Slot names are lower case letters, digits and underscores: what does not fit becomes an underscore, what is too long a hash. */
static void
default_name(const char *task, char *name)
{
    uint32_t hash = 2166136261u;
    size_t n = (size_t)snprintf(name, TR_PG_NAME_MAX, "tailrace_");
    for (const char *p = task; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
        if (n < TR_PG_NAME_MAX - 1)
            name[n++] = isascii((uint8_t)*p) && isalnum((uint8_t)*p) ? (char)tolower((uint8_t)*p) : '_';
    }
    name[n] = '\0';
    if (strlen(task) + strlen("tailrace_") > TR_PG_NAME_MAX - 1)
        snprintf(name + TR_PG_NAME_MAX - 10, 10, "_%08x", hash);
}

static int
take_name(const struct tr_source_env *env, const char *option, char *name, struct tr_error *err)
{
    const char *given = tr_setting_string(env->settings, option);
    if (given == NULL || given[0] == '\0') {
        default_name(env->task, name);
        return 0;
    }
    if (strlen(given) >= TR_PG_NAME_MAX)
        return tr_fail(err, TR_CONFIG, "%s \"%s\" is longer than PostgreSQL's %d bytes", option, given,
                       TR_PG_NAME_MAX - 1);
    snprintf(name, TR_PG_NAME_MAX, "%s", given);
    return 0;
}

static int
take_settings(struct tr_postgres_source *source, struct tr_error *err)
{
    const struct tr_source_env *env = source->base.env;
    source->url = tr_setting_string(env->settings, "source");
    if (source->url == NULL)
        return tr_fail(err, TR_CONFIG, "no source is named");
    int rc = take_name(env, "slot", source->slot, err);
    if (rc == 0)
        rc = take_name(env, "publication", source->publication, err);
    if (rc == 0 && strspn(source->slot, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(source->slot))
        rc = tr_fail(err, TR_CONFIG,
                     "slot \"%s\": PostgreSQL allows lower case letters, digits and underscores",
                     source->slot);
    source->status_interval_us = tr_setting_int(env->settings, "status_interval");
    return rc;
}

/* Never slower than the server's patience: a third of wal_sender_timeout. */
static void
fit_status_interval(struct tr_postgres_source *source, const char *timeout_ms)
{
    int64_t third = strtoll(timeout_ms, NULL, 10) * 1000 / 3;
    if (third > 0 && third < source->status_interval_us)
        source->status_interval_us = third;
}

static int
learn_server(struct tr_postgres_source *source, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_query(source,
                               "SELECT pg_is_in_recovery(), d.oid, d.datname, current_user, s.setting"
                               "  FROM pg_database d, pg_settings s"
                               " WHERE d.datname = current_database() AND s.name = 'wal_sender_timeout'",
                               0, NULL, &res, err);
    if (rc < 0)
        return rc;
    if (PQntuples(res) == 1) {
        source->in_recovery = PQgetvalue(res, 0, 0)[0] == 't';
        source->database_oid = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
        snprintf(source->database, sizeof source->database, "%s", PQgetvalue(res, 0, 2));
        source->base.database = source->database;
        snprintf(source->role, sizeof source->role, "%s", PQgetvalue(res, 0, 3));
        fit_status_interval(source, PQgetvalue(res, 0, 4));
    }
    PQclear(res);
    source->server_version = PQserverVersion(source->query);
    if (source->server_version < OLDEST_VERSION)
        rc = tr_fail(err, TR_CONFIG, "source: PostgreSQL %d is too old, 13 to 18 can be read",
                     source->server_version / 10000);
    return rc;
}

/* pg_control_system() needs no walsender, so that a full load works where streaming is not allowed. */
static int
learn_system(struct tr_postgres_source *source, struct tr_error *err)
{
    PGresult *res;
    int rc = tr_postgres_query(
        source,
        "SELECT s.system_identifier, CASE WHEN pg_is_in_recovery() THEN c.timeline_id"
        "  ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END"
        "  FROM pg_control_system() s, pg_control_checkpoint() c",
        0, NULL, &res, err);
    if (rc < 0)
        return rc;
    source->system_id = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
    source->timeline = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
    PQclear(res);
    return 0;
}

static void
postgres_close(struct tr_source *base)
{
    struct tr_postgres_source *source = tr_postgres(base);
    if (source == NULL)
        return;
    tr_postgres_stream_end(source);
    tr_pg_close(source->repl);
    tr_pg_close(source->cut);
    tr_pg_abandon(source->query);
    tr_pg_pool_fini(&source->readers);
    tr_postgres_types_free(source);
    for (size_t i = 0; i < source->nnamed; i++)
        free(source->named[i].name);
    free(source->named);
    if (source->interrupt_fd >= 0)
        close(source->interrupt_fd);
    if (source->interrupt_event >= 0)
        close(source->interrupt_event);
    free(source);
}

static int
watch_fd(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* One descriptor for both reasons to give up: interrupt() for this source, the order to stop for the whole task. */
static int
make_interrupt(struct tr_postgres_source *source, struct tr_error *err)
{
    int stop_fd = source->base.env->stop_fd;
    source->interrupt_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    source->interrupt_fd = epoll_create1(EPOLL_CLOEXEC);
    if (source->interrupt_event < 0 || source->interrupt_fd < 0 ||
        watch_fd(source->interrupt_fd, source->interrupt_event) < 0 ||
        (stop_fd > 0 && watch_fd(source->interrupt_fd, stop_fd) < 0))
        return tr_fail(err, TR_FATAL, "cannot make an eventfd: %s", strerror(errno));
    return 0;
}

static int
postgres_open(const struct tr_source_env *env, struct tr_source **out, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_calloc(1, sizeof *source);
    source->base.class = &tr_postgres_source;
    tr_pg_pool_init(&source->readers);
    source->base.env = env;
    source->base.catalog = (struct tr_catalog){ .arg = source, .complete = tr_postgres_complete };
    source->base.decoder_format = &source->format;
    *out = NULL;
    int rc = make_interrupt(source, err);
    if (rc == 0)
        rc = take_settings(source, err);
    if (rc == 0)
        rc = learn_server(source, err);
    if (rc == 0)
        rc = learn_system(source, err);
    if (rc == 0)
        rc = tr_postgres_negotiate(source, err);
    if (rc < 0)
        postgres_close(&source->base);
    else
        *out = &source->base;
    return rc;
}

static void
postgres_interrupt(struct tr_source *base)
{
    /* EAGAIN would mean that it is readable already; nothing else can fail on an eventfd of ours. */
    uint64_t one = 1;
    ssize_t n = write(tr_postgres(base)->interrupt_event, &one, sizeof one);
    (void)n;
}

/* The publication is removed even when the slot cannot be: each is reported by its own error, the first one counts. */
static int
postgres_drop(struct tr_source *base, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    tr_postgres_stream_end(source);
    tr_pg_close(source->repl);
    source->repl = NULL;
    struct tr_error second;
    int slot = tr_postgres_slot_drop(source, err);
    int publication = tr_postgres_publication_drop(source, slot < 0 ? &second : err);
    return slot < 0 ? slot : publication;
}

const struct tr_source_class tr_postgres_source = {
    .name = "postgresql",
    .schemes = "postgresql|postgres",
    .dialect = "postgresql",
    .hidden =
        "GRANT USAGE ON SCHEMA tailrace TO <the source's login>; GRANT SELECT ON tailrace.checkpoint, tailrace.task_scope TO <the source's login>;",
    .options = options,
    .decoder = &tr_pgoutput_decoder,
    .open = postgres_open,
    .close = postgres_close,
    .interrupt = postgres_interrupt,
    .identity = tr_postgres_identity,
    .identity_check = tr_postgres_identity_check,
    .server = tr_postgres_server,
    .others = tr_postgres_others,
    .check = tr_postgres_check,
    .relations = tr_postgres_relations,
    .schema = tr_postgres_schema,
    .sequences = tr_postgres_sequences,
    .prepare = tr_postgres_prepare,
    .unprepare = tr_postgres_unprepare,
    .cut = tr_postgres_cut,
    .cut_release = tr_postgres_cut_release,
    .table_parts = tr_postgres_table_parts,
    .reader_open = tr_postgres_reader_open,
    .reader_read = tr_postgres_reader_read,
    .reader_count = tr_postgres_reader_count,
    .reader_rows = tr_postgres_reader_rows,
    .reader_close = tr_postgres_reader_close,
    .start_position = tr_postgres_start_position,
    .start = tr_postgres_start,
    .read = tr_postgres_read,
    .acknowledge = tr_postgres_acknowledge,
    .checkpoint = tr_postgres_checkpoint,
    .keepalive_checkpoint = tr_postgres_keepalive_checkpoint,
    .covers = tr_postgres_covers,
    .compare = tr_postgres_compare,
    .stop_at = tr_postgres_stop_at,
    .lag_bytes = tr_postgres_lag_bytes,
    .drop = postgres_drop,
};
