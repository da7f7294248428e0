"""Every pair of PostgreSQL, MySQL and MariaDB under a mixed load, the program killed at random moments: the target ends equal."""

import random

import pytest

from harness.pairs import ENGINES, Pair
from harness.replication import drain, task_config


def kill_repeatedly(tailrace, config, times, seed):
    """Starts the program, lets it live for a random part of a second, and kills it."""
    rng = random.Random(seed)
    for number in range(times):
        tailrace.start("run", config=config)
        # one in five lives long enough to stream a while
        life = rng.uniform(0.02, 0.25) if number % 5 else rng.uniform(0.3, 0.7)
        tailrace.kill_after(life)


def killed_under_load(engine_servers, make_tailrace, source, target, kills):
    """MariaDB 10.11 itself crashes now and then when the thread that sends its log is killed: then once more, on the server that has recovered."""
    both = engine_servers(source, "source"), engine_servers(target, "target")
    for last in (False, True):
        try:
            return killed_once(both, make_tailrace, kills, seed=len(source) * len(target) + last)
        except Exception:
            crashed = [server for server in both if not server.running()]
            if last or not crashed:
                raise
            for server in crashed:
                print(f"{server.kind} crashed by itself:\n{server.child.tail(60)}")
                server.start()


def killed_once(both, make_tailrace, kills, seed):
    with Pair(*both, seed=seed) as pair:
        tailrace = make_tailrace()
        config = pair.config(workers=3)
        pair.load.start()
        kill_repeatedly(tailrace, config, kills, seed=kills)
        pair.load.stop()
        drain(tailrace, config)
        pair.assert_equal()


@pytest.mark.parametrize("engine", ["mariadb"])
def test_killed_under_load(engine_servers, make_tailrace, engine):
    killed_under_load(engine_servers, make_tailrace, engine, engine, 8)


@pytest.mark.slow
@pytest.mark.time_limit(300)
@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("source", ENGINES)
def test_each_pair_survives_fifty_kills(engine_servers, make_tailrace, source, target):
    killed_under_load(engine_servers, make_tailrace, source, target, 50)


@pytest.mark.matrix
@pytest.mark.time_limit(200)
def test_slices_of_one_transaction_do_not_wait_for_each_other(engine_servers, make_tailrace):
    """A transaction too large to hold changes a row without a key in its first slice, and again in its last."""
    source, target = engine_servers("mariadb", "source"), engine_servers("mariadb", "target")
    database, tailrace = source.database(), make_tailrace()
    try:
        database.sql("CREATE TABLE bag (a int, b varchar(20), v longtext)")
        database.sql("INSERT INTO bag VALUES (1, 'x', ''), (2, 'y', '')")
        config = task_config(database.url, target.url(), tables={"include": [f"{database.name}.%"]}, memory="16MiB")
        drain(tailrace, config)
        with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE bag SET b = 'first' WHERE a = 1")
            for number in range(40):
                cursor.execute("INSERT INTO bag VALUES (%s, 'big', REPEAT('v', 1000000))", (number + 10,))
            cursor.execute("UPDATE bag SET b = 'last' WHERE a < 3")
            connection.commit()
        drain(tailrace, config, timeout=60)
        query = f"SELECT a, b, length(v) FROM {database.name}.bag ORDER BY a"
        assert target.sql(query) == source.sql(query)
    finally:
        database.drop()
        target.drop_database("tailrace")
        target.drop_database(database.name)
