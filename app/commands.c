/* commands.c - the table of commands, and the short ones. */
#include "app/commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "core/url.h"
#include "schema/convert.h"
#include "schema/ddl.h"

static const struct tr_option check_options[] = {
    { .name = "format",
      .section = "command",
      .type = TR_OPTION_CHOICE,
      .value = "text",
      .choices = "text|json",
      .help =
          "findings for people, or one JSON document (a format of the target's own is --target-format here)" },
    { .name = NULL },
};

static const struct tr_option reload_options[] = {
    { .name = "table",
      .section = "command",
      .type = TR_OPTION_LIST,
      .help = "the tables to load again: schema.name or patterns, within the tables of the task" },
    { .name = "all",
      .section = "command",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "the whole task anew: all of its tables, from a new position of the source's log" },
    { .name = NULL },
};

static const struct tr_option convert_options[] = {
    { .name = "brokers",
      .section = "command",
      .type = TR_OPTION_STRING,
      .help = "host:port,host:port of the Kafka brokers; the connector's own file does not name them" },
    { .name = "offset",
      .section = "command",
      .type = TR_OPTION_STRING,
      .help =
          "file with what GET /connectors/NAME/offsets of Kafka Connect answers: the task goes on where the connector stopped" },
    { .name = "take_over",
      .section = "command",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help =
          "PostgreSQL: the task goes on with the connector's replication slot and publication, from where they stand" },
    { .name = "strict",
      .section = "command",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "end with status 4 when a key was not carried over" },
    { .name = NULL },
};

const struct tr_command tr_commands[] = {
    { .name = "run",
      .usage = "run [TASK.yaml] [OPTIONS]",
      .summary = "run one task in the foreground",
      .about =
          "Copies the tables, follows the changes, or both, as `mode` says, until `stop` is reached or SIGTERM or SIGINT "
          "comes: then what was read is applied and the task ends at a checkpoint. A second signal ends the program at "
          "once; the next run goes on from the last checkpoint either way.",
      .run = tr_command_run },
    { .name = "check",
      .usage = "check [TASK.yaml] [OPTIONS]",
      .summary = "what would stop or hurt this task, each finding with the SQL that mends it",
      .about =
          "Connects to source and target, changes nothing, and lists errors, warnings and notes. Ends with status 3 when "
          "there is an error.",
      .options = check_options,
      .run = tr_command_check },
    { .name = "schema",
      .usage = "schema [TASK.yaml] [OPTIONS]",
      .summary = "the target's DDL, and what would be lost in conversion",
      .about =
          "Prints the statements that `run` would use to make the task's tables at the target; on standard error, what is "
          "carried otherwise or not at all.",
      .run = tr_command_schema },
    { .name = "reload",
      .usage = "reload [TASK.yaml] --table NAME | --all [OPTIONS]",
      .summary = "load tables of the task again",
      .about =
          "Leaves the order in the state directory and returns. A process that runs the task takes it within seconds, else the "
          "next `run` does. The tables are emptied at the target and copied from a cut of their own; a PostgreSQL target is "
          "given the changes of all other tables meanwhile. A table that has newly become part of the task joins it the same way.",
      .options = reload_options,
      .run = tr_command_reload },
    { .name = "drop",
      .usage = "drop [TASK.yaml] [OPTIONS]",
      .summary = "remove the task's slot, publication and state",
      .about =
          "Removes what the task has left at the source (slot, publication), its checkpoint at the target and in the state "
          "directory. Tables and rows stay. Asks nothing.",
      .run = tr_command_drop },
    { .name = "convert",
      .usage = "convert FILE... [OPTIONS]",
      .summary = "a Debezium connector's configuration as a task file",
      .about =
          "Reads the configuration of a Debezium connector for PostgreSQL, MySQL or MariaDB (JSON, bare or with name and config, or "
          "properties; a worker's properties may be given beside it; - is standard input) and prints a task file. Each key that "
          "could not be carried over is named in it, and on standard error. Nothing is connected to.",
      .options = convert_options,
      .plain = tr_command_convert },
    { .name = NULL },
};

const struct tr_command *
tr_command_find(const char *name)
{
    for (const struct tr_command *command = tr_commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

enum tr_exit tr_exit_status(enum tr_error_class class)
{
    return class == TR_CONFIG ? TR_EXIT_USAGE : TR_EXIT_FAILED;
}

int
tr_print(const char *data, size_t len, struct tr_error *err)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tr_fail(err, TR_FATAL, "cannot write to standard output: %s", strerror(errno));
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int
print_buffer(const struct tr_buffer *out, struct tr_error *err)
{
    if (out->overflow)
        return tr_fail(err, TR_FATAL, "the output is larger than 1 GiB");
    return tr_print(out->data, out->len, err);
}

/* Statements hold names and texts of the source as they are, for a file or a pipe; a terminal gets no control bytes of them but ends of lines. */
static int
print_script(const struct tr_buffer *script, struct tr_error *err)
{
    struct tr_buffer shown;
    if (!isatty(STDOUT_FILENO) || script->overflow || script->len == 0)
        return print_buffer(script, err);
    tr_buffer_init(&shown, TR_BUFFER_MAX);
    for (const char *line = script->data, *end; *line != '\0'; line = *end == '\n' ? end + 1 : end) {
        end = strchrnul(line, '\n');
        tr_text_printable(&shown, line, (size_t)(end - line));
        tr_buffer_byte(&shown, '\n');
    }
    int rc = print_buffer(&shown, err);
    tr_buffer_fini(&shown);
    return rc;
}

int
tr_command_check(struct tr_app *app, struct tr_error *err)
{
    struct tr_report report = { 0 };
    struct tr_findings findings = { .arg = &report, .add = tr_report_add };
    struct tr_buffer out;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    int rc = tr_task_check(&app->task, &findings, err);
    /* A refusal is a finding too: what was found before it is still worth reading. */
    if (rc == -TR_REFUSED) {
        tr_report_add(&report, TR_FINDING_ERROR, "refused", NULL, err->text,
                      err->hint[0] != '\0' ? err->hint : NULL);
        rc = 0;
    }
    if (rc == 0) {
        if (strcmp(tr_setting_string(app->config.command, "format"), "json") == 0)
            tr_report_json(&report, tr_setting_string(app->config.settings, "task"), &out);
        else
            tr_report_text(&report, &out);
        rc = print_buffer(&out, err);
    }
    if (rc == 0 && report.levels[TR_FINDING_ERROR] > 0)
        rc = TR_EXIT_REFUSED;
    tr_buffer_fini(&out);
    tr_report_fini(&report);
    return rc;
}

int
tr_command_schema(struct tr_app *app, struct tr_error *err)
{
    struct tr_schema *schema = NULL;
    struct tr_buffer out, notes;
    if (app->config.sink->dialect == NULL)
        return tr_fail(err, TR_CONFIG, "the target %s has no tables, so there is no DDL to print",
                       app->config.sink->name);
    int rc = tr_task_schema(&app->task, &schema, err);
    if (rc < 0)
        return rc;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    tr_buffer_init(&notes, TR_BUFFER_MAX);
    struct tr_url url;
    struct tr_convert_target target = { .mariadb = strcmp(app->config.sink->dialect, "mariadb") == 0 };
    rc = tr_url_parse(tr_setting_string(app->config.settings, "target"), &url, err);
    if (rc == 0) {
        target.public_database = url.path != NULL && url.path[0] != '\0' ? url.path : NULL;
        rc = tr_schema_print_ddl(schema, app->config.sink->dialect, &target, &out, &notes, err);
        tr_url_fini(&url);
    }
    if (rc == 0)
        rc = print_script(&out, err);
    if (rc == 0 && notes.len > 0)
        fwrite(notes.data, 1, notes.len, stderr);
    tr_buffer_fini(&out);
    tr_buffer_fini(&notes);
    tr_schema_free(schema);
    return rc;
}

int
tr_command_drop(struct tr_app *app, struct tr_error *err)
{
    int rc = tr_task_drop(&app->task, err);
    if (rc < 0)
        return rc;
    tr_log(&app->log, TR_LOG_INFO, "app",
           "removed: what the task made at the source %s, its checkpoint at the target, and its state in %s",
           app->config.source->name, tr_setting_string(app->config.settings, "state"));
    return TR_EXIT_DONE;
}
