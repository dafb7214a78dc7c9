"""Twins: what two runs on two machines write at the same time, each without knowing of the other's journal.

The twin that CVAT stored first stays: each run deletes only its own twins, and only those that came second.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import groupby
from operator import attrgetter
from typing import Any

from promptable.cvat.plural import counted
from promptable.cvat.propagate.content import content
from promptable.cvat.propagate.journal import Key, TrackJournal
from promptable.cvat.propagate.writing.job_contents import JobContents, defaults_in
from promptable.cvat.propagate.writing.payloads import Item, payload
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import open_and_handed_in

IdsByContent = Mapping[tuple[str, object], Sequence[int]]
"""CVAT's ids by kind and content."""


def remove_twins(client: Any, journal: TrackJournal, run: int, task: int, *, completed: bool) -> Iterator[str]:
    """Delete what a run has created after a run on another machine had created the same, and say so in sentences.

    In jobs that were handed in it is only said, unless ``completed``. Call ``remove_late`` before, so that no second
    copy of the run passes for a twin. ``client`` is cvat-sdk's. Raises CvatError.
    """
    jobs, handed_in = open_and_handed_in(client, journal.jobs_created_in(run), completed=completed)
    created = (write for write in journal.writes(run) if write.action == "create" and write.job in (*jobs, *handed_in))
    defaults, after = defaults_in(client, task), journal.planned_after(run)
    for job, writes in groupby(created, attrgetter("job")):  # the creates of a job follow one another
        annotations = JobAnnotations(client, job)
        contents = JobContents(annotations.read(), defaults)
        foreign = _foreign(contents, after.get(job, contents.highest_ids()), journal.written_ids(job))
        second = [one for write in writes for one in write.items if _came_second(one, contents, foreign)]
        if second and job in handed_in:
            yield (
                f"job {job} has {counted(len(second), 'annotation')} twice, since another run has stored the same and "
                "people have handed it in"
            )
        elif second:
            annotations.change("delete", **payload([{**one, "new": contents.now(one)} for one in second], "new"))
            yield f"{counted(len(second), 'annotation')} of job {job}, since another run has stored the same"


def _foreign(contents: JobContents, after: Mapping[str, int], known: Set[Key]) -> IdsByContent:
    """What was stored since the run planned its writes, and no run of this machine wrote."""
    later = contents.later_than(after)
    return {key: [one for one in ids if (key[0], one) not in known] for key, ids in later.items()}


def _came_second(item: Item, contents: JobContents, foreign: IdsByContent) -> bool:
    """Whether an item is in the job unchanged, and a foreign twin was stored before. Groups of twins may differ."""
    if item["id"] is None or not contents.is_as_written(item):
        return False
    kind, new = item["kind"], item["new"]
    earlier = (one for one in foreign.get((kind, content(new, kind)), ()) if one < item["id"])
    first = (contents.by_key[kind, one] for one in earlier)
    return any(contents.is_untouched({**new, "group": one["group"]}, one) for one in first)
