/*
 * change.h - what changes of a table's shape consist of: ddl.c finds them as the difference of two shapes, carry.c in the source's own words.
 */
#ifndef TR_SINKS_POSTGRES_CHANGE_H
#define TR_SINKS_POSTGRES_CHANGE_H

#include "sinks/postgres/shape.h"

struct tr_pg_change {
    struct tr_postgres_sink *sink;
    PGconn *conn;
    struct tr_pg_table *table;        /* the target's, as it was before */
    const struct tr_pg_shape *before; /* NULL: nothing is known of the table */
    const struct tr_relation *after;
    const struct tr_relation *translated; /* after, with types and defaults as PostgreSQL spells them */
    struct tr_buffer sql;
};

/* Each runs its statements inside the open transaction, or refuses with those that the operator may run. */

int tr_pg_change_rename(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err);
/* The target has both names. */
int tr_pg_change_refuse_name(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err);
/* A column of c->after that the source has added; one that the target has already is left alone. */
int tr_pg_change_add(struct tr_pg_change *c, const struct tr_column *source, struct tr_error *err);
/* The target keeps it, and it may be NULL from then on. */
int tr_pg_change_drop(struct tr_pg_change *c, const char *column, struct tr_error *err);

#endif
