"""The mixed workload carried from PostgreSQL to MariaDB, through kills; equal by content at the end."""

import json
import random
from collections import Counter
from decimal import Decimal

import pytest

from harness.replication import drain, task_config
from harness.wait import wait_until
from harness.workload import Workload


@pytest.fixture
def maria(mariadb_server):
    """The database wl, which the workload's schema becomes."""
    database = mariadb_server.database("wl")
    yield database
    database.drop()
    mariadb_server.sql("DROP DATABASE IF EXISTS tailrace")


def plain(value):
    """What both engines mean by it, in one form."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, (memoryview, bytes, bytearray)):
        return bytes(value)
    if isinstance(value, Decimal):
        return value.normalize()
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    if hasattr(value, "utcoffset") and value.utcoffset() is not None:
        value = value.replace(tzinfo=None) - value.utcoffset()
    return str(value)


def assert_equal(source, maria):
    for table in Workload.tables:
        left = Counter(tuple(map(plain, row)) for row in source.sql(f"SELECT * FROM {table}"))
        right = Counter(tuple(map(plain, row)) for row in maria.sql(f"SELECT * FROM {table}"))
        missing, extra = left - right, right - left
        assert not missing and not extra, f"{table}: missing {list(missing.items())[:3]}, extra {list(extra.items())[:3]}"


def settings(source, maria, **more):
    return task_config(source.url, maria.server.url("wl"), **more)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_loaded_and_followed_database_is_equal(source, maria, tailrace, workers):
    load = Workload(source, seed=workers, ddl=False).create_tables()
    load.run(150)
    config = settings(source, maria, workers=workers)
    tailrace.start("run", config=config)
    load.run(600)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, maria)


@pytest.mark.time_limit(240)
def test_kills_at_any_moment_lose_and_repeat_nothing(source, maria, make_tailrace):
    rng = random.Random(4)
    load = Workload(source, seed=9, clients=3, pause=0.004, ddl=False).create_tables()
    config = settings(source, maria, workers=3)
    tailrace = make_tailrace()
    load.start()
    for _ in range(12):
        tailrace.start("run", config=config)
        before = load.commits
        more = rng.randrange(5, 120)
        wait_until(lambda: load.commits >= before + more, 30, "more commits", give_up=tailrace.check_running)  # noqa: B023
        tailrace.kill9()
    load.stop()
    drain(tailrace, config)
    assert_equal(source, maria)


def test_a_backlog_is_applied_by_all_workers(source, maria, tailrace):
    load = Workload(source, seed=3, clients=4, ddl=False).create_tables()
    config = settings(source, maria)
    drain(tailrace, config)
    load.run(1500)
    drain(tailrace, config)
    assert_equal(source, maria)
