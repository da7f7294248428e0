"""What only MariaDB has, and its log tells in its own way: sequences, hashes of long unique keys, tables with a history."""

import pytest

from harness.replication import drain, task_config

pytestmark = pytest.mark.matrix


@pytest.fixture(name="pair", params=["mariadb", "mysql", "postgresql"])
def _pair(request, engine_servers):
    shop, server = engine_servers("mariadb", "source").database(), engine_servers(request.param, "target")
    target = server.database() if request.param == "postgresql" else server
    yield shop, target, task_config(shop.url, target.url if request.param == "postgresql" else target.url(), tables={"include": [f"{shop.name}.%"]})
    shop.drop()
    if request.param == "postgresql":
        target.drop()
    else:
        server.drop_database(shop.name)
        server.drop_database("tailrace")


def test_rows_of_sequences_are_left_out(pair, tailrace):
    """The log has a row for each change of one."""
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
    shop.sql("CREATE SEQUENCE s CACHE 2")
    drain(tailrace, config)
    shop.sql("CREATE SEQUENCE later CACHE 2")
    for number in range(1, 6):
        shop.sql("INSERT INTO t VALUES (NEXTVAL(s) * 10 + NEXTVAL(later))")
    shop.sql("SELECT SETVAL(s, 500)")
    shop.sql("DROP SEQUENCE later")
    drain(tailrace, config)
    assert target.sql(f"SELECT id FROM {shop.name}.t ORDER BY id") == [(11 * number,) for number in range(1, 6)]


def test_a_unique_key_over_a_long_text(pair, tailrace):
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, w varchar(2000), UNIQUE (w))")
    shop.sql("INSERT INTO t VALUES (1, 'a', 'a'), (2, 'b', 'b')")
    drain(tailrace, config)
    shop.sql("UPDATE t SET v = concat(v, repeat('x', 5000)), w = NULL WHERE id = 1")
    shop.sql("INSERT INTO t VALUES (3, 'a', 'a')")
    shop.sql("DELETE FROM t WHERE id = 2")
    drain(tailrace, config)
    assert target.sql(f"SELECT id, length(v), w FROM {shop.name}.t ORDER BY id") == [(1, 5001, None), (3, 1, "a")]


def test_a_history_and_other_keys(pair, tailrace):
    """The keys are made when the rows are there, which takes an ALTER."""
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, n int, KEY (n)) WITH SYSTEM VERSIONING")
    shop.sql("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
    drain(tailrace, config)
    shop.sql("UPDATE t SET v = 'c' WHERE id = 1")
    shop.sql("DELETE FROM t WHERE id = 2")
    shop.sql("INSERT INTO t VALUES (3, 'a', 3)")
    drain(tailrace, config)
    assert target.sql(f"SELECT id, v, n FROM {shop.name}.t ORDER BY id") == [(1, "c", 1), (3, "a", 3)]


def test_fractions_in_the_older_storage(pair, tailrace):
    """Of mysql56_temporal_format = OFF the log does not tell how many digits a column has."""
    shop, target, config = pair
    shop.server.sql("SET GLOBAL mysql56_temporal_format = OFF")
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, a time(3), b datetime(6), c timestamp(1) NULL, d time, e datetime(2), f time(6))")
    shop.server.sql("SET GLOBAL mysql56_temporal_format = ON")
    rows = [(n, f"0{n}:34:56.789", "2024-01-02 03:04:05.678901", "2024-01-02 03:04:05.6", "12:34:56", "9999-12-31 23:59:59.99", "00:00:00.000001")
            for n in range(1, 5)]
    drain(tailrace, config)
    for row in rows:
        shop.sql(f"INSERT INTO t VALUES {row}")
    drain(tailrace, config)
    texts = ", ".join(f"cast({column} AS char(26))" for column in "abdef")
    found = [tuple(str(cell).strip() for cell in row) for row in target.sql(f"SELECT id, {texts} FROM {shop.name}.t ORDER BY id")]
    assert found == [tuple(map(str, row[:3] + row[4:])) for row in rows], found
