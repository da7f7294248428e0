"""Transactions of millions of rows, rolled back in parts at several depths, come through a small budget; the program is killed in their middle."""

import random
import threading

import pytest

from harness import matrix
from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until

SCHEMA = """
CREATE SCHEMA wl;
CREATE TABLE wl.big (id bigint PRIMARY KEY, part int NOT NULL, txt text, n numeric);
CREATE TABLE wl.small (id bigint PRIMARY KEY, v int);
INSERT INTO wl.small SELECT i, 0 FROM generate_series(1, 100) i;
INSERT INTO wl.big SELECT -i, 0, 'old ' || i, i FROM generate_series(1, 2000) i;
"""

# Subtransactions of subtransactions; each exception rolls its own back, in the middle of what is not.
NESTED = """
DO $$
BEGIN
    FOR i IN 1..{times} LOOP
        BEGIN
            INSERT INTO wl.big SELECT {first} + i * 10 + j, {part}, 'outer', j FROM generate_series(0, 4) j;
            BEGIN
                UPDATE wl.big SET txt = 'inner' WHERE id BETWEEN {first} + i * 10 AND {first} + i * 10 + 2;
                INSERT INTO wl.big SELECT {first} + i * 10 + j, {part}, 'inner', j FROM generate_series(5, 7) j;
                IF i % 3 = 0 THEN RAISE EXCEPTION 'inner'; END IF;
            EXCEPTION WHEN raise_exception THEN
                DELETE FROM wl.big WHERE id = {first} + i * 10 + 4;
            END;
            IF i % 4 = 0 THEN RAISE EXCEPTION 'outer'; END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$"""


class Large(threading.Thread):
    """One such transaction, on a connection of its own: `rows` rows are sent, about half of them are rolled back."""

    def __init__(self, database, part, rows):
        super().__init__(daemon=True)
        self.database, self.part, self.rows = database, part, rows
        self.first = part * 100_000_000
        self.commit = threading.Event()
        self.written = threading.Event()
        self.failure = None

    def insert(self, cursor, offset, share):
        cursor.execute("INSERT INTO wl.big SELECT %s + i, %s, 'row ' || i, i / 7.0 FROM generate_series(1, %s) i",
                       (self.first + offset * 1_000_000, self.part, int(self.rows * share)))

    def write(self, cursor):
        self.insert(cursor, 0, 0.25)
        cursor.execute("SAVEPOINT a")
        self.insert(cursor, 10, 0.15)
        cursor.execute("SAVEPOINT b")
        self.insert(cursor, 20, 0.1)
        cursor.execute("UPDATE wl.big SET txt = 'gone', id = id + 50000000 WHERE part = %s AND n < %s", (self.part, self.rows // 70))
        cursor.execute("SAVEPOINT c")
        cursor.execute("DELETE FROM wl.big WHERE part = %s AND n > %s", (self.part, self.rows // 35))
        cursor.execute("ROLLBACK TO b")    # with c in it; nearly all was streamed by now
        self.insert(cursor, 30, 0.05)
        cursor.execute("ROLLBACK TO a")
        cursor.execute("UPDATE wl.big SET txt = 'changed ' || n WHERE part = %s AND id %% 2 = 0", (self.part,))
        cursor.execute("RELEASE a")
        cursor.execute("SAVEPOINT d")
        self.insert(cursor, 40, 0.15)
        cursor.execute("RELEASE d")
        cursor.execute(NESTED.format(times=self.rows // 400, first=self.first + 60_000_000, part=self.part))
        cursor.execute("SAVEPOINT e")
        cursor.execute("UPDATE wl.big SET n = -n WHERE part = %s", (self.part,))
        cursor.execute("ROLLBACK TO e")
        # a row of before, which every one of these transactions leaves alone but for its own
        cursor.execute("UPDATE wl.big SET txt = 'mine' WHERE id = %s", (-self.part,))

    def run(self):
        try:
            connection = self.database.connect(autocommit=False)
            with connection.cursor() as cursor:
                self.write(cursor)
                self.written.set()
                self.commit.wait()
                connection.commit()
            connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = repr(error)
            self.written.set()


class Small(threading.Thread):
    """Transactions of a few rows until told to stop."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.done, self.commits = database, threading.Event(), 0

    def run(self):
        connection = self.database.connect()
        with connection.cursor() as cursor:
            while not self.done.wait(0.01):
                cursor.execute("UPDATE wl.small SET v = v + 1 WHERE id IN (%s, %s)", (self.commits % 100 + 1, self.commits % 7 + 1))
                self.commits += 1
        connection.close()


def sent(server):
    """How far the server has sent its log to the program, or 0."""
    return int(server.sql("SELECT coalesce(max(sent_lsn), '0/0') - '0/0'::pg_lsn FROM pg_stat_replication")[0][0])


def written(server):
    return int(server.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def come_through(server, target, tailrace, sizes, streaming="auto"):
    source = server.database()
    source.sql(SCHEMA)
    config = task_config(source.url, target.url, memory="32MiB")
    config["source"]["streaming"] = streaming
    drain(tailrace, config)
    begin = written(server)
    tailrace.start("run", config=config)
    small = Small(source)
    small.start()
    parts = [Large(source, number + 1, rows) for number, rows in enumerate(sizes)]
    for part in parts:
        part.start()
    rng = random.Random(7)
    wait_until(lambda: sent(server) - begin > 30_000_000 or all(part.written.is_set() for part in parts), 120, "half of it to be sent")
    tailrace.kill9()
    tailrace.wait_exit()
    for part in parts:  # open over the restart
        assert part.written.wait(300) and part.failure is None, part.failure
    tailrace.start("run", config=config)
    half = begin + (written(server) - begin) * rng.uniform(0.3, 0.9)
    wait_until(lambda: sent(server) > half, 200, "half of it to be sent again")
    for part in rng.sample(parts, len(parts)):
        part.commit.set()
        part.join(60)
    applying = "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'wl.big'::regclass"
    wait_until(lambda: target.one(applying) > 0, 200, "the large transactions to be under way at the target")
    tailrace.kill9()
    tailrace.wait_exit()
    small.done.set()
    small.join(30)
    drain(tailrace, config, timeout=300)
    assert_equal(source, target, ["wl.big", "wl.small"])
    assert target.one("SELECT count(*) FROM wl.big WHERE txt IN ('gone', 'mine')") == len(parts)
    source.drop()


@pytest.mark.slow
@pytest.mark.time_limit(600)
def test_millions_of_rows_through_a_small_budget(source_server, target, tailrace):
    come_through(source_server, target, tailrace, [2_000_000, 100_000, 100_000])


@pytest.mark.matrix
@pytest.mark.time_limit(300)
def test_the_same_from_a_server_that_streams_in_parallel(target, tailrace):
    options = {"fsync": "off", "logical_decoding_work_mem": "64kB"}
    with matrix.postgres(18, options=options) as server:
        come_through(server, target, tailrace, [300_000, 50_000])
