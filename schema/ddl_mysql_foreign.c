/* ddl_mysql_foreign.c - foreign keys of a MySQL or MariaDB target. */
#include <string.h>

#include "schema/ddl_mysql.h"
#include "schema/key_types.h"
#include "schema/names.h"

#define COLUMNS_MAX 64 /* of a key; the servers take 16 or 32 */

static void
write_columns(struct tr_buffer *out, const char *const *names, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        tr_buffer_text(out, i > 0 ? ", " : "(");
        tr_my_ddl_identifier(out, names[i]);
    }
    tr_buffer_byte(out, ')');
}

/* SET NULL of columns that may not be NULL, or of some of the columns only. */
static bool
cannot_set_null(const struct tr_table *table, const struct tr_object *object, const char *action)
{
    if (strcmp(action, "SET NULL") != 0)
        return false;
    for (uint16_t i = 0; i < object->ncolumns; i++)
        if (table->relation->columns[object->columns[i]].not_null)
            return true;
    return object->native != NULL && strstr(object->native, "SET NULL (") != NULL;
}

static void
write_action(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
             const char *when, const char *action)
{
    if (action == NULL || strcmp(action, "NO ACTION") == 0)
        return;
    if (strcmp(action, "SET DEFAULT") == 0 || cannot_set_null(table, object, action))
        tr_ddl_note(b, table->relation, NULL,
                    "foreign key %s refuses the change at the target: ON %s %s is not carried", object->name,
                    when, action);
    else
        tr_buffer_printf(&b->text, " ON %s %s", when, action);
}

static void
note_foreign_key(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object)
{
    if (object->deferrable)
        tr_ddl_note(b, table->relation, NULL,
                    "foreign key %s is checked at once, not at the end of a transaction", object->name);
    if (object->ncolumns > 1 && object->native != NULL && strstr(object->native, "MATCH FULL") != NULL)
        tr_ddl_note(b, table->relation, NULL,
                    "foreign key %s lets keys pass that are NULL in part: MATCH FULL is not carried",
                    object->name);
}

/* Says so where the types of the two ends are none that the target joins; types that the task chose are the server's to judge. */
static bool
joins_types(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object)
{
    const struct tr_table *parent = &b->schema->tables[object->ref - 1];
    struct tr_buffer here, there, note;
    bool joined = true;
    tr_buffer_init(&here, (size_t)1 << 20);
    tr_buffer_init(&there, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 20);
    for (uint16_t i = 0; i < object->ncolumns && joined && !tr_my_ddl_is_family(b); i++) {
        const struct tr_column *column = &table->relation->columns[object->columns[i]];
        int at = tr_relation_column(parent->relation, object->ref_columns[i]);
        if (at < 0 || column->target_type != NULL || parent->relation->columns[at].target_type != NULL)
            continue;
        tr_my_ddl_column_type(b, table, object->columns[i], false, &here, &note);
        tr_my_ddl_column_type(b, parent, (uint16_t)at, false, &there, &note);
        joined = tr_key_types_join(here.data, there.data);
        if (!joined)
            tr_ddl_note(b, table->relation, NULL,
                        "foreign key %s is not made: the target joins no %s (%s) to a %s (%s of %s.%s)",
                        object->name, here.data, column->name, there.data, object->ref_columns[i],
                        object->ref_schema, object->ref_table);
    }
    tr_buffer_fini(&here);
    tr_buffer_fini(&there);
    tr_buffer_fini(&note);
    return joined;
}

void
tr_my_ddl_foreign_key(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    const char *names[COLUMNS_MAX];
    if (object->ref == 0 || object->ncolumns > COLUMNS_MAX ||
        !tr_my_ddl_is_made(&b->schema->tables[object->ref - 1])) {
        tr_ddl_note(b, table->relation, NULL,
                    "foreign key %s is not made: it refers to %s.%s, which is not part of the task",
                    object->name, object->ref_schema, object->ref_table);
        return;
    }
    if (!joins_types(b, table, object))
        return;
    const char *name = tr_name_alone(&b->ddl->arena, b->schema, table->relation, TR_OBJECT_FOREIGN_KEY,
                                     object->name, TR_NAME_MYSQL);
    for (uint16_t i = 0; i < object->ncolumns; i++)
        names[i] = table->relation->columns[object->columns[i]].name;
    tr_buffer_text(&b->text, "ALTER TABLE ");
    tr_my_ddl_table_name(b, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    tr_my_ddl_identifier(&b->text, name);
    tr_buffer_text(&b->text, " FOREIGN KEY ");
    write_columns(&b->text, names, object->ncolumns);
    tr_buffer_text(&b->text, " REFERENCES ");
    tr_my_ddl_table_name(b, &b->schema->tables[object->ref - 1]);
    tr_buffer_byte(&b->text, ' ');
    write_columns(&b->text, object->ref_columns, object->ncolumns);
    write_action(b, table, object, "DELETE", object->on_delete);
    write_action(b, table, object, "UPDATE", object->on_update);
    note_foreign_key(b, table, object);
    bool key = tr_ddl_leads_to_key(&b->schema->tables[object->ref - 1], object);
    if (!key && !b->target.mariadb)
        tr_ddl_note(
            b, table->relation, NULL,
            "foreign key %s refers to columns that are no key: MySQL 8.4 and later refuse that unless told otherwise (restrict_fk_on_non_standard_key)",
            object->name);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_FOREIGN_KEY,
                                             .schema = tr_my_ddl_database(b, table->relation->target_schema),
                                             .name = name,
                                             .other_name = object->name,
                                             .optional = table->ncomputed > 0 || !key,
                                             .table = index });
}
