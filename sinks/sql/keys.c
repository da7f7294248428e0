/* keys.c - an open-addressed table of key hashes; see keys.h. */
#include "sinks/sql/keys.h"

#include <stdlib.h>

#include "core/memory.h"

#define FIRST_CAP 4096

void
tr_keys_init(struct tr_keys *keys)
{
    keys->cap = FIRST_CAP;
    keys->used = 0;
    keys->slots = tr_calloc(keys->cap, sizeof(*keys->slots));
}

void
tr_keys_fini(struct tr_keys *keys)
{
    free(keys->slots);
    keys->slots = NULL;
}

static struct tr_key_slot *
find(struct tr_key_slot *slots, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);
    while (slots[i].group != 0 && slots[i].hash != hash)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

/* Drop the committed groups' keys; grow only when what is left fills more than a quarter. */
static void
rebuild(struct tr_keys *keys, uint64_t oldest)
{
    size_t live = 0;
    for (size_t i = 0; i < keys->cap; i++)
        live += keys->slots[i].group >= oldest && keys->slots[i].group != 0;
    size_t cap = FIRST_CAP;
    while (cap < live * 4)
        cap *= 2;
    struct tr_key_slot *slots = tr_calloc(cap, sizeof(*slots));
    for (size_t i = 0; i < keys->cap; i++)
        if (keys->slots[i].group >= oldest && keys->slots[i].group != 0)
            *find(slots, cap, keys->slots[i].hash) = keys->slots[i];
    free(keys->slots);
    keys->slots = slots;
    keys->cap = cap;
    keys->used = live;
}

uint64_t
tr_keys_write(struct tr_keys *keys, uint64_t hash, uint64_t group, uint64_t oldest)
{
    if (keys->used * 2 >= keys->cap)
        rebuild(keys, oldest);
    struct tr_key_slot *slot = find(keys->slots, keys->cap, hash);
    uint64_t before = slot->group;
    keys->used += before == 0;
    slot->hash = hash;
    slot->group = group;
    return before;
}

bool
tr_key_hash(uint64_t seed, const struct tr_value *row, const uint16_t *columns, uint16_t ncolumns,
            bool nulls_differ, uint64_t *hash)
{
    *hash = seed;
    for (uint16_t i = 0; i < ncolumns; i++) {
        const struct tr_value *value = &row[columns[i]];
        if (value->state == TR_ABSENT || (value->state == TR_NULL && nulls_differ))
            return false;
        *hash = value->state == TR_NULL ? tr_hash_mix(*hash, UINT64_C(0x6e756c6c))
                                        : tr_hash_bytes(*hash, value->data, value->len);
    }
    return true;
}

bool
tr_key_same(const struct tr_value *a, const struct tr_value *b, const uint16_t *columns, uint16_t ncolumns)
{
    for (uint16_t i = 0; i < ncolumns; i++) {
        const struct tr_value *x = &a[columns[i]], *y = &b[columns[i]];
        if (x->state != y->state || x->state == TR_ABSENT)
            return false;
        if (x->state == TR_PRESENT &&
            (x->len != y->len || x->codec != y->codec || memcmp(x->data, y->data, x->len) != 0))
            return false;
    }
    return true;
}
