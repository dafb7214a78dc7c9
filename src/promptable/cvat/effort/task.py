"""A task's reviewed frames, judged one after the other, and what of it is not judged."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from promptable.cvat.annotate.task_labels import TaskLabels, task_labels
from promptable.cvat.effort.judging import JobNow, JudgedFrame, judged_frame
from promptable.cvat.effort.reviewed import Reviewed, reviewed_frames
from promptable.cvat.effort.written import WrittenByRuns
from promptable.cvat.journal import JournalReader
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames


@dataclass
class NotJudged:
    """What runs wrote and nobody can say anything about: by label on how many ``frames`` that are not reviewed.

    ``lost_labels`` counts what was of labels that are gone from the task, and went with them. ``taken_back`` are runs.
    """

    frames: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    lost_labels: Counter[str] = field(default_factory=Counter)
    taken_back: list[int] = field(default_factory=list)


def judged_frames(
    client: Any, frames: Frames, reader: JournalReader, reviewed: Reviewed, not_judged: NotJudged
) -> Iterator[JudgedFrame]:
    """The frames of a task that a run wrote to and people have looked at; the rest goes into ``not_judged``.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    written = WrittenByRuns(reader)
    not_judged.taken_back += written.undone
    asked = [label for run in written.runs for label in run.model.get("labels", ())]
    labels = task_labels(client, frames.task.id, asked)
    looked_for = {str(label["name"]) for label in asked}
    for job in frames.jobs:
        yield from _of_job(client, frames, job, written, labels, looked_for, reviewed, not_judged)


def _of_job(
    client: Any,
    frames: Frames,
    job: Any,
    written: WrittenByRuns,
    labels: TaskLabels,
    looked_for: set[str],
    reviewed: Reviewed,
    not_judged: NotJudged,
) -> Iterator[JudgedFrame]:
    looked_at = reviewed_frames(frames, job, reviewed)
    now: JobNow | None = None
    known = {label.id for label in labels.by_name.values()}
    for frame, asked in written.of_job(job.id):
        if frame not in looked_at:
            not_judged.frames += 1
            not_judged.objects.update(one.label for one in asked.written)
            continue
        not_judged.lost_labels.update(one.label for one in asked.written if one.payload["label_id"] not in known)
        now = now or _now(client, frames.task.id, job.id, labels, written)
        yield judged_frame(now, frame, asked, looked_for)


def _now(client: Any, task: int, job: int, labels: TaskLabels, written: WrittenByRuns) -> JobNow:
    ids = {kind: written.known_ids(job, kind) for kind in ("shape", "tag")}
    return JobNow(task, job, JobAnnotations(client, job).read(), labels, ids)
