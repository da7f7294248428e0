/* acting.c - see acting.h. */
#include "sinks/sql/acting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"

void
tr_acting_add(struct tr_acting *acting, const struct tr_acting_key *key)
{
    struct tr_arena *arena = &acting->ddl->arena;
    acting->keys = tr_realloc(acting->keys, (acting->nkeys + 1u) * sizeof *acting->keys);
    acting->keys[acting->nkeys++] = (struct tr_acting_key){
        tr_arena_strdup(arena, key->schema),      tr_arena_strdup(arena, key->table),
        tr_arena_strdup(arena, key->name),        tr_arena_strdup(arena, key->columns),
        tr_arena_strdup(arena, key->ref_schema),  tr_arena_strdup(arena, key->ref_table),
        tr_arena_strdup(arena, key->ref_columns), tr_arena_strdup(arena, key->on_delete),
        tr_arena_strdup(arena, key->on_update),
    };
}

void
tr_acting_fini(struct tr_acting *acting)
{
    free(acting->keys);
    acting->keys = NULL;
    acting->nkeys = 0;
}

static bool
acts(const char *rule)
{
    return rule != NULL && (strcmp(rule, "CASCADE") == 0 || strcmp(rule, "SET NULL") == 0);
}

/* A rule of the source that changes no rows is none that the target must have. */
static bool
same_rule(const char *source, const char *target)
{
    return !acts(source) || strcmp(source, target) == 0;
}

/* The key in the form of the target's. */
static struct tr_acting_key
as_target(struct tr_acting *acting, const struct tr_relation *child, const struct tr_object *object)
{
    const struct tr_relation *parent = acting->schema->tables[object->ref - 1].relation;
    struct tr_buffer columns, ref_columns;
    tr_buffer_init(&columns, (size_t)1 << 16);
    tr_buffer_init(&ref_columns, (size_t)1 << 16);
    for (uint16_t i = 0; i < object->ncolumns; i++) {
        tr_buffer_printf(&columns, "%s%s", i > 0 ? ", " : "", child->columns[object->columns[i]].name);
        tr_buffer_printf(&ref_columns, "%s%s", i > 0 ? ", " : "", object->ref_columns[i]);
    }
    struct tr_acting_key key = {
        .schema = acting->schema_of(acting->arg, child),
        .table = child->target_name,
        .name = object->name,
        .columns = tr_arena_strdup(&acting->ddl->arena, columns.data != NULL ? columns.data : ""),
        .ref_schema = acting->schema_of(acting->arg, parent),
        .ref_table = parent->target_name,
        .ref_columns = tr_arena_strdup(&acting->ddl->arena, ref_columns.data != NULL ? ref_columns.data : ""),
        .on_delete = object->on_delete,
        .on_update = object->on_update,
    };
    tr_buffer_fini(&columns);
    tr_buffer_fini(&ref_columns);
    return key;
}

/* Between the same columns; servers may keep names in small letters. */
static bool
joins_same(const struct tr_acting_key *a, const struct tr_acting_key *b)
{
    return strcasecmp(a->table, b->table) == 0 && strcasecmp(a->schema, b->schema) == 0 &&
           strcasecmp(a->columns, b->columns) == 0 && strcasecmp(a->ref_table, b->ref_table) == 0 &&
           strcasecmp(a->ref_schema, b->ref_schema) == 0 && strcasecmp(a->ref_columns, b->ref_columns) == 0;
}

/* *other: a key between the same columns that does something else, or NULL. */
static bool
has_key(const struct tr_acting *acting, const struct tr_acting_key *wanted, const char **other)
{
    *other = NULL;
    for (uint32_t i = 0; i < acting->nkeys; i++) {
        const struct tr_acting_key *key = &acting->keys[i];
        if (!joins_same(key, wanted))
            continue;
        if (same_rule(wanted->on_delete, key->on_delete) && same_rule(wanted->on_update, key->on_update))
            return true;
        *other = key->name;
    }
    return false;
}

static bool
says(const char *sql, const char *event, const char *rule)
{
    char words[40];
    snprintf(words, sizeof words, " ON %s %s", event, acts(rule) ? rule : "");
    return !acts(rule) || strstr(sql, words) != NULL;
}

/* The statement that makes the key at the target, or NULL where there is none that does the same. */
static const char *
statement_of(struct tr_acting *acting, uint32_t table, const struct tr_object *object)
{
    for (uint32_t i = 0; i < acting->ddl->count; i++) {
        const struct tr_ddl_statement *s = &acting->ddl->statements[i];
        if (s->kind != TR_OBJECT_FOREIGN_KEY || s->table != table)
            continue;
        const char *name = s->other_name != NULL ? s->other_name : s->name;
        if (strcmp(name, object->name) == 0 ||
            strcmp(name, tr_ddl_key_name(&acting->ddl->arena, object->name)) == 0)
            return says(s->sql, "DELETE", object->on_delete) && says(s->sql, "UPDATE", object->on_update)
                       ? s->sql
                       : NULL;
    }
    return NULL;
}

static void
warn(struct tr_acting *acting, uint32_t table, const struct tr_object *object, const char *other)
{
    const struct tr_relation *child = acting->schema->tables[table].relation;
    const char *sql = statement_of(acting, table, object);
    struct tr_error warning;
    tr_error_clear(&warning);
    tr_fail(
        &warning, TR_REFUSED,
        "foreign key %s of %s.%s acts at the source (ON DELETE %s ON UPDATE %s), and its log does not tell what that changes: %s, so these rows of the target stay as they are",
        object->name, child->schema, child->name, object->on_delete, object->on_update,
        object->ref == 0 ? "what it refers to is not part of the task"
        : other != NULL  ? "the target's key does something else"
                         : "the target has no such key");
    if (object->ref == 0)
        tr_error_hint(&warning, "take table %s.%s into the task, or let the key restrict at the source",
                      object->ref_schema, object->ref_table);
    else if (sql == NULL)
        tr_error_hint(&warning,
                      "the target can have no such key: let it restrict at the source, and the application "
                      "change the rows itself");
    else
        tr_error_hint(
            &warning,
            "%s%s%srun at the target: %s; then load the table again (tailrace reload) if rows differ already",
            other != NULL ? "drop key " : "", other != NULL ? other : "",
            other != NULL ? " there, then " : "", sql);
    tr_log_error(acting->log, TR_LOG_WARNING, "sink", &warning);
}

static int
compare_key(struct tr_acting *acting, uint32_t table, const struct tr_object *object, struct tr_error *err)
{
    const struct tr_relation *child = acting->schema->tables[table].relation;
    const char *other = NULL;
    bool there = false;
    if (object->kind != TR_OBJECT_FOREIGN_KEY || (!acts(object->on_delete) && !acts(object->on_update)))
        return 0;
    if (object->ref != 0) {
        struct tr_acting_key wanted = as_target(acting, child, object);
        if (has_key(acting, &wanted, &other))
            return 0;
    }
    int rc = acting->has_table(acting->arg, child, &there, err);
    if (rc == 0 && there)
        warn(acting, table, object, other);
    return rc;
}

int
tr_acting_compare(struct tr_acting *acting, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t t = 0; t < acting->schema->ntables; t++) {
        const struct tr_table *table = &acting->schema->tables[t];
        for (uint32_t i = 0; rc == 0 && !table->relation->skip && i < table->nobjects; i++)
            rc = compare_key(acting, t, &table->objects[i], err);
    }
    return rc;
}
