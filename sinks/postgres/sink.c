/* sink.c - open, close, and the class table of the PostgreSQL sink. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/shape.h"
#include "sinks/postgres/jobs.h"
#include "sinks/postgres/loader.h"
#include "sinks/postgres/postgres.h"
#include "sinks/postgres/tables.h"

static const struct tr_option options[] = {
    { .name = "group_rows",
      .section = "target",
      .type = TR_OPTION_INT,
      .value = "10000",
      .min = 1,
      .max = 1000000,
      .help =
          "changes that are applied in one target transaction at most; a larger source transaction is never split" },
    { .name = "on_value",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "stop",
      .choices = "stop|null|clamp",
      .help =
          "what to do with a value that the target's column cannot hold (zero date, byte of 0 in a text, out of range, too long): stop, store NULL, or store the nearest value" },
    { .name = NULL },
};

int
tr_pg_sink_connect(const struct tr_postgres_sink *sink, const char *purpose, bool synchronous, PGconn **conn,
                   struct tr_error *err)
{
    char *name = tr_asprintf("tailrace %s %s", sink->base.env->task, purpose);
    struct tr_pg_config config = { .url = sink->url,
                                   .application_name = name,
                                   .interrupt_fd = tr_pg_stop_fd(sink) };
    int rc = tr_pg_connect(&config, conn, err);
    free(name);
    /* A role's own setting may have switched waiting off; a stronger one than "on" is kept. */
    const char *commit = synchronous ? "SELECT set_config('synchronous_commit', 'on', false)"
                                       " WHERE current_setting('synchronous_commit') = 'off'"
                                     : "SET synchronous_commit = off";
    if (rc == 0)
        rc = tr_pg_exec(*conn, tr_pg_stop_fd(sink), commit, NULL, err);
    if (rc == 0 && sink->replica_role)
        rc = tr_pg_exec(*conn, tr_pg_stop_fd(sink), "SET session_replication_role = replica", NULL, err);
    if (rc < 0) {
        tr_pg_close(*conn);
        *conn = NULL;
        return tr_error_prefix(err, "target");
    }
    return 0;
}

/* What this server and role allow. */
static int
learn(struct tr_postgres_sink *sink, struct tr_error *err)
{
    PGresult *res = NULL;
    sink->reader = sink->meta;
    sink->server_version = PQserverVersion(sink->meta);
    int rc = tr_pg_ask(sink, sink->meta,
                       "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'", &res,
                       err);
    if (rc == 0 && PQgetvalue(res, 0, 0)[0] == 't') {
        rc = tr_fail(err, TR_FATAL, "the target is a standby and takes no changes");
        tr_error_hint(
            err, "name the primary in the target's URL, or all hosts and target_session_attrs=read-write");
    } else if (rc == 0 && PQgetvalue(res, 0, 1)[0] == 't') {
        rc = tr_fail(err, TR_FATAL, "the target is read-only: default_transaction_read_only is on");
        tr_error_hint(
            err,
            "look where it is set (SELECT setrole::regrole, setconfig FROM pg_db_role_setting; or the server's configuration)"
            " and turn it off there: ALTER DATABASE ... RESET default_transaction_read_only;");
    }
    PQclear(res);
    if (rc < 0)
        return rc;
    struct tr_error denied;
    tr_error_clear(&denied);
    sink->replica_role = tr_pg_ask(sink, sink->meta, "SET session_replication_role = replica", NULL,
                                   &denied) == 0;
    if (!sink->replica_role && denied.class == TR_RETRY) {
        *err = denied;
        return -TR_RETRY;
    }
    if (!sink->replica_role)
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "session_replication_role cannot be set at the target: its triggers and foreign keys fire, and changes are applied one group"
            " at a time (on 15 and later: GRANT SET ON PARAMETER session_replication_role TO \"%s\")",
            PQuser(sink->meta));
    return 0;
}

static enum tr_pg_value_policy
value_policy(const char *text)
{
    return strcmp(text, "null") == 0    ? TR_PG_VALUE_NULL
           : strcmp(text, "clamp") == 0 ? TR_PG_VALUE_CLAMP
                                        : TR_PG_VALUE_STOP;
}

static enum tr_pg_ddl_policy
ddl_policy(const char *text)
{
    return strcmp(text, "ignore") == 0 ? TR_PG_DDL_IGNORE
           : strcmp(text, "stop") == 0 ? TR_PG_DDL_STOP
                                       : TR_PG_DDL_APPLY;
}

/* The tables are made, and what they look like is remembered. */
static int
prepare_tables(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    int rc = tr_pg_prepare_tables(sink, schema, err);
    return rc < 0 ? rc : tr_pg_prepare_shapes(sink, schema, err);
}

/* The owner has taken the task over; whoever works beside it does so under the same number. */
static int
sink_join(struct tr_sink *base, const struct tr_sink *owner, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    (void)err;
    sink->epoch = ((const struct tr_postgres_sink *)owner)->epoch;
    return 0;
}

static void
sink_close(struct tr_sink *base)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    if (sink == NULL)
        return;
    tr_pg_apply_close(sink->apply);
    tr_pg_let_go(sink, sink->meta);
    tr_pg_pool_fini(&sink->loaders);
    tr_pg_jobs_free(sink->jobs);
    free(sink);
}

static int
sink_open(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    struct tr_postgres_sink *sink = tr_calloc(1, sizeof(*sink));
    *out = NULL;
    sink->base.class = &tr_postgres_sink;
    tr_pg_pool_init(&sink->loaders);
    sink->jobs = tr_pg_jobs_new();
    sink->base.env = env;
    sink->url = tr_setting_string(env->settings, "target");
    sink->on_conflict = tr_sql_conflict_policy(tr_setting_string(env->settings, "on_conflict"));
    sink->on_value = value_policy(tr_setting_string(env->settings, "on_value"));
    sink->ddl = ddl_policy(tr_setting_string(env->settings, "ddl"));
    sink->from_postgresql = env->source_dialect != NULL && strcmp(env->source_dialect, "postgresql") == 0;
    int rc = tr_pg_sink_connect(sink, "control", true, &sink->meta, err);
    if (rc == 0)
        rc = learn(sink, err);
    if (rc < 0) {
        sink_close(&sink->base);
        return rc;
    }
    *out = &sink->base;
    return 0;
}

const struct tr_sink_class tr_postgres_sink = {
    .name = "postgresql",
    .schemes = "postgresql|postgres",
    .dialect = "postgresql",
    .capabilities = TR_SINK_KEEPS_CHECKPOINT | TR_SINK_LOADS,
    .options = options,
    .open = sink_open,
    .close = sink_close,
    .load_checkpoint = tr_pg_load_checkpoint,
    .save_checkpoint = tr_pg_save_checkpoint,
    .server = tr_pg_server,
    .announce = tr_pg_announce,
    .write = tr_pg_apply_write,
    .poll = tr_pg_apply_poll,
    .flush = tr_pg_apply_flush,
    .check = tr_pg_sink_check,
    .prepare_tables = prepare_tables,
    .reset_table = tr_pg_reset_table,
    .loader_accepts = tr_pg_loader_accepts,
    .loader_open = tr_pg_loader_open,
    .loader_write = tr_pg_loader_write,
    .loader_rows = tr_pg_loader_rows,
    .loader_finish = tr_pg_loader_finish,
    .loader_close = tr_pg_loader_close,
    .finish_tables = tr_pg_finish_tables,
    .finish_table = tr_pg_finish_table,
    .join = sink_join,
    .set_sequences = tr_pg_set_sequences,
    .settle = tr_pg_settle,
    .compare_cascades = tr_pg_compare_cascades,
    .drop = tr_pg_drop,
};
