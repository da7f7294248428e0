/* mapping.c - include and exclude patterns. */
#include "mapping/mapping.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct tr_mapping {
    const char *const *include;
    size_t nincludes;
    const char *const *exclude;
    size_t nexcludes;
};

static bool
is_wild(char c)
{
    return c == '%' || c == '*';
}

/* "[x]" stands for x alone. */
static bool
is_bracket(const char *pattern)
{
    return pattern[0] == '[' && pattern[1] != '\0' && pattern[2] == ']';
}

/* Iterative matching with one point to go back to: the last wild card. */
static bool
glob(const char *pattern, const char *text)
{
    const char *back_pattern = NULL, *back_text = NULL;
    while (*text != '\0') {
        if (is_wild(*pattern)) {
            back_pattern = ++pattern;
            back_text = text;
        } else if (is_bracket(pattern) ? pattern[1] == *text : (*pattern != '\0' && *pattern == *text)) {
            pattern += is_bracket(pattern) ? 3 : 1;
            text++;
        } else if (back_pattern != NULL) {
            pattern = back_pattern;
            text = ++back_text;
        } else {
            return false;
        }
    }
    while (is_wild(*pattern))
        pattern++;
    return *pattern == '\0';
}

bool
tr_pattern_match(const char *pattern, const char *schema, const char *table)
{
    if (strchr(pattern, '.') == NULL)
        return glob(pattern, table);
    char *whole = tr_asprintf("%s.%s", schema, table);
    bool match = glob(pattern, whole);
    free(whole);
    return match;
}

static int
check_pattern(const char *pattern, struct tr_error *err)
{
    if (*pattern == '\0')
        return tr_fail(err, TR_CONFIG, "tables: an empty pattern");
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '[' && !is_bracket(p)) {
            tr_fail(err, TR_CONFIG, "tables: pattern \"%s\": a bracket holds exactly one character", pattern);
            return tr_error_hint(err, "write [_], [%%], [*] or [[] for the character itself");
        }
        p += is_bracket(p) ? 2 : 0;
    }
    return 0;
}

int
tr_mapping_new(const struct tr_settings *settings, struct tr_mapping **out, struct tr_error *err)
{
    struct tr_mapping *mapping = tr_calloc(1, sizeof(*mapping));
    mapping->nincludes = tr_setting_list(settings, "tables", &mapping->include);
    mapping->nexcludes = tr_setting_list(settings, "exclude", &mapping->exclude);
    int r = 0;
    for (size_t i = 0; r == 0 && i < mapping->nincludes; i++)
        r = check_pattern(mapping->include[i], err);
    for (size_t i = 0; r == 0 && i < mapping->nexcludes; i++)
        r = check_pattern(mapping->exclude[i], err);
    if (r < 0) {
        free(mapping);
        mapping = NULL;
    }
    *out = mapping;
    return r;
}

void
tr_mapping_free(struct tr_mapping *mapping)
{
    free(mapping);
}

static bool
any_match(const char *const *patterns, size_t count, const char *schema, const char *table)
{
    for (size_t i = 0; i < count; i++)
        if (tr_pattern_match(patterns[i], schema, table))
            return true;
    return false;
}

bool
tr_mapping_wants(const struct tr_mapping *mapping, const char *schema, const char *table)
{
    return strcmp(schema, "tailrace") != 0 &&
           any_match(mapping->include, mapping->nincludes, schema, table) &&
           !any_match(mapping->exclude, mapping->nexcludes, schema, table);
}

void
tr_mapping_route(const struct tr_mapping *mapping, struct tr_relation *relation)
{
    relation->skip = !tr_mapping_wants(mapping, relation->schema, relation->name);
    relation->target_schema = relation->schema;
    relation->target_name = relation->name;
}
