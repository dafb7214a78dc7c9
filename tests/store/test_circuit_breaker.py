"""A server that has failed is left alone for half a minute, and only if it was the server that failed."""

import pytest
import redis

from promptable.store import circuit_breaker
from promptable.store.circuit_breaker import CircuitBreaker, means_away


def test_it_is_open_for_half_a_minute_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    breaker = CircuitBreaker()
    assert not breaker.is_open
    breaker.trip()
    now[0] += 29
    assert breaker.is_open
    now[0] += 2
    assert not breaker.is_open


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (redis.ConnectionError("refused"), True),
        (redis.TimeoutError("no reply"), True),
        (redis.AuthenticationError("wrong password"), True),
        (redis.BusyLoadingError("loading"), True),
        (redis.ResponseError("WRONGTYPE"), False),
        (redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"), False),
    ],
)
def test_only_a_server_that_cannot_be_reached_is_away(error: redis.RedisError, away: bool) -> None:
    assert means_away(error) is away
