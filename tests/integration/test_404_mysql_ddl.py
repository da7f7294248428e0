"""DDL while streaming: carried as statements to the same engine, as differences of shape to another one."""

import re
import signal
import threading

import pytest

from harness import matrix
from harness.compare import equal_by_content
from harness.pairs import describe, rows_as_meant
from harness.replication import drain
from harness.servers import Database, MariaDB
from harness.wait import wait_until

pytestmark = pytest.mark.time_limit(400)
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}

SETUP = ["CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10) NOT NULL DEFAULT 'b')",
         "CREATE TABLE parent (id int PRIMARY KEY)", "INSERT INTO parent VALUES (1), (2), (5), (7)",
         "INSERT INTO t (id, a) VALUES (1, 1), (2, 2)"]

STATEMENTS = [
    "ALTER TABLE t ADD COLUMN c int DEFAULT 5 AFTER id, ADD COLUMN d datetime(3) NULL FIRST",
    "INSERT INTO t (id, a, c) VALUES (3, 3, 3)",
    "CREATE INDEX by_a ON t (a, c)",
    "alter table `{db}`.`t` /* a comment */ rename column a to `a``quoted`, comment = 'it''s `t`, of {db}.t'",
    "INSERT INTO t (id, `a``quoted`) VALUES (4, 4)",
    "ALTER TABLE t MODIFY b text, ALTER c SET DEFAULT 7",
    "UPDATE t SET b = repeat('x', 500) WHERE id = 4",
    "ALTER TABLE t CHANGE d e bigint unsigned DEFAULT 1",
    "INSERT INTO t (id) VALUES (5)",
    "UPDATE t SET c = 1",
    "ALTER TABLE t ADD CONSTRAINT up FOREIGN KEY (c) REFERENCES parent (id) ON DELETE CASCADE, ADD UNIQUE KEY u (e, id)",
    "UPDATE t SET c = 1 WHERE id < 3",
    "CREATE TABLE made (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES {db}.parent (id))",
    "INSERT INTO made VALUES (1, 1)",
    "CREATE TABLE alike LIKE made",
    "INSERT INTO alike VALUES (7, NULL)",
    "CREATE TABLE filled AS SELECT id, b FROM t",
    "DELETE FROM filled WHERE id = 1",
    "DROP INDEX by_a ON t",
    "ALTER TABLE t DROP COLUMN `a``quoted`",
    "INSERT INTO t (id) VALUES (6)",
    "RENAME TABLE alike TO other",
    "INSERT INTO other VALUES (8, NULL)",
    "ALTER TABLE other RENAME TO alike",
    "INSERT INTO alike VALUES (9, NULL)",
    "DROP TABLE IF EXISTS filled, nothing",
    "CREATE TABLE `made``too` (x int) COMMENT 'references parent'",
    "INSERT INTO `made``too` VALUES (1), (1)",
    "ALTER TABLE t CONVERT TO CHARACTER SET latin1",
    "UPDATE t SET b = '\u00e4' WHERE id = 5",
]


@pytest.fixture(scope="module", params=["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def engines(request):
    """A source and a target of one engine."""
    make = MariaDB if request.param == "mariadb" else lambda **kwargs: matrix.mysql("9", **kwargs)
    with make(options=FAST, name="src") as source, make(options=FAST, name="dst") as target:
        yield source, target


def config(source, target_url, name):
    return {"task": name, "mode": "full-load-and-cdc", "source": {"url": source.url(name)}, "target": {"url": target_url},
            "tables": {"include": [f"{name}.%"]}, "state": "./state", "workers": 3}


def prepare(source, target, name):
    for server in (source, target):
        server.drop_database(name)
    target.drop_database("tailrace")
    source.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    for statement in SETUP:
        source.sql(statement, database=name)


def definitions(server, name):
    tables = [row[0] for row in server.sql("SHOW TABLES", database=name)]
    shown = {table: server.sql(f"SHOW CREATE TABLE `{table.replace('`', '``')}`", database=name)[0][1] for table in tables}
    return {table: re.sub(r" AUTO_INCREMENT=\d+", "", text) for table, text in shown.items()}


def assert_same(source, target, name):
    assert definitions(source, name) == definitions(target, name)
    with source.connect(name) as left, target.connect(name) as right:
        equal_by_content(left, right, [((name, table), (name, table)) for table in definitions(source, name)])


def test_statements_of_the_same_engine_come_along(engines, tailrace):
    source, target = engines
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    half = len(STATEMENTS) // 2
    for statement in STATEMENTS[:half]:
        source.sql(statement.format(db="shop"), database="shop")
    drain(tailrace, settings)
    assert_same(source, target, "shop")
    tailrace.start("run", config=settings)
    tailrace.wait_log("streaming from")
    for statement in STATEMENTS[half:]:
        source.sql(statement.format(db="shop"), database="shop")
    assert tailrace.stop() == 0
    drain(tailrace, settings)
    drain(tailrace, settings)  # tables that were made on the way are not loaded anew
    assert_same(source, target, "shop")


SESSION = ["ALTER TABLE parent ADD COLUMN counted int AUTO_INCREMENT UNIQUE",
           "SET auto_increment_increment = 5, auto_increment_offset = 3", "ALTER TABLE t ADD COLUMN counted int AUTO_INCREMENT UNIQUE",
           "SET auto_increment_increment = DEFAULT, auto_increment_offset = DEFAULT",
           "SET @unknown = 1 /*!80011 , default_collation_for_utf8mb4 = utf8mb4_general_ci */", "SET @unknown = 1 /*M!110200 , character_set_collations = 'utf8mb4=utf8mb4_bin' */",
           "CREATE TABLE words (id int PRIMARY KEY, w varchar(9) CHARACTER SET utf8mb4)", "ALTER TABLE t ADD COLUMN words varchar(9) CHARACTER SET utf8mb4",
           "SET lc_time_names = de_DE", "ALTER TABLE t ADD COLUMN month varchar(20) DEFAULT (date_format('2001-05-01', '%M'))",
           "SET time_zone = '+03:00', timestamp = 1234567890.5",
           "ALTER TABLE t ADD COLUMN made datetime(6) DEFAULT CURRENT_TIMESTAMP(6), ADD COLUMN day date DEFAULT (CURRENT_DATE)",
           "SET time_zone = DEFAULT, timestamp = DEFAULT", "ALTER TABLE t ADD COLUMN touched timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP",
           "SET sql_mode = 'ANSI_QUOTES'", 'ALTER TABLE "t" ADD COLUMN "q" varchar(3) DEFAULT \'x\'', "ALTER TABLE t ADD COLUMN zero date NOT NULL",
           "SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "ALTER TABLE t ADD COLUMN slash varchar(9) DEFAULT '\\'", "INSERT INTO t (id, zero) VALUES (50, '2024-01-01')"]


def test_a_statement_is_run_as_in_its_session(engines, tailrace):
    """Its moment, its time zone, its sql_mode and what else changes its meaning are those of the source, as on a replica."""
    check_session(*engines, tailrace)


@pytest.mark.matrix
def test_a_statement_is_run_as_in_its_session_of_a_newer_mariadb(tailrace):
    """Its log tells of collations before it tells of the zone and the moment."""
    with matrix.mariadb("11.8", options=FAST) as source, matrix.mariadb("11.8", options=FAST) as target:
        check_session(source, target, tailrace)


def check_session(source, target, tailrace):
    """The statements of SESSION come out the same, whatever the target's own settings are."""
    target.sql("SET GLOBAL auto_increment_increment = 3")
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    with source.connect("shop") as session, session.cursor() as cursor:
        for statement in SESSION:
            cursor.execute(statement)
    drain(tailrace, settings)
    target.sql("SET GLOBAL auto_increment_increment = DEFAULT")
    assert_same(source, target, "shop")


def test_a_table_takes_the_collation_of_its_database(engines, tailrace):
    """What the stream's statement does not say its database does, and no log tells of that."""
    source, target = engines
    task = config(source, target.url(), "folded")
    prepare(source, target, "folded")
    source.sql("ALTER DATABASE folded CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    tailrace.start("run", config=task)
    tailrace.wait_log("streaming from")
    source.sql("CREATE TABLE folded.later (k varchar(20) PRIMARY KEY)")
    source.sql("INSERT INTO folded.later VALUES ('a'), ('A')")
    tailrace.wait_log("carried from the source: CREATE TABLE")
    assert tailrace.stop() == 0
    drain(tailrace, task)
    assert target.sql("SELECT k FROM folded.later ORDER BY k") == [("A",), ("a",)]


def test_tables_without_transactions_are_made_in_innodb(engines, tailrace):
    """The checkpoint is only worth something in the transaction of the rows."""
    source, target = engines
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    for statement in ("CREATE TABLE isam (id int PRIMARY KEY) ENGINE=MyISAM", "INSERT INTO isam VALUES (1)", "CREATE TABLE alike LIKE isam",
                      "ALTER TABLE t ENGINE=MyISAM", "INSERT INTO t (id) VALUES (90)"):
        source.sql(statement, database="shop")
    result = tailrace.run("run", config={**settings, "stop": "drained"})
    assert result.status == 0 and "it is one of InnoDB at the target" in result.stderr, result
    assert target.sql("SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = 'shop'") == [("InnoDB",)]
    assert target.sql("SELECT (SELECT count(*) FROM isam), (SELECT count(*) FROM t WHERE id = 90)", database="shop") == [(1, 1)]


def test_tables_whose_names_look_alike_and_columns_that_round(engines, tailrace):
    """MariaDB's catalogue takes t and T for one name as it sorts; what a generated column rounds is a note of the server, not a value that does not fit."""
    source, target = engines
    prepare(source, target, "shop")
    for statement in ("CREATE TABLE T (k int PRIMARY KEY, b int)", "CREATE TABLE `t\u00fc` (k int PRIMARY KEY, b int, c int)", "CREATE TABLE tu (c int PRIMARY KEY)",
                      "INSERT INTO T VALUES (1, 2)", "INSERT INTO `t\u00fc` VALUES (1, 2, 3)", "INSERT INTO tu VALUES (7)",
                      "CREATE TABLE rounds (id int PRIMARY KEY, p decimal(10,2), g decimal(10,2) AS (p * 1.2), s decimal(10,2) AS (p / 3) STORED)",
                      "INSERT INTO rounds (id, p) VALUES (1, 1.01), (2, 7.77)"):
        source.sql(statement, database="shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    source.sql("INSERT INTO rounds (id, p) VALUES (3, 2.02)", database="shop")
    source.sql("UPDATE T SET b = 4", database="shop")
    drain(tailrace, settings)
    assert_same(source, target, "shop")


@pytest.mark.matrix
def test_a_statement_is_run_once_whenever_the_process_dies(engines, make_tailrace):
    """ADD COLUMN would fail the second time; a second DROP and ADD of one name would lose the new one's values."""
    source, target = engines
    for number, point in enumerate(["sink.mysql.ddl.before", "sink.mysql.ddl.after", "sink.mysql.commit.before"]):
        name, tailrace = f"once{number}", make_tailrace()
        prepare(source, target, name)
        settings = config(source, target.url(), name)
        drain(tailrace, settings)
        for statement in ("ALTER TABLE t ADD COLUMN c int DEFAULT 3", "INSERT INTO t (id, c) VALUES (7, 7)", "ALTER TABLE t DROP COLUMN c",
                          "ALTER TABLE t ADD COLUMN c int DEFAULT 4", "INSERT INTO t (id) VALUES (8)", "CREATE TABLE n (id int PRIMARY KEY)",
                          "INSERT INTO n VALUES (1)", "DROP TABLE parent"):
            source.sql(statement, database=name)
        died = 0
        while True:
            result = tailrace.run("run", config={**settings, "stop": "drained"}, env={"TR_FAILPOINT": f"{point}:1"}, timeout=60)
            if result.status == 0:
                break
            assert result.status == -signal.SIGKILL, result
            died += 1
            assert died < 30, result
            # with the point hit at each first statement nothing would ever go on: let every other run pass
            assert tailrace.run("run", config={**settings, "stop": "drained"}, env={"TR_FAILPOINT": f"{point}:2"},
                                timeout=60).status in (0, -signal.SIGKILL)
        if died == 0:
            pytest.skip("this build has no fail points")
        assert_same(source, target, name)


NEW_NAMES = [("RENAME TABLE t TO new", "new", None), ("ALTER TABLE new RENAME AS t, ADD COLUMN c int DEFAULT 7", "t", "sink.mysql.ddl.before"),
             ("RENAME TABLE t TO new, parent TO t, new TO parent", "parent", "sink.mysql.ddl.after")]


def test_a_table_that_was_renamed_on_the_way_is_not_loaded_again(engines, tailrace):
    """A later start knows it under its new name, also when the process was killed at the statement."""
    source, target = engines
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    for number, (statement, table, point) in enumerate(NEW_NAMES):
        tailrace.start("run", config=settings, env={"TR_FAILPOINT": f"{point}:1"} if point else {})
        tailrace.wait_log("streaming from")
        source.sql(statement, database="shop")
        source.sql(f"INSERT INTO {table} (id, a) VALUES ({number + 50}, 1)", database="shop")

        def is_over():
            if not tailrace.running():
                return True
            there = target.sql("SELECT 1 FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = %s AND column_name = 'a'", (table,))
            return there and target.sql(f"SELECT count(*) FROM {table} WHERE id = {number + 50}", database="shop") == [(1,)]

        wait_until(is_over, 30, "the statement to be carried")
        if tailrace.running():
            assert tailrace.stop() == 0
        drain(tailrace, settings)
        assert_same(source, target, "shop")


@pytest.mark.matrix
def test_a_statement_that_the_target_is_still_at_is_waited_for(engines, make_tailrace):
    """An index without a name would be made twice."""
    source, target = engines
    name, tailrace = "still", make_tailrace()
    prepare(source, target, name)
    settings = {**config(source, target.url(), name), "stop": "drained"}
    drain(tailrace, settings)
    statement = "ALTER TABLE t ADD INDEX (a)"
    source.sql(statement, database=name)
    died = tailrace.run("run", config=settings, env={"TR_FAILPOINT": "sink.mysql.ddl.before:1"}, timeout=60)
    if died.status == 0:
        pytest.skip("this build has no fail points")

    def waiting(count):
        sql = "SELECT count(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%'"
        wait_until(lambda: target.sql(sql)[0][0] == count, 60, f"{count} statements that wait for the table")

    with target.connect(name) as reader, reader.cursor() as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM t")
        earlier = threading.Thread(target=target.sql, args=(statement,), kwargs={"database": name})
        earlier.start()
        waiting(1)
        tailrace.start("run", config=settings)
        waiting(2)
        reading.execute("COMMIT")
    earlier.join(60)
    assert tailrace.wait_exit() == 0, tailrace.stderr
    assert_same(source, target, name)


@pytest.mark.matrix
def test_an_exchange_of_what_looks_the_same_is_run_once(engines, make_tailrace):
    """Twice would be not at all."""
    source, target = engines
    name, tailrace = "swap-1", make_tailrace()
    for server in (source, target):
        server.drop_database(name)
    target.drop_database("tailrace")
    source.sql(f"CREATE DATABASE `{name}`")
    parts = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
    for statement in ("CREATE TABLE `live-a` (id int PRIMARY KEY, v int)", "CREATE TABLE stage_b LIKE `live-a`", "INSERT INTO `live-a` VALUES (1, 1)",
                      "INSERT INTO stage_b VALUES (1, 2)", f"CREATE TABLE pt (id int PRIMARY KEY, v int) {parts}", "INSERT INTO pt VALUES (1, 1), (11, 1)"):
        source.sql(statement, database=name)
    settings = {**config(source, target.url(), name), "stop": "drained"}
    assert tailrace.run("run", config=settings).status == 0
    for statement in ("RENAME TABLE `live-a` TO away, stage_b TO `live-a`, away TO stage_b", "ALTER TABLE pt EXCHANGE PARTITION p0 WITH TABLE stage_b"):
        source.sql(statement, database=name)
        died = tailrace.run("run", config=settings, env={"TR_FAILPOINT": "sink.mysql.ddl.after:1"}, timeout=60)
        if died.status == 0:
            pytest.skip("this build has no fail points")
        assert died.status == -signal.SIGKILL, died
        drain(tailrace, settings)
        assert_same(source, target, name)
    assert target.sql("SELECT v FROM `live-a`", database=name) == [(2,)] and target.sql("SELECT v FROM pt ORDER BY id", database=name) == [(1,), (1,)]


def test_a_statement_that_fails_at_the_target_is_refused(engines, tailrace):
    source, target = engines
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    drain(tailrace, settings)
    target.sql("ALTER TABLE t RENAME COLUMN a TO z", database="shop")
    source.sql("ALTER TABLE t RENAME COLUMN a TO y", database="shop")
    result = tailrace.run("run", config={**settings, "stop": "drained"})
    assert result.status == 1 and "carrying a statement" in result.stderr and "RENAME COLUMN a TO y" in result.stderr, result


def test_tables_outside_the_task_are_left_alone(engines, tailrace):
    source, target = engines
    prepare(source, target, "shop")
    settings = config(source, target.url(), "shop")
    settings["tables"] = {"include": ["shop.t"]}
    drain(tailrace, settings)
    target.sql("CREATE TABLE parent (mine int)", database="shop")
    for statement in ("ALTER TABLE parent ADD COLUMN x int", "DROP TABLE parent", "CREATE TABLE parent (id int)", "CREATE VIEW v AS SELECT 1",
                      "ALTER TABLE t ADD KEY k (a)", "CREATE PROCEDURE p() BEGIN ALTER TABLE t ADD COLUMN no int; END"):
        source.sql(statement, database="shop")
    drain(tailrace, settings)
    assert set(definitions(target, "shop")) == {"t", "parent"} and "mine" in definitions(target, "shop")["parent"]
    assert "KEY `k`" in definitions(target, "shop")["t"]


CHANGES = [
    "ALTER TABLE t ADD COLUMN i int DEFAULT 5 FIRST, ADD COLUMN s varchar(10) DEFAULT 'it''s' AFTER id, ADD COLUMN n int NULL",
    "INSERT INTO t (id, a) VALUES (11, 1)",
    "ALTER TABLE t ADD COLUMN at datetime(3) NULL, ADD COLUMN k enum('x','y') DEFAULT 'y', ADD COLUMN c decimal(8,2) NOT NULL DEFAULT 1.50",
    "UPDATE t SET at = '2024-02-29 01:02:03.456', k = 'x', c = 7 WHERE id = 1",
    "ALTER TABLE t MODIFY i bigint DEFAULT 6, MODIFY s varchar(40), MODIFY c decimal(12,2)",
    "INSERT INTO t (id, a, i, s, c) VALUES (12, 2, 5000000000, repeat('w', 40), 1234567890.25)",
    "ALTER TABLE t DROP COLUMN n, ADD KEY (a)",
    "INSERT INTO t (id, a) VALUES (13, 3)",
]


@pytest.mark.parametrize("at_once", [True, pytest.param(False, marks=pytest.mark.matrix)])
def test_another_engine_gets_the_difference(engines, target, tailrace, at_once):
    """Whether the process sees the change come, or finds it when it starts."""
    source, _ = engines
    prepare(source, source, "shop")
    settings = config(source, target.url, "shop")
    drain(tailrace, settings)
    if at_once:
        tailrace.start("run", config=settings)
        tailrace.wait_log("streaming from")
    for statement in CHANGES:
        source.sql(statement, database="shop")
        if not at_once and not statement.startswith("ALTER"):
            drain(tailrace, settings)
    if at_once:
        assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, settings)
    columns = ["id", "a", "b", "i", "s", "at", "k", "c"]
    left, right = (rows_as_meant(side, ("shop", "t"), columns) for side in (Database(source, "shop"), target))
    assert left == right, describe("t", columns, left - right, right - left)


@pytest.fixture
def other_engine():
    """Of MySQL and MariaDB the one that a server is not."""
    made = []

    def make(server):
        options = {"options": FAST, "name": "other"}
        made.append((MariaDB(**options) if server.kind == "mysql" else matrix.mysql("9", **options)).start())
        return made[-1]

    yield make
    for server in made:
        server.remove()


RENAMES = ["ALTER TABLE t RENAME COLUMN a TO z", "ALTER TABLE t CHANGE b `B c` varchar(10) NOT NULL DEFAULT 'n', ADD COLUMN a int",
           "ALTER TABLE t CHANGE z a int, CHANGE a z int DEFAULT 4", "ALTER TABLE t RENAME COLUMN id TO k"]


@pytest.mark.parametrize("engine", ["same", "postgresql", pytest.param("other", marks=pytest.mark.matrix)])
def test_columns_renamed_while_the_task_stood_still(engines, other_engine, target, tailrace, engine):
    """Rows before each statement, behind it and from the load: all under the names of the end; an exchange of names too."""
    source, other = engines
    if engine == "other":
        other = other_engine(source)
    prepare(source, other, "shop")
    settings = config(source, target.url if engine == "postgresql" else other.url(), "shop")
    drain(tailrace, settings)
    for number, statement in enumerate(RENAMES):
        key = "id" if number < 4 else "k"
        source.sql(f"INSERT INTO t ({key}) VALUES ({number + 30})", database="shop")
        source.sql("UPDATE t SET {} = {} WHERE id = 1".format(("a", "z", "z", "a")[number], number + 10), database="shop")
        source.sql(statement, database="shop")
        if number == 1:
            drain(tailrace, settings)  # a checkpoint behind a statement whose table got no row since
    source.sql("INSERT INTO t (k, a, z, `B c`) VALUES (14, 1, 2, 'x')", database="shop")
    drain(tailrace, settings)
    columns = ["k", "a", "z", "B c"]
    left, right = (rows_as_meant(side, ("shop", "t"), columns) for side in (Database(source, "shop"), target if engine == "postgresql" else Database(other, "shop")))
    assert left == right, describe("t", columns, left - right, right - left)


@pytest.mark.matrix
def test_unsigned_numbers_grow(engines, other_engine, tailrace):
    source = engines[0]
    other = other_engine(source)
    prepare(source, other, "shop")
    settings = config(source, other.url(), "shop")
    source.sql("CREATE TABLE grows (id int PRIMARY KEY, a tinyint unsigned, b int unsigned, c int unsigned)", database="shop")
    drain(tailrace, settings)
    tailrace.start("run", config=settings)
    tailrace.wait_log("streaming from")
    for statement in ("INSERT INTO grows VALUES (0, 1, 1, 1)",
                      "ALTER TABLE grows MODIFY a smallint unsigned, MODIFY b bigint unsigned, MODIFY c bigint",
                      "INSERT INTO grows VALUES (1, 65535, 18446744073709551615, -1)"):
        source.sql(statement, database="shop")
    expected = [(0, 1, 1, 1), (1, 65535, 2**64 - 1, -1)]
    wait_until(lambda: other.sql("SELECT * FROM grows ORDER BY id", database="shop") == expected, 60, "the rows", give_up=tailrace.check_running)
    assert tailrace.stop() == 0, tailrace.stderr


ADDED = ["ALTER TABLE t ADD COLUMN s varchar(10) NOT NULL DEFAULT 'it''s', ADD COLUMN e enum('a','b') DEFAULT 'b', ADD COLUMN d date DEFAULT '2024-01-01',"
         " ADD COLUMN n decimal(5,2) DEFAULT 1.5, ADD COLUMN u varchar(3) DEFAULT NULL FIRST, ADD COLUMN y varbinary(10) DEFAULT 'a',"
         " ADD COLUMN z binary(3) DEFAULT 'b'",
         "ALTER TABLE t MODIFY s varchar(40) NOT NULL DEFAULT 'it''s', ADD INDEX (s), ADD COLUMN j json", "ALTER TABLE t DROP COLUMN d"]


@pytest.mark.matrix
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("engine", ["other", "postgresql"])
def test_another_engine_gets_columns_with_their_defaults(engines, other_engine, target, tailrace, engine, at_once):
    source, other = engines
    if engine == "other":
        other = other_engine(source)
    prepare(source, other, "shop")
    settings = config(source, target.url if engine == "postgresql" else other.url(), "shop")
    drain(tailrace, settings)
    if at_once:
        tailrace.start("run", config=settings)
        tailrace.wait_log("streaming from")
    for number, statement in enumerate(ADDED):
        source.sql(statement, database="shop")
        source.sql(f"INSERT INTO t (id, a) VALUES ({100 + number}, 7)", database="shop")
    if at_once:
        assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, settings)
    columns = ["id", "a", "s", "e", "n", "u", "j", "y", "z"]
    left, right = (rows_as_meant(side, ("shop", "t"), columns) for side in (Database(source, "shop"), target if engine == "postgresql" else Database(other, "shop")))
    assert left == right, describe("t", columns, left - right, right - left)


AGAIN = ["ALTER TABLE t ADD COLUMN c int DEFAULT 7, ADD (d varchar(5) NOT NULL, `e f` enum('x','y') NOT NULL COMMENT 'a, b'), ADD n int NOT NULL AFTER id",
         "ALTER TABLE t ALTER COLUMN c SET DEFAULT 8, ADD COLUMN gone int NOT NULL DEFAULT 3",
         "SET time_zone = '+03:00', timestamp = 1234567890.5",
         "ALTER TABLE t ADD made datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), ADD day date DEFAULT (CURRENT_DATE), ADD ts timestamp NULL DEFAULT now()",
         "SET time_zone = DEFAULT, timestamp = DEFAULT",
         "ALTER TABLE t RENAME COLUMN d TO h, ALTER `e f` SET DEFAULT 'y'",
         "ALTER TABLE t DROP COLUMN gone, MODIFY h varchar(50) NOT NULL DEFAULT 'later'",
         "INSERT INTO t (id, n) VALUES (80, 1)"]


@pytest.mark.parametrize("engine", ["postgresql", pytest.param("other", marks=pytest.mark.matrix)])
def test_older_rows_hold_what_the_column_was_added_with(engines, other_engine, target, tailrace, engine):
    """Of the statement, not of the catalogue, which knows later names and defaults. A name that is used again is another column."""
    source, other = engines
    if engine == "other":
        other = other_engine(source)
    prepare(source, other, "shop")
    settings = config(source, target.url if engine == "postgresql" else other.url(), "shop")
    drain(tailrace, settings)
    with source.connect("shop") as session, session.cursor() as cursor:
        for number, statement in enumerate(AGAIN):
            cursor.execute(statement)
            if number in (0, 5):
                drain(tailrace, settings)  # a checkpoint between the statement and the first row of its shape
    drain(tailrace, settings)
    columns = ["id", "a", "b", "c", "h", "e f", "n", "made", "day", "ts"]
    side = target if engine == "postgresql" else Database(other, "shop")

    def same():
        left, right = (rows_as_meant(one, ("shop", "t"), columns) for one in (Database(source, "shop"), side))
        assert left == right, describe("t", columns, left - right, right - left)

    same()
    source.sql("ALTER TABLE t ADD COLUMN gone int DEFAULT 4", database="shop")
    source.sql("INSERT INTO t (id, n) VALUES (81, 2)", database="shop")
    result = tailrace.run("run", config={**settings, "stop": "drained"})
    assert result.status == 1 and "has a new one of this name" in result.stderr, result
    remedy = re.search(r"run at the target: (.*?); then start again", result.stderr)[1]
    for statement in remedy.split("; "):
        (target.sql if engine == "postgresql" else other.sql)(statement)
    drain(tailrace, settings)
    columns.append("gone")
    same()


@pytest.mark.matrix
@pytest.mark.parametrize("engines", ["mariadb"], indirect=True)  # MySQL refuses such a statement itself (1674)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_other_of_the_two_is_not_given_values_of_its_own(engines, other_engine, tailrace, at_once):
    """A default that is evaluated: the rows that are there have got a value that only the source knows."""
    source, _ = engines
    other = other_engine(source)
    prepare(source, other, "shop")
    settings = config(source, other.url(), "shop")
    drain(tailrace, settings)
    if at_once:
        tailrace.start("run", config=settings)
        tailrace.wait_log("streaming from")
    source.sql("ALTER TABLE t ADD COLUMN at varchar(36) DEFAULT (uuid())", database="shop")
    source.sql("INSERT INTO t (id, a) VALUES (77, 7)", database="shop")
    status, text = (tailrace.wait_exit(), tailrace.stderr) if at_once else \
        (lambda result: (result.status, result.stderr))(tailrace.run("run", config={**settings, "stop": "drained"}))
    assert status == 1 and 'the source has a new column "at"' in text, text
    remedy = re.search(r"run at the target: (.*?); then start again", text)[1]
    other.sql(remedy, database="shop")
    drain(tailrace, settings)
    assert other.sql("SELECT count(*) FROM t WHERE id = 77", database="shop") == [(1,)]


@pytest.mark.matrix
def test_columns_of_the_other_of_the_two_that_are_numbered_dropped_or_renamed(engines, other_engine, tailrace):
    """Numbers that rows got are in no log. A column with a check is kept as others are; its values are not those of one that gets its name."""
    source, _ = engines
    other = other_engine(source)
    prepare(source, other, "shop")
    source.sql("ALTER TABLE t ADD COLUMN j json", database="shop")
    source.sql("CREATE TABLE bare (id int PRIMARY KEY)", database="shop")
    settings = config(source, other.url(), "shop")
    drain(tailrace, settings)

    def refused(statement, words):
        source.sql(statement, database="shop")
        source.sql("INSERT INTO t (id) SELECT max(id) + 1 FROM t", database="shop")
        result = tailrace.run("run", config={**settings, "stop": "drained"})
        assert result.status == 1 and words in result.stderr, result
        other.sql(re.search(r"run at the target: (.*?); then start again", result.stderr)[1], database="shop")
        drain(tailrace, settings)

    if source.kind == "mariadb":  # MySQL calls it unsafe
        source.sql("ALTER TABLE bare ADD COLUMN u varchar(36) DEFAULT (uuid())", database="shop")
    source.sql("INSERT INTO bare (id) VALUES (1)", database="shop")
    source.sql("ALTER TABLE t DROP COLUMN j", database="shop")
    source.sql("INSERT INTO t (id, a) VALUES (90, 7)", database="shop")
    drain(tailrace, settings)
    assert other.sql("SELECT * FROM bare", database="shop") == source.sql("SELECT * FROM bare", database="shop")
    assert other.sql("SELECT j FROM t WHERE id = 90", database="shop") == [(None,)]
    refused("ALTER TABLE t RENAME COLUMN a TO j", "has dropped one that the target still has")
    assert other.sql("SELECT id, j FROM t ORDER BY id", database="shop") == source.sql("SELECT id, j FROM t ORDER BY id", database="shop")
    refused("ALTER TABLE t DROP COLUMN b, RENAME COLUMN j TO b", "has dropped one that the target still has")
    assert other.sql("SELECT id, b FROM t ORDER BY id", database="shop") == source.sql("SELECT id, b FROM t ORDER BY id", database="shop")
    refused("ALTER TABLE t ADD COLUMN num int NOT NULL AUTO_INCREMENT UNIQUE", 'a new column "num"')


def test_an_exchange_of_names_that_the_log_does_not_tell_is_refused(engines, target, tailrace):
    """Without names in the log, rows from before it would be taken for rows from behind it."""
    source, _ = engines
    prepare(source, source, "shop")
    source.sql("ALTER TABLE t ADD COLUMN c int", database="shop")
    settings = config(source, target.url, "shop")
    source.sql("SET GLOBAL binlog_row_metadata = 'MINIMAL'")
    try:
        drain(tailrace, settings)
        source.sql("INSERT INTO t (id, a, c) VALUES (21, 1, 2)", database="shop")
        source.sql("CREATE INDEX by_a ON t (a)", database="shop")
        drain(tailrace, settings)
        tailrace.start("run", config=settings)
        tailrace.wait_log("streaming from")
        source.sql("INSERT INTO t (id, a, c) VALUES (22, 1, 2)", database="shop")
        wait_until(lambda: target.one("SELECT count(*) FROM shop.t WHERE id = 22") == 1, 30, "the row")
        source.sql("ALTER TABLE t CHANGE a c int, CHANGE c a int", database="shop")
        source.sql("INSERT INTO t (id, a, c) VALUES (23, 1, 2)", database="shop")
        wait_until(lambda: target.one("SELECT count(*) FROM shop.t WHERE id = 23") == 1, 30, "the row")
        assert tailrace.stop() == 0, tailrace.stderr
        assert target.sql("SELECT id, a, c FROM shop.t WHERE id > 20 ORDER BY 1") == [(21, 2, 1), (22, 2, 1), (23, 1, 2)]
        source.sql("INSERT INTO t (id, a, c) VALUES (24, 1, 2)", database="shop")
        source.sql("ALTER TABLE t CHANGE a c int, CHANGE c a int", database="shop")
        result = tailrace.run("run", config={**settings, "stop": "drained"})
        assert result.status == 1 and "binlog_row_metadata" in result.stderr and "shop.t was changed at" in result.stderr, result
    finally:
        source.sql("SET GLOBAL binlog_row_metadata = 'FULL'")


@pytest.mark.matrix
def test_an_index_of_a_column_that_the_stream_brings_does_not_stop_the_load_of_a_new_table(engines, target, tailrace):
    """Both came while the task stood still: the older table has the column only when the stream has passed the statement."""
    source, _ = engines
    prepare(source, source, "shop")
    settings = config(source, target.url, "shop")
    drain(tailrace, settings)
    source.sql("ALTER TABLE t ADD COLUMN late int DEFAULT 3, ADD INDEX by_late (late)", database="shop")
    source.sql("CREATE TABLE fresh (id int PRIMARY KEY)", database="shop")
    source.sql("INSERT INTO fresh VALUES (1)", database="shop")
    source.sql("INSERT INTO t (id, a) VALUES (30, 1)", database="shop")
    result = drain(tailrace, settings)
    assert re.search(r'index shop\.t_by_late is not made: .*column "late" does not exist', result.stderr), result
    assert target.sql("SELECT late FROM shop.t WHERE id IN (1, 30)") == [(3,), (3,)]
    assert target.sql("SELECT id FROM shop.fresh") == [(1,)]


@pytest.mark.matrix
def test_rows_that_move_with_a_partition_are_told_of(engines, target, tailrace):
    """Another engine keeps them; the same engine runs the statement, or refuses it on tables that were loaded before and after it."""
    source, own = engines
    prepare(source, own, "shop")
    source.sql("CREATE TABLE pt (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))", database="shop")
    source.sql("INSERT INTO pt VALUES (1), (11), (12)", database="shop")
    other, same = {**config(source, target.url, "shop"), "state": "./other"}, config(source, own.url(), "shop")
    drain(tailrace, other)
    drain(tailrace, same)
    source.sql("CREATE TABLE ptx (id int PRIMARY KEY)", database="shop")
    source.sql("INSERT INTO ptx VALUES (13)", database="shop")
    source.sql("ALTER TABLE pt DROP PARTITION p0", database="shop")
    told = drain(tailrace, other)
    assert re.search(r"warning .*moved rows of shop\.pt .*DROP PARTITION p0", told.stderr), told
    assert target.sql("SELECT id FROM shop.pt ORDER BY id") == [(1,), (11,), (12,)]
    source.sql("ALTER TABLE pt EXCHANGE PARTITION p1 WITH TABLE ptx", database="shop")
    refused = tailrace.run("run", "--stop", "drained", config=same)
    assert refused.status != 0 and re.search(r"between shop\.pt and shop\.ptx.*EXCHANGE", refused.stderr) and "reload" in refused.stderr, refused
    assert tailrace.run("reload", "--table", "shop.pt,shop.ptx", config=same).status == 0
    drain(tailrace, same)
    assert_same(source, own, "shop")


@pytest.mark.matrix
def test_of_tables_with_a_history_the_rows_that_are_there_are_carried(engines, target, tailrace):
    """MariaDB logs a deletion as an update of the time until which the row held, and each row that is over once more."""
    source, own = engines
    if source.kind != "mariadb":
        pytest.skip("MariaDB's")
    prepare(source, own, "shop")
    for statement in ("CREATE TABLE v (id int PRIMARY KEY, a int) WITH SYSTEM VERSIONING", "INSERT INTO v VALUES (1, 1), (2, 2)",
                      "CREATE TABLE p (id int PRIMARY KEY, a int, s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED ALWAYS AS"
                      " ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING", "INSERT INTO p (id, a) VALUES (1, 1), (2, 2)",
                      "CREATE TABLE k (id int, a int) WITH SYSTEM VERSIONING", "INSERT INTO k VALUES (1, 1), (1, 1), (2, 2)"):
        source.sql(statement, database="shop")
    ends = [(own, "shop", "", {**config(source, own.url(), "shop"), "state": "./own"}),
            (target.server, target.name, "shop.", {**config(source, target.url, "shop"), "state": "./other"})]
    for _ in range(2):
        for *_, settings in ends:
            drain(tailrace, settings)
        for table in "vpk":
            source.sql(f"UPDATE {table} SET a = a + 10 WHERE id = 1", database="shop")
            source.sql(f"DELETE FROM {table} WHERE id = 2", database="shop")
            source.sql(f"INSERT INTO {table} (id, a) VALUES (2, 5), (3, 3)", database="shop")
            source.sql(f"DELETE FROM {table} WHERE id = 3", database="shop")
        source.sql("REPLACE INTO v VALUES (1, 77)", database="shop")
        with source.connect("shop") as connection, connection.cursor() as cursor:
            cursor.execute("SET system_versioning_alter_history = KEEP")
            cursor.execute("ALTER TABLE k ADD COLUMN IF NOT EXISTS c int DEFAULT 4")
    for *_, settings in ends:
        drain(tailrace, settings)
    for end, database, prefix, _ in ends:
        for table in "vpk":
            query = f"SELECT id, a{', c' if table == 'k' else ''} FROM {{}}{table} ORDER BY id, a"
            assert [tuple(row) for row in end.sql(query.format(prefix), database=database)] == list(source.sql(query.format(""), database="shop")), table
