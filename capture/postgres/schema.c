/*
 * schema.c - tables and their columns read into struct tr_schema; the other parts are in schema_keys.c and schema_objects.c.
 *
 * One query per kind of object for all tables together: with ten thousand tables a query for each would take minutes. All text comes from the
 * server's own deparsing (pg_get_expr, format_type) under a search_path of pg_catalog alone, so every name in it is qualified.
 */
#include "capture/postgres/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/schema_internal.h"
#include "core/memory.h"

/* The tables asked for, and below each partitioned root all of its partitions, parents first. */
static const char tables_query[] =
    "WITH wanted AS (SELECT unnest($1::oid[]) AS oid), family AS ("
    " SELECT oid, 0 AS level, NULL::oid AS parent FROM wanted"
    " UNION ALL SELECT p.relid, p.level, p.parentrelid FROM wanted w JOIN pg_class c ON c.oid = w.oid AND c.relkind = 'p'"
    " CROSS JOIN LATERAL pg_partition_tree(w.oid) p WHERE p.level > 0)"
    " SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, f.parent,"
    " CASE WHEN f.parent IS NOT NULL THEN pg_get_expr(c.relpartbound, c.oid) END,"
    " CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,"
    " (SELECT string_agg(o, ', ') FROM (SELECT quote_ident(option_name) || '=' || quote_literal(option_value) FROM pg_options_to_table(c.reloptions)"
    "  UNION ALL SELECT 'toast.' || quote_ident(option_name) || '=' || quote_literal(option_value)"
    "  FROM pg_class t, pg_options_to_table(t.reloptions) WHERE t.oid = c.reltoastrelid) x(o)),"
    " obj_description(c.oid, 'pg_class'), greatest(c.reltuples, 0)::bigint,"
    " CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) ELSE 0 END, am.amname,"
    " CASE WHEN NOT c.relispartition THEN (SELECT string_agg(inhparent::regclass::text, ', ') FROM pg_inherits WHERE inhrelid = c.oid) END,"
    " c.relrowsecurity"
    " FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam"
    " ORDER BY f.level, n.nspname, c.relname";

enum {
    T_OID,
    T_SCHEMA,
    T_NAME,
    T_KIND,
    T_IDENTITY,
    T_PARENT,
    T_BOUND,
    T_PARTKEY,
    T_OPTIONS,
    T_COMMENT,
    T_ROWS,
    T_BYTES,
    T_AM,
    T_INHERITS,
    T_RLS
};

static const char columns_query[] =
    "SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,"
    " pg_get_expr(d.adbin, d.adrelid),"
    " CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END,"
    " CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,"
    " (SELECT string_agg(quote_ident(option_name) || '=' || quote_literal(option_value), ', ') FROM pg_options_to_table(a.attoptions)),"
    " nullif(a.attstattarget, -1), col_description(a.attrelid, a.attnum),"
    " CASE WHEN s.seqrelid IS NOT NULL THEN format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',"
    "  s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END) END,"
    " a.atttypid, a.atttypmod"
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace"
    " LEFT JOIN pg_depend p ON a.attidentity <> '' AND p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass"
    "  AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i'"
    " LEFT JOIN pg_sequence s ON s.seqrelid = p.objid"
    " WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

enum {
    C_TABLE,
    C_NUMBER,
    C_NAME,
    C_TYPE,
    C_NOT_NULL,
    C_IDENTITY,
    C_GENERATED,
    C_DEFAULT,
    C_COLLATION,
    C_STORAGE,
    C_OPTIONS,
    C_STATISTICS,
    C_COMMENT,
    C_SEQUENCE,
    C_TYPE_OID,
    C_TYPE_MOD
};

static const char checks_query[] =
    "SELECT conrelid, conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')"
    " FROM pg_constraint WHERE conrelid = ANY ($1::oid[]) AND contype = 'c' AND convalidated ORDER BY conrelid, conname";

/* ---- helpers */

int
tr_schema_query(struct tr_schema_read *read, const char *sql, PGresult **res)
{
    const char *params[] = { read->oids.data };
    return tr_postgres_query(read->source, sql, 1, params, res, read->err);
}

const char *
tr_schema_peek(const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

const char *
tr_schema_cell(struct tr_schema_read *read, const PGresult *res, int row, int column)
{
    return tr_arena_strdup(&read->schema->arena, tr_schema_peek(res, row, column));
}

uint32_t
tr_schema_oid(const PGresult *res, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(res, row, column), NULL, 10);
}

bool
tr_schema_bool(const PGresult *res, int row, int column)
{
    return PQgetvalue(res, row, column)[0] == 't';
}

static int
compare_oids(const void *a, const void *b)
{
    uint32_t x = ((const struct tr_oid_index *)a)->oid, y = ((const struct tr_oid_index *)b)->oid;
    return x < y ? -1 : x > y;
}

uint32_t
tr_schema_table_of(const struct tr_schema_read *read, uint32_t oid)
{
    struct tr_oid_index key = { .oid = oid };
    const struct tr_oid_index *found = bsearch(&key, read->index, read->schema->ntables, sizeof(key),
                                               compare_oids);
    return found != NULL ? found->table + 1 : 0;
}

void
tr_schema_push(struct tr_object_list *list, const struct tr_object *object)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 4;
        list->items = tr_realloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = *object;
}

void
tr_schema_note(struct tr_schema_read *read, const char *object, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (read->nnotes == read->notes_capacity) {
        read->notes_capacity = read->notes_capacity > 0 ? 2 * read->notes_capacity : 16;
        read->notes = tr_realloc(read->notes, read->notes_capacity * sizeof(*read->notes));
    }
    read->notes[read->nnotes++] = (struct tr_schema_note){
        .object = tr_arena_strdup(&read->schema->arena, object),
        .text = tr_arena_strdup(&read->schema->arena, text)
    };
}

const char *
tr_schema_name_of(struct tr_schema_read *read, uint32_t table)
{
    const struct tr_relation *relation = read->schema->tables[table].relation;
    struct tr_buffer name;
    tr_buffer_init(&name, 1024);
    tr_buffer_printf(&name, "%s.%s", relation->schema, relation->name);
    const char *text = tr_arena_copy(&read->schema->arena, name.data, name.len);
    tr_buffer_fini(&name);
    return text;
}

/* ---- tables */

static struct tr_relation *
listed(const struct tr_relation_list *list, uint32_t oid)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->id == oid)
            return tr_relation_ref(list->items[i]);
    return NULL;
}

/* A partition that stands here for its root's sake: nobody copies or follows it by itself. */
static struct tr_relation *
partition_relation(const PGresult *res, int row)
{
    struct tr_relation *relation = tr_relation_new();
    relation->id = tr_schema_oid(res, row, T_OID);
    relation->schema = tr_arena_strdup(&relation->arena, PQgetvalue(res, row, T_SCHEMA));
    relation->name = tr_arena_strdup(&relation->arena, PQgetvalue(res, row, T_NAME));
    relation->target_schema = relation->schema;
    relation->target_name = relation->name;
    relation->kind = 'l';
    relation->replica_identity = PQgetvalue(res, row, T_IDENTITY)[0];
    relation->skip = true;
    return relation;
}

static void
table_notes(struct tr_schema_read *read, const PGresult *res, int row, uint32_t table)
{
    const char *name = tr_schema_name_of(read, table);
    const char *method = tr_schema_peek(res, row, T_AM);
    const char *inherits = tr_schema_peek(res, row, T_INHERITS);
    if (method != NULL && strcmp(method, "heap") != 0)
        tr_schema_note(read, name, "access method %s is not carried: the target's default is taken", method);
    if (inherits != NULL)
        tr_schema_note(
            read, name,
            "inheritance from %s is not carried: the table is made by itself with all its columns, and a query on the parent does not see its rows",
            inherits);
    if (PQgetvalue(res, row, T_KIND)[0] == 'f')
        tr_schema_note(
            read, name,
            "a partition that is a foreign table is not made: rows of its range find no partition at the target");
    if (tr_schema_bool(res, row, T_RLS))
        tr_schema_note(read, name, "row security is not carried");
}

static void
table_fill(struct tr_schema_read *read, const PGresult *res, int row, uint32_t index)
{
    struct tr_table *table = &read->schema->tables[index];
    table->rows = strtoull(PQgetvalue(res, row, T_ROWS), NULL, 10);
    table->bytes = strtoull(PQgetvalue(res, row, T_BYTES), NULL, 10);
    table->comment = tr_schema_cell(read, res, row, T_COMMENT);
    table->partition_bound = tr_schema_cell(read, res, row, T_BOUND);
    read->index[index] = (struct tr_oid_index){ tr_schema_oid(res, row, T_OID), index };
    table_notes(read, res, row, index);
}

/* pg_partition_tree gives a partition twice when both it and its root were asked for; the first, the one asked for, counts. */
static int
read_tables(struct tr_schema_read *read, const struct tr_relation_list *list, PGresult **res)
{
    int rc = tr_schema_query(read, tables_query, res);
    if (rc < 0)
        return rc;
    int rows = PQntuples(*res);
    struct tr_schema *schema = read->schema;
    schema->tables = tr_arena_zalloc(&schema->arena, ((size_t)rows + 1) * sizeof(*schema->tables));
    read->index = tr_calloc((size_t)rows + 1, sizeof(*read->index));
    read->table_objects = tr_calloc((size_t)rows + 1, sizeof(*read->table_objects));
    size_t next = 0;
    for (int row = 0; row < rows; row++) {
        struct tr_table *table = &schema->tables[row];
        bool asked = PQgetisnull(*res, row, T_PARENT);
        if (asked) /* the list has the same order as a rule */
            table->relation = next < list->count && list->items[next]->id == tr_schema_oid(*res, row, T_OID)
                                  ? tr_relation_ref(list->items[next++])
                                  : listed(list, tr_schema_oid(*res, row, T_OID));
        if (table->relation == NULL)
            table->relation = partition_relation(*res, row);
        schema->ntables++;
        table_fill(read, *res, row, (uint32_t)row);
    }
    qsort(read->index, schema->ntables, sizeof(*read->index), compare_oids);
    for (int row = 0; row < rows; row++)
        if (!PQgetisnull(*res, row, T_PARENT))
            schema->tables[row].parent = tr_schema_table_of(read, tr_schema_oid(*res, row, T_PARENT));
    return 0;
}

static void
collect_oids(struct tr_schema_read *read)
{
    tr_buffer_reset(&read->oids);
    tr_buffer_byte(&read->oids, '{');
    for (uint32_t t = 0; t < read->schema->ntables; t++) {
        tr_buffer_text(&read->oids, t > 0 ? "," : "");
        tr_buffer_uint(&read->oids, read->schema->tables[t].relation->id);
    }
    tr_buffer_byte(&read->oids, '}');
}

/* ---- columns */

static void
column_definition(struct tr_buffer *out, const PGresult *res, int row)
{
    const char *value;
    char identity = PQgetvalue(res, row, C_IDENTITY)[0], generated = PQgetvalue(res, row, C_GENERATED)[0];
    tr_pg_identifier(out, PQgetvalue(res, row, C_NAME));
    tr_buffer_printf(out, " %s", PQgetvalue(res, row, C_TYPE));
    if ((value = tr_schema_peek(res, row, C_COLLATION)) != NULL)
        tr_buffer_printf(out, " COLLATE %s", value);
    value = tr_schema_peek(res, row, C_DEFAULT);
    if (generated != '\0' && value != NULL)
        tr_buffer_printf(out, " GENERATED ALWAYS AS (%s) %s", value, generated == 'v' ? "VIRTUAL" : "STORED");
    else if (identity != '\0')
        tr_buffer_printf(out, " GENERATED %s AS IDENTITY (%s)", identity == 'a' ? "ALWAYS" : "BY DEFAULT",
                         PQgetvalue(res, row, C_SEQUENCE));
    else if (value != NULL)
        tr_buffer_printf(out, " DEFAULT %s", value);
    if (tr_schema_bool(res, row, C_NOT_NULL))
        tr_buffer_text(out, " NOT NULL");
}

static void
alter_action(struct tr_buffer *out, const char *column, const char *fmt, const char *value)
{
    if (value == NULL)
        return;
    tr_buffer_text(out, out->len > 0 ? ", ALTER COLUMN " : "ALTER COLUMN ");
    tr_pg_identifier(out, column);
    tr_buffer_printf(out, " SET %s%s%s", fmt, value, fmt[0] == '(' ? ")" : "");
}

/* The shape of a partition that only stands for its root: names and types, as far as a dialect's comparison needs them. */
static void
partition_columns(struct tr_relation *relation, const PGresult *res, int first, int end)
{
    struct tr_column *columns = tr_arena_zalloc(&relation->arena,
                                                (size_t)(end - first + 1) * sizeof(*columns));
    for (int row = first; row < end; row++) {
        struct tr_column *column = &columns[row - first];
        column->name = tr_arena_strdup(&relation->arena, PQgetvalue(res, row, C_NAME));
        column->native = tr_arena_strdup(&relation->arena, PQgetvalue(res, row, C_TYPE));
        column->type_name = column->native;
        column->type_id = column->base_type_id = tr_schema_oid(res, row, C_TYPE_OID);
        column->type_mod = (int32_t)strtol(PQgetvalue(res, row, C_TYPE_MOD), NULL, 10);
        column->length = column->precision = column->scale = -1;
        column->number = (uint16_t)strtoul(PQgetvalue(res, row, C_NUMBER), NULL, 10);
        column->not_null = tr_schema_bool(res, row, C_NOT_NULL);
        column->generated = PQgetvalue(res, row, C_GENERATED)[0] != '\0';
        column->identity_always = PQgetvalue(res, row, C_IDENTITY)[0] == 'a';
    }
    relation->columns = columns;
    relation->ncolumns = (uint16_t)(end - first);
    tr_relation_index_keys(relation);
}

/* Columns that are not published (a column list) are not made: nothing would fill them. Generated ones the target computes by itself. */
static bool
column_taken(const struct tr_relation *relation, const PGresult *res, int row, int *index)
{
    *index = tr_relation_column(relation, PQgetvalue(res, row, C_NAME));
    return *index >= 0 || PQgetvalue(res, row, C_GENERATED)[0] != '\0';
}

struct table_text {
    struct tr_buffer create; /* "(columns, checks" */
    struct tr_buffer alter;
};

/* Neither the log nor the relation has it: enough of it that another engine may compute it too. */
static void
add_computed(struct tr_schema_read *read, struct tr_table *table, const PGresult *res, int row, int end)
{
    struct tr_arena *arena = &read->schema->arena;
    struct tr_column *columns = (struct tr_column *)(uintptr_t)table->computed;
    if (columns == NULL)
        columns = tr_arena_zalloc(arena, (size_t)(end - row) * sizeof(*columns));
    struct tr_column *column = &columns[table->ncomputed++];
    *column = (struct tr_column){
        .length = -1, .precision = -1, .scale = -1, .generated = true, .logged = TR_LOGGED_NEVER
    };
    column->name = tr_schema_cell(read, res, row, C_NAME);
    column->native = tr_schema_cell(read, res, row, C_TYPE);
    column->type_id = column->base_type_id = tr_schema_oid(res, row, C_TYPE_OID);
    column->type_mod = (int32_t)strtol(PQgetvalue(res, row, C_TYPE_MOD), NULL, 10);
    column->default_expression = tr_schema_cell(read, res, row, C_DEFAULT);
    tr_postgres_type_fill(read->source, arena, column);
    table->computed = columns;
}

static void
table_columns(struct tr_schema_read *read, struct tr_table *table, struct table_text *text,
              const PGresult *res, int first, int end)
{
    const char **comments = NULL;
    for (int row = first; row < end; row++) {
        int index;
        const char *name = PQgetvalue(res, row, C_NAME), *comment = tr_schema_cell(read, res, row, C_COMMENT);
        if (!column_taken(table->relation, res, row, &index))
            continue;
        if (table->parent == 0) {
            tr_buffer_text(&text->create, text->create.len > 0 ? ",\n    " : "(\n    ");
            column_definition(&text->create, res, row);
            alter_action(&text->alter, name, "STORAGE ", tr_schema_peek(res, row, C_STORAGE));
            alter_action(&text->alter, name, "(", tr_schema_peek(res, row, C_OPTIONS));
            alter_action(&text->alter, name, "STATISTICS ", tr_schema_peek(res, row, C_STATISTICS));
        }
        if (index < 0 && table->parent == 0)
            add_computed(read, table, res, row, end);
        if (comment == NULL || index < 0)
            continue;
        if (comments == NULL)
            comments = tr_arena_zalloc(&read->schema->arena, table->relation->ncolumns * sizeof(*comments));
        comments[index] = comment;
    }
    table->column_comments = comments;
}

/* Checks stand inside the table's text, but for those that a partition has from its parent. */
static void
table_checks(struct tr_schema_read *read, struct tr_table *table, struct table_text *text,
             const PGresult *res, int first, int end)
{
    for (int row = first; row < end && table->parent == 0; row++) {
        struct tr_object object = { .kind = TR_OBJECT_CHECK, .is_constraint = true, .in_create = true };
        object.schema = table->relation->schema;
        object.name = tr_schema_cell(read, res, row, 1);
        object.native = object.expression = tr_schema_cell(read, res, row, 2);
        object.comment = tr_schema_cell(read, res, row, 3);
        tr_buffer_text(&text->create, text->create.len > 0 ? ",\n    CONSTRAINT " : "(\n    CONSTRAINT ");
        tr_pg_identifier(&text->create, object.name);
        tr_buffer_printf(&text->create, " %s", object.native);
        tr_schema_push(&read->table_objects[table - read->schema->tables], &object);
    }
}

static void
table_tail(struct tr_schema_read *read, struct tr_table *table, struct table_text *text,
           const PGresult *tables, int row)
{
    struct tr_arena *arena = &read->schema->arena;
    struct tr_buffer *out = &text->create;
    const char *partkey = tr_schema_peek(tables, row, T_PARTKEY),
               *options = tr_schema_peek(tables, row, T_OPTIONS);
    char identity = PQgetvalue(tables, row, T_IDENTITY)[0];
    if (table->parent == 0)
        tr_buffer_text(out, out->len > 0 ? "\n)" : "()");
    if (partkey != NULL)
        tr_buffer_printf(out, "%sPARTITION BY %s", out->len > 0 ? " " : "", partkey);
    if (options != NULL)
        tr_buffer_printf(out, "%sWITH (%s)", out->len > 0 ? " " : "", options);
    if (identity == 'f' || identity == 'n')
        tr_buffer_printf(&text->alter, "%sREPLICA IDENTITY %s", text->alter.len > 0 ? ", " : "",
                         identity == 'f' ? "FULL" : "NOTHING");
    table->create = tr_arena_copy(arena, out->len > 0 ? out->data : "", out->len);
    if (text->alter.len > 0)
        table->alter = tr_arena_copy(arena, text->alter.data, text->alter.len);
}

/* The rows of each table are together in all three results, in the order of oids: one pass over them. */
static int
read_columns(struct tr_schema_read *read, const PGresult *tables)
{
    PGresult *columns = NULL, *checks = NULL;
    struct table_text text;
    int rc = tr_schema_query(read, columns_query, &columns);
    if (rc == 0)
        rc = tr_schema_query(read, checks_query, &checks);
    tr_buffer_init(&text.create, TR_BUFFER_MAX);
    tr_buffer_init(&text.alter, TR_BUFFER_MAX);
    for (uint32_t i = 0, c = 0, k = 0; rc == 0 && i < read->schema->ntables; i++) {
        uint32_t oid = read->index[i].oid, c_end = c, k_end;
        struct tr_table *table = &read->schema->tables[read->index[i].table];
        tr_buffer_reset(&text.create);
        tr_buffer_reset(&text.alter);
        while ((int)c_end < PQntuples(columns) && tr_schema_oid(columns, (int)c_end, C_TABLE) == oid)
            c_end++;
        if (table->relation->skip && table->relation->columns == NULL)
            partition_columns(table->relation, columns, (int)c, (int)c_end);
        table_columns(read, table, &text, columns, (int)c, (int)c_end);
        for (k_end = k; (int)k_end < PQntuples(checks) && tr_schema_oid(checks, (int)k_end, 0) == oid;)
            k_end++;
        table_checks(read, table, &text, checks, (int)k, (int)k_end);
        table_tail(read, table, &text, tables, (int)read->index[i].table);
        c = c_end;
        k = k_end;
    }
    tr_buffer_fini(&text.create);
    tr_buffer_fini(&text.alter);
    PQclear(columns);
    PQclear(checks);
    return rc;
}

/* ---- the whole */

/* Lists become arrays of the schema's arena. */
static void
settle(struct tr_schema_read *read)
{
    struct tr_schema *schema = read->schema;
    schema->objects = (const struct tr_object *)tr_arena_copy(&schema->arena, read->objects.items,
                                                              read->objects.count * sizeof(struct tr_object));
    schema->nobjects = read->objects.count;
    schema->notes = (const struct tr_schema_note *)tr_arena_copy(&schema->arena, read->notes,
                                                                 read->nnotes * sizeof(*read->notes));
    schema->nnotes = read->nnotes;
    for (uint32_t t = 0; t < schema->ntables; t++) {
        struct tr_object_list *list = &read->table_objects[t];
        schema->tables[t].objects = (const struct tr_object *)tr_arena_copy(
            &schema->arena, list->items, list->count * sizeof(struct tr_object));
        schema->tables[t].nobjects = list->count;
    }
}

static int
read_all(struct tr_schema_read *read, const struct tr_relation_list *list)
{
    static int (*const steps[])(struct tr_schema_read *) = {
        tr_schema_read_schemas, tr_schema_read_extensions,  tr_schema_read_required,
        tr_schema_read_types,   tr_schema_read_sequences,   tr_schema_read_constraints,
        tr_schema_read_indexes, tr_schema_read_not_carried,
    };
    PGresult *tables = NULL;
    int rc = read_tables(read, list, &tables);
    if (rc == 0) {
        collect_oids(read);
        rc = read_columns(read, tables);
    }
    PQclear(tables);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++)
        rc = steps[i](read);
    return rc;
}

static void
read_fini(struct tr_schema_read *read)
{
    for (uint32_t t = 0; read->table_objects != NULL && t < read->schema->ntables; t++)
        free(read->table_objects[t].items);
    free(read->table_objects);
    free(read->objects.items);
    free(read->notes);
    free(read->index);
    tr_buffer_fini(&read->oids);
}

int
tr_postgres_schema(struct tr_source *base, struct tr_schema **schema, struct tr_error *err)
{
    struct tr_schema_read read = { .source = tr_postgres(base), .err = err };
    struct tr_relation_list list = { 0 };
    *schema = NULL;
    int rc = tr_postgres_relations(base, &list, err);
    if (rc < 0)
        return rc;
    read.schema = tr_schema_new("postgresql");
    tr_buffer_init(&read.oids, (size_t)64 << 20);
    tr_buffer_byte(&read.oids, '{');
    for (size_t i = 0; i < list.count; i++)
        tr_buffer_printf(&read.oids, "%s%llu", i > 0 ? "," : "", (unsigned long long)list.items[i]->id);
    tr_buffer_byte(&read.oids, '}');
    rc = read_all(&read, &list);
    if (rc == 0)
        settle(&read);
    read_fini(&read);
    tr_relation_list_free(&list);
    if (rc < 0) {
        tr_schema_free(read.schema);
        return tr_error_prefix(err, "reading the source's catalogue");
    }
    *schema = read.schema;
    return 0;
}
