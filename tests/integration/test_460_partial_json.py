"""MySQL's partial JSON updates: the differences in the log give the document that the server has."""

import json
import random
import re

import pymysql
import pytest

from harness import matrix
from harness.replication import drain, task_config, task_events

pytestmark = pytest.mark.matrix
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
NAMES = ["a", "b", "longer name", "1st", "ключ", 'quo"te', "back\\slash", "dot.ted", "[0]", "tab\t", "$", "_id9", "last"]
SCALARS = ["1", "-7", "70000", "9007199254740993", "1.5", "'text'", "'ключ \\\\ \\\" '", "true", "NULL", "CAST('null' AS JSON)", "CAST('[]' AS JSON)",
           "CAST('{}' AS JSON)", "CAST('{\"x\": [1, {\"y\": 2}]}' AS JSON)", "DATE'2024-02-29'", "TIMESTAMP'2024-02-29 12:34:56.789'",
           "CAST(1.25 AS DECIMAL(10,2))", "repeat('z', 300)", "x'00ff'", "18446744073709551615"]


@pytest.fixture(scope="module")
def server():
    with matrix.mysql("9", options={**FAST, "binlog-row-value-options": "PARTIAL_JSON"}) as started:
        yield started


@pytest.fixture
def shop(server):
    database = server.database()
    yield database
    database.drop()


def document(rng, depth=3):
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return rng.choice([None, True, 0, -5, 70000, 1.25, "text", "x" * 200, 2 ** 63])
    if kind < 0.65:
        return [document(rng, depth - 1) for _ in range(rng.randrange(6))]
    return {rng.choice(NAMES): document(rng, depth - 1) for _ in range(rng.randrange(1, 7))}


def path(rng, doc):
    """A path to something in the document, or just beside it."""
    legs = []
    while True:
        if isinstance(doc, dict) and rng.random() < 0.85:
            name = rng.choice(sorted(doc) + NAMES[:3])
            legs.append("." + json.dumps(name, ensure_ascii=False))
            doc = doc.get(name)
        elif isinstance(doc, list) and rng.random() < 0.85:
            index = rng.randrange(len(doc) + 2)
            legs.append(f"[{index}]" if rng.random() < 0.8 or not doc else "[last]")
            doc = doc[index] if index < len(doc) else None
        else:
            break
    return "$" + "".join(legs)


def change(rng, column, doc):
    function = rng.choice(["JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REMOVE"])
    words = [column]
    for _ in range(rng.randrange(1, 4)):
        words.append("'" + path(rng, doc).replace("\\", "\\\\").replace("'", "\\'") + "'")
        if function != "JSON_REMOVE":
            words.append(rng.choice(SCALARS))
    return f"{column} = {function}({', '.join(words)})"


def compact(text):
    """As the events have it: without the blanks between MySQL's tokens."""
    return text and re.sub(r'("(?:\\.|[^"\\])*")|\s+', lambda m: m.group(1) or "", text)


def test_documents_are_the_servers_own(server, shop, tailrace):
    """Several JSON columns, NULLs among them, and changes that the server logs whole beside those that it logs in part."""
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, one json, n int, two json, three json)")
    rng, expected = random.Random(7), []
    with shop.connect() as connection, connection.cursor() as cursor:
        for row in range(8):
            pair = [json.dumps({"pad": "p" * 3000, "doc": document(rng)}), json.dumps([document(rng), "p" * 3000])]
            cursor.execute("INSERT INTO t VALUES (%s, %s, 0, %s, NULL)", (row, *pair))
        config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None)
        drain(tailrace, config)
        for _ in range(400):
            row = rng.randrange(8)
            cursor.execute("SELECT one, two FROM t WHERE id = %s", (row,))
            one, two = (json.loads(text) for text in cursor.fetchone())
            changes = [change(rng, "one", one)] + ([change(rng, "two", two)] if rng.random() < 0.4 else []) \
                + (["n = n + 1"] if rng.random() < 0.3 else [])
            try:
                if cursor.execute(f"UPDATE t SET {', '.join(changes)} WHERE id = {row}") == 0:
                    continue
            except pymysql.err.OperationalError as error:  # the root cannot be removed, [last] of nothing...
                assert 3100 <= error.args[0] < 3200, error
                continue
            cursor.execute("SELECT id, cast(one AS char), n, cast(two AS char) FROM t WHERE id = %s", (row,))
            there = cursor.fetchone()
            expected.append((there[0], compact(there[1]), there[2], compact(there[3])))
    kinds = {kind for _, _, kind, *_ in server.sql("SHOW BINLOG EVENTS IN %s LIMIT 100000", (server.sql("SHOW BINARY LOG STATUS")[0][0],))}
    assert any("partial" in kind.lower() for kind in kinds), kinds
    drain(tailrace, config)
    found = [tuple(e["after"][c] for c in ("id", "one", "n", "two")) for e in task_events(tailrace.dir / "out") if e["op"] == "u"]
    assert len(expected) > 150
    for number, (there, here) in enumerate(zip(expected, found)):
        assert there == here, f"update {number}"
    assert len(found) == len(expected)


def test_without_the_old_document_it_is_refused(server, shop, tailrace):
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, doc json)")
    shop.sql("INSERT INTO t VALUES (1, %s)", (json.dumps({"a": 1, "pad": "p" * 3000}),))
    config = task_config(shop.url, f"file://{tailrace.dir}/out", tables=None)
    drain(tailrace, config)
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION binlog_row_image = 'MINIMAL'")
        cursor.execute("UPDATE t SET doc = JSON_SET(doc, '$.a', 2) WHERE id = 1")
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1 and "partial changes, without the old one" in result.stderr and "binlog_row_image" in result.stderr, result
