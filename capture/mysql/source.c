/* source.c - the classes of the MySQL and MariaDB sources: opening, closing, and asking the server. What they do is in the files beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"
#include "core/url.h"

#define OLDEST_MARIADB 100500
#define OLDEST_MYSQL 80000
#define QUERY_TIMEOUT_US INT64_C(300000000)

/* ------------------------------------------------------------------------------------------------------ connections */

int
tr_mysql_source_connect(const struct tr_mysql_source *source, const char *purpose, MYSQL **conn,
                        struct tr_error *err)
{
    char name[192];
    snprintf(name, sizeof name, "tailrace %s %s", source->base.env->task, purpose);
    struct tr_mysql_config config = {
        .url = source->url, .program_name = name, .group = source->group, .no_database = true
    };
    if (strcmp(purpose, "catalog") == 0)
        config.read_timeout_us = QUERY_TIMEOUT_US;
    int rc = tr_mysql_connect(&config, conn, err);
    return rc < 0 ? tr_error_prefix(err, "source") : 0;
}

/* A connection that idled away is made anew once: nothing on it is kept between two questions. */
int
tr_mysql_ask(struct tr_mysql_source *source, const char *sql, MYSQL_RES **res, struct tr_error *err)
{
    for (int attempt = 0;; attempt++) {
        bool fresh = source->query == NULL;
        int rc = fresh ? tr_mysql_source_connect(source, "catalog", &source->query, err) : 0;
        if (rc < 0)
            return rc;
        rc = tr_mysql_query(source->query, sql, res, err);
        if (rc >= 0)
            return 0;
        unsigned number = mysql_errno(source->query);
        if (number >= 1000 && number < 2000 && number != 1927)
            return rc; /* an answer of the server */
        tr_mysql_close(source->group, source->query);
        source->query = NULL;
        if (fresh || attempt > 0)
            return rc;
    }
}

int
tr_mysql_ask_text(struct tr_mysql_source *source, const char *sql, char **text, struct tr_error *err)
{
    MYSQL_RES *res;
    *text = NULL;
    int rc = tr_mysql_ask(source, sql, &res, err);
    if (rc < 0 || res == NULL)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row != NULL)
        *text = tr_strdup(row[0]);
    mysql_free_result(res);
    return 0;
}

static bool
is_system(const char *database)
{
    static const char *const names[] = { "mysql", "information_schema", "performance_schema", "sys",
                                         "tailrace" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(database, names[i]) == 0)
            return true;
    return false;
}

bool
tr_mysql_wants(void *arg, const char *database, const char *table)
{
    struct tr_mysql_source *source = arg;
    if (strcmp(database, "tailrace") == 0 && strcmp(table, "checkpoint") == 0)
        tr_mysql_saw_state(source);
    if (is_system(database))
        return false;
    if (source->database != NULL) {
        int other = source->lower_case != 0 ? strcasecmp(source->database, database)
                                            : strcmp(source->database, database);
        if (other != 0)
            return false;
    }
    const struct tr_table_filter *filter = &source->base.env->filter;
    return (filter->wants == NULL || filter->wants(filter->arg, database, table)) &&
           !tr_mysql_is_shadow(source, database, table);
}

int
tr_mysql_vanished(struct tr_error *err)
{
    if (strcmp(err->sqlstate, "42S02") == 0 || strcmp(err->sqlstate, "42S22") == 0)
        err->class = TR_RETRY;
    return -(int)err->class;
}

/* --------------------------------------------------------------------------------------------------------- opening */

static int
take_settings(struct tr_mysql_source *source, struct tr_error *err)
{
    const struct tr_settings *settings = source->base.env->settings;
    struct tr_url url;
    source->url = tr_setting_string(settings, "source");
    if (source->url == NULL)
        return tr_fail(err, TR_CONFIG, "no source is named");
    int rc = tr_url_parse(source->url, &url, err);
    if (rc < 0)
        return rc;
    source->database = url.path != NULL && url.path[0] != '\0' ? tr_strdup(url.path) : NULL;
    source->base.only = source->database;
    tr_url_fini(&url);
    if (tr_setting_is_set(settings, "server_id"))
        source->own_id = (uint32_t)tr_setting_int(settings, "server_id");
    source->heartbeat_us = tr_setting_int(settings, "heartbeat");
    source->lock_wait_us = tr_setting_int(settings, "lock_wait");
    source->part_bytes = tr_setting_int(settings, "part_size");
    const char *shadows = tr_setting_string(settings, "shadow_tables");
    source->carry_shadows = shadows != NULL && strcmp(shadows, "carry") == 0;
    return 0;
}

static int
check_flavour(struct tr_mysql_source *source, struct tr_error *err)
{
    bool wanted = source->base.class == &tr_mariadb_source;
    if (wanted != source->mariadb) {
        tr_fail(err, TR_CONFIG, "source: the server is %s %s, the URL says %s",
                source->mariadb ? "MariaDB" : "MySQL", source->version_text, source->base.class->name);
        return tr_error_hint(err, "write the URL as %s://", source->mariadb ? "mariadb" : "mysql");
    }
    if (source->version < (source->mariadb ? OLDEST_MARIADB : OLDEST_MYSQL))
        return tr_fail(err, TR_CONFIG,
                       "source: %s is too old; MySQL from 8.0 and MariaDB from 10.5 on can be read",
                       source->version_text);
    return 0;
}

static void
take_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text != NULL ? text : "");
}

/* What differs between servers is asked by SHOW VARIABLES: a name that is not known gives no row instead of an error. */
static int
learn_variables(struct tr_mysql_source *source, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool gtid_on = source->mariadb; /* MariaDB writes GTIDs always */
    int rc = tr_mysql_ask(
        source,
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('gtid_mode', 'server_uuid', 'server_uid', 'server_id',"
        " 'binlog_row_metadata', 'binlog_row_image', 'lower_case_table_names', 'wsrep_provider')",
        &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source");
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (strcasecmp(row[0], "gtid_mode") == 0)
            gtid_on = strcasecmp(row[1], "ON") == 0;
        else if (strcasecmp(row[0], "server_uuid") == 0 || strcasecmp(row[0], "server_uid") == 0)
            take_text(source->server_uuid, sizeof source->server_uuid, row[1]);
        else if (strcasecmp(row[0], "server_id") == 0)
            source->server_id = strtoull(row[1], NULL, 10);
        else if (strcasecmp(row[0], "binlog_row_metadata") == 0)
            source->row_metadata_full = strcasecmp(row[1], "FULL") == 0;
        else if (strcasecmp(row[0], "binlog_row_image") == 0)
            source->row_images_full = strcasecmp(row[1], "FULL") == 0;
        else if (strcasecmp(row[0], "lower_case_table_names") == 0)
            source->lower_case = atoi(row[1]);
        else if (strcasecmp(row[0], "wsrep_provider") == 0)
            source->clustered = row[1][0] != '\0' && strcasecmp(row[1], "none") != 0;
    }
    mysql_free_result(res);
    const char *gtid = tr_setting_string(source->base.env->settings, "gtid");
    source->gtid = gtid_on && (gtid == NULL || strcmp(gtid, "off") != 0);
    return 0;
}

static int
learn_server(struct tr_mysql_source *source, struct tr_error *err)
{
    int rc = tr_mysql_source_connect(source, "catalog", &source->query, err);
    if (rc < 0)
        return rc;
    source->mariadb = tr_mysql_is_mariadb(source->query);
    source->version = tr_mysql_version(source->query);
    take_text(source->version_text, sizeof source->version_text, mysql_get_server_info(source->query));
    if ((rc = check_flavour(source, err)) < 0 || (rc = learn_variables(source, err)) < 0)
        return rc;
    if ((rc = tr_mysql_ask_text(source, "SELECT CURRENT_USER()", &source->user, err)) < 0)
        return rc;
    source->format = (struct tr_binlog_format){ .flavour = source->mariadb ? TR_BINLOG_MARIADB
                                                                           : TR_BINLOG_MYSQL,
                                                .checksum = true,
                                                .wants = tr_mysql_wants,
                                                .arg = source };
    return 0;
}

static void
mysql_source_close(struct tr_source *base)
{
    if (base == NULL)
        return;
    struct tr_mysql_source *source = tr_mysql(base);
    tr_mysql_stream_end(source);
    tr_mysql_cut_release(base);
    tr_mysql_close(source->group, source->query);
    tr_mysql_progress_fini(&source->progress);
    tr_mysql_position_fini(&source->covers_position);
    tr_mysql_group_free(source->group);
    tr_mysql_bounds_free(source);
    pthread_mutex_destroy(&source->pool.lock);
    pthread_cond_destroy(&source->pool.freed);
    if (source->interrupt_fd >= 0)
        close(source->interrupt_fd);
    tr_mysql_shadows_fini(source);
    free(source->covers_text);
    free(source->database);
    free(source->user);
    free(source);
}

static int
open_source(const struct tr_source_class *class, const struct tr_source_env *env, struct tr_source **out,
            struct tr_error *err)
{
    struct tr_mysql_source *source = tr_calloc(1, sizeof *source);
    source->base.class = class;
    source->base.env = env;
    source->base.catalog = (struct tr_catalog){ .arg = source,
                                                .complete = tr_mysql_complete,
                                                .offset = tr_mysql_offset };
    source->base.decoder_format = &source->format;
    source->group = tr_mysql_group_new(env->stop_fd);
    source->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&source->pool.lock, NULL);
    pthread_cond_init(&source->pool.freed, NULL);
    *out = NULL;
    int rc = source->interrupt_fd < 0 ? tr_fail(err, TR_FATAL, "cannot make an eventfd")
                                      : take_settings(source, err);
    if (rc == 0)
        rc = learn_server(source, err);
    if (rc < 0)
        mysql_source_close(&source->base);
    else
        *out = &source->base;
    return rc;
}

static int
mysql_open(const struct tr_source_env *env, struct tr_source **out, struct tr_error *err)
{
    return open_source(&tr_mysql_source, env, out, err);
}

static int
mariadb_open(const struct tr_source_env *env, struct tr_source **out, struct tr_error *err)
{
    return open_source(&tr_mariadb_source, env, out, err);
}

static void
mysql_source_interrupt(struct tr_source *base)
{
    struct tr_mysql_source *source = tr_mysql(base);
    uint64_t one = 1;
    ssize_t n = write(source->interrupt_fd, &one, sizeof one);
    (void)n;
    tr_mysql_interrupt(source->group);
    pthread_mutex_lock(&source->pool.lock);
    pthread_cond_broadcast(&source->pool.freed);
    pthread_mutex_unlock(&source->pool.lock);
}

/* Nothing is made at the server, so nothing is left there. */
static int
mysql_source_drop(struct tr_source *base, struct tr_error *err)
{
    (void)base, (void)err;
    return 0;
}

#define THE_REST                                                                                             \
    .hidden = "GRANT SELECT ON tailrace.* TO <the source's login>;", .options = tr_mysql_options,            \
    .decoder = &tr_binlog_decoder, .close = mysql_source_close, .interrupt = mysql_source_interrupt,         \
    .identity = tr_mysql_identity, .identity_check = tr_mysql_identity_check, .portable = tr_mysql_portable, \
    .server = tr_mysql_server, .others = tr_mysql_others, .check = tr_mysql_check,                           \
    .relations = tr_mysql_relations, .exists = tr_mysql_exists, .describe = tr_mysql_describe,               \
    .definitions = tr_mysql_definitions, .schema = tr_mysql_schema,                                          \
    .hides_cascades = tr_mysql_hides_cascades, .prepare = tr_mysql_prepare, .cut = tr_mysql_cut,             \
    .cut_release = tr_mysql_cut_release, .table_parts = tr_mysql_table_parts,                                \
    .reader_open = tr_mysql_reader_open, .reader_read = tr_mysql_reader_read,                                \
    .reader_rows = tr_mysql_reader_rows, .reader_close = tr_mysql_reader_close,                              \
    .start_position = tr_mysql_start_position, .start = tr_mysql_start, .read = tr_mysql_read,               \
    .reread = tr_mysql_reread, .acknowledge = tr_mysql_acknowledge, .checkpoint = tr_mysql_checkpoint,       \
    .keepalive_checkpoint = tr_mysql_keepalive_checkpoint, .covers = tr_mysql_covers,                        \
    .compare = tr_mysql_compare, .stop_at = tr_mysql_stop_at, .lag_bytes = tr_mysql_lag_bytes,               \
    .drop = mysql_source_drop

const struct tr_source_class tr_mysql_source = {
    .name = "mysql", .schemes = "mysql", .dialect = "mysql", .open = mysql_open, THE_REST
};
const struct tr_source_class tr_mariadb_source = { .name = "mariadb",
                                                   .schemes = "mariadb",
                                                   .dialect = "mariadb",
                                                   .open = mariadb_open,
                                                   .sequences = tr_mysql_sequences,
                                                   THE_REST };
