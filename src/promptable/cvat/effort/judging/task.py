"""Judging a task job by job."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from promptable.cvat.effort.judging.frames import JobNow, JudgedFrame, judged_frame, judged_masks
from promptable.cvat.effort.judging.tracks import JudgedTrack, Propagated, judged_tracks
from promptable.cvat.effort.judging.written import WrittenByRuns
from promptable.cvat.effort.reviewed import Reviewed, reviewed_frames
from promptable.cvat.labels.task_labels import TaskLabels, task_labels
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.server.annotations import KINDS, JobAnnotations
from promptable.cvat.server.frames import Frames


@dataclass
class NotJudged:
    """What runs wrote and cannot be judged.

    ``objects`` counts, by label, what is on the ``frames`` that are not reviewed. ``lost_labels`` counts what was
    deleted with labels that the task no longer has. ``taken_back`` are the ids of runs that were taken back, by task.
    """

    frames: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    lost_labels: Counter[str] = field(default_factory=Counter)
    taken_back: dict[int, list[int]] = field(default_factory=dict)


class TaskJudge:
    """Judges what runs wrote into a task; ``not_judged`` counts what cannot be judged."""

    def __init__(
        self, client: Any, frames: Frames, reader: TrackReader, reviewed: Reviewed, not_judged: NotJudged
    ) -> None:
        """``client`` is cvat-sdk's. Raises CvatError."""
        self.client, self.frames, self.reader, self.not_judged = client, frames, reader, not_judged
        self.written = WrittenByRuns(reader)
        if self.written.undone:
            not_judged.taken_back[int(frames.task.id)] = self.written.undone
        asked = [label for run in self.written.runs for label in run.model.get("labels", ())]
        self.labels: TaskLabels = task_labels(client, frames.task.id, asked)
        self._reviewed = reviewed

    @property
    def count(self) -> int:
        """How many frames of jobs there are to judge, reviewed or not; not counting masks of ``propagate``."""
        return self.written.count

    def jobs(self) -> Iterator["JobJudge"]:
        """The judges of the jobs, without those of the ground truth. Raises CvatError."""
        for job in self.frames.jobs:
            yield JobJudge(self, job.id, reviewed_frames(self.frames, job, self._reviewed))


class JobJudge:
    """Judges a job on the frames ``looked_at``, which people have reviewed."""

    def __init__(self, task: TaskJudge, job: int, looked_at: set[int]) -> None:
        self._task = task
        self._job = job
        self._looked_at = looked_at
        self._propagated = Propagated(task.reader.written_to(job))

    def frames(self) -> Iterator[JudgedFrame]:
        """The verdicts on the reviewed frames on which runs wrote shapes and tags. Raises CvatError."""
        for frame, asked in self._task.written.of_job(self._job):
            if self._is_reviewed(frame, [one.label for one in asked.written]):
                lost = (one.label for one in asked.written if one.payload["label_id"] not in self._names)
                self._task.not_judged.lost_labels.update(lost)
                yield judged_frame(self._now, frame, asked)
        for frame, masks in self._propagated.masks(self._names).items():
            if self._is_reviewed(frame, [one.label for one in masks]):
                yield judged_masks(self._now, frame, masks)

    def tracks(self) -> Iterator[JudgedTrack]:
        """The verdicts on the tracks that runs wrote, over the reviewed frames. Raises CvatError."""
        if self._propagated.tracks() and self._looked_at:
            yield from judged_tracks(self._now, self._propagated, self._looked_at)

    def _is_reviewed(self, frame: int, labels: list[str]) -> bool:
        """Whether a frame was reviewed. If not, what runs wrote there, of these labels, counts as not judged."""
        if frame in self._looked_at:
            return True
        self._task.not_judged.frames += 1
        self._task.not_judged.objects.update(labels)
        return False

    @cached_property
    def _names(self) -> Mapping[int, str]:
        return {number: label.name for number, label in self._task.labels.by_id.items()}

    @cached_property
    def _now(self) -> JobNow:
        known = {kind: self._task.reader.known_ids(self._job, kind) | self._propagated.ids(kind) for kind in KINDS}
        held = JobAnnotations(self._task.client, self._job).read()
        seam = {number for number, jobs in self._task.frames.seams.items() if jobs[-1] == self._job}
        return JobNow(self._task.frames.task.id, self._job, held, self._task.labels, known, seam)
