"""A run is taken back: what it wrote goes, what it took away comes again, and what people changed stays."""

from collections.abc import Iterable, Sequence
from typing import Any

from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.held import Held, Item, by_kind
from promptable.cvat.propagate.writing.late import remove_late
from promptable.cvat.propagate.writing.upload import Uploader
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.sent import Tell


def undo(client: Any, journal: TrackJournal, run: int, task: int, tell: Tell) -> tuple[int, int]:
    """Take back what nobody changed since: how much of what was written is gone, and how much people have changed.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    Uploader(client, journal, tell).settle(run)
    remove_late(client, journal, task)
    writes = [write for write in journal.writes(run) if write.state == "stored"]
    jobs = dict.fromkeys(write.job for write in writes)
    counts = [_undo_job(JobAnnotations(client, job), [one for one in writes if one.job == job]) for job in jobs]
    journal.end(run, "undone")
    return sum(gone for gone, _ in counts), sum(left for _, left in counts)


def _undo_job(annotations: JobAnnotations, writes: Sequence[Write]) -> tuple[int, int]:
    """First what was deleted or changed is as it was, then what was created goes: stopped between, it can go on.

    A track that another took over from stays as it is where people have changed the other."""
    held = Held(annotations.read())
    written = [item for item in _items(writes, "create", "update") if item.get("id") is not None]
    unchanged = [item for item in written if held.is_as_written(item)]
    theirs = {item["object"] for item in written} - {item["object"] for item in unchanged}
    back = [item for item in _items(writes, "delete") if item["object"] not in theirs]
    taken_over = {item["object"] for item in written if item["kind"] == TRACK and item not in unchanged}
    back += [item for item in unchanged if item["before"] is not None and item["object"] not in taken_over]
    new = [{**item, "new": held.now(item)} for item in unchanged if item["before"] is None]
    if back:
        annotations.change("update", **by_kind(back, "before"))
    if new:
        annotations.change("delete", **by_kind(new, "new"))
    return len(unchanged), len(written) - len(unchanged)


def _items(writes: Iterable[Write], *actions: str) -> list[Item]:
    return [item for write in writes if write.action in actions for item in write.items]
