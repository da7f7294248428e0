"""What an operator gets wrong with the program itself: each case a command, its exit status, the words that must and must not be said."""

import json
import os
import resource
import subprocess

import pytest

from harness.replication import drain, task_config


def run_shell(tailrace, script, config=None, timeout=60, **kwargs):
    """A shell line with $TAILRACE in it, in the work folder; a result has no more than what a user sees."""
    if config is not None:
        tailrace.write_config(config)
    done = subprocess.run(["/bin/bash", "-c", script], cwd=tailrace.dir, env={**os.environ, "TAILRACE": str(tailrace.binary)},
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, **kwargs)
    done.stderr = done.stderr.decode("utf-8", "replace")
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


TASK = "task: t\nsource: { url: \"postgresql://u@127.0.0.1:1/x\" }\ntarget: { url: \"null:\" }\n"
FILES = {
    "misspelt section": (TASK.replace("source:", "sorce:"), ["task.yaml:2", "unknown key sorce", "source?"]),
    "misspelt url": (TASK.replace("{ url: \"p", "{ ulr: \"p"), ["unknown key ulr", "url?"]),
    "another target's key": (TASK.replace("\"null:\"", "\"null:\", exactly_once: true"), ["exactly_once", "target null"]),
    "key twice": (TASK + "task: u\n", ["task.yaml:4", "given twice", "task.yaml:1"]),
    "cyclic alias": ("task: &a [*a]\n", ["anchor"]),
    "deep": ("task: " + "[" * 3000 + "]" * 3000, ["task.yaml:1"]),
    "two documents": (TASK + "---\ntask: u\n", ["more than one document"]),
    "no mapping": ("hello\n", ["key: value"]),
    "UTF-16": (TASK.encode("utf-16"), ["not valid UTF-8"]),
    "binary": (b"\x7fELF\x02\x00\x01" * 50, ["task.yaml:1"]),
    "too large": (TASK + "#" * (2 << 20), ["larger than 1 MiB"]),
    "empty": ("", ["no source is given"]),
    "control bytes": (TASK.replace("task: t", "task: \"a\\n\\e[31mb\""), ["not good as the name of a task"]),
    "path as name": (TASK.replace("task: t", "task: ../t"), ["not good as the name of a task"]),
    "size of nonsense": (TASK + "memory: 99999999999999999999GiB\n", ["memory", "not a size"]),
    "missing variable": (TASK.replace("u@", "u:${TAILRACE_NO_SUCH}@"), ["TAILRACE_NO_SUCH is not set"]),
    "missing secret": (TASK.replace("u@", "u:${file:/no/such}@"), ["/no/such", "No such file"]),
    "no URL": (TASK.replace("postgresql://u@", "host=secret123 "), ["not a URL"]),
    "no source of that scheme": (TASK.replace("postgresql", "gopher"), ["gopher", "known are"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_task_file_that_cannot_be_meant(tailrace, name):
    text, words = FILES[name]
    (tailrace.dir / "task.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = tailrace.run("run", "task.yaml", timeout=30)
    assert result.status == 2, result
    for word in words:
        assert word in result.stderr, result
    assert "\x1b" not in result.stderr and "secret123" not in result.stderr, result


URLS = {
    "port too large": ("postgresql://u:secret123@h:99999/x", 2, ["port"]),
    "port zero": ("postgresql://u@h:0/x", 2, ["port"]),
    "@ in a password": ("postgresql://u:pa@secret123@127.0.0.1/x", 2, ["%40"]),
    "slash in a password": ("postgresql://u:secret123/x@127.0.0.1/x", 2, ["%2F"]),
    "broken escape": ("postgresql://u:secret123%ZZ@h/x", 2, ["cannot be read"]),
    "unknown sslmode": ("postgresql://u@127.0.0.1/x?sslmode=bogus", 2, ["bogus", "verify-full"]),
    "unknown parameter": ("postgresql://u@127.0.0.1/x?bogus=1", 2, ["cannot be read"]),
    "MariaDB port": ("mariadb://u:secret123@h:x/y", 2, ["port"]),
    "MariaDB escape": ("mariadb://u:secret123%ZZ@h/x", 2, ["escape"]),
    "MariaDB parameter": ("mariadb://u@127.0.0.1/x?bogus=1", 2, ["bogus", "known are"]),
}


@pytest.mark.parametrize("name", URLS)
def test_a_url_that_cannot_work_ends_at_once_and_shows_no_password(tailrace, name):
    url, status, words = URLS[name]
    result = tailrace.run("run", config={"task": "t", "source": {"url": url}, "target": {"url": "null:"}}, timeout=30)
    assert result.status == status, result
    for word in words:
        assert word in result.stderr, result
    assert "secret123" not in result.stderr, result


def test_a_file_that_windows_wrote_is_read(source, tailrace):
    text = TASK.replace("postgresql://u@127.0.0.1:1/x", source.url).replace("\n", "\r\n")
    (tailrace.dir / "task.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    result = tailrace.run("check", "task.yaml", "--tables", "public.nothing")
    assert result.status == 0, result
    assert "tables-unmatched" in result.stdout and "public.nothing" in result.stdout, result


def test_a_pattern_that_fits_nothing_is_told(source, tailrace):
    source.sql("CREATE TABLE here (id int PRIMARY KEY)")
    result = drain(tailrace, task_config(source.url, "null:", tables={"include": ["public.here", "public.heer"]}))
    assert '"public.heer"' in result.stderr and '"public.here"' not in result.stderr, result


def test_another_kind_of_server_is_named(target, mariadb_server, tailrace):
    url = f"postgresql://root@127.0.0.1:{mariadb_server.port}/x"
    result = tailrace.run("run", config=task_config(url, target.url), timeout=30)
    assert result.status == 1 and "no PostgreSQL server" in result.stderr, result


def test_a_read_only_target_is_refused(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    target.sql(f'ALTER DATABASE "{target.name}" SET default_transaction_read_only = on')
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    result = tailrace.run("run", config=config, timeout=30)
    assert result.status == 1 and "default_transaction_read_only" in result.stderr, result
    result = tailrace.run("check", config=config, timeout=30)
    assert result.status == 3 and "default_transaction_read_only" in result.stdout, result


# ---- standard streams, limits

def rows(source, count=5000):
    source.sql(f"CREATE TABLE r (id int PRIMARY KEY, v text); INSERT INTO r SELECT i, repeat('x', 200) FROM generate_series(1, {count}) i")


@pytest.mark.parametrize("redirection,words", [(">&-", "standard output"), (">/dev/full", "No space left"), ("| head -n 2", "reader has gone")])
def test_standard_output_that_takes_nothing_ends_the_task(source, tailrace, redirection, words):
    rows(source)
    config = task_config(source.url, "stdout:", tables={"include": ["public.%"]}, stop="drained")
    done = run_shell(tailrace, f"$TAILRACE run task.yaml {redirection}; exit ${{PIPESTATUS[0]}}", config)
    assert done.returncode == 1 and words in done.stderr, done
    for line in done.stdout.splitlines():
        json.loads(line)


def test_closed_streams_are_not_taken_for_files(source, target, tailrace):
    """Log lines of a process without standard error must not land in its state, nor rows in a server's socket."""
    rows(source, 50)
    config = task_config(source.url, target.url, tables={"include": ["public.%"]}, stop="drained")
    done = run_shell(tailrace, "$TAILRACE run task.yaml <&- >&- 2>&-", config)
    assert done.returncode == 0, done
    assert target.one("SELECT count(*) FROM r") == 50
    source.sql("INSERT INTO r VALUES (0, '')")
    assert run_shell(tailrace, "$TAILRACE run task.yaml <&- >&- 2>&-").returncode == 0
    assert target.one("SELECT count(*) FROM r") == 51


def test_a_limit_on_the_size_of_files_is_an_error_like_a_full_disk(source, tailrace):
    rows(source)
    folder = tailrace.dir / "out"
    config = task_config(source.url, f"file://{folder}", tables={"include": ["public.%"]}, stop="drained", retry_max="1s")
    done = run_shell(tailrace, "$TAILRACE run task.yaml", config,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200000, resource.RLIM_INFINITY)))
    assert done.returncode == 1 and "File too large" in done.stderr and "ulimit -f" in done.stderr, done
    assert "moved aside" not in done.stderr, done  # what was cut off makes room for the next attempt
    drain(tailrace, {**config, "retry_max": "0s"})
    lines = [json.loads(line) for path in folder.iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 5000 and len({line["key"]["id"] for line in lines}) == 5000


def test_too_few_file_descriptors_are_told(source, target, tailrace):
    rows(source, 50)
    config = task_config(source.url, target.url, tables={"include": ["public.%"]}, stop="drained", retry_max="1s")
    done = run_shell(tailrace, "$TAILRACE run task.yaml", config, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)))
    assert done.returncode in (1, 2) and "oo many open files" in done.stderr, done
    drain(tailrace, config)
    assert target.one("SELECT count(*) FROM r") == 50
