/* sequence.c - what a default says of a sequence, in MariaDB's words and in PostgreSQL's. */
#include "schema/sequence.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "schema/own_column.h"

static bool
in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* A name, bare or between two of `quote`, which are doubled inside; *p is left behind it. NULL = none begins there. */
static const char *
read_name(struct tr_arena *arena, const char **p, char quote)
{
    struct tr_buffer name;
    const char *at = *p;
    tr_buffer_init(&name, 4096);
    if (*at == quote) {
        for (at++; *at != '\0' && (*at != quote || at[1] == quote); at++) {
            at += *at == quote;
            tr_buffer_byte(&name, *at);
        }
        at += *at == quote;
    } else {
        for (; in_word(*at); at++)
            tr_buffer_byte(&name, *at);
    }
    const char *copy = name.len > 0 ? tr_arena_copy(arena, name.data, name.len) : NULL;
    tr_buffer_fini(&name);
    *p = at;
    return copy;
}

/* [schema.]name */
static bool
read_names(struct tr_arena *arena, const char **p, char quote, struct tr_sequence_call *call)
{
    call->schema = NULL;
    call->name = read_name(arena, p, quote);
    if (call->name != NULL && **p == '.') {
        (*p)++;
        call->schema = call->name;
        call->name = read_name(arena, p, quote);
    }
    return call->name != NULL;
}

bool
tr_sequence_call(struct tr_arena *arena, const char *text, struct tr_sequence_call *call)
{
    const char *end = text + strlen(text);
    for (const char *p = text; p < end; p++) {
        if (*p == '\'' || *p == '"' || *p == '`') {
            p = tr_own_group_end(p, end);
            if (p == NULL)
                return false;
            p--;
            continue;
        }
        bool next = strncasecmp(p, "nextval(", 8) == 0;
        if ((!next && strncasecmp(p, "lastval(", 8) != 0) || (p > text && in_word(p[-1])))
            continue;
        const char *at = p + 8;
        if (!read_names(arena, &at, '`', call) || *at != ')')
            continue;
        call->next = next;
        call->from = p;
        call->to = at + 1;
        return true;
    }
    return false;
}

bool
tr_sequence_alone(struct tr_arena *arena, const char *text, struct tr_sequence_call *call)
{
    size_t depth = strspn(text, "(");
    return tr_sequence_call(arena, text, call) && call->from == text + depth &&
           strspn(call->to, ")") == depth && call->to[depth] == '\0';
}

bool
tr_sequence_regclass(struct tr_arena *arena, const char *text, struct tr_sequence_call *call)
{
    static const char head[] = "nextval('", tail[] = "'::regclass)";
    struct tr_buffer inner;
    size_t len = strlen(text);
    if (len <= sizeof head + sizeof tail - 2 || strncmp(text, head, sizeof head - 1) != 0 ||
        strcmp(text + len - (sizeof tail - 1), tail) != 0)
        return false;
    tr_buffer_init(&inner, 4096);
    for (const char *p = text + sizeof head - 1; p < text + len - (sizeof tail - 1); p++) {
        p += *p == '\'' && p[1] == '\'';
        tr_buffer_byte(&inner, *p);
    }
    const char *at = tr_arena_copy(arena, inner.data, inner.len);
    tr_buffer_fini(&inner);
    bool whole = read_names(arena, &at, '"', call) && *at == '\0';
    call->next = true;
    call->from = text;
    call->to = text + len;
    return whole;
}

const struct tr_object *
tr_sequence_called(const struct tr_schema *schema, const struct tr_sequence_call *call, const char *from)
{
    for (uint32_t i = 0; i < schema->nobjects; i++) {
        const struct tr_object *object = &schema->objects[i];
        if (object->kind == TR_OBJECT_SEQUENCE && strcmp(object->name, call->name) == 0 &&
            strcmp(object->schema, call->schema != NULL ? call->schema : from) == 0)
            return object;
    }
    return NULL;
}

/* a > b, where one of them may be a number above 2^63. */
static bool
above(bool is_unsigned, int64_t a, int64_t b)
{
    return is_unsigned ? (uint64_t)a > (uint64_t)b : a > b;
}

bool
tr_sequence_fit(const struct tr_object *sequence, int64_t least, int64_t most, struct tr_object *fit)
{
    bool large = sequence->is_unsigned;
    *fit = *sequence;
    if (large && least < 0)
        least = 0;
    if (above(large, sequence->minimum, most) || above(large, least, sequence->maximum))
        return false;
    fit->minimum = above(large, least, sequence->minimum) ? least : sequence->minimum;
    fit->maximum = above(large, sequence->maximum, most) ? most : sequence->maximum;
    fit->start = above(large, sequence->start, fit->maximum)   ? fit->maximum
                 : above(large, fit->minimum, sequence->start) ? fit->minimum
                                                               : sequence->start;
    if (above(large, sequence->last_value, fit->maximum) ||
        above(large, fit->minimum, sequence->last_value)) {
        bool over = above(large, sequence->last_value, fit->maximum), down = sequence->increment < 0;
        fit->last_value = over ? fit->maximum : fit->minimum;
        fit->is_called = over != down; /* else it is yet to come to the numbers that fit */
    }
    fit->is_unsigned = false;
    return true;
}
