/* scratch.c - a private directory for one test. */
#include "tests/contract/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/memory.h"

void
scratch_make(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    snprintf(scratch->dir, sizeof(scratch->dir), "%s/tailrace-test-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(scratch->dir) == NULL) {
        perror("mkdtemp");
        abort();
    }
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
scratch_remove(struct scratch *scratch)
{
    nftw(scratch->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
scratch_path(const struct scratch *scratch, const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", scratch->dir, name);
    return path;
}

char *
scratch_read(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *text = NULL;
    size_t used = 0;
    for (size_t n = 1; n > 0; used += n) {
        text = tr_realloc(text, used + 65537);
        n = fread(text + used, 1, 65536, file);
    }
    fclose(file);
    text[used] = '\0';
    if (len != NULL)
        *len = used;
    return text;
}
