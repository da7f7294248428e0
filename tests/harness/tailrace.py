"""The program under test."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import yaml

from .process import Child, new_dir
from .wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|UndefinedBehaviorSanitizer"
                       r"|runtime error:).*")


def binary_path():
    """TAILRACE_BIN, or the newest of the usual builds."""
    given = os.environ.get("TAILRACE_BIN")
    if given:
        assert Path(given).exists(), f"TAILRACE_BIN={given} does not exist; run make"
        return Path(given)
    built = [p for p in (ROOT / "build/asan/tailrace", ROOT / "build/tailrace") if p.exists()]
    assert built, "tailrace is not built; run make"
    return max(built, key=lambda path: path.stat().st_mtime)


class Result:
    """How a finished run ended."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr

    def json_lines(self):
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    def __repr__(self):
        return f"exit {self.status}\n--- stdout\n{self.stdout[-2000:]}\n--- stderr\n{self.stderr[-6000:]}"


class Tailrace:
    """One task's program: a work folder with the configuration and the state, and at most one process in it.

        tailrace = Tailrace()
        result = tailrace.run("check", config={...})
        tailrace.start("run", config={...}); tailrace.wait_log("following"); tailrace.kill9()
        tailrace.start("run", config={...}); tailrace.term(); assert tailrace.wait_exit() == 0

    config (a dict) is written as YAML to task.yaml, whose path is put after the first argument. Relative
    paths are relative to the work folder. Output of all starts is kept: stderr.N and stdout.N.
    """

    def __init__(self, binary=None, env=None):
        self.binary = Path(binary) if binary else binary_path()
        self.dir = new_dir("task")
        self.env = dict(env or {})
        self.child = None
        self.starts = 0
        self.crash_allowed = False

    # -- running
    def write_config(self, config, name="task.yaml"):
        path = self.dir / name
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        path.chmod(0o600)  # URLs may hold passwords
        return path

    def start(self, *args, config=None, env=None):
        """Starts the program in the background."""
        assert not self.running(), "tailrace runs already"
        words = list(args) or ["run"]
        if config is not None:
            words.insert(1, self.write_config(config))
        self.starts += 1
        environment = {**os.environ, **self.env, **(env or {})}
        with open(self.stdout_path, "wb") as out:
            self.child = Child([self.binary, *words], self.stderr_path, env=environment, cwd=self.dir, stdout=out)
        return self

    def run(self, *args, config=None, env=None, timeout=60):
        """Runs the program to its end and returns a Result; kills it and fails when it takes too long."""
        self.start(*args, config=config, env=env)
        status = self.wait_exit(timeout)
        return Result(status, self.stdout, self.stderr)

    def running(self):
        return self.child is not None and self.child.running()

    def kill9(self):
        self.child.kill()

    def kill_after(self, seconds):
        """Started before, it lives for so long and is killed; it must not end by itself."""
        try:
            self.child.popen.wait(seconds)
            raise AssertionError(f"it ended by itself\n{self.stderr}")
        except subprocess.TimeoutExpired:
            self.kill9()
            self.wait_exit()

    def term(self):
        self.child.signal(signal.SIGTERM)

    def wait_exit(self, timeout=60):
        """The exit status (-N after signal N)."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.signal(signal.SIGABRT)  # a core or a sanitizer's stack says where it hangs
            self.child.kill()
            raise AssertionError(f"tailrace did not end within {timeout} s\n{self.child.tail(40)}") from None

    def stop(self, timeout=30):
        """SIGTERM, and the exit status."""
        self.term()
        return self.wait_exit(timeout)

    # -- looking
    @property
    def stdout_path(self):
        return self.dir / f"stdout.{self.starts}"

    @property
    def stderr_path(self):
        return self.dir / f"stderr.{self.starts}"

    @property
    def stdout(self):
        return self.stdout_path.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self):
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    def check_running(self):
        if not self.running():
            raise AssertionError(f"tailrace ended with {self.child.popen.returncode}\n{self.child.tail(40)}")

    def wait_log(self, pattern, timeout=30):
        """Waits until stderr of this start matches the regular expression; returns the match."""
        regex = re.compile(pattern, re.MULTILINE)

        def end_early():
            if not self.running() and not regex.search(self.stderr):
                self.check_running()

        return wait_until(lambda: regex.search(self.stderr), timeout, give_up=end_early,
                          what=lambda: f"/{pattern}/ in the log:\n{self.child.tail(40)}")

    def sanitizer_reports(self):
        """The sanitizers' complaints in the logs of all starts."""
        found = []
        for path in sorted(self.dir.glob("stderr.*")):
            text = path.read_text(encoding="utf-8", errors="replace")
            match = SANITIZER.search(text)
            if match:
                found.append(f"{path.name}: {text[max(0, match.start() - 200):][:4000]}")
        return found

    def finish(self):
        """For teardowns: ends the process and fails when a sanitizer had anything to say."""
        if self.running():
            self.child.kill()
        reports = [] if self.crash_allowed else self.sanitizer_reports()
        assert not reports, "\n".join(reports)
