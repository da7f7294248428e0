/*
 * names.h - from a name to a number, for lists that may hold ten thousand tables.
 *
 * The names are borrowed: whoever adds one keeps its text where it is for as long as the index lives. An index that is all zero is empty.
 */
#ifndef TR_CORE_NAMES_H
#define TR_CORE_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct tr_names {
    struct tr_names_slot {
        const char *name; /* NULL = free */
        uint32_t number;
    } * slots;
    size_t cap; /* a power of two, or 0 */
    size_t count;
};

#define TR_NAMES_NONE UINT32_MAX

/* The number of a name, or TR_NAMES_NONE. */
uint32_t tr_names_find(const struct tr_names *names, const char *name);
/* A name that is not there yet. */
void tr_names_add(struct tr_names *names, const char *name, uint32_t number);
void tr_names_fini(struct tr_names *names);

#endif
