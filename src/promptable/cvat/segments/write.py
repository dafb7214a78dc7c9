"""Writing segments into CVAT as tags: missing ones are added, and tags of automatic runs outside of them deleted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptable.cvat.annotate.writing.deletions import delete
from promptable.cvat.annotate.writing.lookup import look_for
from promptable.cvat.annotate.writing.unchanged import unchanged
from promptable.cvat.detection import TAG, Detection
from promptable.cvat.journal import Journal, SentUpload, Upload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.progress import Progress
from promptable.cvat.segments.segments import Segment
from promptable.cvat.server.annotations import JobAnnotations, highest_ids
from promptable.cvat.server.frames import Frames, text_of
from promptable.cvat.server.jobs import OPEN

COMMAND = "segments"


@dataclass
class Change:
    """The tags that are added to a job and removed from it; ``there`` are its annotations.

    ``left_to_people`` counts the tags that are not added since people have deleted them before.
    """

    job: int
    there: Mapping[str, Any]
    adds: list[Upload] = field(default_factory=list)
    removes: list[SentUpload] = field(default_factory=list)
    left_to_people: int = 0


class Writer:
    """Writes the segments of a task as tags."""

    def __init__(self, client: Any, journal: Journal, frames: Frames, labels: TaskLabels) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal
        self._frames = frames
        self._labels = labels

    def settle(self) -> None:
        """Find out whether batches arrived that were on their way when a run was stopped, and end the run.

        Raises CvatError.
        """
        for run in self._journal.runs():
            if run.command == COMMAND and run.state == "running":
                with Progress() as progress:
                    for batch in self._journal.sending(run.id):
                        ids = look_for(self._client, self._journal, batch, progress.waits_for)
                        self._journal.stored(batch, ids or {})
                self._journal.end(run.id, "finished")

    def plan(self, found: Sequence[Segment], labels: Collection[str]) -> tuple[list[Change], list[str]]:
        """The changes of each job, and sentences about labels and jobs that are left alone; writes nothing. Raises
        CvatError."""
        known = {name: self._labels.by_name[name].id for name in labels if name in self._labels.by_name}
        changes, left = [], [f"the task has no label {name!r} any more" for name in sorted({*labels} - {*known})]
        for job in self._frames.jobs:
            if self._frames.is_replica(job):
                left.append(f"job {job.id} is a replica of another job")
            elif text_of(job.state) not in OPEN:
                left.append(f"job {job.id} is {text_of(job.state)}")
            else:
                changes.append(self._change(job, found, known))
        return changes, left

    def _change(self, job: Any, found: Sequence[Segment], known: Mapping[str, int]) -> Change:
        """The change of a job; ``known`` are the ids of the labels of segments, by name. Raises CvatError."""
        there = JobAnnotations(self._client, job.id).read()
        shown = set(self._frames.numbers).intersection(self._frames.shown_in(job))
        segments = [segment for segment in found if segment.label in known]
        wanted = {(known[one.label], frame): one for one in segments for frame in one.frames if frame in shown}
        tagged = {(tag["label_id"], tag["frame"]) for tag in there["tags"]}
        tags = (one for one in self._journal.uploads(job=job.id) if one.kind == TAG)
        written = [one for one in tags if one.payload["label_id"] in known.values() and one.frame in shown]
        missing = [place for place in wanted if place not in tagged]
        deleted = {_place(one) for one in written}.intersection(missing)
        outside = [one for one in written if _place(one) not in wanted]
        return Change(
            job.id,
            there,
            adds=[self._tag(wanted[place], place[1]) for place in missing if place not in deleted],
            removes=unchanged(outside, there, self._labels),
            left_to_people=len(deleted),
        )

    def _tag(self, segment: Segment, frame: int) -> Upload:
        label = self._labels.by_name[segment.label]
        score = None if segment.mean_score is None else round(segment.mean_score, 4)
        detection = Detection(segment.label, TAG, score)
        return Upload(TAG, frame, label.payload(detection, frame, 0.0), None)

    def write(self, changes: Sequence[Change]) -> int | None:
        """Carry out the changes as one run. Returns the run's number; None if nothing changes. Raises CvatError."""
        changes = [change for change in changes if change.adds or change.removes]
        if not changes:
            return None
        places = sorted({(change.job, one.frame) for change in changes for one in (*change.adds, *change.removes)})
        run = self._journal.begin(COMMAND, {}, {}, places).id
        for change in changes:
            self._remove(run, change)
            self._add(run, change)
        self._journal.end(run, "finished")
        return run

    def _remove(self, run: int, change: Change) -> None:
        ids = {one.server_id for one in change.removes}
        doomed = {"shapes": [], "tags": [tag for tag in change.there["tags"] if tag["id"] in ids]}
        delete(self._client, self._journal, run, change.job, change.there, doomed)

    def _add(self, run: int, change: Change) -> None:
        if not change.adds:
            return
        frames = [one.frame for one in change.adds]
        batch = self._journal.intend(run, change.job, frames, highest_ids(change.there), change.adds)
        answer = JobAnnotations(self._client, change.job).create([], [one.payload for one in change.adds])
        pairs = zip(batch.uploads, answer["tags"], strict=True)
        self._journal.stored(batch, {upload.id: one["id"] for upload, one in pairs})


def _place(upload: Upload) -> tuple[int, int]:
    """Label id and frame of a tag."""
    return upload.payload["label_id"], upload.frame
