/*
 * definitions.c - the statements that would make the task's tables, for encoders that tell of changes of the schema: those that Debezium's snapshot gives.
 */
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"

struct definitions {
    struct tr_mysql_source *source;
    struct tr_relation *const *tables;
    size_t ntables;
    struct tr_batch *batch;
};

/* relation: what the statement is about, or NULL. The text is the caller's. */
static struct tr_event *
add(struct definitions *d, const char *database, const char *text, const struct tr_relation *relation,
    enum tr_ddl_verb verb)
{
    struct tr_arena *arena = &d->batch->arena;
    struct tr_event *event = tr_batch_event(d->batch);
    event->kind = TR_DDL;
    event->snapshot = TR_SNAPSHOT_TRUE;
    event->ddl.database = tr_arena_strdup(arena, database);
    event->ddl.text = tr_arena_strdup(arena, text);
    event->ddl.sql_mode = -1;
    event->ddl.verb = (uint8_t)verb;
    if (relation != NULL) {
        struct tr_ddl_table *table = tr_arena_zalloc(arena, sizeof *table);
        table->schema = table->target_schema = tr_arena_strdup(arena, relation->schema);
        table->name = table->target_name = tr_arena_strdup(arena, relation->name);
        table->ours = table->wanted = true;
        event->ddl.tables = table;
        event->ddl.ntables = 1;
    }
    return event;
}

static int
add_settings(struct definitions *d, struct tr_error *err)
{
    char *text;
    int rc = tr_mysql_ask_text(d->source,
                               "SELECT CONCAT('SET character_set_server=', @@global.character_set_server, "
                               "', collation_server=', @@global.collation_server)",
                               &text, err);
    if (rc == 0 && text != NULL)
        add(d, "", text, NULL, TR_VERB_OTHER);
    free(text);
    return rc;
}

static void
add_drop(struct definitions *d, const struct tr_relation *relation)
{
    struct tr_buffer text;
    tr_buffer_init(&text, 8192);
    tr_buffer_text(&text, "DROP TABLE IF EXISTS ");
    tr_mysql_qualified(&text, relation->schema, relation->name);
    struct tr_event *event = add(d, relation->schema, text.data, relation, TR_VERB_DROP_TABLE);
    ((struct tr_ddl_table *)event->ddl.tables)->at = (uint32_t)strlen("DROP TABLE IF EXISTS ");
    tr_buffer_fini(&text);
}

/* It is made anew, with its character set, and used. */
static int
add_database(struct definitions *d, const char *database, struct tr_error *err)
{
    struct tr_buffer name, sql;
    char *text = NULL, *made;
    tr_buffer_init(&name, 8192);
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_mysql_identifier(&name, database);
    tr_buffer_printf(&sql, "DROP DATABASE IF EXISTS %s", name.data);
    add(d, database, sql.data, NULL, TR_VERB_OTHER);
    tr_buffer_reset(&sql);
    tr_buffer_text(
        &sql, "SELECT CONCAT(' CHARSET ', DEFAULT_CHARACTER_SET_NAME, ' COLLATE ', DEFAULT_COLLATION_NAME) "
              "FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
    tr_mysql_literal(&sql, database, strlen(database));
    int rc = tr_mysql_ask_text(d->source, sql.data, &text, err);
    if (rc == 0) {
        made = tr_asprintf("CREATE DATABASE %s%s", name.data, text != NULL ? text : "");
        add(d, database, made, NULL, TR_VERB_OTHER);
        free(made);
        made = tr_asprintf("USE %s", name.data);
        add(d, database, made, NULL, TR_VERB_OTHER);
        free(made);
    }
    free(text);
    tr_buffer_fini(&name);
    tr_buffer_fini(&sql);
    return rc;
}

static int
add_table(struct definitions *d, const struct tr_relation *relation, struct tr_error *err)
{
    struct tr_relation *shape = NULL;
    struct tr_buffer sql;
    MYSQL_RES *res;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SHOW CREATE TABLE ");
    tr_mysql_qualified(&sql, relation->schema, relation->name);
    int rc = tr_mysql_ask(d->source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        tr_mysql_vanished(err);
        return tr_error_prefix(err, "source: reading the definition of %s.%s", relation->schema,
                               relation->name);
    }
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row != NULL && row[1] != NULL) {
        struct tr_event *event = add(d, relation->schema, row[1], relation, TR_VERB_CREATE_TABLE);
        rc = tr_mysql_describe(&d->source->base, relation->schema, relation->name, &shape, err);
        if (shape != NULL) {
            tr_batch_hold(d->batch, shape);
            tr_relation_unref(shape);
            event->ddl.tables[0].shape = shape;
        }
    }
    mysql_free_result(res);
    return rc;
}

int
tr_mysql_definitions(struct tr_source *base, struct tr_relation *const *tables, size_t ntables, bool whole,
                     struct tr_batch *batch, struct tr_error *err)
{
    struct definitions d = { (struct tr_mysql_source *)base, tables, ntables, batch };
    int rc = whole ? add_settings(&d, err) : 0;
    for (size_t i = 0; rc == 0 && i < ntables; i++)
        add_drop(&d, tables[i]);
    for (size_t i = 0; rc == 0 && i < ntables; i++) {
        if (whole && (i == 0 || strcmp(tables[i]->schema, tables[i - 1]->schema) != 0))
            rc = add_database(&d, tables[i]->schema, err);
        if (rc == 0)
            rc = add_table(&d, tables[i], err);
    }
    return rc;
}
