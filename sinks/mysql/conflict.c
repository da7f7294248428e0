/*
 * conflict.c - the head's changes one by one (sinks/sql/careful.h), as MySQL and MariaDB have them: their error numbers, rows parked as lists of literals.
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "sinks/mysql/apply.h"
#include "sinks/sql/careful.h"

#define SQL_MAX TR_BUFFER_MAX
#define MISSING "02000" /* SQLSTATE "no data": the row that was to change is not there */

struct parked_row {
    struct parked_row *next;
    struct tr_my_map *map;
    const char **key;      /* literals, map->nkey */
    const char **row;      /* literals by source column; NULL = not written */
    struct tr_event event; /* for messages: position and relation */
};

struct parked {
    struct tr_arena arena;
    struct parked_row *rows;
};

struct careful {
    struct tr_sql_careful base;
    struct tr_mysql_sink *sink;
    struct tr_my_worker *worker;
    struct tr_my_values *values;
};

static struct careful *
of(struct tr_sql_careful *base)
{
    return (struct careful *)base;
}

static struct tr_my_map *
map_of(const struct tr_sql_change *change)
{
    return (struct tr_my_map *)change->map;
}

static void
parked_free(void *arg)
{
    struct parked *parked = arg;
    tr_arena_fini(&parked->arena);
    free(parked);
}

static bool
is_duplicate(const struct tr_error *failure)
{
    return strstr(failure->text, "(1062,") != NULL || strstr(failure->text, "(1586,") != NULL;
}

static bool
is_missing(const struct tr_error *failure)
{
    return strcmp(failure->sqlstate, MISSING) == 0;
}

/* ------------------------------------------------------------------------------------------- one change */

static int
fail_missing(struct tr_error *err)
{
    tr_fail(err, TR_CONFLICT, "the row is not there");
    memcpy(err->sqlstate, MISSING, sizeof MISSING);
    return -TR_CONFLICT;
}

static int
execute(struct careful *c, const struct tr_my_map *map, const struct tr_buffer *sql, struct tr_error *err)
{
    if (sql->overflow)
        return tr_fail(err, TR_CONFLICT, "a row of %s is larger than 1 GiB", map->label);
    if (mysql_real_query(c->worker->conn, sql->data, (unsigned long)sql->len) != 0)
        return tr_mysql_fail(err, c->worker->conn, "applying a change to %s", map->label);
    return 0;
}

/* Exactly one row must be touched. */
static int
run_one(struct careful *c, struct tr_my_map *map, enum tr_sql_op op, const struct tr_value *key,
        const struct tr_value *row, struct tr_error *err)
{
    struct tr_net_row one = { .key = key, .row = row };
    const struct tr_net_row *list[] = { &one };
    enum tr_my_count count;
    struct tr_buffer sql;
    tr_buffer_init(&sql, SQL_MAX);
    int rc = tr_my_statement(c->values, map, op, list, 1, SIZE_MAX, &sql, &count, err);
    if (rc > 0)
        rc = execute(c, map, &sql, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    uint64_t touched = count == TR_MY_COUNT_EACH ? tr_my_matched(c->worker->conn)
                                                 : mysql_affected_rows(c->worker->conn);
    if (touched == 1)
        return 0;
    return touched == 0 ? fail_missing(err)
                        : tr_fail(err, TR_CONFLICT, "%llu rows have this key", (unsigned long long)touched);
}

static int
savepoint(struct careful *c, const char *sql, struct tr_error *err)
{
    return tr_my_worker_ask(c->worker, sql, err);
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
    struct tr_my_map *map;
    int rc = tr_my_map_get(of(base)->sink, relation, &map, err);
    if (rc >= 0)
        *out = &map->plan;
    return rc;
}

static int
change_row(struct tr_sql_careful *base, const struct tr_sql_change *change, struct tr_error *err)
{
    struct careful *c = of(base);
    bool cascades = tr_my_cascades(c->worker->apply, change->event);
    int rc = cascades ? savepoint(c, "SET foreign_key_checks = 1", err) : 0;
    if (rc == 0)
        rc = run_one(c, map_of(change), tr_sql_op_of(change->map, change->event), change->key, change->row,
                     err);
    if (cascades) {
        struct tr_error failure;
        int off = savepoint(c, "SET foreign_key_checks = 0", &failure);
        if (rc == 0 && off < 0)
            *err = failure;
        rc = rc == 0 ? off : rc;
    }
    return rc;
}

static int
truncate_tables(struct tr_sql_careful *base, const struct tr_event *event, struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_buffer sql;
    int rc = 0;
    tr_buffer_init(&sql, SQL_MAX);
    for (uint32_t i = 0; rc == 0 && i < event->truncate.nrelations; i++) {
        if (event->truncate.relations[i]->skip)
            continue;
        tr_buffer_reset(&sql);
        rc = tr_my_truncate_statement(c->sink, event->truncate.relations[i], &sql, err);
        if (rc == 0)
            rc = savepoint(c, sql.data, err);
    }
    tr_buffer_fini(&sql);
    return rc;
}

/* ------------------------------------------------------------------------------------------- policy */

static bool
complete(const struct tr_my_map *map, const struct tr_value *row)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->target[i] >= 0 && row[i].state == TR_ABSENT)
            return false;
    return true;
}

static int
overwrite(struct tr_sql_careful *base, const struct tr_sql_change *change, const struct tr_error *failure,
          struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_my_map *map = map_of(change);
    const struct tr_value *row = change->row;
    *err = *failure;
    if (is_missing(failure) && change->event->kind == TR_DELETE)
        return 0;
    if (is_missing(failure) && change->event->kind == TR_UPDATE && complete(map, row))
        return run_one(c, map, TR_SQL_INSERT, row, row, err);
    if (is_duplicate(failure) && row != NULL && map->nkey > 0 && complete(map, row))
        return run_one(c, map, TR_SQL_UPDATE, row, row, err);
    return -(int)failure->class;
}

static bool
has_enum(const struct tr_sql_map *map)
{
    for (uint16_t i = 0; i < map->relation->ncolumns; i++)
        if (map->relation->columns[i].logical == TR_ENUM)
            return true;
    return false;
}

static bool
advise(const struct tr_sql_map *map, const struct tr_error *failure, struct tr_error *err)
{
    bool null = strstr(failure->text, "(1048, ") !=
                NULL; /* ER_BAD_NULL_ERROR, which shares its state with doubled keys */
    const char *key = strstr(failure->text, "for key '");
    if (is_duplicate(failure) && key != NULL && strstr(key, "PRIMARY'") == NULL) {
        key += strlen("for key '");
        size_t n = strcspn(key, "'");
        const char *dot = memchr(key, '.', n);
        n -= dot != NULL ? (size_t)(dot + 1 - key) : 0;
        key = dot != NULL ? dot + 1 : key;
        tr_error_hint(
            err,
            "mend the row at the target and start again, or set on_conflict to overwrite or skip; if the source's table has no unique key over these columns any more, drop it at the target, too: ALTER TABLE %s DROP INDEX `%.*s`",
            map->label, (int)n, key);
        return true;
    }
    if (strstr(failure->text, "(1265, ") != NULL && has_enum(map)) {
        tr_error_hint(
            err,
            "if a label of the source's enum was renamed, rename it in the target's column, too (ALTER TABLE %s MODIFY ... ENUM(...): with both labels first, then UPDATE, then without the old one), and start again",
            map->label);
        return true;
    }
    if (null)
        tr_error_hint(
            err,
            "the source's column may be NULL: let the target's be so, too (ALTER TABLE %s MODIFY ... NULL), and start again",
            map->label);
    else if (failure->hint[0] != '\0')
        tr_error_hint(err, "%s", failure->hint);
    return null || failure->hint[0] != '\0';
}

/* ------------------------------------------------------------------------------------------- parking */

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

/* Lay what is present in an image over a list of literals. */
static int
overlay(struct careful *c, struct tr_my_map *map, const char **literals, const struct tr_value *image,
        struct tr_error *err)
{
    struct tr_buffer text;
    int rc = 0;
    tr_buffer_init(&text, SQL_MAX);
    for (uint16_t i = 0; rc == 0 && i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0 || image[i].state == TR_ABSENT)
            continue;
        tr_buffer_reset(&text);
        rc = tr_my_value_write(c->values, map, i, &image[i], false, &text, err);
        literals[i] = tr_arena_copy(&parked_rows(c)->arena, text.data, text.len);
    }
    tr_buffer_fini(&text);
    return rc;
}

static int
key_literals(struct careful *c, struct tr_my_map *map, const struct tr_value *image, const char **key,
             struct tr_error *err)
{
    struct tr_buffer text;
    int rc = 0;
    tr_buffer_init(&text, SQL_MAX);
    for (uint16_t k = 0; rc == 0 && k < map->nkey; k++) {
        tr_buffer_reset(&text);
        rc = tr_my_value_write(c->values, map, map->key[k], &image[map->key[k]], false, &text, err);
        key[k] = tr_arena_copy(&parked_rows(c)->arena, text.data, text.len);
    }
    tr_buffer_fini(&text);
    return rc;
}

static struct parked_row *
parked_new(struct careful *c, struct tr_my_map *map, const struct tr_event *event)
{
    struct tr_arena *arena = &parked_rows(c)->arena;
    struct parked_row *entry = tr_arena_zalloc(arena, sizeof(*entry));
    entry->map = map;
    entry->key = tr_arena_zalloc(arena, (map->nkey + 1u) * sizeof(*entry->key));
    entry->row = tr_arena_zalloc(arena, (map->relation->ncolumns + 1u) * sizeof(*entry->row));
    entry->event = *event;
    entry->event.before = entry->event.after = NULL;
    return entry;
}

static void
park(struct careful *c, struct parked_row *entry)
{
    entry->next = parked_rows(c)->rows;
    parked_rows(c)->rows = entry;
}

static bool
as_hex(enum tr_my_kind kind)
{
    return kind == TR_MY_BIT || kind == TR_MY_BINARY || kind == TR_MY_GEOMETRY || kind == TR_MY_VECTOR;
}

/* The columns of the row as it stands, in forms that lose nothing: a FLOAT as a double, bytes in hex. */
static void
select_row(const struct tr_my_map *map, struct tr_buffer *sql)
{
    const char *comma = "";
    tr_buffer_text(sql, "SELECT ");
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        const struct tr_my_column *column = &map->table->columns[map->target[i]];
        tr_buffer_text(sql, comma);
        tr_buffer_text(sql, as_hex(column->kind) ? "HEX(" : "(");
        tr_mysql_identifier(sql, column->name);
        tr_buffer_text(sql, column->kind == TR_MY_FLOAT ? "+0e0)" : ")");
        comma = ", ";
    }
    tr_buffer_text(sql, " FROM ");
    tr_mysql_qualified(sql, map->table->database, map->table->name);
    tr_buffer_text(sql, " WHERE ");
}

static void
take_literals(struct careful *c, const struct tr_my_map *map, MYSQL_ROW row, const unsigned long *lengths,
              const char **literals)
{
    struct tr_buffer text;
    unsigned at = 0;
    tr_buffer_init(&text, SQL_MAX);
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0)
            continue;
        tr_buffer_reset(&text);
        if (row[at] == NULL) {
            tr_buffer_text(&text, "NULL");
        } else if (as_hex(map->table->columns[map->target[i]].kind)) {
            tr_buffer_text(&text, "x'");
            tr_buffer_add(&text, row[at], lengths[at]);
            tr_buffer_byte(&text, '\'');
        } else if (!map->json_decimals || map->table->columns[map->target[i]].kind != TR_MY_JSON ||
                   !tr_my_json_has_decimals(row[at], lengths[at]) ||
                   !tr_my_json_calls(row[at], lengths[at], &text)) {
            tr_mysql_literal(&text, row[at], lengths[at]);
        }
        literals[i] = tr_arena_copy(&parked_rows(c)->arena, text.data, text.len);
        at++;
    }
    tr_buffer_fini(&text);
}

static int
fetch_row(struct careful *c, struct tr_my_map *map, const struct tr_value *key, const char **literals,
          struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, SQL_MAX);
    select_row(map, &sql);
    int rc = tr_my_row_condition(c->values, map, key, &sql, err);
    tr_buffer_text(&sql, " FOR UPDATE");
    if (rc == 0)
        rc = execute(c, map, &sql, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    res = mysql_store_result(c->worker->conn);
    MYSQL_ROW row = res != NULL && mysql_num_rows(res) == 1 ? mysql_fetch_row(res) : NULL;
    if (row != NULL)
        take_literals(c, map, row, mysql_fetch_lengths(res), literals);
    else
        rc = fail_missing(err);
    mysql_free_result(res);
    return rc;
}

/* Take the row out of the table, as it is there, and lay the change over it. */
static int
park_update(struct careful *c, struct tr_my_map *map, const struct tr_event *event,
            const struct tr_value *key, const struct tr_value *row, struct tr_error *err)
{
    struct parked_row *entry = parked_new(c, map, event);
    int rc = fetch_row(c, map, key, entry->row, err);
    if (rc == 0)
        rc = run_one(c, map, map->nkey > 0 ? TR_SQL_DELETE : TR_SQL_DELETE_ROW, key, NULL, err);
    if (rc == 0)
        rc = overlay(c, map, entry->row, row, err);
    if (rc == 0)
        rc = key_literals(c, map, row, entry->key, err);
    if (rc == 0)
        park(c, entry);
    return rc;
}

static int
park_insert(struct careful *c, struct tr_my_map *map, const struct tr_event *event,
            const struct tr_value *row, struct tr_error *err)
{
    struct parked_row *entry = parked_new(c, map, event);
    int rc = overlay(c, map, entry->row, row, err);
    if (rc == 0)
        rc = key_literals(c, map, row, entry->key, err);
    if (rc == 0)
        park(c, entry);
    return rc;
}

static bool
same_key(const struct tr_my_map *map, const char *const *a, const char *const *b)
{
    bool same = map->nkey > 0;
    for (uint16_t k = 0; same && k < map->nkey; k++)
        same = strcmp(a[k], b[k]) == 0;
    return same;
}

/* A change of a row that is parked is made there: 1, or 0 when there is none. */
static int
change_parked(struct careful *c, struct tr_my_map *map, const struct tr_event *event,
              const struct tr_value *key, struct tr_error *err)
{
    struct parked *parked = c->base.group->parked;
    if (parked == NULL || map->nkey == 0 || event->kind == TR_INSERT || event->kind == TR_READ)
        return 0;
    const char **wanted = tr_arena_zalloc(&parked->arena, map->nkey * sizeof(*wanted));
    int rc = key_literals(c, map, key, wanted, err);
    for (struct parked_row **at = &parked->rows; rc == 0 && *at != NULL; at = &(*at)->next) {
        if ((*at)->map != map || !same_key(map, (*at)->key, wanted))
            continue;
        if (event->kind == TR_DELETE) {
            *at = (*at)->next;
            return 1;
        }
        rc = overlay(c, map, (*at)->row, event->after, err);
        for (uint16_t k = 0; rc == 0 && k < map->nkey; k++)
            (*at)->key[k] = (*at)->row[map->key[k]];
        return rc < 0 ? rc : 1;
    }
    return rc;
}

static int
put_back(struct careful *c, const struct parked_row *entry, struct tr_error *err)
{
    const struct tr_my_map *map = entry->map;
    struct tr_buffer sql;
    const char *comma = " (";
    tr_buffer_init(&sql, SQL_MAX);
    tr_buffer_text(&sql, "INSERT INTO ");
    tr_mysql_qualified(&sql, map->table->database, map->table->name);
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (entry->row[i] == NULL)
            continue;
        tr_buffer_text(&sql, comma);
        tr_mysql_identifier(&sql, map->table->columns[map->target[i]].name);
        comma = ",";
    }
    comma = ") VALUES (";
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (entry->row[i] == NULL)
            continue;
        tr_buffer_text(&sql, comma);
        tr_buffer_text(&sql, entry->row[i]);
        comma = ",";
    }
    tr_buffer_byte(&sql, ')');
    int rc = execute(c, map, &sql, err);
    tr_buffer_fini(&sql);
    return rc;
}

/* A parked row found no place: of its key the literals are known. */
static int
refuse_parked(struct careful *c, const struct parked_row *entry, const struct tr_error *failure,
              struct tr_error *err)
{
    const struct tr_my_map *map = entry->map;
    struct tr_buffer key;
    tr_buffer_init(&key, 4096);
    tr_buffer_text(&key, map->nkey == 0 ? "no key" : "");
    for (uint16_t k = 0; k < map->nkey; k++) {
        tr_buffer_printf(&key, "%s%s=", k > 0 ? ", " : "", map->relation->columns[map->key[k]].name);
        tr_text_printable(&key, entry->key[k], strnlen(entry->key[k], 64));
    }
    int rc = tr_sql_refuse_row(&c->base, &map->plan, &entry->event, key.data, failure, err);
    tr_buffer_fini(&key);
    return rc;
}

/* The row that stands in its place goes; only that with its own key can be meant. */
static int
put_over(struct careful *c, const struct parked_row *entry, struct tr_error *err)
{
    const struct tr_my_map *map = entry->map;
    struct tr_buffer sql;
    tr_buffer_init(&sql, SQL_MAX);
    tr_buffer_text(&sql, "DELETE FROM ");
    tr_mysql_qualified(&sql, map->table->database, map->table->name);
    for (uint16_t k = 0; k < map->nkey; k++) {
        tr_buffer_text(&sql, k > 0 ? " AND " : " WHERE ");
        tr_mysql_identifier(&sql, map->table->columns[map->target[map->key[k]]].name);
        bool single = map->table->columns[map->target[map->key[k]]].single;
        tr_buffer_printf(&sql, single ? "=CAST(%s AS FLOAT)" : "=%s", entry->key[k]);
    }
    int rc = map->nkey > 0 ? execute(c, map, &sql, err) : 0;
    tr_buffer_fini(&sql);
    return rc < 0 ? rc : put_back(c, entry, err);
}

static int
settle_parked(struct careful *c, const struct parked_row *entry, const struct tr_error *failure,
              struct tr_error *err)
{
    const struct tr_sink_env *env = c->sink->base.env;
    struct tr_error again = *failure;
    const char *what = "skipped";
    if (c->base.policy == TR_SQL_CONFLICT_STOP)
        return refuse_parked(c, entry, failure, err);
    if (c->base.policy == TR_SQL_CONFLICT_OVERWRITE) {
        what = "overwritten";
        int rc = put_over(c, entry, &again);
        if (rc < 0)
            return refuse_parked(c, entry, &again, err);
    }
    tr_log(env->log, TR_LOG_WARNING, "sink", "%s: a row whose unique value was taken is %s: %s",
           entry->map->label, what, failure->text);
    c->base.apply->counts.conflicts++;
    env->conflict(env->arg, entry->map->label, what);
    return 0;
}

static int
unpark(struct tr_sql_careful *base, struct tr_error *err)
{
    struct careful *c = of(base);
    const struct parked *parked = base->group->parked;
    int rc = 0;
    for (const struct parked_row *entry = parked != NULL ? parked->rows : NULL; rc == 0 && entry != NULL;
         entry = entry->next) {
        struct tr_error failure;
        rc = put_back(c, entry, &failure); /* a failed statement leaves nothing behind */
        if (rc == -TR_CONFLICT)
            rc = settle_parked(c, entry, &failure, err);
        else if (rc < 0)
            *err = failure;
    }
    tr_sql_group_drop_parked(base->group);
    return rc;
}

static int
stray(struct tr_sql_careful *base, const struct tr_sql_change *change, const struct tr_error *failure,
      struct tr_error *err)
{
    struct careful *c = of(base);
    struct tr_my_map *map = map_of(change);
    const struct tr_event *event = change->event;
    /* two rows share a key while it is exchanged: the one that still stands in the table is meant first */
    int rc = is_missing(failure) ? change_parked(c, map, event, change->key, err) : 0;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (is_duplicate(failure) && change->row != NULL) {
        struct tr_error ignored;
        rc = event->kind == TR_UPDATE ? park_update(c, map, event, change->key, change->row, &ignored)
                                      : park_insert(c, map, event, change->row, &ignored);
        if (rc == 0)
            return 0;
        rc = savepoint(c, "ROLLBACK TO SAVEPOINT r", err);
    }
    return rc < 0 ? rc : tr_sql_settle(base, change, change->key, failure, err);
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
};

int
tr_my_apply_carefully(struct tr_mysql_sink *sink, struct tr_my_worker *worker, bool in_transaction,
                      struct tr_error *err)
{
    struct tr_sql_group *group = worker->base.group;
    struct careful c = { .base = { .driver = &driver,
                                   .apply = &sink->apply->base,
                                   .group = group,
                                   .policy = sink->on_conflict },
                         .sink = sink,
                         .worker = worker,
                         .values = &worker->apply->values };
    int rc = in_transaction ? 0 : tr_my_worker_ask(worker, "START TRANSACTION", err);
    if (rc == 0)
        rc = tr_sql_careful_walk(&c.base, err);
    if (rc == 0 && group->checkpoint != NULL)
        rc = tr_my_worker_commit_now(worker, err);
    else if (rc == 0)
        group->slices++; /* a deadlock later on undoes this one, too */
    return rc;
}
