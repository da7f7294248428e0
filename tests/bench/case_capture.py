"""Reading a backlog to null: beside pg_recvlogical with pgoutput, over TCP, both from copies of one slot."""

import os
import signal
import subprocess
import time

from lab import Process, Run, Wrong, client, new_dir, pg_client, server_cpu, summary, tailrace, wait_until

TPCB_TABLES = ["public.pgbench_accounts", "public.pgbench_branches", "public.pgbench_tellers", "public.pgbench_history",
               "public.bench_done"]


class Backlog:
    """Changes that wait behind a slot; each run reads them through a copy of it."""

    def __init__(self, server, database, tables, rows, transactions):
        self.server, self.database, self.tables = server, database, tables
        self.rows, self.transactions = rows, transactions
        self.copies = 0
        # The slot begins here; whoever makes the backlog calls close() behind it.
        self.start = database.one("SELECT lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')", (self.slot,))
        self.end = None

    @property
    def slot(self):
        return f"pristine_{self.database.name}"

    def close(self):
        self.end = self.database.one("SELECT pg_current_wal_insert_lsn()")
        self.server.sql("CHECKPOINT")

    def copy(self):
        self.copies += 1
        name = f"run_{self.database.name}_{self.copies}"
        self.database.sql("SELECT pg_copy_logical_replication_slot(%s, %s)", (self.slot, name))
        return name

    def drop(self, slot):
        def dropped():
            if self.database.one("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,)):
                return False
            self.database.sql("SELECT pg_drop_replication_slot(%s)", (slot,))
            return True
        wait_until(dropped, 30, f"slot {slot} to be free")


def tpcb_backlog(lab):
    """A database after pgbench -i, the same rows as database "base" at the target, and a backlog of TPC-B behind a slot."""
    if "tpcb" in lab.shared:
        return lab.shared["tpcb"]
    scale, per_client, clients = lab.size(20, 5), lab.size(60000, 5000), 4
    database = lab.source.database("tpcb")
    login = ["-h", lab.source.sockets, "-p", lab.source.port, "-U", "postgres", "tpcb"]
    client("pgbench", "-i", "-q", "-s", scale, *login)
    database.sql("CREATE TABLE bench_done (id int PRIMARY KEY)")
    database.sql("CREATE PUBLICATION bench FOR TABLE " + ", ".join(TPCB_TABLES))
    lab.shared["tpcb_scale"] = scale
    lab.shared["tpcb_dump"] = new_dir("dump") / "base.sql"
    with open(lab.shared["tpcb_dump"], "w", encoding="utf-8") as out:
        client("pg_dump", "-h", lab.source.sockets, "-p", lab.source.port, "-U", "postgres", "--no-publications", "tpcb",
               stdout=out)
    transactions = clients * per_client
    backlog = Backlog(lab.source, database, TPCB_TABLES, transactions * 4 + 1, transactions + 1)
    # The load itself is not measured: its commits need not wait for the disk.
    client("pgbench", "-n", "-c", clients, "-j", 2, "-t", per_client, *login,
           env={**os.environ, "PGOPTIONS": "-c synchronous_commit=off"})
    database.sql("INSERT INTO bench_done VALUES (1)")
    backlog.close()
    lab.shared["tpcb"] = backlog
    return backlog


def tailrace_to_null(backlog, wait_done=None):
    """wait_done, when given, waits for the end of the work; else the run has a position to stop at."""
    slot = backlog.copy()
    before = server_cpu(backlog.server)
    process = tailrace(backlog.database.url, "null:", mode="cdc", slot=slot, publication="bench",
                       tables=",".join(backlog.tables), start=f"lsn:{backlog.start}",
                       stop="never" if wait_done else f"lsn:{backlog.end}")
    extra = wait_done(process, slot) if wait_done else {}
    wall = extra.pop("wall", None) or process.wait()
    if wait_done:
        process.terminate()
        process.wait(30)
    backlog.drop(slot)                 # the walsender has ended, and its time is counted
    cpu = server_cpu(backlog.server) - before
    _, rows, transactions = summary(process)
    # A large transaction comes in slices, and the summary counts those.
    if rows != backlog.rows or transactions < backlog.transactions:
        raise Wrong(f"tailrace counted {rows} changes in {transactions} transactions, not {backlog.rows} in"
                    f" {backlog.transactions}")
    return Run(wall, rows, process.cpu, cpu, 0, process.rss, extra)


def first_row(process):
    process.wait_log("first row after", 120)
    return time.monotonic() - process.begun


def recvlogical(backlog, slot, output, **kwargs):
    return Process([pg_client("pg_recvlogical"), "-h", "127.0.0.1", "-p", backlog.server.port, "-U", "postgres", "-d",
                    backlog.database.name, "--slot", slot, "--start", "--endpos", backlog.end, "--no-loop", "-f", output,
                    "-o", "proto_version=1", "-o", "publication_names=bench"], **kwargs)


def recvlogical_to_null(backlog):
    slot = backlog.copy()
    before = server_cpu(backlog.server)
    process = recvlogical(backlog, slot, "/dev/null")
    wall = process.wait()
    backlog.drop(slot)
    return Run(wall, backlog.rows, process.cpu, server_cpu(backlog.server) - before, 0, process.rss)


def recvlogical_first_byte(backlog):
    """A run of its own, for a pipe would slow the other: until the first bytes come out, then no further."""
    slot = backlog.copy()
    process = recvlogical(backlog, slot, "-", stdout=subprocess.PIPE)
    process.popen.stdout.read(1)
    seconds = time.monotonic() - process.begun
    process.popen.send_signal(signal.SIGKILL)
    process.popen.stdout.close()
    process.kill()
    backlog.drop(slot)
    return seconds


class Capture:
    """What cases a and b share."""

    peers = ["pg_recvlogical"]
    warm_up = True

    def run(self, side):
        return tailrace_to_null(self.backlog) if side == "tailrace" else recvlogical_to_null(self.backlog)


class TpcbToNull(Capture):
    name, goal = "capture", {"pg_recvlogical": 2.0}
    title = "TPC-B backlog to null:, over TCP; peer pg_recvlogical -o proto_version=1 -f /dev/null"

    def prepare(self, lab):
        self.backlog = tpcb_backlog(lab)


class LargeToNull(Capture):
    name, goal = "large", {"pg_recvlogical": 1.5}
    title = "one transaction to null:, over TCP; peer pg_recvlogical -o proto_version=1 -f /dev/null"

    def prepare(self, lab):
        rows = lab.size(2_000_000, 200_000)
        self.title = f"one transaction of {rows:,} rows to null:" + self.title[len("one transaction to null:"):]
        database = lab.source.database("large")
        database.sql("CREATE TABLE big (id int PRIMARY KEY, k int, c char(120), pad char(60)); CREATE TABLE bench_done (id int"
                     " PRIMARY KEY); CREATE PUBLICATION bench FOR TABLE big, bench_done")
        self.backlog = Backlog(lab.source, database, ["public.big", "public.bench_done"], rows + 1, 2)
        database.sql(f"INSERT INTO big SELECT i, i % 1000, md5(i::text) || md5((i + 1)::text), md5((i + 2)::text) FROM"
                     f" generate_series(1, {rows}) i")
        self.before_done = database.one("SELECT pg_current_wal_insert_lsn()")
        database.sql("INSERT INTO bench_done VALUES (1)")
        self.backlog.close()

    def run(self, side):
        if side == "tailrace":
            return tailrace_to_null(self.backlog, self.wait_done)
        run = recvlogical_to_null(self.backlog)
        run.extra["first row s"] = recvlogical_first_byte(self.backlog)
        return run

    def wait_done(self, process, slot):
        """Without a position to stop at rows go out while their transaction is open: done is what is acknowledged."""
        first = first_row(process)

        def acknowledged():
            if process.poll() is not None:
                raise Wrong(f"tailrace ended with {process.status}:\n{process.tail()}")
            return self.backlog.database.one("SELECT confirmed_flush_lsn > %s::pg_lsn FROM pg_replication_slots WHERE"
                                             " slot_name = %s", (self.before_done, slot))

        wait_until(acknowledged, 300, "the acknowledgement", interval=0.02)
        return {"wall": time.monotonic() - process.begun, "first row s": first}
