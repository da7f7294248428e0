/*
 * arena.h - memory that is freed all at once.
 *
 * One arena per batch (and per relation): rows are bumped into it, nothing is freed singly. Allocation never returns
 * NULL: exhaustion aborts the process, which is honest because every length off the wire is checked before it is
 * believed and a restart goes on from the checkpoint.
 */
#ifndef TR_CORE_ARENA_H
#define TR_CORE_ARENA_H

#include <stddef.h>
#include <string.h>

struct tr_arena_chunk;

struct tr_arena {
    char *next; /* first free byte of the current chunk */
    char *end;  /* its end */
    struct tr_arena_chunk *chunks;
    size_t used;     /* bytes handed out since init or reset, for the memory budget */
    size_t reserved; /* bytes held from malloc */
};

void tr_arena_init(struct tr_arena *arena);
void tr_arena_fini(struct tr_arena *arena);

/* Drop everything, keep one chunk of at most 1 MiB for the next use. */
void tr_arena_reset(struct tr_arena *arena);

/* The slow path of tr_arena_alloc: a new chunk. */
void *tr_arena_grow(struct tr_arena *arena, size_t size);

/* size bytes (at least one), aligned to 8, not cleared. */
static inline void *
tr_arena_alloc(struct tr_arena *arena, size_t size)
{
    size = ((size > 0 ? size : 1) + 7) & ~(size_t)7;
    if (size > (size_t)(arena->end - arena->next))
        return tr_arena_grow(arena, size);
    char *p = arena->next;
    arena->next += size;
    arena->used += size;
    return p;
}

/* The same, cleared. */
static inline void *
tr_arena_zalloc(struct tr_arena *arena, size_t size)
{
    return memset(tr_arena_alloc(arena, size), 0, size);
}

/* A copy of len bytes, with a NUL behind them. */
char *tr_arena_copy(struct tr_arena *arena, const void *bytes, size_t len);

/* A copy of a C string; NULL stays NULL. */
char *tr_arena_strdup(struct tr_arena *arena, const char *text);

#endif
