"""Debezium and tailrace on the tables and rows of Debezium's own tests, read out of its sources, which are not part of this project:

    DEBEZIUM_SOURCES=FOLDER tests/run --only integration --build build/asan -m matrix --filter fixtures

FOLDER is a checkout of Debezium's repository. What a statement needs that is not here (PostGIS, a server's option) is left out, and counted.
"""

import functools
import os
import re
from pathlib import Path

import psycopg2
import pymysql
import pytest

from differential.modes import ours
from differential.peers import Both, Debezium, Ours, class_path, mysql_properties, postgres_properties
from differential.rules import FIXTURES_MYSQL, FIXTURES_POSTGRES, MYSQL_RULES, POSTGRES_RULES, WILD_MYSQL, WILD_POSTGRES
from differential.test_wild import check
from harness import matrix

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(900)]
MODES = {"default": {"x.schemas": "true"}, "text": {"x.schemas": "true", "decimal.handling.mode": "string", "binary.handling.mode": "hex", "time.precision.mode": "connect"}}
MYSQL_MODES = {**MODES, "text": {**MODES["text"], "time.precision.mode": "microseconds"}}  # a NOT NULL time that is none of a day stops Debezium in the mode connect
# Of these the rows are made by Java, or the server must be another one.
LEFT_OUT = {"signal_test", "ssl_test", "vector_test", "vector_to_json", "maria_vector_test", "sql_bin_log_off_test"}


def sources():
    folder = os.environ.get("DEBEZIUM_SOURCES")
    if not folder:
        pytest.skip("DEBEZIUM_SOURCES does not name a checkout of Debezium's sources")
    return Path(folder)


def statements(text):
    text = re.sub(r"(?m)^\s*(--|#).*$", "", text)
    return [each.strip() for each in re.split(r";[ \t]*(?:\n|$)", text) if each.strip()]


def java_strings(text, name):
    """The values of the constants whose names fit."""
    found = []
    for match in re.finditer(rf"String {name} = ((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*);", text):
        literals = re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(1))
        found.append(re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda one: chr(int(one[1], 16)) if one[1] else {"n": "\n", "t": "\t"}.get(one[2], one[2]), "".join(literals)))
    return found


def run(database, texts, refusals):
    """Each on its own; returns how many were taken."""
    taken = 0
    for text in texts:
        try:
            database.sql(text)
            taken += 1
        except refusals:
            pass
    return taken


def test_postgres(source_server):
    class_path("main")
    tests = sources() / "debezium-connector-postgres/src/test"
    database = source_server.database()
    database.sql(f"ALTER DATABASE {database.name} SET lc_monetary = 'C'")
    for name in ("init_database", "postgres_create_tables"):
        run(database, statements((tests / f"resources/{name}.ddl").read_text(encoding="utf-8")), ())
    database.sql("CREATE TABLE public.sync (id int PRIMARY KEY)")
    database.sql("INSERT INTO public.sync VALUES (0)")
    java = tests / "java/io/debezium/connector/postgresql/AbstractRecordsProducerTest.java"
    inserts = java_strings(java.read_text(encoding="utf-8"), r"INSERT_\w+_STMT")
    refusals = (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedFunction, psycopg2.errors.UndefinedObject)
    assert run(database, inserts, refusals) > 20
    both = Both(Debezium("main", {name: functools.partial(_postgres, database, mode) for name, mode in MODES.items()}),
                Ours(database.url, {name: ours(mode) for name, mode in MODES.items()}, ["public.%", "Quoted%.%"]),
                lambda number: database.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.public.sync")
    try:
        both.wait_snapshot()
        run(database, inserts, refusals)
        for schema, table in database.sql("SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 2"):
            if table not in ("sync", "table_without_pk"):
                quoted = ".".join('"' + each.replace('"', '""') + '"' for each in (schema, table))
                database.sql(f"DELETE FROM {quoted} WHERE pk = 1")
        both.sync()
        theirs, mine = both.stop()
    finally:
        both.kill()
        database.drop()
    check("fixtures-postgres", theirs, mine, [*POSTGRES_RULES, *WILD_POSTGRES, *FIXTURES_POSTGRES])


def _postgres(database, mode, name, folder):
    return {**postgres_properties(database, name, folder), "schema.include.list": "public,Quoted.*", **mode}


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_mysql(kind):
    class_path("mariadb" if kind == "mariadb" else "main")
    folder = sources() / "debezium-connector-binlog/src/test/resources/ddl"
    scripts = {path.stem: statements(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql")) if path.stem not in LEFT_OUT}
    assert len(scripts) > 30
    fast = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0, "default-time-zone": "+00:00", "sql-mode": "''"}
    with matrix.mariadb("10.11", options=fast) if kind == "mariadb" else matrix.mysql("9", options=fast) as server:
        server.sql("CREATE USER debezium IDENTIFIED BY 'dbz'")
        server.sql("GRANT ALL ON *.* TO debezium")
        home = server.database("home")
        home.sql("CREATE TABLE sync (id int PRIMARY KEY)")
        home.sql("INSERT INTO sync VALUES (0)")
        play(server, scripts, "a_")
        both = Both(Debezium("mariadb" if kind == "mariadb" else "main", {name: functools.partial(_mysql, home, mode, number)
                                                                                for number, (name, mode) in enumerate(MYSQL_MODES.items())}),
                    Ours(server.url(), {name: ours(mode) for name, mode in MYSQL_MODES.items()}, ["home.%", "a_%.%", "b_%.%"]),
                    lambda number: home.sql("INSERT INTO sync VALUES (%s)", (number,)), "srv.home.sync")
        try:
            both.wait_snapshot()
            play(server, scripts, "b_")
            both.sync()
            theirs, mine = both.stop()
        finally:
            both.kill()
    check(f"fixtures-{kind}", theirs, mine, [*MYSQL_RULES[kind], *WILD_MYSQL[kind], *FIXTURES_MYSQL])


def play(server, scripts, prefix):
    """Each script in a database of its own."""
    refusals = (pymysql.err.Error,)
    for name, texts in scripts.items():
        database = server.database(f"{prefix}{name}".lower())
        with database.connect() as connection, connection.cursor() as cursor:
            for text in texts:
                try:
                    cursor.execute(text)
                except refusals:
                    pass


def _mysql(database, mode, number, name, folder):
    mode = {**mode, "include.schema.changes": "false"}
    return {**mysql_properties(database, name, folder, number), "database.include.list": "home,a_.*,b_.*", **mode}
