"""What a MySQL or MariaDB target makes of texts, numbers and NULL by settings and types of its own."""

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.servers import MariaDB

ODD = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "local-infile": 1, "init-connect": "SET NAMES latin1", "character-set-server": "latin1",
       "completion-type": "CHAIN", "lower-case-table-names": 1}


@pytest.fixture(name="odd", scope="module")
def _odd():
    with MariaDB(options=ODD, name="odd") as server:
        server.sql("CREATE USER plain@'%' IDENTIFIED BY 'x'")
        server.sql("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, PROCESS ON *.* TO plain@'%'")
        server.sql("COMMIT AND NO CHAIN")
        yield server


@pytest.fixture
def shop(mariadb_server, odd):
    """A database of the source whose name is free at the target; what the harness itself does there ends with COMMIT."""
    database = mariadb_server.database()
    database.sql(f"ALTER DATABASE `{database.name}` CHARACTER SET utf8mb4")
    odd.drop_database(database.name)
    odd.drop_database("tailrace")
    yield database
    database.drop()


def config_of(shop, odd, **options):
    return task_config(shop.url, odd.url(user="plain", password="x"), tables={"include": [f"{shop.name}.%"]}, **options)


def test_texts_whatever_the_server_makes_of_connections(shop, odd, tailrace):
    """Only accounts without privileges of an administrator meet init_connect."""
    shop.sql("CREATE TABLE `tä` (id int PRIMARY KEY, v varchar(20)) CHARACTER SET utf8mb4")
    shop.sql("INSERT INTO `tä` VALUES (1, 'é€😀'), (2, 'x')")
    drain(tailrace, config_of(shop, odd))
    shop.sql("INSERT INTO `tä` VALUES (3, 'é€😀')")
    shop.sql("UPDATE `tä` SET v = 'ß' WHERE id = 2")
    shop.sql("ALTER TABLE `tä` ADD COLUMN w varchar(20) DEFAULT 'ö'")
    drain(tailrace, config_of(shop, odd))
    query = "SELECT id, HEX(v), HEX(w) FROM `{}`.`tä` ORDER BY id"
    assert odd.sql(query.format(shop.name)) == shop.sql(query.format(shop.name))


def test_numbers_in_bits(shop, odd, tailrace):
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v bigint unsigned)")
    shop.sql("INSERT INTO t VALUES (1, 5), (2, 266)")
    odd.sql(f"CREATE DATABASE {shop.name}")
    odd.sql(f"CREATE TABLE {shop.name}.t (id int PRIMARY KEY, v bit(16))")
    drain(tailrace, config_of(shop, odd))
    shop.sql("INSERT INTO t VALUES (3, 65535)")
    drain(tailrace, config_of(shop, odd))
    assert odd.sql(f"SELECT id, v + 0 FROM {shop.name}.t ORDER BY id") == [(1, 5), (2, 266), (3, 65535)]
    shop.sql("INSERT INTO t VALUES (4, 65536)")
    run = tailrace.run("run", config={**config_of(shop, odd), "stop": "drained"}, timeout=60)
    assert run.status == 1 and "it has more bits" in run.stderr and "id=4" in run.stderr, run.stderr


@pytest.mark.parametrize("kind", ["timestamp NOT NULL", "int NOT NULL AUTO_INCREMENT, KEY (v)"])
def test_null_is_no_order_to_count(shop, odd, tailrace, kind):
    """A NOT NULL column of these takes NULL, and stores something else."""
    odd.sql(f"CREATE DATABASE {shop.name}")
    odd.sql(f"CREATE TABLE {shop.name}.t (id int PRIMARY KEY, v {kind})")
    shop.sql(f"CREATE TABLE t (id int PRIMARY KEY, v {kind.split()[0]} NULL)")
    config = config_of(shop, odd, mode="cdc")
    drain(tailrace, {**config, "start": "now"})
    shop.sql("INSERT INTO t VALUES (1, NULL)")
    run = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert run.status == 1 and "column v: it is NULL, and the target's column is" in run.stderr and "id=1" in run.stderr, run.stderr
    assert odd.sql(f"SELECT * FROM {shop.name}.t") == []


def test_large_rows_go_together(shop, odd, tailrace):
    """A statement that one row fills tells no number of duplicates."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)")
    shop.sql("INSERT INTO t VALUES (1, REPEAT('a', 400000)), (2, REPEAT('b', 400000)), (3, 'x')")
    drain(tailrace, config_of(shop, odd))
    shop.sql("UPDATE t SET v = CONCAT(v, 'z')")
    run = drain(tailrace, config_of(shop, odd, log_level="debug"))
    assert "change by change 0" in run.stderr, run.stderr
    assert odd.sql(f"SELECT id, MD5(v) FROM {shop.name}.t ORDER BY id") == shop.sql("SELECT id, MD5(v) FROM t ORDER BY id")
    odd.sql(f"DELETE FROM {shop.name}.t WHERE id = 2")
    shop.sql("UPDATE t SET v = CONCAT(v, 'z')")
    run = tailrace.run("run", config={**config_of(shop, odd), "stop": "drained"}, timeout=60)
    assert run.status == 1 and "the row is not there" in run.stderr and "id=2" in run.stderr, run.stderr


def test_names_that_differ_in_case_alone(shop, odd, tailrace, target):
    """MariaDB's catalogue mixes the columns of such tables, and a target that keeps names in small letters their rows."""
    shop.sql("CREATE TABLE Orders (id int PRIMARY KEY, v int, w int)")
    shop.sql("CREATE TABLE orders (id int PRIMARY KEY, v int)")
    shop.sql("INSERT INTO Orders VALUES (1, 1, 1)")
    shop.sql("INSERT INTO orders VALUES (1, 2), (2, 3)")
    config = config_of(shop, odd)
    for command in ("run", "check"):
        run = tailrace.run(command, config=config, timeout=60)
        assert run.status in (1, 3) and f"takes {shop.name}.Orders and {shop.name}.orders for the same table" in run.stdout + run.stderr, run
    assert odd.sql("SELECT 1 FROM information_schema.tables WHERE table_name = 'orders'") == []
    exact = task_config(shop.url, target.url, tables={"include": [f"{shop.name}.%"]}, task="exact")
    drain(tailrace, exact)
    shop.sql("INSERT INTO Orders VALUES (3, 3, 3)")
    drain(tailrace, exact)
    assert target.sql(f'SELECT * FROM "{shop.name}"."Orders" ORDER BY id') == [(1, 1, 1), (3, 3, 3)]
    assert target.sql(f'SELECT * FROM "{shop.name}".orders ORDER BY id') == [(1, 2), (2, 3)]


def test_a_counter_that_is_no_whole_number(shop, tailrace, target):
    shop.sql("CREATE TABLE t (id double AUTO_INCREMENT PRIMARY KEY, v int)")
    shop.sql("INSERT INTO t (v) VALUES (1)")
    config = task_config(shop.url, target.url, tables={"include": [f"{shop.name}.%"]}, task="double")
    assert "t.id: counts by itself" in tailrace.run("schema", config=config, timeout=60).stderr
    drain(tailrace, config)
    assert target.sql(f'SELECT * FROM "{shop.name}".t') == [(1.0, 1)]


@pytest.mark.parametrize("synced", [0, 1])
def test_a_commit_is_durable_with_its_binary_log(shop, odd, tailrace, synced):
    """A recovery undoes what the log of a server that does not sync it has lost with the machine, unless the engine's own was flushed."""
    def flushes():
        return int(odd.sql("SHOW GLOBAL STATUS LIKE 'Com_flush'")[0][1])

    shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
    odd.sql(f"SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = {synced}")
    try:
        config = task_config(shop.url, odd.url(), tables={"include": [f"{shop.name}.t"]})
        drain(tailrace, config)
        shop.sql("INSERT INTO t VALUES (1)")
        before = flushes()
        drain(tailrace, config)
        assert (flushes() > before) == (not synced)
    finally:
        odd.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL sync_binlog = 0")


DOCUMENTS = ("(%d, JSON_OBJECT('p', CAST(19.90 AS DECIMAL(10,2)), 'é''', JSON_ARRAY(12345678901234567890.123, 0.1e0, 'x', true, NULL)), 0),"
             " (%d, '{\"a\": 1.5}', 0)")


@pytest.mark.matrix
def test_decimals_in_documents_of_mysql(tailrace):
    """From a text MySQL reads doubles; a function that is given a decimal keeps it."""
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "local-infile": 1}
    with matrix.mysql("9", options=fast, name="src") as source, matrix.mysql("9", options=fast, name="dst") as target:
        source.sql("CREATE DATABASE shop CHARACTER SET utf8mb4")
        for table in ("t", "n"):
            source.sql(f"CREATE TABLE shop.{table} (id int{' PRIMARY KEY' if table == 't' else ''}, j json, v int)")
        config = task_config(source.url("shop"), target.url(), tables={"include": ["shop.%"]})
        for first in (1, 3):
            for table in ("t", "n"):
                source.sql(f"INSERT INTO shop.{table} VALUES {DOCUMENTS % (first, first + 1)}")
            drain(tailrace, config)
            for table in ("t", "n"):
                source.sql(f"UPDATE shop.{table} SET v = v + 1")
            drain(tailrace, config)
            for table in ("t", "n"):
                query = f"SELECT id, CAST(j AS CHAR), JSON_TYPE(j->'$.p'), v FROM shop.{table} ORDER BY id"
                assert target.sql(query) == source.sql(query)
