"""A live database into Kafka while everything is killed, and what a consumer sees of it; the proof is read from the topics.

Run by scripts/demo.sh with PAIR=postgresql-kafka.
"""

import base64
import importlib.util
import json
import os
import random
import re
import signal
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).resolve().parent)]

from harness.kafka import Kafka, kafka_jars  # noqa: E402
from harness.servers import Postgres  # noqa: E402
from harness.tailrace import Tailrace  # noqa: E402
from harness.wait import WaitTimeout, wait_until  # noqa: E402
from screen import ESCAPES, Screen  # noqa: E402
from shop import TABLES, Shop  # noqa: E402

KILLS = 4


class Broken(Exception):
    """The demo has shown that something is wrong."""


class Reader(threading.Thread):
    """A consumer with read_committed: keeps, per table, the rows that the topics describe, and counts what does not fit."""

    def __init__(self, kafka):
        super().__init__(daemon=True)
        self.kafka, self.rows, self.journal, self.faults, self.records = kafka, {}, [], [], 0
        self.newest, self.problem, self.halt, self.places = "", None, threading.Event(), {}

    def run(self):
        try:
            self.follow()
        except Exception as error:  # told by the main thread
            self.problem = error

    def follow(self):
        from confluent_kafka import Consumer
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "demo", "auto.offset.reset": "earliest",
                             "isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 20,
                             "topic.metadata.refresh.interval.ms": 500, "log_level": 0})
        consumer.subscribe(["^demo[.]shop[.].*"])
        while not self.halt.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                self.take(message)
        consumer.close()

    def take(self, message):
        where = (message.topic(), message.partition())
        if message.offset() <= self.places.get(where, -1):
            return  # the group was given its partitions again
        self.places[where] = message.offset()
        self.records += 1
        table, key = message.topic().split(".")[-1], message.key()
        rows = self.rows.setdefault(table, {})
        if message.value() is None:
            if key in rows:
                self.faults.append(f"{table}: a tombstone for a row that is there")
            return
        event = json.loads(message.value())
        op, there = event["op"], key in rows
        if key is None:
            self.journal.append((event["after"]["client"], event["after"]["n"]))
        elif there == (op in "cr"):
            self.faults.append(f"{table}: {op} of {key.decode()}, which is {'' if there else 'not '}there")
        if op == "d":
            rows.pop(key, None)
        elif key is not None:
            rows[key] = event["after"]
        names = {"r": "read", "c": "insert", "u": "update", "d": "delete"}
        self.newest = f"{names[op]} {table} {key.decode() if key else ''}"


class Demo:
    def __init__(self, screen, seed):
        self.screen, self.random, self.seed = screen, random.Random(seed), seed
        self.kills = {"tailrace": 0, "broker": 0}

    def prepare(self):
        self.screen.title("A shop on PostgreSQL, its changes in Kafka, and a bad day in between")
        self.server = Postgres(options={"shared_buffers": "128MB", "max_wal_size": "4GB", "autovacuum": "off"}, name="src").start()
        self.source = self.server.database("shop")
        self.kafka = Kafka().start()
        self.screen.step("a private PostgreSQL server and a private Kafka broker started")
        self.shop = Shop(self.source, self.seed, customers=4000, products=1000, purchases=10000)
        self.shop.create()
        self.shop.start()
        self.screen.step(f"{self.shop.clients} clients buy, pay, cancel, transfer money, change keys and roll back")
        self.reader = Reader(self.kafka)
        self.reader.start()
        self.screen.step("a consumer (read_committed) reads every topic demo.shop.*")

    def config(self, **more):
        return {"task": "demo", "mode": "full-load-and-cdc", "source": {"url": self.source.url},
                "target": {"url": self.kafka.url, "format": "debezium-json", "exactly_once": True, "topic_partitions": 3,
                           "transaction_timeout": "10s"},
                "tables": {"include": ["shop.%"]}, "state": "state", "progress": "on", **more}

    def first_run(self):
        self.tailrace = Tailrace()
        self.screen.title("Full load and then changes, on the live database")
        self.screen.note(f"$ tailrace run --source {self.source.url} --target {self.kafka.url} --exactly_once true --tables shop.%")
        self.start()
        self.watch(self.following, "tailrace to follow the source", 180)
        self.screen.good("loaded and following; the shop never stopped")
        self.show_records()

    def show_records(self):
        self.watch(lambda: self.reader.records > 1000, "the consumer to see rows")
        self.screen.step(f"the consumer has {self.reader.records:,} records; the newest: {self.reader.newest}")

    def bad_day(self):
        self.screen.title("A bad day")
        for number in range(KILLS):
            self.pause(0.4, 1.5)
            shown = self.display()
            self.tailrace.kill9()
            self.kills["tailrace"] += 1
            self.screen.kill(f"kill -9 tailrace   ({shown.split(', lag')[0]})")
            self.start()
            self.watch(self.following, "tailrace to follow the source", 90)
            if number == KILLS // 2:
                self.kill_broker()
        self.show_records()

    def kill_broker(self):
        self.kafka.kill9()
        self.kills["broker"] += 1
        self.screen.kill("kill -9 the broker")
        self.kafka.up()
        before = self.reader.records
        self.watch(lambda: self.reader.records > before, "records after the broker's return", 120)
        self.screen.step("the broker is back; tailrace has not been touched, and records flow")

    def drain(self):
        self.shop.stop()
        self.screen.title("Closing time")
        self.screen.step(f"the clients have stopped: {self.shop.counts['commits']:,} transactions committed")
        status = self.tailrace.stop(60)
        self.expect(status == 0, f"tailrace ended with {status} after SIGTERM\n{self.tailrace.stderr[-3000:]}")
        self.start(stop="drained")
        self.watch(lambda: not self.tailrace.running(), "the run to end", 120, must_run=False)
        status = self.tailrace.wait_exit()
        self.expect(status == 0, f"tailrace ended with {status}\n{self.tailrace.stderr[-3000:]}")
        self.screen.good("drained: the topics hold all that was committed")

    def prove(self):
        self.screen.title("Is what the consumer has what the database has?")
        expected = {name: self.source.one(f"SELECT count(*) FROM shop.{name}") for name in TABLES}
        self.watch(lambda: self.counts() == expected or self.reader.faults, "the consumer to have read everything", 90, must_run=False)
        checks = {"wallet": ("customer_id", "balance"), "stock": ("product_id", "quantity"), "purchase": ("id", "status")}
        rows, equal = [], not self.reader.faults
        for name, count in expected.items():
            same = self.counts()[name] == count
            if name in checks:
                same &= self.seen(name, *checks[name]) == self.held(name, *checks[name])
            equal &= same
            rows.append([f"demo.shop.{name}", f"{count:,}", f"{self.counts()[name]:,}",
                         self.screen.paint("equal", "green") if same else self.screen.paint("DIFFERENT", "red")])
        self.screen.table(["topic", "rows, source", "rows, consumer", ""], rows)
        self.screen.write("")
        for fault in self.reader.faults[:5]:
            self.screen.bad(fault)
        doubles = len(self.reader.journal) - len(set(self.reader.journal))
        self.screen.step(f"killed with SIGKILL: tailrace {self.kills['tailrace']} times, the broker {self.kills['broker']} times")
        self.screen.step(f"of {self.reader.records:,} records none came twice, too early or not at all" if equal else "records do not fit")
        self.screen.step(f"the journal without a key: {len(self.reader.journal):,} entries, {doubles} of them double")
        self.expect(equal and doubles == 0, "what the consumer has is not what the database has")

    def counts(self):
        found = {name: len(self.reader.rows.get(name, {})) for name in TABLES}
        return found | {"journal": len(self.reader.journal)}

    def seen(self, table, key, value):
        return {row[key]: row[value] for row in list(self.reader.rows[table].values())}

    def held(self, table, key, value):
        """As the topics show it: decimals as base64 of the unscaled number."""
        rows = self.source.sql(f"SELECT {key}, {value}::text, {value} FROM shop.{table}")
        return {row[0]: decimal_text(row[2]) if table == "wallet" else row[2] if table == "stock" else row[1] for row in rows}

    def clean_up(self):
        self.reader.halt.set()
        self.reader.join(30)
        result = self.tailrace.run("drop", config=self.config())
        self.expect(result.status == 0, f"tailrace drop: {result!r}")
        self.screen.good("tailrace drop: no slot, no publication, no checkpoint topic is left behind; the events stay")
        self.kafka.remove()

    # ---- the task's process
    def start(self, **more):
        self.tailrace.start("run", config=self.config(**more))

    def display(self):
        tail = self.tailrace.stderr[-4000:].split("\r")[-1]
        return (ESCAPES.sub("", tail).strip().splitlines()[-1:] or [""])[0]

    def following(self):
        return re.match("streaming", self.display()) is not None

    def pause(self, low, high):
        until = time.monotonic() + self.random.uniform(low, high)
        self.watch(lambda: time.monotonic() >= until, "the time to pass")

    def watch(self, condition, what, timeout=30, must_run=True):
        """Waits for a condition, with the live line."""
        def look():
            if self.shop.problem:
                raise Broken(f"a client of the shop failed: {self.shop.problem!r}")
            if self.reader.problem:
                raise Broken(f"the consumer failed: {self.reader.problem!r}")
            if must_run and not self.tailrace.running():
                raise Broken(f"tailrace ended by itself:\n{self.tailrace.stderr[-3000:]}")
            self.screen.show_live(f"source {self.shop.commits:,} commits │ consumer {self.reader.records:,} records, {self.reader.newest}")
            return condition()
        wait_until(look, timeout, lambda: f"{what}\n{self.tailrace.stderr[-3000:]}", interval=0.05)

    @staticmethod
    def expect(condition, text):
        if not condition:
            raise Broken(text)


def decimal_text(value):
    """A numeric(12,2) as Connect's Decimal in JSON."""
    unscaled = int(value.scaleb(2))
    bits = (unscaled if unscaled >= 0 else -unscaled - 1).bit_length()
    return base64.b64encode(unscaled.to_bytes(bits // 8 + 1, "big", signed=True)).decode()


def main():
    screen = Screen()
    seed = int(os.environ.get("DEMO_SEED") or random.SystemRandom().randrange(10000))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if importlib.util.find_spec("confluent_kafka") is None:
        screen.bad("python3-confluent-kafka is not installed: make setup")
        return 2
    reason = kafka_jars()[1]
    if reason:
        screen.bad(f"no Kafka broker can be had here: {reason}")
        return 2
    demo = Demo(screen, seed)
    try:
        demo.prepare()
        demo.first_run()
        demo.bad_day()
        demo.drain()
        demo.prove()
        demo.clean_up()
    except KeyboardInterrupt:
        screen.step("ended by Ctrl-C")
        return 130
    except (Broken, WaitTimeout, RuntimeError) as problem:
        screen.bad(str(problem))
        screen.note(f"the same again: DEMO_SEED={seed} PAIR=postgresql-kafka make demo")
        return 1
    screen.write("")
    screen.good(screen.paint("the consumer has every change once, and the same rows as the database", "bold"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
