/*
 * scan.h - the text of a DDL statement as tokens: words, names in quotes, texts, single characters. Comments are passed over, but for what some servers run.
 */
#ifndef TR_DECODERS_BINLOG_SCAN_H
#define TR_DECODERS_BINLOG_SCAN_H

#include "core/buffer.h"
#include "decoders/binlog/internal.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_TEXT, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    const char *from, *to;
};

/* Copied to look ahead. */
struct scan {
    struct tr_arena *arena;
    struct tr_event *event; /* the statement: its sql_mode says what quotes and backslashes mean */
    const char *at, *end;
    uint32_t capacity, renames; /* room for tables, for names (statement.c) */
};

struct token binlog_next(struct scan *s);
/* Passes over the next token when it is this word. */
bool binlog_accept(struct scan *s, const char *word);
bool binlog_is_word(const struct token *t, const char *word);
bool binlog_is_any(const struct token *t, const char *const *words);
bool binlog_is_mark(const struct token *t, char c);
bool binlog_is_name(const struct token *t);
/* A text, also one in double quotes where these are not for names. */
bool binlog_is_text(const struct scan *s, const struct token *t);
/* Without quotes; in the arena. */
const char *binlog_name_of(const struct scan *s, const struct token *t);
/* Appends what the text means. */
void binlog_text_of(const struct scan *s, const struct token *t, struct tr_buffer *out);
/* [IF [NOT] EXISTS]; false when another word follows IF. */
bool binlog_if_exists(struct scan *s);

/* definition.c: what a clause of ALTER TABLE, from its first word on, does to columns. Adds to event->ddl.columns what is understood. */
void binlog_read_clause(struct scan s);
/* Is it what an index, a constraint or a partition begins with behind ADD or DROP? */
bool binlog_is_no_column(const struct token *t);

#endif
