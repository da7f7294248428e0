"""Fixtures for the tests on real servers (tests/integration, tests/faults). See tests/harness."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import matrix  # noqa: E402
from harness.kafka import Kafka, need_kafka  # noqa: E402
from harness.servers import MariaDB, Postgres  # noqa: E402
from harness.tailrace import Tailrace  # noqa: E402

DEFAULT_TIME_LIMIT = 300  # servers start in it, on a machine that others may use
# For servers that no test kills: the same behaviour, and nothing waits for the disk.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_prepared_transactions": 10,
        "logical_decoding_work_mem": "64kB", "max_replication_slots": 40, "max_wal_senders": 40}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails with the stack of where it hangs."""
    marker = item.get_closest_marker("time_limit")
    limit = marker.args[0] if marker else DEFAULT_TIME_LIMIT

    def expired(_signum, _frame):
        raise TimeoutError(f"the test ran for more than {limit} s (time_limit)")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def source_server():
    """A PostgreSQL 15 for all tests of the session. Do not kill or reconfigure it; take make_postgres for that."""
    with Postgres(options=FAST, name="src") as server:
        yield server


@pytest.fixture(scope="session")
def target_server():
    with Postgres(options=FAST, name="dst") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server():
    """A MariaDB 10.11 for all tests of the session, with its own fast settings."""
    with MariaDB(options={"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 1}) as server:  # 0: what is durable is known a second later
        yield server


@pytest.fixture(scope="session")
def engine_servers(request):
    """engine_servers("mysql", "source"): a server of that engine for all tests of the session, started at its first use."""
    started = {}
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "local-infile": 1}

    def get(engine, role):
        if engine == "postgresql":
            return request.getfixturevalue(f"{role}_server")
        if engine == "mariadb" and role == "target":
            return request.getfixturevalue("mariadb_server")
        if (engine, role) not in started:
            made = matrix.mysql("9", options=fast, name=f"my-{role}") if engine == "mysql" else MariaDB(options=fast, name="msrc")
            started[engine, role] = made.start()
        return started[engine, role]

    yield get
    for server in started.values():
        server.remove()


@pytest.fixture
def source(source_server):
    """A fresh database to replicate from; its slots go with it."""
    database = source_server.database()
    yield database
    database.drop()


@pytest.fixture
def target(target_server):
    """A fresh database to replicate to."""
    database = target_server.database()
    yield database
    database.drop()


@pytest.fixture
def make_postgres():
    """make_postgres(**options) starts a private PostgreSQL that the test may kill: fsync stays on."""
    servers = []

    def make(bin_dir=None, name=None, **options):
        server = Postgres(options=options, bin_dir=bin_dir, name=name)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.remove()


def started_kafka():
    need_kafka()
    cluster = Kafka().start()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def kafka():
    """A broker for all tests of the file: each takes topics of its own."""
    yield from started_kafka()


@pytest.fixture
def new_kafka():
    """A broker that the test may kill."""
    yield from started_kafka()


@pytest.fixture
def make_tailrace():
    """make_tailrace() gives a Tailrace with a work folder of its own; sanitizer reports fail the test."""
    made = []

    def make(**kwargs):
        made.append(Tailrace(**kwargs))
        return made[-1]

    yield make
    for tailrace in made:
        tailrace.finish()


@pytest.fixture
def tailrace(make_tailrace):
    return make_tailrace()
