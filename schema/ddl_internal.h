/* ddl_internal.h - what a dialect implements; ddl.c keeps the table of dialects. */
#ifndef TR_SCHEMA_DDL_INTERNAL_H
#define TR_SCHEMA_DDL_INTERNAL_H

#include "schema/convert.h"
#include "schema/ddl.h"

struct tr_ddl_builder {
    const struct tr_schema *schema;
    struct tr_ddl *ddl;
    struct tr_buffer text; /* of the statement being written */
    uint32_t capacity;
    uint32_t notes_capacity;
    struct tr_convert_target target; /* all zero when the statements are only to be read */
};

struct tr_ddl_dialect {
    const char *name;
    const char *sources; /* "|"-separated dialects of the schemas it can print */
    /* Append the statements of one phase; TABLE_AFTER is called once per table (index), the others once with TR_DDL_NO_TABLE. */
    void (*build)(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table);
};

/* Add builder->text as a statement and empty it. */
void tr_ddl_add(struct tr_ddl_builder *builder, struct tr_ddl_statement statement);

/* Something that is carried otherwise than it was; `column` may be NULL. */
void tr_ddl_note(struct tr_ddl_builder *builder, const struct tr_relation *relation, const char *column,
                 const char *fmt, ...) TR_PRINTF(4, 5);

/* The expression of a generated column of MySQL or MariaDB, without its parentheses, out of the table's own statement; false when it has none. */
bool tr_ddl_generated(const struct tr_table *table, const char *column, struct tr_buffer *expression);

extern const struct tr_ddl_dialect tr_ddl_postgresql;
extern const struct tr_ddl_dialect tr_ddl_postgresql_from_mysql;
extern const struct tr_ddl_dialect tr_ddl_mysql;
extern const struct tr_ddl_dialect tr_ddl_mariadb;

#endif
