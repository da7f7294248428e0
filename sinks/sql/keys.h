/*
 * keys.h - which group of transactions wrote a key last: the dependency tracker of parallel apply (docs/parallel-apply.md).
 *
 * A key is known by a 64-bit hash of (table, index, values). Two keys that share a hash make a group wait without need, no more. Keys of
 * groups that are committed are forgotten when the table is about to grow.
 */
#ifndef TR_SINKS_SQL_KEYS_H
#define TR_SINKS_SQL_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/value.h"

struct tr_key_slot {
    uint64_t hash;
    uint64_t group; /* 0 = free */
};

struct tr_keys {
    struct tr_key_slot *slots;
    size_t cap; /* a power of two */
    size_t used;
};

/* Empty, and nothing allocated before the first key. */
void tr_keys_init(struct tr_keys *keys);
void tr_keys_fini(struct tr_keys *keys);

/*
 * `group` writes this key: remember it, and return the group that wrote it before (0 = none that is known). oldest: groups below are
 * committed, so their keys may be forgotten.
 */
uint64_t tr_keys_write(struct tr_keys *keys, uint64_t hash, uint64_t group, uint64_t oldest);

static inline uint64_t
tr_hash_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ UINT64_C(0x9e3779b97f4a7c15)) *
                          (b ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
tr_hash_bytes(uint64_t seed, const char *data, size_t len)
{
    uint64_t hash = tr_hash_mix(seed, len), word;
    for (; len >= 8; data += 8, len -= 8) {
        memcpy(&word, data, 8);
        hash = tr_hash_mix(hash, word);
    }
    if (len > 0) {
        word = 0;
        memcpy(&word, data, len);
        hash = tr_hash_mix(hash, word);
    }
    return hash;
}

/*
 * The hash of some columns of a row image. False when one of them is absent (the key is not known) or NULL while nulls_differ (no
 * other row can collide with it).
 */
bool tr_key_hash(uint64_t seed, const struct tr_value *row, const uint16_t *columns, uint16_t ncolumns,
                 bool nulls_differ, uint64_t *hash);

/* Are these columns present and the same bytes in both images? Two NULLs are the same. */
bool tr_key_same(const struct tr_value *a, const struct tr_value *b, const uint16_t *columns,
                 uint16_t ncolumns);

#endif
