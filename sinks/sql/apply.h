/*
 * apply.h - the order of it all: groups of source transactions over several connections, whatever the database.
 *
 * One thread drives it. A batch that was written waits in `pending`; contiguous batches become a group (group.h); a group is planned into steps (plan.h); a worker,
 * which is one connection, sends the steps and reads the answers; groups commit in the source's order, and are undone and run again where the net of
 * docs/parallel-apply.md asks for it. What a database does its own way stands in its struct tr_sql_driver. thread of everything here: the sink's.
 */
#ifndef TR_SINKS_SQL_APPLY_H
#define TR_SINKS_SQL_APPLY_H

#include <poll.h>

#include "sinks/sink.h"
#include "sinks/sql/group.h"

/* ------------------------------------------------------------------------------------------- a worker */

enum tr_sql_worker_state {
    TR_SQL_IDLE = 0,
    TR_SQL_RUN,    /* sending steps, reading answers */
    TR_SQL_READY,  /* every answer was right; waits for its turn to commit, or for the next slice */
    TR_SQL_COMMIT, /* checkpoint and COMMIT are sent */
    TR_SQL_FAILED, /* a step failed; answers still outstanding are read, then ROLLBACK */
    TR_SQL_UNDO,   /* ROLLBACK is sent */
    TR_SQL_AGAIN,  /* rolled back; runs again as the head */
};

/* The first member of a connector's own worker. */
struct tr_sql_worker {
    int index;
    bool connected;
    enum tr_sql_worker_state state;
    struct tr_sql_group *group;
    bool begun;        /* the transaction is open at the target, or will be when what was sent is done */
    bool in_savepoint; /* a slice of a large transaction: SAVEPOINT slice was sent */
    /* the next rows to send */
    bool in_dependent;
    uint32_t step, row;
    int64_t waiting_since; /* monotonic: the oldest outstanding answer is awaited since; 0 = none */
    struct tr_error failure;
    bool failed_as_head; /* the failure is the head's, not one of coming too early */
    bool told_to_yield;  /* rolled back for the sake of the head */
};

struct tr_sql_apply;

/* Begin to apply a planned group (or its next slice). */
void tr_sql_worker_start(struct tr_sql_worker *worker, struct tr_sql_group *group);
/* Back to the group's first step, outside a transaction. */
void tr_sql_worker_rewind(struct tr_sql_worker *worker);
/* worker->failure is set, or about to be. */
void tr_sql_worker_failed(const struct tr_sql_apply *apply, struct tr_sql_worker *worker);
/* The next step that may be sent, or NULL; *end when there is none left at all. */
const struct tr_sql_step *tr_sql_worker_next(const struct tr_sql_apply *apply, struct tr_sql_worker *worker,
                                             bool *end);

/* ------------------------------------------------------------------------------------------- what a database does its own way */

/* Every int is 0 or an error that ends the task's attempt, unless it says more. `apply` and `worker` are the first members of the connector's own. */
struct tr_sql_driver {
    /* A change of shape commits by itself: it is prepared while nothing else is in flight. */
    bool shape_commits;
    bool (*changes_shape)(const struct tr_event *event);
    /* Connect. worker->index is set. */
    int (*open)(struct tr_sql_apply *apply, struct tr_sql_worker *worker, struct tr_error *err);
    /* For every worker that is connected: read what came, send what can be sent, wait for nothing. *moved is set when anything changed. */
    int (*turn)(struct tr_sql_apply *apply, bool *moved, struct tr_error *err);
    /* Does the worker wait for its socket, and for what there? */
    bool (*waits)(const struct tr_sql_worker *worker, struct pollfd *fd);
    /* Begin to roll a group back that is not the head; nothing when that is on its way. */
    void (*yield)(struct tr_sql_apply *apply, struct tr_sql_worker *worker);
    /* Send the checkpoint and COMMIT: the group is the head and READY. */
    int (*commit)(struct tr_sql_apply *apply, struct tr_sql_worker *worker, struct tr_error *err);
    /* Has the COMMIT been answered? */
    bool (*committed)(const struct tr_sql_worker *worker);
    /* Plan a group that is new (group->worker is NULL) or the next slice of a large one. May ask the catalogue. 1: it goes change by change; group->careful is set. */
    int (*prepare)(struct tr_sql_apply *apply, struct tr_sql_group *group, struct tr_error *err);
    /* Apply the head change by change, alone in flight; commit it if its end has come. */
    int (*carefully)(struct tr_sql_apply *apply, struct tr_sql_group *group, struct tr_error *err);
    /* The head was committed, and will be freed. */
    void (*finished)(struct tr_sql_apply *apply, const struct tr_sql_group *group);
    /* *sequence: up to where what was committed is on disk now, as far as that is known without haste. force: make it so. */
    int (*durable)(struct tr_sql_apply *apply, bool force, uint64_t *sequence, struct tr_error *err);
    /* The head has been waiting for an answer: if a younger group is in its way, let that one yield. */
    int (*unblock)(struct tr_sql_apply *apply, struct tr_sql_worker *head, int64_t waited_us, bool *moved,
                   struct tr_error *err);
    /* Is this failure one that goes away by itself: a deadlock, a lock not had in time? */
    bool (*passing)(const struct tr_error *failure);
    /* NULL: the client library ends what is under way when the task is to stop. Else: has it been told to? And wait_us, or what is left of the time after that when it
     * is less; 0 = give up. */
    bool (*stopping)(struct tr_sql_apply *apply);
    int64_t (*patience)(struct tr_sql_apply *apply, int64_t wait_us);
    int (*give_up)(struct tr_error *err);
};

/* ------------------------------------------------------------------------------------------- the stream's way in */

struct tr_sql_counts {
    uint64_t groups, rows, deadlocks, early, yielded, careful, conflicts;
};

/* The first member of a connector's own. */
struct tr_sql_apply {
    const struct tr_sql_driver *driver;
    const struct tr_sink_env *env;
    struct tr_sql_worker **workers; /* each the connector's */
    int nworkers;
    bool ordered; /* triggers and foreign keys fire: groups run one at a time, in the source's order */
    struct tr_sql_pending pending;
    struct tr_sql_group *head, *tail; /* groups in flight, oldest first */
    uint64_t next_group;
    uint64_t calm; /* groups below this number run one after the other */
    struct tr_sql_planner planner;
    uint64_t committed, durable; /* sequences: of the last group committed, and reported to be on disk */
    int64_t asked_blocked_us;
    struct tr_sql_counts counts;
};

/* env and driver must outlive it. workers: setting `workers` of them, zeroed, `size` bytes each; only the first is connected now, the others when there is work for them. */
int tr_sql_apply_open(struct tr_sql_apply *apply, const struct tr_sink_env *env,
                      const struct tr_sql_driver *driver, void *workers, size_t size, struct tr_error *err);
/* Every worker has been closed. */
void tr_sql_apply_fini(struct tr_sql_apply *apply);

/* Group numbers below it are committed. */
static inline uint64_t
tr_sql_oldest(const struct tr_sql_apply *apply)
{
    return apply->head != NULL ? apply->head->plan.number : apply->next_group;
}

/* sink.h's write, poll and flush. */
int tr_sql_apply_write(struct tr_sql_apply *apply, struct tr_batch *batch, struct tr_error *err);
int tr_sql_apply_poll(struct tr_sql_apply *apply, int64_t wait_us, struct tr_error *err);
int tr_sql_apply_flush(struct tr_sql_apply *apply, int64_t deadline_us, struct tr_error *err);

#endif
