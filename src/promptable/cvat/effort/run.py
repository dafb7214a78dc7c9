"""Adding tasks to a report."""

from contextlib import closing, nullcontext
from typing import Any

from promptable.cvat.annotate.options import COMMAND as ANNOTATE
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.task import TaskJudge
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.reviewed import Reviewed
from promptable.cvat.effort.sources import counted_sources
from promptable.cvat.effort.suggest.evidence import EvidenceByModel
from promptable.cvat.journal import JournalReader, up_to_date
from promptable.cvat.labels.task_labels import task_labels
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.journal import COMMAND as PROPAGATE
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.server.frames import Frames


def add_task(client: Any, frames: Frames, reviewed: Reviewed, report: Report, evidence: EvidenceByModel | None) -> None:
    """Add a task to the report, and to the evidence, if given; ``client`` is cvat-sdk's. Raises CvatError.

    If the task has no journal, or no automatic run in it, the report only counts what CVAT says of its annotations.
    """
    task = frames.task
    path = up_to_date(client, task)
    with nullcontext() if path is None else closing(TrackReader(path)) as reader:
        if reader is None or not any(run.command in (ANNOTATE, PROPAGATE) for run in reader.runs()):
            report.sources[task.id] = counted_sources(client, frames, task_labels(client, task.id), reviewed)
            return
        judge = TaskJudge(client, frames, reader, reviewed, report.not_judged)
        with Progress() as progress:
            bar = progress.begin(f"task {task.id}", judge.count)
            for job in judge.jobs():
                for frame in job.frames():
                    _add_frame(frame, report, evidence, reader)
                    bar.advance()
                for track in job.tracks():
                    report.effort.add_track(track)


def _add_frame(frame: JudgedFrame, report: Report, evidence: EvidenceByModel | None, reader: JournalReader) -> None:
    report.effort.add(frame)
    if evidence is not None and frame.run is not None:
        evidence.add(frame, reader.run(frame.run))
