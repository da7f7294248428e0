/*
 * convert.h - a column of one engine as a column of another (docs/type-conversion.md).
 *
 * Pure functions from the neutral description of a column to the target's type, default and expression. What changes meaning, is narrower or is lost is
 * said in a note, so that `tailrace schema` can list it before the run.
 */
#ifndef TR_SCHEMA_CONVERT_H
#define TR_SCHEMA_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/relation.h"

/* What is known of a MySQL or MariaDB target; its URL's database takes the place of PostgreSQL's schema "public". */
struct tr_convert_target {
    bool mariadb;
    unsigned long version;       /* 101111, 80036; 0 = not known: what every supported version takes */
    const char *public_database; /* or NULL */
};

/* How a MySQL column is used: an index holds at most 3072 bytes, and no unlimited text. */
enum tr_convert_use {
    TR_CONVERT_PLAIN,   /* in no index, or in an index that may hold a prefix */
    TR_CONVERT_KEYED,   /* in a primary key, a unique index or a foreign key: the whole value is needed */
    TR_CONVERT_CROWDED, /* the row has too many long columns: texts are stored apart */
};

/* The target's type (with character set and collation) into `type`, and a note when the type is not simply the same; either may stay empty. `share` is
 * the number of text columns that share an index with this one (at least 1). */
void tr_convert_to_mysql(const char *dialect, const struct tr_column *column,
                         const struct tr_convert_target *target, enum tr_convert_use use, unsigned share,
                         struct tr_buffer *type, struct tr_buffer *note);

/* A column of MySQL or MariaDB as PostgreSQL would have it. `enum_type` is the quoted name of the type made for an enum column, or NULL. */
void tr_convert_to_postgresql(const struct tr_column *column, const char *enum_type, struct tr_buffer *type,
                              struct tr_buffer *note);

/* Bytes that the type takes in the 65,535 of a MySQL row; 0 when it is stored apart. */
uint32_t tr_convert_row_bytes(const char *mysql_type);

/*
 * A default of PostgreSQL as MySQL's, of MySQL as PostgreSQL's: constants, the current time, a new UUID. False when it cannot be said in the other
 * dialect. `type` is the converted type of the column.
 */
bool tr_convert_default_to_mysql(const struct tr_column *column, const char *type,
                                 const struct tr_convert_target *target, struct tr_buffer *out);
bool tr_convert_default_to_postgresql(const struct tr_column *column, const char *type,
                                      struct tr_buffer *out);

/* The information schema of MySQL gives a constant without its quotes, MariaDB's with them: the default with them, as the functions above take it; NULL = none. */
const char *tr_convert_quoted_default(struct tr_arena *arena, const char *dialect,
                                      const struct tr_column *column);

#endif
