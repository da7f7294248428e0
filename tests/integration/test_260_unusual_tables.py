"""Tables that are seldom seen, and all the same are: without columns, with labels of enums inside other types."""

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]})


def test_tables_without_a_column_of_their_own(source, target, tailrace, config):
    """All that such a row says is that it is there."""
    source.sql("CREATE TABLE nothing (); CREATE TABLE computed (g int GENERATED ALWAYS AS (1 + 1) STORED);"
               "ALTER TABLE nothing REPLICA IDENTITY FULL; ALTER TABLE computed REPLICA IDENTITY FULL;"
               "INSERT INTO nothing SELECT FROM generate_series(1, 3); INSERT INTO computed SELECT FROM generate_series(1, 3)")
    drain(tailrace, config)
    for table in ("nothing", "computed"):
        source.sql(f"INSERT INTO {table} SELECT FROM generate_series(1, 700)")
        source.sql(f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} LIMIT 5)")
    source.sql("UPDATE computed SET g = DEFAULT")
    drain(tailrace, config)
    for table in ("nothing", "computed"):
        assert target.one(f"SELECT count(*) FROM {table}") == 698
    assert target.one("SELECT sum(g) FROM computed") == 2 * 698


def test_a_label_that_comes_after_other_rows_of_its_group(source, target, tailrace, config):
    """The connection that applies the group has looked up the label before it was there, and holds the table's lock since."""
    source.sql("CREATE TYPE mood AS ENUM ('a', 'c'); CREATE TABLE t (id int PRIMARY KEY, m mood)")
    source.sql("INSERT INTO t VALUES (1, 'a'), (2, 'c'), (3, 'a')")
    drain(tailrace, config)
    source.sql("UPDATE t SET m = 'a' WHERE id = 2")
    source.sql("ALTER TYPE mood ADD VALUE 'b' AFTER 'a'")
    source.sql("UPDATE t SET m = 'b' WHERE id = 1")
    source.sql("ALTER TYPE mood ADD VALUE 'd'")
    source.sql("UPDATE t SET m = 'd' WHERE id = 3")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


@pytest.mark.parametrize("running", [False, pytest.param(True, marks=pytest.mark.matrix)])
def test_a_label_inside_arrays_and_domains(source, target, tailrace, config, running):
    source.sql("CREATE TYPE mood AS ENUM ('a', 'c'); CREATE DOMAIN d AS mood CHECK (VALUE <> 'c'); CREATE DOMAIN dd AS d[];"
               "CREATE TABLE t (id int PRIMARY KEY, m mood[], d d, dd dd)")
    drain(tailrace, config)
    if running:
        tailrace.start("run", config=config)
        tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (1, '{a,c}', 'a', '{a}')")
    for number, column in enumerate(["m", "d", "dd"]):
        label = f'new "{number}", {{x}}\\'
        source.sql("ALTER TYPE mood ADD VALUE '" + label + "' BEFORE 'c'")
        value = "m::text::mood" if column == "d" else "ARRAY['c', NULL, m]::mood[]" if column == "m" else "ARRAY[m]::mood[]"
        source.sql(f"INSERT INTO t (id, {column}) SELECT %s, {value} FROM (VALUES (%s::mood)) v (m)", (number + 2, label))
    if running:
        wait_until(lambda: target.one("SELECT count(*) FROM t") == 4, 30, "the rows")
        assert tailrace.stop() == 0
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    labels = "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder"
    assert source.sql(labels) == target.sql(labels)
