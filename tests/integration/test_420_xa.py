"""XA transactions of MariaDB and MySQL: in two phases, between other transactions, over restarts."""

import random
import threading

import pytest

from harness import matrix
from harness.replication import drain, rows_after, rows_of, task_config, task_events
from harness.wait import wait_until

COLUMNS = ["id", "v"]
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


@pytest.fixture(scope="module", params=["mariadb10.11", pytest.param("mysql9", marks=pytest.mark.matrix)])
def server(request):
    if request.param == "mariadb10.11":
        yield request.getfixturevalue("mariadb_server")
        return
    with matrix.mysql("9", options=FAST) as started:
        yield started


@pytest.fixture
def shop(server):
    database = server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(3000))")
    database.sql("INSERT INTO t VALUES (1, 'loaded')")
    yield database
    Branch.forget_all(server)
    database.drop()


def config_for(database, tailrace, gtid="auto", **options):
    config = task_config(database.url, f"file://{tailrace.dir}/out", tables=None, **options)
    config["source"]["gtid"] = gtid
    config["target"]["skipped_operations"] = "none"
    return config


def _xid(row):
    data = row[3].removeprefix("0x")
    return f"X'{data[:2 * row[1]]}',X'{data[2 * row[1]:]}',{row[0]}"


class Branch:
    """An XA branch on a connection of its own."""

    made = []

    def __init__(self, database, xid):
        self.xid = xid
        self.connection = database.connect()
        self.made.append(self)

    @classmethod
    def forget_all(cls, server):
        """What a failed test has left undecided would keep its tables locked."""
        for branch in cls.made:
            if branch.connection.open:
                branch.connection.close()
        cls.made.clear()

        def decided():
            for row in server.sql("XA RECOVER FORMAT = 'SQL'" if server.kind == "mariadb" else "XA RECOVER CONVERT XID"):
                server.sql(f"XA ROLLBACK {row[3] if server.kind == 'mariadb' else _xid(row)}")
            return True
        wait_until(decided, 20, "the branches to be rolled back")

    def run(self, *statements):
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def prepare(self, *statements):
        self.run(f"XA START {self.xid}", *statements, f"XA END {self.xid}", f"XA PREPARE {self.xid}")
        return self

    def decide(self, word):
        self.run(f"XA {word} {self.xid}")
        self.connection.close()


def changes(tailrace):
    """What the stream brought: operation and row."""
    return [(e["op"], (e["after"] or e["before"])["id"]) for e in task_events(tailrace.dir / "out") if e["op"] != "r"]


def check_equal(database, tailrace):
    events = task_events(tailrace.dir / "out")
    with database.connect() as connection:
        assert rows_after(events, "t", COLUMNS) == rows_of(connection, "t", COLUMNS)


def test_branches_come_where_they_are_committed(shop, tailrace):
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    long = f"'{'g' * 64}','{'b' * 64}',2147483647"
    first = Branch(shop, "'one'").prepare("INSERT INTO t VALUES (10, 'a')", "UPDATE t SET v = 'b' WHERE id = 10")
    third = Branch(shop, "'one','other'").prepare("INSERT INTO t VALUES (30, 'never')")
    second = Branch(shop, long).prepare("INSERT INTO t VALUES (20, 'a')", "SAVEPOINT s", "INSERT INTO t VALUES (21, 'undone')",
                                        "ROLLBACK TO s", "INSERT INTO t VALUES (22, 'a')")
    shop.sql("INSERT INTO t VALUES (40, 'between')")
    second.decide("COMMIT")
    shop.sql("INSERT INTO t VALUES (41, 'between')")
    third.decide("ROLLBACK")
    first.decide("COMMIT")
    one_phase = Branch(shop, "'quick'")
    one_phase.run("XA START 'quick'", "INSERT INTO t VALUES (50, 'a')", "XA END 'quick'", "XA COMMIT 'quick' ONE PHASE")
    empty = Branch(shop, "'empty'").prepare("SELECT count(*) FROM t")
    empty.decide("COMMIT")
    Branch(shop, "'one'").prepare("DELETE FROM t WHERE id = 10").decide("COMMIT")  # the name again
    drain(tailrace, config)
    assert changes(tailrace) == [("c", 40), ("c", 20), ("c", 22), ("c", 41), ("c", 10), ("u", 10), ("c", 50), ("d", 10)]
    check_equal(shop, tailrace)


@pytest.mark.parametrize("gtid", ["auto", pytest.param("off", marks=pytest.mark.slow)])
def test_a_branch_is_found_again_after_a_restart(server, shop, tailrace, gtid):
    """The task stops between prepare and decision, in one file of the log or several; nothing is lost, nothing comes twice."""
    config = config_for(shop, tailrace, gtid)
    drain(tailrace, config)
    branches = [Branch(shop, f"'far','{n}'").prepare(f"INSERT INTO t VALUES ({100 + n}, 'far')") for n in (1, 2, 3)]
    drain(tailrace, config)
    assert changes(tailrace) == []
    for turn in range(2):
        server.sql("FLUSH BINARY LOGS")
        shop.sql("INSERT INTO t VALUES (%s, 'in between')", (1000 + turn,))
    near = Branch(shop, "'near'").prepare("INSERT INTO t VALUES (200, 'near')")
    drain(tailrace, config)
    between = changes(tailrace)
    near.decide("COMMIT")
    drain(tailrace, config)
    branches[1].decide("ROLLBACK")
    branches[2].decide("COMMIT")
    result = drain(tailrace, config)
    assert "looking back in the log" in result.stderr, result
    Branch(shop, "'far','3'").prepare("INSERT INTO t VALUES (300, 'the name again')").decide("COMMIT")
    branches[0].decide("COMMIT")
    drain(tailrace, config)
    assert changes(tailrace) == between + [("c", 200), ("c", 103), ("c", 300), ("c", 101)]
    check_equal(shop, tailrace)


def test_a_branch_that_was_prepared_before_the_task_began(server, shop, tailrace):
    early = Branch(shop, "'early'").prepare("INSERT INTO t VALUES (2, 'early')")
    server.sql("FLUSH BINARY LOGS")
    mode = "cdc" if server.kind == "mysql" else "full-load-and-cdc"  # on MySQL the branch's lock would hold the load up
    config = config_for(shop, tailrace, mode=mode, start="now") if mode == "cdc" else config_for(shop, tailrace, mode=mode)
    drain(tailrace, config)
    early.decide("COMMIT")
    drain(tailrace, config)
    assert changes(tailrace) == [("c", 2)]
    if mode != "cdc":
        check_equal(shop, tailrace)


def test_killed_between_prepare_and_decision(shop, tailrace):
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    for number in range(3):
        tailrace.start("run", config=config)
        tailrace.wait_log("streaming from")
        committed = Branch(shop, f"'c','{number}'").prepare(f"INSERT INTO t VALUES ({500 + number}, 'committed')")
        undone = Branch(shop, f"'r','{number}'").prepare(f"INSERT INTO t VALUES ({600 + number}, 'undone')")
        shop.sql("INSERT INTO t VALUES (%s, 'seen')", (700 + number,))
        wait_until(lambda: ("c", 700 + number) in changes(tailrace), 30, "the row behind the branches")  # noqa: B023
        tailrace.kill9()
        tailrace.wait_exit()
        undone.decide("ROLLBACK")
        committed.decide("COMMIT")
    drain(tailrace, config)
    assert sorted(changes(tailrace)) == sorted(("c", base + n) for base in (500, 700) for n in range(3))
    check_equal(shop, tailrace)


@pytest.mark.parametrize("compressed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_large_branch_goes_through_the_spool(server, shop, tailrace, compressed):
    config = config_for(shop, tailrace, memory="16MiB")
    drain(tailrace, config)
    branch = Branch(shop, "'large'")
    if compressed and server.kind == "mysql":
        branch.run("SET binlog_transaction_compression = ON")
    elif compressed:
        server.sql("SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10")
    try:
        branch.prepare("INSERT INTO t WITH RECURSIVE s AS (SELECT 1000 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 1999)"
                       " SELECT a.n * 1000 + b.n, repeat('x', 2900) FROM s a JOIN s b WHERE a.n < 1002")
        shop.sql("INSERT INTO t VALUES (3, 'between')")
        drain(tailrace, config)
        branch.decide("COMMIT")
        drain(tailrace, config)
    finally:
        if compressed and server.kind != "mysql":
            server.sql("SET GLOBAL log_bin_compress = OFF, log_bin_compress_min_len = 256")
    found = changes(tailrace)
    assert found[0] == ("c", 3) and len(found) == 2001 and len(set(found)) == 2001
    check_equal(shop, tailrace)


@pytest.mark.slow
def test_checksums_may_change_while_a_branch_is_held(server, shop, tailrace):
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    before = server.sql("SELECT @@global.binlog_checksum")[0][0]
    try:
        for number, restart in enumerate((False, True, False, True)):
            server.sql(f"SET GLOBAL binlog_checksum = '{('CRC32', 'NONE')[number // 2]}'")
            if not restart:
                tailrace.start("run", config=config)
                tailrace.wait_log("streaming from")
            branch = Branch(shop, f"'s','{number}'").prepare(f"INSERT INTO t VALUES ({800 + number}, 'sums')")
            shop.sql("INSERT INTO t VALUES (%s, 'seen')", (900 + number,))
            if restart:
                drain(tailrace, config)
            else:
                wait_until(lambda: ("c", 900 + number) in changes(tailrace), 30, "the row behind the branch")  # noqa: B023
            server.sql(f"SET GLOBAL binlog_checksum = '{('NONE', 'CRC32')[number // 2]}'")
            branch.decide("COMMIT")
            if not restart:
                wait_until(lambda: ("c", 800 + number) in changes(tailrace), 30, "the branch")  # noqa: B023
                assert tailrace.stop() == 0, tailrace.stderr
        drain(tailrace, config)
    finally:
        server.sql(f"SET GLOBAL binlog_checksum = '{before}'")
    assert changes(tailrace) == [("c", base + n) for n in range(4) for base in (900, 800)]


def test_a_branch_whose_log_was_purged_is_refused(server, shop, tailrace):
    branch = Branch(shop, "'gone'").prepare("INSERT INTO t VALUES (2, 'gone')")
    server.sql("FLUSH BINARY LOGS")
    shop.sql("INSERT INTO t VALUES (3, 'kept')")
    config = config_for(shop, tailrace, mode="cdc", start="now")
    drain(tailrace, config)

    def alone():
        files = server.sql("SHOW BINARY LOGS")
        server.sql("PURGE BINARY LOGS TO %s", (files[-1][0],))
        return len(files) == 1
    server.sql("FLUSH BINARY LOGS")
    wait_until(alone, 30, "the log to be purged")
    branch.decide("COMMIT")
    shop.sql("INSERT INTO t VALUES (4, 'behind it')")
    for _ in range(2):  # the position does not move over it
        result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
        assert result.status == 1 and "X'676f6e65',X'',1" in result.stderr and "tailrace reload" in result.stderr, result
    assert changes(tailrace) == []


def xa_load(database, seed, stop):
    """Branches one after the other, left for a while, then decided; returns how many were committed."""
    rng = random.Random(seed)
    waiting, number = [], seed * 100000
    while not stop.is_set() or waiting:
        if not stop.is_set():
            number += 1
            waiting.append(Branch(database, f"'load','{number}'").prepare(f"INSERT INTO t VALUES ({number}, 'branch')"))
            database.sql("INSERT INTO t VALUES (%s, 'plain')", (number + 50000,))
        if stop.is_set() or len(waiting) > 4:
            waiting.pop(rng.randrange(len(waiting))).decide(rng.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
        stop.wait(0.02)


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_while_branches_are_open(server, shop, tailrace, kills):
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    stop, rng = threading.Event(), random.Random(kills)
    loads = [threading.Thread(target=xa_load, args=(shop, seed, stop)) for seed in (1, 2)]
    for load in loads:
        load.start()
    try:
        for number in range(kills):
            tailrace.start("run", config=config)
            tailrace.kill_after(rng.uniform(0.1, 1.5))
            if number % 3 == 1:
                server.sql("FLUSH BINARY LOGS")
    finally:
        stop.set()
        for load in loads:
            load.join()
    drain(tailrace, config)
    found = changes(tailrace)
    assert len(found) == len(set(found)) > 0
    check_equal(shop, tailrace)
