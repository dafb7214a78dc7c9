"""From tasks to a report."""

from collections.abc import Sequence
from typing import Any

from rich.progress import Progress

from promptable.cvat.annotate.task_labels import task_labels
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.reviewed import Reviewed
from promptable.cvat.effort.sources import counted_sources
from promptable.cvat.effort.suggest.evidence import EvidenceByModel
from promptable.cvat.effort.task import TaskJudge
from promptable.cvat.journal import journal_path
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


def add_task(client: Any, frames: Frames, reviewed: Reviewed, report: Report, evidence: EvidenceByModel | None) -> None:
    """Take a task into the report, and into the evidence: from its journal, or from CVAT's word where there is none.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    task = frames.task
    path = journal_path(client.api_map.host, task.id, str(task.created_date))
    if not path.exists():
        report.sources[task.id] = counted_sources(client, frames, task_labels(client, task.id), reviewed)
        return
    reader = TrackReader(path)
    try:
        runs = {run.id: run for run in reader.runs()}
        for job in TaskJudge(client, frames, reader, reviewed, report.not_judged).jobs():
            for frame in job.frames():
                report.effort.add(frame)
                if evidence is not None and frame.run is not None:
                    evidence.add(frame, runs[frame.run])
            report.effort.tracks += job.tracks()
    finally:
        reader.close()


def worst_pictures(report: Report, tasks: Sequence[Frames]) -> dict[tuple[int, int], tuple[bytes, tuple[int, int]]]:
    """The bytes and ``hw`` of the worst frames, by task and number; no bytes of one that CVAT does not give."""
    by_id = {frames.task.id: frames for frames in tasks}
    wanted = {(frame.task, frame.number) for frame in report.effort.worst_frames()}
    with Progress(transient=True) as progress:
        return {
            (task, number): (_data(by_id[task], number), by_id[task].frame(number).hw)
            for task, number in progress.track(sorted(wanted), description="fetching pictures")
        }


def _data(frames: Frames, number: int) -> bytes:
    try:
        return frames.data(number)
    except CvatError:
        return b""
