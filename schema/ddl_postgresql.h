/* ddl_postgresql.h - what the printers for a PostgreSQL target share: how names and texts are written there, and sequences. */
#ifndef TR_SCHEMA_DDL_POSTGRESQL_H
#define TR_SCHEMA_DDL_POSTGRESQL_H

#include <string.h>

#include "schema/ddl_internal.h"

static inline void
identifier(struct tr_buffer *out, const char *name)
{
    tr_buffer_byte(out, '"');
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '"')
            tr_buffer_byte(out, '"');
        tr_buffer_byte(out, *p);
    }
    tr_buffer_byte(out, '"');
}

static inline void
qualified(struct tr_buffer *out, const char *schema, const char *name)
{
    identifier(out, schema);
    tr_buffer_byte(out, '.');
    identifier(out, name);
}

static inline void
table_name(struct tr_buffer *out, const struct tr_table *table)
{
    qualified(out, table->relation->target_schema, table->relation->target_name);
}

/* E'' is right whatever standard_conforming_strings says. */
static inline void
literal(struct tr_buffer *out, const char *text)
{
    tr_buffer_text(out, strchr(text, '\\') != NULL ? "E'" : "'");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            tr_buffer_byte(out, *p);
        tr_buffer_byte(out, *p);
    }
    tr_buffer_byte(out, '\'');
}

/* ddl_postgresql_sequence.c: one of MariaDB's, made where it can be had (what cannot is said); and the value of any, moved on but never back */
void tr_pg_ddl_sequence(struct tr_ddl_builder *b, const struct tr_object *object);
void tr_pg_ddl_sequence_value(struct tr_ddl_builder *b, const struct tr_object *object);
/* nextval('"db"."s"') in place of a default that is MariaDB's nextval(`db`.`s`) and nothing else, of a table in `from`; false: it is not, or there is no such sequence */
bool tr_pg_ddl_nextval(struct tr_ddl_builder *b, const char *from, const char *text, struct tr_buffer *out);

/* ddl_postgresql_from_mysql.c: is the column made, plain or computed? Nothing may name another. */
bool tr_pg_ddl_has_column(struct tr_ddl_builder *b, const struct tr_table *table, uint16_t index);

/* ddl_postgresql_keys.c: primary key and indexes of a table of MySQL's or MariaDB's; "(\"a\", \"b\")" */
void tr_pg_ddl_keys(struct tr_ddl_builder *b, uint32_t index);
void tr_pg_ddl_columns(struct tr_buffer *out, const struct tr_relation *relation, const uint16_t *columns,
                       uint16_t count);

#endif
