/* control.c - control records: a table appears, changes its shape, is emptied, goes. */
#include <string.h>

#include "encoders/common/write.h"
#include "encoders/dms/internal.h"

/* DMS's names of types. Texts without a length and documents are large objects to it. */
static const char *const types[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = "BOOLEAN",   [TR_INT8] = "INT1",
    [TR_UINT8] = "UINT1",    [TR_INT16] = "INT2",
    [TR_UINT16] = "UINT2",   [TR_INT24] = "INT4",
    [TR_UINT24] = "UINT4",   [TR_INT32] = "INT4",
    [TR_UINT32] = "UINT4",   [TR_INT64] = "INT8",
    [TR_UINT64] = "UINT8",   [TR_FLOAT32] = "REAL4",
    [TR_FLOAT64] = "REAL8",  [TR_DECIMAL] = "NUMERIC",
    [TR_OID] = "UINT4",      [TR_YEAR] = "UINT2",
    [TR_DATE] = "DATE",      [TR_TIME] = "TIME",
    [TR_TIMETZ] = "TIME",    [TR_TIMESTAMP] = "DATETIME",
    [TR_BYTES] = "BYTES",    [TR_TIMESTAMPTZ] = "DATETIME",
    [TR_JSON] = "NCLOB",     [TR_JSONB] = "NCLOB",
    [TR_XML] = "NCLOB",      [TR_HSTORE] = "NCLOB",
    [TR_ARRAY] = "NCLOB",    [TR_COMPOSITE] = "NCLOB",
    [TR_GEOMETRY] = "NCLOB", [TR_GEOGRAPHY] = "NCLOB",
    [TR_TSVECTOR] = "NCLOB", [TR_VECTOR] = "NCLOB",
    [TR_UUID] = "WSTRING",
};

static const char *
type_of(const struct dms_encoder *enc, const struct tr_column *column)
{
    const char *type = types[column->logical];
    if (column->logical == TR_BOOL && !enc->booleans)
        return "STRING";
    if (column->logical == TR_BYTES && column->length < 0)
        return "BLOB";
    return type != NULL ? type : column->logical == TR_TEXT && column->length < 0 ? "NCLOB" : "WSTRING";
}

static void
add_column(const struct dms_encoder *enc, const struct tr_column *column, struct tr_buffer *out)
{
    tr_json_string(out, column->name, strlen(column->name));
    tr_buffer_printf(out, ":{\"type\":\"%s\"", type_of(enc, column));
    if (column->logical == TR_UUID)
        json_literal(out, ",\"length\":36");
    else if (column->logical == TR_BOOL && !enc->booleans)
        json_literal(out, ",\"length\":5");
    else if (column->length >= 0)
        tr_buffer_printf(out, ",\"length\":%d", column->length);
    if (column->logical == TR_DECIMAL && column->precision >= 0)
        tr_buffer_printf(out, ",\"precision\":%d,\"scale\":%d", column->precision,
                         column->scale > 0 ? column->scale : 0);
    tr_buffer_printf(out, ",\"nullable\":%s}", column->not_null ? "false" : "true");
}

/* `"control":{"table-def":{...}},` */
static void
add_definition(const struct dms_encoder *enc, const struct tr_relation *relation, struct tr_buffer *out)
{
    json_literal(out, "\"control\":{\"table-def\":{\"columns\":{");
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        if (i > 0)
            tr_buffer_byte(out, ',');
        add_column(enc, &relation->columns[i], out);
    }
    json_literal(out, "},\"primary-key\":[");
    for (uint16_t k = 0; k < relation->nkeys; k++) {
        const char *name = relation->columns[relation->keys[k]].name;
        if (k > 0)
            tr_buffer_byte(out, ',');
        tr_json_string(out, name, strlen(name));
    }
    json_literal(out, "]}},");
}

/* shape: the relation whose columns are the table's */
static int
emit_shaped(struct dms_encoder *enc, const struct dms_table *table, const struct tr_relation *shape,
            const struct tr_event *event, const char *operation, const struct tr_emit *emit,
            struct tr_error *err)
{
    struct tr_buffer *out = &enc->value;
    tr_buffer_reset(out);
    tr_buffer_reset(&enc->key);
    tr_buffer_byte(out, '{');
    if (enc->control_details)
        add_definition(enc, shape, out);
    dms_begin_metadata(enc, "control", operation, out);
    json_literal(out, ",\"partition-key-type\":\"task-id\"");
    if (enc->partition_value) {
        json_literal(out, ",\"partition-key-value\":");
        tr_json_string(out, table->control_key, strlen(table->control_key));
    }
    tr_buffer_text(out, table->place);
    json_literal(out, "}}");
    tr_buffer_text(&enc->key, table->control_key);
    return dms_emit(enc, table, event, emit, err);
}

static int
emit_control(struct dms_encoder *enc, const struct dms_table *table, const struct tr_event *event,
             const char *operation, const struct tr_emit *emit, struct tr_error *err)
{
    return emit_shaped(enc, table, table->relation, event, operation, emit, err);
}

/* Before a table's first row of the load. */
int
dms_announce(struct dms_encoder *enc, struct dms_table *table, const struct tr_event *event,
             const struct tr_emit *emit, struct tr_error *err)
{
    if (table->announced)
        return 0;
    table->announced = true;
    return emit_control(enc, table, event, "create-table", emit, err);
}

static const struct tr_column *
same_column(const struct tr_relation *relation, const struct tr_column *column)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (column->number != 0 ? relation->columns[i].number == column->number
                                : strcmp(relation->columns[i].name, column->name) == 0)
            return &relation->columns[i];
    return NULL;
}

static bool
same_type(const struct tr_column *a, const struct tr_column *b)
{
    return a->logical == b->logical && a->type_id == b->type_id && a->type_mod == b->type_mod &&
           a->length == b->length && a->precision == b->precision && a->scale == b->scale;
}

/* The one word for what happened; NULL = nothing that a consumer sees. */
static const char *
name_change(const struct tr_relation *old, const struct tr_relation *new)
{
    unsigned added = 0, dropped = 0, renamed = 0, retyped = 0;
    /* A binlog knows columns by their place alone, so names tell which is which there. */
    for (uint16_t i = 0; i < new->ncolumns; i++) {
        const struct tr_column *was = same_column(old, &new->columns[i]);
        added += was == NULL;
        renamed += was != NULL && strcmp(was->name, new->columns[i].name) != 0;
        retyped += was != NULL && !same_type(was, &new->columns[i]);
    }
    for (uint16_t i = 0; i < old->ncolumns; i++)
        dropped += same_column(new, &old->columns[i]) == NULL;
    if (strcmp(old->name, new->name) != 0 || strcmp(old->schema, new->schema) != 0)
        return "rename-table";
    if ((added > 0) + (dropped > 0) + (renamed > 0) + (retyped > 0) > 1)
        return "change-columns";
    return added > 0     ? "add-column"
           : dropped > 0 ? "drop-column"
           : renamed > 0 ? "rename-column"
           : retyped > 0 ? "column-type-change"
                         : NULL;
}

int
dms_schema_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                 struct tr_error *err)
{
    const struct tr_relation *old = event->schema.previous;
    if (!enc->table_alterations || old == NULL || event->relation->skip)
        return 0;
    const char *operation = name_change(old, event->relation);
    struct dms_table *table = operation != NULL ? dms_table_get(enc, event->relation, err) : NULL;
    if (operation == NULL)
        return 0;
    return table != NULL ? emit_control(enc, table, event, operation, emit, err) : -(int)err->class;
}

int
dms_truncate_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                   struct tr_error *err)
{
    for (uint32_t i = 0; enc->table_alterations && i < event->truncate.nrelations; i++) {
        struct tr_relation *relation = event->truncate.relations[i];
        struct dms_table *table = relation->skip ? NULL : dms_table_get(enc, relation, err);
        if (table == NULL && !relation->skip)
            return -(int)err->class;
        int rc = table != NULL ? emit_control(enc, table, event, "truncate-table", emit, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The statement names the table, and no shape of it. */
static struct tr_relation *
named_alone(const struct tr_ddl_table *table)
{
    struct tr_relation *relation = tr_relation_new();
    relation->schema = relation->target_schema = tr_arena_strdup(&relation->arena, table->schema);
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, table->name);
    return relation;
}

static struct tr_relation *
known_relation(const struct dms_encoder *enc, const struct tr_ddl_table *named)
{
    for (uint32_t i = 0; i < enc->ntables; i++) {
        struct tr_relation *relation = enc->tables[i] != NULL ? enc->tables[i]->relation : NULL;
        if (relation != NULL && strcmp(relation->schema, named->schema) == 0 &&
            strcmp(relation->name, named->name) == 0)
            return tr_relation_ref(relation);
    }
    return named_alone(named);
}

static int
tell_dropped(struct dms_encoder *enc, const struct tr_event *event, const struct tr_ddl_table *named,
             const struct tr_emit *emit, struct tr_error *err)
{
    struct tr_relation *relation = known_relation(enc, named);
    struct dms_table *table = dms_table_get(enc, relation, err);
    tr_relation_unref(relation);
    /* Without a shape its key columns cannot be found; nobody asks for them here. */
    return table != NULL ? emit_control(enc, table, event, "drop-table", emit, err) : 0;
}

/* In the topic of the new name, with the columns that the table had under the old one. */
static int
tell_renamed(struct dms_encoder *enc, const struct tr_event *event, const struct tr_ddl_table *pair,
             const struct tr_emit *emit, struct tr_error *err)
{
    struct tr_relation *old = known_relation(enc, &pair[0]), *relation = named_alone(&pair[1]);
    relation->number = old->number;
    struct dms_table *table = dms_table_get(enc, relation, err);
    tr_relation_unref(relation);
    int rc = table != NULL ? emit_shaped(enc, table, old, event, "rename-table", emit, err) : 0;
    tr_relation_unref(old);
    return rc;
}

int
dms_statement_event(struct dms_encoder *enc, const struct tr_event *event, const struct tr_emit *emit,
                    struct tr_error *err)
{
    const struct tr_ddl_table *tables = event->ddl.tables;
    uint32_t count = enc->table_alterations ? event->ddl.ntables : 0;
    int rc = 0;
    switch (event->ddl.verb) {
    case TR_VERB_DROP_TABLE:
        for (uint32_t i = 0; rc == 0 && i < count; i++)
            rc = tables[i].ours ? tell_dropped(enc, event, &tables[i], emit, err) : 0;
        return rc;
    case TR_VERB_RENAME_TABLE:
        for (uint32_t i = 0; rc == 0 && i + 1 < count; i += 2)
            rc = tables[i + 1].ours ? tell_renamed(enc, event, &tables[i], emit, err) : 0;
        return rc;
    case TR_VERB_ALTER_TABLE:
        return count == 2 && tables[1].renamed && tables[1].ours ? tell_renamed(enc, event, tables, emit, err)
                                                                 : 0;
    default: return 0;
    }
}
