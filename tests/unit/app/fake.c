/* fake.c - connectors that are their option tables. */
#include "tests/unit/app/fake.h"

static const struct tr_option lake_options[] = {
    { .name = "slot", .section = "source", .type = TR_OPTION_STRING, .help = "h" },
    { .name = "tls", .section = "source", .type = TR_OPTION_BOOL, .value = "true", .help = "h" },
    { .name = "batch", .section = "source", .type = TR_OPTION_INT, .value = "1", .help = "h" },
    { .name = "password", .section = "source", .type = TR_OPTION_STRING, .secret = true, .help = "h" },
    { .name = NULL },
};

static const struct tr_option sea_options[] = {
    { .name = "batch", .section = "target", .type = TR_OPTION_INT, .value = "2", .help = "h" },
    { .name = "depth", .section = "target", .type = TR_OPTION_SIZE, .value = "1MiB", .help = "h" },
    { .name = NULL },
};

static const struct tr_option format[] = {
    { .name = "format",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "salt",
      .choices = "salt|sweet",
      .help = "h" },
    { .name = NULL },
};

static const struct tr_option sweet_options[] = {
    { .name = "sugar", .section = "target", .type = TR_OPTION_INT, .value = "3", .help = "h" },
    { .name = NULL },
};

static const struct tr_encoder_class salt = { .name = "salt" };
static const struct tr_encoder_class sweet = { .name = "sweet", .options = sweet_options };
static const struct tr_source_class lake = { .name = "lake",
                                             .schemes = "lake|pond",
                                             .options = lake_options };
static const struct tr_sink_class sea = {
    .name = "sea", .schemes = "sea", .capabilities = TR_SINK_ENCODES, .options = sea_options
};
static const struct tr_sink_class out = { .name = "out", .schemes = "stdout|file" };
static const struct tr_offset_store_class shelf = { .name = "shelf" };

const struct tr_registry *
fake_registry(void)
{
    static const struct tr_source_class *const sources[] = { &lake, NULL };
    static const struct tr_sink_class *const sinks[] = { &sea, &out, NULL };
    static const struct tr_offset_store_class *const stores[] = { &shelf, NULL };
    static const struct tr_encoder_class *const encoders[] = { &salt, &sweet, NULL };
    static const struct tr_registry registry = {
        .sources = sources, .sinks = sinks, .stores = stores, .encoders = encoders, .format = format
    };
    return &registry;
}
