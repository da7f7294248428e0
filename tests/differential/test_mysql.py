"""Debezium and tailrace on one MySQL, and on one MariaDB: every field of every record, in every handling mode."""

import functools

import pytest

from differential.compare import compare
from differential.modes import MYSQL, modes_for, ours
from differential.mysql_workload import changes, setup
from differential.peers import Both, Debezium, Ours, class_path, mysql_properties, whole_transactions
from differential.rules import MYSQL_RULES
from harness import matrix

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(600)]
MODES = list(modes_for(MYSQL))


def run(database, statements):
    with database.connect(autocommit=False, init_command="SET sql_mode = '', time_zone = '+00:00'") as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def records(request):
    """(kind, {mode: Debezium's records}, {mode: tailrace's})"""
    kind = request.param
    class_path("mariadb" if kind == "mariadb" else "main")
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "default-time-zone": "+00:00"}
    server = matrix.mariadb("10.11", options=fast) if kind == "mariadb" else matrix.mysql("9", options=fast)
    with server:
        database = server.database("shop")
        database.sql("ALTER DATABASE shop CHARACTER SET utf8mb4")
        server.sql("CREATE USER debezium IDENTIFIED BY 'dbz'")
        server.sql("GRANT ALL ON *.* TO debezium")
        run(database, setup(kind))
        modes = modes_for(MYSQL)
        engines = {name: functools.partial(_properties, database, mode, number) for number, (name, mode) in enumerate(modes.items())}
        both = Both(Debezium("mariadb" if kind == "mariadb" else "main", engines),
                    Ours(database.url, {name: ours(mode) for name, mode in modes.items()}, ["shop.%"],
                         {name: mode["table.exclude.list"] for name, mode in modes.items() if "table.exclude.list" in mode}),
                    lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.shop.sync")
        try:
            both.wait_snapshot()
            for transaction in changes(kind):
                both.sync() if transaction is None else run(database, transaction)
            both.sync()
            yield (kind, *both.stop())
        finally:
            both.kill()


def _properties(database, mode, number, name, folder):
    return {**mysql_properties(database, name, folder, number), **mode}


@pytest.mark.parametrize("mode", MODES)
def test_every_field(records, mode):
    kind, theirs, mine = records
    complaints = compare(*whole_transactions(theirs[mode], mine[mode]), MYSQL_RULES[kind])
    assert not complaints, f"{len(complaints)} differences\n" + "\n".join(complaints)
