"""Statements as only MariaDB logs them: with settings before them, in two phases, with many tables in one transaction's head."""

import pymysql
import pytest

from harness.replication import drain, task_config

pytestmark = pytest.mark.time_limit(120)


@pytest.fixture(name="pair", params=["mariadb", "postgresql"])
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


def in_one_session(database, *statements):
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def equal(shop, target, *tables):
    for table in tables:
        query = f"SELECT * FROM {{}}{table} ORDER BY 1"
        assert list(target.sql(query.format(shop.name + "."))) == list(shop.sql(query.format("")))


def test_statements_with_settings_and_waits(pair, tailrace):
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v int)")
    shop.sql("CREATE TABLE u (id int PRIMARY KEY)")
    shop.sql("INSERT INTO t VALUES (1, 1), (2, 1)")
    shop.sql("INSERT INTO u VALUES (1)")
    drain(tailrace, config)
    shop.sql("SET STATEMENT lock_wait_timeout = 5, sql_mode = 'NO_ZERO_DATE' FOR TRUNCATE TABLE u")
    shop.sql("INSERT INTO u VALUES (1), (7)")
    shop.sql("SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE t ADD COLUMN w int DEFAULT 7")
    shop.sql("INSERT INTO t VALUES (3, 1, 9)")
    shop.sql("ALTER TABLE t WAIT 5 ADD COLUMN x int DEFAULT 8")
    shop.sql("INSERT INTO t VALUES (4, 1, 9, 9)")
    drain(tailrace, config)
    equal(shop, target, "t", "u")


def test_an_alter_of_two_phases(pair, tailrace):
    """What was begun may fail, and only what was committed counts."""
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v int)")
    shop.sql("INSERT INTO t VALUES (1, 1), (2, 1)")
    drain(tailrace, config)
    with pytest.raises(pymysql.err.IntegrityError):
        in_one_session(shop, "SET binlog_alter_two_phase = 1", "ALTER TABLE t ADD COLUMN lost int, ADD UNIQUE (v)")
    in_one_session(shop, "SET binlog_alter_two_phase = 1", "ALTER TABLE t ADD COLUMN w int DEFAULT 7", "INSERT INTO t VALUES (3, 1, 8)")
    drain(tailrace, config)
    equal(shop, target, "t")


@pytest.mark.matrix
def test_many_tables_are_locked(pair, tailrace):
    """Each statement tells all of them."""
    shop, target, config = pair
    names = [f"t{number}" for number in range(260)]
    config["tables"] = {"include": [f"{shop.name}.t1", f"{shop.name}.t259"]}
    in_one_session(shop, *(f"CREATE TABLE {name} (id int PRIMARY KEY)" for name in names))
    drain(tailrace, config)
    in_one_session(shop, "LOCK TABLES " + ", ".join(f"{name} WRITE" for name in names), "INSERT INTO t1 VALUES (1)", "INSERT INTO t259 VALUES (1)", "UNLOCK TABLES")
    drain(tailrace, config)
    equal(shop, target, "t1", "t259")


def test_names_of_savepoints_have_no_case(pair, tailrace):
    shop, target, config = pair
    shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
    drain(tailrace, config)
    in_one_session(shop, "BEGIN", "INSERT INTO t VALUES (1)", "SAVEPOINT s", "INSERT INTO t VALUES (2)", "SAVEPOINT S", "CREATE TEMPORARY TABLE void (a int)",
                   "INSERT INTO t VALUES (3)", "ROLLBACK TO s", "INSERT INTO t VALUES (4)", "COMMIT")
    drain(tailrace, config)
    equal(shop, target, "t")
    assert [row[0] for row in shop.sql("SELECT id FROM t ORDER BY id")] == [1, 2, 4]


def test_a_table_is_replaced_by_one_with_its_columns_exchanged(pair, tailrace):
    """Where the log has no names both look the same, and the rows from before get those of the new one."""
    shop, _, config = pair
    shop.sql("CREATE TABLE t (a int PRIMARY KEY, b int)")
    drain(tailrace, config)
    shop.sql("SET GLOBAL binlog_row_metadata = 'NO_LOG'")
    try:
        shop.sql("INSERT INTO t VALUES (1, 2)")
        shop.sql("CREATE OR REPLACE TABLE t (b int, a int PRIMARY KEY)")
        result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=120)
    finally:
        shop.sql("SET GLOBAL binlog_row_metadata = 'FULL'")
    assert result.status == 1 and "was changed at" in result.stderr, result


def test_a_database_is_dropped(pair, tailrace):
    """Its tables go without a word of each, and the target keeps them."""
    shop, target, config = pair
    shop.sql("CREATE TABLE t (a int PRIMARY KEY)")
    shop.sql("INSERT INTO t VALUES (1)")
    drain(tailrace, config)
    shop.server.sql(f"DROP DATABASE {shop.name}")
    result = drain(tailrace, config)
    assert f"dropped database {shop.name} with 1 tables" in result.stderr, result
    assert [row[0] for row in target.sql(f"SELECT a FROM {shop.name}.t")] == [1]
