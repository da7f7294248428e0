"""A stop ends within five seconds, whatever the servers do: one that takes the connection and never answers, one that falls silent at work."""

import contextlib
import os
import re
import socket
import time

import pytest

from harness.proxy import Proxy
from harness.replication import drain, task_config
from harness.wait import wait_until


def stop_in_time(tailrace, limit=5):
    began = time.monotonic()
    tailrace.term()
    assert tailrace.wait_exit(30) == 0, tailrace.stderr
    assert time.monotonic() - began < limit, tailrace.stderr


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_while_it_connects_to_one_that_never_answers(tailrace, source, scheme, role):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        silent = f"{scheme}://root:secret@127.0.0.1:{listener.getsockname()[1]}/db"
        urls = (silent, f"file://{tailrace.dir}/out") if role == "source" else (source.url, silent)
        tailrace.start("run", config=task_config(*urls, tables={"include": ["%.%"]}))
        with contextlib.closing(listener.accept()[0]):
            stop_in_time(tailrace)


@pytest.fixture
def shop(mariadb_server):
    database = mariadb_server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20))")
    database.sql("INSERT INTO t (v) VALUES ('a'), ('b')")
    yield database
    database.drop()


def behind(proxy, server, url):
    return url.replace(f":{server.port}/", f":{proxy.port}/")


@pytest.mark.parametrize("when", ["asked who it is", "streaming"])
def test_while_a_mariadb_source_is_silent(tailrace, mariadb_server, shop, target, when):
    with Proxy(mariadb_server.port) as proxy:
        config = task_config(behind(proxy, mariadb_server, shop.url), target.url, tables={"include": [f"{shop.name}.%"]})
        if when == "streaming":
            tailrace.start("run", config=config)
            tailrace.wait_log("streaming from")
            proxy.stall()
            shop.sql("INSERT INTO t (v) VALUES ('c')")
        else:
            proxy.edit = lambda: lambda data: (proxy.stall(), data)[1]  # it says its name, and no more
            tailrace.start("run", config=config)
        wait_until(lambda: proxy.held > 0, 30, "something that a silent server keeps")
        stop_in_time(tailrace)
        proxy.resume()


def test_while_a_mariadb_target_is_silent(tailrace, mariadb_server, source):
    source.sql("CREATE TABLE silent (id int PRIMARY KEY)")
    try:
        with Proxy(mariadb_server.port) as proxy:
            config = task_config(source.url, behind(proxy, mariadb_server, mariadb_server.url("shop_silent")), tables={"include": ["public.%"]})
            mariadb_server.create_database("shop_silent")
            tailrace.start("run", config=config)
            tailrace.wait_log("streaming from")
            proxy.stall()
            source.sql("INSERT INTO silent VALUES (1)")
            wait_until(lambda: proxy.held > 0, 30, "a statement that the target does not answer")
            stop_in_time(tailrace, limit=8)  # it waits four seconds for what was read to be applied; the machine may be busy
            proxy.resume()
            drain(tailrace, config)
            assert mariadb_server.sql("SELECT id FROM shop_silent.silent") == [(1,)]
    finally:
        mariadb_server.drop_database("shop_silent")
        mariadb_server.drop_database("tailrace")


def test_what_is_written_after_the_last_change_was_read_is_saved(tailrace, source):
    """A target that is slower than the source: all is read, and half of it written. A kill then does not repeat that half."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    config = task_config(source.url, None, tables={"include": ["public.t"]}) | {"target": {"url": "stdout:"}, "log_interval": "1s"}
    first = re.search(r"checkpoint (\S+)", drain(tailrace, config).stderr)[1]
    source.sql("DO $$ BEGIN FOR i IN 1..100 LOOP INSERT INTO t VALUES (i, repeat('x', 100000)); COMMIT; END LOOP; END $$")
    os.mkfifo(tailrace.dir / "stdout.2")
    reader = os.open(tailrace.dir / "stdout.2", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    tailrace.start("run", config={**config, "stop": "drained"})
    tailrace.wait_log(r"streaming from(?s:.*progress: ){2}")  # long enough to read ten megabytes
    written = 0
    while written < 5_000_000:
        piece = os.read(reader, 1 << 16)
        assert piece, tailrace.stderr
        written += len(piece)
    tailrace.wait_log(rf"progress: .*checkpoint (?!{first}$)")
    tailrace.kill9()
    os.close(reader)
    again = drain(tailrace, config, timeout=60).json_lines()
    assert 0 < len(again) < 80, f"{len(again)} changes come again"
