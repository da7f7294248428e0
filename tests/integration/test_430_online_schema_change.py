"""Tables that are altered online: by a shadow table and a swap of names, as pt-osc and gh-ost do it, or in place."""

import pytest

from harness import matrix
from harness.replication import drain, rows_after, rows_of, task_config, task_events
from harness.wait import wait_until

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


@pytest.fixture(scope="module", params=["mariadb10.11", pytest.param("mysql9", marks=pytest.mark.matrix)])
def server(request):
    if request.param == "mariadb10.11":
        yield request.getfixturevalue("mariadb_server")
        return
    with matrix.mysql("9", options=FAST) as started:
        yield started


@pytest.fixture(scope="module")
def twin(server):
    """Another server of the same kind, as the target."""
    with type(server)(options=FAST, bin_dir=server.bin_dir, name="target") as started:
        yield started


@pytest.fixture(params=["FULL", "MINIMAL"])
def shop(server, request):
    before = server.sql("SELECT @@global.binlog_row_metadata")[0][0]
    server.sql(f"SET GLOBAL binlog_row_metadata = '{request.param}'")
    database = server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20), n int NOT NULL DEFAULT 0)")
    database.sql("INSERT INTO t (v, n) VALUES ('a', 1), ('b', 2), ('c', 3)")
    yield database
    database.drop()
    server.sql(f"SET GLOBAL binlog_row_metadata = '{before}'")


def pt_osc(database, alter, meanwhile, triggers=True):
    """Shadow table, triggers, copy, swap, drop: what pt-online-schema-change sends."""
    database.sql("CREATE TABLE _t_new LIKE t")
    database.sql(f"ALTER TABLE _t_new {alter}")
    if triggers:
        database.sql("CREATE TRIGGER pt_osc_ins AFTER INSERT ON t FOR EACH ROW REPLACE INTO _t_new (id, v, n) VALUES (NEW.id, NEW.v, NEW.n)")
        database.sql("CREATE TRIGGER pt_osc_upd AFTER UPDATE ON t FOR EACH ROW BEGIN DELETE IGNORE FROM _t_new WHERE id = OLD.id AND"
                     " NOT (OLD.id <=> NEW.id); REPLACE INTO _t_new (id, v, n) VALUES (NEW.id, NEW.v, NEW.n); END")
        database.sql("CREATE TRIGGER pt_osc_del AFTER DELETE ON t FOR EACH ROW DELETE IGNORE FROM _t_new WHERE id = OLD.id")
    meanwhile(0)
    database.sql("INSERT LOW_PRIORITY IGNORE INTO _t_new (id, v, n) SELECT id, v, n FROM t LOCK IN SHARE MODE")
    meanwhile(1)
    database.sql("RENAME TABLE t TO _t_old, _t_new TO t")
    meanwhile(2)
    database.sql("DROP TABLE IF EXISTS _t_old")
    if triggers:
        for trigger in ("pt_osc_ins", "pt_osc_upd", "pt_osc_del"):
            database.sql(f"DROP TRIGGER IF EXISTS {trigger}")


def gh_ost(database, alter, meanwhile):
    """Shadow table and changelog, copy, changes from the log, the lock that two connections hold over the swap."""
    database.sql("CREATE TABLE _t_ghc (id bigint AUTO_INCREMENT PRIMARY KEY, hint varchar(64), value varchar(4096), UNIQUE KEY (hint))")
    database.sql("INSERT INTO _t_ghc (hint, value) VALUES ('state', 'GhostTableMigrated')")
    database.sql("CREATE TABLE _t_gho LIKE t")
    database.sql(f"ALTER TABLE _t_gho {alter}")
    database.sql("CREATE TABLE _t_del (id int PRIMARY KEY) COMMENT='ghost-cut-over-sentry'")
    meanwhile(0)
    database.sql("INSERT IGNORE INTO _t_gho (id, v, n) SELECT id, v, n FROM t LOCK IN SHARE MODE")
    meanwhile(1)
    database.sql("REPLACE INTO _t_gho (id, v, n) SELECT id, v, n FROM t")  # what it reads from the log
    database.sql("DELETE FROM _t_gho WHERE id NOT IN (SELECT id FROM t)")
    database.sql("INSERT INTO _t_ghc (hint, value) VALUES ('throttle', 'x') ON DUPLICATE KEY UPDATE value = 'y'")
    database.sql("DROP TABLE _t_del")
    database.sql("RENAME TABLE t TO _t_del, _t_gho TO t")
    meanwhile(2)
    database.sql("DROP TABLE _t_ghc")
    database.sql("DROP TABLE _t_del")


def in_place(database, alter, meanwhile):
    meanwhile(0)
    database.sql(f"ALTER TABLE t {alter}, ALGORITHM=INSTANT")
    meanwhile(1)
    meanwhile(2)


WAYS = {"pt-osc": pt_osc, "gh-ost": gh_ost, "instant": in_place}


def changes_of(database):
    """Some of everything at each step; the rows of the last step have the new shape."""
    def run(step):
        database.sql("INSERT INTO t (v, n) VALUES (%s, %s)", (f"step {step}", 10 * step))
        database.sql("UPDATE t SET v = %s WHERE id = 1", (f"changed {step}",))
        database.sql("UPDATE t SET id = id + %s WHERE n = %s", (1000 * (step + 1), step + 2))
    return run


ALTER = "ADD COLUMN extra int NOT NULL DEFAULT 7"


def config_for(database, tailrace, **options):
    config = task_config(database.url, f"file://{tailrace.dir}/out", tables={"include": [f"{database.name}.t"]}, **options)
    config["target"]["skipped_operations"] = "none"
    return config


def check_events(database, tailrace, steps=3):
    """All of the table's changes, each with the columns it had, and none of another table."""
    events = [e for e in task_events(tailrace.dir / "out") if e["op"] != "r"]
    assert {e["source"]["table"] for e in events} == {"t"}
    shapes = [tuple(e["after"]) for e in events if e["after"]]
    old, new = ("id", "v", "n"), ("id", "v", "n", "extra")
    behind = shapes.index(new)
    assert set(shapes[:behind]) == {old} and set(shapes[behind:]) == {new}, shapes
    names = [e["after"]["v"] for e in events if e["after"]]
    for step in range(steps):
        assert f"step {step}" in names and f"changed {step}" in names
    rows = rows_after([{**e, "after": {**{"extra": 7}, **e["after"]} if e["after"] else None,
                        "before": {**{"extra": 7}, **e["before"]} if e["before"] else None} for e in task_events(tailrace.dir / "out")],
                      "t", new)
    with database.connect() as connection:
        assert rows == rows_of(connection, "t", new)


@pytest.mark.parametrize("way", list(WAYS))
def test_a_running_task_goes_over_to_the_new_shape(shop, tailrace, way):
    """Rows from before the swap and behind it, whether the log names columns or not."""
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    change = changes_of(shop)

    def seen(step):
        change(step)
        wait_until(lambda: any(e["op"] == "u" and e["after"]["v"] == f"changed {step}" for e in task_events(tailrace.dir / "out")), 60,
                   lambda: f"step {step} to arrive:\n{tailrace.stderr}", give_up=tailrace.check_running)

    WAYS[way](shop, ALTER, seen)
    shop.sql("UPDATE t SET extra = 8 WHERE id = 1")
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    check_events(shop, tailrace)


@pytest.mark.parametrize("way", list(WAYS))
def test_altered_while_the_task_stood_still(server, shop, tailrace, way):
    """The log tells each row's shape where it names the columns. Where it does not, only the shape of now is known: refused, not guessed."""
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    WAYS[way](shop, ALTER, changes_of(shop))
    shop.sql("UPDATE t SET extra = 8 WHERE id = 1")
    if server.sql("SELECT @@global.binlog_row_metadata")[0][0] == "FULL":
        drain(tailrace, config)
        check_events(shop, tailrace)
        return
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1 and "binlog_row_metadata" in result.stderr and "tailrace reload" in result.stderr, result
    assert [e for e in task_events(tailrace.dir / "out") if e["op"] != "r"] == []


@pytest.mark.parametrize("way", ["pt-osc", "gh-ost"])
def test_copies_are_left_out_of_a_task_that_takes_every_table(shop, tailrace, way):
    """Also of a load that runs into it; a table of such a name without another one beside it is a table like any other."""
    shop.sql("CREATE TABLE _mine_new (id int PRIMARY KEY)")
    shop.sql("CREATE TABLE __t_old LIKE t")
    shop.sql("INSERT INTO __t_old SELECT * FROM t")
    config = {**config_for(shop, tailrace), "tables": {"include": [f"{shop.name}.%"]}}
    drain(tailrace, config)
    shop.sql("INSERT INTO _mine_new VALUES (1)")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    change = changes_of(shop)

    def seen(step):
        change(step)
        wait_until(lambda: any(e["op"] == "u" and e["after"]["v"] == f"changed {step}" for e in task_events(tailrace.dir / "out")), 60,
                   lambda: f"step {step} to arrive:\n{tailrace.stderr}", give_up=tailrace.check_running)

    WAYS[way](shop, ALTER, seen)
    assert tailrace.stop() == 0, tailrace.stderr
    assert "gives to its copy" in tailrace.stderr and "shadow_tables: carry" in tailrace.stderr
    assert {e["source"]["table"] for e in task_events(tailrace.dir / "out")} == {"t", "_mine_new"}
    config["source"]["shadow_tables"] = "carry"
    # taken in now, it is loaded first
    shop.sql("INSERT INTO __t_old VALUES (77, 'an ordinary one', 0)")
    drain(tailrace, config)
    assert [e["after"]["id"] for e in task_events(tailrace.dir / "out") if e["source"]["table"] == "__t_old"] == [1, 2, 3, 77]


def test_two_tables_change_their_names_with_each_other(shop, tailrace):
    """Names are what counts: after the swap, rows come under the name that their table has now."""
    shop.sql("CREATE TABLE u (id int PRIMARY KEY, w varchar(20) CHARACTER SET latin1)")
    config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")

    def put(*statements):
        count = len(task_events(tailrace.dir / "out"))
        for statement in statements:
            shop.sql(statement)
        wait_until(lambda: len(task_events(tailrace.dir / "out")) == count + len(statements), 60, lambda: tailrace.stderr,
                   give_up=tailrace.check_running)

    put("INSERT INTO t VALUES (10, 'a', 1)", "INSERT INTO u VALUES (20, 'é')")
    shop.sql("RENAME TABLE t TO x, u TO t, x TO u")
    put("INSERT INTO t VALUES (21, 'è')", "INSERT INTO u VALUES (11, 'b', 2)", "DELETE FROM u WHERE id = 10")
    assert tailrace.stop() == 0, tailrace.stderr
    events = [(e["op"], e["source"]["table"], e["after"] or e["before"]) for e in task_events(tailrace.dir / "out") if e["op"] != "r"]
    assert events == [("c", "t", {"id": 10, "v": "a", "n": 1}), ("c", "u", {"id": 20, "w": "é"}), ("c", "t", {"id": 21, "w": "è"}),
                      ("c", "u", {"id": 11, "v": "b", "n": 2}), ("d", "u", {"id": 10, "v": "a", "n": 1})]


def test_a_column_is_put_in_the_middle_at_once(server, shop, tailrace):
    """ALGORITHM=INSTANT leaves old rows as they are on disk; the log has them in the new shape."""
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    shop.sql("UPDATE t SET n = 5 WHERE id = 1")
    wait_until(lambda: any(e["op"] == "u" for e in task_events(tailrace.dir / "out")), 60, "the first change")
    shop.sql("ALTER TABLE t ADD COLUMN middle varchar(10) DEFAULT 'new' AFTER id, ALGORITHM=INSTANT")
    shop.sql("UPDATE t SET v = 'x' WHERE id = 2")
    wait_until(lambda: len([e for e in task_events(tailrace.dir / "out") if e["op"] == "u"]) == 2, 60, lambda: tailrace.stderr)
    shop.sql("ALTER TABLE t DROP COLUMN n, ALGORITHM=INSTANT")
    shop.sql("UPDATE t SET v = 'y' WHERE id = 3")
    wait_until(lambda: len([e for e in task_events(tailrace.dir / "out") if e["op"] == "u"]) == 3, 60, lambda: tailrace.stderr)
    assert tailrace.stop() == 0, tailrace.stderr
    changed = [(e["before"], e["after"]) for e in task_events(tailrace.dir / "out") if e["op"] == "u"]
    assert changed == [({"id": 1, "v": "a", "n": 1}, {"id": 1, "v": "a", "n": 5}),
                       ({"id": 2, "middle": "new", "v": "b", "n": 2}, {"id": 2, "middle": "new", "v": "x", "n": 2}),
                       ({"id": 3, "middle": "new", "v": "c"}, {"id": 3, "middle": "new", "v": "y"})]


def index_columns(server, database):
    """What the indexes of t hold, whatever their names are."""
    return server.sql("SELECT non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics WHERE table_schema = %s"
                      " AND table_name = 't' GROUP BY index_name, non_unique ORDER BY 1, 2", (database.name,))


@pytest.fixture
def twins(server, shop, tailrace, twin):
    """The source's database and the same on a target of the same engine; a function that loads or drains."""
    if server.sql("SELECT @@global.binlog_row_metadata")[0][0] != "FULL":
        pytest.skip("the target has nothing to do with it")
    config = task_config(shop.url, twin.url(), tables={"include": [f"{shop.name}.%"]})
    yield config
    twin.drop_database("tailrace")
    twin.drop_database(shop.name)


def check_twins(server, shop, twin):
    query = "SELECT * FROM {}t ORDER BY id"
    assert twin.sql(query.format(shop.name + ".")) == shop.sql(query.format(""))
    assert index_columns(server, shop) == index_columns(twin, shop)
    assert [name for (name,) in twin.sql(f"SHOW TABLES FROM {shop.name}")] == ["t"]


@pytest.mark.parametrize("way, running", [("pt-osc", True), ("gh-ost", False)])
def test_a_target_of_the_same_engine_keeps_its_rows(server, shop, tailrace, twin, twins, way, running):
    """The copy's statements are left out with its rows: the target's table is never exchanged for an empty one, and is altered as the copy was, at the exchange."""
    shop.sql("ALTER TABLE t ADD INDEX gone (n), ADD UNIQUE one (id, n), ADD UNIQUE single (v)")
    alter = ALTER + ", MODIFY n bigint NOT NULL DEFAULT 3, ADD INDEX `by``v` (v), ADD UNIQUE (extra, id), DROP INDEX gone, DROP INDEX single, RENAME INDEX one TO two"
    drain(tailrace, twins)
    if running:
        tailrace.start("run", config=twins)
        tailrace.wait_log("streaming from")
    WAYS[way](shop, alter, changes_of(shop))
    shop.sql("INSERT INTO t (v, n) VALUES ('large', 5000000000), ('large', 7)")
    shop.sql("UPDATE t SET extra = 8 WHERE id = 1")
    said = ""
    if running:
        wait_until(lambda: twin.sql(f"SELECT count(*) FROM {shop.name}.t WHERE v = 'large'") == [(2,)], 60, lambda: tailrace.stderr,
                   give_up=tailrace.check_running)
        assert tailrace.stop() == 0, tailrace.stderr
        said = tailrace.stderr
    said += drain(tailrace, twins).stderr
    check_twins(server, shop, twin)
    assert "exchanged for a copy" not in said
    assert [name for _, _, name, *_ in twin.sql(f"SHOW INDEX FROM {shop.name}.t") if name == "two"] == ["two", "two"]


@pytest.mark.matrix
def test_a_copy_that_was_altered_before_the_load(server, shop, tailrace, twin, twins):
    """Its statement is in no stream: which indexes differ is said, with what mends them."""
    shop.sql("ALTER TABLE t ADD INDEX gone (n), ADD UNIQUE one (id, n)")
    shop.sql("CREATE TABLE _t_gho LIKE t")
    shop.sql(f"ALTER TABLE _t_gho {ALTER}, ADD INDEX `by``v` (v), DROP INDEX gone, RENAME INDEX one TO two")
    drain(tailrace, twins)
    tailrace.start("run", config=twins)
    tailrace.wait_log("streaming from")
    shop.sql("INSERT INTO _t_gho (id, v, n) SELECT id, v, n FROM t")
    shop.sql("RENAME TABLE t TO _t_del, _t_gho TO t")
    shop.sql("INSERT INTO t (v) VALUES ('behind')")
    tailrace.wait_log("exchanged for a copy")
    assert tailrace.stop() == 0, tailrace.stderr
    said = tailrace.stderr + drain(tailrace, twins).stderr
    mend = said[said.index("exchanged for a copy"):].split("columns are there: ")[1].split("; leave out")[0]
    assert "two" not in mend, "the same under another name"
    twin.sql(mend)
    check_twins(server, shop, twin)


@pytest.mark.matrix
def test_a_key_that_rows_stand_against_is_said(server, shop, tailrace, twin, twins):
    """A tool copies with INSERT IGNORE and REPLACE: rows that the new key refuses are lost at the source, of which nothing is in the log."""
    drain(tailrace, twins)
    shop.sql("INSERT INTO t (id, v) VALUES (10, 'twice'), (11, 'twice')")
    gh_ost(shop, f"{ALTER}, ADD UNIQUE once (v)", lambda _: None)
    shop.sql("INSERT INTO t (id, v) VALUES (12, 'behind')")
    said = drain(tailrace, twins).stderr
    assert "exchanged for a copy" in said and "ADD UNIQUE once" in said and "Duplicate entry" in said, said
    assert shop.sql("SELECT count(*) FROM t") == [(5,)]
    assert twin.sql(f"SELECT id, extra FROM {shop.name}.t WHERE id > 9 ORDER BY id") == [(10, 7), (11, 7), (12, 7)]
    twin.sql(f"DELETE FROM {shop.name}.t WHERE id = 10")
    twin.sql(f"ALTER TABLE {shop.name}.t ADD UNIQUE once (v)")
    check_twins(server, shop, twin)


@pytest.mark.matrix
@pytest.mark.parametrize("alter", ["ADD COLUMN seen datetime DEFAULT CURRENT_TIMESTAMP, ADD INDEX (n)", "DROP COLUMN n, ADD COLUMN n bigint NOT NULL DEFAULT 9"])
def test_values_that_only_the_copying_gave(server, shop, tailrace, twin, twins, alter):
    """Run on the table itself the statement would give the rows other ones: the column is refused, or keeps what it holds."""
    drain(tailrace, twins)
    shop.sql("CREATE TABLE _t_new LIKE t")
    shop.sql(f"ALTER TABLE _t_new {alter}")
    shop.sql("INSERT INTO _t_new (id, v, n) SELECT id, v, n FROM t")
    shop.sql("RENAME TABLE t TO _t_old, _t_new TO t")
    shop.sql("INSERT INTO t (id, v) VALUES (50, 'behind')")
    result = tailrace.run("run", "--stop", "drained", config=twins, timeout=100)
    if "seen" in alter:
        assert result.status == 1 and 'a new column "seen"' in result.stderr, result
        assert len(twin.sql(f"SELECT * FROM {shop.name}.t")[0]) == 3
    else:
        assert result.status == 0, result
        check_twins(server, shop, twin)


@pytest.mark.matrix
def test_killed_at_the_exchange(server, shop, tailrace, twin, twins):
    """Two statements of one copy, each run once: the second one of the same words would fail."""
    shop.sql("ALTER TABLE t ADD UNIQUE single (v)")
    drain(tailrace, twins)
    shop.sql("CREATE TABLE /* pt */ _t_new LIKE t")
    shop.sql(f"ALTER /* pt */ TABLE `_t_new` {ALTER}, ADD INDEX first (n)")
    shop.sql("ALTER TABLE _t_new CHANGE COLUMN n m int NOT NULL DEFAULT 5, DROP INDEX single")
    shop.sql("INSERT INTO _t_new (id, v, m) SELECT id, v, n FROM t")
    shop.sql("RENAME TABLE t TO _t_old, _t_new TO t")
    shop.sql("INSERT INTO t (v) VALUES ('a'), ('a')")
    for _ in range(2):
        killed = tailrace.run("run", "--stop", "drained", config=twins, env={"TR_FAILPOINT": "sink.mysql.ddl.after:1"}, timeout=100)
        if killed.status == 0:
            pytest.skip("the program under test has no fail points (make FAILPOINTS=1)")
    drain(tailrace, twins)
    check_twins(server, shop, twin)
    assert twin.sql("SELECT copy, clauses FROM tailrace.copy_statement") == []


@pytest.mark.matrix
def test_a_copys_statement_is_run_as_in_its_session(server, shop, tailrace, twin, twins):
    """A TIMESTAMP of few words is what it was there; what an older version of the task kept has no such settings."""
    drain(tailrace, twins)
    twin.sql("CREATE TABLE tailrace.copy_statement (number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, task VARCHAR(128) NOT NULL, copy VARCHAR(130) NOT NULL,"
             " clauses LONGTEXT NOT NULL, began_us BIGINT NOT NULL, sql_mode BIGINT NOT NULL, time_zone VARCHAR(64), utc_offset VARCHAR(8), KEY (task, copy))")
    pt_osc(shop, "ADD COLUMN at timestamp", lambda _: None)
    drain(tailrace, twins)
    check_twins(server, shop, twin)


@pytest.mark.matrix
def test_columns_of_a_copy_are_known_at_the_exchange(server, shop, tailrace, twin):
    """What the copy's statement said counts, though the task ended in between, and the catalogue has another default and another name by now."""
    if server.sql("SELECT @@global.binlog_row_metadata")[0][0] != "FULL":
        pytest.skip("the target has nothing to do with it")
    config = task_config(shop.url, twin.url(), tables={"include": [f"{shop.name}.%"]})
    try:
        drain(tailrace, config)
        shop.sql("CREATE TABLE _t_new LIKE t")
        shop.sql("ALTER TABLE _t_new ADD COLUMN wrong int DEFAULT 1, ADD COLUMN extra datetime(3) DEFAULT '2024-01-01 00:00:00'")
        shop.sql("ALTER TABLE _t_new DROP COLUMN wrong, ADD COLUMN plain double")
        drain(tailrace, config)
        shop.sql("INSERT INTO _t_new (id, v, n) SELECT id, v, n FROM t")
        shop.sql("RENAME TABLE t TO _t_old, _t_new TO t")
        shop.sql("INSERT INTO t (v) VALUES ('behind')")
        shop.sql("ALTER TABLE t ALTER COLUMN extra SET DEFAULT '2030-01-01 00:00:00'")
        shop.sql("ALTER TABLE t RENAME COLUMN extra TO more, DROP COLUMN plain")
        shop.sql("INSERT INTO t (v) VALUES ('last')")
        drain(tailrace, config)
        query = "SELECT id, v, n, more FROM {}t ORDER BY id"
        assert twin.sql(query.format(shop.name + ".")) == shop.sql(query.format(""))
        assert twin.sql("SELECT copy, name FROM tailrace.copy_column") == []
    finally:
        twin.drop_database("tailrace")
        twin.drop_database(shop.name)


@pytest.mark.matrix
@pytest.mark.parametrize("way", ["rotated", "back", "load.finish.before"])
def test_a_table_is_renamed_while_the_task_stands_still(server, shop, tailrace, twin, way):
    """At the next start it is loaded under its new name, perhaps not to the end, and the log has its renaming still."""
    if server.sql("SELECT @@global.binlog_row_metadata")[0][0] != "FULL":
        pytest.skip("the target has nothing to do with it")
    config = task_config(shop.url, twin.url(), tables={"include": [f"{shop.name}.%"]})
    try:
        drain(tailrace, config)
        shop.sql("RENAME TABLE t TO away")
        shop.sql("INSERT INTO away (v) VALUES ('under the new name')")
        if way == "rotated":
            shop.sql("CREATE TABLE t LIKE away")
            shop.sql("INSERT INTO t (v) VALUES ('of another table')")
        elif way == "back":
            drain(tailrace, config)
            shop.sql("INSERT INTO away (v) VALUES ('by the stream')")
        else:
            tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": f"{way}:1"})
        if way != "rotated":
            shop.sql("RENAME TABLE away TO t")
        shop.sql("INSERT INTO t (v) VALUES ('last')")
        drain(tailrace, config)
        tables = [name for (name,) in shop.sql("SHOW TABLES")]
        assert [name for (name,) in twin.sql(f"SHOW TABLES FROM {shop.name}")] == tables
        for table in tables:
            assert twin.sql(f"SELECT * FROM {shop.name}.{table} ORDER BY id") == shop.sql(f"SELECT * FROM {table} ORDER BY id")
    finally:
        twin.drop_database("tailrace")
        twin.drop_database(shop.name)
