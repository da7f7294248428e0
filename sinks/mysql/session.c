/*
 * session.c - a statement of the source is run as in the session that ran it there, like on a replica.
 *
 * What CURRENT_TIMESTAMP is (new columns get it in the rows that are there), in which zone and language; how the text is to be read; by which steps a new column counts; what a TIMESTAMP of few
 * words is; which collation a character set has by itself. The connection is the sink's own for such work, and gets its own settings back.
 */
#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sinks/mysql/apply.h"

static int
set_zone(MYSQL *conn, const char *zone, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    tr_buffer_text(&sql, "SET SESSION time_zone = ");
    tr_mysql_literal(&sql, zone, strlen(zone));
    int rc = tr_mysql_query(conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* SYSTEM is the zone of each server's own machine, and zones by name are tables that this one may not have: then what it was off UTC at that moment. */
static int
take_zone(MYSQL *conn, const struct tr_event *event, struct tr_error *err)
{
    bool system = strcasecmp(event->ddl.time_zone, "SYSTEM") == 0;
    if (!system || event->ddl.offset == NULL) {
        int rc = set_zone(conn, event->ddl.time_zone, err);
        if (rc == 0 || err->class == TR_RETRY || event->ddl.offset == NULL)
            return rc < 0 && err->class != TR_RETRY ? 0 : rc;
    }
    return set_zone(conn, event->ddl.offset, err);
}

static int
refuse_setting(const char *name, const char *value, const char *what, const char *sql, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "%s means something else at the source (%s = %s), and the target does not let it be set: %.300s",
            what, name, value, sql);
    return tr_error_hint(
        err,
        "grant the target's account SESSION_VARIABLES_ADMIN (MySQL), or set %s = %s there; then start again",
        name, value);
}

/* Some servers let nobody, or not everybody, set it for his session: then it is to be so already, when the statement has the word. */
static int
take(MYSQL *conn, const char *name, const char *value, const char *word, const char *sql,
     struct tr_error *err)
{
    char text[160], *same = NULL;
    snprintf(text, sizeof text, "SET SESSION %s = %s", name, value);
    int rc = tr_mysql_query(conn, text, NULL, err);
    if (rc == 0 || err->class == TR_RETRY)
        return rc;
    tr_error_clear(err);
    if (strcasestr(sql, word) == NULL || mysql_errno(conn) == ER_UNKNOWN_SYSTEM_VARIABLE)
        return 0;
    snprintf(text, sizeof text, "SELECT @@SESSION.%s = %s", name, value);
    rc = tr_mysql_query_text(conn, text, &same, err);
    bool differs = rc == 0 && same != NULL && strcmp(same, "0") == 0;
    free(same);
    return differs ? refuse_setting(name, value, word, sql, err) : rc;
}

/* A new AUTO_INCREMENT column numbers the rows that are there by them. */
static int
take_steps(MYSQL *conn, const struct tr_ddl_settings *settings, const char *sql, struct tr_error *err)
{
    static const char word[] = "AUTO_INCREMENT";
    char by[8], from[8];
    if (strcasestr(sql, word) == NULL)
        return 0;
    snprintf(by, sizeof by, "%u", settings->increment > 0 ? settings->increment : 1U);
    snprintf(from, sizeof from, "%u", settings->increment_offset > 0 ? settings->increment_offset : 1U);
    int rc = take(conn, "auto_increment_increment", by, word, sql, err);
    return rc == 0 ? take(conn, "auto_increment_offset", from, word, sql, err) : rc;
}

static int
take_timestamps(MYSQL *conn, const struct tr_ddl_settings *settings, const char *sql, struct tr_error *err)
{
    if (settings->timestamps == TR_TIMESTAMPS_NOT_TOLD)
        return 0;
    return take(conn, "explicit_defaults_for_timestamp",
                settings->timestamps == TR_TIMESTAMPS_EXPLICIT ? "ON" : "OFF", "TIMESTAMP", sql, err);
}

/* By their numbers: MariaDB knows several, each of a character set of its own, and MySQL that of utf8mb4. */
static int
take_collations(struct tr_mysql_sink *sink, const struct tr_ddl_settings *settings, const char *sql,
                struct tr_error *err)
{
    const char *numbers = settings->collations;
    struct tr_buffer text;
    if (numbers == NULL)
        return 0;
    if (!sink->target.mariadb)
        return take(sink->meta, "default_collation_for_utf8mb4", numbers, "utf8mb4", sql, err);
    tr_buffer_init(&text, TR_BUFFER_MAX);
    tr_buffer_text(&text, "SET SESSION character_set_collations = ");
    if (numbers[0] != '\0')
        tr_buffer_printf(&text,
                         "(SELECT coalesce(group_concat(character_set_name, '=', full_collation_name), '')"
                         " FROM information_schema.collation_character_set_applicability WHERE id IN (%s))",
                         numbers);
    else
        tr_buffer_text(&text, "''");
    int rc = tr_mysql_query(sink->meta, text.data, NULL, err);
    tr_buffer_fini(&text);
    if (rc == 0 || err->class == TR_RETRY)
        return rc;
    if (numbers[0] != '\0' &&
        strcasestr(sql, "CHAR") != NULL) /* as with names of collations that it does not know */
        tr_log(
            sink->base.env->log, TR_LOG_WARNING, "sink",
            "a character set for which the source's statement names no collation gets this server's own, which the source's "
            "character_set_collations may change: %.300s",
            sql);
    tr_error_clear(err);
    return 0;
}

static const struct tr_ddl_settings not_told;

int
tr_my_take_session(struct tr_mysql_sink *sink, const struct tr_event *event, const char *sql,
                   struct tr_error *err)
{
    char text[96];
    struct tr_error ignored;
    const struct tr_ddl_settings *settings = event->ddl.settings != NULL ? event->ddl.settings : &not_told;
    MYSQL *conn = sink->meta;
    snprintf(text, sizeof text, "SET SESSION timestamp = %" PRId64 ".%06" PRId64,
             event->ddl.began_us / 1000000, event->ddl.began_us % 1000000);
    int rc = event->ddl.began_us > 0 ? tr_mysql_query(conn, text, NULL, err) : 0;
    if (rc == 0 && event->ddl.time_zone != NULL)
        rc = take_zone(conn, event, err);
    if (rc == 0 && settings->locale > 0) {
        snprintf(text, sizeof text, "SET SESSION lc_time_names = %u", settings->locale);
        tr_mysql_query(conn, text, NULL, &ignored);
    }
    if (rc == 0)
        rc = take_steps(conn, settings, sql, err);
    if (rc == 0)
        rc = take_timestamps(conn, settings, sql, err);
    if (rc == 0)
        rc = take_collations(sink, settings, sql, err);
    if (rc == 0 && event->ddl.sql_mode >= 0) { /* a mode that this server does not have is left out */
        snprintf(text, sizeof text, "SET SESSION sql_mode = %" PRId64, event->ddl.sql_mode);
        tr_mysql_query(conn, text, NULL, &ignored);
    }
    return rc;
}

int
tr_my_leave_session(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    struct tr_error ignored;
    const struct tr_ddl_settings *settings = event->ddl.settings != NULL ? event->ddl.settings : &not_told;
    MYSQL *conn = sink->meta;
    if (settings->timestamps == TR_TIMESTAMPS_IMPLICIT)
        tr_my_explicit_timestamps(conn);
    if (settings->collations != NULL)
        tr_mysql_query(conn,
                       sink->target.mariadb ? "SET SESSION character_set_collations = DEFAULT"
                                            : "SET SESSION default_collation_for_utf8mb4 = DEFAULT",
                       NULL, &ignored);
    return tr_mysql_query(
        conn,
        "SET SESSION timestamp = DEFAULT, time_zone = '+00:00', lc_time_names = DEFAULT, auto_increment_increment = DEFAULT, auto_increment_offset = DEFAULT,"
        " sql_mode = '" TR_MYSQL_SQL_MODE "'",
        NULL, err);
}
