"""Frames that people have tagged in the editor to be followed from: they have no shell, who runs the command has."""

from collections.abc import Iterator
from typing import Any

from promptable.cvat.annotate.writing.deleted import delete
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.journal import COMMAND, TrackJournal
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames
from promptable.cvat.server.sent import Annotations


def tagged_frames(client: Any, frames: Frames, name: str, first: int | None = None) -> list[int]:
    """The frames with a tag of this name, ``first`` first: an unfinished run began there. Raises CvatError."""
    tagged = {tag["frame"] for _, _, tags in _tags(client, frames, name) for tag in tags} & set(frames.numbers)
    return sorted(tagged, key=lambda frame: (frame != first, frame))


def untag(client: Any, frames: Frames, journal: TrackJournal, name: str, frame: int) -> None:
    """Remove the tags of this name from a frame; taking the last run back puts them back. Raises CvatError."""
    run = max(one.id for one in journal.runs() if one.command == COMMAND)
    for job, held, tags in _tags(client, frames, name):
        if going := [tag for tag in tags if tag["frame"] == frame]:
            delete(client, journal, run, job, held, {"shapes": [], "tags": going})


def _tags(client: Any, frames: Frames, name: str) -> Iterator[tuple[int, Annotations, list[Any]]]:
    """Each job with what it holds, and of that the tags of this name."""
    labels = {label["name"]: label["id"] for label in listed(client, frames.task.id)}
    if name not in labels:
        raise CvatError(f"the task has no label {name!r}: make one of type tag, and tag frames with it")
    for job in frames.jobs:
        held = JobAnnotations(client, job.id).read()
        yield job.id, held, [tag for tag in held["tags"] if tag["label_id"] == labels[name]]
