"""Columns and tables of one engine as another's: types that the task chooses, defaults, checks, and what is named as lost."""

import datetime

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.wait import wait_until


@pytest.fixture
def shop(mariadb_server):
    database = mariadb_server.database()
    database.sql(f"ALTER DATABASE `{database.name}` CHARACTER SET utf8mb4")
    yield database
    database.drop()
    mariadb_server.drop_database("tailrace")


TYPES = {"tinyint(1)": "boolean", "binary(16)": "uuid", "set('a','b')": "text[]", "time": "interval"}


def test_the_task_chooses_types(shop, target, tailrace):
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, flag tinyint(1), u binary(16), s set('a','b'), tm time, n bigint unsigned, bits bit(3))")
    row = "(%d, %d, x'00112233445566778899aabbccddeeff', 'a,b', '-100:00:01', 7, b'101')"
    shop.sql(f"INSERT INTO t VALUES {row % (1, 1)}")
    config = task_config(shop.url, target.url, types=TYPES, columns={f"{shop.name}.t.n": "bigint", "%.bits": "integer"},
                         tables={"include": [f"{shop.name}.%"]})
    printed = tailrace.run("schema", config=config, timeout=60)
    assert printed.status == 0, printed
    assert '"flag" boolean' in printed.stdout and '"n" bigint' in printed.stdout and '"bits" integer' in printed.stdout
    assert "t.flag: tinyint(1): becomes boolean, as the task says" in printed.stderr

    drain(tailrace, config)
    shop.sql(f"INSERT INTO t VALUES {row % (2, 0)}")
    shop.sql("UPDATE t SET s = '', tm = '00:00:05' WHERE id = 1")
    shop.sql("INSERT INTO t (id, flag) VALUES (3, NULL)")
    drain(tailrace, config)
    uuid = "00112233-4455-6677-8899-aabbccddeeff"
    rows = target.sql(f'SELECT id, flag, u::text, s, tm, n, bits FROM "{shop.name}".t ORDER BY id')
    assert rows == [(1, True, uuid, [], datetime.timedelta(seconds=5), 7, 5),
                    (2, False, uuid, ["a", "b"], -datetime.timedelta(hours=100, seconds=1), 7, 5),
                    (3, None, None, None, None, None, None)]

    shop.sql("INSERT INTO t (id, flag) VALUES (4, 2)")
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=100)
    for part in ("id=4", "column flag", "neither 0 nor 1", "1 byte"):
        assert result.status == 1 and part in result.stderr, result


def test_the_task_chooses_types_of_mysql(source, shop, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, u uuid, n numeric, v varchar)")
    row = "(%d, '00112233-4455-6677-8899-aabbccddeeff', 1.25, 'text')"
    source.sql(f"INSERT INTO t VALUES {row % 1}")
    config = task_config(source.url, shop.url, types={"uuid": "binary(16)", "numeric": "decimal(10,2)"}, columns={"public.t.v": "varchar(20)"},
                         tables={"include": ["public.t"]})
    drain(tailrace, config)
    source.sql(f"INSERT INTO t VALUES {row % 2}")
    drain(tailrace, config)
    assert shop.sql("SELECT id, HEX(u), CAST(n AS CHAR), v FROM t ORDER BY id") == [
        (i, "00112233445566778899AABBCCDDEEFF", "1.25", "text") for i in (1, 2)]
    source.sql("INSERT INTO t (id, n) VALUES (3, 1.255)")
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=100)
    for part in ("id=3", "column n", "more digits", "5 bytes"):
        assert result.status == 1 and part in result.stderr, result
    assert "1.255" not in result.stderr, result


def test_the_task_chooses_types_between_equals(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n integer, v varchar(5))")
    source.sql("INSERT INTO t VALUES (1, 1, 'one')")
    config = task_config(source.url, target.url, columns={"t.n": "bigint", "t.v": "text"}, tables={"include": ["public.t"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2, 2, 'two')")
    tailrace.start("run", config=config)
    wait_until(lambda: target.sql("SELECT * FROM t ORDER BY id") == [(1, 1, "one"), (2, 2, "two")], 60, "both rows")
    assert tailrace.stop() == 0
    types = target.sql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum")
    assert types == [("integer",), ("bigint",), ("text",)]


@pytest.mark.parametrize("bad,part", [({"types": ["no equals"]}, "which type becomes which"), ({"columns": {"alone": "text"}}, "names no column")])
def test_a_rule_that_says_nothing_is_refused(source, target, tailrace, bad, part):
    result = tailrace.run("check", config=task_config(source.url, target.url, **bad), timeout=60)
    assert result.status == 2 and part in result.stderr, result


def test_the_nearest_is_stored_by_load_and_stream(source, shop, tailrace):
    """Also where the server would have rounded in silence, or refused without asking for the policy."""
    types = {"n": ("numeric", "1.255", "decimal(8,2)"), "f": ("float8", "1e-7", "decimal(8,2)"), "i": ("numeric", "5.50", "int"), "w": ("numeric", "7.00", "int"),
             "early": ("timestamptz", "'1960-01-01'", "timestamp"), "late": ("timestamptz", "'2200-01-01'", "timestamp"),
             "u": ("text", "'a\U0001F600'", "text CHARACTER SET utf8mb3")}
    source.sql("CREATE TYPE pad AS ENUM ('x ', 'x')")
    source.sql(f"CREATE TABLE t (id int PRIMARY KEY, e pad, {', '.join(f'{name} {kind}' for name, (kind, _, _) in types.items())})")
    row = f"INSERT INTO t VALUES (%d, 'x ', {', '.join(value for _, value, _ in types.values())})"
    source.sql(row % 1)
    config = task_config(source.url, shop.url, columns={f"public.t.{name}": to for name, (_, _, to) in types.items()}, tables={"include": ["public.t"]})
    config["target"]["on_value"] = "clamp"
    drain(tailrace, config)
    source.sql(row % 2)
    counted = drain(tailrace, config).stderr
    assert "6 values stored otherwise" in counted, counted
    server = shop.server.sql("SELECT version()")[0][0].split(".")
    last = "2106-02-07 06:28:15" if (int(server[0]), int(server[1])) >= (11, 5) else "2038-01-19 03:14:07"
    columns = "CAST(n AS CHAR), CAST(f AS CHAR), i, w, CAST(CONVERT_TZ(early, @@time_zone, '+00:00') AS CHAR), CAST(CONVERT_TZ(late, @@time_zone, '+00:00') AS CHAR), u, e"
    for row in shop.sql(f"SELECT {columns} FROM t"):
        assert row == ("1.26", "0.00", 6, 7, "1970-01-01 00:00:01", last, None, "x "), row


def test_names_that_the_target_takes_for_one(source, shop, tailrace):
    source.sql('CREATE TABLE "Both" (id int PRIMARY KEY, "Name" text, name text)')
    source.sql('CREATE TABLE "end " (id int PRIMARY KEY)')
    config = task_config(source.url, shop.url, tables={"include": ["public.%"]})
    checked = tailrace.run("check", config=config, timeout=60)
    for part in ('error: public.Both: [target-names]', 'the columns "Name" and "name" have one name', 'the name of the table "end " ends with a blank'):
        assert checked.status == 3 and part in checked.stdout, checked
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=60)
    assert result.status == 1 and "have one name at the target" in result.stderr and shop.sql("SHOW TABLES") == [], result


def test_a_counter_that_is_unique_stays_so(source, shop, tailrace):
    """Its index has the name that the server gives the key which a counting column needs."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n serial)")
    source.sql("CREATE UNIQUE INDEX n ON t (n)")
    drain(tailrace, task_config(source.url, shop.url, tables={"include": ["public.t"]}))
    assert shop.sql("SELECT count(*) FROM information_schema.statistics WHERE table_schema = %s AND table_name = 't' AND column_name = 'n' AND non_unique = 0",
                    (shop.name,)) == [(1,)]


@pytest.mark.matrix
def test_keys_of_mysql_stay_apart_at_mariadb(mariadb_server, tailrace):
    """MySQL's own collation tells blanks at the end and emoji apart."""
    with matrix.mysql("9", options={"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}) as server:
        server.sql("CREATE DATABASE apart CHARACTER SET utf8mb4")
        server.sql("CREATE TABLE apart.t (id int, s varchar(9) PRIMARY KEY, c varchar(9) COLLATE utf8mb4_0900_as_cs UNIQUE,"
                   " sv varchar(9) COLLATE utf8mb4_sv_0900_ai_ci UNIQUE)")
        server.sql("CREATE TABLE apart.counted (id int PRIMARY KEY, n int UNIQUE AUTO_INCREMENT)")
        server.sql("INSERT INTO apart.t VALUES (1, 'a', 'e', 'a'), (2, 'a ', 'E', 'å'), (3, '\U0001F600', 'é', 'ä'), (4, '\U0001F601', 'e ', 'a ')")
        mariadb_server.drop_database("apart")
        config = task_config(server.url(), mariadb_server.url(), tables={"include": ["apart.%"]})
        try:
            printed = tailrace.run("schema", config=config, timeout=60)
            assert "collation utf8mb4_0900_ai_ci is not known to the target and becomes" in printed.stderr and "the second is refused" in printed.stderr, printed
            drain(tailrace, config)
            server.sql("INSERT INTO apart.t VALUES (5, '\U0001F602', 'd', 'ö'), (6, 'b ', 'D', 'o'), (7, 'b', 'd ', 'o ')")
            drain(tailrace, config)
            assert len(mariadb_server.sql("SELECT s FROM apart.t")) == 7
            assert mariadb_server.sql("SHOW INDEX FROM apart.counted WHERE Column_name = 'n' AND NOT Non_unique")
        finally:
            mariadb_server.drop_database("apart")
            mariadb_server.drop_database("tailrace")


def test_an_index_that_mariadb_ignores(shop, tailrace):
    """Only what is printed for MySQL, which has another word for it."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, a int, KEY k (a) IGNORED)")
    printed = tailrace.run("schema", config=task_config(shop.url, "mysql://root@127.0.0.1:1/", tables={"include": ["%.t"]}), timeout=60)
    assert printed.status == 0 and "ADD KEY `k` (`a`) INVISIBLE" in printed.stdout, printed
