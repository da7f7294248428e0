"""What a MariaDB server logs although it was rolled back, what it does not log although it was done, and labels that an enum gained."""

import random

import pytest

from harness.compare import equal_by_content
from harness.replication import drain, task_config
from harness.servers import MariaDB

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


FAMILY = {
    "g": "id int PRIMARY KEY, code varchar(10) UNIQUE, v int",
    "p": "id int PRIMARY KEY, g int, code varchar(10), v int, FOREIGN KEY (g) REFERENCES g (id) ON DELETE CASCADE ON UPDATE CASCADE,"
         " FOREIGN KEY (code) REFERENCES g (code) ON DELETE SET NULL ON UPDATE CASCADE",
    "c": "a int, b int, p int, v int, PRIMARY KEY (a, b), FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE",
    "d": "x int, a int, b int, FOREIGN KEY (a, b) REFERENCES c (a, b) ON DELETE SET NULL ON UPDATE CASCADE",
    "tree": "id int PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE",
}


def family_life(shop, rnd, transactions):
    """Transactions in which parents go, get other keys and come back, with children three deep."""
    with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for _ in range(transactions):
            for _ in range(rnd.choice((1, 2, 12))):
                a, b, c = (rnd.randrange(12) for _ in range(3))
                cursor.execute(rnd.choice((
                    f"INSERT IGNORE INTO g VALUES ({a}, 'c{b}', 0)", f"INSERT IGNORE INTO p VALUES ({c * 12 + b}, {a}, 'c{b}', 0)",
                    f"INSERT IGNORE INTO p VALUES ({c * 12 + b}, {a}, NULL, 0)", f"INSERT IGNORE INTO c SELECT {a}, {b}, id, 0 FROM p WHERE id % 12 = {c} LIMIT 1",
                    "INSERT INTO d SELECT 1, a, b FROM c LIMIT 1", f"INSERT IGNORE INTO tree VALUES ({a}, {b})", f"INSERT IGNORE INTO tree VALUES ({a}, NULL)",
                    f"DELETE FROM g WHERE id = {a}", f"UPDATE IGNORE g SET id = {b}, v = v + 1 WHERE id = {a}", f"UPDATE IGNORE g SET code = 'c{b}' WHERE id = {a}",
                    "UPDATE g SET v = v + 1", f"UPDATE p SET v = v + 1 WHERE id % 12 = {a}", f"DELETE FROM p WHERE id % 24 = {a}",
                    f"UPDATE IGNORE p SET id = id + 200 WHERE id % 24 = {a}", f"DELETE FROM tree WHERE id = {a}", f"DELETE FROM c WHERE a = {a}")))
            connection.commit() if rnd.random() < 0.8 else connection.rollback()
        for statement in ("SET foreign_key_checks = 0", "DELETE FROM p WHERE id % 2", "COMMIT"):
            cursor.execute(statement)


@pytest.fixture
def mariadb_target():
    with MariaDB(options={"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}) as server:
        yield server.database("shop")


@pytest.mark.parametrize("engine", ["target", pytest.param("mariadb_target", marks=pytest.mark.matrix)])
def test_a_key_that_the_target_lacks_is_said_at_the_start(engine, shop, tailrace, request):
    """Once, with the statement that makes it; keys that are there, under whatever name, and those that restrict are none of it."""
    target = request.getfixturevalue(engine)
    shop.sql("CREATE TABLE p (id int PRIMARY KEY)")
    shop.sql("CREATE TABLE elsewhere (id int PRIMARY KEY)")
    shop.sql("CREATE TABLE c (id int PRIMARY KEY, p int, q int, r int, e int, CONSTRAINT kept FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE,"
             " CONSTRAINT lost FOREIGN KEY (q) REFERENCES p (id) ON DELETE SET NULL ON UPDATE CASCADE, CONSTRAINT holds FOREIGN KEY (r) REFERENCES p (id),"
             " CONSTRAINT abroad FOREIGN KEY (e) REFERENCES elsewhere (id) ON DELETE CASCADE)")
    config = config_for(shop, target)
    config["tables"] = {"include": [f"{shop.name}.p", f"{shop.name}.c"]}
    first = drain(tailrace, config).stderr
    assert "foreign key abroad of" in first and f"take table {shop.name}.elsewhere into the task" in first and "foreign key lost" not in first, first
    word = "CONSTRAINT" if engine == "target" else "FOREIGN KEY"
    target.sql(f"ALTER TABLE {shop.name}.c DROP {word} lost, DROP {word} kept, DROP {word} holds")
    target.sql(f"ALTER TABLE {shop.name}.c ADD CONSTRAINT other FOREIGN KEY (p) REFERENCES {shop.name}.p (id) ON DELETE CASCADE")
    said = drain(tailrace, config).stderr
    assert said.count("foreign key lost of") == 1 and said.count("acts at the source") == 2, said
    hint = said[said.index("foreign key lost of"):].split("run at the target: ")[1].split("; then load")[0]
    target.sql(hint)
    assert "foreign key lost" not in drain(tailrace, config).stderr
    target.sql(f"ALTER TABLE {shop.name}.c DROP {word} other")
    target.sql(f"ALTER TABLE {shop.name}.c ADD CONSTRAINT other FOREIGN KEY (p) REFERENCES {shop.name}.p (id)")
    assert "the target's key does something else" in drain(tailrace, config).stderr


@pytest.mark.parametrize("engine", ["target", "mariadb_target"])
def test_what_cascades_at_the_source_does_so_at_the_target(engine, shop, tailrace, request):
    """Nothing is in the log of what a foreign key did to children; a session without foreign key checks has them stay."""
    target = request.getfixturevalue(engine)
    for name, columns in FAMILY.items():
        shop.sql(f"CREATE TABLE {name} ({columns})")
    shop.sql("INSERT INTO tree VALUES (1, NULL)")
    config = config_for(shop, target)
    drain(tailrace, config)
    for seed, rows in ((1, 10000), (2, 3)):
        family_life(shop, random.Random(seed), 60)
        config["target"]["group_rows"] = rows
        drain(tailrace, config)
        with shop.connect() as left, target.connect() as right:
            equal_by_content(left, right, [f"{shop.name}.{name}" for name in FAMILY])
