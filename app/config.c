/* config.c - choose the connectors, then validate everything by their tables. */
#include "app/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buffer.h"
#include "core/memory.h"
#include "core/text.h"
#include "core/url.h"
#include "pipeline/task.h"

#define TASK_NAME_MAX 63

const struct tr_option tr_process_options[] = {
    { .name = "log_level",
      .section = "",
      .type = TR_OPTION_CHOICE,
      .value = "info",
      .choices = "error|warning|info|debug",
      .help = "the least important lines that are logged" },
    { .name = "log_format",
      .section = "",
      .type = TR_OPTION_CHOICE,
      .value = "text",
      .choices = "text|json",
      .help = "log lines for people, or one JSON object per line" },
    { .name = "log_interval",
      .section = "",
      .type = TR_OPTION_DURATION,
      .value = "10s",
      .min = 100000,
      .max = INT64_C(86400000000),
      .help = "how often a line of progress is logged where no progress display is shown" },
    { .name = "progress",
      .section = "",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|on|off",
      .help =
          "progress display on standard error: auto shows it on a terminal; off logs no progress at all" },
    { .name = NULL },
};

/* Keys of a file whose option bears the name of its section. */
static const struct {
    const char *section, *key, *option;
} file_keys[] = {
    { "source", "url", "source" },
    { "target", "url", "target" },
    { "tables", "include", "tables" },
};

#define NFILE_KEYS (sizeof(file_keys) / sizeof(file_keys[0]))

static bool
is_url_option(const struct tr_option *option)
{
    return strcmp(option->name, "source") == 0 || strcmp(option->name, "target") == 0 ||
           strcmp(option->name, "offsets") == 0;
}

/* Where an entry of a file belongs: `source: URL` is short for `source: {url: URL}`, and so on. */
static void
place_of(const struct tr_entry *entry, const char **section, const char **name)
{
    *section = entry->section;
    *name = entry->name;
    for (size_t i = 0; i < NFILE_KEYS; i++) {
        bool shorthand = entry->section[0] == '\0' && strcmp(entry->name, file_keys[i].section) == 0;
        bool key = strcmp(entry->section, file_keys[i].section) == 0 &&
                   strcmp(entry->name, file_keys[i].key) == 0;
        if (shorthand || key) {
            *section = file_keys[i].section;
            *name = file_keys[i].option;
        }
    }
}

static void
wipe_free(char *text)
{
    if (text != NULL)
        tr_wipe(text, strlen(text));
    free(text);
}

static void
add_note(struct tr_config *config, char *note)
{
    for (size_t i = 0; i < config->nnotes; i++) {
        if (strcmp(config->notes[i], note) == 0) {
            free(note);
            return;
        }
    }
    config->notes = tr_realloc(config->notes, (config->nnotes + 1) * sizeof(char *));
    config->notes[config->nnotes++] = note;
}

/* A value with its references resolved and checked to be text; *out is the caller's. */
static int
resolve(struct tr_config *config, const struct tr_option *option, const char *text, const char *origin,
        char **out, struct tr_error *err)
{
    char *note = NULL;
    bool is_url = is_url_option(option);
    int rc = tr_reference_expand(text, is_url, option->secret && !is_url, out, &note, err);
    if (note != NULL)
        add_note(config, note);
    if (rc < 0)
        return tr_error_prefix(err, "%s: %s", origin, option->name);
    if (!tr_utf8_valid(*out, strlen(*out))) {
        wipe_free(*out);
        *out = NULL;
        return tr_fail(err, TR_CONFIG, "%s: the value of %s is not valid UTF-8 text", origin, option->name);
    }
    return 0;
}

/* -------------------------------------------------------------------------------- the choice of connectors */

/* The URL option's value: the last flag, else the file's. NULL = not given. */
static const struct tr_entry *
url_entry(const struct tr_entries *file, const struct tr_entries *flags, const char *which)
{
    const struct tr_entry *found = NULL;
    for (size_t i = 0; i < flags->count; i++)
        if (strcmp(flags->items[i].name, which) == 0)
            found = &flags->items[i];
    for (size_t i = 0; i < file->count && found == NULL; i++) {
        const char *section, *name;
        place_of(&file->items[i], &section, &name);
        if (strcmp(section, which) == 0 && strcmp(name, which) == 0 && !file->items[i].is_section)
            found = &file->items[i];
    }
    return found != NULL && found->nvalues == 1 ? found : NULL;
}

static const struct tr_option *
task_option(const char *name)
{
    const struct tr_option *option = tr_task_options;
    while (option->name != NULL && strcmp(option->name, name) != 0)
        option++;
    return option;
}

static int fail_missing(const struct tr_registry *registry, const struct tr_entries *file, const char *which,
                        struct tr_error *err);

/* The lower-case scheme of the source or target. `stdout` alone is as good as `stdout:`. */
static int
read_scheme(struct tr_config *config, const struct tr_registry *registry, const struct tr_entries *file,
            const struct tr_entries *flags, const char *which, char *scheme, size_t size,
            struct tr_error *err)
{
    const struct tr_entry *entry = url_entry(file, flags, which);
    char *url;
    if (entry == NULL)
        return fail_missing(registry, file, which, err);
    int rc = resolve(config, task_option(which), entry->values[0], entry->origin, &url, err);
    if (rc < 0)
        return rc;
    size_t n = strcspn(url, ":");
    snprintf(scheme, size, "%.*s", (int)(n < size ? n : size - 1), url);
    for (size_t i = 0; scheme[i] != '\0'; i++) {
        scheme[i] = (char)tolower((unsigned char)scheme[i]);
        /* What is no scheme is not shown: it may be a piece of a key=value string with a password in it. */
        if (!isalnum((unsigned char)scheme[i]) && strchr("+-.", scheme[i]) == NULL)
            n = 0;
    }
    wipe_free(url);
    if (n == 0 || n >= size)
        return tr_fail(err, TR_CONFIG, "%s: the %s is not a URL such as postgresql://user@host/database",
                       entry->origin, which);
    return 0;
}

static int
fail_scheme(const char *which, const char *scheme, const char *known, struct tr_error *err)
{
    tr_fail(err, TR_CONFIG, "there is no %s for %s: URLs", which, scheme);
    return tr_error_hint(err, "known are%s", known[0] != '\0' ? known : " none");
}

static int
choose_source(const struct tr_registry *registry, const char *scheme, struct tr_config *config,
              struct tr_error *err)
{
    char known[512] = "";
    config->source = tr_registry_source(registry, scheme);
    if (config->source != NULL)
        return 0;
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++)
        snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", (*class)->schemes);
    return fail_scheme("source", scheme, known, err);
}

static int
choose_sink(const struct tr_registry *registry, const char *scheme, struct tr_config *config,
            struct tr_error *err)
{
    char known[512] = "";
    config->sink = tr_registry_sink(registry, scheme);
    if (config->sink != NULL)
        return 0;
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++)
        snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", (*class)->schemes);
    return fail_scheme("target", scheme, known, err);
}

/* The last value given for the target's format that names an encoder; what is none is refused when the settings are made. */
static const struct tr_encoder_class *
named_encoder(struct tr_config *config, const struct tr_registry *registry, const struct tr_entry *entry,
              const struct tr_encoder_class *before)
{
    struct tr_error ignored;
    char *name = NULL;
    if (entry->nvalues != 1 ||
        resolve(config, registry->format, entry->values[0], entry->origin, &name, &ignored) < 0)
        return before;
    const struct tr_encoder_class *found = tr_registry_encoder(registry, name);
    wipe_free(name);
    return found != NULL ? found : before;
}

static void
choose_encoder(const struct tr_registry *registry, const struct tr_entries *file,
               const struct tr_entries *flags, struct tr_config *config)
{
    static const char *const names[] = { "format", "target-format", "target_format" };
    if (!(config->sink->capabilities & TR_SINK_ENCODES) || registry->format == NULL)
        return;
    config->encoder = tr_registry_encoder(registry, registry->format->value);
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->items[i].section, "target") == 0 && strcmp(file->items[i].name, "format") == 0)
            config->encoder = named_encoder(config, registry, &file->items[i], config->encoder);
    for (size_t i = 0; i < flags->count; i++)
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            if (strcmp(flags->items[i].name, names[n]) == 0)
                config->encoder = named_encoder(config, registry, &flags->items[i], config->encoder);
}

static int
choose(const struct tr_config_request *request, const struct tr_entries *file, const struct tr_entries *flags,
       struct tr_config *config, struct tr_error *err)
{
    char scheme[64];
    int rc = read_scheme(config, request->registry, file, flags, "source", scheme, sizeof(scheme), err);
    if (rc == 0)
        rc = choose_source(request->registry, scheme, config, err);
    if (rc == 0)
        rc = read_scheme(config, request->registry, file, flags, "target", scheme, sizeof(scheme), err);
    if (rc == 0)
        rc = choose_sink(request->registry, scheme, config, err);
    if (rc == 0)
        choose_encoder(request->registry, file, flags, config);
    return rc;
}

/* ------------------------------------------------------------------------------------------ validation */

/* Commas and backslashes of a YAML item are its own: kept from the splitting of text into items. */
static char *
escape_item(const char *text)
{
    struct tr_buffer out;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    for (; *text != '\0'; text++) {
        if (*text == ',' || *text == '\\' || *text == ' ')
            tr_buffer_byte(&out, '\\');
        tr_buffer_byte(&out, *text);
    }
    return out.data != NULL ? out.data : tr_strdup("");
}

/* A URL without a colon ("stdout", "null") gets one, so that connectors see one form. */
static char *
with_colon(char *url)
{
    if (strchr(url, ':') != NULL)
        return url;
    char *out = tr_asprintf("%s:", url);
    wipe_free(url);
    return out;
}

static int
set_one(struct tr_config *config, struct tr_settings *settings, const struct tr_option *option,
        const struct tr_entry *entry, size_t i, bool append, struct tr_error *err)
{
    char *text;
    int rc = resolve(config, option, entry->values[i], entry->origin, &text, err);
    if (rc < 0)
        return rc;
    if (is_url_option(option))
        text = with_colon(text);
    if (entry->is_list && option->type == TR_OPTION_LIST) {
        char *escaped = escape_item(text);
        wipe_free(text);
        text = escaped;
    }
    if (option->type == TR_OPTION_LIST && text[0] == '\0')
        rc = tr_fail(err, TR_CONFIG, "%s: %s has an empty item", entry->origin, option->name);
    else
        rc = tr_settings_set(settings, option->section, option->name, text, append, entry->origin, err);
    wipe_free(text);
    return rc;
}

/* `url` or `include`, when that is what was meant. */
static const char *
suggest_file_key(const char *section, const char *name)
{
    static const struct tr_option keys[] = {
        { .name = "url", .section = "source" },
        { .name = "url", .section = "target" },
        { .name = "include", .section = "tables" },
        { .name = NULL },
    };
    struct tr_error ignored;
    struct tr_settings *settings = tr_settings_new();
    (void)tr_settings_add_table(settings, keys, &ignored);
    const char *near = tr_settings_suggest(settings, section, name);
    tr_settings_free(settings);
    return near;
}

/* A key that this section does not have: say where it belongs, or what is like it. */
static int
fail_key(const struct tr_settings *settings, const char *section, const struct tr_entry *entry,
         struct tr_error *err)
{
    const char *where = section[0] == '\0' ? "" : " in section ";
    tr_fail(err, TR_CONFIG, "%s: unknown key %.100s%s%.100s", entry->origin, entry->name, where, section);
    for (size_t i = 0; i < NFILE_KEYS; i++)
        if (strcmp(section, file_keys[i].section) == 0 && strcmp(entry->name, file_keys[i].option) == 0)
            return tr_error_hint(err, "did you mean %s?", file_keys[i].key);
    const struct tr_option *elsewhere = tr_settings_find(settings, NULL, entry->name);
    if (elsewhere != NULL && strcmp(elsewhere->section, section) != 0)
        return elsewhere->section[0] == '\0'
                   ? tr_error_hint(err, "%s belongs to the top level of the file", elsewhere->name)
                   : tr_error_hint(err, "%s belongs into the section %s", elsewhere->name,
                                   elsewhere->section);
    const char *near = suggest_file_key(section, entry->name);
    if (near == NULL)
        near = tr_settings_suggest(settings, section, entry->name);
    if (near == NULL)
        near = tr_settings_suggest(settings, NULL, entry->name);
    return near == NULL ? -TR_CONFIG : tr_error_hint(err, "did you mean %s?", near);
}

/* `types: {"tinyint(1)": boolean}` is the item "tinyint(1)=boolean" of the list `types`. */
static const struct tr_option *
pairs_option(const struct tr_settings *settings, const char *name)
{
    const struct tr_option *option = name[0] != '\0' ? tr_settings_find(settings, "", name) : NULL;
    return option != NULL && option->pairs ? option : NULL;
}

/* A source or target that is not given may stand there under a misspelt key: then that is what to say. */
static int
fail_missing(const struct tr_registry *registry, const struct tr_entries *file, const char *which,
             struct tr_error *err)
{
    struct tr_settings *all = tr_config_all_options(registry);
    int rc = 0;
    for (size_t i = 0; i < file->count && rc == 0; i++) {
        const char *section, *name;
        place_of(&file->items[i], &section, &name);
        if (tr_settings_find(all, section, name) == NULL && pairs_option(all, file->items[i].name) == NULL &&
            pairs_option(all, file->items[i].section) == NULL)
            rc = fail_key(all, section, &file->items[i], err);
    }
    tr_settings_free(all);
    if (rc < 0)
        return rc;
    tr_fail(err, TR_CONFIG, "no %s is given", which);
    return tr_error_hint(err, "put `%s: { url: \"...\" }` into the task file, or say --%s URL", which, which);
}

static int
set_pair(struct tr_config *config, const struct tr_option *option, const struct tr_entry *entry,
         struct tr_error *err)
{
    if (entry->is_list || entry->nvalues != 1)
        return tr_fail(err, TR_CONFIG, "%s: %s: \"%.100s\" takes one text", entry->origin, option->name,
                       entry->name);
    char *text, *pair;
    int rc = resolve(config, option, entry->values[0], entry->origin, &text, err);
    if (rc < 0)
        return rc;
    pair = tr_asprintf("%s=%s", entry->name, text);
    wipe_free(text);
    text = escape_item(pair);
    rc = tr_settings_set(config->settings, "", option->name, text,
                         tr_setting_is_set(config->settings, option->name), entry->origin, err);
    free(pair);
    free(text);
    return rc;
}

static int
check_section(const struct tr_settings *settings, const struct tr_entry *entry, struct tr_error *err)
{
    for (size_t i = 0; i < NFILE_KEYS; i++)
        if (strcmp(entry->name, file_keys[i].section) == 0)
            return 0;
    if (pairs_option(settings, entry->name) != NULL)
        return 0;
    if (tr_settings_find(settings, "", entry->name) != NULL)
        return tr_fail(err, TR_CONFIG, "%s: %s takes a value, not a mapping", entry->origin, entry->name);
    tr_fail(err, TR_CONFIG, "%s: unknown section %.100s", entry->origin, entry->name);
    return tr_error_hint(err, "sections are source, target and tables");
}

static int
apply_file_entry(struct tr_config *config, const struct tr_entry *entry, struct tr_error *err)
{
    const char *section, *name;
    if (entry->is_section)
        return check_section(config->settings, entry, err);
    const struct tr_option *pairs = pairs_option(config->settings, entry->section);
    if (pairs != NULL)
        return set_pair(config, pairs, entry, err);
    place_of(entry, &section, &name);
    const struct tr_option *option = tr_settings_find(config->settings, section, name);
    /* `source: {source: ...}` is not a second spelling of url, and a file's keys have no dashes. */
    if (option == NULL ||
        (strcmp(name, section) == 0 && strcmp(entry->name, section) == 0 && entry->section[0] != '\0') ||
        strcmp(option->name, name) != 0)
        return fail_key(config->settings, section, entry, err);
    if (entry->is_list && option->type != TR_OPTION_LIST)
        return tr_fail(err, TR_CONFIG, "%s: %s takes one value, not a list", entry->origin, entry->name);
    int rc = 0;
    for (size_t i = 0; i < entry->nvalues && rc == 0; i++)
        rc = set_one(config, config->settings, option, entry, i, i > 0, err);
    if (entry->is_list && entry->nvalues == 0)
        return tr_fail(err, TR_CONFIG, "%s: the list of %s is empty", entry->origin, entry->name);
    return rc;
}

/* A key that other connectors have: said so when nothing nearer was found. */
static int
hint_foreign(const struct tr_config_request *request, const struct tr_config *config,
             const struct tr_entry *entry, struct tr_error *err)
{
    struct tr_settings *all = tr_config_all_options(request->registry);
    const struct tr_option *option = tr_settings_find(all, NULL, entry->name);
    if (err->hint[0] == '\0' && option != NULL &&
        tr_settings_find(config->settings, NULL, entry->name) == NULL)
        tr_error_hint(
            err,
            "%s belongs into the section %s, but neither the source %s nor the target %s has it; tailrace help run lists whose it is",
            option->name, option->section, config->source->name, config->sink->name);
    tr_settings_free(all);
    return -(int)err->class;
}

/* Was the same list given by an earlier flag? Then this one appends; the first replaces what the file says. */
static bool
given_before(const struct tr_settings *settings, const struct tr_entries *flags, size_t at,
             const struct tr_option *option)
{
    struct tr_error ignored;
    bool negated;
    for (size_t i = 0; i < at; i++)
        if (tr_config_flag_option(settings, flags->items[i].name, &negated, &ignored) == option)
            return true;
    return false;
}

/* A choice of the command's that cannot mean this value leaves it to the task: `check --format debezium-json` is the target's format. */
static const struct tr_option *
command_option(const struct tr_config *config, const struct tr_entry *entry)
{
    const struct tr_option *option = tr_settings_find(config->command, "command", entry->name);
    if (option == NULL || option->type != TR_OPTION_CHOICE ||
        tr_settings_find(config->settings, NULL, entry->name) == NULL)
        return option;
    char *choices = tr_asprintf("|%s|", option->choices), *value = tr_asprintf("|%s|", entry->values[0]);
    bool meant = strstr(choices, value) != NULL;
    free(choices);
    free(value);
    return meant ? option : NULL;
}

/* The flag is known somewhere, but not for the connectors that this task has. */
static int
fail_foreign(const struct tr_config *config, struct tr_error *err)
{
    if (strstr(err->text, "unknown option") != NULL)
        tr_error_hint(
            err,
            "neither the source %s nor the target %s has such an option; tailrace help run lists whose it is",
            config->source->name, config->sink->name);
    return -TR_CONFIG;
}

static int
apply_flag(struct tr_config *config, const struct tr_entries *flags, size_t i, struct tr_error *err)
{
    const struct tr_entry *entry = &flags->items[i];
    struct tr_settings *settings = config->command;
    const struct tr_option *option = command_option(config, entry);
    bool negated = false;
    if (option == NULL) {
        settings = config->settings;
        option = tr_config_flag_option(settings, entry->name, &negated, err);
    }
    if (option == NULL)
        return fail_foreign(config, err);
    if (entry->bare)
        return tr_settings_set(settings, option->section, option->name, negated ? "false" : "true", false,
                               entry->origin, err);
    if (negated)
        return tr_fail(err, TR_CONFIG, "%s takes no value", entry->origin);
    return set_one(config, settings, option, entry, 0,
                   settings == config->settings && given_before(settings, flags, i, option), err);
}

/* The embedded one, unless `offsets` has the URL of another. */
static int
choose_store(const struct tr_registry *registry, struct tr_config *config, struct tr_error *err)
{
    char known[256] = "", scheme[32];
    const char *url = tr_setting_string(config->settings, "offsets");
    config->store = registry->stores[0];
    if (url == NULL || url[0] == '\0')
        return 0;
    snprintf(scheme, sizeof(scheme), "%.*s", (int)strcspn(url, ":"), url);
    config->store = tr_registry_store(registry, scheme);
    if (config->store != NULL)
        return 0;
    for (const struct tr_offset_store_class *const *class = registry->stores; *class != NULL; class ++)
        if ((*class)->schemes != NULL)
            snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s:", (*class)->schemes);
    tr_fail(err, TR_CONFIG, "offsets: there is no offset store for this URL");
    return tr_error_hint(err, "known are%s URLs; the embedded store is in the directory that `state` names",
                         known);
}

static int
check_task_name(const struct tr_config *config, struct tr_error *err)
{
    const char *name = tr_setting_string(config->settings, "task");
    size_t len = strlen(name);
    bool good = len > 0 && len <= TASK_NAME_MAX && name[0] != '.' && name[0] != '-';
    for (size_t i = 0; i < len && good; i++)
        good = (isascii((unsigned char)name[i]) && isalnum((unsigned char)name[i])) ||
               strchr("_.-", name[i]) != NULL;
    if (good)
        return 0;
    tr_fail(err, TR_CONFIG, "'%.100s' is not good as the name of a task", name);
    return tr_error_hint(
        err, "a name has 1 to %d letters, digits, _, - and dots, and begins with none of the last two",
        TASK_NAME_MAX);
}

static int
add_tables(struct tr_config *config, const struct tr_config_request *request, struct tr_error *err)
{
    const struct tr_option *tables[] = { tr_task_options,
                                         tr_process_options,
                                         config->source->options,
                                         config->sink->options,
                                         config->encoder != NULL ? request->registry->format : NULL,
                                         config->encoder != NULL ? config->encoder->options : NULL,
                                         config->encoder != NULL ? config->encoder->more_options : NULL };
    int rc = tr_settings_add_table(config->command, request->command_options, err);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == 0; i++)
        rc = tr_settings_add_table(config->settings, tables[i], err);
    return rc;
}

int
tr_config_build(const struct tr_config_request *request, const struct tr_entries *file,
                const struct tr_entries *flags, struct tr_config *config, struct tr_error *err)
{
    *config = (struct tr_config){ .settings = tr_settings_new(), .command = tr_settings_new() };
    int rc = choose(request, file, flags, config, err);
    if (rc == 0)
        rc = add_tables(config, request, err);
    for (size_t i = 0; i < file->count && rc == 0; i++)
        if ((rc = apply_file_entry(config, &file->items[i], err)) < 0)
            rc = hint_foreign(request, config, &file->items[i], err);
    for (size_t i = 0; i < flags->count && rc == 0; i++)
        rc = apply_flag(config, flags, i, err);
    if (rc == 0)
        rc = choose_store(request->registry, config, err);
    return rc == 0 ? check_task_name(config, err) : rc;
}

/* What references stand for does not count. */
static char *
without_references(const char *text)
{
    struct tr_buffer plain;
    tr_buffer_init(&plain, TR_BUFFER_MAX);
    tr_buffer_text(&plain, "");
    for (const char *end; *text != '\0'; text++) {
        if (text[0] == '$' && text[1] == '{' && (end = strchr(text, '}')) != NULL)
            text = end;
        else
            tr_buffer_byte(&plain, *text);
    }
    return plain.data != NULL ? plain.data : tr_strdup("");
}

/* Whether the text holds a password as it is. */
static bool
holds_secret(const struct tr_option *option, const char *text)
{
    if (!option->secret || strncmp(text, "file:", 5) == 0)
        return false;
    char *plain = without_references(text);
    bool found = plain[0] != '\0';
    if (option->type == TR_OPTION_LIST) {
        const char *value = strchr(plain, '=');
        found = value != NULL && value[1] != '\0' &&
                (strcasestr(plain, "secret=") != NULL || strcasestr(plain, "password=") != NULL);
    } else if (strstr(plain, "://") != NULL || is_url_option(option)) {
        char *redacted = tr_url_redact(plain);
        found = strstr(plain, ":@") == NULL && strcmp(redacted, plain) != 0;
        free(redacted);
    }
    wipe_free(plain);
    return found;
}

/* A task file with a password in it is a secret itself. */
static void
note_readable_file(struct tr_config *config, const struct tr_entries *file, const char *path)
{
    struct stat st;
    if (path == NULL || stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 007) == 0)
        return;
    for (size_t i = 0; i < file->count; i++) {
        const char *section, *name;
        place_of(&file->items[i], &section, &name);
        const struct tr_option *option = tr_settings_find(config->settings, section, name);
        for (size_t v = 0; option != NULL && v < file->items[i].nvalues; v++) {
            if (!holds_secret(option, file->items[i].values[v]))
                continue;
            add_note(config,
                     tr_asprintf(
                         "%s: the password can be read by every user of this machine; chmod 600 %s, or put "
                         "${NAME} or ${file:/path} in its place",
                         file->items[i].origin, path));
            return;
        }
    }
}

int
tr_config_load(const struct tr_config_request *request, struct tr_config *config, struct tr_error *err)
{
    struct tr_entries file = { 0 }, flags = { 0 };
    const char *path;
    *config = (struct tr_config){ 0 };
    int rc = tr_config_parse_flags(request, &flags, &path, err);
    tr_config_hide_secrets(request);
    if (rc == 0 && path != NULL)
        rc = tr_entries_read_file(&file, path, err);
    if (rc == 0)
        rc = tr_config_build(request, &file, &flags, config, err);
    if (rc == 0)
        note_readable_file(config, &file, path);
    tr_entries_fini(&file);
    tr_entries_fini(&flags);
    return rc;
}

void
tr_config_fini(struct tr_config *config)
{
    tr_settings_free(config->settings);
    tr_settings_free(config->command);
    for (size_t i = 0; i < config->nnotes; i++)
        free(config->notes[i]);
    free(config->notes);
    *config = (struct tr_config){ 0 };
}
