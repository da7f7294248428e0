/*
 * rekey.c - the source exchanged a table's primary key: so does the target, before the first row that only the new key tells apart (docs/ddl.md).
 *
 * What is remembered with the shape is the key that the target was made with. A target's own key, which is neither the one nor the other, is left alone, and so is one that cannot be
 * exchanged: that is said, with the statement, and tried again at the next start.
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/postgres/change.h"

/* ------------------------------------------------------------------------------------------- what is remembered */

void
tr_pg_shape_unkey(struct tr_pg_shape *shape)
{
    for (uint16_t i = 0; i < shape->nkey; i++)
        free(shape->key[i]);
    free(shape->key);
    shape->key = NULL;
    shape->nkey = 0;
    shape->keyed = false;
}

void
tr_pg_shape_add_key(struct tr_pg_shape *shape, const char *column)
{
    shape->keyed = true;
    if (column == NULL)
        return;
    shape->key = tr_realloc(shape->key, (shape->nkey + 1u) * sizeof(*shape->key));
    shape->key[shape->nkey++] = tr_strdup(column);
}

void
tr_pg_shape_rekey(struct tr_pg_shape *shape, const struct tr_relation *relation)
{
    tr_pg_shape_unkey(shape);
    shape->keyed = true;
    for (uint16_t i = 0; i < relation->nkeys; i++)
        tr_pg_shape_add_key(shape, relation->columns[relation->keys[i]].name);
}

/* The key's column as it is called now. */
static const char *
name_now(const struct tr_pg_shape *shape, const char *name, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->ncolumns; i++) {
        const struct tr_column *now = strcmp(shape->columns[i].name, name) == 0
                                          ? tr_pg_shape_now(shape, &shape->columns[i], relation)
                                          : NULL;
        if (now != NULL)
            return now->name;
    }
    return name;
}

void
tr_pg_shape_follow_key(struct tr_pg_shape *shape, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < shape->nkey; i++) {
        const char *now = name_now(shape, shape->key[i], relation);
        if (strcmp(now, shape->key[i]) == 0)
            continue;
        char *copy = tr_strdup(now);
        free(shape->key[i]);
        shape->key[i] = copy;
    }
}

/* A relation with some of its table's columns (a column list) may have some of its key. */
static bool
is_whole(const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < relation->nkeys; i++)
        if (relation->columns[relation->keys[i]].key != i + 1)
            return false;
    return true;
}

bool
tr_pg_shape_is_keyed(const struct tr_pg_shape *shape, const struct tr_relation *relation)
{
    if (!is_whole(relation))
        return true;
    bool same = !shape->keyed || shape->nkey == relation->nkeys;
    for (uint16_t i = 0; same && shape->keyed && i < shape->nkey; i++)
        same = strcmp(name_now(shape, shape->key[i], relation), relation->columns[relation->keys[i]].name) ==
               0;
    return same;
}

/* ------------------------------------------------------------------------------------------- the target's */

static const struct tr_pg_unique *
primary_of(const struct tr_pg_table *table)
{
    for (uint16_t u = 0; u < table->nuniques; u++)
        if (table->uniques[u].primary)
            return &table->uniques[u];
    return NULL;
}

/* Is the target's key that which the source had? None, where a column of it has gone, may have been it. */
static bool
has_old(const struct tr_pg_table *table, const struct tr_pg_shape *before, const struct tr_relation *relation)
{
    const struct tr_pg_unique *primary = primary_of(table);
    if (primary == NULL)
        return true;
    bool same = primary->ncolumns == before->nkey;
    for (uint16_t i = 0; same && i < before->nkey; i++)
        same = strcmp(table->columns[primary->columns[i]].name, name_now(before, before->key[i], relation)) ==
               0;
    return same;
}

static bool
has_new(const struct tr_pg_table *table, const struct tr_relation *relation)
{
    const struct tr_pg_unique *primary = primary_of(table);
    bool same = relation->nkeys == (primary != NULL ? primary->ncolumns : 0);
    for (uint16_t i = 0; same && i < relation->nkeys; i++)
        same = strcmp(table->columns[primary->columns[i]].name, relation->columns[relation->keys[i]].name) ==
               0;
    return same;
}

static bool
has_columns(const struct tr_pg_table *table, const struct tr_relation *relation)
{
    for (uint16_t i = 0; i < relation->nkeys; i++)
        if (tr_pg_table_column(table, relation->columns[relation->keys[i]].name) < 0)
            return false;
    return true;
}

/* "DROP CONSTRAINT t_pkey", of the key that the table has; *name: the constraint's. */
static int
write_drop(struct tr_pg_change *c, struct tr_buffer *name, struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_printf(&sql,
                     "SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'p' AND conrelid = %u",
                     c->table->oid);
    int rc = tr_pg_ask(c->sink, c->conn, sql.data, &res, err);
    if (rc == 0 && PQntuples(res) > 0) {
        tr_buffer_text(name, PQgetvalue(res, 0, 0));
        tr_pg_change_alter(&c->sql, c->table);
        tr_buffer_printf(&c->sql, "DROP CONSTRAINT %s", name->data);
    }
    PQclear(res);
    tr_buffer_fini(&sql);
    return rc;
}

static int
write_exchange(struct tr_pg_change *c, struct tr_error *err)
{
    struct tr_buffer name;
    tr_buffer_init(&name, 4096);
    int rc = write_drop(c, &name, err);
    for (uint16_t i = 0; rc == 0 && i < c->after->nkeys; i++) {
        if (i == 0 && name.len > 0)
            tr_buffer_printf(&c->sql, ", ADD CONSTRAINT %s PRIMARY KEY (", name.data);
        else if (i == 0)
            tr_pg_change_alter(&c->sql, c->table);
        if (i == 0 && name.len == 0)
            tr_buffer_text(&c->sql, "ADD PRIMARY KEY (");
        tr_buffer_text(&c->sql, i > 0 ? ", " : "");
        tr_pg_identifier(&c->sql, c->after->columns[c->after->keys[i]].name);
    }
    if (rc == 0 && c->after->nkeys > 0)
        tr_buffer_byte(&c->sql, ')');
    tr_buffer_fini(&name);
    return rc;
}

static int
try_exchange(struct tr_pg_change *c, bool *done, struct tr_error *err)
{
    struct tr_error why;
    int rc = tr_pg_ask(c->sink, c->conn, "SAVEPOINT tailrace_key", NULL, err);
    if (rc == 0)
        rc = write_exchange(c, err);
    if (rc < 0)
        return rc;
    char *said = tr_strdup(c->sql.data);
    *done = tr_pg_change_run(c, &why) == 0;
    if (!*done && why.class == TR_RETRY) {
        *err = why;
        rc = -TR_RETRY;
    } else if (!*done) {
        tr_log(
            c->sink->base.env->log, TR_LOG_WARNING, "sink",
            "table %s.%s: the source has another primary key, and the target keeps its own: rows that only the new one tells apart will be refused. Run there: %s (%s)",
            c->table->schema, c->table->name, said, why.text);
        rc = tr_pg_ask(c->sink, c->conn, "ROLLBACK TO SAVEPOINT tailrace_key", NULL, err);
    }
    free(said);
    return rc < 0 ? rc : tr_pg_ask(c->sink, c->conn, "RELEASE SAVEPOINT tailrace_key", NULL, err);
}

int
tr_pg_change_key(struct tr_postgres_sink *sink, PGconn *conn, struct tr_pg_shape *before,
                 const struct tr_relation *after, struct tr_error *err)
{
    struct tr_pg_change c = { .sink = sink, .conn = conn, .before = before, .after = after };
    bool done = true;
    int rc = tr_pg_table_read(sink, after->target_schema, after->target_name, &c.table, err);
    tr_buffer_init(&c.sql, (size_t)1 << 20);
    if (rc == 0 && c.table != NULL && !has_new(c.table, after) && has_old(c.table, before, after) &&
        has_columns(c.table, after))
        rc = try_exchange(&c, &done, err);
    if (rc == 0 && done)
        tr_pg_shape_rekey(before, after);
    tr_buffer_fini(&c.sql);
    tr_pg_table_free(c.table);
    return rc;
}

int
tr_pg_change_leave_key(struct tr_pg_change *c, int at, struct tr_error *err)
{
    const struct tr_pg_unique *primary = primary_of(c->table);
    struct tr_buffer name;
    bool in = false;
    for (uint16_t i = 0; primary != NULL && i < primary->ncolumns; i++)
        in = in || primary->columns[i] == at;
    if (!in)
        return 0;
    tr_buffer_init(&name, 4096);
    int rc = write_drop(c, &name, err);
    if (rc == 0 && name.len > 0)
        rc = tr_pg_change_run(c, err);
    tr_buffer_fini(&name);
    return rc;
}
