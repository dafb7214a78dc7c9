"""Taking a run back: what it created is deleted, what it changed or deleted is restored; people's changes stay."""

from collections.abc import Iterable, Sequence
from typing import Any

from promptable.cvat.annotate.writing.deletions import PutBack
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import COMMAND, TrackJournal, Write
from promptable.cvat.propagate.writing.job_contents import JobContents, defaults_in
from promptable.cvat.propagate.writing.late import remove_late
from promptable.cvat.propagate.writing.payloads import Defaults, Item, payload, storable_payload
from promptable.cvat.propagate.writing.upload import Uploader
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import TakenBack, open_and_handed_in


def undo(client: Any, journal: TrackJournal, run: int, task: int, progress: Progress, *, completed: bool) -> TakenBack:
    """Take back a run; in jobs that were handed in only if ``completed``.

    ``client`` is cvat-sdk's. After an interruption, call it again. Raises CvatError.
    """
    journal.run(run, COMMAND)
    Uploader(client, journal, task, progress.waits_for).settle(run)
    remove_late(client, journal, task)
    writes = [write for write in journal.writes(run) if write.state == "stored"]
    changed = dict.fromkeys([*(write.job for write in writes), *journal.jobs(run)])
    jobs, closed = open_and_handed_in(client, changed, completed=completed)
    gone, left, put_back = 0, 0, PutBack(client, journal, run, task)
    defaults, bar = defaults_in(client, task), progress.begin("jobs", len(jobs), unit="jobs")
    for job in jobs:
        in_job = _undo_job(JobAnnotations(client, job), [one for one in writes if one.job == job], defaults)
        gone, left = gone + in_job[0], left + in_job[1]
        put_back.into(job)
        bar.advance()
    journal.end(run, "undone")
    return TakenBack(gone, left, closed, put_back.count, put_back.lost)


def _undo_job(annotations: JobAnnotations, writes: Sequence[Write], defaults: Defaults) -> tuple[int, int]:
    """Take back the writes of a job. Returns how many annotations are gone, and how many people have changed.

    What was changed or deleted is restored before what was created is deleted, so that it can be called again after an
    interruption. Not restored is what people have restored themselves, and what gave way to annotations that people
    have changed since.
    """
    contents = JobContents(annotations.read(), defaults)
    written = [item for item in _items(writes, "create", "update") if item.get("id") is not None]
    unchanged = [item for item in written if contents.is_as_written(item)]
    changed_objects = {item["object"] for item in written} - {item["object"] for item in unchanged}
    deleted = [item for item in _items(writes, "delete") if contents.is_as_written(item)]
    back = [item for item in deleted if item["object"] not in changed_objects]
    changed_tracks = {item["object"] for item in written if item["kind"] == TRACK and item not in unchanged}
    back += [item for item in unchanged if item["before"] is not None and item["object"] not in changed_tracks]
    created = [{**item, "new": contents.now(item)} for item in unchanged if item["before"] is None]
    if back:
        annotations.change("update", **storable_payload(back, "before", defaults))
    if created:
        annotations.change("delete", **payload(created, "new"))
    return len(unchanged), sum(contents.now(item) is not None for item in written) - len(unchanged)


def _items(writes: Iterable[Write], *actions: str) -> list[Item]:
    return [item for write in writes if write.action in actions for item in write.items]
