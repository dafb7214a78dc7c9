"""A pause after a failure, so that not every caller waits in vain for a server that is away."""

from time import monotonic

import redis

PAUSE_SECONDS = 30.0


class CircuitBreaker:
    """Open for half a minute after it was tripped: the server is away, so leave it alone. Threads may share it."""

    def __init__(self) -> None:
        self._closes_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the server is to be left alone."""
        return monotonic() < self._closes_at

    def trip(self) -> None:
        """Leave the server alone from now on, for ``PAUSE_SECONDS``."""
        self._closes_at = monotonic() + PAUSE_SECONDS


def means_away(error: redis.RedisError) -> bool:
    """Whether Redis cannot be reached, is too slow or refuses the password; any other error concerns one command."""
    return isinstance(error, redis.ConnectionError | redis.TimeoutError)  # a refused password is a ConnectionError
