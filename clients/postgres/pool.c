/* pool.c - see pool.h. The newest idle connection is lent first: its caches are the warmest. */
#include "clients/postgres/pool.h"

#include <stdlib.h>

#include "core/memory.h"

void
tr_pg_pool_init(struct tr_pg_pool *pool)
{
    *pool = (struct tr_pg_pool){ 0 };
    pthread_mutex_init(&pool->lock, NULL);
}

PGconn *
tr_pg_pool_take(struct tr_pg_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    PGconn *conn = pool->count > 0 ? pool->idle[--pool->count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    return conn;
}

void
tr_pg_abandon(PGconn *conn)
{
    if (conn != NULL && PQtransactionStatus(conn) == PQTRANS_ACTIVE)
        tr_pg_cancel(conn); /* a server that cannot be reached now finds out by itself */
    tr_pg_close(conn);
}

static void
keep(struct tr_pg_pool *pool, PGconn *conn)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->count == pool->capacity) {
        pool->capacity = pool->capacity > 0 ? 2 * pool->capacity : 8;
        pool->idle = tr_realloc(pool->idle, pool->capacity * sizeof(*pool->idle));
    }
    pool->idle[pool->count++] = conn;
    pthread_mutex_unlock(&pool->lock);
}

void
tr_pg_pool_give(struct tr_pg_pool *pool, PGconn *conn)
{
    if (conn == NULL)
        return;
    PGTransactionStatusType status = PQtransactionStatus(conn);
    if (status == PQTRANS_IDLE && PQstatus(conn) == CONNECTION_OK)
        keep(pool, conn);
    else
        tr_pg_abandon(conn);
}

void
tr_pg_pool_clear(struct tr_pg_pool *pool)
{
    PGconn *conn;
    while ((conn = tr_pg_pool_take(pool)) != NULL)
        tr_pg_close(conn);
}

void
tr_pg_pool_fini(struct tr_pg_pool *pool)
{
    tr_pg_pool_clear(pool);
    free(pool->idle);
    pthread_mutex_destroy(&pool->lock);
}
