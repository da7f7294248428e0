/* command_reload.c - the order to load tables again, left for the process that runs the task. */
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "core/memory.h"
#include "mapping/mapping.h"

struct chosen {
    const char *const *patterns;
    size_t npatterns;
    bool *used;
    size_t count;
    struct tr_buffer order;
};

static void
choose(void *arg, const char *table)
{
    struct chosen *chosen = arg;
    const char *dot = strchr(table, '.');
    char *schema = tr_strndup(table, (size_t)(dot - table));
    bool match = false;
    for (size_t i = 0; i < chosen->npatterns; i++)
        if (tr_pattern_match(chosen->patterns[i], schema, dot + 1))
            match = chosen->used[i] = true;
    free(schema);
    if (!match)
        return;
    tr_buffer_printf(&chosen->order, "%s\n", table);
    chosen->count++;
}

static int
choose_tables(struct tr_app *app, struct chosen *chosen, struct tr_error *err)
{
    int rc = tr_task_tables(&app->task, choose, chosen, err);
    for (size_t i = 0; rc == 0 && i < chosen->npatterns; i++)
        if (!chosen->used[i]) {
            tr_fail(err, TR_CONFIG, "no table of the task is called \"%s\"", chosen->patterns[i]);
            rc = tr_error_hint(err, "--table takes schema.name or a pattern, within the tables of the task");
        }
    return rc;
}

int
tr_command_reload(struct tr_app *app, struct tr_error *err)
{
    struct chosen chosen = { 0 };
    chosen.npatterns = tr_setting_list(app->config.command, "table", &chosen.patterns);
    chosen.used = tr_calloc(chosen.npatterns + 1, sizeof(*chosen.used));
    bool whole = tr_setting_bool(app->config.command, "all");
    int rc = 0;
    tr_buffer_init(&chosen.order, TR_BUFFER_MAX);
    if (whole == (chosen.npatterns > 0)) {
        tr_fail(err, TR_CONFIG, "reload needs to know what: --table NAME (or several), or --all");
        rc = tr_error_hint(
            err, "--all begins the whole task anew, with a new slot: its tables are emptied at the target");
    } else if (!whole) {
        rc = choose_tables(app, &chosen, err);
    }
    if (rc == 0)
        rc = tr_task_reload(&app->task, whole ? "*\n" : chosen.order.data, err);
    if (rc == 0 && whole)
        tr_log(&app->log, TR_LOG_INFO, "app",
               "the whole task is loaded anew: within seconds when it runs, else when it is started");
    else if (rc == 0)
        tr_log(&app->log, TR_LOG_INFO, "app",
               "%zu tables are loaded again: within seconds when the task runs, else when it is started",
               chosen.count);
    tr_buffer_fini(&chosen.order);
    free(chosen.used);
    return rc < 0 ? rc : TR_EXIT_DONE;
}
