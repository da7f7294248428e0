"""Debezium and tailrace under random workloads and random modes. DIFFERENTIAL_SEEDS=1,2,7-20 picks other seeds than the one that always runs."""

import functools
import json
import os
import random

import psycopg2
import pymysql
import pytest

from differential import wild_mysql, wild_postgres
from differential.compare import compare
from differential.modes import ours, random_modes
from differential.peers import Both, Debezium, Ours, class_path, mysql_properties, postgres_properties, whole_transactions
from differential.rules import MYSQL_RULES, POSTGRES_RULES, WILD_MYSQL, WILD_POSTGRES
from harness import matrix

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(600)]
TRANSACTIONS = 60


def seeds():
    for part in os.environ.get("DIFFERENTIAL_SEEDS", "1").split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def keep(name, records):
    """For whoever looks for a cause: the records as files."""
    folder = os.environ.get("DIFFERENTIAL_KEEP")
    if folder:
        with open(f"{folder}/{name}.json", "w", encoding="utf-8") as file:
            json.dump(records, file)


def check(name, theirs, mine, rules):
    keep(name, [theirs, mine])
    complaints = [f"{mode}: {text}" for mode in theirs for text in compare(theirs[mode], mine[mode], rules)]
    assert not complaints, f"{len(complaints)} differences\n" + "\n".join(complaints)


def run_postgres(database, statements):
    """One transaction, in which a statement that breaks a key leaves nothing."""
    connection = database.connect(autocommit=False)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute("SAVEPOINT each")
            try:
                cursor.execute(statement)
            except psycopg2.errors.UniqueViolation:
                cursor.execute("ROLLBACK TO each")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("seed", seeds())
def test_postgres(source_server, seed):
    class_path("main")
    rng = random.Random(seed)
    workload, modes = wild_postgres.Workload(rng), random_modes(rng, "postgres")
    database = source_server.database()
    database.sql(f"ALTER DATABASE {database.name} SET lc_monetary = 'C'")
    for statement in workload.setup():
        database.sql(statement)
    engines = {name: functools.partial(_postgres_properties, database, mode) for name, mode in modes.items()}
    both = Both(Debezium("main", engines),
                Ours(database.url, {name: ours(mode) for name, mode in modes.items()}, ["public.%", f"{workload.schema}.%"]),
                lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.public.sync")
    try:
        both.wait_snapshot()
        for transaction in workload.changes(TRANSACTIONS):
            run_postgres(database, transaction)
        both.sync()
        theirs, mine = both.stop()
    finally:
        both.kill()
        database.drop()
    check(f"postgres-{seed}", theirs, mine, [*POSTGRES_RULES, *WILD_POSTGRES])


def _postgres_properties(database, mode, name, folder):
    return {**postgres_properties(database, name, folder), "schema.include.list": "public,Sch.*", **mode}


def run_mysql(database, statements):
    with database.connect(autocommit=False, init_command="SET sql_mode = '', time_zone = '+00:00'") as connection, connection.cursor() as cursor:
        for statement in statements:
            try:
                cursor.execute(statement)
            except pymysql.err.IntegrityError:
                pass  # the statement leaves nothing
        connection.commit()


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def server(request):
    class_path("mariadb" if request.param == "mariadb" else "main")
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "default-time-zone": "+00:00"}
    with matrix.mariadb("10.11", options=fast) if request.param == "mariadb" else matrix.mysql("9", options=fast) as one:
        one.sql("CREATE USER debezium IDENTIFIED BY 'dbz'")
        one.sql("GRANT ALL ON *.* TO debezium")
        yield one


@pytest.mark.parametrize("seed", seeds())
def test_mysql(server, seed):
    rng = random.Random(seed)
    workload, modes = wild_mysql.Workload(rng, server.kind), random_modes(rng, server.kind)
    database = server.database(f"wild{seed}")
    database.sql(f"ALTER DATABASE {database.name} CHARACTER SET utf8mb4")
    run_mysql(database, workload.setup())
    engines = {name: functools.partial(_mysql_properties, database, mode, number) for number, (name, mode) in enumerate(modes.items())}
    both = Both(Debezium("mariadb" if server.kind == "mariadb" else "main", engines),
                Ours(database.url, {name: ours(mode) for name, mode in modes.items()}, [f"{database.name}.%"]),
                lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), f"srv.{database.name}.sync")
    try:
        both.wait_snapshot()
        for transaction in workload.changes(TRANSACTIONS):
            run_mysql(database, transaction)
        both.sync()
        theirs, mine = both.stop()
    finally:
        both.kill()
        database.drop()
    for mode in theirs:
        theirs[mode], mine[mode] = whole_transactions(theirs[mode], mine[mode])
    check(f"{server.kind}-{seed}", theirs, mine, [*MYSQL_RULES[server.kind], *WILD_MYSQL[server.kind]])


def _mysql_properties(database, mode, number, name, folder):
    return {**mysql_properties(database, name, folder, number), **mode}
