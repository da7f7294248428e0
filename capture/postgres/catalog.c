/*
 * catalog.c - tables and their columns from the catalogue: all of the task's at once (relations), or one that the log named (complete).
 *
 * The log tells a relation's columns, types and replica identity as they were; the catalogue tells the rest as it is now. So what the log
 * said is never overwritten, and a column that the catalogue has no more keeps what is known of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/attributes.h"
#include "capture/postgres/internal.h"
#include "core/memory.h"

/* ---------------------------------------------------------------------------------------------------- which tables */

/* Extensions bring their own tables with them, and the schema tailrace holds the state of tasks whose target this server is. */
static const char tables_query[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, c.relpersistence,"
    "  CASE WHEN c.relispartition THEN (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid) END,"
    "  EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND x.indimmediate)"
    "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND left(n.nspname, 3) <> 'pg_'"
    "   AND n.nspname NOT IN ('information_schema', 'tailrace')"
    "   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
    " ORDER BY n.nspname, c.relname";

enum { T_OID, T_SCHEMA, T_NAME, T_KIND, T_IDENTITY, T_PERSISTENCE, T_PARENT, T_KEY };

struct candidate {
    uint32_t oid, parent;
    int row;
    bool wanted; /* by its own name */
};

static int
compare_candidates(const void *a, const void *b)
{
    uint32_t x = ((const struct candidate *)a)->oid, y = ((const struct candidate *)b)->oid;
    return x < y ? -1 : x > y;
}

static uint32_t
oid_cell(const PGresult *res, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(res, row, column), NULL, 10);
}

/* Is one of the partitioned tables above it wanted? */
static bool
ancestor_wanted(const struct candidate *all, size_t count, uint32_t parent)
{
    for (int depth = 0; parent != 0 && depth < 64; depth++) {
        struct candidate key = { .oid = parent };
        const struct candidate *above = bsearch(&key, all, count, sizeof key, compare_candidates);
        if (above == NULL)
            return false;
        if (above->wanted)
            return true;
        parent = above->parent;
    }
    return false;
}

/* Roots and leaves are never both taken: rows would come twice (B10). 0 = not taken, else the relation's kind. */
static char
taken_as(const struct candidate *all, size_t count, const struct candidate *one, char relkind, bool via_root)
{
    bool above = ancestor_wanted(all, count, one->parent);
    if (via_root) {
        if (!one->wanted || above)
            return 0;
        return relkind == 'p' ? 'p' : one->parent != 0 ? 'l' : 'r';
    }
    if (relkind == 'p' || !(one->wanted || above))
        return 0;
    return one->parent != 0 ? 'l' : 'r';
}

static void
choose_tables(struct tr_postgres_source *source, const PGresult *res, bool via_root,
              struct tr_postgres_table *tables, size_t *count)
{
    const struct tr_table_filter *filter = &source->base.env->filter;
    size_t rows = (size_t)PQntuples(res);
    struct candidate *all = tr_calloc(rows + 1, sizeof *all);
    for (size_t i = 0; i < rows; i++) {
        int row = (int)i;
        all[i] = (struct candidate){ oid_cell(res, row, T_OID), oid_cell(res, row, T_PARENT), row, false };
        all[i].wanted = filter->wants == NULL || filter->wants(filter->arg, PQgetvalue(res, row, T_SCHEMA),
                                                               PQgetvalue(res, row, T_NAME));
    }
    struct candidate *sorted = tr_calloc(rows + 1, sizeof *sorted);
    memcpy(sorted, all, rows * sizeof *all);
    qsort(sorted, rows, sizeof *sorted, compare_candidates);
    for (size_t i = 0; i < rows; i++) {
        int row = all[i].row;
        char kind = taken_as(sorted, rows, &all[i], PQgetvalue(res, row, T_KIND)[0], via_root);
        if (kind == 0)
            continue;
        if (PQgetvalue(res, row, T_PERSISTENCE)[0] == 'u') {
            if (!source->told_unlogged)
                tr_log(source->base.env->log, TR_LOG_WARNING, "capture",
                       "table %s.%s is unlogged: its changes are in no log, it is left out",
                       PQgetvalue(res, row, T_SCHEMA), PQgetvalue(res, row, T_NAME));
            continue;
        }
        struct tr_postgres_table *table = &tables[(*count)++];
        *table = (struct tr_postgres_table){ .oid = all[i].oid, .kind = kind };
        table->identity = PQgetvalue(res, row, T_IDENTITY)[0];
        table->has_key = PQgetvalue(res, row, T_KEY)[0] == 't';
        snprintf(table->schema, sizeof table->schema, "%s", PQgetvalue(res, row, T_SCHEMA));
        snprintf(table->name, sizeof table->name, "%s", PQgetvalue(res, row, T_NAME));
    }
    source->told_unlogged = true;
    free(sorted);
    free(all);
}

int
tr_postgres_tables(struct tr_postgres_source *source, struct tr_postgres_table **tables, size_t *count,
                   struct tr_error *err)
{
    struct tr_postgres_publication publication;
    PGresult *res;
    *tables = NULL;
    *count = 0;
    int rc = tr_postgres_publication_look(source, &publication, err);
    if (rc == 0)
        rc = tr_postgres_query(source, tables_query, 0, NULL, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the list of tables");
    *tables = tr_calloc((size_t)PQntuples(res) + 1, sizeof **tables);
    choose_tables(source, res, !publication.exists || publication.via_root, *tables, count);
    PQclear(res);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- columns */

/*
 * $1 the tables' oids, $2 the publication whose column lists count (prattrs came with 15), $3 whether dropped columns and what older rows hold are told, too.
 *
 * What a column gave the rows that were there when it was added stays in the catalogue until the table is rewritten (attmissingval); of a partitioned table its leaves
 * have it. Without it, the column came with no value at all if the table has not been rewritten since: its file is its first one, or a column that is older still has its.
 */
static const char columns_query[] =
    "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated,"
    "  a.attidentity, pg_get_expr(d.adbin, d.adrelid),"
    "  CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN co.collname END,"
    "  array_position(pk.indkey::int2[], a.attnum) + 1, pk.indnkeyatts,"
    "  CASE c.relreplident WHEN 'f' THEN true WHEN 'n' THEN false"
    "    WHEN 'i' THEN coalesce(array_position(ri.indkey::int2[], a.attnum) < ri.indnkeyatts, false)"
    "    ELSE pk.indimmediate AND coalesce(array_position(pk.indkey::int2[], a.attnum) < pk.indnkeyatts, false) END,"
    "  c.relreplident, c.relkind, c.relispartition, a.attisdropped, %s,"
    "  CASE WHEN array_position(uk.indkey::int2[], a.attnum) < uk.indnkeyatts THEN array_position(uk.indkey::int2[], a.attnum) + 1 END,"
    "  CASE WHEN NOT $3::bool THEN NULL WHEN a.atthasmissing THEN array_to_string(a.attmissingval, '')"
    "    WHEN c.relkind = 'p' THEN (SELECT CASE WHEN min(x.v) = max(x.v) THEN min(x.v) END"
    "      FROM (SELECT array_to_string(l.attmissingval, '') COLLATE \"C\" AS v FROM pg_partition_tree(c.oid) p"
    "        JOIN pg_attribute l ON l.attrelid = p.relid AND l.attname = a.attname WHERE l.atthasmissing) x) END,"
    "  $3::bool AND c.relkind = 'r' AND NOT a.atthasmissing AND (c.relfilenode = c.oid OR EXISTS (SELECT FROM pg_attribute o"
    "    WHERE o.attrelid = a.attrelid AND o.attnum > 0 AND o.attnum < a.attnum AND o.atthasmissing))"
    "  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_type t ON t.oid = a.atttypid"
    "  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    "  LEFT JOIN pg_collation co ON co.oid = a.attcollation"
    "  LEFT JOIN pg_index pk ON pk.indrelid = a.attrelid AND pk.indisprimary"
    "  LEFT JOIN pg_index ri ON ri.indrelid = a.attrelid AND ri.indisreplident"
    "  LEFT JOIN LATERAL (SELECT x.indkey, x.indnkeyatts FROM pg_index x JOIN pg_class xc ON xc.oid = x.indexrelid"
    "    WHERE x.indrelid = a.attrelid AND pk.indexrelid IS NULL AND x.indisunique AND x.indisvalid AND x.indimmediate"
    "      AND x.indpred IS NULL AND x.indexprs IS NULL ORDER BY xc.relname LIMIT 1) uk ON true"
    "  LEFT JOIN pg_publication p ON p.pubname = $2"
    "  LEFT JOIN pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = a.attrelid"
    " WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND ($3::bool OR NOT a.attisdropped) ORDER BY a.attrelid, a.attnum";

enum {
    C_TABLE,
    C_NUMBER,
    C_NAME,
    C_TYPE,
    C_MOD,
    C_NATIVE,
    C_NOT_NULL,
    C_GENERATED,
    C_IDENTITY,
    C_DEFAULT,
    C_COLLATION,
    C_KEY,
    C_NKEYS,
    C_REPLICA,
    C_REPLIDENT,
    C_KIND,
    C_PARTITION,
    C_DROPPED,
    C_PUBLISHED,
    C_UNIQUE,
    C_OLDER_VALUE,
    C_OLDER_NULL
};

/* Does the log carry the column? Generated ones since 18, when the publication says so: ours will. */
static const char *
published_expression(int version)
{
    if (version >= 180000)
        return "CASE WHEN pr.prattrs IS NOT NULL THEN a.attnum = ANY (pr.prattrs::int2[])"
               " WHEN a.attgenerated = 's' THEN p.oid IS NULL OR p.pubgencols = 's' ELSE a.attgenerated = '' END";
    if (version >= 150000)
        return "a.attgenerated = '' AND (pr.prattrs IS NULL OR a.attnum = ANY (pr.prattrs::int2[]))";
    return "a.attgenerated = ''";
}

static int
query_columns(struct tr_postgres_source *source, const char *oids, bool dropped, PGresult **res,
              struct tr_error *err)
{
    const char *params[] = { oids, source->publication, dropped ? "t" : "f" };
    struct tr_buffer sql;
    tr_buffer_init(&sql, 16384);
    tr_buffer_printf(&sql, columns_query, published_expression(source->server_version));
    int rc = tr_postgres_query(source, sql.data, 3, params, res, err);
    tr_buffer_fini(&sql);
    return rc;
}

static const char *
text_cell(struct tr_arena *arena, const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column) ? NULL : tr_arena_strdup(arena, PQgetvalue(res, row, column));
}

/* What only the catalogue knows of a column. The primary key's INCLUDE columns are not part of it. */
static void
fill_from_catalog(struct tr_arena *arena, struct tr_column *column, const PGresult *res, int row)
{
    char generated = PQgetvalue(res, row, C_GENERATED)[0], identity = PQgetvalue(res, row, C_IDENTITY)[0];
    uint32_t key = oid_cell(res, row, C_KEY);
    const char *expression = text_cell(arena, res, row, C_DEFAULT);
    column->number = (uint16_t)oid_cell(res, row, C_NUMBER);
    column->not_null = PQgetvalue(res, row, C_NOT_NULL)[0] == 't';
    column->generated = generated != '\0';
    column->identity_always = identity == 'a';
    column->auto_increment = identity != '\0' || (expression != NULL && !column->generated &&
                                                  strncmp(expression, "nextval(", 8) == 0);
    column->default_expression = expression;
    column->older_value = text_cell(arena, res, row, C_OLDER_VALUE);
    column->older = column->older_value != NULL                    ? TR_OLDER_VALUE
                    : PQgetvalue(res, row, C_OLDER_NULL)[0] == 't' ? TR_OLDER_NULL
                                                                   : TR_OLDER_UNKNOWN;
    column->collation = text_cell(arena, res, row, C_COLLATION);
    column->unique = (uint16_t)oid_cell(res, row, C_UNIQUE);
    column->key = key > 0 && key <= oid_cell(res, row, C_NKEYS) ? (uint16_t)key : 0;
}

static void
blank_column(struct tr_column *column)
{
    *column = (struct tr_column){ .length = -1, .precision = -1, .scale = -1, .type_mod = -1 };
}

/* Rows first..end-1 are the columns of one table. */
static struct tr_relation *
build_relation(struct tr_postgres_source *source, const struct tr_postgres_table *table, const PGresult *res,
               int first, int end)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_arena *arena = &relation->arena;
    struct tr_column *columns = tr_arena_zalloc(arena, (size_t)(end - first + 1) * sizeof *columns);
    uint16_t n = 0, identity = 0;
    for (int row = first; row < end; row++) {
        if (PQgetvalue(res, row, C_PUBLISHED)[0] != 't')
            continue;
        struct tr_column *column = &columns[n++];
        blank_column(column);
        column->name = text_cell(arena, res, row, C_NAME);
        column->native = text_cell(arena, res, row, C_NATIVE);
        column->type_id = column->base_type_id = oid_cell(res, row, C_TYPE);
        column->type_mod = (int32_t)strtol(PQgetvalue(res, row, C_MOD), NULL, 10);
        column->identity = PQgetvalue(res, row, C_REPLICA)[0] == 't' ? ++identity
                                                                     : 0; /* counted as the log's flags are */
        fill_from_catalog(arena, column, res, row);
        tr_postgres_type_fill(source, arena, column);
    }
    relation->id = table->oid;
    relation->database = tr_arena_strdup(arena, source->database);
    relation->schema = relation->target_schema = tr_arena_strdup(arena, table->schema);
    relation->name = relation->target_name = tr_arena_strdup(arena, table->name);
    relation->kind = table->kind;
    relation->replica_identity = table->identity;
    relation->version = 1;
    relation->codec = &tr_pg_codec;
    relation->columns = columns;
    relation->ncolumns = n;
    tr_relation_index_keys(relation);
    return relation;
}

static int
load_column_types(struct tr_postgres_source *source, const PGresult *res, struct tr_error *err)
{
    size_t n = (size_t)PQntuples(res);
    uint32_t *oids = tr_calloc(n + 1, sizeof *oids);
    for (size_t i = 0; i < n; i++)
        oids[i] = oid_cell(res, (int)i, C_TYPE);
    int rc = tr_postgres_types_load(source, oids, n, err);
    free(oids);
    return rc;
}

/* ------------------------------------------------------------------------------------------------------- relations */

struct by_oid {
    uint32_t oid;
    int first, end;
};

static int
compare_by_oid(const void *a, const void *b)
{
    uint32_t x = ((const struct by_oid *)a)->oid, y = ((const struct by_oid *)b)->oid;
    return x < y ? -1 : x > y;
}

/* The rows come ordered by table: where each begins and ends. */
static size_t
index_rows(const PGresult *res, struct by_oid *index)
{
    size_t n = 0;
    for (int row = 0; row < PQntuples(res); row++) {
        uint32_t oid = oid_cell(res, row, C_TABLE);
        if (n == 0 || index[n - 1].oid != oid)
            index[n++] = (struct by_oid){ oid, row, row };
        index[n - 1].end = row + 1;
    }
    return n;
}

static void
build_list(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
           const PGresult *res, struct tr_relation_list *list)
{
    struct by_oid *index = tr_calloc((size_t)PQntuples(res) + 1, sizeof *index);
    size_t n = index_rows(res, index);
    list->items = tr_calloc(count + 1, sizeof *list->items);
    for (size_t i = 0; i < count; i++) {
        struct by_oid key = { .oid = tables[i].oid };
        const struct by_oid *rows = n > 0 ? bsearch(&key, index, n, sizeof key, compare_by_oid) : NULL;
        list->items[list->count++] = build_relation(source, &tables[i], res, rows != NULL ? rows->first : 0,
                                                    rows != NULL ? rows->end : 0);
    }
    free(index);
}

int
tr_postgres_relations(struct tr_source *base, struct tr_relation_list *list, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_postgres_table *tables;
    size_t count;
    PGresult *res;
    *list = (struct tr_relation_list){ 0 };
    int rc = tr_postgres_tables(source, &tables, &count, err);
    if (rc < 0)
        return rc;
    struct tr_buffer oids;
    tr_buffer_init(&oids, TR_BUFFER_MAX);
    for (size_t i = 0; i < count; i++)
        tr_buffer_printf(&oids, "%c%u", i == 0 ? '{' : ',', tables[i].oid);
    tr_buffer_text(&oids, count == 0 ? "{}" : "}");
    rc = query_columns(source, oids.data, false, &res, err);
    tr_buffer_fini(&oids);
    if (rc == 0) {
        rc = load_column_types(source, res, err);
        if (rc == 0)
            build_list(source, tables, count, res, list);
        PQclear(res);
    } else {
        tr_error_prefix(err, "source: cannot read the tables' columns");
    }
    free(tables);
    return rc;
}

/* -------------------------------------------------------------------------------------------------------- complete */

/* A type that the catalogue's column does not have any more (the table was altered later in the log). */
static const char *
spell_type(struct tr_postgres_source *source, struct tr_arena *arena, const struct tr_column *column)
{
    char oid[16], mod[16];
    const char *params[] = { oid, mod };
    struct tr_error ignored;
    PGresult *res;
    snprintf(oid, sizeof oid, "%u", column->type_id);
    snprintf(mod, sizeof mod, "%d", column->type_mod);
    if (tr_postgres_query(source, "SELECT format_type(oid, $2::int) FROM pg_type WHERE oid = $1::oid", 2,
                          params, &res, &ignored) < 0)
        return column->native;
    const char *native = PQntuples(res) == 1 ? text_cell(arena, res, 0, 0) : column->native;
    PQclear(res);
    return native;
}

/* May a default of today's type be one of the type that the log tells? Within these families the text of a constant suits all. */
static bool
default_suits(uint32_t now, uint32_t then)
{
    static const struct {
        uint32_t type;
        int family;
    } known[] = { { 21, 1 }, { 23, 1 }, { 20, 1 }, { 1700, 1 }, { 25, 2 }, { 1043, 2 }, { 1042, 2 } };
    int families[2] = { 0, -1 };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == now)
            families[0] = known[i].family;
        if (known[i].type == then)
            families[1] = known[i].family;
    }
    return now == then || families[0] == families[1];
}

static void
complete_column(struct tr_postgres_source *source, struct tr_relation *relation, struct tr_column *column,
                const PGresult *res, int row)
{
    struct tr_arena *arena = &relation->arena;
    bool live = row >= 0 && PQgetvalue(res, row, C_DROPPED)[0] != 't';
    tr_postgres_type_fill(source, arena, column);
    if (live)
        fill_from_catalog(arena, column, res, row);
    else if (row >= 0)
        column->number = (uint16_t)oid_cell(res, row, C_NUMBER);
    if (live && oid_cell(res, row, C_TYPE) == column->type_id &&
        (int32_t)strtol(PQgetvalue(res, row, C_MOD), NULL, 10) == column->type_mod)
        column->native = text_cell(arena, res, row, C_NATIVE);
    else
        column->native = spell_type(source, arena, column);
    if (!live || default_suits(oid_cell(res, row, C_TYPE), column->type_id))
        return;
    column->default_unknown = column->default_expression != NULL || column->older_value != NULL;
    column->default_expression = column->older_value = NULL;
    if (column->older == TR_OLDER_VALUE)
        column->older = TR_OLDER_UNKNOWN;
}

/* The columns of the log may have been renamed or dropped since: found by their place among all that ever were. */
static void
complete_columns(struct tr_postgres_source *source, struct tr_relation *relation, struct tr_column *columns,
                 const PGresult *res)
{
    size_t m = (size_t)PQntuples(res);
    struct tr_postgres_attribute *attributes = tr_calloc(m + 1, sizeof *attributes);
    const char **names = tr_calloc(relation->ncolumns + 1u, sizeof *names);
    int *place = tr_calloc(relation->ncolumns + 1u, sizeof *place);
    for (size_t i = 0; i < m; i++) {
        bool dropped = PQgetvalue(res, (int)i, C_DROPPED)[0] == 't';
        attributes[i].name = dropped ? NULL : PQgetvalue(res, (int)i, C_NAME);
        attributes[i].optional = dropped || PQgetvalue(res, (int)i, C_PUBLISHED)[0] != 't';
    }
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        names[i] = columns[i].name;
    tr_postgres_align(names, relation->ncolumns, attributes, m, place);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        complete_column(source, relation, &columns[i], res, place[i]);
    free(place);
    free(names);
    free(attributes);
}

static int
load_relation_types(struct tr_postgres_source *source, const struct tr_relation *relation,
                    struct tr_error *err)
{
    uint32_t *oids = tr_calloc((size_t)relation->ncolumns + 1, sizeof *oids);
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        oids[i] = relation->columns[i].type_id;
    int rc = tr_postgres_types_load(source, oids, relation->ncolumns, err);
    free(oids);
    return rc;
}

/* The log calls tables by their names; that one has got another is told by its number alone. */
static void
note_name(struct tr_postgres_source *source, const struct tr_relation *relation)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    const struct tr_table_filter *filter = &source->base.env->filter;
    size_t i = 0;
    while (i < source->nnamed && source->named[i].oid != (uint32_t)relation->id)
        i++;
    if (i == source->nnamed) {
        source->named = tr_realloc(source->named, (source->nnamed + 1) * sizeof *source->named);
        source->named[source->nnamed++] = (struct tr_postgres_named){ (uint32_t)relation->id, name };
        return;
    }
    if (strcmp(source->named[i].name, name) != 0) {
        bool wanted = filter->wants == NULL || filter->wants(filter->arg, relation->schema, relation->name);
        tr_log(
            source->base.env->log, TR_LOG_WARNING, "capture",
            wanted
                ? "the source renamed table %s to %s: it is taken for a new one and loaded; the target's old one stays as it is"
                : "the source renamed table %s to %s, which is no table of the task: its changes do not reach the target any more",
            source->named[i].name, name);
    }
    free(source->named[i].name);
    source->named[i].name = name;
}

int
tr_postgres_complete(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_postgres_source *source = arg;
    struct tr_column *columns = (struct tr_column *)
                                    relation->columns; /* still the caller's alone: nobody has seen it */
    char oids[32];
    PGresult *res;
    note_name(source, relation);
    snprintf(oids, sizeof oids, "{%u}", (unsigned)relation->id);
    int rc = query_columns(source, oids, true, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the catalogue for table %s.%s", relation->schema,
                               relation->name);
    rc = load_relation_types(source, relation, err);
    if (rc == 0)
        complete_columns(source, relation, columns, res);
    relation->database = tr_arena_strdup(&relation->arena, source->database);
    relation->kind = 'r';
    if (PQntuples(res) > 0 && PQgetvalue(res, 0, C_PARTITION)[0] == 't')
        relation->kind = 'l';
    if (PQntuples(res) > 0 && PQgetvalue(res, 0, C_KIND)[0] == 'p')
        relation->kind = 'p';
    PQclear(res);
    return rc;
}
