/*
 * schema.h - what must be made at the target before, and after, the rows: read from a source's catalogue, printed by a dialect.
 *
 * Objects hold both the neutral description (relations with logical types, keys, columns by index) and the source's own SQL text where one exists; the
 * same dialect prints the text as it was (`native`), another converts the neutral part and lists what it could not carry.
 */
#ifndef TR_SCHEMA_SCHEMA_H
#define TR_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/relation.h"

enum tr_object_kind {
    TR_OBJECT_EXTENSION,
    TR_OBJECT_SCHEMA,
    TR_OBJECT_TYPE,       /* enum, domain, composite, range */
    TR_OBJECT_SEQUENCE,
    TR_OBJECT_PRIMARY_KEY,
    TR_OBJECT_UNIQUE,     /* unique constraint or unique index */
    TR_OBJECT_INDEX,
    TR_OBJECT_CHECK,
    TR_OBJECT_EXCLUSION,
    TR_OBJECT_FOREIGN_KEY,
    TR_OBJECT_COMMENT,
    TR_OBJECT_TRIGGER,
};

struct tr_object {
    enum tr_object_kind kind;
    const char *schema;
    const char *name;
    const char *native;      /* the statement as the source's dialect would make it; NULL when only the neutral part exists */
    const uint16_t *columns; /* indexes into the table's columns, key order */
    uint16_t ncolumns;
    bool is_constraint;      /* unique: constraint or index */
    bool deferrable;
    bool has_expression;     /* index on an expression or with a predicate */
    const char *expression;  /* check or index expression text */
    const char *ref_schema, *ref_table; /* foreign key */
    const char *const *ref_columns;
    const char *on_delete, *on_update;  /* "CASCADE", "NO ACTION", ... */
    const char *comment;
    /* sequences */
    int64_t start, increment, minimum, maximum, cache, last_value;
    bool cycle, is_called;
    const char *owned_column; /* of the table it hangs on, or NULL */
};

struct tr_table {
    struct tr_relation *relation; /* one reference */
    const struct tr_object *objects; /* keys, indexes, checks, foreign keys, comments, triggers of the table */
    uint32_t nobjects;
    const char *create;       /* CREATE TABLE with columns, defaults, identity, generated, checks; no indexes. Source dialect, target names */
    const char *partition_of; /* "schema.parent" or NULL */
    const char *partition_bound;
    const char *comment;
    uint64_t rows, bytes;     /* estimates */
    bool has_triggers;        /* enabled user triggers at the source */
};

struct tr_schema {
    struct tr_arena arena;
    const char *dialect;
    const struct tr_object *objects; /* extensions, schemas, types, sequences in the order they must be made */
    uint32_t nobjects;
    struct tr_table *tables;
    uint32_t ntables;
};

void tr_schema_free(struct tr_schema *schema); /* drops the relations' references; NULL is allowed */

#endif
