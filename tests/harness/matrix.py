"""Other major versions of the servers, fetched into a cache by scripts/fetch-servers.sh.

A server that cannot be had on this machine makes the test skip, with the reason.
"""

import functools
import subprocess
from pathlib import Path

import pytest

from .servers import MariaDB, MySQL, Postgres

FETCH = Path(__file__).resolve().parents[2] / "scripts/fetch-servers.sh"

POSTGRES_MAJORS = [13, 14, 15, 16, 17, 18]
MARIADB_VERSIONS = ["10.5", "10.11", "11.4", "11.8"]
MYSQL_VERSIONS = ["9"]
# What comes from Debian 12's own packages and needs no fetching.
_INSTALLED = ("pg15", "mariadb10.11")


@functools.lru_cache(maxsize=None)
def _fetch(server):
    try:
        done = subprocess.run([str(FETCH), server], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
                              check=False)
    except subprocess.TimeoutExpired:
        return None, f"fetching {server} took more than 600 s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return None, f"{server} cannot be had here: {lines[-1]}"
    return Path(done.stdout.strip().splitlines()[-1]), None


def server_dir(server):
    """The folder for Postgres(bin_dir=...) and its like; None for Debian 12's own. Skips the test when there is none."""
    if server in _INSTALLED:
        return None
    path, reason = _fetch(server)
    if path is None:
        pytest.skip(reason)
    return path


def postgres(major, **kwargs):
    """A Postgres of this major version, not yet started."""
    return Postgres(bin_dir=server_dir(f"pg{major}"), **kwargs)


def mariadb(version, **kwargs):
    return MariaDB(bin_dir=server_dir(f"mariadb{version}"), **kwargs)


def mysql(version, **kwargs):
    return MySQL(bin_dir=server_dir(f"mysql{version}"), **kwargs)
