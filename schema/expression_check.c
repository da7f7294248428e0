/*
 * expression_check.c - which expressions mean the same in PostgreSQL and in MySQL or MariaDB.
 *
 * The engines differ in how texts compare (collations, trailing blanks, letters of either case), in the division of numbers, in what counts as true, and in how far they convert
 * by themselves. Where that could tell, the expression is refused.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "schema/expression_internal.h"

struct checker {
    struct tr_expression *e;
    struct tr_arena *arena;
    bool from_postgresql, to_postgresql;
    int polarity; /* 1: what is checked lets a row pass when it is true, -1: when it is not, 0: nobody knows */
};

static bool check(struct checker *c, struct tr_expr *node);

static bool
is_one_of(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static bool is_numeric(enum tr_expr_class class)
{
    return class == EXPR_INT || class == EXPR_DECIMAL || class == EXPR_FLOAT;
}

/* ---- columns and constants */

static enum tr_expr_class
class_of(const struct tr_column *column)
{
    enum tr_logical logical = column->logical;
    if ((logical >= TR_INT8 && logical <= TR_UINT64) || logical == TR_YEAR)
        return EXPR_INT;
    switch (logical) {
    case TR_BOOL: return EXPR_BOOL;
    case TR_DECIMAL: return EXPR_DECIMAL;
    case TR_FLOAT32:
    case TR_FLOAT64: return EXPR_FLOAT;
    case TR_TEXT:
    case TR_CHAR:
        return column->type_name != NULL && strcmp(column->type_name, "citext") == 0 ? EXPR_OTHER : EXPR_TEXT;
    case TR_DATE: return EXPR_DATE;
    case TR_TIMESTAMP: return EXPR_MOMENT;
    case TR_TIMESTAMPTZ: return EXPR_ZONED;
    case TR_TIME: return EXPR_TIME;
    case TR_ENUM: return EXPR_ENUM;
    default: return EXPR_OTHER;
    }
}

static bool
check_column(struct checker *c, struct tr_expr *node)
{
    const struct tr_column *column = node->column;
    node->class = class_of(column);
    if (!c->to_postgresql && column->auto_increment && c->e->use != TR_EXPRESSION_INDEX)
        return tr_expression_refuse(
            c->e,
            "it names %.60s, which counts by itself, and the target allows that in no check or generated column",
            column->name);
    if (c->to_postgresql && column->generated && c->e->use == TR_EXPRESSION_GENERATED)
        return tr_expression_refuse(
            c->e,
            "it names %.60s, which is generated itself, and the target allows that in no generated column",
            column->name);
    return true;
}

static bool
check_string(struct checker *c, struct tr_expr *node)
{
    bool moment = node->class == EXPR_DATE || node->class == EXPR_MOMENT;
    node->class = node->class == EXPR_NULL ? EXPR_TEXT : node->class;
    return !moment || tr_expression_is_iso(node->text, node->class == EXPR_MOMENT) ||
           tr_expression_refuse(c->e, "'%.60s' has no form that both know", node->text);
}

static bool
check_number(struct tr_expr *node)
{
    node->class = strpbrk(node->text, "eE") != NULL ? EXPR_FLOAT
                  : strchr(node->text, '.') != NULL ? EXPR_DECIMAL
                                                    : EXPR_INT;
    return true;
}

static bool
digits(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++)
        if (*form == '0' ? !isdigit((unsigned char)*text) : *text != *form)
            return false;
    return true;
}

bool
tr_expression_is_iso(const char *text, bool time)
{
    if (!digits(text, "0000-00-00") || strncmp(text, "0000", 4) == 0 || strncmp(text + 5, "00", 2) == 0 ||
        strncmp(text + 8, "00", 2) == 0)
        return false;
    text += 10;
    if (*text == '\0')
        return true;
    if (!time || !digits(text, " 00:00:00"))
        return false;
    text += 9;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    return *text == '\0';
}

/* No letter, and nothing beyond ASCII: the same in every collation but for trailing blanks. */
static bool
is_caseless(const char *text)
{
    for (; *text != '\0'; text++)
        if (isalpha((unsigned char)*text) || (unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* ---- truth */

static bool
check_truth(struct checker *c, struct tr_expr *node)
{
    if (!check(c, node))
        return false;
    if (node->class == EXPR_BOOL || node->class == EXPR_NULL)
        return true;
    node->as_bool = !c->from_postgresql && node->class == EXPR_INT;
    return node->as_bool ||
           tr_expression_refuse(c->e, "something other than a truth value stands where one is needed");
}

static bool
check_all(struct checker *c, struct tr_expr *node, bool (*one)(struct checker *, struct tr_expr *))
{
    for (uint16_t i = 0; i < node->nargs; i++)
        if (!one(c, node->args[i]))
            return false;
    return true;
}

/* ---- comparisons */

static const struct tr_column *
text_column(const struct tr_expr *node)
{
    if (node->kind == EXPR_COLUMN)
        return node->column;
    for (uint16_t i = 0; i < node->nargs; i++)
        if (node->args[i] != NULL && node->args[i]->class == EXPR_TEXT && text_column(node->args[i]) != NULL)
            return text_column(node->args[i]);
    return NULL;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

/* Is the side's text told apart byte by byte at the source? A PostgreSQL text is, unless its collation is one of the user's. */
static bool
compares_bytes(struct checker *c, struct tr_expr *node)
{
    const struct tr_column *column = text_column(node);
    if (column == NULL || column->collation == NULL)
        return true;
    if (c->from_postgresql)
        return strcmp(column->collation, "C") == 0 || strcmp(column->collation, "POSIX") == 0;
    bool bytes = ends_with(column->collation, "_bin");
    node->trimmed = bytes && column->logical != TR_CHAR && strstr(column->collation, "nopad") == NULL &&
                    strstr(column->collation, "0900") == NULL;
    return bytes;
}

static bool
compare_texts(struct checker *c, struct tr_expr *a, struct tr_expr *b, bool equal, bool looser)
{
    if (!equal)
        return tr_expression_refuse(c->e,
                                    "it orders texts, and the target's collation orders them otherwise");
    bool bytes = compares_bytes(c, a) && compares_bytes(c, b);
    const char *constant = b->kind == EXPR_STRING ? b->text : a->kind == EXPR_STRING ? a->text : NULL;
    if (constant != NULL && constant[0] != '\0' && constant[strlen(constant) - 1] == ' ')
        return tr_expression_refuse(c->e, "a constant ends with a blank");
    /* under PostgreSQL's comparison more values differ from the constant: nothing is refused that passed */
    if (bytes || (looser && constant != NULL && c->to_postgresql))
        return true;
    const struct tr_column *column = text_column(a) != NULL ? text_column(a) : text_column(b);
    return tr_expression_refuse(
        c->e, "it compares texts by collation %.60s, and the target compares them exactly",
        column != NULL && column->collation != NULL ? column->collation : "of the source");
}

static bool
compare_labels(struct checker *c, struct tr_expr *a, struct tr_expr *b, bool equal)
{
    struct tr_expr *label = a->kind == EXPR_COLUMN ? b : a, *column = label == b ? a : b;
    if (!equal || column->kind != EXPR_COLUMN || label->kind != EXPR_STRING)
        return tr_expression_refuse(
            c->e, "it compares the labels of an enum by more than being equal to a constant");
    for (uint32_t i = 0; i < column->column->nlabels; i++)
        if (strcmp(column->column->labels[i], label->text) == 0) {
            label->class = EXPR_ENUM;
            return true;
        }
    return tr_expression_refuse(c->e, "'%.60s' is no label of %.60s", label->text, column->column->name);
}

static bool
compare_moments(struct checker *c, struct tr_expr *a, struct tr_expr *b)
{
    for (int side = 0; side < 2; side++) {
        struct tr_expr *one = side == 0 ? a : b, *other = side == 0 ? b : a;
        if (one->kind != EXPR_STRING)
            continue;
        if (one->class == EXPR_TEXT && other->kind == EXPR_COLUMN && !c->from_postgresql)
            one->class = other->class;
        if (!tr_expression_is_iso(one->text, one->class == EXPR_MOMENT) ||
            (one->class != EXPR_DATE && one->class != EXPR_MOMENT))
            return tr_expression_refuse(c->e, "'%.60s' has no form that both know", one->text);
    }
    return a->class == b->class || tr_expression_refuse(c->e, "it compares a date with a time");
}

static bool
is_moment(const struct tr_expr *node)
{
    return node->class >= EXPR_DATE && node->class <= EXPR_TIME;
}

/* `sign` as in EXPR_COMPARE. */
static bool
comparable(struct checker *c, struct tr_expr *a, struct tr_expr *b, const char *sign, bool negated,
           int polarity)
{
    bool different = strcmp(sign, "<>") == 0 || (negated && strcmp(sign, "=") == 0);
    bool equal = different || strcmp(sign, "=") == 0;
    if (is_numeric(a->class) && is_numeric(b->class))
        return !equal || (a->class != EXPR_FLOAT && b->class != EXPR_FLOAT) ||
               tr_expression_refuse(c->e, "it asks whether floating numbers are equal");
    if (a->class == EXPR_ENUM || b->class == EXPR_ENUM)
        return compare_labels(c, a, b, equal);
    if (is_moment(a) || is_moment(b))
        return compare_moments(c, a, b);
    if (a->class == EXPR_TEXT && b->class == EXPR_TEXT)
        return compare_texts(c, a, b, equal, different ? polarity > 0 : polarity < 0);
    if (a->class == EXPR_BOOL && b->class == EXPR_BOOL && equal)
        return true;
    return tr_expression_refuse(c->e, "it compares values of kinds that are not known to compare alike");
}

static bool
check_comparison(struct checker *c, struct tr_expr *node, int polarity)
{
    const char *sign = node->kind == EXPR_COMPARE ? node->text : node->kind == EXPR_BETWEEN ? "<" : "=";
    bool same = node->kind == EXPR_SAME;
    node->class = EXPR_BOOL;
    if (!check_all(c, node, check))
        return false;
    for (uint16_t i = 1; i < node->nargs; i++)
        if (!comparable(c, node->args[0], node->args[i], sign, node->negated && !same, same ? 0 : polarity))
            return false;
    return true;
}

static bool
check_like(struct checker *c, struct tr_expr *node)
{
    struct tr_expr *left = node->args[0], *pattern = node->args[1];
    node->class = EXPR_BOOL;
    if (!check(c, left) || !check(c, pattern))
        return false;
    if (left->class != EXPR_TEXT || pattern->kind != EXPR_STRING)
        return tr_expression_refuse(c->e, "LIKE is taken of a text and a constant only");
    if (left->kind == EXPR_COLUMN && left->column->logical == TR_CHAR)
        return tr_expression_refuse(c->e,
                                    "LIKE sees the blanks that fill up a char column in one engine only");
    bool bytes = compares_bytes(c, left);
    left->trimmed = false; /* LIKE takes every blank as it is */
    if (bytes || (c->e->use == TR_EXPRESSION_CHECK && is_caseless(pattern->text)))
        return true;
    return tr_expression_refuse(c->e,
                                "it compares texts by a collation, and the target compares them exactly");
}

/* ---- numbers */

static bool
has_single(const struct tr_expr *node)
{
    return node->kind == EXPR_COLUMN && node->column->logical == TR_FLOAT32;
}

static bool
is_unlimited(const struct tr_expr *node)
{
    return node->kind == EXPR_COLUMN && node->column->logical == TR_DECIMAL && node->column->precision <= 0;
}

static bool
check_division(struct checker *c, struct tr_expr *node, enum tr_expr_class a, enum tr_expr_class b)
{
    bool whole = a == EXPR_INT && b == EXPR_INT;
    if (strcmp(node->text, "/") == 0 && c->from_postgresql && whole)
        node->text = "div";
    else if (strcmp(node->text, "/") == 0 && (a != EXPR_FLOAT || b != EXPR_FLOAT))
        return tr_expression_refuse(c->e, "a division has another number of digits at the target");
    else if (strcmp(node->text, "/") != 0 && !whole)
        return tr_expression_refuse(c->e, "a remainder of other than whole numbers");
    return true;
}

static bool
check_arithmetic(struct checker *c, struct tr_expr *node)
{
    struct tr_expr *left = node->args[0], *right = node->args[1];
    if (!check(c, left) || !check(c, right))
        return false;
    enum tr_expr_class a = left->class, b = right->class;
    if (!is_numeric(a) || !is_numeric(b))
        return tr_expression_refuse(c->e, "it computes with other than numbers");
    if (has_single(left) || has_single(right))
        return tr_expression_refuse(c->e, "one engine computes with single precision, the other with double");
    if (node->text[0] == '*' && (is_unlimited(left) || is_unlimited(right)))
        return tr_expression_refuse(
            c->e, "the product of numbers without limits has more digits than the target keeps");
    node->class = a > b ? a : b;
    return strchr("+-*", node->text[0]) != NULL || check_division(c, node, a, b);
}

static bool
check_minus(struct checker *c, struct tr_expr *node)
{
    if (!check(c, node->args[0]))
        return false;
    node->class = node->args[0]->class;
    return is_numeric(node->class) || tr_expression_refuse(c->e, "it computes with other than numbers");
}

/* ---- texts, choices */

/* Printed with zeros in front: 0000, 00042. */
static bool
is_padded(const struct tr_column *column)
{
    return column->logical == TR_YEAR ||
           (column->native != NULL && strcasestr(column->native, "zerofill") != NULL);
}

static bool
check_text(struct checker *c, struct tr_expr *node)
{
    if (!check(c, node))
        return false;
    bool printed = c->to_postgresql && (node->class == EXPR_INT || node->class == EXPR_DECIMAL) &&
                   node->kind == EXPR_COLUMN && !is_padded(node->column);
    return node->class == EXPR_TEXT || printed ||
           tr_expression_refuse(c->e, "something other than a text stands where one is needed");
}

/* The class of a choice: that of all its outcomes. */
static bool
join_class(struct checker *c, struct tr_expr *node, struct tr_expr *outcome)
{
    enum tr_expr_class class = outcome->class;
    if (class == EXPR_NULL || class == node->class)
        return true;
    if (node->class == EXPR_NULL)
        node->class = class;
    else if (is_numeric(class) && is_numeric(node->class))
        node->class = class > node->class ? class : node->class;
    else
        return tr_expression_refuse(c->e, "its outcomes are of different kinds");
    return class != EXPR_ENUM && class != EXPR_OTHER
               ? true
               : tr_expression_refuse(c->e, "an outcome of a type of its own");
}

static bool
check_case(struct checker *c, struct tr_expr *node)
{
    struct tr_expr *operand = node->args[0], *otherwise = node->args[node->nargs - 1];
    if (operand != NULL && !check(c, operand))
        return false;
    node->class = EXPR_NULL;
    for (uint16_t i = 1; i + 1 < node->nargs; i += 2) {
        struct tr_expr *when = node->args[i], *outcome = node->args[i + 1];
        bool good = operand == NULL ? check_truth(c, when)
                                    : check(c, when) && comparable(c, operand, when, "=", false, 0);
        if (!good || !check(c, outcome) || !join_class(c, node, outcome))
            return false;
    }
    return otherwise == NULL || (check(c, otherwise) && join_class(c, node, otherwise));
}

/* ---- functions */

struct function {
    const char *postgresql, *mysql;
    const char *
        args; /* t text, i whole number, n number, c whole constant above 0, z the same or 0, d date or moment, m moment; ? what follows may be missing */
    enum tr_expr_class class; /* EXPR_NULL = that of the first argument */
    const char *print;        /* the name at a MySQL target, where it is not the first */
};

static const struct function functions[] = {
    { "length", NULL, "t", EXPR_INT, "char_length" },
    { "char_length", "char_length", "t", EXPR_INT, NULL },
    { "character_length", "character_length", "t", EXPR_INT, NULL },
    { "octet_length", "octet_length", "t", EXPR_INT, NULL },
    { "octet_length", "length", "t", EXPR_INT, NULL },
    { "lower", "lower", "t", EXPR_TEXT, NULL },
    { "lower", "lcase", "t", EXPR_TEXT, NULL },
    { "upper", "upper", "t", EXPR_TEXT, NULL },
    { "upper", "ucase", "t", EXPR_TEXT, NULL },
    { "btrim", "trim", "t", EXPR_TEXT, "trim" },
    { "ltrim", "ltrim", "t", EXPR_TEXT, NULL },
    { "rtrim", "rtrim", "t", EXPR_TEXT, NULL },
    { "left", "left", "tz", EXPR_TEXT, NULL },
    { "right", "right", "tz", EXPR_TEXT, NULL },
    { "substring", "substring", "tc?z", EXPR_TEXT, NULL },
    { "substr", "substr", "tc?z", EXPR_TEXT, NULL },
    { "reverse", "reverse", "t", EXPR_TEXT, NULL },
    { "abs", "abs", "n", EXPR_NULL, NULL },
    { "floor", "floor", "n", EXPR_NULL, NULL },
    { "ceil", "ceil", "n", EXPR_NULL, NULL },
    { "ceiling", "ceiling", "n", EXPR_NULL, NULL },
    { "mod", "mod", "ii", EXPR_INT, NULL },
    { "year", "year", "d", EXPR_INT, NULL },
    { "month", "month", "d", EXPR_INT, NULL },
    { "day", "dayofmonth", "d", EXPR_INT, "dayofmonth" },
    { "day", "day", "d", EXPR_INT, "dayofmonth" },
    { "hour", "hour", "m", EXPR_INT, NULL },
    { "minute", "minute", "m", EXPR_INT, NULL },
};

static bool
fits(struct checker *c, struct tr_expr *arg, char form)
{
    if (!check(c, arg))
        return false;
    long number = arg->kind == EXPR_NUMBER ? strtol(arg->text, NULL, 10) : -1;
    bool good = form == 't'   ? arg->class == EXPR_TEXT
                : form == 'i' ? arg->class == EXPR_INT
                : form == 'n' ? is_numeric(arg->class) && !has_single(arg)
                : form == 'd'
                    ? arg->kind == EXPR_COLUMN && (arg->class == EXPR_DATE || arg->class == EXPR_MOMENT)
                : form == 'm' ? arg->kind == EXPR_COLUMN && arg->class == EXPR_MOMENT
                : form == 'c' ? arg->class == EXPR_INT && number >= 1
                              : arg->class == EXPR_INT && number >= 0;
    return good ||
           tr_expression_refuse(c->e, "a function is given something that the target may take otherwise");
}

static bool
check_arguments(struct checker *c, struct tr_expr *node, const char *forms)
{
    uint16_t i = 0;
    bool optional = false;
    for (; *forms != '\0'; forms++) {
        if (*forms == '?') {
            optional = true;
            continue;
        }
        if (i == node->nargs)
            return optional || tr_expression_refuse(c->e, "%s() lacks an argument", node->text);
        if (!fits(c, node->args[i++], *forms))
            return false;
    }
    return i == node->nargs ||
           tr_expression_refuse(c->e, "%s() has more arguments than are known", node->text);
}

/* Is a text in it whose bytes are others at the target? */
static bool
is_recoded(const struct tr_expr *node)
{
    const struct tr_column *column = node->kind == EXPR_COLUMN ? node->column : NULL;
    bool recoded = column != NULL && (column->logical == TR_CHAR ||
                                      (column->charset != NULL && strncmp(column->charset, "utf8", 4) != 0));
    for (uint16_t i = 0; i < node->nargs && !recoded; i++)
        recoded = node->args[i] != NULL && is_recoded(node->args[i]);
    return recoded;
}

/* Where the two engines' functions of one name differ. */
static bool
check_pitfalls(struct checker *c, const struct tr_expr *node, const struct function *function)
{
    static const char *const folds[] = { "lower", "upper", NULL };
    static const char *const rounds[] = { "floor", "ceil", "ceiling", NULL };
    if (is_one_of(function->postgresql, folds) && c->e->use != TR_EXPRESSION_INDEX)
        return tr_expression_refuse(c->e, "the engines do not agree on the case of every letter");
    if (is_one_of(function->postgresql, rounds) && node->args[0]->class == EXPR_INT)
        return tr_expression_refuse(
            c->e, "of a whole number %s() is a floating one in PostgreSQL, and a whole one in MySQL",
            node->text);
    if (strcmp(function->postgresql, "octet_length") == 0 && is_recoded(node))
        return tr_expression_refuse(c->e, "a length in bytes is another in the target's character set");
    return true;
}

static bool
call_as(struct checker *c, struct tr_expr *node, const struct function *function)
{
    static const char *const parts[] = { "year", "month", "day", "hour", "minute", NULL };
    if (!check_arguments(c, node, function->args) || !check_pitfalls(c, node, function))
        return false;
    node->class = function->class != EXPR_NULL ? function->class : node->args[0]->class;
    if (c->from_postgresql && is_one_of(function->postgresql, parts))
        node->class = EXPR_DECIMAL; /* what EXTRACT gives: it divides with digits behind the point */
    node->text = c->to_postgresql          ? function->postgresql
                 : function->print != NULL ? function->print
                                           : function->postgresql;
    return true;
}

/* coalesce(a, b), nullif(a, b): a choice among what they are given. */
static bool
check_choice(struct checker *c, struct tr_expr *node)
{
    bool null_if = strcmp(node->text, "nullif") == 0;
    node->class = EXPR_NULL;
    if (node->nargs == 0 || (null_if && node->nargs != 2))
        return tr_expression_refuse(c->e, "%s() lacks an argument", node->text);
    for (uint16_t i = 0; i < node->nargs; i++)
        if (!check(c, node->args[i]) || !join_class(c, node, node->args[i]))
            return false;
    if (null_if && !comparable(c, node->args[0], node->args[1], "=", false, 0))
        return false;
    for (uint16_t i = 0; null_if && i < node->nargs; i++)
        if (node->args[i]->trimmed)
            return tr_expression_refuse(
                c->e, "nullif() compares texts with their trailing blanks at the target only");
    node->text = null_if ? "nullif" : "coalesce";
    return true;
}

/* if(a, b, c) and concat(a, b) of MySQL in the form that PostgreSQL has. */
static bool
check_mysql_call(struct checker *c, struct tr_expr *node, bool *known)
{
    if (strcmp(node->text, "if") == 0 && node->nargs == 3) {
        struct tr_expr **args = tr_arena_zalloc(c->arena, 5 * sizeof(struct tr_expr *));
        memcpy(args + 1, node->args, 3 * sizeof(struct tr_expr *));
        node->kind = EXPR_CASE;
        node->args = args;
        node->nargs = 4;
    } else if (strcmp(node->text, "concat") == 0 && node->nargs > 0) {
        node->kind = EXPR_CONCAT;
    } else if (strcmp(node->text, "isnull") == 0 && node->nargs == 1) {
        node->kind = EXPR_IS;
        node->text = "null";
    } else {
        *known = false;
        return false;
    }
    return check(c, node);
}

static bool
check_call(struct checker *c, struct tr_expr *node)
{
    static const char *const choices[] = { "coalesce", "ifnull", "nullif", NULL };
    bool known = !c->from_postgresql;
    if (is_one_of(node->text, choices) && (strcmp(node->text, "ifnull") != 0 || !c->from_postgresql))
        return check_choice(c, node);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const char *name = c->from_postgresql ? functions[i].postgresql : functions[i].mysql;
        if (name != NULL && strcmp(name, node->text) == 0)
            return call_as(c, node, &functions[i]);
    }
    if (known) {
        bool good = check_mysql_call(c, node, &known);
        if (known)
            return good;
    }
    return tr_expression_refuse(c->e, "%.40s() is not known to mean the same", node->text);
}

/* ---- all kinds */

static bool
check_is(struct checker *c, struct tr_expr *node)
{
    node->class = EXPR_BOOL;
    return strcmp(node->text, "null") == 0 ? check(c, node->args[0]) : check_truth(c, node->args[0]);
}

static bool
check_kind(struct checker *c, struct tr_expr *node, int polarity)
{
    switch (node->kind) {
    case EXPR_NUMBER: return check_number(node);
    case EXPR_STRING: return check_string(c, node);
    case EXPR_CONSTANT: node->class = node->text[0] == 'n' ? EXPR_NULL : EXPR_BOOL; return true;
    case EXPR_COLUMN: return check_column(c, node);
    case EXPR_NOT:
    case EXPR_AND:
    case EXPR_OR: node->class = EXPR_BOOL; return check_all(c, node, check_truth);
    case EXPR_MINUS: return check_minus(c, node);
    case EXPR_COMPARE:
    case EXPR_SAME:
    case EXPR_IN:
    case EXPR_BETWEEN: return check_comparison(c, node, polarity);
    case EXPR_ARITHMETIC: return check_arithmetic(c, node);
    case EXPR_CONCAT: node->class = EXPR_TEXT; return check_all(c, node, check_text);
    case EXPR_IS: return check_is(c, node);
    case EXPR_LIKE: return check_like(c, node);
    case EXPR_CASE: return check_case(c, node);
    case EXPR_CALL: return check_call(c, node);
    case EXPR_LIST: break;
    }
    return tr_expression_refuse(c->e, "a list stands where one value is needed");
}

static bool
check(struct checker *c, struct tr_expr *node)
{
    int before = c->polarity;
    bool passes_on = node->kind == EXPR_AND || node->kind == EXPR_OR;
    c->polarity = node->kind == EXPR_NOT ? -before : passes_on ? before : 0;
    bool good = check_kind(c, node, before);
    if (good && node->cast > node->class && is_numeric(node->class))
        node->class = node->cast;
    c->polarity = before;
    return good;
}

/* Can the value be stored in the column without another conversion at the target than at the source? */
static bool
check_stored(struct checker *c, struct tr_expr *node)
{
    enum tr_expr_class class = class_of(c->e->column);
    if (node->class == EXPR_NULL || node->class == class)
        return class != EXPR_ENUM && class != EXPR_OTHER
                   ? true
                   : tr_expression_refuse(c->e, "a column of a type of its own");
    if (is_numeric(node->class) && is_numeric(class) && node->class != EXPR_FLOAT)
        return true;
    node->as_int = node->class == EXPR_BOOL && class == EXPR_INT && c->to_postgresql;
    return node->as_int || tr_expression_refuse(c->e, "its value is of another kind than the column's");
}

bool
tr_expression_check(struct tr_expression *e, struct tr_arena *arena, struct tr_expr *node)
{
    struct checker c = { .e = e,
                         .arena = arena,
                         .from_postgresql = strcmp(e->from, "postgresql") == 0,
                         .to_postgresql = strcmp(e->to, "postgresql") == 0,
                         .polarity = e->use == TR_EXPRESSION_CHECK };
    bool good = e->use == TR_EXPRESSION_CHECK ? check_truth(&c, node) : check(&c, node);
    return good && (e->column == NULL || check_stored(&c, node));
}
