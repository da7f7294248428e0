"""offsets: kafka://... keeps a task's state in a compacted topic: another machine goes on where this one ended. And `tailrace convert`."""

import json
import signal
import time
from urllib.parse import unquote, urlsplit

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.topics import Replay
from harness.wait import wait_until

TABLE = {"include": ["public.t"]}


def with_offsets(config, kafka, topic):
    return {**config, "task": "shop", "tables": TABLE, "offsets": f"{kafka.url}/{topic}"}


def insert(source, first, last):
    source.sql(f"INSERT INTO t SELECT i, 'row' FROM generate_series({first}, {last}) i")


def state_of(kafka, topic):
    """The newest value of each key."""
    state = {}
    for record in kafka.read([topic]):
        state[record.key.decode()] = record.value.decode() if record.value is not None else None
    return {key: value for key, value in state.items() if value is not None}


def test_a_killed_task_goes_on_with_nothing_but_the_brokers(source, kafka, make_tailrace):
    """PostgreSQL to Kafka: the store is the only one that knows how far the task is."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    insert(source, 1, 500)
    config = with_offsets(task_config(source.url, kafka.url), kafka, "offsets-a")
    here = make_tailrace()
    here.start("run", config=config)
    here.wait_log("streaming from")
    insert(source, 501, 1000)
    wait_until(lambda: state_of(kafka, "offsets-a").get("shop/phase") == "stream", 30, "the state")
    here.kill9()
    here.wait_exit()
    insert(source, 1001, 1100)
    there = make_tailrace()  # a work folder of its own: its state directory is empty
    drain(there, config)
    assert "is in use" not in there.stderr
    drain(make_tailrace(), config)
    records = kafka.read(["shop.public.t"])
    replay = Replay().apply(records)
    assert len(replay.rows["public.t"]) == 1100
    loaded = [record for record in records if record.value is not None and b'"op":"r"' in record.value.replace(b" ", b"")]
    assert len(loaded) == 500, "the tables were loaded again"
    state = state_of(kafka, "offsets-a")
    assert state["shop/format"] == "1" and state["shop/position"], state
    assert state["shop/table:public.t"].startswith("done "), state
    assert "shop/owner" not in state, "an owner that ended is still named"


def test_a_database_target_and_offsets_in_kafka(source, target, kafka, make_tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    insert(source, 1, 100)
    config = with_offsets(task_config(source.url, target.url), kafka, "offsets-b")
    for number in range(1, 6):
        runner = make_tailrace()
        runner.start("run", config=config)
        runner.wait_log("streaming from")
        insert(source, 1000 * number, 1000 * number + 200)
        source.sql(f"UPDATE t SET v = 'changed {number}' WHERE id % 7 = {number}")
        runner.kill9()
        runner.wait_exit()
    drain(make_tailrace(), config)
    assert_equal(source, target, ["public.t"])
    runner = make_tailrace()
    result = runner.run("drop", config=config)
    assert result.status == 0, result
    assert not state_of(kafka, "offsets-b"), "drop leaves state behind"


def test_two_processes(source, kafka, make_tailrace, tmp_path):
    """One that lives is not disturbed; one that does not answer is replaced, and ends when it finds out."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    config = with_offsets(task_config(source.url, f"file://{tmp_path}/out"), kafka, "offsets-c") | {"mode": "cdc"}
    old, second, new = make_tailrace(), make_tailrace(), make_tailrace()
    old.start("run", config=config)
    old.wait_log("streaming from")
    result = second.run("run", config=config)
    assert result.status == 1, result
    assert f"process {old.child.popen.pid} on host" in result.stderr and "in use" in result.stderr, result
    old.child.signal(signal.SIGSTOP)
    new.start("run", config=config | {"target": {"url": f"file://{tmp_path}/new"}})
    wait_until(lambda: str(new.child.popen.pid) in state_of(kafka, "offsets-c").get("shop/owner", ""), 60, "a new owner")
    old.child.signal(signal.SIGCONT)
    insert(source, 1, 10)
    status = old.wait_exit(60)
    assert status == 1, old.stderr
    assert f"process {new.child.popen.pid} on host" in old.stderr and "has taken over" in old.stderr, old.stderr
    assert new.stop() == 0, new.stderr


def test_what_the_store_refuses(source, kafka, make_tailrace):
    config = with_offsets(task_config(source.url, "null:"), kafka, "-") | {"mode": "cdc", "retry_max": "1s", "stop": "drained"}
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    kafka.create("offsets-forgetful", cleanup_policy="delete")
    kafka.create("offsets-many", partitions=3, cleanup_policy="compact")
    for url, status, words in [
            (f"{kafka.url}/offsets-forgetful", 1, "cleanup.policy=delete"),
            (f"{kafka.url}/offsets-many", 1, "has 3 partitions"),
            (f"{kafka.url}/o?colour=red", 2, "unknown parameter colour"),
            (f"{kafka.url}/o?tls=on", 1, "no progress for longer than retry_max|SSL"),
            ("kafka://127.0.0.1:9/o", 1, "cannot reach the brokers 127.0.0.1:9"),
            ("redis://h/o", 2, "no offset store for this URL")]:
        result = make_tailrace().run("run", config={**config, "offsets": url})
        assert result.status == status, result
        assert any(word in result.stderr for word in words.split("|")), result


@pytest.mark.matrix
@pytest.mark.parametrize("when", ["start", "stream"])
@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_brokers_that_fall_silent_do_not_hold_up_an_end(source, kafka, make_tailrace, when, exactly_once):
    """They keep the state and are the target: five seconds are for both together. Nothing is lost by it."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    insert(source, 1, 100)
    config = {**with_offsets(task_config(source.url, kafka.url), kafka, "offsets-silent"), "task": f"silent-{when}-{exactly_once}"}
    config["target"]["exactly_once"] = exactly_once
    drain(make_tailrace(), config)
    runner, broker = make_tailrace(), kafka.brokers[0].child
    if when == "stream":
        runner.start("run", config=config)
        runner.wait_log("streaming from")
    broker.signal(signal.SIGSTOP)
    try:
        insert(source, 101, 200)
        if when == "start":
            runner.start("run", config=config)
        wait_until(kafka.brokers[0].unread, 60, "requests under way")
        began = time.monotonic()
        assert runner.stop(60) == 0, runner.stderr
        assert time.monotonic() - began < 7, runner.stderr
    finally:
        broker.signal(signal.SIGCONT)
    drain(make_tailrace(), config)
    assert len(Replay().apply(kafka.read([f"{config['task']}.public.t"])).rows["public.t"]) == 200


# ---- tailrace convert: what it prints is run against real servers, as its user would

PG_CONNECTOR = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "127.0.0.1", "database.user": "postgres",
    "database.password": "not asked for", "topic.prefix": "fulfilment", "plugin.name": "pgoutput", "table.include.list": r"public\.(t|u)",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true",
    "decimal.handling.mode": "string", "tasks.max": "1", "max.batch.size": "2048"}


def converted(runner, kafka, text, *words, name="connector.json"):
    """The task file made of a connector's configuration, as a file in the runner's folder."""
    (runner.dir / name).write_text(text, encoding="utf-8")
    result = runner.run("convert", name, "--brokers", kafka.bootstrap, *words)
    assert result.status == 0, result
    (runner.dir / "task.yaml").write_text(result.stdout, encoding="utf-8")
    return result


def test_a_converted_postgresql_connector(source, kafka, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(6,2)); CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1, 'x', 12.50); INSERT INTO u VALUES (7); INSERT INTO other VALUES (1)")
    config = {**PG_CONNECTOR, "database.port": source.server.port, "database.dbname": source.name, "slot.name": "converted",
              "publication.name": "converted", "publication.autocreate.mode": "filtered", "column.mask.hash.x": "public.t.v"}
    result = converted(tailrace, kafka, json.dumps({"name": "fulfilment-connector", "config": config}))
    assert "#   column.mask.hash.x: " in result.stdout and "warning: not carried over: column.mask.hash.x" in result.stderr, result
    checked = tailrace.run("check", "task.yaml")
    assert checked.status == 0, checked
    assert tailrace.run("run", "task.yaml", "--stop", "drained").status == 0, tailrace.stderr
    assert {"fulfilment.public.t", "fulfilment.public.u"} <= set(kafka.topics()) and "fulfilment.public.other" not in kafka.topics()
    value = json.loads(kafka.read(["fulfilment.public.t"])[0].value)
    assert value["payload"]["after"] == {"id": 1, "v": "x", "n": "12.50"} and value["payload"]["source"]["name"] == "fulfilment"
    assert tailrace.run("drop", "task.yaml").status == 0, tailrace.stderr


def test_a_running_connector_is_taken_over(source, kafka, tailrace):
    """What Debezium leaves when it is stopped: its slot and its publication. Nothing between is lost, nothing before is loaded."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.sql("CREATE PUBLICATION dbz_publication FOR ALL TABLES")
    source.sql("INSERT INTO t VALUES (1, 'seen by Debezium')")
    source.sql("SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
    source.sql("INSERT INTO t VALUES (2, 'not yet')")
    config = {**PG_CONNECTOR, "database.port": source.server.port, "database.dbname": source.name, "topic.prefix": "taken"}
    lines = "".join(f"{key}={str(value).replace(chr(92), chr(92) * 2)}\n" for key, value in config.items())
    converted(tailrace, kafka, lines, "--take-over", name="connector.properties")
    checked = tailrace.run("check", "task.yaml")
    assert checked.status == 0, checked
    assert tailrace.run("run", "task.yaml", "--stop", "drained").status == 0, tailrace.stderr
    rows = [json.loads(record.value)["payload"]["after"] for record in kafka.read(["taken.public.t"])]
    assert rows == [{"id": 2, "v": "not yet"}]


def test_a_converted_mariadb_connector(mariadb_server, kafka, tailrace):
    database = mariadb_server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    database.sql("INSERT INTO t VALUES (1, 'x')")
    url = urlsplit(database.url)
    config = {"connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "database.hostname": "127.0.0.1", "database.port": url.port,
              "database.user": unquote(url.username), "database.password": unquote(url.password or ""), "database.server.id": 4711,
              "topic.prefix": "maria", "database.include.list": database.name, "table.include.list": f"{database.name}.t", "snapshot.mode": "initial",
              "schema.history.internal.kafka.bootstrap.servers": kafka.bootstrap, "schema.history.internal.kafka.topic": "history",
              "include.schema.changes": "false", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
              "value.converter.schemas.enable": False}
    result = converted(tailrace, kafka, json.dumps(config))
    assert "Not carried over" not in result.stdout, result
    checked = tailrace.run("check", "task.yaml")
    assert checked.status == 0, checked
    assert tailrace.run("run", "task.yaml", "--stop", "drained").status == 0, tailrace.stderr
    value = json.loads(kafka.read([f"maria.{database.name}.t"])[0].value)
    assert value["after"] == {"id": 1, "v": "x"} and value["op"] == "r"
    database.drop()


def test_what_convert_refuses(tailrace):
    for text, words in [("{", "not JSON"), ('{"connector.class": "org.acme.Mongo"}', "no Debezium connector for"), ("", "holds no keys")]:
        (tailrace.dir / "c").write_text(text, encoding="utf-8")
        result = tailrace.run("convert", "c")
        assert result.status == 2 and words in result.stderr and not result.stdout, result
    result = tailrace.run("convert", "missing.json")
    assert result.status == 2 and "missing.json" in result.stderr, result
    (tailrace.dir / "c").write_text(json.dumps({**PG_CONNECTOR, "errors.tolerance": "all"}), encoding="utf-8")
    assert tailrace.run("convert", "c", "--strict").status == 4
