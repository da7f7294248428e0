/* expression_internal.h - the parsed form of an expression, between expression_parse.c and expression.c. */
#ifndef TR_SCHEMA_EXPRESSION_INTERNAL_H
#define TR_SCHEMA_EXPRESSION_INTERNAL_H

#include "core/arena.h"
#include "core/error.h"
#include "schema/expression.h"

/* What kind of value a part gives. */
enum tr_expr_class {
    EXPR_NULL,
    EXPR_BOOL,
    EXPR_INT,
    EXPR_DECIMAL,
    EXPR_FLOAT,
    EXPR_TEXT,
    EXPR_DATE,
    EXPR_MOMENT, /* date and time without a zone */
    EXPR_ZONED,  /* with one */
    EXPR_TIME,
    EXPR_ENUM,
    EXPR_OTHER, /* may be null or not, and no more is known */
};

enum tr_expr_kind {
    EXPR_NUMBER,   /* text */
    EXPR_STRING,   /* text, decoded */
    EXPR_CONSTANT, /* text: TRUE, FALSE, NULL */
    EXPR_COLUMN,
    EXPR_NOT,
    EXPR_MINUS,
    EXPR_AND,
    EXPR_OR,
    EXPR_COMPARE,    /* text: = <> < <= > >= */
    EXPR_SAME,       /* IS NOT DISTINCT FROM */
    EXPR_ARITHMETIC, /* text: + - * / %; "div": whole numbers */
    EXPR_CONCAT,
    EXPR_IS, /* text: NULL, TRUE, FALSE */
    EXPR_LIKE,
    EXPR_IN,
    EXPR_BETWEEN,
    EXPR_CASE, /* [operand,] when, then, ..., [else]; operand and else may be NULL */
    EXPR_CALL, /* text: the name in lower case */
    EXPR_LIST, /* ARRAY[...] on its way into IN */
};

struct tr_expr {
    enum tr_expr_kind kind;
    enum tr_expr_class class;
    bool negated; /* IS NOT, NOT IN, NOT LIKE, NOT BETWEEN */
    bool as_bool; /* a number that stands for its being other than 0 */
    bool as_int;  /* a truth value that is stored as 0 or 1 */
    bool trimmed; /* a text that compares without its trailing blanks */
    enum tr_expr_class
        cast; /* of a number: what PostgreSQL computes with, EXPR_DECIMAL or EXPR_FLOAT; EXPR_NULL = what it is anyway */
    const char *text;
    const struct tr_column *column;
    struct tr_expr **args;
    uint16_t nargs;
};

/* NULL with e->reason filled when the text is not understood. Parts live in the arena. */
struct tr_expr *tr_expression_parse(struct tr_expression *e, struct tr_arena *arena, const char *text);

/* Gives each part its class, and refuses (false, e->reason) what would not mean the same at the target. */
bool tr_expression_check(struct tr_expression *e, struct tr_arena *arena, struct tr_expr *node);

/* Is it a number by its form? */
bool tr_expression_is_number(const char *text);
/* Always returns false; the first reason stays. */
bool tr_expression_refuse(struct tr_expression *e, const char *fmt, ...) TR_PRINTF(2, 3);

#endif
