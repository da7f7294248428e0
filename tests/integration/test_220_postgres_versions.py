"""Every supported PostgreSQL as source and as target: load, stream, a kill, and equality."""


import pytest

from harness import matrix
from harness.replication import assert_equal, drain, task_config
from harness.workload import Workload

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(700)]

OPTIONS = {"fsync": "off", "max_prepared_transactions": 10, "logical_decoding_work_mem": "64kB"}


def _carry(source, target, tailrace, two_phase):
    load = Workload(source, seed=31, clients=3, two_phase=two_phase, ddl=True).create_tables()
    load.run(80)
    config = task_config(source.url, target.url)
    tailrace.start("run", config=config)
    load.run(150)
    tailrace.kill_after(0.5)
    load.run(150)
    drain(tailrace, config)
    assert_equal(source, target, Workload.tables)
    with target.connect() as connection:
        Workload.check_sum(connection)
        Workload.check_journal(connection)


@pytest.mark.parametrize("major", matrix.POSTGRES_MAJORS)
def test_as_source(major, target, tailrace):
    with matrix.postgres(major, options=OPTIONS) as server:
        _carry(server.database(), target, tailrace, two_phase=True)


@pytest.mark.parametrize("major", matrix.POSTGRES_MAJORS)
def test_as_target(major, source, tailrace):
    with matrix.postgres(major, options=OPTIONS) as server:
        _carry(source, server.database(), tailrace, two_phase=True)
