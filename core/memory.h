/* memory.h - malloc and its kin that abort with a message instead of returning NULL. */
#ifndef TR_CORE_MEMORY_H
#define TR_CORE_MEMORY_H

#include <stddef.h>

/* The attributes tell the compiler how large the memory is, so that its checks of buffers (_FORTIFY_SOURCE=3) know. */
void *tr_malloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *tr_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *tr_realloc(void *old, size_t size) __attribute__((alloc_size(2), returns_nonnull));
char *tr_strdup(const char *text); /* NULL stays NULL */
char *tr_strndup(const char *text, size_t len);
char *tr_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrite len bytes in a way the compiler keeps, for secrets. */
void tr_wipe(void *p, size_t len);

#endif
