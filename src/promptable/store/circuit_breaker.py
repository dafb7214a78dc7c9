"""A pause after a failure, so that callers do not each wait in vain for a server that cannot be reached."""

from time import monotonic

import redis

PAUSE_SECONDS = 30.0


class CircuitBreaker:
    """Open for ``PAUSE_SECONDS`` after ``trip``: the server cannot be reached, do not call it. Threads may share it."""

    def __init__(self) -> None:
        self._closes_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether callers should not call the server now."""
        return monotonic() < self._closes_at

    def trip(self) -> None:
        """Open the breaker from now on, for ``PAUSE_SECONDS``."""
        self._closes_at = monotonic() + PAUSE_SECONDS


def means_away(error: redis.RedisError) -> bool:
    """Whether Redis cannot be reached, is too slow or refuses the password; any other error concerns one command."""
    return isinstance(error, redis.ConnectionError | redis.TimeoutError)  # a refused password is a ConnectionError
