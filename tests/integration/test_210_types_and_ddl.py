"""Every type that a column of PostgreSQL can have, with values at its edges: loaded, inserted, updated, deleted; with a key and without one."""

import pytest

from harness.postgres_types import EXTENSION_OF, EXTENSIONS, MADE, TYPES
from harness.replication import assert_equal, drain, task_config



def _types(source, target):
    """All types that both servers can have, extensions made at the source."""
    types = dict(TYPES)
    available = {name for (name,) in source.sql("SELECT name FROM pg_available_extensions")} \
        & {name for (name,) in target.sql("SELECT name FROM pg_available_extensions")}
    for name, values in EXTENSIONS.items():
        extension = EXTENSION_OF.get(name, name)
        if extension in available:
            source.sql(f"CREATE EXTENSION IF NOT EXISTS {extension}")
            types[name] = values
    return types


def _quote(text):
    return "'" + text.replace("'", "''") + "'"


def _row(types, number, first):
    """The values of one row: each column goes its own round through its literals and NULL."""
    cells = [str(first)] if first is not None else []
    for name, values in types.items():
        place = number % (len(values) + 1)
        cells.append(f"{_quote(values[place])}::{name}" if place < len(values) else "NULL")
    return "(" + ", ".join(cells) + ")"


def _assignments(types, number):
    cells = _row(types, number, None)[1:-1]
    names = ", ".join(f"c{i}" for i in range(len(types)))
    return f"({names}) = ROW({cells})"


def _create(types, table, key):
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(types))
    return f"CREATE TABLE {table} ({key}{columns})"


def _unlike_any(source, types):
    """Types of the server that no column here has."""
    known = source.sql("SELECT oid FROM pg_type WHERE oid = ANY (%s::regtype[]::oid[])", ([name for name in types],))
    return [name for (name,) in source.sql(
        "SELECT typname FROM pg_type WHERE typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typnamespace = 'pg_catalog'::regnamespace"
        " AND NOT oid = ANY (%s) ORDER BY 1", ([oid for (oid,) in known],))]


ROWS = 9  # more than any type has literals


@pytest.mark.time_limit(240)
def test_every_type(source, target, tailrace):
    source.sql(MADE)
    types = _types(source, target)
    source.sql(_create(types, "keyed", "id int PRIMARY KEY, "))
    source.sql(_create(types, "bag", ""))
    source.sql("ALTER TABLE bag REPLICA IDENTITY FULL")
    for n in range(ROWS):
        source.sql(f"INSERT INTO keyed VALUES {_row(types, n, n)}")
        source.sql(f"INSERT INTO bag VALUES {_row(types, n, None)}, {_row(types, n, None)}")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    tables = ["public.keyed", "public.bag"]
    drain(tailrace, config)
    assert_equal(source, target, tables)

    for n in range(ROWS):  # inserted
        source.sql(f"INSERT INTO keyed VALUES {_row(types, n, 100 + n)}")
        source.sql(f"INSERT INTO bag VALUES {_row(types, n, None)}")
    drain(tailrace, config)
    assert_equal(source, target, tables)

    for n in range(ROWS):  # every value becomes the next one
        source.sql(f"UPDATE keyed SET {_assignments(types, n + 1)} WHERE id IN ({n}, {100 + n})")
        source.sql(f"UPDATE bag SET {_assignments(types, n + 1)} WHERE ctid = (SELECT min(ctid) FROM bag WHERE ctid > '(0,{n})')")
    source.sql("UPDATE keyed SET id = id + 1000 WHERE id % 2 = 0")
    drain(tailrace, config)
    assert_equal(source, target, tables)

    source.sql("DELETE FROM keyed WHERE id % 3 = 0")
    source.sql("DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag ORDER BY ctid LIMIT 12)")
    drain(tailrace, config)
    assert_equal(source, target, tables)
    assert target.one("SELECT count(*) FROM bag") == 3 * ROWS - 12


def test_no_type_of_the_server_is_left_out(source, target):
    source.sql(MADE)
    missing = _unlike_any(source, _types(source, target))
    pseudo = {"bool", "float4", "float8", "int2", "int4", "int8"}  # under their SQL names above
    rest = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary",
            "pg_brin_minmax_multi_summary", "gtsvector", "regcollation", "regconfig", "regdictionary", "regoper", "regoperator",
            "regprocedure", "regrole", "datemultirange", "int8multirange", "tsmultirange", "bpchar", "varbit"}
    assert set(missing) - pseudo - rest == set()


@pytest.mark.parametrize("name", ["smallint", "bigint", "numeric", "text", "varchar(10)", "character(5)", "bytea", "date", "timestamp", "timestamptz",
                                  "uuid", "inet", "bit(9)", "interval", "mood", "int[]", "int4range", "jsonb", "macaddr", "pair", "positive", "oid", "real"])
def test_keys_of_every_kind(source, target, tailrace, name):
    """Rows are found by their key, whatever its type; each key changes into the next."""
    values = [value for value in TYPES[name] if value not in ("-0",)]
    source.sql(MADE)
    source.sql(f"CREATE TABLE t (k {name} PRIMARY KEY, v text)")
    source.sql(f"INSERT INTO t VALUES ({_quote(values[0])}::{name}, 'loaded')")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    for value in values[1:]:
        source.sql(f"INSERT INTO t VALUES ({_quote(value)}::{name}, 'new')")
    source.sql("UPDATE t SET v = 'changed'")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
    if len(values) > 1:
        source.sql(f"DELETE FROM t WHERE k = {_quote(values[1])}::{name}")
        source.sql(f"UPDATE t SET k = {_quote(values[1])}::{name} WHERE k = {_quote(values[0])}::{name}")
    else:
        source.sql("DELETE FROM t")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
