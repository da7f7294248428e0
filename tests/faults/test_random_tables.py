"""Random tables under a random load, from seeds, the program killed at random: the target ends equal."""

import random
import subprocess

import pytest

from harness.compare import equal_by_content
from harness.random_tables import RandomTables
from harness.replication import drain, task_config
from harness.wait import wait_until


def live_a_while(tailrace, config, seconds):
    """The program runs for so long, and is killed."""
    tailrace.start("run", config=config)
    try:
        tailrace.child.popen.wait(seconds)
        raise AssertionError(f"it ended by itself\n{tailrace.stderr}")
    except subprocess.TimeoutExpired:
        tailrace.kill9()
        tailrace.wait_exit()


@pytest.mark.matrix
@pytest.mark.time_limit(400)
@pytest.mark.parametrize("seed, workers, kills", [(20, 8, 3), (23, 4, 0), (6, 1, 2)])
def test_random_tables_end_equal(source, target, tailrace, seed, workers, kills):
    load = RandomTables(source, seed).create()
    config = task_config(source.url, target.url, workers=workers, memory="32MiB", tables={"include": ["rt.%"]})
    drain(tailrace, config)
    load.start()
    rng = random.Random(seed)
    for _ in range(kills):
        live_a_while(tailrace, config, rng.uniform(0.3, 2))
    wait_until(lambda: load.commits >= 500, 120, "commits")
    load.stop()
    drain(tailrace, config, timeout=200)
    # a column that was added stays unknown to the log until its table has a change
    added = {f"x{number}" for number in range(1, 500)}
    with source.connect() as left, target.connect() as right:
        equal_by_content(left, right, load.names(), ignore_columns=added)
