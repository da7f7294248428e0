"""Whoever reads a MariaDB or MySQL target while changes are applied sees a state that the source once had; servers die meanwhile."""

import threading

import pytest

from harness import matrix
from harness.pairs import Pair
from harness.replication import drain
from harness.servers import MariaDB
from harness.wait import wait_until
from harness.workload import ACCOUNTS as POSTGRES_ACCOUNTS
from harness.workload import OPENING_BALANCE
from harness.workload_mysql import ACCOUNTS

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


class Observer(threading.Thread):
    """Reads in one snapshot after the other until told to stop; keeps the first wrong thing it saw."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.connection = pair.target_server.connect(pair.schema, autocommit=False)
        self.total = (POSTGRES_ACCOUNTS if pair.from_postgres else ACCOUNTS) * OPENING_BALANCE
        self.stopping = threading.Event()
        self.looks, self.wrong, self.failure = 0, None, None

    def one(self, cursor, query):
        cursor.execute(query)
        return cursor.fetchall()

    def look(self, cursor):
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        total = self.one(cursor, "SELECT sum(balance) FROM account")[0][0]
        orphans = self.one(cursor, "SELECT count(*) FROM line l LEFT JOIN item i ON i.id = l.item_id WHERE i.id IS NULL")[0][0]
        gaps = self.one(cursor, "SELECT client FROM journal GROUP BY client HAVING count(*) <> max(n)")
        cursor.execute("ROLLBACK")
        return int(total), orphans, list(gaps)

    def run(self):
        try:
            with self.connection.cursor() as cursor:
                while not self.stopping.is_set() and self.wrong is None:
                    seen = self.look(cursor)
                    if seen != (self.total, 0, []):
                        self.wrong = seen
                    self.looks += 1
        except Exception as problem:  # pylint: disable=broad-except
            self.failure = problem

    def finish(self):
        self.stopping.set()
        self.join(60)
        self.connection.close()
        assert self.failure is None, self.failure
        assert self.wrong is None, f"(sum of balances, orphans, gaps) = {self.wrong}"
        assert self.looks > 20, f"the observer looked only {self.looks} times"


@pytest.fixture(scope="module")
def maria_source():
    with MariaDB(options=FAST, name="msrc") as server:
        yield server


@pytest.mark.slow
@pytest.mark.time_limit(300)
@pytest.mark.parametrize("source", ["mariadb", "postgresql"])
def test_no_state_is_seen_that_the_source_did_not_have(request, mariadb_server, tailrace, source):
    source_server = request.getfixturevalue("maria_source" if source == "mariadb" else "source_server")
    with Pair(source_server, mariadb_server, seed=21, clients=3, pause=0.0) as pair:
        config = pair.config(workers=6)
        drain(tailrace, config)
        pair.load.run(700)  # a backlog, so that groups run in parallel
        observer = Observer(pair)
        observer.start()
        tailrace.start("run", config=config)
        pair.load.run(500)
        tailrace.wait_log("streaming from")
        wait_until(lambda: observer.looks > 20 or not observer.is_alive(), 60, "the observer to look")
        assert tailrace.stop() == 0, tailrace.stderr
        drain(tailrace, config)
        observer.finish()
        pair.assert_equal()


def durable(engine, name):
    """A server that keeps what it has committed when it is killed: fsync stays on."""
    return matrix.mysql("9", name=name) if engine == "mysql" else MariaDB(name=name)


@pytest.mark.slow
@pytest.mark.time_limit(300)
@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
def test_servers_killed_under_load(tailrace, engine):
    with durable(engine, "src") as source_server, durable(engine, "dst") as target_server:
        with Pair(source_server, target_server, seed=12, clients=2) as pair:
            config = pair.config(workers=3)
            tailrace.start("run", config=config)
            pair.load.start()
            for round_number in range(4):
                reached = pair.load.commits + 40
                wait_until(lambda: pair.load.commits >= reached, 90, "commits", give_up=tailrace.check_running)  # noqa: B023
                (source_server if round_number % 2 == 0 else target_server).crash()
            reached = pair.load.commits + 40
            wait_until(lambda: pair.load.commits >= reached, 90, "commits", give_up=tailrace.check_running)
            pair.load.stop()
            assert tailrace.stop() == 0, tailrace.stderr
            drain(tailrace, config)
            pair.assert_equal()
