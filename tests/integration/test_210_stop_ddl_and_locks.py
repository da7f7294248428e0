"""SIGTERM ends the task within five seconds whatever the target is doing, and the next start goes on as if nothing had been."""

import contextlib
import os
import signal
import time

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until

WITHIN = 5.0
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tailrace%%' AND wait_event_type = 'Lock' AND query LIKE %s"
LEFT = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tailrace%' AND datname = current_database()"


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]})


@contextlib.contextmanager
def _held(target, statement):
    """A stranger's transaction at the target."""
    connection = target.connect(autocommit=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        yield
    finally:
        connection.rollback()
        connection.close()


def _stop_in_time(tailrace):
    began = time.monotonic()
    tailrace.term()
    status = tailrace.wait_exit(20)
    took = time.monotonic() - began
    assert status == 0, tailrace.stderr
    assert took < WITHIN, f"it took {took:.1f} s\n{tailrace.stderr}"


def _stopped_while_waiting(source, target, tailrace, config, hold, changes, query):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    with _held(target, hold):
        for change in changes:
            source.sql(change)
        wait_until(lambda: target.one(WAITING, (query,)) > 0, 20, "the task to wait for the lock")
        _stop_in_time(tailrace)
        wait_until(lambda: target.one(LEFT) == 0, 10, "the task's connections to go")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_while_rows_wait_for_a_lock(source, target, tailrace, config):
    _stopped_while_waiting(source, target, tailrace, config, "LOCK TABLE t IN EXCLUSIVE MODE", ["INSERT INTO t VALUES (2, 'b')"], "%unnest%")


def test_while_a_change_of_shape_waits_for_a_lock(source, target, tailrace, config):
    _stopped_while_waiting(source, target, tailrace, config, "SELECT * FROM t",
                           ["INSERT INTO t VALUES (2, 'b')", "ALTER TABLE t RENAME v TO w", "INSERT INTO t VALUES (3, 'c')"], "ALTER TABLE%")


def test_while_changes_go_one_by_one(source, target, tailrace, config):
    """A conflict sends the group through change by change; one of them meets a lock."""
    target.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (2, 'in the way')")
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    config = {**config, "mode": "cdc", "schema": "expect", "on_conflict": "overwrite"}
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    with _held(target, "INSERT INTO t VALUES (3, 'not yet known')"):
        source.sql("INSERT INTO t VALUES (2, 'b'), (3, 'c')")
        wait_until(lambda: target.one(WAITING, ("%unnest%",)) > 0, 20, "the task to wait for the lock")
        _stop_in_time(tailrace)
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


@pytest.mark.matrix
def test_while_the_queue_is_full(source, target, tailrace, config):
    changes = [f"INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series({n}, {n + 999}) i" for n in range(10, 40010, 1000)]
    _stopped_while_waiting(source, target, tailrace, {**config, "memory": "16MiB"}, "LOCK TABLE t IN EXCLUSIVE MODE", changes, "%t%")


@pytest.mark.parametrize("at_work", [False, True])
def test_while_the_target_is_silent(source, make_postgres, tailrace, config, at_work):
    """Neither an answer nor a closed connection: every process of the server is stopped."""
    server = make_postgres(name="silent")
    target = server.database()
    config = {**config, "target": {"url": target.url}}
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    if at_work:
        source.sql("UPDATE t SET v = 'b'")
        wait_until(lambda: target.one("SELECT v FROM t") == "b", 20, "the first change")
    pids = [pid for (pid,) in target.sql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
    pids.append(int((server.data / "postmaster.pid").read_text().split()[0]))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        source.sql("INSERT INTO t SELECT i, 'b' FROM generate_series(2, 5000) i")
        end = source.one("SELECT pg_current_wal_lsn()")
        wait_until(lambda: source.one("SELECT sent_lsn >= %s FROM pg_stat_replication WHERE application_name LIKE 'tailrace%%'", (end,)), 20, "the rows to be sent")
        tailrace.check_running()
        _stop_in_time(tailrace)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])
