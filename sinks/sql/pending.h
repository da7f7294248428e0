/*
 * pending.h - batches that were written and wait for their group, in the order of the log.
 *
 * A group takes whole transactions, as many as fit; a transaction that is too large to be held until its end is here goes in slices. thread: the sink's.
 */
#ifndef TR_SINKS_SQL_PENDING_H
#define TR_SINKS_SQL_PENDING_H

#include "core/batch.h"

struct tr_sql_pending {
    struct tr_batch *first, *last; /* owned */
    uint64_t rows, bytes;
    uint64_t rows_limit, bytes_limit;                    /* of a group */
    uint64_t hold_limit;                                 /* a larger transaction is applied while it comes */
    bool (*changes_shape)(const struct tr_event *event); /* such a transaction stands alone */
};

/* How far the next group reaches. */
struct tr_sql_reach {
    struct tr_batch *end; /* NULL: the transaction's end has not come */
    bool large;           /* it is too big to wait for */
    bool ddl, truncate;   /* it holds a change of shape, a truncate */
};

/* group_rows: changes in a group; memory: bytes for the whole sink. */
void tr_sql_pending_init(struct tr_sql_pending *pending, uint64_t group_rows, uint64_t memory, int workers,
                         bool (*changes_shape)(const struct tr_event *event));
/* Takes the batch over. */
void tr_sql_pending_add(struct tr_sql_pending *pending, struct tr_batch *batch);
void tr_sql_pending_free(struct tr_sql_pending *pending);

/* Is more here than `times` groups can take? */
bool tr_sql_pending_over(const struct tr_sql_pending *pending, uint64_t times);
/* Is a whole transaction here? */
bool tr_sql_pending_has_end(const struct tr_sql_pending *pending);
/* Does the first transaction change a table's shape, as far as it is here? */
bool tr_sql_pending_changes_shape(const struct tr_sql_pending *pending);

/* The next group: as many whole transactions as the limits allow, at least one; or the first part of one that is too large to wait for. */
struct tr_sql_reach tr_sql_pending_reach(const struct tr_sql_pending *pending);
/* The next slice of a large transaction: up to its end, or all that is here, which is not nothing. */
struct tr_sql_reach tr_sql_pending_slice(const struct tr_sql_pending *pending);

/* Cut off the batches up to `end`, which becomes the last of the list that is returned, the caller's. *rows and *bytes: of these. */
struct tr_batch *tr_sql_pending_take(struct tr_sql_pending *pending, struct tr_batch *end, uint64_t *rows,
                                     uint64_t *bytes);

/* Free a list of batches. */
void tr_sql_batches_free(struct tr_batch *first);

#endif
