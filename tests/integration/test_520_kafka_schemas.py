"""schemas_enable: every payload is what its schema says, for all types, modes and kinds of record."""

import base64
import itertools

import pytest

from harness.replication import task_config

TABLE = """
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS ltree;
CREATE TYPE mood AS ENUM ('sad', 'ok, really', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE types (
    id bigserial PRIMARY KEY, b bool, i2 int2, i4 int4 NOT NULL DEFAULT 42, i8 int8, o oid, f4 float4, f8 float8,
    n numeric(12,3), nv numeric, m money, c char(5), v varchar(20) DEFAULT 'it''s', t text NOT NULL DEFAULT '', by bytea,
    bit1 bit(1), bit12 bit(12), vb varbit, d date, t0 time(0), t6 time, tz timetz, ts3 timestamp(3), ts timestamp,
    tstz timestamptz, iv interval, u uuid, j json, jb jsonb, x xml, e mood, ip inet, ci cidr, ma macaddr,
    r int4range, h hstore, l ltree, tv tsvector, p point, bx box, pr pair, dom positive,
    ai int[], at text[], an numeric(6,2)[], ats timestamptz[], ae mood[]);
"""
ROW = """
INSERT INTO types (b, i2, i4, i8, o, f4, f8, n, nv, m, c, v, t, by, bit1, bit12, vb, d, t0, t6, tz, ts3, ts, tstz, iv, u, j, jb,
    x, e, ip, ci, ma, r, h, l, tv, p, bx, pr, dom, ai, at, an, ats, ae)
VALUES (true, -1, 7, 1::bigint << 60, 23, 1.5, -2.25, 123.456, 9876543210.5, '12.34', 'ab', 'x', 'y', '\\x00ff', B'1',
    B'101010101010', B'1', '2024-02-29', '01:02:03', '01:02:03.456789', '01:02:03+02', '2024-02-29 12:00', '2024-02-29 12:00',
    '2024-02-29 12:00+01', '1 mon 2 days', gen_random_uuid(), '{"a": 1}', '{"a": 1}', '<a/>', 'ok, really', '10.0.0.1',
    '10.0.0.0/8', '08:00:2b:01:02:03', '[1,5)', 'k=>v', 'a.b', 'a b', '(1,2)', '((0,0),(1,1))', '(1,z)', 5,
    '{1,NULL,3}', '{a,b}', '{1.25}', '{2024-02-29 12:00+01}', '{sad}');
"""
NUMBERS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def check(schema, value, where):
    """Does the payload fit? As strict as Connect, and no field more than the schema names."""
    kind = schema["type"]
    if value is None:
        assert schema["optional"] or "default" in schema, f"{where}: null, but not optional"
        return
    if kind in NUMBERS:
        assert isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2 ** NUMBERS[kind], f"{where}: {value}"
    elif kind in ("float", "double"):
        assert isinstance(value, float) or value in ("NaN", "Infinity", "-Infinity"), f"{where}: {value!r}"
    elif kind == "boolean":
        assert isinstance(value, bool), f"{where}: {value!r}"
    elif kind == "string":
        assert isinstance(value, str), f"{where}: {value!r}"
    elif kind == "bytes":
        base64.b64decode(value, validate=True)
    elif kind == "array":
        for number, item in enumerate(value):
            check(schema["items"], item, f"{where}[{number}]")
    elif kind == "map":
        for key, item in value.items():
            check(schema["keys"], key, where)
            check(schema["values"], item, f"{where}[{key}]")
    else:
        assert kind == "struct", f"{where}: type {kind}"
        names = [field["field"] for field in schema["fields"]]
        assert list(value) == names or set(value) < set(names), f"{where}: fields {list(value)}, schema {names}"
        for field in schema["fields"]:
            check(field, value.get(field["field"]), f"{where}.{field['field']}")


def check_default(schema):
    for field in schema.get("fields", []):
        if "default" in field:
            check({**field, "optional": False}, field["default"], f"default of {field['field']}")
        check_default(field)


def lines_of(tailrace, source, **target):
    config = task_config(source.url, None, task="shop", tables={"include": ["public.%"]}) | {
        "target": {"url": "stdout:", "schemas_enable": True, "skipped_operations": "none", **target}}
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status == 0, result
    return result.json_lines()


def check_records(records):
    for record in records:
        for part in ("key", "value"):
            if record[part] is not None:
                assert list(record[part]) == ["schema", "payload"]
                check(record[part]["schema"], record[part]["payload"], f"{record['topic']} {part}")
                check_default(record[part]["schema"])


MODES = [{}, {"decimal_handling_mode": "string", "binary_handling_mode": "hex", "time_precision_mode": "isostring",
              "interval_handling_mode": "string", "hstore_handling_mode": "map"},
         {"decimal_handling_mode": "double", "time_precision_mode": "connect", "include_unknown_datatypes": "true"},
         {"time_precision_mode": "nanoseconds", "include_unknown_datatypes": "false"}]


@pytest.mark.parametrize("modes", MODES, ids=["defaults", "texts", "connect", "nanoseconds"])
def test_payloads_fit_their_schemas(source, tailrace, modes):
    source.sql(TABLE)
    source.sql(ROW)
    source.sql("INSERT INTO types DEFAULT VALUES")
    records = lines_of(tailrace, source, provide_transaction_metadata=True, **modes)
    assert len(records) == 2
    source.sql(ROW)
    source.sql("UPDATE types SET v = 'changed' WHERE id = 1")
    source.sql("UPDATE types SET id = 100 WHERE id = 2")
    source.sql("DELETE FROM types WHERE id = 1")
    source.sql("SELECT pg_logical_emit_message(true, 'note', 'hello')")
    source.sql("TRUNCATE types")
    records += lines_of(tailrace, source, provide_transaction_metadata=True, **modes)
    check_records(records)
    ops = [r["value"]["payload"].get("op", r["value"]["payload"].get("status")) if r["value"] else None for r in records]
    data = [op for op in ops if op not in ("BEGIN", "END")]
    assert data == ["r", "r", "c", "u", "d", None, "c", "d", None, "m", "t"]
    assert ops.count("BEGIN") == ops.count("END") == 6


def test_names_of_schemas(source, tailrace):
    source.sql(TABLE)
    source.sql(ROW)
    [record] = lines_of(tailrace, source)
    key, value = record["key"]["schema"], record["value"]["schema"]
    assert (key["name"], value["name"], value["version"]) == ("shop.public.types.Key", "shop.public.types.Envelope", 2)
    assert [f["field"] for f in value["fields"]] == ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
    columns = {f["field"]: f for f in value["fields"][1]["fields"]}
    named = {name: (f["type"], f.get("name"), f.get("parameters")) for name, f in columns.items()}
    assert named["n"] == ("bytes", "org.apache.kafka.connect.data.Decimal", {"scale": "3", "connect.decimal.precision": "12"})
    assert named["e"] == ("string", "io.debezium.data.Enum", {"allowed": "sad,ok, really,happy"})
    assert named["ts3"] == ("int64", "io.debezium.time.Timestamp", None)
    assert named["t0"] == ("int32", "io.debezium.time.Time", None)
    assert named["bit12"] == ("bytes", "io.debezium.data.Bits", {"length": "12"})
    assert columns["i4"]["default"] == 42 and columns["v"]["default"] == "it's"
    assert columns["id"]["optional"] is False and columns["b"]["optional"] is True
    assert list(itertools.islice(columns, 3)) == ["id", "b", "i2"]
