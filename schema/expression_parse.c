/*
 * expression_parse.c - expressions as the servers' catalogues print them, into parts.
 *
 * PostgreSQL and MySQL put parentheses around everything; MariaDB leaves out those that its precedences make needless. Casts of PostgreSQL fall away where they change
 * nothing (a text to text), and turn a quoted constant into what it stands for.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "schema/expression_internal.h"

#define DEPTH_MAX 100
#define ARGS_MAX 400

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SYMBOL, TOKEN_BAD };

struct parser {
    struct tr_expression *e;
    struct tr_arena *arena;
    const char *at; /* behind the token at hand */
    enum token_kind kind;
    const char *text; /* words in lower case, names and strings decoded */
    bool postgresql;
    unsigned depth;
};

typedef struct tr_expr *(*rule)(struct parser *p);

static struct tr_expr *parse_or(struct parser *p);
static struct tr_expr *parse_unary(struct parser *p);

bool
tr_expression_refuse(struct tr_expression *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (e->reason[0] == '\0')
        vsnprintf(e->reason, sizeof e->reason, fmt, args);
    va_end(args);
    return false;
}

bool
tr_expression_is_number(const char *p)
{
    p += *p == '-' || *p == '+';
    const char *digits = p;
    bool any = false;
    for (; isdigit((unsigned char)*p) || *p == '.'; p++)
        any = any || *p != '.';
    if (any && p > digits && (*p == 'e' || *p == 'E')) {
        p += 1 + (p[1] == '-' || p[1] == '+');
        any = isdigit((unsigned char)*p);
        p += strspn(p, "0123456789");
    }
    return any && *p == '\0';
}

/* ---- tokens */

static void
keep(struct parser *p, enum token_kind kind, const char *from, size_t len)
{
    p->kind = kind;
    p->text = tr_arena_copy(p->arena, from, len);
}

/* What stands between quotes, decoded; p->at is behind the opening one. */
static void
quoted(struct parser *p, enum token_kind kind, char quote, bool backslashes)
{
    struct tr_buffer out;
    const char *at = p->at;
    tr_buffer_init(&out, (size_t)1 << 20);
    for (; *at != '\0' && !(*at == quote && at[1] != quote); at++) {
        char c = *at;
        if (c == quote)
            c = *++at;
        else if (c == '\\' && backslashes && at[1] != '\0') {
            c = *++at;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
            if (isdigit((unsigned char)c) || c == 'Z' || c == 'x' || c == 'u')
                p->kind = TOKEN_BAD;
        }
        tr_buffer_byte(&out, c);
    }
    bool good = *at == quote && p->kind != TOKEN_BAD;
    p->at = *at == quote ? at + 1 : at;
    keep(p, good ? kind : TOKEN_BAD, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
}

static void
word(struct parser *p)
{
    const char *start = p->at;
    while (isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '$' || (unsigned char)*p->at >= 0x80)
        p->at++;
    size_t len = (size_t)(p->at - start);
    keep(p, TOKEN_WORD, start, len);
    for (char *c = (char *)(uintptr_t)p->text; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    bool introducer = !p->postgresql && p->text[0] == '_' && *p->at == '\'';
    if (introducer && strncmp(p->text, "_utf8", 5) != 0 && strcmp(p->text, "_latin1") != 0 &&
        strcmp(p->text, "_ascii") != 0) {
        p->kind = TOKEN_BAD;
    } else if (introducer || (p->postgresql && strcmp(p->text, "e") == 0 && *p->at == '\'')) {
        bool ascii = introducer && strncmp(p->text, "_utf8", 5) != 0; /* beyond ASCII its bytes are others */
        p->at++;
        quoted(p, TOKEN_STRING, '\'', true);
        if (ascii)
            for (const char *c = p->text; *c != '\0'; c++)
                p->kind = (unsigned char)*c >= 0x80 ? TOKEN_BAD : p->kind;
    }
}

static void
number(struct parser *p)
{
    const char *start = p->at;
    while (isdigit((unsigned char)*p->at) || *p->at == '.')
        p->at++;
    if (*p->at == 'e' || *p->at == 'E') {
        p->at += 1 + (p->at[1] == '-' || p->at[1] == '+');
        p->at += strspn(p->at, "0123456789");
    }
    keep(p, TOKEN_NUMBER, start, (size_t)(p->at - start));
    if (!tr_expression_is_number(p->text) || isalpha((unsigned char)*p->at) || *p->at == '_')
        p->kind = TOKEN_BAD;
}

static void
symbol(struct parser *p)
{
    static const char *const symbols[] = { "!~~*", "!~~", "!~*", "~~*", "<=>", "->>", "#>>", "::",
                                           "<=",   ">=",  "<>",  "!=",  "||",  "~~",  "!~",  "~*",
                                           "->",   "@>",  "<@",  "&&",  "<<",  ">>",  ":=" };
    size_t len = 1;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols && len == 1; i++)
        if (strncmp(p->at, symbols[i], strlen(symbols[i])) == 0)
            len = strlen(symbols[i]);
    keep(p, TOKEN_SYMBOL, p->at, len);
    p->at += len;
}

static void
next(struct parser *p)
{
    p->at += strspn(p->at, " \t\r\n");
    char c = *p->at;
    p->kind = TOKEN_END;
    p->text = "";
    if (c == '\0')
        return;
    if (c == '\'' || c == '"' || c == '`') {
        bool name = c == (p->postgresql ? '"' : '`');
        p->at++;
        quoted(p, name ? TOKEN_NAME : c == '\'' ? TOKEN_STRING : TOKEN_BAD, c, !p->postgresql && !name);
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)p->at[1]))) {
        number(p);
    } else if (isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80) {
        word(p);
    } else {
        symbol(p);
    }
}

static bool
is(const struct parser *p, const char *text)
{
    return (p->kind == TOKEN_WORD || p->kind == TOKEN_SYMBOL) && strcmp(p->text, text) == 0;
}

static bool
take(struct parser *p, const char *text)
{
    bool there = is(p, text);
    if (there)
        next(p);
    return there;
}

/* Does this follow the token at hand? Nothing is taken. */
static bool
then(const struct parser *p, const char *text)
{
    const char *at = p->at + strspn(p->at, " \t\r\n");
    size_t len = strlen(text);
    bool word = isalpha((unsigned char)text[0]);
    return strncasecmp(at, text, len) == 0 && (!word || (!isalnum((unsigned char)at[len]) && at[len] != '_'));
}

static struct tr_expr *
unknown(struct parser *p)
{
    tr_expression_refuse(p->e, p->kind == TOKEN_END ? "it ends too early" : "\"%.40s\" is not understood",
                         p->text);
    return NULL;
}

static struct tr_expr *
expect(struct parser *p, const char *text, struct tr_expr *node)
{
    return node == NULL || take(p, text) ? node : unknown(p);
}

/* ---- parts */

static struct tr_expr *
make(struct parser *p, enum tr_expr_kind kind, const char *text, uint16_t nargs)
{
    struct tr_expr *node = tr_arena_zalloc(p->arena, sizeof *node);
    node->kind = kind;
    node->text = text;
    node->args = tr_arena_zalloc(p->arena, (nargs + 1u) * sizeof(struct tr_expr *));
    node->nargs = nargs;
    return node;
}

static struct tr_expr *
make_two(struct parser *p, enum tr_expr_kind kind, const char *text, struct tr_expr *left,
         struct tr_expr *right)
{
    if (left == NULL || right == NULL)
        return NULL;
    struct tr_expr *node = make(p, kind, text, 2);
    node->args[0] = left;
    node->args[1] = right;
    return node;
}

/* a, b, c up to the closing symbol, behind `first`, which may be NULL. */
static struct tr_expr *
parse_list(struct parser *p, enum tr_expr_kind kind, const char *text, struct tr_expr *first,
           const char *close)
{
    struct tr_expr *items[ARGS_MAX];
    uint16_t count = 0;
    if (first != NULL)
        items[count++] = first;
    if (!is(p, close))
        do {
            if (count == ARGS_MAX)
                return unknown(p);
            if ((items[count++] = parse_or(p)) == NULL)
                return NULL;
        } while (take(p, ","));
    struct tr_expr *node = make(p, kind, text, count);
    memcpy(node->args, items, count * sizeof *items);
    return expect(p, close, node);
}

static struct tr_expr *
parse_case(struct parser *p)
{
    struct tr_expr *parts[ARGS_MAX] = { NULL };
    uint16_t count = 1;
    if (!is(p, "when") && (parts[0] = parse_or(p)) == NULL)
        return NULL;
    while (take(p, "when")) {
        if (count + 3 > ARGS_MAX || (parts[count++] = parse_or(p)) == NULL || !take(p, "then") ||
            (parts[count++] = parse_or(p)) == NULL)
            return unknown(p);
    }
    if (take(p, "else") && (parts[count] = parse_or(p)) == NULL)
        return NULL;
    struct tr_expr *node = make(p, EXPR_CASE, NULL, (uint16_t)(count + 1));
    memcpy(node->args, parts, (count + 1u) * sizeof *parts);
    return count < 3 ? unknown(p) : expect(p, "end", node);
}

/* TRIM(BOTH FROM x), SUBSTRING(x FROM 1 FOR 2), EXTRACT(year FROM d): as calls with commas. */
static struct tr_expr *
parse_call(struct parser *p, const char *name)
{
    if (strcmp(name, "trim") == 0 && (is(p, "both") || is(p, "leading") || is(p, "trailing"))) {
        name = is(p, "both") ? "btrim" : is(p, "leading") ? "ltrim" : "rtrim";
        next(p);
        return take(p, "from") ? parse_list(p, EXPR_CALL, name, NULL, ")") : unknown(p);
    }
    if (strcmp(name, "extract") == 0) {
        name = p->text;
        next(p);
        return take(p, "from") ? parse_list(p, EXPR_CALL, name, NULL, ")") : unknown(p);
    }
    if (is(p, ")"))
        return parse_list(p, EXPR_CALL, name, NULL, ")");
    struct tr_expr *first = parse_or(p);
    if (first != NULL && strcmp(name, "substring") == 0 && take(p, "from")) {
        struct tr_expr *node = make(p, EXPR_CALL, name, 3);
        node->nargs = 2;
        node->args[0] = first;
        if ((node->args[1] = parse_or(p)) == NULL)
            return NULL;
        if (take(p, "for") && (node->args[node->nargs++] = parse_or(p)) == NULL)
            return NULL;
        return expect(p, ")", node);
    }
    if (first != NULL && take(p, ","))
        return parse_list(p, EXPR_CALL, name, first, ")");
    struct tr_expr *node = first != NULL ? make(p, EXPR_CALL, name, 1) : NULL;
    if (node != NULL)
        node->args[0] = first;
    return expect(p, ")", node);
}

static struct tr_expr *
column(struct parser *p, const char *name)
{
    int c = p->e->relation != NULL ? tr_relation_column(p->e->relation, name) : -1;
    if (c < 0) {
        tr_expression_refuse(p->e, "\"%.60s\" is not understood", name);
        return NULL;
    }
    struct tr_expr *node = make(p, EXPR_COLUMN, name, 0);
    node->column = &p->e->relation->columns[c];
    if (node->column->target_type != NULL) {
        tr_expression_refuse(p->e, "the task gives column %.60s another type", name);
        return NULL;
    }
    return node;
}

/* CURRENT_DATE and its like are calls without parentheses. */
static bool
is_moment(const char *name)
{
    static const char *const words[] = { "current_date", "current_time", "current_timestamp",
                                         "localtimestamp", "localtime" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

static struct tr_expr *
parse_name(struct parser *p)
{
    const char *name = p->text;
    bool bare = p->kind == TOKEN_WORD;
    next(p);
    if (bare && strcmp(name, "case") == 0)
        return parse_case(p);
    if (bare && (strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "null") == 0))
        return make(p, EXPR_CONSTANT, name, 0);
    if (bare && strcmp(name, "array") == 0 && take(p, "["))
        return parse_list(p, EXPR_LIST, NULL, NULL, "]");
    if (take(p, "("))
        return parse_call(p, name);
    return bare && is_moment(name) ? make(p, EXPR_CALL, name, 0) : column(p, name);
}

static struct tr_expr *
parse_primary(struct parser *p)
{
    struct tr_expr *node = NULL;
    switch (p->kind) {
    case TOKEN_NUMBER:
    case TOKEN_STRING:
        node = make(p, p->kind == TOKEN_NUMBER ? EXPR_NUMBER : EXPR_STRING, p->text, 0);
        next(p);
        return node;
    case TOKEN_WORD:
    case TOKEN_NAME: return parse_name(p);
    default: break;
    }
    if (!take(p, "("))
        return unknown(p);
    node = parse_or(p);
    return expect(p, ")", node);
}

/* ---- casts */

/* "character varying(10)", "timestamp(3) without time zone", "text[]", "shop.mood": words, without what is in parentheses. */
static const char *
parse_type(struct parser *p)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    for (bool more = true; more && (p->kind == TOKEN_WORD || p->kind == TOKEN_NAME);) {
        tr_buffer_printf(&out, "%s%s", out.len > 0 && out.data[out.len - 1] != '.' ? " " : "", p->text);
        next(p);
        if (take(p, "(")) {
            while (!is(p, ")") && p->kind != TOKEN_END)
                next(p);
            take(p, ")");
            tr_buffer_text(&out, "()");
        }
        if (take(p, "."))
            tr_buffer_byte(&out, '.');
        else
            more = is(p, "varying") || is(p, "precision") || is(p, "without") || is(p, "with") ||
                   is(p, "time") || is(p, "zone");
    }
    if (is(p, "[") && then(p, "]")) {
        next(p);
        next(p);
        tr_buffer_text(&out, "[]");
    }
    const char *type = tr_arena_copy(p->arena, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return type;
}

static bool
among(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static const char *const texts[] = { "text",        "character varying",
                                     "bpchar",      "character varying()",
                                     "character()", NULL };
static const char *const integers[] = { "smallint", "integer", "bigint", NULL };
static const char *const numbers[] = { "smallint",         "integer", "bigint", "numeric",
                                       "double precision", "real",    NULL };

/* '{1,2}'::integer[]: a list of numbers. */
static struct tr_expr *
number_array(struct parser *p, const char *text)
{
    struct tr_expr *items[ARGS_MAX];
    uint16_t count = 0;
    size_t len = strlen(text);
    if (len < 3 || text[0] != '{' || text[len - 1] != '}')
        return NULL;
    char *rest = NULL, *copy = tr_arena_copy(p->arena, text + 1, len - 2);
    for (char *item = strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        if (count == ARGS_MAX || !tr_expression_is_number(item))
            return NULL;
        items[count++] = make(p, EXPR_NUMBER, item, 0);
    }
    struct tr_expr *node = make(p, EXPR_LIST, NULL, count);
    memcpy(node->args, items, count * sizeof *items);
    return node;
}

static struct tr_expr *
cast_string(struct parser *p, struct tr_expr *node, const char *type)
{
    static const char *const dates[] = { "date", "timestamp without time zone", NULL };
    if (among(type, numbers) && tr_expression_is_number(node->text)) {
        node->kind = EXPR_NUMBER;
    } else if (strcmp(type, "boolean") == 0 &&
               (strcmp(node->text, "t") == 0 || strcmp(node->text, "f") == 0 ||
                strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
        node->kind = EXPR_CONSTANT;
        node->text = node->text[0] == 't' ? "true" : "false";
    } else if (strcmp(type, "integer[]") == 0 || strcmp(type, "bigint[]") == 0 ||
               strcmp(type, "smallint[]") == 0) {
        struct tr_expr *list = number_array(p, node->text);
        if (list == NULL)
            tr_expression_refuse(p->e, "the array %.60s is not understood", node->text);
        return list;
    } else if (among(type, texts) && strchr(type, '(') == NULL) {
        node->class = EXPR_TEXT;
    } else if (among(type, dates)) {
        node->class = type[0] == 'd' ? EXPR_DATE : EXPR_MOMENT;
    } else {
        node->class = EXPR_ENUM; /* of a type of the user's own, or one that no comparison takes */
        node->column = NULL;
        for (uint16_t c = 0; p->e->relation != NULL && c < p->e->relation->ncolumns; c++)
            if (p->e->relation->columns[c].logical == TR_ENUM &&
                strcmp(p->e->relation->columns[c].native, type) == 0)
                return node;
        tr_expression_refuse(p->e, "a constant of type %.60s", type);
        return NULL;
    }
    return node;
}

/* A cast that changes nothing of what is compared or computed. */
static bool
is_idle(const struct tr_expr *node, const char *type)
{
    enum tr_logical logical = node->kind == EXPR_COLUMN ? node->column->logical : TR_OTHER;
    bool whole = logical >= TR_INT8 && logical <= TR_INT64;
    if (among(type, texts))
        return strchr(type, '(') == NULL &&
               (logical == TR_TEXT || logical == TR_CHAR || node->kind == EXPR_CALL ||
                node->kind == EXPR_CONCAT || node->kind == EXPR_CASE);
    if (strcmp(type, "text[]") == 0 || strcmp(type, "character varying[]") == 0 ||
        strcmp(type, "bpchar[]") == 0)
        return node->kind == EXPR_LIST;
    if (strcmp(type, "numeric") == 0 || strcmp(type, "bigint") == 0)
        return whole || (type[0] == 'n' && logical == TR_DECIMAL);
    if (strcmp(type, "integer") == 0)
        return logical == TR_INT16 || logical == TR_INT32 || logical == TR_BOOL;
    return strcmp(type, "double precision") == 0 && (whole || logical == TR_FLOAT32 || logical == TR_FLOAT64);
}

static struct tr_expr *
parse_cast(struct parser *p, struct tr_expr *node)
{
    while (node != NULL && p->postgresql && take(p, "::")) {
        const char *type = parse_type(p);
        bool whole = node->kind == EXPR_NUMBER && strpbrk(node->text, ".eE") == NULL;
        if (node->kind == EXPR_STRING && node->class == EXPR_NULL)
            node = cast_string(p, node, type);
        else if (node->kind == EXPR_STRING && node->class == EXPR_TEXT && among(type, texts) &&
                 strchr(type, '(') == NULL)
            continue;
        else if (node->kind == EXPR_NUMBER && among(type, numbers) && (whole || !among(type, integers)))
            continue;
        else if (node->kind == EXPR_CONSTANT && strcmp(node->text, "null") == 0)
            continue;
        else if (!is_idle(node, type)) {
            tr_expression_refuse(p->e, "the cast to %.60s may change the value", type);
            return NULL;
        }
    }
    return node;
}

/* ---- operators, the tightest first */

static struct tr_expr *
parse_unary(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        tr_expression_refuse(p->e, "it is nested too deeply");
        return NULL;
    }
    struct tr_expr *node = NULL;
    if (is(p, "-") || (is(p, "!") && !p->postgresql)) {
        enum tr_expr_kind kind = is(p, "-") ? EXPR_MINUS : EXPR_NOT;
        next(p);
        struct tr_expr *inner = parse_unary(p);
        if (inner != NULL) {
            node = make(p, kind, NULL, 1);
            node->args[0] = inner;
        }
    } else {
        node = parse_cast(p, parse_primary(p));
    }
    p->depth--;
    return node;
}

static const char *
product_sign(const struct parser *p)
{
    if (is(p, "*") || is(p, "/") || is(p, "%"))
        return p->text;
    if (!p->postgresql && is(p, "div"))
        return "div";
    return !p->postgresql && is(p, "mod") ? "%" : NULL;
}

static struct tr_expr *
parse_product(struct parser *p)
{
    struct tr_expr *node = parse_unary(p);
    for (const char *sign; node != NULL && (sign = product_sign(p)) != NULL;) {
        next(p);
        node = make_two(p, EXPR_ARITHMETIC, sign, node, parse_unary(p));
    }
    return node;
}

static struct tr_expr *
parse_sum(struct parser *p)
{
    struct tr_expr *node = parse_product(p);
    while (node != NULL && (is(p, "+") || is(p, "-"))) {
        const char *sign = p->text;
        next(p);
        node = make_two(p, EXPR_ARITHMETIC, sign, node, parse_product(p));
    }
    return node;
}

static struct tr_expr *
parse_other(struct parser *p)
{
    struct tr_expr *node = parse_sum(p);
    while (node != NULL && p->postgresql && take(p, "||"))
        node = make_two(p, EXPR_CONCAT, NULL, node, parse_sum(p));
    return node;
}

/* x = ANY (ARRAY[...]), x <> ALL (ARRAY[...]) */
static struct tr_expr *
parse_any(struct parser *p, struct tr_expr *left, const char *sign)
{
    bool any = is(p, "any");
    next(p);
    if (!take(p, "(") || strcmp(sign, any ? "=" : "<>") != 0)
        return unknown(p);
    struct tr_expr *list = expect(p, ")", parse_or(p));
    if (list == NULL || list->kind != EXPR_LIST)
        return list != NULL ? unknown(p) : NULL;
    struct tr_expr *node = make(p, EXPR_IN, NULL, (uint16_t)(list->nargs + 1));
    node->args[0] = left;
    memcpy(node->args + 1, list->args, list->nargs * sizeof *list->args);
    node->negated = !any;
    return list->nargs > 0 ? node : unknown(p);
}

static struct tr_expr *
parse_is(struct parser *p, struct tr_expr *left)
{
    bool negated = take(p, "not");
    if (take(p, "distinct")) {
        if (!take(p, "from"))
            return unknown(p);
        struct tr_expr *same = make_two(p, EXPR_SAME, NULL, left, parse_other(p));
        if (same != NULL)
            same->negated = !negated;
        return same;
    }
    if (!is(p, "null") && !is(p, "true") && !is(p, "false"))
        return unknown(p);
    struct tr_expr *node = make(p, EXPR_IS, p->text, 1);
    node->args[0] = left;
    node->negated = negated;
    next(p);
    return node;
}

static struct tr_expr *
parse_between(struct parser *p, struct tr_expr *left)
{
    struct tr_expr *node = make(p, EXPR_BETWEEN, NULL, 3);
    node->args[0] = left;
    if ((node->args[1] = parse_other(p)) == NULL || !take(p, "and") ||
        (node->args[2] = parse_other(p)) == NULL)
        return unknown(p);
    return node;
}

static struct tr_expr *
parse_word_operator(struct parser *p, struct tr_expr *left)
{
    struct tr_expr *node;
    bool negated = take(p, "not");
    if (take(p, "in"))
        node = take(p, "(") ? parse_list(p, EXPR_IN, NULL, left, ")") : unknown(p);
    else if (take(p, "between"))
        node = parse_between(p, left);
    else if (take(p, "like"))
        node = make_two(p, EXPR_LIKE, NULL, left, parse_other(p));
    else
        return unknown(p);
    if (node != NULL)
        node->negated = negated;
    return node;
}

static bool
is_comparison(const struct parser *p)
{
    static const char *const signs[] = { "=", "<>", "!=", "<", "<=", ">", ">=", NULL };
    return p->kind == TOKEN_SYMBOL && among(p->text, signs);
}

static bool
is_word_operator(const struct parser *p)
{
    return is(p, "in") || is(p, "between") || is(p, "like") || is(p, "not");
}

/* One comparison; where two follow each other without parentheses the engines group them otherwise. */
static struct tr_expr *
parse_comparison(struct parser *p)
{
    struct tr_expr *node = parse_other(p);
    if (node == NULL)
        return NULL;
    if (is_comparison(p)) {
        const char *sign = strcmp(p->text, "!=") == 0 ? "<>" : p->text;
        next(p);
        node = is(p, "any") || is(p, "all") ? parse_any(p, node, sign)
                                            : make_two(p, EXPR_COMPARE, sign, node, parse_other(p));
    } else if (!p->postgresql && take(p, "<=>")) {
        node = make_two(p, EXPR_SAME, NULL, node, parse_other(p));
    } else if (p->postgresql && (is(p, "~~") || is(p, "!~~"))) {
        bool negated = p->text[0] == '!';
        next(p);
        node = make_two(p, EXPR_LIKE, NULL, node, parse_other(p));
        if (node != NULL)
            node->negated = negated;
    } else if (take(p, "is")) {
        node = parse_is(p, node);
    } else if (is_word_operator(p)) {
        node = parse_word_operator(p, node);
    } else {
        return node;
    }
    if (node != NULL && (is_comparison(p) || is(p, "is") || is(p, "<=>") || is_word_operator(p)))
        return unknown(p);
    return node;
}

static struct tr_expr *
parse_not(struct parser *p)
{
    if (!take(p, "not"))
        return parse_comparison(p);
    if (++p->depth > DEPTH_MAX)
        return unknown(p);
    struct tr_expr *inner = parse_not(p), *node = inner != NULL ? make(p, EXPR_NOT, NULL, 1) : NULL;
    p->depth--;
    if (node != NULL)
        node->args[0] = inner;
    return node;
}

static struct tr_expr *
parse_and(struct parser *p)
{
    struct tr_expr *node = parse_not(p);
    while (node != NULL && take(p, "and"))
        node = make_two(p, EXPR_AND, NULL, node, parse_not(p));
    return node;
}

static struct tr_expr *
parse_or(struct parser *p)
{
    struct tr_expr *node = parse_and(p);
    while (node != NULL && take(p, "or"))
        node = make_two(p, EXPR_OR, NULL, node, parse_and(p));
    return node;
}

struct tr_expr *
tr_expression_parse(struct tr_expression *e, struct tr_arena *arena, const char *text)
{
    struct parser p = {
        .e = e, .arena = arena, .at = text, .postgresql = strcmp(e->from, "postgresql") == 0
    };
    next(&p);
    struct tr_expr *node = parse_or(&p);
    return node != NULL && p.kind != TOKEN_END ? unknown(&p) : node;
}

/* ---- MySQL and MariaDB among themselves */

bool
tr_expression_is_shared(const char *text)
{
    static const char *const shared[] = { "abs",
                                          "acos",
                                          "adddate",
                                          "ascii",
                                          "asin",
                                          "atan",
                                          "and",
                                          "between",
                                          "bin",
                                          "bit_count",
                                          "bit_length",
                                          "case",
                                          "cast",
                                          "ceil",
                                          "ceiling",
                                          "char",
                                          "char_length",
                                          "character_length",
                                          "coalesce",
                                          "concat",
                                          "concat_ws",
                                          "conv",
                                          "convert",
                                          "cos",
                                          "cot",
                                          "crc32",
                                          "curdate",
                                          "current_date",
                                          "current_timestamp",
                                          "curtime",
                                          "date",
                                          "date_add",
                                          "date_sub",
                                          "date_format",
                                          "datediff",
                                          "day",
                                          "dayname",
                                          "dayofmonth",
                                          "dayofweek",
                                          "dayofyear",
                                          "decimal",
                                          "degrees",
                                          "div",
                                          "elt",
                                          "else",
                                          "exp",
                                          "field",
                                          "find_in_set",
                                          "floor",
                                          "format",
                                          "from_unixtime",
                                          "greatest",
                                          "hex",
                                          "hour",
                                          "if",
                                          "ifnull",
                                          "in",
                                          "inet_aton",
                                          "inet_ntoa",
                                          "insert",
                                          "instr",
                                          "interval",
                                          "is",
                                          "isnull",
                                          "json_array",
                                          "json_contains",
                                          "json_extract",
                                          "json_length",
                                          "json_object",
                                          "json_type",
                                          "json_unquote",
                                          "json_valid",
                                          "last_day",
                                          "lcase",
                                          "least",
                                          "left",
                                          "length",
                                          "like",
                                          "ln",
                                          "locate",
                                          "log",
                                          "log10",
                                          "log2",
                                          "lower",
                                          "lpad",
                                          "ltrim",
                                          "makedate",
                                          "md5",
                                          "microsecond",
                                          "mid",
                                          "minute",
                                          "mod",
                                          "month",
                                          "monthname",
                                          "not",
                                          "now",
                                          "nullif",
                                          "octet_length",
                                          "or",
                                          "ord",
                                          "pi",
                                          "position",
                                          "pow",
                                          "power",
                                          "quarter",
                                          "quote",
                                          "radians",
                                          "rand",
                                          "repeat",
                                          "replace",
                                          "reverse",
                                          "right",
                                          "round",
                                          "rpad",
                                          "rtrim",
                                          "second",
                                          "sha",
                                          "sha1",
                                          "sha2",
                                          "sign",
                                          "sin",
                                          "space",
                                          "sqrt",
                                          "strcmp",
                                          "str_to_date",
                                          "substr",
                                          "substring",
                                          "substring_index",
                                          "tan",
                                          "then",
                                          "time",
                                          "timestamp",
                                          "timestampdiff",
                                          "time_to_sec",
                                          "to_days",
                                          "trim",
                                          "truncate",
                                          "ucase",
                                          "unhex",
                                          "unix_timestamp",
                                          "upper",
                                          "utc_date",
                                          "utc_timestamp",
                                          "uuid",
                                          "varchar",
                                          "week",
                                          "weekday",
                                          "when",
                                          "xor",
                                          "year",
                                          "yearweek",
                                          NULL };
    struct tr_expression none = { .from = "mysql", .to = "mysql" };
    struct tr_arena arena;
    struct parser p = { .e = &none, .arena = &arena, .at = text };
    bool good = true;
    tr_arena_init(&arena);
    for (next(&p); good && p.kind != TOKEN_END; next(&p)) {
        bool call = p.kind == TOKEN_WORD && then(&p, "(");
        good = p.kind != TOKEN_BAD && (!call || among(p.text, shared)) && !is(&p, "json") && !is(&p, "->") &&
               !is(&p, "->>") && !is(&p, "member") && !is(&p, "regexp") &&
               !is(&p, "rlike"); /* of two kinds */
    }
    tr_arena_fini(&arena);
    return good;
}

const char *
tr_expression_bare(struct tr_arena *arena, const char *text)
{
    static const char introducer[] = "_utf8mb4'";
    struct tr_buffer out;
    bool quoted = false;
    tr_buffer_init(&out, (size_t)1 << 20);
    for (; *text != '\0'; text++) {
        if (!quoted && strncmp(text, introducer, strlen(introducer)) == 0)
            text += strlen(introducer) - 1;
        quoted = *text == '\'' ? !quoted : quoted;
        tr_buffer_byte(&out, *text);
        if (quoted && *text == '\\' && text[1] != '\0')
            tr_buffer_byte(&out, *++text);
    }
    const char *kept = tr_arena_copy(arena, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return kept;
}
