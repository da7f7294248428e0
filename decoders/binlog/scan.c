/* scan.c - see scan.h. */
#include "decoders/binlog/scan.h"

#include <string.h>
#include <strings.h>

static bool
word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80);
}

static bool
starts(const struct scan *s, const char *what)
{
    size_t n = strlen(what);
    return (size_t)(s->end - s->at) >= n && memcmp(s->at, what, n) == 0;
}

/* Over a comment; only the marks of one whose content is run by some servers. False when none begins here. */
static bool
skip_comment(struct scan *s)
{
    if (starts(s, "/*!") || starts(s, "/*M!")) {
        for (s->at = strchr(s->at, '!') + 1; s->at < s->end && *s->at >= '0' && *s->at <= '9';)
            s->at++;
    } else if (starts(s, "/*")) {
        const char *close = strstr(s->at + 2, "*/");
        s->at = close != NULL ? close + 2 : s->end;
    } else if (starts(s, "*/")) {
        s->at += 2;
    } else if (starts(s, "#") || starts(s, "-- ") || starts(s, "--\t") || starts(s, "--\n")) {
        const char *newline = strchr(s->at, '\n');
        s->at = newline != NULL ? newline + 1 : s->end;
    } else {
        return false;
    }
    return true;
}

/* Bits of the session's sql_mode, the same on MySQL and MariaDB; where the log does not tell it, what is usual holds. */
#define ANSI_QUOTES 4
#define NO_BACKSLASH_ESCAPES 0x100000

static bool
without_backslashes(const struct scan *s)
{
    return s->event->ddl.sql_mode > 0 && (s->event->ddl.sql_mode & NO_BACKSLASH_ESCAPES) != 0;
}

/* Behind the closing quote; doubled quotes stay inside, and in texts what a backslash escapes. */
static const char *
behind_quote(const struct scan *s)
{
    char quote = *s->at;
    bool backslashes = quote != '`' && !without_backslashes(s);
    for (const char *p = s->at + 1; p < s->end; p++) {
        if (*p == '\\' && backslashes && p + 1 < s->end)
            p++;
        else if (*p == quote && (p + 1 == s->end || *++p != quote))
            return p + 1 == s->end && *p == quote ? s->end : p;
    }
    return s->end;
}

struct token
binlog_next(struct scan *s)
{
    struct token t = { TOKEN_END, s->end, s->end };
    while (s->at < s->end && (strchr(" \t\r\n\f\v", *s->at) != NULL || skip_comment(s)))
        s->at += s->at < s->end && strchr(" \t\r\n\f\v", *s->at) != NULL;
    t.from = s->at;
    if (s->at == s->end)
        return t;
    if (*s->at == '`' || *s->at == '"' || *s->at == '\'') {
        t.kind = *s->at == '\'' ? TOKEN_TEXT : TOKEN_NAME;
        s->at = behind_quote(s);
        if (s->at - t.from < 2 || s->at[-1] != *t.from)
            t.kind = TOKEN_OTHER; /* never closed */
    } else if (word_byte(*s->at)) {
        t.kind = TOKEN_WORD;
        while (s->at < s->end && word_byte(*s->at))
            s->at++;
    } else {
        t.kind = TOKEN_OTHER;
        s->at++;
    }
    t.to = s->at;
    return t;
}

bool
binlog_is_word(const struct token *t, const char *word)
{
    size_t n = strlen(word);
    return t->kind == TOKEN_WORD && (size_t)(t->to - t->from) == n && strncasecmp(t->from, word, n) == 0;
}

bool
binlog_is_any(const struct token *t, const char *const *words)
{
    for (; *words != NULL; words++)
        if (binlog_is_word(t, *words))
            return true;
    return false;
}

bool
binlog_is_mark(const struct token *t, char c)
{
    return t->kind == TOKEN_OTHER && *t->from == c;
}

/* Passes over the next token when it is this word. */
bool
binlog_accept(struct scan *s, const char *word)
{
    struct scan ahead = *s;
    struct token t = binlog_next(&ahead);
    if (!binlog_is_word(&t, word))
        return false;
    s->at = ahead.at;
    return true;
}

const char *
binlog_name_of(const struct scan *s, const struct token *t)
{
    if (t->kind == TOKEN_WORD)
        return tr_arena_copy(s->arena, t->from, (size_t)(t->to - t->from));
    char *name = tr_arena_alloc(s->arena, (size_t)(t->to - t->from) + 1);
    size_t n = 0;
    for (const char *p = t->from + 1; p < t->to - 1; p++) {
        p += *p == *t->from && p + 1 < t->to - 1; /* a doubled quote */
        name[n++] = *p;
    }
    name[n] = '\0';
    return name;
}

bool
binlog_is_name(const struct token *t)
{
    return t->kind == TOKEN_WORD || t->kind == TOKEN_NAME;
}

bool
binlog_is_text(const struct scan *s, const struct token *t)
{
    bool names = s->event->ddl.sql_mode > 0 && (s->event->ddl.sql_mode & ANSI_QUOTES) != 0;
    return t->kind == TOKEN_TEXT || (t->kind == TOKEN_NAME && *t->from == '"' && !names);
}

void
binlog_text_of(const struct scan *s, const struct token *t, struct tr_buffer *out)
{
    for (const char *p = t->from + 1; p < t->to - 1; p++) {
        char c = *p;
        if (c == *t->from) {
            p++; /* doubled */
        } else if (c == '\\' && !without_backslashes(s) && p + 1 < t->to - 1) {
            c = *++p;
            if (c == '%' || c == '_') /* of patterns: outside of them the backslash stays */
                tr_buffer_byte(out, '\\');
            c = (char)(c == 'n'   ? '\n'
                       : c == 't' ? '\t'
                       : c == 'r' ? '\r'
                       : c == 'b' ? '\b'
                       : c == '0' ? '\0'
                       : c == 'Z' ? 26
                                  : c);
        }
        tr_buffer_byte(out, c);
    }
}

bool
binlog_if_exists(struct scan *s)
{
    if (!binlog_accept(s, "IF"))
        return true;
    binlog_accept(s, "NOT");
    return binlog_accept(s, "EXISTS");
}
