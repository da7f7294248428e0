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
#define BINARY_HEADER 19 /* of COPY's binary format; it arrives together with the first row or with the end */
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
    bool binary, begun;     /* format "copy-binary", and its header has passed */
    bool ended;
};

/* ---- parts */

/*
 * Heap and TOAST of the table or of each of its leaves. Rows as the planner counts them: what ANALYZE found, grown with the file; where it has never run, a width
 * of 32 bytes for what has none.
 */
static const char prepare_size[] =
    "PREPARE tr_size(oid, text) AS SELECT c.oid, s.size, (CASE WHEN c.relpages > 0 AND c.reltuples >= 0 THEN c.reltuples::float8 / c.relpages * (s.size / s.block)"
    "  ELSE s.size / (SELECT 28 + coalesce(sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END), 0) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)"
    "  END)::bigint, s.block, s.size + CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_size(c.reltoastrelid) ELSE 0 END"
    " FROM pg_class c CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid), current_setting('block_size')::bigint) s(size, block)"
    " WHERE c.relkind = 'r' AND c.oid = ANY (CASE WHEN $2 = 'p' THEN ARRAY(SELECT relid::oid FROM pg_partition_tree($1) WHERE isleaf) ELSE ARRAY[$1] END) ORDER BY c.oid";

/* Prepared at the first table and again when the connection was lost: planning it costs several times what it does. */
static int
ask_size(struct tr_postgres_source *source, const struct tr_relation *relation, PGresult **res,
         struct tr_error *err)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "EXECUTE tr_size(%" PRIu64 ", '%c')", relation->id,
             relation->kind == 'p' ? 'p' : 'r');
    int rc = tr_postgres_query(source, sql, 0, NULL, res, err);
    if (rc == 0 || strcmp(err->sqlstate, "26000") != 0)
        return rc;
    tr_error_clear(err);
    rc = tr_postgres_query(source, prepare_size, 0, NULL, NULL, err);
    return rc < 0 ? rc : tr_postgres_query(source, sql, 0, NULL, res, err);
}

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
    PGresult *res = NULL;
    int rc = ask_size(source, relation, &res, err);
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

/*
 * Everything that must be known of a table before its COPY, in one answer: a row per column of it. As of the snapshot (columns of pg_class, pg_inherits, pg_attribute)
 * and as of now (functions over the system caches), side by side. $1 the table, $2 the heap to be read, $3 its name of now, $4 the publication.
 * A table published along with its whole schema, or by a publication of all tables, has neither row filter nor column list.
 */
static const char prepare_table[] =
    "PREPARE tr_table(oid, oid, text, text) AS WITH RECURSIVE family(oid) AS (SELECT $1 UNION ALL SELECT i.inhrelid FROM family f JOIN pg_class p ON p.oid = f.oid AND p.relkind = 'p'"
    "  JOIN pg_inherits i ON i.inhparent = f.oid),"
    " state AS MATERIALIZED (SELECT bool_and(c.relkind NOT IN ('r', 'p') OR c.relkind = 'p' OR c.relfilenode = pg_relation_filenode(c.oid)),"
    " bool_or(c.oid = $2), count(*) = (SELECT count(*) FROM pg_partition_tree($1)) OR bool_and(c.relkind <> 'p'),"
    " (SELECT relkind FROM pg_class WHERE oid = $2), to_regclass($3)::oid = $2"
    " FROM family JOIN pg_class c USING (oid))"
    " SELECT s.*, p.*, g.*, a.attname, a.atttypid, a.atttypmod, a.attgenerated <> '' FROM state s LEFT JOIN LATERAL (%s) p(filter, list) ON true"
    " LEFT JOIN LATERAL (%s) g(generated) ON true LEFT JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

enum {
    T_SAME_FILE,
    T_HAS_HEAP,
    T_SAME_FAMILY,
    T_KIND,
    T_SAME_NAME,
    T_FILTER,
    T_LIST,
    T_GENERATED,
    T_COLUMN,
    T_TYPE,
    T_MOD,
    T_COMPUTED
};

static const char publication_query[] =
    "SELECT pg_get_expr(r.prqual, r.prrelid), r.prattrs IS NOT NULL FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
    " JOIN pg_class c ON c.oid = r.prrelid WHERE p.pubname = $4 AND r.prrelid = $1"
    " AND NOT EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)";

/* What every reader asks, prepared once for all tables that the connection will copy. */
static int
prepare_queries(const struct tr_postgres_source *source, PGconn *conn, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 1 << 14);
    tr_buffer_printf(&sql, prepare_table,
                     source->server_version >= ROW_FILTER_VERSION ? publication_query
                                                                  : "SELECT NULL::text, false",
                     source->server_version >= PUBLISHED_GENERATED_VERSION
                         ? "SELECT pubgencols = 's' FROM pg_publication WHERE pubname = $4"
                         : "SELECT false");
    tr_buffer_text(&sql,
                   ";PREPARE tr_name(oid) AS SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = $1");
    int rc = tr_pg_exec(conn, source->interrupt_fd, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* One that has copied a table before, or a new one. */
static int
take_connection(struct tr_table_reader *reader, struct tr_error *err)
{
    struct tr_postgres_source *source = reader->source;
    reader->conn = tr_pg_pool_take(&source->readers);
    if (reader->conn != NULL)
        return 0;
    int rc = tr_postgres_connect(source, "copy", false, &reader->conn, err);
    return rc < 0 ? rc : prepare_queries(source, reader->conn, err);
}

static int
changed(struct tr_table_reader *reader, struct tr_error *err, const char *what)
{
    tr_fail(err, TR_RETRY, "table %s.%s %s since the cut was taken; it is copied again from a new one",
            reader->relation->schema, reader->relation->name, what);
    return tr_error_hint(
        err, "keep ALTER TABLE, TRUNCATE, VACUUM FULL and CLUSTER away from the table until it is loaded");
}

static int
ask(struct tr_table_reader *reader, const struct tr_buffer *sql, PGresult **res, struct tr_error *err)
{
    return tr_pg_exec(reader->conn, reader->source->interrupt_fd, sql->data, res, err);
}

/*
 * The table's name of this moment, by its oid. Each part has a transaction of its own on the snapshot: locks are held no longer than it is read, and
 * are never so many that the server runs out of them.
 */
static int
begin(struct tr_table_reader *reader, const char *snapshot, const char *oid, struct tr_buffer *name,
      struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ");
    tr_pg_literal(&sql, snapshot);
    tr_buffer_printf(&sql, "; EXECUTE tr_name(%s)", oid);
    int rc = ask(reader, &sql, &res, err);
    tr_buffer_fini(&sql);
    /* The session that exported it is gone (22023, 42704): only a new cut helps. */
    if (rc < 0 && (strcmp(err->sqlstate, "22023") == 0 || strcmp(err->sqlstate, "42704") == 0))
        rc = tr_fail(err, TR_RETRY, "the snapshot %s of the cut is gone; a new cut is needed", snapshot);
    else if (rc < 0)
        tr_error_prefix(err, "opening the snapshot %s", snapshot);
    else if (PQntuples(res) == 1)
        tr_buffer_text(name, PQgetvalue(res, 0, 0));
    else
        rc = changed(reader, err, "was made anew");
    PQclear(res);
    return rc;
}

/* Locked, so that from here on nobody rewrites it; and only then compared. */
static int
lock_and_look(struct tr_table_reader *reader, const char *root, const char *heap, bool whole,
              const char *name, PGresult **res, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 1 << 14);
    tr_buffer_printf(&sql, "LOCK TABLE %s%s IN ACCESS SHARE MODE; EXECUTE tr_table(%s, %s, ",
                     whole ? "" : "ONLY ", name, root, heap);
    tr_pg_literal(&sql, name);
    tr_buffer_text(&sql, ", ");
    tr_pg_literal(&sql, reader->source->publication);
    tr_buffer_text(&sql, ")");
    int rc = ask(reader, &sql, res, err);
    tr_buffer_fini(&sql);
    if (rc < 0 && strncmp(err->sqlstate, "42P01", 5) == 0)
        return changed(reader, err, "was dropped or renamed");
    return rc;
}

static int
check_state(struct tr_table_reader *reader, const PGresult *res, struct tr_error *err)
{
    char kind = PQgetvalue(res, 0, T_KIND)[0];
    if (PQgetvalue(res, 0, T_SAME_FILE)[0] != 't')
        return changed(reader, err, "was rewritten or truncated");
    if (PQgetvalue(res, 0, T_HAS_HEAP)[0] != 't' || PQgetvalue(res, 0, T_SAME_FAMILY)[0] != 't')
        return changed(reader, err, "lost or gained partitions");
    if (PQgetvalue(res, 0, T_SAME_NAME)[0] != 't' || (kind != 'r' && kind != 'p'))
        return changed(reader, err, "was replaced by something else");
    return 0;
}

static void
take_publication(struct tr_table_reader *reader, const PGresult *res)
{
    reader->column_list = PQgetvalue(res, 0, T_LIST)[0] == 't';
    reader->generated = PQgetvalue(res, 0, T_GENERATED)[0] == 't';
    if (!PQgetisnull(res, 0, T_FILTER))
        reader->filter = tr_strdup(PQgetvalue(res, 0, T_FILTER));
}

static int
check_columns(struct tr_table_reader *reader, const PGresult *res, struct tr_error *err)
{
    const struct tr_relation *relation = reader->relation;
    int rc = 0, found = 0;
    for (int row = 0; row < PQntuples(res) && !PQgetisnull(res, row, T_COLUMN); row++) {
        int c = tr_relation_column(relation, PQgetvalue(res, row, T_COLUMN));
        if (c < 0 && !reader->column_list && PQgetvalue(res, row, T_COMPUTED)[0] != 't')
            rc = changed(reader, err, "gained a column");
        if (c < 0)
            continue;
        found++;
        if (relation->columns[c].type_id != number(res, row, T_TYPE) ||
            relation->columns[c].type_mod != (int32_t)strtol(PQgetvalue(res, row, T_MOD), NULL, 10))
            rc = changed(reader, err, "changed the type of a column");
    }
    if (rc == 0 && found != relation->ncolumns)
        rc = changed(reader, err, "lost a column");
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
               struct tr_buffer *sql)
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
    tr_buffer_printf(sql, "%s TO STDOUT%s", plain ? "" : ")", reader->binary ? " (FORMAT binary)" : "");
    tr_buffer_fini(&columns);
}

static int
open_copy(struct tr_table_reader *reader, const struct tr_cut *cut, const struct tr_table_part *part,
          struct tr_error *err)
{
    char root[24], heap[24];
    struct tr_buffer name, sql;
    bool whole = part->from == 0;
    snprintf(root, sizeof(root), "%" PRIu64, reader->relation->id);
    snprintf(heap, sizeof(heap), "%" PRIu64, whole ? reader->relation->id : part->from >> 32);
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&sql, (size_t)4 << 20);
    PGresult *res = NULL;
    int rc = begin(reader, cut->snapshot, heap, &name, err);
    if (rc == 0)
        rc = lock_and_look(reader, root, heap, whole && reader->relation->kind == 'p', name.data, &res, err);
    if (rc == 0)
        rc = check_state(reader, res, err);
    if (rc == 0) {
        take_publication(reader, res);
        rc = check_columns(reader, res, err);
    }
    PQclear(res);
    if (rc == 0) {
        copy_statement(reader, part, name.data, &sql);
        rc = ask(reader, &sql, &res, err);
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
    reader->binary = strcmp(format, "copy-binary") == 0;
    tr_buffer_init(&reader->chunk, TR_BUFFER_MAX);
    int rc = take_connection(reader, err);
    if (rc == 0)
        rc = open_copy(reader, cut, part, err);
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

/* The end of the binary format is a row of -1 columns. */
static bool
is_row(struct tr_table_reader *reader, const char *data, int len)
{
    int from = reader->binary && !reader->begun ? BINARY_HEADER : 0;
    reader->begun = true;
    return !reader->binary || (len >= from + 2 && (data[from] != '\xff' || data[from + 1] != '\xff'));
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
        reader->count += is_row(reader, row, size);
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
    struct tr_error ignored;
    if (reader->ended && PQtransactionStatus(reader->conn) == PQTRANS_INTRANS)
        tr_pg_exec(reader->conn, reader->source->interrupt_fd, "COMMIT", NULL, &ignored);
    tr_pg_pool_give(&reader->source->readers, reader->conn);
    tr_relation_unref(reader->relation);
    tr_buffer_fini(&reader->chunk);
    free(reader->filter);
    free(reader);
}
