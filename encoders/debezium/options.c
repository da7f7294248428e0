/* options.c - the settings of the format, under Debezium's names with underscores. */
#include "encoders/debezium/options.h"

#include <stdlib.h>
#include <string.h>

#include "encoders/common/topic.h"

const struct tr_option json_options[] = {
    TOPIC_OPTIONS,
    { .name = "schemas_enable",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "put its schema before each key and value, as Connect's JSON converter does" },
    { .name = "tombstones_on_delete",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "a message with the key and no value after each delete, for compacted topics" },
    { .name = "skipped_operations",
      .section = "target",
      .type = TR_OPTION_STRING,
      .value = "t",
      .help = "operations to leave out: any of c, u, d, t separated by commas, or none" },
    { .name = "include_schema_changes",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "MySQL, MariaDB: each statement that changes the schema as a record in the topic PREFIX" },
    { .name = "topic_heartbeat_prefix",
      .section = "target",
      .type = TR_OPTION_STRING,
      .value = "__debezium-heartbeat",
      .help = "first part of the topic of heartbeats; topic_prefix is the second" },
    { .name = "provide_transaction_metadata",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "BEGIN and END records, and each event's place in its transaction" },
    { .name = "decimal_handling_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "precise",
      .choices = "precise|double|string",
      .help = "how numeric values are written" },
    { .name = "binary_handling_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "bytes",
      .choices = "bytes|base64|base64-url-safe|hex",
      .help = "how bytes are written" },
    { .name = "time_precision_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "adaptive",
      .choices = "adaptive|adaptive_time_microseconds|connect|microseconds|nanoseconds|isostring",
      .help = "how dates and times are written" },
    { .name = "interval_handling_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "numeric",
      .choices = "numeric|string",
      .help = "intervals as microseconds, or in ISO 8601 form" },
    { .name = "hstore_handling_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "json",
      .choices = "json|map",
      .help = "hstore as the text of a JSON object, or as an object" },
    { .name = "bigint_unsigned_handling_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "long",
      .choices = "long|precise",
      .help = "BIGINT UNSIGNED in 64 signed bits, wrapping above 2^63, or as a decimal" },
    { .name = "money_fraction_digits",
      .section = "target",
      .type = TR_OPTION_INT,
      .value = "2",
      .min = 0,
      .max = 10,
      .help = "digits of the fraction of money values" },
    { .name = "unavailable_value_placeholder",
      .section = "target",
      .type = TR_OPTION_STRING,
      .value = "__debezium_unavailable_value",
      .help =
          "stands for a large value that did not change and so is not in the log; hex: before it gives bytes" },
    { .name = "include_unknown_datatypes",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "text",
      .choices = "text|true|false",
      .help =
          "types without a form of their own: as the server's text, as its bytes (Debezium's true), or left out" },
    { .name = "replace_null_with_default",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "false",
      .help = "write a null of a column with a literal default as that default, as Debezium does" },
    { .name = NULL },
};

static const struct tr_option *
own_option(const char *name)
{
    const struct tr_option *option = json_options;
    while (strcmp(option->name, name) != 0)
        option++;
    return option;
}

/* Settings that do not know our table (a test, a tool) leave us our defaults. */
static bool
known(const struct tr_settings *settings, const char *name)
{
    return settings != NULL && tr_settings_find(settings, "target", name) != NULL;
}

const char *
json_option_text(const struct tr_settings *settings, const char *name)
{
    return known(settings, name) ? tr_setting_string(settings, name) : own_option(name)->value;
}

bool
json_option_bool(const struct tr_settings *settings, const char *name)
{
    return known(settings, name) ? tr_setting_bool(settings, name)
                                 : strcmp(own_option(name)->value, "true") == 0;
}

int
json_option_int(const struct tr_settings *settings, const char *name)
{
    return known(settings, name) ? (int)tr_setting_int(settings, name) : atoi(own_option(name)->value);
}

int
json_option_choice(const struct tr_settings *settings, const char *name)
{
    const char *value = json_option_text(settings, name), *at = own_option(name)->choices;
    size_t len = strlen(value);
    for (int i = 0;; i++) {
        if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return i;
        at = strchr(at, '|');
        if (at == NULL)
            return 0;
        at++;
    }
}
