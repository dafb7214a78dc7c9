"""Requests that CVAT carries out later than anybody looks: second copies are deleted, late changes are undone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK, content
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.job_contents import JobContents, defaults_in
from promptable.cvat.propagate.writing.payloads import Defaults, Item, storable_payload
from promptable.cvat.server.annotations import Annotations, JobAnnotations
from promptable.cvat.server.late_requests import arrives_no_more, delete_late


def remove_late(client: Any, journal: TrackJournal, task: int) -> None:
    """Delete the second copies of what any run sent again, unless people have changed them. Raises CvatError.

    Updates and deletes that arrive after their run was taken back are undone. ``client`` is cvat-sdk's. It is called
    before a run reads the jobs, else second copies would pass for people's, and when it ends; the next run removes what
    comes later.
    """
    late_writes = journal.late_writes()
    if not late_writes:
        return
    creates, defaults = [], defaults_in(client, task)
    for write, sent in late_writes:
        if write.action == "create":
            creates.append((write, sent))
        else:
            _undo_late(client, journal, write, sent, defaults)

    def second_copies(write: Write, there: Annotations) -> Annotations:
        return _second_copies(journal, write, JobContents(there, defaults))

    for write in delete_late(client, creates, second_copies):
        journal.write_arrives_no_more(write)


def _undo_late(client: Any, journal: TrackJournal, write: Write, sent: datetime, defaults: Defaults) -> None:
    """Undo a late update or delete, except where a later write has changed the same annotation."""
    annotations, later = JobAnnotations(client, write.job), journal.changed_since(write)
    contents = JobContents(annotations.read(), defaults)
    back = [item for item in write.items if contents.is_as_written(item) and (item["kind"], item["id"]) not in later]
    if back:
        annotations.change("update", **storable_payload(back, "before", defaults))
    if back or arrives_no_more(sent):
        journal.write_arrives_no_more(write)


def _second_copies(journal: TrackJournal, write: Write, contents: JobContents) -> Annotations:
    """The shapes and tracks of a job that are second copies of the items of a create.

    Copies equal an item, are newer than the write and are in no journal. Of each item the copy that was stored first
    stays, and the journal gets its id: it may be another machine's, whose run decides by the same rule. If people have
    deleted or changed an item, no copy of it stays.
    """
    second: dict[str, list[Mapping[str, Any]]] = {f"{kind}s": [] for kind in (SHAPE, TRACK)}
    staying: dict[tuple[str, int], int] = {}
    for kind, own, copies in _copies(journal, write, contents):
        staying |= {(kind, number): stays for number, stays in zip(own, copies, strict=False)}
        second[f"{kind}s"] += [contents.by_key[kind, number] for number in copies[len(own) :]]
    if any(number != stays for (_, number), stays in staying.items()):
        items = [{**one, "id": staying.get((one["kind"], one["id"]), one["id"])} for one in write.items]
        journal.arrived(write, items)
    return second


def _copies(journal: TrackJournal, write: Write, contents: JobContents) -> Iterator[tuple[str, list[int], list[int]]]:
    """For each content of a write: its kind, the known ids of its items, and the ids of all copies, ascending."""
    items: dict[tuple[str, object], list[Item]] = defaultdict(list)
    for item in write.items:
        items[item["kind"], content(item["new"], item["kind"])].append(item)
    known = journal.written_ids(write.job)
    for (kind, key), numbers in contents.later_than(write.after).items():
        alike = items[kind, key]
        new = [one for one in numbers if (kind, one) not in known and _is_any(contents, alike, kind, one)]
        own = [one["id"] for one in alike if one.get("id") is not None and contents.is_as_written(one)]
        yield kind, own, sorted([*new, *own])


def _is_any(contents: JobContents, items: Sequence[Item], kind: str, number: int) -> bool:
    return any(contents.is_untouched(one["new"], contents.by_key[kind, number]) for one in items)
