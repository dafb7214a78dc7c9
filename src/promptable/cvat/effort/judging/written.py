"""What automatic runs wrote into a job, as far as it can be judged, and what the job showed before."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from promptable.cvat.annotate.options import COMMAND
from promptable.cvat.journal import Found, JournalReader, SentUpload

_JUDGED_STATES = ("stored", "lost")
"""What runs took away again themselves says nothing about people."""


@dataclass(frozen=True)
class Written:
    """A shape or tag as a run sent it: ``payload`` is CVAT's, ``label`` its name then, ``score`` None if unknown.

    ``server_id`` is None where people took it away before it was known.
    """

    frame: int
    kind: str
    label: str
    payload: Mapping[str, Any]
    server_id: int | None
    score: float | None = None


@dataclass(frozen=True)
class Asked:
    """A frame of a job that runs asked about: by the last of them ``run``, which found ``found`` there.

    ``before`` are the highest ids of shapes and tags that the job had when the first of them wrote.
    """

    run: int
    found: Sequence[Found]
    written: Sequence[Written]
    before: Mapping[str, int]


class WrittenByRuns:
    """What the runs of ``annotate`` wrote into a task; a run that was taken back counts for nothing."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        runs = reader.runs()
        self.runs = [run for run in runs if run.command == COMMAND and run.state != "undone"]
        self.undone = [run.id for run in runs if run.command == COMMAND and run.state == "undone"]
        self._asked = self._places()

    def _places(self) -> dict[int, dict[int, list[int]]]:
        """By job and frame, the runs that looked there, in order."""
        places: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for run in self.runs:
            answered = set(self._reader.frames(run.id, "asked"))
            for job, frame in self._reader.places(run.id, "sent"):
                if frame in answered:
                    places[job][frame].append(run.id)
        return places

    @property
    def count(self) -> int:
        """How many frames of jobs runs have asked about."""
        return sum(map(len, self._asked.values()))

    def of_job(self, job: int) -> Iterator[tuple[int, Asked]]:
        """The frames of a job that runs asked about, in order; those that failed are not among them."""
        runs = {run.id for run in self.runs}
        uploads: dict[int, list[SentUpload]] = defaultdict(list)
        for state in _JUDGED_STATES:
            for one in self._reader.uploads(job=job, state=state):
                if one.run in runs and one.detection is not None:
                    uploads[one.frame].append(one)
        before = {run: self._reader.highest_before(run, job) for run in runs}
        for frame, asking in sorted(self._asked.get(job, {}).items()):
            found = {run: list(self._reader.detections(run, frame)) for run in asking}
            by_id = {one.id: one for of_run in found.values() for one in of_run}
            written = [_written(one, by_id[one.detection]) for one in uploads[frame] if one.detection in by_id]
            yield frame, Asked(asking[-1], found[asking[-1]], written, before[asking[0]][frame])


def known_score(score: float | None) -> float | None:
    """A confidence, None for what is none: SQLite keeps NaN as NULL."""
    return score if score is not None and isfinite(score) else None


def _written(upload: SentUpload, found: Found) -> Written:
    score = known_score(found.detection.score)
    return Written(upload.frame, upload.kind, found.detection.label, upload.payload, upload.server_id, score)
