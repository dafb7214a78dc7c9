"""A cache in Redis, through which replicas share what they have computed. A replica computes missing values again."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis import Redis

from promptable.store.errors import ServerError
from promptable.store.redis_server import CACHE_REPLY_SECONDS, RedisServer

T = TypeVar("T")


class RedisCache:
    """Values whose keys begin with a prefix, each kept for ``lifetime_seconds`` after it was last written or read.

    If Redis fails, or does not reply within ``CACHE_REPLY_SECONDS``, a value counts as missing.
    """

    def __init__(self, server: RedisServer, prefix: str, lifetime_seconds: int) -> None:
        self._server = server.within(CACHE_REPLY_SECONDS)
        self._prefix = prefix
        self._lifetime = lifetime_seconds

    def get(self, key: str) -> bytes | None:
        """The value, or None if Redis has no value or fails."""
        value: Any = self._tried(lambda client: client.getex(self._prefix + key, ex=self._lifetime))
        return None if value is None else bytes(value)

    def first_of(self, keys: Sequence[str]) -> str | None:
        """The first of these keys that has a value, or None; asks Redis in one round trip."""
        there = self._tried(lambda client: self._exist(client, keys)) or []
        return next((key for key, exists in zip(keys, there, strict=False) if exists), None)

    def put(self, key: str, value: bytes) -> None:
        """Store a value; if Redis fails, it is not stored."""
        self._tried(lambda client: client.set(self._prefix + key, value, ex=self._lifetime))

    def add(self, key: str, value: bytes) -> None:
        """Store a value unless the key has one already; if Redis fails, it is not stored."""
        self._tried(lambda client: client.set(self._prefix + key, value, ex=self._lifetime, nx=True))

    def remove(self, key: str) -> None:
        """Delete a value; if Redis fails, it stays."""
        self._tried(lambda client: client.delete(self._prefix + key))

    def _exist(self, client: Redis, keys: Sequence[str]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(self._prefix + key)
        return pipeline.execute()

    def _tried(self, command: Callable[[Redis], T]) -> T | None:
        """The result of the command, or None if Redis fails."""
        try:
            return self._server.call(command)
        except ServerError:
            return None
