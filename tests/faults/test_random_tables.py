"""Random tables under a random load, from seeds, in each pair of engines, the program killed at random: the target ends equal.

TAILRACE_SEEDS=7 or 100-120 runs these seeds, each in the pair that it falls to (or in TAILRACE_PAIR=mysql-mariadb), instead of the few below; a seed that failed is named.
"""

import os
import random
from itertools import product

import pytest

from harness.compare import equal_by_content
from harness.pairs import ENGINES, Whole
from harness.random_tables import RandomTables
from harness.random_tables_mysql import RandomMysqlTables
from harness.replication import drain, task_config
from harness.wait import wait_until

# what PostgreSQL has alone goes to PostgreSQL in a test of its own
PAIRS = [f"{source}-{target}" for source, target in product(ENGINES, ENGINES)][1:]


def live_a_while(tailrace, config, seconds):
    """The program runs for so long, and is killed."""
    tailrace.start("run", config=config)
    tailrace.kill_after(seconds)


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


class Run:
    """One seed in one pair: what the servers, the task and the load are like comes from it."""

    def __init__(self, engine_servers, pair, seed, tables=8):
        self.rng = random.Random(seed)
        source, target = pair.split("-")
        servers = engine_servers(source, "source"), engine_servers(target, "target")
        self.source = servers[0].database(f"random{seed}")
        if source == "postgresql":
            self.load = RandomTables(self.source, seed, tables, target=target)
        else:
            self.source.sql(f"ALTER DATABASE `{self.source.name}` CHARACTER SET utf8mb4")
            self.load = RandomMysqlTables(self.source, seed, target, tables)
        self.load.huge = self.rng.choice([1 << 18, 1 << 20, 4 << 20])
        self.load.create()
        self.target = servers[1].database() if target == "postgresql" else Whole(servers[1])
        self.config = task_config(self.source.url, self.target.url, workers=self.rng.choice([1, 4, 8]),
                                  memory=self.rng.choice(["32MiB", "64MiB", "256MiB"]), tables={"include": [f"{self.load.schema}.%"]})

    def go(self, tailrace, kills, commits, seconds):
        """The full load under a load of rows, then changes of shape as well, and the program killed; the target is to end equal."""
        self.load.shapes = False
        self.load.start()
        drain(tailrace, self.config, timeout=250)  # rows without a key are looked for one by one, beside megabytes of others
        self.load.shapes = True
        for _ in range(kills):
            live_a_while(tailrace, self.config, self.rng.uniform(0.1, 2) * seconds / max(kills, 1))
        wait_until(lambda: self.load.commits >= commits, 120, "commits")
        self.load.stop()
        self.load.settle()
        drain(tailrace, self.config, timeout=400)
        found = self.load.unequal(self.source, self.target)
        assert not found, "\n".join(found)

    def close(self):
        self.load.stopping.set()
        self.source.drop()
        self.target.drop()
        if self.target.server.kind != "pg":
            self.target.server.drop_database(self.load.schema)


def run_seed(engine_servers, tailrace, pair, seed, kills=None, commits=300, seconds=4, **options):
    run = Run(engine_servers, pair, seed, **options)
    try:
        run.go(tailrace, run.rng.choice([0, 2, 5]) if kills is None else kills, commits, seconds)
    except BaseException as error:
        changes = getattr(run.load, "statements", [])
        raise AssertionError(f"seed {seed} of {pair}: {error}\nchanges of shape: {changes[-8:]}") from error
    finally:
        run.close()


def asked_for():
    """(pair, seed) of the environment."""
    first, _, last = os.environ.get("TAILRACE_SEEDS", "").partition("-")
    seeds = range(int(first), int(last or first) + 1) if first else []
    return [(os.environ.get("TAILRACE_PAIR") or PAIRS[seed % len(PAIRS)], seed) for seed in seeds]


def test_a_short_random_load(engine_servers, tailrace):
    run_seed(engine_servers, tailrace, "mariadb-mariadb", 1, kills=1, commits=60, seconds=0.5, tables=4)


@pytest.mark.matrix
@pytest.mark.time_limit(900)
@pytest.mark.parametrize("pair, seed", asked_for() or list(zip(PAIRS, range(2, 10))))
def test_random_tables_in_each_pair(engine_servers, tailrace, pair, seed):
    run_seed(engine_servers, tailrace, pair, seed)
