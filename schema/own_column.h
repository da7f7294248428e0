/* own_column.h - what MySQL's and MariaDB's own CREATE TABLE says of a column and the neutral description does not. */
#ifndef TR_SCHEMA_OWN_COLUMN_H
#define TR_SCHEMA_OWN_COLUMN_H

#include "core/arena.h"
#include "schema/schema.h"

struct tr_own_column {
    const char *default_text; /* as written, constants with their quotes; NULL = none */
    const char *on_update;    /* "current_timestamp(3)", or NULL */
    const char *generated;    /* the expression without its parentheses, or NULL */
    const char *check;        /* of a check that stands with the column (MariaDB), the same, or NULL */
    bool stored, invisible;
};

/* The line of the table's statement that makes the column, taken apart; texts go into the arena. False when there is no such line. */
bool tr_own_column(struct tr_arena *arena, const struct tr_table *table, const char *name,
                   struct tr_own_column *own);

/* The end of the text in parentheses (or of the quoted one) that begins at p; NULL when it does not end before `end`. */
const char *tr_own_group_end(const char *p, const char *end);

#endif
