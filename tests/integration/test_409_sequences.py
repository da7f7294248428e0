"""Sequences: MariaDB's to MariaDB, PostgreSQL and MySQL, PostgreSQL's to MariaDB; made before their tables, and never behind the source."""

import pytest

from harness import matrix
from harness.replication import drain
from harness.servers import MariaDB

pytestmark = pytest.mark.matrix
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


@pytest.fixture(scope="module")
def maria():
    with MariaDB(options=FAST, name="seqsrc") as server:
        yield server


@pytest.fixture
def shop(maria):
    maria.sql("CREATE DATABASE shop")

    def run(*statements):
        for statement in statements:
            rows = maria.sql(statement, database="shop")
        return rows

    run("CREATE SEQUENCE s INCREMENT BY 2 CACHE 10 COMMENT 'it''s'", "CREATE SEQUENCE `d``n` INCREMENT BY -1 NOCACHE",
        "CREATE SEQUENCE c START WITH 2 MAXVALUE 4 CYCLE CACHE 2", "CREATE SEQUENCE alone", "CREATE SEQUENCE spent MAXVALUE 2",
        "CREATE TABLE e (id int PRIMARY KEY)", "CREATE TABLE t (id bigint PRIMARY KEY DEFAULT NEXTVAL(s), d int DEFAULT (NEXT VALUE FOR `d``n`),"
        " c varchar(9) DEFAULT NEXTVAL(c), l bigint DEFAULT LASTVAL(s))",
        "INSERT INTO t () VALUES (), (), ()", "SELECT NEXTVAL(spent)", "SELECT NEXTVAL(spent)")
    yield run
    maria.sql("DROP DATABASE shop")


def config(source, target):
    return {"task": "pair", "mode": "full-load-and-cdc", "source": {"url": source}, "target": {"url": target}, "tables": {"include": ["shop.%"]},
            "state": "./state"}


NAMES = ["s", "d`n", "c", "alone", "spent"]


def shown(server, name):
    return server.sql(f"SHOW CREATE SEQUENCE shop.`{name.replace('`', '``')}`")[0][1]


def standing(server, name):
    return server.sql(f"SELECT next_not_cached_value, cycle_count FROM shop.`{name.replace('`', '``')}`")


@pytest.mark.parametrize("metadata", ["NO_LOG", "FULL"])
def test_mariadb_to_mariadb(maria, mariadb_server, shop, tailrace, metadata):
    target = mariadb_server
    maria.sql(f"SET GLOBAL binlog_row_metadata = '{metadata}'")
    settings = config(maria.url("shop"), target.url())
    try:
        drain(tailrace, settings)
        for name in NAMES:
            assert shown(target, name) == shown(maria, name)
            assert standing(target, name) == standing(maria, name)
        assert target.sql("SHOW CREATE TABLE shop.t")[0][1] == maria.sql("SHOW CREATE TABLE shop.t")[0][1]
        shop("INSERT INTO t () VALUES (), ()", "SELECT NEXTVAL(alone)", "CREATE SEQUENCE later START WITH 100", "ALTER SEQUENCE alone INCREMENT BY 7",
             "CREATE TABLE u (id int PRIMARY KEY DEFAULT (NEXT VALUE FOR later), v int)", "INSERT INTO u (v) VALUES (1), (2)",
             "CREATE SEQUENCE gone", "SELECT NEXTVAL(gone)",
             "DROP SEQUENCE gone", "RENAME TABLE spent TO renamed")
        if metadata == "FULL":  # otherwise the log does not name the columns of an older shape
            shop("ALTER TABLE e ADD COLUMN n bigint DEFAULT NEXTVAL(`later`)", "INSERT INTO e (id) VALUES (1), (2)")
        target.sql("SELECT SETVAL(shop.s, 100001)")  # it went on by itself
        drain(tailrace, settings)
        for name in ["d`n", "c", "alone", "later", "renamed"]:
            assert shown(target, name) == shown(maria, name)
            assert standing(target, name) == standing(maria, name)
        assert target.sql("SELECT NEXTVAL(shop.s)")[0][0] == 100003
        for table in ("t", "u", "e"):
            assert target.sql(f"SELECT * FROM shop.{table} ORDER BY id") == maria.sql(f"SELECT * FROM shop.{table} ORDER BY id")
            assert target.sql(f"SHOW CREATE TABLE shop.{table}")[0][1] == maria.sql(f"SHOW CREATE TABLE shop.{table}")[0][1]
        assert target.sql("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'gone'") == [(0,)]
        target.sql("INSERT INTO shop.u (v) VALUES (3)")
        shop("ALTER TABLE t ADD COLUMN n bigint DEFAULT NEXTVAL(later)")
        refused = tailrace.run("run", config={**settings, "stop": "drained"})
        assert refused.status != 0 and "only the source knows which row got which" in refused.stderr and "tailrace reload --table shop.t" in refused.stderr
    finally:
        maria.sql("SET GLOBAL binlog_row_metadata = DEFAULT")
        target.drop_database("shop")
        target.drop_database("tailrace")


def test_mariadb_to_postgresql(maria, target, shop, tailrace):
    settings = config(maria.url("shop"), target.url)
    drain(tailrace, settings)
    assert target.sql("SELECT sequencename, start_value, min_value, max_value, increment_by, cycle, cache_size FROM pg_sequences WHERE schemaname = 'shop'"
                      " ORDER BY sequencename COLLATE \"C\"") == [("alone", 1, 1, 9223372036854775806, 1, False, 1000), ("c", 2, 1, 4, 1, True, 2),
                                         ("d`n", -1, -9223372036854775807, -1, -1, False, 1),
                                         ("s", 1, 1, 9223372036854775806, 2, False, 10), ("spent", 1, 1, 2, 1, False, 1000)]
    shop("INSERT INTO t () VALUES (), ()", "SELECT NEXTVAL(alone)")
    drain(tailrace, settings)
    top = shop("SELECT max(id), min(d), count(*) FROM t")[0]
    target.sql("INSERT INTO shop.t (l) VALUES (NULL)")
    assert target.sql("SELECT count(*) FROM shop.t") == [(top[2] + 1,)]
    assert target.sql("SELECT max(id) > %d, min(d) < %d FROM shop.t" % top[:2]) == [(True, True)]
    assert target.one("SELECT obj_description('shop.s'::regclass)") == "it's"
    with pytest.raises(Exception, match="reached maximum value"):
        target.sql("SELECT nextval('shop.spent')")


def test_postgresql_to_mariadb(source, mariadb_server, tailrace):
    source.sql("CREATE SCHEMA shop; CREATE SEQUENCE shop.both INCREMENT BY 5 CACHE 3; CREATE TABLE shop.a (id serial PRIMARY KEY, n bigint DEFAULT nextval('shop.both'));"
               "CREATE TABLE shop.b (n bigint PRIMARY KEY DEFAULT nextval('shop.both'), m serial); INSERT INTO shop.a (n) VALUES (default), (default);"
               "INSERT INTO shop.b DEFAULT VALUES")
    settings = config(source.url, mariadb_server.url())
    try:
        drain(tailrace, settings)
        source.sql("INSERT INTO shop.b DEFAULT VALUES")
        drain(tailrace, settings)
        made = mariadb_server.sql("SHOW CREATE TABLE shop.a")[0][1]
        assert "`id` int(11) NOT NULL AUTO_INCREMENT" in made and "`n` bigint(20) DEFAULT nextval(`shop`.`both`)" in made
        assert "`m` int(11) NOT NULL AUTO_INCREMENT" in mariadb_server.sql("SHOW CREATE TABLE shop.b")[0][1]
        mariadb_server.sql("INSERT INTO shop.b (m) VALUES (9)")
        last = source.one("SELECT last_value FROM shop.both")
        assert mariadb_server.sql("SELECT max(n) FROM shop.b") == [(last + 5,)]
    finally:
        mariadb_server.drop_database("shop")
        mariadb_server.drop_database("tailrace")


def test_mariadb_to_mysql(maria, shop, tailrace):
    shop("INSERT INTO t () VALUES ()")
    with matrix.mysql("9", options={"innodb-flush-log-at-trx-commit": 1}) as server:
        settings = config(maria.url("shop"), server.url())
        report = tailrace.run("check", config=settings).stdout
        assert "mysql-target-sequence" in report and "shop.alone" in report, report
        drain(tailrace, settings)
        assert "nextval" not in server.sql("SHOW CREATE TABLE shop.t")[0][1]
        assert len(server.sql("SELECT * FROM shop.t")) == 4


def test_one_that_may_not_be_read(maria, shop, target, tailrace):
    maria.sql("CREATE USER limited IDENTIFIED BY 'pw'")
    maria.sql("GRANT REPLICATION SLAVE, BINLOG MONITOR, RELOAD ON *.* TO limited")
    maria.sql("GRANT SELECT ON shop.t TO limited")
    settings = config(maria.url("shop", user="limited", password="pw"), target.url)
    try:
        report = tailrace.run("check", config=settings).stdout
        assert "mysql-sequence-default" in report and "column id takes its numbers from a sequence that the account may not see" in report, report
        maria.sql("GRANT INSERT ON shop.s TO limited")
        assert "GRANT SELECT on the sequence" in tailrace.run("check", config=settings).stdout
        maria.sql("GRANT SELECT ON shop.* TO limited")
        assert "mysql-sequence-default" not in tailrace.run("check", config=settings).stdout
    finally:
        maria.sql("DROP USER limited")
