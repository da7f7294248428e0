"""A real Apache Kafka on loopback: one broker or several, killed and restarted at will, and what stands in its topics.

    kafka = Kafka().start()
    ... kafka.bootstrap, kafka.url ...
    kafka.kill9(); kafka.up()
    for record in kafka.read(["test.public.t"]): ...

The jars come by scripts/fetch-kafka.sh, once per machine (KAFKA_JARS=DIR names a folder that has them). Where they cannot be
fetched the tests are skipped with that reason.
"""

import base64
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from .process import Child, free_port, new_dir
from .wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xlog:disable", "-Xms64m", "-Xmx512m",
       "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info"]
# As Kafka's own start script has them: for measurements, where the tests' flags above only shorten the start.
JVM_OF_SCRIPTS = ["-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
                  "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info"]


@lru_cache(maxsize=None)
def kafka_jars(version=None):
    """The folder of the broker's jars, and why they cannot be had, or "". version: another than the usual one, in a folder of its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailrace"
    jars = cache / f"kafka-{version}" if version else Path(os.environ.get("KAFKA_JARS") or cache / "kafka")
    done = subprocess.run([ROOT / "scripts/fetch-kafka.sh", jars], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, **({"KAFKA_VERSION": version} if version else {})})
    return jars, "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1] if done.stderr else "the fetch failed"


def need_kafka(version=None):
    """Skips the test, with the reason, where there is no broker or no client for Python."""
    pytest.importorskip("confluent_kafka", reason="python3-confluent-kafka is not installed")
    jars, reason = kafka_jars(version)
    if reason:
        pytest.skip(f"no Kafka broker: {reason}")
    return jars


class Broker:
    """One node: broker and controller in one process."""

    def __init__(self, kafka, number):
        self.kafka, self.number = kafka, number
        self.dir = kafka.dir / f"n{number}"
        self.dir.mkdir()
        self.port, self.controller_port, self.tls_port = free_port(), free_port(), free_port()
        self.log = self.dir / "log"
        self.child = None

    def command(self, main, *args):
        archive = self.kafka.jars / f"{main.rsplit('.', 1)[1]}.jsa"
        flags = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else [f"-XX:ArchiveClassesAtExit={archive}"]
        if self.kafka.jvm is not JVM:
            flags = []
        return ["java", *self.kafka.jvm, *flags, "-cp", self.kafka.classpath, main, *map(str, args)]

    def prepare(self):
        count = len(self.kafka.brokers)
        quorum = ",".join(f"{b.number}@127.0.0.1:{b.controller_port}" for b in self.kafka.brokers)
        settings = {
            "process.roles": "broker,controller", "node.id": self.number, "controller.quorum.voters": quorum,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{self.listeners()},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": self.listeners(),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT", "log.dirs": self.dir / "data",
            "auto.create.topics.enable": "false", "num.partitions": 1, "default.replication.factor": count,
            "min.insync.replicas": 2 if count > 1 else 1, "offsets.topic.replication.factor": count,
            "offsets.topic.num.partitions": 1, "transaction.state.log.replication.factor": count,
            "transaction.state.log.min.isr": 2 if count > 1 else 1, "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": count, "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 4000, "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2, "num.io.threads": 2, "background.threads": 2, "log.retention.ms": -1,
            "log.cleaner.dedupe.buffer.size": 16777216,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500, **self.tls_settings(), **self.kafka.options,
        }
        (self.dir / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in settings.items()), encoding="ascii")
        scram = [word for mechanism in SCRAM for word in ("--add-scram", f"{mechanism}=[name=alice,password=alice-secret]")]
        command = self.command("kafka.tools.StorageTool", "format", "-t", self.kafka.cluster,
                               "-c", self.dir / "server.properties", *(scram if self.kafka.certificate else []))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def unread(self):
        """Bytes that have come to its port and that it has not taken: what is under way to a broker that stands still."""
        lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]]
        return sum(int(queues.split(":")[1], 16) for _, here, _, state, queues, *_ in lines
                   if state == "01" and int(here.split(":")[1], 16) == self.port)

    def listeners(self):
        plain = f"PLAINTEXT://127.0.0.1:{self.port}"
        return f"{plain},SASL_SSL://127.0.0.1:{self.tls_port}" if self.kafka.certificate else plain

    def tls_settings(self):
        """A listener with the certificate, for the user alice by password, and anybody by a token that nobody signed."""
        if not self.kafka.certificate:
            return {}
        both = self.dir / "server.pem"
        both.write_bytes(b"".join(Path(part).read_bytes() for part in reversed(self.kafka.certificate)))
        security = "org.apache.kafka.common.security"
        modules = {"PLAIN": f'{security}.plain.PlainLoginModule required user_alice="alice-secret";',
                   **dict.fromkeys(SCRAM, f"{security}.scram.ScramLoginModule required;"),
                   "OAUTHBEARER": f'{security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";'}
        return {"ssl.keystore.type": "PEM", "ssl.keystore.location": both, "sasl.enabled.mechanisms": ",".join(modules),
                **{f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": text for name, text in modules.items()}}

    def launch(self):
        self.log.write_bytes(b"")
        self.child = Child(self.command("kafka.Kafka", self.dir / "server.properties"), self.log, cwd=self.dir)

    def wait_ready(self):
        def dead():
            assert self.child.running(), f"the broker died\n{self.child.tail(40)}"
        wait_until(lambda: b"Kafka Server started" in self.log.read_bytes(), 180, "the broker", give_up=dead)

    def kill9(self):
        self.child.kill()

    def up(self):
        self.launch()
        self.wait_ready()


class Record:
    """A message as a consumer gets it."""

    def __init__(self, message):
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.key, self.value = message.key(), message.value()
        self.headers = dict(message.headers() or [])


class Kafka:
    """A cluster of `brokers` nodes with a folder of its own."""

    def __init__(self, brokers=1, certificate=None, version=None, jvm=JVM, **options):
        """certificate: files (certificate, key) of a second listener, with TLS and a login (tls_address)."""
        self.jvm = jvm
        self.jars = need_kafka(version)
        self.certificate = certificate
        self.options = {name.replace("_", "."): value for name, value in options.items()}
        # Sorted, so that the class archive, which remembers the class path, fits.
        self.classpath = ":".join(str(path) for path in sorted(self.jars.glob("*.jar")))
        self.cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "a")
        self.dir = new_dir("kafka")
        self.brokers = []
        for number in range(1, brokers + 1):
            self.brokers.append(Broker(self, number))

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    @property
    def tls_address(self):
        return f"127.0.0.1:{self.brokers[0].tls_port}"

    @property
    def url(self):
        return f"kafka://{self.bootstrap}"

    def start(self):
        for broker in self.brokers:
            broker.prepare()
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_ready()
        return self

    def kill9(self):
        self.brokers[0].kill9()

    def up(self):
        self.brokers[0].up()

    def remove(self):
        for broker in self.brokers:
            if broker.child is not None and broker.child.running():
                broker.kill9()

    # -- looking
    def _config(self, **more):
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, **more}

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient(self._config())

    def topics(self):
        """Name and number of partitions of each topic that is not Kafka's own."""
        topics = self.admin().list_topics(timeout=20).topics
        return {name: len(topic.partitions) for name, topic in topics.items() if not name.startswith("__")}

    def wait_in_sync(self):
        """Until every partition has all of its replicas: then any one broker may be lost."""
        def whole():
            topics = self.admin().list_topics(timeout=20).topics.values()
            return all(len(part.isrs) == len(part.replicas) and part.leader >= 0 for topic in topics for part in topic.partitions.values())
        wait_until(whole, 120, "all replicas in sync")

    def create(self, name, partitions=1, **config):
        from confluent_kafka.admin import NewTopic
        new = NewTopic(name, partitions, len(self.brokers), config={k.replace("_", "."): v for k, v in config.items()})
        admin = self.admin()
        for done in admin.create_topics([new]).values():
            done.result(30)

    def delete(self, name):
        admin = self.admin()
        for done in admin.delete_topics([name], operation_timeout=20).values():
            done.result(30)

    def read(self, topics, committed=True):
        """Every record that stands in these topics now, in the order of each partition."""
        from confluent_kafka import Consumer, KafkaError, OFFSET_BEGINNING, TopicPartition
        consumer = Consumer(self._config(**{
            "group.id": "reader", "enable.partition.eof": True, "enable.auto.commit": False, "fetch.wait.max.ms": 20,
            "isolation.level": "read_committed" if committed else "read_uncommitted"}))
        known = consumer.list_topics(timeout=20).topics
        parts = [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in known[topic].partitions]
        consumer.assign(parts)
        open_parts, records = {(p.topic, p.partition) for p in parts}, []
        while open_parts:
            message = consumer.poll(90)
            assert message is not None, f"no end of {open_parts} in 90 s"
            if message.error() is None:
                records.append(Record(message))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_parts.discard((message.topic(), message.partition()))
            else:
                raise AssertionError(str(message.error()))
        consumer.close()
        return records
