"""MariaDB as the source: where a task goes on, on which server, and what it refuses to go on with."""

import re
import time

import pytest

from harness.replication import drain, rows_after, rows_of, task_config, task_events
from harness.servers import MariaDB
from harness.wait import wait_until

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
COLUMNS = ["id", "v"]


@pytest.fixture
def shop(mariadb_server):
    database = mariadb_server.database()
    make_table(database)
    yield database
    database.drop()


@pytest.fixture
def make_mariadb():
    servers = []

    def make(**options):
        servers.append(MariaDB(options={**FAST, **options}))
        return servers[-1].start()

    yield make
    for server in servers:
        server.remove()


def make_table(database):
    database.sql("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20))")
    database.sql("INSERT INTO t (v) VALUES ('a'), ('b')")


def config_for(database, tailrace, **options):
    config = task_config(database.url, f"file://{tailrace.dir}/out", tables=None, **options)
    config["target"]["skipped_operations"] = "none"
    return config


def check_equal(database, tailrace):
    """By content, and each event once: the keyless way of counting leaves no room for a double."""
    events = task_events(tailrace.dir / "out")
    with database.connect() as connection:
        assert rows_after(events, "t", COLUMNS) == rows_of(connection, "t", COLUMNS)
    return events


def refused(tailrace, config, *words, status=1):
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=30)
    assert result.status == status, result
    for word in words:
        assert word in result.stderr + result.stdout, result
    return result


# ---- going on

@pytest.mark.parametrize("gtid", ["auto", "off"])
def test_it_goes_on_where_it_was(mariadb_server, shop, tailrace, gtid):
    config = config_for(shop, tailrace)
    config["source"]["gtid"] = gtid
    drain(tailrace, config)
    for step in range(4):
        shop.sql("INSERT INTO t (v) VALUES ('more'), ('rows')")
        shop.sql("UPDATE t SET v = 'changed' WHERE id = 1")
        if step % 2:
            mariadb_server.sql("FLUSH BINARY LOGS")
        result = drain(tailrace, config)
        assert ("gtid=" in result.stderr) == (gtid == "auto"), result
    check_equal(shop, tailrace)


def test_a_start_at_a_given_place(mariadb_server, shop, make_tailrace):
    """The same rows whichever way the place is named; what lay before it does not come."""
    file, offset = mariadb_server.sql("SHOW MASTER STATUS")[0][:2]
    gtid = mariadb_server.sql("SELECT @@global.gtid_binlog_pos")[0][0]
    shop.sql("INSERT INTO t (v) VALUES ('after')")
    for start in (f"binlog:{file}:{offset}", f"gtid:{gtid}"):
        tailrace = make_tailrace()
        drain(tailrace, config_for(shop, tailrace, mode="cdc", start=start))
        events = task_events(tailrace.dir / "out")
        assert [(event["op"], event["after"]["v"]) for event in events] == [("c", "after")], start


def test_the_log_reader_is_killed_at_the_server(mariadb_server, shop, tailrace):
    config = config_for(shop, tailrace)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")

    def readers():
        return [row[0] for row in mariadb_server.sql("SHOW PROCESSLIST") if "Binlog Dump" in str(row[4])]

    for number in range(2):
        wait_until(readers, 20, "the reader of the log")
        before = readers()
        for thread in before:
            mariadb_server.sql(f"KILL {thread}")
        wait_until(lambda: set(readers()) - set(before), 20, "a new reader")
        shop.sql(f"INSERT INTO t (v) VALUES ('kill {number}')")
    wait_until(lambda: any((e["after"] or {}).get("v") == "kill 1" for e in task_events(tailrace.dir / "out")), 20, "the last row")
    assert tailrace.stop() == 0, tailrace.stderr
    check_equal(shop, tailrace)


@pytest.mark.parametrize("gtid", ["auto", "off"])
def test_the_server_crashes(make_mariadb, tailrace, gtid):
    server = make_mariadb(**{"sync-binlog": 1, "innodb-flush-log-at-trx-commit": 1})
    shop = server.database()
    make_table(shop)
    config = config_for(shop, tailrace)
    config["source"]["gtid"] = gtid
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    for number in range(2):
        shop.sql(f"INSERT INTO t (v) VALUES ('before {number}')")
        server.crash()
        shop.sql(f"INSERT INTO t (v) VALUES ('after {number}')")
    wait_until(lambda: any((e["after"] or {}).get("v") == "after 1" for e in task_events(tailrace.dir / "out")), 30, "the last row")
    assert tailrace.stop() == 0, tailrace.stderr
    check_equal(shop, tailrace)


# ---- another server

def replica_of(server, replica):
    replica.sql(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={server.port}, master_user='root', master_use_gtid=slave_pos")
    replica.sql("START SLAVE")


def caught_up(server, replica):
    goal = server.sql("SELECT @@global.gtid_binlog_pos")[0][0]
    assert replica.sql("SELECT master_gtid_wait(%s, 20)", (goal,)) == [(0,)]


def test_a_replica_takes_over(make_mariadb, make_tailrace):
    first, second = make_mariadb(), make_mariadb(**{"server-id": 2, "log-slave-updates": "ON"})
    replica_of(first, second)
    shop = first.database()
    make_table(shop)
    caught_up(first, second)
    tailrace = make_tailrace()
    drain(tailrace, config_for(shop, tailrace))
    shop.sql("INSERT INTO t (v) VALUES ('on the first')")
    caught_up(first, second)
    first.kill9()
    second.sql("STOP SLAVE")
    database = type(shop)(second, shop.name)
    database.sql("INSERT INTO t (v) VALUES ('on the second')")
    database.sql("UPDATE t SET v = 'moved' WHERE id = 2")
    drain(tailrace, config_for(database, tailrace))
    events = check_equal(database, tailrace)
    assert [e["op"] for e in events] == ["r", "r", "c", "c", "u"]


def test_a_replica_that_lacks_what_was_read_is_refused(make_mariadb, tailrace):
    first, second = make_mariadb(), make_mariadb(**{"server-id": 2, "log-slave-updates": "ON"})
    replica_of(first, second)
    shop = first.database()
    make_table(shop)
    caught_up(first, second)
    second.sql("STOP SLAVE")
    shop.sql("INSERT INTO t (v) VALUES ('lost in the failover')")
    drain(tailrace, config_for(shop, tailrace))
    behind = type(shop)(second, shop.name)
    refused(tailrace, config_for(behind, tailrace), "does not have")
    behind.sql("INSERT INTO t (v) VALUES ('its own')")  # the same number, another transaction
    refused(tailrace, config_for(behind, tailrace))


def test_by_file_and_offset_another_server_is_refused(make_mariadb, tailrace):
    first, second = make_mariadb(), make_mariadb(**{"server-id": 2})
    databases = [server.database("shop") for server in (first, second)]
    for database in databases:
        make_table(database)
    configs = [config_for(database, tailrace) for database in databases]
    for config in configs:
        config["source"]["gtid"] = "off"
    drain(tailrace, configs[0])
    refused(tailrace, configs[1], "server")


# ---- refused

def purge(server):
    """All but the last file. The server keeps what a reader has open, and learns late that one is gone."""
    def alone():
        files = server.sql("SHOW BINARY LOGS")
        server.sql("PURGE BINARY LOGS TO %s", (files[-1][0],))
        return len(files) == 1
    wait_until(alone, 30, "the log to be purged")


def test_changes_of_other_tables_cost_little(shop, tailrace):
    """Nothing is to be handed over for them, so what comes next is waited for: the loop of the reader does not turn a thousand times meanwhile."""
    shop.sql("CREATE TABLE other (id int AUTO_INCREMENT PRIMARY KEY)")
    config = {**config_for(shop, tailrace), "tables": {"include": [f"{shop.name}.t"]}}
    tailrace.start("run", config=config, env={"TR_FAILPOINT": "pipeline.acknowledge:1000"})
    tailrace.wait_log("streaming")
    with shop.connect() as connection, connection.cursor() as cursor:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            cursor.execute("INSERT INTO other VALUES ()")
            cursor.execute("DO SLEEP(0.1)")
    assert tailrace.stop() == 0, tailrace.stderr


def test_a_long_run_of_changes_of_other_tables_moves_the_checkpoint(shop, tailrace):
    """Also while the log does not run dry: a task that is killed does not read all of it again."""
    def begins(stderr):
        return re.search(r"streaming from \S*;pos=(\d+)", stderr)[1]

    shop.sql("CREATE TABLE other (id int AUTO_INCREMENT PRIMARY KEY)")
    config = {**config_for(shop, tailrace), "tables": {"include": [f"{shop.name}.t"]}, "stop": "drained"}
    drain(tailrace, config)
    shop.sql("BEGIN NOT ATOMIC FOR n IN 1 .. 15000 DO INSERT INTO other VALUES (); END FOR; END")
    tailrace.crash_allowed = True
    first = tailrace.run("run", config=config, env={"TR_FAILPOINT": "pipeline.push:3"})
    assert begins(first.stderr) != begins(drain(tailrace, config).stderr)


@pytest.mark.parametrize("gtid", ["auto", "off"])
def test_a_purged_log_is_refused(mariadb_server, shop, tailrace, gtid):
    config = config_for(shop, tailrace)
    config["source"]["gtid"] = gtid
    drain(tailrace, config)
    for _ in range(2):
        shop.sql("INSERT INTO t (v) VALUES ('purged')")
        mariadb_server.sql("FLUSH BINARY LOGS")
    purge(mariadb_server)
    for _ in range(2):  # it does not go on behind the gap the second time either
        refused(tailrace, config, "no longer has", "binlog_expire_logs_seconds")


@pytest.mark.matrix
def test_an_idle_source_lets_go_of_its_files(make_mariadb, tailrace):
    """A run that finds nothing moves on into the newest file: what is behind it may be purged."""
    server = make_mariadb()
    shop = server.database()
    make_table(shop)
    config = config_for(shop, tailrace)
    config["source"]["gtid"] = "off"
    drain(tailrace, config)
    server.restart()
    drain(tailrace, config)
    purge(server)
    drain(tailrace, config)
    shop.sql("INSERT INTO t (v) VALUES ('later')")
    drain(tailrace, config)
    check_equal(shop, tailrace)


def test_a_reset_log_is_refused(make_mariadb, tailrace):
    server = make_mariadb()
    shop = server.database()
    make_table(shop)
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    server.sql("RESET MASTER")
    shop.sql("INSERT INTO t (v) VALUES ('in the new log')")
    refused(tailrace, config, "does not have", "tailrace reload")


@pytest.mark.matrix
def test_a_log_that_is_reset_under_a_running_task_is_refused(make_mariadb, tailrace):
    """The server goes on with heartbeats to a reader whose file is gone."""
    shop = make_mariadb().database()
    make_table(shop)
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    shop.server.sql("RESET MASTER")
    shop.sql("INSERT INTO t (v) VALUES ('lost')")
    assert tailrace.wait_exit(60) == 1
    assert "begun anew" in tailrace.stderr and "it was reset" in tailrace.stderr, tailrace.stderr


def test_a_change_logged_as_a_statement_is_refused(shop, tailrace):
    config = config_for(shop, tailrace)
    drain(tailrace, config)
    shop.sql("CREATE TABLE other (id int PRIMARY KEY)")
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
        cursor.execute("INSERT INTO t (v) VALUES ('by statement')")
    result = refused(tailrace, config, "changed by a statement", f"{shop.name}.t", "binlog_format")
    assert not [e for e in task_events(tailrace.dir / "out") if e["op"] == "c"], result


@pytest.mark.parametrize("name,value,word", [("binlog_format", "STATEMENT", "binlog_format"), ("binlog_format", "MIXED", "binlog_format"),
                                             ("binlog_row_image", "MINIMAL", "binlog_row_image")])
def test_check_names_the_setting_and_its_remedy(mariadb_server, shop, tailrace, name, value, word):
    before = mariadb_server.sql(f"SELECT @@global.{name}")[0][0]
    mariadb_server.sql(f"SET GLOBAL {name} = '{value}'")
    try:
        result = tailrace.run("check", config=config_for(shop, tailrace), timeout=30)
        assert word in result.stdout + result.stderr and "SET GLOBAL" in result.stdout + result.stderr, result
        assert result.status == 3 or name == "binlog_row_image", result
    finally:
        mariadb_server.sql(f"SET GLOBAL {name} = '{before}'")


def test_a_server_without_a_log_is_refused(tailrace):
    with MariaDB(options={**FAST, "skip-log-bin": 1, "log-bin": 0}) as server:
        shop = server.database()
        make_table(shop)
        refused(tailrace, config_for(shop, tailrace), "log_bin")


@pytest.mark.parametrize("privileges", ["SELECT", "SELECT, LOCK TABLES"])
def test_a_copy_alone_needs_no_log(tailrace, target, privileges):
    """mode: full-load by an account that may only read, on a server without a binary log."""
    with MariaDB(options={**FAST, "skip-log-bin": 1, "log-bin": 0}) as server:
        shop = server.database()
        make_table(shop)
        server.sql("CREATE USER low@'%' IDENTIFIED BY 'pw'")
        server.sql(f"GRANT {privileges} ON `{shop.name}`.* TO low@'%'")
        config = task_config(server.url(shop.name, user="low", password="pw"), target.url, mode="full-load", tables={"include": [f"{shop.name}.%"]})
        checked = tailrace.run("check", config=config)
        assert checked.status == 0 and "log" not in checked.stdout, checked
        result = tailrace.run("run", config=config)
        assert result.status == 0 and "no stream can follow" in result.stderr, result
        assert target.sql(f"SELECT id, v FROM {shop.name}.t ORDER BY 1") == [(1, "a"), (2, "b")]


def test_missing_privileges_are_named(mariadb_server, shop, tailrace):
    mariadb_server.sql("CREATE USER low@'%' IDENTIFIED BY 'pw'")
    try:
        mariadb_server.sql(f"GRANT SELECT ON `{shop.name}`.* TO low@'%'")
        config = config_for(shop, tailrace)
        config["source"]["url"] = mariadb_server.url(shop.name, user="low", password="pw")
        refused(tailrace, config, "GRANT BINLOG MONITOR")
        mariadb_server.sql("GRANT BINLOG MONITOR ON *.* TO low@'%'")
        refused(tailrace, config, "REPLICATION SLAVE")
        config["source"]["url"] = mariadb_server.url(shop.name, user="low", password="wr0ng")
        assert "wr0ng" not in refused(tailrace, config, "Access denied").stderr
    finally:
        mariadb_server.sql("DROP USER low@'%'")


def test_the_scheme_says_which_server_it_is(mariadb_server, shop, tailrace):
    config = config_for(shop, tailrace)
    config["source"]["url"] = config["source"]["url"].replace("mariadb://", "mysql://")
    refused(tailrace, config, "mariadb://", status=2)


def test_a_taken_server_id_is_refused(mariadb_server, shop, make_tailrace):
    one, two = make_tailrace(), make_tailrace()
    configs = [config_for(shop, t) for t in (one, two)]
    for config in configs:
        config["source"].update(server_id=77, heartbeat="200ms")
    one.start("run", config=configs[0])
    one.wait_log("streaming from")
    two.start("run", config=configs[1])
    assert one.wait_exit(30) == 1, one.stderr
    assert "77" in one.stderr and "server_id" in one.stderr, one.stderr
    two.check_running()
    assert two.stop() == 0, two.stderr


def readers_of_the_log(server):
    return [number for number, command, in server.sql("SELECT id, command FROM information_schema.processlist") if command == "Binlog Dump"]


def test_a_given_server_id_waits_for_the_connection_that_had_it(mariadb_server, shop, tailrace):
    """The server would throw the old reader out, and may crash over that."""
    config = config_for(shop, tailrace)
    config["source"].update(server_id=78, heartbeat="1s")
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    old = set(readers_of_the_log(mariadb_server))
    tailrace.kill9()
    tailrace.wait_exit()
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from", timeout=60)
    assert not old & set(readers_of_the_log(mariadb_server))
    assert "thrown out" not in tailrace.stderr, tailrace.stderr
    shop.sql("INSERT INTO t (v) VALUES ('c')")
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    check_equal(shop, tailrace)


def test_a_drawn_server_id_is_used_once(make_mariadb, tailrace):
    server = make_mariadb(**{"log-warnings": 2})
    shop = server.database()
    make_table(shop)
    config = config_for(shop, tailrace)
    tailrace.start("run", config=config)
    tailrace.wait_log("streaming from")
    for times in (1, 2):
        for number in readers_of_the_log(server):
            server.sql(f"KILL {number}")
        wait_until(lambda: tailrace.stderr.count("streaming from") > times, 30, "another connection")
    ids = re.findall(r"slave_server\((\d+)\)", server.log.read_text(encoding="utf-8"))
    assert len(ids) >= 3 and len(set(ids)) == len(ids), ids
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    check_equal(shop, tailrace)


# ---- minimal metadata

def test_shapes_without_full_metadata(mariadb_server, shop, target, tailrace):
    """The names come from the catalogue; a column too few or too many is refused, not guessed."""
    mariadb_server.sql("SET GLOBAL binlog_row_metadata = 'MINIMAL'")
    try:
        shop.sql("CREATE TABLE k (b int unsigned, a varchar(10) CHARACTER SET latin1, e enum('x','y'), PRIMARY KEY (a, b))")
        config = task_config(shop.url, target.url, tables=None)
        drain(tailrace, config)
        shop.sql("INSERT INTO k VALUES (4294967295, 'é', 'y'), (1, 'b', 'x')")
        shop.sql("UPDATE k SET e = 'x', b = 7 WHERE a = 'é'")
        shop.sql("DELETE FROM t WHERE id = 1")
        drain(tailrace, config)
        assert target.sql(f'SELECT b, a, e::text FROM "{shop.name}".k ORDER BY a COLLATE "C"') == [(1, "b", "x"), (7, "é", "x")]
        assert target.sql(f'SELECT id, v FROM "{shop.name}".t') == [(2, "b")]
        shop.sql("UPDATE k SET e = 'y'")
        shop.sql("ALTER TABLE k DROP COLUMN e")
        refused(tailrace, config, "binlog_row_metadata")
    finally:
        mariadb_server.sql("SET GLOBAL binlog_row_metadata = 'FULL'")
