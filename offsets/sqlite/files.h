/* files.h - the directory, the file names and the lock of the embedded store; nothing of SQLite. */
#ifndef TR_OFFSETS_SQLITE_FILES_H
#define TR_OFFSETS_SQLITE_FILES_H

#include "core/error.h"

struct state_files {
    char *dir;      /* resolved: no symbolic link in it */
    char *database; /* dir/task.db */
    char *draft;    /* dir/task.db.new: a database being made */
    char *lock;     /* dir/task.lock */
    int lock_fd;
};

/* Make the directory when missing, lock the task. TR_REFUSED names the pid of the process that has it. */
int state_files_open(struct state_files *files, const char *where, const char *task, struct tr_error *err);

/* Unlock. The lock file stays; it costs nothing. */
void state_files_close(struct state_files *files);

/* An empty draft file, 0600, in place of any left behind. */
int state_files_new_draft(const struct state_files *files, struct tr_error *err);

/* The finished draft becomes the database, durably. */
int state_files_publish_draft(const struct state_files *files, struct tr_error *err);

/* The database, its companions and the lock file's name are gone; the lock itself is held until close. */
int state_files_remove(const struct state_files *files, struct tr_error *err);

/* Names made or removed in the directory are durable. */
int state_files_sync_dir(const struct state_files *files, struct tr_error *err);

#endif
