/*
 * publication.c - the publication: made with exactly the task's tables, extended when the task grows, refused when it lacks one.
 *
 * One that we made carries our comment; another's is used as it is and never altered or dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/internal.h"
#include "core/memory.h"

#define COMMENT_START "made by tailrace for task "
#define SQL_MAX ((size_t)64 << 20)
#define CHUNK \
    ((size_t)1000) /* tables of one statement: it locks them all, and 10,000 are more than a server's lock table holds */
#define NAMED_MAX 5 /* tables named in a message */

int
tr_postgres_publication_look(struct tr_postgres_source *source, struct tr_postgres_publication *publication,
                             struct tr_error *err)
{
    const char *params[] = { source->publication };
    const char *sql =
        source->server_version >= 180000
            ? "SELECT puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate,"
              " obj_description(oid, 'pg_publication'), pubgencols FROM pg_publication WHERE pubname = $1"
            : "SELECT puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate,"
              " obj_description(oid, 'pg_publication'), 'n' FROM pg_publication WHERE pubname = $1";
    PGresult *res;
    *publication = (struct tr_postgres_publication){ 0 };
    int rc = tr_postgres_query(source, sql, 1, params, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot look at publication %s", source->publication);
    if (PQntuples(res) == 1) {
        publication->exists = true;
        publication->all_tables = PQgetvalue(res, 0, 0)[0] == 't';
        publication->via_root = PQgetvalue(res, 0, 1)[0] == 't';
        publication->insert = PQgetvalue(res, 0, 2)[0] == 't';
        publication->update = PQgetvalue(res, 0, 3)[0] == 't';
        publication->delete_ = PQgetvalue(res, 0, 4)[0] == 't';
        publication->truncate = PQgetvalue(res, 0, 5)[0] == 't';
        publication->ours = strncmp(PQgetvalue(res, 0, 6), COMMENT_START, strlen(COMMENT_START)) == 0;
        publication->generated = PQgetvalue(res, 0, 7)[0];
    }
    PQclear(res);
    return 0;
}

/* ", "-separated; ONLY keeps the children of plain inheritance out, which were not asked for. */
static void
table_list(struct tr_buffer *sql, const struct tr_postgres_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tr_buffer_text(sql, i == 0 ? "" : ", ");
        tr_buffer_text(sql, tables[i].kind == 'p' ? "" : "ONLY ");
        tr_pg_qualified(sql, tables[i].schema, tables[i].name);
    }
}

static void
create_sql(const struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
           struct tr_buffer *sql)
{
    tr_buffer_text(sql, "CREATE PUBLICATION ");
    tr_pg_identifier(sql, source->publication);
    tr_buffer_text(sql, count > 0 ? " FOR TABLE " : "");
    table_list(sql, tables, count);
    tr_buffer_text(sql, " WITH (publish_via_partition_root = true");
    tr_buffer_text(sql, source->server_version >= 180000 ? ", publish_generated_columns = stored)" : ")");
}

static void
add_sql(const struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
        struct tr_buffer *sql)
{
    tr_buffer_text(sql, "ALTER PUBLICATION ");
    tr_pg_identifier(sql, source->publication);
    tr_buffer_text(sql, " ADD TABLE ");
    table_list(sql, tables, count);
}

/* A long statement in a hint is cut: the operator sees its form. */
static int
hint_sql(struct tr_error *err, const char *before, const struct tr_buffer *sql)
{
    size_t len = sql->len < 600 ? sql->len : 600;
    return tr_error_hint(err, "%s%.*s%s", before, (int)len, sql->data, len < sql->len ? " ..." : ";");
}

/* Statements sent together are one transaction: a publication is never seen without its comment. */
static int
run_sql(struct tr_postgres_source *source, const struct tr_buffer *sql, bool comment, struct tr_error *err)
{
    struct tr_buffer all, text;
    int64_t patience_ms = tr_setting_int(source->base.env->settings, "slot_timeout") / 1000;
    tr_buffer_init(&all, SQL_MAX);
    tr_buffer_init(&text, 4096);
    tr_buffer_printf(&all, "SET LOCAL lock_timeout = %lld; ", (long long)patience_ms);
    tr_buffer_add(&all, sql->data, sql->len);
    if (comment) {
        tr_buffer_printf(&text, "%s%s", COMMENT_START, source->base.env->task);
        tr_buffer_text(&all, "; COMMENT ON PUBLICATION ");
        tr_pg_identifier(&all, source->publication);
        tr_buffer_text(&all, " IS ");
        tr_pg_literal(&all, text.data);
    }
    int rc = all.overflow
                 ? tr_fail(err, TR_FATAL, "too many tables for one statement")
                 : tr_postgres_query(source, "SELECT 1", 0, NULL, NULL, err); /* the connection stands */
    if (rc == 0)
        rc = tr_pg_exec(source->query, source->interrupt_fd, all.data, NULL, err);
    tr_buffer_fini(&all);
    tr_buffer_fini(&text);
    if (rc == 0)
        return 0;
    if (source->in_recovery && strcmp(err->sqlstate, "25006") == 0) {
        err->class = TR_REFUSED;
        return hint_sql(err, "the source is a standby; run on its primary: ", sql);
    }
    if (strncmp(err->sqlstate, "42501", 5) == 0) {
        err->class = TR_REFUSED;
        return hint_sql(err, "let the owner of the tables run: ", sql);
    }
    return rc;
}

/* C02: an UPDATE of the application fails once such a table is published. Said before, loudly. */
static void
warn_identity(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tables[i].identity == 'n' || (tables[i].identity == 'd' && !tables[i].has_key))
            tr_log(
                source->base.env->log, TR_LOG_WARNING, "capture",
                "table %s.%s has no replica identity: PostgreSQL refuses UPDATE and DELETE on it as long as it is published. "
                "To allow them: ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY FULL;",
                tables[i].schema, tables[i].name, tables[i].schema, tables[i].name);
}

/* Chunk by chunk, each a transaction of its own: one that was cut short is completed by the next prepare. */
static int
add_tables(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
           struct tr_error *err)
{
    struct tr_buffer sql;
    int rc = 0;
    tr_buffer_init(&sql, SQL_MAX);
    for (size_t done = 0; rc == 0 && done < count; done += CHUNK) {
        tr_buffer_reset(&sql);
        add_sql(source, tables + done, count - done < CHUNK ? count - done : CHUNK, &sql);
        rc = run_sql(source, &sql, false, err);
    }
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "cannot add tables to publication %s", source->publication) : 0;
}

static int
extend_publication(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t missing,
                   struct tr_error *err)
{
    warn_identity(source, tables, missing);
    int rc = add_tables(source, tables, missing, err);
    if (rc == 0)
        tr_log(source->base.env->log, TR_LOG_INFO, "capture", "added %zu table%s to publication %s", missing,
               missing == 1 ? "" : "s", source->publication);
    return rc;
}

static int
create_publication(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
                   struct tr_error *err)
{
    struct tr_buffer sql;
    size_t first = count < CHUNK ? count : CHUNK;
    int rc;
    tr_buffer_init(&sql, SQL_MAX);
    create_sql(source, tables, first, &sql);
    if (!tr_setting_bool(source->base.env->settings, "create_publication")) {
        tr_fail(err, TR_REFUSED, "publication %s does not exist, and create_publication is off",
                source->publication);
        rc = hint_sql(err, "", &sql);
    } else {
        warn_identity(source, tables, count);
        rc = run_sql(source, &sql, true, err);
        if (rc < 0)
            tr_error_prefix(err, "cannot make publication %s", source->publication);
        source->publication_made = rc == 0;
        if (rc == 0)
            rc = add_tables(source, tables + first, count - first, err);
        if (rc == 0)
            tr_log(source->base.env->log, TR_LOG_INFO, "capture", "made publication %s with %zu table%s",
                   source->publication, count, count == 1 ? "" : "s");
    }
    tr_buffer_fini(&sql);
    return rc;
}

/* ---------------------------------------------------------------------------------------------------- what it lacks */

static int
compare_oids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* A publication that we made holds the task's tables: another one was renamed, or the task has let go of it. Its changes are passed over. */
static void
warn_stray(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t count,
           const PGresult *res)
{
    uint32_t *ours = tr_calloc(count + 1, sizeof *ours);
    for (size_t i = 0; i < count; i++)
        ours[i] = tables[i].oid;
    qsort(ours, count, sizeof *ours, compare_oids);
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10);
        if (count == 0 || bsearch(&oid, ours, count, sizeof *ours, compare_oids) == NULL)
            tr_log(
                source->base.env->log, TR_LOG_WARNING, "capture",
                "table %s.%s is in publication %s and is no table of the task: if it was one under another name or in another schema, "
                "its changes do not reach the target any more",
                PQgetvalue(res, i, 1), PQgetvalue(res, i, 2), source->publication);
    }
    free(ours);
}

/* Moves the tables that are not published to the front of the array and returns how many they are. */
static int
find_missing(struct tr_postgres_source *source, struct tr_postgres_table *tables, size_t count, bool stray,
             size_t *missing, struct tr_error *err)
{
    const char *params[] = { source->publication };
    PGresult *res;
    *missing = 0;
    int rc = tr_postgres_query(
        source,
        "SELECT p.relid, n.nspname, c.relname FROM pg_get_publication_tables($1) p JOIN pg_class c ON c.oid = p.relid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace",
        1, params, &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read what publication %s holds", source->publication);
    if (stray)
        warn_stray(source, tables, count, res);
    size_t n = (size_t)PQntuples(res);
    uint32_t *oids = tr_calloc(n + 1, sizeof *oids);
    for (size_t i = 0; i < n; i++)
        oids[i] = (uint32_t)strtoul(PQgetvalue(res, (int)i, 0), NULL, 10);
    qsort(oids, n, sizeof *oids, compare_oids);
    for (size_t i = 0; i < count; i++)
        if (n == 0 || bsearch(&tables[i].oid, oids, n, sizeof *oids, compare_oids) == NULL) {
            struct tr_postgres_table swap = tables[*missing];
            tables[(*missing)++] = tables[i];
            tables[i] = swap;
        }
    free(oids);
    PQclear(res);
    return 0;
}

static int
refuse_missing(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t missing,
               struct tr_error *err)
{
    struct tr_buffer names, sql;
    tr_buffer_init(&names, 4096);
    tr_buffer_init(&sql, SQL_MAX);
    for (size_t i = 0; i < missing && i < NAMED_MAX; i++)
        tr_buffer_printf(&names, "%s%s.%s", i == 0 ? "" : ", ", tables[i].schema, tables[i].name);
    add_sql(source, tables, missing, &sql);
    tr_fail(err, TR_REFUSED, "publication %s lacks %zu of the task's tables: %s%s", source->publication,
            missing, names.data, missing > NAMED_MAX ? ", ..." : "");
    int rc = hint_sql(err, "", &sql);
    tr_buffer_fini(&names);
    tr_buffer_fini(&sql);
    return rc;
}

/* A table leaves a publication when it is dropped; one of the same name that is made later is another one. */
static int
refuse_left(struct tr_postgres_source *source, const struct tr_postgres_table *table, struct tr_error *err)
{
    tr_fail(
        err, TR_REFUSED,
        "the task follows table %s.%s, and publication %s does not hold it any more: it was dropped and made anew, or taken "
        "out; what has changed in it since came with no stream",
        table->schema, table->name, source->publication);
    return tr_error_hint(err, "order it to be loaded again, and start again: tailrace reload --table %s.%s",
                         table->schema, table->name);
}

static int
check_left(struct tr_postgres_source *source, const struct tr_postgres_table *tables, size_t missing,
           struct tr_error *err)
{
    const struct tr_table_memory *memory = &source->base.env->memory;
    for (size_t i = 0; memory->follows != NULL && i < missing; i++)
        if (memory->follows(memory->arg, tables[i].schema, tables[i].name))
            return refuse_left(source, &tables[i], err);
    return 0;
}

/* Complete, or completed where that is ours to do. */
static int
fit_publication(struct tr_postgres_source *source, const struct tr_postgres_publication *publication,
                struct tr_postgres_table *tables, size_t count, bool extend, struct tr_error *err)
{
    size_t missing;
    bool whole = extend && source->base.env->memory.follows != NULL; /* these are all of the task's tables */
    int rc = find_missing(source, tables, count, whole && publication->ours, &missing, err);
    if (rc == 0 && missing > 0 && extend)
        rc = check_left(source, tables, missing, err);
    if (rc < 0 || missing == 0)
        return rc;
    if (!publication->ours || !tr_setting_bool(source->base.env->settings, "create_publication"))
        return refuse_missing(source, tables, missing, err);
    return extend ? extend_publication(source, tables, missing, err) : 0;
}

int
tr_postgres_publication_fit(struct tr_postgres_source *source,
                            const struct tr_postgres_publication *publication, struct tr_error *err)
{
    struct tr_postgres_table *tables;
    size_t count;
    int rc = tr_postgres_tables(source, &tables, &count, err);
    if (rc == 0)
        rc = fit_publication(source, publication, tables, count, false, err);
    free(tables);
    return rc;
}

static void
warn_partial(struct tr_postgres_source *source, const struct tr_postgres_publication *publication)
{
    if (publication->insert && publication->update && publication->delete_ && publication->truncate)
        return;
    tr_log(source->base.env->log, TR_LOG_WARNING, "capture",
           "publication %s leaves out%s%s%s%s: those changes do not come", source->publication,
           publication->insert ? "" : " insert", publication->update ? "" : " update",
           publication->delete_ ? "" : " delete", publication->truncate ? "" : " truncate");
}

int
tr_postgres_publication_prepare(struct tr_postgres_source *source, struct tr_error *err)
{
    struct tr_postgres_publication publication;
    struct tr_postgres_table *tables;
    size_t count;
    int rc = tr_postgres_tables(source, &tables, &count, err);
    if (rc == 0)
        rc = tr_postgres_publication_look(source, &publication, err);
    if (rc < 0) {
        free(tables);
        return rc;
    }
    if (!publication.exists) {
        rc = create_publication(source, tables, count, err);
    } else {
        warn_partial(source, &publication);
        rc = fit_publication(source, &publication, tables, count, true, err);
    }
    free(tables);
    return rc;
}

int
tr_postgres_publication_drop(struct tr_postgres_source *source, struct tr_error *err)
{
    struct tr_postgres_publication publication;
    int rc = tr_postgres_publication_look(source, &publication, err);
    if (rc < 0 || !publication.exists)
        return rc;
    if (!publication.ours) {
        tr_log(source->base.env->log, TR_LOG_INFO, "capture",
               "publication %s was not made by tailrace and stays", source->publication);
        return 0;
    }
    struct tr_buffer sql;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "DROP PUBLICATION IF EXISTS ");
    tr_pg_identifier(&sql, source->publication);
    rc = run_sql(source, &sql, false, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "cannot drop publication %s", source->publication) : 0;
}
