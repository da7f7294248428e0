"""Every named step of the MariaDB target kills the process once, in the load and in the stream: nothing lost, nothing doubled."""

import signal

import pytest

from harness.replication import drain

SETUP = ("CREATE TABLE a (id int PRIMARY KEY, k int UNIQUE, v text)", "CREATE TABLE j (n int, what text)",
         "INSERT INTO a SELECT i, i, 'v' FROM generate_series(1, 500) i",
         "INSERT INTO j SELECT i, 'loaded' FROM generate_series(1, 20) i")
CHANGES = ("INSERT INTO a VALUES (1001, 1001, 'new')", "INSERT INTO j VALUES (101, 'one')",
           "UPDATE a SET v = v || '!' WHERE id % 3 = 0",
           "DELETE FROM a WHERE id % 7 = 0", "UPDATE a SET id = id + 5000 WHERE id < 10", "ALTER TABLE a ADD COLUMN extra int",
           "UPDATE a SET extra = id WHERE id > 400", "INSERT INTO j SELECT i, 'many' FROM generate_series(1, 2000) i")


def _config(source, server, name):
    return {"task": name, "mode": "full-load-and-cdc", "source": {"url": source.url}, "target": {"url": server.url(name)},
            "tables": {"include": ["public.%"]}, "state": "./state", "workers": 2}


def _equal(source, server, name):
    for table in ("a", "j"):
        left = sorted(map(repr, source.sql(f"SELECT * FROM {table}")))
        assert left == sorted(map(repr, server.sql(f"SELECT * FROM {table}", database=name))), table


def _dies_once(tailrace, config, name):
    result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": f"{name}:1"}, timeout=60)
    assert result.status in (0, -signal.SIGKILL), result
    return result.status != 0


@pytest.mark.time_limit(300)
def test_each_step_may_be_the_last(source_server, mariadb_server, make_tailrace, tmp_path):
    def fresh(name):
        source = source_server.database()
        mariadb_server.create_database(name)
        for statement in SETUP:
            source.sql(statement)
        return source, _config(source, mariadb_server, name), make_tailrace()

    def changes(source):
        for statement in CHANGES:
            source.sql(statement)

    source, config, tailrace = fresh("k0")
    trace = tmp_path / "names"
    for step in (lambda: None, lambda: changes(source)):
        step()
        traced = {"TR_FAILPOINT_TRACE": str(trace)}
        assert tailrace.run("run", config={**config, "stop": "drained"}, env=traced, timeout=60).status == 0
    _equal(source, mariadb_server, "k0")
    traced = trace.read_text().split() if trace.exists() else []
    names = sorted({name for name in traced if name.startswith("sink.mysql.")})
    if not names:
        pytest.skip("this build has no fail points")
    assert len(names) >= 7, names
    source.drop()
    for number, name in enumerate(names, 1):
        source, config, tailrace = fresh(f"k{number}")
        died = _dies_once(tailrace, config, name)
        drain(tailrace, config)
        changes(source)
        died = _dies_once(tailrace, config, name) or died
        drain(tailrace, config)
        assert died, name
        _equal(source, mariadb_server, f"k{number}")
        source.drop()
    for number in range(len(names) + 1):
        mariadb_server.drop_database(f"k{number}")
    mariadb_server.drop_database("tailrace")


@pytest.mark.parametrize("made_by", ["task", "user"])
def test_tables_change_between_a_load_that_died_and_the_next(source_server, mariadb_server, make_tailrace, made_by):
    """The loaded table gets its column by the stream, the one that was only begun before it is loaded again; one that the user has made stays as it is."""
    source, tailrace = source_server.database(), make_tailrace()
    mariadb_server.create_database("grown")
    for statement in SETUP:
        source.sql(statement)
    config = {**_config(source, mariadb_server, "grown"), "readers": 1}
    result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": "load.finish.after:1"}, timeout=60)
    if result.status == 0:
        pytest.skip("this build has no fail points")
    done = mariadb_server.sql("SELECT done FROM tailrace.table_cut WHERE task = 'grown' ORDER BY done", database="grown")
    assert [int(flag) for flag, in done] == [0, 1]
    for table in ("a", "j"):
        source.sql(f"ALTER TABLE {table} ADD COLUMN extra int")
    source.sql("INSERT INTO a VALUES (1001, 1001, 'new', 1)")
    source.sql("INSERT INTO j VALUES (101, 'one', 1)")
    if made_by == "user":
        begun = mariadb_server.sql("SELECT table_name FROM tailrace.table_cut WHERE task = 'grown' AND done = 0")[0][0].split(".")[1]
        mariadb_server.sql("DELETE FROM tailrace.table_made WHERE task = 'grown'")
        result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
        assert result.status == 1 and f"grown.{begun}: column extra is missing" in result.stderr, result
        mariadb_server.sql(f"ALTER TABLE {begun} ADD COLUMN extra bigint", database="grown")
    drain(tailrace, config)
    _equal(source, mariadb_server, "grown")
    source.drop()
    for name in ("grown", "tailrace"):
        mariadb_server.drop_database(name)


@pytest.mark.matrix
@pytest.mark.parametrize("place", ["sink.mysql.tables.made:2", "load.finish.after:1"])
def test_columns_are_renamed_and_replaced_between_a_load_that_died_and_the_next(source_server, mariadb_server, make_tailrace, place):
    """What the target's tables hold goes before they are loaded: nothing is in doubt there."""
    source, tailrace = source_server.database(), make_tailrace()
    mariadb_server.create_database("renamed")
    for table in "ab":
        source.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, v int NOT NULL, w text)")
        source.sql(f"INSERT INTO {table} VALUES (1, 2, 'w')")
    config = {**_config(source, mariadb_server, "renamed"), "readers": 1}
    result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": place}, timeout=60)
    if result.status == 0:
        pytest.skip("this build has no fail points")
    made = {table for table, in mariadb_server.sql("SELECT table_name FROM tailrace.table_made WHERE task = 'renamed'")}
    loaded = {table for table, in mariadb_server.sql("SELECT table_name FROM tailrace.table_cut WHERE task = 'renamed' AND done")}
    late = min(made - loaded).split(".")[1]
    source.sql(f"ALTER TABLE {late} RENAME COLUMN v TO x")
    source.sql(f"ALTER TABLE {late} DROP COLUMN w")
    source.sql(f"ALTER TABLE {late} ADD COLUMN y timestamptz NOT NULL DEFAULT clock_timestamp()")
    source.sql(f"INSERT INTO {late} VALUES (2, 3, now())")
    drain(tailrace, config)
    source.sql(f"INSERT INTO {late} VALUES (3, 4, now())")
    drain(tailrace, config)
    assert mariadb_server.sql(f"SELECT id, x, y IS NOT NULL FROM {late} ORDER BY id", database="renamed") == [(1, 2, 1), (2, 3, 1), (3, 4, 1)]
    source.drop()
    for name in ("renamed", "tailrace"):
        mariadb_server.drop_database(name)
