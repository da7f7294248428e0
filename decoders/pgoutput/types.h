/*
 * types.h - PostgreSQL's types: native name or oid to logical type.
 *
 * The built-in types have fixed oids (src/include/catalog/pg_type.dat); extension types are known by name
 * alone. Pure; any thread.
 */
#ifndef TR_DECODERS_PGOUTPUT_TYPES_H
#define TR_DECODERS_PGOUTPUT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/logical.h"
#include "core/relation.h"

struct tr_pg_type {
    const char *name;   /* pg_type.typname */
    uint32_t oid;       /* of a built-in type; 0 = of an extension, the oid differs per database */
    uint32_t array_oid; /* of the array over it; 0 = none, or of an extension */
    enum tr_logical logical;
    bool binary;      /* tr_pg_codec reads its binary send format */
    uint32_t element; /* of a range or multirange: oid of what it spans; else 0 */
    const char *sql;  /* the name that DDL and format_type() use when it is another than `name`; else NULL */
};

/* NULL when the type is not known. The oid of an array finds nothing here: see tr_pg_array_element. */
const struct tr_pg_type *tr_pg_type_by_oid(uint32_t oid);
const struct tr_pg_type *tr_pg_type_by_name(const char *name);

/* The element type of a built-in array type, or NULL. */
const struct tr_pg_type *tr_pg_array_element(uint32_t array_oid);

/*
 * The logical type of a type by its row in pg_type (a domain by that of its base type): typname, typtype ('b'
 * base, 'c' composite, 'e' enum, 'r' range, 'm' multirange) and typcategory ('A' array). The letters may be 0
 * when they are not known.
 */
enum tr_logical tr_pg_logical(const char *type_name, char typtype, char typcategory);

/* Does tr_pg_codec read the binary format of this type (base type of a domain)? Enums: yes, when logical is
 * TR_ENUM. */
bool tr_pg_binary_known(const struct tr_column *column);

/*
 * Fill native, type_schema, type_name, base_type_id, logical, element, element_name, length, precision and
 * scale of a column from its type_id and type_mod; texts are static or in the arena. native has no modifier.
 * type_name stays NULL when the type is not built in; length, precision and scale are -1 then.
 */
void tr_pg_describe(struct tr_column *column, struct tr_arena *arena);

/* length, precision and scale from column->logical and column->type_mod alone (that of the base type for a
 * domain). */
void tr_pg_apply_modifier(struct tr_column *column);

#endif
