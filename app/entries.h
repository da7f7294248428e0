/* entries.h - what the user wrote, before anything is known about options: a flat list from a file or from flags. */
#ifndef TR_APP_ENTRIES_H
#define TR_APP_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

struct tr_entry {
    char *section; /* "" = top level; of a flag: "" */
    char *name;    /* of a flag: without its dashes */
    char **values; /* as written: references are not resolved yet */
    size_t nvalues;
    bool is_list;    /* a YAML sequence: its items are taken as they are, commas included */
    bool is_section; /* the key of a mapping: no values */
    bool bare;       /* a flag without a value */
    char *origin;    /* "task.yaml:7", "--memory" */
};

struct tr_entries {
    struct tr_entry *items;
    size_t count;
};

/* One more entry, texts copied; values are added with tr_entry_value. The pointer is good until the next call. */
struct tr_entry *tr_entries_add(struct tr_entries *entries, const char *section, const char *name,
                                const char *origin);
void tr_entry_value(struct tr_entry *entry, const char *value);
const struct tr_entry *tr_entries_find(const struct tr_entries *entries, const char *section,
                                       const char *name);
/* Values may be secrets: they are wiped. */
void tr_entries_fini(struct tr_entries *entries);

/* Read YAML (or JSON, which is YAML). `name` stands in messages. The shape is checked, names are not. TR_CONFIG on failure. */
int tr_entries_parse(struct tr_entries *entries, const char *text, size_t len, const char *name,
                     struct tr_error *err);
int tr_entries_read_file(struct tr_entries *entries, const char *path, struct tr_error *err);

/*
 * Resolve the references in one value: ${NAME} from the environment, ${file:/path} from a file; $${ is a plain ${.
 * is_url: what stands in for a part of user:password@ is percent-encoded. whole_file: a value that begins with file: is replaced by that
 * file's content. *out is the caller's, and `notes` (may be NULL) is set to a warning about the file's mode, to be freed.
 */
int tr_reference_expand(const char *text, bool is_url, bool whole_file, char **out, char **note,
                        struct tr_error *err);

#endif
