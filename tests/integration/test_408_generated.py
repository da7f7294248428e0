"""Generated columns whose expression the target does not take: plain columns where the source's log has their values, left out and named where it has not."""

import contextlib

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.servers import MariaDB

pytestmark = pytest.mark.matrix
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
FAST_POSTGRES = {"fsync": "off", "wal_level": "logical"}
COLUMNS = "id, s, n, up, vi, twice, len"

MYSQL = """CREATE TABLE g (id int PRIMARY KEY, s varchar(20), n int, up varchar(20) AS (upper(s)) STORED, vi varchar(40) AS (hex(s)) VIRTUAL,
  twice int AS (n * 2) STORED, len int AS (char_length(up)) VIRTUAL, UNIQUE KEY u (up), KEY k (vi))"""
POSTGRESQL = """CREATE TABLE g (id int PRIMARY KEY, s varchar(20), n int, up varchar(20) GENERATED ALWAYS AS (upper(s)) STORED,
  vi varchar(40) GENERATED ALWAYS AS (md5(s)) STORED, twice int GENERATED ALWAYS AS (n * 2) STORED, len int GENERATED ALWAYS AS (length(s)) STORED, UNIQUE (up))"""


def change(database):
    """Values that the stream brings: of new rows, of rows whose base column changed, and of a key that is generated."""
    for statement in ("INSERT INTO g (id, s, n) VALUES (3, 'three', 3), (4, 'four', 4)", "UPDATE g SET s = 'ONE' WHERE id = 1",
                      "UPDATE g SET n = 9 WHERE id = 2", "DELETE FROM g WHERE id = 4", "INSERT INTO g (id, s, n) VALUES (5, 'four', 5)",
                      "UPDATE g SET s = NULL WHERE id = 5"):
        database.sql(statement)


@pytest.fixture(scope="module")
def made():
    """A fresh database on a server that the tests of the file share."""
    servers = {"mariadb": lambda: MariaDB(options=FAST), "mysql": lambda: matrix.mysql("9", options=FAST), "target": lambda: MariaDB(options=FAST),
               "postgresql": lambda: matrix.postgres("18", options=FAST_POSTGRES)}
    with contextlib.ExitStack() as stack:
        started = {}

        def database(name):
            if name not in started:
                started[name] = stack.enter_context(servers[name]())
            return started[name].database()

        yield database


def replicate(tailrace, source, target, name):
    config = task_config(source.url, target.url, tables={"include": [name]})
    source.sql("INSERT INTO g (id, s, n) VALUES (1, 'one', 1), (2, 'two', 2)")
    said = tailrace.run("schema", config=config, timeout=60).stderr
    drain(tailrace, config)
    change(source)
    drain(tailrace, config)
    return said, config


def under_way(tailrace, source, target, config):
    """One more such column is named, for what it gave the rows that are there is in no log; with a column and a reload it is there."""
    source.sql("ALTER TABLE g ADD COLUMN low varchar(20) AS (lower(s)) STORED, RENAME COLUMN vi TO hexed")
    source.sql("INSERT INTO g (id, s, n) VALUES (6, 'SIX', 6)")
    said = drain(tailrace, config).stderr
    assert "the target has no column low" in said, said
    target.sql(f'ALTER TABLE "{source.name}".g ADD COLUMN low varchar(20)')
    reload = tailrace.run("reload", "--table", f"{source.name}.g", config=config, timeout=60)
    assert reload.status == 0, reload
    drain(tailrace, config)
    source.sql("UPDATE g SET s = 'Seven' WHERE id = 6")
    said = drain(tailrace, config).stderr
    assert "has no column low" not in said
    query = "SELECT id, s, n, up, hexed, twice, len, low FROM {}g ORDER BY id"
    assert target.sql(query.format(f'"{source.name}".')) == list(source.sql(query.format("")))


@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
def test_a_binary_log_brings_them_to_postgresql(made, target, tailrace, engine):
    source = made(engine)
    source.sql(MYSQL)
    said, config = replicate(tailrace, source, target, f"{source.name}.g")
    for column in ("up", "vi", "len"):
        assert f"g.{column}: is generated as " in said
    assert said.count("becomes a plain column") == 3, said
    query = f"SELECT {COLUMNS} FROM {{}}g ORDER BY id"
    assert target.sql(query.format(f'"{source.name}".')) == list(source.sql(query.format("")))
    unique = target.sql("SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexdef LIKE 'CREATE UNIQUE%%(up)'", (source.name,))
    assert len(unique) == 1
    under_way(tailrace, source, target, config)
    if engine == "mysql":
        return
    # a session of MariaDB that writes less of a row leaves virtual columns out
    with source.connect() as session, session.cursor() as cursor:
        cursor.execute("SET binlog_row_image = MINIMAL")
        cursor.execute("UPDATE g SET s = 'less' WHERE id = 3")
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=100)
    assert result.status == 1 and "without the value of its generated column" in result.stderr and "reload" in result.stderr, result


def test_what_mariadb_does_not_log_is_left_out(made, target, tailrace):
    source = made("mariadb")
    source.sql("SET GLOBAL binlog_row_image = MINIMAL")
    try:
        source.sql(MYSQL)
        said, _ = replicate(tailrace, source, target, f"{source.name}.g")
    finally:
        source.sql("SET GLOBAL binlog_row_image = FULL")
    assert said.count("becomes a plain column") == 1 and said.count("and the log does not have its values") == 2, said
    query = "SELECT id, s, n, up, twice FROM {}g ORDER BY id"
    assert target.sql(query.format(f'"{source.name}".')) == list(source.sql(query.format("")))
    assert target.sql("SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND column_name IN ('vi', 'len')",
                      (source.name,)) == [(0,)]


@pytest.mark.parametrize("logged", ["stored", "none"])
def test_postgresql_logs_them_since_18(made, tailrace, logged):
    """And if the publication says so; else as before 18."""
    source, target = made("postgresql"), made("target")
    source.sql(POSTGRESQL)
    source.sql(f"CREATE PUBLICATION tailrace_test FOR TABLE g WITH (publish_generated_columns = {logged})")
    said, _ = replicate(tailrace, source, target, "public.g")
    if logged == "stored":
        assert said.count("becomes a plain column") == 2, said
        query = f"SELECT {COLUMNS} FROM g ORDER BY id"
    else:
        assert said.count("and the log does not have its values") == 2, said
        query = "SELECT id, s, n, twice, len FROM g ORDER BY id"
        assert [name for name, *_ in target.sql("SHOW COLUMNS FROM g")] == ["id", "s", "n", "twice", "len"]
    assert list(target.sql(query)) == source.sql(query)
    target.server.drop_database("tailrace")
    target.drop()
    source.drop()  # with its slot, which the server keeps under one name


def test_functions_of_one_server_alone(made, tailrace):
    """MySQL's expression that MariaDB may not know."""
    source, target = made("mysql"), made("target")
    source.sql(MYSQL.replace("hex(s)", "bin_to_uuid(unhex(rpad(hex(s), 32, '0')))"))
    said, _ = replicate(tailrace, source, target, f"{source.name}.g")
    assert "g.vi: is generated as bin_to_uuid" in said and "becomes a plain column" in said, said
    query = f"SELECT {COLUMNS} FROM {{}}g ORDER BY id"
    assert target.server.sql(query.format(f"{source.name}.")) == source.sql(query.format(""))


def test_functions_that_the_two_of_the_family_know_otherwise(made, tailrace):
    """MySQL 9 has no md5() any more, and prints 1.5 where MariaDB has kept 1.50: the source's values are right in any case."""
    source, target = made("mariadb"), made("mysql")
    source.sql("""CREATE TABLE g (id int PRIMARY KEY, j json, s varchar(20), tm time(3), h varchar(40) AS (md5(s)) STORED, a varchar(40) AS (json_extract(j, '$.a')) STORED,
                  n decimal(20,3) AS (time_to_sec(tm)) STORED, up varchar(20) AS (upper(s)) STORED)""")
    source.sql("""INSERT INTO g (id, j, s, tm) VALUES (1, '{"a": 1.50}', 'x', '10:00:00.500')""")
    config = task_config(source.url, target.server.url(), tables={"include": [f"{source.name}.g"]})
    try:
        drain(tailrace, config)
        source.sql("""INSERT INTO g (id, j, s, tm) VALUES (2, '{"a": {"b":1e2}}', 'y', '00:00:00.001')""")
        drain(tailrace, config)
        query = "SELECT id, h, a, n, up FROM {}g ORDER BY id"
        assert list(target.server.sql(query.format(f"{source.name}."))) == list(source.sql(query.format("")))
    finally:
        target.server.drop_database(source.name)
        target.server.drop_database("tailrace")
