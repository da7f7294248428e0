/* options.c - the settings of the format: those of a DMS Kafka endpoint, in our spelling. */
#include <string.h>

#include "encoders/dms/internal.h"

#define SWITCH(option, off_or_on, text)                                                               \
    {                                                                                                 \
        .name = option, .section = "target", .type = TR_OPTION_BOOL, .value = off_or_on, .help = text \
    }

const struct tr_option dms_options[] = {
    TOPIC_OPTIONS,
    { .name = "partition_key_type",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "primary-key",
      .choices = "primary-key|schema-table|transaction-id",
      .help = "what a message's key is; rows without a primary key go by schema-table" },
    SWITCH("partition_include_schema_table", "false",
           "put schema and table before the values of a primary key"),
    SWITCH("include_partition_value", "false", "the message's key in its metadata too"),
    SWITCH("include_transaction_details", "false",
           "transaction, record number, commit time and position in each message's metadata"),
    SWITCH("include_table_alter_operations", "false",
           "control records when a table changes its shape or is truncated"),
    SWITCH("include_control_details", "false", "the table's definition in control records"),
    SWITCH("include_null_and_empty", "false", "columns that are null or empty, which are left out otherwise"),
    SWITCH("no_hex_prefix", "false", "bytes as hex digits without 0x before them"),
    SWITCH("map_boolean_as_boolean", "false", "booleans as true and false, not as the texts of these words"),
    { .name = "before_image",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "off",
      .choices = "off|pk-only|non-lob|all",
      .help = "the columns of the old row that an update shows, as far as the source logs them" },
    { .name = "before_image_field",
      .section = "target",
      .type = TR_OPTION_STRING,
      .value = "before-image",
      .help = "name of the member beside data that holds them" },
    { .name = NULL },
};

int
dms_read_options(struct dms_encoder *enc, struct tr_error *err)
{
    const struct tr_settings *settings = enc->base.env->settings;
    const char *key = tr_setting_string(settings, "partition_key_type"),
               *before = tr_setting_string(settings, "before_image");
    enc->partition_key = key[0] == 'p' ? KEY_PRIMARY : key[0] == 's' ? KEY_TABLE : KEY_TRANSACTION;
    enc->before_columns = before[0] == 'p' ? BEFORE_KEY : before[0] == 'n' ? BEFORE_NON_LOB : BEFORE_ALL;
    enc->before_name = strcmp(before, "off") != 0 ? tr_setting_string(settings, "before_image_field") : NULL;
    enc->schema_in_key = tr_setting_bool(settings, "partition_include_schema_table");
    enc->partition_value = tr_setting_bool(settings, "include_partition_value");
    enc->transaction_details = tr_setting_bool(settings, "include_transaction_details");
    enc->table_alterations = tr_setting_bool(settings, "include_table_alter_operations");
    enc->control_details = tr_setting_bool(settings, "include_control_details");
    enc->nulls = tr_setting_bool(settings, "include_null_and_empty");
    enc->hex_prefix = !tr_setting_bool(settings, "no_hex_prefix");
    enc->booleans = tr_setting_bool(settings, "map_boolean_as_boolean");
    enc->mysql = strcmp(enc->base.env->connector, "postgresql") != 0;
    if (enc->before_name != NULL && (enc->before_name[0] == '\0' || strcmp(enc->before_name, "data") == 0 ||
                                     strcmp(enc->before_name, "metadata") == 0))
        return tr_fail(err, TR_CONFIG, "before_image_field may not be \"%s\"", enc->before_name);
    return topic_namer_init(&enc->topics, enc->base.env, err);
}
