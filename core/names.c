/* names.c - open addressing with linear probing, at most half full. Names are only ever added. */
#include "core/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static size_t
hash(const char *name)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *p = name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

/* Where the name is, or where it would stand. */
static struct tr_names_slot *
place(const struct tr_names *names, const char *name)
{
    size_t at = hash(name);
    for (;; at++) {
        struct tr_names_slot *slot = &names->slots[at & (names->cap - 1)];
        if (slot->name == NULL || strcmp(slot->name, name) == 0)
            return slot;
    }
}

uint32_t
tr_names_find(const struct tr_names *names, const char *name)
{
    if (names->count == 0)
        return TR_NAMES_NONE;
    const struct tr_names_slot *slot = place(names, name);
    return slot->name != NULL ? slot->number : TR_NAMES_NONE;
}

static void
grow(struct tr_names *names)
{
    struct tr_names larger = { .cap = names->cap > 0 ? names->cap * 2 : 16, .count = names->count };
    larger.slots = tr_calloc(larger.cap, sizeof(*larger.slots));
    for (size_t i = 0; i < names->cap; i++)
        if (names->slots[i].name != NULL)
            *place(&larger, names->slots[i].name) = names->slots[i];
    free(names->slots);
    *names = larger;
}

void
tr_names_add(struct tr_names *names, const char *name, uint32_t number)
{
    if (names->count * 2 >= names->cap)
        grow(names);
    *place(names, name) = (struct tr_names_slot){ name, number };
    names->count++;
}

void
tr_names_fini(struct tr_names *names)
{
    free(names->slots);
    *names = (struct tr_names){ 0 };
}
