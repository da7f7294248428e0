/* target.c - what the target's tables look like, and how a source's relation lies over them. */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

int
tr_my_table_column(const struct tr_my_table *table, const char *name)
{
    for (uint16_t i = 0; i < table->ncolumns; i++)
        if (strcasecmp(table->columns[i].name, name) == 0)
            return i;
    return -1;
}

/* ------------------------------------------------------------------------------------------- columns */

static const struct {
    const char *name;
    enum tr_my_kind kind;
    int bytes; /* integers */
} types[] = {
    { "tinyint", TR_MY_INTEGER, 1 },
    { "smallint", TR_MY_INTEGER, 2 },
    { "mediumint", TR_MY_INTEGER, 3 },
    { "int", TR_MY_INTEGER, 4 },
    { "bigint", TR_MY_INTEGER, 8 },
    { "year", TR_MY_INTEGER, 0 },
    { "decimal", TR_MY_DECIMAL, 0 },
    { "float", TR_MY_FLOAT, 0 },
    { "double", TR_MY_FLOAT, 0 },
    { "bit", TR_MY_BIT, 0 },
    { "binary", TR_MY_BINARY, 0 },
    { "varbinary", TR_MY_BINARY, 0 },
    { "tinyblob", TR_MY_BINARY, 0 },
    { "blob", TR_MY_BINARY, 0 },
    { "mediumblob", TR_MY_BINARY, 0 },
    { "longblob", TR_MY_BINARY, 0 },
    { "date", TR_MY_DATE, 0 },
    { "time", TR_MY_TIME, 0 },
    { "datetime", TR_MY_DATETIME, 0 },
    { "timestamp", TR_MY_DATETIME, 0 },
    { "json", TR_MY_JSON, 0 },
    { "geometry", TR_MY_GEOMETRY, 0 },
    { "point", TR_MY_GEOMETRY, 0 },
    { "linestring", TR_MY_GEOMETRY, 0 },
    { "polygon", TR_MY_GEOMETRY, 0 },
    { "multipoint", TR_MY_GEOMETRY, 0 },
    { "multilinestring", TR_MY_GEOMETRY, 0 },
    { "multipolygon", TR_MY_GEOMETRY, 0 },
    { "geometrycollection", TR_MY_GEOMETRY, 0 },
    { "geomcollection", TR_MY_GEOMETRY, 0 },
    { "vector", TR_MY_VECTOR, 0 },
};

static void
limits(struct tr_my_column *column, int bytes, bool is_unsigned)
{
    if (bytes == 0) { /* year */
        column->maximum = 2155;
        return;
    }
    unsigned bits = (unsigned)bytes * 8;
    column->maximum = is_unsigned ? (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1)
                                  : (UINT64_C(1) << (bits - 1)) - 1;
    column->minimum = is_unsigned ? 0 : -(int64_t)column->maximum - 1;
}

enum {
    C_NAME,
    C_DATA_TYPE,
    C_TYPE,
    C_NULLABLE,
    C_EXTRA,
    C_LENGTH,
    C_PRECISION,
    C_SCALE,
    C_FRACTION,
    C_HAS_DEFAULT,
    C_CHARSET
};

static void
read_column(struct tr_my_table *table, struct tr_my_column *column, MYSQL_ROW row)
{
    *column = (struct tr_my_column){ .length = -1 };
    column->name = tr_arena_strdup(&table->arena, row[C_NAME]);
    column->type = tr_arena_strdup(&table->arena, row[C_TYPE]);
    column->not_null = strcmp(row[C_NULLABLE], "NO") == 0;
    column->generated = strcasestr(row[C_EXTRA], "GENERATED") != NULL &&
                        strcasestr(row[C_EXTRA], "DEFAULT_GENERATED") == NULL;
    column->auto_increment = strcasestr(row[C_EXTRA], "auto_increment") != NULL;
    column->touches = strcasestr(row[C_EXTRA], "on update") != NULL;
    column->has_default = row[C_HAS_DEFAULT][0] == '1' || column->auto_increment;
    column->fills_null = column->not_null &&
                         (column->auto_increment || strcasecmp(row[C_DATA_TYPE], "timestamp") == 0);
    column->length = row[C_LENGTH] != NULL ? (int64_t)strtoull(row[C_LENGTH], NULL, 10) : -1;
    column->precision = row[C_PRECISION] != NULL ? atoi(row[C_PRECISION]) : 0;
    column->scale = row[C_FRACTION] != NULL ? atoi(row[C_FRACTION])
                    : row[C_SCALE] != NULL  ? atoi(row[C_SCALE])
                                            : 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcasecmp(types[i].name, row[C_DATA_TYPE]) != 0)
            continue;
        column->kind = types[i].kind;
        if (column->kind == TR_MY_INTEGER)
            limits(column, types[i].bytes, strcasestr(row[C_TYPE], "unsigned") != NULL);
    }
    const char *charset = row[C_CHARSET];
    column->recoded = charset != NULL && strncmp(charset, "utf8", 4) != 0 && strcmp(charset, "binary") != 0;
    column->three_bytes = charset != NULL &&
                          (strcmp(charset, "utf8mb3") == 0 || strcmp(charset, "utf8") == 0);
    column->year = strcasecmp(row[C_DATA_TYPE], "year") == 0;
    column->single = strcasecmp(row[C_DATA_TYPE], "float") == 0;
    if (column->kind == TR_MY_BIT)
        column->length = column->precision;
    bool labels = strcasecmp(row[C_DATA_TYPE], "enum") == 0 || strcasecmp(row[C_DATA_TYPE], "set") == 0;
    /* MariaDB's JSON is a longtext with a check; what it holds is the text as it came. */
    if (labels || column->length > UINT32_MAX - 1)
        column->length = -1;
    if (column->kind == TR_MY_TEXT && strncasecmp(row[C_DATA_TYPE], "long", 4) == 0)
        column->length = -1;
    /* TEXT, MEDIUMTEXT count bytes. */
    if (column->kind == TR_MY_TEXT && strcasestr(row[C_DATA_TYPE], "text") != NULL)
        column->length = -1;
}

/* MariaDB's JSON is LONGTEXT whose check says json_valid(column): values are to be made JSON there. */
static void
find_json_checks(MYSQL *conn, struct tr_my_table *table)
{
    struct tr_buffer sql;
    struct tr_error ignored;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(
        &sql,
        "SELECT check_clause FROM information_schema.check_constraints WHERE check_clause LIKE 'json_valid(%' AND constraint_schema = ");
    tr_mysql_literal(&sql, table->database, strlen(table->database));
    tr_buffer_text(&sql, " AND table_name = ");
    tr_mysql_literal(&sql, table->name, strlen(table->name));
    if (tr_mysql_query(conn, sql.data, &res, &ignored) == 0)
        for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;)
            for (uint16_t i = 0; i < table->ncolumns; i++) {
                tr_buffer_reset(&sql);
                tr_buffer_text(&sql, "json_valid(");
                tr_mysql_identifier(&sql, table->columns[i].name);
                tr_buffer_byte(&sql, ')');
                if (strcmp(sql.data, row[0]) == 0)
                    table->columns[i].kind = TR_MY_JSON;
            }
    mysql_free_result(res);
    tr_buffer_fini(&sql);
}

static void
condition(struct tr_buffer *sql, const char *prefix, const char *database, const char *name)
{
    tr_buffer_printf(sql, " WHERE %s_schema = ", prefix);
    tr_mysql_literal(sql, database, strlen(database));
    tr_buffer_printf(sql,
                     " AND %s = ", strcmp(prefix, "event_object") == 0 ? "event_object_table" : "table_name");
    tr_mysql_literal(sql, name, strlen(name));
}

static int
ask(MYSQL *conn, struct tr_buffer *sql, const char *select, const char *prefix, const char *database,
    const char *name, const char *order, MYSQL_RES **res, struct tr_error *err)
{
    tr_buffer_reset(sql);
    tr_buffer_text(sql, select);
    condition(sql, prefix, database, name);
    tr_buffer_text(sql, order);
    return tr_mysql_query(conn, sql->data, res, err);
}

static int
read_columns(MYSQL *conn, struct tr_buffer *sql, struct tr_my_table *table, struct tr_error *err)
{
    MYSQL_RES *res;
    int rc = ask(
        conn, sql,
        "SELECT column_name, data_type, column_type, is_nullable, extra, character_maximum_length, numeric_precision, numeric_scale,"
        " datetime_precision, column_default IS NOT NULL, character_set_name FROM information_schema.columns",
        "table", table->database, table->name, " ORDER BY ordinal_position", &res, err);
    if (rc < 0)
        return rc;
    table->columns = tr_arena_zalloc(&table->arena, (mysql_num_rows(res) + 1) * sizeof(*table->columns));
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;) {
        struct tr_my_column *column = &table->columns[table->ncolumns++];
        read_column(table, column, row);
        column->last_second = tr_mysql_is_mariadb(conn);
        if (strncasecmp(column->type, "timestamp", 9) ==
            0) /* four bytes, in MariaDB since 11.5 without a sign */
            column->last_timestamp = tr_mysql_is_mariadb(conn) && tr_mysql_version(conn) >= 110500
                                         ? "2106-02-07 06:28:15"
                                         : "2038-01-19 03:14:07";
    }
    mysql_free_result(res);
    return 0;
}

/* ------------------------------------------------------------------------------------------- indexes */

static void
add_to_unique(struct tr_my_table *table, struct tr_my_unique *unique, uint16_t *list, MYSQL_ROW row)
{
    int column = row[1] != NULL ? tr_my_table_column(table, row[1]) : -1;
    if (column < 0 || row[2] != NULL) { /* an expression, or a prefix of the column */
        unique->partial = true;
        unique->addresses = false;
        table->plan.exclusive = true;
        return;
    }
    unique->addresses = unique->addresses && table->columns[column].not_null;
    list[unique->ncolumns++] = (uint16_t)column;
}

static int
read_uniques(MYSQL *conn, struct tr_buffer *sql, struct tr_my_table *table, struct tr_error *err)
{
    MYSQL_RES *res;
    int rc = ask(conn, sql, "SELECT index_name, column_name, sub_part FROM information_schema.statistics",
                 "table", table->database, table->name,
                 " AND non_unique = 0 ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index", &res, err);
    if (rc < 0)
        return rc;
    size_t rows = mysql_num_rows(res);
    table->uniques = tr_arena_zalloc(&table->arena, (rows + 1) * sizeof(*table->uniques));
    struct tr_my_unique *unique = NULL;
    uint16_t *list = NULL;
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;) {
        if (unique == NULL || strcmp(unique->name, row[0]) != 0) {
            unique = &table->uniques[table->nuniques++];
            list = tr_arena_zalloc(&table->arena, rows * sizeof(*list));
            unique->columns = list;
            unique->name = tr_arena_strdup(&table->arena, row[0]);
            unique->primary = strcmp(row[0], "PRIMARY") == 0;
            unique->addresses = true;
        }
        add_to_unique(table, unique, list, row);
    }
    mysql_free_result(res);
    return 0;
}

static int
read_table(MYSQL *conn, struct tr_buffer *sql, struct tr_my_table *table, struct tr_error *err)
{
    MYSQL_RES *res;
    int rc = ask(conn, sql, "SELECT 1 FROM information_schema.triggers", "event_object", table->database,
                 table->name, " LIMIT 1", &res, err);
    if (rc < 0)
        return rc;
    table->has_triggers = mysql_num_rows(res) > 0;
    mysql_free_result(res);
    rc = read_columns(conn, sql, table, err);
    if (rc == 0)
        rc = read_uniques(conn, sql, table, err);
    if (rc == 0 && tr_mysql_is_mariadb(conn))
        find_json_checks(conn, table);
    return rc;
}

int
tr_my_table_read(MYSQL *conn, const char *database, const char *name, struct tr_my_table **out,
                 struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    *out = NULL;
    tr_buffer_init(&sql, (size_t)1 << 16);
    int rc = ask(conn, &sql, "SELECT engine FROM information_schema.tables", "table", database, name,
                 " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')", &res, err);
    MYSQL_ROW row = rc == 0 ? mysql_fetch_row(res) : NULL;
    if (row != NULL) {
        struct tr_my_table *table = tr_calloc(1, sizeof(*table));
        tr_arena_init(&table->arena);
        table->database = tr_arena_strdup(&table->arena, database);
        table->name = tr_arena_strdup(&table->arena, name);
        table->plan.schema = table->database;
        table->plan.name = table->name;
        table->engine = tr_arena_strdup(&table->arena, row[0] != NULL ? row[0] : "an unknown engine");
        table->transactional = strcasecmp(table->engine, "InnoDB") == 0;
        rc = read_table(conn, &sql, table, err);
        *out = table;
    }
    mysql_free_result(res);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        tr_my_table_free(*out);
        *out = NULL;
        return tr_error_prefix(err, "reading the target's table %s.%s", database, name);
    }
    return 0;
}

void
tr_my_table_free(struct tr_my_table *table)
{
    if (table == NULL)
        return;
    tr_arena_fini(&table->arena);
    free(table);
}

/* ------------------------------------------------------------------------------------------- maps */

static int
source_of(const struct tr_my_map *map, uint16_t target)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->target[i] == target)
            return i;
    return -1;
}

/* The target's index as the key, if the old image names all of its columns. */
static bool
key_from_index(struct tr_my_map *map, const struct tr_my_unique *unique)
{
    if (!unique->addresses)
        return false;
    for (uint16_t i = 0; i < unique->ncolumns; i++) {
        int column = source_of(map, unique->columns[i]);
        if (!tr_sql_in_old_image(map->relation, column))
            return false;
        map->key[i] = (uint16_t)column;
    }
    map->nkey = unique->ncolumns;
    map->key_unique = true;
    map->index = unique->name;
    return true;
}

/* The target has no such index: the source's identity names the row all the same. */
static void
key_from_identity(struct tr_my_map *map)
{
    const struct tr_relation *relation = map->relation;
    if (relation->replica_identity == 'f')
        return;
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (relation->columns[i].identity > 0 && map->target[i] >= 0)
            map->key[map->nkey++] = i;
}

static void
choose_key(struct tr_my_map *map)
{
    const struct tr_my_table *table = map->table;
    bool found = false;
    for (uint16_t i = 0; i < table->nuniques && !found; i++)
        found = key_from_index(map, &table->uniques[i]);
    if (!found)
        key_from_identity(map);
    map->upserts = found && table->nuniques == 1;
}

static void
tell_lacking(const struct tr_mysql_sink *sink, const struct tr_my_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        const struct tr_column *column = &map->relation->columns[i];
        if (column->generated && tr_column_arrives(column) &&
            tr_my_table_column(map->table, column->name) < 0)
            tr_sql_tell_lacking(sink->base.env->log, map->relation, column);
    }
}

static void
watch_keys(struct tr_my_map *map)
{
    const struct tr_my_table *table = map->table;
    uint64_t seed = tr_hash_bytes(tr_hash_bytes(0, table->database, strlen(table->database)), table->name,
                                  strlen(table->name));
    uint16_t *columns = tr_calloc(map->relation->ncolumns + 1u, sizeof(*columns));
    for (uint16_t u = 0; u < table->nuniques; u++) {
        const struct tr_my_unique *unique = &table->uniques[u];
        bool known = !unique->partial && unique->ncolumns <= map->relation->ncolumns;
        for (uint16_t i = 0; known && i < unique->ncolumns; i++) {
            int column = source_of(map, unique->columns[i]);
            known = column >= 0;
            columns[i] = (uint16_t)column;
        }
        if (known)
            tr_sql_map_watch(&map->plan, tr_hash_mix(seed, u), true, columns, unique->ncolumns);
        else
            map->table->plan.exclusive = true;
    }
    if (!map->key_unique && map->nkey > 0)
        tr_sql_map_watch(&map->plan, tr_hash_mix(seed, UINT16_MAX), true, map->key, map->nkey);
    tr_sql_map_want_full(&map->plan, map->relation, map->target);
    free(columns);
}

/* The first column that the rows bring and the target lacks, or NULL. Generated columns are computed by the target. */
static const struct tr_column *
lay_over(struct tr_my_map *map, const struct tr_my_apply *apply)
{
    const struct tr_column *missing = NULL;
    const struct tr_my_shape *shape = apply != NULL ? tr_my_shape_find(&apply->shapes, map->relation) : NULL;
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        const struct tr_column *column = &map->relation->columns[i];
        int target = tr_my_shape_column(shape, map->table, column);
        for (uint32_t r = 0; apply != NULL && r < apply->nrenamed && target < 0; r++)
            if (strcmp(apply->renamed[r].table, map->label) == 0 &&
                strcmp(apply->renamed[r].from, column->name) == 0)
                target = tr_my_table_column(map->table, apply->renamed[r].to);
        map->target[i] = target;
        if (target < 0 && !column->generated && missing == NULL && !tr_my_shape_lost(shape, column))
            missing = column;
        if (target >= 0 && map->table->columns[target].generated)
            map->target[i] = -1;
    }
    return missing;
}

void
tr_my_map_free(struct tr_my_map *map)
{
    if (map == NULL)
        return;
    tr_sql_map_fini(&map->plan);
    tr_relation_unref(map->relation);
    free(map->label);
    free(map->target);
    free(map->key);
    free(map);
}

static struct tr_my_map *
map_new(const struct tr_mysql_sink *sink, struct tr_relation *relation)
{
    struct tr_my_map *map = tr_calloc(1, sizeof(*map));
    map->relation = tr_relation_ref(relation);
    map->label = tr_asprintf("%s.%s", tr_my_database(sink, relation), relation->target_name);
    map->target = tr_calloc(relation->ncolumns + 1u, sizeof(*map->target));
    map->key = tr_calloc(relation->ncolumns + 1u, sizeof(*map->key));
    map->from_postgresql = sink->from_postgresql;
    map->json_decimals = !sink->target.mariadb && sink->base.env->source_dialect != NULL &&
                         strcmp(sink->base.env->source_dialect, "mysql") == 0;
    map->exact = sink->target.mariadb ? " COLLATE utf8mb4_nopad_bin" : " COLLATE utf8mb4_0900_bin";
    return map;
}

static int
refuse_missing(const struct tr_my_map *map, const struct tr_column *missing, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "the target's table %s has no column \"%s\" (%s at the source)", map->label,
            missing->name, missing->native != NULL ? missing->native : "of unknown type");
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, map->table->database, map->table->name);
    tr_buffer_text(&sql, " ADD COLUMN ");
    tr_mysql_identifier(&sql, missing->name);
    tr_error_hint(err, "%s ...; tailrace schema prints its type", sql.data);
    tr_buffer_fini(&sql);
    return -TR_REFUSED;
}

/* What no statement of ours could make good. */
static int
refuse_table(const struct tr_my_map *map, struct tr_error *err)
{
    if (map->table->has_triggers) {
        tr_fail(err, TR_REFUSED,
                "the target's table %s has triggers, which would fire again for every change", map->label);
        return tr_error_hint(
            err,
            "drop them for the time of the replication: the source's triggers have done their work already");
    }
    if (!map->table->transactional) {
        tr_fail(err, TR_REFUSED,
                "the target's table %s is kept by %s, which cannot take part in a transaction", map->label,
                map->table->engine);
        struct tr_buffer name;
        tr_buffer_init(&name, 4096);
        tr_mysql_qualified(&name, map->table->database, map->table->name);
        tr_error_hint(err, "ALTER TABLE %s ENGINE = InnoDB;", name.data);
        tr_buffer_fini(&name);
        return -TR_REFUSED;
    }
    return 0;
}

int
tr_my_map_over(const struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_table *table,
               struct tr_my_map **out, struct tr_error *err)
{
    struct tr_my_map *map = map_new(sink, relation);
    map->table = table;
    const struct tr_column *missing = lay_over(map, NULL);
    int rc = missing != NULL ? refuse_missing(map, missing, err) : refuse_table(map, err);
    if (rc < 0) {
        tr_my_map_free(map);
        return rc;
    }
    choose_key(map);
    tr_sql_map_show(&map->plan, relation, &map->table->plan, map->label, map->key, map->nkey);
    *out = map;
    return 0;
}

int
tr_my_refuse_folded(const char *database, const char *name, const char *other, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "the target takes %s.%s and %s.%s for the same table: it keeps names in small letters (lower_case_table_names)",
        database, name, database, other);
    return tr_error_hint(
        err,
        "leave one of the two out of the task's tables, rename it at the source, or take a server with lower_case_table_names = 0");
}

/* A table that is known by another name. */
static const char *
folded_name(const struct tr_mysql_sink *sink, const char *database, const char *name)
{
    const struct tr_sql_maps *maps = &sink->apply->maps;
    for (uint32_t i = 0; sink->folds_names && i < maps->ntables; i++)
        if (maps->tables[i] != NULL && strcasecmp(maps->tables[i]->name, name) == 0 &&
            strcasecmp(maps->tables[i]->schema, database) == 0)
            return maps->tables[i]->name;
    return NULL;
}

static int
table_get(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_my_table **table,
          struct tr_error *err)
{
    struct tr_sql_maps *maps = &sink->apply->maps;
    const char *database = tr_my_database(sink, relation);
    *table = (struct tr_my_table *)tr_sql_maps_table(maps, database, relation->target_name);
    if (*table != NULL)
        return 0;
    const char *folded = folded_name(sink, database, relation->target_name);
    if (folded != NULL)
        return tr_my_refuse_folded(database, folded, relation->target_name, err);
    int rc = tr_my_table_read(sink->meta, database, relation->target_name, table, err);
    if (rc == 0 && *table != NULL)
        tr_sql_maps_add_table(maps, &(*table)->plan);
    return rc;
}

static int
fill_map(struct tr_mysql_sink *sink, struct tr_my_map *map, struct tr_error *err)
{
    struct tr_relation *relation = map->relation;
    const struct tr_column *missing;
    bool added = false;
    int rc = table_get(sink, relation, &map->table, err);
    if (rc < 0)
        return rc;
    if (map->table == NULL) {
        tr_fail(err, TR_REFUSED, "the target has no table %s", map->label);
        return tr_error_hint(
            err,
            "make it there, or leave it out of the task's tables; the stream goes on from where it stands");
    }
    rc = tr_my_shape_first_use(sink, relation, map->table, &added, err);
    if (rc == 0 && added) {
        tr_my_map_forget(sink->apply, tr_my_database(sink, relation), relation->target_name);
        rc = table_get(sink, relation, &map->table, err);
    }
    if (rc < 0 || map->table == NULL)
        return rc < 0 ? rc : tr_fail(err, TR_RETRY, "the target's table %s has gone", map->label);
    missing = lay_over(map, sink->apply);
    if (missing != NULL || tr_my_falls_short(sink, relation, map->table)) {
        rc = tr_my_reach_shape(sink, relation, map->table, true, &added, err);
        if (rc == 0 && added) {
            tr_my_map_forget(sink->apply, tr_my_database(sink, relation), relation->target_name);
            rc = table_get(sink, relation, &map->table, err);
            missing = rc == 0 && map->table != NULL ? lay_over(map, sink->apply) : missing;
        }
        if (rc < 0)
            return rc;
    }
    return missing != NULL ? refuse_missing(map, missing, err) : refuse_table(map, err);
}

static int
map_make(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_map **out,
         struct tr_error *err)
{
    struct tr_my_map *map = map_new(sink, relation);
    int rc = fill_map(sink, map, err);
    if (rc < 0) {
        tr_my_map_free(map);
        return rc;
    }
    choose_key(map);
    watch_keys(map);
    tell_lacking(sink, map);
    tr_sql_map_show(&map->plan, relation, &map->table->plan, map->label, map->key, map->nkey);
    *out = map;
    return 0;
}

int
tr_my_map_get(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_map **out,
              struct tr_error *err)
{
    struct tr_sql_maps *maps = &sink->apply->maps;
    struct tr_my_map *map = (struct tr_my_map *)tr_sql_maps_get(maps, relation);
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
tr_my_map_forget(struct tr_my_apply *apply, const char *database, const char *name)
{
    /* until the table is read anew no one can know what depends on the old one */
    if (tr_sql_maps_forget(&apply->maps, database, name))
        apply->base.planner.barrier = apply->base.next_group - 1;
}

static void
map_free(struct tr_sql_map *plan)
{
    tr_my_map_free((struct tr_my_map *)plan);
}

static void
table_free(struct tr_sql_table *plan)
{
    tr_my_table_free((struct tr_my_table *)plan);
}

void
tr_my_maps_free(struct tr_my_apply *apply)
{
    tr_sql_maps_fini(&apply->maps, map_free, table_free);
}
