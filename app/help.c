/* help.c - the tables as text. */
#include "app/help.h"

#include <ctype.h>
#include <string.h>

#include "app/commands.h"
#include "app/config.h"
#include "pipeline/task.h"

#define WIDTH 96

static const char *const type_names[] = {
    [TR_OPTION_STRING] = "TEXT",       [TR_OPTION_INT] = "NUMBER", [TR_OPTION_SIZE] = "SIZE",
    [TR_OPTION_DURATION] = "DURATION", [TR_OPTION_BOOL] = NULL,    [TR_OPTION_CHOICE] = NULL,
    [TR_OPTION_LIST] = "A,B,...",
};

/* Words of `text` from column `indent`, wrapped. */
static void
add_wrapped(struct tr_buffer *out, const char *text, int indent)
{
    int column = 0;
    while (*text != '\0') {
        const char *end = strchrnul(text, ' ');
        int len = (int)(end - text);
        if (column == 0 || column + 1 + len > WIDTH) {
            tr_buffer_printf(out, "%s%*s", column == 0 ? "" : "\n", indent, "");
            column = indent;
        } else {
            tr_buffer_byte(out, ' ');
            column++;
        }
        tr_buffer_add(out, text, (size_t)len);
        column += len;
        text = *end == ' ' ? end + 1 : end;
    }
    tr_buffer_byte(out, '\n');
}

static void
add_flag_name(struct tr_buffer *out, const struct tr_option *option)
{
    tr_buffer_text(out, "--");
    for (const char *c = option->name; *c != '\0'; c++)
        tr_buffer_byte(out, *c == '_' ? '-' : *c);
}

/* "--memory SIZE", "--[no-]tls", "--mode full-load|cdc" */
static void
add_flag(struct tr_buffer *out, const struct tr_option *option)
{
    if (option->type == TR_OPTION_BOOL) {
        tr_buffer_text(out, "--[no-]");
        for (const char *c = option->name; *c != '\0'; c++)
            tr_buffer_byte(out, *c == '_' ? '-' : *c);
        return;
    }
    add_flag_name(out, option);
    bool url = strcmp(option->name, option->section) == 0 && option->type == TR_OPTION_STRING;
    const char *type = option->type == TR_OPTION_CHOICE ? option->choices
                       : url                            ? "URL"
                                                        : type_names[option->type];
    tr_buffer_printf(out, " %s", type);
}

static void
text_option(struct tr_buffer *out, const struct tr_option *option)
{
    tr_buffer_text(out, "  ");
    add_flag(out, option);
    if (option->value != NULL)
        tr_buffer_printf(out, "  (default: %s)", option->value[0] != '\0' ? option->value : "empty");
    tr_buffer_byte(out, '\n');
    add_wrapped(out, option->help, 6);
}

/* Characters that roff would take for its own. */
static void
add_roff(struct tr_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            tr_buffer_text(out, "\\e");
        else if (*text == '-')
            tr_buffer_text(out, "\\-");
        else if (*text == '\'' || *text == '.')
            tr_buffer_printf(out, "\\&%c", *text);
        else
            tr_buffer_byte(out, *text);
    }
}

static void
man_option(struct tr_buffer *out, const struct tr_option *option)
{
    struct tr_buffer flag;
    tr_buffer_init(&flag, 4096);
    add_flag(&flag, option);
    tr_buffer_text(out, ".TP\n.B ");
    add_roff(out, flag.data);
    tr_buffer_byte(out, '\n');
    tr_buffer_fini(&flag);
    add_roff(out, option->help);
    if (option->value != NULL && option->value[0] != '\0') {
        tr_buffer_text(out, " (default: ");
        add_roff(out, option->value);
        tr_buffer_byte(out, ')');
    }
    tr_buffer_byte(out, '\n');
}

static void
add_cell(struct tr_buffer *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '|')
            tr_buffer_text(out, "\\|");
        else
            tr_buffer_byte(out, *text);
}

static const char *
file_key(const struct tr_option *option)
{
    if (strcmp(option->name, option->section) != 0)
        return option->name;
    return option->type == TR_OPTION_LIST ? "include" : "url";
}

static void
markdown_option(struct tr_buffer *out, const struct tr_option *option)
{
    struct tr_buffer flag;
    tr_buffer_init(&flag, 4096);
    add_flag(&flag, option);
    tr_buffer_printf(out, "| `%s` | `", file_key(option));
    add_cell(out, flag.data);
    tr_buffer_text(out, "` | ");
    if (option->value != NULL && option->value[0] != '\0') {
        tr_buffer_byte(out, '`');
        add_cell(out, option->value);
        tr_buffer_byte(out, '`');
    }
    tr_buffer_text(out, " | ");
    add_cell(out, option->help);
    tr_buffer_text(out, " |\n");
    tr_buffer_fini(&flag);
}

static void
add_option(struct tr_buffer *out, const struct tr_option *option, enum tr_help_format format)
{
    if (format == TR_HELP_TEXT)
        text_option(out, option);
    else if (format == TR_HELP_MAN)
        man_option(out, option);
    else
        markdown_option(out, option);
}

static void
add_options(struct tr_buffer *out, const char *title, const struct tr_option *table,
            enum tr_help_format format)
{
    if (table == NULL || table->name == NULL)
        return;
    if (format == TR_HELP_TEXT)
        tr_buffer_printf(out, "\n%s:\n", title);
    else if (format == TR_HELP_MAN)
        tr_buffer_printf(out, ".SS %s\n", title);
    else
        tr_buffer_printf(out, "\n### %s\n\n| key | flag | default | meaning |\n|---|---|---|---|\n", title);
    for (; table->name != NULL; table++)
        add_option(out, table, format);
}

/* More rows of the table before. */
static void
add_more_options(struct tr_buffer *out, const struct tr_option *table, enum tr_help_format format)
{
    for (; table != NULL && table->name != NULL; table++)
        add_option(out, table, format);
}

/* "postgresql|postgres" -> "postgresql:, postgres:" */
static void
add_schemes(struct tr_buffer *out, const char *schemes)
{
    for (const char *c = schemes; *c != '\0'; c++)
        if (*c == '|')
            tr_buffer_text(out, ":, ");
        else
            tr_buffer_byte(out, *c);
    tr_buffer_byte(out, ':');
}

static void
add_connector(struct tr_buffer *out, const char *kind, const char *name, const struct tr_option *table,
              enum tr_help_format format)
{
    struct tr_buffer title;
    tr_buffer_init(&title, 4096);
    tr_buffer_printf(&title, "%s %s (section %c%s of a task file)", kind, name,
                     tolower((unsigned char)kind[0]), kind + 1);
    add_options(out, title.data, table, format);
    tr_buffer_fini(&title);
}

static void
add_all_options(const struct tr_registry *registry, enum tr_help_format format, struct tr_buffer *out)
{
    add_options(out, "Task", tr_task_options, format);
    add_options(out, "Logging and progress", tr_process_options, format);
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++)
        add_connector(out, "Source", (*class)->name, (*class)->options, format);
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++)
        add_connector(out, "Target", (*class)->name, (*class)->options, format);
    add_connector(out, "Target", "that publishes events", registry->format, format);
    for (const struct tr_encoder_class *const *class = registry->encoders; class != NULL && *class != NULL;
         class ++) {
        add_connector(out, "Target", (*class)->name, (*class)->options, format);
        add_more_options(out, (*class)->more_options, format);
    }
}

void
tr_help_overview(const struct tr_registry *registry, struct tr_buffer *out)
{
    tr_buffer_text(
        out, "tailrace carries the changes of a database to another one, to Kafka, or to files.\n\nusage:\n");
    for (const struct tr_command *command = tr_commands; command->name != NULL; command++) {
        tr_buffer_printf(out, "  tailrace %s\n", command->usage);
        add_wrapped(out, command->summary, 6);
    }
    tr_buffer_text(out,
                   "  tailrace help [COMMAND]\n      this text, or a command's options; also COMMAND --help\n"
                   "  tailrace --version\n\nsources:\n");
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++) {
        tr_buffer_printf(out, "  %-12s ", (*class)->name);
        add_schemes(out, (*class)->schemes);
        tr_buffer_byte(out, '\n');
    }
    tr_buffer_text(out, "\ntargets:\n");
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++) {
        tr_buffer_printf(out, "  %-12s ", (*class)->name);
        add_schemes(out, (*class)->schemes);
        tr_buffer_byte(out, '\n');
    }
    tr_buffer_text(
        out,
        "\nexit status: 0 done, 1 the task failed, 2 usage or configuration, 3 a check refuses, 4 differences found\n");
}

bool
tr_help_command(const struct tr_registry *registry, const char *name, struct tr_buffer *out)
{
    const struct tr_command *command = tr_command_find(name);
    if (command == NULL)
        return false;
    tr_buffer_printf(out, "usage: tailrace %s\n\n", command->usage);
    add_wrapped(out, command->about, 0);
    add_options(out, "This command", command->options, TR_HELP_TEXT);
    if (command->plain != NULL)
        return true;
    add_all_options(registry, TR_HELP_TEXT, out);
    tr_buffer_text(out, "\n");
    add_wrapped(
        out,
        "Every option is also a key of a task file (YAML or JSON), with underscores for dashes: `memory: 256MiB`. Flags win "
        "over the file. Lists may be separated by commas or repeated. ${NAME} and ${file:/path} in any value stand for an "
        "environment variable and for the content of a file. Where source and target have an option of one name, it is "
        "--source-NAME and --target-NAME.",
        0);
    return true;
}

static void
add_man_commands(struct tr_buffer *out)
{
    for (const struct tr_command *command = tr_commands; command->name != NULL; command++) {
        tr_buffer_text(out, ".TP\n.B tailrace ");
        add_roff(out, command->usage);
        tr_buffer_byte(out, '\n');
        add_roff(out, command->about);
        tr_buffer_byte(out, '\n');
    }
}

static void
add_man(const struct tr_registry *registry, struct tr_buffer *out)
{
    tr_buffer_text(
        out,
        ".\\\" Made by `tailrace help --man` from the option tables.\n"
        ".TH TAILRACE 1 \"\" \"tailrace " TR_VERSION "\" \"User Commands\"\n.SH NAME\n"
        "tailrace \\- carry the changes of a database to another place\n.SH SYNOPSIS\n.B tailrace\n"
        "COMMAND [TASK\\&.yaml] [OPTIONS]\n.SH DESCRIPTION\n"
        "tailrace tails the log of a database, turns it into one format of change events, remembers how far it got, and\n"
        "applies the changes to another database, publishes them to Kafka or writes them to files, after a full load if asked\\&.\n"
        ".SH COMMANDS\n");
    add_man_commands(out);
    tr_buffer_text(
        out,
        ".SH OPTIONS\nEvery option is also a key of a task file (YAML or JSON), with underscores for dashes\\&. Flags win over\n"
        "the file\\&.\n");
    add_all_options(registry, TR_HELP_MAN, out);
    for (const struct tr_command *command = tr_commands; command->name != NULL; command++)
        if (command->options != NULL) {
            tr_buffer_printf(out, ".SS Only for tailrace %s\n", command->name);
            for (const struct tr_option *option = command->options; option->name != NULL; option++)
                man_option(out, option);
        }
    tr_buffer_text(
        out,
        ".SH EXIT STATUS\n0 done; 1 the task failed; 2 usage or configuration; 3 a check refuses; 4 differences found\\&.\n"
        ".SH SIGNALS\nSIGTERM, SIGINT and SIGHUP: apply what was read and end at a checkpoint\\&. A second one ends at once\\&.\n");
}

void
tr_help_reference(const struct tr_registry *registry, enum tr_help_format format, struct tr_buffer *out)
{
    if (format == TR_HELP_MAN)
        add_man(registry, out);
    else
        add_all_options(registry, format, out);
}
