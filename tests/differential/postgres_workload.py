"""What is done to PostgreSQL while both read it: every type, every kind of change, every kind of table."""

ENUM = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s', 'a,b')"
EXTENSIONS = ["hstore", "citext", "ltree", "isn"]

# column type: values (SQL text after casts to the type); each row takes the next one, then NULL
TYPES = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "7"],
    "integer": ["2147483647", "-1"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["4294967295", "0"],
    "real": ["1.5", "3", "1e-20", "3.4028235e38", "NaN", "Infinity", "-Infinity"],
    "double precision": ["1.5", "-0.1", "1e100", "3", "1e-7", "123456789", "NaN", "-Infinity", "Infinity"],
    "numeric(10,2)": ["12345678.91", "-0.01", "0", "1.5", "-128"],
    "numeric(5,0)": ["99999", "-1"],
    "numeric(38,10)": ["1234567890123456789012345678.0123456789", "-1"],
    "numeric": ["15.00", "1500", "0.000001", "-123456789012345678901234567890.5", "0"],
    "money": ["12.34", "-1000.5", "0"],
    "char(4)": ["ab", "abcd"],
    "varchar(20)": ["", "Zürich €𝄞", "a\"b\\c\nd\te"],
    "text": ["", "line\r\n\x01 end", "<&>/"],
    "citext": ["MiXed"],
    '"char"': ["x"],
    "bytea": ["\\x", "\\x00ff5c2722", "\\xfbefbe"],
    "bit(1)": ["1", "0"],
    "bit(10)": ["1000000001", "0000000000", "0000000011"],
    "bit varying": ["101", "0"],
    "varbit(12)": ["111100001111"],
    "varbit(1)": ["1"],
    "date": ["2024-02-29", "1969-12-31", "9999-12-31", "1582-10-15"],
    "time": ["12:34:56.789012", "00:00:00", "24:00:00"],
    "time(0)": ["23:59:59"],
    "time(3)": ["12:34:56.789"],
    "time(6)": ["12:34:56.000001"],
    "timetz": ["12:34:56.789+02", "00:00:00-05:30", "23:59:59.999999+00"],
    "timetz(0)": ["12:34:56+02"],
    "timestamp": ["2024-02-29 12:34:56.789012", "1969-12-31 23:59:59.999999"],
    "timestamp(0)": ["2024-02-29 12:34:56"],
    "timestamp(3)": ["2024-02-29 12:34:56.789", "1960-01-01 00:00:00.001"],
    "timestamp(6)": ["2024-02-29 12:34:56.000001"],
    "timestamptz": ["2024-02-29 12:34:56.789012+02", "2024-02-29 12:34:56+00", "infinity", "-infinity", "2024-02-29 12:34:56.5+00"],
    "timestamptz(0)": ["2024-02-29 12:34:56+00"],
    "timestamptz(3)": ["2024-02-29 12:34:56.120+00"],
    "interval": ["1 year 2 mons 3 days 04:05:06.78", "-1 mons +2 days -00:00:01", "0", "1 day"],
    "uuid": ["00000000-0000-0000-0000-000000000001"],
    "json": ["{\"b\":  1, \"a\": [1.50, null]}", "null", "\"x\""],
    "jsonb": ["{\"b\":  1, \"a\": [1.50, null]}", "\"é\""],
    "xml": ["<a b=\"c\">é</a>"],
    "mood": ["sad", "it's", "a,b"],
    "inet": ["192.168.0.1/24", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "isbn": ["978-0-393-04002-9"],
    "ltree": ["a.b.c"],
    "tsvector": ["'a':1A,2B 'b':3"],
    "int4range": ["[1,10)", "empty", "(,5)"],
    "int8range": ["[1,10)"],
    "numrange": ["[1.1,2.2]"],
    "tsrange": ["[2024-01-01 00:00:00,2024-02-01 00:00:00)"],
    "tstzrange": ["[2024-01-01 00:00:00+00,2024-02-01 00:00:00+00)"],
    "daterange": ["[2024-01-01,2024-02-01)"],
    "hstore": ["\"a\"=>\"1\", \"b\"=>NULL", "", "\"k\\\"q\"=>\"v,\""],
    "point": ["(1,2.5)", "(-0.5,1e10)"],
    "posint": ["5"],
    "price": ["19.99"],
    "smallint[]": ["{1,NULL,-3}", "{}"],
    "integer[]": ["{1,2}"],
    "bigint[]": ["{9223372036854775807}"],
    "oid[]": ["{1}"],
    "text[]": ["{a,NULL,\"b,c\",\"\"}", "{}"],
    "varchar(5)[]": ["{abc}"],
    "char(3)[]": ["{abc}"],
    "numeric(6,2)[]": ["{1.50,-2}"],
    "numeric[]": ["{1.50,100}"],
    "real[]": ["{1.5,2}"],
    "double precision[]": ["{1.5,NULL}"],
    "boolean[]": ["{t,f}"],
    "date[]": ["{2024-02-29}"],
    "uuid[]": ["{00000000-0000-0000-0000-000000000001}"],
    "json[]": ["{\"{\\\"a\\\": 1}\"}"],
    "jsonb[]": ["{\"{\\\"a\\\": 1}\"}"],
    "time[]": ["{12:34:56.5}"],
    "timetz[]": ["{12:34:56.5+02}"],
    "timestamp[]": ["{\"2024-02-29 12:34:56.5\"}"],
    "timestamptz[]": ["{\"2024-02-29 12:34:56.5+02\"}"],
    "bytea[]": ["{\"\\\\x00ff\"}"],
    "inet[]": ["{10.0.0.1}"],
    "cidr[]": ["{10.0.0.0/8}"],
    "macaddr[]": ["{08:00:2b:01:02:03}"],
    "int4range[]": ["{\"[1,3)\"}"],
    "tstzrange[]": ["{\"[\\\"2024-01-01 00:00:00+00\\\",)\"}"],
    "citext[]": ["{A}"],
    "ltree[]": ["{a.b}"],
    "hstore[]": ["{\"\\\"a\\\"=>\\\"1\\\"\"}"],
    "mood[]": ["{sad,ok}"],
    # types without a form of their own
    "box": ["(2,2),(1,1)"],
    "circle": ["<(0,0),1.5>"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "path": ["[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1))"],
    "pg_lsn": ["0/16B3748"],
    "tsquery": ["'a' & 'b'"],
    "txid_snapshot": ["10:20:10,14"],
    "pair": ["(1,x)"],
    "int4multirange": ["{[1,3)}"],
    "name": ["pg_class"],
    "money[]": ["{1.00}"],
    "interval[]": ["{1 day}"],
    "point[]": ["{\"(1,2)\"}"],
    "xml[]": ["{<a/>}"],
    "varbit[]": ["{101}"],
    "name[]": ["{a}"],
}
# In arrays of two dimensions, dates before 1582 and infinite dates Debezium is at odds with itself: a table of their own.
ODD = {
    "date": ["infinity", "-infinity", "0001-01-01", "1582-10-04", "4713-01-01 BC"],
    "timestamp": ["infinity", "-infinity", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "4713-01-01 00:00:00 BC"],
    "timestamptz": ["0001-01-01 00:00:00+00", "4713-01-01 00:00:00+00 BC", "20000-01-01 00:00:00+00"],
    "numeric(5,-2)": ["12300"],
    "numeric(4,6)": ["0.001234"],
    "numeric(10,2)": ["NaN"],
    "numeric": ["NaN", "Infinity", "-Infinity"],
    "integer[]": ["{{1,2},{3,4}}", "[0:1]={1,2}"],
    "varbit": [""],
    "bit(3)[]": ["{101}"],
    "timetz": ["24:00:00+00"],
}
DEFAULTS = {
    "boolean": "true", "smallint": "7", "integer": "-5", "bigint": "10000000000", "real": "1.5", "double precision": "2.5",
    "numeric(10,2)": "1.50", "numeric": "1.5", "text": "'it''s'", "varchar(10)": "'abc'", "char(4)": "'ab'", "bytea": "'\\x00ff'",
    "date": "'2024-02-29'", "time": "'12:34:56'", "timestamp": "'2024-02-29 12:34:56.5'", "timestamp(3)": "'2024-02-29 12:34:56.5'",
    "timestamptz": "'2024-02-29 12:34:56.5+00'", "uuid": "'00000000-0000-0000-0000-000000000001'", "json": "'{\"a\": 1}'", "jsonb": "'{\"a\": 1}'",
    "mood": "'ok'", "bit(1)": "B'1'", "bit(4)": "B'1010'", "interval": "'1 day'", "inet": "'10.0.0.1'", "integer[]": "'{1,2}'", "text[]": "'{}'",
    "oid": "5", "hstore": "'\"a\"=>\"1\"'", "point": "'(1,2)'", "int4range": "'[1,5)'", "timetz": "'12:00:00+00'", "money": "5",
    "citext": "'C'", "macaddr": "'08:00:2b:01:02:03'", "cidr": "'10.0.0.0/8'", "xml": "'<a/>'", "ltree": "'a.b'", "varbit(4)": "B'11'", "time(3)": "'12:34:56.5'",
    "posint": "3", "tsvector": "'a'", "interval day": "'2 days'",
}
FUNCTIONS = {"timestamptz": "now()", "timestamp": "now()", "date": "current_date", "uuid": "gen_random_uuid()", "text": "'a' || 'b'", "integer": "1 + 1",
             "bigint": "nextval('numbers')", "time": "localtime", "numeric(6,2)": "random()", "double precision": "random()", "boolean": "pg_is_in_recovery()",
             "jsonb": "jsonb_build_object()",
             "smallint": "length('abc')", "interval": "age(now())", "timetz": "localtime", "mood": "('o' || 'k')::mood", "timestamp(3)": "now() + interval '1 day'",
             "varchar(10)": "CURRENT_USER"}


def column(name):
    return "c_" + "".join(c if c.isalnum() else "_" for c in name)


def table(name, types, suffix="", key="id int PRIMARY KEY"):
    columns = ", ".join(f"{column(t)} {t} {suffix}" for t in types)
    return f"CREATE TABLE {name} ({key}, {columns})"


def literal(text, type_name):
    return "'" + text.replace("'", "''") + f"'::{type_name}"


def rows(name, types, first):
    """INSERTs: as many rows as the type with most values has, and one of nulls."""
    most = max(len(values) for values in types.values())
    for number in range(most + 1):
        cells = [literal(values[number], t) if number < len(values) else "NULL" for t, values in types.items()]
        yield f"INSERT INTO {name} VALUES ({first + number}, {', '.join(cells)})"


def full_row(name, types, identifier):
    cells = [literal(values[0], t) for t, values in types.items()]
    return f"INSERT INTO {name} VALUES ({identifier}, {', '.join(cells)})"


def setup():
    yield from (f"CREATE EXTENSION {name}" for name in EXTENSIONS)
    yield ENUM
    yield "CREATE DOMAIN posint AS int CHECK (VALUE > 0)"
    yield "CREATE DOMAIN price AS numeric(8,2)"
    yield "CREATE TYPE pair AS (a int, b text)"
    yield "CREATE SEQUENCE numbers"
    yield "CREATE TABLE sync (id int PRIMARY KEY)"
    yield table("types", TYPES)
    yield table("odd", ODD)
    yield table("required", TYPES, "NOT NULL")
    yield table("whole", TYPES)
    yield "ALTER TABLE whole REPLICA IDENTITY FULL"
    yield "CREATE TABLE defaults (id serial PRIMARY KEY, big bigserial, " + ", ".join(
        f"{column(t)} {t} DEFAULT {d}, n{column(t)} {t} NOT NULL DEFAULT {d}" for t, d in DEFAULTS.items()) + ")"
    yield "CREATE TABLE functions (id int PRIMARY KEY, " + ", ".join(
        f"{column(t)} {t} DEFAULT {d}, n{column(t)} {t} NOT NULL DEFAULT {d}" for t, d in FUNCTIONS.items()) + ")"
    yield "CREATE TABLE identity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)"
    yield "CREATE TABLE composite (v text, b int, a varchar(5), PRIMARY KEY (a, b))"
    yield "CREATE TABLE nokey (id int, v text)"
    yield "CREATE TABLE nokey_full (id int, v text NOT NULL)"
    yield "ALTER TABLE nokey_full REPLICA IDENTITY FULL"
    yield "CREATE TABLE uniq (id int UNIQUE, v text)"
    yield "ALTER TABLE uniq REPLICA IDENTITY FULL"
    yield "CREATE TABLE by_index (id int NOT NULL, v text, w int)"
    yield "CREATE UNIQUE INDEX by_index_i ON by_index (id)"
    yield "ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_i"
    yield "CREATE TABLE big (id int PRIMARY KEY, n int, t text, b bytea, j jsonb, a text[], i int[], u uuid[], h hstore, x xml, ia bigint[])"
    yield "CREATE TABLE big_full (id int PRIMARY KEY, n int, t text)"
    yield "ALTER TABLE big_full REPLICA IDENTITY FULL"
    yield 'CREATE TABLE "Odd näme.$" ("Id" int PRIMARY KEY, "sp ace" text, "q""uote" int, "ü" int)'
    yield "CREATE TABLE shape (id int PRIMARY KEY, a int, b text DEFAULT 'x')"
    yield "CREATE TABLE made (id int PRIMARY KEY, base int, twice int GENERATED ALWAYS AS (base * 2) STORED)"
    yield "CREATE TABLE parts (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)"
    yield "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)"
    yield "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200)"
    yield "CREATE TABLE empty (id int PRIMARY KEY)"
    yield "CREATE TABLE keys (ts timestamptz, d date, n numeric(6,2), m mood, u uuid, v text, PRIMARY KEY (ts, d, n, m, u))"
    # what the snapshot finds
    yield "INSERT INTO sync VALUES (0)"
    yield from rows("types", TYPES, 1)
    yield from rows("odd", ODD, 1)
    yield full_row("required", TYPES, 1)
    yield full_row("whole", TYPES, 1)
    yield "INSERT INTO defaults DEFAULT VALUES"
    yield "INSERT INTO defaults (id, " + ", ".join(column(t) for t in DEFAULTS) + ") VALUES (50" + ", NULL" * len(DEFAULTS) + ")"
    yield "INSERT INTO composite VALUES ('x', 1, 'a'), ('y', 2, 'a')"
    yield "INSERT INTO nokey VALUES (1, 'a'), (2, NULL)"
    yield "INSERT INTO uniq VALUES (1, 'a')"
    yield "INSERT INTO by_index VALUES (1, 'a', 1), (2, 'b', 2)"
    yield "INSERT INTO \"Odd näme.$\" VALUES (1, 'x', 2, 3)"
    yield "INSERT INTO shape VALUES (1, 1, 'one')"
    yield "INSERT INTO made (id, base) VALUES (1, 21)"
    yield "INSERT INTO keys VALUES ('2024-02-29 12:00:00.5+00', '2024-02-29', 1.50, 'ok', '00000000-0000-0000-0000-000000000001', 'x')"


BIG = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i)"


def changes():
    """Lists of statements: each list is one transaction. None: everything must have been read before the next one (DDL)."""
    yield list(rows("types", TYPES, 101))
    yield list(rows("odd", ODD, 101))
    yield [f"UPDATE types SET {column('integer')} = 42", "DELETE FROM types WHERE id = 1"]
    yield ["UPDATE types SET id = 1000 WHERE id = 2"]
    yield [full_row("required", TYPES, 2)]
    yield ["DELETE FROM required"]
    yield [full_row("whole", TYPES, 2), f"UPDATE whole SET {column('integer')} = 3, {column('text')} = NULL", "DELETE FROM whole WHERE id = 1"]
    yield ["UPDATE whole SET id = 5 WHERE id = 2"]
    yield ["INSERT INTO defaults DEFAULT VALUES",
           "INSERT INTO defaults (id, " + ", ".join(column(t) for t in DEFAULTS) + ") VALUES (150" + ", NULL" * len(DEFAULTS) + ")",
           "DELETE FROM defaults WHERE id = 1"]
    yield ["INSERT INTO functions (id) VALUES (1)", "DELETE FROM functions",
           "INSERT INTO functions (id, " + ", ".join(column(t) for t in FUNCTIONS) + ") VALUES (2" + ", NULL" * len(FUNCTIONS) + ")"]
    yield ["INSERT INTO identity (v) VALUES ('a'), ('b')", "DELETE FROM identity WHERE id = 1"]
    yield ["INSERT INTO composite VALUES ('z', 3, 'b')", "UPDATE composite SET v = 'changed'", "UPDATE composite SET b = b + 10 WHERE a = 'a'",
           "DELETE FROM composite WHERE a = 'b'"]
    yield ["INSERT INTO nokey VALUES (3, 'c')"]
    yield ["INSERT INTO nokey_full VALUES (1, 'a'), (1, 'a')", "UPDATE nokey_full SET v = 'b'", "DELETE FROM nokey_full"]
    yield ["INSERT INTO uniq VALUES (2, 'b'), (NULL, 'n')", "UPDATE uniq SET v = 'c' WHERE id = 1", "UPDATE uniq SET id = 3 WHERE id = 2", "DELETE FROM uniq"]
    yield ["UPDATE by_index SET v = 'c' WHERE id = 1", "UPDATE by_index SET id = 9 WHERE id = 2"]
    yield [f"INSERT INTO big SELECT 1, 1, {BIG}, convert_to({BIG}, 'UTF8'), to_jsonb({BIG}), ARRAY(SELECT md5(i::text) FROM generate_series(1, 2000) i),"
           f" ARRAY(SELECT (random() * 1e9)::int FROM generate_series(1, 5000) i), ARRAY(SELECT md5(i::text)::uuid FROM generate_series(1, 5000) i),"
           f" hstore('k', {BIG}), ('<a>' || {BIG} || '</a>')::xml, ARRAY(SELECT (random() * 1e15)::bigint FROM generate_series(1, 5000) i)"]
    yield ["UPDATE big SET n = 2"]
    yield ["UPDATE big SET id = 2"]
    yield [f"INSERT INTO big_full SELECT 1, 1, {BIG}", "UPDATE big_full SET n = 2"]
    yield ["INSERT INTO \"Odd näme.$\" VALUES (2, 'y', 3, 4)", "DELETE FROM \"Odd näme.$\" WHERE \"Id\" = 1"]
    yield ["INSERT INTO made (id, base) VALUES (2, 4)", "UPDATE made SET base = 5 WHERE id = 1"]
    yield ["INSERT INTO parts VALUES (1, 'a'), (101, 'b')", "UPDATE parts SET id = 102 WHERE id = 1"]
    yield ["INSERT INTO keys VALUES ('2024-02-29 12:00:00+00', '2024-02-29', -1.50, 'sad', '00000000-0000-0000-0000-000000000002', 'x')", "DELETE FROM keys"]
    yield ["INSERT INTO empty VALUES (1)", "SAVEPOINT s", "INSERT INTO empty VALUES (2)", "ROLLBACK TO s", "INSERT INTO empty VALUES (3)"]
    yield ["SELECT pg_logical_emit_message(true, 'pre', 'con\ntent')"]
    yield ["SELECT pg_logical_emit_message(false, 'pre', 'loose')"]
    yield ["TRUNCATE empty"]
    yield ["INSERT INTO empty VALUES (9)", "TRUNCATE empty, nokey", "INSERT INTO empty VALUES (10)"]
    # changes of shape
    yield None
    yield ["ALTER TABLE shape ADD COLUMN c numeric(6,2) DEFAULT 1.5"]
    yield ["INSERT INTO shape VALUES (2, 2, 'two', 2.25)", "UPDATE shape SET a = 5 WHERE id = 1"]
    yield None
    yield ["ALTER TABLE shape RENAME COLUMN a TO renamed"]
    yield ["INSERT INTO shape VALUES (3, 3, 'three', 3)"]
    yield None
    yield ["ALTER TABLE shape ALTER COLUMN renamed TYPE bigint"]
    yield ["INSERT INTO shape VALUES (4, 4, 'four', 4)"]
    yield None
    yield ["ALTER TABLE shape DROP COLUMN b"]
    yield ["INSERT INTO shape VALUES (5, 5, 5)"]
    yield None
    yield ["ALTER TABLE shape ALTER COLUMN c SET NOT NULL, ALTER COLUMN c DROP DEFAULT"]
    yield ["INSERT INTO shape VALUES (6, 6, 6)", "DELETE FROM shape WHERE id = 6"]
    yield None
