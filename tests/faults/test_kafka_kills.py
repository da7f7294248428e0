"""exactly_once under a long bad day: two hundred kills of tailrace, twenty of the broker, and a read_committed reader."""

import random
import signal

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.topics import Replay, assert_exact
from harness.wait import wait_until
from harness.workload import Workload


@pytest.fixture
def kafka(new_kafka):
    """Of the test's own: it is killed."""
    return new_kafka


def make_config(source, kafka, **target):
    return task_config(source.url, None, task="shop") | {"target": {"url": kafka.url, "exactly_once": True, **target}}


@pytest.mark.slow
@pytest.mark.time_limit(600)
def test_tailrace_killed_two_hundred_times(source, kafka, tailrace):
    rng = random.Random(52)
    load = Workload(source, seed=51, clients=2, ddl=True, pause=0.02).create_tables()
    config = make_config(source, kafka, topic_partitions=3)
    drain(tailrace, config)
    load.start()
    for _ in range(200):
        tailrace.start("run", config=config)
        tailrace.kill_after(rng.uniform(0.05, 0.9))
    load.stop()
    drain(tailrace, config, timeout=300)
    assert_exact(source, kafka)


@pytest.mark.slow
@pytest.mark.time_limit(900)
def test_the_only_broker_killed_twenty_times(source, kafka, tailrace):
    """And tailrace with every second one. It forgets to end transactions whose commit it confirmed (see sink-kafka.md)."""
    rng = random.Random(55)
    load = Workload(source, seed=54, clients=2, pause=0.02).create_tables()
    config = make_config(source, kafka, topic_partitions=3)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    load.start()
    for number in range(20):
        reached = load.commits + rng.randrange(10, 60)
        wait_until(lambda: load.commits >= reached, 60, "commits")
        kafka.kill9()
        if number % 2:
            tailrace.kill9()
            tailrace.wait_exit()
        kafka.up()
        if number % 2:
            tailrace.start("run", config=config)
    load.stop()
    tailrace.wait_log("streaming from", timeout=120)
    tailrace.check_running()
    assert tailrace.stop(120) == 0, tailrace.stderr
    drain(tailrace, config, timeout=300)
    assert_exact(source, kafka)


@pytest.mark.slow
@pytest.mark.time_limit(900)
def test_brokers_killed_twenty_times(source, tailrace):
    """One of three, in turn."""
    need_kafka()
    kafka = Kafka(brokers=3).start()
    try:
        load = Workload(source, seed=53, clients=2, pause=0.02).create_tables()
        config = make_config(source, kafka)
        drain(tailrace, config)
        tailrace.start("run", config=config)
        load.start()
        for number in range(20):
            reached = load.commits + 40
            wait_until(lambda: load.commits >= reached, 60, "commits")
            kafka.brokers[number % 3].kill9()
            kafka.brokers[number % 3].up()
            kafka.wait_in_sync()
        load.stop()
        tailrace.check_running()
        assert tailrace.stop(120) == 0, tailrace.stderr
        drain(tailrace, config, timeout=300)
        assert_exact(source, kafka)
    finally:
        kafka.remove()


@pytest.mark.slow
@pytest.mark.time_limit(400)
def test_a_part_behind_a_change_of_shape(source, kafka, tailrace, tmp_path):
    """Whoever begins anew does not know the shape of before, and so is not told that it changed: that counts for nothing in what is left out."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (-2, 'loaded')")
    trace = tmp_path / "names"
    config = make_config(source, kafka, transaction_timeout="1s") | {"tables": {"include": ["public.t"]}}
    assert tailrace.run("run", config=config | {"stop": "drained"}, env={"TR_FAILPOINT_TRACE": str(trace)}).status == 0
    if not trace.exists():
        pytest.skip("the program was built without fail points (FAILPOINTS=1)")
    tailrace.crash_allowed = True
    tailrace.start("run", config=config, env={"TR_FAILPOINT": "sink.kafka.commit.part:2"})  # when the first is committed
    source.sql("INSERT INTO t VALUES (-1, 'before')")
    wait_until(lambda: len(kafka.read(["shop.public.t"])) == 2, 60, "the row before it")
    source.sql("ALTER TABLE t ADD COLUMN more int")
    source.sql("INSERT INTO t SELECT i, repeat('x', 800), i FROM generate_series(1, 200000) i")
    assert tailrace.wait_exit(200) == -signal.SIGKILL, "it was too fast to come in parts"
    drain(tailrace, config)
    replay = Replay().apply(kafka.read(["shop.public.t"]))
    assert not replay.faults, "\n".join(replay.faults[:20])
    assert len(replay.rows["public.t"]) == 200002
