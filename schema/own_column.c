/* own_column.c - a line of SHOW CREATE TABLE, word by word. Words inside quotes and parentheses do not count. */
#include "schema/own_column.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

const char *
tr_own_group_end(const char *p, const char *end)
{
    int depth = 0;
    for (char quote = '\0'; p < end; p++) {
        if (quote != '\0') {
            if (*p == '\\' && quote != '`' && p + 1 < end)
                p++;
            else if (*p == quote)
                quote = '\0';
            if (quote == '\0' && depth == 0)
                return p + 1;
        } else if (*p == '\'' || *p == '`' || *p == '"') {
            quote = *p;
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* The end of a word with all that hangs on it: b'101', current_timestamp(3), _utf8mb4'it''s'. */
static const char *
word_end(const char *p, const char *end)
{
    while (p < end && *p != ' ') {
        if (*p == '(' || *p == '\'' || *p == '`' || *p == '"') {
            p = tr_own_group_end(p, end);
            if (p == NULL)
                return end;
        } else {
            p++;
        }
    }
    return p;
}

static const char *
blanks(const char *p, const char *end)
{
    while (p < end && *p == ' ')
        p++;
    return p;
}

/* Is this word there, whole? */
static bool
is_word(const char *p, const char *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - p) >= len && strncasecmp(p, word, len) == 0 &&
           (p + len == end || !(isalnum((unsigned char)p[len]) || p[len] == '_'));
}

static const char *
copy(struct tr_arena *arena, const char *from, const char *to)
{
    return tr_arena_copy(arena, from, (size_t)(to - from));
}

/* What is in the parentheses that begin behind p. */
static const char *
group(struct tr_arena *arena, const char **p, const char *end)
{
    const char *open = blanks(*p, end),
               *close = open < end && *open == '(' ? tr_own_group_end(open, end) : NULL;
    if (close == NULL)
        return NULL;
    *p = close;
    return copy(arena, open + 1, close - 1);
}

static const char *
value(struct tr_arena *arena, const char **p, const char *end)
{
    const char *start = blanks(*p, end);
    *p = word_end(start, end);
    return copy(arena, start, *p);
}

static void
take_word(struct tr_arena *arena, struct tr_own_column *own, const char **p, const char *end)
{
    const char *at = *p;
    *p = word_end(at, end);
    if (is_word(at, end, "DEFAULT")) {
        *p = at + strlen("DEFAULT");
        own->default_text = value(arena, p, end);
    } else if (is_word(at, end, "ON UPDATE")) {
        *p = at + strlen("ON UPDATE");
        own->on_update = value(arena, p, end);
    } else if (is_word(at, end, "AS")) {
        *p = at + strlen("AS");
        own->generated = group(arena, p, end);
    } else if (is_word(at, end, "CHECK")) {
        *p = at + strlen("CHECK");
        own->check = group(arena, p, end);
    } else if (is_word(at, end, "COMMENT")) {
        *p = at + strlen("COMMENT");
        value(arena, p, end);
    } else if (is_word(at, end, "STORED") || is_word(at, end, "PERSISTENT")) {
        own->stored = true;
    } else if (is_word(at, end, "INVISIBLE")) {
        own->invisible = true;
    }
}

/* "\n  `name` ", back-ticks doubled: the beginning of the column's line, behind its name. */
static const char *
find_line(const struct tr_table *table, const char *name)
{
    struct tr_buffer start;
    tr_buffer_init(&start, 4096);
    tr_buffer_text(&start, "\n  `");
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '`')
            tr_buffer_byte(&start, '`');
        tr_buffer_byte(&start, *p);
    }
    tr_buffer_text(&start, "` ");
    const char *line = table->create != NULL ? strstr(table->create, start.data) : NULL;
    line = line != NULL ? line + start.len : NULL;
    tr_buffer_fini(&start);
    return line;
}

bool
tr_own_column(struct tr_arena *arena, const struct tr_table *table, const char *name,
              struct tr_own_column *own)
{
    const char *p = find_line(table, name);
    *own = (struct tr_own_column){ .default_text = NULL };
    if (p == NULL)
        return false;
    const char *end = strchrnul(p, '\n');
    end -= end > p && end[-1] == ',';
    while ((p = blanks(p, end)) < end) {
        if (strncmp(p, "/*!", 3) == 0) /* a hint for older servers: what it holds counts */
            p = word_end(p, end);
        else
            take_word(arena, own, &p, end);
    }
    if (own->default_text != NULL && strcasecmp(own->default_text, "NULL") == 0)
        own->default_text = NULL;
    return true;
}
