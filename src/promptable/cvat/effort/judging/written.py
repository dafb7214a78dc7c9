"""What runs of ``annotate`` wrote into a job, frame by frame."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import isfinite
from typing import Any

from promptable.cvat.annotate.options import COMMAND
from promptable.cvat.journal import Found, JournalReader, SentUpload

_JUDGED_STATES = ("stored", "lost")
"""The states of uploads that can be judged; those that runs removed again say nothing about people."""


@dataclass(frozen=True)
class Written:
    """A shape or tag (``kind``) as a run sent it (``payload``), with the name of its ``label`` at that time.

    ``score`` is None if it is unknown. ``server_id`` is None if people deleted it before the id was known.
    """

    frame: int
    kind: str
    label: str
    payload: Mapping[str, Any]
    server_id: int | None
    score: float | None = None


@dataclass(frozen=True)
class Asked:
    """What runs found and wrote on a frame of a job.

    ``run`` is the last run that asked about the frame, and ``found`` what it found; ``written`` is what all runs wrote.
    ``before`` are the highest ids of shapes and tags in the job before the first of these runs wrote. ``looked_for``
    are the names of the labels that they were to find there.
    """

    run: int
    found: Sequence[Found]
    written: Sequence[Written]
    before: Mapping[str, int]
    looked_for: Set[str]


class WrittenByRuns:
    """What runs of ``annotate`` wrote into a task, without runs that were taken back (``undone``)."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        runs = reader.runs()
        self.runs = [run for run in runs if run.command == COMMAND and run.state != "undone"]
        self.undone = [run.id for run in runs if run.command == COMMAND and run.state == "undone"]
        self._asked = self._places()

    def _places(self) -> dict[int, dict[int, list[int]]]:
        """The runs that wrote on a frame of a job, in order, by job and frame."""
        places: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for run in self.runs:
            answered = set(self._reader.frames(run.id, "asked"))
            for job, frame in self._reader.places(run.id, "sent"):
                if frame in answered:
                    places[job][frame].append(run.id)
        return places

    @property
    def count(self) -> int:
        """How many frames there are, in all jobs, about which runs have asked."""
        return sum(map(len, self._asked.values()))

    def of_job(self, job: int) -> Iterator[tuple[int, Asked]]:
        """The frames of a job about which runs have asked, in order, without those on which the function failed."""
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
            # some functions do not say what they look for
            looked_for = self._looked_for(asking) | {one.detection.label for one in by_id.values()}
            yield frame, Asked(asking[-1], found[asking[-1]], written, before[asking[0]][frame], looked_for)

    def _looked_for(self, asking: Sequence[int]) -> set[str]:
        """The names of the labels that these runs were to find."""
        labels = (label for run in self.runs if run.id in asking for label in run.model.get("labels", ()))
        return {str(label["name"]) for label in labels}


def known_score(score: float | None) -> float | None:
    """The score if it is a finite number, otherwise None."""
    return score if score is not None and isfinite(score) else None


def _written(upload: SentUpload, found: Found) -> Written:
    score = known_score(found.detection.score)
    return Written(upload.frame, upload.kind, found.detection.label, upload.payload, upload.server_id, score)
