/* memory.h - malloc and its kin that abort with a message instead of returning NULL. */
#ifndef TR_CORE_MEMORY_H
#define TR_CORE_MEMORY_H

#include <stddef.h>

void *tr_malloc(size_t size);
void *tr_calloc(size_t count, size_t size);
void *tr_realloc(void *old, size_t size);
char *tr_strdup(const char *text); /* NULL stays NULL */
char *tr_strndup(const char *text, size_t len);
char *tr_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrite len bytes in a way the compiler keeps, for secrets. */
void tr_wipe(void *p, size_t len);

#endif
