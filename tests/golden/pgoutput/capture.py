#!/usr/bin/python3
"""Captures the golden files of this folder from a private PostgreSQL server. Run by hand, when a case is added.

    tests/golden/pgoutput/capture.py [--socket DIR]      a server of its own, or one that listens on DIR

*.frames     what the walsender sent: per frame Int64 LSN, Int32 length, bytes (big endian)
values.*     the same table as COPY binary (.bin), COPY text (.txt) and its columns "oid typmod name" (.types)
floats.*     the same for floating point numbers: powers of two, edges, random bits
types.tsv    the built-in types that a table can have: name, oid, array oid, typtype, typcategory, format_type
"""

import argparse
import contextlib
import io
import random
import struct
import sys
from pathlib import Path

import psycopg2
import psycopg2.extras

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

PIN = ("-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3 -c bytea_output=hex "
       "-c client_encoding=UTF8 -c lc_monetary=C")

VALUES = [
    ("bool", ["t", "f"]),
    ("int2", ["0", "-32768", "32767"]),
    ("int4", ["0", "-2147483648", "2147483647"]),
    ("int8", ["0", "-9223372036854775808", "9223372036854775807"]),
    ("oid", ["0", "4294967295"]),
    ("float4", ["0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "123456",
                "1234567", "0.0001", "0.00001"]),
    ("float8", ["0", "-0", "0.1", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "1e23", "123456789012345",
                "1234567890123456", "0.0001", "0.00001", "0.30000000000000004", "9007199254740993"]),
    ("numeric", ["0", "0.00", "-0.001", "NaN", "Infinity", "-Infinity", "1e30", "12345678901234567890.12345678901234567890",
                 "10000", "100000000", "0.0000000000000000000000000000000001", "-99990000.00010000", "1e-10"]),
    ("numeric(10,2)", ["0", "1.5", "-99999999.99"]),
    ("numeric(5,-2)", ["1234500"]),
    ("text", ["", "a\tb\nc\\d\re", "N", "\\N", "Grüße 🐘", "x" * 300]),
    ("varchar(20)", ["", "abc"]),
    ("char(5)", ["ab", ""]),
    ("name", ["abc"]),
    ("bytea", ["\\x", "\\x00ff5c0a09"]),
    ("json", ['{"a": [1, "x\\ny"]}', "null"]),
    ("jsonb", ['{"a": [1, "x\\ny"], "b": 1.50}', "null"]),
    ("uuid", ["00112233-4455-6677-8899-aabbccddeeff"]),
    ("date", ["2000-01-01", "1999-12-31", "0001-01-01", "0001-12-31 BC", "0044-03-15 BC", "4714-11-24 BC", "5874897-12-31",
              "infinity", "-infinity", "2000-02-29", "1900-02-28", "12345-06-07"]),
    ("time", ["00:00", "24:00", "12:34:56.7", "23:59:59.999999", "00:00:00.000001"]),
    ("timetz", ["00:00+00", "12:34:56.789+05:30", "24:00-15:59:59", "01:02:03-08"]),
    ("timestamp", ["2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00 BC", "4714-11-24 00:00:00 BC",
                   "294276-12-31 23:59:59.999999", "infinity", "-infinity", "2024-02-29 12:00:00.5"]),
    ("timestamptz", ["2000-01-01 00:00:00+00", "1969-12-31 23:59:59.9+02", "0044-03-15 12:00:00+00 BC",
                     "294276-12-31 23:59:59.999999+00", "infinity", "-infinity", "2024-03-31 02:30:00+01"]),
    ("timestamp(3)", ["2000-01-01 00:00:00.123456"]),
    ("interval", ["0", "1 year 2 mons 3 days 04:05:06.789", "-1 year -2 mons +3 days -04:05:06.789", "-1 mon +1 day", "1 day",
                  "-1 days +02:03:00", "1 mon -1 days", "2 years -3 mons", "00:00:00.000001", "-00:00:01", "178000000 years",
                  "1000000:00:00", "-1 year 1 day 00:00:01", "-2147483648 days", "-1 mon"]),
    ("bit(5)", ["10110"]),
    ("varbit", ["", "1", "101010101"]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("macaddr8", ["08:00:2b:01:02:03:04:05"]),
    ("mood", ["happy", "so 'so'"]),
    ("short_text", ["dom"]),
]

SETUP = """
CREATE TYPE mood AS ENUM ('happy', 'so ''so''');
CREATE DOMAIN short_text AS varchar(10);
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10,2), tags text[], m mood, big text);
ALTER TABLE item ALTER COLUMN big SET STORAGE EXTERNAL;
CREATE TABLE whole (a int, b text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE pair (x int NOT NULL, y int NOT NULL, z text, PRIMARY KEY (y, x));
CREATE TABLE "Odd ""name" (id int PRIMARY KEY, "ta b" text);
CREATE TABLE bulk (id int PRIMARY KEY, filler text);
CREATE PUBLICATION golden FOR ALL TABLES;
"""

WORK = [
    "INSERT INTO item VALUES (1, 'one', 1.50, '{a,\"b c\",NULL}', 'happy', repeat('x', 9000)), (2, NULL, NULL, NULL, NULL, NULL)",
    "UPDATE item SET name = 'uno' WHERE id = 1",
    "UPDATE item SET id = 3 WHERE id = 2",
    "INSERT INTO whole VALUES (1, 'a'), (2, NULL)",
    "UPDATE whole SET b = 'c' WHERE a = 1",
    "DELETE FROM whole WHERE a = 2",
    "INSERT INTO pair VALUES (1, 2, 'z')",
    "UPDATE pair SET y = 5 WHERE x = 1",
    "DELETE FROM pair",
    "INSERT INTO \"Odd \"\"name\" VALUES (1, 'tab\there')",
    "BEGIN; INSERT INTO item VALUES (10); SAVEPOINT s; INSERT INTO item VALUES (11); ROLLBACK TO s; "
    "INSERT INTO item VALUES (12); COMMIT",
    "BEGIN; INSERT INTO item VALUES (20); ROLLBACK",
    "SELECT pg_logical_emit_message(true, 'prefix', 'inside')",
    "SELECT pg_logical_emit_message(false, 'prefix', 'outside')",
    "BEGIN; ALTER TABLE pair ADD COLUMN w mood; INSERT INTO pair VALUES (7, 7, 'seven', 'happy'); COMMIT",
    "TRUNCATE whole, pair RESTART IDENTITY CASCADE",
    "DELETE FROM item WHERE id = 3",
]

STREAMED = [
    # a committed one with an aborted subtransaction, and one that is rolled back
    "BEGIN; INSERT INTO bulk SELECT g, 'first' FROM generate_series(1, 600) g; SAVEPOINT s; "
    "INSERT INTO bulk SELECT g, 'aborted' FROM generate_series(1001, 1600) g; ROLLBACK TO s; "
    "SELECT pg_logical_emit_message(true, 'in stream', 'x'); "
    "INSERT INTO bulk SELECT g, 'second' FROM generate_series(2001, 2600) g; DELETE FROM bulk WHERE id = 1; COMMIT",
    "BEGIN; INSERT INTO bulk SELECT g, 'gone' FROM generate_series(5001, 5700) g; ROLLBACK",
    "INSERT INTO bulk VALUES (9001, 'plain')",
]

PREPARED = [
    "BEGIN; INSERT INTO bulk VALUES (20001, 'kept'); PREPARE TRANSACTION 'gid kept'; COMMIT PREPARED 'gid kept'",
    "BEGIN; INSERT INTO bulk VALUES (20002, 'gone'); PREPARE TRANSACTION 'gid gone'; ROLLBACK PREPARED 'gid gone'",
    "BEGIN; INSERT INTO bulk SELECT g, 'big' FROM generate_series(30001, 30900) g; PREPARE TRANSACTION 'gid big'; "
    "COMMIT PREPARED 'gid big'",
]


def run(connection, statements):
    for script in statements:
        with connection.cursor() as cursor:
            for statement in script.split("; "):
                cursor.execute(statement)


def one(connection, query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def frames(dsn, connection, name, statements, prepare=False, **options):
    """Runs the statements, and writes down what the walsender says of them."""
    with contextlib.closing(psycopg2.connect(dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection)) as stream:
        cursor = stream.cursor()
        cursor.execute(f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput{' TWO_PHASE' if prepare else ''}")
        run(connection, statements)
        end = int(one(connection, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        cursor.start_replication(slot_name=name, options={"publication_names": "golden", **options})
        out = []
        while True:
            message = cursor.read_message()
            if message is not None:
                out.append(struct.pack(">QI", message.data_start, len(message.payload)) + bytes(message.payload))
            elif cursor.wal_end >= end:
                break
            else:
                cursor.send_feedback(reply=True)
        (HERE / f"{name}.frames").write_bytes(b"".join(out))
        corpus(name, [frame[12:] for frame in out])
        print(f"{name}: {len(out)} frames")


def corpus(name, payloads):
    """The short frames as seeds for tests/fuzz/fuzz_pgoutput.c: the beginning and the end of what was captured."""
    short = [payload for payload in payloads if len(payload) < 300]
    chosen = short if len(short) < 100 else short[:40] + short[-40:]
    seed = b"".join(struct.pack(">H", len(payload)) + payload for payload in chosen)
    folder = HERE.parent.parent / "fuzz" / "corpus" / "fuzz_pgoutput"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\1" + seed)
    (folder / f"{name}_open").write_bytes(b"\0" + seed)


def copies(connection, table):
    with connection.cursor() as cursor:
        for suffix, options in (("bin", "FORMAT binary"), ("txt", "FORMAT text")):
            with open(HERE / f"{table}.{suffix}", "wb") as out:
                cursor.copy_expert(f"COPY {table} TO STDOUT ({options})", out)
        # the base type of a domain, because that is what the catalogue resolves
        cursor.execute("SELECT coalesce(nullif(t.typbasetype, 0), t.oid), a.atttypmod, t.typname, t.typtype "
                       "FROM pg_attribute a JOIN pg_type t "
                       f"ON t.oid = a.atttypid WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum")
        lines = [" ".join(map(str, row)) for row in cursor.fetchall()]
        (HERE / f"{table}.types").write_text("\n".join(lines) + "\n", encoding="utf-8")


def values(connection):
    columns = ", ".join(f"c{i} {name}" for i, (name, _) in enumerate(VALUES))
    marks = ", ".join(f"%s::{name}" for name, _ in VALUES)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE values ({columns})".replace("values", '"values"'))
        for i in range(max(len(samples) for _, samples in VALUES) + 1):
            row = [samples[i] if i < len(samples) else None for _, samples in VALUES]
            cursor.execute(f'INSERT INTO "values" VALUES ({marks})', row)
        cursor.execute('ALTER TABLE "values" RENAME TO golden_values')
    copies(connection, "golden_values")


def floats(connection, count):
    dice = random.Random(15)
    eights = {struct.pack(">d", 2.0 ** n) for n in range(-1074, 1024)}
    eights |= {struct.pack(">Q", dice.getrandbits(64)) for _ in range(count)}
    eights |= {struct.pack(">d", dice.randrange(1, 10 ** dice.randrange(1, 17)) / 10.0 ** dice.randrange(0, 17))
               for _ in range(count)}
    eights |= {struct.pack(">d", float(f"{dice.randrange(1, 10 ** 5)}e{dice.randrange(-330, 305)}")) for _ in range(count)}
    fours = {struct.pack(">f", 2.0 ** n) for n in range(-149, 128)}
    fours |= {struct.pack(">I", dice.getrandbits(32)) for _ in range(count)}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE golden_floats (four float4, eight float8)")
        rows = [(None, b) for b in sorted(eights)] + [(b, None) for b in sorted(fours)]
        out = b"PGCOPY\n\377\r\n\0" + struct.pack(">II", 0, 0)
        for four, eight in rows:
            out += struct.pack(">H", 2)
            for field in (four, eight):
                out += struct.pack(">i", -1) if field is None else struct.pack(">I", len(field)) + field
        cursor.copy_expert("COPY golden_floats FROM STDIN (FORMAT binary)", io.BytesIO(out + b"\xff\xff"))
    copies(connection, "golden_floats")


def copy_corpus(connection):
    """Seeds for tests/fuzz/fuzz_pgcopy.c: a row of the columns that it has."""
    row = ("true, 1::int2, 2, 3::int8, 4::oid, 1.5::float4, 0.1::float8, -12345.678::numeric, "
           "E'a\\tb\\\\c'::text, 'ab'::char(4), "
           "'\\x00ff'::bytea, '{}'::json, '[1]'::jsonb, '00112233-4455-6677-8899-aabbccddeeff'::uuid, '0044-03-15 BC'::date, "
           "'24:00'::time, '01:02:03-08'::timetz, 'infinity'::timestamp, '2024-02-29 12:00:00.5+00'::timestamptz, "
           "'-1 mon +1 day'::interval, B'101', '08:00:2b:01:02:03'::macaddr, '08:00:2b:01:02:03:04:05'::macaddr8")
    folder = HERE.parent.parent / "fuzz" / "corpus" / "fuzz_pgcopy"
    folder.mkdir(parents=True, exist_ok=True)
    seeds = (("text", "FORMAT text", 0xfe), ("binary", "FORMAT binary", 0xff), ("binary_pieces", "FORMAT binary", 7))
    for name, options, piece in seeds:
        out = io.BytesIO()
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY (SELECT {row} FROM generate_series(1, 2)) TO STDOUT ({options})", out)
        (folder / name).write_bytes(bytes([piece]) + out.getvalue())


def types(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT typname, oid, typarray, typtype, typcategory, format_type(oid, NULL) FROM pg_type "
                       "WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typarray <> 0 "
                       "AND typname !~ '^pg_(ndistinct|dependencies|mcv_list|node_tree|brin)' ORDER BY oid")
        lines = ["\t".join(map(str, row)) for row in cursor.fetchall()]
    (HERE / "types.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def capture(dsn, count):
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        run(connection, [SETUP.strip().rstrip(";").replace(";\n", "; ")])
        frames(dsn, connection, "plain_v1", WORK, proto_version="1")
        run(connection, ["TRUNCATE item, whole, pair, bulk, \"Odd \"\"name\"", "ALTER TABLE pair DROP COLUMN w"])
        frames(dsn, connection, "binary_v3", WORK, proto_version="3", binary="true", messages="true")
        frames(dsn, connection, "streamed_v2", STREAMED, proto_version="2", streaming="on", messages="true")
        frames(dsn, connection, "prepared_v3", PREPARED, True, proto_version="3", streaming="on", two_phase="on")
        values(connection)
        floats(connection, count)
        types(connection)
        copy_corpus(connection)


def main():
    parser = argparse.ArgumentParser(description="Captures golden files for the pgoutput decoder.")
    parser.add_argument("--socket", help="the socket folder of a running scratch server")
    parser.add_argument("--floats", type=int, default=300, help="random numbers of each kind (default: %(default)s)")
    args = parser.parse_args()
    if args.socket:
        with contextlib.closing(psycopg2.connect(f"host={args.socket} user=postgres dbname=postgres")) as admin:
            admin.autocommit = True
            run(admin, ["DROP DATABASE IF EXISTS golden", "CREATE DATABASE golden"])
        capture(f"host={args.socket} user=postgres dbname=golden options='{PIN}'", args.floats)
        return
    from harness.servers import Postgres
    options = {"wal_level": "logical", "logical_decoding_work_mem": "64kB", "max_prepared_transactions": 5}
    with Postgres(options=options) as server:
        capture(f"host={server.sockets} port={server.port} user=postgres dbname=postgres options='{PIN}'", args.floats)


if __name__ == "__main__":
    main()
