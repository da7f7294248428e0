/*
 * acting.h - foreign keys of the source that change rows without a word in its log, and that the target cannot do again for want of the same key.
 *
 * The target's keys are told one by one, then the source's are compared with them by what they say, whatever their names are. What is lacking is said in the log.
 */
#ifndef TR_SINKS_SQL_ACTING_H
#define TR_SINKS_SQL_ACTING_H

#include "core/error.h"
#include "core/log.h"
#include "schema/ddl.h"

/* A foreign key of the target. Columns in the key's order as "a, b"; rules in words: "CASCADE", "SET NULL", others. */
struct tr_acting_key {
    const char *schema, *table, *name, *columns;
    const char *ref_schema, *ref_table, *ref_columns;
    const char *on_delete, *on_update;
};

struct tr_acting {
    struct tr_log *log;
    const struct tr_schema *schema; /* the source's, under the target's names */
    struct tr_ddl *ddl;             /* its statements in the target's dialect */
    struct tr_acting_key *keys;     /* texts in ddl's arena */
    uint32_t nkeys;
    /* Where the target has the table. */
    const char *(*schema_of)(void *arg, const struct tr_relation *relation);
    /* Is it there already? One that is yet to be made gets its keys with it. */
    int (*has_table)(void *arg, const struct tr_relation *relation, bool *there, struct tr_error *err);
    void *arg;
};

/* Texts are copied. */
void tr_acting_add(struct tr_acting *acting, const struct tr_acting_key *key);
/* One warning for each key that is lacking, with the statement that makes it. */
int tr_acting_compare(struct tr_acting *acting, struct tr_error *err);
/* Frees the keys; ddl is the caller's. */
void tr_acting_fini(struct tr_acting *acting);

#endif
