"""What replicas need not compute twice, in a Redis: whatever is missing there is simply made again."""

import logging
from typing import Any

from redis import Redis, RedisError

from promptable.store.circuit_breaker import PAUSE_SECONDS, CircuitBreaker, means_away

_log = logging.getLogger(__name__)


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
        if self._breaker.is_open:
            return None
        try:
            value: Any = self._client.getex(self._prefix + key, ex=self._lifetime)
        except RedisError as error:
            self._failed(error)
            return None
        return None if value is None else bytes(value)

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; where Redis fails it is not kept."""
        if self._breaker.is_open:
            return
        try:
            self._client.set(self._prefix + key, value, ex=self._lifetime)
        except RedisError as error:
            self._failed(error)

    def _failed(self, error: RedisError) -> None:
        if means_away(error):
            self._breaker.trip()
            _log.warning("Redis failed, this process goes on without it for %g seconds: %s", PAUSE_SECONDS, error)
        else:
            _log.warning("Redis refused a command, this process goes on without that value: %s", error)
