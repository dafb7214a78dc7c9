"""What comes later than anybody looks: a second copy goes before anybody takes it for a person's, and what was taken
back is taken back again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK, content
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.held import Defaults, Held, Item, defaults_in, storable
from promptable.cvat.server.annotations import Annotations, JobAnnotations
from promptable.cvat.server.late_requests import arrives_no_more, delete_late


def remove_late(client: Any, journal: TrackJournal, task: int) -> None:
    """Take away what came twice of what any run sent again, as far as nobody has changed it. Raises CvatError.

    ``client`` is cvat-sdk's. Called before jobs are looked at, and when a run ends: later ones wait for the next.
    """
    late_writes = journal.late_writes()
    if not late_writes:
        return
    sent_again, defaults = [], defaults_in(client, task)
    for write, sent in late_writes:
        if write.action == "create":
            sent_again.append((write, sent))
        else:
            _put_back(client, journal, write, sent, defaults)

    def late(write: Write, there: Annotations) -> Annotations:
        return _late(journal, write, Held(there, defaults))

    for write in delete_late(client, sent_again, late):
        journal.write_arrives_no_more(write)


def _put_back(client: Any, journal: TrackJournal, write: Write, sent: datetime, defaults: Defaults) -> None:
    """What an update or delete of a run that was taken back has changed since is once more as it was."""
    annotations, later = JobAnnotations(client, write.job), journal.changed_since(write)
    held = Held(annotations.read(), defaults)
    back = [item for item in write.items if held.is_as_written(item) and (item["kind"], item["id"]) not in later]
    if back:
        annotations.change("update", **storable(back, "before", defaults))
    if back or arrives_no_more(sent):
        journal.write_arrives_no_more(write)


def _late(journal: TrackJournal, write: Write, held: Held) -> Annotations:
    """What equals an item of a create, came after it was noted, and is in no journal.

    Of what is there several times those that came first stay, and are the write's: they may also be another machine's,
    which does the same. What is not there any more is gone in all its copies.
    """
    sent: dict[tuple[str, object], list[Item]] = defaultdict(list)
    for item in write.items:
        sent[item["kind"], content(item["new"], item["kind"])].append(item)
    late: dict[str, list[Mapping[str, Any]]] = {f"{kind}s": [] for kind in (SHAPE, TRACK)}
    known, ids = journal.written_ids(write.job), dict[tuple[str, int], int]()
    for (kind, key), numbers in held.later_than(write.after).items():
        alike = sent[kind, key]
        new = [one for one in numbers if (kind, one) not in known and _is_any(held, alike, held.by_id[kind, one])]
        own = [one["id"] for one in alike if one.get("id") is not None and held.is_as_written(one)]
        every = sorted([*new, *own])
        ids |= {(kind, one): stays for one, stays in zip(own, every, strict=False)}
        late[f"{kind}s"] += [held.by_id[kind, number] for number in every[len(own) :]]
    if any(number != stays for (_, number), stays in ids.items()):
        journal.arrived(write, [{**one, "id": ids.get((one["kind"], one["id"]), one["id"])} for one in write.items])
    return late


def _is_any(held: Held, alike: Sequence[Item], now: Mapping[str, Any]) -> bool:
    return any(held.is_untouched(one["new"], now) for one in alike)
