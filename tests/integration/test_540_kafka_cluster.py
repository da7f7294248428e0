"""Three brokers: the leader of the topic is killed under load, and the producer goes on.

Idempotent, a producer that has to be opened anew sends again what is after the last checkpoint: nothing is lost, some may come twice.
"""

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.topics import Replay
from harness.wait import wait_until
from harness.workload import Workload


@pytest.mark.matrix  # three brokers: not on every run
@pytest.mark.time_limit(600)
@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_a_leader_killed_under_load(source, tailrace, exactly_once):
    need_kafka()
    kafka = Kafka(brokers=3).start()
    try:
        load = Workload(source, seed=31, clients=2, pause=0.005).create_tables()
        for number in (0, 1):  # their topics are made while a broker, perhaps the one that makes topics, has just died
            source.sql(f"CREATE TABLE wl.late{number} (id int PRIMARY KEY)")
        config = task_config(source.url, None, task="shop") | {
            "target": {"url": kafka.url, "exactly_once": exactly_once, "topic_partitions": 3}}
        drain(tailrace, config)
        tailrace.start("run", config=config)
        load.start()
        for number, broker in enumerate(kafka.brokers[:2]):
            reached = load.commits + 100
            wait_until(lambda: load.commits >= reached, 60, "commits")
            broker.kill9()
            source.sql(f"INSERT INTO wl.late{number} VALUES (1)")
            reached = load.commits + 100
            wait_until(lambda: load.commits >= reached, 60, "commits")
            broker.up()
        load.stop()
        tailrace.check_running()
        assert tailrace.stop() == 0, tailrace.stderr
        drain(tailrace, config)
        topics = sorted(name for name in kafka.topics() if name.startswith("shop.wl."))
        replay = Replay().apply(kafka.read(topics))
        journal = sorted((row["client"], row["n"]) for row in replay.inserted["wl.journal"])
        assert len(replay.rows["wl.late0"]) == len(replay.rows["wl.late1"]) == 1
        if exactly_once:
            assert not replay.faults, "\n".join(replay.faults[:20])
        else:
            journal = sorted(set(journal))
        assert journal == sorted(source.sql("SELECT client, n FROM wl.journal"))
    finally:
        kafka.remove()
