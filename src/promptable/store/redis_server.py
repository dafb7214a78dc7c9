"""The Redis that replicas share; any server of its protocol will do (CVAT's own is Kvrocks)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import redis
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from promptable.store.circuit_breaker import PAUSE_SECONDS, CircuitBreaker, means_away
from promptable.store.errors import ServerError

_log = logging.getLogger(__name__)

T = TypeVar("T")

REPLY_SECONDS = 1.0
"""How long to wait for a connection, and for a reply, where nobody else can tell: someone waits for the answer."""

CACHE_REPLY_SECONDS = 0.3
"""The same for what can be made again: longer than a server in reach takes to hand over a picture's features."""


class RedisServer:
    """A server with the one circuit breaker that all its users share, safe to share among threads.

    ``connected`` gives a client that waits so many seconds for a connection, and for a reply.
    """

    def __init__(
        self,
        connected: Callable[[float], Redis],
        seconds: float = REPLY_SECONDS,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.client = connected(seconds)
        self._connected = connected
        self._breaker = breaker or CircuitBreaker()

    def within(self, seconds: float) -> "RedisServer":
        """The same server, for users who would rather go without it than wait longer."""
        return RedisServer(self._connected, seconds, self._breaker)

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
    """That server. A client connects at its first command, which may fail.

    A command is tried once more where the connection broke, since it may be an old one to a server that has restarted;
    never where the server did not reply in time.
    """

    def connected(seconds: float) -> Redis:
        return Redis(
            host=host,
            port=port,
            password=password or None,
            ssl=tls,
            ssl_ca_certs=None if ca_file is None else str(ca_file),
            socket_connect_timeout=seconds,
            socket_timeout=seconds,
            retry=Retry(NoBackoff(), retries=1, supported_errors=(redis.ConnectionError,)),
            protocol=2,
        )

    return RedisServer(connected)
