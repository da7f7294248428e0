/* cascade.c - see cascade.h. */
#include "sinks/sql/cascade.h"

#include <stdlib.h>
#include <strings.h>

#include "core/memory.h"
#include "core/relation.h"
#include "sinks/sql/keys.h"

struct tr_cascade {
    char *schema, *table, *column;
    bool deletes, updates;
};

void
tr_cascades_add(struct tr_cascades *cascades, const char *schema, const char *table, const char *column,
                bool deletes, bool updates)
{
    cascades->items = tr_realloc(cascades->items, (cascades->count + 1u) * sizeof(*cascades->items));
    cascades->items[cascades->count++] = (struct tr_cascade){
        tr_strdup(schema), tr_strdup(table), tr_strdup(column), deletes, updates,
    };
}

void
tr_cascades_clear(struct tr_cascades *cascades)
{
    for (uint32_t i = 0; i < cascades->count; i++) {
        free(cascades->items[i].schema);
        free(cascades->items[i].table);
        free(cascades->items[i].column);
    }
    free(cascades->items);
    *cascades = (struct tr_cascades){ NULL, 0, false };
}

static bool
changes(const struct tr_cascade *cascade, const struct tr_event *event)
{
    if (event->kind == TR_DELETE)
        return cascade->deletes;
    for (uint16_t i = 0; cascade->updates && i < event->relation->ncolumns; i++)
        if (strcasecmp(event->relation->columns[i].name, cascade->column) == 0)
            return event->after[i].state != TR_ABSENT &&
                   (event->before == NULL || event->before[i].state == TR_ABSENT ||
                    !tr_key_same(event->before, event->after, &i, 1));
    return false;
}

/* Servers may keep names in small letters; one that is taken for another in vain costs a slower way, and no more. */
bool
tr_cascades_on(const struct tr_cascades *cascades, const char *schema, const struct tr_event *event)
{
    if (cascades->count == 0 || (event->kind != TR_UPDATE && event->kind != TR_DELETE) ||
        (event->flags & TR_ROW_CASCADES) == 0 || event->relation->skip)
        return false;
    for (uint32_t i = 0; i < cascades->count; i++)
        if (strcasecmp(cascades->items[i].table, event->relation->target_name) == 0 &&
            strcasecmp(cascades->items[i].schema, schema) == 0 && changes(&cascades->items[i], event))
            return true;
    return false;
}
