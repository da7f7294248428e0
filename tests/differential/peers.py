"""The two readers of one server: Debezium's embedded engine (several configurations in one JVM) and tailrace, each into files of JSON lines."""

import functools
import hashlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness.process import Child, new_dir
from harness.tailrace import Tailrace
from harness.wait import wait_until

HERE = Path(__file__).resolve().parent
FETCH = HERE.parents[1] / "scripts/fetch-debezium.sh"
PREFIX = "srv"
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xms128m", "-Xmx768m", "-Djava.awt.headless=true"]


@functools.lru_cache(maxsize=None)
def _prepare(folder):
    """(class path, reason why there is none)"""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jars = Path(os.environ.get("DEBEZIUM_JARS") or cache / "tailrace" / "debezium")
    try:
        done = subprocess.run([FETCH, jars], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        return None, "fetching Debezium took more than 900 s"
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["the fetch failed"])[-1]
    source = HERE / "Capture.java"
    classes = jars / "classes" / f"{folder}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not (classes / "Capture.class").exists():
        classes.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(["javac", "-nowarn", "-proc:none", "--release", "17", "-cp", f"{jars}/{folder}/*", "-d", classes, source],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        assert made.returncode == 0, made.stderr
    return f"{classes}:{jars}/{folder}/*", None


def class_path(folder):
    """Where Capture and Debezium's jars are; skips the test, with the reason, where they cannot be had."""
    path, reason = _prepare(folder)
    if path is None:
        pytest.skip(f"no Debezium: {reason}")
    return path


def offsets(folder, name):
    # The engines of one JVM have one prefix: without a tag their metrics would have one name, and each would wait a minute for it.
    return {"custom.metric.tags": f"engine={name}", "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
            "offset.storage.file.filename": folder / f"{name}.offsets", "offset.flush.interval.ms": 1000}


def postgres_properties(database, name, folder):
    return {"name": name, "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput",
            "topic.prefix": PREFIX, "database.hostname": "127.0.0.1", "database.port": database.server.port,
            "database.user": "postgres", "database.password": "x", "database.dbname": database.name, "slot.name": f"dbz_{name}",
            "publication.name": f"dbz_{name}", "publication.autocreate.mode": "filtered", "schema.include.list": "public",
            "slot.drop.on.stop": "true", "poll.interval.ms": 20, **offsets(folder, name)}


def mysql_properties(database, name, folder, number):
    kind = database.server.kind
    connector = {"mysql": "mysql.MySqlConnector", "mariadb": "mariadb.MariaDbConnector"}[kind]
    return {"name": name, "connector.class": f"io.debezium.connector.{connector}", "topic.prefix": PREFIX,
            "database.hostname": "127.0.0.1", "database.port": database.server.port, "database.user": "debezium",
            "database.password": "dbz", "database.server.id": 7000 + number, "database.include.list": database.name,
            "database.ssl.mode" if kind == "mysql" else "database.sslMode": "preferred" if kind == "mysql" else "disable",
            "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
            "schema.history.internal.file.filename": folder / f"{name}.history", "poll.interval.ms": 20,
            "snapshot.locking.mode": "minimal", **offsets(folder, name)}


class Lines:
    """A file of JSON lines that grows: the records so far, read on from where the last look ended."""

    def __init__(self, find):
        self._find, self._offset, self._rest, self.records = find, 0, b"", []

    def look(self):
        path = self._find()
        if path is None or not path.exists():
            return self.records
        with open(path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self.records += [parse(line, path) for line in whole]
        return self.records


def parse(line, path):
    try:
        record = json.loads(line)
    except ValueError as fault:
        raise AssertionError(f"{path}: {fault}: {line[max(getattr(fault, 'pos', 0) - 200, 0):][:400]}") from fault
    record.setdefault("headers", {})
    record["headers"] = {name: value for name, value in record["headers"].items() if not name.startswith("__debezium.context.")}
    return record


def payload(value):
    """The value without its schema."""
    return value["payload"] if value is not None and list(value) == ["schema", "payload"] else value


class Debezium:
    """One JVM with an engine per set of properties."""

    def __init__(self, folder, engines):
        """folder: of the jars; engines: {name: function(name, folder) -> properties}"""
        path = class_path(folder)
        self.dir, self.lines = new_dir("dbz"), {}
        files = []
        for name, make in engines.items():
            out = self.dir / f"{name}.jsonl"
            settings = {**make(name, self.dir), "x.out": out}
            files.append(self.dir / f"{name}.properties")
            files[-1].write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
            self.lines[name] = Lines(lambda out=out: out)
        log = [f"-Dorg.slf4j.simpleLogger.logFile={self.dir / 'debezium.log'}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self.child = Child(["java", *JVM, *log, "-cp", path, "Capture", *files], self.dir / "out", cwd=self.dir)

    def check(self):
        text = self.child.tail(40)
        log = self.dir / "debezium.log"
        if self.child.running() and '"ended":"error"' not in text:
            return
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        causes = [line[:500] for line in lines if re.search(r"\b(ERROR|Caused by)\b", line)][-10:]
        raise AssertionError("Debezium ended:\n" + "\n".join([text[:2000], *causes]))

    def stop(self):
        self.child.signal(signal.SIGTERM)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
        return {name: lines.look() for name, lines in self.lines.items()}

    def kill(self):
        if self.child.running():
            self.child.kill()


class Ours:
    """tailrace with the same settings: one process per configuration, into files."""

    def __init__(self, url, modes, tables, exclude=None, **config):
        """modes: {name: options of the target}; exclude: {mode: table}"""
        self.tasks, self.lines = {}, {}
        for name, options in modes.items():
            task = Tailrace()
            folder = task.dir / "out"
            target = {"url": f"file://{folder}", "format": "debezium-json", "topic_prefix": PREFIX, "fsync": False, **options}
            which = {"include": tables, **({"exclude": exclude[name].split(",")} if exclude and name in exclude else {})}
            task.start("run", config={"task": f"ours_{name}", "tables": which, "mode": "full-load-and-cdc", "source": {"url": url}, "target": target,
                                      "state": "state", **config})
            self.tasks[name] = task
            self.lines[name] = Lines(lambda folder=folder: next(iter(sorted(folder.glob("*.jsonl"))), None))

    def check(self):
        for task in self.tasks.values():
            task.check_running()

    def stop(self):
        for task in self.tasks.values():
            assert task.stop(60) == 0, task.stderr
        return {name: lines.look() for name, lines in self.lines.items()}

    def kill(self):
        for task in self.tasks.values():
            task.finish()


class Both:
    """Debezium and tailrace on one server; sync() waits until both have read all that was committed."""

    def __init__(self, debezium, ours, mark, topic):
        """mark(number): writes a row with this id into the table of the topic."""
        self.peers, self._mark, self._topic, self._number = (debezium, ours), mark, topic, 0

    def wait_snapshot(self, timeout=240):
        """Until every reader has its snapshot behind it and follows the log."""
        self._wait(0, timeout)
        self.sync(timeout)

    def sync(self, timeout=120):
        self._number += 1
        self._mark(self._number)
        self._wait(self._number, timeout)

    def _wait(self, number, timeout):
        missing = []

        def seen():
            missing[:] = [name for peer in self.peers for name, lines in peer.lines.items() if not self._has(lines.look(), number)]
            return not missing

        def check():
            for peer in self.peers:
                peer.check()

        wait_until(seen, timeout, lambda: f"marker {number} in {missing}", give_up=check)

    def _has(self, records, number):
        for record in reversed(records):
            if record["topic"] == self._topic and record["value"] is not None:
                after = payload(record["value"])["after"]
                if after is not None and after["id"] == number:
                    return True
        return False

    def stop(self):
        """({name: records of Debezium}, {name: records of tailrace})"""
        return tuple(peer.stop() for peer in self.peers)

    def kill(self):
        for peer in self.peers:
            peer.kill()


def whole_transactions(*sides):
    """The records without BEGIN and END of transactions that Debezium began and never ended: see "BEGIN without END"."""
    def ended(records):
        return {payload(r["value"])["id"] for r in records if r["topic"] == "srv.transaction" and payload(r["value"])["status"] == "END"}
    known = set.intersection(*(ended(records) for records in sides))
    return [[r for r in records if r["topic"] != "srv.transaction" or payload(r["value"])["id"] in known] for records in sides]
