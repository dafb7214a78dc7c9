"""Timing, and the table and JSON that a benchmark ends with."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

FOLDER = Path("out/bench")
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One comparison: median seconds of the plain way and of ours, and how well the answers agree (1 is equal)."""

    what: str
    plain_seconds: float
    our_seconds: float
    mask_iou: float

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


def report(name: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table and write them to ``out/bench/<name>.json``."""
    print(f"\n{name}\n{'':32}{'plain s':>10}{'ours s':>10}{'ratio':>9}{'mask IoU':>10}")
    for row in rows:
        print(f"{row.what:32}{row.plain_seconds:10.3f}{row.our_seconds:10.3f}{row.ratio:8.1f}x{row.mask_iou:10.4f}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    entries = [asdict(row) | {"ratio": row.ratio} for row in rows]
    (FOLDER / f"{name}.json").write_text(json.dumps(entries, indent=2) + "\n")
