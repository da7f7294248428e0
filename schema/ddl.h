/*
 * ddl.h - a schema as statements of one SQL dialect, in the order and the phases in which they are run.
 *
 * Each statement makes one object together with what belongs to it (a table with its comments, an index with its replica identity),
 * so that running it is all or nothing and "does the object exist?" tells whether a killed run must still do it.
 */
#ifndef TR_SCHEMA_DDL_H
#define TR_SCHEMA_DDL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "schema/schema.h"

enum tr_ddl_phase {
    TR_DDL_BEFORE, /* before any row: extensions, schemas, types, sequences, tables */
    TR_DDL_TABLE_AFTER, /* after a table's rows, tables side by side: primary key first, then unique and other indexes */
    TR_DDL_END, /* after all tables: foreign keys, checks that old rows may break, sequence values */
};

#define TR_DDL_NO_TABLE UINT32_MAX

struct tr_ddl_statement {
    enum tr_ddl_phase phase;
    enum tr_object_kind kind; /* TR_OBJECT_SEQUENCE in TR_DDL_END: set its value */
    const char *schema;       /* target name of the object; NULL for an extension */
    const char *name;
    uint32_t table; /* index of the table it belongs to, or TR_DDL_NO_TABLE */
    /* the definition's tail, to recognise an equal object under another name; or the last value that a sequence gave out; or NULL */
    const char *native;
    const char *sql; /* one or several statements separated by ";\n", to be run as one transaction */
    const char *
        other_name; /* an object of this name on the same table is the same one, made when there were other tables; or NULL */
    bool
        optional; /* made of a translated expression: when the target refuses it, that is said, and the run goes on without it */
    bool
        by_column; /* sequence: an identity column's, found by its column; `name` is the table's, and nothing is done where it has none */
    int64_t counter; /* sequence in MySQL: the number that AUTO_INCREMENT is to give next */
};

struct tr_ddl {
    struct tr_arena arena;
    struct tr_ddl_statement *statements; /* BEFORE, then TABLE_AFTER by table, then END */
    uint32_t count;
    struct tr_schema_note
        *notes; /* what the conversion to another engine changes or loses, beside the schema's own notes */
    uint32_t nnotes;
};

struct tr_convert_target; /* schema/convert.h */

/* The statements; the schema must outlive them. Fails (TR_CONFIG) when no such dialect is known or it cannot print this source's schema. */
int tr_ddl_new(const struct tr_schema *schema, const char *dialect, struct tr_ddl **ddl,
               struct tr_error *err);
/* Only the statements of TR_DDL_TABLE_AFTER of one table (its index). */
int tr_ddl_new_for_table(const struct tr_schema *schema, const char *dialect, uint32_t table,
                         struct tr_ddl **ddl, struct tr_error *err);
/* The same for a MySQL or MariaDB server that is known; `only_table`: as tr_ddl_new_for_table, or TR_DDL_NO_TABLE. The target must outlive the call only. */
int tr_ddl_new_at(const struct tr_schema *schema, const char *dialect, const struct tr_convert_target *target,
                  uint32_t only_table, struct tr_ddl **ddl, struct tr_error *err);
void tr_ddl_free(struct tr_ddl *ddl); /* NULL is allowed */

/* May a table of the target have this one's names (TR_REFUSED)? tr_ddl_new asks it of all tables. */
int tr_ddl_names_fit(const struct tr_schema *schema, const char *dialect, uint32_t table,
                     struct tr_error *err);

/* The name that a foreign key or check of MySQL's has at a PostgreSQL target; in the arena. */
const char *tr_ddl_key_name(struct tr_arena *arena, const char *name);

/* For `tailrace schema` (target: as tr_ddl_new_at, or NULL): the statements as a script into out, what is carried otherwise or not at all (one per line) into report. */
int tr_schema_print_ddl(const struct tr_schema *schema, const char *dialect,
                        const struct tr_convert_target *target, struct tr_buffer *out,
                        struct tr_buffer *report, struct tr_error *err);

#endif
