/* commands.h - what stands behind `tailrace run`, `check`, `schema` and `drop`. */
#ifndef TR_APP_COMMANDS_H
#define TR_APP_COMMANDS_H

#include <stdio.h>

#include "app/config.h"
#include "core/buffer.h"
#include "core/log.h"
#include "pipeline/task.h"

/* How the program ends. Documented in docs/configuration.md. */
enum tr_exit {
    TR_EXIT_DONE = 0,
    TR_EXIT_FAILED = 1,
    TR_EXIT_USAGE = 2,
    TR_EXIT_REFUSED = 3,
    TR_EXIT_DIFFERENT = 4,
};

/* What a command works with. */
struct tr_app {
    struct tr_config config;
    struct tr_log log;          /* standard error */
    struct tr_task_config task; /* points into both */
};

struct tr_command {
    const char *name;
    const char *usage;               /* "run [TASK.yaml] [OPTIONS]" */
    const char *summary;             /* half a line */
    const char *about;               /* a paragraph */
    const struct tr_option *options; /* section "command", or NULL */
    /* An exit status, or a negative error class with err set. thread: main. */
    int (*run)(struct tr_app *app, struct tr_error *err);
    /* Instead of run, of a command that works on no task: it takes its words as they are. */
    int (*plain)(const struct tr_registry *registry, int argc, char **argv, struct tr_error *err);
};

/* Ends with a row whose name is NULL. */
extern const struct tr_command tr_commands[];
const struct tr_command *tr_command_find(const char *name);

int tr_command_run(struct tr_app *app, struct tr_error *err);
int tr_command_check(struct tr_app *app, struct tr_error *err);
int tr_command_schema(struct tr_app *app, struct tr_error *err);
int tr_command_reload(struct tr_app *app, struct tr_error *err);
int tr_command_drop(struct tr_app *app, struct tr_error *err);
int tr_command_convert(const struct tr_registry *registry, int argc, char **argv, struct tr_error *err);

/* The status for a failure: configuration 2, a refusing check 3, all else 1. */
enum tr_exit tr_exit_status(enum tr_error_class class);

/* Write all of it to standard output and see that it got there; -TR_FATAL otherwise. */
int tr_print(const char *data, size_t len, struct tr_error *err);

/* --- findings of check, collected to be printed in groups --- */

struct tr_finding {
    enum tr_finding_level level;
    char *id, *object, *text, *sql; /* object and sql may be NULL */
};

struct tr_report {
    struct tr_finding *items;
    size_t count;
    size_t levels[3]; /* how many of each enum tr_finding_level */
};

/* To stand in struct tr_findings with arg = a struct tr_report. The same finding twice is kept once. */
void tr_report_add(void *arg, enum tr_finding_level level, const char *id, const char *object,
                   const char *text, const char *sql);
void tr_report_text(const struct tr_report *report, struct tr_buffer *out);
void tr_report_json(const struct tr_report *report, const char *task, struct tr_buffer *out);
void tr_report_fini(struct tr_report *report);

#endif
