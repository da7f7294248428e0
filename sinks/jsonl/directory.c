/* directory.c - the files of one task in a directory. */
#include "sinks/jsonl/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"

/* As the offset store names its files: different tasks keep different names. */
static char *
file_stem(const char *task)
{
    struct tr_buffer stem;
    tr_buffer_init(&stem, 200);
    for (const char *at = task; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '-' || (c == '.' && at != task);
        if (plain)
            tr_buffer_byte(&stem, (char)c);
        else
            tr_buffer_printf(&stem, "%%%02X", c);
    }
    char *text = stem.overflow || stem.len == 0 ? NULL : tr_strdup(stem.data);
    tr_buffer_fini(&stem);
    return text;
}

int
directory_open(struct directory *dir, const char *path, const char *task, struct tr_log *log,
               struct tr_error *err)
{
    *dir = (struct directory){ .fd = -1, .log = log };
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        tr_fail(err, TR_CONFIG, "cannot make directory %s: %s", path, strerror(errno));
        return tr_error_hint(err, "The directory above it must exist and be writable by this user.");
    }
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return tr_fail(err, TR_CONFIG, "cannot open directory %s: %s", path, strerror(errno));
    dir->path = tr_strdup(path);
    dir->stem = file_stem(task);
    if (dir->stem == NULL)
        return tr_fail(err, TR_CONFIG, "the task name \"%s\" is empty or too long for a file name", task);
    return 0;
}

void
directory_close(struct directory *dir)
{
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->path);
    free(dir->stem);
    *dir = (struct directory){ .fd = -1 };
}

char *
directory_name(const struct directory *dir, unsigned number, bool compressed)
{
    return tr_asprintf("%s-%06u.jsonl%s", dir->stem, number, compressed ? ".zst" : "");
}

/* Is it one of the task's files, and which? */
static bool
parse_name(const struct directory *dir, const char *name, unsigned *number, bool *compressed)
{
    size_t stem = strlen(dir->stem);
    if (strncmp(name, dir->stem, stem) != 0 || name[stem] != '-')
        return false;
    const char *at = name + stem + 1;
    size_t digits = strspn(at, "0123456789");
    if (digits < 6 || digits > 9)
        return false;
    *number = (unsigned)strtoul(at, NULL, 10);
    *compressed = strcmp(at + digits, ".jsonl.zst") == 0;
    return *compressed || strcmp(at + digits, ".jsonl") == 0;
}

static int
sync_names(const struct directory *dir, struct tr_error *err)
{
    if (fsync(dir->fd) < 0)
        return tr_fail(err, TR_FATAL, "cannot sync directory %s: %s", dir->path, strerror(errno));
    return 0;
}

int
directory_create(const struct directory *dir, const char *name, struct tr_error *err)
{
    TR_FAILPOINT("sink.jsonl.create");
    int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tr_fail(err,
                       errno == ENOSPC || errno == EDQUOT ? TR_RETRY
                       : errno == EEXIST                  ? TR_REFUSED
                                                          : TR_FATAL,
                       "cannot make %s/%s: %s", dir->path, name, strerror(errno));
    int rc = sync_names(dir, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

/* Each of the task's files with a number above `above`: removed, or moved aside. */
static int
clear_files(const struct directory *dir, unsigned above, bool aside, struct tr_error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL)
        return tr_fail(err, TR_FATAL, "cannot read directory %s: %s", dir->path, strerror(errno));
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(list)) != NULL;) {
        unsigned number;
        bool compressed;
        if (!parse_name(dir, entry->d_name, &number, &compressed) || number <= above)
            continue;
        char *away = tr_asprintf("%s.aside-%" PRId64, entry->d_name, tr_wall_clock_us());
        int failed = aside ? renameat(dir->fd, entry->d_name, dir->fd, away)
                           : unlinkat(dir->fd, entry->d_name, 0);
        if (failed < 0)
            rc = tr_fail(err, TR_FATAL, "cannot %s %s/%s: %s", aside ? "rename" : "remove", dir->path,
                         entry->d_name, strerror(errno));
        else if (aside && dir->log != NULL)
            tr_log(dir->log, TR_LOG_WARNING, "sink",
                   "%s/%s is from a run that left no checkpoint; moved aside as %s", dir->path, entry->d_name,
                   away);
        free(away);
    }
    closedir(list);
    return rc < 0 ? rc : sync_names(dir, err);
}

int
directory_set_aside(const struct directory *dir, struct tr_error *err)
{
    return clear_files(dir, 0, true, err);
}

int
directory_remove_files(const struct directory *dir, struct tr_error *err)
{
    return clear_files(dir, 0, false, err);
}

static int
refuse_shorter(const struct directory *dir, const char *name, uint64_t length, int64_t found,
               struct tr_error *err)
{
    if (found < 0)
        tr_fail(err, TR_REFUSED, "%s/%s: %s, but the checkpoint says that it holds %" PRIu64 " bytes",
                dir->path, name, strerror(errno), length);
    else
        tr_fail(err, TR_REFUSED, "%s/%s holds %" PRId64 " bytes, but the checkpoint says %" PRIu64, dir->path,
                name, found, length);
    return tr_error_hint(
        err, "Changes were lost there. Put the file back, or reload the task into an empty directory.");
}

int
directory_cut_back(const struct directory *dir, const char *name, uint64_t length, unsigned *number,
                   bool *compressed, struct tr_error *err)
{
    struct stat st;
    if (!parse_name(dir, name, number, compressed))
        return tr_fail(err, TR_REFUSED,
                       "the checkpoint names the file \"%s\", which is none of this task in %s", name,
                       dir->path);
    int fd = openat(dir->fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return refuse_shorter(dir, name, length, -1, err);
    int rc = 0;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = tr_fail(err, TR_REFUSED, "%s/%s is no plain file", dir->path, name);
    else if ((uint64_t)st.st_size < length)
        rc = refuse_shorter(dir, name, length, st.st_size, err);
    else
        rc = clear_files(dir, *number, false, err);
    TR_FAILPOINT("sink.jsonl.cut_back");
    if (rc == 0 && (ftruncate(fd, (off_t)length) < 0 || lseek(fd, 0, SEEK_END) < 0 || fsync(fd) < 0))
        rc = tr_fail(err, TR_FATAL, "cannot cut %s/%s back to %" PRIu64 " bytes: %s", dir->path, name, length,
                     strerror(errno));
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}
