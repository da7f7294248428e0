/* tables.c - everything about a table that can be made once. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/common/write.h"
#include "encoders/dms/internal.h"

static const char *
keep(struct tr_arena *arena, struct tr_buffer *buf)
{
    const char *copy = tr_arena_copy(arena, buf->len > 0 ? buf->data : "", buf->len);
    tr_buffer_reset(buf);
    return copy;
}

static void
fill_texts(const struct dms_encoder *enc, struct dms_table *table)
{
    const struct tr_relation *relation = table->relation;
    struct tr_buffer text;
    tr_buffer_init(&text, 1 << 20);
    table->names = tr_arena_zalloc(&table->arena, relation->ncolumns * sizeof(*table->names) + 1);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        tr_json_string(&text, relation->columns[i].name, strlen(relation->columns[i].name));
        tr_buffer_byte(&text, ':');
        table->names[i] = keep(&table->arena, &text);
    }
    json_literal(&text, ",\"schema-name\":");
    tr_json_string(&text, relation->schema, strlen(relation->schema));
    json_literal(&text, ",\"table-name\":");
    tr_json_string(&text, relation->name, strlen(relation->name));
    table->place = keep(&table->arena, &text);
    tr_buffer_printf(&text, "%s.%s.%s", enc->base.env->prefix, relation->schema, relation->name);
    table->control_key = keep(&table->arena, &text);
    tr_buffer_fini(&text);
}

static void
table_free(struct dms_table *table)
{
    if (table == NULL)
        return;
    tr_relation_unref(table->relation);
    tr_arena_fini(&table->arena);
    free(table);
}

struct dms_table *
dms_table_get(struct dms_encoder *enc, struct tr_relation *relation, struct tr_error *err)
{
    uint32_t number = relation->number;
    if (number < enc->ntables && enc->tables[number] != NULL && enc->tables[number]->relation == relation)
        return enc->tables[number];
    if (number >= enc->ntables) {
        uint32_t count = number + 1 > 2 * enc->ntables ? number + 1 : 2 * enc->ntables;
        enc->tables = tr_realloc(enc->tables, count * sizeof(*enc->tables));
        memset(enc->tables + enc->ntables, 0, (count - enc->ntables) * sizeof(*enc->tables));
        enc->ntables = count;
    }
    struct dms_table *table = tr_calloc(1, sizeof(*table));
    tr_arena_init(&table->arena);
    table->relation = tr_relation_ref(relation);
    table->topic = topic_of_table(&enc->topics, &table->arena, relation);
    fill_texts(enc, table);
    int rc = topic_key_columns(&enc->topics, &table->arena, relation, &table->keys, &table->nkeys, err);
    if (rc < 0) {
        table_free(table);
        return NULL;
    }
    table_free(enc->tables[number]);
    enc->tables[number] = table;
    return table;
}

void
dms_tables_free(struct dms_encoder *enc)
{
    for (uint32_t i = 0; i < enc->ntables; i++)
        table_free(enc->tables[i]);
    free(enc->tables);
}
