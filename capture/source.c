/* source.c - what every source shares. */
#include "capture/source.h"

#include <stdlib.h>

void
tr_relation_list_free(struct tr_relation_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        tr_relation_unref(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}
