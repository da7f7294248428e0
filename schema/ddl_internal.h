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
    const enum tr_logical *const
        *key_types; /* of a MySQL or MariaDB target: key_types.h; NULL = the columns' own */
    const bool *
        asked; /* of a MariaDB target: for each object of the schema, is it a sequence that columns of PostgreSQL ask; or NULL */
    bool any_asked;
    struct tr_convert_target target; /* all zero when the statements are only to be read */
};

struct tr_ddl_dialect {
    const char *name;
    const char *sources; /* "|"-separated dialects of the schemas it can print */
    size_t name_max;     /* bytes; what is longer would be cut there; 0 = no name that can come is */
    bool folds_names;    /* names of columns are told apart without case, and end with no blank */
    /* Append the statements of one phase; TABLE_AFTER is called once per table (index), the others once with TR_DDL_NO_TABLE. */
    void (*build)(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table);
};

/* Add builder->text as a statement and empty it. */
void tr_ddl_add(struct tr_ddl_builder *builder, struct tr_ddl_statement statement);

/* Something that is carried otherwise than it was; `column` may be NULL. */
void tr_ddl_note(struct tr_ddl_builder *builder, const struct tr_relation *relation, const char *column,
                 const char *fmt, ...) TR_PRINTF(4, 5);

/* The same of a sequence. */
void tr_ddl_note_sequence(struct tr_ddl_builder *builder, const struct tr_object *sequence, const char *text);
/* A sequence as the target can have it (schema/sequence.h); what it loses by that is said. */
bool tr_ddl_sequence_fit(struct tr_ddl_builder *builder, const struct tr_object *sequence, int64_t least,
                         int64_t most, struct tr_object *fit);

/* A column as it is to be made: MariaDB's json is JSON, though its rows come as texts. */
struct tr_column tr_ddl_plain_column(struct tr_arena *arena, const struct tr_table *table, uint16_t index,
                                     bool *json);

/* What becomes of a generated column whose expression (NULL = not known) the target does not take, for this reason. */
void tr_ddl_note_generated(struct tr_ddl_builder *builder, const struct tr_relation *relation,
                           const struct tr_column *column, const char *expression, const char *reason);

/* What is said of an expression that is not carried: its text, in one line and not too long. */
const char *tr_ddl_short(struct tr_ddl_builder *builder, const char *text);

/* "CHECK (...)" and what stands behind it: the part in parentheses, in the arena; NULL when it is not of this form. `tail` may be NULL. */
const char *tr_ddl_check_text(struct tr_ddl_builder *builder, const char *native, const char **tail);

/* The number behind " AUTO_INCREMENT=" in MySQL's own statement: what the counter gives next; 0 = not said. */
int64_t tr_ddl_own_counter(const struct tr_table *table);

/* The columns of a primary key that counts only the beginnings of some, as MySQL's own statement has them: "(`a`(20),`b`)", in the arena; else NULL. */
const char *tr_ddl_prefixed_primary(struct tr_arena *arena, const struct tr_table *table);

/* InnoDB lets a foreign key lead to any index; others want a key of exactly these columns. */
bool tr_ddl_leads_to_key(const struct tr_table *parent, const struct tr_object *object);

/* Notes on what MySQL's and MariaDB's own statement has and no other server takes: partitions, system versioning, engines, triggers, hidden columns. */
void tr_ddl_note_own(struct tr_ddl_builder *builder, const struct tr_table *table);

extern const struct tr_ddl_dialect tr_ddl_postgresql;
extern const struct tr_ddl_dialect tr_ddl_postgresql_from_mysql;
extern const struct tr_ddl_dialect tr_ddl_mysql;
extern const struct tr_ddl_dialect tr_ddl_mariadb;

#endif
