"""The harness's certificates and its misbehaving proxy."""

import socket

import psycopg2
import pytest
from harness.proxy import Proxy
from harness.servers import Postgres
from harness.tls import Authority, enable_tls
from harness.wait import wait_until


def connect(proxy):
    return psycopg2.connect(host="127.0.0.1", port=proxy.port, user="postgres", dbname="postgres", connect_timeout=3)


def start_with_certificate(authority, **kwargs):
    server = Postgres(name="tls")
    enable_tls(server, authority, **kwargs)
    return server.start()


def test_a_good_certificate_is_trusted_by_its_authority_alone():
    authority = Authority()
    with start_with_certificate(authority) as server:
        with psycopg2.connect(server.url(sslmode="verify-full", sslrootcert=authority.certificate)) as connection:
            assert connection.info.ssl_in_use
        with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
            psycopg2.connect(server.url(sslmode="verify-full", sslrootcert=Authority().certificate))


@pytest.mark.parametrize("wrong, message", [
    ({"hosts": ["DNS:elsewhere"], "subject": "elsewhere"}, "does not match"),
    ({"days": -1}, "certificate verify failed"),
])
def test_a_bad_certificate_is_refused(wrong, message):
    authority = Authority()
    with start_with_certificate(authority, **wrong) as server:
        with pytest.raises(psycopg2.OperationalError, match=message):
            psycopg2.connect(server.url(sslmode="verify-full", sslrootcert=authority.certificate))
        # the flaw is the one we asked for: without the checks the connection stands
        with psycopg2.connect(server.url(sslmode="require")) as connection:
            assert connection.info.ssl_in_use


def test_proxy_cuts_and_refuses(source_server):
    with Proxy(source_server.port) as proxy:
        connection = connect(proxy)
        cursor = connection.cursor()
        cursor.execute("SELECT repeat('x', 100000)")
        assert len(cursor.fetchone()[0]) == 100000 and proxy.from_server > 100000
        proxy.cut()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
        proxy.refuse()
        with pytest.raises(psycopg2.OperationalError):
            connect(proxy)
        proxy.accept()
        again = connect(proxy)
        proxy.cut_after(50_000)
        with pytest.raises(psycopg2.OperationalError):
            again.cursor().execute("SELECT repeat('x', 100000)")
        connect(proxy).close()
        assert proxy.connections == 4


def test_proxy_cuts_with_a_reset(source_server):
    with Proxy(source_server.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        wait_until(lambda: proxy.open() == 1, 10, "the connection to be taken")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_proxy_stalls(source_server):
    with Proxy(source_server.port) as proxy:
        connection = connect(proxy)
        proxy.stall()
        with pytest.raises(psycopg2.OperationalError, match="timeout"):
            connect(proxy)
        proxy.resume()
        cursor = connection.cursor()
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)
