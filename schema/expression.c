/* expression.c - an expression that was understood, written as the target has it. */
#include "schema/expression.h"

#include <string.h>

#include "schema/expression_internal.h"

struct printer {
    struct tr_buffer *out;
    bool postgresql; /* the target */
    bool
        computes; /* inside a sum, a product: MySQL's whole numbers have 64 bits there, and PostgreSQL's casts count */
};

static void print(struct printer *p, const struct tr_expr *node);

static void
text(struct printer *p, const char *text)
{
    tr_buffer_text(p->out, text);
}

static void
quote(struct printer *p, const char *name)
{
    char mark = p->postgresql ? '"' : '`';
    tr_buffer_byte(p->out, mark);
    for (; *name != '\0'; name++) {
        if (*name == mark)
            tr_buffer_byte(p->out, mark);
        tr_buffer_byte(p->out, *name);
    }
    tr_buffer_byte(p->out, mark);
}

static void
literal(struct printer *p, const char *value)
{
    text(p, p->postgresql && strchr(value, '\\') != NULL ? "E'" : "'");
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            tr_buffer_byte(p->out, *value);
        tr_buffer_byte(p->out, *value);
    }
    tr_buffer_byte(p->out, '\'');
}

static void
string(struct printer *p, const struct tr_expr *node)
{
    if (node->class == EXPR_DATE || node->class == EXPR_MOMENT)
        text(p, node->class == EXPR_DATE ? "DATE" : "TIMESTAMP");
    literal(p, node->text);
    if (p->postgresql && node->class == EXPR_TEXT)
        text(p, "::text");
}

/* a, b, c from the first on. */
static void
list(struct printer *p, const struct tr_expr *node, uint16_t first, const char *between)
{
    for (uint16_t i = first; i < node->nargs; i++) {
        text(p, i > first ? between : "");
        print(p, node->args[i]);
    }
}

static void
two(struct printer *p, const struct tr_expr *node, const char *sign)
{
    print(p, node->args[0]);
    tr_buffer_printf(p->out, " %s ", sign);
    print(p, node->args[1]);
}

/* Is it of a type of whole numbers in PostgreSQL? BIGINT UNSIGNED has become a numeric. */
static bool
is_whole(const struct tr_expr *node)
{
    bool whole = node->class == EXPR_INT;
    switch (node->kind) {
    case EXPR_NUMBER: return whole && strlen(node->text) < 19;
    case EXPR_COLUMN: return whole && node->column->logical != TR_UINT64;
    case EXPR_CALL:
    case EXPR_MINUS:
    case EXPR_ARITHMETIC:
        for (uint16_t i = 0; i < node->nargs && whole; i++)
            whole = node->args[i]->class != EXPR_INT || is_whole(node->args[i]);
        return whole;
    default: return false;
    }
}

/* MySQL divides by 0 and gets NULL. */
static void
divisor(struct printer *p, const struct tr_expr *node)
{
    bool guarded = p->postgresql && (node->kind != EXPR_NUMBER || strpbrk(node->text, "123456789") == NULL);
    text(p, guarded ? "NULLIF(" : "");
    print(p, node);
    text(p, guarded ? ", 0)" : "");
}

static void
arithmetic(struct printer *p, const struct tr_expr *node)
{
    bool before = p->computes, whole = strcmp(node->text, "div") == 0;
    bool call = whole && p->postgresql && !(is_whole(node->args[0]) && is_whole(node->args[1]));
    const char *sign = !whole ? node->text : !p->postgresql ? "DIV" : call ? "::numeric," : "/";
    p->computes = true;
    text(p, call ? "div(" : "");
    print(p, node->args[0]);
    tr_buffer_printf(p->out, call ? "%s " : " %s ", sign);
    if (whole || strchr("/%", node->text[0]) != NULL)
        divisor(p, node->args[1]);
    else
        print(p, node->args[1]);
    text(p, call ? "::numeric)" : "");
    p->computes = before;
}

static void
minus(struct printer *p, const struct tr_expr *node)
{
    bool before = p->computes;
    p->computes = true;
    text(p, "- ");
    print(p, node->args[0]);
    p->computes = before;
}

static void
number(struct printer *p, const struct tr_expr *node)
{
    bool exact = strpbrk(node->text, "eE") == NULL;
    text(p, node->text);
    text(p, p->computes && !p->postgresql && node->cast == EXPR_FLOAT && exact ? "e0" : "");
}

static void
concat(struct printer *p, const struct tr_expr *node)
{
    if (!p->postgresql)
        text(p, "concat(");
    for (uint16_t i = 0; i < node->nargs; i++) {
        text(p, i == 0 ? "" : p->postgresql ? " || " : ", ");
        print(p, node->args[i]);
        text(p, p->postgresql && node->args[i]->kind == EXPR_COLUMN ? "::text" : "");
    }
    text(p, p->postgresql ? "" : ")");
}

static void
choice(struct printer *p, const struct tr_expr *node)
{
    const struct tr_expr *otherwise = node->args[node->nargs - 1];
    text(p, "CASE");
    if (node->args[0] != NULL) {
        tr_buffer_byte(p->out, ' ');
        print(p, node->args[0]);
    }
    for (uint16_t i = 1; i + 1 < node->nargs; i += 2) {
        text(p, " WHEN ");
        print(p, node->args[i]);
        text(p, " THEN ");
        print(p, node->args[i + 1]);
    }
    if (otherwise != NULL) {
        text(p, " ELSE ");
        print(p, otherwise);
    }
    text(p, " END");
}

/* Parts of a date are an expression of their own in PostgreSQL. */
static void
call(struct printer *p, const struct tr_expr *node)
{
    static const char *const parts[] = { "year", "month", "day", "hour", "minute" };
    for (size_t i = 0; p->postgresql && i < sizeof parts / sizeof *parts; i++)
        if (strcmp(node->text, parts[i]) == 0) {
            tr_buffer_printf(p->out, "EXTRACT(%s FROM ", node->text);
            print(p, node->args[0]);
            text(p, ")::integer");
            return;
        }
    bool reserved = p->postgresql && (strcmp(node->text, "left") == 0 || strcmp(node->text, "right") == 0);
    bool before = p->computes;
    p->computes = p->computes || strcmp(node->text, "abs") == 0;
    tr_buffer_printf(p->out, reserved ? "\"%s\"(" : "%s(", node->text);
    if (strcmp(node->text, "mod") == 0) {
        print(p, node->args[0]);
        text(p, ", ");
        divisor(p, node->args[1]);
    } else {
        list(p, node, 0, ", ");
    }
    text(p, ")");
    p->computes = before;
}

static void
column(struct printer *p, const struct tr_expr *node)
{
    enum tr_logical logical = node->column->logical;
    bool whole = logical >= TR_INT8 && logical <= TR_INT64;
    bool cast = p->computes && !p->postgresql && whole && node->cast == EXPR_FLOAT;
    text(p, cast ? "CAST(" : "");
    quote(p, node->text);
    text(p, cast ? " AS DOUBLE)" : p->computes && p->postgresql && whole ? "::bigint" : "");
}

static void
same(struct printer *p, const struct tr_expr *node)
{
    if (p->postgresql) {
        two(p, node, node->negated ? "IS DISTINCT FROM" : "IS NOT DISTINCT FROM");
        return;
    }
    text(p, node->negated ? "NOT (" : "");
    two(p, node, "<=>");
    text(p, node->negated ? ")" : "");
}

static void
among(struct printer *p, const struct tr_expr *node)
{
    print(p, node->args[0]);
    text(p, node->negated ? " NOT IN (" : " IN (");
    list(p, node, 1, ", ");
    text(p, ")");
}

static void
between(struct printer *p, const struct tr_expr *node)
{
    print(p, node->args[0]);
    text(p, node->negated ? " NOT BETWEEN " : " BETWEEN ");
    list(p, node, 1, " AND ");
}

static void
is(struct printer *p, const struct tr_expr *node)
{
    print(p, node->args[0]);
    tr_buffer_printf(p->out, " IS %s%s", node->negated ? "NOT " : "",
                     node->text[0] == 'n'   ? "NULL"
                     : node->text[0] == 't' ? "TRUE"
                                            : "FALSE");
}

static void
operation(struct printer *p, const struct tr_expr *node)
{
    switch (node->kind) {
    case EXPR_NOT:
        text(p, "NOT ");
        list(p, node, 0, "");
        break;
    case EXPR_MINUS: minus(p, node); break;
    case EXPR_AND: two(p, node, "AND"); break;
    case EXPR_OR: two(p, node, "OR"); break;
    case EXPR_COMPARE: two(p, node, node->text); break;
    case EXPR_SAME: same(p, node); break;
    case EXPR_ARITHMETIC: arithmetic(p, node); break;
    case EXPR_CONCAT: concat(p, node); break;
    case EXPR_IS: is(p, node); break;
    case EXPR_LIKE: two(p, node, node->negated ? "NOT LIKE" : "LIKE"); break;
    case EXPR_IN: among(p, node); break;
    case EXPR_BETWEEN: between(p, node); break;
    default: choice(p, node); break;
    }
}

static void
plain(struct printer *p, const struct tr_expr *node)
{
    switch (node->kind) {
    case EXPR_NUMBER: number(p, node); break;
    case EXPR_STRING: string(p, node); break;
    case EXPR_CONSTANT:
        text(p, node->text[0] == 'n' ? "NULL" : node->text[0] == 't' ? "TRUE" : "FALSE");
        break;
    case EXPR_COLUMN: column(p, node); break;
    case EXPR_CALL: call(p, node); break;
    default: {
        bool call_form = node->kind == EXPR_CONCAT && !p->postgresql;
        text(p, call_form ? "" : "(");
        operation(p, node);
        text(p, call_form ? "" : ")");
    }
    }
}

static void
print(struct printer *p, const struct tr_expr *node)
{
    bool as_bool = node->as_bool && p->postgresql, trimmed = node->trimmed && p->postgresql;
    text(p, as_bool ? "(" : trimmed ? "rtrim(" : "");
    plain(p, node);
    text(p, as_bool ? " <> 0)" : trimmed ? ")" : "");
    text(p, node->as_int ? "::integer" : "");
}

bool
tr_expression_translate(struct tr_expression *e, const char *source, struct tr_buffer *out)
{
    struct printer p = { .out = out, .postgresql = strcmp(e->to, "postgresql") == 0 };
    struct tr_arena arena;
    tr_arena_init(&arena);
    e->reason[0] = '\0';
    struct tr_expr *node = tr_expression_parse(e, &arena, source);
    bool known = node != NULL && tr_expression_check(e, &arena, node);
    if (known)
        print(&p, node);
    tr_arena_fini(&arena);
    return known;
}
