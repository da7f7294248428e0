/* tables.c - lists of expressions as lists of patterns. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/convert/internal.h"
#include "core/memory.h"
#include "core/pattern.h"

static bool
has_upper(const char *text)
{
    for (; *text != '\0'; text++)
        if (isupper((unsigned char)*text))
            return true;
    return false;
}

/* One expression of a list. `schemas`: of schemas (databases) and not of tables. */
static void
add_expression(struct conversion *c, const char *key, const char *expression, bool schemas, const char *to)
{
    bool include = strcmp(to, "include") == 0;
    struct patterns patterns;
    char *regex = schemas ? tr_asprintf("(?:%s)\\..*", expression) : tr_strdup(expression);
    if (!patterns_of_regex(regex, &patterns)) {
        convert_lost(c, key,
                     "\"%.120s\" is more than patterns with %% can say; write what it means into tables: %s",
                     expression, to);
    } else if (patterns.wide && !include) {
        convert_lost(
            c, key,
            "\"%.120s\" would leave out more as a pattern, so those tables ARE carried; name them in tables: exclude",
            expression);
    } else if (patterns.count == 0) {
        convert_lost(c, key, "\"%.120s\" has no dot, so it matched no table there", expression);
    } else {
        for (size_t i = 0; i < patterns.count; i++)
            convert_item(c, "tables", to, patterns.items[i]);
        if (patterns.wide)
            convert_lost(c, key, "\"%.120s\" became \"%s\"%s, which can match more tables", expression,
                         patterns.items[0], patterns.count > 1 ? " and others" : "");
        if (has_upper(expression))
            convert_note(c, "Case counts in patterns; it did not in %s.", key);
    }
    patterns_fini(&patterns);
    free(regex);
}

static bool
add_list(struct conversion *c, const char *key, const char *old_key, bool schemas, const char *to)
{
    const char *value = pairs_take(c->pairs, key);
    if (value == NULL) {
        key = old_key;
        value = pairs_take(c->pairs, key);
    }
    char **parts;
    size_t count = value != NULL ? split_list(value, ',', &parts) : 0;
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        add_expression(c, key, parts[i], schemas, to);
    free_list(parts, count);
    return true;
}

/* A name that stands for itself. */
static bool
is_plain(const char *text)
{
    while (isalnum((unsigned char)*text) || *text == '_')
        text++;
    return *text == '\0';
}

/* Does the pattern's schema, which has a %, stand for this one, too? */
static bool
stands_for(const char *pattern, size_t len, const char *schema)
{
    char *whole = tr_asprintf("%.*s.%%", (int)len, pattern);
    bool found = tr_pattern_match(whole, schema, "t");
    free(whole);
    return found;
}

/* "%.orders" with the schemas a and b is a.orders and b.orders; "a%.%" with the schema a is a.% */
static void
narrow_to(struct line *line, char **schemas, size_t count)
{
    struct line narrow = { .section = line->section, .name = line->name, .list = line->list };
    for (size_t k = 0; k < count; k++)
        if (!is_plain(schemas[k]))
            return;
    narrow.values = tr_calloc(line->count * (count + 1), sizeof(char *));
    for (size_t i = 0; i < line->count; i++) {
        const char *value = line->values[i];
        size_t len = strcspn(value, "."), before = narrow.count;
        for (size_t k = 0; k < count && memchr(value, '%', len) != NULL; k++)
            if (stands_for(value, len, schemas[k]))
                narrow.values[narrow.count++] = tr_asprintf("%s%s", schemas[k], value + len);
        if (narrow.count == before) /* else an empty list would mean all */
            narrow.values[narrow.count++] = tr_strdup(value);
    }
    free_list(line->values, line->count);
    *line = narrow;
}

/* Both lists had to match; ours is one, so that of tables counts, if each of its schemas is in the other. */
static void
compare_lists(struct conversion *c, const char *key, const char *value)
{
    char **parts;
    size_t count = split_list(value, ',', &parts);
    if (count == 0) /* an empty list is none */
        return;
    struct line *line = NULL;
    bool good = true;
    for (size_t i = 0; i < c->nlines; i++)
        if (strcmp(c->lines[i].section, "tables") == 0 && strcmp(c->lines[i].name, "include") == 0)
            line = &c->lines[i];
    if (line != NULL)
        narrow_to(line, parts, count);
    for (size_t i = 0; line != NULL && i < line->count; i++) {
        char *schema = tr_strndup(line->values[i], strcspn(line->values[i], "."));
        bool found = false;
        for (size_t k = 0; k < count && !found; k++) {
            struct patterns patterns;
            char *regex = tr_asprintf("(?:%s)\\..*", parts[k]);
            if (strchr(schema, '%') == NULL && patterns_of_regex(regex, &patterns)) {
                for (size_t p = 0; p < patterns.count; p++)
                    found = found || tr_pattern_match(patterns.items[p], schema, "t");
                patterns_fini(&patterns);
            }
            free(regex);
        }
        good = good && found;
        free(schema);
    }
    free_list(parts, count);
    if (!good)
        convert_lost(c, key, "the list of tables alone chooses; it names tables outside these schemas");
}

void
convert_tables(struct conversion *c)
{
    bool postgres = strcmp(c->scheme, "postgresql") == 0;
    const char *include = postgres ? "schema.include.list" : "database.include.list",
               *old_include = postgres ? "schema.whitelist" : "database.whitelist";
    if (!add_list(c, "table.include.list", "table.whitelist", false, "include")) {
        add_list(c, include, old_include, true, "include");
    } else {
        const char *value = pairs_take(c->pairs, include);
        if (value == NULL)
            value = pairs_take(c->pairs, include = old_include);
        if (value != NULL)
            compare_lists(c, include, value);
    }
    add_list(c, "table.exclude.list", "table.blacklist", false, "exclude");
    add_list(c, postgres ? "schema.exclude.list" : "database.exclude.list",
             postgres ? "schema.blacklist" : "database.blacklist", true, "exclude");
}

/* "inventory.customers:pk1,pk2;(.*).orders:number" */
void
convert_key_columns(struct conversion *c)
{
    static const char key[] = "message.key.columns";
    const char *value = pairs_take(c->pairs, key);
    struct tr_buffer out;
    char **parts;
    size_t count = value != NULL ? split_list(value, ';', &parts) : 0;
    if (count == 0)
        return;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    for (size_t i = 0; i < count; i++) {
        char *colon = strrchr(parts[i], ':');
        struct patterns patterns = { 0 };
        if (colon != NULL)
            *colon = '\0';
        if (colon == NULL || !patterns_of_regex(parts[i], &patterns))
            convert_lost(c, key, "\"%.120s\" is not a pattern and columns", parts[i]);
        if (patterns.wide)
            convert_lost(c, key, "\"%.120s\" became a pattern that can match more tables", parts[i]);
        for (size_t k = 0; k < patterns.count; k++)
            tr_buffer_printf(&out, "%s%s:%s", out.len > 0 ? ";" : "", patterns.items[k], colon + 1);
        patterns_fini(&patterns);
    }
    if (out.len > 0)
        convert_set(c, "target", "message_key_columns", out.data, key);
    tr_buffer_fini(&out);
    free_list(parts, count);
}
