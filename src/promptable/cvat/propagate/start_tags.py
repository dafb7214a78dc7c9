"""Tags that annotators set in the editor on frames from which objects are to be followed (``--tagged``)."""

from collections.abc import Iterator
from typing import Any

from promptable.cvat.annotate.writing.deletions import delete
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.jobs import why_left_alone
from promptable.cvat.propagate.journal import COMMAND, TrackJournal
from promptable.cvat.propagate.options import Options
from promptable.cvat.server.annotations import Annotations, JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


def tagged_frames(client: Any, frames: Frames, options: Options, first: int | None = None) -> list[int]:
    """The frames with the tag ``options.tagged`` in the jobs that a run may write into, in order.

    ``first``, the frame at which an unfinished run began, comes first. Raises CvatError.
    """
    tagged = {tag["frame"] for _, _, tags in _tags(client, frames, options) for tag in tags} & set(frames.numbers)
    return sorted(tagged, key=lambda frame: (frame != first, frame))


def untag(client: Any, frames: Frames, journal: TrackJournal, options: Options, frame: int) -> None:
    """Delete the tags ``options.tagged`` of a frame. Taking the last run back puts them back. Raises CvatError."""
    run = last_run(journal)
    for job, annotations, tags in _tags(client, frames, options):
        if doomed := [tag for tag in tags if tag["frame"] == frame]:
            delete(client, journal, run, job, annotations, {"shapes": [], "tags": doomed})


def last_run(journal: TrackJournal) -> int:
    """The number of the last run that was not taken back; there must be one."""
    return max(one.id for one in journal.runs() if one.command == COMMAND and one.state != "undone")


def _tags(client: Any, frames: Frames, options: Options) -> Iterator[tuple[int, Annotations, list[Any]]]:
    """For each job that a run may write into: its id, its annotations, and the tags ``options.tagged`` among them."""
    name = options.tagged
    labels = {label["name"]: label["id"] for label in listed(client, frames.task.id)}
    if name not in labels:
        raise CvatError(f"the task has no label {name!r}: make one of type tag, and tag frames with it")
    now = (client.jobs.retrieve(job.id) for job in frames.jobs)
    for job in (job for job in now if why_left_alone(job, options) is None):
        annotations = JobAnnotations(client, job.id).read()
        yield job.id, annotations, [tag for tag in annotations["tags"] if tag["label_id"] == labels[name]]
