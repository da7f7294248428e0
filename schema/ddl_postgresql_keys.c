/* ddl_postgresql_keys.c - primary keys and indexes of a PostgreSQL target whose source is MySQL or MariaDB. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/ddl_postgresql.h"
#include "schema/expression.h"
#include "schema/names.h"
#include "schema/own_column.h"

#define INDEX_CHARACTERS \
    600 /* of a text that a tree holds whole: a row of an index has 2,704 bytes at most */

void
tr_pg_ddl_columns(struct tr_buffer *out, const struct tr_relation *relation, const uint16_t *columns,
                  uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        tr_buffer_text(out, i > 0 ? ", " : "(");
        identifier(out, relation->columns[columns[i]].name);
    }
    tr_buffer_byte(out, ')');
}

struct own_part {
    int column; /* or -1: an expression */
    unsigned prefix;
    bool descending;
    const char *expression;
};

/* One of "`a`", "`a`(20) DESC", "(lower(`a`))", which begins at *p; *p is left behind it. */
static bool
read_part(struct tr_ddl_builder *b, const struct tr_relation *relation, const char **p, const char *end,
          struct own_part *part)
{
    const char *close = tr_own_group_end(*p, end);
    *part = (struct own_part){ .column = -1 };
    if (close == NULL)
        return false;
    if (**p == '`') {
        char *name = tr_arena_copy(&b->ddl->arena, *p + 1, (size_t)(close - *p) - 2), *to = name;
        for (const char *from = name; *from != '\0'; from++, to++) {
            from += from[0] == '`' && from[1] == '`';
            *to = *from;
        }
        *to = '\0';
        part->column = tr_relation_column(relation, name);
        if (close < end && *close == '(') {
            part->prefix = (unsigned)strtoul(close + 1, NULL, 10);
            close = tr_own_group_end(close, end);
        }
    } else {
        part->expression = tr_arena_copy(&b->ddl->arena, *p + 1, (size_t)(close - *p) - 2);
    }
    if (close != NULL && strncmp(close, " DESC", 5) == 0) {
        part->descending = true;
        close += 5;
    }
    *p = close;
    return close != NULL && (part->column >= 0 || part->expression != NULL);
}

/* Long texts stand in a MySQL index with their beginnings, which a tree of PostgreSQL must not hold whole. */
static void
write_prefixed(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
               const struct own_part *part)
{
    const struct tr_column *column = &table->relation->columns[part->column];
    bool unique = object->kind == TR_OBJECT_UNIQUE, bytes = column->logical == TR_BYTES;
    bool text = column->logical == TR_TEXT || column->logical == TR_CHAR;
    bool whole = part->prefix == 0 || (!text && !bytes) || column->target_type != NULL ||
                 (column->length > 0 && column->length <= INDEX_CHARACTERS);
    if (!whole)
        tr_buffer_text(&b->text, bytes ? "substring(" : "\"left\"(");
    identifier(&b->text, column->name);
    if (!whole)
        tr_buffer_printf(&b->text, bytes ? ", 1, %u)" : ", %u)", part->prefix);
    if (part->prefix > 0 && (!whole || unique))
        tr_ddl_note(b, table->relation, column->name,
                    whole
                        ? "%s %s takes the whole value for what is unique, at the source its first %u"
                        : "%s %s is one of an expression: it serves queries that ask for the first %u of it",
                    tr_object_kind_name(object->kind), object->name, part->prefix);
}

static bool
can_be_indexed(const struct tr_column *column, bool json)
{
    return column->target_type != NULL ||
           (!json && column->logical != TR_JSON && column->logical != TR_GEOMETRY &&
            column->logical != TR_POINT && column->logical != TR_XML);
}

static bool
write_part(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
           const struct own_part *part, const char **why)
{
    if (part->column >= 0) {
        bool json;
        tr_ddl_plain_column(&b->ddl->arena, table, (uint16_t)part->column, &json);
        *why = !tr_pg_ddl_has_column(b, table, (uint16_t)part->column) ? "a column of it is not made"
               : !can_be_indexed(&table->relation->columns[part->column], json)
                   ? "the type of a column has no order at the target"
                   : NULL;
        write_prefixed(b, table, object, part);
    } else {
        struct tr_expression e = { .relation = table->relation,
                                   .from = "mysql",
                                   .to = "postgresql",
                                   .use = object->kind == TR_OBJECT_UNIQUE ? TR_EXPRESSION_GENERATED
                                                                           : TR_EXPRESSION_INDEX };
        tr_buffer_byte(&b->text, '(');
        *why = tr_expression_translate(&e, part->expression, &b->text)
                   ? NULL
                   : tr_arena_strdup(&b->ddl->arena, e.reason);
        tr_buffer_byte(&b->text, ')');
    }
    tr_buffer_text(&b->text, part->descending ? " DESC" : "");
    return *why == NULL;
}

/* "(`a`,`b`(10) DESC)" of the key's own line; without one the columns as they are known. */
static bool
write_parts(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
            const char **why)
{
    const char *native = object->native != NULL ? object->native : "", *name = strchr(native, '`');
    name = name != NULL ? tr_own_group_end(name, name + strlen(name)) : native;
    const char *p = name != NULL ? strchr(name, '(') : NULL;
    const char *end = p != NULL ? tr_own_group_end(p, p + strlen(p)) : NULL;
    *why = "its form is not known";
    if (end == NULL)
        return false;
    for (const char *at = p + 1;; at++) {
        struct own_part part;
        if (!read_part(b, table->relation, &at, end - 1, &part) || !write_part(b, table, object, &part, why))
            return false;
        if (at >= end - 1)
            return true;
        tr_buffer_text(&b->text, ", ");
    }
}

/* Texts that are the same to the source's key may be two to the target's. */
static void
note_folding(struct tr_ddl_builder *b, const struct tr_table *table, const char *kind, const char *name,
             const uint16_t *columns, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        const struct tr_column *column = &table->relation->columns[columns[i]];
        bool text = column->logical == TR_TEXT || column->logical == TR_CHAR;
        if (text && column->target_type == NULL && column->collation != NULL &&
            strstr(column->collation, "_bin") == NULL && strcmp(column->collation, "binary") != 0)
            tr_ddl_note(
                b, table->relation, column->name,
                "%s %s tells texts apart by collation %s at the source; at the target 'a' and 'A' are two keys",
                kind, name, column->collation);
    }
}

/* Not told apart from another table's names: what is there under this name is the key. */
static const char *
primary_name(struct tr_ddl_builder *b, const struct tr_relation *relation)
{
    char *name = tr_asprintf("%s_pkey", relation->target_name);
    const char *kept = tr_name_cut(&b->ddl->arena, name, name, TR_NAME_POSTGRESQL);
    free(name);
    return kept;
}

static void
build_primary_key(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    if (relation->nkeys == 0)
        return;
    const char *name = primary_name(b, relation);
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(&b->text, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    identifier(&b->text, name);
    tr_buffer_text(&b->text, " PRIMARY KEY ");
    tr_pg_ddl_columns(&b->text, relation, relation->keys, relation->nkeys);
    note_folding(b, table, "primary key", "PRIMARY", relation->keys, relation->nkeys);
    const char *prefixed = tr_ddl_prefixed_primary(&b->ddl->arena, table);
    if (prefixed != NULL)
        tr_ddl_note(b, relation, NULL, "primary key %s becomes one of the whole columns", prefixed);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_TABLE_AFTER,
                                             .kind = TR_OBJECT_PRIMARY_KEY,
                                             .schema = relation->target_schema,
                                             .name = name,
                                             .table = index });
}

static const char *
method_without_counterpart(const struct tr_object *object)
{
    const char *native = object->native != NULL ? object->native : "";
    if (strncasecmp(native, "FULLTEXT", 8) == 0)
        return "full-text search is another thing at the target (USING gin (to_tsvector(...)))";
    if (strncasecmp(native, "SPATIAL", 7) == 0)
        return "it needs PostGIS (USING gist)";
    return strncasecmp(native, "VECTOR", 6) == 0 ? "it needs pgvector" : NULL;
}

static void
index_comment(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
              const char *name)
{
    const char *at = object->native != NULL ? strstr(object->native, " COMMENT '") : NULL;
    const char *end = at != NULL ? tr_own_group_end(at + 9, at + strlen(at)) : NULL;
    if (end == NULL)
        return;
    while (*end == '\'' && (end = tr_own_group_end(end, end + strlen(end))) != NULL)
        ;
    struct tr_buffer text;
    tr_buffer_init(&text, 8192);
    for (const char *p = at + 10; end != NULL && p < end - 1; p++) {
        p += (*p == '\'' || *p == '\\') && p + 1 < end - 1;
        tr_buffer_byte(&text, *p);
    }
    tr_buffer_text(&b->text, ";\nCOMMENT ON INDEX ");
    qualified(&b->text, table->relation->target_schema, name);
    tr_buffer_text(&b->text, " IS ");
    literal(&b->text, text.len > 0 ? text.data : "");
    tr_buffer_fini(&text);
}

static void
build_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    const char *name = tr_name_joined(&b->ddl->arena, b->schema, relation, object->name, TR_NAME_POSTGRESQL),
               *why = method_without_counterpart(object);
    tr_buffer_printf(&b->text, "CREATE %sINDEX ", object->kind == TR_OBJECT_UNIQUE ? "UNIQUE " : "");
    identifier(&b->text, name);
    tr_buffer_text(&b->text, " ON ");
    table_name(&b->text, table);
    tr_buffer_text(&b->text, " (");
    if (why != NULL || !write_parts(b, table, object, &why)) {
        tr_buffer_reset(&b->text);
        tr_ddl_note(b, relation, NULL, "%s %s is not made: %s, for %s", tr_object_kind_name(object->kind),
                    object->name, object->native != NULL ? tr_ddl_short(b, object->native) : "", why);
        return;
    }
    tr_buffer_byte(&b->text, ')');
    if (object->kind == TR_OBJECT_UNIQUE)
        note_folding(b, table, "unique index", object->name, object->columns, object->ncolumns);
    index_comment(b, table, object, name);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_TABLE_AFTER,
                                             .kind = object->kind,
                                             .schema = relation->target_schema,
                                             .name = name,
                                             .table = index });
}

void
tr_pg_ddl_keys(struct tr_ddl_builder *b, uint32_t index)
{
    static const enum tr_object_kind order[] = { TR_OBJECT_UNIQUE, TR_OBJECT_INDEX };
    const struct tr_table *table = &b->schema->tables[index];
    build_primary_key(b, index);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (uint32_t i = 0; i < table->nobjects; i++)
            if (table->objects[i].kind == order[k])
                build_index(b, index, &table->objects[i]);
}
