"""Taking a run back: what it wrote is deleted unless people have changed it, and what it deleted is put back."""

from typing import Any

from promptable.cvat.annotate.options import COMMAND
from promptable.cvat.annotate.writing.deletions import PutBack, remove
from promptable.cvat.annotate.writing.late import remove_late
from promptable.cvat.annotate.writing.lookup import look_for
from promptable.cvat.annotate.writing.unchanged import still_there, unchanged
from promptable.cvat.journal import Journal
from promptable.cvat.labels.task_labels import task_labels
from promptable.cvat.progress import Progress
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import TakenBack, open_and_handed_in


def undo(
    client: Any, journal: Journal, run: int, task: int, progress: Progress, *, completed: bool, command: str = COMMAND
) -> TakenBack:
    """Take back a run of ``command``; in jobs that were handed in only if ``completed``.

    ``client`` is cvat-sdk's. After an interruption, call it again. Raises CvatError.
    """
    journal.run(run, command)
    for batch in journal.sending(run):
        if (ids := look_for(client, journal, batch, progress.waits_for)) is None:
            journal.batch_may_arrive_late(batch)
        journal.stored(batch, ids or {})
    labels = task_labels(client, task)
    remove_late(client, journal, labels)
    gone, left, deleted = 0, 0, PutBack(client, journal, run, task)
    jobs, closed = open_and_handed_in(client, journal.jobs(run), completed=completed)
    bar = progress.begin("jobs", len(jobs), unit="jobs")
    for job in jobs:
        annotations = JobAnnotations(client, job)
        there = annotations.read()
        written = still_there(journal.uploads(job=job, run=run), there)
        untouched = unchanged(written, there, labels)
        remove(annotations, untouched, journal)
        gone, left = gone + len(untouched), left + len(written) - len(untouched)
        journal.never_put_back(run, job)
        deleted.into(job)
        bar.advance()
    journal.end(run, "undone")
    return TakenBack(gone, left, closed, deleted.count, deleted.lost)
