/* target.c - what the target's tables look like, and how a source's relation lies over them. */
#include "sinks/postgres/apply.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "schema/convert.h"

/* Types whose equality in pg_catalog is sameness of the value. */
static bool
type_is_comparable(Oid type)
{
    static const Oid types[] = { 16, 17, 18, 19, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 2950 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i] == type)
            return true;
    return false;
}

int
tr_pg_table_column(const struct tr_pg_table *table, const char *name)
{
    for (uint16_t i = 0; i < table->ncolumns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return i;
    return -1;
}

static bool
flag(const PGresult *res, int row, int column)
{
    return PQgetvalue(res, row, column)[0] == 't';
}

static Oid
oid(const PGresult *res, int row, int column)
{
    return (Oid)strtoul(PQgetvalue(res, row, column), NULL, 10);
}

static const char columns_sql[] =
    "SELECT c.oid, c.relkind, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, -1), a.atttypid, a.attnotnull, a.attgenerated <> '',"
    " a.attidentity = 'a', pg_catalog.format_type(a.atttypid, a.atttypmod), t.input_open, t.input_close,"
    " EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgenabled IN ('A', 'R')" /* actions of foreign keys too */
    "   AND (t.tgrelid = c.oid OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid))))"
    " OR EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1' AND r.ev_enabled IN ('A', 'R'))"
    " OR EXISTS (SELECT 1 FROM pg_constraint x WHERE x.conrelid = c.oid AND x.contype = 'x'),"
    " coalesce(b.oid, w.oid), CASE WHEN w.typtype = 'd' THEN w.typtypmod ELSE a.atttypmod END, coalesce(b.typtype, w.typtype),"
    " coalesce(b.typcategory, w.typcategory) = 'A', coalesce(b.typname, w.typname), a.attidentity <> ''"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    /* a table without columns is one row of NULLs */
    " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    /* text is cast by a function to few types (regclass), and that function need not read what the type prints: then its input function is called */
    " LEFT JOIN LATERAL (SELECT i.oid::regproc || '(textout(' AS input_open,"
    "   CASE WHEN i.pronargs > 1 THEN format('), %s, -1)', CASE WHEN y.typelem <> 0 THEN y.typelem ELSE y.oid END) ELSE '))' END AS input_close"
    "   FROM pg_type d JOIN pg_type y ON y.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END"
    "   JOIN pg_cast k ON k.castsource = 25 AND k.casttarget = y.oid AND k.castmethod = 'f' JOIN pg_proc i ON i.oid = y.typinput"
    "   WHERE d.oid = a.atttypid) t ON true"
    " LEFT JOIN pg_type w ON w.oid = a.atttypid LEFT JOIN pg_type b ON w.typtype = 'd' AND b.oid = w.typbasetype"
    " WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')"
    " AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY a.attnum";

/* One row per key column of each unique index; %s: NULLS NOT DISTINCT, known to 15 and later. */
static const char uniques_sql[] =
    "SELECT i.indexrelid, i.indisprimary, i.indimmediate AND i.indisvalid, i.indpred IS NOT NULL, k.attnum,"
    " 'OPERATOR(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')', %s"
    " FROM pg_index i CROSS JOIN LATERAL ROWS FROM (unnest(i.indkey::int2[]), unnest(i.indclass::oid[]))"
    " WITH ORDINALITY AS k(attnum, opclass, place)"
    " LEFT JOIN pg_opclass c ON c.oid = k.opclass"
    " LEFT JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3 AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype"
    " LEFT JOIN pg_operator o ON o.oid = a.amopopr LEFT JOIN pg_namespace n ON n.oid = o.oprnamespace"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisready AND k.place <= i.indnkeyatts"
    " ORDER BY i.indisprimary DESC, i.indexrelid, k.place";

static void
read_columns(struct tr_pg_table *table, const PGresult *res)
{
    table->ncolumns = PQgetisnull(res, 0, 2) ? 0 : (uint16_t)PQntuples(res);
    table->columns = tr_arena_zalloc(&table->arena, (table->ncolumns + 1u) * sizeof(*table->columns));
    for (int i = 0; i < table->ncolumns; i++) {
        struct tr_pg_column *column = &table->columns[i];
        column->name = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 3));
        column->type = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 4));
        column->type_oid = oid(res, i, 5);
        column->not_null = flag(res, i, 6);
        column->generated = flag(res, i, 7);
        column->identity_always = flag(res, i, 8);
        column->identity = flag(res, i, 18);
        column->native = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 9));
        column->number = (uint16_t)atoi(PQgetvalue(res, i, 2));
        if (!PQgetisnull(res, i, 10)) {
            column->input_open = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 10));
            column->input_close = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 11));
        }
        column->comparable = type_is_comparable(column->type_oid);
        column->holds = (struct tr_pg_target_type){ .oid = oid(res, i, 13),
                                                    .modifier = atoi(PQgetvalue(res, i, 14)),
                                                    .kind = PQgetvalue(res, i, 15)[0],
                                                    .is_array = flag(res, i, 16),
                                                    .not_null = column->not_null,
                                                    .name = tr_arena_strdup(&table->arena,
                                                                            PQgetvalue(res, i, 17)),
                                                    .text = column->native };
    }
}

/* Catalogue numbers of the columns (attnum) to indexes into the table's list. */
static int
by_number(const PGresult *columns, int attnum)
{
    for (int i = 0; attnum > 0 && i < PQntuples(columns); i++)
        if (atoi(PQgetvalue(columns, i, 2)) == attnum)
            return i;
    return -1;
}

static void
read_unique(struct tr_pg_table *table, const PGresult *columns, const PGresult *res, int from, int to)
{
    struct tr_pg_unique *unique = &table->uniques[table->nuniques++];
    uint16_t *list = tr_arena_alloc(&table->arena, (size_t)(to - from) * sizeof(*list));
    unique->equals = tr_arena_alloc(&table->arena, (size_t)(to - from) * sizeof(*unique->equals));
    unique->columns = list;
    unique->oid = oid(res, from, 0);
    unique->primary = flag(res, from, 1);
    unique->addresses = flag(res, from, 2) && !flag(res, from, 3);
    unique->nulls_equal = flag(res, from, 6);
    for (int i = from; i < to; i++) {
        int column = by_number(columns, atoi(PQgetvalue(res, i, 4)));
        if (column < 0 || PQgetisnull(res, i, 5)) {
            unique->expression = true;
            unique->addresses = false;
            table->plan.exclusive = true;
            return;
        }
        unique->addresses = unique->addresses && table->columns[column].not_null;
        unique->equals[unique->ncolumns] = tr_arena_strdup(&table->arena, PQgetvalue(res, i, 5));
        list[unique->ncolumns++] = (uint16_t)column;
    }
}

static void
read_uniques(struct tr_pg_table *table, const PGresult *columns, const PGresult *res)
{
    int n = PQntuples(res);
    table->uniques = tr_arena_zalloc(&table->arena, ((size_t)n + 1) * sizeof(*table->uniques));
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && oid(res, to, 0) == oid(res, from, 0); to++)
            ;
        read_unique(table, columns, res, from, to);
    }
}

int
tr_pg_table_read(struct tr_postgres_sink *sink, const char *schema, const char *name,
                 struct tr_pg_table **out, struct tr_error *err)
{
    PGresult *columns = NULL, *uniques = NULL;
    *out = NULL;
    const char *names[] = { schema, name };
    int rc = tr_pg_ask_params(sink, sink->reader, columns_sql, 2, names, &columns, err);
    if (rc < 0)
        return tr_error_prefix(err, "reading the target's table %s.%s", schema, name);
    if (PQntuples(columns) == 0) {
        PQclear(columns);
        return 0;
    }
    char *sql = tr_asprintf(uniques_sql, sink->server_version >= 150000 ? "i.indnullsnotdistinct" : "false");
    const char *relid[] = { PQgetvalue(columns, 0, 0) };
    rc = tr_pg_ask_params(sink, sink->reader, sql, 1, relid, &uniques, err);
    free(sql);
    if (rc == 0) {
        struct tr_pg_table *table = tr_calloc(1, sizeof(*table));
        tr_arena_init(&table->arena);
        table->schema = tr_arena_strdup(&table->arena, schema);
        table->name = tr_arena_strdup(&table->arena, name);
        table->plan.schema = table->schema;
        table->plan.name = table->name;
        table->oid = oid(columns, 0, 0);
        table->relkind = PQgetvalue(columns, 0, 1)[0];
        table->plan.fires = flag(columns, 0, 12);
        read_columns(table, columns);
        read_uniques(table, columns, uniques);
        *out = table;
    }
    PQclear(columns);
    PQclear(uniques);
    return rc;
}

void
tr_pg_table_free(struct tr_pg_table *table)
{
    if (table == NULL)
        return;
    tr_arena_fini(&table->arena);
    free(table);
}

/* ------------------------------------------------------------------------------------------- maps */

static int
table_get(struct tr_postgres_sink *sink, const char *schema, const char *name, struct tr_pg_table **table,
          struct tr_error *err)
{
    struct tr_sql_maps *maps = &sink->apply->maps;
    *table = (struct tr_pg_table *)tr_sql_maps_table(maps, schema, name);
    if (*table != NULL)
        return 0;
    int rc = tr_pg_table_read(sink, schema, name, table, err);
    if (rc == 0 && *table != NULL)
        tr_sql_maps_add_table(maps, &(*table)->plan);
    return rc;
}

/* The target's index as the key, if the old image names all of its columns. */
static bool
key_from_index(struct tr_pg_map *map, const struct tr_pg_unique *unique)
{
    if (!unique->addresses)
        return false;
    for (uint16_t i = 0; i < unique->ncolumns; i++) {
        int column = tr_relation_column(map->relation, map->table->columns[unique->columns[i]].name);
        if (!tr_sql_in_old_image(map->relation, column))
            return false;
        map->key[i] = (uint16_t)column;
        map->equals[i] = unique->equals[i];
    }
    map->nkey = unique->ncolumns;
    map->key_unique = true;
    return true;
}

/* The target has no such index: the source's identity names the row all the same. */
static void
key_from_identity(struct tr_pg_map *map)
{
    const struct tr_relation *relation = map->relation;
    if (relation->replica_identity == 'f')
        return;
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        if (relation->columns[i].identity == 0 || map->target[i] < 0)
            continue;
        map->key[map->nkey] = i;
        map->equals[map->nkey++] = map->table->columns[map->target[i]].comparable ? "OPERATOR(pg_catalog.=)"
                                                                                  : NULL;
    }
}

static void
choose_key(struct tr_pg_map *map)
{
    for (uint16_t i = 0; i < map->table->nuniques; i++)
        if (key_from_index(map, &map->table->uniques[i]))
            return;
    key_from_identity(map);
}

static void
tell_lacking(const struct tr_postgres_sink *sink, const struct tr_pg_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        const struct tr_column *column = &map->relation->columns[i];
        if (column->generated && tr_column_arrives(column) &&
            tr_pg_table_column(map->table, column->name) < 0)
            tr_sql_tell_lacking(sink->base.env->log, map->relation, column);
    }
}

/* Which keys tell that two rows have to do with each other. */
static void
watch_keys(struct tr_pg_map *map)
{
    uint16_t *columns = tr_calloc(map->table->ncolumns + 1u, sizeof(*columns));
    for (uint16_t u = 0; u < map->table->nuniques; u++) {
        const struct tr_pg_unique *unique = &map->table->uniques[u];
        bool known = !unique->expression;
        for (uint16_t i = 0; known && i < unique->ncolumns; i++) {
            int column = tr_relation_column(map->relation, map->table->columns[unique->columns[i]].name);
            known = column >= 0 && map->target[column] >= 0;
            columns[i] = (uint16_t)column;
        }
        if (known)
            tr_sql_map_watch(&map->plan, tr_hash_mix(map->table->oid, unique->oid), !unique->nulls_equal,
                             columns, unique->ncolumns);
        else
            map->table->plan.exclusive = true;
    }
    if (!map->key_unique && map->nkey > 0)
        tr_sql_map_watch(&map->plan, tr_hash_mix(map->table->oid, 0), false, map->key, map->nkey);
    tr_sql_map_want_full(&map->plan, map->relation, map->target);
    free(columns);
}

/* The first column that the rows bring and the target lacks, or NULL. Generated columns are computed by the target. */
static const struct tr_column *
lay_over(struct tr_pg_map *map)
{
    const struct tr_column *missing = NULL;
    map->plan.bare = true;
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        const struct tr_column *column = &map->relation->columns[i];
        int target = tr_pg_table_column(map->table, column->name);
        map->target[i] = target;
        if (target < 0 && !column->generated && missing == NULL)
            missing = column;
        if (target >= 0 && map->table->columns[target].generated)
            map->target[i] = -1;
        map->plan.bare = map->plan.bare && map->target[i] < 0;
        if (target >= 0 && map->table->columns[target].identity_always)
            map->override = true;
    }
    return missing;
}

static void
choose_fits(const struct tr_postgres_sink *sink, struct tr_pg_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        struct tr_pg_fit fit = tr_pg_fit_choose(
            &map->relation->columns[i], &map->table->columns[map->target[i]].holds, sink->from_postgresql);
        if (fit.kind != TR_PG_FIT_NONE && map->fits == NULL)
            map->fits = tr_calloc(map->relation->ncolumns, sizeof(*map->fits));
        if (fit.kind != TR_PG_FIT_NONE)
            map->fits[i] = fit;
    }
}

static void
map_free(struct tr_sql_map *plan)
{
    struct tr_pg_map *map = (struct tr_pg_map *)plan;
    for (uint16_t i = 0; i < map->nstatements; i++)
        tr_pg_statement_free(map->statements[i]);
    free(map->statements);
    tr_sql_map_fini(&map->plan);
    tr_relation_unref(map->relation);
    free(map->label);
    free(map->target);
    free(map->fits);
    free(map->key);
    free(map->equals);
    free(map);
}

int
tr_pg_table_get(struct tr_postgres_sink *sink, const struct tr_relation *relation, struct tr_pg_table **table,
                struct tr_error *err)
{
    int rc = table_get(sink, relation->target_schema, relation->target_name, table, err);
    if (rc < 0 || *table != NULL)
        return rc;
    tr_fail(err, TR_REFUSED, "the target has no table %s.%s", relation->target_schema, relation->target_name);
    return tr_error_hint(
        err, "make it there, or leave it out of the task's tables; the stream goes on from where it stands");
}

static int
map_make(struct tr_postgres_sink *sink, struct tr_relation *relation, struct tr_pg_map **out,
         struct tr_error *err)
{
    struct tr_pg_map *map = tr_calloc(1, sizeof(*map));
    const struct tr_column *missing = NULL;
    map->relation = tr_relation_ref(relation);
    map->label = tr_asprintf("%s.%s", relation->target_schema, relation->target_name);
    map->target = tr_calloc(relation->ncolumns + 1u, sizeof(*map->target));
    map->key = tr_calloc(relation->ncolumns + 1u, sizeof(*map->key));
    map->equals = tr_calloc(relation->ncolumns + 1u, sizeof(*map->equals));
    int rc = tr_pg_table_get(sink, relation, &map->table, err);
    if (rc == 0)
        missing = lay_over(map);
    if (rc == 0 && missing != NULL) {
        struct tr_buffer type, note;
        tr_buffer_init(&type, (size_t)1 << 16);
        tr_buffer_init(&note, (size_t)1 << 16);
        if (sink->from_postgresql)
            tr_buffer_text(&type, missing->native != NULL ? missing->native : "...");
        else
            tr_convert_to_postgresql(missing, NULL, &type, &note);
        rc = tr_fail(err, TR_REFUSED, "the target's table %s has no column \"%s\" (%s at the source)",
                     map->label, missing->name,
                     missing->native != NULL ? missing->native : "of unknown type");
        tr_error_hint(err, "ALTER TABLE \"%s\".\"%s\" ADD COLUMN \"%s\" %s;", relation->target_schema,
                      relation->target_name, missing->name, type.data);
        tr_buffer_fini(&type);
        tr_buffer_fini(&note);
    }
    if (rc < 0) {
        map_free(&map->plan);
        return rc;
    }
    choose_fits(sink, map);
    choose_key(map);
    watch_keys(map);
    tell_lacking(sink, map);
    tr_sql_map_show(&map->plan, relation, &map->table->plan, map->label, map->key, map->nkey);
    *out = map;
    return 0;
}

int
tr_pg_map_get(struct tr_postgres_sink *sink, struct tr_relation *relation, struct tr_pg_map **out,
              struct tr_error *err)
{
    struct tr_sql_maps *maps = &sink->apply->maps;
    struct tr_pg_map *map = (struct tr_pg_map *)tr_sql_maps_get(maps, relation);
    if (map == NULL) {
        int rc = map_make(sink, relation, &map, err);
        if (rc < 0)
            return rc;
        tr_sql_maps_put(maps, &map->plan);
    }
    *out = map;
    return 0;
}

void
tr_pg_map_forget(struct tr_pg_apply *apply, const char *schema, const char *name)
{
    /* until the table is read anew no one can know what depends on the old one */
    if (tr_sql_maps_forget(&apply->maps, schema, name))
        apply->base.planner.barrier = apply->base.next_group - 1;
}

static void
table_free(struct tr_sql_table *plan)
{
    tr_pg_table_free((struct tr_pg_table *)plan);
}

void
tr_pg_maps_free(struct tr_pg_apply *apply)
{
    tr_sql_maps_fini(&apply->maps, map_free, table_free);
}
