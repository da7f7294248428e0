/*
 * convert.h - the configuration of a Debezium connector as a task file.
 *
 * read.c reads what the user has (JSON or properties) into pairs; rules.c says of each key what becomes of it; pattern.c turns Java's regular
 * expressions into our patterns; debezium.c does what no table can say, and writes the file. What is carried over is validated by the option tables of the
 * connectors themselves, so that this knows no list of ours. Docs: docs/coming-from-debezium.md
 */
#ifndef TR_APP_CONVERT_CONVERT_H
#define TR_APP_CONVERT_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "app/registry.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/option.h"

/* --- read.c --- */

struct pair {
    char *key, *value;
    bool used; /* some rule has looked at it */
};

struct pairs {
    struct pair *items;
    size_t count;
};

/* Add what a file holds: a JSON map of texts, {"name":...,"config":{...}}, or properties. Debezium Server's prefixes are taken off. */
int pairs_read(struct pairs *pairs, const char *path, struct tr_error *err);
int pairs_parse(struct pairs *pairs, const char *text, size_t len, const char *name, struct tr_error *err);
void pairs_fini(struct pairs *pairs); /* values may be secrets: they are wiped */

/* The value, marked as used; NULL = not given. */
const char *pairs_take(struct pairs *pairs, const char *key);

/* What GET /connectors/NAME/offsets answers, or one offset by itself: a `start` for a source of this scheme, the caller's to free. */
int offsets_read(const char *path, const char *scheme, char **start, struct tr_error *err);
int offsets_parse(const char *text, size_t len, const char *name, const char *scheme, char **start,
                  struct tr_error *err);

/* --- pattern.c --- */

struct patterns {
    char **items;
    size_t count;
    bool wide; /* they match more than the expression does */
};

/* Patterns that match what an anchored expression matches among "schema.table" names. false: it cannot be said in patterns at all. */
bool patterns_of_regex(const char *regex, struct patterns *out);
void patterns_fini(struct patterns *patterns);

/* Split at commas that no backslash stands before, and that are in no brackets; white space around is dropped. Each part is the caller's. */
size_t split_list(const char *text, char separator, char ***parts);
void free_list(char **parts, size_t count);

/* --- rules.c --- */

enum rule_kind {
    RULE_SAME,     /* the option of the target (or source) with the same name, dots as underscores */
    RULE_OPTION,   /* another option's name, "section.name" */
    RULE_MILLIS,   /* the same, a number of milliseconds */
    RULE_PARAM,    /* a parameter of the source's URL */
    RULE_DONE,     /* debezium.c takes it */
    RULE_IDLE,     /* there is nothing to set here; text says why */
    RULE_LOST,     /* not carried over, and it matters; text says what to do */
    RULE_LOST_SET, /* the same unless it has the value `option` (its default, by which nothing is lost) */
};

struct rule {
    const char *key; /* ends with * : any key that begins so */
    enum rule_kind kind;
    const char *option;
    const char *text;
};

/* The rule for a key, or NULL. `scheme`: some differ between connectors. */
const struct rule *rule_find(const char *key, const char *scheme);

/* --- debezium.c --- */

struct convert_wish {
    const char *brokers; /* host:port,... or NULL */
    const char *start; /* go on where the connector stood: mode cdc from here; NULL = as snapshot.mode says */
    bool take_over;    /* with the connector's own slot and publication */
};

/* TR_CONFIG when it is no configuration of a connector for PostgreSQL, MySQL or MariaDB. *lost: keys that were not carried over, a line of `warnings` each. */
int convert_debezium(const struct tr_registry *registry, struct pairs *pairs, const struct convert_wish *wish,
                     struct tr_buffer *yaml, struct tr_buffer *warnings, size_t *lost, struct tr_error *err);

#endif
