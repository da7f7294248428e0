/*
 * key_types.h - one type for both ends of a foreign key.
 *
 * PostgreSQL joins a smallint to a bigint by a foreign key; MySQL and MariaDB refuse that. The narrower ends are made as wide as the widest of all that
 * foreign keys link, which loses nothing.
 */
#ifndef TR_SCHEMA_KEY_TYPES_H
#define TR_SCHEMA_KEY_TYPES_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/logical.h"
#include "schema/schema.h"

/* For each table, for each of its columns: the widest whole number among all that foreign keys link to it, or the column's own type. In the arena. */
const enum tr_logical *const *tr_key_types(struct tr_arena *arena, const struct tr_schema *schema);

/* May a foreign key of MySQL or MariaDB join columns of these types, as they are written in statements? */
bool tr_key_types_join(const char *one, const char *other);

#endif
