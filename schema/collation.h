/* collation.h - collations that one of MySQL and MariaDB has, and the nearest that the other has. */
#ifndef TR_SCHEMA_COLLATION_H
#define TR_SCHEMA_COLLATION_H

#include <stddef.h>

#include "schema/convert.h"

/*
 * Of utf8mb4. The nearest takes accents, cases and trailing blanks as the source's does, wherever the target has such a one; two texts that it takes for one, and the source's
 * did not, would not fit into one key. `name` NULL is the default of a character set that the target lacks.
 */
void tr_collation_nearest(const char *name, const struct tr_convert_target *target, char *out, size_t size);

/* For citext: without case, but with accents and trailing blanks where the target has such a collation. */
const char *tr_collation_folded(const struct tr_convert_target *target);

/* Bytes that compare as bytes, trailing blanks included: 'a', 'A' and 'a ' are three values. */
const char *tr_collation_binary(const struct tr_convert_target *target);

#endif
