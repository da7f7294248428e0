"""Rows and statements at a MySQL or MariaDB target that are easily got almost right."""

import pytest

from harness.replication import drain, task_config
from harness.servers import MariaDB
from harness.wait import wait_until

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(300)]
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


@pytest.fixture(name="engines", scope="module")
def _engines():
    with MariaDB(options=FAST, name="src") as source, MariaDB(options=FAST, name="dst") as target:
        yield source, target


def prepare(source, target, *statements, **more):
    for server in (source, target):
        server.drop_database("shop")
    target.drop_database("tailrace")
    source.sql("CREATE DATABASE shop CHARACTER SET utf8mb4")
    for statement in statements:
        source.sql(statement, database="shop")
    return {"task": "shop", "mode": "full-load-and-cdc", "source": {"url": source.url("shop")}, "target": {"url": target.url()},
            "tables": {"include": ["shop.%"]}, "state": "./state", "workers": 3, **more}


def equal(source, target, *tables):
    for table in tables:
        assert sorted(target.sql(f"SELECT * FROM shop.{table}")) == sorted(source.sql(f"SELECT * FROM shop.{table}"))


@pytest.mark.parametrize("mode", ["''", "'ANSI_QUOTES'"])
def test_a_statement_that_fails_fails_again(engines, tailrace, mode):
    """Whether it was run is seen by how the table is shown, which no session's mode may change."""
    source, target = engines
    config = prepare(source, target, "CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    drain(tailrace, config)
    target.sql("INSERT INTO shop.t VALUES (9, 1)")
    with source.connect("shop") as connection, connection.cursor() as cursor:
        cursor.execute(f"SET sql_mode={mode}")
        cursor.execute("ALTER TABLE t ADD UNIQUE KEY u (a)")
    for _ in range(2):
        run = tailrace.run("run", config={**config, "stop": "drained"})
        assert run.status == 1 and "Duplicate entry" in run.stderr, run.stderr


def test_blanks_at_the_end_tell_rows_apart(engines, tailrace):
    source, target = engines
    config = prepare(source, target, "CREATE TABLE t (v varchar(20), w text)", "INSERT INTO t VALUES ('a', 'b'), ('a ', 'b'), ('c', 'd'), ('c', 'd ')")
    drain(tailrace, config)
    source.sql("DELETE FROM t WHERE BINARY v = 'a '", database="shop")
    source.sql("UPDATE t SET v = 'e' WHERE BINARY w = 'd '", database="shop")
    drain(tailrace, config)
    equal(source, target, "t")


def test_a_float_in_the_key(engines, tailrace):
    source, target = engines
    config = prepare(source, target, "CREATE TABLE t (f float PRIMARY KEY, v int)", "CREATE TABLE t2 (a int, f float, v int, PRIMARY KEY (a, f))",
                     "INSERT INTO t VALUES (0.1, 1), (0.2, 2), (0.3, 3)", "INSERT INTO t2 VALUES (1, 0.1, 1), (1, 0.2, 2), (1, 0.3, 3)")
    drain(tailrace, config)
    for table in ("t", "t2"):
        source.sql(f"UPDATE {table} SET v = 9 WHERE v = 1", database="shop")
        source.sql(f"DELETE FROM {table} WHERE v = 2", database="shop")
    drain(tailrace, config)
    equal(source, target, "t", "t2")


def test_a_deadlock_behind_a_part_that_went_row_by_row(engines, tailrace):
    """All parts of a transaction are run again, the careful ones as well."""
    source, target = engines
    config = prepare(source, target, "CREATE TABLE p (id int PRIMARY KEY)",
                     "CREATE TABLE c (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
                     "CREATE TABLE t (id int PRIMARY KEY, v text)", "CREATE TABLE s (id int PRIMARY KEY, v int)", "INSERT INTO s VALUES (1, 1)",
                     "INSERT INTO p VALUES (1), (2)", "INSERT INTO c VALUES (1, 1), (2, 2)", memory="16MiB")
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    source.sql("UPDATE s SET v = 5", database="shop")  # the target's table is known before it has a trigger
    wait_until(lambda: target.sql("SELECT v FROM shop.s") == [(5,)], 30, lambda: tailrace.stderr)
    target.sql("CREATE TABLE shop.flag (a int) ENGINE=MyISAM")
    target.sql("""CREATE TRIGGER shop.x BEFORE UPDATE ON shop.s FOR EACH ROW BEGIN
      IF (SELECT count(*) FROM shop.flag) = 0 THEN INSERT INTO shop.flag VALUES (1); SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END""")
    with source.connect("shop", autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM p WHERE id = 1")
        for i in range(40):
            if i == 1:
                cursor.execute("UPDATE s SET v = 2")
            cursor.execute(f"INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_{i * 1000 + 1}_to_{i * 1000 + 1000}")
        connection.commit()
    tailrace.wait_log("rolled a large transaction back")
    tailrace.wait_exit()  # the trigger is told of when the table is looked at again
    target.sql("DROP TRIGGER shop.x")
    drain(tailrace, config)
    assert target.sql("SELECT count(*) FROM shop.flag") == [(1,)]
    equal(source, target, "p", "c", "t", "s")


@pytest.mark.parametrize("engine, what", [("mariadb", "ADD COLUMN id int AUTO_INCREMENT PRIMARY KEY FIRST"), ("mariadb", "ADD COLUMN id char(36) DEFAULT uuid()"),
                                          ("mysql", "ADD COLUMN id int AUTO_INCREMENT PRIMARY KEY FIRST")])
def test_a_value_for_each_row_that_only_the_source_knows(engine_servers, tailrace, engine, what):
    """Two sessions wrote the rows in another order than they committed: a keyless table numbers them as they were written."""
    shop, server = engine_servers(engine, "source").database(), engine_servers(engine, "target")
    shop.sql("CREATE TABLE t (v int)")
    shop.sql("CREATE TABLE k (v int PRIMARY KEY, w int)")
    config = task_config(shop.url, server.url(), tables={"include": [f"{shop.name}.%"]})
    drain(tailrace, config)
    with shop.server.connect(shop.name, autocommit=False) as connection, connection.cursor() as cursor:
        for table, columns in (("t", "v"), ("k", "w, v")):
            cursor.execute(f"INSERT INTO {table} ({columns}) VALUES {'(1)' if table == 't' else '(1, 2)'}")
        shop.sql("INSERT INTO t VALUES (2)")
        shop.sql("INSERT INTO k VALUES (1, 2)")
        connection.commit()
    if "AUTO_INCREMENT" in what:  # rows with a key are numbered by it
        shop.sql("ALTER TABLE k ADD COLUMN id int AUTO_INCREMENT UNIQUE")
    shop.sql(f"ALTER TABLE t {what}")
    run = tailrace.run("run", config={**config, "stop": "drained"})
    assert run.status == 1 and "a value of its own" in run.stderr and "reload --table" in run.stderr, run.stderr
    server.sql(f"ALTER TABLE {shop.name}.t {what}")
    assert tailrace.run("reload", "--table", f"{shop.name}.t", config=config).status == 0
    drain(tailrace, config)
    shop.sql("INSERT INTO t (v) VALUES (3)")
    shop.sql("UPDATE t SET v = 5 WHERE v = 1")
    drain(tailrace, config)
    for query in ("SELECT id, v FROM {}.t ORDER BY 1", "SELECT * FROM {}.k ORDER BY 1"):
        assert server.sql(query.format(shop.name)) == shop.sql(query.format(shop.name))
    shop.drop()
    server.drop_database(shop.name)
    server.drop_database("tailrace")
