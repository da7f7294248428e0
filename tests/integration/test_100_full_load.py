"""The full load, PostgreSQL to PostgreSQL: everything a table consists of, once, whatever happens in between."""

import re
import subprocess
import time

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until

ZOO = r"""
CREATE SCHEMA shop; CREATE SCHEMA "we""ird USING x";
CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION btree_gist; CREATE EXTENSION pg_trgm;
CREATE TYPE shop.mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN shop.positive AS int DEFAULT 3 CHECK (VALUE > 0);
CREATE TYPE shop.address AS (street text, mood shop.mood, numbers int[]);
CREATE TYPE shop.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE shop.customer (id serial PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'x''y', mood shop.mood, p shop.positive,
  address shop.address, moods shop.mood[], range shop.float_range, ci citext, h hstore, created timestamptz DEFAULT now(),
  CONSTRAINT named CHECK (length(name) > 0), email text UNIQUE DEFERRABLE INITIALLY DEFERRED);
COMMENT ON TABLE shop.customer IS 'it''s \ a table'; COMMENT ON COLUMN shop.customer.name IS 'the name';
COMMENT ON CONSTRAINT named ON shop.customer IS 'a check'; COMMENT ON TYPE shop.mood IS 'a mood';
CREATE INDEX customer_trgm ON shop.customer USING gin (name gin_trgm_ops);
CREATE INDEX customer_lower ON shop.customer (lower(name) DESC NULLS LAST) INCLUDE (mood) WHERE mood = 'happy';
COMMENT ON INDEX shop.customer_lower IS 'an index';
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
  customer_id int REFERENCES shop.customer ON DELETE CASCADE, total numeric(12,2),
  vat numeric GENERATED ALWAYS AS (total * 0.2) STORED, during tstzrange, room int,
  EXCLUDE USING gist (room WITH =, during WITH &&), u1 int, u2 int, UNIQUE NULLS NOT DISTINCT (u1, u2) INCLUDE (room));
ALTER TABLE shop.orders ADD CONSTRAINT later CHECK (total > 0) NOT VALID;
CREATE TABLE shop.full_identity (a int, b text) WITH (fillfactor = 70, autovacuum_enabled = true);
ALTER TABLE shop.full_identity REPLICA IDENTITY FULL;
ALTER TABLE shop.full_identity ALTER b SET STORAGE EXTERNAL, ALTER a SET STATISTICS 200;
CREATE TABLE shop.index_identity (a int NOT NULL, b text NOT NULL);
CREATE UNIQUE INDEX identity_index ON shop.index_identity (a, b);
ALTER TABLE shop.index_identity REPLICA IDENTITY USING INDEX identity_index;
CREATE TABLE shop.m (id int, d date, v text COLLATE "C", PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE shop.m_2024 PARTITION OF shop.m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
CREATE TABLE shop.m_2024_0 PARTITION OF shop.m_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.m_2024_1 PARTITION OF shop.m_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE shop.m_default PARTITION OF shop.m DEFAULT;
CREATE INDEX m_v ON shop.m (v); CREATE INDEX m_default_only ON shop.m_default (d);
CREATE TABLE shop.refers (id int PRIMARY KEY, mid int, md date, FOREIGN KEY (mid, md) REFERENCES shop.m);
CREATE TABLE "we""ird USING x"."T a.b""c%s" ("Id x" int PRIMARY KEY, "sel""ect" text, " USING " text);
CREATE INDEX "i USING (" ON "we""ird USING x"."T a.b""c%s" (" USING ");
CREATE SEQUENCE shop.free_seq START 7;
CREATE TABLE shop.uses_seq (id int DEFAULT nextval('shop.free_seq') PRIMARY KEY, self int REFERENCES shop.uses_seq);
CREATE TABLE shop.no_key (v text);
CREATE TABLE shop.types (id int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, bytes bytea, j json,
  jb jsonb, u uuid, dt date, t time(3), tz timetz, ts timestamp, tstz timestamptz, iv interval, inet inet, cidr cidr,
  mac macaddr, bt bit(5), vb varbit, x xml, ia int[], ta text[], tv tsvector, p point, r int4range, mr int4multirange,
  mo money, o oid, c10 char(10), lsn pg_lsn);
INSERT INTO shop.customer (name, mood, p, address, moods, range, ci, h, email) SELECT 'n' || i,
  (ARRAY['sad', 'it''s ok', 'happy'])[1 + i % 3]::shop.mood, i, ROW('s' || i, 'happy'::shop.mood, ARRAY[1, i])::shop.address,
  ARRAY['sad', 'happy']::shop.mood[], '[1.5,2.5)', 'CI' || i, 'a=>1,b=>NULL', 'e' || i FROM generate_series(1, 500) i;
INSERT INTO shop.orders (customer_id, total, during, room, u1, u2) SELECT 1 + i % 500, i + 0.5,
  tstzrange(timestamptz '2024-01-01' + i * interval '1h', timestamptz '2024-01-01' + (i + 1) * interval '1h'), i % 3, i,
  CASE WHEN i % 2 = 0 THEN i END FROM generate_series(1, 1000) i;
INSERT INTO shop.full_identity SELECT i % 10, CASE WHEN i % 3 > 0 THEN 'b' END FROM generate_series(1, 100) i;
INSERT INTO shop.index_identity SELECT i, 'x' || i FROM generate_series(1, 100) i;
INSERT INTO shop.m SELECT i, date '2023-06-01' + i, 'v' || i FROM generate_series(1, 1000) i;
INSERT INTO shop.refers SELECT i, i, date '2023-06-01' + i FROM generate_series(1, 1000) i;
INSERT INTO "we""ird USING x"."T a.b""c%s" SELECT i, E'tab\there\nnl\\bs\\N', '\N' FROM generate_series(1, 50) i;
INSERT INTO shop.uses_seq DEFAULT VALUES; INSERT INTO shop.uses_seq DEFAULT VALUES;
INSERT INTO shop.no_key SELECT 'twice' FROM generate_series(1, 500); INSERT INTO shop.no_key VALUES (NULL), (''), (E'\\.');
INSERT INTO shop.types VALUES (1, true, -32768, 9223372036854775807, 1.1, 0.1 + 0.2::float8, 'NaN', '\x00ff', '{"a":  1}', '{"a":1}',
  gen_random_uuid(), 'infinity', '12:34:56.789', '24:00:00+05', '-infinity', '294276-12-31 00:00+00', '1 year -2 days 3:04:05.6',
  '::1/64', '10.0.0.0/8', '00:11:22:33:44:55', '10101', '101', '<a/>', '{1,NULL,3}', '{{a,b},{c,"d,"}}', 'a:1 b:2', '(1,2)',
  '[1,5)', '{[1,2),[4,5)}', '$12.34', 42, 'ab', '1/2');
INSERT INTO shop.types (id) VALUES (2);
"""

ZOO_TABLES = ["shop.customer", "shop.orders", "shop.full_identity", "shop.index_identity", "shop.m_2024_0", "shop.m_2024_1",
              "shop.m_default", "shop.refers", "shop.uses_seq", "shop.no_key", "shop.types"]
HOSTILE = '"we""ird USING x"."T a.b""c%s"'


def load_config(source, target, **options):
    return task_config(source.url, target.url, mode="full-load", tables={"include": ["%"]}, **options)


def load(tailrace, config):
    result = tailrace.run("run", config=config)
    assert result.status == 0, result
    return result


def refused(tailrace, config, *words):
    result = tailrace.run("run", config=config)
    assert result.status == 1, result
    for word in words:
        assert word in result.stderr, result
    return result


def definition(database):
    """What pg_dump says of the database's shape, line by line."""
    done = subprocess.run(["pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--no-publications",
                           "--exclude-schema=tailrace", database.url], capture_output=True, text=True, check=True, timeout=60)
    return [line for line in done.stdout.splitlines() if line and not line.startswith(("--", "SET ", "\\"))]


def sequences(database):
    query = "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE schemaname <> 'tailrace' ORDER BY 1, 2"
    return database.sql(query)


def rows(database, table):
    return database.sql(f"SELECT md5(t::text) FROM {table} t ORDER BY 1")


def test_everything_that_tables_consist_of_arrives(source, target, tailrace):
    source.sql(ZOO)
    load(tailrace, load_config(source, target))
    assert_equal(source, target, ZOO_TABLES)
    assert rows(source, HOSTILE) == rows(target, HOSTILE)
    assert definition(source) == definition(target)
    assert sequences(source) == sequences(target)
    assert target.one("INSERT INTO shop.orders (total) VALUES (1) RETURNING id") == \
        source.one("INSERT INTO shop.orders (total) VALUES (1) RETURNING id")


def test_a_second_load_under_another_name_finds_the_rows(source, target, make_tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id int); INSERT INTO b VALUES (1)")
    load(make_tailrace(), load_config(source, target))
    refused(make_tailrace(), load_config(source, target, task="other"), "public.a", "public.b", "already hold rows", "on_existing")
    load(make_tailrace(), load_config(source, target, task="third", on_existing="truncate"))
    assert_equal(source, target, ["public.a", "public.b"])
    target.sql("DELETE FROM a; DELETE FROM b; INSERT INTO b VALUES (7)")
    load(make_tailrace(), load_config(source, target, task="fourth", on_existing="append"))
    assert target.sql("SELECT id FROM b ORDER BY 1") == [(1,), (7,)]


def test_truncate_reaches_no_table_of_others(source, target, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    target.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE mine (a int REFERENCES a); INSERT INTO mine VALUES (1)")
    refused(tailrace, load_config(source, target, on_existing="truncate"), "outside of this task")
    assert target.one("SELECT count(*) FROM mine") == 1
    assert target.one("SELECT count(*) FROM a") == 1


def test_tables_that_do_not_fit_are_named_before_a_row_moves(source, target, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v bigint, w varchar(20), n numeric(8,2)); INSERT INTO a VALUES (1, 2, 'x', 1)")
    target.sql("CREATE TABLE a (id int PRIMARY KEY, v int, w varchar(10), n numeric(8,3), must int NOT NULL)")
    result = refused(tailrace, load_config(source, target))
    for column in ("column v is integer", "column w is character varying(10)", "column n is numeric(8,3)", "column must is unknown"):
        assert column in result.stderr
    assert target.one("SELECT count(*) FROM a") == 0


def test_expected_tables_may_be_wider(source, target, tailrace):
    source.sql("CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE a (id int PRIMARY KEY, f real, m mood, w varchar(20), g int GENERATED ALWAYS AS (id + 1) STORED);"
               "INSERT INTO a SELECT i, i * 0.5, 'b', 'w' || i FROM generate_series(1, 1000) i")
    target.sql("CREATE TABLE a (w text, id bigint PRIMARY KEY, m text, f float8, extra int DEFAULT 5, g int GENERATED ALWAYS AS (7) STORED)")
    load(tailrace, load_config(source, target, schema="expect"))
    query = "SELECT id::bigint, f::float8, m::text, w::text FROM a ORDER BY id"
    assert source.sql(query) == target.sql(query)
    assert target.one("SELECT count(*) FROM a WHERE extra = 5 AND g = 7") == 1000


def test_expected_tables_must_exist(source, target, tailrace):
    source.sql("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    target.sql("CREATE TABLE a (id int)")
    refused(tailrace, load_config(source, target, schema="expect"), "public.b: the table does not exist")


def test_a_missing_function_is_named(source, target, tailrace):
    source.sql("CREATE FUNCTION gen() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE a (id int DEFAULT gen())")
    refused(tailrace, load_config(source, target), "function public.gen()", "used by public.a")
    assert target.one("SELECT to_regclass('public.a')") is None


def test_large_and_partitioned_tables_are_read_in_parts(source, target, tailrace):
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text); ALTER TABLE big ALTER v SET STORAGE PLAIN")
    source.sql("INSERT INTO big SELECT i, repeat('x', 6000) || i FROM generate_series(1, 20000) i")
    source.sql("DELETE FROM big WHERE id % 7 = 0")
    assert source.one("SELECT pg_relation_size('big')") > 128 << 20
    load(tailrace, load_config(source, target, readers=4))
    assert_equal(source, target, ["public.big"])
    assert target.one("SELECT count(DISTINCT xmin::text) FROM big") > 1, "one transaction brought all rows: it was not read in parts"


def test_a_table_rewritten_after_the_cut_is_copied_again(source, target, tailrace):
    """ALTER TYPE rewrites the rows: under the cut's snapshot the table would look empty."""
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i")
    source.sql("CREATE TABLE small (id int PRIMARY KEY, v int); INSERT INTO small SELECT i, i FROM generate_series(1, 10) i")
    target.sql("CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY, v bigint)")
    with target.connect(autocommit=False) as lock:
        lock.cursor().execute("LOCK TABLE big IN SHARE MODE")  # the first and only loader waits here
        tailrace.start("run", config={**load_config(source, target, readers=1), "mode": "full-load-and-cdc", "stop": "drained"})
        tailrace.wait_log("loading 2 tables")
        source.sql("ALTER TABLE small ALTER v TYPE bigint")
        lock.rollback()
    tailrace.wait_log("was rewritten or truncated since the cut")
    assert tailrace.wait_exit() == 0, tailrace.stderr
    assert_equal(source, target, ["public.big", "public.small"])


def trace_failpoints(make_tailrace, source, make_target):
    tailrace = make_tailrace()
    trace = tailrace.dir / "trace"
    result = tailrace.run("run", config={**load_config(source, make_target()), "mode": "full-load-and-cdc", "stop": "drained"},
                          env={"TR_FAILPOINT_TRACE": str(trace)})
    assert result.status == 0, result
    if not trace.exists():
        pytest.skip("the program under test has no fail points (make FAILPOINTS=1)")
    return [name for name in trace.read_text().split() if re.search("load|tables|copy", name)]


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("passage", [1, pytest.param(2, marks=pytest.mark.matrix)])
def test_a_load_killed_at_any_step_ends_equal(source_server, target_server, make_tailrace, passage):
    """Each fail point of the load in turn; what is run again does the rest."""
    source = source_server.database()
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v text UNIQUE); INSERT INTO a SELECT i, 'v' || i FROM generate_series(1, 2000) i;"
               "CREATE TABLE no_key (v int); INSERT INTO no_key SELECT i % 5 FROM generate_series(1, 1000) i;"
               "CREATE TABLE c (id serial PRIMARY KEY, a int REFERENCES a); INSERT INTO c (a) SELECT i FROM generate_series(1, 100) i;"
               "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);"
               "INSERT INTO p SELECT 1 + i % 2 FROM generate_series(1, 100) i")
    names = trace_failpoints(make_tailrace, source, target_server.database)
    assert names
    shape = None
    for name in names:
        target, tailrace = target_server.database(), make_tailrace()
        config = {**load_config(source, target, task="killed"), "mode": "full-load-and-cdc"}
        tailrace.crash_allowed = True
        tailrace.run("run", config={**config, "stop": "drained"}, env={"TR_FAILPOINT": f"{name}:{passage}"})
        drain(tailrace, config)
        assert_equal(source, target, ["public.a", "public.no_key", "public.c", "public.p1", "public.p2"])
        shape = shape or definition(target)
        assert definition(target) == shape == definition(source), name
        assert tailrace.run("drop", config=config).status == 0
        target.drop()
    source.drop()


def test_no_session_compiles_its_queries(source, target, tailrace):
    """A query of the catalogue is estimated high, and compiling it takes longer than a thousand tables do."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    target.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE seen (id int, jit text);"
               "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (NEW.id, current_setting('jit')); RETURN NEW; END $$;"
               "CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER note")
    config = task_config(source.url, target.url, tables={"include": ["public.t"]})
    drain(tailrace, config)
    source.sql("INSERT INTO t VALUES (2)")
    drain(tailrace, config)
    assert target.sql("SELECT * FROM seen ORDER BY 1") == [(1, "off"), (2, "off")]


def test_hundreds_of_tables_take_seconds(source, target, tailrace):
    """A query per table would show here: the whole, load included, stays far below the limit."""
    source.sql("DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, v text)', i);"
               " EXECUTE format('INSERT INTO t%s (v) VALUES (''x'')', i); END LOOP; END $$")
    load(tailrace, load_config(source, target))
    assert target.one("SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace") == 300
    assert sequences(source) == sequences(target)


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tailrace%%' AND state = 'active' AND (wait_event_type = 'Lock' OR query ~ '{}')"
FUNCTION = "CREATE OR REPLACE FUNCTION slow(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({}); RETURN v; END'"


def stop_while(tailrace, config, server, doing):
    """Starts a run, ends it while it waits for a server, and sees that it leaves nobody at work there."""
    tailrace.start("run", config=config)
    wait_until(lambda: server.one(WAITING.format(doing)) > 0, what=f"the load to wait: {doing}")
    begun = time.monotonic()
    tailrace.term()
    assert tailrace.wait_exit() == 0, tailrace.stderr
    assert time.monotonic() - begun < 5
    wait_until(lambda: server.one("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tailrace%'") == 0, 5, "the server to be left alone")


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_stop_does_not_wait_for_a_lock(source, target, make_tailrace, side):
    source.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000)")
    target.sql("CREATE TABLE a (id int PRIMARY KEY)")
    server, config = {"source": source, "target": target}[side], load_config(source, target)
    tailrace = make_tailrace()
    with server.connect(autocommit=False) as lock:
        lock.cursor().execute("LOCK TABLE a IN " + {"source": "ACCESS EXCLUSIVE", "target": "SHARE"}[side] + " MODE")
        stop_while(tailrace, config, server, "no statement")
        lock.rollback()
    load(tailrace, config)
    assert_equal(source, target, ["public.a"])


def test_a_stop_does_not_wait_for_an_index(source, target, make_tailrace):
    source.sql(FUNCTION.format(0) + "; CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000); CREATE INDEX slowly ON a (slow(id))")
    target.sql(FUNCTION.format(1))
    config, tailrace = load_config(source, target), make_tailrace()
    stop_while(tailrace, config, target, "^CREATE INDEX")
    assert target.one("SELECT to_regclass('slowly')") is None
    target.sql(FUNCTION.format(0))
    load(tailrace, config)
    assert target.one("SELECT to_regclass('slowly')") == "slowly"
    assert_equal(source, target, ["public.a"])


def test_rows_are_counted_as_they_are(source, target, tailrace):
    """The binary format has a header and an end beside the rows, an empty table nothing else."""
    source.sql("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO b VALUES (1); CREATE TABLE c (v json); INSERT INTO c SELECT '{}' FROM generate_series(1, 7000)")
    assert "7001 rows loaded in 3 tables" in load(tailrace, load_config(source, target)).stderr


@pytest.mark.matrix  # twenty seconds of making tables
def test_more_tables_than_the_server_has_locks_for(source_server, target, tailrace):
    """Each reader holds the lock of the table it reads and of no other."""
    source = source_server.database()
    slots = int(source.one("SELECT current_setting('max_locks_per_transaction')::int * (current_setting('max_connections')::int + 10)"))
    source.sql("DO $$ BEGIN FOR i IN 1..%s LOOP EXECUTE format('CREATE TABLE t%%s (id int)', i); IF i %% 500 = 0 THEN COMMIT; END IF; END LOOP; END $$", (slots,))
    assert f"0 rows loaded in {slots} tables" in load(tailrace, load_config(source, target)).stderr
    source.drop()


def test_a_copy_alone_asks_nothing_of_the_log(make_postgres, target, tailrace):
    """mode: full-load by a role that may only read, on a server whose log serves no decoding."""
    server = make_postgres(wal_level="replica")
    database = server.database("plain")
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    database.sql("INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 1000) n")
    database.sql("CREATE ROLE reader LOGIN")
    database.sql("GRANT SELECT ON t TO reader")
    url = database.url.replace("postgres@", "reader@")
    config = task_config(url, target.url, mode="full-load", tables={"include": ["public.t"]})
    checked = tailrace.run("check", config=config)
    assert checked.status == 0, checked
    assert "wal_level" not in checked.stdout and "replicate" not in checked.stdout, checked
    result = tailrace.run("run", config=config)
    assert result.status == 0, result
    assert "plain snapshot" in result.stderr
    assert target.sql("SELECT count(*), sum(id) FROM t") == [(1000, 500500)]


def test_a_copy_of_nothing_is_no_success(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    result = tailrace.run("run", config=task_config(source.url, target.url, mode="full-load", tables={"include": ["pubic.%"]}))
    assert result.status == 1, result
    assert "no table of the source fits" in result.stderr and "hint" in result.stderr
