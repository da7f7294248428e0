"""A log that arrives damaged, or says that it is: refused with the reason, and nothing is skipped."""

import zlib

import pytest

from harness import matrix
from harness.proxy import MysqlPackets, Proxy
from harness.replication import drain, task_config, task_events
from harness.wait import wait_until

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
HEADER = 20  # the packet's OK byte, and the event's header
TYPE, LENGTH = 5, 10  # in the packet


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
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)")
    yield database
    database.drop()


@pytest.fixture
def proxy(server):
    with Proxy(server.port) as proxy:
        yield proxy


def config_for(server, shop, proxy, tailrace):
    url = shop.url.replace(f":{server.port}/", f":{proxy.port}/")
    return task_config(url, f"file://{tailrace.dir}/out", tables=None)


def event(payload, kind, body):
    """The packet of another event in the place of this one, with the checksum that fits."""
    size = HEADER - 1 + len(body) + 4
    head = payload[1:TYPE] + bytes([kind]) + payload[TYPE + 1:LENGTH] + size.to_bytes(4, "little") + payload[LENGTH + 4:HEADER]
    return b"\0" + head + body + zlib.crc32(head + body).to_bytes(4, "little")


def flipped(payload):
    at = payload.index(b"MARKER")
    return payload[:at] + b"m" + payload[at + 1:]


DAMAGES = {
    "a byte was changed on the way": (flipped, ["its checksum is", "mysqlbinlog --verify-binlog-checksum"]),
    "the end is missing": (lambda p: p[:-9], ["its header says", "bytes"]),
    "hardly anything came": (lambda p: p[:12], ["damaged"]),
    "an incident": (lambda p: event(p, 26, b"\1\0\4lost"), ["incident", "load"]),
    "an event that nobody knows": (lambda p: event(p, 99, b"abc"), ["events of type 99 are not known", "nothing was skipped"]),
    "rows of an unknown table": (lambda p: event(p, p[TYPE], b"\xff" * 6 + p[HEADER + 6:-4]), ["no table map"]),
    "the server cannot send it": (
        lambda p: b"\xff\xd4\x04#HY000log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source",
        ["cannot send an event", "SET GLOBAL max_allowed_packet"]),
    "it is purged under the reader": (
        lambda p: b"\xff\xd4\x04#HY000Could not find first log file name in binary log index file",
        ["no longer has the log", "tailrace reload"]),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damage_is_refused_and_nothing_is_skipped(server, shop, proxy, tailrace, damage):
    change, words = DAMAGES[damage]
    config = config_for(server, shop, proxy, tailrace)
    drain(tailrace, config)
    shop.sql("INSERT INTO t VALUES (1, 'good')")
    shop.sql("INSERT INTO t VALUES (2, 'MARKER')")
    shop.sql("INSERT INTO t VALUES (3, 'behind it')")
    # rows have no NUL before the value, the statement's own text (annotations) has a quote
    damaged = lambda payload: change(payload) if b"MARKER" in payload and b"'MARKER'" not in payload and payload[:1] == b"\0" else None  # noqa: E731
    proxy.edit = lambda: MysqlPackets(damaged)
    for _ in range(2):  # it is no better the second time
        result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=60)
        assert result.status == 1, result
        for word in words:
            assert word in result.stderr, result
        ids = [e["after"]["id"] for e in task_events(tailrace.dir / "out")]
        assert ids in ([1], []), result
    proxy.edit = None
    drain(tailrace, config)
    assert [(e["op"], e["after"]["v"]) for e in task_events(tailrace.dir / "out")] == [("c", "good"), ("c", "MARKER"), ("c", "behind it")]


def test_the_connection_is_cut_inside_of_events(server, shop, proxy, tailrace):
    """Wherever it breaks off, each event comes once."""
    config = config_for(server, shop, proxy, tailrace)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    for number in range(4):
        proxy.cut_after(150 + 397 * number)
        cuts = tailrace.stderr.count("streaming from")
        shop.sql("INSERT INTO t VALUES (%s, %s)", (number, "x" * 2000))
        wait_until(lambda: tailrace.stderr.count("streaming from") > cuts, 60, "another connection",  # noqa: B023
                   give_up=tailrace.check_running)
    wait_until(lambda: len(task_events(tailrace.dir / "out")) >= 4, 60, "all rows")
    assert tailrace.stop() == 0, tailrace.stderr
    assert [e["after"]["id"] for e in task_events(tailrace.dir / "out")] == [0, 1, 2, 3]


@pytest.mark.parametrize("mebibytes", [20, pytest.param(70, marks=pytest.mark.slow)])
@pytest.mark.time_limit(300)
def test_a_row_of_several_packets(server, shop, tailrace, mebibytes):
    """A packet of the protocol ends at 16 MiB; an event goes on in the next."""
    before = server.sql("SELECT @@global.max_allowed_packet")[0][0]
    server.sql("SET GLOBAL max_allowed_packet = 268435456")
    try:
        config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None)
        drain(tailrace, config)
        size = mebibytes << 20
        shop.sql("INSERT INTO t VALUES (1, concat('first', repeat('x', %s), 'last'))", (size,))
        shop.sql("INSERT INTO t VALUES (2, repeat('y', (1 << 24) - 60)), (3, 'small')")
        drain(tailrace, config)
    finally:
        server.sql(f"SET GLOBAL max_allowed_packet = {before}")
    values = [e["after"]["v"] for e in task_events(tailrace.dir / "out")]
    assert [len(v) for v in values] == [size + 9, (1 << 24) - 60, 5]
    assert values[0] == "first" + "x" * size + "last" and values[1] == "y" * ((1 << 24) - 60)
