/* schema.c - the life of a schema description. */
#include "schema/schema.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct tr_schema *
tr_schema_new(const char *dialect)
{
    struct tr_schema *schema = tr_calloc(1, sizeof(*schema));
    tr_arena_init(&schema->arena);
    schema->dialect = tr_arena_strdup(&schema->arena, dialect);
    return schema;
}

void
tr_schema_free(struct tr_schema *schema)
{
    if (schema == NULL)
        return;
    for (uint32_t i = 0; i < schema->ntables; i++)
        tr_relation_unref(schema->tables[i].relation);
    tr_arena_fini(&schema->arena);
    free(schema);
}

const struct tr_table *
tr_schema_table(const struct tr_schema *schema, const char *schema_name, const char *name)
{
    for (uint32_t i = 0; i < schema->ntables; i++) {
        const struct tr_relation *relation = schema->tables[i].relation;
        if (strcmp(relation->name, name) == 0 && strcmp(relation->schema, schema_name) == 0)
            return &schema->tables[i];
    }
    return NULL;
}

const char *
tr_object_kind_name(enum tr_object_kind kind)
{
    static const char *const names[] = {
        [TR_OBJECT_EXTENSION] = "extension",
        [TR_OBJECT_SCHEMA] = "schema",
        [TR_OBJECT_TYPE] = "type",
        [TR_OBJECT_DOMAIN] = "domain",
        [TR_OBJECT_SEQUENCE] = "sequence",
        [TR_OBJECT_TABLE] = "table",
        [TR_OBJECT_PRIMARY_KEY] = "primary key",
        [TR_OBJECT_UNIQUE] = "unique index",
        [TR_OBJECT_INDEX] = "index",
        [TR_OBJECT_CHECK] = "check constraint",
        [TR_OBJECT_EXCLUSION] = "exclusion constraint",
        [TR_OBJECT_FOREIGN_KEY] = "foreign key",
        [TR_OBJECT_COMMENT] = "comment",
        [TR_OBJECT_TRIGGER] = "trigger",
        [TR_OBJECT_FUNCTION] = "function",
        [TR_OBJECT_COLLATION] = "collation",
    };
    return names[kind];
}
