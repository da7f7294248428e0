/* test_statement.c - the tables that a DDL statement names, and where in its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "decoders/binlog/internal.h"

/* "verb: db.table@text, ..." */
static void
check(const char *text, const char *expected)
{
    static const char *const verbs[] = { "other", "alter",   "create",   "drop",       "rename",
                                         "index", "unindex", "sequence", "resequence", "unsequence" };
    struct tr_arena arena;
    struct tr_event event = { .ddl = { .database = "d", .text = text } };
    char got[1000];
    size_t at = 0;
    tr_arena_init(&arena);
    binlog_read_tables(&arena, &event);
    at += (size_t)snprintf(got, sizeof got, "%s:", verbs[event.ddl.verb]);
    for (uint32_t i = 0; i < event.ddl.ntables; i++) {
        const struct tr_ddl_table *t = &event.ddl.tables[i];
        at += (size_t)snprintf(got + at, sizeof got - at, " %s.%s@%.*s", t->schema, t->name, (int)t->len,
                               text + t->at);
    }
    assert_string_equal(got, expected);
    tr_relation_unref(event.ddl.defined);
    tr_arena_fini(&arena);
}

/* Do rows that are there get a value each, and are they numbered? */
static void
check_values(const char *text, bool numbers, bool counts)
{
    struct tr_arena arena;
    struct tr_event event = { .ddl = { .database = "d", .text = text } };
    tr_arena_init(&arena);
    binlog_read_tables(&arena, &event);
    tr_relation_unref(event.ddl.defined);
    assert_int_equal(event.ddl.numbers, numbers);
    assert_int_equal(event.ddl.counts, counts);
    tr_arena_fini(&arena);
}

/* "from>to ..., reshapes" */
static void
check_columns(const char *text, bool reshapes, const char *expected)
{
    struct tr_arena arena;
    struct tr_event event = { .ddl = { .database = "d", .text = text } };
    char got[1000] = "";
    size_t at = 0;
    tr_arena_init(&arena);
    binlog_read_tables(&arena, &event);
    for (uint32_t i = 0; i < event.ddl.nrenames; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, "%s>%s ", event.ddl.renames[i].from,
                               event.ddl.renames[i].to);
    assert_string_equal(got, expected);
    assert_int_equal(event.ddl.verb, TR_VERB_ALTER_TABLE);
    assert_int_equal(event.ddl.ntables, 1);
    assert_int_equal(event.ddl.reshapes, reshapes);
    tr_relation_unref(event.ddl.defined);
    tr_arena_fini(&arena);
}

/* "+name type[ !][ default][ <older][ =generation[ stored]]", "~from>name ...", "-name" */
static void
check_definitions(const char *text, int64_t sql_mode, const char *expected)
{
    struct tr_arena arena;
    struct tr_event event = { .ddl = { .database = "d",
                                       .text = text,
                                       .offset = "+02:00",
                                       .sql_mode = sql_mode,
                                       .began_us = 1234567890500000 } };
    char got[2000] = "";
    size_t at = 0;
    tr_arena_init(&arena);
    binlog_read_tables(&arena, &event);
    const struct tr_relation *relation = event.ddl.defined;
    for (uint16_t i = 0; relation != NULL && i < relation->ncolumns; i++) {
        const struct tr_column *c = &relation->columns[i];
        const struct tr_ddl_column *d = &event.ddl.columns[i];
        bool drop = d->action == TR_DDL_DROP;
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%c%s%s%s%s%s%s%s%s%s%s%s%s%s", i > 0 ? "; " : "",
                               "+~-"[d->action], d -> from != NULL ? d -> from : "",
                               d->from != NULL ? ">" : "", c->name, drop ? "" : " ", drop ? "" : c->native,
                               c->not_null ? " !" : "", c->default_expression != NULL ? " " : "",
                               c->default_expression != NULL ? c->default_expression : "",
                               c->older == TR_OLDER_VALUE ? " <"
                               : c->default_unknown       ? " ?"
                                                          : "",
                               c->older == TR_OLDER_VALUE ? c->older_value : "", c->generated ? " =" : "",
                               c->generated ? c->generation : "", c->stored ? " stored" : "");
    }
    assert_string_equal(got, expected);
    tr_relation_unref(event.ddl.defined);
    tr_arena_fini(&arena);
}

/* What it makes is another table than the one before. */
static void
test_a_table_that_is_replaced_has_another_shape(void **state)
{
    static const struct {
        const char *text;
        bool reshapes;
    } cases[] = {
        { "CREATE OR REPLACE TABLE t (b int, a int)", true },
        { "CREATE TABLE IF NOT EXISTS t (b int, a int)", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_arena arena;
        struct tr_event event = { .ddl = { .database = "d", .text = cases[i].text } };
        tr_arena_init(&arena);
        binlog_read_tables(&arena, &event);
        assert_int_equal(event.ddl.reshapes, cases[i].reshapes);
        tr_arena_fini(&arena);
    }
}

/* Their expressions are spelled so that no session's settings matter to them. */
static void
test_generated_columns_are_read(void **state)
{
    (void)state;
    check_definitions("ALTER TABLE t ADD g int GENERATED ALWAYS AS (n + /* b */ `m``x`) STORED NOT NULL", 0,
                      "+g int ! =n + `m``x` stored");
    check_definitions(
        "ALTER TABLE t ADD (g int AS ((n)) VIRTUAL COMMENT 'c', h text AS (concat(\"it's\",'\\\\')))", 0,
        "+g int =(n); +h text =concat('it''s','\\\\')");
    check_definitions("ALTER TABLE t ADD h text AS (concat(\"a\", 'b')) PERSISTENT", 4,
                      "+h text =concat(`a`, 'b') stored");
    check_definitions("ALTER TABLE t CHANGE a g varchar(5) AS (upper(s)) STORED, MODIFY COLUMN h int AS (n)",
                      0, "~a>g varchar(5) =upper(s) stored; ~h>h int =n");
    check_definitions("ALTER TABLE t ADD g int AS (a || b)", 0, "");
    check_definitions("ALTER TABLE t ADD g datetime(6) GENERATED ALWAYS AS ROW START", 0, "");
    check_definitions("ALTER TABLE t ADD g int AS (a", 0, "");
}

static void
test_columns_that_are_added_are_read(void **state)
{
    (void)state;
    check_definitions("ALTER TABLE t ADD c int", 0, "+c int");
    check_definitions("ALTER TABLE t ADD j json NOT NULL", 0, "+j json ! ?");
    check_definitions(
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS `a``b` INTEGER(5) UNSIGNED ZEROFILL NOT NULL AFTER `x`, ALGORITHM=INSTANT",
        0, "+a`b int(5) unsigned zerofill ! <0");
    check_definitions(
        "ALTER TABLE t ADD (a int default 1, b varchar(10) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL COMMENT 'it''s, (b', c bool DEFAULT TRUE)",
        0, "+a int 1; +b varchar(10) ! <; +c tinyint(1) 1");
    check_definitions(
        "ALTER TABLE t /* ADD x int */ ADD s varchar(5) DEFAULT 'it''s \\', a', ADD d decimal(5,2) DEFAULT -1.5, add e ENUM('a','b''c') not null first",
        0, "+s varchar(5) 'it''s '', a'; +d decimal(5,2) -1.5; +e enum('a','b''c') ! <a");
    check_definitions(
        "ALTER TABLE t ADD j double precision DEFAULT 1e-3, ADD k national character varying(7) DEFAULT \"x\", ADD b bit DEFAULT b'1', ADD h binary(2) DEFAULT x'4142'",
        0, "+j double 1e-3; +k varchar(7) 'x'; +b bit(1) b'1'; +h binary(2) 0x4142");
    check_definitions(
        "ALTER TABLE t ADD a datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), ADD b timestamp NOT NULL DEFAULT now(), ADD c date DEFAULT (CURDATE())",
        0,
        "+a datetime(3) current_timestamp(3) <2009-02-14 01:31:30.5; +b timestamp ! current_timestamp() <2009-02-13 23:31:30; +c date curdate() <2009-02-14");
    check_definitions(
        "ALTER TABLE t ADD u varchar(36) DEFAULT (uuid()), ADD n int DEFAULT NULL, ADD x int DEFAULT (1 + (2)), ADD y datetime DEFAULT (now() + interval 1 day)",
        0, "+u varchar(36) (uuid()); +n int; +x int (1 + (2)); +y datetime (now() + interval 1 day)");
    check_definitions("ALTER TABLE t ADD p varchar(9) DEFAULT 'a\\_b\\%\\x'", 0,
                      "+p varchar(9) 'a\\\\_b\\\\%x'");
    check_definitions("ALTER TABLE t ADD \"q\" varchar(3) DEFAULT '\\'", 0x100004, "+q varchar(3) '\\\\'");
    check_definitions(
        "ALTER TABLE t MODIFY id bigint unsigned NOT NULL AUTO_INCREMENT, CHANGE COLUMN a b varchar(40) NULL, MODIFY e enum('a','b','c') DEFAULT 'b'",
        0, "~id>id bigint unsigned !; ~a>b varchar(40); ~e>e enum('a','b','c') 'b'");
    check_definitions(
        "ALTER TABLE t DROP a, DROP COLUMN IF EXISTS `b` CASCADE, DROP INDEX c, DROP PRIMARY KEY, DROP FOREIGN KEY f, DROP CHECK k",
        0, "-a; -b");
}

/* Rather nothing than what is half understood. */
static void
test_definitions_that_are_not_understood_are_left_out(void **state)
{
    (void)state;
    check_definitions(
        "ALTER TABLE t ADD INDEX i (a), ADD KEY (b), ADD CONSTRAINT c CHECK (a > 1), ADD UNIQUE u (a), ADD PRIMARY KEY (a)",
        0, "");
    check_definitions("ALTER TABLE t ADD id int AUTO_INCREMENT PRIMARY KEY, ADD ts timestamp", 0, "");
    check_definitions(
        "ALTER TABLE t ADD a varchar(3) DEFAULT _latin1'x', ADD b varchar(3) DEFAULT 'a' 'b', ADD c wonder, ADD d int DEFAULT",
        0, "");
    check_definitions(
        "ALTER TABLE t DROP SYSTEM VERSIONING, ADD SYSTEM VERSIONING, COMMENT 'x', ADD COLUMN a int DEFAULT (1",
        0, "");
    check_definitions("ALTER TABLE t ADD (a int, b enum('x", 0, "+a int");
    check_definitions("ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (3)), RENAME COLUMN x TO y",
                      0, "");
}

static void
test_columns_that_are_renamed_are_found(void **state)
{
    (void)state;
    check_columns("ALTER TABLE t RENAME COLUMN a TO b, rename column `b``c` to a", true, "a>b b`c>a ");
    check_columns("ALTER TABLE t CHANGE a b int DEFAULT 3 AFTER x, CHANGE COLUMN IF EXISTS c `d e` text",
                  true, "a>b c>d e ");
    check_columns("ALTER TABLE t CHANGE a a bigint", true, "");
    check_columns("ALTER TABLE t RENAME COLUMN a TO a, RENAME INDEX i TO j", true, "");
    check_columns("ALTER TABLE t RENAME INDEX i TO j, ADD KEY change1 (a), DROP KEY k, COMMENT 'CHANGE a b'",
                  false, "");
    check_columns("ALTER TABLE t ADD x int, DROP COLUMN y", true, "");
    check_columns("ALTER TABLE t MODIFY e enum('CHANGE a b')", true, "");
    check_columns("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b)", true, "");
    check_columns("ALTER TABLE t DROP FOREIGN KEY f, ADD KEY (b)", false, "");
    check_definitions("ALTER TABLE t WAIT 5 ADD c int DEFAULT 7", 0, "+c int 7");
    check_definitions("ALTER TABLE t NOWAIT DROP c", 0, "-c");
}

static void
test_tables_of_each_statement_are_found(void **state)
{
    (void)state;
    check("ALTER TABLE t ADD c int", "alter: d.t@t");
    check("alter ignore table `a`.`b``c` drop column x", "alter: a.b`c@`a`.`b``c`");
    check("ALTER TABLE t RENAME COLUMN a TO b, RENAME INDEX i TO j, RENAME TO e.u", "alter: d.t@t e.u@e.u");
    check("ALTER TABLE t RENAME u", "alter: d.t@t d.u@u");
    check("ALTER TABLE t RENAME = u", "alter: d.t@t d.u@u");
    check("ALTER TABLE t COMMENT 'RENAME TO x; it''s \\' REFERENCES y'", "alter: d.t@t");
    check("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES `p` (id)", "alter: d.t@t d.p@`p`");
    check("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE q", "alter: d.t@t d.q@q");
    check("/* x */ CREATE /*!50001 TABLE */ IF NOT EXISTS t (a int, `references` int) -- like x",
          "create: d.t@t");
    check("CREATE TABLE t (LIKE s)", "create: d.t@t d.s@s");
    check("CREATE OR REPLACE TABLE t LIKE e . s", "create: d.t@t e.s@e . s");
    check("CREATE TABLE t (a text CHECK (a LIKE 'x'), b int REFERENCES p (id))", "create: d.t@t d.p@p");
    check("CREATE UNIQUE INDEX i USING btree ON t (a)", "index: d.t@t");
    check("DROP INDEX IF EXISTS `on` ON t", "unindex: d.t@t");
    check("DROP TABLE IF EXISTS `a`,e.b /* generated by server */", "drop: d.a@`a` e.b@e.b");
    check("CREATE OR REPLACE SEQUENCE s START WITH 3", "sequence: d.s@s");
    check("CREATE SEQUENCE IF NOT EXISTS e.`s`", "sequence: e.s@e.`s`");
    check("ALTER SEQUENCE IF EXISTS s RESTART 7", "resequence: d.s@s");
    check("DROP SEQUENCE IF EXISTS `a`,e.b /* generated by server */", "unsequence: d.a@`a` e.b@e.b");
    check(
        "CREATE TABLE t (a int DEFAULT nextval(s), b int DEFAULT (NEXT VALUE FOR `e`.`q`), next int, value int REFERENCES p (a))",
        "create: d.t@t d.s@s e.q@`e`.`q` d.p@p");
    check("ALTER TABLE t ADD a int DEFAULT NEXTVAL(s), RENAME TO u", "alter: d.t@t d.s@s d.u@u");
    check(
        "CREATE TABLE t (a int, KEY nextval (a), UNIQUE lastval (a), INDEX IF NOT EXISTS setval (a), b int DEFAULT nextval (s))",
        "create: d.t@t d.s@s");
    check("ALTER TABLE t ADD nextval int, ADD a text DEFAULT 'nextval(s)'", "alter: d.t@t");
    check_values("ALTER TABLE t ADD a int, ADD b int DEFAULT NEXTVAL(s)", true, false);
    check_values("ALTER TABLE t ADD a char(36) DEFAULT (uuid()) NOT NULL", true, false);
    check_values("ALTER TABLE t ADD a int DEFAULT 1, ADD KEY uuid (a), ADD rand int COMMENT 'RAND()'", false,
                 false);
    check_values("ALTER TABLE t MODIFY a char(36) DEFAULT (uuid()), AUTO_INCREMENT=5", false, false);
    check_values("ALTER TABLE t ADD a int AUTO_INCREMENT PRIMARY KEY FIRST", false, true);
    check("RENAME TABLE a TO b, e.c TO e.d", "rename: d.a@a d.b@b e.c@e.c e.d@e.d");
    check("RENAME TABLE IF EXISTS a WAIT 5 TO b, wait NOWAIT TO nowait",
          "rename: d.a@a d.b@b d.wait@wait d.nowait@nowait");
    check("ALTER TABLE t WAIT 5 RENAME TO u", "alter: d.t@t d.u@u");
    check("ALTER TABLE t NOWAIT EXCHANGE PARTITION p WITH TABLE q", "alter: d.t@t d.q@q");
}

static void
test_other_statements_name_no_table(void **state)
{
    (void)state;
    check("CREATE TEMPORARY SEQUENCE s", "other:");
    check("CREATE TEMPORARY TABLE t (a int)", "other:");
    check("DROP TEMPORARY TABLE IF EXISTS t", "other:");
    check("CREATE VIEW v AS SELECT 1", "other:");
    check("CREATE PROCEDURE p() BEGIN ALTER TABLE t ADD c int; END", "other:");
    check("ALTER DATABASE d CHARACTER SET utf8mb4", "other:");
    check("ALTER TABLE", "other:");
    check("ALTER TABLE `t", "other:");
    check("RENAME TABLE a", "other:");
    check("DROP TABLE a,", "other:");
    check("CREATE INDEX i", "other:");
    check("", "other:");
    check("/*", "other:");
}

static void
test_rows_that_move_with_their_partition_are_noticed(void **state)
{
    static const struct {
        const char *text;
        bool moves;
    } cases[] = {
        { "ALTER TABLE t DROP PARTITION p1, p2", true },
        { "alter table t truncate partition all", true },
        { "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", true },
        { "ALTER TABLE t CONVERT PARTITION p TO TABLE u", true },
        { "ALTER TABLE t CONVERT TABLE u TO PARTITION p VALUES LESS THAN (5)", true },
        { "ALTER TABLE t IMPORT TABLESPACE", true },
        { "ALTER IGNORE TABLE t ADD UNIQUE (a)", true },
        { "ALTER ONLINE TABLE t ADD UNIQUE (a)", false },
        { "ALTER TABLE t ADD PARTITION (PARTITION p3 VALUES LESS THAN (9))", false },
        { "ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION a VALUES LESS THAN (1))", false },
        { "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", false },
        { "ALTER TABLE t DROP COLUMN `partition`", false },
        { "ALTER TABLE t COMMENT 'DROP PARTITION p'", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tr_arena arena;
        struct tr_event event = { .ddl = { .database = "d", .text = cases[i].text } };
        tr_arena_init(&arena);
        binlog_read_tables(&arena, &event);
        assert_int_equal(event.ddl.moves_rows, cases[i].moves);
        tr_relation_unref(event.ddl.defined);
        tr_arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_of_each_statement_are_found),
        cmocka_unit_test(test_columns_that_are_renamed_are_found),
        cmocka_unit_test(test_a_table_that_is_replaced_has_another_shape),
        cmocka_unit_test(test_generated_columns_are_read),
        cmocka_unit_test(test_columns_that_are_added_are_read),
        cmocka_unit_test(test_definitions_that_are_not_understood_are_left_out),
        cmocka_unit_test(test_other_statements_name_no_table),
        cmocka_unit_test(test_rows_that_move_with_their_partition_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
