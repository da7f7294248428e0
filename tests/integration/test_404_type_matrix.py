"""Every type of each engine at its edges, in every pair: loaded, inserted, updated, deleted, and judged by the servers' own casts."""

import contextlib

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.servers import MariaDB
from harness.type_matrix import POSTGRESQL_BEFORE, TypeTables, read, types_of, unequal, unequal_bags

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "max-allowed-packet": "64M", "local-infile": 1}
DATABASE = "types"
VECTOR = {"mysql": "VECTOR_TO_STRING", "mariadb": ""}  # how a server prints one; MariaDB 10.11 keeps the text


class Postgres:
    engine, name = "postgresql", "public"

    def __init__(self, database):
        self.database = database

    def url(self):
        return self.database.url

    def sql(self, query):
        with self.database.connect(options="-c timezone=UTC -c intervalstyle=postgres") as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []


class Mysql:
    def __init__(self, engine, server):
        self.engine, self.server = engine, server

    def url(self):
        return self.server.url(DATABASE)

    def sql(self, query):
        with self.server.connect(DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(query)
            return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture(scope="module")
def servers():
    """Started when first asked for."""
    with contextlib.ExitStack() as stack:
        made = {}

        def get(engine, role):
            if (engine, role) not in made:
                make = {"mariadb": MariaDB, "mysql": lambda **kwargs: matrix.mysql("9", **kwargs)}[engine]
                made[engine, role] = stack.enter_context(make(options=FAST))
            return made[engine, role]

        yield get


@pytest.fixture
def ends(servers, source, target):
    made = []

    def get(left, right):
        for engine, role, database in ((left, "source", source), (right, "target", target)):
            if engine == "postgresql":
                yield Postgres(database)
                continue
            server = servers(engine, role)
            server.sql(f"CREATE DATABASE `{DATABASE}` CHARACTER SET utf8mb4")
            made.append(server)
            yield Mysql(engine, server)

    yield lambda left, right: tuple(get(left, right))
    for server in made:
        server.drop_database(DATABASE)
        server.drop_database("tailrace")


def place(end, table, source):
    """Where a table of the source is found at the other end."""
    schema = source.name if source.engine == "postgresql" else DATABASE
    return f"{schema}.{table}" if end.engine == "postgresql" else f"`{DATABASE}`.{table}"


def compare(types, left, right):
    found = []
    for table in TypeTables.tables:
        key = table == "keyed"
        a, b = (read(end.sql, place(end, table, left), types, end.engine == "postgresql", key, VECTOR.get(end.engine))
                for end in (left, right))
        found += [f"{table}: {what}" for what in (unequal if key else unequal_bags)(types, a, b)]
    assert not found, "\n".join(found[:60])


PAIRS = [pytest.param(a, b, marks=[] if (a, b) in (("postgresql", "mariadb"), ("mariadb", "postgresql")) else [pytest.mark.matrix])
         for a in ("postgresql", "mysql", "mariadb") for b in ("postgresql", "mysql", "mariadb")]


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("left,right", PAIRS)
def test_every_type(ends, tailrace, left, right):
    source, target = ends(left, right)
    types = types_of(left)
    if left == "postgresql":
        source.sql(POSTGRESQL_BEFORE)
    tables = TypeTables(source.sql, types, left == "postgresql")
    tables.create()
    tables.insert(1)
    include = ["public.%"] if left == "postgresql" else [f"{DATABASE}.%"]
    config = task_config(source.url(), target.url(), tables={"include": include})
    drain(tailrace, config)
    compare(types, source, target)

    tables.insert(101)
    drain(tailrace, config)
    compare(types, source, target)

    tables.shift(1)
    tables.shift(101)
    tables.thin_out(1)
    drain(tailrace, config)
    compare(types, source, target)


# What a MySQL or MariaDB column may hold and PostgreSQL's may not: type, literal, what a clamp makes of it (None: there is no nearest value).
UNFIT = {
    "date": ("'0000-00-00'", "0001-01-01"),
    "datetime": ("'2024-02-00 12:34:56'", "2024-02-01 12:34:56"),
    "timestamp NULL": ("'0000-00-00 00:00:00'", "0001-01-01 00:00:00+00"),
    "time": ("'-838:59:59'", "00:00:00"),
    "time(3)": ("'24:00:00.001'", "24:00:00"),
    "varchar(10)": ("'a\\0b'", "ab"),
    "enum('a','b')": ("''", None),
}


def make_unfit(source, rows):
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(UNFIT))
    source.sql(f"CREATE TABLE unfit (id int PRIMARY KEY, {columns})")
    for row in rows:
        add_unfit(source, row)


def add_unfit(source, row, column=None):
    with source.server.connect(DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        names = [f"c{i}" for i in range(len(UNFIT)) if column in (None, i)]
        values = [literal for i, (literal, _) in enumerate(UNFIT.values()) if column in (None, i)]
        cursor.execute(f"INSERT INTO unfit (id, {', '.join(names)}) VALUES ({row}, {', '.join(values)})")


@pytest.mark.parametrize("policy", ["null", "clamp"])
def test_values_that_postgresql_cannot_hold(ends, tailrace, policy):
    source, target = ends("mariadb", "postgresql")
    make_unfit(source, [1])
    config = task_config(source.url(), target.url(), tables={"include": [f"{DATABASE}.%"]})
    config["target"]["on_value"] = policy
    loaded = drain(tailrace, config)
    assert f"{len(UNFIT)} values stored otherwise" in loaded.stderr, loaded
    add_unfit(source, 2)
    source.sql("INSERT INTO unfit (id) VALUES (3)")
    source.sql("UPDATE unfit SET id = 4 WHERE id = 1")
    assert "values stored otherwise" in drain(tailrace, config).stderr
    columns = ", ".join(f"c{i}::text" for i in range(len(UNFIT)))
    rows = target.sql(f"SELECT id, {columns} FROM {DATABASE}.unfit ORDER BY id")
    stored = tuple(clamp if policy == "clamp" else None for _, clamp in UNFIT.values())
    nothing = (None,) * len(UNFIT)
    assert rows == [(2, *stored), (3, *nothing), (4, *stored)]


def test_a_value_that_postgresql_cannot_hold_stops_and_is_named(ends, tailrace):
    source, target = ends("mariadb", "postgresql")
    make_unfit(source, [7])
    config = task_config(source.url(), target.url(), tables={"include": [f"{DATABASE}.%"]})
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=100)
    for part in (f"table {DATABASE}.unfit, row with id=7", "column c0", "bytes, ", "on_value"):
        assert result.status == 1 and part in result.stderr, result
    assert "0000-00-00" not in result.stderr, result  # the value itself stays out of the log
    source.sql("DELETE FROM unfit")
    drain(tailrace, config)
    add_unfit(source, 8, column=5)
    result = tailrace.run("run", "--stop", "drained", config=config, timeout=100)
    for part in (f"{DATABASE}.unfit", "id=8", "column c5", "a byte of 0", "bytes, varchar(10)", "on_value"):
        assert result.status == 1 and part in result.stderr, result
    assert target.sql(f"SELECT count(*) FROM {DATABASE}.unfit") == [(0,)]
