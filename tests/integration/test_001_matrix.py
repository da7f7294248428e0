"""The wider matrix: every supported major version starts, logs what we need, and survives a kill."""

import pytest
from harness import matrix
from harness.workload import Workload

pytestmark = [pytest.mark.matrix, pytest.mark.time_limit(700)]


@pytest.mark.parametrize("major", matrix.POSTGRES_MAJORS)
def test_postgres(major):
    with matrix.postgres(major, options={"max_prepared_transactions": 10}) as server:
        assert server.major == major
        database = server.database()
        load = Workload(database, seed=major, clients=2).create_tables().run(commits=30)
        server.crash()
        assert database.one("SELECT count(*) FROM wl.journal") == load.commits
        database.sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        assert database.one("SELECT count(*) FROM pg_replication_slots") == 1
        database.drop()
        assert server.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]


@pytest.mark.parametrize("version", matrix.MARIADB_VERSIONS)
def test_mariadb(version):
    with matrix.mariadb(version) as server:
        assert server.sql("SELECT version()")[0][0].startswith(version + ".")
        check_binlog(server)


@pytest.mark.parametrize("version", matrix.MYSQL_VERSIONS)
def test_mysql(version):
    with matrix.mysql(version) as server:
        assert server.sql("SELECT version()")[0][0].startswith(version + ".")
        check_binlog(server)


def check_binlog(server):
    database = server.database()
    database.sql("CREATE TABLE t (id int PRIMARY KEY, txt text)")
    database.sql("INSERT INTO t VALUES (1, 'ä')")
    server.crash()
    assert database.sql("SELECT * FROM t") == [(1, "ä")]
    assert database.sql("SELECT @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata") == \
        [(1, "ROW", "FULL", "FULL")]
