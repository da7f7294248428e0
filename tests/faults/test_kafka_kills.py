"""exactly_once under a long bad day: two hundred kills of tailrace, twenty of the broker, and a read_committed reader."""

import random

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.topics import assert_exact
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
