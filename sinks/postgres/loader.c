/*
 * loader.c - rows into tables by COPY, as the source's own COPY made them or rendered from decoded values.
 *
 * A loader is one transaction on a connection of its own, lent by the sink's pool. With the last part of a table the table's cut is committed in the same
 * transaction, so a table is done exactly when all of its rows are there. Its commit does not wait for the disk: what a crash of the target takes away it takes
 * from the end of its log, rows and cut together, and finish_tables waits for all of it.
 */
#include "sinks/postgres/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "core/text.h"
#include "sinks/postgres/internal.h"

#define SEND_BYTES ((size_t)64 << 10)
#define UNSENT_MAX ((size_t)256 << 10) /* libpq moves its whole buffer on each partial send: keep it short */

struct tr_loader {
    struct tr_postgres_sink *sink;
    struct tr_relation *relation; /* a reference */
    PGconn *conn;
    struct tr_buffer text; /* rendered rows not yet handed to libpq */
    struct tr_pg_values values;
    struct tr_pg_fit *fits; /* per column, or NULL; their texts are in `types` */
    PGresult *types;
    bool *filled;  /* decoded rows: the generated columns that are plain ones at the target; or NULL */
    size_t queued; /* bytes given to libpq since it was last drained */
    bool staged;   /* the rows go through a temporary table that has the source's types */
    bool copying;
};

/* ---- binary or text? */

/* Built-in types whose send and receive forms have been the same in every version from 13 on, and carry no oids of the database's own. */
static bool
stable_type(uint32_t oid)
{
    static const uint32_t types[] = {
        16,   17,   18,   19,   20,   21,   23,   25,   26,   114,  142,  600,  601,  602,  603,  604,  628,
        650,  700,  701,  718,  774,  829,  869,  1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1562,
        1700, 2950, 3614, 3802, 3904, 3906, 3908, 3910, 3912, 3926, 1000, 1001, 1002, 1005, 1007, 1009, 1014,
        1015, 1016, 1021, 1022, 1115, 1182, 1183, 1185, 1187, 1231, 1270, 2951, 199,  3807, 1041, 651,
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i] == oid)
            return true;
    return false;
}

/* These send nothing but their characters; so does every enum. */
static bool
textual(uint32_t oid, char typtype)
{
    return typtype == 'e' || oid == 25 || oid == 1042 || oid == 1043;
}

/*
 * Does the target keep a column in a plain one that the source computes, and whose values the log has? The source's own COPY leaves it out. Any error is met again when the
 * loader is opened.
 */
static bool
keeps_computed(struct tr_postgres_sink *sink, const struct tr_relation *relation)
{
    struct tr_error ignored;
    struct tr_buffer name, sql;
    PGconn *conn = NULL;
    PGresult *res = NULL;
    const char *comma = "";
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_pg_qualified(&name, relation->target_schema, relation->target_name);
    tr_buffer_text(&sql, "SELECT FROM pg_attribute WHERE attrelid = to_regclass(");
    tr_pg_literal(&sql, name.data);
    tr_buffer_text(&sql, ") AND NOT attisdropped AND attgenerated = '' AND attname IN (");
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (relation->columns[c].generated && tr_column_arrives(&relation->columns[c])) {
            tr_buffer_text(&sql, comma);
            tr_pg_literal(&sql, relation->columns[c].name);
            comma = ", ";
        }
    tr_buffer_byte(&sql, ')');
    bool asked = comma[0] != '\0' && tr_pg_take_loader(sink, &conn, &ignored) == 0 &&
                 tr_pg_exec(conn, tr_pg_stop_fd(sink), sql.data, &res, &ignored) == 0;
    bool any = asked && PQntuples(res) > 0;
    PQclear(res);
    tr_pg_pool_give(&sink->loaders, conn);
    tr_buffer_fini(&name);
    tr_buffer_fini(&sql);
    return any;
}

bool
tr_pg_loader_accepts(struct tr_sink *base, const struct tr_relation *relation, const char *format)
{
    if (strcmp(base->env->source_dialect, "postgresql") != 0)
        return false;
    bool text = strcmp(format, "copy-text") == 0;
    if ((!text && strcmp(format, "copy-binary") != 0) ||
        keeps_computed((struct tr_postgres_sink *)base, relation))
        return false;
    if (text)
        return true;
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        const struct tr_column *column = &relation->columns[c];
        if (!column->generated && column->logical != TR_ENUM && !stable_type(column->base_type_id))
            return false;
    }
    return true;
}

/* ---- opening */

/* The statement that asks for a table's columns, and what checks and records at the end: planned once for all tables. */
static const char prepare_load[] =
    "PREPARE tr_columns(text) AS SELECT a.attname, coalesce(b.oid, t.oid), coalesce(b.typtype, t.typtype),"
    " CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, coalesce(b.typcategory, t.typcategory) = 'A', a.attnotnull,"
    " coalesce(b.typname, t.typname), format_type(a.atttypid, a.atttypmod), a.attgenerated <> '' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

int
tr_pg_stop_fd(const struct tr_postgres_sink *sink)
{
    return sink->base.env->stop_fd > 0 ? sink->base.env->stop_fd : -1;
}

/*
 * Sorting is what index building does: give it room, but not what an operator has set higher. From 14 on a server on Linux looks while it builds whether its client is
 * still there: a killed run leaves no work behind that the next one would wait for. Where it cannot, it says so, and nothing is lost.
 */
static int
set_up(struct tr_postgres_sink *sink, PGconn *conn, struct tr_error *err)
{
    struct tr_error unable;
    tr_error_clear(&unable);
    int rc = tr_pg_exec(
        conn, tr_pg_stop_fd(sink),
        "SELECT set_config('maintenance_work_mem', '256MB', false) FROM pg_settings WHERE name = 'maintenance_work_mem' AND setting::bigint < 262144",
        NULL, err);
    if (rc == 0)
        rc = tr_pg_exec(conn, tr_pg_stop_fd(sink), prepare_load, NULL, err);
    if (rc == 0 && sink->server_version >= 140000 &&
        tr_pg_exec(conn, tr_pg_stop_fd(sink), "SET client_connection_check_interval = '1s'", NULL, &unable) <
            0 &&
        unable.class == TR_RETRY) {
        *err = unable;
        rc = -TR_RETRY;
    }
    return rc;
}

int
tr_pg_take_loader(struct tr_postgres_sink *sink, PGconn **conn, struct tr_error *err)
{
    *conn = tr_pg_pool_take(&sink->loaders);
    if (*conn != NULL)
        return 0;
    int rc = tr_pg_sink_connect(sink, "load", false, conn, err);
    return rc < 0 ? rc : set_up(sink, *conn, err);
}

static int
ask(struct tr_loader *loader, const char *sql, PGresult **res, struct tr_error *err)
{
    return tr_pg_exec(loader->conn, tr_pg_stop_fd(loader->sink), sql, res, err);
}

static bool
is_written(const struct tr_loader *loader, uint16_t column)
{
    return !loader->relation->columns[column].generated || (loader->filled != NULL && loader->filled[column]);
}

static void
column_names(const struct tr_loader *loader, struct tr_buffer *sql)
{
    bool any = false;
    for (uint16_t c = 0; c < loader->relation->ncolumns; c++) {
        if (!is_written(loader, c))
            continue;
        tr_buffer_text(sql, any ? ", " : " (");
        tr_pg_identifier(sql, loader->relation->columns[c].name);
        any = true;
    }
    tr_buffer_text(sql, any ? ")" : "");
}

/* What the target's column is; its texts belong to the result. */
static struct tr_pg_target_type
target_type(const PGresult *res, int row)
{
    return (struct tr_pg_target_type){ .oid = (uint32_t)strtoul(PQgetvalue(res, row, 1), NULL, 10),
                                       .kind = PQgetvalue(res, row, 2)[0],
                                       .modifier = atoi(PQgetvalue(res, row, 3)),
                                       .is_array = PQgetvalue(res, row, 4)[0] == 't',
                                       .not_null = PQgetvalue(res, row, 5)[0] == 't',
                                       .name = PQgetvalue(res, row, 6),
                                       .text = PQgetvalue(res, row, 7) };
}

/* Decoded rows: which of their columns are written, and which need a look. */
static void
choose_fits(struct tr_loader *loader, PGresult *res)
{
    const struct tr_relation *relation = loader->relation;
    loader->types = res;
    loader->filled = tr_calloc(relation->ncolumns + 1u, sizeof(*loader->filled));
    for (int row = 0; row < PQntuples(res); row++) {
        int c = tr_relation_column(relation, PQgetvalue(res, row, 0));
        if (c < 0)
            continue;
        loader->filled[c] = PQgetvalue(res, row, 8)[0] != 't';
        struct tr_pg_target_type type = target_type(res, row);
        struct tr_pg_fit fit = tr_pg_fit_choose(&relation->columns[c], &type, loader->sink->from_postgresql);
        if (fit.kind != TR_PG_FIT_NONE && loader->fits == NULL)
            loader->fits = tr_calloc(relation->ncolumns, sizeof(*loader->fits));
        if (fit.kind != TR_PG_FIT_NONE)
            loader->fits[c] = fit;
    }
}

/*
 * Binary rows only fit columns of the same types; an existing table may have wider ones. *same is whether all agree. Rows that come decoded are looked at one by
 * one; the source's own text goes as it is.
 */
static int
begin(struct tr_loader *loader, const char *format, bool *same, struct tr_error *err)
{
    bool binary = strcmp(format, "copy-binary") == 0;
    const struct tr_relation *relation = loader->relation;
    struct tr_buffer name, sql;
    PGresult *res = NULL;
    *same = true;
    if (strcmp(format, "copy-text") == 0)
        return ask(loader, "BEGIN", NULL, err);
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&sql, 8192);
    tr_pg_qualified(&name, relation->target_schema, relation->target_name);
    tr_buffer_text(&sql, "BEGIN; EXECUTE tr_columns(");
    tr_pg_literal(&sql, name.data);
    tr_buffer_text(&sql, ")");
    int rc = ask(loader, sql.data, &res, err);
    tr_buffer_fini(&sql);
    tr_buffer_fini(&name);
    if (rc == 0 && !binary) {
        choose_fits(loader, res);
        return 0;
    }
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        int c = tr_relation_column(relation, PQgetvalue(res, row, 0));
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, row, 1), NULL, 10);
        if (c < 0 || relation->columns[c].generated)
            continue;
        const struct tr_column *column = &relation->columns[c];
        bool both_text = textual(column->base_type_id, column->logical == TR_ENUM ? 'e' : 'b') &&
                         textual(oid, PQgetvalue(res, row, 2)[0]);
        *same = *same && (oid == column->base_type_id || both_text);
    }
    PQclear(res);
    return rc;
}

/* The source's types by their oids, which are built in; an enum's rows are text. */
static int
make_staging(struct tr_loader *loader, struct tr_error *err)
{
    struct tr_buffer sql;
    bool any = false;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_text(&sql, "DO $tr$ BEGIN EXECUTE format('CREATE TEMP TABLE tailrace_load (");
    struct tr_buffer types;
    tr_buffer_init(&types, (size_t)1 << 16);
    for (uint16_t c = 0; c < loader->relation->ncolumns; c++) {
        const struct tr_column *column = &loader->relation->columns[c];
        if (column->generated)
            continue;
        tr_buffer_printf(&sql, "%sc%u %%s", any ? ", " : "", c);
        tr_buffer_printf(&types, ", '%u'::regtype", column->logical == TR_ENUM ? 25 : column->base_type_id);
        any = true;
    }
    tr_buffer_printf(&sql, ") ON COMMIT DROP'%s); END $tr$", types.data != NULL ? types.data : "");
    int rc = ask(loader, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    tr_buffer_fini(&types);
    return rc;
}

static int
begin_copy(struct tr_loader *loader, bool binary, struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_text(&sql, "COPY ");
    if (loader->staged) {
        tr_buffer_text(&sql, "pg_temp.tailrace_load");
    } else {
        tr_pg_qualified(&sql, loader->relation->target_schema, loader->relation->target_name);
        column_names(loader, &sql);
    }
    tr_buffer_printf(&sql, " FROM STDIN%s", binary ? " (FORMAT binary)" : "");
    int rc = ask(loader, sql.data, &res, err);
    if (rc == 0 && PQresultStatus(res) != PGRES_COPY_IN)
        rc = tr_fail(err, TR_FATAL, "the server answers COPY with something else");
    loader->copying = rc == 0;
    PQclear(res);
    tr_buffer_fini(&sql);
    /* From here on libpq must not block in PQputCopyData: loader_write waits itself. */
    if (rc == 0 && PQsetnonblocking(loader->conn, 1) != 0)
        rc = tr_pg_fail(err, loader->conn, NULL, "COPY");
    return rc;
}

int
tr_pg_loader_open(struct tr_sink *base, const struct tr_relation *relation, const char *format,
                  struct tr_loader **out, struct tr_error *err)
{
    struct tr_loader *loader = tr_calloc(1, sizeof(*loader));
    bool binary = strcmp(format, "copy-binary") == 0, same = true;
    *out = NULL;
    loader->sink = (struct tr_postgres_sink *)base;
    /* Counting is the one thing that changes in a shared relation. */
    loader->relation = tr_relation_ref((struct tr_relation *)relation);
    tr_buffer_init(&loader->text, TR_BUFFER_MAX);
    tr_pg_values_init(&loader->values, loader->sink->on_value);
    int rc = tr_pg_take_loader(loader->sink, &loader->conn, err);
    if (rc == 0)
        rc = begin(loader, format, &same, err);
    loader->staged = !same;
    if (rc == 0 && loader->staged)
        rc = make_staging(loader, err);
    if (rc == 0)
        rc = begin_copy(loader, binary, err);
    if (rc < 0) {
        tr_pg_loader_close(loader);
        return tr_error_prefix(err, "loading %s.%s at the target", relation->target_schema,
                               relation->target_name);
    }
    *out = loader;
    return 0;
}

/* ---- writing */

static int
failed(struct tr_loader *loader, const PGresult *res, struct tr_error *err)
{
    return tr_pg_fail(err, loader->conn, res, "loading %s.%s at the target", loader->relation->target_schema,
                      loader->relation->target_name);
}

/* The server ended the COPY by itself: its message says why (a value that does not fit, a full disk). */
static int
copy_refused(struct tr_loader *loader, struct tr_error *err)
{
    PGresult *res, *first = NULL;
    PQputCopyEnd(loader->conn, NULL);
    while (PQstatus(loader->conn) == CONNECTION_OK && (res = PQgetResult(loader->conn)) != NULL) {
        ExecStatusType status = PQresultStatus(res);
        if (first == NULL && status == PGRES_FATAL_ERROR)
            first = res;
        else
            PQclear(res);
        if (status == PGRES_COPY_IN)
            break;
    }
    int rc = failed(loader, first, err);
    PQclear(first);
    return rc;
}

/* Everything libpq holds goes out; an error that arrives meanwhile ends the wait. */
static int
drain(struct tr_loader *loader, struct tr_error *err)
{
    int unsent;
    loader->queued = 0;
    while ((unsent = PQflush(loader->conn)) > 0) {
        int rc = tr_pg_wait(loader->conn, true, tr_pg_stop_fd(loader->sink), -1, err);
        if (rc < 0)
            return rc;
        if (PQconsumeInput(loader->conn) == 0)
            return failed(loader, NULL, err);
    }
    return unsent < 0 ? copy_refused(loader, err) : 0;
}

int
tr_pg_loader_write(struct tr_loader *loader, const char *data, size_t len, struct tr_error *err)
{
    TR_FAILPOINT("sink.postgres.load.write");
    while (len > 0) {
        int piece = len > SEND_BYTES ? (int)SEND_BYTES : (int)len;
        int rc = PQputCopyData(loader->conn, data, piece);
        if (rc < 0)
            return copy_refused(loader, err);
        if (rc == 0) { /* no room in libpq */
            rc = drain(loader, err);
            if (rc < 0)
                return rc;
            continue;
        }
        data += piece;
        len -= (size_t)piece;
        loader->queued += (size_t)piece;
        if (loader->queued >= UNSENT_MAX && (rc = drain(loader, err)) < 0)
            return rc;
    }
    return 0;
}

/* COPY's text format: backslash before what would end a column or a row. */
static void
copy_escape(struct tr_buffer *out, const char *text, size_t len)
{
    size_t clean = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i], letter;
        switch (c) {
        case '\\': letter = '\\'; break;
        case '\t': letter = 't'; break;
        case '\n': letter = 'n'; break;
        case '\r': letter = 'r'; break;
        default: continue;
        }
        tr_buffer_add(out, text + clean, i - clean);
        tr_buffer_byte(out, '\\');
        tr_buffer_byte(out, letter);
        clean = i + 1;
    }
    tr_buffer_add(out, text + clean, len - clean);
}

static int
render_value(struct tr_loader *loader, uint16_t index, const struct tr_value *value, struct tr_error *err)
{
    const struct tr_column *column = &loader->relation->columns[index];
    const char *text;
    size_t len;
    struct tr_value fitted = { 0 };
    if (value->state == TR_PRESENT && loader->fits != NULL && loader->fits[index].kind != TR_PG_FIT_NONE) {
        int rc = tr_pg_fit_value(&loader->values, &loader->fits[index], loader->relation, column, value,
                                 &fitted, err);
        if (rc < 0)
            return rc;
        value = &fitted;
    }
    if (value->state == TR_NULL) {
        tr_buffer_text(&loader->text, "\\N");
        return 0;
    }
    if (value->state == TR_ABSENT)
        return tr_fail(err, TR_REFUSED, "column %s has no value in a row of the full load", column->name);
    if (value->codec == TR_CODEC_RAW && column->logical == TR_BYTES) {
        tr_buffer_text(&loader->text, "\\\\x");
        tr_buffer_hex(&loader->text, value->data, value->len);
        return 0;
    }
    int rc = tr_value_text(loader->relation, column, value, &loader->values.canonical, &text, &len, err);
    if (rc == 0)
        copy_escape(&loader->text, text, len);
    return rc;
}

/* "table s.t, row with id=1: " */
static int
row_failed(struct tr_loader *loader, const struct tr_value *values, struct tr_error *err)
{
    const struct tr_relation *relation = loader->relation;
    struct tr_buffer key, scratch;
    tr_buffer_init(&key, 4096);
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    for (uint16_t k = 0; k < relation->nkeys; k++) {
        const struct tr_value *value = &values[relation->keys[k]];
        const struct tr_column *column = &relation->columns[relation->keys[k]];
        const char *text;
        size_t len;
        struct tr_error ignored;
        tr_buffer_printf(&key, "%s%s=", k > 0 ? ", " : "", column->name);
        if (value->state == TR_PRESENT &&
            tr_value_text(relation, column, value, &scratch, &text, &len, &ignored) == 0)
            tr_text_printable(&key, text, len < 64 ? len : 64);
    }
    if (err->class == TR_CONFLICT)
        err->class = TR_REFUSED;
    tr_error_prefix(err, "table %s.%s, row with %s", relation->schema, relation->name,
                    key.len > 0 ? key.data : "no key");
    tr_buffer_fini(&key);
    tr_buffer_fini(&scratch);
    return -(int)err->class;
}

static int
render_row(struct tr_loader *loader, const struct tr_value *values, struct tr_error *err)
{
    bool any = false;
    for (uint16_t c = 0; c < loader->relation->ncolumns; c++) {
        if (!is_written(loader, c))
            continue;
        if (any)
            tr_buffer_byte(&loader->text, '\t');
        any = true;
        if (render_value(loader, c, &values[c], err) < 0)
            return row_failed(loader, values, err);
    }
    tr_buffer_byte(&loader->text, '\n');
    return 0;
}

static int
write_text(struct tr_loader *loader, struct tr_error *err)
{
    if (loader->text.overflow)
        return tr_fail(err, TR_FATAL, "table %s.%s: a row is larger than 1 GiB", loader->relation->schema,
                       loader->relation->name);
    int rc = tr_pg_loader_write(loader, loader->text.data, loader->text.len, err);
    tr_buffer_reset(&loader->text);
    return rc;
}

int
tr_pg_loader_rows(struct tr_loader *loader, const struct tr_batch *batch, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < batch->nevents; i++) {
        rc = render_row(loader, batch->events[i].after, err);
        if (rc == 0 && loader->text.len >= SEND_BYTES)
            rc = write_text(loader, err);
    }
    return rc == 0 && loader->text.len > 0 ? write_text(loader, err) : rc;
}

/* ---- finishing */

/* Rows may still wait for a trigger, a full disk or a lock over there: an interrupt ends this too. */
static int
await_copy(struct tr_loader *loader, struct tr_error *err)
{
    PGresult *res;
    int rc = 0;
    for (;;) {
        while (PQflush(loader->conn) > 0 || PQisBusy(loader->conn)) {
            int ready = tr_pg_wait(loader->conn, PQflush(loader->conn) > 0, tr_pg_stop_fd(loader->sink), -1,
                                   err);
            if (ready < 0)
                return ready;
            if (PQconsumeInput(loader->conn) == 0)
                return failed(loader, NULL, err);
        }
        if ((res = PQgetResult(loader->conn)) == NULL)
            return rc;
        if (rc == 0 && PQresultStatus(res) != PGRES_COMMAND_OK)
            rc = failed(loader, res, err);
        PQclear(res);
    }
}

static int
end_copy(struct tr_loader *loader, struct tr_error *err)
{
    int rc = drain(loader, err);
    if (rc < 0)
        return rc;
    PQsetnonblocking(loader->conn, 0);
    if (PQputCopyEnd(loader->conn, NULL) < 0)
        return copy_refused(loader, err);
    loader->copying = false;
    return await_copy(loader, err);
}

static int
unstage(struct tr_loader *loader, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_text(&sql, "INSERT INTO ");
    tr_pg_qualified(&sql, loader->relation->target_schema, loader->relation->target_name);
    column_names(loader, &sql);
    tr_buffer_text(&sql, " OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.tailrace_load");
    int rc = ask(loader, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* A process that lost the task to a younger one must not add rows. The lock keeps the younger one waiting until this commit is through. */
static int
check_epoch(struct tr_loader *loader, struct tr_error *err)
{
    char epoch[24];
    PGresult *res = NULL;
    if (loader->sink->epoch == 0)
        return 0;
    snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)loader->sink->epoch);
    const char *params[] = { loader->sink->base.env->task, epoch };
    int rc = tr_pg_exec_params(loader->conn, tr_pg_stop_fd(loader->sink),
                               "SELECT epoch = $2::bigint FROM tailrace.checkpoint WHERE task = $1 FOR SHARE",
                               2, params, &res, err);
    if (rc == 0 && (PQntuples(res) != 1 || PQgetvalue(res, 0, 0)[0] != 't')) {
        tr_fail(err, TR_FATAL, "task %s has been taken over by another process",
                loader->sink->base.env->task);
        rc = tr_error_hint(err, "run one process per task and target");
    }
    PQclear(res);
    return rc;
}

static void
tell_misfits(struct tr_loader *loader)
{
    const struct tr_sink_env *env = loader->sink->base.env;
    if (loader->values.misfits == 0)
        return;
    tr_log(env->log, TR_LOG_WARNING, "sink",
           "table %s.%s: %llu values that its columns cannot hold were stored as %s",
           loader->relation->target_schema, loader->relation->target_name,
           (unsigned long long)loader->values.misfits,
           loader->sink->on_value == TR_PG_VALUE_NULL ? "NULL" : "the nearest value");
    env->misfit(env->arg, loader->values.misfits);
}

int
tr_pg_loader_finish(struct tr_loader *loader, const struct tr_table_cut *table_done, struct tr_error *err)
{
    TR_FAILPOINT("sink.postgres.load.finish");
    int rc = end_copy(loader, err);
    if (rc == 0 && loader->staged)
        rc = unstage(loader, err);
    if (rc == 0)
        rc = check_epoch(loader, err);
    if (rc == 0 && table_done != NULL)
        rc = tr_pg_record_cut(loader->sink, loader->conn, table_done, err);
    TR_FAILPOINT("sink.postgres.load.commit");
    if (rc == 0)
        rc = ask(loader, "COMMIT", NULL, err);
    if (rc == 0)
        tell_misfits(loader);
    return rc < 0 ? tr_error_prefix(err, "finishing the load of %s.%s", loader->relation->target_schema,
                                    loader->relation->target_name)
                  : 0;
}

void
tr_pg_loader_close(struct tr_loader *loader)
{
    if (loader == NULL)
        return;
    tr_pg_pool_give(&loader->sink->loaders,
                    loader->conn); /* with an open transaction it is closed, and the server rolls back */
    tr_relation_unref(loader->relation);
    tr_buffer_fini(&loader->text);
    tr_pg_values_fini(&loader->values);
    free(loader->fits);
    free(loader->filled);
    PQclear(loader->types);
    free(loader);
}
