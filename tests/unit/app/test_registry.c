/* test_registry.c - the connectors' option tables fit together, whichever source and target meet in a task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "app/config.h"
#include "app/help.h"
#include "app/commands.h"
#include "pipeline/task.h"

static struct tr_error err;

static void
test_schemes_are_unique(void **state)
{
    const struct tr_registry *registry = tr_registry();
    (void)state;
    assert_non_null(registry->sources[0]);
    assert_non_null(registry->sinks[0]);
    assert_non_null(registry->stores[0]);
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++)
        for (const char *c = (*class)->schemes; c != NULL;
             c = strchr(c, '|') != NULL ? strchr(c, '|') + 1 : NULL) {
            char scheme[64] = "";
            memcpy(scheme, c, strcspn(c, "|"));
            assert_ptr_equal(tr_registry_source(registry, scheme), *class);
        }
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++)
        for (const char *c = (*class)->schemes; c != NULL;
             c = strchr(c, '|') != NULL ? strchr(c, '|') + 1 : NULL) {
            char scheme[64] = "";
            memcpy(scheme, c, strcspn(c, "|"));
            assert_ptr_equal(tr_registry_sink(registry, scheme), *class);
        }
    assert_null(tr_registry_source(registry, "postgresql|postgres"));
    assert_null(tr_registry_source(registry, ""));
}

/* A connector asks for its options by their bare names, so a pair must not share one, nor take one of the task's. */
static void
check_set(const struct tr_option *source, const struct tr_option *sink, const struct tr_option *format,
          const struct tr_option *encoder)
{
    struct tr_settings *settings = tr_settings_new();
    const struct tr_option *tables[] = { tr_task_options, tr_process_options, source, sink, format, encoder };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct tr_option *option = tables[i]; option != NULL && option->name != NULL; option++)
            if (tr_settings_find(settings, NULL, option->name) != NULL)
                fail_msg("option %s is in two tables", option->name);
        if (tr_settings_add_table(settings, tables[i], &err) < 0)
            fail_msg("%s", err.text);
    }
    tr_settings_free(settings);
}

static void
check_pair(const struct tr_source_class *source, const struct tr_sink_class *sink)
{
    const struct tr_registry *registry = tr_registry();
    if (!(sink->capabilities & TR_SINK_ENCODES)) {
        check_set(source->options, sink->options, NULL, NULL);
        return;
    }
    for (const struct tr_encoder_class *const *encoder = registry->encoders; *encoder != NULL; encoder++)
        check_set(source->options, sink->options, registry->format, (*encoder)->options);
}

/* `format` offers exactly the encoders that there are. */
static void
test_formats_are_the_encoders(void **state)
{
    const struct tr_registry *registry = tr_registry();
    char choices[512] = "";
    (void)state;
    for (const struct tr_encoder_class *const *class = registry->encoders; *class != NULL; class ++) {
        assert_ptr_equal(tr_registry_encoder(registry, (*class)->name), *class);
        snprintf(choices + strlen(choices), sizeof(choices) - strlen(choices), "%s%s",
                 choices[0] != '\0' ? "|" : "", (*class)->name);
    }
    assert_string_equal(registry->format[0].choices, choices);
    assert_non_null(tr_registry_encoder(registry, registry->format[0].value));
    assert_null(registry->format[1].name);
}

static void
test_every_pair(void **state)
{
    const struct tr_registry *registry = tr_registry();
    (void)state;
    for (const struct tr_source_class *const *source = registry->sources; *source != NULL; source++)
        for (const struct tr_sink_class *const *sink = registry->sinks; *sink != NULL; sink++)
            check_pair(*source, *sink);
}

static void
check_table(const struct tr_settings *all, const struct tr_option *table, const char *section)
{
    for (; table != NULL && table->name != NULL; table++) {
        const struct tr_option *first = tr_settings_find(all, table->section, table->name);
        if (section != NULL && strcmp(table->section, section) != 0)
            fail_msg("option %s is in section '%s', not '%s'", table->name, table->section, section);
        if (table->help == NULL || strlen(table->help) < 10)
            fail_msg("option %s has no help", table->name);
        /* The command line is split before the connectors are known. */
        if (first == NULL || (first->type == TR_OPTION_BOOL) != (table->type == TR_OPTION_BOOL))
            fail_msg("option %s is a bool in one connector and not in another", table->name);
    }
}

static void
test_tables_are_well_formed(void **state)
{
    const struct tr_registry *registry = tr_registry();
    struct tr_settings *all = tr_config_all_options(registry);
    (void)state;
    check_table(all, tr_task_options, NULL);
    check_table(all, tr_process_options, "");
    for (const struct tr_source_class *const *source = registry->sources; *source != NULL; source++)
        check_table(all, (*source)->options, "source");
    for (const struct tr_sink_class *const *sink = registry->sinks; *sink != NULL; sink++)
        check_table(all, (*sink)->options, "target");
    check_table(all, registry->format, "target");
    for (const struct tr_encoder_class *const *class = registry->encoders; *class != NULL; class ++)
        check_table(all, (*class)->options, "target");
    tr_settings_free(all);
}

/* Help is made from the same tables: each option and each command must be in all its forms. */
static void
test_help_has_everything(void **state)
{
    struct tr_buffer text, man, markdown, overview;
    (void)state;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    tr_buffer_init(&man, TR_BUFFER_MAX);
    tr_buffer_init(&markdown, TR_BUFFER_MAX);
    tr_buffer_init(&overview, TR_BUFFER_MAX);
    tr_help_overview(tr_registry(), &overview);
    tr_help_reference(tr_registry(), TR_HELP_MAN, &man);
    tr_help_reference(tr_registry(), TR_HELP_MARKDOWN, &markdown);
    assert_false(tr_help_command(tr_registry(), "fly", &text));
    for (const struct tr_command *command = tr_commands; command->name != NULL; command++) {
        assert_non_null(strstr(overview.data, command->usage));
        tr_buffer_reset(&text);
        assert_true(tr_help_command(tr_registry(), command->name, &text));
        if (command->plain != NULL)
            continue;
        assert_non_null(strstr(text.data, "--retry-max DURATION  (default: 0s)\n      give up"));
        assert_non_null(strstr(text.data, "--mode full-load|full-load-and-cdc|cdc"));
    }
    tr_buffer_reset(&text);
    assert_true(tr_help_command(tr_registry(), "run", &text));
    for (const struct tr_option *option = tr_task_options; option->name != NULL; option++) {
        assert_non_null(strstr(text.data, option->name[0] == 'r'   ? "retry"
                                          : option->name[0] == 'o' ? "--o"
                                                                   : option->name));
        assert_non_null(strstr(markdown.data, option->help));
    }
    assert_non_null(strstr(man.data, ".B \\-\\-retry\\-max DURATION"));
    tr_buffer_fini(&text);
    tr_buffer_fini(&man);
    tr_buffer_fini(&markdown);
    tr_buffer_fini(&overview);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemes_are_unique),       cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_formats_are_the_encoders), cmocka_unit_test(test_tables_are_well_formed),
        cmocka_unit_test(test_help_has_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
