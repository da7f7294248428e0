"""From the commit at the source until the row can be read at the target, while 1,000 transactions a second go by."""

import random
import threading
import time

from lab import Process, Run, Wrong, checksum, client, expect_equal, pg_client, tailrace, wait_until

RATE = 1000
TABLES = ["public.pgbench_accounts", "public.pgbench_branches", "public.pgbench_tellers", "public.pgbench_history",
          "public.probe"]


def ranks(times):
    """What is told of the seconds that commits took."""
    rank = sorted(times)
    return {"p50 ms": 1e3 * rank[len(rank) // 2], "p99 ms": 1e3 * rank[len(rank) * 99 // 100], "max ms": 1e3 * rank[-1]}


def lone_commits(writer, seen, seconds, process):
    """Lone commits at random moments, about 25 a second, each followed to the target: how long until seen(number), asked every 0.2 ms."""
    pause, rng, times = threading.Event(), random.Random(1), []
    end = time.monotonic() + seconds
    pause.wait(1)
    while time.monotonic() < end:
        number = len(times) + 1
        writer.execute("INSERT INTO probe (id) VALUES (%s)", (number,))
        begun = time.perf_counter()
        while not seen(number):
            alive(process)
            if time.perf_counter() - begun > 30:
                raise Wrong("a commit did not arrive within 30 s")
            pause.wait(0.0002)
        times.append(time.perf_counter() - begun)
        pause.wait(rng.uniform(0.01, 0.06))
    return times


class Latency:
    name, goal = "latency", {}
    title = (f"a lone commit until it is visible at the target, at {RATE:,} tx/s; from the return of COMMIT at the source until"
             " a SELECT at the target (asked every 0.2 ms) sees the row; peer: the server's own subscription")
    peers = ["subscription"]
    warm_up = False

    def prepare(self, lab):
        self.lab, self.runs = lab, 0

    def run(self, side):
        self.runs += 1
        source = self.lab.source.database(f"latency{self.runs}")
        target = self.lab.target.database(f"latency{self.runs}")
        login = ["-h", self.lab.source.sockets, "-p", self.lab.source.port, "-U", "postgres", source.name]
        client("pgbench", "-i", "-q", "-s", self.lab.size(10, 2), *login)
        source.sql("CREATE TABLE probe (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        process = getattr(self, "begin_" + side)(source, target)
        seconds = self.lab.size(30, 8)
        load = Process([pg_client("pgbench"), "-n", "-c", 4, "-j", 1, "-R", RATE, "-T", seconds + 3, *login])
        times = self.probe(source, target, seconds, process)
        load.wait(120)
        self.wait_equal(source, target, process)
        wanted = checksum(source, TABLES)
        self.end(side, process, target)
        expect_equal(wanted, checksum(target, TABLES), side)
        done = source.one("SELECT count(*) FROM pgbench_history")
        source.drop()
        target.drop()
        return Run(seconds, len(times), process.cpu if process else 0, rss=process.rss if process else 0,
                   extra={**ranks(times), "probes": len(times), "tx/s": done / (seconds + 3)})

    def begin_tailrace(self, source, target):
        process = tailrace(source.url, target.url, mode="full-load-and-cdc", tables=",".join(TABLES))
        self.wait_first(source, target, process)
        return process

    def begin_subscription(self, source, target):
        schema = client("pg_dump", "-s", source.url, stdout=-1).stdout
        self.lab.target.psql(schema, target.name)
        source.sql("CREATE PUBLICATION peer FOR TABLE " + ", ".join(TABLES))
        target.sql(f"CREATE SUBSCRIPTION peer CONNECTION 'host=127.0.0.1 port={self.lab.source.port} user=postgres dbname="
                   f"{source.name}' PUBLICATION peer WITH (slot_name = {source.name})")
        self.wait_first(source, target, None)
        return None

    def wait_first(self, source, target, process):
        """Until everything is loaded and a change has come through."""
        source.sql("INSERT INTO probe VALUES (0)")

        def arrived():
            alive(process)
            return target.sql("SELECT 1 FROM pg_class WHERE oid = to_regclass('probe')") and \
                target.sql("SELECT 1 FROM probe WHERE id = 0") and self.loaded(target)

        wait_until(arrived, 120, "the first row at the target")
        if process is not None:
            source.sql("INSERT INTO probe VALUES (-1)")
            wait_until(lambda: target.sql("SELECT 1 FROM probe WHERE id = -1"), 120, "the first change at the target")

    @staticmethod
    def loaded(target):
        if not target.one("SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname ="
                          " current_database())"):
            return True
        return target.one("SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")

    @staticmethod
    def probe(source, target, seconds, process):
        reader = target.connect().cursor()
        reader.execute("PREPARE seen (int) AS SELECT 1 FROM probe WHERE id = $1")

        def seen(number):
            reader.execute(f"EXECUTE seen ({number})")
            return reader.fetchone()

        return lone_commits(source.connect().cursor(), seen, seconds, process)

    @staticmethod
    def wait_equal(source, target, process):
        def same():
            alive(process)
            count = "SELECT count(*) FROM pgbench_history"
            return source.one(count) == target.one(count)
        wait_until(same, 120, "the target to catch up")

    @staticmethod
    def end(side, process, target):
        if side == "tailrace":
            process.terminate()
            process.wait(30)
        else:
            target.sql("DROP SUBSCRIPTION peer")


def alive(process):
    if process is not None and process.poll() is not None:
        raise Wrong(f"tailrace ended with {process.status}:\n{process.tail()}")
