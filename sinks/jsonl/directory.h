/* directory.h - the files of one task in a directory: task-000001.jsonl, task-000002.jsonl.zst, ... */
#ifndef TR_SINKS_JSONL_DIRECTORY_H
#define TR_SINKS_JSONL_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/log.h"

struct directory {
    char *path;
    char *stem; /* the task's name as a file name */
    int fd;
    struct tr_log *log; /* may be NULL */
};

int directory_open(struct directory *dir, const char *path, const char *task, struct tr_log *log,
                   struct tr_error *err);
void directory_close(struct directory *dir);

/* "task-000001.jsonl" or ".jsonl.zst"; the caller frees it. */
char *directory_name(const struct directory *dir, unsigned number, bool compressed);

/* A new file, 0600, its name durable. Returns the descriptor. It must not exist. */
int directory_create(const struct directory *dir, const char *name, struct tr_error *err);

/*
 * Cut back to `length` bytes of file `name`: later files are removed, the file is truncated and opened. A missing or shorter file is refused.
 * Returns the descriptor, standing at the end; *number and *compressed say which file it is.
 */
int directory_cut_back(const struct directory *dir, const char *name, uint64_t length, unsigned *number,
                       bool *compressed, struct tr_error *err);

/* Nothing is known of earlier files: they are moved aside (name.aside-TIME), never overwritten. */
int directory_set_aside(const struct directory *dir, struct tr_error *err);

/* All files of the task go; only for what this process has written itself and no checkpoint knows of. */
int directory_remove_files(const struct directory *dir, struct tr_error *err);

#endif
