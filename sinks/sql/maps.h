/*
 * maps.h - what is known of the target's tables, and of how the source's relations lie over them.
 *
 * A connector's table begins with a struct tr_sql_table, its map with a struct tr_sql_map. What is forgotten is freed when the stream ends, since plans in flight may
 * still point to it; changes of shape are rare. thread: the sink's.
 */
#ifndef TR_SINKS_SQL_MAPS_H
#define TR_SINKS_SQL_MAPS_H

#include "core/log.h"
#include "sinks/sql/plan.h"

struct tr_sql_maps { /* zeroed at first; all owned */
    struct tr_sql_table **tables;
    uint32_t ntables, tables_cap;
    struct tr_sql_map **maps; /* by relation number */
    uint32_t maps_cap;
    struct tr_sql_table **retired_tables;
    struct tr_sql_map **retired; /* of shapes that are no more */
    uint32_t nretired_tables, nretired;
};

/* The relation's map, or NULL when it has none yet. */
static inline struct tr_sql_map *
tr_sql_maps_get(const struct tr_sql_maps *maps, const struct tr_relation *relation)
{
    uint32_t number = relation->number;
    struct tr_sql_map *map = number < maps->maps_cap ? maps->maps[number] : NULL;
    return map != NULL && map->relation == relation ? map : NULL;
}
/* An older version of the relation's number is forgotten. */
void tr_sql_maps_put(struct tr_sql_maps *maps, struct tr_sql_map *map);

/* The table as it is known, or NULL. */
struct tr_sql_table *tr_sql_maps_table(const struct tr_sql_maps *maps, const char *schema, const char *name);
void tr_sql_maps_add_table(struct tr_sql_maps *maps, struct tr_sql_table *table);
/* Forget a table (its shape changed) and its maps; whoever asks next reads it anew. False: it was not known. */
bool tr_sql_maps_forget(struct tr_sql_maps *maps, const char *schema, const char *name);

/* Free all with these, which also free what the connector keeps beside it; zeroed again. */
void tr_sql_maps_fini(struct tr_sql_maps *maps, void (*map_free)(struct tr_sql_map *map),
                      void (*table_free)(struct tr_sql_table *table));

/* Set what the planner reads of a map: key stays the caller's, as does label. */
void tr_sql_map_show(struct tr_sql_map *map, struct tr_relation *relation, struct tr_sql_table *table,
                     const char *label, const uint16_t *key, uint16_t nkey);
/* Rows with the same values in these columns have to do with each other. seed: tells one key of the target from every other. */
void tr_sql_map_watch(struct tr_sql_map *map, uint64_t seed, bool nulls_differ, const uint16_t *columns,
                      uint16_t ncolumns);
/* What the functions above have allocated, and the net. */
/* Warns of a generated column whose values come, and which the target's table lacks: of one that was added under way no log tells what it gave the rows that are there. */
void tr_sql_tell_lacking(struct tr_log *log, const struct tr_relation *relation,
                         const struct tr_column *column);

/* Without their values a change is refused: generated columns that go to a column of the target (>= 0), and which only full row images have. */
void tr_sql_map_want_full(struct tr_sql_map *map, const struct tr_relation *relation, const int32_t *target);

void tr_sql_map_fini(struct tr_sql_map *map);
/* Is this source column certainly in an old row image? False for -1. */
bool tr_sql_in_old_image(const struct tr_relation *relation, int column);

#endif
