"""Into Kafka what Debezium has beside the rows, from PostgreSQL; and MariaDB into Kafka, with kills, once and in order."""

import json
import random
import zlib

import pytest

from harness import matrix
from harness.replication import drain, task_config
from harness.topics import Replay
from harness.wait import wait_until
from harness.workload_mysql import MysqlWorkload

CONTEXT = ["connectorLogicalName", "taskId", "connectorName", "runId"]


@pytest.fixture
def prefix(request):
    """Of the test's own, so that no two tests share topics."""
    return f"t{zlib.crc32(request.node.name.encode()):08x}"


def pairs(records):
    return [(json.loads(r.key) if r.key else None, json.loads(r.value) if r.value else None) for r in records]


def test_names_keys_headers_and_tombstones(source, kafka, tailrace, prefix):
    source.sql("CREATE TABLE a (id int PRIMARY KEY, code text NOT NULL); ALTER TABLE a REPLICA IDENTITY FULL;"
               "CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)")
    source.sql("INSERT INTO a VALUES (1, 'x'), (2, 'y'); INSERT INTO b VALUES (3)")
    config = task_config(source.url, kafka.url, task=prefix, tables={"include": ["public.%"]})
    config["target"] |= {"topic": "{prefix}-{table}", "topic_routes": ["public.b={prefix}-other", "public.c={prefix}-other"],
                         "message_key_columns": "public.a:code", "tombstones_on_delete": False}
    drain(tailrace, config)
    source.sql("UPDATE a SET code = 'z' WHERE id = 2; UPDATE a SET id = 7 WHERE id = 1; DELETE FROM a WHERE id = 7;"
               "INSERT INTO c VALUES (4)")
    drain(tailrace, config)
    assert {name for name in kafka.topics() if name.startswith(prefix)} == {f"{prefix}-a", f"{prefix}-other"}
    records = kafka.read([f"{prefix}-a"])
    seen = [(key["code"], value["op"], value["source"]["snapshot"]) for key, value in pairs(records)]
    assert seen == [("x", "r", "first"), ("y", "r", "last_in_data_collection"), ("y", "d", "false"), ("z", "c", "false"),
                    ("x", "u", "false"), ("x", "d", "false")]
    assert json.loads(records[2].headers["__debezium.newkey"]) == {"code": "z"}
    other = pairs(kafka.read([f"{prefix}-other"]))
    assert [(key["id"], value["source"]["table"]) for key, value in other] == [(3, "b"), (4, "c")]
    assert other[0][1]["source"]["snapshot"] == "last"
    contexts = [{name: r.headers[f"__debezium.context.{name}"].decode() for name in CONTEXT} for r in records]
    assert contexts[0] == {"connectorLogicalName": prefix, "taskId": "0", "connectorName": "postgresql",
                           "runId": contexts[0]["runId"]}
    assert contexts[0]["runId"] == contexts[1]["runId"] != contexts[2]["runId"]  # one for each run


def test_a_key_that_the_log_does_not_hold_is_refused(source, kafka, tailrace, prefix):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, code text)")
    config = task_config(source.url, kafka.url, task=prefix, tables={"include": ["public.%"]})
    config["target"] |= {"message_key_columns": "public.t:code", "extended_headers_enabled": False}
    source.sql("INSERT INTO t VALUES (1, 'x')")
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2, 'y'); UPDATE t SET code = 'z' WHERE id = 1")
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1 and "key column code" in result.stderr and "REPLICA IDENTITY" in result.stderr, result
    [first, *_] = kafka.read([f"{prefix}.public.t"])
    assert not first.headers


@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_heartbeats_transactions_and_messages(source, kafka, tailrace, prefix, exactly_once):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, kafka.url, task=prefix, tables={"include": ["public.%"]})
    config["target"] |= {"heartbeat_interval": "100ms", "provide_transaction_metadata": True, "exactly_once": exactly_once,
                         "topic_partitions": 3}
    drain(tailrace, config)
    tailrace.start("run", config=config)
    topic = f"__debezium-heartbeat.{prefix}"
    wait_until(lambda: len(kafka.read([topic]) if topic in kafka.admin().list_topics(timeout=20).topics else []) >= 3, 60,
               "three heartbeats of an idle task")
    source.sql("INSERT INTO t VALUES (1), (2); SELECT pg_logical_emit_message(true, 'note', 'hello')")
    wait_until(lambda: f"{prefix}.message" in kafka.topics() and kafka.read([f"{prefix}.message"]), 60, "the message")
    assert tailrace.stop() == 0, tailrace.stderr
    beats = kafka.read([topic])
    assert {r.partition for r in beats} == {0}
    assert {json.dumps(key) for key, _ in pairs(beats)} == {json.dumps({"serverName": prefix})}
    times = [value["ts_ms"] for _, value in pairs(beats)]
    assert times == sorted(times) and all(list(value) == ["ts_ms"] for _, value in pairs(beats))
    assert not any(r.headers for r in beats)
    edges = [value for _, value in pairs(kafka.read([f"{prefix}.transaction"])) if value["event_count"] != 0]
    assert {edge["status"] for edge in edges} == {"BEGIN", "END"}
    counted = [c for edge in edges for c in edge["data_collections"] or [] if c["data_collection"] == "public.t"]
    assert counted == [{"data_collection": "public.t", "event_count": 2}]
    [(key, value)] = pairs(kafka.read([f"{prefix}.message"]))
    assert key == {"prefix": "note"} and value["op"] == "m"


def test_mariadb_schema_changes(mariadb_server, kafka, tailrace, prefix):
    shop = mariadb_server.database()
    try:
        config = task_config(shop.url, kafka.url, task=prefix, tables={"include": [f"{shop.name}.%"]})
        config["target"] |= {"include_schema_changes": True, "schemas_enable": True}
        shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
        drain(tailrace, config)
        shop.sql("ALTER TABLE t ADD COLUMN v varchar(10)")
        shop.sql("INSERT INTO t VALUES (1, 'x')")
        drain(tailrace, config)
        shop.sql("CREATE TABLE u (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, e enum('a','it''s') CHARACTER SET latin1 DEFAULT 'it''s', "
                 "s set('x','y'), n decimal(12,3) NOT NULL DEFAULT 1.5, d datetime(3), g int AS (id + 1), j json, b blob, ts timestamp NULL) "
                 "DEFAULT CHARSET utf8mb4")
        drain(tailrace, config)
        shop.sql("RENAME TABLE t TO w")
        drain(tailrace, config)
        shop.sql("ALTER TABLE w RENAME TO v")
        drain(tailrace, config)
        shop.sql("CREATE VIEW x AS SELECT 1")
        shop.sql("DROP TABLE u, v")
        drain(tailrace, config)
        changes = [(key["payload"], value) for key, value in pairs(kafka.read([prefix]))]
        [(key, value)] = [c for c in changes if "ADD COLUMN" in c[1]["payload"]["ddl"]]
        assert key == {"databaseName": shop.name}
        payload = value["payload"]
        assert list(payload) == ["source", "ts_ms", "databaseName", "schemaName", "ddl", "tableChanges"]
        assert payload["ddl"] == "ALTER TABLE t ADD COLUMN v varchar(10)"
        assert (payload["source"]["db"], payload["source"]["table"]) == (shop.name, "t")
        [change] = payload["tableChanges"]
        assert (change["type"], change["id"]) == ("ALTER", f'"{shop.name}"."t"')
        assert change["table"]["primaryKeyColumnNames"] == ["id"] and change["table"]["defaultCharsetName"]
        assert [(c["name"], c["jdbcType"], c["typeName"], c["position"], c["optional"]) for c in change["table"]["columns"]] == \
            [("id", 4, "INT", 1, False), ("v", 12, "VARCHAR", 2, True)]
        assert change["table"]["columns"][1]["length"] == 10 and change["table"]["columns"][1]["charsetName"]
        columns = {c["name"]: c for p in (value["payload"] for _, value in changes) for t in p["tableChanges"] if t["id"].endswith('"u"') and t["table"]
                   for c in t["table"]["columns"]}
        assert {name: (c["jdbcType"], c["typeName"], c["length"], c["scale"]) for name, c in columns.items()} == {
            "id": (-5, "BIGINT UNSIGNED", 20, None), "e": (1, "ENUM", 1, None), "s": (1, "SET", 3, None), "n": (3, "DECIMAL", 12, 3),
            "d": (93, "DATETIME", 3, None), "g": (4, "INT", 11, None), "j": (12, "LONGTEXT", None, None), "b": (2004, "BLOB", None, None),
            "ts": (2014, "TIMESTAMP", None, None)}
        assert columns["e"]["enumValues"] == ["'a'", "'it''s'"] and columns["e"]["charsetName"] == "latin1"
        assert columns["e"]["defaultValueExpression"] == "it's" and float(columns["n"]["defaultValueExpression"]) == 1.5
        assert columns["id"]["autoIncremented"] and columns["g"]["generated"] and not columns["s"]["generated"]
        stream = [value["payload"] for _, value in changes if value["payload"]["source"]["snapshot"] == "false"]
        lasts = [[(t["type"], t["id"], t["table"] is None) for t in part["tableChanges"]] for part in stream[-4:]]
        assert lasts == [[("ALTER", f'"{shop.name}"."w"', False)], [("ALTER", f'"{shop.name}"."v"', False)],
                         [("DROP", f'"{shop.name}"."u"', True)], [("DROP", f'"{shop.name}"."v"', True)]]
        assert [part["ddl"] for part in stream[-2:]] == [f"DROP TABLE `{shop.name}`.`{name}`" for name in "uv"]
        load = [value["payload"]["ddl"].split("(")[0] for _, value in changes if value["payload"]["source"]["snapshot"] == "true"]
        assert load[1] == f"DROP TABLE IF EXISTS `{shop.name}`.`t`"
        assert [text.split(" CHARSET")[0] for text in load[2:6]] == [
            f"DROP DATABASE IF EXISTS `{shop.name}`", f"CREATE DATABASE `{shop.name}`", f"USE `{shop.name}`", "CREATE TABLE `t` "]
        assert [f["field"] for f in value["schema"]["fields"]] == list(payload)
        assert value["schema"]["name"] == "io.debezium.connector.mariadb.SchemaChangeValue"
        [(_, row)] = pairs(kafka.read([f"{prefix}.{shop.name}.t"]))
        assert row["payload"]["after"] == {"id": 1, "v": "x"}
    finally:
        shop.drop()


@pytest.mark.matrix
@pytest.mark.parametrize("form", ["debezium-json", "plain-json"])
def test_definitions_come_first_where_nothing_is_loaded(mariadb_server, kafka, tailrace, prefix, form):
    """As Debezium's snapshot.mode no_data does it; a kill after the first checkpoint does not forget them."""
    shop = mariadb_server.database()
    try:
        config = task_config(shop.url, kafka.url, task=prefix, tables={"include": [f"{shop.name}.t"]}) | {"mode": "cdc"}
        config["target"] |= {"include_schema_changes": True, "exactly_once": True, "format": form, "heartbeat_interval": "1s"}
        shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
        shop.sql("INSERT INTO t VALUES (1)")
        tailrace.crash_allowed = True
        tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": "pipeline.save.after:1"})
        shop.sql("INSERT INTO t VALUES (2)")  # the place to begin at is that of the first run
        drain(tailrace, config)
        drain(tailrace, config)
        told = [value for _, value in pairs(kafka.read([prefix]))]
        assert [value["ddl"].split(" ")[0] for value in told] == ["SET", "DROP", "DROP", "CREATE", "USE", "CREATE"], told
        assert [value["source"]["snapshot"] for value in told] == ["true"] * 5 + ["last"]
        assert told[-1]["tableChanges"][0]["id"] == f'"{shop.name}"."t"'
        assert [value.get("after", value)["id"] for _, value in pairs(kafka.read([f"{prefix}.{shop.name}.t"]))] == [2]
        key, value = pairs(kafka.read([f"__debezium-heartbeat.{prefix}"]))[0]
        assert key == {"serverName": prefix} and list(value) == ["ts_ms"]
    finally:
        shop.drop()


@pytest.mark.matrix
def test_mysql_schema_changes(tailrace):
    """MySQL's catalogue speaks otherwise than MariaDB's; to standard output the records are the same."""
    with matrix.mysql("9", options={"sync-binlog": 0}) as server:
        shop = server.database()
        config = task_config(shop.url, None, task="shop", tables={"include": [f"{shop.name}.%"]}) | {
            "target": {"url": "stdout:", "include_schema_changes": True, "schemas_enable": True}, "stop": "drained"}
        shop.sql("CREATE TABLE t (id int PRIMARY KEY) DEFAULT CHARSET latin1")
        assert tailrace.run("run", config=config).status == 0
        shop.sql("ALTER TABLE t ADD COLUMN e enum('a','it''s') DEFAULT 'it''s', ADD COLUMN n decimal(12,3) unsigned, ADD COLUMN j json")
        result = tailrace.run("run", config=config)
        assert result.status == 0, result
        [value] = [line["value"]["payload"] for line in result.json_lines() if line["topic"] == "shop"]
        [change] = value["tableChanges"]
        assert (change["type"], change["id"], change["table"]["defaultCharsetName"]) == ("ALTER", f'"{shop.name}"."t"', "latin1")
        seen = [(c["name"], c["jdbcType"], c["typeName"], c["length"], c["scale"], c["charsetName"], c["defaultValueExpression"])
                for c in change["table"]["columns"]]
        assert seen == [("id", 4, "INT", None, None, None, None), ("e", 1, "ENUM", 1, None, "latin1", "it's"),
                        ("n", 3, "DECIMAL UNSIGNED", 12, 3, None, None), ("j", 1111, "JSON", None, None, None, None)]


@pytest.mark.time_limit(400)
@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.matrix)])
def test_mariadb_killed_under_load(mariadb_server, kafka, tailrace, prefix, kills):
    """exactly_once: a strict reader finds each change once, in order, and at the end the source's rows."""
    shop = mariadb_server.database()
    shop.sql(f"ALTER DATABASE `{shop.name}` CHARACTER SET utf8mb4")
    rng = random.Random(7)
    try:
        load = MysqlWorkload(shop, seed=41, clients=3, pause=0.005, bulk_rows=300, large_row=200_000).create_tables()
        config = task_config(shop.url, kafka.url, task=prefix, tables={"include": [f"{shop.name}.%"]})
        config["target"] |= {"exactly_once": True, "topic_partitions": 3, "skipped_operations": "none"}
        drain(tailrace, config)
        load.start()
        for _ in range(kills):
            tailrace.start("run", config=config)
            tailrace.kill_after(rng.uniform(0.2, 1.5))
        load.stop()
        drain(tailrace, config, timeout=300)
        tables = ["account", "item", "line", "journal"]
        replay = Replay().apply(kafka.read([f"{prefix}.{shop.name}.{table}" for table in tables
                                            if f"{prefix}.{shop.name}.{table}" in kafka.topics()]))
        assert not replay.faults, "\n".join(replay.faults[:20])
        for table, columns in {"account": ("id", "balance"), "item": ("id", "code", "qty"), "line": ("item_id", "n", "txt")}.items():
            found = {tuple(row[c] for c in columns) for row in replay.rows.get(f"{shop.name}.{table}", {}).values()}
            assert found == set(shop.sql(f"SELECT {', '.join(columns)} FROM {table}")), table
        journal = [(row["client"], row["n"]) for row in replay.inserted[f"{shop.name}.journal"]]
        assert len(journal) == len(set(journal)) and set(journal) == set(shop.sql("SELECT client, n FROM journal"))
    finally:
        shop.drop()
