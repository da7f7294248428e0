/* shape.c - see shape.h. */
#include "sinks/postgres/shape.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "schema/schema.h"

#define SQL_MAX ((size_t)8 << 20)
#define SQL_AT_ONCE ((size_t)256 << 10)

/* ------------------------------------------------------------------------------------------- memory */

static void
clear_columns(struct tr_pg_shape *shape)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        free(shape->columns[i].name);
        free(shape->columns[i].native);
    }
    free(shape->columns);
    shape->columns = NULL;
    shape->ncolumns = 0;
}

static void
shape_free(struct tr_pg_shape *shape)
{
    clear_columns(shape);
    for (uint16_t i = 0; i < shape->ngenerated; i++)
        free(shape->generated[i].name);
    free(shape->generated);
    tr_pg_shape_unkey(shape);
    tr_relation_unref(shape->relation);
    free(shape->table);
    free(shape);
}

void
tr_pg_shapes_free(struct tr_pg_apply *apply)
{
    for (uint32_t i = 0; i < apply->nshapes; i++)
        shape_free(apply->shapes[i]);
    free(apply->shapes);
}

static struct tr_pg_shape *
find(struct tr_pg_apply *apply, const char *table)
{
    for (uint32_t i = 0; i < apply->nshapes; i++)
        if (strcmp(apply->shapes[i]->table, table) == 0)
            return apply->shapes[i];
    return NULL;
}

/* `table` is taken. */
static struct tr_pg_shape *
add(struct tr_pg_apply *apply, char *table)
{
    struct tr_pg_shape *shape = tr_calloc(1, sizeof(*shape));
    apply->shapes = tr_realloc(apply->shapes, (apply->nshapes + 1) * sizeof(struct tr_pg_shape *));
    shape->table = table;
    apply->shapes[apply->nshapes++] = shape;
    return shape;
}

static char *
label(const struct tr_relation *relation)
{
    return tr_asprintf("%s.%s", relation->schema, relation->name);
}

struct tr_pg_shape *
tr_pg_shape_named(struct tr_pg_apply *apply, const char *schema, const char *name)
{
    char *table = tr_asprintf("%s.%s", schema, name);
    struct tr_pg_shape *shape = find(apply, table);
    free(table);
    return shape;
}

struct tr_pg_shape *
tr_pg_shape_find(struct tr_pg_apply *apply, const struct tr_relation *relation)
{
    return tr_pg_shape_named(apply, relation->schema, relation->name);
}

void
tr_pg_shape_seen(struct tr_pg_shape *shape, struct tr_relation *relation)
{
    if (shape->relation == relation)
        return;
    tr_relation_unref(shape->relation);
    shape->relation = tr_relation_ref(relation);
}

void
tr_pg_shape_rename(struct tr_pg_shape *shape, const struct tr_ddl_table *of,
                   const struct tr_ddl_rename *renames, uint32_t count)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++)
        for (uint32_t k = 0; k < count; k++)
            if (!shape->columns[i].dropped && strcmp(shape->columns[i].name, renames[k].from) == 0) {
                free(shape->columns[i].name);
                shape->columns[i].name = tr_strdup(renames[k].to);
                break;
            }
    for (uint16_t i = 0; i < shape->ngenerated; i++)
        for (uint32_t k = 0; k < count; k++)
            if (strcmp(shape->generated[i].name, renames[k].from) == 0) {
                free(shape->generated[i].name);
                shape->generated[i].name = tr_strdup(renames[k].to);
                break;
            }
    for (uint16_t i = 0; i < shape->nkey; i++)
        for (uint32_t k = 0; k < count; k++)
            if (strcmp(shape->key[i], renames[k].from) == 0) {
                free(shape->key[i]);
                shape->key[i] = tr_strdup(renames[k].to);
                break;
            }
    struct tr_relation
        *names = tr_relation_new(); /* no relation of the log has been seen to be of this shape */
    names->target_schema = tr_arena_strdup(&names->arena, of->target_schema);
    names->target_name = tr_arena_strdup(&names->arena, of->target_name);
    tr_relation_unref(shape->relation);
    shape->relation = names;
}

static void
add_column(struct tr_pg_shape *shape, const struct tr_pg_shape_column *column)
{
    shape->columns = tr_realloc(shape->columns, (shape->ncolumns + 1u) * sizeof(*shape->columns));
    struct tr_pg_shape_column *copy = &shape->columns[shape->ncolumns++];
    *copy = *column;
    copy->name = tr_strdup(column->name);
    copy->native = tr_strdup(column->native != NULL ? column->native : "");
}

/* ------------------------------------------------------------------------------------------- comparing */

bool
tr_pg_shape_numbered(const struct tr_pg_shape *shape, const struct tr_relation *relation, uint16_t a,
                     uint16_t b)
{
    return a > 0 && b > 0 && shape->id == relation->id;
}

enum tr_pg_shape_age
tr_pg_shape_age(const struct tr_pg_shape *before, const struct tr_relation *relation,
                const struct tr_column *column)
{
    bool all = before != NULL;
    for (uint16_t i = 0; before != NULL && i < before->ncolumns; i++) {
        uint16_t number = before->columns[i].number;
        if (!tr_pg_shape_numbered(before, relation, number, column->number))
            all = false;
        else if (number > column->number)
            return TR_PG_SHAPE_YOUNGER;
    }
    return all ? TR_PG_SHAPE_OLDER : TR_PG_SHAPE_UNKNOWN;
}

static bool
is_column(const struct tr_pg_shape *shape, const struct tr_pg_shape_column *before,
          const struct tr_relation *relation, const struct tr_column *after)
{
    if (before->dropped || after->generated)
        return false;
    if (tr_pg_shape_numbered(shape, relation, before->number, after->number))
        return before->number == after->number;
    return strcmp(before->name, after->name) == 0;
}

const struct tr_column *
tr_pg_shape_now(const struct tr_pg_shape *shape, const struct tr_pg_shape_column *column,
                const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (is_column(shape, column, relation, &relation->columns[i]))
            return &relation->columns[i];
    return NULL;
}

const struct tr_pg_shape_column *
tr_pg_shape_then(const struct tr_pg_shape *shape, const struct tr_relation *relation,
                 const struct tr_column *column)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++)
        if (is_column(shape, &shape->columns[i], relation, column))
            return &shape->columns[i];
    return NULL;
}

#define LAST_LOGGED_TYPE 255 /* MySQL's codes of types; PostgreSQL's types with labels have higher numbers */

/* MySQL's code of a type tells neither the sign, nor bytes from characters, nor labels. */
static uint32_t
kind_of(const struct tr_column *column)
{
    uint64_t print = 0;
    for (uint32_t i = 0; column->type_id <= LAST_LOGGED_TYPE && i < column->nlabels; i++)
        print = tr_hash_bytes(print + 1, column->labels[i], strlen(column->labels[i]));
    return 1 | (column->is_unsigned ? 2U : 0) | (column->logical == TR_BYTES ? 4U : 0) | (uint32_t)print << 3;
}

/*
 * A renamed type keeps its oid, one that was made anew its name. What MySQL's log tells counts more than how the type is spelled, which may be as the catalogue has it by now; what was
 * loaded has no modifier of the log's.
 */
bool
tr_pg_shape_same_type(const struct tr_pg_shape_column *before, const struct tr_column *after)
{
    bool logged = before->kind != 0 && after->type_id <= LAST_LOGGED_TYPE && before->mod >= 0 &&
                  after->type_mod >= 0;
    if (after->native == NULL)
        return true;
    if (before->kind != 0 && before->kind != kind_of(after))
        return false;
    if (before->type == after->type_id && before->mod == after->type_mod)
        return true;
    return !logged && strcmp(before->native, after->native) == 0;
}

bool
tr_pg_shape_is_said(const struct tr_pg_shape_column *before, const struct tr_column *column)
{
    return before->type == column->type_id && before->kind == kind_of(column) &&
           before->length == column->length && before->precision == column->precision &&
           before->scale == column->scale;
}

bool
tr_pg_shape_fits(const struct tr_pg_shape *shape, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        const struct tr_pg_shape_column *column = &shape->columns[i];
        if (column->dropped)
            continue;
        const struct tr_column *now = tr_pg_shape_now(shape, column, relation);
        if (now == NULL || strcmp(now->name, column->name) != 0 || !tr_pg_shape_same_type(column, now))
            return false;
    }
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (!relation->columns[i].generated &&
            tr_pg_shape_then(shape, relation, &relation->columns[i]) == NULL)
            return false;
    return true;
}

bool
tr_pg_shape_incomplete(const struct tr_pg_shape *shape, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        const struct tr_pg_shape_column *column = &shape->columns[i];
        const struct tr_column *now = tr_pg_shape_now(shape, column, relation);
        if (now != NULL && (column->target == 0 || (column->number == 0 && now->number > 0)))
            return true;
    }
    return shape->id != relation->id || !shape->keyed;
}

/* ------------------------------------------------------------------------------------------- remembering */

static struct tr_pg_shape_column
describe(const struct tr_column *column, const struct tr_pg_shape_column *before,
         const struct tr_pg_table *table)
{
    int at = table != NULL ? tr_pg_table_column(table, column->name) : -1;
    return (struct tr_pg_shape_column){
        .name = (char *)(uintptr_t)column->name,
        .native = (char *)(uintptr_t)column->native,
        .type = column->type_id,
        .base = column->base_type_id,
        .mod = column->type_mod,
        .length = column->length,
        .precision = column->precision,
        .scale = column->scale,
        .kind = kind_of(column),
        .number = column->number > 0 || before == NULL ? column->number : before->number,
        .target = at >= 0 ? table->columns[at].number : 0,
    };
}

/* Columns that the source dropped and the target still has. */
static void
keep_dropped(struct tr_pg_shape *now, const struct tr_pg_shape *before, const struct tr_relation *relation,
             const struct tr_pg_table *table)
{
    for (uint16_t i = 0; i < before->ncolumns; i++) {
        struct tr_pg_shape_column column = before->columns[i];
        if (tr_pg_shape_now(before, &column, relation) != NULL)
            continue;
        int at = table != NULL ? tr_pg_table_column(table, column.name) : -1;
        column.dropped = true;
        if (at < 0 || (column.target > 0 && table->columns[at].number != column.target))
            continue;
        column.target = table->columns[at].number;
        add_column(now, &column);
    }
}

void
tr_pg_shape_gain(struct tr_pg_shape *shape, const struct tr_column *column, const struct tr_pg_table *table)
{
    struct tr_pg_shape_column described = describe(column, NULL, table);
    if (described.target > 0)
        add_column(shape, &described);
}

void
tr_pg_shape_lose(struct tr_pg_shape *shape, const char *column)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++)
        if (!shape->columns[i].dropped && strcmp(shape->columns[i].name, column) == 0)
            shape->columns[i].dropped = true;
}

void
tr_pg_shape_forget(struct tr_pg_shape *shape, const char *column)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < shape->ngenerated; i++)
        if (strcmp(shape->generated[i].name, column) == 0)
            free(shape->generated[i].name);
        else
            shape->generated[kept++] = shape->generated[i];
    shape->ngenerated = kept;
}

static void
add_generated(struct tr_pg_shape *shape, const char *name, uint64_t print)
{
    shape->generated = tr_realloc(shape->generated, (shape->ngenerated + 1u) * sizeof(*shape->generated));
    shape->generated[shape->ngenerated++] = (struct tr_pg_shape_generated){ tr_strdup(name), print };
}

static uint64_t
print_of(const struct tr_column *column)
{
    return tr_hash_bytes(0, column->generation, strlen(column->generation));
}

void
tr_pg_shape_compute(struct tr_pg_shape *shape, const struct tr_column *column)
{
    uint16_t kept = 0;
    tr_pg_shape_forget(shape, column->name);
    add_generated(shape, column->name, column->generation != NULL ? print_of(column) : 0);
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        struct tr_pg_shape_column *old = &shape->columns[i];
        if (strcmp(old->name, column->name) != 0) {
            shape->columns[kept++] = *old;
            continue;
        }
        free(old->name);
        free(old->native);
    }
    shape->ncolumns = kept;
}

bool
tr_pg_shape_is_generated(const struct tr_pg_shape *shape, const char *column)
{
    for (uint16_t i = 0; i < shape->ngenerated; i++)
        if (strcmp(shape->generated[i].name, column) == 0)
            return true;
    return false;
}

bool
tr_pg_shape_computes(const struct tr_pg_shape *shape, const struct tr_column *column)
{
    for (uint16_t i = 0; shape != NULL && column->generation != NULL && i < shape->ngenerated; i++)
        if (strcmp(shape->generated[i].name, column->name) == 0)
            return shape->generated[i].print == print_of(column);
    return false;
}

struct tr_pg_shape *
tr_pg_shape_set(struct tr_pg_apply *apply, struct tr_relation *relation, const struct tr_pg_table *table,
                uint64_t writer)
{
    struct tr_pg_shape *shape = tr_pg_shape_find(apply, relation), fresh = { .id = relation->id };
    if (shape == NULL)
        shape = add(apply, label(relation));
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (column->generated)
            continue;
        struct tr_pg_shape_column described = describe(column, tr_pg_shape_then(shape, relation, column),
                                                       table);
        add_column(&fresh, &described);
    }
    keep_dropped(&fresh, shape, relation, table);
    tr_pg_shape_follow_key(shape, relation);
    if (!shape->keyed || shape->id != relation->id)
        tr_pg_shape_rekey(shape, relation);
    clear_columns(shape);
    shape->id = fresh.id;
    shape->columns = fresh.columns;
    shape->ncolumns = fresh.ncolumns;
    shape->writer = writer;
    tr_pg_shape_seen(shape, relation);
    return shape;
}

static void
json_text(struct tr_buffer *out, const char *text)
{
    tr_buffer_byte(out, '"');
    tr_text_json(out, text, strlen(text));
    tr_buffer_byte(out, '"');
}

static void
shape_json(struct tr_buffer *out, const struct tr_pg_shape *shape)
{
    tr_buffer_printf(out, "{\"id\":%llu,\"to\":[", (unsigned long long)shape->id);
    json_text(out, shape->relation->target_schema);
    tr_buffer_byte(out, ',');
    json_text(out, shape->relation->target_name);
    tr_buffer_text(out, "],\"columns\":[");
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        const struct tr_pg_shape_column *c = &shape->columns[i];
        tr_buffer_printf(out, "%s{\"name\":", i > 0 ? "," : "");
        json_text(out, c->name);
        tr_buffer_text(out, ",\"type\":");
        json_text(out, c->native);
        tr_buffer_printf(
            out,
            ",\"number\":%u,\"target\":%u,\"oid\":%u,\"base\":%u,\"mod\":%d,\"length\":%d,\"precision\":%d,\"scale\":%d,\"kind\":%u,\"dropped\":%s}",
            c->number, c->target, c->type, c->base, c->mod, c->length, c->precision, c->scale, c->kind,
            c->dropped ? "true" : "false");
    }
    tr_buffer_printf(out, "],%s%s", shape->gone ? "\"gone\":true," : "", shape->keyed ? "\"key\":[" : "");
    for (uint16_t i = 0; i < shape->nkey; i++) {
        tr_buffer_text(out, i > 0 ? "," : "");
        json_text(out, shape->key[i]);
    }
    tr_buffer_printf(out, "%s\"generated\":{", shape->keyed ? "]," : "");
    for (uint16_t i = 0; i < shape->ngenerated; i++) {
        tr_buffer_text(out, i > 0 ? "," : "");
        json_text(out, shape->generated[i].name);
        tr_buffer_printf(out, ":\"%016llx\"", (unsigned long long)shape->generated[i].print);
    }
    tr_buffer_text(out, "}}");
}

static void
write_statement(const struct tr_postgres_sink *sink, const struct tr_pg_shape *shape, const char *conflict,
                struct tr_buffer *sql)
{
    struct tr_buffer json;
    tr_buffer_init(&json, SQL_MAX);
    shape_json(&json, shape);
    tr_buffer_text(sql, "INSERT INTO tailrace.relation_shape (task, table_name, shape) VALUES (");
    tr_pg_literal(sql, sink->base.env->task);
    tr_buffer_text(sql, ", ");
    tr_pg_literal(sql, shape->table);
    tr_buffer_text(sql, ", ");
    tr_pg_literal(sql, json.data);
    tr_buffer_printf(sql, ") ON CONFLICT (task, table_name) DO %s", conflict);
    tr_buffer_fini(&json);
}

void
tr_pg_shape_statement(const struct tr_postgres_sink *sink, const struct tr_pg_shape *shape,
                      struct tr_buffer *sql)
{
    write_statement(sink, shape, "UPDATE SET shape = excluded.shape", sql);
}

/* ------------------------------------------------------------------------------------------- over restarts */

enum {
    S_TABLE,
    S_ID,
    S_NAME,
    S_TYPE,
    S_NUMBER,
    S_TARGET,
    S_OID,
    S_BASE,
    S_MOD,
    S_LENGTH,
    S_PRECISION,
    S_SCALE,
    S_KIND,
    S_DROPPED,
    S_GONE
};

static const char load_sql[] =
    "SELECT s.table_name, s.shape->>'id', c->>'name', c->>'type', c->>'number', c->>'target', c->>'oid', c->>'base', c->>'mod',"
    " c->>'length', c->>'precision', c->>'scale', c->>'kind', (c->>'dropped')::bool, s.shape ? 'gone'"
    " FROM tailrace.relation_shape s CROSS JOIN LATERAL jsonb_array_elements(s.shape->'columns') WITH ORDINALITY AS e(c, place)"
    " WHERE s.task = $1 ORDER BY s.table_name COLLATE \"C\", e.place";

static const char load_generated_sql[] =
    "SELECT s.table_name, g.key, g.value FROM tailrace.relation_shape s CROSS JOIN LATERAL jsonb_each_text(s.shape->'generated') g WHERE s.task = $1";

static const char load_keys_sql[] =
    "SELECT s.table_name, k.name FROM tailrace.relation_shape s LEFT JOIN LATERAL jsonb_array_elements_text(s.shape->'key') WITH ORDINALITY k(name, place) ON true"
    " WHERE s.task = $1 AND s.shape ? 'key' ORDER BY s.table_name COLLATE \"C\", k.place";

static long long
number(const PGresult *res, int row, int column)
{
    return strtoll(PQgetvalue(res, row, column), NULL, 10);
}

/* The rows come table by table. */
static void
load_column(struct tr_pg_apply *apply, const PGresult *res, int row)
{
    struct tr_pg_shape *shape = apply->nshapes > 0 ? apply->shapes[apply->nshapes - 1] : NULL;
    if (shape == NULL || strcmp(shape->table, PQgetvalue(res, row, S_TABLE)) != 0)
        shape = add(apply, tr_strdup(PQgetvalue(res, row, S_TABLE)));
    struct tr_pg_shape_column column = {
        .name = PQgetvalue(res, row, S_NAME),
        .native = PQgetvalue(res, row, S_TYPE),
        .type = (uint32_t)number(res, row, S_OID),
        .base = (uint32_t)number(res, row, S_BASE),
        .mod = (int32_t)number(res, row, S_MOD),
        .length = (int32_t)number(res, row, S_LENGTH),
        .precision = (int32_t)number(res, row, S_PRECISION),
        .scale = (int32_t)number(res, row, S_SCALE),
        .kind = (uint32_t)number(res, row, S_KIND),
        .number = (uint16_t)number(res, row, S_NUMBER),
        .target = (uint16_t)number(res, row, S_TARGET),
        .dropped = PQgetvalue(res, row, S_DROPPED)[0] == 't',
    };
    shape->id = strtoull(PQgetvalue(res, row, S_ID), NULL, 10);
    shape->gone = PQgetvalue(res, row, S_GONE)[0] == 't';
    add_column(shape, &column);
}

int
tr_pg_shapes_load(struct tr_postgres_sink *sink, struct tr_error *err)
{
    PGresult *res = NULL;
    const char *params[] = { sink->base.env->task };
    if (!sink->keeps_shapes)
        return 0;
    int rc = tr_pg_ask_params(sink, sink->meta, load_sql, 1, params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++)
        load_column(sink->apply, res, i);
    PQclear(res);
    res = NULL;
    if (rc == 0)
        rc = tr_pg_ask_params(sink, sink->meta, load_generated_sql, 1, params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++) {
        struct tr_pg_shape *shape = find(sink->apply, PQgetvalue(res, i, 0));
        if (shape != NULL)
            add_generated(shape, PQgetvalue(res, i, 1), strtoull(PQgetvalue(res, i, 2), NULL, 16));
    }
    PQclear(res);
    res = NULL;
    if (rc == 0)
        rc = tr_pg_ask_params(sink, sink->meta, load_keys_sql, 1, params, &res, err);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++) {
        struct tr_pg_shape *shape = find(sink->apply, PQgetvalue(res, i, 0));
        if (shape != NULL)
            tr_pg_shape_add_key(shape, PQgetisnull(res, i, 1) ? NULL : PQgetvalue(res, i, 1));
    }
    PQclear(res);
    return rc < 0 ? tr_error_prefix(err, "reading the task's shapes at the target") : 0;
}

/* A table that was loaded keeps the shape that is remembered of it: rows of that shape are in the target. One that is not keeps the mark of who made it (tables.c). */
static const char unless_loaded[] =
    "UPDATE SET shape = excluded.shape || CASE WHEN relation_shape.shape ? 'made' THEN jsonb_build_object('made', relation_shape.shape->'made') ELSE '{}' END"
    " WHERE NOT EXISTS (SELECT FROM tailrace.table_cut t"
    " WHERE t.task = excluded.task AND t.table_name = excluded.table_name AND t.done)";

/* The numbers of the columns at the target, for shapes that were stored without them. */
static const char number_sql[] =
    "UPDATE tailrace.relation_shape s SET shape = jsonb_set(s.shape, '{columns}', n.columns) FROM (SELECT r.table_name,"
    " jsonb_agg(CASE WHEN a.attnum IS NULL THEN c ELSE c || jsonb_build_object('target', a.attnum) END ORDER BY place) AS columns"
    " FROM tailrace.relation_shape r CROSS JOIN LATERAL jsonb_array_elements(r.shape->'columns') WITH ORDINALITY AS e(c, place)"
    " LEFT JOIN pg_namespace m ON m.nspname = r.shape->'to'->>0 LEFT JOIN pg_class t ON t.relnamespace = m.oid AND t.relname = r.shape->'to'->>1"
    " LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = c->>'name' AND a.attnum > 0 AND NOT a.attisdropped"
    " WHERE r.task = $1 GROUP BY r.table_name HAVING bool_or(c->>'target' = '0')) n WHERE s.task = $1 AND s.table_name = n.table_name";

int
tr_pg_prepare_shapes(struct tr_sink *base, const struct tr_schema *schema, struct tr_error *err)
{
    struct tr_postgres_sink *sink = (struct tr_postgres_sink *)base;
    struct tr_buffer sql;
    int rc = tr_pg_state_tables(sink, err);
    if (rc < 0 || !sink->keeps_shapes)
        return rc;
    tr_buffer_init(&sql, SQL_MAX);
    for (uint32_t i = 0; rc == 0 && i < schema->ntables; i++) {
        struct tr_pg_apply memory = { 0 };
        if (!schema->tables[i].relation->skip) {
            struct tr_pg_shape *shape = tr_pg_shape_set(&memory, schema->tables[i].relation, NULL, 0);
            for (uint16_t k = 0; k < schema->tables[i].relation->ncolumns; k++)
                if (schema->tables[i].relation->columns[k].generated)
                    tr_pg_shape_compute(shape, &schema->tables[i].relation->columns[k]);
            write_statement(sink, shape, unless_loaded, &sql);
            tr_buffer_text(&sql, ";\n");
        }
        tr_pg_shapes_free(&memory);
        if (sql.len < SQL_AT_ONCE && i + 1 < schema->ntables)
            continue;
        rc = tr_pg_ask(sink, sink->meta, sql.len > 0 ? sql.data : "", NULL, err);
        tr_buffer_reset(&sql);
    }
    tr_buffer_fini(&sql);
    const char *params[] = { base->env->task };
    if (rc == 0)
        rc = tr_pg_ask_params(sink, sink->meta, number_sql, 1, params, NULL, err);
    return rc < 0 ? tr_error_prefix(err, "remembering the tables' shapes at the target") : 0;
}
