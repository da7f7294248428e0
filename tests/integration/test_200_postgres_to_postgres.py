"""A live PostgreSQL database carried to another one: load, stream, stop and go on."""

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until
from harness.workload import Workload


def test_a_loaded_and_followed_database_is_equal(source, target, tailrace):
    load = Workload(source, seed=1, two_phase=True, ddl=False).create_tables()
    load.run(200)
    config = task_config(source.url, target.url)
    tailrace.start("run", config=config)
    load.run(600)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, Workload.tables)
    with target.connect() as connection:
        Workload.check_sum(connection)
        Workload.check_journal(connection)


def test_drained_twice_changes_nothing(source, target, tailrace):
    load = Workload(source, seed=2).create_tables()
    config = task_config(source.url, target.url)
    drain(tailrace, config)
    load.run(100)
    drain(tailrace, config)
    before = target.one("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname = 'wl'")
    drain(tailrace, config)
    assert_equal(source, target, Workload.tables)
    assert target.one("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname = 'wl'") == before


def test_streamed_transactions_and_rolled_back_parts(source, target, tailrace):
    """logical_decoding_work_mem is 64 kB in the harness: 5,000 rows are streamed while the transaction is open."""
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    with source.connect(autocommit=False) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i")
            cursor.execute("SAVEPOINT a")
            cursor.execute("INSERT INTO big SELECT i, 'undone' FROM generate_series(5001, 10000) i")
            cursor.execute("ROLLBACK TO a")
            cursor.execute("UPDATE big SET v = 'changed' WHERE id % 2 = 0")
        connection.commit()
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO big SELECT i, 'never' FROM generate_series(20001, 25000) i")
        connection.rollback()
    drain(tailrace, config)
    assert_equal(source, target, ["public.big"])
    assert target.one("SELECT count(*) FROM big") == 5000


def test_a_lone_commit_arrives_at_once(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    tailrace.start("run", config=task_config(source.url, target.url, tables={"include": ["public.%"]}))
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (1)")
    wait_until(lambda: target.one("SELECT count(*) FROM t") == 1, 10, "the row")
    assert tailrace.stop() == 0


def test_unchanged_toast_stays_as_it_is(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, big text, n int)")
    source.sql("ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL")
    source.sql("INSERT INTO t VALUES (1, repeat('a', 100000), 0)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("UPDATE t SET n = 1")
    source.sql("UPDATE t SET id = 2, n = 2")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_the_idle_slot_advances(source_server, source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    other = source_server.database()
    try:
        tailrace.start("run", config=task_config(source.url, target.url, tables={"include": ["public.%"]}))
        tailrace.wait_log("streaming from")
        before = source.one("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()")
        other.sql("CREATE TABLE busy AS SELECT repeat('x', 1000) v FROM generate_series(1, 40000)")
        wait_until(lambda: source.one("SELECT confirmed_flush_lsn - %s > 10000000 FROM pg_replication_slots"
                                      " WHERE database = current_database()", (before,)), 60, "the slot to move")
        assert tailrace.stop() == 0
    finally:
        other.drop()


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL", "USING INDEX t_code"])
def test_every_replica_identity(source, target, tailrace, identity):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, v text)")
    source.sql("CREATE UNIQUE INDEX t_code ON t (code)")
    source.sql(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t SELECT i, 'c' || i, NULL FROM generate_series(1, 10) i")
    source.sql("UPDATE t SET v = 'x' WHERE id < 5")
    source.sql("UPDATE t SET id = id + 100 WHERE id > 8")
    source.sql("UPDATE t SET code = code || '!' WHERE id = 3")
    source.sql("DELETE FROM t WHERE id IN (1, 7)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_permuted_unique_values_in_one_statement(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    source.sql("INSERT INTO t SELECT i, i FROM generate_series(1, 10) i")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("UPDATE t SET place = 11 - place")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_truncate_hits_exactly_the_listed_tables(source, target, tailrace):
    source.sql("CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); CREATE TABLE c (id int PRIMARY KEY)")
    source.sql("INSERT INTO a DEFAULT VALUES; INSERT INTO b VALUES (1); INSERT INTO c VALUES (1)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("TRUNCATE a, b RESTART IDENTITY")
    source.sql("INSERT INTO a DEFAULT VALUES")
    drain(tailrace, config)
    assert_equal(source, target, ["public.a", "public.b", "public.c"])


def test_columns_added_dropped_renamed_and_widened(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10))")
    source.sql("INSERT INTO t VALUES (1, 1, 'x')")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("ALTER TABLE t ADD COLUMN c text")
    source.sql("INSERT INTO t VALUES (2, 2, 'y', 'new')")
    source.sql("ALTER TABLE t ALTER COLUMN a TYPE bigint, ALTER COLUMN b TYPE varchar(50)")
    source.sql("INSERT INTO t VALUES (3, 5000000000, 'yyyyyyyyyyyyyyyyy', 'z')")
    source.sql("ALTER TABLE t RENAME COLUMN c TO d")
    source.sql("INSERT INTO t VALUES (4, 4, 'q', 'renamed')")
    drain(tailrace, config)
    assert_equal(source, target, ["public.t"])


def test_a_table_that_joins_later_is_loaded_too(source, target, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'old' FROM generate_series(1, 100) i")
    source.sql("INSERT INTO a VALUES (2)")
    drain(tailrace, config)
    source.sql("UPDATE b SET v = 'new' WHERE id < 50; INSERT INTO a VALUES (3)")
    drain(tailrace, config)
    assert_equal(source, target, ["public.a", "public.b"])


def test_cdc_alone_starts_now(source, target, tailrace):
    ddl = "CREATE TABLE t (id int PRIMARY KEY)"
    source.sql(ddl)
    target.sql(ddl)
    source.sql("INSERT INTO t VALUES (1)")
    config = task_config(source.url, target.url, mode="cdc", schema="expect", tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2)")
    drain(tailrace, config)
    assert target.sql("SELECT id FROM t") == [(2,)]


def test_drop_leaves_nothing_behind(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    result = tailrace.run("drop", config=config)
    assert result.status == 0, result
    assert source.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0
    assert source.one("SELECT count(*) FROM pg_publication") == 0
    assert target.one("SELECT to_regclass('tailrace.checkpoint')") is None  # the last task takes the tables with it


@pytest.mark.parametrize("step", ["load.write", "load.finish.after", "load.finish_tables", "pipeline.save.after"])
def test_a_load_alone_is_taken_up_again_after_a_kill(source, target, tailrace, step):
    load = Workload(source, seed=5).create_tables()
    load.run(50)
    config = task_config(source.url, target.url, mode="full-load")
    result = tailrace.run("run", config=config, env={"TR_FAILPOINT": f"{step}:2"})
    assert result.status in (0, -9), result
    result = tailrace.run("run", config=config)
    assert result.status == 0, result
    assert_equal(source, target, Workload.tables)
    assert source.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0
