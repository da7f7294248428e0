"""TLS and logins at a real broker: what is right gets in, what is wrong is told apart and ends the task."""

import pytest

from harness.kafka import SCRAM, Kafka, need_kafka
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


CERTIFICATE = ("certificate verify failed", "see tls_ca: ", "tls: off for brokers without TLS")
LOGIN = ("uthentication failed", "see user and password in the target's url, and sasl_mechanism")


def refused(tailrace, config, *words):
    """The task ends, and says why and what to do; no secret is in its words."""
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status == 1, result
    for word in words:
        assert word in result.stderr, result
    assert "-secret" not in result.stderr
    return result


@pytest.mark.parametrize("exactly_once", [False, True])
def test_the_right_user_gets_in(kafka, tailrace, config, exactly_once):
    task = config(exactly_once=exactly_once, topic_prefix=f"right{exactly_once}")
    drain(tailrace, task)
    assert len(kafka.read([f"right{exactly_once}.public.t"])) == 1


def test_a_wrong_password(tailrace, config):
    refused(tailrace, config(login="alice:wrong-secret@"), *LOGIN)


def test_an_unknown_user(tailrace, config):
    refused(tailrace, config(login="mallory:alice-secret@"), *LOGIN)


def test_no_user(tailrace, config):
    refused(tailrace, config(login=""), "whether it wants a login (user and password")


def test_tls_spoken_to_a_listener_without(kafka, tailrace, config):
    refused(tailrace, config(url=f"kafka://{kafka.bootstrap}"), "tls: off")


def test_no_tls_spoken_to_a_listener_with(tailrace, config):
    refused(tailrace, config(tls="off"), "see tls: on or off")


# librdkafka of Debian 12 fails at SCRAM with brokers of version 4: it says so, and does it with older ones.
@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram(kafka, tailrace, config, mechanism):
    import confluent_kafka
    task = config(sasl_mechanism=mechanism)
    if confluent_kafka.libversion()[1] >= 0x02060100:
        drain(tailrace, task)
    else:
        refused(tailrace, task, *LOGIN, "cannot log in by SCRAM to brokers of version 4: 2.6.1 can, and so can PLAIN over TLS")


@pytest.mark.matrix
@pytest.mark.parametrize("exactly_once", [False, True])
def test_scram_with_a_broker_of_version_3(authority, tailrace, config, exactly_once):
    older = Kafka(certificate=authority.issue("server"), version="3.9.2").start()
    try:
        for mechanism in SCRAM:
            options = {"sasl_mechanism": mechanism, "exactly_once": exactly_once, "topic_prefix": mechanism.lower()}
            task = config(url=f"kafka://alice:alice-secret@{older.tls_address}", **options) | {"task": mechanism.lower()}
            drain(tailrace, task)
            assert len(older.read([f"{mechanism.lower()}.public.t"])) == 1
            task["target"]["url"] = f"kafka://alice:wrong-secret@{older.tls_address}"
            refused(tailrace, task, *LOGIN)
    finally:
        older.remove()


TOKEN = ["enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal=alice"]


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_login_by_token(kafka, tailrace, config, exactly_once):
    task = config(login="", sasl_mechanism="OAUTHBEARER", kafka=TOKEN, exactly_once=exactly_once) | {"task": f"token{exactly_once}"}
    drain(tailrace, task)
    assert len(kafka.read([f"token{exactly_once}.public.t"])) == 1


def test_a_login_without_a_token(tailrace, config):
    result = tailrace.run("run", config=config(login="", sasl_mechanism="OAUTHBEARER"), timeout=60)
    assert result.status == 2 and "OAUTHBEARER has no source of tokens" in result.stderr, result
    assert "sasl.oauthbearer.method=oidc" in result.stderr, result


def test_an_authority_that_did_not_sign(tailrace, config):
    refused(tailrace, config(tls_ca=str(Authority().certificate)), *CERTIFICATE)


def test_no_authority_is_given(tailrace, config):
    refused(tailrace, config(tls_ca=None), *CERTIFICATE)


def test_a_certificate_of_another_host(authority, tailrace, config):
    need_kafka()
    other = Kafka(certificate=authority.issue("other", subject="elsewhere.example", hosts=("DNS:elsewhere.example",))).start()
    try:
        task = config(url=f"kafka://alice:alice-secret@{other.tls_address}")
        refused(tailrace, task, *CERTIFICATE)
        task["target"]["tls_verify"] = False
        drain(tailrace, task)
    finally:
        other.remove()
