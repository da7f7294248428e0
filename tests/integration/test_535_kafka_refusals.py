"""What a broker refuses, takes away or slows down: told with the reason and what to do, or waited for; nothing is passed over."""

import json
import resource
import socket
import struct
import subprocess

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.wait import wait_until

AUTHORIZER = {"authorizer_class_name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super_users": "User:root",
              "allow_everyone_if_no_acl_found": "true", "early_start_listeners": "CONTROLLER"}


pytestmark = pytest.mark.time_limit(400)  # brokers that end and come back, on a machine that others use

ANY, ALL, WRITE, DENY, ALLOW = 1, 2, 4, 2, 3


def short(text):
    return struct.pack(">h", len(text)) + text.encode()


def ask(kafka, api, body):
    """A request of version 1 in the brokers' own protocol, for what the client for Python of Debian 12 cannot ask. The answer's body."""
    request = struct.pack(">hhi", api, 1, 7) + short("test") + body
    with socket.create_connection(("127.0.0.1", kafka.brokers[0].port), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            (size,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(size)
    assert len(answer) == size and answer[:4] == struct.pack(">i", 7)
    return answer[4:]


def add_rule(kafka, topic, operation, permission):
    """What all who are nameless may do with a topic."""
    body = struct.pack(">ib", 1, 2) + short(topic) + b"\3" + short("User:ANONYMOUS") + short("*") + bytes([operation, permission])
    code, = struct.unpack_from(">h", ask(kafka, 30, body), 8)
    assert code == 0, f"error {code} of the broker"


def remove_rules(kafka, topic):
    body = struct.pack(">ib", 1, 2) + short(topic) + b"\3" + struct.pack(">hh", -1, -1) + bytes([ANY, ANY])
    code, = struct.unpack_from(">h", ask(kafka, 31, body), 8)
    assert code == 0, f"error {code} of the broker"


def quota(kafka, bytes_per_second):
    """What each client may write a second; None = as much as it likes."""
    change = ["--add-config", f"producer_byte_rate={bytes_per_second}"] if bytes_per_second else ["--delete-config", "producer_byte_rate"]
    command = kafka.brokers[0].command("kafka.admin.ConfigCommand", "--bootstrap-server", kafka.bootstrap, "--alter",
                                       "--entity-type", "clients", "--entity-default", *change)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def kafka():
    """Everything is allowed until a rule says otherwise; the one nameless user is the tests' own and tailrace's."""
    need_kafka()
    cluster = Kafka(**AUTHORIZER).start()
    yield cluster
    cluster.remove()


@pytest.fixture
def config(source, kafka):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")

    def make(task, **target):
        settings = task_config(source.url, kafka.url, task=task, tables={"include": ["public.%"]})
        settings["target"].update(target)
        return settings | {"retry_max": "2s"}
    return make


@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_a_right_that_is_taken_away_under_way(source, kafka, tailrace, config, exactly_once):
    name = f"acl{exactly_once}"
    task, topic = config(name, exactly_once=exactly_once), f"{name}.public.t"
    source.sql("INSERT INTO t VALUES (1, 'x')")
    drain(tailrace, task)
    tailrace.start("run", config=task)
    tailrace.wait_log("streaming from")
    # A topic with a rule is closed to all whom none allows, so the reader of this test is let in first.
    add_rule(kafka, topic, ALL, ALLOW)
    add_rule(kafka, topic, WRITE, DENY)
    source.sql("INSERT INTO t VALUES (2, 'y')")
    assert tailrace.wait_exit(90) == 1, tailrace.stderr
    assert (f'Failed to add partition "{topic}"' if exactly_once else f"cannot write to topic {topic}") in tailrace.stderr, tailrace.stderr
    assert "authorization failed" in tailrace.stderr and "grant the user Write" in tailrace.stderr, tailrace.stderr
    remove_rules(kafka, topic)
    drain(tailrace, task)  # goes on where it stood
    assert [json.loads(r.key)["id"] for r in kafka.read([topic])] == [1, 2]


@pytest.mark.matrix
def test_a_message_that_is_too_large(source, kafka, tailrace, config):
    """For the topic first, then for the client."""
    task = config("large", topic_config=["max.message.bytes=20000"])
    source.sql("INSERT INTO t VALUES (1, 'small')")
    drain(tailrace, task)
    source.sql("INSERT INTO t VALUES (2, repeat('x', 50000)), (3, 'behind')")
    result = tailrace.run("run", config={**task, "stop": "drained"}, timeout=60)
    assert result.status == 1 and "large.public.t" in result.stderr and "max.message.bytes" in result.stderr, result
    from confluent_kafka.admin import ConfigResource
    admin = kafka.admin()
    for done in admin.alter_configs([ConfigResource("topic", "large.public.t", {"max.message.bytes": "8000000"})]).values():
        done.result(30)
    drain(tailrace, task)
    assert {json.loads(r.key)["id"] for r in kafka.read(["large.public.t"])} == {1, 2, 3}
    source.sql("INSERT INTO t VALUES (4, repeat('x', 2000000))")
    result = tailrace.run("run", config={**task, "stop": "drained"}, timeout=60)
    assert result.status == 1 and "table public.t" in result.stderr and "message.max.bytes" in result.stderr, result
    task["target"]["kafka"] = ["message.max.bytes=8000000"]
    drain(tailrace, task)
    assert 4 in {json.loads(r.key)["id"] for r in kafka.read(["large.public.t"])}


@pytest.mark.matrix
def test_names_that_are_one_to_the_brokers(source, kafka, tailrace, config):
    source.sql('CREATE TABLE a_b (id int PRIMARY KEY); CREATE TABLE "a.b" (id int PRIMARY KEY)')
    source.sql('INSERT INTO a_b VALUES (1); INSERT INTO "a.b" VALUES (2)')
    task = config("one")
    result = tailrace.run("run", config={**task, "stop": "drained"}, timeout=60)
    assert result.status == 2 and "table public.a" in result.stderr and "collides with" in result.stderr and "topic_routes" in result.stderr, result
    task["target"]["topic_routes"] = ["public.a_b=one.other"]
    drain(tailrace, task)
    assert [json.loads(r.key)["id"] for r in kafka.read(["one.other"])] == [1]


@pytest.mark.parametrize("name, value", [("max.in.flight", "100"), ("retries", "0"), ("isolation.level", "x"),
                                         ("sasl.password", "x"), ("partitioner", "random"), ("plugin.library.paths", "/x")])
def test_properties_that_would_break_a_promise(kafka, tailrace, config, name, value):
    result = tailrace.run("run", config={**config("props", kafka=[f"{name}={value}"]), "stop": "drained"}, timeout=60)
    assert result.status == 2, result
    assert f"the property {name} may not be set here: " in result.stderr, result


@pytest.mark.matrix
def test_a_quota_only_slows(source, kafka, tailrace, config):
    """The brokers hold back a client over its quota; the task waits, and all arrives in order."""
    task = config("quota")
    drain(tailrace, task)
    quota(kafka, 200_000)
    try:
        source.sql("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i")
        drain(tailrace, task)
        assert [json.loads(r.key)["id"] for r in kafka.read(["quota.public.t"])] == list(range(1, 1001))
    finally:
        quota(kafka, None)


@pytest.mark.matrix
@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_a_broker_whose_disk_is_full(source, tailrace, config, exactly_once):
    """A broker that cannot write its log ends; the task waits for it, and goes on when there is room again."""
    need_kafka()
    kafka = Kafka().start()
    try:
        task = config(f"full{exactly_once}", url=kafka.url, exactly_once=exactly_once) | {"retry_max": "10min"}
        topic = f"full{exactly_once}.public.t"
        drain(tailrace, task)
        # Indexes have 10 MiB from the beginning; the log comes to it after them.
        pid = kafka.brokers[0].child.popen.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (12 << 20, 12 << 20))
        tailrace.start("run", config=task)
        tailrace.wait_log("streaming from")
        for part in range(10):
            source.sql(f"INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series({part * 2000 + 1}, {part * 2000 + 2000}) i")
        wait_until(lambda: not kafka.brokers[0].child.running(), 120, "the end of the broker")
        tailrace.check_running()
        tailrace.wait_log("have confirmed nothing for .*, what was sent is waited for", timeout=60)
        kafka.up()
        source.sql("INSERT INTO t VALUES (20001, 'last')")
        wait_until(lambda: tailrace.running() and len({r.key for r in kafka.read([topic])}) == 20001, 120, "all rows", interval=1)
        assert tailrace.stop() == 0, tailrace.stderr
        ids = [json.loads(r.key)["id"] for r in kafka.read([topic])]
        assert ids == list(range(1, 20002)) if exactly_once else sorted(set(ids)) == list(range(1, 20002))
    finally:
        kafka.remove()
