"""dms-json: the messages of AWS DMS, with all digits, from PostgreSQL and MariaDB, as files and standard output show them."""

import json
import re

import pytest

from harness.replication import task_config

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def messages(tailrace, url, tables, **target):
    """(topic, key, value without the message's own time) of one run to the end of the log."""
    config = task_config(url, None, task="shop", tables=tables) | {"target": {"url": "stdout:", "format": "dms-json", **target}}
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status == 0, result
    found = []
    for line in result.json_lines():
        stamp = line["value"]["metadata"].pop("timestamp")
        assert TIMESTAMP.fullmatch(stamp), stamp
        found.append((line["topic"], line["key"], line["value"]))
    return found


def place(operation, table, kind="data", key="primary-key", schema="public", **more):
    return {"record-type": kind, "operation": operation, "partition-key-type": key, **more, "schema-name": schema,
            "table-name": table}


PUBLIC = {"include": ["public.%"]}


def test_load_and_changes(source, tailrace):
    source.sql("CREATE TABLE t (id bigint PRIMARY KEY, v text, n numeric, b bool, raw bytea, at timestamptz(3), d date)")
    source.sql("INSERT INTO t VALUES (9007199254740993, 'ä \"q\"', 12345678901234567890.5, true, '\\x00ff', "
               "'2024-02-29 12:00:00.25+01', '2024-02-29'), (2, '', NULL, false, NULL, 'infinity', NULL)")
    assert messages(tailrace, source.url, PUBLIC) == [
        ("shop.public.t", "shop.public.t", {"metadata": place("create-table", "t", "control", "task-id")}),
        ("shop.public.t", "9007199254740993", {
            "data": {"id": 9007199254740993, "v": 'ä "q"', "n": 12345678901234567890.5, "b": "true", "raw": "0x00ff",
                     "at": "2024-02-29T11:00:00.25Z", "d": "2024-02-29"}, "metadata": place("load", "t")}),
        ("shop.public.t", "2", {"data": {"id": 2, "b": "false", "at": "infinity"}, "metadata": place("load", "t")})]
    source.sql("INSERT INTO t (id, v) VALUES (3, 'new')")
    source.sql("UPDATE t SET v = 'changed', id = 4 WHERE id = 3")
    source.sql("DELETE FROM t WHERE id = 4")
    source.sql("TRUNCATE t")
    assert [(key, value["metadata"]["operation"], value["data"]) for _, key, value in messages(tailrace, source.url, PUBLIC)] == [
        ("3", "insert", {"id": 3, "v": "new"}), ("4", "update", {"id": 4, "v": "changed"}), ("4", "delete", {"id": 4})]


def test_all_that_can_be_asked_for(source, tailrace):
    source.sql("CREATE TABLE t (a int, b text, note text, ok bool, raw bytea, PRIMARY KEY (a, b))")
    source.sql("ALTER TABLE t REPLICA IDENTITY FULL")
    source.sql("CREATE TABLE heap (v varchar(10) NOT NULL, n numeric(6,2))")
    options = {"include_transaction_details": True, "include_partition_value": True, "partition_include_schema_table": True,
               "include_null_and_empty": True, "include_table_alter_operations": True, "include_control_details": True,
               "no_hex_prefix": True, "map_boolean_as_boolean": True, "before_image": "all", "before_image_field": "BI"}
    assert messages(tailrace, source.url, PUBLIC, **options) == []
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, 'x.y', '', true, '\\xab')")
        cursor.execute("UPDATE t SET note = 'n' WHERE a = 1")
        connection.commit()
        cursor.execute("INSERT INTO heap VALUES ('h', 1.50)")
        connection.commit()
    source.sql("ALTER TABLE heap ADD COLUMN more int")
    source.sql("INSERT INTO heap VALUES ('i', 2, 7)")
    source.sql("TRUNCATE heap")
    insert, update, heap, altered, added, truncated = [m[2] for m in messages(tailrace, source.url, PUBLIC, **options)]
    key = {"partition-key-value": "public.t.1.x.y"}
    facts = {name: insert["metadata"].pop(name) for name in list(insert["metadata"]) if name.startswith(("trans", "commit", "stream"))}
    assert insert == {"data": {"a": 1, "b": "x.y", "note": "", "ok": True, "raw": "ab"},
                      "metadata": place("insert", "t", **key)}
    assert list(facts) == ["transaction-id", "transaction-record-id", "commit-timestamp", "stream-position"]
    assert facts["transaction-record-id"] == 1 and TIMESTAMP.fullmatch(facts["commit-timestamp"])
    assert re.fullmatch("[0-9A-F]+/[0-9A-F]+", facts["stream-position"])
    assert update["BI"] == {"a": 1, "b": "x.y", "note": "", "ok": True, "raw": "ab"}
    assert update["data"]["note"] == "n" and update["metadata"]["transaction-record-id"] == 2
    assert heap["metadata"]["prev-transaction-id"] == facts["transaction-id"]
    assert heap["metadata"]["prev-transaction-record-id"] == 2
    assert heap["metadata"]["partition-key-type"] == "schema-table"
    assert altered["control"] == {"table-def": {"columns": {
        "v": {"type": "WSTRING", "length": 10, "nullable": False},
        "n": {"type": "NUMERIC", "precision": 6, "scale": 2, "nullable": True},
        "more": {"type": "INT4", "nullable": True}}, "primary-key": []}}
    assert altered["metadata"]["operation"] == "add-column"
    assert added["data"] == {"v": "i", "n": 2.0, "more": 7}
    assert (truncated["metadata"]["record-type"], truncated["metadata"]["operation"]) == ("control", "truncate-table")


@pytest.mark.parametrize("by, keys", [("schema-table", {"public.t"}), ("transaction-id", None)])
def test_other_keys(source, tailrace, by, keys):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    assert messages(tailrace, source.url, PUBLIC, partition_key_type=by) == []
    source.sql("INSERT INTO t VALUES (1), (2)")
    found = messages(tailrace, source.url, PUBLIC, partition_key_type=by, include_transaction_details=True)
    assert {value["metadata"]["partition-key-type"] for _, _, value in found} == {by}
    expected = keys or {str(found[0][2]["metadata"]["transaction-id"])}
    assert len(found) == 2 and {key for _, key, _ in found} == expected


def test_from_mariadb(mariadb_server, tailrace):
    shop = mariadb_server.database()
    try:
        tables = {"include": [f"{shop.name}.%"]}
        shop.sql("CREATE TABLE t (id int unsigned PRIMARY KEY, big bigint unsigned, at datetime(3), bits varbinary(4), y year)")
        shop.sql("INSERT INTO t VALUES (1, 18446744073709551615, '2024-02-29 12:34:56.5', x'00ff', 2024)")
        options = {"include_transaction_details": True, "include_table_alter_operations": True, "before_image": "pk-only"}
        [(topic, key, create), (_, _, row)] = messages(tailrace, shop.url, tables, **options)
        assert (topic, key) == (f"shop.{shop.name}.t", f"shop.{shop.name}.t")
        assert create == {"metadata": place("create-table", "t", "control", "task-id", shop.name)}
        data = {"id": 1, "big": 18446744073709551615, "at": "2024-02-29T12:34:56.5Z", "bits": "0x00ff", "y": 2024}
        assert {**row["data"], "at": row["data"]["at"].replace("500Z", "5Z")} == data
        shop.sql("UPDATE t SET id = 2 WHERE id = 1")
        shop.sql("DELETE FROM t")
        update, delete = [value for _, _, value in messages(tailrace, shop.url, tables, **options)]
        assert (update["data"]["id"], update["before-image"], delete["data"]["id"]) == (2, {"id": 1}, 2)
        assert re.fullmatch(r"[\w.-]+\.\d{6}:\d+:0:\d+:\d+:[\w.-]+:\d+", update["metadata"]["stream-position"])
        assert delete["metadata"]["prev-transaction-id"] == update["metadata"]["transaction-id"]
        shop.sql("RENAME TABLE t TO u, u TO v")
        shop.sql("ALTER TABLE v RENAME TO t")
        renamed = [(key, value) for _, key, value in messages(tailrace, shop.url, tables, **options)]
        assert renamed == [(f"shop.{shop.name}.{name}", {"metadata": place("rename-table", name, "control", "task-id", shop.name)}) for name in ("u", "v", "t")]
        shop.sql("CREATE TABLE unseen (id int)")
        shop.sql("DROP TABLE t, unseen")
        dropped = [(key, value) for _, key, value in messages(tailrace, shop.url, tables, **options)]
        assert dropped == [(f"shop.{shop.name}.{name}", {"metadata": place("drop-table", name, "control", "task-id", shop.name)}) for name in ("t", "unseen")]
    finally:
        shop.drop()


def test_names_and_keys_are_chosen(source, tailrace):
    """What all formats share: topics by template and by route, keys by other columns."""
    source.sql("CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY, code text); CREATE TABLE s.b (id int PRIMARY KEY); "
               "CREATE TABLE c (id int PRIMARY KEY); ALTER TABLE s.a REPLICA IDENTITY FULL")
    source.sql("INSERT INTO s.a VALUES (1, 'x'); INSERT INTO s.b VALUES (2); INSERT INTO c VALUES (3)")
    found = messages(tailrace, source.url, {"include": ["s.%", "public.c"]}, topic="dms-{schema}_{table}",
                     topic_routes=["s.b = other {table}"], message_key_columns="s.a:code,id")
    rows = {(topic, key) for topic, key, value in found if "data" in value}
    assert rows == {("dms-s_a", "x.1"), ("other_b", "2"), ("dms-public_c", "3")}


@pytest.mark.parametrize("option, words", [
    ({"topic": "x.{tabel}"}, "place that is not known"), ({"topic_routes": ["s.b"]}, "not of the form PATTERN=TOPIC"),
    ({"message_key_columns": "t"}, "not of the form"), ({"message_key_columns": "t:nope"}, 'no column "nope"'),
    ({"before_image": "all", "before_image_field": "data"}, "may not be"), ({"partition_key_type": "x"}, "partition_key_type")])
def test_what_is_wrong_is_refused(source, tailrace, option, words):
    source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    config = task_config(source.url, None, task="shop", tables=PUBLIC) | {"target": {"url": "stdout:", "format": "dms-json", **option}}
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status in (1, 2), result
    assert words in result.stderr and json.dumps(words) not in result.stdout
