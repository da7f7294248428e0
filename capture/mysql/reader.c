/*
 * reader.c - tables copied as of a cut, by several readers at once.
 *
 * Rows come in the text protocol, streamed, and are brought into the canonical text that the log's decoder gives for the same value: fractions
 * without the zeros at their end, floating point by way of its double (as text the servers round a FLOAT to six digits), bits as digits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "capture/mysql/internal.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "decoders/binlog/text.h"

#define SIGN_BIT (UINT64_C(1) << 63)

struct tr_table_reader {
    struct tr_mysql_source *source;
    struct tr_relation *relation; /* a reference */
    MYSQL *conn;                  /* borrowed from the pool */
    MYSQL_RES *res;
    struct tr_buffer text;
    bool ended;
};

/* ------------------------------------------------------------------------------------------------------------- parts */

static bool
is_integer(const struct tr_column *column)
{
    return column->logical >= TR_INT8 && column->logical <= TR_UINT64;
}

/* The key, when it is one whole number: then ranges are told by numbers. */
static const struct tr_column *
part_column(const struct tr_relation *relation)
{
    if (relation->nkeys != 1)
        return NULL;
    const struct tr_column *column = &relation->columns[relation->keys[0]];
    return is_integer(column) ? column : NULL;
}

/* Numbers of both signs in the order of uint64. */
static uint64_t
biased(const struct tr_column *column, const char *text)
{
    return column->is_unsigned ? strtoull(text, NULL, 10) : (uint64_t)strtoll(text, NULL, 10) ^ SIGN_BIT;
}

static void
write_bound(struct tr_buffer *sql, const struct tr_column *column, uint64_t bound)
{
    if (column->is_unsigned)
        tr_buffer_uint(sql, bound);
    else
        tr_buffer_int(sql, (int64_t)(bound ^ SIGN_BIT));
}

static int
ask_size(struct tr_mysql_source *source, const struct tr_relation *relation, uint64_t *rows, uint64_t *bytes,
         struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql,
                   "SELECT TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
    tr_mysql_literal(&sql, relation->schema, strlen(relation->schema));
    tr_buffer_text(&sql, " AND TABLE_NAME = ");
    tr_mysql_literal(&sql, relation->name, strlen(relation->name));
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    *rows = row != NULL && row[0] != NULL ? strtoull(row[0], NULL, 10) : 0;
    *bytes = row != NULL && row[1] != NULL ? strtoull(row[1], NULL, 10) : 0;
    mysql_free_result(res);
    return 0;
}

static int
ask_range(struct tr_mysql_source *source, const struct tr_relation *relation, const struct tr_column *column,
          uint64_t *low, uint64_t *high, bool *found, struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SELECT MIN(");
    tr_mysql_identifier(&sql, column->name);
    tr_buffer_text(&sql, "), MAX(");
    tr_mysql_identifier(&sql, column->name);
    tr_buffer_text(&sql, ") FROM ");
    tr_mysql_qualified(&sql, relation->schema, relation->name);
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    *found = row != NULL && row[0] != NULL && row[1] != NULL;
    if (*found) {
        *low = biased(column, row[0]);
        *high = biased(column, row[1]);
    }
    mysql_free_result(res);
    return 0;
}

/* By the values of an index; the sizes are shared out by what the server thinks of the rows. */
static int
split(struct tr_mysql_source *source, const struct tr_relation *relation, struct tr_table_part *parts,
      int count, uint64_t known, uint64_t bytes, struct tr_error *err)
{
    uint64_t rows = 0;
    count = tr_mysql_split(source, relation, parts, count, err);
    if (count == 1)
        parts[0].rows = known;
    for (int i = 0; i < count; i++)
        rows += parts[i].rows;
    for (int i = 0; i < count; i++)
        parts[i].bytes = rows > 0 ? (uint64_t)((double)bytes * (double)parts[i].rows / (double)rows)
                                  : bytes / (uint64_t)count;
    return count;
}

/* The first part has no lower bound and the last no upper one: rows beyond what was asked for just now belong to them. */
int
tr_mysql_table_parts(struct tr_source *base, const struct tr_relation *relation, struct tr_table_part *parts,
                     int max, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    const struct tr_column *column = part_column(relation);
    uint64_t rows, bytes, low = 0, high = 0;
    bool found = false;
    int rc = ask_size(source, relation, &rows, &bytes, err);
    if (rc < 0)
        return rc;
    uint64_t count = bytes / (uint64_t)source->part_bytes + 1;
    if (count > (uint64_t)max)
        count = (uint64_t)max;
    if (column == NULL && count > 1)
        return split(source, relation, parts, (int)count, rows, bytes, err);
    if (column != NULL && count > 1 &&
        (rc = ask_range(source, relation, column, &low, &high, &found, err)) < 0)
        return rc;
    if (!found || high - low < count)
        count = 1;
    /* Rounded down: no bound is beyond the highest key, which may be the highest number there is. */
    uint64_t step = (high - low) / count;
    for (uint64_t i = 0; i < count; i++)
        parts[i] = (struct tr_table_part){ .from = i == 0 ? 0 : low + i * step,
                                           .to = i + 1 == count ? UINT64_MAX : low + (i + 1) * step,
                                           .rows = rows / count,
                                           .bytes = bytes / count };
    return (int)count;
}

/* ----------------------------------------------------------------------------------------------------------- opening */

static bool
by_way_of_double(const struct tr_column *column)
{
    return column->logical == TR_FLOAT32 || column->logical == TR_FLOAT64;
}

static void
select_list(const struct tr_relation *relation, struct tr_buffer *sql)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        tr_buffer_text(sql, i > 0 ? ", " : "");
        tr_buffer_text(sql, by_way_of_double(column) ? "CAST(" : "");
        tr_mysql_identifier(sql, column->name);
        tr_buffer_text(sql, by_way_of_double(column) ? " AS DOUBLE)" : "");
    }
}

static void
statement(struct tr_mysql_source *source, const struct tr_relation *relation,
          const struct tr_table_part *part, struct tr_buffer *sql)
{
    const struct tr_column *column = part_column(relation);
    const char *join = " WHERE ";
    tr_buffer_text(sql, "SELECT /*!40001 SQL_NO_CACHE */ ");
    select_list(relation, sql);
    tr_buffer_text(sql, " FROM ");
    tr_mysql_qualified(sql, relation->schema, relation->name);
    if (column == NULL)
        tr_mysql_write_part(source, relation, part, sql);
    if (column != NULL && part->from != 0) {
        tr_buffer_text(sql, join);
        tr_mysql_identifier(sql, column->name);
        tr_buffer_text(sql, " >= ");
        write_bound(sql, column, part->from);
        join = " AND ";
    }
    if (column != NULL && part->to != UINT64_MAX) {
        tr_buffer_text(sql, join);
        tr_mysql_identifier(sql, column->name);
        tr_buffer_text(sql, " < ");
        write_bound(sql, column, part->to);
    }
}

static int
read_failed(struct tr_table_reader *reader, struct tr_error *err)
{
    int rc = tr_mysql_fail(err, reader->conn, "copying %s.%s from the source", reader->relation->schema,
                           reader->relation->name);
    unsigned number = mysql_errno(reader->conn);
    if (number != 1412 && number != 1054 && number != 1146) /* altered, a column or the table gone */
        return rc;
    tr_fail(err, TR_RETRY,
            "table %s.%s was altered since the cut was taken; it is copied again from a new one",
            reader->relation->schema, reader->relation->name);
    return tr_error_hint(err, "keep ALTER TABLE, TRUNCATE and DROP away from the table until it is loaded");
}

int
tr_mysql_reader_open(struct tr_source *base, const struct tr_cut *cut, const struct tr_relation *relation,
                     const struct tr_table_part *part, const char *format, struct tr_table_reader **out,
                     struct tr_error *err)
{
    *out = NULL;
    if (strcmp(format, "rows") != 0)
        return tr_fail(err, TR_FATAL, "source: rows cannot be read in the form \"%s\"", format);
    struct tr_table_reader *reader = tr_calloc(1, sizeof *reader);
    struct tr_buffer sql;
    reader->source = tr_mysql(base);
    /* Counting is the one thing that changes in a shared relation. */
    reader->relation = tr_relation_ref((struct tr_relation *)(uintptr_t)relation);
    tr_buffer_init(&reader->text, TR_BUFFER_MAX);
    tr_buffer_init(&sql, (size_t)1 << 20);
    statement(reader->source, relation, part, &sql);
    int rc = tr_mysql_pool_get(reader->source, cut, &reader->conn, err);
    if (rc == 0 && (mysql_real_query(reader->conn, sql.data, sql.len) != 0 ||
                    (reader->res = mysql_use_result(reader->conn)) == NULL))
        rc = read_failed(reader, err);
    if (rc == 0 && mysql_num_fields(reader->res) != relation->ncolumns)
        rc = tr_fail(err, TR_RETRY, "copying %s.%s: the server answers with other columns", relation->schema,
                     relation->name);
    tr_buffer_fini(&sql);
    if (rc < 0)
        tr_mysql_reader_close(reader);
    else
        *out = reader;
    return rc;
}

/* ------------------------------------------------------------------------------------------------------------ values */

static void
put(struct tr_batch *batch, struct tr_value *value, const char *text, size_t len, enum tr_codec_id codec)
{
    *value = (struct tr_value){ .data = tr_arena_copy(&batch->arena, text, len),
                                .len = (uint32_t)len,
                                .state = TR_PRESENT,
                                .codec = (uint8_t)codec };
}

/* "12:34:56.700000" without the zeros. */
static size_t
trim_fraction(const char *text, size_t len)
{
    if (memchr(text, '.', len) == NULL)
        return len;
    while (text[len - 1] == '0')
        len--;
    return text[len - 1] == '.' ? len - 1 : len;
}

static void
put_timestamp(struct tr_batch *batch, struct tr_value *value, const char *text, size_t len)
{
    char zoned[48];
    len = trim_fraction(text, len);
    bool zero = len >= 10 && memcmp(text, "0000-00-00", 10) == 0;
    int n = snprintf(zoned, sizeof zoned, "%.*s%s", (int)(len < 40 ? len : 40), text, zero ? "" : "+00");
    put(batch, value, zoned, (size_t)n, TR_CODEC_TEXT);
}

static void
put_float(struct tr_table_reader *reader, struct tr_batch *batch, const struct tr_column *column,
          struct tr_value *value, const char *text)
{
    tr_buffer_reset(&reader->text);
    double number = strtod(text, NULL);
    if (column->logical == TR_FLOAT32)
        binlog_write_float(&reader->text, (float)number);
    else
        binlog_write_double(&reader->text, number);
    put(batch, value, reader->text.data, reader->text.len, TR_CODEC_TEXT);
}

/* As many bytes as hold them, high bits first. */
static void
put_bits(struct tr_batch *batch, const struct tr_column *column, struct tr_value *value, const char *bytes,
         size_t len)
{
    char digits[65];
    size_t count = column->length > 0 && column->length <= 64 ? (size_t)column->length : len * 8;
    for (size_t i = 0; i < count && i < 64; i++) {
        size_t bit = count - 1 - i; /* from the lowest */
        digits[i] = bit / 8 < len && ((uint8_t)bytes[len - 1 - bit / 8] >> (bit % 8) & 1) ? '1' : '0';
    }
    put(batch, value, digits, count < 64 ? count : 64, TR_CODEC_TEXT);
}

/* ZEROFILL pads what it prints. */
static void
put_number(struct tr_batch *batch, const struct tr_column *column, struct tr_value *value, const char *text,
           size_t len)
{
    if (column->is_unsigned)
        while (len > 1 && text[0] == '0' && text[1] != '.')
            text++, len--;
    put(batch, value, text, len, TR_CODEC_TEXT);
}

static void
put_vector(struct tr_table_reader *reader, struct tr_batch *batch, struct tr_value *value, const char *bytes,
           size_t len)
{
    tr_buffer_reset(&reader->text);
    tr_buffer_byte(&reader->text, '[');
    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t bits = (uint32_t)binlog_load_le((const uint8_t *)bytes + i, 4);
        float number;
        memcpy(&number, &bits, sizeof number);
        if (i > 0)
            tr_buffer_byte(&reader->text, ',');
        binlog_write_float(&reader->text, number);
    }
    tr_buffer_byte(&reader->text, ']');
    put(batch, value, reader->text.data, reader->text.len, TR_CODEC_TEXT);
}

static void
put_value(struct tr_table_reader *reader, struct tr_batch *batch, const struct tr_column *column,
          struct tr_value *value, const char *text, size_t len)
{
    switch (column->logical) {
    case TR_FLOAT32:
    case TR_FLOAT64: put_float(reader, batch, column, value, text); break;
    case TR_TIMESTAMPTZ: put_timestamp(batch, value, text, len); break;
    case TR_TIME:
    case TR_TIMESTAMP: put(batch, value, text, trim_fraction(text, len), TR_CODEC_TEXT); break;
    case TR_BIT: put_bits(batch, column, value, text, len); break;
    case TR_VECTOR: put_vector(reader, batch, value, text, len); break;
    case TR_BYTES:
    case TR_GEOMETRY: put(batch, value, text, len, TR_CODEC_RAW); break;
    default:
        if (is_integer(column) || column->logical == TR_DECIMAL)
            put_number(batch, column, value, text, len);
        else
            put(batch, value, text, len, TR_CODEC_TEXT);
    }
}

static void
add_row(struct tr_table_reader *reader, struct tr_batch *batch, MYSQL_ROW row, const unsigned long *lengths)
{
    const struct tr_relation *relation = reader->relation;
    struct tr_value *values = tr_arena_zalloc(&batch->arena, relation->ncolumns * sizeof *values);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        if (row[i] == NULL)
            values[i].state = TR_NULL;
        else
            put_value(reader, batch, &relation->columns[i], &values[i], row[i], lengths[i]);
    }
    struct tr_event *event = tr_batch_event(batch);
    event->kind = TR_READ;
    event->relation = reader->relation;
    event->after = values;
}

int
tr_mysql_reader_rows(struct tr_table_reader *reader, struct tr_batch *batch, size_t max_bytes,
                     struct tr_error *err)
{
    if (reader->ended)
        return 0;
    tr_batch_hold(batch, reader->relation);
    TR_FAILPOINT("capture.mysql.copy.read");
    while (tr_batch_bytes(batch) < max_bytes) {
        MYSQL_ROW row = mysql_fetch_row(reader->res);
        if (row == NULL && mysql_errno(reader->conn) != 0)
            return read_failed(reader, err);
        if (row == NULL) {
            reader->ended = true;
            return 0;
        }
        add_row(reader, batch, row, mysql_fetch_lengths(reader->res));
    }
    return 1;
}

int
tr_mysql_reader_read(struct tr_table_reader *reader, const char **data, size_t *len, struct tr_error *err)
{
    (void)reader;
    *data = NULL;
    *len = 0;
    return tr_fail(err, TR_FATAL, "source: rows are read as rows");
}

/* What was not read to its end would have to be drained first: its connection is given up, and the snapshot with it. */
void
tr_mysql_reader_close(struct tr_table_reader *reader)
{
    if (reader == NULL)
        return;
    bool broken = reader->conn != NULL && !reader->ended;
    if (reader->ended)
        mysql_free_result(reader->res);
    if (reader->conn != NULL && !broken)
        tr_mysql_pool_put(reader->source, reader->conn, false);
    if (broken) {
        if (reader->res != NULL) {
            shutdown((int)mysql_get_socket(reader->conn), SHUT_RDWR);
            mysql_free_result(reader->res);
        }
        tr_mysql_pool_put(reader->source, reader->conn, true);
    }
    tr_relation_unref(reader->relation);
    tr_buffer_fini(&reader->text);
    free(reader);
}
