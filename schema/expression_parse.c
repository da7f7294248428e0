/*
 * expression_parse.c - expressions as the servers' catalogues print them, into parts.
 *
 * PostgreSQL and MySQL put parentheses around everything; MariaDB leaves out those that its precedences make needless. Casts of PostgreSQL fall away where they change
 * nothing (a text to text), and turn a quoted constant into what it stands for; of a number it is kept what it is computed with.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "schema/expression_lex.h"

#define DEPTH_MAX 100
#define ARGS_MAX 400

typedef struct tr_expr *(*rule)(struct tr_lexer *p);

static struct tr_expr *parse_or(struct tr_lexer *p);
static struct tr_expr *parse_unary(struct tr_lexer *p);

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

static struct tr_expr *
unknown(struct tr_lexer *p)
{
    tr_expression_refuse(p->e, p->kind == TOKEN_END ? "it ends too early" : "\"%.40s\" is not understood",
                         p->text);
    return NULL;
}

static struct tr_expr *
expect(struct tr_lexer *p, const char *text, struct tr_expr *node)
{
    return node == NULL || tr_lex_take(p, text) ? node : unknown(p);
}

/* ---- parts */

static struct tr_expr *
make(struct tr_lexer *p, enum tr_expr_kind kind, const char *text, uint16_t nargs)
{
    struct tr_expr *node = tr_arena_zalloc(p->arena, sizeof *node);
    node->kind = kind;
    node->text = text;
    node->args = tr_arena_zalloc(p->arena, (nargs + 1u) * sizeof(struct tr_expr *));
    node->nargs = nargs;
    return node;
}

static struct tr_expr *
make_two(struct tr_lexer *p, enum tr_expr_kind kind, const char *text, struct tr_expr *left,
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
parse_list(struct tr_lexer *p, enum tr_expr_kind kind, const char *text, struct tr_expr *first,
           const char *close)
{
    struct tr_expr *items[ARGS_MAX];
    uint16_t count = 0;
    if (first != NULL)
        items[count++] = first;
    if (!tr_lex_is(p, close))
        do {
            if (count == ARGS_MAX)
                return unknown(p);
            if ((items[count++] = parse_or(p)) == NULL)
                return NULL;
        } while (tr_lex_take(p, ","));
    struct tr_expr *node = make(p, kind, text, count);
    memcpy(node->args, items, count * sizeof *items);
    return expect(p, close, node);
}

static struct tr_expr *
parse_case(struct tr_lexer *p)
{
    struct tr_expr *parts[ARGS_MAX] = { NULL };
    uint16_t count = 1;
    if (!tr_lex_is(p, "when") && (parts[0] = parse_or(p)) == NULL)
        return NULL;
    while (tr_lex_take(p, "when")) {
        if (count + 3 > ARGS_MAX || (parts[count++] = parse_or(p)) == NULL || !tr_lex_take(p, "then") ||
            (parts[count++] = parse_or(p)) == NULL)
            return unknown(p);
    }
    if (tr_lex_take(p, "else") && (parts[count] = parse_or(p)) == NULL)
        return NULL;
    struct tr_expr *node = make(p, EXPR_CASE, NULL, (uint16_t)(count + 1));
    memcpy(node->args, parts, (count + 1u) * sizeof *parts);
    return count < 3 ? unknown(p) : expect(p, "end", node);
}

/* TRIM(BOTH FROM x), SUBSTRING(x FROM 1 FOR 2), EXTRACT(year FROM d): as calls with commas. */
static struct tr_expr *
parse_call(struct tr_lexer *p, const char *name)
{
    if (strcmp(name, "trim") == 0 &&
        (tr_lex_is(p, "both") || tr_lex_is(p, "leading") || tr_lex_is(p, "trailing"))) {
        name = tr_lex_is(p, "both") ? "btrim" : tr_lex_is(p, "leading") ? "ltrim" : "rtrim";
        tr_lex_next(p);
        return tr_lex_take(p, "from") ? parse_list(p, EXPR_CALL, name, NULL, ")") : unknown(p);
    }
    if (strcmp(name, "extract") == 0) {
        name = p->text;
        tr_lex_next(p);
        return tr_lex_take(p, "from") ? parse_list(p, EXPR_CALL, name, NULL, ")") : unknown(p);
    }
    if (tr_lex_is(p, ")"))
        return parse_list(p, EXPR_CALL, name, NULL, ")");
    struct tr_expr *first = parse_or(p);
    if (first != NULL && strcmp(name, "substring") == 0 && tr_lex_take(p, "from")) {
        struct tr_expr *node = make(p, EXPR_CALL, name, 3);
        node->nargs = 2;
        node->args[0] = first;
        if ((node->args[1] = parse_or(p)) == NULL)
            return NULL;
        if (tr_lex_take(p, "for") && (node->args[node->nargs++] = parse_or(p)) == NULL)
            return NULL;
        return expect(p, ")", node);
    }
    if (first != NULL && tr_lex_take(p, ","))
        return parse_list(p, EXPR_CALL, name, first, ")");
    struct tr_expr *node = first != NULL ? make(p, EXPR_CALL, name, 1) : NULL;
    if (node != NULL)
        node->args[0] = first;
    return expect(p, ")", node);
}

static struct tr_expr *
column(struct tr_lexer *p, const char *name)
{
    const struct tr_relation *relation = p->e->relation;
    int c = relation != NULL ? tr_relation_column(relation, name) : -1;
    for (uint16_t i = 0; relation != NULL && !p->postgresql && c < 0 && i < relation->ncolumns; i++)
        if (strcasecmp(relation->columns[i].name, name) == 0) /* as those servers read it */
            c = i;
    if (c < 0) {
        tr_expression_refuse(p->e, "\"%.60s\" is not understood", name);
        return NULL;
    }
    struct tr_expr *node = make(p, EXPR_COLUMN, relation->columns[c].name, 0);
    node->column = &relation->columns[c];
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
parse_name(struct tr_lexer *p)
{
    const char *name = p->text;
    bool bare = p->kind == TOKEN_WORD;
    tr_lex_next(p);
    if (bare && strcmp(name, "case") == 0)
        return parse_case(p);
    if (bare && (strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "null") == 0))
        return make(p, EXPR_CONSTANT, name, 0);
    if (bare && strcmp(name, "array") == 0 && tr_lex_take(p, "["))
        return parse_list(p, EXPR_LIST, NULL, NULL, "]");
    if (tr_lex_take(p, "("))
        return parse_call(p, name);
    return bare && is_moment(name) ? make(p, EXPR_CALL, name, 0) : column(p, name);
}

static struct tr_expr *
parse_primary(struct tr_lexer *p)
{
    struct tr_expr *node = NULL;
    switch (p->kind) {
    case TOKEN_NUMBER:
    case TOKEN_STRING:
        node = make(p, p->kind == TOKEN_NUMBER ? EXPR_NUMBER : EXPR_STRING, p->text, 0);
        tr_lex_next(p);
        return node;
    case TOKEN_WORD:
    case TOKEN_NAME: return parse_name(p);
    default: break;
    }
    if (!tr_lex_take(p, "("))
        return unknown(p);
    node = parse_or(p);
    return expect(p, ")", node);
}

/* ---- casts */

/* "character varying(10)", "timestamp(3) without time zone", "text[]", "shop.mood": words, without what is in parentheses. */
static const char *
parse_type(struct tr_lexer *p)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    for (bool more = true; more && (p->kind == TOKEN_WORD || p->kind == TOKEN_NAME);) {
        tr_buffer_printf(&out, "%s%s", out.len > 0 && out.data[out.len - 1] != '.' ? " " : "", p->text);
        tr_lex_next(p);
        if (tr_lex_take(p, "(")) {
            while (!tr_lex_is(p, ")") && p->kind != TOKEN_END)
                tr_lex_next(p);
            tr_lex_take(p, ")");
            tr_buffer_text(&out, "()");
        }
        if (tr_lex_take(p, "."))
            tr_buffer_byte(&out, '.');
        else
            more = tr_lex_is(p, "varying") || tr_lex_is(p, "precision") || tr_lex_is(p, "without") ||
                   tr_lex_is(p, "with") || tr_lex_is(p, "time") || tr_lex_is(p, "zone");
    }
    if (tr_lex_is(p, "[") && tr_lex_then(p, "]")) {
        tr_lex_next(p);
        tr_lex_next(p);
        tr_buffer_text(&out, "[]");
    }
    const char *type = tr_arena_copy(p->arena, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return type;
}

static const char *const texts[] = { "text",        "character varying",
                                     "bpchar",      "character varying()",
                                     "character()", NULL };
static const char *const integers[] = { "smallint", "integer", "bigint", NULL };
static const char *const numbers[] = { "smallint",         "integer", "bigint", "numeric",
                                       "double precision", "real",    NULL };

/* What a number is computed with behind the cast. */
static enum tr_expr_class
class_of_type(const char *type)
{
    return tr_lex_among(type, integers)   ? EXPR_NULL
           : strcmp(type, "numeric") == 0 ? EXPR_DECIMAL
                                          : EXPR_FLOAT;
}

/* A number of single precision is another one for double. */
static bool
is_number_of(const char *text, const char *type)
{
    return tr_lex_among(type, numbers) && tr_expression_is_number(text) &&
           (strcmp(type, "real") != 0 || strpbrk(text, ".eE") == NULL);
}

/* '{1,2}'::integer[]: a list of numbers. */
static struct tr_expr *
number_array(struct tr_lexer *p, const char *text)
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
cast_string(struct tr_lexer *p, struct tr_expr *node, const char *type)
{
    static const char *const dates[] = { "date", "timestamp without time zone", NULL };
    if (is_number_of(node->text, type)) {
        node->kind = EXPR_NUMBER;
        node->cast = class_of_type(type);
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
    } else if (tr_lex_among(type, texts) && strchr(type, '(') == NULL) {
        node->class = EXPR_TEXT;
    } else if (tr_lex_among(type, dates)) {
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
    if (tr_lex_among(type, texts))
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
parse_cast(struct tr_lexer *p, struct tr_expr *node)
{
    while (node != NULL && p->postgresql && tr_lex_take(p, "::")) {
        const char *type = parse_type(p);
        bool whole = node->kind == EXPR_NUMBER && strpbrk(node->text, ".eE") == NULL;
        if (node->kind == EXPR_STRING && node->class == EXPR_NULL)
            node = cast_string(p, node, type);
        else if (node->kind == EXPR_STRING && node->class == EXPR_TEXT && tr_lex_among(type, texts) &&
                 strchr(type, '(') == NULL)
            continue;
        else if (node->kind == EXPR_NUMBER && is_number_of(node->text, type) &&
                 (whole || !tr_lex_among(type, integers)))
            node->cast = class_of_type(type);
        else if (node->kind == EXPR_CONSTANT && strcmp(node->text, "null") == 0)
            continue;
        else if (!is_idle(node, type)) {
            tr_expression_refuse(p->e, "the cast to %.60s may change the value", type);
            return NULL;
        } else if (tr_lex_among(type, numbers))
            node->cast = class_of_type(type);
    }
    return node;
}

/* ---- operators, the tightest first */

static struct tr_expr *
parse_unary(struct tr_lexer *p)
{
    if (++p->depth > DEPTH_MAX) {
        tr_expression_refuse(p->e, "it is nested too deeply");
        return NULL;
    }
    struct tr_expr *node = NULL;
    if (tr_lex_is(p, "-") || (tr_lex_is(p, "!") && !p->postgresql)) {
        enum tr_expr_kind kind = tr_lex_is(p, "-") ? EXPR_MINUS : EXPR_NOT;
        tr_lex_next(p);
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
product_sign(const struct tr_lexer *p)
{
    if (tr_lex_is(p, "*") || tr_lex_is(p, "/") || tr_lex_is(p, "%"))
        return p->text;
    if (!p->postgresql && tr_lex_is(p, "div"))
        return "div";
    return !p->postgresql && tr_lex_is(p, "mod") ? "%" : NULL;
}

static struct tr_expr *
parse_product(struct tr_lexer *p)
{
    struct tr_expr *node = parse_unary(p);
    for (const char *sign; node != NULL && (sign = product_sign(p)) != NULL;) {
        tr_lex_next(p);
        node = make_two(p, EXPR_ARITHMETIC, sign, node, parse_unary(p));
    }
    return node;
}

static struct tr_expr *
parse_sum(struct tr_lexer *p)
{
    struct tr_expr *node = parse_product(p);
    while (node != NULL && (tr_lex_is(p, "+") || tr_lex_is(p, "-"))) {
        const char *sign = p->text;
        tr_lex_next(p);
        node = make_two(p, EXPR_ARITHMETIC, sign, node, parse_product(p));
    }
    return node;
}

static struct tr_expr *
parse_other(struct tr_lexer *p)
{
    struct tr_expr *node = parse_sum(p);
    while (node != NULL && p->postgresql && tr_lex_take(p, "||"))
        node = make_two(p, EXPR_CONCAT, NULL, node, parse_sum(p));
    return node;
}

/* x = ANY (ARRAY[...]), x <> ALL (ARRAY[...]) */
static struct tr_expr *
parse_any(struct tr_lexer *p, struct tr_expr *left, const char *sign)
{
    bool any = tr_lex_is(p, "any");
    tr_lex_next(p);
    if (!tr_lex_take(p, "(") || strcmp(sign, any ? "=" : "<>") != 0)
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
parse_is(struct tr_lexer *p, struct tr_expr *left)
{
    bool negated = tr_lex_take(p, "not");
    if (tr_lex_take(p, "distinct")) {
        if (!tr_lex_take(p, "from"))
            return unknown(p);
        struct tr_expr *same = make_two(p, EXPR_SAME, NULL, left, parse_other(p));
        if (same != NULL)
            same->negated = !negated;
        return same;
    }
    if (!tr_lex_is(p, "null") && !tr_lex_is(p, "true") && !tr_lex_is(p, "false"))
        return unknown(p);
    struct tr_expr *node = make(p, EXPR_IS, p->text, 1);
    node->args[0] = left;
    node->negated = negated;
    tr_lex_next(p);
    return node;
}

static struct tr_expr *
parse_between(struct tr_lexer *p, struct tr_expr *left)
{
    struct tr_expr *node = make(p, EXPR_BETWEEN, NULL, 3);
    node->args[0] = left;
    if ((node->args[1] = parse_other(p)) == NULL || !tr_lex_take(p, "and") ||
        (node->args[2] = parse_other(p)) == NULL)
        return unknown(p);
    return node;
}

static struct tr_expr *
parse_word_operator(struct tr_lexer *p, struct tr_expr *left)
{
    struct tr_expr *node;
    bool negated = tr_lex_take(p, "not");
    if (tr_lex_take(p, "in"))
        node = tr_lex_take(p, "(") ? parse_list(p, EXPR_IN, NULL, left, ")") : unknown(p);
    else if (tr_lex_take(p, "between"))
        node = parse_between(p, left);
    else if (tr_lex_take(p, "like"))
        node = make_two(p, EXPR_LIKE, NULL, left, parse_other(p));
    else
        return unknown(p);
    if (node != NULL)
        node->negated = negated;
    return node;
}

static bool
is_comparison(const struct tr_lexer *p)
{
    static const char *const signs[] = { "=", "<>", "!=", "<", "<=", ">", ">=", NULL };
    return p->kind == TOKEN_SYMBOL && tr_lex_among(p->text, signs);
}

static bool
is_word_operator(const struct tr_lexer *p)
{
    return tr_lex_is(p, "in") || tr_lex_is(p, "between") || tr_lex_is(p, "like") || tr_lex_is(p, "not");
}

/* One comparison; where two follow each other without parentheses the engines group them otherwise. */
static struct tr_expr *
parse_comparison(struct tr_lexer *p)
{
    struct tr_expr *node = parse_other(p);
    if (node == NULL)
        return NULL;
    if (is_comparison(p)) {
        const char *sign = strcmp(p->text, "!=") == 0 ? "<>" : p->text;
        tr_lex_next(p);
        node = tr_lex_is(p, "any") || tr_lex_is(p, "all")
                   ? parse_any(p, node, sign)
                   : make_two(p, EXPR_COMPARE, sign, node, parse_other(p));
    } else if (!p->postgresql && tr_lex_take(p, "<=>")) {
        node = make_two(p, EXPR_SAME, NULL, node, parse_other(p));
    } else if (p->postgresql && (tr_lex_is(p, "~~") || tr_lex_is(p, "!~~"))) {
        bool negated = p->text[0] == '!';
        tr_lex_next(p);
        node = make_two(p, EXPR_LIKE, NULL, node, parse_other(p));
        if (node != NULL)
            node->negated = negated;
    } else if (tr_lex_take(p, "is")) {
        node = parse_is(p, node);
    } else if (is_word_operator(p)) {
        node = parse_word_operator(p, node);
    } else {
        return node;
    }
    if (node != NULL &&
        (is_comparison(p) || tr_lex_is(p, "is") || tr_lex_is(p, "<=>") || is_word_operator(p)))
        return unknown(p);
    return node;
}

static struct tr_expr *
parse_not(struct tr_lexer *p)
{
    if (!tr_lex_take(p, "not"))
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
parse_and(struct tr_lexer *p)
{
    struct tr_expr *node = parse_not(p);
    while (node != NULL && tr_lex_take(p, "and"))
        node = make_two(p, EXPR_AND, NULL, node, parse_not(p));
    return node;
}

static struct tr_expr *
parse_or(struct tr_lexer *p)
{
    struct tr_expr *node = parse_and(p);
    while (node != NULL && tr_lex_take(p, "or"))
        node = make_two(p, EXPR_OR, NULL, node, parse_and(p));
    return node;
}

struct tr_expr *
tr_expression_parse(struct tr_expression *e, struct tr_arena *arena, const char *text)
{
    struct tr_lexer p = {
        .e = e, .arena = arena, .at = text, .postgresql = strcmp(e->from, "postgresql") == 0
    };
    tr_lex_next(&p);
    struct tr_expr *node = parse_or(&p);
    return node != NULL && p.kind != TOKEN_END ? unknown(&p) : node;
}
