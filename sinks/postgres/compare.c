/*
 * compare.c - tables that exist at the target already: do they take the source's rows, and what about the rows they hold?
 *
 * A column fits when it can hold every value of the source's: the same type, or a wider one. Whatever does not fit is named, all of it at
 * once, before a single row moves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/tables.h"
#include "sinks/postgres/tables_internal.h"

#define NAMED_AT_MOST 12 /* differences in one message */
#define TABLES_AT_ONCE 200

/* Domains resolved to their base type, with the modifier that the domain adds. */
static const char columns_query[] =
    "SELECT o.place, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname),"
    " CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull, a.attgenerated <> '', a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''"
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY o(nsp, name, place) JOIN pg_namespace n ON n.nspname = o.nsp"
    " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.name"
    " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype ORDER BY o.place, a.attnum";

enum { A_PLACE, A_KIND, A_NAME, A_TYPE, A_BASE, A_MOD, A_NOT_NULL, A_GENERATED, A_FILLED };

struct differences {
    struct tr_buffer text;
    unsigned count;
    const struct tr_findings
        *findings; /* of `tailrace check`: each difference is one, and none is gathered in text */
};

/* What mends a difference: "ALTER TABLE t BEFORE column AFTER;". Its own memory. */
static char *
alter(const struct tr_relation *relation, const char *before, const char *column, const char *after)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, 1 << 16);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    tr_buffer_printf(&sql, " %s ", before);
    tr_pg_identifier(&sql, column);
    tr_buffer_printf(&sql, " %s;", after);
    return sql.data;
}

static void differ(struct differences *diff, const struct tr_relation *relation, char *mend, const char *fmt,
                   ...) TR_PRINTF(4, 5);

/* mend is freed; NULL = no statement mends it. */
static void
differ(struct differences *diff, const struct tr_relation *relation, char *mend, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (diff->findings != NULL) {
        char *label = tr_asprintf("%s.%s", relation->target_schema, relation->target_name);
        diff->findings->add(diff->findings->arg, TR_FINDING_ERROR, "postgresql-target-column", label, text,
                            mend);
        free(label);
    }
    free(mend);
    if (diff->count++ >= NAMED_AT_MOST || diff->findings != NULL)
        return;
    tr_buffer_printf(&diff->text, "%s%s.%s: %s", diff->count > 1 ? "; " : "", relation->target_schema,
                     relation->target_name, text);
}

/* ---- does a type hold all values of another? */

static bool
among(const char *name, const char *list)
{
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* A modifier that allows no less: none, or a greater one of the same kind. */
static bool
modifier_fits(const char *type, int32_t from, int32_t to)
{
    if (to == -1 || to == from)
        return true;
    if (from == -1)
        return false;
    if (strcmp(type, "numeric") ==
        0) { /* precision << 16 | scale, the scale in 11 bits with a sign, all plus 4 */
        int32_t from_scale = ((from - 4) & 0x7ff) - (((from - 4) & 0x400) << 1),
                to_scale = ((to - 4) & 0x7ff) - (((to - 4) & 0x400) << 1);
        int32_t from_whole = ((from - 4) >> 16) - from_scale, to_whole = ((to - 4) >> 16) - to_scale;
        return to_scale >= from_scale && to_whole >= from_whole;
    }
    if (among(type, "varchar varbit timestamp timestamptz time timetz"))
        return to > from;
    return false;
}

static bool
type_fits(const struct tr_column *column, const char *type, const char *base, int32_t mod)
{
    static const struct {
        const char *from, *to;
    } wider[] = {
        { "int2", "int4 int8 numeric" },
        { "int4", "int8 numeric float8" },
        { "int8", "numeric" },
        { "float4", "float8" },
        { "oid", "int8" },
        { "varchar", "text" },
        { "bpchar", "text" },
        { "name", "text varchar" },
        { "char", "text" },
        { "uuid", "text" },
        { "json", "text" },
        { "jsonb", "text" },
        { "xml", "text" },
        { "date", "text" },
        { "bool", "text" },
        { "inet", "text" },
        { "cidr", "inet text" },
        { "text", "citext varchar" },
        { "citext", "text" },
        { "numeric", "text" },
    };
    if (strcmp(column->native, type) == 0)
        return true;
    if (strcmp(column->type_name, base) == 0)
        return modifier_fits(base, column->type_mod, mod);
    if (mod != -1)
        return strcmp(base, "varchar") == 0 && strcmp(column->type_name, "bpchar") == 0 &&
               mod >= column->type_mod;
    if (column->logical == TR_ENUM && among(base, "text varchar"))
        return true;
    for (size_t i = 0; i < sizeof(wider) / sizeof(wider[0]); i++)
        if (strcmp(wider[i].from, column->type_name) == 0 && among(base, wider[i].to))
            return true;
    return false;
}

/* ---- what this task has done of the tables */

/* The tables that this task has begun or finished loading: their rows are ours. */
static int
read_begun(struct tr_postgres_sink *sink, PGresult **res, struct tr_error *err)
{
    const char *params[] = { sink->base.env->task };
    return tr_pg_exec_params(
        sink->meta, tr_pg_stop_fd(sink),
        "SELECT table_name, done FROM tailrace.table_cut WHERE task = $1 ORDER BY table_name COLLATE \"C\"",
        1, params, res, err);
}

/* Row of the table in an answer whose first column is sorted by its bytes; -1 = none. */
static int
row_of(const PGresult *res, const struct tr_relation *relation)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    int low = 0, high = PQntuples(res) - 1, found = -1;
    while (low <= high && found < 0) {
        int middle = (low + high) / 2, order = strcmp(name, PQgetvalue(res, middle, 0));
        if (order == 0)
            found = middle;
        else if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    free(name);
    return found;
}

/* What the source has changed since the table was loaded comes by the stream. */
static bool
is_loaded(const PGresult *begun, const struct tr_relation *relation)
{
    int row = row_of(begun, relation);
    return row >= 0 && PQgetvalue(begun, row, 1)[0] == 't';
}

/* ---- comparing */

static char *
retype(const struct tr_relation *relation, const struct tr_column *column)
{
    char *type = tr_asprintf("TYPE %s", column->native);
    char *sql = alter(relation, "ALTER COLUMN", column->name, type);
    free(type);
    return sql;
}

static void
compare_column(struct differences *diff, const struct tr_relation *relation, const struct tr_column *column,
               const PGresult *res, int row, bool same_engine)
{
    bool generated = PQgetvalue(res, row, A_GENERATED)[0] == 't';
    if (generated && !column->generated)
        differ(diff, relation, alter(relation, "ALTER COLUMN", column->name, "DROP EXPRESSION"),
               "column %s is generated at the target only", column->name);
    else if (generated)
        return;
    if (same_engine && column->native != NULL && column->type_name != NULL &&
        !type_fits(column, PQgetvalue(res, row, A_TYPE), PQgetvalue(res, row, A_BASE),
                   (int32_t)strtol(PQgetvalue(res, row, A_MOD), NULL, 10)))
        differ(diff, relation, retype(relation, column), "column %s is %s and the source's is %s",
               column->name, PQgetvalue(res, row, A_TYPE), column->native);
    if (!column->not_null && PQgetvalue(res, row, A_NOT_NULL)[0] == 't' && column->key == 0)
        differ(diff, relation, alter(relation, "ALTER COLUMN", column->name, "DROP NOT NULL"),
               "column %s is NOT NULL and the source's is not", column->name);
}

static void
compare_table(struct differences *diff, const struct tr_relation *relation, const PGresult *res, int first,
              int end, bool same_engine)
{
    if (first == end) {
        differ(diff, relation, NULL, "the table does not exist");
        return;
    }
    char kind = PQgetvalue(res, first, A_KIND)[0];
    if (kind != 'r' && kind != 'p') {
        differ(diff, relation, NULL, "is not a table");
        return;
    }
    bool *seen = tr_calloc(relation->ncolumns + 1u, sizeof(*seen));
    for (int row = first; row < end && !PQgetisnull(res, row, A_NAME); row++) {
        int c = tr_relation_column(relation, PQgetvalue(res, row, A_NAME));
        if (c >= 0) {
            seen[c] = true;
            compare_column(diff, relation, &relation->columns[c], res, row, same_engine);
        } else if (PQgetvalue(res, row, A_NOT_NULL)[0] == 't' && PQgetvalue(res, row, A_FILLED)[0] != 't') {
            differ(diff, relation,
                   alter(relation, "ALTER COLUMN", PQgetvalue(res, row, A_NAME), "DROP NOT NULL"),
                   "column %s is unknown at the source, NOT NULL and without a default",
                   PQgetvalue(res, row, A_NAME));
        }
    }
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (!seen[c] && !relation->columns[c].generated)
            differ(diff, relation,
                   alter(relation, "ADD COLUMN", relation->columns[c].name,
                         same_engine && relation->columns[c].native != NULL ? relation->columns[c].native
                                                                            : "..."),
                   "column %s is missing", relation->columns[c].name);
    free(seen);
}

static int
read_columns(struct tr_postgres_sink *sink, const struct tr_schema *schema, PGresult **res,
             struct tr_error *err)
{
    struct tr_buffer schemas, names;
    tr_buffer_init(&schemas, TR_BUFFER_MAX);
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t t = 0; t < schema->ntables; t++) {
        tr_pg_array_add(&schemas, schema->tables[t].relation->target_schema);
        tr_pg_array_add(&names, schema->tables[t].relation->target_name);
    }
    const char *params[] = { tr_pg_array_end(&schemas), tr_pg_array_end(&names) };
    *res = NULL;
    int rc = tr_pg_exec_params(sink->meta, tr_pg_stop_fd(sink), columns_query, 2, params, res, err);
    tr_buffer_fini(&schemas);
    tr_buffer_fini(&names);
    return rc;
}

/* Differences of the tables that are chosen; differs[t], if asked for, is set for each that has some. */
static int
compare_chosen(struct tr_postgres_sink *sink, const struct tr_schema *schema, const bool *chosen,
               struct differences *diff, bool *differs, struct tr_error *err)
{
    PGresult *res;
    int rc = read_columns(sink, schema, &res, err);
    int rows = rc == 0 ? PQntuples(res) : 0;
    for (uint32_t t = 0, row = 0; rc == 0 && t < schema->ntables; t++) {
        uint32_t end = row;
        unsigned before = diff->count;
        while ((int)end < rows && strtoul(PQgetvalue(res, (int)end, A_PLACE), NULL, 10) == t + 1)
            end++;
        if (chosen[t])
            compare_table(diff, schema->tables[t].relation, res, (int)row, (int)end,
                          strcmp(schema->dialect, "postgresql") == 0);
        if (differs != NULL)
            differs[t] = diff->count > before;
        row = end;
    }
    PQclear(res);
    return rc;
}

int
tr_pg_compare_tables(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    PGresult *begun = NULL;
    struct differences diff = { .count = 0 };
    int rc = read_begun(sink, &begun, err);
    if (rc < 0)
        return rc;
    bool *chosen = tr_calloc(schema->ntables + 1u, sizeof(*chosen));
    for (uint32_t t = 0; t < schema->ntables; t++) /* partitions of a root at the target are its own matter */
        chosen[t] = !schema->tables[t].relation->skip && !is_loaded(begun, schema->tables[t].relation);
    tr_buffer_init(&diff.text, (size_t)1 << 20);
    rc = compare_chosen(sink, schema, chosen, &diff, NULL, err);
    if (rc == 0 && diff.count > 0) {
        tr_fail(err, TR_REFUSED, "the target's tables do not take the source's rows: %s%s", diff.text.data,
                diff.count > NAMED_AT_MOST ? "; and more" : "");
        rc = tr_error_hint(
            err,
            "alter the target's tables, or drop them and run with schema: create; tailrace schema prints how they would be made");
    }
    PQclear(begun);
    free(chosen);
    tr_buffer_fini(&diff.text);
    return rc;
}

int
tr_pg_check_shapes(struct tr_postgres_sink *sink, const struct tr_schema *schema,
                   const struct tr_findings *findings, struct tr_error *err)
{
    PGresult *res;
    struct differences diff = { .findings = findings };
    int rc = read_columns(sink, schema, &res, err), rows = rc == 0 ? PQntuples(res) : 0;
    for (uint32_t t = 0, row = 0; rc == 0 && t < schema->ntables; t++) {
        uint32_t first = row;
        while ((int)row < rows && strtoul(PQgetvalue(res, (int)row, A_PLACE), NULL, 10) == t + 1)
            row++;
        if (row > first && !schema->tables[t].relation->skip)
            compare_table(&diff, schema->tables[t].relation, res, (int)first, (int)row,
                          strcmp(schema->dialect, "postgresql") == 0);
    }
    PQclear(res);
    return rc;
}

/* ---- rows that are there already */

/* Indexes (in text) of the tables among `tables` that hold rows, some hundred a query. */
static int
find_filled(struct tr_postgres_sink *sink, const struct tr_schema *schema, const uint32_t *tables,
            size_t count, bool *filled, struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct tr_relation *relation = schema->tables[tables[i]].relation;
        tr_buffer_printf(&sql, "%sSELECT %u WHERE EXISTS (SELECT FROM ", i > 0 ? " UNION ALL " : "",
                         tables[i]);
        tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
        tr_buffer_byte(&sql, ')');
    }
    int rc = count > 0 ? tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, &res, err) : 0;
    for (int row = 0; rc == 0 && res != NULL && row < PQntuples(res); row++)
        filled[strtoul(PQgetvalue(res, row, 0), NULL, 10)] = true;
    PQclear(res);
    tr_buffer_fini(&sql);
    return rc;
}

static int
refuse_filled(const struct tr_schema *schema, const bool *filled, struct tr_error *err)
{
    struct tr_buffer names;
    unsigned count = 0;
    tr_buffer_init(&names, (size_t)1 << 16);
    for (uint32_t t = 0; t < schema->ntables; t++)
        if (filled[t] && count++ < NAMED_AT_MOST)
            tr_buffer_printf(&names, "%s%s.%s", count > 1 ? ", " : "",
                             schema->tables[t].relation->target_schema,
                             schema->tables[t].relation->target_name);
    if (count > 0) {
        tr_fail(err, TR_REFUSED, "%u of the target's tables already hold%s rows: %s%s", count,
                count == 1 ? "s" : "", names.data, count > NAMED_AT_MOST ? ", ..." : "");
        tr_error_hint(
            err, "empty them, or run with on_existing: truncate (removes their rows) or append (keeps them)");
    }
    tr_buffer_fini(&names);
    return count > 0 ? -(int)TR_REFUSED : 0;
}

static void
truncate_name(struct tr_buffer *sql, const struct tr_relation *relation)
{
    tr_buffer_text(sql,
                   relation->kind == 'p' ? "" : "ONLY "); /* a partitioned table cannot be truncated alone */
    tr_pg_qualified(sql, relation->target_schema, relation->target_name);
}

/* All in one statement, because tables that refer to each other can only be truncated together. Never CASCADE: that would reach tables of others. */
static int
truncate_tables(struct tr_postgres_sink *sink, const struct tr_schema *schema, const bool *candidate,
                struct tr_error *err)
{
    struct tr_buffer sql;
    unsigned count = 0;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    tr_buffer_text(&sql, "TRUNCATE ");
    for (uint32_t t = 0; t < schema->ntables; t++) {
        if (!candidate[t])
            continue;
        tr_buffer_text(&sql, count++ > 0 ? ", " : "");
        truncate_name(&sql, schema->tables[t].relation);
    }
    int rc = count > 0 ? tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, NULL, err) : 0;
    tr_buffer_fini(&sql);
    if (rc == 0)
        return 0;
    tr_error_prefix(err, "emptying the target's tables (on_existing: truncate)");
    if (strcmp(err->sqlstate, "0A000") == 0)
        tr_error_hint(
            err,
            "a table outside of this task refers to one of them: drop that foreign key, or empty the tables yourself");
    return -(int)err->class;
}

int
tr_pg_existing_rows(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    const char *policy = tr_pg_setting(sink, "on_existing");
    PGresult *res = NULL;
    if (strcmp(policy, "append") == 0)
        return 0;
    int rc = read_begun(sink, &res, err);
    if (rc < 0)
        return rc;
    bool *candidate = tr_calloc(schema->ntables + 1u, sizeof(*candidate)),
         *filled = tr_calloc(schema->ntables + 1u, sizeof(*filled));
    uint32_t some[TABLES_AT_ONCE];
    size_t count = 0;
    bool any = false;
    for (uint32_t t = 0; rc == 0 && t < schema->ntables; t++) {
        if (schema->tables[t].relation->skip || row_of(res, schema->tables[t].relation) >= 0)
            continue;
        candidate[t] = true;
        some[count++] = t;
        if (count == TABLES_AT_ONCE) {
            rc = find_filled(sink, schema, some, count, filled, err);
            count = 0;
        }
    }
    if (rc == 0)
        rc = find_filled(sink, schema, some, count, filled, err);
    for (uint32_t t = 0; t < schema->ntables; t++)
        any = any || filled[t];
    if (rc == 0 && any)
        rc = strcmp(policy, "truncate") == 0 ? truncate_tables(sink, schema, candidate, err)
                                             : refuse_filled(schema, filled, err);
    free(candidate);
    free(filled);
    PQclear(res);
    return rc;
}

/* Someone else's rows may be among them: only an empty table can be loaded once more. */
static int
reset_appended(struct tr_postgres_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT EXISTS (SELECT FROM ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    tr_buffer_byte(&sql, ')');
    int rc = tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, &res, err);
    if (rc == 0 && PQgetvalue(res, 0, 0)[0] == 't') {
        tr_fail(
            err, TR_REFUSED,
            "the load of %s.%s was cut short, and with on_existing: append its rows cannot be told from those that were there before",
            relation->target_schema, relation->target_name);
        rc = tr_error_hint(
            err,
            "remove the rows that were loaded (or all of them) yourself until the table is empty, or run with on_existing: truncate");
    }
    PQclear(res);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_pg_reset_table(struct tr_sink *base, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    struct tr_buffer sql;
    if (strcmp(tr_pg_setting(sink, "on_existing"), "append") == 0)
        return reset_appended(sink, relation, err);
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "TRUNCATE ");
    truncate_name(&sql, relation);
    int rc = tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, NULL, err);
    /* Referred to by a foreign key: without triggers a DELETE reaches no other table. */
    if (rc < 0 && strcmp(err->sqlstate, "0A000") == 0 && sink->replica_role) {
        tr_buffer_reset(&sql);
        tr_buffer_text(&sql, "SET LOCAL session_replication_role = replica; DELETE FROM ");
        truncate_name(&sql, relation);
        rc = tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, NULL, err);
    }
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "emptying %s.%s at the target", relation->target_schema,
                                    relation->target_name)
                  : 0;
}

/* ---- tables whose load was cut short, and that the source has changed since */

/*
 * Of a table that this task made and never loaded in full nothing is kept. The mark (tables.c) holds the oid of what was made: a table that somebody
 * made in its place is not meant, nor one with partitions of somebody else's, which would go with it.
 */
static const char unfinished_query[] =
    "SELECT s.table_name, n.nspname, r.relname, t.done IS NOT NULL FROM tailrace.relation_shape s LEFT JOIN tailrace.table_cut t USING (task, table_name)"
    " JOIN pg_class r ON r.oid = (s.shape->>'made')::oid JOIN pg_namespace n ON n.oid = r.relnamespace"
    " WHERE s.task = $1 AND t.done IS NOT TRUE AND NOT EXISTS (SELECT FROM pg_partition_tree(r.oid) p WHERE NOT EXISTS"
    " (SELECT FROM tailrace.relation_shape m WHERE m.task = $1 AND (m.shape->>'made')::oid = p.relid) AND p.relid <> r.oid)"
    " ORDER BY s.table_name COLLATE \"C\"";

static int
has_rows(struct tr_postgres_sink *sink, const struct tr_relation *relation, bool *rows, struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT FROM ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    tr_buffer_text(&sql, " LIMIT 1");
    int rc = tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, &res, err);
    *rows = rc == 0 && PQntuples(res) > 0;
    PQclear(res);
    tr_buffer_fini(&sql);
    return rc;
}

/* Never CASCADE: a table that others refer to stays as it is, and is compared; so does one with rows that are not ours, because its load was never begun. */
static int
drop_outgrown(struct tr_postgres_sink *sink, const struct tr_relation *relation, bool begun,
              struct tr_error *err)
{
    struct tr_buffer sql;
    bool rows = false;
    int rc = begun ? tr_pg_reset_table(&sink->base, relation, err) : has_rows(sink, relation, &rows, err);
    if (rc < 0 || rows)
        return rc;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "DROP TABLE ");
    tr_pg_qualified(&sql, relation->target_schema, relation->target_name);
    rc = tr_pg_exec(sink->meta, tr_pg_stop_fd(sink), sql.data, NULL, err);
    tr_buffer_fini(&sql);
    if (rc == 0)
        tr_log(
            sink->base.env->log, TR_LOG_INFO, "sink",
            "table %s.%s is made anew: its load was cut short, and the source has changed its columns since",
            relation->target_schema, relation->target_name);
    if (rc < 0 && strcmp(err->sqlstate, "2BP01") == 0) {
        tr_error_clear(err);
        rc = 0;
    }
    return rc < 0 ? tr_error_prefix(err, "dropping %s.%s, whose load was cut short, at the target",
                                    relation->target_schema, relation->target_name)
                  : 0;
}

int
tr_pg_drop_outgrown(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err)
{
    PGresult *res = NULL;
    struct differences diff = { .count = 0 };
    const char *params[] = { sink->base.env->task };
    if (!sink->keeps_shapes)
        return 0;
    int rc = tr_pg_exec_params(sink->meta, tr_pg_stop_fd(sink), unfinished_query, 1, params, &res, err);
    if (rc < 0 || PQntuples(res) == 0) {
        PQclear(res);
        return rc;
    }
    bool *chosen = tr_calloc(schema->ntables + 1u, sizeof(*chosen)),
         *differs = tr_calloc(schema->ntables + 1u, sizeof(*differs));
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        int row = relation->skip ? -1 : row_of(res, relation);
        chosen[t] = row >= 0 && strcmp(PQgetvalue(res, row, 1), relation->target_schema) == 0 &&
                    strcmp(PQgetvalue(res, row, 2), relation->target_name) == 0;
    }
    tr_buffer_init(&diff.text, (size_t)1 << 20);
    rc = compare_chosen(sink, schema, chosen, &diff, differs, err);
    for (uint32_t t = 0; rc == 0 && t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        if (differs[t])
            rc = drop_outgrown(sink, relation, PQgetvalue(res, row_of(res, relation), 3)[0] == 't', err);
    }
    tr_buffer_fini(&diff.text);
    free(chosen);
    free(differs);
    PQclear(res);
    return rc;
}
