/* target.c - converters, transforms, topics and the producer: what Connect did between Debezium and Kafka. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/convert/internal.h"
#include "core/memory.h"

static bool
ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static const char *
take_of(struct conversion *c, const char *prefix, const char *name)
{
    char *key = tr_asprintf("%s.%s", prefix, name);
    const char *value = pairs_take(c->pairs, key);
    free(key);
    return value;
}

/* ------------------------------------------------------------------------------------- the format */

static const char *
transform_type(struct conversion *c, const char *name)
{
    char *key = tr_asprintf("transforms.%s.type", name);
    const char *type = pairs_take(c->pairs, key);
    free(key);
    return type != NULL ? type : "";
}

/* Is one of the transforms of this type? The name is the caller's, or NULL. */
static char *
find_transform(struct conversion *c, const char *type)
{
    char **names, *found = NULL;
    const char *list = pairs_take(c->pairs, "transforms");
    size_t count = list != NULL ? split_list(list, ',', &names) : 0;
    for (size_t i = 0; i < count && found == NULL; i++)
        if (ends_with(transform_type(c, names[i]), type))
            found = tr_strdup(names[i]);
    if (count > 0)
        free_list(names, count);
    return found;
}

static bool
known_format(const struct conversion *c, const char *format)
{
    const struct tr_option *option = tr_settings_find(c->settings, "target", "format");
    char *choices = tr_asprintf("|%s|", option != NULL ? option->choices : ""),
         *wanted = tr_asprintf("|%s|", format);
    bool known = strstr(choices, wanted) != NULL;
    free(choices);
    free(wanted);
    return known;
}

/* Before the encoder's options are known. c->settings has the choice of formats alone. */
void
convert_format(struct conversion *c)
{
    const char *value = pairs_take(c->pairs, "value.converter"),
               *server = pairs_take(c->pairs, "debezium.format.value");
    char *flat = find_transform(c, ".ExtractNewRecordState");
    bool avro = (value != NULL && strstr(value, "AvroConverter") != NULL) ||
                (server != NULL && strcmp(server, "avro") == 0);
    c->format = flat != NULL ? "plain-json" : "debezium-json";
    if (avro && flat == NULL && known_format(c, "debezium-avro"))
        c->format = "debezium-avro";
    else if (avro)
        convert_lost(c, value != NULL ? "value.converter" : "debezium.format.value",
                     "Avro of this kind is not written; the output is %s", c->format);
    free(flat);
}

/* The value of the first of these keys that the file has (its name in *key), the others marked as read; NULL = none. */
static const char *
take_first(struct conversion *c, const char *const keys[], const char **key)
{
    const char *found = NULL;
    for (size_t i = 0; keys[i] != NULL; i++) {
        const char *value = pairs_take(c->pairs, keys[i]);
        if (value == NULL || found != NULL)
            continue;
        found = value;
        *key = keys[i];
    }
    return found;
}

/* Apicurio has an interface of Confluent's beside its own. */
static void
convert_apicurio(struct conversion *c, const char *url, const char *key)
{
    const char *own = strstr(url, "/apis/");
    char *address = tr_asprintf("%.*s/apis/ccompat/v7", own != NULL ? (int)(own - url) : (int)strlen(url),
                                url);
    convert_set(c, "target", "schema_registry", address, key);
    convert_note(
        c,
        "schema_registry is Apicurio's interface for Confluent's clients; see that readers use the ids of it.");
    free(address);
}

static void
convert_subjects(struct conversion *c)
{
    static const char *const keys[] = { "value.converter.value.subject.name.strategy",
                                        "key.converter.key.subject.name.strategy", NULL };
    static const char *const names[][2] = { { ".TopicNameStrategy", "topic" },
                                            { ".RecordNameStrategy", "record" },
                                            { ".TopicRecordNameStrategy", "topic-record" } };
    const char *key = keys[0], *strategy = take_first(c, keys, &key);
    size_t i = 0;
    while (strategy != NULL && i < 3 && !ends_with(strategy, names[i][0]))
        i++;
    if (strategy != NULL && i < 3)
        convert_set(c, "target", "subject_name", names[i][1], key);
    else if (strategy != NULL)
        convert_lost(c, key, "Java code; see subject_name");
}

static void
convert_registry(struct conversion *c)
{
    static const char *const urls[] = { "value.converter.schema.registry.url",
                                        "key.converter.schema.registry.url", NULL },
                             *const apicurio[] = { "value.converter.apicurio.registry.url",
                                                   "key.converter.apicurio.registry.url", NULL };
    const char *key = urls[0], *url = take_first(c, urls, &key), *theirs = take_first(c, apicurio, &key);
    const char *user = pairs_take(c->pairs, "value.converter.basic.auth.user.info");
    (void)pairs_take(c->pairs, "key.converter.basic.auth.user.info");
    (void)pairs_take(c->pairs, "key.converter");
    /* One setting adjusts the names of records and of fields. */
    (void)pairs_take(c->pairs, "field.name.adjustment.mode");
    (void)pairs_take(c->pairs, "value.converter.basic.auth.credentials.source");
    (void)pairs_take(c->pairs, "key.converter.basic.auth.credentials.source");
    if (url != NULL)
        convert_set(c, "target", "schema_registry", url, key);
    else if (theirs != NULL)
        convert_apicurio(c, theirs, key);
    else
        convert_lost(c, "value.converter.schema.registry.url",
                     "it is missing: put the registry's address into schema_registry");
    convert_subjects(c);
    if (user == NULL)
        return;
    convert_note(
        c,
        "The registry's password stands in this file: chmod 600, or write ${ENV} or ${file:/path} in its place.");
    /* The first colon that stands in no reference. */
    const char *password = user;
    while (*password != '\0' && *password != ':')
        password += strncmp(password, "${", 2) == 0 ? strcspn(password, "}") : 1;
    char *name = tr_strndup(user, (size_t)(password - user));
    convert_set(c, "target", "schema_registry_user", name, "value.converter.basic.auth.user.info");
    if (*password != '\0')
        convert_set(c, "target", "schema_registry_password", password + 1,
                    "value.converter.basic.auth.user.info");
    free(name);
}

static void
convert_schemas(struct conversion *c)
{
    static const char *const of_values[] = { "value.converter.schemas.enable",
                                             "debezium.format.value.schemas.enable",
                                             "debezium.format.schemas.enable", NULL };
    static const char *const of_keys[] = { "key.converter.schemas.enable",
                                           "debezium.format.key.schemas.enable", NULL };
    const char *key = of_values[0], *key_of_keys = of_keys[0], *schemas = take_first(c, of_values, &key),
               *key_schemas = take_first(c, of_keys, &key_of_keys);
    bool with = schemas == NULL || is_true(schemas);
    if (strcmp(c->format, "plain-json") == 0) {
        /* Connect's default, or asked for: the readers look for "payload". */
        if (with || (key_schemas != NULL && is_true(key_schemas)))
            convert_lost(c, key,
                         "plain-json has no schemas: a row stands there without \"payload\" around it");
        return;
    }
    if (key_schemas != NULL && is_true(key_schemas) != with)
        convert_lost(c, key_of_keys, "keys have schemas when values have");
    convert_set(c, "target", "schemas_enable", with ? "true" : "false", key);
}

static void
convert_json(struct conversion *c)
{
    const char *converter = pairs_take(c->pairs, "value.converter"),
               *keys = pairs_take(c->pairs, "key.converter"),
               *server = pairs_take(c->pairs, "debezium.format.value"),
               *nulls = pairs_take(c->pairs, "value.converter.replace.null.with.default");
    (void)pairs_take(c->pairs, "key.converter.replace.null.with.default");
    if (converter == NULL && server == NULL)
        convert_note(
            c,
            "value.converter is not in the file; Connect's usual one is assumed: JSON, with schemas unless value.converter.schemas.enable=false. See schemas_enable.");
    else if (converter != NULL && !ends_with(converter, "JsonConverter"))
        convert_lost(c, "value.converter", "values are JSON texts");
    if (keys != NULL && !ends_with(keys, "JsonConverter"))
        convert_lost(c, "key.converter", "keys are JSON texts");
    convert_schemas(c);
    if (nulls == NULL || is_true(nulls))
        convert_set(c, "target", "replace_null_with_default", "true",
                    "value.converter.replace.null.with.default");
}

/* ------------------------------------------------------------------------------------- topics */

static void
convert_router(struct conversion *c, const char *name, bool logical)
{
    char *prefix = tr_asprintf("transforms.%s", name),
         *key = tr_asprintf("transforms.%s.%s", name, logical ? "topic.regex" : "regex");
    const char *regex = take_of(c, prefix, logical ? "topic.regex" : "regex"),
               *replacement = take_of(c, prefix, logical ? "topic.replacement" : "replacement"),
               *unique = take_of(c, prefix, "key.enforce.uniqueness");
    if (regex == NULL || replacement == NULL)
        convert_lost(c, key, "an expression and a replacement are needed");
    else
        convert_route(c, key, regex, replacement);
    if (logical && (unique == NULL || is_true(unique)))
        convert_lost(
            c, prefix,
            "keys get no field __dbz__physicalTableIdentifier; see that keys of the tables do not collide");
    free(prefix);
    free(key);
}

/* Of those that ExtractNewRecordState can add. */
static bool
fields_are_there(const char *list)
{
    static const char *const known[] = { "op", "table", "source.table", "ts_ms", "source.ts_ms" };
    char **names;
    size_t count = split_list(list, ',', &names), found = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            found += strcmp(names[i], known[k]) == 0;
    if (count > 0)
        free_list(names, count);
    return found == count;
}

static void
convert_flat(struct conversion *c, const char *name)
{
    char *prefix = tr_asprintf("transforms.%s", name);
    const char *mode = take_of(c, prefix, "delete.tombstone.handling.mode"),
               *deletes = take_of(c, prefix, "delete.handling.mode"),
               *drop = take_of(c, prefix, "drop.tombstones");
    if (mode != NULL && strcmp(mode, "tombstone") != 0)
        convert_lost(c, prefix, "delete.tombstone.handling.mode: a delete is the tombstone of its key");
    if (deletes != NULL && strcmp(deletes, "none") != 0)
        convert_lost(c, prefix, "delete.handling.mode: a delete is the tombstone of its key");
    if (drop != NULL && is_true(drop))
        convert_lost(c, prefix, "drop.tombstones: a delete is the tombstone of its key");
    const char *fields = take_of(c, prefix, "add.fields");
    if (fields != NULL && !fields_are_there(fields))
        convert_lost(c, prefix,
                     "add.fields: each row has __op, __table, __ts_ms and __position, and no others");
    convert_note(
        c, "format plain-json adds __op, __table, __ts_ms and __position to each row (docs/events.md).");
    free(prefix);
}

static void
convert_transforms(struct conversion *c)
{
    char **names;
    const char *list = pairs_take(c->pairs, "transforms");
    size_t count = list != NULL ? split_list(list, ',', &names) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *type = transform_type(c, names[i]);
        char *key = tr_asprintf("transforms.%s", names[i]);
        if (ends_with(type, ".ByLogicalTableRouter"))
            convert_router(c, names[i], true);
        else if (ends_with(type, ".RegexRouter"))
            convert_router(c, names[i], false);
        else if (ends_with(type, ".ExtractNewRecordState"))
            convert_flat(c, names[i]);
        else
            convert_lost(c, key, "%.100s is Java code that tailrace cannot run", type);
        free(key);
    }
    if (count > 0)
        free_list(names, count);
    /* What is left of those that were understood says so by itself; of the others it is the transform's own. */
    for (size_t i = 0; i < c->pairs->count; i++) {
        struct pair *pair = &c->pairs->items[i];
        if (strncmp(pair->key, "transforms.", 11) != 0 || pair->used)
            continue;
        pair->used = true;
        if (ends_with(pair->key, ".predicate"))
            convert_lost(c, pair->key, "what is carried of this transform holds for all messages");
        else if (!ends_with(pair->key, ".type") && !ends_with(pair->key, ".negate"))
            convert_lost(c, pair->key, "an option of a transform that is not carried");
    }
}

static void
convert_topics(struct conversion *c)
{
    const char *strategy = pairs_take(c->pairs, "topic.naming.strategy"),
               *regex = pairs_take(c->pairs, "topic.regex"),
               *replacement = pairs_take(c->pairs, "topic.replacement");
    (void)pairs_take(c->pairs, "topic.regex.enable");
    if (strategy != NULL && ends_with(strategy, "RegexTopicNamingStrategy") && regex != NULL &&
        replacement != NULL)
        convert_route(c, "topic.regex", regex, replacement);
    else if (strategy != NULL && !ends_with(strategy, ".SchemaTopicNamingStrategy") &&
             !ends_with(strategy, ".DefaultTopicNamingStrategy"))
        convert_lost(c, "topic.naming.strategy", "Java code; see topic and topic_routes");
}

static void
convert_creation(struct conversion *c, const char *key, const char *value)
{
    static const char defaults[] = "topic.creation.default.";
    const char *name = key + sizeof(defaults) - 1;
    if (strcmp(key, "topic.creation.enable") == 0) {
        if (!is_true(value))
            convert_set(c, "target", "create_topics", "false", key);
    } else if (strncmp(key, defaults, sizeof(defaults) - 1) != 0) {
        convert_lost(c, key, "all topics are made alike: topic_partitions, topic_replication, topic_config");
    } else if (strcmp(name, "partitions") == 0 || strcmp(name, "replication.factor") == 0) {
        if (value[0] != '-')
            convert_set(c, "target", name[0] == 'p' ? "topic_partitions" : "topic_replication", value, key);
    } else {
        char *item = tr_asprintf("%s=%s", name, value);
        convert_item(c, "target", "topic_config", item);
        free(item);
    }
}

/* ------------------------------------------------------------------------------------- the producer */

/* The value of name="value" in a line for JAAS, where a backslash in quotes takes the next character as it is; the caller frees it */
static char *
jaas_value(const char *text, const char *name)
{
    static const char blank[] = " \t\r\n;";
    for (const char *at = text + strspn(text, blank); *at != '\0'; at += strspn(at, blank)) {
        const char *word = at;
        size_t len = strcspn(at, " \t\r\n;=");
        at += len + strspn(at + len, " \t\r\n");
        if (*at != '=')
            continue;
        at++;
        at += strspn(at, " \t\r\n");
        char quote = *at == '"' || *at == '\'' ? *at++ : '\0';
        char *value = tr_strdup(at), *to = value;
        for (; *at != '\0' && (quote != '\0' ? *at != quote : strchr(blank, *at) == NULL); at++) {
            if (*at == '\\' && quote != '\0' && at[1] != '\0')
                at++;
            *to++ = *at;
        }
        at += quote != '\0' && *at == quote;
        *to = '\0';
        if (len == strlen(name) && strncmp(word, name, len) == 0)
            return value;
        free(value);
    }
    return NULL;
}

static void
convert_login(struct conversion *c, const char *key, const char *value)
{
    char *user = jaas_value(value, "username"), *password = jaas_value(value, "password");
    if (user == NULL || password == NULL) {
        convert_lost(c, key,
                     "no user and password in it; put them into the target's url, or see sasl_mechanism");
    } else {
        free(c->user);
        free(c->password);
        c->user = convert_url_part(c, user, "KAFKA_USER", key);
        c->password = convert_url_part(c, password, "KAFKA_PASSWORD", key);
    }
    free(user);
    if (password != NULL)
        tr_wipe(password, strlen(password));
    free(password);
}

static void
convert_store(struct conversion *c, const char *name, const char *value, const char *key)
{
    bool pem = ends_with(value, ".pem") || ends_with(value, ".crt");
    if (strcmp(name, "ssl.truststore.location") == 0 && pem)
        convert_set(c, "target", "tls_ca", value, key);
    else if (strcmp(name, "ssl.keystore.location") == 0 && pem)
        convert_set(c, "target", "tls_certificate", value, key);
    else if (ends_with(name, ".type"))
        convert_idle(c, key);
    else
        convert_lost(c, key, "a Java key store; give PEM files: tls_ca, tls_certificate, tls_key");
}

static void
convert_property(struct conversion *c, const char *name, const char *value, const char *key)
{
    static const char *const idle[] = { "acks",
                                        "enable.idempotence",
                                        "retries",
                                        "max.in.flight.requests.per.connection",
                                        "delivery.timeout.ms",
                                        "request.timeout.ms",
                                        "max.block.ms",
                                        "buffer.memory",
                                        "key.serializer",
                                        "value.serializer",
                                        "transactional.id",
                                        "client.id",
                                        "transaction.timeout.ms",
                                        "metric.reporters",
                                        "metrics.*",
                                        "metadata.*",
                                        "client.dns.lookup",
                                        "config.providers*",
                                        "connections.max.idle.ms",
                                        "enable.metrics.push",
                                        "partitioner.adaptive.partitioning.enable",
                                        "partitioner.availability.timeout.ms",
                                        "receive.buffer.bytes",
                                        "send.buffer.bytes",
                                        "reconnect.backoff.*",
                                        "retry.backoff.*",
                                        "socket.connection.setup.*",
                                        "transaction.two.phase.commit.enable",
                                        "ssl.client.auth",
                                        "ssl.protocol",
                                        "ssl.provider",
                                        "ssl.enabled.protocols",
                                        "ssl.keymanager.algorithm",
                                        "ssl.trustmanager.algorithm",
                                        "ssl.secure.random.implementation",
                                        "sasl.login.*" };
    for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
        size_t len = strlen(idle[i]);
        if (idle[i][len - 1] == '*' ? strncmp(name, idle[i], len - 1) == 0 : strcmp(name, idle[i]) == 0) {
            convert_idle(c, key);
            return;
        }
    }
    if (strcmp(name, "partitioner.class") == 0 || strcmp(name, "partitioner.ignore.keys") == 0) {
        if (strstr(value, "DefaultPartitioner") == NULL && strcmp(value, "false") != 0)
            convert_lost(c, key,
                         "messages go where Java's clients put their keys by default; see partition_by");
    } else if (strncmp(name, "compression.", 12) == 0 && ends_with(name, ".level")) {
        convert_lost(c, key, "write kafka: [\"compression.level=...\"]");
    } else if (strcmp(name, "bootstrap.servers") == 0) {
        free(c->brokers);
        c->brokers = tr_strdup(value);
    } else if (strcmp(name, "compression.type") == 0) {
        convert_set(c, "target", "compression", value, key);
    } else if (strcmp(name, "linger.ms") == 0) {
        char *time = tr_asprintf("%sms", value);
        convert_set(c, "target", "linger", time, key);
        free(time);
    } else if (strcmp(name, "security.protocol") == 0) {
        convert_set(c, "target", "tls", strstr(value, "SSL") != NULL ? "on" : "off", key);
    } else if (strcmp(name, "sasl.mechanism") == 0) {
        convert_set(c, "target", "sasl_mechanism", value, key);
    } else if (strcmp(name, "sasl.jaas.config") == 0) {
        convert_login(c, key, value);
    } else if (strcmp(name, "ssl.endpoint.identification.algorithm") == 0) {
        if (value[0] == '\0')
            convert_lost(c, key, "host names are verified; tls_verify: false verifies nothing at all");
    } else if (strncmp(name, "ssl.truststore.", 15) == 0 || strncmp(name, "ssl.keystore.", 13) == 0 ||
               strncmp(name, "ssl.key.", 8) == 0) {
        convert_store(c, name, value, key);
    } else if (strcmp(name, "max.request.size") == 0 || strcmp(name, "batch.size") == 0) {
        char *item = tr_asprintf("%s=%s", name[0] == 'm' ? "message.max.bytes" : name, value);
        convert_item(c, "target", "kafka", item);
        free(item);
    } else {
        convert_lost(c, key, "a property of Java's producer; librdkafka's go into target.kafka");
    }
}

static void
convert_producer(struct conversion *c)
{
    static const char *const prefixes[] = { "producer.override.", "producer." };
    for (size_t i = 0; i < c->pairs->count; i++) {
        struct pair *pair = &c->pairs->items[i];
        const char *name = NULL;
        for (size_t k = 0; k < 2 && name == NULL; k++)
            if (strncmp(pair->key, prefixes[k], strlen(prefixes[k])) == 0)
                name = pair->key + strlen(prefixes[k]);
        if (strcmp(pair->key, "security.protocol") == 0 || strcmp(pair->key, "bootstrap.servers") == 0 ||
            strncmp(pair->key, "sasl.", 5) == 0 || strncmp(pair->key, "ssl.", 4) == 0)
            name = pair->key;
        if (name != NULL) {
            pair->used = true;
            convert_property(c, name, pair->value, pair->key);
        } else if (strncmp(pair->key, "topic.creation.", 15) == 0) {
            pair->used = true;
            convert_creation(c, pair->key, pair->value);
        }
    }
}

/* Where the file says it by the way, it is better than a guess. */
static void
find_brokers(struct conversion *c)
{
    static const char *const keys[] = { "schema.history.internal.kafka.bootstrap.servers",
                                        "database.history.kafka.bootstrap.servers",
                                        "signal.kafka.bootstrap.servers" };
    if (c->wish->brokers != NULL) {
        free(c->brokers);
        c->brokers = tr_strdup(c->wish->brokers);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && c->brokers == NULL; i++) {
        const char *value = pairs_take(c->pairs, keys[i]);
        c->brokers = value != NULL ? tr_strdup(value) : NULL;
    }
    if (c->brokers != NULL)
        return;
    c->brokers = tr_strdup("localhost:9092");
    convert_lost(
        c, "bootstrap.servers",
        "the brokers are not in this file: put them into the target's url, or convert with --brokers");
}

void
convert_target(struct conversion *c)
{
    const char *heartbeat = pairs_take(c->pairs, "heartbeat.interval.ms"),
               *once = pairs_take(c->pairs, "exactly.once.support");
    convert_producer(c);
    find_brokers(c);
    char *brokers = tr_strdup(c->brokers), *to = brokers;
    for (const char *at = c->brokers; *at != '\0'; at++)
        if (*at != ' ')
            *to++ = *at;
    *to = '\0';
    char *url = c->user != NULL ? tr_asprintf("kafka://%s:%s@%s", c->user, c->password, brokers)
                                : tr_asprintf("kafka://%s", brokers);
    convert_item(c, "target", "url", url);
    free(url);
    free(brokers);
    convert_set(c, "target", "format", c->format, "value.converter");
    if (strcmp(c->format, "debezium-avro") == 0)
        convert_registry(c);
    else
        convert_json(c);
    if (once != NULL && strcmp(once, "required") == 0)
        convert_set(c, "target", "exactly_once", "true", "exactly.once.support");
    if (heartbeat != NULL && strcmp(heartbeat, "0") != 0) {
        char *time = tr_asprintf("%sms", heartbeat);
        convert_set(c, "target", "heartbeat_interval", time, "heartbeat.interval.ms");
        free(time);
    }
    convert_topics(c);
    convert_transforms(c);
    convert_key_columns(c);
}
