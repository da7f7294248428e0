"""Encrypted connections to MariaDB and MySQL, as source and as target, and the ways in which accounts prove themselves."""

import socket

import pymysql
import pytest

from harness import matrix
from harness.replication import drain
from harness.servers import MariaDB
from harness.tls import Authority, enable_tls_mysql

pytestmark = pytest.mark.time_limit(300)
FAST = {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}
RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES, PROCESS"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module", params=["mariadb", pytest.param("mysql", marks=pytest.mark.matrix)])
def server(request, authority):
    made = MariaDB(options=FAST, name="tls") if request.param == "mariadb" else matrix.mysql("9", options=FAST, name="tls")
    enable_tls_mysql(made, authority)
    with made:
        made.sql("CREATE DATABASE shop")
        made.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", database="shop")
        made.sql("INSERT INTO t VALUES (1, 'one')", database="shop")
        made.sql("CREATE USER safe@'%' IDENTIFIED BY 'secret' REQUIRE SSL")
        made.sql(f"GRANT {RIGHTS} ON *.* TO safe@'%'")
        yield made


def config(source, target, **more):
    return {"task": "tls", "mode": "full-load-and-cdc", "source": {"url": source}, "target": {"url": target},
            "tables": {"include": ["shop.t"]}, "state": "./state", **more}


def fails(tailrace, url, *words, env=None):
    result = tailrace.run("run", config=config(url, "null:"), env=env, timeout=60)
    assert result.status == 1, result
    for word in words:
        assert word in result.stderr, result


def test_a_verified_source_is_loaded_and_followed(server, authority, target, tailrace):
    url = server.url("shop", user="safe", password="secret", sslmode="verify-full", sslrootcert=authority.certificate)
    drain(tailrace, config(url, target.url))
    server.sql("INSERT INTO t VALUES (%s, 'more')", (target.one("SELECT count(*) FROM shop.t") + 1,), database="shop")
    drain(tailrace, config(url, target.url))
    assert target.one("SELECT count(*) FROM shop.t") == server.sql("SELECT count(*) FROM t", database="shop")[0][0] >= 2


def test_a_verified_target_takes_rows_and_changes(server, authority, source, tailrace):
    source.sql("CREATE TABLE public.s (id int PRIMARY KEY, v text); INSERT INTO s SELECT i, repeat('x', i) FROM generate_series(1, 500) i")
    url = server.url("shop", user="safe", password="secret", sslmode="verify-full", sslrootcert=authority.certificate)
    settings = {**config(source.url, url), "tables": {"include": ["public.%"]}}
    drain(tailrace, settings)
    source.sql("UPDATE s SET v = v || 'y' WHERE id <= 200; DELETE FROM s WHERE id > 450")
    drain(tailrace, settings)
    assert server.sql("SELECT count(*), sum(length(v)) FROM s", database="shop") == [(450, 450 * 451 // 2 + 200)]
    server.sql("DROP TABLE s", database="shop")
    server.sql("DROP DATABASE tailrace")


def test_what_cannot_be_verified_is_refused(server, authority, tailrace):
    other = Authority()
    fails(tailrace, server.url("shop", user="safe", password="secret", sslmode="verify-full", sslrootcert=other.certificate), "certificate")
    fails(tailrace, server.url("shop", user="safe", password="secret", sslmode="verify-ca", sslrootcert=other.certificate), "certificate")
    # the machine's own authorities do not know the server's
    fails(tailrace, server.url("shop", user="safe", password="secret", sslmode="verify-full"), "sslrootcert")
    fails(tailrace, server.url("shop", user="safe", password="secret", sslmode="disable"), "safe")


def test_a_certificate_for_another_host_is_refused(server, authority, make_tailrace):
    """verify-ca takes it, verify-full does not. The server gets the certificate for the time of this test."""
    enable_tls_mysql(server, authority, name="elsewhere", subject="elsewhere", hosts=("DNS:elsewhere",))
    server.restart()
    try:
        fails(make_tailrace(), server.url("shop", user="safe", password="secret", sslmode="verify-full", sslrootcert=authority.certificate), "certificate")
        drain(make_tailrace(), config(server.url("shop", user="safe", password="secret", sslmode="verify-ca", sslrootcert=authority.certificate), "null:"))
        enable_tls_mysql(server, authority, name="old", days=-1)
        server.restart()
        fails(make_tailrace(), server.url("shop", user="safe", password="secret", sslmode="verify-ca", sslrootcert=authority.certificate), "certificate")
    finally:
        enable_tls_mysql(server, authority)
        server.restart()


def test_a_host_by_name_is_verified_unless_told_otherwise(server, make_tailrace):
    """Beside loopback's own names the default is verify-full: without its authority the server is refused, the password not sent."""
    name = socket.gethostname()
    try:
        if not socket.gethostbyname(name).startswith("127."):
            pytest.skip(f"{name} does not lead to loopback, where the server listens")
    except OSError as problem:
        pytest.skip(f"{name} does not resolve: {problem}")
    url = server.url("shop", user="safe", password="secret").replace("127.0.0.1", name)
    fails(make_tailrace(), url, "sslrootcert")


@pytest.mark.parametrize("plugin", ["mysql_native_password", "ed25519", "parsec", "caching_sha2_password"])
def test_accounts_of_each_kind_may_log_in(server, authority, make_tailrace, plugin):
    """Over TLS and in the clear; caching_sha2_password wants TLS or a key from a file, and gets neither in the clear."""
    if server.kind == "mysql":
        if plugin != "caching_sha2_password":
            pytest.skip("MySQL 9 has caching_sha2_password only")
        server.sql("CREATE USER IF NOT EXISTS p_sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'pw'")
    elif plugin == "mysql_native_password":
        server.sql("CREATE USER IF NOT EXISTS p_native@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('pw')")
    else:
        soname = {"ed25519": "auth_ed25519", "parsec": "auth_parsec", "caching_sha2_password": "auth_mysql_sha2"}[plugin]
        try:
            server.sql(f"INSTALL SONAME '{soname}'")
            server.sql(f"CREATE USER IF NOT EXISTS p_{plugin[:6]}@'%' IDENTIFIED VIA {plugin} USING PASSWORD('pw')")
        except pymysql.Error as problem:
            pytest.skip(f"this server has no {plugin}: {problem}")
    user = {"mysql_native_password": "p_native", "ed25519": "p_ed2551", "parsec": "p_parsec", "caching_sha2_password":
            "p_sha2" if server.kind == "mysql" else "p_cachin"}[plugin]
    server.sql(f"GRANT {RIGHTS} ON *.* TO {user}@'%'")
    tls = {"sslmode": "verify-full", "sslrootcert": authority.certificate}
    drain(make_tailrace(), config(server.url("shop", user=user, password="pw", **tls), "null:"))
    fails(make_tailrace(), server.url("shop", user=user, password="wrong", **tls), "check user and password")
