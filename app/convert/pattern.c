/*
 * pattern.c - what our patterns can say of Java's regular expressions.
 *
 * An expression is read into the list of texts that it matches, in which % stands for any run of characters: alternatives multiply, what repeats becomes %.
 * Where % says more than the expression did the list is called wide.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/convert/convert.h"
#include "core/memory.h"

#define ITEMS_MAX 256
#define DEPTH_MAX 20
#define SET_MAX 16

struct parser {
    const char *at;
    int depth;
    bool wide, bad;
};

struct texts {
    char **items;
    size_t count;
};

static void
texts_free(struct texts *texts)
{
    free_list(texts->items, texts->count);
    *texts = (struct texts){ 0 };
}

static void
texts_add(struct parser *p, struct texts *texts, char *text)
{
    if (texts->count == ITEMS_MAX) {
        p->bad = true;
        free(text);
        return;
    }
    texts->items = tr_realloc(texts->items, (texts->count + 1) * sizeof(char *));
    texts->items[texts->count++] = text;
}

static struct texts
one(struct parser *p, const char *text)
{
    struct texts texts = { 0 };
    texts_add(p, &texts, tr_strdup(text));
    return texts;
}

/* left = left x right; right is freed */
static void
append(struct parser *p, struct texts *left, struct texts *right)
{
    struct texts product = { 0 };
    for (size_t i = 0; i < left->count && !p->bad; i++)
        for (size_t k = 0; k < right->count && !p->bad; k++)
            texts_add(p, &product, tr_asprintf("%s%s", left->items[i], right->items[k]));
    texts_free(left);
    texts_free(right);
    *left = product;
}

/* A character that stands for itself. */
static struct texts
literal(struct parser *p, char c)
{
    char text[4] = { c, '\0' };
    if (c == '%' || c == '*')
        memcpy(text, (char[]){ '[', c, ']', '\0' }, 4);
    return one(p, text);
}

static struct texts parse_choice(struct parser *p);

/* [abc], [a-f], [^.]; *any: it is not a short list of characters; *name: it is all that names have */
static struct texts
parse_set(struct parser *p, bool *any, bool *name)
{
    struct texts texts = { 0 };
    char members[SET_MAX + 1];
    size_t n = 0;
    bool too_many = false;
    if (*p->at == '^') {
        *any = true;
        *name = strncmp(p->at, "^.]", 3) == 0 || strncmp(p->at, "^\\.]", 4) == 0;
        p->at++;
    }
    for (bool first = true; *p->at != '\0' && (first || *p->at != ']'); first = false) {
        unsigned char from = (unsigned char)*p->at++;
        if (from == '\\' && *p->at != '\0') {
            from = (unsigned char)*p->at++;
            too_many = too_many || isalnum(from);
        }
        if (from == '[' || from == '&')
            p->bad = true; /* sets in sets */
        unsigned char to = from;
        if (*p->at == '-' && p->at[1] != ']' && p->at[1] != '\0') {
            to = (unsigned char)p->at[1];
            p->at += 2;
        }
        for (unsigned c = from; c <= to && !too_many; c++) {
            too_many = n == SET_MAX;
            if (!too_many)
                members[n++] = (char)c;
        }
    }
    if (*p->at == ']')
        p->at++;
    else
        p->bad = true;
    *any = *any || too_many;
    if (*any)
        return one(p, "%");
    for (size_t i = 0; i < n; i++) {
        struct texts member = literal(p, members[i]);
        if (member.count == 1)
            texts_add(p, &texts, tr_strdup(member.items[0]));
        texts_free(&member);
    }
    return texts;
}

static struct texts
parse_group(struct parser *p)
{
    if (*p->at == '?') {
        if (p->at[1] == ':') {
            p->at += 2;
        } else if (p->at[1] == 'i' && p->at[2] == ')') {
            p->at += 3; /* names are compared by case here, which the caller says */
            return one(p, "");
        } else if (p->at[1] == '<' && p->at[2] != '=' && p->at[2] != '!') {
            p->at += strcspn(p->at, ">");
            p->at += *p->at == '>';
        } else {
            p->bad = true;
        }
    }
    struct texts texts = parse_choice(p);
    if (*p->at == ')')
        p->at++;
    else
        p->bad = true;
    return texts;
}

/* Behind a backslash. *any: a class such as \d; *name: \w, \S */
static struct texts
parse_escape(struct parser *p, bool *any, bool *name)
{
    char c = *p->at;
    if (c == '\0') {
        p->bad = true;
        return one(p, "");
    }
    p->at++;
    if (strchr("wWdDsS", c) != NULL) {
        *any = true;
        *name = c == 'w' || c == 'S';
        return one(p, "%");
    }
    if (isalnum((unsigned char)c))
        p->bad = true;
    return literal(p, c);
}

static struct texts
parse_quote(struct parser *p)
{
    struct texts texts = one(p, "");
    while (*p->at != '\0' && !(p->at[0] == '\\' && p->at[1] == 'E')) {
        struct texts next = literal(p, *p->at++);
        append(p, &texts, &next);
    }
    if (*p->at != '\0')
        p->at += 2;
    return texts;
}

/* What stands before * + ? { }. *any: it is one of many characters; *name: of all that a name can have, as the plain dot is */
static struct texts
parse_atom(struct parser *p, bool *any, bool *name)
{
    char c = *p->at++;
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_set(p, any, name);
    case '\\':
        if (*p->at == 'Q') {
            p->at++;
            return parse_quote(p);
        }
        return parse_escape(p, any, name);
    case '^':
    case '$': return one(p, "");
    case '.': *name = true; return literal(p, '.');
    default: return literal(p, c);
    }
}

static struct texts
parse_piece(struct parser *p)
{
    bool any = false, name = false;
    struct texts texts = parse_atom(p, &any, &name);
    char c = *p->at;
    if (c != '*' && c != '+' && c != '?' && c != '{') {
        p->wide = p->wide || any; /* one character of many; a plain dot means a dot, as it is written for */
        return texts;
    }
    p->at++;
    if (c == '{') {
        p->at += strcspn(p->at, "}");
        p->at += *p->at == '}';
    }
    if (*p->at == '?' || *p->at == '+')
        p->at++; /* lazy or possessive: the same names */
    if (c == '?' && !any && !name) {
        texts_add(p, &texts, tr_strdup(""));
        return texts;
    }
    p->wide = p->wide || !name || c == '{' || c == '?';
    texts_free(&texts);
    return one(p, "%");
}

static struct texts
parse_sequence(struct parser *p)
{
    struct texts texts = one(p, "");
    while (*p->at != '\0' && *p->at != '|' && *p->at != ')' && !p->bad) {
        struct texts next = parse_piece(p);
        append(p, &texts, &next);
    }
    return texts;
}

static struct texts
parse_choice(struct parser *p)
{
    struct texts texts = { 0 };
    if (++p->depth > DEPTH_MAX)
        p->bad = true;
    do {
        struct texts next = parse_sequence(p);
        for (size_t i = 0; i < next.count; i++)
            texts_add(p, &texts, tr_strdup(next.items[i]));
        texts_free(&next);
    } while (!p->bad && *p->at == '|' && p->at++);
    p->depth--;
    return texts;
}

/* %% is % */
static void
shorten(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++)
        if (!(at[0] == '%' && at[1] == '%'))
            *to++ = *at;
    *to = '\0';
}

/* A pattern without a dot would mean a table in any schema; here the dot is in one of the %. */
static void
add_with_dot(struct parser *p, struct texts *out, const char *text)
{
    if (strchr(text, '.') != NULL) {
        texts_add(p, out, tr_strdup(text));
        return;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '[' && at[1] == '%' && at[2] == ']')
            at += 2;
        else if (*at == '%')
            texts_add(p, out, tr_asprintf("%.*s.%s", (int)(at - text + 1), text, at));
    }
}

bool
patterns_of_regex(const char *regex, struct patterns *out)
{
    struct parser p = { .at = regex };
    struct texts texts = parse_choice(&p), dotted = { 0 };
    if (*p.at != '\0')
        p.bad = true;
    for (size_t i = 0; i < texts.count && !p.bad; i++) {
        shorten(texts.items[i]);
        add_with_dot(&p, &dotted, texts.items[i]);
    }
    texts_free(&texts);
    if (p.bad)
        texts_free(&dotted);
    *out = (struct patterns){ .items = dotted.items, .count = dotted.count, .wide = p.wide };
    return !p.bad;
}

void
patterns_fini(struct patterns *patterns)
{
    free_list(patterns->items, patterns->count);
    *patterns = (struct patterns){ 0 };
}

static char *
trimmed(const char *text, size_t len)
{
    while (len > 0 && isspace((unsigned char)text[0]))
        text++, len--;
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return tr_strndup(text, len);
}

size_t
split_list(const char *text, char separator, char ***parts)
{
    size_t count = 0;
    const char *begin = text;
    int brackets = 0;
    *parts = NULL;
    for (const char *at = text;; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            continue;
        }
        brackets += *at == '{' || *at == '[' || *at == '(';
        brackets -= *at == '}' || *at == ']' || *at == ')';
        if (*at != '\0' && (*at != separator || brackets > 0))
            continue;
        char *part = trimmed(begin, (size_t)(at - begin));
        if (part[0] != '\0') {
            *parts = tr_realloc(*parts, (count + 1) * sizeof(char *));
            (*parts)[count++] = part;
        } else {
            free(part);
        }
        if (*at == '\0')
            return count;
        begin = at + 1;
    }
}

void
free_list(char **parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(parts[i]);
    free(parts);
}
