/* scratch.h - a private directory for one test. */
#ifndef TR_TESTS_CONTRACT_SCRATCH_H
#define TR_TESTS_CONTRACT_SCRATCH_H

#include <stddef.h>

struct scratch {
    char dir[256];
};

/* Below TMPDIR; a failure fails the test. */
void scratch_make(struct scratch *scratch);

/* With all that is in it. */
void scratch_remove(struct scratch *scratch);

/* dir/name; valid until the fourth call after it. */
const char *scratch_path(const struct scratch *scratch, const char *name);

/* The whole file, NUL-terminated; the caller frees it. NULL when it is not there. */
char *scratch_read(const char *path, size_t *len);

#endif
