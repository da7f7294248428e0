/*
 * ddl_postgresql.c - statements for a PostgreSQL target.
 *
 * From a PostgreSQL source the definitions are the source's own text (pg_get_indexdef and its kin), so nothing is lost in
 * conversion; only the names of the tables are put in here, because mapping may have changed them.
 */
#include <string.h>

#include "schema/ddl_postgresql.h"
#include "schema/names.h"

static void
comment_on(struct tr_buffer *out, const char *what, const char *schema, const char *name, const char *comment)
{
    if (comment == NULL)
        return;
    tr_buffer_printf(out, ";\nCOMMENT ON %s ", what);
    qualified(out, schema, name);
    tr_buffer_text(out, " IS ");
    literal(out, comment);
}

static void
build_object(struct tr_ddl_builder *b, const struct tr_object *object)
{
    struct tr_buffer *out = &b->text;
    const char *name = object->name;
    switch (object->kind) {
    case TR_OBJECT_EXTENSION:
        tr_buffer_text(out, "CREATE EXTENSION IF NOT EXISTS ");
        identifier(out, name);
        tr_buffer_text(out, " WITH SCHEMA ");
        identifier(out, object->schema);
        tr_buffer_text(out, " CASCADE");
        break;
    case TR_OBJECT_SCHEMA:
        tr_buffer_text(out, "CREATE SCHEMA IF NOT EXISTS ");
        identifier(out, name);
        break;
    case TR_OBJECT_TYPE:
    case TR_OBJECT_DOMAIN:
        if (object->native == NULL)
            return; /* one that cannot be made from SQL alone: it must be there already */
        tr_buffer_text(out, object->kind == TR_OBJECT_TYPE ? "CREATE TYPE " : "CREATE DOMAIN ");
        qualified(out, object->schema, name);
        tr_buffer_printf(out, " %s", object->native);
        comment_on(out, object->kind == TR_OBJECT_TYPE ? "TYPE" : "DOMAIN", object->schema, name,
                   object->comment);
        break;
    case TR_OBJECT_SEQUENCE:
        if (object->is_identity)
            return;
        tr_buffer_text(out, "CREATE SEQUENCE ");
        qualified(out, object->schema, name);
        tr_buffer_printf(out, " %s", object->native);
        comment_on(out, "SEQUENCE", object->schema, name, object->comment);
        break;
    default: return;
    }
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = object->kind,
                                             .schema = object->schema,
                                             .name = object->name,
                                             .native = object->native,
                                             .table = TR_DDL_NO_TABLE });
}

/* Target schemas that only mapping knows of. */
static void
build_mapped_schemas(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t i = 0; i < schema->ntables; i++) {
        const char *name = schema->tables[i].relation->target_schema;
        bool known = strcmp(name, schema->tables[i].relation->schema) == 0;
        for (uint32_t j = b->ddl->count; j > 0 && !known; j--) {
            const struct tr_ddl_statement *made = &b->ddl->statements[j - 1];
            known = made->kind == TR_OBJECT_SCHEMA && strcmp(made->name, name) == 0;
        }
        if (known)
            continue;
        tr_buffer_text(&b->text, "CREATE SCHEMA IF NOT EXISTS ");
        identifier(&b->text, name);
        tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                                 .kind = TR_OBJECT_SCHEMA,
                                                 .schema = name,
                                                 .name = name,
                                                 .table = TR_DDL_NO_TABLE });
    }
}

static void
column_comments(struct tr_buffer *out, const struct tr_table *table)
{
    if (table->column_comments == NULL)
        return;
    for (uint16_t c = 0; c < table->relation->ncolumns; c++) {
        if (table->column_comments[c] == NULL)
            continue;
        tr_buffer_text(out, ";\nCOMMENT ON COLUMN ");
        table_name(out, table);
        tr_buffer_byte(out, '.');
        identifier(out, table->relation->columns[c].name);
        tr_buffer_text(out, " IS ");
        literal(out, table->column_comments[c]);
    }
}

/* Owned sequences go when their column goes, as at the source. */
static void
own_sequences(struct tr_buffer *out, const struct tr_table *table)
{
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        if (object->kind != TR_OBJECT_SEQUENCE || object->is_identity)
            continue;
        tr_buffer_text(out, ";\nALTER SEQUENCE ");
        qualified(out, object->schema, object->name);
        tr_buffer_text(out, " OWNED BY ");
        table_name(out, table);
        tr_buffer_byte(out, '.');
        identifier(out, object->owned_column);
    }
}

static void
key_comment(struct tr_buffer *out, const struct tr_table *table, const struct tr_object *object,
            bool constraint)
{
    if (object->comment == NULL)
        return;
    if (!constraint) {
        comment_on(out, "INDEX", table->relation->target_schema, object->name, object->comment);
        return;
    }
    tr_buffer_text(out, ";\nCOMMENT ON CONSTRAINT ");
    identifier(out, object->name);
    tr_buffer_text(out, " ON ");
    table_name(out, table);
    tr_buffer_text(out, " IS ");
    literal(out, object->comment);
}

/* The source's own statement has made the columns: those that the task gives another type are altered while the table is empty. */
static void
chosen_types(struct tr_ddl_builder *b, const struct tr_table *table)
{
    for (uint16_t c = 0; table->parent == 0 && c < table->relation->ncolumns; c++) {
        const struct tr_column *column = &table->relation->columns[c];
        if (column->target_type == NULL)
            continue;
        tr_buffer_text(&b->text, ";\nALTER TABLE ");
        table_name(&b->text, table);
        tr_buffer_text(&b->text, " ALTER COLUMN ");
        identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, " TYPE %s USING ", column->target_type);
        identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, "::text::%s", column->target_type);
        tr_ddl_note(b, table->relation, column->name, "%s: becomes %s, as the task says",
                    column->native != NULL ? column->native : "value", column->target_type);
    }
}

static void
build_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    struct tr_buffer *out = &b->text;
    tr_buffer_text(out, "CREATE TABLE ");
    table_name(out, table);
    if (table->parent > 0) {
        tr_buffer_text(out, " PARTITION OF ");
        table_name(out, &b->schema->tables[table->parent - 1]);
        tr_buffer_printf(out, " %s", table->partition_bound);
    }
    tr_buffer_printf(out, "%s%s", table->create[0] != '\0' ? " " : "", table->create);
    if (table->alter != NULL) {
        tr_buffer_text(out, ";\nALTER TABLE ");
        table_name(out, table);
        tr_buffer_printf(out, " %s", table->alter);
    }
    chosen_types(b, table);
    comment_on(out, "TABLE", relation->target_schema, relation->target_name, table->comment);
    column_comments(out, table);
    for (uint32_t i = 0; i < table->nobjects; i++)
        if (table->objects[i].kind == TR_OBJECT_CHECK && table->objects[i].in_create)
            key_comment(out, table, &table->objects[i], true);
    own_sequences(out, table);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_TABLE,
                                             .schema = relation->target_schema,
                                             .name = relation->target_name,
                                             .table = index });
}

static void
build_constraint(struct tr_ddl_builder *b, enum tr_ddl_phase phase, uint32_t index,
                 const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    struct tr_buffer *out = &b->text;
    bool constraint = object->is_constraint;
    if (constraint) {
        tr_buffer_text(out, "ALTER TABLE ");
        table_name(out, table);
        tr_buffer_text(out, " ADD CONSTRAINT ");
        identifier(out, object->name);
        tr_buffer_printf(out, " %s", object->native);
    } else {
        tr_buffer_printf(out, "CREATE %sINDEX ", object->kind == TR_OBJECT_UNIQUE ? "UNIQUE " : "");
        identifier(out, object->name);
        tr_buffer_text(out, " ON ");
        table_name(out, table);
        tr_buffer_printf(out, " %s", object->native);
    }
    key_comment(out, table, object, constraint);
    if (object->is_replica_identity) {
        tr_buffer_text(out, ";\nALTER TABLE ");
        table_name(out, table);
        tr_buffer_text(out, " REPLICA IDENTITY USING INDEX ");
        identifier(out, object->name);
    }
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = phase,
                                             .kind = object->kind,
                                             .schema = table->relation->target_schema,
                                             .name = object->name,
                                             .native = object->native,
                                             .table = index });
}

static void
build_foreign_key(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    struct tr_buffer *out = &b->text;
    if (object->ref == 0)
        return; /* the reader has left a note */
    tr_buffer_text(out, "ALTER TABLE ");
    table_name(out, table);
    tr_buffer_text(out, " ADD CONSTRAINT ");
    identifier(out, object->name);
    tr_buffer_text(out, " FOREIGN KEY (");
    for (uint16_t c = 0; c < object->ncolumns; c++) {
        tr_buffer_text(out, c > 0 ? ", " : "");
        identifier(out, table->relation->columns[object->columns[c]].name);
    }
    tr_buffer_text(out, ") REFERENCES ");
    table_name(out, &b->schema->tables[object->ref - 1]);
    tr_buffer_printf(out, " %s", object->native);
    if (b->schema->cuts_differ && table->relation->kind != 'p' && strstr(object->native, "NOT VALID") == NULL)
        tr_buffer_text(out, " NOT VALID");
    key_comment(out, table, object, true);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_FOREIGN_KEY,
                                             .schema = table->relation->target_schema,
                                             .name = object->name,
                                             .table = index });
}

static void
build_before(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t i = 0; i < schema->nobjects; i++)
        build_object(b, &schema->objects[i]);
    build_mapped_schemas(b);
    for (uint32_t t = 0; t < schema->ntables; t++)
        build_table(b, t);
}

/* The primary key first: catching up needs it, and a replica identity may be one of the others. */
static void
build_after(struct tr_ddl_builder *b, uint32_t index)
{
    static const enum tr_object_kind order[] = { TR_OBJECT_PRIMARY_KEY, TR_OBJECT_UNIQUE, TR_OBJECT_EXCLUSION,
                                                 TR_OBJECT_INDEX };
    const struct tr_table *table = &b->schema->tables[index];
    for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
        for (uint32_t i = 0; i < table->nobjects; i++)
            if (table->objects[i].kind == order[k])
                build_constraint(b, TR_DDL_TABLE_AFTER, index, &table->objects[i]);
}

static void
build_end(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++)
        for (uint32_t i = 0; i < schema->tables[t].nobjects; i++) {
            const struct tr_object *object = &schema->tables[t].objects[i];
            if (object->kind == TR_OBJECT_FOREIGN_KEY)
                build_foreign_key(b, t, object);
            else if (object->kind == TR_OBJECT_CHECK && !object->in_create)
                build_constraint(b, TR_DDL_END, t, object);
        }
    for (uint32_t i = 0; i < schema->nobjects; i++)
        if (schema->objects[i].kind == TR_OBJECT_SEQUENCE)
            tr_pg_ddl_sequence_value(b, &schema->objects[i]);
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

const struct tr_ddl_dialect tr_ddl_postgresql = {
    .name = "postgresql", .sources = "postgresql", .name_max = TR_NAME_POSTGRESQL, .build = build
};
