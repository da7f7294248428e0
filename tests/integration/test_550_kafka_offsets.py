"""offsets: kafka://... keeps a task's state in a compacted topic: another machine goes on where this one ended."""

import signal

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import assert_equal, drain, task_config
from harness.topics import Replay
from harness.wait import wait_until

TABLE = {"include": ["public.t"]}


@pytest.fixture(scope="module")
def kafka():
    need_kafka()
    cluster = Kafka().start()
    yield cluster
    cluster.remove()


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
