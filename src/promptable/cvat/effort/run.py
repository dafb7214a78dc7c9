"""From tasks to a report."""

from collections.abc import Callable
from typing import Any

from promptable.cvat.annotate.task_labels import task_labels
from promptable.cvat.effort.judging import JudgedFrame
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.reviewed import Reviewed
from promptable.cvat.effort.sources import counted_sources
from promptable.cvat.effort.task import judged_frames
from promptable.cvat.journal import JournalReader, journal_path
from promptable.cvat.server.frames import Frames


def add_task(
    client: Any, frames: Frames, reviewed: Reviewed, report: Report, also: Callable[[JudgedFrame], None]
) -> None:
    """Take a task into the report: from its journal, or from what CVAT tells where there is none.

    ``client`` is cvat-sdk's; ``also`` is given every judged frame. Raises CvatError.
    """
    task = frames.task
    path = journal_path(client.api_map.host, task.id, str(task.created_date))
    if not path.exists():
        report.sources[task.id] = counted_sources(client, frames, task_labels(client, task.id), reviewed)
        return
    reader = JournalReader(path)
    try:
        for frame in judged_frames(client, frames, reader, reviewed, report.not_judged):
            report.effort.add(frame)
            also(frame)
    finally:
        reader.close()
