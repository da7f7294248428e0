"""What a MariaDB server logs although it was rolled back, what it does not log although it was done, and labels that an enum gained."""

import pytest

from harness.replication import drain, task_config

ACTIONS_FIRE = """DO $$ DECLARE x record; BEGIN
    FOR x IN SELECT g.tgrelid::regclass AS parent, g.tgname FROM pg_trigger g JOIN pg_constraint f ON f.oid = g.tgconstraint
             WHERE f.contype = 'f' AND g.tgfoid::regproc::text ~ 'RI_FKey_(cascade|setnull)_' LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', x.parent, x.tgname);
    END LOOP; END $$"""


@pytest.fixture
def shop(mariadb_server):
    database = mariadb_server.database()
    yield database
    database.drop()


def config_for(shop, target, **options):
    return task_config(shop.url, target.url, tables={"include": [f"{shop.name}.%"]}, **options)


def test_a_large_transaction_is_undone(shop, target, tailrace):
    """A temporary table in between has the server log the rows, and then that they are void."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)")
    config = config_for(shop, target)
    drain(tailrace, config)
    rows = ", ".join(f"({n}, REPEAT('x', 100000))" for n in range(100, 140))
    for end in ("ROLLBACK", "ROLLBACK TO SAVEPOINT s"):
        with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
            for statement in ("BEGIN", f"INSERT INTO t VALUES ({len(end)}, '')", "SAVEPOINT s", "CREATE TEMPORARY TABLE again (a int)",
                              f"INSERT INTO t VALUES {rows}", end, f"INSERT INTO t VALUES ({len(end) + 1}, '')", "COMMIT"):
                cursor.execute(statement)
    expected = shop.sql("SELECT id FROM t ORDER BY id")
    result = drain(tailrace, config)
    assert "in one piece" in result.stderr, result
    assert target.sql(f"SELECT id FROM {shop.name}.t ORDER BY id") == expected
    small = config_for(shop, target, memory="16MiB")
    with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for statement in ("BEGIN", "CREATE TEMPORARY TABLE again (a int)", f"INSERT INTO t VALUES {rows}", "ROLLBACK"):
            cursor.execute(statement)
    drain(tailrace, small)
    assert target.sql(f"SELECT id FROM {shop.name}.t ORDER BY id") == expected


def test_actions_of_the_targets_foreign_keys(shop, target, tailrace):
    """Where they are told to fire the children follow, in the source's order."""
    shop.sql("CREATE TABLE p (id int PRIMARY KEY, v int)")
    shop.sql("CREATE TABLE c (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)")
    shop.sql("INSERT INTO p SELECT seq, 0 FROM seq_1_to_40")
    shop.sql("INSERT INTO c SELECT seq, seq FROM seq_1_to_40")
    config = config_for(shop, target, workers=8)
    config["target"]["group_rows"] = 1
    drain(tailrace, config)
    target.sql(ACTIONS_FIRE)
    for n in range(1, 41):
        shop.sql(f"INSERT INTO c VALUES ({n + 300}, {n})")
        shop.sql(f"DELETE FROM p WHERE id = {n}" if n % 2 else f"UPDATE p SET id = {n + 100} WHERE id = {n}")
    drain(tailrace, config)
    for table in ("p", "c"):
        query = f"SELECT * FROM {{}}{table} ORDER BY id"
        assert target.sql(query.format(shop.name + ".")) == shop.sql(query.format(""))


def test_a_label_that_came_under_way(shop, target, tailrace):
    """The column of the target gains them in their order, when a row needs one."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, mood enum('p','q'))")
    shop.sql("INSERT INTO t VALUES (1, 'p')")
    config = config_for(shop, target)
    drain(tailrace, config)
    shop.sql("ALTER TABLE t MODIFY COLUMN mood enum('o','p','it''s','q','r')")
    shop.sql("INSERT INTO t VALUES (2, 'r'), (3, 'it''s')")
    shop.sql("ALTER TABLE t MODIFY COLUMN mood enum('o','p','it''s','q','r','s')")
    drain(tailrace, config)
    shop.sql("UPDATE t SET mood = 's' WHERE id = 2")
    shop.sql("UPDATE t SET mood = 'o' WHERE id = 1")
    drain(tailrace, config)
    query = "SELECT id, mood FROM {}t ORDER BY id"
    assert target.sql(query.format(shop.name + ".")) == list(shop.sql(query.format("")))
