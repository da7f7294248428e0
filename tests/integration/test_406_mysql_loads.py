"""Full loads from MariaDB and MySQL: tables of every kind of key in parts, and loads that are killed in their middle."""

import re
import signal

import pytest

from harness import matrix
from harness.pairs import columns_of, describe, rows_as_meant
from harness.replication import drain, task_config
from harness.servers import MariaDB

pytestmark = pytest.mark.time_limit(300)
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "log-output": "TABLE"}
ROWS = 12_000

TABLES = {
    "by_number": "(id int PRIMARY KEY, v varchar(100))",
    "by_text": "(k varchar(40) CHARACTER SET utf8mb4 PRIMARY KEY, v varchar(100))",
    "by_old_text": "(k varchar(40) CHARACTER SET latin1 COLLATE latin1_german1_ci, n int, v varchar(100), PRIMARY KEY (k, n))",
    "by_tenant": "(tenant int, n bigint unsigned, v varchar(100), PRIMARY KEY (tenant, n))",
    "by_bytes": "(k varbinary(16) PRIMARY KEY, v varchar(100))",
    "by_decimal": "(k decimal(20,4) PRIMARY KEY, v varchar(100))",
    "by_moment": "(k datetime(6), n int, v varchar(100), PRIMARY KEY (k, n))",
    "by_unique": "(a int, b varchar(20), v varchar(100), UNIQUE KEY (a, b))",
    "by_index": "(a int, v varchar(100), KEY (a))",
    "without": "(a int, v varchar(100))",
}
# the text of row number `seq`, which must be told apart by the table's key
VALUES = {
    "by_number": "seq, v",
    "by_text": "concat(char(97 + seq % 26 USING utf8mb4), lpad(hex(seq * 2654435761 % 4294967296), 8, '0')), v",
    "by_old_text": "concat(char(97 + seq % 3 USING utf8mb4), if(seq % 2, '\u00e4', 'A')), seq, v",
    "by_tenant": "seq % 2, seq, v",
    "by_bytes": "unhex(rpad(hex(16777216 + seq * 2654435761 % 4278190080), 16, '1')), v",
    "by_decimal": "seq * 1.0001 - 6000, v",
    "by_moment": "timestamp('2020-01-01') + interval seq div 3 minute, seq, v",
    "by_unique": "if(seq % 5 = 0, null, seq div 2), if(seq % 7 = 0, null, concat('b', seq)), v",
    "by_index": "if(seq % 3 = 0, null, seq % 500), v",
    "without": "seq % 10, v",
}


@pytest.fixture(scope="module", params=["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def shop(request):
    server = MariaDB(options=FAST, name="msrc") if request.param == "mariadb" else matrix.mysql("9", options=FAST, name="msrc")
    with server:
        database = server.database("shop")
        database.sql("CREATE TABLE numbers (seq int PRIMARY KEY, v varchar(100))")
        with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO numbers VALUES (%s, %s)", [(i, f"{i} " + "x" * (i % 90)) for i in range(1, ROWS + 1)])
            for name, columns in TABLES.items():
                cursor.execute(f"CREATE TABLE {name} {columns}")
                cursor.execute(f"INSERT INTO {name} SELECT {VALUES[name]} FROM numbers")
                connection.commit()
                cursor.execute(f"ANALYZE TABLE {name}")
                cursor.fetchall()
        database.sql("DROP TABLE numbers")
        yield database


def config_for(shop, target, **options):
    return task_config(shop.url, target.url, tables={"include": ["shop.%"]}, **options)


def assert_equal(shop, target):
    for table in TABLES:
        columns = columns_of(shop, ("shop", table))
        left, right = (rows_as_meant(side, ("shop", table), columns) for side in (shop, target))
        missing, extra = left - right, right - left
        assert not missing and not extra, describe(table, columns, missing, extra)
        assert left.total() == ROWS


def test_tables_of_every_kind_of_key_are_read_in_parts(shop, target, tailrace):
    shop.server.sql("TRUNCATE TABLE mysql.general_log")
    shop.server.sql("SET GLOBAL general_log = ON")
    config = config_for(shop, target)
    config["source"]["part_size"] = "64KiB"
    drain(tailrace, config)
    shop.server.sql("SET GLOBAL general_log = OFF")
    assert_equal(shop, target)
    asked = [bytes(text).decode(errors="replace") if not isinstance(text, str) else text
             for (text,) in shop.server.sql("SELECT argument FROM mysql.general_log WHERE argument LIKE '%SQL_NO_CACHE%'")]
    parts = {table: sum(f"`shop`.`{table}`" in text for text in asked) for table in TABLES}
    whole = ["without", "by_old_text"]
    assert all(parts[table] == 1 for table in whole), parts
    assert all(count >= 3 for table, count in parts.items() if table not in whole), parts


@pytest.mark.matrix
def test_a_load_that_is_killed_keeps_its_finished_tables(shop, target, tailrace):
    """Killed behind every second table: what is done stays done, and the rest comes as of a later cut."""
    config, done = config_for(shop, target, readers=1), set()
    for number in range(3):
        result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": "load.finish.after:2"}, timeout=120)
        if result.status == 0:
            pytest.skip("this build has no fail points")
        assert result.status == -signal.SIGKILL, result
        now = {name for (name,) in target.sql("SELECT table_name FROM tailrace.table_cut WHERE done")}
        assert done < now and len(now) == 2 * number + 2, (done, now)
        done = now
        shop.sql("UPDATE by_text SET v = %s LIMIT 100", (f"changed {number}",))
    result = drain(tailrace, config)
    again = re.findall(r"table (shop\.\w+) is loaded", result.stderr)
    assert sorted(again) == sorted({f"shop.{table}" for table in TABLES} - done)
    assert_equal(shop, target)
