"""What stands beside the log: sequences, foreign keys between tables of different cuts, tables that join or are loaded again."""

import threading

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]})


def _value(database, sequence):
    return database.one(f"SELECT last_value FROM {sequence}")


def test_sequences_stand_at_the_sources_values_when_drained(source, target, tailrace, config):
    source.sql("CREATE SEQUENCE free; CREATE TABLE s (id serial PRIMARY KEY, v int DEFAULT nextval('free'));"
               "CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int);"
               "CREATE SEQUENCE down INCREMENT -1; CREATE TABLE d (id int DEFAULT nextval('down') PRIMARY KEY)")
    drain(tailrace, config)
    source.sql("INSERT INTO s (v) SELECT nextval('free') FROM generate_series(1, 100)")
    source.sql("INSERT INTO i (v) SELECT g FROM generate_series(1, 50) g")
    source.sql("INSERT INTO d DEFAULT VALUES; INSERT INTO d DEFAULT VALUES")
    drain(tailrace, config)
    for sequence in ("free", "s_id_seq", "i_id_seq", "down"):
        assert _value(target, sequence) == _value(source, sequence), sequence
    assert target.one("INSERT INTO i (v) VALUES (0) RETURNING id") == 51
    assert target.one("INSERT INTO d DEFAULT VALUES RETURNING id") == -3


def test_a_sequence_that_stands_right_is_left_alone(source, target, tailrace, config):
    """setval empties what a sequence has written ahead to its log: so it shows."""
    source.sql("CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id serial PRIMARY KEY); INSERT INTO a DEFAULT VALUES; INSERT INTO b DEFAULT VALUES")
    drain(tailrace, config)
    for database in (source, target):
        assert database.one("SELECT nextval('a_id_seq')") == 2
    source.sql("SELECT nextval('b_id_seq')")
    ahead = target.one("SELECT log_cnt FROM a_id_seq")
    assert ahead > 0
    drain(tailrace, config)
    assert target.sql("SELECT last_value, log_cnt FROM a_id_seq") == [(2, ahead)]
    assert _value(target, "b_id_seq") == 2


def test_sequences_follow_while_streaming_and_never_go_back(source, target, tailrace, config):
    source.sql("CREATE TABLE s (id serial PRIMARY KEY); CREATE TABLE other (id serial PRIMARY KEY)")
    tailrace.start("run", config={**config, "sequences": "1s"})
    tailrace.wait_log("streaming from")
    target.sql("SELECT setval('other_id_seq', 1000)")
    source.sql("INSERT INTO s SELECT nextval('s_id_seq') FROM generate_series(1, 30)")
    source.sql("INSERT INTO other SELECT nextval('other_id_seq') FROM generate_series(1, 7)")
    wait_until(lambda: _value(target, "s_id_seq") == 30, 30, "the target's sequence to follow")
    assert _value(target, "other_id_seq") == 1000
    assert tailrace.stop() == 0


KEYS = "SELECT convalidated FROM pg_constraint WHERE conname = 'child_parent_fkey'"


@pytest.mark.parametrize("stop", ["drained", "never"])
def test_foreign_keys_of_different_cuts_are_checked_in_the_end(source, target, tailrace, config, stop):
    source.sql("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);")
    tables = {"include": ["public.parent"]}
    drain(tailrace, {**config, "tables": tables})
    source.sql("INSERT INTO parent VALUES (2)")  # the stream has this row yet to bring when the child is loaded
    source.sql("CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent); INSERT INTO child VALUES (1, 1), (2, 2)")
    tailrace.start("run", config={**config, "stop": stop})
    wait_until(lambda: target.one("SELECT count(*) FROM pg_constraint WHERE conname = 'child_parent_fkey'") > 0 and target.one(KEYS), 60,
               "the foreign key to be checked")
    assert (tailrace.stop() if stop == "never" else tailrace.wait_exit(60)) == 0, tailrace.stderr
    assert_equal(source, target, ["public.parent", "public.child"])


def _write(source, stop):
    """Transfers between two old tables and a new one, on a connection of its own, until told to stop."""
    connection = source.connect()
    n = 100000
    with connection.cursor() as cursor:
        while not stop.is_set():
            n += 1
            cursor.execute("INSERT INTO old VALUES (%s, 'w')", (n,))
            cursor.execute("UPDATE old SET v = v || 'x' WHERE id = %s", (n % 1000 + 1,))
            cursor.execute("UPDATE joined SET v = v || 'y' WHERE id = %s", (n % 1000 + 1,))
            cursor.execute("INSERT INTO joined VALUES (%s, 'w')", (n,))
    connection.close()


def _under_load(source, body):
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(source, stop))
    writer.start()
    try:
        body()
    finally:
        stop.set()
        writer.join()


def test_a_table_joins_while_the_stream_runs(source, target, tailrace, config):
    source.sql("CREATE TABLE old (id int PRIMARY KEY, v text); INSERT INTO old SELECT g, 'a' FROM generate_series(1, 1000) g")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    source.sql("CREATE TABLE joined (id int PRIMARY KEY, v text); INSERT INTO joined SELECT g, 'a' FROM generate_series(1, 1000) g")
    _under_load(source, lambda: tailrace.wait_log("1 tables join the stream", timeout=60))
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, ["public.old", "public.joined"])


@pytest.mark.parametrize("running", [True, False])
def test_a_table_is_loaded_again_on_request(source, target, make_tailrace, config, running):
    tailrace = make_tailrace()
    source.sql("CREATE TABLE old (id int PRIMARY KEY, v text); CREATE TABLE joined (id int PRIMARY KEY, v text);"
               "INSERT INTO old SELECT g, 'a' FROM generate_series(1, 1000) g; INSERT INTO joined SELECT * FROM old")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    if not running:
        assert tailrace.stop() == 0
    target.sql("UPDATE joined SET v = 'wrong'" if running else "DELETE FROM joined WHERE id <= 500")
    order = make_tailrace()
    done = order.run("reload", "--table", "public.join%", "--state", str(tailrace.dir / "state"), config=config)
    assert done.status == 0, done

    def body():
        if not running:
            tailrace.start("run", config=config)
        tailrace.wait_log("1 tables join the stream", timeout=60)

    _under_load(source, body)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, ["public.old", "public.joined"])


def test_an_order_for_no_table_is_refused(source, target, tailrace, config):
    source.sql("CREATE TABLE old (id int PRIMARY KEY)")
    drain(tailrace, config)
    assert tailrace.run("reload", "--table", "public.nothing", config=config).status == 2
    assert 'no table of the task is called "public.nothing"' in tailrace.stderr
    assert tailrace.run("reload", config=config).status == 2


def test_the_whole_task_begins_anew_after_its_slot_was_lost(source, target, tailrace, config):
    source.sql("CREATE TABLE old (id int PRIMARY KEY, v text); INSERT INTO old VALUES (1, 'a')")
    drain(tailrace, config)
    source.sql("SELECT pg_drop_replication_slot('tailrace_test')")
    source.sql("UPDATE old SET v = 'unseen'; INSERT INTO old VALUES (2, 'b')")
    assert tailrace.run("run", config={**config, "stop": "drained"}).status == 1
    assert tailrace.run("reload", "--all", config=config).status == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, ["public.old"])


@pytest.mark.matrix
@pytest.mark.parametrize("step", ["pipeline.save.before", "pipeline.save.after"])
def test_an_order_for_the_whole_task_may_be_killed_while_it_is_taken(source, target, tailrace, config, step):
    source.sql("CREATE TABLE old (id int PRIMARY KEY, v text); INSERT INTO old VALUES (1, 'a')")
    drain(tailrace, config)
    source.sql("SELECT pg_drop_replication_slot('tailrace_test'); SELECT pg_create_physical_replication_slot('tailrace_test')")
    source.sql("UPDATE old SET v = 'unseen'; INSERT INTO old VALUES (2, 'b')")
    assert tailrace.run("reload", "--all", config=config).status == 0, tailrace.stderr
    tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": f"{step}:1"})
    drain(tailrace, config)
    assert_equal(source, target, ["public.old"])


@pytest.mark.slow
@pytest.mark.parametrize("step", ["upkeep.join.prepared", "load.beside.begun", "upkeep.join.loaded", "upkeep.take_over", "pipeline.save.before"])
def test_a_join_may_be_killed_at_each_step(source, target, tailrace, config, step):
    source.sql("CREATE TABLE old (id int PRIMARY KEY, v text); INSERT INTO old SELECT g, 'a' FROM generate_series(1, 1000) g")
    drain(tailrace, config)
    source.sql("CREATE TABLE joined (id int PRIMARY KEY, v text); INSERT INTO joined SELECT g, 'a' FROM generate_series(1, 1000) g")
    tailrace.crash_allowed = True

    def body():
        tailrace.start("run", config=config, env={"TR_FAILPOINT": step})
        assert tailrace.wait_exit(60) != 0
        tailrace.start("run", config=config)
        tailrace.wait_log("tables join the stream", timeout=60)

    _under_load(source, body)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, ["public.old", "public.joined"])
