"""A full load is killed half-way, the source changes its table, and the task starts again: what it had made of the table is not kept."""

import signal

import pytest

from harness.replication import drain, task_config

COLUMNS = ("SELECT column_name, column_type, is_nullable, column_default FROM information_schema.columns"
           " WHERE table_schema = '{0}' AND table_name = '{1}' ORDER BY ordinal_position")
SHAPE = "(id int PRIMARY KEY, x int NOT NULL, y varchar(20), c int, gone int, CONSTRAINT x_{0} CHECK (x < 1000))"
ROWS = [(i, i, f"y{i}", i * 10, 7) for i in range(1, 6)]
CHANGES = ("ALTER TABLE {0} RENAME COLUMN id TO number", "ALTER TABLE {0} MODIFY x int NULL", "ALTER TABLE {0} RENAME COLUMN y TO c, RENAME COLUMN c TO y",
           "ALTER TABLE {0} DROP COLUMN gone", "ALTER TABLE {0} ADD COLUMN fresh int NOT NULL DEFAULT 3", "INSERT INTO {0} VALUES (10, NULL, 'new', 100, 4)")
PG_CHANGES = ("ALTER TABLE {0} RENAME COLUMN id TO number", "ALTER TABLE {0} ALTER x DROP NOT NULL", "ALTER TABLE {0} RENAME COLUMN y TO z",
              "ALTER TABLE {0} RENAME COLUMN c TO y", "ALTER TABLE {0} RENAME COLUMN z TO c", "ALTER TABLE {0} DROP COLUMN gone",
              "ALTER TABLE {0} ADD COLUMN fresh int NOT NULL DEFAULT 3", "INSERT INTO {0} VALUES (10, NULL, 'new', 100, 4)")


def die(tailrace, config, where):
    result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": where}, timeout=60)
    if result.status == 0:
        pytest.skip("this build has no fail points")
    assert result.status == -signal.SIGKILL, result


def rows(server, table):
    return sorted(map(repr, server.sql(f"SELECT number, x, y, c, fresh FROM {table}")))


@pytest.mark.parametrize("source_engine, engine", [("mariadb", "mariadb"), ("postgresql", "mariadb"), pytest.param("mysql", "mysql", marks=pytest.mark.matrix),
                                                   pytest.param("mysql", "mariadb", marks=pytest.mark.matrix)])
@pytest.mark.parametrize("where", ["load.finish.after:1", "sink.mysql.tables.made:2"])
def test_a_table_whose_load_was_cut_short_is_made_anew(engine_servers, tailrace, source_engine, engine, where):
    """Of two tables the one has been loaded, or none; what the stream then says of the other it says of the old one."""
    source, target = engine_servers(source_engine, "source"), engine_servers(engine, "target")
    shop = source.database()
    schema = "public" if source_engine == "postgresql" else shop.name
    try:
        target.create_database(shop.name)
        for table in "ab":
            shop.sql(f"CREATE TABLE {table} {SHAPE.format(table)}")
            shop.sql(f"INSERT INTO {table} VALUES {', '.join(map(str, ROWS))}")
        config = task_config(shop.url, target.url(shop.name), tables={"include": [f"{schema}.%"]}, readers=1)
        die(tailrace, config, where)
        done = [name.split(".")[1] for name, in target.sql("SELECT table_name FROM tailrace.table_cut WHERE done")]
        assert len(done) == (1 if where.startswith("load") else 0)
        begun = "b" if done == ["a"] else "a"
        for statement in PG_CHANGES if schema == "public" else CHANGES:
            shop.sql(statement.format(begun))
        drain(tailrace, config)
        shop.sql(f"ALTER TABLE {begun} ADD COLUMN gone int DEFAULT 5")
        shop.sql(f"UPDATE {begun} SET x = 77 WHERE number = 2")
        drain(tailrace, config)
        here = f"{shop.name}.{begun}"
        assert rows(target, here) == rows(shop, begun)
        assert target.sql(f"SELECT DISTINCT gone FROM {here}") == [(5,)]
        columns = target.sql(COLUMNS.format(shop.name, begun))
        assert [column[0] for column in columns] == (["number", "x", "c", "y", "fresh", "gone"])
        if source_engine == engine:
            assert columns == shop.sql(COLUMNS.format(shop.name, begun))
        made = target.sql(f"SHOW CREATE TABLE {here}")[0][1]
        assert f"x_{begun}" in made, made
        assert target.sql("SELECT * FROM tailrace.table_fresh WHERE table_name NOT LIKE '%.a' AND table_name NOT LIKE '%.b'") == []
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


@pytest.mark.parametrize("whose", ["the user's in our place", "ours, altered", "ours, with another's row", "ours, referred to", "ours, loaded once", "of an older state"])
def test_a_table_that_is_not_ours_alone_is_never_made_anew(engine_servers, tailrace, whose):
    """It gets the new column, or is refused; what the user has done to it stays."""
    source, target = engine_servers("mariadb", "source"), engine_servers("mariadb", "target")
    shop = source.database()
    try:
        target.create_database(shop.name)
        shop.sql("CREATE TABLE t (id int PRIMARY KEY, v int)")
        shop.sql("INSERT INTO t VALUES (1, 1)")
        config = task_config(shop.url, target.url(), tables={"include": [f"{shop.name}.%"]})
        if whose == "ours, loaded once":
            drain(tailrace, config)
            target.sql(f"ALTER TABLE {shop.name}.t ADD INDEX mine (v)")
            assert tailrace.run("reload", "--all", config=config).status == 0
        before = whose == "ours, with another's row"  # which may only be where the load was not begun
        if before:
            shop.sql("CREATE TABLE u (id int PRIMARY KEY)")
        die(tailrace, config, "sink.mysql.tables.made:2" if before else "load.write:1")
        kept = "mine"
        if whose == "the user's in our place":
            target.sql(f"DROP TABLE {shop.name}.t")
            target.sql(f"CREATE TABLE {shop.name}.t (id int PRIMARY KEY, v int) COMMENT 'mine'")
        elif whose == "ours, altered":
            target.sql(f"ALTER TABLE {shop.name}.t ADD COLUMN mine int")
        elif whose == "ours, referred to":
            target.sql(f"CREATE TABLE {shop.name}.child (t int, FOREIGN KEY (t) REFERENCES t (id))")
            kept = "extra"
        elif before:
            target.sql(f"INSERT INTO {shop.name}.t VALUES (7, 7)")
        elif whose == "of an older state":
            target.sql("DROP TABLE tailrace.table_fresh")
            kept = "extra"
        shop.sql("ALTER TABLE t ADD COLUMN extra int, ADD COLUMN more int")
        if whose == "ours, loaded once":
            shop.sql("ALTER TABLE t MODIFY v bigint")
        if before:
            result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
            assert result.status == 1 and "already hold" in result.stderr, result
            assert target.sql(f"SELECT id, v FROM {shop.name}.t") == [(7, 7)]
            return
        drain(tailrace, config)
        assert target.sql(f"SELECT id, v, extra FROM {shop.name}.t") == [(1, 1, None)]
        assert kept in target.sql(f"SHOW CREATE TABLE {shop.name}.t")[0][1]
        assert "is made anew" not in tailrace.stderr
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


@pytest.mark.parametrize("engine", ["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def test_a_text_that_is_to_have_an_index_keeps_its_length(engine_servers, tailrace, engine):
    """PostgreSQL's text of a unique key is made short enough for one: also where the load is killed before that key is made."""
    source, target = engine_servers("postgresql", "source"), engine_servers(engine, "target")
    shop = source.database()
    try:
        target.create_database(shop.name)
        shop.sql("CREATE TABLE a (id int PRIMARY KEY, code text NOT NULL UNIQUE)")
        shop.sql("INSERT INTO a SELECT n, 'code ' || n FROM generate_series(1, 9) n")
        config = task_config(shop.url, target.url(shop.name), tables={"include": ["public.a"]})
        die(tailrace, config, "load.write:1")
        drain(tailrace, config)
        (kind,), = target.sql(f"SELECT data_type FROM information_schema.columns WHERE table_schema = '{shop.name}' AND column_name = 'code'")
        assert kind == "varchar"
        assert target.sql(f"SELECT count(*) FROM {shop.name}.a") == [(9,)]
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)
