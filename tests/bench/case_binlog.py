"""MariaDB and MySQL as sources and targets: beside the servers' own tools, pgloader and mydumper."""

import shutil
import subprocess
import threading
import time
from pathlib import Path

from case_apply import Apply
from case_capture import TPCB_TABLES
from lab import ROOT, Process, Run, Skip, Wrong, new_dir, server_cpu, summary, tailrace, wait_until

from harness.servers import MariaDB, MySQL  # lab has made the harness importable

FIGURES = {
    "accounts": "count(*), sum(id), sum(balance), sum(balance * (id % 1009))",
    "tellers": "count(*), sum(id), sum(balance), sum(balance * id)",
    "branches": "count(*), sum(id), sum(balance), sum(balance * id)",
    "history": "count(*), sum(id), sum(delta), sum(delta * (id % 1009)), sum(account), sum(teller * branch)",
}
TABLES = ["accounts", "tellers", "branches", "history"]
SERVER = {"innodb-buffer-pool-size": "1G", "max-connections": 60, "local-infile": "ON",
          "max-allowed-packet": "64M"}
# Bulk work that is not measured need not wait for the disk.
HURRY = "SET GLOBAL sync_binlog = {0}, GLOBAL innodb_flush_log_at_trx_commit = {0}"

SCHEMA = """
CREATE TABLE accounts (id int PRIMARY KEY, branch int, balance int, filler char(84));
CREATE TABLE tellers (id int PRIMARY KEY, branch int, balance int, filler char(84));
CREATE TABLE branches (id int PRIMARY KEY, balance int, filler char(88));
CREATE TABLE history (id bigint PRIMARY KEY AUTO_INCREMENT, teller int, branch int, account int, delta int, at timestamp(6) NOT NULL,
    filler char(22));
CREATE TABLE seq (n int PRIMARY KEY);
INSERT INTO seq WITH RECURSIVE d (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 999) SELECT a.n * 1000 + b.n + 1 FROM d a, d b;
INSERT INTO accounts SELECT n, n % 20, 0, 'account' FROM seq WHERE n <= {accounts};
INSERT INTO tellers SELECT n, n % 20, 0, 'teller' FROM seq WHERE n <= 200;
INSERT INTO branches SELECT n, 0, 'branch' FROM seq WHERE n <= 20;
"""

# Four rows, as TPC-B has them.
TRANSACTION = """
        SET a = 1 + floor(rand() * {accounts}), t = 1 + floor(rand() * 200), b = 1 + floor(rand() * 20), d = 1 + floor(rand() * 5000);
        START TRANSACTION;
        UPDATE accounts SET balance = balance + d WHERE id = a;
        UPDATE tellers SET balance = balance + d WHERE id = t;
        UPDATE branches SET balance = balance + d WHERE id = b;
        INSERT INTO history (teller, branch, account, delta, at, filler) VALUES (t, b, a, d, now(6), 'history');
        COMMIT;"""
WORK = """
CREATE PROCEDURE work (transactions int)
BEGIN
    DECLARE i int DEFAULT 0;
    DECLARE a, t, b, d int;
    WHILE i < transactions DO
{transaction}
        SET i = i + 1;
    END WHILE;
END
"""


def mysql_dir():
    """MySQL 9's folder, fetched when it is missing."""
    done = subprocess.run([str(ROOT / "scripts/fetch-servers.sh"), "mysql9"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Skip("MySQL 9 cannot be had here: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return Path(done.stdout.strip().splitlines()[-1])


def new_server(kind, name, **options):
    if kind == "mysql":
        return MySQL(options={**MySQL.default_options(None), **SERVER, "innodb-redo-log-capacity": "2G", **options}, bin_dir=mysql_dir(), name=name).start()
    return MariaDB(options={**MariaDB.default_options(None), **SERVER, "innodb-log-file-size": "1G", **options}, name=name).start()


def statements(database, script):
    for statement in script.split(";\n"):
        if statement.strip():
            database.sql(statement)


def rows_of(database, tables):
    """{table: figures}, the same for the same rows in any order, and of one form at all servers."""
    return {table: tuple(str(int(value)) for value in database.sql(f"SELECT {FIGURES[table]} FROM {table}")[0]) for table in tables}


class Binlog:
    """A server with a backlog of small transactions in its log, and where that begins and ends."""

    def __init__(self, lab, kind, large=False):
        self.lab, self.kind, self.server = lab, kind, new_server(kind, f"{kind}src")
        self.server.sql(HURRY.format(0))
        self.database = self.server.database("bench")
        accounts = lab.size(400_000, 20_000)
        statements(self.database, SCHEMA.format(accounts=accounts))
        self.database.sql(WORK.format(transaction=TRANSACTION.format(accounts=accounts)))
        self.dump = new_dir("dump") / "base.sql"
        with open(self.dump, "wb") as out:
            subprocess.run([self.program("mariadb-dump", "mysqldump"), "--socket", str(self.server.sockets / "m"), "-uroot",
                            *(["--set-gtid-purged=OFF"] if kind == "mysql" else []), "bench", *TABLES], stdout=out, check=True, stdin=subprocess.DEVNULL)
        if large:
            self.database.sql("CREATE TABLE big (id int PRIMARY KEY, k int, c char(120), pad char(60))")
        self.server.sql("FLUSH BINARY LOGS")
        self.file, self.start = self.position()
        self.start_gtid = self.gtid()
        if large:
            self.rows, self.transactions = lab.size(1_000_000, 100_000), 1
            self.database.sql("INSERT INTO big SELECT n, n % 1000, concat(md5(n), md5(n + 1)), md5(n + 2) FROM seq WHERE n <= "
                              f"{self.rows}")
        else:
            self.transactions = 4 * lab.size(60_000, 5_000)
            self.rows = self.transactions * 4
            self.work(4, self.transactions // 4)
        self.last_file, self.end = self.position()
        self.end_gtid = self.gtid()
        self.server.sql(HURRY.format(1))

    def work(self, clients, each):
        threads = [threading.Thread(target=self.database.sql, args=(f"CALL work({each})",)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def program(self, *names):
        return str(self.server.tool(*names))

    def position(self):
        row = self.server.sql("SHOW BINARY LOG STATUS" if self.kind == "mysql" else "SHOW MASTER STATUS")[0]
        return row[0], row[1]

    def gtid(self):
        return self.server.sql("SELECT @@global.gtid_executed" if self.kind == "mysql" else "SELECT @@global.gtid_binlog_pos")[0][0]

    def restore(self, database):
        with open(self.dump, "rb") as script:
            subprocess.run([self.program("mariadb", "mysql"), "--socket", str(database.server.sockets / "m"), "-uroot",
                            database.name], stdin=script, check=True)


def binlogs(lab, kind, large=False):
    name = f"binlog {kind} {large}"
    if name not in lab.shared:
        lab.shared[name] = Binlog(lab, kind, large)
    return lab.shared[name]


class ToNull:
    """A backlog to null:, beside the server's own reader over the same protocol."""

    kind, large = "mariadb", False
    warm_up = True

    def prepare(self, lab):
        self.log = binlogs(lab, self.kind, self.large)

    def run(self, side):
        before = server_cpu(self.log.server)
        process = self.tailrace() if side == "tailrace" else self.reader(side)
        wall = process.wait()
        if side == "tailrace" and summary(process)[1:] != (self.log.rows, self.log.transactions):
            raise Wrong(f"tailrace counted {summary(process)}, not {self.log.rows} in {self.log.transactions}")
        return Run(wall, self.log.rows, process.cpu, server_cpu(self.log.server) - before, 0, process.rss)

    def tailrace(self):
        return tailrace(self.log.server.url("bench"), "null:", mode="cdc", tables=",".join(f"bench.{t}" for t in [*TABLES, "big"]),
                        start=f"binlog:{self.log.file}:{self.log.start}", stop=f"binlog:{self.log.last_file}:{self.log.end}",
                        gtid="off")

    def reader(self, side):
        folder = new_dir("binlog")
        form = ["--raw", f"--result-file={folder}/"] if side == "raw" else ["-v", f"--stop-position={self.log.end}"]
        return Process([self.log.program("mariadb-binlog", "mysqlbinlog"), "-R", "-h", "127.0.0.1", "-P", self.log.server.port, "-uroot",
                        *form, f"--start-position={self.log.start}", self.log.file, "--to-last-log"], cwd=folder)


class MariadbToNull(ToNull):
    name, goal, peers = "binlog", {"verbose": 2.0, "raw": 0.9}, ["verbose", "raw"]
    title = "MariaDB's log of small transactions to null:; peers: mariadb-binlog -R -v, and --raw, which decodes nothing"


class MysqlToNull(ToNull):
    kind = "mysql"
    name, goal, peers = "binlog-mysql", {"verbose": 2.0, "raw": 0.9}, ["verbose", "raw"]
    title = "MySQL's log of small transactions to null:; peers: mysqlbinlog -R -v, and --raw, which decodes nothing"


class LargeToNull(ToNull):
    large = True
    name, goal, peers = "binlog-large", {"verbose": 1.5}, ["verbose"]
    title = "one large transaction of MariaDB to null:; peer: mariadb-binlog -R -v"


class Replica:
    """A backlog applied to the same engine, beside the server's own replica with four workers."""

    kind, peers, warm_up = "mariadb", ["replica"], False

    def prepare(self, lab):
        self.lab, self.log = lab, binlogs(lab, self.kind)
        self.wanted = rows_of(self.log.database, TABLES)
        self.runs = 0

    def run(self, side):
        self.runs += 1
        workers = {"slave-parallel-threads": 4, "gtid-strict-mode": "OFF"} if self.kind == "mariadb" else \
            {"replica-parallel-workers": 4}
        target = new_server(self.kind, f"{self.kind}dst", **{"server-id": 2, **workers})
        database = target.database("bench")
        target.sql(HURRY.format(0))
        self.log.restore(database)
        target.sql(HURRY.format(1))
        before = server_cpu(self.log.server), server_cpu(target)
        result = (self.by_tailrace if side == "tailrace" else self.by_replica)(target, database)
        result.source_cpu, result.target_cpu = server_cpu(self.log.server) - before[0], server_cpu(target) - before[1]
        found = rows_of(database, TABLES)
        target.remove()
        if found != self.wanted:
            raise Wrong(f"{side}: the target holds {found}, not {self.wanted}")
        return result

    def by_tailrace(self, _, database):
        process = tailrace(self.log.server.url("bench"), database.url, mode="cdc", schema="expect",
                           tables=",".join(f"bench.{t}" for t in TABLES), gtid="off",
                           start=f"binlog:{self.log.file}:{self.log.start}", stop=f"binlog:{self.log.last_file}:{self.log.end}")
        wall = process.wait()
        summary(process)
        return Run(wall, self.log.rows, process.cpu, rss=process.rss)

    def by_replica(self, target, _):
        words = (f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.log.server.port}, master_user='root', master_log_file="
                 f"'{self.log.file}', master_log_pos={self.log.start}" if self.kind == "mariadb" else
                 f"CHANGE REPLICATION SOURCE TO source_host='127.0.0.1', source_port={self.log.server.port}, source_user='root',"
                 f" get_source_public_key=1, source_log_file='{self.log.file}', source_log_pos={self.log.start}")
        target.sql(words)
        begun = time.monotonic()
        target.sql("START SLAVE" if self.kind == "mariadb" else "START REPLICA")

        def done():
            row = target.sql("SELECT count(*) FROM bench.history")[0][0]
            return row == self.log.transactions

        wait_until(done, 600, "the replica to have all transactions", interval=0.1)
        wall = time.monotonic() - begun
        target.sql("STOP SLAVE" if self.kind == "mariadb" else "STOP REPLICA")
        return Run(wall, self.log.rows)


class MariadbReplica(Replica):
    name, goal = "replica", {"replica": 2.0}
    title = "MariaDB's log of small transactions applied to MariaDB; peer: the server's own replica, 4 parallel workers"


class MysqlReplica(Replica):
    kind = "mysql"
    name, goal = "replica-mysql", {"replica": 2.0}
    title = "MySQL's log of small transactions applied to MySQL; peer: the server's own replica, 4 parallel workers"


class Cross:
    """Small transactions from one engine to the other; peer: PostgreSQL's own subscription, the faster of the native ones."""

    peers, warm_up = ["subscription"], False

    def prepare(self, lab):
        self.lab, self.runs = lab, 0
        self.native = Apply()
        self.native.prepare(lab)

    def run(self, side):
        return self.native.run(side) if side == "subscription" else self.by_tailrace()

    def loaded(self, source, target, tables):
        """The state before the backlog, carried over by a full load that is not measured."""
        tailrace(source, target, mode="full-load", tables=",".join(tables)).wait()

    def measured(self, source, target, servers, rows, check, **options):
        before = [server_cpu(server) for server in servers]
        process = tailrace(source, target, mode="cdc", schema="expect", **options)
        wall = process.wait()
        check()
        spent = [server_cpu(server) - cpu for server, cpu in zip(servers, before)]
        return Run(wall, rows, process.cpu, *spent, process.rss)


class PostgresToMariadb(Cross):
    name, goal = "postgres-mariadb", {"subscription": 1.0}
    title = "TPC-B backlog, PostgreSQL to MariaDB; peer: PostgreSQL's own subscription on the same backlog"
    figures = "count(*), coalesce(sum(aid), 0), coalesce(sum(delta), 0), coalesce(sum(tid * bid), 0)"

    def prepare(self, lab):
        super().prepare(lab)
        self.server = new_server("mariadb", "crossdst", **{"gtid-strict-mode": "OFF"})

    def by_tailrace(self):
        self.runs += 1
        backlog, target = self.native.backlog, self.server.database(f"public{self.runs}")
        tables = TPCB_TABLES
        self.loaded(self.lab.target.url("base"), target.url, tables)
        slot = backlog.copy()

        def check():
            want = backlog.database.sql(f"SELECT {self.figures} FROM pgbench_history")[0]
            have = target.sql(f"SELECT {self.figures} FROM pgbench_history")[0]
            if [int(value) for value in want] != [int(value) for value in have]:
                raise Wrong(f"pgbench_history holds {have}, not {want}")

        run = self.measured(backlog.database.url, target.url, (self.lab.source, self.server), backlog.rows, check, slot=slot,
                            publication="bench", tables=",".join(tables), start=f"lsn:{backlog.start}", stop=f"lsn:{backlog.end}")
        backlog.drop(slot)
        target.drop()
        return run


class MariadbToPostgres(Cross):
    name, goal = "mariadb-postgres", {"subscription": 1.0}
    title = "MariaDB's log of small transactions to PostgreSQL; peer: PostgreSQL's own subscription on a TPC-B backlog of that size"

    def prepare(self, lab):
        super().prepare(lab)
        self.log = binlogs(lab, "mariadb")
        self.wanted = rows_of(self.log.database, TABLES)
        # The state before the backlog, on a server of its own: the source's log is not to hold it.
        self.before = new_server("mariadb", "before")
        self.log.restore(self.before.database("bench"))

    def by_tailrace(self):
        self.runs += 1
        target = self.lab.target.database(f"cross{self.runs}")
        tables = [f"bench.{table}" for table in TABLES]
        self.loaded(self.before.url("bench"), target.url, tables)
        target.sql("ALTER DATABASE " + target.name + " SET search_path = bench")

        def check():
            found = rows_of(target, TABLES)
            if found != self.wanted:
                raise Wrong(f"the target holds {found}, not {self.wanted}")

        run = self.measured(self.log.server.url("bench"), target.url, (self.log.server, self.lab.target), self.log.rows, check,
                            tables=",".join(tables), gtid="off", start=f"binlog:{self.log.file}:{self.log.start}",
                            stop=f"binlog:{self.log.last_file}:{self.log.end}")
        target.drop()
        return run


class MariadbLoad:
    """A full load out of MariaDB."""

    warm_up = False
    schema_there = ""
    schema = """
CREATE TABLE wide (id int PRIMARY KEY, k int NOT NULL, c char(120) NOT NULL, pad char(60) NOT NULL, KEY (k));
CREATE TABLE narrow (id bigint PRIMARY KEY, owner int NOT NULL, at datetime(6) NOT NULL, amount decimal(12,2), note varchar(40), KEY (owner, at), KEY (at));
"""

    def prepare(self, lab):
        self.lab, self.runs = lab, 0
        self.source = new_server("mariadb", "loadsrc")
        self.source.sql(HURRY.format(0))
        self.database = self.source.database("bench")
        statements(self.database, SCHEMA.format(accounts=10) + self.schema)
        self.rows = lab.size(2_000_000, 50_000)
        for first in range(0, self.rows, 500_000):
            count = min(500_000, self.rows - first)
            self.database.sql(f"INSERT INTO wide SELECT n + {first}, n % 5003, concat(md5(n), md5(n + 1)), md5(n + 2) FROM seq WHERE n <="
                              f" {count}")
            self.database.sql(f"INSERT INTO narrow SELECT n + {first}, n % 70001, '2024-01-01' + INTERVAL n SECOND, n / 7, md5(n) FROM seq"
                              f" WHERE n <= {count}")
        self.database.sql("DROP TABLE seq, accounts, tellers, branches, history")
        self.source.sql(HURRY.format(1))
        self.wanted = self.figures(self.database)

    def figures(self, database, schema=""):
        return [[int(value) for value in database.sql(f"SELECT {what} FROM {schema}{table}")[0]] for table, what in
                (("wide", "count(*), sum(id), sum(k), sum(length(c))"),
                 ("narrow", "count(*), sum(id), sum(owner), sum(amount) * 100, sum(length(note))"))]

    def run(self, side):
        self.runs += 1
        server = self.target_server()
        target = server.database(self.target_name())
        before = server_cpu(self.source), server_cpu(server)
        process = getattr(self, "by_" + side)(target)
        wall = process.wait(1200)
        result = Run(wall, 2 * self.rows, process.cpu, server_cpu(self.source) - before[0],
                     server_cpu(server) - before[1], process.rss)
        found = self.figures(target, self.schema_there)
        if found != self.wanted:
            raise Wrong(f"{side}: the target holds {found}, not {self.wanted}")
        target.drop()
        return result

    def by_tailrace(self, target):
        return tailrace(self.database.url, target.url, mode="full-load", tables="bench.%")


class MariadbLoadToPostgres(MariadbLoad):
    name, goal, peers = "load-mariadb-postgres", {"pgloader": 3.0}, ["pgloader"]
    schema_there = "bench."
    title = "full load, MariaDB to PostgreSQL, with indexes; peer: pgloader with its defaults"

    def check_peer(self, side):
        install(side)

    def target_server(self):
        return self.lab.target

    def target_name(self):
        return f"loaded{self.runs}"

    def by_pgloader(self, target):
        source = f"mysql://root@127.0.0.1:{self.source.port}/bench"
        return Process(["pgloader", source, f"postgresql://postgres@127.0.0.1:{target.server.port}/{target.name}"], cwd=new_dir("pgloader"))


class MariadbLoadToMariadb(MariadbLoad):
    name, goal, peers = "load-mariadb", {"mydumper": 1.2}, ["mydumper"]
    title = "full load, MariaDB to MariaDB, with indexes; peer: mydumper, then myloader, 4 threads each"

    def prepare(self, lab):
        super().prepare(lab)
        self.target = new_server("mariadb", "loaddst", **{"gtid-strict-mode": "OFF"})

    def check_peer(self, side):
        install(side)

    def target_server(self):
        return self.target

    def target_name(self):
        return "bench"

    def by_mydumper(self, target):
        folder = new_dir("mydumper")
        script = ('mydumper -h 127.0.0.1 -P "$1" -u root -B bench -t 4 -r 250000 -o "$3/dump" && '
                  'myloader -h 127.0.0.1 -P "$2" -u root -B bench -t 4 -d "$3/dump"')
        return Process(["bash", "-c", script, "pipe", self.source.port, target.server.port, folder], cwd=folder)


def install(package):
    """From the distribution when it is missing; a peer that cannot be had is left out with the reason."""
    if shutil.which(package):
        return
    done = subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL)
    if not shutil.which(package):
        raise Skip(f"{package} cannot be installed: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1])


CASES = [MariadbToNull, MysqlToNull, LargeToNull, MariadbReplica, MysqlReplica, PostgresToMariadb, MariadbToPostgres,
         MariadbLoadToPostgres, MariadbLoadToMariadb]
