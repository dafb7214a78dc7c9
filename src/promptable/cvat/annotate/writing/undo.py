"""Taking back what a run wrote, as far as nobody changed it."""

from typing import Any

from promptable.cvat.annotate.options import COMMAND
from promptable.cvat.annotate.writing.late import remove_late
from promptable.cvat.annotate.writing.same import look_for, remove, unchanged
from promptable.cvat.journal import Journal
from promptable.cvat.labels.task_labels import task_labels
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.sent import Tell


def undo(client: Any, journal: Journal, run: int, task: int, tell: Tell) -> tuple[int, int]:
    """Remove what the run wrote; returns how many shapes and tags went, and how many people have changed or removed.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    if (command := journal.run(run).command) != COMMAND:
        raise CvatError(f"run {run} is one of promptable {command}, which takes it back")
    for batch in journal.sending(run):
        if (ids := look_for(client, journal, batch, tell)) is None:
            journal.batch_may_arrive_late(batch)
        journal.stored(batch, ids or {})
    labels = task_labels(client, task)
    remove_late(client, journal, labels)
    removed, kept = 0, 0
    for job in journal.jobs(run):
        annotations = JobAnnotations(client, job)
        written = list(journal.uploads(job=job, run=run))
        same = unchanged(written, annotations.read(), labels)
        remove(annotations, same, journal)
        removed, kept = removed + len(same), kept + len(written) - len(same)
    journal.end(run, "undone")
    return removed, kept
