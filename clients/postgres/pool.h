/*
 * pool.h - connections that are lent from piece of work to piece of work, because making one costs the server more than copying a small table.
 *
 * The pool keeps what is idle and makes nothing: whoever finds it empty connects, sets the session up as all others in this pool, and gives it
 * back later. Several threads take and give; a connection belongs to the thread that has taken it.
 */
#ifndef TR_CLIENTS_POSTGRES_POOL_H
#define TR_CLIENTS_POSTGRES_POOL_H

#include <pthread.h>
#include <stddef.h>

#include "clients/postgres/connection.h"

struct tr_pg_pool {
    pthread_mutex_t lock;
    PGconn **idle;
    size_t count, capacity;
};

void tr_pg_pool_init(struct tr_pg_pool *pool);
/* NULL = none is idle: connect. thread: any. */
PGconn *tr_pg_pool_take(struct tr_pg_pool *pool);
/* Close; a statement still at work is cancelled first (one that waits for a lock or builds an index would not notice that its client has gone). NULL is allowed. */
void tr_pg_abandon(PGconn *conn);
/* Give back, or abandon when it is of no further use: lost, in a transaction, or at work. conn may be NULL. thread: any. */
void tr_pg_pool_give(struct tr_pg_pool *pool, PGconn *conn);
/* Close what is idle; the pool can be used on. thread: any. */
void tr_pg_pool_clear(struct tr_pg_pool *pool);
/* All connections have been given back. */
void tr_pg_pool_fini(struct tr_pg_pool *pool);

#endif
