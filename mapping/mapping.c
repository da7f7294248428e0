/* mapping.c - include and exclude patterns; the types that columns are to have. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "mapping/internal.h"

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

/* "KEY=TYPE"; a key may hold "=", a type does not. */
static int
read_rules(const struct tr_settings *settings, const char *name, struct tr_type_rules *rules,
           struct tr_error *err)
{
    const char *const *items;
    rules->count = tr_setting_list(settings, name, &items);
    rules->items = tr_calloc(rules->count + 1, sizeof(*rules->items));
    for (size_t i = 0; i < rules->count; i++) {
        const char *equals = strrchr(items[i], '=');
        if (equals == NULL || equals == items[i] || equals[1] == '\0') {
            tr_fail(err, TR_CONFIG, "%s: \"%s\" does not say which type becomes which", name, items[i]);
            return tr_error_hint(err, "in a file: %s: {\"KEY\": \"TYPE\"}; as a flag: --%s KEY=TYPE", name,
                                 name);
        }
        if (strcmp(name, "columns") == 0 && memchr(items[i], '.', (size_t)(equals - items[i])) == NULL) {
            tr_fail(err, TR_CONFIG, "columns: \"%s\" names no column", items[i]);
            return tr_error_hint(
                err, "write schema.table.column, or table.column for tables of that name in any schema");
        }
        rules->items[i].key = tr_asprintf("%.*s", (int)(equals - items[i]), items[i]);
        rules->items[i].type = equals + 1;
    }
    return 0;
}

static void
rules_fini(struct tr_type_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        free(rules->items[i].key);
    free(rules->items);
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
    if (r == 0)
        r = read_rules(settings, "types", &mapping->types, err);
    if (r == 0)
        r = read_rules(settings, "columns", &mapping->columns, err);
    if (r < 0) {
        tr_mapping_free(mapping);
        mapping = NULL;
    }
    *out = mapping;
    return r;
}

void
tr_mapping_free(struct tr_mapping *mapping)
{
    if (mapping == NULL)
        return;
    rules_fini(&mapping->types);
    rules_fini(&mapping->columns);
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
tr_mapping_unmatched(const struct tr_mapping *mapping, struct tr_relation *const *tables, size_t count,
                     void (*each)(void *arg, const char *pattern), void *arg)
{
    for (size_t i = 0; i < mapping->nincludes; i++) {
        bool matched = false;
        for (size_t t = 0; t < count && !matched; t++)
            matched = tr_pattern_match(mapping->include[i], tables[t]->schema, tables[t]->name);
        if (!matched)
            each(arg, mapping->include[i]);
    }
}

/* "schema.table.column" or "table.column". */
static bool
names_column(const char *key, const struct tr_relation *relation, const struct tr_column *column)
{
    const char *dot = strrchr(key, '.');
    if (dot == NULL || !tr_pattern_match(dot + 1, "", column->name))
        return false;
    char *table = tr_asprintf("%.*s", (int)(dot - key), key);
    bool match = tr_pattern_match(table, relation->schema, relation->name);
    free(table);
    return match;
}

/* The whole type, or its bare name for all of that name. */
static const char *
type_of(const struct tr_type_rules *rules, const struct tr_column *column)
{
    for (size_t i = 0; column->native != NULL && i < rules->count; i++)
        if (strcasecmp(rules->items[i].key, column->native) == 0)
            return rules->items[i].type;
    for (size_t i = 0; column->type_name != NULL && i < rules->count; i++)
        if (strcasecmp(rules->items[i].key, column->type_name) == 0)
            return rules->items[i].type;
    return NULL;
}

static const char *
target_type(const struct tr_mapping *mapping, const struct tr_relation *relation,
            const struct tr_column *column)
{
    for (size_t i = 0; i < mapping->columns.count; i++)
        if (names_column(mapping->columns.items[i].key, relation, column))
            return mapping->columns.items[i].type;
    return type_of(&mapping->types, column);
}

void
tr_mapping_route(const struct tr_mapping *mapping, struct tr_relation *relation)
{
    relation->skip = !tr_mapping_wants(mapping, relation->schema, relation->name);
    relation->target_schema = relation->schema;
    relation->target_name = relation->name;
    for (uint16_t i = 0; mapping->types.count + mapping->columns.count > 0 && i < relation->ncolumns; i++) {
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i]; /* not shared yet */
        column->target_type = target_type(mapping, relation, column);
    }
}
