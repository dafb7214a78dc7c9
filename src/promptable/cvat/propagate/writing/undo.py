"""A run is taken back: what it wrote goes, what it took away comes again, and what people changed stays."""

from collections.abc import Iterable, Sequence
from typing import Any

from promptable.cvat.annotate.writing.deletions import PutBack
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import COMMAND, TrackJournal, Write
from promptable.cvat.propagate.writing.held import Defaults, Held, Item, by_kind, defaults_in, storable
from promptable.cvat.propagate.writing.late import remove_late
from promptable.cvat.propagate.writing.upload import Uploader
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import TakenBack, open_and_handed_in


def undo(client: Any, journal: TrackJournal, run: int, task: int, progress: Progress, *, completed: bool) -> TakenBack:
    """Take back the tracks and masks that nobody changed since; in jobs that people have handed in only if
    ``completed``.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    journal.run(run, COMMAND)
    Uploader(client, journal, task, progress.waits_for).settle(run)
    remove_late(client, journal, task)
    writes = [write for write in journal.writes(run) if write.state == "stored"]
    changed = dict.fromkeys([*(write.job for write in writes), *journal.jobs(run)])
    jobs, closed = open_and_handed_in(client, changed, completed=completed)
    gone, left, deleted = 0, 0, PutBack(client, journal, run, task)
    defaults, bar = defaults_in(client, task), progress.begin("jobs", len(jobs), unit="jobs")
    for job in jobs:
        of_job = _undo_job(JobAnnotations(client, job), [one for one in writes if one.job == job], defaults)
        gone, left = gone + of_job[0], left + of_job[1]
        deleted.into(job)
        bar.advance()
    journal.end(run, "undone")
    return TakenBack(gone, left, closed, deleted.count, deleted.lost)


def _undo_job(annotations: JobAnnotations, writes: Sequence[Write], defaults: Defaults) -> tuple[int, int]:
    """How much is gone, and how much people have changed.

    First what was deleted or changed is as it was, then what was created goes: stopped between, it can go on. A track
    that another took over from stays as it is where people have changed the other, and what they made again, too.
    """
    held = Held(annotations.read(), defaults)
    written = [item for item in _items(writes, "create", "update") if item.get("id") is not None]
    unchanged = [item for item in written if held.is_as_written(item)]
    theirs = {item["object"] for item in written} - {item["object"] for item in unchanged}
    deleted = [item for item in _items(writes, "delete") if held.is_as_written(item)]
    back = [item for item in deleted if item["object"] not in theirs]
    taken_over = {item["object"] for item in written if item["kind"] == TRACK and item not in unchanged}
    back += [item for item in unchanged if item["before"] is not None and item["object"] not in taken_over]
    new = [{**item, "new": held.now(item)} for item in unchanged if item["before"] is None]
    if back:
        annotations.change("update", **storable(back, "before", defaults))
    if new:
        annotations.change("delete", **by_kind(new, "new"))
    return len(unchanged), sum(held.now(item) is not None for item in written) - len(unchanged)


def _items(writes: Iterable[Write], *actions: str) -> list[Item]:
    return [item for write in writes if write.action in actions for item in write.items]
