"""How one function's deployment ended, and its line in the table."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rollout.smoke import Timing

COLUMNS = ("function", "model", "device", "port", "Redis", "ready", "first ms", "second ms")


@dataclass(frozen=True)
class Outcome:
    """How it ended: with the version that was asked for, or with a failure."""

    runs: Rendered | None
    """What runs now; None if nothing does."""
    how: str
    """The end in a word, for the table: seconds, ``unchanged``, ``restored``, ``removed``, ``down``, ``unrecorded``, or
    ``replaced`` and ``gone`` where somebody else did that, ``unknown`` where Nuclio does not answer."""
    failure: str = ""
    """What went wrong, naming the function; empty if the version that was asked for runs and is remembered."""
    remedy: str = ""
    """Where to look, or what to do, about the failure."""
    timing: Timing | None = None

    def row(self, function: str, redis_said: str) -> Sequence[str]:
        """A line of ``COLUMNS``. ``redis_said`` is what the Redis that was asked for said.

        Where that is empty, or what runs is another version, the line has the host of the Redis that it uses.
        """
        times = (f"{self.timing.first:.0f}", f"{self.timing.second:.0f}") if self.timing else ("-", "-")
        runs = self.runs
        if runs is None:
            return function, "-", "-", "-", "-", self.how, *times
        redis = runs.redis_host or "-"
        if redis_said and runs.redis_host and not self.failure:
            redis = redis_said
        return function, next(iter(runs.models), "-"), runs.device, str(runs.port or "-"), redis, self.how, *times
