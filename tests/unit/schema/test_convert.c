/* test_convert.c - columns, defaults and expressions of one engine for another, and the statements made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/convert.h"
#include "schema/ddl.h"

static char type_text[256], note_text[512];

static const char *
take(char *to, size_t size, struct tr_buffer *from)
{
    snprintf(to, size, "%s", from->len > 0 ? from->data : "");
    tr_buffer_fini(from);
    return to;
}

static const char *
to_mysql(const struct tr_column *column, enum tr_convert_use use, unsigned share, bool mariadb)
{
    struct tr_convert_target target = { .mariadb = mariadb, .version = mariadb ? 101100 : 80400 };
    struct tr_buffer type, note;
    tr_buffer_init(&type, 4096);
    tr_buffer_init(&note, 4096);
    tr_convert_to_mysql("postgresql", column, &target, use, share, &type, &note);
    take(note_text, sizeof note_text, &note);
    return take(type_text, sizeof type_text, &type);
}

static const char *
mysql_of(enum tr_logical logical, int32_t length, int32_t precision, int32_t scale)
{
    struct tr_column column = {
        .name = "c", .logical = logical, .length = length, .precision = precision, .scale = scale
    };
    return to_mysql(&column, TR_CONVERT_PLAIN, 1, true);
}

static const char *
postgresql_of(enum tr_logical logical, int32_t length, int32_t precision, int32_t scale, const char *native)
{
    struct tr_column column = { .name = "c",
                                .logical = logical,
                                .length = length,
                                .precision = precision,
                                .scale = scale,
                                .native = native,
                                .type_name = native };
    struct tr_buffer type, note;
    tr_buffer_init(&type, 4096);
    tr_buffer_init(&note, 4096);
    tr_convert_to_postgresql(&column, NULL, &type, &note);
    take(note_text, sizeof note_text, &note);
    return take(type_text, sizeof type_text, &type);
}

/* A new logical type cannot be forgotten: each has a form in both directions. */
static void
test_every_type_has_a_form(void **state)
{
    (void)state;
    for (int logical = 0; logical < TR_LOGICAL_COUNT; logical++) {
        assert_true(mysql_of((enum tr_logical)logical, -1, -1, -1)[0] != '\0');
        assert_true(postgresql_of((enum tr_logical)logical, -1, -1, -1, "x")[0] != '\0');
    }
}

static void
test_postgresql_types_for_mysql(void **state)
{
    (void)state;
    assert_string_equal(mysql_of(TR_BOOL, -1, -1, -1), "TINYINT(1)");
    assert_string_equal(mysql_of(TR_DECIMAL, -1, 20, 6), "DECIMAL(20,6)");
    assert_string_equal(mysql_of(TR_DECIMAL, -1, -1, -1), "DECIMAL(65,30)");
    assert_non_null(strstr(note_text, "refused"));
    assert_string_equal(mysql_of(TR_DECIMAL, -1, 66, 6), "DECIMAL(65,30)");
    assert_string_equal(mysql_of(TR_TIMESTAMP, -1, -1, 3), "DATETIME(3)");
    assert_string_equal(mysql_of(TR_TIME, -1, -1, -1), "TIME(6)");
    assert_string_equal(mysql_of(TR_UUID, -1, -1, -1), "UUID");
    assert_string_equal(mysql_of(TR_BIT, 12, -1, -1), "BIT(12)");
    assert_string_equal(mysql_of(TR_TEXT, 40, -1, -1),
                        "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
    assert_string_equal(mysql_of(TR_TEXT, -1, -1, -1),
                        "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
    assert_string_equal(mysql_of(TR_ARRAY, -1, -1, -1), "JSON");
    assert_non_null(strstr(note_text, "JSON array"));
}

static void
test_keys_have_room(void **state)
{
    (void)state;
    struct tr_column text = { .name = "c", .logical = TR_TEXT, .length = -1, .precision = -1, .scale = -1 };
    assert_string_equal(to_mysql(&text, TR_CONVERT_KEYED, 1, false),
                        "VARCHAR(728) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin");
    assert_non_null(strstr(note_text, "728"));
    assert_string_equal(to_mysql(&text, TR_CONVERT_KEYED, 2, false),
                        "VARCHAR(364) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin");
    text.logical = TR_BYTES;
    assert_string_equal(to_mysql(&text, TR_CONVERT_KEYED, 1, true), "VARBINARY(2912)");
    static const char *const labels[] = { "a", "it's" };
    struct tr_column mood = { .name = "m", .logical = TR_ENUM, .labels = labels, .nlabels = 2 };
    assert_string_equal(to_mysql(&mood, TR_CONVERT_PLAIN, 1, true),
                        "ENUM('a','it''s') CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
    static const char *const blank[] = { "a", "a " };
    mood.labels = blank;
    assert_string_equal(to_mysql(&mood, TR_CONVERT_PLAIN, 1, true),
                        "VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
    assert_non_null(strstr(note_text, "blank"));
}

/* A collation that the other of the two lacks becomes one of the same character set, if that is there. */
static void
test_collations_that_the_other_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *collation;
        bool mariadb;
        const char *type;
    } cases[] = {
        { "latin1", "latin1_swedish_ci", false, "varchar(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci" },
        { "latin1", "latin1_swedish_nopad_ci", false, "varchar(9) CHARACTER SET latin1" },
        { "latin1", "latin1_nopad_bin", false, "varchar(9) CHARACTER SET latin1 COLLATE latin1_bin" },
        { "ucs2", "ucs2_uca1400_ai_ci", false, "varchar(9) CHARACTER SET ucs2" },
        { "utf8mb4", "utf8mb4_uca1400_ai_ci", false,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci" },
        { "utf8mb4", "utf8mb4_uca1400_swedish_nopad_as_ci", false,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_sv_0900_as_cs" },
        { "utf8mb4", "utf8mb4_general_nopad_ci", false,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci" },
        { "utf8mb4", "utf8mb4_thai_520_w2", false,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci" },
        { "utf8mb4", "utf8mb4_0900_ai_ci", true,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_nopad_ai_ci" },
        { "utf8mb4", "utf8mb4_de_pb_0900_as_cs", true,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_german2_nopad_as_cs" },
        { "utf8mb4", "utf8mb4_0900_bin", true, "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" },
        { "gb18030", "gb18030_chinese_ci", true,
          "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_nopad_ai_ci" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_column column = { .name = "c", .logical = TR_TEXT, .length = 9 };
        struct tr_convert_target target = { .mariadb = cases[i].mariadb, .version = 101100 };
        struct tr_buffer type, note;
        column.native = column.type_name = "varchar(9)";
        column.charset = cases[i].charset;
        column.collation = cases[i].collation;
        tr_buffer_init(&type, 4096);
        tr_buffer_init(&note, 4096);
        tr_convert_to_mysql(cases[i].mariadb ? "mysql" : "mariadb", &column, &target, TR_CONVERT_PLAIN, 1,
                            &type, &note);
        assert_string_equal(take(type_text, sizeof type_text, &type), cases[i].type);
        take(note_text, sizeof note_text, &note);
        assert_true((strstr(note_text, cases[i].collation) != NULL) == (i > 0));
    }
}

/* MariaDB's have up to 38 digits behind the point, MySQL's 30. */
static void
test_long_fractions_of_mariadb(void **state)
{
    (void)state;
    for (int scale = 30; scale <= 31; scale++) {
        struct tr_column column = { .name = "c", .logical = TR_DECIMAL, .precision = 50, .scale = scale };
        struct tr_convert_target target = { .version = 90000 };
        struct tr_buffer type, note;
        column.native = scale == 30 ? "decimal(50,30)" : "decimal(50,31)";
        column.type_name = "decimal";
        tr_buffer_init(&type, 4096);
        tr_buffer_init(&note, 4096);
        tr_convert_to_mysql("mariadb", &column, &target, TR_CONVERT_PLAIN, 1, &type, &note);
        assert_string_equal(take(type_text, sizeof type_text, &type),
                            scale == 30 ? "decimal(50,30)" : "DECIMAL(65,30)");
        take(note_text, sizeof note_text, &note);
        assert_true((strstr(note_text, "30 behind it") != NULL) == (scale == 31));
    }
}

static void
test_mysql_types_for_postgresql(void **state)
{
    (void)state;
    assert_string_equal(postgresql_of(TR_UINT64, -1, -1, -1, "bigint(20) unsigned"), "numeric(20,0)");
    assert_string_equal(postgresql_of(TR_UINT32, -1, -1, -1, "int(10) unsigned"), "bigint");
    assert_string_equal(postgresql_of(TR_INT24, -1, -1, -1, "mediumint(9)"), "integer");
    assert_string_equal(postgresql_of(TR_TIMESTAMPTZ, -1, -1, 3, "timestamp(3)"),
                        "timestamp(3) with time zone");
    assert_string_equal(postgresql_of(TR_TIMESTAMP, -1, -1, 0, "datetime"), "timestamp(0)");
    assert_non_null(strstr(note_text, "zero"));
    assert_string_equal(postgresql_of(TR_TEXT, 40, -1, -1, "varchar"), "varchar(40)");
    assert_string_equal(postgresql_of(TR_TEXT, 65535, -1, -1, "text"), "text");
    assert_string_equal(postgresql_of(TR_DECIMAL, -1, 65, 30, "decimal(65,30)"), "numeric(65,30)");
    assert_string_equal(postgresql_of(TR_BIT, 12, -1, -1, "bit(12)"), "bit(12)");
    assert_string_equal(postgresql_of(TR_JSON, -1, -1, -1, "json"), "jsonb");
}

static const char *
default_for_mysql(enum tr_logical logical, const char *type, const char *expression)
{
    static char out[256];
    struct tr_convert_target target = { .mariadb = true };
    struct tr_column column = { .name = "c", .logical = logical, .default_expression = expression };
    struct tr_buffer text;
    tr_buffer_init(&text, 4096);
    bool known = tr_convert_default_to_mysql(&column, type, &target, &text);
    take(out, sizeof out, &text);
    return known ? out : "none";
}

static const char *
default_for_postgresql(enum tr_logical logical, int32_t length, const char *type, const char *expression)
{
    static char out[256];
    struct tr_column column = {
        .name = "c", .logical = logical, .length = length, .default_expression = expression
    };
    struct tr_buffer text;
    tr_buffer_init(&text, 4096);
    bool known = tr_convert_default_to_postgresql(&column, type, &text);
    take(out, sizeof out, &text);
    return known ? out : "none";
}

static void
test_defaults(void **state)
{
    (void)state;
    assert_string_equal(default_for_mysql(TR_TEXT, "VARCHAR(9)", "'it''s \\'::character varying(9)"),
                        "'it''s \\\\'");
    assert_string_equal(default_for_mysql(TR_INT32, "INT", "'-1'::integer"), "'-1'");
    assert_string_equal(default_for_mysql(TR_INT32, "INT", "(-1)"), "-1");
    assert_string_equal(default_for_mysql(TR_INT32, "INT", "7"), "7");
    assert_string_equal(default_for_mysql(TR_BOOL, "TINYINT(1)", "true"), "1");
    assert_string_equal(default_for_mysql(TR_TIMESTAMPTZ, "DATETIME(6)", "now()"), "(UTC_TIMESTAMP(6))");
    assert_string_equal(default_for_mysql(TR_TIMESTAMP, "DATETIME(3)", "CURRENT_TIMESTAMP(3)"),
                        "CURRENT_TIMESTAMP(3)");
    assert_string_equal(default_for_mysql(TR_TIMESTAMPTZ, "DATETIME(6)", "'2026-01-02 03:04:05.6+00'"),
                        "'2026-01-02 03:04:05.6'");
    assert_string_equal(default_for_mysql(TR_DATE, "DATE", "CURRENT_DATE"), "(CURDATE())");
    assert_string_equal(default_for_mysql(TR_FLOAT64, "DOUBLE", "'NaN'::double precision"), "none");
    assert_string_equal(default_for_mysql(TR_DATE, "DATE", "'infinity'::date"), "none");
    assert_string_equal(default_for_mysql(TR_BIT, "BIT(3)", "'101'::\"bit\""), "b'101'");
    assert_string_equal(default_for_mysql(TR_ARRAY, "JSON", "'{}'::integer[]"), "'[]'");
    assert_string_equal(default_for_mysql(TR_INT32, "INT", "((1 + 2) * 3)"), "(((1 + 2) * 3))");
    assert_string_equal(default_for_mysql(TR_DECIMAL, "DECIMAL(9,2)", "(0)::numeric"), "0");
    assert_string_equal(default_for_postgresql(TR_INT32, -1, "integer", "((1 + 2))"), "((1 + 2))");
    assert_string_equal(default_for_postgresql(TR_TEXT, 36, "varchar(36)", "(uuid())"),
                        "(gen_random_uuid())::text");
    assert_string_equal(default_for_postgresql(TR_JSON, -1, "jsonb", "(_utf8mb4'{}')"), "'{}'");
    assert_string_equal(default_for_postgresql(TR_TIME, -1, "time(0)", "'-10:00:00'"), "none");
    assert_string_equal(default_for_postgresql(TR_DATE, -1, "date", "(curdate())"), "CURRENT_DATE");
    assert_string_equal(default_for_postgresql(TR_BYTES, 3, "bytea", "'abc'"), "'\\x616263'::bytea");
    assert_string_equal(default_for_mysql(TR_UUID, "UUID", "gen_random_uuid()"), "(UUID())");
    assert_string_equal(default_for_mysql(TR_INT32, "INT", "nextval('s'::regclass)"), "none");
    assert_string_equal(default_for_mysql(TR_TEXT, "LONGTEXT", "('a'::text || 'b'::text)"),
                        "(concat('a', 'b'))");
    assert_string_equal(default_for_mysql(TR_BYTES, "LONGBLOB", "'\\x00'::bytea"), "x'00'");
    assert_string_equal(default_for_postgresql(TR_TIMESTAMP, -1, "timestamp(3)", "current_timestamp(3)"),
                        "CURRENT_TIMESTAMP");
    assert_string_equal(default_for_postgresql(TR_TEXT, -1, "text", "'it''s'"), "'it''s'");
    assert_string_equal(default_for_postgresql(TR_INT32, -1, "integer", "7"), "'7'");
    assert_string_equal(default_for_postgresql(TR_BIT, 4, "bit(4)", "b'10'"), "B'0010'");
    assert_string_equal(default_for_postgresql(TR_DATE, -1, "date", "'0000-00-00'"), "none");
    assert_string_equal(default_for_postgresql(TR_TEXT, -1, "text", "concat('a','b')"),
                        "(('a'::text || 'b'::text))");
}

/* ---- whole tables */

static const uint16_t first[] = { 0 }, second[] = { 1 };

static const struct tr_object objects[] = {
    { .kind = TR_OBJECT_UNIQUE,
      .name = "code",
      .columns = second,
      .ncolumns = 1,
      .native = "UNIQUE KEY `code` (`code`)" },
    { .kind = TR_OBJECT_INDEX, .name = "g", .columns = second, .ncolumns = 1, .native = "USING gin (code)" },
    { .kind = TR_OBJECT_CHECK, .name = "positive", .native = "CHECK (id > 0)" },
    { .kind = TR_OBJECT_PRIMARY_KEY,
      .name = "PRIMARY",
      .columns = second,
      .ncolumns = 1,
      .native = "PRIMARY KEY (`code`(3)) USING BTREE" },
};

static const struct tr_object database_objects[] = {
    { .kind = TR_OBJECT_FUNCTION, .schema = "", .name = "public.f(integer)" },
};

static struct tr_column columns[] = {
    { .name = "id",
      .logical = TR_INT64,
      .native = "bigint(20)",
      .key = 1,
      .not_null = true,
      .auto_increment = true,
      .length = -1 },
    { .name = "code",
      .logical = TR_TEXT,
      .native = "varchar(20)",
      .length = 20,
      .default_expression = "'x'" },
};

/* As its own server spells it; used between servers of one kind. */
static const char definition[] =
    "(\n  `id` bigint(20) NOT NULL COMMENT '\\n) ENGINE=x'\n) ENGINE=MyISAM AUTO_INCREMENT=7 DEFAULT CHARSET=latin1 ROW_FORMAT=FIXED"
    " COMMENT='it''s ENGINE = y ROW_FORMAT=z'\n PARTITION BY HASH (`id`)\n(PARTITION `p0` ENGINE = MyISAM,\n PARTITION `p1` ENGINE = MyISAM)";

static void
print(const char *dialect, const char *source, struct tr_buffer *out, struct tr_buffer *report)
{
    struct tr_error err;
    struct tr_relation relation = { .schema = "public",
                                    .name = "t",
                                    .target_schema = "public",
                                    .target_name = "t",
                                    .columns = columns,
                                    .ncolumns = 2,
                                    .keys = first,
                                    .nkeys = 1,
                                    .kind = 'r' };
    struct tr_table table = {
        .relation = &relation, .create = definition, .objects = objects, .nobjects = 4
    };
    struct tr_schema schema = {
        .dialect = source, .tables = &table, .ntables = 1, .objects = database_objects, .nobjects = 1
    };
    tr_buffer_init(out, 65536);
    tr_buffer_init(report, 65536);
    assert_int_equal(tr_schema_print_ddl(&schema, dialect, NULL, out, report, &err), 0);
}

/* No other engine takes part in the transaction that holds the checkpoint. */
static void
test_a_table_without_transactions_is_made_in_innodb(void **state)
{
    (void)state;
    struct tr_buffer out, report;
    print("mariadb", "mariadb", &out, &report);
    assert_non_null(strstr(out.data,
                           "COMMENT '\\n) ENGINE=x'\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1"
                           " COMMENT='it''s ENGINE = y ROW_FORMAT=z'"));
    assert_non_null(strstr(out.data, "(PARTITION `p0` ENGINE = InnoDB,\n PARTITION `p1` ENGINE = InnoDB)"));
    assert_non_null(strstr(report.data, "is kept by MyISAM at the source"));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

static void
test_a_postgresql_table_for_mariadb(void **state)
{
    (void)state;
    struct tr_buffer out, report;
    print("mariadb", "postgresql", &out, &report);
    assert_non_null(strstr(out.data, "`id` BIGINT NOT NULL AUTO_INCREMENT"));
    assert_non_null(strstr(out.data, "PRIMARY KEY (`id`)) ENGINE=InnoDB"));
    assert_non_null(strstr(out.data, "COLLATE utf8mb4_nopad_bin NULL DEFAULT 'x'"));
    assert_non_null(strstr(out.data, "ALTER TABLE `public`.`t` ADD UNIQUE KEY `code` (`code`)"));
    assert_null(strstr(out.data, "gin"));
    assert_non_null(strstr(report.data, "index g is not made"));
    assert_null(strstr(report.data, "must exist at the target"));
    assert_non_null(strstr(report.data, "check constraint positive is not carried"));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

static void
test_a_mysql_table_for_mariadb(void **state)
{
    (void)state;
    struct tr_buffer out, report;
    print("mariadb", "mysql", &out, &report);
    assert_non_null(strstr(out.data, ", PRIMARY KEY (`code`(3))) ENGINE=InnoDB"));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

static void
test_a_mariadb_table_for_postgresql(void **state)
{
    (void)state;
    struct tr_buffer out, report;
    print("postgresql", "mariadb", &out, &report);
    assert_non_null(strstr(
        out.data,
        "CREATE TABLE \"public\".\"t\" (\"id\" bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL, \"code\" varchar(20) DEFAULT 'x')"));
    assert_non_null(strstr(out.data, "ADD CONSTRAINT \"t_pkey\" PRIMARY KEY (\"id\")"));
    assert_non_null(strstr(out.data, "CREATE UNIQUE INDEX \"t_code\""));
    assert_non_null(strstr(out.data, "setval("));
    assert_non_null(strstr(report.data, "primary key (`code`(3)) becomes one of the whole columns"));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

/* What neither the expression nor the log can give is left out, with the indexes over it. */
static void
print_generated(const char *dialect, const char *source, const char *expression, enum tr_logged logged,
                struct tr_buffer *out, struct tr_buffer *report)
{
    static const struct tr_object keys[] = {
        { .kind = TR_OBJECT_UNIQUE,
          .name = "u",
          .columns = second,
          .ncolumns = 1,
          .native = "UNIQUE KEY `u` (`g`)" },
    };
    struct tr_column own[] = { columns[0], columns[1] };
    char create[200];
    struct tr_error err;
    snprintf(create, sizeof create, "(\n  `id` bigint(20) NOT NULL,\n  `g` varchar(20) AS (%s) STORED\n)",
             expression);
    own[1] = (struct tr_column){ .name = "g",
                                 .logical = TR_TEXT,
                                 .length = 20,
                                 .native = "varchar(20)",
                                 .not_null = true,
                                 .generated = true,
                                 .logged = logged,
                                 .default_expression = strcmp(source, "postgresql") == 0 ? expression
                                                                                         : NULL };
    struct tr_relation relation = { .schema = "s",
                                    .name = "t",
                                    .target_schema = "s",
                                    .target_name = "t",
                                    .columns = own,
                                    .ncolumns = 2,
                                    .keys = first,
                                    .nkeys = 1,
                                    .kind = 'r' };
    struct tr_table table = { .relation = &relation, .create = create, .objects = keys, .nobjects = 1 };
    struct tr_schema schema = { .dialect = source, .tables = &table, .ntables = 1 };
    tr_buffer_init(out, 65536);
    tr_buffer_init(report, 65536);
    assert_int_equal(tr_schema_print_ddl(&schema, dialect, NULL, out, report, &err), 0);
}

static void
test_a_generated_column_becomes_a_plain_one(void **state)
{
    static const struct {
        const char *dialect, *source, *expression, *column;
    } cases[] = {
        { "postgresql", "mariadb", "upper(`id`)", "\"g\" varchar(20) NOT NULL" },
        { "postgresql", "mysql", "soundex(`id`)", "\"g\" varchar(20) NOT NULL" },
        { "mariadb", "mysql", "bin_to_uuid(`id`)", "`g` varchar(20) NOT NULL" },
        { "mysql", "postgresql", "md5((id)::text)",
          "`g` VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int logged = TR_LOGGED_ALWAYS; logged <= TR_LOGGED_NEVER; logged++) {
            struct tr_buffer out, report;
            bool arrives = logged != TR_LOGGED_NEVER;
            print_generated(cases[i].dialect, cases[i].source, cases[i].expression, (enum tr_logged)logged,
                            &out, &report);
            assert_null(strstr(out.data, "GENERATED ALWAYS"));
            assert_true((strstr(out.data, cases[i].column) != NULL) == arrives);
            assert_non_null(strstr(report.data, "s.t.g: is generated as "));
            assert_null(strstr(report.data, "default "));
            assert_true((strstr(report.data, "it becomes a plain column") != NULL) == arrives);
            assert_true((strstr(report.data, "and the log does not have its values") != NULL) == !arrives);
            if (strcmp(cases[i].source, "postgresql") != 0)
                assert_true((strstr(report.data, "u is not made") != NULL) == !arrives);
            tr_buffer_fini(&out);
            tr_buffer_fini(&report);
        }
}

static void
test_a_generated_column_stays_one_where_it_translates(void **state)
{
    struct tr_buffer out, report;
    (void)state;
    print_generated("postgresql", "mariadb", "concat(`id`,'x')", TR_LOGGED_NEVER, &out, &report);
    assert_non_null(strstr(out.data, "\"g\" varchar(20) GENERATED ALWAYS AS ("));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    print_generated("mysql", "mariadb", "upper(`id`)", TR_LOGGED_NEVER, &out, &report);
    assert_non_null(strstr(out.data, "`g` varchar(20) GENERATED ALWAYS AS (upper(`id`)) STORED"));
    assert_non_null(strstr(out.data, "UNIQUE KEY `u`"));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

/* A backslash is one in MySQL's catalogue, and begins something else between quotes. */
static void
test_a_constant_of_the_catalogue_gets_its_quotes(void **state)
{
    struct tr_column column = { .logical = TR_TEXT, .default_expression = "C:\\new 'a'" };
    struct tr_arena arena;
    struct tr_buffer out;
    (void)state;
    tr_arena_init(&arena);
    tr_buffer_init(&out, 4096);
    column.default_expression = tr_convert_quoted_default(&arena, "mysql", &column);
    assert_string_equal(column.default_expression, "'C:\\\\new ''a'''");
    assert_true(tr_convert_default_to_postgresql(&column, "text", &out));
    assert_string_equal(out.data, "E'C:\\\\new ''a'''");
    tr_buffer_fini(&out);
    tr_arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_has_a_form),
        cmocka_unit_test(test_postgresql_types_for_mysql),
        cmocka_unit_test(test_keys_have_room),
        cmocka_unit_test(test_collations_that_the_other_lacks),
        cmocka_unit_test(test_mysql_types_for_postgresql),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_a_constant_of_the_catalogue_gets_its_quotes),
        cmocka_unit_test(test_a_table_without_transactions_is_made_in_innodb),
        cmocka_unit_test(test_long_fractions_of_mariadb),
        cmocka_unit_test(test_a_postgresql_table_for_mariadb),
        cmocka_unit_test(test_a_mysql_table_for_mariadb),
        cmocka_unit_test(test_a_mariadb_table_for_postgresql),
        cmocka_unit_test(test_a_generated_column_becomes_a_plain_one),
        cmocka_unit_test(test_a_generated_column_stays_one_where_it_translates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
