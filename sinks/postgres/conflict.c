/*
 * conflict.c - the head's changes one by one (sinks/sql/careful.h), as PostgreSQL has them: its savepoints, its SQLSTATEs, rows parked as images.
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/shape.h"
#include "sinks/sql/careful.h"

#define MISSING "P0002" /* no_data_found: the row that was to change is not there */
#define DUPLICATE "23505"

struct parked_row {
    struct parked_row *next;
    struct tr_pg_map *map;
    struct tr_value *row;  /* the whole image as it must become */
    struct tr_value *was;  /* as it was taken out of the table; NULL = an insert that waits */
    struct tr_event event; /* for messages: position and relation */
};

struct parked {
    struct tr_arena arena;
    struct parked_row *rows;
};

struct careful {
    struct tr_sql_careful base;
    struct tr_postgres_sink *sink;
    struct tr_pg_worker *worker;
};

static struct careful *
of(struct tr_sql_careful *base)
{
    return (struct careful *)base;
}

static struct tr_pg_map *
map_of(const struct tr_sql_change *change)
{
    return (struct tr_pg_map *)change->map;
}

static void
parked_free(void *arg)
{
    struct parked *parked = arg;
    tr_arena_fini(&parked->arena);
    free(parked);
}

/* ------------------------------------------------------------------------------------------- one change */

static int
run(struct careful *c, struct tr_pg_map *map, enum tr_sql_op op, const struct tr_value *key,
    const struct tr_value *row, PGresult **res, struct tr_error *err)
{
    struct tr_net_row one = { .key = key, .row = row };
    const struct tr_net_row *list[] = { &one };
    struct tr_sql_step step = { .op = op, .map = &map->plan };
    return tr_pg_worker_ask_rows(c->worker, &step, list, 1, res, err);
}

/* The same, and exactly one row must be touched. */
static int
run_one(struct careful *c, struct tr_pg_map *map, enum tr_sql_op op, const struct tr_value *key,
        const struct tr_value *row, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = run(c, map, op, key, row, &res, err);
    if (rc < 0)
        return rc;
    unsigned long touched = strtoul(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    if (touched == 1)
        return 0;
    rc = tr_fail(err, TR_CONFLICT, touched == 0 ? "the row is not there" : "%lu rows have this key", touched);
    memcpy(err->sqlstate, MISSING, sizeof MISSING);
    return rc;
}

static int
savepoint(struct careful *c, const char *sql, struct tr_error *err)
{
    return tr_pg_worker_ask(c->worker, sql, NULL, err);
}

static int
run_statement(struct tr_sql_careful *base, const char *sql, struct tr_error *err)
{
    return savepoint(of(base), sql, err);
}

static int
get_map(struct tr_sql_careful *base, struct tr_relation *relation, struct tr_sql_map **out,
        struct tr_error *err)
{
    struct tr_pg_map *map;
    int rc = tr_pg_map_get(of(base)->sink, relation, &map, err);
    if (rc >= 0)
        *out = &map->plan;
    return rc;
}

static int
change_row(struct tr_sql_careful *base, const struct tr_sql_change *change, struct tr_error *err)
{
    struct careful *c = of(base);
    if (change->map->bare && change->event->kind == TR_UPDATE)
        return 0;
    int cascades = tr_pg_cascades(c->sink, change->event, err);
    int rc = cascades > 0 ? savepoint(c, TR_PG_FIRE, err) : cascades;
    if (rc == 0)
        rc = run_one(c, map_of(change), tr_sql_op_of(change->map, change->event), change->key, change->row,
                     err);
    if (rc == 0 && cascades > 0) /* after a failure the way back to the savepoint does it */
        rc = savepoint(c, TR_PG_HOLD_FIRE, err);
    return rc;
}

static int
truncate_tables(struct tr_sql_careful *base, const struct tr_event *event, struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    int rc = tr_pg_truncate_statement(c->sink, event, &sql, err);
    if (rc == 0)
        rc = savepoint(c, sql.data, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* ------------------------------------------------------------------------------------------- policy */

static bool
is_missing(const struct tr_error *failure)
{
    return strcmp(failure->sqlstate, MISSING) == 0;
}

static bool
is_duplicate(const struct tr_error *failure)
{
    return strcmp(failure->sqlstate, DUPLICATE) == 0;
}

static bool
complete(const struct tr_pg_map *map, const struct tr_value *row)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->target[i] >= 0 && row[i].state == TR_ABSENT)
            return false;
    return true;
}

/* The row is not there under its old key; if another stands under its new one, that one becomes it. */
static int
insert_over(struct careful *c, struct tr_pg_map *map, const struct tr_value *row, struct tr_error *err)
{
    struct tr_error again;
    int rc = run_one(c, map, TR_SQL_INSERT, row, row, err);
    if (rc >= 0 || !is_duplicate(err) || map->nkey == 0)
        return rc;
    rc = savepoint(c, "ROLLBACK TO SAVEPOINT r", &again);
    if (rc == 0)
        rc = run_one(c, map, TR_SQL_UPDATE, row, row, &again);
    if (rc < 0 && again.class != TR_CONFLICT)
        *err = again;
    return rc == 0 ? 0 : -(int)err->class;
}

static int
overwrite(struct tr_sql_careful *base, const struct tr_sql_change *change, const struct tr_error *failure,
          struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_pg_map *map = map_of(change);
    const struct tr_value *row = change->row;
    *err = *failure;
    if (is_missing(failure) && change->event->kind == TR_DELETE)
        return 0;
    if (is_missing(failure) && change->event->kind == TR_UPDATE && complete(map, row))
        return insert_over(c, map, row, err);
    if (is_duplicate(failure) && row != NULL && map->nkey > 0 && complete(map, row))
        return run_one(c, map, TR_SQL_UPDATE, row, row, err);
    return -(int)failure->class;
}

static bool
has_enum(const struct tr_pg_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->relation->columns[i].logical == TR_ENUM || map->relation->columns[i].element == TR_ENUM)
            return true;
    return false;
}

static bool
advise(const struct tr_sql_map *base, const struct tr_error *failure, struct tr_error *err)
{
    const struct tr_pg_map *map = (const struct tr_pg_map *)base;
    const char *key;
    if (strstr(failure->hint, "on_value") != NULL)
        tr_error_hint(err, "%s", failure->hint); /* a value that was refused here, and not by the server */
    else if (strcmp(failure->sqlstate, "22P02") == 0 && has_enum(map))
        tr_error_hint(
            err,
            "if the source's enum has a label more, run at the target: ALTER TYPE ... ADD VALUE '...'; and start again");
    else if (strcmp(failure->sqlstate, "23502") == 0)
        tr_error_hint(
            err,
            "the source's column may be NULL: let the target's be so, too (ALTER TABLE %s ALTER COLUMN ... DROP NOT NULL), and start again",
            map->label);
    else if (is_duplicate(failure) && (key = strstr(failure->text, "unique constraint \"")) != NULL)
        tr_error_hint(
            err,
            "mend the row at the target and start again, or set on_conflict to overwrite or skip; if the source's table has no key over these columns any more, drop it at the target, too: ALTER TABLE %s DROP CONSTRAINT \"%.*s\", or DROP INDEX where it is no constraint",
            map->label, (int)strcspn(key + strlen("unique constraint \""), "\""),
            key + strlen("unique constraint \""));
    else if (strcmp(failure->sqlstate, "23514") == 0 && map->table->relkind == 'p')
        tr_error_hint(
            err,
            "if the source has a partition more, make it at the target (CREATE TABLE ... PARTITION OF %s ...) and start again",
            map->label);
    else
        return false;
    return true;
}

/* ------------------------------------------------------------------------------------------- parking */

static struct tr_value *
copy_image(struct parked *parked, const struct tr_relation *relation, const struct tr_value *from)
{
    struct tr_value *row = tr_arena_zalloc(&parked->arena, relation->ncolumns * sizeof(*row));
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        row[i] = from[i];
        if (from[i].state == TR_PRESENT)
            row[i].data = tr_arena_copy(&parked->arena, from[i].data, from[i].len);
    }
    return row;
}

static void
overlay(struct parked *parked, const struct tr_relation *relation, struct tr_value *row,
        const struct tr_value *newer)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        if (newer[i].state == TR_ABSENT)
            continue;
        row[i] = newer[i];
        if (newer[i].state == TR_PRESENT)
            row[i].data = tr_arena_copy(&parked->arena, newer[i].data, newer[i].len);
    }
}

static struct parked_row *
park(struct careful *c, struct tr_pg_map *map, const struct tr_event *event, struct tr_value *row)
{
    struct parked *parked = c->base.group->parked;
    struct parked_row *entry = tr_arena_zalloc(&parked->arena, sizeof(*entry));
    entry->map = map;
    entry->row = row;
    entry->event = *event;
    entry->event.before = entry->event.after = NULL;
    entry->next = parked->rows;
    parked->rows = entry;
    return entry;
}

/* Made at first use. */
static struct parked *
parked_rows(struct careful *c)
{
    if (c->base.group->parked == NULL) {
        struct parked *parked = tr_calloc(1, sizeof(*parked));
        tr_arena_init(&parked->arena);
        c->base.group->parked = parked;
        c->base.group->parked_free = parked_free;
    }
    return c->base.group->parked;
}

/* Take the row out of the table, as it is there, and lay the change over it. */
static int
park_update(struct careful *c, struct tr_pg_map *map, const struct tr_event *event,
            const struct tr_value *key, const struct tr_value *row, struct tr_error *err)
{
    PGresult *res = NULL;
    int rc = run(c, map, TR_PG_TAKE_ROW, key, NULL, &res, err);
    if (rc < 0)
        return rc;
    if (PQntuples(res) != 1) {
        PQclear(res);
        rc = tr_fail(err, TR_CONFLICT, "the row is not there");
        memcpy(err->sqlstate, MISSING, sizeof MISSING);
        return rc;
    }
    struct parked *parked = parked_rows(c);
    struct tr_value *image = tr_arena_zalloc(&parked->arena, map->relation->ncolumns * sizeof(*image));
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        image[i].state = PQgetisnull(res, 0, i) ? TR_NULL : TR_PRESENT;
        image[i].len = (uint32_t)PQgetlength(res, 0, i);
        image[i].data = tr_arena_copy(&parked->arena, PQgetvalue(res, 0, i), image[i].len);
    }
    PQclear(res);
    struct parked_row *entry = park(c, map, event, copy_image(parked, map->relation, image));
    entry->was = image;
    overlay(parked, map->relation, entry->row, row);
    return 0;
}

/*
 * Does a row stand in the table under this image's key? Then no end of a transaction makes room for the image: what names rows at the source is unique at every
 * moment. (Not so with REPLICA IDENTITY FULL, where the primary key may be deferrable.)
 */
static int
key_is_taken(struct careful *c, struct tr_pg_map *map, const struct tr_value *row, bool *taken,
             struct tr_error *err)
{
    *taken = false;
    for (uint16_t i = 0; i < map->nkey; i++)
        if (!map->key_unique || row[map->key[i]].state != TR_PRESENT)
            return 0;
    struct tr_value *only = tr_calloc(map->relation->ncolumns, sizeof(*only)); /* the rest is absent */
    for (uint16_t i = 0; i < map->nkey; i++)
        only[map->key[i]] = row[map->key[i]];
    PGresult *res = NULL;
    int rc = run(c, map, TR_SQL_UPDATE, only, only, &res, err);
    if (rc == 0)
        *taken = strcmp(PQcmdTuples(res), "0") != 0;
    PQclear(res);
    free(only);
    return rc < 0 ? rc : savepoint(c, "ROLLBACK TO SAVEPOINT r", err);
}

/* Same key? A parked image may hold text where the event holds the binary form, so the canonical texts are compared. */
static bool
same_key(const struct tr_pg_map *map, const struct tr_value *a, const struct tr_value *b)
{
    struct tr_buffer one, two;
    struct tr_error ignored;
    bool same = map->nkey > 0;
    tr_buffer_init(&one, TR_BUFFER_MAX);
    tr_buffer_init(&two, TR_BUFFER_MAX);
    for (uint16_t i = 0; same && i < map->nkey; i++) {
        uint16_t k = map->key[i];
        const struct tr_column *column = &map->relation->columns[k];
        const char *x, *y;
        size_t n, m;
        same = a[k].state == TR_PRESENT && b[k].state == TR_PRESENT &&
               tr_value_text(map->relation, column, &a[k], &one, &x, &n, &ignored) == 0 &&
               tr_value_text(map->relation, column, &b[k], &two, &y, &m, &ignored) == 0 && n == m &&
               memcmp(x, y, n) == 0;
    }
    tr_buffer_fini(&one);
    tr_buffer_fini(&two);
    return same;
}

/* A change of a row that is parked is made there. */
static bool
change_parked(struct careful *c, struct tr_pg_map *map, const struct tr_event *event,
              const struct tr_value *key)
{
    struct parked *parked = c->base.group->parked;
    if (parked == NULL || event->kind == TR_INSERT || event->kind == TR_READ)
        return false;
    for (struct parked_row **at = &parked->rows; *at != NULL; at = &(*at)->next) {
        if ((*at)->map != map || !same_key(map, (*at)->row, key))
            continue;
        if (event->kind == TR_DELETE)
            *at = (*at)->next;
        else
            overlay(parked, map->relation, (*at)->row, event->after);
        return true;
    }
    return false;
}

/* One parked row goes back, under a savepoint of its own. */
static int
put_back(struct careful *c, const struct parked_row *entry, struct tr_error *err)
{
    const struct tr_sql_change change = { .event = &entry->event,
                                          .map = &entry->map->plan,
                                          .row = entry->row };
    struct tr_error failure;
    int rc = savepoint(c, "SAVEPOINT r", err);
    if (rc < 0)
        return rc;
    rc = run_one(c, entry->map, TR_SQL_INSERT, entry->row, entry->row, &failure);
    if (rc < 0 && failure.class == TR_CONFLICT) {
        rc = savepoint(c, "ROLLBACK TO SAVEPOINT r", err);
        if (rc == 0)
            rc = tr_sql_settle(&c->base, &change, entry->row, &failure, err);
        if (rc == 0 && entry->was != NULL &&
            c->base.policy == TR_SQL_CONFLICT_SKIP) /* as if nothing had come */
            rc = run_one(c, entry->map, TR_SQL_INSERT, entry->was, entry->was, err);
    } else if (rc < 0) {
        *err = failure;
    }
    return rc < 0 ? rc : savepoint(c, "RELEASE SAVEPOINT r", err);
}

static int
unpark(struct tr_sql_careful *base, struct tr_error *err)
{
    struct careful *c = of(base);
    const struct parked *parked = base->group->parked;
    int rc = 0;
    for (const struct parked_row *entry = parked != NULL ? parked->rows : NULL; rc == 0 && entry != NULL;
         entry = entry->next)
        rc = put_back(c, entry, err);
    tr_sql_group_drop_parked(base->group);
    return rc;
}

/* ------------------------------------------------------------------------------------------- a change that failed */

/*
 * The worker's backend may remember that the label is not there. It hears of what others have changed when it takes a lock that it does not hold yet, and it
 * holds those of the rows' tables since an earlier change: so it takes one that is given back at once.
 */
static int
hear_of_labels(struct careful *c, struct tr_error *err)
{
    int rc = savepoint(c, "SELECT FROM pg_catalog.pg_enum LIMIT 0", err);
    if (rc == 0)
        rc = savepoint(c, "ROLLBACK TO SAVEPOINT r", err);
    return rc == 0 ? 1 : rc;
}

/* A value that the target does not take may be a label that the source's enum has gained. 1: it was, try the change again. */
static int
learn_labels(struct careful *c, const struct tr_pg_map *map, const struct tr_value *row,
             const struct tr_error *failure, struct tr_error *err)
{
    enum tr_pg_labels found;
    if (strcmp(failure->sqlstate, "22P02") != 0 || row == NULL)
        return 0;
    int rc = tr_pg_add_labels(c->sink, map, row, &found, err);
    if (rc < 0 || found == TR_PG_LABELS_FIT)
        return rc;
    if (found == TR_PG_LABEL_ADDED)
        return hear_of_labels(c, err);
    /* Known labels may be older than the change, unless the stream has just begun. */
    if (c->worker->apply->base.counts.groups == 0)
        return 0;
    return tr_fail(
        err, TR_RETRY,
        "%s: a value is a label that the source's enum did not have when the stream began; its labels are read anew",
        map->label);
}

/* A row gets a key under which the target has another: by the policy. To overwrite that one, the row leaves its old place. */
static int
move_over(struct careful *c, const struct tr_sql_change *change, const struct tr_error *failure,
          struct tr_error *err)
{
    struct tr_sql_change moved = *change;
    if (c->base.policy == TR_SQL_CONFLICT_OVERWRITE) {
        int rc = park_update(c, map_of(change), change->event, change->key, change->row, err);
        if (rc < 0)
            return rc;
        struct parked_row *entry = parked_rows(c)->rows;
        parked_rows(c)->rows = entry->next;
        moved.row = entry->row;
    }
    return tr_sql_settle(&c->base, &moved, change->key, failure, err);
}

/* May the row that collides stand in the way of another for good? */
static bool
may_be_taken(const struct tr_sql_change *change)
{
    if (change->row == NULL || change->map->nkey == 0)
        return false;
    return change->event->kind != TR_UPDATE || (change->event->relation->replica_identity != 'f' &&
                                                tr_sql_key_changes(change->map, change->event));
}

/* Out of the way until its transaction ends. 1: done; 0: this change cannot be parked. */
static int
park_change(struct careful *c, const struct tr_sql_change *change, bool collides, struct tr_error *err)
{
    struct tr_pg_map *map = map_of(change);
    if (map->nkey == 0)
        return 0;
    if (change->event->kind == TR_UPDATE) {
        struct tr_error taken;
        if (park_update(c, map, change->event, change->key, change->row, &taken) == 0)
            return 1;
        return savepoint(c, "ROLLBACK TO SAVEPOINT r", err);
    }
    if (!collides || change->row == NULL)
        return 0;
    park(c, map, change->event, copy_image(parked_rows(c), map->relation, change->row));
    return 1;
}

static int
stray(struct tr_sql_careful *base, const struct tr_sql_change *change, const struct tr_error *failure,
      struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_pg_map *map = map_of(change);
    bool occupied = false;
    int rc = learn_labels(c, map, change->row, failure, err);
    if (rc != 0)
        return rc;
    /* two rows share a key while it is exchanged: the one that still stands in the table is meant first */
    if (is_missing(failure) && change_parked(c, map, change->event, change->key))
        return 0;
    bool collides = is_duplicate(failure) || strcmp(failure->sqlstate, "23P01") == 0;
    bool fixed = map->override && is_missing(failure); /* perhaps an identity column's new value */
    if (collides && may_be_taken(change))
        rc = key_is_taken(c, map, change->row, &occupied, err);
    if (rc == 0 && occupied && change->event->kind == TR_UPDATE)
        return move_over(c, change, failure, err);
    if (rc == 0 && !occupied && (collides || fixed))
        rc = park_change(c, change, collides, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return tr_sql_settle(base, change, change->key, failure, err);
}

/* ------------------------------------------------------------------------------------------- shapes */

/* Does the table's shape have to be looked at before this event? */
static bool
changes_shape(const struct tr_sql_careful *base, const struct tr_event *event)
{
    struct tr_pg_apply *apply = (struct tr_pg_apply *)base->apply;
    bool use = tr_sql_is_row(event) && !tr_pg_map_known(apply, event->relation);
    if (tr_pg_alters_columns(event))
        return true;
    bool change = event->kind == TR_SCHEMA && event->schema.previous != NULL && !event->relation->skip;
    return (use || change) && tr_pg_shape_is_due(apply, event->relation, base->group->plan.number);
}

static int
reach_shape(struct tr_sql_careful *base, const struct tr_event *event, struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_relation *previous = event->kind == TR_SCHEMA ? event->schema.previous : NULL;
    base->group->shaped = true;
    if (event->kind == TR_DDL)
        return tr_pg_carry_statement(c->sink, c->worker->conn, event, err);
    return tr_pg_reach_shape(c->sink, c->worker->conn, base->group->plan.number, previous, event->relation,
                             err);
}

static const struct tr_sql_careful_driver driver = {
    .run = run_statement,
    .map = get_map,
    .change = change_row,
    .truncate = truncate_tables,
    .stray = stray,
    .overwrite = overwrite,
    .advise = advise,
    .unpark = unpark,
    .changes_shape = changes_shape,
    .reach_shape = reach_shape,
};

int
tr_pg_apply_carefully(struct tr_postgres_sink *sink, struct tr_pg_worker *worker, bool in_transaction,
                      struct tr_error *err)
{
    struct tr_sql_group *group = worker->base.group;
    struct careful c = { .base = { .driver = &driver,
                                   .apply = &sink->apply->base,
                                   .group = group,
                                   .policy = sink->on_conflict },
                         .sink = sink,
                         .worker = worker };
    if (!in_transaction)
        group->misfits = 0;
    if (PQexitPipelineMode(worker->conn) != 1)
        return tr_pg_fail(err, worker->conn, NULL, "leaving pipeline mode at the target");
    int rc = in_transaction ? 0 : tr_pg_worker_ask(worker, "BEGIN", NULL, err);
    sink->reader = worker->conn;
    if (rc == 0)
        rc = tr_sql_careful_walk(&c.base, err);
    sink->reader = sink->meta;
    if (rc == 0 && group->checkpoint != NULL)
        rc = tr_pg_worker_commit_now(worker, err);
    if (rc == 0 && PQenterPipelineMode(worker->conn) != 1)
        rc = tr_pg_fail(err, worker->conn, NULL, "entering pipeline mode at the target");
    return rc;
}
