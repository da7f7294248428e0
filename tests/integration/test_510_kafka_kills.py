"""exactly_once: whatever is killed, a read_committed consumer finds every change once and in order."""

import os
import random
import signal
import subprocess

import pytest

from harness.replication import drain, task_config
from harness.topics import Replay, assert_exact
from harness.wait import wait_until
from harness.workload import Workload

KILLS = int(os.environ.get("KILLS", "10"))  # two hundred of them: tests/faults/test_kafka_kills.py
BROKER_KILLS = max(2, KILLS // 10)


@pytest.fixture
def kafka(new_kafka):
    """Of the test's own: it is killed."""
    return new_kafka


def make_config(source, kafka, **target):
    return task_config(source.url, None, task="shop") | {"target": {"url": kafka.url, "exactly_once": True, **target}}


@pytest.mark.matrix
@pytest.mark.time_limit(1200)
def test_tailrace_killed_at_random_under_load(source, kafka, tailrace):
    rng = random.Random(5)
    load = Workload(source, seed=21, clients=3, ddl=True, pause=0.003).create_tables()
    config = make_config(source, kafka, topic_partitions=3)
    drain(tailrace, config)
    load.start()
    for _ in range(KILLS):
        tailrace.start("run", config=config)
        tailrace.kill_after(rng.uniform(0.05, 1.5))
    load.stop()
    drain(tailrace, config)
    assert_exact(source, kafka)


@pytest.mark.matrix
@pytest.mark.time_limit(1200)
def test_the_broker_killed_under_load(source, kafka, tailrace):
    load = Workload(source, seed=22, clients=2, pause=0.005).create_tables()
    config = make_config(source, kafka)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    load.start()
    for _ in range(BROKER_KILLS):
        reached = load.commits + 100
        wait_until(lambda: load.commits >= reached, 60, "commits")
        kafka.kill9()
        kafka.up()
    load.stop()
    tailrace.check_running()
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_exact(source, kafka)


@pytest.mark.time_limit(600)
def test_each_step_of_a_transaction_may_be_the_last(source, kafka, make_tailrace, tmp_path):
    """With fail points compiled in: killed at every step of the sink that the trace names, one after the other."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    trace = tmp_path / "names"
    tailrace = make_tailrace()
    config = make_config(source, kafka) | {"tables": {"include": ["public.t"]}}
    source.sql("INSERT INTO t SELECT i, 'loaded' FROM generate_series(1, 20) i")
    tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT_TRACE": str(trace)})
    words = trace.read_text().split() if trace.exists() else []
    names = sorted({name for name in words if name.startswith("sink.kafka.")})
    if not names:
        pytest.skip("the program was built without fail points (FAILPOINTS=1)")
    for number, name in enumerate(names):
        for hit in (1, 2, 5):
            first = 1000 * (number + 1) + 100 * hit
            source.sql(f"INSERT INTO t SELECT i, 'new' FROM generate_series({first}, {first + 30}) i")
            source.sql(f"UPDATE t SET v = '{name}' WHERE id = {first + 1}")
            result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": f"{name}:{hit}"})
            assert result.status in (0, -signal.SIGKILL), result
            drain(tailrace, config)
    replay = Replay().apply(kafka.read(["shop.public.t"]))
    assert not replay.faults, "\n".join(replay.faults[:20])
    assert sorted((r["id"], r["v"]) for r in replay.rows["public.t"].values()) == sorted(source.sql("SELECT id, v FROM t"))


@pytest.mark.matrix  # half a minute of patience
@pytest.mark.time_limit(300)
def test_a_transaction_longer_than_the_brokers_patience(source, kafka, tailrace, tmp_path):
    """The broker gives a transaction 1 s; this one takes longer. It comes in parts, and a kill between does not double them."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    trace = tmp_path / "names"
    traced = {"TR_FAILPOINT_TRACE": str(trace)}
    config = make_config(source, kafka, transaction_timeout="1s") | {"tables": {"include": ["public.t"]}, "stop": "drained"}
    assert tailrace.run("run", config=config, env=traced).status == 0
    source.sql("INSERT INTO t SELECT i, repeat('x', 800) FROM generate_series(1, 400000) i")
    source.sql("INSERT INTO t VALUES (0, 'behind')")

    def parts():
        return trace.read_text().count("sink.kafka.commit.part") if trace.exists() else 0

    for number in range(4):
        seen = parts()
        tailrace.start("run", config=config, env=traced)
        if trace.exists():  # fail points are compiled in
            wait_until(lambda before=seen: parts() > before or not tailrace.running(), 120, "a part of it")
        try:
            tailrace.child.popen.wait(number if trace.exists() else 4)
            break
        except subprocess.TimeoutExpired:
            tailrace.kill9()
            tailrace.wait_exit()
    drain(tailrace, config)
    replay = Replay().apply(kafka.read(["shop.public.t"]))
    assert not replay.faults, "\n".join(replay.faults[:20])
    assert len(replay.rows["public.t"]) == 400001
    if trace.exists():
        assert parts() > 0, "it was too fast to come in parts"


def test_the_older_of_two_processes_ends(source, kafka, make_tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    config = make_config(source, kafka) | {"tables": {"include": ["public.t"]}}
    old, new = make_tailrace(), make_tailrace()
    drain(old, config)
    old.start("run", config=config)
    old.wait_log("streaming from")
    old.child.signal(signal.SIGSTOP)
    new.start("run", config=config)  # another machine: a state directory of its own
    new.wait_log("streaming from|retry|cannot|slot")
    old.child.signal(signal.SIGCONT)
    source.sql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 100) i")
    status = old.wait_exit(60)
    assert status == 1, old.stderr
    assert "has taken over the task" in old.stderr, old.stderr
    assert new.stop() == 0, new.stderr
    drain(new, config)
    replay = Replay().apply(kafka.read(["shop.public.t"]))
    assert not replay.faults, "\n".join(replay.faults[:20])
    assert len(replay.rows["public.t"]) == 100
