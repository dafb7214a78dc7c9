"""Values in a real Redis that may be gone at any time."""

import logging

import pytest

from promptable.store import circuit_breaker
from promptable.store.redis_cache import RedisCache
from promptable.store.redis_server import connect
from tests.redis_server import running_redis
from toy.redis_server import RedisServer


def _cache(server: RedisServer) -> RedisCache:
    return RedisCache(connect("127.0.0.1", server.port), "test:", 100)


def test_values_are_shared_and_expire() -> None:
    with running_redis() as server:
        assert _cache(server).get("a") is None
        _cache(server).put("a", b"\x00value")
        assert _cache(server).get("a") == b"\x00value"
        client = connect("127.0.0.1", server.port).client
        assert list(server.entries()) == [b"test:a"]
        client.expire("test:a", 5)
        _cache(server).get("a")
        assert client.ttl("test:a") > 90, "what is used is kept for longer"


def test_without_redis_it_goes_on_with_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    with running_redis() as server, caplog.at_level(logging.WARNING):
        cache = _cache(server)
        server.stop()
        for _ in range(3):
            cache.put("a", b"value")
            assert cache.get("a") is None
        assert len(caplog.records) == 1
        assert "Redis failed" in caplog.text
        server.start()
        now[0] += 31
        cache.put("a", b"value")
        assert cache.get("a") == b"value"


def test_a_key_of_another_type_is_a_miss_and_the_others_are_found(caplog: pytest.LogCaptureFixture) -> None:
    with running_redis() as server, caplog.at_level(logging.WARNING):
        cache = _cache(server)
        cache.put("b", b"value")
        connect("127.0.0.1", server.port).client.rpush("test:a", "a list")
        assert cache.get("a") is None
        assert "Redis refused a command" in caplog.text
        assert cache.get("b") == b"value"
        cache.put("a", b"overwritten")
        assert cache.get("a") == b"overwritten"
