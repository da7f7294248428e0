"""A live database, copied and followed by another while everything is killed; at the end both are compared row by row.

Run by scripts/demo.sh; see there for the settings.
"""

import os
import random
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).resolve().parent)]

from harness.compare import differences  # noqa: E402
from harness.servers import Postgres  # noqa: E402
from harness.tailrace import Tailrace  # noqa: E402
from harness.wait import WaitTimeout, wait_until  # noqa: E402
import pair as pairs  # noqa: E402
from screen import ESCAPES, Screen  # noqa: E402
from shop import TABLES, Shop  # noqa: E402

FIRST = "postgresql-postgresql"
BIG_ROWS = 60_000


class Broken(Exception):
    """The demo has shown that something is wrong."""


class Demo:
    def __init__(self, screen, seed):
        self.screen, self.random, self.seed = screen, random.Random(seed), seed
        self.kills = {"tailrace": 0, "source": 0, "target": 0}
        self.looks = self.commits_before = 0
        self.watch_sum = False
        self.following_since = None

    # ---- acts
    def prepare(self):
        self.screen.title("A shop on PostgreSQL, its copy, and a bad day in between")
        options = {"shared_buffers": "128MB", "max_wal_size": "4GB", "autovacuum": "off"}
        self.source_server = Postgres(options=options, name="src").start()
        self.target_server = Postgres(options=options, name="dst").start()
        self.source = self.source_server.database("shop")
        self.target = self.target_server.database("shop")
        self.screen.step("two private PostgreSQL servers started, fsync on")
        self.shop = Shop(self.source, self.seed)
        self.shop.create()
        rows, size = self.source.sql("SELECT sum(reltuples)::bigint, pg_size_pretty(sum(pg_total_relation_size(oid))) FROM"
                                     " pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r'")[0]
        self.screen.step(f"the shop has {len(TABLES)} tables, {rows:,} rows, {size}: identity, enums, a domain, foreign keys,"
                         " jsonb, arrays, ranges, TOAST")
        self.shop.start()
        self.screen.step(f"{self.shop.clients} clients buy, pay, cancel, transfer money, change keys and roll back")

    def config(self, **more):
        return {"task": "demo", "mode": "full-load-and-cdc", "source": {"url": self.source.url},
                "target": {"url": self.target.url}, "tables": {"include": ["shop.%"]}, "state": "state", "progress": "on",
                **more}

    def first_run(self):
        self.tailrace = Tailrace()
        words = ["tailrace", "run", "--source", self.source.url, "--target", self.target.url, "--tables", "shop.%"]
        self.screen.title("Full load and then changes, on the live database")
        self.screen.note("$ " + shlex.join(words))
        self.start()
        self.watch(lambda: self.percent() >= 30 or self.following(), "the load to be under way", 40)
        self.kill_tailrace()
        self.start()
        begun = time.monotonic()
        self.wait_following(60)
        self.screen.good(f"loaded and following {time.monotonic() - begun:.1f} s after the restart; the shop never stopped")
        self.watch_sum = True

    def bad_day(self):
        self.screen.title("A bad day")
        for _ in range(3):
            self.pause(0.4, 1.5)
            self.kill_tailrace()
            self.start()
            self.wait_following()
        self.pause(0.3, 0.8)
        self.source.sql("ALTER TABLE shop.customer ADD COLUMN rating numeric(3,1) DEFAULT 2.5")
        self.shop.has_rating = True
        self.screen.step("DDL in flight: ALTER TABLE shop.customer ADD COLUMN rating", "yellow", "!")
        self.watch(lambda: self.target.sql("SELECT 1 FROM pg_attribute WHERE attname = 'rating' AND attrelid ="
                                           " 'shop.customer'::regclass"), "the new column at the target")
        self.screen.good("the target has the column")
        self.kill_server("target", self.target_server)
        self.kill_server("source", self.source_server)
        self.large_transaction()

    def large_transaction(self):
        """One transaction of many rows, killed while it is on its way."""
        before = self.target.one("SELECT count(*) FROM shop.purchase_line")
        self.source.sql("WITH p AS (INSERT INTO shop.purchase (customer_id, note) SELECT 1 + i % 20000, 'import' FROM"
                        f" generate_series(1, {BIG_ROWS // 2}) i RETURNING id) INSERT INTO shop.purchase_line SELECT id, 1,"
                        " 1 + id % 4000, 1, 9.99 FROM p")
        self.screen.step(f"one transaction of {BIG_ROWS:,} rows", "yellow", "!")
        self.pause(0.05, 0.3)
        self.kill_tailrace()
        self.start()
        self.watch(lambda: self.target.one("SELECT count(*) FROM shop.purchase_line") >= before + BIG_ROWS // 4,
                   "the large transaction at the target")
        self.screen.good("the large transaction has arrived, whole")

    def drain(self):
        self.shop.stop()
        self.screen.title("Closing time")
        counts = self.shop.counts
        self.screen.step(f"the clients have stopped: {counts['commits']:,} transactions committed,"
                         f" {counts['rollbacks']:,} rolled back, {counts['reconnects']} connections lost to the kills")
        status = self.tailrace.stop()
        self.expect(status == 0, f"tailrace ended with {status} after SIGTERM")
        self.screen.step("tailrace ended by SIGTERM; one more run until everything is applied: tailrace run --stop drained")
        self.start(stop="drained")
        status = self.wait_end()
        self.expect(status == 0, f"tailrace ended with {status}\n{self.tailrace.stderr[-3000:]}")
        self.screen.good("drained")

    def prove(self):
        self.screen.title("Are they equal?")
        tables = [f"shop.{name}" for name in TABLES]
        left, right = self.source.connect(), self.target.connect()
        rows, equal = [], True
        for table in tables:
            ours, theirs = digest(left, table), digest(right, table)
            equal &= ours == theirs
            mark = self.screen.paint("equal", "green") if ours == theirs else self.screen.paint("DIFFERENT", "red")
            rows.append([table, f"{ours[0]:,}", f"{theirs[0]:,}", ours[1], theirs[1], mark])
        counters, behind = sequences(left, right), 0
        for name, ours, theirs in counters:
            behind += theirs is not None and theirs < ours
            equal &= theirs is not None
            mark = self.screen.paint("equal", "green") if ours == theirs else self.screen.paint("not yet", "yellow")
            rows.append([f"{name} (sequence)", "", "", f"{ours:,}", "none" if theirs is None else f"{theirs:,}", mark])
        self.screen.table(["table", "rows, source", "rows, target", "content, source", "content, target", ""], rows)
        if behind:
            self.screen.note("sequences move without a trace in the log: set the target's before it takes over")
        self.screen.write("")
        found = differences(left, right, tables)
        gaps = sum(journal_gaps(connection) for connection in (left, right))
        for connection in (left, right):
            connection.close()
        for line in found:
            self.screen.bad(line)
        kills = ", ".join(f"{name} {'once' if count == 1 else f'{count} times'}" for name, count in self.kills.items())
        self.screen.step(f"killed with SIGKILL: {kills}")
        self.screen.step(f"the target was looked at {self.looks:,} times while changes were applied: the money in all wallets"
                         " was complete every time")
        self.screen.step("the journal without a key has "
                         + ("neither a row too many nor one too few" if gaps == 0 else f"{gaps} gaps or doubles"))
        self.expect(equal and not found and gaps == 0, "source and target differ")

    def clean_up(self):
        result = self.tailrace.run("drop", config=self.config())
        self.expect(result.status == 0, f"tailrace drop: {result!r}")
        left = self.source.one("SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)")
        self.expect(left == 0, f"tailrace drop left {left} slots or publications at the source")
        self.screen.good("tailrace drop: no slot, no publication, no state is left behind")

    def hold(self):
        """The load and the task again, until Ctrl-C."""
        self.screen.title("Holding (DEMO_HOLD=1); Ctrl-C ends it and removes everything")
        for name, server in (("source", self.source_server), ("target", self.target_server)):
            self.screen.write(f"  {name}:  psql {shlex.quote(server.url('shop'))}")
        self.screen.write(f"  log:     tail -f {self.tailrace.dir}/stderr.{self.tailrace.starts + 1}\n")
        self.shop.start()
        self.start()
        self.watch(lambda: False, "Ctrl-C", 365 * 86400)

    # ---- the task's process
    def start(self, **more):
        self.tailrace.start("run", config=self.config(**more))

    def display(self):
        """The last thing that tailrace's own progress display has shown."""
        tail = self.tailrace.stderr[-4000:].split("\r")[-1]
        return ESCAPES.sub("", tail).strip().splitlines()[-1:] or [""]

    def percent(self):
        match = re.search(r"loading.* (\d+)%", self.display()[0])
        return int(match[1]) if match else -1

    def following(self):
        return self.display()[0].startswith("streaming")

    def wait_following(self, timeout=30):
        self.watch(self.following, "tailrace to follow the source", timeout)

    def kill_tailrace(self):
        shown = self.display()[0]
        self.tailrace.kill9()
        self.kills["tailrace"] += 1
        self.screen.kill(f"kill -9 tailrace   ({shown.split(' rows,')[0].split(', lag')[0]})")

    def kill_server(self, name, server):
        self.pause(0.3, 1.0)
        server.kill9()
        self.kills[name] += 1
        self.screen.kill(f"kill -9 the {name} server, all its processes")
        self.pause(0.3, 0.8)
        server.start()
        self.screen.step(f"the {name} server is back after crash recovery; tailrace has not been touched")
        marker = self.shop.commits + 50
        self.watch(lambda: self.shop.commits >= marker and self.following(), "tailrace to follow again")

    def wait_end(self):
        self.watch(lambda: not self.tailrace.running(), "the run to end", 60, must_run=False)
        return self.tailrace.wait_exit()

    # ---- waiting and looking
    def pause(self, low, high):
        """Lets things run for a random while."""
        until = time.monotonic() + self.random.uniform(low, high)
        self.watch(lambda: time.monotonic() >= until, "the time to pass")

    def watch(self, condition, what, timeout=30, must_run=True):
        """Waits for a condition, with the live line, and with an eye on the target."""
        next_look = [0.0]

        def look():
            if self.shop.problem:
                raise Broken(f"a client of the shop failed: {self.shop.problem!r}")
            if must_run and not self.tailrace.running():
                raise Broken(f"tailrace ended by itself:\n{self.tailrace.stderr[-3000:]}")
            if time.monotonic() >= next_look[0]:
                next_look[0] = time.monotonic() + 0.1
                self.observe()
                self.screen.show_live(f"source {self.shop.commits:,} commits │ tailrace {self.display()[0]}")
            return self.safely(condition)

        wait_until(look, timeout, lambda: f"{what}\n{self.tailrace.stderr[-3000:]}", interval=0.02)

    @staticmethod
    def safely(condition):
        try:
            return condition()
        except psycopg2.OperationalError:
            return False

    def observe(self):
        """At every moment the target is a state that the source once had: the money is all there."""
        if not self.watch_sum or not self.target_server.running():
            return
        try:
            total = self.target.one("SELECT sum(balance) FROM shop.wallet")
        except psycopg2.OperationalError:
            return
        self.looks += 1
        if total != self.shop.wallet_sum():
            raise Broken(f"the wallets at the target hold {total}, not {self.shop.wallet_sum()}")

    @staticmethod
    def expect(condition, text):
        if not condition:
            raise Broken(text)


def digest(connection, table):
    """Rows, and a hash of them all that does not depend on their order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(format('%%I::text', attname), ', ' ORDER BY attname) FROM pg_attribute"
                       " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", (table,))
        columns = cursor.fetchone()[0]
        cursor.execute(f"SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)::numeric), 0)"
                       f" FROM {table}")
        rows, total = cursor.fetchone()
    return rows, f"{int(total) % 2**64:016x}"


def sequences(left, right):
    def values(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'shop'")
            return dict(cursor.fetchall())
    ours, theirs = values(left), values(right)
    return [(f"shop.{name}", value, theirs.get(name)) for name, value in sorted(ours.items())]


def journal_gaps(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT 1 FROM shop.journal GROUP BY client HAVING count(*) <> max(n) OR"
                       " count(DISTINCT n) <> max(n)) wrong")
        return cursor.fetchone()[0]


def settings(screen):
    """(seed, the pair to show or None for both acts)"""
    pair = os.environ.get("PAIR") or None
    if pair is not None and pair not in pairs.PAIRS:
        screen.bad(f"there is no demo for PAIR={pair}; there is: " + ", ".join(pairs.PAIRS))
        sys.exit(2)
    seed = os.environ.get("DEMO_SEED") or str(random.SystemRandom().randrange(10000))
    if not seed.isdigit():
        screen.bad(f"DEMO_SEED={seed} is not a number")
        sys.exit(2)
    return int(seed), pair


def first_act(screen, seed):
    demo = Demo(screen, seed)
    demo.prepare()
    demo.first_run()
    demo.bad_day()
    demo.drain()
    demo.prove()
    if os.environ.get("DEMO_HOLD", "") not in ("", "0"):
        demo.hold()
    demo.clean_up()


def main():
    screen = Screen()
    seed, pair = settings(screen)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if pair in (None, FIRST):
            first_act(screen, seed)
        if pair != FIRST:
            pairs.PairDemo(screen, seed, pair or pairs.SECOND).play()
    except KeyboardInterrupt:
        screen.step("ended by Ctrl-C")
        return 130
    except (Broken, pairs.Broken, AssertionError, WaitTimeout, RuntimeError) as problem:
        screen.bad(str(problem))
        screen.note(f"the same again: DEMO_SEED={seed} make demo")
        return 1
    screen.write("")
    screen.good(screen.paint("source and target are equal, row by row", "bold"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
