"""The client reaches a real server with a password, over TLS and after a restart, and gives up soon on no answer."""

import ssl
from pathlib import Path
from time import monotonic

import pytest
import redis
import trustme

from promptable.store import circuit_breaker
from promptable.store.entry_store import InProcessStore
from promptable.store.redis_cache import RedisCache
from promptable.store.redis_server import CACHE_REPLY_SECONDS, REPLY_SECONDS, connect
from promptable.store.redis_store import RedisStore
from tests.redis_server import recorded_waits, running_redis, tls_in_front_of
from tests.store.words import read_word, words
from toy.redis_server import free_port


def test_a_client_reads_what_another_wrote() -> None:
    with running_redis() as server:
        connect("127.0.0.1", server.port).client.set("name", b"\x00\xff")
        assert connect("127.0.0.1", server.port).client.get("name") == b"\x00\xff"


def test_the_password_is_given() -> None:
    with running_redis("--requirepass", "a secret") as server:
        assert connect("127.0.0.1", server.port, password="a secret").client.ping()  # noqa: S106
        for wrong in ("", "a guess"):
            with pytest.raises(redis.AuthenticationError):
                connect("127.0.0.1", server.port, password=wrong).client.ping()


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with running_redis() as server, tls_in_front_of(server.port, context) as port:
        assert connect("localhost", port, tls=True, ca_file=tmp_path / "ca.pem").client.ping()
        for refused in (tmp_path / "other.pem", None):
            with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
                connect("localhost", port, tls=True, ca_file=refused).client.ping()


def test_a_restarted_server_is_reached_again() -> None:
    with running_redis() as server:
        client = connect("127.0.0.1", server.port).client
        assert client.ping()
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()


def test_a_server_that_restarts_between_two_commands_goes_unnoticed() -> None:
    with running_redis() as server:
        client = connect("127.0.0.1", server.port).client
        assert client.ping()
        server.stop()
        server.start()
        assert client.ping()


def test_no_server_is_an_error_within_seconds() -> None:
    started = monotonic()
    with pytest.raises(redis.ConnectionError):
        connect("127.0.0.1", free_port()).client.ping()
    assert monotonic() - started < 10


def test_users_of_a_server_that_hangs_share_one_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two caches and a store: who finds out first spares the others the wait, and the log the repetition."""
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    with running_redis() as running, recorded_waits() as waits:
        server = connect("127.0.0.1", running.port)
        caches = [RedisCache(server, prefix, 100) for prefix in ("a:", "b:")]
        store = RedisStore(server.within(0.05), InProcessStore(1000), read_word)
        caches[0].put("key", b"value")
        running.hang()
        assert [cache.get("key") for cache in caches] == [None, None]
        store.put(words(key=b"entry"))
        assert waits == [CACHE_REPLY_SECONDS], "one command, tried once"
        assert caplog.text.count("Redis failed") == 1
        now[0] += 31
        store.put(words(key=b"entry"))
        assert [cache.get("key") for cache in caches] == [None, None]
        assert waits == [CACHE_REPLY_SECONDS, 0.05]
        running.go_on()
        now[0] += 31
        assert [cache.get("key") for cache in caches] == [b"value", None]


def test_nobody_waits_longer_than_a_second() -> None:
    """Where only Redis can tell; and what can be made again is not waited for as long."""
    assert CACHE_REPLY_SECONDS < REPLY_SECONDS <= 1
    with running_redis() as running, recorded_waits() as waits:
        running.hang()
        with pytest.raises(redis.TimeoutError):
            connect("127.0.0.1", running.port).client.ping()
    assert waits == [REPLY_SECONDS], "nor a second time"
