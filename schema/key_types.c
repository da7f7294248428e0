/* key_types.c - one type for both ends of a foreign key. */
#include "schema/key_types.h"

#include <string.h>
#include <strings.h>

static bool
is_whole_number(enum tr_logical logical)
{
    return logical == TR_INT16 || logical == TR_INT32 || logical == TR_INT64;
}

/* True when one of the two has grown. */
static bool
widen(enum tr_logical *one, enum tr_logical *other)
{
    if (!is_whole_number(*one) || !is_whole_number(*other) || *one == *other)
        return false;
    *one = *other = *one > *other ? *one : *other;
    return true;
}

static bool
widen_key(const struct tr_schema *schema, enum tr_logical *const *types, uint32_t table,
          const struct tr_object *key)
{
    const struct tr_relation *parent = schema->tables[key->ref - 1].relation;
    bool grown = false;
    for (uint16_t i = 0; i < key->ncolumns; i++) {
        int at = tr_relation_column(parent, key->ref_columns[i]);
        grown |= at >= 0 && widen(&types[table][key->columns[i]], &types[key->ref - 1][at]);
    }
    return grown;
}

/* Types only grow, and there are three of them: it ends. */
const enum tr_logical *const *
tr_key_types(struct tr_arena *arena, const struct tr_schema *schema)
{
    enum tr_logical **types = tr_arena_alloc(arena, (schema->ntables + 1) * sizeof(*types));
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        types[t] = tr_arena_alloc(arena, (relation->ncolumns + 1U) * sizeof(**types));
        for (uint16_t c = 0; c < relation->ncolumns; c++)
            types[t][c] = relation->columns[c].logical;
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (uint32_t t = 0; t < schema->ntables; t++)
            for (uint32_t i = 0; i < schema->tables[t].nobjects; i++) {
                const struct tr_object *object = &schema->tables[t].objects[i];
                if (object->kind == TR_OBJECT_FOREIGN_KEY && object->ref > 0 && object->ref_columns != NULL)
                    grown |= widen_key(schema, types, t, object);
            }
    }
    return (const enum tr_logical *const *)types;
}

static bool
is_text(const char *type)
{
    return strncmp(type, "VARCHAR", 7) == 0 || strncmp(type, "CHAR", 4) == 0;
}

/* How long they are counts for nothing in texts and bytes; their character set and collation do. */
bool
tr_key_types_join(const char *one, const char *other)
{
    const char *set = strstr(one, " CHARACTER SET "), *other_set = strstr(other, " CHARACTER SET ");
    if (is_text(one) && is_text(other) && set != NULL && other_set != NULL)
        return strcasecmp(set, other_set) == 0;
    if (strncmp(one, "VARBINARY", 9) == 0)
        return strncmp(other, "VARBINARY", 9) == 0;
    return strcasecmp(one, other) == 0;
}
