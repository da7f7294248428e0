"""exactly_once over a broker that forgets to end a transaction whose commit it confirmed (docs/sink-kafka.md).

Made here without luck: the broker is killed, and the end marker that stands last in a partition is cut from its log, as if it had never been
written. The coordinator's log says that the transaction is complete.
"""

import itertools
import signal
import struct

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.topics import Replay

STATE = "tailrace-checkpoint-shop"
TABLES = ["a", "b", "c"]
TOPICS = [f"shop.public.{table}" for table in TABLES]


@pytest.fixture(scope="module")
def cluster():
    need_kafka()
    kafka = Kafka().start()
    yield kafka
    kafka.remove()


@pytest.fixture
def kafka(cluster):
    yield cluster
    for name in cluster.topics():
        cluster.delete(name)


def batches(log):
    """(start, is it a marker, does it end by a commit) of each batch in a segment."""
    at = 0
    while at + 61 <= len(log):
        size = struct.unpack_from(">i", log, at + 8)[0]
        if size <= 0:
            break
        marker = bool(struct.unpack_from(">h", log, at + 21)[0] & 0x20)
        yield at, marker
        at += 12 + size


def forget(kafka, *partitions):
    """Kills the broker and cuts the last batch, a marker, from the logs of these partitions ("topic-0"), so that its transaction stands open there."""
    broker = kafka.brokers[0]
    broker.kill9()
    for partition in partitions:
        folder = broker.dir / "data" / partition
        segment = max(folder.glob("*.log"))
        start, marker = list(batches(segment.read_bytes()))[-1]
        assert marker, f"{partition} does not end with a marker"
        with open(segment, "r+b") as log:
            log.truncate(start)
        for pattern in ("*.index", "*.timeindex", "*.txnindex", "*.snapshot"):
            for path in folder.glob(pattern):
                path.unlink()
    broker.up()


@pytest.fixture
def shop(source, kafka, tailrace):
    """Three tables in three topics; add() writes a transaction to all of them, check() reads every topic strictly."""
    numbers = itertools.count(1)
    for table in TABLES:
        source.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, v text)")

    class Shop:
        config = task_config(source.url, None, task="shop") | {"tables": {"include": ["public.%"]},
                                                              "target": {"url": kafka.url, "exactly_once": True}}

        def add(self, tables=tuple(TABLES)):
            number = next(numbers)
            source.sql("BEGIN;" + "".join(
                f"INSERT INTO {table} SELECT i, 'row ' || i FROM generate_series({100 * number}, {100 * number + 20}) i;"
                f"UPDATE {table} SET v = v || '.{number}' WHERE id % 100 = 0;" for table in tables) + "COMMIT")

        def drain(self):
            drain(tailrace, self.config)

        def check(self):
            replay = Replay().apply(kafka.read(TOPICS))
            assert not replay.faults, "\n".join(replay.faults[:20])
            for table in TABLES:
                rows = sorted((row["id"], row["v"]) for row in replay.rows.get(f"public.{table}", {}).values())
                assert rows == sorted(source.sql(f"SELECT id, v FROM {table}")), table

    made = Shop()
    made.drain()
    made.add()
    made.drain()
    return made


@pytest.mark.matrix
@pytest.mark.time_limit(300)
@pytest.mark.parametrize("where", [TOPICS[:2], [STATE, TOPICS[0]], [STATE, *TOPICS]], ids=["rows", "state and rows", "all"])
def test_a_start_makes_good_for_it(shop, kafka, where):
    forget(kafka, *(f"{topic}-0" for topic in where))
    shop.add(TABLES[:1])
    shop.add(TABLES[1:])
    shop.drain()
    shop.check()
    shop.drain()
    shop.check()


@pytest.mark.slow
@pytest.mark.time_limit(300)
@pytest.mark.parametrize("step", ["closing", "closed", "copied", "commit.before", "commit.after", "settled"])
def test_and_may_be_killed_while_it_does(shop, kafka, tailrace, step):
    forget(kafka, f"{STATE}-0", f"{TOPICS[1]}-0")
    shop.add()
    for hit in (1, 2):
        result = tailrace.run("run", config={**shop.config, "stop": "drained"}, env={"TR_FAILPOINT": f"sink.kafka.{step}:{hit}"})
        assert result.status in (0, -signal.SIGKILL), result
    shop.drain()
    shop.check()
