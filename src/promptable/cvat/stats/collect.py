"""Collecting the figures and faults of tasks, one job at a time."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.labels.entries import MARKS, listed
from promptable.cvat.progress import Bar
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames, text_of
from promptable.cvat.stats.faults import Fault, Kind
from promptable.cvat.stats.figures import Figures, JobFigures, LabelFigures
from promptable.cvat.stats.job import JobLook, JobView, OpenTrack
from promptable.cvat.stats.outliers import outliers


def add_task(figures: Figures, client: Any, frames: Frames, bar: Bar, *, since: datetime | None = None) -> None:
    """Add the jobs of ``frames`` to the figures. ``client`` is cvat-sdk's. Raises CvatError.

    ``since`` leaves out jobs that CVAT says were not changed later; it keeps no dates of shapes. A frame that two jobs
    show counts in the first of them.
    """
    entries = listed(client, task=frames.task.id)
    for entry in entries:
        figures.labels.setdefault(entry["name"], LabelFigures(entry["name"], entry["type"]))
    if frames.ground_truth_jobs:
        figures.left_out.append(f"task {frames.task.id}: the ground truth")
    free, open_tracks = set(frames.numbers), list[OpenTrack]()
    looked_at = set[int]()
    for job in frames.jobs:
        own = np.array(sorted(free.intersection(frames.shown_in(job))), np.int64)
        if (why := _left_out(frames, job, since)) is not None:
            figures.left_out.append(f"task {frames.task.id}: {why}")
        else:
            free -= set(own.tolist())
            looked_at.update(frames.shown_in(job))
            look = _add_job(figures, client, frames, job, own, entries)
            open_tracks = [track for track in open_tracks if not look.goes_on_with(track)] + look.open
        bar.advance(len(own), objects=sum(one.objects for one in figures.jobs))
    for track in open_tracks:
        if track.goes_on in looked_at or track.goes_on >= frames.task.size:  # else a job that goes on was left out
            figures.faults.add(track.fault)


def _left_out(frames: Frames, job: Any, since: datetime | None) -> str | None:
    """Why a job does not count, in a sentence; None if it does."""
    if frames.is_replica(job):
        return f"job {job.id} is a replica of another job"
    if since is not None and job.updated_date < since:
        return f"job {job.id} was last changed on {job.updated_date.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return None


def _add_job(
    figures: Figures,
    client: Any,
    frames: Frames,
    job: Any,
    own: NDArray[np.int64],
    entries: list[Mapping[str, Any]],
) -> JobLook:
    annotations = JobAnnotations(client, job.id).read()
    names = {entry["id"]: entry["name"] for entry in entries}
    hw = np.array([frames.frame(number).hw for number in own.tolist()], np.int64).reshape(-1, 2)
    look = JobLook(figures, JobView(frames.task.id, job.id, job.stop_frame, own, hw, names, frozenset(MARKS)))
    counts = look.through(annotations)
    figures.jobs.append(
        JobFigures(
            task=frames.task.id,
            job=job.id,
            stage=text_of(job.stage),
            state=text_of(job.state),
            updated=job.updated_date.isoformat(timespec="seconds"),
            assignee=job.assignee.username if job.assignee else None,
            frames=len(own),
            **counts,
        )
    )
    return look


def find_outliers(figures: Figures) -> None:
    """Add faults for objects whose size is far from that of their label's others, once all tasks were added."""
    for label in figures.labels.values():
        for fault in _outliers(label):
            figures.faults.add(fault)


def _outliers(label: LabelFigures) -> Iterator[Fault]:
    areas = np.concatenate([np.zeros(0), *(rows["area"] for rows in label.sizes.values())])
    far = outliers(areas)
    median = float(np.median(areas[areas > 0])) if far.any() else 0.0
    ends = np.cumsum([len(rows) for rows in label.sizes.values()])
    for ((task, job), rows), one in zip(label.sizes.items(), np.split(far, ends), strict=False):
        for row in _once_a_track(rows[one]):
            detail = f"{row['area']:.0f} square pixels, the median of its label is {median:.0f}"
            yield Fault(Kind.OUTLIERS, task, job, int(row["frame"]), label.name, int(row["id"]), detail)


def _once_a_track(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The rows with only the first one of each track."""
    _, first = np.unique(np.where(rows["is_track"], rows["id"], -1 - np.arange(len(rows))), return_index=True)
    return rows[np.sort(first)]
