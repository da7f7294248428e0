"""What a MariaDB server logs although it was rolled back."""

import pytest

from harness.replication import drain, task_config


@pytest.fixture
def shop(mariadb_server):
    database = mariadb_server.database()
    yield database
    database.drop()


def config_for(shop, target, **options):
    return task_config(shop.url, target.url, tables={"include": [f"{shop.name}.%"]}, **options)


def test_a_large_transaction_is_undone(shop, target, tailrace):
    """A temporary table in between has the server log the rows, and then that they are void."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)")
    config = config_for(shop, target)
    drain(tailrace, config)
    rows = ", ".join(f"({n}, REPEAT('x', 100000))" for n in range(100, 140))
    for end in ("ROLLBACK", "ROLLBACK TO SAVEPOINT s"):
        with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
            for statement in ("BEGIN", f"INSERT INTO t VALUES ({len(end)}, '')", "SAVEPOINT s", "CREATE TEMPORARY TABLE again (a int)",
                              f"INSERT INTO t VALUES {rows}", end, f"INSERT INTO t VALUES ({len(end) + 1}, '')", "COMMIT"):
                cursor.execute(statement)
    expected = shop.sql("SELECT id FROM t ORDER BY id")
    result = drain(tailrace, config)
    assert "in one piece" in result.stderr, result
    assert target.sql(f"SELECT id FROM {shop.name}.t ORDER BY id") == expected
    small = config_for(shop, target, memory="16MiB")
    with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for statement in ("BEGIN", "CREATE TEMPORARY TABLE again (a int)", f"INSERT INTO t VALUES {rows}", "ROLLBACK"):
            cursor.execute(statement)
    drain(tailrace, small)
    assert target.sql(f"SELECT id FROM {shop.name}.t ORDER BY id") == expected
