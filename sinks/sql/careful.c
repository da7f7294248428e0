/* careful.c - the walk through a group's changes, chunk by chunk, then change by change. */
#include "sinks/sql/careful.h"

#define CHUNK 64

bool
tr_sql_is_row(const struct tr_event *event)
{
    return event->kind > 0 && event->kind <= TR_READ && !event->relation->skip;
}

enum tr_sql_op
tr_sql_op_of(const struct tr_sql_map *map, const struct tr_event *event)
{
    if (event->kind == TR_UPDATE)
        return map->nkey == 0                   ? TR_SQL_UPDATE_ROW
               : tr_sql_key_changes(map, event) ? TR_SQL_UPDATE_KEY
                                                : TR_SQL_UPDATE;
    if (event->kind == TR_DELETE)
        return map->nkey == 0 ? TR_SQL_DELETE_ROW : TR_SQL_DELETE;
    return TR_SQL_INSERT;
}

static int
change_of(struct tr_sql_careful *c, const struct tr_event *event, struct tr_sql_change *change,
          struct tr_error *err)
{
    change->event = event;
    tr_sql_event_images(event, &change->key, &change->row);
    return c->driver->map(c, event->relation, &change->map, err);
}

static int
apply_event(struct tr_sql_careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_sql_change change;
    if (event->kind == TR_TRUNCATE)
        return c->driver->truncate(c, event, err);
    if (!tr_sql_is_row(event))
        return 0;
    int rc = change_of(c, event, &change, err);
    return rc < 0 ? rc : c->driver->change(c, &change, err);
}

/* One change under a savepoint of its own. */
static int
apply_slowly(struct tr_sql_careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_sql_change change;
    struct tr_error failure;
    if (!tr_sql_is_row(event))
        return apply_event(c, event, err);
    int rc = change_of(c, event, &change, err);
    if (rc == 0)
        rc = c->driver->run(c, "SAVEPOINT r", err);
    if (rc < 0)
        return rc;
    tr_error_clear(&failure);
    rc = c->driver->change(c, &change, &failure);
    if (rc < 0 && failure.class != TR_CONFLICT) {
        *err = failure;
        return rc;
    }
    if (rc < 0) {
        rc = c->driver->run(c, "ROLLBACK TO SAVEPOINT r", err);
        if (rc == 0)
            rc = c->driver->stray(c, &change, &failure, err);
        if (rc == 1)
            return apply_slowly(c, event, err);
    }
    return rc < 0 ? rc : c->driver->run(c, "RELEASE SAVEPOINT r", err);
}

/* Does a transaction end right after this event of the batch? */
static bool
ends_after(const struct tr_batch *batch, uint32_t index, uint32_t *txn)
{
    while (*txn < batch->ntxns && batch->txns[*txn].first_event + batch->txns[*txn].nevents <= index)
        (*txn)++;
    return *txn < batch->ntxns && batch->txns[*txn].ends &&
           index + 1 == batch->txns[*txn].first_event + batch->txns[*txn].nevents;
}

static int
walk_slowly(struct tr_sql_careful *c, const struct tr_batch *batch, uint32_t from, uint32_t to, uint32_t *txn,
            struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = from; rc == 0 && i < to; i++) {
        rc = apply_slowly(c, &batch->events[i], err);
        if (rc == 0 && ends_after(batch, i, txn))
            rc = c->driver->unpark(c, err);
    }
    return rc;
}

static int
walk_chunk(struct tr_sql_careful *c, const struct tr_batch *batch, uint32_t from, uint32_t to, uint32_t *txn,
           struct tr_error *err)
{
    if (c->group->parked != NULL)
        return walk_slowly(c, batch, from, to, txn, err);
    int rc = c->driver->run(c, "SAVEPOINT chunk", err);
    if (rc < 0)
        return rc;
    for (uint32_t i = from; rc == 0 && i < to; i++)
        rc = apply_event(c, &batch->events[i], err);
    if (rc < 0 && err->class == TR_CONFLICT) {
        rc = c->driver->run(c, "ROLLBACK TO SAVEPOINT chunk", err);
        if (rc == 0)
            rc = walk_slowly(c, batch, from, to, txn, err);
    }
    return rc < 0 ? rc : c->driver->run(c, "RELEASE SAVEPOINT chunk", err);
}

static bool
changes_shape(const struct tr_sql_careful *c, const struct tr_event *event)
{
    return c->driver->changes_shape != NULL && c->driver->changes_shape(c, event);
}

static int
walk_batch(struct tr_sql_careful *c, const struct tr_batch *batch, struct tr_error *err)
{
    uint32_t txn = 0;
    int rc = 0;
    if (c->group->parked != NULL && batch->ntxns > 0 && batch->txns[0].ends && batch->txns[0].nevents == 0)
        rc = c->driver->unpark(c, err); /* nothing but the end of the transaction came */
    for (uint32_t i = 0, end; rc == 0 && i < batch->nevents; i = end) {
        /* Under no savepoint: what fails here is no conflict of a row, and what succeeds is not undone for the sake of one. */
        if (changes_shape(c, &batch->events[i]))
            rc = c->driver->reach_shape(c, &batch->events[i], err);
        for (end = i + 1; end < batch->nevents && end - i < CHUNK && !changes_shape(c, &batch->events[end]);)
            end++;
        if (rc == 0)
            rc = walk_chunk(c, batch, i, end, &txn, err);
    }
    return rc;
}

int
tr_sql_careful_walk(struct tr_sql_careful *c, struct tr_error *err)
{
    int rc = 0;
    for (const struct tr_batch *batch = c->group->first; rc == 0 && batch != NULL; batch = batch->next)
        rc = walk_batch(c, batch, err);
    if (rc == 0 && c->group->checkpoint != NULL)
        rc = c->driver->unpark(c, err);
    return rc;
}
