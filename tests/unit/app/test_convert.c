/* test_convert.c - a Debezium connector's configuration as a task file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "app/convert/convert.h"
#include "core/memory.h"

/* The patterns, joined; "!" before them when they match more, "-" when there are none to be had. */
static char *
patterns(const char *regex)
{
    struct patterns found;
    struct tr_buffer out;
    if (!patterns_of_regex(regex, &found))
        return tr_strdup("-");
    tr_buffer_init(&out, 4096);
    tr_buffer_text(&out, found.wide ? "!" : "");
    for (size_t i = 0; i < found.count; i++)
        tr_buffer_printf(&out, "%s%s", i > 0 ? " " : "", found.items[i]);
    char *text = tr_strdup(out.data != NULL ? out.data : "");
    tr_buffer_fini(&out);
    patterns_fini(&found);
    return text;
}

static void
expressions_become_patterns(void **state)
{
    static const char *const cases[][2] = {
        { "public.orders", "public.orders" },
        { "public\\.orders", "public.orders" },
        { "^public\\.orders$", "public.orders" },
        { "public\\.(orders|customers)", "public.orders public.customers" },
        { "(?:a|b)\\.(c|d)", "a.c a.d b.c b.d" },
        { "public\\..*", "public.%" },
        { "public\\..+", "public.%" },
        { "public\\.[^.]*", "public.%" },
        { "public\\.\\w+", "public.%" },
        { "public\\.part_\\d+", "!public.part_%" },
        { "public\\.t[ab]", "public.ta public.tb" },
        { "public\\.t[0-2]", "public.t0 public.t1 public.t2" },
        { "public\\.t[a-z]", "!public.t%" },
        { "public\\.orders?", "public.orders public.order" },
        { "public\\.\\Qa.b\\E", "public.a.b" },
        { "public\\.a%b", "public.a[%]b" },
        { ".*", "%.%" },
        { ".*orders", "%.%orders" },
        { "public.*", "public%.%" }, /* any name that begins so */
        { "orders", "" },            /* it matched no "schema.table" */
        { "public\\.(?!tmp).*", "-" },
        { "public\\.(a", "-" },
        { "public\\.a)", "-" },
        { "public\\.[a", "-" },
        { "(?i)public\\.t", "public.t" },
        { "public\\.t{2}", "!public.%" },
        { "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = patterns(cases[i][0]);
        const char *expected = cases[i][1];
        if (strcmp(text, expected) != 0)
            fail_msg("%s became \"%s\", not \"%s\"", cases[i][0], text, expected);
        free(text);
    }
    char *deep = tr_malloc(2001);
    memset(deep, '(', 2000);
    deep[2000] = '\0';
    char *text = patterns(deep);
    assert_string_equal(text, "-");
    free(text);
    free(deep);
    text = patterns("(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)\\.t");
    assert_string_equal(text, "-"); /* 512 are too many */
    free(text);
}

static void
parse(struct pairs *pairs, const char *text)
{
    struct tr_error err;
    if (pairs_parse(pairs, text, strlen(text), "connector", &err) < 0)
        fail_msg("%s", err.text);
}

static void
json_and_properties_are_read(void **state)
{
    struct pairs pairs = { 0 };
    struct tr_error err;
    (void)state;
    parse(&pairs, "{\"name\": \"inv\", \"config\": {\"a.b\": \"x\", \"n\": 5, \"t\": true, \"z\": null}}");
    assert_string_equal(pairs_take(&pairs, "name"), "inv");
    assert_string_equal(pairs_take(&pairs, "a.b"), "x");
    assert_string_equal(pairs_take(&pairs, "n"), "5");
    assert_string_equal(pairs_take(&pairs, "t"), "true");
    assert_null(pairs_take(&pairs, "z"));
    parse(&pairs,
          "# comment\n! too\na.b = y \\\n    z\nkey\\:1:v\\u00e4\r\nempty\n debezium.source.topic.prefix=p");
    assert_string_equal(pairs_take(&pairs, "a.b"), "y z");
    assert_string_equal(pairs_take(&pairs, "key:1"), "v\xc3\xa4");
    assert_string_equal(pairs_take(&pairs, "empty"), "");
    assert_string_equal(pairs_take(&pairs, "topic.prefix"), "p");
    pairs_fini(&pairs);
    static const char *const bad[] = { "{\"a\": ", "[1]", "{\"a\": {\"b\": 1}}", "{\"config\": 5}", "" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pairs_parse(&pairs, bad[i], strlen(bad[i]), "c", &err), -TR_CONFIG);
        pairs_fini(&pairs);
    }
}

struct converted {
    struct tr_buffer yaml, warnings;
    size_t lost;
};

static void
convert(struct converted *out, const char *text, const struct convert_wish *wish)
{
    struct pairs pairs = { 0 };
    struct tr_error err;
    const struct convert_wish none = { .brokers = "b1:9092" };
    tr_buffer_init(&out->yaml, TR_BUFFER_MAX);
    tr_buffer_init(&out->warnings, TR_BUFFER_MAX);
    parse(&pairs, text);
    if (convert_debezium(tr_registry(), &pairs, wish != NULL ? wish : &none, &out->yaml, &out->warnings,
                         &out->lost, &err) < 0)
        fail_msg("%s\n%s", err.text, out->yaml.data);
    pairs_fini(&pairs);
}

static void
has(const struct converted *out, const char *text)
{
    if (strstr(out->yaml.data, text) == NULL)
        fail_msg("no \"%s\" in\n%s", text, out->yaml.data);
}

static void
end(struct converted *out)
{
    tr_buffer_fini(&out->yaml);
    tr_buffer_fini(&out->warnings);
}

#define POSTGRES                                                                                        \
    "connector.class=io.debezium.connector.postgresql.PostgresConnector\nname=shop\ntopic.prefix=srv\n" \
    "database.hostname=db1\ndatabase.user=repl\ndatabase.password=p@:/%$x\ndatabase.dbname=shop\n"
#define MYSQL                                                                                               \
    "connector.class=io.debezium.connector.mysql.MySqlConnector\ntopic.prefix=srv\ndatabase.hostname=::1\n" \
    "database.port=3307\ndatabase.user=u\ndatabase.server.id=77\ninclude.schema.changes=false\n"            \
    "value.converter=org.apache.kafka.connect.json.JsonConverter\n"
#define JSON_VALUES "value.converter=org.apache.kafka.connect.json.JsonConverter\n"

static void
all_of_it_is_carried(void **state)
{
    struct converted out;
    (void)state;
    convert(
        &out,
        POSTGRES JSON_VALUES
        "plugin.name=pgoutput\nslot.name=s1\npublication.name=p1\npublication.autocreate.mode=disabled\n"
        "snapshot.mode=never\ntable.include.list=public.a,public\\\\.b\nvalue.converter.schemas.enable=false\n"
        "decimal.handling.mode=double\ntombstones.on.delete=false\nmax.batch.size=100\nslot.failover=true\n"
        "exactly.once.support=required\nproducer.override.compression.type=zstd\nstatus.update.interval.ms=5000\n",
        NULL);
    has(&out, "task: shop\nmode: cdc\n");
    has(&out, "url: \"postgresql://repl:p%40%3A%2F%25%24x@db1/shop\"");
    has(&out, "  slot: s1\n");
    has(&out, "  publication: p1\n");
    has(&out, "  create_publication: false\n");
    has(&out, "  status_interval: \"5000ms\"\n");
    has(&out, "  failover: on\n");
    has(&out, "  url: \"kafka://b1:9092\"\n");
    has(&out, "  topic_prefix: srv\n");
    has(&out, "  schemas_enable: false\n");
    has(&out, "  decimal_handling_mode: double\n");
    has(&out, "  tombstones_on_delete: false\n");
    has(&out, "  exactly_once: true\n");
    has(&out, "  compression: zstd\n");
    has(&out, "include: [public.a, public.b]");
    has(&out, "# Nothing to set here for: plugin.name, max.batch.size");
    assert_int_equal(out.lost, 0);
    assert_int_equal(out.warnings.len, 0);
    end(&out);
}

static void
what_is_lost_is_named(void **state)
{
    static const char *const keys[] = { "column.mask.with.12.chars",
                                        "snapshot.select.statement.overrides",
                                        "table.exclude.list",
                                        "errors.tolerance",
                                        "no.such.key",
                                        "signal.data.collection" };
    struct converted out;
    (void)state;
    convert(
        &out,
        POSTGRES JSON_VALUES
        "column.mask.with.12.chars=public.a.b\nsnapshot.select.statement.overrides=public.a\nno.such.key=x\n"
        "table.exclude.list=public.(?!a).*\nerrors.tolerance=all\nsignal.data.collection=public.s\n",
        NULL);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char *comment = tr_asprintf("#   %s: ", keys[i]);
        has(&out, comment);
        assert_non_null(strstr(out.warnings.data, keys[i]));
        free(comment);
    }
    assert_int_equal(out.lost, sizeof(keys) / sizeof(keys[0]));
    end(&out);
}

static void
a_mysql_connector(void **state)
{
    const struct convert_wish wish = { .brokers = "b1:9092", .start = "binlog:bin.000003:120" };
    struct converted out;
    (void)state;
    convert(&out,
            MYSQL
            "database.include.list=shop,stock\ndatabase.exclude.list=x\nsnapshot.lock.timeout.ms=3000\n"
            "bigint.unsigned.handling.mode=precise\ndatabase.ssl.mode=required\nheartbeat.interval.ms=0\n",
            &wish);
    has(&out, "task: srv\nmode: cdc\nstart: \"binlog:bin.000003:120\"\n");
    has(&out, "url: \"mysql://u@[::1]:3307/?sslmode=require\"");
    has(&out, "server_id: 77");
    has(&out, "lock_wait: \"3000ms\"");
    has(&out, "time_precision_mode: adaptive_time_microseconds");
    has(&out, "bigint_unsigned_handling_mode: precise");
    has(&out, "include: [\"shop.%\", \"stock.%\"]");
    has(&out, "exclude: [\"x.%\"]");
    assert_int_equal(out.lost, 0);
    end(&out);
}

static void
a_running_connector_is_taken_over(void **state)
{
    const struct convert_wish wish = { .brokers = "b1:9092", .start = "slot", .take_over = true };
    struct converted out;
    (void)state;
    convert(&out, POSTGRES JSON_VALUES "snapshot.mode=initial\npublication.name=mine\n", &wish);
    has(&out, "mode: cdc\nstart: slot\n");
    has(&out, "  slot: debezium\n");
    has(&out, "  publication: mine\n");
    has(&out, "  create_slot: false\n");
    end(&out);
}

static void
secrets_by_reference_stay_so(void **state)
{
    struct converted out;
    (void)state;
    convert(&out, POSTGRES JSON_VALUES "database.password=${env:DB_PASS}\n", NULL);
    has(&out, "repl:${DB_PASS}@");
    assert_int_equal(out.lost, 0);
    end(&out);
    convert(&out, POSTGRES JSON_VALUES "database.password=${DB_PASS}\n", NULL); /* Debezium Server's way */
    has(&out, "repl:${DB_PASS}@");
    assert_int_equal(out.lost, 0);
    end(&out);
    convert(&out, POSTGRES JSON_VALUES "database.password=${file:/s.properties:pw}\n", NULL);
    has(&out, "repl:${DATABASE_PASSWORD}@");
    assert_int_equal(out.lost, 1);
    end(&out);
    convert(&out,
            POSTGRES "value.converter=io.confluent.connect.avro.AvroConverter\n"
                     "value.converter.schema.registry.url=${env:SR_URL}\n"
                     "value.converter.basic.auth.user.info=${env:SR_USER}:${vault:kv/sr:pw}\n"
                     "topic.prefix=x-${env:STAGE}\n",
            NULL);
    has(&out, "topic_prefix: \"x-${STAGE}\"");
    has(&out, "schema_registry: \"${SR_URL}\"");
    has(&out, "schema_registry_user: \"${SR_USER}\"");
    has(&out, "schema_registry_password: \"${SCHEMA_REGISTRY_PASSWORD}\"");
    assert_int_equal(out.lost, 1);
    end(&out);
}

static void
what_connect_does_on_the_way(void **state)
{
    struct converted out;
    (void)state;
    convert(
        &out,
        POSTGRES JSON_VALUES
        "transforms=r,u\ntransforms.r.type=io.debezium.transforms.ByLogicalTableRouter\n"
        "transforms.r.topic.regex=(.*)orders_shard(.*)\ntransforms.r.topic.replacement=$1orders\n"
        "transforms.r.key.enforce.uniqueness=false\nvalue.converter.schemas.enable=false\n"
        "transforms.u.type=io.debezium.transforms.ExtractNewRecordState\n"
        "producer.override.security.protocol=SASL_SSL\nproducer.override.sasl.mechanism=SCRAM-SHA-512\n"
        "producer.override.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
        "username=\"al ice\" password=\"s:cret\";\nproducer.override.ssl.truststore.location=/etc/ca.pem\n"
        "message.key.columns=(.*).orders:number,day;public.t:a\n",
        NULL);
    has(&out, "topic_routes: [\"%.%orders_shard%={prefix}.{schema}.orders\"]");
    has(&out, "format: plain-json");
    has(&out, "url: \"kafka://al%20ice:s%3Acret@b1:9092\"");
    has(&out, "tls: on");
    has(&out, "tls_ca: \"/etc/ca.pem\"");
    has(&out, "sasl_mechanism: SCRAM-SHA-512");
    has(&out, "message_key_columns: \"%.orders:number,day;public.t:a\"");
    assert_int_equal(out.lost, 0);
    end(&out);
}

static void
topics_are_renamed_by_their_parts(void **state)
{
    static const struct {
        const char *regex, *replacement, *route; /* NULL: not carried */
    } cases[] = {
        { "([^.]+)\\\\.([^.]+)\\\\.([^.]+)", "$3", "%.%={table}" },
        { "(.*)\\\\.(.*)\\\\.(.*)", "cdc.$2-$3", "%.%=cdc.{schema}-{table}" },
        { "srv\\\\.public\\\\.(.*)", "$1", "public.%={table}" },
        { "^srv\\\\.(.*)$", "new.$1", "%.%=new.{schema}.{table}" },
        { "(.*)\\\\.(orders)", "$1_x.$2", "%.orders={prefix}.{schema}_x.{table}" },
        { "(.*)", "dev-$1", "%.%=dev-{prefix}.{schema}.{table}" },
        { "srv\\\\.public\\\\.(.*)", "$2", NULL },
        { "(?<a>.*)\\\\.(.*)", "$1", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct converted out;
        char *text = tr_asprintf(
            "%stransforms=r\ntransforms.r.type=org.apache.kafka.connect.transforms.RegexRouter\n"
            "transforms.r.regex=%s\ntransforms.r.replacement=%s\n",
            POSTGRES JSON_VALUES, cases[i].regex, cases[i].replacement);
        char *line = tr_asprintf("topic_routes: [\"%s\"]", cases[i].route);
        convert(&out, text, NULL);
        if (cases[i].route != NULL)
            has(&out, line);
        assert_int_equal(out.lost, cases[i].route == NULL);
        end(&out);
        free(text);
        free(line);
    }
}

static void
schemas_are_where_the_format_has_them(void **state)
{
    struct converted out;
    (void)state;
    convert(&out,
            POSTGRES "value.converter=org.apache.kafka.connect.json.JsonConverter\ntransforms=u\n"
                     "transforms.u.type=io.debezium.transforms.ExtractNewRecordState\n",
            NULL);
    has(&out, "format: plain-json");
    assert_null(strstr(out.yaml.data, "schemas_enable: true"));
    assert_int_equal(out.lost, 1);
    end(&out);
    convert(&out, POSTGRES "debezium.format.value=json\ndebezium.format.value.schemas.enable=false\n", NULL);
    has(&out, "schemas_enable: false");
    assert_int_equal(out.lost, 0);
    end(&out);
    convert(&out, POSTGRES "debezium.format.value=json\ndebezium.format.schemas.enable=false\n", NULL);
    has(&out, "schemas_enable: false");
    end(&out);
}

static void
avro_has_its_registry(void **state)
{
    struct converted out;
    (void)state;
    convert(
        &out,
        POSTGRES
        "key.converter=io.confluent.connect.avro.AvroConverter\n"
        "value.converter=io.confluent.connect.avro.AvroConverter\n"
        "key.converter.schema.registry.url=http://r:8081\nvalue.converter.schema.registry.url=http://r:8081\n"
        "value.converter.basic.auth.credentials.source=USER_INFO\n"
        "value.converter.basic.auth.user.info=reg:pass:word\nschema.name.adjustment.mode=avro\n"
        "field.name.adjustment.mode=avro\n",
        NULL);
    has(&out, "format: debezium-avro");
    has(&out, "schema_registry: \"http://r:8081\"");
    has(&out, "schema_registry_user: reg");
    has(&out, "schema_registry_password: \"pass:word\"");
    has(&out, "schema_name_adjustment_mode: avro");
    assert_int_equal(out.lost, 0);
    end(&out);
}

/* Keys that people's files have beside the connector's own. */
static void
what_stands_around_a_connector_is_known(void **state)
{
    static const struct {
        const char *base, *lines, *has; /* NULL: nothing to set */
        size_t lost;
    } cases[] = {
        { MYSQL, "schema.include.list=shop\n", "#   schema.include.list: the server has databases", 1 },
        { POSTGRES JSON_VALUES, "schema.history.internal.kafka.topic=h\ndatabase.server.id=5\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "topic.heartbeat.name=beats\n", "#   topic.heartbeat.name: ", 1 },
        { POSTGRES JSON_VALUES, "topic.transaction=transaction\ncustom.sanitize.pattern=x\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "openlineage.integration.enabled=false\ntasks.max.enforce=false\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "record.processing.threads=4\nplugin.discovery=only_scan\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "value.converter.decimal.format=NUMERIC\n", "decimals of the mode precise",
          1 },
        { POSTGRES JSON_VALUES, "value.converter.schemas.cache.size=9\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "producer.override.partitioner.class=a.B\n", "see partition_by", 1 },
        { POSTGRES JSON_VALUES, "producer.override.send.buffer.bytes=9\nssl.protocol=TLSv1.3\n", NULL, 0 },
        { POSTGRES JSON_VALUES, "schema.include.list=a,b\ntable.include.list=.*\\\\.t,a.u\n",
          "include: [a.t, b.t, a.u]", 0 },
        { POSTGRES JSON_VALUES, "schema.include.list=\ntable.include.list=.*\\\\.t\n", "include: [\"%.t\"]",
          0 },
        { POSTGRES JSON_VALUES,
          "sasl.mechanism=PLAIN\nsasl.jaas.config=a.PlainLoginModule required serviceName=\"password\" "
          "username = \"password=\" password=\"a\\\\\"b\";\n",
          "url: \"kafka://password%3D:a%22b@b1:9092\"", 0 },
        { MYSQL, "database.include.list=shop\ntable.include.list=shop.*\n", "include: [\"shop.%\"]", 0 },
        { MYSQL, "database.include.list=a,b\ntable.include.list=a.*x,c.*\n", "include: [\"a.%x\", \"c%.%\"]",
          1 },
        { POSTGRES JSON_VALUES,
          "transforms=r\ntransforms.r.type=org.apache.kafka.connect.transforms.RegexRouter\n"
          "transforms.r.regex=srv.public.(.*)\ntransforms.r.replacement=$1\ntransforms.r.predicate=p\n",
          "topic_routes: [\"public.%={table}\"]", 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct converted out;
        char *text = tr_asprintf("%s%s", cases[i].base, cases[i].lines);
        convert(&out, text, NULL);
        if (cases[i].has != NULL)
            has(&out, cases[i].has);
        if (out.lost != cases[i].lost)
            fail_msg("%s: lost %zu\n%s", cases[i].lines, out.lost, out.yaml.data);
        end(&out);
        free(text);
    }
}

static void
avro_of_others_has_its_registry(void **state)
{
    struct converted out;
    (void)state;
    convert(&out,
            POSTGRES "value.converter=io.apicurio.registry.utils.converter.AvroConverter\n"
                     "value.converter.apicurio.registry.url=http://r:8080/apis/registry/v2\n"
                     "value.converter.apicurio.registry.as-confluent=true\n"
                     "value.converter.apicurio.registry.auto-register=false\n",
            NULL);
    has(&out, "schema_registry: \"http://r:8080/apis/ccompat/v7\"");
    has(&out, "schema_registry_register: false");
    assert_int_equal(out.lost, 0);
    end(&out);
    convert(
        &out,
        POSTGRES
        "value.converter=io.confluent.connect.avro.AvroConverter\n"
        "value.converter.value.subject.name.strategy=io.confluent.kafka.serializers.subject.RecordNameStrategy\n"
        "value.converter.auto.register.schemas=false\n",
        NULL);
    has(&out, "subject_name: record");
    has(&out, "schema_registry_register: false");
    has(&out, "#   value.converter.schema.registry.url: it is missing");
    assert_int_equal(out.lost, 1);
    end(&out);
}

static void
mariadb_has_modes_of_its_own_for_tls(void **state)
{
    struct converted out;
    (void)state;
    convert(&out,
            MYSQL
            "connector.class=io.debezium.connector.mariadb.MariaDbConnector\ndatabase.ssl.mode=verify-full\n",
            NULL);
    has(&out, "?sslmode=verify-full");
    assert_int_equal(out.lost, 0);
    end(&out);
}

static void
offsets_say_where_to_begin(void **state)
{
    static const struct {
        const char *text, *scheme, *start;
    } cases[] = {
        { "{\"offsets\":[{\"partition\":{},\"offset\":{\"lsn\":24023128,\"txId\":555}}]}", "postgresql",
          "slot" },
        { "{\"file\":\"bin.000003\",\"pos\":154}", "mysql", "binlog:bin.000003:154" },
        { "{\"file\":\"b.1\",\"pos\":4,\"gtids\":\"u:1-5\",\"snapshot\":null}", "mysql", "gtid:u:1-5" },
        { "{\"file\":\"b.1\",\"pos\":4,\"snapshot\":true,\"snapshot_completed\":true}", "mysql",
          "binlog:b.1:4" },
        { "{\"file\":\"b.1\",\"pos\":4,\"snapshot\":\"INITIAL\"}", "mysql", NULL },
        { "{\"lsn\":1}", "mysql", NULL },
        { "{\"offsets\":[]}", "postgresql", NULL },
        { "nonsense", "mysql", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tr_error err;
        char *start;
        int rc = offsets_parse(cases[i].text, strlen(cases[i].text), "offsets.json", cases[i].scheme, &start,
                               &err);
        if (cases[i].start == NULL) {
            assert_int_equal(rc, -TR_CONFIG);
        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(start, cases[i].start);
        }
        free(start);
    }
}

static void
other_connectors_are_refused(void **state)
{
    static const char *const texts[] = { "connector.class=io.debezium.connector.mongodb.MongoDbConnector\n",
                                         "database.hostname=h\n" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct convert_wish none = { 0 };
        struct pairs pairs = { 0 };
        struct tr_buffer yaml, warnings;
        struct tr_error err;
        size_t lost;
        tr_buffer_init(&yaml, TR_BUFFER_MAX);
        tr_buffer_init(&warnings, TR_BUFFER_MAX);
        parse(&pairs, texts[i]);
        assert_int_equal(convert_debezium(tr_registry(), &pairs, &none, &yaml, &warnings, &lost, &err),
                         -TR_CONFIG);
        assert_true(err.hint[0] != '\0');
        pairs_fini(&pairs);
        tr_buffer_fini(&yaml);
        tr_buffer_fini(&warnings);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_become_patterns),
        cmocka_unit_test(json_and_properties_are_read),
        cmocka_unit_test(all_of_it_is_carried),
        cmocka_unit_test(what_is_lost_is_named),
        cmocka_unit_test(a_mysql_connector),
        cmocka_unit_test(a_running_connector_is_taken_over),
        cmocka_unit_test(secrets_by_reference_stay_so),
        cmocka_unit_test(what_connect_does_on_the_way),
        cmocka_unit_test(offsets_say_where_to_begin),
        cmocka_unit_test(other_connectors_are_refused),
        cmocka_unit_test(topics_are_renamed_by_their_parts),
        cmocka_unit_test(schemas_are_where_the_format_has_them),
        cmocka_unit_test(avro_has_its_registry),
        cmocka_unit_test(avro_of_others_has_its_registry),
        cmocka_unit_test(what_stands_around_a_connector_is_known),
        cmocka_unit_test(mariadb_has_modes_of_its_own_for_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
