"""Into a real Kafka broker, beside a real Debezium with its default and with tuned settings: a backlog of small transactions of PostgreSQL and of
MariaDB, a snapshot, and the way of a lone commit to a consumer.

Debezium runs in its embedded engine, whose records are produced with the settings of Kafka Connect (tests/differential/Capture.java). Its time counts from
its first record to its last, so without the start of the JVM; tailrace's is that of the whole process.
"""

import itertools
import json
import random
import re
import shutil
import threading
import time

import pytest
from lab import Process, Run, Skip, Wrong, client, new_dir, pg_client, server_cpu, tailrace, wait_until

from case_capture import tpcb_backlog
from case_latency import ranks
from differential.peers import class_path, mysql_properties, offsets
from harness.kafka import JVM_OF_SCRIPTS, Kafka
from harness.registry import FakeRegistry
from harness.servers import MariaDB

JVM = ["-Xmx512m", "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
TUNED = {"max.batch.size": 8192, "max.queue.size": 32768, "poll.interval.ms": 10}
SIDES = {"debezium": {}, "debezium tuned": TUNED}
numbers = itertools.count(1)


def broker(lab):
    if "kafka" not in lab.shared:
        lab.shared["kafka"] = Kafka(jvm=JVM_OF_SCRIPTS, message_max_bytes=16000000).start()
        warm(lab.shared["kafka"], lab.size(2000000, 50000))
    return lab.shared["kafka"]


def warm(kafka, messages):
    """A broker that has just started compiles its own code first, at the cost of whoever is measured first."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0})
    kafka.create("warm")
    headers = [(f"__debezium.context.{number}", b"value") for number in range(4)]
    for number in range(messages):
        producer.produce("warm", b"x" * 500, b"key %d" % number, headers=headers)
        if number % 1000 == 0:
            producer.poll(0)
        if number % 50000 == 0:
            producer.flush(60)
    producer.flush(60)
    kafka.delete("warm")


def read_messages(kafka, topics):
    """How many a consumer with read_committed gets: transactions have marks of their own among the offsets."""
    from confluent_kafka import Consumer, KafkaError, OFFSET_BEGINNING, TopicPartition
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "count", "log_level": 0, "enable.partition.eof": True,
                         "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics])
    total, left = 0, len(topics)
    while left > 0:
        for message in consumer.consume(10000, 20):
            left -= message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF
            total += message.error() is None
    consumer.close()
    return total


def count_messages(kafka, topics, committed=False):
    from confluent_kafka import Consumer, TopicPartition
    if committed:
        return read_messages(kafka, topics)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "count", "log_level": 0})
    known = consumer.list_topics(timeout=20).topics
    total = 0
    for topic in topics:
        for part in known[topic].partitions if topic in known else []:
            total += consumer.get_watermark_offsets(TopicPartition(topic, part), timeout=20)[1]
    consumer.close()
    return total


class Engine:
    """One engine of Debezium in a JVM of its own."""

    def __init__(self, folder, properties, count=0):
        self.dir = new_dir("dbz")
        file, self.out = self.dir / "engine.properties", self.dir / "out"
        properties = {**properties, **({"x.count": count} if count else {})}
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")
        with open(self.out, "wb") as out:
            self.process = Process(["java", *JVM, "-cp", class_path(folder), "Capture", file], cwd=self.dir, stdout=out)

    def figures(self):
        """What Capture said, once it has said it."""
        said = self.out.read_text(encoding="utf-8")
        lines = said.splitlines() if said.endswith("\n") else []   # a line may be under way
        if lines and '"error":""' not in lines[0]:
            raise Wrong(f"Debezium: {lines[0][:1000]}")
        if not lines and self.process.poll() is not None:
            raise Wrong(f"Debezium ended with {self.process.status}:\n{self.process.tail()}")
        return json.loads(lines[0]) if lines else None

    def wait(self, timeout):
        wait_until(self.figures, timeout, "Debezium's last record", interval=0.05)
        return self.stop()

    def stop(self):
        found = self.figures()
        self.process.terminate()
        try:
            self.process.wait(60)
        except Wrong:
            pass                       # a JVM that was told to stop ends with 143
        return found


class IntoKafka:
    """What all cases share."""

    peers = list(SIDES)
    warm_up = False
    folder = "main"
    prefix = None                      # of Debezium's topics, where it must be the same in each run
    committed = False                  # its messages stand in transactions

    def check_peer(self, _side):
        try:
            class_path(self.folder)
        except pytest.skip.Exception as reason:
            raise Skip(str(reason)) from None

    def begin(self, lab):
        self.lab = lab
        try:
            self.kafka = broker(lab)
        except pytest.skip.Exception as reason:
            raise Wrong(f"no broker to write to: {reason}") from None

    def topics(self, prefix):
        """Made before Debezium needs them; tailrace makes its own."""
        names = [f"{prefix}.{table}" for table in self.tables]
        for name in names:
            self.kafka.create(name)
        return names

    def run(self, side):
        prefix = f"bench{next(numbers)}" if side == "tailrace" or self.prefix is None else self.prefix
        run = self.run_tailrace(prefix) if side == "tailrace" else self.run_debezium(prefix, side)
        found = count_messages(self.kafka, [f"{prefix}.{table}" for table in self.tables], self.committed)
        if found != self.rows:
            raise Wrong(f"{side}: {found} messages in the topics, not {self.rows}")
        for table in self.tables:
            self.kafka.delete(f"{prefix}.{table}")
        wait_until(lambda: not any(topic.startswith(prefix + ".") for topic in self.kafka.topics()), 30, "the topics to be gone")
        return run

    def debezium(self, prefix, side, properties):
        self.topics(prefix)
        before = server_cpu(self.server)
        engine = Engine(self.folder, {"name": prefix, "topic.prefix": prefix, "x.kafka": self.kafka.bootstrap, **properties, **SIDES[side]}, self.rows)
        found = engine.wait(1200)
        return Run(found["seconds"], found["records"], found["cpu_s"], server_cpu(self.server) - before, 0, engine.process.rss)

    def tailrace(self, prefix, url, **options):
        before = server_cpu(self.server)
        process = tailrace(url, self.kafka.url, **{"task": prefix, **options})
        wall = process.wait(600)
        return Run(wall, self.rows, process.cpu, server_cpu(self.server) - before, 0, process.rss)


class PostgresBacklog(IntoKafka):
    name, goal = "debezium-postgresql", {"debezium": 8.0, "debezium tuned": 8.0}
    title = "backlog of TPC-B transactions of PostgreSQL to Kafka as JSON, idempotent; peers: Debezium 3.6.1, default and tuned"

    def prepare(self, lab):
        self.begin(lab)
        self.backlog = tpcb_backlog(lab)
        self.server, self.rows, self.tables = self.backlog.server, self.backlog.rows, self.backlog.tables

    def run_tailrace(self, prefix):
        slot = self.backlog.copy()
        run = self.tailrace(prefix, self.backlog.database.url, mode="cdc", slot=slot, publication="bench", tables=",".join(self.tables),
                            start=f"lsn:{self.backlog.start}", stop=f"lsn:{self.backlog.end}")
        self.backlog.drop(slot)
        return run

    def run_debezium(self, prefix, side):
        slot = self.backlog.copy()
        database = self.backlog.database
        run = self.debezium(prefix, side, {
            **postgres_properties(database, slot), "publication.name": "bench", "snapshot.mode": "no_data", **offsets(new_dir("offsets"), prefix)})
        self.backlog.drop(slot)
        return run


def postgres_properties(database, slot):
    return {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "database.hostname": "127.0.0.1",
            "database.port": database.server.port, "database.user": "postgres", "database.password": "x", "database.dbname": database.name, "slot.name": slot,
            "publication.autocreate.mode": "disabled", "schema.include.list": "public"}


class AvroBacklog(PostgresBacklog):
    name, goal = "debezium-avro", {"debezium tuned": 8.0}
    title = "the same backlog of PostgreSQL to Kafka as Avro, with a registry; peer: Debezium 3.6.1 tuned, writing JSON, which needs no converter of other makers"
    peers = ["debezium tuned"]

    def run_tailrace(self, prefix):
        self.registry = FakeRegistry()
        try:
            return super().run_tailrace(prefix)
        finally:
            self.registry.remove()

    def tailrace(self, prefix, url, **options):
        return super().tailrace(prefix, url, format="debezium-avro", schema_registry=self.registry.url, **options)


class ExactlyOnce(PostgresBacklog):
    name, goal = "kafka-exactly-once", {"idempotent": 0.9}
    title = "the same backlog of PostgreSQL to Kafka as JSON with exactly_once; peer: tailrace without"
    peers, committed = ["idempotent"], True

    def check_peer(self, _side):
        """Nothing has to be fetched."""

    def run_tailrace(self, prefix):
        self.options = {"exactly-once": "true"}
        return super().run_tailrace(prefix)

    def run_debezium(self, prefix, _side):
        self.options = {}
        return super().run_tailrace(prefix)

    def tailrace(self, prefix, url, **options):
        return super().tailrace(prefix, url, **self.options, **options)


class Snapshot(IntoKafka):
    name, goal = "debezium-snapshot", {"debezium": 5.0, "debezium tuned": 5.0}
    title = "snapshot of one PostgreSQL table to Kafka as JSON; peers: Debezium 3.6.1, default and tuned"
    tables = ["public.filled"]

    def prepare(self, lab):
        self.begin(lab)
        self.server, self.rows = lab.source, lab.size(5000000, 100000)
        self.database = lab.source.database("snapshot")
        self.database.sql("CREATE TABLE filled (id int PRIMARY KEY, name text, at timestamptz, price numeric(12,2), pad text)")
        self.database.sql("INSERT INTO filled SELECT i, 'name ' || i, timestamptz '2020-01-01Z' + i * interval '1 s', i / 7.0, md5(i::text)"
                          " FROM generate_series(1, %s) i", (self.rows,))
        self.database.sql("VACUUM ANALYZE filled")
        self.database.sql("CREATE PUBLICATION bench FOR TABLE filled")

    def run_tailrace(self, prefix):
        return self.tailrace(prefix, self.database.url, mode="full-load", tables="public.filled")

    def run_debezium(self, prefix, side):
        slot = f"slot_{prefix}"
        run = self.debezium(prefix, side, {**postgres_properties(self.database, slot), "publication.name": "bench", "snapshot.mode": "initial",
                                           **offsets(new_dir("offsets"), prefix)})
        wait_until(lambda: self.database.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active", (slot,)),
                   60, "Debezium's slot to be free")
        return run


class MariaBacklog(IntoKafka):
    name, goal = "debezium-mariadb", {"debezium": 8.0, "debezium tuned": 8.0}
    title = "backlog of MariaDB transactions of four rows to Kafka as JSON; peers: Debezium 3.5.0, default and tuned"
    tables = ["shop.account", "shop.journal"]
    folder, prefix = "mariadb", "maria"  # its offsets are kept under the prefix

    def prepare(self, lab):
        self.begin(lab)
        self.server = MariaDB(options={"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "innodb-buffer-pool-size": "1G",
                                       "max-binlog-size": "1G"}).start()
        self.database = self.server.database("shop")
        self.database.sql("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, filler char(84))")
        self.database.sql("CREATE TABLE journal (n bigint AUTO_INCREMENT PRIMARY KEY, account int, delta int, at datetime(6), note varchar(40))")
        self.database.sql("INSERT INTO account SELECT seq, 0, '' FROM seq_1_to_1000")
        self.server.sql("CREATE USER debezium IDENTIFIED BY 'dbz'")
        self.server.sql("GRANT ALL ON *.* TO debezium")
        transactions = lab.size(200000, 10000)
        self.rows = transactions * 4
        self.start = "gtid:" + self.server.sql("SELECT @@gtid_binlog_pos")[0][0]
        self.memory = self.prime()
        self.fill(transactions)

    def properties(self, folder):
        """Those of an engine whose memory lies in this folder."""
        return {**mysql_properties(self.database, "engine", folder, next(numbers)), "snapshot.mode": "no_data", "poll.interval.ms": 500,
                "include.schema.changes": "false", "topic.prefix": self.prefix}

    def prime(self):
        """Debezium starts where its offsets say: they are made before the backlog, and each run gets a copy."""
        try:
            class_path(self.folder)
        except pytest.skip.Exception:
            return None
        folder = new_dir("memory")
        engine = Engine(self.folder, self.properties(folder), 1)

        def moves():
            engine.figures()
            self.database.sql("UPDATE account SET balance = balance + 1 WHERE id = 1")
            return engine.figures()
        wait_until(moves, 120, "Debezium's first record", interval=0.5)
        engine.stop()
        # What it has not read of the updates above is part of the backlog, for both.
        stored = (folder / "engine.offsets").read_bytes()
        domain, last = re.search(rb'"gtids":"((?:\d+-){2})(\d+)"', stored).groups()
        # With a place inside the transaction behind these GTIDs it has read that one, too: it is one row.
        last = int(last) + (re.search(rb'"(event|row)":[1-9]', stored) is not None)
        self.start, self.rows = f"gtid:{domain.decode()}{last}", self.rows + self.position() - last
        return folder

    def position(self):
        """The number of the newest transaction: each update of the priming is one."""
        return int(self.server.sql("SELECT @@gtid_binlog_pos")[0][0].rpartition("-")[2])

    def fill(self, transactions):
        """Inside the server, for a client would take longer than the whole case."""
        self.database.sql(f"""BEGIN NOT ATOMIC
            FOR i IN 1..{transactions} DO
                START TRANSACTION;
                UPDATE account SET balance = balance - 1 - i % 96 WHERE id = 1 + i * 7919 % 1000;
                UPDATE account SET balance = balance + 1 + i % 96 WHERE id = 1 + (i * 7919 + 500) % 1000;
                INSERT INTO journal (account, delta, at, note) VALUES (1 + i * 7919 % 1000, -1 - i % 96, NOW(6), CONCAT('transfer ', i)),
                    (1 + (i * 7919 + 500) % 1000, 1 + i % 96, NOW(6), CONCAT('transfer ', i));
                COMMIT;
            END FOR;
        END""")

    def run_tailrace(self, prefix):
        return self.tailrace(prefix, self.server.url("shop"), mode="cdc", start=self.start, stop="drained", tables="shop.%")

    def run_debezium(self, prefix, side):
        folder = new_dir("memory")
        for file in self.memory.iterdir():
            shutil.copy(file, folder / file.name)
        return self.debezium(prefix, side, self.properties(folder))


class CommitToConsumer(IntoKafka):
    name, goal = "debezium-latency", {}
    warm_up = True                     # small requests and fetches are other code of the broker than the backlogs' large ones
    title = ("a lone commit of PostgreSQL until a consumer has its message, at 1,000 tx/s, from the return of COMMIT; peers: Debezium 3.6.1, default and tuned")
    tables = ["public.pgbench_accounts", "public.pgbench_branches", "public.pgbench_tellers", "public.pgbench_history", "public.probe"]

    def prepare(self, lab):
        self.begin(lab)
        self.server = lab.source

    def run(self, side):
        prefix = f"bench{next(numbers)}"
        database = self.lab.source.database(prefix)
        login = ["-h", self.lab.source.sockets, "-p", self.lab.source.port, "-U", "postgres", database.name]
        client("pgbench", "-i", "-q", "-s", self.lab.size(10, 2), *login)
        database.sql("CREATE TABLE probe (id int PRIMARY KEY)")
        database.sql("CREATE PUBLICATION bench FOR TABLE " + ", ".join(self.tables))
        self.topics(prefix)
        slot = f"slot_{prefix}"
        database.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
        if side == "tailrace":
            process = tailrace(database.url, self.kafka.url, task=prefix, mode="cdc", slot=slot, publication="bench", tables=",".join(self.tables),
                               start="slot")
        else:
            engine = Engine("main", {"name": prefix, "topic.prefix": prefix, "x.kafka": self.kafka.bootstrap, **postgres_properties(database, slot),
                                     "publication.name": "bench", "snapshot.mode": "no_data", **offsets(new_dir("offsets"), prefix), **SIDES[side]})
            process = engine.process
        arrivals = Arrivals(self.kafka, f"{prefix}.public.probe")
        seconds = self.lab.size(30, 8)
        writer = database.connect()
        write = writer.cursor()
        write.execute("INSERT INTO probe VALUES (0)")
        wait_until(lambda: arrivals.has(0, process), 120, "the first message")
        load = Process([pg_client("pgbench"), "-n", "-c", 4, "-j", 1, "-R", 1000, "-T", seconds + 2, *login])
        times, rng, pause, end, number = {}, random.Random(1), threading.Event(), time.monotonic() + seconds, 0
        pause.wait(1)
        while time.monotonic() < end:
            number += 1
            write.execute("INSERT INTO probe VALUES (%s)", (number,))
            times[number] = time.perf_counter()
            pause.wait(rng.uniform(0.01, 0.06))
        load.wait(120)
        wait_until(lambda: arrivals.has(number, process), 120, "the last message")
        arrivals.stop()
        process.terminate()
        try:
            process.wait(60)
        except Wrong:
            if side == "tailrace":
                raise
        taken = [max(0.0, arrivals.at[n] - begun) for n, begun in times.items()]
        wait_until(lambda: not database.one("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,)), 60, "the slot to be free")
        database.drop()
        return Run(seconds, len(taken), process.cpu, 0, 0, process.rss, ranks(taken))


class Arrivals:
    """A consumer in a thread of its own, which notes when each probe came."""

    def __init__(self, kafka, topic):
        from confluent_kafka import Consumer, OFFSET_BEGINNING, TopicPartition
        self.at, self.over = {}, threading.Event()
        self.consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "probe", "log_level": 0, "fetch.wait.max.ms": 500,
                                  "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.over.is_set():
            message = self.consumer.poll(0.2)
            if message is not None and message.error() is None:
                now, value = time.perf_counter(), json.loads(message.value())
                self.at[value["after"]["id"]] = now

    def has(self, number, process):
        if process.poll() is not None:
            raise Wrong(f"the program ended with {process.status}:\n{process.tail()}")
        return number in self.at

    def stop(self):
        self.over.set()
        self.thread.join()
        self.consumer.close()


CASES = [PostgresBacklog, AvroBacklog, ExactlyOnce, MariaBacklog, Snapshot, CommitToConsumer]
