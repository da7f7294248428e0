"""Topics of change events read as a strict consumer would: each change must fit the state that those before it have left."""

import json


class Replay:
    """The rows of keyed tables, and all rows ever inserted into tables without a key, from Debezium's envelopes.

    A change that comes twice, too early or not at all does not fit: an insert of a row that is there, an update or delete of
    one that is not, a commit that goes back within a partition.
    """

    def __init__(self, read=json.loads):
        """read: a value's bytes as its event."""
        self.read = read
        self.rows = {}     # table -> key text -> after
        self.inserted = {}  # table -> [after]
        self.faults = []
        self._last = {}    # (topic, partition) -> commit

    def apply(self, records):
        for record in records:
            if record.value is None:
                self._tombstone(record)
            else:
                self._event(record, self.read(record.value))
        return self

    @staticmethod
    def _commit(source):
        """PostgreSQL: the commit before, for transactions come in the order of their commits, though their changes were mixed in the
        log. MySQL: where the change stands in the binlog."""
        if "file" in source:
            return int(source["file"].rsplit(".", 1)[1]), source["pos"]
        commit = json.loads(source["sequence"])[0]
        return None if commit is None else (0, int(commit))

    def _tombstone(self, record):
        table = ".".join(record.topic.split(".")[1:])
        if record.key in self.rows.get(table, {}):
            self.faults.append(f"{record.topic}@{record.offset}: a tombstone for a row that is there")

    def _event(self, record, event):
        source, op = event["source"], event["op"]
        table = f"{source.get('schema', source['db'])}.{source['table']}"
        commit = self._commit(source)
        if op != "r" and commit is not None:
            where = (record.topic, record.partition)
            if commit < self._last.get(where, (0, 0)):
                self.faults.append(f"{record.topic}@{record.offset}: commit {commit} after {self._last[where]}")
            self._last[where] = commit
        if record.key is None:
            if op in "cr":
                self.inserted.setdefault(table, []).append(event["after"])
            return
        rows, there = self.rows.setdefault(table, {}), record.key in self.rows.get(table, {})
        if there == (op in "cr"):
            self.faults.append(f"{record.topic}@{record.offset}: op {op} of {record.key}, which is{'' if there else ' not'} there")
        if op == "d":
            rows.pop(record.key, None)
        else:
            rows[record.key] = event["after"]


COLUMNS = {"wl.account": "id, balance, note", "wl.item": "id, code, qty", "wl.line": "item_id, n, txt"}


def assert_exact(source, kafka, prefix="shop"):
    """The topics of workload.py, replayed strictly, give the source's rows; the journal has each of its rows once, each client's in order."""
    topics = sorted(name for name in kafka.topics() if name.startswith(f"{prefix}.wl."))
    replay = Replay().apply(kafka.read(topics))
    assert not replay.faults, "\n".join(replay.faults[:20])
    for table, columns in COLUMNS.items():
        names = columns.split(", ")
        expected = sorted(source.sql(f"SELECT {columns} FROM {table}"), key=repr)
        found = sorted((tuple(row[name] for name in names) for row in replay.rows[table].values()), key=repr)
        assert found == expected, f"{table}: {len(found)} rows in the topic, {len(expected)} at the source"
    journal = [(row["client"], row["n"]) for row in replay.inserted["wl.journal"]]
    assert len(journal) == len(set(journal)), "a row of the journal came twice"
    assert sorted(journal) == sorted(source.sql("SELECT client, n FROM wl.journal"))
    last = {}
    for client, number in journal:
        assert number > last.get(client, -1), f"client {client}: {number} after {last[client]}"
        last[client] = number
