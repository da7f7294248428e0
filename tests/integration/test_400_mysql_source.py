"""MariaDB and MySQL as the source: every type, a mixed load, kills, into files and into PostgreSQL."""

import random
from pathlib import Path

import pytest

from harness import matrix
from harness.compare import equal_by_content, row_count
from harness.replication import as_bytes, as_float, as_moment, drain, rows_after, rows_of, task_config, task_events
from harness.workload_mysql import ACCOUNTS, OPENING_BALANCE, TABLES, MysqlWorkload

GOLDEN = Path(__file__).resolve().parents[1] / "golden/binlog"
NORMALIZE = {"ratio": as_float, "raw": as_bytes, "big": as_bytes, "at": as_moment}
# The matrix's times are beyond PostgreSQL's own (zero dates, 838 hours): these are not.
POSTGRES_TIMES = [
    "insert into times values (1,'2024-02-29','12:34:56','12:34:56.789','23:59:58.999999','2024-02-29 12:34:56',"
    "'2024-02-29 12:34:56.7','2024-12-31 23:59:59.999999','2024-02-29 12:34:56','2024-02-29 12:34:56.78',"
    "'2024-02-29 12:34:56.000001',2024)",
    "insert into times values (2,'9999-12-31','00:00:00','00:00:00.001','00:00:00.000001','1000-01-01',"
    "'9999-12-31 23:59:59.9','0001-01-01 00:00:00.000010','1970-01-01 00:00:01','2038-01-19 03:14:07.99',"
    "'1970-01-01 00:00:01.5',1901)"]


@pytest.fixture(scope="session", params=["mariadb10.11", pytest.param("mysql9", marks=pytest.mark.matrix),
                                         pytest.param("mariadb11.8", marks=pytest.mark.matrix)])
def server(request):
    if request.param == "mariadb10.11":
        yield request.getfixturevalue("mariadb_server")
        return
    make = matrix.mysql if request.param.startswith("mysql") else matrix.mariadb
    with make(request.param.removeprefix("mysql").removeprefix("mariadb"),
              options={"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}) as started:
        yield started


@pytest.fixture
def shop(server):
    database = server.database()
    database.sql(f"ALTER DATABASE `{database.name}` CHARACTER SET utf8mb4")
    yield database
    database.drop()


def config_for(source, target_url, **options):
    return task_config(source.url, target_url, tables=None, **options)


def files_config(source, tailrace, **options):
    config = config_for(source, f"file://{tailrace.dir}/out", **options)
    config["target"]["skipped_operations"] = "none"
    return config


def assert_postgres_equal(source, target):
    """Each table by its content; the keyless, append-only journal is among them, so nothing is there twice."""
    with source.connect() as left, target.connect() as right:
        equal_by_content(left, right, [(table, (source.name, table)) for table in TABLES], normalize=NORMALIZE)
    found = target.sql(f'SELECT count(*), sum(balance) FROM "{source.name}".account')
    assert found == [(ACCOUNTS, ACCOUNTS * OPENING_BALANCE)]


def assert_files_equal(source, tailrace):
    """What the files add up to is what the tables hold: the rows of the columns that JSON carries as they are."""
    events = task_events(tailrace.dir / "out")
    columns = {"account": ["id", "balance", "note"], "item": ["id", "code", "qty", "txt", "latin", "kind"],
               "line": ["item_id", "n", "txt"], "journal": ["client", "n", "what"], "heap": ["a", "b"], "scratch": ["id", "v"]}
    with source.connect() as connection:
        for table, names in columns.items():
            there, here = rows_of(connection, table, names), rows_after(events, table, names)
            assert here == there, f"{table}: only at the source {there - here}, only in the files {here - there}"


# ---- types

def type_statements(server, times=None):
    """The type matrix that the decoder's golden files are made of, each statement with its verb and table."""
    own = "types-mysql.sql" if server.kind == "mysql" else "types-mariadb.sql"
    lines = ((GOLDEN / "types.sql").read_text(encoding="utf-8") + (GOLDEN / own).read_text(encoding="utf-8")).splitlines()
    if times is not None:
        lines = [line for line in lines if not line.startswith("insert into times ")] + times
    return [(line.split()[0], line.split()[2], line) for line in lines]


def make_types(source, statements):
    """Each table filled, and an empty twin beside it; returns the tables' names."""
    made = []
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for verb, table, text in statements:
            cursor.execute(text)
            if verb == "create":
                cursor.execute(f"CREATE TABLE {table}_twin LIKE {table}")
                made.append(table)
    return made


def fill_twins(source, statements):
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for verb, table, text in statements:
            if verb == "insert":
                cursor.execute(text.replace(f"insert into {table} ", f"insert into {table}_twin ", 1))


def test_loaded_and_streamed_values_are_the_same_in_files(server, shop, tailrace):
    # year 0 is tested below: its four zeros are no number of JSON's
    statements = [(v, t, x.replace("'0000-00-00',0)", "'0000-00-00',1999)")) for v, t, x in type_statements(server)]
    statements += [("create", "zeros", "create table zeros (id int primary key, a int(7) zerofill, b bigint(20) unsigned zerofill)"),
                   ("insert", "zeros", "insert into zeros values (1, 42, 42)")]
    tables = make_types(shop, statements)
    config = files_config(shop, tailrace)
    drain(tailrace, config)
    fill_twins(shop, statements)
    drain(tailrace, config)
    images = {}
    for event in task_events(tailrace.dir / "out"):
        assert event["op"] == ("c" if event["source"]["table"].endswith("_twin") else "r"), event
        images.setdefault(event["source"]["table"], []).append(event["after"])
    for table in tables:
        order = lambda image: sorted(map(repr, image.items()))
        loaded, streamed = (sorted(images[name], key=order) for name in (table, f"{table}_twin"))
        assert loaded == streamed, table
        assert len(loaded) == shop.one(f"SELECT count(*) FROM {table}"), table


def test_numbers_inside_json_are_the_same_text(server, shop, tailrace):
    """MySQL keeps JSON in binary: what its log gives must be printed as the server does it."""
    numbers = [f"{mantissa}e{exponent}" for exponent in range(-20, 21) for mantissa in ("1", "1.5", "-1.2345678901234567")]
    document = "[" + ", ".join(numbers + ["0.1", "-0.0", "5e-324", "1.7976931348623157e308", "12345678901234567"]) + "]"
    shop.sql("CREATE TABLE j (id int PRIMARY KEY, doc json)")
    shop.sql("INSERT INTO j VALUES (1, %s)", (document,))
    drain(tailrace, files_config(shop, tailrace))
    shop.sql("INSERT INTO j VALUES (2, %s)", (document,))
    drain(tailrace, files_config(shop, tailrace))
    texts = [event["after"]["doc"] for event in task_events(tailrace.dir / "out")]
    printed = shop.one("SELECT cast(doc AS char) FROM j WHERE id = 1")
    # Debezium's events hold the document without MySQL's spaces; MariaDB's text stays as it was written.
    wanted = printed.replace(" ", "") if shop.server.kind == "mysql" else printed
    assert texts == [wanted, wanted]


def test_signs_are_those_of_their_columns(server, shop, tailrace):
    """The log tells the signs of some columns in a row of bits, without their names: each type stands before a signed and an unsigned number."""
    types = ["year", "bit(3)", "float", "double", "decimal(4,1)", "date", "time", "time(3)", "datetime", "datetime(6)", "timestamp NULL", "timestamp(2) NULL", "enum('a')",
             "set('a')", "json", "point", "char(2)", "binary(2)", "varchar(300)", "varbinary(3)", "text", "blob", "int unsigned", "tinyint", "boolean", "float unsigned",
             "int zerofill", "double unsigned", "decimal(3,0) unsigned"]
    columns = ", ".join(f"t{n} {name}, s{n} smallint, u{n} smallint unsigned" for n, name in enumerate(types))
    shop.sql(f"CREATE TABLE signs (id int PRIMARY KEY, {columns})")
    named = ", ".join(f"s{n}, u{n}" for n in range(len(types)))
    values = ", ".join(f"{-1 - n}, {65535 - n}" for n in range(len(types)))
    shop.sql(f"INSERT INTO signs (id, {named}) VALUES (1, {values})")
    drain(tailrace, files_config(shop, tailrace))
    shop.sql(f"INSERT INTO signs (id, {named}) VALUES (2, {values})")
    drain(tailrace, files_config(shop, tailrace))
    for event in task_events(tailrace.dir / "out"):
        for n, name in enumerate(types):
            assert (event["after"][f"s{n}"], event["after"][f"u{n}"]) == (-1 - n, 65535 - n), f"behind {name}"


def test_year_zero_is_a_number_in_files(shop, tailrace):
    shop.sql("CREATE TABLE years (id int PRIMARY KEY, y year)")
    shop.sql("INSERT INTO years VALUES (1, 0), (2, 1901)")
    drain(tailrace, files_config(shop, tailrace))
    assert [event["after"]["y"] for event in task_events(tailrace.dir / "out")] == [0, 1901]


def test_loaded_and_streamed_values_are_the_same_in_postgres(server, shop, target, tailrace):
    statements = type_statements(server, POSTGRES_TIMES)
    tables = make_types(shop, statements)
    config = config_for(shop, target.url)
    drain(tailrace, config)
    fill_twins(shop, statements)
    drain(tailrace, config)
    with target.connect() as left, target.connect() as right:
        equal_by_content(left, right, [((shop.name, table), (shop.name, f"{table}_twin")) for table in tables])
        for table in tables:
            assert row_count(left, (shop.name, table)) == shop.one(f"SELECT count(*) FROM {table}") > 0, table


def test_postgres_has_the_values_that_the_source_shows(server, shop, target, tailrace):
    """Beside equal rendering: the text that both servers give for numbers and texts is one and the same."""
    statements = [s for s in type_statements(server) if s[1] in ("ints", "decs", "texts", "labels", "bins", "ckey", "nokey")]
    tables = make_types(shop, statements)
    drain(tailrace, config_for(shop, target.url))
    fill_twins(shop, statements)
    drain(tailrace, config_for(shop, target.url))
    with shop.connect() as left, target.connect() as right:
        for table in (name + twin for name in tables for twin in ("", "_twin")):
            hexed = {c: as_bytes for c in "abcdefgh"} if table.startswith("bins") else {}
            blanks = {"a": lambda t: t and t.rstrip(" "), "j": lambda t: t and t.rstrip(" "), "v": lambda t: t and t.rstrip(" ")} \
                if table.startswith("texts") else {}
            equal_by_content(left, right, [(table, (shop.name, table))], normalize=hexed or blanks)


# ---- a mixed load

def test_a_mixed_load_into_postgres(shop, target, tailrace):
    load = MysqlWorkload(shop, seed=1).create_tables()
    load.run(60)
    config = config_for(shop, target.url)
    tailrace.start("run", config=config)
    load.run(300)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_postgres_equal(shop, target)


def test_a_mixed_load_into_files(shop, tailrace):
    load = MysqlWorkload(shop, seed=2).create_tables()
    load.run(60)
    config = files_config(shop, tailrace)
    tailrace.start("run", config=config)
    load.run(200)
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_files_equal(shop, tailrace)


def kill_repeatedly(tailrace, config, times, seed):
    rng = random.Random(seed)
    for _ in range(times):
        tailrace.start("run", config=config)
        tailrace.kill_after(rng.uniform(0.05, 1.2))


@pytest.mark.time_limit(600)
@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_into_postgres(shop, target, tailrace, kills):
    load = MysqlWorkload(shop, seed=3, clients=2, pause=0.01).create_tables()
    config = config_for(shop, target.url)
    load.start()
    kill_repeatedly(tailrace, config, kills, seed=kills)
    load.stop()
    drain(tailrace, config)
    assert_postgres_equal(shop, target)


@pytest.mark.time_limit(600)
@pytest.mark.parametrize("kills", [pytest.param(15, marks=pytest.mark.matrix), pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_into_files(shop, tailrace, kills):
    load = MysqlWorkload(shop, seed=4, clients=2, pause=0.01).create_tables()
    config = files_config(shop, tailrace)
    drain(tailrace, config)  # a load into files that is killed begins again, with its rows written anew
    load.start()
    kill_repeatedly(tailrace, config, kills, seed=kills)
    load.stop()
    drain(tailrace, config)
    assert_files_equal(shop, tailrace)


@pytest.mark.parametrize("kills", [4])
def test_killed_without_gtids(shop, target, tailrace, kills):
    load = MysqlWorkload(shop, seed=5, clients=2, pause=0.01).create_tables()
    config = config_for(shop, target.url)
    config["source"]["gtid"] = "off"
    load.start()
    kill_repeatedly(tailrace, config, kills, seed=kills)
    load.stop()
    result = drain(tailrace, config)
    assert "file=" in result.stderr and "gtid=" not in result.stderr, result
    assert_postgres_equal(shop, target)
