/*
 * shape.h - what the sink remembers of each source table's columns: the shape that the target's table has been brought to.
 *
 * A column is known by its number, which survives renames. The memory is the table tailrace.relation_shape and is written in the transaction of the
 * changes that use the shape first, so that a change of shape is noticed even when it happened while nobody looked. Without that table (a role that may not
 * make it) the memory lasts as long as the process.
 */
#ifndef TR_SINKS_POSTGRES_SHAPE_H
#define TR_SINKS_POSTGRES_SHAPE_H

#include "sinks/postgres/apply.h"

struct tr_pg_shape_column {
    char *name;
    char *native;  /* type as the source spells it */
    uint32_t type; /* its oid */
    uint32_t base; /* domains resolved */
    int32_t mod;
    int32_t length, precision, scale;
    uint32_t kind;   /* of what the type's number does not tell; 0 = not known */
    uint16_t number; /* at the source, 0 = not known */
    uint16_t target; /* pg_attribute.attnum at the target, 0 = none */
    bool dropped;    /* at the source; the target keeps the column */
};

/* A generated column, by its name at the source: its expression, as the catalogue printed it, in the shortest form. */
struct tr_pg_shape_generated {
    char *name;
    uint64_t print;
};

struct tr_pg_shape {
    char *table; /* the source's "schema.name" */
    uint64_t id; /* the source's own for the table; another one: the table was made anew */
    struct tr_relation
        *relation; /* seen last and found to be of this shape: one reference; NULL = none yet */
    struct tr_pg_shape_column *columns;
    uint16_t ncolumns;
    struct tr_pg_shape_generated
        *generated; /* what the target's columns, plain ones too, have been computed by */
    uint16_t ngenerated;
    char **key; /* the primary key that the target was brought to: the source's names */
    uint16_t nkey;
    bool keyed;      /* it is known */
    bool gone;       /* the source has dropped the table, and the target keeps it */
    uint64_t writer; /* the group whose transaction stores it; 0 = it is stored */
};

/* What earlier runs of the task remember. */
int tr_pg_shapes_load(struct tr_postgres_sink *sink, struct tr_error *err);
void tr_pg_shapes_free(struct tr_pg_apply *apply);

/* NULL: the table has not been seen. */
struct tr_pg_shape *tr_pg_shape_find(struct tr_pg_apply *apply, const struct tr_relation *relation);
struct tr_pg_shape *tr_pg_shape_named(struct tr_pg_apply *apply, const char *schema, const char *name);

/* The column of the relation that this one is (generated ones are left out), and the other way round; NULL = none. */
const struct tr_column *tr_pg_shape_now(const struct tr_pg_shape *shape,
                                        const struct tr_pg_shape_column *column,
                                        const struct tr_relation *relation);
const struct tr_pg_shape_column *tr_pg_shape_then(const struct tr_pg_shape *shape,
                                                  const struct tr_relation *relation,
                                                  const struct tr_column *column);
/* Are numbers of both comparable? */
bool tr_pg_shape_numbered(const struct tr_pg_shape *shape, const struct tr_relation *relation, uint16_t a,
                          uint16_t b);
/*
 * Did the column come after all of the shape's, or before some of them? By the numbers, which only grow. YOUNGER: the shape is younger than the column, which was left out of the
 * log then. before: NULL = nothing is known.
 */
enum tr_pg_shape_age { TR_PG_SHAPE_UNKNOWN, TR_PG_SHAPE_OLDER, TR_PG_SHAPE_YOUNGER };
enum tr_pg_shape_age tr_pg_shape_age(const struct tr_pg_shape *before, const struct tr_relation *relation,
                                     const struct tr_column *column);
bool tr_pg_shape_same_type(const struct tr_pg_shape_column *before, const struct tr_column *after);
/* Is the type that a statement says the one that it was? */
bool tr_pg_shape_is_said(const struct tr_pg_shape_column *before, const struct tr_column *column);

/* Has the relation the columns of the shape: same ones, same names, same types? */
bool tr_pg_shape_fits(const struct tr_pg_shape *shape, const struct tr_relation *relation);

/* Remember the relation as the shape of `table` (what is dropped stays remembered). Returns the shape, which is to be stored by the group `writer`. */
struct tr_pg_shape *tr_pg_shape_set(struct tr_pg_apply *apply, struct tr_relation *relation,
                                    const struct tr_pg_table *table, uint64_t writer);
/* The columns have other names from now on; the shape is to be stored. */
void tr_pg_shape_rename(struct tr_pg_shape *shape, const struct tr_ddl_table *of,
                        const struct tr_ddl_rename *renames, uint32_t count);
/* The shape has this column too from now on, where the target has it; or the source has dropped it. The shape is to be stored. */
void tr_pg_shape_gain(struct tr_pg_shape *shape, const struct tr_column *column,
                      const struct tr_pg_table *table);
void tr_pg_shape_lose(struct tr_pg_shape *shape, const char *column);
/* The column, generated from now on, is none that the log numbers; generated no more, it computes nothing. The shape is to be stored. */
void tr_pg_shape_compute(struct tr_pg_shape *shape, const struct tr_column *column);
void tr_pg_shape_forget(struct tr_pg_shape *shape, const char *column);
bool tr_pg_shape_is_generated(const struct tr_pg_shape *shape, const char *column);
/* Have the rows of the target been computed by the column's very expression? */
bool tr_pg_shape_computes(const struct tr_pg_shape *shape, const struct tr_column *column);
/* The relation is of the shape. */
void tr_pg_shape_seen(struct tr_pg_shape *shape, struct tr_relation *relation);
/* The statement that stores it. */
void tr_pg_shape_statement(const struct tr_postgres_sink *sink, const struct tr_pg_shape *shape,
                           struct tr_buffer *sql);

/* Is there more to be remembered now than there was? */
bool tr_pg_shape_incomplete(const struct tr_pg_shape *shape, const struct tr_relation *relation);

/*
 * ddl.c: bring the target's table to the relation's shape on this connection, inside the transaction of `group`, by the policy, and store the shape.
 * previous: the shape before when nothing is remembered, or NULL.
 */
int tr_pg_reach_shape(struct tr_postgres_sink *sink, PGconn *conn, uint64_t group,
                      struct tr_relation *previous, struct tr_relation *relation, struct tr_error *err);
/* Does tr_pg_reach_shape have to be called before a row of the relation is applied by this group? */
bool tr_pg_shape_is_due(struct tr_pg_apply *apply, const struct tr_relation *relation, uint64_t group);
/*
 * For a relation that is used for the first time. 0: the table is as it must be; *learnt when there is something of it that `group` shall store. 1: tr_pg_reach_shape
 * has work to do.
 */
int tr_pg_shape_first_use(struct tr_postgres_sink *sink, struct tr_relation *relation, uint64_t group,
                          bool *learnt, struct tr_error *err);

/* The tables as they are made for the load are the shape that the stream begins with. */
int tr_pg_prepare_shapes(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);

/* ---- rekey.c: primary keys */

/* The shape's key is not known; has this column, too (NULL: none); is the relation's. */
void tr_pg_shape_unkey(struct tr_pg_shape *shape);
void tr_pg_shape_add_key(struct tr_pg_shape *shape, const char *column);
void tr_pg_shape_rekey(struct tr_pg_shape *shape, const struct tr_relation *relation);
/* Its columns take the names that they have in the relation; before the shape takes the relation's columns. */
void tr_pg_shape_follow_key(struct tr_pg_shape *shape, const struct tr_relation *relation);
/* Is it the relation's, as far as it is known? */
bool tr_pg_shape_is_keyed(const struct tr_pg_shape *shape, const struct tr_relation *relation);
/* Exchange the target's, inside the open transaction; one that cannot be is said, and stays. The shape remembers what the target has. */
int tr_pg_change_key(struct tr_postgres_sink *sink, PGconn *conn, struct tr_pg_shape *before,
                     const struct tr_relation *after, struct tr_error *err);

/* ---- carry.c: what a statement of MySQL or MariaDB says of columns */

/* Does it add, drop or rename columns of a table of the task, by its own words? */
bool tr_pg_alters_columns(const struct tr_event *event);
/* Do the same at the target and in what is remembered, inside the open transaction. */
int tr_pg_carry_statement(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_event *event,
                          struct tr_error *err);

/* ---- newcolumn.c: columns that the source added */

/* Is it known what the rows hold that are there, or can a constant default be taken for it? */
bool tr_pg_safe_to_add(const struct tr_column *column);
/* ALTER TABLE ... ADD COLUMN with the default that gives those rows what they hold. */
void tr_pg_write_new_column(struct tr_buffer *sql, const struct tr_pg_table *table,
                            const struct tr_column *column);
/* Then the source's own default, where that is another one; inside the open transaction. One that the target cannot have is left out with a warning. */
int tr_pg_settle_default(struct tr_postgres_sink *sink, PGconn *conn, const struct tr_pg_table *table,
                         const struct tr_column *column, struct tr_error *err);

/* ---- foreign.c: tables of another engine */

/* The relation with PostgreSQL's types and defaults, a reference of the caller's; of a PostgreSQL source it is the relation itself. */
struct tr_relation *tr_pg_translated(const struct tr_postgres_sink *sink, struct tr_relation *relation);
/* Do two types' texts mean the same; does every value of the one keep its text in the other? */
bool tr_pg_types_alike(const char *one, const char *other);
bool tr_pg_type_widens(const char *from, const char *to);

#endif
