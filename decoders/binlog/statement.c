/*
 * statement.c - which tables a DDL statement names, and where: so that a sink can run it under other names.
 *
 * Only statements that make, change or drop tables and their indexes are looked at; all others stay TR_VERB_OTHER. The
 * text is read as tokens (words, names in quotes, texts, single characters), which is enough to find every name.
 */
#include <string.h>
#include <strings.h>

#include "decoders/binlog/internal.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_TEXT, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    const char *from, *to;
};

struct scan {
    struct tr_arena *arena;
    struct tr_event *event;
    const char *at, *end;
    uint32_t capacity;
    uint32_t renames; /* room for them */
};

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

/* Behind the closing quote; doubled quotes stay inside, and in texts what a backslash escapes. */
static const char *
behind_quote(const struct scan *s)
{
    char quote = *s->at;
    for (const char *p = s->at + 1; p < s->end; p++) {
        if (*p == '\\' && quote != '`' && p + 1 < s->end)
            p++;
        else if (*p == quote && (p + 1 == s->end || *++p != quote))
            return p + 1 == s->end && *p == quote ? s->end : p;
    }
    return s->end;
}

static struct token
next(struct scan *s)
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

static bool
is_word(const struct token *t, const char *word)
{
    size_t n = strlen(word);
    return t->kind == TOKEN_WORD && (size_t)(t->to - t->from) == n && strncasecmp(t->from, word, n) == 0;
}

static bool
is_any(const struct token *t, const char *const *words)
{
    for (; *words != NULL; words++)
        if (is_word(t, *words))
            return true;
    return false;
}

static bool
is_mark(const struct token *t, char c)
{
    return t->kind == TOKEN_OTHER && *t->from == c;
}

/* Passes over the next token when it is this word. */
static bool
accept(struct scan *s, const char *word)
{
    struct scan ahead = *s;
    struct token t = next(&ahead);
    if (!is_word(&t, word))
        return false;
    s->at = ahead.at;
    return true;
}

static const char *
name_of(const struct scan *s, const struct token *t)
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

static bool
is_name(const struct token *t)
{
    return t->kind == TOKEN_WORD || t->kind == TOKEN_NAME;
}

/* [database.]table is the next thing: one more of the statement's tables. */
static bool
take_table(struct scan *s)
{
    struct tr_event *event = s->event;
    struct token first = next(s), second = first;
    struct scan ahead = *s;
    struct token dot = next(&ahead);
    if (!is_name(&first))
        return false;
    bool qualified = is_mark(&dot, '.');
    if (qualified) {
        second = next(&ahead);
        s->at = ahead.at;
    }
    if (!is_name(&second))
        return false;
    if (event->ddl.ntables == s->capacity) {
        struct tr_ddl_table *more = tr_arena_zalloc(s->arena, (s->capacity + 4) * 2 * sizeof *more);
        if (event->ddl.ntables > 0)
            memcpy(more, event->ddl.tables, event->ddl.ntables * sizeof *more);
        event->ddl.tables = more;
        s->capacity = (s->capacity + 4) * 2;
    }
    struct tr_ddl_table *table = &event->ddl.tables[event->ddl.ntables++];
    table->schema = table->target_schema = qualified ? name_of(s, &first) : event->ddl.database;
    table->name = table->target_name = name_of(s, &second);
    table->at = (uint32_t)(first.from - event->ddl.text);
    table->len = (uint32_t)(second.to - first.from);
    return true;
}

static bool
if_exists(struct scan *s)
{
    if (!accept(s, "IF"))
        return true;
    accept(s, "NOT");
    return accept(s, "EXISTS");
}

/* [IF EXISTS] a [TO] b */
static void
take_column_names(struct scan *s, bool with_to)
{
    struct scan ahead = *s;
    struct tr_event *event = s->event;
    if (!if_exists(&ahead))
        return;
    struct token from = next(&ahead);
    if (with_to && !accept(&ahead, "TO"))
        return;
    struct token to = next(&ahead);
    if (!is_name(&from) || !is_name(&to))
        return;
    if (event->ddl.nrenames == s->renames) {
        s->renames = 2 * s->renames + 4;
        struct tr_ddl_rename *more = tr_arena_zalloc(s->arena, s->renames * sizeof *more);
        if (event->ddl.nrenames > 0)
            memcpy(more, event->ddl.renames, event->ddl.nrenames * sizeof *more);
        event->ddl.renames = more;
    }
    struct tr_ddl_rename *rename = (struct tr_ddl_rename *)&event->ddl.renames[event->ddl.nrenames];
    *rename = (struct tr_ddl_rename){ name_of(s, &from), name_of(s, &to) };
    event->ddl.nrenames += strcmp(rename->from, rename->to) != 0;
    s->at = ahead.at;
}

/* What an action of ALTER TABLE does to columns; true when it has been taken whole. Indexes, constraints and options of the table leave them alone. */
static bool
take_columns(struct scan *s, const struct token *t)
{
    static const char *const others[] = { "INDEX",   "KEY",        "UNIQUE",  "FULLTEXT",
                                          "SPATIAL", "CONSTRAINT", "PRIMARY", "FOREIGN",
                                          "CHECK",   "PARTITION",  "VECTOR",  NULL };
    static const char *const columns[] = { "CHANGE", "MODIFY", "COLUMN", "FIRST", "AFTER", "CONVERT", NULL };
    struct scan ahead = *s;
    struct token what = next(&ahead);
    bool add = is_word(t, "ADD") || is_word(t, "DROP");
    s->event->ddl.reshapes = s->event->ddl.reshapes || is_any(t, columns) || (add && !is_any(&what, others));
    if (is_word(t, "CHANGE")) {
        accept(s, "COLUMN");
        take_column_names(s, false);
    } else if (is_word(t, "RENAME") && is_word(&what, "COLUMN")) {
        s->event->ddl.reshapes = true;
        s->at = ahead.at;
        take_column_names(s, true);
        return true;
    }
    return false;
}

/* Another table that an action of ALTER TABLE names: RENAME TO t, EXCHANGE PARTITION p WITH TABLE t. */
static bool
take_action(struct scan *s, const struct token *t)
{
    static const char *const parts[] = { "COLUMN", "INDEX", "KEY", "CONSTRAINT", "PARTITION", NULL };
    if (is_word(t, "TABLE"))
        return take_table(s);
    if (take_columns(s, t))
        return true;
    if (!is_word(t, "RENAME"))
        return true;
    struct scan ahead = *s;
    struct token what = next(&ahead);
    if (is_any(&what, parts))
        return true;
    s->event->ddl.reshapes = true;
    if (is_word(&what, "TO") || is_word(&what, "AS") || is_mark(&what, '='))
        s->at = ahead.at;
    bool known = take_table(s);
    if (known)
        s->event->ddl.tables[s->event->ddl.ntables - 1].renamed = true;
    return known;
}

/* What follows the table's own name: other tables by name. */
static bool
take_rest(struct scan *s, bool alter)
{
    int depth = 0;
    bool first = true, known = true;
    for (struct token t = next(s); known && t.kind != TOKEN_END; t = next(s)) {
        depth += is_mark(&t, '(') ? 1 : is_mark(&t, ')') ? -1 : 0;
        if (is_word(&t, "REFERENCES") || (!alter && first && is_word(&t, "LIKE")))
            known = take_table(s);
        else if (alter && depth == 0)
            known = take_action(s, &t);
        first = first && is_mark(&t, '(');
    }
    return known;
}

/* INDEX [IF ...] name [USING type] ON table */
static bool
take_index(struct scan *s)
{
    if (!if_exists(s))
        return false;
    for (struct token t = next(s); t.kind != TOKEN_END; t = next(s))
        if (is_word(&t, "ON"))
            return take_table(s);
    return false;
}

static enum tr_ddl_verb
create(struct scan *s)
{
    static const char *const kinds[] = {
        "ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", NULL
    };
    if (accept(s, "OR") && !accept(s, "REPLACE"))
        return TR_VERB_OTHER;
    struct token t = next(s);
    while (is_any(&t, kinds))
        t = next(s);
    if (is_word(&t, "TABLE"))
        return if_exists(s) && take_table(s) && take_rest(s, false) ? TR_VERB_CREATE_TABLE : TR_VERB_OTHER;
    return is_word(&t, "INDEX") && take_index(s) ? TR_VERB_CREATE_INDEX : TR_VERB_OTHER;
}

static enum tr_ddl_verb
drop(struct scan *s)
{
    while (accept(s, "ONLINE") || accept(s, "OFFLINE"))
        continue;
    if (accept(s, "INDEX"))
        return take_index(s) ? TR_VERB_DROP_INDEX : TR_VERB_OTHER;
    if ((!accept(s, "TABLE") && !accept(s, "TABLES")) || !if_exists(s))
        return TR_VERB_OTHER;
    for (struct token t = { TOKEN_OTHER, ",", NULL }; is_mark(&t, ','); t = next(s))
        if (!take_table(s))
            return TR_VERB_OTHER;
    return TR_VERB_DROP_TABLE;
}

static enum tr_ddl_verb
alter(struct scan *s)
{
    while (accept(s, "ONLINE") || accept(s, "OFFLINE") || accept(s, "IGNORE"))
        continue;
    bool known = accept(s, "TABLE") && if_exists(s) && take_table(s) && take_rest(s, true);
    return known ? TR_VERB_ALTER_TABLE : TR_VERB_OTHER;
}

static enum tr_ddl_verb
rename_tables(struct scan *s)
{
    if ((!accept(s, "TABLE") && !accept(s, "TABLES")) || !if_exists(s))
        return TR_VERB_OTHER;
    for (struct token t = { TOKEN_OTHER, ",", NULL }; is_mark(&t, ','); t = next(s))
        if (!take_table(s) || !accept(s, "TO") || !take_table(s))
            return TR_VERB_OTHER;
    return TR_VERB_RENAME_TABLE;
}

void
binlog_read_tables(struct tr_arena *arena, struct tr_event *event)
{
    struct scan s = { arena, event, event->ddl.text, event->ddl.text + strlen(event->ddl.text), 0, 0 };
    event->ddl.tables = NULL;
    event->ddl.renames = NULL;
    event->ddl.nrenames = 0;
    event->ddl.reshapes = false;
    event->ddl.ntables = 0;
    enum tr_ddl_verb verb = accept(&s, "ALTER")    ? alter(&s)
                            : accept(&s, "CREATE") ? create(&s)
                            : accept(&s, "DROP")   ? drop(&s)
                            : accept(&s, "RENAME") ? rename_tables(&s)
                                                   : TR_VERB_OTHER;
    event->ddl.verb = (uint8_t)verb;
    event->ddl.reshapes = event->ddl.reshapes || verb == TR_VERB_DROP_TABLE || verb == TR_VERB_RENAME_TABLE;
    if (verb == TR_VERB_OTHER)
        event->ddl.ntables = 0;
}
