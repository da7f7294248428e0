"""The topic of schema changes, of the snapshot and of statements in the stream: Debezium's records and tailrace's, field by field."""

import functools

import pytest

from differential.modes import ours
from differential.mysql_workload import DEFAULTS, TYPES
from differential.peers import PREFIX, Both, Debezium, Ours, class_path, mysql_properties
from harness import matrix
from harness.wait import wait_until

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(400)]
# The server's own words in a snapshot; in the stream Debezium has those of the statement (docs/debezium-differences.md).
SETUP = ["CREATE TABLE sync (id int PRIMARY KEY)", "INSERT INTO sync VALUES (0)",
         "CREATE TABLE every (id int PRIMARY KEY, " + ", ".join(f"`{name}` {kind}" for name, (kind, _) in TYPES.items()) + ")",
         "CREATE TABLE defs (id int PRIMARY KEY, " + ", ".join(f"`{name}` {kind} NOT NULL DEFAULT {value}" for name, (kind, value) in DEFAULTS.items()
                                                           if name not in ("vchr", "bin")) + ")",
         "CREATE TABLE two (a int unsigned zerofill, b varchar(9) CHARACTER SET latin1, c int NOT NULL UNIQUE) DEFAULT CHARSET latin1",
         "CREATE TABLE `we\"ird ``t` (`c\"x` bigint AUTO_INCREMENT, d int, PRIMARY KEY (`c\"x`, d))"]
STREAM = ["CREATE TABLE s (id bigint NOT NULL, v varchar(10), PRIMARY KEY (id))", "ALTER TABLE s ADD COLUMN w decimal(5,2) NOT NULL DEFAULT 5.00 AFTER id",
          "ALTER TABLE s MODIFY v varchar(77) NOT NULL, ADD UNIQUE KEY k (v)", "CREATE INDEX i ON s (w)", "DROP INDEX i ON s",
          "RENAME TABLE s TO t", "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME AS s, ADD COLUMN x date", "CREATE TABLE r LIKE s",
          "RENAME TABLE r TO r1, s TO r", "CREATE VIEW v AS SELECT 1 AS a", "DROP VIEW v", "CREATE PROCEDURE p() SELECT 1", "DROP PROCEDURE p",
          "DROP TABLE r1", "DROP TABLE IF EXISTS gone", "CREATE DATABASE other", "ALTER DATABASE other CHARACTER SET latin1", "DROP DATABASE other"]


SNAPSHOT = ("true", "last")


def shown(record):
    """A record without what differs by its nature; columns of the snapshot only, for the stream's are the statement's."""
    key, value = record["key"]["payload"], record["value"]["payload"]
    source = {name: part for name, part in value["source"].items() if name != "version" and not (name.startswith("ts_") and value["source"]["snapshot"] in SNAPSHOT)}
    source["table"] = source["table"] and sorted(source["table"].split(","))  # Debezium's are in no order
    changes = [{**change, "table": change["table"] and
                ({**change["table"], "comment": None} if source["snapshot"] in SNAPSHOT else [column["name"] for column in change["table"]["columns"]])}
               for change in value["tableChanges"]]
    return [key, source, value["databaseName"], value["schemaName"], value["ddl"], changes, record["key"]["schema"], record["value"]["schema"]]


def defined(peer):
    """Has it told of the last table?"""
    return any(record["topic"] == PREFIX and "CREATE TABLE `we" in record["value"]["payload"]["ddl"] for lines in peer.lines.values() for record in lines.look())


@pytest.mark.parametrize("kind, rows", [("mariadb", True), ("mysql", True), ("mariadb", False)])
def test_every_record(kind, rows):
    class_path("mariadb" if kind == "mariadb" else "main")
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "default-time-zone": "+00:00"}
    with matrix.mariadb("10.11", options=fast) if kind == "mariadb" else matrix.mysql("9", options=fast) as server:
        database = server.database("shop")
        server.sql("CREATE USER debezium IDENTIFIED BY 'dbz'")
        server.sql("GRANT ALL ON *.* TO debezium")
        for statement in SETUP:
            database.sql(statement)
        mode = {"include.schema.changes": "true", "x.schemas": "true", "snapshot.mode": "initial" if rows else "no_data"}
        both = Both(Debezium("mariadb" if kind == "mariadb" else "main", {"m": functools.partial(_properties, database, mode)}),
                    Ours(database.url, {"m": {**ours({}), "schemas_enable": True, "include_schema_changes": True}}, ["shop.%"],
                         mode="full-load-and-cdc" if rows else "cdc"),
                    lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.shop.sync")
        try:
            if rows:
                both.wait_snapshot()
            else:
                wait_until(lambda: all(map(defined, both.peers)), 240, "what makes the tables")
                both.sync()
            for statement in STREAM if rows else []:
                database.sql(statement)
                both.sync()  # the shape is the catalogue's: it must not be ahead
            theirs, mine = ([shown(record) for record in side["m"] if record["topic"] == PREFIX] for side in both.stop())
        finally:
            both.kill()
    assert len(theirs) > 2 * len(SETUP) + (10 if rows else 1)
    assert len(theirs) == len(mine), ([r[4][:60] for r in theirs], [r[4][:60] for r in mine])
    for left, right in zip(theirs, mine):
        assert left == right


def _properties(database, mode, name, folder):
    return {**mysql_properties(database, name, folder, 1), **mode}
