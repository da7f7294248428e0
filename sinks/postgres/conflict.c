/*
 * conflict.c - the head's changes one by one, in the order of the source.
 *
 * A group comes here when its runs failed, or when it changes the shape of a table. Chunks of changes stand under a savepoint; a chunk that fails is
 * gone through again with a savepoint for each change, so that the one at fault is found and the policy asked.
 *
 * Unique values that are exchanged inside a transaction (UPDATE t SET k = k + 1) collide when they are written row by row. A row that collides is
 * parked: taken out of the table, changed here, and put back when its transaction ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "sinks/postgres/shape.h"

#define CHUNK 64

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
    struct tr_postgres_sink *sink;
    struct tr_pg_worker *worker;
    struct tr_sql_group *group;
};

static void
parked_free(void *arg)
{
    struct parked *parked = arg;
    tr_arena_fini(&parked->arena);
    free(parked);
}

/* ------------------------------------------------------------------------------------------- words for the operator */

/* "id=5, part=2" of the key, for messages. */
static void
key_text(const struct tr_pg_map *map, const struct tr_value *image, struct tr_buffer *out)
{
    struct tr_buffer scratch;
    struct tr_error ignored;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    for (uint16_t i = 0; i < map->nkey; i++) {
        const struct tr_value *value = &image[map->key[i]];
        const char *text = NULL;
        size_t len = 0;
        tr_buffer_printf(out, "%s%s=", i > 0 ? ", " : "", map->relation->columns[map->key[i]].name);
        if (value->state != TR_PRESENT || tr_value_text(map->relation, &map->relation->columns[map->key[i]],
                                                        value, &scratch, &text, &len, &ignored) < 0)
            tr_buffer_text(out, value->state == TR_NULL ? "NULL" : "?");
        else
            tr_text_printable(out, text, len < 64 ? len : 64);
    }
    if (map->nkey == 0)
        tr_buffer_text(out, "no key");
    tr_buffer_fini(&scratch);
}

static const char *
verb(const struct tr_event *event)
{
    return event->kind == TR_UPDATE ? "update" : event->kind == TR_DELETE ? "delete" : "insert";
}

static void
position_text(const struct careful *c, const struct tr_event *event, char out[24])
{
    if (strcmp(c->sink->base.env->source_name, "postgresql") == 0)
        tr_pg_lsn_text(event->position, out);
    else
        snprintf(out, 24, "%llu", (unsigned long long)event->position);
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
    memcpy(err->sqlstate, "P0002", 6); /* no_data_found */
    return rc;
}

static int
savepoint(struct careful *c, const char *sql, struct tr_error *err)
{
    return tr_pg_worker_ask(c->worker, sql, NULL, err);
}

static enum tr_sql_op
op_of(const struct tr_pg_map *map, const struct tr_event *event)
{
    if (event->kind == TR_UPDATE)
        return map->nkey == 0                          ? TR_SQL_UPDATE_ROW
               : tr_sql_key_changes(&map->plan, event) ? TR_SQL_UPDATE_KEY
                                                       : TR_SQL_UPDATE;
    if (event->kind == TR_DELETE)
        return map->nkey == 0 ? TR_SQL_DELETE_ROW : TR_SQL_DELETE;
    return TR_SQL_INSERT;
}

static int
apply_row(struct careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_pg_map *map;
    const struct tr_value *key, *row;
    int rc = tr_pg_map_get(c->sink, event->relation, &map, err);
    if (rc < 0)
        return rc;
    if (map->plan.bare && event->kind == TR_UPDATE)
        return 0;
    tr_sql_event_images(event, &key, &row);
    int cascades = tr_pg_cascades(c->sink, event, err);
    rc = cascades > 0 ? savepoint(c, TR_PG_FIRE, err) : cascades;
    if (rc == 0)
        rc = run_one(c, map, op_of(map, event), key, row, err);
    if (rc == 0 && cascades > 0) /* after a failure the way back to the savepoint does it */
        rc = savepoint(c, TR_PG_HOLD_FIRE, err);
    return rc;
}

static int
apply_truncate(struct careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    int rc = tr_pg_truncate_statement(c->sink, event, &sql, err);
    if (rc == 0)
        rc = tr_pg_worker_ask(c->worker, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc;
}

static int
apply_event(struct careful *c, const struct tr_event *event, struct tr_error *err)
{
    switch (event->kind) {
    case TR_INSERT:
    case TR_UPDATE:
    case TR_DELETE:
    case TR_READ: return event->relation->skip ? 0 : apply_row(c, event, err);
    case TR_TRUNCATE: return apply_truncate(c, event, err);
    default: return 0;
    }
}

/* ------------------------------------------------------------------------------------------- policy */

static bool
complete(const struct tr_pg_map *map, const struct tr_value *row)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->target[i] >= 0 && row[i].state == TR_ABSENT)
            return false;
    return true;
}

/* Make the target's row what the source's is. The failed change was rolled back to the savepoint. */
static int
overwrite(struct careful *c, struct tr_pg_map *map, const struct tr_event *event, const struct tr_value *row,
          const struct tr_error *failure, struct tr_error *err)
{
    bool missing = strcmp(failure->sqlstate, "P0002") == 0;
    *err = *failure;
    if (missing && event->kind == TR_DELETE)
        return 0;
    if (missing && event->kind == TR_UPDATE && complete(map, row)) {
        int rc = run_one(c, map, TR_SQL_INSERT, row, row, err);
        if (rc >= 0 || strcmp(err->sqlstate, "23505") != 0 || map->nkey == 0)
            return rc;
        struct tr_error again; /* the row is not there under its old key, but another is under its new one */
        rc = savepoint(c, "ROLLBACK TO r", &again);
        if (rc == 0)
            rc = run_one(c, map, TR_SQL_UPDATE, row, row, &again);
        if (rc < 0 && again.class != TR_CONFLICT)
            *err = again;
        return rc == 0 ? 0 : -(int)err->class;
    }
    if (strcmp(failure->sqlstate, "23505") == 0 && row != NULL && map->nkey > 0 && complete(map, row))
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

static int
stop(struct careful *c, const struct tr_pg_map *map, const struct tr_event *event,
     const struct tr_value *image, const struct tr_error *failure, struct tr_error *err)
{
    struct tr_buffer key;
    char position[24];
    tr_buffer_init(&key, 4096);
    key_text(map, image, &key);
    position_text(c, event, position);
    struct tr_error copy = *failure;
    tr_fail(err, TR_CONFLICT, "%s: the %s of the row with %s at %s does not fit the target: %s", map->label,
            verb(event), key.data, position, copy.text);
    memcpy(err->sqlstate, copy.sqlstate, sizeof err->sqlstate);
    if (strstr(copy.hint, "on_value") != NULL)
        tr_error_hint(err, "%s", copy.hint); /* a value that was refused here, and not by the server */
    else if (strcmp(copy.sqlstate, "22P02") == 0 && has_enum(map))
        tr_error_hint(
            err,
            "if the source's enum has a label more, run at the target: ALTER TYPE ... ADD VALUE '...'; and start again");
    else if (strcmp(copy.sqlstate, "23514") == 0 && map->table->relkind == 'p')
        tr_error_hint(
            err,
            "if the source has a partition more, make it at the target (CREATE TABLE ... PARTITION OF %s ...) and start again",
            map->label);
    else
        tr_error_hint(err,
                      "mend the row at the target and start again, or set on_conflict to overwrite or skip");
    tr_buffer_fini(&key);
    return -TR_CONFLICT;
}

/* A conflict, known to be real: by the policy. Savepoint r is there to go back to. */
static int
settle(struct careful *c, struct tr_pg_map *map, const struct tr_event *event, const struct tr_value *image,
       const struct tr_value *row, const struct tr_error *failure, struct tr_error *err)
{
    const struct tr_sink_env *env = c->sink->base.env;
    const char *what = "skipped";
    if (c->sink->on_conflict == TR_PG_CONFLICT_STOP)
        return stop(c, map, event, image, failure, err);
    if (c->sink->on_conflict == TR_PG_CONFLICT_OVERWRITE) {
        struct tr_error again;
        what = "overwritten";
        int rc = overwrite(c, map, event, row, failure, &again);
        if (rc < 0 && again.class == TR_CONFLICT)
            return stop(c, map, event, image, &again, err);
        if (rc < 0) {
            *err = again;
            return rc;
        }
    }
    struct tr_buffer key;
    char position[24];
    tr_buffer_init(&key, 4096);
    key_text(map, image, &key);
    position_text(c, event, position);
    tr_log(env->log, TR_LOG_WARNING, "sink", "%s: %s of the row with %s at %s %s: %s", map->label,
           verb(event), key.data, position, what, failure->text);
    tr_buffer_fini(&key);
    c->worker->apply->base.counts.conflicts++;
    env->conflict(env->arg, map->label, what);
    return 0;
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
    struct parked *parked = c->group->parked;
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
    if (c->group->parked == NULL) {
        struct parked *parked = tr_calloc(1, sizeof(*parked));
        tr_arena_init(&parked->arena);
        c->group->parked = parked;
        c->group->parked_free = parked_free;
    }
    return c->group->parked;
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
        memcpy(err->sqlstate, "P0002", 6);
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
    return rc < 0 ? rc : savepoint(c, "ROLLBACK TO r", err);
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
    struct parked *parked = c->group->parked;
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

/* The transaction ends: every parked row has its place now, or the conflict is real. */
static int
unpark(struct careful *c, struct tr_error *err)
{
    struct parked *parked = c->group->parked;
    int rc = 0;
    for (struct parked_row *entry = parked != NULL ? parked->rows : NULL; rc == 0 && entry != NULL;
         entry = entry->next) {
        struct tr_error failure;
        rc = savepoint(c, "SAVEPOINT r", err);
        if (rc < 0)
            return rc;
        rc = run_one(c, entry->map, TR_SQL_INSERT, entry->row, entry->row, &failure);
        if (rc < 0 && failure.class == TR_CONFLICT) {
            rc = savepoint(c, "ROLLBACK TO r", err);
            if (rc == 0)
                rc = settle(c, entry->map, &entry->event, entry->row, entry->row, &failure, err);
            if (rc == 0 && entry->was != NULL && c->sink->on_conflict == TR_PG_CONFLICT_SKIP)
                rc = run_one(c, entry->map, TR_SQL_INSERT, entry->was, entry->was,
                             err); /* as if nothing had come */
        } else if (rc < 0) {
            *err = failure;
        }
        if (rc == 0)
            rc = savepoint(c, "RELEASE r", err);
    }
    tr_sql_group_drop_parked(c->group);
    return rc;
}

/* ------------------------------------------------------------------------------------------- the walk */

static bool
is_row(const struct tr_event *event)
{
    return event->kind <= TR_READ && event->kind > 0 && !event->relation->skip;
}

/*
 * The worker's backend may remember that the label is not there. It hears of what others have changed when it takes a lock that it does not hold yet, and it
 * holds those of the rows' tables since an earlier change: so it takes one that is given back at once.
 */
static int
hear_of_labels(struct careful *c, struct tr_error *err)
{
    int rc = savepoint(c, "SELECT FROM pg_catalog.pg_enum LIMIT 0", err);
    if (rc == 0)
        rc = savepoint(c, "ROLLBACK TO r", err);
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
move_over(struct careful *c, struct tr_pg_map *map, const struct tr_event *event, const struct tr_value *key,
          const struct tr_value *row, const struct tr_error *failure, struct tr_error *err)
{
    if (c->sink->on_conflict == TR_PG_CONFLICT_OVERWRITE) {
        int rc = park_update(c, map, event, key, row, err);
        if (rc < 0)
            return rc;
        struct parked_row *entry = parked_rows(c)->rows;
        parked_rows(c)->rows = entry->next;
        row = entry->row;
    }
    return settle(c, map, event, key, row, failure, err);
}

/* One change under a savepoint of its own. */
static int
apply_slowly(struct careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_pg_map *map;
    const struct tr_value *key, *row;
    struct tr_error failure;
    if (!is_row(event))
        return apply_event(c, event, err);
    int rc = tr_pg_map_get(c->sink, event->relation, &map, err);
    if (rc < 0)
        return rc;
    tr_sql_event_images(event, &key, &row);
    rc = savepoint(c, "SAVEPOINT r", err);
    if (rc < 0)
        return rc;
    rc = apply_row(c, event, &failure);
    if (rc == 0)
        return savepoint(c, "RELEASE r", err);
    if (failure.class != TR_CONFLICT) {
        *err = failure;
        return rc;
    }
    rc = savepoint(c, "ROLLBACK TO r", err);
    int learnt = rc == 0 ? learn_labels(c, map, row, &failure, err) : 0;
    if (learnt < 0)
        return learnt;
    if (learnt > 0)
        return apply_slowly(c, event, err);
    /* two rows share a key while it is exchanged: the one that still stands in the table is meant first */
    if (rc == 0 && strcmp(failure.sqlstate, "P0002") == 0 && change_parked(c, map, event, key))
        return savepoint(c, "RELEASE r", err);
    bool collides = strcmp(failure.sqlstate, "23505") == 0 || strcmp(failure.sqlstate, "23P01") == 0;
    bool fixed = map->override &&
                 strcmp(failure.sqlstate, "P0002") == 0; /* perhaps an identity column's new value */
    bool occupied = false;
    if (rc == 0 && collides && row != NULL && map->nkey > 0 &&
        (event->kind != TR_UPDATE ||
         (map->relation->replica_identity != 'f' && tr_sql_key_changes(&map->plan, event))))
        rc = key_is_taken(c, map, row, &occupied, err);
    if (rc == 0 && occupied) {
        rc = event->kind == TR_UPDATE ? move_over(c, map, event, key, row, &failure, err)
                                      : settle(c, map, event, key, row, &failure, err);
        return rc < 0 ? rc : savepoint(c, "RELEASE r", err);
    }
    if (rc == 0 && (collides || fixed) && event->kind == TR_UPDATE && map->nkey > 0) {
        struct tr_error taken;
        if (park_update(c, map, event, key, row, &taken) == 0)
            return savepoint(c, "RELEASE r", err);
        rc = savepoint(c, "ROLLBACK TO r", err);
    } else if (rc == 0 && collides && row != NULL && event->kind != TR_UPDATE && map->nkey > 0) {
        park(c, map, event, copy_image(parked_rows(c), map->relation, row));
        return savepoint(c, "RELEASE r", err);
    }
    if (rc == 0)
        rc = settle(c, map, event, key, row, &failure, err);
    return rc < 0 ? rc : savepoint(c, "RELEASE r", err);
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
walk_slowly(struct careful *c, const struct tr_batch *batch, uint32_t from, uint32_t to, uint32_t *txn,
            struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = from; rc == 0 && i < to; i++) {
        rc = apply_slowly(c, &batch->events[i], err);
        if (rc == 0 && ends_after(batch, i, txn))
            rc = unpark(c, err);
    }
    return rc;
}

/* Does the table's shape have to be looked at before this event? */
static bool
changes_shape(const struct careful *c, const struct tr_event *event)
{
    bool use = is_row(event) && !tr_pg_map_known(c->worker->apply, event->relation);
    if (tr_pg_renames_columns(event))
        return true;
    bool change = event->kind == TR_SCHEMA && event->schema.previous != NULL && !event->relation->skip;
    return (use || change) && tr_pg_shape_is_due(c->worker->apply, event->relation, c->group->plan.number);
}

/* Under no savepoint: what fails here is no conflict of a row, and what succeeds is not undone for the sake of one. */
static int
reach_shape(struct careful *c, const struct tr_event *event, struct tr_error *err)
{
    struct tr_relation *previous = event->kind == TR_SCHEMA ? event->schema.previous : NULL;
    c->group->shaped = true;
    if (event->kind == TR_DDL)
        return tr_pg_carry_renames(c->sink, c->worker->conn, event, err);
    return tr_pg_reach_shape(c->sink, c->worker->conn, c->group->plan.number, previous, event->relation, err);
}

static int
walk_chunk(struct careful *c, const struct tr_batch *batch, uint32_t from, uint32_t to, uint32_t *txn,
           struct tr_error *err)
{
    if (c->group->parked != NULL)
        return walk_slowly(c, batch, from, to, txn, err);
    int rc = savepoint(c, "SAVEPOINT chunk", err);
    if (rc < 0)
        return rc;
    for (uint32_t i = from; rc == 0 && i < to; i++)
        rc = apply_event(c, &batch->events[i], err);
    if (rc < 0 && err->class == TR_CONFLICT) {
        rc = savepoint(c, "ROLLBACK TO chunk", err);
        if (rc == 0)
            rc = walk_slowly(c, batch, from, to, txn, err);
    }
    return rc < 0 ? rc : savepoint(c, "RELEASE chunk", err);
}

static int
walk(struct careful *c, struct tr_error *err)
{
    int rc = 0;
    for (struct tr_batch *batch = c->group->first; rc == 0 && batch != NULL; batch = batch->next) {
        uint32_t txn = 0;
        if (c->group->parked != NULL && batch->ntxns > 0 && batch->txns[0].ends &&
            batch->txns[0].nevents == 0)
            rc = unpark(c, err); /* nothing but the end of the transaction came */
        for (uint32_t i = 0, end; rc == 0 && i < batch->nevents; i = end) {
            if (changes_shape(c, &batch->events[i]))
                rc = reach_shape(c, &batch->events[i], err);
            for (end = i + 1;
                 end < batch->nevents && end - i < CHUNK && !changes_shape(c, &batch->events[end]);)
                end++;
            if (rc == 0)
                rc = walk_chunk(c, batch, i, end, &txn, err);
        }
    }
    return rc;
}

int
tr_pg_apply_carefully(struct tr_postgres_sink *sink, struct tr_pg_worker *worker, bool in_transaction,
                      struct tr_error *err)
{
    struct careful c = { .sink = sink, .worker = worker, .group = worker->base.group };
    if (!in_transaction)
        c.group->misfits = 0;
    if (PQexitPipelineMode(worker->conn) != 1)
        return tr_pg_fail(err, worker->conn, NULL, "leaving pipeline mode at the target");
    int rc = in_transaction ? 0 : tr_pg_worker_ask(worker, "BEGIN", NULL, err);
    sink->reader = worker->conn;
    if (rc == 0)
        rc = walk(&c, err);
    sink->reader = sink->meta;
    if (rc == 0 && c.group->checkpoint != NULL)
        rc = unpark(&c, err);
    if (rc == 0 && c.group->checkpoint != NULL)
        rc = tr_pg_worker_commit_now(worker, err);
    if (rc == 0 && PQenterPipelineMode(worker->conn) != 1)
        rc = tr_pg_fail(err, worker->conn, NULL, "entering pipeline mode at the target");
    return rc;
}
