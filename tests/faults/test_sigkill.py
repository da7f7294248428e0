"""tailrace is killed at random moments under load; servers are killed too. The target ends equal, the journal exact."""

import random

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.wait import wait_until
from harness.workload import Workload


def _kill_repeatedly(tailrace, config, times, seed):
    """Starts the program, lets it live for a random part of a second after it streams, and kills it."""
    rng = random.Random(seed)
    for _ in range(times):
        tailrace.start("run", config=config)
        tailrace.kill_after(rng.uniform(0.02, 1.2))


@pytest.mark.time_limit(900)
@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_at_random_under_load(source, target, tailrace, kills):
    load = Workload(source, seed=11, clients=4, ddl=True, two_phase=True, pause=0.002).create_tables()
    config = task_config(source.url, target.url)
    load.start()
    _kill_repeatedly(tailrace, config, kills, seed=kills)
    load.stop()
    drain(tailrace, config)
    assert_equal(source, target, Workload.tables)
    with target.connect() as connection:
        Workload.check_sum(connection)
        Workload.check_journal(connection)


@pytest.mark.time_limit(600)
def test_servers_killed_under_load(make_postgres, tailrace):
    source_server = make_postgres(name="src", logical_decoding_work_mem="64kB", max_prepared_transactions=10)
    target_server = make_postgres(name="dst")
    source, target = source_server.database(), target_server.database()
    load = Workload(source, seed=12, clients=3, pause=0.002).create_tables()
    config = task_config(source.url, target.url)
    tailrace.start("run", config=config)
    load.start()
    for round_number in range(4):
        reached = load.commits + 60
        wait_until(lambda: load.commits >= reached, 60, "commits")
        (source_server if round_number % 2 == 0 else target_server).crash()
    load.stop()
    tailrace.check_running()
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    assert_equal(source, target, Workload.tables)
    with target.connect() as connection:
        Workload.check_sum(connection)
        Workload.check_journal(connection)
