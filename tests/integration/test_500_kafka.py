"""PostgreSQL to a real Kafka broker: what stands in the topics, and where."""

import json
import struct
import zlib

import pytest

from harness.replication import drain, task_config

MODES = [pytest.param(False, id="idempotent"), pytest.param(True, id="exactly_once")]


@pytest.fixture
def config(source, kafka, request):
    """A task of the test's own name, so that no two tests share topics."""
    task = f"t{zlib.crc32(request.node.name.encode()):08x}"

    def make(**target):
        settings = task_config(source.url, kafka.url, task=task, tables={"include": ["public.%"]})
        settings["target"].update(target)
        return settings
    return make


def murmur2(key):
    """Java's, as its clients choose partitions."""
    mask, mix = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for (k,) in struct.iter_unpack("<I", key[:whole]):
        k = k * mix & mask
        k = (k ^ k >> 24) * mix & mask
        h = (h * mix & mask) ^ k
    rest = key[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * mix & mask
    h = (h ^ h >> 13) * mix & mask
    return h ^ h >> 15


def test_murmur2_is_javas():
    """Figures from the tests of Kafka's own clients."""
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert murmur2(b"a-little-bit-long-string") == -985981536 & 0xFFFFFFFF


@pytest.mark.parametrize("exactly_once", MODES)
def test_load_and_changes(source, kafka, tailrace, config, exactly_once):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.sql("INSERT INTO t SELECT i, 'loaded' FROM generate_series(1, 100) i")
    task = config(exactly_once=exactly_once)
    drain(tailrace, task)
    source.sql("UPDATE t SET v = 'changed' WHERE id = 7")
    source.sql("UPDATE t SET id = 1008 WHERE id = 8")
    source.sql("DELETE FROM t WHERE id = 9")
    drain(tailrace, task)
    records = kafka.read([f"{task['task']}.public.t"])
    loaded, changes = records[:100], records[100:]
    assert [json.loads(r.key)["id"] for r in loaded] == list(range(1, 101))
    assert {json.loads(r.value)["op"] for r in loaded} == {"r"}
    seen = [(json.loads(r.key)["id"], json.loads(r.value)["op"] if r.value else None) for r in changes]
    assert seen == [(7, "u"), (8, "d"), (8, None), (1008, "c"), (9, "d"), (9, None)]
    assert json.loads(changes[1].headers["__debezium.newkey"]) == {"id": 1008}
    assert json.loads(changes[3].headers["__debezium.oldkey"]) == {"id": 8}
    assert (f"tailrace-checkpoint-{task['task']}" in kafka.topics()) == exactly_once


def test_keys_go_where_java_puts_them(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t SELECT generate_series(1, 500)")
    source.sql("CREATE TABLE nokey (v int)")
    source.sql("INSERT INTO nokey SELECT generate_series(1, 50)")
    task = config(topic_partitions=7)
    drain(tailrace, task)
    records = kafka.read([f"{task['task']}.public.t"])
    assert len(records) == 500
    assert all(r.partition == (murmur2(r.key) & 0x7FFFFFFF) % 7 for r in records)
    keyless = kafka.read([f"{task['task']}.public.nokey"])
    assert [json.loads(r.value)["after"]["v"] for r in keyless] == list(range(1, 51))  # one partition: in order
    assert {r.key for r in keyless} == {None}


def test_settings_of_new_topics(source, kafka, tailrace, config):
    from confluent_kafka.admin import ConfigResource
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1)")
    task = config(topic_config=["cleanup.policy=compact", "retention.ms=1234567"], topic_partitions=3)
    drain(tailrace, task)
    topic = f"{task['task']}.public.t"
    assert kafka.topics()[topic] == 3
    resource = ConfigResource("topic", topic)
    admin = kafka.admin()
    settings = admin.describe_configs([resource])[resource].result(30)
    assert settings["cleanup.policy"].value == "compact"
    assert settings["retention.ms"].value == "1234567"


def test_drop_removes_the_checkpoint_topic(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    task = config(exactly_once=True)
    drain(tailrace, task)
    assert f"tailrace-checkpoint-{task['task']}" in kafka.topics()
    assert tailrace.run("drop", config=task).status == 0
    assert f"tailrace-checkpoint-{task['task']}" not in kafka.topics()


def test_check_tells_what_would_hurt(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    task = config(topic_partitions=4)
    kafka.create(f"{task['task']}.public.t", partitions=3)
    result = tailrace.run("check", "--format", "json", config=task)
    assert result.status == 3, result
    found = {(f["level"], f["id"], f["object"]) for f in json.loads(result.stdout)["findings"]}
    assert ("error", "kafka-topic-partitions", f"{task['task']}.public.t") in found
    assert ("warning", "kafka-one-broker", None) in found
    assert ("note", "kafka-at-least-once", None) in found


def test_a_compacted_topic_refuses_rows_without_key(source, kafka, tailrace, config):
    source.sql("CREATE TABLE nokey (v int)")
    source.sql("INSERT INTO nokey VALUES (1)")
    refused(tailrace, config(topic_config=["cleanup.policy=compact"]), "give the table a primary key")


# ------------------------------------------------------------------------------------------ bad input
def refused(tailrace, task, words, status=1):
    result = tailrace.run("run", config={**task, "stop": "drained"}, timeout=60)
    assert result.status == status, result
    assert words in result.stderr, result


def test_a_missing_topic_is_refused_when_none_shall_be_made(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1)")
    task = config(create_topics=False)
    refused(tailrace, task, f"topic {task['task']}.public.t does not exist")
    assert f"{task['task']}.public.t" not in kafka.topics()


def test_a_topic_with_other_partitions_is_refused(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1)")
    task = config(topic_partitions=4)
    kafka.create(f"{task['task']}.public.t", partitions=3)
    refused(tailrace, task, "has 3 partitions, but topic_partitions says 4")


def test_an_event_too_large_is_refused_by_name(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.sql("INSERT INTO t VALUES (1, repeat('x', 2000000))")
    task = config(topic_config=["max.message.bytes=8000000"])
    refused(tailrace, task, "table public.t, position")
    drain(tailrace, {**task, "target": {**task["target"], "kafka": ["message.max.bytes=8000000"]}})
    drained = kafka.read([f"{task['task']}.public.t"])
    assert [json.loads(r.key)["id"] for r in drained] == [1]


def test_an_event_too_large_for_the_topic_is_refused(source, kafka, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    for exactly_once in (False, True):
        task = config(exactly_once=exactly_once)
        task["task"] += f"-{exactly_once}".lower()
        kafka.create(f"{task['task']}.public.t", max_message_bytes="20000")
        drain(tailrace, task)
        source.sql("INSERT INTO t VALUES (%s, repeat('x', 100000))", (int(exactly_once),))
        refused(tailrace, task, "raise max.message.bytes of the topic")
        source.sql("DELETE FROM t")


@pytest.mark.parametrize("property_", ["acks=1", "enable.idempotence=false", "message.timeout.ms=5", "transactional.id=x"])
def test_properties_that_break_a_promise_are_refused(source, tailrace, config, property_):
    refused(tailrace, config(kafka=[property_]), "may not be set here", status=2)


def test_unknown_property_and_format(source, tailrace, config):
    refused(tailrace, config(kafka=["lingr.ms=5"]), "No such configuration property", status=2)
    refused(tailrace, config(format="debezium-jsn"), "is not one of debezium-json|plain-json", status=2)


def test_nobody_listens(source, tailrace, config):
    task = config()
    task["target"]["url"] = "kafka://127.0.0.1:1"
    refused(tailrace, {**task, "retry_max": "1s"}, "Connection refused")
