"""Frames that people have tagged in the editor to be followed from: they have no shell, who runs the command has."""

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
    """The frames with the tag of ``options`` in the jobs of a run, ``first`` first: an unfinished run began there.

    Raises CvatError.
    """
    tagged = {tag["frame"] for _, _, tags in _tags(client, frames, options) for tag in tags} & set(frames.numbers)
    return sorted(tagged, key=lambda frame: (frame != first, frame))


def untag(client: Any, frames: Frames, journal: TrackJournal, options: Options, frame: int) -> None:
    """Remove the tags of ``options`` from a frame; taking the last run back puts them back. Raises CvatError."""
    run = max(one.id for one in journal.runs() if one.command == COMMAND)
    for job, held, tags in _tags(client, frames, options):
        if going := [tag for tag in tags if tag["frame"] == frame]:
            delete(client, journal, run, job, held, {"shapes": [], "tags": going})


def _tags(client: Any, frames: Frames, options: Options) -> Iterator[tuple[int, Annotations, list[Any]]]:
    """Each job of a run with what it holds, and of that the tags."""
    name = options.tagged
    labels = {label["name"]: label["id"] for label in listed(client, frames.task.id)}
    if name not in labels:
        raise CvatError(f"the task has no label {name!r}: make one of type tag, and tag frames with it")
    for job in (job for job in frames.jobs if why_left_alone(job, options) is None):
        held = JobAnnotations(client, job.id).read()
        yield job.id, held, [tag for tag in held["tags"] if tag["label_id"] == labels[name]]
