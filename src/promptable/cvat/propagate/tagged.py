"""Frames that people have tagged in the editor to be followed from: they have no shell, who runs the command has."""

from collections.abc import Iterator
from typing import Any

from promptable.cvat.labels.entries import listed
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


def tagged_frames(client: Any, frames: Frames, name: str, first: int | None = None) -> list[int]:
    """The frames with a tag of this name, ``first`` first: an unfinished run began there. Raises CvatError."""
    tagged = {tag["frame"] for _, tag in _tags(client, frames, name)} & set(frames.numbers)
    return sorted(tagged, key=lambda frame: (frame != first, frame))


def untag(client: Any, frames: Frames, name: str, frame: int) -> None:
    """Remove the tags of this name from a frame. Raises CvatError."""
    for annotations, tag in list(_tags(client, frames, name)):
        if tag["frame"] == frame:
            annotations.delete((), [tag])


def _tags(client: Any, frames: Frames, name: str) -> Iterator[tuple[JobAnnotations, Any]]:
    labels = {label["name"]: label["id"] for label in listed(client, frames.task.id)}
    if name not in labels:
        raise CvatError(f"the task has no label {name!r}: make one of type tag, and tag frames with it")
    for job in frames.jobs:
        annotations = JobAnnotations(client, job.id)
        yield from ((annotations, tag) for tag in annotations.read()["tags"] if tag["label_id"] == labels[name])
