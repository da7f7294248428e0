/*
 * relation.h - one version of a table's shape.
 *
 * Built by a decoder or a catalogue reader inside its own arena, then immutable and counted: batches, caches and sinks hold
 * references. A changed table is a new relation with the same id and a higher version. `number` is dense and unique within the
 * task, so that a sink keeps what it knows of a relation in an array and looks it up once per change of relation, not per row.
 */
#ifndef TR_CORE_RELATION_H
#define TR_CORE_RELATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/logical.h"
#include "core/value.h"

/* What rows hold that were there before the column was added. */
enum tr_older {
    TR_OLDER_UNKNOWN = 0, /* not told: a constant default is taken for it */
    TR_OLDER_NULL,
    TR_OLDER_VALUE, /* older_value */
};

/* Which rows of the log have a generated column's value. */
enum tr_logged {
    TR_LOGGED_ALWAYS = 0,
    TR_LOGGED_IN_FULL, /* only full row images: a virtual column of MariaDB */
    TR_LOGGED_NEVER,   /* none, or the source does not write such images now: no column is made for it */
};

struct tr_column {
    const char *name;
    const char
        *native; /* the type as DDL of the source spells it, with modifiers: "numeric(10,2)", "shop.mood[]" */
    const char *type_schema;  /* schema of the native type, or NULL where the engine has none */
    const char *type_name;    /* its bare name: "numeric", "mood"; the base type for a domain */
    uint32_t type_id;         /* pg_type.oid (of the domain itself for a domain); MySQL column type code */
    uint32_t base_type_id;    /* domains resolved; otherwise type_id */
    int32_t type_mod;         /* atttypmod, or -1 */
    enum tr_logical logical;  /* domains resolved */
    enum tr_logical element;  /* of an array or range: its element's logical type */
    const char *element_name; /* bare type name of that element, or NULL */
    int32_t length;           /* characters, bytes or bits; -1 = not limited */
    int32_t precision;        /* decimals; -1 = not given */
    int32_t
        scale; /* decimals; for temporal types the digits of the fraction (default of the type resolved); -1 = not given */
    const char *charset;       /* MySQL: character set of the column, else NULL */
    const char *collation;     /* or NULL for the default */
    const char *const *labels; /* enum or set labels in order */
    uint32_t nlabels;
    const char *default_expression; /* SQL text, or NULL */
    const char *
        generation; /* MySQL: what a generated column is computed from, as its catalogue or statement says it; or NULL */
    const char *older_value; /* with TR_OLDER_VALUE: its canonical text (docs/values.md), else NULL */
    const char *
        target_type; /* the type it is to have at the target, by the task's `types` or `columns`; or NULL. Set by mapping, like the target names */
    uint16_t
        number; /* stable number of the column within its table (attnum), 0 = not known, or the engine has none */
    uint16_t key; /* 1-based place in the primary key, 0 = not part of it */
    uint16_t
        unique; /* 1-based place in the unique index that tells rows apart where there is no primary key, 0 = not part of it */
    uint16_t
        identity; /* 1-based place in the replica identity (the columns an old image certainly has), 0 = not part */
    uint8_t older; /* enum tr_older */
    bool
        default_unknown; /* it has one, and the catalogue tells only that of a later type: default_expression is NULL */
    bool not_null;
    bool
        generated; /* GENERATED ALWAYS AS (expression): written only where the target's column is a plain one */
    bool stored;   /* ... and kept with the row */
    uint8_t logged;       /* of a generated column: enum tr_logged */
    bool identity_always; /* GENERATED ALWAYS AS IDENTITY: written with OVERRIDING SYSTEM VALUE */
    bool auto_increment;  /* serial, identity or AUTO_INCREMENT */
    bool invisible;
    bool
        row_end; /* MariaDB's system versioning: until when the row held; of a row that is there the latest time there is */
    bool is_unsigned;
    const void *detail; /* what relation->codec needs (binlog metadata); NULL elsewhere */
};

struct tr_relation;

/* How the values with TR_CODEC_NATIVE or TR_CODEC_PG_BINARY of one source are read. Implemented by its decoder. Pure, any thread. */
struct tr_codec {
    const char *name;
    /* Append the canonical text form (docs/values.md) of a present value. */
    int (*text)(const struct tr_column *column, const struct tr_value *value, struct tr_buffer *out,
                struct tr_error *err);
};

struct tr_relation {
    _Atomic uint32_t references;
    uint32_t number;  /* dense, unique within the task, given by the pipeline's hook */
    uint32_t version; /* counts the shapes seen of this id, from 1 */
    uint64_t id;      /* the source's own (pg_class.oid); log-local table ids are not used here */
    const char *database;
    const char *schema; /* PostgreSQL schema or MySQL database */
    const char *name;
    const char *target_schema; /* where the rows go: mapping's answer; the source's names until then */
    const char *target_name;
    const char *charset; /* MySQL: the character set of new columns; NULL where nobody asked */
    char kind;           /* 'r' ordinary, 'p' partitioned root, 'l' leaf published as itself */
    char
        replica_identity; /* 'd' key, 'n' nothing, 'f' full, 'i' index; PostgreSQL's letters; 'f' for MySQL full images */
    uint16_t ncolumns;
    uint16_t nkeys;       /* columns of the primary key */
    const uint16_t *keys; /* their indexes in key order */
    const struct tr_column *columns;
    const struct tr_codec *codec;
    /* Set by the pipeline's hook before the relation is published to any other thread: */
    uint64_t
        named_at; /* the log does not name the columns: the catalogue did, when the log ended there; else 0 */
    bool skip;    /* not part of the task: the decoder passes over its rows */
    _Atomic bool
        guarded; /* the table has a cut of its own that the stream has not passed: ask hooks->wanted per transaction */
    struct tr_arena arena; /* owns all of the above */
};

/* A relation whose arena holds itself; one reference, the caller's. Fields are the caller's to fill before it is shared. */
struct tr_relation *tr_relation_new(void);
struct tr_relation *tr_relation_ref(struct tr_relation *relation);
void tr_relation_unref(struct tr_relation *relation); /* NULL is allowed */

/* nkeys and keys from the columns' `key` fields. Call when the columns are complete. */
void tr_relation_index_keys(struct tr_relation *relation);

/* Same columns (name, type, modifier, key, identity) in the same order? */
bool tr_relation_same_shape(const struct tr_relation *a, const struct tr_relation *b);

/* Do rows bring the column's value? Not that of a generated one which the log does not have. */
bool tr_column_arrives(const struct tr_column *column);

/* Index of a column by name, or -1. */
int tr_relation_column(const struct tr_relation *relation, const char *name);

/*
 * The canonical text of a present value: either its own bytes (TR_CODEC_TEXT) or rendered into `scratch`, which is reset
 * first. *text is valid until scratch is used again or the batch is freed.
 */
int tr_value_text(const struct tr_relation *relation, const struct tr_column *column,
                  const struct tr_value *value, struct tr_buffer *scratch, const char **text, size_t *len,
                  struct tr_error *err) TR_MUST_CHECK;

#endif
