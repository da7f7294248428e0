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

/* "[x]" stands for x alone. */
static bool
is_bracket(const char *pattern)
{
    return pattern[0] == '[' && pattern[1] != '\0' && pattern[2] == ']';
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
