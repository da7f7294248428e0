"""Every type that a column of PostgreSQL can have, with values at its edges: loaded, inserted, updated, deleted; with a key and without one."""

import pytest

from harness.replication import assert_equal, drain, task_config

MADE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s', '"quoted"', 'a,b', '\\back', '');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a int, "B b" text);
CREATE TYPE nest AS (p pair, l int[], m mood);
CREATE TYPE textrange AS RANGE (subtype = text);
"""

# The type, and literals of it; NULL is tried with all.
TYPES = {
    "boolean": ["t", "f"],
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "real": ["NaN", "Infinity", "-Infinity", "-0", "1.1", "3.4028235e38", "1e-45"],
    "double precision": ["NaN", "Infinity", "-Infinity", "-0", "0.1", "1.7976931348623157e308", "5e-324"],
    "numeric": ["NaN", "Infinity", "-Infinity", "0.000", "-1.50", "1e131071", "1e-16383", "123456789012345678901234567890.123456789"],
    "numeric(10,3)": ["NaN", "-9999999.999", "0.001"],
    "numeric(5,-2)": ["12345", "-9999900"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0.01"],
    "text": ["", "a\\\tb\nc\r\"'", "ÄÖ€𝄞", "\\N", "NULL", "{}"],
    "varchar(10)": ["", "ten chars!", "  "],
    "character(5)": ["", "a", "ab cd"],
    "bpchar": ["trailing   ", ""],
    '"char"': ["", "x", "\\201"],
    "name": ["", "pg_class"],
    "bytea": ["\\x", "\\x00ff5c2722"],
    "date": ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-01-01", "2024-02-29"],
    "time": ["00:00:00", "24:00:00", "23:59:59.999999"],
    "time(2)": ["12:34:56.78"],
    "timetz": ["00:00:00+15:59:59", "24:00:00-15:59:59", "12:00:00.000001+05:30"],
    "timestamp": ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "2000-01-01 00:00:00"],
    "timestamptz": ["infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "2024-03-31 02:30:00+02"],
    "timestamp(0)": ["1999-12-31 23:59:59.5"],
    "interval": ["0", "178000000 years", "-178000000 years", "1 year -2 mons +3 days -04:05:06.789", "-1 mon +1 day", "00:00:00.000001"],
    "interval day to second": ["3 days 04:05:06"],
    "point": ["(1,2)", "(NaN,-Infinity)", "(-0,1e-300)"],
    "line": ["{1,2,3}", "{0,-1,0.5}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(2,2),(1,1)"],
    "path": ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"],
    "polygon": ["((0,0),(1,1),(2,0))"],
    "circle": ["<(0,0),1.5>", "<(0,0),0>"],
    "inet": ["192.168.0.1/24", "::1", "fe80::1/10", "0.0.0.0/0"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit(9)": ["000000000", "101010101"],
    "bit varying": ["", "1"],
    "varbit(20)": ["10101010101"],
    "tsvector": ["", "'a':1A,2B 'it''s':3 'x y'"],
    "tsquery": ["", "'a' & !'b' <-> 'c':*A"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "xml": ["", "<a b=\"c\">ä&amp;</a>", "text only"],
    "json": ["null", "{\"a\":  [1, 2.50, \"\\u00e4\\\\ \"], \"a\": 1e400}", "123456789012345678901234567890.000"],
    "jsonb": ["null", "{\"b\": 1, \"a\": {\"c\": [true, null, \"x\\\"y\"]}}", "12345678901234567890123456789012345678901234567890.50", "\"\""],
    "jsonpath": ["$.a[*] ? (@ > 2)"],
    "int[]": ["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:2]={1,2,3}", "[-1:0][5:6]={{1,2},{3,4}}"],
    "text[]": ["{}", "{\"\",NULL,\"NULL\",\"a,b\",\"{c}\",\"\\\"\\\\\"}"],
    "bool[]": ["{t,f,NULL}"],
    "numeric[]": ["{NaN,1.10,Infinity}"],
    "bytea[]": ["{\"\\\\x00ff\",\"\\\\x\"}"],
    "timestamptz[]": ["{infinity,\"2024-01-01 00:00:00+00\"}"],
    "json[]": ["{\"{\\\"a\\\": 1}\",null}"],
    "box[]": ["{(2,2),(1,1);(4,4),(3,3)}"],
    "uuid[]": ["{00000000-0000-0000-0000-000000000000}"],
    "int4range": ["empty", "[1,10)", "(,5)", "[5,)", "(,)"],
    "int8range": ["[1,9223372036854775807)"],
    "numrange": ["[1.10,2.20]", "empty", "(NaN,)"],
    "tsrange": ["[2024-01-01 00:00:00,infinity]", "empty"],
    "tstzrange": ["(-infinity,\"2024-01-01 00:00:00+00\"]"],
    "daterange": ["[2024-01-01,2024-02-01)"],
    "int4multirange": ["{}", "{[1,3),[5,7)}"],
    "nummultirange": ["{(,1.5],[2.5,)}"],
    "tstzmultirange": ["{[\"2024-01-01 00:00:00+00\",\"2024-02-01 00:00:00+00\")}"],
    "int4range[]": ["{\"[1,3)\",empty}"],
    "oid": ["0", "4294967295"],
    "regclass": ["pg_class", "-"],
    "regtype": ["integer", "-"],
    "regproc": ["-"],
    "regnamespace": ["pg_catalog"],
    "xid": ["4294967295"],
    "xid8": ["18446744073709551615"],
    "cid": ["1"],
    "tid": ["(4294967295,65535)"],
    "int2vector": ["1 2 3", ""],
    "oidvector": ["1 4294967295"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF"],
    "pg_snapshot": ["10:20:10,14,15"],
    "txid_snapshot": ["10:20:10,14,15"],
    "aclitem": ["postgres=r/postgres"],
    "refcursor": ["a cursor"],
    "mood": ["sad", "it's", "\"quoted\"", "a,b", "\\back", ""],
    "mood[]": ["{sad,\"\\\"quoted\\\"\",\"a,b\",\"\",NULL}"],
    "moods": ["{sad}"],
    "positive": ["1", "2147483647"],
    "positive[]": ["{1,NULL}"],
    "pair": ["(1,x)", "(,)", "(1,\"a \"\"b\"\", \\\\c\")"],
    "pair[]": ["{\"(1,x)\",\"(,\\\"a,b\\\")\"}"],
    "nest": ["(\"(1,x)\",\"{1,2}\",\"it's\")"],
    "textrange": ["[a,b)", "empty"],
}

EXTENSIONS = {
    "hstore": ["", "\"a\"=>\"1\", \"b\"=>NULL, \"c d\"=>\"e\\\"f\""],
    "citext": ["", "MiXed"],
    "ltree": ["a.b.c", ""],
    "lquery": ["a.*.b"],
    "cube": ["(1, 2),(3, 4)"],
    "seg": ["1 .. 2"],
    "isbn": ["0-393-04002-X"],
    "hstore[]": ["{\"\\\"a\\\"=>\\\"1\\\"\"}"],
    "citext[]": ["{A,b}"],
}
EXTENSION_OF = {"hstore[]": "hstore", "citext[]": "citext", "lquery": "ltree", "isbn": "isn"}


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
