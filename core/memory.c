/* memory.c - allocation that never returns NULL. */
#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
must(void *p)
{
    if (p == NULL) {
        fputs("tailrace: out of memory; a restart goes on from the last checkpoint\n", stderr);
        abort();
    }
    return p;
}

void *
tr_malloc(size_t size)
{
    return must(malloc(size > 0 ? size : 1));
}

void *
tr_calloc(size_t count, size_t size)
{
    return must(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
tr_realloc(void *old, size_t size)
{
    return must(realloc(old, size > 0 ? size : 1));
}

char *
tr_strdup(const char *text)
{
    return text != NULL ? must(strdup(text)) : NULL;
}

char *
tr_strndup(const char *text, size_t len)
{
    return must(strndup(text, len));
}

char *
tr_asprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return must(text);
}

void
tr_wipe(void *p, size_t len)
{
    if (p != NULL)
        explicit_bzero(p, len);
}
