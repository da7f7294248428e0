/* attributes.c - see attributes.h. */
#include "capture/postgres/attributes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define IMPOSSIBLE INT16_MIN

struct alignment {
    const char *const *columns;
    const struct tr_postgres_attribute *attributes;
    size_t n, m;
    int16_t *best; /* [i * (m + 1) + j]: most equal names when columns i.. are laid over attributes j.. */
};

static bool
same_name(const struct alignment *a, size_t i, size_t j)
{
    return a->attributes[j].name != NULL && strcmp(a->columns[i], a->attributes[j].name) == 0;
}

static int
best(const struct alignment *a, size_t i, size_t j)
{
    return a->best[i * (a->m + 1) + j];
}

static int
when_taken(const struct alignment *a, size_t i, size_t j)
{
    int rest = best(a, i + 1, j + 1);
    return rest == IMPOSSIBLE ? IMPOSSIBLE : rest + same_name(a, i, j);
}

static int
when_skipped(const struct alignment *a, size_t i, size_t j)
{
    return a->attributes[j].optional ? best(a, i, j + 1) : IMPOSSIBLE;
}

/* Attributes behind the last column came later: they cost nothing. */
static void
fill(struct alignment *a)
{
    for (size_t i = a->n + 1; i-- > 0;)
        for (size_t j = a->m + 1; j-- > 0;) {
            int16_t *cell = &a->best[i * (a->m + 1) + j];
            if (i == a->n || j == a->m) {
                *cell = i == a->n ? 0 : IMPOSSIBLE;
                continue;
            }
            int taken = when_taken(a, i, j), skipped = when_skipped(a, i, j);
            *cell = (int16_t)(taken > skipped ? taken : skipped);
        }
}

/* One of the best alignments: the one with the lowest numbers, or the one with the highest. */
static void
walk(const struct alignment *a, bool low, int *place)
{
    for (size_t i = 0, j = 0; i < a->n; j++) {
        bool may_take = when_taken(a, i, j) == best(a, i, j),
             may_skip = when_skipped(a, i, j) == best(a, i, j);
        if (may_take && (low || !may_skip))
            place[i++] = (int)j;
    }
}

/* The catalogue does not explain the description (the column list was changed): only names are left. */
static void
by_name(const struct alignment *a, int *place)
{
    for (size_t i = 0; i < a->n; i++) {
        place[i] = -1;
        for (size_t j = 0; j < a->m && place[i] < 0; j++)
            if (same_name(a, i, j))
                place[i] = (int)j;
    }
}

void
tr_postgres_align(const char *const *columns, size_t ncolumns, const struct tr_postgres_attribute *attributes,
                  size_t nattributes, int *place)
{
    struct alignment a = { columns, attributes, ncolumns, nattributes, NULL };
    a.best = tr_malloc((ncolumns + 1) * (nattributes + 1) * sizeof(*a.best));
    fill(&a);
    if (best(&a, 0, 0) == IMPOSSIBLE) {
        by_name(&a, place);
    } else {
        int *high = tr_malloc((ncolumns + 1) * sizeof(*high));
        walk(&a, true, place);
        walk(&a, false, high);
        /* The best alignments lie between these two: where they agree there is no other. */
        for (size_t i = 0; i < ncolumns; i++)
            if (place[i] != high[i])
                place[i] = -1;
        free(high);
    }
    free(a.best);
}
