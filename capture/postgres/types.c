/* types.c - the source's types, read once and kept by oid: names, domains resolved, elements, enum labels. */
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"
#include "core/memory.h"
#include "decoders/pgoutput/types.h"

#define DOMAIN_DEPTH_MAX 32

struct tr_postgres_type {
    uint32_t oid;
    char *schema;
    char *name;
    char kind;        /* typtype */
    char category;    /* typcategory */
    uint32_t base;    /* of a domain */
    int32_t base_mod; /* the modifier a domain gives to it */
    uint32_t element; /* of an array, a range, a multirange */
    char **labels;    /* of an enum, in order */
    uint32_t nlabels;
};

/* The types asked for and all that they are made of. Multiranges came with 14. */
static const char types_query[] =
    "WITH RECURSIVE need(oid) AS (SELECT unnest($1::oid[])"
    "  UNION SELECT x.oid FROM need n JOIN pg_type t ON t.oid = n.oid LEFT JOIN pg_range r ON r.rngtypid = t.oid,"
    "    LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype)) x(oid) WHERE x.oid <> 0)"
    " SELECT t.oid, s.nspname, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typtypmod,"
    "  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE coalesce(r.rngsubtype, 0) END"
    "  FROM need n JOIN pg_type t ON t.oid = n.oid JOIN pg_namespace s ON s.oid = t.typnamespace"
    "  LEFT JOIN pg_range r ON r.rngtypid = t.oid ORDER BY t.oid";

static const char types_query_14[] =
    "WITH RECURSIVE need(oid) AS (SELECT unnest($1::oid[])"
    "  UNION SELECT x.oid FROM need n JOIN pg_type t ON t.oid = n.oid"
    "    LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid),"
    "    LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype)) x(oid) WHERE x.oid <> 0)"
    " SELECT t.oid, s.nspname, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typtypmod,"
    "  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE coalesce(r.rngsubtype, 0) END"
    "  FROM need n JOIN pg_type t ON t.oid = n.oid JOIN pg_namespace s ON s.oid = t.typnamespace"
    "  LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid) ORDER BY t.oid";

static const char labels_query[] =
    "SELECT enumtypid, enumlabel FROM pg_enum WHERE enumtypid = ANY ($1::oid[]) ORDER BY enumtypid, enumsortorder";

static int
compare_types(const void *a, const void *b)
{
    uint32_t x = ((const struct tr_postgres_type *)a)->oid, y = ((const struct tr_postgres_type *)b)->oid;
    return x < y ? -1 : x > y;
}

static struct tr_postgres_type *
find_type(const struct tr_postgres_source *source, uint32_t oid)
{
    struct tr_postgres_type key = { .oid = oid };
    if (source->ntypes == 0)
        return NULL;
    return bsearch(&key, source->types, source->ntypes, sizeof key, compare_types);
}

static void
free_labels(struct tr_postgres_type *type)
{
    for (uint32_t i = 0; i < type->nlabels; i++)
        free(type->labels[i]);
    free(type->labels);
    type->labels = NULL;
    type->nlabels = 0;
}

void
tr_postgres_types_free(struct tr_postgres_source *source)
{
    for (size_t i = 0; i < source->ntypes; i++) {
        free(source->types[i].schema);
        free(source->types[i].name);
        free_labels(&source->types[i]);
    }
    free(source->types);
    source->types = NULL;
    source->ntypes = 0;
}

static void
keep_types(struct tr_postgres_source *source, const PGresult *res)
{
    size_t known = source->ntypes;
    source->types = tr_realloc(source->types, (known + (size_t)PQntuples(res) + 1) * sizeof *source->types);
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10);
        struct tr_postgres_type key = { .oid = oid };
        if (known > 0 && bsearch(&key, source->types, known, sizeof key, compare_types) != NULL)
            continue;
        source->types[source->ntypes++] = (struct tr_postgres_type){
            .oid = oid,
            .schema = tr_strdup(PQgetvalue(res, i, 1)),
            .name = tr_strdup(PQgetvalue(res, i, 2)),
            .kind = PQgetvalue(res, i, 3)[0],
            .category = PQgetvalue(res, i, 4)[0],
            .base = (uint32_t)strtoul(PQgetvalue(res, i, 5), NULL, 10),
            .base_mod = (int32_t)strtol(PQgetvalue(res, i, 6), NULL, 10),
            .element = (uint32_t)strtoul(PQgetvalue(res, i, 7), NULL, 10),
        };
    }
    qsort(source->types, source->ntypes, sizeof *source->types, compare_types);
}

/* Rows come type by type, labels in their order. */
static void
keep_labels(struct tr_postgres_source *source, const PGresult *res)
{
    struct tr_postgres_type *type = NULL;
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10);
        if (type == NULL || type->oid != oid) {
            type = find_type(source, oid);
            if (type != NULL)
                free_labels(type);
        }
        if (type == NULL)
            continue;
        type->labels = tr_realloc(type->labels, (type->nlabels + 1) * sizeof *type->labels);
        type->labels[type->nlabels++] = tr_strdup(PQgetvalue(res, i, 1));
    }
}

static bool
need_types(const struct tr_postgres_source *source, const uint32_t *oids, size_t count,
           struct tr_buffer *list)
{
    tr_buffer_text(list, "{");
    for (size_t i = 0; i < count; i++)
        if (find_type(source, oids[i]) == NULL)
            tr_buffer_printf(list, "%s%u", list->len > 1 ? "," : "", oids[i]);
    tr_buffer_text(list, "}");
    return list->len > 2;
}

/* Labels can be added to an enum that is known: they are asked for every time. */
static int
load_labels(struct tr_postgres_source *source, struct tr_error *err)
{
    struct tr_buffer list;
    PGresult *res;
    tr_buffer_init(&list, TR_BUFFER_MAX);
    tr_buffer_text(&list, "{");
    for (size_t i = 0; i < source->ntypes; i++)
        if (source->types[i].kind == 'e')
            tr_buffer_printf(&list, "%s%u", list.len > 1 ? "," : "", source->types[i].oid);
    tr_buffer_text(&list, "}");
    int rc = 0;
    if (list.len > 2) {
        const char *params[] = { list.data };
        rc = tr_postgres_query(source, labels_query, 1, params, &res, err);
        if (rc == 0) {
            keep_labels(source, res);
            PQclear(res);
        }
    }
    tr_buffer_fini(&list);
    return rc;
}

int
tr_postgres_types_load(struct tr_postgres_source *source, const uint32_t *oids, size_t count,
                       struct tr_error *err)
{
    struct tr_buffer list;
    PGresult *res;
    int rc = 0;
    tr_buffer_init(&list, TR_BUFFER_MAX);
    if (need_types(source, oids, count, &list)) {
        const char *params[] = { list.data };
        rc = tr_postgres_query(source, source->server_version >= 140000 ? types_query_14 : types_query, 1,
                               params, &res, err);
        if (rc == 0) {
            keep_types(source, res);
            PQclear(res);
        }
    }
    tr_buffer_fini(&list);
    if (rc == 0)
        rc = load_labels(source, err);
    return rc < 0 ? tr_error_prefix(err, "source: cannot read the types") : 0;
}

/* Down through domains over domains; *mod ends as the modifier that counts. */
static const struct tr_postgres_type *
base_of(const struct tr_postgres_source *source, uint32_t oid, int32_t *mod)
{
    const struct tr_postgres_type *type = find_type(source, oid);
    for (int depth = 0; type != NULL && type->kind == 'd' && depth < DOMAIN_DEPTH_MAX; depth++) {
        if (*mod == -1)
            *mod = type->base_mod;
        type = find_type(source, type->base);
    }
    return type;
}

static void
take_labels(struct tr_arena *arena, struct tr_column *column, const struct tr_postgres_type *type)
{
    const char **labels = tr_arena_alloc(arena, (type->nlabels + 1) * sizeof *labels);
    for (uint32_t i = 0; i < type->nlabels; i++)
        labels[i] = tr_arena_strdup(arena, type->labels[i]);
    column->labels = labels;
    column->nlabels = type->nlabels;
}

/* The modifier of an array's column is its elements'. */
static void
fill_element(struct tr_column *column, int32_t mod)
{
    struct tr_column element = *column;
    element.logical = column->element;
    element.type_mod = mod;
    tr_pg_apply_modifier(&element);
    column->length = element.length;
    column->precision = element.precision;
    column->scale = element.scale;
}

void
tr_postgres_type_fill(const struct tr_postgres_source *source, struct tr_arena *arena,
                      struct tr_column *column)
{
    int32_t mod = column->type_mod, element_mod = -1;
    const struct tr_postgres_type *type = base_of(source, column->type_id, &mod);
    if (type == NULL)
        return; /* dropped since the log was written: what the decoder knows must do */
    column->base_type_id = type->oid;
    column->type_schema = tr_arena_strdup(arena, type->schema);
    column->type_name = tr_arena_strdup(arena, type->name);
    column->logical = tr_pg_logical(type->name, type->kind, type->category);
    const struct tr_postgres_type *element = type->element != 0 ? base_of(source, type->element, &element_mod)
                                                                : NULL;
    if (element != NULL) {
        column->element = tr_pg_logical(element->name, element->kind, element->category);
        column->element_name = tr_arena_strdup(arena, element->name);
    }
    if (type->kind == 'e')
        take_labels(arena, column, type);
    else if (element != NULL && element->kind == 'e' && column->logical == TR_ARRAY)
        take_labels(arena, column, element);
    int32_t own = column->type_mod;
    column->type_mod = mod;
    tr_pg_apply_modifier(column);
    column->type_mod = own;
    if (element != NULL && column->logical == TR_ARRAY)
        fill_element(column, mod >= 0 ? mod : element_mod);
}
