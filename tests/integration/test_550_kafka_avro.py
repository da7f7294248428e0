"""debezium-avro: messages in Confluent's wire format, decoded by Apache's own library with schemas out of a real registry."""

import base64
import json
import random
import struct
import threading
import time
import zlib
from decimal import Decimal

import pytest

from harness.registry import FakeRegistry, Registry, decode, need_registry, schema_id
from harness.replication import drain, task_config
from harness.tls import Authority
from harness.topics import Replay
from harness.wait import wait_until
from harness.workload import Workload
from test_520_kafka_schemas import MODES, ROW, TABLE

WIDE_MODES = [MODES[0], *(pytest.param(mode, marks=pytest.mark.matrix) for mode in MODES[1:])]

pytestmark = pytest.mark.time_limit(600)  # the first test starts a broker and a registry


@pytest.fixture(scope="module")
def registry():
    need_registry()
    server = Registry().start()
    yield server
    server.remove()


@pytest.fixture
def task(request):
    return f"t{zlib.crc32(request.node.name.encode()):08x}"


@pytest.fixture
def config(source, kafka, task):
    """A task of the test's own name, so that no two tests share topics or subjects."""
    def make(registry=None, **target):
        settings = task_config(source.url, kafka.url, task=task, tables={"include": ["public.%"]})
        settings["target"].update(format="debezium-avro", **target)
        if registry is not None:
            settings["target"]["schema_registry"] = registry if isinstance(registry, str) else registry.url
        return settings
    return make


# ------------------------------------------------------------------------------------------ the same as JSON
def same(left, right, where):
    """A value of the JSON form, and the one that a reader of the Avro form got."""
    if isinstance(right, dict):
        assert isinstance(left, dict) and set(left) <= set(right), f"{where}: fields {left}, {right}"
        for name, value in right.items():
            same(left.get(name), value, f"{where}.{name}")
    elif isinstance(right, list):
        assert isinstance(left, list) and len(left) == len(right), f"{where}: {left} {right}"
        for number, (one, other) in enumerate(zip(left, right)):
            same(one, other, f"{where}[{number}]")
    elif isinstance(right, bytes):
        assert left == base64.b64encode(right).decode(), f"{where}: {left!r} {right!r}"
    elif isinstance(right, float):
        number = float(left)
        assert number == right or struct.pack("f", number) == struct.pack("f", right), f"{where}: {left} {right}"
    else:
        assert left == right, f"{where}: {left!r} {right!r}"


def json_records(tailrace, config, modes):
    """What the same task writes as JSON, from its load on; called again after changes it gives those."""
    target = {"url": "stdout:", "skipped_operations": "none", "provide_transaction_metadata": True, **modes}
    result = tailrace.run("run", config={**config, "task": f"{config['task']}j", "target": target, "stop": "drained"}, timeout=120)
    assert result.status == 0, result
    return result.json_lines()


def without_clock(value, name):
    """The encoder's own clock and what names the task."""
    if isinstance(value, dict) and "op" in value:
        value = {key: part for key, part in value.items() if key not in ("ts_ms", "ts_us", "ts_ns")}
        assert value["source"]["name"] in (name, f"{name}j")
        # Each of the two loads has a cut of its own.
        hidden = ("name", "ts_ms", "ts_us", "ts_ns", "lsn", "sequence", "file", "pos") if value["op"] == "r" else ("name",)
        value["source"] = {key: part for key, part in value["source"].items() if key not in hidden}
    return value


def by_topic(records):
    topics = {}
    for topic, key, value, headers in records:
        topics.setdefault(topic, []).append((key, value, headers))
    return topics


def assert_same_records(json_lines, kafka, registry, name, registered=None):
    """Every record of the JSON run stands in Kafka as Avro, in the order of its topic."""
    topics = [topic for topic in kafka.topics() if topic.startswith(f"{name}.")]
    avro = by_topic((r.topic, r.key and decode(r.key, registry, logical=False), r.value and decode(r.value, registry, logical=False), r.headers)
                    for r in kafka.read(topics))
    plain = by_topic((line["topic"].replace(f"{name}j.", f"{name}.", 1), line["key"], line["value"], line.get("headers", {}))
                     for line in json_lines)
    assert {topic: len(records) for topic, records in avro.items()} == {topic: len(records) for topic, records in plain.items()}
    for topic, records in plain.items():
        for number, (left, right) in enumerate(zip(records, avro[topic])):
            where = f"{topic}[{number}]"
            same(left[0], right[0], f"{where} key")
            same(without_clock(left[1], name), without_clock(right[1], name), where)
            assert left[2] == {header: json.loads(text) for header, text in right[2].items() if header in left[2]}
    return avro


@pytest.mark.parametrize("modes", WIDE_MODES, ids=["defaults", "texts", "connect", "nanoseconds"])
def test_every_type_of_postgres(source, kafka, registry, make_tailrace, config, task, modes):
    source.sql(TABLE)
    source.sql(ROW)
    source.sql("INSERT INTO types DEFAULT VALUES")
    settings = config(registry, skipped_operations="none", provide_transaction_metadata=True, **modes)
    one, other = make_tailrace(), make_tailrace()
    drain(one, settings)
    lines = json_records(other, settings, modes)
    source.sql(ROW)
    source.sql("UPDATE types SET v = 'changed', f4 = 'NaN', f8 = '-Infinity' WHERE id = 1")
    source.sql("UPDATE types SET id = 100, t = 'ä€😀' WHERE id = 2")
    source.sql("DELETE FROM types WHERE id = 1")
    source.sql("SELECT pg_logical_emit_message(true, 'note', 'hello')")
    source.sql("TRUNCATE types")
    drain(one, settings)
    lines += json_records(other, settings, modes)
    records = assert_same_records(lines, kafka, registry, task)
    assert [value["op"] if value else None for _, value, _ in records[f"{task}.public.types"]] == \
        ["r", "r", "c", "u", "d", None, "c", "d", None, "t"]
    assert [value["message"]["prefix"] for _, value, _ in records[f"{task}.message"]] == ["note"]
    assert {value["status"] for _, value, _ in records[f"{task}.transaction"]} == {"BEGIN", "END"}


MARIADB_TABLE = """
CREATE TABLE types (id bigint unsigned PRIMARY KEY AUTO_INCREMENT, b bool, ti tinyint, tu tinyint unsigned, si smallint, su smallint unsigned,
    mi mediumint, mu mediumint unsigned, i int NOT NULL DEFAULT 42, iu int unsigned, bi bigint, bu bigint unsigned, f float, fd double,
    d decimal(12,3) NOT NULL DEFAULT 1.5, bit1 bit(1), bit12 bit(12), c char(5), v varchar(20) NOT NULL DEFAULT 'it''s', t text,
    bin binary(4), vb varbinary(8), bl blob, j json, e enum('sad','ok') DEFAULT 'ok', s set('a','b','c'), y year, da date, ti0 time, ti6 time(6),
    dt datetime, dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL, p point, g geometry)
"""
MARIADB_ROW = """
INSERT INTO types (b, ti, tu, si, su, mi, mu, i, iu, bi, bu, f, fd, d, bit1, bit12, c, v, t, bin, vb, bl, j, e, s, y, da, ti0, ti6, dt, dt6, ts, ts6, p, g)
VALUES (1, -128, 255, -32768, 65535, -8388608, 16777215, 7, 4294967295, -9223372036854775808, 18446744073709551615, 1.5, -2.25, 123.456, b'1',
    b'101010101010', 'ab', 'x', 'ä€', x'00ff', x'00ff', x'00ff', '{"a": 1}', 'sad', 'a,c', 2024, '2024-02-29', '-838:59:59', '01:02:03.456789',
    '2024-02-29 12:00:00', '2024-02-29 12:00:00.123456', '2024-02-29 12:00:00', '2024-02-29 12:00:00.123456', POINT(1, 2.5),
    ST_GeomFromText('LINESTRING(0 0,1 1)'))
"""


@pytest.mark.parametrize("modes", [{}, pytest.param({"bigint_unsigned_handling_mode": "precise", "binary_handling_mode": "base64"},
                                                    marks=pytest.mark.matrix)], ids=["defaults", "precise"])
def test_every_type_of_mariadb(mariadb_server, kafka, registry, make_tailrace, task, modes):
    database = mariadb_server.database()
    database.sql(MARIADB_TABLE)
    database.sql(MARIADB_ROW)
    settings = task_config(database.url, kafka.url, task=task, tables=None)
    settings["target"].update(format="debezium-avro", schema_registry=registry.url, skipped_operations="none",
                              provide_transaction_metadata=True, **modes)
    one, other = make_tailrace(), make_tailrace()
    drain(one, settings)
    lines = json_records(other, settings, modes)
    database.sql(MARIADB_ROW)
    database.sql("INSERT INTO types (v) VALUES ('few')")
    database.sql("UPDATE types SET v = 'changed', d = -0.001 WHERE id = 1")
    database.sql("DELETE FROM types WHERE id = 1")
    drain(one, settings)
    lines += json_records(other, settings, modes)
    assert_same_records(lines, kafka, registry, task)
    database.drop()


def test_readers_see_logical_types(source, kafka, registry, tailrace, config, task):
    """Decimals, and dates in the mode that has Avro's own."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n numeric(12,3) NOT NULL, d date, z numeric(12,3))")
    source.sql("INSERT INTO t VALUES (1, -123.456, '2024-02-29', NULL), (2, 0, '1969-12-31', 99999999.999)")
    drain(tailrace, config(registry, time_precision_mode="connect"))
    rows = [decode(r.value, registry)["after"] for r in kafka.read([f"{task}.public.t"])]
    assert [row["n"] for row in rows] == [Decimal("-123.456"), Decimal("0.000")]
    assert [row["d"].isoformat() for row in rows] == ["2024-02-29", "1969-12-31"]
    assert [row["z"] for row in rows] == [None, Decimal("99999999.999")]


def test_records_that_are_no_rows(mariadb_server, kafka, registry, tailrace, task):
    """Heartbeats, statements that change the schema, transactions and truncates: what a reader gets is what JSON says of them."""
    database = mariadb_server.database()
    try:
        settings = task_config(database.url, kafka.url, task=task, tables={"include": [f"{database.name}.%"]})
        settings["target"].update(format="debezium-avro", schema_registry=registry.url, skipped_operations="none", heartbeat_interval="100ms",
                                  include_schema_changes=True, provide_transaction_metadata=True)
        database.sql("CREATE TABLE t (id int PRIMARY KEY)")
        drain(tailrace, settings)
        tailrace.start("run", config=settings)
        database.sql("INSERT INTO t VALUES (1), (2)")
        database.sql("ALTER TABLE t ADD COLUMN v enum('a','b') DEFAULT 'b'")
        database.sql("TRUNCATE t")
        heartbeats, topic = f"__debezium-heartbeat.{task}", f"{task}.{database.name}.t"
        wait_until(lambda: heartbeats in kafka.admin().list_topics(timeout=20).topics and kafka.read([heartbeats]), 60, "a heartbeat")
        wait_until(lambda: topic in kafka.topics() and len(kafka.read([topic])) == 3, 60, "the truncate")
        assert tailrace.stop() == 0, tailrace.stderr

        def read(name):
            return [(decode(r.key, registry) if r.key else None, decode(r.value, registry)) for r in kafka.read([name])]
        beats = read(heartbeats)
        assert {json.dumps(key) for key, _ in beats} == {json.dumps({"serverName": task})}
        assert all(list(value) == ["ts_ms"] and value["ts_ms"] > 1_600_000_000_000 for _, value in beats)
        [(key, change)] = [record for record in read(task) if "ADD COLUMN" in record[1]["ddl"]]
        assert key == {"databaseName": database.name} and change["databaseName"] == database.name and change["schemaName"] is None
        assert change["source"]["connector"] == "mariadb" and (change["source"]["db"], change["source"]["table"]) == (database.name, "t")
        [table] = [part["table"] for part in change["tableChanges"]]
        assert [(column["name"], column["typeName"], column["position"]) for column in table["columns"]] == [("id", "INT", 1), ("v", "ENUM", 2)]
        assert table["columns"][1]["enumValues"] == ["'a'", "'b'"] and table["columns"][1]["defaultValueExpression"] == "b"
        edges = [value for _, value in read(f"{task}.transaction")]
        assert [edge["status"] for edge in edges[:2]] == ["BEGIN", "END"]
        assert edges[1]["data_collections"] == [{"data_collection": f"{database.name}.t", "event_count": 2}]
        rows = read(topic)
        assert [value["op"] for _, value in rows] == ["c", "c", "t"]
        assert rows[2][0] is None and rows[2][1]["before"] is rows[2][1]["after"] is None
    finally:
        database.drop()


# ------------------------------------------------------------------------------------------ shapes
def test_a_change_of_shape_is_a_new_schema(source, kafka, registry, tailrace, config, task):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.sql("INSERT INTO t VALUES (1, 'one')")
    settings = config(registry)
    drain(tailrace, settings)
    source.sql("INSERT INTO t VALUES (2, 'two')")
    source.sql("ALTER TABLE t ADD COLUMN more int DEFAULT 7")
    source.sql("INSERT INTO t VALUES (3, 'three', 3)")
    source.sql("ALTER TABLE t DROP COLUMN v")
    source.sql("INSERT INTO t VALUES (4, 4)")
    drain(tailrace, settings)
    records = kafka.read([f"{task}.public.t"])
    assert [decode(r.value, registry)["after"] for r in records] == [
        {"id": 1, "v": "one"}, {"id": 2, "v": "two"}, {"id": 3, "v": "three", "more": 3}, {"id": 4, "more": 4}]
    ids = [schema_id(r.value) for r in records]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert len({schema_id(r.key) for r in records}) == 1
    assert len(registry.versions(f"{task}.public.t-value")) == 3


def test_an_incompatible_shape_waits_for_permission(source, kafka, registry, tailrace, config, task):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.sql("INSERT INTO t VALUES (1, 'one')")
    settings = config(registry, exactly_once=True)
    drain(tailrace, settings)
    source.sql("INSERT INTO t VALUES (2, 'two')")
    source.sql("ALTER TABLE t ALTER v TYPE int USING 5")
    source.sql("INSERT INTO t VALUES (3, 3)")
    refused(tailrace, settings, "table public.t: schema registry", f"not compatible with those of subject {task}.public.t-value", "NONE")
    registry.allow(f"{task}.public.t-value", "NONE")
    drain(tailrace, settings)
    rows = [decode(r.value, registry)["after"] for r in kafka.read([f"{task}.public.t"])]
    assert rows == [{"id": 1, "v": "one"}, {"id": 2, "v": "two"}, {"id": 3, "v": 3}]


def test_names_of_schemas_and_subjects(source, kafka, registry, tailrace, config, task):
    source.sql('CREATE TABLE "my table" ("1st" int PRIMARY KEY, "a-b" text, "ä" bool)')
    source.sql("INSERT INTO \"my table\" VALUES (1, 'x', true)")
    for mode in ("topic", "record", "topic-record"):
        settings = config(registry, subject_name=mode, topic_prefix=f"{task}-{mode}")
        drain(tailrace, {**settings, "task": f"{task}{mode}"})
        topic, space = f"{task}-{mode}.public.my_table", f"{task}-{mode}.public.my_table".replace("-", "_")
        [record] = kafka.read([topic])
        wanted = {"topic": {f"{topic}-key", f"{topic}-value"}, "record": {f"{space}.Key", f"{space}.Envelope"},
                  "topic-record": {f"{topic}-{space}.Key", f"{topic}-{space}.Envelope"}}[mode]
        assert wanted <= set(registry.subjects())
        schema = registry.schema(schema_id(record.value))
        assert (schema["namespace"], schema["name"], schema["connect.name"]) == (space, "Envelope", f"{space}.Envelope")
        assert decode(record.key, registry) == {"_1st": 1}
        assert decode(record.value, registry)["after"] == {"_1st": 1, "a_b": "x", "_": True}


def test_columns_whose_names_become_one_are_refused(source, registry, tailrace, config):
    source.sql('CREATE TABLE t (id int PRIMARY KEY, "a-b" text, "a b" text)')
    source.sql("INSERT INTO t VALUES (1)")
    refused(tailrace, config(registry), "two columns have the name a_b")
    drain(tailrace, config(registry, schema_name_adjustment_mode="avro_unicode"))


def test_a_value_without_a_form_is_refused_by_name(source, registry, tailrace, config):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, n numeric(5,2) NOT NULL)")
    source.sql("INSERT INTO t VALUES (1, 'NaN')")
    refused(tailrace, config(registry), "table public.t column n", "decimal_handling_mode: string")
    drain(tailrace, config(registry, decimal_handling_mode="string"))


@pytest.mark.matrix
def test_exactly_once_whatever_is_killed(source, kafka, tailrace, fake):
    """Changed tables and kills under load: every change once, each readable by the schema that its id names."""
    load = Workload(source, seed=31, clients=2, ddl=True, pause=0.01).create_tables()
    registry, rng = fake(), random.Random(7)
    config = task_config(source.url, kafka.url, task="kills")
    config["target"].update(format="debezium-avro", exactly_once=True, topic_partitions=3, schema_registry=registry.url)
    drain(tailrace, config)
    load.start()
    for _ in range(10):
        tailrace.start("run", config=config)
        tailrace.kill_after(rng.uniform(0.1, 1.5))
    load.stop()
    drain(tailrace, config, timeout=240)
    replay = Replay(lambda value: decode(value, registry, logical=False))
    replay.apply(kafka.read(sorted(name for name in kafka.topics() if name.startswith("kills.wl."))))
    assert not replay.faults, "\n".join(replay.faults[:20])
    accounts = sorted((row["id"], row["balance"], row["note"]) for row in replay.rows["wl.account"].values())
    assert accounts == sorted(source.sql("SELECT id, balance, note FROM wl.account"))
    journal = sorted((row["client"], row["n"]) for row in replay.inserted["wl.journal"])
    assert journal == sorted(source.sql("SELECT client, n FROM wl.journal"))


# ------------------------------------------------------------------------------------------ registries
def refused(tailrace, settings, *words, status=1):
    result = tailrace.run("run", config={**settings, "stop": "drained"}, timeout=90)
    assert result.status == status, result
    for word in words:
        assert word in result.stderr, result
    return result


@pytest.fixture
def fake():
    servers = []

    def make(answer=None, **options):
        servers.append(FakeRegistry(answer, **options))
        return servers[-1]
    yield make
    for server in servers:
        server.remove()


@pytest.fixture
def one_row(source):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("INSERT INTO t VALUES (1)")


# More answers are in tests/unit/clients/test_schema_registry.c.
PASSING = {"500": (500, '{"error_code":50001,"message":"the store is away"}', "the store is away"),
           "html": (200, "<html><body>Sign in</body></html>", "Sign in"), "nothing": (0, "", "Empty reply")}
LASTING = {"404": (404, "", "answers HTTP 404", 2), "forbidden": (403, '{"message":"not for you"}', "not for you", 1)}


@pytest.mark.parametrize("kind", PASSING)
def test_a_registry_that_is_ill_is_waited_for(source, kafka, tailrace, config, fake, one_row, task, kind):
    status, text, words = PASSING[kind]
    ill = fake(lambda *_: (status, text))
    refused(tailrace, {**config(ill), "retry_max": "1s"}, words, "no progress for longer than retry_max")
    assert ill.requests
    well = fake()
    drain(tailrace, config(well))  # the position did not move over what could not be written
    assert [decode(r.value, well)["after"] for r in kafka.read([f"{task}.public.t"])] == [{"id": 1}]


@pytest.mark.matrix
@pytest.mark.parametrize("exactly_once", [False, True], ids=["idempotent", "exactly_once"])
def test_a_registry_that_is_away_for_a_while(source, kafka, tailrace, config, fake, one_row, task, exactly_once):
    """A new shape needs the registry, which is not there for 20 seconds: the task waits, and each row comes once and in order."""
    away = threading.Event()
    server = fake(lambda *_: (0, "") if away.is_set() else None)
    settings = config(server, exactly_once=exactly_once)
    drain(tailrace, settings)
    tailrace.start("run", config=settings)
    tailrace.wait_log("streaming from")
    away.set()
    back = threading.Timer(20, away.clear)
    back.start()
    try:
        source.sql("INSERT INTO t VALUES (2)")
        source.sql("ALTER TABLE t ADD COLUMN v text")
        source.sql("INSERT INTO t VALUES (3, 'x'), (4, 'y')")
        tailrace.wait_log("Empty reply", timeout=60)
        wait_until(lambda: len(kafka.read([f"{task}.public.t"])) >= 4, 120, "the rows behind the change")
    finally:
        back.cancel()
    assert tailrace.stop() == 0, tailrace.stderr
    rows = [decode(r.value, server)["after"] for r in kafka.read([f"{task}.public.t"])]
    if not exactly_once:  # what came before the failure may come again
        rows = [row for number, row in enumerate(rows) if row not in rows[:number]]
    assert rows == [{"id": 1}, {"id": 2}, {"id": 3, "v": "x"}, {"id": 4, "v": "y"}]


def test_a_registry_that_never_answers_does_not_hold_up_an_end(source, kafka, make_tailrace, config, fake, one_row, task):
    silence, asked = threading.Event(), threading.Event()

    def answer(*_):
        asked.set()
        silence.wait(120)
    tailrace = make_tailrace()
    tailrace.start("run", config=config(fake(answer), schema_registry_timeout="90s"))
    wait_until(asked.is_set, 60, "the registry to be asked", give_up=tailrace.check_running)
    began = time.monotonic()
    assert tailrace.stop(60) == 0, tailrace.stderr
    assert time.monotonic() - began < 10, "the registry's time-out was waited for"
    silence.set()
    well = fake()
    drain(tailrace, config(well))
    assert [decode(r.value, well)["op"] for r in kafka.read([f"{task}.public.t"])] == ["r"]


@pytest.mark.matrix
def test_the_source_hears_of_what_arrived_while_a_registry_is_waited_for(source, kafka, tailrace, config, fake, one_row, task):
    silence = threading.Event()
    source.sql("CREATE TABLE u (id int PRIMARY KEY)")
    tailrace.start("run", config=config(fake(lambda path, _: silence.wait(120) and None if ".u-" in path else None), schema_registry_timeout="90s"))
    tailrace.wait_log("streaming from")
    source.sql("INSERT INTO t VALUES (2)")
    reached = source.one("SELECT pg_current_wal_lsn()")
    source.sql("INSERT INTO u VALUES (1)")
    tailrace.wait_log("waiting for schema registry")
    confirmed = "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE database = current_database()"
    wait_until(lambda: source.one(confirmed, (reached,)), 30, "the slot to move")
    assert not silence.is_set()
    silence.set()
    wait_until(lambda: f"{task}.public.u" in kafka.topics() and kafka.read([f"{task}.public.u"]), 60, "the row that waited")
    assert tailrace.stop() == 0, tailrace.stderr


def test_a_registry_that_recovers(source, kafka, tailrace, config, fake, one_row, task):
    ill = fake(lambda *_: (503, "starting") if len(ill.requests) < 3 else None)
    drain(tailrace, config(ill))
    [record] = kafka.read([f"{task}.public.t"])
    assert decode(record.value, ill)["after"] == {"id": 1}


@pytest.mark.parametrize("kind", LASTING)
def test_an_answer_that_will_not_change_stops_the_task(source, tailrace, config, fake, one_row, kind):
    status, text, words, exit_status = LASTING[kind]
    server = fake(lambda *_: (status, text))
    refused(tailrace, config(server), words, status=exit_status)
    assert len(server.requests) == 1


def test_nobody_there_and_the_next_of_the_list(source, kafka, tailrace, config, fake, one_row, task):
    away = "http://127.0.0.1:1"
    refused(tailrace, {**config(away), "retry_max": "1s"}, "schema registry http://127.0.0.1:1", "127.0.0.1 port 1")
    server = fake()
    drain(tailrace, config(f"{away}, {server.url}/"))
    assert [path for _, path, _ in server.requests] == [f"/subjects/{task}.public.t-{part}/versions" for part in ("key", "value")]


def test_login(source, kafka, tailrace, config, fake, one_row):
    server = fake(user=("me", "se:cret"))
    refused(tailrace, config(server), "who are you?", "schema_registry_user")
    refused(tailrace, config(server, schema_registry_user="me", schema_registry_password="wrong"), "who are you?")
    result = tailrace.run("run", config={**config(server, schema_registry_user="me", schema_registry_password="${REGISTRY_PW}"),
                                         "stop": "drained"}, env={"REGISTRY_PW": "se:cret"}, timeout=60)
    assert result.status == 0 and "se:cret" not in result.stderr, result


def test_tls_is_verified(source, kafka, tailrace, config, fake, one_row):
    authority = Authority()
    server = fake(certificate=authority.issue("registry"))
    other = fake(certificate=authority.issue("other", subject="elsewhere", hosts=("DNS:elsewhere",)))
    ca = str(authority.certificate)
    refused(tailrace, config(server), "SSL certificate problem", "schema_registry_ca")
    refused(tailrace, config(other, schema_registry_ca=ca), "schema_registry_ca")
    assert not server.requests and not other.requests
    drain(tailrace, config(server, schema_registry_ca=ca))
    assert server.requests


def test_schemas_that_must_be_there_already(source, kafka, registry, make_tailrace, config, one_row, task):
    settings = config(registry, schema_registry_register=False)
    refused(make_tailrace(), settings, f"subject {task}.public.t-key has no such schema", "schema_registry_register: true")
    drain(make_tailrace(), config(registry))
    drain(make_tailrace(), {**settings, "state": "fresh"})


def test_settings_that_do_not_fit(source, tailrace, config, task):
    refused(tailrace, config(), "debezium-avro needs schema_registry", status=2)
    refused(tailrace, config("ftp://x"), "is no address of a registry", status=2)
    refused(tailrace, config("http://u:geheim@h/?x=1"), "more than a host and a path", status=2)
    refused(tailrace, config("http://h", schemas_enable=True), "schemas_enable is of the format debezium-json", status=2)
    settings = config("http://127.0.0.1:1")
    settings["target"]["url"] = "stdout:"
    refused(tailrace, settings, "binary: it goes to kafka://", status=2)


def test_check_asks_the_registry(source, tailrace, config, fake, one_row):
    for answer, level in ((None, None), (lambda *_: (404, ""), "error")):
        result = tailrace.run("check", "--format", "json", config=config(fake(answer)))
        found = {f["id"]: f["level"] for f in json.loads(result.stdout)["findings"]}
        assert found.get("schema-registry") == level, result
