/* ddl_postgresql_from_mysql.c - statements for a PostgreSQL target whose source is MySQL or MariaDB. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/ddl_internal.h"
#include "schema/expression.h"
#include "schema/names.h"
#include "schema/own_column.h"

#define NAME_BYTES TR_NAME_POSTGRESQL
#define INDEX_CHARACTERS \
    600 /* of a text that a tree holds whole: a row of an index has 2,704 bytes at most */

static void
identifier(struct tr_buffer *out, const char *name)
{
    tr_buffer_byte(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            tr_buffer_byte(out, '"');
        tr_buffer_byte(out, *name);
    }
    tr_buffer_byte(out, '"');
}

static void
qualified(struct tr_buffer *out, const char *schema, const char *name)
{
    identifier(out, schema);
    tr_buffer_byte(out, '.');
    identifier(out, name);
}

static void
literal(struct tr_buffer *out, const char *text)
{
    tr_buffer_text(out, strchr(text, '\\') != NULL ? "E'" : "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(out, *text);
        tr_buffer_byte(out, *text);
    }
    tr_buffer_byte(out, '\'');
}

static void
table_name(struct tr_buffer *out, const struct tr_table *table)
{
    qualified(out, table->relation->target_schema, table->relation->target_name);
}

/* Names of indexes and types are one to a schema in PostgreSQL. */
static const char *
joined(struct tr_ddl_builder *b, const struct tr_relation *relation, const char *suffix)
{
    return tr_name_joined(&b->ddl->arena, b->schema, relation, suffix, NAME_BYTES);
}

static bool
database_listed(const struct tr_ddl_builder *b, const char *name)
{
    for (uint32_t i = 0; i < b->ddl->count; i++)
        if (b->ddl->statements[i].kind == TR_OBJECT_SCHEMA && strcmp(b->ddl->statements[i].name, name) == 0)
            return true;
    return false;
}

static void
build_schema(struct tr_ddl_builder *b, const char *name)
{
    if (database_listed(b, name))
        return;
    tr_buffer_text(&b->text, "CREATE SCHEMA IF NOT EXISTS ");
    identifier(&b->text, name);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_SCHEMA,
                                             .schema = name,
                                             .name = name,
                                             .table = TR_DDL_NO_TABLE });
}

static void
build_enum(struct tr_ddl_builder *b, const struct tr_relation *relation, const struct tr_column *column)
{
    const char *name = joined(b, relation, column->name);
    tr_buffer_text(&b->text, "CREATE TYPE ");
    qualified(&b->text, relation->target_schema, name);
    tr_buffer_text(&b->text, " AS ENUM (");
    for (uint32_t i = 0; i < column->nlabels; i++) {
        tr_buffer_text(&b->text, i > 0 ? ", " : "");
        literal(&b->text, column->labels[i]);
    }
    tr_buffer_byte(&b->text, ')');
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_TYPE,
                                             .schema = relation->target_schema,
                                             .name = name,
                                             .table = TR_DDL_NO_TABLE });
}

/* A label of more bytes than a PostgreSQL label may have, or an empty set of them: the column stays a text. */
static bool
fits_enum(const struct tr_column *column)
{
    bool fits = column->target_type == NULL && column->logical == TR_ENUM && column->nlabels > 0;
    for (uint32_t i = 0; fits && i < column->nlabels; i++)
        fits = strlen(column->labels[i]) <= NAME_BYTES;
    return fits;
}

/* What PostgreSQL has no words for, and what a user can write in its place. */
static void
note_on_update(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column,
               const char *value)
{
    struct tr_buffer quoted_name, name, body;
    tr_buffer_init(&quoted_name, 4096);
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&body, 65536);
    identifier(&quoted_name, column->name);
    table_name(&name, table);
    char *text = tr_asprintf(
        "BEGIN IF NEW.%s IS NOT DISTINCT FROM OLD.%s THEN NEW.%s := CURRENT_TIMESTAMP; END IF; RETURN NEW; END",
        quoted_name.data, quoted_name.data, quoted_name.data);
    literal(&body, text); /* a name may hold what ends a dollar quote */
    tr_ddl_note(
        b, table->relation, column->name,
        "ON UPDATE %s is not carried. A trigger does it: CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " %s; CREATE TRIGGER touch BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION touch();",
        value, body.data, name.data);
    free(text);
    tr_buffer_fini(&body);
    tr_buffer_fini(&quoted_name);
    tr_buffer_fini(&name);
}

static void
write_value(struct tr_ddl_builder *b, const struct tr_relation *relation, const struct tr_column *column,
            const char *type)
{
    struct tr_buffer value;
    if (column->auto_increment) {
        tr_buffer_text(&b->text, " GENERATED BY DEFAULT AS IDENTITY");
        return;
    }
    if (column->default_expression == NULL || strcasecmp(column->default_expression, "NULL") == 0)
        return;
    tr_buffer_init(&value, (size_t)1 << 20);
    if (tr_convert_default_to_postgresql(column, type, &value))
        tr_buffer_printf(&b->text, " DEFAULT %s", value.data);
    else
        tr_ddl_note(b, relation, column->name, "default %s is not carried",
                    tr_ddl_short(b, column->default_expression));
    tr_buffer_fini(&value);
}

/* False when the expression does not translate, which is said. */
static bool
write_generated(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column,
                const char *type, const struct tr_own_column *own)
{
    struct tr_expression e = { .relation = table->relation,
                               .from = "mysql",
                               .to = "postgresql",
                               .use = TR_EXPRESSION_GENERATED,
                               .column = column };
    struct tr_buffer expression;
    tr_buffer_init(&expression, (size_t)1 << 20);
    bool known = own->generated != NULL && tr_expression_translate(&e, own->generated, &expression);
    if (known) {
        identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, " %s GENERATED ALWAYS AS (%s) STORED", type, expression.data);
        if (!own->stored)
            tr_ddl_note(b, table->relation, column->name,
                        "is computed when it is read at the source, and stored at the target");
    } else {
        tr_ddl_note_generated(b, table->relation, column, own->generated,
                              e.reason[0] != '\0' ? e.reason : "its expression is not known");
    }
    tr_buffer_fini(&expression);
    return known;
}

/* Does a foreign key of the column lead to an AUTO_INCREMENT column? */
static bool
refers_to_counter(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column)
{
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        for (uint16_t k = 0; object->kind == TR_OBJECT_FOREIGN_KEY && object->ref > 0 && k < object->ncolumns;
             k++) {
            const struct tr_relation *parent = b->schema->tables[object->ref - 1].relation;
            int at = object->columns[k] == column ? tr_relation_column(parent, object->ref_columns[k]) : -1;
            if (at >= 0 && parent->columns[at].auto_increment)
                return true;
        }
    }
    return false;
}

/* A column that counts is of an integer type in PostgreSQL, and what refers to it is of the same: BIGINT UNSIGNED loses its upper half there. */
static struct tr_column
as_counter(struct tr_ddl_builder *b, const struct tr_table *table, uint16_t index)
{
    bool json;
    struct tr_column column = tr_ddl_plain_column(&b->ddl->arena, table, index, &json);
    if (json)
        tr_ddl_note(
            b, table->relation, column.name,
            "json: becomes jsonb, which keeps neither blanks nor the order of keys nor a key that comes twice");
    if (column.logical == TR_UINT64 && column.target_type == NULL &&
        (column.auto_increment || refers_to_counter(b, table, index))) {
        column.logical = TR_INT64;
        tr_ddl_note(b, table->relation, column.name, "%s: a number above 9223372036854775807 is refused",
                    column.native != NULL ? column.native : "number");
    }
    return column;
}

/* Also for columns that are not made: nothing may name those. */
static bool
write_column(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column)
{
    const struct tr_relation *relation = table->relation;
    struct tr_own_column own;
    struct tr_buffer type, note, name;
    tr_buffer_init(&type, (size_t)1 << 16);
    tr_buffer_init(&note, (size_t)1 << 16);
    tr_buffer_init(&name, 4096);
    bool is_enum = fits_enum(column), made;
    if (is_enum)
        qualified(&name, relation->target_schema, joined(b, relation, column->name));
    tr_convert_to_postgresql(column, is_enum ? name.data : NULL, &type, &note);
    struct tr_column plain = *column;
    if (tr_own_column(&b->ddl->arena, table, column->name, &own))
        plain.default_expression = own.default_text;
    made = column->generated && write_generated(b, table, column, type.data, &own);
    if (!made && tr_column_arrives(column)) {
        made = true;
        identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, " %s", type.data);
        write_value(b, relation, &plain, type.data);
        tr_buffer_text(&b->text, column->not_null ? " NOT NULL" : "");
    }
    if (note.len > 0)
        tr_ddl_note(b, relation, column->name, "%s: %s", column->native != NULL ? column->native : "value",
                    note.data);
    if (own.on_update != NULL)
        note_on_update(b, table, column, own.on_update);
    if (own.invisible)
        tr_ddl_note(b, relation, column->name, "is invisible at the source; SELECT * shows it at the target");
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
    tr_buffer_fini(&name);
    return made;
}

/* Is the column one that write_column makes? */
static bool
is_made(struct tr_ddl_builder *b, const struct tr_table *table, uint16_t index)
{
    const struct tr_column *column = &table->relation->columns[index];
    struct tr_own_column own;
    struct tr_buffer unused;
    struct tr_expression e = { .relation = table->relation,
                               .from = "mysql",
                               .to = "postgresql",
                               .use = TR_EXPRESSION_GENERATED,
                               .column = column };
    if (tr_column_arrives(column))
        return true;
    tr_buffer_init(&unused, (size_t)1 << 20);
    bool made = tr_own_column(&b->ddl->arena, table, column->name, &own) && own.generated != NULL &&
                tr_expression_translate(&e, own.generated, &unused);
    tr_buffer_fini(&unused);
    return made;
}

static void
comment_on(struct tr_ddl_builder *b, const struct tr_table *table, const char *column, const char *comment)
{
    if (comment == NULL || comment[0] == '\0')
        return;
    tr_buffer_printf(&b->text, ";\nCOMMENT ON %s ", column != NULL ? "COLUMN" : "TABLE");
    table_name(&b->text, table);
    if (column != NULL) {
        tr_buffer_byte(&b->text, '.');
        identifier(&b->text, column);
    }
    tr_buffer_text(&b->text, " IS ");
    literal(&b->text, comment);
}

/* The server cuts what is longer, and then nobody finds it. */
static void
note_names(struct tr_ddl_builder *b, const struct tr_table *table)
{
    const struct tr_relation *relation = table->relation;
    if (strlen(relation->target_name) > NAME_BYTES)
        tr_ddl_note(
            b, relation, NULL,
            "its name has more than the %d bytes that the target keeps: give it another by a mapping rule",
            NAME_BYTES);
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (strlen(relation->columns[c].name) > NAME_BYTES)
            tr_ddl_note(b, relation, relation->columns[c].name,
                        "its name has more than the %d bytes that the target keeps", NAME_BYTES);
}

static void
build_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (fits_enum(&relation->columns[c]))
            build_enum(b, relation, &relation->columns[c]);
    bool any = false;
    tr_buffer_text(&b->text, "CREATE TABLE ");
    table_name(&b->text, table);
    tr_buffer_text(&b->text, " (");
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        size_t before = b->text.len;
        struct tr_column column = as_counter(b, table, c);
        tr_buffer_text(&b->text, any ? ", " : "");
        if (write_column(b, table, &column))
            any = true;
        else
            b->text.len = before;
    }
    tr_buffer_byte(&b->text, ')');
    comment_on(b, table, NULL, table->comment);
    for (uint16_t c = 0; table->column_comments != NULL && c < relation->ncolumns; c++)
        if (table->column_comments[c] != NULL && is_made(b, table, c))
            comment_on(b, table, relation->columns[c].name, table->column_comments[c]);
    tr_ddl_note_own(b, table);
    note_names(b, table);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_TABLE,
                                             .schema = relation->target_schema,
                                             .name = relation->target_name,
                                             .table = index });
}

static void
write_columns(struct tr_buffer *out, const struct tr_relation *relation, const uint16_t *columns,
              uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        tr_buffer_text(out, i > 0 ? ", " : "(");
        identifier(out, relation->columns[columns[i]].name);
    }
    tr_buffer_byte(out, ')');
}

/* ---- indexes */

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
        *why = !is_made(b, table, (uint16_t)part->column) ? "a column of it is not made"
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
    const char *kept = tr_name_cut(&b->ddl->arena, name, name, NAME_BYTES);
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
    write_columns(&b->text, relation, relation->keys, relation->nkeys);
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
    const char *name = joined(b, relation, object->name), *why = method_without_counterpart(object);
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

/* ---- foreign keys, checks */

const char *
tr_ddl_key_name(struct tr_arena *arena, const char *name)
{
    return tr_name_cut(arena, name, name, NAME_BYTES);
}

static void
build_foreign_key(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    const char *name = tr_ddl_key_name(&b->ddl->arena, object->name);
    if (object->ref == 0 || !tr_ddl_leads_to_key(&b->schema->tables[object->ref - 1], object)) {
        tr_ddl_note(
            b, table->relation, NULL,
            object->ref == 0
                ? "foreign key %s is not made: it refers to %s.%s, which is not part of the task"
                : "foreign key %s is not made: what it refers to in %s.%s is no key, as the target wants",
            object->name, object->ref_schema, object->ref_table);
        return;
    }
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(&b->text, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    identifier(&b->text, name);
    tr_buffer_text(&b->text, " FOREIGN KEY ");
    write_columns(&b->text, table->relation, object->columns, object->ncolumns);
    tr_buffer_text(&b->text, " REFERENCES ");
    table_name(&b->text, &b->schema->tables[object->ref - 1]);
    for (uint16_t i = 0; i < object->ncolumns; i++) {
        tr_buffer_text(&b->text, i > 0 ? ", " : " (");
        identifier(&b->text, object->ref_columns[i]);
    }
    tr_buffer_byte(&b->text, ')');
    if (object->on_delete != NULL)
        tr_buffer_printf(&b->text, " ON DELETE %s", object->on_delete);
    if (object->on_update != NULL)
        tr_buffer_printf(&b->text, " ON UPDATE %s", object->on_update);
    tr_buffer_text(&b->text, b->schema->cuts_differ ? " NOT VALID" : "");
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_FOREIGN_KEY,
                                             .schema = table->relation->target_schema,
                                             .name = name,
                                             .table = index });
}

static void
build_check(struct tr_ddl_builder *b, uint32_t index, const char *name, const char *text, const char *tail)
{
    const struct tr_table *table = &b->schema->tables[index];
    struct tr_expression e = {
        .relation = table->relation, .from = "mysql", .to = "postgresql", .use = TR_EXPRESSION_CHECK
    };
    struct tr_buffer out;
    tr_buffer_init(&out, (size_t)1 << 20);
    const char *why = strstr(tail, "NOT ENFORCED") != NULL       ? "it is not enforced at the source"
                      : !tr_expression_translate(&e, text, &out) ? e.reason
                                                                 : NULL;
    if (why != NULL) {
        tr_ddl_note(b, table->relation, NULL, "check constraint %s is not carried: CHECK (%s), for %s", name,
                    tr_ddl_short(b, text), why);
    } else {
        const char *kept = tr_ddl_key_name(&b->ddl->arena, name);
        for (uint32_t i = 0; i < table->nobjects; i++) /* checks and foreign keys share their names there */
            if (table->objects[i].kind == TR_OBJECT_FOREIGN_KEY && strcmp(table->objects[i].name, name) == 0)
                kept = joined(b, table->relation, name);
        tr_buffer_text(&b->text, "ALTER TABLE ");
        table_name(&b->text, table);
        tr_buffer_text(&b->text, " ADD CONSTRAINT ");
        identifier(&b->text, kept);
        tr_buffer_printf(&b->text, " CHECK (%s)", out.data);
        tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                                 .kind = TR_OBJECT_CHECK,
                                                 .schema = table->relation->target_schema,
                                                 .name = kept,
                                                 .optional = true,
                                                 .table = index });
    }
    tr_buffer_fini(&out);
}

/* Checks that stand with a column have no name of their own; that of MariaDB's json is part of its type. */
static void
column_checks(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    for (uint16_t c = 0; c < table->relation->ncolumns; c++) {
        struct tr_own_column own;
        bool json;
        tr_ddl_plain_column(&b->ddl->arena, table, c, &json);
        if (!json && tr_own_column(&b->ddl->arena, table, table->relation->columns[c].name, &own) &&
            own.check != NULL) {
            char *name = tr_asprintf("%s_%s_check", table->relation->target_name,
                                     table->relation->columns[c].name);
            build_check(b, index, name, own.check, "");
            free(name);
        }
    }
}

/* An identity column counts on from where the source's counter stands, or from the highest value that the rows have; never back. */
static void
build_counter(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column)
{
    struct tr_buffer name, *out = &b->text;
    int64_t next = tr_ddl_own_counter(table);
    tr_buffer_init(&name, 4096);
    table_name(&name, table);
    tr_buffer_text(
        out,
        "SELECT setval(q.seq, greatest(q.top, q.given, 1), greatest(q.top, q.given, 0) >= 1) FROM (SELECT s.seq, pg_sequence_last_value(s.seq) AS given, greatest((SELECT max(");
    identifier(out, column->name);
    tr_buffer_printf(out, ") FROM %s), %lld)::bigint AS top FROM (SELECT pg_get_serial_sequence(", name.data,
                     (long long)(next > 0 ? next - 1 : 0));
    literal(out, name.data);
    tr_buffer_text(out, ", ");
    literal(out, column->name);
    tr_buffer_text(out, ")::regclass AS seq) s) q WHERE q.seq IS NOT NULL");
    tr_buffer_fini(&name);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_SEQUENCE,
                                             .schema = table->relation->target_schema,
                                             .name = table->relation->target_name,
                                             .by_column = true,
                                             .table = TR_DDL_NO_TABLE });
}

static void
build_end(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++)
        for (uint32_t i = 0; i < schema->tables[t].nobjects; i++) {
            const struct tr_object *object = &schema->tables[t].objects[i];
            const char *text, *tail = "";
            if (object->kind == TR_OBJECT_FOREIGN_KEY)
                build_foreign_key(b, t, object);
            else if (object->kind == TR_OBJECT_CHECK &&
                     (text = tr_ddl_check_text(b, object->native, &tail)) != NULL)
                build_check(b, t, object->name, text, tail);
            else if (object->kind == TR_OBJECT_CHECK)
                tr_ddl_note(b, schema->tables[t].relation, NULL,
                            "check constraint %s is not carried: its form is not known", object->name);
        }
    for (uint32_t t = 0; t < schema->ntables; t++)
        column_checks(b, t);
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *relation = schema->tables[t].relation;
        for (uint16_t c = 0; c < relation->ncolumns; c++)
            if (relation->columns[c].auto_increment)
                build_counter(b, &schema->tables[t], &relation->columns[c]);
    }
}

static void
build(struct tr_ddl_builder *b, enum tr_ddl_phase phase, uint32_t index)
{
    static const enum tr_object_kind order[] = { TR_OBJECT_UNIQUE, TR_OBJECT_INDEX };
    const struct tr_schema *schema = b->schema;
    if (phase == TR_DDL_END) {
        build_end(b);
        return;
    }
    if (phase == TR_DDL_BEFORE) {
        for (uint32_t t = 0; t < schema->ntables; t++)
            build_schema(b, schema->tables[t].relation->target_schema);
        for (uint32_t t = 0; t < schema->ntables; t++)
            build_table(b, t);
        return;
    }
    build_primary_key(b, index);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (uint32_t i = 0; i < schema->tables[index].nobjects; i++)
            if (schema->tables[index].objects[i].kind == order[k])
                build_index(b, index, &schema->tables[index].objects[i]);
}

const struct tr_ddl_dialect tr_ddl_postgresql_from_mysql = {
    .name = "postgresql", .sources = "mysql|mariadb", .name_max = TR_NAME_POSTGRESQL, .build = build
};
