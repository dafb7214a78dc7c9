"""Faults: what looks wrong in a task, and the rules by which it is found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any


class Kind(StrEnum):
    """The kinds of faults. A fault is a reason to look, not a proof."""

    EMPTY = "empty"
    TINY = "tiny"
    DOUBLES = "doubles"
    OUTSIDE = "outside"
    OUTLIERS = "outliers"
    JUMPS = "jumps"
    OPEN = "open"
    BROKEN = "broken"


TINY_SIDE = 4.0
"""Pixels: a box with a shorter side is tiny."""
DOUBLE_IOU = 0.9
"""Two objects of one label on a frame with a greater IoU are doubles."""
BEYOND = 1.0
"""Pixels that a shape may reach beyond the picture: a video of odd size is one pixel larger than CVAT says."""
JUMP_IOU = 0.3
"""A track jumps if its boxes on consecutive frames have a smaller IoU; ``propagate`` has the same limit."""

RULES: Mapping[Kind, str] = {
    Kind.EMPTY: "frames without a shape, a track or a tag (those that mark frames do not count)",
    Kind.TINY: f"a side of the box is below {TINY_SIDE:g} pixels",
    Kind.DOUBLES: f"two of one label on a frame with an IoU above {DOUBLE_IOU}",
    Kind.OUTSIDE: "reaches more than a pixel beyond the picture",
    Kind.OUTLIERS: "far larger or smaller than the others of its label: 3.5 robust deviations of log area, and 4 times",
    Kind.JUMPS: f"boxes of a track on neighbouring frames overlap by less than {JUMP_IOU}",
    Kind.OPEN: "a track that nothing closes: its last box stands still to the end of the job",
    Kind.BROKEN: "points that make no shape",
}


@dataclass(frozen=True)
class Fault:
    """One fault. ``object`` is CVAT's id of the shape or track, None for a frame; ``detail`` is for people."""

    kind: Kind
    task: int
    job: int
    frame: int
    label: str | None = None
    object: int | None = None
    detail: str = ""


class Faults:
    """The number of faults of each kind, and the first of each kind, to be shown."""

    def __init__(self, most: int = 1000) -> None:
        """``most`` faults of each kind are kept."""
        self.counts: Counter[Kind] = Counter()
        self._by_job: Counter[int] = Counter()
        self._kept: list[Fault] = []
        self._most = most

    def add(self, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        self._by_job[fault.job] += 1
        if self.counts[fault.kind] <= self._most:
            self._kept.append(fault)

    def __iter__(self) -> Iterator[Fault]:
        """The faults that were kept, sorted by kind, task, frame and job."""
        order = list(Kind)
        place = attrgetter("task", "frame", "job")
        return iter(sorted(self._kept, key=lambda one: (order.index(one.kind), *place(one), one.object or 0)))

    def of_jobs(self, jobs: Iterable[int]) -> int:
        """The number of faults in these jobs."""
        return sum(self._by_job[job] for job in jobs)

    def as_json(self) -> dict[str, Any]:
        """The number of faults of every kind."""
        return {str(kind): self.counts[kind] for kind in Kind}
