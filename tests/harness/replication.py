"""One task from one database to another, as the tests run it again and again."""

import json
from collections import Counter
from pathlib import Path

from .compare import equal_by_content


def task_config(source, target, **options):
    """The configuration of a task that loads and follows; options override, None removes."""
    config = {"task": "test", "mode": "full-load-and-cdc", "source": {"url": source}, "target": {"url": target},
              "state": "state", "workers": 4, "tables": {"include": ["wl.%"]}}
    config.update(options)
    return {key: value for key, value in config.items() if value is not None}


def drain(tailrace, config, timeout=120):
    """Runs the task until all that the source has committed by now is applied; it must end by itself with 0."""
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=timeout)
    assert result.status == 0, result
    return result


def assert_equal(source, target, tables):
    """Columns that the workload has dropped at the source are kept at the target."""
    with source.connect() as left, target.connect() as right:
        equal_by_content(left, right, tables, kept="extra")


# ---- what a MySQL or MariaDB source leaves in files, and prints otherwise than PostgreSQL

def task_events(folder):
    """The change events in a file target's folder, oldest first."""
    events = []
    for path in sorted(Path(folder).rglob("*.jsonl")):
        with open(path, encoding="utf-8") as lines:
            events += [line["value"] for line in map(json.loads, lines) if line.get("value") and "op" in line["value"]]
    return events


def rows_after(events, table, columns):
    """The bag of rows that a reader has who applied all of a table's events in their order."""
    rows = Counter()
    for event in events:
        if event["source"]["table"] != table:
            continue
        if event["op"] == "t":
            rows.clear()
        for image, count in ((event.get("before"), -1), (event.get("after"), 1)):
            if image is not None:
                rows[tuple(image[column] for column in columns)] += count
    assert not [row for row, count in rows.items() if count < 0], f"{table}: a row left that never came"
    return +rows


def rows_of(connection, table, columns):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
        return Counter(cursor.fetchall())


def as_float(text):
    return text if text is None else repr(float(text))


def as_bytes(text):
    """PostgreSQL's hex form of what MySQL gives as the bytes themselves."""
    if text is None or text.startswith("\\x"):
        return text
    return "\\x" + text.encode("utf-8", "surrogateescape").hex()


def as_moment(text):
    """A time or date with time, without the zeros behind its fraction and without UTC's offset."""
    if text is None:
        return None
    text = text.removesuffix("+00")
    return text.rstrip("0").rstrip(".") if "." in text else text
