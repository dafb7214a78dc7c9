"""The frames that people should look at first."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

_KEPT_FOR_EACH = 40
"""Candidates for each frame of the budget: some lie close to one another, some have been dealt with."""
_MORE = 10
"""Times as many, where too few remain."""


@dataclass(frozen=True)
class Doubt:
    """Something on a frame that may be wrong: ``what`` is said of it, of which ``label``.

    ``sure`` is in [0, 1]: 0 is as good as a guess, 1 is hardly worth a look. ``box`` x1, y1, x2, y2 in picture pixels,
    None for the whole picture. ``detection`` is the journal's number of what a run found, if it is about one, and
    ``is_missing`` whether that was not uploaded.
    """

    label: str
    what: str
    sure: float
    box: Sequence[float] | None = None
    detection: int | None = None
    is_missing: bool = False


@dataclass(frozen=True)
class QueuedFrame:
    """A frame of a job with what is doubtful there, the least sure first."""

    task: int
    job: int
    frame: int
    doubts: Sequence[Doubt]

    @property
    def sure(self) -> float:
        return self.doubts[0].sure

    @property
    def labels(self) -> list[str]:
        return sorted({doubt.label for doubt in self.doubts})


@dataclass(frozen=True)
class Queue:
    """The ``frames`` to look at, the least sure first, out of ``doubtful`` frames.

    Of the others ``near`` lie close to one of them, and ``settled`` have been dealt with.
    """

    frames: Sequence[QueuedFrame]
    doubtful: int
    near: int = 0
    settled: int = 0

    @property
    def surer(self) -> int:
        """How many are left for another day."""
        return self.doubtful - len(self.frames) - self.near - self.settled


def choose(
    candidates: Iterable[QueuedFrame],
    budget: int,
    apart: int = 0,
    still: Callable[[QueuedFrame], QueuedFrame | None] = lambda one: one,
) -> Queue:
    """At most ``budget`` frames, the least sure first, no two of a task within ``apart`` frames of one another.

    ``still`` gives what people have not dealt with yet of a frame, None where nothing is left.
    """
    chosen: list[QueuedFrame] = []
    near, settled, doubtful = 0, 0, 0
    for one in sorted(candidates, key=_place):
        doubtful += 1
        if apart and any(one.task == other.task and abs(one.frame - other.frame) < apart for other in chosen):
            near += 1
        elif len(chosen) == budget:
            continue
        elif (left := still(one)) is not None:
            chosen.append(left)
        else:
            settled += 1
    return Queue(sorted(chosen, key=_place), doubtful, near, settled)


def choose_from(
    read: Callable[[], Iterable[QueuedFrame]], budget: int, chosen: Callable[[list[QueuedFrame]], Queue]
) -> Queue:
    """What is ``chosen`` from the least sure of the frames that ``read`` gives.

    If that is less than the budget they are read again and more of them are kept: memory does not grow with their
    number.
    """
    most = _KEPT_FOR_EACH * budget
    while True:
        candidates, doubtful = least_sure(read(), most)
        queue = chosen(candidates)
        if len(queue.frames) >= budget or doubtful <= most:
            return replace(queue, doubtful=max(doubtful, queue.doubtful))
        most *= _MORE


def _place(one: QueuedFrame) -> tuple[float, int, int, int]:
    return one.sure, one.task, one.frame, one.job


def spacing(frames: int, budget: int) -> int:
    """How far apart chosen frames are at least: half of what as many frames as the budget, evenly spread, would be."""
    return frames // (2 * budget)


def least_sure(candidates: Iterable[QueuedFrame], most: int) -> tuple[list[QueuedFrame], int]:
    """So many of any number of frames, and how many there were: memory does not grow with them."""
    count = 0

    def counted() -> Iterable[QueuedFrame]:
        nonlocal count
        for one in candidates:
            count += 1
            yield one

    kept = heapq.nsmallest(most, counted(), key=lambda one: (one.sure, one.frame))
    return kept, count
