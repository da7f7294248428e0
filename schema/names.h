/* names.h - names of keys at a target that keeps them for a schema, or shorter, where the source keeps them for a table, or longer. */
#ifndef TR_SCHEMA_NAMES_H
#define TR_SCHEMA_NAMES_H

#include "core/arena.h"
#include "schema/schema.h"

#define TR_NAME_POSTGRESQL 63 /* bytes */
#define TR_NAME_MYSQL 64

/* The name, or its beginning and 8 hexadecimal digits of `identity` when it has more bytes than `most`. The same at every run. */
const char *tr_name_cut(struct tr_arena *arena, const char *name, const char *identity, size_t most);

/*
 * "table_suffix": what is one to a table becomes one to a schema. Cut as above; when another table's own name or another such name is the same, digits tell them apart.
 * Needs a look at all tables of the schema.
 */
const char *tr_name_joined(struct tr_arena *arena, const struct tr_schema *schema,
                           const struct tr_relation *relation, const char *suffix, size_t most);

/* The name of a table's key, which stays as it is unless another table of the same target schema has a key of that kind and name (or it is too long). */
const char *tr_name_alone(struct tr_arena *arena, const struct tr_schema *schema,
                          const struct tr_relation *relation, enum tr_object_kind kind, const char *name,
                          size_t most);

#endif
