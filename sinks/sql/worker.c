/* worker.c - what every connector's worker does alike (apply.h). */
#include "sinks/sql/apply.h"

void
tr_sql_worker_rewind(struct tr_sql_worker *worker)
{
    worker->begun = false;
    worker->in_dependent = false;
    worker->step = worker->row = 0;
}

void
tr_sql_worker_start(struct tr_sql_worker *worker, struct tr_sql_group *group)
{
    bool slice = worker->group == group && worker->begun && worker->state == TR_SQL_READY;
    worker->group = group;
    group->worker = worker;
    tr_sql_worker_rewind(worker);
    worker->in_savepoint = false;
    worker->begun = slice;
    if (!slice)
        group->misfits = 0;
    worker->state = TR_SQL_RUN;
    worker->told_to_yield = false;
    tr_error_clear(&worker->failure);
}

void
tr_sql_worker_failed(const struct tr_sql_apply *apply, struct tr_sql_worker *worker)
{
    worker->state = TR_SQL_FAILED;
    worker->failed_as_head = apply->head == worker->group;
}

const struct tr_sql_step *
tr_sql_worker_next(const struct tr_sql_apply *apply, struct tr_sql_worker *worker, bool *end)
{
    const struct tr_sql_group *group = worker->group;
    *end = false;
    if (!worker->in_dependent && worker->step == group->plan.free.count) {
        worker->in_dependent = true;
        worker->step = 0;
    }
    const struct tr_sql_steps *steps = worker->in_dependent ? &group->plan.dependent : &group->plan.free;
    if (worker->step == steps->count) {
        *end = true;
        return NULL;
    }
    /* the oldest waits for nobody: a later slice of its own meets its own number */
    if (worker->in_dependent && apply->head != group && tr_sql_oldest(apply) <= group->plan.depends)
        return NULL;
    return &steps->items[worker->step];
}
