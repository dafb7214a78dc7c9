"""What a run on another machine stores at the same time: it has its own journal, and nothing keeps the two apart.

Before a run stores something it looks whether it is there; at its end, whether the same came at the same moment. Of two
that are equal the one that CVAT has stored first stays, so that the other's run takes its own away, and only that.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.annotate.options import Options
from promptable.cvat.annotate.plan import not_open
from promptable.cvat.annotate.writing.same import content, remove, unchanged
from promptable.cvat.journal import Journal, SentUpload, Upload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.plural import counted
from promptable.cvat.server.annotations import KINDS, JobAnnotations


def without_twins(journal: Journal, job: int, uploads: Sequence[Upload], there: Mapping[str, Any]) -> list[Upload]:
    """Without shapes that the job has already as automatic ones which no run here has stored. ``there`` is what it
    holds."""
    twins = _foreign(journal, job, "shape", there)
    new = [one for one in uploads if one.kind != "shape" or content(one.payload) not in twins]
    if len(new) < len(uploads):
        _say(job, len(uploads) - len(new), "not added")
    return new


def remove_twins(client: Any, journal: Journal, run: int, labels: TaskLabels, options: Options) -> None:
    """Take away what a run has stored after another one had stored the same. ``client`` is cvat-sdk's.

    Jobs that people have handed in meanwhile stay as they are, and it is said. Raises CvatError.
    """
    for job in journal.jobs(run):
        annotations = JobAnnotations(client, job)
        there = annotations.read()
        first = {kind: _foreign(journal, job, kind, there) for kind in KINDS}
        own = unchanged(journal.uploads(job=job, run=run), there, labels)
        second = [one for one in own if _came_second(one, first[one.kind])]
        if second and not_open(client.jobs.retrieve(job), options) is not None:
            _say(job, len(second), "left twice in this job, which people have handed in")
        elif second:
            remove(annotations, second, journal)
            _say(job, len(second), "taken away again")


def _foreign(journal: Journal, job: int, kind: str, there: Mapping[str, Any]) -> dict[object, int]:
    """The lowest id by content of automatic shapes, or tags, that no run here has stored, nor may have stored late."""
    known = journal.known_ids(job, kind)
    late = {content(one.payload) for batch, _ in journal.sent_again() if batch.job == job for one in batch.uploads}
    found = [one for one in there[f"{kind}s"] if one["source"] == "auto" and one["id"] not in known]
    lowest = {content(one): one["id"] for one in sorted(found, key=lambda one: -int(one["id"]))}
    return {what: number for what, number in lowest.items() if what not in late}


def _came_second(one: SentUpload, first: Mapping[object, int]) -> bool:
    twin = first.get(content(one.payload))
    return twin is not None and one.server_id is not None and twin < one.server_id


def _say(job: int, count: int, what: str) -> None:
    sys.stderr.write(f"job {job}: {counted(count, 'object')} {what}, since another run has stored the same\n")
