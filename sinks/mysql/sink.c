/* sink.c - open, close, and the class tables of the MySQL and MariaDB sinks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/url.h"
#include "sinks/mysql/apply.h"
#include "sinks/mysql/loader.h"
#include "sinks/mysql/mysql.h"
#include "sinks/mysql/tables.h"

#define DEFAULT_PACKET ((size_t)4 << 20)

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
          "what to do with a value that the target's column cannot hold (infinity, NaN, out of range, too long): stop, store NULL, or store the nearest value" },
    { .name = NULL },
};

const char *
tr_my_dialect(const struct tr_mysql_sink *sink)
{
    return sink->target.mariadb ? "mariadb" : "mysql";
}

const char *
tr_my_database(const struct tr_mysql_sink *sink, const struct tr_relation *relation)
{
    bool is_public = sink->from_postgresql && strcmp(relation->target_schema, "public") == 0;
    return is_public && sink->database != NULL ? sink->database : relation->target_schema;
}

void
tr_my_explicit_timestamps(MYSQL *conn)
{
    struct tr_error ignored;
    tr_mysql_query(conn, "SET SESSION explicit_defaults_for_timestamp = 1", NULL, &ignored);
}

int
tr_my_sink_connect(const struct tr_mysql_sink *sink, const char *purpose, bool local_infile, MYSQL **conn,
                   struct tr_error *err)
{
    char *name = tr_asprintf("tailrace %s %s", sink->base.env->task, purpose);
    struct tr_mysql_config config = {
        .url = sink->url,
        .program_name = name,
        .group = sink->group,
        .local_infile = local_infile,
        .writable = true,
    };
    int rc = tr_mysql_connect(&config, conn, err);
    free(name);
    /* Foreign keys were checked at the source; gap locks and old snapshots only invent conflicts. */
    if (rc == 0)
        rc = tr_mysql_query(*conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE", NULL,
                            err);
    /* A table's history takes each ALTER along, an index that is made behind its rows as well as the source's. */
    if (rc == 0)
        rc = tr_mysql_query(*conn,
                            "SET SESSION foreign_key_checks = 0, eq_range_index_dive_limit = 0"
                            " /*M!100500 , system_versioning_alter_history = KEEP */",
                            NULL, err);
    if (rc < 0) {
        tr_mysql_close(sink->group, *conn);
        *conn = NULL;
        return tr_error_prefix(err, "target");
    }
    tr_my_explicit_timestamps(*conn);
    tr_my_claim(sink, *conn);
    return 0;
}

uint64_t
tr_my_matched(MYSQL *conn)
{
    const char *info = mysql_info(conn); /* "Rows matched: 4  Changed: 0  Warnings: 0" */
    const char *colon = info != NULL ? strchr(info, ':') : NULL;
    return colon != NULL ? strtoull(colon + 1, NULL, 10) : 0;
}

/* A failover may be under way where the task has been at work, and an end will come to it; else this is the wrong server. */
static int
refuse_read_only(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_buffer sql;
    struct tr_error ignored;
    char *known = NULL;
    const char *task = sink->base.env->task;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "SELECT 1 FROM tailrace.checkpoint WHERE position IS NOT NULL AND task = ");
    tr_mysql_literal(&sql, task, strlen(task));
    int rc = tr_mysql_query_text(sink->meta, sql.data, &known, &ignored);
    bool later = known != NULL || (rc < 0 && ignored.class == TR_RETRY);
    tr_buffer_fini(&sql);
    tr_fail(err, later ? TR_RETRY : TR_FATAL, "the target is read-only and takes no changes");
    free(known);
    return tr_error_hint(
        err,
        "name the primary in the target's URL, or all hosts: the one that takes changes is found; on a primary: SET GLOBAL read_only = OFF");
}

static int
learn_settings(struct tr_mysql_sink *sink, struct tr_error *err)
{
    MYSQL_RES *res;
    int rc = tr_mysql_query(
        sink->meta,
        "SELECT @@global.read_only, @@global.innodb_flush_log_at_trx_commit = 1 AND (NOT @@global.log_bin OR @@global.sync_binlog = 1), @@global.local_infile,"
        " @@session.max_allowed_packet, @@global.lower_case_table_names, @@global.innodb_flush_log_at_trx_commit",
        &res, err);
    if (rc < 0)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row == NULL || row[0] == NULL || row[1] == NULL || row[2] == NULL || row[3] == NULL ||
        row[4] == NULL || row[5] == NULL) {
        rc = tr_fail(err, TR_FATAL, "the target did not tell its settings");
    } else if (strcmp(row[0], "1") == 0 || strcmp(row[0], "ON") == 0) {
        rc = refuse_read_only(sink, err);
    } else {
        sink->commits_are_safe = strcmp(row[1], "1") == 0;
        if (sink->commits_are_safe)
            sink->flush = TR_MY_FLUSH_NONE;
        else if (strcmp(row[5], "1") == 0 || !sink->target.mariadb)
            sink->flush = TR_MY_FLUSH_STATEMENT;
        else /* the other sources let go of nothing by our word */
            sink->flush = sink->from_postgresql ? TR_MY_FLUSH_WATCH : TR_MY_FLUSH_NONE;
        sink->local_infile = strcmp(row[2], "1") == 0;
        sink->packet = strtoull(row[3], NULL, 10);
        sink->folds_names = strcmp(row[4], "0") != 0;
    }
    mysql_free_result(res);
    return rc;
}

/* What this server and account allow. */
static int
learn(struct tr_mysql_sink *sink, struct tr_error *err)
{
    struct tr_error denied;
    sink->target.mariadb = tr_mysql_is_mariadb(sink->meta);
    sink->target.version = tr_mysql_version(sink->meta);
    sink->target.public_database = sink->database;
    sink->packet = DEFAULT_PACKET;
    int rc = learn_settings(sink, err);
    if (rc < 0)
        return rc;
    tr_error_clear(&denied);
    if (sink->flush == TR_MY_FLUSH_STATEMENT &&
        tr_mysql_query(sink->meta, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", NULL, &denied) < 0) {
        if (denied.class == TR_RETRY) { /* a lost connection says nothing of what is permitted */
            *err = denied;
            return -TR_RETRY;
        }
        sink->flush = TR_MY_FLUSH_NONE;
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "innodb_flush_log_at_trx_commit or sync_binlog is not 1 at the target and FLUSH ENGINE LOGS is not permitted (%.200s): if its machine crashes, the last"
            " changes may be lost there although the source was told that they are safe (SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1)",
            denied.text);
    }
    sink->locks_are_shown = tr_mysql_query(sink->meta,
                                           sink->target.mariadb
                                               ? "SELECT 1 FROM information_schema.innodb_lock_waits LIMIT 1"
                                               : "SELECT 1 FROM performance_schema.data_lock_waits LIMIT 1",
                                           NULL, &denied) == 0;
    return 0;
}

static void
sink_close(struct tr_sink *base)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    if (sink == NULL)
        return;
    tr_my_apply_close(sink->apply);
    tr_mysql_close(sink->group, sink->meta);
    tr_mysql_group_free(sink->group);
    free(sink->database);
    free(sink);
}

static void
policies(struct tr_mysql_sink *sink, const struct tr_settings *settings)
{
    const char *value = tr_setting_string(settings, "on_value"), *ddl = tr_setting_string(settings, "ddl");
    sink->on_conflict = tr_sql_conflict_policy(tr_setting_string(settings, "on_conflict"));
    sink->on_value = strcmp(value, "null") == 0    ? TR_MY_VALUE_NULL
                     : strcmp(value, "clamp") == 0 ? TR_MY_VALUE_CLAMP
                                                   : TR_MY_VALUE_STOP;
    sink->ddl = strcmp(ddl, "ignore") == 0 ? TR_MY_DDL_IGNORE
                : strcmp(ddl, "stop") == 0 ? TR_MY_DDL_STOP
                                           : TR_MY_DDL_APPLY;
}

static int
open_as(const struct tr_sink_class *class, const struct tr_sink_env *env, struct tr_sink **out,
        struct tr_error *err)
{
    struct tr_url url;
    struct tr_mysql_sink *sink = tr_calloc(1, sizeof(*sink));
    *out = NULL;
    sink->base.class = class;
    sink->base.env = env;
    sink->url = tr_setting_string(env->settings, "target");
    sink->from_postgresql = env->source_dialect == NULL || strcmp(env->source_dialect, "postgresql") == 0;
    sink->group = tr_mysql_group_new(env->stop_fd);
    policies(sink, env->settings);
    sink->keeps_shapes = sink->from_postgresql && sink->ddl == TR_MY_DDL_APPLY;
    int rc = tr_url_parse(sink->url, &url, err);
    if (rc == 0) {
        sink->database = url.path != NULL && url.path[0] != '\0' ? tr_strdup(url.path) : NULL;
        tr_url_fini(&url);
        rc = tr_my_sink_connect(sink, "control", false, &sink->meta, err);
    }
    if (rc == 0)
        rc = learn(sink, err);
    if (rc < 0) {
        sink_close(&sink->base);
        return rc;
    }
    *out = &sink->base;
    return 0;
}

static int
open_mysql(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    return open_as(&tr_mysql_sink, env, out, err);
}

static int
open_mariadb(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    return open_as(&tr_mariadb_sink, env, out, err);
}

#define FUNCTIONS                                                                                         \
    .capabilities = TR_SINK_KEEPS_CHECKPOINT | TR_SINK_LOADS, .options = options, .close = sink_close,    \
    .load_checkpoint = tr_my_load_checkpoint, .save_checkpoint = tr_my_save_checkpoint,                   \
    .server = tr_my_server, .announce = tr_my_announce, .moved = tr_my_moved, .write = tr_my_apply_write, \
    .poll = tr_my_apply_poll, .flush = tr_my_apply_flush, .check = tr_my_sink_check,                      \
    .prepare_tables = tr_my_prepare_tables, .reset_table = tr_my_reset_table,                             \
    .loader_accepts = tr_my_loader_accepts, .loader_open = tr_my_loader_open,                             \
    .loader_write = tr_my_loader_write, .loader_rows = tr_my_loader_rows,                                 \
    .loader_finish = tr_my_loader_finish, .loader_close = tr_my_loader_close,                             \
    .finish_tables = tr_my_finish_tables, .finish_table = tr_my_finish_table,                             \
    .set_sequences = tr_my_set_sequences, .compare_cascades = tr_my_compare_cascades,                     \
    .compare_indexes = tr_my_compare_indexes, .drop = tr_my_drop

const struct tr_sink_class tr_mysql_sink = {
    .name = "mysql", .schemes = "mysql", .dialect = "mysql", .open = open_mysql, FUNCTIONS
};
const struct tr_sink_class tr_mariadb_sink = {
    .name = "mariadb", .schemes = "mariadb", .dialect = "mariadb", .open = open_mariadb, FUNCTIONS
};
