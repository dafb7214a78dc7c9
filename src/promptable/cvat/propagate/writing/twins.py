"""What a run on another machine wrote at the same moment: it has its own journal, and nothing keeps the two apart.

Of two that are equal the one that CVAT has stored first stays: the other's run takes its own away, and only that.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import groupby
from operator import attrgetter
from typing import Any

from promptable.cvat.propagate.content import content
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.writing.held import Held, Item, by_kind, defaults_in
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import open_and_handed_in

Alike = Mapping[tuple[str, object], Sequence[int]]
"""Ids by kind and content."""


def remove_twins(client: Any, journal: TrackJournal, run: int, task: int, *, completed: bool) -> Iterator[str]:
    """Take away what a run has created after another one had created the same, and say so in sentences.

    In jobs that people have handed in it is only said, unless ``completed``. ``client`` is cvat-sdk's. What of this run
    came twice, late, is gone before. Raises CvatError.
    """
    jobs, handed_in = open_and_handed_in(client, journal.jobs_created_in(run), completed=completed)
    created = (write for write in journal.writes(run) if write.action == "create" and write.job in (*jobs, *handed_in))
    defaults, after = defaults_in(client, task), journal.planned_after(run)
    for job, writes in groupby(created, attrgetter("job")):  # they lie job by job
        annotations = JobAnnotations(client, job)
        held = Held(annotations.read(), defaults)
        others = _others(held, after.get(job, held.highest_ids()), journal.written_ids(job))
        second = [one for write in writes for one in write.items if _came_second(one, held, others)]
        if second and job in handed_in:
            yield f"{len(second)} twice in job {job}, since another run has stored the same; people have handed it in"
        elif second:
            annotations.change("delete", **by_kind([{**one, "new": held.now(one)} for one in second], "new"))
            yield f"{len(second)} of job {job}, since another run has stored the same"


def _others(held: Held, after: Mapping[str, int], known: Set[tuple[str, int]]) -> Alike:
    """What no run here wrote, and came after this one had looked."""
    later = held.later_than(after)
    return {key: [one for one in ids if (key[0], one) not in known] for key, ids in later.items()}


def _came_second(item: Item, held: Held, others: Alike) -> bool:
    """Whether nobody has changed it, and the same came before it. Masks of two machines may be in other groups."""
    if item["id"] is None or not held.is_as_written(item):
        return False
    kind, new = item["kind"], item["new"]
    first = (held.by_id[kind, one] for one in others.get((kind, content(new, kind)), ()) if one < item["id"])
    return any(held.is_untouched({**new, "group": one["group"]}, one) for one in first)
