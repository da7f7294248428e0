"""Applying a TPC-B backlog, PostgreSQL to PostgreSQL: beside the server's own subscription."""

import time

from case_capture import TPCB_TABLES, tpcb_backlog
from lab import Run, Wrong, checksum, client, expect_equal, server_cpu, tailrace, wait_until

from harness.servers import Database  # lab has made the harness importable


class Apply:
    name, goal = "apply", {"subscription": 1.5}
    title = "TPC-B backlog applied, PostgreSQL to PostgreSQL; peer: the server's own subscription with its defaults"
    peers = ["subscription"]
    warm_up = False

    def prepare(self, lab):
        self.lab, self.backlog = lab, tpcb_backlog(lab)
        self.wanted = checksum(self.backlog.database, TPCB_TABLES)
        if "tpcb_base" not in lab.shared:  # one for all cases of a run
            base = lab.shared["tpcb_base"] = lab.target.database("base")
            client("psql", "-X", "-q", "-h", lab.target.sockets, "-p", lab.target.port, "-U", "postgres", "-f",
                   lab.shared["tpcb_dump"], "base")
            base.sql("VACUUM ANALYZE")
        self.runs = 0

    def run(self, side):
        self.runs += 1
        name = f"apply{self.runs}"
        self.lab.target.sql(f"CREATE DATABASE {name} TEMPLATE base STRATEGY file_copy")
        self.lab.target.sql("CHECKPOINT")
        target, slot = Database(self.lab.target, name), self.backlog.copy()
        before = server_cpu(self.lab.source), server_cpu(self.lab.target)
        result = (self.by_tailrace if side == "tailrace" else self.by_subscription)(target, slot)
        result.source_cpu = server_cpu(self.lab.source) - before[0]
        result.target_cpu = server_cpu(self.lab.target) - before[1]
        expect_equal(self.wanted, checksum(target, TPCB_TABLES), side)
        self.backlog.drop(slot)
        target.drop()
        return result

    def wait_done(self, target, begun, check):
        """Until the last row of the backlog is visible at the target."""
        connection = target.connect()
        cursor = connection.cursor()

        def visible():
            check()
            cursor.execute("SELECT 1 FROM bench_done")
            return cursor.fetchone()

        wait_until(visible, 600, "the end of the backlog at the target", interval=0.02)
        seconds = time.monotonic() - begun
        connection.close()
        return seconds

    def by_tailrace(self, target, slot):
        process = tailrace(self.backlog.database.url, target.url, mode="cdc", slot=slot, publication="bench",
                           schema="expect", tables=",".join(TPCB_TABLES), start=f"lsn:{self.backlog.start}",
                           stop=f"lsn:{self.backlog.end}")

        def check():
            if process.poll() not in (None, 0):
                raise Wrong(f"tailrace ended with {process.status}:\n{process.tail()}")

        wall = self.wait_done(target, process.begun, check)
        process.wait()
        return Run(wall, self.backlog.rows, process.cpu, rss=process.rss)

    def by_subscription(self, target, slot):
        begun = time.monotonic()
        target.sql(f"CREATE SUBSCRIPTION peer CONNECTION 'host=127.0.0.1 port={self.lab.source.port} user=postgres"
                   f" dbname={self.backlog.database.name}' PUBLICATION bench WITH (create_slot = false, slot_name ="
                   f" {slot}, copy_data = false)")
        wall = self.wait_done(target, begun, lambda: None)
        target.sql("ALTER SUBSCRIPTION peer DISABLE")
        target.sql("ALTER SUBSCRIPTION peer SET (slot_name = NONE)")
        target.sql("DROP SUBSCRIPTION peer")
        return Run(wall, self.backlog.rows)

