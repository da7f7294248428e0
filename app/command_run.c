/* command_run.c - one task in the foreground, with its signals and its display. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/progress.h"
#include "app/signals.h"
#include "core/clock.h"

struct running {
    struct tr_app *app;
    struct tr_task *task;
};

static void
stop_task(void *arg, int signal)
{
    struct running *running = arg;
    tr_task_stop(running->task);
    tr_log(&running->app->log, TR_LOG_INFO, "app",
           "%s: applying what was read, then ending at a checkpoint; a second signal ends at once",
           signal == SIGINT   ? "SIGINT"
           : signal == SIGHUP ? "SIGHUP"
                              : "SIGTERM");
}

static void
task_status(void *arg, struct tr_task_status *status)
{
    struct running *running = arg;
    tr_task_status(running->task, status);
}

/* The display's terminal, or -1. Rows that go to the same screen would be torn apart by it. */
static int
display_fd(const struct tr_app *app)
{
    const char *wish = tr_setting_string(app->config.settings, "progress");
    if (strcmp(wish, "on") == 0)
        return STDERR_FILENO;
    bool rows_on_screen = tr_registry_has_scheme(app->config.sink->schemes, "stdout") &&
                          isatty(STDOUT_FILENO);
    return strcmp(wish, "auto") == 0 && isatty(STDERR_FILENO) && !rows_on_screen ? STDERR_FILENO : -1;
}

static void
log_summary(struct tr_app *app, struct tr_task *task, int64_t begun, bool failed)
{
    struct tr_task_status status;
    struct tr_buffer line;
    tr_task_status(task, &status);
    tr_buffer_init(&line, 2048);
    tr_progress_summary(&status, tr_clock_us() - begun, &line);
    tr_log(&app->log, TR_LOG_INFO, "app", "%s: %s", failed ? "failed" : "done", line.data);
    tr_buffer_fini(&line);
}

static int
run_shown(struct tr_app *app, struct running *running, struct tr_error *err)
{
    struct tr_progress *progress;
    bool off = strcmp(tr_setting_string(app->config.settings, "progress"), "off") == 0;
    struct tr_progress_config shown = {
        .log = &app->log,
        .fd = display_fd(app),
        .interval_us = off ? 0 : tr_setting_int(app->config.settings, "log_interval"),
        .arg = running,
        .status = task_status,
    };
    struct tr_signals *signals = NULL;
    int rc = tr_progress_start(&shown, &progress, err);
    if (rc < 0)
        return rc;
    rc = tr_signals_start(stop_task, running, &signals, err);
    if (rc == 0)
        rc = tr_task_run(running->task, err);
    /* The signals' thread logs, so it ends before the display that the log draws around. */
    tr_signals_end(signals);
    tr_progress_stop(progress);
    return rc;
}

int
tr_command_run(struct tr_app *app, struct tr_error *err)
{
    struct running running = { .app = app };
    int64_t begun = tr_clock_us();
    int rc = tr_task_new(&app->task, &running.task, err);
    if (rc < 0)
        return rc;
    rc = run_shown(app, &running, err);
    if (rc < 0)
        tr_log_error(&app->log, TR_LOG_ERROR, "app", err);
    log_summary(app, running.task, begun, rc < 0);
    tr_task_free(running.task);
    return rc < 0 ? (int)tr_exit_status(err->class) : TR_EXIT_DONE;
}
