"""Where a task begins and ends, and what it does when the source is slow, gone, or another one."""

import contextlib
import time

import psycopg2
import psycopg2.extras
import pytest

from harness import matrix
from harness.proxy import Proxy
from harness.replication import assert_equal, drain, task_config
from harness.servers import Standby
from harness.wait import wait_until


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]})


def _stop_in_time(tailrace):
    began = time.monotonic()
    tailrace.term()
    assert tailrace.wait_exit(20) == 0, tailrace.stderr
    assert time.monotonic() - began < 5, tailrace.stderr


def test_a_stop_does_not_wait_for_the_slot(source, target, tailrace, config):
    """Making a slot waits for every transaction that is open; the stop does not."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    open_one = source.connect(autocommit=False)
    with open_one.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
    tailrace.start("run", config=config)
    wait_until(lambda: source.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%' AND wait_event_type = 'Lock'") > 0, 30,
               "the slot's making to wait")
    _stop_in_time(tailrace)
    wait_until(lambda: source.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0, 20, "the half-made slot to go")
    open_one.commit()
    open_one.close()
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


@pytest.mark.parametrize("when", ["connecting", "making the slot", "streaming", "asking"])
def test_a_stop_does_not_wait_for_a_silent_source(source_server, source, target, tailrace, config, when):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n serial); INSERT INTO t VALUES (1)")
    open_one = source.connect(autocommit=False)
    with Proxy(source_server.port) as proxy:
        config = {**config, "sequences": "1s", "source": {"url": source.url.replace(f":{source_server.port}/", f":{proxy.port}/")}}
        if when == "connecting":
            proxy.stall()
        elif when == "making the slot":
            with open_one.cursor() as cursor:
                cursor.execute("INSERT INTO t VALUES (2)")
        tailrace.start("run", config=config)
        if when == "connecting":
            wait_until(lambda: proxy.connections > 0, 30, "the first connection")
        elif when == "making the slot":
            wait_until(lambda: source.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%' AND wait_event_type = 'Lock'") > 0, 30,
                       "the slot's making to wait")
            proxy.stall()
        elif when == "asking":
            tailrace.wait_log("streaming from")
            source.sql("SELECT setval('t_n_seq', 77)")
            wait_until(lambda: target.one("SELECT last_value FROM t_n_seq") == 77, 30, "the sequence")
            proxy.stall()
            wait_until(lambda: proxy.held > 0, 30, "a question to a source that is silent")
        else:
            tailrace.wait_log("streaming from")
            proxy.stall()
            source.sql("INSERT INTO t VALUES (2)")
        _stop_in_time(tailrace)
        proxy.resume()
        if when == "making the slot":
            wait_until(lambda: source.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0, 20, "the half-made slot to go")
        open_one.commit()
        open_one.close()
        drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_source_that_comes_back_is_met_at_once(make_postgres, target, tailrace):
    server = make_postgres(name="back")
    source = server.database()
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    server.restart()
    source.sql("INSERT INTO t VALUES (1)")
    wait_until(lambda: target.one("SELECT count(*) FROM t") == 1, 30, "the first change after the restart")
    assert tailrace.stop() == 0, tailrace.stderr


@contextlib.contextmanager
def _exported(source, slot):
    """A slot, and the snapshot that its making exported: for as long as the connection does nothing else."""
    connection = psycopg2.connect(source.url, connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cursor = connection.cursor()
    cursor.execute(f"CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput EXPORT_SNAPSHOT")
    try:
        yield cursor.fetchone()[2]
    finally:
        connection.close()
        source.sql(f"SELECT pg_drop_replication_slot('{slot}')")


def test_a_start_at_an_exported_snapshot(source, target, tailrace, config):
    for database in (source, target):
        database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    config = {**config, "mode": "cdc", "schema": "expect", "source": {"url": source.url, "slot": "given", "create_slot": False}, "stop": "drained"}
    source.sql("CREATE PUBLICATION tailrace_test FOR TABLE t")
    config["source"]["create_publication"] = False
    with _exported(source, "given") as snapshot:
        source.sql("INSERT INTO t VALUES (2)")
        gone = tailrace.run("run", config={**config, "start": "snapshot:00000003-00000001-9"})
        assert gone.status == 1 and 'no exported snapshot "00000003-00000001-9"' in gone.stderr, gone
        ordinary = source.connect(autocommit=False)
        with ordinary.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            foreign = tailrace.run("run", config={**config, "start": f"snapshot:{cursor.fetchone()[0]}"})
        ordinary.close()
        assert foreign.status == 1 and "was exported by an ordinary session" in foreign.stderr, foreign
        done = tailrace.run("run", config={**config, "start": f"snapshot:{snapshot}"})
        assert done.status == 0, done
        assert_equal(source, target, ["public.t"])


def test_a_stop_at_a_time_comes_on_an_idle_source_too(source, target, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2)")
    then = source.one("SELECT extract(epoch FROM clock_timestamp())::text")
    done = tailrace.run("run", config={**config, "stop": f"time:{then}", "source": {"url": source.url, "status_interval": "1s"}}, timeout=60)
    assert done.status == 0, done
    assert_equal(source, target, ["public.t"])


def test_a_stop_at_a_time_leaves_out_what_came_after(source, target, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2)")
    then = source.one("SELECT extract(epoch FROM clock_timestamp())::text")
    source.sql("INSERT INTO t VALUES (3)")
    assert tailrace.run("run", config={**config, "stop": f"time:{then}"}).status == 0, tailrace.stderr
    assert target.sql("SELECT id FROM t ORDER BY 1") == [(1,), (2,)]
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_retained_log_is_warned_about(source, target, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    tailrace.start("run", config={**config, "retain_warning": "4MiB", "memory": "16MiB"})
    tailrace.wait_log("streaming from")
    holder = target.connect(autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN EXCLUSIVE MODE")
    source.sql("INSERT INTO t SELECT g, repeat(md5(g::text), 100) FROM generate_series(1, 4000) g")
    source.sql("INSERT INTO t SELECT g, md5(g::text) FROM generate_series(4001, 80000) g")
    tailrace.wait_log("warning.*the source retains [0-9]+ MiB of log for this task", timeout=60)
    holder.close()
    assert tailrace.stop() == 0, tailrace.stderr


def test_a_slot_that_outlived_its_log_is_refused(make_postgres, target, tailrace):
    server = make_postgres(name="small", max_slot_wal_keep_size="1MB", max_wal_size="32MB", min_wal_size="32MB")
    source = server.database()
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 60000) g")
    source.sql("SELECT pg_switch_wal()")
    source.sql("CHECKPOINT")
    wait_until(lambda: source.one("SELECT wal_status FROM pg_replication_slots") == "lost", 30, "the slot to be lost")
    checked = tailrace.run("check", config=config)
    assert checked.status == 3 and "was invalidated by the server (lost)" in checked.stdout, checked
    refused = tailrace.run("run", config={**config, "stop": "drained"})
    assert refused.status == 1 and "was invalidated by the server (lost)" in refused.stderr and "tailrace reload --all" in refused.stderr, refused
    assert target.one("SELECT count(*) FROM t") == 0
    assert tailrace.run("reload", "--all", config=config).status == 0
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def _moved(config, old, new):
    """The task pointed to another server, as a name or an address that moves with a failover does."""
    return {**config, "source": {"url": config["source"]["url"].replace(f":{old.port}/", f":{new.port}/")}}


@pytest.fixture
def make_standby():
    made = []

    def make(primary, **options):
        made.append(Standby(primary, **options))
        return made[-1].start()

    yield make
    for standby in made:
        standby.remove()


def test_a_promoted_standby_without_the_slot_is_refused(make_postgres, make_standby, target, tailrace):
    server = make_postgres(name="old")
    source = server.database()
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (1)")
    standby = make_standby(server)
    server.kill9()
    standby.promote()
    moved = _moved(config, server, standby)
    refused = tailrace.run("run", config={**moved, "stop": "drained"})
    assert refused.status == 1 and "does not exist at the source" in refused.stderr and "promoted standby" in refused.stderr, refused
    assert tailrace.run("reload", "--all", config=moved).status == 0
    drain(tailrace, moved)
    assert target.sql("SELECT id FROM t") == [(1,)]


@pytest.mark.slow
def test_a_standby_that_lacks_what_the_target_has_is_refused(make_postgres, make_standby, target, tailrace):
    server = make_postgres(name="ahead")
    source = server.database()
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    standby = make_standby(server)
    standby.stop()
    source.sql("INSERT INTO t VALUES (1)")
    drain(tailrace, config)
    server.kill9()
    standby.start()
    standby.promote()
    refused = tailrace.run("run", config={**_moved(config, server, standby), "stop": "drained"})
    assert refused.status == 1 and "where the source left timeline 1" in refused.stderr, refused
    assert target.sql("SELECT id FROM t") == [(1,)]


@pytest.mark.matrix
@pytest.mark.parametrize("major", [17, 18])
def test_a_failover_slot_survives_the_failover(make_standby, target, tailrace, major):
    with matrix.postgres(major, name="primary", options={"hot_standby_feedback": "on"}) as server:
        source = server.database()
        source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
        server.sql("SELECT pg_create_physical_replication_slot('standby')")
        config = task_config(source.url, target.url, tables={"include": ["public.%"]})
        drain(tailrace, config)
        standby = make_standby(server, primary_slot_name="standby", sync_replication_slots="on")
        source.sql("INSERT INTO t VALUES (2)")
        drain(tailrace, config)
        wait_until(lambda: standby.sql("SELECT count(*) FROM pg_replication_slots WHERE synced AND NOT temporary") == [(1,)], 120, "the slot at the standby",)
        end = source.one("SELECT pg_current_wal_flush_lsn()::text")
        wait_until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= %s", (end,)) == [(True,)], 60, "the standby to replay")
        server.kill9()
        standby.promote()
        standby.sql("INSERT INTO t VALUES (3)", database=source.name)
        drain(tailrace, _moved(config, server, standby))
        assert target.sql("SELECT id FROM t ORDER BY 1") == [(1,), (2,), (3,)]


def test_drained_does_not_wait_for_the_servers_next_flush(source, target, tailrace, config):
    """What a rolled back transaction left at the log's end is flushed by nobody for up to 15 seconds; a number taken from the source has it flushed."""
    drain(tailrace, config)
    taken = "SELECT txid_snapshot_xmax(txid_current_snapshot())"
    before = source.one(taken)
    for _ in range(5):  # the server may have flushed by chance
        with source.connect(autocommit=False) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_logical_emit_message(false, 'unflushed', 'x')")
            connection.rollback()
        drain(tailrace, config)
        if source.one(taken) > before:
            return
    raise AssertionError("no number was taken")
