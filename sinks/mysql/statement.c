/*
 * statement.c - the SQL of a call: many rows in one statement, or many statements in one packet.
 *
 * A row that names its values in a literal has them written by tr_my_value_write alone, and every name is quoted: nothing of a row or of a catalogue stands bare in SQL.
 */
#include <string.h>

#include "sinks/mysql/apply.h"

#define INSERT_ROWS 2000u
#define DELETE_ROWS 500u /* ranges of one key column; beyond 1,000 MariaDB would turn the list into a table */
#define COMPOUND_ROWS 200u
#define EACH_ROWS 200u

static void
table_name(const struct tr_my_map *map, struct tr_buffer *out)
{
    tr_mysql_qualified(out, map->table->database, map->table->name);
}

static void
column_name(const struct tr_my_map *map, uint16_t column, struct tr_buffer *out)
{
    tr_mysql_identifier(out, map->table->columns[map->target[column]].name);
}

static bool
is_written(const struct tr_my_map *map, const struct tr_value *row, uint16_t column)
{
    return map->target[column] >= 0 && row[column].state != TR_ABSENT;
}

static bool
is_key(const struct tr_my_map *map, uint16_t column)
{
    for (uint16_t k = 0; k < map->nkey; k++)
        if (map->key[k] == column)
            return true;
    return false;
}

/* ------------------------------------------------------------------------------------------- INSERT */

void
tr_my_insert_head(const struct tr_my_map *map, const struct tr_value *row, struct tr_buffer *out)
{
    const char *comma = "";
    tr_buffer_text(out, "INSERT INTO ");
    table_name(map, out);
    tr_buffer_text(out, " (");
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (!is_written(map, row, i))
            continue;
        tr_buffer_text(out, comma);
        column_name(map, i, out);
        comma = ",";
    }
    tr_buffer_text(out, ") VALUES ");
}

static int
insert_values(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *row,
              struct tr_buffer *out, struct tr_error *err)
{
    char before = '(';
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (!is_written(map, row, i))
            continue;
        tr_buffer_byte(out, before);
        before = ',';
        int rc = tr_my_value_write(values, map, i, &row[i], false, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_text(out, before == '(' ? "()" : ")");
    return 0;
}

static int
write_insert(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_net_row *const *rows,
             uint32_t nrows, size_t limit, struct tr_buffer *out, struct tr_error *err)
{
    size_t from = out->len;
    uint32_t n = 0;
    tr_my_insert_head(map, rows[0]->row, out);
    for (; n < nrows && n < INSERT_ROWS && (n == 0 || out->len - from < limit); n++) {
        if (n > 0)
            tr_buffer_byte(out, ',');
        int rc = insert_values(values, map, rows[n]->row, out, err);
        if (rc < 0)
            return rc;
    }
    return (int)n;
}

/* ------------------------------------------------------------------------------------------- UPDATE */

/* A FLOAT equals only a float. */
static int
key_value(struct tr_my_values *values, const struct tr_my_map *map, uint16_t column,
          const struct tr_value *image, struct tr_buffer *out, struct tr_error *err)
{
    bool single = map->table->columns[map->target[column]].single;
    tr_buffer_text(out, single ? "CAST(" : "");
    int rc = tr_my_value_write(values, map, column, &image[column], false, out, err);
    tr_buffer_text(out, single ? " AS FLOAT)" : "");
    return rc;
}

int
tr_my_key_condition(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *image,
                    struct tr_buffer *out, struct tr_error *err)
{
    uint64_t misfits = values->misfits;
    for (uint16_t k = 0; k < map->nkey; k++) {
        tr_buffer_text(out, k > 0 ? " AND " : "");
        column_name(map, map->key[k], out);
        bool nullable = !map->key_unique && image[map->key[k]].state == TR_NULL;
        tr_buffer_text(out, nullable ? "<=>" : "=");
        int rc = key_value(values, map, map->key[k], image, out, err);
        if (rc < 0)
            return rc;
    }
    values->misfits = misfits; /* counted when they were written */
    return 0;
}

static bool
is_characters(const struct tr_my_column *column)
{
    static const char *const words[] = { "char", "text", "enum(", "set(" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(column->type, words[i]) != NULL)
            return column->kind == TR_MY_TEXT;
    return false;
}

/* The whole old image: a FLOAT equals only a float, and a text only the same text, whatever its collation folds, with its blanks at the end. */
static int
row_condition(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *image,
              struct tr_buffer *out, struct tr_error *err)
{
    const char *and = "";
    uint64_t misfits = values->misfits;
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (!is_written(map, image, i))
            continue;
        const struct tr_my_column *column = &map->table->columns[map->target[i]];
        bool text = is_characters(column) && image[i].state == TR_PRESENT;
        bool cast = column->single || strcmp(column->type, "json") == 0; /* MySQL's JSON equals no text */
        bool vector = column->kind == TR_MY_VECTOR; /* MySQL compares them with nothing */
        tr_buffer_text(out, and);
        tr_buffer_text(out, vector ? "HEX(" : "");
        column_name(map, i, out);
        tr_buffer_text(out, vector ? ")<=>HEX(" : cast ? "<=>CAST(" : "<=>");
        int rc = tr_my_value_write(values, map, i, &image[i], false, out, err);
        if (rc < 0)
            return rc;
        tr_buffer_text(out, vector           ? ")"
                            : column->single ? " AS FLOAT)"
                            : cast           ? " AS JSON)"
                            : text           ? map->exact
                                             : "");
        and = " AND ";
    }
    values->misfits = misfits;
    tr_buffer_text(out, *and == '\0' ? "TRUE" : "");
    tr_buffer_text(out, " LIMIT 1");
    return 0;
}

int
tr_my_row_condition(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *image,
                    struct tr_buffer *out, struct tr_error *err)
{
    return map->nkey > 0 ? tr_my_key_condition(values, map, image, out, err)
                         : row_condition(values, map, image, out, err);
}

/* The target gives it the time of now when an UPDATE leaves it out: then it is to stay what it is. */
static bool
is_kept(const struct tr_my_map *map, uint16_t column)
{
    return map->target[column] >= 0 && map->table->columns[map->target[column]].touches;
}

static void
keep(const struct tr_my_map *map, uint16_t column, struct tr_buffer *out)
{
    column_name(map, column, out);
    tr_buffer_byte(out, '=');
    column_name(map, column, out);
}

/* SET: what the row brings, but the key only when it changes. */
static int
assignments(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *row,
            bool with_key, struct tr_buffer *out, struct tr_error *err)
{
    const char *comma = "";
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        bool written = is_written(map, row, i) && (with_key || !is_key(map, i));
        if (!written && !is_kept(map, i))
            continue;
        tr_buffer_text(out, comma);
        comma = ",";
        if (!written) {
            keep(map, i, out);
            continue;
        }
        column_name(map, i, out);
        tr_buffer_byte(out, '=');
        int rc = tr_my_value_write(values, map, i, &row[i], false, out, err);
        if (rc < 0)
            return rc;
    }
    if (*comma == '\0' && map->nkey > 0) /* nothing but the key came: the row must be there all the same */
        keep(map, map->key[0], out);
    return 0;
}

static int
write_update(struct tr_my_values *values, const struct tr_my_map *map, enum tr_sql_op op,
             const struct tr_net_row *row, struct tr_buffer *out, struct tr_error *err)
{
    tr_buffer_text(out, "UPDATE ");
    table_name(map, out);
    tr_buffer_text(out, " SET ");
    int rc = assignments(values, map, row->row, op != TR_SQL_UPDATE, out, err);
    tr_buffer_text(out, " WHERE ");
    if (rc == 0)
        rc = op == TR_SQL_UPDATE_ROW ? row_condition(values, map, row->key, out, err)
                                     : tr_my_key_condition(values, map, row->key, out, err);
    return rc;
}

static int
write_updates(struct tr_my_values *values, const struct tr_my_map *map, enum tr_sql_op op,
              const struct tr_net_row *const *rows, uint32_t nrows, size_t limit, struct tr_buffer *out,
              struct tr_error *err)
{
    size_t from = out->len;
    uint32_t n = 0;
    for (; n < nrows && n < EACH_ROWS && (n == 0 || out->len - from < limit); n++) {
        tr_buffer_text(out, n > 0 ? ";" : "");
        int rc = write_update(values, map, op, rows[n], out, err);
        if (rc < 0)
            return rc;
    }
    return (int)n;
}

/* Does an update bring all that an insert of the row would need? Then it may be written as one, for it cannot meet another row. */
static bool
may_upsert(const struct tr_my_map *map, const struct tr_net_row *row)
{
    if (!map->upserts)
        return false;
    for (uint16_t k = 0; k < map->nkey; k++)
        if (row->row[map->key[k]].state != TR_PRESENT)
            return false;
    uint32_t columns = 0, own = 0;
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        columns += is_written(map, row->row, i);
    for (uint16_t i = 0; i < map->table->ncolumns; i++)
        own += !map->table->columns[i].generated;
    return columns == own && columns > map->nkey;
}

static int
write_upsert(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_net_row *const *rows,
             uint32_t nrows, size_t limit, struct tr_buffer *out, struct tr_error *err)
{
    int n = write_insert(values, map, rows, nrows, limit, out, err);
    const char *comma = " ON DUPLICATE KEY UPDATE ";
    for (uint16_t i = 0; n > 0 && i < map->relation->ncolumns; i++) {
        bool key = is_key(map, i);
        if (!is_written(map, rows[0]->row, i) || (key && !is_kept(map, i)))
            continue;
        tr_buffer_text(out, comma);
        comma = ",";
        if (key) {
            keep(map, i, out);
            continue;
        }
        column_name(map, i, out);
        tr_buffer_text(out, "=VALUES(");
        column_name(map, i, out);
        tr_buffer_byte(out, ')');
    }
    return n;
}

/* ------------------------------------------------------------------------------------------- DELETE */

static int
delete_one(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *key,
           bool compound, struct tr_buffer *out, struct tr_error *err)
{
    if (!compound)
        return key_value(values, map, map->key[0], key, out, err);
    tr_buffer_byte(out, '(');
    int rc = tr_my_key_condition(values, map, key, out, err);
    tr_buffer_byte(out, ')');
    return rc;
}

static int
write_delete(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_net_row *const *rows,
             uint32_t nrows, size_t limit, struct tr_buffer *out, struct tr_error *err)
{
    bool compound = map->nkey > 1 || !map->key_unique;
    uint32_t n = 0, most = !map->key_unique ? 1 : compound ? COMPOUND_ROWS : DELETE_ROWS;
    size_t from = out->len;
    tr_buffer_text(out, "DELETE FROM ");
    table_name(map, out);
    tr_buffer_text(out, " WHERE ");
    if (!compound) {
        column_name(map, map->key[0], out);
        tr_buffer_text(out, " IN (");
    }
    for (; n < nrows && n < most && (n == 0 || out->len - from < limit); n++) {
        tr_buffer_text(out, n == 0 ? "" : compound ? " OR " : ",");
        int rc = delete_one(values, map, rows[n]->key, compound, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_text(out, compound ? "" : ")");
    return (int)n;
}

static int
write_delete_row(struct tr_my_values *values, const struct tr_my_map *map, const struct tr_value *image,
                 struct tr_buffer *out, struct tr_error *err)
{
    tr_buffer_text(out, "DELETE FROM ");
    table_name(map, out);
    tr_buffer_text(out, " WHERE ");
    int rc = row_condition(values, map, image, out, err);
    return rc < 0 ? rc : 1;
}

int
tr_my_statement(struct tr_my_values *values, const struct tr_my_map *map, enum tr_sql_op op,
                const struct tr_net_row *const *rows, uint32_t nrows, size_t limit, struct tr_buffer *out,
                enum tr_my_count *count, struct tr_error *err)
{
    int n = 0;
    *count = TR_MY_COUNT_AFFECTED;
    switch (op) {
    case TR_SQL_INSERT: n = write_insert(values, map, rows, nrows, limit, out, err); break;
    case TR_SQL_UPDATE:
        if (nrows > 1 && may_upsert(map, rows[0])) {
            *count = TR_MY_COUNT_UPSERTED;
            n = write_upsert(values, map, rows, nrows, limit, out, err);
            break;
        } /* fallthrough */
    case TR_SQL_UPDATE_KEY:
    case TR_SQL_UPDATE_ROW:
        *count = TR_MY_COUNT_EACH;
        n = write_updates(values, map, op, rows, nrows, limit, out, err);
        break;
    case TR_SQL_DELETE: n = write_delete(values, map, rows, nrows, limit, out, err); break;
    case TR_SQL_DELETE_ROW: n = write_delete_row(values, map, rows[0]->key, out, err); break;
    }
    if (n > 0 && out->overflow)
        return tr_fail(err, TR_CONFLICT, "a row of %s is larger than 1 GiB", map->label);
    return n < 0 ? tr_error_prefix(err, "%s", map->label) : n;
}
