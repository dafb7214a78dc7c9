"""What replicas need not compute twice, in a Redis: whatever is missing there is simply made again."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis import Redis, RedisError

from promptable.store.circuit_breaker import PAUSE_SECONDS, CircuitBreaker, means_away

_log = logging.getLogger(__name__)

T = TypeVar("T")


class RedisCache:
    """Values under a prefix, each kept for ``lifetime_seconds`` after it was last written or read.

    A failure is a warning. Where Redis is away it is then left alone for half a minute; where it refused one command,
    that value is as good as missing.
    """

    def __init__(self, client: Redis, prefix: str, lifetime_seconds: int) -> None:
        self._client = client
        self._prefix = prefix
        self._lifetime = lifetime_seconds
        self._breaker = CircuitBreaker()

    def get(self, key: str) -> bytes | None:
        """The value, or None where Redis has none or fails."""
        value: Any = self._tried(lambda: self._client.getex(self._prefix + key, ex=self._lifetime))
        return None if value is None else bytes(value)

    def first_of(self, keys: Sequence[str]) -> str | None:
        """The first of these keys that has a value, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(self._prefix + key)
        there = self._tried(pipeline.execute) or []
        return next((key for key, exists in zip(keys, there, strict=False) if exists), None)

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; where Redis fails it is not kept."""
        self._tried(lambda: self._client.set(self._prefix + key, value, ex=self._lifetime))

    def add(self, key: str, value: bytes) -> None:
        """Keep a value unless there is one already; where Redis fails it is not kept."""
        self._tried(lambda: self._client.set(self._prefix + key, value, ex=self._lifetime, nx=True))

    def remove(self, key: str) -> None:
        """Forget a value; where Redis fails it stays."""
        self._tried(lambda: self._client.delete(self._prefix + key))

    def _tried(self, command: Callable[[], T]) -> T | None:
        """What the command returns, or None where Redis fails."""
        if self._breaker.is_open:
            return None
        try:
            return command()
        except RedisError as error:
            self._failed(error)
            return None

    def _failed(self, error: RedisError) -> None:
        if means_away(error):
            self._breaker.trip()
            _log.warning("Redis failed, this process goes on without it for %g seconds: %s", PAUSE_SECONDS, error)
        else:
            _log.warning("Redis refused a command, this process goes on without that value: %s", error)
