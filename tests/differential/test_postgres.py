"""Debezium and tailrace on one PostgreSQL: every field of every record, in every handling mode."""

import functools

import pytest

from differential.compare import compare
from differential.modes import POSTGRES, modes_for, ours
from differential.peers import Both, Debezium, Ours, class_path, postgres_properties
from differential.postgres_workload import changes, setup
from differential.rules import POSTGRES_RULES

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(600)]


def run(database, statements):
    connection = database.connect(autocommit=False)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture(scope="module")
def records(source_server):
    """({mode: Debezium's records}, {mode: tailrace's})"""
    class_path("main")
    database = source_server.database()
    database.sql(f"ALTER DATABASE {database.name} SET lc_monetary = 'C'")
    for statement in setup():
        database.sql(statement)
    modes = modes_for(POSTGRES)
    engines = {name: functools.partial(_properties, database, mode) for name, mode in modes.items()}
    exclude = {name: mode["table.exclude.list"] for name, mode in modes.items() if "table.exclude.list" in mode}
    both = Both(Debezium("main", engines), Ours(database.url, {name: ours(mode) for name, mode in modes.items()}, ["public.%"], exclude),
                lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.public.sync")
    try:
        both.wait_snapshot()
        for transaction in changes():
            both.sync() if transaction is None else run(database, transaction)
        both.sync()
        yield both.stop()
    finally:
        both.kill()
        database.drop()


def _properties(database, mode, name, folder):
    return {**postgres_properties(database, name, folder), **mode}


@pytest.mark.parametrize("mode", list(modes_for(POSTGRES)))
def test_every_field(records, mode):
    theirs, mine = records
    complaints = compare(theirs[mode], mine[mode], POSTGRES_RULES)
    assert not complaints, f"{len(complaints)} differences\n" + "\n".join(complaints)
