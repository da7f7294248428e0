/*
 * loaders.c - positions that other tools leave behind, and times.
 *
 * mydumper:DIR        the file `metadata`: "File = x", "Position = n", "Executed_Gtid_Set = s" under [source] or [master], or the older "Log: x", "Pos: n", "GTID: s"
 * xtrabackup:FILE     xtrabackup_binlog_info or mariadb_backup_binlog_info, or the folder that holds it: file, offset and GTIDs between tabs
 * dump:FILE           what mysqldump --source-data or mariadb-dump --master-data wrote near its beginning: CHANGE MASTER / REPLICATION SOURCE TO
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/memory.h"

#define DUMP_HEAD ((size_t)1 << 20) /* a dump tells its position in its first lines */

/* The first bytes of a file, NUL behind them; the caller frees. NULL when it cannot be read. */
static char *
read_head(const char *path, size_t max)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *text = tr_malloc(max + 1);
    size_t len = fread(text, 1, max, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}

static bool
set_file(struct tr_mysql_position *position, const char *value, size_t len)
{
    if (len == 0 || len >= sizeof position->file)
        return false;
    memcpy(position->file, value, len);
    position->file[len] = '\0';
    return true;
}

static void
set_gtid(struct tr_mysql_position *position, const char *value, size_t len)
{
    if (len > 0 && tr_gtid_set_add(&position->set, value, len) && position->set.count > 0)
        position->has_gtid = true;
}

static bool
named(const char *line, size_t len, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strlen(*names) == len && strncasecmp(line, *names, len) == 0)
            return true;
    return false;
}

/* One "name = value" or "name: value". Quotes and blanks around the value go. */
static void
metadata_line(const char *line, size_t len, struct tr_mysql_position *position)
{
    static const char *const files[] = { "File", "Log", "SOURCE_LOG_FILE", NULL };
    static const char *const offsets[] = { "Position", "Pos", "SOURCE_LOG_POS", NULL };
    static const char *const sets[] = { "Executed_Gtid_Set", "GTID", NULL };
    while (len > 0 && (isspace((unsigned char)*line) || *line == '#'))
        line++, len--;
    size_t name = 0;
    while (name < len && line[name] != '=' && line[name] != ':')
        name++;
    const char *value = line + name + (name < len);
    size_t rest = len - name - (name < len);
    while (name > 0 && isspace((unsigned char)line[name - 1]))
        name--;
    while (rest > 0 && (isspace((unsigned char)*value) || *value == '"' || *value == '\''))
        value++, rest--;
    while (rest > 0 && (isspace((unsigned char)value[rest - 1]) || value[rest - 1] == '"' ||
                        value[rest - 1] == '\'' || value[rest - 1] == ','))
        rest--;
    if (named(line, name, files))
        position->has_file = set_file(position, value, rest);
    else if (named(line, name, offsets))
        position->offset = strtoull(value, NULL, 10);
    else if (named(line, name, sets))
        set_gtid(position, value, rest);
}

/* What the loader's own source was replicating from stands in sections of its own, which are not ours to follow. */
static void
parse_mydumper(const char *text, struct tr_mysql_position *position)
{
    bool foreign = false;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (strncasecmp(text, "[replication", 12) == 0 || strncasecmp(text, "SHOW SLAVE STATUS", 17) == 0 ||
            strncasecmp(text, "SHOW REPLICA STATUS", 19) == 0)
            foreign = true;
        else if (strncasecmp(text, "[master", 7) == 0 || strncasecmp(text, "[source", 7) == 0 ||
                 strncasecmp(text, "SHOW MASTER STATUS", 18) == 0)
            foreign = false;
        else if (*text == '[')
            foreign = true;
        if (!foreign)
            metadata_line(text, len, position);
        text += len + (text[len] == '\n');
    }
}

static void
parse_xtrabackup(const char *text, struct tr_mysql_position *position)
{
    size_t len = strcspn(text, "\t");
    position->has_file = set_file(position, text, len) && text[len] == '\t';
    if (!position->has_file)
        return;
    char *rest;
    position->offset = strtoull(text + len + 1, &rest, 10);
    while (*rest == '\t' || *rest == ' ')
        rest++;
    size_t set = strlen(rest);
    while (set > 0 && isspace((unsigned char)rest[set - 1]))
        set--;
    set_gtid(position, rest, set);
}

/* The value behind KEY= anywhere in the text, without quotes. */
static const char *
assigned(const char *text, const char *key, size_t *len)
{
    const char *at = strcasestr(text, key);
    if (at == NULL)
        return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == '=')
        at++;
    bool quoted = *at == '\'';
    at += quoted;
    *len = strcspn(at, quoted ? "'" : ", ;\n");
    return at;
}

static void
parse_dump(const char *text, struct tr_mysql_position *position)
{
    size_t len;
    const char *value = assigned(text, "_LOG_FILE", &len);
    position->has_file = value != NULL && set_file(position, value, len);
    if ((value = assigned(text, "_LOG_POS", &len)) != NULL)
        position->offset = strtoull(value, NULL, 10);
    if ((value = assigned(text, "gtid_slave_pos", &len)) != NULL) {
        set_gtid(position, value, len);
        return;
    }
    value = strcasestr(
        text,
        "GTID_PURGED"); /* SET @@GLOBAL.GTID_PURGED=(a comment with a quoted plus) 'a:1-3,(new line)b:1' */
    value = value != NULL ? strchr(value, '=') : NULL;
    const char *comment = value != NULL ? strstr(value, "/*") : NULL,
               *quote = value != NULL ? strchr(value, '\'') : NULL;
    if (comment != NULL && quote != NULL && comment < quote && (comment = strstr(comment, "*/")) != NULL)
        quote = strchr(comment, '\'');
    if (quote != NULL)
        set_gtid(position, quote + 1, strcspn(quote + 1, "'"));
}

static char *
path_in(const char *given, const char *const *names)
{
    struct stat st;
    if (stat(given, &st) == 0 && !S_ISDIR(st.st_mode))
        return tr_strdup(given);
    for (; *names != NULL; names++) {
        char *path = tr_asprintf("%s/%s", given, *names);
        if (stat(path, &st) == 0)
            return path;
        free(path);
    }
    return tr_strdup(given);
}

static const struct loader {
    const char *prefix;
    const char *names[4];
    size_t max;
    void (*parse)(const char *text, struct tr_mysql_position *position);
} loaders[] = {
    { "mydumper:", { "metadata", "metadata.partial", NULL }, DUMP_HEAD, parse_mydumper },
    { "xtrabackup:",
      { "xtrabackup_binlog_info", "mariadb_backup_binlog_info", NULL },
      (size_t)1 << 20,
      parse_xtrabackup },
    { "dump:", { NULL }, DUMP_HEAD, parse_dump },
};

static int
no_position(const char *path, const char *text, struct tr_error *err)
{
    static const char *const packed[] = { "\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd\x37zXZ",
                                          "BZh" }; /* gzip, zstd, xz, bzip2 */
    tr_fail(err, TR_CONFIG, "start: no position is found in %s", path);
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (strncmp(text, packed[i], strlen(packed[i])) == 0)
            return tr_error_hint(
                err,
                "the file is compressed: name one that holds the beginning of its text (zcat FILE | head -c 1000000 > HEAD)");
    return tr_error_hint(
        err,
        "the loader must write one: mysqldump --source-data=2, mariadb-dump --master-data=2, mydumper with the right to read the log's position");
}

int
tr_mysql_loader_position(struct tr_mysql_source *source, const char *start,
                         struct tr_mysql_position *position, struct tr_error *err)
{
    const struct loader *loader = loaders;
    while (strncmp(start, loader->prefix, strlen(loader->prefix)) != 0)
        loader++; /* the caller has seen one of them */
    char *path = path_in(start + strlen(loader->prefix), loader->names);
    char *text = read_head(path, loader->max);
    int rc = 0;
    if (text == NULL)
        rc = tr_fail(err, TR_CONFIG, "start: %s cannot be read: %s", path, strerror(errno));
    if (rc == 0) {
        loader->parse(text, position);
        enum tr_gtid_kind kind = source->mariadb ? TR_GTID_MARIADB : TR_GTID_MYSQL;
        if (position->has_gtid && (position->set.kind != kind || !source->gtid)) {
            tr_gtid_set_fini(&position->set);
            position->has_gtid = false;
        }
        if (!position->has_file && !position->has_gtid)
            rc = no_position(path, text, err);
    }
    free(text);
    free(path);
    return rc;
}

/* ------------------------------------------------------------------------------------------------------------ times */

/* "2026-01-31T12:00:00Z", "2026-01-31 12:00:00.5+02:00" (no zone = UTC), or seconds since 1970. */
bool
tr_mysql_time_parse(const char *text, int64_t *unix_us)
{
    char *end;
    struct tm tm = { 0 };
    int64_t us = 0, unit = 100000;
    int hours = 0, minutes = 0, used = 0;
    long long seconds = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && seconds >= 0 && seconds < INT64_C(100000000000)) {
        *unix_us = seconds * TR_US_PER_S;
        return true;
    }
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest == NULL)
        return false;
    int day = tm.tm_mday;
    if ((*rest == 'T' || *rest == ' ') && (rest = strptime(rest + 1, "%H:%M:%S", &tm)) == NULL)
        return false;
    if (*rest == '.')
        for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
            us += (*rest - '0') * unit;
    if (*rest == '+' || *rest == '-') {
        int sign = *rest == '-' ? -1 : 1;
        if (sscanf(rest + 1, "%2d%n:%2d%n", &hours, &used, &minutes, &used) < 1 || rest[1 + used] != '\0')
            return false;
        hours *= sign;
        minutes *= sign;
    } else if (*rest != '\0' && strcmp(rest, "Z") != 0) {
        return false;
    }
    *unix_us = ((int64_t)timegm(&tm) - hours * 3600 - minutes * 60) * TR_US_PER_S + us;
    return tm.tm_mday == day;
}
