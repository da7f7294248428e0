"""Attacks: names that would be statements, servers that are not what they say, files that others may read or have put there, and what leaks into logs."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from harness.proxy import Proxy
from harness.replication import drain, task_config, task_events
from harness.rogue import RogueMysql
from harness.tls import Authority, enable_tls

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.time_limit(300)
# What a name must not do: end a quote, a statement, a line or a comment, leave the directory, steer a terminal, be a format, turn the text around.
NAMES = ['a"; DROP TABLE public.victim; --', "b'; DROP TABLE public.victim; --", "c`; DROP TABLE victim; #", "d\\", "l\\'; DROP TABLE victim; #",
         "e\n\\! touch pwned\nDROP TABLE public.victim; --", "f\x1b]0;pwned\x07\x1b[31m", "../../../../tmp/pwned", "g$$;DROP TABLE public.victim;$$",
         "h%s%n{}", "i\u202etxt", "j/*x*/--", "k.l", 'm","op":"d', "n\r\nInjected: yes", "p\u0085q\u2028r"]
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u2028-\u202e]")


def ident(name, quote='"'):
    return quote + name.replace(quote, quote * 2) + quote


def text_of(name):
    return "E'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def evil_source(source):
    """Every name as a schema's, table's, column's, constraint's, index's, type's, and as default, comment and value."""
    source.sql("CREATE TABLE public.victim (id int PRIMARY KEY)")
    for name in NAMES:
        table, schema, column = f"{ident('s' + name)}.{ident('t' + name)}", ident("s" + name), ident("c" + name)
        source.sql(f"""CREATE SCHEMA {schema}; CREATE TYPE {schema}.{ident('y' + name)} AS ENUM ('x', {text_of(name)});
            CREATE TABLE {table} (id int CONSTRAINT {ident('pk' + name)} PRIMARY KEY, {column} text DEFAULT {text_of(name)}
                CONSTRAINT {ident('ck' + name)} CHECK ({column} <> 'no'), {ident('y' + name)} {schema}.{ident('y' + name)}, n serial);
            CREATE INDEX {ident('ix' + name)} ON {table} ({column}, lower({column})) WHERE {column} ~ 'x';
            COMMENT ON TABLE {table} IS {text_of(name)}; COMMENT ON COLUMN {table}.{column} IS {text_of(name)};
            INSERT INTO {table} VALUES (1, {text_of(name)}, {text_of(name)}); INSERT INTO {table} VALUES (2)""")


def evil_changes(source):
    for name in NAMES:
        table = f"{ident('s' + name)}.{ident('t' + name)}"
        source.sql(f"""UPDATE {table} SET {ident('c' + name)} = 'new' WHERE id = 1; DELETE FROM {table} WHERE id = 2;
            ALTER TABLE {table} ADD COLUMN {ident('added' + name)} text DEFAULT {text_of(name)}; INSERT INTO {table} (id) VALUES (3)""")


def rows_of(database, name, quote='"'):
    return [tuple(row) for row in database.sql(f"SELECT * FROM {ident('s' + name, quote)}.{ident('t' + name, quote)} ORDER BY id")]


@pytest.mark.matrix
def test_names_are_never_statements(source, target, make_tailrace):
    evil_source(source)
    target.sql("CREATE TABLE public.victim (id int PRIMARY KEY)")
    tailrace = make_tailrace()
    config = task_config(source.url, target.url, tables={"include": ["s%.%"]}, log_level="debug")
    shown = [tailrace.run("check", config=config), drain(tailrace, config)]
    evil_changes(source)
    shown.append(drain(tailrace, config))
    for name in NAMES:
        assert rows_of(source, name) == rows_of(target, name) != [], name
    assert source.one("SELECT count(*) FROM victim") == target.one("SELECT count(*) FROM victim") == 0
    for result in shown:
        assert not CONTROLS.search(result.stdout + result.stderr), result
        assert not re.search(r"^(Injected|DROP|\\!)", result.stderr, re.MULTILINE), result


def test_names_in_files_are_texts_and_no_paths(source, tailrace):
    evil_source(source)
    drain(tailrace, task_config(source.url, f"file://{tailrace.dir}/out", tables={"include": ["s%.%"]}, task="files", log_format="json"))
    for line in tailrace.stderr.splitlines():
        assert json.loads(line)["task"] == "files" and not CONTROLS.search(line)
    seen = {event["source"]["table"] for event in task_events(tailrace.dir / "out")}
    assert seen == {"t" + name for name in NAMES}
    assert sorted(path.name for path in (tailrace.dir / "out").iterdir()) == ["files-000001.jsonl"]
    assert sorted(path.name for path in tailrace.dir.iterdir()) == ["out", "state", "stderr.1", "stdout.1", "task.yaml"]


def test_the_printed_schema_steers_no_terminal(source, make_tailrace):
    """Neither the notes, nor the statements when a terminal reads them; a file gets the statements as they are."""
    evil_source(source)
    for url in ("postgresql://u@127.0.0.1:1/x", "mariadb://u@127.0.0.1:1/x"):
        tailrace = make_tailrace()
        config = task_config(source.url, url, tables={"include": ["s%.%"]})
        result = tailrace.run("schema", config=config)
        assert result.status == 0 and "\x1b]0;pwned" in result.stdout, result
        assert not CONTROLS.search(result.stderr) and not re.search(r"^(Injected|DROP|\\!)", result.stderr, re.MULTILINE), result
    leader, terminal = pty.openpty()
    child = subprocess.Popen([tailrace.binary, "schema", tailrace.dir / "task.yaml"], stdin=terminal, stdout=terminal, stderr=terminal,
                             cwd=tailrace.dir, start_new_session=True)
    os.close(terminal)
    text = b""
    try:
        while more := os.read(leader, 65536):
            text += more
    except OSError:  # the terminal's last reader is gone
        pass
    os.close(leader)
    assert child.wait(60) == 0
    assert "CREATE TABLE `sf\\x1b]0;pwned\\x07" in text.decode() and not CONTROLS.search(text.decode().replace("\r\n", "\n")), text[-4000:]


@pytest.mark.matrix
def test_names_reach_mariadb_and_come_back(source, target, mariadb_server, make_tailrace):
    evil_source(source)
    config = task_config(source.url, mariadb_server.url(), tables={"include": ["s%.%"]}, task="there")
    back = task_config(mariadb_server.url(), target.url, tables={"include": ["s%.%"]}, task="back")
    there, home = make_tailrace(), make_tailrace()
    try:
        drain(there, config)
        drain(home, back)
        evil_changes(source)
        drain(there, config)
        drain(home, back)
        for name in NAMES:
            assert [(row[0], row[1], row[3]) for row in rows_of(source, name)] == [(row[0], row[1], row[3]) for row in rows_of(target, name)] != [], name
        assert not CONTROLS.search(there.stderr + home.stderr)
    finally:
        for name in ["s" + name for name in NAMES] + ["tailrace"]:
            mariadb_server.sql(f"DROP DATABASE IF EXISTS {ident(name, '`')}".replace("%", "%%"))


# ---- servers that are not what they say

def rogue_config(rogue, **options):
    return {"task": "t", "source": {"url": f"mariadb://u:hunter2@127.0.0.1:{rogue.port}/x"}, "target": {"url": "null:"}, "retry_max": "1s", **options}


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog", pytest.param("mysql_old_password", marks=pytest.mark.matrix)])
def test_a_server_that_asks_for_the_password_itself_gets_none(tailrace, plugin):
    with RogueMysql(plugin=plugin) as rogue:
        result = tailrace.run("run", config=rogue_config(rogue))
        assert rogue.heard == b""
    assert result.status == 1 and "sslmode=verify-full" in result.stderr and "hunter2" not in result.stderr, result


ANSWERS = {"a file of ours": b"\xfb/etc/passwd", "a message for the terminal": b"\xff\xd2\x04#42000\x1b]0;pwned\x07\nfake: line\xff\xfe",
           "columns without end": b"\xfe" + b"\xff" * 8, "a length without end": b"\1\xfe" + b"\x7f" * 8, "nothing": b""}


@pytest.mark.parametrize("answer", [pytest.param(name, marks=[pytest.mark.matrix] * (number > 1)) for number, name in enumerate(ANSWERS)])
def test_a_server_gives_bad_answers(tailrace, answer):
    with RogueMysql(answer=ANSWERS[answer]) as rogue:
        result = tailrace.run("run", config=rogue_config(rogue), timeout=30)
        assert b"root:" not in rogue.heard
    assert result.status == 1 and not CONTROLS.search(result.stderr), result


@pytest.mark.matrix
def test_postgresql_is_known_by_its_certificate(make_postgres, make_tailrace):
    """The right one is taken; another authority, another host, an expired one, and a server that says it has none are refused before the password is sent."""
    server, authority, other = make_postgres(fsync="off"), Authority(), Authority()
    server.sql("CREATE ROLE u SUPERUSER LOGIN PASSWORD 'hunter2'; CREATE TABLE t (id int PRIMARY KEY)")
    server.write_hba("host all all 127.0.0.1/32 scram-sha-256")
    cases = [("right", {}, authority, None), ("another authority", {}, other, "certificate"),
             ("another host", {"subject": "elsewhere", "hosts": ("DNS:elsewhere",)}, authority, "does not match"),
             ("expired", {"days": -1}, authority, "certificate verify failed")]
    for name, wrong, trusted, words in cases:
        enable_tls(server, authority, name=name.replace(" ", ""), **wrong)
        server.restart()
        url = server.url("postgres", user="u", password="hunter2", sslmode="verify-full", sslrootcert=trusted.certificate)
        result = make_tailrace().run("check", config=task_config(url, "null:", tables={"include": ["public.%"]}))
        assert (words is None and result.status == 0) or words in result.stdout, (name, result)
    with Proxy(server.port) as proxy:  # the answer to "do you speak TLS?" is made a no
        proxy.edit = lambda: lambda data: b"N" if data == b"S" else data
        result = make_tailrace().run("check", config=task_config(url.replace(f":{server.port}", f":{proxy.port}"), "null:"))
        assert "SSL" in result.stdout and "hunter2" not in result.stdout and proxy.from_server < 10, result


# ---- secrets on this machine

def test_a_task_file_with_a_password_that_all_can_read_is_told(make_tailrace):
    told = r"every user of this machine; chmod 600"
    for url, mode, warned in (("postgresql://u:hunter2@127.0.0.1:1/x", 0o644, True), ("postgresql://u:hunter2@127.0.0.1:1/x", 0o640, False),
                              ("postgresql://u:${PW}@127.0.0.1:1/x", 0o644, False), ("postgresql://u@127.0.0.1:1/x?password=hunter2", 0o644, True),
                              ("postgresql://u@127.0.0.1:1/x", 0o644, False)):
        tailrace = make_tailrace()
        path = tailrace.write_config({"task": "t", "source": {"url": url}, "target": {"url": "null:"}})
        path.chmod(mode)
        result = tailrace.run("check", path, env={"PW": "hunter2"})
        assert bool(re.search(told, result.stderr)) == warned, (url, result)
        assert "hunter2" not in result.stdout + result.stderr, result


def test_no_password_stays_in_the_process_list(source, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    address = source.url.replace("//postgres@", "//postgres:canary1@")
    tailrace.start("run", "--source", address, "--target=kafka://u:canary2@127.0.0.1:1", "--schema-registry", "http://u:canary3@127.0.0.1:1",
                   "--format=debezium-avro", "--kafka=client.rack=canary4", "--task", "t", "--log-level", "debug")
    tailrace.wait_log("127.0.0.1:1", timeout=60)
    words = Path(f"/proc/{tailrace.child.popen.pid}/cmdline").read_text(encoding="utf-8")
    tailrace.kill9()
    tailrace.wait_exit()
    assert "***" in words and "canary" not in words, words
    assert "canary" not in tailrace.stderr


def test_values_stay_out_of_messages(source, target, mariadb_server, make_tailrace):
    """A value that the target refuses: the message names table, column and key."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'canary')")
    database = mariadb_server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(3))")
    source.sql("CREATE SCHEMA " + ident(database.name) + "; ALTER TABLE t SET SCHEMA " + ident(database.name))
    result = make_tailrace().run("run", config=task_config(source.url, database.url, tables={"include": ["%.t"]}, log_level="debug", stop="drained"))
    database.drop()
    assert result.status == 1 and "column v" in result.stderr and "id=1" in result.stderr and "canary" not in result.stderr, result
    target.sql("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no good: "%"', NEW.v USING ERRCODE = '22P02'; END$$;
        CREATE TABLE s (id int PRIMARY KEY, v text); CREATE TRIGGER t BEFORE INSERT ON s FOR EACH ROW EXECUTE FUNCTION refuse();
        ALTER TABLE s ENABLE ALWAYS TRIGGER t""")
    source.sql("CREATE TABLE s (id int PRIMARY KEY, v text); INSERT INTO s VALUES (1, 'canary')")
    result = make_tailrace().run("run", config=task_config(source.url, target.url, tables={"include": ["public.s"]}, log_level="debug", stop="drained"))
    assert result.status == 1 and 'no good: "..." (22P02)' in result.stderr and "canary" not in result.stderr, result


# ---- the program itself

@pytest.fixture(scope="module")
def release():
    """The program as `make` builds it: sanitizers take the place of some of what is looked for."""
    done = subprocess.run(["make", "-s", "-j2"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / "build/tailrace"


def output_of(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout


@pytest.mark.matrix
@pytest.mark.time_limit(900)
def test_the_program_is_hardened(release):
    dynamic, segments, symbols = (output_of("readelf", flag, release) for flag in ("-dW", "-lW", "-sDW"))
    assert re.search(r"FLAGS_1.*NOW.*PIE", dynamic) and re.search(r"\(FLAGS\) +BIND_NOW", dynamic), dynamic
    assert not re.search(r"R(UN)?PATH|TEXTREL", dynamic), dynamic
    assert re.search(r"GNU_RELRO", segments) and re.search(r"GNU_STACK .* RW +0x", segments), segments
    assert not re.search(r"LOAD .* RWE ", segments), segments
    for name in ("__stack_chk_fail", "__memcpy_chk", "__snprintf_chk", "__poll_chk"):  # the last is of level 2 and up
        assert name in symbols, name
    if os.uname().machine == "x86_64":
        code = output_of("objdump", "-d", "--no-show-raw-insn", release)
        functions = re.findall(r"^[0-9a-f]+ <(tr_[a-z0-9_]+)>:\n +[0-9a-f]+:\t(\w+)", code, re.MULTILINE)
        assert len(functions) > 500
        assert sum(first == "endbr64" for _, first in functions) > 0.95 * len(functions), [name for name, first in functions if first != "endbr64"][:9]
        assert re.search(r"orq +\$0x0,(0x[0-9a-f]+)?\(%rsp\)", code), "no stack is probed"


@pytest.mark.matrix
@pytest.mark.time_limit(900)
def test_the_memory_of_the_program_is_its_own(release, source, make_tailrace):
    """No core file, and its memory and environment belong to root alone."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    tailrace = make_tailrace(binary=release)
    tailrace.start("run", config=task_config(source.url, "null:", tables={"include": ["public.%"]}))
    tailrace.wait_log("streaming from", timeout=60)
    place = Path(f"/proc/{tailrace.child.popen.pid}")
    assert re.search(r"Max core file size +0 +0 ", (place / "limits").read_text(encoding="ascii"))
    assert (place / "mem").stat().st_uid == (place / "environ").stat().st_uid == 0
    state = tailrace.dir / "state"
    assert state.stat().st_mode & 0o777 == 0o700 and all(path.stat().st_mode & 0o777 == 0o600 for path in state.iterdir())
    assert tailrace.stop() == 0
