/*
 * labels.c - enums that gained a label at the source (ALTER TYPE ... ADD VALUE).
 *
 * The log does not tell it: the first that is heard of a new label is a value that the target does not take. The labels are known as they were when the log
 * described the table, so a label younger than that costs a new start of the stream.
 */
#include <stdio.h>
#include <string.h>

#include "sinks/postgres/apply.h"

static bool
has(const PGresult *res, const char *label)
{
    for (int i = 0; i < PQntuples(res); i++)
        if (strcmp(PQgetvalue(res, i, 0), label) == 0)
            return true;
    return false;
}

static int
place_of(const struct tr_column *column, const char *label, size_t len)
{
    for (uint32_t i = 0; i < column->nlabels; i++)
        if (strlen(column->labels[i]) == len && memcmp(column->labels[i], label, len) == 0)
            return (int)i;
    return -1;
}

/* Beside the nearest label of the source that the target has too. */
static void
write_place(struct tr_buffer *sql, const struct tr_column *column, int place, const PGresult *target)
{
    for (int i = place - 1; i >= 0; i--)
        if (has(target, column->labels[i])) {
            tr_buffer_text(sql, " AFTER ");
            tr_pg_literal(sql, column->labels[i]);
            return;
        }
    for (uint32_t i = (uint32_t)place + 1; i < column->nlabels; i++)
        if (has(target, column->labels[i])) {
            tr_buffer_text(sql, " BEFORE ");
            tr_pg_literal(sql, column->labels[i]);
            return;
        }
}

static int
add_label(struct tr_postgres_sink *sink, const struct tr_pg_column *target, const struct tr_column *column,
          int place, const PGresult *have, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_printf(&sql, "ALTER TYPE %s ADD VALUE IF NOT EXISTS ", target->type);
    tr_pg_literal(&sql, column->labels[place]);
    write_place(&sql, column, place, have);
    /* Not on the worker's connection: a label cannot be used by the transaction that adds it. */
    int rc = tr_pg_ask(sink, sink->meta, sql.data, NULL, err);
    if (rc == 0)
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "the source's enum %s has a new label: %s",
               column->native, sql.data);
    else if (err->class != TR_RETRY) {
        err->class = TR_REFUSED;
        tr_error_prefix(err, "the source's enum %s has a new label", column->native);
        rc = tr_error_hint(err, "run at the target: %s; then start again", sql.data);
    }
    tr_buffer_fini(&sql);
    return rc;
}

static int
look_at(struct tr_postgres_sink *sink, const struct tr_pg_map *map, uint16_t i, const struct tr_value *value,
        struct tr_buffer *scratch, enum tr_pg_labels *found, struct tr_error *err)
{
    const struct tr_column *column = &map->relation->columns[i];
    const struct tr_pg_column *target = &map->table->columns[map->target[i]];
    const char *text;
    char oid[16];
    size_t len;
    PGresult *have = NULL;
    snprintf(oid, sizeof oid, "%u", target->type_oid);
    const char *params[] = { oid };
    int rc = tr_value_text(map->relation, column, value, scratch, &text, &len, err);
    if (rc == 0)
        rc = tr_pg_ask_params(
            sink, sink->meta,
            "SELECT enumlabel FROM pg_enum WHERE enumtypid = $1::oid ORDER BY enumsortorder", 1, params,
            &have, err);
    if (rc < 0)
        return rc;
    int place = place_of(column, text, len);
    if (PQntuples(have) > 0 && place < 0) {
        *found = TR_PG_LABEL_UNKNOWN;
    } else if (PQntuples(have) > 0 && !has(have, column->labels[place])) {
        rc = add_label(sink, target, column, place, have, err);
        *found = TR_PG_LABEL_ADDED;
    }
    PQclear(have);
    return rc;
}

int
tr_pg_add_labels(struct tr_postgres_sink *sink, const struct tr_pg_map *map, const struct tr_value *row,
                 enum tr_pg_labels *found, struct tr_error *err)
{
    struct tr_buffer scratch;
    int rc = 0;
    *found = TR_PG_LABELS_FIT;
    if (sink->ddl != TR_PG_DDL_APPLY || !sink->from_postgresql)
        return 0;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    for (uint16_t i = 0; rc == 0 && *found != TR_PG_LABEL_UNKNOWN && i < map->relation->ncolumns; i++)
        if (map->relation->columns[i].logical == TR_ENUM && map->target[i] >= 0 && row[i].state == TR_PRESENT)
            rc = look_at(sink, map, i, &row[i], &scratch, found, err);
    tr_buffer_fini(&scratch);
    return rc;
}
