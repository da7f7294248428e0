"""The same as case_latency.py between MariaDB's servers and between MySQL's, beside the server's own replica."""

import threading

from case_binlog import SCHEMA, TABLES, TRANSACTION, new_server, rows_of, statements
from case_latency import RATE, alive, lone_commits, ranks
from lab import Run, Wrong, tailrace, wait_until

from harness.servers import Database  # lab has made the harness importable

CLIENTS = 4

# Transactions of four rows at a steady pace: each has its moment, and one that comes late does not put off the next.
PACED = """
CREATE PROCEDURE paced (transactions int, pause_us int)
BEGIN
    DECLARE i int DEFAULT 0;
    DECLARE a, t, b, d int;
    DECLARE begun datetime(6) DEFAULT sysdate(6);
    WHILE i < transactions DO
        DO sleep(greatest(0, i * pause_us - timestampdiff(MICROSECOND, begun, sysdate(6))) / 1e6);
{transaction}
        SET i = i + 1;
    END WHILE;
END
"""


class Latency:
    """A lone commit followed to the target, with RATE transactions a second beside it."""

    kind, peers, goal, warm_up = "mariadb", ["replica"], {}, False

    def prepare(self, lab):
        self.lab = lab

    def run(self, side):
        source, target = new_server(self.kind, f"{self.kind}src"), new_server(self.kind, f"{self.kind}dst", **{"server-id": 2})
        try:
            return self.measure(side, source, target)
        finally:
            source.remove()
            target.remove()

    def measure(self, side, source_server, target_server):
        seconds = self.lab.size(30, 8)
        transactions = RATE * (seconds + 3) // CLIENTS
        process = None
        if side == "replica":
            self.follow(source_server, target_server)
        source, target = source_server.database("bench"), Database(target_server, "bench")
        self.fill(source)
        if side == "tailrace":
            target_server.database("bench")
            process = tailrace(source.url, target.url, mode="full-load-and-cdc", tables=",".join(f"bench.{t}" for t in [*TABLES, "probe"]))
        self.wait_first(source, target, process)
        load = [threading.Thread(target=source.sql, args=(f"CALL paced({transactions}, {CLIENTS * 1000000 // RATE})",)) for _ in range(CLIENTS)]
        for thread in load:
            thread.start()
        times = self.probe(source, target, seconds, process)
        for thread in load:
            thread.join()
        wait_until(lambda: alive(process) or target.one("SELECT count(*) FROM history") == transactions * CLIENTS, 120, "the target to catch up")
        if process is not None:
            process.terminate()
            process.wait(30)
        if rows_of(source, TABLES) != rows_of(target, TABLES):
            raise Wrong(f"{side}: the target's rows are not the source's")
        return Run(seconds, len(times), process.cpu if process else 0, rss=process.rss if process else 0,
                   extra={**ranks(times), "probes": len(times)})

    def fill(self, source):
        accounts = self.lab.size(100_000, 20_000)
        statements(source, SCHEMA.format(accounts=accounts))
        source.sql("CREATE TABLE probe (id int PRIMARY KEY, at timestamp(6) NOT NULL DEFAULT now(6))")
        source.sql(PACED.format(transaction=TRANSACTION.format(accounts=accounts)))

    def follow(self, source, target):
        """The server's own replica, from the beginning of the source's log."""
        target.sql(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={source.port}, master_user='root', master_use_gtid=slave_pos"
                   if self.kind == "mariadb" else
                   f"CHANGE REPLICATION SOURCE TO source_host='127.0.0.1', source_port={source.port}, source_user='root',"
                   " get_source_public_key=1, source_auto_position=1")
        target.sql("START SLAVE" if self.kind == "mariadb" else "START REPLICA")

    @staticmethod
    def wait_first(source, target, process):
        """Until everything is there and changes come through."""
        source.sql("INSERT INTO probe (id) VALUES (0)")

        def arrived():
            alive(process)
            there = target.server.sql("SELECT 1 FROM information_schema.tables WHERE table_schema = 'bench' AND table_name = 'probe'")
            return there and target.sql("SELECT 1 FROM probe WHERE id = 0")

        wait_until(arrived, 180, "the first row at the target")
        source.sql("INSERT INTO probe (id) VALUES (-1)")
        wait_until(lambda: alive(process) or target.sql("SELECT 1 FROM probe WHERE id = -1"), 180, "the first change at the target")

    @staticmethod
    def probe(source, target, seconds, process):
        reader = target.connect().cursor()
        return lone_commits(source.connect().cursor(), lambda number: reader.execute("SELECT 1 FROM probe WHERE id = %s", (number,)), seconds, process)


class MariadbLatency(Latency):
    name = "latency-mariadb"
    title = f"a lone commit of MariaDB until it is visible at MariaDB, at {RATE:,} tx/s; peer: the server's own replica"


class MysqlLatency(Latency):
    kind = "mysql"
    name = "latency-mysql"
    title = f"a lone commit of MySQL until it is visible at MySQL, at {RATE:,} tx/s; peer: the server's own replica"


CASES = [MariadbLatency, MysqlLatency]
