"""The nine pairs of the three engines: a loaded source, its target, and how the two are compared.

    with Pair(source_server, target_server) as pair:
        pair.load.start(); ... pair.config(workers=3) ...; pair.load.stop()
        pair.assert_equal()
"""

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from .replication import task_config
from .workload import Workload
from .workload_mysql import TABLES, MysqlWorkload

ENGINES = ("postgresql", "mysql", "mariadb")


def plain(value):
    """What all engines mean by a value, in one form."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, (memoryview, bytes, bytearray)):
        return bytes(value)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else value.normalize()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    if hasattr(value, "utcoffset") and value.utcoffset() is not None:
        value = value.replace(tzinfo=None) - value.utcoffset()
    return str(value)


def rows_as_meant(database, table, columns):
    """The bag of a table's rows, whichever engine holds it."""
    quote = '"' if database.server.kind == "pg" else "`"
    names = ", ".join(quote + column + quote for column in columns)
    place = ".".join(quote + part + quote for part in table)
    return Counter(tuple(map(plain, row)) for row in database.sql(f"SELECT {names} FROM {place}"))


def columns_of(database, table):
    """The names of a table's columns, in their order."""
    return [name for (name,) in database.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = %s"
                                             " AND table_name = %s ORDER BY ordinal_position", table)]


def describe(table, columns, missing, extra):
    """How the two bags differ: the cells in which a row and the extra one that is most like it do."""
    lines = [f"{table}: {sum(missing.values())} rows missing, {sum(extra.values())} extra"]
    for row in list(missing)[:3]:
        twin = max(extra, key=lambda other: sum(a == b for a, b in zip(row, other)), default=None)
        cells = [f"{name}: {str(a)[:80]!r} and {str(b)[:80]!r}" for name, a, b in zip(columns, row, twin or row) if twin is None or a != b]
        lines += [f"  {columns[0]}={row[0]!r} {'only at the source' if twin is None else 'differs'}: {', '.join(cells)[:700]}"]
    lines += [f"  only at the target: {str(dict(zip(columns, row)))[:400]}" for row in list(extra)[:2]]
    return "\n".join(lines)


class Pair:
    """A workload on a fresh database of one server, carried to another server."""

    def __init__(self, source_server, target_server, seed=1, clients=3, pause=0.004, ddl=False):
        self.target_server, self.seed = target_server, seed
        self.from_postgres = source_server.kind == "pg"
        self.same_engine = source_server.kind == target_server.kind
        self.source = source_server.database()
        if self.from_postgres:
            self.load = Workload(self.source, seed=seed, clients=clients, pause=pause, ddl=ddl, two_phase=True, bulk_rows=1000)
            self.schema, self.tables = "wl", [name.split(".")[1] for name in Workload.tables]
        else:
            self.source.sql(f"ALTER DATABASE `{self.source.name}` CHARACTER SET utf8mb4")
            self.load = MysqlWorkload(self.source, seed=seed, clients=clients, pause=pause, ddl=ddl, bulk_rows=1000, large_row=1 << 18)
            self.schema, self.tables = self.source.name, list(TABLES)
        self.load.create_tables()
        self.target = target_server.database() if target_server.kind == "pg" else Whole(target_server)

    def config(self, **options):
        return task_config(self.source.url, self.target.url, tables={"include": [f"{self.schema}.%"]}, **options)

    def assert_equal(self):
        """Each table row by row, the sum of the transfers, and the append-only table without a gap or a double."""
        for table in self.tables:
            columns = columns_of(self.source, (self.schema, table))
            assert sorted(columns) == sorted(columns_of(self.target, (self.schema, table))), table
            left = rows_as_meant(self.source, (self.schema, table), columns)
            right = rows_as_meant(self.target, (self.schema, table), columns)
            missing, extra = left - right, right - left
            assert not missing and not extra, describe(table, columns, missing, extra)
        journal = self.target.sql(f"SELECT client, count(*), count(DISTINCT n), min(n), max(n) FROM {self.schema}.journal GROUP BY client")
        assert journal and all(count == distinct == last and first == 1 for _, count, distinct, first, last in journal), journal

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.load.commits:
            self.load.stop()
        self.source.drop()
        self.target.drop()
        if self.target_server.kind != "pg":
            self.target_server.drop_database(self.schema)


class Whole:
    """A MySQL or MariaDB server as the target: tables land in the database whose name they had."""

    name = None

    def __init__(self, server):
        self.server = server
        self.url = server.url()

    def connect(self, **kwargs):
        return self.server.connect(**kwargs)

    def sql(self, query, params=None):
        return self.server.sql(query, params)

    def drop(self):
        self.server.drop_database("tailrace")
