"""Scratch folders and child processes that do not outlive the test run, however it ends."""

import atexit
import contextlib
import ctypes
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .wait import wait_until

# The unprivileged user that servers run as when the tests run as root (they refuse root).
SERVER_UID = 65534

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_counter = itertools.count(1)
_run_dir = None


def run_dir():
    """The folder of this test run, made on first use.

    A janitor process waits for our end on a pipe and removes the folder, so that it goes even when the run
    is killed with SIGKILL.
    """
    global _run_dir
    if _run_dir is None:
        _run_dir = Path(tempfile.mkdtemp(prefix="tailrace-test-"))
        _run_dir.chmod(0o755)
        script = 'cat >/dev/null; n=0; until rm -rf "$1" 2>/dev/null || [ $n -ge 50 ]; do n=$((n+1)); sleep 0.2; done'
        janitor = subprocess.Popen(["/bin/sh", "-c", script, "janitor", str(_run_dir)], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                                   start_new_session=True)
        atexit.register(_end_run, janitor)
    return _run_dir


def _end_run(janitor):
    for child in list(Child.alive):
        child.kill()
    if not os.environ.get("TAILRACE_KEEP"):
        shutil.rmtree(_run_dir, ignore_errors=True)
        janitor.stdin.close()
        janitor.wait()
    else:
        janitor.kill()
        print(f"\nkept: {_run_dir}")


def new_dir(name):
    """A fresh folder NAME-N in the run's folder. Short, for socket paths are limited to 107 bytes."""
    path = run_dir() / f"{name}-{next(_counter)}"
    path.mkdir(mode=0o755)
    return path


def give_to_server_user(path):
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{SERVER_UID}:{SERVER_UID}", "--", str(path)], check=True)


def as_server_user(command, pdeathsig="KILL"):
    """The command line that runs COMMAND as the unprivileged user when we are root.

    The death signal is set by setpriv after the change of user, for the kernel clears it at that moment.
    """
    prefix = ["setpriv", "--pdeathsig", pdeathsig]
    if os.geteuid() == 0:
        prefix += [f"--reuid={SERVER_UID}", f"--regid={SERVER_UID}", "--clear-groups"]
    return prefix + ["--"] + [str(word) for word in command]


def free_port():
    """A TCP port on which nobody listens, below the range that the system gives to clients.

    A port from bind(0) could be taken by any outgoing connection while its server is down between a kill
    and a restart; one below that range stays ours.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    for _ in range(200):
        port = random.SystemRandom().randrange(min(10240, low - 1000), low)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no free port below {low}")


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A child process with its output in a file.

    The kernel kills it when the *thread* that started it ends: start long-lived children from the main one.
    """

    alive = set()

    def __init__(self, command, log, env=None, cwd="/", stdout=None):
        self.log = Path(log)
        self.command = [str(word) for word in command]
        with open(self.log, "ab") as sink:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=stdout or sink, stderr=sink,
                                          env=env, cwd=cwd, preexec_fn=_die_with_parent, start_new_session=True)
        Child.alive.add(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        if self.popen.poll() is None:
            return True
        Child.alive.discard(self)
        return False

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout):
        """The exit status; -N after signal N. Raises subprocess.TimeoutExpired."""
        status = self.popen.wait(timeout)
        Child.alive.discard(self)
        return status

    def kill(self):
        """SIGKILL to the process and its children, then waits until all of them are gone."""
        family = [self.pid, *descendants(self.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()
        Child.alive.discard(self)
        wait_until(lambda: not any(is_running(pid) for pid in family), 30, f"the end of {self.command[0]}'s children")

    def tail(self, lines=30):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _stat_fields(pid):
    """(state, parent) of a process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def is_running(pid):
    fields = _stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def descendants(pid):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat_fields(int(entry))
            if fields is not None:
                parents.setdefault(fields[1], []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found
