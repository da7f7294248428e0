/* source.c - what every source shares. */
#include "capture/source.h"

#include <stdlib.h>

#include "core/memory.h"

void
tr_relation_list_free(struct tr_relation_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        tr_relation_unref(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

void
tr_others_add(struct tr_others *others, const struct tr_other *other)
{
    others->items = tr_realloc(others->items, (others->count + 1) * sizeof(*others->items));
    others->items[others->count++] = (struct tr_other){ .task = tr_strdup(other->task),
                                                        .position = tr_strdup(other->position),
                                                        .scope = tr_strdup(other->scope),
                                                        .connection = other->connection };
}

void
tr_others_free(struct tr_others *others)
{
    for (size_t i = 0; i < others->count; i++) {
        free(others->items[i].task);
        free(others->items[i].position);
        free(others->items[i].scope);
    }
    free(others->items);
    *others = (struct tr_others){ 0 };
}
