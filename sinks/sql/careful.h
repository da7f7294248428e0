/*
 * careful.h - a group's changes one by one, in the order of the source, and what becomes of those that do not fit.
 *
 * A group comes here when its runs failed, or when it changes the shape of a table. Chunks of changes stand under a savepoint; a chunk that fails is gone through again
 * with a savepoint for each change, so that the one at fault is found and the policy asked.
 *
 * Unique values that are exchanged inside a transaction (UPDATE t SET k = k + 1) collide when they are written row by row. A row that collides is parked by the
 * connector: taken out of the table, changed there, and put back when its transaction ends. thread: the sink's.
 */
#ifndef TR_SINKS_SQL_CAREFUL_H
#define TR_SINKS_SQL_CAREFUL_H

#include "sinks/sql/apply.h"

enum tr_sql_conflict_policy { TR_SQL_CONFLICT_STOP, TR_SQL_CONFLICT_OVERWRITE, TR_SQL_CONFLICT_SKIP };

/* "stop", "overwrite" or "skip", as the option on_conflict has it. */
enum tr_sql_conflict_policy tr_sql_conflict_policy(const char *text);

struct tr_sql_careful;

/* A row's change. */
struct tr_sql_change {
    const struct tr_event *event;
    struct tr_sql_map *map;
    const struct tr_value *key, *row; /* tr_sql_event_images */
};

/* What a database does its own way. Every int is 0 or an error, unless it says more. -TR_CONFLICT: the change does not fit; what it did is undone by going back to the savepoint. */
struct tr_sql_careful_driver {
    /* One statement that brings no rows: of savepoints. */
    int (*run)(struct tr_sql_careful *c, const char *sql, struct tr_error *err);
    int (*map)(struct tr_sql_careful *c, struct tr_relation *relation, struct tr_sql_map **map,
               struct tr_error *err);
    /* Make the change; exactly one row must be touched. */
    int (*change)(struct tr_sql_careful *c, const struct tr_sql_change *change, struct tr_error *err);
    int (*truncate)(struct tr_sql_careful *c, const struct tr_event *event, struct tr_error *err);
    /* The change failed for good and was rolled back to savepoint r: park it, or tr_sql_settle. 1: what stood in its way is gone, try it again. */
    int (*stray)(struct tr_sql_careful *c, const struct tr_sql_change *change, const struct tr_error *failure,
                 struct tr_error *err);
    /* Make the target's row what the source's is. Savepoint r is there to go back to. */
    int (*overwrite)(struct tr_sql_careful *c, const struct tr_sql_change *change,
                     const struct tr_error *failure, struct tr_error *err);
    /* Better advice than "mend the row" for this failure: set as err's hint. */
    bool (*advise)(const struct tr_sql_map *map, const struct tr_error *failure, struct tr_error *err);
    /* A transaction ends: every parked row has its place now, or the conflict is real. */
    int (*unpark)(struct tr_sql_careful *c, struct tr_error *err);
    /* NULL: shapes are changed elsewhere. Else: has a table's shape to be looked at before this event? Bring it about, under no savepoint. */
    bool (*changes_shape)(const struct tr_sql_careful *c, const struct tr_event *event);
    int (*reach_shape)(struct tr_sql_careful *c, const struct tr_event *event, struct tr_error *err);
};

/* The first member of a connector's own. */
struct tr_sql_careful {
    const struct tr_sql_careful_driver *driver;
    struct tr_sql_apply *apply;
    struct tr_sql_group *group;
    enum tr_sql_conflict_policy policy;
};

/* Go through the group's batches, inside an open transaction. */
int tr_sql_careful_walk(struct tr_sql_careful *c, struct tr_error *err);

/* Is it a change of a row that this sink applies? */
bool tr_sql_is_row(const struct tr_event *event);
/* The operation of a row's change, by how the map finds its row. */
enum tr_sql_op tr_sql_op_of(const struct tr_sql_map *map, const struct tr_event *event);

/* A conflict, known to be real: by the policy. `image` names the row for the operator. */
int tr_sql_settle(struct tr_sql_careful *c, const struct tr_sql_change *change, const struct tr_value *image,
                  const struct tr_error *failure, struct tr_error *err);
/* Stop for it. key: names the row. Returns -TR_CONFLICT. */
int tr_sql_refuse_row(const struct tr_sql_careful *c, const struct tr_sql_map *map,
                      const struct tr_event *event, const char *key, const struct tr_error *failure,
                      struct tr_error *err);
/* "id=5, part=2" of the key, for messages. */
void tr_sql_key_text(const struct tr_sql_map *map, const struct tr_value *image, struct tr_buffer *out);

#endif
