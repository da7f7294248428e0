/* failpoint.c - the test build's way to die at a named step. State is per process and only in test builds. */
#include "core/failpoint.h"

#ifdef TR_FAILPOINTS
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_NAMES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *seen[MAX_NAMES];
static int nseen;
static long passages;

static void
trace(const char *file, const char *name)
{
    for (int i = 0; i < nseen; i++)
        if (strcmp(seen[i], name) == 0)
            return;
    if (nseen < MAX_NAMES)
        seen[nseen++] = name;
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    dprintf(fd, "%s\n", name);
    close(fd);
}

/* "NAME:N": is this the N-th passage of NAME? */
static int
hits(const char *wish, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(wish, name, len) != 0 || (wish[len] != ':' && wish[len] != '\0'))
        return 0;
    long nth = wish[len] == ':' ? strtol(wish + len + 1, NULL, 10) : 1;
    return ++passages == nth;
}

void
tr_failpoint(const char *name)
{
    const char *file = getenv("TR_FAILPOINT_TRACE");
    const char *wish = getenv("TR_FAILPOINT");
    if (file == NULL && wish == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (file != NULL)
        trace(file, name);
    if (wish != NULL && hits(wish, name))
        kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
}
#else
typedef int tr_failpoint_c_is_not_empty;
#endif
