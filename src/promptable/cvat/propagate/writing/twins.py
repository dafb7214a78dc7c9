"""What a run on another machine wrote at the same moment: it has its own journal, and nothing keeps the two apart.

Of two that are equal the one that CVAT has stored first stays: the other's run takes its own away, and only that.
"""

from collections.abc import Iterator, Set
from itertools import groupby
from operator import attrgetter
from typing import Any

from promptable.cvat.propagate.content import content
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.held import Held, Item, by_kind, defaults_in
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.jobs import open_and_handed_in


def remove_twins(client: Any, journal: TrackJournal, run: int, task: int, *, completed: bool) -> Iterator[str]:
    """Take away what a run has created after another one had created the same, and say so in sentences.

    Not in jobs that people have handed in, unless ``completed``. ``client`` is cvat-sdk's. What of this run came twice,
    late, is gone before. Raises CvatError.
    """
    jobs, _ = open_and_handed_in(client, journal.jobs_created_in(run), completed=completed)
    created = (write for write in journal.writes(run) if write.action == "create" and write.job in jobs)
    defaults = defaults_in(client, task)
    for job, writes in groupby(created, attrgetter("job")):  # they lie job by job
        annotations = JobAnnotations(client, job)
        held, known = Held(annotations.read(), defaults), journal.written_ids(job)
        second = [one for write in writes for one in _second(write, held, known)]
        if second:
            annotations.change("delete", **by_kind([{**one, "new": held.now(one)} for one in second], "new"))
            yield f"{len(second)} of job {job}, since another run has stored the same"


def _second(write: Write, held: Held, known: Set[tuple[str, int]]) -> Iterator[Item]:
    """What nobody has changed of a create, and what came before as the same in every field, by no run here."""
    later = held.later_than(write.after)
    for item in write.items:
        kind, new = item["kind"], item["new"]
        if item["id"] is not None and held.is_as_written(item):
            first = [number for number in later[kind, content(new, kind)] if number < item["id"]]
            if any(held.is_untouched(new, held.by_id[kind, one]) for one in first if (kind, one) not in known):
                yield item
