/* oidmap.c - a small map from an oid to a pointer. */
#include <stdlib.h>

#include "core/memory.h"
#include "decoders/pgoutput/internal.h"

/* Fibonacci hashing: oids are handed out in runs, and partitions come in regular strides. */
static uint32_t
home_slot(uint32_t oid, uint32_t capacity)
{
    return (oid * UINT32_C(2654435769)) >> (__builtin_clz(capacity) + 1);
}

static struct oid_slot *
probe(const struct oid_map *map, uint32_t oid)
{
    uint32_t mask = map->capacity - 1;
    uint32_t i = home_slot(oid, map->capacity);
    while (map->slots[i].oid != 0 && map->slots[i].oid != oid)
        i = (i + 1) & mask;
    return &map->slots[i];
}

void *
oid_map_get(const struct oid_map *map, uint32_t oid)
{
    return map->capacity == 0 || oid == 0 ? NULL : probe(map, oid)->item;
}

static void
enlarge(struct oid_map *map)
{
    struct oid_map larger = { .capacity = map->capacity == 0 ? 64 : map->capacity * 2, .count = map->count };
    larger.slots = tr_calloc(larger.capacity, sizeof *larger.slots);
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].oid != 0)
            *probe(&larger, map->slots[i].oid) = map->slots[i];
    }
    free(map->slots);
    *map = larger;
}

void
oid_map_put(struct oid_map *map, uint32_t oid, void *item)
{
    if ((uint64_t)map->count * 4 >= (uint64_t)map->capacity * 3)
        enlarge(map);
    *probe(map, oid) = (struct oid_slot){ oid, item };
    map->count++;
}
