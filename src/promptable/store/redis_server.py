"""The connection to the Redis that replicas share. Any server with the same protocol works, such as CVAT's Kvrocks."""

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
"""How long to wait for a connection, and for a reply, if only Redis has the value. A person waits for the answer."""

CACHE_REPLY_SECONDS = 0.3
"""The same limit for values that can be computed again. A reachable server sends a picture's features in less time."""


class RedisServer:
    """A Redis server with one circuit breaker for all its users. Threads may share it.

    ``connected`` makes a client that waits at most the given seconds for a connection, and for a reply.
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
        """The same server and circuit breaker, with a client that waits at most ``seconds``."""
        return RedisServer(self._connected, seconds, self._breaker)

    def call(self, command: Callable[[Redis], T]) -> T:
        """The result of the command.

        Raises ServerError if Redis fails. If Redis cannot be reached, all calls in the next ``PAUSE_SECONDS`` raise
        ServerError at once.
        """
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
    """The server at this address. A client connects at its first command, so an unreachable server is no error here.

    If the connection breaks, the command is tried once more: the connection may be an old one, from before the server
    restarted. A command without a reply in time is not tried again.
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
