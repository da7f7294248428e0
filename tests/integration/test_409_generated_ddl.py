"""Generated columns that change under way, towards another engine: the target's older rows are what the source's are, or the task stops with what is to be done."""

import contextlib
import itertools

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.servers import MariaDB

pytestmark = pytest.mark.matrix
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
TABLE = "CREATE TABLE g (id int PRIMARY KEY, s varchar(20), n int, up varchar(20) AS (upper(s)) STORED, twice int AS (n * 2) STORED)"


@pytest.fixture(scope="module")
def made():
    """A fresh database on a server that the tests of the file share."""
    servers = {"mariadb": lambda: MariaDB(options=FAST), "mysql": lambda: matrix.mysql("9", options=FAST),
               "target": lambda: MariaDB(options=FAST)}
    with contextlib.ExitStack() as stack:
        started, numbers = {}, itertools.count(1)

        def database(name):
            if name not in started:
                started[name] = stack.enter_context(servers[name]())
            return started[name].database(f"to{next(numbers)}" if name == "target" else None)  # beside those that come with the names of sources

        yield database


class Pair:
    """A task between the two, and one table."""

    def __init__(self, tailrace, source, target):
        self.tailrace, self.source, self.target = tailrace, source, target
        self.config = task_config(source.url, target.url, tables={"include": [f"{source.name}.g"]}, state=f"state-{source.server.kind}")
        self.source.sql(TABLE)
        self.run("INSERT INTO g (id, s, n) VALUES (1, 'one', 1), (2, 'two', 2), (3, NULL, NULL)")

    def run(self, *statements):
        for statement in statements:
            self.source.sql(statement)
        return drain(self.tailrace, self.config).stderr

    def refused(self, *statements):
        for statement in statements:
            self.source.sql(statement)
        result = self.tailrace.run("run", "--stop", "drained", config=self.config, timeout=100)
        assert result.status != 0, result
        return result.stderr

    def reload(self):
        result = self.tailrace.run("reload", "--table", f"{self.source.name}.g", config=self.config, timeout=60)
        assert result.status == 0, result
        return self.run()

    def columns(self):
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 'g' ORDER BY 1"
        return [name for name, in self.target.sql(query, (self.source.name,))]

    def same(self, columns):
        where = f'"{self.source.name}".' if self.target.url.startswith("postgres") else f"{self.source.name}."
        theirs = self.target.sql(f"SELECT {columns} FROM {where}g ORDER BY id")
        assert [tuple(row) for row in theirs] == [tuple(row) for row in self.source.sql(f"SELECT {columns} FROM g ORDER BY id")]


@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
def test_to_postgresql(made, target, tailrace, engine):
    pair = Pair(tailrace, made(engine), target)
    # added: at once, without a row behind it
    pair.run("ALTER TABLE g ADD COLUMN sum int GENERATED ALWAYS AS (n + id /* both */) STORED, ADD COLUMN len int AS (COALESCE(N, 7)) VIRTUAL AFTER s")
    pair.same("id, s, n, up, twice, sum, len")
    said = pair.run("ALTER TABLE g ADD COLUMN low varchar(60) AS (lower(s)) STORED")
    assert "is not added" in said and "low" not in pair.columns(), said
    pair.run("INSERT INTO g (id, s, n) VALUES (4, 'four', 4)", "UPDATE g SET n = 20 WHERE id = 2", "DELETE FROM g WHERE id = 1")
    pair.same("id, s, n, up, twice, sum, len")
    # wider, computed by the source or here
    pair.run("ALTER TABLE g MODIFY s varchar(50), MODIFY up varchar(50) AS (upper(s)) STORED",
             "INSERT INTO g (id, s, n) VALUES (5, 'five and more letters than twenty, please', 5)")
    pair.same("id, s, n, up, twice, sum, len")
    # another expression: of one that the target computes, and of a plain one
    pair.run("ALTER TABLE g MODIFY twice int AS (n * 3) STORED", "INSERT INTO g (id, s, n) VALUES (6, 'six', 6)")
    pair.same("id, s, n, up, twice, sum, len")
    pair.run("ALTER TABLE g MODIFY up varchar(50) AS (concat(s, '!')) STORED, ADD COLUMN m int", "UPDATE g SET n = 8 WHERE id = 5")
    pair.same("id, s, n, up, twice, sum, len, m")
    said = pair.refused("ALTER TABLE g MODIFY up varchar(50) AS (reverse(upper(s))) STORED")
    assert "computes column \"up\" anew" in said and "reload" in said, said
    pair.reload()
    pair.same("id, s, n, up, twice, sum, len, m")
    # a plain one makes way for a generated one of its name
    pair.run("UPDATE g SET m = id", "ALTER TABLE g DROP COLUMN m, ADD COLUMN m int AS (id + 1) STORED", "INSERT INTO g (id) VALUES (9)")
    pair.same("id, s, n, up, twice, sum, len, m")
    # and the other way round
    pair.run("ALTER TABLE g MODIFY sum int", "UPDATE g SET sum = -1 WHERE id = 9", "INSERT INTO g (id, sum) VALUES (10, 5)")
    pair.same("id, s, n, up, twice, sum, len, m")
    pair.run("ALTER TABLE g CHANGE sum total bigint AS (n * 5) STORED", "INSERT INTO g (id, n) VALUES (11, 5)")
    pair.same("id, s, n, up, twice, total, len, m")


def test_a_task_that_lags(made, target, tailrace):
    """The source's catalogue knows only what became of the column."""
    pair = Pair(tailrace, made("mariadb"), target)
    pair.run("ALTER TABLE g ADD COLUMN c int AS (N + 1) STORED, ADD COLUMN e int AS (n - 1) STORED", "INSERT INTO g (id, n) VALUES (4, 5)",
             "ALTER TABLE g RENAME COLUMN c TO h", "ALTER TABLE g ADD b int DEFAULT 3", "ALTER TABLE g MODIFY h int AS (n + b) STORED",
             "INSERT INTO g (id, n) VALUES (5, 7)", "ALTER TABLE g DROP COLUMN e")
    pair.same("id, s, n, up, twice, h, b")
    pair.run("ALTER TABLE g ADD e int AS (id * 9) STORED", "INSERT INTO g (id) VALUES (6)")
    pair.same("id, s, n, up, twice, h, b, e")


def test_within_the_family(made, tailrace):
    pair = Pair(tailrace, made("mysql"), made("target"))
    pair.run("ALTER TABLE g ADD COLUMN sum int GENERATED ALWAYS AS (n + id) STORED, ADD COLUMN low varchar(60) AS (lower(s)) VIRTUAL AFTER s")
    pair.same("id, s, n, up, twice, sum, low")
    pair.run("INSERT INTO g (id, s, n) VALUES (4, 'four', 4)", "UPDATE g SET n = 20 WHERE id = 2")
    pair.run("ALTER TABLE g MODIFY s varchar(50), MODIFY up varchar(50) AS (upper(s)) STORED, CHANGE low lower varchar(61) AS (concat(lower(s), '!')) VIRTUAL",
             "INSERT INTO g (id, s, n) VALUES (5, 'five and more letters than twenty, please', 5)")
    pair.same("id, s, n, up, twice, sum, lower")
    pair.run("ALTER TABLE g MODIFY twice int AS (n * 3) STORED", "ALTER TABLE g MODIFY sum int", "UPDATE g SET sum = -1 WHERE id = 5")
    pair.same("id, s, n, up, twice, sum, lower")
    said = pair.run("ALTER TABLE g ADD COLUMN u varchar(40) AS (bin_to_uuid(unhex(rpad(hex(s), 32, '0')))) STORED")
    assert "is not added" in said and "u" not in pair.columns(), said
    said = pair.refused("ALTER TABLE g DROP COLUMN n, DROP COLUMN twice, ADD COLUMN n int AS (id * 2) STORED")
    assert "DROP COLUMN" in said, said


def test_null_that_no_type_tells(made, target, tailrace):
    """A column that may be NULL from now on, and is nothing else than before; its key stays what it is."""
    for source, to in ((made("mariadb"), target), (made("mysql"), made("target"))):
        pair = Pair(tailrace, source, to)
        pair.run("ALTER TABLE g ADD COLUMN m int NOT NULL DEFAULT 3, ADD COLUMN v varchar(5) NOT NULL COMMENT 'it is NOT NULL'")
        pair.run("ALTER TABLE g MODIFY m int DEFAULT 3, MODIFY v varchar(5), MODIFY id int", "INSERT INTO g (id, m, v) VALUES (20, NULL, NULL)",
                 "INSERT INTO g (id, v) VALUES (21, 'x')")
        pair.same("id, s, n, up, twice, m, v")


def test_a_table_that_is_made_anew(made, target, tailrace):
    """Its old rows stay at a target of another engine until it is loaded again, so nothing is put beside them."""
    pair = Pair(tailrace, made("mariadb"), target)
    pair.source.sql("DROP TABLE g")
    said = pair.run("CREATE TABLE other (id int)")
    assert "the source dropped table" in said, said
    said = pair.refused("CREATE TABLE g (id int PRIMARY KEY, x text)", "INSERT INTO g VALUES (9, 'new')")
    assert "made it anew" in said and "reload" in said, said
    target.sql(f'DROP TABLE "{pair.source.name}".g')
    pair.reload()
    pair.same("id, x")
    pair.run("INSERT INTO g VALUES (10, 'newer')")
    pair.same("id, x")


def test_a_plain_column_is_loaded_between_servers_that_log_it(tailrace):
    """PostgreSQL from 18 on: what the target keeps in a plain column is not left to the stream alone."""
    options = {"fsync": "off", "wal_level": "logical"}
    with matrix.postgres("18", options=options) as source_server, matrix.postgres("18", options=options) as target_server:
        source, target = source_server.database(), target_server.database()
        made = "CREATE TABLE g (id int PRIMARY KEY, n numeric, m {}, t {})"
        source.sql(made.format("numeric GENERATED ALWAYS AS (n * 2) STORED", "text GENERATED ALWAYS AS (left(n::text, 2)) STORED"))
        target.sql(made.format("numeric", "text GENERATED ALWAYS AS (left(n::text, 2)) STORED"))
        source.sql("INSERT INTO g SELECT i, i / 7.0 FROM generate_series(1, 50) i")
        config = task_config(source.url, target.url, tables={"include": ["public.g"]})
        drain(tailrace, config)
        source.sql("UPDATE g SET n = 1 WHERE id = 3")
        drain(tailrace, config)
        query = "SELECT id, n, m, t FROM g ORDER BY id"
        assert source.sql(query) == target.sql(query)
