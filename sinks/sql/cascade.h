/*
 * cascade.h - foreign keys whose actions the source's log does not tell.
 *
 * A change that may have set off such an action carries TR_ROW_CASCADES. Where a key of the target acts on what it changes, the sink has the target's own key do to
 * the children what the source's did: in the source's order, with foreign keys in force for that change alone.
 */
#ifndef TR_SINKS_SQL_CASCADE_H
#define TR_SINKS_SQL_CASCADE_H

#include "core/event.h"

struct tr_cascades {
    struct tr_cascade *items;
    uint32_t count;
    bool known; /* the owner has asked the catalogue */
};

/* A column that a key refers to which acts on DELETE, or on an UPDATE of the column. Texts are copied. */
void tr_cascades_add(struct tr_cascades *cascades, const char *schema, const char *table, const char *column,
                     bool deletes, bool updates);
/* Empty, and not known. */
void tr_cascades_clear(struct tr_cascades *cascades);
/* Does a key act on this change, whose table stands in `schema` at the target? */
bool tr_cascades_on(const struct tr_cascades *cascades, const char *schema, const struct tr_event *event);

#endif
