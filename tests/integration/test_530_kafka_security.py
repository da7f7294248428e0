"""TLS and logins at a real broker: what is right gets in, what is wrong is told apart and ends the task."""

import pytest

from harness.kafka import Kafka, need_kafka
from harness.replication import drain, task_config
from harness.tls import Authority


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def kafka(authority):
    need_kafka()
    cluster = Kafka(certificate=authority.issue("server")).start()
    yield cluster
    cluster.remove()


@pytest.fixture
def config(source, kafka, authority):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1)")

    def make(login="alice:alice-secret@", **target):
        settings = {"url": f"kafka://{login}{kafka.tls_address}", "tls": "on", "tls_ca": str(authority.certificate), **target}
        return task_config(source.url, None, task="shop", tables={"include": ["public.%"]}) | {
            "target": {key: value for key, value in settings.items() if value is not None}, "retry_max": "2s"}
    return make


def refused(tailrace, config, words):
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status == 1, result
    assert words in result.stderr, result
    assert "alice-secret" not in result.stderr
    return result


@pytest.mark.parametrize("exactly_once", [False, True])
def test_the_right_user_gets_in(kafka, tailrace, config, exactly_once):
    task = config(exactly_once=exactly_once, topic_prefix=f"right{exactly_once}")
    drain(tailrace, task)
    assert len(kafka.read([f"right{exactly_once}.public.t"])) == 1


def test_a_wrong_password(tailrace, config):
    refused(tailrace, config(login="alice:wrong@"), "uthentication failed")


def test_an_authority_that_did_not_sign(tailrace, config):
    refused(tailrace, config(tls_ca=str(Authority().certificate)), "certificate verify failed")


def test_no_authority_is_given(tailrace, config):
    refused(tailrace, config(tls_ca=None), "certificate verify failed")


def test_a_certificate_of_another_host(authority, tailrace, config):
    need_kafka()
    other = Kafka(certificate=authority.issue("other", subject="elsewhere.example", hosts=("DNS:elsewhere.example",))).start()
    try:
        task = config(url=f"kafka://alice:alice-secret@{other.tls_address}")
        refused(tailrace, task, "certificate verify failed")
        task["target"]["tls_verify"] = False
        drain(tailrace, task)
    finally:
        other.remove()
