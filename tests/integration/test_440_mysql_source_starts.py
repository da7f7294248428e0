"""Changes only: from a time, a place, a set, or what a loader left behind."""

import subprocess
from datetime import timezone

import pytest

from harness import matrix
from harness.replication import drain, task_config, task_events
from harness.servers import MariaDB
from harness.wait import wait_until

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


@pytest.fixture(scope="module", params=["mariadb10.11", pytest.param("mysql9", marks=pytest.mark.matrix)])
def server(request):
    """One of its own: its log begins with the first file, and is purged in the end."""
    make = matrix.mysql("9", options=FAST) if request.param == "mysql9" else MariaDB(options=FAST)
    with make as started:
        yield started


@pytest.fixture
def shop(server):
    database = server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20))")
    yield database
    database.drop()


def status(server):
    return server.sql("SHOW BINARY LOG STATUS" if server.kind == "mysql" else "SHOW MASTER STATUS")[0]


def gtids(server):
    """All that the log holds, as one text."""
    value = server.sql("SELECT @@global.gtid_executed" if server.kind == "mysql" else "SELECT @@global.gtid_binlog_pos")[0][0]
    return value.replace("\n", "")


def clock(server):
    return server.sql("SELECT now(6)")[0][0].astimezone(timezone.utc)


def next_second(server):
    """Times in the log have seconds only (MariaDB): waits for the next one, and returns its begin."""
    begin = clock(server)
    wait_until(lambda: clock(server).replace(microsecond=0) > begin, 20, "the next second")
    return clock(server).replace(microsecond=0)


def values_from(tailrace, database, start):
    """The new values of t that come when a task begins there."""
    config = task_config(database.url, f"file://{tailrace.dir}/out", tables=None, mode="cdc", start=start)
    result = drain(tailrace, config)
    assert "streaming from gtid=" in result.stderr, result  # wherever it begins, it can follow a failover
    return [event["after"]["v"] for event in task_events(tailrace.dir / "out")]


def test_a_time(server, shop, make_tailrace):
    shop.sql("INSERT INTO t (v) VALUES ('a')")
    first = next_second(server)
    shop.sql("INSERT INTO t (v) VALUES ('b')")
    server.sql("FLUSH BINARY LOGS")
    shop.sql("INSERT INTO t (v) VALUES ('c')")
    server.sql("FLUSH BINARY LOGS")
    second = next_second(server)
    with shop.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t (v) VALUES ('d')")
        connection.commit()
    third = next_second(server)
    for moment, expected in ((first, "bcd"), (second, "d"), (third, ""), ("2001-02-03", "abcd"), (int(first.timestamp()), "bcd")):
        text = moment if isinstance(moment, (str, int)) else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert values_from(make_tailrace(), shop, f"time:{text}") == list(expected), (text, expected)


def test_a_time_within_a_second(server, shop, make_tailrace):
    """Files, and MariaDB's transactions, tell whole seconds: none that was committed behind the time is passed over for that."""
    next_second(server)
    shop.sql("INSERT INTO t (v) VALUES ('a')")
    moment = clock(server)
    shop.sql("INSERT INTO t (v) VALUES ('b')")
    server.sql("FLUSH BINARY LOGS")
    shop.sql("INSERT INTO t (v) VALUES ('c')")
    found = values_from(make_tailrace(), shop, f"time:{moment:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert found == list("bc" if server.kind == "mysql" else "abc"), moment


def test_a_time_that_is_none(shop, tailrace):
    config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None, mode="cdc", start="time:tomorrow")
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 2 and "2026-01-31T12:00:00Z" in result.stderr, result


def test_places_and_what_loaders_write(server, shop, make_tailrace):
    """Each way of telling the same place gives the same changes."""
    shop.sql("INSERT INTO t (v) VALUES ('before')")
    server.sql("FLUSH BINARY LOGS")
    shop.sql("INSERT INTO t (v) VALUES ('before, too')")
    (file, offset), gtid = status(server)[:2], gtids(server)
    shop.sql("INSERT INTO t (v) VALUES ('after')")
    folder = make_tailrace().dir
    mysql = server.kind == "mysql"
    texts = {
        "old/metadata": f"Started dump at: 2026-01-01 00:00:00\nSHOW MASTER STATUS:\n\tLog: {file}\n\tPos: {offset}\n\tGTID:{gtid}\n\n"
                        f"SHOW SLAVE STATUS:\n\tHost: x\n\tLog: other.000001\n\tPos: 4\n\tGTID:\n\nFinished dump at: 2026-01-01 00:00:01\n",
        "new/metadata": f"# Started dump at: 2026-01-01 00:00:00\n[config]\nquote-character = BACKTICK\n\n[source]\n# executed_gtid_set = x\nFile = \"{file}\"\n"
                        f"Position = {offset}\nExecuted_Gtid_Set = \"{gtid}\"\n\n[replication]\nFile = other.000001\nPosition = 4\n[`s`.`t`]\nrows = 1\n",
        "plain/metadata": f"[master]\nFile = {file}\nPosition = {offset}\nExecuted_Gtid_Set =\n",
        "x/xtrabackup_binlog_info": f"{file}\t{offset}\t{gtid}\n",
        "y/mariadb_backup_binlog_info": f"{file}\t{offset}\n",
        "dump.sql": f"-- MySQL dump\n-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='{file}', SOURCE_LOG_POS={offset};\nCREATE TABLE x (a int);\n",
        "old.sql": f"-- MariaDB dump\nCHANGE MASTER TO MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset};\n"
                   + (f"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '{gtid}';\n" if mysql else f"-- SET GLOBAL gtid_slave_pos='{gtid}';\n"),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="ascii")
    starts = [f"binlog:{file}:{offset}", f"gtid:{gtid}", f"mydumper:{folder}/old", f"mydumper:{folder}/new/metadata", f"mydumper:{folder}/plain",
              f"xtrabackup:{folder}/x", f"xtrabackup:{folder}/y", f"dump:{folder}/dump.sql", f"dump:{folder}/old.sql"]
    for start in starts:
        assert values_from(make_tailrace(), shop, start) == ["after"], start


def test_places_behind_an_event_that_the_server_cannot_read(server, shop, make_tailrace):
    """Both images of a large row are more than max_allowed_packet: BINLOG_GTID_POS() of MariaDB says NULL behind them, on which nothing depends."""
    shop.sql("CREATE TABLE large (id int PRIMARY KEY, v longblob)")
    shop.sql("INSERT INTO large VALUES (1, repeat('a', @@max_allowed_packet * 5 DIV 8))")
    shop.sql("SET STATEMENT gtid_domain_id = 7 FOR INSERT INTO t (v) VALUES ('of another domain')" if server.kind == "mariadb" else "DO 1")
    server.sql("FLUSH BINARY LOGS")
    shop.sql("UPDATE large SET v = repeat('b', length(v))")
    shop.sql("INSERT INTO t (v) VALUES ('before')")
    (file, offset), gtid = status(server)[:2], gtids(server)
    if server.kind == "mariadb":
        assert server.sql("SELECT BINLOG_GTID_POS(%s, %s)", (file, offset)) == [(None,)]
    config = task_config(shop.url, None, tables={"include": [f"{shop.name}.t"]})
    for options in ({"mode": "cdc", "start": "now"}, {}, {"source": {"url": shop.url, "cut_lock": "tables"}}):
        tailrace = make_tailrace()
        result = drain(tailrace, {**config, **options, "target": {"url": f"file://{tailrace.dir}/out"}})
        assert f"streaming from gtid={gtid};file={file};pos={offset}" in result.stderr, result
    shop.sql("INSERT INTO t (v) VALUES ('after')")
    assert values_from(make_tailrace(), shop, f"binlog:{file}:{offset}") == ["after"]
    server.sql("FLUSH BINARY LOGS")
    assert values_from(make_tailrace(), shop, f"binlog:{file}:{offset}") == ["after"]
    if server.kind == "mariadb":
        for place in (f"{file}:{offset + 1}", f"{file[:-1]}x:{offset}"):
            wrong = {**config, "mode": "cdc", "stop": "drained", "start": f"binlog:{place}", "target": {"url": f"file://{tailrace.dir}/wrong"}}
            result = make_tailrace().run("run", config=wrong)
            assert result.status == 1 and "no event begins at its offset" in result.stderr, result


def test_a_real_dump(server, shop, make_tailrace):
    """Loaded by other means, the changes since go on exactly behind it."""
    if server.kind == "mysql":
        tool, option = server.tool("mysqldump"), "--source-data=2"
    else:
        tool, option = server.tool("mariadb-dump", "mysqldump"), "--master-data=2"
    shop.sql("INSERT INTO t (v) VALUES ('in the dump')")
    dump = make_tailrace().dir / "dump.sql"
    with open(dump, "wb") as out:
        subprocess.run([tool, "--no-defaults", f"--socket={server.sockets / 'm'}", "-uroot", "--single-transaction", option, shop.name], stdout=out,
                       check=True, timeout=60)
    assert b"in the dump" in dump.read_bytes()
    shop.sql("INSERT INTO t (v) VALUES ('behind it')")
    assert values_from(make_tailrace(), shop, f"dump:{dump}") == ["behind it"]


def test_a_time_before_the_log_is_refused(server, shop, tailrace):
    before = clock(server)
    for _ in range(2):
        server.sql("FLUSH BINARY LOGS")

    def alone():
        files = server.sql("SHOW BINARY LOGS")
        server.sql("PURGE BINARY LOGS TO %s", (files[-1][0],))
        return len(files) == 1
    wait_until(alone, 30, "the log to be purged")
    config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None, mode="cdc", start=f"time:{int(before.timestamp()) - 100}")
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1 and "made after that time" in result.stderr and "full-load-and-cdc" in result.stderr, result


@pytest.mark.matrix
def test_a_table_is_dropped_while_the_lock_is_waited_for(server, shop, make_tailrace):
    shop.sql("CREATE TABLE gone (id int PRIMARY KEY)")
    shop.sql("INSERT INTO t (v) VALUES ('loaded')")
    tailrace = make_tailrace()
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES gone WRITE")
        config = task_config(shop.url, f"file://{tailrace.dir}/out", tables={"include": [f"{shop.name}.%"]}, stop="drained")
        config["source"]["cut_lock"] = "tables"
        tailrace.start("run", config=config)
        wait_until(lambda: server.sql("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'LOCK TABLES%' AND state LIKE '%lock%'"), 60, lambda: tailrace.stderr)
        cursor.execute("DROP TABLE gone")
        cursor.execute("UNLOCK TABLES")
    assert tailrace.wait_exit(60) == 0, tailrace.stderr
    assert [event["after"]["v"] for event in task_events(tailrace.dir / "out")] == ["loaded"]


@pytest.mark.matrix
def test_a_database_that_is_not_there(server, tailrace):
    """A task without any table would end as if all had been well."""
    for mode, start in (("full-load-and-cdc", None), ("cdc", None), ("full-load", None)):
        config = task_config(server.url("nowhere"), f"file://{tailrace.dir}/{mode}", tables=None, mode=mode, start=start)
        result = tailrace.run("run", "--stop", "drained", config=config, timeout=60)
        assert result.status != 0 and 'there is no database "nowhere"' in result.stderr, result


# ---- a task that was begun by file and offset

def test_gtids_that_are_learnt_later(server, shop, make_tailrace):
    """The position has its GTIDs from the next start on, and the task can follow a failover."""
    tailrace = make_tailrace()
    config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None)
    config["source"]["gtid"] = "off"
    shop.sql("INSERT INTO t (v) VALUES ('a')")
    assert "streaming from file=" in drain(tailrace, config).stderr
    del config["source"]["gtid"]
    shop.sql("INSERT INTO t (v) VALUES ('b')")
    assert "the position has its GTIDs from here on" in drain(tailrace, config).stderr
    shop.sql("INSERT INTO t (v) VALUES ('c')")
    assert "streaming from gtid=" in drain(tailrace, config).stderr
    assert [event["after"]["v"] for event in task_events(tailrace.dir / "out")] == list("abc")
