"""Every type of each engine with values at its edges, and how the two ends of a pair print the same value.

A form is one meaning of a value: an expression for each engine that prints it, and a function that makes the two prints alike. The servers' own casts
are the judges; nothing here asks the program what it thinks.
"""

import json
from collections import Counter

from .replication import as_moment


def _number(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(text):
    return json.loads(text, parse_float=lambda digits: float(digits) if float(digits) != float(digits).__trunc__() else int(float(digits)))


def _geometry(text):
    """SRID and the plain WKB, from PostGIS's EWKB or from MySQL's SRID and WKB."""
    data = bytes.fromhex(text)
    if data[0] == 1 and data[4] & 0x20 and len(data) >= 9:
        return int.from_bytes(data[5:9], "little"), data[:4] + bytes([data[4] & ~0x20]) + data[9:]
    if data[0] == 1 and data[4] == 0 and 1 <= data[1] <= 7 and data[2] == data[3] == 0:
        return 0, data
    return int.from_bytes(data[:4], "little"), data[4:]


# form: (PostgreSQL, MySQL and MariaDB, normal form)
FORMS = {
    "text": ("{c}::text", "CAST({c} AS CHAR)", str),
    "padded": ("{c}::text", "CAST({c} AS CHAR)", lambda text: text.rstrip(" ")),
    "hex": ("encode({c}, 'hex')", "LOWER(HEX({c}))", str),
    "float": ("{c}::float8::text", "{c} + 0e0", float),  # MySQL's cast of a double to text rounds
    "decimal": ("{c}::text", "CAST({c} AS CHAR)", _number),
    "money": ("{c}::numeric::text", "CAST({c} AS CHAR)", _number),
    "bool": ("{c}::int::text", "CAST({c} AS CHAR)", str),
    "bits": ("{c}::text", "CONV(HEX({c}), 16, 2)", lambda text: int(text, 2)),
    "moment": ("{c}::text", "CAST({c} AS CHAR)", as_moment),
    "json": ("{c}::text", "CAST({c} AS CHAR)", _json),
    "array": ("to_jsonb({c})::text", "CAST({c} AS CHAR)", _json),
    "hstore": ("hstore_to_jsonb({c})::text", "CAST({c} AS CHAR)", _json),
    # the cast to text would always print the length of the net
    "inet": ("CASE WHEN {c} IS NOT NULL THEN array_to_string(ARRAY[{c}], '') END", "CAST({c} AS CHAR)", str),
    "vector": ("{c}::text", "{vector}({c})", lambda text: [float(number) for number in json.loads(text)]),
    "uuid": ("{c}::text", "CAST({c} AS CHAR)", str.lower),
    # PostGIS's own binary form with its SRID, whatever the column is; in MySQL the axes are the form's business, not ST_AsWKB's
    "geometry": ("encode({c}::bytea, 'hex')", "LOWER(HEX({c}))", _geometry),
}


MYSQL = {
    "tinyint": ("text", ["-128", "127", "0"]),
    "tinyint(1)": ("text", ["1", "0", "-128", "127"]),
    "tinyint unsigned": ("text", ["0", "255"]),
    "smallint": ("text", ["-32768", "32767"]),
    "smallint unsigned": ("text", ["0", "65535"]),
    "mediumint": ("text", ["-8388608", "8388607"]),
    "mediumint unsigned": ("text", ["0", "16777215"]),
    "int": ("text", ["-2147483648", "2147483647"]),
    "int unsigned": ("text", ["0", "4294967295"]),
    "bigint": ("text", ["-9223372036854775808", "9223372036854775807"]),
    "bigint unsigned": ("text", ["0", "18446744073709551615"]),
    "decimal(65,30)": ("decimal", ["99999999999999999999999999999999999.999999999999999999999999999999",
                                   "-99999999999999999999999999999999999.999999999999999999999999999999", "0", "0.000000000000000000000000000001"]),
    "decimal(10,0)": ("decimal", ["-9999999999", "9999999999"]),
    "decimal(9,9)": ("decimal", ["-0.999999999", "0.000000001"]),
    "decimal(12,2) unsigned": ("decimal", ["0", "9999999999.99"]),
    "float": ("float", ["1.1", "-3.402823e38", "1.17549435e-38", "16777216", "0"]),
    "double": ("float", ["0.1", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "123456789012345680"]),
    "bit(1)": ("bits", ["b'0'", "b'1'"]),
    "bit(12)": ("bits", ["b'0'", "b'101000000001'", "b'111111111111'"]),
    "bit(64)": ("bits", ["0", "18446744073709551615", "b'1'"]),
    "year": ("text", ["1901", "2155", "2024"]),
    "date": ("moment", ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'0001-01-01'"]),
    "time": ("moment", ["'00:00:00'", "'23:59:59'"]),
    "time(6)": ("moment", ["'00:00:00.000001'", "'23:59:59.999999'"]),
    "time(3)": ("moment", ["'12:34:56.789'"]),
    "datetime": ("moment", ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"]),
    "datetime(1)": ("moment", ["'2024-02-29 12:34:56.7'"]),
    "datetime(6)": ("moment", ["'0001-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"]),
    "timestamp NULL": ("moment", ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    "timestamp(6) NULL": ("moment", ["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.999999'"]),
    "char(5)": ("padded", ["''", "'ab'", "'\u00e4\U0001F600xyz'"]),
    "varchar(40)": ("text", ["''", "'  blanks  '", "'a\\\\\\t\\n\\'\"'", "'\u00c4\u00d6\u20ac\U0001D11E'", "'\\\\N'", "'NULL'"]),
    "varchar(20) CHARACTER SET latin1": ("text", ["'\u00e4\u00df\u20ac'"]),
    "varchar(20) CHARACTER SET ucs2": ("text", ["'\u00e4\u20ac'"]),
    "char(8) CHARACTER SET utf16": ("padded", ["'\u00e4\U0001F600'"]),
    "varchar(20) CHARACTER SET cp1251": ("text", ["'\u0416'"]),
    "varchar(20) CHARACTER SET sjis": ("text", ["'\u3042\uff71'"]),
    "varchar(20) CHARACTER SET gbk": ("text", ["'\u4e2d'"]),
    "varchar(20) CHARACTER SET ascii COLLATE ascii_bin": ("text", ["'plain'"]),
    "tinytext": ("text", ["''", "REPEAT('x', 255)"]),
    "text": ("text", ["''", "REPEAT('\u00e4', 20000)"]),
    "mediumtext": ("text", ["REPEAT('\u20ac\\n', 40000)"]),
    "longtext": ("text", ["'\\\\.'", "REPEAT('y', 300000)"]),
    "binary(4)": ("hex", ["x'61000000'", "x'00ff5c27'"]),
    "varbinary(10)": ("hex", ["x''", "x'00ff5c2722090a0d2000'"]),
    "tinyblob": ("hex", ["x''", "x'5c78'"]),
    "blob": ("hex", ["x'5c0a0927'", "REPEAT(x'00', 65535)"]),
    "mediumblob": ("hex", ["REPEAT(x'ff', 70000)"]),
    "longblob": ("hex", ["REPEAT(x'5c09', 100000)"]),
    "enum('a','b c','it''s','\u00f6','')": ("text", ["'a'", "'b c'", "'it\\'s'", "'\u00f6'", "''"]),
    "set('x','y y','z')": ("text", ["''", "'x'", "'x,z'", "'x,y y,z'"]),
    "json": ("json", ["'null'", "'{\"b\": [1, 2.5, \"\u00e4\\\\\\\\ \\\\n\", true, null], \"a\": {}}'", "'\"text\"'", "'12345678901'",
                      "'[]'", "'{}'", "'-1.5e10'"]),
    "geometry": ("geometry", ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')"]),
    "point": ("geometry", ["ST_GeomFromText('POINT(-1.5 1e10)')", "ST_GeomFromText('POINT(3 4)', 4326)"]),
    "linestring": ("geometry", ["ST_GeomFromText('LINESTRING(0 0,1 1,2 0)')"]),
    "polygon": ("geometry", ["ST_GeomFromText('POLYGON((0 0,0 4,4 4,4 0,0 0),(1 1,1 2,2 2,2 1,1 1))')"]),
    "multipoint": ("geometry", ["ST_GeomFromText('MULTIPOINT(0 0,1 1)')"]),
    "multilinestring": ("geometry", ["ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')"]),
    "multipolygon": ("geometry", ["ST_GeomFromText('MULTIPOLYGON(((0 0,0 1,1 1,0 0)),((5 5,5 6,6 6,5 5)))')"]),
    "geometrycollection": ("geometry", ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(9 9))')"]),
}
MYSQL_ONLY = {"vector(3)": ("vector", ["TO_VECTOR('[1,-2.5,1024]')"])}
MARIADB_ONLY = {
    "uuid": ("uuid", ["'00112233-4455-6677-8899-aabbccddeeff'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    "inet6": ("inet", ["'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:1.2.3.4'"]),
    "inet4": ("inet", ["'0.0.0.0'", "'255.255.255.255'"]),
    "varchar(30) COMPRESSED": ("text", ["'short'", "REPEAT('z', 30)"]),
    "blob COMPRESSED": ("hex", ["REPEAT(x'ab', 2000)"]),
    "datetime(3) INVISIBLE": ("moment", ["'2024-01-01 00:00:00.123'"]),
}

POSTGRESQL = {
    "boolean": ("bool", ["true", "false"]),
    "smallint": ("text", ["-32768", "32767"]),
    "integer": ("text", ["-2147483648", "2147483647"]),
    "bigint": ("text", ["-9223372036854775808", "9223372036854775807"]),
    "real": ("float", ["'1.1'", "'3.4028233e38'", "'-1.1754944e-38'", "'16777216'", "0"]),
    "double precision": ("float", ["'0.1'", "'-1.7976931348623157e308'", "'2.2250738585072014e-308'", "'123456789012345680'"]),
    "numeric": ("decimal", ["0", "-1.50", "12345678901234567890123456789012345.123456789012345678901234567891"]),
    "numeric(10,3)": ("decimal", ["-9999999.999", "0.001"]),
    "numeric(65,30)": ("decimal", ["99999999999999999999999999999999999.999999999999999999999999999999"]),
    "numeric(38,0)": ("decimal", ["-99999999999999999999999999999999999999"]),
    "money": ("money", ["'-92233720368547758.08'", "'0.01'"]),
    "text": ("text", ["''", "E'a\\\\\\tb\\nc\\r\"'''", "'\u00c4\u00d6\u20ac\U0001D11E'", "'\\N'", "'  blanks  '", "repeat('\u00e4', 100000)"]),
    "varchar(10)": ("text", ["''", "'ten chars!'", "'  '"]),
    "varchar": ("text", ["'none'"]),
    "varchar(6000)": ("text", ["repeat('\u20ac', 6000)"]),
    "character(5)": ("padded", ["''", "'a'", "'ab cd'"]),
    "character(300)": ("padded", ["'a'", "repeat('\u00e4', 300)"]),
    '"char"': ("text", ["'x'"]),
    "name": ("text", ["'pg_class'"]),
    "bytea": ("hex", ["'\\x'", "'\\x00ff5c2722090a0d'", "decode(repeat('5c00', 60000), 'hex')"]),
    "date": ("moment", ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"]),
    "time": ("moment", ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"]),
    "time(2)": ("moment", ["'12:34:56.78'"]),
    "timetz": ("text", ["'00:00:00+15:59'", "'12:00:00.000001+05:30'"]),
    "timestamp": ("moment", ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'"]),
    "timestamptz": ("moment", ["'2024-03-31 02:30:00+02'", "'0001-01-01 00:00:00+00'", "'9999-12-31 23:59:59.999999+00'"]),
    "timestamp(0)": ("moment", ["'1999-12-31 23:59:59'"]),
    "timestamptz(3)": ("moment", ["'1999-12-31 23:59:59.123+00'"]),
    "interval": ("text", ["'0'", "'-178000000 years'", "'1 year -2 mons +3 days -04:05:06.789'"]),
    "uuid": ("uuid", ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    "json": ("json", ["'null'", "'{\"a\":  [1, 2.5, \"\u00e4\\\\ \"]}'", "'\"x\"'"]),
    "jsonb": ("json", ["'null'", "'{\"b\": 1, \"a\": {\"c\": [true, null, \"x\\\"y\"]}}'", "'12345678901'"]),
    "xml": ("text", ["'<a b=\"c\">\u00e4&amp;</a>'"]),
    "inet": ("inet", ["'192.168.0.1/24'", "'::1'", "'fe80::1/10'"]),
    "cidr": ("text", ["'10.0.0.0/8'", "'2001:db8::/32'"]),
    "macaddr": ("text", ["'08:00:2b:01:02:03'"]),
    "macaddr8": ("text", ["'08:00:2b:01:02:03:04:05'"]),
    "bit(9)": ("bits", ["B'000000000'", "B'101010101'"]),
    "bit(64)": ("bits", ["~(0::bigint::bit(64))", "1::bigint::bit(64)"]),
    "bit(70)": ("text", ["repeat('10', 35)::bit(70)"]),
    "bit varying": ("text", ["B''", "B'0101'"]),
    "mood": ("text", ["'sad'", "'it''s'", "'a,b'", "'\\back'", "''"]),
    "positive": ("text", ["1", "2147483647"]),
    "oid": ("text", ["0", "4294967295"]),
    "int[]": ("array", ["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'"]),
    "text[]": ("array", ["'{}'", "'{\"\",NULL,\"NULL\",\"a,b\",\"{c}\",\"\\\"\\\\\"}'", "ARRAY['\u00e4', E'\\n']"]),
    "bool[]": ("array", ["'{t,f,NULL}'"]),
    "numeric[]": ("array", ["'{1.5,-2}'"]),
    "timestamp[]": ("text", []),
    "jsonb[]": ("array", ["ARRAY['{\"a\": 1}', 'null']::jsonb[]"]),
    "uuid[]": ("array", ["'{00000000-0000-0000-0000-000000000000}'"]),
    "int4range": ("text", ["'empty'", "'[1,10)'", "'(,5)'"]),
    "tstzrange": ("text", ["'[\"2024-01-01 00:00:00+00\",)'"]),
    "int4multirange": ("text", ["'{}'", "'{[1,3),[5,7)}'"]),
    "pair": ("text", ["'(1,x)'", "'(,)'", "'(1,\"a \"\"b\"\", c\")'"]),
    "tsvector": ("text", ["'''a'':1A,2B ''x y'''"]),
    "point": ("text", ["'(1,2)'", "'(-0.5,1e300)'"]),
    "polygon": ("text", ["'((0,0),(1,1),(2,0))'"]),
    "pg_lsn": ("text", ["'FFFFFFFF/FFFFFFFF'"]),
    "hstore": ("hstore", ["''", "'\"a\"=>\"1\", \"b\"=>NULL, \"c d\"=>\"e\\\"f\"'"]),
    "citext": ("text", ["'MiXed'"]),
    "ltree": ("text", ["'a.b.c'"]),
}
POSTGRESQL_BEFORE = """CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS ltree;
CREATE TYPE mood AS ENUM ('sad', 'it''s', 'a,b', '\\back', ''); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text)"""


def types_of(engine, version=None):
    """The types of an engine as {DDL: (form, literals)}."""
    if engine == "postgresql":
        return {name: entry for name, entry in POSTGRESQL.items() if entry[1]}
    more = MYSQL_ONLY if engine == "mysql" else MARIADB_ONLY
    types = {**MYSQL, **more}
    if engine == "mariadb" and version is not None and version < (10, 10):
        types = {name: entry for name, entry in types.items() if name not in ("uuid", "inet4")}
    return types


class TypeTables:
    """Two tables with a column of every type, one with a key and one without, and their rows."""

    tables = ("keyed", "bag")

    def __init__(self, sql, types, is_postgresql):
        self.sql, self.types, self.is_postgresql = sql, types, is_postgresql
        self.rows = max(len(values) for _, values in types.values()) + 1

    def create(self):
        columns = ", ".join(f"c{i} {name}" for i, name in enumerate(self.types))
        tail = "" if self.is_postgresql else " CHARACTER SET utf8mb4"
        self.sql(f"CREATE TABLE keyed (id int PRIMARY KEY, {columns}){tail}")
        self.sql(f"CREATE TABLE bag ({columns}){tail}")
        if self.is_postgresql:
            self.sql("ALTER TABLE bag REPLICA IDENTITY FULL")

    def _cell(self, name, number):
        values = self.types[name][1]
        place = number % (len(values) + 1)
        if place == len(values):
            return "NULL"
        return f"CAST({values[place]} AS {name})" if self.is_postgresql else values[place]

    def _cells(self, number):
        return [self._cell(name, number) for name in self.types]

    def insert(self, first):
        names = ", ".join(f"c{i}" for i in range(len(self.types)))
        for n in range(self.rows):
            cells = ", ".join(self._cells(n))
            self.sql(f"INSERT INTO keyed (id, {names}) VALUES ({first + n}, {cells})")
            self.sql(f"INSERT INTO bag ({names}) VALUES ({cells})")

    def shift(self, first):
        """Every value becomes the next one."""
        for n in range(self.rows):
            changes = ", ".join(f"c{i} = {cell}" for i, cell in enumerate(self._cells(n + 1)))
            self.sql(f"UPDATE keyed SET {changes} WHERE id = {first + n}")

    def thin_out(self, first):
        self.sql(f"DELETE FROM keyed WHERE id >= {first} AND id % 3 = 0")
        if self.is_postgresql:
            self.sql("DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag ORDER BY ctid LIMIT 3)")
        else:
            self.sql("DELETE FROM bag LIMIT 3")


def read(sql, table, types, is_postgresql, key=True, vector="CONVERT"):
    """The rows of a table as the engine prints them: {id: [text]} or a list of rows."""
    place = 0 if is_postgresql else 1
    columns = [FORMS[form][place].format(c=f"c{i}", vector=vector) for i, (form, _) in enumerate(types.values())]
    rows = sql(f"SELECT {'id, ' if key else ''}{', '.join(columns)} FROM {table}")
    plain = [[_plain(cell) for cell in row] for row in rows]
    return {row[0]: row[1:] for row in plain} if key else plain


def read_bag(sql, table, forms, is_postgresql):
    """The rows of a table as a bag; forms is {column: form}."""
    parts = [FORMS[form][0 if is_postgresql else 1].format(c=column, vector="CONVERT") for column, form in forms.items()]
    rows = Counter()
    for row in sql(f"SELECT {', '.join(parts)} FROM {table}"):
        rows[tuple(None if cell is None else _bag_cell(form, str(_plain(cell))) for form, cell in zip(forms.values(), row))] += 1
    return rows


def _bag_cell(form, text):
    value = FORMS[form][2](text)
    return json.dumps(value, sort_keys=True) if form in ("json", "array", "hstore", "vector") else value


def _plain(cell):
    return cell.decode("utf-8") if isinstance(cell, (bytes, bytearray)) else cell


def normal(types, row):
    return [None if text is None else FORMS[form][2](text) for (form, _), text in zip(types.values(), row)]


def unequal(types, left, right):
    """What differs between two readings of the keyed table, in words."""
    found = [f"rows {sorted(set(left) ^ set(right))} at one end only"] if set(left) != set(right) else []
    for key in sorted(set(left) & set(right)):
        pairs = zip(types, normal(types, left[key]), normal(types, right[key]))
        found += [f"id {key}, {name}: {str(a)[:120]!r} became {str(b)[:120]!r}" for name, a, b in pairs if a != b]
    return found


def unequal_bags(types, left, right):
    a, b = (sorted(json.dumps(normal(types, row), sort_keys=True, default=repr) for row in end) for end in (left, right))
    if a == b:
        return []
    here, there = [row for row in a if row not in b], [row for row in b if row not in a]
    return [f"{len(a)} rows and {len(b)}, {len(here)} and {len(there)} of them without a like: {here[:1]} and {there[:1]}"]
