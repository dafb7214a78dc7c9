"""Timing, what is being done meanwhile, and the table and JSON of a benchmark."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import machine

FOLDER = Path("out/bench")
_WIDTH = 52
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


@dataclass(frozen=True)
class Figure:
    """A measured number, and the ratio or share that the project promises of it."""

    what: str
    value: float
    unit: str


def timed(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median seconds of ``repeats`` calls, and the last result."""
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        result = call()
        seconds.append(perf_counter() - started)
    return median(seconds), result


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show on stderr that this is being measured, and for how long already."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(what, total=None)
        yield


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function of a module returns in a process of its own: no way's memory settings and caches help another."""
    name = f"{function.__module__.removeprefix('benchmarks.')} {function.__name__.strip('_')}"
    what = " ".join([name, *(str(each) for each in arguments if isinstance(each, str | int))])
    with step(what), ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_megabytes() -> float:
    """The most memory that this process has held; Linux's ``ru_maxrss`` would be its parent's, if that held more."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def report(name: str, rows: Iterable[Row]) -> None:
    """Print each row as soon as it is there, and write all of them to ``out/bench/<name>.json``."""
    print(f"\n{name}\n{'':{_WIDTH}}{'plain s':>11}{'ours s':>11}{'ratio':>10}", flush=True)
    entries = []
    for row in rows:
        agreement = "".join(f"  {what} {value:.6g}" for what, value in row.agreement.items())
        seconds = f"{row.plain_seconds:11.4f}{row.our_seconds:11.4f}{row.ratio:9.2f}x"
        print(f"{row.what:{_WIDTH}}{seconds}{agreement}", flush=True)
        entries.append(asdict(row) | {"ratio": row.ratio})
        save(name, entries)


def save(name: str, rows: Sequence[object]) -> None:
    """Write what was measured so far, and on what machine, to ``out/bench/<name>.json``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine.described(), "rows": rows}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def report_figures(name: str, figures: Sequence[Figure]) -> None:
    """Print the figures and write them to ``out/bench/<name>.json``."""
    width = max(len(figure.what) for figure in figures)
    print(f"\n{name}")
    for figure in figures:
        print(f"{figure.what:{width}}{figure.value:10.2f} {figure.unit}")
    save(name, [asdict(figure) for figure in figures])
