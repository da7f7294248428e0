/*
 * mapping.h - which tables a task carries, and under which names they land.
 *
 * It stands between the assembler and the sink: asked once per version of a relation, never per row. Its first inhabitant is the pair of
 * include and exclude patterns; table-mapping documents will be its second.
 */
#ifndef TR_MAPPING_MAPPING_H
#define TR_MAPPING_MAPPING_H

#include <stdbool.h>

#include "core/error.h"
#include "core/option.h"
#include "core/pattern.h" /* tr_pattern_match */
#include "core/relation.h"

struct tr_mapping;

/* From the settings `tables`, `exclude`, `types` and `columns`. Refuses a pattern that cannot match anything (an open bracket). */
int tr_mapping_new(const struct tr_settings *settings, struct tr_mapping **mapping, struct tr_error *err);
void tr_mapping_free(struct tr_mapping *mapping);

/* Is the table part of the task? Tables of tailrace's own schema never are. Pure; thread: any. */
bool tr_mapping_wants(const struct tr_mapping *mapping, const char *schema, const char *table);

/*
 * The patterns as one text, for another process that asks which tables are carried. only: of the one schema that the source reads; without: not those of this one. Either may be
 * NULL. The caller frees the text.
 */
char *tr_mapping_scope(const struct tr_mapping *mapping, const char *only, const char *without);
/* Is the table within such a text? One that cannot be read holds nothing. Pure; thread: any. */
bool tr_mapping_in_scope(const char *scope, const char *schema, const char *table);

/* Call each(arg, pattern) for every include pattern that none of the tables fits: most likely misspelt. Pure; thread: any. */
void tr_mapping_unmatched(const struct tr_mapping *mapping, struct tr_relation *const *tables, size_t count,
                          void (*each)(void *arg, const char *pattern), void *arg);

/* Set skip, target_schema, target_name and the columns' target_type of a new relation, before it is shared. */
void tr_mapping_route(const struct tr_mapping *mapping, struct tr_relation *relation);

#endif
