"""Schema registries on loopback: a real one (Apicurio, speaking Confluent's REST), and one of our own that answers as a test wants it to.

    registry = Registry().start()
    ... registry.url ...
    decode(record.value, registry)      # by Apache Avro's own library for Python

The real one comes by scripts/fetch-registry.sh, once per machine; where it cannot be fetched the tests are skipped with that reason.
"""

import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
from functools import lru_cache
from pathlib import Path

import pytest

from .process import Child, free_port, new_dir
from .wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # not by a proxy: it is on this machine
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


@lru_cache(maxsize=None)
def registry_home():
    """(folder, java, ""), or (None, None, the reason why there is none)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("REGISTRY_HOME") or cache / "tailrace" / "registry")
    done = subprocess.run([ROOT / "scripts/fetch-registry.sh", home], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == 0:
        return home, done.stdout.strip().splitlines()[-1], ""
    return None, None, done.stderr.strip().splitlines()[-1] if done.stderr else "the fetch failed"


def need_registry():
    """Skips the test, with the reason, where there is no registry or no Avro for Python."""
    pytest.importorskip("avro.io", reason="python3-avro is not installed")
    home, java, reason = registry_home()
    if home is None:
        pytest.skip(f"no schema registry: {reason}")
    return home, java


class Registry:
    """A real one; its schemas live in memory."""

    def __init__(self):
        self.home, self.java = need_registry()
        self.dir = new_dir("registry")
        self.port, self.management = free_port(), free_port()
        self.child = None
        self._schemas = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self):
        self._schemas = {}
        command = [self.java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={self.dir}",
                   "-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self.port}",
                   "-Dquarkus.management.host=127.0.0.1", f"-Dquarkus.management.port={self.management}",
                   "-Dapicurio.ccompat.use-canonical-hash=true", "-Dquarkus.http.access-log.enabled=false",
                   "-jar", self.home / "app" / "quarkus-run.jar"]
        self.child = Child(command, self.dir / "log", cwd=self.dir)

        def ready():
            # Apicurio checks nothing unless told to; Confluent's default is BACKWARD.
            try:
                return self.ask("PUT", "/config", {"compatibility": "BACKWARD"})
            except (OSError, ValueError):
                return None

        def dead():
            assert self.child.running(), f"the registry died\n{self.child.tail(40)}"
        wait_until(ready, 180, "the schema registry", give_up=dead)
        return self

    def remove(self):
        if self.child is not None and self.child.running():
            self.child.kill()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, headers={"Content-Type": CONTENT_TYPE},
                                         data=None if body is None else json.dumps(body).encode())
        with _OPENER.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def subjects(self):
        return sorted(self.ask("GET", "/subjects"))

    def versions(self, subject):
        return self.ask("GET", f"/subjects/{urllib.parse.quote(subject, safe='')}/versions")

    def schema(self, number):
        """The schema of this id, as its JSON."""
        if number not in self._schemas:
            self._schemas[number] = json.loads(self.ask("GET", f"/schemas/ids/{number}")["schema"])
        return self._schemas[number]

    def allow(self, subject, level):
        self.ask("PUT", f"/config/{urllib.parse.quote(subject, safe='')}", {"compatibility": level})


class FakeRegistry:
    """Gives each new schema the next id, when `answer(request path, body)` returns None; else (status, body) of that."""

    def __init__(self, answer=None, certificate=None, user=None):
        self.answer, self.user = answer, user
        self.requests, self.schemas = [], []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                fake.requests.append((self.command, self.path, body))
                status, text = fake.handle(self.path, body, self.headers.get("Authorization"))
                if status == 0:  # break off without a word
                    self.close_connection = True
                    return
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = reply

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def handle(self, path, body, authorization):
        if self.user is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
            if authorization != wanted:
                return 401, '{"error_code":40101,"message":"who are you?"}'
        made = self.answer(path, body) if self.answer is not None else None
        if made is not None:
            return made
        if path == "/schemas/types":
            return 200, '["AVRO"]'
        if body["schema"] not in self.schemas:
            self.schemas.append(body["schema"])
        return 200, json.dumps({"id": self.schemas.index(body["schema"]) + 1})

    def schema(self, number):
        return json.loads(self.schemas[number - 1])

    def remove(self):
        self.server.shutdown()
        self.server.server_close()


# ------------------------------------------------------------------------------------------ reading
_parsed = {}


def _without_logical(node):
    if isinstance(node, dict):
        return {name: _without_logical(value) for name, value in node.items() if name != "logicalType"}
    return [_without_logical(item) for item in node] if isinstance(node, list) else node


def schema_id(data):
    assert data[0] == 0 and len(data) >= 5, f"not of the wire format: {data[:16]!r}"
    return int.from_bytes(data[1:5], "big")


def decode(data, registry, logical=True):
    """The value of a message in the wire format. logical: decimals and dates as Python's own, else as bytes and numbers."""
    import io

    import avro.io
    import avro.schema
    number = schema_id(data)
    schema = registry.schema(number)
    text = json.dumps(schema if logical else _without_logical(schema))
    if text not in _parsed:
        _parsed[text] = avro.schema.parse(text)
    stream = io.BytesIO(data[5:])
    value = avro.io.DatumReader(_parsed[text]).read(avro.io.BinaryDecoder(stream))
    rest = stream.read()
    assert rest == b"", f"{len(rest)} bytes behind the value"
    return value
