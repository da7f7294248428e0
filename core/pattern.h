/* pattern.h - the patterns by which tables are chosen in settings. */
#ifndef TR_CORE_PATTERN_H
#define TR_CORE_PATTERN_H

#include <stdbool.h>

/*
 * "%" and "*" are any run of characters, [_] [%] [*] the character itself, everything else stands for itself; case counts. A pattern
 * without a dot matches the table's name in any schema. Pure; thread: any.
 */
bool tr_pattern_match(const char *pattern, const char *schema, const char *table);

#endif
