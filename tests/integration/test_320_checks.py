"""tailrace check: every item, on servers and accounts that have everything wrong at once. Each finding names its object and the statement that mends it."""

import json
import re
from pathlib import Path

import pytest

from harness import matrix
from harness.replication import task_config
from harness.servers import MariaDB

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"postgresql source": "capture/postgres/check.c", "postgresql target": "sinks/postgres/check.c",
          "mysql source": "capture/mysql/check.c", "mysql target": "sinks/mysql/check.c"}

# Item -> level, object (None: the server), what the statement that mends it holds (None: there is none).
EXPECTED = {
    "postgresql source": {
        "postgresql-replication-role": ("error", None, 'ALTER ROLE poor REPLICATION'),
        "postgresql-replication-slots": ("error", None, "ALTER SYSTEM SET max_replication_slots = 5"),
        "postgresql-wal-senders-few": ("warning", None, "ALTER SYSTEM SET max_wal_senders = "),
        "postgresql-wal-retention-unbounded": ("warning", None, "ALTER SYSTEM SET max_slot_wal_keep_size"),
        "postgresql-wal-sender-timeout": ("warning", None, "ALTER SYSTEM SET wal_sender_timeout = '60s'"),
        "postgresql-decoding-memory": ("note", None, "ALTER SYSTEM SET logical_decoding_work_mem"),
        "postgresql-prepared-transaction": ("warning", None, "ROLLBACK PREPARED 'it''s open'"),
        "postgresql-select-privilege": ("error", 'public."odd ""name"""', 'GRANT SELECT ON public."odd ""name""" TO poor'),
        "postgresql-sequence-privilege": ("warning", "public.nokey_n_seq", "GRANT SELECT ON SEQUENCE public.nokey_n_seq TO poor"),
        "postgresql-row-security": ("error", "public.secret", "ALTER ROLE poor BYPASSRLS"),
        "postgresql-replica-identity-missing": ("warning", "public.nokey", "ALTER TABLE public.nokey REPLICA IDENTITY FULL"),
        "postgresql-replica-identity-full": ("note", "public.fulltable", None),
        "postgresql-similar-names": ("warning", 'public."SAME"', None),
        "postgresql-foreign-partition": ("warning", "public.parted", None),
        "postgresql-partition-upkeep": ("warning", "public.parted", None),
        "postgresql-large-objects": ("warning", None, None),
        "postgresql-left-out": ("warning", "public.unlogged", "ALTER TABLE public.unlogged SET LOGGED"),
        "postgresql-publication-privilege": ("error", "public.nokey", "OWNER TO poor"),
        "tables-unmatched": ("warning", "public.heer", None),
    },
    "postgresql source, slot and publication given": {
        "postgresql-wal-retention-bounded": ("note", None, None),
        "postgresql-slot-unfit": ("error", "other", "pg_drop_replication_slot"),
        "postgresql-publication-lacks": ("error", "mine", 'ALTER PUBLICATION "mine" ADD TABLE'),
        "postgresql-publication-partial": ("warning", "mine", "SET (publish = "),
        "postgresql-publish-via-root": ("note", "mine", None),
        "postgresql-encoding": ("warning", None, None),
    },
    "postgresql source, a slot in use and no table": {
        "postgresql-no-tables": ("warning", None, None),
        "postgresql-slot-active": ("warning", "tailrace_test", None),
    },
    "postgresql target": {
        "postgresql-target-encoding": ("warning", None, "ENCODING 'UTF8'"),
        "postgresql-target-replica-role": ("warning", None, 'GRANT SET ON PARAMETER session_replication_role TO "po""or"'),
        "postgresql-target-state": ("error", None, 'GRANT CREATE ON DATABASE '),
        "postgresql-target-privileges": ("error", "public.noright", 'GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON "public"."noright" TO "po""or"'),
        "postgresql-target-generated": ("warning", "public.computed", 'ALTER COLUMN "v" DROP EXPRESSION'),
        "postgresql-target-column": ("error", "public.narrow", 'ALTER TABLE "public"."narrow" ADD COLUMN "v" text'),
        "postgresql-target-triggers": ("warning", "public.fires", "ENABLE TRIGGER"),
        "postgresql-target-key": ("warning", "public.nokey", 'ALTER TABLE "public"."nokey" ADD PRIMARY KEY ("id")'),
        "postgresql-target-create": ("error", "public.absent", 'GRANT USAGE, CREATE ON SCHEMA "public" TO "po""or"'),
        "postgresql-target-lacks": ("error", "public.made(integer)", "pg_dump --schema-only"),
        "postgresql-target-rows": ("error", "public.filled", 'TRUNCATE "public"."filled"'),
    },
    "postgresql target, tables expected": {"postgresql-target-table": ("error", "public.absent", "tailrace schema")},
    "mysql source": {
        "mysql-binlog-format": ("error", None, "SET GLOBAL binlog_format = 'ROW'"),
        "mysql-binlog-image": ("warning", None, "SET GLOBAL binlog_row_image = 'FULL'"),
        "mysql-binlog-metadata": ("warning", None, "SET GLOBAL binlog_row_metadata = 'FULL'"),
        "mysql-gtid-strict": ("warning", None, "SET GLOBAL gtid_strict_mode = ON"),
        "mysql-sync-binlog": ("warning", None, "SET GLOBAL sync_binlog = 1"),
        "mysql-max-allowed-packet": ("note", None, "SET GLOBAL max_allowed_packet"),
        "mysql-expire-logs-days": ("warning", None, "SET GLOBAL expire_logs_days = 7"),
        "mysql-table-engine": ("warning", "shop.aria", "ALTER TABLE `shop`.`aria` ENGINE = InnoDB"),
        "mysql-table-without-key": ("warning", "shop.odd`key", "ALTER TABLE `shop`.`odd``key` ADD COLUMN"),
        "mysql-cascade": ("warning", "shop.child", "ALTER TABLE `shop`.`child` DROP FOREIGN KEY"),
        "mysql-invisible-column": ("note", "shop.columns_of_note", None),
        "mysql-generated-column": ("note", "shop.columns_of_note", None),
        "mysql-system-versioned": ("note", "shop.versioned", None),
        "mysql-hidden-columns": ("error", "shop.versioned", "SET GLOBAL binlog_row_metadata = 'FULL'"),
        "mysql-not-carried": ("note", "shop.shown", None),
        "mysql-replication-privileges": ("error", "poor@localhost", "GRANT REPLICATION SLAVE ON *.* TO 'poor'@'localhost';"),
        "mysql-replication-client": ("error", "poor@localhost", "GRANT BINLOG MONITOR ON *.* TO 'poor'@'localhost';"),
        "tables-unmatched": ("warning", "shop.heer", None),
    },
    "mysql source, all rights": {
        "mysql-binlog-filter": ("warning", None, "remove binlog_ignore_db"),
        "mysql-database-role": ("error", None, "log_slave_updates = ON"),
    },
    "mysql 9 source": {
        "mysql-server-id": ("error", None, "SET GLOBAL server_id = 1"),
        "mysql-partial-json": ("note", None, "SET GLOBAL binlog_row_value_options = ''"),
        "mysql-gtid-mode": ("warning", None, "SET GLOBAL gtid_mode = ON"),
        "mysql-binlog-retention-time": ("warning", None, "SET GLOBAL binlog_expire_logs_seconds = 604800"),
        "mysql-lock-privileges": ("warning", "poor@localhost", "GRANT LOCK TABLES ON `shop`.* TO 'poor'@'localhost';"),
        "mysql-database-role": ("error", None, "log_slave_updates = ON"),
    },
    "mysql source without a log": {"mysql-binlog-enabled": ("error", None, "log_bin; then restart it")},
    "mysql source, nothing to see": {"mysql-no-tables": ("error", "poor@localhost", "GRANT SELECT ON `shop`.* TO 'poor'@'localhost';")},
    "mysql target": {
        "mysql-target-durability": ("warning", None, "SET GLOBAL innodb_flush_log_at_trx_commit = 1"),
        "mysql-target-localinfile-set": ("warning", None, "SET GLOBAL local_infile = ON"),
        "mysql-max-allowed-packet-lob": ("warning", None, "SET GLOBAL max_allowed_packet"),
        "mysql-target-privileges": ("error", "tailrace", "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `tailrace`.* TO 'poor'@'localhost';"),
        "mysql-target-column": ("error", "shop.narrow", "ALTER TABLE `shop`.`narrow` ADD COLUMN `v`"),
        "mysql-target-triggers": ("error", "shop.fires", "DROP TRIGGER"),
        "mysql-table-storage-engine": ("error", "shop.aria", "ALTER TABLE `shop`.`aria` ENGINE = InnoDB"),
        "mysql-target-key": ("warning", "shop.nokey", "ALTER TABLE `shop`.`nokey` ADD PRIMARY KEY (`id`)"),
    },
    "mysql target, a log of statements": {"mysql-target-binlog-format": ("error", None, "SET GLOBAL binlog_format = 'ROW'")},
    "mysql target, tables expected": {"mysql-target-table": ("error", "shop.absent", "tailrace schema")},
}
# What takes another server, another version or minutes: tested elsewhere, or by nothing but its own query.
ELSEWHERE = {
    "postgresql-wal-level",  # test_300_bad_input.py
    "postgresql-wal-senders",  # without a free one `check` cannot connect twice; the run's own message tells
    "postgresql-standby", "postgresql-standby-too-old", "postgresql-standby-slots", "postgresql-idle-slot-timeout",
    "postgresql-long-transaction", "postgresql-publication-race", "postgresql-snapshot-race", "postgresql-target-version",
    "mysql-target-sequence", "mysql-sequence-default",  # test_409_sequences.py
    "mysql-target-folded-names",  # test_446_target_sessions.py
    "mysql-supported-version", "mysql-10k-tables", "mysql-target-version",
}


def check(tailrace, config, *cases):
    """Runs check and compares its findings with what is expected of the cases."""
    expected = {name: wanted for case in cases for name, wanted in EXPECTED[case].items()}
    result = tailrace.run("check", "--format", "json", config=config, timeout=60)
    assert result.status in (0, 3), result
    report = json.loads(result.stdout)
    assert report["errors"] == sum(finding["level"] == "error" for finding in report["findings"])
    assert (result.status == 3) == (report["errors"] > 0), result
    missed = []
    for name, (level, thing, mend) in expected.items():
        if not any(finding["id"] == name and finding["level"] == level and finding["object"] == thing and finding["text"]
                   and (finding["sql"] is None if mend is None else mend in (finding["sql"] or "")) for finding in report["findings"]):
            missed.append((name, [finding for finding in report["findings"] if finding["id"] == name]))
    assert not missed, json.dumps(missed, indent=1) + "\n" + result.stdout
    text = tailrace.run("check", config=config, timeout=60)
    assert text.status == result.status
    for name in expected:
        assert f"[{name}]" in text.stdout


def test_every_item_has_a_case():
    tested = {name for case in EXPECTED.values() for name in case} | ELSEWHERE
    for place in PLACES.values():
        source = (ROOT / place).read_text(encoding="utf-8")
        assert set(re.findall(r'"((?:postgresql|mysql)-[a-z0-9-]+)"', source)) <= tested, place


def test_postgresql_source(make_postgres, target, tailrace):
    server = make_postgres(max_replication_slots=1, max_wal_senders=2, wal_sender_timeout="5s", logical_decoding_work_mem="1MB",
                           max_prepared_transactions=2, fsync="off")
    server.sql("""
        CREATE ROLE poor LOGIN; GRANT USAGE ON SCHEMA public TO poor;
        CREATE TABLE nokey (n serial); CREATE TABLE fulltable (v int); ALTER TABLE fulltable REPLICA IDENTITY FULL;
        CREATE TABLE secret (id int PRIMARY KEY); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
        CREATE TABLE "SAME" (id int PRIMARY KEY); CREATE TABLE same (id int PRIMARY KEY); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
        CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE parted1 PARTITION OF parted FOR VALUES IN (1) SERVER files OPTIONS (filename '/dev/null');
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor; CREATE TABLE "odd ""name\""" (id int PRIMARY KEY);
        SELECT lo_create(0); SELECT pg_create_physical_replication_slot('taken', true)""")
    connection = server.connect(autocommit=False)
    connection.cursor().execute("INSERT INTO secret VALUES (1); PREPARE TRANSACTION 'it''s open'")
    connection.commit()
    connection.autocommit = True
    walsender = server.connect(replication="database")  # one of the two
    config = task_config(server.url("postgres", user="poor"), target.url, tables={"include": ["public.%", "public.heer"]})
    check(tailrace, config, "postgresql source")
    walsender.close()
    connection.cursor().execute("ROLLBACK PREPARED 'it''s open'")
    connection.close()


def test_postgresql_source_with_a_slot_and_a_publication(make_postgres, target, tailrace):
    server = make_postgres(max_slot_wal_keep_size="1GB", fsync="off")
    server.sql("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    server.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
               "CREATE PUBLICATION mine FOR TABLE a WITH (publish = 'insert')", database="bytes")
    server.sql("SELECT pg_create_logical_replication_slot('other', 'test_decoding')", database="bytes")
    config = task_config(server.url("bytes"), target.url, tables={"include": ["public.%"]})
    config["source"].update(slot="other", publication="mine")
    check(tailrace, config, "postgresql source, slot and publication given")


def test_postgresql_source_whose_slot_is_read(source, target, make_tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    first = make_tailrace().start("run", config=config)
    first.wait_log("streaming from", timeout=60)
    check(make_tailrace(), {**config, "tables": {"include": ["nowhere.%"]}}, "postgresql source, a slot in use and no table")
    assert first.stop() == 0


def test_postgresql_target(source, target_server, tailrace):
    tables = ("noright", "computed", "narrow", "fires", "nokey", "absent", "filled", "retyped", "strict", "more", "viewed")
    source.sql("".join(f"CREATE TABLE {table} (id int PRIMARY KEY, v text);" for table in tables))
    source.sql("CREATE FUNCTION made(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text'; ALTER TABLE absent ALTER v SET DEFAULT made(1)")
    name = "poor target"
    target_server.sql(f"CREATE DATABASE \"{name}\" ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    target_server.sql('CREATE ROLE "po""or" LOGIN')
    try:
        target_server.sql("""
            CREATE TABLE computed (id int PRIMARY KEY, v text GENERATED ALWAYS AS ('x') STORED); CREATE TABLE narrow (id int PRIMARY KEY);
            CREATE TABLE fires (id int PRIMARY KEY, v text); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER always BEFORE INSERT ON fires FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE fires ENABLE ALWAYS TRIGGER always;
            CREATE TABLE nokey (id int, v text); CREATE TABLE filled (id int PRIMARY KEY, v text); INSERT INTO filled VALUES (1, 'x');
            CREATE TABLE retyped (id int PRIMARY KEY, v bigint); CREATE TABLE strict (id int PRIMARY KEY, v text NOT NULL);
            CREATE TABLE more (id int PRIMARY KEY, v text, w int NOT NULL); CREATE VIEW viewed AS SELECT 1 AS id, 'x'::text AS v;
            GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO "po""or"; CREATE TABLE noright (id int PRIMARY KEY, v text);
            REVOKE CREATE ON SCHEMA public FROM PUBLIC""", database=name)
        config = task_config(source.url, target_server.url(name, user='po"or'), tables={"include": ["public.%"]})
        check(tailrace, config, "postgresql target")
        report = json.loads(tailrace.run("check", "--format", "json", config=config).stdout)
        mends = {(f["object"], f["sql"]) for f in report["findings"] if f["id"] == "postgresql-target-column"}
        assert ("public.retyped", 'ALTER TABLE "public"."retyped" ALTER COLUMN "v" TYPE text;') in mends, mends
        assert ("public.strict", 'ALTER TABLE "public"."strict" ALTER COLUMN "v" DROP NOT NULL;') in mends, mends
        assert ("public.more", 'ALTER TABLE "public"."more" ALTER COLUMN "w" DROP NOT NULL;') in mends, mends
        assert ("public.viewed", None) in mends, mends
        check(tailrace, {**config, "schema": "expect"}, "postgresql target, tables expected")
    finally:
        target_server.drop_database(name)
        target_server.sql('DROP ROLE "po""or"')


@pytest.fixture(scope="module")
def wrong_mariadb():
    options = {"binlog-format": "MIXED", "binlog-row-image": "MINIMAL", "binlog-row-metadata": "NO_LOG", "gtid-strict-mode": "OFF", "sync-binlog": 0,
               "max-allowed-packet": "1M", "expire-logs-days": "0.5", "binlog-ignore-db": "other", "innodb-flush-log-at-trx-commit": 0, "local-infile": "OFF"}
    with MariaDB(options=options, name="wrong") as server:
        wrong_tables(server)
        yield server


def wrong_tables(server, *statements):
    server.sql("DROP DATABASE IF EXISTS shop")
    server.sql("CREATE DATABASE shop")
    server.sql("DROP USER IF EXISTS poor@localhost")
    server.sql("CREATE USER poor@localhost")
    for statement in statements:
        server.sql(statement, database="shop")


def test_mariadb_source(wrong_mariadb, target, tailrace):
    config = task_config(wrong_mariadb.url("shop", user="poor"), target.url, tables={"include": ["shop.%", "shop.heer"]})
    check(tailrace, config, "mysql source, nothing to see")
    wrong_tables(wrong_mariadb, "CREATE TABLE aria (id int PRIMARY KEY) ENGINE = Aria", "CREATE TABLE `odd``key` (v int)",
                 "CREATE TABLE parent (id int PRIMARY KEY)",
                 "CREATE TABLE child (id int PRIMARY KEY, p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
                 "CREATE TABLE columns_of_note (id int PRIMARY KEY, unseen int INVISIBLE, twice int AS (id * 2) STORED)",
                 "CREATE TABLE versioned (id int PRIMARY KEY) WITH SYSTEM VERSIONING", "CREATE VIEW shown AS SELECT 1 AS n")
    wrong_mariadb.sql("GRANT SELECT, REPLICATION SLAVE ADMIN, INSERT ON *.* TO poor@localhost")
    check(tailrace, config, "mysql source")
    wrong_mariadb.sql("CHANGE MASTER TO master_host = '127.0.0.1'")  # it need not run to be a replica
    try:
        check(tailrace, {**config, "source": {"url": wrong_mariadb.url("shop")}}, "mysql source, all rights")
    finally:
        wrong_mariadb.sql("RESET SLAVE ALL")


@pytest.mark.matrix
def test_mysql_source(target, tailrace):
    options = {"gtid-mode": "OFF", "enforce-gtid-consistency": "OFF", "binlog-row-value-options": "PARTIAL_JSON",
               "binlog-expire-logs-seconds": 3600, "log-replica-updates": "OFF"}
    with matrix.mysql("9", options=options, name="wrong-my") as server:
        wrong_tables(server, "CREATE TABLE a (id int PRIMARY KEY)")
        server.sql("GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO poor@localhost")
        server.sql("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1'")
        server.sql("SET GLOBAL server_id = 0")
        check(tailrace, task_config(server.url("shop", user="poor"), target.url, tables={"include": ["shop.%"]}), "mysql 9 source")


@pytest.mark.matrix
def test_mariadb_source_without_a_log(target, tailrace):
    with MariaDB(options={"skip-log-bin": 1, "log-bin": 0}, name="unlogged") as server:
        wrong_tables(server, "CREATE TABLE a (id int PRIMARY KEY)")
        check(tailrace, task_config(server.url("shop"), target.url, tables={"include": ["shop.%"]}), "mysql source without a log")


def test_mariadb_target(wrong_mariadb, source, tailrace):
    tables = ("narrow", "fires", "aria", "nokey", "absent")
    source.sql("CREATE SCHEMA shop;" + "".join(f"CREATE TABLE shop.{table} (id int PRIMARY KEY, v text);" for table in tables))
    wrong_tables(wrong_mariadb, "CREATE TABLE narrow (id int PRIMARY KEY)", "CREATE TABLE fires (id int PRIMARY KEY, v text)",
                 "CREATE TRIGGER t BEFORE INSERT ON fires FOR EACH ROW SET NEW.v = 'x'",
                 "CREATE TABLE aria (id int PRIMARY KEY, v text) ENGINE = Aria", "CREATE TABLE nokey (id int, v text)")
    wrong_mariadb.sql("GRANT SELECT, INSERT, TRIGGER ON shop.* TO poor@localhost")
    config = task_config(source.url, wrong_mariadb.url("shop", user="poor"), tables={"include": ["shop.%"]})
    check(tailrace, config, "mysql target")
    report = json.loads(tailrace.run("check", "--format", "json", config=config).stdout)
    mends = {f["sql"] for f in report["findings"] if f["id"] == "mysql-target-privileges"}
    assert "GRANT UPDATE, DELETE ON `shop`.* TO 'poor'@'localhost';" in mends, mends
    assert "GRANT CREATE, ALTER, INDEX, REFERENCES ON `shop`.* TO 'poor'@'localhost';" in mends, mends
    wrong_mariadb.sql("SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        check(tailrace, {**config, "schema": "expect"}, "mysql target, tables expected", "mysql target, a log of statements")
    finally:
        wrong_mariadb.sql("SET GLOBAL binlog_format = 'MIXED'")
