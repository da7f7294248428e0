/*
 * reload.c - the order to load tables again.
 *
 * `tailrace reload` leaves a file in the state directory, beside the task's store, which a running process has locked: one table a line, or "*" alone for the whole task. The process that
 * runs, or the next one, takes it into the checkpoint ("begun, not done"), does what that asks for at the source, and removes it. Killed in between, it takes it twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "pipeline/internal.h"

#define LINE_LENGTH 4096

static char *
path_of(const struct tr_settings *settings)
{
    return tr_asprintf("%s/%s.reload", tr_setting_string(settings, "state"),
                       tr_setting_string(settings, "task"));
}

bool
tr_reload_asked(const struct tr_task *task)
{
    char *path = path_of(task->config.settings);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

bool
tr_reload_halfway(const struct tr_task *task, const struct tr_checkpoint *checkpoint)
{
    return checkpoint->position == NULL && checkpoint->phase != NULL &&
           strcmp(checkpoint->phase, "load") == 0 && tr_reload_asked(task);
}

static int
write_order(int fd, const char *text, struct tr_error *err)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tr_fail(err, TR_FATAL, "%s", strerror(errno));
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? tr_fail(err, TR_FATAL, "%s", strerror(errno)) : 0;
}

int
tr_task_loads(const struct tr_settings *settings, struct tr_error *err)
{
    if (strcmp(tr_setting_string(settings, "mode"), "cdc") != 0)
        return 0;
    tr_fail(err, TR_CONFIG, "mode cdc loads no tables, so there is none to load again");
    return tr_error_hint(err,
                         "`tailrace drop` forgets the task, and its next start begins anew, without rows");
}

/* Whole or not at all: written under another name first. */
int
tr_task_reload(const struct tr_task_config *config, const char *order, struct tr_error *err)
{
    if (tr_task_loads(config->settings, err) < 0) /* begun anew, it would find a load that it may not do */
        return -(int)err->class;
    char *path = path_of(config->settings), *fresh = tr_asprintf("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? tr_fail(err, TR_CONFIG, "%s", strerror(errno)) : write_order(fd, order, err);
    if (fd >= 0)
        close(fd);
    if (r == 0 && rename(fresh, path) < 0)
        r = tr_fail(err, TR_FATAL, "%s", strerror(errno));
    if (r < 0) {
        tr_error_prefix(err, "cannot leave the order in %s", path);
        tr_error_hint(
            err,
            "the state directory must be that of the task (state: or --state), and this user must be allowed to write into it");
    }
    free(fresh);
    free(path);
    return r;
}

/* Everything anew: no position, no identity, and every table is to be emptied before it is filled. */
static void
forget_all(struct tr_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->ntables; i++)
        checkpoint->tables[i].done = false;
    free(checkpoint->position);
    free(checkpoint->identity);
    free(checkpoint->phase);
    checkpoint->position = checkpoint->identity = NULL;
    checkpoint->phase = tr_strdup("load");
}

static void
take_line(struct tr_task *task, const char *table)
{
    const struct tr_table_cut *cut = tr_checkpoint_table(&task->checkpoint, table);
    const char *position = cut != NULL ? cut->position : task->checkpoint.position;
    if (position == NULL)
        return; /* it was never loaded */
    tr_checkpoint_set_table(&task->checkpoint, table, position, false);
    tr_log(task->config.log, TR_LOG_INFO, "load", "table %s is loaded again, as ordered", table);
}

static int
take_lines(struct tr_task *task, FILE *file, bool *whole, struct tr_error *err)
{
    char line[LINE_LENGTH];
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strcspn(line, "\n");
        bool complete = line[len] == '\n';
        line[len] = '\0';
        if (!complete || (strcmp(line, "*") != 0 && strchr(line, '.') == NULL))
            return tr_fail(err, TR_REFUSED, "the order to load tables again holds a line that is no table");
        if (strcmp(line, "*") == 0)
            *whole = true;
        else
            take_line(task, line);
    }
    return 0;
}

int
tr_reload_taken(const struct tr_task *task, struct tr_error *err)
{
    char *path = path_of(task->config.settings);
    int r = unlink(path) < 0 && errno != ENOENT
                ? tr_fail(err, TR_FATAL, "cannot remove %s: %s", path, strerror(errno))
                : 0;
    free(path);
    return r;
}

int
tr_reload_take(struct tr_task *task, bool *whole, struct tr_error *err)
{
    char *path = path_of(task->config.settings);
    FILE *file = fopen(path, "re");
    int r = 0;
    if (file != NULL && (task->checkpoint.position != NULL || tr_reload_halfway(task, &task->checkpoint))) {
        r = take_lines(task, file, whole, err);
        if (r == 0 && *whole) {
            forget_all(&task->checkpoint);
            tr_log(task->config.log, TR_LOG_INFO, "load", "the whole task begins anew, as ordered");
        }
        if (r == 0)
            r = tr_save_checkpoint(task, err);
    }
    if (file != NULL)
        fclose(file);
    free(path);
    return r == 0 && file != NULL && !*whole ? tr_reload_taken(task, err) : r;
}
