/* routes.c - what renamed topics by a regular expression, as topic_routes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/convert/internal.h"
#include "core/memory.h"

/* How an expression over "prefix.schema.table" takes the name apart: a pattern for the tables, and what each group stands for. */
struct parts {
    char pattern[300];
    const char *groups[10]; /* by number */
    size_t ngroups;
};

/* Does this piece match any text? *greedy: also one with dots. */
static bool
is_any(const char *piece, size_t len, bool *greedy)
{
    static const char *const any[] = { ".*", ".+", "[^.]+", "[^.]*", "[^\\.]+", "[^\\.]*", "\\w+", "\\w*" };
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        if (strlen(any[i]) != len || strncmp(any[i], piece, len) != 0)
            continue;
        *greedy = i < 2;
        return true;
    }
    return false;
}

struct piece {
    const char *text;
    size_t len;
    bool group, any, greedy;
};

/* How long the dot here is between two parts of a name: `\.`, or one that somebody did not escape. 0 = none */
static size_t
dot_length(const char *at)
{
    if (strncmp(at, "\\.", 2) == 0)
        return 2;
    return *at == '.' && (at[1] == '\0' || strchr("*+?{", at[1]) == NULL);
}

/* Between dots: `(.*)`, `[^.]+`, `(orders)`, `public`; 0 when there are others or too many. */
static size_t
split_pieces(const char *regex, struct piece pieces[3])
{
    size_t n = 0;
    regex += *regex == '^';
    size_t len = strlen(regex);
    len -= len > 0 && regex[len - 1] == '$';
    for (const char *at = regex, *end = regex + len; n < 3; n++) {
        const char *dot = at;
        while (dot < end && dot_length(dot) == 0)
            dot += dot[0] == '[' && strcspn(dot, "]") < (size_t)(end - dot) ? strcspn(dot, "]") + 1 : 1;
        struct piece *piece = &pieces[n];
        *piece = (struct piece){ .text = at, .len = (size_t)(dot - at) };
        piece->group = piece->len > 2 && at[0] == '(' && at[piece->len - 1] == ')';
        piece->text += piece->group;
        piece->len -= piece->group ? 2 : 0;
        piece->any = is_any(piece->text, piece->len, &piece->greedy);
        if (!piece->any && (piece->len == 0 || strcspn(piece->text, "\\.[](){}*+?|^$%") < piece->len))
            return 0;
        if (dot == end)
            return n + 1;
        at = dot + dot_length(dot);
    }
    return 0;
}

/* "prefix", "schema" and "table" over the pieces: one that matches dots too takes two or all of them. */
static bool
take_apart(const struct conversion *c, const char *regex, struct parts *parts)
{
    static const char *const whole = "{prefix}.{schema}.{table}", *const each[] = { "{prefix}", "{schema}",
                                                                                    "{table}" };
    const char *prefix = tr_setting_string(c->settings, "topic_prefix"),
               *delimiter = tr_setting_string(c->settings, "topic_delimiter");
    struct piece p[3];
    size_t n = split_pieces(regex, p);
    const char *stands[3] = { each[0], each[1], each[2] };
    if (n == 0 || (delimiter != NULL && strcmp(delimiter, ".") != 0))
        return false;
    bool named = !p[0].any && prefix != NULL && strlen(prefix) == p[0].len &&
                 strncmp(prefix, p[0].text, p[0].len) == 0;
    if (n == 1)
        stands[0] = whole;
    else if (n == 2 && named)
        stands[1] = "{schema}.{table}";
    else if (n == 2) {
        stands[0] = "{prefix}.{schema}";
        stands[1] = each[2];
    }
    bool wide = (n == 1 && p[0].greedy) || (n == 2 && p[named].greedy) || n == 3;
    if (!wide || (n > 1 && !named && !p[0].any) || (n == 2 && named && !p[1].any))
        return false;
    const struct piece *schema = n == 3 ? &p[1] : NULL,
                       *table = n == 1 || (n == 2 && named) ? NULL : &p[n - 1];
    snprintf(parts->pattern, sizeof(parts->pattern), "%.*s.%.*s",
             schema == NULL || schema->any ? 1 : (int)schema->len,
             schema == NULL || schema->any ? "%" : schema->text,
             table == NULL || table->any ? 1 : (int)table->len,
             table == NULL || table->any ? "%" : table->text);
    parts->ngroups = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i].group)
            parts->groups[++parts->ngroups] = stands[i];
    return true;
}

/* `$3`, `cdc.$2.$3` in a route's words; false: it says more. */
static bool
route_by_parts(struct conversion *c, const char *regex, const char *replacement)
{
    struct parts parts;
    struct tr_buffer item;
    bool good = take_apart(c, regex, &parts);
    tr_buffer_init(&item, 1 << 16);
    tr_buffer_printf(&item, "%s=", good ? parts.pattern : "");
    for (const char *at = replacement; good && *at != '\0'; at++) {
        if (*at != '$') {
            good = strchr("{}\\", *at) == NULL;
            tr_buffer_byte(&item, *at);
            continue;
        }
        size_t group = at[1] >= '1' && at[1] <= '9' ? (size_t)(*++at - '0') : 0;
        good = group > 0 && group <= parts.ngroups;
        if (good)
            tr_buffer_text(&item, parts.groups[group]);
    }
    if (good)
        convert_item(c, "target", "topic_routes", item.data);
    tr_buffer_fini(&item);
    return good;
}

/*
 * An expression over "prefix.schema.table" and what replaces it, as routes. Patterns see "schema.table", so the expression must begin with the prefix or with
 * anything. $1 is understood where it is all before the table's name.
 */
void
convert_route(struct conversion *c, const char *key, const char *regex, const char *replacement)
{
    if (route_by_parts(c, regex, replacement))
        return;
    const char *prefix = tr_setting_string(c->settings, "topic_prefix");
    struct patterns patterns;
    char *template = NULL;
    size_t plen = prefix != NULL ? strlen(prefix) : 0;
    bool first = strncmp(replacement, "$1", 2) == 0 && strchr(replacement + 1, '$') == NULL;
    bool leads = regex[0] == '(' && (strncmp(regex, "(.*)", 4) == 0 || strncmp(regex, "(.*\\.)", 6) == 0);
    if (strchr(replacement, '$') == NULL)
        template = tr_strdup(replacement);
    else if (first && leads && replacement[2] != '\0')
        template = tr_asprintf("{prefix}.{schema}.%s", replacement + 2 + (replacement[2] == '.'));
    if (template == NULL || !patterns_of_regex(regex, &patterns)) {
        free(template);
        convert_lost(c, key, "the expression is more than topic_routes can say (docs/sink-kafka.md)");
        return;
    }
    for (size_t i = 0; i < patterns.count; i++) {
        const char *pattern = patterns.items[i];
        size_t len = strlen(pattern);
        /* What is routed is a table's name; that the expression could also fit a schema's is not meant. */
        if (patterns.count > 1 && len > 3 && strcmp(pattern + len - 3, "%.%") == 0)
            continue;
        if (plen > 0 && strncmp(pattern, prefix, plen) == 0 && pattern[plen] == '.')
            pattern += plen + 1;
        char *item = tr_asprintf("%s=%s", pattern, template);
        convert_item(c, "target", "topic_routes", item);
        free(item);
    }
    convert_note(c, "topic_routes were made from %s; see that they mean the same tables.", key);
    patterns_fini(&patterns);
    free(template);
}
