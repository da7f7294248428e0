/* encoder.c - the life of the encoder, its settings, and which events are rows. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/url.h"
#include "encoders/avro/avro.h"
#include "encoders/avro/internal.h"
#include "encoders/debezium/options.h"

static const struct tr_option avro_options[] = {
    { .name = "schema_registry",
      .section = "target",
      .type = TR_OPTION_STRING,
      .secret = true,
      .help = "address of the schema registry, http(s)://host:port/path; several separated by commas" },
    { .name = "schema_registry_user",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "user of the registry (basic authentication)" },
    { .name = "schema_registry_password",
      .section = "target",
      .type = TR_OPTION_STRING,
      .secret = true,
      .help = "that user's password" },
    { .name = "schema_registry_ca",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "file of the certificates that may sign the registry's (default: the system's)" },
    { .name = "schema_registry_certificate",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "file of the client's own certificate" },
    { .name = "schema_registry_key",
      .section = "target",
      .type = TR_OPTION_STRING,
      .help = "file of its private key" },
    { .name = "schema_registry_verify",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "verify the registry's certificate and host name" },
    { .name = "schema_registry_timeout",
      .section = "target",
      .type = TR_OPTION_DURATION,
      .value = "10s",
      .min = 100000,
      .max = INT64_C(300000000),
      .help = "how long one request to the registry may take" },
    { .name = "schema_registry_register",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help = "register schemas that are new; false refuses a table whose schema is not there" },
    { .name = "subject_name",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "topic",
      .choices = "topic|record|topic-record",
      .help = "the subject of a schema: TOPIC-key and TOPIC-value, its record's name, or both" },
    { .name = "schema_name_adjustment_mode",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "avro",
      .choices = "avro|avro_unicode",
      .help = "characters that Avro's names cannot have: an underscore, or _uXXXX" },
    { .name = NULL },
};

static const struct event_form avro_form = { .prepare = avro_prepare, .key = avro_key, .value = avro_value };

/* Settings that do not know our table (a test, a tool) leave us our defaults. */
static const char *
setting(const struct tr_settings *settings, const char *name)
{
    const struct tr_option *option = avro_options;
    while (strcmp(option->name, name) != 0)
        option++;
    return settings != NULL && tr_settings_find(settings, "target", name) != NULL
               ? tr_setting_string(settings, name)
               : option->value;
}

static bool
known(const struct tr_settings *settings)
{
    return settings != NULL && tr_settings_find(settings, "target", "schema_registry") != NULL;
}

static int
open_registry(struct avro_encoder *enc, const struct tr_encoder_env *env, struct tr_error *err)
{
    const struct tr_settings *settings = env->settings;
    struct tr_schema_registry_config config = {
        .urls = setting(settings, "schema_registry"),
        .user = setting(settings, "schema_registry_user"),
        .password = setting(settings, "schema_registry_password"),
        .ca = setting(settings, "schema_registry_ca"),
        .certificate = setting(settings, "schema_registry_certificate"),
        .key = setting(settings, "schema_registry_key"),
        .timeout_us = 10000000,
        .stop_fd = env->stop_fd,
        .waiting = env->waiting,
        .waiting_arg = env->waiting_arg,
    };
    if (config.urls == NULL || config.urls[0] == '\0') {
        tr_fail(err, TR_CONFIG, "format debezium-avro needs schema_registry");
        return tr_error_hint(err, "schema_registry: http://host:8081, in the target's section");
    }
    if (known(settings)) {
        config.insecure = !tr_setting_bool(settings, "schema_registry_verify");
        config.lookup_only = !tr_setting_bool(settings, "schema_registry_register");
        config.timeout_us = tr_setting_int(settings, "schema_registry_timeout");
    }
    return tr_schema_registry_open(&config, &enc->registry, err);
}

static void
avro_close(struct tr_encoder *base)
{
    struct avro_encoder *enc = (struct avro_encoder *)base;
    if (enc == NULL)
        return;
    debezium_fini(&enc->json);
    tr_schema_registry_close(enc->registry);
    rare_free(enc);
    tr_buffer_fini(&enc->text);
    tr_buffer_fini(&enc->rare_key);
    tr_buffer_fini(&enc->rare_value);
    tr_buffer_fini(&enc->clock);
    source_parts_fini(&enc->source);
    free(enc);
}

static int
avro_open(const struct tr_encoder_env *env, struct tr_encoder **encoder, struct tr_error *err)
{
    struct avro_encoder *enc = tr_calloc(1, sizeof(*enc));
    const char *subject = setting(env->settings, "subject_name");
    *encoder = NULL;
    tr_buffer_init(&enc->text, 1 << 20);
    tr_buffer_init(&enc->rare_key, TR_BUFFER_MAX);
    tr_buffer_init(&enc->rare_value, TR_BUFFER_MAX);
    tr_buffer_init(&enc->clock, 1 << 16);
    source_parts_init(&enc->source);
    enc->subject_name = strcmp(subject, "topic") == 0    ? SUBJECT_TOPIC
                        : strcmp(subject, "record") == 0 ? SUBJECT_RECORD
                                                         : SUBJECT_TOPIC_RECORD;
    enc->adjustment = strcmp(setting(env->settings, "schema_name_adjustment_mode"), "avro") == 0
                          ? ADJUST_UNDERSCORE
                          : ADJUST_UNICODE;
    enc->json.form = &avro_form;
    int rc = debezium_init(&enc->json, &tr_debezium_avro_encoder, env, err);
    if (rc == 0 && enc->json.schemas)
        rc = tr_fail(
            err, TR_CONFIG,
            "schemas_enable is of the format debezium-json; debezium-avro's schemas are in the registry");
    enc->json.schemas = true; /* every record comes with its Connect schema, from which Avro's is made */
    if (rc == 0)
        rc = open_registry(enc, env, err);
    if (rc < 0) {
        avro_close(&enc->json.base);
        return rc;
    }
    *encoder = &enc->json.base;
    return 0;
}

static bool
is_row(const struct tr_event *event)
{
    return event->kind == TR_INSERT || event->kind == TR_UPDATE || event->kind == TR_DELETE ||
           event->kind == TR_READ || event->kind == TR_TRUNCATE;
}

static int
avro_event(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
           const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err)
{
    struct rare_emit rare;
    if (is_row(event))
        return debezium_event(base, batch, txn, event, emit, err);
    rare_begin(&rare, (struct avro_encoder *)base, emit);
    return debezium_event(base, batch, txn, event, &rare.emit, err);
}

static int
avro_begin(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
           const struct tr_emit *emit, struct tr_error *err)
{
    struct rare_emit rare;
    rare_begin(&rare, (struct avro_encoder *)base, emit);
    return metadata_begin(base, batch, txn, &rare.emit, err);
}

static int
avro_commit(struct tr_encoder *base, const struct tr_batch *batch, const struct tr_txn *txn,
            const struct tr_emit *emit, struct tr_error *err)
{
    struct rare_emit rare;
    rare_begin(&rare, (struct avro_encoder *)base, emit);
    return metadata_commit(base, batch, txn, &rare.emit, err);
}

static int
avro_heartbeat(struct tr_encoder *base, const struct tr_emit *emit, struct tr_error *err)
{
    struct rare_emit rare;
    rare_begin(&rare, (struct avro_encoder *)base, emit);
    return debezium_heartbeat(base, &rare.emit, err);
}

/* Does the registry answer, and does nothing secret travel in the clear? */
static int
avro_check(struct tr_encoder *base, const struct tr_findings *findings, struct tr_error *err)
{
    struct avro_encoder *enc = (struct avro_encoder *)base;
    const struct tr_settings *settings = base->env->settings;
    const char *urls = setting(settings, "schema_registry"),
               *password = setting(settings, "schema_registry_password");
    struct tr_error ignored;
    struct tr_url url;
    if (known(settings) && !tr_setting_bool(settings, "schema_registry_verify"))
        findings->add(
            findings->arg, TR_FINDING_WARNING, "schema-registry-tls-unverified", NULL,
            "schema_registry_verify is off: whoever answers at the registry's address gets the password "
            "and says what the schemas' ids are",
            NULL);
    if (password != NULL && password[0] != '\0' && strncmp(urls, "http://", 7) == 0 &&
        tr_url_parse(urls, &url, &ignored) == 0) {
        if (!tr_url_is_local(&url))
            findings->add(findings->arg, TR_FINDING_WARNING, "schema-registry-password-in-clear", NULL,
                          "the registry's address is http: the password crosses the network readably", NULL);
        tr_url_fini(&url);
    }
    if (tr_schema_registry_probe(enc->registry, err) < 0) {
        findings->add(findings->arg, TR_FINDING_ERROR, "schema-registry", NULL, err->text, NULL);
        tr_error_clear(err);
    }
    return 0;
}

const struct tr_encoder_class tr_debezium_avro_encoder = {
    .name = "debezium-avro",
    .options = json_options,
    .more_options = avro_options,
    .binary = true,
    .open = avro_open,
    .close = avro_close,
    .event = avro_event,
    .begin = avro_begin,
    .commit = avro_commit,
    .check = avro_check,
    .heartbeat = avro_heartbeat,
    .wants_shapes = debezium_wants_shapes,
};
