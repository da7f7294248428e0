"""PostgreSQL's columns at a MySQL or MariaDB target: known by number, under whatever name, also when all of it happened while the task stood still."""

import re
import signal

import pytest

from harness.replication import drain, task_config
from harness.wait import wait_until

pytestmark = pytest.mark.time_limit(400)
ROWS = "SELECT {} FROM t ORDER BY 1"
EXCHANGE = "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b"
CHANGES = {"exchange": EXCHANGE, "chain": "ALTER TABLE t RENAME b TO c; ALTER TABLE t RENAME a TO b; ALTER TABLE t RENAME id TO k",
           "passed on": "ALTER TABLE t RENAME a TO c; ALTER TABLE t ADD COLUMN a text DEFAULT 'n'",
           "dropped": "ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t DROP a", "again": "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text"}


@pytest.fixture
def maria(mariadb_server):
    database = mariadb_server.database()
    yield database
    database.drop()
    mariadb_server.sql("DROP DATABASE IF EXISTS tailrace")


@pytest.fixture
def settings(source, maria, tailrace):
    """A table that is loaded, and nothing since."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, big text); INSERT INTO t VALUES (1, 'a1', 'b1')")
    config = {"task": "t", "mode": "full-load-and-cdc", "source": {"url": source.url}, "target": {"url": maria.url},
              "tables": {"include": ["public.%"]}, "state": "./state", "memory": "32MiB"}
    drained(tailrace, config)
    return config


def drained(tailrace, config, status=0):
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=120)
    assert result.status == status, result
    return result


def assert_same(source, maria):
    names = [name for (name,) in source.sql("SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")]
    assert maria.sql(ROWS.format(", ".join(names))) == source.sql(ROWS.format(", ".join(names)))


def in_one(change, key="id", rows=600):
    """A large transaction with the change in its middle."""
    return (f"BEGIN; INSERT INTO t SELECT g, 'a', 'b', repeat('x', 20000) FROM generate_series(1000, {1000 + rows}) g; UPDATE t SET a = 'u' WHERE id = 1; {change};"
            f" INSERT INTO t ({key}, b) VALUES (3, 'b3'); UPDATE t SET big = repeat('y', 20000) WHERE {key} >= 1000; COMMIT")


@pytest.mark.matrix
@pytest.mark.parametrize("change, how", [*((change, "still") for change in CHANGES), ("exchange", "large"), ("passed on", "large"), ("again", "large")])
def test_columns_are_known_by_number(source, maria, tailrace, settings, change, how):
    key = "k" if change == "chain" else "id"
    source.sql(in_one(CHANGES[change], key) if how == "large" else f"{CHANGES[change]}; INSERT INTO t ({key}, b) VALUES (3, 'b3')")
    if change == "again":
        result = drained(tailrace, settings, 1)
        assert "has a new one of this name" in result.stderr, result
        maria.sql(re.search(r"run at the target: (.*?); then start again", result.stderr)[1])
    drained(tailrace, settings)
    assert_same(source, maria)


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["still", "large"])
def test_names_are_exchanged_once_whenever_the_process_dies(source, maria, tailrace, settings, how):
    """The names go in three statements, each of which commits by itself."""
    source.sql(in_one(EXCHANGE) if how == "large" else f"{EXCHANGE}; INSERT INTO t (id, b) VALUES (3, 'b3')")
    for point in ("sink.mysql.shape:1", "sink.mysql.shape:2", "sink.mysql.shape:2", "sink.mysql.commit.before:1", "sink.mysql.shape:1"):
        result = tailrace.run("run", "--stop", "drained", config=settings, env={"TR_FAILPOINT": point}, timeout=120)
        assert result.status in (0, -signal.SIGKILL), result
    drained(tailrace, settings)
    source.sql("UPDATE t SET a = 'end' WHERE id = 1")
    drained(tailrace, settings)
    assert_same(source, maria)


@pytest.mark.matrix
def test_a_stream_and_a_state_of_before_follow_names(source, maria, tailrace, settings):
    maria.sql("DROP TABLE tailrace.column_place")
    tailrace.start("run", config=settings)
    tailrace.wait_log("streaming from")
    source.sql(f"INSERT INTO t VALUES (2, 'a2', 'b2'); {EXCHANGE}; INSERT INTO t (id, b) VALUES (3, 'b3')")
    wait_until(lambda: maria.one("SELECT count(*) FROM t") == 3, 60, "the rows", give_up=tailrace.check_running)
    assert tailrace.stop() == 0, tailrace.stderr
    source.sql("ALTER TABLE t RENAME a TO z; UPDATE t SET z = 'z' WHERE id = 2")
    drained(tailrace, settings)
    assert_same(source, maria)
    assert tailrace.run("drop", config=settings).status == 0
    assert maria.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'tailrace'") == []


@pytest.mark.parametrize("change, row", [("DROP CONSTRAINT pk, ADD PRIMARY KEY (b, id)", "(1, 'c')"), ("DROP COLUMN id, ADD PRIMARY KEY (b)", "('c')")])
def test_a_primary_key_is_exchanged(source, maria, tailrace, change, row):
    """A text that is to be part of it becomes one that can."""
    source.sql("CREATE TABLE keyed (id serial CONSTRAINT pk PRIMARY KEY, b text)")
    source.sql("INSERT INTO keyed VALUES (1, 'a'), (2, 'b')")
    config = task_config(source.url, maria.url, tables={"include": ["public.keyed"]})
    drain(tailrace, config)
    source.sql(f"ALTER TABLE keyed {change}")
    source.sql(f"INSERT INTO keyed VALUES {row}")
    source.sql("UPDATE keyed SET b = 'z' WHERE b = 'a'")
    source.sql("DELETE FROM keyed WHERE b = 'b'")
    drain(tailrace, config)
    assert maria.sql("SELECT b FROM keyed ORDER BY b") == [("c",), ("z",)]
    key = maria.sql("SELECT group_concat(column_name ORDER BY seq_in_index) FROM information_schema.statistics WHERE table_schema = database()"
                    " AND table_name = 'keyed' AND index_name = 'PRIMARY'")
    assert key == [("b,id" if "DROP CONSTRAINT" in change else "b",)]
