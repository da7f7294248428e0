/* sample.c - small relations and events for tests of encoders and sinks. */
#include "tests/unit/encoders/sample.h"

#include <stdlib.h>
#include <string.h>

const char SAMPLE_ABSENT[] = "(absent)";

static enum tr_logical
logical_named(const char *name, size_t len)
{
    for (int i = 0; i < TR_LOGICAL_COUNT; i++)
        if (strlen(tr_logical_name(i)) == len && memcmp(tr_logical_name(i), name, len) == 0)
            return i;
    abort();
}

static void
fill_column(struct tr_relation *relation, struct tr_column *column, const char *text, uint16_t *keys)
{
    const char *colon = strchr(text, ':'), *flags = strchr(colon + 1, ':');
    size_t len = flags != NULL ? (size_t)(flags - colon - 1) : strlen(colon + 1);
    column->name = tr_arena_copy(&relation->arena, text, (size_t)(colon - text));
    column->logical = logical_named(colon + 1, len);
    column->native = column->type_name = tr_arena_copy(&relation->arena, colon + 1, len);
    column->length = column->precision = column->scale = column->type_mod = -1;
    if (flags != NULL && strchr(flags, 'k') != NULL)
        column->key = column->identity = ++*keys;
    column->not_null = column->key > 0 || (flags != NULL && strchr(flags, 'n') != NULL);
}

struct tr_relation *
sample_relation(uint32_t number, const char *schema, const char *name, int ncolumns,
                const char *const *columns)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *list = tr_arena_zalloc(&relation->arena, (size_t)ncolumns * sizeof(*list));
    uint16_t keys = 0;
    relation->number = number;
    relation->id = 1000 + number;
    relation->database = "shop";
    relation->schema = relation->target_schema = tr_arena_strdup(&relation->arena, schema);
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, name);
    relation->ncolumns = (uint16_t)ncolumns;
    relation->columns = list;
    for (int i = 0; i < ncolumns; i++)
        fill_column(relation, &list[i], columns[i], &keys);
    tr_relation_index_keys(relation);
    return relation;
}

const struct tr_value *
sample_row(struct tr_batch *batch, int ncolumns, const char *const *texts)
{
    struct tr_value *row = tr_arena_zalloc(&batch->arena, (size_t)ncolumns * sizeof(*row));
    for (int i = 0; i < ncolumns; i++) {
        if (texts[i] == SAMPLE_ABSENT)
            continue;
        row[i].state = texts[i] == NULL ? TR_NULL : TR_PRESENT;
        if (texts[i] == NULL)
            continue;
        row[i].len = (uint32_t)strlen(texts[i]);
        /* Copied without a NUL in reach, so that a renderer that runs over the end is seen by the sanitizer's neighbours. */
        row[i].data = memcpy(tr_arena_alloc(&batch->arena, row[i].len + 8), texts[i], row[i].len);
        memset((char *)row[i].data + row[i].len, '9', 8);
    }
    return row;
}

struct tr_txn *
sample_txn(struct tr_batch *batch)
{
    struct tr_txn *txn = tr_batch_txn(batch);
    txn->xid = 7;
    txn->commit_order = 2000;
    txn->end_order = 2048;
    txn->commit_us = INT64_C(1709210096789012);
    txn->begins = txn->ends = true;
    return txn;
}

struct tr_event *
sample_event(struct tr_batch *batch, enum tr_event_kind kind, struct tr_relation *relation,
             const struct tr_value *before, const struct tr_value *after)
{
    struct tr_event *event = tr_batch_event(batch);
    event->kind = (uint8_t)kind;
    event->position = 1999;
    event->relation = relation;
    event->before = before;
    event->after = after;
    if (relation != NULL)
        tr_batch_hold(batch, relation);
    batch->rows++;
    return event;
}
