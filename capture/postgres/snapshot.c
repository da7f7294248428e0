/*
 * snapshot.c - tables copied as of a cut, by several readers at once.
 *
 * Rows come under the cut's snapshot, but what is a table's file, its columns and its partitions PostgreSQL takes from the catalogue of this moment. A rewrite
 * (ALTER TYPE, VACUUM FULL, CLUSTER, TRUNCATE) after the cut makes old rows vanish for the snapshot or moves them between block
 * ranges; so each reader locks the table first and then proves that catalogue of then and now agree. Where they do not, a new cut is taken.
 */
#include "capture/postgres/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "decoders/pgoutput/copy_text.h"

#define PART_BYTES ((uint64_t)128 << 20) /* a smaller table is not worth a second connection */
#define LAST_BLOCK UINT32_MAX
#define CHUNK_BYTES ((size_t)64 << 10)
#define TID_RANGE_VERSION 140000 /* before it a ctid range reads the whole table */
#define ROW_FILTER_VERSION 150000
#define PUBLISHED_GENERATED_VERSION 180000

struct tr_table_reader {
    struct tr_postgres_source *source;
    struct tr_relation *relation; /* a reference */
    PGconn *conn;
    struct tr_buffer chunk; /* rows gathered for one reader_read */
    uint64_t count;         /* rows handed out by it */
    char *filter;           /* published row filter, or NULL */
    bool column_list;       /* the publication names columns */
    bool generated;         /* the publication has generated columns: so has the log */
    bool rows;              /* format "rows" */
    bool ended;
};

/* ---- parts */

static const char size_query[] =
    "SELECT c.oid, pg_relation_size(c.oid), greatest(c.reltuples, 0)::bigint, current_setting('block_size'), pg_table_size(c.oid) FROM pg_class c"
    " WHERE c.relkind = 'r' AND c.oid = ANY (CASE WHEN $2 = 'p' THEN ARRAY(SELECT relid::oid FROM pg_partition_tree($1::oid) WHERE isleaf) ELSE ARRAY[$1::oid] END) ORDER BY c.oid";

static uint64_t
number(const PGresult *res, int row, int column)
{
    return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* How many parts each heap deserves; their sum. */
static int
count_parts(const PGresult *res, uint64_t part_bytes)
{
    int count = 0;
    for (int row = 0; row < PQntuples(res); row++)
        count += (int)(number(res, row, 1) / part_bytes) + 1;
    return count;
}

static int
split(const PGresult *res, int row, uint64_t part_bytes, struct tr_table_part *parts)
{
    uint64_t oid = number(res, row, 0), bytes = number(res, row, 1), block_size = number(res, row, 3);
    uint64_t count = bytes / part_bytes + 1, blocks = block_size > 0 ? bytes / block_size : 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from = blocks * i / count, to = i + 1 < count ? blocks * (i + 1) / count : LAST_BLOCK;
        parts[i] = (struct tr_table_part){ .from = oid << 32 | from,
                                           .to = oid << 32 | to,
                                           .rows = number(res, row, 2) / count,
                                           .bytes = number(res, row, 4) / count };
    }
    return (int)count;
}

/* Blocks that are added later belong to the last part, which has no end. */
int
tr_postgres_table_parts(struct tr_source *base, const struct tr_relation *relation,
                        struct tr_table_part *parts, int max, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    char oid[24], kind[2] = { relation->kind == 'p' ? 'p' : 'r', '\0' };
    snprintf(oid, sizeof(oid), "%" PRIu64, relation->id);
    const char *params[] = { oid, kind };
    PGresult *res = NULL;
    int rc = tr_postgres_query(source, size_query, 2, params, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "asking for the size of %s.%s", relation->schema, relation->name);
    struct tr_table_part whole = { .from = 0, .to = UINT64_MAX };
    uint64_t part_bytes = PART_BYTES;
    for (int row = 0; row < PQntuples(res); row++) {
        whole.rows += number(res, row, 2);
        whole.bytes += number(res, row, 4);
    }
    while (PQntuples(res) < max && count_parts(res, part_bytes) > max)
        part_bytes *= 2;
    int count = 0;
    bool ranges = source->server_version >= TID_RANGE_VERSION && count_parts(res, part_bytes) <= max;
    if (ranges && (PQntuples(res) > 1 || count_parts(res, part_bytes) > 1))
        for (int row = 0; row < PQntuples(res); row++)
            count += split(res, row, part_bytes, parts + count);
    if (count == 0)
        parts[count++] = whole;
    PQclear(res);
    return count;
}

/* ---- opening: is the table still what it was at the cut? */

/* As of the snapshot (columns of pg_class, pg_inherits) and as of now (functions over the system caches), side by side. */
static const char state_query[] =
    "WITH RECURSIVE family(oid) AS (SELECT $1::oid UNION ALL SELECT i.inhrelid FROM family f JOIN pg_class p ON p.oid = f.oid AND p.relkind = 'p'"
    "  JOIN pg_inherits i ON i.inhparent = f.oid)"
    " SELECT bool_and(c.relkind NOT IN ('r', 'p') OR c.relkind = 'p' OR c.relfilenode = pg_relation_filenode(c.oid)),"
    " bool_or(c.oid = $2::oid), count(*) = (SELECT count(*) FROM pg_partition_tree($1::oid)) OR bool_and(c.relkind <> 'p'),"
    " (SELECT relkind FROM pg_class WHERE oid = $2::oid), to_regclass($3)::oid = $2::oid"
    " FROM family JOIN pg_class c USING (oid)";

static const char columns_query[] =
    "SELECT attname, atttypid, atttypmod, attgenerated <> '' FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/* A table published along with its whole schema, or by a publication of all tables, has neither row filter nor column list. */
static const char publication_query[] =
    "SELECT pg_get_expr(r.prqual, r.prrelid), r.prattrs IS NOT NULL FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
    " JOIN pg_class c ON c.oid = r.prrelid WHERE p.pubname = $2 AND r.prrelid = $1::oid"
    " AND NOT EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)";

static int
changed(struct tr_table_reader *reader, struct tr_error *err, const char *what)
{
    tr_fail(err, TR_RETRY, "table %s.%s %s since the cut was taken; it is copied again from a new one",
            reader->relation->schema, reader->relation->name, what);
    return tr_error_hint(
        err, "keep ALTER TABLE, TRUNCATE, VACUUM FULL and CLUSTER away from the table until it is loaded");
}

static int
ask(struct tr_table_reader *reader, const char *sql, int nparams, const char *const *params, PGresult **res,
    struct tr_error *err)
{
    return tr_pg_exec_params(reader->conn, reader->source->interrupt_fd, sql, nparams, params, res, err);
}

static int
begin(struct tr_table_reader *reader, const char *snapshot, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ");
    tr_pg_literal(&sql, snapshot);
    int rc = tr_pg_exec(reader->conn, reader->source->interrupt_fd, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    if (rc == 0)
        return 0;
    /* The session that exported it is gone (22023, 42704): only a new cut helps. */
    if (strcmp(err->sqlstate, "22023") == 0 || strcmp(err->sqlstate, "42704") == 0)
        return tr_fail(err, TR_RETRY, "the snapshot %s of the cut is gone; a new cut is needed", snapshot);
    return tr_error_prefix(err, "opening the snapshot %s", snapshot);
}

/* The table's name of this moment, by its oid; locked, so that from here on nobody rewrites it. */
static int
lock_table(struct tr_table_reader *reader, const char *oid, bool whole, struct tr_buffer *name,
           struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { oid };
    int rc = ask(reader, "SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = $1::oid", 1, params,
                 &res, err);
    if (rc == 0 && PQntuples(res) == 1)
        tr_buffer_text(name, PQgetvalue(res, 0, 0));
    else if (rc == 0)
        rc = changed(reader, err, "was made anew");
    PQclear(res);
    if (rc < 0)
        return rc;
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_printf(&sql, "LOCK TABLE %s%s IN ACCESS SHARE MODE", whole ? "" : "ONLY ", name->data);
    rc = tr_pg_exec(reader->conn, reader->source->interrupt_fd, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    if (rc < 0 && strncmp(err->sqlstate, "42P01", 5) == 0)
        return changed(reader, err, "was dropped or renamed");
    return rc;
}

static int
check_state(struct tr_table_reader *reader, const char *root, const char *heap, const char *name,
            struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { root, heap, name };
    int rc = ask(reader, state_query, 3, params, &res, err);
    if (rc < 0)
        return rc;
    char kind = PQgetvalue(res, 0, 3)[0];
    if (PQgetvalue(res, 0, 0)[0] != 't')
        rc = changed(reader, err, "was rewritten or truncated");
    else if (PQgetvalue(res, 0, 1)[0] != 't' || PQgetvalue(res, 0, 2)[0] != 't')
        rc = changed(reader, err, "lost or gained partitions");
    else if (PQgetvalue(res, 0, 4)[0] != 't' || (kind != 'r' && kind != 'p'))
        rc = changed(reader, err, "was replaced by something else");
    PQclear(res);
    return rc;
}

static int
check_columns(struct tr_table_reader *reader, const char *root, struct tr_error *err)
{
    const struct tr_relation *relation = reader->relation;
    PGresult *res = NULL;
    const char *params[] = { root };
    int rc = ask(reader, columns_query, 1, params, &res, err), found = 0;
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        int c = tr_relation_column(relation, PQgetvalue(res, row, 0));
        if (c < 0 && !reader->column_list && PQgetvalue(res, row, 3)[0] != 't')
            rc = changed(reader, err, "gained a column");
        if (c < 0)
            continue;
        found++;
        if (relation->columns[c].type_id != number(res, row, 1) ||
            relation->columns[c].type_mod != (int32_t)strtol(PQgetvalue(res, row, 2), NULL, 10))
            rc = changed(reader, err, "changed the type of a column");
    }
    if (rc == 0 && found != relation->ncolumns)
        rc = changed(reader, err, "lost a column");
    PQclear(res);
    return rc;
}

static int
read_publication(struct tr_table_reader *reader, const char *root, struct tr_error *err)
{
    struct tr_postgres_source *source = reader->source;
    const char *params[] = { root, source->publication };
    PGresult *res = NULL;
    if (source->server_version < ROW_FILTER_VERSION)
        return 0;
    int rc = ask(reader, publication_query, 2, params, &res, err);
    if (rc == 0 && PQntuples(res) > 0) {
        reader->column_list = PQgetvalue(res, 0, 1)[0] == 't';
        if (!PQgetisnull(res, 0, 0))
            reader->filter = tr_strdup(PQgetvalue(res, 0, 0));
    }
    PQclear(res);
    if (rc < 0 || source->server_version < PUBLISHED_GENERATED_VERSION)
        return rc;
    res = NULL;
    rc = ask(reader, "SELECT pubgencols = 's' FROM pg_publication WHERE pubname = $1", 1, params + 1, &res,
             err);
    reader->generated = rc == 0 && PQntuples(res) > 0 && PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    return rc;
}

/* ---- opening: the COPY */

/* A column that the log does not bring: the target computes it, and a row looks the same whether copied or streamed. */
static bool
left_out(const struct tr_table_reader *reader, const struct tr_column *column)
{
    return column->generated && !(reader->rows && reader->generated);
}

/* The list of columns; for "rows" each of the relation's has its place, and those left out come as null. */
static bool
column_names(const struct tr_table_reader *reader, struct tr_buffer *sql)
{
    bool any = false, plain = true;
    for (uint16_t c = 0; c < reader->relation->ncolumns; c++) {
        const struct tr_column *column = &reader->relation->columns[c];
        bool out = left_out(reader, column);
        if (out && !reader->rows)
            continue;
        tr_buffer_text(sql, any ? ", " : "");
        if (out)
            tr_buffer_text(sql, "NULL");
        else
            tr_pg_identifier(sql, column->name);
        plain = plain && (!out && !column->generated);
        any = true;
    }
    return plain && any;
}

static void
copy_statement(const struct tr_table_reader *reader, const struct tr_table_part *part, const char *name,
               bool binary, struct tr_buffer *sql)
{
    bool ranged = part->from != 0, root = reader->relation->kind == 'p' && !ranged;
    uint32_t from = (uint32_t)part->from, to = (uint32_t)part->to;
    struct tr_buffer columns;
    tr_buffer_init(&columns, (size_t)1 << 20);
    bool plain = column_names(reader, &columns) && !ranged && !root && reader->filter == NULL;
    if (plain)
        tr_buffer_printf(sql, "COPY %s (%s)", name, columns.data);
    else
        tr_buffer_printf(sql, "COPY (SELECT %s FROM %s%s WHERE true",
                         columns.data != NULL ? columns.data : "", root ? "" : "ONLY ", name);
    if (ranged && from > 0)
        tr_buffer_printf(sql, " AND ctid >= '(%" PRIu32 ",0)'::tid", from);
    if (ranged && to != LAST_BLOCK)
        tr_buffer_printf(sql, " AND ctid < '(%" PRIu32 ",0)'::tid", to);
    if (!plain && reader->filter != NULL)
        tr_buffer_printf(sql, " AND (%s)", reader->filter);
    tr_buffer_printf(sql, "%s TO STDOUT%s", plain ? "" : ")", binary ? " (FORMAT binary)" : "");
    tr_buffer_fini(&columns);
}

static int
open_copy(struct tr_table_reader *reader, const struct tr_cut *cut, const struct tr_table_part *part,
          bool binary, struct tr_error *err)
{
    char root[24], heap[24];
    struct tr_buffer name, sql;
    bool whole = part->from == 0;
    snprintf(root, sizeof(root), "%" PRIu64, reader->relation->id);
    snprintf(heap, sizeof(heap), "%" PRIu64, whole ? reader->relation->id : part->from >> 32);
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&sql, (size_t)4 << 20);
    int rc = begin(reader, cut->snapshot, err);
    if (rc == 0)
        rc = lock_table(reader, heap, whole && reader->relation->kind == 'p', &name, err);
    if (rc == 0)
        rc = check_state(reader, root, heap, name.data, err);
    if (rc == 0)
        rc = read_publication(reader, root, err);
    if (rc == 0)
        rc = check_columns(reader, root, err);
    if (rc == 0) {
        copy_statement(reader, part, name.data, binary, &sql);
        PGresult *res = NULL;
        rc = tr_pg_exec(reader->conn, reader->source->interrupt_fd, sql.data, &res, err);
        if (rc == 0 && PQresultStatus(res) != PGRES_COPY_OUT)
            rc = tr_fail(err, TR_FATAL, "the server answers COPY with something else");
        PQclear(res);
        if (strcmp(err->sqlstate, "42703") == 0 && rc < 0)
            rc = changed(reader, err, "lost or renamed a column");
    }
    tr_buffer_fini(&name);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_postgres_reader_open(struct tr_source *base, const struct tr_cut *cut, const struct tr_relation *relation,
                        const struct tr_table_part *part, const char *format, struct tr_table_reader **out,
                        struct tr_error *err)
{
    *out = NULL;
    tr_error_clear(err);
    struct tr_table_reader *reader = tr_calloc(1, sizeof(*reader));
    reader->source = tr_postgres(base);
    /* Counting is the one thing that changes in a shared relation. */
    reader->relation = tr_relation_ref((struct tr_relation *)relation);
    reader->rows = strcmp(format, "rows") == 0;
    tr_buffer_init(&reader->chunk, TR_BUFFER_MAX);
    int rc = tr_postgres_connect(reader->source, "copy", false, &reader->conn, err);
    if (rc == 0)
        rc = open_copy(reader, cut, part, strcmp(format, "copy-binary") == 0, err);
    if (rc < 0) {
        tr_postgres_reader_close(reader);
        return tr_error_prefix(err, "copying %s.%s from the source", relation->schema, relation->name);
    }
    *out = reader;
    return 0;
}

/* ---- reading */

/* The COPY is over: did it end well? */
static int
finish_copy(struct tr_table_reader *reader, struct tr_error *err)
{
    PGresult *res;
    int rc = 0;
    while ((res = PQgetResult(reader->conn)) != NULL) {
        if (rc == 0 && PQresultStatus(res) != PGRES_COMMAND_OK)
            rc = tr_pg_fail(err, reader->conn, res, "copying %s.%s from the source", reader->relation->schema,
                            reader->relation->name);
        PQclear(res);
    }
    reader->ended = true;
    return rc;
}

/* The next row of the stream, to be freed by PQfreemem: 1; 0 = would block and wait is false; 2 = the end. */
static int
next_row(struct tr_table_reader *reader, bool wait, char **row, int *len, struct tr_error *err)
{
    for (;;) {
        *len = PQgetCopyData(reader->conn, row, 1);
        if (*len > 0)
            return 1;
        if (*len < 0) {
            int rc = *len == -2 ? tr_pg_fail(err, reader->conn, NULL, "copying from the source")
                                : finish_copy(reader, err);
            return rc < 0 ? rc : 2;
        }
        if (!wait)
            return 0;
        int rc = tr_pg_wait(reader->conn, false, reader->source->interrupt_fd, -1, err);
        if (rc < 0)
            return rc;
        if (PQconsumeInput(reader->conn) == 0)
            return tr_pg_fail(err, reader->conn, NULL, "copying from the source: connection lost");
    }
}

/* libpq hands out one row a time; what has already arrived is gathered, because each piece costs the target a message. */
int
tr_postgres_reader_read(struct tr_table_reader *reader, const char **data, size_t *len, struct tr_error *err)
{
    int rc = 0;
    tr_buffer_reset(&reader->chunk);
    while (!reader->ended && reader->chunk.len < CHUNK_BYTES) {
        char *row;
        int size;
        rc = next_row(reader, reader->chunk.len == 0, &row, &size, err);
        if (rc != 1)
            break;
        tr_buffer_add(&reader->chunk, row, (size_t)size);
        reader->count++;
        PQfreemem(row);
    }
    TR_FAILPOINT("capture.postgres.copy.read");
    *data = reader->chunk.data;
    *len = reader->chunk.len;
    if (rc < 0)
        return rc;
    if (reader->chunk.overflow)
        return tr_fail(err, TR_FATAL, "table %s.%s: a row is larger than 1 GiB", reader->relation->schema,
                       reader->relation->name);
    return *len > 0;
}

uint64_t
tr_postgres_reader_count(const struct tr_table_reader *reader)
{
    return reader->count;
}

static int
add_row(struct tr_table_reader *reader, struct tr_batch *batch, const char *row, size_t len,
        struct tr_error *err)
{
    struct tr_value *values;
    int rc = tr_pg_copy_text_row(reader->relation, row, len, batch, &values, err);
    if (rc < 0)
        return rc;
    for (uint16_t c = 0; c < reader->relation->ncolumns; c++)
        if (left_out(reader, &reader->relation->columns[c]))
            values[c] = (struct tr_value){ .state = TR_ABSENT };
    struct tr_event *event = tr_batch_event(batch);
    event->kind = TR_READ;
    event->relation = reader->relation;
    event->after = values;
    return 0;
}

int
tr_postgres_reader_rows(struct tr_table_reader *reader, struct tr_batch *batch, size_t max_bytes,
                        struct tr_error *err)
{
    if (reader->ended)
        return 0;
    tr_batch_hold(batch, reader->relation);
    while (tr_batch_bytes(batch) < max_bytes) {
        char *row;
        int size;
        int rc = next_row(reader, true, &row, &size, err);
        if (rc == 2)
            return 0;
        if (rc < 0)
            return rc;
        rc = add_row(reader, batch, row, (size_t)size, err);
        PQfreemem(row);
        if (rc < 0)
            return rc;
    }
    return 1;
}

void
tr_postgres_reader_close(struct tr_table_reader *reader)
{
    if (reader == NULL)
        return;
    tr_pg_close(reader->conn);
    tr_relation_unref(reader->relation);
    tr_buffer_fini(&reader->chunk);
    free(reader->filter);
    free(reader);
}
