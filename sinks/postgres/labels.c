/*
 * labels.c - enums that gained a label at the source (ALTER TYPE ... ADD VALUE).
 *
 * The log does not tell it: the first that is heard of a new label is a value that the target does not take. The labels are known as they were when the log
 * described the table, so a label younger than that costs a new start of the stream.
 *
 * A label cannot be removed. One that the target has and the source has no more was renamed, unless the target has labels of its own: which of the two it is nobody
 * knows where it stands in the same gap as the new one, so that is refused.
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

/* The target's label that the source does not have, in the gap between the nearest labels around `place` that both have; NULL = none. */
static const char *
left_alone(const struct tr_column *column, int place, const PGresult *target)
{
    int first = 0, end = PQntuples(target);
    for (int i = 0; i < PQntuples(target); i++) {
        const char *label = PQgetvalue(target, i, 0);
        int there = place_of(column, label, strlen(label));
        if (there >= 0 && there < place)
            first = i + 1;
        else if (there > place && i < end)
            end = i;
    }
    for (int i = first; i < end; i++) {
        const char *label = PQgetvalue(target, i, 0);
        if (place_of(column, label, strlen(label)) < 0)
            return label;
    }
    return NULL;
}

static int
refuse_renamed(const struct tr_column *column, const char *from, int place, const PGresult *have,
               struct tr_error *err)
{
    struct tr_buffer old, new;
    tr_buffer_init(&old, 4096);
    tr_buffer_init(&new, 4096);
    tr_pg_literal(&old, from);
    tr_pg_literal(&new, column->labels[place]);
    tr_fail(
        err, TR_REFUSED,
        "the source's enum %s has a label %s, which the target lacks, and has no label %s, which the target has; "
        "whether it was renamed cannot be known",
        column->native, new.data, old.data);
    tr_error_hint(
        err,
        "if it was renamed, run at the target: ALTER TYPE %s RENAME VALUE %s TO %s; if it is a new one: ALTER TYPE %s ADD VALUE %s; then start again",
        PQgetvalue(have, 0, 1), old.data, new.data, PQgetvalue(have, 0, 1), new.data);
    tr_buffer_fini(&old);
    tr_buffer_fini(&new);
    return -TR_REFUSED;
}

static int
add_label(struct tr_postgres_sink *sink, const struct tr_column *column, int place, const PGresult *have,
          struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_printf(&sql, "ALTER TYPE %s ADD VALUE IF NOT EXISTS ", PQgetvalue(have, 0, 1));
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

/* The labels of a type, and the enum's name: of the type itself, of what it is a domain over, of its elements. */
static const char labels_sql[] =
    "WITH RECURSIVE t (oid) AS (SELECT $1::oid UNION ALL"
    "  SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.typelem END FROM t JOIN pg_type y ON y.oid = t.oid"
    "  WHERE y.typtype = 'd' OR y.typcategory = 'A' AND y.typelem <> 0)"
    " SELECT e.enumlabel, pg_catalog.format_type(e.enumtypid, NULL) FROM t JOIN pg_enum e ON e.enumtypid = t.oid"
    " ORDER BY e.enumsortorder";

static int
look_at_label(struct tr_postgres_sink *sink, Oid type, const struct tr_column *column, const char *text,
              size_t len, enum tr_pg_labels *found, struct tr_error *err)
{
    char oid[16];
    PGresult *have = NULL;
    snprintf(oid, sizeof oid, "%u", type);
    const char *params[] = { oid };
    int rc = tr_pg_ask_params(sink, sink->meta, labels_sql, 1, params, &have, err);
    if (rc < 0)
        return rc;
    int place = place_of(column, text, len);
    if (PQntuples(have) > 0 && place < 0) {
        *found = TR_PG_LABEL_UNKNOWN;
    } else if (PQntuples(have) > 0 && !has(have, column->labels[place])) {
        const char *alone = left_alone(column, place, have);
        rc = alone != NULL ? refuse_renamed(column, alone, place, have, err)
                           : add_label(sink, column, place, have, err);
        *found = TR_PG_LABEL_ADDED;
    }
    PQclear(have);
    return rc;
}

/* The next element of an array's text ({a,"b \"c\"",NULL}, [0:1]={...}); false at its end. A NULL has the length 0, which no label has. */
static bool
next_element(const char **at, const char *end, struct tr_buffer *out)
{
    const char *p = *at;
    tr_buffer_reset(out);
    while (p < end && (*p == '{' || *p == '}' || *p == ','))
        p++;
    bool more = p < end, quoted = more && *p == '"';
    for (p += quoted; p < end && (quoted ? *p != '"' : *p != ',' && *p != '}'); p++) {
        p += *p == '\\' && p + 1 < end;
        tr_buffer_byte(out, *p);
    }
    if (!quoted && out->len == 4 && memcmp(out->data, "NULL", 4) == 0)
        tr_buffer_reset(out);
    *at = p + (quoted && p < end);
    return more;
}

static int
look_at(struct tr_postgres_sink *sink, const struct tr_pg_map *map, uint16_t i, const struct tr_value *value,
        enum tr_pg_labels *found, struct tr_error *err)
{
    const struct tr_column *column = &map->relation->columns[i];
    Oid type = map->table->columns[map->target[i]].type_oid;
    struct tr_buffer scratch, element;
    const char *text;
    size_t len;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    tr_buffer_init(&element, TR_BUFFER_MAX);
    int rc = tr_value_text(map->relation, column, value, &scratch, &text, &len, err);
    if (rc == 0 && column->logical == TR_ENUM) {
        rc = look_at_label(sink, type, column, text, len, found, err);
    } else if (rc == 0) {
        const char *end = text + len, *open = memchr(text, '{', len);
        for (text = open != NULL ? open : end; rc == 0 && next_element(&text, end, &element);)
            if (element.len > 0 && *found != TR_PG_LABEL_UNKNOWN)
                rc = look_at_label(sink, type, column, element.data, element.len, found, err);
    }
    tr_buffer_fini(&element);
    tr_buffer_fini(&scratch);
    return rc;
}

int
tr_pg_add_labels(struct tr_postgres_sink *sink, const struct tr_pg_map *map, const struct tr_value *row,
                 enum tr_pg_labels *found, struct tr_error *err)
{
    int rc = 0;
    *found = TR_PG_LABELS_FIT;
    if (sink->ddl != TR_PG_DDL_APPLY)
        return 0;
    for (uint16_t i = 0; rc == 0 && *found != TR_PG_LABEL_UNKNOWN && i < map->relation->ncolumns; i++)
        if (map->relation->columns[i].nlabels > 0 && map->target[i] >= 0 && row[i].state == TR_PRESENT)
            rc = look_at(sink, map, i, &row[i], found, err);
    return rc;
}
