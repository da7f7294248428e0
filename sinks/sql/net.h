/*
 * net.h - the net change per key of one table inside one target transaction.
 *
 * A group of source transactions is committed as a whole, so that of several changes of one row only the sum can ever be seen. The set
 * keeps one entry per key, in the order of the first touch; what cannot be folded without doubt is not: the caller then sends what the set holds, clears
 * it, and adds the change to the empty set.
 */
#ifndef TR_SINKS_SQL_NET_H
#define TR_SINKS_SQL_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/value.h"

enum tr_net_op { TR_NET_NOTHING = 0, TR_NET_DELETE, TR_NET_UPDATE, TR_NET_INSERT };

struct tr_net_row {
    uint64_t hash;
    const struct tr_value *key; /* a row image that holds the key (the old one, if it was sent) */
    const struct tr_value *row; /* what is written; NULL for a delete */
    uint64_t depends;           /* the group to wait for; the caller's */
    uint8_t op;                 /* enum tr_net_op */
    bool own;                   /* `row` is a copy in the arena that may be written to */
};

struct tr_net {
    struct tr_arena *arena; /* of the group: copies of merged rows */
    uint16_t ncolumns;
    const uint16_t *key;
    uint16_t nkey; /* 0: no key, inserts only */
    struct tr_net_row *rows;
    uint32_t nrows, cap;
    uint32_t *slots; /* index + 1 into rows */
    uint32_t nslots;
    bool unfolded; /* take no second change of a key: triggers would see the difference */
};

/* arena and key are borrowed and must outlive the set. A row has ncolumns values, and is the same as another when it has the same ones in the `key` columns. */
void tr_net_init(struct tr_net *net, struct tr_arena *arena, uint16_t ncolumns, const uint16_t *key,
                 uint16_t nkey);
void tr_net_fini(struct tr_net *net);
/* Empty, as for the next group: the images are not its own. */
void tr_net_clear(struct tr_net *net);

/*
 * Fold one change in; images are borrowed and must outlive the set. An update must not change the key. Returns the entry (valid until the next call), or
 * NULL when the change cannot be folded into what the set holds of this key.
 */
struct tr_net_row *tr_net_add(struct tr_net *net, enum tr_net_op op, const struct tr_value *key,
                              const struct tr_value *row);

#endif
