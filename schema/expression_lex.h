/* expression_lex.h - an expression as tokens, and what has been read of it. */
#ifndef TR_SCHEMA_EXPRESSION_LEX_H
#define TR_SCHEMA_EXPRESSION_LEX_H

#include "schema/expression_internal.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SYMBOL, TOKEN_BAD };

struct tr_lexer {
    struct tr_expression *e;
    struct tr_arena *arena;
    const char *at; /* behind the token at hand */
    enum token_kind kind;
    const char *text; /* words in lower case, names and strings decoded */
    bool postgresql;
    unsigned depth;
};

/* The token behind the one at hand; TOKEN_BAD = not understood. Texts live in p->arena. */
void tr_lex_next(struct tr_lexer *p);
/* Is the token at hand this word or symbol? */
bool tr_lex_is(const struct tr_lexer *p, const char *text);
/* Goes on behind it if it is. */
bool tr_lex_take(struct tr_lexer *p, const char *text);
/* Does this follow the token at hand? Nothing is taken. */
bool tr_lex_then(const struct tr_lexer *p, const char *text);
/* Is the word in this list, which a NULL ends? */
bool tr_lex_among(const char *word, const char *const *list);

#endif
