"""The client reaches a real server with a password, over TLS and after a restart, and gives up soon on none."""

import ssl
from pathlib import Path
from time import monotonic

import pytest
import redis
import trustme

from promptable.store.redis_connection import connect
from tests.redis_server import free_port, running_redis, tls_in_front_of


def test_a_client_reads_what_another_wrote() -> None:
    with running_redis() as server:
        connect("127.0.0.1", server.port).set("name", b"\x00\xff")
        assert connect("127.0.0.1", server.port).get("name") == b"\x00\xff"


def test_the_password_is_given() -> None:
    with running_redis("--requirepass", "a secret") as server:
        assert connect("127.0.0.1", server.port, password="a secret").ping()  # noqa: S106
        for wrong in ("", "a guess"):
            with pytest.raises(redis.AuthenticationError):
                connect("127.0.0.1", server.port, password=wrong).ping()


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with running_redis() as server, tls_in_front_of(server.port, context) as port:
        assert connect("localhost", port, tls=True, ca_file=tmp_path / "ca.pem").ping()
        for refused in (tmp_path / "other.pem", None):
            with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
                connect("localhost", port, tls=True, ca_file=refused).ping()


def test_a_restarted_server_is_reached_again() -> None:
    with running_redis() as server:
        client = connect("127.0.0.1", server.port)
        assert client.ping()
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()


def test_a_server_that_restarts_between_two_commands_goes_unnoticed() -> None:
    with running_redis() as server:
        client = connect("127.0.0.1", server.port)
        assert client.ping()
        server.stop()
        server.start()
        assert client.ping()


def test_no_server_is_an_error_within_seconds() -> None:
    started = monotonic()
    with pytest.raises(redis.ConnectionError):
        connect("127.0.0.1", free_port()).ping()
    assert monotonic() - started < 10
