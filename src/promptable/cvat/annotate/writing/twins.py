"""Twins: shapes that two runs on two machines store at the same time, each without knowing of the other's journal.

Before it uploads, a run leaves out what the job has already; at its end, it looks for twins that came meanwhile. The
twin that CVAT stored first stays: each run deletes only its own twins, and only those that came second.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.annotate.options import Options
from promptable.cvat.annotate.plan import why_left_alone
from promptable.cvat.annotate.writing.deletions import remove
from promptable.cvat.annotate.writing.lookup import content
from promptable.cvat.annotate.writing.unchanged import unchanged
from promptable.cvat.journal import Journal, SentUpload, Upload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.plural import counted
from promptable.cvat.server.annotations import KINDS, JobAnnotations


def without_twins(journal: Journal, job: int, uploads: Sequence[Upload], there: Mapping[str, Any]) -> list[Upload]:
    """The uploads without the shapes that a run on another machine has stored already.

    ``there`` are the annotations of the job.
    """
    twins = _foreign(journal, job, "shape", there)
    new = [one for one in uploads if one.kind != "shape" or content(one.payload) not in twins]
    if len(new) < len(uploads):
        _say(job, len(uploads) - len(new), "not added")
    return new


def remove_twins(client: Any, journal: Journal, run: int, labels: TaskLabels, options: Options) -> None:
    """Delete what a run has stored after a run on another machine had stored the same, and report it on stderr.

    Jobs that were handed in meanwhile are only reported. ``client`` is cvat-sdk's. Raises CvatError.
    """
    for job in journal.jobs(run):
        annotations = JobAnnotations(client, job)
        there = annotations.read()
        first = {kind: _foreign(journal, job, kind, there) for kind in KINDS}
        own = unchanged(journal.uploads(job=job, run=run), there, labels)
        second = [one for one in own if _came_second(one, first[one.kind])]
        if second and why_left_alone(client.jobs.retrieve(job), options) is not None:
            _say(job, len(second), "left twice in this job, which people have handed in")
        elif second:
            remove(annotations, second, journal)
            _say(job, len(second), "taken away again")


def _foreign(journal: Journal, job: int, kind: str, there: Mapping[str, Any]) -> dict[object, int]:
    """The lowest id, by content, of automatic shapes or tags that no run of this machine has stored or may store."""
    known = journal.known_ids(job, kind)
    late = {content(one.payload) for batch, _ in journal.sent_again() if batch.job == job for one in batch.uploads}
    found = [one for one in there[f"{kind}s"] if one["source"] == "auto" and one["id"] not in known]
    lowest = {content(one): one["id"] for one in sorted(found, key=lambda one: -int(one["id"]))}
    return {what: number for what, number in lowest.items() if what not in late}


def _came_second(one: SentUpload, first: Mapping[object, int]) -> bool:
    """Whether an equal one of another machine, of those in ``first``, was stored before."""
    twin = first.get(content(one.payload))
    return twin is not None and one.server_id is not None and twin < one.server_id


def _say(job: int, count: int, what: str) -> None:
    sys.stderr.write(f"job {job}: {counted(count, 'object')} {what}, since another run has stored the same\n")
