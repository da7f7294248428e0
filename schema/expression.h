/*
 * expression.h - checks, generated columns, defaults and index expressions of one engine as another would write them.
 *
 * A small part of SQL is understood: comparisons, AND, OR, NOT, IN, BETWEEN, IS NULL, LIKE, CASE, sums and products, and functions that give the same in PostgreSQL,
 * MySQL and MariaDB. What is not understood, or understood and not certain to mean the same, is refused with the reason: nothing is guessed.
 */
#ifndef TR_SCHEMA_EXPRESSION_H
#define TR_SCHEMA_EXPRESSION_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/relation.h"

enum tr_expression_use {
    TR_EXPRESSION_CHECK,     /* may let more pass than the source's, never less */
    TR_EXPRESSION_GENERATED, /* must give the same value */
    TR_EXPRESSION_DEFAULT,   /* the same, and may call for the time or a UUID */
    TR_EXPRESSION_INDEX,     /* an index that is not unique: of use to queries only */
};

struct tr_expression {
    const struct tr_relation *relation; /* whose columns it names; NULL = none */
    const char *from, *to;              /* dialects: "postgresql", "mysql", "mariadb" */
    enum tr_expression_use use;
    const struct tr_column *column; /* generated, default: what the value is stored in; or NULL */
    char reason[160];               /* why it could not be carried */
};

/* `text` as the source's catalogue prints it, without outer keywords. Appends the target's text, in parentheses where it has an operator. False, with the reason, when it is not carried. */
bool tr_expression_translate(struct tr_expression *e, const char *text, struct tr_buffer *out);

/* 2024-02-29, and with `time` also 2024-02-29 10:00:00.5: the form that all read alike, no part of it zero. */
bool tr_expression_is_iso(const char *text, bool time);

/* Does the expression of MySQL or MariaDB call only functions that both have, and that give the same? to_mariadb: what the target is. */
bool tr_expression_is_shared(const char *text, bool to_mariadb);
/* MySQL's text without the character sets before its constants (_utf8mb4'x'), which MariaDB stores in a form that it cannot read again. */
const char *tr_expression_bare(struct tr_arena *arena, const char *text);

#endif
