"""Columns that get another type under way, towards PostgreSQL: older rows are what the source's are, or the task stops before one is another."""

import pytest

from harness import matrix
from harness.pairs import Whole, describe, rows_as_meant
from harness.replication import drain, task_config
from harness.servers import MariaDB

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}

# type before and after, values of older rows, of newer ones
CARRIED = {
    "u": ("int", "int unsigned", ("1", "NULL"), ("4294967295", "0")),
    "u8": ("tinyint", "tinyint unsigned", ("1", "127"), ("255", "0")),
    "u24": ("mediumint", "mediumint unsigned", ("1", "2"), ("16777215", "0")),
    "u64": ("bigint", "bigint unsigned", ("1", "2"), ("18446744073709551615", "0")),
    "s": ("int unsigned", "int", ("1", "2"), ("-5", "0")),
    "d": ("decimal(10,4)", "decimal(8,2)", ("1.2345", "-1.235"), ("3.25", "0")),
    "di": ("decimal(10,4)", "int", ("1.5", "-2.5"), ("3", "0")),
    "i": ("int", "decimal(12,2)", ("1", "2"), ("3.25", "0")),
    "b": ("binary(3)", "binary(5)", ("'abc'", "'d'"), ("'efghi'", "''")),
    "vb": ("varbinary(5)", "binary(5)", ("'abc'", "'d'"), ("'efghi'", "''")),
    "c": ("varchar(10)", "char(10)", ("'a '", "'b'"), ("'c'", "''")),
    "e": ("enum('a','b')", "enum('b','a','c')", ("'a'", "'b'"), ("'b'", "'c'")),
    "ev": ("enum('a','b')", "varchar(10)", ("'a'", "'b'"), ("'b'", "'zzz'")),
    "st": ("set('a','b')", "set('b','a')", ("'a,b'", "'b'"), ("'a,b'", "''")),
    "dt": ("date", "datetime", ("'2020-01-01'", "NULL"), ("'2020-01-01 10:00:00'", "NULL")),
    "iv": ("int", "varchar(10)", ("17", "-1"), ("'abc'", "''")),
    "f": ("float", "double", ("0.1", "1e20"), ("0.1", "1e200")),
    "t": ("datetime(6)", "datetime(3)", ("'2020-01-01 00:00:00.123'", "NULL"), ("'2020-01-01 00:00:00.5'", "NULL")),
}

REFUSED = [("int", "int unsigned", "-7", False), ("smallint", "tinyint", "1000", False), ("varchar(10)", "varchar(5)", "'abcdefgh'", False),
           ("enum('a','b')", "enum('x','b')", "'a'", False), ("datetime(6)", "datetime(3)", "'2020-01-01 00:00:00.123456'", True),
           ("datetime", "timestamp NULL", "'2020-01-01 10:00:00'", True), ("text", "blob", "'abc'", True), ("int", "year", "5", True),
           ("varchar(10)", "enum('a','b')", "'B'", True), ("int(5) zerofill", "varchar(10)", "17", True)]


@pytest.fixture(scope="module", params=["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def server(request):
    with MariaDB(options=FAST) if request.param == "mariadb" else matrix.mysql("9", options=FAST) as made:
        yield made


@pytest.fixture
def source(server):
    database = server.database()
    yield database
    database.drop()


def same(source, target):
    columns = [name for name, in source.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 't'", (source.name,))]
    left, right = (rows_as_meant(side, (source.name, "t"), columns) for side in (source, target))
    assert left == right, describe("t", columns, left - right, right - left)


@pytest.mark.parametrize("at_once", [True, pytest.param(False, marks=pytest.mark.matrix)])
def test_what_both_engines_convert_alike_is_carried(source, target, tailrace, at_once):
    """With the statement, or where the log before it stood still."""
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    source.sql("CREATE TABLE t (id int PRIMARY KEY, " + ", ".join(f"{name} {kind[0]}" for name, kind in CARRIED.items()) + ")")
    for row in (0, 1):
        source.sql(f"INSERT INTO t VALUES ({row}, " + ", ".join(kind[2][row] for kind in CARRIED.values()) + ")")
    drain(tailrace, config)
    source.sql("ALTER TABLE t " + ", ".join(f"MODIFY {name} {kind[1]}" for name, kind in CARRIED.items()))
    if at_once:
        drain(tailrace, config)
        same(source, target)
    for row in (0, 1):
        source.sql(f"INSERT INTO t VALUES ({row + 2}, " + ", ".join(kind[3][row] for kind in CARRIED.values()) + ")")
    source.sql("UPDATE t SET id = 9 WHERE id = 0")
    drain(tailrace, config)
    same(source, target)


@pytest.mark.parametrize("before, after, value, strict", [REFUSED[0], *(pytest.param(*case, marks=pytest.mark.matrix) for case in REFUSED[1:])])
def test_what_the_source_alone_knows_is_refused(source, target, tailrace, before, after, value, strict):
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    source.sql(f"CREATE TABLE t (id int PRIMARY KEY, c {before})")
    source.sql(f"INSERT INTO t VALUES (1, {value})")
    drain(tailrace, config)
    with source.connect() as session, session.cursor() as cursor:
        if not strict:
            cursor.execute("SET sql_mode = ''")
        cursor.execute(f"ALTER TABLE t MODIFY c {after}")
    result = tailrace.run("run", "--stop", "drained", config=config)
    assert result.status == 1 and "is in no log" in result.stderr and "tailrace reload --table" in result.stderr, result


def test_columns_that_compute_themselves_are_made_again_around_it(source, target, tailrace):
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, g bigint AS (n * 2) STORED COMMENT 'twice', h int AS (n + id) STORED,"
               " KEY (g), UNIQUE (g, id), v int AS (id * 3) STORED)")
    source.sql("INSERT INTO t (id, n) VALUES (1, 1), (2, 5)")
    drain(tailrace, config)

    def shown():
        return target.sql("SELECT (SELECT array_agg(a.attname || ':' || a.attgenerated::text || coalesce(col_description(a.attrelid, a.attnum), '') ORDER BY a.attname)"
                          "  FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped),"
                          " (SELECT array_agg(indexdef ORDER BY indexdef) FROM pg_indexes WHERE schemaname = %s)", (f"{source.name}.t", source.name))

    before = shown()
    source.sql("ALTER TABLE t MODIFY n bigint NOT NULL")
    source.sql("INSERT INTO t (id, n) VALUES (3, -300), (4, 4)")
    drain(tailrace, config)
    same(source, target)
    assert shown() == before and before[0][1], shown()
    assert target.sql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'n'", (f"{source.name}.t",)) == [("bigint",)]


def test_a_name_that_goes_to_another_table_is_refused(source, target, tailrace):
    """The target's has the rows of the one before. Loaded again, it has those of the new one."""
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    for table in ("t", "u"):
        source.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, c varchar(5))")
        source.sql(f"INSERT INTO {table} VALUES (1, '{table}')")
    drain(tailrace, config)
    source.sql("RENAME TABLE t TO old, u TO t")
    source.sql("INSERT INTO t VALUES (2, 'new')")
    for _ in range(2):  # and when it is started again
        result = tailrace.run("run", "--stop", "drained", config=config)
        assert result.status == 1 and "gave the name" in result.stderr and f"reload --table {source.name}.t" in result.stderr, result
    assert tailrace.run("reload", "--table", f"{source.name}.t", config=config).status == 0
    drain(tailrace, config)
    same(source, target)


KEYS = [("b int NOT NULL", "ADD PRIMARY KEY (id)", "(3, 1)"), ("b int NOT NULL, PRIMARY KEY (id)", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, b)", "(1, 7)"),
        ("b int NOT NULL, PRIMARY KEY (id)", "DROP PRIMARY KEY", "(1, 1)"), ("b int NOT NULL, PRIMARY KEY (id)", "DROP PRIMARY KEY, DROP id, ADD PRIMARY KEY (b)", "(7)")]


@pytest.mark.parametrize("before, change, after", [*KEYS[:2], *(pytest.param(*case, marks=pytest.mark.matrix) for case in KEYS[2:])])
def test_a_primary_key_is_exchanged(source, target, tailrace, before, change, after):
    """Between the last row that the old one tells apart, and the first that only the new one does; also where nothing but the memory at the target tells of it."""
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    source.sql(f"CREATE TABLE t (id int NOT NULL, {before})")
    source.sql("INSERT INTO t VALUES (1, 1), (2, 2)")
    drain(tailrace, config)
    source.sql(f"ALTER TABLE t {change}")
    drain(tailrace, config)
    source.sql(f"INSERT INTO t VALUES {after}")
    source.sql("UPDATE t SET b = b + 10 WHERE b = 2")
    drain(tailrace, config)
    same(source, target)
    theirs = target.sql("SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid = %s::regclass", (f"{source.name}.t",))
    assert theirs == [(int("ADD" in change),)]


@pytest.fixture(scope="module")
def other(server):
    """Of MySQL and MariaDB the one that the source is not."""
    with MariaDB(options=FAST, name="other") if server.kind == "mysql" else matrix.mysql("9", options=FAST, name="other") as made:
        yield made


@pytest.mark.matrix
def test_within_the_family(source, other, tailrace):
    target = Whole(other)
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    source.sql("CREATE TABLE t (id int PRIMARY KEY, " + ", ".join(f"{name} {kind[0]}" for name, kind in CARRIED.items()) + ")")
    for row in (0, 1):
        source.sql(f"INSERT INTO t VALUES ({row}, " + ", ".join(kind[2][row] for kind in CARRIED.values()) + ")")
    drain(tailrace, config)
    source.sql("ALTER TABLE t " + ", ".join(f"MODIFY {name} {kind[1]}" for name, kind in CARRIED.items()))
    drain(tailrace, config)
    same(source, target)
    for row in (0, 1):
        source.sql(f"INSERT INTO t VALUES ({row + 2}, " + ", ".join(kind[3][row] for kind in CARRIED.values()) + ")")
    source.sql("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, u64)")
    source.sql("INSERT INTO t (id, u64) VALUES (1, 77)")
    drain(tailrace, config)
    same(source, target)
    source.sql("ALTER TABLE t MODIFY dt timestamp NULL")
    result = tailrace.run("run", "--stop", "drained", config=config)
    assert result.status == 1 and "is in no log" in result.stderr and f"tailrace reload --table {source.name}.t" in result.stderr, result
    other.drop_database(source.name)
    target.drop()


@pytest.mark.parametrize("to", ["postgresql", pytest.param("other", marks=pytest.mark.matrix)])
def test_a_table_that_is_made_anew_if_it_is_not_there(source, target, tailrace, request, to):
    """CREATE TABLE IF NOT EXISTS of one that is there does nothing; behind DROP TABLE, however long ago, the target has the old one's rows."""
    target = target if to == "postgresql" else Whole(request.getfixturevalue("other"))
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]})
    made = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, u int, UNIQUE KEY uu (u))"
    for statement in (made, "INSERT INTO t VALUES (1, 1)"):
        source.sql(statement)
    drain(tailrace, config)
    source.sql(made)
    drain(tailrace, config)
    source.sql("DROP TABLE t")
    drain(tailrace, config)
    for statement in (made, "INSERT INTO t VALUES (2, 2)"):
        source.sql(statement)
    for _ in range(2):
        result = tailrace.run("run", "--stop", "drained", config=config)
        assert result.status == 1 and "made it anew" in result.stderr and "reload --table" in result.stderr, result
    target.sql(f"DROP TABLE {source.name}.t")
    assert tailrace.run("reload", "--table", f"{source.name}.t", config=config).status == 0
    drain(tailrace, config)
    for statement in (made, "ALTER TABLE t DROP KEY uu", "INSERT INTO t VALUES (3, 2)"):
        source.sql(statement)
    result = tailrace.run("run", "--stop", "drained", config=config)
    assert result.status == 1 and "has no" in result.stderr and "DROP " in result.stderr and "uu" in result.stderr, result
    target.sql(f"DROP INDEX {source.name}.t_uu" if to == "postgresql" else f"ALTER TABLE {source.name}.t DROP INDEX uu")
    drain(tailrace, config)
    same(source, target)
    if to == "other":
        target.server.drop_database(source.name)
        target.drop()


@pytest.mark.matrix
def test_a_type_that_the_task_gives_stays(source, target, tailrace):
    """Whatever the source's becomes: values are converted to what the target's column is."""
    config = task_config(source.url, target.url, tables={"include": [f"{source.name}.%"]}, types={"tinyint(1)": "boolean"}, columns={"%.n": "numeric(30,6)"})
    source.sql("CREATE TABLE t (id int PRIMARY KEY, b tinyint(1), n int)")
    source.sql("INSERT INTO t VALUES (1, 1, 1)")
    drain(tailrace, config)
    for statement in ("ALTER TABLE t MODIFY b tinyint(1) NOT NULL COMMENT 'yes', MODIFY n bigint", "INSERT INTO t VALUES (2, 0, 4000000000)"):
        source.sql(statement)
    drain(tailrace, config)
    assert target.sql(f"SELECT id, b, n::text FROM {source.name}.t ORDER BY id") == [(1, True, "1.000000"), (2, False, "4000000000.000000")]
