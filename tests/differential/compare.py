"""Two readers' records of the same changes, paired by topic and order, compared field by field."""

import re
from collections import defaultdict

from .peers import payload


class Rule:
    """Differences that are meant. `path` is a regular expression for the whole path of the field; `accept(theirs, ours)` says what is
    accepted there. `name` is the heading under which docs/debezium-differences.md gives the reason."""

    def __init__(self, name, path, accept=lambda theirs, ours: True):
        self.name, self.path, self.accept, self.used = name, re.compile(path), accept, 0

    def fits(self, path, theirs, ours):
        if self.path.fullmatch(path) and self.accept(theirs, ours):
            self.used += 1
            return True
        return False


MISSING = type("Missing", (), {"__repr__": lambda self: "(no such field)"})()


def differences(theirs, ours, path=""):
    """Every leaf that differs: (path, theirs, ours). Numbers are equal when they are of one kind and value; members when also in one order."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in theirs:
            yield from differences(theirs[name], ours.get(name, MISSING), f"{path}.{name}")
        for name in ours:
            if name not in theirs:
                yield f"{path}.{name}", MISSING, ours[name]
        common = [[name for name in one if name in other] for one, other in ((theirs, ours), (ours, theirs))]
        if common[0] != common[1]:
            yield f"{path}#order", common[0], common[1]
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from list_differences(theirs, ours, path)
    elif type(theirs) is not type(ours) or theirs != ours:
        yield path, theirs, ours


def list_differences(theirs, ours, path):
    """Fields of a schema are told by their names, other elements by their places."""
    if all(isinstance(item, dict) and "field" in item for item in theirs + ours) and theirs + ours:
        yield from differences({item["field"]: item for item in theirs}, {item["field"]: item for item in ours}, path)
        return
    if len(theirs) != len(ours):
        yield path, theirs, ours
        return
    for i, (one, other) in enumerate(zip(theirs, ours)):
        yield from differences(one, other, f"{path}[{i}]")


def label(record):
    value = payload(record["value"])
    if value is None:
        return "tombstone"
    return value.get("op") or value.get("status") or ("ddl" if "ddl" in value else "?")


def is_row(record):
    value = payload(record["value"])
    return value is not None and value.get("op") == "r"


def by_topic(records):
    """{topic: (rows of the snapshot in the order of their ids, the rest in its order)}"""
    topics = defaultdict(lambda: ([], []))
    for record in records:
        topics[record["topic"]][0 if is_row(record) else 1].append(record)
    for rows, _ in topics.values():
        rows.sort(key=lambda record: str(next(iter(payload(record["value"])["after"].values()), "")))
    return topics


def compare(theirs, ours, rules):
    """A list of complaints: one per path and kind of record, with its first example and how often it came."""
    found = {}

    def tell(path, one, other):
        if not any(rule.fits(path, one, other) for rule in rules):
            entry = found.setdefault(path, [0, one, other])
            entry[0] += 1

    left, right = by_topic(theirs), by_topic(ours)
    for topic in sorted(set(left) | set(right)):
        for part, name in ((0, "snapshot"), (1, "stream")):
            pair(topic, name, left[topic][part] if topic in left else [], right[topic][part] if topic in right else [], tell)
    return [f"{path}: {count} times, first: Debezium {_short(one)}, tailrace {_short(other)}" for path, (count, one, other) in found.items()]


def pair(topic, part, theirs, ours, tell):
    where = f"{topic}/{part}"
    if [label(r) for r in theirs] != [label(r) for r in ours]:
        tell(f"{where}#records", describe(theirs), describe(ours))
    for one, other in zip(theirs, ours):
        kind = f"{where}/{label(one)}" if label(one) == label(other) else f"{where}/{label(one)}:{label(other)}"
        for field in ("key", "value", "headers"):
            for path, a, b in differences(one[field], other[field], f"{kind}/{field}"):
                tell(path, a, b)


def describe(records):
    return [f"{label(r)} {payload(r['key'])}" for r in records][:40]


def _short(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:600]}..."
