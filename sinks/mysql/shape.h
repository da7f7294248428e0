/*
 * shape.h - which column of the target holds which of PostgreSQL's: by the number that survives renames and is never used again.
 *
 * The memory is the table tailrace.column_place. DDL commits by itself here, so it is written before a change, in words that are true before it and behind it: a
 * column has its name or, when that is gone, the next one. Rows of every shape find their columns by it, whatever those are called by now. thread: the sink's.
 */
#ifndef TR_SINKS_MYSQL_SHAPE_H
#define TR_SINKS_MYSQL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/relation.h"
#include "sinks/sink.h"

struct tr_mysql_sink;
struct tr_my_table;

struct tr_my_place {
    uint16_t number; /* at the source */
    char *name;      /* at the target; empty: it was dropped there, for a new one of its name */
    char *next;      /* what it is being renamed to, empty when it is to be dropped, or NULL */
};

struct tr_my_shape {
    char *table;                /* the source's "schema.name" */
    uint64_t id;                /* the source's own for the table; another one: the table was made anew */
    struct tr_my_place *places; /* also of columns that the source has dropped and the target keeps */
    uint16_t nplaces;
    bool used;  /* in this run */
    bool ahead; /* it is of a large transaction that is not committed: older rows of it may come once more */
    struct tr_relation
        *late; /* the target's columns are to get its names when nothing is under way: one reference */
};

struct tr_my_shapes {
    struct tr_my_shape **list;
    uint32_t count;
    bool late; /* of one of them */
};

/* What earlier runs of the task remember; the tables as they are made for the load are what the stream begins with. */
int tr_my_shapes_load(struct tr_mysql_sink *sink, struct tr_error *err);
int tr_my_shapes_prepare(struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err);
int tr_my_shape_store(struct tr_mysql_sink *sink, const struct tr_my_shape *shape, struct tr_error *err);
void tr_my_shapes_free(struct tr_my_shapes *shapes);

/* NULL: nothing is remembered of it. */
struct tr_my_shape *tr_my_shape_find(const struct tr_my_shapes *shapes, const struct tr_relation *relation);
/* `table` is taken. */
struct tr_my_shape *tr_my_shape_add(struct tr_my_shapes *shapes, char *table, uint64_t id);
void tr_my_place_free(struct tr_my_place *place);
void tr_my_shape_place(struct tr_my_shape *shape, uint16_t number, const char *name);
/* The target's column that holds the source's, or -1; without a shape or a number, by its name. */
int tr_my_shape_column(const struct tr_my_shape *shape, const struct tr_my_table *table,
                       const struct tr_column *column);
/* Does the target have the source's older column no more? Its values go nowhere. */
bool tr_my_shape_lost(const struct tr_my_shape *shape, const struct tr_column *column);
/* By the source's number; by the target's name: whose is the column? NULL = nobody's. shape may be NULL. */
struct tr_my_place *tr_my_shape_numbered(const struct tr_my_shape *shape, uint16_t number);
struct tr_my_place *tr_my_shape_owner(const struct tr_my_shape *shape, const char *name);
/* ---- follow.c */

/* Are the columns of both the same, under the same names? */
bool tr_my_shape_fits(const struct tr_my_shape *shape, const struct tr_my_table *table,
                      const struct tr_relation *relation);

/*
 * The target's columns get the names of `after`, and what comes with it a place; `table` is brought up to date. before: the shape that it had, or NULL. Refuses a column whose name
 * the target keeps of a dropped one. While a large transaction is open names wait until tr_my_shapes_catch_up(), if they can.
 */
int tr_my_shape_follow(struct tr_mysql_sink *sink, const struct tr_relation *before,
                       struct tr_relation *after, struct tr_my_table *table, struct tr_error *err);
/* The same for the first shape of a table in a run; *changed: the table is to be read again. */
int tr_my_shape_first_use(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_table *table,
                          bool *changed, struct tr_error *err);
/* Nothing is in flight. */
int tr_my_shapes_catch_up(struct tr_mysql_sink *sink, struct tr_error *err);

#endif
