"""The harness itself: what the other tests stand on must be known to work."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import process
from harness.compare import differences, equal_by_content
from harness.servers import MariaDB
from harness.tailrace import Tailrace
from harness.wait import WaitTimeout, wait_until
from harness.workload import Workload

HARNESS_PARENT = Path(__file__).resolve().parents[1]


@pytest.mark.matrix
def test_postgres_survives_kill9(make_postgres):
    server = make_postgres(name="killed")
    database = server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)")
    pids = [server.child.pid, *process.descendants(server.child.pid)]
    assert len(pids) > 1
    server.kill9()
    assert not any(process.is_running(pid) for pid in pids)
    server.start()
    assert database.one("SELECT count(*) FROM t") == 1000
    assert "not properly shut down" in server.child.tail(200)
    url = database.url
    server.restart()
    assert database.url == url
    assert database.one("SELECT sum(id) FROM t") == 500500


def test_options_hold_over_restarts(make_postgres):
    server = make_postgres(name="options", wal_level="replica")
    assert server.sql("SHOW wal_level") == [("replica",)]
    server.configure(wal_level="logical", application_name="it's")
    server.restart()
    assert server.sql("SHOW wal_level") == [("logical",)]


def test_url_is_understood_by_libpq(source):
    done = subprocess.run(["/usr/lib/postgresql/15/bin/psql", "-XAtc", "SELECT current_database()", source.url],
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == source.name
    socket_url = source.server.url(source.name, socket=True)
    done = subprocess.run(["/usr/lib/postgresql/15/bin/psql", "-XAtc", "SELECT inet_client_addr() IS NULL", socket_url],
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "t"


def test_compare_finds_a_planted_difference(source, target):
    for database in (source, target):
        database.sql("CREATE TABLE t (id int, txt text)")
        database.sql("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 500) i")
    left, right = source.connect(), target.connect()
    equal_by_content(left, right, ["public.t"])
    target.sql("UPDATE t SET txt = 'planted' WHERE id = 77")
    found = "\n".join(differences(left, right, ["public.t"]))
    assert "source only: id=77, txt=row 77" in found and "target only: id=77, txt=planted" in found


@pytest.mark.parametrize("change", [
    "INSERT INTO t VALUES (5, NULL)",                        # one of two equal rows more
    "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE id = 5 LIMIT 1)",
    "UPDATE t SET txt = '' WHERE txt IS NULL",               # null is not the empty text
    "ALTER TABLE t ADD COLUMN more int",
    "DROP TABLE t",
])
def test_compare_is_not_fooled(source, target, change):
    for database in (source, target):
        database.sql("CREATE TABLE t (id int, txt text); INSERT INTO t VALUES (5, NULL), (5, NULL), (6, 'x')")
    target.sql(change)
    assert differences(source.connect(), target.connect(), ["t"])


def test_compare_ignores_the_order_of_rows_and_columns(source, target):
    source.sql("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    target.sql("CREATE TABLE t (b text, a int); INSERT INTO t VALUES (NULL, 2), ('x', 1)")
    equal_by_content(source.connect(), target.connect(), ["t"])


def test_mariadb_starts_is_killed_and_compares(source):
    with MariaDB() as server:
        database = server.database()
        database.sql("CREATE TABLE t (id int PRIMARY KEY, txt varchar(50), raw blob)")
        database.sql("INSERT INTO t VALUES (1, 'ä', 'x'), (2, NULL, '')")
        server.crash()
        assert database.one("SELECT count(*) FROM t") == 2
        assert database.one("SELECT @@binlog_format") == "ROW"
        source.sql("CREATE TABLE t (id int PRIMARY KEY, txt text, raw text); INSERT INTO t VALUES (1, 'ä', 'x'), (2, NULL, '')")
        mixed = [("public.t", f"{database.name}.t")]
        equal_by_content(source.connect(), database.connect(), mixed)
        database.sql("UPDATE t SET txt = 'a' WHERE id = 1")
        assert "id=1" in "\n".join(differences(source.connect(), database.connect(), mixed))


def test_workload_is_worth_its_name(source):
    load = Workload(source, seed=3, clients=4, ddl=True, two_phase=True).create_tables()
    wanted = [*load.operations, "rollbacks", "ddl", "rolled back prepared"]
    load.start()
    wait_until(lambda: all(load.counts[name] for name in wanted), 60,
               lambda: f"{[name for name in wanted if not load.counts[name]]} to happen in {load.counts}")
    load.stop()
    assert source.one("SELECT count(*) FROM wl.journal") == load.commits
    Workload.check_sum(source.connect())
    Workload.check_journal(source.connect())


def test_workload_ends_after_its_commits(source):
    load = Workload(source, seed=4, clients=2).create_tables().run(commits=60)
    assert 60 <= load.commits <= 62
    assert source.one("SELECT count(*) FROM wl.journal") == load.commits


def test_journal_check_sees_a_gap_and_a_double(source):
    Workload(source).create_tables()
    source.sql("INSERT INTO wl.journal SELECT 0, n, now() FROM generate_series(1, 9) n")
    Workload.check_journal(source.connect())
    source.sql("INSERT INTO wl.journal VALUES (0, 5, now())")
    with pytest.raises(AssertionError):
        Workload.check_journal(source.connect())
    source.sql("DELETE FROM wl.journal WHERE n = 5")
    with pytest.raises(AssertionError):
        Workload.check_journal(source.connect())


@pytest.mark.matrix
def test_workload_goes_on_after_a_crash_of_the_server(make_postgres):
    server = make_postgres(name="crashed", max_prepared_transactions=10)
    load = Workload(server.database(), seed=5, clients=3, two_phase=True).create_tables().start()
    wait_until(lambda: load.commits > 50, 30, "50 commits")
    server.crash()
    before = load.commits
    wait_until(lambda: load.commits > before + 50, 30, "50 commits after the crash")
    load.stop()
    assert load.counts["reconnects"] > 0
    Workload.check_journal(load.database.connect())
    Workload.check_sum(load.database.connect())


def test_wait_until_says_what_it_waits_for():
    with pytest.raises(WaitTimeout, match="a thing that never comes"):
        wait_until(lambda: False, 0.05, "a thing that never comes")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_run(how):
    """The run dies without a chance to clean up: its server and its folder go all the same."""
    script = ("import sys, time\n"
              "from harness.servers import Postgres\n"
              "from harness import process\n"
              "server = Postgres().start()\n"
              "print(server.child.pid, process.run_dir(), flush=True)\n"
              "sys.stdin.read()\n")
    run = subprocess.Popen([sys.executable, "-c", script], cwd=HARNESS_PARENT, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    pid, folder = run.stdout.readline().split()
    pids = [int(pid), *process.descendants(int(pid))]
    assert len(pids) > 1 and Path(folder).is_dir()
    run.send_signal(how)
    run.communicate()
    wait_until(lambda: not any(process.is_running(p) for p in pids), 20, "the end of the orphaned server")
    wait_until(lambda: not Path(folder).exists(), 20, "the folder to be removed")


def test_free_ports_are_out_of_the_way_of_clients():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert all(process.free_port() < low for _ in range(20))


def test_a_server_that_cannot_start_says_why(make_postgres):
    begun = time.monotonic()
    with pytest.raises(Exception, match="invalid value for parameter|FATAL"):
        make_postgres(name="broken", wal_level="nonsense")
    assert time.monotonic() - begun < 20


@pytest.fixture
def script(tmp_path):
    """script(text) makes an executable shell script: a stand-in that shows how Tailrace itself behaves."""
    def make(text):
        path = tmp_path / "program"
        path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)
        return path
    return make


def test_tailrace_run_gives_status_and_output(script):
    tailrace = Tailrace(binary=script('cat "$2"; echo "$EXTRA" >&2; exit 3'))
    result = tailrace.run("check", config={"task": "t", "tables": {"include": ["public.%"]}}, env={"EXTRA": "more"})
    assert (result.status, result.stderr) == (3, "more\n")
    assert "include:" in result.stdout and "public.%" in result.stdout
    tailrace.finish()


def test_a_database_goes_whatever_holds_it(source_server):
    """A test that failed leaves a slot, a prepared transaction and a subscription; the next one finds none of them."""
    database = source_server.database()
    database.sql("CREATE TABLE t (i int)")
    database.sql("SELECT pg_create_logical_replication_slot('tailrace_left', 'pgoutput')")
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left'")
    connection.close()
    database.sql("CREATE SUBSCRIPTION left_over CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)")
    source_server.open_databases.discard(database.name)  # as when its removal failed
    other = source_server.database()
    assert source_server.sql("SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'left'") == [(0,)]
    assert source_server.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tailrace_left'") == [(0,)]
    assert source_server.sql("SELECT count(*) FROM pg_subscription") == [(0,)]
    other.sql("SELECT pg_create_logical_replication_slot('tailrace_left', 'pgoutput')")
    other.drop()
    database.drop()


def test_tailrace_waits_for_log_lines_and_kills(script):
    tailrace = Tailrace(binary=script("echo following at 0/15 >&2; exec tail -f /dev/null"))
    tailrace.start("run")
    assert tailrace.wait_log(r"following at (\S+)").group(1) == "0/15"
    tailrace.kill9()
    assert tailrace.wait_exit() == -signal.SIGKILL
    tailrace.start("run")
    tailrace.wait_log("following")
    assert tailrace.stop() == -signal.SIGTERM
    tailrace.finish()


def test_tailrace_that_ends_is_not_waited_for(script):
    tailrace = Tailrace(binary=script("echo no such file >&2; exit 2"))
    tailrace.start("run")
    with pytest.raises(AssertionError, match="ended with 2\n(.*\n)*no such file"):
        tailrace.wait_log("following", timeout=20)
    tailrace.finish()


def test_tailrace_that_hangs_is_a_failure(script):
    tailrace = Tailrace(binary=script("exec tail -f /dev/null"))
    with pytest.raises(AssertionError, match="did not end within"):
        tailrace.run("run", timeout=0.2)
    assert not tailrace.running()
    tailrace.finish()


@pytest.mark.parametrize("report", ["==1==ERROR: AddressSanitizer: heap-use-after-free", "a.c:3:4: runtime error: overflow",
                                    "WARNING: ThreadSanitizer: data race", "==7==ERROR: LeakSanitizer: detected"])
def test_a_sanitizer_report_is_a_failure(script, report):
    tailrace = Tailrace(binary=script(f'echo "{report}" >&2'))
    assert tailrace.run("run").status == 0
    with pytest.raises(AssertionError, match="Sanitizer|runtime error"):
        tailrace.finish()
