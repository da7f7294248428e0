/* maps.c - what is known of the target's tables, kept by name, and of the source's relations, kept by number. */
#include "sinks/sql/maps.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static void
retire(struct tr_sql_maps *maps, struct tr_sql_map *map)
{
    maps->retired = tr_realloc(maps->retired, (maps->nretired + 1) * sizeof(struct tr_sql_map *));
    maps->retired[maps->nretired++] = map;
}

void
tr_sql_maps_put(struct tr_sql_maps *maps, struct tr_sql_map *map)
{
    uint32_t number = map->relation->number;
    if (number >= maps->maps_cap) {
        uint32_t cap = number + 64;
        maps->maps = tr_realloc(maps->maps, cap * sizeof(struct tr_sql_map *));
        memset(maps->maps + maps->maps_cap, 0, (cap - maps->maps_cap) * sizeof(struct tr_sql_map *));
        maps->maps_cap = cap;
    }
    if (maps->maps[number] != NULL)
        retire(maps, maps->maps[number]);
    maps->maps[number] = map;
}

static uint32_t
place_of(const struct tr_sql_maps *maps, const char *schema, const char *name)
{
    uint32_t i = 0;
    while (i < maps->ntables && (maps->tables[i] == NULL || strcmp(maps->tables[i]->name, name) != 0 ||
                                 strcmp(maps->tables[i]->schema, schema) != 0))
        i++;
    return i;
}

struct tr_sql_table *
tr_sql_maps_table(const struct tr_sql_maps *maps, const char *schema, const char *name)
{
    uint32_t place = place_of(maps, schema, name);
    return place < maps->ntables ? maps->tables[place] : NULL;
}

void
tr_sql_maps_add_table(struct tr_sql_maps *maps, struct tr_sql_table *table)
{
    if (maps->ntables == maps->tables_cap) {
        maps->tables_cap = maps->tables_cap > 0 ? maps->tables_cap * 2 : 32;
        maps->tables = tr_realloc(maps->tables, maps->tables_cap * sizeof(struct tr_sql_table *));
    }
    maps->tables[maps->ntables++] = table;
}

bool
tr_sql_maps_forget(struct tr_sql_maps *maps, const char *schema, const char *name)
{
    uint32_t place = place_of(maps, schema, name);
    if (place == maps->ntables)
        return false;
    struct tr_sql_table *table = maps->tables[place];
    for (uint32_t i = 0; i < maps->maps_cap; i++) {
        if (maps->maps[i] == NULL || maps->maps[i]->table != table)
            continue;
        retire(maps, maps->maps[i]);
        maps->maps[i] = NULL;
    }
    maps->tables[place] = NULL;
    maps->retired_tables = tr_realloc(maps->retired_tables,
                                      (maps->nretired_tables + 1) * sizeof(struct tr_sql_table *));
    maps->retired_tables[maps->nretired_tables++] = table;
    return true;
}

static void
free_maps(struct tr_sql_map **maps, uint32_t n, void (*map_free)(struct tr_sql_map *map))
{
    for (uint32_t i = 0; i < n; i++)
        if (maps[i] != NULL)
            map_free(maps[i]);
    free(maps);
}

static void
free_tables(struct tr_sql_table **tables, uint32_t n, void (*table_free)(struct tr_sql_table *table))
{
    for (uint32_t i = 0; i < n; i++)
        if (tables[i] != NULL)
            table_free(tables[i]);
    free(tables);
}

void
tr_sql_maps_fini(struct tr_sql_maps *maps, void (*map_free)(struct tr_sql_map *map),
                 void (*table_free)(struct tr_sql_table *table))
{
    free_maps(maps->maps, maps->maps_cap, map_free);
    free_maps(maps->retired, maps->nretired, map_free);
    free_tables(maps->tables, maps->ntables, table_free);
    free_tables(maps->retired_tables, maps->nretired_tables, table_free);
    *maps = (struct tr_sql_maps){ 0 };
}

/* ------------------------------------------------------------------------------------------- one map */

void
tr_sql_map_show(struct tr_sql_map *map, struct tr_relation *relation, struct tr_sql_table *table,
                const char *label, const uint16_t *key, uint16_t nkey)
{
    map->relation = relation;
    map->table = table;
    map->label = label;
    map->ncolumns = relation->ncolumns;
    map->key = key;
    map->nkey = nkey;
}

void
tr_sql_map_watch(struct tr_sql_map *map, uint64_t seed, bool nulls_differ, const uint16_t *columns,
                 uint16_t ncolumns)
{
    map->watched = tr_realloc(map->watched, (map->nwatched + 1u) * sizeof(*map->watched));
    struct tr_sql_watched *watched = &map->watched[map->nwatched++];
    watched->seed = seed;
    watched->nulls_differ = nulls_differ;
    watched->ncolumns = ncolumns;
    watched->columns = tr_malloc((ncolumns + 1u) * sizeof(*columns));
    memcpy(watched->columns, columns, ncolumns * sizeof(*columns));
}

void
tr_sql_tell_lacking(struct tr_log *log, const struct tr_relation *relation, const struct tr_column *column)
{
    struct tr_error warning;
    tr_error_clear(&warning);
    tr_fail(
        &warning, TR_REFUSED,
        "table %s.%s: the target has no column %s, which is generated at the source; its values are not carried",
        relation->schema, relation->name, column->name);
    tr_error_hint(
        &warning,
        "to have it, stop the task, add a plain column at the target with the type that tailrace schema shows, then tailrace reload --table %s.%s",
        relation->schema, relation->name);
    tr_log_error(log, TR_LOG_WARNING, "sink", &warning);
}

void
tr_sql_map_want_full(struct tr_sql_map *map, const struct tr_relation *relation, const int32_t *target)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (!column->generated || column->logged == TR_LOGGED_ALWAYS || target[i] < 0)
            continue;
        map->in_full = tr_realloc(map->in_full, (map->nin_full + 1u) * sizeof(*map->in_full));
        map->in_full[map->nin_full++] = i;
    }
}

void
tr_sql_map_fini(struct tr_sql_map *map)
{
    free(map->in_full);
    for (uint16_t i = 0; i < map->nwatched; i++)
        free(map->watched[i].columns);
    free(map->watched);
    tr_net_fini(&map->net);
}

bool
tr_sql_in_old_image(const struct tr_relation *relation, int column)
{
    return column >= 0 && (relation->replica_identity == 'f' || relation->columns[column].identity > 0);
}
