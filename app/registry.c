/* registry.c - a new connector is a line here. */
#include "app/registry.h"

#include <string.h>

#include "capture/mysql/mysql.h"
#include "capture/postgres/postgres.h"
#include "encoders/avro/avro.h"
#include "encoders/debezium/debezium.h"
#include "encoders/dms/dms.h"
#include "offsets/kafka/kafka.h"
#include "offsets/sqlite/sqlite.h"
#include "sinks/jsonl/jsonl.h"
#include "sinks/kafka/kafka.h"
#include "sinks/mysql/mysql.h"
#include "sinks/null/null.h"
#include "sinks/postgres/postgres.h"

static const struct tr_source_class *const sources[] = {
    &tr_postgres_source,
    &tr_mysql_source,
    &tr_mariadb_source,
    NULL,
};

static const struct tr_sink_class *const sinks[] = {
    &tr_postgres_sink, &tr_mysql_sink, &tr_mariadb_sink, &tr_jsonl_sink,
    &tr_stdout_sink,   &tr_null_sink,  &tr_kafka_sink,   NULL,
};

static const struct tr_offset_store_class *const stores[] = {
    &tr_sqlite_store,
    &tr_kafka_store,
    NULL,
};

static const struct tr_encoder_class *const encoders[] = {
    &tr_debezium_json_encoder, &tr_plain_json_encoder, &tr_debezium_avro_encoder, &tr_dms_json_encoder, NULL,
};

static const struct tr_option format[] = {
    { .name = "format",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "debezium-json",
      .choices = "debezium-json|plain-json|debezium-avro|dms-json",
      .help = "form of the events; each form has options of its own" },
    { .name = NULL },
};

const struct tr_registry *
tr_registry(void)
{
    static const struct tr_registry registry = {
        .sources = sources, .sinks = sinks, .stores = stores, .encoders = encoders, .format = format
    };
    return &registry;
}

bool
tr_registry_has_scheme(const char *schemes, const char *scheme)
{
    size_t len = strlen(scheme);
    for (;;) {
        const char *end = strchrnul(schemes, '|');
        if (len > 0 && (size_t)(end - schemes) == len && memcmp(schemes, scheme, len) == 0)
            return true;
        if (*end == '\0')
            return false;
        schemes = end + 1;
    }
}

const struct tr_source_class *
tr_registry_source(const struct tr_registry *registry, const char *scheme)
{
    for (const struct tr_source_class *const *class = registry->sources; *class != NULL; class ++)
        if (tr_registry_has_scheme((*class)->schemes, scheme))
            return *class;
    return NULL;
}

const struct tr_sink_class *
tr_registry_sink(const struct tr_registry *registry, const char *scheme)
{
    for (const struct tr_sink_class *const *class = registry->sinks; *class != NULL; class ++)
        if (tr_registry_has_scheme((*class)->schemes, scheme))
            return *class;
    return NULL;
}

const struct tr_offset_store_class *
tr_registry_store(const struct tr_registry *registry, const char *scheme)
{
    for (const struct tr_offset_store_class *const *class = registry->stores; *class != NULL; class ++)
        if ((*class)->schemes != NULL && tr_registry_has_scheme((*class)->schemes, scheme))
            return *class;
    return NULL;
}

const struct tr_encoder_class *
tr_registry_encoder(const struct tr_registry *registry, const char *name)
{
    for (const struct tr_encoder_class *const *class = registry->encoders; class != NULL && *class != NULL;
         class ++)
        if (strcmp((*class)->name, name) == 0)
            return *class;
    return NULL;
}
