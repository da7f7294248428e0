/* entries.c - the flat list. */
#include "app/entries.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct tr_entry *
tr_entries_add(struct tr_entries *entries, const char *section, const char *name, const char *origin)
{
    entries->items = tr_realloc(entries->items, (entries->count + 1) * sizeof(*entries->items));
    struct tr_entry *entry = &entries->items[entries->count++];
    *entry = (struct tr_entry){
        .section = tr_strdup(section),
        .name = tr_strdup(name),
        .origin = tr_strdup(origin),
    };
    return entry;
}

void
tr_entry_value(struct tr_entry *entry, const char *value)
{
    entry->values = tr_realloc(entry->values, (entry->nvalues + 1) * sizeof(char *));
    entry->values[entry->nvalues++] = tr_strdup(value);
}

const struct tr_entry *
tr_entries_find(const struct tr_entries *entries, const char *section, const char *name)
{
    for (size_t i = 0; i < entries->count; i++)
        if (strcmp(entries->items[i].section, section) == 0 && strcmp(entries->items[i].name, name) == 0)
            return &entries->items[i];
    return NULL;
}

void
tr_entries_fini(struct tr_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct tr_entry *entry = &entries->items[i];
        for (size_t j = 0; j < entry->nvalues; j++) {
            tr_wipe(entry->values[j], strlen(entry->values[j]));
            free(entry->values[j]);
        }
        free(entry->values);
        free(entry->section);
        free(entry->name);
        free(entry->origin);
    }
    free(entries->items);
    *entries = (struct tr_entries){ 0 };
}
