"""Servers, measured processes and figures: what every case of the benchmark uses."""

import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness.process import descendants, new_dir  # noqa: E402
from harness.servers import Postgres, pg_client  # noqa: E402
from harness.tailrace import binary_path  # noqa: E402
from harness.wait import wait_until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
_numbers = itertools.count(1)


class Wrong(Exception):
    """A run gave a wrong result or failed: the benchmark fails with it."""


class Skip(Exception):
    """A case or a peer that cannot run here, with the reason."""


# The same for source and target, and the same for tailrace and its peers. fsync is on.
COMMON = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "30min", "maintenance_work_mem": "256MB",
          "autovacuum": "off", "max_connections": 60}


class Lab:
    """One source and one target server, made when first asked for; scale: full or small."""

    def __init__(self, scale, pairs):
        self.small = scale == "small"
        self.pairs = pairs
        self.dir = new_dir("bench")
        self._source = self._target = None
        self.shared = {}               # what cases hand on to each other: the TPC-B backlog

    def size(self, full, small):
        return small if self.small else full

    @property
    def source(self):
        if self._source is None:
            self._source = Postgres(options={**COMMON, "wal_level": "logical"}, name="src").start()
        return self._source

    @property
    def target(self):
        if self._target is None:
            self._target = Postgres(options={**COMMON, "wal_level": "replica"}, name="dst").start()
        return self._target

    def stop(self):
        for server in (self._source, self._target):
            if server is not None:
                server.remove()


@dataclass
class Run:
    """One measured run of one side."""

    wall: float
    rows: int = 0
    cpu: float = 0.0                   # the program and its children, seconds
    source_cpu: float = 0.0
    target_cpu: float = 0.0
    rss: int = 0                       # highest resident set, bytes
    extra: dict = field(default_factory=dict)

    @property
    def rate(self):
        return self.rows / self.wall


class Process:
    """A program whose time, processor time and memory are measured, to its end or to a moment that the case chooses."""

    def __init__(self, command, cwd=None, stdout=None, env=None, log=None):
        self.command = [str(word) for word in command]
        self.log = Path(log) if log else new_dir("log") / "stderr"
        self.begun = time.monotonic()
        self.status = self.usage = self.ended = None
        self.rss = 0                   # highest resident set, bytes: getrusage's would include this interpreter's
        with open(self.log, "wb") as err:
            # setpriv's death signal: the program does not outlive a benchmark that is killed
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.command], cwd=cwd, env=env,
                                          stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL, stderr=err)
        self.over = threading.Event()
        threading.Thread(target=self._watch_memory, daemon=True).start()

    def _watch_memory(self):
        while not self.over.wait(0.05):
            with contextlib.suppress(OSError, TypeError):
                self.rss = max(self.rss, self.memory("VmHWM"))

    @property
    def pid(self):
        return self.popen.pid

    def poll(self):
        """The exit status, or None while it runs."""
        if self.status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid != 0:
                self._ended(status, usage)
        return self.status

    def wait(self, timeout=600):
        """The seconds it took; fails unless it ended with 0."""
        killer = threading.Timer(timeout, self.popen.kill)
        killer.start()
        if self.status is None:
            _, status, usage = os.wait4(self.pid, 0)
            self._ended(status, usage)
        killer.cancel()
        if self.status != 0:
            raise Wrong(f"{' '.join(self.command)} ended with {self.status}:\n{self.tail()}")
        return self.ended - self.begun

    def _ended(self, status, usage):
        self.ended = time.monotonic()
        self.over.set()
        self.status, self.usage = os.waitstatus_to_exitcode(status), usage
        self.popen.returncode = self.status

    def terminate(self):
        self.popen.terminate()

    def kill(self):
        if self.poll() is None:
            self.popen.kill()
            os.wait4(self.pid, 0)
            self.status = self.popen.returncode = -9

    @property
    def cpu(self):
        return self.usage.ru_utime + self.usage.ru_stime

    def memory(self, field_name):
        """A field of /proc/PID/status in bytes: VmRSS, VmHWM, RssAnon."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{field_name}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self):
        return self.text()[-3000:]

    def wait_log(self, pattern, timeout=60):
        def found():
            if re.search(pattern, self.text()):
                return True
            if self.poll() is not None:
                raise Wrong(f"{self.command[0]} ended with {self.status} before /{pattern}/:\n{self.tail()}")
            return False
        wait_until(found, timeout, lambda: f"/{pattern}/ in {self.tail()}", interval=0.01)


def server_cpu(server):
    """Processor seconds of a server and all its processes, those that have ended included."""
    total = 0
    for pid in [server.child.pid, *descendants(server.child.pid)]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def client(name, *words, stdout=subprocess.DEVNULL, **kwargs):
    """Runs a PostgreSQL client program to its end."""
    done = subprocess.run([pg_client(name), *[str(word) for word in words]], stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise Wrong(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done


def tailrace(source, target, log=None, **options):
    """Starts `tailrace run` with flags; source and target are URLs. Returns the Process; its folder holds the state."""
    folder = new_dir("task")
    words = [binary_path(), "run", "--source", source, "--target", target, "--state", folder / "state"]
    for name, value in {"task": f"bench{next(_numbers)}", "progress": "off", **options}.items():
        words += [f"--{name}", value]
    return Process(words, cwd=folder, log=log)


def summary(process):
    """(rows loaded, changes, transactions) as tailrace says at its end."""
    text = process.text()
    match = re.search(r"done: (?:([\d,]+) rows? loaded in \d+ tables?, )?(\d+) changes? in (\d+) transactions?", text)
    if not match:
        raise Wrong(f"no summary in tailrace's log:\n{process.tail()}")
    return int(match[1] or 0), int(match[2]), int(match[3])


def checksum(database, tables):
    """{table: (rows, hash)}, the same for the same rows in any order."""
    found = {}
    connection = database.connect()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute("SELECT string_agg(format('%%I::text', attname), ', ' ORDER BY attname) FROM pg_attribute"
                           " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", (table,))
            columns = cursor.fetchone()[0]
            cursor.execute(f"SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)::numeric), 0)::text"
                           f" FROM {table}")
            found[table] = cursor.fetchone()
    connection.close()
    return found


def expect_equal(wanted, found, who):
    wrong = {table: (wanted[table], found.get(table)) for table in wanted if wanted[table] != found.get(table)}
    if wrong:
        raise Wrong(f"{who}: the target does not hold what the source holds: {wrong}")


__all__ = ["Lab", "Process", "Run", "Skip", "Wrong", "checksum", "client", "expect_equal", "new_dir",
           "pg_client", "server_cpu", "summary", "tailrace", "wait_until"]
