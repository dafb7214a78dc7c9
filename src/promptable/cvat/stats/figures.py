"""The figures in a report of ``stats``, and their JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.server.editor import job_link
from promptable.cvat.stats.faults import RULES, Fault, Faults

VERSION = 1
"""The version of the JSON: raised when a key changes its meaning or is removed."""
SIZED = np.dtype([("id", "i8"), ("frame", "i4"), ("is_track", "?"), ("width", "f4"), ("height", "f4"), ("area", "f4")])
"""An object on a frame: CVAT's id, and sizes in pixels; ``area`` is NaN for lines, points and skeletons."""


@dataclass
class LabelFigures:
    """How many annotations a label has, and on how many ``frames``.

    ``sizes`` are arrays of ``SIZED`` by (task, job), with a row for every object on every frame.
    """

    name: str
    type: str
    shapes: int = 0
    tracks: int = 0
    tags: int = 0
    frames: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    sizes: dict[tuple[int, int], NDArray[np.void]] = field(default_factory=dict)

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of ``SIZED`` for all objects, or ``aspect`` (width / height), or ``side`` (root of width x height).

        Values that are not finite, or not above 0, are left out.
        """
        numbers: NDArray[np.float64] = np.concatenate(
            [np.zeros(0), *(_column(rows, name) for rows in self.sizes.values())]
        )
        return np.asarray(numbers[np.isfinite(numbers) & (numbers > 0)])

    @property
    def objects(self) -> int:
        """The number of objects in an export: a shape counts once, a track once for every frame that shows it."""
        return sum(len(rows) for rows in self.sizes.values())

    @property
    def is_used(self) -> bool:
        return bool(self.shapes or self.tracks or self.tags)

    def as_json(self) -> dict[str, Any]:
        counted = {
            name: getattr(self, name) for name in ("name", "type", "shapes", "tracks", "tags", "objects", "frames")
        }
        sizes = {name: spread(self.column(name)) for name in ("width", "height", "area", "aspect")}
        return counted | {"sources": dict(sorted(self.sources.items()))} | sizes


def _column(rows: NDArray[np.void], name: str) -> NDArray[np.float64]:
    width, height = rows["width"].astype(np.float64), rows["height"].astype(np.float64)
    if name == "side":
        return np.asarray(np.sqrt(width * height))
    if name == "aspect":
        return np.asarray(np.divide(width, height, out=np.zeros_like(width), where=height > 0))
    return np.asarray(rows[name], np.float64)


def spread(numbers: NDArray[np.float64]) -> dict[str, float] | None:
    """The minimum, median and maximum; None for no numbers."""
    if not len(numbers):
        return None
    return {
        name: round(float(of(numbers)), 2) for name, of in (("min", np.min), ("median", np.median), ("max", np.max))
    }


@dataclass(frozen=True)
class JobFigures:
    """The figures of one job. ``frames`` counts those that no earlier job of the task shows.

    ``updated`` is when CVAT says that the job was last changed, in ISO 8601.
    """

    task: int
    job: int
    stage: str
    state: str
    updated: str
    assignee: str | None
    frames: int
    annotated_frames: int
    shapes: int
    tracks: int
    tags: int
    objects: int
    sources: Mapping[str, int]


@dataclass
class Figures:
    """The figures of a report.

    ``per_frame`` is how many frames have so many objects; ``left_out`` says in sentences what was not read.
    """

    labels: dict[str, LabelFigures] = field(default_factory=dict)
    jobs: list[JobFigures] = field(default_factory=list)
    per_frame: Counter[int] = field(default_factory=Counter)
    faults: Faults = field(default_factory=Faults)
    left_out: list[str] = field(default_factory=list)

    @property
    def used(self) -> list[LabelFigures]:
        """The labels that annotations have."""
        return [label for label in self.labels.values() if label.is_used]

    @property
    def unused(self) -> list[str]:
        """The names of the labels that no annotation has."""
        return [label.name for label in self.labels.values() if not label.is_used]

    def totals(self) -> dict[str, int]:
        summed = ("frames", "annotated_frames", "shapes", "tracks", "tags", "objects")
        counted = {"tasks": len({job.task for job in self.jobs}), "jobs": len(self.jobs)}
        return counted | {name: sum(getattr(job, name) for job in self.jobs) for name in summed}

    def annotators(self) -> list[dict[str, Any]]:
        """The figures of each annotator's jobs, those that are assigned to them now; None for unassigned jobs.

        CVAT does not know who drew a shape.
        """
        return [
            _of_annotator(name, [job for job in self.jobs if job.assignee == name], self.faults)
            for name in sorted({job.assignee for job in self.jobs}, key=lambda name: (name is None, name))
        ]

    def as_json(self, host: str, *, by_annotator: bool) -> dict[str, Any]:
        """The report as JSON; ``host`` is CVAT's address, for links."""
        figures = {
            "version": VERSION,
            "totals": self.totals(),
            "labels": [label.as_json() for label in self.labels.values()],
            "objects_per_frame": {str(count): frames for count, frames in sorted(self.per_frame.items())},
            "jobs": [_of_job(job, self.faults, by_annotator=by_annotator) for job in self.jobs],
            "faults": {
                "rules": {str(kind): rule for kind, rule in RULES.items()},
                "counts": self.faults.as_json(),
                "listed": [vars(fault) | {"url": link(host, fault)} for fault in self.faults],
            },
            "left_out": self.left_out,
        }
        return figures | ({"annotators": self.annotators()} if by_annotator else {})


def link(host: str, fault: Fault) -> str:
    """The address of a fault's frame in CVAT's editor."""
    return job_link(host, fault.task, fault.job, fault.frame)


def _of_job(job: JobFigures, faults: Faults, *, by_annotator: bool) -> dict[str, Any]:
    shown = {name: value for name, value in vars(job).items() if by_annotator or name != "assignee"}
    return shown | {"faults": faults.of_jobs([job.job])}


def _of_annotator(name: str | None, jobs: Sequence[JobFigures], faults: Faults) -> dict[str, Any]:
    summed = {key: sum(getattr(job, key) for job in jobs) for key in ("frames", "annotated_frames", "objects")}
    sources = sum((Counter(job.sources) for job in jobs), Counter[str]())
    own = faults.of_jobs([job.job for job in jobs])
    return {"annotator": name, "jobs": len(jobs), **summed, "sources": dict(sorted(sources.items())), "faults": own}
