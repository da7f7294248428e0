"""A live PostgreSQL database carried to MariaDB: tables made, rows loaded, changes followed exactly once."""

import json

import pytest

from harness.wait import wait_until


@pytest.fixture
def maria(mariadb_server):
    """A fresh database at the MariaDB; the task's state goes with it."""
    database = mariadb_server.database()
    yield database
    database.drop()
    mariadb_server.sql("DROP DATABASE IF EXISTS tailrace")


def config(source, maria, **more):
    return {"task": "t", "mode": "full-load-and-cdc", "source": {"url": source.url}, "target": {"url": maria.url},
            "tables": {"include": ["public.%"]}, "state": "./state", **more}


def drain(tailrace, settings):
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=90)
    assert result.status == 0, result.stderr[-3000:]
    return result


TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE t (id bigserial PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, n numeric(20, 6), u numeric, f4 real,
  f8 double precision, c char(6), v varchar(40), x text, bin bytea, bits bit(12), d date, tm time(3), ts timestamp(6),
  tz timestamptz, iv interval, uid uuid, j json, jb jsonb, m mood, a int[], s text[], ip inet, mo money)
"""

ROW = """INSERT INTO t (b, i2, i4, i8, n, u, f4, f8, c, v, x, bin, bits, d, tm, ts, tz, iv, uid, j, jb, m, a, s, ip, mo) SELECT
  true, -32768, 2147483647, -9223372036854775808, 12345678901234.567891, 0.000000000000000000001, 16777216, 0.1, 'ab',
  E'it''s \\\\ \\n',
  E'\\u00e4\\U0001F600\\t', '\\x00ff5c27'::bytea, B'101000000001', '0099-02-28', '23:59:59.123', '2024-02-29 12:34:56.789012',
  '2024-06-01 12:00:00+02', '1 year 2 mons -3 days 04:05:06', '00112233-4455-6677-8899-aabbccddeeff', '{"a": [1, 2]}',
  '{"b": "\\u00e4"}',
  'happy', '{1,NULL,3}', '{a,"b c",NULL,"q\\"uote"}', '10.0.0.1/8', 1234.5"""

EXPECTED = {
    "b": 1, "i2": -32768, "i4": 2147483647, "i8": -9223372036854775808, "n": "12345678901234.567891",
    "u": "0.000000000000000000001000000000", "f4": 16777216.0, "f8": 0.1, "c": "ab", "v": "it's \\ \n", "x": "ä😀\t",
    "bin": b"\x00\xff\x5c\x27", "bits": b"\x0a\x01", "d": "0099-02-28", "tm": "23:59:59.123", "ts": "2024-02-29 12:34:56.789012",
    "tz": "2024-06-01 10:00:00.000000", "iv": "1 year 2 mons -3 days +04:05:06", "uid": "00112233-4455-6677-8899-aabbccddeeff",
    "m": "happy", "ip": "10.0.0.1/8", "mo": "1234.50"}


def check_row(maria, key):
    texts = {"n", "u", "d", "tm", "ts", "tz", "mo"}
    names = ", ".join(f"CAST({name} AS CHAR)" if name in texts else "f4 + 0e0" if name == "f4" else name for name in EXPECTED)
    (row,) = maria.sql(f"SELECT {names} FROM t WHERE id = %s", (key,))
    assert dict(zip(EXPECTED, row)) == EXPECTED
    (documents,) = maria.sql("SELECT j, jb, a, s FROM t WHERE id = %s", (key,))
    assert [json.loads(d) for d in documents] == [{"a": [1, 2]}, {"b": "ä"}, [1, None, 3], ["a", "b c", None, 'q"uote']]


def test_every_type_arrives_by_load_and_by_log(source, maria, tailrace):
    source.sql(TYPES)
    source.sql(ROW)
    source.sql("INSERT INTO t DEFAULT VALUES")
    settings = config(source, maria)
    drain(tailrace, settings)
    check_row(maria, 1)
    source.sql(ROW)
    source.sql("INSERT INTO t DEFAULT VALUES")
    drain(tailrace, settings)
    check_row(maria, 3)
    assert maria.one("SELECT count(*) FROM t WHERE b IS NULL AND x IS NULL AND a IS NULL") == 2
    assert maria.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,), (4,)]


def test_changes_of_every_kind(source, maria, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v text, n int); CREATE TABLE b (x int, y text, z int, PRIMARY KEY (x, y));"
               "CREATE TABLE k (v text, n int); ALTER TABLE k REPLICA IDENTITY FULL")
    source.sql("INSERT INTO a SELECT i, 'v' || i, i FROM generate_series(1, 3000) i")
    source.sql("INSERT INTO b SELECT i % 10, 'Y' || i, i FROM generate_series(1, 300) i")
    source.sql("INSERT INTO k SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE 'v' END, i / 10 FROM generate_series(1, 30) i")
    settings = config(source, maria)
    drain(tailrace, settings)
    source.sql("UPDATE a SET v = v || '!' WHERE id % 2 = 0; DELETE FROM a WHERE id % 7 = 0")
    source.sql("UPDATE a SET id = id + 100000 WHERE id < 20")
    source.sql("INSERT INTO a SELECT i, 'w', NULL FROM generate_series(5000, 9000) i")
    source.sql("UPDATE a SET n = 0, v = NULL WHERE id BETWEEN 5000 AND 7000")
    source.sql("UPDATE b SET z = -z; DELETE FROM b WHERE x = 3; UPDATE b SET y = lower(y) WHERE x = 4")
    source.sql("DELETE FROM k WHERE ctid = (SELECT min(ctid) FROM k WHERE v IS NULL)")
    source.sql("UPDATE k SET n = 99 WHERE ctid = (SELECT max(ctid) FROM k WHERE v = 'v')")
    drain(tailrace, settings)
    for table in ("a", "b", "k"):
        rows = source.sql(f"SELECT * FROM {table}")
        assert sorted(map(repr, rows)) == sorted(map(repr, maria.sql(f"SELECT * FROM {table}"))), table


def test_names_that_need_quotes(source, maria, tailrace):
    source.sql('CREATE TABLE "we`ird; -- ""t" (id int PRIMARY KEY, "col`umn" text, "or" int)')
    settings = config(source, maria)
    drain(tailrace, settings)
    source.sql('INSERT INTO "we`ird; -- ""t" VALUES (1, \'`\', 2)')
    drain(tailrace, settings)
    assert maria.sql('SELECT * FROM `we``ird; -- "t`') == [(1, "`", 2)]


def test_a_schema_becomes_a_database(source, maria, mariadb_server, tailrace):
    source.sql("CREATE SCHEMA shop_s; CREATE TABLE shop_s.t (id int PRIMARY KEY); INSERT INTO shop_s.t VALUES (1)")
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    try:
        drain(tailrace, config(source, maria, tables={"include": ["%"]}))
        assert mariadb_server.sql("SELECT * FROM shop_s.t") == [(1,)]
        assert maria.one("SELECT count(*) FROM t") == 0
    finally:
        mariadb_server.sql("DROP DATABASE shop_s")


def test_truncate_and_rows_in_one_transaction(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    settings = config(source, maria)
    drain(tailrace, settings)
    with source.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (3); TRUNCATE t; INSERT INTO t VALUES (1), (9)")
        connection.commit()
    drain(tailrace, settings)
    assert maria.sql("SELECT id FROM t ORDER BY id") == [(1,), (9,)]


def test_permuted_keys_and_unique_values(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED, f real, b bytea)")
    source.sql("INSERT INTO t SELECT i, i, 16777216 + i, decode(lpad(i::text, 4, '0'), 'hex') FROM generate_series(1, 20) i")
    source.sql("CREATE TABLE u (place int UNIQUE DEFERRABLE INITIALLY DEFERRED, f real, v text); ALTER TABLE u REPLICA IDENTITY FULL")
    source.sql("INSERT INTO u SELECT i, 16777216 + i, 'V' FROM generate_series(1, 20) i")
    settings = config(source, maria)
    drain(tailrace, settings)
    source.sql("UPDATE t SET place = 21 - place; UPDATE u SET place = 21 - place")
    source.sql("UPDATE t SET place = place % 20 + 1; UPDATE u SET place = place % 20 + 1")
    drain(tailrace, settings)
    assert maria.sql("SELECT place, f + 0e0, v FROM u ORDER BY place") == source.sql("SELECT place, f::float8, v FROM u ORDER BY place")
    assert maria.sql("SELECT id, place, f + 0e0, b FROM t ORDER BY id") == [
        (i, p, f, bytes(b)) for i, p, f, b in source.sql("SELECT id, place, f::float8, b FROM t ORDER BY id")]


def test_unchanged_toast_stays_as_it_is(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, big text, n int); ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL")
    source.sql("INSERT INTO t SELECT i, repeat('a', 100000), 0 FROM generate_series(1, 5) i")
    settings = config(source, maria)
    drain(tailrace, settings)
    source.sql("UPDATE t SET n = 1; UPDATE t SET id = id + 10, n = 2 WHERE id < 3")
    drain(tailrace, settings)
    assert maria.sql("SELECT id, length(big), n FROM t ORDER BY id") == [
        (3, 100000, 1), (4, 100000, 1), (5, 100000, 1), (11, 100000, 2), (12, 100000, 2)]


def test_streamed_transactions_and_rolled_back_parts(source, maria, tailrace):
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)")
    settings = config(source, maria)
    drain(tailrace, settings)
    with source.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i; SAVEPOINT a;"
                       "INSERT INTO big SELECT i, 'undone' FROM generate_series(50001, 60000) i; ROLLBACK TO a;"
                       "UPDATE big SET v = repeat('changed', 100) WHERE id % 2 = 0")
        connection.commit()
    drain(tailrace, settings)
    assert maria.sql("SELECT count(*), sum(id), sum(length(v)) FROM big") == [(50000, 1250025000, 25000 * 100 + 25000 * 700)]


@pytest.mark.parametrize("policy", ["stop", "null", "clamp"])
def test_values_that_have_no_form(source, maria, tailrace, policy):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, f float8, ts timestamp, d date)")
    settings = config(source, maria, target={"url": maria.url, "on_value": policy})
    drain(tailrace, settings)
    source.sql("INSERT INTO t VALUES (1, 'NaN', 'infinity', '0044-03-15 BC')")
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=60)
    rows = maria.sql("SELECT f, CAST(ts AS CHAR), CAST(d AS CHAR) FROM t")
    if policy == "stop":
        assert result.status == 1 and rows == []
        assert "column f" in result.stderr and "id=1" in result.stderr and "on_value" in result.stderr
    else:
        assert result.status == 0
        assert rows == [(None, None, None) if policy == "null" else (None, "9999-12-31 23:59:59.000000", "0001-01-01")]


@pytest.mark.parametrize("policy", ["stop", "overwrite", "skip"])
def test_conflicts(source, maria, tailrace, policy):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    settings = config(source, maria, on_conflict=policy)
    drain(tailrace, settings)
    maria.sql("INSERT INTO t VALUES (1, 'mine')")
    source.sql("INSERT INTO t VALUES (1, 'theirs'), (2, 'two')")
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=60)
    rows = maria.sql("SELECT * FROM t ORDER BY id")
    if policy == "stop":
        assert result.status == 1 and rows == [(1, "mine")]
        assert "id=1" in result.stderr
    else:
        assert result.status == 0
        assert rows == [(1, "theirs" if policy == "overwrite" else "mine"), (2, "two")]


def test_new_columns_follow(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, old int)")
    settings = config(source, maria)
    tailrace.start("run", config=settings)
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (1, 1)")
    wait_until(lambda: maria.one("SELECT count(*) FROM t") == 1, 20, "the first row")
    source.sql("ALTER TABLE t ADD COLUMN v varchar(10) DEFAULT 'x'; ALTER TABLE t RENAME COLUMN old TO new;"
               "ALTER TABLE t ALTER COLUMN new TYPE bigint")
    for column in ("at timestamptz NOT NULL DEFAULT now()", "d int DEFAULT 5", "e int", "f bool NOT NULL DEFAULT true", "g text DEFAULT 'it''s \\'"):
        source.sql(f"ALTER TABLE t ADD COLUMN {column}")
    source.sql("ALTER TABLE t ALTER d SET DEFAULT 6, ALTER e SET DEFAULT 6, ALTER f DROP DEFAULT")
    source.sql("INSERT INTO t VALUES (2, 20000000000, 'y', DEFAULT, DEFAULT, DEFAULT, false)")
    wait_until(lambda: maria.one("SELECT count(*) FROM t") == 2, 20, "the second row")
    assert tailrace.stop() == 0
    rows = "SELECT id, new, v, at, d, e, {}, g FROM t ORDER BY id"
    assert maria.sql(rows.format("f")) == source.sql(rows.replace("at,", "at AT TIME ZONE 'UTC',").format("f::int"))
    defaults = maria.sql("SELECT column_default FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 't' AND ordinal_position > 3")
    assert defaults == [("utc_timestamp(6)",), ("6",), ("6",), (None,), ("'it\\'s \\\\'",)]


def test_types_that_grew_while_nobody_looked(source, maria, tailrace):
    """Wider types and new labels are carried before a value needs them, and a column keeps its default; a text in a key stays as narrow as a key is."""
    for statement in ("CREATE TYPE mood AS ENUM ('a', 'c')", "CREATE TABLE g (id int PRIMARY KEY, n smallint NOT NULL DEFAULT 3, v varchar(5) DEFAULT 'x',"
                      " d numeric(6,2), m mood, k text UNIQUE)", "INSERT INTO g VALUES (1, 1, 'one', 1.5, 'a', 'k')",
                      "CREATE TABLE h (a text, b text, PRIMARY KEY (a, b))"):
        source.sql(statement)
    settings = config(source, maria)
    drain(tailrace, settings)
    for statement in ("ALTER TABLE g ALTER n TYPE bigint, ALTER v TYPE text, ALTER d TYPE numeric(12,3)", "ALTER TYPE mood ADD VALUE 'b' AFTER 'a'",
                      "INSERT INTO g VALUES (2, 5000000000, repeat('w', 300), 123456789.125, 'b', 'l')",
                      "INSERT INTO h VALUES ('a', 'b')"):
        source.sql(statement)
    assert "too long" not in drain(tailrace, settings).stderr  # texts share what a key may hold, and have not grown
    maria.sql("INSERT INTO g (id) VALUES (3)")
    assert maria.sql("SELECT id, n, left(v, 3), CAST(d AS CHAR), m, k FROM g ORDER BY id") == [
        (1, 1, "one", "1.500", "a", "k"), (2, 5000000000, "www", "123456789.125", "b", "l"), (3, 3, "x", None, None, None)]


@pytest.mark.matrix
def test_shapes_that_change_within_a_large_transaction(source, maria, tailrace):
    """More than can be held is written in slices; it gives way to the change, and is read again."""
    settings = config(source, maria, memory="16MiB")
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;"
               " CREATE TABLE other (id int PRIMARY KEY, a int); CREATE TABLE third (id int PRIMARY KEY, a smallint); INSERT INTO other VALUES (1, 1)")
    drain(tailrace, settings)
    fill = "INSERT INTO big SELECT i, repeat('x', 20000) FROM generate_series({}, {}) i"
    # a row each, or the shapes before would not be known
    source.sql("INSERT INTO big VALUES (0, 'x'); INSERT INTO other VALUES (2, 2); INSERT INTO third VALUES (1, 1)")
    source.sql("ALTER TABLE other ADD COLUMN b int DEFAULT 7")
    with source.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(fill.format(1, 500))
        cursor.execute("INSERT INTO other VALUES (3, 3, 3)")
        cursor.execute(fill.format(501, 1000))
        cursor.execute("ALTER TABLE big ADD COLUMN n int DEFAULT 5; ALTER TABLE third ALTER a TYPE int")
        cursor.execute("UPDATE big SET n = 6 WHERE id % 2 = 0; INSERT INTO third VALUES (2, 100000)")
        connection.commit()
    assert "it is read again" in drain(tailrace, settings).stderr
    assert maria.sql("SELECT * FROM other ORDER BY id") == [(1, 1, 7), (2, 2, 7), (3, 3, 3)]
    assert maria.sql("SELECT * FROM third ORDER BY id") == [(1, 1), (2, 100000)]
    assert maria.sql("SELECT count(*), sum(n), sum(length(v)) FROM big") == [(1001, 5 * 500 + 6 * 501, 20000 * 1000 + 1)]


def test_a_rename_that_nobody_saw_is_known_or_refused(source, maria, tailrace):
    """It must not be taken for a dropped column and a new one."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, old int)")
    settings = config(source, maria)
    drain(tailrace, settings)
    source.sql("INSERT INTO t VALUES (1, 1)")
    source.sql("ALTER TABLE t RENAME COLUMN old TO new")
    source.sql("INSERT INTO t VALUES (2, 2)")
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=60)
    if result.status == 0:
        assert maria.sql("SELECT id, new FROM t ORDER BY id") == [(1, 1), (2, 2)]
    else:
        assert "renamed" in result.stderr, result


@pytest.mark.matrix
def test_a_rename_before_the_first_row_is_refused(source, maria, tailrace):
    """In a state of before numbers were remembered. No row told the old name: the target's column would stay behind, and the new one be empty."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, old int); INSERT INTO t VALUES (1, 1)")
    settings = config(source, maria)
    drain(tailrace, settings)
    maria.sql("DROP TABLE tailrace.column_place")
    source.sql("ALTER TABLE t RENAME COLUMN old TO new; INSERT INTO t VALUES (2, 2)")
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=60)
    assert result.status == 1 and "whether it was renamed cannot be known" in result.stderr and "RENAME COLUMN `old` TO `new`" in result.stderr, result
    maria.sql("ALTER TABLE t RENAME COLUMN old TO new")
    drain(tailrace, settings)
    assert maria.sql("SELECT id, new FROM t ORDER BY id") == [(1, 1), (2, 2)]
    source.sql("ALTER TABLE t ADD COLUMN u uuid DEFAULT gen_random_uuid(); INSERT INTO t VALUES (3, 3)")
    result = tailrace.run("run", "--stop", "drained", config=settings, timeout=60)
    assert result.status == 1 and "ADD COLUMN `u` UUID NULL; then" in result.stderr, result  # with the default, rows would get values of their own


def test_an_older_process_is_fenced(source, maria, make_tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    tailrace = make_tailrace()
    tailrace.start("run", config=config(source, maria))
    tailrace.wait_log("streaming from")
    maria.sql("UPDATE tailrace.checkpoint SET epoch = epoch + 1")
    source.sql("INSERT INTO t VALUES (1)")
    assert tailrace.wait_exit() == 1
    assert "another process has taken over" in tailrace.stderr
    assert maria.one("SELECT count(*) FROM t") == 0


def test_a_lone_commit_arrives_at_once(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    tailrace.start("run", config=config(source, maria))
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (1)")
    wait_until(lambda: maria.one("SELECT count(*) FROM t") == 1, 10, "the row")
    assert tailrace.stop() == 0


def test_tables_that_cannot_take_part_are_refused(source, maria, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    maria.sql("CREATE TABLE t (id int PRIMARY KEY) ENGINE=MyISAM")
    result = tailrace.run("run", "--stop", "drained", config=config(source, maria), timeout=60)
    assert result.status == 1 and "MyISAM" in result.stderr and "InnoDB" in result.stderr


def test_keys_of_fixed_length(source, maria, tailrace):
    """PostgreSQL sends char(n) with its blanks, MariaDB gives it back without, and its collation would count them."""
    source.sql("CREATE TABLE k (k char(5) PRIMARY KEY, v int); INSERT INTO k VALUES ('k7', 1), ('', 1), ('a', 1), ('b', 1)")
    source.sql("CREATE TABLE bag (k char(5), v int); ALTER TABLE bag REPLICA IDENTITY FULL; INSERT INTO bag SELECT * FROM k")
    settings = config(source, maria)
    drain(tailrace, settings)
    for table in ("k", "bag"):
        source.sql(f"UPDATE {table} SET v = 2 WHERE k = 'k7'; UPDATE {table} SET k = 'x' WHERE k = 'a'; DELETE FROM {table} WHERE k = 'b';"
                   f" UPDATE {table} SET v = 3 WHERE k IN ('', 'x'); INSERT INTO {table} VALUES ('n', 4)")
    drain(tailrace, settings)
    for table in ("k", "bag"):
        expected = [(k.rstrip(), v) for k, v in source.sql(f"SELECT k, v FROM {table} ORDER BY v, k")]
        assert list(maria.sql(f"SELECT k, v FROM {table} ORDER BY v, k")) == expected
