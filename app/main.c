/* main.c - the program: which command, its configuration, its log, its exit status. */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/help.h"
#include "app/signals.h"
#include "core/text.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED_BUILD 1
#endif
#endif
#if defined(TR_FAILPOINTS) && !defined(WATCHED_BUILD)
#define WATCHED_BUILD 1
#endif

/* No core file and no debugger sees passwords or rows. Test builds need both: the leak sanitizer attaches itself with ptrace. */
static void
forbid_dumps(void)
{
#ifndef WATCHED_BUILD
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/*
 * Whoever starts us with a standard stream closed would have the state file or a server's socket take its number, and log lines or rows would
 * go into that. Standard output becomes one that cannot be written, so that its loss is told; lines of the log just go nowhere.
 */
static void
hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(TR_EXIT_FAILED);
}

/* A file that may not grow any more is an error of write(), with the file's name. */
static void
ignore_size_limits(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

/* Texts quote what the user gave; a terminal gets no control bytes of it. */
static void
say(const char *what, const char *text)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 4 * sizeof(struct tr_error));
    tr_text_printable(&out, text, strlen(text));
    fprintf(stderr, "%s: %s\n", what, out.data != NULL ? out.data : "");
    tr_buffer_fini(&out);
}

static int
say_error(const struct tr_error *err)
{
    say("tailrace", err->text);
    if (err->hint[0] != '\0')
        say("hint", err->hint);
    return tr_exit_status(err->class);
}

static int
print_text(struct tr_buffer *out)
{
    struct tr_error err;
    int rc = tr_print(out->data, out->len, &err) < 0 ? say_error(&err) : TR_EXIT_DONE;
    tr_buffer_fini(out);
    return rc;
}

static int
usage_error(const char *what, const char *word)
{
    struct tr_error err = { 0 };
    (void)tr_fail(&err, TR_CONFIG, "%s%s%.100s", what, word != NULL ? " " : "", word != NULL ? word : "");
    (void)tr_error_hint(&err, "tailrace --help lists the commands");
    return say_error(&err);
}

static int
print_help(const char *topic)
{
    struct tr_buffer out;
    const struct tr_registry *registry = tr_registry();
    tr_buffer_init(&out, TR_BUFFER_MAX);
    if (topic == NULL)
        tr_help_overview(registry, &out);
    else if (strcmp(topic, "--man") == 0)
        tr_help_reference(registry, TR_HELP_MAN, &out);
    else if (strcmp(topic, "--markdown") == 0)
        tr_help_reference(registry, TR_HELP_MARKDOWN, &out);
    else if (!tr_help_command(registry, topic, &out))
        return usage_error("there is no command", topic);
    return print_text(&out);
}

static int
print_version(void)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 256);
    tr_buffer_text(&out, "tailrace " TR_VERSION "\n");
    return print_text(&out);
}

static bool
wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static enum tr_log_level
log_level(const char *name)
{
    static const char *const names[] = {
        [TR_LOG_ERROR] = "error",
        [TR_LOG_WARNING] = "warning",
        [TR_LOG_INFO] = "info",
        [TR_LOG_DEBUG] = "debug",
    };
    size_t level = 0;
    while (strcmp(names[level], name) != 0)
        level++;
    return (enum tr_log_level)level;
}

static void
open_log(struct tr_app *app)
{
    const struct tr_settings *settings = app->config.settings;
    bool json = strcmp(tr_setting_string(settings, "log_format"), "json") == 0;
    tr_log_init(&app->log, STDERR_FILENO, log_level(tr_setting_string(settings, "log_level")),
                json ? TR_LOG_JSON : TR_LOG_TEXT, tr_setting_string(settings, "task"));
    for (size_t i = 0; i < app->config.nnotes; i++)
        tr_log(&app->log, TR_LOG_WARNING, "app", "%s", app->config.notes[i]);
}

static int
run_command(const struct tr_command *command, struct tr_app *app)
{
    struct tr_error err = { 0 };
    open_log(app);
    app->task = (struct tr_task_config){
        .settings = app->config.settings,
        .source = app->config.source,
        .sink = app->config.sink,
        .encoder = app->config.encoder,
        .store = app->config.store,
        .log = &app->log,
    };
    int rc = command->run(app, &err);
    if (rc >= 0)
        return rc;
    tr_log_error(&app->log, TR_LOG_ERROR, "app", &err);
    return tr_exit_status(err.class);
}

/*
 * Batches come and go in chunks of a megabyte; by default malloc asks the system for each and gives it back, and the page faults cost more
 * than decoding does. What is kept stays below the budget that the chunks came under.
 */
static void
keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

int
main(int argc, char **argv)
{
    struct tr_app app = { 0 };
    struct tr_error err = { 0 };
    hold_standard_streams();
    ignore_size_limits();
    forbid_dumps();
    keep_memory();
    if (argc < 2)
        return usage_error("no command is given", NULL);
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return print_help(NULL);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return print_version();
    if (strcmp(word, "help") == 0)
        return print_help(argc > 2 ? argv[2] : NULL);
    const struct tr_command *command = tr_command_find(word);
    if (command == NULL)
        return usage_error("unknown command", word);
    if (wants_help(argc - 2, argv + 2))
        return print_help(word);
    if (command->plain != NULL) {
        int rc = command->plain(tr_registry(), argc - 2, argv + 2, &err);
        return rc < 0 ? say_error(&err) : rc;
    }
    struct tr_config_request request = {
        .registry = tr_registry(),
        .command_options = command->options,
        .argc = argc - 2,
        .argv = argv + 2,
    };
    /* Only run waits for signals; the others end at once, as a user who presses Ctrl-C expects. */
    if (command->run == tr_command_run)
        tr_signals_block();
    int status = tr_config_load(&request, &app.config, &err) < 0 ? say_error(&err)
                                                                 : run_command(command, &app);
    tr_config_fini(&app.config);
    return status;
}
