"""The other act: a database of one product copied to and followed by another product, with a shorter bad day.

Run by scripts/demo.sh, for PAIR=source-target with any two of postgresql, mysql, mariadb; see there for the settings.
"""

import hashlib
import random
import shlex
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).resolve().parent)]

import psycopg2  # noqa: E402
import pymysql  # noqa: E402
import pytest  # noqa: E402
from harness import matrix  # noqa: E402
from harness.pairs import ENGINES, Pair, columns_of, rows_as_meant  # noqa: E402
from harness.servers import MariaDB, Postgres  # noqa: E402
from harness.tailrace import Tailrace  # noqa: E402
from harness.wait import wait_until  # noqa: E402
from screen import ESCAPES  # noqa: E402

NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
PAIRS = [f"{source}-{target}" for source in ENGINES for target in ENGINES]
SECOND = "mariadb-postgresql"  # what plain `make demo` shows after PostgreSQL
ACCOUNTS_SUM = {"pg": 200 * 1000, "mysql": 100 * 1000, "mariadb": 100 * 1000}


class Broken(Exception):
    """The demo has shown that something is wrong."""


def make_server(engine, name):
    if engine == "postgresql":
        return Postgres(options={"max_prepared_transactions": 10}, name=name)
    try:
        return matrix.mysql("9", name=name) if engine == "mysql" else MariaDB(name=name)
    except pytest.skip.Exception as reason:
        raise Broken(str(reason)) from None


class PairDemo:
    """One act on the given screen."""

    def __init__(self, screen, seed, pair):
        self.screen, self.seed, self.random = screen, seed, random.Random(seed)
        self.source_engine, self.target_engine = pair.split("-")
        self.kills = {"tailrace": 0, "target": 0}
        self.looks = 0
        self.settled = False

    def play(self):
        source, target = NAMES[self.source_engine], NAMES[self.target_engine]
        self.screen.title(f"From {source} to {target}")
        with make_server(self.source_engine, "src") as source_server, make_server(self.target_engine, "dst") as target_server:
            self.screen.step(f"a private {source} and a private {target} started, both with what they have committed on disk")
            with Pair(source_server, target_server, seed=self.seed, clients=3, pause=0.002) as self.pair:
                self.tailrace = Tailrace()
                try:
                    self.follow()
                    self.bad_day()
                    self.close()
                    self.prove()
                finally:
                    self.tailrace.finish()

    # ---- what happens
    def config(self, **more):
        return {**self.pair.config(progress="on"), **more}

    def follow(self):
        pair = self.pair
        pair.load.start()
        self.screen.step("clients transfer money, change keys, roll back to savepoints, empty tables, write rows without a key")
        words = ["tailrace", "run", "--source", pair.source.url, "--target", pair.target.url, "--tables", f"{pair.schema}.%"]
        self.screen.note("$ " + shlex.join(words))
        begun = time.monotonic()
        self.tailrace.start("run", config=self.config())
        self.watch(self.following, "tailrace to follow", 60)
        self.settled = True
        self.screen.good(f"tables made, loaded, and following after {time.monotonic() - begun:.1f} s")

    def bad_day(self):
        for _ in range(2):
            self.pause(0.3, 1.0)
            self.tailrace.kill9()
            self.kills["tailrace"] += 1
            self.screen.kill("kill -9 tailrace")
            self.tailrace.start("run", config=self.config())
            self.watch(self.following, "tailrace to follow again", 60)
        self.change_shape()
        self.pair.target_server.kill9()
        self.kills["target"] += 1
        self.screen.kill("kill -9 the target server, all its processes")
        self.pause(0.2, 0.5)
        self.pair.target_server.start()
        marker = self.pair.load.commits + 50
        self.watch(lambda: self.pair.load.commits >= marker and self.following(), "tailrace to follow again", 60)
        self.screen.good("the target server is back after crash recovery; tailrace went on by itself")

    def change_shape(self):
        pair = self.pair
        column = "nick"
        table = "wl.account" if pair.from_postgres else "account"
        pair.source.sql(f"ALTER TABLE {table} ADD COLUMN {column} varchar(20) DEFAULT 'none'")
        self.screen.step(f"DDL in flight: ALTER TABLE account ADD COLUMN {column}", "yellow", "!")
        pair.source.sql(f"UPDATE {table} SET {column} = 'first' WHERE id = 1")
        self.watch(lambda: column in columns_of(pair.target, (pair.schema, "account")), "the new column at the target", 60)
        self.screen.good("the target has the column")

    def close(self):
        self.pair.load.stop()
        status = self.tailrace.stop()
        self.expect(status == 0, f"tailrace ended with {status} after SIGTERM\n{self.tailrace.stderr[-3000:]}")
        result = self.tailrace.run("run", config=self.config(stop="drained"))
        self.expect(result.status == 0, f"tailrace ended with {result!r}")
        counts = self.pair.load.counts
        self.screen.step(f"the clients have stopped ({counts['commits']:,} transactions committed, {counts['rollbacks']:,} rolled back);"
                         " tailrace ended, and ran once more until drained")

    def prove(self):
        pair, rows, equal = self.pair, [], True
        for table in pair.tables:
            columns = columns_of(pair.source, (pair.schema, table))
            ours, theirs = (rows_as_meant(side, (pair.schema, table), columns) for side in (pair.source, pair.target))
            equal &= ours == theirs
            mark = self.screen.paint("equal", "green") if ours == theirs else self.screen.paint("DIFFERENT", "red")
            rows.append([f"{pair.schema}.{table}", f"{ours.total():,}", f"{theirs.total():,}", digest(ours), digest(theirs), mark])
        self.screen.table(["table", "rows, source", "rows, target", "content, source", "content, target", ""], rows)
        pair.assert_equal()
        self.screen.step(f"killed with SIGKILL: tailrace {self.kills['tailrace']} times, the target once; the target was looked at"
                         f" {self.looks:,} times: the money was complete every time")
        self.expect(equal, "source and target differ")
        result = self.tailrace.run("drop", config=self.config())
        self.expect(result.status == 0, f"tailrace drop: {result!r}")
        self.screen.good("tailrace drop: nothing is left behind")

    # ---- waiting and looking
    def display(self):
        tail = self.tailrace.stderr[-4000:].split("\r")[-1]
        return (ESCAPES.sub("", tail).strip().splitlines()[-1:] or [""])[0]

    def following(self):
        return self.display().startswith("streaming")

    def pause(self, low, high):
        until = time.monotonic() + self.random.uniform(low, high)
        self.watch(lambda: time.monotonic() >= until, "the time to pass")

    def watch(self, condition, what, timeout=30):
        """Waits for a condition, with the live line, and with an eye on the money at the target."""
        next_look = [0.0]

        def look():
            self.expect(self.tailrace.running(), f"tailrace ended by itself:\n{self.tailrace.stderr[-3000:]}")
            self.expect(not self.pair.load.failures, f"a client failed: {self.pair.load.failures[:1]}")
            if time.monotonic() >= next_look[0]:
                next_look[0] = time.monotonic() + 0.1
                self.observe()
                self.screen.show_live(f"source {self.pair.load.commits:,} commits │ tailrace {self.display()}")
            return self.safely(condition)

        wait_until(look, timeout, lambda: f"{what}\n{self.tailrace.stderr[-3000:]}", interval=0.02)

    @staticmethod
    def safely(ask):
        try:
            return ask()
        except (psycopg2.OperationalError, psycopg2.InterfaceError, pymysql.Error, OSError):
            return None

    def observe(self):
        """At every moment the target is a state that the source once had."""
        if not self.settled or not self.pair.target_server.running():
            return
        total = self.safely(lambda: self.pair.target.sql(f"SELECT sum(balance) FROM {self.pair.schema}.account")[0][0])
        if total is None:
            return
        self.looks += 1
        wanted = ACCOUNTS_SUM["pg" if self.pair.from_postgres else "mysql"]
        self.expect(int(total) == wanted, f"the accounts at the target hold {total}, not {wanted}")

    @staticmethod
    def expect(condition, text):
        if not condition:
            raise Broken(text)


def digest(bag):
    """A hash of a bag of rows that does not depend on their order."""
    total = sum(count * int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=8).digest(), "big") for row, count in bag.items())
    return f"{total % 2**64:016x}"
