/* fuzz_config.c - any bytes as a task file give settings or a message, never a crash. No file and no server is touched. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tr_option lake_options[] = {
    { .name = "slot", .section = "source", .type = TR_OPTION_STRING, .help = "h" },
    { .name = "tls", .section = "source", .type = TR_OPTION_BOOL, .value = "true", .help = "h" },
    { .name = "level", .section = "source", .type = TR_OPTION_INT, .min = -5, .max = 5, .help = "h" },
    { .name = NULL },
};

static const struct tr_source_class lake = { .name = "lake",
                                             .schemes = "lake|pond|postgresql",
                                             .options = lake_options };
static const struct tr_sink_class sea = { .name = "sea", .schemes = "sea|stdout|null|file|kafka" };

/* References open files and read the environment: not what this target is about. */
static bool
has_reference(const uint8_t *data, size_t size)
{
    return memmem(data, size, "${", 2) != NULL || memmem(data, size, "file:", 5) != NULL;
}

static void
try_url(const struct tr_settings *settings, const char *name)
{
    const char *text = tr_setting_string(settings, name);
    struct tr_url url;
    struct tr_error err;
    if (text == NULL)
        return;
    free(tr_url_redact(text));
    if (tr_url_parse(text, &url, &err) == 0) {
        (void)tr_url_is_local(&url);
        tr_url_fini(&url);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tr_source_class *const sources[] = { &lake, NULL };
    static const struct tr_sink_class *const sinks[] = { &sea, NULL };
    static const struct tr_offset_store_class *const stores[] = { NULL };
    static const struct tr_registry registry = { .sources = sources, .sinks = sinks, .stores = stores };
    const struct tr_config_request request = { .registry = &registry };
    struct tr_entries file = { 0 }, flags = { 0 };
    struct tr_config config = { 0 };
    struct tr_error err;
    if (has_reference(data, size))
        return 0;
    if (tr_entries_parse(&file, (const char *)data, size, "fuzz.yaml", &err) == 0 &&
        tr_config_build(&request, &file, &flags, &config, &err) == 0) {
        try_url(config.settings, "source");
        try_url(config.settings, "target");
    }
    tr_config_fini(&config);
    tr_entries_fini(&file);
    return 0;
}
