"""The source fails over: a replica takes its place, and the task goes on there by GTID; nothing is lost, nothing comes twice."""

import pytest

from harness import matrix
from harness.pairs import describe, rows_as_meant
from harness.replication import drain, task_config
from harness.servers import Database, MariaDB
from harness.wait import wait_until
from harness.workload_mysql import ACCOUNTS, OPENING_BALANCE, TABLES, MysqlWorkload

pytestmark = pytest.mark.time_limit(400)
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


def make_pair(engine):
    """A primary, and a replica that logs what it applies."""
    def make(name, server_id):
        options = {**FAST, "server-id": server_id, "log-replica-updates" if engine == "mysql" else "log-slave-updates": "ON"}
        return matrix.mysql("9", options=options, name=name) if engine == "mysql" else MariaDB(options=options, name=name)
    return make("primary", 11), make("replica", 12)


def follow(replica, primary):
    """The replica follows the primary from the beginning, by GTID."""
    if replica.kind == "mysql":
        primary.sql("CREATE USER IF NOT EXISTS repl@'%' IDENTIFIED BY 'pw'")
        primary.sql("GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
        replica.sql(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={primary.port}, SOURCE_USER='repl',"
                    " SOURCE_PASSWORD='pw', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1")
        replica.sql("START REPLICA")
    else:
        primary.sql("CREATE USER IF NOT EXISTS repl@'%' IDENTIFIED BY 'pw'")
        primary.sql("GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
        replica.sql(f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='repl', MASTER_PASSWORD='pw',"
                    " MASTER_USE_GTID=slave_pos")
        replica.sql("START SLAVE")


def caught_up(replica, primary):
    if replica.kind == "mysql":
        wanted = primary.sql("SELECT @@global.gtid_executed")[0][0]
        return replica.sql("SELECT gtid_subset(%s, @@global.gtid_executed)", (wanted,))[0][0] == 1
    return replica.sql("SELECT @@global.gtid_slave_pos")[0][0] == primary.sql("SELECT @@global.gtid_binlog_pos")[0][0]


def promote(replica):
    replica.sql("STOP REPLICA" if replica.kind == "mysql" else "STOP SLAVE")
    replica.sql("RESET REPLICA ALL" if replica.kind == "mysql" else "RESET SLAVE ALL")


def assert_equal(source, target):
    for table in TABLES:
        columns = [name for (name,) in source.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
                                                  " ORDER BY ordinal_position", (source.name, table))]
        left, right = (rows_as_meant(side, (source.name, table), columns) for side in (source, target))
        missing, extra = left - right, right - left
        assert not missing and not extra, describe(table, columns, missing, extra)
    found = target.sql(f'SELECT count(*), sum(balance) FROM "{source.name}".account')
    assert found == [(ACCOUNTS, ACCOUNTS * OPENING_BALANCE)]


@pytest.mark.parametrize("engine", ["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def test_a_replica_takes_over_as_source(engine, target, tailrace):
    primary, replica = make_pair(engine)
    with primary, replica:
        follow(replica, primary)
        shop = primary.database("shop")
        shop.sql("ALTER DATABASE shop CHARACTER SET utf8mb4")
        load = MysqlWorkload(shop, seed=7, clients=2, bulk_rows=500, large_row=1 << 16).create_tables()
        # both are named: whichever answers is followed
        url = shop.url.replace(f"127.0.0.1:{primary.port}", f"127.0.0.1:{primary.port},127.0.0.1:{replica.port}")
        config = task_config(url, target.url, tables={"include": ["shop.%"]})
        tailrace.start("run", config=config)
        load.run(150)
        wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
        behind = target.sql("SELECT to_regclass('shop.journal')") != [(None,)]
        primary.kill9()
        promote(replica)
        after = Database(replica, "shop")
        load.database = after
        load.run(150)
        wait_until(lambda: target.one("SELECT to_regclass('shop.journal')") is not None
                   and target.one("SELECT count(*) FROM shop.journal") == after.one("SELECT count(*) FROM journal"), 90,
                   "the target to follow the new source", give_up=tailrace.check_running)
        assert tailrace.stop() == 0, tailrace.stderr
        drain(tailrace, config)
        assert_equal(after, target)
        assert behind or "loading" in tailrace.stderr_path.parent.joinpath("stderr.1").read_text()


@pytest.mark.matrix
@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
def test_a_replica_that_lacks_transactions_is_refused(engine, target, tailrace):
    """What the task has carried already must be on the new source too; otherwise the two histories have parted."""
    primary, replica = make_pair(engine)
    with primary, replica:
        follow(replica, primary)
        shop = primary.database("shop")
        shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
        shop.sql("INSERT INTO t VALUES (1)")
        wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
        promote(replica)
        shop.sql("INSERT INTO t VALUES (2)")
        config = task_config(shop.url, target.url, tables={"include": ["shop.%"]})
        drain(tailrace, config)
        shop.sql("INSERT INTO t VALUES (3)")
        drain(tailrace, config)
        primary.kill9()
        Database(replica, "shop").sql("INSERT INTO t VALUES (4)")
        result = tailrace.run("run", config={**config, "source": {"url": replica.url("shop")}, "stop": "drained"})
        assert result.status == 1 and "GTID" in result.stderr.upper(), result
        assert target.one("SELECT count(*) FROM shop.t") == 3


@pytest.mark.matrix
@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
@pytest.mark.parametrize("lacking", [True, False])
def test_a_table_is_loaded_later_than_where_the_stream_stands(engine, lacking, target, tailrace):
    """A load that was killed goes on with another cut: what that one has seen must be on the new source, too."""
    primary, replica = make_pair(engine)
    with primary, replica:
        follow(replica, primary)
        shop = primary.database("shop")
        for table in ("a", "b"):
            shop.sql(f"CREATE TABLE {table} (id int PRIMARY KEY)")
            shop.sql(f"INSERT INTO {table} VALUES (1)")
        config = task_config(shop.url, target.url, tables={"include": ["shop.%"]}, readers=1, stop="drained")
        tailrace.crash_allowed = True
        assert tailrace.run("run", config=config, env={"TR_FAILPOINT": "load.finish.after:1"}).status < 0
        wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
        if lacking:
            promote(replica)
        shop.sql("INSERT INTO a VALUES (2)")
        shop.sql("INSERT INTO b VALUES (2)")
        assert tailrace.run("run", config=config, env={"TR_FAILPOINT": "pipeline.push:1"}).status < 0
        if not lacking:
            wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
            promote(replica)
        primary.kill9()
        after = Database(replica, "shop")
        after.sql("INSERT INTO a VALUES (3)")
        after.sql("INSERT INTO b VALUES (3)")
        result = tailrace.run("run", config={**config, "source": {"url": after.url}})
        if lacking:
            assert result.status == 1 and "loaded later than where the stream stands" in result.stderr, result
        else:
            assert result.status == 0, result
            assert [target.sql(f"SELECT id FROM shop.{table} ORDER BY id") for table in "ab"] == [[(1,), (2,), (3,)]] * 2


@pytest.mark.matrix
def test_a_node_with_the_same_id_takes_over(target, tailrace):
    """The nodes of a cluster may have one server id, and MariaDB before 10.5.26 no other name of its own: each has its own files."""
    options = {**FAST, "log-slave-updates": "ON", "wsrep-provider": "/usr/lib/galera/libgalera_smm.so"}
    with matrix.mariadb("10.5", options={**options, "server-id": 11}, name="node1") as primary, \
         matrix.mariadb("10.5", options={**options, "server-id": 12}, name="node2") as replica:
        follow(replica, primary)
        shop = primary.database("shop")
        shop.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(99))")
        shop.sql("INSERT INTO t VALUES (1, repeat('a', 99))")
        wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
        replica.sql("FLUSH BINARY LOGS")
        drain(tailrace, task_config(shop.url, target.url, tables={"include": ["shop.%"]}))
        shop.sql("INSERT INTO t VALUES (2, 'b')")
        drain(tailrace, task_config(shop.url, target.url, tables={"include": ["shop.%"]}))
        wait_until(lambda: caught_up(replica, primary), 60, "the replica to catch up")
        promote(replica)
        replica.sql("SET GLOBAL server_id = 11")
        after = Database(replica, "shop")
        after.sql("INSERT INTO t VALUES (3, 'c')")
        drain(tailrace, task_config(after.url, target.url, tables={"include": ["shop.%"]}))
        assert target.sql("SELECT id FROM shop.t ORDER BY id") == [(1,), (2,), (3,)]


@pytest.mark.matrix
@pytest.mark.parametrize("meanwhile", ["running", "told", "hidden"])
def test_gtids_are_switched_off_for_a_while(target, tailrace, meanwhile):
    """Transactions without one are in no set: the place in the file tells of them, or nothing does.

    The server complains of them behind the first that has one, and passes over those before it."""
    with matrix.mysql("9", options=FAST) as server:
        shop = server.database("shop")
        shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
        config = task_config(shop.url, target.url, tables={"include": ["shop.%"]})
        drain(tailrace, config)
        for number, mode in enumerate(("ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON", "ON")):
            server.sql(f"SET GLOBAL gtid_mode = {mode}")
            if meanwhile != "hidden" or number > 0:
                shop.sql(f"INSERT INTO t VALUES ({number})")
            if meanwhile == "running":
                drain(tailrace, config)
        if meanwhile != "running":
            result = tailrace.run("run", config={**config, "stop": "drained"})
            assert result.status == 1 and "ON_PERMISSIVE" in result.stderr, result
            server.sql("SET GLOBAL gtid_mode = ON_PERMISSIVE")
            drain(tailrace, config)
            server.sql("SET GLOBAL gtid_mode = ON")
            shop.sql("INSERT INTO t VALUES (77)")
        drain(tailrace, config)
        assert target.sql("SELECT id FROM shop.t ORDER BY id") == list(shop.sql("SELECT id FROM t ORDER BY id"))
        config["source"]["gtid"] = "off"
        result = tailrace.run("run", config={**config, "stop": f"gtid:{server.sql('SELECT @@server_uuid')[0][0]}:1-999"})
        assert result.status == 2 and "by file and offset" in result.stderr, result
