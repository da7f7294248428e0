/* pattern.c - wild cards. */
#include "core/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static bool
is_wild(char c)
{
    return c == '%' || c == '*';
}

/* "[x]" stands for x alone. */
static bool
is_bracket(const char *pattern)
{
    return pattern[0] == '[' && pattern[1] != '\0' && pattern[2] == ']';
}

/* Iterative matching with one point to go back to: the last wild card. */
static bool
glob(const char *pattern, const char *text)
{
    const char *back_pattern = NULL, *back_text = NULL;
    while (*text != '\0') {
        if (is_wild(*pattern)) {
            back_pattern = ++pattern;
            back_text = text;
        } else if (is_bracket(pattern) ? pattern[1] == *text : (*pattern != '\0' && *pattern == *text)) {
            pattern += is_bracket(pattern) ? 3 : 1;
            text++;
        } else if (back_pattern != NULL) {
            pattern = back_pattern;
            text = ++back_text;
        } else {
            return false;
        }
    }
    while (is_wild(*pattern))
        pattern++;
    return *pattern == '\0';
}

bool
tr_pattern_match(const char *pattern, const char *schema, const char *table)
{
    if (strchr(pattern, '.') == NULL)
        return glob(pattern, table);
    char *whole = tr_asprintf("%s.%s", schema, table);
    bool match = glob(pattern, whole);
    free(whole);
    return match;
}
