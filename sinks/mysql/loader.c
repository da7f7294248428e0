/*
 * loader.c - rows into tables by LOAD DATA LOCAL from memory, or by INSERTs of many rows where the server does not take that.
 *
 * A loader is one transaction on a connection of its own. With the last part of a table the table's cut is committed in the same transaction, so a table is done
 * exactly when all of its rows are there. LOAD DATA LOCAL turns errors into warnings: any warning at all is an error here.
 */
#include "sinks/mysql/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/mysql/apply.h"

#define LOAD_BYTES ((size_t)4 << 20) /* of one LOAD DATA */
#define INSERT_BYTES ((size_t)1 << 20)

struct tr_loader {
    struct tr_mysql_sink *sink;
    MYSQL *conn;
    struct tr_my_table *table;
    struct tr_my_map *map;
    struct tr_my_values values;
    struct tr_buffer rows;  /* fields of LOAD DATA, or the tail of an INSERT */
    struct tr_buffer head;  /* the statement in front of them */
    uint64_t count;         /* rows in `rows` */
    struct tr_buffer apart; /* the tail of an INSERT of rows that no field of LOAD DATA can say */
    uint64_t apart_count;
    struct tr_buffer document; /* scratch */
    size_t sent;               /* of `rows`, while the server reads */
    bool infile;
};

bool
tr_my_loader_accepts(struct tr_sink *sink, const struct tr_relation *relation, const char *format)
{
    (void)sink;
    (void)relation;
    (void)format;
    return false; /* rows are rendered here, whatever the source */
}

/* ---- what the client library reads instead of a file */

static int
infile_init(void **at, const char *name, void *loader)
{
    (void)name;
    *at = loader;
    ((struct tr_loader *)loader)->sent = 0;
    return 0;
}

static int
infile_read(void *at, char *out, unsigned size)
{
    struct tr_loader *loader = at;
    size_t left = loader->rows.len - loader->sent, n = left < size ? left : size;
    memcpy(out, loader->rows.data + loader->sent, n);
    loader->sent += n;
    return (int)n;
}

static void
infile_end(void *at)
{
    (void)at;
}

static int
infile_error(void *at, char *out, unsigned size)
{
    (void)at;
    snprintf(out, size, "no rows");
    return 0;
}

/* ---- opening */

/*
 * Bytes go as they are. These types, and columns of other character sets, want to be told that they are characters: as bytes they would have to be in the server's
 * own form.
 */
static bool
wants_characters(const struct tr_my_column *column)
{
    static const char *const types[] = { "json", "uuid", "inet4", "inet6", "xmltype" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(column->type, types[i]) == 0)
            return true;
    return column->recoded;
}

static bool
any_wants_characters(const struct tr_my_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->target[i] >= 0 && wants_characters(&map->table->columns[map->target[i]]))
            return true;
    return false;
}

/* Behind a SET clause MariaDB forgets that the counting column was given a number, and takes 0 for none: it is set there too. */
static void
load_head(struct tr_loader *loader)
{
    const struct tr_my_map *map = loader->map;
    bool sets_some = any_wants_characters(map);
    struct tr_buffer *sql = &loader->head, sets;
    const char *comma = "";
    tr_buffer_init(&sets, (size_t)1 << 20);
    tr_buffer_text(sql, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE ");
    tr_mysql_qualified(sql, map->table->database, map->table->name);
    tr_buffer_text(
        sql,
        " CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' (");
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        const struct tr_my_column *column = &map->table->columns[map->target[i]];
        tr_buffer_text(sql, comma);
        comma = ", ";
        bool counts = sets_some && column->auto_increment;
        if (!wants_characters(column) && !counts) {
            tr_mysql_identifier(sql, column->name);
            continue;
        }
        tr_buffer_printf(sql, "@c%u", i);
        tr_buffer_text(&sets, sets.len > 0 ? ", " : " SET ");
        tr_mysql_identifier(&sets, column->name);
        tr_buffer_printf(&sets, counts ? " = @c%u" : " = CONVERT(@c%u USING utf8mb4)", i);
    }
    tr_buffer_byte(sql, ')');
    tr_buffer_text(sql, sets.len > 0 ? sets.data : "");
    tr_buffer_fini(&sets);
}

static int
open_connection(struct tr_loader *loader, const struct tr_relation *relation, struct tr_error *err)
{
    const struct tr_mysql_sink *sink = loader->sink;
    char *purpose = tr_asprintf("load %s.%s", relation->schema, relation->name);
    int rc = tr_my_sink_connect(sink, purpose, loader->infile, &loader->conn, err);
    free(purpose);
    if (rc == 0 && loader->infile)
        mysql_set_local_infile_handler(loader->conn, infile_init, infile_read, infile_end, infile_error,
                                       loader);
    return rc < 0 ? rc : tr_mysql_query(loader->conn, "START TRANSACTION", NULL, err);
}

/*
 * A generated column of DECIMAL or DATE that rounds what it computes (price * 1.19) says so in a note, for each row and to every INSERT at the source as well. Our own values
 * need none: what a column would round is told before it is sent (value.c).
 */
static int
leave_out_notes(struct tr_loader *loader, struct tr_error *err)
{
    for (uint16_t i = 0; i < loader->table->ncolumns; i++)
        if (loader->table->columns[i].generated)
            return tr_mysql_query(loader->conn, "SET SESSION sql_notes = 0", NULL, err);
    return 0;
}

static int
open_table(struct tr_loader *loader, const struct tr_relation *relation, struct tr_error *err)
{
    const char *database = tr_my_database(loader->sink, relation);
    int rc = tr_my_table_read(loader->conn, database, relation->target_name, &loader->table, err);
    if (rc == 0 && loader->table == NULL)
        rc = tr_fail(err, TR_REFUSED, "the target has no table %s.%s", database, relation->target_name);
    if (rc == 0)
        rc = leave_out_notes(loader, err);
    if (rc == 0)
        rc = tr_my_map_over(loader->sink, (struct tr_relation *)relation, loader->table, &loader->map, err);
    return rc;
}

int
tr_my_loader_open(struct tr_sink *base, const struct tr_relation *relation, const char *format,
                  struct tr_loader **out, struct tr_error *err)
{
    (void)format;
    struct tr_loader *loader = tr_calloc(1, sizeof(*loader));
    *out = NULL;
    loader->sink = (struct tr_mysql_sink *)base;
    loader->infile = loader->sink->local_infile;
    tr_my_values_init(&loader->values, loader->sink->on_value);
    tr_buffer_init(&loader->rows, TR_BUFFER_MAX);
    tr_buffer_init(&loader->apart, TR_BUFFER_MAX);
    tr_buffer_init(&loader->document, TR_BUFFER_MAX);
    tr_buffer_init(&loader->head, (size_t)1 << 20);
    int rc = open_connection(loader, relation, err);
    if (rc == 0)
        rc = open_table(loader, relation, err);
    if (rc < 0) {
        tr_my_loader_close(loader);
        return tr_error_prefix(err, "loading %s.%s at the target", relation->target_schema,
                               relation->target_name);
    }
    if (loader->infile)
        load_head(loader);
    *out = loader;
    return 0;
}

/* ---- writing */

static int
fail_warning(struct tr_loader *loader, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    int rc = tr_mysql_query(loader->conn, "SHOW WARNINGS LIMIT 1", &res, err);
    MYSQL_ROW row = rc == 0 && res != NULL ? mysql_fetch_row(res) : NULL;
    if (rc == 0)
        tr_mysql_fail_with(err, row != NULL ? (unsigned)strtoul(row[1], NULL, 10) : 0, "HY000",
                           row != NULL ? row[2] : "a row was not taken", "loading %s", loader->map->label);
    mysql_free_result(res);
    err->class = TR_REFUSED;
    tr_error_hint(
        err,
        "mend the value at the source or widen the target's column, then start again: the load of the table begins anew");
    return -TR_REFUSED;
}

static uint64_t
figure(const char *info, const char *word)
{
    const char *at = info != NULL ? strstr(info, word) : NULL;
    return at != NULL ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static int
send_rows(struct tr_loader *loader, struct tr_error *err)
{
    TR_FAILPOINT("sink.mysql.load.write");
    const struct tr_buffer *sql = loader->infile ? &loader->head : &loader->rows;
    if (loader->rows.overflow)
        return tr_fail(err, TR_REFUSED, "table %s: a row is larger than 1 GiB", loader->map->label);
    if (!loader->infile && sql->len + 64 > loader->sink->packet) {
        tr_fail(err, TR_REFUSED, "%s: a row takes a statement of %zu bytes, and the target takes %zu at most",
                loader->map->label, sql->len, loader->sink->packet);
        return tr_error_hint(err,
                             "SET GLOBAL max_allowed_packet = 1073741824; at the target, then start again");
    }
    if (mysql_real_query(loader->conn, sql->data, (unsigned long)sql->len) != 0)
        return tr_mysql_fail(err, loader->conn, "loading %s", loader->map->label);
    const char *info = mysql_info(loader->conn); /* "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0" */
    bool good = mysql_warning_count(loader->conn) == 0 &&
                (loader->infile ? figure(info, "Records:") == loader->count && figure(info, "Skipped:") == 0
                                : mysql_affected_rows(loader->conn) == loader->count);
    tr_buffer_reset(&loader->rows);
    loader->count = 0;
    return good ? 0 : fail_warning(loader, err);
}

static int
fail_row(struct tr_loader *loader, const struct tr_value *row, struct tr_error *err)
{
    struct tr_buffer key;
    tr_buffer_init(&key, 4096);
    tr_sql_key_text(&loader->map->plan, row, &key);
    tr_error_prefix(err, "table %s, row with %s", loader->map->label, key.data);
    tr_buffer_fini(&key);
    if (err->class == TR_CONFLICT)
        err->class = TR_REFUSED;
    return -(int)err->class;
}

static int
render_row(struct tr_loader *loader, const struct tr_value *row, struct tr_error *err)
{
    const struct tr_my_map *map = loader->map;
    struct tr_buffer *out = &loader->rows;
    bool infile = loader->infile, first = true;
    if (!infile && out->len == 0)
        tr_my_insert_head(map, row, out);
    if (!infile)
        tr_buffer_text(out, loader->count > 0 ? ",(" : "(");
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        if (!first)
            tr_buffer_byte(out, infile ? '\t' : ',');
        first = false;
        int rc = row[i].state == TR_ABSENT
                     ? tr_fail(err, TR_REFUSED, "column %s has no value in a row of the full load",
                               map->relation->columns[i].name)
                     : tr_my_value_write(&loader->values, map, i, &row[i], infile, out, err);
        if (rc < 0)
            return fail_row(loader, row, err);
    }
    tr_buffer_byte(out, infile ? '\n' : ')');
    loader->count++;
    return 0;
}

/* A document with decimals is written as calls of functions. */
static bool
goes_apart(struct tr_loader *loader, const struct tr_value *row)
{
    const struct tr_my_map *map = loader->map;
    struct tr_error ignored;
    bool apart = false;
    for (uint16_t i = 0; i < map->relation->ncolumns && !apart; i++) {
        const char *text;
        size_t len;
        if (map->target[i] < 0 || map->table->columns[map->target[i]].kind != TR_MY_JSON ||
            row[i].state != TR_PRESENT ||
            tr_value_text(map->relation, &map->relation->columns[i], &row[i], &loader->document, &text, &len,
                          &ignored) < 0)
            continue;
        apart = tr_my_json_has_decimals(text, len);
    }
    return apart;
}

/* What waits in `apart`, and what goes by LOAD DATA, in each other's place. */
static void
exchange(struct tr_loader *loader)
{
    struct tr_buffer rows = loader->rows;
    uint64_t count = loader->count;
    loader->rows = loader->apart;
    loader->count = loader->apart_count;
    loader->apart = rows;
    loader->apart_count = count;
    loader->infile = !loader->infile;
}

static size_t
limit_of(const struct tr_loader *loader)
{
    return loader->infile                            ? LOAD_BYTES
           : loader->sink->packet / 4 < INSERT_BYTES ? loader->sink->packet / 4
                                                     : INSERT_BYTES;
}

int
tr_my_loader_rows(struct tr_loader *loader, const struct tr_batch *batch, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < batch->nevents; i++) {
        bool apart = loader->infile && loader->map->json_decimals &&
                     goes_apart(loader, batch->events[i].after);
        if (apart)
            exchange(loader);
        rc = render_row(loader, batch->events[i].after, err);
        if (rc == 0 && loader->rows.len >= limit_of(loader))
            rc = send_rows(loader, err);
        if (apart)
            exchange(loader);
    }
    return rc;
}

int
tr_my_loader_write(struct tr_loader *loader, const char *data, size_t len, struct tr_error *err)
{
    (void)data;
    (void)len;
    return tr_fail(err, TR_FATAL, "loading %s: the target takes decoded rows only", loader->map->label);
}

/* ---- finishing */

static void
tell_misfits(struct tr_loader *loader)
{
    const struct tr_sink_env *env = loader->sink->base.env;
    if (loader->values.misfits == 0)
        return;
    env->misfit(env->arg, loader->values.misfits);
    tr_log(loader->sink->base.env->log, TR_LOG_WARNING, "sink",
           "table %s: %llu values that its columns cannot hold were stored as %s", loader->map->label,
           (unsigned long long)loader->values.misfits,
           loader->sink->on_value == TR_MY_VALUE_NULL ? "NULL" : "the nearest value");
}

int
tr_my_loader_finish(struct tr_loader *loader, const struct tr_table_cut *table_done, struct tr_error *err)
{
    TR_FAILPOINT("sink.mysql.load.finish");
    int rc = loader->count > 0 ? send_rows(loader, err) : 0;
    if (rc == 0 && loader->apart_count > 0) {
        exchange(loader);
        rc = send_rows(loader, err);
        exchange(loader);
    }
    if (rc == 0)
        rc = tr_my_check_epoch(loader->sink, loader->conn, err);
    if (rc == 0 && table_done != NULL)
        rc = tr_my_record_cut(loader->sink, loader->conn, table_done, err);
    TR_FAILPOINT("sink.mysql.load.commit");
    if (rc == 0)
        rc = tr_mysql_query(loader->conn, "COMMIT", NULL, err);
    if (rc == 0)
        tell_misfits(loader);
    return rc < 0 ? tr_error_prefix(err, "finishing the load of %s", loader->map->label) : 0;
}

void
tr_my_loader_close(struct tr_loader *loader)
{
    if (loader == NULL)
        return;
    tr_mysql_close(loader->sink->group, loader->conn); /* an open transaction is rolled back by the server */
    tr_my_map_free(loader->map);
    tr_my_table_free(loader->table);
    tr_my_values_fini(&loader->values);
    tr_buffer_fini(&loader->rows);
    tr_buffer_fini(&loader->apart);
    tr_buffer_fini(&loader->document);
    tr_buffer_fini(&loader->head);
    free(loader);
}
