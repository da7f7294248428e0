/*
 * debezium.c - a connector's pairs become lines of a task file: first what depends on several keys, then each other key by its rule.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/config.h"
#include "app/convert/internal.h"
#include "core/memory.h"
#include "core/text.h"
#include "pipeline/task.h"

#define TASK_NAME_MAX 63

bool
is_true(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0;
}

/* ------------------------------------------------------------------------------------ what is said */

void
convert_lost(struct conversion *c, const char *key, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tr_text_printable(&c->lost, key, strlen(key));
    tr_buffer_text(&c->lost, ": ");
    tr_text_printable(&c->lost, text, strlen(text));
    tr_buffer_byte(&c->lost, '\n');
    c->nlost++;
}

void
convert_idle(struct conversion *c, const char *key)
{
    tr_buffer_text(&c->idle, c->idle.len > 0 ? ", " : "");
    tr_text_printable(&c->idle, key, strlen(key));
}

void
convert_note(struct conversion *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (c->notes.len > 0 && strstr(c->notes.data, text) != NULL)
        return;
    tr_text_printable(&c->notes, text, strlen(text));
    tr_buffer_byte(&c->notes, '\n');
}

static struct line *
line_of(struct conversion *c, const char *section, const char *name)
{
    for (size_t i = 0; i < c->nlines; i++)
        if (strcmp(c->lines[i].section, section) == 0 && strcmp(c->lines[i].name, name) == 0)
            return &c->lines[i];
    c->lines = tr_realloc(c->lines, (c->nlines + 1) * sizeof(*c->lines));
    c->lines[c->nlines] = (struct line){ .section = section, .name = tr_strdup(name) };
    return &c->lines[c->nlines++];
}

static void
add_value(struct line *line, const char *value)
{
    for (size_t i = 0; i < line->count; i++)
        if (strcmp(line->values[i], value) == 0)
            return;
    line->values = tr_realloc(line->values, (line->count + 1) * sizeof(char *));
    line->values[line->count++] = tr_strdup(value);
}

/* ${NAME}, as Debezium Server takes it out of the environment. */
static bool
is_variable(const char *text)
{
    size_t len = strspn(text + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && strcmp(text + 2 + len, "}") == 0;
}

/* ${env:NAME} is ours as ${NAME}; what another provider keeps must come by a variable of the environment. */
static char *
reference(struct conversion *c, const char *text, const char *variable, const char *key)
{
    c->has_references = true;
    if (strncmp(text, "${env:", 6) == 0 && text[strcspn(text, "}")] == '}') {
        const char *name = strrchr(text, ':') + 1; /* "${env:NAME}", or with a path before it */
        return tr_asprintf("${%.*s", (int)(strcspn(name, "}") + 1), name);
    }
    if (is_variable(text))
        return tr_strdup(text);
    convert_lost(
        c, key, "Connect's secret provider keeps it; set the environment variable %s, or write ${file:/path}",
        variable);
    return tr_asprintf("${%s}", variable);
}

/* The same for each reference in a value of the option `name`; what else has a ${ is no reference. The caller frees it. */
static char *
with_references(struct conversion *c, const char *name, const char *text, const char *key)
{
    struct tr_buffer out;
    char *variable = tr_strdup(name);
    for (char *at = variable; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    tr_buffer_init(&out, TR_BUFFER_MAX);
    while (*text != '\0') {
        size_t len = strncmp(text, "${", 2) == 0 ? strcspn(text, "}") : 0;
        if (len == 0 || text[len] == '\0') {
            tr_buffer_byte(&out, *text++);
            continue;
        }
        char *theirs = tr_strndup(text, len + 1), *ours = reference(c, theirs, variable, key);
        tr_buffer_text(&out, ours);
        free(theirs);
        free(ours);
        text += len + 1;
    }
    char *made = tr_strndup(out.data != NULL ? out.data : "", out.len);
    if (out.data != NULL)
        tr_wipe(out.data, out.len);
    tr_buffer_fini(&out);
    free(variable);
    return made;
}

static void
free_secret(char *text)
{
    tr_wipe(text, strlen(text));
    free(text);
}

void
convert_item(struct conversion *c, const char *section, const char *name, const char *value)
{
    struct line *line = line_of(c, section, name);
    char *ours = with_references(c, name, value, name);
    line->list = strcmp(name, "url") != 0;
    add_value(line, ours);
    free_secret(ours);
}

bool
convert_has(const struct conversion *c, const char *section, const char *name)
{
    return tr_settings_find(c->settings, section, name) != NULL;
}

void
convert_set(struct conversion *c, const char *section, const char *name, const char *value, const char *key)
{
    struct tr_error err;
    if (!convert_has(c, section, name)) {
        convert_lost(c, key, "there is no such option here");
        return;
    }
    char *ours = with_references(c, name, value, key);
    if (tr_settings_set(c->settings, section, name, ours, false, key, &err) < 0) {
        convert_lost(c, key, "%s", err.text);
    } else {
        struct line *line = line_of(c, section, name);
        free_list(line->values, line->count);
        line->values = NULL;
        line->count = 0;
        add_value(line, ours);
    }
    free_secret(ours);
}

char *
convert_url_part(struct conversion *c, const char *text, const char *variable, const char *key)
{
    struct tr_buffer out;
    if (strncmp(text, "${", 2) == 0)
        return reference(c, text, variable, key);
    tr_buffer_init(&out, TR_BUFFER_MAX);
    tr_buffer_text(&out, "");
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if ((isascii(*at) && isalnum(*at)) || strchr("-._~", *at) != NULL)
            tr_buffer_byte(&out, (char)*at);
        else
            tr_buffer_printf(&out, "%%%02X", *at);
    }
    char *part = tr_strndup(out.data != NULL ? out.data : "", out.len);
    if (out.data != NULL)
        tr_wipe(out.data, out.len);
    tr_buffer_fini(&out);
    return part;
}

/* -------------------------------------------------------------------------------------- the source */

static const char *
scheme_of(struct pairs *pairs)
{
    const char *class = pairs_take(pairs, "connector.class"),
               *adapter = pairs_take(pairs, "connector.adapter");
    if (class == NULL)
        return NULL;
    if (strstr(class, "postgresql") != NULL || strstr(class, "PostgresConnector") != NULL)
        return "postgresql";
    if (strstr(class, "MariaDb") != NULL || strstr(class, "mariadb") != NULL)
        return "mariadb";
    if (strstr(class, "MySql") != NULL)
        return adapter != NULL && strcasecmp(adapter, "mariadb") == 0 ? "mariadb" : "mysql";
    return NULL;
}

static void
set_param(struct conversion *c, const char *name, const char *value)
{
    char *part = convert_url_part(c, value, "DATABASE_OPTION", name);
    tr_buffer_printf(&c->params, "%c%s=%s", c->params.len > 0 ? '&' : '?', name, part);
    free(part);
}

static void
source_tls(struct conversion *c)
{
    static const char *const modes[][2] = {
        { "disabled", "disable" },    { "preferred", "prefer" },           { "required", "require" },
        { "disable", "disable" }, /* these are MariaDB's */
        { "trust", "require" },       { "verify-ca", "verify-ca" },        { "verify-full", "verify-full" },
        { "verify_ca", "verify-ca" }, { "verify_identity", "verify-full" }
    };
    const char *mode = pairs_take(c->pairs, "database.ssl.mode");
    for (size_t i = 0; mode != NULL && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcasecmp(mode, modes[i][0]) == 0) {
            set_param(c, "sslmode", modes[i][1]);
            return;
        }
    }
    if (mode != NULL)
        convert_lost(c, "database.ssl.mode", "\"%.40s\" is no mode", mode);
}

static void
source_url(struct conversion *c)
{
    const char *host = pairs_take(c->pairs, "database.hostname"),
               *port = pairs_take(c->pairs, "database.port"), *user = pairs_take(c->pairs, "database.user"),
               *password = pairs_take(c->pairs, "database.password"),
               *database = pairs_take(c->pairs, "database.dbname");
    struct tr_buffer url;
    tr_buffer_init(&url, TR_BUFFER_MAX);
    tr_buffer_printf(&url, "%s://", c->scheme);
    if (user != NULL) {
        char *part = convert_url_part(c, user, "DATABASE_USER", "database.user");
        tr_buffer_text(&url, part);
        free(part);
    }
    if (password != NULL) {
        char *part = convert_url_part(c, password, "DATABASE_PASSWORD", "database.password");
        tr_buffer_printf(&url, ":%s", part);
        if (strncmp(part, "${", 2) != 0)
            convert_note(
                c,
                "The source's password stands in this file: chmod 600, or write ${ENV} or ${file:/path} in its place.");
        tr_wipe(part, strlen(part));
        free(part);
    }
    tr_buffer_text(&url, user != NULL ? "@" : "");
    if (host == NULL)
        convert_lost(c, "database.hostname", "it is missing; localhost is put in its place");
    bool v6 = host != NULL && strchr(host, ':') != NULL && host[0] != '[' && host[0] != '$';
    if (host != NULL && strncmp(host, "${", 2) == 0) {
        char *part = reference(c, host, "DATABASE_HOST", "database.hostname");
        tr_buffer_text(&url, part);
        free(part);
    } else {
        tr_buffer_printf(&url, v6 ? "[%s]" : "%s", host != NULL ? host : "localhost");
    }
    if (port != NULL)
        tr_buffer_printf(&url, ":%s", port);
    if (database != NULL) {
        char *part = convert_url_part(c, database, "DATABASE_NAME", "database.dbname");
        tr_buffer_printf(&url, "/%s", part);
        free(part);
    }
    if (c->params.len > 0)
        tr_buffer_printf(&url, "%s%s", database != NULL ? "" : "/", c->params.data);
    convert_item(c, "source", "url", url.data);
    tr_wipe(url.data, url.len);
    tr_buffer_fini(&url);
}

static void
source_postgres(struct conversion *c)
{
    const char *mode = pairs_take(c->pairs, "publication.autocreate.mode"),
               *failover = pairs_take(c->pairs, "slot.failover");
    if (mode != NULL && strcasecmp(mode, "disabled") == 0)
        convert_set(c, "source", "create_publication", "false", "publication.autocreate.mode");
    else if (mode != NULL && strcasecmp(mode, "no_tables") == 0)
        convert_lost(c, "publication.autocreate.mode",
                     "a publication of the task's tables is made, not an empty one");
    if (failover != NULL)
        convert_set(c, "source", "failover", is_true(failover) ? "on" : "off", "slot.failover");
    if (!c->wish->take_over)
        return;
    convert_set(c, "source", "slot", "debezium", "slot.name");
    convert_set(c, "source", "publication", "dbz_publication", "publication.name");
    convert_set(c, "source", "create_slot", "false", "slot.name");
}

static void
source_binlog(struct conversion *c)
{
    const char *lock = pairs_take(c->pairs, "snapshot.locking.mode"),
               *changes = pairs_take(c->pairs, "include.schema.changes");
    source_tls(c);
    if (lock != NULL && strcasecmp(lock, "none") == 0 && strcmp(c->scheme, "mariadb") == 0)
        convert_set(c, "source", "cut_lock", "none", "snapshot.locking.mode");
    else if (lock != NULL && strcasecmp(lock, "none") == 0)
        convert_lost(
            c, "snapshot.locking.mode",
            "the task's tables are locked for the milliseconds of the cut; without a lock it would not be one moment");
    if (convert_has(c, "target", "include_schema_changes"))
        convert_set(c, "target", "include_schema_changes",
                    changes == NULL || is_true(changes) ? "true" : "false", "include.schema.changes");
    else if (changes == NULL || is_true(changes))
        convert_lost(c, "include.schema.changes", "there is no topic of schema changes");
}

/* ------------------------------------------------------------------------------- mode, name, formats */

static void
set_mode(struct conversion *c)
{
    static const char *const modes[][3] = {
        { "initial", "full-load-and-cdc", NULL },
        { "initial_only", "full-load", NULL },
        { "no_data", "cdc", NULL },
        { "never", "cdc", NULL },
        { "schema_only", "cdc", NULL },
        { "recovery", "cdc", NULL },
        { "schema_only_recovery", "cdc", NULL },
        { "always", "full-load-and-cdc", "the tables are loaded once, and again after `tailrace drop`" },
        { "when_needed", "full-load-and-cdc",
          "the tables are loaded once; where the log no longer reaches back the task refuses and says so" },
    };
    const char *mode = pairs_take(c->pairs, "snapshot.mode"), *ours = "full-load-and-cdc";
    size_t n = sizeof(modes) / sizeof(modes[0]), i = 0;
    while (mode != NULL && i < n && strcasecmp(mode, modes[i][0]) != 0)
        i++;
    if (mode != NULL && i == n)
        convert_lost(c, "snapshot.mode",
                     "\"%.40s\" is more than mode can say; the tables are loaded, then followed", mode);
    else if (mode != NULL)
        ours = modes[i][1];
    if (mode != NULL && i < n && modes[i][2] != NULL && c->wish->start == NULL)
        convert_lost(c, "snapshot.mode", "%s: %s", mode, modes[i][2]);
    convert_set(c, "", "mode", c->wish->start != NULL ? "cdc" : ours, "snapshot.mode");
    if (c->wish->start != NULL)
        convert_set(c, "", "start", c->wish->start, "the offset");
}

static void
set_names(struct conversion *c)
{
    const char *name = pairs_take(c->pairs, "name"), *prefix = pairs_take(c->pairs, "topic.prefix"),
               *old = pairs_take(c->pairs, "database.server.name");
    char task[TASK_NAME_MAX + 1];
    size_t n = 0;
    if (prefix == NULL)
        prefix = old;
    if (name == NULL)
        name = prefix != NULL ? prefix : "debezium";
    for (const char *at = name; *at != '\0' && n < TASK_NAME_MAX; at++) {
        bool good = isascii((unsigned char)*at) &&
                    (isalnum((unsigned char)*at) || (n > 0 && strchr(".-", *at) != NULL) || *at == '_');
        task[n++] = *at;
        if (!good)
            task[n - 1] = '_';
    }
    task[n] = '\0';
    convert_set(c, "", "task", n > 0 ? task : "debezium", "name");
    if (prefix != NULL)
        convert_set(c, "target", "topic_prefix", prefix, "topic.prefix");
    else
        convert_lost(c, "topic.prefix", "it is missing; topics begin with the task's name");
}

/* What Debezium does by default and tailrace does not. */
static void
set_defaults(struct conversion *c)
{
    if (convert_has(c, "target", "include_unknown_datatypes") && strncmp(c->format, "debezium", 8) == 0)
        convert_set(c, "target", "include_unknown_datatypes", "false", "include.unknown.datatypes");
    if (strcmp(c->scheme, "postgresql") != 0 && convert_has(c, "target", "time_precision_mode"))
        convert_set(c, "target", "time_precision_mode", "adaptive_time_microseconds", "time.precision.mode");
}

/* --------------------------------------------------------------------------------------- each key */

static void
by_same_name(struct conversion *c, const struct pair *pair, const char *text)
{
    char *name = tr_strdup(pair->key), *lower = tr_strdup(pair->value);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '.' ? '_' : *at;
    /* Debezium takes its modes in any case. */
    for (char *at = lower; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    const struct tr_option *option = tr_settings_find(c->settings, "target", name);
    if (option == NULL && (strcasecmp(pair->value, "false") == 0 || strcasecmp(pair->value, "none") == 0))
        convert_idle(c, pair->key);
    else if (option == NULL && text != NULL)
        convert_lost(c, pair->key, "%s", text);
    else
        convert_set(c, "target", name,
                    option != NULL && option->type != TR_OPTION_STRING ? lower : pair->value, pair->key);
    free(name);
    free(lower);
}

static void
by_option(struct conversion *c, const struct rule *rule, const struct pair *pair)
{
    static const char *const sections[] = { "", "source", "target" };
    const char *dot = strchr(rule->option, '.'), *section = "";
    for (size_t i = 0; i < 3; i++)
        if (strlen(sections[i]) == (size_t)(dot - rule->option) &&
            strncmp(sections[i], rule->option, strlen(sections[i])) == 0)
            section = sections[i];
    char *value = rule->kind == RULE_MILLIS ? tr_asprintf("%sms", pair->value) : tr_strdup(pair->value);
    if (!convert_has(c, section, dot + 1) && rule->text != NULL)
        convert_lost(c, pair->key, "%s", rule->text);
    else
        convert_set(c, section, dot + 1, value, pair->key);
    free(value);
}

static void
apply_rule(struct conversion *c, const struct rule *rule, const struct pair *pair)
{
    switch (rule->kind) {
    case RULE_SAME: by_same_name(c, pair, rule->text); break;
    case RULE_OPTION:
    case RULE_MILLIS: by_option(c, rule, pair); break;
    case RULE_PARAM: set_param(c, rule->option, pair->value); break;
    case RULE_DONE: convert_lost(c, pair->key, "nothing in this configuration uses it"); break;
    case RULE_IDLE: convert_idle(c, pair->key); break;
    case RULE_LOST_SET:
        if (strcasecmp(pair->value, rule->option) == 0)
            convert_idle(c, pair->key);
        else
            convert_lost(c, pair->key, "%s", rule->text);
        break;
    case RULE_LOST: convert_lost(c, pair->key, "%s", rule->text); break;
    }
}

static void
apply_rules(struct conversion *c)
{
    for (size_t i = 0; i < c->pairs->count; i++) {
        struct pair *pair = &c->pairs->items[i];
        if (pair->used)
            continue;
        const struct rule *rule = rule_find(pair->key, c->scheme);
        pair->used = true;
        if (pair->value[0] == '\0')
            convert_idle(c, pair->key);
        else if (rule != NULL)
            apply_rule(c, rule, pair);
        else
            convert_lost(c, pair->key, "no key of these connectors that is known here");
    }
}

/* ----------------------------------------------------------------------------------- the task file */

static void
write_text(struct tr_buffer *out, const char *text)
{
    bool plain = text[0] != '\0';
    for (const char *at = text; *at != '\0' && plain; at++)
        plain = isascii((unsigned char)*at) && (isalnum((unsigned char)*at) || strchr("_-./", *at) != NULL);
    if (plain && (isalpha((unsigned char)text[0]) || strspn(text, "0123456789") == strlen(text))) {
        tr_buffer_text(out, text);
        return;
    }
    tr_buffer_byte(out, '"');
    tr_text_json(out, text, strlen(text));
    tr_buffer_byte(out, '"');
}

static void
write_line(struct tr_buffer *out, const struct line *line)
{
    tr_buffer_printf(out, "%s%s: ", line->section[0] != '\0' ? "  " : "", line->name);
    if (!line->list) {
        write_text(out, line->values[0]);
    } else {
        for (size_t i = 0; i < line->count; i++) {
            tr_buffer_text(out, i == 0 ? "[" : ", ");
            write_text(out, line->values[i]);
        }
        tr_buffer_byte(out, ']');
    }
    tr_buffer_byte(out, '\n');
}

/* Each line of `text` as a comment. */
static void
write_comments(struct tr_buffer *out, const struct tr_buffer *text, const char *indent)
{
    for (const char *at = text->len > 0 ? text->data : ""; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        tr_buffer_printf(out, "#%s%.*s\n", indent, (int)len, at);
        at += len + (at[len] == '\n');
    }
}

static void
write_task(struct conversion *c, struct tr_buffer *out)
{
    static const char *const sections[] = { "", "source", "target", "tables" };
    tr_buffer_printf(out, "# Made by `tailrace convert` from a Debezium connector for %s.\n", c->scheme);
    write_comments(out, &c->notes, " ");
    for (size_t s = 0; s < 4; s++) {
        bool begun = sections[s][0] == '\0';
        for (size_t i = 0; i < c->nlines; i++) {
            if (strcmp(c->lines[i].section, sections[s]) != 0 || c->lines[i].count == 0)
                continue;
            if (!begun)
                tr_buffer_printf(out, "%s:\n", sections[s]);
            begun = true;
            write_line(out, &c->lines[i]);
        }
    }
    if (c->lost.len > 0)
        tr_buffer_text(out, "\n# Not carried over:\n");
    write_comments(out, &c->lost, "   ");
    if (c->idle.len > 0) {
        tr_buffer_text(out, "\n# Nothing to set here for: ");
        tr_buffer_add(out, c->idle.data, c->idle.len);
        tr_buffer_byte(out, '\n');
    }
}

/* The output is a task file that loads: not hoped for, but tried. References to the environment cannot be. */
static int
try_task(const struct conversion *c, const struct tr_registry *registry, const struct tr_buffer *yaml,
         struct tr_error *err)
{
    struct tr_entries file = { 0 }, none = { 0 };
    struct tr_config config = { 0 };
    const struct tr_config_request request = { .registry = registry };
    if (c->has_references)
        return 0;
    int rc = tr_entries_parse(&file, yaml->data, yaml->len, "the task", err);
    if (rc == 0)
        rc = tr_config_build(&request, &file, &none, &config, err);
    tr_config_fini(&config);
    tr_entries_fini(&file);
    return rc < 0 ? tr_error_prefix(err, "what was made of the configuration is no good task file") : 0;
}

/* -------------------------------------------------------------------------------------- all of it */

static const struct tr_sink_class *
kafka_sink(const struct tr_registry *registry)
{
    return tr_registry_sink(registry, "kafka");
}

static int
make_settings(struct conversion *c, const struct tr_registry *registry, struct tr_error *err)
{
    const struct tr_source_class *source = tr_registry_source(registry, c->scheme);
    const struct tr_sink_class *sink = kafka_sink(registry);
    if (source == NULL || sink == NULL)
        return tr_fail(err, TR_CONFIG, "this program has no source %s or no target kafka", c->scheme);
    const struct tr_option *tables[] = { tr_task_options, source->options, sink->options, registry->format };
    c->settings = tr_settings_new();
    int rc = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == 0; i++)
        rc = tr_settings_add_table(c->settings, tables[i], err);
    if (rc == 0) {
        convert_format(c);
        const struct tr_encoder_class *encoder = tr_registry_encoder(registry, c->format);
        rc = encoder == NULL ? tr_fail(err, TR_CONFIG, "this program has no format %s", c->format)
                             : tr_settings_add_table(c->settings, encoder->options, err);
        if (rc == 0 && encoder->more_options != NULL)
            rc = tr_settings_add_table(c->settings, encoder->more_options, err);
    }
    return rc;
}

static void
end(struct conversion *c)
{
    for (size_t i = 0; i < c->nlines; i++) {
        for (size_t k = 0; k < c->lines[i].count; k++)
            tr_wipe(c->lines[i].values[k], strlen(c->lines[i].values[k]));
        free_list(c->lines[i].values, c->lines[i].count);
        free(c->lines[i].name);
    }
    free(c->lines);
    tr_settings_free(c->settings);
    tr_buffer_fini(&c->params);
    tr_buffer_fini(&c->idle);
    tr_buffer_fini(&c->lost);
    tr_buffer_fini(&c->notes);
    free(c->brokers);
    free(c->user);
    free(c->password);
}

static void
build(struct conversion *c)
{
    set_names(c);
    set_mode(c);
    set_defaults(c);
    (void)line_of(c, "source", "url"); /* the first line of its section */
    if (strcmp(c->scheme, "postgresql") == 0)
        source_postgres(c);
    else
        source_binlog(c);
    convert_target(c);
    convert_tables(c);
    /* The URL is written last, for some rules give its parameters. */
    static const char *const parts[] = { "database.hostname", "database.port", "database.user",
                                         "database.password", "database.dbname" };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        (void)pairs_take(c->pairs, parts[i]);
    apply_rules(c);
    source_url(c);
}

int
convert_debezium(const struct tr_registry *registry, struct pairs *pairs, const struct convert_wish *wish,
                 struct tr_buffer *yaml, struct tr_buffer *warnings, size_t *lost, struct tr_error *err)
{
    struct conversion c = { .pairs = pairs, .wish = wish, .scheme = scheme_of(pairs) };
    *lost = 0;
    if (c.scheme == NULL) {
        const char *class = pairs_take(pairs, "connector.class");
        tr_fail(err, TR_CONFIG, "%s%.100s is no Debezium connector for PostgreSQL, MySQL or MariaDB",
                class != NULL ? "connector.class " : "a configuration without connector.class",
                class != NULL ? class : "");
        return tr_error_hint(err, "give the connector's JSON or properties, as Kafka Connect has it");
    }
    tr_buffer_init(&c.params, TR_BUFFER_MAX);
    tr_buffer_init(&c.idle, TR_BUFFER_MAX);
    tr_buffer_init(&c.lost, TR_BUFFER_MAX);
    tr_buffer_init(&c.notes, TR_BUFFER_MAX);
    int rc = make_settings(&c, registry, err);
    if (rc == 0) {
        build(&c);
        write_task(&c, yaml);
        tr_buffer_add(warnings, c.lost.data != NULL ? c.lost.data : "", c.lost.len);
        *lost = c.nlost;
        rc = try_task(&c, registry, yaml, err);
    }
    end(&c);
    return rc;
}
