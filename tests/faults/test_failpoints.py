"""Every named step of a small workload kills the process once, some twice in a row: nothing lost, nothing doubled.

The names are not listed here: a first run traces them (TR_FAILPOINT_TRACE).
"""

import json
import signal

import pytest

from harness.replication import assert_equal, drain, task_config

TABLES = ["public.parent", "public.child", "public.journal", "public.big"]

SCHEMA = """
CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE, v text);
CREATE TABLE child (id int PRIMARY KEY, parent_id int NOT NULL REFERENCES parent);
CREATE TABLE journal (n int, what text);
CREATE TABLE big (id int PRIMARY KEY, v text);
INSERT INTO parent SELECT i, 'c' || i, 'v' FROM generate_series(1, 50) i;
INSERT INTO child SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO journal SELECT i, 'loaded' FROM generate_series(1, 20) i;
"""

CHANGES = """
INSERT INTO parent VALUES (101, 'c101', 'new'); INSERT INTO child VALUES (101, 101); INSERT INTO journal VALUES (101, 'one');
BEGIN; UPDATE parent SET id = 102 WHERE id = 50 AND NOT EXISTS (SELECT FROM child WHERE parent_id = 50); INSERT INTO journal VALUES (102, 'two'); COMMIT;
BEGIN; SAVEPOINT a; INSERT INTO journal VALUES (0, 'never'); ROLLBACK TO a; INSERT INTO journal VALUES (103, 'three'); COMMIT;
BEGIN; INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 1500) i; INSERT INTO journal VALUES (104, 'four'); COMMIT;
DELETE FROM child WHERE id < 10;
ALTER TABLE parent ADD COLUMN extra int;
UPDATE parent SET v = 'changed', extra = id WHERE id < 20;
"""


def _changes(source):
    for statement in CHANGES.strip().splitlines():
        source.sql(statement)


def _names(path):
    return sorted(set(path.read_text().split())) if path.exists() else []


def _prepare(source, tailrace, config):
    """The database loaded, and changes waiting in the log."""
    source.sql(SCHEMA)
    drain(tailrace, config)
    _changes(source)


def _run_to_the_end(tailrace, config, failpoint, hits):
    """Runs with the fail point as often as told, then without it, until the work is done. How often was it hit?"""
    died = 0
    for _ in range(hits):
        result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": failpoint}, timeout=60)
        assert result.status in (0, -signal.SIGKILL), result
        died += result.status == -signal.SIGKILL
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status == 0, f"after {failpoint}, hit {died} times: {result}"
    return died


def _reset(source_server, target_server):
    return source_server.database(), target_server.database()


@pytest.mark.time_limit(600)
@pytest.mark.parametrize("hits", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_step_of_the_stream_may_be_the_last(source_server, target_server, make_tailrace, tmp_path, hits):
    """Twice in a row at every step; in the quick run once at every second step."""
    trace = tmp_path / "names"
    source, target = _reset(source_server, target_server)
    tailrace = make_tailrace()
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    _prepare(source, tailrace, config)
    tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT_TRACE": str(trace)})
    names = _names(trace)[::1 if hits == 2 else 2]
    source.drop(), target.drop()
    assert len(names) >= 5, f"the trace holds {names}"
    killed = 0
    for number, name in enumerate(names):
        source, target = _reset(source_server, target_server)
        tailrace = make_tailrace()
        config = task_config(source.url, target.url, tables={"include": ["public.%"]})
        _prepare(source, tailrace, config)
        killed += _run_to_the_end(tailrace, config, f"{name}:{1 + number % 2}", hits) > 0
        assert_equal(source, target, TABLES)
        source.drop(), target.drop()
    assert killed >= len(names) // 2, f"only {killed} of {len(names)} fail points were hit"


@pytest.mark.slow
@pytest.mark.time_limit(600)
def test_each_step_of_the_load_may_be_the_last(source_server, target_server, make_tailrace, tmp_path):
    trace = tmp_path / "names"
    source, target = _reset(source_server, target_server)
    source.sql(SCHEMA)
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    make_tailrace().run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT_TRACE": str(trace)})
    source.drop(), target.drop()
    names = _names(trace)
    killed = 0
    for name in names:
        source, target = _reset(source_server, target_server)
        source.sql(SCHEMA)
        tailrace = make_tailrace()
        config = task_config(source.url, target.url, tables={"include": ["public.%"]})
        killed += _run_to_the_end(tailrace, config, f"{name}:1", 1)
        _changes(source)
        drain(tailrace, config)
        assert_equal(source, target, TABLES)
        source.drop(), target.drop()
    assert killed >= len(names) // 2, f"only {killed} of {len(names)} fail points were hit"


def _die_in_the_load(source, target, tailrace, config, failpoint):
    """Dies in the load. Which tables are loaded, which begun?"""
    result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": failpoint}, timeout=60)
    assert result.status == -signal.SIGKILL, result
    cuts = target.sql("SELECT table_name, done FROM tailrace.table_cut ORDER BY table_name")
    return [name for name, done in cuts if done], [name for name, done in cuts if not done]


def test_tables_change_between_a_load_that_died_and_the_next(source, target, tailrace):
    """The loaded table gets its columns by the stream; the one that was only begun is made anew as it is now."""
    source.sql("CREATE TABLE a (id serial PRIMARY KEY, v int); INSERT INTO a (v) SELECT i FROM generate_series(1, 5000) i;"
               "CREATE TABLE b (id serial PRIMARY KEY, v int, w int NOT NULL DEFAULT 7); INSERT INTO b (v) VALUES (1), (2);"
               "CREATE TABLE p (id int PRIMARY KEY, v int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
               "INSERT INTO p VALUES (1, 1)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]}, readers=1)
    done, begun = _die_in_the_load(source, target, tailrace, config, "load.finish.after:1")
    assert done == ["public.a"] and begun == ["public.b", "public.p"]
    source.sql("ALTER TABLE a ADD COLUMN extra int; INSERT INTO a (v, extra) VALUES (0, 1); UPDATE a SET extra = id WHERE id < 9;"
               "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE b ADD COLUMN extra mood NOT NULL DEFAULT 'bad', ADD COLUMN at timestamptz"
               " NOT NULL DEFAULT clock_timestamp(), ALTER COLUMN w DROP DEFAULT, ALTER COLUMN w TYPE text, ADD COLUMN n serial;"
               "INSERT INTO b (v, w) VALUES (3, 'x'); ALTER TABLE p ADD COLUMN extra int; UPDATE p SET extra = 5")
    again, _ = _die_in_the_load(source, target, tailrace, config, "load.finish.after:1")  # made anew, it is still ours
    assert len(again) == 2
    source.sql("ALTER TABLE a ADD COLUMN more int DEFAULT 1; ALTER TABLE b ADD COLUMN more int DEFAULT 2; ALTER TABLE p ADD COLUMN more int DEFAULT 3;"
               "INSERT INTO a (v) VALUES (1); INSERT INTO b (w) VALUES ('y'); UPDATE p SET v = 2")
    drain(tailrace, config)
    source.sql("INSERT INTO a (extra) VALUES (2); INSERT INTO b (w) VALUES ('z'); UPDATE p SET v = 3")
    drain(tailrace, config)
    assert_equal(source, target, ["public.a", "public.b", "public.p"])
    assert target.one("SELECT count(*) FROM tailrace.relation_shape WHERE shape ? 'made' AND table_name <> 'public.p1'") == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_changes_before_its_load_is_begun(source, target, tailrace, rows):
    """Made, but not yet begun: made anew as long as nobody has put rows into it."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    assert _die_in_the_load(source, target, tailrace, config, "sink.postgres.tables.made:1") == ([], [])
    source.sql("ALTER TABLE t ADD COLUMN extra int DEFAULT 4")
    if rows:
        target.sql("INSERT INTO t VALUES (7, 7)")
        result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
        assert result.status != 0 and "public.t: column extra is missing" in result.stderr, result
    else:
        drain(tailrace, config)
        assert_equal(source, target, ["public.t"])


@pytest.mark.parametrize("whose", ["the user's", "the user's in our place", "ours, and referred to", "ours, loaded once"])
def test_a_table_that_is_not_ours_alone_is_never_made_anew(source, target, tailrace, whose):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    made = "CREATE TABLE t (id int PRIMARY KEY, v int); COMMENT ON TABLE t IS 'mine'"
    if whose == "the user's":
        target.sql(made)
    if whose == "ours, loaded once":
        drain(tailrace, config)
        assert tailrace.run("reload", "--all", config=config).status == 0
    _, begun = _die_in_the_load(source, target, tailrace, config, "load.write:1")
    assert begun == ["public.t"]
    if whose == "the user's in our place":
        target.sql("DROP TABLE t; " + made)
    if whose == "ours, and referred to":
        target.sql("CREATE VIEW seen AS SELECT * FROM t")
    oid = target.one("SELECT 't'::regclass::oid")
    source.sql("ALTER TABLE t ADD COLUMN extra int")
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
    assert result.status != 0 and "public.t: column extra is missing" in result.stderr, result
    assert target.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'extra'") == 0
    target.sql("ALTER TABLE t ADD COLUMN extra int")
    drain(tailrace, config)
    assert target.one("SELECT 't'::regclass::oid") == oid
    assert_equal(source, target, ["public.t"])


@pytest.mark.slow
@pytest.mark.time_limit(600)
def test_each_step_of_the_file_sink_may_be_the_last(source_server, make_tailrace, tmp_path):
    """The file is exactly once: every change stands in it once, in order, whatever step was the last."""
    trace = tmp_path / "names"

    def one_run(failpoint, hits):
        source = source_server.database()
        source.sql(SCHEMA)
        tailrace = make_tailrace()
        config = task_config(source.url, f"file://{tailrace.dir}/out", tables={"include": ["public.%"]})
        if failpoint is None:
            drain(tailrace, config)
            _changes(source)
            result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT_TRACE": str(trace)})
            assert result.status == 0, result
        else:
            _run_to_the_end(tailrace, config, failpoint, hits)
            _changes(source)
            _run_to_the_end(tailrace, config, failpoint, hits)
        lines = [json.loads(line) for path in sorted((tailrace.dir / "out").glob("*.jsonl")) for line in open(path, encoding="utf-8")]
        journal = [line["value"]["after"]["n"] for line in lines
                   if line["topic"].endswith(".journal") and line["value"] is not None and line["value"]["after"]]
        assert sorted(journal) == sorted([*range(1, 21), 101, 102, 103, 104]), journal
        assert [n for n in journal if n > 100] == [101, 102, 103, 104]
        source.drop()

    one_run(None, 0)
    for name in _names(trace):
        one_run(f"{name}:1", 1)
