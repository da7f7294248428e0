/* expression_lex.c - see expression_lex.h. */
#include "schema/expression_lex.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"

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

static void
keep(struct tr_lexer *p, enum token_kind kind, const char *from, size_t len)
{
    p->kind = kind;
    p->text = tr_arena_copy(p->arena, from, len);
}

/* What stands between quotes, decoded; p->at is behind the opening one. */
static void
quoted(struct tr_lexer *p, enum token_kind kind, char quote, bool backslashes)
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
word(struct tr_lexer *p)
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
number(struct tr_lexer *p)
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
symbol(struct tr_lexer *p)
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

void
tr_lex_next(struct tr_lexer *p)
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

bool
tr_lex_is(const struct tr_lexer *p, const char *text)
{
    return (p->kind == TOKEN_WORD || p->kind == TOKEN_SYMBOL) && strcmp(p->text, text) == 0;
}

bool
tr_lex_take(struct tr_lexer *p, const char *text)
{
    bool there = tr_lex_is(p, text);
    if (there)
        tr_lex_next(p);
    return there;
}

bool
tr_lex_then(const struct tr_lexer *p, const char *text)
{
    const char *at = p->at + strspn(p->at, " \t\r\n");
    size_t len = strlen(text);
    bool word = isalpha((unsigned char)text[0]);
    return strncasecmp(at, text, len) == 0 && (!word || (!isalnum((unsigned char)at[len]) && at[len] != '_'));
}

bool
tr_lex_among(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}
