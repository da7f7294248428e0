/*
 * group.h - a group of source transactions that are applied as one, made of the batches that wait. thread: the sink's.
 */
#ifndef TR_SINKS_SQL_GROUP_H
#define TR_SINKS_SQL_GROUP_H

#include "sinks/sql/pending.h"
#include "sinks/sql/plan.h"

struct tr_sql_group {
    struct tr_sql_group *next;
    struct tr_sql_plan plan;
    struct tr_batch *first, *last; /* owned */
    uint64_t sequence;             /* of its last batch */
    char *checkpoint;              /* NULL while its last transaction has not ended */
    uint64_t rows, bytes;
    bool ddl;     /* holds a change of shape */
    bool large;   /* a transaction that comes in slices */
    bool early;   /* failed or was rolled back before its turn: it runs again as the head */
    bool careful; /* goes change by change, as the head */
    bool shaped;  /* large: a change of shape is open in its transaction, and only there to be seen */
    void *parked; /* owned: rows that a slice which went change by change has moved out of the way; or NULL */
    void (*parked_free)(void *parked);
    unsigned slices;  /* begun so far, of a large one */
    unsigned tries;   /* as the head */
    uint64_t misfits; /* values that were stored otherwise, by the policy */
    struct tr_sql_worker *worker;
};

/* Take pending batches into a new group, up to the limits; NULL when the end of the transaction has not come. ordered: see plan.h. */
struct tr_sql_group *tr_sql_group_form(struct tr_sql_pending *pending, uint64_t number, bool ordered);
/* The next slice of a large group; false when nothing of it has come yet. */
bool tr_sql_group_continue(struct tr_sql_group *group, struct tr_sql_pending *pending);
/* Give back the batches of a slice that is applied. */
void tr_sql_group_drop_batches(struct tr_sql_group *group);
void tr_sql_group_drop_parked(struct tr_sql_group *group);
/* NULL is allowed. */
void tr_sql_group_free(struct tr_sql_group *group);

#endif
