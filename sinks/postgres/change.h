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

/* "ALTER TABLE schema.name " */
void tr_pg_change_alter(struct tr_buffer *sql, const struct tr_pg_table *table);
/* Runs c->sql and empties it; a refusal names it. */
int tr_pg_change_run(struct tr_pg_change *c, struct tr_error *err);
/* Has the target's table any? */
int tr_pg_change_has_rows(struct tr_pg_change *c, bool *any, struct tr_error *err);

/* Each runs its statements inside the open transaction, or refuses with those that the operator may run. */

int tr_pg_change_rename(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err);
/* The target has both names. */
int tr_pg_change_refuse_name(struct tr_pg_change *c, const char *from, const char *to, struct tr_error *err);
/* A column of c->after that the source has added; one that the target has already is left alone. */
int tr_pg_change_add(struct tr_pg_change *c, const struct tr_column *source, struct tr_error *err);
/* The target keeps it, and it may be NULL from then on. */
int tr_pg_change_drop(struct tr_pg_change *c, const char *column, struct tr_error *err);

/* rekey.c: the target's column `at`, which the source has no more, may be part of no key. */
int tr_pg_change_leave_key(struct tr_pg_change *c, int at, struct tr_error *err);
/* retype.c: the source, of another engine, has made its column of c->after what it is there; `at` is the target's. Refuses what may have changed older rows in a way that is not known. */
int tr_pg_change_type(struct tr_pg_change *c, const struct tr_column *column, int at, struct tr_error *err);

/*
 * generated.c: c->after's column `index`, which a statement adds or defines anew, and which is generated at the source or at the target: the target computes it, too, or holds its values
 * in a plain column. shape: the table behind the statement, or NULL. Refuses what would leave rows with old values.
 */
int tr_pg_change_generated(struct tr_pg_change *c, uint16_t index, const struct tr_relation *shape,
                           struct tr_error *err);

#endif
