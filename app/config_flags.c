/* config_flags.c - the command line: --name value, --name=value, --bool, --bool true, --no-bool, and one task file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "core/memory.h"
#include "core/url.h"
#include "pipeline/task.h"

static void
add_rows(struct tr_settings *settings, const struct tr_option *table)
{
    struct tr_error ignored;
    /* A row that another connector has too stops its table's adding; the loop goes on behind it. */
    for (; table != NULL && table->name != NULL; table++)
        if (tr_settings_find(settings, table->section, table->name) == NULL)
            (void)tr_settings_add_table(settings, table, &ignored);
}

struct tr_settings *
tr_config_all_options(const struct tr_registry *registry)
{
    struct tr_settings *all = tr_settings_new();
    add_rows(all, tr_task_options);
    add_rows(all, tr_process_options);
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++)
        add_rows(all, (*class)->options);
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++)
        add_rows(all, (*class)->options);
    add_rows(all, registry->format);
    for (const struct tr_encoder_class *const *class = registry->encoders; class != NULL && *class != NULL;
         class ++) {
        add_rows(all, (*class)->options);
        add_rows(all, (*class)->more_options);
    }
    return all;
}

/* "source-slot" and "source_slot" name the option slot of that section. */
static const char *
without_prefix(const char *flag, const char *section)
{
    size_t len = strlen(section);
    return strncmp(flag, section, len) == 0 && (flag[len] == '-' || flag[len] == '_') ? flag + len + 1 : NULL;
}

/* Found, or NULL; *several when it is in the source's and in the target's table. */
static const struct tr_option *
find_flag(const struct tr_settings *settings, const char *flag, bool *several)
{
    static const char *const sections[] = { "source", "target" };
    const struct tr_option *option, *both[2];
    *several = false;
    if ((option = tr_settings_find(settings, "", flag)) != NULL ||
        (option = tr_settings_find(settings, "tables", flag)) != NULL)
        return option;
    for (int i = 0; i < 2; i++)
        both[i] = tr_settings_find(settings, sections[i], flag);
    if (both[0] != NULL && both[1] != NULL) {
        *several = true;
        return NULL;
    }
    if (both[0] != NULL || both[1] != NULL)
        return both[0] != NULL ? both[0] : both[1];
    for (int i = 0; i < 2; i++) {
        const char *rest = without_prefix(flag, sections[i]);
        if (rest != NULL && (option = tr_settings_find(settings, sections[i], rest)) != NULL)
            return option;
    }
    return NULL;
}

static void
fail_unknown(const struct tr_settings *settings, const char *flag, struct tr_error *err)
{
    tr_fail(err, TR_CONFIG, "unknown option --%.100s", flag);
    const char *near = tr_settings_suggest(settings, NULL, flag);
    if (near == NULL) {
        tr_error_hint(err, "tailrace help run lists the options");
        return;
    }
    char dashed[100];
    snprintf(dashed, sizeof(dashed), "%s", near);
    for (char *c = dashed; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    tr_error_hint(err, "did you mean --%s?", dashed);
}

const struct tr_option *
tr_config_flag_option(const struct tr_settings *settings, const char *flag, bool *negated,
                      struct tr_error *err)
{
    bool several;
    const struct tr_option *option = find_flag(settings, flag, &several);
    *negated = false;
    if (option == NULL && !several && strncmp(flag, "no-", 3) == 0) {
        option = find_flag(settings, flag + 3, &several);
        *negated = true;
        if (option != NULL && option->type != TR_OPTION_BOOL)
            option = NULL;
    }
    if (several)
        tr_fail(err, TR_CONFIG,
                "--%.100s could be the source's or the target's; write --source-%.100s or --target-%.100s",
                flag, flag, flag);
    else if (option == NULL)
        fail_unknown(settings, flag, err);
    return option;
}

/* Does this flag stand alone? A name that only several connectors have is a bool in all of them or in none (a test sees to it). */
static int
flag_stands_alone(const struct tr_settings *all, const struct tr_settings *command, const char *flag,
                  struct tr_error *err)
{
    bool negated;
    const struct tr_option *option = tr_settings_find(command, "command", flag);
    if (option == NULL && (option = tr_settings_find(all, "source", flag)) == NULL)
        option = tr_config_flag_option(all, flag, &negated, err);
    if (option == NULL)
        return -TR_CONFIG;
    return option->type == TR_OPTION_BOOL;
}

struct cursor {
    int argc, at;
    char **argv;
};

static int
read_flag(struct cursor *c, const struct tr_settings *all, const struct tr_settings *command,
          struct tr_entries *flags, struct tr_error *err)
{
    const char *word = c->argv[c->at++] + 2;
    const char *equals = strchr(word, '=');
    char *name = tr_strndup(word, equals != NULL ? (size_t)(equals - word) : strlen(word));
    char *origin = tr_asprintf("--%.100s", name);
    int alone = flag_stands_alone(all, command, name, err);
    int rc = alone < 0 ? alone : 0;
    /* A bool may say what it is: --exactly_once true. No task file is named so. */
    if (alone == 1 && equals == NULL && c->at < c->argc &&
        (strcmp(c->argv[c->at], "true") == 0 || strcmp(c->argv[c->at], "false") == 0))
        alone = 0;
    bool missing = c->at == c->argc || strncmp(c->argv[c->at], "--", 2) == 0;
    if (rc == 0 && equals == NULL && !alone && missing)
        rc = tr_fail(err, TR_CONFIG, "--%.100s needs a value", name);
    if (rc == 0) {
        struct tr_entry *entry = tr_entries_add(flags, "", name, origin);
        entry->bare = equals == NULL && alone;
        if (equals != NULL)
            tr_entry_value(entry, equals + 1);
        else if (!alone)
            tr_entry_value(entry, c->argv[c->at++]);
    }
    free(name);
    free(origin);
    return rc;
}

int
tr_config_parse_flags(const struct tr_config_request *request, struct tr_entries *flags, const char **file,
                      struct tr_error *err)
{
    struct cursor c = { .argc = request->argc, .argv = request->argv };
    struct tr_settings *all = tr_config_all_options(request->registry), *command = tr_settings_new();
    bool only_files = false;
    int rc = tr_settings_add_table(command, request->command_options, err);
    *file = NULL;
    while (rc == 0 && c.at < c.argc) {
        const char *word = c.argv[c.at];
        if (!only_files && strcmp(word, "--") == 0) {
            only_files = true;
            c.at++;
        } else if (!only_files && strncmp(word, "--", 2) == 0) {
            rc = read_flag(&c, all, command, flags, err);
        } else if (!only_files && word[0] == '-' && word[1] != '\0') {
            rc = tr_fail(err, TR_CONFIG, "unknown option %.100s; options are written --name", word);
        } else if (*file != NULL) {
            rc = tr_fail(err, TR_CONFIG, "two task files are given, %.200s and %.200s", *file, word);
        } else {
            *file = c.argv[c.at++];
        }
    }
    tr_settings_free(all);
    tr_settings_free(command);
    return rc;
}

/* ------------------------------------------------------------------------------------ hiding of secrets */

/* The redacted form in the place of the text; argv's own bytes are what ps shows. */
static void
hide_value(char *value)
{
    size_t len = strlen(value);
    char *shown = tr_url_redact(value);
    size_t keep = strlen(shown) < len ? strlen(shown) : len;
    /* An environment reference is no secret, and the text is the same when there is nothing to hide. */
    if (strcmp(shown, value) != 0) {
        tr_wipe(value, len);
        memcpy(value, shown, keep);
    }
    free(shown);
}

static bool
is_secret_flag(const struct tr_settings *all, const char *word, size_t len)
{
    char *name = tr_strndup(word, len);
    bool several;
    const struct tr_option *option = find_flag(all, name, &several);
    if (several)
        option = tr_settings_find(all, "source", name);
    bool secret = option != NULL && option->secret;
    free(name);
    return secret;
}

void
tr_config_hide_secrets(const struct tr_config_request *request)
{
    struct tr_settings *all = tr_config_all_options(request->registry);
    for (int i = 0; i < request->argc; i++) {
        char *word = request->argv[i];
        if (strncmp(word, "--", 2) != 0)
            continue;
        char *equals = strchr(word, '=');
        size_t len = equals != NULL ? (size_t)(equals - word - 2) : strlen(word + 2);
        if (!is_secret_flag(all, word + 2, len))
            continue;
        if (equals != NULL)
            hide_value(equals + 1);
        else if (i + 1 < request->argc)
            hide_value(request->argv[++i]);
    }
    tr_settings_free(all);
}
