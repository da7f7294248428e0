/*
 * option.h - every setting is a row of a table: the same row validates it, gives its default and prints its help.
 *
 * Connectors publish a table; app/ merges the tables, reads YAML, JSON and flags into a struct tr_settings, and hands that to the connectors.
 */
#ifndef TR_CORE_OPTION_H
#define TR_CORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum tr_option_type {
    TR_OPTION_STRING,
    TR_OPTION_INT,      /* min..max */
    TR_OPTION_SIZE,     /* bytes; units KiB MiB GiB kB MB GB */
    TR_OPTION_DURATION, /* microseconds; units us ms s min h d */
    TR_OPTION_BOOL,     /* true false yes no on off */
    TR_OPTION_CHOICE,   /* one of `choices` */
    TR_OPTION_LIST,     /* strings; a YAML list, or text separated by commas, or the flag repeated */
};

struct tr_option {
    const char *name; /* key in its section, and flag --name; underscores in keys, dashes allowed in flags */
    const char *section; /* "" top level, "source", "target", "tables" */
    enum tr_option_type type;
    const char *value;   /* default as text; NULL = none */
    const char *choices; /* "a|b|c" for TR_OPTION_CHOICE */
    int64_t min, max;    /* INT, SIZE, DURATION; both 0 = any non-negative */
    bool secret;         /* never printed */
    bool pairs;          /* LIST: its items are KEY=VALUE, in a file a mapping */
    const char *help;    /* one sentence */
};

/* A table ends with a row whose name is NULL. */

struct tr_settings;

struct tr_settings *tr_settings_new(void);
void tr_settings_free(struct tr_settings *settings);

/* Allow the rows of a table (borrowed for the life of the settings). A name may be in one table only. */
int tr_settings_add_table(struct tr_settings *settings, const struct tr_option *table, struct tr_error *err);

/* Validate and set; `origin` ("task.yaml:7", "--memory") stands in the message. A second set of a LIST appends when append is true. */
int tr_settings_set(struct tr_settings *settings, const char *section, const char *name, const char *text,
                    bool append, const char *origin, struct tr_error *err);

/* The option of that section and name, or NULL. section NULL = search all, for flags. */
const struct tr_option *tr_settings_find(const struct tr_settings *settings, const char *section,
                                         const char *name);

/* The nearest known name, for "did you mean", or NULL. */
const char *tr_settings_suggest(const struct tr_settings *settings, const char *section, const char *name);

/* Getters; asking for a name or type that no table has is a bug and aborts. Strings are borrowed; NULL when unset and without default. */
const char *tr_setting_string(const struct tr_settings *settings, const char *name);
int64_t tr_setting_int(const struct tr_settings *settings, const char *name); /* INT, SIZE, DURATION */
bool tr_setting_bool(const struct tr_settings *settings, const char *name);
size_t tr_setting_list(const struct tr_settings *settings, const char *name, const char *const **items);
bool tr_setting_is_set(const struct tr_settings *settings,
                       const char *name); /* by the user, not by default */

#endif
