/* files.c - the directory, the file names and the lock of the embedded store. */
#include "offsets/sqlite/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/failpoint.h"
#include "core/memory.h"

static int
sync_path(const char *dir, struct tr_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return tr_fail(err, TR_FATAL, "cannot open state directory %s: %s", dir, strerror(errno));
    int rc = fsync(fd);
    int saved = errno;
    close(fd);
    if (rc < 0)
        return tr_fail(err, TR_FATAL, "cannot sync state directory %s: %s", dir, strerror(saved));
    return 0;
}

/* mkdir -p; the last component gets 0700, and each new name is made durable in its parent. */
static int
make_dirs(const char *where, struct tr_error *err)
{
    char *path = tr_strdup(where);
    int rc = 0;
    for (char *at = path + 1; rc == 0; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(path, end == '\0' ? 0700 : 0755) == 0) {
            char *slash = strrchr(path, '/');
            char *parent = slash == NULL ? tr_strdup(".")
                                         : tr_strndup(path, slash == path ? 1 : (size_t)(slash - path));
            rc = sync_path(parent, err);
            free(parent);
        } else if (errno != EEXIST) {
            tr_fail(err, TR_CONFIG, "cannot make state directory %s: %s", path, strerror(errno));
            rc = tr_error_hint(err, "Give a directory that this user may write, with state: or --state.");
        }
        *at = end;
        if (end == '\0')
            break;
    }
    free(path);
    return rc;
}

/* A task's name as a file name: what is not plain is percent-encoded, so that different names stay different. */
static char *
file_stem(const char *task)
{
    struct tr_buffer stem;
    tr_buffer_init(&stem, 3 * NAME_MAX);
    for (const char *at = task; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '-' || (c == '.' && at != task);
        if (plain)
            tr_buffer_byte(&stem, (char)c);
        else
            tr_buffer_printf(&stem, "%%%02X", c);
    }
    char *text = stem.overflow || stem.len == 0 || stem.len > NAME_MAX - 16 ? NULL : tr_strdup(stem.data);
    tr_buffer_fini(&stem);
    return text;
}

static int
refuse_locked(const struct state_files *files, int fd, struct tr_error *err)
{
    char owner[32] = "";
    ssize_t n = pread(fd, owner, sizeof(owner) - 1, 0);
    owner[n > 0 ? strspn(owner, "0123456789") : 0] = '\0';
    tr_fail(err, TR_REFUSED, "the state %s belongs to another running process (pid %s)", files->database,
            owner[0] != '\0' ? owner : "not known");
    return tr_error_hint(err, "Stop that process first, or give this task another name or state directory.");
}

/* Between our open and our lock the owner may have removed the file (drop): is the name still the file that we hold? */
static bool
still_named(const char *path, int fd)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

/* The pid is only for the message to a second process; a failure to write it (full disk) does no harm. */
static void
write_pid(int fd)
{
    char pid[32];
    int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)len, 0) != len)
        (void)!ftruncate(fd, 0);
}

/* flock, not fcntl: it belongs to the open file, so another task in this very process is refused too. */
static int
take_lock(struct state_files *files, struct tr_error *err)
{
    for (;;) {
        int fd = open(files->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            tr_fail(err, TR_CONFIG, "cannot open %s: %s", files->lock, strerror(errno));
            return tr_error_hint(err, "The state directory must be writable by this user.");
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int rc = errno == EWOULDBLOCK
                         ? refuse_locked(files, fd, err)
                         : tr_fail(err, TR_FATAL, "cannot lock %s: %s", files->lock, strerror(errno));
            close(fd);
            return rc;
        }
        if (still_named(files->lock, fd)) {
            write_pid(fd);
            files->lock_fd = fd;
            return 0;
        }
        close(fd);
    }
}

int
state_files_open(struct state_files *files, const char *where, const char *task, struct tr_error *err)
{
    *files = (struct state_files){ .lock_fd = -1 };
    char *stem = file_stem(task);
    if (stem == NULL)
        return tr_fail(err, TR_CONFIG, "the task name \"%s\" is empty or too long for a file name", task);
    int rc = where[0] == '\0' ? tr_fail(err, TR_CONFIG, "the state directory is empty")
                              : make_dirs(where, err);
    if (rc == 0 && (files->dir = realpath(where, NULL)) == NULL)
        rc = tr_fail(err, TR_CONFIG, "cannot resolve state directory %s: %s", where, strerror(errno));
    if (rc == 0) {
        files->database = tr_asprintf("%s/%s.db", files->dir, stem);
        files->draft = tr_asprintf("%s/%s.db.new", files->dir, stem);
        files->lock = tr_asprintf("%s/%s.lock", files->dir, stem);
        rc = take_lock(files, err);
    }
    free(stem);
    if (rc < 0)
        state_files_close(files);
    return rc;
}

void
state_files_close(struct state_files *files)
{
    if (files->lock_fd >= 0)
        close(files->lock_fd);
    free(files->dir);
    free(files->database);
    free(files->draft);
    free(files->lock);
    *files = (struct state_files){ .lock_fd = -1 };
}

/* Remove path + suffix, if it is there. */
static int
remove_file(const char *path, const char *suffix, struct tr_error *err)
{
    char *name = tr_asprintf("%s%s", path, suffix);
    int rc = 0;
    if (unlink(name) < 0 && errno != ENOENT)
        rc = tr_fail(err, TR_FATAL, "cannot remove %s: %s", name, strerror(errno));
    free(name);
    return rc;
}

int
state_files_remove(const struct state_files *files, struct tr_error *err)
{
    /* The log before the database: a log left alone would be replayed into a later database of that name. */
    int rc = remove_file(files->database, "-wal", err);
    if (rc == 0)
        rc = remove_file(files->database, "-shm", err);
    if (rc == 0)
        rc = remove_file(files->database, "", err);
    if (rc == 0)
        rc = remove_file(files->draft, "-journal", err);
    if (rc == 0)
        rc = remove_file(files->draft, "", err);
    if (rc == 0)
        rc = remove_file(files->lock, "", err);
    return rc < 0 ? rc : state_files_sync_dir(files, err);
}

int
state_files_new_draft(const struct state_files *files, struct tr_error *err)
{
    /* What a killed creation, or a database removed by hand, left behind. */
    int rc = remove_file(files->draft, "-journal", err);
    if (rc == 0)
        rc = remove_file(files->draft, "", err);
    if (rc == 0)
        rc = remove_file(files->database, "-wal", err);
    if (rc < 0)
        return rc;
    int fd = open(files->draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        tr_fail(err, errno == ENOSPC ? TR_RETRY : TR_CONFIG, "cannot make %s: %s", files->draft,
                strerror(errno));
        return tr_error_hint(err, "The state directory must be writable by this user and have room.");
    }
    close(fd);
    return 0;
}

int
state_files_publish_draft(const struct state_files *files, struct tr_error *err)
{
    TR_FAILPOINT("offsets.sqlite.create.rename");
    if (rename(files->draft, files->database) < 0)
        return tr_fail(err, TR_FATAL, "cannot rename %s to %s: %s", files->draft, files->database,
                       strerror(errno));
    TR_FAILPOINT("offsets.sqlite.create.sync");
    return state_files_sync_dir(files, err);
}

int
state_files_sync_dir(const struct state_files *files, struct tr_error *err)
{
    return sync_path(files->dir, err);
}
