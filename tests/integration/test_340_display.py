"""What run shows: a display on a terminal that log lines do not tear, and log lines that a program can read."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

from harness.replication import task_config
from harness.wait import wait_until


class Screen:
    """As much of a terminal as run uses: lines that wrap, carriage return, clear to the end of the line."""

    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column = columns, [""], 0, 0
        self.strange = []

    def feed(self, text):
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.|\n|\r", text, re.DOTALL):
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self.down()
            elif token == "\x1b[K":
                self.rows[self.row] = self.rows[self.row][:self.column]
            elif ord(token[0]) < 32 or ord(token[0]) == 127:
                self.strange.append(token)
            else:
                if self.column >= self.columns:
                    self.down()
                    self.column = 0
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[:self.column] + token + line[self.column + 1:]
                self.column += 1

    def down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")


class Terminal:
    """A program on a pseudo terminal; a thread reads what it writes."""

    def __init__(self, command, cwd, columns):
        self.master, slave = pty.openpty()
        self.written = []
        self.resize(columns)
        self.child = subprocess.Popen(command, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with contextlib.suppress(OSError):  # its other end is closed
            while data := os.read(self.master, 65536):
                self.written.append(data)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def text(self, since=0):
        return b"".join(self.written[since:]).decode("utf-8", "replace")

    def wait(self, pattern, since=0):
        def ended():
            assert self.child.poll() is None or re.search(pattern, self.text(since)), self.text()
        return wait_until(lambda: re.search(pattern, self.text(since)), 60, give_up=ended, what=lambda: f"{pattern} in {self.text()!r}")

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join(10)
        os.close(self.master)


def shown(text):
    """What was drawn between two clearings of the line; the lines of the log before it aside."""
    return [piece.rsplit("\n", 1)[-1] for piece in re.split(r"\r\x1b\[K", text)]


def test_the_display_fits_the_terminal_and_log_lines_do_not_tear_it(source, target, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;"
               "CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1)")
    tailrace.write_config(task_config(source.url, target.url, tables={"include": ["public.%"]}))
    target.sql("CREATE TABLE held (id int PRIMARY KEY)")
    holder = target.connect(autocommit=False)
    holder.cursor().execute("LOCK TABLE held IN SHARE MODE")  # the load stands still in its middle
    terminal = Terminal([str(tailrace.binary), "run", "task.yaml"], tailrace.dir, 100)
    try:
        terminal.wait(r"loading \[[#-]+\] \d+%, (left [\d:]+, )?\d of 2 tables, .*rows/s")
        wide = len(terminal.written)
        terminal.resize(50)
        terminal.wait(r"\r\x1b\[Kloading \[[^\r]{20,40}\r\x1b\[K", wide)
        narrow = len(terminal.written)
        terminal.wait(r"(\r\x1b\[Kloading \[[^\r\n]*){3}", narrow)
        assert max(map(len, shown(terminal.text(narrow))[1:-1])) <= 49  # the first and the last may be pieces
        holder.rollback()
        terminal.wait(r"\r\x1b\[Kstreaming: ", narrow)
        source.sql("INSERT INTO a SELECT i, '' FROM generate_series(30001, 30100) i")
        wait_until(lambda: target.one("SELECT count(*) FROM a") == 20100, 60, "the changes at the target")
        os.kill(terminal.child.pid, signal.SIGINT)
        assert terminal.child.wait(60) == 0
        terminal.reader.join(10)
        screen = Screen(50)
        screen.feed(terminal.text(narrow))
        assert not screen.strange, screen.strange
        assert screen.column == 0 and screen.rows[-1] == "", screen.rows  # nothing of the display is left under the last line
        torn = [row for row in screen.rows[1:] if re.search(r".(loading \[|streaming: )|(loading|streaming).*\d{4}-\d\d-\d\dT", row)]
        assert not torn, screen.rows
        assert re.search(r"done: 20001 rows loaded in 2 tables, 100 changes", "".join(screen.rows)), screen.rows
    finally:
        terminal.end()
        holder.close()


CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
ODD = 'odd\x1b[31m\n"name\\\u0085\u202e'


def test_log_lines_are_whole_whatever_a_table_is_called(source, target, tailrace):
    quoted = '"' + ODD.replace('"', '""') + '"'
    for database in (source, target):
        database.sql(f"CREATE TABLE {quoted} (id int PRIMARY KEY, v int)")
    source.sql(f"INSERT INTO {quoted} VALUES (1, 1), (2, 2)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]}, stop="drained", on_conflict="skip", log_format="json")
    assert tailrace.run("run", config=config).status == 0
    target.sql(f"DELETE FROM {quoted}")
    source.sql(f"UPDATE {quoted} SET v = 3")
    skipped = tailrace.run("run", config={**config, "log_interval": "100ms"})
    assert skipped.status == 0, skipped
    lines = [json.loads(line) for line in skipped.stderr.split("\n") if line]
    assert all(line["task"] == "test" and line["level"] in ("info", "warning", "error", "debug") for line in lines), lines
    assert any(ODD in line["message"] or "odd" in line["message"] for line in lines), skipped
    assert not CONTROL.search(skipped.stderr), skipped
    checked = tailrace.run("check", config=config)
    source.sql(f"UPDATE {quoted} SET v = 4")
    text = tailrace.run("run", config={**config, "log_format": "text"})
    for printed in (text.stderr, checked.stdout, checked.stderr):
        assert not CONTROL.search(printed), printed
    assert "odd\\x1b[31m\\n" in text.stderr, text


def test_a_reader_of_the_log_that_stalls_does_not_stop_the_task(source, target, tailrace):
    """Standard error is a pipe that nobody reads: changes go on, and the end is an end."""
    source.sql("CREATE TABLE a (id int PRIMARY KEY)")
    tailrace.write_config(task_config(source.url, target.url, tables={"include": ["public.%"]}, log_interval="100ms"))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    child = subprocess.Popen([str(tailrace.binary), "run", "task.yaml"], cwd=tailrace.dir, stdin=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    try:
        for number in range(3):
            source.sql("INSERT INTO a VALUES (%s)", (number,))
            wait_until(lambda n=number: target.sql("SELECT to_regclass('public.a')")[0][0] and target.one("SELECT count(*) FROM a") == n + 1, 60,
                       "the row at the target")
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        os.close(reading)


def test_a_load_without_a_database_behind_it_tells_how_far_it_is(source, tailrace):
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i; ANALYZE a")
    config = {**task_config(source.url, "null:", tables={"include": ["public.%"]}), "mode": "full-load", "log_interval": "100ms"}
    result = tailrace.run("run", config=config)
    assert result.status == 0 and re.search(r"loading: \d+%, (left [\d:]+, )?0 of 1 tables", result.stderr), result
