/* own_collation.h - collations of a newer MariaDB in a statement that an older one is to run. */
#ifndef TR_SCHEMA_OWN_COLLATION_H
#define TR_SCHEMA_OWN_COLLATION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "schema/convert.h"

/*
 * The statement into `out`, with the names of collations that the target does not know replaced by those of their nearest; what became of each, once, into `told` ("a
 * becomes b, c becomes d"). False: there are none, and `out` is as it was. Pure.
 */
bool tr_own_collations(const char *sql, size_t len, const struct tr_convert_target *target,
                       struct tr_buffer *out, struct tr_buffer *told);

#endif
