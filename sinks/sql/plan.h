/*
 * plan.h - a group of source transactions as steps, each a run of rows of one table and one operation.
 *
 * A group is committed as a whole, so that the order of changes of different rows inside it cannot be seen, as long as neither foreign keys nor
 * triggers fire: changes are folded per key (net.h) and sent per table: deletes, then updates, then inserts, which frees unique values before they
 * are taken again. What depends on a group that is not committed yet waits for it; the rest is free to be sent at once. The rules are in
 * docs/parallel-apply.md.
 *
 * A connector's map of a table (maps.h) begins with a struct tr_sql_map, so that it finds its own in a step. thread: the sink's.
 */
#ifndef TR_SINKS_SQL_PLAN_H
#define TR_SINKS_SQL_PLAN_H

#include "core/arena.h"
#include "core/batch.h"
#include "core/error.h"
#include "sinks/sql/keys.h"
#include "sinks/sql/net.h"

enum tr_sql_op {
    TR_SQL_INSERT,
    TR_SQL_UPDATE,
    TR_SQL_UPDATE_KEY, /* the key changes too */
    TR_SQL_DELETE,
    TR_SQL_UPDATE_ROW, /* found by the whole old image; one row at a time */
    TR_SQL_DELETE_ROW,
};

/* What the planner knows of a table of the target. */
struct tr_sql_table {
    const char *schema, *name; /* at the target; the connector's */
    bool exclusive;            /* a unique index whose keys cannot be computed here: one group at a time */
    bool fires;        /* triggers, rules or exclusion constraints are at work: order must be the source's */
    uint64_t last_any; /* the last group that touched it */
    uint64_t last_exclusive; /* the last group that needs it alone */
    /* of the group that is being planned */
    uint64_t group;
    uint64_t depends;  /* what every row of the table waits for */
    uint64_t previous; /* last_any before this group */
    bool dependent;    /* some of its rows wait already: all later ones do, to keep their order */
    struct tr_sql_map *map;
};

/* A unique key of the target in terms of the source's columns: what the dependency tracker hashes. */
struct tr_sql_watched {
    uint64_t seed;
    uint16_t *columns;
    uint16_t ncolumns;
    bool nulls_differ;
};

/* One version of a source relation, as the planner sees it. Pointers are the connector's, and live as long as the map. */
struct tr_sql_map {
    struct tr_relation *relation; /* one reference, the connector's */
    struct tr_sql_table *table;
    const char *label; /* for messages */
    uint16_t ncolumns;
    const uint16_t *key; /* source columns that name the row */
    uint16_t nkey;       /* 0: rows are found by their whole old image */
    bool bare;           /* no column is written: the table has none, or only generated ones */
    struct tr_sql_watched *watched;
    uint16_t nwatched;
    uint16_t *in_full; /* generated columns that the target's table takes, and only full row images have */
    uint16_t nin_full;
    struct tr_net net; /* of the group that is being planned */
};

struct tr_sql_step {
    const char *sql; /* instead of rows */
    enum tr_sql_op op;
    struct tr_sql_map *map;
    const struct tr_net_row **rows; /* all with the same set of present columns */
    uint32_t nrows;
    const struct tr_event *event; /* its event, for messages; or NULL */
};

struct tr_sql_steps {
    struct tr_sql_step *items;
    uint32_t count, cap;
};

/* A group's part that the planner fills. Zeroed but for `number` and an initialised arena. */
struct tr_sql_plan {
    uint64_t number;  /* grows by one with each group, from 1 */
    bool alone;       /* everything before it must be committed first, everything after it waits */
    bool ordered;     /* runs in the source's order: foreign keys or triggers would see the difference */
    bool cascades;    /* holds a change on which foreign keys of the target are to act */
    uint64_t depends; /* the last group that its dependent steps wait for */
    struct tr_sql_steps free, dependent;
    struct tr_arena arena;
};

struct tr_sql_planner {
    struct tr_keys keys;
    uint64_t barrier;              /* the last group that must be alone */
    bool parallel;                 /* several groups may be in flight: keys are watched */
    struct tr_sql_table **touched; /* of the group that is being planned */
    uint32_t ntouched, touched_cap;
};

/* What the planner asks the connector. */
struct tr_sql_target {
    void *arg;
    /* The map of a relation. 1: the shape of its table must be changed first, so that nothing can be planned. */
    int (*map)(void *arg, struct tr_relation *relation, struct tr_sql_map **map, struct tr_error *err);
    /* A truncate as statements, given to tr_sql_plan_statement(). */
    int (*truncate)(void *arg, struct tr_sql_plan *plan, const struct tr_event *event, struct tr_error *err);
    /* 1: foreign keys of the target are to act on this change (cascade.h). NULL: never. */
    int (*cascades)(void *arg, const struct tr_event *event, struct tr_error *err);
    const char *fire,
        *hold_fire; /* statements around such changes; NULL: the connector applies the group change by change */
};

/* Nothing is in flight; `parallel` is the caller's to set. */
void tr_sql_planner_init(struct tr_sql_planner *planner);
void tr_sql_planner_fini(struct tr_sql_planner *planner);

/* Drop the steps, keep what holds them. */
void tr_sql_plan_reset(struct tr_sql_plan *plan);
void tr_sql_plan_fini(struct tr_sql_plan *plan);

/*
 * Turn the batches from `first` on into steps. oldest: groups below that number are committed. May set `alone` and `ordered`. Returns 0, what the target's
 * map() returned, or an error.
 */
int tr_sql_plan(struct tr_sql_planner *planner, struct tr_sql_plan *plan, const struct tr_batch *first,
                uint64_t oldest, const struct tr_sql_target *target, struct tr_error *err);

/* One more step, zeroed. */
struct tr_sql_step *tr_sql_step_add(struct tr_sql_steps *steps);
/* A statement that waits for everything before it; a copy of `sql` is kept. */
void tr_sql_plan_statement(struct tr_sql_plan *plan, const char *sql, const struct tr_event *event);

/* Key and row image of a row event. */
void tr_sql_event_images(const struct tr_event *event, const struct tr_value **key,
                         const struct tr_value **row);
/* Does an update change the columns that name the row? */
bool tr_sql_key_changes(const struct tr_sql_map *map, const struct tr_event *event);

#endif
