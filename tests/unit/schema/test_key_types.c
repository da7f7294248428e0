/* test_key_types.c - the two ends of a foreign key, as MySQL and MariaDB want them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/ddl.h"
#include "schema/key_types.h"

static const uint16_t first_column[] = { 0 }, second_column[] = { 1 };
static const char *const id_name[] = { "id" }, *const code_name[] = { "code" };

/* leaf.id -> middle.id -> root.id, smallint, integer and bigint; leaf.code, a text without case, -> root.code */
static const struct tr_object leaf_keys[] = {
    { .kind = TR_OBJECT_FOREIGN_KEY,
      .name = "leaf_middle",
      .columns = first_column,
      .ncolumns = 1,
      .ref = 2,
      .ref_schema = "public",
      .ref_table = "middle",
      .ref_columns = id_name },
    { .kind = TR_OBJECT_FOREIGN_KEY,
      .name = "leaf_code",
      .columns = second_column,
      .ncolumns = 1,
      .ref = 3,
      .ref_schema = "public",
      .ref_table = "root",
      .ref_columns = code_name },
};
static const struct tr_object middle_keys[] = {
    { .kind = TR_OBJECT_FOREIGN_KEY,
      .name = "middle_root",
      .columns = first_column,
      .ncolumns = 1,
      .ref = 3,
      .ref_schema = "public",
      .ref_table = "root",
      .ref_columns = id_name },
};

static void
add_table(struct tr_schema *schema, const char *name, enum tr_logical type, const char *native,
          const struct tr_object *keys, uint32_t nkeys)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *columns = tr_arena_zalloc(&relation->arena, 2 * sizeof(*columns));
    columns[0] = (struct tr_column){
        .name = "id", .native = native, .logical = type, .key = 1, .length = -1
    };
    columns[1] = (struct tr_column){ .name = "code",
                                     .native = "varchar(9)",
                                     .type_name = strcmp(name, "leaf") == 0 ? "citext" : "varchar",
                                     .logical = TR_TEXT,
                                     .length = 9 };
    relation->schema = relation->target_schema = "public";
    relation->name = relation->target_name = name;
    relation->columns = columns;
    relation->ncolumns = 2;
    tr_relation_index_keys(relation);
    schema->tables[schema->ntables++] = (struct tr_table){ .relation = relation,
                                                           .objects = keys,
                                                           .nobjects = nkeys };
}

static struct tr_schema *
sample(void)
{
    struct tr_schema *schema = tr_schema_new("postgresql");
    schema->tables = tr_arena_zalloc(&schema->arena, 3 * sizeof(*schema->tables));
    add_table(schema, "leaf", TR_INT16, "smallint", leaf_keys, 2);
    add_table(schema, "middle", TR_INT32, "integer", middle_keys, 1);
    add_table(schema, "root", TR_INT64, "bigint", NULL, 0);
    return schema;
}

static void
linked_numbers_grow_alike(void **state)
{
    (void)state;
    struct tr_schema *schema = sample();
    const enum tr_logical *const *types = tr_key_types(&schema->arena, schema);
    for (uint32_t t = 0; t < 3; t++) {
        assert_int_equal(types[t][0], TR_INT64);
        assert_int_equal(types[t][1], TR_TEXT);
    }
    tr_schema_free(schema);
}

static void
keys_are_made_or_named(void **state)
{
    (void)state;
    struct tr_schema *schema = sample();
    struct tr_buffer out, report;
    struct tr_error err;
    tr_buffer_init(&out, 1 << 20);
    tr_buffer_init(&report, 1 << 20);
    assert_int_equal(tr_schema_print_ddl(schema, "mariadb", NULL, &out, &report, &err), 0);
    assert_non_null(strstr(out.data, "CREATE TABLE `public`.`leaf` (`id` BIGINT NOT NULL,"));
    assert_non_null(strstr(out.data, "CREATE TABLE `public`.`middle` (`id` BIGINT NOT NULL,"));
    assert_non_null(strstr(
        out.data, "ADD CONSTRAINT `leaf_middle` FOREIGN KEY (`id`) REFERENCES `public`.`middle` (`id`)"));
    assert_null(strstr(out.data, "leaf_code"));
    assert_non_null(strstr(
        report.data, "public.leaf.id: smallint: becomes BIGINT, as the other end of a foreign key is\n"));
    assert_non_null(strstr(
        report.data, "public.leaf: foreign key leaf_code is not made: the target joins no VARCHAR(9) "));
    assert_non_null(strstr(report.data, "(code) to a VARCHAR(9) "));
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    tr_schema_free(schema);
}

static void
types_that_join(void **state)
{
    (void)state;
    assert_true(tr_key_types_join("INT", "int"));
    assert_false(tr_key_types_join("INT", "BIGINT"));
    assert_true(tr_key_types_join("VARCHAR(9) CHARACTER SET ascii", "CHAR(3) CHARACTER SET ascii"));
    assert_false(tr_key_types_join("VARCHAR(9) CHARACTER SET ascii", "ENUM('a') CHARACTER SET ascii"));
    assert_true(tr_key_types_join("VARBINARY(16)", "VARBINARY(20)"));
    assert_false(tr_key_types_join("DECIMAL(10,0)", "DECIMAL(12,0)"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linked_numbers_grow_alike),
        cmocka_unit_test(keys_are_made_or_named),
        cmocka_unit_test(types_that_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
