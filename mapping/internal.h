/* internal.h - what the files of mapping share. */
#ifndef TR_MAPPING_INTERNAL_H
#define TR_MAPPING_INTERNAL_H

#include "mapping/mapping.h"

struct tr_type_rule {
    char *key;        /* a type of the source's, or schema.table.column */
    const char *type; /* inside the setting */
};

struct tr_type_rules {
    struct tr_type_rule *items;
    size_t count;
};

struct tr_mapping {
    const char *const *include;
    size_t nincludes;
    const char *const *exclude;
    size_t nexcludes;
    struct tr_type_rules types, columns;
};

#endif
