"""What a benchmark is made of: measurements, the rows that they give, and how things are timed."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from benchmarks import machine, screen

FOLDER = Path("out/bench")
_ENOUGH_SECONDS = 10.0
A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A line of a benchmark's table: figures by names that end with their unit.

    ``ratio``: how many times as fast ours is, where the plain way was measured beside it.
    """

    what: str
    figures: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None


@dataclass(frozen=True)
class Measurement:
    """Rows that are measured together, in the order in which they are there, and how many they are."""

    what: str
    measure: Callable[[], Iterable[Row]]
    rows: int = 1


def beside(what: str, plain_seconds: float, our_seconds: float, figures: Mapping[str, float] | None = None) -> Row:
    """The plain way and ours, and what else there is to say, above all how far the answers agree."""
    seconds = {"plain s": plain_seconds, "ours s": our_seconds}
    return Row(what, seconds | dict(figures or {}), plain_seconds / our_seconds)


def timed(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median seconds of ``repeats`` calls, of fewer if they are slow, and the last result."""
    seconds, results = timed_each(lambda _: call(), range(repeats))
    return median(seconds), results[-1]


def timed_each(call: Callable[[A], T], requests: Iterable[A]) -> tuple[list[float], list[T]]:
    """Seconds of a call for each of these, and the results; of the first ones only, if they are slow."""
    seconds: list[float] = []
    results: list[T] = []
    for request in requests:
        if _is_enough(seconds):
            break
        started = perf_counter()
        results.append(call(request))
        seconds.append(perf_counter() - started)
    return seconds, results


def _is_enough(seconds: Sequence[float]) -> bool:
    """Whether these calls took long enough: slow calls vary little, so that few of them tell the median."""
    return sum(seconds) > _ENOUGH_SECONDS


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function of a module returns in a process of its own: no way's memory settings and caches help another."""
    name = f"{function.__module__.removeprefix('benchmarks.')} {function.__name__.strip('_')}"
    what = " ".join([name, *(str(each) for each in arguments if isinstance(each, str | int))])
    with screen.step(what.replace("_", " ")), fresh_process() as process, ended_if_left():
        return process.submit(function, *arguments).result()


def fresh_process() -> ProcessPoolExecutor:
    """A process that shares nothing with this one."""
    return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))


@contextmanager
def ended_if_left() -> Iterator[None]:
    """End the processes that this one has started if Ctrl-C ends the block: nobody waits for them any more."""
    try:
        yield
    except KeyboardInterrupt:
        for process in active_children():
            process.terminate()
        raise


def peak_megabytes() -> float:
    """The most memory that this process has held; Linux's ``ru_maxrss`` would be its parent's, if that held more."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def save(name: str, rows: Sequence[object]) -> None:
    """Write what was measured so far, and on what machine, to ``out/bench/<name>.json``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine.described(), "rows": rows}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
