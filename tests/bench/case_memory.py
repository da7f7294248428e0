"""Resident memory: idle, and while a transaction of 5 million rows goes through."""

import time

from case_latency import alive
from lab import Run, checksum, expect_equal, tailrace, wait_until

MEMORY = "256MiB"


class Memory:
    name, goal = "memory", {}
    title = f"resident memory, idle and during one large transaction with memory: {MEMORY}, PostgreSQL to PostgreSQL"
    peers = []
    warm_up = False

    def prepare(self, lab):
        self.lab = lab
        self.rows = lab.size(5_000_000, 500_000)
        self.title = self.title.replace("one large transaction", f"one transaction of {self.rows:,} rows")

    def run(self, _side):
        source, target = self.lab.source.database(), self.lab.target.database()
        source.sql("CREATE TABLE big (id int PRIMARY KEY, k int, c text); CREATE TABLE probe (id int PRIMARY KEY)")
        process = tailrace(source.url, target.url, mode="full-load-and-cdc", tables="public.%", memory=MEMORY)
        source.sql("INSERT INTO probe VALUES (1)")
        self.wait_probe(target, 1, process)
        source.sql("INSERT INTO probe VALUES (2)")
        self.wait_probe(target, 2, process)
        idle = process.memory("VmRSS")
        begun = time.monotonic()
        source.sql(f"INSERT INTO big SELECT i, i % 1000, md5(i::text) || md5((i + 1)::text) FROM"
                   f" generate_series(1, {self.rows}) i")
        written = time.monotonic() - begun
        source.sql("INSERT INTO probe VALUES (3)")
        self.wait_probe(target, 3, process)
        wall = time.monotonic() - begun
        peak, after = process.memory("VmHWM"), process.memory("VmRSS")
        process.terminate()
        process.wait(30)
        expect_equal(checksum(source, ["public.big"]), checksum(target, ["public.big"]), "tailrace")
        source.drop()
        target.drop()
        return Run(wall, self.rows, process.cpu, rss=peak,
                   extra={"idle MiB": idle / 2**20, "peak MiB": peak / 2**20, "after MiB": after / 2**20,
                          "written after s": written})

    @staticmethod
    def wait_probe(target, number, process):
        def seen():
            alive(process)
            return target.sql("SELECT 1 FROM pg_class WHERE oid = to_regclass('probe')") and \
                target.sql("SELECT 1 FROM probe WHERE id = %s", (number,))
        wait_until(seen, 600, f"probe {number} at the target")
