"""Rows that no one writes, as JSON: very long, very wide, very deep; and the same bytes in files, on standard output and in Kafka."""

import json
import re

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config, task_events

CLOCK = re.compile(rb'(?<="op":"[a-z]",)"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+')
COLUMNS = 1599


def make(source):
    source.sql("CREATE TABLE small (id int PRIMARY KEY, v text, b bytea, j jsonb)")
    source.sql(f"CREATE TABLE wide (id int PRIMARY KEY, {', '.join(f'c{n} bool' for n in range(COLUMNS))})")
    source.sql("CREATE TABLE deep (id int PRIMARY KEY, j json)")


def change(source):
    source.sql("INSERT INTO small VALUES (1, E'\"\\\\\\n\\x01é𝄞', '\\x00ff', '{\"a\": [1e400, \"\\u001f\"]}'), (2, NULL, NULL, NULL)")
    source.sql("UPDATE small SET id = 3 WHERE id = 1; DELETE FROM small WHERE id = 2")
    source.sql(f"INSERT INTO wide (id, c0, c{COLUMNS - 1}) VALUES (1, true, false)")
    source.sql("INSERT INTO deep VALUES (1, (repeat('[', 2000) || repeat(']', 2000))::json)")


@pytest.mark.matrix
@pytest.mark.time_limit(300)
def test_files_standard_output_and_kafka_have_the_same_bytes(source, make_tailrace):
    need_kafka()
    make(source)
    kafka = Kafka().start()
    try:
        tasks, printed = {}, b""
        for name in ("files", "out", "kafka"):
            task = make_tailrace()
            url = {"files": f"file://{task.dir}/out", "out": "stdout:", "kafka": kafka.url}[name]
            config = task_config(source.url, url, task=name, tables={"include": ["public.%"]})
            config["target"] |= {"topic_prefix": "p", "schemas_enable": True, "provide_transaction_metadata": True}
            drain(task, config)
            tasks[name] = (task, config)
        change(source)
        for task, config in tasks.values():
            result = drain(task, config)
            printed = result.stdout.encode() if config["target"]["url"] == "stdout:" else printed
        [path] = sorted((tasks["files"][0].dir / "out").glob("*.jsonl"))
        written = path.read_bytes().splitlines()
        topics = {json.loads(line)["topic"] for line in written}
        sent = kafka.read(sorted(topics))
    finally:
        kafka.remove()
    assert [CLOCK.sub(b"", line) for line in written] == [CLOCK.sub(b"", line) for line in printed.splitlines()]
    for topic in topics:
        lines = [CLOCK.sub(b"", line) for line in written if json.loads(line)["topic"] == topic and b'"headers"' not in line]
        records = [b'{"topic":"%s","key":%s,"value":%s}' % (topic.encode(), r.key or b"null", r.value or b"null") for r in sent
                   if r.topic == topic and not any(name.startswith("__debezium.") and "context" not in name for name in r.headers)]
        assert [CLOCK.sub(b"", record) for record in records] == lines, topic
    wide = [json.loads(line)["value"]["payload"]["after"] for line in written if b'"topic":"p.public.wide"' in line]
    assert [(len(row), row["c0"], row["c1"], row[f"c{COLUMNS - 1}"]) for row in wide] == [(COLUMNS + 1, True, None, False)]


@pytest.mark.slow
@pytest.mark.time_limit(600)
def test_a_value_of_a_hundred_megabytes(source, tailrace):
    source.sql("CREATE TABLE huge (id int PRIMARY KEY, t text)")
    config = task_config(source.url, f"file://{tailrace.dir}/out", tables={"include": ["public.%"]}, memory="512MiB")
    drain(tailrace, config)
    source.sql("INSERT INTO huge VALUES (1, repeat(E'\"\\\\é\\n12345', 10000000))")
    drain(tailrace, config, timeout=300)
    [event] = task_events(tailrace.dir / "out")
    assert event["after"]["t"] == '"\\é\n12345' * 10_000_000
