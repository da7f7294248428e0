"""Tables that change their shape at a PostgreSQL source, and what becomes of it at a PostgreSQL target.

Most changes are made while the task stands still: then the catalogue shows only how things ended.
"""

import re

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]})


def _begin(source, tailrace, config, *statements):
    """A database that is loaded and in step."""
    for statement in statements:
        source.sql(statement)
    drain(tailrace, config)


def _refused(tailrace, config, *words):
    """The run ends by itself with an error that holds all these words."""
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1, result
    for word in words:
        assert word in result.stderr, f"{word!r} is not in {result}"
    return result


def _columns(database, table="t"):
    return [name for (name,) in database.sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum", (table,))]


def _has_no_retry(tailrace):
    warnings = [line for line in tailrace.stderr.splitlines() if " warning " in line or " error " in line]
    assert not warnings and "streaming from" in tailrace.stderr, tailrace.stderr


# ---------------------------------------------------------------------------------------------------------- names

def test_a_column_renamed_without_any_row_in_between(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')")
    source.sql("ALTER TABLE t RENAME a TO b")
    source.sql("INSERT INTO t VALUES (2, 'y')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_chain_of_renames(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')")
    for before, after in ("ab", "bc", "cd"):
        source.sql(f"INSERT INTO t VALUES ({ord(before)}, '{before}')")
        source.sql(f"ALTER TABLE t RENAME {before} TO {after}")
    source.sql("INSERT INTO t VALUES (2, 'y')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    assert _columns(target) == ["id", "d"]


@pytest.mark.parametrize("between", [True, False])
def test_two_columns_exchange_their_names(source, target, tailrace, config, between):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text, b text)", "INSERT INTO t VALUES (1, 'a', 'b')")
    if between:
        source.sql("INSERT INTO t VALUES (2, 'a2', 'b2')")
    source.sql("ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b")
    source.sql("INSERT INTO t (id, a, b) VALUES (3, 'A', 'B')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    assert target.sql("SELECT a, b FROM t WHERE id = 1") == [("b", "a")]


def test_a_name_passes_to_a_new_column(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'old')")
    source.sql("INSERT INTO t VALUES (2, 'old too')")
    source.sql("ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD COLUMN a text")
    source.sql("INSERT INTO t (id, a, b) VALUES (3, 'new', 'B')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_the_key_is_renamed(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT i, 'v' FROM generate_series(1, 5) i")
    source.sql("DELETE FROM t WHERE id = 1")
    source.sql("ALTER TABLE t RENAME id TO number")
    source.sql("DELETE FROM t WHERE number = 2")
    source.sql("UPDATE t SET number = 30 WHERE number = 3")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_renames_follow_a_live_stream(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, c0 text)", "INSERT INTO t VALUES (0, 'x')")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    for i in range(5):
        source.sql(f"INSERT INTO t (id, c{i}) SELECT g, 'before' FROM generate_series({i * 100 + 1}, {i * 100 + 50}) g")
        source.sql(f"ALTER TABLE t RENAME c{i} TO c{i + 1}")
        source.sql(f"INSERT INTO t (id, c{i + 1}) SELECT g, 'after' FROM generate_series({i * 100 + 51}, {i * 100 + 90}) g")
    wait_until(lambda: target.one("SELECT count(*) FROM t") == 451, 30, "the rows")
    assert tailrace.stop() == 0, tailrace.stderr
    _has_no_retry(tailrace)
    assert_equal(source, target, ["public.t"])


def test_the_first_use_of_a_table_may_be_after_the_rename(source, target, tailrace, config):
    """Nothing but the load has seen the column under its first name."""
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE other (id int)", "INSERT INTO t VALUES (1, 'x')")
    source.sql("INSERT INTO other VALUES (1)")
    drain(tailrace, config)
    source.sql("ALTER TABLE t RENAME a TO b")
    source.sql("UPDATE t SET b = 'y'")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    assert _columns(target) == ["id", "b"]


# ---------------------------------------------------------------------------------------------------------- doubt

def test_a_rename_that_nobody_saw_is_refused(source, target, tailrace, config):
    config = {**config, "mode": "cdc", "schema": "expect"}
    source.sql("CREATE TABLE t (id int PRIMARY KEY, d text)")
    target.sql("CREATE TABLE t (id int PRIMARY KEY, c text)")
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (1, 'x')")
    _refused(tailrace, config, '"c"', '"d"', 'RENAME COLUMN "c" TO "d"', 'ADD COLUMN IF NOT EXISTS "d" text')
    assert _columns(target) == ["id", "c"]
    target.sql("ALTER TABLE t RENAME COLUMN c TO d")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_state_without_memory_works_on(source, target, tailrace, config):
    """As an older version left it: without tailrace.relation_shape."""
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')")
    target.sql("DROP TABLE tailrace.relation_shape")
    source.sql("INSERT INTO t VALUES (2, 'y')")
    drain(tailrace, config)
    assert target.one("SELECT count(*) FROM tailrace.relation_shape") == 1
    source.sql("ALTER TABLE t RENAME a TO b; INSERT INTO t VALUES (3, 'z')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_drop_forgets_the_shapes(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)")
    target.sql("INSERT INTO tailrace.checkpoint (task, epoch) VALUES ('other', 1)")
    assert tailrace.run("drop", config=config).status == 0
    assert target.one("SELECT count(*) FROM tailrace.relation_shape") == 0


# ------------------------------------------------------------------------------------------- columns that come and go

def test_a_column_is_dropped_and_another_added(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL)", "INSERT INTO t VALUES (1, 'x')")
    source.sql("ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN b text")
    source.sql("INSERT INTO t VALUES (2, 'y')")
    drain(tailrace, config)
    assert target.sql("SELECT id, a, b FROM t ORDER BY id") == [(1, "x", None), (2, None, "y")]


@pytest.mark.parametrize("in_between", [True, False])
def test_a_column_of_the_same_name_is_not_the_same_column(source, target, tailrace, config, in_between):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'old')")
    source.sql("ALTER TABLE t DROP COLUMN a")
    if in_between:
        source.sql("INSERT INTO t VALUES (5)")
        drain(tailrace, config)
    source.sql("ALTER TABLE t ADD COLUMN a text")
    source.sql("INSERT INTO t VALUES (2, 'new')")
    _refused(tailrace, config, 'dropped column "a"', 'DROP COLUMN "a"')
    target.sql("ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_not_null_with_a_default(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 7, ADD COLUMN s text NOT NULL DEFAULT 'it''s (so)', ADD COLUMN b bool DEFAULT true")
    source.sql("INSERT INTO t VALUES (2)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    assert target.one("SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'n'") is True


# ------------------------------------------------------------------------------------------- what a new column gives older rows

# column, statements behind ADD COLUMN, the default that the target ends with
_ADDED = [
    ("moment", "timestamptz DEFAULT now()", [], "now()"), ("day", "date NOT NULL DEFAULT CURRENT_DATE", [], "CURRENT_DATE"),
    ("constant", "int DEFAULT 5", [], "5"), ("changed", "int DEFAULT 5", ["SET DEFAULT 6"], "6"),
    ("dropped", "text NOT NULL DEFAULT 'it''s'", ["DROP DEFAULT"], None), ("later", "int", ["SET DEFAULT 6"], "6"),
    ("nexts", "bigint", ["SET DEFAULT nextval('numbers')"], None), ("wider", "varchar(5) DEFAULT 'x'", ["TYPE text", "SET DEFAULT 'y'"], "'y'::text"),
    ("list", "text[] DEFAULT ARRAY['a,b', '\"c\"']", ["SET DEFAULT '{}'"], "'{}'::text[]"), ("mood", "mood NOT NULL DEFAULT 'ok'", ["DROP DEFAULT"], None),
    ("document", "jsonb DEFAULT '{\"a\": [1]}'", ["DROP DEFAULT"], None), ("bytes", "bytea DEFAULT '\\x00ff'", ["DROP DEFAULT"], None),
    ("so", "bool NOT NULL DEFAULT true", ["SET DEFAULT false"], "false"), ("who", "text DEFAULT upper('x')", [], "upper('x'::text)"),
]


def test_what_a_new_column_gives_older_rows(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TYPE mood AS ENUM ('ok', 'so')", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)",
           "CREATE SEQUENCE numbers")
    for name, column, behind, _ in _ADDED:
        source.sql(f"ALTER TABLE t ADD COLUMN {name} {column}")
        for alter in behind:
            source.sql(f"ALTER TABLE t ALTER {name} {alter}")
    source.sql("INSERT INTO t (id, dropped, mood) VALUES (2, 'x', 'so')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    defaults = dict(target.sql("SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
                               " WHERE attrelid = 't'::regclass AND attnum > 1"))
    assert defaults == {name: default for name, _, _, default in _ADDED}
    assert "the default of the source's new column is not carried" in tailrace.stderr


@pytest.mark.matrix
def test_what_older_rows_hold_in_unusual_tables(source, target, tailrace, config):
    """Leaves that came and went; a table that was rewritten before, and one that was rewritten after."""
    _begin(source, tailrace, config, "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
           "CREATE TABLE f (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)",
           "INSERT INTO p VALUES (1)", "INSERT INTO f VALUES (1)", "INSERT INTO b VALUES (1)")
    source.sql("ALTER TABLE p ADD COLUMN at timestamptz DEFAULT now()")
    for database in (source, target):
        database.sql("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)")
    source.sql("ALTER TABLE p ALTER at DROP DEFAULT; INSERT INTO p VALUES (2), (11)")
    vacuum = source.connect()
    vacuum.autocommit = True
    vacuum.cursor().execute("VACUUM FULL f")
    source.sql("ALTER TABLE f ADD COLUMN at timestamptz DEFAULT now(), ADD COLUMN n int; ALTER TABLE f ALTER n SET DEFAULT 4; INSERT INTO f VALUES (2)")
    source.sql("ALTER TABLE b ADD COLUMN n int DEFAULT 5")
    vacuum.cursor().execute("VACUUM FULL b")
    vacuum.close()
    source.sql("INSERT INTO b VALUES (2)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.p", "public.f", "public.b"])


@pytest.mark.matrix
def test_a_column_that_was_not_published_before_is_no_new_one(source, target, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5, b int); INSERT INTO t VALUES (1, 2, 3); CREATE PUBLICATION pub FOR TABLE t (id, b)")
    config = {**config, "source": {**config["source"], "publication": "pub"}}
    drain(tailrace, config)
    source.sql("ALTER PUBLICATION pub SET TABLE t")
    source.sql("INSERT INTO t VALUES (2, 2, 3)")
    _refused(tailrace, config, 'column "a" was there before', "reload")
    target.sql("ALTER TABLE t ADD COLUMN a int; UPDATE t SET a = 2")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_what_older_rows_hold_is_refused_when_no_log_tells_it(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE empty (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    for table in ("t", "empty"):
        source.sql(f"ALTER TABLE {table} ADD COLUMN at timestamptz DEFAULT clock_timestamp(), ADD COLUMN n int GENERATED BY DEFAULT AS IDENTITY")
        source.sql(f"INSERT INTO {table} VALUES (2)")
    _refused(tailrace, config, "public.t", '"at"', "ADD COLUMN")
    target.sql("ALTER TABLE t ADD COLUMN at timestamptz")
    _refused(tailrace, config, "public.t", '"n"', "ADD COLUMN")
    target.sql("ALTER TABLE t ADD COLUMN n int")
    target.sql("UPDATE t SET (at, n) = (%s, %s)", source.sql("SELECT at, n FROM t WHERE id = 1")[0])
    drain(tailrace, config)
    assert_equal(source, target, ["public.t", "public.empty"])


def test_a_table_that_was_made_anew_is_refused(source, target, tailrace, config):
    """It has left the publication: rows that it got before it is published again come with no stream."""
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (3)")
    _refused(tailrace, config, "public.t", "made anew", "reload --table public.t")
    assert tailrace.run("reload", "--table", "public.t", config=config).status == 0
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


@pytest.mark.matrix
def test_a_table_that_was_made_anew_in_a_publication_of_all_tables_is_refused(source, target, tailrace, config):
    source.sql("CREATE PUBLICATION pub FOR ALL TABLES")
    config = {**config, "source": {**config["source"], "publication": "pub"}}
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("INSERT INTO t VALUES (2)")
    drain(tailrace, config)
    source.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (3)")
    _refused(tailrace, config, "made it anew", "relation_shape")
    target.sql("TRUNCATE t; DELETE FROM tailrace.relation_shape WHERE task = 'test' AND table_name = 'public.t'")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


@pytest.mark.matrix
def test_a_table_that_was_renamed_is_told(source, target, tailrace, config):
    """It is another table to the task: loaded if the task wants it, else left alone."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); CREATE SCHEMA app")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)")
    wait_until(lambda: target.one("SELECT count(*) FROM u") == 1, 30)
    source.sql("ALTER TABLE t RENAME TO v; ALTER INDEX t_pkey RENAME TO v_pkey; ALTER TABLE u SET SCHEMA app; INSERT INTO v VALUES (2); INSERT INTO app.u VALUES (2)")
    tailrace.wait_log("renamed table public.t to public.v: it is taken for a new one")
    tailrace.wait_log("renamed table public.u to app.u, which is no table of the task")
    wait_until(lambda: target.one("SELECT to_regclass('v') IS NOT NULL") and target.one("SELECT count(*) FROM v") == 2, 60)
    assert tailrace.stop() == 0
    result = drain(tailrace, config)
    assert "table app.u is in publication" in result.stderr, result
    assert_equal(source, target, ["public.v"])


@pytest.mark.matrix
def test_a_label_that_was_renamed_is_not_taken_for_a_new_one(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE t (id int PRIMARY KEY, m mood)", "INSERT INTO t VALUES (1, 'b')")
    source.sql("ALTER TYPE mood RENAME VALUE 'b' TO 'it''s'")
    source.sql("INSERT INTO t VALUES (2, 'it''s')")
    _refused(tailrace, config, "whether it was renamed cannot be known", "RENAME VALUE 'b' TO 'it''s'")
    target.sql("ALTER TYPE mood RENAME VALUE 'b' TO 'it''s'")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


# ---------------------------------------------------------------------------------------------------------- types

def test_types_that_only_grow_are_carried(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id smallint PRIMARY KEY, i int, n numeric(8, 2), v varchar(5), k int)",
           "INSERT INTO t VALUES (1, 1, 1.5, 'v', 3)")
    source.sql("ALTER TABLE t ALTER id TYPE int, ALTER i TYPE bigint, ALTER n TYPE numeric(12, 4), ALTER v TYPE text, ALTER k TYPE numeric")
    source.sql("INSERT INTO t VALUES (100000, 5000000000, 12345678.1234, repeat('v', 50), 1.25)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    types = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    assert source.sql(types) == target.sql(types)


@pytest.mark.parametrize("statement", ["ALTER TABLE t ALTER v TYPE int USING length(v)", "ALTER TABLE t ALTER n TYPE numeric(4, 1)",
                                       "ALTER TABLE t ALTER r TYPE float8"])
def test_a_type_that_may_lose_something_is_refused(source, target, tailrace, config, statement):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(8, 2), r real)", "INSERT INTO t VALUES (1, 'abc', 1.25, 1.1)")
    source.sql(statement)
    source.sql("INSERT INTO t VALUES (2)")
    _refused(tailrace, config, "public.t", "another type for", "ALTER COLUMN")
    target.sql(statement)
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def _run_hint(tailrace, target):
    """What the last refusal tells to run at the target is run there as it is printed."""
    text = tailrace.stderr[tailrace.stderr.rfind(" error "):]
    target.sql(re.search(r"run at the target: (.*?); then start again", text, re.S).group(1))


@pytest.mark.parametrize("alter, value", [("TYPE text, ALTER x SET DEFAULT 'it''s'", "'x'"), ("TYPE jsonb USING NULL, ALTER x SET DEFAULT '{}'", "'[1]'")])
def test_a_new_column_that_has_another_type_by_now(source, target, tailrace, config, alter, value):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("ALTER TABLE t ADD COLUMN x int; INSERT INTO t VALUES (2, NULL)")
    source.sql(f"ALTER TABLE t ALTER x {alter}; INSERT INTO t VALUES (3, {value}); INSERT INTO t (id) VALUES (4)")
    _refused(tailrace, config, "public.t", 'a new column "x"', "catalogue is newer")
    _run_hint(tailrace, target)
    _refused(tailrace, config, "public.t", "another type for")
    _run_hint(tailrace, target)
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_new_column_that_has_a_wider_type_by_now(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("ALTER TABLE t ADD COLUMN x int DEFAULT 7, ADD COLUMN v varchar(10) DEFAULT 'v'; INSERT INTO t VALUES (2)")
    source.sql("ALTER TABLE t ALTER x TYPE bigint, ALTER v TYPE text; INSERT INTO t VALUES (3, 5000000000)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_the_statements_of_a_refusal_quote_names(source, target, tailrace, config):
    _begin(source, tailrace, config, 'CREATE TABLE "a ""t" (id int PRIMARY KEY, "x ""y" int)', 'INSERT INTO "a ""t" VALUES (1, 1)')
    source.sql('ALTER TABLE "a ""t" DROP "x ""y", ADD "x ""y" text; INSERT INTO "a ""t" VALUES (2, NULL)')
    _refused(tailrace, config, "still has the old one")
    _run_hint(tailrace, target)
    drain(tailrace, config)
    rows = 'SELECT * FROM "a ""t" ORDER BY id'
    assert source.sql(rows) == target.sql(rows) == [(1, None), (2, None)]


def test_a_new_enum_comes_with_its_column(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("CREATE TYPE mood AS ENUM ('so', 'it''s', '\\back'); ALTER TABLE t ADD COLUMN m mood DEFAULT 'so'")
    source.sql("INSERT INTO t VALUES (2, '\\back')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_new_domain_must_be_made_by_hand(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    domain = "CREATE DOMAIN positive AS int CHECK (VALUE > 0)"
    source.sql(domain)
    source.sql("ALTER TABLE t ADD COLUMN p positive; INSERT INTO t VALUES (2, 3)")
    _refused(tailrace, config, "public.positive", "make the type at the target")
    target.sql(domain)
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_labels_that_an_enum_gained(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TYPE mood AS ENUM ('a', 'c'); CREATE TABLE t (id int PRIMARY KEY, m mood, n mood)", "INSERT INTO t VALUES (1, 'a')")
    source.sql("ALTER TYPE mood ADD VALUE 'b' AFTER 'a'")
    source.sql("ALTER TYPE mood ADD VALUE '0' BEFORE 'a'")
    source.sql("INSERT INTO t VALUES (2, 'b', '0')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    labels = "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder"
    assert source.sql(labels) == target.sql(labels)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (3, 'b')")
    wait_until(lambda: target.one("SELECT count(*) FROM t") == 3, 20, "the row")
    source.sql("ALTER TYPE mood ADD VALUE 'd'")
    source.sql("UPDATE t SET m = 'd' WHERE id = 3")
    wait_until(lambda: target.one("SELECT m::text FROM t WHERE id = 3") == "d", 20, "the label")
    assert tailrace.stop() == 0


# ---------------------------------------------------------------------------------------------------------- policies

def test_ddl_stop(source, target, tailrace, config):
    config = {**config, "ddl": "stop"}
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source.sql("ALTER TABLE t ADD COLUMN a int; INSERT INTO t VALUES (2, 2)")
    _refused(tailrace, config, "changed the columns of table public.t")
    _refused(tailrace, config, "changed the columns of table public.t")
    assert _columns(target) == ["id"]
    drain(tailrace, {**config, "ddl": "apply"})
    assert_equal(source, target, ["public.t"])


def test_ddl_ignore(source, target, tailrace, config):
    config = {**config, "ddl": "ignore"}
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "INSERT INTO t VALUES (1, 1, 1)")
    source.sql("ALTER TABLE t DROP COLUMN b; ALTER TABLE t ALTER a TYPE bigint; INSERT INTO t VALUES (2, 2)")
    drain(tailrace, config)
    assert target.sql("SELECT id, a, b FROM t ORDER BY id") == [(1, 1, 1), (2, 2, None)]
    assert target.one("SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'") == "integer"
    source.sql("ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (3, 3, 3)")
    _refused(tailrace, config, 'has no column "c"', "ADD COLUMN")


# ---------------------------------------------------------------------------------------------------------- under load

def test_changes_of_shape_cost_no_attempt(source, target, tailrace, config):
    """Inserts, a COPY, deletes and a change of shape in one stream, as fast as the workers go."""
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, v text)", "CREATE TABLE big (id int PRIMARY KEY, v text)",
           "INSERT INTO t SELECT i, 'v' FROM generate_series(1, 50) i")
    for round_ in range(4):
        source.sql(f"INSERT INTO t (id, v) SELECT i, 'new' FROM generate_series({round_ * 1000 + 101}, {round_ * 1000 + 300}) i")
        source.sql(f"INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series({round_ * 2000 + 1}, {round_ * 2000 + 1500}) i")
        source.sql(f"DELETE FROM t WHERE id BETWEEN {round_ * 10 + 1} AND {round_ * 10 + 10}")
        source.sql(f"ALTER TABLE t ADD COLUMN extra{round_} int; ALTER TABLE big ADD COLUMN extra{round_} text")
        source.sql(f"UPDATE t SET v = 'changed', extra{round_} = id WHERE id > 200")
        source.sql(f"UPDATE big SET extra{round_} = id WHERE id % 3 = 0")
    drain(tailrace, config)
    _has_no_retry(tailrace)
    assert_equal(source, target, ["public.t", "public.big"])


def test_a_change_of_shape_inside_a_large_transaction(source, target, tailrace, config):
    """20 MB, applied in slices; the new column is visible only inside the transaction that adds it."""
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, v text)", "CREATE TABLE u (id int PRIMARY KEY, v text)")
    with source.connect(autocommit=False) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 12000) i")
            cursor.execute("ALTER TABLE t ADD COLUMN w int; ALTER TABLE t RENAME v TO text")
            cursor.execute("INSERT INTO t SELECT i, repeat('y', 1000), i FROM generate_series(12001, 24000) i")
            cursor.execute("INSERT INTO u SELECT i, 'u' FROM generate_series(1, 1000) i")
            cursor.execute("UPDATE t SET w = 1 WHERE id < 3000")
        connection.commit()
    drain(tailrace, config)
    _has_no_retry(tailrace)
    assert_equal(source, target, ["public.t", "public.u"])


def test_the_change_of_an_aborted_subtransaction_leaves_no_trace(source, target, tailrace, config):
    _begin(source, tailrace, config, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    with source.connect(autocommit=False) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (1, 'a'); SAVEPOINT s; ALTER TABLE t ADD COLUMN w int; INSERT INTO t VALUES (2, 'b', 2); ROLLBACK TO s")
            cursor.execute("INSERT INTO t VALUES (3, 'c')")
        connection.commit()
    drain(tailrace, config)
    assert _columns(target) == ["id", "v"]
    assert_equal(source, target, ["public.t"])


# ------------------------------------------------------------------------------------------- what a table may be made of

def test_generated_and_identity_columns(source, target, tailrace, config):
    _begin(source, tailrace, config,
           "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, other int GENERATED BY DEFAULT AS IDENTITY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)",
           "INSERT INTO t (a) VALUES (1), (2)")
    source.sql("INSERT INTO t (a) SELECT i FROM generate_series(3, 800) i")  # by COPY, too
    source.sql("UPDATE t SET a = a + 1 WHERE id < 100; DELETE FROM t WHERE id = 7")
    source.sql("UPDATE t SET id = DEFAULT WHERE id = 8")
    source.sql("ALTER TABLE t ADD COLUMN thrice int GENERATED ALWAYS AS (a * 3) STORED, ADD COLUMN b int")
    source.sql("INSERT INTO t (a, b) VALUES (5, 6)")
    drain(tailrace, config)
    assert target.sql("SELECT id, other, a, twice, b FROM t ORDER BY id") == source.sql("SELECT id, other, a, twice, b FROM t ORDER BY id")


def test_deferred_constraints(source, target, tailrace, config):
    _begin(source, tailrace, config,
           "CREATE TABLE p (id int PRIMARY KEY, n int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
           "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
           "INSERT INTO p SELECT i, i FROM generate_series(1, 50) i")
    source.sql("INSERT INTO c VALUES (1, 99); INSERT INTO p VALUES (99, 99); UPDATE p SET n = n + 1; DELETE FROM p WHERE id = 5; INSERT INTO p VALUES (5, 1)")
    source.sql("UPDATE p SET n = -n; UPDATE p SET id = id + 1000 WHERE id BETWEEN 10 AND 20")
    drain(tailrace, config)
    assert_equal(source, target, ["public.p", "public.c"])


def test_partitions_as_targets(source, target, tailrace, config):
    config = {**config, "mode": "cdc", "schema": "expect"}
    source.sql("CREATE TABLE t (id int, at date, v text, PRIMARY KEY (id, at))")
    target.sql("CREATE TABLE t (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
               "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01'); CREATE TABLE t2 PARTITION OF t DEFAULT")
    drain(tailrace, config)
    source.sql("INSERT INTO t SELECT i, date '2024-01-01' + i, 'v' FROM generate_series(1, 1000) i")
    source.sql("UPDATE t SET at = at + 40 WHERE id < 20; UPDATE t SET v = 'w' WHERE id % 2 = 0; DELETE FROM t WHERE id % 7 = 0")
    source.sql("ALTER TABLE t ADD COLUMN n int DEFAULT 3; UPDATE t SET n = 4 WHERE id = 1")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    source.sql("TRUNCATE t; INSERT INTO t VALUES (1, '2024-01-05')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_partitions_at_the_source(source, target, tailrace, config):
    _begin(source, tailrace, config,
           "CREATE TABLE t (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);"
           "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)",
           "INSERT INTO t SELECT i, 1 + i % 2, 'v' FROM generate_series(1, 20) i")
    source.sql("UPDATE t SET k = 3 - k WHERE id < 5; ALTER TABLE t RENAME v TO w; UPDATE t SET w = 'x' WHERE id > 15")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t", "public.t1"])
    source.sql("CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3); INSERT INTO t VALUES (100, 3, 'c')")
    _refused(tailrace, config, "no partition", "PARTITION OF public.t")
    target.sql("CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t", "public.t3"])


def test_unique_indexes_over_expressions_and_parts(source, target, tailrace, config):
    _begin(source, tailrace, config,
           "CREATE TABLE t (id int PRIMARY KEY, code text, live bool); CREATE UNIQUE INDEX ON t (lower(code)); CREATE UNIQUE INDEX ON t (code) WHERE live",
           "INSERT INTO t SELECT i, 'C' || i, true FROM generate_series(1, 200) i")
    for n in range(1, 60):
        source.sql(f"UPDATE t SET code = 'free{n}' WHERE id = {n}; UPDATE t SET code = 'c{n}' WHERE id = {n + 100};"
                   f" DELETE FROM t WHERE id = {n}; INSERT INTO t VALUES ({n}, 'Free{n}', false)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


# ---------------------------------------------------------------------------------------------------------- check

def test_check_names_what_would_hurt_at_the_target(source, target, target_server, tailrace, config):
    config = {**config, "schema": "expect"}
    source.sql("CREATE TABLE missing (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, a text, b numeric(5, 1)); CREATE TABLE bare (id int)")
    target.sql("CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE bare (id int)")
    target.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"
               "ALTER TABLE t ENABLE ALWAYS TRIGGER g")
    role = f"plain_{target.name}"
    target.sql(f"CREATE ROLE {role} LOGIN")
    try:
        plain = {**config, "target": {"url": target.url.replace("postgres@", f"{role}@")}}
        result = tailrace.run("check", config=plain)
        assert result.status == 3, result
        for finding in ("postgresql-target-table", "postgresql-target-column", "postgresql-target-triggers", "postgresql-target-key",
                        "postgresql-target-privileges", "postgresql-target-state", "postgresql-target-replica-role"):
            assert finding in result.stdout, (finding, result)
        assert 'ALTER TABLE "public"."t" ADD COLUMN "b" numeric(5,1);' in result.stdout
        assert f'GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON "public"."bare" TO "{role}";' in result.stdout
        for statement in [line.strip() for line in result.stdout.splitlines() if line.strip().startswith("GRANT")]:
            target.sql(statement)
        target.sql("CREATE TABLE missing (id int PRIMARY KEY); GRANT ALL ON missing TO " + role)
        target.sql('ALTER TABLE "public"."t" ADD COLUMN "b" numeric(5,1)')
        again = tailrace.run("check", config=plain)
        assert again.status == 0, again
        assert target.one("SELECT count(*) FROM pg_namespace WHERE nspname = 'tailrace'") == 0  # check changes nothing
    finally:
        target.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
