/* error.c - filling in and passing on a struct tr_error. */
#include "core/error.h"

#include <stdio.h>
#include <string.h>

void
tr_error_clear(struct tr_error *err)
{
    err->class = TR_NO_ERROR;
    err->sqlstate[0] = err->text[0] = err->hint[0] = '\0';
}

int
tr_fail(struct tr_error *err, enum tr_error_class class, const char *fmt, ...)
{
    va_list args;
    tr_error_clear(err);
    err->class = class;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return -(int)class;
}

int
tr_error_prefix(struct tr_error *err, const char *fmt, ...)
{
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t len = strlen(text);
    if (len + 3 < sizeof(text)) { /* a text too long for both loses its end */
        memcpy(text + len, ": ", 2);
        size_t room = sizeof(text) - len - 3, more = strnlen(err->text, room);
        memcpy(text + len + 2, err->text, more);
        text[len + 2 + more] = '\0';
    }
    memcpy(err->text, text, sizeof(text));
    return -(int)err->class;
}

int
tr_error_hint(struct tr_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof(err->hint), fmt, args);
    va_end(args);
    return -(int)err->class;
}

const char *tr_error_class_name(enum tr_error_class class)
{
    static const char *const names[] = { "none", "retry", "fatal", "configuration", "refused", "conflict" };
    return (unsigned)class < sizeof(names) / sizeof(names[0]) ? names[class] : "unknown";
}
