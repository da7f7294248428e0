/*
 * ddl_mysql.c - statements for a MySQL or MariaDB target.
 *
 * The primary key stands in CREATE TABLE: InnoDB keeps the rows in its order, and an AUTO_INCREMENT column must be a key from the start. Other indexes follow the
 * rows, foreign keys follow all tables.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/ddl_internal.h"

#define PREFIX "(191)"  /* characters of a long text that an ordinary index holds */
#define ROW_BYTES 60000 /* of the 65,535 that the columns of a row may take beside those stored apart */

static void
identifier(struct tr_buffer *out, const char *name)
{
    tr_buffer_byte(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            tr_buffer_byte(out, '`');
        tr_buffer_byte(out, *name);
    }
    tr_buffer_byte(out, '`');
}

static void
literal(struct tr_buffer *out, const char *text)
{
    tr_buffer_byte(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(out, *text);
        tr_buffer_byte(out, *text);
    }
    tr_buffer_byte(out, '\'');
}

static bool
is_mysql(const struct tr_ddl_builder *b)
{
    return strcmp(b->schema->dialect, "mysql") == 0 || strcmp(b->schema->dialect, "mariadb") == 0;
}

/* The same server at both ends: its own statement says everything. */
static bool
is_same(const struct tr_ddl_builder *b)
{
    return strcmp(b->schema->dialect, b->target.mariadb ? "mariadb" : "mysql") == 0;
}

/* Does the task give a column another type? Then the source's own statement will not do. */
static bool
has_chosen_type(const struct tr_relation *relation)
{
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (relation->columns[c].target_type != NULL)
            return true;
    return false;
}

static const char *
database_of(const struct tr_ddl_builder *b, const struct tr_relation *relation)
{
    bool is_public = strcmp(relation->target_schema, "public") == 0 && !is_mysql(b);
    return is_public && b->target.public_database != NULL ? b->target.public_database
                                                          : relation->target_schema;
}

static void
table_name(struct tr_ddl_builder *b, const struct tr_table *table)
{
    identifier(&b->text, database_of(b, table->relation));
    tr_buffer_byte(&b->text, '.');
    identifier(&b->text, table->relation->target_name);
}

/* Partitions of a root come with the root, which is one table here. */
static bool
is_made(const struct tr_table *table)
{
    return table->parent == 0 && !table->relation->skip;
}

/* ---- columns */

static bool
is_textual(enum tr_logical logical)
{
    switch (logical) {
    case TR_TEXT:
    case TR_CHAR:
    case TR_BYTES:
    case TR_OTHER:
    case TR_ARRAY:
    case TR_JSON:
    case TR_JSONB:
    case TR_HSTORE:
    case TR_XML:
    case TR_RANGE:
    case TR_MULTIRANGE:
    case TR_COMPOSITE:
    case TR_LTREE:
    case TR_TSVECTOR:
    case TR_VECTOR: return true;
    default: return false;
    }
}

static bool
holds(const struct tr_object *object, uint16_t column)
{
    for (uint16_t i = 0; i < object->ncolumns; i++)
        if (object->columns[i] == column)
            return true;
    return false;
}

static unsigned
textual_columns(const struct tr_relation *relation, const uint16_t *columns, uint16_t ncolumns)
{
    unsigned n = 0;
    for (uint16_t i = 0; i < ncolumns; i++)
        n += is_textual(relation->columns[columns[i]].logical);
    return n;
}

/* In which keys is the column, and with how many texts does it share the narrowest? */
static enum tr_convert_use
use_of(const struct tr_table *table, uint16_t column, bool crowded, unsigned *share)
{
    const struct tr_relation *relation = table->relation;
    bool keyed = relation->columns[column].key > 0;
    *share = keyed ? textual_columns(relation, relation->keys, relation->nkeys) : 1;
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        if ((object->kind != TR_OBJECT_UNIQUE && object->kind != TR_OBJECT_FOREIGN_KEY &&
             object->kind != TR_OBJECT_PRIMARY_KEY) ||
            object->has_expression || !holds(object, column))
            continue;
        unsigned texts = textual_columns(relation, object->columns, object->ncolumns);
        keyed = true;
        *share = texts > *share ? texts : *share;
    }
    return keyed ? TR_CONVERT_KEYED : crowded ? TR_CONVERT_CROWDED : TR_CONVERT_PLAIN;
}

static void
column_type(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column, bool crowded,
            struct tr_buffer *type, struct tr_buffer *note)
{
    unsigned share;
    enum tr_convert_use use = use_of(table, column, crowded, &share);
    tr_buffer_reset(type);
    tr_buffer_reset(note);
    tr_convert_to_mysql(b->schema->dialect, &table->relation->columns[column], &b->target, use, share, type,
                        note);
}

static bool
is_crowded(const struct tr_ddl_builder *b, const struct tr_table *table, struct tr_buffer *type,
           struct tr_buffer *note)
{
    uint32_t bytes = 0;
    for (uint16_t c = 0; c < table->relation->ncolumns && !is_mysql(b); c++) {
        column_type(b, table, c, false, type, note);
        bytes += tr_convert_row_bytes(type->data);
    }
    return bytes > ROW_BYTES;
}

/* The column that counts by itself: the first such integer. */
static int
counting_column(const struct tr_relation *relation)
{
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        enum tr_logical logical = relation->columns[c].logical;
        if (relation->columns[c].auto_increment && logical >= TR_INT8 && logical <= TR_UINT64)
            return c;
    }
    return -1;
}

static void
write_default(struct tr_ddl_builder *b, const struct tr_relation *relation, const struct tr_column *column,
              const char *type)
{
    if (column->default_expression == NULL)
        return;
    if (is_mysql(b)) {
        tr_buffer_printf(&b->text, " DEFAULT %s", column->default_expression);
        return;
    }
    struct tr_buffer value;
    tr_buffer_init(&value, (size_t)1 << 20);
    if (column->auto_increment)
        tr_ddl_note(b, relation, column->name,
                    "counts by a sequence at the source; the target does so for one column of a table only");
    else if (tr_convert_default_to_mysql(column, type, &b->target, &value))
        tr_buffer_printf(&b->text, " DEFAULT %s", value.data);
    else
        tr_ddl_note(b, relation, column->name, "default %s is not carried", column->default_expression);
    tr_buffer_fini(&value);
}

/* False when the column cannot be made. */
static bool
write_generated(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column,
                const char *type)
{
    const struct tr_relation *relation = table->relation;
    struct tr_buffer expression;
    tr_buffer_init(&expression, (size_t)1 << 20);
    bool known = is_mysql(b)
                     ? tr_ddl_generated(table, column->name, &expression)
                     : column->default_expression != NULL &&
                           tr_convert_expression(relation, column->default_expression, '`', &expression);
    if (known) {
        identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, " %s GENERATED ALWAYS AS (%s) STORED", type, expression.data);
    } else {
        tr_ddl_note(
            b, relation, column->name,
            "is generated by an expression that is not known to mean the same: the column is not made");
    }
    tr_buffer_fini(&expression);
    return known;
}

static void
write_comment(struct tr_buffer *out, const char *word, const char *comment)
{
    if (comment == NULL || comment[0] == '\0')
        return;
    tr_buffer_text(out, word);
    literal(out, comment);
}

static bool
write_column(struct tr_ddl_builder *b, const struct tr_table *table, uint16_t index, const char *type,
             bool counting)
{
    const struct tr_relation *relation = table->relation;
    const struct tr_column *column = &relation->columns[index];
    if (column->generated)
        return write_generated(b, table, column, type);
    identifier(&b->text, column->name);
    tr_buffer_printf(&b->text, " %s%s", type, column->not_null || column->key > 0 ? " NOT NULL" : " NULL");
    if (counting)
        tr_buffer_text(&b->text, " AUTO_INCREMENT");
    else
        write_default(b, relation, column, type);
    if (table->column_comments != NULL)
        write_comment(&b->text, " COMMENT ", table->column_comments[index]);
    return true;
}

static void
write_primary_key(struct tr_ddl_builder *b, const struct tr_relation *relation, int counting)
{
    for (uint16_t k = 0; k < relation->nkeys; k++) {
        tr_buffer_text(&b->text, k > 0 ? ", " : ", PRIMARY KEY (");
        identifier(&b->text, relation->columns[relation->keys[k]].name);
    }
    tr_buffer_text(&b->text, relation->nkeys > 0 ? ")" : "");
    if (counting >= 0 && (relation->nkeys == 0 || relation->keys[0] != counting)) {
        tr_buffer_text(&b->text, ", KEY (");
        identifier(&b->text, relation->columns[counting].name);
        tr_buffer_byte(&b->text, ')');
    }
}

static void
add_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_relation *relation = b->schema->tables[index].relation;
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_TABLE,
                                             .schema = database_of(b, relation),
                                             .name = relation->target_name,
                                             .table = index });
}

static void
build_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    struct tr_buffer type, note;
    if (is_same(b) && table->create != NULL && !has_chosen_type(relation)) {
        tr_buffer_text(&b->text, "CREATE TABLE ");
        table_name(b, table);
        tr_buffer_printf(&b->text, " %s", table->create);
        add_table(b, index);
        return;
    }
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    bool crowded = is_crowded(b, table, &type, &note), any = false;
    int counting = counting_column(relation);
    tr_buffer_text(&b->text, "CREATE TABLE ");
    table_name(b, table);
    tr_buffer_text(&b->text, " (");
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        size_t before = b->text.len;
        column_type(b, table, c, crowded, &type, &note);
        tr_buffer_text(&b->text, any ? ", " : "");
        if (!write_column(b, table, c, type.data, c == counting)) {
            b->text.len = before;
            continue;
        }
        any = true;
        if (note.len > 0)
            tr_ddl_note(b, relation, relation->columns[c].name, "%s: %s",
                        relation->columns[c].native != NULL ? relation->columns[c].native : "value",
                        note.data);
    }
    write_primary_key(b, relation, counting);
    tr_buffer_text(&b->text, ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC");
    write_comment(&b->text, " COMMENT=", table->comment);
    if (relation->kind == 'p')
        tr_ddl_note(b, relation, NULL, "is partitioned at the source and becomes one table");
    add_table(b, index);
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
}

/* ---- databases */

static bool
database_listed(const struct tr_ddl_builder *b, const char *name)
{
    for (uint32_t i = 0; i < b->ddl->count; i++)
        if (b->ddl->statements[i].kind == TR_OBJECT_SCHEMA && strcmp(b->ddl->statements[i].name, name) == 0)
            return true;
    return false;
}

static void
build_before(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const char *database = database_of(b, schema->tables[t].relation);
        if (!is_made(&schema->tables[t]) || database_listed(b, database))
            continue;
        tr_buffer_text(&b->text, "CREATE DATABASE IF NOT EXISTS ");
        identifier(&b->text, database);
        tr_buffer_text(&b->text, " CHARACTER SET utf8mb4");
        tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                                 .kind = TR_OBJECT_SCHEMA,
                                                 .schema = database,
                                                 .name = database,
                                                 .table = TR_DDL_NO_TABLE });
    }
    for (uint32_t t = 0; t < schema->ntables; t++)
        if (is_made(&schema->tables[t]))
            build_table(b, t);
}

/* ---- indexes */

/* PostgreSQL's other index methods have no counterpart. */
static bool
is_tree(const struct tr_object *object)
{
    const char *native = object->native != NULL ? object->native : "";
    return strncmp(native, "USING ", 6) != 0 || strncmp(native + 6, "btree", 5) == 0 ||
           strncmp(native + 6, "hash", 4) == 0;
}

static bool
needs_prefix(const char *type)
{
    if (strncmp(type, "VARCHAR(", 8) == 0)
        return strtoul(type + 8, NULL, 10) > 768;
    return strncasecmp(type, "LONG", 4) == 0 || strncasecmp(type, "TEXT", 4) == 0 ||
           strncasecmp(type, "MEDIUM", 6) == 0 || strncasecmp(type, "BLOB", 4) == 0;
}

/* False when a column cannot stand in an index. */
static bool
write_index_columns(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
                    bool whole)
{
    struct tr_buffer type, note;
    bool possible = object->ncolumns > 0;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    tr_buffer_text(&b->text, " (");
    for (uint16_t i = 0; i < object->ncolumns; i++) {
        uint16_t c = object->columns[i];
        column_type(b, table, c, false, &type, &note);
        possible = possible && strncmp(type.data, "JSON", 4) != 0 && strncmp(type.data, "GEOMETRY", 8) != 0;
        tr_buffer_text(&b->text, i > 0 ? ", " : "");
        identifier(&b->text, table->relation->columns[c].name);
        tr_buffer_text(&b->text, !whole && (needs_prefix(type.data) ||
                                            (object->ncolumns > 2 && strncmp(type.data, "VARCHAR", 7) == 0))
                                     ? PREFIX
                                     : "");
    }
    tr_buffer_byte(&b->text, ')');
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
    return possible;
}

static void
add_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_TABLE_AFTER,
                                             .kind = object->kind,
                                             .name = object->name,
                                             .table = index,
                                             .schema = database_of(b, b->schema->tables[index].relation) });
}

/* The line of the source's own CREATE TABLE: "KEY `n` (`a`(20)) USING BTREE". */
static void
build_own_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    if (object->in_create && is_same(b) && !has_chosen_type(b->schema->tables[index].relation))
        return;
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(b, &b->schema->tables[index]);
    tr_buffer_printf(&b->text, " ADD %s", object->native);
    add_index(b, index, object);
}

static void
build_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    bool unique = object->kind == TR_OBJECT_UNIQUE;
    if (is_mysql(b)) {
        build_own_index(b, index, object);
        return;
    }
    if (object->has_expression || (!unique && !is_tree(object))) {
        tr_ddl_note(b, table->relation, NULL, "%s %s is not made: %s", tr_object_kind_name(object->kind),
                    object->name,
                    object->has_expression ? "it has an expression or a condition"
                                           : "its method has no counterpart");
        return;
    }
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(b, table);
    tr_buffer_text(&b->text, unique ? " ADD UNIQUE KEY " : " ADD KEY ");
    identifier(&b->text, object->name);
    if (!write_index_columns(b, table, object, unique)) {
        tr_buffer_reset(&b->text);
        tr_ddl_note(b, table->relation, NULL, "%s %s is not made: the type of a column cannot be indexed",
                    tr_object_kind_name(object->kind), object->name);
        return;
    }
    write_comment(&b->text, " COMMENT ", object->comment);
    add_index(b, index, object);
}

static void
build_after(struct tr_ddl_builder *b, uint32_t index)
{
    static const enum tr_object_kind order[] = { TR_OBJECT_UNIQUE, TR_OBJECT_INDEX };
    const struct tr_table *table = &b->schema->tables[index];
    for (size_t k = 0; is_made(table) && k < sizeof order / sizeof *order; k++)
        for (uint32_t i = 0; i < table->nobjects; i++)
            if (table->objects[i].kind == order[k])
                build_index(b, index, &table->objects[i]);
}

/* ---- foreign keys, checks */

/* The names of foreign keys are one to a database, where PostgreSQL's are one to a table. */
static bool
name_is_taken(const struct tr_ddl_builder *b, const char *database, const char *name)
{
    for (uint32_t i = 0; i < b->ddl->count; i++) {
        const struct tr_ddl_statement *made = &b->ddl->statements[i];
        if (made->kind == TR_OBJECT_FOREIGN_KEY && strcasecmp(made->name, name) == 0 &&
            strcmp(made->schema, database) == 0)
            return true;
    }
    return false;
}

static void
write_columns(struct tr_buffer *out, const char *const *names, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        tr_buffer_text(out, i > 0 ? ", " : "(");
        identifier(out, names[i]);
    }
    tr_buffer_byte(out, ')');
}

static void
write_action(struct tr_ddl_builder *b, const char *when, const char *action)
{
    if (action == NULL || strcmp(action, "NO ACTION") == 0 || strcmp(action, "SET DEFAULT") == 0)
        return;
    tr_buffer_printf(&b->text, " ON %s %s", when, action);
}

static void
build_foreign_key(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    const char *database = database_of(b, table->relation), *names[64];
    char name[65];
    if (object->ref == 0 || object->ncolumns > 64 || !is_made(&b->schema->tables[object->ref - 1])) {
        if (object->ref > 0)
            tr_ddl_note(b, table->relation, NULL, "foreign key %s is not made", object->name);
        return;
    }
    bool taken = name_is_taken(b, database, object->name);
    snprintf(name, sizeof name, "%.*s%s%.*s", taken ? 30 : 0, table->relation->target_name, taken ? "_" : "",
             taken ? 33 : 64, object->name);
    for (uint16_t i = 0; i < object->ncolumns; i++)
        names[i] = table->relation->columns[object->columns[i]].name;
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(b, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    identifier(&b->text, name);
    tr_buffer_text(&b->text, " FOREIGN KEY ");
    write_columns(&b->text, names, object->ncolumns);
    tr_buffer_text(&b->text, " REFERENCES ");
    table_name(b, &b->schema->tables[object->ref - 1]);
    tr_buffer_byte(&b->text, ' ');
    write_columns(&b->text, object->ref_columns, object->ncolumns);
    write_action(b, "DELETE", object->on_delete);
    write_action(b, "UPDATE", object->on_update);
    if (object->deferrable)
        tr_ddl_note(b, table->relation, NULL,
                    "foreign key %s is checked at once, not at the end of a transaction", object->name);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_FOREIGN_KEY,
                                             .schema = database,
                                             .name = tr_arena_strdup(&b->ddl->arena, name),
                                             .table = index });
}

static void
build_check(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    if (object->in_create && is_same(b) && !has_chosen_type(table->relation))
        return;
    if (!is_mysql(b) || object->native == NULL) {
        tr_ddl_note(b, table->relation, NULL, "check constraint %s is not carried", object->name);
        return;
    }
    tr_buffer_text(&b->text, "ALTER TABLE ");
    table_name(b, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    identifier(&b->text, object->name);
    tr_buffer_printf(&b->text, " %s", object->native);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_CHECK,
                                             .schema = database_of(b, table->relation),
                                             .name = object->name,
                                             .table = index });
}

static void
build_end(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++)
        for (uint32_t i = 0; i < schema->tables[t].nobjects && is_made(&schema->tables[t]); i++) {
            const struct tr_object *object = &schema->tables[t].objects[i];
            if (object->kind == TR_OBJECT_FOREIGN_KEY)
                build_foreign_key(b, t, object);
            else if (object->kind == TR_OBJECT_CHECK)
                build_check(b, t, object);
            else if (object->kind == TR_OBJECT_EXCLUSION)
                tr_ddl_note(b, schema->tables[t].relation, NULL, "exclusion constraint %s is not carried",
                            object->name);
        }
}

static void
build(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table)
{
    if (phase == TR_DDL_BEFORE)
        build_before(builder);
    else if (phase == TR_DDL_TABLE_AFTER)
        build_after(builder, table);
    else
        build_end(builder);
}

static void
build_mariadb(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table)
{
    builder->target.mariadb = true;
    build(builder, phase, table);
}

const struct tr_ddl_dialect tr_ddl_mysql = { .name = "mysql",
                                             .sources = "postgresql|mysql|mariadb",
                                             .build = build };
const struct tr_ddl_dialect tr_ddl_mariadb = { .name = "mariadb",
                                               .sources = "postgresql|mysql|mariadb",
                                               .build = build_mariadb };
