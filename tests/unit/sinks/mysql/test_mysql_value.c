/* test_mysql_value.c - values as literals and as fields of LOAD DATA, what does not fit, and the statements of many rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/mysql/apply.h"

static struct tr_column column = { .name = "c", .logical = TR_TEXT, .identity = 1 };
static struct tr_relation relation = { .columns = &column, .ncolumns = 1, .replica_identity = 'f' };
static struct tr_my_column target = { .name = "c", .type = "t" };
static struct tr_my_table table = { .database = "d", .name = "t", .columns = &target, .ncolumns = 1 };
static int32_t targets[] = { 0 };
static struct tr_my_map map = {
    .relation = &relation, .table = &table, .label = "d.t", .target = targets, .from_postgresql = true
};

static struct tr_error failure;

static const char *
written(const char *text, uint8_t codec, size_t len, enum tr_my_value_policy policy, bool load)
{
    static char out[512];
    struct tr_my_values values;
    struct tr_buffer sql;
    struct tr_value value = {
        .data = text, .len = (uint32_t)len, .state = text != NULL ? TR_PRESENT : TR_NULL, .codec = codec
    };
    tr_my_values_init(&values, policy);
    tr_buffer_init(&sql, 4096);
    int rc = tr_my_value_write(&values, &map, 0, &value, load, &sql, &failure);
    snprintf(out, sizeof out, "%s", rc < 0 ? "refused" : sql.data);
    tr_buffer_fini(&sql);
    tr_my_values_fini(&values);
    return out;
}

static const char *
sql_of(enum tr_logical logical, enum tr_my_kind kind, const char *text)
{
    column.logical = logical;
    target.kind = kind;
    return written(text, TR_CODEC_TEXT, text != NULL ? strlen(text) : 0, TR_MY_VALUE_STOP, false);
}

static const char *
clamped(enum tr_logical logical, enum tr_my_kind kind, const char *text)
{
    column.logical = logical;
    target.kind = kind;
    return written(text, TR_CODEC_TEXT, strlen(text), TR_MY_VALUE_CLAMP, false);
}

static void
limits(int64_t minimum, uint64_t maximum)
{
    target.minimum = minimum;
    target.maximum = maximum;
}

static void
test_texts(void **state)
{
    (void)state;
    target.length = -1;
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, "it's \\ \n;--"), "'it\\'s \\\\ \\n;--'");
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, NULL), "NULL");
    target.length = 2;
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, "\xc3\xa4\xc3\xb6"), "'\xc3\xa4\xc3\xb6'");
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, "abc"), "refused");
    assert_non_null(strstr(failure.text, "column c"));
    assert_non_null(strstr(failure.hint, "on_value"));
    assert_string_equal(sql_of(TR_CHAR, TR_MY_TEXT, "ab    "), "'ab'");
    assert_string_equal(clamped(TR_TEXT, TR_MY_TEXT, "\xc3\xa4\xc3\xb6\xc3\xbc"), "'\xc3\xa4\xc3\xb6'");
    target.length = -1;
    target.three_bytes = true;
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, "\xe6\xbc\xa2"), "'\xe6\xbc\xa2'");
    assert_string_equal(sql_of(TR_TEXT, TR_MY_TEXT, "\xf0\x9f\x98\x80"), "refused");
    target.three_bytes = false;
    target.type = "enum('x')"; /* which would take "x " for it */
    assert_string_equal(sql_of(TR_ENUM, TR_MY_TEXT, "x "), "refused");
    target.type = "t";
}

static void
test_integers(void **state)
{
    (void)state;
    limits(-128, 127);
    assert_string_equal(sql_of(TR_INT16, TR_MY_INTEGER, "-128"), "-128");
    assert_string_equal(sql_of(TR_INT16, TR_MY_INTEGER, "128"), "refused");
    assert_string_equal(clamped(TR_INT16, TR_MY_INTEGER, "128"), "127");
    assert_string_equal(clamped(TR_INT16, TR_MY_INTEGER, "-99999999999999999999"), "-128");
    assert_string_equal(sql_of(TR_BOOL, TR_MY_INTEGER, "t"), "1");
    assert_string_equal(sql_of(TR_BOOL, TR_MY_INTEGER, "f"), "0");
    assert_string_equal(sql_of(TR_OTHER, TR_MY_INTEGER, "1 OR 1=1"), "refused");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_INTEGER, "5.00"), "5");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_INTEGER, "5.5"), "refused");
    assert_string_equal(clamped(TR_DECIMAL, TR_MY_INTEGER, "-5.5"), "-6");
    assert_string_equal(clamped(TR_FLOAT64, TR_MY_INTEGER, "1.5e+20"), "127");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_INTEGER, "1.2e+1"), "12");
    limits(0, 2155);
    target.year = true;
    assert_string_equal(sql_of(TR_INT16, TR_MY_INTEGER, "0"), "0");
    assert_string_equal(sql_of(TR_INT16, TR_MY_INTEGER, "24"), "refused");
    target.year = false;
    limits(INT64_MIN, INT64_MAX);
    assert_string_equal(sql_of(TR_INT64, TR_MY_INTEGER, "-9223372036854775808"), "-9223372036854775808");
    assert_string_equal(sql_of(TR_INT64, TR_MY_INTEGER, "9223372036854775808"), "refused");
    limits(0, UINT64_MAX);
    assert_string_equal(sql_of(TR_UINT64, TR_MY_INTEGER, "18446744073709551615"), "18446744073709551615");
    assert_string_equal(sql_of(TR_INT64, TR_MY_INTEGER, "-1"), "refused");
}

static void
test_decimals_and_floats(void **state)
{
    (void)state;
    target.precision = 5;
    target.scale = 2;
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_DECIMAL, "-123.4500"), "-123.4500");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_DECIMAL, "1000"), "refused");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_DECIMAL, "0.001"), "refused");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_DECIMAL, "NaN"), "refused");
    assert_string_equal(clamped(TR_DECIMAL, TR_MY_DECIMAL, "-Infinity"), "-999.99");
    assert_string_equal(clamped(TR_DECIMAL, TR_MY_DECIMAL, "NaN"), "NULL");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "1.5e-07"), "refused");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "1e+20"), "refused");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "-2.5e-1"), "-0.25");
    assert_string_equal(clamped(TR_DECIMAL, TR_MY_DECIMAL, "-1.255"), "-1.26");
    assert_string_equal(clamped(TR_DECIMAL, TR_MY_DECIMAL, "999.995"), "999.99");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "1.25e+2"), "125");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "1e-07"), "refused");
    assert_string_equal(clamped(TR_FLOAT64, TR_MY_DECIMAL, "1e-07"), "0.00");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_DECIMAL, "1e+300"), "refused");
    target.precision = 19;
    assert_string_equal(sql_of(TR_MONEY, TR_MY_DECIMAL, "-$1,234.50"), "-1234.50");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_FLOAT, "1e-05"), "1e-05");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_FLOAT, "1e+300"), "1e+300");
    target.single = true;
    assert_string_equal(sql_of(TR_FLOAT32, TR_MY_FLOAT, "1e-05"), "1e-05");
    assert_string_equal(sql_of(TR_FLOAT32, TR_MY_FLOAT, "-3.4028235e+38"), "-3.40282346e38");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_FLOAT, "1e+300"), "refused");
    assert_string_equal(clamped(TR_FLOAT64, TR_MY_FLOAT, "1e+300"), "3.40282346e38");
    target.single = false;
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_FLOAT, "Infinity"), "refused");
    assert_string_equal(clamped(TR_FLOAT64, TR_MY_FLOAT, "-Infinity"), "-1.7976931348623157e308");
    assert_string_equal(sql_of(TR_FLOAT64, TR_MY_FLOAT, "1;DROP"), "'1;DROP'");
    target.scale = 0;
}

static void
test_bytes_and_bits(void **state)
{
    (void)state;
    target.length = -1;
    assert_string_equal(sql_of(TR_BYTES, TR_MY_BINARY, "\\x00ff27"), "x'00ff27'");
    assert_string_equal(sql_of(TR_BYTES, TR_MY_BINARY, "\\x"), "x''");
    assert_string_equal(written("\0'", TR_CODEC_RAW, 2, TR_MY_VALUE_STOP, false), "x'0027'");
    target.length = 12;
    assert_string_equal(sql_of(TR_INT32, TR_MY_BIT, "5"), "0x0005");
    assert_string_equal(sql_of(TR_INT32, TR_MY_BIT, "4096"), "refused");
    assert_string_equal(sql_of(TR_INT32, TR_MY_BIT, "-1"), "refused");
    target.length = 64;
    assert_string_equal(sql_of(TR_UINT64, TR_MY_BIT, "18446744073709551615"), "0xffffffffffffffff");
    assert_string_equal(sql_of(TR_DECIMAL, TR_MY_BIT, "18446744073709551616"), "refused");
    target.length = 1;
    assert_string_equal(sql_of(TR_BYTES, TR_MY_BINARY, "\\x00ff"), "refused");
    target.length = 16;
    assert_string_equal(sql_of(TR_UUID, TR_MY_BINARY, "00112233-4455-6677-8899-aabbccddeeff"),
                        "x'00112233445566778899aabbccddeeff'");
    target.length = 12;
    assert_string_equal(sql_of(TR_BIT, TR_MY_BIT, "101000000001"), "0x0a01");
    assert_string_equal(sql_of(TR_BIT, TR_MY_BIT, "1010000000011"), "refused");
    target.length = -1;
}

static void
test_times(void **state)
{
    (void)state;
    target.scale = 6;
    assert_string_equal(sql_of(TR_TIMESTAMPTZ, TR_MY_DATETIME, "2024-02-29 12:34:56.789012+00"),
                        "'2024-02-29 12:34:56.789012'");
    assert_string_equal(sql_of(TR_TIMESTAMP, TR_MY_DATETIME, "infinity"), "refused");
    assert_string_equal(sql_of(TR_TIMESTAMP, TR_MY_DATETIME, "10000-01-01 00:00:00"), "refused");
    assert_string_equal(clamped(TR_TIMESTAMP, TR_MY_DATETIME, "0044-03-15 12:00:00 BC"),
                        "'0001-01-01 00:00:00'");
    assert_string_equal(sql_of(TR_TIMESTAMP, TR_MY_DATE, "2024-01-02 00:00:00.5"), "refused");
    assert_string_equal(sql_of(TR_TIMESTAMPTZ, TR_MY_DATE, "2024-01-02 00:00:00.000+00"), "'2024-01-02'");
    assert_string_equal(sql_of(TR_DATE, TR_MY_DATE, "0044-03-15 BC"), "refused");
    assert_string_equal(clamped(TR_DATE, TR_MY_DATE, "infinity"), "'9999-12-31'");
    assert_string_equal(sql_of(TR_TIME, TR_MY_TIME, "838:59:59.000000"), "'838:59:59.000000'");
    assert_string_equal(sql_of(TR_TIME, TR_MY_TIME, "838:59:59.000001"), "refused");
    assert_string_equal(clamped(TR_TIME, TR_MY_TIME, "-838:59:59.999999"), "'-838:59:59'");
    target.last_second = true; /* MariaDB */
    assert_string_equal(sql_of(TR_TIME, TR_MY_TIME, "838:59:59.999999"), "'838:59:59.999999'");
    target.last_second = false;
    target.scale = 0;
    assert_string_equal(sql_of(TR_TIMESTAMP, TR_MY_DATETIME, "2024-02-29 12:34:56.5"), "refused");
    assert_string_equal(clamped(TR_TIMESTAMP, TR_MY_DATETIME, "2024-02-29 12:34:56.5"),
                        "'2024-02-29 12:34:56'");
    assert_string_equal(sql_of(TR_TIME, TR_MY_TIME, "24:00:00"), "'24:00:00'");
    assert_string_equal(sql_of(TR_DATE, TR_MY_DATE, "0000-00-00"), "'0000-00-00'");
}

static void
test_policies(void **state)
{
    (void)state;
    column.logical = TR_FLOAT64;
    target.kind = TR_MY_FLOAT;
    assert_string_equal(written("NaN", TR_CODEC_TEXT, 3, TR_MY_VALUE_NULL, false), "NULL");
    target.not_null = true;
    assert_string_equal(written("NaN", TR_CODEC_TEXT, 3, TR_MY_VALUE_NULL, false), "refused");
    target.not_null = false;
}

static void
test_fields_of_load_data(void **state)
{
    (void)state;
    column.logical = TR_TEXT;
    target.kind = TR_MY_TEXT;
    assert_string_equal(written("a\tb\nc\\d'", TR_CODEC_TEXT, 8, TR_MY_VALUE_STOP, true),
                        "a\\\tb\\\nc\\\\d'");
    assert_string_equal(written(NULL, TR_CODEC_TEXT, 0, TR_MY_VALUE_STOP, true), "\\N");
    column.logical = TR_BYTES;
    target.kind = TR_MY_BINARY;
    assert_string_equal(written("\\x0041", TR_CODEC_TEXT, 6, TR_MY_VALUE_STOP, true), "\\0A");
}

static char delimiter = ',';

static const char *
json(const char *text, enum tr_logical element)
{
    static char out[256];
    struct tr_buffer buffer;
    tr_buffer_init(&buffer, 4096);
    bool known = element == TR_HSTORE ? tr_my_hstore_json(text, strlen(text), &buffer)
                                      : tr_my_array_json(text, strlen(text), delimiter, element, &buffer);
    snprintf(out, sizeof out, "%s", known ? buffer.data : "none");
    tr_buffer_fini(&buffer);
    return out;
}

static void
test_structures(void **state)
{
    (void)state;
    assert_string_equal(json("{1,NULL,-3}", TR_INT32), "[1,null,-3]");
    assert_string_equal(json("{{1,2},{3,4}}", TR_INT32), "[[1,2],[3,4]]");
    assert_string_equal(json("[0:1]={a,\"NULL\"}", TR_TEXT), "[\"a\",\"NULL\"]");
    assert_string_equal(json("{\"b c\",\"q\\\"\\\\\",\"\"}", TR_TEXT), "[\"b c\",\"q\\\"\\\\\",\"\"]");
    assert_string_equal(json("{}", TR_TEXT), "[]");
    assert_string_equal(json("{t,f}", TR_BOOL), "[true,false]");
    assert_string_equal(json("{NaN,1.5}", TR_FLOAT64), "[\"NaN\",1.5]");
    delimiter = ';'; /* box */
    assert_string_equal(json("{(1,1),(0,0);(3,3),(2,2)}", TR_OTHER), "[\"(1,1),(0,0)\",\"(3,3),(2,2)\"]");
    delimiter = ',';
    assert_string_equal(json("{1,2", TR_INT32), "none");
    assert_string_equal(json("{\"a", TR_TEXT), "none");
    assert_string_equal(json("", TR_TEXT), "none");
    assert_string_equal(json("{1}x", TR_INT32), "none");
    assert_string_equal(json("{\"a\"\"b\"}", TR_TEXT), "none");
    assert_string_equal(json("{1,}", TR_INT32), "none");
    assert_string_equal(json("{,1}", TR_INT32), "none");
    assert_string_equal(json("{{1}{2}}", TR_INT32), "none");
    assert_string_equal(json("{{},{}}", TR_INT32), "[[],[]]");
    assert_string_equal(json("\"a\"=>\"1\", \"b\"=>NULL", TR_HSTORE), "{\"a\":\"1\",\"b\":null}");
    assert_string_equal(json("", TR_HSTORE), "{}");
    assert_string_equal(json("\"a\"=", TR_HSTORE), "none");
    assert_string_equal(json("\"a\"=>\"b\", ", TR_HSTORE), "none");
}

static void
test_geometry(void **state)
{
    (void)state;
    struct tr_buffer out, hex;
    tr_buffer_init(&out, 4096);
    tr_buffer_init(&hex, 4096);
    const char *point = "0101000020E6100000000000000000F03F0000000000000040"; /* SRID=4326;POINT(1 2) */
    assert_true(tr_my_geometry(point, strlen(point), &out));
    tr_buffer_hex(&hex, out.data, out.len);
    assert_string_equal(hex.data, "e61000000101000000000000000000f03f0000000000000040");
    assert_false(tr_my_geometry("01010000A0E6100000000000000000F03F", 34, &out)); /* with Z */
    assert_false(tr_my_geometry("0101", 4, &out));
    assert_false(tr_my_geometry("01z1", 4, &out));
    tr_buffer_fini(&out);
    tr_buffer_fini(&hex);
}

/* ---- statements */

static struct tr_column columns2[] = { { .name = "id", .logical = TR_INT32, .key = 1, .identity = 1 },
                                       { .name = "v`", .logical = TR_TEXT } };
static struct tr_relation relation2 = { .columns = columns2, .ncolumns = 2, .replica_identity = 'd' };
static struct tr_my_column targets2[] = {
    { .name = "id",
      .type = "int",
      .kind = TR_MY_INTEGER,
      .maximum = INT32_MAX,
      .minimum = INT32_MIN,
      .not_null = true },
    { .name = "v`", .type = "longtext", .kind = TR_MY_TEXT, .length = -1 }
};
static struct tr_my_table table2 = { .database = "d", .name = "t", .columns = targets2, .ncolumns = 2 };
static int32_t both[] = { 0, 1 };
static uint16_t key2[] = { 0 };
static struct tr_my_map map2 = { .relation = &relation2,
                                 .table = &table2,
                                 .label = "d.t",
                                 .target = both,
                                 .key = key2,
                                 .nkey = 1,
                                 .key_unique = true,
                                 .exact = " COLLATE nopad" };

static const char *
statement(enum tr_sql_op op, const struct tr_value *first, const struct tr_value *second,
          enum tr_my_count *count, int *taken)
{
    static char out[512];
    struct tr_net_row a = { .key = first, .row = first }, b = { .key = second, .row = second };
    const struct tr_net_row *rows[] = { &a, &b };
    struct tr_my_values values;
    struct tr_buffer sql;
    tr_my_values_init(&values, TR_MY_VALUE_STOP);
    tr_buffer_init(&sql, 4096);
    *taken = tr_my_statement(&values, &map2, op, rows, second != NULL ? 2 : 1, 65536, &sql, count, &failure);
    snprintf(out, sizeof out, "%s", sql.data);
    tr_buffer_fini(&sql);
    tr_my_values_fini(&values);
    return out;
}

static void
test_statements(void **state)
{
    (void)state;
    struct tr_value one[] = { { "1", 1, TR_PRESENT, 0 }, { "a", 1, TR_PRESENT, 0 } },
                    two[] = { { "2", 1, TR_PRESENT, 0 }, { NULL, 0, TR_NULL, 0 } };
    enum tr_my_count count;
    int taken;
    assert_string_equal(statement(TR_SQL_INSERT, one, two, &count, &taken),
                        "INSERT INTO `d`.`t` (`id`,`v```) VALUES (1,'a'),(2,NULL)");
    assert_int_equal(count, TR_MY_COUNT_AFFECTED);
    assert_int_equal(taken, 2);
    assert_string_equal(statement(TR_SQL_DELETE, one, two, &count, &taken),
                        "DELETE FROM `d`.`t` WHERE `id` IN (1,2)");
    assert_string_equal(
        statement(TR_SQL_UPDATE, one, two, &count, &taken),
        "UPDATE `d`.`t` SET `v```='a' WHERE `id`=1;UPDATE `d`.`t` SET `v```=NULL WHERE `id`=2");
    assert_int_equal(count, TR_MY_COUNT_EACH);
    map2.upserts = true;
    assert_string_equal(
        statement(TR_SQL_UPDATE, one, two, &count, &taken),
        "INSERT INTO `d`.`t` (`id`,`v```) VALUES (1,'a'),(2,NULL) ON DUPLICATE KEY UPDATE `v```=VALUES(`v```)");
    assert_int_equal(count, TR_MY_COUNT_UPSERTED);
    assert_string_equal(statement(TR_SQL_UPDATE_KEY, one, NULL, &count, &taken),
                        "UPDATE `d`.`t` SET `id`=1,`v```='a' WHERE `id`=1");
    assert_string_equal(statement(TR_SQL_DELETE_ROW, two, NULL, &count, &taken),
                        "DELETE FROM `d`.`t` WHERE `id`<=>2 AND `v```<=>NULL LIMIT 1");
    targets2[1].type = "varchar(9)"; /* blanks at the end count */
    assert_string_equal(statement(TR_SQL_DELETE_ROW, one, NULL, &count, &taken),
                        "DELETE FROM `d`.`t` WHERE `id`<=>1 AND `v```<=>'a' COLLATE nopad LIMIT 1");
    one[1].state =
        TR_ABSENT; /* an unchanged value did not come: not an upsert, and nothing but the key to set */
    assert_string_equal(statement(TR_SQL_UPDATE, one, NULL, &count, &taken),
                        "UPDATE `d`.`t` SET `id`=`id` WHERE `id`=1");
    map2.upserts = false;
    targets2[0].kind = TR_MY_FLOAT; /* a number is a double there, and 0.1 another one */
    targets2[0].single = true;
    assert_string_equal(statement(TR_SQL_UPDATE, one, NULL, &count, &taken),
                        "UPDATE `d`.`t` SET `id`=`id` WHERE `id`=CAST(1 AS FLOAT)");
    assert_string_equal(statement(TR_SQL_DELETE, one, NULL, &count, &taken),
                        "DELETE FROM `d`.`t` WHERE `id` IN (CAST(1 AS FLOAT))");
}

static void
test_decimals_in_documents(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "{\"p\": 19.90, \"d\": [0.1, 1.0, 1e300, -7, 18446744073709551615]}",
          "JSON_OBJECT('p',19.90,'d',JSON_ARRAY(0.1e0,1.0e0,1e300,-7,18446744073709551615))" },
        { "[12345678901234567890.123, true, null, \"it's \\\"\\u00e9\\ud83d\\ude00\\n\", {}, []]",
          "JSON_ARRAY(12345678901234567890.123,true,null,'it\\'s \"\xc3\xa9\xf0\x9f\x98\x80\\n',JSON_OBJECT(),JSON_ARRAY())" },
        { "18446744073709551616", "CAST(18446744073709551616 AS JSON)" },
        { "{\"a\": 0.30000000000000004, \"19.90\": \"19.90\"}", NULL },
        { "[19.9, 123456789012345.6, -1.5, 0.0]", NULL },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tr_buffer out;
        size_t len = strlen(texts[i][0]);
        tr_buffer_init(&out, 4096);
        assert_int_equal(tr_my_json_has_decimals(texts[i][0], len), texts[i][1] != NULL);
        if (texts[i][1] != NULL) {
            assert_true(tr_my_json_calls(texts[i][0], len, &out));
            assert_string_equal(out.data, texts[i][1]);
            assert_false(i < 2 && tr_my_json_calls(texts[i][0], len - 1, &out));
        }
        tr_buffer_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_decimals_and_floats),
        cmocka_unit_test(test_bytes_and_bits),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_fields_of_load_data),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_decimals_in_documents),
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
