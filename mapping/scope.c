/* scope.c - a task's patterns as a text: rules "KIND LENGTH:TEXT" without blanks, KIND one of the below. */
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/memory.h"
#include "mapping/internal.h"

#define INCLUDE '+'
#define EXCLUDE '-'
#define ONLY '='
#define WITHOUT '!'

static void
add(struct tr_buffer *out, char kind, const char *text)
{
    if (text != NULL)
        tr_buffer_printf(out, "%c%zu:%s", kind, strlen(text), text);
}

char *
tr_mapping_scope(const struct tr_mapping *mapping, const char *only, const char *without)
{
    struct tr_buffer out;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    for (size_t i = 0; i < mapping->nincludes; i++)
        add(&out, INCLUDE, mapping->include[i]);
    for (size_t i = 0; i < mapping->nexcludes; i++)
        add(&out, EXCLUDE, mapping->exclude[i]);
    add(&out, ONLY, only);
    add(&out, WITHOUT, without);
    char *text = tr_strndup(out.data != NULL ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return text;
}

/* The rule at *at, and *at behind it; the text is the caller's to free. NULL = the end, or no rule. */
static char *
next(const char **at, char *kind)
{
    char *colon;
    *kind = **at;
    if (*kind == '\0' || (*at)[1] < '0' || (*at)[1] > '9')
        return NULL;
    unsigned long long len = strtoull(*at + 1, &colon, 10);
    if (*colon != ':' || len > strlen(colon + 1))
        return NULL;
    *at = colon + 1 + len;
    return tr_strndup(colon + 1, (size_t)len);
}

bool
tr_mapping_in_scope(const char *scope, const char *schema, const char *table)
{
    bool in = false, out = strcmp(schema, "tailrace") == 0;
    char kind;
    for (char *text; (text = next(&scope, &kind)) != NULL; free(text)) {
        if (kind == INCLUDE)
            in = in || tr_pattern_match(text, schema, table);
        else if (kind == EXCLUDE)
            out = out || tr_pattern_match(text, schema, table);
        else
            out = out || (strcmp(text, schema) == 0) == (kind == WITHOUT);
    }
    return in && !out;
}
