"""What operators and networks do to a MySQL or MariaDB target while the task runs."""

import pytest

from harness.proxy import Proxy
from harness.replication import drain, task_config
from harness.servers import MariaDB
from harness.wait import wait_until

FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}


def lock_waits(server):
    return server.sql("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")[0][0]


@pytest.mark.parametrize("engine", ["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def test_a_lost_connection_that_the_server_still_has_holds_no_locks(engine_servers, tailrace, engine):
    """The network forgets the connections, the target does not: their open transactions stay, and must not be waited for."""
    source, target = engine_servers(engine, "source"), engine_servers(engine, "target")
    shop = source.database()
    for table in "ab":
        shop.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, v int)")
        shop.sql(f"INSERT INTO {table} VALUES (1, 0)")
    blocker = None
    with Proxy(target.port) as proxy:
        config = task_config(shop.url, target.url().replace(str(target.port), str(proxy.port)), tables={"include": [f"{shop.name}.%"]})
        try:
            drain(tailrace, config)
            tailrace.start("run", config=config)
            tailrace.wait_log("streaming from")
            blocker = target.connect(shop.name, autocommit=False)
            blocker.cursor().execute("SELECT * FROM b FOR UPDATE")
            with shop.connect(autocommit=False) as writer, writer.cursor() as cursor:
                cursor.execute("UPDATE a SET v = 1")
                cursor.execute("UPDATE b SET v = 1")
                writer.commit()
            wait_until(lambda: lock_waits(target) == 1, 20, "the target to wait for the lock", give_up=tailrace.check_running)
            proxy.vanish()
            blocker.rollback()
            query = f"SELECT v FROM {shop.name}.a UNION ALL SELECT v FROM {shop.name}.b"
            wait_until(lambda: target.sql(query) == [(1,), (1,)], 20, "the change to be applied", give_up=tailrace.check_running)
            assert tailrace.stop() == 0, tailrace.stderr
        finally:
            if blocker is not None:
                blocker.close()
            shop.drop()
            target.drop_database("tailrace")
            target.drop_database(shop.name)


def plain_account(server):
    server.sql("CREATE OR REPLACE USER plain@'%' IDENTIFIED BY 'pw'")  # init_connect is not for those who administrate
    server.sql("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP ON *.* TO plain@'%'")


ODD = {"init-connect": "SET NAMES latin1", "character-set-server": "latin1", "completion-type": "RELEASE",
       "autocommit": "OFF", "transaction-isolation": "SERIALIZABLE", "default-storage-engine": "MyISAM",
       "default-time-zone": "+13:00", "sql-mode": "ANSI,NO_BACKSLASH_ESCAPES"}


def test_what_a_server_gives_each_session_is_not_ours(engine_servers, tailrace):
    """Settings of the target that would change what is written, or stop it, hold for others."""
    source = engine_servers("mariadb", "source")
    shop = source.database()
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(40) CHARACTER SET utf8mb4, u int UNIQUE, at timestamp NULL)")
    shop.sql("CREATE TABLE bag (v varchar(40) CHARACTER SET utf8mb4)")
    with MariaDB(options={**FAST, **ODD}, name="odd") as target:
        try:
            plain_account(target)
            target.sql("SET GLOBAL unique_checks = OFF, GLOBAL tx_read_only = ON")
            shop.sql("INSERT INTO t VALUES (1, 'grüße 😀', 1, '2020-01-01 00:00:00'), (2, 'x', 2, NULL)")
            shop.sql("INSERT INTO bag VALUES ('日本'), ('日本'), (NULL)")
            config = task_config(shop.url, target.url(user="plain", password="pw"), tables={"include": [f"{shop.name}.%"]})
            drain(tailrace, config)
            shop.sql("INSERT INTO t VALUES (3, 'zoë \\\\ \\'', 3, now())")
            shop.sql("UPDATE t SET v = concat(v, ' €'), u = 10 - u")
            shop.sql("UPDATE bag SET v = 'é😀' LIMIT 1")
            drain(tailrace, config)
            for query in ("SELECT id, hex(v), u, unix_timestamp(at) FROM {}.t ORDER BY id", "SELECT hex(v) FROM {}.bag ORDER BY 1"):
                assert target.sql(query.format(shop.name)) == source.sql(query.format(shop.name))
        finally:
            shop.drop()


def test_a_target_that_is_read_only_for_a_while(engine_servers, tailrace):
    """A failover of the target: what was the primary takes no changes, and of several hosts the one that does is found."""
    source, target = engine_servers("mariadb", "source"), engine_servers("mariadb", "target")
    shop = source.database()
    shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
    plain_account(target)
    url = target.url(user="plain", password="pw")
    config = task_config(shop.url, url, tables={"include": [f"{shop.name}.%"]})
    try:
        target.sql("SET GLOBAL read_only = ON")
        result = tailrace.run("run", config=config)
        assert result.status == 1 and "read-only" in result.stderr, result
        target.sql("SET GLOBAL read_only = OFF")
        tailrace.start("run", config=config)
        tailrace.wait_log("streaming from")
        target.sql("SET GLOBAL read_only = ON")
        shop.sql("INSERT INTO t VALUES (1)")
        tailrace.wait_log("the target is read-only and takes no changes.*SET GLOBAL read_only")
        target.sql("SET GLOBAL read_only = OFF")
        wait_until(lambda: target.sql(f"SELECT id FROM {shop.name}.t") == [(1,)], 30, "the row to come", give_up=tailrace.check_running)
        assert tailrace.stop() == 0, tailrace.stderr
        target.sql("SET GLOBAL read_only = ON")
        with MariaDB(options=FAST, name="next") as primary:
            plain_account(primary)
            both = url.replace(f":{target.port}", f":{target.port},127.0.0.1:{primary.port}")
            drain(tailrace, {**config, "target": {"url": both}, "task": "both"})
            assert primary.sql(f"SELECT id FROM {shop.name}.t") == [(1,)]
    finally:
        target.sql("SET GLOBAL read_only = OFF")
        target.sql("DROP USER plain@'%'")
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


def test_a_timestamp_changes_when_the_source_says(engine_servers, tailrace):
    """ON UPDATE CURRENT_TIMESTAMP, which the target's table has and the source's has not, does not act on what the source left alone."""
    source, target = engine_servers("mariadb", "source"), engine_servers("mariadb", "target")
    shop = source.database()
    target.create_database(shop.name)
    by_itself = "timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
    make = "CREATE TABLE {0}.t (id int PRIMARY KEY, at {1}, v int); CREATE TABLE {0}.k (at {1} PRIMARY KEY, v int)"
    try:
        for server, kind in ((source, "timestamp NOT NULL"), (target, by_itself)):
            for statement in make.format(shop.name, kind).split("; "):
                server.sql(statement)
        shop.sql("INSERT INTO t VALUES (1, '2001-01-01', 0), (2, '2002-01-01', 0)")
        shop.sql("INSERT INTO k VALUES ('2001-01-01', 0), ('2002-01-01', 0)")
        config = task_config(shop.url, target.url(), tables={"include": [f"{shop.name}.%"]})
        drain(tailrace, config)
        for image in ("minimal", "full"):
            with shop.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"SET SESSION binlog_row_image = {image}")
                for table in ("t", "k"):
                    cursor.execute(f"UPDATE {table} SET v = v + 1")
                    cursor.execute(f"UPDATE {table} SET v = v + 1 LIMIT 1")
            drain(tailrace, config)
            for table in ("t", "k"):
                query = f"SELECT * FROM {shop.name}.{table} ORDER BY 1"
                assert target.sql(query) == source.sql(query), image
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


@pytest.mark.parametrize("engine", ["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def test_a_timestamp_of_few_words(engine_servers, tailrace, engine):
    """What TIMESTAMP alone means hangs on explicit_defaults_for_timestamp, of the session that ran the statement."""
    source, target = engine_servers(engine, "source"), engine_servers(engine, "target")
    shop = source.database()
    try:
        shop.sql("CREATE TABLE t (id int PRIMARY KEY)")
        shop.sql("INSERT INTO t VALUES (1)")
        config = task_config(shop.url, target.url(), tables={"include": [f"{shop.name}.%"]})
        drain(tailrace, config)
        with shop.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = ''")
            for number, value in enumerate((0, 1, 0)):
                cursor.execute(f"SET SESSION explicit_defaults_for_timestamp = {value}")
                cursor.execute(f"ALTER TABLE t ADD at{number} TIMESTAMP")
            cursor.execute("INSERT INTO t (id) VALUES (2)")
        drain(tailrace, config)
        for query in (f"SELECT * FROM {shop.name}.t ORDER BY 1", f"SHOW CREATE TABLE {shop.name}.t"):
            assert target.sql(query) == source.sql(query)
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


def test_a_table_that_grows_before_its_load_begins(engine_servers, tailrace):
    """A process that is killed with its tables made and nothing saved leaves them to the next one, whatever the source has done to its own since."""
    source, target = engine_servers("mariadb", "source"), engine_servers("mariadb", "target")
    shop = source.database()
    try:
        target.create_database(shop.name)
        shop.sql("CREATE TABLE a (id int PRIMARY KEY)")
        shop.sql("CREATE TABLE b (id int PRIMARY KEY)")
        config = task_config(shop.url, target.url(), tables={"include": [f"{shop.name}.%"]})
        result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": "sink.mysql.tables.made:2"})
        if result.status == 0:
            pytest.skip("this build has no fail points")
        shop.sql("ALTER TABLE a ADD COLUMN v int")
        shop.sql("INSERT INTO a VALUES (1, 2)")
        drain(tailrace, config)
        assert target.sql(f"SELECT * FROM {shop.name}.a") == [(1, 2)]
    finally:
        shop.drop()
        target.drop_database("tailrace")
        target.drop_database(shop.name)


@pytest.mark.matrix
def test_what_is_acknowledged_survives_a_crash_of_the_target(source, tailrace):
    """MariaDB's FLUSH ENGINE LOGS does nothing where commits are not flushed; the source must not let go of what is not on disk."""
    source.sql("CREATE TABLE public.t (id int PRIMARY KEY)")
    with MariaDB(options=FAST, name="lazy") as target:
        target.sql("CREATE DATABASE shop")
        config = task_config(source.url, target.url("shop"), tables={"include": ["public.t"]})
        drain(tailrace, config)
        tailrace.start("run", config=config)
        tailrace.wait_log("streaming from")
        for number in range(3):
            source.sql("INSERT INTO public.t VALUES (%s)", (number,))
            position = source.one("SELECT pg_current_wal_insert_lsn()")
            query = "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE database = current_database()"
            wait_until(lambda: source.one(query, (position,)), 30, "the acknowledgement", give_up=tailrace.check_running)  # noqa: B023
            target.crash()
            assert target.sql("SELECT count(*) FROM shop.t") == [(number + 1,)]
        assert tailrace.stop() == 0, tailrace.stderr


@pytest.mark.matrix  # the decoder's own test is in tests/unit
@pytest.mark.parametrize("pair, metadata", [("mariadb-mariadb", "FULL"), ("mysql-mariadb", "FULL"), ("mariadb-mysql", "FULL"), ("mariadb-postgresql", "FULL"),
                                            ("mariadb-postgresql", "NO_LOG"), ("mysql-mariadb", "MINIMAL")])
def test_a_column_that_came_and_went_before_the_cut_of_its_table(engine_servers, tailrace, pair, metadata):
    """The stream begins before the cut of a table whose load was cut short: the shapes that its rows had until then are nothing that the target is to have.

    Where the log has no names they could not even be read: the catalogue has the later ones."""
    left, right = pair.split("-")
    source, target = engine_servers(left, "source"), engine_servers(right, "target")
    shop, copy = source.database(), target.database() if right == "postgresql" else target
    (before,), = source.sql("SELECT @@global.binlog_row_metadata")
    try:
        source.sql(f"SET GLOBAL binlog_row_metadata = '{metadata}'")
        for table in "ab":
            shop.sql(f"CREATE TABLE {table} (id int PRIMARY KEY)")
            shop.sql(f"INSERT INTO {table} VALUES (1)")
        url = copy.url if right == "postgresql" else copy.url()
        config = task_config(shop.url, url, tables={"include": [f"{shop.name}.%"]}, readers=1)
        result = tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": "load.finish.after:1"})
        if result.status == 0:
            pytest.skip("this build has no fail points")
        (late,), = copy.sql("SELECT table_name FROM tailrace.table_cut WHERE NOT done")
        for change in ("INSERT INTO {} VALUES (2)", "ALTER TABLE {} ADD COLUMN gone datetime(3)", "INSERT INTO {} VALUES (3, now())",
                       "ALTER TABLE {} DROP COLUMN gone", "INSERT INTO {} VALUES (4)"):
            shop.sql(change.format(late))
        drain(tailrace, config)
        shop.sql(f"INSERT INTO {late} VALUES (5)")
        drain(tailrace, config)
        assert copy.sql(f"SELECT * FROM {late} ORDER BY id") == [(n,) for n in range(1, 6)]
    finally:
        source.sql(f"SET GLOBAL binlog_row_metadata = '{before}'")
        shop.drop()
        if right == "postgresql":
            copy.drop()
        else:
            target.drop_database("tailrace")
            target.drop_database(shop.name)
