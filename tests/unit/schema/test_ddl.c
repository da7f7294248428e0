/* test_ddl.c - a schema as PostgreSQL statements: names from mapping, phases, what is left out and said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/ddl.h"
#include "schema/names.h"

static const uint16_t first_column[] = { 0 };

static const struct tr_object order_objects[] = {
    { .kind = TR_OBJECT_INDEX, .schema = "shop", .name = "i", .native = "USING btree (customer)" },
    { .kind = TR_OBJECT_PRIMARY_KEY,
      .schema = "shop",
      .name = "orders_pkey",
      .native = "PRIMARY KEY (id)",
      .is_constraint = true,
      .is_replica_identity = true },
    { .kind = TR_OBJECT_FOREIGN_KEY,
      .schema = "shop",
      .name = "fk",
      .native = "(id) ON DELETE CASCADE",
      .is_constraint = true,
      .columns = first_column,
      .ncolumns = 1,
      .ref = 1 },
    { .kind = TR_OBJECT_FOREIGN_KEY,
      .schema = "shop",
      .name = "elsewhere",
      .native = "(id)",
      .is_constraint = true,
      .columns = first_column,
      .ncolumns = 1 },
    { .kind = TR_OBJECT_CHECK,
      .schema = "shop",
      .name = "made",
      .native = "CHECK (true)",
      .is_constraint = true,
      .in_create = true,
      .comment = "it's made" },
    { .kind = TR_OBJECT_CHECK,
      .schema = "shop",
      .name = "late",
      .native = "CHECK (id > 0) NOT VALID",
      .is_constraint = true },
};

static const struct tr_object schema_objects[] = {
    { .kind = TR_OBJECT_SCHEMA, .schema = "shop", .name = "shop" },
    { .kind = TR_OBJECT_EXTENSION, .schema = "public", .name = "hstore" },
    { .kind = TR_OBJECT_FUNCTION, .schema = "", .name = "shop.gen(integer)", .comment = "shop.orders" },
    { .kind = TR_OBJECT_TYPE, .schema = "shop", .name = "base" },
    { .kind = TR_OBJECT_TYPE, .schema = "shop", .name = "mood", .native = "AS ENUM ('a')" },
    { .kind = TR_OBJECT_SEQUENCE,
      .schema = "shop",
      .name = "s",
      .native = "AS bigint",
      .increment = -1,
      .last_value = -5,
      .is_called = true,
      .value_known = true },
    { .kind = TR_OBJECT_SEQUENCE, .schema = "shop", .name = "hidden", .native = "AS bigint", .increment = 1 },
};

static const struct tr_schema_note notes[] = { { "shop.orders", "trigger not carried: t" } };

static struct tr_relation *
relation(const char *name, const char *target_schema, const char *target_name)
{
    static const struct tr_column columns[] = { { .name = "Id" } };
    struct tr_relation *r = tr_relation_new();
    r->schema = "shop";
    r->name = name;
    r->target_schema = target_schema;
    r->target_name = target_name;
    r->columns = columns;
    r->ncolumns = 1;
    return r;
}

/* Two tables: customers keep their name, orders go to other."Or""ders". */
static struct tr_schema *
sample(void)
{
    struct tr_schema *schema = tr_schema_new("postgresql");
    schema->tables = tr_arena_zalloc(&schema->arena, 3 * sizeof(*schema->tables));
    schema->tables[0] = (struct tr_table){ .relation = relation("customers", "shop", "customers"),
                                           .create = "(\"Id\" integer)" };
    schema->tables[1] = (struct tr_table){ .relation = relation("orders", "other", "Or\"ders"),
                                           .create = "(\"Id\" integer)",
                                           .objects = order_objects,
                                           .nobjects = 6,
                                           .alter = "REPLICA IDENTITY FULL" };
    schema->tables[2] = (struct tr_table){ .relation = relation("part", "shop", "part"),
                                           .create = "",
                                           .parent = 1,
                                           .partition_bound = "DEFAULT",
                                           .comment = "back\\slash" };
    schema->ntables = 3;
    schema->objects = schema_objects;
    schema->nobjects = sizeof(schema_objects) / sizeof(schema_objects[0]);
    schema->notes = notes;
    schema->nnotes = 1;
    return schema;
}

static const char expected[] =
    "-- before the rows\n"
    "CREATE SCHEMA IF NOT EXISTS \"shop\";\n"
    "CREATE EXTENSION IF NOT EXISTS \"hstore\" WITH SCHEMA \"public\" CASCADE;\n"
    "CREATE TYPE \"shop\".\"mood\" AS ENUM ('a');\n"
    "CREATE SEQUENCE \"shop\".\"s\" AS bigint;\n"
    "CREATE SEQUENCE \"shop\".\"hidden\" AS bigint;\n"
    "CREATE SCHEMA IF NOT EXISTS \"other\";\n"
    "CREATE TABLE \"shop\".\"customers\" (\"Id\" integer);\n"
    "CREATE TABLE \"other\".\"Or\"\"ders\" (\"Id\" integer);\n"
    "ALTER TABLE \"other\".\"Or\"\"ders\" REPLICA IDENTITY FULL;\n"
    "COMMENT ON CONSTRAINT \"made\" ON \"other\".\"Or\"\"ders\" IS 'it''s made';\n"
    "CREATE TABLE \"shop\".\"part\" PARTITION OF \"shop\".\"customers\" DEFAULT;\n"
    "COMMENT ON TABLE \"shop\".\"part\" IS E'back\\\\slash';\n"
    "\n-- after the rows of each table\n"
    "ALTER TABLE \"other\".\"Or\"\"ders\" ADD CONSTRAINT \"orders_pkey\" PRIMARY KEY (id);\n"
    "ALTER TABLE \"other\".\"Or\"\"ders\" REPLICA IDENTITY USING INDEX \"orders_pkey\";\n"
    "CREATE INDEX \"i\" ON \"other\".\"Or\"\"ders\" USING btree (customer);\n"
    "\n-- when all tables are filled\n"
    "ALTER TABLE \"other\".\"Or\"\"ders\" ADD CONSTRAINT \"fk\" FOREIGN KEY (\"Id\") REFERENCES \"shop\".\"customers\" (id) ON DELETE CASCADE;\n"
    "ALTER TABLE \"other\".\"Or\"\"ders\" ADD CONSTRAINT \"late\" CHECK (id > 0) NOT VALID;\n";

static void
prints_phases_under_target_names(void **state)
{
    (void)state;
    struct tr_buffer out, report;
    struct tr_error err;
    struct tr_schema *schema = sample();
    tr_buffer_init(&out, 1 << 20);
    tr_buffer_init(&report, 1 << 20);
    assert_int_equal(tr_schema_print_ddl(schema, "postgresql", NULL, &out, &report, &err), 0);
    assert_true(out.len > strlen(expected));
    assert_memory_equal(out.data, expected, strlen(expected));
    /* A descending sequence only moves down; one whose value is not known is not set. */
    const char *rest = out.data + strlen(expected);
    assert_non_null(strstr(rest, "< -5, false) AS keep"));
    assert_null(strstr(rest, "hidden"));
    assert_string_equal(report.data,
                        "function shop.gen(integer): must exist at the target already, used by shop.orders\n"
                        "type shop.base: must exist at the target already\n"
                        "shop.orders: trigger not carried: t\n");
    tr_buffer_fini(&out);
    tr_buffer_fini(&report);
    tr_schema_free(schema);
}

static void
one_table_alone(void **state)
{
    (void)state;
    struct tr_schema *schema = sample();
    struct tr_error err;
    struct tr_ddl *ddl;
    assert_int_equal(tr_ddl_new_for_table(schema, "postgresql", 1, &ddl, &err), 0);
    assert_int_equal(ddl->count, 2);
    assert_int_equal(ddl->statements[0].kind, TR_OBJECT_PRIMARY_KEY);
    assert_int_equal(ddl->statements[0].table, 1);
    assert_string_equal(ddl->statements[1].name, "i");
    tr_ddl_free(ddl);
    tr_schema_free(schema);
}

static void
unknown_pairs_are_refused(void **state)
{
    (void)state;
    struct tr_schema *schema = sample();
    struct tr_error err;
    struct tr_ddl *ddl;
    assert_int_equal(tr_ddl_new(schema, "oracle", &ddl, &err), -TR_CONFIG);
    assert_null(ddl);
    assert_non_null(strstr(err.text, "oracle"));
    schema->dialect = "postgres"; /* no prefix of a known one is taken for it */
    assert_int_equal(tr_ddl_new(schema, "postgresql", &ddl, &err), -TR_CONFIG);
    assert_non_null(strstr(err.hint, "schema: expect"));
    tr_schema_free(schema);
}

static void
names_that_would_be_cut_are_refused(void **state)
{
    (void)state;
    struct tr_schema *schema = sample();
    struct tr_error err;
    struct tr_ddl *ddl;
    char name[TR_NAME_POSTGRESQL + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    schema->tables[0].relation->target_name = name;
    assert_int_equal(tr_ddl_new(schema, "postgresql", &ddl, &err), -TR_REFUSED);
    assert_non_null(strstr(err.text, "has 64 bytes; the target takes 63"));
    name[TR_NAME_POSTGRESQL] = '\0';
    assert_int_equal(tr_ddl_new(schema, "postgresql", &ddl, &err), 0);
    tr_ddl_free(ddl);
    tr_schema_free(schema);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_phases_under_target_names),
        cmocka_unit_test(one_table_alone),
        cmocka_unit_test(unknown_pairs_are_refused),
        cmocka_unit_test(names_that_would_be_cut_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
