/* arena.c - chunks in a list, the newest first; sizes double up to 1 MiB, larger requests get a chunk of their own. */
#include "core/arena.h"

#include <stdlib.h>

#include "core/memory.h"

#define FIRST_CHUNK ((size_t)4096)
#define LARGEST_CHUNK ((size_t)1 << 20)

struct tr_arena_chunk {
    struct tr_arena_chunk *older;
    size_t size; /* of bytes[] */
    size_t pad;
    char bytes[];
};

void
tr_arena_init(struct tr_arena *arena)
{
    memset(arena, 0, sizeof(*arena));
}

void
tr_arena_fini(struct tr_arena *arena)
{
    struct tr_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct tr_arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    tr_arena_init(arena);
}

void
tr_arena_reset(struct tr_arena *arena)
{
    struct tr_arena_chunk *keep = arena->chunks;
    if (keep == NULL || keep->size > LARGEST_CHUNK) {
        tr_arena_fini(arena);
        return;
    }
    struct tr_arena rest = { .chunks = keep->older };
    keep->older = NULL;
    tr_arena_fini(&rest);
    arena->chunks = keep;
    arena->next = keep->bytes;
    arena->end = keep->bytes + keep->size;
    arena->used = 0;
    arena->reserved = keep->size;
}

void *
tr_arena_grow(struct tr_arena *arena, size_t size)
{
    size_t last = arena->chunks != NULL ? arena->chunks->size : 0;
    size_t want = last == 0 ? FIRST_CHUNK : last * 2;
    if (want > LARGEST_CHUNK)
        want = LARGEST_CHUNK;
    int large = size > want / 2 && size > FIRST_CHUNK;
    if (size > want || large)
        want = size;
    struct tr_arena_chunk *chunk = tr_malloc(sizeof(*chunk) + want);
    chunk->size = want;
    arena->reserved += want;
    arena->used += size;
    if (large && arena->chunks != NULL) { /* keep filling the current chunk */
        chunk->older = arena->chunks->older;
        arena->chunks->older = chunk;
        return chunk->bytes;
    }
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->next = chunk->bytes + size;
    arena->end = chunk->bytes + want;
    return chunk->bytes;
}

char *
tr_arena_copy(struct tr_arena *arena, const void *bytes, size_t len)
{
    char *p = tr_arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(p, bytes, len);
    p[len] = '\0';
    return p;
}

char *
tr_arena_strdup(struct tr_arena *arena, const char *text)
{
    return text != NULL ? tr_arena_copy(arena, text, strlen(text)) : NULL;
}
