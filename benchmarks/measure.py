"""Timing, and the table and JSON that a benchmark ends with."""

import json
import resource
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

FOLDER = Path("out/bench")
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of the plain way and of ours, and how far the answers agree, measure by measure."""

    what: str
    plain_seconds: float
    our_seconds: float
    agreement: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.plain_seconds / self.our_seconds


def timed(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median seconds of ``repeats`` calls, and the last result."""
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        result = call()
        seconds.append(perf_counter() - started)
    return median(seconds), result


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function of a module returns in a process of its own: no way's memory settings and caches help another."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(name: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table and write them to ``out/bench/<name>.json``."""
    width = max(len(row.what) for row in rows)
    print(f"\n{name}\n{'':{width}}{'plain s':>11}{'ours s':>11}{'ratio':>10}")
    for row in rows:
        agreement = "".join(f"  {what} {value:.6g}" for what, value in row.agreement.items())
        print(f"{row.what:{width}}{row.plain_seconds:11.4f}{row.our_seconds:11.4f}{row.ratio:9.2f}x{agreement}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    entries = [asdict(row) | {"ratio": row.ratio} for row in rows]
    (FOLDER / f"{name}.json").write_text(json.dumps(entries, indent=2) + "\n")
