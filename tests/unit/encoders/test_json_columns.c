/* test_json_columns.c - what a column's description makes of its schema, its default and its values, per source; as a real Debezium has them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoders/debezium/debezium.h"
#include "tests/unit/encoders/sample.h"

static int
gather(void *arg, const struct tr_message *message, struct tr_error *err)
{
    (void)err;
    tr_buffer_printf(arg, "%.*s -> %.*s\n", (int)message->key_len, message->key != NULL ? message->key : "",
                     (int)message->value_len, message->value != NULL ? message->value : "");
    return 0;
}

struct column_case {
    const char *connector, *type, *type_name;
    int precision, scale, length;
    bool not_null;
    const char *option, *setting;
    const char *expression; /* default, or NULL */
    const char *text;       /* of the value, or NULL */
    const char *expected;   /* in the message */
    const char *absent;     /* not in the message, or NULL */
};

#define PG(type, expression, expected)                                                            \
    {                                                                                             \
        "postgresql", type, type, -1, -1, -1, false, NULL, NULL, expression, NULL, expected, NULL \
    }
#define PG_NONE(type, expression)                                                                     \
    {                                                                                                 \
        "postgresql", type, type, -1, -1, -1, false, NULL, NULL, expression, NULL, "\"field\":\"v\"", \
            "\"default\":7"                                                                           \
    }
#define MY(connector, type, p, s, l, not_null, expression, text, expected)                     \
    {                                                                                          \
        connector, type, type, p, s, l, not_null, NULL, NULL, expression, text, expected, NULL \
    }

static const struct column_case cases[] = {
    /* A date of zeros is a null: where none may stand, the column's default; itself it is no default. */
    MY("mariadb", "date", -1, -1, -1, true, "'2030-12-31'", "0000-00-00", "\"v\":22279"),
    MY("mariadb", "date", -1, -1, -1, true, NULL, "0000-00-00", "\"v\":0"),
    MY("mysql", "timestamp", -1, 0, -1, true, "2030-12-31 23:59:59", "0000-00-00 00:00:00",
       "\"v\":1924991999000"),
    { "mariadb", "date", "date", -1, -1, -1, false, NULL, NULL, "'0000-00-00'", NULL, "\"field\":\"v\"",
      "\"default\":null" },
    { "postgresql", "money", "money", -1, -1, -1, false, NULL, NULL, "5", NULL, "\"field\":\"v\"",
      "\"default\":\"AfQ=\"" },
    /* Connect's order: type, what it is made of, optional, name, version, doc, parameters, default, field */
    PG("timestamp", NULL,
       "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.MicroTimestamp\",\"version\":1,\"field\":\"v\"}"),
    { "postgresql", "decimal", "numeric", 10, 2, -1, false, NULL, NULL, "1.5", NULL,
      "{\"type\":\"bytes\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\"parameters\":"
      "{\"scale\":\"2\",\"connect.decimal.precision\":\"10\"},\"default\":\"AJY=\",\"field\":\"v\"}",
      NULL },
    { "postgresql", "decimal", "numeric", 10, 2, -1, false, "decimal_handling_mode", "string", "1.5", NULL,
      "\"default\":\"1.50\"", NULL },
    { "postgresql", "decimal", "numeric", 10, 2, -1, false, "decimal_handling_mode", "string",
      "'NaN'::numeric", NULL, "\"field\":\"v\"", "\"default\":\"N" },
    PG("point", NULL, "\"version\":1,\"doc\":\"Geometry (POINT)\",\"field\":\"v\""),
    /* pgvector's numbers are widened, those of MySQL and MariaDB are not */
    PG("vector", NULL,
       "{\"type\":\"array\",\"items\":{\"type\":\"double\",\"optional\":false},\"optional\":true,\"name\":"
       "\"io.debezium.data.DoubleVector\",\"version\":1,\"field\":\"v\"}"),
    MY("mysql", "vector", -1, -1, 3, false, NULL, "[1,2.5,-3]",
       "{\"type\":\"array\",\"items\":{\"type\":\"float\",\"optional\":false},\"optional\":true,\"name\":"
       "\"io.debezium.data.FloatVector\",\"version\":1,\"field\":\"v\"}"),
    /* what is made anew for each row */
    PG("timestamptz", "now()", "\"default\":\"1970-01-01T00:00:00.000000Z\""),
    PG("int64", "nextval('s'::regclass)", "\"default\":0"),
    PG("uuid", "gen_random_uuid()", "\"default\":\"00000000-0000-0000-0000-000000000000\""),
    PG("jsonb", "jsonb_build_object()", "\"default\":\"{}\""),
    PG("bool", "pg_is_in_recovery()", "\"default\":false"),
    PG("text", "'it''s'::text", "\"default\":\"it's\""),
    /* types whose defaults Debezium does not read */
    PG_NONE("bytes", "'\\x00ff'::bytea"),
    PG_NONE("inet", "'10.0.0.1'::inet"),
    PG_NONE("oid", "7"),
    PG_NONE("int32", "(1 + 1)"),
    /* values */
    { "postgresql", "varbit", "varbit", -1, -1, -1, false, NULL, NULL, NULL, "", "\"after\":{\"v\":\"\"}",
      NULL },
    { "postgresql", "other", "char", -1, -1, -1, false, "include_unknown_datatypes", "false", NULL, "x",
      "\"after\":{\"v\":\"x\"}", NULL },
    { "postgresql", "timestamp", "timestamp", -1, 6, -1, false, "time_precision_mode", "nanoseconds", NULL,
      "9999-12-31 23:59:59", "\"after\":{\"v\":9223372036854775807}", NULL },
    /* MySQL tells a default's text bare, MariaDB as SQL */
    MY("mysql", "text", -1, -1, 10, false, "a''b", NULL, "\"default\":\"a''b\""),
    MY("mariadb", "text", -1, -1, 10, false, "'a''b'", NULL, "\"default\":\"a'b\""),
    MY("mysql", "timestamp", -1, 3, -1, false, "2024-02-29 12:34:56.5", NULL, "\"default\":1709210096500"),
    MY("mysql", "bit", -1, -1, 4, false, "b'1010'", NULL, "\"default\":\"Cg==\""),
    MY("mariadb", "bit", -1, -1, 1, false, "b'1'", NULL, "\"default\":true"),
    MY("mariadb", "timestamptz", -1, 3, -1, true, "current_timestamp(3)", NULL,
       "\"default\":\"1970-01-01T00:00:00Z\""),
    MY("mysql", "timestamp", -1, 0, -1, false, "CURRENT_TIMESTAMP", NULL, "\"default\":0"),
    /* the SRID stands before MySQL's WKB */
    { "mysql", "geometry", "point", -1, -1, -1, false, NULL, NULL, NULL,
      "\\x000000000101000000000000000000f03f0000000000000440",
      "\"after\":{\"v\":{\"x\":1.0,\"y\":2.5,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAARA\",\"srid\":null}}",
      NULL },
    { "mariadb", "geometry", "geometry", -1, -1, -1, true, NULL, NULL, NULL,
      "\\xe61000000101000000000000000000f03f0000000000000440",
      "\"after\":{\"v\":{\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAARA\",\"srid\":4326}}", NULL },
    { "mariadb", "geometry", "geometry", -1, -1, -1, true, NULL, NULL, NULL,
      "\\xe61000000101000000000000000000f03f0000000000000440",
      "],\"optional\":true,\"name\":\"io.debezium.data.geometry.Geometry\",\"version\":1,\"doc\":\"Geometry\",\"field\":\"v\"",
      NULL },
    MY("mysql", "json", -1, -1, -1, false, NULL, "{\"a b\": [1, \"x, \\\" y\"]}",
       "\"v\":\"{\\\"a b\\\":[1,\\\"x, \\\\\\\" y\\\"]}\""),
    MY("mariadb", "json", -1, -1, -1, false, NULL, "[1, 2]", "\"v\":\"[1, 2]\""),
    { "mysql", "time", "time", -1, 6, -1, false, "time_precision_mode", "isostring", NULL, "-838:59:59.5",
      "\"v\":\"-838:59:59.5Z\"", NULL },
};

static void
check(const struct column_case *c)
{
    struct tr_error err;
    struct tr_settings *settings = tr_settings_new();
    struct tr_encoder_env env = {
        .settings = settings, .connector = c->connector, .prefix = "p", .database = "shop"
    };
    struct tr_encoder *encoder;
    struct tr_batch *batch = tr_batch_new();
    struct tr_buffer out;
    char spec[64];
    tr_buffer_init(&out, 1 << 20);
    const struct tr_emit emit = { .arg = &out, .message = gather };
    assert_int_equal(tr_settings_add_table(settings, tr_debezium_json_encoder.options, &err), 0);
    assert_int_equal(tr_settings_set(settings, "target", "schemas_enable", "true", false, "test", &err), 0);
    if (c->option != NULL)
        assert_int_equal(tr_settings_set(settings, "target", c->option, c->setting, false, "test", &err), 0);
    snprintf(spec, sizeof(spec), "v:%s", c->type);
    struct tr_relation *relation = sample_relation(1, "public", "t", 1, (const char *[]){ spec });
    struct tr_column *column = (struct tr_column *)relation->columns;
    column->type_name = c->type_name;
    column->precision = c->precision;
    column->scale = c->scale;
    column->length = c->length;
    column->not_null = c->not_null;
    column->unique = c->not_null; /* a table without a primary key */
    column->default_expression = c->expression;
    struct tr_txn *txn = sample_txn(batch);
    const struct tr_value *row = sample_row(batch, 1, (const char *[]){ c->text });
    assert_int_equal(tr_debezium_json_encoder.open(&env, &encoder, &err), 0);
    int rc = encoder->class->event(encoder, batch, txn, sample_event(batch, TR_INSERT, relation, NULL, row),
                                   &emit, &err);
    if (rc != 0 || strstr(out.data, c->expected) == NULL ||
        (c->absent != NULL && strstr(out.data, c->absent) != NULL))
        fail_msg("%s %s: expected %s, got %d %s", c->connector, c->type, c->expected, rc,
                 rc == 0 ? out.data : err.text);
    if (c->not_null) /* and so the unique column is the key */
        assert_non_null(strstr(out.data, "\"name\":\"p.public.t.Key\"},\"payload\":{\"v\":"));
    encoder->class->close(encoder);
    tr_batch_free(batch);
    tr_relation_unref(relation);
    tr_settings_free(settings);
    tr_buffer_fini(&out);
}

static void
each_column_is_as_debezium_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_column_is_as_debezium_has_it) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
