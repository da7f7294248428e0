"""MariaDB as the source, MariaDB and PostgreSQL as the target: tables made, types, changes."""

import datetime
from decimal import Decimal

import pytest

from harness.compare import equal_by_content
from harness.matrix import mysql
from harness.replication import drain
from harness.servers import MariaDB

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}

TYPES = """
CREATE TABLE t (id bigint unsigned auto_increment PRIMARY KEY, a tinyint, au tinyint unsigned, b smallint, c mediumint,
  d int DEFAULT 7,
  e bigint, bu bigint unsigned, n decimal(20,5), f float, g double, ch char(5), v varchar(40) CHARACTER SET latin1, x text,
  bin binary(4),
  vb varbinary(10), bl blob, bt bit(12), y year, dt date, tm time(3), dtm datetime(6),
  ts timestamp(3) NULL DEFAULT current_timestamp(3), en enum('a','b','c''d'), st set('x','y','z'),
  gen int AS (c + 1) STORED, KEY (d), UNIQUE KEY (b, c), KEY (x(20))) COMMENT 'hello'"""

ROW = """INSERT INTO t (a,au,b,c,d,e,bu,n,f,g,ch,v,x,bin,vb,bl,bt,y,dt,tm,dtm,ts,en,st) VALUES (
  -128,255,%s,-8388608,2147483647,-9223372036854775808,
  18446744073709551615,12345678.54321,16777216,0.1,'ab','\u00e4\u00df','\u00e4\\t\\n\\\\ \U0001F600',x'61000000',
  x'00ff',x'5c0a0927',b'101000000001',2024,'2024-02-29',
  '23:59:59.123','2024-02-29 12:34:56.789012','2024-06-01 10:00:00.123','c''d','x,z')"""

VALUES = {"a": -128, "au": 255, "d": 2147483647, "e": -9223372036854775808, "bu": Decimal("18446744073709551615"),
          "n": Decimal("12345678.54321"),
          "f": 16777216.0, "g": 0.1, "ch": "ab   ", "v": "\u00e4\u00df", "x": "\u00e4\t\n\\ \U0001F600", "bin": b"a\0\0\0",
          "vb": b"\0\xff", "bl": b"\\\n\t'",
          "bt": "101000000001", "y": 2024, "dt": datetime.date(2024, 2, 29), "tm": datetime.time(23, 59, 59, 123000),
          "dtm": datetime.datetime(2024, 2, 29, 12, 34, 56, 789012),
          "ts": datetime.datetime(2024, 6, 1, 10, 0, 0, 123000, tzinfo=datetime.timezone.utc), "en": "c'd", "st": "x,z"}


@pytest.fixture(scope="module")
def source_maria():
    with MariaDB(options=FAST, name="msrc") as server:
        yield server


@pytest.fixture
def shop(source_maria):
    source_maria.sql("CREATE DATABASE shop CHARACTER SET utf8mb4")
    source_maria.sql(TYPES, database="shop")
    source_maria.sql("CREATE TABLE child (id int PRIMARY KEY, t_id bigint unsigned,"
                     " CONSTRAINT fk FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE)",
                     database="shop")
    source_maria.sql(ROW % 1, database="shop")
    source_maria.sql("INSERT INTO t (d) VALUES (NULL)", database="shop")
    source_maria.sql("INSERT INTO child VALUES (1, 1)", database="shop")
    yield lambda statement: source_maria.sql(statement, database="shop")
    source_maria.sql("DROP DATABASE shop")


def config(source, target):
    return {"task": "pair", "mode": "full-load-and-cdc", "source": {"url": source.url("shop")}, "target": {"url": target},
            "tables": {"include": ["shop.%"]}, "state": "./state"}


def change(shop):
    shop(ROW % 2)
    shop("UPDATE t SET v = 'changed', n = n + 1, bt = b'1' WHERE id = 1")
    shop("INSERT INTO child VALUES (2, 3), (3, NULL)")
    shop("UPDATE t SET id = 100, d = 5 WHERE id = 2")
    shop("DELETE FROM child WHERE id = 1")
    shop("INSERT INTO t (b) SELECT 100 + seq FROM seq_1_to_2500")
    shop("UPDATE t SET x = concat('x', b) WHERE b > 100")
    shop("DELETE FROM t WHERE b BETWEEN 200 AND 1200")


def same_server(source, target, tailrace, shop):
    settings = config(source, target.url())
    drain(tailrace, settings)
    change(shop)
    drain(tailrace, settings)
    try:
        with source.connect("shop") as left, target.connect("shop") as right:
            equal_by_content(left, right, ["t", "child"])
        return target.sql("SHOW CREATE TABLE shop.t")[0][1]
    finally:
        target.drop_database("shop")
        target.drop_database("tailrace")


def test_mariadb_to_mariadb(source_maria, mariadb_server, shop, tailrace):
    made = same_server(source_maria, mariadb_server, tailrace, shop)
    for part in ("AUTO_INCREMENT", "GENERATED ALWAYS AS (`c` + 1) STORED",
                 "UNIQUE KEY `b` (`b`,`c`)", "KEY `x` (`x`(20))", "COMMENT='hello'"):
        assert part in made, made


def test_mariadb_to_mysql(source_maria, shop, tailrace):
    with mysql("9", options={"innodb-flush-log-at-trx-commit": 1}) as server:
        made = same_server(source_maria, server, tailrace, shop)
        assert "UNIQUE KEY `b` (`b`,`c`)" in made and "AUTO_INCREMENT" in made


def test_mariadb_to_postgresql(source_maria, target, shop, tailrace):
    settings = config(source_maria, target.url)
    drain(tailrace, settings)
    assert target.one("SELECT nextval(pg_get_serial_sequence('shop.t', 'id'))") == 3
    change(shop)
    drain(tailrace, settings)
    (row,) = target.sql(f"SELECT {', '.join(VALUES)} FROM shop.t WHERE id = 3")
    got = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in zip(VALUES, row)}
    assert got == VALUES
    assert target.sql("SELECT v, n, bt FROM shop.t WHERE id = 1") == [("changed", Decimal("12345679.54321"), "000000000001")]
    theirs = shop("SELECT count(*), sum(id), sum(b), sum(length(x)) FROM t")
    assert target.sql("SELECT count(*), sum(id), sum(b), sum(octet_length(x)) FROM shop.t") == [tuple(theirs[0])]
    assert target.sql("SELECT * FROM shop.child ORDER BY id") == [(2, 3), (3, None)]
    assert target.sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1") == [
        ("child_fk",), ("child_pkey",), ("t_b",), ("t_d",), ("t_pkey",), ("t_x",)]
    assert target.one("SELECT count(*) FROM shop.t WHERE gen IS DISTINCT FROM c + 1") == 0


def test_texts_of_other_character_sets_and_the_number_0_are_loaded_and_followed(source_maria, mariadb_server, tailrace):
    source_maria.sql("CREATE DATABASE texts CHARACTER SET utf8mb4")
    columns = ", ".join(f"c_{name} varchar(30) CHARACTER SET {name}" for name in ("latin1", "latin2", "utf16", "ucs2", "utf8mb3", "sjis", "gbk"))
    source_maria.sql(f"CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, {columns}, e enum('\u00e4', '\u20ac') CHARACTER SET latin1,"
                     " s set('\u00e4', '\u20ac') CHARACTER SET latin1)", database="texts")
    row = "'caf\u00e9 \u20ac', '\u010d\u00e4', '\u6f22 \U0001F600', '\u6f22', '\u6f22 \u20ac', '\u6f22', '\u6f22', '\u20ac', '\u00e4,\u20ac'"
    settings = {"task": "texts", "mode": "full-load-and-cdc", "source": {"url": source_maria.url("texts")}, "target": {"url": mariadb_server.url()},
                "tables": {"include": ["texts.%"]}, "state": "./state"}
    try:
        for key in (0, 2):
            source_maria.sql(f"INSERT INTO t VALUES ({key + 1}, {row})", database="texts")
            source_maria.sql(f"UPDATE t SET id = {key} WHERE id = {key + 1}", database="texts")
            drain(tailrace, settings)
        with source_maria.connect("texts") as left, mariadb_server.connect("texts") as right:
            equal_by_content(left, right, ["t"])
    finally:
        source_maria.drop_database("texts")
        mariadb_server.drop_database("texts")
        mariadb_server.drop_database("tailrace")
