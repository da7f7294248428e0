"""Many tables: how long each command takes, beside the product's own dump of the schema."""

import subprocess
import time

from case_binlog import new_server
from lab import Process, Run, Wrong, binary_path, client, new_dir, server_cpu, summary, wait_until

CHUNK = 500


def run_command(command, source, target, state, **options):
    words = [binary_path(), command, "--source", source, "--target", target, "--state", state, "--task", "tables"]
    for name, value in options.items():
        words += [f"--{name}", value]
    return Process(words, cwd=new_dir("task"))


class Tables:
    """Tables with a key of their own, an index and five rows each. What is compared is the time that printing the schema takes."""

    name, goal = "tables", {"pg_dump": 0.5}
    peers = ["pg_dump"]
    warm_up = False
    count, small = 10_000, 2_000

    def prepare(self, lab):
        self.lab = lab
        self.tables = lab.size(self.count, self.small)
        self.title = f"{self.tables:,} tables: tailrace schema beside {self.peers[0]} of the schema alone; and the other commands"
        self.fill()

    # -- what another product does otherwise
    def fill(self):
        self.server = self.lab.source
        self.database = self.server.database()
        self.include = "public.%"
        for first in range(0, self.tables, CHUNK):
            self.sql(*[f"CREATE TABLE t{i} (id bigserial PRIMARY KEY, v text, n int); CREATE INDEX ON t{i} (n);"
                       f"INSERT INTO t{i} (v, n) SELECT 'x', i FROM generate_series(1, 5) i" for i in range(first, min(first + CHUNK, self.tables))])
        self.sql("ANALYZE")

    def sql(self, *statements):
        self.database.sql(";".join(statements))

    def dump(self):
        client("pg_dump", "-s", "-d", self.database.url)

    def arrived(self, target, number):
        return target.one(f"SELECT count(*) FROM {self.place(number)} WHERE v = 'first'") == 1

    @staticmethod
    def place(number):
        return f"public.t{number}"

    # -- runs
    def run(self, side):
        if side != "tailrace":
            before, begun = server_cpu(self.server), time.monotonic()
            self.dump()
            return Run(time.monotonic() - begun, self.tables, 0, server_cpu(self.server) - before)
        target, state, before = self.lab.target.database(), new_dir("state"), server_cpu(self.server)
        try:
            return self.measure(target, state, before)
        finally:
            subprocess.run([binary_path(), "drop", "--source", self.database.url, "--target", target.url, "--state", state, "--task", "tables"],
                           capture_output=True, check=True)
            target.drop()

    def command(self, name, target, state, **options):
        process = run_command(name, self.database.url, target.url, state, tables=self.include, **options)
        return process, process.wait(3600)

    def measure(self, target, state, before):
        printed, wall = self.command("schema", target, state)
        source_cpu = server_cpu(self.server) - before
        checked, check = self.command("check", target, state)
        loaded, load = self.command("run", target, state, stop="drained")
        if summary(loaded)[0] != 5 * self.tables:
            raise Wrong(f"{summary(loaded)} instead of {5 * self.tables} rows:\n{loaded.tail()}")
        idle, again = self.command("run", target, state, stop="drained")
        first = self.first_change(target, state)
        self.sql(*[f"UPDATE t{i} SET n = n + 1 WHERE id = 1" for i in range(self.tables)])
        changed, each = self.command("run", target, state, stop="drained")
        if summary(changed)[1] != self.tables + 1:  # the row of first_change goes as well
            raise Wrong(f"{summary(changed)} instead of {self.tables + 1} changes:\n{changed.tail()}")
        extra = {"check s": check, "make and load s": load, "restart s": again, "first change after a restart s": first,
                 "a change in each table s": each, "CPU of schema s": printed.cpu, "CPU of check s": checked.cpu, "CPU of load s": loaded.cpu,
                 "CPU of restart s": idle.cpu, "CPU of a change in each s": changed.cpu, "memory of load MiB": loaded.rss / 2**20,
                 "memory of changes MiB": changed.rss / 2**20}
        return Run(wall, self.tables, printed.cpu, source_cpu, rss=max(printed.rss, checked.rss, loaded.rss, changed.rss), extra=extra)

    def first_change(self, target, state):
        """Seconds from the start of the program until a change that waited for it is at the target."""
        number = self.tables // 2
        self.sql(f"INSERT INTO t{number} (v, n) VALUES ('first', 0)")
        process = run_command("run", self.database.url, target.url, state, tables=self.include)
        wait_until(lambda: self.arrived(target, number), 600, f"the change at the target:\n{process.tail()}", interval=0.02)
        took = time.monotonic() - process.begun
        process.terminate()
        process.wait(60)
        self.sql(f"DELETE FROM t{number} WHERE v = 'first'")
        return took


class TablesMariadb(Tables):
    name, goal = "tables-mariadb", {"mariadb-dump": 0.5}
    peers = ["mariadb-dump"]
    count, small = 5_000, 500

    def fill(self):
        self.server = new_server("mariadb", "tables", **{"table-open-cache": 20000, "innodb-open-files": 20000})
        self.database = self.server.database()
        self.include = f"{self.database.name}.%"
        connection = self.database.connect()
        with connection.cursor() as cursor:
            for i in range(self.tables):
                cursor.execute(f"CREATE TABLE t{i} (id bigint AUTO_INCREMENT PRIMARY KEY, v text, n int, KEY (n))")
                cursor.execute(f"INSERT INTO t{i} (v, n) VALUES ('x', 1), ('x', 2), ('x', 3), ('x', 4), ('x', 5)")
        connection.close()

    def sql(self, *statements):
        connection = self.database.connect()
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def dump(self):
        words = [self.server.tool("mariadb-dump", "mysqldump"), "--socket", self.server.sockets / "m", "-uroot", "--no-data", self.database.name]
        done = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Wrong(f"mariadb-dump ended with {done.returncode}: {done.stderr[-500:]}")

    def arrived(self, target, number):
        return target.one(f"SELECT count(*) FROM {self.database.name}.t{number} WHERE v = 'first'") == 1


CASES = [Tables, TablesMariadb]
