/* ddl_mysql.h - what ddl_mysql.c (databases, tables), ddl_mysql_keys.c (indexes, checks, counters), ddl_mysql_sequence.c and ddl_mysql_foreign.c share. */
#ifndef TR_SCHEMA_DDL_MYSQL_H
#define TR_SCHEMA_DDL_MYSQL_H

#include "schema/ddl_internal.h"

void tr_my_ddl_identifier(struct tr_buffer *out, const char *name);
void tr_my_ddl_literal(struct tr_buffer *out, const char *text);
/* Is the source MySQL or MariaDB? */
bool tr_my_ddl_is_family(const struct tr_ddl_builder *b);
/* The same server at both ends: its own statement says everything. */
bool tr_my_ddl_is_same(const struct tr_ddl_builder *b);
/* Does the task give a column another type? Then the source's own statement will not do. */
bool tr_my_ddl_has_chosen_type(const struct tr_relation *relation);
/* Where the target has what lies in this schema of the target's: the URL's database stands for PostgreSQL's "public". */
const char *tr_my_ddl_database(const struct tr_ddl_builder *b, const char *schema);
void tr_my_ddl_table_name(struct tr_ddl_builder *b, const struct tr_table *table);
/* Partitions of a root come with the root, which is one table here. */
bool tr_my_ddl_is_made(const struct tr_table *table);
void tr_my_ddl_column_type(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column,
                           bool crowded, struct tr_buffer *type, struct tr_buffer *note);
/* " COMMENT 'text'", cut to so many characters, which is said. */
void tr_my_ddl_comment(struct tr_ddl_builder *b, const struct tr_relation *relation, const char *column,
                       const char *word, const char *comment, size_t characters);
/* The column that counts by itself: the first such integer; -1 = none. */
int tr_my_ddl_counting_column(struct tr_ddl_builder *b, const struct tr_relation *relation);

/* Is it a generated column of the family that the target is not given: neither its expression nor its values? */
bool tr_my_ddl_lacks(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column);

/* ddl_mysql_keys.c */
void tr_my_ddl_checks(struct tr_ddl_builder *b, uint32_t index); /* of the table that was just made */
void tr_my_ddl_after(struct tr_ddl_builder *b, uint32_t index);
void tr_my_ddl_end(struct tr_ddl_builder *b);

/* ddl_mysql_sequence.c. First: which ones do the columns of PostgreSQL ask? */
void tr_my_ddl_find_asked(struct tr_ddl_builder *b);
/* Is the object a sequence that the target has, too? Then it is made before the tables, and in the end gets its value; otherwise it is named as lost. */
bool tr_my_ddl_has_sequence(const struct tr_ddl_builder *b, const struct tr_object *object);
void tr_my_ddl_sequence(struct tr_ddl_builder *b, const struct tr_object *object);
void tr_my_ddl_sequence_end(struct tr_ddl_builder *b, const struct tr_object *object);
void tr_my_ddl_sequence_name(struct tr_ddl_builder *b, const struct tr_object *object);
/* The sequence that the target has, too, and which the column of PostgreSQL asks; NULL = none. */
const struct tr_object *tr_my_ddl_asks(struct tr_ddl_builder *b, const struct tr_column *column);

/* ddl_mysql_foreign.c: a foreign key of the table with this index */
void tr_my_ddl_foreign_key(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object);

#endif
