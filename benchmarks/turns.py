"""Several ways to the same answer, called in turn: whatever else slows the machine down meets all of them alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Generic, TypeAlias, TypeVar

from benchmarks import screen
from benchmarks.measure import Row, ended_if_left, fresh_process, peak_megabytes

_ENOUGH_SECONDS = 60.0
A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """What a call took and returned, and the most memory that its process has held so far."""

    seconds: float
    result: T
    peak_megabytes: float


Way: TypeAlias = Callable[[], Callable[[A], T]]
"""Loads what it needs, and returns what is timed."""
Rounds: TypeAlias = Mapping[str, Sequence[Timed[T]]]
"""By the names of the ways; calls in the same place were made one right after the other."""


@dataclass(frozen=True)
class Turns(Generic[A, T]):
    """Ways that are set up, each in a process of its own."""

    processes: Mapping[str, Executor]

    def __call__(self, requests: Iterable[A], at_least: int = 1) -> Rounds[T]:
        """Call all ways with one request after the other; where they are slow, with the first ``at_least`` only."""
        rounds: dict[str, list[Timed[T]]] = {name: [] for name in self.processes}
        started = perf_counter()
        for number, request in enumerate(requests):
            if number >= at_least and perf_counter() - started > _ENOUGH_SECONDS:
                break
            for name, process in self.processes.items():
                with screen.step(name):
                    rounds[name].append(process.submit(_timed, request).result())
        return rounds


@contextmanager
def in_turn(ways: Mapping[str, Way[A, T]]) -> Iterator[Turns[A, T]]:
    """Set up these ways at the same time; their processes end with the block."""
    with ExitStack() as stack:
        processes = {name: stack.enter_context(fresh_process()) for name in ways}
        stack.enter_context(ended_if_left())
        with screen.step("setting up"):
            for ready in [processes[name].submit(_set_up, way) for name, way in ways.items()]:
                ready.result()
        yield Turns(processes)


_calls: list[Callable[[Any], Any]] = []


def _set_up(way: Way[Any, Any]) -> None:
    _calls.append(way())


def _timed(request: object) -> Timed[Any]:
    started = perf_counter()
    result = _calls[-1](request)
    return Timed(perf_counter() - started, result, peak_megabytes())


def median_seconds(calls: Sequence[Timed[Any]]) -> float:
    """Of these calls."""
    return median(call.seconds for call in calls)


def ratio(plain: Sequence[Timed[Any]], ours: Sequence[Timed[Any]]) -> float:
    """How many times as fast ours is: the median of what each round says."""
    return median(one.seconds / other.seconds for one, other in zip(plain, ours, strict=True))


def paired(
    what: str, plain: Sequence[Timed[Any]], ours: Sequence[Timed[Any]], figures: Mapping[str, float] | None = None
) -> Row:
    """The plain way and ours, and what else there is to say, above all how far the answers agree."""
    medians = {"plain s": median_seconds(plain), "ours s": median_seconds(ours), "pairs": len(ours)}
    return Row(what, medians | dict(figures or {}), ratio(plain, ours))
