/* relation.c - the life of a relation and the reading of its values. */
#include "core/relation.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct tr_relation *
tr_relation_new(void)
{
    struct tr_relation *relation = tr_calloc(1, sizeof(*relation));
    atomic_init(&relation->references, 1);
    relation->kind = 'r';
    relation->replica_identity = 'd';
    relation->version = 1;
    tr_arena_init(&relation->arena);
    return relation;
}

struct tr_relation *
tr_relation_ref(struct tr_relation *relation)
{
    atomic_fetch_add_explicit(&relation->references, 1, memory_order_relaxed);
    return relation;
}

void
tr_relation_unref(struct tr_relation *relation)
{
    if (relation == NULL || atomic_fetch_sub_explicit(&relation->references, 1, memory_order_acq_rel) != 1)
        return;
    tr_arena_fini(&relation->arena);
    free(relation);
}

void
tr_relation_index_keys(struct tr_relation *relation)
{
    uint16_t count = 0;
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        count = (uint16_t)(count + (relation->columns[i].key > 0));
    uint16_t *keys = tr_arena_zalloc(&relation->arena, (size_t)count * sizeof(*keys) + 1);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        uint16_t place = relation->columns[i].key;
        if (place > 0 && place <= count)
            keys[place - 1] = i;
    }
    relation->nkeys = count;
    relation->keys = keys;
}

bool
tr_column_arrives(const struct tr_column *column)
{
    return !column->generated || column->logged != TR_LOGGED_NEVER;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_column(const struct tr_column *a, const struct tr_column *b)
{
    return same_text(a->name, b->name) && a->type_id == b->type_id && a->type_mod == b->type_mod &&
           a->key == b->key && a->identity == b->identity;
}

bool
tr_relation_same_shape(const struct tr_relation *a, const struct tr_relation *b)
{
    if (a->ncolumns != b->ncolumns || a->replica_identity != b->replica_identity ||
        !same_text(a->schema, b->schema) || !same_text(a->name, b->name))
        return false;
    for (uint16_t i = 0; i < a->ncolumns; i++)
        if (!same_column(&a->columns[i], &b->columns[i]))
            return false;
    return true;
}

int
tr_relation_column(const struct tr_relation *relation, const char *name)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return i;
    return -1;
}

int
tr_value_text(const struct tr_relation *relation, const struct tr_column *column,
              const struct tr_value *value, struct tr_buffer *scratch, const char **text, size_t *len,
              struct tr_error *err)
{
    if (value->codec == TR_CODEC_TEXT) {
        *text = value->data;
        *len = value->len;
        return 0;
    }
    tr_buffer_reset(scratch);
    if (value->codec == TR_CODEC_RAW) {
        tr_buffer_add(scratch, "\\x", 2);
        tr_buffer_hex(scratch, value->data, value->len);
    } else if (relation->codec == NULL) {
        return tr_fail(err, TR_FATAL, "table %s.%s column %s: a value came in a form that nobody can read",
                       relation->schema, relation->name, column->name);
    } else {
        int r = relation->codec->text(column, value, scratch, err);
        if (r < 0) {
            tr_error_prefix(err, "table %s.%s column %s", relation->schema, relation->name, column->name);
            return r;
        }
    }
    if (scratch->overflow)
        return tr_fail(err, TR_FATAL, "table %s.%s column %s: the text of a value passes the limit of 1 GiB",
                       relation->schema, relation->name, column->name);
    *text = scratch->data != NULL ? scratch->data : "";
    *len = scratch->len;
    return 0;
}
