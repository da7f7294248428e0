/* net.c - folding changes of one key; see net.h. */
#include "sinks/sql/net.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/sql/keys.h"

#define FIRST_ROWS 64

void
tr_net_init(struct tr_net *net, struct tr_arena *arena, uint16_t ncolumns, const uint16_t *key, uint16_t nkey)
{
    *net = (struct tr_net){ .arena = arena, .ncolumns = ncolumns, .key = key, .nkey = nkey };
}

void
tr_net_fini(struct tr_net *net)
{
    free(net->rows);
    free(net->slots);
    net->rows = NULL;
    net->slots = NULL;
    net->nrows = net->cap = net->nslots = 0;
}

void
tr_net_clear(struct tr_net *net)
{
    net->nrows = 0;
    if (net->slots != NULL)
        memset(net->slots, 0, net->nslots * sizeof(*net->slots));
}

static void
grow(struct tr_net *net)
{
    net->cap = net->cap > 0 ? net->cap * 2 : FIRST_ROWS;
    net->rows = tr_realloc(net->rows, net->cap * sizeof(*net->rows));
    if (net->nkey == 0)
        return;
    free(net->slots);
    net->nslots = net->cap * 2;
    net->slots = tr_calloc(net->nslots, sizeof(*net->slots));
    for (uint32_t i = 0; i < net->nrows; i++) {
        uint32_t at = (uint32_t)net->rows[i].hash & (net->nslots - 1);
        while (net->slots[at] != 0)
            at = (at + 1) & (net->nslots - 1);
        net->slots[at] = i + 1;
    }
}

/* The entry of this key, or the free slot where it belongs. */
static struct tr_net_row *
find(struct tr_net *net, uint64_t hash, const struct tr_value *key, uint32_t **slot)
{
    uint32_t at = (uint32_t)hash & (net->nslots - 1);
    for (; net->slots[at] != 0; at = (at + 1) & (net->nslots - 1)) {
        struct tr_net_row *row = &net->rows[net->slots[at] - 1];
        if (row->hash == hash && tr_key_same(row->key, key, net->key, net->nkey))
            return row;
    }
    *slot = &net->slots[at];
    return NULL;
}

/* Lay what is present in `newer` over the entry's row. */
static void
merge(struct tr_net *net, struct tr_net_row *entry, const struct tr_value *newer)
{
    struct tr_value *mine;
    if (!entry->own) {
        mine = tr_arena_alloc(net->arena, net->ncolumns * sizeof(*mine));
        memcpy(mine, entry->row, net->ncolumns * sizeof(*mine));
        entry->row = mine;
        entry->own = true;
    }
    mine = (struct tr_value *)entry->row;
    for (uint16_t i = 0; i < net->ncolumns; i++)
        if (newer[i].state != TR_ABSENT)
            mine[i] = newer[i];
}

static bool
fold(struct tr_net *net, struct tr_net_row *entry, enum tr_net_op op, const struct tr_value *key,
     const struct tr_value *row)
{
    bool exists = entry->op == TR_NET_INSERT || entry->op == TR_NET_UPDATE;
    if (op == TR_NET_INSERT && entry->op == TR_NET_NOTHING) {
        entry->op = TR_NET_INSERT;
        entry->row = row;
        entry->key = key;
        entry->own = false;
        return true;
    }
    if (op == TR_NET_UPDATE && exists) {
        merge(net, entry, row);
        return true;
    }
    if (op == TR_NET_DELETE && exists) {
        entry->op = entry->op == TR_NET_INSERT ? TR_NET_NOTHING : TR_NET_DELETE;
        entry->row = NULL;
        entry->own = false;
        return true;
    }
    return false; /* delete and insert again, or what the source cannot have done: in the order it came */
}

struct tr_net_row *
tr_net_add(struct tr_net *net, enum tr_net_op op, const struct tr_value *key, const struct tr_value *row)
{
    uint64_t hash = 0;
    uint32_t *slot = NULL;
    if (net->nrows == net->cap)
        grow(net);
    if (net->nkey > 0) {
        if (!tr_key_hash(net->nkey, key, net->key, net->nkey, false, &hash))
            return NULL;
        struct tr_net_row *entry = find(net, hash, key, &slot);
        if (entry != NULL)
            return !net->unfolded && fold(net, entry, op, key, row) ? entry : NULL;
        *slot = net->nrows + 1;
    }
    struct tr_net_row *entry = &net->rows[net->nrows++];
    *entry = (struct tr_net_row){ .hash = hash, .key = key, .row = row, .op = op };
    return entry;
}
