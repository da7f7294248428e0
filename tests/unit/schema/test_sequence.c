/* test_sequence.c - calls of sequences in defaults, and sequences as statements of each target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/convert.h"
#include "schema/ddl.h"
#include "schema/sequence.h"

static void
calls_are_found(void **state)
{
    (void)state;
    struct tr_arena arena;
    struct tr_sequence_call call;
    tr_arena_init(&arena);
    assert_true(tr_sequence_call(&arena, "concat('nextval(`x`.`y`)',nextval(`a``b`.`s)`))", &call));
    assert_string_equal(call.schema, "a`b");
    assert_string_equal(call.name, "s)");
    assert_true(call.next);
    assert_string_equal(call.to, ")");
    assert_false(tr_sequence_call(&arena, "'it''s nextval(`x`.`y`)'", &call));
    assert_false(tr_sequence_call(&arena, "my_nextval(`x`.`y`)", &call));
    assert_true(tr_sequence_alone(&arena, "(lastval(`d`.`s`))", &call));
    assert_false(call.next);
    assert_false(tr_sequence_alone(&arena, "nextval(`d`.`s`) + 1", &call));
    assert_true(tr_sequence_regclass(&arena, "nextval('shop.\"it''s \"\"q\"'::regclass)", &call));
    assert_string_equal(call.schema, "shop");
    assert_string_equal(call.name, "it's \"q");
    assert_false(tr_sequence_regclass(&arena, "(nextval('shop.s'::regclass) + 1)", &call));
    assert_false(tr_sequence_regclass(&arena, "nextval('::regclass)", &call));
    tr_arena_fini(&arena);
}

static void
numbers_that_a_target_lacks_are_cut(void **state)
{
    (void)state;
    struct tr_object large = {
        .minimum = 1, .maximum = -2, .start = 5, .last_value = -3, .increment = 1, .is_unsigned = true
    };
    struct tr_object fit;
    assert_true(tr_sequence_fit(&large, -INT64_MAX, INT64_MAX, &fit));
    assert_true(fit.maximum == INT64_MAX && fit.minimum == 1 && fit.start == 5);
    assert_true(fit.last_value == INT64_MAX && fit.is_called && !fit.is_unsigned);
    large.increment = -1; /* it has yet to come down to what fits */
    assert_true(tr_sequence_fit(&large, -INT64_MAX, INT64_MAX, &fit));
    assert_true(fit.last_value == INT64_MAX && !fit.is_called);
    large.minimum = INT64_MIN; /* 2^63 */
    assert_false(tr_sequence_fit(&large, -INT64_MAX, INT64_MAX, &fit));
}

static struct tr_column columns[] = {
    { .name = "id", .logical = TR_INT32, .native = "int", .length = -1, .not_null = true },
    { .name = "n", .logical = TR_INT64, .native = "bigint", .length = -1 },
};

static void
print(const char *source, const char *target, unsigned long version, struct tr_table *table,
      const struct tr_object *objects, uint32_t nobjects, struct tr_buffer *out, struct tr_buffer *report)
{
    struct tr_error err;
    struct tr_relation relation = { .schema = "shop",
                                    .name = "t",
                                    .target_schema = "shop",
                                    .target_name = "t",
                                    .columns = columns,
                                    .ncolumns = 2,
                                    .kind = 'r' };
    struct tr_convert_target at = { .mariadb = strcmp(target, "mariadb") == 0, .version = version };
    table->relation = &relation;
    struct tr_schema schema = {
        .dialect = source, .tables = table, .ntables = 1, .objects = objects, .nobjects = nobjects
    };
    tr_buffer_init(out, 65536);
    tr_buffer_init(report, 65536);
    assert_int_equal(tr_schema_print_ddl(&schema, target, &at, out, report, &err), 0);
}

#define HAS(buffer, text) assert_non_null(strstr((buffer).data, text))

static void
mariadb_to_all(void **state)
{
    (void)state;
    static const struct tr_object sequences[] = {
        { .kind = TR_OBJECT_SEQUENCE,
          .schema = "shop",
          .name = "s",
          .comment = "it's",
          .start = 3,
          .increment = 2,
          .minimum = 1,
          .maximum = 99,
          .cache = 10,
          .cycle = true,
          .last_value = 23,
          .round = 4,
          .value_known = true },
        { .kind = TR_OBJECT_SEQUENCE,
          .schema = "other",
          .name = "u",
          .native = "bigint unsigned",
          .start = 1,
          .increment = 0,
          .minimum = 1,
          .maximum = -2,
          .last_value = 1,
          .is_unsigned = true,
          .value_known = true },
    };
    struct tr_table table = {
        .create =
            "(\n  `id` int(11) NOT NULL DEFAULT nextval(`shop`.`s`),\n  `n` bigint(20) DEFAULT lastval(`shop`.`s`)\n) ENGINE=InnoDB"
    };
    struct tr_buffer out, report;
    print("mariadb", "mariadb", 101100, &table, sequences, 2, &out, &report);
    const char *made = strstr(
        out.data,
        "CREATE SEQUENCE `shop`.`s` START WITH 3 MINVALUE 1 MAXVALUE 99 INCREMENT BY 2 CACHE 10 CYCLE"
        " ENGINE=InnoDB COMMENT='it''s';\n");
    assert_non_null(made);
    assert_true(made < strstr(out.data, "CREATE TABLE"));
    HAS(out, "CREATE DATABASE IF NOT EXISTS `other`");
    HAS(out, "`u` START WITH 1 MINVALUE 1 MAXVALUE 9223372036854775806 INCREMENT BY 0 NOCACHE NOCYCLE");
    HAS(out, "SELECT SETVAL(`shop`.`s`, 23, 0, 4);\n");
    HAS(report, "other.u: ends at the target's last number");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    print("mariadb", "mariadb", 110800, &table, sequences, 2, &out, &report);
    HAS(out, "`u` AS bigint unsigned START WITH 1 MINVALUE 1 MAXVALUE 18446744073709551614");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    print("mariadb", "postgresql", 0, &table, sequences, 2, &out, &report);
    HAS(out,
        "CREATE SEQUENCE \"shop\".\"s\" AS bigint START WITH 3 INCREMENT BY 2 MINVALUE 1 MAXVALUE 99 CACHE 10 CYCLE;\n"
        "COMMENT ON SEQUENCE \"shop\".\"s\" IS 'it''s'");
    HAS(out, "\"id\" integer DEFAULT nextval('\"shop\".\"s\"') NOT NULL");
    HAS(out, "ELSE 23 END, CASE WHEN q.keep THEN q.called ELSE false END");
    HAS(out, " >= 23, false) AS keep"); /* it is given out next, once */
    HAS(report, "default lastval(`shop`.`s`) is not carried");
    HAS(report, "other.u: counts by the server's auto_increment_increment");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    print("mariadb", "mysql", 90000, &table, sequences, 2, &out, &report);
    assert_null(strstr(out.data, "SEQUENCE"));
    HAS(report, "shop.s: sequence is not carried: the target has none");
    HAS(report, "default nextval(`shop`.`s`) is not carried");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

/* The column that owns its sequence counts by itself, unless another asks the same one. */
static void
postgresql_to_mariadb(void **state)
{
    (void)state;
    struct tr_object sequences[] = {
        { .kind = TR_OBJECT_SEQUENCE,
          .schema = "shop",
          .name = "free",
          .start = 1,
          .increment = 5,
          .minimum = 1,
          .maximum = INT64_MAX,
          .cache = 1,
          .last_value = 11,
          .is_called = true,
          .value_known = true },
        { .kind = TR_OBJECT_SEQUENCE,
          .schema = "shop",
          .name = "own",
          .start = 1,
          .increment = 1,
          .minimum = 1,
          .maximum = INT32_MAX,
          .cache = 1,
          .last_value = 1,
          .value_known = true,
          .ref = 1,
          .owned_column = "id" },
    };
    struct tr_table table = { .objects = &sequences[1], .nobjects = 1 };
    struct tr_buffer out, report;
    columns[0].auto_increment = columns[1].auto_increment = true;
    columns[0].default_expression = "nextval('shop.own'::regclass)";
    columns[1].default_expression = "nextval('shop.free'::regclass)";
    print("postgresql", "mariadb", 101100, &table, sequences, 2, &out, &report);
    HAS(out,
        "CREATE SEQUENCE `shop`.`free` START WITH 1 MINVALUE 1 MAXVALUE 9223372036854775806 INCREMENT BY 5 NOCACHE NOCYCLE");
    HAS(out, "`id` INT NOT NULL AUTO_INCREMENT, `n` BIGINT NULL DEFAULT nextval(`shop`.`free`)");
    HAS(out, "SELECT SETVAL(`shop`.`free`, 11, 1, 0)");
    assert_null(strstr(out.data, "`own`"));
    assert_string_equal(report.data != NULL ? report.data : "", "");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    columns[1].default_expression = "nextval('shop.own'::regclass)";
    print("postgresql", "mariadb", 101100, &table, sequences, 2, &out, &report);
    HAS(out,
        "`id` INT NOT NULL DEFAULT nextval(`shop`.`own`), `n` BIGINT NULL DEFAULT nextval(`shop`.`own`)");
    HAS(report, "shop.free: sequence is not carried");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    print("postgresql", "mysql", 80400, &table, sequences, 2, &out, &report);
    HAS(out, "`id` INT NOT NULL AUTO_INCREMENT");
    HAS(report, "shop.free: sequence is not carried: no column owns it");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_found),
        cmocka_unit_test(numbers_that_a_target_lacks_are_cut),
        cmocka_unit_test(mariadb_to_all),
        cmocka_unit_test(postgresql_to_mariadb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
