/* offset_store.c - what every store and every keeper of a checkpoint does with struct tr_checkpoint. */
#include "offsets/offset_store.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

void
tr_checkpoint_fini(struct tr_checkpoint *checkpoint)
{
    free(checkpoint->position);
    free(checkpoint->identity);
    free(checkpoint->sink_state);
    free(checkpoint->phase);
    for (size_t i = 0; i < checkpoint->ntables; i++) {
        free(checkpoint->tables[i].table);
        free(checkpoint->tables[i].position);
    }
    free(checkpoint->tables);
    tr_names_fini(&checkpoint->index);
    *checkpoint = (struct tr_checkpoint){ 0 };
}

static struct tr_table_cut *
find_table(const struct tr_checkpoint *checkpoint, const char *table)
{
    uint32_t at = tr_names_find(&checkpoint->index, table);
    return at != TR_NAMES_NONE ? &checkpoint->tables[at] : NULL;
}

/* Capacity is the next power of two, so that it need not be kept. */
static struct tr_table_cut *
append_table(struct tr_checkpoint *checkpoint, const char *table)
{
    size_t n = checkpoint->ntables;
    if ((n & (n - 1)) == 0)
        checkpoint->tables = tr_realloc(checkpoint->tables,
                                        (n == 0 ? 1 : 2 * n) * sizeof(*checkpoint->tables));
    checkpoint->ntables++;
    checkpoint->tables[n] = (struct tr_table_cut){ .table = tr_strdup(table) };
    tr_names_add(&checkpoint->index, checkpoint->tables[n].table, (uint32_t)n);
    return &checkpoint->tables[n];
}

void
tr_checkpoint_set_table(struct tr_checkpoint *checkpoint, const char *table, const char *position, bool done)
{
    struct tr_table_cut *cut = find_table(checkpoint, table);
    if (cut == NULL)
        cut = append_table(checkpoint, table);
    char *copy = tr_strdup(position); /* `position` may be the old text itself */
    free(cut->position);
    cut->position = copy;
    cut->done = done;
}

const struct tr_table_cut *
tr_checkpoint_table(const struct tr_checkpoint *checkpoint, const char *table)
{
    return find_table(checkpoint, table);
}

void
tr_checkpoint_copy(struct tr_checkpoint *to, const struct tr_checkpoint *from)
{
    struct tr_checkpoint copy = {
        .position = tr_strdup(from->position),
        .identity = tr_strdup(from->identity),
        .sink_state = tr_strdup(from->sink_state),
        .phase = tr_strdup(from->phase),
    };
    for (size_t i = 0; i < from->ntables; i++) {
        struct tr_table_cut *cut = append_table(&copy, from->tables[i].table);
        cut->position = tr_strdup(from->tables[i].position);
        cut->done = from->tables[i].done;
    }
    *to = copy;
}
