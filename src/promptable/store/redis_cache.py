"""What replicas need not compute twice, in a Redis: whatever is missing there is simply made again."""

import logging
from time import monotonic
from typing import Any

from redis import Redis, RedisError

_log = logging.getLogger(__name__)

_AWAY_SECONDS = 30.0


class RedisCache:
    """Values under a prefix, each kept for ``lifetime_seconds`` after it was last written or read.

    A failure of Redis is a warning, and then Redis is left alone for half a minute, so that not every caller waits for
    it in vain.
    """

    def __init__(self, client: Redis, prefix: str, lifetime_seconds: int) -> None:
        self._client = client
        self._prefix = prefix
        self._lifetime = lifetime_seconds
        self._away_until = -_AWAY_SECONDS

    def get(self, key: str) -> bytes | None:
        """The value, or None where Redis has none or fails."""
        if self._is_away():
            return None
        try:
            value: Any = self._client.getex(self._prefix + key, ex=self._lifetime)
        except RedisError as error:
            self._failed(error)
            return None
        return None if value is None else bytes(value)

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; where Redis fails it is not kept."""
        if self._is_away():
            return
        try:
            self._client.set(self._prefix + key, value, ex=self._lifetime)
        except RedisError as error:
            self._failed(error)

    def _is_away(self) -> bool:
        return monotonic() < self._away_until

    def _failed(self, error: RedisError) -> None:
        _log.warning("Redis failed, this process goes on without it for %g seconds: %s", _AWAY_SECONDS, error)
        self._away_until = monotonic() + _AWAY_SECONDS
