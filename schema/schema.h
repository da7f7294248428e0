/*
 * schema.h - what must be made at the target before, and after, the rows: read from a source's catalogue, printed by a dialect.
 *
 * Objects hold both the neutral description (relations with logical types, keys, columns by index) and, in `native`, the tail of the
 * source's own statement: what follows the object's name (and, for a foreign key, the referenced table's name). So the same dialect
 * prints the text as it was under whatever names mapping gave the tables; another converts the neutral part and lists what it
 * could not carry. Table names in objects are the source's; a dialect looks the target's up by them.
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
    TR_OBJECT_TYPE, /* enum, composite, range; native "AS ENUM (...)"; without native it must exist at the target already */
    TR_OBJECT_DOMAIN,   /* native "AS integer CHECK (...)" */
    TR_OBJECT_SEQUENCE, /* native "AS integer INCREMENT BY ..."; MariaDB: its type, where that is not bigint; identity: made with its table */
    TR_OBJECT_TABLE,    /* only in statements (ddl.h): a table is a struct tr_table */
    TR_OBJECT_PRIMARY_KEY, /* native "PRIMARY KEY (id)" */
    TR_OBJECT_UNIQUE, /* unique constraint (native "UNIQUE (a)") or unique index (native "USING btree (a)") */
    TR_OBJECT_INDEX,  /* native "USING btree (a) WHERE ..." */
    TR_OBJECT_CHECK, /* native "CHECK (...)"; in_create: it stands in the table's create text, otherwise old rows may break it */
    TR_OBJECT_EXCLUSION,   /* native "EXCLUDE USING gist (...)" */
    TR_OBJECT_FOREIGN_KEY, /* native "(id) ON DELETE CASCADE": behind the referenced table's name */
    TR_OBJECT_COMMENT,     /* not used: comments hang on the objects themselves */
    TR_OBJECT_TRIGGER,     /* not carried; native is its definition */
    TR_OBJECT_FUNCTION,    /* must exist at the target already: name is "schema.name(argument types)" */
    TR_OBJECT_COLLATION,   /* must exist at the target already */
};

struct tr_object {
    enum tr_object_kind kind;
    const char *schema;
    const char *name;
    const char *native;      /* see above; NULL when only the neutral part exists */
    const uint16_t *columns; /* indexes into the table's columns, key order */
    uint16_t ncolumns;
    bool is_constraint; /* unique: constraint or index */
    bool deferrable;
    bool has_expression;      /* index on an expression or with a predicate */
    bool is_identity;         /* sequence of an identity column: made with the table, only its value is set */
    bool in_create;           /* check: made with the table */
    bool is_replica_identity; /* index: the table's REPLICA IDENTITY USING INDEX */
    const char *expression;   /* check or index expression text */
    const char *ref_schema,
        *ref_table; /* foreign key: referenced table; sequence: table that owns it (NULL = none) */
    uint32_t ref;   /* 1 + index of that table in the schema; 0 = it is not part of it */
    const char *const *ref_columns;
    const char *on_delete, *on_update; /* "CASCADE", "NO ACTION", ... */
    const char *comment;
    /* sequences */
    int64_t start, increment, minimum, maximum, cache, last_value;
    int64_t round;    /* MariaDB: how often it has begun again */
    bool is_unsigned; /* MariaDB: the numbers are to be read as such */
    bool cycle, is_called;
    bool value_known;         /* last_value and is_called could be read */
    const char *owned_column; /* of the table it hangs on, or NULL */
};

struct tr_table {
    struct tr_relation *
        relation; /* one reference; its `skip` is set for partitions that are here for their root's sake only */
    const struct tr_object *
        objects; /* keys, indexes, checks, foreign keys, triggers of the table; copies of the sequences it owns */
    uint32_t nobjects;
    const char *
        create; /* CREATE TABLE behind the name: columns, defaults, identity, generated, checks, storage; no indexes */
    const char *
        database; /* MySQL and MariaDB: "CHARACTER SET ... COLLATE ..." of its database, which tables that are made later take; or NULL */
    uint32_t
        parent; /* 1 + index of the table it is a partition of; 0 = none. A parent stands before its partitions */
    const char *partition_bound; /* "FOR VALUES FROM ... TO ..." or "DEFAULT" */
    const char *
        alter; /* further ALTER TABLE actions that belong to its making ("ALTER COLUMN a SET STORAGE external, ..."), or NULL */
    const struct tr_column *computed; /* generated columns that neither the log nor the relation has */
    uint16_t ncomputed;
    const char *comment;
    const char *const *column_comments; /* relation->ncolumns, each may be NULL; or NULL */
    uint64_t rows, bytes;               /* estimates */
    bool has_triggers;                  /* enabled user triggers at the source */
    bool
        settled; /* loaded and finished by an earlier run: what the source has changed since comes by the stream */
};

/* Something that is carried otherwise than it was, or not at all. */
struct tr_schema_note {
    const char *object;
    const char *text;
};

struct tr_schema {
    struct tr_arena arena;
    const char *dialect;
    const struct tr_object
        *objects; /* extensions, schemas, types, functions, sequences in the order they must be made */
    uint32_t nobjects;
    struct tr_table *tables;
    uint32_t ntables;
    const struct tr_schema_note *notes;
    uint32_t nnotes;
    /*
     * The tables were loaded as of different cuts: rows may refer to others that the stream has yet to bring, so that
     * foreign keys are made without a look at the rows that are there (NOT VALID).
     */
    bool cuts_differ;
};

/* An empty one, owned by the caller. */
struct tr_schema *tr_schema_new(const char *dialect);

void tr_schema_free(struct tr_schema *schema); /* drops the relations' references; NULL is allowed */

/* The table under its source name, or NULL. Linear: for reports and single look-ups; objects hold the index (`ref`). */
const struct tr_table *tr_schema_table(const struct tr_schema *schema, const char *schema_name,
                                       const char *name);

/* "primary key", "index", ... for messages and reports. */
const char *tr_object_kind_name(enum tr_object_kind kind);

#endif
