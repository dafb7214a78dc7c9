"""The Redis that replicas share; any server of its protocol will do (CVAT's own is Kvrocks)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from promptable.store.circuit_breaker import PAUSE_SECONDS, CircuitBreaker, means_away
from promptable.store.errors import ServerError

_log = logging.getLogger(__name__)

T = TypeVar("T")

# Someone waits for the answer, and every caller can do without Redis.
_CONNECT_SECONDS = 1.0
_REPLY_SECONDS = 3.0


class RedisServer:
    """A client with the one circuit breaker that all its users share, safe to share among threads."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._breaker = CircuitBreaker()

    def call(self, command: Callable[[Redis], T]) -> T:
        """What the command returns. Raises ServerError, and then leaves a server that is away alone for a while."""
        if self._breaker.is_open:
            raise ServerError("Redis has failed a moment ago")
        try:
            return command(self.client)
        except RedisError as error:
            self._failed(error)
            raise ServerError(str(error)) from error

    def _failed(self, error: RedisError) -> None:
        if means_away(error):
            self._breaker.trip()
            _log.warning("Redis failed, this process goes on without it for %g seconds: %s", PAUSE_SECONDS, error)
        else:
            _log.warning("Redis refused a command, this process goes on without its answer: %s", error)


def connect(host: str, port: int, password: str = "", tls: bool = False, ca_file: Path | None = None) -> RedisServer:
    """That server. The client connects at the first command, which may fail.

    A command is tried once more before it fails, since the connection may be an old one to a server that has restarted.
    """
    client = Redis(
        host=host,
        port=port,
        password=password or None,
        ssl=tls,
        ssl_ca_certs=None if ca_file is None else str(ca_file),
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_REPLY_SECONDS,
        retry=Retry(NoBackoff(), retries=1),
        protocol=2,
    )
    return RedisServer(client)
